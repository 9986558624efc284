"""InceptionV1 (GoogLeNet), the network of the Circuits thread, as Caffe and as TensorFlow compute it.

In: the names and tensors of a weights file. Out: which of the two published sets it is, the network at the widths
that the file has, and the file's name of each parameter. Layers are modules called as the essay calls them: conv2d0,
conv2d1, conv2d2, mixed3a ... mixed5b, softmax. Architecture: Szegedy et al. 2015, "Going deeper with convolutions".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ingest.preprocessing import Preprocessing

EXAMPLE_SHAPE = (1, 3, 224, 224)

BLOCKS = ("mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed5a", "mixed5b")
LAYERS = ("conv2d0", "conv2d1", "conv2d2", *BLOCKS, "softmax")

_STEM = {"conv2d0": 64, "conv2d1": 64, "conv2d2": 192}
_PARTS = ("1x1.conv", "3x3.reduce", "3x3.conv", "5x5.reduce", "5x5.conv", "pool.conv")
_BLOCK_WIDTHS = {  # in the order of _PARTS; Szegedy et al. 2015, table 1
    "mixed3a": (64, 96, 128, 16, 32, 32),
    "mixed3b": (128, 128, 192, 32, 96, 64),
    "mixed4a": (192, 96, 208, 16, 48, 64),
    "mixed4b": (160, 112, 224, 24, 64, 64),
    "mixed4c": (128, 128, 256, 24, 64, 64),
    "mixed4d": (112, 144, 288, 32, 64, 64),
    "mixed4e": (256, 160, 320, 32, 128, 128),
    "mixed5a": (256, 160, 320, 32, 128, 128),
    "mixed5b": (384, 192, 384, 48, 128, 128),
}
_BVLC_WIDTHS = {
    **_STEM,
    **{f"{block}.{part}": n for block, row in _BLOCK_WIDTHS.items() for part, n in zip(_PARTS, row, strict=True)},
    "softmax": 1000,
}


@dataclass(frozen=True)
class Variant:
    """One of the published sets of weights: what is computed differently, and how its file names the parameters.

    `padding`: rows and columns of zeros before and after the picture in conv2d0. `widths`: channels that each
    convolution has where the file does not say. `file_names`: the file's name of each convolution of the network.
    `auxiliary`: how the names of the heads begin that training alone uses.
    """

    name: Literal["bvlc", "inception5h"]
    padding: tuple[int, int]
    lrn_size: int
    lrn_beta: float
    preprocessing: Preprocessing
    widths: Mapping[str, int]
    file_names: Mapping[str, str]
    dataset: str
    licence: str | None
    auxiliary: tuple[str, ...]


def _bvlc_name(part: str) -> str:
    stem = {
        "conv2d0": "conv1/7x7_s2",
        "conv2d1": "conv2/3x3_reduce",
        "conv2d2": "conv2/3x3",
        "softmax": "loss3/classifier",
    }
    if part in stem:
        return stem[part]
    block, branch, step = part.split(".")
    caffe = "pool_proj" if branch == "pool" else branch
    return f"inception_{block.removeprefix('mixed')}/{caffe}{'_reduce' if step == 'reduce' else ''}"


def _inception5h_name(part: str) -> str:
    if part == "softmax":
        return "softmax2_pre_activation_matmul"
    if part in _STEM:
        return f"{part}_pre_relu_conv"
    block, branch, step = part.split(".")
    port = "pool_reduce" if branch == "pool" else branch
    return f"{block}_{port}{'_bottleneck' if step == 'reduce' else ''}_pre_relu_conv"


BVLC = Variant(
    name="bvlc",
    padding=(3, 3),
    lrn_size=5,
    lrn_beta=0.75,
    preprocessing=Preprocessing("BGR", (0.0, 255.0), mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0), size=(224, 224)),
    widths=_BVLC_WIDTHS,
    file_names={part: _bvlc_name(part) for part in _BVLC_WIDTHS},
    dataset="ImageNet (ILSVRC 2012)",
    licence="BVLC: unrestricted use",
    auxiliary=("loss1/", "loss2/"),
)
INCEPTION5H = Variant(
    name="inception5h",
    padding=(2, 3),
    lrn_size=9,
    lrn_beta=0.5,
    preprocessing=Preprocessing("RGB", (0.0, 255.0), mean=(117.0, 117.0, 117.0), std=(1.0, 1.0, 1.0), size=(224, 224)),
    widths={**_BVLC_WIDTHS, "mixed4a.3x3.conv": 204, "mixed5a.5x5.reduce": 48, "softmax": 1008},
    file_names={part: _inception5h_name(part) for part in _BVLC_WIDTHS},
    dataset="ImageNet",
    licence=None,
    auxiliary=("head0", "head1", "nn0", "nn1", "softmax0", "softmax1"),
)
VARIANTS = (BVLC, INCEPTION5H)


class _Convolution(nn.Module):
    """Zero padding, a convolution and a ReLU. The layers conv2d0, conv2d1 and conv2d2."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: tuple[int, int] = (0, 0)):
        super().__init__()
        before, after = padding
        symmetric = before == after
        self.pad = nn.Identity() if symmetric else nn.ZeroPad2d((before, after, before, after))
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding=before if symmetric else 0)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(self.pad(x)))


