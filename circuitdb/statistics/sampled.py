"""What a query finds in samples of a null: how many circuits, and the scores of the strongest.

In come a graph, a query and samples, out come numbers. Where the query allows it, rows of edges are chosen once, on the
observed graph, and a sample only moves their ends; a part that a sample changes otherwise is asked of a database in
memory that holds the sample; and what cannot be counted without listing is counted there as in any store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from circuitdb.backends.base import Limits, ModelGraph
from circuitdb.backends.duckdb import algebra, files, rows, search
from circuitdb.backends.duckdb.counting import factor_sql
from circuitdb.backends.duckdb.emitter import Frame, Models
from circuitdb.backends.duckdb.expressions import Parameters
from circuitdb.backends.duckdb.interrupting import fetch_integers
from circuitdb.backends.duckdb.search import Compiled
from circuitdb.pattern import model as p
from circuitdb.pattern.counting import CountPlan, Factor, Term, count_plan
from circuitdb.statistics.nulls import OBSERVED, Integers, Sample

_UNLIMITED = Limits(rows=None, seconds=None)
_ALWAYS_READ = ("kind", "source", "target", "weight")
_KERNEL = ("kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")


class StoppedError(Exception):
    """The work was called off."""


@dataclass(frozen=True)
class _Known:
    """Rows of a factor that are the same in every sample: [unit of the factor][row]."""

    columns: Sequence[Integers]


@dataclass(frozen=True)
class _Moved:
    """Edges that are the rows of a factor in every sample, and the places of their source and target in its units."""

    edges: Integers
    source: int
    target: int


@dataclass(frozen=True)
class _Asked:
    """A SELECT of a factor's rows, and which of its columns holds each unit."""

    select: Compiled
    places: Sequence[int]


_Way = _Known | _Moved | _Asked


@dataclass(frozen=True)
class Search:
    """How one query is counted on samples of one graph. `plan` is None where circuits are listed."""

    graph: ModelGraph
    query: p.Query
    plan: CountPlan | None
    ways: Mapping[Factor, _Way]
    sources: Integers
    targets: Integers

    @property
    def way(self) -> str:
        """How circuits are counted, in words."""
        if self.plan is None:
            return "listed in each sample"
        asked = any(isinstance(way, _Asked) for way in self.ways.values())
        return "parts read from each sample, multiplied" if asked else "edges chosen once, moved, multiplied"


def prepared(graph: ModelGraph, query: p.Query, null: str) -> Search:
    """A query made ready for samples of a null: `edges`, in which edges get other sources, or `maps`."""
    sources, targets = (np.asarray(graph.edges[end]).astype(np.int64) for end in ("source", "target"))
    plan = count_plan(query.body, search.symmetry_for(query))
    if plan is not None:
        terms = tuple(replace(term, factors=tuple(_split(term.factors))) for term in plan.terms)
        plan = replace(plan, terms=terms) if all(map(algebra.fits, terms)) else None
    ways: dict[Factor, _Way] = {}
    if plan is not None:
        with SampledGraph(graph, query) as observed:
            for factor in dict.fromkeys(factor for term in plan.terms for factor in term.factors):
                ways[factor] = _way(factor, observed, null)
    return Search(graph, query, plan, ways, sources, targets)


def _way(factor: Factor, observed: SampledGraph, null: str) -> _Way:
    body = factor.body
    changing: tuple[type, ...] = (p.Edge,) if null == "edges" else (p.MapRow, p.MapValue)
    if null == "edges" and _is_moved(body):
        [edge] = body.edges
        parameters = Parameters()
        frame = Frame(observed.models, parameters, body).build(different=())
        select = frame.select(exp.column("number", frame.edge(edge.name)))
        [numbers] = observed.integers(search.compiled_select(select, parameters))
        return _Moved(np.sort(numbers), factor.units.index(edge.source), factor.units.index(edge.target))
    parameters = Parameters()
    select, places = factor_sql(factor, observed.models, parameters)
    asked = _Asked(search.compiled_select(select, parameters), places)
    if any(isinstance(node, changing) for node in _nodes(body)):
        return asked
    columns = observed.integers(asked.select)
    return _Known([columns[place] for place in places])


def _split(factors: Iterable[Factor]) -> Iterator[Factor]:
    """The factors; where one is an edge with conditions on its source alone, these become a factor of their own."""
    for factor in factors:
        body = factor.body
        if len(body.edges) != 1 or body.rows or body.absent or body.counted or body.choices:
            yield factor
            continue
        source = body.edges[0].source
        own = [condition for condition in _parts(body.conditions) if _named(condition) == {source}]
        if not own:
            yield factor
            continue
        rest = tuple(condition for condition in _parts(body.conditions) if condition not in own)
        unit = next(unit for unit in body.units if unit.name == source)
        yield Factor(replace(body, conditions=rest, from_around=0))
        yield Factor(p.Body(units=(replace(unit, layers=()),), conditions=tuple(own)))


def _parts(conditions: Iterable[p.Expression]) -> Iterator[p.Expression]:
    """The conditions, those joined by `and` apart."""
    for condition in conditions:
        if isinstance(condition, p.And):
            yield from _parts(condition.operands)
        else:
            yield condition


def _named(condition: p.Expression) -> set[str]:
    """The units, edges and rows that a condition names."""
    names = set()
    for node in _nodes(condition):
        match node:
            case p.UnitValue(unit=name) | p.EdgeProperty(edge=name) | p.EdgeSign(edge=name) | p.RowProperty(row=name):
                names.add(name)
    return names


