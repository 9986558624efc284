"""From a Query to SQL, as SQLGlot expressions with bound parameters.

`Compiled.build` takes the query and the ids of the models in the file. A body of the pattern becomes the FROM and WHERE
of one SELECT, its inner bodies become correlated subqueries. A unit is a number, its id; ids of one model stand in key
order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from sqlglot import exp

from circuitdb.backends.duckdb.joins import DEGREE, WIDTH, Relation, joined
from circuitdb.backends.duckdb.schema import folded
from circuitdb.graph import EdgeKind
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import NeededAgreement, candidates_of
from circuitdb.pattern.analysis import components, is_double, is_label, never_missing
from circuitdb.pattern.differences import differences
from circuitdb.pattern.maps import ANALOG
from circuitdb.pattern.symmetry import Exclusion, Symmetry


@dataclass(frozen=True)
class Models:
    """The ids of the models in the file, and those searched; `everything` if that is all there are."""

    ids: Mapping[str, int]
    searched: tuple[int, ...]
    everything: bool

    @staticmethod
    def of(query: p.Query, ids: Mapping[str, int]) -> Models:
        """The models that a query searches; names that are not there search nothing."""
        searched = tuple(ids[name] for name in (ids if query.models is None else query.models) if name in ids)
        return Models(ids, searched, len(searched) == len(ids))


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


@dataclass
class Frame:
    """One body as FROM items and WHERE conditions; what it does not know it asks the frame around it."""

    models: Models
    parameters: Parameters
    body: p.Body
    around: Frame | None = None
    tables: list[exp.Table] = field(default_factory=list)
    where: list[exp.Expr] = field(default_factory=list)
    _places: dict[str, dict[str, exp.Expr]] = field(default_factory=dict)
    _columns: dict[str, exp.Expr] = field(default_factory=dict)
    _unit_tables: dict[str, str] = field(default_factory=dict)
    _edges: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, str] = field(default_factory=dict)
    _numbers: list[int] = field(default_factory=list)

    # what stands for units, edges and rows

    def bodies_around(self) -> list[p.Body]:
        """The bodies around this one, the outermost first."""
        return [] if self.around is None else [*self.around.bodies_around(), self.around.body]

    def alias(self, kind: str) -> str:
        """A table alias that is new in the whole query."""
        if self.around is not None:
            return self.around.alias(kind)
        self._numbers.append(0)
        return f"{kind}{len(self._numbers)}"

    def unit(self, name: str) -> exp.Expr:
        """The id of a unit."""
        if name in self._columns:
            return self._columns[name].copy()
        assert self.around is not None, name
        return self.around.unit(name)

    def edge(self, name: str) -> str:
        """The alias of an edge's table."""
        if name in self._edges:
            return self._edges[name]
        assert self.around is not None, name
        return self.around.edge(name)

    def row(self, name: str) -> str:
        """The alias of a map row's table."""
        if name in self._rows:
            return self._rows[name]
        assert self.around is not None, name
        return self.around.row(name)

    def unit_table(self, name: str) -> str:
        """The alias of a table with the unit's properties, joined when first asked for."""
        if name in self._unit_tables:
            return self._unit_tables[name]
        if name not in self._columns and self.around is not None:
            return self.around.unit_table(name)
        alias = self.alias("u")
        self._unit_tables[name] = alias
        self._add_table("unit", alias)
        self._place(name, alias, "id")
        return alias

    def _add_table(self, table: str, alias: str) -> None:
        self.tables.append(aliased(table, alias))

    def add_rows(self, table: str, columns: Mapping[str, str]) -> None:
        """Keep to the rows of a table, whose columns hold units."""
        self._add_table(table, table)
        for unit, column in columns.items():
            self._place(unit, table, column)

    def _place(self, unit: str, alias: str, name: str) -> None:
        """Let a column stand for a unit, beside those that do already."""
        column = exp.column(name, alias)
        here = self._places.setdefault(alias, {})
        if all(unit != known.name for known in self.body.units) or unit in here:
            self.where.append(exp.EQ(this=column, expression=here[unit].copy() if unit in here else self.unit(unit)))
        else:
            here[unit] = column
            self._columns.setdefault(unit, column)

    # the body

    def build(self, symmetry: Symmetry | None = None, different: Sequence[tuple[str, str]] | None = None) -> Frame:
        """Fill FROM and WHERE; `different`: the pairs of own units to compare, by default all that must be."""
        for edge in self.body.edges:
            self._add_edge(edge)
        for row in self.body.rows:
            self._add_row(row)
        for unit in self.body.units:
            if unit.name not in self._columns:
                alias = self.alias("u")
                self._add_table("unit", alias)
                self._place(unit.name, alias, "id")
                self._unit_tables[unit.name] = alias
        self._keep_to_models()
        for unit in self.body.units:
            for layers in unit.layers:
                column = exp.column("layer", self.unit_table(unit.name))
                self.where.append(self._among(column, [self.parameters.bind(layer) for layer in layers]))
        known = symmetry.orderings if symmetry is not None else ()
        for first, second in known:
            self.where.append(exp.LT(this=self.unit(first), expression=self.unit(second)))
        pairs = differences(self.body, self.bodies_around(), known) if different is None else different
        for first, second in pairs:
            self.where.append(exp.NEQ(this=self.unit(first), expression=self.unit(second)))
        for condition in self.body.conditions:
            self.where.append(self.condition(condition))
        for absent in self.body.absent:
            self.where.append(exp.Not(this=self.fulfilled(absent)))
        for counted in self.body.counted:
            self.where.append(self._counted(counted))
        for choice in self.body.choices:
            self.where.append(self._choice(choice))
        for exclusion in symmetry.exclusions if symmetry is not None else ():
            self.where.append(self._excluded(exclusion))
        return self

    def select(self, *columns: exp.Expr) -> exp.Select:
        """The SELECT of the body."""
        return self._select_from(self.tables, self.where, columns)

    def fulfilled(self, body: p.Body) -> exp.Expr:
        """Whether an inner body can be fulfilled; never NULL."""
        inner = Frame(self.models, self.parameters, body, self).build()
        # Tables that nothing joins are asked for one by one: DuckDB would multiply them.
        alone, parts = inner._parts()
        conditions = [_true(condition) for condition in alone]
        for tables, where in parts:
            conditions.append(exp.Exists(this=inner._select_from(tables, where, [exp.Literal.number(1)])))
        if len(conditions) == 1:
            return conditions[0]
        return exp.paren(exp.and_(*conditions, copy=False), copy=False) if conditions else exp.true()

    def _select_from(
        self, tables: Sequence[exp.Table], where: Sequence[exp.Expr], columns: Sequence[exp.Expr]
    ) -> exp.Select:
        own = {table.alias for table in tables}
        factors = dict.fromkeys(own, 1.0)
        for condition in where:
            named = _aliases(condition, own)
            if len(named) == 1:
                factors[named.pop()] *= _part_of(condition)
        select = joined([Relation(t, self._places.get(t.alias, {}), _PARTS[t.name] * factors[t.alias]) for t in tables])
        select.set("expressions", list(columns))
        return select.where(*where, copy=False) if where else select

    def _parts(self) -> tuple[list[exp.Expr], list[tuple[list[exp.Table], list[exp.Expr]]]]:
        """Conditions on no table of the body, and the tables in groups that units or conditions join, with these."""
        group = {table.alias: table.alias for table in self.tables}

        def root(alias: str) -> str:
            while group[alias] != alias:
                alias = group[alias]
            return alias

        named = [_aliases(condition, set(group)) for condition in self.where]
        sharing: dict[str, list[str]] = {}
        for alias, places in self._places.items():
            for unit in places:
                sharing.setdefault(unit, []).append(alias)
        for first, *others in [*map(sorted, filter(None, named)), *sharing.values()]:
            for other in others:
                group[root(other)] = root(first)
        parts: dict[str, tuple[list[exp.Table], list[exp.Expr]]] = {}
        for table in self.tables:
            parts.setdefault(root(table.alias), ([], []))[0].append(table)
        for condition, aliases in zip(self.where, named, strict=True):
            if aliases:
                parts[root(min(aliases))][1].append(condition)
        return [c for c, aliases in zip(self.where, named, strict=True) if not aliases], list(parts.values())

    def how_many(self, counted: p.Counted) -> exp.Expr:
        """How many units fulfil a counted body."""
        inner = Frame(self.models, self.parameters, counted.body, self).build()
        return inner.select(exp.Count(this=exp.Distinct(expressions=[inner.unit(counted.unit)]))).subquery(copy=False)

    def units_of(self, counted: p.Counted) -> exp.Expr:
        """The units that fulfil a counted body, as a list in key order."""
        inner = Frame(self.models, self.parameters, counted.body, self).build()
        units = exp.func("list", exp.Distinct(expressions=[inner.unit(counted.unit)]))
        return exp.func("list_sort", inner.select(units).subquery(copy=False), copy=False)

    def model_id(self, unit: p.Unit) -> exp.Expr:
        """The id of a unit's model."""
        return exp.column("model_id", self.unit_table(unit.name))

    def _add_edge(self, edge: p.Edge) -> None:
        alias = self.alias("e")
        self._edges[edge.name] = alias
        self._add_table("edge", alias)
        kind = exp.column("kind", alias)
        skip = exp.Literal.string(EdgeKind.SKIP.value)
        if edge.sign == "never":
            self.where.append(exp.false())
        elif edge.skip:
            self.where.append(exp.EQ(this=kind, expression=skip))
            if edge.sign != "any":
                self.where.append(exp.false())
        elif edge.sign == "any":
            self.where.append(exp.NEQ(this=kind, expression=skip))
        else:
            wanted = EdgeKind.EXCITES if edge.sign == "excites" else EdgeKind.INHIBITS
            self.where.append(exp.EQ(this=kind, expression=exp.Literal.string(wanted.value)))
        self._place(edge.source, alias, "source")
        self._place(edge.target, alias, "target")

    def _add_row(self, row: p.MapRow) -> None:
        alias = self.alias("m")
        self._rows[row.name] = alias
        if row.map == ANALOG:
            self._add_table("analogue", alias)
            best = exp.LTE(this=exp.column("rank", alias), expression=self.parameters.bind(row.choices))
            self.where += [best, self._to_model(alias, row.model)]
        else:
            self._add_table("map", alias)
            self.where.append(exp.EQ(this=exp.column("map", alias), expression=self.parameters.bind(row.map)))
        self._place(row.source, alias, "source")
        self._place(row.target, alias, "target")

    def _to_model(self, alias: str, model: str | None) -> exp.Expr:
        model_id = self.models.ids.get(model or "", -1)
        return exp.EQ(this=exp.column("target_model_id", alias), expression=self.parameters.bind(model_id))

    # models

    def _keep_to_models(self) -> None:
        """Keep every connected part of the body in its model."""
        placed = {unit.name: unit.model for body in (*self.bodies_around(), self.body) for unit in body.units}
        columns: list[tuple[str, exp.Expr]] = []
        for edge in self.body.edges:
            columns.append((edge.source, exp.column("model_id", self._edges[edge.name])))
        for row in self.body.rows:
            name = "source_model_id" if row.map == ANALOG else "model_id"
            columns.append((row.source, exp.column(name, self._rows[row.name])))
        ends = {name for edge in self.body.edges for name in (edge.source, edge.target)}
        ends |= {name for row in self.body.rows for name in (row.source, row.target)}
        columns += [
            (unit.name, exp.column("model_id", self._unit_tables[unit.name]))
            for unit in self.body.units
            if unit.name not in ends
        ]
        # A condition on each table lets the store skip the rows of other models.
        for unit, column in columns:
            if placed[unit] is not None:
                ids: tuple[int, ...] = (self.models.ids.get(placed[unit] or "", -1),)
            elif self.models.everything and len(self.models.searched) != 1:
                continue
            else:
                ids = self.models.searched or (-1,)
            self.where.append(self._among(column, [self.parameters.bind(i) for i in ids]))
        if len(self.models.searched) > 1:
            self._one_model(placed, columns)

    def _one_model(self, placed: Mapping[str, str | None], columns: Sequence[tuple[str, exp.Expr]]) -> None:
        """Where several models are searched, keep the parts that no edge joins in one of them."""
        searched = [(unit, column) for unit, column in columns if placed[unit] is None]
        group = components(self.body)
        first: exp.Expr | None = self._searched_model()
        seen = set()
        if first is not None:
            outer = {name for name, _ in searched if not any(name == u.name for u in self.body.units)}
            seen = {group.get(name, name) for name in outer}
        for unit, column in searched:
            part = group.get(unit, unit)
            if part in seen:
                continue
            seen.add(part)
            if first is None:
                first = column
            else:
                self.where.append(exp.EQ(this=column.copy(), expression=first.copy()))

    def _searched_model(self) -> exp.Expr | None:
        """The model id of the circuit, from a frame around this one."""
        if self.around is None:
            return None
        for unit in self.around.body.units:
            if unit.model is None:
                return self.around.model_id(unit)
        return self.around._searched_model()

    # blocks

    def _counted(self, counted: p.Counted) -> exp.Expr:
        if counted.quantity == "at least" and counted.count == 0:
            return exp.true()
        if counted.quantity == "at least" and counted.count == 1:
            return self.fulfilled(counted.body)
        if counted.quantity != "at least" and counted.count == 0:
            return exp.Not(this=self.fulfilled(counted.body))
        return self._quantity(counted.quantity, self.how_many(counted), counted.count)

    def _choice(self, choice: p.Choice) -> exp.Expr:
        return self._quantity(choice.quantity, _number_true([self.fulfilled(b) for b in choice.bodies]), choice.count)

    def _quantity(self, quantity: p.Quantity, number: exp.Expr, count: float) -> exp.Expr:
        comparison = {"at least": exp.GTE, "exactly": exp.EQ, "at most": exp.LTE}[quantity]
        return comparison(this=number, expression=self.parameters.bind(int(count)))

    def _excluded(self, exclusion: Exclusion) -> exp.Expr:
        less = exp.LT(this=self.unit(exclusion.lesser), expression=self.unit(exclusion.unit))
        return exp.Not(this=exp.paren(exp.and_(less, self.fulfilled(exclusion.conditions), copy=False), copy=False))

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
                return exp.paren(exp.Not(this=_true(self.condition(operand))), copy=False)
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
                return self._over_labels(
                    (value, *items), lambda first, *rest: self._among(first, list(rest)), fold=False
                )
        return _true(self.value(condition))

    def _among(self, value: exp.Expr, items: list[exp.Expr]) -> exp.Expr:
        if len(items) == 1:
            return exp.EQ(this=value, expression=items[0])
        return exp.In(this=value, expressions=items)

    def _is_missing(self, value: p.Expression) -> exp.Expr:
        if is_label(value):
            _, table, where = self._label(value)
            return exp.Not(this=exp.Exists(this=select_of([exp.Literal.number(1)], [table], [where])))
        if never_missing(value):
            return exp.false()
        return exp.Is(this=self.value(value), expression=exp.null())

    def _over_labels(self, values: Sequence[p.Expression], compare: Callable[..., exp.Expr], *, fold: bool) -> exp.Expr:
        """A comparison; where a side is a label, whether it holds for one of the unit's labels."""
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
                return _number_true([_true(self.condition(c)) for c in conditions])
            case p.ListLength(unit=unit):
                return self.how_many(next(c for c in self._outermost().body.counted if c.unit == unit))
            case p.Agreement():
                return self._agreement(value)
        return _true(self.condition(value))

    def number(self, value: p.Expression) -> exp.Expr:
        """A value as a double, for arithmetic."""
        resolved = self.value(value)
        return resolved if is_double(value) else exp.cast(resolved, exp.DataType.Type.DOUBLE, copy=False)

    def _outermost(self) -> Frame:
        return self if self.around is None else self.around._outermost()

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
            where = [from_unit, first, self._to_model(alias, value.model)]
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
        known = next((n for n in self.parameters.agreements if n.value == value), None)
        if known is None:
            candidates = candidates_of([*self.bodies_around(), self.body])
            known = NeededAgreement(f"agreement{len(self.parameters.agreements) + 1}", value, candidates)
            self.parameters.agreements.append(known)
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


