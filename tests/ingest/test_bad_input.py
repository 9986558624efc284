"""Bad input is answered in one sentence that says what to do, with the right exit code, and nothing is lost."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from circuitdb.errors import InputError
from ingest.weights import fit, read_weights

GOOD = {"conv.weight": torch.ones(2, 3, 1, 1), "conv.bias": torch.zeros(2)}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def torch_file(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def legacy_torch_file(path: Path) -> Path:
    torch.save(GOOD, path, _use_new_zipfile_serialization=False)
    return path


def cut(path: Path, part: float) -> Path:
    content = path.read_bytes()
    return write(path, content[: int(len(content) * part)])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil",)


BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda d: d / "no.safetensors", "there is no weights file"),
    "folder": (lambda d: d, "is a folder; give the weights file in it"),
    "empty": (lambda d: write(d / "w.pth", b""), "w.pth is no weights file; give a .safetensors file, or a .pth"),
    "text": (lambda d: write(d / "w.pth", b"hello, this is text"), "is no weights file"),
    "picture": (lambda d: write(d / "w.safetensors", b"\x89PNG\r\n\x1a\n" + bytes(50)), "is no weights file"),
    "safetensors cut in the header": (
        lambda d: write(d / "w.safetensors", save(GOOD)[:40]),
        "w.safetensors is truncated or damaged",
    ),
    "safetensors cut in the data": (
        lambda d: write(d / "w.safetensors", save(GOOD)[:-3]),
        "w.safetensors is truncated or damaged",
    ),
    "torch file cut": (lambda d: cut(torch_file(d / "w.pth", GOOD), 0.5), "truncated, damaged or no weights file"),
    "old torch file cut": (lambda d: cut(legacy_torch_file(d / "w.pth"), 0.8), "truncated, damaged or no weights file"),
    "other zip": (
        lambda d: write(d / "w.pth", b"PK\x05\x06" + bytes(18)),
        "w.pth is truncated, damaged or no weights file",
    ),
    "whole network": (
        lambda d: torch_file(d / "w.pth", nn.Conv2d(1, 1, 1)),
        "holds Python objects, which could run code when they are loaded; save the network's state_dict",
    ),
    "code in a torch file": (lambda d: torch_file(d / "w.pth", {"a": Evil()}), "which could run code"),
    "code in a pickle": (lambda d: write(d / "w.pth", pickle.dumps(Evil())), "no weights file"),
    "list": (lambda d: torch_file(d / "w.pth", [torch.ones(2)]), "holds a list, not a state dict"),
    "no tensors": (lambda d: torch_file(d / "w.pth", {"epoch": 3}), "holds no tensors"),
    "NaN": (
        lambda d: torch_file(d / "w.pth", GOOD | {"conv.bias": torch.tensor([0.0, torch.nan])}),
        "conv.bias in w.pth holds 1 NaN or infinite values of 2",
    ),
    "infinity": (
        lambda d: torch_file(d / "w.pth", GOOD | {"conv.bias": torch.tensor([-torch.inf, torch.inf])}),
        "conv.bias in w.pth holds 2 NaN or infinite values of 2",
    ),
    "zero width": (
        lambda d: torch_file(d / "w.pth", GOOD | {"conv.weight": torch.ones(0, 3, 1, 1)}),
        r"conv.weight in w.pth is empty \(shape 0x3x1x1\): a layer of width zero has no units",
    ),
    "sparse": (
        lambda d: torch_file(d / "w.pth", {"conv.weight": torch.ones(2, 3).to_sparse()}),
        "conv.weight in w.pth is sparse or quantized; save it as a plain tensor of numbers",
    ),
    "quantized": (
        lambda d: torch_file(d / "w.pth", {"w": torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)}),
        "w in w.pth is sparse or quantized; save it as a plain tensor of numbers",
    ),
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_weights_file_is_refused_in_one_sentence(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = BAD_FILES[case]
    file = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_weights_that_are_no_floating_point_numbers_are_refused(kind: torch.dtype) -> None:
    tensors = GOOD | {"conv.weight": torch.ones(2, 3, 1, 1).to(kind)}
    with pytest.raises(InputError, match=r"'conv.weight' in w.pth holds \w+ numbers, not floating-point ones"):
        fit(nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1))), tensors, origin="w.pth", partial=False)


def test_old_and_new_torch_files_and_safetensors_hold_the_same(tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "w.safetensors")
    files = [legacy_torch_file(tmp_path / "old.pth"), torch_file(tmp_path / "new.pt", GOOD), tmp_path / "w.safetensors"]
    for file in files:
        tensors = read_weights(file).tensors
        assert tensors.keys() == GOOD.keys()
        assert all(torch.equal(tensors[name], GOOD[name]) for name in GOOD)
