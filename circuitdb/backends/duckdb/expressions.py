"""Expressions of a Pattern as SQL: conditions are true, false or NULL, values are NULL where missing.

A `Frame` (emitter.py) is an `Expressions` that knows which columns stand for units, edges and rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from sqlglot import exp

from circuitdb.backends.duckdb.schema import folded
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import NeededAgreement, needed_agreement
from circuitdb.pattern.analysis import counted_named, is_double, is_label, never_missing
from circuitdb.pattern.maps import ANALOG


class Parameters:
    """Bound values by the names that stand for them in the SQL, equal values under one name; and agreements needed."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.agreements: list[NeededAgreement] = []
        self._names: dict[tuple[type, object], str] = {}

    def bind(self, value: float | str | bool | int) -> exp.Expr:
        """The placeholder of a value."""
        name = self._names.setdefault((type(value), value), f"p{len(self._names) + 1}")
        self.values[name] = value
        return exp.Placeholder(this=name)


class Expressions(ABC):
    """What a body's conditions and values say, given what stands for its units, edges and rows."""

    parameters: Parameters
    body: p.Body
    around: Expressions | None

    @abstractmethod
    def unit(self, name: str) -> exp.Expr:
        """The column with a unit's id."""

    @abstractmethod
    def edge(self, name: str) -> str:
        """The alias of an edge's table."""

    @abstractmethod
    def row(self, name: str) -> str:
        """The alias of a row's table."""

    @abstractmethod
    def unit_table(self, name: str) -> str:
        """The alias of the table of units for a unit."""

    @abstractmethod
    def alias(self, kind: str) -> str:
        """A new alias."""

    @abstractmethod
    def bodies_around(self) -> list[p.Body]:
        """The bodies around this one."""

    @abstractmethod
    def how_many(self, counted: p.Counted) -> exp.Expr:
        """How many units fulfil a counted body."""

    @abstractmethod
    def to_model(self, alias: str, model: str | None) -> exp.Expr:
        """The condition that a row of analogues leads to a model."""

    # conditions: true, or false, or NULL where something is missing, which WHERE takes for false

    def condition(self, condition: p.Expression) -> exp.Expr:
        """A condition of the pattern as a boolean of SQL; NULL stands for false."""
        match condition:
            case p.Constant(value=value):
                return exp.true() if value else exp.false()
            case p.And(operands=operands):
                return exp.paren(exp.and_(*(self.condition(o) for o in operands), copy=False), copy=False)
            case p.Or(operands=operands):
                return exp.paren(exp.or_(*(self.condition(o) for o in operands), copy=False), copy=False)
            case p.Not(operand=operand):
                return exp.paren(exp.Not(this=is_true(self.condition(operand))), copy=False)
            case p.Truth(value=value):
                return self.value(value)
            case p.IsMissing(value=value):
                return self._is_missing(value)
            case p.Compare(operator=operator, left=left, right=right):
                comparison = _COMPARISONS[operator]
                return self._over_labels((left, right), lambda a, b: comparison(this=a, expression=b), fold=False)
            case p.Contains(left=left, right=right):
                return self._over_labels((left, right), lambda a, b: exp.func("contains", a, b, copy=False), fold=True)
            case p.OneOf(value=value, items=items):
                if not items:
                    return exp.false()
                if any(map(is_label, items)):
                    return self.condition(p.Or(tuple(p.Compare("=", value, item) for item in items)))
                return self._over_labels((value, *items), lambda first, *rest: among(first, list(rest)), fold=False)
        return is_true(self.value(condition))

    def _is_missing(self, value: p.Expression) -> exp.Expr:
        if is_label(value):
            _, table, where = self._label(value)
            return exp.Not(this=exp.Exists(this=select_of([exp.Literal.number(1)], [table], [where])))
        if never_missing(value):
            return exp.false()
        return exp.Is(this=self.value(value), expression=exp.null())

    def _over_labels(self, values: Sequence[p.Expression], compare: Callable[..., exp.Expr], *, fold: bool) -> exp.Expr:
        """A comparison; where a side is a label, whether it holds for one of the unit's labels.

        Beside constants a list of units is asked for. `EXISTS` would break DuckDB 2.0 ("INTERNAL Error") within the
        count of a block, where it is about a unit of the body around and another subquery follows.
        """
        sides: list[exp.Expr] = []
        tables: list[exp.Expr] = []
        conditions: list[exp.Expr] = []
        for value in values:
            if is_label(value):
                alias, table, where = self._label(value)
                tables.append(table)
                conditions.append(where)
                sides.append(exp.column(folded("label") if fold else "label", alias))
            else:
                sides.append(self._folded(value) if fold else self.value(value))
        comparison = compare(*sides)
        if not tables:
            return comparison
        if len(tables) == 1 and all(is_label(value) or isinstance(value, p.Constant) for value in values):
            units = select_of([exp.column("unit_id", tables[0].alias)], tables, [comparison])
            return exp.In(this=conditions[0].expression, query=exp.Subquery(this=units))
        return exp.Exists(this=select_of([exp.Literal.number(1)], tables, [*conditions, comparison]))

    def _label(self, value: p.Expression) -> tuple[str, exp.Expr, exp.Expr]:
        assert isinstance(value, p.UnitProperty)
        alias = self.alias("l")
        table = aliased("label", alias)
        return alias, table, exp.EQ(this=exp.column("unit_id", alias), expression=self.value(value.of))

    # values: NULL where missing

    def value(self, value: p.Expression) -> exp.Expr:
        """A value of the pattern."""
        match value:
            case p.Constant(value=constant):
                return self.parameters.bind(constant)
            case p.UnitValue(unit=unit):
                return self.unit(unit)
            case p.MapValue():
                return self._map_value(value)
            case p.UnitProperty(of=of, name=name):
                return self._unit_property(of, name)
            case p.EdgeProperty(edge=edge, name=name):
                return exp.column(name, self.edge(edge))
            case p.RowProperty(row=row, name=name):
                return exp.column(name, self.row(row))
            case p.EdgeSign(edge=edge):
                below = exp.LT(this=exp.column("weight", self.edge(edge)), expression=exp.Literal.number(0))
                return exp.case().when(below, exp.Literal.number(-1)).else_(exp.Literal.number(1))
            case p.Negative(operand=operand):
                return exp.Neg(this=exp.paren(self.number(operand), copy=False))
            case p.Arithmetic(operator=operator, left=left, right=right):
                return self._arithmetic(operator, self.number(left), self.number(right))
            case p.Function(name=name, arguments=arguments):
                return self._function(name, arguments)
            case p.HowMany(conditions=conditions):
                return number_true([is_true(self.condition(c)) for c in conditions])
            case p.ListLength(unit=unit):
                return self.how_many(counted_named(unit, [*self.bodies_around(), self.body]))
            case p.Agreement():
                return self._agreement(value)
        return is_true(self.condition(value))

    def number(self, value: p.Expression) -> exp.Expr:
        """A value as a double, for arithmetic."""
        resolved = self.value(value)
        return resolved if is_double(value) else exp.cast(resolved, exp.DataType.Type.DOUBLE, copy=False)

    def _folded(self, value: p.Expression) -> exp.Expr:
        match value:
            case p.Constant(value=text):
                return self.parameters.bind(str(text).casefold())
            case p.UnitProperty(of=of, name=name):
                return self._unit_property(of, folded(name))
            case p.RowProperty(row=row, name=name):
                return exp.column(folded(name), self.row(row))
        raise AssertionError(f"{type(value).__name__} is no text")

    def _unit_property(self, of: p.UnitValue | p.MapValue, name: str) -> exp.Expr:
        if isinstance(of, p.UnitValue):
            return exp.column(name, self.unit_table(of.unit))
        alias = self.alias("u")
        table = aliased("unit", alias)
        same = exp.EQ(this=exp.column("id", alias), expression=self._map_value(of))
        return select_of([exp.column(name, alias)], [table], [same]).subquery(copy=False)

    def _map_value(self, value: p.MapValue) -> exp.Expr:
        alias = self.alias("m")
        from_unit = exp.EQ(this=exp.column("source", alias), expression=self.value(value.of))
        target = exp.column("target", alias)
        if value.map == ANALOG:
            table = aliased("analogue", alias)
            first = exp.EQ(this=exp.column("rank", alias), expression=exp.Literal.number(1))
            where = [from_unit, first, self.to_model(alias, value.model)]
            return select_of([target], [table], where).subquery(copy=False)
        table = aliased("map", alias)
        named = exp.EQ(this=exp.column("map", alias), expression=self.parameters.bind(value.map))
        return select_of([target], [table], [from_unit, named]).subquery(copy=False)

    def _arithmetic(self, operator: str, left: exp.Expr, right: exp.Expr) -> exp.Expr:
        if operator == "/":
            right = exp.func("nullif", right, exp.Literal.number(0), copy=False)
        node = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul, "/": exp.Div}[operator]
        return exp.paren(node(this=left, expression=right), copy=False)

    def _function(self, name: str, arguments: Sequence[p.Expression]) -> exp.Expr:
        if not arguments:
            return exp.Literal.number(0) if name in ("sum", "number") else exp.null()
        numbers = [self.number(argument) for argument in arguments]
        if name in ("abs", "sign"):
            return exp.func(name, numbers[0], copy=False)
        if name == "sum":
            total = numbers[0]
            for number in numbers[1:]:
                total = exp.Add(this=total, expression=number)
            return exp.paren(total)
        if name == "number":
            result: exp.Expr = exp.Literal.number(len(numbers))
        elif len(numbers) == 1:
            return numbers[0]
        else:
            result = exp.func("least" if name == "min" else "greatest", *numbers, copy=False)
        # LEAST and GREATEST pass over NULL; here one missing value makes the whole missing.
        gaps = [number for number, argument in zip(numbers, arguments, strict=True) if not never_missing(argument)]
        if not gaps:
            return result
        missing = exp.or_(*(exp.Is(this=number.copy(), expression=exp.null()) for number in gaps))
        return exp.case().when(missing, exp.null()).else_(result)

    def _agreement(self, value: p.Agreement) -> exp.Expr:
        known = needed_agreement(self.parameters.agreements, value, [*self.bodies_around(), self.body])
        alias = self.alias("a")
        table = aliased(known.name, alias)
        pairs = [
            (f"{side}_{end}", exp.column(end, self.edge(edge)))
            for side, edge in (("left", value.left), ("right", value.right))
            for end in ("source", "target")
        ]
        same = [exp.EQ(this=exp.column(name, alias), expression=column) for name, column in pairs]
        return select_of([exp.column("value", alias)], [table], same).subquery(copy=False)


