"""ResNetV2-50 is what TF-Slim computes, from folded and from plain batch norms."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from circuitdb.errors import InputError
from ingest.architectures.resnetv2 import ResNetV2
from ingest.sources import load

SLIM = "resnet_v2_50"


@pytest.fixture(scope="module")
def folded(weights_file: Callable[[str], Path]) -> dict[str, Tensor]:
    return load_file(weights_file("resnetv2_50"))


@pytest.fixture(scope="module")
def picture(macaws: Tensor) -> Tensor:
    return functional.interpolate(macaws[None], size=(224, 224), mode="area") / 127.5 - 1


def slim_blocks(x: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The stem and blocks 1 to 3, line by line after TF-Slim's resnet_v2.py, on the folded weights as stored."""

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}_weights"]  # O, H, W, I
        size = kernel.shape[1]
        before = (size - 1) // 2  # conv2d_same pads alike whatever the size of the picture
        framed = functional.pad(x, (before, size - 1 - before) * 2)
        result = (
            torch.einsum("bcyxhw,ohwc->boyx", framed.unfold(2, size, stride).unfold(3, size, stride), kernel)
            if size > 1
            else torch.einsum("bcyx,oc->boyx", x[:, :, ::stride, ::stride], kernel[:, 0, 0])
        )
        return result + weights[f"{name}_Conv2D_bias"][:, None, None]

    layers = {}
    x = convolve(x, f"{SLIM}_conv1", 2)
    framed = functional.pad(x, (0, 1, 0, 1), value=-torch.inf)
    x = framed.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
    layers["pool1"] = x
    for block, units in ((1, 3), (2, 4), (3, 6)):
        for unit in range(1, units + 1):
            stride = 2 if unit == units else 1
            name = f"{SLIM}_block{block}_unit_{unit}_bottleneck_v2"
            scale = weights[f"{name}_preact_FusedBatchNorm_mul_0_param"][:, None, None]
            shift = weights[f"{name}_preact_FusedBatchNorm_add_param"][:, None, None]
            preact = (x * scale + shift).clamp(min=0)
            shortcut = convolve(preact, f"{name}_shortcut") if unit == 1 else x[:, :, ::stride, ::stride]
            residual = convolve(preact, f"{name}_conv1").clamp(min=0)
            residual = convolve(residual, f"{name}_conv2", stride).clamp(min=0)
            x = shortcut + convolve(residual, f"{name}_conv3")
            layers[f"block{block}.unit_{unit}"] = x
    return layers


def outputs(network: torch.nn.Module, names: list[str], x: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name in names
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_blocks_1_to_3_of_the_stored_weights_are_those_of_a_straight_line_implementation(
    weights_file: Callable[[str], Path], folded: dict[str, Tensor], picture: Tensor
) -> None:
    source = load("resnetv2_50", str(weights_file("resnetv2_50")), partial=True)
    expected = slim_blocks(picture, folded)
    found = outputs(source.loaded.network, list(expected), picture)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4 * float(value.abs().max()))
    assert source.licence == "Apache-2.0"


def test_the_stored_file_lacks_what_its_own_metadata_lists(weights_file: Callable[[str], Path]) -> None:
    path = weights_file("resnetv2_50")
    with safe_open(path, "pt") as file:
        listed = {name.removeprefix(f"{SLIM}_") for name in json.loads(file.metadata()["missing"])}
    source = load("resnetv2_50", str(path), partial=True)
    slim = {
        path.replace(".unit_", "_unit_").replace(".", "_bottleneck_v2_", 1) + "_weights"
        for path in source.loaded.absent
    }
    assert slim == listed


def test_a_partial_file_is_refused_unless_asked_for(weights_file: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"10 of 272 tensors are missing.*--partial"):
        load("resnetv2_50", str(weights_file("resnetv2_50")))


def test_plain_batch_norms_give_the_same_network_as_folded_ones(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    network = ResNetV2().eval()
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.ndim == 1:
            state[name] = 0.5 * torch.randn(value.shape, generator=generator) + (1.0 if "weight" in name else 0.0)
    network.load_state_dict(state)
    torch.save(state, tmp_path / "plain.pth")

    def scale_and_shift(norm: str) -> tuple[Tensor, Tensor]:
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-5).sqrt()
        return scale, state[f"{norm}.bias"] - scale * state[f"{norm}.running_mean"]

    folded: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        slim = f"{SLIM}_{path}".replace(".unit_", "_unit_").replace(".", "_bottleneck_v2_")
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            weight = state[f"{path}.weight"]
            weight = weight if weight.ndim == 4 else weight[:, :, None, None]
            if path[-5:] in ("conv1", "conv2") and "." in path:
                scale, shift = scale_and_shift(path.replace("conv", "norm"))
                weight = weight * scale[:, None, None, None]
            else:
                shift = state[f"{path}.bias"]
            folded |= {f"{slim}_weights": weight.permute(0, 2, 3, 1).contiguous(), f"{slim}_Conv2D_bias": shift}
        elif path.endswith(("preact", "postnorm")):
            scale, shift = scale_and_shift(path)
            folded |= {f"{slim}_FusedBatchNorm_mul_0_param": scale, f"{slim}_FusedBatchNorm_add_param": shift}
    torch.save(folded, tmp_path / "folded.pth")

    x = torch.randn(1, 3, 64, 64, generator=generator)
    plain = load("resnetv2_50", str(tmp_path / "plain.pth")).loaded
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(plain.network(x), expected)
        from_folded = load("resnetv2_50", str(tmp_path / "folded.pth")).loaded
        torch.testing.assert_close(from_folded.network(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert (from_folded.absent, from_folded.unused) == ((), ())
