"""The synthetic probe set: what early vision looks for, drawn by formulas.

In: a side in pixels. Out: a `ProbeSet` of gratings, lines, curves in 16 directions, corners, dots, pairs of colours,
borders of texture, noise whose spectrum is that of natural pictures, and shapes that cover each other. The same every
time. Sizes are in pixels, whatever the side, and small shapes are repeated all over the picture, so that each picture
holds about as much of what it shows as any other. Directions are counter-clockwise as seen. After Cammarata et al.
2020, Curve Detectors, and Schubert et al. 2021, High-Low Frequency Detectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

import numpy as np
import numpy.typing as npt

from ingest.probes import SYNTHETIC, Pictures, ProbeSet

Array = npt.NDArray[np.float64]
"""[y, x] or [y, x, colour]; black is -1, grey 0, white 1."""

CONTRAST = 0.5
"""Amplitude of gratings and textures: from their darkest to their lightest it is as far as from grey to a line."""

WAVELENGTHS = (3.5, 7.0, 16.0)
FINE_PHASES = (90.0, 180.0, 270.0)
"""The finest gratings come in these phases too: few other pictures hold anything as fine in one orientation."""
WIDTHS = (1.2, 3.0)
RADII = (7.0, 14.0, 28.0)
PATCH = 12.0
"""Radius of a patch of stripes."""
ARM = 12.0
"""Length of a corner's arms."""
DISC_RADII = (2.0, 5.0, 12.0)
TEXTURES = (3.5, 14.0)
"""Wavelengths of fine and coarse texture."""
CHEVRON = 6.0
"""Wavelength of chevrons."""
ORIENTATIONS = tuple(np.arange(0, 180, 22.5).tolist())
DIRECTIONS = tuple(np.arange(0, 360, 22.5).tolist())
EIGHTHS = tuple(np.arange(0, 360, 45.0).tolist())
NOISE_PICTURES = 16
LEAVES_PICTURES = 32
LEAVES = 40
SEED = 20

COLOURS: Mapping[str, tuple[float, float, float]] = {
    "red": (1, -1, -1),
    "yellow": (1, 1, -1),
    "green": (-1, 1, -1),
    "cyan": (-1, 1, 1),
    "blue": (-1, -1, 1),
    "magenta": (1, -1, 1),
}


def synthetic(side: int) -> ProbeSet:
    """The synthetic set at `side` by `side` pixels."""
    drawn = dict(_stimuli(_Plane(side)))
    pictures = np.stack([_bytes(picture) for picture in drawn.values()])
    return ProbeSet(SYNTHETIC, tuple(drawn), pictures)


def scenes(side: int, count: int) -> Pictures:
    """The first of the set's pictures of shapes that cover each other, which are most like photographs."""
    return np.stack([_bytes(picture) for _, picture in islice(_leaves(_Plane(side)), count)])


class _Plane:
    """Positions around the middle of a picture: x to the right, up upwards, in pixels.

    With a `period`, positions around the nearest of many middles, so far apart, one of them the picture's.
    """

    def __init__(self, side: int, period: float | None = None) -> None:
        steps = np.arange(side) - (side - 1) / 2
        if period is not None:
            steps = steps - period * np.round(steps / period)
        self.side = side
        self.up, self.x = np.meshgrid(-steps, steps, indexing="ij")

    def repeated(self, radius: float) -> _Plane:
        """Places for shapes of a radius, with room between them."""
        return _Plane(self.side, 2 * radius + 12)

    def along(self, degrees: float) -> Array:
        """Distance from the middle towards a direction."""
        angle = np.radians(degrees)
        return np.asarray(self.x * np.cos(angle) + self.up * np.sin(angle))

    def fits(self, radius: float) -> bool:
        """Whether a disc of that radius lies in the picture."""
        return radius < 0.48 * self.side


def _bytes(picture: Array) -> npt.NDArray[np.uint8]:
    coloured = np.broadcast_to(picture[..., None], (*picture.shape, 3)) if picture.ndim == 2 else picture
    return np.round(np.clip(coloured, -1, 1) * 127.5 + 127.5).astype(np.uint8)


