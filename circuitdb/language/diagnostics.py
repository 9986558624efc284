"""What is wrong with a text, as data, and the one function that prints it.

Every stage from the parser to the resolver raises `MotifError` with a `Diagnostic`: a stable code, the place, one
message, hints, and the valid names nearest to a wrong one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from circuitdb.errors import InputError
from circuitdb.language.syntax import Span

_WIDEST_LINE = 98
_LONGEST_WORD = 60


@dataclass(frozen=True)
class Source:
    """A text and the name by which a diagnostic calls it: a file's path, or `query`."""

    name: str
    text: str

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, from 1."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


@dataclass(frozen=True)
class Diagnostic:
    """One mistake. `code` names the kind of mistake and stays the same when the wording changes."""

    code: str
    message: str
    source: Source | None = None
    span: Span | None = None
    hints: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()


class MotifError(InputError):
    """A mistake in a motif or query."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(render(diagnostic))
        self.diagnostic = diagnostic


def nearest_names(wrong: str, known: Iterable[str], at_most: int = 3) -> tuple[str, ...]:
    """The known names most like a wrong one, best first; none where nothing is alike."""
    wrong = wrong[:200]
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    close = difflib.get_close_matches(wrong.casefold(), list(folded), n=at_most, cutoff=0.6)
    return tuple(folded[name] for name in close)


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest right ones, or some that there are."""
    words = sorted(words)
    close = nearest_names(word, words)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there {'is' if len(words) == 1 else 'are'} {some(words)}" if words else ""


def some(names: Sequence[str], at_most: int = 8) -> str:
    """The first of names in a message, and how many more there are."""
    shown = ", ".join(names[:at_most])
    return f"{shown} and {len(names) - at_most} more" if len(names) > at_most else shown


def render(diagnostic: Diagnostic) -> str:
    """The text of a diagnostic: place and message, the line with a caret, hints, nearest names."""
    lines: list[str] = []
    if diagnostic.source is not None and diagnostic.span is not None:
        line, column = diagnostic.source.place(diagnostic.span.start)
        lines.append(f"{diagnostic.source.name}:{line}:{column}: {_shortened(diagnostic.message)}")
        lines += _excerpt(diagnostic.source.text, diagnostic.span)
    else:
        lines.append(_shortened(diagnostic.message))
    if diagnostic.nearest:
        lines.append(_shortened("did you mean " + _either(diagnostic.nearest) + "?"))
    lines += map(_shortened, diagnostic.hints)
    return "\n".join(lines)


def _shortened(text: str) -> str:
    """The text with very long words cut and characters that do not show written as escapes."""
    return escaped(re.sub(rf"(\S{{{_LONGEST_WORD}}})\S+", r"\1…", text))


def escaped(text: str) -> str:
    """The text with characters that do not show, such as those that steer a terminal, written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def _excerpt(text: str, span: Span) -> list[str]:
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.start)
    end = len(text) if end == -1 else end
    first = max(start, min(span.start - _WIDEST_LINE // 2, end - _WIDEST_LINE))
    last = min(end, first + _WIDEST_LINE)
    shown = "".join(c if c.isprintable() else " " for c in text[first:last])
    carets = max(1, min(span.end, last) - span.start)
    return [f"  {shown}", "  " + " " * (span.start - first) + "^" * carets]
