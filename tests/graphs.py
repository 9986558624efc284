"""Small graphs for tests: planted ones, random ones, and what it means that two are the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import Dense, KernelBlock, ModelGraph, Responses
from circuitdb.graph import Record, properties
from circuitdb.kernels import MEASURED, measure

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

_WEIGHTS = np.array([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0])
"""Few values, exact in binary, so that ties and zeros are common and sums are exact."""


def graph_of(
    widths: Mapping[str, int],
    edges: Iterable[tuple[str, str, float]],
    *,
    name: str = "toy",
    skips: Iterable[tuple[str, str, float]] = (),
    labels: Iterable[tuple[str, str] | tuple[str, str, str]] = (),
    maps: Iterable[tuple[str, str, str] | tuple[str, str, str, float]] = (),
) -> ModelGraph:
    """A planted graph.

    widths: units per layer, in order of depth. edges, skips: (source, target, weight), units written `L0:3`.
    labels: (unit, label[, source]). maps: (map, source, target[, score]).
    """
    names = [(layer, index) for layer, width in widths.items() for index in range(width)]
    row = {f"{layer}:{index}": i for i, (layer, index) in enumerate(names)}
    every = [(*edge, False) for edge in edges] + [(*edge, True) for edge in skips]
    source, target = (np.array([row[edge[end]] for edge in every], dtype=np.int64) for end in (0, 1))
    weight = np.array([edge[2] for edge in every], dtype=np.float64)
    skip = np.array([edge[3] for edge in every], dtype=np.bool_)
    return ModelGraph(
        {"name": name, "keep": "all"},
        pa.table({"name": list(widths), "depth": pa.array(range(len(widths)), pa.int32())}),
        pa.table({"layer": [layer for layer, _ in names], "index": pa.array([i for _, i in names], pa.int32())}),
        edge_table(source, target, skip, weight, np.abs(weight)),
        labels=label_table([(row[unit], label, *by) for unit, label, *by in labels]),
        maps=map_table([(m, row[a], row[b], score[0] if score else 0.9) for m, a, b, *score in maps]),
    )


def toy_graph(name: str = "toy") -> ModelGraph:
    """Two mirror-image pathways that hold each other down and meet in one unit, over three layers, with labels."""
    return graph_of(
        {"L0": 4, "L1": 3, "L2": 2},
        [
            ("L0:0", "L1:0", 1.0),
            ("L0:1", "L1:1", 1.0),
            ("L0:0", "L1:1", -0.5),
            ("L0:1", "L1:0", -0.5),
            ("L0:2", "L1:2", 0.25),
            ("L0:3", "L1:0", 0.125),
            ("L1:0", "L2:0", 0.75),
            ("L1:1", "L2:0", 0.75),
            ("L1:2", "L2:1", 0.0),
        ],
        name=name,
        skips=[("L0:2", "L2:1", 1.0)],
        labels=[("L0:0", "dog left", "essay"), ("L0:1", "dog right", "essay"), ("L2:0", "dog"), ("L2:0", "Straße")],
        maps=[
            ("flip", "L0:0", "L0:1"),
            ("flip", "L0:1", "L0:0"),
            ("flip", "L1:0", "L1:1"),
            ("flip", "L1:1", "L1:0"),
            ("flip", "L2:0", "L2:0"),
        ],
    )


def random_graph(
    rng: np.random.Generator,
    *,
    name: str = "toy",
    layers: int | None = None,
    units: int = 6,
    density: float = 0.5,
    kernels: bool | None = None,
    dense: bool = False,
) -> ModelGraph:
    """A random graph of some layers of 1 to `units` units.

    Weights tie and vanish often; there are skip edges, units with no label or several, maps that lead to a unit itself,
    to its partner or nowhere, missing properties, indices that leave gaps. `kernels`: whether edges have kernels (some
    do not); None: one graph in two has. `dense`: with dense matrices and kernels of every pair.
    """
    count = layers if layers is not None else int(rng.integers(2, 5))
    kernels = bool(rng.integers(2)) if kernels is None else kernels
    layer_names = [f"L{depth}" for depth in range(count)]
    layer_rows: list[int] = []
    index: list[int] = []
    for depth in range(count):
        width = int(rng.integers(1, units + 1))
        layer_rows += [depth] * width
        index += sorted(rng.choice(width + 2, size=width, replace=False).tolist())
    layer = np.array(layer_rows)
    n = len(layer)
    pairs = np.array([(s, t) for s, t in itertools.product(range(n), repeat=2) if layer[s] < layer[t]]).reshape(-1, 2)
    source, target = pairs[rng.random(len(pairs)) < density].T
    skip_source, skip_target = pairs[rng.random(len(pairs)) < density / 5].T
    skip = np.repeat([False, True], [len(source), len(skip_source)])
    source, target = np.concatenate([source, skip_source]), np.concatenate([target, skip_target])
    shuffled = rng.permutation(len(source))
    source, target, skip = source[shuffled], target[shuffled], skip[shuffled]
    if kernels:
        edges = _edges_with_kernels(rng, source, target, skip)
    else:
        weight = rng.choice(_WEIGHTS, size=len(source))
        hidden = rng.choice([0.0, 0.25], size=len(source)) * (weight == 0)
        edges = edge_table(source, target, skip, weight, np.abs(weight) + hidden)
    graph_layers = pa.table(
        {
            "name": layer_names,
            "depth": pa.array(range(count), pa.int32()),
            "kind": ["input", *["relu"] * (count - 1)],
            "stride_px": 2.0 ** np.arange(count),
        }
    )
    graph_units = pa.table(
        {
            "layer": [layer_names[row] for row in layer],
            "index": pa.array(index, pa.int32()),
            "kind": ["neuron"] * n,
            "branch": pa.array(
                [None if rng.random() < 0.3 else str(rng.choice(["1x1", "3x3", "5x5"])) for _ in range(n)]
            ),
            "bias": np.where(rng.random(n) < 0.3, np.nan, rng.choice(_WEIGHTS, n)),
            "mean": np.round(rng.random(n), 1),
        }
    )
    labelled = [
        (unit, label, source_of_label)
        for unit in range(n)
        for label, source_of_label in (("curve", "a"), ("Curve 45°", "b"), ("dog", "a"))
        if rng.random() < 0.3
    ]
    return ModelGraph(
        {"name": name, "keep": "all", "options": {"seed": 1, "layers": layer_names}},
        graph_layers,
        graph_units,
        edges,
        segments=_segments(layer_names, layer, source, target),
        labels=label_table(labelled),
        maps=map_table(_random_maps(rng, layer)),
        **_random_families(rng, layer, layer_names),
        dense=_random_dense(rng, layer_names, layer, np.array(index)) if dense else {},
    )


def random_responses(rng: np.random.Generator, graph: ModelGraph, *, pictures: int = 5, numbers: int = 4) -> Responses:
    """Responses of a model's units: numbers of no meaning, maps, families, a few examples of most units."""
    count = graph.units.num_rows
    layers = graph.layers["name"].to_pylist()
    layer = np.array([layers.index(name) for name in graph.units["layer"].to_pylist()])
    unit = np.repeat(np.arange(count), rng.integers(0, 4, size=count))
    rank = np.array([int((unit[:row] == unit[row]).sum()) + 1 for row in range(len(unit))])
    shuffled = rng.permutation(len(unit))
    examples = pa.table(
        {
            "unit": pa.array(unit, pa.int32()),
            "rank": pa.array(rank, pa.int32()),
            "picture": [f"Kodak '{rng.integers(24)}'" for _ in unit],
            "y": rng.random(len(unit)) * 200,
            "x": rng.random(len(unit)) * 200,
            "value": rng.random(len(unit)) / 3,
            "thumbnail": pa.array([rng.bytes(20) if rng.random() < 0.8 else None for _ in unit], pa.binary()),
        }
    )
    return Responses(
        {"name": "some", "sha256": rng.bytes(32).hex(), "pictures": pictures, "size": [224, 224]},
        pa.table({"mean": rng.random(count), "sd": rng.random(count), "sparsity": rng.random(count)}),
        map_table(_random_maps(rng, layer)),
        **_random_families(rng, layer, layers),
        examples=examples.take(pa.array(shuffled)),
        signatures=rng.integers(-128, 128, size=(count, pictures, numbers), dtype=np.int8),
    )


