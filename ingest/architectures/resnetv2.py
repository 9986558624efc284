"""ResNetV2-50, the pre-activation residual network, as TF-Slim builds it.

In: the names and tensors of a weights file, either a state dict of this module or TF-Slim's weights with folded batch
norms and O,H,W,I layout. Out: the network, and the file's tensors under the network's names. A block's output is the
sum before any normalisation. Architecture: He et al. 2016, "Identity mappings in deep residual networks"; TF-Slim
reduces the resolution in the last unit of a block, not in the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ingest.preprocessing import Preprocessing

EXAMPLE_SHAPE = (1, 3, 224, 224)
PREPROCESSING = Preprocessing("RGB", (-1.0, 1.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=(224, 224))

_BLOCKS = {"block1": (64, 3, 2), "block2": (128, 4, 2), "block3": (256, 6, 2), "block4": (512, 3, 1)}
"""Bottleneck width, units, and stride of the last unit."""
_CLASSES = 1001


class _BatchNormRelu(nn.BatchNorm2d):
    """Batch norm, then ReLU."""

    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x))


class _Unit(nn.Module):
    """One bottleneck unit: normalise and rectify, three convolutions, add the input or its projection."""

    def __init__(self, inputs: int, bottleneck: int, stride: int):
        super().__init__()
        outputs = 4 * bottleneck
        self.stride = stride
        self.preact = _BatchNormRelu(inputs)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride)
        self.conv1 = nn.Conv2d(inputs, bottleneck, 1, bias=False)
        self.norm1 = _BatchNormRelu(bottleneck)
        self.conv2 = nn.Conv2d(bottleneck, bottleneck, 3, stride, padding=1, bias=False)
        self.norm2 = _BatchNormRelu(bottleneck)
        self.conv3 = nn.Conv2d(bottleneck, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        preact = self.preact(x)
        if self.shortcut is not None:
            shortcut = self.shortcut(preact)
        elif self.stride == 1:
            shortcut = x
        else:
            shortcut = functional.max_pool2d(x, 1, self.stride)
        residual = self.norm1(self.conv1(preact))
        residual = self.norm2(self.conv2(residual))
        output: Tensor = shortcut + self.conv3(residual)
        return output


class ResNetV2(nn.Module):
    """ResNetV2-50. [pictures, 3, height, width] to [pictures, 1001]; class 0 is the background.

    The first max pool reaches over the lower and right border, as TensorFlow's does where the picture's sides are
    multiples of 4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        inputs = 64
        for name, (bottleneck, units, stride) in _BLOCKS.items():
            block = nn.Sequential()
            for unit in range(1, units + 1):
                block.add_module(f"unit_{unit}", _Unit(inputs, bottleneck, stride if unit == units else 1))
                inputs = 4 * bottleneck
            self.add_module(name, block)
        self.postnorm = _BatchNormRelu(inputs)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.logits = nn.Linear(inputs, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of pictures."""
        x = self.pool1(self.conv1(x))
        for name in _BLOCKS:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.logits(self.average(self.postnorm(x)).flatten(1))
        return logits


def layer_names() -> dict[str, str]:
    """The name of each feature layer, by module path: `block1_unit_1`, as TF-Slim's end points, and `_conv1` inside.

    What only passes through a normalisation on its way to the next block is that normalisation's output: the module of
    `conv1` is `block1.unit_1.preact`, that of `block1_unit_3` is `block2.unit_1.preact`, that of the last unit
    `postnorm`.
    """
    names: dict[str, str] = {}
    before = "conv1"
    for block, (_, units, _) in _BLOCKS.items():
        names[f"{block}.unit_1.preact"] = before
        for unit in range(1, units + 1):
            before = f"{block}_unit_{unit}"
            names |= {f"{block}.unit_{unit}": before}
            names |= {f"{block}.unit_{unit}.norm{k}": f"{before}_conv{k}" for k in (1, 2)}
    return names | {"postnorm": before}


_SLIM = "resnet_v2_50_"


def is_slim(names: Collection[str]) -> bool:
    """Whether these are TF-Slim's names, with the batch norms folded."""
    return any(name.startswith(_SLIM) for name in names)


def slim_names() -> dict[str, str]:
    """TF-Slim's name of each parameter of the network that a folded file holds, by the network's own name.

    The batch norm behind conv1 and conv2 is folded into the convolution: its shift is the file's `Conv2D_bias`.
    """
    return dict(_slim_names())


def _slim_names() -> Iterator[tuple[str, str]]:
    yield from _slim_convolution("conv1", f"{_SLIM}conv1")
    for block, (_, units, _) in _BLOCKS.items():
        for unit in range(1, units + 1):
            own, slim = f"{block}.unit_{unit}", f"{_SLIM}{block}_unit_{unit}_bottleneck_v2_"
            yield from _slim_norm(f"{own}.preact", f"{slim}preact")
            if unit == 1:
                yield from _slim_convolution(f"{own}.shortcut", f"{slim}shortcut")
            for k in (1, 2):
                yield f"{own}.conv{k}.weight", f"{slim}conv{k}_weights"
                yield f"{own}.norm{k}.bias", f"{slim}conv{k}_Conv2D_bias"
            yield from _slim_convolution(f"{own}.conv3", f"{slim}conv3")
    yield from _slim_norm("postnorm", f"{_SLIM}postnorm")
    yield from _slim_convolution("logits", f"{_SLIM}logits")


def _slim_convolution(own: str, slim: str) -> Iterator[tuple[str, str]]:
    yield f"{own}.weight", f"{slim}_weights"
    yield f"{own}.bias", f"{slim}_Conv2D_bias"


def _slim_norm(own: str, slim: str) -> Iterator[tuple[str, str]]:
    yield f"{own}.weight", f"{slim}_FusedBatchNorm_mul_0_param"
    yield f"{own}.bias", f"{slim}_FusedBatchNorm_add_param"


def from_slim(tensors: Mapping[str, Tensor], network: ResNetV2) -> dict[str, Tensor]:
    """A folded file's tensors under the network's names and in its layout; unknown names stay as they are.

    A folded batch norm becomes one whose mean is 0 and whose variance and epsilon add up to 1.
    """
    own_names = {slim: own for own, slim in slim_names().items()}
    own = {own_names.get(name, name): tensor for name, tensor in tensors.items()}
    for name, tensor in own.items():
        if name.endswith("weight") and tensor.ndim == 4:
            own[name] = tensor.permute(0, 3, 1, 2).contiguous()
    if "logits.weight" in own:
        own["logits.weight"] = own["logits.weight"].flatten(1)
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and f"{path}.bias" in own:
            channels = module.num_features
            if path.rpartition(".")[2] in ("norm1", "norm2"):
                own[f"{path}.weight"] = torch.ones(channels)
            own[f"{path}.running_mean"] = torch.zeros(channels)
            own[f"{path}.running_var"] = torch.full((channels,), 1.0 - module.eps)
    return own
