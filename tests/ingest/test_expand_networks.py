"""Torchvision's networks with random weights: they trace, their layers are found, and their expanded weights are those
that automatic differentiation gives in double precision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import Bottleneck, ResNet

from circuitdb.errors import InputError
from ingest.expand import expand
from ingest.layers import find_layers
from ingest.linearise import linearise
from ingest.tracing import trace
from tests.linear_reference import disagreement, layer_steps, reference


def build(name: str) -> nn.Module:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network


def with_random_norms(network: nn.Module) -> nn.Module:
    """Batch norms as after training: every statistic and factor another number."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            numbers = torch.rand(4, module.num_features, generator=generator)
            module.running_mean, module.running_var = numbers[0] - 0.5, numbers[1] + 0.5
            module.weight.data, module.bias.data = numbers[2] + 0.5, numbers[3] - 0.5
    return network.eval()


def picture(side: int = 224) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))


LAYERS = {
    "alexnet": 5,
    "vgg11": 8,
    "squeezenet1_1": 10,
    "googlenet": 13,
    "inception_v3": 17,
    "resnet18": 1 + 8 * 2 + 1,
    "resnext50_32x4d": 1 + 16 * 3 + 1,
    "densenet121": 1 + 58 + 3 * 2 + 2,
    "mobilenet_v2": 33 + 10 * 2,
    "mobilenet_v3_small": 36,
    "efficientnet_b0": 32 + 9 * 2,
    "regnet_y_400mf": 1 + 16 * 3 + 1,
    "convnext_tiny": 23 + 18,
    "mnasnet0_5": 53,
    "shufflenet_v2_x0_5": 19,
}


@pytest.mark.parametrize(("name", "count"), LAYERS.items())
def test_every_torchvision_network_traces_and_has_its_feature_layers(name: str, count: int) -> None:
    found = trace(build(name), picture(299 if name == "inception_v3" else 224))
    assert len(find_layers(found, linearise(found)).layers) == count


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{
        name: lambda name=name: build(name)
        for name in (
            *("alexnet", "vgg11", "squeezenet1_1", "googlenet", "inception_v3", "resnet18", "mobilenet_v2"),
            *("mobilenet_v3_small", "efficientnet_b0", "regnet_x_400mf", "regnet_y_400mf", "mnasnet0_5"),
            "shufflenet_v2_x0_5",
        )
    },
    # These repeat their blocks many times; fewer repeats say the same.
    "resnet50, fewer blocks": lambda: ResNet(Bottleneck, [2, 1, 1, 2]),
    "resnext50, fewer blocks": lambda: ResNet(Bottleneck, [2, 1, 1, 1], groups=32, width_per_group=4),
    "densenet121, fewer layers": lambda: DenseNet(32, (3, 2, 4, 2), 64),
    "convnext_tiny, fewer blocks": lambda: ConvNeXt(
        [CNBlockConfig(96, 192, 1), CNBlockConfig(192, 384, 1), CNBlockConfig(384, 768, 2), CNBlockConfig(768, None, 1)]
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_expanded_weights_are_the_gradients_of_the_linear_network(name: str) -> None:
    torch.manual_seed(0)
    network = with_random_norms(NETWORKS[name]())
    example = picture(299 if name == "inception_v3" else 224)
    expansion = expand(network, example, keep="top4")
    names = expansion.layers["name"].to_pylist()
    sample = {names[i] for i in np.linspace(1, len(names) - 1, 12).astype(int)}
    channels_last = [layer for layer in names if "convnext" in name and layer.endswith("block.4")]
    run = reference(network, example, layer_steps(network, example), channels_last=channels_last)
    difference = disagreement(expansion, run, 2, sample)
    assert difference.targets >= min(2 * len(sample), 8)
    assert difference.largest < 1e-5
    gated = any(part in name for part in ("mobilenet_v3", "efficientnet", "regnet_y", "convnext"))
    assert all(expansion.segments["linear"].to_pylist()) != gated


@pytest.mark.parametrize(
    ("name", "side", "operation", "module"),
    [
        ("vit_b_32", 224, "multi_head_attention_forward", "encoder.layers.encoder_layer_0.self_attention"),
        ("swin_t", 224, "matmul", "features.1.0.attn"),
        ("maxvit_t", 224, "einsum", "blocks.0.layers.0.layers.window_attention.attn_layer.1"),
    ],
)
def test_networks_with_attention_are_refused_whole_by_operation_and_module(
    name: str, side: int, operation: str, module: str
) -> None:
    with pytest.raises(InputError, match=rf"^{operation} in module {module} cannot be read: attention is not linear"):
        expand(build(name), picture(side))
