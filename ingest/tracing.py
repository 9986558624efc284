"""One concrete forward pass, written down as a plain list of operations.

In comes a network and a batch of pictures, out comes a `Trace`: every operation on data that depends on the pictures,
in order, with its arguments, the path of the module that called it and its shape. Later stages read the list alone, so
another front end can take this one's place.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from circuitdb.errors import InputError

INPUT = "input"
VIEW_WRITE = "in-place write through a view"
UNKNOWN_TENSOR = "tensor of unknown origin"


@dataclass(frozen=True)
class Layout:
    """Where the entries of a rearranged tensor come from.

    Entry (i, j, ...) is the input's entry number `base + steps[0][i] + steps[1][j] + ...`, counted in row-major order.
    """

    base: int
    steps: tuple[npt.NDArray[np.int64], ...]


@dataclass(frozen=True)
class Node:
    """One operation on data that depends on the pictures.

    operation: torch's name, without the marks of in-place and operator forms. arguments: by parameter name where the
    operation is known, else by position ("0", "1", ...); values are nodes, constant tensors, and plain Python. module:
    path of the innermost module that ran it. layout: for views, slices and permutations that can be written as one.
    values: what later stages need of the concrete numbers, means over the pictures: `gate_0` and `gate_1`, the per
    channel factors [channels] of a product whose operand has no spatial extent, and `inverse_sigma`, the mean of a
    layer norm's 1/sigma.
    """

    index: int
    operation: str
    arguments: Mapping[str, Any] = field(repr=False)
    module: str
    shape: tuple[int, ...]
    layout: Layout | None = field(default=None, repr=False)
    values: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """The operation and its module, as error messages name them."""
        return f"{self.operation} in module {self.module}" if self.module else f"{self.operation} in the network itself"


@dataclass(frozen=True)
class Trace:
    """The operations of one forward pass.

    nodes: in order, the pictures first. outputs: indices of the nodes that the network returns. calls: for each module
    path the node that each of its calls returned. sequences: paths of plain `nn.Sequential` containers.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    calls: Mapping[str, tuple[int, ...]]
    sequences: frozenset[str]


_PARAMETERS: dict[str, tuple[str, ...]] = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "adaptive_max_pool2d": ("input", "output_size"),
    "mean": ("input", "dim", "keepdim"),
    "sum": ("input", "dim", "keepdim"),
    "pad": ("input", "pad", "mode", "value"),
    "cat": ("tensors", "dim"),
    "add": ("0", "1", "alpha"),
    "sub": ("0", "1", "alpha"),
    "mul": ("0", "1"),
    "div": ("0", "1", "rounding_mode"),
    "interpolate": ("input", "size", "scale_factor"),
}
_KEYWORDS = {"axis": "dim", "other": "1", "self": "input"}
_ATEN_BATCH_NORM = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps")
_ALIASES = {
    "__add__": "add",
    "__radd__": "add",
    "__iadd__": "add",
    "__sub__": "sub",
    "__isub__": "sub",
    "subtract": "sub",
    "__rsub__": "rsub",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__imul__": "mul",
    "multiply": "mul",
    "__truediv__": "div",
    "__itruediv__": "div",
    "divide": "div",
    "true_divide": "div",
    "__neg__": "neg",
    "negative": "neg",
    "__matmul__": "matmul",
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "concat": "cat",
    "concatenate": "cat",
}
_LAYOUTS = frozenset(
    {
        "view", "reshape", "flatten", "unflatten", "permute", "transpose", "swapaxes", "swapdims", "movedim",
        "moveaxis", "squeeze", "unsqueeze", "contiguous", "clone", "detach", "chunk", "split", "split_with_sizes",
        "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "narrow", "select", "index_select", "getitem",
        "expand", "repeat", "repeat_interleave", "t", "flip", "roll", "rot90", "channel_shuffle",
        "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "ravel", "__get__"
    }
)  # fmt: skip
_DATA_READERS = frozenset(
    {
        "item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__",
        "__contains__", "__dlpack__", "equal", "allclose", "is_nonzero"
    }
)  # fmt: skip


def trace(network: nn.Module, example: Tensor) -> Trace:
    """Run one forward pass in eval mode, without gradients, and write down what happens.

    example: [pictures, channels, height, width]. The network's training flags are put back afterwards.

    Raises
    ------
    InputError
        If the forward pass fails, reads numbers out of its data (shapes or branches that depend on the pictures), runs
        TorchScript modules, or does not return tensors.
    """
    for path, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(f"module {path or 'the network itself'} is a TorchScript module, which cannot be traced")
    recorder = _Recorder(network, example)
    with _eval_mode(network), recorder.watching_modules(network), torch.no_grad():
        try:
            with recorder:
                result = network(example)
        except InputError:
            raise
        except Exception as error:
            where = f" in module {recorder.path}" if recorder.path else ""
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(f"the forward pass of the network failed{where}: {reason}") from error
    outputs = tuple(node.index for tensor in _tensors(result) if (node := recorder.node_of(tensor)) is not None)
    if not outputs:
        raise InputError("the network returns nothing that was computed from the picture by operations seen here")
    sequences = frozenset(path for path, module in network.named_modules() if type(module) is nn.Sequential)
    calls = {path: tuple(indices) for path, indices in recorder.calls.items()}
    return Trace(tuple(recorder.nodes), outputs, calls, sequences)


