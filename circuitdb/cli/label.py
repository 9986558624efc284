"""The commands on annotations: label add, import, ls, rm."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples
from circuitdb.errors import InputError

UnitArgument = Annotated[str, typer.Argument(metavar="UNIT", help="A unit, as inceptionv1/mixed4c:447 or 4c:447.")]
TextArgument = Annotated[str, typer.Argument(metavar="TEXT", help="The annotation.")]

_COLUMNS = ("unit", "label", "source")


def add_commands(app: typer.Typer) -> None:
    """Add the group `label` to the command line."""
    group = typer.Typer(no_args_is_help=True, help="Annotate units; motifs find them by `label ~ TEXT`.")
    group.command(epilog=examples("circuitdb label add inceptionv1/mixed4c:447 car --source 'Zoom In'"))(add)
    group.command("import", epilog=examples("circuitdb label import labels.csv"))(import_file)
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

    with Database(db) as database:
        key = database.unit(unit).key
        database.add_labels([(key, text, source)])
    _tell(format, quiet, "labels", [(key, text, source)], f"{key} is labelled {text!r}")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns unit and label, and source if known.")],
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Read labels from a CSV file whose first line names its columns: unit (whole keys), label, source."""
    from circuitdb.database import Database

    labels = read_labels(file)
    with Database(db) as database:
        database.add_labels(labels)
    _tell(format, quiet, "labels", labels, f"{len(labels):,} labels from {file}")


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


def read_labels(file: Path) -> list[tuple[str, str, str | None]]:
    """Labels from a CSV file: unit's key, label, source or None.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or has a line without unit or label.
    """
    from circuitdb.database import read_text

    reader = csv.DictReader(io.StringIO(read_text(file), newline=""))
    try:
        missing = [name for name in _COLUMNS[:2] if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{file}:1: no column {' and '.join(missing)}; the first line names the columns unit, label, source"
            )
        labels = []
        for row in reader:
            if not row["unit"] or not row["label"]:
                raise InputError(f"{file}:{reader.line_num}: a unit and its label are wanted")
            labels.append((row["unit"], row["label"], row.get("source") or None))
    except csv.Error as error:
        raise InputError(f"{file}:{reader.line_num}: not CSV: {error}") from None
    return labels


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
            cells = ([row[column] for column in _COLUMNS] for row in rows)
            output.console().print(output.table(dict.fromkeys(_COLUMNS, "left"), cells) if rows else "no labels")


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
