"""A model as rows of the embedded store's tables, and back.

`rows_of` takes a checked `ModelGraph` to one Arrow table per table of the schema, in which units and families are
numbered from 0; `insert` moves the numbers to where the file has room. `read_graph` is the way back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import MEASURED_ON_PROBES, Analogues, Dense, KernelBlock, ModelGraph, Responses, Value
from circuitdb.backends.columns import ARROW_TYPES, runs
from circuitdb.backends.duckdb.files import fetch
from circuitdb.backends.duckdb.schema import TABLES, folded, quoted
from circuitdb.graph import Record, properties

UNIT_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "unit": ("id",),
    "label": ("unit_id",),
    "edge": ("source", "target"),
    "map": ("source", "target"),
    "member": ("unit_id",),
    "example": ("unit_id",),
    "signature": ("unit_id",),
}
"""Columns that hold numbers of units."""

DENSE = ("dense", "dense_kernel")
"""Tables of matrices, whose rows name layers and no units."""

FAMILY_NUMBERS: Mapping[str, tuple[str, ...]] = {"family": ("id",), "member": ("family_id",)}
"""Columns that hold numbers of families."""

_RENAMED: Mapping[str, Mapping[str, str]] = {
    "label": {"unit": "unit_id"},
    "member": {"family": "family_id", "unit": "unit_id"},
    "example": {"unit": "unit_id"},
}
"""Per table, columns of a `ModelGraph` that the store calls otherwise."""

_STRONGEST_FIRST = (
    " ORDER BY CASE WHEN incoming.share > 0 THEN floor(log2(incoming.share)) END DESC NULLS LAST, "
    "incoming.target, incoming.source, incoming.kind"
)
"""How edges lie in the file: by octaves of the share, so that a search for strong ones reads the first few blocks."""

_RECORDS: Mapping[str, Record] = {record.value: record for record in Record}


def rows_of(graph: ModelGraph) -> dict[str, pa.Table]:
    """The rows of every table that has any, without `model_id`, units and families numbered from 0."""
    numbered = graph.units.append_column("id", pa.array(np.arange(graph.units.num_rows, dtype=np.int32)))
    given = {
        "model": _model_row(graph.model).append_column("edges", pa.array([graph.edges.num_rows], pa.int32())),
        "layer": graph.layers,
        "unit": numbered,
        "label": graph.labels,
        "edge": graph.edges,
        "map": graph.maps,
        "family": graph.families,
        "member": graph.members,
        "segment": graph.segments,
        "dense": _dense_rows(graph.dense),
        "dense_kernel": _kernel_rows(graph.dense),
        "example": graph.examples,
        "signature": _signature_rows(graph.signatures, graph.units),
    }
    return _stored_tables(given)


def insert(
    connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, model_id: int, first_unit: int, first_family: int
) -> None:
    """Insert rows made by `rows_of`, the units numbered from `first_unit`, the families from `first_family`."""
    values = {column: quoted(column) for column in rows.column_names}
    parameters: dict[str, int] = {"model": model_id}
    for numbers, parameter, first in ((UNIT_NUMBERS, "unit", first_unit), (FAMILY_NUMBERS, "family", first_family)):
        for column in numbers.get(name, ()):
            values[column] = f"{quoted(column)} + CAST(${parameter} AS INTEGER)"
            parameters[parameter] = first
    values["id" if name == "model" else "model_id"] = "CAST($model AS INTEGER)"
    connection.register("incoming", rows)
    columns = ", ".join(map(quoted, values))
    order = _STRONGEST_FIRST if name == "edge" else ""
    statement = f"INSERT INTO {quoted(name)} ({columns}) SELECT {', '.join(values.values())} FROM incoming{order}"
    fetch(connection, statement, parameters)
    connection.unregister("incoming")


def replace_responses(
    connection: duckdb.DuckDBPyConnection, model_id: int, responses: Responses, first_family: int
) -> None:
    """Put checked responses in the place of what a model has, new families numbered from `first_family`."""
    given = {
        "map": responses.maps,
        "family": responses.families,
        "member": responses.members,
        "example": responses.examples,
        "signature": _signature_rows(responses.signatures, read_table(connection, "unit", model_id)),
    }
    for name in given:
        fetch(connection, f"DELETE FROM {quoted(name)} WHERE model_id = ?", [model_id])
    first_unit, count = unit_numbers(connection, model_id)
    probes = json.dumps(dict(responses.probes))
    fetch(connection, "UPDATE model SET probes = ? WHERE id = ?", [probes, model_id])
    ids = pa.array(np.arange(first_unit, first_unit + count, dtype=np.int32))
    connection.register("incoming", responses.units.append_column("id", ids))
    values = ", ".join(f"{name} = incoming.{name}" for name in MEASURED_ON_PROBES)
    fetch(connection, f"UPDATE unit SET {values} FROM incoming WHERE unit.id = incoming.id")
    connection.unregister("incoming")
    for name, table in _stored_tables(given).items():
        insert(connection, name, table, model_id, first_unit, first_family)


def unit_numbers(connection: duckdb.DuckDBPyConnection, model_id: int) -> tuple[int, int]:
    """The id of a model's first unit, and how many it has; the ids follow on each other."""
    [(first, count)] = fetch(
        connection, "SELECT coalesce(min(id), 0), count(*) FROM unit WHERE model_id = ?", [model_id]
    )
    return first, count


