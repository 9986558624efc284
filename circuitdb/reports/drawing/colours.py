"""The colours of signed weights: red where a unit excites, blue where it inhibits, white around zero."""

from __future__ import annotations

from itertools import pairwise

RED = "#b2182b"
BLUE = "#2166ac"
INK = "#1c1c1c"
SOFT = "#595959"
FAINT = "#b5b5b5"

_DIVERGING = (
    (-1.0, (33, 102, 172)),
    (-0.5, (146, 197, 222)),
    (0.0, (247, 247, 247)),
    (0.5, (244, 165, 130)),
    (1.0, (178, 24, 43)),
)
"""Stops of the diverging scale RdBu (Brewer 2002), turned so that red is positive."""


def diverging(value: float) -> tuple[int, int, int]:
    """Red, green and blue (0..255) of a value in -1..1; values beyond are held at the ends."""
    value = min(1.0, max(-1.0, value))
    for (low, dark), (high, light) in pairwise(_DIVERGING):
        if value <= high:
            part = (value - low) / (high - low)
            red, green, blue = (round(a + part * (b - a)) for a, b in zip(dark, light, strict=True))
            return red, green, blue
    raise AssertionError("the last stop is 1")