def with_responses(graph: ModelGraph, responses: Responses) -> ModelGraph:
    """The graph as it is after these responses were written."""
    units = {name: graph.units[name] for name in graph.units.column_names}
    units |= {name: responses.units[name] for name in responses.units.column_names}
    return replace(
        graph,
        model={**graph.model, "probes": responses.probes},
        units=pa.table(units),
        maps=responses.maps,
        families=responses.families,
        members=responses.members,
        examples=responses.examples,
        signatures=responses.signatures,
    )


def edge_table(
    source: Integers, target: Integers, skip: npt.NDArray[np.bool_], weight: Reals, strength: Reals, **more: Any
) -> pa.Table:
    """A table of edges; kind, share and ranks follow from these. Skip edges have shares and ranks among themselves."""
    kind = np.where(skip, "SKIP", np.where(weight < 0, "INHIBITS", "EXCITES"))
    ranks = []
    for here, there in ((target, source), (source, target)):
        order = np.lexsort((there, -strength, here, skip))
        starts = np.flatnonzero(np.diff(here[order], prepend=-1) | np.diff(skip[order].astype(int), prepend=0))
        rank = np.empty(len(weight), dtype=np.int32)
        rank[order] = np.arange(len(weight)) - np.repeat(starts, np.diff(starts, append=len(weight))) + 1
        ranks.append(rank)
    group = 2 * target + skip
    strongest_first = np.lexsort((ranks[0], group))
    total = np.bincount(group[strongest_first], strength[strongest_first] ** 2)[group]
    share = np.divide(strength**2, total, out=np.zeros(len(weight)), where=total > 0)
    return pa.table(
        {
            "source": pa.array(source.astype(np.int32)),
            "target": pa.array(target.astype(np.int32)),
            "kind": pa.array(kind.tolist(), pa.string()),
            "weight": weight,
            "strength": strength,
            "share": share,
            "rank_in": ranks[0],
            "rank_out": ranks[1],
            **more,
        }
    )