class _Mixed(nn.ModuleDict):
    """An inception block: four branches side by side, concatenated in the order 1x1, 3x3, 5x5, pool."""

    def __init__(self, inputs: int, widths: tuple[int, ...]):
        one, reduce3, three, reduce5, five, pool = widths

        def branch(reduce: int, outputs: int, size: int) -> nn.Sequential:
            steps = nn.Sequential()
            steps.add_module("reduce", nn.Conv2d(inputs, reduce, 1))
            steps.add_module("reduce_relu", nn.ReLU())
            steps.add_module("conv", nn.Conv2d(reduce, outputs, size, padding=size // 2))
            steps.add_module("relu", nn.ReLU())
            return steps

        pointwise = nn.Sequential()
        pointwise.add_module("conv", nn.Conv2d(inputs, one, 1))
        pointwise.add_module("relu", nn.ReLU())
        pooled = nn.Sequential()
        pooled.add_module("pool", nn.MaxPool2d(3, stride=1, padding=1))
        pooled.add_module("conv", nn.Conv2d(inputs, pool, 1))
        pooled.add_module("relu", nn.ReLU())
        super().__init__(
            {"1x1": pointwise, "3x3": branch(reduce3, three, 3), "5x5": branch(reduce5, five, 5), "pool": pooled}
        )
        self.outputs = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.values()], dim=1)


class InceptionV1(nn.Module):
    """The network. [pictures, 3, height, width] to [pictures, classes] before the softmax.

    Both frameworks' stride-2 max pools reach over the lower and right border alone, as `ceil_mode` does, where the
    sides of the picture are multiples of 32. LRN is torch's, which divides alpha by the size as Caffe does.
    """

    def __init__(self, variant: Variant, widths: Mapping[str, int]):
        super().__init__()
        self.conv2d0 = _Convolution(3, widths["conv2d0"], 7, stride=2, padding=variant.padding)
        self.conv2d1 = _Convolution(widths["conv2d0"], widths["conv2d1"], 1)
        self.conv2d2 = _Convolution(widths["conv2d1"], widths["conv2d2"], 3, padding=(1, 1))
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.lrn = nn.LocalResponseNorm(variant.lrn_size, alpha=1e-4, beta=variant.lrn_beta, k=1.0)
        inputs = widths["conv2d2"]
        for block in BLOCKS:
            mixed = _Mixed(inputs, tuple(widths[f"{block}.{part}"] for part in _PARTS))
            self.add_module(block, mixed)
            inputs = mixed.outputs
        self.average = nn.AdaptiveAvgPool2d(1)
        self.softmax = nn.Linear(inputs, widths["softmax"])

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of pictures."""
        x = self.lrn(self.pool(self.conv2d0(x)))
        x = self.pool(self.lrn(self.conv2d2(self.conv2d1(x))))
        for block in BLOCKS:
            if block in ("mixed4a", "mixed5a"):
                x = self.pool(x)
            x = self.get_submodule(block)(x)
        logits: Tensor = self.softmax(self.average(x).flatten(1))
        return logits


def recognise(names: Collection[str]) -> Variant | None:
    """The set of weights whose parameter names a file has, or None if it has none of either."""
    found = {
        variant.name: sum(f"{name}.weight" in names for name in variant.file_names.values()) for variant in VARIANTS
    }
    best = max(VARIANTS, key=lambda variant: found[variant.name])
    return best if found[best.name] else None


def parameter_names(variant: Variant) -> dict[str, str]:
    """The file's name of each parameter of the network, by the network's own name."""
    return {
        f"{part if part == 'softmax' else f'{part}.conv' if part in _STEM else part}.{kind}": f"{name}.{kind}"
        for part, name in variant.file_names.items()
        for kind in ("weight", "bias")
    }


def from_file(variant: Variant, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the network's names; unknown names stay, those of the auxiliary heads are left out."""
    own_names = {in_file: own for own, in_file in parameter_names(variant).items()}
    return {
        own_names.get(name, name): tensor for name, tensor in tensors.items() if not name.startswith(variant.auxiliary)
    }


def build(variant: Variant, tensors: Mapping[str, Tensor]) -> InceptionV1:
    """The network at the widths of a file's tensors, or at the published ones where the file has no tensor."""
    given = {part: tensors.get(f"{name}.weight") for part, name in variant.file_names.items()}
    widths = {
        part: variant.widths[part] if tensor is None or tensor.ndim == 0 else tensor.shape[0]
        for part, tensor in given.items()
    }
    return InceptionV1(variant, widths)