def _stimuli(plane: _Plane) -> Iterator[tuple[str, Array]]:
    yield from _gratings(plane)
    yield from _lines(plane)
    yield from _curves(plane)
    yield from _corners(plane)
    yield from _dots(plane)
    yield from _colour_pairs(plane)
    yield from _high_low(plane)
    yield from _chevrons(plane)
    yield from _noise(plane)
    yield from _leaves(plane)
    yield from _gratings(plane, WAVELENGTHS[:1], FINE_PHASES)


def _wave(plane: _Plane, orientation: float, wavelength: float, phase: float = 0.0) -> Array:
    """Stripes that run along an orientation."""
    return np.asarray(np.cos(2 * np.pi * plane.along(orientation + 90) / wavelength + phase))


def _stroke(distance: Array, width: float) -> Array:
    """1 on a line, falling off as a Gaussian."""
    return np.asarray(np.exp(-np.square(distance / width) / 2))


def _step(distance: Array, softness: float = 0.5) -> Array:
    """0 below, 1 above, soft over a pixel."""
    return np.asarray(1 / (1 + np.exp(-np.clip(distance / softness, -50, 50))))


def _both(name: str, drawn: Array) -> Iterator[tuple[str, Array]]:
    """Light on grey and dark on grey."""
    yield f"light {name}", drawn
    yield f"dark {name}", -drawn


def _gratings(
    plane: _Plane, wavelengths: Sequence[float] = WAVELENGTHS, phases: Sequence[float] = (0.0,)
) -> Iterator[tuple[str, Array]]:
    """Round patches of stripes: a picture full of them would drive deep units the same everywhere."""
    places = plane.repeated(PATCH)
    patches = _step(PATCH - np.hypot(places.x, places.up))
    for wavelength, phase, orientation in product(wavelengths, phases, ORIENTATIONS):
        name = f"grating {wavelength:g}px {orientation:g}°{f' phase {phase:g}°' if phase else ''}"
        yield name, CONTRAST * patches * _wave(places, orientation, wavelength, np.radians(phase))


def _lines(plane: _Plane) -> Iterator[tuple[str, Array]]:
    for width in WIDTHS:
        for orientation in ORIENTATIONS:
            line = _stroke(plane.along(orientation + 90), width)
            yield from _both(f"line {width:g}px {orientation:g}°", line)


