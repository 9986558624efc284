"""What one forward pass writes down, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from circuitdb.errors import InputError
from ingest.expand import expand
from ingest.tracing import VIEW_WRITE, Node, trace


class Network(nn.Module):
    """A convolution, then whatever is given."""

    def __init__(self, then: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        for name, module in modules.items():
            self.add_module(name, module)
        self._then = then

    def forward(self, x: Tensor) -> Any:
        return self._then(self, self.first(x))


def picture(side: int = 16) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def operations(network: nn.Module) -> list[str]:
    return [node.operation for node in trace(network, picture()).nodes]


def test_operations_have_one_name_in_all_their_forms() -> None:
    def forms(net: Any, x: Tensor) -> Tensor:
        x = torch.relu(functional.relu(x.relu()))
        x = torch.relu_(functional.relu(x, inplace=True))
        x = 1 + (x + x).add(x).add_(1)
        x += 2
        return torch.concat([x, 2 * x.mul(3)], dim=1)

    assert operations(Network(forms)) == ["input", "conv2d", *["relu"] * 5, *["add"] * 5, "mul", "mul", "cat"]


def test_every_operation_knows_its_module_shape_and_arguments() -> None:
    inner = nn.Sequential(nn.Conv2d(4, 5, 3, stride=2), nn.ReLU())
    found = trace(Network(lambda net, x: net.inner(x), inner=inner), picture())
    convolution = found.nodes[2]
    assert (convolution.module, convolution.shape) == ("inner.0", (1, 5, 7, 7))
    assert convolution.arguments["input"] is found.nodes[1]
    assert convolution.arguments["stride"] == (2, 2)
    assert found.calls == {"first": (1,), "inner.0": (2,), "inner.1": (3,), "inner": (3,), "": (3,)}
    assert found.outputs == (3,)
    assert found.sequences == {"inner"}


def test_a_module_called_again_has_each_of_its_calls() -> None:
    network = Network(lambda net, x: net.act(net.second(net.act(x))), act=nn.ReLU(), second=nn.Conv2d(4, 4, 1))
    assert trace(network, picture()).calls["act"] == (2, 4)


def test_what_is_written_in_place_is_what_later_operations_read() -> None:
    def in_place(net: Any, x: Tensor) -> Tensor:
        functional.relu(x, inplace=True)
        return net.second(x)

    found = trace(Network(in_place, second=nn.Conv2d(4, 4, 1)), picture())
    assert found.nodes[3].arguments["input"].operation == "relu"


@pytest.mark.parametrize("write", ["relu", "setitem"])
def test_a_write_through_a_view_is_refused_where_it_is_read(write: str) -> None:
    def through_view(net: Any, x: Tensor) -> Tensor:
        half = x[:, :2]
        if write == "relu":
            functional.relu(half, inplace=True)
        else:
            half[:, 0] = x[:, 3]
        return functional.relu(net.second(x))

    network = Network(through_view, second=nn.Conv2d(4, 4, 1))
    with pytest.raises(InputError, match=f"^{VIEW_WRITE} in the network itself cannot be read"):
        expand(network, picture())


def test_a_write_that_no_one_reads_through_another_name_is_no_reason_to_refuse() -> None:
    def half_only(net: Any, x: Tensor) -> Tensor:
        return functional.relu(net.second(functional.relu(x[:, :2], inplace=True)))

    assert expand(Network(half_only, second=nn.Conv2d(2, 4, 1)), picture()).edges.num_rows == 8


def test_constants_are_folded_and_leave_no_operation() -> None:
    network = Network(lambda net, x: net.second(x), second=weight_norm(nn.Conv2d(4, 5, 3)))
    found = trace(network, picture())
    assert [node.operation for node in found.nodes] == ["input", "conv2d", "conv2d"]
    torch.testing.assert_close(found.nodes[2].arguments["weight"], network.second.weight.detach())


def test_dropout_auxiliary_heads_and_training_flags_play_no_part() -> None:
    def with_head(net: Any, x: Tensor) -> Any:
        y = functional.relu(net.drop(x))
        return (y, net.second(y)) if net.training else y

    network = Network(with_head, drop=nn.Dropout(), second=nn.Conv2d(4, 5, 3)).train()
    assert operations(network) == ["input", "conv2d", "relu"]
    assert network.training


@pytest.mark.parametrize("read", ["item", "if", "tolist", "numpy", "int"])
def test_a_network_that_reads_numbers_out_of_its_data_is_refused(read: str) -> None:
    def reading(net: Any, x: Tensor) -> Tensor:
        if read == "item":
            return x * x.mean().item()
        if read == "if":
            return x if x.mean() > 0 else -x
        if read == "tolist":
            return x * x.flatten().tolist()[0]
        if read == "numpy":
            return x * torch.from_numpy(x.numpy())
        return x[:, : int(x.abs().sum())]

    with pytest.raises(InputError, match="in the network itself reads numbers out of the data"):
        trace(Network(reading), picture())


def test_torchscript_is_refused_by_its_path() -> None:
    scripted = torch.jit.script(nn.ReLU())
    with pytest.raises(InputError, match="module act is a TorchScript module"):
        trace(Network(lambda net, x: net.act(x), act=scripted), picture())


def test_a_tensor_of_unknown_origin_is_refused() -> None:
    hidden = [torch.rand(1, 4, 16, 16)]
    network = Network(lambda net, x: functional.relu(net.second(x) + hidden[0]), second=nn.Conv2d(4, 4, 1))
    with pytest.raises(InputError, match="tensor of unknown origin in the network itself cannot be read"):
        expand(network, picture())


def test_a_forward_pass_that_fails_names_the_module_and_the_reason() -> None:
    network = Network(lambda net, x: net.second(x), second=nn.Conv2d(7, 4, 1))
    with pytest.raises(InputError, match=r"the forward pass of the network failed in module second: .*channels"):
        trace(network, picture())


@pytest.mark.parametrize("value", [None, 3, "x"])
def test_a_network_that_returns_no_tensor_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="returns nothing that was computed from the picture"):
        trace(Network(lambda net, x: value), picture())


def test_all_tensors_of_a_nested_result_are_outputs() -> None:
    network = Network(lambda net, x: {"a": x, "b": [functional.relu(x), (x + 1,)]})
    assert trace(network, picture()).outputs == (1, 2, 3)


def test_hooks_are_gone_after_a_failure_too() -> None:
    network = Network(lambda net, x: x @ torch.rand(2, 2))
    with pytest.raises(InputError):
        trace(network, picture())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())


def test_a_node_is_named_with_its_module() -> None:
    assert Node(0, "relu", {}, "a.b", ()).place == "relu in module a.b"
    assert Node(0, "relu", {}, "", ()).place == "relu in the network itself"
