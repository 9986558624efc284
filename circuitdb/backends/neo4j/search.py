"""Runs queries on a Neo4j server: Cypher out, circuits in.

`find` asks for one page of circuits and then, in the same transaction, for every edge of the page once; `count` asks
for a number, `explain` shows the Cypher of page and count. Time is bounded by the timeout of the server's transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import neo4j
import numpy as np

from circuitdb.backends.base import Explanation, Found, Limits, Match, Row
from circuitdb.backends.neo4j import cypher as c
from circuitdb.backends.neo4j.emitter import Frame
from circuitdb.backends.neo4j.expressions import Parameters
from circuitdb.backends.neo4j.schema import registered
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import EdgeKind, Record
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import KernelColumns, NeededAgreement, agreement_of_edges
from circuitdb.pattern.analysis import may_be_negative_zero, never_missing
from circuitdb.pattern.describe import predicates
from circuitdb.pattern.symmetry import Symmetry, symmetry_of

if TYPE_CHECKING:
    from circuitdb.backends.neo4j.store import Neo4jStore

T = TypeVar("T")

_EDGES = (
    "MATCH ()-[e]->() WHERE elementId(e) IN $ids WITH e, properties(e) AS own "
    "RETURN elementId(e) AS id, type(e) AS kind, [name IN $names | own[name]] AS own"
)
_KERNEL = ("kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")


@dataclass(frozen=True)
class Compiled:
    """Cypher with its parameters, and the agreements that it looks up in parameters of their names."""

    text: str
    parameters: Mapping[str, object]
    agreements: tuple[NeededAgreement, ...] = ()


def find(store: Neo4jStore, query: p.Query, limits: Limits) -> Found:
    """One page of circuits, in the query's order; no total where there are more: counting is as much work again."""
    started = time.perf_counter()
    _refuse_memory(limits)
    page = page_cypher(query, limits.rows)

    def circuits(transaction: neo4j.ManagedTransaction, rows: list[neo4j.Record]) -> tuple[list[Match], bool]:
        return _matches(transaction, query, rows[: limits.rows]), limits.rows is not None and len(rows) > limits.rows

    found = _read(store, query, page, limits.seconds, circuits)
    seconds = time.perf_counter() - started
    if found is None:
        return Found([], True, seconds, "seconds")
    matches, truncated = found
    return Found(matches, truncated, seconds, "rows" if truncated else None, None if truncated else len(matches))


def count(store: Neo4jStore, query: p.Query, limits: Limits) -> int:
    """How many circuits there are.

    Raises
    ------
    CircuitdbError
        If the time ran out.
    """
    _refuse_memory(limits)
    number = _read(store, query, count_cypher(query), limits.seconds, lambda _, rows: int(rows[0]["circuits"]))
    if number is None:
        raise CircuitdbError(f"counting took longer than {limits.seconds:g} s; set a threshold, or allow more seconds")
    return number


def _refuse_memory(limits: Limits) -> None:
    if limits.memory_mb is not None:
        raise InputError(
            "a server bounds the memory of a search itself, by dbms.memory.transaction.max; leave it out here"
        )


def explain(store: Neo4jStore, query: p.Query) -> Explanation:
    """The Cypher of a search and of a count."""
    page = page_cypher(query, query.limit)
    rows = [{"predicate": text, "evaluated": "in the store"} for text in predicates(query.body)]
    return Explanation(page.text, page.parameters, rows, count_cypher(query).text, "cypher")


