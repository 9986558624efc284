"""The command that compares a number of circuits with what chance gives: test."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuitdb.cli.options import (
    DEFAULT_DATABASE,
    DatabaseOption,
    Format,
    FormatOption,
    ParameterOption,
    QuietOption,
    examples,
)
from circuitdb.cli.search import QueryArgument, read_parameters

if TYPE_CHECKING:
    from circuitdb.statistics.significance import Significance


class NullModel(StrEnum):
    """What is shuffled: the sources of edges, or which unit is whose partner."""

    EDGES = "edges"
    MAPS = "maps"


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        "test",
        epilog=examples(
            "circuitdb test cross_inhibition --model inceptionv1 --samples 200 --seed 0",
            "circuitdb test union_over_cases --model inceptionv1 --null maps",
            "circuitdb test cross_inhibition --model inceptionv1 --circuits 20 --format csv",
        ),
    )(compare_with_chance)


def compare_with_chance(
    query: QueryArgument,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Search this model.", show_default="the only one"),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", "-r", help="How many shuffled graphs.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal numbers.")] = 0,
    null: Annotated[NullModel, typer.Option("--null", help="What is shuffled: edges, or partners in maps.")] = (
        NullModel.EDGES
    ),
    circuits: Annotated[
        int,
        typer.Option("--circuits", "-n", min=0, help="Say for so many of the strongest circuits how likely each is."),
    ] = 0,
    param: ParameterOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Compare the number of circuits that fit a motif with what chance gives."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    parameters: dict[str, Any] = dict(read_parameters(param or []))
    with Database(db) as database, output.bar(quiet) as progress:
        result = database.significance(
            query,
            model=model,
            samples=samples,
            seed=seed,
            null=null.value,
            circuits=circuits,
            progress=progress,
            **parameters,
        )
    match format:
        case Format.JSON:
            output.write_json(result.to_dict())
        case Format.CSV:
            _write_csv(result)
        case Format.TABLE:
            _print(result, quiet)


def _write_csv(result: Significance) -> None:
    """The circuits that were asked for, or else the one row of the result."""
    from circuitdb.circuits import unit_column
    from circuitdb.cli import output

    if result.circuits:
        rows = []
        for chance in result.circuits:
            figures = {"score": chance.circuit.score, "expected": chance.expected, "p": chance.p, "q": chance.q}
            units = {unit_column(name, list(figures)): unit for name, unit in chance.circuit.units.items()}
            rows.append(figures | units)
        output.write_csv(list(rows[0]), rows)
    else:
        columns = ("model", "observed", "null_mean", "null_sd", "z", "p", "samples", "seed", "keep", "null")
        output.write_csv(columns, [result.to_dict()])


def _print(result: Significance, quiet: bool) -> None:
    """The sentence, the figures, the null's histogram and the circuits."""
    from circuitdb.circuits import short_names
    from circuitdb.cli import output

    output.say(result.sentence)
    figures = ("observed", "null_mean", "null_sd", "z", "p")
    shown = result.to_dict()
    output.print_table(dict.fromkeys(figures, "right"), [[shown[name] for name in figures]])
    if not quiet:
        print("\n" + result.histogram(min(output.console().width, 78)))
    if result.circuits:
        rows = []
        for chance in result.circuits:
            units = "  ".join(f"{name}={short_names(unit)}" for name, unit in chance.circuit.units.items())
            rows.append([chance.circuit.score, chance.expected, chance.p, chance.q, units])
        sides = dict.fromkeys(("score", "expected", "p", "q"), "right") | {"units": "left"}
        print()
        output.print_table(sides, rows)
    if not quiet:
        line = f"null {result.null} · samples {result.samples:,} · seed {result.seed} · keep {result.keep}"
        output.say(f"\n{line} · {result.seconds:.1f} s", *result.remarks)
