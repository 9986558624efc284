"""Plans put into networks: hand-set kernels in the place of a background's, and the graph that comes of it.

In go backgrounds, kernels [target, source, 3, 3] between layers of one width, and plans; out come a `ModelGraph` with
the edges that the keep rule top32 leaves, and where each plan's units are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.plans import Plan
from circuitdb.backends.base import ModelGraph
from circuitdb.keep import kept_in, kept_out, ranks
from circuitdb.keep_rule import KeepRule
from circuitdb.kernels import measure

Kernels = npt.NDArray[np.float32]
"""Kernels [target, source, 3, 3] between a layer and the next."""

MODEL = "planted"
INVARIANT = 0.2
"""Part of the background's units that every map leaves where they are."""

STRONGEST = 1.5
"""How much stronger a unit's strongest planted input is than any other."""


COMMON = 0.03
"""Two units have in common what carries this part of the strongest share."""

SPREAD_OF_STRENGTHS = 0.6
"""Standard deviation of the logarithm of random strengths: a strong edge carries about as much as in real weights."""


@dataclass(frozen=True)
class Planted:
    """A plan in a network. places: by the plan's names the row of each unit among the network's."""

    plan: Plan
    places: Mapping[str, int]


@dataclass(frozen=True)
class Network:
    """A network with plans in it. share: what part of the input a strong edge of the background carries."""

    graph: ModelGraph
    planted: tuple[Planted, ...]
    share: float


def shuffled(kernels: Kernels, layers: int, width: int, random: np.random.Generator) -> list[Kernels]:
    """Backgrounds of real kernels [target, source, 3, 3]: drawn from all pairs, their nine entries in another order."""
    pool = kernels.reshape(-1, 9)
    drawn = []
    for _ in range(layers - 1):
        chosen = pool[random.choice(len(pool), width * width, replace=len(pool) < width * width)]
        drawn.append(random.permuted(chosen, axis=1).reshape(width, width, 3, 3))
    return drawn


def random_background(layers: int, width: int, random: np.random.Generator) -> list[Kernels]:
    """Backgrounds of normal entries, the strength of a pair log-normal as in trained networks."""
    return [
        (
            random.standard_normal((width, width, 3, 3), dtype=np.float32)
            * random.lognormal(0.0, SPREAD_OF_STRENGTHS, (width, width, 1, 1)).astype(np.float32)
        )
        for _ in range(layers - 1)
    ]


def plant(
    background: Sequence[Kernels], plans: Sequence[Plan], amplitude: float, random: np.random.Generator
) -> Network:
    """Put plans into a background, each on units of its own.

    amplitude: the strength of hand-set kernels, as a multiple of the layer's strong edges: the median, over its units,
    of the strongest input's strength, or of 1 in a background without edges.
    """
    kernels = [layer.copy() for layer in background]
    width = kernels[0].shape[0]
    layers = len(kernels) + 1
    strong = [float(np.median(_strength(layer).max(axis=1))) or 1.0 for layer in kernels]
    free = [random.permutation(width).tolist() for _ in range(layers)]
    planted = [_placed(plan, free, width) for plan in plans]
    for circuit in planted:
        for edge in circuit.plan.edges:
            layer, target, source = _pair(circuit, edge.source, edge.target, width)
            kernels[layer][target, source] = amplitude * strong[layer] * edge.kernel
    for circuit in planted:
        _finish(circuit, kernels, width)
    _disinherit([c.places[unit] for c in planted for unit in c.plan.without_heir], kernels, width)
    share = float(np.median(_shares(background[0]).max(axis=1)))
    return Network(_graph(kernels, planted, free, random), tuple(planted), share)


def _placed(plan: Plan, free: list[list[int]], width: int) -> Planted:
    """Take units from those that are free; the ends of a skip have one index."""
    places: dict[str, int] = {}
    for first, last in plan.skips:
        index = next(index for index in free[plan.units[first]] if index in free[plan.units[last]])
        for unit in (first, last):
            free[plan.units[unit]].remove(index)
            places[unit] = plan.units[unit] * width + index
    for unit, layer in plan.units.items():
        if unit not in places:
            places[unit] = layer * width + free[layer].pop()
    return Planted(plan, places)


