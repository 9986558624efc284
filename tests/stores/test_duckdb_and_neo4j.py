"""Both stores give the same answers to every question of the protocol, whatever the graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuitdb.backends.base import ModelGraph, Store
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.errors import InputError
from circuitdb.transfer import canonical, checksum, push
from tests.graphs import graph_of, random_graph, toy_graph

NAME_OF_FRAGMENTS = "'; MATCH (n) DETACH DELETE n -- `\" $x {0}"
TABLES = ("layers", "units", "edges", "segments", "labels", "maps", "families", "members", "examples")


@pytest.fixture
def duckdb_store(tmp_path: Path) -> DuckDBStore:
    return DuckDBStore(str(tmp_path / "both.duckdb"))


@pytest.fixture
def stores(duckdb_store: DuckDBStore, neo4j_store: Neo4jStore) -> tuple[Store, Store]:
    return duckdb_store, neo4j_store


def assert_equal_answers(stores: tuple[Store, Store], ask: Callable[[Store], Any]) -> None:
    first, second = (ask(store) for store in stores)
    assert first == second


def assert_equal_graphs(first: ModelGraph, second: ModelGraph) -> None:
    first, second = canonical(first), canonical(second)
    assert first.model == second.model
    for name in TABLES:
        tables = [getattr(graph, name) for graph in (first, second)]
        assert (tables[0] is None) == (tables[1] is None), name
        if tables[0] is not None:
            assert tables[0].to_pylist() == tables[1].to_pylist(), name
    np.testing.assert_array_equal(first.signatures, second.signatures)


def keys_of(graph: ModelGraph) -> list[str]:
    rows = graph.units.select(["layer", "index"]).to_pylist()
    return [f"{graph.name}/{row['layer']}:{row['index']}" for row in rows]


@pytest.mark.parametrize("seed", range(3))
def test_every_answer_about_a_random_graph_is_the_same(stores: tuple[Store, Store], seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, name=name, units=7, dense=True) for name in ("one", "Two", NAME_OF_FRAGMENTS)]
    for store in stores:
        for graph in graphs:
            store.write(graph)
    assert_equal_answers(stores, lambda store: store.models())
    for graph in graphs:
        assert_equal_graphs(stores[0].read(graph.name), graph)
        assert_equal_graphs(stores[1].read(graph.name), graph)
        assert_equal_answers(stores, lambda store, name=graph.name: store.labels(name))
        keys = keys_of(graph)
        assert_equal_answers(stores, lambda store, keys=keys: store.units([*keys[::-1], "one/none:0"]))
        for key in rng.choice(keys, size=4).tolist():
            assert_equal_answers(stores, lambda store, key=key: store.unit(key))
            for direction in ("in", "out"):
                for top in (None, 2):
                    assert_equal_answers(stores, lambda s, key=key, d=direction, top=top: s.edges(key, d, top))
        assert_equal_answers(stores, lambda store, keys=keys: store.whole_units([*keys, "one/none:0"]))
        assert_equal_answers(stores, lambda store, keys=keys: store.edges_of(keys[::-1], "in", 2))


def test_labels_are_added_once_and_taken_away(stores: tuple[Store, Store]) -> None:
    for store in stores:
        store.write(toy_graph())
        store.add_labels([("toy/L0:0", "Größe", "me"), ("toy/L0:1", "x", None), ("toy/L0:0", "Größe", "me")])
        store.add_labels([("toy/L0:0", "Größe", None)])
        store.delete_label("toy/L0:0", "dog left")
    assert_equal_answers(stores, lambda store: store.labels("toy"))
    assert [row["label"] for row in stores[1].labels("toy")] == [
        "Größe",
        "Größe",
        "dog right",
        "x",
        "dog",
        "Straße",
    ]


def test_labels_for_an_unknown_unit_change_nothing(stores: tuple[Store, Store]) -> None:
    for store in stores:
        store.write(toy_graph())
        before = store.labels("toy")
        with pytest.raises(InputError, match="no unit 'toy/L9:0'"):
            store.add_labels([("toy/L0:0", "new", None), ("toy/L9:0", "new", None)])
        with pytest.raises(InputError, match="has no label 'cat'"):
            store.delete_label("toy/L0:0", "cat")
        assert store.labels("toy") == before


@pytest.mark.parametrize(
    "wrong",
    [
        lambda store: store.read("none"),
        lambda store: store.delete("none"),
        lambda store: store.labels("none"),
        lambda store: store.edges("toy/L0:77", "in"),
        lambda store: store.write(toy_graph()),
        lambda store: store.write(graph_of({"L0": 1, "L1": 1}, [("L1:0", "L0:0", 1.0)])),
    ],
)
def test_what_is_wrong_is_refused_in_the_same_words(
    stores: tuple[Store, Store], wrong: Callable[[Store], object]
) -> None:
    said = []
    for store in stores:
        store.write(toy_graph())
        with pytest.raises(InputError) as caught:
            wrong(store)
        said.append(str(caught.value).replace(store.address, "ADDRESS"))
    assert said[0] == said[1]


def test_a_replaced_model_is_the_new_one_and_a_deleted_one_is_gone(stores: tuple[Store, Store]) -> None:
    new = random_graph(np.random.default_rng(3), name="toy")
    for store in stores:
        store.write(toy_graph())
        store.write(toy_graph("other"))
        store.write(new, replace=True)
        assert_equal_graphs(store.read("toy"), new)
        store.delete("toy")
        assert store.unit("toy/L0:0") is None
        assert [row["name"] for row in store.models()] == ["other"]


@pytest.mark.parametrize("direction", ["to Neo4j", "to DuckDB"])
def test_push_copies_models_and_skips_what_is_there(stores: tuple[Store, Store], direction: str) -> None:
    source, target = stores if direction == "to Neo4j" else stores[::-1]
    graphs = [random_graph(np.random.default_rng(seed), name=f"m{seed}") for seed in range(3)]
    for graph in graphs:
        source.write(graph)
    first = push(source, target, ["m1"])
    assert [(row.model, row.was_there) for row in first] == [("m1", False)]
    second = push(source, target)
    assert [(row.model, row.was_there) for row in second] == [("m0", False), ("m1", True), ("m2", False)]
    assert [row.checksum for row in second] == [checksum(graph) for graph in graphs]
    for graph in graphs:
        assert_equal_graphs(target.read(graph.name), graph)


def test_push_refuses_to_overwrite_another_model_unless_asked(stores: tuple[Store, Store]) -> None:
    source, target = stores
    source.write(toy_graph())
    target.write(random_graph(np.random.default_rng(1), name="toy"))
    with pytest.raises(InputError, match="holds another model 'toy'; --replace"):
        push(source, target)
    push(source, target, replace=True)
    assert_equal_graphs(target.read("toy"), toy_graph())
