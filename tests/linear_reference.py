"""The expanded weights of a network by automatic differentiation, as the independent check of the kernel algebra.

The network itself runs in double precision with its nonlinearities replaced one by one; at every feature layer the map
is cut off from what came before, so that gradients see only the direct paths from layer to layer. Nothing of the
algebra (forms, blocks, steps) is used: only the place of the feature layers in the order of operations.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ingest import tracing
from ingest.expand import Expansion

_COMPARED = ["source", "target", "kind", "kernel", "kernel_h", "kernel_w", "offset_y", "offset_x"]
_IDENTITIES = {
    "relu", "relu6", "hardtanh", "hardswish", "silu", "gelu", "leaky_relu", "sigmoid", "hardsigmoid",
    "local_response_norm", "softmax", "clamp",
}  # fmt: skip


class _Linear(TorchFunctionMode):
    """Replaces nonlinear functions; cuts at the given places. `here` tells the place of the next operation."""

    def __init__(self, cuts: Sequence[int], real: Mapping[int, Tensor], added: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.cuts, self.real, self.added = set(cuts), real, added
        self.here: Callable[[], int] = lambda: -1
        self.values: dict[int, Tensor] = {}
        self.leaves: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.__name__ == "detach":  # the recorder's own
            return func(*args, **(kwargs or {}))
        place = self.here()
        result = self._linear(func.__name__, func, args, dict(kwargs or {}), place)
        if isinstance(result, Tensor) and any(result is argument for argument in args):
            return result  # no operation of its own
        if place in self.cuts and isinstance(result, Tensor) and result.is_floating_point():
            self.values[place] = result
            leaf = result.detach().clone()
            if place in self.added:
                leaf += self.added[place]
            self.leaves[place] = result = leaf.requires_grad_(True)
        return result

    def _linear(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], place: int
    ) -> Any:
        plain = name.strip("_")
        if plain in _IDENTITIES:
            return args[0] * 1
        if plain == "dropout":  # returns its argument itself, as it does without gradients
            return args[0]
        if plain == "max_pool2d":
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            options = {**dict(zip(names, args[1:], strict=False)), **kwargs}
            for unwanted in ("dilation", "return_indices"):
                options.pop(unwanted, None)
            return functional.avg_pool2d(args[0], **options, count_include_pad=False)
        if plain in ("add", "iadd"):
            return torch.add(*args, **kwargs)
        if plain in ("mul", "imul"):
            gate = self.real.get(place)
            if gate is None:
                return torch.mul(*args)
            main = max(args, key=lambda x: x.numel())
            return main * gate.mean(0, keepdim=True)
        if plain == "layer_norm":
            bound = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | kwargs
            x = bound["input"]
            return (x - x.mean(-1, keepdim=True)) * self.real[place] * bound["weight"] + bound["bias"]
        return func(*args, **kwargs)


class _Observed(TorchFunctionMode):
    """Writes down the gates and the scales of layer norms of the real, nonlinear network."""

    def __init__(self) -> None:
        super().__init__()
        self.here: Callable[[], int] = lambda: -1
        self.real: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        plain, place = func.__name__.strip("_"), self.here()
        if plain in ("mul", "imul") and all(isinstance(x, Tensor) and x.dim() == 4 and len(x) for x in args):
            small = min(args, key=lambda x: x.numel())
            if small.shape[2:] == (1, 1) and not isinstance(small, nn.Parameter):
                self.real[place] = small.detach().clone()
        if plain == "layer_norm":
            eps = args[4] if len(args) > 4 else (kwargs or {}).get("eps", 1e-5)
            self.real[place] = (args[0].var(-1, unbiased=False) + eps).rsqrt().mean()
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Reference:
    """One run of the linear network: the value of each feature layer, and the leaf that stands in for it afterwards.

    channels_last: layers whose units lie in the last dimension of their tensor.
    """

    values: dict[str, Tensor]
    leaves: dict[str, Tensor]
    channels_last: frozenset[str] = frozenset()

    def map_of(self, layer: str, tensor: Tensor) -> Tensor:
        """A layer's tensor as [pictures, units, ...]."""
        return tensor.movedim(-1, 1) if layer in self.channels_last else tensor

    def kernel(self, target: str, unit: int, cell: tuple[int, int] | None) -> dict[str, Tensor]:
        """How a unit at a cell (the only one where None) depends on each layer directly: [units, rows, columns]."""
        value = self.map_of(target, self.values[target])
        scalar = value[0, unit] if cell is None else value[0, unit, cell[0], cell[1]]
        names = list(self.leaves)
        found = torch.autograd.grad(
            scalar.sum(), [self.leaves[name] for name in names], retain_graph=True, allow_unused=True
        )
        maps = {name: self.map_of(name, grad) for name, grad in zip(names, found, strict=True) if grad is not None}
        return {name: grad[0] for name, grad in maps.items() if grad.any()}


