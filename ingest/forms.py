"""Linear forms: what a map of units is, as kernels over the feature layers before it.

A `Form` is a constant plus a sum of blocks of kernels; each action of linear algebra turns forms into a form, so that
walking once through the steps between two feature layers gives their expanded weights. All kernels are those of an
interior position: no border is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ingest.blocks import (
    Block,
    Filter,
    consecutive,
    dilated,
    in_one_group,
    merged,
    multiplied_out,
    times,
    with_single_columns,
)
from ingest.steps import Add, Centre, Concat, Convolve, Gather, Pair, Pass, Pool, PoolAll, Scale, Step


@dataclass(frozen=True, eq=False)
class Form:
    """A map of units as a constant plus blocks.

    constant: [width], what the last linear operation adds. origin: [width], the step of that operation, -1 for units
    handed on from a source.
    """

    constant: Tensor
    origin: Tensor
    blocks: tuple[Block, ...]

    @property
    def width(self) -> int:
        """Number of units."""
        return len(self.constant)


def identity(source: int, width: int) -> Form:
    """The map of a feature layer itself."""
    units = torch.arange(width)[:, None]
    block = Block(source, units, units, torch.ones(width, 1, 1, 1, 1))
    return Form(torch.zeros(width), torch.full((width,), -1), (block,))


def of_pictures(channels: int) -> Form:
    """The pictures themselves, which are no feature layer."""
    return Form(torch.zeros(channels), torch.full((channels,), -1), ())


def apply(step: Step, forms: Sequence[Form]) -> Form:
    """The form of a step's result from those of its inputs."""
    match step.action:
        case Convolve() as action:
            return _convolved(forms[0], action, step.index)
        case Scale() as action:
            return _scaled(forms[0], action)
        case Centre() as action:
            return _centred(forms[0], action)
        case Pass(nonlinear=nonlinear):
            return _passed(forms[0], step.index) if nonlinear else forms[0]
        case Pool() as action:
            blocks = tuple(_pool(block, action) for block in forms[0].blocks)
            return replace(forms[0], blocks=_marked(blocks, pooled=action.of_max))
        case PoolAll() as action:
            blocks = tuple(_pool_all(block, action.factor) for block in forms[0].blocks)
            marked = _marked(blocks, pooled=action.of_max)
            return replace(forms[0], constant=forms[0].constant * action.factor, blocks=marked)
        case Gather() as action:
            return _gathered(forms[0], action)
        case Concat():
            return _concatenated(forms)
        case Add() as action:
            return _added(forms, action)
        case _:
            raise TypeError(f"{type(step.action).__name__} has no form")


def _marked(blocks: Sequence[Block], pooled: bool = False, frozen: bool = False) -> tuple[Block, ...]:
    if not pooled and not frozen:
        return tuple(blocks)
    return tuple(
        replace(
            block,
            history=replace(
                block.history, pooled=block.history.pooled or pooled, frozen=block.history.frozen or frozen
            ),
        )
        for block in blocks
    )


def _convolved(form: Form, action: Convolve, index: int) -> Form:
    out = action.weight.shape[0]
    constant = torch.zeros(out) if action.bias is None else action.bias
    blocks = []
    for block in form.blocks:
        past = replace(block.history, skipped=block.history.skipped | block.history.pending, pending=frozenset())
        blocks.append(with_single_columns(_convolve(replace(block, history=past), action, form.width)))
    return Form(constant, torch.full((out,), index), merged(blocks))


