"""Runs queries on a Neo4j server: Cypher out, circuits in.

`find` brings one page of circuits with their edges in one statement, `count` a number, `explain` the Cypher. Time is
bounded by the timeout of the server's transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import neo4j
import numpy as np

from circuitdb.backends.base import Explanation, Found, Limits, Match, Row
from circuitdb.backends.neo4j import cypher as c
from circuitdb.backends.neo4j.emitter import Frame
from circuitdb.backends.neo4j.expressions import Parameters
from circuitdb.backends.neo4j.interrupting import fetch_all
from circuitdb.backends.neo4j.schema import registered
from circuitdb.errors import CircuitdbError
from circuitdb.graph import EdgeKind, Record
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import KernelColumns, NeededAgreement, agreement_of_edges
from circuitdb.pattern.describe import predicates
from circuitdb.pattern.symmetry import Symmetry, symmetry_of

if TYPE_CHECKING:
    from circuitdb.backends.neo4j.store import Neo4jStore

_SECONDS_FOR_TOTAL = 1.0
_KERNEL = ("kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")


@dataclass(frozen=True)
class Compiled:
    """Cypher with its parameters, and the agreements that it looks up in parameters of their names."""

    text: str
    parameters: Mapping[str, object]
    agreements: tuple[NeededAgreement, ...] = ()


def find(store: Neo4jStore, query: p.Query, limits: Limits) -> Found:
    """One page of circuits, in the query's order."""
    started = time.perf_counter()
    rows = _read(store, query, page_cypher(query, limits.rows), limits.seconds)
    if rows is None:
        return Found([], True, time.perf_counter() - started, "seconds")
    truncated = limits.rows is not None and len(rows) > limits.rows
    total: int | None = len(rows)
    if truncated:
        counted = _read(store, query, count_cypher(query), _SECONDS_FOR_TOTAL)
        total = None if counted is None else int(counted[0]["circuits"])
    matches = [_match(query, row) for row in rows[: limits.rows]]
    return Found(matches, truncated, time.perf_counter() - started, "rows" if truncated else None, total)


def count(store: Neo4jStore, query: p.Query, limits: Limits) -> int:
    """How many circuits there are.

    Raises
    ------
    CircuitdbError
        If the time ran out.
    """
    rows = _read(store, query, count_cypher(query), limits.seconds)
    if rows is None:
        raise CircuitdbError(f"counting took longer than {limits.seconds:g} s; set a threshold, or allow more seconds")
    return int(rows[0]["circuits"])


def explain(store: Neo4jStore, query: p.Query) -> Explanation:
    """The Cypher of a search and of a count."""
    page = page_cypher(query, query.limit)
    rows = [{"predicate": text, "evaluated": "in the store"} for text in predicates(query.body)]
    return Explanation(page.text, page.parameters, rows, count_cypher(query).text, "cypher")


def page_cypher(query: p.Query, rows: int | None) -> Compiled:
    """The Cypher of a page; one row beyond the limit tells if there are more."""
    parameters = Parameters()
    frame = Frame(query.models, parameters, query.body).build(_symmetry(query))
    score = c.Constant(None) if query.score is None else frame.value(query.score)
    columns = [c.Column(c.Variable(name), name) for name in frame.variables()]
    columns.append(c.Column(score, "score"))
    order: list[c.Order] = []
    if query.order is None and query.score is not None:
        order += _missing_last(c.Variable("score"), descending=True)
    elif query.order is not None and query.order != "key":
        columns.append(c.Column(frame.value(query.order), "ranking"))
        order += _missing_last(c.Variable("ranking"), descending=query.descending)
    down = query.order == "key" and query.descending
    order += [c.Order(key, down) for key in _keys(query, frame)]
    limit = None if rows is None else parameters.bind(rows + 1)
    page = c.Projection("WITH", tuple(columns), order=tuple(order), limit=limit)
    units = [c.Column(c.Property(frame.unit(u.name), "key"), f"u{i}") for i, u in enumerate(query.body.units)]
    edges = []
    for i, edge in enumerate(query.body.edges):
        relationship = frame.relationship(edge.name)
        parts = (c.Call("type", (relationship,)), c.Call("properties", (relationship,)))
        edges.append(c.Column(c.ListOf(parts), f"e{i}"))
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


def _missing_last(value: c.Expression, *, descending: bool) -> list[c.Order]:
    """Cypher puts null last upwards and first downwards."""
    return [c.Order(c.IsNull(value)), c.Order(value, True)] if descending else [c.Order(value)]


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


def _read(store: Neo4jStore, query: p.Query, compiled: Compiled, seconds: float | None) -> list[neo4j.Record] | None:
    """All rows; None if the time ran out."""
    ends = None if seconds is None else time.perf_counter() + seconds
    values = dict(compiled.parameters)
    try:
        for needed in compiled.agreements:
            values[needed.name] = _agreements(store, query, needed, _left(ends))
        return fetch_all(store.connection, compiled.text, values, _left(ends))
    except CircuitdbError as error:
        if _timed_out(error.__cause__):
            return None
        raise


def _left(ends: float | None) -> float | None:
    return None if ends is None else max(ends - time.perf_counter(), 0.001)


def _timed_out(error: BaseException | None) -> bool:
    code = getattr(error, "code", None) or ""
    return "TransactionTimedOut" in code or code.endswith("Transaction.Terminated")


def _match(query: p.Query, row: neo4j.Record) -> Match:
    units = query.body.units
    keys = {unit.name: row[f"u{i}"] for i, unit in enumerate(units)}
    shown: dict[str, str | list[str]] = {text: keys[unit.name] for unit in units for text in unit.shown_as}
    shown |= {block.unit: row[f"l{i}"] for i, block in enumerate(query.body.counted)}
    edges = [_edge(keys[edge.source], keys[edge.target], *row[f"e{i}"]) for i, edge in enumerate(query.body.edges)]
    searched = next((unit.name for unit in units if unit.model is None), units[0].name)
    return Match(keys[searched].partition("/")[0], shown, edges, row["score"])


def _edge(source: str, target: str, kind: str, values: Mapping[str, Any]) -> Row:
    own = {prop.name: values.get(prop.name) for prop in registered(Record.EDGE)}
    return {"source": source, "target": target, "kind": EdgeKind(kind).value, **own}


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
    rows = fetch_all(store.connection, compiled.text, compiled.parameters, seconds)
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
