"""The demonstration on a real database: the planted circuits are found, the decoys are not."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import circuitdb
from circuitdb.cli import build_app
from circuitdb.language.library import library_files
from ingest.architectures import handwritten
from ingest.demo import activation
from ingest.stories import DECOYS, FIRST, QUESTIONS, SECOND


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """A database with the handwritten networks, and what the command says of it as JSON."""
    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    result = CliRunner().invoke(
        build_app(), ["demo", "--db", str(path), "-o", str(path.with_suffix(".html")), "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["database"] == str(path)
    for maps in said["maps"]:
        assert maps["found"] >= 0.9 * maps["planted"] > 50, maps
    assert {row["motif"] for row in said["motifs"]} == {file.stem for file in library_files()}
    assert {row["motif"] for row in said["motifs"] if row["circuits"] == 0} == {"skip_refinement"}
    assert said["joined"]["found"] >= 0.95 * said["joined"]["planted"] > 200
    assert said["joined"]["score"] > 0.99 > 0.7 > said["joined"]["by_chance"]
    return path, said["questions"]


def test_every_question_finds_all_that_was_planted_and_no_decoy(
    database: tuple[Path, list[dict[str, object]]],
) -> None:
    _, tallies = database
    assert len(tallies) == sum(len(question.networks) for question in QUESTIONS)
    for tally in tallies:
        assert tally["planted"] > 0, tally
        assert tally["found"] == (0 if tally["model"] == "handwritten_decoys" else tally["planted"]), tally
        assert tally["others"] == tally["by_chance"], tally
        if tally["model"] == "handwritten":
            assert tally["others"] == 0, tally
            assert "p = 0.025" in str(tally["chance"]) or tally["question"] == "A car among dogs", tally


def test_the_stored_edges_are_those_of_the_weights(database: tuple[Path, list[dict[str, object]]]) -> None:
    path, _ = database
    network = handwritten.NETWORKS["handwritten"]()
    names = [name for name, _ in network.named_children()]
    with circuitdb.open(str(path)) as db:
        for below, layer in itertools.pairwise(names):
            kernels = getattr(network, layer).conv.weight.detach().double().numpy()
            energy = np.square(kernels).sum(axis=(2, 3))
            for unit in range(0, len(kernels), 7):
                edges = db.unit(f"handwritten/{layer}:{unit}").inputs()
                assert len(edges) >= min(32, kernels.shape[1])
                for edge in edges:
                    source_layer, index = edge["source"].split("/")[1].split(":")
                    assert source_layer == below
                    kernel = kernels[unit, int(index)]
                    assert edge["weight"] == pytest.approx(kernel.sum(), abs=1e-5)
                    assert edge["share"] == pytest.approx(energy[unit, int(index)] / energy[unit].sum(), rel=1e-4)
                    middle = len(kernel) // 2
                    # A pool between the layers moves nothing: half a cell of the source belongs to either side.
                    if layer != "shapes":
                        assert edge["top"] == pytest.approx(kernel[:middle].sum(), abs=1e-5)
                        assert edge["right"] == pytest.approx(kernel[:, middle + 1 :].sum(), abs=1e-5)


def test_units_carry_their_labels(database: tuple[Path, list[dict[str, object]]]) -> None:
    path, _ = database
    with circuitdb.open(str(path)) as db:
        for name, labels in handwritten.LABELS.items():
            stored = {(row["unit"], row["label"]) for row in db.labels(name)}
            assert stored == {(f"{name}/{layer}:{index}", label) for layer, index, label in labels}


def test_the_demonstration_can_be_run_again_and_tells_its_stories_in_words(
    database: tuple[Path, list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = database
    monkeypatch.setattr("ingest.demo.QUESTIONS", QUESTIONS[1:3])
    monkeypatch.setattr("ingest.demo.PROBED", {FIRST: ("flip",), SECOND: (), DECOYS: ("flip",)})
    monkeypatch.setattr("ingest.demo.SAMPLES", 3)
    page = path.with_name("again.html")
    result = CliRunner().invoke(build_app(), ["demo", "--db", str(path), "-o", str(page)], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    assert "3 of 3 planted circuits were found, and 0 of 2 decoys were taken for circuits." in result.stdout
    assert "fur 135° +> dog head facing left" in result.stdout
    assert str(path) in result.stdout.replace("\n", "")
    assert f"The same in pictures: {page}" in result.stdout
    assert "dog head facing left" in page.read_text(encoding="utf-8")


def test_what_to_try_next_begins_with_the_environment_where_the_command_is_not_at_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / ".venv" / "bin" / "activate"
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert activation() == []
    script.parent.mkdir(parents=True)
    script.touch()
    assert activation() == [". .venv/bin/activate"]
    monkeypatch.chdir(script.parent)
    assert activation() == [f". {script}"]
    command = script.with_name("circuitdb")
    command.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    assert activation() == []
