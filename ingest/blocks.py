"""Blocks of kernels: weights from some units of a source layer to some units of a map.

A block keeps filters that work on every unit of the source by itself (pools, depthwise convolutions) apart from its
kernels, so that it stays small until the kernels are needed; this module works them in, and puts overlapping blocks
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ingest.steps import Pair


def times(a: Pair, b: Pair) -> Pair:
    """Rows times rows, columns times columns."""
    return a[0] * b[0], a[1] * b[1]


@dataclass(frozen=True, eq=False)
class Filter:
    """A kernel that each unit of a source goes through by itself.

    Cell q of the filtered map is the sum over k of kernel[k] · cell (stride·q + offset + k) of the map before.
    kernel: [h, w] for all units, or [groups, columns, h, w], the columns being those of the block that it belongs to.
    """

    kernel: Tensor
    stride: Pair
    offset: Pair

    @property
    def is_shared(self) -> bool:
        """Whether all units go through the same kernel."""
        return self.kernel.dim() == 2

    @property
    def size(self) -> Pair:
        """Rows and columns of the kernel."""
        return self.kernel.shape[-2], self.kernel.shape[-1]


@dataclass(frozen=True)
class History:
    """What a block's path went through.

    pooled: a max pool was replaced. frozen: a factor that depends on the picture was frozen. skipped: nonlinear steps
    with a linear operation behind them; pending: nonlinear steps with none behind them so far.
    """

    pooled: bool = False
    frozen: bool = False
    skipped: frozenset[int] = frozenset()
    pending: frozenset[int] = frozenset()

    def joined(self, other: History) -> History:
        """What went on in either."""
        return History(
            self.pooled or other.pooled,
            self.frozen or other.frozen,
            self.skipped | other.skipped,
            self.pending | other.pending,
        )


@dataclass(frozen=True, eq=False)
class Block:
    """Kernels from some units of a source layer to some units of a map.

    source: step of the source layer. rows: [groups, r], units of the map; columns: [groups, c], units of the source.
    kernel: [groups, r, c, h, w]; between different groups there is nothing, by structure. Cell p of the map reads cell
    stride·p + offset + k of the source, seen through the filters, the last of which works on the source itself.
    Stride 0 is one cell for the whole map; `whole` marks that a mean over all places was taken. through: if given, the
    columns are the units of that block's map instead of the source's (a 1x1 bottleneck that is not multiplied out yet,
    since composing convolutions behind it is cheaper so); it reads the source place by place.
    """

    source: int
    rows: Tensor
    columns: Tensor
    kernel: Tensor
    offset: Pair = (0, 0)
    stride: Pair = (1, 1)
    filters: tuple[Filter, ...] = ()
    whole: bool = False
    history: History = History()
    through: Block | None = None

    @property
    def size(self) -> Pair:
        """Rows and columns of the kernels, before the filters."""
        return self.kernel.shape[3], self.kernel.shape[4]

    @property
    def is_diagonal(self) -> bool:
        """Whether every unit of the map reads one unit."""
        return self.rows.shape[1] == 1 and self.columns.shape[1] == 1

    @property
    def is_pointwise(self) -> bool:
        """Whether every unit reads one cell of the filtered source."""
        return self.size == (1, 1)

    @property
    def is_skip(self) -> bool:
        """Whether the block hands units on one to one, place by place, be it at every second place only."""
        pointwise = self.is_pointwise and all(part.size == (1, 1) for part in self.filters)
        return self.is_diagonal and pointwise and min(self.stride) > 0 and not self.whole and self.through is None

    def behind(self, before: Pair) -> Pair:
        """The offset behind an operation that begins `before` cells further up and left."""
        return self.offset[0] - self.stride[0] * before[0], self.offset[1] - self.stride[1] * before[1]


def dilated(kernel: Tensor, spread: Pair) -> Tensor:
    """The kernel [..., h, w] with `spread` cells from entry to entry."""
    h, w = kernel.shape[-2:]
    if (h == 1 or spread[0] == 1) and (w == 1 or spread[1] == 1):
        return kernel
    wide = kernel.new_zeros(*kernel.shape[:-2], (h - 1) * spread[0] + 1, (w - 1) * spread[1] + 1)
    wide[..., :: spread[0], :: spread[1]] = kernel
    return wide


def full_extent(block: Block) -> tuple[Pair, Pair, Pair]:
    """Offset, size and stride of a block's kernels in cells of the source itself, behind all filters."""
    offset, size, stride = block.offset, block.size, block.stride
    for f in block.filters:
        offset = (f.stride[0] * offset[0] + f.offset[0], f.stride[1] * offset[1] + f.offset[1])
        size = ((size[0] - 1) * f.stride[0] + f.size[0], (size[1] - 1) * f.stride[1] + f.size[1])
        stride = times(f.stride, stride)
    return offset, size, stride


