"""Which units of a pattern must be told to differ, because nothing else keeps them apart.

Distinct names are distinct units. Edges run from lower to higher depth, so units joined by a path differ anyway; so do
units in disjoint layers or in different models, and the sources of an exciting and an inhibiting edge into one target.
What is left comes out as pairs, for the stores to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from circuitdb.pattern import model as p


def differences(
    body: p.Body, around: Sequence[p.Body] = (), known: Iterable[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Pairs of units that a store must compare in a body.

    Parameters
    ----------
    body
        The body; each of its units differs from its other units and from those of the bodies around.
    around
        The bodies around it.
    known
        Pairs that are compared already, by an ordering.
    """
    outer = [unit for other in around for unit in other.units]
    apart = _Apart((*around, body))
    skip = {frozenset(pair) for pair in known}
    pairs = [*combinations(body.units, 2), *((own, unit) for own in body.units for unit in outer)]
    return [(a.name, b.name) for a, b in pairs if frozenset((a.name, b.name)) not in skip and not apart.certainly(a, b)]


class _Apart:
    """Reasons for two units to differ."""

    def __init__(self, bodies: Sequence[p.Body]) -> None:
        edges = [edge for body in bodies for edge in body.edges]
        targets: dict[str, set[str]] = {}
        for edge in edges:
            targets.setdefault(edge.source, set()).add(edge.target)
        self._below = {unit: _reachable(unit, targets) for unit in targets}
        self._signs: dict[tuple[str, str, bool], set[str]] = {}
        for edge in edges:
            if not edge.skip and edge.sign in ("excites", "inhibits"):
                self._signs.setdefault((edge.source, edge.target, False), set()).add(edge.sign)
                self._signs.setdefault((edge.target, edge.source, True), set()).add(edge.sign)

    def certainly(self, a: p.Unit, b: p.Unit) -> bool:
        """Whether the two can never be the same unit."""
        if b.name in self._below.get(a.name, ()) or a.name in self._below.get(b.name, ()):
            return True
        if a.model is not None and b.model is not None and a.model != b.model:
            return True
        if any(not set(one) & set(other) for one in a.layers for other in b.layers):
            return True
        return any(
            signs != self._signs.get((b.name, end, backwards), signs) and len(signs) == 1
            for (unit, end, backwards), signs in self._signs.items()
            if unit == a.name
        )


def _reachable(start: str, targets: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    frontier = [start]
    while frontier:
        for unit in targets.get(frontier.pop(), ()):
            if unit not in reached:
                reached.add(unit)
                frontier.append(unit)
    return reached
