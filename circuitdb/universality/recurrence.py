"""Circuits that come back: which circuits of one model have a copy among the analogues of their units in another.

In come circuits as rows of units, each unit's analogues and the other model's edges, out comes for every circuit its
copy, if it has one. All circuits at once, unit by unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from circuitdb.backends.base import Match
from circuitdb.pattern import model as p
from circuitdb.universality.edges import Edges, Lookup, Truths, circuit_edges
from circuitdb.universality.signatures import Whole

_AT_ONCE = 4096


@dataclass(frozen=True)
class Found:
    """Circuits of a motif in one model.

    names: the units of the motif. units: [circuit, name], rows of the model's units. edges: places in `names` of each
    edge's source and target, and whether it is a skip. inhibits: [circuit, edge].
    """

    names: tuple[str, ...]
    units: Whole
    edges: tuple[tuple[int, int, bool], ...]
    inhibits: Truths

    @staticmethod
    def of(query: p.Query, matches: Sequence[Match], rows: Mapping[str, int]) -> Found:
        """The circuits that a search found; `rows`: the row of each unit's key."""
        own = [unit for unit in query.body.units if unit.model is None]
        place = {unit.name: number for number, unit in enumerate(own)}
        shown = [unit.shown_as[0] for unit in own]
        asked = circuit_edges(query)
        units = np.array([[rows[str(match.units[name])] for name in shown] for match in matches], dtype=np.int64)
        inhibits = np.zeros((len(matches), len(asked)), dtype=bool)
        for number, match in enumerate(matches):
            signs = {
                (edge["source"], edge["target"], edge["kind"] == "SKIP"): edge["weight"] < 0 for edge in match.edges
            }
            for column, edge in enumerate(asked):
                source, target = (match.units[shown[place[end]]] for end in (edge.source, edge.target))
                inhibits[number, column] = signs[source, target, edge.skip]
        return Found(
            tuple(shown),
            units.reshape(len(matches), len(own)),
            tuple((place[edge.source], place[edge.target], edge.skip) for edge in asked),
            inhibits,
        )

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True)
class Copies:
    """The copies of circuits: `circuit` [copy] by number, in order, and `units` [copy, name] of the other model."""

    circuit: Whole
    units: Whole


@dataclass(frozen=True)
class Other:
    """The other model, as circuits look for copies in it: `fits`: for each edge of the motif, which edges it may be."""

    edges: Edges
    lookup: Lookup
    fits: Sequence[Truths]


def copies_of(found: Found, analogues: Whole, other: Other) -> Copies:
    """For every circuit that comes back its first copy, by the ranks of the analogues in the order of the names.

    analogues: [unit, choice], rows of the other model's units, the best first, -1 for none.
    """
    order = _order(found)
    parts = [
        _copies(found, np.arange(start, min(start + _AT_ONCE, len(found))), analogues, other, order)
        for start in range(0, len(found), _AT_ONCE)
    ]
    if not parts:
        return Copies(np.empty(0, dtype=np.int64), np.empty((0, len(found.names)), dtype=np.int64))
    return Copies(np.concatenate([one.circuit for one in parts]), np.concatenate([one.units for one in parts]))


def _order(found: Found) -> list[int]:
    """The names, each time the one that most edges join to those before."""
    order: list[int] = []

    def joined(name: int) -> int:
        return sum((a == name and b in order) or (b == name and a in order) for a, b, _ in found.edges)

    while len(order) < len(found.names):
        order.append(
            max((name for name in range(len(found.names)) if name not in order), key=lambda n: (joined(n), -n))
        )
    return order


def _copies(found: Found, circuits: Whole, analogues: Whole, other: Other, order: Sequence[int]) -> Copies:
    circuit = circuits
    chosen = np.full((len(circuits), len(found.names)), -1, dtype=np.int64)
    ranks = np.zeros((len(circuits), len(found.names)), dtype=np.int64)
    known: list[int] = []
    for name in order:
        choices = analogues[found.units[circuit, name]]
        rows, rank = np.nonzero(choices >= 0)
        unit = choices[rows, rank]
        free = ~(chosen[rows] == unit[:, None]).any(axis=1)
        rows, rank, unit = rows[free], rank[free], unit[free]
        known.append(name)
        for column, (source, target, skip) in enumerate(found.edges):
            if name not in (source, target) or source not in known or target not in known:
                continue
            ends = [unit if end == name else chosen[rows, end] for end in (source, target)]
            edge = other.lookup.find(ends[0], ends[1], skip)
            there = np.flatnonzero(edge >= 0)
            alike = other.edges.inhibits[edge[there]] == found.inhibits[circuit[rows[there]], column]
            there = there[alike & other.fits[column][edge[there]]]
            rows, rank, unit = rows[there], rank[there], unit[there]
        circuit, chosen, ranks = circuit[rows], chosen[rows], ranks[rows]
        chosen[:, name], ranks[:, name] = unit, rank
    best = np.lexsort((*ranks.T[::-1], circuit)) if len(circuit) else np.empty(0, dtype=np.int64)
    firsts = best[np.unique(circuit[best], return_index=True)[1]]
    return Copies(circuit[firsts], chosen[firsts])
