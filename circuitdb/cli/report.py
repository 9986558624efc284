"""The command that writes a page: report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuitdb.cli.options import (
    DEFAULT_DATABASE,
    DatabaseOption,
    LimitOption,
    ModelOption,
    ParameterOption,
    QuietOption,
    SecondsOption,
    examples,
)
from circuitdb.cli.search import read_parameters

if TYPE_CHECKING:
    from circuitdb.database import Database

_RECURRING = "curve_from_lines"
_SAMPLES = 20
_MOST_CIRCUITS = 10_000
_UNIT = re.compile(r"((([^/:{}]+/)?[^/:{}]+):)?[0-9]{1,10}")


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog=examples(
            "circuitdb report union_over_cases --model inceptionv1 -o dogs.html",
            "circuitdb report 'find { a +> b -| c } limit 50' --samples 200 -o hits.html",
            "circuitdb report inceptionv1/mixed4c:447 -o unit.html",
            "circuitdb report curve_from_lines --models alexnet,inceptionv1 -o shared.html",
        )
    )(report)


def report(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="MOTIF|QUERY|FILE|UNIT",
            help="What to search for, or a unit, as 4c:447. With --models it may be left out.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page to write.")] = Path(
        "report.html"
    ),
    model: ModelOption = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="A,B,…",
            help="Write what models share, which were joined both ways: units that answer alike, circuits of the motif "
            f"({_RECURRING} unless another is named) that come back.",
        ),
    ] = None,
    param: ParameterOption = None,
    limit: LimitOption = None,
    seconds: SecondsOption = 60.0,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-r",
            min=0,
            show_default=f"0; with --models {_SAMPLES}",
            help="Samples of chance to compare with.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the samples.")] = 0,
    db: DatabaseOption = DEFAULT_DATABASE,
    quiet: QuietOption = False,
) -> None:
    """Write circuits, or a unit, as one HTML file that needs no server and loads nothing."""
    from circuitdb.cli import output
    from circuitdb.database import Database
    from circuitdb.errors import InputError
    from circuitdb.reports.page import circuits_page, unit_page, write_page

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out} does not end in .html or .htm; a report is an HTML page")
    if models is not None and model:
        raise InputError("--models A,B,… names the models; leave out --model")
    with Database(db) as database:
        remarks: tuple[str, ...] = ()
        if models is not None:
            names = [database.model(name.strip())["name"] for name in models.split(",")]
            said, remarks = _write_shared(
                database,
                what or _RECURRING,
                list(dict.fromkeys(names)),
                dict(read_parameters(param or [])),
                limit=limit or _MOST_CIRCUITS,
                samples=_SAMPLES if samples is None else samples,
                seed=seed,
                out=out,
                quiet=quiet,
            )
        elif what is None:
            raise InputError("name a motif, a query or a unit, or models that were joined: --models A,B")
        elif _UNIT.fullmatch(what) and not Path(what).is_file():
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
            said, remarks = f"{len(found):,} circuit{'' if len(found) == 1 else 's'}", found.remarks
    if not quiet:
        output.remark(f"{said} written to {out}", *remarks)


def _write_shared(
    database: Database,
    query: str,
    models: list[str],
    parameters: Mapping[str, Any],
    *,
    limit: int,
    samples: int,
    seed: int,
    out: Path,
    quiet: bool,
) -> tuple[str, tuple[str, ...]]:
    """Write the page on what joined models share; return what it tells of, and what its numbers do not tell."""
    from circuitdb.cli import output
    from circuitdb.reports.page import universality_page, write_page
    from circuitdb.reports.words import listed

    with output.bar(quiet) as progress:
        found = database.universality(
            query, models=models, samples=samples, seed=seed, limit=limit, progress=progress, **parameters
        )
    with output.patience("writing", quiet):
        circuits = {
            model: database.find(query, model=model, limit=limit, seconds=None, **parameters) for model in models
        }
        write_page(out, universality_page(database, found, circuits, samples=samples, seed=seed, out=str(out)))
    return f"what {listed(models)} share", found.remarks


def _only(models: list[str] | None) -> str | None:
    return models[0] if models and len(models) == 1 else None
