"""What an expression is worth to the oracle, for one assignment of units.

Values are floats, texts, true or false, units, the labels of a unit, or None where something is missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from circuitdb.graph import Record as Kind
from circuitdb.graph import properties
from circuitdb.language import syntax as s
from tests.oracle_graphs import Graphs, Kernel, Record, cosine, kernel_of, moved
from tests.oracle_statements import (
    Condition,
    Environment,
    Map,
    UnsupportedError,
    constant,
    dotted,
    map_of,
)

AGGREGATES = ("min", "max", "sum", "count")
FUNCTIONS = (*AGGREGATES, "abs", "sign", "agreement")
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=", "~", "in")

PROPERTIES = {
    bare: {prop.name: prop.type for prop in properties(kind) if prop.in_language}
    for bare, kind in (("unit", Kind.UNIT), ("edge", Kind.EDGE), ("map", Kind.MAP), ("analogue", Kind.ANALOGUE))
}


@dataclass(frozen=True)
class Unit:
    """A unit as a value."""

    key: str


@dataclass(frozen=True)
class Labels:
    """All labels of a unit: what is true of one of them is true."""

    texts: tuple[str, ...]


class Place(Protocol):
    """What an expression can see from where it stands, for one assignment."""

    graphs: Graphs

    def unit(self, name: str) -> str | None:
        """The key of the unit of that name."""

    def edge(self, name: str) -> Record | None:
        """The edge of that name."""

    def row(self, name: str) -> tuple[str, Record] | None:
        """Kind and properties of the map's row of that name."""

    def counted(self, name: str) -> int | None:
        """How many units fulfil the counted block of that name."""

    def circuit_edges(self) -> list[Record]:
        """The edges that aggregates run over."""


def holds(condition: Condition, place: Place, record: Record | None = None) -> bool:
    """Whether a condition is true; `record` is what its bare names belong to."""
    value = Evaluation(condition, place, record).value(condition.expression)
    if not isinstance(value, bool | None):
        raise UnsupportedError(f"neither true nor false: {condition.expression}")
    return value is True


def value_of(condition: Condition, place: Place) -> Any:
    """The value of a score or of what circuits are ordered by."""
    return Evaluation(condition, place, None).value(condition.expression)


def rows_under(graphs: Graphs, applied: Map, key: str) -> list[Record]:
    """The rows that lead from a unit under a map: one at most, or as many as the rank of analog allows."""
    if applied.name == "analog":
        assert applied.model is not None
        assert applied.rank is not None
        return [row for row in graphs.analogues.get((key, applied.model), []) if row["rank"] <= applied.rank]
    row = graphs.maps.get((str(applied), key))
    return [] if row is None else [row]


