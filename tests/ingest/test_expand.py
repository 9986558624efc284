"""Expanded weights of small networks: every kernel beside automatic differentiation, explicit products, and laws."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from circuitdb.errors import InputError
from circuitdb.graph import Record, properties
from ingest.expand import Expansion, expand
from tests.linear_reference import disagreement, layer_steps, reference

SIDE = 40


def picture(channels: int = 3, side: int = SIDE) -> Tensor:
    return torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(3))


class Made(nn.Module):
    """A network of the given modules and a forward pass that is written out."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def stem(width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())


def chain(*modules: nn.Module, width: int = 6) -> nn.Module:
    return nn.Sequential(stem(width), *modules)


def norm(width: int) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(width)
    numbers = torch.rand(4, width)
    module.running_mean, module.running_var = numbers[0] - 0.5, numbers[1] + 0.5
    module.weight.data, module.bias.data = numbers[2] + 0.5, numbers[3] - 0.5
    return module


def inception() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = functional.max_pool2d(net.stem(x), 3, 2, ceil_mode=True)
        x = functional.local_response_norm(x, 5)
        three = functional.relu(net.three(functional.relu(net.reduce3(x))))
        five = functional.relu(net.five(functional.relu(net.reduce5(x))))
        pool = functional.relu(net.pool(functional.max_pool2d(x, 3, 1, 1)))
        return torch.cat([functional.relu(net.one(x)), three, five, pool], 1)

    return Made(
        forward,
        stem=stem(),
        one=nn.Conv2d(6, 3, 1),
        reduce3=nn.Conv2d(6, 2, 1),
        three=nn.Conv2d(2, 4, 3, padding=1),
        reduce5=nn.Conv2d(6, 2, 1),
        five=nn.Conv2d(2, 3, 5, padding=2),
        pool=nn.Conv2d(6, 2, 1),
    )


def residual(*branch: nn.Module, shortcut: nn.Module | None = None, width: int = 6) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(x)
        return functional.relu(net.branch(x) + net.shortcut(x))

    return Made(forward, stem=stem(width), branch=nn.Sequential(*branch), shortcut=shortcut or nn.Identity())


def unevenly_padded() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(functional.pad(x, (2, 3, 2, 3)))
        return torch.cat([net.wide(functional.pad(x, (1, 3, 1, 3))), net.narrow(x)[:, :, 1:, 1:]], 1)

    return Made(forward, stem=stem(), wide=nn.Conv2d(6, 3, 6), narrow=nn.Conv2d(6, 3, 1))


def densely_connected() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        features = [net.stem(x)]
        for layer in (net.first, net.second, net.third):
            features.append(layer(torch.cat(features, 1)))
        return net.last(functional.relu(net.norm(torch.cat(features, 1))))

    def layer(width: int) -> nn.Module:
        return nn.Sequential(norm(width), nn.ReLU(), nn.Conv2d(width, 5, 1), norm(5), nn.ReLU(), nn.Conv2d(5, 4, 3))

    def padded(width: int) -> nn.Module:
        return nn.Sequential(*layer(width)[:-1], nn.Conv2d(5, 4, 3, padding=1))

    return Made(
        forward,
        stem=stem(),
        first=padded(6),
        second=padded(10),
        third=padded(14),
        norm=norm(18),
        last=nn.Conv2d(18, 5, 1),
    )


def shuffled() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        kept, changed = net.stem(x).chunk(2, dim=1)
        joined = torch.cat([kept, net.branch(changed)], 1)
        batch, width, height, length = joined.shape
        return joined.view(batch, 2, width // 2, height, length).transpose(1, 2).reshape(batch, width, height, length)

    branch = nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 1), nn.ReLU()
    )
    return Made(forward, stem=stem(8), branch=branch)


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(functional.relu(self.down(scale))))


