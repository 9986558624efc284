"""How wide a text may be, without asking a font: an upper bound, so that a text which fits here fits everywhere."""

from __future__ import annotations

import unicodedata

_NARROW = frozenset("ijl.,:;'|!I ")
_SMALL = frozenset('frt()[]{}-/\\"*`^°·')
_WIDE = frozenset("mMW@%w+=<>~—…")
_BOLD = 1.12


def width(text: str, size: float, bold: bool = False) -> float:
    """An upper bound of a text's width in pixels, in Helvetica, Arial, Liberation Sans or DejaVu Sans at that size."""
    return size * sum(map(_character, text)) * (_BOLD if bold else 1.0)


def _character(character: str) -> float:
    if character in _NARROW:
        return 0.36
    if character in _SMALL:
        return 0.51
    if character in _WIDE:
        return 1.02
    if not character.isascii():
        if unicodedata.combining(character):
            return 0.0
        return 1.1 if unicodedata.east_asian_width(character) in "WF" else 0.9
    return 0.8 if character.isupper() else 0.66


def wrap(text: str, size: float, widest: float, most: int, bold: bool = False) -> tuple[str, ...]:
    """The text on at most so many lines, broken between words; what is too long ends with an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        taken = 1
        while taken < len(words) and width(" ".join(words[: taken + 1]), size, bold) <= widest:
            taken += 1
        lines.append(fit(" ".join(words[:taken]), size, widest, bold))
        words = words[taken:]
    return (*lines, fit(" ".join(words), size, widest, bold)) if words else tuple(lines)


def fit(text: str, size: float, most: float, bold: bool = False) -> str:
    """The text on one line, cut with an ellipsis where it may be wider than `most` pixels."""
    line = " ".join(text.split())
    if width(line, size, bold) <= most:
        return line
    while line and width(line + "…", size, bold) > most:
        line = line[:-1]
    return line.rstrip() + "…"
