"""In which order the tables of a SELECT are joined.

In come the tables of a pattern with the units that their columns stand for, out comes a FROM clause of nested joins.
DuckDB's own order rests on the sizes of tables and on distinct values of single columns; it cannot see that two edges
which close a circle in a layered graph leave little, and on patterns with circles it takes many times longer. Here the
size of a join is what a random layered graph would give, and the order with the smallest intermediate tables is taken
(Selinger et al. 1979, by dynamic programming over sets of tables).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

UNITS = 5000.0
"""Units of a model, as far as the order of joins cares."""
WIDTH = 500.0
"""Units of a layer."""
DEGREE = 64.0
"""Edges into a unit, of either sign."""

_MOST_EXACT = 9
"""Up to so many tables every order is considered; above that the smallest next table is taken."""

Tree = int | tuple["Tree", "Tree"]
"""A table by its number, or two joined."""


@dataclass(frozen=True)
class Relation:
    """A table of a FROM clause.

    places: for each unit a column that stands for it. part: which part of all assignments of its units has a row.
    """

    table: exp.Table
    places: Mapping[str, exp.Expr]
    part: float


def joined(relations: Sequence[Relation]) -> exp.Select:
    """A SELECT of nothing yet, FROM all relations, those that share a unit joined by it."""
    select = exp.Select()
    for place, tree in enumerate(_trees(relations)):
        if isinstance(tree, int):
            table: exp.Expr = relations[tree].table
        else:
            table = _nested(tree, relations)
        if place == 0:
            select.from_(table, copy=False)
        else:
            select.append("joins", exp.Join(this=table, kind="CROSS"))
    if len(relations) > 1 and (source := select.find(exp.From)) is not None:
        _unwrapped(select, source)
    return select


def _unwrapped(select: exp.Select, source: exp.From) -> None:
    """Take the parentheses from the first of the joined tables."""
    first = source.this
    if isinstance(first, exp.Subquery):
        table = first.this
        source.set("this", table)
        joins = table.args.pop("joins")
        select.set("joins", [*joins, *(select.args.get("joins") or [])])


def _nested(tree: Tree, relations: Sequence[Relation]) -> exp.Expr:
    """A tree of joins in parentheses."""
    if isinstance(tree, int):
        return relations[tree].table
    first: Tree = tree
    joins: list[exp.Join] = []
    while not isinstance(first, int):
        left, right = first
        joins.append(exp.Join(this=_nested(right, relations), on=_same(left, right, relations)))
        first = left
    table = relations[first].table
    table.set("joins", joins[::-1])
    return exp.Subquery(this=table)


def _same(left: Tree, right: Tree, relations: Sequence[Relation]) -> exp.Expr:
    """That both sides mean the same by each unit that they share."""
    here, there = _places(left, relations), _places(right, relations)
    same = [exp.EQ(this=here[unit].copy(), expression=there[unit].copy()) for unit in here if unit in there]
    return exp.and_(*same, copy=False)


def _places(tree: Tree, relations: Sequence[Relation]) -> dict[str, exp.Expr]:
    if isinstance(tree, int):
        return dict(relations[tree].places)
    return _places(tree[1], relations) | _places(tree[0], relations)


def _trees(relations: Sequence[Relation]) -> list[Tree]:
    """A tree for each group of relations that units join, the one with fewest rows first."""
    units = {unit: 1 << i for i, unit in enumerate({u: None for r in relations for u in r.places})}
    scopes = [sum(units[unit] for unit in relation.places) for relation in relations]
    groups: list[tuple[int, list[int]]] = []
    for number, scope in enumerate(scopes):
        met = [group for group in groups if group[0] & scope]
        groups = [group for group in groups if not group[0] & scope]
        groups.append((scope | _union(met), sorted([number, *(i for _, group in met for i in group)])))
    planned = []
    for scope, numbers in groups:
        parts = [relations[i].part for i in numbers]
        size = _size(scope, parts)
        best = _best if len(numbers) <= _MOST_EXACT else _greedy
        planned.append((size, best(numbers, [scopes[i] for i in numbers], parts)))
    return [tree for _, tree in sorted(planned, key=lambda group: group[0])]


def _union(groups: Sequence[tuple[int, list[int]]]) -> int:
    union = 0
    for scope, _ in groups:
        union |= scope
    return union


def _size(scope: int, parts: Sequence[float]) -> float:
    """Rows of the join of relations in a random layered graph: the assignments in a row of layers, times the parts."""
    size = UNITS * WIDTH ** (scope.bit_count() - 1)
    for part in parts:
        size *= part
    return size


def _best(numbers: Sequence[int], scopes: Sequence[int], parts: Sequence[float]) -> Tree:
    """The tree with the fewest rows in its inner nodes; the larger side of each join stands left."""
    count = len(numbers)
    trees: dict[int, Tree] = {1 << i: numbers[i] for i in range(count)}
    costs = dict.fromkeys(trees, 0.0)
    scope_of = {1 << i: scopes[i] for i in range(count)}
    part_of = {1 << i: parts[i] for i in range(count)}
    sizes = {1 << i: _size(scopes[i], parts[i : i + 1]) for i in range(count)}
    for mask in range(3, 1 << count):
        low = mask & -mask
        rest = mask ^ low
        if not rest:
            continue
        cheapest, split = float("inf"), (0, 0)
        some = (rest - 1) & rest
        while True:
            left, right = low | some, rest ^ some
            if left in costs and right in costs and scope_of[left] & scope_of[right]:
                cost = costs[left] + costs[right]
                if cost < cheapest:
                    cheapest, split = cost, (left, right)
            if not some:
                break
            some = (some - 1) & rest
        if split[0]:
            left, right = sorted(split, key=lambda side: -sizes[side])
            scope_of[mask] = scope_of[left] | scope_of[right]
            part_of[mask] = part_of[left] * part_of[right]
            sizes[mask] = _size(scope_of[mask], [part_of[mask]])
            costs[mask] = cheapest + sizes[mask]
            trees[mask] = (trees[left], trees[right])
    return trees[(1 << count) - 1]


def _greedy(numbers: Sequence[int], scopes: Sequence[int], parts: Sequence[float]) -> Tree:
    """A tree made by joining the two with the smallest result, again and again."""
    nodes: list[tuple[int, float, Tree]] = [*zip(scopes, parts, numbers, strict=True)]
    while len(nodes) > 1:
        pairs = [
            (_size(a[0] | b[0], [a[1], b[1]]), i, j)
            for i, a in enumerate(nodes)
            for j, b in enumerate(nodes[:i])
            if a[0] & b[0]
        ]
        _, i, j = min(pairs)
        a, b = sorted((nodes[i], nodes[j]), key=lambda node: -_size(node[0], [node[1]]))
        nodes = [node for k, node in enumerate(nodes) if k not in (i, j)]
        nodes.append((a[0] | b[0], a[1] * b[1], (a[2], b[2])))
    return nodes[0][2]
