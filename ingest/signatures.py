"""Signatures: a unit's responses to a probe set in few numbers, so that correlations of units come from them alone.

In: a layer's responses, centred, batch by batch. Out: int8 [unit, picture, number]. Every layer is averaged over one
grid of parts of the picture, so that layers and models of different resolution can be compared; each picture's
numbers are a count sketch of its parts (Charikar et al. 2002), the same for all pictures, layers and models. The
correlation of two units over pictures and parts is about the cosine of their signatures, also over some of the
pictures and with pictures exchanged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ingest.steps import Axis, Pair, Step

Reals = npt.NDArray[np.float64]

GRID = 14
"""Parts along each side of the picture."""

NUMBERS = 72
"""Numbers that a picture's parts are sketched into: docs/probes.md shows the error for others."""

SEED = 5


def parts(step: Step, size: Pair) -> Reals:
    """[part, cell]: the mean response over each part of the picture, by the responses of a layer's cells.

    The parts are 14 by 14 equal rectangles of the picture of `size` pixels. The response at a pixel is bilinear between
    cells; outside the outermost cells' centres the nearest cells' responses go on.
    """
    along_y, along_x = _along(step.y, step.cells[0], size[0]), _along(step.x, step.cells[1], size[1])
    return np.asarray(np.einsum("pi,qj->pqij", along_y, along_x).reshape(GRID * GRID, -1))


def _along(axis: Axis, cells: int, side: int) -> Reals:
    pixels = np.arange(side)
    at = (pixels - axis.centre) / axis.stride if axis.stride else np.zeros(side)
    at = np.clip(at, 0, cells - 1)
    low = np.minimum(np.floor(at).astype(int), max(cells - 2, 0))
    weights = np.zeros((side, cells))
    weights[pixels, low] = 1 - (at - low)
    if cells > 1:
        weights[pixels, low + 1] = at - low
    return _means(side) @ weights


def _means(side: int) -> Reals:
    """[part, pixel]: how much of each part a pixel fills; pixels between two parts count in both."""
    edges = np.arange(GRID + 1) * side / GRID
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(overlap.clip(0) * GRID / side)


def count_sketch(numbers: int = NUMBERS, seed: int = SEED) -> Reals:
    """[number, part]: each part counts towards one number, with sign 1 or -1, both at random; else 0.

    All numbers have as many parts, but for one more or less.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(GRID * GRID)
    sketch = np.zeros((numbers, GRID * GRID))
    sketch[np.arange(GRID * GRID) % numbers, order] = random.choice([-1.0, 1.0], GRID * GRID)
    return sketch


def quantised(sketches: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """[unit, picture, number] as int8, each unit's largest magnitude as 127. Units that never change are all 0."""
    largest = np.abs(sketches).max(axis=(1, 2), keepdims=True)
    scale = np.divide(127, largest, out=np.zeros_like(largest), where=largest > 0)
    return np.asarray(np.round(sketches * scale), np.int8)


def cosines(one: npt.NDArray[np.int8], other: npt.NDArray[np.int8]) -> Reals:
    """[unit of one, unit of other]: the correlations that signatures [unit, picture, number] tell; 0 where one is 0."""
    first, second = (_unit_length(some.reshape(len(some), -1).astype(np.float32)) for some in (one, other))
    return np.asarray(first @ second.T, dtype=np.float64)


def _unit_length(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