def expansion(block: Block) -> Tensor | None:
    """The matrix that takes a kernel's entries through the filters to cells of the source itself.

    [h·w, y·x] where all units share the filters, else [groups, c, h·w, y·x]; None where there are no filters.
    """
    if not block.filters:
        return None
    h, w = block.size
    shared = all(f.is_shared for f in block.filters)
    units = () if shared else tuple(block.columns.shape)
    matrix = torch.eye(h * w).view(h * w, h, w).expand(*units, h * w, h, w)
    for f in block.filters:
        kernel = f.kernel.expand(*units, *f.size)
        rows, columns = (matrix.shape[-2] - 1) * f.stride[0] + 1, (matrix.shape[-1] - 1) * f.stride[1] + 1
        wide = matrix.new_zeros(*units, h * w, rows + f.size[0] - 1, columns + f.size[1] - 1)
        for i in range(f.size[0]):
            for j in range(f.size[1]):
                part = matrix * kernel[..., i, j][..., None, None, None]
                wide[..., i : i + rows : f.stride[0], j : j + columns : f.stride[1]] += part
        matrix = wide
    return matrix.flatten(-2)


def expanded(kernel: Tensor, matrix: Tensor | None) -> Tensor:
    """Kernels [groups, r, c, h·w] taken through the filters: [groups, r, c, y·x]."""
    if matrix is None:
        return kernel
    if matrix.dim() == 2:
        return kernel @ matrix
    if kernel.shape[-1] == 1:
        return kernel * matrix[:, None, :, 0]
    return torch.einsum("grck,gckp->grcp", kernel, matrix)


def filtered(block: Block) -> Block:
    """The same block with its filters worked into the kernels."""
    if not block.filters:
        return block
    offset, size, stride = full_extent(block)
    kernel = expanded(block.kernel.flatten(3), expansion(block))
    return replace(block, kernel=kernel.view(*kernel.shape[:3], *size), offset=offset, stride=stride, filters=())


def multiplied_out(block: Block) -> Block:
    """The same block with the bottleneck that it goes through worked into its kernels."""
    bottleneck = block.through
    if bottleneck is None:
        return block
    out, middle, height, width = block.kernel.shape[1:]
    flat = block.kernel[0].movedim(1, -1).reshape(out * height * width, middle)
    product = (flat @ bottleneck.kernel[0, :, :, 0, 0]).view(out, height * width, -1).transpose(1, 2)
    return replace(
        block,
        columns=bottleneck.columns,
        kernel=product.reshape(1, out, -1, height, width),
        filters=(*block.filters, *bottleneck.filters),
        through=None,
    )


def consecutive(units: Tensor) -> slice | Tensor:
    """The units as a slice where they follow each other."""
    first, last = int(units[0]), int(units[-1])
    if last - first == len(units) - 1 and torch.equal(units, torch.arange(first, last + 1)):
        return slice(first, last + 1)
    return units


def hull(blocks: Sequence[Block]) -> tuple[Pair, Pair]:
    """Offset and size of the smallest kernel that holds those of all blocks, behind their filters."""
    extents = [full_extent(block)[:2] for block in blocks]
    top, left = (min(offset[axis] for offset, _ in extents) for axis in (0, 1))
    bottom, right = (max(offset[axis] + size[axis] for offset, size in extents) for axis in (0, 1))
    return (top, left), (bottom - top, right - left)


