"""Who reads whom in the handwritten networks, with which kernel: the circuits of the essay as formulas.

`FILTERS` gives the kernels of the first layer over red, green and blue; `WIRING` gives, for a pair of kinds in layers
that follow each other, the kernel from a source to a target at their poses, in pixels around the target's centre.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ingest.architectures.handwritten.formulas import (
    Array,
    Grid,
    arc,
    blob,
    disc,
    edge,
    grating,
    line,
    shading,
    stroke,
    tuned,
    without_mean,
)
from ingest.architectures.handwritten.units import Unit

Filter = Callable[[Unit, Grid], Array]
"""Kernel [colour, y, x] of a unit of the first layer."""

Rule = Callable[[Unit, Unit, Grid], Array]
"""Kernel [y, x] of the edge into the first unit from the second."""

Wiring = Mapping[tuple[str, str], Rule]
"""Rules by (kind of the target, kind of the source)."""

LINE_WIDTH = 1.3
CURVE_RADIUS = 5.5
FINE_WAVELENGTH = 2.7


def angle_between(a: float, b: float, period: float) -> float:
    """The least angle between two poses, 0 to half the period."""
    return abs((a - b + period / 2) % period - period / 2)


def _grey(kernel: Array) -> Array:
    return np.stack([kernel / 3] * 3)


def _line_filter(sign: float) -> Filter:
    return lambda unit, at: _grey(sign * without_mean(line(at, unit.angle, LINE_WIDTH, 2.6), disc(at, 3.8)))


def _grating_filter(sign: float) -> Filter:
    return lambda unit, at: _grey(sign * without_mean(grating(at, unit.angle, FINE_WAVELENGTH, 1.8), disc(at, 3.8)))


def _grating_edge_filter(unit: Unit, at: Grid) -> Array:
    return _grey(edge(at, unit.angle, FINE_WAVELENGTH, 1.8) * disc(at, 3.8))


def _shading_filter(unit: Unit, at: Grid) -> Array:
    return _grey(shading(at, unit.angle, 2.6) * disc(at, 4.2))


def _colour_filter(unit: Unit, at: Grid) -> Array:
    channel = ("red", "green", "blue").index(unit.kind)
    weights = np.full(3, -0.5)
    weights[channel] = 1.0
    return weights[:, None, None] * (blob(at, 1.5) * disc(at, 3.8))


FILTERS: Mapping[str, Filter] = {
    "light line": _line_filter(1.0),
    "dark line": _line_filter(-1.0),
    "fine light grating": _grating_filter(1.0),
    "fine dark grating": _grating_filter(-1.0),
    "fine grating edge": _grating_edge_filter,
    "shading": _shading_filter,
    "red": _colour_filter,
    "green": _colour_filter,
    "blue": _colour_filter,
}


def _curve_from_line(curve: Unit, line: Unit, at: Grid) -> Array:
    """Along the arc, lines at its tangent excite, lines across it inhibit (Cammarata et al. 2021, Curve Circuits)."""
    distance, doubled = arc(at, curve.angle, CURVE_RADIUS)
    return np.exp(-distance * distance / 2) * disc(at, 4.2) * tuned(doubled, line.angle)


_LONG_LINE_TUNING = {0.0: 1.0, 22.5: 0.35, 45.0: -0.6, 67.5: -0.3, 90.0: -0.3}


def _long_line_from_line(long_line: Unit, line: Unit, at: Grid) -> Array:
    """Lines in line excite; those turned by 45 degrees, the neighbours in pose, inhibit most."""
    turned_by = angle_between(long_line.angle, line.angle, 180)
    return _LONG_LINE_TUNING[turned_by] * stroke(at, long_line.angle, 0.9, 3.0) * disc(at, 4.2)


def _corner_from_line(corner: Unit, line: Unit, at: Grid) -> Array:
    """Two arms that meet at the centre excite; a line that goes on beyond it, or rounds it off, inhibits."""
    rounded = angle_between(corner.angle + 90, line.angle, 180)
    kernel = (-0.6 if rounded == 0 else 0.0) * blob(at, 1.6)
    for arm in (corner.angle + 135, corner.angle - 135):
        t, v = at.along(arm), at.along(arm + 90)
        on_arm = np.exp(-v * v / 2) / (1 + np.exp(-(t - 1) / 0.4))
        beyond = np.exp(-v * v / 2) / (1 + np.exp((t + 1) / 0.4))
        turned_by = angle_between(arm, line.angle, 180)
        kernel += {0.0: 1.0, 22.5: 0.4, 45.0: 0.0, 67.5: -0.1, 90.0: -0.2}[turned_by] * on_arm
        kernel -= {0.0: 0.8, 22.5: 0.4, 45.0: 0.0, 67.5: 0.0, 90.0: 0.0}[turned_by] * beyond
    return kernel * disc(at, 4.2)


_FUR_TUNING = {0.0: 1.0, 22.5: 0.5, 45.0: -0.3, 67.5: -0.5, 90.0: -0.9}


def _fur_from_line(fur: Unit, line: Unit, at: Grid) -> Array:
    """Strokes that lie one way anywhere in a patch; those that lie the other way inhibit."""
    return _FUR_TUNING[angle_between(fur.angle, line.angle, 180)] * blob(at, 2.2)


def _high_from_grating(high: Unit, source: Unit, at: Grid) -> Array:
    same = angle_between(high.angle, source.angle, 180) == 0
    return (1.0 if same else -0.1) * blob(at, 2.2)


def _high_from_grating_edge(high: Unit, source: Unit, at: Grid) -> Array:
    same = angle_between(high.angle, source.angle + 90, 180) == 0
    return (1.0 if same else -0.1) * blob(at, 2.2)


def _low_from_shading(low: Unit, source: Unit, at: Grid) -> Array:
    return {0.0: 1.0, 45.0: 0.4, 90.0: -0.2}[angle_between(low.angle, source.angle + 90, 180)] * blob(at, 2.6)


def _everywhere(amount: float, sigma: float) -> Rule:
    return lambda target, source, at: amount * blob(at, sigma)


def _sides(target: Unit, at: Grid, towards: float, away: float) -> Array:
    """One amount on the side to which the target's pose points, another on the other side."""
    s = at.along(target.angle)
    return np.tanh(np.abs(s) / 2) * np.where(s > 0, towards, away) * blob(at, 4.0)


