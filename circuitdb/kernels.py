"""All that is computed from one kernel: sums, regions, centroid, moments, flip, turn, agreement.

Kernels come in as arrays [n, y, x] that share one offset, the position of their first entry from the target's centre
in source cells (y down, x to the right; half-integers where a kernel has an even side). What goes out are the edge
properties of the registry, one array [n] a property, or kernels with their new offsets.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Kernels = npt.NDArray[np.floating]
"""Kernels [n, y, x]."""

Reals = npt.NDArray[np.float64]

_ENTRIES_AT_ONCE = 1 << 18
"""Kernel entries per block of `measure`, so that a block and its temporaries stay in the processor's cache."""

_LARGEST_MOMENT = 4

MEASURED: tuple[str, ...] = (
    *("weight", "strength", "peak", "excitation", "inhibition", "coherence"),
    *("top", "bottom", "left", "right", "centre", "dx", "dy"),
    *(f"m{k}_{part}" for k in range(_LARGEST_MOMENT + 1) for part in ("re", "im")),
)
"""The names of what `measure` gives, in order."""


class Placed(NamedTuple):
    """Kernels with their place.

    kernels: [n, y, x]. offset_y, offset_x: position of `kernels[:, 0, 0]` from the target's centre, in source cells.
    """

    kernels: Kernels
    offset_y: float
    offset_x: float


