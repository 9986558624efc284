"""Runs queries on the embedded store: SQL out, circuits in.

`find` asks for the ids of one page of circuits, then for the keys, lists and edges of just these; `count` asks for
a number only; `explain` shows the SQL. Time is bounded by interrupting the connection.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from circuitdb.backends.base import Explanation, Found, Limits
from circuitdb.backends.duckdb import algebra
from circuitdb.backends.duckdb.counting import factor_sql, term_sql
from circuitdb.backends.duckdb.emitter import Frame, Models
from circuitdb.backends.duckdb.expressions import Parameters
from circuitdb.backends.duckdb.interrupting import (
    SECONDS_BETWEEN_INTERRUPTS,
    Result,
    fetch_all,
    fetch_integers,
    fetch_table,
)
from circuitdb.backends.duckdb.matches import EdgeTable, Matches
from circuitdb.backends.duckdb.schema import quoted
from circuitdb.errors import CircuitdbError
from circuitdb.graph import Record, properties
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import KernelColumns, NeededAgreement, agreement_of_edges
from circuitdb.pattern.counting import Term, count_plan, plan_text
from circuitdb.pattern.describe import predicates
from circuitdb.pattern.symmetry import Symmetry, symmetry_of

_SECONDS_FOR_TOTAL = 1.0


class Readable(Protocol):
    """Where the tables of graphs are: a file, or a graph in memory."""

    def reading(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection for one operation."""


@dataclass(frozen=True)
class Compiled:
    """SQL with its parameters, and the tables of agreements that it reads."""

    sql: str
    parameters: Mapping[str, object]
    agreements: tuple[NeededAgreement, ...] = ()


def find(store: Readable, query: p.Query, limits: Limits) -> Found:
    """One page of circuits, in the query's order."""
    started = time.perf_counter()
    with store.reading() as connection, _in_memory(connection, limits.memory_mb):
        models = _models(connection, query)
        page = page_sql(query, models, limits.rows)
        with _bounded(connection, limits.seconds) as stopped:
            table = _fetch_by(fetch_table, connection, models, page)
            truncated = limits.rows is not None and table.num_rows > limits.rows
            shown = table.slice(0, limits.rows)
            matches = _matches(connection, query, models, shown) if shown.num_rows else []
        if stopped.is_set():
            return Found([], True, time.perf_counter() - started, "seconds")
        total: int | None = None if truncated else len(matches)
        if truncated:
            with _bounded(connection, _SECONDS_FOR_TOTAL) as late:
                total = _counted(connection, models, query, late)
    seconds = time.perf_counter() - started
    return Found(matches, truncated, seconds, "rows" if truncated else None, total)


def count(store: Readable, query: p.Query, limits: Limits) -> int:
    """How many circuits there are.

    Raises
    ------
    CircuitdbError
        If the time ran out, or the memory.
    """
    with store.reading() as connection, _in_memory(connection, limits.memory_mb):
        models = _models(connection, query)
        total: int | None = None
        with _bounded(connection, limits.seconds) as stopped:
            total = _counted(connection, models, query, stopped)
        if total is None:
            raise CircuitdbError(
                f"counting took longer than {limits.seconds:g} s; set a threshold, or allow more seconds"
            )
        return total


def scores(store: Readable, query: p.Query, at_least: float) -> npt.NDArray[np.float64]:
    """The scores of all circuits that score so high, whatever limit the query sets, in no order."""
    if query.score is None:
        return np.zeros(0)
    with store.reading() as connection:
        models = _models(connection, query)
        parameters = Parameters()
        frame = Frame(models, parameters, query.body).build(symmetry_for(query))
        # A least is high enough where all are; told so, the store can drop edges before it joins them.
        least = isinstance(query.score, p.Function) and query.score.name == "min"
        for value in query.score.arguments if least and isinstance(query.score, p.Function) else (query.score,):
            frame.where.append(exp.GTE(this=frame.number(value), expression=parameters.bind(float(at_least))))
        select = frame.select(exp.alias_(frame.number(query.score), "score", copy=False))
        table = _fetch_by(fetch_table, connection, models, compiled_select(select, parameters))
    return np.asarray(table["score"], dtype=np.float64)


