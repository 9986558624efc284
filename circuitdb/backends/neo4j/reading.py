"""Reads models, units and edges back from Neo4j, as plain rows or as a whole `ModelGraph`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from circuitdb.backends.base import ModelGraph, Row
from circuitdb.backends.columns import ARROW_TYPES
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.schema import (
    ANALOGOUS_TO,
    EDGE_TYPES,
    EXAMPLE_LISTS,
    MAPS_TO,
    MEMBER_OF,
    UNIT_KINDS,
    quoted,
    registered,
)
from circuitdb.backends.neo4j.tables import EXAMPLE_TYPES, examples_of, label_pairs, model_properties, signatures_of
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import PropertyType, Record, UnitKind

if TYPE_CHECKING:
    import neo4j

ROWS_AT_ONCE = 20_000
EDGES = "|".join(EDGE_TYPES)
_UNIT = (
    "u {"
    + ", ".join(f".{quoted(n)}" for n in (*(p.name for p in registered(Record.UNIT)), "labels", "label_sources"))
    + "}"
)
"""What is told of a unit `u`."""
KIND_ORDER = {kind: place for place, kind in enumerate(EDGE_TYPES)}


def read_model(connection: Connection, name: str) -> ModelGraph:
    """A whole model, without the dense matrices, which Neo4j does not hold.

    Raises
    ------
    InputError
        If there is no such model.
    CircuitdbError
        If it is replaced or deleted meanwhile.
    """
    return connection.reading(lambda transaction: _read_model(transaction, name, connection.address.shown))


def read_models(connection: Connection) -> list[Row]:
    """Every model by name: its properties, `layers` in order of depth with the indices of their `directions`, and
    `edges`, their number."""

    def work(transaction: neo4j.ManagedTransaction) -> tuple[list[Any], list[Any], list[Any]]:
        models = _rows(transaction, "MATCH (m:Model) RETURN properties(m)", {})
        layers = _rows(transaction, "MATCH (n:Layer) RETURN properties(n) ORDER BY n.depth", {})
        text = f"MATCH (u:{UNIT_KINDS[UnitKind.DIRECTION]}:Unit) RETURN u.model, u.layer, u.index ORDER BY u.index"
        return models, layers, _rows(transaction, text, {})

    models, layers, directions = connection.reading(work)
    indices: dict[tuple[str, str], list[int]] = {}
    for name, layer, index in directions:
        indices.setdefault((name, layer), []).append(index)
    found = []
    for (model,) in sorted(models, key=lambda row: str(row[0]["name"])):
        own = sorted(
            (row for (row,) in layers if row["model"] == model["name"]), key=lambda row: (row["depth"], row["name"])
        )
        listed = [
            {**_registered(row, Record.LAYER, "model"), "directions": indices.get((row["model"], row["name"]), [])}
            for row in own
        ]
        missing = dict.fromkeys(p.name for p in registered(Record.MODEL))
        found.append({**missing, **model_properties(model), "layers": listed, "edges": model["edges"]})
    return found


def read_units(connection: Connection, keys: Sequence[str]) -> list[Row]:
    """The properties of units, with `labels`, in the order of `keys`; unknown keys are left out."""
    text = f"UNWIND $keys AS key MATCH (u:Unit {{key: key}}) RETURN {_UNIT}"
    found = {row[0]["key"]: _unit_row(row[0]) for row in connection.read(text, {"keys": list(keys)})}
    return [found[key] for key in keys if key in found]


def read_layer_units(connection: Connection, model: str, layer: str) -> list[Row]:
    """The units of a layer by index, as `read_units` gives them."""
    text = f"MATCH (u:Unit {{model: $model, layer: $layer}}) RETURN {_UNIT} AS unit ORDER BY u.position"
    return [_unit_row(row[0]) for row in connection.read(text, {"model": model, "layer": layer})]


def read_whole_units(connection: Connection, keys: Sequence[str]) -> dict[str, Row]:
    """By key, units' properties, with `labels`, `maps`, `families` and `analogues`; unknown keys are left out."""

    def work(transaction: neo4j.ManagedTransaction) -> dict[str, Row]:
        def asked(text: str) -> list[list[Any]]:
            return _rows(transaction, f"UNWIND $keys AS key MATCH (u:Unit {{key: key}}) {text}", {"keys": list(keys)})

        found = {
            unit["key"]: {**_unit_row(unit), "maps": [], "families": [], "analogues": []}
            for (unit,) in asked(f"RETURN {_UNIT}")
        }
        for key, target, row in sorted(
            asked(f"MATCH (u)-[r:{MAPS_TO}]->(t:Unit) RETURN key, t.key, properties(r)"), key=lambda row: row[2]["map"]
        ):
            found[key]["maps"].append({"target": target, **_registered(row, Record.MAP)})
        families = asked(
            f"MATCH (u)-[r:{MEMBER_OF}]->(f:Family) "
            f"MATCH (f)<-[other:{MEMBER_OF}]-(m:Unit) WITH key, r, f, other, m ORDER BY other.place "
            "RETURN key, r.pose, properties(f), collect({unit: m.key, pose: other.pose})"
        )
        for key, pose, row, members in sorted(families, key=lambda family: family[2]["number"]):
            found[key]["families"].append(
                {**_registered(row, Record.FAMILY, "model"), "pose": pose, "members": members}
            )
        analogues = asked(
            f"MATCH (u)-[r:{ANALOGOUS_TO}]->(t:Unit) RETURN key, t.key, t.model, t.position, properties(r)"
        )
        for key, target, model, _, row in sorted(analogues, key=lambda pair: (pair[2], pair[4]["rank"], pair[3])):
            found[key]["analogues"].append({"target": target, "model": model, **_registered(row, Record.ANALOGUE)})
        return found

    return connection.reading(work)


