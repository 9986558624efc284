"""Counting: sparse matrices, SQL and listing count alike, also where numbers outgrow 64 bits; joins lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from circuitdb.backends.base import Limits
from circuitdb.backends.duckdb import algebra, joins
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.pattern.compile import compile_query
from tests.graphs import graph_of, random_graph

QUERIES = (
    "find { a -> b -> c }",
    "find { a +> b -| c; a -> d }",
    "find { a +> b +> c; d +> e +> c; a -| e; d -| b }",
    "find { a -> b; c -> d }",
    "find { a -> b; c -> b; d -> b where a.layer = \"L0\" }",
    "find { a -> b where share > 0.1; b -> c; unit c where index < 3 }",
    "find { a -> b; flip(a) -> flip(b) }",
    "find all { a -> b -> c; d -> c }",
    "find { a -> c; b -> c; a -> d; b -> d; c -> e; d -> e }",
)  # fmt: skip


def count(store: DuckDBStore, text: str) -> int:
    return store.count(compile_query(text), Limits(rows=None, seconds=None))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuckDBStore:
    store = DuckDBStore(str(tmp_path_factory.mktemp("counting") / "graph.duckdb"))
    for seed, name in enumerate(("one", "two")):
        store.write(random_graph(np.random.default_rng(seed), name=name, layers=4, units=14))
    return store


@pytest.mark.parametrize("text", QUERIES)
def test_matrices_sql_and_listing_count_alike(store: DuckDBStore, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = len(store.find(compile_query(text), Limits(rows=None, seconds=None)).matches)
    assert count(store, text) == listed > 0
    monkeypatch.setattr(algebra, "fits", lambda term: False)
    assert count(store, text) == listed


def test_a_number_beyond_64_bits_is_exact(tmp_path: Path) -> None:
    layers, width = 33, 4
    edges = [
        (f"L{depth}:{i}", f"L{depth + 1}:{j}", 1.0)
        for depth in range(layers - 1)
        for i in range(width)
        for j in range(width)
    ]
    store = DuckDBStore(str(tmp_path / "graph.duckdb"))
    store.write(graph_of({f"L{depth}": width for depth in range(layers)}, edges))
    units = [f"u{i}" for i in range(layers)]
    assert count(store, "find { " + " -> ".join(units) + " }") == width**layers > 2**63


def test_products_too_large_for_matrices_are_counted_by_sql(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [count(store, text) for text in QUERIES]
    monkeypatch.setattr(algebra, "MOST_STEPS", 10)
    assert [count(store, text) for text in QUERIES] == expected


def test_a_product_made_in_many_blocks_is_the_same(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [count(store, text) for text in QUERIES]
    monkeypatch.setattr(algebra, "_STEPS_AT_ONCE", 3)
    assert [count(store, text) for text in QUERIES] == expected


@pytest.mark.parametrize("text", QUERIES)
def test_any_order_of_joins_finds_the_same(store: DuckDBStore, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(rows=None, seconds=None)
    expected = store.find(compile_query(text), limits).matches
    monkeypatch.setattr(joins, "_MOST_EXACT", 1)
    assert store.find(compile_query(text), limits).matches == expected
