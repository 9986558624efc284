"""Which unit is what another becomes under a map, and the families that follow.

In: the scores of all pairs of units of a layer under some maps. Out: rows of maps (at most one a map and source) and
families, the orbits of units under a group of maps, with the pose of every member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from circuitdb.pattern.maps import IDENTITY, Element, MapName, format_number, group_of

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

CLEARLY_BETTER = 0.1
"""By how much another unit's score must exceed the self score, so that the unit counts as no image of its own."""

WRITTEN = 0.5
"""A map is written where its score is above this."""


@dataclass(frozen=True, eq=False)
class LayerMap:
    """What the units of one layer become under one map.

    source, target: unit indices, sources rising. score: of source with target. self_score: of source with itself.
    mutual: whether the inverse map leads back.
    """

    map: MapName
    source: Indices
    target: Indices
    score: Floats
    self_score: Floats
    mutual: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Member:
    """A unit of a family: its index in the layer, and the group element that takes the first member to it."""

    unit: int
    pose: Element


@dataclass(frozen=True)
class Family:
    """Units of a layer that a group of maps takes into each other.

    order: how many members the whole orbit has; there are fewer where a map leads nowhere. score: of the weakest map
    between members.
    """

    group: str
    order: int
    score: float
    members: tuple[Member, ...]


def layer_map(name: MapName, scores: Floats, neurons: int | None = None) -> LayerMap:
    """What each unit becomes, by the scores [unit, unit] of one map.

    neurons: how many of the units are neurons, which stand first; all unless given. A neuron becomes a neuron, whatever
    directions there are; a direction may become any unit.

    A unit becomes itself where no other unit scores more than its self score and 0.1, else the best other unit; the
    row is written where its score is above 0.5. The inverse map takes b to a where a's score with b is the best of all
    with b, by the same rule: that is the correlation over the transformed pictures.
    """
    target, back = (_images(some, neurons) for some in (scores, scores.T))
    units = np.arange(len(scores))
    score, self_score = scores[units, target], np.diagonal(scores)
    written = np.flatnonzero(score > WRITTEN)
    return LayerMap(
        name,
        source=written,
        target=target[written],
        score=score[written],
        self_score=self_score[written],
        mutual=back[target[written]] == written,
    )


def _images(scores: Floats, neurons: int | None) -> Indices:
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    if neurons is not None:
        others[:neurons, neurons:] = -np.inf
    best = others.argmax(axis=1)
    units = np.arange(len(scores))
    return np.where(others[units, best] > np.diagonal(scores) + CLEARLY_BETTER, best, units)


def families(maps: Sequence[LayerMap]) -> Iterator[Family]:
    """The families of one layer, group by group: two units or more that mutual maps take into each other.

    The groups are those that one map generates, unless it is a power of another one, and D4 where there are `flip` and
    `rotate(90)`. Where maps contradict each other, so that two ways through the group lead to two units, there is no
    family.
    """
    by_name = {m.map: m for m in maps}
    for generator, elements in _generators(list(by_name)).items():
        yield from _orbits(generator.text, elements, [by_name[generator]])
    flip, quarter = by_name.get(MapName("flip")), by_name.get(MapName("rotate", 90.0))
    if flip is not None and quarter is not None:
        square = [Element(angle, mirrored) for mirrored in (False, True) for angle in (0.0, 90.0, 180.0, 270.0)]
        yield from _orbits("D4", square, [quarter, flip])


def _generators(maps: Sequence[MapName]) -> dict[MapName, list[Element]]:
    """The maps that make a group which no other map's group holds, each with its group's elements."""
    groups = {m: group for m in maps if (group := group_of(m)) is not None}
    kept: dict[MapName, tuple[MapName, ...]] = {}
    for m in sorted(groups, key=lambda m: (-len(groups[m]), m.degrees)):
        if not any(m in group for group in kept.values()):
            kept[m] = groups[m]
    return {m: [name.element for name in kept[m]] for m in maps if m in kept}


def _orbits(group: str, elements: Sequence[Element], generators: Sequence[LayerMap]) -> Iterator[Family]:
    """elements: the group's, the identity first, in the order in which poses are preferred."""
    forward = {m.map.element: _mutual(m) for m in generators}
    steps: dict[Element, dict[int, tuple[int, float]]] = {
        **{e.inverse(): {b: (a, score) for a, (b, score) in rows.items()} for e, rows in forward.items()},
        **forward,
    }
    seen: set[int] = set()
    for start in sorted(set.intersection(*(set(rows) for rows in forward.values()))):
        if start in seen:
            continue
        unit_at, score, consistent = _walk(start, steps)
        seen.update(unit_at.values())
        members = {unit: e for e in reversed(elements) if (unit := unit_at.get(e)) is not None}
        if consistent and len(members) > 1:
            alike = sum(unit == start for unit in unit_at.values())
            ordered = sorted(members.items(), key=lambda member: elements.index(member[1]))
            yield Family(group, len(elements) // alike, score, tuple(Member(unit, pose) for unit, pose in ordered))


def _mutual(m: LayerMap) -> dict[int, tuple[int, float]]:
    rows = zip(m.source.tolist(), m.target.tolist(), m.score.tolist(), m.mutual.tolist(), strict=True)
    return {source: (target, score) for source, target, score, mutual in rows if mutual}


def _walk(
    start: int, steps: Mapping[Element, Mapping[int, tuple[int, float]]]
) -> tuple[dict[Element, int], float, bool]:
    """The unit at each group element that maps lead to from `start`, the weakest map, and whether maps agree."""
    unit_at = {IDENTITY: start}
    weakest, consistent = 1.0, True
    todo = [IDENTITY]
    while todo:
        here = todo.pop()
        for step, rows in steps.items():
            if unit_at[here] in rows:
                there, score = rows[unit_at[here]]
                weakest = min(weakest, score)
                element = step.after(here)
                if element not in unit_at:
                    unit_at[element] = there
                    todo.append(element)
                consistent = consistent and unit_at[element] == there
    return unit_at, weakest, consistent


def pose_text(pose: Element) -> str:
    """A group element as it is written: `identity`, a map, or `rotate(90)(flip)`, mirrored first and then turned."""
    if pose == IDENTITY:
        return "identity"
    if pose.mirrored:
        known = {0.0: "flip", 180.0: "flip_vertical"}
        return known.get(pose.angle, f"rotate({format_number(pose.angle)})(flip)")
    if pose.negated:
        return "negate"
    return f"hue({format_number(pose.hue)})" if pose.hue else f"rotate({format_number(pose.angle)})"
