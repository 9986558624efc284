"""What an operation of a network does once the network is made linear, as data.

A `Step` is one operation of a trace: an action of linear algebra on maps of units, the receptive field, and which of
the tensor's dimensions are units, rows and columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ingest.tracing import Node

Pair = tuple[int, int]
"""Rows, columns."""


@dataclass(frozen=True)
class Convolve:
    """weight: [out, in / groups, h, w]; bias: [out]; before: padding above and to the left."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class Scale:
    """Each unit times its factor plus its shift, both [width]. frozen: the factor is a mean over the pictures."""

    factor: Tensor
    shift: Tensor
    frozen: bool = False


@dataclass(frozen=True)
class Centre:
    """Each unit minus the mean of all units there, then times its factor plus its shift. Layer norm, 1/sigma frozen."""

    factor: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Pass:
    """The identity. nonlinear: it stands in for a nonlinearity. activation: one that makes a feature layer."""

    nonlinear: bool = False
    activation: bool = False


@dataclass(frozen=True)
class Pool:
    """The mean over a window. of_max: it stands in for a maximum."""

    size: Pair
    stride: Pair
    before: Pair
    of_max: bool


@dataclass(frozen=True)
class PoolAll:
    """The mean over the whole map times a factor. of_max: it stands in for a maximum."""

    of_max: bool = False
    factor: float = 1.0


@dataclass(frozen=True)
class Gather:
    """Unit i is the input's unit `rows[i]`, or 0 where that is -1; cell p is the input's cell `step * p + shift`."""

    rows: npt.NDArray[np.int64]
    shift: Pair = (0, 0)
    step: Pair = (1, 1)


@dataclass(frozen=True)
class Concat:
    """The inputs' units one after the other."""


@dataclass(frozen=True)
class Add:
    """The inputs' sum, each times its factor."""

    factors: tuple[float, ...]


@dataclass(frozen=True)
class Start:
    """The pictures."""


Action = Convolve | Scale | Centre | Pass | Pool | PoolAll | Gather | Concat | Add | Start


@dataclass(frozen=True)
class Axis:
    """Receptive field along one axis, in input pixels: cell p sees low + stride·p to high + stride·p, both included.

    stride 0: one cell that sees the whole picture.
    """

    low: float
    high: float
    stride: float

    @property
    def centre(self) -> float:
        """Where the middle of the first cell's receptive field lies, in input pixels."""
        return (self.low + self.high) / 2

    def window(self, size: int, stride: int, before: int, dilation: int = 1) -> Axis:
        """The axis of a map whose cells see `size` cells of this one, every `stride` cells, from `-before` on."""
        low = self.low - self.stride * before
        return Axis(low, self.high + self.stride * ((size - 1) * dilation - before), self.stride * stride)


@dataclass(frozen=True)
class Step:
    """One node made linear.

    inputs: the steps it reads, gates left out. width: number of units. dims: what each dimension of the tensor is, "c"
    (units; several together in row-major order), "y", "x", "cyx" (all flattened), "n" (pictures) or "1" (size one).
    cells: rows and columns of the map. refusal: why the step cannot be read, if so.
    """

    node: Node
    inputs: tuple[int, ...]
    action: Action
    width: int
    dims: tuple[str, ...]
    cells: Pair
    y: Axis
    x: Axis
    refusal: str | None = None

    @property
    def index(self) -> int:
        """The node's place in the trace."""
        return self.node.index

    @property
    def is_activation(self) -> bool:
        """Whether the step is a nonlinearity of the kind that feature layers end with."""
        return isinstance(self.action, Pass) and self.action.activation


def pair(value: Any) -> Pair:
    """Rows and columns from one number for both, or from two."""
    if isinstance(value, int):
        return value, value
    rows, columns = tuple(value) if len(value) == 2 else (value[0], value[0])
    return int(rows), int(columns)


class RefusedError(Exception):
    """The operation has no linear form; the message says why, without naming the place."""


def checked(step: Step) -> Step:
    """Assert that the widths and cells of the step are those of the tensor."""
    sizes = {"c": step.width, "y": step.cells[0], "x": step.cells[1]}
    found = zip(step.dims, step.node.shape, strict=True)
    if any(name in ("y", "x") and sizes[name] != size for name, size in found):
        raise RefusedError("its result has another size than its receptive field says")
    units = math.prod(size for name, size in zip(step.dims, step.node.shape, strict=True) if name == "c")
    if units != step.width and not (units == 1 and "c" not in step.dims):
        raise RefusedError(f"its result has {units} channels where {step.width} units are expected")
    return step
