"""A circuit as a scene: who its units are, in which column, and which of them are opposite each other.

In come the circuit's units and edges as a search brings them, the units' records and the pictures that drive them most;
out comes the drawing. Symmetry is read from the names of the circuit: `T(case1)` stands opposite `case1`, a unit with
both names on the axis, and the elements of a group in the order of their poses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from circuitdb.graph import split_key
from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.layout import LINE_SIZE, NAME_SIZE, TILE_PADDING, TILE_WIDTHS
from circuitdb.reports.drawing.render import render
from circuitdb.reports.drawing.scene import Link, Scene, Sign, Tile
from circuitdb.reports.drawing.svg import Drawing

Row = Mapping[str, Any]

_TERM = re.compile(r"(?P<map>[^()]+(?:\([^()]*\))?)\((?P<of>[^,()]+)(?:, *(?P<model>.+))?\)")
_MOST_OF_A_LIST = 16


def draw_circuit(
    units: Mapping[str, str | Sequence[str]],
    edges: Sequence[Row],
    *,
    title: str,
    records: Mapping[str, Row] | None = None,
    examples: Mapping[str, Sequence[Row]] | None = None,
    scale: float | None = None,
) -> Drawing:
    """The drawing of a circuit.

    Parameters
    ----------
    units
        Unit keys by their names in the motif, a list of keys for a counted block's name, of which 16 are drawn at most;
        units without a name as the list of the empty name.
    edges
        Rows with `source`, `target` (keys), and the edge's properties.
    title
        What stands above the drawing.
    records
        The units' properties by key, with `labels`; columns follow their `depth`, else the order of the edges.
    examples
        Rows with `thumbnail` (a PNG or None) by key, strongest first.
    scale
        The weight that has full colour; the largest in the circuit if not given.
    """
    return render(circuit_scene(units, edges, title=title, records=records or {}, examples=examples or {}, scale=scale))


def circuit_scene(
    units: Mapping[str, str | Sequence[str]],
    edges: Sequence[Row],
    *,
    title: str,
    records: Mapping[str, Row],
    examples: Mapping[str, Sequence[Row]],
    scale: float | None = None,
) -> Scene:
    """The scene of a circuit; arguments as for `draw_circuit`."""
    names, left_out = _names(units, edges)
    columns, headings = _columns(list(names), edges, records)
    opposite, axis, order, invariant = _symmetry(units)
    several_models = len({split_key(key)[0] for key in names}) > 1
    tiles = tuple(
        Tile(
            key=key,
            column=columns[key],
            heading=heading,
            lines=(*more, *_lines(key, records.get(key), several_models)),
            title=unit_words(key, names[key], records.get(key)),
            pictures=tuple(row["thumbnail"] for row in examples.get(key, ()) if row.get("thumbnail"))[:4],
            invariant=key in invariant,
        )
        for key in names
        for heading, *more in [_heading(names[key])]
    )
    links = tuple(_link(edge) for edge in edges if edge["source"] in names and edge["target"] in names)
    notes = tuple(f"{count} more units of {name} are not drawn" for name, count in left_out.items())
    return Scene(
        title=title,
        description=_description(tiles, links, opposite, axis),
        columns=headings,
        tiles=tiles,
        links=links,
        opposite=tuple(pair for pair in opposite if set(pair) <= names.keys() and columns[pair[0]] == columns[pair[1]]),
        axis=axis,
        order=order,
        notes=notes,
        scale=scale,
    )


def _names(
    units: Mapping[str, str | Sequence[str]], edges: Sequence[Row]
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """The names of every unit to be drawn, and how many of each list are left out."""
    names: dict[str, list[str]] = {}
    left_out: dict[str, int] = {}
    for name, unit in units.items():
        keys = [unit] if isinstance(unit, str) else list(unit)
        most = _MOST_OF_A_LIST if name else len(keys)
        if len(keys) > most:
            left_out[name] = len(keys) - most
        for key in keys[:most]:
            names.setdefault(key, []).append(name)
    if not units:
        for edge in edges:
            names.setdefault(edge["source"], []), names.setdefault(edge["target"], [])
    return names, left_out


def _columns(
    keys: Sequence[str], edges: Iterable[Row], records: Mapping[str, Row]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The column of every unit, and what stands above the columns. The layers of each model follow each other."""
    layers = {key: split_key(key)[:2] for key in keys}
    depths: dict[tuple[str, str], int] = {}
    for key in keys:
        record = records.get(key)
        if record is not None and record.get("depth") is not None:
            depths[layers[key]] = int(record["depth"])
    if len(depths) < len(set(layers.values())):
        depths = _depths_by_edges(layers, edges)
    columns: dict[tuple[str, str], int] = {}
    for model in dict.fromkeys(model for model, _ in layers.values()):
        own = sorted({depth for (of, _), depth in depths.items() if of == model})
        columns |= {layer: own.index(depth) for layer, depth in depths.items() if layer[0] == model}
    headings: dict[int, list[str]] = {}
    for layer in sorted(set(layers.values()), key=lambda layer: list(layers.values()).index(layer)):
        headings.setdefault(columns[layer], []).append(layer[1])
    listed = tuple(" / ".join(dict.fromkeys(headings[c])) for c in sorted(headings))
    return {key: columns[layer] for key, layer in layers.items()}, listed


def _depths_by_edges(layers: Mapping[str, tuple[str, str]], edges: Iterable[Row]) -> dict[tuple[str, str], int]:
    """Depths where no record tells them: as far from the first layer as the longest way along the edges."""
    steps = {(layers[e["source"]], layers[e["target"]]) for e in edges if {e["source"], e["target"]} <= layers.keys()}
    depths = dict.fromkeys(layers.values(), 0)
    for _ in depths:
        for source, target in sorted(steps):
            depths[target] = max(depths[target], min(depths[source] + 1, len(depths)))
    return depths


