"""Queries as JSON and as text, and back.

Both forms are made from the dataclasses of `circuitdb.pattern.model` alone: a record becomes `{"is": its name, field:
value …}` in JSON and `(name value …)` in text, where values stand in the order of the fields, texts in quotes, tuples
in brackets. Reading either back gives an equal Query.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from typing import Any

from circuitdb.errors import InputError
from circuitdb.pattern import model as p

_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(p.Query, p.Body, p.Unit, p.Edge, p.MapRow, p.Counted, p.Choice, p.Constant, p.UnitValue, p.MapValue),
        *(p.UnitProperty, p.EdgeProperty, p.RowProperty, p.EdgeSign, p.Function, p.HowMany, p.ListLength, p.Agreement),
        *(p.Arithmetic, p.Negative, p.Compare, p.Contains, p.OneOf, p.IsMissing, p.Truth, p.And, p.Or, p.Not),
    )
}
_WIDTH = 110
_TOKEN = re.compile(r'\s*(?:([()\[\]])|("(?:[^"\\]|\\.)*")|([^\s()\[\]"]+))')


def to_json(node: Any) -> Any:
    """A part of a query as JSON values."""
    if isinstance(node, tuple):
        return [to_json(item) for item in node]
    if is_dataclass(node):
        return {"is": type(node).__name__, **{f.name: to_json(getattr(node, f.name)) for f in fields(node)}}
    return node


def from_json(value: Any) -> Any:
    """The part of a query that `to_json` wrote.

    Raises
    ------
    InputError
        If the value was not written by `to_json`.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if isinstance(value, dict):
        cls = _CLASSES.get(str(value.get("is")))
        names = {f.name for f in fields(cls)} if cls is not None else set()
        if cls is None or set(value) != names | {"is"}:
            raise InputError(f"no part of a pattern: {json.dumps(value)[:100]}")
        return cls(**{name: from_json(value[name]) for name in names})
    return value


def to_text(node: Any, indent: int = 0) -> str:
    """A part of a query as text, on several lines where it is long."""
    if is_dataclass(node):
        opening, closing = f"({_kebab(type(node).__name__)} ", ")"
        items = [getattr(node, f.name) for f in fields(node)]
    elif isinstance(node, tuple):
        opening, closing, items = "[", "]", list(node)
    else:
        return json.dumps(node, ensure_ascii=False)
    inline = opening + " ".join(to_text(item, 0) for item in items) + closing
    if len(inline) + indent <= _WIDTH and "\n" not in inline:
        return inline
    margin = " " * (indent + 2)
    return opening.rstrip() + "".join(f"\n{margin}{to_text(item, indent + 2)}" for item in items) + closing


def from_text(text: str) -> Any:
    """The part of a query that `to_text` wrote.

    Raises
    ------
    InputError
        If the text was not written by `to_text`.
    """
    tokens = [token for match in _TOKEN.finditer(text) for token in match.groups() if token]
    stack: list[list[Any]] = [[]]
    try:
        for token in tokens:
            if token in "([":
                stack.append([token])
            elif token in ")]":
                opening, *items = stack.pop()
                stack[-1].append(tuple(items) if opening == "[" else _CLASSES[_camel(items[0].word)](*items[1:]))
            else:
                stack[-1].append(_Head(token) if stack[-1] == ["("] else json.loads(token))
        [[node]] = stack
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        raise InputError("this text is no pattern as circuitdb writes it") from None
    return node


class _Head:
    """The word after an opening parenthesis."""

    def __init__(self, word: str) -> None:
        self.word = word


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
