"""Weights compared with maps: planted networks that commute with a map, chance, and a second implementation."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from circuitdb import kernels
from circuitdb.backends.base import Dense, ModelGraph
from circuitdb.pattern.maps import parse_map
from circuitdb.statistics.weights_and_maps import weights_and_maps
from tests.graphs import edge_table, random_graph

Reals = npt.NDArray[np.float64]


def network(
    weights: Reals, maps: Mapping[str, tuple[list[int], list[int]]], *, mutual: list[bool | None] | None = None
) -> ModelGraph:
    """Two layers with kernels [target, source, 3, 3] between them; by map, the image of each unit in the two layers."""
    targets, sources = weights.shape[:2]
    target, source = (axis.ravel() for axis in np.indices((targets, sources)))
    flat = weights.reshape(len(source), 9)
    count = len(source)
    edges = edge_table(
        source,
        target + sources,
        np.zeros(count, dtype=bool),
        flat.sum(axis=1),
        np.linalg.norm(flat, axis=1),
        kernel=pa.array(flat.astype(np.float32).tolist(), pa.list_(pa.float32())),
        kernel_h=pa.array([3] * count, pa.int32()),
        kernel_w=pa.array([3] * count, pa.int32()),
        offset_y=[-1.0] * count,
        offset_x=[-1.0] * count,
    )
    rows = [
        (name, unit + first, image + first)
        for name, layers in maps.items()
        for first, images in zip((0, sources), layers, strict=True)
        for unit, image in enumerate(images)
    ]
    table = {
        "map": pa.array([name for name, _, _ in rows], pa.string()),
        "source": pa.array([unit for _, unit, _ in rows], pa.int32()),
        "target": pa.array([image for _, _, image in rows], pa.int32()),
    }
    if mutual is not None:
        table["mutual"] = pa.array(mutual, pa.bool_())
    summed = weights.sum(axis=(2, 3)).astype(np.float32)
    return ModelGraph(
        {"name": "planted"},
        pa.table({"name": ["A", "B"], "depth": pa.array([0, 1], pa.int32())}),
        pa.table(
            {
                "layer": ["A"] * sources + ["B"] * targets,
                "index": pa.array([*range(sources), *range(targets)], pa.int32()),
            }
        ),
        edges,
        maps=pa.table(table),
        dense={("A", "B"): Dense(summed, np.abs(summed))},
    )


def pairs_swapped(count: int) -> list[int]:
    """0 and 1 are partners, 2 and 3 are, …"""
    return [unit ^ 1 for unit in range(count)]


def turned_in_fours(count: int) -> list[int]:
    """0 becomes 1, 1 becomes 2, 2 becomes 3, 3 becomes 0, …"""
    return [4 * (unit // 4) + (unit + 1) % 4 for unit in range(count)]


def transformed(weights: Reals, name: str) -> Reals:
    flat = weights.reshape(-1, 3, 3)
    map_name = parse_map(name)
    if map_name.kind == "flip":
        return kernels.flip(flat, -1, -1).kernels.reshape(weights.shape)
    return kernels.turn(flat, -1, -1, map_name.degrees).kernels.reshape(weights.shape)


def commuting(rng: np.random.Generator, name: str, images: tuple[list[int], list[int]], order: int) -> Reals:
    """Random weights with W(T a -> T b) = T W(a -> b), by averaging over the group."""
    sources, targets = (len(layer) for layer in images)
    weights = turned = rng.normal(size=(targets, sources, 3, 3))
    for _ in range(order - 1):
        moved = np.empty_like(turned)
        moved[np.ix_(images[1], images[0])] = transformed(turned, name)
        turned = moved
        weights = weights + turned
    return weights


@pytest.mark.parametrize(
    ("name", "images", "order"),
    [
        ("flip", (pairs_swapped(12), pairs_swapped(8)), 2),
        ("rotate(90)", (turned_in_fours(12), turned_in_fours(8)), 4),
    ],
)
def test_weights_that_commute_with_a_map_agree_with_it_and_not_by_chance(
    name: str, images: tuple[list[int], list[int]], order: int
) -> None:
    weights = commuting(np.random.default_rng(0), name, images, order)
    back = "rotate(270)" if order == 4 else name
    maps = {name: images, back: tuple([layer.index(unit) for unit in range(len(layer))] for layer in images)}
    [row, *_] = weights_and_maps(network(weights, maps), samples=30).rows
    assert (row.map, row.source_layer, row.target_layer) == (name, "A", "B")
    assert (row.source_partners, row.target_partners, row.straight.count) == (12, 8, 96)
    assert row.straight.value == pytest.approx(1)
    assert row.agreement.value == pytest.approx(1)
    assert row.agreement.count == 96
    assert abs(row.straight.shuffled) < 0.15
    assert abs(row.agreement.shuffled) < 0.15
    assert row.straight.shuffled_sd < 0.3
    assert row.unturned.value < 0.7


def test_weights_that_swap_sign_between_partners_are_crossed() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(4, 6))
    weights = np.kron(base, [[1, -1], [-1, 1]])[..., None, None] * np.ones((3, 3))
    [row] = weights_and_maps(network(weights, {"flip": (pairs_swapped(12), pairs_swapped(8))})).rows
    assert row.straight.value == pytest.approx(1)
    assert row.crossed.value == pytest.approx(-1)


def test_an_invariant_unit_reads_both_partners_alike() -> None:
    rng = np.random.default_rng(2)
    base = np.repeat(rng.normal(size=(5, 6)), 2, axis=1)
    weights = base[..., None, None] * np.ones((3, 3))
    [row] = weights_and_maps(network(weights, {"flip": (pairs_swapped(12), list(range(5)))})).rows
    assert (row.target_partners, row.target_invariant) == (0, 5)
    assert (row.into_invariant.value, row.into_invariant.count) == (pytest.approx(1), 60)
    assert abs(row.into_invariant.shuffled) < 0.3
    assert (row.straight.value, row.straight.count) == (None, 0)
    assert row.agreement.count == 0


def test_partners_drawn_by_chance_correlate_with_zero_within_the_error() -> None:
    values = []
    for seed in range(40):
        weights = np.random.default_rng(seed).normal(size=(20, 20, 3, 3))
        [row] = weights_and_maps(network(weights, {"flip": (pairs_swapped(20),) * 2}), samples=2).rows
        values += [row.straight.value, row.crossed.value, row.agreement.value]
    by_figure = np.array(values).reshape(40, 3)
    # Half of the 400 pairs are independent: a correlation's error is 1 / sqrt(200), a cosine's of 9 numbers a third.
    errors = np.array([1, 1, 1 / 3]) / np.sqrt(200)
    assert (np.abs(by_figure.mean(axis=0)) < 4 * errors / np.sqrt(40)).all()
    assert (by_figure.std(axis=0) < 1.5 * errors).all()
    assert (by_figure.std(axis=0) > 0.6 * errors).all()


def by_loops(graph: ModelGraph, name: str, source_layer: str, target_layer: str) -> dict[str, Any]:
    """The same figures, unit by unit and edge by edge."""
    units = graph.units.select(["layer", "index"]).to_pylist()
    image = {r["source"]: (r["target"], r["mutual"]) for r in graph.maps.to_pylist() if r["map"] == name}
    moved = {u: t for u, (t, mutual) in image.items() if mutual and t != u}
    alone = [u for u, (t, _) in image.items() if t == u]

    def own(those: Any, layer: str) -> list[int]:
        return [u for u in those if units[u]["layer"] == layer]

    def weight(a: int, b: int) -> float:
        return float(graph.dense[source_layer, target_layer].weight[units[b]["index"], units[a]["index"]])

    def correlation(pairs: list[tuple[float, float]]) -> float | None:
        x, y = np.array(pairs, dtype=float).reshape(-1, 2).T
        return float(np.corrcoef(x, y)[0, 1]) if len(pairs) >= 4 and x.std() and y.std() else None

    sources, targets = own(moved, source_layer), own(moved, target_layer)
    both = list(itertools.product(sources, targets))
    kernel = {
        (r["source"], r["target"]): (
            np.array(r["kernel"]).reshape(1, r["kernel_h"], r["kernel_w"]),
            r["offset_y"],
            r["offset_x"],
        )
        for r in graph.edges.to_pylist()
        if r["kernel"] is not None and r["kind"] != "SKIP"
    }
    cosines = []
    for a, b in both:
        if (a, b) in kernel and (moved[a], moved[b]) in kernel:
            map_name = parse_map(name)
            first = kernel[a, b]
            turned = kernels.flip(*first) if name == "flip" else kernels.turn(*first, map_name.degrees)
            second = kernels.Placed(*kernel[moved[a], moved[b]])
            cosines.append([kernels.agreement(k, second)[0] for k in (turned, kernels.Placed(*first))])
    known = np.array(cosines).reshape(-1, 2)
    means = [float(c[np.isfinite(c)].mean()) if np.isfinite(c).any() else None for c in known.T]
    return {
        "straight": correlation([(weight(a, b), weight(moved[a], moved[b])) for a, b in both]),
        "crossed": correlation([(weight(a, b), weight(moved[a], b)) for a, b in both]),
        "into_invariant": correlation(
            [(weight(a, u), weight(moved[a], u)) for a in sources for u in own(alone, target_layer)]
        ),
        "from_invariant": correlation(
            [(weight(u, b), weight(u, moved[b])) for u in own(alone, source_layer) for b in targets]
        ),
        "agreement": means[0],
        "unturned": means[1],
        "agreement_edges": len(cosines),
    }


def test_the_figures_are_those_of_loops_over_units_and_edges() -> None:
    compared: Counter[str] = Counter()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, layers=2, units=24, kernels=True, dense=True)
        rows = [row | {"mutual": row["mutual"] or rng.random() < 0.5} for row in graph.maps.to_pylist()]
        graph = replace(graph, maps=pa.Table.from_pylist(rows, graph.maps.schema))
        for row in weights_and_maps(graph, samples=1).rows:
            flat = row.flat()
            for name, value in by_loops(graph, row.map, row.source_layer, row.target_layer).items():
                assert flat[name] == (value if value is None else pytest.approx(value, abs=1e-6)), name
                compared[name] += value is not None
    assert len(compared) == 7
    assert min(compared.values()) >= 6


def test_mutual_is_derived_from_the_inverse_map_where_it_is_not_said() -> None:
    weights = np.random.default_rng(3).normal(size=(4, 4, 3, 3))
    images = turned_in_fours(4)
    back = [images.index(unit) for unit in range(4)]
    there_and_back = {"rotate(90)": (images, images), "rotate(270)": (back, back)}
    [row, _] = weights_and_maps(network(weights, there_and_back), samples=1).rows
    assert (row.map, row.source_partners, row.target_partners) == ("rotate(90)", 4, 4)
    [only] = weights_and_maps(network(weights, {"rotate(90)": (images, images)}), samples=1).rows
    assert (only.source_partners, only.target_partners) == (0, 0)
    [said] = weights_and_maps(network(weights, {"rotate(90)": (images, images)}, mutual=[True] * 8), samples=1).rows
    assert (said.source_partners, said.target_partners) == (4, 4)


def test_equal_seeds_give_equal_figures_whatever_is_asked_for() -> None:
    graph = random_graph(np.random.default_rng(5), layers=4, units=12, kernels=True, dense=True)
    every = weights_and_maps(graph, samples=3, seed=7).rows
    some = weights_and_maps(graph, samples=3, seed=7, maps=["rotate(90)"], layers=["L1", "L2"]).rows
    assert some == [r for r in every if r.map == "rotate(90)" and {r.source_layer, r.target_layer} <= {"L1", "L2"}]
    assert some


def test_without_matrices_the_kernels_are_compared_and_a_remark_says_so() -> None:
    weights = np.random.default_rng(6).normal(size=(4, 4, 3, 3))
    graph = replace(network(weights, {"flip": (pairs_swapped(4),) * 2}), dense={})
    result = weights_and_maps(graph, samples=2)
    assert result.rows[0].straight.value is None
    assert result.rows[0].agreement.count == 16
    assert "need the DuckDB file" in result.remarks[0]
    bare = weights_and_maps(replace(graph, maps=None))
    assert bare.rows == []
    assert "has no maps; `circuitdb probe planted`" in bare.remarks[0]