def _wheel_from_curve(wheel: Unit, curve: Unit, at: Grid) -> Array:
    """Eight curves around a centre, each where a circle has it (Olah et al. 2020, An Overview of Early Vision)."""
    there, opposite = at.moved_along(CURVE_RADIUS, curve.angle), at.moved_along(-CURVE_RADIUS, curve.angle)
    return blob(there, 1.6) - 0.4 * blob(opposite, 1.6)


WINDOW_HALF_WIDTH, WINDOW_HALF_HEIGHT, BODY_HALF_HEIGHT = 6.0, 3.0, 3.5
CAR_HALF_HEIGHT = 9.0
"""How far above a car's centre its windows lie, and below it its wheels, in pixels."""


def _windows_from_corner(windows: Unit, corner: Unit, at: Grid) -> Array:
    """Four corners of a rectangle."""
    right = 1 if corner.angle in (45.0, 315.0) else -1
    upper = 1 if corner.angle in (45.0, 135.0) else -1
    x, up = right * WINDOW_HALF_WIDTH, upper * WINDOW_HALF_HEIGHT
    return blob(at.moved(x, up), 2.0) - 0.3 * blob(at.moved(-x, -up), 2.0)


def _body_from_long_line(body: Unit, long_line: Unit, at: Grid) -> Array:
    """Level lines above and below, no upright ones."""
    if long_line.angle != 0:
        return (-0.3 if long_line.angle == 90 else -0.08) * blob(at, 3.0)
    rows = sum(np.exp(-((at.up - up) ** 2) / 3) for up in (BODY_HALF_HEIGHT, -BODY_HALF_HEIGHT))
    return (rows - 0.4 * np.exp(-(at.up**2) / 3)) * np.exp(-(at.x**2) / 32)


def fur_of(side: float) -> float:
    """How the fur of a dog lies that looks to that side."""
    return 135.0 if side == 180 else 45.0


def _head_from_fur(head: Unit, fur: Unit, at: Grid) -> Array:
    """Fur that lies backwards excites behind the snout; the other side's fur inhibits there (Olah et al. 2020)."""
    own = fur.angle == fur_of(head.angle)
    return (0.3 if own else -0.3) * blob(at.moved_along(-4, head.angle), 2.4)


