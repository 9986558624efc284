"""Which operations are feature layers, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from circuitdb.errors import InputError
from ingest.expand import expand
from ingest.layers import Reading, find_layers
from ingest.linearise import linearise
from ingest.tracing import trace


class Network(nn.Module):
    def __init__(self, forward: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def reading(network: nn.Module, **options: Any) -> Reading:
    found = trace(network, torch.rand(1, 3, 32, 32))
    return find_layers(found, linearise(found), **options)


def names(network: nn.Module, **options: Any) -> list[str]:
    return [layer.name for layer in reading(network, **options).layers]


def activated(inputs: int, outputs: int, size: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2), nn.ReLU())


def test_a_layer_is_its_last_activation_and_pools_belong_to_what_follows() -> None:
    network = nn.Sequential(activated(3, 4), nn.MaxPool2d(2), activated(4, 5), nn.LocalResponseNorm(3), nn.AvgPool2d(2))
    assert names(network) == ["0.1", "2.1"]


def test_without_an_activation_a_layer_is_its_last_operation_that_is_no_pool() -> None:
    network = nn.Sequential(activated(3, 4), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5), nn.AvgPool2d(2), nn.Conv2d(5, 6, 1))
    assert names(network) == ["0.1", "2", "4"]


def test_what_comes_before_the_first_convolution_is_no_layer() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), activated(3, 4))
    assert names(network) == ["2.1"]


def test_branches_of_a_concat_are_one_layer() -> None:
    network = Network(
        lambda net, x: net.join(net.stem(x)),
        stem=activated(3, 8),
        join=Network(
            lambda net, x: torch.cat([net.one(x), net.three(x)], 1), one=activated(8, 2), three=activated(8, 3, 3)
        ),
    )
    assert names(network) == ["stem.1", "join"]


@pytest.mark.parametrize(
    ("before", "width", "after", "is_layer"), [(8, 4, 6, False), (4, 4, 6, True), (8, 4, 4, True), (8, 9, 6, True)]
)
def test_only_an_activation_narrower_than_both_neighbours_is_a_bottleneck(
    before: int, width: int, after: int, is_layer: bool
) -> None:
    network = nn.Sequential(activated(3, before), activated(before, width), activated(width, after, 3))
    assert names(network) == (["0.1", "1.1", "2.1"] if is_layer else ["0.1", "2.1"])


def test_a_narrow_layer_behind_a_wider_kernel_is_no_bottleneck() -> None:
    network = nn.Sequential(activated(3, 8), activated(8, 4, 3), activated(4, 8, 3))
    assert names(network) == ["0.1", "1.1", "2.1"]


def residual_block(width: int, middle: int) -> nn.Module:
    return Network(
        lambda net, x: net.relu(x + net.third(net.relu(net.second(net.relu(net.first(x)))))),
        first=nn.Conv2d(width, middle, 1),
        second=nn.Conv2d(middle, middle, 3, padding=1),
        third=nn.Conv2d(middle, width, 1),
        relu=nn.ReLU(),
    )


def test_activations_inside_residual_branches_are_layers_and_repeated_modules_get_an_index() -> None:
    network = nn.Sequential(activated(3, 8), residual_block(8, 4), residual_block(8, 4))
    assert names(network) == ["0.1", "1.relu", "1.relu_1", "1", "2.relu", "2.relu_1", "2"]


def test_a_pre_activation_belongs_to_the_sum_before_it() -> None:
    def block() -> nn.Module:
        return Network(
            lambda net, x: x + net.second(functional.relu(net.norm(net.first(functional.relu(x))))),
            first=nn.Conv2d(8, 8, 3, padding=1),
            norm=nn.BatchNorm2d(8),
            second=nn.Conv2d(8, 8, 3, padding=1),
        )

    assert names(nn.Sequential(activated(3, 8), block(), block())) == ["0.1", "1.relu_1", "1", "2.relu_1", "2"]


@pytest.mark.parametrize("nested", [False, True])
def test_every_layer_of_a_densely_connected_block_is_one(nested: bool) -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        features = [net.stem(x)]
        joined = features[0]
        for layer in (net.a, net.b):
            new = layer(joined)
            features.append(new)
            joined = torch.cat([joined, new], 1) if nested else torch.cat(features, 1)
        return net.last(net.relu(joined))

    network = Network(
        forward,
        stem=activated(3, 6),
        a=activated(6, 4, 3),
        b=activated(10, 4, 3),
        relu=nn.ReLU(),
        last=nn.Conv2d(14, 3, 1),
    )
    assert names(network) == ["stem.1", "a.1", "b.1", "relu", "last"]


def test_the_way_through_a_gate_is_not_a_way() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(x)
        return net.last(x * torch.sigmoid(net.gate(x.mean((2, 3), keepdim=True))))

    network = Network(forward, stem=activated(3, 6), gate=nn.Conv2d(6, 6, 1), last=activated(6, 4, 3))
    assert names(network) == ["stem.1", "last.1"]


def headed() -> nn.Module:
    return nn.Sequential(activated(3, 4), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(256, 5), nn.ReLU(), nn.Linear(5, 2))


def test_a_fully_connected_head_behind_a_flattened_map_is_left_out_and_said_so() -> None:
    found = reading(headed())
    assert [layer.name for layer in found.layers] == ["0.1"]
    assert found.left_out.startswith("the fully connected head from flatten in module 2 on")
    assert "8x8 cells" in found.left_out
    assert expand(headed(), torch.rand(1, 3, 32, 32)).left_out == found.left_out


def test_a_head_behind_an_uneven_adaptive_pool_is_left_out_too() -> None:
    network = nn.Sequential(activated(3, 4), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(196, 5))
    assert names(network) == ["0.1"]


def test_a_head_is_read_when_its_modules_are_named() -> None:
    assert names(headed(), named=["0", "3", "5"]) == ["0.1", "3", "5"]


def test_a_map_that_is_flattened_and_then_more_than_classified_is_refused() -> None:
    network = Network(
        lambda net, x: net.up(net.down(net.stem(x).flatten(1)).view(1, 4, 32, 32)),
        stem=activated(3, 1),
        down=nn.Linear(1024, 4096),
        up=nn.Conv2d(4, 3, 3),
    )
    with pytest.raises(InputError, match="conv2d in module up cannot be read: its input is not laid out"):
        names(network)


def test_layers_are_shown_by_the_names_given_for_their_module_or_found_name() -> None:
    network = nn.Sequential(activated(3, 8), residual_block(8, 4))
    given = {"0.1": "conv1", "1": "block", "1.relu_1": "inner"}
    found = reading(network, names=given).layers
    assert [layer.name for layer in found] == ["conv1", "1.relu", "inner", "block"]
    assert [layer.module for layer in found] == ["0.1", "1.relu", "1.relu", "1"]


def test_named_layers_are_module_paths_or_found_names_in_the_order_of_the_network() -> None:
    network = nn.Sequential(activated(3, 8), residual_block(8, 4), activated(8, 3))
    assert names(network, named=["1", "0"]) == ["0.1", "1"]
    assert names(network, named=["1.relu_1", "2.0", "0.0"]) == ["0.0", "1.relu_1", "2.0"]


def test_an_unknown_layer_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no module 'stm' .* near it are stem"):
        names(Network(lambda net, x: net.stem(x), stem=activated(3, 4)), named=["stm"])


def test_a_network_without_convolutions_has_no_layers() -> None:
    with pytest.raises(InputError, match="no feature layers were found"):
        names(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))