def _curves(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """A third of a circle that bulges towards the direction, light, and of the least radius dark as well."""
    for radius in (r for r in RADII if plane.fits(r)):
        places = plane.repeated(radius)
        for direction in DIRECTIONS:
            forward, aside = places.along(direction) + 0.75 * radius, places.along(direction + 90)
            arc = _stroke(np.hypot(forward, aside) - radius, 1.2) * _step(forward - radius / 2)
            name = f"curve {radius:g}px {direction:g}°"
            yield from _both(name, arc) if radius == RADII[0] else [(f"light {name}", arc)]


def _corners(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """Two arms at a right angle whose tip points towards the direction."""
    places = plane.repeated(ARM)
    for direction in EIGHTHS:
        arms = [
            _stroke(places.along(direction + turn + 90), 1.2)
            * _step(places.along(direction + turn))
            * _step(ARM - places.along(direction + turn))
            for turn in (135, -135)
        ]
        yield from _both(f"corner {direction:g}°", np.maximum(*arms))


def _dots(plane: _Plane) -> Iterator[tuple[str, Array]]:
    for radius in DISC_RADII:
        places = plane.repeated(2 * radius)
        distance = np.hypot(places.x, places.up)
        yield from _both(f"dot {radius:g}px", _step(radius - distance))
        yield from _both(f"ring {2 * radius:g}px", _stroke(distance - 2 * radius, 1.2))


def _colour_pairs(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """One colour towards a direction and its opposite behind, or a disc of one on the other; and stripes of both."""
    opposite = dict(zip(COLOURS, [*list(COLOURS)[3:], *list(COLOURS)[:3]], strict=True))
    dots, discs = (np.hypot(places.x, places.up) for places in (plane.repeated(5), plane.repeated(12)))
    for name, colour in COLOURS.items():
        here, there = np.array(colour, float), np.array(COLOURS[opposite[name]], float)
        shapes = {f"edge {direction:g}°": _step(plane.along(direction)) for direction in (0, 90)}
        shapes["disc"] = _step(12 - discs)
        for shape, amount in shapes.items():
            yield f"{name} {opposite[name]} {shape}", amount[..., None] * here + (1 - amount[..., None]) * there
        yield f"{name} on grey", _step(5 - dots)[..., None] * here


def _high_low(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """Fine texture towards the direction, coarse texture behind."""
    for direction in EIGHTHS:
        side = _step(plane.along(direction))
        fine, coarse = (
            (_wave(plane, direction, length) + _wave(plane, direction + 90, length, 1.0)) / 2 for length in TEXTURES
        )
        yield f"fine and coarse {direction:g}°", CONTRAST * (side * fine + (1 - side) * coarse)


def _chevrons(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """Stripes that lie one way on one side of a line and the other way on the other, meeting in the direction."""
    for direction in EIGHTHS:
        side = _step(plane.along(direction + 90))
        one, other = (_wave(plane, direction + turn, CHEVRON) for turn in (-45, 45))
        yield f"chevrons {direction:g}°", CONTRAST * (side * one + (1 - side) * other)


def _noise(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """Amplitude 1/frequency (Field 1987), light and dark strong, colours weak, as in photographs."""
    random = np.random.default_rng((SEED, 1))
    for number in range(NOISE_PICTURES):
        light = _natural(random, plane.side)
        tints = np.stack([_natural(random, plane.side) for _ in range(3)], axis=-1)
        yield f"noise {number}", 0.45 * light[..., None] + 0.2 * tints


def _natural(random: np.random.Generator, side: int) -> Array:
    """Noise of mean 0 and standard deviation 1 whose amplitude falls as 1/frequency."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    drawn = np.fft.irfft2(np.fft.rfft2(random.normal(size=(side, side))) / frequency, s=(side, side))
    return np.asarray(drawn / drawn.std())


def _leaves(plane: _Plane) -> Iterator[tuple[str, Array]]:
    """Discs, half planes and strokes of many sizes, tones and textures that cover each other (dead leaves)."""
    random = np.random.default_rng((SEED, 2))
    for number in range(LEAVES_PICTURES):
        picture = np.zeros((plane.side, plane.side, 3))
        for _ in range(LEAVES):
            _lay(picture, random)
        yield f"leaves {number}", picture


def _lay(picture: Array, random: np.random.Generator) -> None:
    """Lay one more leaf on a picture."""
    side = len(picture)
    column, row = random.uniform(0, side, 2)
    radius = 3 * (side / 10) ** random.uniform()
    angle, kind = random.uniform(0, 2 * np.pi), random.integers(4)
    tone = random.uniform(-0.9, 0.9) + random.uniform(-0.25, 0.25, 3)
    wavelength, width = random.uniform(3, 14), random.uniform(0.8, 2.0)
    rows, columns = (slice(max(0, int(at - radius - 6)), int(at + radius + 7)) for at in (row, column))
    under = picture[rows, columns]
    x = np.arange(side)[columns][None, :] - column
    up = row - np.arange(side)[rows][:, None]
    forward, distance = x * np.cos(angle) + up * np.sin(angle), np.hypot(x, up)
    cover = _stroke(distance - radius, width) if kind == 2 else _step(radius - distance)
    if kind in (1, 2):
        cover = cover * _step(forward)
    stripes = np.cos(2 * np.pi * forward / wavelength)[..., None] if kind == 3 else 1.0
    under += cover[..., None] * (tone * stripes - under)
