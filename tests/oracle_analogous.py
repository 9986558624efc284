"""`analogous in` for the oracle: the facts of a motif with those of its circuit's copy in another model.

In come the facts of a motif's inside, out come more facts of the same kinds. Written from the language's reference:
each unit of the circuit gets an analogue, each edge its copy, with the sign of the edge and what is said of it alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from circuitdb.language import syntax as s
from tests.oracle_expressions import AGGREGATES, parts
from tests.oracle_scopes import Ends, Scope
from tests.oracle_statements import Condition, Edge, Environment, Fact, Map, Mentioned, Node, Term, Where, dotted

_NOWHERE = s.Span(0, 0)


def with_copies(facts: Sequence[Fact], models: Sequence[str], choices: int) -> list[Fact]:
    """The facts, and what a copy in each of the models adds."""
    named: list[Fact] = []
    for number, fact in enumerate(facts):
        unnamed = isinstance(fact, Edge) and fact.name is None
        named.append(replace(fact, name=f"#{number}") if unnamed else fact)  # type: ignore[type-var]
    scope = Scope(named, None)
    return [*named, *(fact for model in models for fact in _copy(named, scope, model, choices))]


def _copy(facts: Sequence[Fact], scope: Scope, model: str, choices: int) -> Iterator[Fact]:
    first: dict[int, Node] = {}
    for node in scope.nodes:
        first.setdefault(scope.units[node], node)
    written = "analog" if choices == 1 else f"analog({choices})"
    shown = (
        model if model.replace("_", "a").isalnum() and not model[0].isdigit() else json.dumps(model, ensure_ascii=False)
    )
    map_ = Map("analog", rank=choices, model=model)
    copies = {
        unit: Term(map_, first[unit], "", f"{written}({first[unit].texts[0]}, {shown})")
        for unit in scope.local
        if scope.models[unit] is None
    }
    yield Mentioned(tuple(copies.values()))
    edges: dict[Ends, str] = {}
    for fact in facts:
        if not isinstance(fact, Edge):
            continue
        ends = scope.units[fact.source], scope.units[fact.target], fact.skip
        if ends[0] not in copies or ends[1] not in copies:
            continue
        edges.setdefault(ends, f"{fact.name} in {model}")
        alone = [c for asked in (fact.condition, *fact.every) if asked for c in _alone(asked, scope, ends, edges[ends])]
        own, other = s.Name(_NOWHERE, str(fact.name)), s.Name(_NOWHERE, edges[ends])
        signs = [s.Call(_NOWHERE, s.Name(_NOWHERE, "sign"), (name,)) for name in (own, other)]
        yield replace(
            fact,
            source=copies[ends[0]],
            target=copies[ends[1]],
            name=edges[ends],
            condition=None,
            every=tuple(alone),
            copied=True,
        )
        yield Where(Condition(s.Binary(_NOWHERE, "=", signs[0], signs[1]), Environment()))
    for fact in facts:
        if isinstance(fact, Where):
            for ends, name in edges.items():
                for condition in _alone(fact.condition, scope, ends, name, bare=False):
                    yield Where(condition)


# Conditions over all edges of a circuit with a single edge speak of this edge alone; this is not followed here.


def _alone(condition: Condition, scope: Scope, ends: Ends, copy: str, bare: bool = True) -> Iterator[Condition]:
    """What is said of this edge alone among the conditions joined by `and`, said of its copy."""
    for part in _conjuncts(condition.expression):
        prefix = condition.environment.prefix
        paths = [path for node in parts(part) if (path := dotted(node)) is not None]
        edges = {scope.edge_named(prefix + path) for path in paths} - {None}
        others = any(
            scope.unit_named(prefix + path) is not None or scope.row_named(prefix + path) is not None for path in paths
        )
        aggregates = any(
            isinstance(node, s.Call) and dotted(node.function) in AGGREGATES and len(node.arguments) == 1
            for node in parts(part)
        )
        if others or aggregates or edges - {ends} or not (edges or bare):
            continue
        names = {path for path in paths if scope.edge_named(prefix + path) == ends}
        environment = replace(condition.environment, prefix="")
        yield Condition(_renamed(part, names, copy), environment, condition.bare)


def _conjuncts(expression: s.Expression) -> Iterator[s.Expression]:
    if isinstance(expression, s.Logical) and expression.operator == "and":
        for operand in expression.operands:
            yield from _conjuncts(operand)
    else:
        yield expression


def _renamed(node: Any, names: set[str], copy: str) -> Any:
    if isinstance(node, tuple):
        return tuple(_renamed(part, names, copy) for part in node)
    if not is_dataclass(node) or isinstance(node, s.Span):
        return node
    if isinstance(node, s.Expression) and dotted(node) in names:
        return s.Name(node.span, copy)
    return replace(node, **{f.name: _renamed(getattr(node, f.name), names, copy) for f in fields(node)})