def explain(store: Readable, query: p.Query) -> Explanation:
    """The SQL of a search and of a count."""
    with store.reading() as connection:
        models = _models(connection, query)
    page = page_sql(query, models, query.limit)
    plan = count_plan(query.body, symmetry_for(query))
    if plan is None:
        counting = f"list and count\n\n{_explained(_listed(query, models))}"
    else:
        way = "with sparse matrices, or where numbers grow too large by" if all(map(algebra.fits, plan.terms)) else "by"
        if len(models.searched) > 1:
            way += " (one model after the other; this is for the first)"
        first = list(_one_by_one(models))[:1]
        counting = "\n\n".join(
            [plan_text(plan), way, *(_explained(_term(term, alone)) for alone in first for term in plan.terms)]
        )
    rows = [{"predicate": text, "evaluated": "in the store"} for text in predicates(query.body)]
    return Explanation(page.sql, page.parameters, rows, counting)


def _explained(compiled: Compiled) -> str:
    """A statement and what its parameters stand for."""
    return f"{compiled.sql}\n\nwith {json.dumps(compiled.parameters)}" if compiled.parameters else compiled.sql


def page_sql(query: p.Query, models: Models, rows: int | None) -> Compiled:
    """The SQL of a page: unit ids in naming order, rows of `edge`, the score; one beyond the limit tells of more."""
    parameters = Parameters()
    symmetry = symmetry_for(query)
    frame = Frame(models, parameters, query.body).build(symmetry)
    units = [exp.alias_(frame.unit(unit.name), f"c{i}", copy=False) for i, unit in enumerate(query.body.units)]
    edges = [
        exp.alias_(exp.column("rowid", frame.edge(edge.name)), f"r{i}", copy=False)
        for i, edge in enumerate(query.body.edges)
    ]
    score = exp.null() if query.score is None else frame.number(query.score)
    columns = [*units, *edges, exp.alias_(score, "score", copy=False)]
    order: list[exp.Expr] = []
    if query.order is None and query.score is not None:
        order.append(exp.Ordered(this=exp.column("score"), desc=True, nulls_first=False))
    elif query.order is not None and query.order != "key":
        columns.append(exp.alias_(frame.value(query.order), "ranking", copy=False))
        order.append(exp.Ordered(this=exp.column("ranking"), desc=query.descending, nulls_first=False))
    down = query.order == "key" and query.descending
    order += [exp.Ordered(this=key, desc=down, nulls_first=False) for key in _keys(query, models, frame)]
    select = frame.select(*columns).order_by(*order, copy=False)
    if rows is not None:
        select = select.limit(rows + 1, copy=False)
    return compiled_select(select, parameters)


def _keys(query: p.Query, models: Models, frame: Frame) -> Iterator[exp.Expr]:
    """What orders circuits by the keys of their units, in naming order."""
    named_already = len(models.searched) == 1
    for i, unit in enumerate(query.body.units):
        if unit.model is None and not named_already:
            named_already = True
            yield exp.column("model", frame.unit_table(unit.name))
        yield exp.column(f"c{i}")


def _listed(query: p.Query, models: Models) -> Compiled:
    """The SQL of a count that lists the circuits."""
    parameters = Parameters()
    frame = Frame(models, parameters, query.body).build(symmetry_for(query))
    return compiled_select(frame.select(exp.Count(this=exp.Star())), parameters)


def _one_by_one(models: Models) -> Iterator[Models]:
    """Each of the models searched alone, as counting by a plan does."""
    for model in models.searched:
        yield replace(models, searched=(model,), everything=len(models.ids) == 1)


def _term(term: Term, models: Models) -> Compiled:
    parameters = Parameters()
    return compiled_select(term_sql(term, models, parameters), parameters)


def _counted(
    connection: duckdb.DuckDBPyConnection, models: Models, query: p.Query, stopped: threading.Event
) -> int | None:
    """How many circuits there are; None if the time is up."""
    plan = count_plan(query.body, symmetry_for(query))
    if plan is None:
        return int(_fetch(connection, models, _listed(query, models))[0][0])
    total = 0
    for alone in _one_by_one(models):
        known: dict[str, list[npt.NDArray[np.int64]]] = {}
        for term in plan.terms:
            number = _multiplied(connection, alone, term, known, stopped) if algebra.fits(term) else None
            if number is None and not stopped.is_set():
                number = int(_fetch(connection, alone, _term(term, alone))[0][0])
            if number is None:
                return None
            total += term.coefficient * number
    return total // plan.symmetries


