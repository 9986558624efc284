"""Expressions of a Pattern as Cypher: conditions are true, false or null, values are null where missing.

A `Frame` (emitter.py) is an `Expressions` that knows which variables stand for units, edges and rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from circuitdb.backends.neo4j import cypher as c
from circuitdb.backends.neo4j.schema import ANALOGOUS_TO, MAPS_TO, folded_name
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import NeededAgreement, needed_agreement
from circuitdb.pattern.analysis import counted_named, is_double, is_label, never_missing
from circuitdb.pattern.maps import ANALOG

UNIT = "Unit"
_COMPARISONS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Parameters:
    """Bound values by name, equal values under one name; and the agreements that the query looks up."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.agreements: list[NeededAgreement] = []
        self.taken: set[str] = set(c.FOLDING)
        self._names: dict[tuple[type, object], str] = {}

    def bind(self, value: object) -> c.Parameter:
        """The parameter that holds a value."""
        name = self._names.setdefault((type(value), repr(value)), f"p{len(self._names) + 1}")
        self.values[name] = value
        return c.Parameter(name)


class Expressions(ABC):
    """What a body's conditions and values say, given what stands for its units, edges and rows."""

    parameters: Parameters
    body: p.Body
    around: Expressions | None

    @abstractmethod
    def unit(self, name: str) -> c.Variable:
        """The variable of a unit."""

    @abstractmethod
    def relationship(self, name: str) -> c.Variable:
        """The variable of an edge or a row."""

    @abstractmethod
    def new(self, text: str) -> str:
        """A new name for a variable."""

    @abstractmethod
    def bodies_around(self) -> list[p.Body]:
        """The bodies around this one."""

    @abstractmethod
    def how_many(self, counted: p.Counted) -> c.Expression:
        """How many units fulfil a counted body."""

    # conditions: true, or false, or null where something is missing, which WHERE takes for false

    def condition(self, condition: p.Expression) -> c.Expression:
        """A condition of the pattern; null stands for false."""
        match condition:
            case p.Constant(value=value):
                return c.Constant(bool(value))
            case p.And(operands=operands):
                return c.Operation("AND", tuple(self.condition(o) for o in operands))
            case p.Or(operands=operands):
                return c.Operation("OR", tuple(self.condition(o) for o in operands))
            case p.Not(operand=operand):
                return c.Prefix("NOT", is_true(self.condition(operand)))
            case p.Truth(value=value):
                return self.value(value)
            case p.IsMissing(value=value):
                if is_label(value):
                    return c.Operation("=", (c.Call("size", (self._labels(value, "labels"),)), c.Constant(0)))
                return c.IsNull(self.value(value))
            case p.Compare(operator=operator, left=left, right=right):
                sign = _COMPARISONS[operator]
                return self._over_labels((left, right), lambda a, b: c.Operation(sign, (a, b)), fold=False)
            case p.Contains(left=left, right=right):
                return self._over_labels((left, right), lambda a, b: c.Operation("CONTAINS", (a, b)), fold=True)
            case p.OneOf(value=value, items=items):
                if not items:
                    return c.Constant(False)
                if any(map(is_label, items)):
                    return self.condition(p.Or(tuple(p.Compare("=", value, item) for item in items)))
                return self._over_labels((value, *items), lambda first, *rest: among(first, list(rest)), fold=False)
        return is_true(self.value(condition))

    def _over_labels(
        self, values: Sequence[p.Expression], compare: Callable[..., c.Expression], *, fold: bool
    ) -> c.Expression:
        """A comparison; where a side is a label, whether it holds for one of the unit's labels."""
        loops: list[tuple[c.Variable, c.Expression]] = []
        sides: list[c.Expression] = []
        for value in values:
            if is_label(value):
                variable = c.Variable(self.new("label"))
                loops.append((variable, self._labels(value, "labels_folded" if fold else "labels")))
                sides.append(variable)
            else:
                sides.append(self._folded(value) if fold else self.value(value))
        comparison = compare(*sides)
        for variable, labels in reversed(loops):
            comparison = c.AnyOf(variable, labels, comparison)
        return comparison

    def _labels(self, value: p.Expression, name: str) -> c.Expression:
        """The list of a unit's labels; empty where the unit itself is missing."""
        assert isinstance(value, p.UnitProperty)
        return c.Call("coalesce", (c.Property(self.value(value.of), name), c.ListOf(())))

    # values: null where missing

    def value(self, value: p.Expression) -> c.Expression:
        """A value of the pattern."""
        match value:
            case p.Constant(value=constant):
                return self.parameters.bind(constant)
            case p.UnitValue(unit=unit):
                return self.unit(unit)
            case p.MapValue():
                return self._map_value(value)
            case p.UnitProperty(of=of, name=name):
                return c.Property(self.value(of), name)
            case p.EdgeProperty(edge=of, name=name) | p.RowProperty(row=of, name=name):
                return c.Property(self.relationship(of), name)
            case p.EdgeSign(edge=edge):
                weight = c.Property(self.relationship(edge), "weight")
                return c.Case(c.Operation("<", (weight, c.Constant(0))), c.Constant(-1), c.Constant(1))
            case p.Negative(operand=operand):
                return c.Prefix("-", self.number(operand))
            case p.Arithmetic(operator=operator, left=left, right=right):
                return self._arithmetic(operator, self.number(left), self.number(right))
            case p.Function(name=name, arguments=arguments):
                return self._function(name, arguments)
            case p.HowMany(conditions=conditions):
                return number_true([is_true(self.condition(part)) for part in conditions])
            case p.ListLength(unit=unit):
                return self.how_many(counted_named(unit, [*self.bodies_around(), self.body]))
            case p.Agreement():
                return self._agreement(value)
        return is_true(self.condition(value))

    def number(self, value: p.Expression) -> c.Expression:
        """A value as a float, for arithmetic."""
        resolved = self.value(value)
        return resolved if is_double(value) else c.Call("toFloat", (resolved,))

    def _folded(self, value: p.Expression) -> c.Expression:
        match value:
            case p.Constant(value=text):
                return self.parameters.bind(str(text).casefold())
            case p.UnitProperty(of=of, name=name):
                return c.Property(self.value(of), folded_name(name))
            case p.RowProperty(row=row, name=name):
                return c.Property(self.relationship(row), folded_name(name))
        raise AssertionError(f"{type(value).__name__} is no text")

    def _map_value(self, value: p.MapValue) -> c.Expression:
        """The unit at the end of the rows; a MATCH for each, as one relationship may serve twice."""
        chain: list[p.MapValue] = []
        of: p.UnitValue | p.MapValue = value
        while isinstance(of, p.MapValue):
            chain.append(of)
            of = of.of
        at = self.unit(of.unit).name
        matches = []
        for step in reversed(chain):
            variable, target = self.new("map"), self.new("image")
            row = c.Variable(variable)
            if step.map == ANALOG:
                model = c.Operation(
                    "=", (c.Property(c.Variable(target), "model"), self.parameters.bind(step.model or ""))
                )
                best = c.Operation("=", (c.Property(row, "rank"), c.Constant(1)))
                relationship = c.Relationship(variable, (ANALOGOUS_TO,), best)
            else:
                model = None
                named = c.Operation("=", (c.Property(row, "map"), self.parameters.bind(step.map)))
                relationship = c.Relationship(variable, (MAPS_TO,), named)
            matches.append(c.Match((c.Path((c.Node(at), c.Node(target, UNIT, model)), (relationship,)),)))
            at = target
        result = c.Projection("RETURN", (c.Column(c.Variable(at), at),))
        return c.Call("head", (c.Subquery("COLLECT", c.Query((*matches, result))),))

    def _arithmetic(self, operator: str, left: c.Expression, right: c.Expression) -> c.Expression:
        quotient = c.Operation(operator, (left, right))
        if operator != "/":
            return quotient
        return c.Case(c.Operation("=", (right, c.Constant(0))), c.Constant(None), quotient)

    def _function(self, name: str, arguments: Sequence[p.Expression]) -> c.Expression:
        if not arguments:
            return c.Constant(0) if name in ("sum", "number") else c.Constant(None)
        numbers = tuple(self.number(argument) for argument in arguments)
        if name in ("abs", "sign"):
            return c.Call(name, numbers)
        if name == "sum":
            return numbers[0] if len(numbers) == 1 else c.Operation("+", numbers)
        result: c.Expression
        if name == "number":
            result = c.Constant(len(numbers))
        else:
            result = numbers[0] if len(numbers) == 1 else c.Least(name == "max", numbers)
        gaps = [c.IsNull(number) for number, a in zip(numbers, arguments, strict=True) if not never_missing(a)]
        if not gaps:
            return result
        return c.Case(gaps[0] if len(gaps) == 1 else c.Operation("OR", tuple(gaps)), c.Constant(None), result)

    def _agreement(self, value: p.Agreement) -> c.Expression:
        known = needed_agreement(self.parameters.agreements, value, [*self.bodies_around(), self.body])
        left, right = (c.Call("elementId", (self.relationship(edge),)) for edge in (value.left, value.right))
        return c.Lookup(c.Parameter(known.name), c.Operation("+", (left, right)))


def among(value: c.Expression, items: Sequence[c.Expression]) -> c.Expression:
    """Whether a value is one of several."""
    if len(items) == 1:
        return c.Operation("=", (value, items[0]))
    return c.Operation("IN", (value, c.ListOf(tuple(items))))


def is_true(condition: c.Expression) -> c.Expression:
    """A condition with null turned to false."""
    if isinstance(condition, c.Constant | c.Subquery | c.IsNull):
        return condition
    return c.Call("coalesce", (condition, c.Constant(False)))


def number_true(conditions: Sequence[c.Expression]) -> c.Expression:
    """How many of the conditions are true."""
    ones = tuple(c.Case(condition, c.Constant(1), c.Constant(0)) for condition in conditions)
    return c.Operation("+", (c.Constant(0), *ones))
