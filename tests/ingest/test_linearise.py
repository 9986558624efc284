"""What stands in for each operation: receptive fields, units, and refusals by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from circuitdb.errors import InputError
from ingest.expand import expand
from ingest.linearise import linearise
from ingest.steps import Centre, Convolve, Gather, Pass, PoolAll, Scale, Step
from ingest.tracing import trace


class Network(nn.Module):
    """A convolution to six units, then whatever is given."""

    def __init__(self, then: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        for name, module in modules.items():
            self.add_module(name, module)
        self._then = then

    def forward(self, x: Tensor) -> Any:
        return self._then(self, self.first(x))


def picture(side: int = 16) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def last_step(then: Callable[[Any, Tensor], Any], side: int = 16, **modules: nn.Module) -> Step:
    return linearise(trace(Network(then, **modules), picture(side)))[-1]


class Cut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:-1:2, 2:]


CHAINS: dict[str, list[nn.Module]] = {
    "convolution": [nn.Conv2d(6, 6, 3, padding=1)],
    "even kernel and stride": [nn.Conv2d(6, 6, 4, 2), nn.Conv2d(6, 6, (2, 3), padding=1)],
    "dilation": [nn.Conv2d(6, 6, 3, dilation=3, padding=1), nn.Conv2d(6, 6, 3, 2, dilation=2)],
    "pools": [nn.AvgPool2d(3, 2), nn.Conv2d(6, 6, 5), nn.AvgPool2d(2, ceil_mode=True)],
    "uneven padding": [nn.ZeroPad2d((2, 3, 1, 0)), nn.Conv2d(6, 6, 7, 2)],
    "slices": [Cut(), nn.Conv2d(6, 6, 3), Cut()],
    "an adaptive pool": [nn.AdaptiveAvgPool2d(16), nn.Conv2d(6, 6, 3)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_receptive_field_is_where_the_gradient_is(name: str) -> None:
    network = Network(lambda net, x: net.chain(x), chain=nn.Sequential(*CHAINS[name]))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    example = picture(64).requires_grad_()
    step = linearise(trace(network, example))[-1]
    value = network(example)
    cell = value.shape[2] // 2, value.shape[3] // 2
    value[0, :, cell[0], cell[1]].sum().backward()
    seen = torch.nonzero(example.grad[0].sum(0))
    for axis, here, places in ((step.y, cell[0], seen[:, 0]), (step.x, cell[1], seen[:, 1])):
        assert axis.low + axis.stride * here == places.min()
        assert axis.high + axis.stride * here == places.max()


def test_the_receptive_field_of_joined_branches_holds_those_of_both() -> None:
    step = last_step(
        lambda net, x: torch.cat([net.small(x), net.large(x)], 1),
        small=nn.Conv2d(6, 2, 1),
        large=nn.Conv2d(6, 2, 7, padding=3),
    )
    assert (step.y.low, step.y.high, step.y.centre) == (-4, 4, 0)


def test_a_global_pool_sees_the_whole_picture_from_one_cell() -> None:
    step = last_step(lambda net, x: functional.adaptive_avg_pool2d(x, 1))
    assert isinstance(step.action, PoolAll)
    assert (step.y.low, step.y.high, step.y.stride) == (-1, 16, 0)


@pytest.mark.parametrize(
    "pool",
    [
        lambda net, x: x.mean((2, 3)),
        lambda net, x: x.mean([-1, -2], keepdim=True),
        lambda net, x: torch.mean(x, dim=(2, 3)),
        lambda net, x: x.mean((2, 3), True),
        lambda net, x: functional.avg_pool2d(x, 16),
        lambda net, x: functional.max_pool2d(x, x.shape[2:]),
        lambda net, x: functional.adaptive_max_pool2d(x, (1, 1)),
    ],
)
def test_a_pool_of_the_whole_map_is_a_global_pool_however_it_is_written(pool: Callable[[Any, Tensor], Tensor]) -> None:
    assert isinstance(last_step(pool).action, PoolAll)


def units_of(step: Step, steps: list[Step]) -> list[int]:
    """Which unit of the first convolution each unit of the step is."""
    if step.node.operation == "conv2d":
        return list(range(step.width))
    [source] = step.inputs
    before = units_of(steps[source], steps)
    return [before[i] for i in step.action.rows] if isinstance(step.action, Gather) else before


def shuffle(x: Tensor) -> Tensor:
    batch, width, height, length = x.shape
    return x.view(batch, 3, width // 3, height, length).transpose(1, 2).contiguous().view(batch, -1, height, length)


@pytest.mark.parametrize(
    "rearrange",
    [
        shuffle,
        lambda x: functional.channel_shuffle(x, 3),
        lambda x: x[:, [5, 0, 0, 3]],
        lambda x: x.chunk(2, dim=1)[1],
        lambda x: x.split([1, 2, 3], 1)[1],
        lambda x: x.narrow(1, 2, 3)[:, 1:],
        lambda x: x[:, 1:5:2],
        lambda x: x.permute(0, 2, 3, 1)[..., 2:].permute(0, 3, 1, 2),
        lambda x: x.unflatten(1, (2, 3)).flatten(1, 2).unsqueeze(0).squeeze(0),
        lambda x: x.index_select(1, torch.tensor([4, 1])),
        lambda x: torch.flip(x, (1,)),
        lambda x: x.movedim(1, -1).swapaxes(1, 3).transpose(1, 3).movedim(-1, 1),
    ],
)
def test_rearranged_units_are_followed_to_where_they_came_from(rearrange: Callable[[Tensor], Tensor]) -> None:
    found = trace(Network(lambda net, x: rearrange(x)), picture())
    steps = linearise(found)
    result = steps[found.outputs[0]]
    marked = torch.arange(6.0).view(1, 6, 1, 1).expand(1, 6, 16, 16)
    assert units_of(result, steps) == rearrange(marked)[0, :, 0, 0].int().tolist()
    assert result.refusal is None


def test_padded_units_come_from_nowhere() -> None:
    step = last_step(lambda net, x: functional.pad(x, (0, 0, 0, 0, 1, 2)))
    assert isinstance(step.action, Gather)
    assert step.action.rows.tolist() == [-1, 0, 1, 2, 3, 4, 5, -1, -1]


def test_batch_norm_is_a_factor_and_a_shift() -> None:
    norm = nn.BatchNorm2d(6)
    norm.running_mean, norm.running_var = torch.rand(6), torch.rand(6) + 0.5
    norm.weight.data, norm.bias.data = torch.rand(6), torch.rand(6)
    step = last_step(lambda net, x: net.norm(x), norm=norm)
    assert isinstance(step.action, Scale)
    x = torch.rand(1, 6, 4, 4)
    found = x * step.action.factor.view(6, 1, 1) + step.action.shift.view(6, 1, 1)
    torch.testing.assert_close(found, norm.eval()(x))


def test_layer_norm_is_centring_times_the_mean_of_one_over_sigma() -> None:
    norm = nn.LayerNorm(6)
    network = Network(lambda net, x: net.norm(x.permute(0, 2, 3, 1)), norm=norm)
    step = linearise(trace(network, picture()))[-1]
    assert isinstance(step.action, Centre)
    values = network.first(picture()).detach()
    expected = (values.var(1, unbiased=False) + norm.eps).rsqrt().mean()
    torch.testing.assert_close(step.action.factor, expected.expand(6))


def test_products_with_constants_are_factors_of_each_unit() -> None:
    factors = torch.rand(6, 1, 1)
    for then in (lambda net, x: x * factors.numpy().tolist()[0][0][0], lambda net, x: x / 4, lambda net, x: -x):
        assert isinstance(last_step(then).action, Scale)
    network = Network(lambda net, x: net.scale * x)
    network.register_parameter("scale", nn.Parameter(factors))
    step = linearise(trace(network, picture()))[-1]
    assert isinstance(step.action, Scale)
    torch.testing.assert_close(step.action.factor, factors.flatten())


def test_a_convolution_of_one_cell_takes_the_entry_that_sees_it() -> None:
    convolution = nn.Conv2d(6, 4, 3, padding=1)
    step = last_step(lambda net, x: net.second(functional.adaptive_avg_pool2d(x, 1)), second=convolution)
    assert isinstance(step.action, Convolve)
    torch.testing.assert_close(step.action.weight, convolution.weight.detach()[:, :, 1:2, 1:2])


@pytest.mark.parametrize("operation", ["relu", "gelu", "silu", "hardswish", "elu", "mish", "leaky_relu", "softplus"])
def test_activations_pass_as_the_identity(operation: str) -> None:
    step = last_step(lambda net, x: getattr(functional, operation)(x))
    assert step.action == Pass(nonlinear=True, activation=True)


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "a product of two maps": (
        lambda net, x: x * net.first(x[:, :3]),
        "mul in the network itself .* product of two maps",
    ),
    "a square": (lambda net, x: x * x, "mul in the network itself .* product of two maps"),
    "a quotient": (lambda net, x: x / (1 + x.abs()), "abs in the network itself"),
    "attention": (lambda net, x: (x @ x.transpose(2, 3)) @ x, "matmul in the network itself .* attention"),
    "an uneven adaptive pool": (
        lambda net, x: functional.adaptive_avg_pool2d(x, 5),
        "adaptive_avg_pool2d in the network itself .* 16x16 to 5x5, which does not divide",
    ),
    "a transposed convolution": (lambda net, x: net.up(x), "conv_transpose2d in module up .* no rule"),
    "resizing": (
        lambda net, x: functional.interpolate(x, scale_factor=2),
        "interpolate in the network itself .* resizing",
    ),
    "group norm": (lambda net, x: net.group_norm(x), "group_norm in module group_norm .* no rule"),
    "instance norm": (lambda net, x: net.instance_norm(x), "instance_norm in module instance_norm .* no rule"),
    "a layer norm over places": (lambda net, x: functional.layer_norm(x, (16, 16)), "layer_norm .* units of one place"),
    "rolled windows": (lambda net, x: torch.roll(x, 2, 3), "roll in the network itself"),
    "a mirrored map": (lambda net, x: torch.flip(x, (3,)), "flip in the network itself .* reorders the places"),
    "a transposed map": (lambda net, x: x + x.transpose(2, 3), "add in the network itself .* mean different things"),
    "tokens": (lambda net, x: x.flatten(2), "flatten in the network itself .* mixes places with units"),
    "a convolution over places": (
        lambda net, x: functional.conv2d(x.permute(0, 2, 3, 1), torch.rand(4, 16, 1, 1)),
        "conv2d in the network itself .* not laid out",
    ),
    "a mask": (lambda net, x: torch.where(x > 0, x, -x), "where in the network itself|gt in the network itself"),
    "weights from the picture": (
        lambda net, x: functional.conv2d(x, x[:, :, :3, :3]),
        "conv2d in the network itself .* weights depend on the picture",
    ),
    "a factor for every place": (lambda net, x: x * torch.rand(16, 16), "mul .* differs from place to place"),
    "pooled indices": (lambda net, x: functional.max_pool2d(x, 2, return_indices=True)[0], "max_pool2d"),
    "batch statistics": (
        lambda net, x: functional.batch_norm(x, None, None, training=True),
        "batch_norm in the network itself .* running statistics are needed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_operation_and_module(name: str) -> None:
    then, message = REFUSED[name]
    network = Network(
        lambda net, x: functional.relu(then(net, functional.relu(x))),
        up=nn.ConvTranspose2d(6, 3, 2),
        group_norm=nn.GroupNorm(2, 6),
        instance_norm=nn.InstanceNorm2d(6),
    )
    with pytest.raises(InputError, match=message):
        expand(network, picture())


def test_a_refused_operation_off_the_way_to_the_output_is_no_reason_to_refuse() -> None:
    def with_side_path(net: Any, x: Tensor) -> Tensor:
        x = functional.relu(x)
        _ = x * x
        return functional.relu(net.second(x))

    assert expand(Network(with_side_path, second=nn.Conv2d(6, 2, 3)), picture()).edges.num_rows == 12


def test_an_input_that_is_no_batch_of_pictures_is_refused() -> None:
    with pytest.raises(InputError, match=r"takes \[pictures, channels, height, width\], not \[1, 3\]"):
        expand(nn.Linear(3, 4), torch.rand(1, 3))


def test_a_layer_without_units_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"getitem in the network itself gives a tensor without entries, of shape \[1, 0,"
    ):
        expand(Network(lambda net, x: x[:, 6:]), picture())


def test_a_pixel_is_the_middle_of_its_own_receptive_field() -> None:
    steps = linearise(trace(Network(lambda net, x: x), picture()))
    assert (steps[0].y.centre, steps[0].y.stride) == (0, 1)
    assert np.isclose(steps[1].y.centre, 0)