def _multiplied(
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    term: Term,
    known: dict[str, list[npt.NDArray[np.int64]]],
    stopped: threading.Event,
) -> int | None:
    """A term counted with sparse matrices; `known`: rows fetched already, by their SQL."""
    rows = []
    for factor in term.factors:
        parameters = Parameters()
        select, places = factor_sql(factor, models, parameters)
        compiled = compiled_select(select, parameters)
        key = repr((compiled.sql, compiled.parameters, compiled.agreements))
        if key not in known:
            known[key] = _fetch_by(fetch_integers, connection, models, compiled)
        rows.append([known[key][place] for place in places])
    return algebra.assignments(term, rows, lambda: not stopped.is_set())


def symmetry_for(query: p.Query) -> Symmetry:
    """What each circuit once asks of a query's matches."""
    return Symmetry() if query.every_labelling else symmetry_of(query.body)


def compiled_select(select: exp.Expr, parameters: Parameters) -> Compiled:
    """A SELECT as text, with those of the parameters that it uses."""
    used = {placeholder.name for placeholder in select.find_all(exp.Placeholder)}
    bound = {name: value for name, value in parameters.values.items() if name in used}
    return Compiled(select.sql("duckdb", pretty=True, copy=False), bound, tuple(parameters.agreements))


def _models(connection: duckdb.DuckDBPyConnection, query: p.Query) -> Models:
    return Models.of(query, dict(connection.execute("SELECT name, id FROM model ORDER BY name").fetchall()))


def _matches(connection: duckdb.DuckDBPyConnection, query: p.Query, models: Models, page: pa.Table) -> Matches:
    """The circuits of a page."""
    units = query.body.units
    ids = [page[f"c{i}"] for i in range(len(units))]
    lists = _lists(connection, query, models, ids)
    rows = _flat([page[f"r{i}"] for i in range(len(query.body.edges))], pa.int64()).dictionary_encode()
    listed = [pa.array([unit for own in found for unit in own], pa.int32()) for found in lists.values()]
    keys = _unit_keys(connection, _flat([*ids, *listed], pa.int32()).unique())
    return Matches(
        {text: i for i, unit in enumerate(units) for text in unit.shown_as},
        _columns(_flat(ids, pa.int32()), page.num_rows),
        lists,
        _columns(rows.indices, page.num_rows),
        _flat([page["score"]], page["score"].type),
        keys,
        _edges(connection, rows.dictionary, keys),
        next((i for i, unit in enumerate(units) if unit.model is None), 0),
    )


def _flat(columns: Sequence[pa.ChunkedArray | pa.Array], type_: pa.DataType) -> pa.Array:
    """Columns below each other."""
    chunks = [c for column in columns for c in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]
    return pa.chunked_array(chunks, type_).combine_chunks()


def _columns(flat: pa.Array, rows: int) -> npt.NDArray[np.int32]:
    """Columns below each other as an array [row, column]."""
    columns: npt.NDArray[np.int32] = flat.to_numpy().reshape(-1, rows)
    return columns.T


