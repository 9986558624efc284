"""The commands that ask questions: find, count, explain, motifs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuitdb.cli.options import (
    DEFAULT_DATABASE,
    DatabaseOption,
    Format,
    FormatOption,
    LimitOption,
    ModelOption,
    ParameterOption,
    QuietOption,
    SecondsOption,
    examples,
)
from circuitdb.errors import InputError

if TYPE_CHECKING:
    from circuitdb.circuits import Circuits

QueryArgument = Annotated[
    str, typer.Argument(metavar="MOTIF|QUERY|FILE", help="A motif of the library, text of the language, or a file.")
]
CountSecondsOption = Annotated[
    float | None, typer.Option("--seconds", min=0.001, help="How long to count at most.", show_default="no limit")
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        "--memory", min=1, metavar="MB", help="How much memory to take in a file at most.", show_default="4/5 of all"
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        epilog=examples(
            "circuitdb find cross_inhibition --model inceptionv1 --limit 20",
            "circuitdb find 'find { a +> b -| c } in alexnet, vgg16'",
            "circuitdb find my.motif --param min_share=0.01 --format json",
        )
    )(find)
    app.command(
        epilog=examples(
            "circuitdb count cross_inhibition --model inceptionv1",
            "circuitdb count 'find { a +> b +> c }' --format json",
        )
    )(count)
    app.command(
        epilog=examples("circuitdb explain cross_inhibition", "circuitdb explain 'find { a +> b }' --format json")
    )(explain)
    app.command(epilog=examples("circuitdb motifs", "circuitdb motifs cross_inhibition"))(motifs)


def find(
    query: QueryArgument,
    model: ModelOption = None,
    param: ParameterOption = None,
    limit: LimitOption = None,
    seconds: SecondsOption = 60.0,
    memory: MemoryOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Search for circuits that fit a motif."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    parameters = read_parameters(param or [])
    with Database(db) as database, output.patience("searching", quiet):
        circuits = database.find(query, model=model, limit=limit, seconds=seconds, memory_mb=memory, **parameters)
        several = format is Format.TABLE and len(circuits.asked.models or database.models()) > 1
    match format:
        case Format.JSON:
            output.write_json(circuits.to_dict())
        case Format.CSV:
            output.write_csv(circuits.columns(), circuits.rows())
        case Format.TABLE:
            _print_circuits(circuits, several)
    if format is Format.TABLE and not quiet:
        output.say("\n" * bool(circuits) + _closing(circuits), *circuits.remarks)
    else:
        if circuits.truncated:
            output.remark(_closing(circuits))
        if not quiet and format is Format.CSV:
            output.remark(*circuits.remarks)


def _print_circuits(circuits: Circuits, several: bool) -> None:
    """A row a circuit and a column a unit; where that is too wide, the units in one column, names and all.

    Where several models were searched, each circuit names its own.
    """
    from circuitdb.circuits import short_names
    from circuitdb.cli import output

    if not circuits:
        return
    left = {"score": "right"} | ({"model": "left"} if several else {})
    fixed = [[circuit.score, *([circuit.model] if several else [])] for circuit in circuits]
    units = [{name: short_names(unit, circuit.model) for name, unit in circuit.units.items()} for circuit in circuits]
    wide = left | dict.fromkeys(circuits.columns()[3:], "left")
    rows = [[*start, *(row[name] for name in circuits.names)] for start, row in zip(fixed, units, strict=True)]
    if output.fits(wide, rows):
        output.print_table(wide, rows)
        return
    together = ["  ".join(f"{name}={unit}" for name, unit in row.items()) for row in units]
    output.print_table(
        left | {"units": "left"}, ([*start, listed] for start, listed in zip(fixed, together, strict=True))
    )


def _closing(circuits: Circuits) -> str:
    """One line: how many, of how many, under which keep rule, how long it took, and which limit was met."""
    number = f"{len(circuits):,}" if circuits or circuits.truncated else "no"
    noun = "circuit" if len(circuits) == 1 else "circuits"
    if not circuits.truncated:
        shown = f"{number} {noun}"
    elif circuits.total is None:
        shown = f"{number} {noun}, there are more"
    else:
        shown = f"{number} of {circuits.total:,} circuits"
    line = f"{shown} · keep {circuits.keep} · {circuits.seconds:.2f} s"
    if circuits.stopped_by == "rows":
        return f"{line} · --limit brings more"
    if circuits.stopped_by == "seconds":
        return f"{line} · stopped by the time limit, --seconds gives more"
    return line


def count(
    query: QueryArgument,
    model: ModelOption = None,
    param: ParameterOption = None,
    seconds: CountSecondsOption = None,
    memory: MemoryOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Count the circuits that fit a motif, however many they are."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    parameters = read_parameters(param or [])
    with Database(db) as database, output.patience("counting", quiet):
        number = database.count(query, model=model, seconds=seconds, memory_mb=memory, **parameters)
        remarks = database.remarks(query, found=number, model=model, **parameters)
    match format:
        case Format.JSON:
            output.write_json({"count": number})
        case Format.CSV:
            output.write_csv(["count"], [{"count": number}])
        case Format.TABLE:
            print(number)
    if not quiet:
        output.remark(*remarks)


def explain(
    query: QueryArgument,
    model: ModelOption = None,
    param: ParameterOption = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Show what a query compiles to: its pattern, the store's own text, and who checks each condition."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        explained = database.explain(query, model=model, **read_parameters(param or []))
    if format is Format.JSON:
        output.write_json(explained)
    elif format is Format.CSV:
        raise InputError("an explanation is no table; take --format json")
    else:
        _print_explanation(explained)


def _print_explanation(explained: dict[str, Any]) -> None:
    from circuitdb.cli import output
    from circuitdb.pattern.serial import from_json, to_text

    console = output.console()
    shown = {**explained, "pattern": to_text(from_json(explained["pattern"]))}
    shown["parameters"] = json.dumps(explained["parameters"], ensure_ascii=False)
    for heading in ("pattern", "cypher", "sql", "count", "parameters"):
        if shown[heading]:
            console.print(heading, style="bold")
            console.print(shown[heading], markup=False, soft_wrap=True)
            console.print()
    console.print("predicates", style="bold")
    rows = explained["predicates"]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    output.print_table(dict.fromkeys(columns, "left"), ([row.get(c) for c in columns] for row in rows))


def motifs(
    name: Annotated[str | None, typer.Argument(help="Print this motif's text and picture.")] = None,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """List the motifs of the library, or print one."""
    from circuitdb.cli import output
    from circuitdb.language.library import library_files
    from circuitdb.question import library_motif

    if name is not None:
        path = library_motif(name)
        text = path.read_text(encoding="utf-8")
        if format is Format.CSV:
            raise InputError("a motif is no table; take --format json")
        from circuitdb.pattern.diagram import motif_diagram

        picture = motif_diagram(path)
        if format is Format.JSON:
            output.write_json({"motif": {"name": name, "text": text, "picture": picture}})
        else:
            print(text, picture, sep="\n", end="")
        return
    rows = [{"name": path.stem, "about": about(path.read_text(encoding="utf-8"))} for path in library_files()]
    match format:
        case Format.JSON:
            output.write_json({"motifs": rows})
        case Format.CSV:
            output.write_csv(["name", "about"], rows)
        case Format.TABLE:
            output.print_table({"motif": "left", "about": "left"}, ([row["name"], row["about"]] for row in rows))


def about(text: str) -> str:
    """The first sentence of a motif file's documentation, the text in triple quotes that stands before the motif."""
    parts = text.split('"""')
    words = " ".join(parts[1].split()) if len(parts) > 2 else ""
    return words.split(". ")[0].rstrip(".")


def read_parameters(settings: list[str]) -> dict[str, str | float | bool]:
    """Parameters from `name=value`.

    Raises
    ------
    InputError
        If a setting has no `=`, or a name is set twice.
    """
    from circuitdb.pattern.compile import parameter_from_text

    parameters: dict[str, str | float | bool] = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or not name.isidentifier():
            raise InputError(f"--param {setting!r} is not of the form NAME=VALUE")
        if name in parameters:
            raise InputError(f"--param sets {name} twice")
        parameters[name] = parameter_from_text(value)
    return parameters