def channels_last() -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(x)
        y = net.norm(net.depthwise(x).permute(0, 2, 3, 1))
        y = net.shrink(functional.gelu(net.widen(y))).permute(0, 3, 1, 2)
        return x + net.scale * y

    network = Made(
        forward,
        stem=stem(),
        depthwise=nn.Conv2d(6, 6, 7, padding=3, groups=6),
        norm=nn.LayerNorm(6),
        widen=nn.Linear(6, 9),
        shrink=nn.Linear(9, 6),
    )
    network.register_parameter("scale", nn.Parameter(torch.rand(6, 1, 1)))
    return network


def downsampled() -> nn.Module:
    """A shortcut that takes every second place and pads units with zeros, as in the first ResNets."""

    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(x)
        shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))
        return functional.relu(net.second(functional.relu(net.first(x))) + shortcut)

    return Made(forward, stem=stem(), first=nn.Conv2d(6, 7, 3, 2, padding=1), second=nn.Conv2d(7, 9, 3, padding=1))


def arithmetic() -> nn.Module:
    """Sums, differences and products with constants, on the way."""

    def forward(net: Any, x: Tensor) -> Tensor:
        x = net.stem(x)
        y = 2 * net.first(1 - x / 3) - 0.5 * net.second(x) + 4
        return functional.relu(-y * torch.arange(1.0, 6.0).view(5, 1, 1))

    return Made(forward, stem=stem(), first=nn.Conv2d(6, 5, 3, padding=1), second=nn.Conv2d(6, 5, 5, padding=2))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "one convolution": lambda: chain(nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()),
    "an even kernel": lambda: chain(nn.Conv2d(6, 5, 4, padding=1), nn.ReLU()),
    "kernels that are no squares": lambda: chain(
        nn.Conv2d(6, 5, (1, 7), padding=(0, 3)), nn.Conv2d(5, 4, (5, 1), padding=(2, 0)), nn.ReLU()
    ),
    "a stride": lambda: chain(nn.Conv2d(6, 5, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3, 2), nn.ReLU()),
    "two strides without a layer between": lambda: chain(
        nn.Conv2d(6, 5, 3, 2), norm(5), nn.Conv2d(5, 4, 3, 2), nn.ReLU()
    ),
    "dilation": lambda: chain(nn.Conv2d(6, 5, 3, dilation=2, padding=2), nn.Conv2d(5, 4, 3, 2, dilation=3), nn.ReLU()),
    "a convolution with as much padding as it takes": lambda: chain(nn.Conv2d(6, 5, 4, padding="same"), nn.ReLU()),
    "reflected padding": lambda: chain(nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
    "max pool, then convolutions": lambda: chain(
        nn.MaxPool2d(3, 2), nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 5, 5), nn.ReLU()
    ),
    "vgg's pool": lambda: chain(nn.MaxPool2d(2), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()),
    "two pools": lambda: chain(nn.MaxPool2d(2), nn.AvgPool2d(3, 1, padding=1), nn.Conv2d(6, 5, 3), nn.ReLU()),
    "a pool behind a convolution": lambda: chain(nn.Conv2d(6, 5, 3), nn.AvgPool2d(2), nn.Conv2d(5, 4, 3), nn.ReLU()),
    "a pool behind a 1x1 convolution": lambda: chain(
        nn.Conv2d(6, 5, 1), nn.AvgPool2d(2), nn.Conv2d(5, 4, 3), nn.ReLU()
    ),
    "an adaptive pool that divides": lambda: chain(nn.AdaptiveAvgPool2d(10), nn.Conv2d(6, 5, 3), nn.ReLU()),
    "inception": inception,
    "groups": lambda: chain(nn.Conv2d(6, 9, 3, groups=3), nn.ReLU()),
    "groups between 1x1 convolutions": lambda: chain(
        nn.Conv2d(6, 4, 1), norm(4), nn.Conv2d(4, 8, 3, groups=2), norm(8), nn.Conv2d(8, 5, 1), nn.ReLU()
    ),
    "groups behind groups": lambda: chain(nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 12, 3, groups=3), nn.ReLU()),
    "groups behind other groups": lambda: chain(nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 4, 3, groups=2), nn.ReLU()),
    "a depthwise convolution": lambda: chain(nn.Conv2d(6, 6, 3, groups=6, padding=1), nn.ReLU()),
    "a depthwise convolution that multiplies units": lambda: chain(
        nn.Conv2d(6, 12, 3, groups=6), nn.Conv2d(12, 4, 1), nn.ReLU()
    ),
    "depthwise convolutions around a 1x1 convolution": lambda: chain(
        nn.Conv2d(6, 6, 5, 2, groups=6, padding=2),
        norm(6),
        nn.Conv2d(6, 4, 1),
        nn.Conv2d(4, 4, 3, groups=4, padding=1),
        nn.Conv2d(4, 5, 1),
        nn.ReLU(),
    ),
    "depthwise behind depthwise behind a pool": lambda: chain(
        nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 6, 2, groups=6, dilation=2),
        nn.Conv2d(6, 5, 3),
        nn.ReLU(),
    ),
    "depthwise, then groups": lambda: chain(nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 4, 3, groups=2), nn.ReLU()),
    "a residual block": lambda: residual(
        nn.Conv2d(6, 6, 3, padding=1), norm(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
    ),
    "a residual block without a layer inside": lambda: residual(nn.Conv2d(6, 6, 3, padding=1), norm(6)),
    "a residual block with a 1x1 shortcut": lambda: residual(
        nn.Conv2d(6, 7, 3, 2, padding=1), nn.Conv2d(7, 7, 3, padding=1), shortcut=nn.Conv2d(6, 7, 1, 2)
    ),
    "a shortcut of every second place": downsampled,
    "a pooled shortcut": lambda: residual(nn.Conv2d(6, 6, 3, 2, padding=1), shortcut=nn.AvgPool2d(2)),
    "densely connected layers": densely_connected,
    "shuffled units": shuffled,
    "a gate": lambda: chain(nn.Conv2d(6, 5, 3), nn.ReLU(), Gate(5), nn.Conv2d(5, 4, 3), nn.ReLU()),
    "uneven padding": unevenly_padded,
    "arithmetic": arithmetic,
    "a classifier behind a global pool": lambda: chain(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)),
    "a convolution, a global pool and two classifiers": lambda: chain(
        nn.Conv2d(6, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4)
    ),
}


