"""A motif as a diagram, made from its Pattern: units, edges, what maps exchange, the conditions in words."""

from __future__ import annotations

from collections.abc import Mapping

from circuitdb.pattern import model as p
from circuitdb.pattern.describe import predicates, row_text, text_of
from circuitdb.reports.drawing.render import render
from circuitdb.reports.drawing.scene import Link, Scene, Sign, Tile
from circuitdb.reports.drawing.svg import Drawing
from circuitdb.reports.words import conditions

_SIGNS: Mapping[str, Sign] = {"any": "any", "excites": "excites", "inhibits": "inhibits", "never": "any"}
_LONGEST_LIST = 12


def draw_pattern(query: p.Query) -> Drawing:
    """The diagram of a query's pattern."""
    return render(pattern_scene(query))


def pattern_scene(query: p.Query) -> Scene:
    """The scene of a query's pattern. Units that stand in a `no` or a counted block have a broken border."""
    outer = query.body
    inner = [*((body, "no") for body in outer.absent)]
    inner += [(c.body, f"{c.quantity} {c.count:g}") for c in outer.counted]
    inner += [(c.bodies[0], f"{c.quantity} {c.count:g} of {len(c.bodies)}") for c in outer.choices if c.bodies]
    units = [(unit, "") for unit in outer.units]
    edges = [(edge, False) for edge in outer.edges]
    for body, words in inner:
        units += [(unit, words) for unit in body.units]
        edges += [(edge, True) for edge in body.edges]
    names = dict.fromkeys(unit.name for unit, _ in units)
    links = [(edge, aside) for edge, aside in edges if edge.source in names and edge.target in names]
    columns = _columns(list(names), [edge for edge, _ in links])
    fixed = {row.source for row in outer.rows if row.source == row.target}
    counted = {c.unit: f"{c.quantity} {c.count:g}" for c in outer.counted}
    tiles = tuple(
        Tile(
            key=unit.name,
            column=columns[unit.name],
            heading=unit.name,
            lines=_lines(unit, counted.get(unit.name, words if words == "no" else "")),
            title=f"{unit.name}{f' ({words})' if words else ''}",
            invariant=unit.name in fixed,
            aside=bool(words),
        )
        for unit, words in _once(units)
    )
    opposite, axis = _opposite(outer.rows, columns)
    return Scene(
        title=query.motif,
        description="; ".join(predicates(outer)) + ".",
        columns=("",) * (max(columns.values(), default=-1) + 1),
        tiles=tiles,
        links=tuple(
            Link(e.source, e.target, _SIGNS[e.sign], title=e.name, caption=_caption(e), skip=e.skip, aside=aside)
            for e, aside in links
        ),
        opposite=opposite,
        axis=axis,
        notes=_notes(query),
    )


def _once(units: list[tuple[p.Unit, str]]) -> list[tuple[p.Unit, str]]:
    """Every unit the first time it stands there."""
    first: dict[str, tuple[p.Unit, str]] = {}
    for unit, words in units:
        first.setdefault(unit.name, (unit, words))
    return list(first.values())


def _lines(unit: p.Unit, words: str) -> tuple[str, ...]:
    others = [name for name in unit.shown_as if name != unit.name]
    lines = [words] if words else []
    lines += [f"= {name}" for name in others]
    lines += [" or ".join(choice) for choice in unit.layers]
    lines += [f"in {unit.model}"] if unit.model is not None else []
    return tuple(lines)


def _caption(edge: p.Edge) -> str:
    return "" if " " in edge.name else edge.name


def _columns(names: list[str], edges: list[p.Edge]) -> dict[str, int]:
    """As far to the right as the longest way along the edges leads; sources stand next to their first target."""
    columns = dict.fromkeys(names, 0)
    for _ in names:
        for edge in edges:
            columns[edge.target] = max(columns[edge.target], min(columns[edge.source] + 1, len(names)))
    entered = {edge.target for edge in edges}
    for name in names:
        targets = [columns[edge.target] for edge in edges if edge.source == name]
        if name not in entered and targets:
            columns[name] = min(targets) - 1
    return columns


def _opposite(rows: tuple[p.MapRow, ...], columns: Mapping[str, int]) -> tuple[tuple[tuple[str, str], ...], str]:
    pairs: list[tuple[str, str]] = []
    maps: dict[str, None] = {}
    taken: set[str] = set()
    for row in rows:
        ends = (row.source, row.target)
        if row.source == row.target or taken & set(ends) or not set(ends) <= columns.keys():
            continue
        if columns[row.source] != columns[row.target]:
            continue
        pairs.append(ends)
        taken |= set(ends)
        maps[f"{row.map}(x)" if row.model is None else f"its analogue in {row.model}"] = None
    return tuple(pairs), f"above and below: x and {' or '.join(maps)}" if pairs else ""


def _is_default(query: p.Query) -> bool:
    """Whether the score is the one that circuits have where the motif says none: the share of the weakest edge."""
    shares = tuple(p.EdgeProperty(edge.name, "share") for edge in query.body.edges)
    return query.score == p.Function("min", shares)


def _notes(query: p.Query) -> tuple[str, ...]:
    """Maps and conditions, a line each, as the motif states them."""
    body = query.body
    lines = [row_text(row) for row in body.rows]
    lines += [f"where {condition}" for condition in conditions(body)]
    lines += [f"no {{ {'; '.join(predicates(absent))} }}" for absent in body.absent]
    lines += [f"{c.quantity} {c.count:g} {c.unit} {{ {'; '.join(predicates(c.body))} }}" for c in body.counted]
    if query.score is not None and not _is_default(query):
        lines.append(f"score {text_of(query.score)}")
    if len(lines) > _LONGEST_LIST:
        lines = [*lines[:_LONGEST_LIST], f"and {len(lines) - _LONGEST_LIST} more conditions"]
    return tuple(lines)
