"""From a folder of Parquet tables to whole models and the analogues between models.

The tables are the parts of the exchange form: `edges.parquet`, or a folder `edges` with any number of files, those of
a partition `model=NAME` included. Edges stay in Arrow all the way; the other parts, which are small, go the way of a
document. What holds for a document holds here: what has no column is derived, what is wrong is refused with its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from circuitdb.backends.base import ModelGraph
from circuitdb.backends.columns import Flags, Integers
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind, Record, properties
from circuitdb.reports.exchange.derived import ranks, shares
from circuitdb.reports.exchange.reading import Exchange, read_document
from circuitdb.reports.exchange.rows import ENDS, PARTS, VERSION, Row, did_you_mean, shown

_RECORDS = {
    "models": Record.MODEL,
    "layers": Record.LAYER,
    "units": Record.UNIT,
    "maps": Record.MAP,
    "analogues": Record.ANALOGUE,
    "families": Record.FAMILY,
    "segments": Record.SEGMENT,
}
_LEFT_ALONE = ("circuits",)
"""Tables of an export that are no part of a graph."""
_NEEDS_MODEL = ("layers", "families", "segments")
"""Parts whose rows name their model, which a partition says."""

Reals = npt.NDArray[np.float64]


def read_folder(folder: Path, known_units: Callable[[str], Sequence[str]] | None = None) -> Exchange:
    """The models and analogues of a folder of tables.

    Parameters
    ----------
    folder
        The folder.
    known_units
        As for `read_document`.

    Raises
    ------
    InputError
        If anything is wrong, with its place: of edges the table, row and column, otherwise as for `read_document`.
    """
    files = _files(folder)
    document: Row = {"circuitdb": VERSION}
    for part, record in _RECORDS.items():
        document[part] = [row for file in files.get(part, ()) for row in _rows(file, part, record)]
    exchange = read_document(document, known_units)
    edges = [_read(file) for file in files.get("edges", ())]
    return replace(exchange, graphs=_with_edges(exchange.graphs, edges))


def _files(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of each part, in order of their paths."""
    mark = folder / "circuitdb.json"
    if mark.is_file() and _version(mark) != VERSION:
        raise InputError(f'{mark} must say "circuitdb": {VERSION}, the version of the exchange form')
    names = {path.name.removesuffix(".parquet") for path in folder.iterdir() if _may_be_table(path)}
    if "models" not in names:
        raise InputError(f"cannot read {folder}: it holds no table 'models'; docs/exports.md says how a folder looks")
    for name in sorted(names):
        if name not in (*PARTS, *_LEFT_ALONE):
            raise InputError(f"{folder}: there is no table {shown(name)}{did_you_mean(name, PARTS)}")
    single = {name: folder / f"{name}.parquet" for name in PARTS}
    return {
        name: [file] if file.is_file() else sorted((folder / name).rglob("*.parquet")) for name, file in single.items()
    }


def _version(mark: Path) -> object:
    try:
        said = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {mark}: {error}") from None
    return said.get("circuitdb") if isinstance(said, dict) else None


def _may_be_table(path: Path) -> bool:
    return not path.name.startswith((".", "_")) and (path.is_dir() or path.suffix == ".parquet")


def _read(file: Path) -> pa.Table:
    try:
        return pq.ParquetFile(file).read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file} as Parquet: {str(error).splitlines()[0]}") from None


def _rows(file: Path, part: str, record: Record) -> list[Row]:
    """The rows of a file as a document has them."""
    optional = {prop.name for prop in properties(record) if prop.optional}
    as_json = [prop.name for prop in properties(record) if prop.type == "json"]
    partition = next((unquote(name[6:]) for name in reversed(file.parts) if name.startswith("model=")), None)
    try:
        given = _read(file).to_pylist()
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot read {file}: {error}") from None
    rows = []
    for number, row in enumerate(given):
        kept = {name: value for name, value in row.items() if value is not None or name in optional}
        if partition is not None and part in _NEEDS_MODEL:
            kept.setdefault("model", partition)
        elif part not in (*_NEEDS_MODEL, "units"):
            kept.pop("model", None)
        for name in as_json:
            if isinstance(kept.get(name), str):
                kept[name] = _parsed(kept[name], f"{file}: row {number}: {name}")
        rows.append(kept)
    return rows


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is no JSON: {error}") from None


def _with_edges(graphs: Sequence[ModelGraph], tables: Sequence[pa.Table]) -> tuple[ModelGraph, ...]:
    """The models with their edges, complete: what has no column is derived."""
    keys = pa.chunked_array([graph.units["key"].combine_chunks() for graph in graphs], pa.string())
    starts = np.cumsum([0, *(graph.units.num_rows for graph in graphs)])
    own: list[list[pa.Table]] = [[] for _ in graphs]
    for table in tables:
        numbers = {end: _numbers(table, end, keys) for end in ENDS}
        models = {end: np.searchsorted(starts, rows, side="right") - 1 for end, rows in numbers.items()}
        apart = models["source"] != models["target"]
        if apart.any():
            row = int(np.argmax(apart))
            raise InputError(f"edges: row {row}: the ends lie in two models; only analogues lead to another")
        for model in np.unique(models["source"]).tolist():
            here = models["source"] == model
            rest = table.drop_columns([name for name in (*ENDS, "model") if name in table.column_names])
            columns = {end: pa.array((rows[here] - starts[model]).astype(np.int32)) for end, rows in numbers.items()}
            chosen = rest if here.all() else rest.filter(pa.array(here))
            own[model].append(pa.table(columns | dict(zip(chosen.column_names, chosen.columns, strict=True))))
    return tuple(
        replace(graph, edges=_complete(pa.concat_tables(parts, promote_options="default"))) if parts else graph
        for graph, parts in zip(graphs, own, strict=True)
    )


