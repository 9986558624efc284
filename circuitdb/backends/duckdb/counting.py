"""From a term of a plan for counting to SQL: each factor and each unit summed out is a common table expression."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from circuitdb.backends.duckdb.emitter import Frame, Models
from circuitdb.backends.duckdb.expressions import Parameters, select_of
from circuitdb.pattern.counting import Factor, Term


@dataclass(frozen=True)
class _Table:
    """A named table with a column for each unit and, where rows stand for several assignments, their number in `n`."""

    name: str
    units: tuple[str, ...]
    numbered: bool


def term_sql(term: Term, models: Models, parameters: Parameters) -> exp.Select:
    """The SELECT of one number: the assignments of a term in the one model searched."""
    columns = {unit: f"c{i}" for i, unit in enumerate(term.order)}
    steps: list[tuple[str, exp.Select]] = []
    tables: list[_Table] = []
    for i, factor in enumerate(term.factors, 1):
        frame = Frame(models, parameters, factor.body).build(different=())
        table = _Table(f"factor{i}", factor.units, False)
        own = [exp.alias_(frame.unit(unit), columns[unit], copy=False) for unit in factor.units]
        steps.append((table.name, frame.select(*own)))
        tables.append(table)
    for unit in term.order:
        joined = [table for table in tables if unit in table.units]
        kept = tuple(dict.fromkeys(u for table in joined for u in table.units if u != unit))
        summed = _Table(f"without_{columns[unit]}", kept, True)
        steps.append((summed.name, _summed_out(joined, kept, columns)))
        tables = [table for table in tables if unit not in table.units] + [summed]
    numbers = [exp.column("n", table.name) for table in tables]
    product: exp.Expr = exp.cast(numbers[0], exp.DataType.Type.INT128, copy=False)
    for number in numbers[1:]:
        product = exp.Mul(this=product, expression=number)
    query = select_of([product], [_named(table) for table in tables], [])
    for name, step in steps:
        query = query.with_(exp.TableAlias(this=exp.Identifier(this=name)), as_=step, copy=False)
    return query


def factor_sql(factor: Factor, models: Models, parameters: Parameters) -> tuple[exp.Select, list[int]]:
    """The SELECT of a factor's rows, and for each of its units which of the columns holds it.

    The columns stand in the order of their text, so that factors that differ only by their units have one SELECT.
    """
    frame = Frame(models, parameters, factor.body).build(different=())
    columns = [frame.unit(unit) for unit in factor.units]
    order = sorted(range(len(columns)), key=lambda i: columns[i].sql())
    select = frame.select(*(exp.alias_(columns[i], f"c{place}", copy=False) for place, i in enumerate(order)))
    return select, [order.index(i) for i in range(len(columns))]


def _summed_out(joined: list[_Table], kept: tuple[str, ...], columns: dict[str, str]) -> exp.Select:
    first: dict[str, str] = {}
    same: list[exp.Expr] = []
    for table in joined:
        for u in table.units:
            if u in first:
                here, there = (exp.column(columns[u], name) for name in (table.name, first[u]))
                same.append(exp.EQ(this=here, expression=there))
            else:
                first[u] = table.name
    numbers = [exp.column("n", table.name) for table in joined if table.numbered]
    number: exp.Expr = exp.Count(this=exp.Star())
    if numbers:
        product: exp.Expr = numbers[0]
        for other in numbers[1:]:
            product = exp.Mul(this=product, expression=other)
        number = exp.func("coalesce", exp.Sum(this=product), exp.Literal.number(0), copy=False)
    keys = [exp.alias_(exp.column(columns[u], first[u]), columns[u], copy=False) for u in kept]
    select = select_of([*keys, exp.alias_(number, "n", copy=False)], [_named(table) for table in joined], same)
    return select.group_by(*(exp.column(columns[u], first[u]) for u in kept), copy=False)


def _named(table: _Table) -> exp.Expr:
    return exp.Table(this=exp.Identifier(this=table.name))
