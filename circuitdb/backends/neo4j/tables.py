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

from circuitdb.backends.base import ModelGraph, Value
from circuitdb.backends.columns import constant
from circuitdb.backends.neo4j.schema import EDGE_TYPES, folded_name, registered, stored
from circuitdb.backends.validation import checked
from circuitdb.graph import Record

TEXTS = pa.list_(pa.string())


@dataclass(frozen=True)
class NodeTables:
    """What one model becomes.

    units: one row a unit, in key order, with `labels`, `labels_folded` and `label_sources` (lists of text).
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


def node_tables(graph: ModelGraph, load: str) -> NodeTables:
    """The tables of a model whose units carry the id `load`.

    Raises
    ------
    InputError
        If the graph has a mistake.
    """
    graph = checked(graph)
    count = graph.units.num_rows
    kinds = graph.edges["kind"]
    edges = {kind: graph.edges.filter(pc.equal(kinds, kind)).drop_columns(["kind"]) for kind in EDGE_TYPES}
    families = graph.families if graph.families is not None else pa.table({"id": pa.array([], pa.int32())})
    segments = graph.segments if graph.segments is not None else pa.table({"source_layer": pa.array([], pa.string())})
    nothing = {name: pa.array([], pa.int32()) for name in ("source", "target", "family", "unit")}
    members = graph.members if graph.members is not None else pa.table(nothing | {"pose": pa.array([], pa.string())})
    return NodeTables(
        model=_model_properties(graph.model) | {"edges": graph.edges.num_rows, "load": load},
        layers=graph.layers,
        units=_units(graph, load),
        segments=segments.append_column("model", constant(graph.name, segments.num_rows)),
        families=families.rename_columns({"id": "number"}),
        members=members.append_column("place", pa.array(np.arange(members.num_rows, dtype=np.int32))),
        edges={kind: table for kind, table in edges.items() if table.num_rows},
        maps=_with_foldings(graph.maps if graph.maps is not None else pa.table(nothing), Record.MAP),
        layer_rows=_layer_rows(graph.units["layer"].to_pylist()) if count else [],
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
    return units


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


def _layer_rows(layers: Sequence[str]) -> list[tuple[str, int, int]]:
    starts = [row for row, layer in enumerate(layers) if row == 0 or layers[row - 1] != layer]
    return [(layers[a], a, b) for a, b in pairwise([*starts, len(layers)])]


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
        else:
            sizes += 20 if pa.types.is_floating(column.type) else 9
    return sizes
