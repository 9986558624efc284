"""From a trace to steps: what stands in for each operation once the network is linear.

In comes a `Trace`, out comes one `Step` per node (Olah et al. 2020, Zoom In, footnote 5: multiply the weights out and
leave the ReLUs between them out). An operation without a rule carries its refusal along, and so does everything behind
it: only who needs such a step raises it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from circuitdb.errors import InputError
from ingest.rearranging import rearrange
from ingest.steps import (
    Action,
    Add,
    Axis,
    Centre,
    Concat,
    Convolve,
    Gather,
    Pass,
    Pool,
    PoolAll,
    RefusedError,
    Scale,
    Start,
    Step,
    checked,
    pair,
)
from ingest.tracing import INPUT, Node, Trace

UNKNOWN = "?"
"""The dimensions of a tensor that could not be followed."""

_ACTIVATIONS = frozenset(
    {
        "relu", "relu6", "hardtanh", "leaky_relu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus",
        "hardswish", "sigmoid", "tanh", "hardsigmoid", "prelu", "softsign", "logsigmoid", "log_sigmoid", "tanhshrink",
        "softshrink", "hardshrink", "threshold", "clamp", "clip", "clamp_min", "clamp_max", "swish"
    }
)  # fmt: skip
_NONLINEAR = frozenset({"local_response_norm", "softmax", "log_softmax"})
_SAME = frozenset(
    {
        "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout",
        "to", "float", "type", "contiguous", "clone", "detach"
    }
)  # fmt: skip
ATTENTION = frozenset(
    {"multi_head_attention_forward", "_native_multi_head_attention", "scaled_dot_product_attention", "matmul", "bmm"}
    | {"einsum", "baddbmm", "native_multi_head_attention", "transformer_encoder_layer_fwd"}
)


def linearise(trace: Trace) -> list[Step]:
    """One step per node of the trace, at the node's index.

    Raises
    ------
    InputError
        If a weight is not finite, or a layer has no units.
    """
    steps: list[Step] = []
    for node in trace.nodes:
        steps.append(_step(node, steps))
    return steps


def _step(node: Node, steps: Sequence[Step]) -> Step:
    if 0 in node.shape:
        raise InputError(f"{node.place} gives a tensor without entries, of shape {list(node.shape)}")
    pixel = Axis(0.0, 0.0, 1.0)
    if node.operation == INPUT:
        if len(node.shape) != 4:
            raise InputError(f"a network of pictures takes [pictures, channels, height, width], not {list(node.shape)}")
        return Step(node, (), Start(), node.shape[1], ("n", "c", "y", "x"), pair(node.shape[2:]), pixel, pixel)
    read = [steps[n.index] for n in _nodes(tuple(node.arguments.values()))]
    if not read:
        refusal = f"{node.place} cannot be read: where it comes from was not seen"
        return Step(node, (), Start(), 1, (UNKNOWN,) * len(node.shape), (1, 1), pixel, pixel, refusal)
    if any(UNKNOWN in step.dims for step in read):
        return _unknown(node, read, "")
    try:
        rule = _RULES.get(node.operation)
        if rule is None and node.layout is not None:
            rule = rearrange
        if rule is None:
            raise RefusedError("it is not linear, and no rule says what stands in for it")
        step = rule(node, read)
    except RefusedError as refused:
        return _unknown(node, read, f"{node.place} cannot be read: {refused}")
    return replace(step, refusal=_inherited([steps[i] for i in step.inputs]))


def _unknown(node: Node, read: Sequence[Step], refusal: str) -> Step:
    """A step that cannot be read. A pool still tells the dimensions, so that a head behind it is known as one."""
    pooled = node.operation.startswith("adaptive") and read[0].dims == ("n", "c", "y", "x")
    dims = read[0].dims if pooled else (UNKNOWN,) * len(node.shape)
    step = replace(read[0], node=node, inputs=tuple(s.index for s in read), action=Pass(), dims=dims)
    return replace(step, cells=pair(node.shape[2:]) if pooled else (1, 1), refusal=_inherited(read) or refusal)


def _inherited(read: Sequence[Step]) -> str | None:
    return next((step.refusal for step in read if step.refusal is not None), None)


def _nodes(value: Any) -> list[Node]:
    if isinstance(value, Node):
        return [value]
    if isinstance(value, Mapping):
        return [node for item in value.values() for node in _nodes(item)]
    if isinstance(value, list | tuple):
        return [node for item in value for node in _nodes(item)]
    return []


def _weights(node: Node, name: str) -> Tensor | None:
    value = node.arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, Tensor):
        raise RefusedError("its weights depend on the picture")
    if value.is_quantized:
        raise RefusedError("its weights are quantized")
    numbers = value.detach().to("cpu", torch.float32)
    if not math.isfinite(float(numbers.sum())) and not bool(torch.isfinite(numbers).all()):
        raise InputError(f"the {name.replace('_', ' ')} of {node.place} holds NaN or infinities")
    return numbers


def _operand(node: Node, name: str = "input") -> Node:
    value = node.arguments.get(name)
    if not isinstance(value, Node):
        raise RefusedError(f"its {name} does not depend on the picture")
    return value


def _same_place(step: Step, node: Node, action: Action, inputs: Sequence[Step]) -> Step:
    return replace(step, node=node, inputs=tuple(s.index for s in inputs), action=action)


def _as_maps(step: Step) -> None:
    """Refuse unless the tensor is [pictures, units, rows, columns]."""
    wanted = ("n", "c", "y", "x")
    if len(step.dims) != 4 or any(d not in ("1", w) for d, w in zip(step.dims, wanted, strict=True)):
        raise RefusedError("its input is not laid out as [pictures, units, rows, columns]")
    if step.node.shape[1] != step.width:
        raise RefusedError(f"its input has {step.node.shape[1]} channels where {step.width} units are expected")


def _convolution(node: Node, read: Sequence[Step]) -> Step:
    _operand(node)
    source = read[0]
    _as_maps(source)
    weight, bias = _weights(node, "weight"), _weights(node, "bias")
    if weight is None or len(read) > 1:
        raise RefusedError("its weights depend on the picture")
    groups = int(node.arguments.get("groups", 1))
    if weight.shape[1] * groups != source.width:
        raise RefusedError(f"it takes {weight.shape[1] * groups} units and gets {source.width}")
    stride, dilation = pair(node.arguments.get("stride", 1)), pair(node.arguments.get("dilation", 1))
    size = pair(weight.shape[2:])
    padding = node.arguments.get("padding", 0)
    if padding == "same":
        before = ((size[0] - 1) * dilation[0] // 2, (size[1] - 1) * dilation[1] // 2)
    else:
        before = (0, 0) if padding == "valid" else pair(padding)
    if source.cells == (1, 1) and source.y.stride == 0 and node.shape[2:] == (1, 1):  # only one entry sees the cell
        y0, x0 = before[0] // dilation[0], before[1] // dilation[1]
        weight, size, before = weight[:, :, y0 : y0 + 1, x0 : x0 + 1], (1, 1), (0, 0)
    action = Convolve(weight, bias, stride, before, dilation, groups)
    y = source.y.window(size[0], stride[0], before[0], dilation[0])
    x = source.x.window(size[1], stride[1], before[1], dilation[1])
    step = Step(node, (source.index,), action, weight.shape[0], ("n", "c", "y", "x"), pair(node.shape[2:]), y, x)
    return checked(step)


def _linear(node: Node, read: Sequence[Step]) -> Step:
    _operand(node)
    source = read[0]
    weight, bias = _weights(node, "weight"), _weights(node, "bias")
    if weight is None or len(read) > 1:
        raise RefusedError("its weights depend on the picture")
    return _fully_connected(node, source, weight, bias)


def _fully_connected(node: Node, source: Step, weight: Tensor, bias: Tensor | None) -> Step:
    dims = (*source.dims[:-1], "c")
    if source.dims[-1] == "cyx":
        rows, columns = source.cells
        if weight.shape[1] != source.width * rows * columns:
            raise RefusedError(f"it takes {weight.shape[1]} numbers and gets {source.width * rows * columns}")
        action = Convolve(weight.reshape(len(weight), source.width, rows, columns), bias, (0, 0))
        y, x = source.y.window(rows, 0, 0), source.x.window(columns, 0, 0)
        return checked(Step(node, (source.index,), action, len(weight), dims, (1, 1), y, x))
    if source.dims[-1] not in ("c", "1") or "c" in source.dims[:-1] or "cyx" in source.dims:
        raise RefusedError("the last dimension of its input is not the units")
    if weight.shape[1] != source.width:
        raise RefusedError(f"it takes {weight.shape[1]} units and gets {source.width}")
    action = Convolve(weight[:, :, None, None], bias)
    return checked(replace(source, node=node, inputs=(source.index,), action=action, width=len(weight), dims=dims))


def _matmul(node: Node, read: Sequence[Step]) -> Step:
    left, right = node.arguments.get("0"), node.arguments.get("1")
    if isinstance(left, Node) and isinstance(right, Tensor) and right.dim() == 2:
        return _fully_connected(node, read[0], right.detach().float().T.contiguous(), None)
    raise RefusedError("it multiplies two maps (attention)" if len(read) > 1 else "it mixes dimensions in no known way")


def _attention(node: Node, read: Sequence[Step]) -> Step:
    raise RefusedError("attention is not linear")


def _batch_norm(node: Node, read: Sequence[Step]) -> Step:
    _operand(node)
    mean, variance = _weights(node, "running_mean"), _weights(node, "running_var")
    if mean is None or variance is None or node.arguments.get("training"):
        raise RefusedError("it normalises by the statistics of its input; running statistics are needed")
    source = read[0]
    if len(source.dims) < 2 or source.dims[1] not in ("c", "1") or source.width != len(mean):
        raise RefusedError(f"it takes {len(mean)} units and gets {source.width}, or they do not lie in dimension 1")
    weight, bias = _weights(node, "weight"), _weights(node, "bias")
    factor = (variance.double() + float(node.arguments.get("eps", 1e-5))).rsqrt()
    factor = factor if weight is None else factor * weight
    shift = -mean.double() * factor if bias is None else bias - mean.double() * factor
    return _same_place(source, node, Scale(factor.float(), shift.float()), read)


def _layer_norm(node: Node, read: Sequence[Step]) -> Step:
    source = read[0]
    shape = tuple(_operand(node).shape)
    normalised = node.arguments["normalized_shape"]
    if tuple(normalised) != shape[-1:] or source.dims[-1] != "c" or shape[-1] != source.width:
        raise RefusedError("it normalises over more than the units of one place")
    weight, bias = _weights(node, "weight"), _weights(node, "bias")
    sigma = node.values["inverse_sigma"].to("cpu")
    factor = torch.ones(source.width) if weight is None else weight
    return _same_place(source, node, Centre(factor * sigma, torch.zeros(source.width) if bias is None else bias), read)


def _pass(node: Node, read: Sequence[Step]) -> Step:
    if len(read) != 1:
        raise RefusedError("it is not linear, and no rule says what stands in for it")
    return _same_place(read[0], node, Pass(True, node.operation in _ACTIVATIONS), read)


def _same(node: Node, read: Sequence[Step]) -> Step:
    return _same_place(read[0], node, Pass(), read[:1])


def _pool(node: Node, read: Sequence[Step]) -> Step:
    source = read[0]
    _as_maps(source)
    if node.arguments.get("return_indices"):
        raise RefusedError("its indices depend on the picture")
    if pair(node.arguments.get("dilation", 1)) != (1, 1):
        raise RefusedError("a dilated pool has no rule")
    size = pair(node.arguments["kernel_size"])
    given = node.arguments.get("stride")
    stride = size if given is None or given == () or given == [] else pair(given)
    before = pair(node.arguments.get("padding", 0))
    if node.arguments.get("divisor_override") is not None:
        raise RefusedError("a divisor of its own has no rule")
    of_max = node.operation == "max_pool2d"
    if size == source.cells and before == (0, 0) and node.shape[2:] == (1, 1):
        return _whole(node, source, ("n", "c", "y", "x"), PoolAll(of_max))
    return _pooled(node, source, Pool(size, stride, before, of_max))


def _pooled(node: Node, source: Step, pool: Pool) -> Step:
    y = source.y.window(pool.size[0], pool.stride[0], pool.before[0])
    x = source.x.window(pool.size[1], pool.stride[1], pool.before[1])
    return replace(source, node=node, inputs=(source.index,), action=pool, cells=pair(node.shape[2:]), y=y, x=x)


def _adaptive_pool(node: Node, read: Sequence[Step]) -> Step:
    source = read[0]
    _as_maps(source)
    of_max = node.operation == "adaptive_max_pool2d"
    rows, columns = node.shape[2:]
    if (rows, columns) == source.cells:
        return _same_place(source, node, Pass(), read)
    if (rows, columns) == (1, 1):
        return _whole(node, source, ("n", "c", "y", "x"), PoolAll(of_max))
    if source.cells[0] % rows or source.cells[1] % columns:
        sizes = f"{source.cells[0]}x{source.cells[1]} to {rows}x{columns}"
        raise RefusedError(f"it pools {sizes}, which does not divide, so that its windows differ from place to place")
    size = (source.cells[0] // rows, source.cells[1] // columns)
    return _pooled(node, source, Pool(size, size, (0, 0), of_max))


def _whole(node: Node, source: Step, dims: tuple[str, ...], action: PoolAll) -> Step:
    y = replace(source.y, high=source.y.high + source.y.stride * (source.cells[0] - 1), stride=0.0)
    x = replace(source.x, high=source.x.high + source.x.stride * (source.cells[1] - 1), stride=0.0)
    step = replace(source, node=node, inputs=(source.index,), action=action, dims=dims, cells=(1, 1), y=y, x=x)
    return checked(step)


def _mean(node: Node, read: Sequence[Step]) -> Step:
    source = read[0]
    over = node.arguments.get("dim")
    shape = source.node.shape
    chosen = range(len(shape)) if over is None else [over] if isinstance(over, int) else list(over)
    dims = {d % len(shape) for d in chosen}
    spatial = {d for d, name in enumerate(source.dims) if name in ("y", "x") and shape[d] > 1}
    if not spatial <= dims or any(source.dims[d] not in ("y", "x", "1") and shape[d] > 1 for d in dims):
        raise RefusedError("it takes the mean over something else than the whole map")
    kept = bool(node.arguments.get("keepdim", False))
    left = tuple("1" if d in dims else name for d, name in enumerate(source.dims) if kept or d not in dims)
    factor = float(source.cells[0] * source.cells[1]) if node.operation == "sum" else 1.0
    return _whole(node, source, left, PoolAll(False, factor))


def _pad(node: Node, read: Sequence[Step]) -> Step:
    source = read[0]
    sizes = [int(size) for size in node.arguments["pad"]]
    shape = source.node.shape
    shift, rows = [0, 0], np.arange(source.width)
    y, x, cells = source.y, source.x, list(source.cells)
    for position in range(len(sizes) // 2):
        before, after = sizes[2 * position], sizes[2 * position + 1]
        dim = len(shape) - 1 - position
        if before == after == 0:
            continue
        name = source.dims[dim]
        if name == "1" and len(shape) == 4:
            name = ("n", "c", "y", "x")[dim]
        if name == "c" and source.dims.count("c") == 1 and node.arguments.get("mode", "constant") == "constant":
            rows = np.concatenate([np.full(max(before, 0), -1), rows, np.full(max(after, 0), -1)])
            rows = rows[max(-before, 0) : len(rows) - max(-after, 0)]
        elif name in ("y", "x"):
            axis = 0 if name == "y" else 1
            shift[axis] = -before
            cells[axis] += before + after
            y, x = (y.window(1, 1, before), x) if axis == 0 else (y, x.window(1, 1, before))
        else:
            raise RefusedError("it pads dimensions that are neither rows, columns nor units")
    step = replace(source, node=node, inputs=(source.index,), width=len(rows), y=y, x=x, cells=pair(cells))
    dims = source.dims if len(shape) != 4 else tuple(
        w if d == "1" else d for d, w in zip(source.dims, ("n", "c", "y", "x"), strict=True)
    )  # fmt: skip
    return checked(replace(step, action=Gather(rows, pair(shift)), dims=dims))


def _concat(node: Node, read: Sequence[Step]) -> Step:
    tensors = node.arguments["tensors"]
    if not all(isinstance(tensor, Node) for tensor in tensors):
        raise RefusedError("it puts constants beside the units")
    dim = int(node.arguments.get("dim", 0)) % len(node.shape)
    dims = _common_dims(read, skip=dim)
    if any(step.dims[dim] not in ("c", "1") or step.width != step.node.shape[dim] for step in read):
        raise RefusedError("it does not concatenate units")
    _same_grid(read)
    dims = (*dims[:dim], "c", *dims[dim + 1 :])
    step = replace(_widest(read), node=node, inputs=tuple(s.index for s in read), action=Concat(), dims=dims)
    return checked(replace(step, width=sum(s.width for s in read)))


def _common_dims(read: Sequence[Step], skip: int | None = None) -> tuple[str, ...]:
    dims = []
    for position in range(len(read[0].dims)):
        names = {step.dims[position] for step in read if len(step.dims) == len(read[0].dims)} - {"1"}
        if position != skip and (len(names) > 1 or any(len(s.dims) != len(read[0].dims) for s in read)):
            raise RefusedError("it joins tensors whose dimensions mean different things")
        dims.append(next(iter(names), "1"))
    return tuple(dims)


def _same_grid(read: Sequence[Step]) -> None:
    if len({step.cells for step in read}) > 1 or len({(step.y.stride, step.x.stride) for step in read}) > 1:
        raise RefusedError("it joins maps of different sizes or strides")


def _widest(read: Sequence[Step]) -> Step:
    """A step that sees all that the given ones see."""
    y = Axis(min(s.y.low for s in read), max(s.y.high for s in read), read[0].y.stride)
    x = Axis(min(s.x.low for s in read), max(s.x.high for s in read), read[0].x.stride)
    return replace(read[0], y=y, x=x)


def _sum(node: Node, read: Sequence[Step]) -> Step:
    left, right = node.arguments.get("0"), node.arguments.get("1")
    sign = -1.0 if node.operation in ("sub", "rsub") else 1.0
    alpha = node.arguments.get("alpha", 1)
    factors = (-1.0 * float(alpha), 1.0) if node.operation == "rsub" else (1.0, sign * float(alpha))
    if isinstance(left, Node) and isinstance(right, Node):
        if left.shape != right.shape:
            raise RefusedError(f"it adds maps of shapes {list(left.shape)} and {list(right.shape)}")
        _same_grid(read)
        if read[0].width != read[1].width:
            raise RefusedError("it adds maps of different widths")
        step = replace(_widest(read), node=node, inputs=tuple(s.index for s in read), action=Add(factors))
        return replace(step, dims=_common_dims(read))
    constant, own = (right, factors[0]) if isinstance(left, Node) else (left, factors[1])
    other = factors[1] if isinstance(left, Node) else factors[0]
    shift = other * _per_unit(read[0], node, constant, average=True)
    return _same_place(read[0], node, Scale(torch.full((read[0].width,), own), shift), read)


def _per_unit(step: Step, node: Node, constant: Any, average: bool = False) -> Tensor:
    """A constant as one number a unit, [width]. average: it may differ from place to place, and its mean is taken."""
    if not isinstance(constant, Tensor):
        if not isinstance(constant, int | float):
            raise RefusedError("its second operand is no number")
        return torch.full((step.width,), float(constant))
    if node.shape != step.node.shape or constant.dim() > len(step.dims):
        raise RefusedError("its constant changes the shape of the map")
    full = constant.detach().to("cpu", torch.float32).reshape((1,) * (len(step.dims) - constant.dim()) + constant.shape)
    for dim, name in enumerate(step.dims):
        if name not in ("c", "1") and full.shape[dim] > 1:
            if not average or name == "cyx":
                raise RefusedError("its factor differs from place to place")
            full = full.mean(dim, keepdim=True)
    sizes = [size if name == "c" else 1 for name, size in zip(step.dims, step.node.shape, strict=True)]
    return full.expand(sizes).flatten().expand(step.width).clone()


def _product(node: Node, read: Sequence[Step]) -> Step:
    left, right = node.arguments.get("0"), node.arguments.get("1")
    if isinstance(left, Node) and isinstance(right, Node):
        if node.operation == "div":
            raise RefusedError("it divides one map by another")
        gates = [_is_gate(read[i], read[1 - i]) and f"gate_{i}" in node.values for i in (0, 1)]
        if gates == [False, False] or left is right:
            raise RefusedError("it is a product of two maps")
        gate = 1 if gates[1] else 0
        main = read[1 - gate]
        values = node.values[f"gate_{gate}"].to("cpu")
        if len(values) not in (1, main.width) or main.node.shape != node.shape:
            raise RefusedError("it is a product of two maps")
        return _same_place(main, node, Scale(values.expand(main.width), torch.zeros(main.width), frozen=True), [main])
    if not isinstance(left, Node) and node.operation == "div":
        raise RefusedError("it divides by a map")
    factor = _per_unit(read[0], node, right if isinstance(left, Node) else left)
    factor = 1 / factor if node.operation == "div" else factor
    return _same_place(read[0], node, Scale(factor, torch.zeros(len(factor))), read)


def _is_gate(step: Step, other: Step) -> bool:
    """Whether the step is one number a unit, made from the whole map, and the other a map."""
    if step.y.stride == 0 and other.y.stride != 0:
        return True
    return math.prod(step.node.shape[2:]) == 1 and math.prod(other.node.shape[2:]) > 1


def _negative(node: Node, read: Sequence[Step]) -> Step:
    return _same_place(read[0], node, Scale(-torch.ones(read[0].width), torch.zeros(read[0].width)), read)


def _interpolate(node: Node, read: Sequence[Step]) -> Step:
    if node.shape != read[0].node.shape:
        raise RefusedError("resizing a map has no rule")
    return _same(node, read)


_Rule = Callable[[Node, Sequence[Step]], Step]
_RULES: dict[str, _Rule] = {
    "conv2d": _convolution,
    "linear": _linear,
    "matmul": _matmul,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "mean": _mean,
    "sum": _mean,
    "pad": _pad,
    "cat": _concat,
    "add": _sum,
    "sub": _sum,
    "rsub": _sum,
    "mul": _product,
    "div": _product,
    "neg": _negative,
    "interpolate": _interpolate,
    **dict.fromkeys(_ACTIVATIONS | _NONLINEAR, _pass),
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(ATTENTION - {"matmul"}, _attention),
}