def _pair(circuit: Planted, source: str, target: str, width: int) -> tuple[int, int, int]:
    """The layer pair, and the two units' indices in it."""
    return circuit.plan.units[source], circuit.places[target] % width, circuit.places[source] % width


def _finish(circuit: Planted, kernels: list[Kernels], width: int) -> None:
    """What of a circuit depends on the background: nothing in common, strongest inputs."""
    plan = circuit.plan
    for one, other in plan.apart:
        pairs = kernels[plan.units[one] - 1]
        first, second, own = _indices(circuit, one, other, -1, width)
        shares = _shares(pairs)
        common = np.minimum(shares[first], shares[second]) > COMMON * shares[second].max()
        pairs[second, np.setdiff1d(np.flatnonzero(common), own)] *= 0.1
    for one, other in plan.alone:
        pairs = kernels[plan.units[one]]
        first, second, own = _indices(circuit, one, other, +1, width)
        shares = _shares(pairs)
        common = np.minimum(shares[:, first], shares[:, second]) > COMMON * shares.max(axis=1)
        pairs[np.setdiff1d(np.flatnonzero(common), own), second] *= 0.1
    for edge in plan.edges:
        if edge.strongest:
            layer, target, source = _pair(circuit, edge.source, edge.target, width)
            kernels[layer][target, source] = STRONGEST * _strength(kernels[layer][target]).max() * edge.kernel


