"""The commands on annotations: label add, import, ls, rm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples

UnitArgument = Annotated[str, typer.Argument(metavar="UNIT", help="A unit, as inceptionv1/mixed4c:447 or 4c:447.")]
TextArgument = Annotated[str, typer.Argument(metavar="TEXT", help="The annotation.")]

_COLUMNS = ("unit", "label", "source")


def add_commands(app: typer.Typer) -> None:
    """Add the group `label` to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Annotate units; motifs find them by `label ~ TEXT`.")
    group.command(epilog=examples("circuitdb label add inceptionv1/mixed4c:447 car --source 'Zoom In'"))(add)
    group.command(
        "import",
        epilog=examples(
            "circuitdb label import labels.csv", "circuitdb label import families.json --model inceptionv1"
        ),
    )(import_file)
    group.command(epilog=examples("circuitdb label ls inceptionv1 --format csv"))(ls)
    group.command(epilog=examples("circuitdb label rm inceptionv1/mixed4c:447 car"))(rm)
    app.add_typer(group, name="label")


def add(
    unit: UnitArgument,
    text: TextArgument,
    source: Annotated[str | None, typer.Option("--source", help="Who or what says so.")] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Give a unit a label; it may have several."""
    from circuitdb.database import Database
    from circuitdb.errors import InputError

    with Database(db) as database:
        key = database.unit(unit).key
        if not text.strip():
            raise InputError(f"a label of {key} is empty; write what is seen in the unit")
        database.add_labels([(key, text, source)])
    _tell(format, quiet, "labels", [(key, text, source)], f"{key} is labelled {text!r}")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|.json", help="Units with labels, or families of units.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="The model whose units a file of families numbers."),
    ] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Read labels: unit, label and source, as CSV with a first line of these names or as a JSON list.

    A JSON object of families, as {"mixed3b": [{"name": "Curves", "units": [379, 406]}]}, needs --model.
    """
    from circuitdb.cli import output
    from circuitdb.database import Database
    from circuitdb.labels import read_labels, with_whole_keys

    with Database(db) as database:
        read = read_labels(file, None if model is None else database.model(model))
        labels = with_whole_keys(read, database)
        database.add_labels(labels)
    _tell(format, quiet, "labels", labels, f"{len(labels):,} labels from {file}")
    if read.by_number and not quiet:
        output.remark(
            f"unit numbers belong to one set of weights: these labels are right only if {model} has the weights that "
            f"{file.name} was written for"
        )


def _tell(
    format: Format, quiet: bool, heading: str, labels: Sequence[tuple[str, str, str | None]], sentence: str
) -> None:
    """Say what was done, as rows for programs and as a sentence for people."""
    from circuitdb.cli import output

    rows = [dict(zip(_COLUMNS, label, strict=True)) for label in labels]
    match format:
        case Format.JSON:
            output.write_json({heading: rows})
        case Format.CSV:
            output.write_csv(_COLUMNS, rows)
        case Format.TABLE if not quiet:
            output.remark(sentence)


def ls(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model whose units' labels to list.")],
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """List the labels of a model's units; as CSV, `label import` reads them back."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        rows = database.labels(model)
    match format:
        case Format.JSON:
            output.write_json({"labels": rows})
        case Format.CSV:
            output.write_csv(_COLUMNS, rows)
        case Format.TABLE:
            if not rows:
                print("no labels")
                return
            output.print_table(dict.fromkeys(_COLUMNS, "left"), ([row[column] for column in _COLUMNS] for row in rows))


def rm(
    unit: UnitArgument,
    text: TextArgument,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Take a label from a unit."""
    from circuitdb.database import Database

    with Database(db) as database:
        key = database.unit(unit).key
        database.delete_label(key, text)
    _tell(format, quiet, "deleted", [(key, text, None)], f"{key} is no longer labelled {text!r}")
