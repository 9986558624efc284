"""Writing results to standard output and remarks to standard error.

In come rows, out go tables that fit the terminal, one JSON object, or CSV. A pipe gets tables as wide as they need,
so that no line is broken where another program reads it; on a terminal no word is broken.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from circuitdb.circuits import to_json
from circuitdb.cli.options import Format
from circuitdb.language.diagnostics import escaped

if TYPE_CHECKING:
    from circuitdb.backends.base import Progress

_PIPE_WIDTH = 10_000
_GAP = 2
_PROSE = 30
"""A last column of text is broken between words where it gets so many columns."""
_UNBROKEN = "\N{NO-BREAK SPACE}"
_PATIENCE_SECONDS = 1.0


def console(stream: TextIO | None = None) -> Console:
    """Standard output, or another stream, as a terminal, or as a pipe of any width."""
    stream = stream or sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def say(*paragraphs: str, stream: TextIO | None = None) -> None:
    """Print lines of prose, broken between words where the terminal is narrower, control characters escaped."""
    own = console(stream)
    for line in map(escaped, "\n".join(paragraphs).split("\n")):
        print(line if cell_len(line) <= own.width else _filled(line, own.width), file=own.file)


def remark(*sentences: str) -> None:
    """Say something on standard error, each sentence on a line of its own."""
    if sentences:
        say(*sentences, stream=sys.stderr)


def _filled(line: str, width: int) -> str:
    """A line broken between words; the rest of one that begins with blanks stands two columns further in."""
    margin = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, width, subsequent_indent=margin and margin + "  ", break_long_words=False, break_on_hyphens=False
    )


def write_json(value: Any) -> None:
    """Print one JSON object, with JSON's own escapes where the stream's encoding lacks a character."""
    text = to_json(value)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text))
    print(text)


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as CSV with a header; lists are written with spaces between, what is missing as nothing."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_cell(row.get(column)) for column in columns])


def _csv_cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(entry) for entry in value)
    return value


def print_table(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table without lines, or where the terminal is too narrow for it, each row as `heading: value  …`.

    `columns` maps each heading to "left" or "right". A last column on the left is text, which may be broken between
    words, as headings may; all other cells stay whole.
    """
    own = console()
    cells = [[plain(value) for value in row] for row in rows]
    widths = _widths(columns, cells, own.width)
    if widths is None:
        for row in cells:
            own.print(Text(_record(columns, row, own.width)), soft_wrap=True)
        return
    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for (heading, side), width in zip(columns.items(), widths, strict=True):
        made.add_column(heading, justify="right" if side == "right" else "left", width=width, overflow="fold")
    for row in cells:
        made.add_row(*map(Text, row))
    own.print(made)


def fits(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> bool:
    """Whether a table is no wider than the terminal."""
    widest = _widest(columns, [[plain(value) for value in row] for row in rows])
    return sum(widest) + _GAP * (len(widest) - 1) <= console().width


def _widest(columns: Iterable[str], cells: Sequence[Sequence[str]]) -> list[int]:
    columns = list(columns)
    return [max(map(_line_width, column)) for column in zip(columns, *cells, strict=True)]


def _widths(columns: Mapping[str, str], cells: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """The widths of the columns of a table that fits, or None."""
    widest = _widest(columns, cells)
    room = width - _GAP * (len(widest) - 1)
    if sum(widest) <= room:
        return widest
    headings = [" ".join(heading.split()) for heading in columns]
    narrow = [
        max(_word_width(heading), *(_line_width(row[place]) for row in cells), 0)
        for place, heading in enumerate(headings)
    ]
    if list(columns.values())[-1] == "left":
        rest = room - sum(narrow[:-1])
        words = max(_word_width(text) for text in (headings[-1], *(row[-1] for row in cells)))
        narrow[-1] = max(min(rest, widest[-1]), words, min(widest[-1], _PROSE))
    return narrow if sum(narrow) <= room else None


def _line_width(text: str) -> int:
    return max(map(cell_len, text.splitlines()), default=0)


def _word_width(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _record(headings: Iterable[str], row: Sequence[str], width: int) -> str:
    """A row in words; a heading and its value stay on one line where they can."""
    pairs = [f"{heading.strip()}: {value}" for heading, value in zip(headings, row, strict=True) if value]
    whole = [pair.replace(" ", _UNBROKEN) if cell_len(pair) <= width - _GAP else pair for pair in pairs]
    filled = textwrap.fill(
        "  ".join(whole), width, subsequent_indent=" " * _GAP, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace(_UNBROKEN, " ")


def plain(value: Any) -> str:
    """A value as people read it: four digits of a real number, no control characters, nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return escaped(str(value))


@contextmanager
def patience(task: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal's standard error that work goes on, once it has taken a second."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    status = Console(stderr=True).status(task)
    timer = threading.Timer(_PATIENCE_SECONDS, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


@contextmanager
def bar(quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on a terminal's standard error: one line a stage."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage, total=total)
            shown.update(tasks[stage], completed=done, total=total)

        yield advance


def write_rows(format: Format, quiet: bool, heading: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that say what was done: as a table unless `quiet`, one JSON object under `heading`, or CSV."""
    columns = list(rows[0]) if rows else []
    if format is Format.JSON:
        write_json({heading: list(rows)})
    elif format is Format.CSV:
        write_csv(columns, rows)
    elif not quiet and rows:
        sides = {name: "right" if isinstance(rows[0][name], int) else "left" for name in columns}
        print_table(sides, ([row[name] for name in columns] for row in rows))