def read_edges(
    connection: Connection, keys: Sequence[str], direction: Literal["in", "out"], top: int | None
) -> dict[str, list[Row]]:
    """By key, units' edges, strongest first, equally strong ones by the key of the other end.

    Raises
    ------
    InputError
        If there is no such unit.
    """
    asked = list(dict.fromkeys(keys))
    known = connection.read("UNWIND $keys AS key MATCH (u:Unit {key: key}) RETURN key", {"keys": asked})
    edges: dict[str, list[Row]] = {key: [] for (key,) in known}
    for key in asked:
        if key not in edges:
            raise InputError(f"no unit {key!r} in {connection.address.shown}")
    ends = f"(o:Unit)-[r:{EDGES}]->(u)" if direction == "in" else f"(u)-[r:{EDGES}]->(o:Unit)"
    text = (
        f"UNWIND $keys AS key MATCH (u:Unit {{key: key}}) MATCH {ends} "
        "WITH key, o, r ORDER BY r.strength DESC, o.position, $kinds[type(r)] "
        "WITH key, collect([o.key, r]) AS edges "
        f"UNWIND edges{'' if top is None else '[..$top]'} AS edge "
        "RETURN key, edge[0], type(edge[1]), properties(edge[1])"
    )
    for key, other, kind, row in connection.read(text, {"keys": asked, "top": top, "kinds": KIND_ORDER}):
        source, target = (other, key) if direction == "in" else (key, other)
        values = {"source": source, "target": target, **_registered(row, Record.EDGE), "kind": kind}
        edges[key].append({name: values[name] for name in ("source", "target", "kind", *values)})
    return edges


def no_model(transaction: neo4j.ManagedTransaction, name: str, where: str) -> InputError:
    """The sentence for a model that is not there, with some that are."""
    names = [row[0] for row in _rows(transaction, "MATCH (m:Model) RETURN m.name ORDER BY m.name LIMIT 8", {})]
    there = f"; there are {', '.join(names)}" if names else "; it is empty"
    return InputError(f"no model {name!r} in {where}{there}")


