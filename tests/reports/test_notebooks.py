"""Notebooks: the examples run from top to bottom, and results show themselves in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient

import circuitdb
from circuitdb.backends import open_store
from circuitdb.database import Database
from tests.graphs import graph_of, toy_graph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path = str(tmp_path_factory.mktemp("notebooks") / "toys.duckdb")
    open_store(path).write(toy_graph())
    hostile = graph_of({"L0": 1, "L1": 1}, [("L0:0", "L1:0", 1.0)], name="<b>", labels=[("L0:0", "<script>1</script>")])
    open_store(path).write(hostile)
    return circuitdb.open(path)


def shown(notebook: Any) -> list[dict[str, str]]:
    return [output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


def executed(name: str, folder: Path) -> list[dict[str, str]]:
    """What the cells of an example show when it runs in a folder."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return shown(notebook)


def test_the_tour_runs_and_shows_drawings_and_tables(tmp_path: Path) -> None:
    outputs = executed("tour", tmp_path)
    assert sum("image/svg+xml" in data for data in outputs) == 2
    drawings = [data["text/html"] for data in outputs if "<svg" in data.get("text/html", "")]
    assert len(drawings) == 5
    assert "dog head facing left" in drawings[1]
    assert (tmp_path / "dogs.html").stat().st_size > 50_000


def test_inceptionv1_is_read_and_asked_for_the_circuits_of_the_essay(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUITDB_DATA", str(data_folder))
    outputs = executed("inceptionv1", tmp_path)
    assert sum("<svg" in data.get("text/html", "") for data in outputs) == 3
    assert any("graphs with shuffled edges hold" in data.get("text/plain", "") for data in outputs)
    assert (tmp_path / "unions.html").stat().st_size > 100_000


def test_two_networks_are_joined_and_their_circuits_compared(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUITDB_DATA", str(data_folder))
    outputs = executed("universality", tmp_path)
    assert sum("<table" in data.get("text/html", "") for data in outputs) == 3
    [unit] = [data["text/html"] for data in outputs if "<svg" in data.get("text/html", "")]
    assert "analogue squeezenet1_1/" in unit
    assert (tmp_path / "shared.html").stat().st_size > 100_000


def test_examples_are_kept_without_outputs() -> None:
    for file in EXAMPLES.glob("*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        assert all(not cell.get("outputs") for cell in notebook.cells), file
        assert all(cell.get("execution_count") is None for cell in notebook.cells), file


def test_circuits_show_themselves_as_a_table_with_small_drawings(database: Database) -> None:
    found = database.find("find { a -> b }", model="toy")
    text = found._repr_html_()
    assert text.count("<svg") == len(found) == 9
    assert database.find("find { a -> b }", limit=2)._repr_html_().count("<svg") == 2
    assert "<script" not in database.find("find { a -> b }", model="<b>")._repr_html_()
    assert "0 circuits" in database.find('find { a -> b where a.label = "none" }')._repr_html_()


def test_a_unit_shows_itself_between_its_inputs_and_outputs(database: Database) -> None:
    unit = database.unit("toy/L1:0")
    description = unit.draw().description
    for other in ("toy/L0:0 excites", "toy/L0:1 inhibits", "toy/L0:3 excites", "toy/L1:0 excites toy/L2:0"):
        assert other in description
    assert "<svg" in unit._repr_html_()
    assert "<script" not in database.unit("<b>/L0:0")._repr_html_()


def test_a_circuit_of_a_counted_block_is_drawn_with_the_edges_of_its_list(database: Database) -> None:
    [circuit] = database.find("find { at least 2 x { x -> top }; unit top in L2 where index = 0 }", model="toy")
    assert circuit.edges == []
    assert "toy/L1:0 excites toy/L2:0" in circuit.draw().description
    ElementTree.fromstring(circuit.draw().svg)


def test_weights_between_lists_and_families_are_drawn_as_a_matrix(database: Database) -> None:
    drawing = database.draw_weights(["toy/L0:0", "toy/L0:1"], ["toy/L1:0", "toy/L1:1"])
    assert "toy/L0:0 inhibits toy/L1:1" in drawing.description
    assert drawing.title == "Weights from toy/L0 to toy/L1"
    assert "1 rows, 1 columns" in database.draw_weights("toy/L0:0", "toy/L1:0").description


def test_a_query_has_a_diagram(database: Database) -> None:
    assert "both" in database.diagram("cross_inhibition")._repr_svg_()
