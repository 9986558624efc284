"""Null models: what they keep, that they mix, and that every graph they can reach is equally likely."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from scipy import stats

from circuitdb.backends.base import ModelGraph
from circuitdb.statistics.nulls import EdgeNull, MapNull, Sample
from circuitdb.transfer import canonical
from tests.graphs import graph_of, random_graph

Edge = tuple[int, int, str]
"""Source, target, kind."""


def drawn(graph: ModelGraph, seed: int = 0, rounds: int = 12) -> Sample:
    null = EdgeNull(graph, rounds)
    return null.sample(null.hub(np.random.default_rng(seed)), np.random.default_rng(seed + 1))


def edges_of(graph: ModelGraph) -> list[Edge]:
    return list(zip(*(graph.edges[name].to_pylist() for name in ("source", "target", "kind")), strict=True))


def degrees(graph: ModelGraph) -> Mapping[tuple[int, int, str], int]:
    """Edges of each kind from each unit to each layer, and to each unit from each layer (its number below zero)."""
    layer = [int(name[1:]) for name in graph.units["layer"].to_pylist()]
    numbers: Counter[tuple[int, int, str]] = Counter()
    for source, target, kind in edges_of(graph):
        numbers[source, layer[target], kind] += 1
        numbers[target, -1 - layer[source], kind] += 1
    return numbers


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_edges_keep_all_degrees_and_never_double(density: float) -> None:
    moved = 0
    for seed in range(12):
        graph = canonical(random_graph(np.random.default_rng(seed), layers=3, units=9, density=density))
        shuffled = drawn(graph, seed).graph(graph)
        assert degrees(shuffled) == degrees(graph)
        ends = [(source, target, kind == "SKIP") for source, target, kind in edges_of(shuffled)]
        assert len(set(ends)) == len(ends)
        moved += edges_of(shuffled) != edges_of(graph)
    assert moved > 8


def test_an_edge_keeps_its_target_and_what_it_says_and_ranks_among_outputs_stay_with_the_source() -> None:
    graph = canonical(random_graph(np.random.default_rng(3), layers=3, units=12, kernels=True))
    shuffled = drawn(graph).graph(graph)
    for name in graph.edges.column_names:
        if name not in ("source", "rank_out"):
            assert shuffled.edges[name] == graph.edges[name], name
    ranks = [
        sorted(zip(*(g.edges[name].to_pylist() for name in ("source", "kind", "rank_out")), strict=True))
        for g in (graph, shuffled)
    ]
    assert ranks[0] == ranks[1]
    assert shuffled.edges["source"] != graph.edges["source"]


def test_equal_seeds_give_equal_samples_and_others_do_not() -> None:
    graph = canonical(random_graph(np.random.default_rng(5), layers=3, units=12))
    assert (drawn(graph, 1).source == drawn(graph, 1).source).all()
    assert (drawn(graph, 1).source != drawn(graph, 2).source).any()


def test_the_overlap_with_the_start_falls_to_what_chance_gives() -> None:
    """In a graph whose units all have d of n possible neighbours, any pair is joined with chance d / n."""
    n, d = 60, 12
    edges = [(f"L0:{i}", f"L1:{(i + k) % n}", 1.0 if k % 2 else -1.0) for i in range(n) for k in range(d)]
    graph = canonical(graph_of({"L0": n, "L1": n}, edges))
    start = set(edges_of(graph))

    def overlap(rounds: int) -> float:
        return float(
            np.mean([len(start & set(edges_of(drawn(graph, 10 * s, rounds).graph(graph)))) for s in range(20)])
        )

    same_sign_by_chance = len(edges) * (d / 2) / n
    # A pair's sign is one of two colours of d / 2 neighbours each; 20 samples of 720 edges have an error below 2.
    assert overlap(0) == len(edges)
    assert overlap(1) > 1.5 * same_sign_by_chance
    assert overlap(12) == pytest.approx(same_sign_by_chance, abs=8)


TINY: Mapping[str, tuple[str, ...]] = {
    "one sign": ("++.", "+.+", ".+."),
    "two signs": ("+-.", ".+-", "-.+"),
    "full": ("+-", "-+"),
    "some of each": ("++-.", "-.+.", ".+.-"),
    "a full target": ("+++", "-..", ".-."),
}
"""Rows are targets, columns sources."""


def cells(name: str) -> list[tuple[int, int, int]]:
    """Target, source and sign of a tiny graph's edges."""
    return [
        (target, source, 1 if sign == "+" else -1)
        for target, row in enumerate(TINY[name])
        for source, sign in enumerate(row)
        if sign != "."
    ]


def arrangements(edges: Iterable[tuple[int, int, int]]) -> set[tuple[int, ...]]:
    """Every way to give the edges of each sign each other's sources so that no two units are joined twice."""
    edges = list(edges)
    signs = {sign: [i for i, edge in enumerate(edges) if edge[2] == sign] for sign in (1, -1)}
    ways = [set(itertools.permutations([edges[i][1] for i in own])) for own in signs.values()]
    found = set()
    for excite, inhibit in itertools.product(*ways):
        sources = dict(zip(signs[1] + signs[-1], excite + inhibit, strict=True))
        if len({(edge[0], sources[i]) for i, edge in enumerate(edges)}) == len(edges):
            found.add(tuple(sources[i] for i in range(len(edges))))
    return found


