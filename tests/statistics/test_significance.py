"""Significance: p is calibrated, planted circuits stand out, decoys do not, numbers follow from definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from scipy import stats

from circuitdb.backends.base import ModelGraph
from circuitdb.circuits import Circuit
from circuitdb.errors import InputError
from circuitdb.pattern.compile import compile_query
from circuitdb.statistics.nulls import EdgeNull, MapNull
from circuitdb.statistics.significance import Significance, chance_of_circuits, significance
from circuitdb.transfer import canonical
from tests.graphs import graph_of, random_graph

CROSS = "find { {a, b} -> both; c +> a; d +> b; c -| b; d -| a }"
Edge = tuple[str, str, float]


def background(seed: int, widths: Iterable[int] = (24, 24, 12), density: float = 0.1) -> dict[tuple[str, str], float]:
    """Random edges between neighbouring layers."""
    rng = np.random.default_rng(seed)
    names = [[f"L{depth}:{i}" for i in range(width)] for depth, width in enumerate(widths)]
    pairs = [pair for below, above in itertools.pairwise(names) for pair in itertools.product(below, above)]
    chosen = rng.random(len(pairs)) < density
    return {pair: float(rng.choice([-1, 1]) * rng.uniform(0.2, 1)) for pair in itertools.compress(pairs, chosen)}


def graph_with(edges: dict[tuple[str, str], float], **more: list[tuple[str, str, str]]) -> ModelGraph:
    widths = {f"L{depth}": width for depth, width in enumerate((24, 24, 12))}
    return graph_of(widths, [(a, b, weight) for (a, b), weight in edges.items()], **more)


def planted(seed: int = 0, times: int = 8) -> ModelGraph:
    """So many cross-inhibitions of units of their own, in a random background."""
    edges = background(seed)
    for i in range(times):
        c, d, a, b = f"L0:{2 * i}", f"L0:{2 * i + 1}", f"L1:{2 * i}", f"L1:{2 * i + 1}"
        edges |= {(c, a): 1.0, (d, b): 1.0, (c, b): -1.0, (d, a): -1.0, (a, f"L2:{i}"): 1.0, (b, f"L2:{i}"): 1.0}
    return graph_with(edges)


def mirrored(seed: int = 0, pairs: int = 8, *, partners_meet: bool = True) -> ModelGraph:
    """Pairs of partners in two layers; edges run between partners' images, or between units drawn by lot."""
    rng = np.random.default_rng(seed)
    edges = dict(background(seed, density=0.05))
    maps = [("flip", f"L{k}:{i}", f"L{k}:{i ^ 1}") for k in (0, 1) for i in range(2 * pairs)]
    order = np.arange(2 * pairs) if partners_meet else rng.permutation(2 * pairs)
    for i in range(pairs):
        edges |= {(f"L0:{order[2 * i + j]}", f"L1:{2 * i + j}"): 1.0 for j in (0, 1)}
    return graph_with(edges, maps=maps)


def result_for(graph: ModelGraph, text: str, **how: object) -> Significance:
    return significance(graph, compile_query(text), **{"samples": 99, "cores": 2, **how})  # type: ignore[arg-type]


# Calibration


@pytest.mark.parametrize(("null", "text"), [("edges", CROSS), ("maps", "find all { a -> b; flip(a) -> flip(b) }")])
def test_p_is_uniform_on_graphs_drawn_from_the_null_itself(null: str, text: str) -> None:
    """By Kolmogorov and Smirnov, on the place of the observed number among all, drawn by lot among equal ones."""
    start = canonical(planted() if null == "edges" else mirrored())
    drawing = EdgeNull(start) if null == "edges" else MapNull(start, ["flip"])
    lot = np.random.default_rng(0)
    places = []
    hub = drawing.hub(np.random.default_rng(1))
    for seed in range(40):
        graph = drawing.sample(hub, np.random.default_rng(100 + seed)).graph(start)
        result = result_for(graph, text, samples=9, seed=seed, null=null)
        more = sum(count > result.observed for count in result.counts)
        equal = sum(count == result.observed for count in result.counts)
        places.append((more + lot.integers(equal + 1) + lot.random()) / 10)
        assert result.p == (more + equal + 1) / 10
    assert stats.kstest(places, "uniform").pvalue > 0.01


def test_planted_circuits_are_more_than_chance_gives_and_a_shuffle_of_them_is_not() -> None:
    graph = canonical(planted())
    result = result_for(graph, CROSS)
    assert result.p == 1 / 100
    assert result.z is not None
    assert result.z > 4
    null = EdgeNull(graph)
    decoys = [
        null.sample(null.hub(np.random.default_rng(s)), np.random.default_rng(50 + s)).graph(graph) for s in (1, 2)
    ]
    assert max(result_for(decoy, CROSS).p for decoy in decoys) > 0.05


