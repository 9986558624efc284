"""A model as the nodes and relationships of Neo4j: one Arrow table for each label and relationship type.

In comes a `ModelGraph`; out go `NodeTables`, whose columns are named as `schema.stored` says, those missing throughout
left out. The loader sends them over Bolt, the exporter writes them as CSV files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph, Responses, Value
from circuitdb.backends.columns import ARROW_TYPES, constant, runs
from circuitdb.backends.neo4j.schema import EDGE_TYPES, EXAMPLE_LISTS, folded_name, registered, stored
from circuitdb.backends.validation import checked
from circuitdb.graph import Record, properties

TEXTS = pa.list_(pa.string())
EXAMPLE_TYPES = {prop.name: ARROW_TYPES[prop.type] for prop in properties(Record.EXAMPLE) if prop.name in EXAMPLE_LISTS}


@dataclass(frozen=True)
class NodeTables:
    """What one model becomes.

    units: one row a unit, in key order, with `labels`, `labels_folded` and `label_sources` (lists of text), and what
    `schema.py` says of its examples and its signature.
    edges: by relationship type; `source` and `target` are rows of `units`. maps: likewise.
    members: `family` (its number), `unit` (row of `units`), `pose`, `place`.
    layer_rows: for each layer in the order of its units, its name and the rows [first, last) of `units`.
    """

    model: dict[str, Any]
    layers: pa.Table
    units: pa.Table
    segments: pa.Table
    families: pa.Table
    members: pa.Table
    edges: Mapping[str, pa.Table]
    maps: pa.Table
    layer_rows: Sequence[tuple[str, int, int]]

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model["name"])


@dataclass(frozen=True)
class ResponseTables:
    """What the responses of a model become, as in `NodeTables`.

    model, units: properties to be set, those that are None to be taken away.
    """

    model: dict[str, Any]
    units: pa.Table
    families: pa.Table
    members: pa.Table
    maps: pa.Table


def response_tables(responses: Responses) -> ResponseTables:
    """The tables of checked responses."""
    count = responses.units.num_rows
    columns = _example_columns(responses.examples, count) | _signature_column(responses.signatures, count)
    units = pa.table(dict(zip(responses.units.column_names, responses.units.columns, strict=True)) | columns)
    return ResponseTables(
        model=_model_properties({"probes": dict(responses.probes)}) | _signature_shape(responses.signatures),
        units=units,
        families=_families(responses.families),
        members=_members(responses.members),
        maps=_maps(responses.maps),
    )


def node_tables(graph: ModelGraph, load: str) -> NodeTables:
    """The tables of a model whose units carry the id `load`.

    Raises
    ------
    InputError
        If the graph has a mistake.
    """
    graph = checked(graph)
    kinds = graph.edges["kind"]
    edges = {kind: graph.edges.filter(pc.equal(kinds, kind)).drop_columns(["kind"]) for kind in EDGE_TYPES}
    segments = graph.segments if graph.segments is not None else pa.table({"source_layer": pa.array([], pa.string())})
    return NodeTables(
        model=_model_properties(graph.model)
        | {"edges": graph.edges.num_rows, "load": load, "responses": load}
        | ({} if graph.signatures is None else _signature_shape(graph.signatures)),
        layers=graph.layers,
        units=_units(graph, load),
        segments=segments.append_column("model", constant(graph.name, segments.num_rows)),
        families=_families(graph.families),
        members=_members(graph.members),
        edges={kind: table for kind, table in edges.items() if table.num_rows},
        maps=_maps(graph.maps),
        layer_rows=runs(graph.units["layer"].to_pylist()),
    )


def model_properties(row: Mapping[str, Any]) -> dict[str, Value]:
    """A model's properties, those of type JSON read again, from those of its node."""
    return {
        p.name: json.loads(row[p.name]) if p.type == "json" else row[p.name]
        for p in registered(Record.MODEL)
        if p.name in row
    }


def _model_properties(model: Mapping[str, Value]) -> dict[str, Any]:
    as_json = {p.name for p in registered(Record.MODEL) if p.type == "json"}
    return {name: json.dumps(value) if name in as_json else value for name, value in model.items()}


def _units(graph: ModelGraph, load: str) -> pa.Table:
    count = graph.units.num_rows
    units = _with_foldings(graph.units, Record.UNIT)
    units = units.append_column("position", pa.array(np.arange(count, dtype=np.int32)))
    units = units.append_column("load", constant(load, count))
    pairs: list[list[tuple[str, str | None]]] = [[] for _ in range(count)]
    if graph.labels is not None:
        columns = {name: graph.labels[name].to_pylist() for name in graph.labels.column_names}
        sources = columns.get("source", [None] * graph.labels.num_rows)
        for unit, label, source in zip(columns["unit"], columns["label"], sources, strict=True):
            pairs[unit].append((label, source))
    lists = [label_lists(row) for row in pairs]
    for name in ("labels", "labels_folded", "label_sources"):
        units = units.append_column(name, pa.array([row[name] for row in lists], TEXTS))
    responses: dict[str, pa.Array] = {}
    if graph.examples is not None and graph.examples.num_rows:
        responses |= _example_columns(graph.examples, count)
    if graph.signatures is not None:
        responses |= _signature_column(graph.signatures, count)
    for name, column in responses.items():
        units = units.append_column(name, column)
    return units