def _registered(row: Mapping[str, Any], record: Record, *without: str) -> Row:
    return {p.name: row.get(p.name) for p in registered(record) if p.name not in without}


def _unit_row(properties: Mapping[str, Any]) -> Row:
    labels = [{"label": label, "source": source} for label, source in label_pairs(properties)]
    return {**_registered(properties, Record.UNIT), "labels": labels}


def _rows(transaction: neo4j.ManagedTransaction, text: str, parameters: Mapping[str, Any]) -> list[list[Any]]:
    return [record.values() for record in transaction.run(text, dict(parameters))]


def _read_model(transaction: neo4j.ManagedTransaction, name: str, where: str) -> ModelGraph:
    models = _rows(transaction, "MATCH (m:Model {name: $model}) RETURN properties(m)", {"model": name})
    if not models:
        raise no_model(transaction, name, where)
    model = models[0][0]
    own = {"model": name, "load": model["load"]}
    unit_columns = {p.name: p.type for p in registered(Record.UNIT)}
    beside = {
        **dict.fromkeys(("labels", "label_sources"), pa.list_(pa.string())),
        **{name: pa.list_(EXAMPLE_TYPES[prop]) for prop, name in EXAMPLE_LISTS.items()},
        "signature": pa.binary(),
    }
    units = read_table(
        transaction,
        f"MATCH (n:Unit {{model: $model}}) WHERE n.load = $load RETURN {_values('n', unit_columns)}, "
        f"n.position AS position, {_values('n', beside)} ORDER BY position",
        own,
        {**_typed(unit_columns), "position": pa.int32(), **beside},
    )
    edge_columns = {p.name: p.type for p in registered(Record.EDGE)}
    ends = {"source": pa.int32(), "target": pa.int32()}
    edges = read_table(
        transaction,
        f"MATCH (s:Unit)-[n:{EDGES}]->(t:Unit {{model: $model}}) WHERE t.load = $load "
        f"RETURN s.position AS source, t.position AS target, type(n) AS kind, {_values('n', edge_columns)}",
        own,
        {**ends, "kind": pa.string(), **_typed(edge_columns)},
    )
    map_columns = {p.name: p.type for p in registered(Record.MAP)}
    maps = read_table(
        transaction,
        f"MATCH (s:Unit {{model: $model}})-[n:{MAPS_TO}]->(t:Unit) WHERE s.load = $load "
        f"RETURN s.position AS source, t.position AS target, {_values('n', map_columns)}",
        own,
        {**ends, **_typed(map_columns)},
    )
    family_columns = {p.name: p.type for p in registered(Record.FAMILY) if p.name != "model"}
    families = read_table(
        transaction,
        f"MATCH (n:Family {{model: $model}}) RETURN n.number AS id, {_values('n', family_columns)}",
        own,
        {"id": pa.int32(), **_typed(family_columns)},
    )
    members = read_table(
        transaction,
        f"MATCH (f:Family {{model: $model}})<-[n:{MEMBER_OF}]-(u:Unit) "
        "RETURN f.number AS family, u.position AS unit, n.pose AS pose ORDER BY n.place",
        own,
        {"family": pa.int32(), "unit": pa.int32(), "pose": pa.string()},
    )
    layer_columns = {p.name: p.type for p in registered(Record.LAYER)}
    layers = read_table(
        transaction,
        f"MATCH (n:Layer {{model: $model}}) RETURN {_values('n', layer_columns)}",
        own,
        _typed(layer_columns),
    )
    segment_columns = {p.name: p.type for p in registered(Record.SEGMENT)}
    segments = read_table(
        transaction,
        f"MATCH (n:Segment {{model: $model}}) RETURN {_values('n', segment_columns)}",
        own,
        _typed(segment_columns),
    )
    at_the_end = _rows(transaction, "MATCH (m:Model {name: $model}) RETURN m.load, m.responses", own)
    if edges.num_rows != model["edges"] or at_the_end != [[model["load"], model.get("responses")]]:
        raise CircuitdbError(f"model {name!r} in {where} was changed while it was read; try again")
    return ModelGraph(
        model=model_properties(model),
        layers=_without_missing(layers.sort_by([("depth", "ascending"), ("name", "ascending")]), Record.LAYER),
        units=_without_missing(units.drop_columns(["position", *beside]), Record.UNIT),
        edges=_without_missing(_sorted(edges, "target", "source", "kind"), Record.EDGE),
        segments=_without_missing(
            segments.sort_by([("source_layer", "ascending"), ("target_layer", "ascending"), ("skip", "ascending")]),
            Record.SEGMENT,
        ),
        labels=_labels(units),
        maps=_without_missing(_sorted(maps, "source", "map"), Record.MAP),
        families=_without_missing(families.sort_by("id"), Record.FAMILY),
        members=members,
        examples=examples_of(units),
        signatures=signatures_of(model.get("signature_pictures"), units["signature"].to_pylist()),
    )


