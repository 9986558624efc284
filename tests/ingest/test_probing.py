"""Probing a model, on its way into a database and in it, by Python and by the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from circuitdb.backends import open_store
from circuitdb.errors import InputError
from ingest.pipeline import ingest_model
from ingest.probes import ProbeSet, load_probes
from ingest.probing import known_preprocessing, probe
from ingest.reprobing import probe_models
from ingest.responses import as_input, resized
from ingest.sources import Source
from tests.conftest import Command
from tests.tiny_networks import planted

NETWORK = """
import torch
from torch import nn

EXAMPLE_SHAPE = (1, 3, 40, 40)
PREPROCESSING = {"channels": "RGB", "range": [-1, 1], "mean": [0, 0, 0], "std": [1, 1, 1], "size": [40, 40]}


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 9, 5, padding=2), nn.ReLU(), nn.Conv2d(9, 4, 3, padding=1), nn.ReLU(inplace=True)
    )
"""


@pytest.fixture
def network(factory: Callable[[str, str], str]) -> str:
    """A factory in the current folder."""
    return factory("tiny_probed", NETWORK)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Weights for it with a mirrored pair, four quarter turns, and a unit that is the same from all sides."""
    draw = torch.Generator().manual_seed(1)
    tensors = {"0.weight": planted(), "0.bias": torch.zeros(9)}
    tensors |= {"2.weight": torch.randn(4, 9, 3, 3, generator=draw), "2.bias": torch.zeros(4)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "tiny.safetensors")
    return str(tmp_path / "tiny.safetensors")


def test_a_model_is_ingested_and_probed_in_one_go(network: str, weights: str, tmp_path: Path) -> None:
    db = str(tmp_path / "t.duckdb")
    summary = ingest_model(
        network, weights=weights, db=db, name="tiny", probes="synthetic", maps=["flip", "rotate(90)"]
    )
    assert summary.maps
    store = open_store(db)
    [model] = store.models()
    probes = load_probes("synthetic", 40)
    assert model["probes"] == probes.as_json()
    first, second = (layer["name"] for layer in model["layers"])
    unit = store.unit(f"tiny/{first}:2")
    assert unit is not None
    maps = {row["map"]: row for row in unit["maps"]}
    assert maps["rotate(90)"]["target"] == f"tiny/{first}:3"
    assert maps["rotate(90)"]["mutual"]
    assert maps["rotate(90)"]["score"] == pytest.approx(1, abs=1e-4)
    [family] = [row for row in unit["families"] if row["group"] == "rotate(90)"]
    assert family["order"] == 4
    examples = store.examples([f"tiny/{first}:2"])[f"tiny/{first}:2"]
    assert len(examples) == 9
    signatures = store.signatures("tiny")
    assert signatures is not None
    assert signatures.shape[:2] == (13, len(probes.names))
    assert [row["sd"] > 0 for row in store.layer_units("tiny", second)] == [True] * 4


def test_probing_later_writes_the_same_as_probing_at_once(
    network: str, weights: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, weights=weights, db=db, name="at_once", probes=pictures, maps=["flip"])
    ingest_model(network, weights=weights, db=db, name="later")
    [summary] = probe_models(["later"], probes=pictures, maps=["flip"], weights=[weights], db=db)
    store = open_store(db)
    one, other = store.read("at_once"), store.read("later")
    assert one.maps is not None
    assert other.maps is not None
    assert summary.maps == other.maps.num_rows
    assert one.maps.select(["source", "target"]) == other.maps.select(["source", "target"])
    assert np.array_equal(one.signatures, other.signatures)
    assert one.model["probes"] == other.model["probes"]
    assert one.edges == other.edges


def test_maps_of_another_run_take_the_place_of_the_first(
    network: str, weights: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, weights=weights, db=db, name="tiny", probes=pictures, maps=["flip"])
    probe_models(["tiny"], probes=pictures, maps=["negate", "rotate(180)"], weights=[weights], db=db)
    maps = open_store(db).read("tiny").maps
    assert maps is not None
    assert set(maps["map"].to_pylist()) <= {"negate", "rotate(180)"}


def test_weights_that_are_not_the_models_own_are_refused(
    network: str, weights: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, weights=weights, db=db, name="tiny")
    other = {"0.weight": torch.randn(9, 3, 5, 5), "0.bias": torch.zeros(9)}
    other |= {"2.weight": torch.randn(4, 9, 3, 3), "2.bias": torch.zeros(4)}
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"say where the weights of 'tiny' are \(tiny\.safetensors, SHA-256"):
        probe_models(["tiny"], db=db)
    with pytest.raises(InputError, match=r"other\.safetensors is not what 'tiny' was ingested with"):
        probe_models(["tiny"], weights=[str(tmp_path / "other.safetensors")], db=db)
    save_file({"features.weight": torch.zeros(2, 2)}, tmp_path / "squeezed.safetensors")
    with pytest.raises(InputError, match=r"squeezed\.safetensors is not what 'tiny' was ingested with"):
        probe_models(["tiny"], weights=[str(tmp_path / "squeezed.safetensors")], db=db)
    assert open_store(db).signatures("tiny") is None
    probe_models(
        ["tiny"], weights=[str(tmp_path / "other.safetensors"), weights], probes=pictures, maps=["flip"], db=db
    )