def test_maps_that_the_edges_follow_are_more_than_chance_gives_and_others_are_not() -> None:
    text = "find { a +> b; flip(a) +> flip(b) }"
    assert result_for(mirrored(), text, null="maps").p == 1 / 100
    assert result_for(mirrored(), text, null="edges").p == 1 / 100
    assert result_for(mirrored(partners_meet=False), text, null="maps").p > 0.05


# Closed forms


def test_two_steps_in_a_row_are_as_many_as_the_degrees_say_in_every_sample() -> None:
    """Sum over units of (exciting edges in) times (inhibiting edges out)."""
    edges = background(3)
    into = {unit: sum(w > 0 for (_, b), w in edges.items() if b == unit) for _, unit in edges}
    expected = sum(into.get(a, 0) for (a, _), weight in edges.items() if weight < 0)
    result = result_for(graph_with(edges), "find { a +> b -| c }", samples=9)
    assert result.observed == expected > 0
    assert set(result.counts) == {expected}
    assert result.z is None
    assert result.p == 1.0


def test_fixed_points_of_a_shuffled_one_to_one_match_have_mean_and_variance_one() -> None:
    """Montmort's matching problem; the error of a mean of R numbers of variance 1 is R ** -0.5."""
    skips = [(f"L0:{i}", f"L1:{i}", 1.0) for i in range(30)]
    graph = graph_of({"L0": 30, "L1": 30}, [], skips=skips)
    result = result_for(graph, "find { skip a -> b where a.index = b.index }", samples=300)
    assert result.observed == 30
    assert result.null_mean == pytest.approx(1, abs=4 / math.sqrt(300))
    assert result.null_sd**2 == pytest.approx(1, abs=4 * math.sqrt(3 / 300))  # Fourth central moment 4: Poisson's.
    assert np.mean(np.array(result.counts) == 0) == pytest.approx(math.exp(-1), abs=0.11)


def test_the_chance_of_an_edge_between_two_units_is_enumerated() -> None:
    """Two sources of one edge and one of two, two targets of two: the last always joins both, the others one each."""
    edges = [("L0:0", "L1:0", 1.0), ("L0:1", "L1:1", 1.0), ("L0:2", "L1:0", 1.0), ("L0:2", "L1:1", 1.0)]
    graph = graph_of({"L0": 3, "L1": 2}, edges)
    result = result_for(graph, "find { a +> b where a.index = 0 and b.index = 0 }", samples=200)
    assert result.null_mean == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(200))
    assert set(result_for(graph, "find { a +> b where a.index = 2 and b.index = 0 }").counts) == {1}


# Reproducibility


def test_a_seed_gives_the_same_numbers_on_any_number_of_cores_and_whatever_the_order_of_edges() -> None:
    graph = planted()
    shuffled = graph.edges.take(np.random.default_rng(0).permutation(graph.edges.num_rows))
    again = ModelGraph(graph.model, graph.layers, graph.units, shuffled)
    one, two, three = (result_for(g, CROSS, cores=cores, seed=5) for g, cores in ((graph, 1), (graph, 3), (again, 2)))
    assert one.counts == two.counts == three.counts
    assert one.counts != result_for(graph, CROSS, seed=6).counts
    assert result_for(graph, CROSS, seed=5, samples=20).counts == one.counts[:20]


def test_progress_is_told_after_every_sample() -> None:
    told: list[tuple[str, int, int]] = []
    result_for(planted(), CROSS, samples=5, progress=lambda *step: told.append(step))
    assert told == [("sampling", done, 5) for done in range(1, 6)]


# Numbers from their definitions


def result_of(observed: int, counts: Iterable[int], **more: str) -> Significance:
    names = dict.fromkeys(("query", "motif", "model", "store", "keep", "keeps", "way"), "x") | {"null": "edges"} | more
    return Significance(**names, seed=0, observed=observed, counts=tuple(counts), free=1, seconds=0.0)  # type: ignore[arg-type]


def test_figures_follow_from_the_counts() -> None:
    result = result_of(7, [1, 3, 5, 7])
    assert (result.null_mean, result.samples, result.p, result.p_fewer) == (4.0, 4, 2 / 5, 5 / 5)
    assert result.null_sd == pytest.approx(math.sqrt(20 / 3))
    assert result.z == pytest.approx(3 / math.sqrt(20 / 3))
    assert (result.quantiles["0"], result.quantiles["0.5"], result.quantiles["1"]) == (1, 4, 7)
    assert (result_of(3, [2]).null_sd, result_of(3, [2]).z) == (0.0, None)


def test_the_sentence_says_more_fewer_or_as_many() -> None:
    assert result_of(9, [1, 2, 3], motif="m", model="net").sentence == (
        "m is found 9 times in net; graphs with shuffled edges hold 2 ± 1 on average; "
        "none of 3 held as many (p = 0.25)."
    )
    assert "1 of 3 held as many or more (p = 0.5)" in result_of(3, [1, 2, 3]).sentence
    assert "each of 3 held more: fewer than by chance (p = 0.25)" in result_of(0, [1, 2, 3]).sentence
    assert "all 2 graphs with shuffled maps hold 4" in result_of(4, [4, 4], null="maps").sentence
    assert "x is not found in x; the one graph with shuffled edges holds 1" in result_of(0, [1]).sentence


