"""The picture of a null: how many circuits the samples of chance hold, and where the observed number lies."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.colours import FAINT, INK, SOFT
from circuitdb.reports.drawing.svg import Drawing, element, number, text_element

_WIDTH = 470.0
_LEFT = 24.0
_BASE = 128.0
_TOP = 58.0
_MOST_BARS = 30


def draw_null(observed: float, counts: Sequence[float], *, title: str) -> Drawing:
    """The histogram of a null's counts, with the observed number as a line that reaches above it."""
    values = np.asarray(counts, dtype=np.float64)
    low, high = min(float(values.min()), observed), max(float(values.max()), observed)
    margin = (high - low or 1.0) * 0.06
    low, high = low - margin, high + margin
    room = _WIDTH - 2 * _LEFT
    spread = float(values.max() - values.min())
    if spread:
        heights, edges = np.histogram(values, bins=int(min(_MOST_BARS, max(1, np.sqrt(len(values)) * 1.5))))
    else:
        heights, edges = np.array([len(values)]), values[0] + np.array([-1, 1]) * (high - low) / 100

    def across(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * room

    content = [element("rect", width=_WIDTH, height=176.0, fill="#fff")]
    fitted = text.fit(title, 13, room, bold=True)
    content.append(text_element("text", fitted, x=_LEFT, y=20.0, font_size=13.0, font_weight="bold", fill=INK))
    for height, left, right in zip(heights, edges, edges[1:], strict=False):
        tall = float(height / heights.max() * (_BASE - _TOP))
        x, end = across(float(left)), across(float(right))
        content.append(element("rect", x=x, y=_BASE - tall, width=max(1.5, end - x - 0.6), height=tall, fill="#8c8c8c"))
    content.append(element("path", d=f"M{_LEFT} {_BASE}h{number(room)}", stroke=INK, stroke_width=1.0))
    at = across(observed)
    content.append(element("path", d=f"M{number(at)} {_TOP - 10}V{_BASE}", stroke=INK, stroke_width=2.4))
    words = f"observed {observed:,.6g}"
    content.append(_centred(words, at, _TOP - 16, INK, bold=True))
    mean = float(values.mean())
    content.append(element("path", d=f"M{number(across(mean))} {_BASE}v6", stroke=INK, stroke_width=1.0))
    content.append(_centred(f"chance {mean:,.4g}", across(mean), _BASE + 18, SOFT))
    note = f"{len(values)} samples of chance; bars: how many samples hold so many circuits"
    content.append(text_element("text", note, x=_LEFT, y=_BASE + 38, font_size=10.0, fill=SOFT))
    content.append(element("path", d=f"M{_LEFT} {_TOP - 10}V{_BASE}", stroke=FAINT, stroke_width=0.6))
    extent = f"between {values.min():,.6g} and {values.max():,.6g}, mean {mean:,.4g}"
    description = f"{words}; {len(values)} samples of chance {extent}."
    return Drawing(_WIDTH, 176.0, title, description, tuple(content), {})


def _centred(words: str, x: float, y: float, colour: str, bold: bool = False) -> Element:
    """A text around x that stays within the figure."""
    half = text.width(words, 11.0, bold) / 2
    at = min(max(x, _LEFT + half), _WIDTH - _LEFT - half)
    weight = "bold" if bold else None
    return text_element("text", words, x=at, y=y, text_anchor="middle", font_size=11.0, fill=colour, font_weight=weight)
