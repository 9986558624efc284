"""A plan for counting circuits without listing them.

Three steps, chosen from the pattern alone. *Homomorphisms instead of circuits*: assignments that may repeat a unit are
easier to count, so the count is a sum over ways to make units equal, each with its Möbius coefficient (Lovász 2012,
Large Networks and Graph Limits, section 5.2), divided by the number of symmetries. *Factors*: each such pattern falls
into parts that share units only. *Elimination*: units are summed out one at a time, the one that leaves the smallest
table first, which is a tree decomposition found greedily (Dechter 1999, Bucket elimination).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from circuitdb.pattern import model as p
from circuitdb.pattern.canonical import rename
from circuitdb.pattern.differences import differences
from circuitdb.pattern.maps import ANALOG
from circuitdb.pattern.symmetry import Symmetry

MOST_TERMS = 64


@dataclass(frozen=True)
class Factor:
    """A part of a pattern that shares only units with the rest: one row for each assignment of its units."""

    body: p.Body

    @property
    def units(self) -> tuple[str, ...]:
        """The names of its units."""
        return tuple(unit.name for unit in self.body.units)


@dataclass(frozen=True)
class Term:
    """`coefficient` times the number of assignments, equal units allowed, that fulfil all factors.

    `order`: the units in the order in which they are summed out.
    """

    coefficient: int
    factors: tuple[Factor, ...]
    order: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many units the largest table on the way has, the one summed out included."""
        tables = [set(factor.units) for factor in self.factors]
        widest = max(map(len, tables))
        for unit in self.order:
            joined = set().union(*(table for table in tables if unit in table))
            widest = max(widest, len(joined))
            tables = [table for table in tables if unit not in table] + [joined - {unit}]
        return widest


@dataclass(frozen=True)
class CountPlan:
    """The number of circuits is the sum of the terms divided by `symmetries`."""

    terms: tuple[Term, ...]
    symmetries: int


def count_plan(body: p.Body, symmetry: Symmetry) -> CountPlan | None:
    """The plan for counting circuits of a body; None where listing them is the way.

    That is so where conditions break a symmetry, where too many sets of units may coincide, where nothing factors, and
    where kernels are compared: an agreement is computed for the pairs of edges that circuits hold, not for all pairs.
    """
    if symmetry.exclusions or any(_wants_circuits(part) for part in _conditions(body)):
        return None
    models = {unit.name: unit.model for unit in body.units}
    if any(row.map == ANALOG and models.get(row.source) is not None for row in body.rows):
        return None  # a second analogue may lead back into the model searched
    pairs = [(a, b) for a, b in differences(body) if models[a] == models[b]]
    merges = list(_merges([unit.name for unit in body.units], pairs))
    if len(merges) > MOST_TERMS:
        return None
    terms = []
    for blocks in merges:
        quotient = _quotient(body, blocks)
        if quotient is not None:
            factors = tuple(_factors(quotient))
            coefficient = math.prod((-1) ** (len(b) - 1) * math.factorial(len(b) - 1) for b in blocks)
            terms.append(Term(coefficient, factors, _elimination(factors)))
    if not terms or (len(terms[0].factors) == 1 and len(terms) == 1):
        return None
    return CountPlan(tuple(terms), symmetry.order)


def plan_text(plan: CountPlan) -> str:
    """The plan in words, a line a term."""
    lines = []
    for term in plan.terms:
        sign = f"{term.coefficient:+d} ×" if len(plan.terms) > 1 else "count"
        lines.append(f"{sign} {len(term.factors)} factors, width {term.width}; sum out {', '.join(term.order)}")
    if plan.symmetries > 1:
        lines.append(f"divided by {plan.symmetries} symmetries")
    return "\n".join(lines)


def _merges(units: list[str], pairs: list[tuple[str, str]]) -> Iterator[list[list[str]]]:
    """All partitions of the units in whose blocks every two may coincide; stops a little beyond `MOST_TERMS`."""
    may = {frozenset(pair) for pair in pairs}

    def extend(i: int, blocks: list[list[str]]) -> Iterator[list[list[str]]]:
        if i == len(units):
            yield [list(block) for block in blocks]
            return
        unit = units[i]
        blocks.append([unit])
        yield from extend(i + 1, blocks)
        blocks.pop()
        for block in blocks:
            if all(frozenset((unit, other)) in may for other in block):
                block.append(unit)
                yield from extend(i + 1, blocks)
                block.pop()

    for found, partition in enumerate(extend(0, [])):
        yield partition
        if found > MOST_TERMS:
            return


def _quotient(body: p.Body, blocks: list[list[str]]) -> p.Body | None:
    """The body with the units of each block made one; None where that can have no match."""
    if all(len(block) == 1 for block in blocks):
        return body
    stands = {unit: block[0] for block in blocks for unit in block}
    layers: dict[str, list[tuple[str, ...]]] = {}
    for unit in body.units:
        layers.setdefault(stands[unit.name], []).extend(unit.layers)
    units = tuple(
        replace(unit, layers=tuple(dict.fromkeys(layers[unit.name])))
        for unit in body.units
        if stands[unit.name] == unit.name
    )
    edges: dict[tuple[str, str, bool], p.Edge] = {}
    edge_names: dict[str, str] = {}
    for edge in body.edges:
        moved = replace(edge, source=stands[edge.source], target=stands[edge.target])
        key = (moved.source, moved.target, moved.skip)
        known = edges.setdefault(key, moved)
        edge_names[edge.name] = known.name
        signs = {known.sign, moved.sign} - {"any"}
        if moved.source == moved.target or len(signs) > 1 or "never" in signs:
            return None
        edges[key] = replace(known, sign=signs.pop() if signs else "any")
    if _circular(edges.values()):
        return None
    moved_body = replace(body, units=(), edges=())
    renamed: p.Body = rename(moved_body, stands, edge_names)
    return replace(renamed, units=units, edges=tuple(edges.values()))


