"""What the planted units of the handwritten networks look for, drawn: one picture a kind and pose.

Pictures are [colour, y, x] in -1..1 around grey, light on grey. They are for tests and demonstrations: no weight is
computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from ingest.architectures.handwritten.formulas import Array, Grid, arc, disc, edge, grating, grid, stroke
from ingest.architectures.handwritten.units import ROSTERS, Unit
from ingest.architectures.handwritten.wiring import (
    BODY_HALF_HEIGHT,
    CAR_HALF_HEIGHT,
    CURVE_RADIUS,
    FINE_WAVELENGTH,
    LINE_WIDTH,
    WINDOW_HALF_HEIGHT,
    WINDOW_HALF_WIDTH,
    fur_of,
)

COARSE_WAVELENGTH = 14.0
FUR_WAVELENGTH = 6.0
FUR_CONTRAST = 0.5
PATCH_RADIUS = 11.0
WHEEL_FROM_MIDDLE = 7.0


def _lightest(*drawings: Array) -> Array:
    """Drawings laid over each other."""
    laid: Array = np.maximum.reduce(drawings)
    return laid


def _line(at: Grid, orientation: float) -> Array:
    return stroke(at, orientation, LINE_WIDTH, 1e6)


def _segment(at: Grid, orientation: float, half_length: float) -> Array:
    """A light line that ends softly at `half_length` from the centre."""
    u = np.abs(at.along(orientation))
    fades: Array = 1 + np.exp((u - half_length) / 0.4)
    return stroke(at, orientation, LINE_WIDTH, 1e6) / fades


def _curve(at: Grid, direction: float) -> Array:
    distance, _ = arc(at, direction, CURVE_RADIUS)
    on_this_side = 1 / (1 + np.exp(-(at.along(direction) + 0.7 * CURVE_RADIUS) / 0.4))
    return np.exp(-distance * distance / (2 * LINE_WIDTH**2)) * on_this_side


def _corner(at: Grid, direction: float) -> Array:
    arms = [_segment(at.moved_along(4.5, direction + turn), direction + turn, 4.5) for turn in (135, -135)]
    return _lightest(*arms)


def _fur(at: Grid, orientation: float) -> Array:
    return FUR_CONTRAST * grating(at, orientation, FUR_WAVELENGTH, 1e6) * disc(at, PATCH_RADIUS)


def _fine(at: Grid) -> Array:
    """Fine stripes both ways."""
    return (grating(at, 0, FINE_WAVELENGTH, 1e6) + grating(at, 90, FINE_WAVELENGTH, 1e6)) / 2


def _coarse(at: Grid) -> Array:
    """Coarse light and dark both ways."""
    return (edge(at, 0, COARSE_WAVELENGTH, 1e6) + edge(at, 90, COARSE_WAVELENGTH, 1e6)) / 2


def _high_low(at: Grid, direction: float) -> Array:
    fine_side = 1 / (1 + np.exp(-at.along(direction) / 0.5))
    # The coarse pattern is the same as seen from any side: it depends on the distances alone.
    coarse = np.cos(2 * np.pi / COARSE_WAVELENGTH * (at.along(direction) + 5))
    fine = (grating(at, direction, FINE_WAVELENGTH, 1e6) + grating(at, direction + 90, FINE_WAVELENGTH, 1e6)) / 2
    return (fine_side * fine + (1 - fine_side) * coarse) * disc(at, PATCH_RADIUS)


def _wheel(at: Grid) -> Array:
    distance = at.radius - CURVE_RADIUS
    return np.exp(-distance * distance / (2 * LINE_WIDTH**2))


def _windows(at: Grid) -> Array:
    rows = [_segment(at.moved(0, up), 0, WINDOW_HALF_WIDTH) for up in (WINDOW_HALF_HEIGHT, -WINDOW_HALF_HEIGHT)]
    posts = [_segment(at.moved(x, 0), 90, WINDOW_HALF_HEIGHT) for x in (WINDOW_HALF_WIDTH, -WINDOW_HALF_WIDTH)]
    return _lightest(*rows, *posts)


def _body(at: Grid) -> Array:
    rows = [_segment(at.moved(0, up), 0, 10.0) for up in (BODY_HALF_HEIGHT, -BODY_HALF_HEIGHT)]
    return _lightest(*rows)


def _head(at: Grid, side: float) -> Array:
    behind = 1 / (1 + np.exp((at.along(side) + 0.5) / 0.5))
    return _curve(at.moved_along(5, side), side) + _fur(at.moved_along(-4, side), fur_of(side)) * behind


def _chevrons(at: Grid, radius: float) -> Array:
    """Fur that lies one way on the left and the other way on the right."""
    stripes = np.where(at.x < 0, grating(at, 45, FUR_WAVELENGTH, 1e6), grating(at, 135, FUR_WAVELENGTH, 1e6))
    return FUR_CONTRAST * stripes * disc(at, radius)


def _head_and_neck(at: Grid, side: float) -> Array:
    behind = disc(at.moved_along(-6, side).moved(0, -5), 7.0)
    head = _head(at.moved_along(2, side), side)
    return np.where(np.abs(head) > 0.1, head, _chevrons(at, 30.0) * behind)


def _car(at: Grid) -> Array:
    windows = _windows(at.moved(0, CAR_HALF_HEIGHT))
    wheels = [_wheel(at.moved(x, -CAR_HALF_HEIGHT)) for x in (WHEEL_FROM_MIDDLE, -WHEEL_FROM_MIDDLE)]
    return _lightest(windows, _body(at), *wheels)


_GREY: Mapping[str, Callable[[Grid, float], Array]] = {
    "light line": _line,
    "dark line": lambda at, pose: -_line(at, pose),
    "fine light grating": lambda at, pose: grating(at, pose, FINE_WAVELENGTH, 6.0),
    "fine dark grating": lambda at, pose: -grating(at, pose, FINE_WAVELENGTH, 6.0),
    "fine grating edge": lambda at, pose: edge(at, pose, FINE_WAVELENGTH, 6.0),
    "shading": lambda at, pose: edge(at, pose, COARSE_WAVELENGTH, 12.0),
    "curve": _curve,
    "long line": _line,
    "corner": _corner,
    "fur": _fur,
    "high frequency": lambda at, pose: grating(at, pose, FINE_WAVELENGTH, 6.0),
    "low frequency": lambda at, pose: edge(at, pose + 90, COARSE_WAVELENGTH, 12.0),
    "high-low frequency": _high_low,
    "wheel": lambda at, pose: _wheel(at),
    "windows": lambda at, pose: _windows(at),
    "body": lambda at, pose: _body(at),
    "dog head": _head,
    "coat": lambda at, pose: _chevrons(at, PATCH_RADIUS),
    "dog head and neck": _head_and_neck,
    "dog torso": lambda at, pose: _chevrons(at, 18.0),
    "car": lambda at, pose: _car(at),
}

_AROUND_A_PIXEL = {unit.kind for layer in ("lines", "curves") for unit in ROSTERS[layer]}
"""Kinds before the pool, whose middle is a pixel; that of the others lies between four."""

_COLOURS = {"red": 0, "green": 1, "blue": 2}


def _around(centre: int, side: int) -> Grid:
    """A square grid around one of its pixels, so many from the top and the left."""
    steps = np.arange(side, dtype=np.float64) - centre
    up, x = np.meshgrid(-steps, steps, indexing="ij")
    return Grid(x, up)


def picture(kind: str, pose: float | None, side: int) -> npt.NDArray[np.float32]:
    """The picture [3, side, side] that the unit of that kind and pose looks for."""
    at = _around(side // 2, side) if kind in _AROUND_A_PIXEL else grid(side)
    if kind in _COLOURS:
        drawn = np.full((3, side, side), -0.5) * disc(at, 5.0)
        drawn[_COLOURS[kind]] = disc(at, 5.0)
    else:
        drawn = np.stack([_GREY[kind](at, 0.0 if pose is None else pose)] * 3)
    return drawn.astype(np.float32)


def can_draw(unit: Unit) -> bool:
    """Whether there is a picture of what the unit looks for."""
    return unit.kind in _GREY or unit.kind in _COLOURS