def insert_analogues(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, models: tuple[int, int], first_units: tuple[int, int]
) -> None:
    """Insert checked analogues between two models whose units are numbered from `first_units`."""
    stored = _stored("analogue", table)
    for end, first in zip(("source", "target"), first_units, strict=True):
        moved = pc.add(stored[end], pa.scalar(first, pa.int32()))
        stored = stored.set_column(stored.column_names.index(end), end, moved)
    columns = ", ".join(map(quoted, stored.column_names))
    connection.register("incoming", stored)
    fetch(
        connection,
        f"INSERT INTO analogue (source_model_id, target_model_id, {columns}) "
        f"SELECT CAST(? AS INTEGER), CAST(? AS INTEGER), {columns} FROM incoming",
        list(models),
    )
    connection.unregister("incoming")


def moved_analogues(analogues: Analogues, model: str, before: pa.ChunkedArray, after: pa.ChunkedArray) -> pa.Table:
    """The analogues from or to a model whose units had the keys `before` and have those `after`, by the new rows.

    Those of units that are gone are left out.
    """
    row = pc.index_in(before, value_set=after.combine_chunks())
    table = analogues.rows
    for end, name in (("source", analogues.source), ("target", analogues.target)):
        if name == model:
            moved = row.take(table[end].combine_chunks())
            table = table.set_column(table.column_names.index(end), end, moved).filter(pc.is_valid(moved))
    return table


def read_analogues(connection: duckdb.DuckDBPyConnection) -> list[Analogues]:
    """All analogues, by pair of models, in order of the models' names."""
    names = dict(fetch(connection, "SELECT id, name FROM model"))
    pairs = fetch(connection, "SELECT DISTINCT source_model_id, target_model_id FROM analogue")
    columns = ", ".join(f"a.{quoted(prop.name)}" for prop in properties(Record.ANALOGUE))
    found = []
    for source, target in sorted(pairs, key=lambda pair: (names[pair[0]], names[pair[1]])):
        first = [unit_numbers(connection, model)[0] for model in (source, target)]
        table = connection.sql(
            f"SELECT (a.source - $s)::INTEGER AS source, (a.target - $t)::INTEGER AS target, {columns} "
            "FROM analogue AS a WHERE a.source_model_id = $source AND a.target_model_id = $target "
            "ORDER BY a.source, a.rank",
            params={"s": first[0], "t": first[1], "source": source, "target": target},
        ).to_arrow_table()
        kept = [name for name in table.column_names if table[name].null_count < table.num_rows]
        found.append(Analogues(names[source], names[target], table.select(kept)))
    return found


def read_graph(connection: duckdb.DuckDBPyConnection, model_id: int) -> ModelGraph:
    """The model of that id as it was written."""

    def read(name: str) -> pa.Table:
        return read_table(connection, name, model_id)

    [model] = read("model").to_pylist()
    return ModelGraph(
        model_properties(model),
        read("layer"),
        read("unit"),
        read("edge"),
        segments=read("segment"),
        labels=read("label"),
        maps=read("map"),
        families=read("family"),
        members=read("member"),
        dense=read_dense(connection, model_id),
        examples=read("example"),
        signatures=read_signatures(connection, model_id),
    )


