"""The `circuitdb` command.

Each command parses its arguments, asks the `Database`, and prints what comes back. Commands of other packages, such as
`ingest`, are found through the entry-point group `circuitdb.commands`. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import FrameType, ModuleType
from typing import Annotated, NoReturn

import typer

from circuitdb import __version__
from circuitdb.cli import browse, chance, direction, label, maps, report, search, transfer, universality
from circuitdb.errors import CircuitdbError

EXTENSIONS = "circuitdb.commands"
"""Entry points of this group are functions that take the `typer.Typer` and add commands to it. Their modules may have
an `exact_reader`, which `join --exact` calls with probes, weights files and a progress, as `ingest.exact.reader`."""


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"circuitdb {__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A graph database of neural-network circuits with a motif language.

    Start with `circuitdb demo`. Every command takes --help.
    """


def build_app() -> typer.Typer:
    """The command with all its subcommands, those of installed extensions included."""
    app = typer.Typer(
        name="circuitdb",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for extension in sorted(entry_points(group=EXTENSIONS), key=lambda point: point.name):
        _extend(app, extension)
    search.add_commands(app)
    chance.add_commands(app)
    universality.add_commands(app)
    browse.add_commands(app)
    label.add_commands(app)
    direction.add_commands(app)
    maps.add_commands(app)
    report.add_commands(app)
    transfer.add_commands(app)
    return app


def extensions() -> Iterator[ModuleType]:
    """The modules of the extensions."""
    for extension in sorted(entry_points(group=EXTENSIONS), key=lambda point: point.name):
        yield import_module(extension.module)


def _extend(app: typer.Typer, extension: EntryPoint) -> None:
    try:
        add_commands = extension.load()
    except ImportError as error:
        print(f"the commands of {extension.name!r} are left out: {error}", file=sys.stderr)
    else:
        add_commands(app)


def main() -> None:
    """Run the command; 0 when it ran, 2 for a mistake in the input, 1 for a failure, 130 after Ctrl-C, 143 if ended by
    SIGTERM. A reader that leaves early, as `head`, is no failure."""
    signal.signal(signal.SIGTERM, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for encodings that do not hold every character
    try:
        _run()
    except BrokenPipeError:
        _write_no_more()
        sys.exit(0)
    except OSError as error:
        _write_no_more()
        print(f"cannot go on: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _write_no_more() -> None:
    """Let what Python writes at its end go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> NoReturn:
    """Run the command and exit.

    Raises
    ------
    BrokenPipeError
        If the reader of standard output has left, of which typer and rich make exit code 1.
    """
    out = sys.stdout
    try:
        build_app()()
        sys.exit(0)
    except CircuitdbError as error:
        from circuitdb.language.diagnostics import escaped

        for line in str(error).split("\n"):  # not broken: it may hold a command to paste
            print(escaped(line), file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    finally:
        out.flush()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Leave as after Ctrl-C: what is half written is taken away."""
    print("ended by SIGTERM; what was not finished is as it was before", file=sys.stderr)
    sys.exit(128 + number)
