"""Networks of one or two convolutions and pictures of noise, for tests of probes and maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ingest.layers import find_layers
from ingest.linearise import linearise
from ingest.preprocessing import Preprocessing
from ingest.probes import ProbeSet
from ingest.steps import Step
from ingest.tracing import trace


def centred(side: int) -> Preprocessing:
    """Grey is 0, black -1, white 1."""
    return Preprocessing("RGB", (-1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (side, side))


def noise(side: int, pictures: int = 6, seed: int = 0) -> ProbeSet:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (pictures, side, side, 3)).astype(np.uint8)
    return ProbeSet("noise", tuple(map(str, range(pictures))), pixels)


def convolution(kernels: Tensor, *, stride: int = 1, bias: float = 0.0) -> nn.Conv2d:
    """Kernels [unit, channel, y, x], padded so that cells keep their places."""
    units, channels, side, _ = kernels.shape
    made = nn.Conv2d(channels, units, side, stride, padding=side // 2)
    made.load_state_dict({"weight": kernels.float(), "bias": torch.full((units,), bias)})
    return made


def steps_of(network: nn.Module, side: int) -> list[Step]:
    traced = trace(network, torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)))
    steps = linearise(traced)
    return [steps[layer.step] for layer in find_layers(traced, steps).layers]


def planted(side: int = 5, seed: int = 1) -> Tensor:
    """Kernels of 9 units: a mirrored pair, four quarter turns, one that is the same from all sides, two random ones."""
    draw = torch.Generator().manual_seed(seed)
    mirrored, turned, round_, decoy, other = torch.randn(5, 3, side, side, generator=draw)
    alike = sum(torch.rot90(k, quarter, (-2, -1)) for quarter in range(4) for k in (round_, round_.flip(-1)))
    return torch.stack(
        [
            mirrored,
            mirrored.flip(-1),
            *(torch.rot90(turned, quarter, (-2, -1)) for quarter in range(4)),
            alike / 8,
            decoy,
            other,
        ]
    )
