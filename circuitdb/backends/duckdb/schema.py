"""The tables of the embedded store, made from the registry.

Properties of the registry become columns of the same name; next to each text that a motif can name stands its
case-folded form, `<name>_folded`. Keys and names of models become integers: `model_id`, `unit_id`, `source`, `target`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from circuitdb.graph import EdgeKind, PropertyType, Record, properties

SQL_TYPES: Mapping[PropertyType, str] = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "real": "DOUBLE",
    "boolean": "BOOLEAN",
    "reals": "FLOAT[]",
    "json": "VARCHAR",
}
EDGE_KIND_TYPE = f"ENUM({', '.join(repr(kind.value) for kind in EdgeKind)})"


@dataclass(frozen=True)
class Column:
    """A column of a table and its SQL type."""

    name: str
    type: str


def folded(name: str) -> str:
    """The name of the column that holds a text's case-folded form."""
    return f"{name}_folded"


def quoted(name: str) -> str:
    """A name of the schema as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _columns(record: Record, without: frozenset[str] = frozenset()) -> Iterator[Column]:
    for prop in properties(record):
        if prop.name not in without:
            is_kind = record is Record.EDGE and prop.name == "kind"
            yield Column(prop.name, EDGE_KIND_TYPE if is_kind else SQL_TYPES[prop.type])
            if prop.type == "text" and prop.in_language:
                yield Column(folded(prop.name), "VARCHAR")


def _integers(*names: str) -> Iterator[Column]:
    return (Column(name, "INTEGER") for name in names)


def _texts(*names: str) -> Iterator[Column]:
    return (Column(name, "VARCHAR") for name in names)


TABLES: Mapping[str, tuple[Column, ...]] = {
    "meta": tuple(_texts("key", "value")),
    "model": (*_integers("id", "edges"), *_columns(Record.MODEL)),
    "layer": (*_integers("model_id"), *_columns(Record.LAYER)),
    "unit": (*_integers("id", "model_id"), *_columns(Record.UNIT, frozenset({"label"}))),
    "label": (*_integers("unit_id", "model_id"), *_texts("label", folded("label"), "source")),
    "edge": (*_integers("model_id", "source", "target"), *_columns(Record.EDGE)),
    "map": (*_integers("model_id", "source", "target"), *_columns(Record.MAP)),
    "analogue": (
        *_integers("source_model_id", "target_model_id", "source", "target"),
        *_columns(Record.ANALOGUE),
    ),
    "family": (*_integers("id", "model_id"), *_columns(Record.FAMILY, frozenset({"model"}))),
    "member": (*_integers("family_id", "model_id", "unit_id"), *_columns(Record.MEMBER, frozenset({"unit"}))),
    "segment": (*_integers("model_id"), *_columns(Record.SEGMENT)),
    "example": (
        *_integers("model_id", "unit_id"),
        *_columns(Record.EXAMPLE, frozenset({"unit"})),
        Column("thumbnail", "BLOB"),
    ),
    "signature": (*_integers("model_id", "unit_id", "units", "pictures", "numbers"), Column("entries", "BLOB")),
    "dense": (
        *_integers("model_id"),
        *_texts("source_layer", "target_layer"),
        *(Column(name, "BLOB") for name in ("weight", "strength")),
        *_integers("targets", "sources"),
    ),
    "dense_kernel": (
        *_integers("model_id"),
        *_texts("source_layer", "target_layer"),
        *_integers("block"),
        *(Column(name, "INTEGER[]") for name in ("targets", "sources")),
        *_integers("kernel_h", "kernel_w"),
        *(Column(name, "DOUBLE") for name in ("offset_y", "offset_x")),
        Column("kernels", "BLOB"),
    ),
}
"""Every table and its columns, in order. `edges` of a model is their number. A row of `signature` holds the units of a
layer, `unit_id` the first of them.
"""

MODEL_COLUMNS: Mapping[str, tuple[str, ...]] = {
    name: tuple(c.name for c in columns if c.name.endswith("model_id") or (name == "model" and c.name == "id"))
    for name, columns in TABLES.items()
    if name != "meta"
}
"""Per table the columns that say which model a row belongs to; analogues belong to both of theirs."""


def create_statements() -> list[str]:
    """The statements that make the tables."""
    return [
        f"CREATE TABLE {quoted(name)} ({', '.join(f'{quoted(c.name)} {c.type}' for c in columns)})"
        for name, columns in TABLES.items()
    ]
