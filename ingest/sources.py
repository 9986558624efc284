"""Where a model comes from: a network by its name or from a python factory, and the weights that it holds.

In: what the user names. Out: a `Source`, the network in evaluation mode with its weights, an example of its input,
what its layers are called, which of its modules lack weights, and the facts that are recorded with the model.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from circuitdb.errors import InputError
from circuitdb.graph import RANDOM
from ingest.architectures import inceptionv1, resnetv2
from ingest.calibration import calibrate
from ingest.preprocessing import Preprocessing
from ingest.weights import Weights, check_numbers, fit, leave_out, read_weights, sha256_of_tensors


@dataclass(frozen=True)
class Loaded:
    """A network that holds weights, and which those are.

    `weights`: the file's name, torchvision's name, or random with its seed. `absent`: module paths whose weights are
    not there. `unused`: names in the file that the network has no use for. `left_out`: children of the network that
    it is whole without and that lack all their weights; they were taken out.
    """

    network: nn.Module
    weights: str
    sha256: str
    absent: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A network with its weights, and what is known about it.

    `example`: [1, channels, height, width], an input to trace with. `layer_names`: names of feature layers by module
    path, where they are not the path itself. `labels`: layer, index and text of what is known about single units.
    """

    loaded: Loaded
    architecture: str
    example: Tensor
    preprocessing: Mapping[str, Any] | None = None
    layer_names: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None
    licence: str | None = None
    labels: Sequence[tuple[str, int, str]] = ()


@dataclass(frozen=True)
class _Facts:
    """What is known about one published file beyond its architecture."""

    dataset: str
    licence: str
    preprocessing: Preprocessing | None = None


_CAFFE_SQUEEZENET = Preprocessing("BGR", (0.0, 255.0), (104.0, 117.0, 123.0), (1.0, 1.0, 1.0), (227, 227))
_PUBLISHED = {
    "058588b37208e71b50451271f07cf34f49a88c4d7365b9c81d29853792c63ac3": _Facts("ImageNet", "BSD-3-Clause"),
    "52749fc30ad78f5d7a12f7aafa0dcd68596f08dfe5a58f5a44d40abfde9d04e7": _Facts(
        "ImageNet", "BSD-3-Clause (Oxford's original: CC-BY)"
    ),
    "f0eb5f54f92c0d542f658b92860de7f73a97cff7bffbcfe232e996ca340d24e0": _Facts(
        "ImageNet", "BSD / MIT", _CAFFE_SQUEEZENET
    ),
    "3aa73d09e20263df4a6e68215fb0c5038260a96703e9c259b7d01fe40c9161a4": _Facts("ImageNet", "Apache-2.0"),
}
"""By SHA-256: AlexNet's features, VGG16's features, Caffe's SqueezeNet 1.1, TF-Slim's ResNetV2-50."""


def load(model: str, weights: str | None = None, *, seed: int = 0, partial: bool = False) -> Source:
    """Build a network and give it its weights.

    Parameters
    ----------
    model
        `inceptionv1`, `resnetv2_50`, a handwritten network, a torchvision classification network, or
        `package.module:factory`.
    weights
        A safetensors, .pth or .pt file; `random`, which is calibrated (see `ingest.calibration`); or the name of
        torchvision's own weights, which are downloaded. None: the network's own, where it has some.
    seed
        For `random`.
    partial
        Take what a weights file has, though it lacks some of the network's weights.

    Raises
    ------
    InputError
        If there is no such network or weights, or if they do not fit.
    CircuitdbError
        If a file cannot be read or fetched.
    """
    source = _loader(model)(weights, seed, partial)
    facts = _PUBLISHED.get(source.loaded.sha256)
    if facts is None:
        return source
    preprocessing = facts.preprocessing.as_json() if facts.preprocessing else source.preprocessing
    return replace(source, dataset=facts.dataset, licence=facts.licence, preprocessing=preprocessing)


_Loader = Callable[[str | None, int, bool], Source]