def aliased(table: str, alias: str) -> exp.Table:
    """A table under an alias."""
    name = exp.TableAlias(this=exp.Identifier(this=alias, quoted=False))
    return exp.Table(this=exp.Identifier(this=table, quoted=False), alias=name)


def select_of(columns: Sequence[exp.Expr], tables: Sequence[exp.Expr], where: Sequence[exp.Expr]) -> exp.Select:
    """SELECT columns FROM tables WHERE all of the conditions; the expressions are taken, not copied."""
    select = exp.Select(expressions=list(columns))
    for i, table in enumerate(tables):
        if i == 0:
            select.from_(table, copy=False)
        else:
            select.append("joins", exp.Join(this=table, kind="CROSS"))
    return select.where(*where, copy=False) if where else select


_COMPARISONS = {"=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}


def is_true(condition: exp.Expr) -> exp.Expr:
    """A condition with NULL turned to false."""
    if isinstance(condition, exp.Boolean | exp.Exists):
        return condition
    return exp.paren(exp.Is(this=exp.paren(condition, copy=False), expression=exp.true()), copy=False)


def number_true(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """How many of the conditions are true."""
    one, zero = exp.Literal.number(1), exp.Literal.number(0)
    total: exp.Expr = zero
    for condition in conditions:
        total = exp.Add(this=total, expression=exp.case().when(condition, one.copy()).else_(zero.copy()))
    return exp.paren(total)


def among(value: exp.Expr, items: list[exp.Expr]) -> exp.Expr:
    """Whether a value is one of several."""
    if len(items) == 1:
        return exp.EQ(this=value, expression=items[0])
    return exp.In(this=value, expressions=items)