def _values(variable: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{variable}.{quoted(name)} AS {quoted(name)}" for name in columns)


def _typed(columns: Mapping[str, PropertyType]) -> dict[str, pa.DataType]:
    return {name: ARROW_TYPES[kind] for name, kind in columns.items()}


def read_table(
    transaction: neo4j.ManagedTransaction, text: str, parameters: Mapping[str, Any], columns: Mapping[str, pa.DataType]
) -> pa.Table:
    """The rows of a statement, which returns these columns in this order, as an Arrow table made piece by piece."""
    schema = pa.schema(list(columns.items()))
    pieces: list[pa.Table] = []
    rows: list[list[Any]] = []

    def finish() -> None:
        arrays = [
            pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        pieces.append(pa.table(arrays, schema=schema))
        rows.clear()

    for record in transaction.run(text, dict(parameters)):
        rows.append(record.values())
        if len(rows) == ROWS_AT_ONCE:
            finish()
    if rows:
        finish()
    return pa.concat_tables(pieces) if pieces else schema.empty_table()


def _without_missing(table: pa.Table, record: Record) -> pa.Table:
    """The table without the optional properties that no row has."""
    optional = {p.name for p in registered(record) if p.optional}
    empty = [name for name in table.column_names if name in optional and table[name].null_count == table.num_rows]
    return table.drop_columns(empty)


def _sorted(table: pa.Table, *names: str) -> pa.Table:
    keys = [
        table.column(name).to_pylist() if name in ("kind", "map") else table.column(name).to_numpy() for name in names
    ]
    return table.take(pa.array(np.lexsort(keys[::-1])))


def _labels(units: pa.Table) -> pa.Table:
    columns = {name: units[name].to_pylist() for name in ("labels", "label_sources")}
    rows = [
        {"unit": unit, "label": label, "source": source}
        for unit, pair in enumerate(zip(*columns.values(), strict=True))
        for label, source in label_pairs(dict(zip(columns, pair, strict=True)))
    ]
    return pa.Table.from_pylist(
        rows, pa.schema([("unit", pa.int32()), ("label", pa.string()), ("source", pa.string())])
    )


def read_labels(connection: Connection, model: str) -> list[Row]:
    """The labels of a model's units, `unit` (key), `label` and `source`, in order of key.

    Raises
    ------
    InputError
        If there is no such model.
    """

    def work(transaction: neo4j.ManagedTransaction) -> list[list[Any]]:
        if not _rows(transaction, "MATCH (m:Model {name: $model}) RETURN 1", {"model": model}):
            raise no_model(transaction, model, connection.address.shown)
        text = (
            "MATCH (u:Unit {model: $model}) WHERE size(u.labels) > 0 "
            "RETURN u.key, u.labels AS labels, u.label_sources AS label_sources ORDER BY u.position"
        )
        return _rows(transaction, text, {"model": model})

    return [
        {"unit": key, "label": label, "source": source}
        for key, labels, sources in connection.reading(work)
        for label, source in label_pairs({"labels": labels, "label_sources": sources})
    ]
