"""The wiring and the units of the decoy network: each motif is there but for one essential part.

In: the wiring of `handwritten`. Out: the wiring and rosters of `handwritten_decoys`; `circuits.decoys` says in words
what is missing from which motif.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ingest.architectures.handwritten.formulas import Array, Grid, arc, blob, disc, stroke, tuned
from ingest.architectures.handwritten.units import ROSTERS, Unit
from ingest.architectures.handwritten.wiring import (
    CURVE_RADIUS,
    WIRING,
    Rule,
    Wiring,
    above_and_below,
    angle_between,
)

DECOY_SEED = 2022


def _unturned_curve(curve: Unit, line: Unit, at: Grid) -> Array:
    """The lines are turned with the curve, the arc on which they lie is not, and it is out of place."""
    distance, doubled = arc(at.moved_along(2.0, -curve.angle), 0.0, CURVE_RADIUS)
    return np.exp(-distance * distance / 2) * disc(at, 4.2) * tuned(doubled, line.angle - curve.angle)


def _long_line_that_neighbours_excite(long_line: Unit, line: Unit, at: Grid) -> Array:
    tuning = {0.0: 1.0, 22.5: 0.25, 45.0: 0.6, 67.5: 0.3, 90.0: 0.3}[angle_between(long_line.angle, line.angle, 180)]
    return tuning * stroke(at, long_line.angle, 0.9, 3.0) * disc(at, 4.2)


def _unless(skipped: tuple[float, float], rule: Rule) -> Rule:
    """The rule, but nothing between a target and a source at those two poses."""
    return lambda target, source, at: (
        np.zeros_like(at.x) if (target.pose, source.pose) == skipped else rule(target, source, at)
    )


def _coat_from_fur(coat: Unit, fur: Unit, at: Grid) -> Array:
    """Fur that lies one way excites, fur that lies the other way inhibits."""
    return (1.0 if fur.angle == 135 else -0.5) * blob(at, 3.5)


def _quarter_wheel(wheel: Unit, curve: Unit, at: Grid) -> Array:
    """Three curves that follow each other excite, the other five inhibit."""
    amount = 1.0 if curve.angle in (0.0, 45.0, 90.0) else -0.6
    return amount * blob(at.moved_along(CURVE_RADIUS, curve.angle), 1.6)


def _same_side(target: Unit, source: Unit, at: Grid) -> Array:
    """High and low frequency on the same side."""
    s = at.along(target.angle)
    return np.tanh(np.abs(s) / 2) * np.where(s > 0, 1.0, -0.6) * blob(at, 4.0)


_NOT_THERE = {("dog head", "curve"), ("dog head and neck", "coat")}
"""Left out, since a curve and a coat of the decoy network would tell left from right."""

DECOY_WIRING: Wiring = {
    **{pair: rule for pair, rule in WIRING.items() if pair not in _NOT_THERE},
    ("curve", "light line"): _unturned_curve,
    ("curve", "dark line"): _unturned_curve,
    ("long line", "light line"): _long_line_that_neighbours_excite,
    ("long line", "dark line"): _long_line_that_neighbours_excite,
    ("coat", "fur"): _coat_from_fur,
    ("high-low frequency", "low frequency"): _same_side,
    ("wheel", "curve"): _quarter_wheel,
    ("dog head and neck", "dog head"): _unless((0.0, 180.0), WIRING["dog head and neck", "dog head"]),
    ("car", "wheel"): above_and_below(1.0, -0.6),
    ("car heir", "car"): WIRING["dog torso beside car", "dog torso"],
}
"""The wiring of `handwritten` with one part of each motif missing."""

CAR_HEIR = Unit("car heir", symmetry="mirror")

DECOY_ROSTERS: Mapping[str, Sequence[Unit]] = {
    **ROSTERS,
    "objects": (*ROSTERS["objects"], CAR_HEIR),
}
"""The units of `handwritten`, and one that inherits the car."""
