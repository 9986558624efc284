"""The handwritten networks as torch modules: rosters and wiring become weights, noise is put between.

Every planted filter has L2 norm 1 before its gain. A twentieth of the energy into every unit is a random background
from all units of the layer before; noise units read a few of them strongly as well. Background and noise are mirrored
and turned with the units, so the whole network commutes with mirroring, and its first two layers with quarter turns.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ingest.architectures.handwritten.formulas import Grid, blob, disc, grid, without_mean
from ingest.architectures.handwritten.units import LAYERS, ROSTERS, Transform, Unit, image, positions
from ingest.architectures.handwritten.wiring import FILTERS, WIRING, Wiring

Weights = npt.NDArray[np.float64]
"""Weights [target, source, y, x]."""

HEIGHT = WIDTH = 80
BACKGROUND_ENERGY = 0.05
NOISE_INPUTS = 6
SEED = 2024
POOLED_BEFORE = "shapes"
DECIMALS = 6
"""Weights are rounded to so many decimals, so that turned copies are equal to the last bit."""

GRIDS: Mapping[str, Grid] = {
    "lines": grid(9),
    "curves": grid(9),
    "shapes": grid(7, 2.0),
    "parts": grid(11, 2.0),
    "objects": grid(3, 2.0),
}
"""The cells that a layer's kernels cover, in pixels; a pool by two lies between curves and shapes."""


@dataclass(frozen=True)
class Answer:
    """What becomes of a kind's filter of norm 1: it is multiplied by `gain`, and `bias` is added."""

    gain: float
    bias: float


ANSWERS: Mapping[str, Answer] = {
    "light line": Answer(0.31, -0.1),
    "dark line": Answer(0.31, -0.1),
    "fine light grating": Answer(0.17, -0.1),
    "fine dark grating": Answer(0.17, -0.1),
    "fine grating edge": Answer(0.16, -0.1),
    "shading": Answer(0.13, -0.15),
    "red": Answer(0.18, -0.1),
    "green": Answer(0.18, -0.1),
    "blue": Answer(0.18, -0.1),
    "curve": Answer(0.66, -0.6),
    "long line": Answer(0.67, -0.4),
    "corner": Answer(1.2, -0.5),
    "fur": Answer(0.46, -0.4),
    "high frequency": Answer(0.34, -0.2),
    "low frequency": Answer(0.41, -0.3),
    "high-low frequency": Answer(1.0, -0.8),
    "wheel": Answer(0.57, -0.6),
    "windows": Answer(1.3, -0.6),
    "body": Answer(0.48, -0.5),
    "dog head": Answer(0.97, -0.8),
    "coat": Answer(0.49, -0.2),
    "dog head and neck": Answer(0.37, -0.3),
    "dog torso": Answer(0.17, -0.6),
    "car": Answer(2.5, -0.9),
    "dog": Answer(0.67, -0.2),
    "dog head beside car": Answer(0.51, 0.0),
    "dog torso beside car": Answer(0.44, 0.0),
    "car heir": Answer(1.0, 0.0),
}
"""By kind: a unit answers about 1 to the picture of what it looks for, and little to the others."""

NOISE_ANSWERS: Mapping[str, Answer] = {
    "lines": Answer(0.76, 0.0),
    "curves": Answer(0.97, -0.1),
    "shapes": Answer(0.6, -0.1),
    "parts": Answer(0.44, -0.1),
    "objects": Answer(1.1, -0.1),
}
"""By layer, so that noise is about as loud as the rest."""


class Stage(nn.Module):
    """Perhaps a max pool by two, then a convolution and a ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, pool: bool = False) -> None:
        super().__init__()
        targets, sources, side, _ = weight.shape
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.conv = nn.Conv2d(sources, targets, side, padding=side // 2)
        self.conv.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, x: Tensor) -> Tensor:
        """[batch, source, y, x] to [batch, target, y, x]."""
        return functional.relu(self.conv(self.pool(x)))


def transformed(kernels: Weights, transform: Transform) -> Weights:
    """Kernels [..., y, x] of the transformed picture."""
    mirrored = kernels[..., ::-1] if transform.mirrored else kernels
    return np.rot90(mirrored, round(transform.degrees / 90), axes=(-2, -1))


def _images(roster: Sequence[Unit], transform: Transform) -> npt.NDArray[np.int64]:
    """For every unit the index of its image, -1 where the roster has none."""
    index = positions(roster)
    images = (image(unit, transform) for unit in roster)
    return np.array([-1 if unit is None else index.get(unit, -1) for unit in images])


def spread(kernels: Weights, targets: Sequence[Unit], sources: Sequence[Unit]) -> Weights:
    """Kernels [target, source, y, x] summed over what they become under each target's own transforms.

    `sources` is empty for the first layer, whose sources are colours, which no transform moves.
    """
    total = np.zeros_like(kernels)
    for transform in {transform: None for unit in targets for transform in unit.group}:
        rows = np.array([k for k, unit in enumerate(targets) if transform in unit.group])
        to_rows = _images(targets, transform)[rows]
        to_columns = _images(sources, transform) if sources else np.arange(kernels.shape[1])
        total[np.ix_(to_rows, to_columns)] += transformed(kernels[rows], transform)
    return total


def _norms(kernels: Weights) -> Weights:
    """The L2 norm of each target's whole filter, [target, 1, 1, 1], at least a hair above 0."""
    norms: Weights = np.maximum(np.sqrt(np.square(kernels).sum(axis=(1, 2, 3), keepdims=True)), 1e-12)
    return norms