def test_random_weights_are_drawn_again_and_a_factorys_own_made_again(
    network: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, db=db, name="own")
    ingest_model(network, weights="random", seed=3, db=db, name="random")
    assert [summary.model for summary in probe_models(["own", "random"], probes=pictures, maps=["flip"], db=db)] == [
        "own",
        "random",
    ]


def test_layers_without_weights_are_left_out_of_the_responses_too(
    network: str, weights: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    save_file({"0.weight": planted().contiguous(), "0.bias": torch.zeros(9)}, tmp_path / "part.safetensors")
    part = str(tmp_path / "part.safetensors")
    ingest_model(network, weights=part, db=db, name="part", partial=True, probes=pictures, maps=["flip"])
    probe_models(["part"], probes=pictures, weights=[part], maps=["flip"], db=db)
    signatures = open_store(db).signatures("part")
    assert signatures is not None
    assert len(signatures) == 9


def test_layers_that_the_user_named_are_probed(network: str, weights: str, pictures: str, tmp_path: Path) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, weights=weights, db=db, name="tiny", layers=["2", "3"], probes=pictures, maps=["flip"])
    probe_models(["tiny"], probes=pictures, weights=[weights], maps=["flip"], db=db)
    store = open_store(db)
    before = store.layer_units("tiny", "2")
    assert any(row["sparsity"] < 1 and row["mean"] < 0 for row in before)  # before the ReLU writes over it


def test_a_network_whose_preprocessing_is_not_known_is_refused(network: str, pictures: str, tmp_path: Path) -> None:
    Path("tiny_probed.py").write_text(NETWORK.replace("PREPROCESSING", "OTHER"))
    db = str(tmp_path / "t.duckdb")
    with pytest.raises(InputError, match="let its module set PREPROCESSING"):
        ingest_model(network, db=db, probes=pictures)
    assert not (tmp_path / "t.duckdb").exists()


def test_a_graph_that_no_network_was_read_for_cannot_be_probed(command: Command, tmp_path: Path) -> None:
    document = '{"circuitdb": 1, "models": [{"name": "toy"}], "layers": [], "units": [], "edges": []}'
    (tmp_path / "toy.json").write_text(document)
    db = tmp_path / "t.duckdb"
    assert command("import", str(tmp_path / "toy.json"), db=db).code == 0
    outcome = command("probe", "toy", db=db)
    assert outcome.code == 2
    assert "only networks that circuitdb ingest read can be probed" in outcome.err


def test_the_command_probes_models_and_says_what_it_found(
    network: str, weights: str, command: Command, tmp_path: Path
) -> None:
    db = tmp_path / "t.duckdb"
    assert command("ingest", network, "--weights", weights, "--name", "tiny", db=db).code == 0
    outcome = command(*("probe", "tiny", "--maps", "flip,rotate(90)", "--weights", weights, "--format", "json"), db=db)
    assert outcome.code == 0, outcome.err
    [row] = outcome.json["models"]
    assert row["probes"] == "synthetic"
    assert row["probes_sha256"] == load_probes("synthetic", 40).sha256
    assert row["mutual"] >= 6
    assert row["families"] >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tinny"], "did you mean tiny?"),
        (["nosuch"], "; there is tiny"),
        (["tiny", "--maps", "mirror"], "there is no map 'mirror'"),
        (["tiny", "--probes", "nowhere"], "there are no probes at 'nowhere'"),
    ],
)
def test_mistakes_in_the_command_get_one_sentence(
    network: str, command: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    db = tmp_path / "t.duckdb"
    ingest_model(network, db=str(db), name="tiny")
    outcome = command("probe", *arguments, db=db)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_the_bvlc_network_answers_photographs_as_its_modules_do(bvlc: Source, data_folder: Path) -> None:
    photographs = load_probes(str(data_folder / "images" / "kodak24_png.tar"))
    assert len(photographs.names) == 144
    few = ProbeSet("few", photographs.names[:2], photographs.pictures[:2])
    network, layers = bvlc.loaded.network, {"conv2d0": 64, "mixed3b": 480, "softmax": 1000}
    seen: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.update({name: output.detach().clone()})

    handles = [network.get_submodule(name).register_forward_hook(note(name)) for name in layers]
    with torch.no_grad():
        network(as_input(resized(few.pictures, (224, 224)), known_preprocessing(bvlc)))
    for handle in handles:
        handle.remove()
    means = probe(bvlc, layers, few, ["flip"]).units["mean"].to_numpy()
    expected = [seen[name].flatten(2).mean((0, 2)) if seen[name].dim() == 4 else seen[name].mean(0) for name in layers]
    assert means == pytest.approx(torch.cat(expected).numpy(), rel=1e-3, abs=1e-3)
