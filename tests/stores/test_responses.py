"""What units do on probes is written whole or not at all, in the place of what was there, on both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from circuitdb.backends.base import ModelGraph, Responses, Store
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.transfer import checksum, push
from tests.graphs import assert_same_graph, random_graph, random_responses, with_responses


@pytest.fixture
def duckdb_store(tmp_path: Path) -> DuckDBStore:
    return DuckDBStore(str(tmp_path / "responses.duckdb"))


@pytest.fixture(params=["DuckDB", "Neo4j"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue("duckdb_store" if request.param == "DuckDB" else "neo4j_store")
    return found


def without_thumbnails(graph: ModelGraph) -> ModelGraph:
    return replace(graph, examples=graph.examples.drop_columns(["thumbnail"]))


def assert_holds(store: Store, graph: ModelGraph) -> None:
    """The store holds the graph, as far as it can."""
    read = store.read(graph.name)
    if isinstance(store, Neo4jStore):
        graph = replace(without_thumbnails(graph), dense={})
    assert checksum(read) == checksum(graph)
    if isinstance(store, DuckDBStore):
        assert_same_graph(graph, read)
    np.testing.assert_array_equal(store.signatures(graph.name), graph.signatures)
    keys = read.units["key"].to_pylist()
    rows = graph.examples.sort_by([("unit", "ascending"), ("rank", "ascending")]).to_pylist()
    found = store.examples([*keys[::-1], f"{graph.name}/none:0"])
    assert found.pop(f"{graph.name}/none:0") == []
    assert found == {
        key: [
            {"thumbnail": None} | {n: v for n, v in row.items() if n != "unit"} for row in rows if row["unit"] == unit
        ]
        for unit, key in enumerate(keys)
    }


def probed(seed: int, name: str = "toy") -> tuple[ModelGraph, Responses]:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, name=name, units=7, layers=3, dense=True)
    return graph, random_responses(rng, graph)


@pytest.mark.parametrize("seed", range(2))
def test_responses_are_read_as_they_were_written(store: Store, seed: int) -> None:
    graph, responses = probed(seed)
    store.write(random_graph(np.random.default_rng(9), name="before"))
    store.write(graph)
    other = store.read("before")
    assert store.signatures("toy") is None
    assert not any(store.examples(["toy/L0:0"]).values())
    store.write_responses("toy", responses)
    assert_holds(store, with_responses(graph, responses))
    assert checksum(store.read("before")) == checksum(other)


def test_a_model_can_come_with_its_responses(store: Store) -> None:
    graph = with_responses(*probed(2))
    store.write(graph)
    assert_holds(store, graph)


def test_new_responses_replace_the_old_ones_and_nothing_else(store: Store) -> None:
    graph, first = probed(3)
    second = random_responses(np.random.default_rng(33), graph, pictures=3, numbers=6)
    store.write(with_responses(graph, first))
    store.write(with_responses(*probed(5, "after")))
    store.add_labels([("toy/L0:0", "mine", "me")] if store.unit("toy/L0:0") else [])
    labels = store.labels("toy")
    after = checksum(store.read("after"))
    store.write_responses("toy", second)
    assert store.labels("toy") == labels
    assert_holds(store, replace(with_responses(graph, second), labels=store.read("toy").labels))
    assert checksum(store.read("after")) == after


def test_responses_without_examples_signatures_maps_and_families_clear_what_was_there(store: Store) -> None:
    graph, responses = probed(4)
    store.write(with_responses(graph, responses))
    count = graph.units.num_rows
    bare = Responses(
        {"name": "none", "sha256": "0"},
        pa.table({"mean": pa.array([1.0] * count)}),
        responses.maps.slice(0, 0),
        responses.families.slice(0, 0),
        responses.members.slice(0, 0),
    )
    store.write_responses("toy", bare)
    read = store.read("toy")
    assert read.model["probes"] == {"name": "none", "sha256": "0"}
    assert read.units["mean"].to_pylist() == [1.0] * count
    assert not {"sd", "sparsity"} & set(read.units.column_names)
    assert [table.num_rows for table in (read.maps, read.families, read.members, read.examples)] == [0] * 4
    assert store.signatures("toy") is None
    assert read.edges.num_rows == graph.edges.num_rows


def test_deleting_a_model_takes_its_responses_along(store: Store) -> None:
    graph, responses = probed(6)
    store.write(with_responses(graph, responses))
    store.delete("toy")
    store.write(graph)
    assert store.signatures("toy") is None
    assert store.read("toy").examples.num_rows == 0


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


WRONG: dict[str, tuple[Callable[[Responses], Responses], str]] = {
    "a missing checksum": (lambda r: replace(r, probes={"name": "x"}), "probes: sha256 is missing"),
    "probes that are no JSON": (
        lambda r: replace(r, probes={**r.probes, "mean": float("nan")}),
        "probes cannot be written as JSON",
    ),
    "too few units": (lambda r: replace(r, units=r.units.slice(1)), r"rows of responses for \d+ units"),
    "an unknown property": (
        lambda r: replace(r, units=r.units.append_column("bias", r.units["mean"])),
        "responses bring mean, sd, sparsity, not 'bias'",
    ),
    "an infinite mean": (
        lambda r: replace(r, units=changed(r.units, "mean", pa.array([np.inf] * r.units.num_rows))),
        "mean is NaN or infinite",
    ),
    "flat signatures": (
        lambda r: replace(r, signatures=r.signatures.reshape(len(r.signatures), -1)),
        r"instead of \[\d+ units, pictures, numbers\]",
    ),
    "signatures of other units": (lambda r: replace(r, signatures=r.signatures[1:]), r"instead of \[\d+ units"),
    "signatures of other numbers": (
        lambda r: replace(r, signatures=r.signatures.astype(np.float32)),
        "signatures hold float32 instead of int8",
    ),
    "signatures of other pictures": (
        lambda r: replace(r, signatures=r.signatures[:, 1:]),
        "4 pictures, but the probes have 5",
    ),
    "an example of no unit": (
        lambda r: replace(r, examples=changed(r.examples, "unit", pa.array([999] * r.examples.num_rows))),
        "examples: row 0: unit is 999",
    ),
    "a rank twice": (
        lambda r: replace(r, examples=pa.concat_tables([r.examples, r.examples.slice(0, 1)])),
        r"rank \d stands there twice",
    ),
    "a rank of 0": (
        lambda r: replace(r, examples=changed(r.examples, "rank", pa.array([0] * r.examples.num_rows, pa.int32()))),
        "a rank is 1 or more",
    ),
    "a thumbnail of text": (
        lambda r: replace(r, examples=changed(r.examples, "thumbnail", r.examples["picture"])),
        "thumbnail holds string instead of binary",
    ),
    "an example without a value": (
        lambda r: replace(r, examples=r.examples.drop_columns(["value"])),
        "examples: the column 'value' is missing",
    ),
    "a map twice": (
        lambda r: replace(r, maps=pa.concat_tables([r.maps, r.maps.slice(0, 1)])),
        "stands there twice",
    ),
    "a member of no family": (
        lambda r: replace(r, members=changed(r.members, "family", pa.array([7] * r.members.num_rows, pa.int32()))),
        "there is no family of that id",
    ),
}


def test_wrong_responses_are_refused_in_one_sentence_and_change_nothing(store: Store) -> None:
    graph, responses = probed(7)
    first = random_responses(np.random.default_rng(77), graph)
    store.write(with_responses(graph, first))
    for change, reason in WRONG.values():
        with pytest.raises(InputError, match=reason) as caught:
            store.write_responses("toy", change(responses))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no model 'none'"):
        store.write_responses("none", responses)
    assert_holds(store, with_responses(graph, first))


def test_wrong_responses_of_a_new_model_are_refused(store: Store) -> None:
    graph, responses = probed(8)
    whole = with_responses(graph, responses)
    with pytest.raises(InputError, match="stands there twice"):
        store.write(replace(whole, examples=pa.concat_tables([responses.examples, responses.examples.slice(0, 1)])))
    with pytest.raises(InputError, match="instead of int8"):
        store.write(replace(whole, signatures=responses.signatures.astype(np.int16)))


def test_push_carries_responses_to_neo4j_and_back(
    duckdb_store: DuckDBStore, neo4j_store: Neo4jStore, tmp_path: Path
) -> None:
    graph = with_responses(*probed(10))
    duckdb_store.write(graph)
    back = DuckDBStore(str(tmp_path / "back.duckdb"))
    [there] = push(duckdb_store, neo4j_store)
    [again] = push(duckdb_store, neo4j_store)
    [home] = push(neo4j_store, back)
    assert [there.was_there, again.was_there, home.was_there] == [False, True, False]
    assert there.checksum == home.checksum == checksum(graph)
    assert_holds(neo4j_store, graph)
    np.testing.assert_array_equal(back.signatures("toy"), graph.signatures)


def test_push_notices_other_responses(duckdb_store: DuckDBStore, tmp_path: Path) -> None:
    graph, responses = probed(11)
    other = DuckDBStore(str(tmp_path / "other.duckdb"))
    duckdb_store.write(with_responses(graph, responses))
    other.write(with_responses(graph, replace(responses, signatures=responses.signatures ^ 1)))
    with pytest.raises(InputError, match="holds another model 'toy'"):
        push(duckdb_store, other)
    push(duckdb_store, other, replace=True)
    assert_same_graph(with_responses(graph, responses), other.read("toy"))


def test_a_neo4j_that_fails_on_the_way_leaves_what_was(
    neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from circuitdb.backends.neo4j import responses as module

    graph, first = probed(12)
    neo4j_store.write(with_responses(graph, first))

    def fail(*_: object) -> None:
        raise CircuitdbError("the server is gone")

    monkeypatch.setattr(module, "create_families", fail)
    with pytest.raises(CircuitdbError, match="the server is gone"):
        neo4j_store.write_responses("toy", random_responses(np.random.default_rng(1), graph))
    assert_holds(neo4j_store, with_responses(graph, first))
