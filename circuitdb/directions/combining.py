"""Kernels of linear combinations of neurons, from those of the neurons.

In come the kernels of all pairs of neurons of two layers, in blocks of any size and place, and coefficients; out come
the sums [direction, other unit, y, x] in one frame, with the part of it that each sum fills, and what is measured of
them. Kernels are linear in the coefficients, so the sums are exact but for the precision of the blocks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import KernelBlock, ModelGraph
from circuitdb.errors import CircuitdbError
from circuitdb.graph import EdgeKind
from circuitdb.keep import Strengths
from circuitdb.kernels import measure

Reals = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_NOWHERE = 1 << 30

NeuronAt = Mapping[int, tuple[str, int]]
"""By row of a model's units, the layer and index of a neuron."""


@dataclass(frozen=True, eq=False)
class Combined:
    """Kernels of directions with the units at the other end, in a common frame.

    kernels: [direction, other, y, x]. low, high: [direction, other, axis], the first and one more than the last row and
    column that any of the kernels summed has. weight: [direction, other]. strength: likewise, the L2 norms.
    """

    kernels: Floats
    low: Integers
    high: Integers
    weight: Reals
    strength: Strengths

    def along(self, coefficients: Reals) -> Combined:
        """The same with directions at the other end, whose coefficients [direction there, other] are given."""
        narrow = coefficients.astype(np.float32)
        kernels = np.moveaxis(np.tensordot(narrow, self.kernels, axes=(1, 1)), 0, 1)
        strength = _norms(kernels)
        shape = (*strength.shape, 2)
        low, high = np.full(shape, _NOWHERE, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for number, own in enumerate(coefficients):
            some = np.flatnonzero(own)
            low[:, number], high[:, number] = self.low[:, some].min(axis=1), self.high[:, some].max(axis=1)
        _set_those_of_one(strength.T, coefficients, self.strength.T)
        strength[low[:, :, 0] == _NOWHERE] = 0
        return Combined(kernels, low, high, self.weight @ coefficients.T, strength)


def _norms(kernels: Floats) -> Strengths:
    """The L2 norms [direction, other] of kernels [direction, other, y, x]."""
    squares: Reals = np.einsum("duyx,duyx->du", kernels, kernels, dtype=np.float64)
    norms: Strengths = np.sqrt(squares).astype(np.float32)
    return norms


def _set_those_of_one(strength: Strengths, coefficients: Reals, of_pairs: Strengths) -> None:
    """Set the strengths [direction, other] of directions that take one neuron alone, from the neurons' [neuron, other]:
    so they have no rounding of half precision."""
    for number, own in enumerate(coefficients):
        some = np.flatnonzero(own)
        if len(some) == 1:
            strength[number] = np.float32(abs(own[some[0]])) * of_pairs[some[0]]


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights between the neurons of two layers.

    weight, strength: [target, source]. blocks: their kernels. offset, size: of the frame that holds all of them.
    """

    source: str
    target: str
    weight: Reals
    strength: Strengths
    blocks: Sequence[KernelBlock]
    offset: tuple[float, float]
    size: tuple[int, int]

    @staticmethod
    def of(ends: tuple[str, str], weight: Reals, strength: Strengths, blocks: Sequence[KernelBlock]) -> Weights:
        """Between the layers `ends`, with the frame that holds all blocks.

        Raises
        ------
        CircuitdbError
            If the blocks' cells are not on one grid.
        """
        starts = np.array([(block.offset_y, block.offset_x) for block in blocks] or [(0.0, 0.0)])
        sizes = np.array([block.kernels.shape[2:] for block in blocks] or [(1, 1)])
        offset = starts.min(axis=0)
        if not np.allclose(starts - offset, np.round(starts - offset), atol=1e-6):
            raise CircuitdbError(f"the kernels from {ends[0]} to {ends[1]} lie on different grids")
        height, width = (np.round(starts - offset).astype(int) + sizes).max(axis=0).tolist()
        return Weights(*ends, weight, strength, blocks, (float(offset[0]), float(offset[1])), (height, width))

    def other(self, at_target: bool) -> str:
        """The layer at the other end from where directions are."""
        return self.source if at_target else self.target

    def others(self, at_target: bool) -> int:
        """The number of its neurons."""
        return int(self.strength.shape[int(at_target)])

    def combined(self, coefficients: Reals, at_target: bool) -> Combined:
        """With directions [direction, neuron] as the targets, or as the sources."""
        count, others = len(coefficients), self.others(at_target)
        kernels = np.zeros((count, others, *self.size), dtype=np.float32)
        low = np.full((count, others, 2), _NOWHERE, dtype=np.int64)
        high = np.zeros((count, others, 2), dtype=np.int64)
        for block in self.blocks:
            near, far = (block.targets, block.sources) if at_target else (block.sources, block.targets)
            part = coefficients[:, near]
            used = np.flatnonzero((part != 0).any(axis=0))
            if not len(used):
                continue
            own = block.kernels[used] if at_target else block.kernels[:, used].swapaxes(0, 1)
            height, width = own.shape[2:]
            y, x = (round(a - b) for a, b in zip((block.offset_y, block.offset_x), self.offset, strict=True))
            flat = own.reshape(len(used), -1).astype(np.float32)
            sums = (part[:, used].astype(np.float32) @ flat).reshape(count, len(far), height, width)
            kernels[:, far, y : y + height, x : x + width] += sums
            place = np.ix_((part != 0).any(axis=1), far)
            low[place] = np.minimum(low[place], (y, x))
            high[place] = np.maximum(high[place], (y + height, x + width))
        weight, of_pairs = (self.weight, self.strength) if at_target else (self.weight.T, self.strength.T)
        strength = _norms(kernels)
        _set_those_of_one(strength, coefficients, of_pairs)
        strength[low[:, :, 0] == _NOWHERE] = 0
        return Combined(kernels, low, high, coefficients @ weight + 0.0, strength)


def dense_weights(graph: ModelGraph, layer: str) -> list[Weights]:
    """The weights of all pairs of neurons that a layer's directions meet with, skips not included."""
    met = _met(graph.dense, layer)
    return [
        Weights.of(ends, dense.weight.astype(np.float64), dense.strength, dense.blocks)
        for ends, dense in graph.dense.items()
        if ends in met
    ]


def _met(pairs: Collection[tuple[str, str]], layer: str) -> set[tuple[str, str]]:
    """The pairs (source, target) of layers that end in a layer or begin there, and those that share another end."""
    sources, targets = {s for s, t in pairs if t == layer}, {t for s, t in pairs if s == layer}
    return {(s, t) for s, t in pairs if layer in (s, t) or s in sources or t in targets}


def skip_weights(graph: ModelGraph, layer: str, neuron_at: NeuronAt, widths: Mapping[str, int]) -> list[Weights]:
    """The skip edges that matter to a layer's directions, as matrices and blocks of one kernel size."""
    kinds = graph.edges["kind"].cast(pa.string())
    edges = graph.edges.filter(pc.equal(kinds, EdgeKind.SKIP.value))
    groups: dict[tuple[str, str], list[tuple[int, int, dict[str, Any]]]] = {}
    for edge in edges.to_pylist():
        ends = [neuron_at.get(edge[end]) for end in ("source", "target")]
        if ends[0] is not None and ends[1] is not None:
            (source, s), (target, t) = ends[0], ends[1]
            groups.setdefault((source, target), []).append((t, s, edge))
    found = []
    for source, target in sorted(_met(groups, layer)):
        rows = groups[source, target]
        shape = (widths[target], widths[source])
        weight, strength = np.zeros(shape), np.zeros(shape, dtype=np.float32)
        kernels: dict[tuple[int, int, float, float], Floats] = {}
        for t, s, edge in rows:
            weight[t, s], strength[t, s] = edge["weight"], edge["strength"]
            form, entries = _kernel_of(edge)
            if form not in kernels:
                kernels[form] = np.zeros((*shape, *entries.shape), dtype=np.float32)
            kernels[form][t, s] = entries
        at = [np.arange(count, dtype=np.int32) for count in shape]
        blocks = [KernelBlock(at[0], at[1], block, *form[2:]) for form, block in kernels.items()]
        found.append(Weights.of((source, target), weight, strength, blocks))
    return found


def _kernel_of(edge: Mapping[str, Any]) -> tuple[tuple[int, int, float, float], Floats]:
    """Height, width and offset of an edge's kernel, and its entries; without one, the weight as one entry."""
    if edge.get("kernel") is None:
        return (1, 1, 0.0, 0.0), np.array([[edge["weight"]]], dtype=np.float32)
    form = (edge["kernel_h"], edge["kernel_w"], edge.get("offset_y") or 0.0, edge.get("offset_x") or 0.0)
    entries = np.array(edge["kernel"], dtype=np.float32).reshape(form[:2])
    return form, entries


def measured_of(
    combined: Combined,
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    offset: tuple[float, float],
    stride_px: float,
) -> tuple[dict[str, Reals], dict[str, pa.Array]]:
    """What is measured of the kernels of some pairs, and the columns that hold them, each kernel at its own size."""
    count = len(pairs[0])
    frames = np.concatenate([combined.low[pairs], combined.high[pairs]], axis=1)
    distinct, frame_of = np.unique(frames, axis=0, return_inverse=True)
    frame_of = frame_of.reshape(-1)
    measured: dict[str, Reals] = {}
    entries: list[Floats] = [np.empty(0, dtype=np.float32)] * count
    places = np.zeros((count, 4))
    for number, (top, left, bottom, right) in enumerate(distinct.tolist()):
        some = np.flatnonzero(frame_of == number)
        kernels = combined.kernels[pairs[0][some], pairs[1][some], top:bottom, left:right]
        place = offset[0] + top, offset[1] + left
        for name, values in measure(kernels, *place, stride_px).items():
            measured.setdefault(name, np.full(count, np.nan))[some] = values
        for row, kernel in zip(some.tolist(), kernels, strict=True):
            entries[row] = kernel.ravel()
        places[some] = (bottom - top, right - left, *place)
    if not measured:
        measured = measure(np.empty((0, 1, 1)), 0.0, 0.0, 1.0)
    ends = np.cumsum([0, *(len(kernel) for kernel in entries)])
    flat = np.concatenate([np.empty(0, dtype=np.float32), *entries])
    height, width, offset_y, offset_x = places.T
    return measured, {
        "kernel": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat)),
        "kernel_h": pa.array(height.astype(np.int32)),
        "kernel_w": pa.array(width.astype(np.int32)),
        "offset_y": pa.array(np.ascontiguousarray(offset_y)),
        "offset_x": pa.array(np.ascontiguousarray(offset_x)),
    }
