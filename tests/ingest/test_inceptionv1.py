"""InceptionV1 is what Caffe and TensorFlow compute, at the widths that the weights have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from circuitdb.errors import InputError
from ingest.architectures import inceptionv1
from ingest.sources import Source, load

MACAW = 88
BVLC_OUTPUTS = {"mixed3a": 256, "mixed3b": 480, "mixed4a": 512, "mixed4b": 512, "mixed4c": 512, "mixed4d": 528} | {
    "mixed4e": 832,
    "mixed5a": 832,
    "mixed5b": 1024,
}


def convolve(
    x: Tensor, weights: dict[str, Tensor], name: str, before: int = 0, after: int = 0, stride: int = 1
) -> Tensor:
    """ReLU of a convolution of a picture with zeros written around it."""
    batch, channels, height, width = x.shape
    framed = x.new_zeros(batch, channels, before + height + after, before + width + after)
    framed[:, :, before : before + height, before : before + width] = x
    result = functional.conv2d(framed, weights[f"{name}.weight"], stride=stride)
    return (result + weights[f"{name}.bias"][:, None, None]).clamp(min=0)


def max_pool(x: Tensor, stride: int, before: int, after: int) -> Tensor:
    """The largest of 3x3 cells, with minus infinity around the picture."""
    batch, channels, height, width = x.shape
    framed = torch.full((batch, channels, before + height + after, before + width + after), -torch.inf, dtype=x.dtype)
    framed[:, :, before : before + height, before : before + width] = x
    return framed.unfold(2, 3, stride).unfold(3, 3, stride).flatten(-2).amax(-1)


def normalise(x: Tensor, size: int, beta: float) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3, with alpha over the size as Caffe has it."""
    squares = torch.zeros_like(x)
    for channel in range(x.shape[1]):
        low, high = max(0, channel - size // 2), min(x.shape[1], channel + size // 2 + 1)
        squares[:, channel] = (x[:, low:high] ** 2).sum(1)
    return x / (1 + 1e-4 / size * squares) ** beta


def caffe_googlenet(x: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every layer of BVLC's GoogLeNet, line by line after its deploy.prototxt."""
    layers = {}
    layers["conv2d0"] = x = convolve(x, weights, "conv1/7x7_s2", 3, 3, stride=2)
    x = normalise(max_pool(x, 2, 0, 1), 5, 0.75)
    layers["conv2d1"] = x = convolve(x, weights, "conv2/3x3_reduce")
    layers["conv2d2"] = x = convolve(x, weights, "conv2/3x3", 1, 1)
    x = max_pool(normalise(x, 5, 0.75), 2, 0, 1)
    for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        if block in ("4a", "5a"):
            x = max_pool(x, 2, 0, 1)
        name = f"inception_{block}"
        one = convolve(x, weights, f"{name}/1x1")
        three = convolve(convolve(x, weights, f"{name}/3x3_reduce"), weights, f"{name}/3x3", 1, 1)
        five = convolve(convolve(x, weights, f"{name}/5x5_reduce"), weights, f"{name}/5x5", 2, 2)
        pool = convolve(max_pool(x, 1, 1, 1), weights, f"{name}/pool_proj")
        layers[f"mixed{block}"] = x = torch.cat([one, three, five, pool], 1)
    pooled = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    layers["softmax"] = pooled @ weights["loss3/classifier.weight"].T + weights["loss3/classifier.bias"]
    return layers


def caffe_input(picture: Tensor) -> Tensor:
    small = functional.interpolate(picture[None], size=(224, 224), mode="area")
    return small.flip(1) - torch.tensor([104.0, 117.0, 123.0])[:, None, None]


def layers_of(network: torch.nn.Module, x: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name in inceptionv1.LAYERS
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_every_layer_of_the_bvlc_network_is_that_of_a_straight_line_implementation(
    bvlc: Source, weights_file: Callable[[str], Path], macaws: Tensor
) -> None:
    weights = load_file(weights_file("inceptionv1"))
    x = caffe_input(macaws)
    expected = caffe_googlenet(x, weights)
    found = layers_of(bvlc.loaded.network, x)
    assert list(found) == list(inceptionv1.LAYERS)
    for name in inceptionv1.LAYERS:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-4, atol=1e-4 * float(expected[name].abs().max())
        )


def test_the_bvlc_network_sees_macaws_in_a_photograph_of_macaws(bvlc: Source, macaws: Tensor) -> None:
    with torch.no_grad():
        probabilities = bvlc.loaded.network(caffe_input(macaws)).softmax(1)
    assert int(probabilities.argmax()) == MACAW
    assert float(probabilities.max()) > 0.99


def test_the_bvlc_network_is_recorded_as_taking_bgr(bvlc: Source) -> None:
    assert bvlc.architecture == "inceptionv1 (bvlc)"
    assert bvlc.preprocessing == {
        "channels": "BGR",
        "range": [0.0, 255.0],
        "mean": [104.0, 117.0, 123.0],
        "std": [1.0, 1.0, 1.0],
        "size": [224, 224],
    }


@pytest.fixture(scope="module")
def inception5h_weights() -> dict[str, Tensor]:
    """Random weights under the names and at the widths of the network in the essay (networks.md)."""
    generator = torch.Generator().manual_seed(5)
    blocks = {  # 1x1, 3x3 bottleneck, 3x3, 5x5 bottleneck, 5x5, pool_reduce
        "mixed3a": (192, 64, 96, 128, 16, 32, 32),
        "mixed3b": (256, 128, 128, 192, 32, 96, 64),
        "mixed4a": (480, 192, 96, 204, 16, 48, 64),
        "mixed4b": (508, 160, 112, 224, 24, 64, 64),
        "mixed4c": (512, 128, 128, 256, 24, 64, 64),
        "mixed4d": (512, 112, 144, 288, 32, 64, 64),
        "mixed4e": (528, 256, 160, 320, 32, 128, 128),
        "mixed5a": (832, 256, 160, 320, 48, 128, 128),
        "mixed5b": (832, 384, 192, 384, 48, 128, 128),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "conv2d0_pre_relu_conv": (64, 3, 7, 7),
        "conv2d1_pre_relu_conv": (64, 64, 1, 1),
        "conv2d2_pre_relu_conv": (192, 64, 3, 3),
        "softmax2_pre_activation_matmul": (1008, 1024),
    }
    for block, (inputs, one, reduce3, three, reduce5, five, pool) in blocks.items():
        shapes |= {
            f"{block}_1x1_pre_relu_conv": (one, inputs, 1, 1),
            f"{block}_3x3_bottleneck_pre_relu_conv": (reduce3, inputs, 1, 1),
            f"{block}_3x3_pre_relu_conv": (three, reduce3, 3, 3),
            f"{block}_5x5_bottleneck_pre_relu_conv": (reduce5, inputs, 1, 1),
            f"{block}_5x5_pre_relu_conv": (five, reduce5, 5, 5),
            f"{block}_pool_reduce_pre_relu_conv": (pool, inputs, 1, 1),
        }
    weights = {}
    for name, shape in shapes.items():
        fan_in = torch.tensor(shape[1:]).prod()
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / fan_in**0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    return weights


def inception5h(x: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network of the essay, line by line, with TensorFlow's padding and LRN(9, 1e-4, 0.5)."""
    layers = {}
    layers["conv2d0"] = x = convolve(x, weights, "conv2d0_pre_relu_conv", 2, 3, stride=2)
    x = normalise(max_pool(x, 2, 0, 1), 9, 0.5)
    layers["conv2d1"] = x = convolve(x, weights, "conv2d1_pre_relu_conv")
    layers["conv2d2"] = x = convolve(x, weights, "conv2d2_pre_relu_conv", 1, 1)
    x = max_pool(normalise(x, 9, 0.5), 2, 0, 1)
    for name in ("mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed5a", "mixed5b"):
        if name in ("mixed4a", "mixed5a"):
            x = max_pool(x, 2, 0, 1)
        one = convolve(x, weights, f"{name}_1x1_pre_relu_conv")
        three = convolve(x, weights, f"{name}_3x3_bottleneck_pre_relu_conv")
        three = convolve(three, weights, f"{name}_3x3_pre_relu_conv", 1, 1)
        five = convolve(x, weights, f"{name}_5x5_bottleneck_pre_relu_conv")
        five = convolve(five, weights, f"{name}_5x5_pre_relu_conv", 2, 2)
        pool = convolve(max_pool(x, 1, 1, 1), weights, f"{name}_pool_reduce_pre_relu_conv")
        layers[name] = x = torch.cat([one, three, five, pool], 1)
    pooled = x.mean((2, 3))
    head = "softmax2_pre_activation_matmul"
    layers["softmax"] = pooled @ weights[f"{head}.weight"].T + weights[f"{head}.bias"]
    return layers


def test_weights_under_the_names_of_inception5h_make_the_network_of_the_essay(
    inception5h_weights: dict[str, Tensor], macaws: Tensor, tmp_path: Path
) -> None:
    file = tmp_path / "inception5h.pth"
    torch.save(inception5h_weights | {"softmax0_pre_activation_matmul.bias": torch.ones(3)}, file)
    source = load("inceptionv1", str(file))
    assert source.architecture == "inceptionv1 (inception5h)"
    assert source.preprocessing is not None
    assert (source.preprocessing["channels"], source.preprocessing["mean"]) == ("RGB", [117.0] * 3)
    assert (source.loaded.absent, source.loaded.unused) == ((), ())
    x = functional.interpolate(macaws[None], size=(224, 224), mode="area") - 117
    found = layers_of(source.loaded.network, x)
    expected = inception5h(x, inception5h_weights)
    widths = [64, 64, 192, 256, 480, 508, 512, 512, 528, 832, 832, 1024, 1008]
    assert [found[name].shape[1] for name in inceptionv1.LAYERS] == widths
    for name in inceptionv1.LAYERS:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-4, atol=1e-4 * float(expected[name].abs().max())
        )


def test_the_file_decides_the_widths(inception5h_weights: dict[str, Tensor], tmp_path: Path) -> None:
    narrow = dict(inception5h_weights)
    for kind in ("weight", "bias"):
        narrow[f"softmax2_pre_activation_matmul.{kind}"] = narrow[f"softmax2_pre_activation_matmul.{kind}"][:10].clone()
    save_file(narrow, tmp_path / "narrow.safetensors")
    assert load("inceptionv1", str(tmp_path / "narrow.safetensors")).loaded.network(
        torch.zeros(1, 3, 64, 64)
    ).shape == (
        1,
        10,
    )


def test_a_missing_tensor_is_named_as_the_file_names_it(inception5h_weights: dict[str, Tensor], tmp_path: Path) -> None:
    less = {name: tensor for name, tensor in inception5h_weights.items() if name != "mixed4c_5x5_pre_relu_conv.weight"}
    save_file(less | {"mixed4c_5x5_pre_relu_convv.weight": torch.ones(1)}, tmp_path / "less.safetensors")
    with pytest.raises(InputError, match="1 of 116 tensors are missing") as caught:
        load("inceptionv1", str(tmp_path / "less.safetensors"))
    message = str(caught.value)
    assert "first 'mixed4c_5x5_pre_relu_conv.weight'" in message
    assert "1 unexpected, first 'mixed4c_5x5_pre_relu_convv.weight'" in message
    source = load("inceptionv1", str(tmp_path / "less.safetensors"), partial=True)
    assert source.loaded.absent == ("mixed4c.5x5.conv",)
    assert source.loaded.unused == ("mixed4c_5x5_pre_relu_convv.weight",)


def test_a_random_start_is_the_same_for_the_same_seed() -> None:
    first, again, other = (load("inceptionv1", "random", seed=seed) for seed in (3, 3, 4))
    assert first.loaded.sha256 == again.loaded.sha256 != other.loaded.sha256
    assert first.loaded.weights == "random, seed 3"


def test_block_widths_follow_the_published_table(bvlc: Source) -> None:
    seen = layers_of(bvlc.loaded.network, torch.zeros(1, 3, 64, 64))
    assert {name: seen[name].shape[1] for name in BVLC_OUTPUTS} == BVLC_OUTPUTS
