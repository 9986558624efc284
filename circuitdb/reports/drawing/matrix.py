"""The matrix of kernels between two lists of units, as between two families in the order of their poses.

In "the weights turn with the curve" (Cammarata et al. 2021, Curve Circuits) rows and columns are poses, and the kernels
along a diagonal are one kernel turned step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.circuit import edge_words, kernel_centre, kernel_of
from circuitdb.reports.drawing.colours import FAINT, INK, SOFT
from circuitdb.reports.drawing.kernel import kernel_size, place_kernel
from circuitdb.reports.drawing.layout import MARGIN
from circuitdb.reports.drawing.legend import legend
from circuitdb.reports.drawing.scene import Link, Scene
from circuitdb.reports.drawing.svg import Attribute, Drawing, element, text_element

Row = Mapping[str, Any]

_SIDE = 46.0
_GAP = 6.0
_SIZE = 10.0
_TITLE_SIZE = 14.0
_TITLE_LINE = 18.0
_TITLE_LINES = 4
_WIDEST_WORD = 600.0
_LABEL_WIDTH = 150.0
_LINE = 12.5
_LEAST_WIDTH = 320.0


def draw_kernel_matrix(
    sources: Sequence[str],
    targets: Sequence[str],
    edges: Sequence[Row],
    *,
    title: str,
    captions: Mapping[str, str] | None = None,
) -> Drawing:
    """Kernels from every source (columns) to every target (rows), all on one scale; a dot where no edge was kept.

    Parameters
    ----------
    sources, targets
        Unit keys, from left to right and from top to bottom.
    edges
        Rows with `source`, `target` and `kernel`; others than between the two lists are left out, skips too.
    captions
        What stands below a unit's name, by key: its pose or label.
    """
    captions = captions or {}
    rows = {(edge["source"], edge["target"]): edge for edge in edges if edge.get("kind") != "SKIP"}
    shown = {
        (x, y): rows[source, target]
        for x, source in enumerate(sources)
        for y, target in enumerate(targets)
        if (source, target) in rows and kernel_of(rows[source, target]) is not None
    }
    kernels = {place: kernel for place, edge in shown.items() if (kernel := kernel_of(edge)) is not None}
    scale = max((float(np.abs(kernel).max()) for kernel in kernels.values()), default=0.0) or 1.0
    wide = max((text.width(words, _SIZE) for key in targets for words in (_short(key), captions.get(key, ""))),
               default=0.0)  # fmt: skip
    left = MARGIN + min(_LABEL_WIDTH, wide) + 10
    longest = max((text.width(words, _SIZE) for key in sources for words in (_short(key), captions.get(key, ""))),
                  default=0.0)  # fmt: skip
    upright = longest <= _SIDE + _GAP - 4
    head = 2 * _LINE + 6 if upright else min(_LABEL_WIDTH, longest) + 8
    longest_word = max((text.width(word, _TITLE_SIZE, bold=True) for word in title.split()), default=0.0)
    least = max(_LEAST_WIDTH, min(longest_word, _WIDEST_WORD) + 2 * MARGIN)
    width = max(left + len(sources) * (_SIDE + _GAP) + MARGIN, least)
    heading = text.wrap(title, _TITLE_SIZE, width - 2 * MARGIN, _TITLE_LINES, bold=True)
    top = MARGIN + 8 + _TITLE_LINE * len(heading) + head
    parts: dict[str, Element] = {}
    large: dict[str, Attribute] = {"x": MARGIN, "font_size": _TITLE_SIZE, "font_weight": "bold", "fill": INK}
    content = [
        text_element("text", line, y=MARGIN + 10 + _TITLE_LINE * row, **large) for row, line in enumerate(heading)
    ]
    for x, key in enumerate(sources):
        content.append(_column_name(key, captions.get(key, ""), left + x * (_SIDE + _GAP) + _SIDE / 2, top, upright))
    for y, key in enumerate(targets):
        middle = top + y * (_SIDE + _GAP) + _SIDE / 2
        content.append(_name(key, captions.get(key, ""), left - 10, middle - 1, "end"))
    for x in range(len(sources)):
        for y in range(len(targets)):
            at_x, at_y = left + x * (_SIDE + _GAP), top + y * (_SIDE + _GAP)
            if (x, y) not in kernels:
                content.append(element("circle", cx=at_x + _SIDE / 2, cy=at_y + _SIDE / 2, r=1.6, fill=FAINT))
                continue
            edge, kernel = shown[x, y], kernels[x, y]
            cell, across, down = kernel_size(kernel, _SIDE)
            inset = (_SIDE - across) / 2, (_SIDE - down) / 2
            drawn, used = place_kernel(kernel, at_x + inset[0], at_y + inset[1], cell, scale, kernel_centre(edge))
            content.append(element("g", text_element("title", edge_words(edge)), *drawn))
            parts |= used
    bottom = top + len(targets) * (_SIDE + _GAP)
    links = tuple(Link("", "", "any", kernel=kernel) for kernel in list(kernels.values())[:1])
    empty = len(sources) * len(targets) - len(kernels)
    notes = ("columns: where edges start; rows: where they end", *(["a dot: no edge was kept"] if empty else []))
    scene = Scene("", "", (), (), links, notes=notes)
    key_drawn, _, key_height = legend(scene, scale, MARGIN, bottom + 4, width - 2 * MARGIN, with_signs=False)
    height = bottom + 4 + key_height + MARGIN / 2
    description = f"{len(targets)} rows, {len(sources)} columns. " + " ".join(
        f"{edge_words(shown[place])}." for place in sorted(shown)
    )
    background = element("rect", width=width, height=height, fill="#fff")
    return Drawing(width, height, title, description, (background, *content, *key_drawn), parts)


def _short(key: str) -> str:
    return key.partition("/")[2]


def _name(key: str, caption: str, x: float, middle: float, anchor: str) -> Element:
    group = element("g", text_element("title", f"{key} {caption}".strip()))
    name = text.fit(_short(key), _SIZE, _LABEL_WIDTH)
    place: dict[str, Attribute] = {"x": x, "font_size": _SIZE, "text_anchor": anchor}
    group.append(text_element("text", name, y=middle if caption else middle + 4, fill=INK, **place))
    if caption:
        words = text.fit(caption, _SIZE, _LABEL_WIDTH)
        group.append(text_element("text", words, y=middle + _LINE, fill=SOFT, **place))
    return group


def _column_name(key: str, caption: str, x: float, top: float, upright: bool) -> Element:
    if upright:
        return _name(key, caption, x, top - _LINE - 8, "middle")
    group = _name(key, caption, 0.0, -1.0 if caption else -3.0, "start")
    group.set("transform", f"translate({x:.2f} {top - 6:.2f}) rotate(-90)")
    return group
