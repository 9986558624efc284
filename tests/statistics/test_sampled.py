"""Counting in samples: moved edges, parts asked of a database and listing give what a store gives for that graph."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from circuitdb.backends.base import Limits, ModelGraph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import InputError
from circuitdb.pattern import model as p
from circuitdb.pattern.compile import compile_query
from circuitdb.reports.exchange import read_document
from circuitdb.statistics.nulls import OBSERVED, EdgeNull, MapNull, Null, Sample
from circuitdb.statistics.sampled import Counter, StoppedError, prepared
from circuitdb.statistics.significance import NULLS, check, maps_of
from circuitdb.transfer import canonical
from tests.graphs import random_graph
from tests.oracle_graphs import graphs_of
from tests.random_graphs import random_document
from tests.random_queries import random_queries

UNLIMITED = Limits(rows=None, seconds=None)


def samples_of(null: Null, number: int) -> list[Sample]:
    hub = null.hub(np.random.default_rng(0))
    return [OBSERVED, *(null.sample(hub, np.random.default_rng(seed)) for seed in range(1, number + 1))]


def null_of(name: str, graph: ModelGraph, query: p.Query) -> Null:
    return EdgeNull(graph) if name == "edges" else MapNull(graph, maps_of(query))


def stored(graph: ModelGraph, folder: Path) -> DuckDBStore:
    folder.mkdir(parents=True, exist_ok=True)
    store = DuckDBStore(str(folder / "graph.duckdb"))
    store.write(graph, replace=True)
    return store


MOVED, ASKED, LISTED = "edges chosen once, moved, multiplied", "parts read from each sample, multiplied", "listed"
WAYS = {
    "find { a +> b +> c; d +> e +> c; a -| e; d -| b }": MOVED,
    "find { a -> b where share > 0.1; b -| c; unit c where index < 3 }": MOVED,
    "find { unit a where index < 2 and bias > -1; a +> b; c -> b; every edge where top > -1 }": MOVED,
    "find { skip a -> b; a -> c; unit b in L1, L2; unit a in L0 }": MOVED,
    "find all { a -> b; flip(a) -> flip(b) }": MOVED,
    "find { a -> b; flip(a) -> flip(b) }": LISTED,
    "find all { a -> b; c -> d where d.mean > 0.2 }": MOVED,
    "find { a -> b where rank_out <= 2; b -> c }": ASKED,
    "find { a -> b where a.index = b.index; b -> c }": ASKED,
    "find { a -> b; b -> c; no a -> d where share > 0.3 }": LISTED,
    "find { a -> b; b -> c; at least 2 x { x -> b } }": ASKED,
    "find { a -> b as e; flip(a) -> flip(b) as f where agreement(flip(e), f) > 0.1 }": LISTED,
    "find { a -> b as e; c -> b as f where e.share > f.share }": LISTED,
    "find { {a, b} -> c; unit a in L0; unit b in L0, L1; where a.index < 5 }": LISTED,
}


@pytest.mark.parametrize("text", list(WAYS))
def test_each_way_counts_what_a_store_holds_after_the_same_shuffle(text: str, tmp_path: Path) -> None:
    graph = canonical(random_graph(np.random.default_rng(7), layers=3, units=12, kernels=True))
    query = compile_query(text)
    search = prepared(graph, query, "edges")
    assert search.way.startswith(WAYS[text])
    counter = Counter(search)
    counts = []
    for sample in samples_of(EdgeNull(graph), 3):
        store = stored(sample.graph(graph), tmp_path)
        counts.append(counter.count(sample))
        assert counts[-1] == counter.listed(sample) == store.count(query, UNLIMITED)
    assert max(counts) > 0
    counter.close()


@pytest.mark.parametrize("null", NULLS)
def test_random_queries_count_alike_in_samples_and_in_a_store(null: str, tmp_path: Path) -> None:
    compared = with_circuits = differing = 0
    for number in itertools.count():
        rng = random.Random(f"samples of {null} {number}")
        document = random_document(rng, models=1, units=9)
        graph = canonical(read_document(document).graphs[0])
        for text in random_queries(rng, document, graphs_of(document), 10):
            try:
                query = compile_query(text, catalog={graph.name: graph.layers["name"].to_pylist()}, models=[graph.name])
                check(query, null, 1, 0)
            except InputError:
                continue
            counter = Counter(prepared(graph, query, null))
            [sample] = samples_of(null_of(null, graph, query), 1)[1:]
            count = counter.count(sample)
            assert count == counter.listed(sample), text
            if compared % 4 == 0:
                assert count == stored(sample.graph(graph), tmp_path).count(query, UNLIMITED), text
            compared += 1
            with_circuits += count > 0
            differing += count != counter.count(OBSERVED)
            counter.close()
        if compared >= 40:
            break
    assert with_circuits > 8
    assert differing > 3


def test_scores_of_samples_are_those_that_a_search_finds(tmp_path: Path) -> None:
    graph = canonical(random_graph(np.random.default_rng(8), layers=3, units=12))
    for text in ("find { {a, b} -> c -> d }", "find { a +> b; c -| b }"):
        query = compile_query(text)
        counter = Counter(prepared(graph, query, "edges"))
        for sample in samples_of(EdgeNull(graph), 2):
            found = stored(sample.graph(graph), tmp_path).find(query, UNLIMITED).matches
            scores = sorted(match.score for match in found if match.score is not None and match.score >= 0.05)
            assert sorted(counter.scores(sample, 0.05)) == scores
            assert scores


def test_scores_of_a_motifs_own_making_count_too(tmp_path: Path) -> None:
    graph = canonical(random_graph(np.random.default_rng(9), layers=3, units=12))
    query = compile_query("find { a -> b -> c score max(strength) - a.index }")
    [sample] = samples_of(EdgeNull(graph), 1)[1:]
    found = stored(sample.graph(graph), tmp_path).find(query, UNLIMITED).matches
    scores = sorted(match.score for match in found if match.score is not None and match.score >= -1)
    assert sorted(Counter(prepared(graph, query, "edges")).scores(sample, -1)) == scores != []


def test_work_that_is_called_off_stops() -> None:
    graph = canonical(random_graph(np.random.default_rng(7), layers=3, units=12))
    search = prepared(graph, compile_query("find { a -> b -> c; a -> d }"), "edges")
    with pytest.raises(StoppedError):
        Counter(search, lambda: False).count(OBSERVED)
