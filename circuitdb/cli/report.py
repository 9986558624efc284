"""The command that writes a page: report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, QuietOption, examples
from circuitdb.cli.search import LimitOption, ModelOption, ParameterOption, SecondsOption, read_parameters

_UNIT = re.compile(r"((([^/:{}]+/)?[^/:{}]+):)?[0-9]{1,10}")


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog=examples(
            "circuitdb report union_over_cases --model inceptionv1 -o dogs.html",
            "circuitdb report 'find { a +> b -| c } limit 50' --samples 200 -o hits.html",
            "circuitdb report inceptionv1/mixed4c:447 -o unit.html",
        )
    )(report)


def report(
    what: Annotated[
        str, typer.Argument(metavar="MOTIF|QUERY|FILE|UNIT", help="What to search for, or a unit, as 4c:447.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page to write.")] = Path(
        "report.html"
    ),
    model: ModelOption = None,
    param: ParameterOption = None,
    limit: LimitOption = None,
    seconds: SecondsOption = 60.0,
    samples: Annotated[
        int, typer.Option("--samples", min=0, help="Samples of chance to compare with; 0 for none.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the samples.")] = 0,
    db: DatabaseOption = DEFAULT_DATABASE,
    quiet: QuietOption = False,
) -> None:
    """Write circuits, or a unit, as one HTML file that needs no server and loads nothing."""
    from circuitdb.cli import output
    from circuitdb.database import Database
    from circuitdb.reports.page import circuits_page, unit_page, write_page

    with Database(db) as database:
        if _UNIT.fullmatch(what) and not Path(what).is_file():
            key = database.unit(what).key
            write_page(out, unit_page(key, database, address=database.address, out=str(out)))
            said = key
        else:
            parameters: dict[str, Any] = dict(read_parameters(param or []))
            with output.patience("searching", quiet):
                found = database.find(what, model=model, limit=limit, seconds=seconds, **parameters)
            chance = None
            if samples:
                with output.bar(quiet) as progress:
                    chance = database.significance(
                        what, model=_only(model), samples=samples, seed=seed, progress=progress, **parameters
                    )
            with output.patience("writing", quiet):
                write_page(out, circuits_page(found, chance, out=str(out)))
            said = f"{len(found):,} circuit{'' if len(found) == 1 else 's'}"
    if not quiet:
        output.remark(f"{said} written to {out}")


def _only(models: list[str] | None) -> str | None:
    return models[0] if models and len(models) == 1 else None
