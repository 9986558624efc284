"""The insides of motifs and blocks as the oracle sees them: which nodes are one unit, what names mean where.

In come the facts of `oracle_statements`, out comes a tree of scopes. The units of a scope are classes of nodes (names
and terms) that are one unit, numbered in naming order; inner scopes see the outer ones' units under the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from circuitdb.language import syntax as s
from tests.oracle_expressions import AGGREGATES, parts
from tests.oracle_statements import (
    Condition,
    Counted,
    Edge,
    Equal,
    Fact,
    ForSome,
    MapRow,
    Mentioned,
    No,
    Node,
    Ref,
    Term,
    dotted,
)

Ends = tuple[int, int, bool]
"""Source and target of an edge, and whether it is a skip edge."""


class Scope:
    """The inside of a motif or block."""

    def __init__(self, facts: Iterable[Fact], parent: Scope | None, declared: tuple[Ref, ...] = ()) -> None:
        self.facts, self.parent = list(facts), parent
        self.scopes: list[Scope] = [self] if parent is None else [*parent.scopes, self]
        self.nodes: dict[Node, None] = {}
        self.texts: dict[str, Node] = {}
        for node in declared:
            self._meet(node)
        for fact in self.facts:
            for node in _nodes_of(fact):
                self._meet(node)
        self.equal = [(fact.left, fact.right) for fact in self.facts if isinstance(fact, Equal)]
        self.edges = [fact for fact in self.facts if isinstance(fact, Edge)]
        self.rows = [fact for fact in self.facts if isinstance(fact, MapRow)]
        self.terms = [node for node in self.nodes if isinstance(node, Term)]
        self.contradictory = False
        self._number_units()
        self.local = sorted(set(self.units.values()) - (set() if parent is None else set(parent.units.values())))
        self.models = self._models()
        self.blocks: list[tuple[No | Counted | ForSome, list[Scope]]] = []
        for fact in self.facts:
            match fact:
                case No():
                    self.blocks.append((fact, [Scope(fact.body, self)]))
                case Counted():
                    self.blocks.append((fact, [Scope(fact.body, self, (fact.name,))]))
                case ForSome():
                    self.blocks.append((fact, [Scope(body, self) for body in fact.bodies]))

    def _meet(self, node: Node) -> None:
        if isinstance(node, Term):
            self._meet(node.of)
        self.nodes.setdefault(node)
        for text in node.texts:
            self.texts[text] = node

    def _number_units(self) -> None:
        """`units`: the number of every node that can be seen from here; outer nodes keep theirs."""
        nodes = list(dict.fromkeys(node for scope in self.scopes for node in scope.nodes))
        class_of: dict[Node, Node] = {node: node for node in nodes}

        def unite(one: Node, other: Node) -> bool:
            kept, lost = class_of[one], class_of[other]
            for node in nodes:
                if class_of[node] == lost:
                    class_of[node] = kept
            return kept != lost

        for scope in self.scopes:
            for one, other in scope.equal:
                unite(one, other)
        terms = [node for node in nodes if isinstance(node, Term)]
        # The same map of the same unit is the same unit.
        while any(
            one.map == other.map and class_of[one.of] == class_of[other.of] and unite(one, other)
            for one, other in itertools.combinations(terms, 2)
        ):
            pass
        outer: dict[Node, int] = {} if self.parent is None else self.parent.units
        number_of: dict[Node, int] = {}
        for node, number in outer.items():
            if number_of.setdefault(class_of[node], number) != number:
                self.contradictory = True
        first_free = 1 + max([*outer.values(), -1])
        for node in nodes:
            number_of.setdefault(class_of[node], first_free + len(set(number_of.values()) - set(outer.values())))
        self.units = {node: number_of[class_of[node]] for node in nodes}

    def _models(self) -> dict[int, str | None]:
        """The model that a unit lies in: a named one, where `analog` leads there, or None, the one searched."""
        model_of: dict[int, str | None] = {} if self.parent is None else dict(self.parent.models)
        terms = [node for scope in self.scopes for node in scope.nodes if isinstance(node, Term)]
        together = [ends[:2] for scope in self.scopes for ends in scope.edge_ends(self)]
        for term in terms:
            if term.map.name == "analog":
                model_of.setdefault(self.units[term], term.map.model)
            else:
                together.append((self.units[term.of], self.units[term]))
        while new := [
            (to, model_of[at])
            for pair in together
            for at, to in (pair, pair[::-1])
            if at in model_of and to not in model_of
        ]:
            model_of.update(new)
        return {unit: model_of.get(unit) for unit in self.units.values()}

    def edge_ends(self, seen_from: Scope | None = None, *, copied: bool = True) -> list[Ends]:
        """The edges of this scope's own statements, each once; without those that are copies alone if not `copied`."""
        units = (seen_from or self).units
        edges = [edge for edge in self.edges if copied or not edge.copied]
        return list(dict.fromkeys((units[edge.source], units[edge.target], edge.skip) for edge in edges))

    # What names mean here

    def unit_named(self, name: str) -> int | None:
        return self.units.get(Ref(name))

    def edge_named(self, name: str) -> Ends | None:
        for scope in reversed(self.scopes):
            for edge in scope.edges:
                if edge.name == name:
                    return self.units[edge.source], self.units[edge.target], edge.skip
        return None

    def row_named(self, name: str) -> Term | None:
        return next((row.term for scope in reversed(self.scopes) for row in scope.rows if row.name == name), None)

    def mentioned(self, condition: Condition) -> set[int]:
        """The units that must be known before a condition can be asked."""
        found: set[int] = set()
        for part in parts(condition.expression):
            if isinstance(part, s.Call) and isinstance(part.function, s.Name) and part.function.name in AGGREGATES:
                found |= set(self.units.values())
            path = dotted(part)
            if path is None:
                continue
            path = condition.environment.prefix + path
            unit, edge, row = self.unit_named(path), self.edge_named(path), self.row_named(path)
            found |= set() if unit is None else {unit}
            found |= set() if edge is None else set(edge[:2])
            found |= set() if row is None else {self.units[row], self.units[row.of]}
        return found


def _nodes_of(fact: Fact) -> tuple[Node, ...]:
    match fact:
        case Mentioned(nodes=nodes):
            return nodes
    return ()
