"""Kernels drawn in a terminal: signed blocks, red where a unit excites and blue where it inhibits, white around zero.

In come kernels with captions, out comes text whose lines fit a given width. Without colour each cell is a sign and a
digit, `+9` for the strongest excitation and `-9` for the strongest inhibition, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.style import Style
from rich.text import Text

from circuitdb.reports.drawing.colours import diverging

_GAP = 3


@dataclass(frozen=True)
class Drawing:
    """A kernel [y, x] and the lines written below it."""

    kernel: npt.NDArray[np.float64]
    caption: Sequence[str]


def signed_digit(value: float) -> str:
    """Two characters for a value in -1..1: its sign and ninths of its size, a dot where it rounds to nothing."""
    ninths = min(9, round(9 * abs(value)))
    return " ·" if ninths == 0 else f"{'+' if value > 0 else '-'}{ninths}"


def _block(drawing: Drawing, scale: float, colour: bool) -> list[Text]:
    lines = []
    for row in drawing.kernel / scale:
        if colour:
            cells = (Text("  ", Style(bgcolor=Color.from_rgb(*diverging(value)))) for value in row)
            lines.append(Text().join(cells))
        else:
            lines.append(Text(" ".join(signed_digit(value) for value in row)))
    return lines + [Text(line) for line in drawing.caption]


def draw_kernels(drawings: Sequence[Drawing], width: int, colour: bool) -> Text:
    """Kernels side by side, in as many rows as the width asks for, all on one scale.

    Parameters
    ----------
    drawings
        What to draw. The largest absolute entry of them all is full red or full blue.
    width
        Columns of the terminal.
    colour
        Whether blocks are coloured; otherwise signs and digits stand for them.
    """
    scale = max((float(np.abs(d.kernel).max()) for d in drawings if d.kernel.size), default=0.0) or 1.0
    blocks = [(len(d.kernel), _block(d, scale, colour)) for d in drawings]
    column = max((line.cell_len for _, lines in blocks for line in lines), default=0) + _GAP
    per_row = max(1, (width + _GAP) // column)
    text = Text(no_wrap=True, overflow="crop")
    for start in range(0, len(blocks), per_row):
        row = blocks[start : start + per_row]
        tallest = max(kernel_rows for kernel_rows, _ in row)
        aligned = [[Text()] * (tallest - kernel_rows) + lines for kernel_rows, lines in row]
        for parts in zip_longest(*aligned, fillvalue=Text()):
            end = 0
            for place, part in enumerate(parts):
                if part:
                    text.append(" " * (place * column - end)).append_text(part)
                    end = place * column + part.cell_len
            text.append("\n")
        text.append("\n")
    return text
