"""What the command tells of maps: the comparison with weights, and a unit's maps, families and strongest positions."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from circuitdb.backends.base import Dense, ModelGraph, Responses
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.database import Database
from circuitdb.errors import InputError
from tests.conftest import Command
from tests.graphs import graph_of


def commuting_graph() -> ModelGraph:
    """Weights that commute with a flip exactly: four units and four readers, partners side by side."""
    base = np.random.default_rng(0).normal(size=(4, 4))
    swapped = np.array([1, 0, 3, 2])
    weight = (base + base[np.ix_(swapped, swapped)]).astype(np.float32)
    edges = [(f"L0:{a}", f"L1:{b}", float(weight[b, a])) for a in range(4) for b in range(4)]
    graph = graph_of({"L0": 4, "L1": 4, "L2": 1}, [*edges, ("L1:0", "L2:0", 1.0)])
    count = graph.edges.num_rows
    kernels = {
        "kernel": pa.array([[entry] for entry in graph.edges["weight"].to_pylist()], pa.list_(pa.float32())),
        **dict.fromkeys(("kernel_h", "kernel_w"), pa.array([1] * count, pa.int32())),
        **dict.fromkeys(("offset_y", "offset_x"), pa.array([0.0] * count)),
    }
    columns = dict(zip(graph.edges.column_names, graph.edges.columns, strict=True))
    dense = {("L0", "L1"): Dense(weight, np.abs(weight))}
    return replace(graph, edges=pa.table(columns | kernels), dense=dense)


def responses(graph: ModelGraph) -> Responses:
    """A flip that swaps partners and leaves the last unit alone; one family; where two units respond most."""
    image = np.array([1, 0, 3, 2, 5, 4, 7, 6, 8])
    return Responses(
        {"name": "kodak", "sha256": "0" * 64, "pictures": 24, "size": [224, 224]},
        pa.table({"mean": [0.5] * 9, "sparsity": [0.25] * 9}),
        pa.table(
            {
                "source": pa.array(range(9), pa.int32()),
                "target": pa.array(image, pa.int32()),
                "map": ["flip"] * 9,
                "score": [0.875] * 9,
                "self_score": [0.25] * 8 + [0.875],
                "mutual": [True] * 9,
            }
        ),
        pa.table(
            {
                "id": pa.array([0], pa.int32()),
                "layer": ["L0"],
                "group": ["rotate(90)"],
                "order": pa.array([4], pa.int32()),
            }
        ),
        pa.table(
            {
                "family": pa.array([0] * 3, pa.int32()),
                "unit": pa.array([0, 1, 2], pa.int32()),
                "pose": ["identity", "rotate(90)", "rotate(180)"],
            }
        ),
        examples=pa.table(
            {
                "unit": pa.array([1, 1], pa.int32()),
                "rank": pa.array([2, 1], pa.int32()),
                "picture": ["kodim02", "kodim07"],
                "y": [31.5, 100.0],
                "x": [8.0, 64.0],
                "value": [1.5, 2.25],
            }
        ),
    )


@pytest.fixture
def database(tmp_path: Path) -> str:
    address = str(tmp_path / "maps.duckdb")
    graph = commuting_graph()
    store = DuckDBStore(address)
    store.write(graph)
    store.write_responses("toy", responses(graph))
    store.write(graph_of({"L0": 1}, [], name="bare"))
    return address


def test_maps_prints_a_line_for_each_map_and_pair_of_layers(command: Command, database: str) -> None:
    outcome = command("maps", "toy", db=database)
    assert outcome.code == 0
    [heading, line] = outcome.out.splitlines()
    assert heading.split() == [
        *("map", "layers", "partners", "invariant", "straight", "crossed", "turned", "kernels", "unturned", "edges")
    ]
    assert line.split()[:8] == ["flip", "L0", "->", "L1", "4", "->", "4", "0"]
    assert "+1.00 (" in line
    assert "1 pairs of layers have too few partners to compare" in outcome.err
    assert "20 shuffles of the partners, seed 0" in outcome.err
    assert command("maps", "toy", "--quiet", db=database).err == ""


def test_maps_gives_the_same_figures_as_json_csv_and_from_python(command: Command, database: str) -> None:
    told = command("maps", "toy", "--samples", "5", "--seed", "3", "--format", "json", db=database).json
    assert {name: told[name] for name in ("model", "samples", "seed")} == {"model": "toy", "samples": 5, "seed": 3}
    [row, last] = told["rows"]
    assert (row["map"], row["source_layer"], row["target_layer"], row["source_partners"]) == ("flip", "L0", "L1", 4)
    assert row["straight"]["value"] == pytest.approx(1)
    assert row["straight"]["count"] == 16
    assert (last["target_layer"], last["target_invariant"], last["straight"]["value"]) == ("L2", 1, None)
    [line, _] = command("maps", "toy", "--samples", "5", "--seed", "3", "--format", "csv", db=database).csv
    assert float(line["straight"]) == row["straight"]["value"]
    assert float(line["straight_shuffled_sd"]) == row["straight"]["shuffled_sd"]
    with Database(database) as opened:
        frame = opened.maps("toy", samples=5, seed=3).to_pandas()
    assert frame.loc[0, "crossed"] == row["crossed"]["value"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["toi"], "no model 'toi' in DB; did you mean toy?"),
        (["toy", "--map", "flop"], "toy has no map 'flop'; did you mean flip?"),
        (["toy", "--layers", "L0,L7"], "no layer 'L7' in toy"),
        (["toy", "--samples", "-1"], "the number of samples and the seed are 0 or more"),
    ],
)
def test_maps_refuses_what_is_not_there(command: Command, database: str, arguments: list[str], sentence: str) -> None:
    outcome = command("maps", *arguments, db=database)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.replace(database, "DB").startswith(sentence)


def test_maps_of_a_model_without_any_says_how_to_find_them(command: Command, database: str) -> None:
    outcome = command("maps", "bare", db=database)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == "bare has no maps; `circuitdb probe bare` finds them\n"


def test_show_tells_maps_families_and_strongest_positions(command: Command, database: str) -> None:
    lines = command("show", "toy/L0:1", db=database).out.splitlines()
    assert "flip: L0:0, and back, score 0.875" in lines
    family = "family rotate(90), 3 of 4 members, pose rotate(90): identity L0:0; rotate(90) L0:1; rotate(180) L0:2"
    assert family in lines
    assert "strongest at (y, x) of the probes: kodim07 (100, 64) 2.25; kodim02 (32, 8) 1.5" in lines
    assert "flip: itself, score 0.875" in command("show", "toy/L2:0", db=database).out.splitlines()


def test_ls_names_the_probes(command: Command, database: str) -> None:
    rows = {row["name"]: row["probes"] for row in command("ls", "--format", "csv", db=database).csv}
    assert rows == {"toy": "kodak", "bare": ""}
    assert "sparsity" in command("ls", "toy/L0", db=database).out


def test_neo4j_has_no_matrices_so_kernels_are_compared_and_that_is_said(neo4j_address: str) -> None:
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    graph = commuting_graph()
    with closing(Neo4jStore(neo4j_address)) as store:
        store.write(graph)
        store.write_responses("toy", responses(graph))
    with Database(neo4j_address) as database:
        result = database.maps("toy")
        assert "straight and crossed need the DuckDB file" in result.remarks[0]
        assert result.rows[0].source_partners == 4
        assert result.rows[0].straight.value is None
        assert (result.rows[0].agreement.value, result.rows[0].agreement.count) == (1.0, 16)
        with pytest.raises(InputError, match="toy has no map 'rotate"):
            database.maps("toy", maps=["rotate(90)"])