def _is_moved(body: p.Body) -> bool:
    """Whether the rows are edges that stay in the factor whatever their source is."""
    if len(body.edges) != 1 or len(body.units) != 2 or body.rows or body.absent or body.counted or body.choices:
        return False
    edge = body.edges[0]
    return not any(
        edge.source in _named(condition)
        or any(isinstance(node, p.EdgeProperty) and node.name == "rank_out" for node in _nodes(condition))
        for condition in body.conditions
    )


class Counter:
    """Counts on sample after sample; one for each thread, which keeps a database of its own where it needs one."""

    def __init__(self, search_: Search, go_on: Callable[[], bool] = lambda: True) -> None:
        self._search = search_
        self._go_on = go_on
        self._memory: SampledGraph | None = None

    def close(self) -> None:
        """Drop the database."""
        if self._memory is not None:
            self._memory.close()

    def count(self, sample: Sample) -> int:
        """How many circuits the sample holds.

        Raises
        ------
        StoppedError
            If `go_on` says no.
        """
        plan = self._search.plan
        total = 0
        for term in plan.terms if plan is not None else ():
            number = algebra.assignments(term, self._rows(term, sample), self._go_on)
            if not self._go_on():
                raise StoppedError
            if number is None:
                return self.listed(sample)
            total += term.coefficient * number
        return self.listed(sample) if plan is None else total // plan.symmetries

    def listed(self, sample: Sample) -> int:
        """The same, counted as a store counts."""
        return search.count(self._holding(sample), self._search.query, _UNLIMITED)

    def scores(self, sample: Sample, at_least: float) -> npt.NDArray[np.float64]:
        """The scores of the sample's circuits that score so high."""
        return search.scores(self._holding(sample), self._search.query, at_least)

    def _rows(self, term: Term, sample: Sample) -> list[Sequence[Integers]]:
        return [self._rows_of(self._search.ways[factor], sample) for factor in term.factors]

    def _rows_of(self, way: _Way, sample: Sample) -> Sequence[Integers]:
        match way:
            case _Known(columns=columns):
                return columns
            case _Moved(edges=edges):
                sources = self._search.sources if sample.source is None else sample.source
                both = {way.source: sources[edges], way.target: self._search.targets[edges]}
                return [both[0], both[1]]
            case _Asked(select=select, places=places):
                columns = self._holding(sample).integers(select)
                return [columns[place] for place in places]

    def _holding(self, sample: Sample) -> SampledGraph:
        if self._memory is None:
            self._memory = SampledGraph(self._search.graph, self._search.query)
        self._memory.hold(sample)
        return self._memory


class SampledGraph:
    """A database in memory that holds one model, its edges and maps as a sample has them.

    Edges have the properties that the query names, and `number`, their row in the observed graph.
    """

    def __init__(self, graph: ModelGraph, query: p.Query) -> None:
        self.models = Models({graph.name: 0}, (0,), True)
        self._connection = files.in_memory()
        tables = rows.rows_of(replace(graph, dense={}, segments=None, examples=None, signatures=None))
        for name, table in tables.items():
            if name not in ("edge", "map"):
                rows.insert(self._connection, name, table, 0, 0, 0)
        self._edges = _edge_table(graph, query)
        self._maps = tables.get("map")
        self._held: Sample | None = None
        self.hold(OBSERVED)

    def __enter__(self) -> SampledGraph:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop it."""
        self._connection.close()

    def hold(self, sample: Sample) -> None:
        """Hold this sample in the place of the one before."""
        before, self._held = self._held, sample
        if sample is before:
            return
        if before is None or sample.source is not before.source or sample.rank_out is not before.rank_out:
            edges = _with(self._edges, source=sample.source, rank_out=sample.rank_out)
            self._connection.register("incoming", edges)
            files.fetch(self._connection, "CREATE OR REPLACE TABLE edge AS SELECT * FROM incoming")
            self._connection.unregister("incoming")
        if self._maps is not None and (before is None or sample.map_source is not before.map_source):
            files.fetch(self._connection, "DELETE FROM map")
            table = _with(self._maps, source=sample.map_source, target=sample.map_target)
            rows.insert(self._connection, "map", table, 0, 0, 0)

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection."""
        yield self._connection

    def integers(self, select: Compiled) -> list[Integers]:
        """The columns of a SELECT that brings integers."""
        return fetch_integers(self._connection, select.sql, select.parameters)


def _edge_table(graph: ModelGraph, query: p.Query) -> pa.Table:
    """The edges with what a query reads of them, and their number."""
    named = {node.name for node in _nodes((query.body, query.score)) if isinstance(node, p.EdgeProperty)}
    if any(isinstance(node, p.Agreement) for node in _nodes((query.body, query.score))):
        named |= set(_KERNEL)
    count = graph.edges.num_rows
    columns = {name: graph.edges[name] for name in graph.edges.column_names if name in {*_ALWAYS_READ, *named}}
    for missing in named - set(columns):
        is_list = missing == "kernel"
        columns[missing] = pa.nulls(count, pa.list_(pa.float32()) if is_list else pa.float64())
    columns["number"] = pa.array(np.arange(count), pa.int32())
    columns["model_id"] = pa.array(np.zeros(count), pa.int32())
    return pa.table(columns)


def _nodes(part: Any) -> Iterator[p.Expression]:
    """All parts of a part of a pattern."""
    return p.subexpressions(part)


def _with(table: pa.Table, **columns: Integers | None) -> pa.Table:
    for name, values in columns.items():
        if values is not None and name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.int32()))
    return table
