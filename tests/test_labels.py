"""Labels from files and from a model's classes, on real databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import circuitdb
from circuitdb.backends.base import ModelGraph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.labels import read_labels
from ingest.classes import class_labels
from tests.conftest import Command
from tests.graphs import graph_of

FAMILIES = {"L0": [{"name": "Curves", "units": [2, 0]}, {"name": "Lines", "units": [1]}], "L1": []}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "toy.duckdb"
    store = DuckDBStore(str(path))
    store.write(graph_of({"L0": 3, "L1": 2}, [("L0:0", "L1:0", 1.0), ("L0:1", "L1:1", 1.0)]))
    return path


def units_labelled(database: Path, text: str) -> list[str]:
    with circuitdb.open(str(database)) as db:
        return [row["unit"] for row in db.labels("toy") if row["label"] == text]


def test_families_become_labels_of_a_models_units_with_a_warning_that_numbers_belong_to_weights(
    command: Command, database: Path, tmp_path: Path
) -> None:
    file = tmp_path / "families.json"
    file.write_text(json.dumps(FAMILIES))
    outcome = command("label", "import", str(file), "--model", "toy", db=database)
    assert outcome.code == 0
    assert "unit numbers belong to one set of weights" in " ".join(outcome.err.split())
    assert units_labelled(database, "Curves") == ["toy/L0:0", "toy/L0:2"]
    assert units_labelled(database, "Lines") == ["toy/L0:1"]
    found = command("find", 'find { unit a where label ~ "curve"  a +> b }', db=database)
    assert found.code == 0
    assert "L0:0" in found.out


def test_labels_go_in_and_out_again_by_json(command: Command, database: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text(
        json.dumps([{"unit": "toy/L0:2", "label": "fur", "source": "me"}, {"unit": "toy/L1:0", "label": "x"}])
    )
    assert command("label", "import", str(file), db=database).code == 0
    listed = command("label", "ls", "toy", "--format", "json", db=database)
    assert {"unit": "toy/L0:2", "label": "fur", "source": "me"} in listed.json["labels"]
    file.write_text(listed.out)
    assert command("label", "import", str(file), db=database).code == 0
    assert command("label", "ls", "toy", "--format", "json", db=database).out == listed.out


def test_files_name_units_as_the_command_does(command: Command, database: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("unit,label\ntoy/L0:2,fur\n1:0,eye\nL0:1,eye\n1:0,ear\n")
    imported = command("label", "import", str(file), "--format", "csv", db=database).csv
    assert [row["unit"] for row in imported] == ["toy/L0:2", "toy/L1:0", "toy/L0:1", "toy/L1:0"]
    assert units_labelled(database, "eye") == ["toy/L0:1", "toy/L1:0"]


@pytest.mark.parametrize("row", ["L0:9", "1", "toy/L7:1", "no unit"])
def test_a_unit_that_is_not_there_is_told_with_its_line(
    command: Command, database: Path, tmp_path: Path, row: str
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"unit,label\nL0:1,a\n{row},b\n")
    outcome = command("label", "import", str(file), db=database)
    assert (outcome.code, outcome.err.startswith(f"{file}:3: ")) == (2, True)
    assert units_labelled(database, "a") == []


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_label_is_refused(command: Command, database: Path, text: str) -> None:
    outcome = command("label", "add", "L0:1", text, db=database)
    assert (outcome.code, "a label of toy/L0:1 is empty" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ("{", "is no JSON"),
        ("3", "a list of labels is wanted"),
        ('[{"unit": "toy/L0:1"}]', "[0]: a unit and its label are wanted"),
        ('[{"unit": "toy/L0:1", "label": "x", "by": "me"}]', "[0]: an object with unit, label and perhaps source"),
        ('[{"unit": "toy/L0:1", "label": "x", "source": 3}]', "[0].source"),
        ('[{"unit": "toy/L0:9", "label": "x"}]', "toy/L0:9"),
        ('{"L0": [{"name": "Curves", "units": [1, 3]}]}', "there is no unit 3: L0 of toy has 3 units"),
        ('{"L9": [{"name": "Curves", "units": [0]}]}', "there is no unit 0: toy has no L9"),
        ('{"L0": [{"name": "Curves", "units": [true]}]}', "L0[0].units"),
        ('{"L0": [{"units": [1]}]}', "L0[0]: a family has a name"),
        ('{"L0": 3}', "L0: a list of families is wanted"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place_and_changes_nothing(
    command: Command, database: Path, tmp_path: Path, document: str, answer: str
) -> None:
    file = tmp_path / "labels.json"
    file.write_text(document)
    outcome = command("label", "import", str(file), "--model", "toy", db=database)
    assert outcome.code == 2
    assert answer in " ".join(outcome.err.split())
    assert command("label", "ls", "toy", "--format", "json", db=database).json == {"labels": []}


def test_families_without_a_model_are_refused(command: Command, database: Path, tmp_path: Path) -> None:
    file = tmp_path / "families.json"
    file.write_text(json.dumps(FAMILIES))
    outcome = command("label", "import", str(file), db=database)
    assert (outcome.code, "--model" in outcome.err) == (2, True)


# --- the published families -------------------------------------------------------------------------------------------

WIDTHS = {"conv2d0": 64, "conv2d1": 64, "conv2d2": 192, "mixed3a": 256, "mixed3b": 480, "mixed4a": 508}
ESSAY = WIDTHS | {"mixed4b": 512, "mixed4c": 512, "mixed4d": 528, "mixed4e": 832}
"""Widths of the essay's network, whose mixed4a lacks four of BVLC's units."""


def model_of(widths: dict[str, int]) -> ModelGraph:
    names = [layer for layer, width in widths.items() for _ in range(width)]
    index = [i for width in widths.values() for i in range(width)]
    empty: dict[str, Any] = dict.fromkeys(("weight", "strength", "share"), pa.array([], pa.float64()))
    ends = dict.fromkeys(("source", "target", "rank_in", "rank_out"), pa.array([], pa.int32()))
    return ModelGraph(
        {"name": "essay"},
        pa.table({"name": list(widths), "depth": pa.array(range(len(widths)), pa.int32())}),
        pa.table({"layer": names, "index": pa.array(index, pa.int32())}),
        pa.table({**ends, "kind": pa.array([], pa.string()), **empty}),
    )


def test_the_published_families_load_for_a_network_with_the_essays_unit_numbers(
    data_folder: Path, tmp_path: Path
) -> None:
    file = data_folder / "circuits-thread" / "unit_families_inceptionv1.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    store = DuckDBStore(str(tmp_path / "essay.duckdb"))
    store.write(model_of(ESSAY))
    with circuitdb.open(store.address) as db:
        read = read_labels(file, db.model("essay"))
        db.add_labels(read.labels)
        # Cammarata et al. 2020, Curve Detectors, name ten curve units of mixed3b; 379 among them.
        assert any("curve" in row["label"].lower() for row in db.unit("essay/mixed3b:379").labels)
        assert read.by_number
        assert len({key for key, _, _ in read.labels if key.startswith("essay/mixed3b:")}) == 480


def test_the_published_families_are_refused_for_a_network_that_lacks_their_units(
    data_folder: Path, tmp_path: Path
) -> None:
    file = data_folder / "circuits-thread" / "unit_families_inceptionv1.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    for widths, said in (
        (ESSAY | {"mixed3b": 256}, "mixed3b of essay has 256 units"),
        (WIDTHS, "essay has no mixed4b"),
    ):
        layers = [{"name": layer, "width": width} for layer, width in widths.items()]
        with pytest.raises(circuitdb.InputError, match=said):
            read_labels(file, {"name": "essay", "layers": layers})


# --- classes ----------------------------------------------------------------------------------------------------------


def test_the_last_layers_units_are_labelled_with_the_classes_that_a_network_was_trained_on() -> None:
    layers = [{"name": "softmax", "depth": 3, "width": 1000}, {"name": "mixed5b", "depth": 2, "width": 1024}]
    labels = class_labels("ImageNet (ILSVRC 2012)", layers)
    assert len(labels) == 1000
    # The numbers of ILSVRC 2012's classes, as published with Caffe's synset_words.txt.
    named = {0: "tench", 88: "macaw", 281: "tabby", 817: "sports car", 999: "toilet tissue"}
    assert {index: text for layer, index, text in labels if index in named} == named
    assert {layer for layer, _, _ in labels} == {"softmax"}


@pytest.mark.parametrize(("dataset", "width"), [(None, 1000), ("CIFAR", 1000), ("ImageNet", 1008), ("ImageNet", 512)])
def test_units_that_are_not_the_classes_get_no_labels(dataset: str | None, width: int) -> None:
    assert class_labels(dataset, [{"name": "last", "depth": 0, "width": width}]) == []


def test_the_classes_of_a_real_network_are_in_its_database(data_folder: Path, tmp_path: Path) -> None:
    from ingest.pipeline import ingest_model

    path = tmp_path / "squeezenet.duckdb"
    weights = data_folder / "models" / "squeezenet1_1_caffe.safetensors"
    ingest_model("squeezenet1_1", weights=str(weights), db=str(path), keep="top1")
    with circuitdb.open(str(path)) as db:
        assert [row["label"] for row in db.unit("conv10:88").labels] == ["macaw"]
        assert len(db.labels("squeezenet1_1")) == 1000
        assert db.count('find { unit b where label = "macaw"  a -> b }') > 0
