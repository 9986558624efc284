"""Writing results to standard output and remarks to standard error.

In come rows, out go tables that fit the terminal, one JSON object, or CSV. A pipe gets tables as wide as they need,
so that no line is broken where another program reads it.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from circuitdb.circuits import to_json
from circuitdb.cli.options import Format
from circuitdb.language.diagnostics import escaped

if TYPE_CHECKING:
    from circuitdb.backends.base import Progress

_PIPE_WIDTH = 10_000
_PATIENCE_SECONDS = 1.0


def console() -> Console:
    """Standard output as a terminal, or as a pipe of any width."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def remark(*sentences: str) -> None:
    """Say something on standard error, each sentence on a line of its own."""
    for sentence in sentences:
        print(escaped(sentence), file=sys.stderr)


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


def table(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table without lines. `columns` maps each heading to "left" or "right"."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, side in columns.items():
        made.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(value)) for value in row))
    return made


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


def natural_width(made: Table) -> int:
    """Columns that a table takes where nothing limits it."""
    return Measurement.get(Console(width=_PIPE_WIDTH), Console(width=_PIPE_WIDTH).options, made).maximum


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
        console().print(table(sides, ([row[name] for name in columns] for row in rows)))
