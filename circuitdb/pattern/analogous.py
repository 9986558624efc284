"""Circuits that recur: a pattern with a copy of its circuit in other models, joined to it by analogues.

In comes a Query and the models in which its circuits have to come back, out comes a Query that asks for both. It needs
nothing new of a store: units, edges, rows of `analog` and comparisons of signs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from circuitdb.pattern import model as p
from circuitdb.pattern.analysis import names_in, one_by_one
from circuitdb.pattern.maps import ANALOG


def with_analogues(query: p.Query, models: Sequence[str], choices: int) -> p.Query:
    """The query with its circuit's copy in every one of the models.

    Each unit of the circuit outside blocks that lies in the model searched gets one of its best `choices` analogues,
    each edge between such units an edge of its kind and sign, on which every condition holds that speaks of this edge
    alone. Maps, blocks and all other conditions are asked in the model searched only. The score and the order stay.
    """
    body = query.body
    return replace(query, body=_joined([body, *(_copy(body, model, choices) for model in models)]))


def _joined(parts: Sequence[p.Body]) -> p.Body:
    first, *copies = parts
    conditions = tuple(condition for copy in copies for condition in copy.conditions)
    own = len(first.conditions) - first.from_around
    return replace(
        first,
        units=(*first.units, *(unit for copy in copies for unit in copy.units)),
        edges=(*first.edges, *(edge for copy in copies for edge in copy.edges)),
        rows=(*first.rows, *(row for copy in copies for row in copy.rows)),
        conditions=(*first.conditions[:own], *conditions, *first.conditions[own:]),
    )


def _copy(body: p.Body, model: str, choices: int) -> p.Body:
    """The units, edges, rows and conditions that a copy in a model adds."""
    terms = {unit.name: _term(unit.name, model, choices) for unit in body.units if unit.model is None}
    # A term that the text itself has is the same unit.
    stated = {
        row.source: row.target
        for row in body.rows
        if row.map == ANALOG and (row.model, row.choices) == (model, choices) and row.source in terms
    }
    units = tuple(p.Unit(term, (term,), (), model) for unit, term in terms.items() if unit not in stated)
    rows = tuple(
        p.MapRow(f"{ANALOG}: {unit} to {term}", ANALOG, unit, term, model, choices)
        for unit, term in terms.items()
        if unit not in stated
    )
    terms |= stated
    copies = {
        edge.name: replace(edge, name=f"{edge.name} in {model}", source=terms[edge.source], target=terms[edge.target])
        for edge in body.edges
        if edge.source in terms and edge.target in terms
    }
    unsigned = [name for name, edge in copies.items() if edge.sign == "any"]
    signs = [p.Compare("=", p.EdgeSign(name), p.EdgeSign(copies[name].name)) for name in unsigned]
    names = {name: edge.name for name, edge in copies.items()}
    conditions = [
        cast(p.Expression, _renamed(condition, names)) for name in names for condition in conditions_alone(body, name)
    ]
    return p.Body(units, tuple(copies.values()), rows, (*signs, *conditions))


def conditions_alone(body: p.Body, edge: str) -> list[p.Expression]:
    """What a body says of one of its edges alone: this holds for the edge's copies as well."""
    return [condition for condition in one_by_one(body.conditions) if names_in(condition) == {edge}]


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """An expression with edges under other names."""
    if isinstance(node, tuple):
        return tuple(_renamed(part, names) for part in node)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    edges = ("left", "right") if isinstance(node, p.Agreement) else ("edge",)
    changed = {
        field.name: names[value] if field.name in edges and isinstance(value, str) else _renamed(value, names)
        for field in fields(node)
        for value in [getattr(node, field.name)]
    }
    return replace(node, **changed)


def _term(unit: str, model: str, choices: int) -> str:
    """The copy of a unit as the language writes it."""
    map_name = ANALOG if choices == 1 else f"{ANALOG}({choices})"
    bare = re.fullmatch(r"[^\W\d]\w*", model) is not None
    return f"{map_name}({unit}, {model if bare else json.dumps(model, ensure_ascii=False)})"
