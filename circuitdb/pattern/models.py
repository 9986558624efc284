"""In which model each unit of a pattern lies.

Edges and maps join units of one model; `analog` leads to the model that it names. `place_in_models` writes the names of
such models into the units, and tells where a unit would have to lie in two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from circuitdb.language.diagnostics import Diagnostic, MotifError, Source
from circuitdb.language.syntax import Span
from circuitdb.pattern import model as p

_HINT = "edges and maps other than analog stay within one model"


def place_in_models(body: p.Body, places: Mapping[str, tuple[Source, Span]]) -> p.Body:
    """The body with every unit's `model` filled in; `places` says where in the text each unit is first named.

    Where the units of a body lie is decided by its own edges and rows and by the bodies around it, not by those in it.

    Raises
    ------
    MotifError
        If a unit would lie both in the model searched and in another, or in two others.
    """
    return _placed(body, {}, places)


def _placed(body: p.Body, around: Mapping[str, str | None], places: Mapping[str, tuple[Source, Span]]) -> p.Body:
    """`around`: the models of the units of the bodies around, None for the model searched."""
    parent: dict[str, str] = {}

    def group(unit: str) -> str:
        while parent.setdefault(unit, unit) != unit:
            unit = parent[unit]
        return unit

    joins = [(edge.source, edge.target) for edge in body.edges]
    joins += [(row.source, row.target) for row in body.rows if row.model is None]
    for source, target in joins:
        parent[group(source)] = group(target)
    leading = [row for row in body.rows if row.model is not None]
    placed: dict[str, str | None] = {}
    for unit, model in (*around.items(), *((row.target, row.model) for row in leading)):
        if placed.setdefault(group(unit), model) != model:
            raise _two_models(unit, model, placed[group(unit)], places)
    for row in leading:
        if group(row.source) == group(row.target):
            raise _two_models(row.target, row.model, None, places)
        if placed.get(group(row.source)) == row.model:
            message = f"{row.source} lies in {row.model}, and analog leads to another model"
            raise MotifError(Diagnostic("two-models", message, *places[row.source], (_HINT,)))
    own = {unit.name: placed.get(group(unit.name)) for unit in body.units}

    def fill(inner: p.Body) -> p.Body:
        return _placed(inner, {**around, **own}, places)

    return replace(
        body,
        units=tuple(replace(unit, model=own[unit.name]) for unit in body.units),
        absent=tuple(fill(b) for b in body.absent),
        counted=tuple(replace(c, body=fill(c.body)) for c in body.counted),
        choices=tuple(replace(c, bodies=tuple(fill(b) for b in c.bodies)) for c in body.choices),
    )


def _two_models(unit: str, one: str | None, other: str | None, places: Mapping[str, tuple[Source, Span]]) -> MotifError:
    first, second = (model or "the model searched" for model in (one, other))
    message = f"{unit} would lie both in {first} and in {second}"
    return MotifError(Diagnostic("two-models", message, *places[unit], (_HINT,)))
