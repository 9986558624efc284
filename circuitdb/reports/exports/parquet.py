"""The Parquet form: a folder of tables, for a search and for whole models, that `circuitdb import` reads.

A search makes one file a table: `circuits`, `units`, `edges`, `layers`, `models`. Whole models make a folder a table
with one partition a model, `edges/model=NAME/part-0.parquet`, as DuckDB, pandas and Spark read them. Every column of
the registry is there, whether any row has a value or not, so that the partitions of a table are alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.columns import ARROW_TYPES
from circuitdb.files import MARK
from circuitdb.graph import Record, properties
from circuitdb.reports.exchange.rows import VERSION
from circuitdb.reports.exports.subgraph import Row, Subgraph, json_text

_ROWS_AT_ONCE = 131_072
_TEXT = pa.string()
_LABELS = pa.list_(pa.struct([("label", _TEXT), ("source", _TEXT)]))
_MEMBERS = pa.list_(pa.struct([("unit", _TEXT), ("pose", _TEXT)]))
_ENDS = {"source": _TEXT, "target": _TEXT}
_CIRCUITS = pa.schema(
    {
        "motif": _TEXT,
        "model": _TEXT,
        "score": pa.float64(),
        "units": pa.list_(pa.struct([("name", _TEXT), ("unit", _TEXT)])),
        "edges": pa.list_(pa.struct([("source", _TEXT), ("target", _TEXT), ("kind", _TEXT)])),
    }
)


def write_subgraph(found: Subgraph, folder: Path) -> None:
    """Write the tables of a search into an empty folder."""
    tables = {
        "circuits": pa.Table.from_pylist([_circuit(row) for row in found.circuits], _CIRCUITS),
        "units": pa.Table.from_pylist(list(found.units), _schema(Record.UNIT, ("label",), labels=_LABELS)),
        "edges": pa.Table.from_pylist(list(found.edges), _schema(Record.EDGE, **_ENDS)),
        "layers": pa.Table.from_pylist(list(found.layers), _schema(Record.LAYER)),
        "models": pa.Table.from_pylist([_model(row) for row in found.models], _schema(Record.MODEL)),
    }
    for name, table in tables.items():
        _write(table, folder / f"{name}.parquet")
    _write_mark(folder)


def write_models(
    graphs: Iterable[ModelGraph],
    analogues: Iterable[Analogues],
    folder: Path,
) -> None:
    """Write whole models into an empty folder, one at a time.

    Parameters
    ----------
    graphs
        The models, each in its one form (`circuitdb.transfer.canonical`); only one at a time is held.
    analogues
        Those between the models.
    folder
        Where to.
    """
    keys: dict[str, pa.Array] = {}
    for graph in graphs:
        keys[graph.name] = graph.units["key"].combine_chunks()
        for part, table in _tables(graph, keys[graph.name]).items():
            _write_partition(table, folder, part, graph.name)
    of_source: dict[str, list[pa.Table]] = {}
    schema = _schema(Record.ANALOGUE, **_ENDS)
    for pairs in analogues:
        ends = {"source": keys[pairs.source], "target": keys[pairs.target]}
        of_source.setdefault(pairs.source, []).append(_columns(pairs.rows, schema, ends))
    for name, tables in of_source.items():
        _write_partition(pa.concat_tables([table.cast(schema) for table in tables]), folder, "analogues", name)
    _write_mark(folder)


def _tables(graph: ModelGraph, keys: pa.Array) -> dict[str, pa.Table]:
    """The tables of a model without its name where the partition says it; those without rows are left out."""
    key_list = keys.to_pylist()
    labels: list[list[Row]] = [[] for _ in key_list]
    for row in _rows(graph.labels):
        labels[row["unit"]].append({"label": row["label"], "source": row.get("source")})
    members: dict[int, list[Row]] = {}
    for row in _rows(graph.members):
        members.setdefault(row["family"], []).append({"unit": key_list[row["unit"]], "pose": row["pose"]})
    of_families = [members.get(row["id"], []) for row in _rows(graph.families)]
    both = {"source": keys, "target": keys}
    tables = {
        "models": pa.Table.from_pylist([_model(graph.model)], _schema(Record.MODEL)),
        "layers": _columns(graph.layers, _schema(Record.LAYER, ("model",))),
        "units": _columns(graph.units, _schema(Record.UNIT, ("model", "label"))).append_column(
            "labels", pa.array(labels, _LABELS)
        ),
        "edges": _columns(graph.edges, _schema(Record.EDGE, **_ENDS), both),
        "maps": _columns(graph.maps, _schema(Record.MAP, **_ENDS), both),
        "families": _columns(graph.families, _schema(Record.FAMILY, ("model",))).append_column(
            "members", pa.array(of_families, _MEMBERS)
        ),
        "segments": _columns(graph.segments, _schema(Record.SEGMENT)),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def _schema(record: Record, leave_out: Sequence[str] = (), **more: pa.DataType) -> pa.Schema:
    """The registry's columns, after those that name the ends of an edge, before those that hold lists."""
    of_record = {prop.name: ARROW_TYPES[prop.type] for prop in properties(record) if prop.name not in leave_out}
    ends = {name: kind for name, kind in more.items() if kind == _TEXT}
    return pa.schema(ends | of_record | more)


def _columns(table: pa.Table | None, schema: pa.Schema, ends: Mapping[str, pa.Array] | None = None) -> pa.Table:
    """The table with the columns of the schema, nulls where it lacks one; ends become keys of units."""
    if table is None:
        return schema.empty_table()
    columns: dict[str, Any] = {}
    for field in schema:
        if ends and field.name in ends:
            rows = table[field.name].combine_chunks()
            columns[field.name] = pa.DictionaryArray.from_arrays(rows, ends[field.name])
        elif field.name in table.column_names:
            columns[field.name] = table[field.name]
        else:
            columns[field.name] = pa.nulls(table.num_rows, field.type)
    return pa.table(columns)


def _rows(table: pa.Table | None) -> list[Row]:
    rows: list[Row] = [] if table is None else table.to_pylist()
    return rows


def _model(model: Mapping[str, Any]) -> Row:
    """A model's row, its JSON as text."""
    as_text = {prop.name for prop in properties(Record.MODEL) if prop.type == "json"}
    return {name: json_text(value) if name in as_text and value is not None else value for name, value in model.items()}


def _circuit(circuit: Mapping[str, Any]) -> Row:
    named = [(name, [unit] if isinstance(unit, str) else unit) for name, unit in circuit["units"].items()]
    return {
        **{name: circuit[name] for name in ("motif", "model", "score")},
        "units": [{"name": name, "unit": key} for name, keys in named for key in keys],
        "edges": [{name: edge[name] for name in ("source", "target", "kind")} for edge in circuit["edges"]],
    }


def _write_partition(table: pa.Table, folder: Path, part: str, model: str) -> None:
    place = folder / part / f"model={quote(model, safe='')}"
    place.mkdir(parents=True)
    _write(table, place / "part-0.parquet")


def _write(table: pa.Table, file: Path) -> None:
    """Write a table; without Arrow's own schema, so that texts are read as plain texts."""
    texts = [field.name for field in table.schema if field.type == _TEXT or pa.types.is_dictionary(field.type)]
    pq.write_table(
        table,
        file,
        row_group_size=_ROWS_AT_ONCE,
        compression="zstd",
        compression_level=1,
        use_dictionary=texts,
        store_schema=False,
    )


def _write_mark(folder: Path) -> None:
    (folder / MARK).write_text(json.dumps({"circuitdb": VERSION}) + "\n", encoding="utf-8")
