"""Segments: all expanded weights between two feature layers.

In comes the form of a feature layer, out come its segments, one per source layer and one more where units are handed on
(skips), each with the weight and strength of every pair, the kernels on demand, and the hash of the dense tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from circuitdb.backends.base import KernelBlock
from circuitdb.keep import Mask, Strengths
from ingest.blocks import Block, History, consecutive, disjoint, expanded, expansion, full_extent, hull, multiplied_out
from ingest.forms import Form
from ingest.steps import Axis, Pair, Step

_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Segment:
    """The expanded weights between two feature layers.

    source, target: steps of the layers. skip: whether these are the skips. blocks: together every pair at most once.
    offset: of the common kernel, in source cells from the source's cell 0, for the target's cell 0; size: its rows and
    columns; stride: source cells per target cell, 0 where the target has one cell. weight, strength: [target, source].
    """

    source: int
    target: int
    skip: bool
    blocks: tuple[Block, ...]
    offset: Pair
    size: Pair
    stride: Pair
    history: History
    weight: npt.NDArray[np.float32]
    strength: Strengths


@dataclass(frozen=True, eq=False)
class Kernels:
    """Some kernels of one block.

    targets, sources: [n], unit indices. kernels: [n, y, x], float32. offset: in source cells from the source's cell 0,
    for the target's cell 0. whole: they belong to the mean over all places.
    """

    targets: npt.NDArray[np.intp]
    sources: npt.NDArray[np.intp]
    kernels: npt.NDArray[np.float32]
    offset: Pair
    whole: bool

    def among(self, mask: Mask) -> Kernels:
        """Those whose pair is in the mask [target, source]."""
        chosen = mask[self.targets, self.sources]
        if bool(chosen.all()):
            return self
        return Kernels(self.targets[chosen], self.sources[chosen], self.kernels[chosen], self.offset, self.whole)


def segments_into(target: Step, form: Form, widths: dict[int, int]) -> list[Segment]:
    """The segments that end in a layer, by source in order, skips behind the others.

    form: what the layer is, over the layers before it. widths: units of each source.
    """
    found = []
    for source in sorted({block.source for block in form.blocks}):
        for skip in (False, True):
            blocks = [multiplied_out(b) for b in form.blocks if b.source == source and b.is_skip == skip]
            if blocks:
                found.append(_segment(target, source, skip, disjoint(blocks), widths[source]))
    return [segment for segment in found if segment.strength.any()]


def _segment(target: Step, source: int, skip: bool, blocks: Sequence[Block], width: int) -> Segment:
    strides = {full_extent(block)[2] for block in blocks}
    assert len(strides) == 1, f"{target.node.place} reads one layer at different strides"
    offset, size = hull(blocks)
    weight = np.zeros((target.width, width), dtype=np.float32)
    strength = np.zeros_like(weight)
    history = History()
    for block in blocks:
        sums, norms = _measured(block)
        at = block.rows.numpy()[:, :, None], block.columns.numpy()[:, None, :]
        weight[at], strength[at] = sums, norms
        history = history.joined(block.history)
    return Segment(source, target.index, skip, tuple(blocks), offset, size, strides.pop(), history, weight, strength)


def _measured(block: Block) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sum and L2 norm of every kernel of a block, [groups, r, c], in double precision."""
    matrix = expansion(block)
    kernel = block.kernel.flatten(3).contiguous()
    groups, rows, columns, entries = kernel.shape
    sums, norms = np.empty((groups, rows, columns)), np.empty((groups, rows, columns))
    if matrix is None:
        np.einsum("grck->grc", kernel.numpy(), dtype=np.float64, out=sums)
        np.einsum("grck,grck->grc", kernel.numpy(), kernel.numpy(), dtype=np.float64, out=norms)
        return sums, np.sqrt(norms, out=norms)
    wide = matrix.double()
    total = wide.sum(-1)  # [..., h·w]
    gram = wide @ wide.transpose(-1, -2)  # [..., h·w, h·w]: the squared norm of k·matrix is k·gram·k
    step = max(1, _NUMBERS_AT_ONCE // (groups * columns * entries))
    for start in range(0, rows, step):
        part = kernel[:, start : start + step].double()
        if matrix.dim() == 2:
            sums[:, start : start + step] = (part @ total).numpy()
            squares = ((part @ gram) * part).sum(-1)
        else:
            sums[:, start : start + step] = torch.einsum("grck,gck->grc", part, total).numpy()
            squares = torch.einsum("grck,gckl,grcl->grc", part, gram, part)
        norms[:, start : start + step] = squares.clamp_(min=0).sqrt_().numpy()
    return sums, norms


def kernels_of(segment: Segment, mask: Mask) -> Iterator[Kernels]:
    """The kernels of the pairs in the mask [target, source], block by block."""
    for block in segment.blocks:
        rows, columns = block.rows.numpy(), block.columns.numpy()
        group, row, column = np.nonzero(mask[rows[:, :, None], columns[:, None, :]])
        if not len(group):
            continue
        places = torch.from_numpy(group), torch.from_numpy(row), torch.from_numpy(column)
        chosen = block.kernel[places].flatten(1)
        matrix = expansion(block)
        if matrix is not None:
            own = matrix if matrix.dim() == 2 else matrix[places[0], places[2]]
            chosen = chosen @ own if own.dim() == 2 else torch.einsum("nk,nkp->np", chosen, own)
        offset, size, _ = full_extent(block)
        kernels = chosen.view(-1, *size).numpy()
        yield Kernels(rows[group, row], columns[group, column], kernels, offset, block.whole)


def dense_sha256(segment: Segment) -> str:
    """SHA-256 of the segment's dense tensor [target, source, y, x], float32, little-endian, in row-major order.

    Every block is placed in the segment's common kernel; pairs without weights are zero. Row by row, so that the
    tensor is never whole in memory.
    """
    targets, sources = segment.weight.shape
    height, width = segment.size
    step = max(1, _NUMBERS_AT_ONCE // (sources * height * width))
    buffer = torch.empty(min(step, targets), sources, height, width)
    digest = hashlib.sha256()
    prepared = [(block, expansion(block), *full_extent(block)[:2]) for block in segment.blocks]
    for start in range(0, targets, step):
        stop = min(start + step, targets)
        rows = buffer[: stop - start].zero_()
        for block, matrix, offset, size in prepared:
            y, x = offset[0] - segment.offset[0], offset[1] - segment.offset[1]
            window = rows[:, :, y : y + size[0], x : x + size[1]]
            group, row = torch.nonzero((block.rows >= start) & (block.rows < stop), as_tuple=True)
            if not len(group):
                continue
            at = block.rows[group, row] - start
            if len(block.rows) == 1:
                kernel = expanded(block.kernel[:, consecutive(row)].flatten(3), matrix)[0].view(len(row), -1, *size)
                place = consecutive(at), consecutive(block.columns[0])
                if isinstance(place[0], slice) and isinstance(place[1], slice):
                    window[place] = kernel
                    continue
            else:
                own = matrix[group] if matrix is not None and matrix.dim() == 4 else matrix
                kernel = expanded(block.kernel[group, row][:, None].flatten(3), own).view(len(row), -1, *size)
            window[at[:, None], block.columns[group]] = kernel
        digest.update(rows.numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()


def kernel_blocks(segment: Segment, target: Step, source: Step) -> Iterator[KernelBlock]:
    """Every kernel of a segment, in half precision, each block at its own kernel size."""
    for block in segment.blocks:
        matrix = expansion(block)
        offset, size, _ = full_extent(block)
        y, x = (from_centre(offset[axis], target, source, axis, block.whole) for axis in (0, 1))
        for group in range(len(block.rows)):
            own = matrix[group : group + 1] if matrix is not None and matrix.dim() == 4 else matrix
            part = block.kernel[group : group + 1].flatten(3)
            kernels = np.empty((*part.shape[1:3], *size), dtype=np.float16)
            step = max(1, _NUMBERS_AT_ONCE // (part.shape[2] * size[0] * size[1]))
            for start in range(0, part.shape[1], step):
                some = expanded(part[:, start : start + step], own)[0]
                kernels[start : start + step] = some.reshape(*some.shape[:2], *size).numpy()
            targets, sources = (units[group].numpy().astype(np.int32) for units in (block.rows, block.columns))
            yield KernelBlock(targets, sources, kernels, y, x)


def from_centre(offset: int, target: Step, source: Step, axis: int, whole: bool = False) -> float:
    """An offset from the source's cell 0, for the target's cell 0, as one from the target's centre, in source cells.

    The target's centre is the middle of its receptive field. 0 for the mean over all places, which has no place.
    """
    end, start = ((step.y, step.x)[axis] for step in (target, source))
    if whole or start.stride == 0:
        return 0.0
    return round(offset - (end.centre - start.centre) / start.stride, 9)


def cell(axis: Axis) -> float | None:
    """Input pixels between neighbouring cells, None where there is one cell for the whole picture."""
    return axis.stride or None


def tensor_bytes(segment: Segment) -> int:
    """Memory that the segment's blocks hold."""
    tensors: list[Tensor] = [block.kernel for block in segment.blocks]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