@pytest.mark.parametrize("name", list(TINY))
def test_every_graph_with_the_degrees_is_reached_and_equally_likely(name: str) -> None:
    """By chi-square, over many copies of a tiny graph, each between layers of its own."""
    edges, copies = cells(name), 250
    width = max(len(TINY[name]), len(TINY[name][0]))
    graph = canonical(
        graph_of(
            {f"{side}{copy:03}": width for copy in range(copies) for side in "AB"},
            [(f"A{c:03}:{s}", f"B{c:03}:{t}", float(sign)) for c in range(copies) for t, s, sign in edges],
        )
    )
    null = EdgeNull(graph, rounds=20)
    hub = null.hub(np.random.default_rng(0))
    expected = arrangements(edges)
    seen: Counter[tuple[int, ...]] = Counter()
    order = sorted(range(len(edges)), key=lambda i: edges[i][:2])
    for seed in range(max(4, 12 * len(expected) // copies)):
        sources = null.sample(hub, np.random.default_rng(seed + 1)).source
        assert sources is not None
        index = np.asarray(graph.units["index"])[sources].reshape(copies, len(edges))
        back = np.empty_like(index)
        back[:, order] = index  # Edges stand in order of target and source.
        seen.update(map(tuple, back.tolist()))
    assert set(seen) <= expected
    assert len(expected) > 1
    assert stats.chisquare([seen[way] for way in sorted(expected)]).pvalue > 0.001


def test_skip_edges_of_a_residual_block_become_any_one_to_one_match() -> None:
    skips = [(f"L0:{i}", f"L1:{i}", 1.0) for i in range(40)]
    graph = canonical(graph_of({"L0": 40, "L1": 40}, [("L0:0", "L1:0", 1.0)], skips=skips))
    source = drawn(graph).graph(graph).edges.filter(graph.edges["kind"].to_numpy() == "SKIP")["source"].to_pylist()
    assert sorted(source) == list(range(40)) != source


def test_graphs_without_edges_or_with_nothing_to_exchange_stay() -> None:
    empty = canonical(graph_of({"L0": 2, "L1": 2}, []))
    assert EdgeNull(empty).free == 0
    assert drawn(empty).graph(empty).edges.num_rows == 0
    single = canonical(graph_of({"L0": 3, "L1": 1}, [("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", -1.0)]))
    assert EdgeNull(single).free == 0
    assert edges_of(drawn(single).graph(single)) == edges_of(single)


MAPS = [
    ("flip", "L0:0", "L0:1", 0.9), ("flip", "L0:1", "L0:0", 0.8), ("flip", "L0:2", "L0:3", 0.7),
    ("flip", "L0:3", "L0:2", 0.7), ("flip", "L0:4", "L0:4", 0.9), ("flip", "L0:5", "L0:0", 0.6),
    ("flip", "L1:0", "L1:1", 0.9), ("flip", "L1:1", "L1:0", 0.9), ("flip", "L1:2", "L1:2", 0.9),
    ("flip", "L1:3", "L1:3", 0.9), ("rotate(90)", "L0:0", "L0:4", 0.9),
]  # fmt: skip


def test_shuffled_maps_keep_roles_pairs_and_scores_and_reach_every_pairing_equally() -> None:
    graph = canonical(graph_of({"L0": 7, "L1": 5}, [("L0:0", "L1:0", 1.0)], maps=MAPS))
    null = MapNull(graph, ["flip"])
    hub = null.hub(np.random.default_rng(0))
    partners: Counter[int] = Counter()
    for seed in range(900):
        shuffled = null.sample(hub, np.random.default_rng(seed)).graph(graph).maps
        assert shuffled is not None
        names = ("map", "source", "target", "score", "mutual")
        rows = [tuple(row[name] for name in names) for row in shuffled.to_pylist()]
        flip = {source: target for name, source, target, *_ in rows if name == "flip"}
        assert len(rows) == len(MAPS)
        assert ("rotate(90)", 0, 4) in {row[:3] for row in rows}  # Not named by the query.
        assert sorted(row[3] for row in rows) == sorted(row[3] for row in MAPS)
        assert {unit for unit, to in flip.items() if unit == to} == {4, 9, 10}
        assert set(flip) == {0, 1, 2, 3, 4, 5, 7, 8, 9, 10}
        assert sum(flip.get(to) == unit for unit, to in flip.items() if unit != to) == 6
        assert flip[5] in (0, 1, 2, 3)
        partners[flip[0]] += 1
    assert set(partners) == {1, 2, 3}
    assert stats.chisquare(list(partners.values())).pvalue > 0.001
    assert null.free == 7


def test_maps_whose_units_have_all_roles_of_their_own_cannot_be_shuffled() -> None:
    graph = canonical(graph_of({"L0": 3}, [], maps=[("flip", "L0:0", "L0:1"), ("flip", "L0:2", "L0:2")]))
    assert MapNull(graph, ["flip"]).free == 0
    assert MapNull(graph, ["negate"]).free == 0
