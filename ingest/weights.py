"""Weights: read a file without running code from it, check the numbers, and put them into a network.

In: a safetensors file or a state dict that torch saved. Out: named float32 tensors with the file's SHA-256, or a
network that holds them together with an account of what was absent and what was left over.
"""

from __future__ import annotations

import difflib
import hashlib
import pickle
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from circuitdb.errors import CircuitdbError, InputError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "params")
"""Keys under which training scripts put the state dict in a checkpoint."""
_PARALLEL = "module."
"""Prefix that torch.nn.DataParallel puts before every name."""


@dataclass(frozen=True)
class Weights:
    """Tensors by name, the SHA-256 of the file they came from, and its name."""

    tensors: dict[str, Tensor]
    sha256: str
    origin: str


@dataclass(frozen=True)
class Fit:
    """What was left when weights were put into a network.

    `absent`: module paths of the network that lack weights. `unused`: names in the file that the network has no use
    for.
    """

    absent: tuple[str, ...]
    unused: tuple[str, ...]


def read_weights(path: Path) -> Weights:
    """Read a safetensors file, or a .pth or .pt file that holds tensors and nothing else.

    Raises
    ------
    InputError
        If the file is missing, truncated, no weights file, or holds objects that only running code could restore; or
        if a tensor is empty or holds NaN or infinities.
    CircuitdbError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
            sha256 = hashlib.file_digest(file, "sha256") if not file.seek(0) else None
    except FileNotFoundError:
        raise InputError(f"there is no weights file {str(path)!r}") from None
    except IsADirectoryError:
        raise InputError(f"{str(path)!r} is a folder; give the weights file in it") from None
    except OSError as error:
        raise CircuitdbError(f"cannot read {str(path)!r}: {error.strerror}") from error
    assert sha256 is not None
    if head[8:9] == b"{":
        found = _read_safetensors(path)
    elif head[:2] == b"PK" or head[:1] == b"\x80":
        found = _read_torch(path)
    else:
        raise InputError(
            f"{path.name} is no weights file; give a .safetensors file, or a .pth or .pt file with a state dict"
        )
    weights = Weights(_as_float32(found), sha256.hexdigest(), path.name)
    check_numbers(weights.tensors, path.name)
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise InputError(f"{path.name} is truncated or damaged ({reason}); fetch it again") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise InputError(
                f"{path.name} holds Python objects, which could run code when they are loaded; "
                "save the network's state_dict() instead"
            ) from error
        raise InputError(f"{path.name} is truncated, damaged or no weights file; fetch it again") from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, OSError, AttributeError) as error:
        raise InputError(f"{path.name} is truncated, damaged or no weights file; fetch it again") from error
    return _state_dict(found, path.name)


def _state_dict(found: Any, origin: str) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, taken out of what a training script wraps around them."""
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping):
        raise InputError(f"{origin} holds a {type(found).__name__}, not a state dict (named tensors)")
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{origin} holds no tensors")
    if all(name.startswith(_PARALLEL) for name in tensors):
        tensors = {name.removeprefix(_PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors


def _as_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().float() if tensor.is_floating_point() and not tensor.is_quantized else tensor.detach()
        for name, tensor in tensors.items()
    }


def check_numbers(tensors: Mapping[str, Tensor], origin: str) -> None:
    """Refuse empty, sparse and quantized tensors, NaN and infinities, by the first tensor's name.

    Raises
    ------
    InputError
        If there is such a tensor.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise InputError(f"{name} in {origin} is sparse or quantized; save it as a plain tensor of numbers")
        if tensor.numel() == 0:
            raise InputError(
                f"{name} in {origin} is empty (shape {_shape(tensor)}): a layer of width zero has no units"
            )
        if tensor.is_floating_point() and not tensor.isfinite().all():
            bad = int((~tensor.isfinite()).sum())
            raise InputError(
                f"{name} in {origin} holds {bad} NaN or infinite values of {tensor.numel()}; nothing was written"
            )


def sha256_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors in the order of their names: name, shape and float32 bytes of each."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        if tensor.is_floating_point():
            digest.update(f"{name} {_shape(tensor)}\n".encode())
            digest.update(tensor.float().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def leave_out(network: nn.Module, children: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Replace children of the network that a file has no weights for by the identity, and return which they were.

    The network is changed. `children`: those without which it is whole, such as a classifier behind a flattening.
    """
    parameters = network.state_dict().keys()
    absent = tuple(
        child
        for child in children
        if any(name.startswith(f"{child}.") for name in parameters)
        and not any(name.startswith(f"{child}.") for name in names)
    )
    for child in absent:
        network.set_submodule(child, nn.Identity())
    return absent


def fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    origin: str,
    partial: bool,
    file_names: Mapping[str, str] | None = None,
) -> Fit:
    """Put tensors into a network, whose own values may lie on the meta device.

    The network is changed: it holds the tensors afterwards, and zeros where there are none. `tensors`: by the
    network's own names; what was not to be translated stands under the file's. `origin`: what messages call the
    weights. `partial`: take what is there. `file_names`: the file's name of each parameter, where it is another one.

    Raises
    ------
    InputError
        If a shape or a kind of number is wrong, if no tensor fits, or if names are missing or left over and `partial`
        is false.
    """
    in_file = file_names or {}
    wanted = network.state_dict()
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    for name in needed:
        if name in tensors and tensors[name].shape != wanted[name].shape:
            raise InputError(
                f"{in_file.get(name, name)!r} in {origin} has the shape {_shape(tensors[name])} where the network has "
                f"{_shape(wanted[name])}; give the architecture that these weights belong to"
            )
        if name in tensors and wanted[name].is_floating_point() and not tensors[name].is_floating_point():
            raise InputError(
                f"{in_file.get(name, name)!r} in {origin} holds {_kind(tensors[name])} numbers, not floating-point "
                "ones; give the weights as they were before they were converted"
            )
    nothing_fits = len(missing) == len(needed)
    if nothing_fits or ((missing or unexpected) and not partial):
        known = [in_file.get(name, name) for name in needed]
        absent = [in_file.get(name, name) for name in missing]
        advice = "" if nothing_fits else ", or --partial to take what is there"
        raise InputError(
            f"{origin} does not fit: {_misfit(known, absent, unexpected)}; "
            f"give the architecture that these weights belong to{advice}"
        )
    values = {
        name: tensors[name] if name in tensors else torch.zeros((), dtype=value.dtype).expand(value.shape)
        for name, value in wanted.items()
    }
    network.load_state_dict(values, assign=True)
    owners = {name.rpartition(".")[0] for name in missing}
    return Fit(tuple(path for path, _ in network.named_modules() if path in owners), tuple(unexpected))


def _misfit(known: list[str], missing: list[str], unexpected: list[str]) -> str:
    """What is wrong with the names of a file, with the first of each kind and the nearest right name."""
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(known)} tensors are missing, first {missing[0]!r}")
    if unexpected:
        near = difflib.get_close_matches(unexpected[0], missing or known, 1)
        hint = f" (nearest: {near[0]!r})" if near else ""
        parts.append(f"{len(unexpected)} unexpected, first {unexpected[0]!r}{hint}")
    return " and ".join(parts)


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
