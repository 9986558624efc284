"""The GraphML form, for NetworkX, yEd, Cytoscape and Gephi: a search, or whole models of any size.

Rows are written as they come, so that a large graph never stands in memory as text. Units are nodes with their keys as
ids; edges are edges, and so are, of whole models, maps (`kind` MAPS_TO) and analogues (ANALOGOUS_TO). Lists and
objects are JSON text. A node's `label` is its labels in words, `labels` has them with their sources. What is no unit
and no edge stands as JSON in data of the graph: `circuitdb_models`, `circuitdb_layers` and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.neo4j.schema import ANALOGOUS_TO, MAPS_TO
from circuitdb.graph import Record, properties
from circuitdb.reports.exports.subgraph import Row, Subgraph, caption, flat
from circuitdb.reports.exports.xml_text import check_xml, escaped

_BATCH = 10_000
_TYPES = {"integer": "int", "real": "double", "boolean": "boolean"}
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'


def _types(*records: Record) -> dict[str, str]:
    return {prop.name: _TYPES.get(prop.type, "string") for record in records for prop in properties(record)}


_PARTS = {name: f"circuitdb_{name}" for name in ("models", "layers", "segments", "families")}
_KEYS: Mapping[str, Mapping[str, str]] = {
    "graph": dict.fromkeys(("query", "keep", "circuits", *_PARTS.values()), "string"),
    "node": {name: kind for name, kind in _types(Record.UNIT).items() if name != "key"} | {"labels": "string"},
    "edge": _types(Record.EDGE, Record.MAP, Record.ANALOGUE),
}
"""Name and type of what graph, nodes and edges may hold."""
_IDS = {(kind, name): f"{kind[0]}{number}" for kind, names in _KEYS.items() for number, name in enumerate(names)}


def subgraph_graphml(found: Subgraph) -> Iterator[str]:
    """The text of a search's file, in pieces.

    Raises
    ------
    InputError
        If a text holds a character that XML cannot.
    """
    yield from _opening()
    yield from (_node(unit) for unit in found.units)
    yield from (_edge(edge["source"], edge["target"], edge) for edge in found.edges)
    data = {"query": found.query, "keep": found.keep, "circuits": [circuit["units"] for circuit in found.circuits]}
    yield from _closing(data | {"circuitdb_models": found.models, "circuitdb_layers": found.layers})


def models_graphml(graphs: Iterable[ModelGraph], analogues: Iterable[Analogues]) -> Iterator[str]:
    """The text of whole models, in pieces, one model at a time.

    Parameters and errors as for `circuitdb.reports.exports.parquet.write_models` and `subgraph_graphml`.
    """
    yield from _opening()
    keys: dict[str, list[str]] = {}
    rest: dict[str, list[Row]] = {name: [] for name in _PARTS}
    for graph in graphs:
        own = keys[graph.name] = graph.units["key"].to_pylist()
        labels: dict[int, list[Row]] = {}
        for row in _rows(graph.labels):
            labels.setdefault(row["unit"], []).append({"label": row["label"], "source": row.get("source")})
        for number, unit in enumerate(_rows(graph.units)):
            yield _node({**unit, "labels": labels.get(number, [])})
        yield from _edges(graph.edges, own, own, {})
        yield from _edges(graph.maps, own, own, {"kind": MAPS_TO})
        rest["models"].append({key: value for key, value in graph.model.items() if value is not None})
        rest["layers"] += _present(graph.layers, {})
        rest["segments"] += _present(graph.segments, {"model": graph.name})
        members: dict[int, list[Row]] = {}
        for row in _rows(graph.members):
            members.setdefault(row["family"], []).append({"unit": own[row["unit"]], "pose": row["pose"]})
        for family in _present(graph.families, {}):
            rest["families"].append({**family, "members": members.get(family.pop("id"), [])})
    for pairs in analogues:
        yield from _edges(pairs.rows, keys[pairs.source], keys[pairs.target], {"kind": ANALOGOUS_TO})
    yield from _closing({_PARTS[name]: rows for name, rows in rest.items()})


def _opening() -> Iterator[str]:
    yield _HEAD
    for (kind, name), number in _IDS.items():
        yield f'<key id="{number}" for="{kind}" attr.name="{name}" attr.type="{_KEYS[kind][name]}"/>\n'
    yield '<graph edgedefault="directed">\n'


def _closing(data: Mapping[str, Any]) -> Iterator[str]:
    yield _data("graph", flat(data), "the graph") + "</graph>\n</graphml>\n"


def _node(unit: Mapping[str, Any]) -> str:
    row = flat(unit) | {"label": caption(unit)}
    key = row.pop("key")
    return f'<node id="{escaped(check_xml(key, key))}">{_data("node", row, key)}</node>\n'


def _edges(
    table: pa.Table | None, sources: Sequence[str], targets: Sequence[str], more: Mapping[str, Any]
) -> Iterator[str]:
    for row in _rows(table):
        source, target = sources[row.pop("source")], targets[row.pop("target")]
        yield _edge(source, target, {**row, **more})


def _edge(source: str, target: str, row: Mapping[str, Any]) -> str:
    own = {name: value for name, value in flat(row).items() if name not in ("source", "target")}
    ends = f'source="{escaped(source)}" target="{escaped(target)}"'
    return f"<edge {ends}>{_data('edge', own, f'{source} -> {target}')}</edge>\n"


def _data(kind: str, row: Mapping[str, Any], place: str) -> str:
    return "".join(f'<data key="{_IDS[kind, name]}">{_text(value, name, place)}</data>' for name, value in row.items())


def _text(value: Any, name: str, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escaped(check_xml(value, f"{name} of {place}")) if isinstance(value, str) else repr(value)


def _rows(table: pa.Table | None) -> Iterator[Row]:
    for batch in () if table is None else table.to_batches(_BATCH):
        yield from batch.to_pylist()


def _present(table: pa.Table | None, more: Mapping[str, Any]) -> list[Row]:
    return [{**more, **{name: value for name, value in row.items() if value is not None}} for row in _rows(table)]
