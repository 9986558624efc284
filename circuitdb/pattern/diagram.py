"""A pattern drawn with characters: a line a unit, in order of depth, and a column an edge.

In goes a body of a Pattern, or the file of a motif; out come lines of text for the terminal. What stands in blocks is
drawn below, by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from circuitdb.pattern import model as p
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.describe import row_text
from circuitdb.pattern.maps import format_number

_HEADS = {"excites": "▼", "inhibits": "┴", "any": "▽", "never": "×"}
_LEGEND = {"▼": "▼ excites", "┴": "┴ inhibits", "▽": "▽ either", "║": "║ skip"}
_START = "o"


def motif_diagram(file: Path) -> str:
    """The diagram of a motif's file, whose last motif is drawn with its defaults.

    A parameter without a default stands for itself.

    Raises
    ------
    MotifError
        If the text has a mistake.
    """
    text = file.read_text(encoding="utf-8")
    motif = parse(Source(file.name, text)).motifs[-1]
    wanted = {parameter.name: parameter.name for parameter in motif.parameters if parameter.default is None}
    body = compile_query(text, parameters=wanted, source_name=file.name, folder=file.parent).body
    return diagram(body)


def diagram(body: p.Body) -> str:
    """The diagram of a body, with a legend of the signs that are in it."""
    lines = list(_lines(body, {}))
    drawn = {character for line in lines for character in line}
    legend = "   ".join(words for sign, words in _LEGEND.items() if sign in drawn)
    return "\n".join([*lines, *(["", legend] if legend else [])]) + "\n"


def _lines(body: p.Body, around: Mapping[str, str]) -> Iterator[str]:
    """The lines of a body; `around` gives the names by which units of the bodies around it are shown."""
    shown = {**around, **{unit.name: " = ".join(unit.shown_as or (unit.name,)) for unit in body.units}}
    met = {unit.name for unit in body.units} | {end for edge in body.edges for end in (edge.source, edge.target)}
    names = [name for name in shown if name in met]
    depth = _depths(names, body.edges)
    names.sort(key=lambda name: depth[name])
    place = {name: row for row, name in enumerate(names)}
    edges = sorted(body.edges, key=lambda edge: (place[edge.source], place[edge.target]))
    widest = max((len(shown[name]) for name in names), default=0)
    for row, name in enumerate(names):
        cells = (_cell(edge, place, row) for edge in edges)
        yield f"{shown[name]:<{widest}}   {' '.join(cells)}".rstrip()
    yield from _maps(body.rows, shown)
    for counted in body.counted:
        yield from _block(f"{counted.quantity} {format_number(counted.count)} {counted.unit}", counted.body, shown)
    for absent in body.absent:
        if not _is_condition(absent, body):
            yield from _block("no", absent, shown)
    for choice in body.choices:
        heading = f"{choice.quantity} {format_number(choice.count)} of {len(choice.bodies)}, such as"
        yield from _block(heading, choice.bodies[-1], shown)


def _is_condition(absent: p.Body, body: p.Body) -> bool:
    """Whether a `no` only says something of edges that the body draws already."""
    drawn = {(edge.source, edge.target, edge.skip) for edge in body.edges}
    return not absent.units and all((edge.source, edge.target, edge.skip) in drawn for edge in absent.edges)


def _block(heading: str, body: p.Body, shown: Mapping[str, str]) -> Iterator[str]:
    yield heading
    for line in _lines(body, shown):
        yield f"  {line}"


def _depths(names: Sequence[str], edges: Sequence[p.Edge]) -> dict[str, int]:
    """How many edges lead to each unit at most; a pattern that runs in a circle ends somewhere."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for edge in edges:
            depth[edge.target] = max(depth[edge.target], min(depth[edge.source] + 1, len(names)))
    return depth


def _cell(edge: p.Edge, place: Mapping[str, int], row: int) -> str:
    """The sign of an edge's column in a row."""
    source, target = place[edge.source], place[edge.target]
    if row == source:
        return _START
    if row == target:
        return _HEADS[edge.sign]
    if not min(source, target) < row < max(source, target):
        return " "
    return "║" if edge.skip else "│"


def _maps(rows: Sequence[p.MapRow], shown: Mapping[str, str]) -> Iterator[str]:
    """A line a map; rows that lead to a unit without another name than the map's are left out."""
    leads: dict[str, list[str]] = {}
    for row in rows:
        if shown[row.target].split(" = ") != [row_text(row).split(" = ")[1]]:
            name = row.map if row.model is None else f"{row.map} in {row.model}"
            leads.setdefault(name, []).append(f"{row.source} ↦ {row.target}")
    for name, pairs in leads.items():
        yield f"{name}: {', '.join(pairs)}"
