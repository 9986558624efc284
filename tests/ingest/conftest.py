"""What tests of the ingest share: real networks and pictures, loaded once; a factory and a photograph in files."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ingest.sources import Source, load

FILES = {
    "inceptionv1": "bvlc_googlenet_inceptionv1.safetensors",
    "alexnet": "alexnet_features_torchvision.safetensors",
    "vgg16": "vgg16_features_torchvision.safetensors",
    "squeezenet1_1": "squeezenet1_1_caffe.safetensors",
    "resnetv2_50": "resnet_v2_50_slim_blocks1-3.safetensors",
}


@pytest.fixture(scope="session")
def weights_file(data_folder: Path) -> Callable[[str], Path]:
    """The weights file of a network."""
    return lambda network: data_folder / "models" / FILES[network]


@pytest.fixture(scope="session")
def bvlc(weights_file: Callable[[str], Path]) -> Source:
    """InceptionV1 with the BVLC weights."""
    return load("inceptionv1", str(weights_file("inceptionv1")))


@pytest.fixture(scope="session")
def macaws(data_folder: Path) -> Tensor:
    """Two macaws (Kodak picture 23): [3, 512, 512], RGB, 0..255."""
    with tarfile.open(data_folder / "images" / "kodak24_png.tar") as pictures:
        [member] = [name for name in pictures.getnames() if name.endswith("/23.png")]
        file = pictures.extractfile(member)
        assert file is not None
        picture = Image.open(io.BytesIO(file.read())).convert("RGB")
    return torch.from_numpy(np.asarray(picture, np.float32)[:, 128:640].transpose(2, 0, 1).copy())


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Write a module of a name and text into the current folder, and get the address of its function `build`."""
    names = []

    def written(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        names.append(name)
        return f"{name}:build"

    yield written
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder with one photograph, which gives 12 crops."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (112, 168, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((4 * 224, 3 * 224), Image.Resampling.NEAREST).save(folder / "noise.png")
    return str(folder)