def planted_kernels(targets: Sequence[Unit], sources: Sequence[Unit], at: Grid, wiring: Wiring) -> Weights:
    """The formulas' kernels [target, source, y, x], each target's filter of norm 1, noise units' filters 0."""
    side = at.x.shape[0]
    kernels = np.zeros((len(targets), len(sources) or 3, side, side))
    for row, target in enumerate(targets):
        if not sources and target.kind in FILTERS:
            kernels[row] = FILTERS[target.kind](target, at)
        for column, source in enumerate(sources):
            rule = wiring.get((target.kind, source.kind))
            if rule is not None:
                kernels[row, column] = rule(target, source, at)
    return kernels / _norms(kernels)


def _background(targets: Sequence[Unit], sources: Sequence[Unit], at: Grid, random: np.random.Generator) -> Weights:
    """Weak random kernels between all units, each target's of norm 1."""
    side = at.x.shape[0]
    kernels = spread(random.normal(size=(len(targets), len(sources), side, side)), targets, sources)
    return kernels / _norms(kernels)


def _noise(targets: Sequence[Unit], sources: Sequence[Unit], at: Grid, random: np.random.Generator) -> Weights:
    """Strong kernels of noise units from a few sources each, every filter of norm 1; the others' filters are 0.

    Half of the sources excite. None is its own mirror image or read together with that, so that noise is not its
    own mirror image either, and hosts no car.
    """
    side = at.x.shape[0]
    kernels = np.zeros((len(targets), len(sources) or 3, side, side))
    first_of_orbit = {unit.kind: row for row, unit in reversed(list(enumerate(targets))) if unit.is_noise}
    for row in sorted(first_of_orbit.values()):
        if not sources:
            white = random.normal(size=(3, side, side))
            envelope = blob(at, 1.8) * disc(at, 3.8)
            kernels[row] = np.stack([without_mean(colour, envelope) for colour in white])
            continue
        chosen: list[int] = []
        kinds: set[str] = set()
        for column in random.permutation(len(sources)).tolist():
            source = sources[column]
            its_own_image = all(image(source, transform) == source for transform in targets[row].group)
            if len(chosen) < NOISE_INPUTS and source.kind not in kinds and not its_own_image:
                chosen.append(column)
                kinds.add(source.kind)
        for number, column in enumerate(chosen):
            sign = -1.0 if number % 2 == 1 else 1.0
            reach = float(at.x.max())
            place = at.moved(*(random.uniform(-0.7, 0.7, 2) * reach).tolist())
            bumpy = blob(place, reach / 2) * (1 + 0.5 * random.normal(size=(side, side)))
            kernels[row, column] = sign * random.uniform(0.7, 1.3) * bumpy
    kernels = spread(kernels, targets, sources)
    return kernels / _norms(kernels)


def layer_weights(
    layer: str, rosters: Mapping[str, Sequence[Unit]] = ROSTERS, wiring: Wiring = WIRING, seed: int = SEED
) -> tuple[Weights, npt.NDArray[np.float64]]:
    """Weights [target, source, y, x] and biases [target] of one layer."""
    depth = LAYERS.index(layer)
    targets = rosters[layer]
    sources = rosters[LAYERS[depth - 1]] if depth else ()
    at = GRIDS[layer]
    random = np.random.default_rng((seed, depth))
    kernels = planted_kernels(targets, sources, at, wiring) + _noise(targets, sources, at, random)
    if sources:
        kernels += math.sqrt(BACKGROUND_ENERGY) * _background(targets, sources, at, random)
    answers = [NOISE_ANSWERS[layer] if unit.is_noise else ANSWERS[unit.kind] for unit in targets]
    gains = np.array([answer.gain for answer in answers])
    biases = np.array([answer.bias for answer in answers])
    return np.round(kernels * gains[:, None, None, None], DECIMALS), biases


def network(
    rosters: Mapping[str, Sequence[Unit]] = ROSTERS, wiring: Wiring = WIRING, seed: int = SEED
) -> nn.Sequential:
    """A handwritten network in evaluation mode, its stages named after their layers."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in LAYERS:
        weight, bias = layer_weights(layer, rosters, wiring, seed)
        stages[layer] = Stage(_tensor(weight), _tensor(bias), pool=layer == POOLED_BEFORE)
    return nn.Sequential(stages).eval()


def _tensor(array: npt.NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array).float()