def compared(network: nn.Module, layers: list[str] | None = None, **options: Any) -> tuple[Expansion, float]:
    """The network expanded with every edge, and the largest difference from automatic differentiation."""
    network.eval()
    expansion = expand(network, picture(), keep="all", layers=layers)
    run = reference(network, picture(), layer_steps(network, picture(), layers), **options)
    difference = disagreement(expansion, run)
    assert difference.targets > 0
    return expansion, difference.largest


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kernel_is_the_gradient_of_the_linear_network(name: str) -> None:
    torch.manual_seed(0)
    _, difference = compared(NETWORKS[name]())
    assert difference < 1e-5


def test_kernels_of_a_network_with_channels_last_are_gradients_too() -> None:
    torch.manual_seed(0)
    expansion, difference = compared(channels_last(), channels_last=["gelu"])
    assert difference < 1e-5
    assert expansion.layers["name"].to_pylist() == ["stem.1", "gelu", "add"]


def test_kernels_of_a_fully_connected_layer_behind_a_flattened_map_are_gradients_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(stem(), nn.MaxPool2d(5), nn.Flatten(), nn.Linear(6 * 8 * 8, 4))
    expansion, difference = compared(network, ["0", "3"])
    assert difference < 1e-5
    assert expansion.segments.select(["kernel_h", "kernel_w"]).to_pylist() == [{"kernel_h": 40, "kernel_w": 40}]