def page_cypher(query: p.Query, rows: int | None) -> Compiled:
    """The Cypher of a page; one row beyond the limit tells if there are more."""
    parameters = Parameters()
    frame = Frame(query.models, parameters, query.body).build(_symmetry(query))
    score = c.Constant(None) if query.score is None else _ordering(query.score, frame)
    columns = [c.Column(c.Variable(name), name) for name in frame.variables()]
    columns.append(c.Column(score, "score"))
    order: list[c.Order] = []
    if query.order is None and query.score is not None:
        order += _missing_last(query.score, c.Variable("score"), descending=True)
    elif query.order is not None and query.order != "key":
        columns.append(c.Column(_ordering(query.order, frame), "ranking"))
        order += _missing_last(query.order, c.Variable("ranking"), descending=query.descending)
    down = query.order == "key" and query.descending
    order += [c.Order(key, down) for key in _keys(query, frame)]
    limit = None if rows is None else parameters.bind(rows + 1)
    page = c.Projection("WITH", tuple(columns), order=tuple(order), limit=limit)
    units = [c.Column(c.Property(frame.unit(u.name), "key"), f"u{i}") for i, u in enumerate(query.body.units)]
    edges = [
        c.Column(c.Call("elementId", (frame.relationship(edge.name),)), f"e{i}")
        for i, edge in enumerate(query.body.edges)
    ]
    lists = [c.Column(frame.units_of(block), f"l{i}") for i, block in enumerate(query.body.counted)]
    columns = [*units, *edges, *lists, c.Column(c.Variable("score"), "score")]
    result = c.Projection("RETURN", tuple(columns), order=tuple(order))
    return _compiled(c.Query((*frame.matches(), page, result)), parameters)


def count_cypher(query: p.Query) -> Compiled:
    """The Cypher of a count."""
    parameters = Parameters()
    frame = Frame(query.models, parameters, query.body).build(_symmetry(query))
    number = c.Projection("RETURN", (c.Column(c.Call("count", (c.Variable("*"),)), "circuits"),))
    return _compiled(c.Query((*frame.matches(), number)), parameters)


def _ordering(of: p.Expression, frame: Frame) -> c.Expression:
    """A value to order by. Cypher puts -0.0 before 0.0, which are one number in a motif."""
    value = frame.value(of)
    return c.Operation("+", (value, c.Constant(0))) if may_be_negative_zero(of) else value


def _missing_last(of: p.Expression, value: c.Expression, *, descending: bool) -> list[c.Order]:
    """Cypher puts null last upwards and first downwards."""
    missing = [c.Order(c.IsNull(value))] if descending and not never_missing(of) else []
    return [*missing, c.Order(value, descending)]


def _keys(query: p.Query, frame: Frame) -> list[c.Expression]:
    """What orders circuits by the keys of their units, in naming order."""
    keys: list[c.Expression] = []
    named_already = query.models is not None and len(query.models) == 1
    for unit in query.body.units:
        if unit.model is None and not named_already:
            named_already = True
            keys.append(c.Property(frame.unit(unit.name), "model"))
        keys.append(c.Property(frame.unit(unit.name), "position"))
    return keys


def _symmetry(query: p.Query) -> Symmetry:
    return Symmetry() if query.every_labelling else symmetry_of(query.body)


def _compiled(query: c.Query, parameters: Parameters) -> Compiled:
    return Compiled(c.render(query), dict(parameters.values), tuple(parameters.agreements))


def _read(
    store: Neo4jStore,
    query: p.Query,
    compiled: Compiled,
    seconds: float | None,
    work: Callable[[neo4j.ManagedTransaction, list[neo4j.Record]], T],
) -> T | None:
    """What `work` makes of all rows, in their transaction; None if the time ran out."""
    ends = None if seconds is None else time.perf_counter() + seconds
    values = dict(compiled.parameters)
    try:
        for needed in compiled.agreements:
            values[needed.name] = _agreements(store, query, needed, _left(ends))
        return store.connection.reading(lambda t: work(t, list(t.run(compiled.text, values))), seconds=_left(ends))
    except CircuitdbError as error:
        if _timed_out(error.__cause__):
            return None
        raise


def _left(ends: float | None) -> float | None:
    return None if ends is None else max(ends - time.perf_counter(), 0.001)


def _timed_out(error: BaseException | None) -> bool:
    code = getattr(error, "code", None) or ""
    return "TransactionTimedOut" in code or code.endswith("Transaction.Terminated")


