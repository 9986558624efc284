"""Networks are found by name, weights are put in, and what is recorded with them is true."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from circuitdb.errors import CircuitdbError, InputError
from ingest.architectures import torchvision_networks
from ingest.preprocessing import Preprocessing
from ingest.sources import load
from ingest.weights import sha256_of_tensors

MACAW = 88


def normalised(picture: Tensor, preprocessing: Preprocessing) -> Tensor:
    """A network's input from RGB bytes, as the record says."""
    low, high = preprocessing.range
    x = functional.interpolate(picture[None], size=preprocessing.size, mode="area")
    x = (x.flip(1) if preprocessing.channels == "BGR" else x) / 255 * (high - low) + low
    mean, std = (torch.tensor(row)[:, None, None] for row in (preprocessing.mean, preprocessing.std))
    return (x - mean) / std


@pytest.mark.parametrize("network", ["inceptionv1", "squeezenet1_1"])
def test_a_picture_prepared_as_recorded_is_classified_rightly(
    network: str, weights_file: Callable[[str], Path], macaws: Tensor
) -> None:
    source = load(network, str(weights_file(network)))
    assert source.preprocessing is not None
    preprocessing = Preprocessing.from_json(source.preprocessing)
    assert preprocessing.channels == "BGR"
    with torch.no_grad():
        assert int(source.loaded.network(normalised(macaws, preprocessing)).argmax()) == MACAW


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_weights_of_the_features_alone_need_no_partial_and_the_record_names_the_classifier(
    network: str, weights_file: Callable[[str], Path]
) -> None:
    source = load(network, str(weights_file(network)))
    assert source.loaded.left_out == ("classifier",)
    assert (source.loaded.absent, source.loaded.unused) == ((), ())
    weights = load_file(weights_file(network))
    state = source.loaded.network.state_dict()
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    assert source.preprocessing is not None
    assert (source.preprocessing["channels"], source.preprocessing["mean"]) == ("RGB", [0.485, 0.456, 0.406])


def test_the_recorded_sha256_is_that_of_the_file(weights_file: Callable[[str], Path]) -> None:
    file = weights_file("squeezenet1_1")
    assert load("squeezenet1_1", str(file)).loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_source_is_recorded_without_the_folder(weights_file: Callable[[str], Path]) -> None:
    assert load("squeezenet1_1", str(weights_file("squeezenet1_1"))).loaded.weights == "squeezenet1_1_caffe.safetensors"


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("alexnet", {"features.1": "conv1", "features.11": "conv5", "classifier.2": "fc6", "classifier.6": "fc8"}),
        ("vgg16", {"features.1": "conv1_1", "features.8": "conv2_2", "features.29": "conv5_3", "classifier.4": "fc7"}),
        ("vgg11_bn", {"features.2": "conv1_1", "features.6": "conv2_1", "features.10": "conv3_1"}),
        (
            "squeezenet1_1",
            {"features.1": "conv1", "features.3": "fire2", "features.12": "fire9", "classifier.2": "conv10"},
        ),
        ("squeezenet1_0", {"features.1": "conv1", "features.3": "fire2", "classifier.2": "conv10"}),
        ("resnet18", {"relu": "conv1", "layer1.0.relu": "layer1.0.conv1"}),
    ],
)
def test_layers_are_called_as_the_literature_calls_them(network: str, names: dict[str, str]) -> None:
    built = torchvision_networks.build_blank(network)
    found = torchvision_networks.layer_names(network, built)
    assert {path: found.get(path) for path in names} == names
    for path in found:
        built.get_submodule(path.removesuffix("_1"))