def test_the_histogram_holds_every_sample_once_and_marks_the_observed_number() -> None:
    counts = np.random.default_rng(0).poisson(30, 200).tolist()
    for observed in (0, 30, 31, 900):
        lines = result_of(observed, counts).histogram(60).splitlines()
        bars = [line.replace("◀ observed", "").split() for line in lines if "█" in line or "▏" in line]
        assert sum(int(words[-1]) for words in bars) == 200
        assert sum("◀ observed" in line for line in lines) == 1
        assert max(map(len, lines)) <= 60
    assert lines[-1].split() == ["900", "◀", "observed"]
    assert result_of(4, [4, 4]).histogram().splitlines()[0].startswith("4  █")


def circuits_of(scores: Iterable[float | None]) -> list[Circuit]:
    return [Circuit("m", "net", {}, [], score) for score in scores]


def test_chances_of_circuits_follow_from_their_definitions() -> None:
    rng = np.random.default_rng(4)
    scores = sorted(rng.random(30).round(1).tolist(), reverse=True)
    nulls = [np.sort(rng.random(rng.integers(0, 25)) * 0.9) for _ in range(19)]
    found = chance_of_circuits(circuits_of([*scores, None]), nulls)
    assert len(found) == 30
    q = math.inf
    for place in reversed(range(30)):
        score = scores[place]
        as_high = sum(int((own >= score).sum()) for own in nulls)
        assert found[place].expected == pytest.approx(as_high / 19)
        assert found[place].p == pytest.approx((1 + sum(bool((own >= score).any()) for own in nulls)) / 20)
        q = min(q, 1.0, (1 + as_high) / 20 / sum(other >= score for other in scores))
        assert found[place].q == pytest.approx(q)
    assert chance_of_circuits([], nulls) == ()


def test_weaker_circuits_left_out_make_q_no_smaller() -> None:
    rng = np.random.default_rng(5)
    scores = sorted(rng.random(40).tolist(), reverse=True)
    nulls = [rng.random(12) for _ in range(19)]
    some, every = (chance_of_circuits(circuits_of(scores[:n]), nulls) for n in (10, 40))
    assert all(a.q >= b.q and (a.p, a.expected) == (b.p, b.expected) for a, b in zip(some, every, strict=False))


# Mistakes


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        (CROSS, {"samples": 0}, "0 samples cannot be drawn; ask for 1 to 1,000,000"),
        (CROSS, {"samples": -3}, "-3 samples"),
        (CROSS, {"seed": -1}, "the seed -1 is below 0"),
        (CROSS, {"null": "weights"}, "no null 'weights'; there are edges and maps"),
        (CROSS, {"null": "maps"}, "uses no map, so that there is none to shuffle; take --null edges"),
        ('find { a -> b; analog(a, "toy") }', {}, "reaches into another model"),
    ],
)
def test_mistakes_are_told_in_a_sentence(text: str, how: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        result_for(planted(), text, **how)


def test_a_null_that_can_move_nothing_says_so() -> None:
    graph = graph_of({"L0": 2, "L1": 1}, [("L0:0", "L1:0", 1.0)], maps=[("flip", "L0:0", "L0:1")])
    for null in ("edges", "maps"):
        result = result_for(graph, "find { a -> b; flip(a) }", samples=3, null=null)
        assert any("could be moved" in remark for remark in result.remarks)
        assert result.free == 0


def test_a_model_without_the_maps_of_a_motif_is_told_how_to_get_them() -> None:
    result = result_for(planted(), "find { a -> b; no flip(a) -> b }", samples=1)
    assert "toy holds no rows of flip; `circuitdb probe toy` finds them" in result.remarks


@pytest.mark.parametrize("null", ["edges", "maps"])
def test_a_model_without_a_map_that_every_circuit_needs_is_told_without_a_shuffle(
    null: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffle(*arguments: object) -> None:
        raise AssertionError("a graph was shuffled")

    for of in (EdgeNull, MapNull):
        monkeypatch.setattr(of, "hub", shuffle)
    result = result_for(planted(), "find { a -> b; flip(a) -> flip(b) }", samples=20, null=null)
    assert (result.observed, result.counts, result.p) == (0, (0,) * 20, 1.0)
    assert "no unit of toy has an image under flip, which every circuit needs;" in result.remarks[0]


def test_random_graphs_of_all_kinds_are_tested_without_a_hitch() -> None:
    for seed in range(6):
        graph = random_graph(np.random.default_rng(seed), units=5)
        assert result_for(graph, "find { a -> b; skip c -> b }", samples=2).samples == 2