def model_properties(row: Mapping[str, Value]) -> dict[str, Value]:
    """A row of the model table as a `ModelGraph` gives it: what is missing left out, JSON read."""
    return {
        prop.name: json.loads(str(row[prop.name])) if prop.type == "json" else row[prop.name]
        for prop in properties(Record.MODEL)
        if row.get(prop.name) is not None
    }


def read_signatures(connection: duckdb.DuckDBPyConnection, model_id: int) -> npt.NDArray[np.int8] | None:
    """The signatures [unit, picture, number] of a model's units in key order, or None."""
    layers = fetch(
        connection,
        "SELECT entries, units, pictures, numbers FROM signature WHERE model_id = ? ORDER BY unit_id",
        [model_id],
    )
    if not layers:
        return None
    return np.concatenate([np.frombuffer(entries, dtype=np.int8).reshape(shape) for entries, *shape in layers])


def read_dense(
    connection: duckdb.DuckDBPyConnection, model_id: int, layers: tuple[str, str] | None = None
) -> dict[tuple[str, str], Dense]:
    """The dense matrices of a model by (source layer, target layer), or those of one pair of layers."""
    condition, parameters = "model_id = ?", [model_id, *(layers or ())]
    if layers is not None:
        condition += " AND source_layer = ? AND target_layer = ?"
    blocks: dict[tuple[str, str], list[KernelBlock]] = {}
    for source, target, targets, sources, height, width, offset_y, offset_x, kernels in fetch(
        connection,
        "SELECT source_layer, target_layer, targets, sources, kernel_h, kernel_w, offset_y, offset_x, kernels "
        f"FROM dense_kernel WHERE {condition} ORDER BY source_layer, target_layer, block",
        parameters,
    ):
        shape = (len(targets), len(sources), height, width)
        entries = np.frombuffer(kernels, dtype="<f2").reshape(shape)
        rows, columns = np.array(targets, dtype=np.int32), np.array(sources, dtype=np.int32)
        blocks.setdefault((source, target), []).append(KernelBlock(rows, columns, entries, offset_y, offset_x))
    matrices = fetch(
        connection,
        "SELECT source_layer, target_layer, weight, strength, targets, sources "
        f"FROM dense WHERE {condition} ORDER BY rowid",
        parameters,
    )
    return {
        (source, target): Dense(
            np.frombuffer(weight, dtype="<f4").reshape(targets, sources),
            np.frombuffer(strength, dtype="<f4").reshape(targets, sources),
            tuple(blocks.get((source, target), ())),
        )
        for source, target, weight, strength, targets, sources in matrices
    }


def _model_row(model: Mapping[str, Value]) -> pa.Table:
    as_json = {prop.name for prop in properties(Record.MODEL) if prop.type == "json"}
    return pa.table(
        {
            name: pa.array([json.dumps(value) if name in as_json else value], pa.string())
            for name, value in model.items()
        }
    )


def _stored_tables(given: Mapping[str, pa.Table | None]) -> dict[str, pa.Table]:
    """The tables that have rows, as the store keeps them."""
    return {name: _stored(name, table) for name, table in given.items() if table is not None and table.num_rows}


def _stored(name: str, table: pa.Table) -> pa.Table:
    """The table's columns under the store's names, with the case-folded forms of its texts."""
    renamed = _RENAMED.get(name, {})
    stored = {renamed.get(column, column): table[column] for column in table.column_names}
    known = [column.name for column in TABLES[name]]
    for column in [column for column in stored if folded(column) in known]:
        stored[folded(column)] = _casefold(stored[column])
    return pa.table({column: values for column, values in stored.items() if column in known})


