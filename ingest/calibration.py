"""Random networks whose signals neither die nor saturate on pictures.

In: a network with weights as they were drawn, and how a picture becomes its input. The network is changed: its batch
norms hold the statistics of their inputs over a few built-in pictures; where it has none, every convolution and linear
layer is rescaled, and shifted if it has a bias, so that each of its units has standard deviation 1 and mean 0 over
these pictures, which is what a calibrated batch norm behind it would do (Krähenbühl et al. 2016, Data-dependent
Initializations of Convolutional Neural Networks). Networks with other normalisations, which need no statistics, stay as
they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ingest.preprocessing import Preprocessing
from ingest.responses import as_input, resized
from ingest.stimuli import scenes

PICTURES = 8
"""How many pictures the statistics are taken over."""


def calibrate(network: nn.Module, preprocessing: Preprocessing) -> None:
    """Give the units of a random network responses of a size that later layers can work with."""
    pictures = as_input(resized(scenes(max(preprocessing.size), PICTURES), preprocessing.size), preprocessing)
    modules = list(network.modules())
    if norms := [module for module in modules if isinstance(module, _BatchNorm)]:
        _take_statistics(network, norms, pictures)
    elif not any(isinstance(module, nn.LayerNorm | nn.GroupNorm) for module in modules):
        _rescale(network, [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)], pictures)


def _take_statistics(network: nn.Module, norms: list[_BatchNorm], pictures: Tensor) -> None:
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all calls
        norm.train()
    with torch.no_grad():
        network(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _rescale(network: nn.Module, layers: list[nn.Conv2d | nn.Linear], pictures: Tensor) -> None:
    handles = [layer.register_forward_hook(_normalised) for layer in layers]
    try:
        with torch.no_grad():
            network.eval()(pictures)
    finally:
        for handle in handles:
            handle.remove()


def _normalised(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """The output with each unit at mean 0 and deviation 1, and the layer changed so that it gives that by itself."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    axis = 1 if isinstance(layer, nn.Conv2d) else output.dim() - 1
    others = [dim for dim in range(output.dim()) if dim != axis]
    deviation, mean = torch.std_mean(output, others, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation, 1.0)
    shift = -mean if layer.bias is not None else torch.zeros_like(mean)
    layer.weight *= scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
    if layer.bias is not None:
        layer.bias.copy_((layer.bias + shift) * scale)
    shape = [-1 if dim == axis else 1 for dim in range(output.dim())]
    return (output + shift.reshape(shape)) * scale.reshape(shape)