def follow(network: nn.Module, pictures: Tensor, visit: Callable[[Node, Tensor], None]) -> None:
    """Run the network as `trace` does, and hand every operation's result on as soon as it is there.

    visit: is told the node, whose index is the one of a trace, and the result. Later operations may write over the
    result, so what is to be kept must be copied.
    """
    recorder = _Follower(network, pictures, visit)
    with _eval_mode(network), recorder.watching_modules(network), torch.no_grad(), recorder:
        network(pictures)


@contextmanager
def _eval_mode(network: nn.Module) -> Iterator[None]:
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _replace(value: Any, by: Callable[[Tensor], Any]) -> Any:
    """`value` with every tensor replaced."""
    if isinstance(value, Tensor):
        return by(value)
    if isinstance(value, Mapping):
        return {key: _replace(item, by) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_replace(item, by) for item in value)
    return value


class _Recorder(TorchFunctionMode):
    """Sees every torch function while it is entered, and keeps a node for each result that depends on the pictures."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.calls: dict[str, list[int]] = {}
        self._modules: list[str] = []
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._constants: dict[int, Tensor] = {id(tensor): tensor for tensor in _own_tensors(network)}
        self._add(INPUT, {}, example)

    @property
    def path(self) -> str:
        """Path of the module that runs now."""
        return self._modules[-1] if self._modules else ""

    @contextmanager
    def watching_modules(self, network: nn.Module) -> Iterator[None]:
        """Follow which module runs, and what each call returns."""
        handles: list[Any] = []
        for path, module in network.named_modules():
            handles.append(module.register_forward_pre_hook(self._entering(path)))
            handles.append(module.register_forward_hook(self._leaving(path)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, inputs: Any) -> None:
            self._modules.append(path)

        return enter

    def _leaving(self, path: str) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            self._modules.pop()
            node = self.node_of(output) if isinstance(output, Tensor) else None
            if node is not None:
                self.calls.setdefault(path, []).append(node.index)

        return leave

    def node_of(self, tensor: Tensor) -> Node | None:
        """The node that made the tensor, or None where it does not depend on the pictures."""
        entry = self._known.get(id(tensor))
        return self.nodes[entry[1]] if entry is not None else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        inputs = list(_tensors((args, kwargs)))
        traced = [tensor for tensor in inputs if self.node_of(tensor) is not None]
        if not traced:
            result = func(*args, **kwargs)
            if all(id(tensor) in self._constants for tensor in inputs):
                self._constants.update((id(tensor), tensor) for tensor in _tensors(result))
            return result
        written = getattr(func, "__name__", str(func))
        operation = _name(written)
        if operation in _DATA_READERS:
            raise InputError(
                f"{Node(0, written, {}, self.path, ()).place} reads numbers out of the data, so that what the network "
                "computes depends on the picture; such a network cannot be traced"
            )
        arguments = _bound(func, operation, _replace(args, self._seen), _replace(kwargs, self._seen))
        values = _concrete(operation, args, kwargs, {id(tensor) for tensor in traced})
        result = func(*args, **kwargs)
        if operation == "setitem":
            self._overwrite(args[0])
            self._add(VIEW_WRITE, arguments, args[0])
            return result
        layouts = _layouts(func, operation, args, kwargs, traced)
        for position, tensor in enumerate(_tensors(result)):
            if any(tensor is source for source in inputs) and written not in _HARMLESS:
                self._overwrite(tensor)
            if not (written in _HARMLESS and self.node_of(tensor) is not None):
                layout = layouts[position] if layouts is not None else None
                self._add(operation, arguments, tensor, layout, values)
        return result

    def _seen(self, tensor: Tensor) -> Node | Tensor:
        node = self.node_of(tensor)
        if node is not None:
            return node
        if id(tensor) in self._constants:
            return tensor.detach()
        return self._add(UNKNOWN_TENSOR, {}, tensor)

    def _overwrite(self, tensor: Tensor) -> None:
        """Other tensors that look at the same memory hold other numbers now, which no node describes."""
        place = tensor.untyped_storage().data_ptr()
        for reference, _ in list(self._known.values()):
            other = reference()
            if other is not None and other is not tensor and other.untyped_storage().data_ptr() == place:
                self._add(VIEW_WRITE, {}, other)

    def _add(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        tensor: Tensor,
        layout: Layout | None = None,
        values: Mapping[str, Tensor] | None = None,
    ) -> Node:
        node = Node(len(self.nodes), operation, arguments, self.path, tuple(tensor.shape), layout, values or {})
        self.nodes.append(node)
        key, known = id(tensor), self._known

        def forget(reference: weakref.ref[Tensor]) -> None:
            entry = known.get(key)
            if entry is not None and entry[0] is reference:
                del known[key]

        known[key] = (weakref.ref(tensor, forget), node.index)
        return node


class _Follower(_Recorder):
    """Hands on what a recorder sees."""

    def __init__(self, network: nn.Module, pictures: Tensor, visit: Callable[[Node, Tensor], None]) -> None:
        self._visit = visit
        super().__init__(network, pictures)

    def _add(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        tensor: Tensor,
        layout: Layout | None = None,
        values: Mapping[str, Tensor] | None = None,
    ) -> Node:
        node = super()._add(operation, arguments, tensor, layout, values)
        self._visit(node, tensor)
        return node


_HARMLESS = frozenset({"__get__", "requires_grad_", "contiguous", "to", "float", "reshape", "view", "dropout", "type"})
"""Functions that may return their argument itself without having written to it."""


def _own_tensors(network: nn.Module) -> Iterable[Tensor]:
    for module in network.modules():
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
        for value in vars(module).values():
            if isinstance(value, Tensor | list | tuple | dict):
                yield from _tensors(value)


def _name(written: str) -> str:
    """Torch's name of an operation, the same for its functional, in-place and operator forms."""
    if written in _ALIASES:
        return _ALIASES[written]
    if written.startswith("__"):
        return written
    name = written.strip("_")
    return _ALIASES.get(name, name)


