"""From a scene to its drawing: lines below, then kernels, tiles and words, then the legend."""

from __future__ import annotations

import base64
from itertools import cycle, islice
from xml.etree.ElementTree import Element

import numpy as np

from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.colours import INK, SOFT
from circuitdb.reports.drawing.kernel import place_kernel
from circuitdb.reports.drawing.layout import (
    CAPTION_SIZE,
    HEADING_SIZE,
    LINE_SIZE,
    MARGIN,
    NAME_SIZE,
    PICTURE,
    PICTURE_GAP,
    TILE_PADDING,
    Box,
    Layout,
    Port,
    lay_out,
    line_place,
)
from circuitdb.reports.drawing.legend import legend
from circuitdb.reports.drawing.lines import bend, head, head_length, line_width, shaft
from circuitdb.reports.drawing.scene import Link, Scene, Tile
from circuitdb.reports.drawing.svg import Attribute, Drawing, element, named, number, text_element

_TITLE_SIZE = 14.0
_TURN = 26.0
"""Pixels before a tile in which a line turns from its kernel's height to its own."""


def render(scene: Scene) -> Drawing:
    """The drawing of a scene."""
    layout = lay_out(scene)
    scale = figure_scale(scene)
    parts: dict[str, Element] = {}
    key, _, key_height = legend(scene, scale, MARGIN, layout.height, layout.width - 2 * MARGIN)
    height = layout.height + key_height + (MARGIN / 2 if key_height else 0.0)
    content = [element("rect", width=layout.width, height=height, fill="#fff")]
    content += _words(scene, layout)
    if scene.opposite and scene.axis:
        across = f"M{number(MARGIN / 2)} {number(layout.axis)}H{number(layout.width - MARGIN / 2)}"
        content.append(
            element("path", d=across, stroke=SOFT, stroke_width=1.0, stroke_dasharray="9 3 2 3", opacity=0.7)
        )
    for link, port, route in zip(scene.links, layout.ports, layout.routes, strict=True):
        content.append(_line(link, port, route))
    for link, port in zip(scene.links, layout.ports, strict=True):
        content.append(_entry(link, port, scale, parts))
    for tile in scene.tiles:
        content.append(_tile(tile, layout.tiles[tile.key], parts))
    return Drawing(layout.width, height, scene.title, scene.description, (*content, *key), parts)


def figure_scale(scene: Scene) -> float:
    """The weight that has full colour: the scene's own, or the largest that it shows."""
    if scene.scale is not None:
        return scene.scale
    entries = (float(np.abs(link.kernel).max()) for link in scene.links if link.kernel is not None and link.kernel.size)
    return max(entries, default=0.0) or 1.0


def _words(scene: Scene, layout: Layout) -> list[Element]:
    box = layout.title
    title = text.fit(scene.title, _TITLE_SIZE, box.width, bold=True)
    drawn = [text_element("text", title, x=box.x, y=box.y + 13, font_size=_TITLE_SIZE, font_weight="bold", fill=INK)]
    for heading, box in zip(scene.columns, layout.headings, strict=True):
        drawn.append(
            text_element(
                "text",
                text.fit(heading, HEADING_SIZE, box.width, bold=True),
                x=box.x + box.width / 2,
                y=box.y + 11,
                font_size=HEADING_SIZE,
                font_weight="bold",
                text_anchor="middle",
                fill=SOFT,
            )
        )
    return drawn


