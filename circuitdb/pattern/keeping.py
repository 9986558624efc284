"""Whether a query asks for edges that the keep rule of a model left out, or for maps that a model does not have.

Thresholds belong to the query, but only what an ingest kept can be found. In come a Query and the keep rules of the
models, out comes a sentence for every rule that the query reaches below, so that a result can say so. Likewise a
sentence for a model without a map that every circuit needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from circuitdb.errors import InputError
from circuitdb.keep_rule import KeepRule
from circuitdb.pattern import model as p
from circuitdb.pattern.describe import edge_text
from circuitdb.pattern.maps import ANALOG

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


@dataclass(frozen=True)
class _Bound:
    """What the conditions on an edge leave: ranks up to `most_rank`, shares above `least_share`."""

    most_rank: float = float("inf")
    least_share: float = -1.0


def remarks_on(query: p.Query, rules: Mapping[str, str | None]) -> tuple[str, ...]:
    """A sentence for every keep rule below which the query asks.

    rules: the keep rule of every model of the store, None where it is not known; of such nothing is said. Only
    conditions that hold for every circuit and bound one edge's rank or share are understood, so that a query is
    sometimes said to ask below a rule though it does not, never the reverse.
    """
    asked: dict[str, dict[str, None]] = {}
    for body in p.bodies(query.body):
        bounds = _bounds(body)
        models = {unit.name: unit.model for inner in p.bodies(query.body) for unit in inner.units}
        for edge in body.edges:
            if edge.skip:
                continue
            bound = bounds.get(edge.name, _Bound())
            other = models.get(edge.source)
            searched = [other] if other is not None else rules if query.models is None else query.models
            for model in searched:
                rule = _parsed(rules.get(model))
                if rule is not None and not rule.keeps_all(bound.most_rank, bound.least_share):
                    asked.setdefault(str(rule), {})[edge_text(edge)] = None
    return tuple(
        f"the query asks below {rule} ({_some(list(edges))}), so that edges left out may change the answer; "
        f"`every edge where {KeepRule.parse(rule).enough}` stays above it"
        for rule, edges in asked.items()
    )


def maps_needed(query: p.Query) -> tuple[str, ...]:
    """The maps under which every circuit has an image of one of its units."""
    return tuple(dict.fromkeys(row.map for row in query.body.rows if row.map != ANALOG))


def lacking_maps(model: str, maps: Sequence[str]) -> str:
    """What is said of a model that holds no row of maps that every circuit needs."""
    return (
        f"no unit of {model} has an image under {' or '.join(maps)}, which every circuit needs; "
        f"`circuitdb probe {model}` looks for images, `--maps` names others than the usual"
    )


def _parsed(rule: str | None) -> KeepRule | None:
    try:
        return None if rule is None else KeepRule.parse(rule)
    except InputError:
        return None


def _some(edges: list[str]) -> str:
    return ", ".join(edges[:3]) + (f" and {len(edges) - 3} more" if len(edges) > 3 else "")


def _bounds(body: p.Body) -> dict[str, _Bound]:
    """The bounds that the body's own conditions set on edges, by the edge's name."""
    bounds: dict[str, _Bound] = {}
    for edge, name, operator, value in _comparisons(body.conditions):
        known = bounds.get(edge, _Bound())
        if name in ("rank_in", "rank_out") and operator in ("<", "<=", "="):
            most = math.ceil(value) - 1 if operator == "<" else value
            bounds[edge] = _Bound(min(known.most_rank, most), known.least_share)
        elif name == "share" and operator in (">", ">=", "="):
            bounds[edge] = _Bound(known.most_rank, max(known.least_share, value))
    return bounds


def _comparisons(conditions: tuple[p.Expression, ...]) -> Iterator[tuple[str, str, str, float]]:
    """Edge, property, operator and number of every comparison that must hold."""
    for condition in conditions:
        match condition:
            case p.And(operands=operands):
                yield from _comparisons(operands)
            case p.Compare(operator=operator, left=left, right=p.Constant(value=float(value))):
                yield from ((edge, name, operator, value) for edge, name in _bounded(left, operator))
            case p.Compare(operator=operator, left=p.Constant(value=float(value)), right=right):
                turned = _TURNED[operator]
                yield from ((edge, name, turned, value) for edge, name in _bounded(right, turned))


def _bounded(value: p.Expression, operator: str) -> Iterator[tuple[str, str]]:
    """The edges' properties that a comparison of `value` bounds: its own, or all whose least or greatest it is."""
    match value:
        case p.EdgeProperty(edge=edge, name=name):
            yield edge, name
        case p.Function(name="min", arguments=arguments) if operator in (">", ">="):
            yield from ((a.edge, a.name) for a in arguments if isinstance(a, p.EdgeProperty))
        case p.Function(name="max", arguments=arguments) if operator in ("<", "<="):
            yield from ((a.edge, a.name) for a in arguments if isinstance(a, p.EdgeProperty))