def measure(kernels: Kernels, offset_y: float, offset_x: float, stride_px: float) -> dict[str, Reals]:
    """The properties that an edge has from its kernel, by their names in the registry.

    Parameters
    ----------
    kernels
        [n, y, x].
    offset_y, offset_x
        Position of `kernels[:, 0, 0]` from the target's centre, in source cells.
    stride_px
        Input pixels between neighbouring source cells; `dx` and `dy` are in input pixels.

    Returns
    -------
    weight, strength, peak, excitation, inhibition, coherence, top, bottom, left, right, centre, dx, dy and the moments
    m0_re to m4_im, each [n]. `coherence`, `dx` and `dy` of a kernel that is all zero are NaN.

    The moments are circular (Cammarata et al. 2021, Curve Circuits): m_k is the sum of w·exp(-i·k·phi), phi the angle
    counter-clockwise as seen. Turning by theta multiplies m_k by exp(-i·k·theta); mirroring in x gives
    (-1)^k·conj(m_k). A cell at the target's centre has no angle and counts for m0 only.
    """
    n, height, width = kernels.shape
    y, x = _cells(height, width, offset_y, offset_x)
    names, basis = _linear_properties(y, x)
    flat = kernels.reshape(n, height * width)
    linear = np.empty((n, len(names)))
    strength, peak, excitation, inhibition = np.empty((4, n))
    centroid = np.empty((n, 2))
    step = max(1, _ENTRIES_AT_ONCE // (height * width))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = flat[rows].astype(np.float64)
        linear[rows] = block @ basis
        strength[rows] = np.sqrt(np.einsum("ij,ij->i", block, block))
        highest, lowest = block.max(axis=1), block.min(axis=1)
        peak[rows] = np.where(highest >= -lowest, highest, lowest)
        positive = np.maximum(block, 0.0)
        excitation[rows] = positive.sum(axis=1)
        block -= positive
        inhibition[rows] = block.sum(axis=1)
        positive -= block
        centroid[rows] = positive @ np.stack([x, y], axis=1)
    by_name = dict(zip(names, linear.T, strict=True))
    magnitude = excitation - inhibition
    with np.errstate(invalid="ignore", divide="ignore"):
        coherence = np.abs(by_name["weight"]) / magnitude
        dx, dy = (centroid / magnitude[:, None] * stride_px).T
    computed = {
        "strength": strength,
        "peak": peak,
        "excitation": excitation,
        "inhibition": inhibition,
        "coherence": np.minimum(coherence, 1.0),
        "dx": dx,
        "dy": dy,
    }
    every = by_name | computed
    return {name: np.ascontiguousarray(every[name]) for name in MEASURED}


def flip(kernels: Kernels, offset_y: float, offset_x: float) -> Placed:
    """The kernels [n, y, x] mirrored in x, left and right exchanged."""
    return Placed(kernels[:, :, ::-1], offset_y, -(offset_x + kernels.shape[2] - 1))


def flip_vertical(kernels: Kernels, offset_y: float, offset_x: float) -> Placed:
    """The kernels [n, y, x] mirrored in y, top and bottom exchanged."""
    return Placed(kernels[:, ::-1, :], -(offset_y + kernels.shape[1] - 1), offset_x)


def turn(kernels: Kernels, offset_y: float, offset_x: float, degrees: float) -> Placed:
    """The kernels [n, y, x] turned about the target's centre, counter-clockwise as seen.

    Multiples of 90 degrees only move entries. Any other angle is the nearest multiple, then bilinear resampling by the
    rest onto the same grid of cells, grown to hold all that is not zero.
    """
    quarters = math.floor(degrees / 90 + 0.5)
    placed = Placed(kernels, offset_y, offset_x)
    for _ in range(quarters % 4):
        placed = Placed(
            np.rot90(placed.kernels, axes=(1, 2)),
            -(placed.offset_x + placed.kernels.shape[2] - 1),
            placed.offset_y,
        )
    rest = degrees - 90 * quarters
    return _resample(placed, math.radians(rest)) if rest else placed


def agreement(a: Placed, b: Placed) -> Reals:
    """Cosine of kernels laid over each other at their offsets, zero where one does not reach: [n].

    `a` and `b` hold the same number of kernels, or one of them a single one. A cell is a square of side 1, so cells of
    grids that lie between each other count by the area they share. NaN where either kernel is all zero.
    """
    first, second = _unit_norm(a.kernels), _unit_norm(b.kernels)
    rows, row_part = _shift(b.offset_y - a.offset_y)
    columns, column_part = _shift(b.offset_x - a.offset_x)
    cosine = np.zeros(np.broadcast_shapes(first.shape[:1], second.shape[:1]))
    for row, row_area in ((rows, 1 - row_part), (rows + 1, row_part)):
        for column, column_area in ((columns, 1 - column_part), (columns + 1, column_part)):
            if row_area * column_area > 0:
                cosine = cosine + row_area * column_area * _overlap(first, second, row, column)
    missing = np.isnan(first).any(axis=(1, 2)) | np.isnan(second).any(axis=(1, 2))
    return np.where(missing, np.nan, np.clip(cosine, -1.0, 1.0))


def _cells(height: int, width: int, offset_y: float, offset_x: float) -> tuple[Reals, Reals]:
    """Row and column of every cell from the target's centre, row major, each [height * width]."""
    y, x = np.meshgrid(offset_y + np.arange(height), offset_x + np.arange(width), indexing="ij")
    return y.ravel(), x.ravel()


def _linear_properties(y: Reals, x: Reals) -> tuple[list[str], Reals]:
    """Names, and the matrix [cell, name] that takes a kernel to the properties that are linear in it."""
    everywhere = np.ones_like(x)
    columns = {
        "weight": everywhere,
        "top": y < 0,
        "bottom": y > 0,
        "left": x < 0,
        "right": x > 0,
        "centre": (np.abs(y) < 1) & (np.abs(x) < 1),
        "m0_re": everywhere,
        "m0_im": 0 * everywhere,
    }
    phi = np.arctan2(-y, x)
    has_angle = (y != 0) | (x != 0)
    for k in range(1, _LARGEST_MOMENT + 1):
        columns[f"m{k}_re"] = np.where(has_angle, np.cos(k * phi), 0.0)
        columns[f"m{k}_im"] = np.where(has_angle, -np.sin(k * phi), 0.0)
    return list(columns), np.stack([column.astype(np.float64) for column in columns.values()], axis=1)


def _resample(placed: Placed, radians: float) -> Placed:
    """The kernels turned by less than a quarter, bilinear, on the same grid of cells."""
    kernels, offset_y, offset_x = placed
    _, height, width = kernels.shape
    cosine, sine = math.cos(radians), math.sin(radians)
    # A cell takes from its neighbours at less than one cell's distance, so the turned frame one cell wider holds all.
    corner_y, corner_x = _cells(2, 2, 0.0, 0.0)
    corner_y, corner_x = offset_y - 1 + corner_y * (height + 1), offset_x - 1 + corner_x * (width + 1)
    rows = _grid_between(corner_y * cosine - corner_x * sine, offset_y)
    columns = _grid_between(corner_x * cosine + corner_y * sine, offset_x)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    from_row, from_column = y * cosine + x * sine - offset_y, x * cosine - y * sine - offset_x
    row, column = np.floor(from_row).astype(np.int64), np.floor(from_column).astype(np.int64)
    row_part, column_part = from_row - row, from_column - column
    padded = np.pad(kernels.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    turned = np.zeros((len(kernels), *y.shape))
    reached = np.zeros(y.shape, dtype=bool)
    for step_y, part_y in ((0, 1 - row_part), (1, row_part)):
        for step_x, part_x in ((0, 1 - column_part), (1, column_part)):
            inside = (
                (row + step_y >= 0) & (row + step_y < height) & (column + step_x >= 0) & (column + step_x < width)
            ) & (part_y * part_x > 0)
            at_row = np.where(inside, row + step_y + 1, 0)
            at_column = np.where(inside, column + step_x + 1, 0)
            turned += part_y * part_x * padded[:, at_row, at_column]
            reached |= inside
    kept_rows, kept_columns = _extent(reached, axis=0), _extent(reached, axis=1)
    return Placed(turned[:, kept_rows, kept_columns], float(rows[kept_rows][0]), float(columns[kept_columns][0]))


def _grid_between(corners: Reals, offset: float) -> Reals:
    """The positions offset + integer from the least to the greatest of the corners."""
    return offset + np.arange(math.floor(corners.min() - offset), math.ceil(corners.max() - offset) + 1)


def _extent(reached: npt.NDArray[np.bool_], axis: int) -> slice:
    """From the first to the last true place along an axis."""
    where = np.nonzero(reached)[axis]
    return slice(int(where.min()), int(where.max()) + 1)


def _unit_norm(kernels: Kernels) -> Reals:
    """The kernels divided by their L2 norm; NaN throughout where that is zero."""
    exact = kernels.astype(np.float64)
    with np.errstate(invalid="ignore"):
        # Dividing by the peak first keeps the squares of tiny kernels from vanishing.
        exact = exact / np.abs(exact).max(axis=(1, 2), keepdims=True)
        normed: Reals = exact / np.sqrt(np.square(exact).sum(axis=(1, 2), keepdims=True))
    return normed


def _shift(distance: float) -> tuple[int, float]:
    """A distance in cells as whole cells and the part left over, in 0..1."""
    whole = math.floor(distance)
    return whole, distance - whole


def _overlap(first: Reals, second: Reals, row: int, column: int) -> Reals:
    """Inner products [n] where the second's entry [0, 0] lies over the first's [row, column]."""
    (first_rows, second_rows), (first_columns, second_columns) = (
        _common(first.shape[1], second.shape[1], row),
        _common(first.shape[2], second.shape[2], column),
    )
    products = first[:, first_rows, first_columns] * second[:, second_rows, second_columns]
    total: Reals = products.sum(axis=(1, 2))
    return total


def _common(first: int, second: int, shift: int) -> tuple[slice, slice]:
    """The ranges in which two runs of cells overlap, the second's cell 0 over the first's cell `shift`."""
    start, stop = max(0, shift), max(max(0, shift), min(first, second + shift))
    return slice(start, stop), slice(start - shift, stop - shift)
