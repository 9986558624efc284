"""Lines of links: red and whole with an arrow where a unit excites, blue and broken with a bar where it inhibits."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from circuitdb.reports.drawing.colours import BLUE, RED, SOFT
from circuitdb.reports.drawing.scene import Sign
from circuitdb.reports.drawing.svg import Attribute, element, number

LINE_COLOURS: dict[Sign, str] = {"excites": RED, "inhibits": BLUE, "any": SOFT}
_PLAIN_WIDTH = 2.0


def line_width(share: float | None) -> float:
    """The width in pixels of a link with that share of its target's input; it grows with the root of the share."""
    return _PLAIN_WIDTH if share is None else 0.9 + 7.0 * math.sqrt(min(1.0, max(0.0, share)))


def shaft(sign: Sign, width: float, path: str, *, skip: bool = False, aside: bool = False) -> list[Element]:
    """The line along a path. A skip is drawn as two parallel lines."""
    dashes = f"{number(max(5.0, 2.2 * width))} {number(max(3.5, 1.1 * width))}" if sign == "inhibits" else None
    if aside:
        dashes = "2 3"
    paint: dict[str, Attribute] = {"fill": "none", "stroke": LINE_COLOURS[sign], "stroke_dasharray": dashes}
    width = max(width, 4.0) if skip else width
    drawn = [element("path", d=path, stroke_width=width, **paint)]
    if skip:
        drawn.append(element("path", d=path, stroke_width=width - 2.4, fill="none", stroke="#fff"))
    return drawn


def head(sign: Sign, width: float, x: float, y: float) -> Element:
    """The end of a line that comes from the left: an arrow whose tip is at x, y, or a bar there."""
    half = 3.2 + 0.75 * width
    if sign == "inhibits":
        bar = f"M{number(x - 2.8)} {number(y - half)}v{number(2 * half)}"
        return element("path", d=bar, stroke=LINE_COLOURS[sign], stroke_width=2.6, fill="none")
    length = 6.0 + 0.6 * width
    tip = f"M{number(x)} {number(y)}l{number(-length)} {number(-half)}v{number(2 * half)}z"
    return element("path", d=tip, fill=LINE_COLOURS[sign])


def head_length(sign: Sign, width: float) -> float:
    """How far before its end a line stops, so that its head ends it."""
    return 2.8 if sign == "inhibits" else 5.0 + 0.6 * width


def bend(x0: float, y0: float, x1: float, y1: float) -> str:
    """A curve to x1, y1 that leaves and arrives horizontally and stays between the two in x and y."""
    half = (x0 + x1) / 2
    return f"C{number(half)} {number(y0)} {number(half)} {number(y1)} {number(x1)} {number(y1)}"