def label_table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows (unit, label[, source])."""
    columns = [[row[i] if i < len(row) else None for row in rows] for i in range(3)]
    types = (pa.int32(), pa.string(), pa.string())
    return pa.table(dict(zip(("unit", "label", "source"), map(pa.array, columns, types), strict=True)))


def map_table(rows: Sequence[tuple[str, int, int, float]]) -> pa.Table:
    """Rows (map, source, target, score)."""
    leads = {(name, source): target for name, source, target, _ in rows}
    return pa.table(
        {
            "map": pa.array([row[0] for row in rows], pa.string()),
            "source": pa.array([row[1] for row in rows], pa.int32()),
            "target": pa.array([row[2] for row in rows], pa.int32()),
            "score": pa.array([row[3] for row in rows], pa.float64()),
            "self_score": pa.array([row[3] if row[1] == row[2] else 0.1 for row in rows], pa.float64()),
            "mutual": pa.array([leads.get((name, target)) == source for name, source, target, _ in rows], pa.bool_()),
        }
    )


def _edges_with_kernels(
    rng: np.random.Generator, source: Integers, target: Integers, skip: npt.NDArray[np.bool_]
) -> pa.Table:
    shapes = [(1, 1, 0.0, 0.0), (3, 3, -1.0, -1.0), (2, 3, -0.5, -1.0)]
    chosen = rng.integers(-1, len(shapes), size=len(source))
    columns: dict[str, list[Any]] = {
        name: [] for name in (*MEASURED, "kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")
    }
    for shape in chosen:
        height, width, offset_y, offset_x = shapes[shape]
        kernel = rng.choice(_WEIGHTS, size=(1, height, width))
        measured = {name: float(values[0]) for name, values in measure(kernel, offset_y, offset_x, 2.0).items()}
        if shape < 0:  # An edge without a kernel.
            measured = {name: measured[name] if name in ("weight", "strength") else None for name in MEASURED}
            place = [None] * 5
        else:
            place = [kernel.ravel().tolist(), height, width, offset_y, offset_x]
        for name, value in {**measured, **dict(zip(list(columns)[-5:], place, strict=True))}.items():
            columns[name].append(value)
    types = {
        p.name: {"real": pa.float64(), "integer": pa.int32(), "reals": pa.list_(pa.float32())}.get(p.type)
        for p in properties(Record.EDGE)
    }
    weight, strength = (np.array(columns.pop(name), dtype=np.float64) for name in ("weight", "strength"))
    more = {name: pa.array(values, types[name]) for name, values in columns.items()}
    return edge_table(source, target, skip, weight, strength, **more)


def _random_maps(rng: np.random.Generator, layer: Integers) -> list[tuple[str, int, int, float]]:
    rows = []
    for name in ("flip", "rotate(90)"):
        for unit in range(len(layer)):
            if rng.random() < 0.7:
                targets = np.flatnonzero(layer == layer[unit])
                leads_to = unit if rng.random() < 0.3 else int(rng.choice(targets))
                rows.append((name, unit, leads_to, float(rng.choice([0.6, 0.75, 0.9]))))
    return rows


def _random_families(rng: np.random.Generator, layer: Integers, names: list[str]) -> dict[str, pa.Table]:
    families, members = [], []
    for row, name in enumerate(names):
        here = rng.permutation(np.flatnonzero(layer == row)).tolist()
        if len(here) >= 2:
            families.append((10 + row, name, "flip", 2, 0.8))
            members += [(10 + row, unit, pose) for unit, pose in zip(here[:2], ("", "flip"), strict=True)]
    columns = list(zip(*families, strict=True)) or [[]] * 5
    types = (pa.int32(), pa.string(), pa.string(), pa.int32(), pa.float64())
    names_of_columns = ("id", "layer", "group", "order", "score")
    member_columns = list(zip(*members, strict=True)) or [[]] * 3
    return {
        "families": pa.table({n: pa.array(c, t) for n, c, t in zip(names_of_columns, columns, types, strict=True)}),
        "members": pa.table(
            {
                "family": pa.array(member_columns[0], pa.int32()),
                "unit": pa.array(member_columns[1], pa.int32()),
                "pose": pa.array(member_columns[2], pa.string()),
            }
        ),
    }


def _segments(names: list[str], layer: Integers, source: Integers, target: Integers) -> pa.Table:
    pairs = sorted({(int(layer[s]), int(layer[t])) for s, t in zip(source, target, strict=True)})
    return pa.table(
        {
            "source_layer": pa.array([names[s] for s, _ in pairs], pa.string()),
            "target_layer": pa.array([names[t] for _, t in pairs], pa.string()),
            "method": pa.array(["planted"] * len(pairs), pa.string()),
            "linear": pa.array([True] * len(pairs), pa.bool_()),
            "edges": pa.array([int(((layer[source] == s) & (layer[target] == t)).sum()) for s, t in pairs], pa.int32()),
        }
    )


def _random_dense(
    rng: np.random.Generator, names: list[str], layer: Integers, index: Integers
) -> dict[tuple[str, str], Dense]:
    dense = {}
    for row in range(len(names) - 1):
        sources, targets = (int(index[layer == at].max()) + 1 for at in (row, row + 1))
        weight = rng.normal(size=(targets, sources)).astype(np.float32)
        block = KernelBlock(
            np.arange(targets, dtype=np.int32)[::-1].copy(),
            np.arange(sources, dtype=np.int32),
            rng.normal(size=(targets, sources, 2, 3)).astype(np.float16),
            -0.5,
            -1.0,
        )
        dense[names[row], names[row + 1]] = Dense(weight, np.abs(weight), (block, block) if row else ())
    return dense


_DERIVED = {"units": {"key", "model", "depth", "kind"}, "layers": {"model", "width"}, "families": {"model", "id"}}


def assert_same_graph(written: ModelGraph, read: ModelGraph) -> None:
    """Fail unless `read` is what `written` says, but for what a store derives and the order of edges and examples."""
    assert read.model == {name: value for name, value in written.model.items() if value is not None}
    for name in ("layers", "units", "edges", "segments", "labels", "maps", "families", "members", "examples"):
        before, after = (plain_rows(name, getattr(graph, name)) for graph in (written, read))
        assert len(before) == len(after), name
        for row_before, row_after in zip(before, after, strict=True):
            for column in {**row_before, **row_after}:
                value = row_before.get(column)
                if not (value is None and column in _DERIVED.get(name, ())) and column not in ("id", "family"):
                    assert row_after.get(column) == value, (name, column, row_before, row_after)
    assert _family_members(written) == _family_members(read)
    assert (read.signatures is None) == (written.signatures is None)
    if written.signatures is not None:
        np.testing.assert_array_equal(read.signatures, written.signatures)
    assert list(read.dense) == list(written.dense)
    for layers, matrices in written.dense.items():
        np.testing.assert_array_equal(matrices.weight, read.dense[layers].weight)
        np.testing.assert_array_equal(matrices.strength, read.dense[layers].strength)
        for block, other in zip(matrices.blocks, read.dense[layers].blocks, strict=True):
            assert (block.offset_y, block.offset_x) == (other.offset_y, other.offset_x)
            for array in ("targets", "sources", "kernels"):
                np.testing.assert_array_equal(getattr(block, array), getattr(other, array))


def plain_rows(name: str, table: pa.Table | None) -> list[dict[str, Any]]:
    """Rows as plain values, NaN as None, edges in order."""
    rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
    for row in rows:
        for column, value in row.items():
            if isinstance(value, float) and math.isnan(value):
                row[column] = None
    if name == "edges":
        rows.sort(key=lambda row: (row["target"], row["source"], row["kind"] == "SKIP"))
    if name == "examples":
        rows.sort(key=lambda row: (row["unit"], row["rank"]))
    return rows


def _family_members(graph: ModelGraph) -> list[list[tuple[int, str]]]:
    """The members of each family, whatever the families' ids are."""
    ids = [] if graph.families is None else graph.families["id"].to_pylist()
    rows = [] if graph.members is None else graph.members.to_pylist()
    return [[(row["unit"], row["pose"]) for row in rows if row["family"] == identity] for identity in ids]
