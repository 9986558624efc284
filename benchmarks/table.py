"""The one table of all measurements: a row says what was measured, the figure, and what it is compared with.

In come rows, out goes a table of 100 columns on the terminal or a pipe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

WIDTH = 100


@dataclass(frozen=True)
class Row:
    """One line of the table.

    figure: what was measured, with its unit. beside: what it is compared with, and that one's figure. ratio: how the
    two compare, as the aim counts it. met: whether the aim is met, None where there is none.
    """

    what: str
    figure: str
    beside: str = ""
    ratio: str = ""
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Section:
    """A group of rows under a title that says what is measured on what."""

    title: str
    rows: tuple[Row, ...]


def at_most(what: str, ours: float, other: str, theirs: float, most: float | None = None) -> Row:
    """A row of seconds that may be `most` times those of the other way."""
    aim = "" if most is None else f"≤ {most:g}×"
    ratio = ours / theirs
    return Row(
        what, seconds(ours), f"{other} {seconds(theirs)}", f"{ratio:.2f}×", aim, _met(most, ratio <= (most or 0))
    )


def faster(what: str, ours: float, other: str, theirs: float, least: float | None = None, bound: str = "") -> Row:
    """A row of seconds that are to be `least` times fewer than the other way's; `bound`: ">" if it never ended."""
    aim = "" if least is None else f"≥ {least:g}× faster"
    ratio = theirs / ours
    row_ratio = f"{bound}{ratio:,.0f}×" if ratio >= 10 else f"{bound}{ratio:.1f}×"
    return Row(
        what, seconds(ours), f"{other} {bound}{seconds(theirs)}", row_ratio, aim, _met(least, ratio >= (least or 0))
    )


def _met(aim: float | None, met: bool) -> bool | None:
    return None if aim is None else met


def seconds(value: float) -> str:
    """Seconds in three figures."""
    if value < 0.0995:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 100 else f"{value:,.0f} s"


def print_table(sections: Iterable[Section]) -> None:
    """Print the sections as one table, each under its title."""
    console = Console(width=WIDTH, highlight=False)
    table = _columns(header=True)
    for section in sections:
        console.print(table)
        console.print(f"\n[bold]{section.title}[/]")
        table = _columns(header=False)
        for row in section.rows:
            mark = {True: " ✓", False: " ✗", None: ""}[row.met]
            table.add_row(row.what, row.figure, row.beside, row.ratio, row.aim + mark)
    console.print(table)


def _columns(header: bool) -> Table:
    table = Table(width=WIDTH, box=None, show_header=header, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("measured", width=29)
    table.add_column("circuitdb", width=12, justify="right")
    table.add_column("beside", width=32)
    table.add_column("ratio", width=8, justify="right")
    table.add_column("aim", width=14)
    return table
