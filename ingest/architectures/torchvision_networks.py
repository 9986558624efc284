"""torchvision's classification networks: which there are, how they are built, and what people call their layers.

In: a network's name. Out: the network without weights, the input it takes, the names of its feature layers, or the
file of its published weights.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from torch import nn

from circuitdb.errors import CircuitdbError
from ingest.preprocessing import Preprocessing

_DISPENSABLE = {
    "alexnet": ("classifier",),
    "vgg": ("classifier",),
    "googlenet": ("aux1", "aux2"),
    "inception_v3": ("AuxLogits",),
}
"""Children without which a network is whole, by the start of its name: fully connected layers behind a flattening,
which are feature layers on request only, and auxiliary heads, which training alone uses."""

_RESNET_RELUS = {"relu": "conv1", "relu_1": "conv2"}
"""The one ReLU of a residual block runs behind each of its convolutions; layers are called by these."""


@cache
def _models() -> ModuleType:
    try:
        import torchvision.models
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        raise CircuitdbError(
            "torchvision does not match torch (operator torchvision::nms does not exist: their versions or builds "
            "differ); install both anew from one place: pip install --force-reinstall torch torchvision"
        ) from error
    models: ModuleType = torchvision.models
    return models


def names() -> list[str]:
    """The names of torchvision's classification networks."""
    models = _models()
    found: list[str] = models.list_models(module=models)
    return found


def build(name: str) -> nn.Module:
    """The network with torchvision's own random start, in evaluation mode."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*initialization", category=FutureWarning)
        network: nn.Module = _models().get_model(name, weights=None)
    return network.eval()


def build_blank(name: str) -> nn.Module:
    """The network for weights to be put in: without values where it can be built so, else with a random start."""
    try:
        with torch.device("meta"):
            return build(name)
    except NotImplementedError:  # RegNet computes its widths with tensors
        return build(name)


def dispensable(name: str) -> tuple[str, ...]:
    """Children of the network that a weights file need not cover."""
    return next((children for start, children in _DISPENSABLE.items() if name.startswith(start)), ())


def preprocessing(name: str, weights: str = "DEFAULT") -> Preprocessing:
    """What the network takes when it has torchvision's weights of that name."""
    transforms = _published(name, weights).transforms()
    (size,) = transforms.crop_size
    return Preprocessing("RGB", (0.0, 1.0), tuple(transforms.mean), tuple(transforms.std), (size, size))


def weights_names(name: str) -> list[str]:
    """The names of torchvision's own weights for the network, DEFAULT first."""
    others = [name for name in _models().get_model_weights(name).__members__ if name != "DEFAULT"]
    return ["DEFAULT", *others]


def _published(name: str, weights: str) -> Any:
    return _models().get_model_weights(name)[weights]


def download(name: str, weights: str) -> tuple[Path, str]:
    """torchvision's own weights: the file in torch's cache, fetched if it is not there, and their full name.

    Raises
    ------
    CircuitdbError
        If the file cannot be fetched, or is not the one that was published.
    """
    published = _published(name, weights)
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(published.url).path).name
    if not file.exists():
        prefix = re.search(r"-([0-9a-f]{8,})\.", file.name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(published.url, str(file), prefix and prefix[1], progress=False)
        except (OSError, RuntimeError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise CircuitdbError(
                f"cannot download {published} ({reason}); fetch {published.url} on a machine with a connection "
                f"and pass it by --weights FILE"
            ) from error
    return file, str(published)


def layer_names(name: str, network: nn.Module) -> dict[str, str]:
    """What the literature calls the network's feature layers, by module path; others keep their path.

    A second run of one module has `_1` behind its path.
    """
    if name.startswith("alexnet"):
        return _numbered(network, "conv{total}", {"classifier.2": "fc6", "classifier.5": "fc7", "classifier.6": "fc8"})
    if name.startswith("vgg"):
        heads = {"classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8"}
        return _numbered(network, "conv{block}_{place}", heads)
    if name.startswith("squeezenet"):
        fires = [path for path, module in network.named_modules() if type(module).__name__ == "Fire"]
        return {
            "features.1": "conv1",
            **{path: f"fire{number}" for number, path in enumerate(fires, start=2)},
            "classifier.2": "conv10",
        }
    if name.startswith(("resnet", "resnext", "wide_resnet")):
        blocks = [
            path for path, module in network.named_modules() if type(module).__name__ in ("BasicBlock", "Bottleneck")
        ]
        inner = {f"{block}.{relu}": f"{block}.{name}" for block in blocks for relu, name in _RESNET_RELUS.items()}
        return {"relu": "conv1", **inner}
    return {}


def _numbered(network: nn.Module, pattern: str, heads: dict[str, str]) -> dict[str, str]:
    """Names of the ReLUs of a plain chain: `total` counts convolutions, `block` pools, `place` since the last pool."""
    names = dict(heads)
    total, block, place = 0, 1, 0
    for path, module in network.get_submodule("features").named_children():
        if isinstance(module, nn.Conv2d):
            total, place = total + 1, place + 1
        elif isinstance(module, nn.MaxPool2d):
            block, place = block + 1, 0
        elif isinstance(module, nn.ReLU):
            names[f"features.{path}"] = pattern.format(total=total, block=block, place=place)
    return names