def _numbers(table: pa.Table, end: str, keys: pa.ChunkedArray) -> Integers:
    """The numbers of the units at one end."""
    if end not in table.column_names:
        raise InputError(f"edges: the column {end!r} is missing")
    column = table[end]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise InputError(f"edges: {end} holds {column.type} instead of keys of units")
    found = pc.index_in(column.cast(pa.string()), value_set=keys.combine_chunks())
    if found.null_count:
        row = int(pc.index(pc.is_null(found), True).as_py())
        key = column[row].as_py()
        raise InputError(
            f"edges: row {row}: {end}: there is no unit {shown(key)} among the units"
            + did_you_mean(key, keys.to_pylist())
        )
    numbers: Integers = found.to_numpy().astype(np.int64)
    return numbers


def _complete(edges: pa.Table) -> pa.Table:
    """The edges with the columns that can be derived where they are absent."""
    names = set(edges.column_names)
    if "weight" not in names:
        raise InputError("edges: the column 'weight' is missing")
    weight = _reals(edges, "weight")
    if "kind" in names and "skip" in names:
        raise InputError("edges: 'kind' says what 'skip' says; give one of them")
    skip = _skips(edges)
    strength = _reals(edges, "strength") if "strength" in names else np.sqrt(_sums(edges, weight, np.square))
    source, target = (edges[end].to_numpy().astype(np.int64) for end in ENDS)
    signs = np.where(weight < 0, EdgeKind.INHIBITS.value, EdgeKind.EXCITES.value)
    derivations: dict[str, Callable[[], Any]] = {
        "kind": lambda: pa.array(np.where(skip, EdgeKind.SKIP.value, signs).tolist(), pa.string()),
        "strength": lambda: strength,
        "excitation": lambda: _sums(edges, weight, lambda entries: np.maximum(entries, 0.0)),
        "inhibition": lambda: _sums(edges, weight, lambda entries: np.minimum(entries, 0.0)),
        "share": lambda: shares(target, skip, strength),
        "rank_in": lambda: ranks(target, source, skip, strength),
        "rank_out": lambda: ranks(source, target, skip, strength),
    }
    given = {name: edges[name] for name in edges.column_names if name != "skip"}
    return pa.table(given | {name: derive() for name, derive in derivations.items() if name not in names})


def _reals(edges: pa.Table, name: str) -> Reals:
    """A column of numbers, every one there."""
    column = edges[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise InputError(f"edges: {name} holds {column.type} instead of real")
    values: Reals = column.cast(pa.float64()).to_numpy()
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InputError(f"edges: row {int(np.argmax(wrong))}: {name}: a finite number is wanted")
    return values


def _skips(edges: pa.Table) -> Flags:
    """Which edges are residual skips [edges]."""
    if "kind" in edges.column_names:
        kinds = edges["kind"]
        if pa.types.is_dictionary(kinds.type):
            kinds = kinds.cast(kinds.type.value_type)
        if not (pa.types.is_string(kinds.type) or pa.types.is_large_string(kinds.type)):
            raise InputError(f"edges: kind holds {kinds.type} instead of text")
        flags = pc.fill_null(pc.equal(kinds, EdgeKind.SKIP.value), False)
    elif "skip" in edges.column_names:
        if not pa.types.is_boolean(edges["skip"].type):
            raise InputError(f"edges: skip holds {edges['skip'].type} instead of boolean")
        flags = pc.fill_null(edges["skip"], False)
    else:
        return np.zeros(edges.num_rows, dtype=np.bool_)
    skips: Flags = flags.to_numpy()
    return skips


def _sums(edges: pa.Table, weight: Reals, of: Callable[[Reals], Reals]) -> Reals:
    """For each edge the sum of a function of its kernel's entries; without a kernel, of its weight."""
    if "kernel" not in edges.column_names or pa.types.is_null(edges["kernel"].type):
        return of(weight)
    kernels = edges["kernel"].combine_chunks()
    if not pa.types.is_list(kernels.type) and not pa.types.is_large_list(kernels.type):
        raise InputError(f"edges: kernel holds {kernels.type} instead of lists of numbers")
    entries = kernels.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
    parents = pc.list_parent_indices(kernels).to_numpy()
    sums = np.bincount(parents, weights=of(entries), minlength=len(weight))
    return np.where(kernels.is_null().to_numpy(zero_copy_only=False), of(weight), sums)