def _loader(model: str) -> _Loader:
    """The function that loads a model of that name, given weights, seed and whether a part will do."""
    if ":" in model:
        return lambda weights, seed, partial: _load_from_factory(model, weights, seed, partial)
    if model == "inceptionv1":
        return _load_inceptionv1
    if model == "resnetv2_50":
        return _load_resnetv2
    from ingest.architectures import handwritten

    if model in handwritten.NETWORKS:
        return lambda weights, seed, partial: _load_handwritten(model, weights)
    from ingest.architectures import torchvision_networks

    offered = torchvision_networks.names()
    if model in offered:
        return lambda weights, seed, partial: _load_torchvision(model, weights, seed, partial)
    own = ["inceptionv1", "resnetv2_50", *handwritten.NETWORKS]
    near = difflib.get_close_matches(model, own + offered, 3)
    meant = f"; nearest: {', '.join(near)}" if near else ""
    raise InputError(
        f"there is no network {model!r}{meant}; it can be {', '.join(own)}, a torchvision classification network "
        f"such as resnet50, or package.module:factory"
    )


def _file(model: str, weights: str | None, others: Sequence[str] = ()) -> Path:
    """The weights file that the user names, or the answer that says what there is to name."""
    choices = f"--weights FILE (.safetensors, .pth or .pt), --weights {RANDOM}" + "".join(
        f", --weights {name}" for name in others[:1]
    )
    if weights is None:
        downloads = " (which downloads)" if others else ""
        raise InputError(f"say which weights {model} shall have: {choices}{downloads}")
    path = Path(weights).expanduser()
    if not path.exists() and not path.suffix:
        names = ", ".join(others)
        known = f"; torchvision's own are {names}" if names else ""
        raise InputError(f"there is no weights file {weights!r}; give {choices}{known}")
    return path


@contextmanager
def _random_start(seed: int) -> Iterator[None]:
    """Draw from a generator of our own, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _example(shape: Sequence[int]) -> Tensor:
    """Noise of that shape, the same every time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _random(build: Callable[[], nn.Module], seed: int, preprocessing: Preprocessing | None) -> Loaded:
    """A calibrated network; the SHA-256 is that of the weights as drawn, since a statistic's last digits may vary."""
    with _random_start(seed):
        loaded = _as_made(build(), f"{RANDOM}, seed {seed}")
    if preprocessing is not None:
        calibrate(loaded.network, preprocessing)
    return loaded


def _as_made(network: nn.Module, weights: str) -> Loaded:
    """A network with the weights that it was made with."""
    tensors = network.state_dict()
    check_numbers(tensors, weights)
    return Loaded(network.eval(), weights, sha256_of_tensors(tensors))


def _with_file(
    network: nn.Module,
    found: Weights,
    partial: bool,
    *,
    tensors: Mapping[str, Tensor] | None = None,
    file_names: Mapping[str, str] | None = None,
) -> Loaded:
    """A network with a file's weights; `tensors` are those under the network's names, where they had to be renamed."""
    tensors = found.tensors if tensors is None else tensors
    fitted = fit(network, tensors, origin=found.origin, partial=partial, file_names=file_names)
    return Loaded(network.eval(), found.origin, found.sha256, fitted.absent, fitted.unused)


def _load_inceptionv1(weights: str | None, seed: int, partial: bool) -> Source:
    if weights == RANDOM:
        variant = inceptionv1.BVLC
        loaded = _random(lambda: inceptionv1.build(variant, {}), seed, variant.preprocessing)
        dataset = licence = None
    else:
        found = read_weights(_file("inceptionv1", weights))
        recognised = inceptionv1.recognise(found.tensors)
        if recognised is None:
            raise InputError(
                f"{found.origin} has none of InceptionV1's names: Caffe's begin with 'conv1/7x7_s2.weight', "
                f"inception5h's with 'conv2d0_pre_relu_conv.weight', this file's with {min(found.tensors)!r}"
            )
        variant = recognised
        with torch.device("meta"):
            network = inceptionv1.build(variant, found.tensors)
        names = inceptionv1.parameter_names(variant)
        tensors = inceptionv1.from_file(variant, found.tensors)
        loaded = _with_file(network, found, partial, tensors=tensors, file_names=names)
        dataset, licence = variant.dataset, variant.licence
    return Source(
        loaded,
        architecture=f"inceptionv1 ({variant.name})",
        example=_example(inceptionv1.EXAMPLE_SHAPE),
        preprocessing=variant.preprocessing.as_json(),
        dataset=dataset,
        licence=licence,
    )


