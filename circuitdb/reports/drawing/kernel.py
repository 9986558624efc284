"""A kernel as a small picture whose colours can be put on any scale afterwards.

Colour grows with the square root of an entry, so that weak kernels show beside strong ones. The part that drawings
share has the kernel on its own scale: opacity is the root of the entry over the largest. Placed with the opacity
`shade(largest, scale)` over white it is on the figure's scale, since both are factors of the same product. Inhibiting
cells carry a bar, so that the sign is seen without colour.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import lru_cache
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from circuitdb.reports.drawing.colours import BLUE, FAINT, INK, RED
from circuitdb.reports.drawing.svg import Attribute, element, named, number

Kernel = npt.NDArray[np.float64]

LEVELS = 32
"""Steps of colour between white and full."""

_STRONG = LEVELS * 0.6
_WEAKEST_BAR = LEVELS * 0.4
_LARGEST_CELL = 13.0


def kernel_size(kernel: Kernel, side: float) -> tuple[float, float, float]:
    """Side of a cell, width and height in pixels of a kernel [y, x] that fits a square of that side."""
    cell = min(side / max(kernel.shape), _LARGEST_CELL)
    return cell, cell * kernel.shape[1], cell * kernel.shape[0]


def shade(value: float, scale: float) -> float:
    """How strong the colour of a weight is, 0..1, where `scale` has full colour."""
    return math.sqrt(min(1.0, abs(value) / scale))


def kernel_levels(kernel: Kernel) -> npt.NDArray[np.int64]:
    """The cells of a kernel [y, x] on its own scale, from -LEVELS to LEVELS."""
    largest = float(np.abs(kernel).max()) if kernel.size else 0.0
    roots = np.sign(kernel) * np.sqrt(np.abs(kernel) / (largest or 1.0))
    levels: npt.NDArray[np.int64] = np.rint(roots * LEVELS).astype(np.int64)
    return levels


def kernel_part(kernel: Kernel) -> tuple[str, Element]:
    """The picture of a kernel [y, x] on its own scale, one unit a cell, and its name."""
    levels = kernel_levels(kernel)
    return _part(levels.shape, levels.tobytes())


@lru_cache(maxsize=4096)
def _part(shape: tuple[int, ...], data: bytes) -> tuple[str, Element]:
    levels = np.frombuffer(data, np.int64).reshape(shape)
    cells: dict[int, list[str]] = defaultdict(list)
    bars: dict[bool, list[str]] = defaultdict(list)
    for y, row in enumerate(levels.tolist()):
        start = 0
        for x, level in enumerate(row):
            if x + 1 == len(row) or row[x + 1] != level:
                if level:
                    cells[level].append(f"M{start} {y}h{x + 1 - start}v1h{start - x - 1}z")
                start = x + 1
            if level <= -_WEAKEST_BAR:
                bars[level <= -_STRONG].append(f"M{number(x + 0.22)} {number(y + 0.5)}h.56")
    group = element("g")
    for level in sorted(cells):
        paint = RED if level > 0 else BLUE
        opacity = number(abs(level) / LEVELS) if abs(level) < LEVELS else None
        group.append(
            element("path", d="".join(cells[level]), fill=paint, fill_opacity=opacity, shape_rendering="crispEdges")
        )
    for strong in sorted(bars):
        group.append(
            element("path", d="".join(bars[strong]), stroke="#fff" if strong else "#08306b", stroke_width=0.16)
        )
    return named(group, "k")


def place_kernel(
    kernel: Kernel,
    x: float,
    y: float,
    cell: float,
    scale: float,
    centre: tuple[float, float] | None = None,
) -> tuple[list[Element], dict[str, Element]]:
    """A kernel with its upper left corner at x, y, on the figure's scale, and the part that it uses.

    centre: the target's centre in cells from the kernel's upper left corner (x, y); marked where it is not the middle.
    """
    rows, columns = kernel.shape
    name, part = kernel_part(kernel)
    largest = float(np.abs(kernel).max()) if kernel.size else 0.0
    frame: dict[str, Attribute] = {"x": x, "y": y, "width": cell * columns, "height": cell * rows}
    drawn = [element("rect", fill="#fff", **frame)]
    if largest > 0:
        drawn.append(
            element(
                "use",
                href=f"#{name}",
                transform=f"translate({number(x)} {number(y)}) scale({cell:.4f})",
                opacity=None if largest >= scale else f"{shade(largest, scale):.3f}",
            )
        )
    drawn.append(element("rect", fill="none", stroke=FAINT, stroke_width=0.8, **frame))
    if centre is not None and (centre[0] != columns / 2 or centre[1] != rows / 2):
        across, down = centre
        if 0 <= across <= columns and 0 <= down <= rows:
            at: dict[str, Attribute] = {"cx": x + cell * across, "cy": y + cell * down}
            drawn.append(element("circle", r=2.2, fill="#fff", stroke=INK, stroke_width=0.9, **at))
    return drawn, {name: part} if largest > 0 else {}
