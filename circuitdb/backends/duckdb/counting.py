"""From a term of a plan for counting to SQL: each factor and each unit summed out is a common table expression."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from circuitdb.backends.duckdb.emitter import Frame, Models, Parameters
from circuitdb.pattern.counting import Term


@dataclass(frozen=True)
class _Table:
    """A named table with a column for each unit and, where rows stand for several assignments, their number in `n`."""

    name: str
    units: tuple[str, ...]
    numbered: bool


def term_sql(term: Term, models: Models, parameters: Parameters) -> exp.Select:
    """The SELECT of one number: the assignments of a term in the one model searched."""
    columns = {unit: f"c{i}" for i, unit in enumerate(term.order)}
    query = exp.select()
    tables: list[_Table] = []
    for i, factor in enumerate(term.factors, 1):
        frame = Frame(models, parameters, factor.body).build(different=())
        table = _Table(f"factor{i}", factor.units, False)
        select = frame.select(*(exp.alias_(frame.unit(unit), columns[unit]) for unit in factor.units))
        query = query.with_(table.name, as_=select)
        tables.append(table)
    for unit in term.order:
        joined = [table for table in tables if unit in table.units]
        kept = tuple(dict.fromkeys(u for table in joined for u in table.units if u != unit))
        summed = _Table(f"without_{columns[unit]}", kept, True)
        query = query.with_(summed.name, as_=_summed_out(joined, kept, columns))
        tables = [table for table in tables if unit not in table.units] + [summed]
    numbers = [exp.column("n", table.name) for table in tables]
    product: exp.Expr = exp.cast(numbers[0], "HUGEINT")
    for number in numbers[1:]:
        product = exp.Mul(this=product, expression=number)
    query = query.select(product).from_(tables[0].name)
    for table in tables[1:]:
        query = query.join(table.name, join_type="cross")
    return query


def _summed_out(joined: list[_Table], kept: tuple[str, ...], columns: dict[str, str]) -> exp.Select:
    first: dict[str, str] = {}
    select = exp.select().from_(joined[0].name)
    for table in joined:
        same = [
            exp.EQ(this=exp.column(columns[u], table.name), expression=exp.column(columns[u], first[u]))
            for u in table.units
            if u in first
        ]
        if table is not joined[0]:
            select = select.join(table.name, on=exp.and_(*same)) if same else select.join(table.name, join_type="cross")
        for u in table.units:
            first.setdefault(u, table.name)
    numbers = [exp.column("n", table.name) for table in joined if table.numbered]
    number: exp.Expr = exp.Count(this=exp.Star())
    if numbers:
        product: exp.Expr = numbers[0]
        for other in numbers[1:]:
            product = exp.Mul(this=product, expression=other)
        number = exp.func("coalesce", exp.Sum(this=product), exp.Literal.number(0))
    keys = [exp.column(columns[u], first[u]) for u in kept]
    select = select.select(*(exp.alias_(key, columns[u]) for u, key in zip(kept, keys, strict=True)))
    return select.select(exp.alias_(number, "n")).group_by(*(key.copy() for key in keys))
