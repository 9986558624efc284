"""Which texts mean the same unit: the names and map terms of a body, and of the bodies around it.

A `Scope` belongs to one body. Names and terms are entered in the order in which the text names them; `equate` makes
two of them one unit, and `close` draws the conclusion that equal units have equal images under a map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from circuitdb.language import syntax as s
from circuitdb.pattern.maps import MapName


@dataclass(eq=False)
class UnitNode:
    """A name or a term as entered; `merged` leads to the node that stands for the same unit."""

    text: str
    scope: Scope
    at: s.Node
    merged: UnitNode | None = None
    met_outside_loops: bool = False
    layers: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def unit(self) -> UnitNode:
        """The node that stands for the unit."""
        node = self
        while node.merged is not None:
            node = node.merged
        return node


@dataclass(eq=False)
class Term:
    """A map applied to a unit; `node` is the unit that comes out."""

    map: MapName
    of: UnitNode
    model: str | None
    node: UnitNode

    @property
    def key(self) -> tuple[MapName, int, str | None]:
        """Equal for terms that mean the same unit."""
        return self.map, id(self.of.unit), self.model


@dataclass(eq=False)
class Scope:
    """The units of one body."""

    parent: Scope | None = None
    names: dict[str, UnitNode] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)
    nodes: list[UnitNode] = field(default_factory=list)
    contradictory: bool = False

    def outward(self) -> Iterator[Scope]:
        """This scope and those around it, the innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find_name(self, text: str) -> UnitNode | None:
        """The node of a name, in this scope or around it."""
        return next((scope.names[text] for scope in self.outward() if text in scope.names), None)

    def find_term(self, map_name: MapName, of: UnitNode, model: str | None) -> Term | None:
        """The term for a map of a unit, in this scope or around it."""
        key = (map_name, id(of.unit), model)
        return next((term for scope in self.outward() for term in scope.terms if term.key == key), None)

    def enter_name(self, text: str, at: s.Node) -> UnitNode:
        """The node of a name; a new one of this scope where the name is met for the first time."""
        found = self.find_name(text)
        if found is None:
            found = UnitNode(text, self, at)
            self.names[text] = found
            self.nodes.append(found)
        return found

    def enter_term(self, text: str, map_name: MapName, of: UnitNode, model: str | None, at: s.Node) -> UnitNode:
        """The node of a term; its text is one more name for the unit where the term is known under another."""
        found = self.find_term(map_name, of, model)
        node = UnitNode(text, self, at)
        if found is not None:
            if all(other.text != text for other in found.node.scope.nodes):
                node.merged = found.node.unit
                if found.node.scope is self:
                    self.nodes.append(node)
            return found.node
        self.nodes.append(node)
        self.terms.append(Term(map_name, of, model, node))
        return node

    def equate(self, left: UnitNode, right: UnitNode) -> None:
        """Make two nodes one unit; the one that is named first, or lies farther out, stands for both."""
        a, b = left.unit, right.unit
        if a is b:
            return
        depths = {id(scope): depth for depth, scope in enumerate(self.outward())}
        if a.scope is not self and b.scope is not self:
            self.contradictory = True
            return
        if a.scope is b.scope:
            order = {id(node): place for place, node in enumerate(a.scope.nodes)}
            first, second = (a, b) if order[id(a)] < order[id(b)] else (b, a)
        else:
            first, second = (a, b) if depths[id(a.scope)] > depths[id(b.scope)] else (b, a)
        second.merged = first
        first.met_outside_loops |= second.met_outside_loops
        if first.scope is self:
            first.layers += second.layers

    def close(self) -> None:
        """Make the images of equal units under one map one unit, until nothing changes."""
        changed = True
        while changed:
            changed = False
            known = {
                term.key: term for scope in reversed(list(self.outward())) if scope is not self for term in scope.terms
            }
            for term in list(self.terms):
                other = known.setdefault(term.key, term)
                if other is not term:
                    self.equate(other.node, term.node)
                    self.terms.remove(term)
                    changed = True

    def units(self) -> list[tuple[UnitNode, tuple[str, ...]]]:
        """The scope's own units in naming order, each with the texts that mean it."""
        texts: dict[int, list[str]] = {}
        for node in self.nodes:
            texts.setdefault(id(node.unit), []).append(node.text)
        return [(node, tuple(dict.fromkeys(texts[id(node)]))) for node in self.nodes if node.merged is None]