def _convolve(block: Block, action: Convolve, width: int) -> Block:
    """The block behind a convolution that takes `width` units in `action.groups` groups."""
    weight, groups = action.weight, action.groups
    out, each = weight.shape[0], weight.shape[1]
    if groups > 1 and each == 1 and out == width:
        return _depthwise(block, action)
    moved = replace(block, offset=block.behind(action.before), stride=times(block.stride, action.stride))
    spread = times(block.stride, action.dilation)
    rows = torch.arange(out)
    if groups > 1:
        split = _split(block, groups, width)
        if split is not None:
            weights = weight.reshape(groups, out // groups, *weight.shape[1:])
            kernel = _compose(weights, split.kernel, spread)
            if len(block.rows) == 1:
                return replace(moved, rows=rows[None], kernel=kernel.flatten(0, 1)[None])
            grouped = replace(moved, columns=split.columns, filters=split.filters)
            return replace(grouped, rows=rows.view(groups, -1), kernel=kernel)
        weight = _ungrouped(weight, groups)
    if _is_bottleneck(block) and weight.shape[2:] != (1, 1):
        middle = torch.arange(block.rows.shape[1])[None]
        kernel = dilated(weight[None, :, consecutive(block.rows[0])], spread)
        return replace(moved, rows=rows[None], columns=middle, kernel=kernel, filters=(), through=block)
    if len(block.rows) == 1:
        kernel = _compose(weight[:, consecutive(block.rows[0])][None], block.kernel, spread)
        return replace(moved, rows=rows[None], kernel=kernel)
    if block.is_diagonal:
        kernel = _compose_diagonal(weight[:, consecutive(block.rows[:, 0])], block.kernel[:, 0, 0], spread)
    else:
        weights = weight[:, block.rows].movedim(1, 0)
        kernel = _compose(weights, block.kernel, spread).movedim(0, 1).flatten(1, 2)
    filters = tuple(f if f.is_shared else replace(f, kernel=f.kernel.flatten(0, 1)[None]) for f in block.filters)
    return replace(moved, rows=rows[None], columns=block.columns.reshape(1, -1), kernel=kernel[None], filters=filters)


def _is_bottleneck(block: Block) -> bool:
    """Whether the block mixes all units place by place into fewer."""
    return (
        len(block.rows) == 1
        and block.rows.shape[1] < block.columns.shape[1]
        and block.is_pointwise
        and block.stride == (1, 1)
        and block.offset == (0, 0)
        and not block.whole
        and block.through is None
    )


def _split(block: Block, groups: int, width: int) -> Block | None:
    """The block with one group for each group of a convolution that takes `width` units; None where none fits."""
    if not torch.equal(block.rows.flatten(), torch.arange(width)):
        return None
    if len(block.rows) == groups:
        return block
    rows = block.rows.reshape(groups, -1)
    units = rows.shape[1]
    if len(block.rows) == 1:
        kernel = block.kernel.reshape(groups, units, *block.kernel.shape[2:])
        return replace(block, rows=rows, columns=block.columns.expand(groups, -1), kernel=kernel)
    if not block.is_diagonal:
        return None
    filters = tuple(
        f if f.is_shared else replace(f, kernel=f.kernel.reshape(groups, units, *f.size)) for f in block.filters
    )
    kernel = block.kernel.new_zeros(groups, units, units, *block.size)
    each = torch.arange(units)
    kernel[:, each, each] = block.kernel.reshape(groups, units, *block.size)
    return replace(block, rows=rows, columns=block.columns.reshape(groups, units), kernel=kernel, filters=filters)


def _ungrouped(weight: Tensor, groups: int) -> Tensor:
    """A grouped weight [out, in / groups, h, w] written out as [out, in, h, w]."""
    out, each = weight.shape[0], weight.shape[1]
    full = weight.new_zeros(groups, out // groups, groups, each, *weight.shape[2:])
    index = torch.arange(groups)
    full[index, :, index] = weight.reshape(groups, out // groups, *weight.shape[1:])
    return full.flatten(2, 3).flatten(0, 1)


def _depthwise(block: Block, action: Convolve) -> Block:
    own = action.weight[:, 0][block.rows]  # [groups, r, h, w]
    if block.is_diagonal and block.is_pointwise and not block.whole:
        if own.shape[2:] == (1, 1) and action.stride == (1, 1) and action.before == (0, 0):
            return replace(block, kernel=block.kernel * own[:, :, None])
        return _set_aside(block, own, action)
    return _slid(block, own[:, :, None], action)


def _set_aside(block: Block, kernel: Tensor, action: Convolve | Pool) -> Block:
    """A pointwise block with one more filter between itself and the source."""
    spread = times(block.stride, action.dilation) if isinstance(action, Convolve) else block.stride
    new = Filter(dilated(kernel, spread), times(block.stride, action.stride), block.behind(action.before))
    return replace(block, filters=(new, *block.filters), offset=(0, 0), stride=(1, 1))


def _slid(block: Block, own: Tensor, action: Convolve | Pool) -> Block:
    """The block behind a kernel [..., i, j] that every unit goes through by itself."""
    spread = times(block.stride, action.dilation) if isinstance(action, Convolve) else block.stride
    (h, w), (height, width) = block.size, own.shape[-2:]
    kernel = block.kernel.new_zeros(*block.kernel.shape[:3], (height - 1) * spread[0] + h, (width - 1) * spread[1] + w)
    for i in range(height):
        for j in range(width):
            y, x = i * spread[0], j * spread[1]
            kernel[..., y : y + h, x : x + w] += block.kernel * own[..., i, j, None, None]
    return replace(block, kernel=kernel, offset=block.behind(action.before), stride=times(block.stride, action.stride))


def _compose(weight: Tensor, kernel: Tensor, spread: Pair) -> Tensor:
    """weight [groups, out, r, i, j] behind kernel [groups, r, c, h, w]: [groups, out, c, y, x]."""
    groups, out, r, height, width = weight.shape
    c, h, w = kernel.shape[2:]
    if (h, w) == (1, 1):
        flat = weight.permute(0, 1, 3, 4, 2).reshape(groups, out * height * width, r)
        product = torch.bmm(flat, kernel.reshape(groups, r, c)).view(groups, out, height * width, c)
        return dilated(product.transpose(2, 3).reshape(groups, out, c, height, width), spread)
    flat = kernel.reshape(groups, r, c * h * w)
    if (height, width) == (1, 1):
        return torch.bmm(weight[..., 0, 0], flat).view(groups, out, c, h, w)
    total = kernel.new_zeros(groups, out, c, (height - 1) * spread[0] + h, (width - 1) * spread[1] + w)
    for i in range(height):
        for j in range(width):
            y, x = i * spread[0], j * spread[1]
            total[..., y : y + h, x : x + w] += torch.bmm(weight[..., i, j], flat).view(groups, out, c, h, w)
    return total


def _compose_diagonal(weight: Tensor, kernel: Tensor, spread: Pair) -> Tensor:
    """weight [out, c, i, j] behind one kernel a unit, [c, h, w]: [out, c, y, x]."""
    height, width = weight.shape[2:]
    h, w = kernel.shape[1:]
    if (h, w) == (1, 1):
        return dilated(weight if bool((kernel == 1).all()) else weight * kernel, spread)
    total = weight.new_zeros(*weight.shape[:2], (height - 1) * spread[0] + h, (width - 1) * spread[1] + w)
    for i in range(height):
        for j in range(width):
            y, x = i * spread[0], j * spread[1]
            total[..., y : y + h, x : x + w] += weight[..., i, j, None, None] * kernel
    return total


def _scaled(form: Form, action: Scale) -> Form:
    blocks = tuple(
        replace(block, kernel=block.kernel * action.factor[block.rows][:, :, None, None, None]) for block in form.blocks
    )
    constant = form.constant * action.factor + action.shift
    return replace(form, constant=constant, blocks=_marked(blocks, frozen=action.frozen))


def _centred(form: Form, action: Centre) -> Form:
    """Each unit minus the mean of all, as a 1x1 convolution that is neither counted nor the units' origin."""
    mixing = (torch.eye(form.width) - 1 / form.width) * action.factor[:, None]
    convolution = Convolve(mixing[:, :, None, None], None)
    blocks = [with_single_columns(_convolve(block, convolution, form.width)) for block in form.blocks]
    constant = (form.constant - form.constant.mean()) * action.factor + action.shift
    return replace(form, constant=constant, blocks=_marked(merged(blocks), frozen=True))


def _passed(form: Form, index: int) -> Form:
    blocks = (replace(b, history=replace(b.history, pending=b.history.pending | {index})) for b in form.blocks)
    return replace(form, blocks=tuple(blocks))


def _pool(block: Block, action: Pool) -> Block:
    window = torch.full(action.size, 1.0 / (action.size[0] * action.size[1]))
    if block.whole:
        return block
    return _set_aside(block, window, action) if block.is_pointwise else _slid(block, window, action)


def _pool_all(block: Block, factor: float) -> Block:
    """The mean over all places: the sum of the kernel, to be taken at the source's mean."""
    block = multiplied_out(block)
    total = block.kernel.sum((3, 4), keepdim=True) * factor
    for f in block.filters:
        sums = f.kernel.sum((-2, -1))
        total = total * (sums if f.is_shared else sums[:, None, :, None, None])
    return replace(block, kernel=total, offset=(0, 0), stride=(0, 0), filters=(), whole=True)


def _gathered(form: Form, action: Gather) -> Form:
    rows = torch.from_numpy(action.rows)
    here, safe = rows >= 0, rows.clamp(min=0)
    before = (-action.shift[0], -action.shift[1])
    blocks = []
    for whole in form.blocks:
        block = in_one_group(whole) if whole.rows.shape[1] > 1 else whole
        taken = _taken(block, here, safe, form.width)
        if taken is not None:
            blocks.append(replace(taken, offset=block.behind(before), stride=times(block.stride, action.step)))
    return Form(form.constant[safe] * here, torch.where(here, form.origin[safe], -1), tuple(blocks))


def _taken(block: Block, here: Tensor, units: Tensor, width: int) -> Block | None:
    """The block's kernels to the new units i where `here[i]`, each being the old unit `units[i]`.

    The block has one group, or one unit of the map a group.
    """
    group_of, place_of = (torch.full((width,), -1) for _ in range(2))
    groups, places = block.rows.shape
    group_of[block.rows] = torch.arange(groups)[:, None].expand(groups, places)
    place_of[block.rows] = torch.arange(places)[None].expand(groups, places)
    new = torch.nonzero(here & (group_of[units] >= 0)).flatten()
    if not len(new):
        return None
    group, place = group_of[units[new]], place_of[units[new]]
    if places > 1:
        return replace(block, rows=new[None], kernel=block.kernel[:, place])
    filters = tuple(f if f.is_shared else replace(f, kernel=f.kernel[group]) for f in block.filters)
    return replace(block, rows=new[:, None], columns=block.columns[group], kernel=block.kernel[group], filters=filters)


def _concatenated(forms: Sequence[Form]) -> Form:
    blocks: list[Block] = []
    start = 0
    for form in forms:
        blocks.extend(replace(block, rows=block.rows + start) for block in form.blocks)
        start += form.width
    constant = torch.cat([form.constant for form in forms])
    return Form(constant, torch.cat([form.origin for form in forms]), tuple(blocks))


def _added(forms: Sequence[Form], action: Add) -> Form:
    blocks = [
        block if factor == 1 else replace(block, kernel=block.kernel * factor)
        for form, factor in zip(forms, action.factors, strict=True)
        for block in form.blocks
    ]
    constant, origin = torch.zeros(forms[0].width), forms[0].origin
    for form, factor in zip(forms, action.factors, strict=True):
        constant = constant + factor * form.constant
        origin = torch.maximum(origin, form.origin)
    return Form(constant, origin, merged(blocks))