_PARTS = {"edge": DEGREE / WIDTH, "map": 0.5 / WIDTH, "analogue": 1 / WIDTH, "unit": 1.0, "page": 0.0}
"""Of all assignments of its units, the part that has a row in a table."""


def _part_of(condition: exp.Expr) -> float:
    """A guess at the part of a table's rows that a condition leaves."""
    match condition:
        case exp.EQ(this=exp.Column() as column):
            known = {"kind": 0.5, "model_id": 1.0, "target_model_id": 1.0, "map": 1.0}
            return known.get(column.name, 1 / WIDTH if isinstance(condition.expression, exp.Column) else 0.05)
        case exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return 0.3
        case exp.In():
            return 0.2
        case exp.Exists():
            return 0.1
        case exp.NEQ() | exp.Not():
            return 0.9
    return 0.5


def _aliases(condition: exp.Expr, own: Set[str]) -> set[str]:
    """Which of these tables a condition names."""
    return {column.table for column in condition.find_all(exp.Column)} & own


_COMPARISONS = {"=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}


def _true(condition: exp.Expr) -> exp.Expr:
    """A condition with NULL turned to false."""
    if isinstance(condition, exp.Boolean | exp.Exists):
        return condition
    return exp.paren(exp.Is(this=exp.paren(condition, copy=False), expression=exp.true()), copy=False)


def _number_true(conditions: Sequence[exp.Expr]) -> exp.Expr:
    one, zero = exp.Literal.number(1), exp.Literal.number(0)
    total: exp.Expr = zero
    for condition in conditions:
        total = exp.Add(this=total, expression=exp.case().when(condition, one.copy()).else_(zero.copy()))
    return exp.paren(total)
