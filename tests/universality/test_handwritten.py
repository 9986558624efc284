"""Handwritten networks, probed on synthetic pictures: what is known of them is found, and what is not there is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.database import Database
from circuitdb.reports.page import universality_page
from ingest.architectures.handwritten import planted, truth
from ingest.pipeline import ingest_model
from ingest.probes import load_probes
from ingest.probing import probe
from ingest.sources import load
from tests.conftest import Command, MadeOnce

FIRST, SECOND, DECOYS = "handwritten", "handwritten_second", "handwritten_decoys"
CURVES = "find { {a, c} +> b where share > 0.02; unit b in curves, conv3 }"
CURVES_OF_FIRST = "find { {a, c} +> b where share > 0.02; unit b in curves }"


@pytest.fixture(scope="module")
def address(made_once: MadeOnce) -> str:
    """The three networks, probed on the built-in set, and the first joined with the others."""
    return str(made_once("joined.duckdb", probe_and_join))


def probe_and_join(file: Path) -> None:
    pictures = load_probes("synthetic", 80)
    store = open_store(str(file))
    for name in (FIRST, SECOND, DECOYS):
        ingest_model(name, db=str(file))
        [model] = [row for row in store.models() if row["name"] == name]
        layers = {layer["name"]: layer["width"] for layer in model["layers"]}
        store.write_responses(name, probe(load(name, None), layers, pictures, maps=()))
    store.close()
    with circuitdb.open(file) as database:
        for a, b in ((FIRST, SECOND), (SECOND, FIRST), (FIRST, DECOYS), (DECOYS, FIRST)):
            database.join(a, b)


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    with circuitdb.open(address) as opened:
        yield opened


def analogues(database: Database, a: str, b: str) -> dict[str, dict[str, Any]]:
    """The best analogue of every unit of a model in another, without the models' names."""
    graph = database.correspondences([a, b])
    return {
        source.partition("/")[2]: {"target": target.partition("/")[2], **row}
        for source, target, row in graph.edges(data=True)
        if source.startswith(f"{a}/") and row["rank"] == 1
    }


def test_the_networks_that_hold_the_same_circuits_match_to_the_last_unit(database: Database) -> None:
    """They differ in order and scale, and the second has a layer more."""
    found = analogues(database, FIRST, SECOND)
    assert {unit: row["target"] for unit, row in found.items()} == truth.correspondence()
    assert all(row["mutual"] and "one-to-one" in row["method"] for row in found.values())
    assert min(row["score"] for row in found.values()) > 0.99
    assert max(row["q"] for row in found.values()) <= 0.05


def test_every_circuit_of_a_motif_has_its_copy_in_the_second_network_and_few_have_by_chance(database: Database) -> None:
    found = database.universality(CURVES, models=[FIRST, SECOND], samples=19)
    counterpart = truth.correspondence()
    for pair in found.pairs:
        assert pair.circuits > 100
        assert pair.recurring == pair.circuits
        assert all(null.p == pytest.approx(1 / 20) for null in pair.nulls.values() if null.circuits)
        assert pair.nulls["permuted matches"].mean < 0.1 * pair.recurring
        assert pair.nulls["rewired edges"].mean < 0.2 * pair.recurring
    same = [
        {name: counterpart[key.partition("/")[2]] for name, key in circuit[FIRST].items()}
        == {name: key.partition("/")[2] for name, key in circuit[SECOND].items()}
        for circuit in found.in_all[FIRST]
    ]
    # Shares differ a little with the scales, so that now and then another analogue has the edge above the bound.
    assert np.mean(same) > 0.95


