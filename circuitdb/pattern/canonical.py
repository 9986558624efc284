"""Patterns under a renaming of their units, in a form that can be compared.

`canonical` turns a body, an expression or a counted block into nested tuples in which the names of its own units, edges
and rows no longer matter and operands whose order does not matter are sorted. `rename` applies a renaming and keeps the
pattern's form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from circuitdb.pattern import model as p

T = TypeVar("T")
_UNORDERED = (p.And, p.Or, p.HowMany)


def rename(part: T, units: Mapping[str, str], edges: Mapping[str, str]) -> T:
    """A part of a pattern with units and edges of the body around it renamed."""

    def walk(node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(walk(item) for item in node)
        match node:
            case p.UnitValue(unit=name):
                return p.UnitValue(units.get(name, name))
            case p.EdgeProperty(edge=name, name=prop):
                return p.EdgeProperty(edges.get(name, name), prop)
            case p.EdgeSign(edge=name):
                return p.EdgeSign(edges.get(name, name))
            case p.Agreement(left=left, left_maps=left_maps, right=right, right_maps=right_maps):
                return p.Agreement(edges.get(left, left), left_maps, edges.get(right, right), right_maps)
            case p.Edge() | p.MapRow():
                return replace(
                    node, source=units.get(node.source, node.source), target=units.get(node.target, node.target)
                )
            case _ if is_dataclass(node):
                return replace(node, **{f.name: walk(getattr(node, f.name)) for f in fields(node)})  # type: ignore[type-var]
        return node

    return walk(part)  # type: ignore[no-any-return]


def as_written(part: T) -> T:
    """A block without the conditions that lines around it lay on its edges."""
    if isinstance(part, tuple):
        return tuple(as_written(item) for item in part)  # type: ignore[return-value]
    match part:
        case p.Body(conditions=conditions, from_around=outer):
            own = conditions[: len(conditions) - outer]
            inner = {name: as_written(getattr(part, name)) for name in ("absent", "counted", "choices")}
            return replace(part, conditions=own, from_around=0, **inner)
        case p.Counted(body=body):
            return replace(part, body=as_written(body))
        case p.Choice(bodies=bodies):
            return replace(part, bodies=as_written(bodies))
    return part


def canonical(part: Any, names: Mapping[str, Any]) -> Any:
    """Nested tuples for comparing; `names` gives what a unit or edge of the body around stands for."""
    match part:
        case p.Body():
            return _canonical_body(part, names)
        case p.Counted(quantity=quantity, count=count, unit=unit, body=body):
            position = [own.name for own in body.units].index(unit)
            return "counted", quantity, count, position, _canonical_body(body, names)
        case p.Choice(quantity=quantity, count=count, bodies=inner):
            return "choice", quantity, count, tuple(_canonical_body(body, names) for body in inner)
        case p.Edge(source=source, target=target, skip=skip, sign=sign):
            return "edge", names[source], names[target], skip, sign
        case p.MapRow(map=name, source=source, target=target, model=model, choices=choices):
            return "row", name, names[source], names[target], model, choices
        case p.UnitValue(unit=name) | p.ListLength(unit=name):
            return type(part).__name__, names.get(name, name)
        case p.EdgeProperty(edge=name, name=prop):
            return "edge property", names[name], prop
        case p.EdgeSign(edge=name):
            return "edge sign", names[name]
        case p.RowProperty(row=name, name=prop):
            return "row property", names[name], prop
        case p.Agreement(left=left, left_maps=left_maps, right=right, right_maps=right_maps):
            return "agreement", names[left], left_maps, names[right], right_maps
        case p.Compare(operator="=" | "!=" as operator, left=left, right=right):
            return "compare", operator, _sorted(canonical(left, names), canonical(right, names))
        case p.Function(name="min" | "max" | "sum" | "number" as name, arguments=arguments):
            return "function", name, _sorted(*(canonical(a, names) for a in arguments))
        case tuple():
            return tuple(canonical(item, names) for item in part)
        case _ if isinstance(part, _UNORDERED):
            operands = getattr(part, fields(part)[0].name)
            return type(part).__name__, _sorted(*(canonical(a, names) for a in operands))
        case _ if is_dataclass(part):
            return type(part).__name__, *(canonical(getattr(part, f.name), names) for f in fields(part))
    return part


def edge_names(body: p.Body, units: Mapping[str, Any]) -> dict[str, Any]:
    """What each edge and row of a body stands for, given what its units stand for."""
    edges = {e.name: ("edge", units[e.source], units[e.target], e.skip) for e in body.edges}
    rows = {r.name: ("row", r.map, units[r.source], units[r.target], r.model) for r in body.rows}
    return {**edges, **rows}


def _canonical_body(body: p.Body, around: Mapping[str, Any]) -> Any:
    depth = sum(1 for key in around if isinstance(key, str) and key.startswith("\0depth"))
    units = {**around, f"\0depth{depth}": None, **{u.name: ("own", depth, i) for i, u in enumerate(body.units)}}
    names = {**units, **edge_names(body, units)}
    return (
        "body",
        tuple(tuple(u.layers) for u in body.units),
        tuple(canonical(e, names) for e in body.edges),
        tuple(canonical(r, names) for r in body.rows),
        tuple(canonical(c, names) for c in body.conditions),
        tuple(canonical(b, names) for b in body.absent),
        tuple(canonical(c, names) for c in body.counted),
        tuple(canonical(c, names) for c in body.choices),
    )


def _sorted(*parts: Any) -> tuple[Any, ...]:
    return tuple(sorted(parts, key=repr))
