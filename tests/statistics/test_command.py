"""`circuitdb test` and `Database.significance`: what they print and return, on both stores, and how they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.errors import InputError
from tests.conftest import Command
from tests.graphs import graph_of, toy_graph

TEXT = "find { {a, b} -> both; c +> a; d +> b; c -| b; d -| a }"


def crossed() -> ModelGraph:
    """Three cross-inhibitions of units of their own and some edges beside them."""
    edges = [(f"L0:{i}", f"L1:{(i + 3) % 6}", 0.5) for i in range(6)]
    for i in (0, 2, 4):
        edges += [(f"L0:{i + j}", f"L1:{i + k}", 1.0 if j == k else -1.0) for j in (0, 1) for k in (0, 1)]
        edges += [(f"L1:{i + j}", f"L2:{i // 2}", 1.0) for j in (0, 1)]
    return graph_of({"L0": 6, "L1": 6, "L2": 3}, edges, name="net")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "graph.duckdb"
    open_store(str(path)).write(crossed())
    return path


def test_json_has_the_figures_and_says_how_they_came_about(database: Path, command: Command) -> None:
    given = ("test", TEXT, "--samples", "30", "--seed", "3", "--circuits", "2", "--format", "json")
    outcome = command(*given, db=database)
    assert outcome.code == 0
    shown = outcome.json
    with circuitdb.open(str(database)) as db:
        result = db.significance(TEXT, samples=30, seed=3, circuits=2)
        assert shown["observed"] == db.count(TEXT) == 3
        assert [found["units"] for found in shown["circuits"]] == [c.to_dict()["units"] for c in db.find(TEXT, limit=2)]
    expected = result.to_dict()
    assert {name: value for name, value in shown.items() if name != "seconds"} == {
        name: value for name, value in expected.items() if name != "seconds"
    }
    assert (shown["samples"], shown["seed"], shown["keep"], shown["null"]) == (30, 3, "all", "edges")
    assert shown["p"] == (1 + sum(count >= 3 for count in shown["counts"])) / 31
    assert {"null_mean", "null_sd", "z"} <= set(shown)
    assert {"expected", "p", "q", "score"} <= set(shown["circuits"][0])


def test_a_terminal_gets_a_sentence_figures_a_histogram_and_circuits(database: Path, command: Command) -> None:
    outcome = command("test", TEXT, "-m", "net", "--samples", "20", "--circuits", "1", db=database)
    assert outcome.code == 0
    assert outcome.out.startswith("query is found 3 times in net; graphs with shuffled edges hold ")
    for words in ("null_mean", "◀ observed", "expected", "both=L2:", "seed 0", "samples 20"):
        assert words in outcome.out
    short = command("test", TEXT, "--samples", "5", "--quiet", db=database).out
    assert "◀" not in short
    assert "seed" not in short


def test_csv_has_one_row_or_a_row_for_each_circuit(database: Path, command: Command) -> None:
    [row] = command("test", TEXT, "--samples", "5", "--format", "csv", db=database).csv
    assert (row["observed"], row["samples"], row["model"]) == ("3", "5", "net")
    rows = command("test", TEXT, "--samples", "5", "--circuits", "3", "--format", "csv", db=database).csv
    assert len(rows) == 3
    assert rows[0]["both"].startswith("net/L2:")
    assert 0 < float(rows[0]["q"]) <= 1


def test_parameters_reach_the_motif(database: Path) -> None:
    with circuitdb.open(str(database)) as db:
        assert db.significance("cross_inhibition", samples=2, min_share=0.001).observed == 3
        assert db.significance("cross_inhibition", samples=2, min_share=0.99).observed == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("test", TEXT, "--samples", "0"), "0 samples cannot be drawn; ask for 1 to 1,000,000"),
        (("test", TEXT, "--model", "nett"), "no model 'nett'"),
        (("test", TEXT, "--null", "maps"), "uses no map, so that there is none to shuffle; take --null edges"),
        (("test", TEXT, "--null", "weights"), "weights"),
        (("test", TEXT, "--seed", "-1"), "the seed -1 is below 0"),
        (("test", "find { a -> b wher }"), "query:1:"),
        (("test", "no_such_motif"), "no motif 'no_such_motif'"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_leave_with_2(
    database: Path, command: Command, given: tuple[str, ...], message: str
) -> None:
    outcome = command(*given, db=database)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_several_models_must_be_told_apart(database: Path) -> None:
    open_store(str(database)).write(toy_graph())
    with circuitdb.open(str(database)) as db:
        with pytest.raises(InputError, match="a test takes one model; it may be any of net, toy"):
            db.significance(TEXT, samples=1)
        assert db.significance(f"{TEXT} in toy", samples=1).model == "toy"
        assert db.significance(TEXT, model="net", samples=1).model == "net"


def test_neo4j_gives_the_same_numbers_as_a_file(database: Path, neo4j_address: str) -> None:
    server = open_store(neo4j_address)
    server.write(crossed(), replace="net" in {row["name"] for row in server.models()})
    with circuitdb.open(str(database)) as file, circuitdb.open(neo4j_address) as lab:
        one, other = (db.significance(TEXT, model="net", samples=8, seed=2, circuits=2).to_dict() for db in (file, lab))
    different = {name for name in one if one[name] != other[name]}
    assert different <= {"seconds", "store"}
    server.delete("net")
    server.close()
