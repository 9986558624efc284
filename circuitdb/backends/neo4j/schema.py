"""How the registry's records lie in Neo4j: labels, relationship types, properties, constraints and indexes.

Everything that enters the text of a Cypher statement comes from here or from `circuitdb.graph`; values never do.

Nodes are `(:Model)`, `(:Layer)`, `(:Unit:Neuron)` or `(:Unit:Direction)`, `(:Family)` and `(:Segment)`. Relationships
between units are `EXCITES`, `INHIBITS`, `SKIP`, `MAPS_TO` and `ANALOGOUS_TO`; `(:Unit)-[:MEMBER_OF {pose}]->(:Family)`.
Besides the registry's properties:

- a unit has `position`, its row in key order within its model, so that comparing keys within a model is comparing
  integers; `labels`, `labels_folded` and `label_sources`, parallel lists, absent where they would hold nothing (an
  empty text among the sources stands for none); and `load`, the id of the write that brought it;
- units, maps and analogues have, for every text property `p`, its Unicode case folding as `p_folded`;
- a unit that was probed has `signature`, bytes, each a signed number, `signature_pictures` (of the model) times as many
  as a picture has; and `example_ranks`, `example_pictures`, `example_y`, `example_x`, `example_values`, parallel lists
  of the strongest positions, whose thumbnails stay out;
- a model has `edges`, their number, `load`, and `responses`, the id of the write that brought its responses;
  a family has `number`, its id within the model, a member `place`, by which members stand in order;
  a segment has `model`.

Units are loaded as `(:Staged)`, with a `(:Load)` that tells whether their writer still lives, and become `(:Unit)` in
one transaction; units that were deleted are `(:Trash)` until they are swept. Both are joined to each other and to no
`(:Unit)` except by analogues, so a pattern in which every unit carries the label `Unit` never meets them.
"""

from __future__ import annotations

from typing import Final

from circuitdb.graph import SCHEMA_VERSION, EdgeKind, Property, PropertyType, Record, UnitKind, properties, property_of

NODE_LABELS: Final[dict[Record, str]] = {
    Record.MODEL: "Model",
    Record.LAYER: "Layer",
    Record.UNIT: "Unit",
    Record.FAMILY: "Family",
    Record.SEGMENT: "Segment",
}
UNIT_KINDS: Final = {UnitKind.NEURON: "Neuron", UnitKind.DIRECTION: "Direction"}
STAGED: Final = "Staged"
TRASH: Final = "Trash"
LOAD: Final = "Load"
META: Final = "Circuitdb"

MAPS_TO: Final = "MAPS_TO"
ANALOGOUS_TO: Final = "ANALOGOUS_TO"
MEMBER_OF: Final = "MEMBER_OF"
EDGE_TYPES: Final[tuple[str, ...]] = tuple(EdgeKind)

_FOLDED_RECORDS = frozenset({Record.UNIT, Record.MAP, Record.ANALOGUE})
_EXTRA: Final[dict[Record, tuple[tuple[str, PropertyType], ...]]] = {
    Record.MODEL: (("edges", "integer"), ("load", "text"), ("responses", "text"), ("signature_pictures", "integer")),
    Record.UNIT: (("position", "integer"), ("load", "text")),
    Record.FAMILY: (("number", "integer"),),
    Record.MEMBER: (("place", "integer"),),
    Record.SEGMENT: (("model", "text"),),
}
_ELSEWHERE: Final = {
    Record.UNIT: {"label"},
    Record.EDGE: {"kind"},
    Record.MEMBER: {"unit"},
}
"""Properties that are not stored under their own name: labels are lists, a kind is a type, a unit is an end."""

_UNIQUE: Final = {
    "model_name": (Record.MODEL, ("name",)),
    "layer_name": (Record.LAYER, ("model", "name")),
    "unit_key": (Record.UNIT, ("key",)),
}
_INDEXED: Final = {
    "unit_position": (Record.UNIT, ("model", "position")),
    "unit_layer": (Record.UNIT, ("model", "layer")),
    "unit_layer_name": (Record.UNIT, ("layer",)),
    "family_model": (Record.FAMILY, ("model",)),
    "segment_model": (Record.SEGMENT, ("model",)),
}


EXAMPLE_LISTS: Final = {
    "rank": "example_ranks",
    "picture": "example_pictures",
    "y": "example_y",
    "x": "example_x",
    "value": "example_values",
}
"""By property of an example, the unit's list that holds it."""


def folded_name(name: str) -> str:
    """The property that holds the case folding of a text property."""
    return f"{name}_folded"


def registered(record: Record) -> tuple[Property, ...]:
    """The registry's properties that are stored under their own name on the node or relationship of a record."""
    return tuple(p for p in properties(record) if p.name not in _ELSEWHERE.get(record, ()))


def stored(record: Record) -> dict[str, PropertyType]:
    """Name and type of every scalar property of the node or relationship of a record, and of a kernel's list."""
    names: dict[str, PropertyType] = {}
    for p in registered(record):
        names[p.name] = p.type
        if p.type == "text" and record in _FOLDED_RECORDS:
            names[folded_name(p.name)] = "text"
    return names | dict(_EXTRA.get(record, ()))


def literal_map(names: dict[str, str]) -> str:
    """The Cypher map `{name: expression, …}` of properties.

    Names are quoted: some, as `index`, are words of Cypher.
    """
    return "{" + ", ".join(f"{quoted(name)}: {expression}" for name, expression in names.items()) + "}"


def quoted(name: str) -> str:
    """A name as Cypher takes it."""
    return "`" + name.replace("`", "``") + "`"


def schema_statements() -> list[str]:
    """Every constraint and index, each created unless it is there."""
    return list(_SCHEMA.values())


def _schema() -> dict[str, str]:
    """By name of the constraint or index, the statement that creates it."""
    unique = {name: (NODE_LABELS[record], _columns(record, columns)) for name, (record, columns) in _UNIQUE.items()}
    unique |= {"load_id": (LOAD, "n.id"), "circuitdb_schema": (META, "n.name")}
    indexed = {name: (NODE_LABELS[record], _columns(record, columns)) for name, (record, columns) in _INDEXED.items()}
    indexed |= {"staged_layer": (STAGED, "n.load, n.layer")}
    return {
        **{
            name: f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE ({columns}) IS UNIQUE"
            for name, (label, columns) in unique.items()
        },
        **{
            name: f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON ({columns})"
            for name, (label, columns) in indexed.items()
        },
    }


def _columns(record: Record, names: tuple[str, ...]) -> str:
    extra = dict(_EXTRA.get(record, ()))
    for name in names:
        if property_of(record, name) is None and name not in extra:
            raise LookupError(f"{record} has no property {name!r}")
    return ", ".join(f"n.{quoted(name)}" for name in names)


VERSION_STATEMENT: Final = f"MERGE (n:{META} {{name: 'schema'}}) SET n.version = $version"
VERSION_QUESTION: Final = f"MATCH (n:{META} {{name: 'schema'}}) RETURN n.version AS version"
VERSION_PARAMETERS: Final = {"version": SCHEMA_VERSION}

_SCHEMA: Final = _schema()
SCHEMA_NAMES: Final = frozenset(_SCHEMA)
