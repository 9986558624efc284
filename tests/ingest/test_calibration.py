"""Random networks: what their layers answer to pictures neither dies out nor stays the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ingest.calibration import PICTURES, calibrate
from ingest.preprocessing import Preprocessing, imagenet
from ingest.responses import as_input, resized
from ingest.sources import load
from ingest.stimuli import scenes

SMALL = imagenet(48, 48)


def built_in(preprocessing: Preprocessing) -> Tensor:
    side = max(preprocessing.size)
    return as_input(resized(scenes(side, PICTURES), preprocessing.size), preprocessing)


def outputs(network: nn.Module, pictures: Tensor, kinds: type | tuple[type, ...]) -> list[Tensor]:
    """What the modules of these kinds return, in order, [unit, value]."""
    seen: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, output: seen.append(output.transpose(0, 1).flatten(1)))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        network.eval()(pictures)
    for handle in handles:
        handle.remove()
    return seen


def chain(normed: bool, depth: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for place in range(depth):
        layers.append(nn.Conv2d(3 if place == 0 else 12, 12, 3, padding=1, bias=not normed))
        layers += [nn.BatchNorm2d(12)] if normed else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))


@pytest.mark.parametrize("normed", [True, False])
def test_every_unit_has_mean_0_and_deviation_1_over_the_pictures(normed: bool) -> None:
    network = chain(normed)
    calibrate(network, SMALL)
    assert not any(module.training for module in network.modules())
    for values in outputs(network, built_in(SMALL), nn.BatchNorm2d if normed else (nn.Conv2d, nn.Linear)):
        assert values.mean(1).abs().max() < 1e-3
        assert (values.std(1, correction=0) - 1).abs().max() < 1e-2


def test_without_it_the_responses_of_a_deep_layer_hardly_change_with_the_picture() -> None:
    def change(network: nn.Module) -> float:
        """The median over units of the last convolution of deviation by root mean square."""
        values = outputs(network, built_in(SMALL), nn.Conv2d)[-1]
        return float((values.std(1) / values.square().mean(1).sqrt()).median())

    network = chain(normed=False)
    before = change(network)
    calibrate(network, SMALL)
    assert before < 0.1
    assert change(network) > 0.9


def test_other_pictures_find_the_units_at_work_too() -> None:
    network = load("squeezenet1_1", "random", seed=1).loaded.network
    noise = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    pictures = (nn.functional.interpolate(noise, (224, 224), mode="bicubic") - 0.45) / 0.225
    for values in outputs(network, pictures, nn.Conv2d):
        active = (values > 0).float().mean(1)
        assert 0.1 < float(active.median()) < 0.9


def test_a_unit_that_never_changes_stays_finite() -> None:
    network = chain(normed=False, depth=2)
    with torch.no_grad():
        network[0].weight[3] = 0
    calibrate(network, SMALL)
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_layer_norms_are_left_as_they_are() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.LayerNorm(46 * 46), nn.Linear(46 * 46, 2))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    calibrate(network, SMALL)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