def sum_of(a: Block, b: Block) -> Block:
    """Two blocks without filters, or with the same ones, between the same units at the same stride, as one."""
    offset, size = hull([replace(a, filters=()), replace(b, filters=())])
    kernel = a.kernel.new_zeros(*a.kernel.shape[:3], *size)
    for block in (a, b):
        y, x = block.offset[0] - offset[0], block.offset[1] - offset[1]
        kernel[..., y : y + block.size[0], x : x + block.size[1]] += block.kernel
    return replace(a, kernel=kernel, offset=offset, history=a.history.joined(b.history))


def merged(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks, those that join the same units of the same source in the same way added up."""
    done: list[Block] = []
    for block in blocks:
        place = next((place for place, other in enumerate(done) if _is_alike(block, other)), None)
        if place is None:
            done.append(block)
        else:
            done[place] = sum_of(done[place], block)
    return tuple(done)


def _is_alike(a: Block, b: Block) -> bool:
    return (
        a.source == b.source
        and a.stride == b.stride
        and a.whole == b.whole
        and a.through is b.through
        and a.is_skip == b.is_skip
        and len(a.filters) == len(b.filters)
        and all(f is g for f, g in zip(a.filters, b.filters, strict=True))
        and torch.equal(a.rows, b.rows)
        and torch.equal(a.columns, b.columns)
    )


def in_one_group(block: Block) -> Block:
    """The same block as one group over all its rows and columns, zero where the groups do not join them."""
    if len(block.rows) == 1:
        return block
    full = filtered(block)
    rows, row_of = torch.unique(full.rows, return_inverse=True)
    columns, column_of = torch.unique(full.columns, return_inverse=True)
    kernel = full.kernel.new_zeros(len(rows), len(columns), *full.size)
    kernel.index_put_((row_of[:, :, None], column_of[:, None, :]), full.kernel, accumulate=True)
    return replace(full, rows=rows[None], columns=columns[None], kernel=kernel[None])


def with_single_columns(block: Block) -> Block:
    """A block of one group in whose columns no unit stands twice; kernels of repeated ones are summed."""
    units, place = torch.unique(block.columns[0], return_inverse=True)
    if len(block.rows) > 1 or len(units) == block.columns.shape[1]:
        return block
    full = filtered(block)
    kernel = full.kernel.new_zeros(1, full.kernel.shape[1], len(units), *full.size).index_add(2, place, full.kernel)
    return replace(full, columns=units[None], kernel=kernel)


def disjoint(blocks: Sequence[Block]) -> list[Block]:
    """Blocks of one source such that no pair of units is in two of them."""
    done: list[Block] = []
    for block in blocks:
        current = block
        while (other := next((b for b in done if _overlap(b, current)), None)) is not None:
            done = [b for b in done if b is not other]
            current = _united(other, current)
        done.append(current)
    return done


def _overlap(a: Block, b: Block) -> bool:
    if not (torch.isin(a.rows, b.rows).any() and torch.isin(a.columns, b.columns).any()):
        return False
    if len(a.rows) == 1 and len(b.rows) == 1:
        return True
    width, depth = (int(max(x.max(), y.max())) + 1 for x, y in ((a.rows, b.rows), (a.columns, b.columns)))
    taken = torch.zeros(width, depth, dtype=torch.bool)
    taken[a.rows[:, :, None], a.columns[:, None, :]] = True
    return bool(taken[b.rows[:, :, None], b.columns[:, None, :]].any())


def _united(a: Block, b: Block) -> Block:
    """One block for two that overlap."""
    first, second = filtered(a), filtered(b)
    if torch.equal(first.rows, second.rows) and torch.equal(first.columns, second.columns):
        return sum_of(first, second)
    rows = torch.unique(torch.cat([a.rows.flatten(), b.rows.flatten()]))
    columns = torch.unique(torch.cat([a.columns.flatten(), b.columns.flatten()]))
    return sum_of(_placed(first, rows, columns), _placed(second, rows, columns))


def _placed(block: Block, rows: Tensor, columns: Tensor) -> Block:
    """The block as one group over the given rows and columns, both sorted."""
    one = in_one_group(block)
    kernel = one.kernel.new_zeros(len(rows), len(columns), *one.size)
    at = torch.searchsorted(rows, one.rows[0]), torch.searchsorted(columns, one.columns[0])
    kernel[at[0][:, None], at[1][None, :]] = one.kernel[0]
    return replace(one, rows=rows[None], columns=columns[None], kernel=kernel[None])
