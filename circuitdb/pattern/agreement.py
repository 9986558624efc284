"""The value of `agreement(T(e), f)` for many pairs of edges at once.

Stores hand over the kernels as lists with their sizes and offsets; `agreement_of_edges` turns them by the maps and
compares them with `circuitdb.kernels`. Kernels of one shape go through in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb import kernels
from circuitdb.kernels import Placed
from circuitdb.pattern import model as p
from circuitdb.pattern.analysis import names_in, one_by_one
from circuitdb.pattern.maps import parse_map


@dataclass(frozen=True)
class NeededAgreement:
    """An `agreement` in a query, which the store looks up under a name.

    `candidates` is a body whose matches hold all pairs of edges that matter.
    """

    name: str
    value: p.Agreement
    candidates: p.Body


def needed_agreement(needed: list[NeededAgreement], value: p.Agreement, bodies: Sequence[p.Body]) -> NeededAgreement:
    """The one of `needed` for a value that stands in the last of `bodies`, the outermost first; it is added if new.

    The same value may be asked for in several places, with other candidates in each.
    """
    edges = {value.left, value.right}
    deepest = max(i for i, body in enumerate(bodies) if any(edge.name in edges for edge in body.edges))
    candidates = candidates_of(bodies[: deepest + 1])
    for known in needed:
        if known.value == value and known.candidates == candidates:
            return known
    new = NeededAgreement(f"agreement{len(needed) + 1}", value, candidates)
    needed.append(new)
    return new


def candidates_of(bodies: Sequence[p.Body]) -> p.Body:
    """One body with the units, edges, rows and simple conditions of a body and those around it.

    A row hides one of its name in a body around, whose conditions on it are left out: they would be read of the other.
    """
    conditions = []
    for i, body in enumerate(bodies):
        hidden = {row.name for inner in bodies[i + 1 :] for row in inner.rows}
        simple = (c for c in one_by_one(body.conditions) if not _involved(c))
        conditions += [c for c in simple if names_in(c).isdisjoint(hidden)]
    return p.Body(
        tuple(unit for body in bodies for unit in body.units),
        tuple(edge for body in bodies for edge in body.edges),
        tuple(row for body in bodies for row in body.rows),
        tuple(conditions),
    )


def _involved(condition: p.Expression) -> bool:
    return any(isinstance(part, p.Agreement | p.ListLength) for part in p.subexpressions(condition))


@dataclass(frozen=True)
class KernelColumns:
    """Kernels of n edges, row major, None where an edge has none, and the maps to turn them by, the innermost first."""

    kernels: Sequence[Sequence[float] | npt.NDArray[np.float32] | None]
    heights: Sequence[int | None]
    widths: Sequence[int | None]
    offsets_y: Sequence[float | None]
    offsets_x: Sequence[float | None]
    maps: tuple[str, ...]

    @staticmethod
    def of_table(table: pa.Table, prefix: str, maps: tuple[str, ...]) -> KernelColumns:
        """The kernels of a table's columns `kernel`, `kernel_h` … with a prefix."""
        column = table.column(f"{prefix}kernel").combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        numbers = column.values.to_numpy(zero_copy_only=False)
        starts, there = column.offsets.to_numpy(), column.is_valid().to_numpy(zero_copy_only=False)
        kernels = [numbers[starts[i] : starts[i + 1]] if there[i] else None for i in range(len(column))]
        height, width, y, x = (
            table.column(prefix + name).to_pylist() for name in ("kernel_h", "kernel_w", "offset_y", "offset_x")
        )
        return KernelColumns(kernels, height, width, y, x, maps)

    def shape(self, i: int) -> tuple[int, int, float, float] | None:
        """Height, width and offsets of a kernel, or None where anything of it is missing."""
        parts = (self.heights[i], self.widths[i], self.offsets_y[i], self.offsets_x[i])
        kernel = self.kernels[i]
        if kernel is None or any(part is None for part in parts):
            return None
        height, width, y, x = parts
        assert height is not None and width is not None and y is not None and x is not None  # noqa: PT018
        return (height, width, y, x) if len(kernel) == height * width > 0 else None

    def placed(self, rows: Sequence[int], shape: tuple[int, int, float, float]) -> Placed:
        """The kernels of some edges of one shape, turned."""
        height, width, y, x = shape
        numbers = np.asarray([self.kernels[i] for i in rows], dtype=np.float64).reshape(len(rows), height, width)
        placed = Placed(numbers, y, x)
        for name in self.maps:
            element = parse_map(name)
            if element.kind == "flip":
                placed = kernels.flip(*placed)
            elif element.kind == "flip_vertical":
                placed = kernels.flip_vertical(*placed)
            else:
                placed = kernels.turn(*placed, element.degrees)
        return placed


def agreement_of_edges(left: KernelColumns, right: KernelColumns) -> npt.NDArray[np.float64]:
    """Cosine of the turned kernels, pair by pair: [n], NaN where a kernel is absent or all zero."""
    n = len(left.kernels)
    groups: dict[object, list[int]] = {}
    for i in range(n):
        shapes = (left.shape(i), right.shape(i))
        if None not in shapes:
            groups.setdefault(shapes, []).append(i)
    values = np.full(n, np.nan)
    for rows in groups.values():
        first, second = left.shape(rows[0]), right.shape(rows[0])
        assert first is not None
        assert second is not None
        values[rows] = kernels.agreement(left.placed(rows, first), right.placed(rows, second))
    return values