def reference(
    network: nn.Module,
    example: Tensor,
    steps: Mapping[str, int],
    added: Mapping[str, Tensor] | None = None,
    channels_last: Sequence[str] = (),
) -> Reference:
    """Run the network made linear. steps: place of each layer among the operations. added: put on top of layers."""
    double = copy.deepcopy(network).eval().double()
    picture = example.double()
    observed = _Observed()
    with torch.no_grad(), observed:
        _run(double, picture, observed)
    extra = {steps[name]: value for name, value in (added or {}).items()}
    linear = _Linear(list(steps.values()), observed.real, extra)
    with linear:
        _run(double, picture, linear)
    by_name = {step: name for name, step in steps.items()}
    values = {by_name[place]: value for place, value in linear.values.items()}
    leaves = {by_name[place]: leaf for place, leaf in linear.leaves.items()}
    return Reference(values, leaves, frozenset(channels_last))


def _run(network: nn.Module, picture: Tensor, mode: Any) -> None:
    recorder = tracing._Recorder(network, picture)
    mode.here = lambda: len(recorder.nodes)
    with recorder.watching_modules(network), recorder:
        network(picture)


def layer_steps(network: nn.Module, example: Tensor, layers: Sequence[str] | None = None) -> dict[str, int]:
    """Place of each feature layer among the operations, by its name."""
    from ingest.layers import find_layers
    from ingest.linearise import linearise

    trace = tracing.trace(network, example)
    return {layer.name: layer.step for layer in find_layers(trace, linearise(trace), layers).layers}


@dataclass(frozen=True)
class Disagreement:
    """The largest difference between the two ways, relative to the largest weight of its kind.

    targets: how many units were compared.
    """

    edges: float
    weight: float
    strength: float
    targets: int

    @property
    def largest(self) -> float:
        return max(self.edges, self.weight, self.strength)


def disagreement(
    expansion: Expansion,
    run: Reference,
    units_per_layer: int | None = None,
    layers: Sequence[str] | None = None,
) -> Disagreement:
    """Compare the kept edges and the dense rows of target units with the gradients.

    units_per_layer: so many, evenly spread; None takes every one. layers: these targets alone.
    """
    table = expansion.layers.to_pandas().set_index("name")
    starts = dict(zip(table.index, np.cumsum(table.width) - table.width, strict=True))
    sources: dict[str, set[str]] = {}
    for row in expansion.segments.select(["source_layer", "target_layer"]).to_pylist():
        sources.setdefault(row["target_layer"], set()).add(row["source_layer"])
    chosen = {
        name: np.linspace(0, width - 1, min(units_per_layer or width, width)).astype(int)
        for name, width in table.width.items()
        if name in sources and (layers is None or name in layers)
    }
    rows = pa.array(np.concatenate([starts[name] + units for name, units in chosen.items()]), pa.int32())
    edges = expansion.edges.select(_COMPARED).filter(pc.is_in(expansion.edges["target"], rows)).to_pandas()
    rows_of = dict(iter(edges.groupby("target")))
    worst = {"edges": 0.0, "weight": 0.0, "strength": 0.0}
    for name, units in chosen.items():
        cell = _middle(run.map_of(name, run.values[name]))
        for unit in units:
            wanted = run.kernel(name, int(unit), cell)
            found = rows_of.get(starts[name] + unit)
            differences = _compare(expansion, table, name, int(unit), cell, wanted, found, starts, sources[name])
            worst = {key: max(worst[key], differences[key]) for key in worst}
    return Disagreement(**worst, targets=len(rows))