def _casefold(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Unicode case folding (`str.casefold`), of each distinct text once."""
    chunks = []
    for chunk in texts.chunks:
        distinct = chunk.dictionary_encode()
        forms = [None if text is None else text.casefold() for text in distinct.dictionary.to_pylist()]
        chunks.append(pa.array(forms, pa.string()).take(distinct.indices))
    return pa.chunked_array(chunks, pa.string())


def _dense_rows(dense: Mapping[tuple[str, str], Dense]) -> pa.Table:
    return pa.table(
        {
            "source_layer": pa.array([source for source, _ in dense], pa.string()),
            "target_layer": pa.array([target for _, target in dense], pa.string()),
            "weight": pa.array([_bytes(pair.weight, "<f4") for pair in dense.values()], pa.large_binary()),
            "strength": pa.array([_bytes(pair.strength, "<f4") for pair in dense.values()], pa.large_binary()),
            "targets": pa.array([pair.weight.shape[0] for pair in dense.values()], pa.int32()),
            "sources": pa.array([pair.weight.shape[1] for pair in dense.values()], pa.int32()),
        }
    )


def _kernel_rows(dense: Mapping[tuple[str, str], Dense]) -> pa.Table:
    blocks = [(layers, place, block) for layers, pair in dense.items() for place, block in enumerate(pair.blocks)]
    return pa.table(
        {
            "source_layer": pa.array([source for (source, _), _, _ in blocks], pa.string()),
            "target_layer": pa.array([target for (_, target), _, _ in blocks], pa.string()),
            "block": pa.array([place for _, place, _ in blocks], pa.int32()),
            "targets": pa.array([block.targets for _, _, block in blocks], pa.list_(pa.int32())),
            "sources": pa.array([block.sources for _, _, block in blocks], pa.list_(pa.int32())),
            "kernel_h": pa.array([block.kernels.shape[2] for _, _, block in blocks], pa.int32()),
            "kernel_w": pa.array([block.kernels.shape[3] for _, _, block in blocks], pa.int32()),
            "offset_y": pa.array([block.offset_y for _, _, block in blocks], pa.float64()),
            "offset_x": pa.array([block.offset_x for _, _, block in blocks], pa.float64()),
            "kernels": pa.array([_bytes(block.kernels, "<f2") for _, _, block in blocks], pa.large_binary()),
        }
    )


def _signature_rows(signatures: npt.NDArray[np.int8] | None, units: pa.Table) -> pa.Table | None:
    """A row for each layer's run of units."""
    if signatures is None:
        return None
    layers = runs(units["layer"].to_pylist())
    _, pictures, numbers = signatures.shape
    return pa.table(
        {
            "unit_id": pa.array([first for _, first, _ in layers], pa.int32()),
            "units": pa.array([last - first for _, first, last in layers], pa.int32()),
            "pictures": pa.array([pictures] * len(layers), pa.int32()),
            "numbers": pa.array([numbers] * len(layers), pa.int32()),
            "entries": pa.array([signatures[first:last].tobytes() for _, first, last in layers], pa.large_binary()),
        }
    )


def _bytes(numbers: np.ndarray[tuple[int, ...], np.dtype[np.floating]], form: str) -> bytes:
    """The numbers, row major."""
    return np.ascontiguousarray(numbers, dtype=form).tobytes()


def read_table(connection: duckdb.DuckDBPyConnection, name: str, model_id: int) -> pa.Table:
    """A table's rows of one model, as a `ModelGraph` has them."""
    first = {
        numbered: fetch(connection, f"SELECT coalesce(min(id), 0) FROM {numbered} WHERE model_id = ?", [model_id])[0][0]
        for numbered in ("unit", "family")
    }
    props = {prop.name: prop for prop in properties(_RECORDS[name])}
    optional = {prop.name for prop in props.values() if prop.optional}
    given_names = {stored: given for given, stored in _RENAMED.get(name, {}).items()}
    numbers = (*UNIT_NUMBERS.get(name, ()), *FAMILY_NUMBERS.get(name, ()))
    selected, types = [], {}
    parameters: dict[str, int] = {"model": model_id}
    for column, kind in ((column.name, column.type) for column in TABLES[name]):
        given = given_names.get(column, column)
        if column in numbers and name != "unit":
            parameter = "family" if column in FAMILY_NUMBERS.get(name, ()) else "unit"
            parameters[parameter] = first[parameter]
            selected.append(f"CAST({quoted(column)} - ${parameter} AS INTEGER) AS {quoted(given)}")
            types[given] = pa.int32()
        elif column in props:
            selected.append(quoted(column))
            types[column] = ARROW_TYPES[props[column].type]
        elif kind == "BLOB":
            selected.append(quoted(column))
            types[column] = pa.large_binary()
            optional.add(column)
    own = "id" if name == "model" else "model_id"
    order = " ORDER BY edge.target, edge.source, edge.kind" if name == "edge" else ""
    rows = connection.sql(
        f"SELECT {', '.join(selected)} FROM {quoted(name)} WHERE {own} = $model{order}", params=parameters
    ).to_arrow_table()
    columns = {column: rows[column].cast(type_) for column, type_ in types.items()}
    return pa.table(
        {
            column: values
            for column, values in columns.items()
            if column not in optional or values.null_count < len(values)
        }
    )
