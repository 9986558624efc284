"""Each circuit once: the symmetries of a pattern's drawing and what they ask of a match.

The drawing is the units, edges with sign and kind, maps obeying their group, and counted blocks. `symmetry_of` returns
orderings, which hold for symmetries under which the conditions stay as they are, and exclusions, one for each symmetry
that changes the conditions: there a match goes only if its lesser image is a match as well. Orbits of stabilisers make
the orderings (Grochow and Kellis 2007), so a fan of ten equal units costs nine orderings each, not ten factorial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from circuitdb.errors import InputError
from circuitdb.pattern import model as p
from circuitdb.pattern.canonical import as_written, canonical, edge_names, rename
from circuitdb.pattern.maps import ANALOG, IDENTITY, Element, parse_map

MOST_BROKEN_SYMMETRIES = 1000
_MOST_RELATIONS = 20_000

Permutation = tuple[int, ...]


@dataclass(frozen=True)
class Exclusion:
    """A match goes if unit `lesser` comes before unit `unit` by key and the image fulfils `conditions`.

    The units and edges that `conditions` names are those of the pattern, the rows and counted blocks its own, if it has
    any; it has no units of its own.
    """

    unit: str
    lesser: str
    conditions: p.Body


@dataclass(frozen=True)
class Symmetry:
    """`orderings`: pairs of units of which the first comes before the second by key."""

    orderings: tuple[tuple[str, str], ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    order: int = 1
    """How many symmetries the drawing has."""


def symmetry_of(body: p.Body) -> Symmetry:
    """What each circuit once asks of the matches of a body.

    Raises
    ------
    InputError
        If more than a thousand symmetries change the conditions.
    """
    drawing = _Drawing(body)
    transversals = drawing.transversals(lambda _: True)
    order = _product(len(orbit) for orbit in transversals)
    if order == 1:
        return Symmetry()
    if all(drawing.keeps_conditions(g) for orbit in transversals for g in orbit.values()):
        return Symmetry(drawing.orderings(transversals), (), order)
    if order > MOST_BROKEN_SYMMETRIES:
        raise InputError(
            f"the pattern has {order:,} symmetries that its conditions keep in part only; put the same conditions on "
            "all of the equal units, or ask for every labelling with `find all`"
        )
    kept = drawing.transversals(drawing.keeps_conditions)
    exclusions = [drawing.exclusion(g) for g in _elements(transversals) if not drawing.keeps_conditions(g)]
    return Symmetry(drawing.orderings(kept), tuple(exclusions), order)


def _product(sizes: Iterator[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _elements(transversals: list[dict[int, Permutation]]) -> Iterator[Permutation]:
    """All elements of the group of a stabiliser chain."""
    for choice in product(*(list(orbit.values()) for orbit in transversals)):
        element = tuple(range(len(choice)))
        for g in choice:
            element = tuple(element[i] for i in g)
        yield element


class _Drawing:
    """The drawing of a body, with units as numbers in naming order."""

    def __init__(self, body: p.Body) -> None:
        self._body = body
        self._names = [unit.name for unit in body.units]
        self._number = {name: i for i, name in enumerate(self._names)}
        n = len(self._names)
        labels: dict[tuple[int, int], set[Any]] = {}
        for edge in body.edges:
            labels.setdefault(self._pair(edge), set()).add(("edge", edge.skip, edge.sign))
        for row in body.rows:
            if row.map == ANALOG:
                labels.setdefault(self._pair(row), set()).add(("analog", row.model, row.choices))
        for (source, target), elements in self._relations().items():
            labels.setdefault((source, target), set()).add(("map", frozenset(elements)))
        self._labels = [[frozenset(labels.get((i, j), ())) for j in range(n)] for i in range(n)]
        self._colours = self._refined()
        self._blocks = as_written((*body.counted, *body.choices))
        self._plain = [(unit.name, unit.name) for unit in body.units]

    def _pair(self, ends: p.Edge | p.MapRow) -> tuple[int, int]:
        return self._number[ends.source], self._number[ends.target]

    def _relations(self) -> dict[tuple[int, int], set[Element]]:
        """Every group element that some walk along maps, in either direction, leads by from one unit to another."""
        steps: dict[int, set[tuple[int, Element]]] = {}
        for row in self._body.rows:
            if row.map != ANALOG:
                source, target = self._pair(row)
                element = parse_map(row.map).element
                steps.setdefault(source, set()).add((target, element))
                steps.setdefault(target, set()).add((source, element.inverse()))
        relations: dict[tuple[int, int], set[Element]] = {}
        for start in steps:
            reached = {(start, IDENTITY)}
            frontier = [(start, IDENTITY)]
            while frontier and len(reached) < _MOST_RELATIONS:
                at, so_far = frontier.pop()
                for to, element in steps[at]:
                    state = (to, element.after(so_far))
                    if state not in reached:
                        reached.add(state)
                        frontier.append(state)
            for to, element in reached:
                relations.setdefault((start, to), set()).add(element)
        return relations

    def _refined(self) -> list[str]:
        """A colour for each unit that every symmetry keeps."""
        n = len(self._names)
        pairs = [[(_text(self._labels[i][j]), _text(self._labels[j][i])) for j in range(n)] for i in range(n)]
        colours = [f"{self._body.units[i].model or ''} {_text(self._labels[i][i])}" for i in range(n)]
        while True:
            signatures = [
                repr((colours[i], sorted((colours[j], *pairs[i][j]) for j in range(n) if j != i))) for i in range(n)
            ]
            numbers = {signature: str(k) for k, signature in enumerate(sorted(set(signatures)))}
            if len(numbers) == len(set(colours)):
                return colours
            colours = [numbers[signature] for signature in signatures]

    def transversals(self, accept: Callable[[Permutation], bool]) -> list[dict[int, Permutation]]:
        """For each unit, with those before it fixed: where it can go, and a symmetry that takes it there."""
        n = len(self._names)
        chain: list[dict[int, Permutation]] = []
        for i in range(n):
            orbit: dict[int, Permutation] = {i: tuple(range(n))}
            for j in range(i + 1, n):
                if self._colours[i] == self._colours[j]:
                    found = next((g for g in self._extend([*range(i), j]) if self._keeps_blocks(g) and accept(g)), None)
                    if found is not None:
                        orbit[j] = found
            chain.append(orbit)
        return chain

    def _extend(self, images: list[int]) -> Iterator[Permutation]:
        """All symmetries of units, edges and maps that begin with these images."""
        for i in range(len(images)):
            if not self._fits(images, i):
                return
        yield from self._search(images)

    def _search(self, images: list[int]) -> Iterator[Permutation]:
        n = len(self._names)
        if len(images) == n:
            yield tuple(images)
            return
        used = set(images)
        for j in range(n):
            if j not in used:
                images.append(j)
                if self._fits(images, len(images) - 1):
                    yield from self._search(images)
                images.pop()

    def _fits(self, images: list[int], i: int) -> bool:
        if self._colours[i] != self._colours[images[i]]:
            return False
        return all(
            self._labels[i][k] == self._labels[images[i]][images[k]]
            and self._labels[k][i] == self._labels[images[k]][images[i]]
            for k in range(i + 1)
        )

    def _renaming(self, g: Permutation) -> dict[str, str]:
        return {name: self._names[g[i]] for i, name in enumerate(self._names)}

    def _stands_for(self, units: Mapping[str, str]) -> dict[str, Any]:
        """What each unit, edge, row and counted name of the body stands for, given what its units stand for."""
        names = {**units, **edge_names(self._body, units)}
        return {**names, **{counted.unit: canonical(counted, names) for counted in self._body.counted}}

    def _canonical(self, parts: tuple[Any, ...], units: Mapping[str, str]) -> list[str]:
        names = self._stands_for(units)
        return sorted(repr(canonical(part, names)) for part in parts)

    def _keeps_blocks(self, g: Permutation) -> bool:
        if not self._blocks:
            return True
        return self._canonical(self._blocks, self._renaming(g)) == self._canonical(self._blocks, dict(self._plain))

    def _conditions(self) -> tuple[Any, ...]:
        layers = tuple(_layer_condition(unit.name, choice) for unit in self._body.units for choice in unit.layers)
        body = self._body
        return (*layers, *body.conditions, *body.absent, *body.rows, *body.counted, *body.choices)

    def keeps_conditions(self, g: Permutation) -> bool:
        """Whether layers, conditions, absent bodies, rows and what lines around ask of blocks stay as they are."""
        parts = self._conditions()
        return self._canonical(parts, self._renaming(g)) == self._canonical(parts, dict(self._plain))

    def orderings(self, transversals: list[dict[int, Permutation]]) -> tuple[tuple[str, str], ...]:
        """Each unit comes before all others of its orbit."""
        return tuple((self._names[i], self._names[j]) for i, orbit in enumerate(transversals) for j in orbit if j != i)

    def exclusion(self, g: Permutation) -> Exclusion:
        """What a symmetry that changes the conditions asks; the first unit it moves decides which image is less."""
        first = next(i for i, j in enumerate(g) if i != j)
        units = self._renaming(g)
        by_ends = {(e.source, e.target, e.skip): e.name for e in self._body.edges}
        edges = {e.name: by_ends[units[e.source], units[e.target], e.skip] for e in self._body.edges}
        names = self._stands_for(units)
        already = set(self._canonical(self._conditions(), dict(self._plain)))

        def new(parts: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(rename(part, units, edges) for part in parts if repr(canonical(part, names)) not in already)

        layers = tuple(_layer_condition(unit.name, choice) for unit in self._body.units for choice in unit.layers)
        named = {
            type(part)
            for inner in p.bodies(self._body)
            for condition in inner.conditions
            for part in p.subexpressions(condition)
        }

        def found_by_name(parts: tuple[Any, ...], name: type) -> tuple[Any, ...]:
            return rename(parts, units, edges) if name in named else new(parts)

        conditions = p.Body(
            rows=found_by_name(self._body.rows, p.RowProperty),
            conditions=new((*layers, *self._body.conditions)),
            absent=new(self._body.absent),
            counted=found_by_name(self._body.counted, p.ListLength),
            choices=new(self._body.choices),
        )
        return Exclusion(self._names[first], self._names[g[first]], conditions)


def _text(labels: frozenset[Any]) -> str:
    """A text that is equal for equal labels."""
    return repr(sorted(repr((kind, sorted(map(repr, rest[0])) if kind == "map" else rest)) for kind, *rest in labels))


def _layer_condition(unit: str, layers: tuple[str, ...]) -> p.Expression:
    return p.OneOf(p.UnitProperty(p.UnitValue(unit), "layer"), tuple(p.Constant(layer) for layer in layers))