def _middle(value: Tensor) -> tuple[int, int] | None:
    return (value.shape[2] // 2, value.shape[3] // 2) if value.dim() == 4 and value.shape[2:] != (1, 1) else None


def _compare(
    expansion: Expansion,
    layers: pd.DataFrame,
    target: str,
    unit: int,
    cell: tuple[int, int] | None,
    wanted: dict[str, Tensor],
    found: pd.DataFrame | None,
    first_row: dict[str, int],
    sources: set[str],
) -> dict[str, float]:
    worst = {"edges": 0.0, "weight": 0.0, "strength": 0.0}
    assert set(wanted) <= sources, f"{target} reads {sorted(wanted)}, not {sorted(sources)}"
    unread = [name for name in sources - set(wanted) if (name, target) in expansion.dense]
    assert not any(expansion.dense[name, target].strength[unit].any() for name in unread), f"{target} reads too much"
    for source, gradient in wanted.items():
        grad = gradient.reshape(len(gradient), *gradient.shape[1:], *(1,) * (3 - gradient.dim())).numpy().copy()
        scale = np.abs(grad).max() if not np.isnan(layers.stride_px[target]) else np.abs(grad.sum((1, 2))).max()
        start = first_row[source]
        own = [] if found is None else found[(found.source >= start) & (found.source < start + len(grad))]
        placed = list(_placed(layers, target, source, cell, own))
        skips = [edge for edge in placed if edge[0].kind == "SKIP"]
        for edge, y, x, kernel in skips:
            grad[edge.source - start, y, x] -= kernel[0, 0]
        dense = expansion.dense.get((target and source, target))
        whole = np.isnan(layers.stride_px[target]) and not np.isnan(layers.stride_px[source])
        pooled = whole and all(edge.kernel_h == edge.kernel_w == 1 for edge, *_ in placed)
        for edge, y, x, kernel in placed:
            if edge.kind == "SKIP":
                continue
            got = grad[edge.source - start]
            if pooled:
                difference = abs(got.sum() - kernel.sum())
            else:
                height, width = kernel.shape
                fits = 0 <= y <= got.shape[0] - height and 0 <= x <= got.shape[1] - width
                assert fits, f"{source} -> {target} does not fit into the map, so that nothing can be compared"
                rest = got.copy()
                rest[y : y + height, x : x + width] -= kernel
                difference = np.abs(rest).max()
            worst["edges"] = max(worst["edges"], difference / scale)
        if dense is None:
            worst["edges"] = max(worst["edges"], np.abs(grad).max() / scale)
            continue
        if not grad.any():
            assert not dense.strength[unit].any()
            continue
        sums = grad.sum((1, 2))
        norms = np.abs(sums) if pooled else np.sqrt((grad**2).sum((1, 2)))
        worst["weight"] = max(worst["weight"], np.abs(dense.weight[unit] - sums).max() / np.abs(norms).max())
        worst["strength"] = max(worst["strength"], np.abs(dense.strength[unit] - norms).max() / np.abs(norms).max())
    return worst


def _placed(
    layers: pd.DataFrame, target: str, source: str, cell: tuple[int, int] | None, edges: Any
) -> Iterator[tuple[Any, int, int, Any]]:
    """Each edge with the place of its kernel in the source's map, found from the receptive fields of both layers."""
    if len(edges) == 0:
        return
    stride, start = layers.stride_px[source], layers.start_px[source]
    for edge in edges.itertuples():
        kernel = np.asarray(edge.kernel, dtype=np.float64).reshape(edge.kernel_h, edge.kernel_w)
        place = []
        for axis, offset in enumerate((edge.offset_y, edge.offset_x)):
            if np.isnan(stride):
                place.append(0)
                continue
            here = 0 if cell is None else cell[axis] * layers.stride_px[target]
            exact = (layers.start_px[target] + here - start) / stride + offset
            place.append(0 if cell is None and edge.kernel_h == 1 else round(exact))
            assert cell is None or abs(exact - round(exact)) < 1e-6, "an offset does not lead to a source cell"
        yield edge, place[0], place[1], kernel