def _disinherit(units: Sequence[int], kernels: list[Kernels], width: int) -> None:
    """Weaken edges until none of the units is another's strongest input; what is weakened lets another come first."""
    for layer, pairs in enumerate(kernels):
        here = np.array([unit % width for unit in units if unit // width == layer], dtype=np.int64)
        for _ in range(100):
            first = _strength(pairs).argmax(axis=1)
            heirs = np.flatnonzero(np.isin(first, here))
            if not len(heirs):
                break
            pairs[heirs, first[heirs]] *= 0.25


def _indices(circuit: Planted, one: str, other: str, step: int, width: int) -> tuple[int, int, list[int]]:
    """The indices of two units of one layer, and of the circuit's own units some layers on."""
    layer = circuit.plan.units[one] + step
    own = [circuit.places[unit] % width for unit, at in circuit.plan.units.items() if at == layer]
    return circuit.places[one] % width, circuit.places[other] % width, own


def _strength(kernels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    return np.sqrt(np.square(kernels).sum(axis=(-2, -1))).astype(np.float32)


def _shares(kernels: Kernels) -> npt.NDArray[np.float64]:
    energy = np.square(_strength(kernels).astype(np.float64))
    shares: npt.NDArray[np.float64] = energy / np.maximum(energy.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return shares


def _graph(
    kernels: Sequence[Kernels], planted: Sequence[Planted], free: Sequence[Sequence[int]], random: np.random.Generator
) -> ModelGraph:
    width, layers = kernels[0].shape[0], len(kernels) + 1
    names = [f"L{depth}" for depth in range(layers)]
    tables = [_edges(layer, depth, width) for depth, layer in enumerate(kernels)]
    tables += _skips(planted, free, width, random)
    rows = list(_maps(planted, free, width, random))
    labels = [(c.places[unit], label) for c in planted for unit, label in c.plan.labels.items()]
    leads = {(name, source): target for name, source, target in rows}
    return ModelGraph(
        {"name": MODEL, "keep": "top32"},
        pa.table({"name": names, "depth": pa.array(range(layers), pa.int32())}),
        pa.table(
            {
                "layer": np.repeat(names, width),
                "index": np.tile(np.arange(width, dtype=np.int32), layers),
            }
        ),
        pa.concat_tables(tables, promote_options="default"),
        labels=pa.table(
            {
                "unit": pa.array([unit for unit, _ in labels], pa.int32()),
                "label": pa.array([label for _, label in labels], pa.string()),
                "source": pa.array(["planted"] * len(labels), pa.string()),
            }
        ),
        maps=pa.table(
            {
                "map": pa.array([name for name, _, _ in rows], pa.string()),
                "source": pa.array([source for _, source, _ in rows], pa.int32()),
                "target": pa.array([target for _, _, target in rows], pa.int32()),
                "score": np.full(len(rows), 0.9),
                "self_score": np.array([0.9 if source == target else 0.1 for _, source, target in rows]),
                "mutual": pa.array([leads.get((name, target)) == source for name, source, target in rows], pa.bool_()),
            }
        ),
    )


def _edges(kernels: Kernels, depth: int, width: int) -> pa.Table:
    """The edges between a layer and the next that top32 keeps."""
    strength = _strength(kernels)
    rule = KeepRule.parse("top32")
    kept = kept_in(rule, strength) | kept_out(rule, strength.T.copy()).T
    target, source = np.nonzero(kept)
    own = kernels[target, source]
    measured = measure(own, -1.0, -1.0, 1.0)
    return pa.table(
        {
            "source": (source + depth * width).astype(np.int32),
            "target": (target + (depth + 1) * width).astype(np.int32),
            "kind": pa.array(np.where(measured["weight"] < 0, "INHIBITS", "EXCITES")),
            **measured,
            "share": _shares(kernels)[target, source],
            "rank_in": ranks(strength, target, source),
            "rank_out": ranks(strength.T.copy(), source, target),
            "kernel": pa.array(list(own.reshape(-1, 9).astype(np.float32)), pa.list_(pa.float32())),
            "kernel_h": np.full(len(own), 3, np.int32),
            "kernel_w": np.full(len(own), 3, np.int32),
            "offset_y": np.full(len(own), -1.0),
            "offset_x": np.full(len(own), -1.0),
        }
    )


def _skips(
    planted: Sequence[Planted], free: Sequence[Sequence[int]], width: int, random: np.random.Generator
) -> Iterator[pa.Table]:
    """Skips of the planted circuits, and of half the background's units that are free in both layers."""
    ends = [(c.places[first], c.places[last]) for c in planted for first, last in c.plan.skips]
    if not ends:
        return
    spans = {(c.plan.units[first], c.plan.units[last]) for c in planted for first, last in c.plan.skips}
    for first, last in spans:
        both = sorted(set(free[first]) & set(free[last]))
        ends += [(first * width + index, last * width + index) for index in both if random.random() < 0.5]
    number = len(ends)
    yield pa.table(
        {
            "source": np.array([source for source, _ in ends], np.int32),
            "target": np.array([target for _, target in ends], np.int32),
            "kind": pa.array(["SKIP"] * number),
            "weight": np.ones(number),
            "strength": np.ones(number),
            "share": np.ones(number),
            "rank_in": np.ones(number, np.int32),
            "rank_out": np.ones(number, np.int32),
        }
    )


_CHANGES = ("flip", "rotate(90)", "rotate(180)", "rotate(270)")


def _maps(
    planted: Sequence[Planted], free: Sequence[Sequence[int]], width: int, random: np.random.Generator
) -> Iterator[tuple[str, int, int]]:
    """Rows of the planted circuits, and of all other units: some invariant, the rest in pairs and orbits at random."""
    for circuit in planted:
        yield from (
            (name, circuit.places[source], circuit.places[target]) for name, source, target in circuit.plan.maps
        )
    if not any(circuit.plan.maps for circuit in planted):
        return
    for depth, units in enumerate(free):
        here = [depth * width + index for index in random.permutation(units).tolist()]
        still = round(INVARIANT * len(here))
        for unit in here[:still]:
            yield from ((name, unit, unit) for name in _CHANGES)
        rest = here[still:]
        for place in range(0, len(rest) - 3, 4):
            orbit = rest[place : place + 4]
            for at, unit in enumerate(orbit):
                yield "flip", unit, orbit[at ^ 1]
                yield from ((f"rotate({90 * k})", unit, orbit[(at + k) % 4]) for k in (1, 2, 3))
