"""Real networks and pictures, loaded once for all tests of the ingest."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
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
