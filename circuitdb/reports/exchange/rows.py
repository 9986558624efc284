"""Rows of a document: checked against the registry, and made into tables of its types.

In come lists of parsed JSON objects, out go Arrow tables, or an `InputError` that names the place in the document, as
`edges[3].weight`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.columns import ARROW_TYPES, REFERENCES
from circuitdb.errors import InputError
from circuitdb.graph import PropertyType, Record, properties
from circuitdb.language.diagnostics import nearest_names

VERSION = 1
PARTS = ("models", "layers", "units", "edges", "maps", "analogues", "families", "segments")

Row = dict[str, Any]
Document = dict[str, Any]
Place = Callable[[int], str]
"""Names the place of a row in the document."""
Kind = PropertyType | Literal["list"]

ENDS: Mapping[str, Kind] = {"source": "text", "target": "text"}
"""The keys of the units at both ends of an edge, a map's row, or an analogue."""

_WANTED: Mapping[Kind, str] = {
    "text": "a text (valid Unicode)",
    "integer": "a whole number below 2^31",
    "real": "a finite number",
    "boolean": "true or false",
    "reals": "a list of numbers that single precision can hold",
    "json": "JSON of finite numbers, at most 100 levels deep,",
    "list": "a list",
}
_LARGEST_SINGLE = float(np.finfo(np.float32).max)
_DEEPEST = 100
_MOST_COMPARED = 20_000


def check_rows(
    rows: Sequence[object],
    record: Record,
    place: Place,
    *,
    required: Mapping[str, Kind] = {},
    optional: Mapping[str, Kind] = {},
    derived: Collection[str] = (),
) -> None:
    """Refuse rows with unknown properties, values of the wrong type, or without what is required.

    Parameters
    ----------
    rows
        The rows as the document gives them, all of one `record`.
    place
        Names the place of a row in a message.
    required, optional
        What such a row may hold besides the properties of the registry.
    derived
        Required properties that may be absent, since they follow from others.

    Raises
    ------
    InputError
        At a row that is wrong, with its place.
    """
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InputError(f"{place(i)}: an object is wanted")
    objects: Sequence[Row] = rows  # type: ignore[assignment]
    props = properties(record)
    kinds: dict[str, Kind] = {prop.name: prop.type for prop in props} | dict(required) | dict(optional)
    may_be_null = {prop.name for prop in props if prop.optional}
    for name in dict.fromkeys(chain.from_iterable(objects)):
        if name not in kinds:
            first = next(i for i, row in enumerate(objects) if name in row)
            raise InputError(f"{place(first)}: there is no property {shown(name)}{did_you_mean(name, kinds)}")
        holds = _HOLDS[kinds[name]]
        for i, row in enumerate(objects):
            if name in row and not holds(row[name]) and not (row[name] is None and name in may_be_null):
                raise InputError(f"{place(i)}.{name}: {_WANTED[kinds[name]]} is wanted")
    for name in (*required, *(prop.name for prop in props if not prop.optional and prop.name not in derived)):
        for i, row in enumerate(objects):
            if name not in row:
                raise InputError(f"{place(i)}.{name} is missing")


def table(
    rows: Sequence[Row], record: Record, columns: Mapping[str, npt.NDArray[Any] | Sequence[Any]] = {}
) -> pa.Table:
    """Checked rows as a table in the registry's types; optional properties that no row has are left out.

    `columns`: values [rows] that stand instead of the rows' own, references as whole numbers included.
    """
    made: dict[str, pa.Array] = {}
    props = {prop.name: prop for prop in properties(record) if prop.name not in REFERENCES.get(record, ())}
    for name in dict.fromkeys((*columns, *props)):
        kind = ARROW_TYPES[props[name].type] if name in props else pa.int32()
        values = columns[name] if name in columns else [row.get(name) for row in rows]
        if isinstance(values, list):
            if name in props and props[name].optional and values.count(None) == len(values):
                continue
            if kind == pa.float64() and int in set(map(type, values)):
                values = [None if value is None else float(value) for value in values]
        made[name] = pa.array(values, kind)
    return pa.table(made)


def shown(name: object) -> str:
    """A name in a message, cut where it is long."""
    text = repr(name)
    return text if len(text) <= 80 else text[:79] + "…"


def did_you_mean(name: object, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the nearest right one, where there is one."""
    near = nearest_names(name, known, 1) if isinstance(name, str) and len(known) <= _MOST_COMPARED else ()
    return f"; did you mean {near[0]}?" if near else ""


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_number(value: object) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_kernel(value: object) -> bool:
    return isinstance(value, list) and all(_is_number(entry) and abs(entry) <= _LARGEST_SINGLE for entry in value)


def _is_json(value: object, deepest: int = _DEEPEST) -> bool:
    if isinstance(value, dict | list):
        inner: Iterable[object] = chain(value, value.values()) if isinstance(value, dict) else value
        return deepest > 0 and all(_is_json(entry, deepest - 1) for entry in inner)
    return value is None or isinstance(value, bool) or _is_text(value) or _is_number(value)


_HOLDS: Mapping[Kind, Callable[[object], bool]] = {
    "text": _is_text,
    "integer": _is_integer,
    "real": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "reals": _is_kernel,
    "json": _is_json,
    "list": lambda value: isinstance(value, list),
}