def _line(link: Link, port: Port, route: tuple[tuple[float, float], ...]) -> Element:
    """A link up to its kernel, and from there to its target's tile."""
    width = line_width(link.share)
    (x, y), *rest = route
    path = [f"M{number(x)} {number(y)}"]
    end_x, end_y = port.arrives
    stop = end_x - head_length(link.sign, width)
    if port.kernel is None and port.caption is None:
        rest[-1] = (stop, end_y)
    for bent, (to_x, to_y) in zip(cycle((True, False)), rest, strict=False):
        path.append(bend(x, y, to_x, to_y) if bent else f"H{number(to_x)}")
        x, y = to_x, to_y
    if (x, y) != (stop, end_y):
        turn = end_x - _TURN
        path.append(f"M{number(port.leaves[0])} {number(port.leaves[1])}" if port.kernel is not None else "")
        path += [f"H{number(turn)}", bend(turn, port.leaves[1], stop, end_y)]
    return element(
        "g",
        text_element("title", link.title),
        *shaft(link.sign, width, "".join(path), skip=link.skip, aside=link.aside),
        head(link.sign, width, end_x, end_y),
    )


def _entry(link: Link, port: Port, scale: float, parts: dict[str, Element]) -> Element:
    """A link's kernel and caption."""
    group = element("g", text_element("title", link.title))
    if link.kernel is not None and port.kernel is not None:
        cell = port.kernel.width / link.kernel.shape[1]
        drawn, used = place_kernel(link.kernel, port.kernel.x, port.kernel.y, cell, scale, link.centre)
        group.extend(drawn)
        parts.update(used)
    if port.caption is not None:
        place: dict[str, Attribute] = {"x": port.caption.x, "y": port.caption.bottom - 1.5}
        group.append(text_element("text", link.caption, font_size=CAPTION_SIZE, fill=SOFT, **place))
    return group


def _tile(tile: Tile, box: Box, parts: dict[str, Element]) -> Element:
    frame: dict[str, Attribute] = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "rx": 7.0}
    border: dict[str, Attribute] = {"stroke": SOFT if tile.aside else INK, "stroke_width": 1.0}
    group = element("g", text_element("title", tile.title or tile.heading))
    group.append(element("rect", fill="#fbfbf9", stroke_dasharray="4 3" if tile.aside else None, **frame, **border))
    if tile.invariant:
        group.append(
            element(
                "rect",
                x=box.x + 3,
                y=box.y + 3,
                width=box.width - 6,
                height=box.height - 6,
                rx=5.0,
                fill="none",
                stroke=INK,
                stroke_width=0.8,
            )
        )
    group.extend(_pictures(tile, box, parts))
    room = box.width - 2 * TILE_PADDING + 2
    place: dict[str, Attribute] = {"x": box.x + box.width / 2, "text_anchor": "middle"}
    if tile.heading:
        heading = text.fit(tile.heading, NAME_SIZE, room, bold=True)
        style: dict[str, Attribute] = {"font_size": NAME_SIZE, "font_weight": "bold", "fill": INK}
        group.append(text_element("text", heading, y=line_place(box, tile, 0), **style, **place))
    for row, line in enumerate(tile.lines):
        style = {"font_size": LINE_SIZE, "fill": SOFT, "y": line_place(box, tile, row + bool(tile.heading))}
        group.append(text_element("text", text.fit(line, LINE_SIZE, room), **style, **place))
    return group


def _pictures(tile: Tile, box: Box, parts: dict[str, Element]) -> list[Element]:
    """The strongest four pictures in a square."""
    shown = list(islice(tile.pictures, 4))
    across = 2 if len(shown) > 1 else 1
    left = box.x + (box.width - across * PICTURE - (across - 1) * PICTURE_GAP) / 2
    drawn = []
    for place, picture in enumerate(shown):
        name, part = picture_part(picture)
        parts[name] = part
        row, column = divmod(place, across)
        x = left + column * (PICTURE + PICTURE_GAP)
        y = box.y + TILE_PADDING + row * (PICTURE + PICTURE_GAP)
        drawn.append(
            element("use", href=f"#{name}", transform=f"translate({number(x)} {number(y)}) scale({number(PICTURE)})")
        )
    return drawn


def picture_part(png: bytes) -> tuple[str, Element]:
    """A picture as a square of side 1 that drawings share, and its name."""
    data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return named(element("image", href=data, width=1.0, height=1.0, preserveAspectRatio="xMidYMid slice"), "p")
