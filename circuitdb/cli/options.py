"""The options that commands share, and how a command says them.

Other packages that add commands through the entry-point group `circuitdb.commands` take them from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_DATABASE = "circuits.duckdb"


class Format(StrEnum):
    """How results are written: tables for people, JSON and CSV for programs."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


DatabaseOption = Annotated[
    str, typer.Option("--db", envvar="CIRCUITDB_URL", metavar="ADDRESS", help="The database, as zoo.duckdb.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Tables for people; JSON or CSV for programs.")]
ModelOption = Annotated[
    list[str] | None, typer.Option("--model", "-m", metavar="MODEL", help="Search this model; may be repeated.")
]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="Set a parameter; may be repeated.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", "-n", min=0, help="How many circuits at most.", show_default="1000")
]
SecondsOption = Annotated[float, typer.Option("--seconds", min=0.001, help="How long to search at most.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only: no progress, no remarks.")]


def examples(*lines: str) -> str:
    """The end of a command's help: lines to try."""
    return "Examples:\n\n" + "\n\n".join(lines)
