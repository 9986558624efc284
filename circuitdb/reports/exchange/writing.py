"""From whole models and the analogues between them to a document in the exchange form.

Rows are made a batch at a time, so that a large graph never stands in memory as Python objects where it is written as
text. A property that a reader would derive and that is missing here is written as null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.graph import EdgeKind
from circuitdb.reports.exchange.rows import PARTS, VERSION, Document, Row

_BATCH = 10_000
_SAID_BY_THE_KEY = ("model", "layer", "depth", "index")


def write_document(graphs: Sequence[ModelGraph], analogues: Sequence[Analogues] = ()) -> Document:
    """The document of some models and of the analogues between them; dense matrices, signatures and examples stay."""
    return {"circuitdb": VERSION} | {part: list(_rows(part, graphs, analogues)) for part in PARTS}


def document_text(graphs: Sequence[ModelGraph], analogues: Sequence[Analogues] = ()) -> Iterator[str]:
    """The document as JSON text in pieces, each row on a line of its own."""
    yield f'{{"circuitdb": {VERSION}'
    for part in PARTS:
        yield f',\n"{part}": ['
        separator = "\n"
        for row in _rows(part, graphs, analogues):
            yield separator + json.dumps(row, ensure_ascii=False, allow_nan=False)
            separator = ",\n"
        yield "]"
    yield "}\n"


def _rows(part: str, graphs: Sequence[ModelGraph], analogues: Sequence[Analogues]) -> Iterator[Row]:
    match part:
        case "models":
            for graph in graphs:
                yield {"keep": None} | _present(graph.model)
        case "layers":
            for graph in graphs:
                yield from map(_present, _each(graph.layers))
        case "units":
            for graph in graphs:
                yield from _units(graph)
        case "edges":
            for graph in graphs:
                yield from _edges(graph)
        case "maps":
            for graph in graphs:
                keys = _keys(graph)
                for row in _each(graph.maps):
                    yield {"map": row.pop("map")} | _ends(row, keys, keys) | _present(row)
        case "families":
            for graph in graphs:
                yield from _families(graph)
        case "segments":
            for graph in graphs:
                yield from ({"model": graph.name} | _present(row) for row in _each(graph.segments))
        case "analogues":
            keys_of = {graph.name: _keys(graph) for graph in graphs}
            for pairs in analogues:
                for row in _each(pairs.rows):
                    yield _ends(row, keys_of[pairs.source], keys_of[pairs.target]) | _present(row)


def _units(graph: ModelGraph) -> Iterator[Row]:
    labels: dict[int, list[Row]] = {}
    for row in _each(graph.labels):
        labels.setdefault(row.pop("unit"), []).append(_present(row))
    for i, unit in enumerate(_each(graph.units)):
        own = {name: value for name, value in unit.items() if name not in _SAID_BY_THE_KEY}
        yield _present(own) | ({"labels": labels[i]} if i in labels else {})


def _edges(graph: ModelGraph) -> Iterator[Row]:
    keys = _keys(graph)
    for row in _each(graph.edges):
        skip = {"skip": True} if row.pop("kind") == EdgeKind.SKIP else {}
        derived = {name: row.get(name) for name in ("excitation", "inhibition")}
        yield _ends(row, keys, keys) | skip | derived | _present(row)


def _families(graph: ModelGraph) -> Iterator[Row]:
    keys = _keys(graph)
    members: dict[int, list[Row]] = {}
    for row in _each(graph.members):
        members.setdefault(row["family"], []).append({"unit": keys[row["unit"]], "pose": row["pose"]})
    for row in _each(graph.families):
        own = members.get(row.pop("id"), [])
        yield {"model": graph.name} | _present(row) | {"members": own}


def _each(table: pa.Table | None) -> Iterator[Row]:
    batches: Iterable[Any] = () if table is None else table.to_batches(_BATCH)
    for batch in batches:
        yield from batch.to_pylist()


def _keys(graph: ModelGraph) -> list[str]:
    keys: list[str] = graph.units["key"].to_pylist()
    return keys


def _ends(row: Row, source_keys: Sequence[str], target_keys: Sequence[str]) -> Row:
    """The keys at both ends, whose numbers are taken out of the row."""
    return {"source": source_keys[row.pop("source")], "target": target_keys[row.pop("target")]}


def _present(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if value is not None}
