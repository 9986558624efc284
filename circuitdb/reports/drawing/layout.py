"""Where everything in a scene stands, in pixels.

A column is a stack of tiles. Left of each tile stand the kernels of the edges into it, one above the other, so that a
kernel is seen where it acts; lines run only in the gutters between columns and, past a column, through room of their
own. Boxes therefore never overlap, whatever the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from circuitdb.reports.drawing import text
from circuitdb.reports.drawing.kernel import kernel_size
from circuitdb.reports.drawing.lines import line_width
from circuitdb.reports.drawing.ordering import Item, Order, Waypoint, order, stops
from circuitdb.reports.drawing.scene import Link, Scene, Tile

MARGIN = 18.0
TITLE_HEIGHT = 26.0
HEADING_HEIGHT = 22.0
HEADING_SIZE = 11.0
NAME_SIZE = 12.5
LINE_SIZE = 11.0
CAPTION_SIZE = 10.0
TILE_PADDING = 8.0
PICTURE = 46.0
PICTURE_GAP = 2.0

TILE_WIDTHS = (72.0, 170.0)
_LINE_HEIGHT = 14.5
_KERNEL_SIDES = ((6, 38.0), (12, 30.0), (10**9, 24.0))
_PORT_GAP = 9.0
_HEAD = 30.0
_TILE_GAP = 24.0
_WAYPOINT_HEIGHT = 8.0
_WAYPOINT_GAP = 7.0
_LEAST_WIDTH = 470.0


@dataclass(frozen=True)
class Box:
    """A rectangle: its left, top, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half its height."""
        return self.y + self.height / 2

    def moved(self, x: float, y: float) -> Box:
        """The same rectangle elsewhere."""
        return Box(self.x + x, self.y + y, self.width, self.height)


@dataclass(frozen=True)
class Port:
    """How a link enters its target: its kernel, its caption, and the line from there to the tile."""

    kernel: Box | None
    caption: Box | None
    enters: tuple[float, float]
    leaves: tuple[float, float]
    arrives: tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Places in pixels.

    routes: for each link the points of its line up to its kernel, in pairs: a bend from the first to the second, a
    straight line to the third, and so on. axis: the height at which opposite tiles mirror each other.
    """

    width: float
    height: float
    title: Box
    headings: tuple[Box, ...]
    tiles: dict[str, Box]
    ports: tuple[Port, ...]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    axis: float


def tile_width(scene: Scene) -> float:
    """The width that all tiles of a scene have."""
    widest = max((_text_width(tile) for tile in scene.tiles), default=0.0)
    pictures = 2 * PICTURE + PICTURE_GAP if any(tile.pictures for tile in scene.tiles) else 0.0
    least, most = TILE_WIDTHS
    return min(most, max(least, widest + 2 * TILE_PADDING, pictures + 2 * TILE_PADDING))