def _symmetry(
    units: Mapping[str, str | Sequence[str]],
) -> tuple[list[tuple[str, str]], str, dict[str, float], set[str]]:
    """Pairs of opposite units, what exchanges them, places by pose, and the units that a map leads to themselves."""
    images: dict[str, list[tuple[str, str | None, str]]] = {}
    invariant: set[str] = set()
    for name, key in units.items():
        term = _TERM.fullmatch(name)
        if term is None or not isinstance(key, str):
            continue
        of = units.get(term["of"])
        if of == key:
            invariant.add(key)
        elif isinstance(of, str):
            images.setdefault(term["of"], []).append((term["map"], term["model"], key))
    opposite: list[tuple[str, str]] = []
    order: dict[str, float] = {}
    words: dict[str, None] = {}
    for name, found in images.items():
        base = str(units[name])
        if len(found) == 1 and not any(base in pair or found[0][2] in pair for pair in opposite):
            map_name, model, image = found[0]
            opposite.append((base, image))
            words[
                "above and below: " + (f"x and {map_name}(x)" if model is None else f"x and its analogue in {model}")
            ] = None
        elif len(found) > 1:
            turned = [key for _, _, key in sorted(found, key=lambda image: _degrees(image[0]))]
            order |= {key: float(place) for place, key in enumerate([base, *turned])}
    return opposite, "; ".join(words), order, invariant


def _degrees(map_name: str) -> float:
    """The angle of a turn, 0 for other maps."""
    angle = re.search(r"\((-?[0-9.]+)\)", map_name)
    return float(angle[1]) % 360 if angle else 0.0


def _heading(names: Sequence[str]) -> tuple[str, ...]:
    """The names of a unit in the motif on one line, or on a line each where that is too wide."""
    line = " = ".join(names)
    if len(names) < 2 or text.width(line, NAME_SIZE, bold=True) <= TILE_WIDTHS[1] - 2 * TILE_PADDING:
        return (line,)
    return (names[0], *(f"= {name}" for name in names[1:]))


def _lines(key: str, record: Row | None, with_model: bool) -> tuple[str, ...]:
    model, layer, index = split_key(key)
    name = f"{layer}:{index}"
    labels = [str(row["label"]) for row in (record or {}).get("labels") or ()]
    label = text.wrap(labels[0], LINE_SIZE, TILE_WIDTHS[1] - 2 * TILE_PADDING, most=2) if labels else ()
    return ((model,) if with_model else ()) + (name, *label)


def unit_words(key: str, names: Sequence[str], record: Row | None) -> str:
    """A unit in words: its key, its names in the motif, its labels."""
    labels = ", ".join(str(row["label"]) for row in (record or {}).get("labels") or ())
    return key + (f", {' = '.join(names)} of the motif" if any(names) else "") + (f": {labels}" if labels else "")


def edge_sign(edge: Row) -> Sign:
    """Whether an edge's row excites or inhibits; a skip does as its weight says."""
    if edge.get("kind") == "SKIP":
        return "inhibits" if (edge.get("weight") or 0.0) < 0 else "excites"
    return "inhibits" if edge.get("kind") == "INHIBITS" else "excites"


def edge_words(edge: Row) -> str:
    """An edge's row in words."""
    verb = edge_sign(edge) + (" through a skip" if edge.get("kind") == "SKIP" else "")
    figures = [f"weight {edge['weight']:+.3g}"] if edge.get("weight") is not None else []
    figures += [f"share {edge['share']:.1%}"] if edge.get("share") is not None else []
    return f"{edge['source']} {verb} {edge['target']}" + (f" ({', '.join(figures)})" if figures else "")


def kernel_of(edge: Row) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """The kernel [y, x] of an edge's row; a skip without one is its weight in a single cell."""
    entries = edge.get("kernel")
    if entries is not None and len(entries):
        return np.asarray(entries, dtype=np.float64).reshape(edge["kernel_h"], edge["kernel_w"])
    if edge.get("weight") is None:
        return None
    return np.array([[float(edge["weight"])]])


def kernel_centre(edge: Row) -> tuple[float, float] | None:
    """The target's centre in cells from the upper left corner of the kernel (x, y), or None where it is not known."""
    if edge.get("kernel") is None or edge.get("offset_x") is None or edge.get("offset_y") is None:
        return None
    return 0.5 - float(edge["offset_x"]), 0.5 - float(edge["offset_y"])


def _link(edge: Row) -> Link:
    share = edge.get("share")
    caption = "" if share is None else f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"
    return Link(
        source=edge["source"],
        target=edge["target"],
        sign=edge_sign(edge),
        kernel=kernel_of(edge),
        centre=kernel_centre(edge),
        share=share,
        caption=caption,
        title=edge_words(edge),
        skip=edge.get("kind") == "SKIP",
    )


def _description(tiles: Sequence[Tile], links: Sequence[Link], opposite: Sequence[tuple[str, str]], axis: str) -> str:
    parts = [f"{len(tiles)} units and {len(links)} edges, from left to right."]
    parts += [f"{tile.title}." for tile in tiles]
    parts += [f"{link.title}." for link in links]
    if opposite:
        parts.append(f"{axis.capitalize()}: {', '.join(f'{a} and {b}' for a, b in opposite)}.")
    if any(tile.invariant for tile in tiles):
        parts.append(f"Mapped to itself: {', '.join(tile.key for tile in tiles if tile.invariant)}.")
    return " ".join(parts)
