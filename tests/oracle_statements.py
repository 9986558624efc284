"""Writing a motif out for the oracle: parameters, sets, chains, `use` and `for` disappear, single facts remain.

In comes the syntax tree, out comes a list of facts about nodes. A node is a name, or a map applied to a node. Every
expression keeps the environment in which it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from circuitdb.language import syntax as s


class UnsupportedError(Exception):
    """The oracle takes the text for a mistake."""


class Word(str):
    """A bare word given to a parameter."""


@dataclass(frozen=True)
class Map:
    """flip, flip_vertical, negate, rotate and hue with an angle in 0..360, analog with a rank and a model.

    `element` stands for any element of a group, where blocks are only compared.
    """

    name: str
    angle: Fraction | None = None
    rank: int | None = None
    model: str | None = None

    def __str__(self) -> str:
        return self.name if self.angle is None else f"{self.name}({float(self.angle):g})"


@dataclass(frozen=True)
class Ref:
    """A unit by its name, with the names of the used motifs before it."""

    name: str
    label: str = field(compare=False, default="")

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True)
class Term:
    """The unit that a map makes of another."""

    map: Map
    of: Node
    prefix: str = field(compare=False)
    label: str = field(compare=False)

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.prefix + self.label,)


Node = Ref | Term
Value = float | str | bool | Map


@dataclass(frozen=True)
class Environment:
    """What names mean where an expression stands: parameters, the used motifs' names, elements of groups."""

    parameters: Mapping[str, Value] = field(default_factory=dict)
    prefix: str = ""
    elements: Mapping[str, Map | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """An expression and the kind of record that its bare names belong to."""

    expression: s.Expression
    environment: Environment
    bare: str | None = None


@dataclass(frozen=True)
class Mentioned:
    """These nodes exist; `layers` and `condition` hold for each."""

    nodes: tuple[Node, ...]
    layers: tuple[str, ...] = ()
    condition: Condition | None = None


@dataclass(frozen=True)
class Edge:
    source: Node
    target: Node
    arrow: str
    skip: bool
    name: str | None
    condition: Condition | None
    every: tuple[Condition, ...]
    copied: bool = False
    """Whether it stands in another model for an edge of the circuit, so that aggregates leave it out."""


@dataclass(frozen=True)
class MapRow:
    """The row of a term, by name or with a condition."""

    term: Term
    name: str | None
    condition: Condition | None


@dataclass(frozen=True)
class Equal:
    left: Node
    right: Node


@dataclass(frozen=True)
class Where:
    condition: Condition


@dataclass(frozen=True)
class Every:
    """Where an `every edge` stands; what it does is in the edges."""

    condition: Condition


@dataclass(frozen=True)
class Score:
    condition: Condition


@dataclass(frozen=True)
class No:
    body: tuple[Fact, ...]


@dataclass(frozen=True)
class Counted:
    quantity: str
    count: int
    name: Ref
    body: tuple[Fact, ...]


@dataclass(frozen=True)
class ForSome:
    """The body for every element of the group, and once with the element left open."""

    quantity: str
    count: int
    group: Map
    bodies: tuple[tuple[Fact, ...], ...]
    pattern: tuple[Fact, ...]


Fact = Mentioned | Edge | MapRow | Equal | Where | Every | Score | No | Counted | ForSome

PLAIN_MAPS = ("flip", "flip_vertical", "negate", "analog")
TURNING_MAPS = ("rotate", "hue")


def constant(expression: s.Expression, environment: Environment) -> Value:
    """The value of an argument, a default, a count or an angle."""
    match expression:
        case s.Number(value=number):
            return number
        case s.Text(value=text):
            return text
        case s.Boolean(value=truth):
            return truth
        case s.Unary(operator="-", operand=operand):
            return -as_number(constant(operand, environment))
        case s.Name(name=name):
            return environment.parameters.get(name, Word(name))
        case s.Call():
            found = map_of(expression, environment)
            if found is not None:
                return found
    raise UnsupportedError(f"no constant: {expression}")


def as_number(value: Value) -> float:
    if not isinstance(value, float):
        raise UnsupportedError(f"no number: {value}")
    return value


def as_map(value: Value) -> Map:
    if isinstance(value, Map):
        return value
    if isinstance(value, str) and value in PLAIN_MAPS:
        return Map(value, rank=1 if value == "analog" else None)
    raise UnsupportedError(f"no map: {value}")


def map_of(expression: s.Expression, environment: Environment) -> Map | None:
    """The map that is applied; None for the identity. Of analog the model is not known yet."""
    match expression:
        case s.Name(name=name) if name in environment.elements:
            return environment.elements[name]
        case s.Name(name=name):
            return as_map(environment.parameters.get(name, Word(name)))
        case s.Call(function=s.Name(name=name), arguments=(argument,)) if name in TURNING_MAPS:
            angle = Fraction(str(as_number(constant(argument, environment)))) % 360
            if angle == 0:
                raise UnsupportedError("a turn by nothing")
            return Map(name, angle=angle)
        case s.Call(function=s.Name(name="analog"), arguments=(argument,)):
            return Map("analog", rank=int(as_number(constant(argument, environment))))
    raise UnsupportedError(f"no map: {expression}")


def is_map(expression: s.Expression, environment: Environment) -> bool:
    try:
        map_of(expression, environment)
    except UnsupportedError:
        return False
    return True


def elements_of(group: Map) -> list[Map | None]:
    """The elements of the group that a map makes, the identity (None) first."""
    if group.name in TURNING_MAPS:
        assert group.angle is not None
        if (360 / group.angle).denominator != 1:
            raise UnsupportedError(f"{group} makes no group of whole turns")
        return [None, *(Map(group.name, angle=group.angle * k) for k in range(1, int(360 / group.angle)))]
    if group.name == "analog":
        raise UnsupportedError("analog makes no group")
    return [None, group]


def dotted(expression: s.Expression) -> str | None:
    """`m.a` of a name with dots, None of anything else."""
    match expression:
        case s.Name(name=name):
            return name
        case s.Attribute(of=of, name=name):
            before = dotted(of)
            return None if before is None else f"{before}.{name}"
    return None


def node_of(expression: s.Expression, environment: Environment) -> Node:
    """The unit that stands in a statement."""
    name = dotted(expression)
    if name is not None:
        return Ref(environment.prefix + name, name)
    if not isinstance(expression, s.Call):
        raise UnsupportedError(f"no unit: {expression}")
    applied = map_of(expression.function, environment)
    of = node_of(expression.arguments[0], environment)
    if applied is None:
        return of
    written, more = _written(expression.function, environment), ""
    if applied.name == "analog":
        model = constant(expression.arguments[1], environment)
        applied = replace(applied, model=str(model))
        more = ", " + _written(expression.arguments[1], environment)
    return Term(applied, of, environment.prefix, f"{written}({of.label}{more})")


def _written(expression: s.Expression, environment: Environment) -> str:
    """A map or a model as the text has it."""
    match expression:
        case s.Name(name=name) if name in environment.elements:
            return str(environment.elements[name])
        case s.Name(name=name):
            return name
        case s.Text(value=text):
            return json.dumps(text, ensure_ascii=False)
        case s.Number(value=number):
            return f"{number:g}"
        case s.Unary(operand=operand):
            return "-" + _written(operand, environment)
        case s.Call(function=function, arguments=(argument,)):
            return f"{_written(function, environment)}({_written(argument, environment)})"
    raise UnsupportedError(f"no map: {expression}")


@dataclass(frozen=True)
class Writer:
    """Writes out the statements in braces; `motifs` are those that `use` may name."""

    motifs: Mapping[str, s.Motif]

    def environment_of(
        self, motif: s.Motif, arguments: Mapping[str, Value], prefix: str = "", elements: Any = None
    ) -> Environment:
        """The environment inside a motif that is given these arguments."""
        parameters: dict[str, Value] = {}
        for parameter in motif.parameters:
            if parameter.name in arguments:
                parameters[parameter.name] = arguments[parameter.name]
            elif parameter.default is not None:
                parameters[parameter.name] = constant(parameter.default, Environment())
            else:
                raise UnsupportedError(f"no value for {parameter.name}")
        return Environment(parameters, prefix, elements or {})

    def facts(self, block: s.Block, environment: Environment, every: tuple[Condition, ...] = ()) -> list[Fact]:
        """The facts of the statements in braces; `every` holds for each edge that does not stand in a `no`."""
        for statement in block.statements:
            if isinstance(statement, s.EveryEdgeStatement):
                every = (*every, Condition(statement.where, environment, "edge"))
        return [fact for one in block.statements for fact in self._facts_of(one, environment, every)]

    def _facts_of(self, one: s.Statement, environment: Environment, every: tuple[Condition, ...]) -> list[Fact]:
        def condition(expression: s.Expression | None, bare: str | None) -> Condition | None:
            return None if expression is None else Condition(expression, environment, bare)

        match one:
            case s.UnitDeclaration():
                nodes = tuple(Ref(environment.prefix + name.name, name.name) for name in one.names)
                layers = tuple(str(constant(layer, environment)) for layer in one.layers)
                return [Mentioned(nodes, layers, condition(one.where, "unit"))]
            case s.EdgeStatement():
                return self._edges(one, environment, every)
            case s.TermStatement():
                term = node_of(one.term, environment)
                return [Mentioned((term,)), *self._row(one, (term,), environment)]
            case s.EqualStatement():
                left, right = node_of(one.left, environment), node_of(one.right, environment)
                return [Mentioned((left, right)), Equal(left, right), *self._row(one, (left, right), environment)]
            case s.NoStatement():
                body = one.body if isinstance(one.body, s.Block) else s.Block(one.span, (one.body,))
                return [No(tuple(self.facts(body, environment)))]
            case s.CountedStatement():
                count = int(as_number(constant(one.count, environment)))
                name = Ref(environment.prefix + one.name.name, one.name.name)
                return [Counted(one.quantity, count, name, tuple(self.facts(one.block, environment, every)))]
            case s.ForStatement():
                return self._for(one, environment, every)
            case s.UseStatement():
                motif = self.motifs[one.motif.name]
                arguments = {argument.name: constant(argument.value, environment) for argument in one.arguments}
                inner = self.environment_of(motif, arguments, f"{environment.prefix}{one.name.name}.")
                return [fact for fact in self.facts(motif.block, inner, every) if not isinstance(fact, Score)]
            case s.EveryEdgeStatement():
                return [Every(Condition(one.where, environment, "edge"))]
            case s.WhereStatement():
                return [Where(Condition(one.where, environment))]
            case s.ScoreStatement():
                return [Score(Condition(one.value, environment))]
        raise UnsupportedError(f"no statement: {one}")

    def _edges(self, one: s.EdgeStatement, environment: Environment, every: tuple[Condition, ...]) -> list[Fact]:
        steps = [tuple(node_of(node, environment) for node in step) for step in one.steps]
        name = None if one.name is None else environment.prefix + one.name.name
        where = None if one.where is None else Condition(one.where, environment, "edge")
        facts: list[Fact] = [Mentioned(tuple(node for step in steps for node in step))]
        for sources, arrow, targets in zip(steps, one.arrows, steps[1:], strict=False):
            for source in sources:
                for target in targets:
                    facts.append(Edge(source, target, arrow, one.skip, name, where, every))
        return facts

    def _row(
        self, one: s.TermStatement | s.EqualStatement, nodes: tuple[Node, ...], environment: Environment
    ) -> list[Fact]:
        if one.name is None and one.where is None:
            return []
        terms = [node for node in nodes if isinstance(node, Term)]
        if len(terms) != 1:
            raise UnsupportedError(f"no one map's row: {one}")
        (term,) = terms
        name = None if one.name is None else environment.prefix + one.name.name
        bare = "analogue" if term.map.name == "analog" else "map"
        where = None if one.where is None else Condition(one.where, environment, bare)
        return [MapRow(term, name, where)]

    def _for(self, one: s.ForStatement, environment: Environment, every: tuple[Condition, ...]) -> list[Fact]:
        group = map_of(one.group, environment)
        assert group is not None

        def body(element: Map | None) -> tuple[Fact, ...]:
            elements = {**environment.elements, one.name.name: element}
            return tuple(self.facts(one.block, replace(environment, elements=elements), every))

        bodies = tuple(body(element) for element in elements_of(group))
        if one.quantity is None:
            return [fact for facts in bodies for fact in facts]
        assert one.count is not None
        count = int(as_number(constant(one.count, environment)))
        return [ForSome(one.quantity, count, group, bodies, body(Map("element")))]
