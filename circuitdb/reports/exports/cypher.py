"""The Cypher form of a search: statements that rebuild the subgraph in any Neo4j, one a line.

The file stands alone, so values are literals. Units are merged by their key and edges by their ends, so that running
it twice changes nothing. Labels are two parallel lists, `labels` and `label_sources`, where an empty text stands for no
source, as circuitdb itself keeps them in Neo4j.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from circuitdb.backends.neo4j.schema import EDGE_TYPES, UNIT_KINDS, quoted
from circuitdb.reports.exports.subgraph import Subgraph

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_SPECIAL = re.compile("[\\\\'\x00-\x1f\x7f-\x9f\u2028\u2029]")
_APART = re.compile(r"(?<=\\)(?=u)")
"""Between a backslash and a `u`, which may not meet in a literal."""


def cypher_form(found: Subgraph) -> Iterator[str]:
    """The lines of the file."""
    yield "CREATE CONSTRAINT unit_key IF NOT EXISTS FOR (n:Unit) REQUIRE n.key IS UNIQUE;\n"
    for unit in found.units:
        row = {name: value for name, value in unit.items() if name not in ("key", "labels")}
        if unit["labels"]:
            row["labels"] = [label["label"] for label in unit["labels"]]
            row["label_sources"] = [label["source"] or "" for label in unit["labels"]]
        kind = UNIT_KINDS[unit["kind"]]
        yield f"MERGE (u:Unit {{key: {literal(unit['key'])}}}) SET u:{kind}, u += {_map(row)};\n"
    for edge in found.edges:
        if edge["kind"] not in EDGE_TYPES:
            raise LookupError(f"there is no edge of kind {edge['kind']!r}")
        row = {name: value for name, value in edge.items() if name not in ("source", "target", "kind")}
        yield (
            f"MATCH (a:Unit {{key: {literal(edge['source'])}}}), (b:Unit {{key: {literal(edge['target'])}}}) "
            f"MERGE (a)-[e:{edge['kind']}]->(b) SET e += {_map(row)};\n"
        )


def literal(value: str | int | float | bool | list[Any]) -> str:
    """A value as Cypher reads it, on one line.

    A `u` right after a backslash is a literal of its own: Neo4j replaces `\\u` with four digits before it reads any
    string, even where the backslash itself is escaped.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value).replace("e+", "e")
        case str():
            return " + ".join(f"'{_SPECIAL.sub(_escaped, part)}'" for part in _APART.split(value))
        case _:
            return "[" + ", ".join(literal(entry) for entry in value) + "]"


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}")


def _map(row: Mapping[str, Any]) -> str:
    return (
        "{" + ", ".join(f"{quoted(name)}: {literal(value)}" for name, value in row.items() if value is not None) + "}"
    )