@pytest.mark.parametrize("name", ["inception", "densely connected layers", "shuffled units", "a residual block"])
def test_a_change_of_the_maps_changes_each_layer_as_the_kernels_say(name: str) -> None:
    torch.manual_seed(1)
    network = NETWORKS[name]().eval()
    expansion = expand(network, picture(), keep="all")
    steps = layer_steps(network, picture())
    before = reference(network, picture(), steps)
    change = {layer: torch.randn_like(value) for layer, value in before.values.items()}
    after = reference(network, picture(), steps, added=change)
    moved = {layer: (leaf - before.leaves[layer]).detach() for layer, leaf in after.leaves.items()}
    layers = expansion.layers.to_pandas().set_index("name")
    units = expansion.units.to_pandas()
    edges = expansion.edges.to_pandas()
    edges["from"], edges["to"] = (units.layer.to_numpy()[edges[end]] for end in ("source", "target"))
    for target, into in edges.groupby("to"):
        cell = before.values[target].shape[2] // 2
        total = torch.zeros(layers.width[target], dtype=torch.float64)
        for edge in into.itertuples():
            source = edge[edges.columns.get_loc("from") + 1]
            centre = (
                layers.start_px[target] + cell * layers.stride_px[target] - layers.start_px[source]
            ) / layers.stride_px[source]
            y, x = round(centre + edge.offset_y), round(centre + edge.offset_x)
            kernel = torch.tensor(edge.kernel, dtype=torch.float64).view(edge.kernel_h, edge.kernel_w)
            window = moved[source][0, units["index"][edge.source], y : y + edge.kernel_h, x : x + edge.kernel_w]
            total[units["index"][edge.target]] += (kernel * window).sum()
        difference = (after.values[target] - before.values[target])[0, :, cell, cell]
        torch.testing.assert_close(difference, total, rtol=1e-5, atol=1e-6)


def edge_frame(expansion: Expansion) -> pd.DataFrame:
    return expansion.edges.to_pandas()


def kernels_between(expansion: Expansion, targets: int, sources: int) -> npt.NDArray[np.float64]:
    """[target, source, y, x] of a network of two layers whose edges are all kept, in their common kernel."""
    edges = edge_frame(expansion)
    [segment] = expansion.segments.to_pylist()
    full = np.zeros((targets, sources, segment["kernel_h"], segment["kernel_w"]))
    top, left = edges.offset_y.min(), edges.offset_x.min()
    for edge in edges.itertuples():
        y, x = int(edge.offset_y - top), int(edge.offset_x - left)
        kernel = np.reshape(edge.kernel, (edge.kernel_h, edge.kernel_w))
        full[edge.target - sources, edge.source, y : y + edge.kernel_h, x : x + edge.kernel_w] = kernel
    return full


