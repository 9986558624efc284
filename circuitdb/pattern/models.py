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

    Raises
    ------
    MotifError
        If a unit would lie both in the model searched and in another, or in two others.
    """
    parent: dict[str, str] = {}

    def group(unit: str) -> str:
        while parent.setdefault(unit, unit) != unit:
            unit = parent[unit]
        return unit

    inner = list(p.bodies(body))
    rows = [row for part in inner for row in part.rows]
    for part in inner:
        joins = [(edge.source, edge.target) for edge in part.edges]
        joins += [(row.source, row.target) for row in part.rows if row.model is None]
        for source_unit, target_unit in joins:
            parent[group(source_unit)] = group(target_unit)
    placed: dict[str, str] = {}
    for row in rows:
        if row.model is None:
            continue
        known = placed.setdefault(group(row.target), row.model)
        if known != row.model or group(row.source) == group(row.target):
            other = known if known != row.model else "the model searched"
            message = f"{row.target} would lie both in {row.model} and in {other}"
            raise MotifError(Diagnostic("two-models", message, *places[row.target], (_HINT,)))
    for row in rows:
        if row.model is not None and placed.get(group(row.source)) == row.model:
            message = f"{row.source} lies in {row.model}, and analog leads to another model"
            raise MotifError(Diagnostic("two-models", message, *places[row.source], (_HINT,)))

    def fill(part: p.Body) -> p.Body:
        return replace(
            part,
            units=tuple(replace(unit, model=placed.get(group(unit.name))) for unit in part.units),
            absent=tuple(fill(b) for b in part.absent),
            counted=tuple(replace(c, body=fill(c.body)) for c in part.counted),
            choices=tuple(replace(c, bodies=tuple(fill(b) for b in c.bodies)) for c in part.choices),
        )

    return fill(body)