def _bound(func: Callable[..., Any], operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = _ATEN_BATCH_NORM if func is torch.batch_norm else _PARAMETERS.get(operation, ())
    bound = {names[i] if i < len(names) else str(i): value for i, value in enumerate(args)}
    for key, value in kwargs.items():
        name = _KEYWORDS.get(key, key)
        bound["0" if name == "input" and names[:1] == ("0",) else name] = value
    return bound


def _concrete(
    operation: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], traced: set[int]
) -> dict[str, Tensor] | None:
    """The numbers that later stages freeze: gates and layer norms (see `Node.values`)."""
    if operation == "mul":
        operands = [*args[:2], *(kwargs[key] for key in ("input", "other") if key in kwargs)]
        if len(operands) == 2 and all(isinstance(x, Tensor) and id(x) in traced for x in operands):
            return {
                f"gate_{i}": x.mean(0).flatten().float()
                for i, x in enumerate(operands)
                if x.dim() >= 2 and all(size == 1 for size in x.shape[2:])
            }
    if operation == "layer_norm":
        x = args[0] if args else kwargs["input"]
        eps = args[4] if len(args) > 4 else kwargs.get("eps", 1e-5)
        return {"inverse_sigma": (x.float().var(-1, unbiased=False) + eps).rsqrt().mean()}
    return None


def _layouts(
    func: Callable[..., Any],
    operation: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    traced: list[Tensor],
) -> list[Layout | None] | None:
    """The layouts of a rearrangement's results, found by rearranging the numbers of the entries."""
    if operation not in _LAYOUTS or len(traced) != 1:
        return None
    source = traced[0]
    shape = source.shape
    numbers = torch.arange(source.numel()).reshape(shape)

    def swap(value: Any) -> Any:
        if value is source:
            return numbers
        if isinstance(value, list | tuple):
            return type(value)(swap(item) for item in value)
        return value

    try:
        result = func(*(swap(value) for value in args), **{key: swap(value) for key, value in kwargs.items()})
    except Exception:  # an operation that does not take whole numbers has no layout, and is then refused by name
        return None
    return [_layout(entries.numpy()) for entries in _tensors(result)]


def _layout(entries: npt.NDArray[np.int64]) -> Layout | None:
    """Write `entries` as a sum over its dimensions, or None where that cannot be done."""
    if entries.size == 0:
        return None
    base = entries[(0,) * entries.ndim]
    steps = []
    total = np.full((1,) * entries.ndim, base)
    for dim in range(entries.ndim):
        line = entries[tuple(slice(None) if i == dim else 0 for i in range(entries.ndim))] - base
        steps.append(line)
        total = total + line.reshape([-1 if i == dim else 1 for i in range(entries.ndim)])
    return Layout(int(base), tuple(steps)) if np.array_equal(total, entries) else None