def _lists(
    connection: duckdb.DuckDBPyConnection, query: p.Query, models: Models, ids: Sequence[pa.ChunkedArray]
) -> dict[str, list[list[int]]]:
    """For each counted block the ids of the units that fulfil it, in each circuit of a page."""
    if not query.body.counted:
        return {}
    parameters = Parameters()
    # What else the body asks for holds of every circuit of the page.
    joined = replace(query.body, conditions=(), absent=(), counted=(), choices=())
    frame = Frame(models, parameters, joined).build()
    names = [f"c{i}" for i in range(len(ids))]
    page = pa.table({"place": range(len(ids[0])), **dict(zip(names, ids, strict=True))})
    frame.add_rows("page", {unit.name: name for name, unit in zip(names, query.body.units, strict=True)})
    lists = [exp.alias_(frame.units_of(counted), f"l{i}") for i, counted in enumerate(query.body.counted)]
    place = exp.column("place", "page")
    compiled = compiled_select(frame.select(*lists).order_by(place, copy=False), parameters)
    with _registered(connection, "page", page):
        found = _fetch_by(fetch_table, connection, models, compiled)
    return {
        counted.unit: [own or [] for own in column.to_pylist()]
        for counted, column in zip(query.body.counted, found.columns, strict=True)
    }


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let statements read a table under a name."""
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def _agreements(connection: duckdb.DuckDBPyConnection, models: Models, needed: NeededAgreement) -> pa.Table:
    """The value of an agreement for every pair of edges that matches of the candidates hold."""
    parameters = Parameters()
    frame = Frame(models, parameters, needed.candidates).build()
    value = needed.value
    sides = (("left", value.left), ("right", value.right))
    names = ("source", "target", "kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")
    columns = [exp.alias_(exp.column(n, frame.edge(edge)), f"{side}_{n}") for side, edge in sides for n in names]
    keys = [exp.column(end, frame.edge(edge)) for _, edge in sides for end in ("source", "target")]
    compiled = compiled_select(frame.select(*columns).distinct(*keys), parameters)
    table = fetch_table(connection, compiled.sql, compiled.parameters)
    left, right = (
        KernelColumns.of_table(table, f"{side}_", maps)
        for side, maps in (("left", value.left_maps), ("right", value.right_maps))
    )
    values = agreement_of_edges(left, right)
    ends = [f"{side}_{end}" for side, _ in sides for end in ("source", "target")]
    return table.select(ends).append_column("value", pa.array(values, mask=np.isnan(values)))


def _edges(connection: duckdb.DuckDBPyConnection, rows: pa.Array, keys: Mapping[int, str]) -> EdgeTable:
    """Every property of these rows of `edge`, in this order."""
    if not len(rows):
        return EdgeTable(pa.table({}), keys)
    columns = ", ".join(f"e.{quoted(prop.name)}" for prop in properties(Record.EDGE))
    sql = f"SELECT e.source, e.target, {columns} FROM asked JOIN edge AS e ON e.rowid = asked.row ORDER BY asked.place"
    with _registered(connection, "asked", pa.table({"row": rows, "place": range(len(rows))})):
        return EdgeTable(fetch_table(connection, sql, {}), keys)


def _unit_keys(connection: duckdb.DuckDBPyConnection, ids: pa.Array) -> dict[int, str]:
    sql = "SELECT id, key FROM unit WHERE id IN (SELECT unnest(CAST($ids AS INTEGER[])))"
    return dict(fetch_all(connection, sql, {"ids": ids.to_pylist()}))


@contextmanager
def _in_memory(connection: duckdb.DuckDBPyConnection, megabytes: int | None) -> Iterator[None]:
    """Let the DuckDB of the connection take so much memory meanwhile; what needs more goes to disk, if it can."""
    if megabytes is None:
        yield
        return
    connection.execute(f"SET memory_limit = '{int(megabytes)}MB'")
    try:
        yield
    finally:
        connection.execute("RESET memory_limit")


def _fetch(connection: duckdb.DuckDBPyConnection, models: Models, compiled: Compiled) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return _fetch_by(fetch_all, connection, models, compiled)


def _fetch_by(
    fetch: Callable[[duckdb.DuckDBPyConnection, str, Mapping[str, object]], Result],
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    compiled: Compiled,
) -> Result:
    """What a statement brings.

    Raises
    ------
    duckdb.InterruptException
        If the time is up.
    CircuitdbError
        If the memory does not suffice.
    """
    try:
        for needed in compiled.agreements:
            connection.register(needed.name, _agreements(connection, models, needed))
        return fetch(connection, compiled.sql, compiled.parameters)
    except duckdb.OutOfMemoryException:
        raise CircuitdbError(
            "the search needs more memory than it may take; set a threshold, as `every edge where share > 0.01`, "
            "or allow more"
        ) from None


@contextmanager
def _bounded(connection: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[threading.Event]:
    """After so many seconds interrupt what runs on the connection and what follows it, and go on behind the block.

    The event tells whether that happened.
    """
    stopped, done = threading.Event(), threading.Event()

    def stop() -> None:
        stopped.set()
        while not done.is_set():
            connection.interrupt()
            done.wait(SECONDS_BETWEEN_INTERRUPTS)

    timer = threading.Timer(seconds, stop) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield stopped
    except duckdb.InterruptException:
        if not stopped.is_set():
            raise
    finally:
        done.set()
        if timer is not None:
            timer.cancel()
            timer.join()