@dataclass(frozen=True)
class Evaluation:
    """One expression at one place; `record` is what bare names belong to."""

    condition: Condition
    place: Place
    record: Record | None
    bare: str | None = None

    @property
    def environment(self) -> Environment:
        return self.condition.environment

    def value(self, expression: s.Expression) -> Any:
        match expression:
            case s.Number(value=value) | s.Text(value=value) | s.Boolean(value=value):
                return value
            case s.Name() | s.Attribute():
                return self._named(expression)
            case s.Call(function=s.Name(name=name)) if name in FUNCTIONS:
                return self._function(name, expression.arguments)
            case s.Call():
                return self._mapped(expression)
            case s.Unary(operator="not"):
                return not self._truth(expression.operand)
            case s.Unary():
                value = self._number(expression.operand)
                return None if value is None else -value
            case s.Logical(operator="and"):
                return all(self._truth(operand) for operand in expression.operands)
            case s.Logical():
                return any(self._truth(operand) for operand in expression.operands)
            case s.Binary(operator=operator) if operator in COMPARISONS:
                return self._compared(expression)
            case s.Binary():
                return self._arithmetic(expression)
        raise UnsupportedError(f"no value: {expression}")

    def _truth(self, expression: s.Expression) -> bool:
        value = self.value(expression)
        if not isinstance(value, bool | None):
            raise UnsupportedError(f"neither true nor false: {expression}")
        return value is True

    def _number(self, expression: s.Expression) -> float | None:
        value = self.value(expression)
        if not isinstance(value, float | None):
            raise UnsupportedError(f"no number: {expression}")
        return value

    def _named(self, expression: s.Name | s.Attribute) -> Any:
        if isinstance(expression, s.Name):
            bare = self.bare or self.condition.bare
            if bare is not None and expression.name in PROPERTIES[bare]:
                assert self.record is not None
                return _property(self.record, bare, expression.name)
            if expression.name in self.environment.parameters:
                value = self.environment.parameters[expression.name]
                if isinstance(value, Map):
                    raise UnsupportedError(f"a map is no value: {expression.name}")
                return value
        whole = self._path(expression)
        if whole is not None and (key := self.place.unit(whole)) is not None:
            return Unit(key)
        if isinstance(expression, s.Name):
            raise UnsupportedError(f"unknown name {expression.name}")
        owner = self._path(expression.of)
        if owner is not None and (edge := self.place.edge(owner)) is not None:
            return _property(edge, "edge", expression.name)
        if owner is not None and (row := self.place.row(owner)) is not None:
            return _property(row[1], row[0], expression.name)
        unit = self.value(expression.of)
        if unit is None:
            return _property({"labels": []}, "unit", expression.name)
        if not isinstance(unit, Unit):
            raise UnsupportedError(f"no unit: {expression.of}")
        return _property(self.place.graphs.network.nodes[unit.key], "unit", expression.name)

    def _path(self, expression: s.Expression) -> str | None:
        path = dotted(expression)
        return None if path is None else self.environment.prefix + path

    def _mapped(self, expression: s.Call) -> Unit | None:
        """T(a) as a value: where the map's row leads, or missing."""
        applied = map_of(expression.function, self.environment)
        of = self.value(expression.arguments[0])
        if of is None or applied is None:
            return None if of is None else _unit(of)
        if applied.name == "analog":
            if applied.rank != 1:
                raise UnsupportedError("a choice of analogues is no value")
            applied = Map("analog", rank=1, model=str(constant(expression.arguments[1], self.environment)))
        rows = rows_under(self.place.graphs, applied, _unit(of).key)
        return Unit(rows[0]["target"]) if rows else None

    def _compared(self, comparison: s.Binary) -> bool:
        sides = (comparison.left, comparison.right)
        if comparison.operator in ("=", "!=") and any(isinstance(side, s.Missing) for side in sides):
            (asked,) = (side for side in sides if not isinstance(side, s.Missing))
            value = self.value(asked)
            return (value is None or value == Labels(())) == (comparison.operator == "=")
        left = self.value(comparison.left)
        if comparison.operator == "in":
            assert isinstance(comparison.right, s.ListOf)
            items = [self.value(item) for item in comparison.right.items]
            return any(_compare("=", left, item) for item in items)
        return _compare(comparison.operator, left, self.value(comparison.right))

    def _arithmetic(self, expression: s.Binary) -> float | None:
        left, right = self._number(expression.left), self._number(expression.right)
        if left is None or right is None:
            return None
        match expression.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
        return None if right == 0 else left / right

    def _function(self, name: str, arguments: tuple[s.Expression, ...]) -> Any:
        if name in AGGREGATES and len(arguments) == 1:
            return self._aggregate(name, arguments[0])
        if name == "agreement":
            return cosine(self._kernel(arguments[0]), self._kernel(arguments[1]))
        if name == "sign":
            path = self._path(arguments[0])
            edge = None if path is None else self.place.edge(path)
            if edge is not None:
                return -1.0 if edge["weight"] < 0 else 1.0
        values = [self._number(argument) for argument in arguments]
        if None in values:
            return None
        numbers = [value for value in values if value is not None]
        match name:
            case "abs":
                return abs(numbers[0])
            case "sign":
                return float((numbers[0] > 0) - (numbers[0] < 0))
        return min(numbers) if name == "min" else max(numbers)

    def _aggregate(self, name: str, argument: s.Expression) -> float | None:
        path = self._path(argument)
        if name == "count" and path is not None and (count := self.place.counted(path)) is not None:
            return float(count)
        edges = self.place.circuit_edges()
        values = [Evaluation(self.condition, self.place, edge, "edge").value(argument) for edge in edges]
        if name == "count" and _is_condition(argument):
            return float(sum(value is True for value in values))
        if None in values:
            return None
        match name:
            case "count":
                return float(len(values))
            case "sum":
                return sum(values, 0.0)
        return (min if name == "min" else max)(values, default=None)

    def _kernel(self, expression: s.Expression) -> Kernel | None:
        path = self._path(expression)
        if path is not None:
            edge = self.place.edge(path)
            if edge is None:
                raise UnsupportedError(f"no edge {path}")
            return kernel_of(edge)
        assert isinstance(expression, s.Call)
        kernel = self._kernel(expression.arguments[0])
        applied = map_of(expression.function, self.environment)
        if kernel is None or applied is None:
            return kernel
        return moved(kernel, applied.name, float(applied.angle or 0))


def _unit(value: Any) -> Unit:
    if not isinstance(value, Unit):
        raise UnsupportedError(f"no unit: {value}")
    return value


def _property(record: Record, bare: str, name: str) -> Any:
    if name not in PROPERTIES[bare]:
        raise UnsupportedError(f"no property {name} of {bare}")
    if bare == "unit" and name == "label":
        return Labels(tuple(record["labels"]))
    value = record.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_condition(expression: s.Expression) -> bool:
    match expression:
        case s.Binary(operator=operator):
            return operator in COMPARISONS
        case s.Logical() | s.Boolean() | s.Unary(operator="not"):
            return True
    return False


def _alternatives(value: Any) -> tuple[Any, ...]:
    return value.texts if isinstance(value, Labels) else (value,)


def _compare(operator: str, left: Any, right: Any) -> bool:
    pairs = itertools.product(_alternatives(left), _alternatives(right))
    return any(_compare_plain(operator, one, other) for one, other in pairs)


def _compare_plain(operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    kinds = {str if isinstance(value, str) else type(value) for value in (left, right)}
    if len(kinds) > 1 or (operator == "~" and kinds != {str}):
        raise UnsupportedError(f"{left!r} {operator} {right!r}")
    match operator:
        case "=":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
    return bool(right.casefold() in left.casefold())


def parts(expression: s.Expression) -> Iterator[s.Expression]:
    """The expression and all that is in it."""
    yield expression
    match expression:
        case s.Attribute(of=of):
            yield from parts(of)
        case s.Call(arguments=arguments):
            for argument in arguments:
                yield from parts(argument)
        case s.ListOf(items=items) | s.Logical(operands=items):
            for item in items:
                yield from parts(item)
        case s.Unary(operand=operand):
            yield from parts(operand)
        case s.Binary(left=left, right=right):
            yield from parts(left)
            yield from parts(right)
