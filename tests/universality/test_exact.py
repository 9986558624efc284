"""Joins of networks that are run again, and of networks with untrained copies in the database."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import circuitdb
from circuitdb.backends import open_store
from circuitdb.universality.join import UNTRAINED, join
from circuitdb.universality.signatures import read_signatures
from ingest.exact import reader
from ingest.pipeline import ingest_model
from ingest.preprocessing import Preprocessing
from ingest.probes import load_probes
from ingest.reprobing import probe_models
from ingest.responses import as_input, resized
from tests.conftest import Command

SIDE, PARTS = 42, 14

NETWORKS = f"""
import torch
from torch import nn

EXAMPLE_SHAPE = (1, 3, {SIDE}, {SIDE})
PREPROCESSING = {{"channels": "RGB", "range": [0, 1], "mean": [0.5] * 3, "std": [0.25] * 3, "size": [{SIDE}, {SIDE}]}}


def network(seed, *widths):
    torch.manual_seed(seed)
    layers, inputs = [], 3
    for width in widths:
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        inputs = width
    return nn.Sequential(*layers[:-1])


def first():
    return network(1, 8, 12)


def second():
    return network(2, 10, 6)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("exact")
    (folder / "two_networks.py").write_text(NETWORKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        made = str(folder / "two.duckdb")
        for name in ("first", "second"):
            ingest_model(f"two_networks:{name}", db=made, name=name, probes="synthetic", maps=())
        yield made


def parts(name: str) -> npt.NDArray[np.float64]:
    """[unit, value]: the network's responses to every picture, averaged over 14 by 14 parts, layer by layer."""
    module = importlib.import_module("two_networks")
    network = getattr(module, name)()
    pictures = load_probes("synthetic", SIDE).pictures
    x = as_input(resized(pictures, (SIDE, SIDE)), Preprocessing.from_json(module.PREPROCESSING))
    layers = []
    for place, layer in enumerate(network):
        with torch.no_grad():
            x = layer(x)
        if isinstance(layer, torch.nn.ReLU):
            stride = 2 ** (place // 3)
            centres = np.arange(x.shape[2]) * stride + (stride - 1) / 2
            fine = spread(spread(x.double().numpy(), centres, 2), centres, 3)
            blocks = fine.reshape(*x.shape[:2], PARTS, SIDE // PARTS, PARTS, SIDE // PARTS).mean(axis=(3, 5))
            layers.append(blocks.transpose(1, 0, 2, 3).reshape(x.shape[1], -1))
    return np.concatenate(layers)


def spread(values: npt.NDArray[np.float64], centres: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Values of cells as values of pixels along an axis."""
    return np.apply_along_axis(lambda line: np.interp(np.arange(SIDE), centres, line), axis, values)


def correlations(address: str, read: Any) -> npt.NDArray[np.float64]:
    """[unit of the first, unit of the second]: what a join says of every pair over all pictures; NaN where it is not
    among the analogues."""
    a, b = read(open_store(address), ["first", "second"], None)
    everything = np.arange(a.pictures)
    joined = join(a, b, halves=(everything, everything), best=b.units, samples=1)
    found = np.full((a.units, b.units), np.nan)
    for row in joined.partners:
        found[row.source, row.target] = row.score
    return found


def test_an_exact_join_gives_numpys_correlations_and_signatures_come_near_them(address: str) -> None:
    one, other = parts("first"), parts("second")
    reference = np.corrcoef(one, other)[: len(one), len(one) :]
    exact = correlations(address, reader("synthetic"))
    known = np.isfinite(exact)
    assert known.sum() > 50
    assert np.abs(exact - reference)[known].max() < 1e-3
    told = correlations(address, read_signatures)
    errors = (told - reference)[np.isfinite(told)]
    assert 1e-4 < np.sqrt(np.mean(errors**2)) < 0.03


def test_the_command_runs_the_networks_again(address: str, command: Command, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(Path(address).read_bytes())
    outcome = command("join", "first", "second", "--exact", "--probes", "synthetic", "--format", "json", db=copy)
    assert outcome.code == 0
    exact = {(row["a"], row["b"]): row["score"] for row in outcome.json["pairs"]}
    told = {
        (row["a"], row["b"]): row["score"]
        for row in command("join", "first", "second", "--format", "json", db=copy).json["pairs"]
    }
    both = exact.keys() & told.keys()
    assert len(both) > 20
    differences = [abs(exact[pair] - told[pair]) for pair in both]
    # The halves of the pictures are drawn anew, so that scores differ by more than the signatures' error.
    assert 0 < np.median(differences) < 0.06


def test_other_pictures_than_the_models_saw_are_refused(address: str, command: Command, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((224, 224, 3), np.uint8)).save(tmp_path / "black.png")
    outcome = command("join", "first", "second", "--exact", "--probes", str(tmp_path), db=address)
    assert outcome.code == 2
    assert "first was probed on those of SHA-256" in outcome.err
    assert command("join", "first", "second", "--exact", db=address).code == 2
    assert command("join", "first", "second", "--probes", "synthetic", db=address).code == 2


def test_untrained_copies_are_taken_by_themselves_and_their_lack_is_told(
    address: str, command: Command, tmp_path: Path
) -> None:
    db = tmp_path / "copy.duckdb"
    db.write_bytes(Path(address).read_bytes())
    without = command("join", "first", "second", db=db)
    assert "made without an untrained copy of second" in without.err
    ask = f"circuitdb ingest two_networks:second --weights random --name second_untrained --probes PICTURES --db {db}"
    assert ask in without.err
    ingest_model("two_networks:second", weights="random", db=str(db), name="second_untrained")
    assert "circuitdb probe second_untrained --probes PICTURES" in command("join", "first", "second", db=db).err
    probe_models(["second_untrained"], maps=(), db=str(db))
    found = command("join", "first", "second", "--both", "--format", "json", db=db)
    there, back = found.json["joins"]
    assert there["untrained"] == ["second_untrained"]
    assert UNTRAINED in there["nulls"]
    assert there["remarks"] == []
    assert (back["untrained"], UNTRAINED in back["nulls"]) == ([], False)
    assert "made without an untrained copy of first" in found.err
    assert "second_untrained" in command("join", "first", "second", db=db).out
    # A model is no null of a join in which it takes part.
    assert command("join", "second_untrained", "second", "--format", "json", db=db).json["untrained"] == []
    refused = command("join", "second", "first", "--untrained", "second_untrained", db=db)
    assert refused.code == 2
    assert "second_untrained is no copy of first" in refused.err


def test_a_new_model_is_joined_without_touching_the_others_and_takes_its_joins_along(
    address: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "copy.duckdb")
    Path(db).write_bytes(Path(address).read_bytes())
    with circuitdb.open(db) as database:
        database.join("first", "second", untrained=())
        before = database.analogues(["first", "second"])
        ingest_model("two_networks:first", weights="random", db=db, name="third", probes="synthetic", maps=())
        for a, b in (("third", "first"), ("second", "third")):
            database.join(a, b, untrained=())
        everything = ["first", "second", "third"]
        assert [(one.source, one.target) for one in database.analogues(everything)] == [
            ("first", "second"),
            ("second", "third"),
            ("third", "first"),
        ]
        assert database.analogues(["first", "second"]) == before
        database.delete("third")
        assert database.analogues(["first", "second"]) == before
        assert {row["name"] for row in database.models()} == {"first", "second"}


def test_a_copy_with_a_head_that_the_model_lacks_is_a_copy_still() -> None:
    from tests.signatures_made import noise, signatures

    random = np.random.default_rng(0)
    model, copy = signatures("model", noise(random, 6, 8)), signatures("copy", noise(random, 6, 8, 5))
    alike = copy.like(model)
    assert alike is not None
    assert alike.layers == copy.layers[:2]
    assert join(model, model, untrained=[alike]).nulls[UNTRAINED].by_layer.shape == (2, 2)
    assert model.like(copy) is None


def test_the_command_without_the_extra_says_what_to_install(
    address: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuitdb.cli.extensions", lambda: iter(()))
    outcome = command("join", "first", "second", "--exact", "--probes", "synthetic", db=address)
    assert outcome.code == 1
    assert "pip install 'neural-circuitdb[ingest]'" in outcome.err