def test_random_weights_are_the_same_for_the_same_seed_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first, again, other = (load("squeezenet1_1", "random", seed=seed).loaded for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert torch.equal(torch.rand(3), expected)


def test_the_sha256_of_tensors_depends_on_names_shapes_and_values_not_on_their_order() -> None:
    one, two = torch.ones(2, 3), torch.zeros(4)
    assert sha256_of_tensors({"a": one, "b": two}) == sha256_of_tensors({"b": two, "a": one})
    different = [{"a": one, "c": two}, {"a": one.T, "b": two}, {"a": one, "b": two + 1}]
    assert len({sha256_of_tensors(tensors) for tensors in [{"a": one, "b": two}, *different]}) == 4


def test_a_random_start_is_recorded_with_its_seed() -> None:
    loaded = load("resnetv2_50", "random", seed=7).loaded
    assert loaded.weights == "random, seed 7"
    assert loaded.absent == ()


def test_regnet_takes_weights_though_it_cannot_be_built_without_values(tmp_path: Path) -> None:
    state = torchvision_networks.build("regnet_y_400mf").state_dict()
    torch.save(state, tmp_path / "regnet.pth")
    loaded = load("regnet_y_400mf", str(tmp_path / "regnet.pth")).loaded
    assert all(torch.equal(value, state[name]) for name, value in loaded.network.state_dict().items())


def test_a_checkpoint_of_a_training_script_is_unwrapped(tmp_path: Path) -> None:
    state = torchvision_networks.build("squeezenet1_1").state_dict()
    checkpoint = {"epoch": 3, "state_dict": {f"module.{name}": value.half() for name, value in state.items()}}
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    found = load("squeezenet1_1", str(tmp_path / "checkpoint.pt")).loaded.network.state_dict()
    assert all(torch.equal(found[name], value.half().float()) for name, value in state.items())


def test_auxiliary_heads_may_be_missing(tmp_path: Path) -> None:
    state = torchvision_networks.build("googlenet").state_dict()
    save_file({name: value for name, value in state.items() if not name.startswith("aux")}, tmp_path / "g.safetensors")
    loaded = load("googlenet", str(tmp_path / "g.safetensors")).loaded
    assert loaded.left_out == ("aux1", "aux2")
    with torch.no_grad():
        assert loaded.network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_partial_weights_name_the_modules_that_lack_them(tmp_path: Path) -> None:
    state = torchvision_networks.build("resnet18").state_dict()
    save_file(
        {name: value for name, value in state.items() if not name.startswith(("layer4.1.", "fc."))},
        tmp_path / "some.safetensors",
    )
    with pytest.raises(InputError, match=r"tensors are missing, first 'layer4\.1\.conv1\.weight'"):
        load("resnet18", str(tmp_path / "some.safetensors"))
    loaded = load("resnet18", str(tmp_path / "some.safetensors"), partial=True).loaded
    assert loaded.absent == ("layer4.1.conv1", "layer4.1.bn1", "layer4.1.conv2", "layer4.1.bn2", "fc")
    with torch.no_grad():
        assert loaded.network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


FACTORY = """
import torch
from torch import nn

EXAMPLE_SHAPE = (1, 1, 32, 32)
PREPROCESSING = {"channels": "grey"}


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.ReLU())


def broken():
    raise KeyError("width")


def infinite():
    network = nn.Conv2d(1, 3, 1)
    nn.init.constant_(network.weight, float("inf"))
    return network


def nothing():
    return 3


def zero_width():
    return nn.Sequential(nn.Conv2d(1, 0, 3), nn.ReLU())
"""


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the current directory."""
    (tmp_path / "my_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    return tmp_path


@pytest.mark.usefixtures("factory")
def test_a_factory_in_the_current_directory_is_a_network_with_the_shape_and_record_of_its_module() -> None:
    path = list(sys.path)
    source = load("my_networks:small")
    assert tuple(source.example.shape) == (1, 1, 32, 32)
    assert source.preprocessing == {"channels": "grey"}
    assert source.loaded.weights == "as my_networks:small returns them"
    assert sys.path == path
    assert (
        load("my_networks:small", "random", seed=1).loaded.sha256 != load("my_networks:small", "random").loaded.sha256
    )


def test_without_a_shape_the_first_convolution_tells_the_channels(factory: Path) -> None:
    (factory / "plain_networks.py").write_text("from torch import nn\ndef grey(): return nn.Conv2d(1, 4, 3)")
    assert tuple(load("plain_networks:grey").example.shape) == (1, 1, 224, 224)


def test_a_factory_takes_weights_from_a_file(factory: Path) -> None:
    state = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).state_dict()
    torch.save(state, factory / "w.pth")
    loaded = load("my_networks:small", "w.pth").loaded
    assert torch.equal(loaded.network.state_dict()["2.weight"], state["2.weight"])


@pytest.mark.usefixtures("factory")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("my_networks:broken", "my_networks:broken failed with KeyError: 'width'"),
        ("my_networks:infinite", "weight in the network holds 3 NaN or infinite values of 3"),
        ("my_networks:nothing", "returned no torch.nn.Module but a value of type int"),
        ("my_networks:smal", "has no function 'smal'; nearest: small"),
        ("no_such_module:small", "cannot import 'no_such_module'"),
        ("my_networks:zero_width", "0.weight in the network is empty"),
    ],
)
def test_a_factory_that_does_not_work_is_answered_in_one_sentence(model: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(model)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    with pytest.raises(InputError, match="there is no network 'resnet51'; nearest: resnet50"):
        load("resnet51")


@pytest.mark.parametrize("model", ["inceptionv1", "resnetv2_50", "squeezenet1_1"])
def test_without_weights_the_choices_are_said(model: str) -> None:
    with pytest.raises(InputError, match=f"say which weights {model} shall have: --weights FILE .*, --weights random"):
        load(model)


def test_an_unknown_name_of_weights_is_answered_with_torchvisions_own() -> None:
    with pytest.raises(InputError, match="torchvision's own are DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2"):
        load("resnet50", "IMAGENET1K_V3")


def test_offline_the_user_is_told_where_to_fetch_torchvisions_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr("urllib.request.OpenerDirector.open", unreachable)
    with pytest.raises(CircuitdbError) as caught:
        load("squeezenet1_1", "DEFAULT")
    message = str(caught.value)
    assert "cannot download SqueezeNet1_1_Weights.IMAGENET1K_V1 (Name or service not known)" in message
    assert "squeezenet1_1-b8a52dc0.pth" in message
    assert "--weights FILE" in message
    assert not any(file.is_file() for file in tmp_path.rglob("*"))


def test_torchvisions_weights_in_torchs_cache_are_not_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = torchvision_networks.build("squeezenet1_1").state_dict()
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    source = load("squeezenet1_1", "DEFAULT")
    assert source.loaded.weights == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert source.dataset == "ImageNet"
    assert torch.equal(source.loaded.network.state_dict()["features.0.weight"], state["features.0.weight"])


@pytest.mark.parametrize("model", ["handwritten", "handwritten_second", "handwritten_decoys"])
def test_handwritten_networks_bring_their_weights(model: str) -> None:
    source = load(model)
    with torch.no_grad():
        source.loaded.network(source.example)
    assert source.architecture == model
    with pytest.raises(InputError, match="computed from formulas"):
        load(model, "random")
