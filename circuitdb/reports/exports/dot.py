"""The DOT form of a search, for Graphviz: layers from left to right, red for excitation, blue for inhibition.

Besides what Graphviz draws, each node and edge carries every property as an attribute `circuitdb_NAME`, lists as JSON
text. Graphviz keeps a backslash in a text as two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from circuitdb.graph import EdgeKind
from circuitdb.reports.exports.subgraph import Subgraph, caption, flat

_COLOURS = {EdgeKind.EXCITES: "#b2182b", EdgeKind.INHIBITS: "#2166ac", EdgeKind.SKIP: "#777777"}
_HEADS = {EdgeKind.EXCITES: "normal", EdgeKind.INHIBITS: "tee", EdgeKind.SKIP: "empty"}
_WIDEST = 6.0


def dot_form(found: Subgraph) -> Iterator[str]:
    """The lines of the file."""
    yield f"digraph {quoted(found.query)} {{\n  rankdir=LR;\n  node [shape=box, style=rounded];\n"
    ranks: dict[tuple[str, int], list[str]] = {}
    for unit in found.units:
        ranks.setdefault((unit["model"], unit["depth"]), []).append(unit["key"])
        drawn = {"label": caption(unit), "tooltip": unit["key"]}
        yield f"  {quoted(unit['key'])} {_attributes(drawn, unit)};\n"
    for _, keys in sorted(ranks.items()):
        yield f"  {{ rank=same; {' '.join(f'{quoted(key)};' for key in keys)} }}\n"
    for edge in found.edges:
        kind = EdgeKind(edge["kind"])
        drawn = {
            "color": _COLOURS[kind],
            "arrowhead": _HEADS[kind],
            "penwidth": f"{0.5 + (_WIDEST - 0.5) * edge['share']:.3g}",
            "tooltip": f"{kind}, weight {edge['weight']:.4g}, share {edge['share']:.4g}",
        }
        row = {name: value for name, value in edge.items() if name not in ("source", "target")}
        yield f"  {quoted(edge['source'])} -> {quoted(edge['target'])} {_attributes(drawn, row)};\n"
    yield "}\n"


def quoted(text: str) -> str:
    """A text as DOT reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'


def _attributes(drawn: Mapping[str, str], row: Mapping[str, Any]) -> str:
    own = {f"circuitdb_{name}": value if isinstance(value, str) else repr(value) for name, value in flat(row).items()}
    return "[" + ", ".join(f"{name}={quoted(value)}" for name, value in (*drawn.items(), *own.items())) + "]"
