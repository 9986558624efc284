"""The commands on directions: direction add, import, ls, rm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples
from circuitdb.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LayerArgument = Annotated[
    str, typer.Argument(metavar="[MODEL/]LAYER", help="A layer, as inceptionv1/mixed4c or 4c.", show_default=False)
]
SourceOption = Annotated[str | None, typer.Option("--source", help="Who or what says so.")]

_MOST_TOLD = 6
"""How many new directions are told of in words."""

_COLUMNS = ("unit", "coefficients", "mean", "sd", "labels")


def add_commands(app: typer.Typer) -> None:
    """Add the group `direction` to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Directions: units that are linear combinations of the neurons of a layer, with edges of their own.",
    )
    group.command(
        epilog=examples(
            "circuitdb direction add inceptionv1/mixed4c 447=0.8 12=-0.6 --label car",
            "circuitdb direction add 4c 447=1 237=1",
        )
    )(add)
    group.command("import", epilog=examples("circuitdb direction import inceptionv1/mixed4c dictionary.npy"))(
        import_file
    )
    group.command(epilog=examples("circuitdb direction ls inceptionv1"))(ls)
    group.command(epilog=examples("circuitdb direction rm inceptionv1/mixed4c:512"))(rm)
    app.add_typer(group, name="direction")


def add(
    layer: LayerArgument,
    coefficients: Annotated[
        list[str],
        typer.Argument(metavar="NEURON=COEFFICIENT...", help="Indices of neurons, and what to take of each."),
    ],
    label: Annotated[str | None, typer.Option("--label", help="An annotation of the direction.")] = None,
    source: SourceOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Add a direction: so much of this neuron, so much of that. Its edges follow from the model's kernels.

    Coefficients are made of unit length. The model must hold every kernel: `circuitdb ingest … --dense`.
    """
    from circuitdb.database import Database

    with Database(db) as database:
        model, row = database.layer_named(layer)
        name = f"{model}/{row['name']}"
        given = _parsed(coefficients, row["width"], name)
        keys = database.add_directions(name, given, None if label is None else [label], source)
        _tell(database.units(keys), format, quiet, "directions")


def import_file(
    layer: LayerArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.npy", help=r"An array \[direction, neuron] of numbers.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE.txt", help="A label for each direction, one a line.")
    ] = None,
    source: SourceOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Add directions from a NumPy file, all or none. An empty line among the labels is none."""
    from circuitdb.database import Database
    from circuitdb.question import read_text

    with Database(db) as database:
        model, row = database.layer_named(layer)
        given = _read_array(file)
        texts = None if labels is None else [line.strip() or None for line in read_text(labels).splitlines()]
        keys = database.add_directions(f"{model}/{row['name']}", given, texts, source)
        _tell(database.units(keys), format, quiet, "directions")


def ls(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model whose directions to list.")],
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """List a model's directions with their strongest coefficients; all of them as JSON."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        rows = database.directions(model)
    if format is Format.TABLE and rows:
        sides = {name: "right" if name in ("mean", "sd") else "left" for name in _COLUMNS}
        shown = [_shown(row) for row in rows]
        output.print_table(sides, ([row[name] for name in _COLUMNS] for row in shown))
    elif format is Format.TABLE:
        output.console().print("no directions")
    else:
        _tell(rows, format, quiet, "directions")


def rm(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A direction, as inceptionv1/mixed4c:512 or 4c:512.")],
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Delete a direction with its edges, labels and all that refers to it."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        key = database.unit(unit).key
        database.delete_direction(key)
    match format:
        case Format.JSON:
            output.write_json({"deleted": [key]})
        case Format.CSV:
            output.write_csv(["deleted"], [{"deleted": key}])
        case Format.TABLE if not quiet:
            output.remark(f"deleted {key}")


def _parsed(pairs: Sequence[str], width: int, layer: str) -> npt.NDArray[np.float64]:
    """One direction [1, neuron] from texts NEURON=COEFFICIENT."""
    import numpy as np

    given: dict[int, float] = {}
    for pair in pairs:
        match = re.fullmatch(r"([0-9]{1,9})=(\S+)", pair)
        if match is None:
            raise InputError(f"{pair!r} is no coefficient of a neuron; one looks like 447=0.8")
        neuron = int(match[1])
        try:
            value = float(match[2])
        except ValueError:
            raise InputError(f"{pair!r}: {match[2]!r} is no number") from None
        if not np.isfinite(value):
            raise InputError(f"{pair!r}: a coefficient is a finite number")
        if neuron in given:
            raise InputError(f"neuron {neuron} is given twice")
        if neuron >= width:
            raise InputError(f"there is no neuron {neuron} in {layer}, which has {width:,}")
        given[neuron] = value
    coefficients = np.zeros((1, width))
    coefficients[0, list(given)] = list(given.values())
    return coefficients


def _read_array(file: Path) -> npt.NDArray[Any]:
    import numpy as np

    try:
        read = np.load(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    except (ValueError, EOFError, MemoryError) as error:
        raise InputError(f"{file} is no array of NumPy: {str(error).splitlines()[0]}") from None
    if not isinstance(read, np.ndarray):
        read.close()
        raise InputError(f"{file} holds several arrays; save one with numpy.save")
    return read


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A direction as people read it."""
    from circuitdb.reports.words import strongest_coefficients

    return {
        "unit": row["key"],
        "coefficients": strongest_coefficients(row["coefficients"] or ()),
        "mean": row["mean"],
        "sd": row["sd"],
        "labels": "; ".join(label["label"] for label in row["labels"]),
    }


def _tell(rows: Sequence[Mapping[str, Any]], format: Format, quiet: bool, heading: str) -> None:
    """Say which directions there are now: as rows for programs, all of JSON included, and as sentences for people."""
    from circuitdb.cli import output

    whole = [
        {"unit": row["key"], **{name: row[name] for name in ("coefficients", "mean", "sd")}, "labels": row["labels"]}
        for row in rows
    ]
    match format:
        case Format.JSON:
            output.write_json({heading: whole})
        case Format.CSV:
            output.write_csv(
                _COLUMNS, [{**row, "labels": _shown(own)["labels"]} for row, own in zip(whole, rows, strict=True)]
            )
        case Format.TABLE if not quiet:
            for row in map(_shown, rows[:_MOST_TOLD]):
                output.remark(f"{row['unit']} takes {row['coefficients']}")
            if len(rows) > _MOST_TOLD:
                output.remark(f"and {len(rows) - _MOST_TOLD:,} more, up to {rows[-1]['key']}")