def _load_resnetv2(weights: str | None, seed: int, partial: bool) -> Source:
    if weights == RANDOM:
        loaded = _random(resnetv2.ResNetV2, seed, resnetv2.PREPROCESSING)
    else:
        found = read_weights(_file("resnetv2_50", weights))
        with torch.device("meta"):
            network = resnetv2.ResNetV2()
        if resnetv2.is_slim(found.tensors):
            tensors = resnetv2.from_slim(found.tensors, network)
            loaded = _with_file(network, found, partial, tensors=tensors, file_names=resnetv2.slim_names())
        else:
            loaded = _with_file(network, found, partial)
    return Source(
        loaded,
        architecture="resnetv2_50",
        example=_example(resnetv2.EXAMPLE_SHAPE),
        preprocessing=resnetv2.PREPROCESSING.as_json(),
        layer_names=resnetv2.layer_names(),
    )


def _load_handwritten(model: str, weights: str | None) -> Source:
    from ingest.architectures import handwritten

    if weights is not None:
        raise InputError(f"the weights of {model} are computed from formulas; leave out --weights")
    return Source(
        _as_made(handwritten.NETWORKS[model](), "computed from formulas"),
        architecture=model,
        example=_example(handwritten.EXAMPLE_SHAPE),
        preprocessing=handwritten.PREPROCESSING,
        labels=handwritten.LABELS[model],
    )


def _load_torchvision(model: str, weights: str | None, seed: int, partial: bool) -> Source:
    from ingest.architectures import torchvision_networks as networks

    published = networks.weights_names(model)
    preprocessing = networks.preprocessing(model, weights if weights in published else "DEFAULT")
    if weights == RANDOM:
        loaded = _random(lambda: networks.build(model), seed, preprocessing)
    else:
        if weights in published:
            path, full_name = networks.download(model, weights)
            found = replace(read_weights(path), origin=full_name)
        else:
            found = read_weights(_file(model, weights, published))
        network = networks.build_blank(model)
        left_out = leave_out(network, networks.dispensable(model), found.tensors)
        loaded = replace(_with_file(network, found, partial), left_out=left_out)
    return Source(
        loaded,
        architecture=model,
        example=_example((1, 3, *preprocessing.size)),
        preprocessing=preprocessing.as_json(),
        layer_names=networks.layer_names(model, loaded.network),
        dataset="ImageNet" if weights in published else None,
    )


def _load_from_factory(model: str, weights: str | None, seed: int, partial: bool) -> Source:
    """A network that a python function returns.

    The function's module may say more: `EXAMPLE_SHAPE`, the shape of an input (else 224x224, with the channels of the
    first convolution), and `PREPROCESSING`, a JSON record.
    """
    module, factory = _import_factory(*model.split(":", 1))

    def build() -> nn.Module:
        try:
            network = factory()
        except Exception as error:
            raise InputError(f"{model} failed with {type(error).__name__}: {error}") from error
        if not isinstance(network, nn.Module):
            raise InputError(f"{model} returned a {type(network).__name__}, not a torch.nn.Module")
        return network.cpu().float()

    if weights == RANDOM:
        loaded = _random(build, seed, _factory_preprocessing(module))
    elif weights is None:
        with _random_start(seed):
            loaded = _as_made(build(), f"as {model} returns them")
    else:
        loaded = _with_file(build(), read_weights(_file(model, weights)), partial)
    channels = next((part.in_channels for part in loaded.network.modules() if isinstance(part, nn.Conv2d)), 3)
    return Source(
        loaded,
        architecture=model,
        example=_factory_example(module, (1, channels, 224, 224)),
        preprocessing=getattr(module, "PREPROCESSING", None),
    )


def _factory_preprocessing(module: ModuleType) -> Preprocessing | None:
    record = getattr(module, "PREPROCESSING", None)
    try:
        return None if record is None else Preprocessing.from_json(record)
    except (KeyError, TypeError, ValueError):
        return None


def _factory_example(module: ModuleType, otherwise: tuple[int, ...]) -> Tensor:
    shape = getattr(module, "EXAMPLE_SHAPE", otherwise)
    try:
        return _example(shape)
    except (TypeError, RuntimeError) as error:
        raise InputError(f"EXAMPLE_SHAPE of {module.__name__} is {shape!r}, not a shape such as {otherwise}") from error


def _import_factory(module_name: str, factory_name: str) -> tuple[ModuleType, Callable[[], Any]]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"cannot import {module_name!r} from the current directory or the environment "
            f"({type(error).__name__}: {error})"
        ) from error
    finally:
        sys.path.remove(here)
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        callables = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        near = difflib.get_close_matches(factory_name, callables, 3)
        raise InputError(
            f"{module_name} has no function {factory_name!r}" + (f"; nearest: {', '.join(near)}" if near else "")
        )
    return module, factory
