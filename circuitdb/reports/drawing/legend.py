"""The legend of a figure: only what the figure uses, as samples with words, in as many rows as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.colours import BLUE, FAINT, INK, RED, SOFT
from circuitdb.reports.drawing.kernel import shade
from circuitdb.reports.drawing.layout import Box
from circuitdb.reports.drawing.lines import head, line_width, shaft
from circuitdb.reports.drawing.scene import Scene, Sign
from circuitdb.reports.drawing.svg import Attribute, element, number, text_element

_SIGNS: Mapping[Sign, str] = {"excites": "excites", "inhibits": "inhibits", "any": "either sign"}
_SIZE = 10.0
_ROW = 22.0
_GAP = 20.0
_NOTE_ROW = 15.0
_INDENT = 14.0

Paint = Callable[[float, float], list[Element]]
"""Draws a sample at its left end and the middle of its row."""


@dataclass(frozen=True)
class Sample:
    """One entry: a sample of that width, and its words."""

    width: float
    paint: Paint
    words: str


def legend(
    scene: Scene, scale: float, left: float, top: float, width: float, *, with_signs: bool = True
) -> tuple[list[Element], list[Box], float]:
    """The legend's elements, their boxes, and its height. `with_signs`: whether lines have samples."""
    drawn: list[Element] = []
    boxes: list[Box] = []
    x, y = left, top
    for sample in _samples(scene, scale, with_signs):
        words = text.width(sample.words, _SIZE)
        length = sample.width + 6 + words
        if x > left and x + length > left + width:
            x, y = left, y + _ROW
        drawn += sample.paint(x, y + _ROW / 2)
        drawn.append(
            text_element("text", sample.words, x=x + sample.width + 6, y=y + _ROW / 2 + 3.5, font_size=_SIZE, fill=SOFT)
        )
        boxes.append(Box(x, y, length, _ROW))
        x += length + _GAP
    bottom = y + _ROW if drawn else top
    for note in scene.notes:
        for number_, line in enumerate(text.wrap(note, _SIZE, width - _INDENT, most=4)):
            x = left + (_INDENT if number_ else 0.0)
            drawn.append(text_element("text", line, x=x, y=bottom + 11, font_size=_SIZE, fill=SOFT))
            boxes.append(Box(x, bottom, text.width(line, _SIZE), _NOTE_ROW - 1))
            bottom += _NOTE_ROW
    return drawn, boxes, bottom - top


def _samples(scene: Scene, scale: float, with_signs: bool) -> list[Sample]:
    samples = []
    if any(link.kernel is not None for link in scene.links):
        samples.append(Sample(96.0, _scale_bar, f"weight (root scale), full colour at ±{scale:.3g}"))
    for sign, words in _SIGNS.items():
        if with_signs and any(link.sign == sign for link in scene.links):
            samples.append(Sample(34.0, _arrow(sign), words))
    if any(link.skip for link in scene.links):
        samples.append(Sample(34.0, lambda x, y: shaft("any", 4.0, f"M{number(x)} {number(y)}h34", skip=True), "skip"))
    if any(link.share is not None for link in scene.links):
        samples.append(Sample(76.0, _widths, "share of the target's input: 1 %, 10 %, 50 %"))
    if scene.opposite and scene.axis:
        samples.append(Sample(34.0, _axis, scene.axis))
    if any(tile.invariant for tile in scene.tiles):
        samples.append(Sample(20.0, _invariant, "mapped to itself"))
    if any(tile.aside for tile in scene.tiles):
        samples.append(Sample(20.0, _aside, "in a block"))
    return samples


def _scale_bar(x: float, y: float) -> list[Element]:
    steps = 24
    drawn = [element("rect", x=x, y=y - 5, width=96.0, height=10.0, fill="#fff")]
    for step in range(steps):
        value = (step + 0.5) / steps * 2 - 1
        drawn.append(
            element(
                "rect",
                x=x + 96.0 * step / steps,
                y=y - 5,
                width=96.0 / steps,
                height=10.0,
                fill=RED if value > 0 else BLUE,
                fill_opacity=shade(value, 1.0),
                shape_rendering="crispEdges",
            )
        )
    drawn.append(element("rect", x=x, y=y - 5, width=96.0, height=10.0, fill="none", stroke=FAINT, stroke_width=0.8))
    drawn.append(element("path", d=f"M{number(x + 6)} {number(y)}h8", stroke="#fff", stroke_width=1.6))
    plus = f"M{number(x + 82)} {number(y)}h8M{number(x + 86)} {number(y - 4)}v8"
    drawn.append(element("path", d=plus, stroke="#fff", stroke_width=1.6))
    return drawn


def _arrow(sign: Sign) -> Paint:
    def paint(x: float, y: float) -> list[Element]:
        end = x + 34.0
        return [
            *shaft(sign, 2.4, f"M{number(x)} {number(y)}H{number(end - (7 if sign != 'inhibits' else 1))}"),
            head(sign, 2.4, end, y),
        ]

    return paint


def _widths(x: float, y: float) -> list[Element]:
    return [
        element("path", d=f"M{number(x + 26 * place)} {number(y)}h22", stroke=INK, stroke_width=line_width(share))
        for place, share in enumerate((0.01, 0.1, 0.5))
    ]


def _axis(x: float, y: float) -> list[Element]:
    return [
        element("path", d=f"M{number(x)} {number(y)}h34", stroke=SOFT, stroke_width=1.0, stroke_dasharray="9 3 2 3")
    ]


def _invariant(x: float, y: float) -> list[Element]:
    return [
        element("rect", x=x, y=y - 6, width=20.0, height=12.0, rx=3.0, fill="#fff", stroke=INK, stroke_width=1.0),
        element("rect", x=x + 2, y=y - 4, width=16.0, height=8.0, rx=2.0, fill="none", stroke=INK, stroke_width=0.8),
    ]


def _aside(x: float, y: float) -> list[Element]:
    dashes: dict[str, Attribute] = {"stroke": SOFT, "stroke_width": 1.0, "stroke_dasharray": "3 2"}
    return [element("rect", x=x, y=y - 6, width=20.0, height=12.0, rx=3.0, fill="#fff", **dashes)]
