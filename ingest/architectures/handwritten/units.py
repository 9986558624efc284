"""The units of the handwritten networks: what each looks for, in which pose, and what it becomes under a map.

A unit is a kind ("curve"), often with a pose; rosters list the units of every layer in order. Mirrors and turns act on
poses by arithmetic alone, so the planted maps are known before any weight is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

LAYERS = ("lines", "curves", "shapes", "parts", "objects")
"""The feature layers from the input on."""

Symmetry = Literal["turns", "mirror"]


@dataclass(frozen=True)
class Transform:
    """The picture mirrored in x (if `mirrored`), then turned counter-clockwise as seen by `degrees`."""

    mirrored: bool
    degrees: float


FLIP = Transform(True, 0)
TURNS_AND_MIRRORS = tuple(Transform(mirrored, degrees) for mirrored in (False, True) for degrees in (0, 90, 180, 270))
MIRRORS = (Transform(False, 0), FLIP)


@dataclass(frozen=True)
class Unit:
    """One unit.

    pose: degrees counter-clockwise as seen; an orientation where `period` is 180, a direction where it is 360.
    mirrored: whether it is the mirror image of its kind's kernel (noise units, which have no symmetry of their own).
    symmetry: whether quarter turns and mirroring take its kind to itself, or mirroring in x alone.
    """

    kind: str
    pose: float | None = None
    period: Literal[180, 360] | None = None
    mirrored: bool | None = None
    symmetry: Symmetry = "turns"

    @property
    def name(self) -> str:
        """The unit's name, as `curve 45°`."""
        pose = "" if self.pose is None else f" {self.pose:g}°"
        return f"{self.kind}{pose}{' mirrored' if self.mirrored else ''}"

    @property
    def is_noise(self) -> bool:
        """Whether the unit's weights are random."""
        return self.kind.startswith("noise")

    @property
    def angle(self) -> float:
        """The pose of a unit that has one."""
        if self.pose is None:
            raise ValueError(f"{self.name} has no pose")
        return self.pose

    @property
    def group(self) -> tuple[Transform, ...]:
        """The transforms under which the unit's kind is closed."""
        return TURNS_AND_MIRRORS if self.symmetry == "turns" else MIRRORS


def image(unit: Unit, transform: Transform) -> Unit | None:
    """The unit that answers to the transformed picture as `unit` does to the picture, or None where there is none."""
    if transform.degrees % 360 and unit.symmetry == "mirror":
        return None
    pose = unit.pose
    if pose is not None and unit.period is not None:
        pose = ((180 - pose if transform.mirrored else pose) + transform.degrees) % unit.period
    mirrored = unit.mirrored if unit.mirrored is None else unit.mirrored != transform.mirrored
    return replace(unit, pose=pose, mirrored=mirrored)


def _oriented(kind: str, step: float) -> Iterator[Unit]:
    return (Unit(kind, k * step, 180) for k in range(round(180 / step)))


def _directed(kind: str, step: float, start: float = 0.0) -> Iterator[Unit]:
    return (Unit(kind, start + k * step, 360) for k in range(round(360 / step)))


def _sides(kind: str) -> Iterator[Unit]:
    """A unit that looks to the left and its mirror image."""
    return (Unit(kind, pose, 360, symmetry="mirror") for pose in (180.0, 0.0))


def _noise_turned(orbits: int) -> Iterator[Unit]:
    """Noise in orbits of eight under quarter turns and mirroring."""
    for n in range(orbits):
        for mirrored in (False, True):
            yield from (Unit(f"noise {n}", pose, 360, mirrored) for pose in (0.0, 90.0, 180.0, 270.0))


def _noise_mirrored(pairs: int) -> Iterator[Unit]:
    """Noise in mirrored pairs."""
    for n in range(pairs):
        yield from (Unit(f"noise {n}", mirrored=mirrored, symmetry="mirror") for mirrored in (False, True))


ROSTERS: dict[str, tuple[Unit, ...]] = {
    "lines": (
        *_oriented("light line", 22.5),
        *_oriented("dark line", 22.5),
        *_oriented("fine light grating", 45),
        *_oriented("fine dark grating", 45),
        *_directed("fine grating edge", 45),
        *_directed("shading", 45),
        *(Unit(kind) for kind in ("red", "green", "blue")),
        *_noise_turned(3),
    ),
    "curves": (
        *_directed("curve", 45),
        *_oriented("long line", 22.5),
        *_directed("corner", 90, 45),
        Unit("fur", 135.0, 180),
        Unit("fur", 45.0, 180),
        *_oriented("high frequency", 45),
        *_oriented("low frequency", 45),
        *_noise_turned(3),
    ),
    "shapes": (
        *_directed("high-low frequency", 45),
        Unit("wheel"),
        Unit("windows", symmetry="mirror"),
        Unit("body", symmetry="mirror"),
        *_sides("dog head"),
        Unit("coat"),
        *_noise_mirrored(12),
    ),
    "parts": (
        *_sides("dog head and neck"),
        Unit("dog torso", symmetry="mirror"),
        Unit("car", symmetry="mirror"),
        *_noise_mirrored(12),
    ),
    "objects": (
        Unit("dog", symmetry="mirror"),
        *_sides("dog head beside car"),
        Unit("dog torso beside car", symmetry="mirror"),
        *_noise_mirrored(12),
    ),
}
"""The units of `handwritten`, layer by layer, in order of their index."""


Place = str
"""A unit within its network, as `curves:3`."""

_LAYER_OF = {unit.kind: layer for layer, roster in ROSTERS.items() for unit in roster if not unit.is_noise}


def positions(roster: Sequence[Unit]) -> dict[Unit, int]:
    """The index of every unit of a layer."""
    return {unit: index for index, unit in enumerate(roster)}


_POSITIONS = {layer: positions(roster) for layer, roster in ROSTERS.items()}


def layer_of(kind: str) -> str:
    """The layer of `handwritten` that holds a planted kind."""
    return _LAYER_OF[kind]


def of_kind(kind: str) -> list[Unit]:
    """The units of a planted kind, in order."""
    return [unit for unit in ROSTERS[layer_of(kind)] if unit.kind == kind]


def the(kind: str, pose: float | None = None) -> Unit:
    """The unit of a planted kind in a pose."""
    [unit] = [unit for unit in of_kind(kind) if unit.pose == pose]
    return unit


def index_of(unit: Unit) -> int:
    """The index of a planted unit in its layer of `handwritten`."""
    return _POSITIONS[layer_of(unit.kind)][unit]


def place_of(unit: Unit) -> Place:
    """Where a planted unit lies in `handwritten`."""
    return f"{layer_of(unit.kind)}:{index_of(unit)}"


def unit_at(place: Place) -> Unit:
    """The unit of `handwritten` at a place."""
    layer, index = by_layer_and_index(place)
    return ROSTERS[layer][index]


def by_layer_and_index(place: Place) -> tuple[str, int]:
    """Layer and index of a place."""
    layer, index = place.split(":")
    return layer, int(index)