def _circular(edges: Iterable[p.Edge]) -> bool:
    """Whether the edges run in a circle, which no edges from lower to higher depth do."""
    left = list(edges)
    while left:
        targets = {edge.target for edge in left}
        onward = [edge for edge in left if edge.source in targets]
        if len(onward) == len(left):
            return True
        left = onward
    return False


Atom = p.Edge | p.MapRow | p.Unit


def _factors(body: p.Body) -> Iterator[Factor]:
    """The parts of a body that share units only."""
    atoms: list[Atom] = [*body.edges, *body.rows]
    lone = {unit.name for unit in body.units} - {end for atom in atoms for end in _ends(atom)}
    atoms += [unit for unit in body.units if unit.name in lone]
    group = list(range(len(atoms)))

    def root(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    by_name = {atom.name: i for i, atom in enumerate(atoms) if not isinstance(atom, p.Unit)}

    def place(units: set[str], names: set[str]) -> int:
        """Join the atoms that something needs; return the group."""
        needed = {by_name[name] for name in names if name in by_name}
        missing = units - {end for i in needed for end in _ends(atoms[i])}
        while missing:
            best = max(range(len(atoms)), key=lambda i: (len(missing & set(_ends(atoms[i]))), -i))
            needed.add(best)
            missing -= set(_ends(atoms[best]))
        roots = sorted({root(i) for i in needed}) or [0]
        for other in roots[1:]:
            group[other] = roots[0]
        return roots[0]

    conditions = [(condition, place(*_named(condition))) for condition in body.conditions]
    absent = [(inner, place(*_needed(inner, body))) for inner in body.absent]
    counted = [(inner, place(*_needed(inner.body, body))) for inner in body.counted]
    choices = []
    for choice in body.choices:
        needs = [_needed(inner, body) for inner in choice.bodies]
        choices.append((choice, place(set().union(*(u for u, _ in needs)), set().union(*(n for _, n in needs)))))
    with_layers = set()
    for at in sorted({root(i) for i in range(len(atoms))}):
        own = [atom for i, atom in enumerate(atoms) if root(i) == at]
        names = {end for atom in own for end in _ends(atom)}
        # A unit's layers are asked for once, in the first factor that has it.
        units = tuple(
            unit if unit.name not in with_layers else replace(unit, layers=())
            for unit in body.units
            if unit.name in names
        )
        with_layers |= names
        yield Factor(
            p.Body(
                units,
                tuple(atom for atom in own if isinstance(atom, p.Edge)),
                tuple(atom for atom in own if isinstance(atom, p.MapRow)),
                tuple(c for c, where in conditions if root(where) == at),
                tuple(b for b, where in absent if root(where) == at),
                tuple(c for c, where in counted if root(where) == at),
                tuple(c for c, where in choices if root(where) == at),
            )
        )


def _elimination(factors: Iterable[Factor]) -> tuple[str, ...]:
    tables = [set(factor.units) for factor in factors]
    left = list(dict.fromkeys(unit for factor in factors for unit in factor.units))
    order = []
    while left:
        sizes = {unit: len(set().union(*(table for table in tables if unit in table))) for unit in left}
        unit = min(left, key=lambda u: sizes[u])
        left.remove(unit)
        order.append(unit)
        joined = set().union(*(table for table in tables if unit in table)) - {unit}
        tables = [table for table in tables if unit not in table] + [joined]
    return tuple(order)


def _ends(atom: Atom) -> tuple[str, ...]:
    return (atom.name,) if isinstance(atom, p.Unit) else (atom.source, atom.target)


def _named(part: Any) -> tuple[set[str], set[str]]:
    """The units, and the edges and rows, that a part of a pattern names."""
    units: set[str] = set()
    names: set[str] = set()
    for node in p.subexpressions(part):
        match node:
            case p.UnitValue(unit=name):
                units.add(name)
            case p.EdgeProperty(edge=name) | p.EdgeSign(edge=name) | p.RowProperty(row=name):
                names.add(name)
            case p.Edge() | p.MapRow():
                units |= {node.source, node.target}
    return units, names


def _needed(inner: p.Body, body: p.Body) -> tuple[set[str], set[str]]:
    """What an inner body needs of the body around: what it names, and the units that its own must be told from."""
    own = {unit.name for unit in body.units}
    units, names = _named(inner)
    for part in p.bodies(inner):
        units |= {unit for pair in differences(part, [body]) for unit in pair}
    return units & own, names & {*(edge.name for edge in body.edges), *(row.name for row in body.rows)}


def _conditions(body: p.Body) -> Iterator[p.Expression]:
    for part in p.bodies(body):
        yield from part.conditions


def _wants_circuits(condition: p.Expression) -> bool:
    return any(isinstance(node, p.ListLength | p.Agreement) for node in p.subexpressions(condition))
