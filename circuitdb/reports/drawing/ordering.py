"""Who stands above whom: the order of tiles and of passing lines in every column.

Long links get a waypoint in each column that they pass. The order starts as the motif names its units and is swept to
and fro by barycentres (Sugiyama, Tagawa and Toda 1981); the order with the fewest crossings stays. The upper half of a
column mirrors the lower one, so that opposite tiles are opposite, and what has no opposite stands in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from circuitdb.reports.drawing.scene import Scene

_SWEEPS = 6


@dataclass(frozen=True)
class Waypoint:
    """Where a link passes a column, or, with `link` None, the room kept free opposite such a place."""

    link: int | None
    column: int
    twin_of: int | None = None


Item = str | Waypoint
"""What stands in a column: a tile, by its key, or a waypoint."""

Columns = list[list[Item]]


@dataclass(frozen=True)
class Order:
    """columns: items from top to bottom. side: -1 for those above the axis, 1 below, 0 in the middle."""

    columns: Columns
    side: Mapping[Item, int]
    partner: Mapping[Item, Item]


def order(scene: Scene) -> Order:
    """The order of all columns of a scene."""
    columns: Columns = [[] for _ in scene.columns]
    for tile in scene.tiles:
        columns[tile.column].append(tile.key)
    partner: dict[Item, Item] = {}
    side: dict[Item, int] = {tile.key: 0 for tile in scene.tiles}
    for above, below in scene.opposite:
        partner[above], partner[below] = below, above
        side[above], side[below] = -1, 1
    _add_waypoints(scene, columns, side, partner)
    arranged = [_arranged(column, list(range(len(column))), scene.order, side, partner) for column in columns]
    best, fewest = arranged, _crossings(scene, arranged)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        arranged = _swept(scene, arranged, sweep % 2 == 0, side, partner)
        crossings = _crossings(scene, arranged)
        if crossings < fewest:
            best, fewest = arranged, crossings
    return Order(best, side, partner)


def stops(scene: Scene, link: int) -> list[Item]:
    """The items that a link joins, from its source to its target, one a column."""
    column = {tile.key: tile.column for tile in scene.tiles}
    edge = scene.links[link]
    between = range(column[edge.source] + 1, column[edge.target])
    return [edge.source, *(Waypoint(link, c) for c in between), edge.target]


def _add_waypoints(scene: Scene, columns: Columns, side: dict[Item, int], partner: dict[Item, Item]) -> None:
    column = {tile.key: tile.column for tile in scene.tiles}
    ends = {(link.source, link.target, link.skip): number for number, link in enumerate(scene.links)}
    for number, link in enumerate(scene.links):
        mirrored = tuple(str(partner.get(end, end)) for end in (link.source, link.target))
        twin = ends.get((mirrored[0], mirrored[1], link.skip))
        where = side[link.source] or side[link.target]
        for c in range(column[link.source] + 1, column[link.target]):
            waypoint = Waypoint(number, c)
            columns[c].append(waypoint)
            side[waypoint] = where
            if where and twin is not None and twin != number:
                partner[waypoint] = Waypoint(twin, c)
            elif where:
                room = Waypoint(None, c, number)
                columns[c].append(room)
                side[room] = -where
                partner[room], partner[waypoint] = waypoint, room


def _arranged(
    column: Sequence[Item],
    wanted: Sequence[float],
    pinned: Mapping[str, float],
    side: Mapping[Item, int],
    partner: Mapping[Item, Item],
) -> list[Item]:
    """A column sorted by the wanted places, poses first, with opposite items mirrored."""
    place = {item: (pinned.get(item, 0.0) if isinstance(item, str) else 0.0, want, number)
             for number, (item, want) in enumerate(zip(column, wanted, strict=True))}  # fmt: skip
    items = sorted(column, key=lambda item: place[item])
    above = [item for item in items if side[item] < 0]
    middle = [item for item in items if side[item] == 0]
    return [*above, *middle, *(partner[item] for item in reversed(above))]


def _places(columns: Columns) -> dict[Item, float]:
    return {item: number - (len(column) - 1) / 2 for column in columns for number, item in enumerate(column)}


def _segments(scene: Scene) -> list[tuple[Item, Item]]:
    return [(a, b) for number in range(len(scene.links)) for path in [stops(scene, number)] for a, b in pairwise(path)]


def _swept(
    scene: Scene, columns: Columns, forward: bool, side: Mapping[Item, int], partner: Mapping[Item, Item]
) -> Columns:
    """The columns, each ordered by the mean place of its neighbours in the column before (or behind)."""
    neighbours: dict[Item, list[Item]] = {}
    for a, b in _segments(scene):
        neighbours.setdefault(b if forward else a, []).append(a if forward else b)
    swept = [list(column) for column in columns]
    places = _places(swept)
    for c in range(len(swept)) if forward else reversed(range(len(swept))):
        column = swept[c]
        wanted = [
            sum(places[n] for n in near) / len(near) if (near := neighbours.get(item)) else places[item]
            for item in column
        ]
        swept[c] = _arranged(column, wanted, scene.order, side, partner)
        places.update(_places([swept[c]]))
    return swept


def _crossings(scene: Scene, columns: Columns) -> int:
    places = _places(columns)
    number = {item: c for c, column in enumerate(columns) for item in column}
    by_gutter: dict[int, list[tuple[float, float]]] = {}
    for a, b in _segments(scene):
        by_gutter.setdefault(number[a], []).append((places[a], places[b]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for segments in by_gutter.values()
        for i, a in enumerate(segments)
        for b in segments[:i]
    )