@pytest.mark.parametrize("size", [3, 5])
def test_a_bottleneck_and_a_convolution_are_multiplied_out(size: int) -> None:
    reduce, convolution = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 5, size, padding=size // 2)
    expansion = expand(chain(reduce, nn.ReLU(), convolution, nn.ReLU(), width=8), picture(), keep="all")
    product = np.einsum("tmyx,ms->tsyx", convolution.weight.detach(), reduce.weight.detach()[:, :, 0, 0])
    np.testing.assert_allclose(kernels_between(expansion, 5, 8), product, rtol=1e-5, atol=1e-7)
    assert expansion.segments["relus_skipped"].to_pylist() == [1]
    assert edge_frame(expansion).offset_y.unique().tolist() == [-(size // 2)]


def test_a_max_pool_stands_as_an_average_in_front_of_its_1x1_convolution() -> None:
    convolution = nn.Conv2d(6, 5, 1)
    expansion = expand(chain(nn.MaxPool2d(3, 1, 1), convolution, nn.ReLU()), picture(), keep="all")
    expected = np.repeat(np.repeat(convolution.weight.detach().numpy() / 9, 3, 2), 3, 3)
    np.testing.assert_allclose(kernels_between(expansion, 5, 6), expected, rtol=1e-5)
    assert expansion.segments.select(["pool_rule", "method", "linear"]).to_pylist() == [
        {"pool_rule": "average", "method": "kernel algebra", "linear": True}
    ]


def test_kernels_through_a_pool_of_stride_2_lie_where_they_read() -> None:
    expansion = expand(chain(nn.MaxPool2d(2), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()), picture())
    edges = edge_frame(expansion)
    assert set(edges.kernel_h) == {6}
    assert set(edges.offset_y) == {-2.5}
    assert expansion.layers.select(["stride_px", "rf_px", "start_px"]).to_pylist() == [
        {"stride_px": 1.0, "rf_px": 3.0, "start_px": 0.0},
        {"stride_px": 2.0, "rf_px": 8.0, "start_px": 0.5},
    ]


def test_an_activation_in_place_counts_wherever_its_argument_is_used_again() -> None:
    def in_place(net: Any, x: Tensor) -> Tensor:
        x = net.first(x)
        functional.relu(x, inplace=True)
        return functional.relu(net.second(x) + x)

    def plain(net: Any, x: Tensor) -> Tensor:
        x = functional.relu(net.first(x))
        return functional.relu(net.second(x) + x)

    modules = {"first": nn.Conv2d(3, 4, 3, padding=1), "second": nn.Conv2d(4, 4, 3, padding=1)}
    found = expand(Made(in_place, **modules), picture())
    wanted = expand(Made(plain, **modules), picture())
    assert found.layers["kind"].to_pylist() == ["relu", "relu"]
    assert found.edges.equals(wanted.edges)


def test_a_shuffled_skip_joins_the_units_that_it_hands_on() -> None:
    expansion = expand(shuffled(), picture())
    skips = edge_frame(expansion).query("kind == 'SKIP'")
    # Kept units 0..3 come to stand at even places.
    assert list(zip(skips.source, skips.target - 8, strict=True)) == [(0, 0), (1, 2), (2, 4), (3, 6)]
    assert set(skips.weight) == set(skips.share) == {1.0}
    assert {"skip": True, "edges": 4} in expansion.segments.select(["skip", "edges"]).to_pylist()


def test_a_skip_through_a_batch_norm_carries_its_factors() -> None:
    network = densely_connected().eval()
    expansion = expand(network, picture(), keep="all")
    units = expansion.units.to_pandas()
    skips = edge_frame(expansion).query("kind == 'SKIP'")
    folded = network.norm.weight / (network.norm.running_var + network.norm.eps).sqrt()
    into = units["index"].to_numpy()[skips.target]
    assert len(skips) == 18
    np.testing.assert_allclose(skips.weight, folded.detach().numpy()[into], rtol=1e-6)
    assert skips.rank_in.tolist() == [1] * 18


def test_structural_zeros_and_empty_kernels_are_no_edges() -> None:
    convolution = nn.Conv2d(6, 9, 3, groups=3)
    convolution.weight.data[4] = 0
    expansion = expand(chain(convolution, nn.ReLU()), picture(), keep="all")
    pairs = set(zip(expansion.edges["target"].to_pylist(), expansion.edges["source"].to_pylist(), strict=True))
    assert pairs == {(6 + t, s) for t in range(9) for s in range(6) if t // 3 == s // 2 and t != 4}
    empty = expansion.units.slice(10, 1).to_pylist()[0]
    assert empty["in_norm"] is None
    assert empty["energy_kept_in"] is None


def test_gates_and_layer_norms_make_a_segment_not_linear_and_nothing_else_does() -> None:
    gated = expand(NETWORKS["a gate"](), picture())
    assert [row["linear"] for row in gated.segments.to_pylist()] == [True, False]
    normed = expand(channels_last(), picture())
    linear = {(r["source_layer"], r["target_layer"], r["skip"]): r["linear"] for r in normed.segments.to_pylist()}
    assert linear == {("stem.1", "gelu", False): False, ("gelu", "add", False): True, ("stem.1", "add", True): True}


def test_a_gate_is_frozen_at_its_mean_over_the_pictures() -> None:
    network = NETWORKS["a gate"]().eval()
    pictures = torch.rand(5, 3, SIDE, SIDE)
    together = expand(network, pictures, keep="all").dense["2", "5"].weight
    alone = [expand(network, one[None], keep="all").dense["2", "5"].weight for one in pictures]
    np.testing.assert_allclose(together, np.mean(alone, 0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["inception", "densely connected layers", "a residual block", "shuffled units"])
def test_shares_of_all_edges_into_a_unit_sum_to_one_skips_apart(name: str) -> None:
    edges = edge_frame(expand(NETWORKS[name](), picture(), keep="all"))
    sums = edges.groupby([edges.kind == "SKIP", "target"]).share.sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-6)


def brute_rank(edges: pd.DataFrame, by: str, other: str) -> npt.NDArray[np.int64]:
    keys = ["skip", by, "strength", other]
    order = edges.assign(skip=edges.kind == "SKIP").sort_values(keys, ascending=[True, True, False, True])
    rank = order.groupby(["skip", by]).cumcount() + 1
    return rank.sort_index().to_numpy()


@pytest.mark.parametrize("name", ["inception", "densely connected layers", "a residual block", "groups"])
def test_ranks_run_over_all_edges_of_a_unit_from_or_to_all_layers(name: str) -> None:
    edges = edge_frame(expand(NETWORKS[name](), picture(), keep="all"))
    assert (edges.rank_in == brute_rank(edges, "target", "source")).all()
    assert (edges.rank_out == brute_rank(edges, "source", "target")).all()


def test_equal_strengths_rank_in_the_order_of_keys() -> None:
    convolution = nn.Conv2d(6, 5, 3)
    convolution.weight.data[:] = 0.5
    edges = edge_frame(expand(chain(convolution, nn.ReLU()), picture(), keep="top2"))
    assert sorted(zip(edges.target - 6, edges.source, strict=True)) == [
        (t, s) for t in range(5) for s in range(6) if s < 2 or t < 2
    ]
    assert (edges.rank_in == edges.source + 1).all()


@pytest.mark.parametrize("keep", ["top2", "max0.5", "energy0.8"])
@pytest.mark.parametrize("name", ["inception", "densely connected layers", "a residual block", "shuffled units"])
def test_a_keep_rule_leaves_of_all_edges_what_it_says(name: str, keep: str) -> None:
    torch.manual_seed(2)
    network = NETWORKS[name]()
    every, kept = (edge_frame(expand(network, picture(), keep=rule)) for rule in ("all", keep))
    skip = every.kind == "SKIP"
    groups = every.groupby([skip, "target"])
    if keep == "top2":
        chosen = (every.rank_in <= 2) | (every.rank_out <= 2)
    elif keep == "max0.5":
        chosen = every.strength >= 0.5 * groups.strength.transform("max")
    else:
        ordered = every.assign(skip=skip).sort_values("rank_in")
        chosen = ordered.groupby(["skip", "target"]).share.cumsum() - ordered.share < 0.8 - 1e-9
        chosen = chosen.reindex(every.index)
    columns = [name for name in every.columns if name != "kernel"]
    pd.testing.assert_frame_equal(every[chosen][columns].reset_index(drop=True), kept[columns], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        np.concatenate(every[chosen].kernel.tolist()), np.concatenate(kept.kernel.tolist()), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", ["inception", "densely connected layers", "shuffled units"])
def test_energies_and_norms_of_units_are_those_of_their_edges(name: str) -> None:
    torch.manual_seed(2)
    network = NETWORKS[name]()
    every, expansion = expand(network, picture(), keep="all"), expand(network, picture(), keep="top1")
    units = expansion.units.to_pandas()
    totals, kept = (
        frame[frame.kind != "SKIP"].assign(energy=lambda f: f.strength**2)
        for frame in (edge_frame(every), edge_frame(expansion))
    )
    for end, column in (("target", "energy_kept_in"), ("source", "energy_kept_out")):
        total = totals.groupby(end).energy.sum().reindex(units.index)
        part = kept.groupby(end).energy.sum().reindex(units.index).where(total.notna())
        np.testing.assert_allclose(units[column], part.fillna(0).where(total.notna()) / total, rtol=1e-5)
        if end == "target":
            np.testing.assert_allclose(units.in_norm, np.sqrt(total), rtol=1e-5)
    assert expansion.energy_kept == pytest.approx(kept.energy.sum() / totals.energy.sum(), rel=1e-5)


@pytest.mark.parametrize(
    "name", ["inception", "a residual block with a 1x1 shortcut", "groups", "a depthwise convolution"]
)
def test_the_hash_is_that_of_the_dense_tensor(name: str) -> None:
    expansion = expand(NETWORKS[name](), picture(), keep="all")
    layers = expansion.layers.to_pandas()
    targets, sources = layers.width[1], layers.width[0]
    dense = kernels_between(expansion, targets, sources).astype("<f4")
    assert expansion.segments["dense_sha256"].to_pylist() == [hashlib.sha256(dense.tobytes()).hexdigest()]


@pytest.mark.parametrize(
    "name", ["inception", "groups", "a depthwise convolution", "a residual block without a layer inside"]
)
def test_dense_keeps_every_kernel_in_half_precision(name: str) -> None:
    network = NETWORKS[name]()
    every = edge_frame(expand(network, picture(), keep="all")).query("kind != 'SKIP'")
    expansion = expand(network, picture(), keep="top1", dense=True)
    [(pair, dense)] = expansion.dense.items()
    start = expansion.layers["width"].to_pylist()[0]
    found = {}
    for block in dense.blocks:
        for t, target in enumerate(block.targets):
            for s, source in enumerate(block.sources):
                found[int(target) + start, int(source)] = (block.kernels[t, s], block.offset_y, block.offset_x)
    assert set(zip(every.target, every.source, strict=True)) <= set(found)
    for edge in every.itertuples():
        kernel, y, x = found[edge.target, edge.source]
        assert (y, x) == (edge.offset_y, edge.offset_x)
        assert kernel.dtype == np.float16
        np.testing.assert_allclose(kernel.ravel(), edge.kernel, atol=1e-3 * max(abs(edge.kernel)), rtol=1e-3)
    assert pair == tuple(expansion.layers["name"].to_pylist())


def three_layers() -> tuple[nn.Module, pd.DataFrame]:
    torch.manual_seed(0)
    convolutions = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3), nn.Conv2d(5, 7, 3)
    network = nn.Sequential(*(module for convolution in convolutions for module in (convolution, nn.ReLU())))
    return network, edge_frame(expand(network, picture(), keep="all"))


def rescaled(network: nn.Module, factors: Tensor) -> pd.DataFrame:
    """The edges once each unit of the second layer is so many times stronger and its readers take it so much less."""
    with torch.no_grad():
        network[2].weight *= factors[:, None, None, None]
        network[2].bias *= factors
        network[4].weight /= factors[None, :, None, None]
    return edge_frame(expand(network, picture(), keep="all"))


def test_scaling_a_layer_up_and_its_readers_down_leaves_all_shares_and_ranks() -> None:
    network, before = three_layers()
    after = rescaled(network, torch.full((5,), 30.0))
    names = ["source", "target", "rank_in", "rank_out"]
    assert np.array_equal(before[names], after[names])
    np.testing.assert_allclose(before.share, after.share, rtol=1e-5)
    assert not np.allclose(before.strength, after.strength, rtol=0.1)


def test_scaling_a_unit_up_and_its_readers_down_leaves_its_inputs_shares_and_ranks_and_its_outputs_ranks() -> None:
    network, before = three_layers()
    after = rescaled(network, torch.tensor([0.1, 7.0, 1.0, 30.0, 2.0]))
    into = before.target < 11
    np.testing.assert_allclose(before.share[into], after.share[into], rtol=1e-5)
    assert (before.rank_in[into] == after.rank_in[into]).all()
    assert (before.rank_out[~into] == after.rank_out[~into]).all()


def test_biases_are_those_of_the_last_linear_operation_with_batch_norm_folded() -> None:
    reduce, convolution, folded = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 5, 3), norm(5)
    network = chain(reduce, nn.ReLU(), convolution, folded, nn.ReLU()).eval()
    units = expand(network, picture()).units.to_pandas()
    first = network[0][0]
    expected = (convolution.bias - folded.running_mean) / (folded.running_var + folded.eps).sqrt()
    expected = torch.cat([first.bias, expected * folded.weight + folded.bias])
    np.testing.assert_allclose(units.bias, expected.detach(), rtol=1e-5)


def test_branches_are_called_as_the_modules_that_end_in_them() -> None:
    units = expand(inception(), picture()).units.to_pandas()
    assert units.branch[:6].isna().all()
    assert units.branch[6:].tolist() == ["one"] * 3 + ["three"] * 4 + ["five"] * 3 + ["pool"] * 2


def test_tables_have_columns_of_the_registry_and_every_measured_property() -> None:
    expansion = expand(inception(), picture())
    for record, table, absent in (
        (Record.LAYER, expansion.layers, {"model"}),
        (Record.UNIT, expansion.units, {"key", "model", "mean", "sd", "sparsity", "label", "coefficients"}),
        (Record.SEGMENT, expansion.segments, set()),
        (Record.EDGE, expansion.edges, set()),
    ):
        names = {p.name for p in properties(record)} - absent
        assert set(table.column_names) - {"source", "target"} == names
    assert expansion.units["kind"].unique().to_pylist() == ["neuron"]


def test_layers_whose_weights_are_absent_are_left_out_with_their_segments() -> None:
    network = chain(nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU())
    whole, partial = expand(network, picture()), expand(network, picture(), absent=["1"])
    assert whole.layers["name"].to_pylist() == ["0.1", "2", "4", "6"]
    assert partial.layers["name"].to_pylist() == ["0.1", "4", "6"]
    assert partial.absent == ("2",)
    assert partial.segments.select(["source_layer", "target_layer"]).to_pylist() == [
        {"source_layer": "4", "target_layer": "6"}
    ]
    # The rest is as in the whole network, ranks and shares included.
    rows = np.array([0, 1, 2, 3, 4, 5, *[-1] * 5, 6, 7, 8, 9, 10, 11, 12])
    kept = edge_frame(whole).query("source >= 11")
    ends = edge_frame(partial)
    assert (rows[kept.source] == ends.source).all()
    assert (rows[kept.target] == ends.target).all()
    assert (kept.share.to_numpy() == ends.share.to_numpy()).all()


def test_a_layer_that_would_lack_only_some_of_its_inputs_is_left_out_too() -> None:
    network = residual(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1))
    partial = expand(network, picture(), absent=["branch.0"])
    assert partial.layers["name"].to_pylist() == ["stem.1"]
    assert partial.absent == ("branch.1", "relu")


def test_a_network_without_any_weights_is_refused() -> None:
    with pytest.raises(InputError, match="no feature layer has all its weights"):
        expand(chain(), picture(), absent=["0"])


def test_the_network_and_torchs_state_are_left_as_they_were() -> None:
    network = chain(norm(6), nn.Dropout(), nn.Conv2d(6, 4, 3), nn.ReLU()).train()
    network[1].eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    expand(network, picture())
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    assert torch.is_grad_enabled()


def test_progress_is_told_layer_by_layer() -> None:
    told: list[tuple[str, int, int]] = []
    expand(NETWORKS["a stride"](), picture(), progress=lambda *step: told.append(step))
    assert told == [("expanding", 1, 3), ("expanding", 2, 3), ("expanding", 3, 3)]


def test_weights_that_are_not_finite_are_refused_by_their_place() -> None:
    network = chain(nn.Conv2d(6, 4, 3), nn.ReLU())
    network[1].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="the weight of conv2d in module 1 holds NaN or infinities"):
        expand(network, picture())