def _matches(transaction: neo4j.ManagedTransaction, query: p.Query, rows: Sequence[neo4j.Record]) -> list[Match]:
    """The circuits of a page, with the edges that its rows name."""
    units = query.body.units
    keys = [{unit.name: row[f"u{i}"] for i, unit in enumerate(units)} for row in rows]
    ends = {
        row[f"e{i}"]: (own[edge.source], own[edge.target])
        for row, own in zip(rows, keys, strict=True)
        for i, edge in enumerate(query.body.edges)
    }
    edges = whole_edges(transaction, ends)
    searched = next((unit.name for unit in units if unit.model is None), units[0].name)
    matches = []
    for row, own in zip(rows, keys, strict=True):
        shown: dict[str, str | list[str]] = {text: own[unit.name] for unit in units for text in unit.shown_as}
        shown |= {block.unit: row[f"l{i}"] for i, block in enumerate(query.body.counted)}
        own_edges = [edges[row[f"e{i}"]] for i in range(len(query.body.edges))]
        matches.append(Match(own[searched].partition("/")[0], shown, own_edges, row["score"]))
    return matches


def whole_edges(transaction: neo4j.ManagedTransaction, ends: Mapping[str, tuple[str, str]]) -> dict[str, Row]:
    """Every property of edges by their element ids, given the keys of their ends.

    Raises
    ------
    CircuitdbError
        If one of them is gone.
    """
    if not ends:
        return {}
    names = [prop.name for prop in registered(Record.EDGE)]
    rows = {}
    for identity, kind, own in transaction.run(_EDGES, {"ids": list(ends), "names": names}):
        source, target = ends[identity]
        values = dict(zip(names, own, strict=True))
        rows[identity] = {"source": source, "target": target, "kind": EdgeKind(kind).value, **values}
    if len(rows) < len(ends):
        raise CircuitdbError("a model was deleted while it was searched; search again")
    return rows


def _agreements(store: Neo4jStore, query: p.Query, needed: NeededAgreement, seconds: float | None) -> dict[str, float]:
    """The value of an agreement by the ids of the two edges, for every pair that matches of the candidates hold."""
    parameters = Parameters()
    candidates, same = _each_edge_once(needed.candidates)
    frame = Frame(query.models, parameters, candidates).build()
    value = needed.value
    left, right = (frame.relationship(same.get(edge, edge)) for edge in (value.left, value.right))
    key = c.Operation("+", tuple(c.Call("elementId", (edge,)) for edge in (left, right)))
    columns = [c.Column(key, "pair")]
    columns += [
        c.Column(c.Property(edge, name), f"{side}_{name}")
        for side, edge in (("left", left), ("right", right))
        for name in _KERNEL
    ]
    result = c.Projection("RETURN", tuple(columns), distinct=True)
    compiled = _compiled(c.Query((*frame.matches(), result)), parameters)
    rows = store.connection.read(compiled.text, compiled.parameters, seconds=seconds)
    values = agreement_of_edges(_columns(rows, "left_", value.left_maps), _columns(rows, "right_", value.right_maps))
    return {row["pair"]: float(v) for row, v in zip(rows, values, strict=True) if not np.isnan(v)}


def _each_edge_once(body: p.Body) -> tuple[p.Body, dict[str, str]]:
    """The body without edges between units that another one joins already, and which one stands for each of these.

    One MATCH never takes a relationship twice. Conditions on what is left out are left out too: the body only says
    which pairs may be asked for.
    """
    first: dict[tuple[str, str, bool], str] = {}
    same = {}
    for edge in body.edges:
        kept = first.setdefault((edge.source, edge.target, edge.skip), edge.name)
        if kept != edge.name:
            same[edge.name] = kept
    if not same:
        return body, same
    several = set(same.values())
    once = (edge for edge in body.edges if edge.name not in same)
    edges = tuple(replace(edge, sign="any") if edge.name in several else edge for edge in once)
    conditions = tuple(c for c in body.conditions if not any(_names(part, same) for part in p.subexpressions(c)))
    return replace(body, edges=edges, conditions=conditions), same


def _names(expression: p.Expression, edges: Mapping[str, str]) -> bool:
    return isinstance(expression, p.EdgeProperty | p.EdgeSign) and expression.edge in edges


def _columns(rows: Sequence[neo4j.Record], prefix: str, maps: tuple[str, ...]) -> KernelColumns:
    kernel, height, width, y, x = ([row[prefix + name] for row in rows] for name in _KERNEL)
    return KernelColumns(kernel, height, width, y, x, maps)
