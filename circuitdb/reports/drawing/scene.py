"""What is to be drawn, before anything has a place: tiles for units, links for edges, who is opposite whom.

Both circuits and motifs become a `Scene`; `layout` gives it places and `render` paints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from circuitdb.reports.drawing.kernel import Kernel

Sign = Literal["excites", "inhibits", "any"]


@dataclass(frozen=True)
class Tile:
    """A unit to be drawn.

    key: its name in the scene. column: its place from left to right. heading: its name in the motif. lines: what stands
    below the heading. title: everything about it in words. pictures: PNG files of what drives it, strongest first.
    invariant: whether a map leads it to itself. aside: drawn with a broken border (units of a `no` or counted block).
    """

    key: str
    column: int
    heading: str
    lines: tuple[str, ...] = ()
    title: str = ""
    pictures: tuple[bytes, ...] = ()
    invariant: bool = False
    aside: bool = False


@dataclass(frozen=True)
class Link:
    """An edge to be drawn.

    kernel: [y, x], drawn where it enters the target. centre: the target's centre in the kernel, in cells from its upper
    left corner (x, y). share: decides the line's width. caption: stands beside the kernel. title: the edge in words.
    """

    source: str
    target: str
    sign: Sign
    kernel: Kernel | None = None
    centre: tuple[float, float] | None = None
    share: float | None = None
    caption: str = ""
    title: str = ""
    skip: bool = False
    aside: bool = False


@dataclass(frozen=True)
class Scene:
    """Everything that is in one figure.

    columns: headings from left to right. opposite: pairs of tiles, the first to be above the axis and the second below
    it, at the same distance. axis: what exchanges them. order: places of tiles in their column where poses give it.
    notes: lines below the figure. scale: the weight that has full colour; None for the largest in the figure.
    """

    title: str
    description: str
    columns: tuple[str, ...]
    tiles: tuple[Tile, ...]
    links: tuple[Link, ...]
    opposite: tuple[tuple[str, str], ...] = ()
    axis: str = ""
    order: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scale: float | None = None
