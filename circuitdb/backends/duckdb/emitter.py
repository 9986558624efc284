"""From a Query to SQL, as SQLGlot expressions with bound parameters.

`Compiled.build` takes the query and the ids of the models in the file. A body of the pattern becomes the FROM and WHERE
of one SELECT, its inner bodies become correlated subqueries. A unit is a number, its id; ids of one model stand in key
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from sqlglot import exp

from circuitdb.backends.duckdb.expressions import (
    Expressions,
    Parameters,
    aliased,
    among,
    is_true,
    number_true,
)
from circuitdb.backends.duckdb.joins import DEGREE, WIDTH, Relation, joined
from circuitdb.graph import EdgeKind
from circuitdb.pattern import model as p
from circuitdb.pattern.analysis import components
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


@dataclass
class Frame(Expressions):
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
                self.where.append(among(column, [self.parameters.bind(layer) for layer in layers]))
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
        conditions = [is_true(condition) for condition in alone]
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
            self.where += [best, self.to_model(alias, row.model)]
        else:
            self._add_table("map", alias)
            self.where.append(exp.EQ(this=exp.column("map", alias), expression=self.parameters.bind(row.map)))
        self._place(row.source, alias, "source")
        self._place(row.target, alias, "target")

    def to_model(self, alias: str, model: str | None) -> exp.Expr:
        """The condition that a row of analogues leads to a model."""
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
            self.where.append(among(column, [self.parameters.bind(i) for i in ids]))
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
        return self._quantity(choice.quantity, number_true([self.fulfilled(b) for b in choice.bodies]), choice.count)

    def _quantity(self, quantity: p.Quantity, number: exp.Expr, count: float) -> exp.Expr:
        comparison = {"at least": exp.GTE, "exactly": exp.EQ, "at most": exp.LTE}[quantity]
        return comparison(this=number, expression=self.parameters.bind(int(count)))

    def _excluded(self, exclusion: Exclusion) -> exp.Expr:
        less = exp.LT(this=self.unit(exclusion.lesser), expression=self.unit(exclusion.unit))
        return exp.Not(this=exp.paren(exp.and_(less, self.fulfilled(exclusion.conditions), copy=False), copy=False))


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
        case exp.In() if not condition.args.get("query"):
            return 0.2
        case exp.In() | exp.Exists():
            return 0.1
        case exp.NEQ() | exp.Not():
            return 0.9
    return 0.5


def _aliases(condition: exp.Expr, own: Set[str]) -> set[str]:
    """Which of these tables a condition names."""
    return {column.table for column in condition.find_all(exp.Column)} & own
