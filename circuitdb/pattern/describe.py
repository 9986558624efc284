"""Expressions and bodies of a pattern in the words of the motif language, for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from circuitdb.pattern import model as p
from circuitdb.pattern.maps import format_number


def predicates(body: p.Body) -> Iterator[str]:
    """Every edge, row, condition and inner body of a body, a line each."""
    for unit in body.units:
        for layers in unit.layers:
            yield f"{unit.name} in {', '.join(map(json.dumps, layers))}"
    for edge in body.edges:
        yield edge_text(edge)
    for row in body.rows:
        yield row_text(row)
    for condition in conditions_asked(body):
        yield text_of(condition)
    for absent in body.absent:
        yield f"no {{ {'; '.join(predicates(absent))} }}"
    for counted in body.counted:
        count = format_number(counted.count)
        yield f"{counted.quantity} {count} {counted.unit} {{ {'; '.join(predicates(counted.body))} }}"
    for choice in body.choices:
        inner = "; or ".join(", ".join(predicates(inner)) for inner in choice.bodies)
        yield f"{choice.quantity} {format_number(choice.count)} of {{ {inner} }}"


def conditions_asked(body: p.Body) -> Iterator[p.Expression]:
    """The conditions of a body without what their constants decide, as `"" = "" or label ~ ""` does where a parameter
    is left empty; one that always holds is left out."""
    for condition in body.conditions:
        undecided = _undecided(condition)
        if undecided != p.Constant(True):
            yield undecided


def _undecided(condition: p.Expression) -> p.Expression:
    match condition:
        case p.Compare(operator="=" | "!=" as operator, left=p.Constant(value=left), right=p.Constant(value=right)):
            return p.Constant((left == right) == (operator == "="))
        case p.Not(operand=operand):
            inner = _undecided(operand)
            return p.Constant(not inner.value) if isinstance(inner, p.Constant) else p.Not(inner)
        case p.And(operands=operands) | p.Or(operands=operands):
            deciding = p.Constant(isinstance(condition, p.Or))
            neutral = p.Constant(not deciding.value)
            rest = tuple(part for part in map(_undecided, operands) if part != neutral)
            if deciding in rest:
                return deciding
            return type(condition)(rest) if len(rest) > 1 else rest[0] if rest else neutral
        case _:
            return condition


def edge_text(edge: p.Edge) -> str:
    """An edge as a motif states it."""
    arrow = {"any": "->", "excites": "+>", "inhibits": "-|", "never": "+> and -|"}[edge.sign]
    return f"{'skip ' if edge.skip else ''}{edge.source} {arrow} {edge.target}"


def row_text(row: p.MapRow) -> str:
    """A map's row as a motif states it."""
    if row.model is None:
        return f"{row.target} = {row.map}({row.source})"
    name = row.map if row.choices == 1 else f"{row.map}({row.choices})"
    return f"{row.target} = {name}({row.source}, {json.dumps(row.model)})"


def text_of(expression: p.Expression) -> str:
    """An expression as a motif states it."""
    match expression:
        case p.Constant(value=value):
            return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else format_number(value)
        case p.UnitValue(unit=name):
            return name
        case p.MapValue(map=name, model=model, of=of):
            return f"{name}({text_of(of)}{'' if model is None else ', ' + json.dumps(model)})"
        case p.UnitProperty(of=of, name=name):
            return f"{text_of(of)}.{name}"
        case p.EdgeProperty(edge=of, name=name) | p.RowProperty(row=of, name=name):
            return f"({of}).{name}" if " " in of else f"{of}.{name}"
        case p.EdgeSign(edge=edge):
            return f"sign({edge})"
        case p.Function(name=name, arguments=arguments):
            return f"{'count' if name == 'number' else name}({', '.join(map(text_of, arguments))})"
        case p.HowMany(conditions=conditions):
            return f"count({', '.join(map(text_of, conditions))})"
        case p.ListLength(unit=name):
            return f"count({name})"
        case p.Agreement(left=left, left_maps=left_maps, right=right, right_maps=right_maps):
            return f"agreement({_turned(left, left_maps)}, {_turned(right, right_maps)})"
        case p.Arithmetic(operator=operator, left=a, right=b) | p.Compare(operator=operator, left=a, right=b):
            return f"{_inner(a)} {operator} {_inner(b)}"
        case p.Negative(operand=operand):
            return f"-{_inner(operand)}"
        case p.Contains(left=a, right=b):
            return f"{_inner(a)} ~ {_inner(b)}"
        case p.OneOf(value=value, items=items):
            return f"{_inner(value)} in [{', '.join(map(text_of, items))}]"
        case p.IsMissing(value=value):
            return f"{_inner(value)} = missing"
        case p.Truth(value=value):
            return text_of(value)
        case p.And(operands=operands):
            return " and ".join(map(_inner, operands))
        case p.Or(operands=operands):
            return " or ".join(map(_inner, operands))
        case p.Not(operand=operand):
            return f"not {_inner(operand)}"


def _turned(edge: str, maps: tuple[str, ...]) -> str:
    text = edge
    for name in maps:
        text = f"{name}({text})"
    return text


def _inner(expression: p.Expression) -> str:
    compound = p.And | p.Or | p.Not | p.Compare | p.Arithmetic | p.Contains | p.OneOf | p.IsMissing | p.Negative
    text = text_of(expression)
    return f"({text})" if isinstance(expression, compound) else text
