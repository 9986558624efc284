"""The symmetries of a pattern's drawing, for the oracle.

In comes the outermost scope, out come the permutations of its units that keep edges, relations by maps and blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from circuitdb.language import syntax as s
from tests.oracle_scopes import Scope
from tests.oracle_statements import (
    Condition,
    Counted,
    Edge,
    Equal,
    Every,
    Fact,
    ForSome,
    Map,
    MapRow,
    Mentioned,
    No,
    Node,
    Ref,
    Score,
    Term,
    UnsupportedError,
    Where,
    dotted,
)


def automorphisms(top: Scope) -> list[dict[int, int]]:
    """The permutations of the units that leave the drawing as it is."""
    units, drawing = top.local, Drawing(top)

    def extend(image: dict[int, int]) -> Iterator[dict[int, int]]:
        if len(image) == len(units):
            yield image
            return
        unit = units[len(image)]
        for to in units:
            more = {**image, unit: to}
            if to not in image.values() and all(
                drawing.relation(*pair) == drawing.relation(more[pair[0]], more[pair[1]])
                for other in more
                for pair in ((unit, other), (other, unit))
            ):
                yield from extend(more)

    same = {unit: unit for unit in units}
    return [image for image in extend({}) if drawing.blocks(image) == drawing.blocks(same)]


@dataclass(frozen=True)
class Element:
    """A turn (after a mirroring, if any), an exchange of contrast and a turn of hue."""

    turn: Fraction = Fraction(0)
    mirrored: bool = False
    negated: bool = False
    hue: Fraction = Fraction(0)

    def after(self, first: Element) -> Element:
        """What the first and then this one do."""
        turn = self.turn + (-first.turn if self.mirrored else first.turn)
        return Element(
            turn % 360, self.mirrored != first.mirrored, self.negated != first.negated, (self.hue + first.hue) % 360
        )

    def inverse(self) -> Element:
        return Element((self.turn if self.mirrored else -self.turn) % 360, self.mirrored, self.negated, -self.hue % 360)


def element_of(applied: Map) -> Element:
    match applied.name:
        case "flip":
            return Element(mirrored=True)
        case "flip_vertical":
            return Element(turn=Fraction(180), mirrored=True)
        case "negate":
            return Element(negated=True)
        case "rotate":
            return Element(turn=applied.angle or Fraction(0))
        case "hue":
            return Element(hue=applied.angle or Fraction(0))
    raise UnsupportedError(f"{applied} is in no group")


class Drawing:
    """What a symmetry has to keep: edges, relations by maps, analogues and blocks."""

    def __init__(self, top: Scope) -> None:
        self.top = top
        self._arrows: dict[tuple[int, int], set[tuple[bool, str]]] = {}
        for edge in top.edges:
            ends = top.units[edge.source], top.units[edge.target]
            self._arrows.setdefault(ends, set()).add((edge.skip, edge.arrow))
        for arrows in self._arrows.values():
            if {(False, "+>"), (False, "-|")} & arrows:
                arrows.discard((False, "->"))
        terms = [node for node in top.nodes if isinstance(node, Term)]
        self._analogues: dict[tuple[int, int], set[Map]] = {}
        steps: list[tuple[int, int, Element]] = []
        for term in terms:
            ends = top.units[term.of], top.units[term]
            if term.map.name == "analog":
                self._analogues.setdefault(ends, set()).add(term.map)
            else:
                element = element_of(term.map)
                steps += [(*ends, element), (*ends[::-1], element.inverse())]
        self._elements: dict[tuple[int, int], set[Element]] = {}
        for unit in top.local:
            reached, new = set(), {(unit, Element())}
            while new:
                reached |= new
                new = {(b, g.after(h)) for at, h in new for a, b, g in steps if a == at} - reached
            for to, element in reached:
                self._elements.setdefault((unit, to), set()).add(element)

    def relation(self, one: int, other: int) -> tuple[Any, ...]:
        """All that the drawing says of two units."""
        return tuple(frozenset(said.get((one, other), ())) for said in (self._arrows, self._analogues, self._elements))

    def blocks(self, image: Mapping[int, int]) -> list[str]:
        """The counted blocks, to the letter, with the outer units renamed and names apart."""
        return sorted(
            repr(self._block(fact, self.top, image)) for fact in self.top.facts if isinstance(fact, Counted | ForSome)
        )

    def _block(self, fact: Counted | ForSome, scope: Scope, image: Mapping[int, int]) -> Any:
        if isinstance(fact, Counted):
            inner = Scope(fact.body, scope, (fact.name,))
            letters = Letters(inner, image)
            return fact.quantity, fact.count, letters.node(fact.name), letters.facts(fact.body)
        letters = Letters(Scope(fact.pattern, scope), image)
        return fact.quantity, fact.count, str(fact.group), letters.facts(fact.pattern)


class Letters:
    """The statements of a block with names replaced: outer units by their images, others by order of appearance."""

    def __init__(self, scope: Scope, image: Mapping[int, int], known: dict[str, int] | None = None) -> None:
        self.scope, self.image = scope, image
        self.known: dict[str, int] = {} if known is None else known

    def node(self, node: Node) -> Any:
        number = self.scope.units.get(node)
        if number in self.image:
            return "outer", self.image[number]
        if isinstance(node, Term):
            return str(node.map), node.map.rank, node.map.model, self.node(node.of)
        return "local", self._appearance("unit " + node.name)

    def _appearance(self, name: str | None) -> int | None:
        return None if name is None else self.known.setdefault(name, len(self.known))

    def facts(self, facts: Sequence[Fact]) -> list[Any]:
        """The statements, without those that say nothing: `unit b` where b is met outside."""
        return [letters for fact in facts if (letters := self.fact(fact)) != ("units", [], (), None)]

    def fact(self, fact: Fact) -> Any:
        match fact:
            case Mentioned(nodes=nodes, layers=layers, condition=asked):
                new = [node for node in nodes if layers or asked or self.scope.units.get(node) not in self.image]
                return "units", [self.node(node) for node in new], layers, self._condition(asked)
            case Edge():
                ends = self.node(fact.source), self.node(fact.target)
                name = self._appearance(fact.name and "edge " + fact.name)
                return "edge", *ends, fact.arrow, fact.skip, name, self._condition(fact.condition)
            case MapRow():
                name = self._appearance(fact.name and "row " + fact.name)
                return "row", self.node(fact.term), name, self._condition(fact.condition)
            case Equal():
                return "equal", self.node(fact.left), self.node(fact.right)
            case Where() | Every() | Score():
                return type(fact).__name__, self._condition(fact.condition)
            case No():
                letters = Letters(Scope(fact.body, self.scope), self.image, self.known)
                return "no", letters.facts(fact.body)
            case Counted():
                letters = Letters(Scope(fact.body, self.scope, (fact.name,)), self.image, self.known)
                name = letters.node(fact.name)
                return fact.quantity, fact.count, name, letters.facts(fact.body)
            case ForSome():
                letters = Letters(Scope(fact.pattern, self.scope), self.image, self.known)
                return fact.quantity, fact.count, str(fact.group), letters.facts(fact.pattern)

    def _condition(self, condition: Condition | None) -> Any:
        return None if condition is None else self._expression(condition.expression, condition)

    def _expression(self, expression: s.Expression, condition: Condition) -> Any:
        environment = condition.environment
        path = dotted(expression)
        if path is not None:
            full = environment.prefix + path
            if Ref(full) in self.scope.units:
                return self.node(Ref(full))
            if (ends := self.scope.edge_named(full)) is not None:
                if set(ends[:2]) <= set(self.image) and full not in {e.name for e in self.scope.edges}:
                    return "outer edge", self.image[ends[0]], self.image[ends[1]], ends[2]
                return "edge", self._appearance("edge " + full)
            if (term := self.scope.row_named(full)) is not None:
                return "row", self.node(term)
            if path in environment.parameters:
                return "value", environment.parameters[path]
        match expression:
            case s.Attribute(of=of, name=name):
                return "of", self._expression(of, condition), name
            case s.Call(function=function, arguments=arguments):
                values = [self._expression(argument, condition) for argument in arguments]
                name = self._expression(function, condition)
                return "call", name, sorted(values, key=repr) if dotted(function) in ("min", "max") else values
            case s.ListOf(items=items):
                return "list", [self._expression(item, condition) for item in items]
            case s.Logical(operator=operator, operands=operands):
                return operator, sorted((self._expression(operand, condition) for operand in operands), key=repr)
            case s.Unary(operator=operator, operand=operand):
                return operator, self._expression(operand, condition)
            case s.Binary(operator=operator, left=left, right=right):
                sides = [self._expression(left, condition), self._expression(right, condition)]
                return operator, sorted(sides, key=repr) if operator in ("=", "!=") else sides
        return repr(expression)
