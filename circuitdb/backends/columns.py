"""Columns of a model's tables, brought into the registry's types and checked value by value.

In come Arrow tables of any origin, out go tables whose columns have the types of `ARROW_TYPES`, or an `InputError` that
names table, row and column.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.errors import InputError
from circuitdb.graph import Property, PropertyType, Record, properties

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Place = Callable[[int], str]
"""Names the place of a row in a message."""

ARROW_TYPES: Mapping[PropertyType, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int32(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "reals": pa.list_(pa.float32()),
    "json": pa.string(),
}
"""The Arrow type of each property type of the registry."""

REFERENCES: Mapping[Record, tuple[str, ...]] = {
    Record.EDGE: ("source", "target"),
    Record.MAP: ("source", "target"),
    Record.ANALOGUE: ("source", "target"),
    Record.LABEL: ("unit",),
    Record.EXAMPLE: ("unit",),
    Record.FAMILY: ("id",),
    Record.MEMBER: ("family", "unit"),
}
"""Columns of row numbers, besides the registry's properties."""


def typed(
    table: pa.Table, record: Record, what: str, place: Place | None = None, filled: Iterable[str] = ()
) -> pa.Table:
    """The table with its columns in the registry's types and order, NaN as null, columns missing throughout left out.

    `filled`: required properties that the caller fills in.
    """
    place = place or (lambda row: f"{what}: row {row}")
    references = REFERENCES.get(record, ())
    props = [prop for prop in properties(record) if prop.name not in references]
    known = {prop.name for prop in props}.union(references)
    for name in table.column_names:
        if name not in known:
            raise InputError(f"{what}: there is no property {name!r}")
    if (twice := first_repeated(table.column_names)) is not None:
        raise InputError(f"{what}: two columns are called {twice!r}")
    columns = {name: _cast(_column(table, name, what), "integer", f"{what}: {name}") for name in references}
    for prop in props:
        required = not prop.optional and prop.name not in filled
        if required:
            _column(table, prop.name, what)
        if prop.name in table.column_names:
            column = _finite(_cast(table[prop.name], prop.type, f"{what}: {prop.name}"), prop, place)
            if required and column.null_count:
                raise InputError(f"{place(_first(pc.is_null(column)))}: {prop.name} is missing")
            if required or column.null_count < len(column):
                columns[prop.name] = column
    return pa.table(columns)


def _column(table: pa.Table, name: str, what: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise InputError(f"{what}: the column {name!r} is missing")
    return table[name]


def _cast(column: pa.ChunkedArray, kind: PropertyType, place: str) -> pa.ChunkedArray:
    """The column in the registry's type, if it holds that kind of value."""
    given = column.type
    if pa.types.is_dictionary(given):
        given = given.value_type
        column = column.cast(given)
    if not (pa.types.is_null(given) or _holds(given, kind)):
        raise InputError(f"{place} holds {given} instead of {kind}")
    try:
        return column.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        raise InputError(f"{place}: {error}") from None


def _holds(given: pa.DataType, kind: PropertyType) -> bool:
    is_number = pa.types.is_integer(given) or pa.types.is_floating(given)
    match kind:
        case "text" | "json":
            return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))
        case "integer":
            return bool(pa.types.is_integer(given))
        case "real":
            return bool(is_number)
        case "boolean":
            return bool(pa.types.is_boolean(given))
        case "reals":
            is_list = pa.types.is_list(given) or pa.types.is_large_list(given) or pa.types.is_fixed_size_list(given)
            return bool(is_list and _holds(given.value_type, "real"))


def _finite(column: pa.ChunkedArray, prop: Property, place: Place) -> pa.ChunkedArray:
    """The column with NaN as null where the property may be missing, and without the sign of zeros."""
    if prop.type != "real":
        return column
    values = column.to_numpy()
    if not np.isfinite(values).all():
        wrong = np.isinf(values)
        if not prop.optional:
            wrong |= np.isnan(values) & pc.is_valid(column).to_numpy()
        refuse(wrong, place, f"{prop.name} is NaN or infinite")
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    if (np.signbit(values) & (values == 0)).any():
        column = pc.add(column, 0.0)
    return column


def references(table: pa.Table, name: str, count: int, what: str) -> Integers:
    """A column of row numbers of units, in range."""
    column = _cast(_column(table, name, what), "integer", f"{what}: {name}")
    if column.null_count:
        raise InputError(f"{what}: row {_first(pc.is_null(column))}: {name} is missing")
    rows: Integers = column.to_numpy().astype(np.int64)
    outside = (rows < 0) | (rows >= count)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(f"{what}: row {row}: {name} is {rows[row]}, but there are {count} units")
    return rows


def rows_of(column: pa.ChunkedArray, names: tuple[str, ...], what: str, name: str) -> Integers:
    """The place of each value among `names`."""
    found = pc.index_in(column, value_set=pa.array(names, pa.string()))
    if found.null_count:
        row = _first(pc.is_null(found))
        raise InputError(f"{what}: row {row}: there is no {name} {column[row].as_py()!r}")
    rows: Integers = found.to_numpy().astype(np.int64)
    return rows


def integers(table: pa.Table, name: str) -> Integers:
    """A column that has no nulls as an array."""
    values: Integers = table[name].to_numpy().astype(np.int64)
    return values


def with_columns(table: pa.Table, record: Record, **columns: pa.Array) -> pa.Table:
    """The table with these columns set, references first, then in the registry's order."""
    every = dict(zip(table.column_names, table.columns, strict=True)) | columns
    names = dict.fromkeys((*REFERENCES.get(record, ()), *(prop.name for prop in properties(record))))
    return pa.table({name: every[name] for name in names if name in every})


def constant(value: str, length: int) -> pa.Array:
    """A text column of one value."""
    return pa.repeat(pa.scalar(value, pa.string()), length)


def runs(values: Sequence[str]) -> list[tuple[str, int, int]]:
    """Each run of equal values: the value and the rows [first, last) where it stands."""
    starts = [row for row, value in enumerate(values) if row == 0 or values[row - 1] != value]
    return [(values[a], a, b) for a, b in pairwise([*starts, len(values)])]


def increasing(*keys: npt.NDArray[np.generic]) -> Flags:
    """Whether each row but the first is greater than the one before, by the keys in turn: [rows - 1]."""
    rows = max(len(keys[0]) - 1, 0)
    greater, equal = np.zeros(rows, dtype=np.bool_), np.ones(rows, dtype=np.bool_)
    for key in keys:
        greater |= equal & np.greater(key[1:], key[:-1])
        equal &= np.equal(key[1:], key[:-1])
    return greater


def refuse(wrong: npt.NDArray[np.bool_], place: Place, reason: str) -> None:
    """Raise `InputError` for the first row that is wrong, if any is."""
    if wrong.any():
        raise InputError(f"{place(int(np.argmax(wrong)))}: {reason}")


def _first(flags: pa.ChunkedArray) -> int:
    """The first row that is true."""
    return int(pc.index(flags, True).as_py())


def first_repeated(values: Sequence[Hashable]) -> Any:
    """The first value that stands there a second time, or None."""
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