def picture_rows(tile: Tile) -> int:
    """In how many rows a tile shows its pictures, two in a row."""
    return min(2, (len(tile.pictures) + 1) // 2)


def lay_out(scene: Scene) -> Layout:
    """The places of all that a scene holds."""
    ordered = order(scene)
    width = tile_width(scene)
    incoming: dict[str, list[int]] = {tile.key: [] for tile in scene.tiles}
    for number, link in enumerate(scene.links):
        incoming[link.target].append(number)
    heights = _heights(scene, ordered, incoming)
    middles = _middles(ordered, heights)
    lefts, stack_widths, right = _columns(scene, incoming, width)
    top = min((middles[item] - heights[item] / 2 for item in heights), default=0.0)
    bottom = max((middles[item] + heights[item] / 2 for item in heights), default=0.0)
    shift = MARGIN + TITLE_HEIGHT + (HEADING_HEIGHT if any(scene.columns) else 0.0) - top
    middles = {item: middle + shift for item, middle in middles.items()}
    total = max(right + MARGIN, _LEAST_WIDTH)
    inset = (total - right - MARGIN) / 2
    lefts = [left + inset for left in lefts]
    tiles = {
        tile.key: Box(
            lefts[tile.column] + stack_widths[tile.column],
            middles[tile.key] - _tile_height(tile) / 2,
            width,
            _tile_height(tile),
        )
        for tile in scene.tiles
    }
    reach = [(left, left + stack + width) for left, stack in zip(lefts, stack_widths, strict=True)]
    ports, routes = _lines(scene, incoming, tiles, middles, reach)
    return Layout(
        width=total,
        height=bottom + shift + MARGIN,
        title=Box(MARGIN, MARGIN - 4, total - 2 * MARGIN, TITLE_HEIGHT - 4),
        headings=tuple(
            Box(left + stack, MARGIN + TITLE_HEIGHT - 4, width, HEADING_HEIGHT - 6)
            for left, stack in zip(lefts, stack_widths, strict=True)
        ),
        tiles=tiles,
        ports=ports,
        routes=routes,
        axis=shift,
    )


def _text_width(tile: Tile) -> float:
    widths = [text.width(line, LINE_SIZE) for line in tile.lines]
    return max([text.width(tile.heading, NAME_SIZE, bold=True), *widths])


def _tile_height(tile: Tile) -> float:
    rows = picture_rows(tile)
    lines = (1 if tile.heading else 0) + len(tile.lines)
    pictures = rows * PICTURE + (rows - 1) * PICTURE_GAP + 5 if rows else 0.0
    return 2 * TILE_PADDING + pictures + lines * _LINE_HEIGHT


def line_place(box: Box, tile: Tile, line: int) -> float:
    """The baseline of a line of a tile's text, the heading being line 0 where there is one."""
    lines = (1 if tile.heading else 0) + len(tile.lines)
    return box.bottom - TILE_PADDING - (lines - line) * _LINE_HEIGHT + 11.0


def kernel_side(inputs: int) -> float:
    """How large a kernel is drawn where so many enter one tile."""
    return next(side for most, side in _KERNEL_SIDES if inputs <= most)


def _port_height(link: Link, side: float) -> float:
    caption = 2 * CAPTION_SIZE + line_width(link.share) + 2 if link.caption else 6.0
    return max(side if link.kernel is not None else 0.0, caption) + _PORT_GAP


def _heights(scene: Scene, ordered: Order, incoming: dict[str, list[int]]) -> dict[Item, float]:
    heights: dict[Item, float] = {}
    for column in ordered.columns:
        for item in column:
            if isinstance(item, Waypoint):
                heights[item] = _WAYPOINT_HEIGHT
    for tile in scene.tiles:
        side = kernel_side(len(incoming[tile.key]))
        stack = sum(_port_height(scene.links[number], side) for number in incoming[tile.key]) - _PORT_GAP
        heights[tile.key] = max(_tile_height(tile), stack)
    return {item: max(height, heights[ordered.partner.get(item, item)]) for item, height in heights.items()}


def _middles(ordered: Order, heights: dict[Item, float]) -> dict[Item, float]:
    """The height of every item's middle, 0 on the axis; what is above it mirrors what is below."""
    middles: dict[Item, float] = {}
    for column in ordered.columns:
        centre = [item for item in column if ordered.side[item] == 0]
        below = [item for item in column if ordered.side[item] > 0]
        length = sum(heights[item] for item in centre) + sum(_gap(a, b) for a, b in pairwise(centre))
        at = -length / 2
        for number, item in enumerate(centre):
            at += _gap(centre[number - 1], item) if number else 0.0
            middles[item] = at + heights[item] / 2
            at += heights[item]
        at = length / 2
        before = centre[-1] if centre else None
        for item in below:
            at += _gap(before, item) if before is not None else _TILE_GAP / 2 + 4
            middles[item] = at + heights[item] / 2
            middles[ordered.partner[item]] = -middles[item]
            at += heights[item]
            before = item
    return middles


def _gap(above: Item, below: Item) -> float:
    passing = isinstance(above, Waypoint) or isinstance(below, Waypoint)
    return _WAYPOINT_GAP if passing else _TILE_GAP


def _columns(scene: Scene, incoming: dict[str, list[int]], width: float) -> tuple[list[float], list[float], float]:
    """The left side of every column, the width of the kernels in it, and the right side of the last."""
    crossing = [0] * (len(scene.columns) + 1)
    place = {tile.key: tile.column for tile in scene.tiles}
    for link in scene.links:
        for c in range(place[link.source] + 1, place[link.target] + 1):
            crossing[c] += 1
    lefts, stacks, at = [], [], MARGIN
    for c in range(len(scene.columns)):
        at += min(170.0, 44.0 + 7.0 * crossing[c]) if crossing[c] else (0.0 if c == 0 else 40.0)
        lefts.append(at)
        into = [(scene.links[n], len(numbers)) for key, numbers in incoming.items() if place[key] == c for n in numbers]
        kernels = max((kernel_side(many) for link, many in into if link.kernel is not None), default=0.0)
        captions = max((text.width(link.caption, CAPTION_SIZE) for link, _ in into), default=0.0)
        stacks.append(kernels + captions + (10.0 if captions else 0.0) + _HEAD if into else 0.0)
        at += stacks[-1] + width
    return lefts, stacks, at


def _lines(
    scene: Scene,
    incoming: dict[str, list[int]],
    tiles: dict[str, Box],
    middles: dict[Item, float],
    reach: list[tuple[float, float]],
) -> tuple[tuple[Port, ...], tuple[tuple[tuple[float, float], ...], ...]]:
    paths = [stops(scene, number) for number in range(len(scene.links))]
    column = {tile.key: tile.column for tile in scene.tiles}
    ports: dict[int, Port] = {}
    for key, numbers in incoming.items():
        stacked = sorted(numbers, key=lambda n: (middles[paths[n][-2]], n))
        ports.update(_stack(scene, stacked, tiles[key], middles[key], reach[column[key]][0]))
    outgoing: dict[str, list[int]] = {}
    for number, link in enumerate(scene.links):
        outgoing.setdefault(link.source, []).append(number)
    starts: dict[int, float] = {}
    for key, numbers in outgoing.items():
        spread = sorted(numbers, key=lambda n: (_next_height(paths[n], ports[n], middles), n))
        room = tiles[key].height * 0.6
        for place, number in enumerate(spread):
            part = (place + 0.5) / len(spread) - 0.5
            starts[number] = tiles[key].middle + part * min(room, 12.0 * len(spread))
    routes = []
    for number, path in enumerate(paths):
        points = [(tiles[scene.links[number].source].right, starts[number])]
        for stop in path[1:-1]:
            assert isinstance(stop, Waypoint)
            left, right = reach[stop.column]
            points += [(left, middles[stop]), (right, middles[stop])]
        points.append(ports[number].enters)
        routes.append(tuple(points))
    return tuple(ports[number] for number in range(len(scene.links))), tuple(routes)


def _next_height(path: list[Item], port: Port, middles: dict[Item, float]) -> float:
    return port.enters[1] if len(path) == 2 else middles[path[1]]


def _stack(scene: Scene, numbers: list[int], tile: Box, middle: float, left: float) -> dict[int, Port]:
    """The ports of one tile from top to bottom, around its middle."""
    side = kernel_side(len(numbers))
    heights = [_port_height(scene.links[number], side) for number in numbers]
    at = middle - (sum(heights) - _PORT_GAP) / 2
    spread = min(tile.height - 10.0, 17.0 * len(numbers))
    ports = {}
    for place, (number, height) in enumerate(zip(numbers, heights, strict=True)):
        link = scene.links[number]
        y = at + (height - _PORT_GAP) / 2
        at += height
        kernel, after = None, left
        if link.kernel is not None:
            _, kernel_width, kernel_height = kernel_size(link.kernel, side)
            kernel = Box(left + (side - kernel_width) / 2, y - kernel_height / 2, kernel_width, kernel_height)
            after = kernel.right
        caption = None
        if link.caption:
            start = left + (side if link.kernel is not None else 0.0) + 5
            rise = line_width(link.share) / 2 + 2.0
            caption = Box(start, y - CAPTION_SIZE - rise, text.width(link.caption, CAPTION_SIZE), CAPTION_SIZE + 1)
        arrives = tile.middle + ((place + 0.5) / len(numbers) - 0.5) * spread
        enters = (left if kernel is None else kernel.x, y)
        ports[number] = Port(kernel, caption, enters, (after, y), (tile.x, arrives))
    return ports
