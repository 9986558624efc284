"""Kernels as formulas in the plane: lines, gratings, shadings, arcs, corners and blobs, at any pose.

In go a grid and a pose in degrees, counter-clockwise as seen; out comes an array [y, x], y down. Directions that are
multiples of 22.5 degrees are exact, so that a formula at a pose turned by 90 degrees gives the turned array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_COSINES = (1.0, math.cos(math.pi / 8), math.sqrt(0.5), math.sin(math.pi / 8), 0.0)


def cosine(degrees: float) -> float:
    """The cosine, with the same last digit for every multiple of 22.5 degrees that has the same magnitude."""
    steps = degrees / 22.5
    if steps != round(steps):
        return math.cos(math.radians(degrees))
    step = round(steps) % 16
    step = min(step, 16 - step)
    return _COSINES[step] if step <= 4 else -_COSINES[8 - step]


def sine(degrees: float) -> float:
    """The sine, exact as `cosine` is."""
    return cosine(degrees - 90)


@dataclass(frozen=True)
class Grid:
    """Positions around a target's centre: x to the right, up upwards, both [y, x], in cells of the source's grid."""

    x: Array
    up: Array

    def along(self, degrees: float) -> Array:
        """Distance from the centre along a direction."""
        return self.x * cosine(degrees) + self.up * sine(degrees)

    def moved(self, x: float, up: float) -> Grid:
        """The same positions seen from a centre that lies `x` to the right and `up` above."""
        return Grid(self.x - x, self.up - up)

    def moved_along(self, distance: float, degrees: float) -> Grid:
        """The same positions seen from a centre at a distance in a direction."""
        return self.moved(distance * cosine(degrees), distance * sine(degrees))

    @property
    def radius(self) -> Array:
        """Distance from the centre."""
        return np.sqrt(self.x * self.x + self.up * self.up)


def grid(side: int, spacing: float = 1.0) -> Grid:
    """A square grid of `side` by `side` cells around the centre, `spacing` apart."""
    steps = (np.arange(side) - (side - 1) / 2) * spacing
    up, x = np.meshgrid(-steps, steps, indexing="ij")
    return Grid(x, up)


def disc(at: Grid, radius: float) -> Array:
    """A disc with a soft rim: 1 inside, 1/2 at the radius, 0 outside."""
    return np.asarray(1 / (1 + np.exp((at.radius - radius) / 0.25)))


def blob(at: Grid, sigma: float) -> Array:
    """A round Gaussian of height 1."""
    return np.exp(-(at.x * at.x + at.up * at.up) / (2 * sigma * sigma))


def stroke(at: Grid, orientation: float, width: float, length: float) -> Array:
    """An elongated Gaussian of height 1, `width` and `length` its standard deviations across and along."""
    u, v = at.along(orientation), at.along(orientation + 90)
    return np.exp(-(v * v) / (2 * width * width) - (u * u) / (2 * length * length))


def line(at: Grid, orientation: float, width: float, length: float) -> Array:
    """The second derivative of a Gaussian across, a Gaussian along: positive on a light line, negative beside it."""
    v = at.along(orientation + 90)
    return (1 - v * v / (width * width)) * stroke(at, orientation, width, length)


def grating(at: Grid, orientation: float, wavelength: float, sigma: float) -> Array:
    """A Gabor patch, lightest in the middle; the stripes run along `orientation`."""
    v = at.along(orientation + 90)
    return np.cos(2 * math.pi / wavelength * v) * blob(at, sigma)


def edge(at: Grid, direction: float, wavelength: float, sigma: float) -> Array:
    """A Gabor patch that rises through 0 in the middle towards `direction`."""
    return np.sin(2 * math.pi / wavelength * at.along(direction)) * blob(at, sigma)


def shading(at: Grid, direction: float, sigma: float) -> Array:
    """The first derivative of a wide Gaussian: light towards `direction`, dark behind."""
    return at.along(direction) * blob(at, sigma)


def arc(at: Grid, direction: float, radius: float) -> tuple[Array, Array]:
    """Where positions lie with respect to a circle whose outermost point towards `direction` is at the centre.

    Returns
    -------
    The distance from the circle, and the cosine and sine of twice the tangent's orientation as one array [2, y, x].
    """
    centred = at.moved_along(-radius, direction)
    rho = np.maximum(centred.radius, 1e-9)
    # The tangent is the normal turned by 90 degrees: twice the angle turns by 180.
    doubled = np.stack([centred.up**2 - centred.x**2, -2 * centred.x * centred.up]) / (rho * rho)
    return rho - radius, doubled


def tuned(doubled: Array, orientation: float) -> Array:
    """The cosine of twice the angle between an orientation and those given as cosine and sine of twice the angle."""
    cosines: Array = doubled[0] * cosine(2 * orientation) + doubled[1] * sine(2 * orientation)
    return cosines


def without_mean(kernel: Array, window: Array) -> Array:
    """The kernel times the window, less as much of the window as makes its sum 0: grey gives no answer."""
    windowed = kernel * window
    return windowed - window * (math.fsum(windowed.ravel()) / math.fsum(window.ravel()))