def _example_columns(examples: pa.Table | None, count: int) -> dict[str, pa.Array]:
    """The lists [units] of the examples' properties, null for a unit without; the thumbnails stay out."""
    if examples is None:
        return {name: pa.nulls(count, pa.string()) for name in EXAMPLE_LISTS.values()}
    lengths = np.bincount(examples["unit"].to_numpy(), minlength=count)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = pa.array(ends, pa.int32(), mask=np.append(lengths == 0, False))
    return {
        name: pa.ListArray.from_arrays(offsets, examples[prop].combine_chunks()) for prop, name in EXAMPLE_LISTS.items()
    }


def _signature_column(signatures: npt.NDArray[np.int8] | None, count: int) -> dict[str, pa.Array]:
    """The bytes of each unit's signature [units]."""
    if signatures is None:
        return {"signature": pa.nulls(count, pa.binary())}
    return {"signature": pa.array([row.tobytes() for row in signatures], pa.binary())}


def _signature_shape(signatures: npt.NDArray[np.int8] | None) -> dict[str, int | None]:
    return {"signature_pictures": None if signatures is None else signatures.shape[1]}


def examples_of(units: pa.Table) -> pa.Table:
    """The examples of units in key order, from the lists that their nodes hold; no rows where there are none."""
    lists = {prop: units[name].combine_chunks() for prop, name in EXAMPLE_LISTS.items()}
    columns = {"unit": pc.list_parent_indices(lists["rank"]), **{prop: pc.list_flatten(c) for prop, c in lists.items()}}
    types = {"unit": pa.int32()} | EXAMPLE_TYPES
    return pa.table({name: columns[name].cast(kind) for name, kind in types.items()})


def signatures_of(pictures: int | None, rows: Sequence[bytes]) -> npt.NDArray[np.int8] | None:
    """The signatures [unit, picture, number] from the bytes of each unit, or None where there are none."""
    if pictures is None or not rows:
        return None
    return np.frombuffer(b"".join(rows), dtype=np.int8).reshape(len(rows), pictures, -1)


def _families(families: pa.Table | None) -> pa.Table:
    if families is None or families.num_columns == 0:
        return pa.table({"number": pa.array([], pa.int32())})
    return families.rename_columns({"id": "number"})


def _members(members: pa.Table | None) -> pa.Table:
    if members is None or members.num_columns == 0:
        nothing = {name: pa.array([], pa.int32()) for name in ("family", "unit")}
        members = pa.table(nothing | {"pose": pa.array([], pa.string())})
    return members.append_column("place", pa.array(np.arange(members.num_rows, dtype=np.int32)))


def _maps(maps: pa.Table | None) -> pa.Table:
    if maps is None or maps.num_columns == 0:
        return pa.table({name: pa.array([], pa.int32()) for name in ("source", "target")})
    return _with_foldings(maps, Record.MAP)


def label_lists(pairs: Sequence[tuple[str, str | None]]) -> dict[str, list[str] | None]:
    """The three parallel lists in which a unit keeps its (label, source) pairs; None for a list of nothing."""
    return {
        "labels": [label for label, _ in pairs] or None,
        "labels_folded": [label.casefold() for label, _ in pairs] or None,
        "label_sources": [source or "" for _, source in pairs] if any(source for _, source in pairs) else None,
    }


def label_pairs(row: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The (label, source) pairs of a unit from the properties of its node."""
    labels = row.get("labels") or []
    sources = row.get("label_sources") or [""] * len(labels)
    return [(label, source or None) for label, source in zip(labels, sources, strict=True)]


def _with_foldings(table: pa.Table, record: Record) -> pa.Table:
    """The table, with the Unicode case folding of each column that is to have one."""
    for name in [name for name in table.column_names if folded_name(name) in stored(record)]:
        table = table.append_column(folded_name(name), _fold(table[name]))
    return table


def _fold(column: pa.ChunkedArray) -> pa.ChunkedArray:
    unique = pc.unique(column)
    folded = pa.array([None if text is None else text.casefold() for text in unique.to_pylist()], pa.string())
    return folded.take(pc.index_in(column, unique))


def to_columns(table: pa.Table) -> dict[str, list[Any]]:
    """The columns of a table as Python lists, None where a value is missing."""
    return {name: to_list(table[name]) for name in table.column_names}


def to_list(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column, None where one is missing. Numbers go through NumPy, which is many times faster."""
    return [value for chunk in column.chunks for value in _values(chunk)]


def _values(array: pa.Array) -> list[Any]:
    if pa.types.is_list(array.type):
        flat, lengths = _values(array.flatten()), pc.fill_null(pc.list_value_length(array), 0).to_numpy()
        ends = np.cumsum(lengths).tolist()
        values = [flat[a:b] for a, b in pairwise([0, *ends])]
    elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        values = array.fill_null(0).to_numpy().tolist()
    else:
        return list(array.to_pylist())
    if array.null_count:
        return [value if valid else None for value, valid in zip(values, array.is_valid().to_pylist(), strict=True)]
    return values


def packed_sizes(table: pa.Table) -> npt.NDArray[np.int64]:
    """About how many bytes each row takes on the wire: [rows]."""
    sizes = np.zeros(table.num_rows, dtype=np.int64)
    for name in table.column_names:
        column = table[name]
        if pa.types.is_string(column.type):
            sizes += 5 + pc.fill_null(pc.binary_length(column), 0).to_numpy()
        elif column.type == TEXTS:
            lengths = [5 + sum(5 + len(text.encode()) for text in texts or ()) for texts in column.to_pylist()]
            sizes += np.array(lengths, dtype=np.int64)
        elif pa.types.is_list(column.type):
            sizes += 5 + 20 * pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        elif pa.types.is_binary(column.type):
            sizes += 5 + pc.fill_null(pc.binary_length(column), 0).to_numpy()
        else:
            sizes += 20 if pa.types.is_floating(column.type) else 9
    return sizes
