"""What every unit becomes under a map, and the families that follow.

In: rosters. Out: `Map` records for mirrors, turns, exchanged contrast and turned hue, by pose arithmetic alone, and the
orbits under groups of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.architectures.handwritten.units import (
    FLIP,
    LAYERS,
    ROSTERS,
    Place,
    Transform,
    Unit,
    by_layer_and_index,
    image,
    positions,
)

Rosters = Mapping[str, Sequence[Unit]]

TURNS: Mapping[str, Transform] = {
    "flip": FLIP,
    "flip_vertical": Transform(True, 180),
    "rotate(90)": Transform(False, 90),
    "rotate(180)": Transform(False, 180),
    "rotate(270)": Transform(False, 270),
    "rotate(45)": Transform(False, 45),
}
"""The maps that move poses."""

RECOLOURINGS = ("negate", "hue(120)", "hue(240)")
"""The maps that leave the drawing as it is."""

_ROUND = {"wheel", "red", "green", "blue"}
"""Kinds without a pose that turns by 45 degrees leave alone."""

_NEGATED = {
    "light line": ("dark line", 0),
    "dark line": ("light line", 0),
    "fine light grating": ("fine dark grating", 0),
    "fine dark grating": ("fine light grating", 0),
    "fine grating edge": ("fine grating edge", 180),
    "shading": ("shading", 180),
}
"""What a kind of the first layer becomes when light and dark are exchanged: a kind, and a change of pose."""

_HUES = ("red", "green", "blue")


@dataclass(frozen=True)
class Map:
    """What a unit becomes under a map; `holds` exactly, or nearly (resampled, or but for the background)."""

    map: str
    source: Place
    target: Place
    holds: str


def turned(unit: Unit, map_name: str, roster: Sequence[Unit]) -> Unit | None:
    """What a unit becomes under one of `TURNS`, if that is in the roster."""
    if map_name == "rotate(45)" and unit.pose is None and unit.kind not in _ROUND:
        return None
    becomes = image(unit, TURNS[map_name])
    return becomes if becomes in roster else None


def _recoloured(unit: Unit, map_name: str, layer: str) -> Unit | None:
    """What a unit becomes under `negate` or a turn of hue, if there is such a unit."""
    if unit.is_noise:
        return None
    if map_name == "negate":
        if layer != LAYERS[0]:
            return unit
        if unit.kind not in _NEGATED:
            return None
        kind, turn = _NEGATED[unit.kind]
        return replace(unit, kind=kind, pose=(unit.angle + turn) % (unit.period or 360))
    if unit.kind not in _HUES:
        return unit
    steps = {"hue(120)": 1, "hue(240)": 2}[map_name]
    return replace(unit, kind=_HUES[(_HUES.index(unit.kind) + steps) % 3])


def maps(rosters: Rosters = ROSTERS, broken: Collection[str] = ()) -> Iterator[Map]:
    """Every map that the design gives, from every unit whose kind is not `broken`.

    Exact under mirrors and quarter turns; where kinds are broken, in the first layer only, since the background carries
    what is broken into all others.
    """
    for layer, roster in rosters.items():
        index = positions(roster)
        exact = "exactly" if layer == LAYERS[0] or not broken else "nearly"
        coloured = "exactly" if layer == LAYERS[0] else "nearly"
        for unit in roster:
            if unit.kind in broken or (unit.is_noise and exact != "exactly"):
                continue
            becomes = {name: (turned(unit, name, roster), exact) for name in TURNS}
            becomes |= {name: (_recoloured(unit, name, layer), coloured) for name in RECOLOURINGS}
            for name, (target, holds) in becomes.items():
                if target is not None:
                    held = "nearly" if name == "rotate(45)" else holds
                    yield Map(name, f"{layer}:{index[unit]}", f"{layer}:{index[target]}", held)


_FAMILIES = {
    "flip": (("flip",), "exactly"),
    "rotate(90)": (("rotate(90)",), "exactly"),
    "D4": (("flip", "rotate(90)"), "exactly"),
    "rotate(45)": (("rotate(45)",), "nearly"),
    "negate": (("negate",), "nearly"),
    "hue(120)": (("hue(120)",), "nearly"),
}
"""The groups in which families are told, by the maps that make them."""


def families(known: Sequence[Map]) -> Iterator[dict[str, Any]]:
    """Orbits of two or more units under each group: its units in order, and how many the group could have."""
    for group, (generators, _) in _FAMILIES.items():
        steps = [{m.source: m.target for m in known if m.map == generator} for generator in generators]
        whole = set.intersection(*(set(step) for step in steps))
        seen: set[Place] = set()
        for start in sorted(whole, key=by_layer_and_index):
            if start in seen:
                continue
            orbit, grown = [start], 0
            while grown < len(orbit):
                orbit += [s[orbit[grown]] for s in steps if orbit[grown] in s and s[orbit[grown]] not in orbit]
                grown += 1
            seen.update(orbit)
            if len(orbit) > 1:
                holds = {m.holds for m in known if m.map in generators and m.source in orbit}
                yield {"group": group, "units": orbit, "holds": "exactly" if holds == {"exactly"} else "nearly"}


def contrast_maps(unit: str) -> Iterator[tuple[str, str]]:
    """Maps of a unit of the second network's first layer: single pixels, of one colour and one contrast."""
    contrast, colour = unit.split()
    for name in TURNS:
        yield name, unit
    yield "negate", f"{'darker' if contrast == 'lighter' else 'lighter'} {colour}"
    for name, steps in (("hue(120)", 1), ("hue(240)", 2)):
        yield name, f"{contrast} {_HUES[(_HUES.index(colour) + steps) % 3]}"
