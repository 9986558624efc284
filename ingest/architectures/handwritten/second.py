"""The second handwritten network: the same circuits with other unit order, other scales and one layer more.

In front of the lines lies a layer that splits every colour into what is lighter and what is darker than grey; from
there on each unit of `handwritten` has one counterpart, which answers as it does, but for its scale.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ingest.architectures.handwritten.networks import Stage, network
from ingest.architectures.handwritten.units import LAYERS

SECOND_LAYERS: Mapping[str, str] = {layer: f"conv{k}" for k, layer in enumerate(LAYERS, start=2)}
"""The layer of the second network that holds the counterparts of a layer of the first."""

CONTRASTS = ("lighter red", "lighter green", "lighter blue", "darker red", "darker green", "darker blue")
"""The units of the layer more, `conv1`, before they are put in another order."""

_SEED = 2021


def order(layer: str, width: int) -> npt.NDArray[np.int64]:
    """For each place in the second network's layer the place in the first's."""
    return np.random.default_rng((_SEED, *layer.encode())).permutation(width)


def _scales(layer: str, width: int) -> npt.NDArray[np.float64]:
    """What every unit of the second network's layer answers, as a multiple of its counterpart.

    A quarter to four from layer to layer, and a sixth more or less from unit to unit. A unit's own scale leaves its
    inputs' shares alone, but a reader's shares change with the ratio of its sources' scales; so little keeps every
    planted edge above its threshold.
    """
    random = np.random.default_rng((_SEED + 1, *layer.encode()))
    return np.exp2(random.uniform(-2, 2) + random.uniform(-0.23, 0.23, width))


def second_network() -> nn.Sequential:
    """The second network in evaluation mode."""
    first = network()
    split = order("conv1", len(CONTRASTS))
    # A colour is what is lighter in it less what is darker.
    signed = np.concatenate([np.eye(3), -np.eye(3)])[split]
    scales = _scales("conv1", len(CONTRASTS))
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_stage((signed * scales[:, None])[:, :, None, None], np.zeros(len(CONTRASTS)), None)
    )
    into_sources = signed / scales[:, None]
    for name, stage in first.named_children():
        assert isinstance(stage, Stage)
        layer = SECOND_LAYERS[name]
        assert stage.conv.bias is not None
        weight, bias = (p.detach().double().numpy() for p in (stage.conv.weight, stage.conv.bias))
        places = order(layer, len(bias))
        scales = _scales(layer, len(bias))
        moved = np.einsum("tsyx,us->tuyx", weight[places], into_sources) * scales[:, None, None, None]
        stages[layer] = _stage(moved, bias[places] * scales, stage.pool)
        into_sources = np.eye(len(bias))[places] / scales[:, None]
    return nn.Sequential(stages).eval()


def _stage(weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], pool: nn.Module | None) -> Stage:
    return Stage(torch.from_numpy(weight).float(), torch.from_numpy(bias).float(), isinstance(pool, nn.MaxPool2d))
