"""Databases, units and results from Python, on a real store."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.circuits import short_names
from circuitdb.database import Database
from circuitdb.units import edge_kernel
from tests.graphs import graph_of, random_graph, toy_graph

CROSSED = "find { left +> l +> both; right +> r +> both; left -| r; right -| l }"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path = str(tmp_path_factory.mktemp("circuits") / "toys.duckdb")
    store = open_store(path)
    store.write(toy_graph())
    store.write(toy_graph("twin"))
    return circuitdb.open(path)


def test_circuits_are_a_sequence_of_circuits(database: Database) -> None:
    found = database.find(CROSSED)
    assert len(found) == 2
    assert [circuit.model for circuit in found] == ["toy", "twin"]
    assert found[1].units["both"] == "twin/L2:0"
    assert found[-1] is found[1]
    assert list(found[:1]) == [found[0]]
    assert found[0] in found
    assert (found.truncated, found.keep) == (False, "all")
    assert found.seconds > 0


def test_a_model_is_named_by_text_or_by_a_list(database: Database) -> None:
    assert [c.model for c in database.find(CROSSED, model="twin")] == ["twin"]
    assert [c.model for c in database.find(CROSSED, model=["twin", "toy"])] == ["toy", "twin"]
    with pytest.raises(circuitdb.InputError, match="did you mean twin"):
        database.find(CROSSED, model="twim")


def test_pandas_has_a_row_a_circuit_and_a_column_a_unit(database: Database) -> None:
    found = database.find(CROSSED)
    table = found.to_pandas()
    assert list(table.columns) == ["motif", "model", "score", "left", "l", "both", "right", "r"]
    assert table["left"].tolist() == ["toy/L0:0", "twin/L0:0"]
    assert table["score"].tolist() == [circuit.score for circuit in found]


def test_pandas_keeps_its_columns_where_nothing_was_found(database: Database) -> None:
    table = database.find('find { a +> b } where a.layer = "none"').to_pandas()
    assert len(table) == 0
    assert list(table.columns) == ["motif", "model", "score", "a", "b"]


def test_units_named_like_another_column_have_a_column_of_their_own(database: Database) -> None:
    found = database.find("find { model +> {score} }", model="toy")
    row = found.to_pandas().iloc[0]
    assert list(row.index) == ["motif", "model", "score", "unit model", "unit score"]
    assert (row["motif"], row["model"], row["score"]) == ("query", "toy", found[0].score)
    assert {"model": row["unit model"], "score": row["unit score"]} == found[0].units


def test_networkx_has_every_unit_and_edge_once_with_all_properties(database: Database) -> None:
    found = database.find(CROSSED, model="toy")
    graph = found.to_networkx()
    assert isinstance(graph, nx.MultiDiGraph)
    assert set(graph.nodes) == set(found[0].unit_keys())
    assert graph.number_of_edges() == 6
    assert graph.nodes["toy/L0:0"]["layer"] == "L0"
    assert [row["label"] for row in graph.nodes["toy/L0:0"]["labels"]] == ["dog left"]
    edge = graph.edges["toy/L0:0", "toy/L1:0", "EXCITES"]
    stored = next(row for row in database.unit("toy/L1:0").inputs() if row["source"] == "toy/L0:0")
    assert edge == {name: value for name, value in stored.items() if name not in ("source", "target")}


def test_an_edge_that_circuits_share_stands_once_in_networkx(database: Database) -> None:
    found = database.find("find { a -> b -> c } in toy")
    edges = {(edge["source"], edge["target"], edge["kind"]) for circuit in found for edge in circuit.edges}
    assert sum(len(circuit.edges) for circuit in found) > len(edges)
    assert found.to_networkx().number_of_edges() == len(edges)
    assert set(found.to_networkx().edges(keys=True)) == edges


def test_networkx_can_be_written_and_read_as_node_link_data(database: Database) -> None:
    graph = database.find(CROSSED, model="toy").to_networkx()
    data = json.loads(json.dumps(nx.node_link_data(graph, edges="edges")))
    assert nx.utils.graphs_equal(nx.node_link_graph(data, edges="edges"), graph)


def test_json_is_what_the_command_prints(database: Database) -> None:
    document = json.loads(database.find(CROSSED, model="toy").to_json())
    assert document["query"] == CROSSED
    assert document["circuits"][0]["units"]["both"] == "toy/L2:0"


def test_a_limit_truncates_and_says_so(database: Database) -> None:
    found = database.find("find { a -> b } in toy", limit=2)
    assert (len(found), found.truncated, found.stopped_by, found.total) == (2, True, "rows", 9)
    assert "2 of 9 circuits" in repr(found)
    assert not database.find("find { a -> b } in toy", limit=9).truncated
    assert database.count("find { a -> b } in toy limit 2") == 9


def test_every_shorter_limit_gives_the_first_of_the_same_circuits(database: Database) -> None:
    every = list(database.find("find { a -> b -> c } in toy"))
    for limit in range(1, len(every) + 1):
        assert list(database.find("find { a -> b -> c } in toy", limit=limit)) == every[:limit]


def test_where_nothing_has_an_image_under_a_map_the_result_says_so(database: Database) -> None:
    def told(query: str) -> list[str]:
        circuits = database.find(query)
        assert not circuits
        return [remark for remark in circuits.remarks if "image" in remark]

    [told_of_twin] = told("find { a -> b; negate(a) -> b } in twin")
    assert "no unit of twin has an image under negate," in told_of_twin
    assert len(told("find { a -> b; negate(a) -> b }")) == 2
    assert not told("find { a -> b where share > 2 }")
    assert not told("find { a -> b where share > 2; flip(a) -> b }")
    assert not told("find { a -> b where share > 2; no negate(a) -> b }")


def test_the_keep_rule_names_its_models_where_they_differ(tmp_path: Path) -> None:
    from dataclasses import replace

    path = str(tmp_path / "rules.duckdb")
    open_store(path).write(toy_graph())
    pruned = toy_graph("pruned")
    open_store(path).write(replace(pruned, model={**pruned.model, "keep": "top32"}))
    database = circuitdb.open(path)
    assert database.find(CROSSED).keep == "top32 (pruned); all (toy)"
    assert database.find(CROSSED, model="pruned").keep == "top32"


def test_parameters_are_given_by_name_and_files_by_path(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "strong.motif"
    file.write_text("motif strong(least = 0.5) { a -> b where strength >= least }")
    assert database.count(file, model="toy") == 6
    assert database.count(str(file), model="toy", least=0.75) == 4
    assert {circuit.motif for circuit in database.find(file, model="toy")} == {"strong"}


def test_a_unit_has_inputs_and_outputs_that_pandas_takes(database: Database) -> None:
    unit = database.unit("toy/L1:0")
    table = pd.DataFrame(unit.inputs(top=2))
    assert table["source"].tolist() == ["toy/L0:0", "toy/L0:1"]
    assert table["strength"].is_monotonic_decreasing
    assert [row["target"] for row in unit.outputs()] == ["toy/L2:0"]
    assert unit.properties["layer"] == "L1"
    assert [(row["map"], row["target"]) for row in unit.maps] == [("flip", "toy/L1:1")]


def test_a_unit_gives_the_kernels_of_its_inputs_as_they_were_written(tmp_path: Path) -> None:
    graph = random_graph(np.random.default_rng(5), name="kernels", kernels=True, density=1.0)
    open_store(str(tmp_path / "kernels.duckdb")).write(graph)
    keys = [f"kernels/{row['layer']}:{row['index']}" for row in graph.units.to_pylist()]
    edges = [row for row in graph.edges.to_pylist() if row["target"] == len(keys) - 1 and row["kind"] != "SKIP"]
    unit = circuitdb.open(tmp_path / "kernels.duckdb").unit(keys[-1])
    for edge in edges:
        source = keys[edge["source"]]
        if edge["kernel"] is None:
            with pytest.raises(circuitdb.InputError, match="has no kernel"):
                unit.kernel(source)
        else:
            expected = np.reshape(edge["kernel"], (edge["kernel_h"], edge["kernel_w"]))
            np.testing.assert_array_equal(unit.kernel(source), expected)
    assert {edge["kernel"] is None for edge in edges} == {True, False}


def test_a_kernel_of_an_edge_that_is_not_kept_is_refused(database: Database) -> None:
    with pytest.raises(circuitdb.InputError, match="is kept"):
        database.unit("toy/L1:0").kernel("toy/L0:2")
    assert edge_kernel({"kernel": None}) is None


def test_a_model_is_deleted_and_labels_are_added(tmp_path: Path) -> None:
    path = str(tmp_path / "own.duckdb")
    open_store(path).write(toy_graph())
    open_store(path).write(graph_of({"L0": 1}, [], name="other"))
    with circuitdb.open(path) as database:
        database.add_labels([("toy/L0:2", "fur", "me"), ("toy/L0:2", "fur", "me")])
        assert database.unit("toy/L0:2").labels == [{"label": "fur", "source": "me"}]
        database.delete_label("toy/L0:2", "fur")
        assert database.unit("toy/L0:2").labels == []
        database.delete("other")
        assert [model["name"] for model in database.models()] == ["toy"]
        with pytest.raises(circuitdb.InputError, match="no model 'other'"):
            database.delete("other")


def test_what_is_shown_names_database_unit_and_circuits(database: Database) -> None:
    assert repr(database) == f"circuitdb.open({database.address!r})"
    assert repr(database.unit("toy/L2:0")) == "Unit('toy/L2:0': dog, Straße)"
    assert repr(database.find(CROSSED)).splitlines()[1].startswith("  Circuit(query in toy: left=L0:0, l=L1:0, ")


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        ("m/4c:447", "4c:447"),
        (["m/4d:417", "m/4d:277", "m/4e:2"], "4d:417, 277, 4e:2"),
        ([], ""),
    ],
)
def test_short_names_leave_out_what_repeats(units: str | list[str], shown: str) -> None:
    assert short_names(units) == shown
    assert short_names(units, "m") == shown


def test_short_names_keep_the_model_of_units_in_another() -> None:
    assert short_names("n/4c:447", "m") == "n/4c:447"
    assert short_names(["m/4d:1", "n/4d:2", "n/4d:3", "m/4d:4"], "m") == "4d:1, n/4d:2, 3, 4d:4"


def test_an_unknown_scheme_is_no_address() -> None:
    with pytest.raises(circuitdb.InputError, match="postgres"):
        circuitdb.open("postgres://localhost")