def test_the_page_draws_circuits_beside_their_counterparts_though_a_unit_has_two_names(
    database: Database,
) -> None:
    query, models = "find { first = a; {a, c} +> b where share > 0.02 }", [FIRST, SECOND]
    found = database.universality(query, models=models, samples=1, limit=5)
    circuits = {model: database.find(query, model=model, limit=5) for model in models}
    page = universality_page(database, found, circuits, samples=1, seed=0)
    [data] = re.findall('<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    drawn = json.loads(data)["circuits"]
    assert {name for circuit in drawn[::2] for name in circuit["units"]} == {"first", "a", "b", "c"}
    assert [circuit["model"] for circuit in drawn] == [FIRST, SECOND, SECOND, FIRST] * 5
    counterpart = truth.correspondence()
    for one, other in zip(drawn[::4], drawn[1::4], strict=True):
        for name, key in other["units"].items():
            assert counterpart[one["units"][name].partition("/")[2]] == key.partition("/")[2]
        assert len(other["edges"]) == len(one["edges"]) == 2


def test_the_command_and_the_language_count_the_same_circuits(database: Database) -> None:
    found = database.universality(CURVES_OF_FIRST, models=[FIRST, DECOYS], samples=1)
    [pair] = [pair for pair in found.pairs if pair.a == FIRST]
    query = CURVES_OF_FIRST + f" in {FIRST} analogous in {DECOYS}"
    circuits = database.find(query, limit=100_000)
    own = {tuple(circuit.units[name] for name in "acb") for circuit in circuits}
    everything = database.find(CURVES_OF_FIRST + f" in {FIRST}", limit=100_000)
    of_pair = [
        tuple(circuit.units[name] for name in "acb")
        for circuit, copy in zip(everything, pair.copies, strict=True)
        if copy is not None
    ]
    # The copies break the symmetry of a and c, so that the language may give a circuit in either order.
    assert {(frozenset(one[:2]), one[2]) for one in own} == {(frozenset(one[:2]), one[2]) for one in of_pair}
    assert len(of_pair) < pair.circuits


def test_planted_motifs_of_the_first_network_come_back_in_the_second_and_not_among_decoys(database: Database) -> None:
    """A circuit of the decoy network lacks a unit that answers alike, or an edge, or has it with the other sign.

    Units answer alike where each is the other's best: one unit of the decoys is the best for several, which are not it.
    """
    kept = {name: database.graph(name) for name in (FIRST, SECOND, DECOYS)}
    keys = {name: database_keys(graph) for name, graph in kept.items()}
    signs = {name: signed_edges(graph, keys[name]) for name, graph in kept.items()}
    strong = signed_edges(kept[FIRST], keys[FIRST], 0.01)
    best = {name: analogues(database, FIRST, name) for name in (SECOND, DECOYS)}
    whole = {SECOND: 0, DECOYS: 0}
    circuits = [circuit for circuit in planted(FIRST) if circuit.motif in ("car", "union_over_cases", "superposition")]
    for circuit in circuits:
        units = {unit for part in circuit.units.values() for unit in ([part] if isinstance(part, str) else part)}
        edges = {ends: sign for ends, sign in strong.items() if set(ends) <= units}
        assert edges
        for name, partner in best.items():
            there = {unit: row["target"] for unit, row in partner.items() if row["q"] <= 0.05 and row["mutual"]}
            whole[name] += units <= there.keys() and all(
                signs[name].get((there[a], there[b])) == sign for (a, b), sign in edges.items()
            )
    assert len(circuits) > 5
    assert whole == {SECOND: len(circuits), DECOYS: 0}


def database_keys(graph: Any) -> list[str]:
    return [
        f"{layer}:{index}"
        for layer, index in zip(*(graph.units[n].to_pylist() for n in ("layer", "index")), strict=True)
    ]


def signed_edges(graph: Any, keys: list[str], least: float = 0.0) -> dict[tuple[str, str], bool]:
    """Whether each edge of some share inhibits, by its ends."""
    columns = (graph.edges[name].to_pylist() for name in ("source", "target", "weight", "share"))
    return {(keys[s], keys[t]): weight < 0 for s, t, weight, share in zip(*columns, strict=True) if share > least}


def test_partners_are_wired_alike_and_permuted_ones_are_not(database: Database) -> None:
    rows = database.edge_agreement(FIRST, SECOND, samples=5)
    assert [row["a"] for row in rows] == ["lines -> curves", "curves -> shapes", "shapes -> parts", "parts -> objects"]
    for row in rows:
        assert row["signs"] == 1.0
        assert row["spearman"] > 0.9
        assert abs(row["nulls"]["permuted matches"]["spearman"]) < 0.1
        assert row["nulls"]["permuted matches"]["signs"] == pytest.approx(0.5, abs=0.1)


def test_the_join_on_the_command_line_gives_pairs_beside_their_nulls(address: str, command: Command) -> None:
    outcome = command("join", FIRST, SECOND, "--format", "json", "--layers", "lines:conv2,curves:conv3", db=address)
    assert outcome.code == 0
    assert {"pairs", "nulls", "ceiling", "layers"} <= set(outcome.json)
    assert set(outcome.json["pairs"][0]) == {"a", "b", "rank", "score", "excess", "q", "mutual", "method"}
    assert set(outcome.json["nulls"]) == {"shuffled pictures", "mixed units"}
    assert outcome.json["observed"]["score"] > 0.99
    assert outcome.json["nulls"]["shuffled pictures"]["score"] < 0.2
    table = command("join", FIRST, SECOND, db=address)
    assert table.code == 0
    assert "lines" in table.out
    assert "shuffled pictures" in table.out


def test_a_pair_that_was_not_joined_is_told_with_the_command_that_mends_it(address: str, command: Command) -> None:
    outcome = command("universality", CURVES, "--models", f"{SECOND},{DECOYS}", db=address)
    assert outcome.code == 2
    assert f"circuitdb join {SECOND} {DECOYS}" in outcome.err


def test_models_of_different_probes_are_refused_by_name(address: str, command: Command, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(Path(address).read_bytes())
    store = open_store(str(copy))
    signatures = store.signatures(DECOYS)
    assert signatures is not None
    graph = store.read(DECOYS)
    model = {**graph.model, "probes": {**graph.model["probes"], "sha256": "f" * 64}}
    store.write(type(graph)(**{**vars(graph), "model": model}), replace=True)
    store.close()
    outcome = command("join", FIRST, DECOYS, db=copy)
    assert outcome.code == 2
    assert FIRST in outcome.err
    assert DECOYS in outcome.err
    assert "circuitdb probe" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_unprobed_model_is_refused_with_the_command_that_probes_it(command: Command, tmp_path: Path) -> None:
    db = tmp_path / "bare.duckdb"
    for name in (FIRST, SECOND):
        ingest_model(name, db=str(db))
    outcome = command("join", FIRST, SECOND, db=db)
    assert outcome.code == 2
    assert f"circuitdb probe {FIRST} {SECOND}" in outcome.err


def test_the_correspondences_are_a_graph_and_a_parquet_file(database: Database, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    graph = database.correspondences([FIRST, SECOND])
    file = tmp_path / "pairs.parquet"
    assert database.write_correspondences(file, [FIRST, SECOND]) == graph.number_of_edges()
    table = pq.read_table(file)
    assert set(table["source"].to_pylist()) | set(table["target"].to_pylist()) == set(graph.nodes)
    assert json.dumps(next(iter(graph.edges(data=True)))[2])


def test_the_order_of_join_does_not_change_the_pairs(database: Database) -> None:
    one, other = analogues(database, FIRST, SECOND), analogues(database, SECOND, FIRST)
    assert {(unit, row["target"]) for unit, row in one.items()} <= {
        (row["target"], unit) for unit, row in other.items()
    }


def test_deleting_a_model_deletes_its_joins(address: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(Path(address).read_bytes())
    with circuitdb.open(str(copy)) as database:
        database.delete(SECOND)
        assert {key.partition("/")[0] for key in database.correspondences().nodes} == {FIRST, DECOYS}
        assert np.isfinite([row["score"] for _, _, row in database.correspondences().edges(data=True)]).all()


@pytest.fixture(scope="module")
def on_neo4j(address: str, neo4j_address: str) -> Iterator[Database]:
    """The first network and its decoys on a server, not joined yet."""
    with circuitdb.open(address) as source, circuitdb.open(neo4j_address) as server:
        source.push(neo4j_address, models=[FIRST, SECOND, DECOYS], replace=True)
        yield server
        for name in (FIRST, SECOND, DECOYS):
            if name in {row["name"] for row in server.models()}:
                server.delete(name)


def test_joins_on_neo4j_are_those_of_the_file(
    database: Database, on_neo4j: Database, neo4j_address: str, command: Command
) -> None:
    for a, b in ((FIRST, SECOND), (SECOND, FIRST)):
        assert command("join", a, b, "--quiet", db=neo4j_address).code == 0
    for a, b in ((FIRST, SECOND), (SECOND, FIRST)):
        there, here = analogues(on_neo4j, a, b), analogues(database, a, b)
        assert {unit: row["target"] for unit, row in there.items()} == {
            unit: row["target"] for unit, row in here.items()
        }
        for name in ("score", "excess", "q"):
            assert [row[name] for row in there.values()] == pytest.approx([row[name] for row in here.values()])
        assert all(there[unit]["mutual"] == row["mutual"] for unit, row in here.items())
    asked = CURVES_OF_FIRST + f" in {FIRST} analogous in {SECOND}"
    found = [opened.find(asked, limit=100_000, seconds=None) for opened in (database, on_neo4j)]
    assert len(found[0]) > 100
    assert [circuit.units for circuit in found[0]] == [circuit.units for circuit in found[1]]
    tables = [
        opened.universality(CURVES, models=[FIRST, SECOND], samples=3).to_dict() for opened in (database, on_neo4j)
    ]
    assert tables[0] == tables[1]
    agree = [opened.edge_agreement(FIRST, SECOND, samples=1) for opened in (database, on_neo4j)]
    assert [row["a"] for row in agree[0]] == [row["a"] for row in agree[1]]
    assert all(row["signs"] == 1.0 for row in agree[1])
    unit = next(iter(analogues(database, FIRST, SECOND)))
    shown = [command("show", f"{FIRST}/{unit}", "--format", "json", db=db) for db in (database.address, neo4j_address)]
    own = [[row for row in one.json["analogues"] if row["target"].startswith(f"{SECOND}/")] for one in shown]
    assert own[0]
    assert [row["target"] for row in own[0]] == [row["target"] for row in own[1]]
    assert command("rm", SECOND, "--yes", db=neo4j_address).code == 0
    assert not [key for key in on_neo4j.correspondences().nodes if key.startswith(f"{SECOND}/")]
    assert SECOND not in {row["name"] for row in on_neo4j.models()}