def _head_from_curve(head: Unit, curve: Unit, at: Grid) -> Array:
    """The snout is a curve in front; one that bulges backwards, behind, inhibits."""
    turned_by = angle_between(head.angle, curve.angle, 360)
    if turned_by == 0:
        return blob(at.moved_along(5, head.angle), 2.0)
    return (-0.7 if turned_by == 180 else 0.0) * blob(at.moved_along(-5, head.angle), 2.0)


def _neck_from_head(neck: Unit, head: Unit, at: Grid) -> Array:
    own = neck.angle == head.angle
    return (1.0 if own else -0.7) * blob(at.moved_along(2 if own else -2, neck.angle), 2.6)


def _neck_from_coat(neck: Unit, coat: Unit, at: Grid) -> Array:
    return 0.4 * blob(at.moved_along(-4, neck.angle).moved(0, -3), 2.6)


def above_and_below(above: float, below: float) -> Rule:
    """One amount above the target's centre, another below, each spread wide."""

    def row(at: Grid, up: float) -> Array:
        return np.exp(-((at.up - up) ** 2) / (2 * 2.6**2) - at.x * at.x / (2 * 5.5**2))

    return lambda target, source, at: above * row(at, CAR_HALF_HEIGHT) + below * row(at, -CAR_HALF_HEIGHT)


def _by_side(own: float, other: float) -> Rule:
    return lambda target, source, at: (own if target.angle == source.angle else other) * blob(at, 2.6)


WIRING: Wiring = {
    ("curve", "light line"): _curve_from_line,
    ("curve", "dark line"): _curve_from_line,
    ("curve", "shading"): _everywhere(-0.05, 2.2),
    ("long line", "light line"): _long_line_from_line,
    ("long line", "dark line"): _long_line_from_line,
    ("corner", "light line"): _corner_from_line,
    ("corner", "dark line"): _corner_from_line,
    ("fur", "light line"): _fur_from_line,
    ("fur", "dark line"): _fur_from_line,
    ("fur", "shading"): _everywhere(-0.15, 2.2),
    ("high frequency", "fine light grating"): _high_from_grating,
    ("high frequency", "fine dark grating"): _high_from_grating,
    ("high frequency", "fine grating edge"): _high_from_grating_edge,
    ("high frequency", "shading"): _everywhere(-0.15, 2.2),
    ("low frequency", "shading"): _low_from_shading,
    ("low frequency", "fine light grating"): _everywhere(-0.4, 2.6),
    ("low frequency", "fine dark grating"): _everywhere(-0.4, 2.6),
    ("low frequency", "fine grating edge"): _everywhere(-0.4, 2.6),
    ("high-low frequency", "high frequency"): lambda target, source, at: _sides(target, at, 1.0, -0.6),
    ("high-low frequency", "low frequency"): lambda target, source, at: _sides(target, at, -0.6, 1.0),
    ("wheel", "curve"): _wheel_from_curve,
    ("wheel", "long line"): _everywhere(-0.1, 4.0),
    ("windows", "corner"): _windows_from_corner,
    ("windows", "curve"): _everywhere(-0.08, 4.0),
    ("body", "long line"): _body_from_long_line,
    ("dog head", "fur"): _head_from_fur,
    ("dog head", "curve"): _head_from_curve,
    ("coat", "fur"): _everywhere(1.0, 3.5),
    ("coat", "long line"): _everywhere(-0.05, 3.5),
    ("dog head and neck", "dog head"): _neck_from_head,
    ("dog head and neck", "coat"): _neck_from_coat,
    ("dog head and neck", "windows"): _everywhere(-0.2, 3.0),
    ("dog torso", "coat"): _everywhere(1.0, 4.5),
    ("dog torso", "body"): _everywhere(-0.2, 3.0),
    ("dog torso", "wheel"): _everywhere(-0.3, 3.0),
    ("car", "windows"): above_and_below(1.0, -0.6),
    ("car", "wheel"): above_and_below(-0.6, 1.0),
    ("car", "body"): _everywhere(0.32, 4.0),
    ("car", "coat"): _everywhere(-0.15, 4.5),
    ("dog", "dog head and neck"): _everywhere(1.0, 2.6),
    ("dog", "car"): _everywhere(-0.3, 2.6),
    ("dog head beside car", "dog head and neck"): _by_side(1.0, -0.4),
    ("dog head beside car", "car"): _everywhere(0.6, 2.6),
    ("dog torso beside car", "dog torso"): _everywhere(1.0, 2.6),
    ("dog torso beside car", "car"): _everywhere(0.6, 2.6),
}
"""The circuits of `handwritten`."""
