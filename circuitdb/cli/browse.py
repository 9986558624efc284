"""The commands that look at what is there and delete it: ls, show, rm."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuitdb.cli.options import (
    DEFAULT_DATABASE,
    DatabaseOption,
    Format,
    FormatOption,
    QuietOption,
    examples,
)

if TYPE_CHECKING:
    from rich.console import Console

    from circuitdb.database import Database
    from circuitdb.units import Unit

Row = Mapping[str, Any]
_WIDEST_FIGURE = 100
_WIDEST_LABEL = 18
_MODEL_FIELDS = ("name", "architecture", "weights_sha256", "keep")
_LAYER_FIELDS = ("name", "depth", "width", "rf_px", "stride_px")
_UNIT_FIELDS = (
    "index",
    "kind",
    "branch",
    "bias",
    "in_norm",
    "energy_kept_in",
    "energy_kept_out",
    "mean",
    "sd",
    "sparsity",
)


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog=examples("circuitdb ls", "circuitdb ls inceptionv1", "circuitdb ls inceptionv1/mixed4c"))(ls)
    app.command(
        epilog=examples(
            "circuitdb show inceptionv1/mixed4c:447",
            "circuitdb show 4c:447 --top 3",
            "circuitdb show 447 --format json",
        )
    )(show)
    app.command(epilog=examples("circuitdb rm toy", "circuitdb rm toy --yes --db zoo.duckdb"))(rm)


def ls(
    path: Annotated[str | None, typer.Argument(metavar="[MODEL[/LAYER]]", help="A model, or a layer of it.")] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """List the models, a model's layers, or a layer's units."""
    from circuitdb.database import Database

    with Database(db) as database:
        if path is None:
            _list_models(database, format)
            return
        name, slash, layer = path.partition("/")
        if slash:
            _list_units(database, name, layer, format)
        else:
            _list_layers(database.model(name), format)


def _shown_model(model: Row) -> dict[str, Any]:
    return {
        **{name: model.get(name) for name in _MODEL_FIELDS},
        "layers": [
            {**{name: layer.get(name) for name in _LAYER_FIELDS}, "directions": len(layer["directions"])}
            for layer in model["layers"]
        ],
        "edges": model["edges"],
    }


def _list_models(database: Database, format: Format) -> None:
    from circuitdb.cli import output

    models = database.models()
    rows = [
        {
            **model,
            "layers": len(model["layers"]),
            "units": sum(layer["width"] + len(layer["directions"]) for layer in model["layers"]),
            "probes": (model["probes"] or {}).get("name"),
        }
        for model in models
    ]
    sides = dict.fromkeys(("name", "architecture", "keep"), "left")
    sides |= dict.fromkeys(("layers", "units", "edges"), "right")
    sides |= {"probes": "left"} if any(row["probes"] for row in rows) else {}
    match format:
        case Format.JSON:
            output.write_json({"models": [_shown_model(model) for model in models]})
        case Format.CSV:
            output.write_csv([*sides, "weights_sha256"], rows)
        case Format.TABLE:
            if not rows:
                print(f"no models in {database.address}; `circuitdb ingest` brings one in")
                return
            output.print_table(sides, ([row[name] for name in sides] for row in rows))


def _list_layers(model: Row, format: Format) -> None:
    from circuitdb.cli import output

    shown = _shown_model(model)
    fields = [*_LAYER_FIELDS, *(("directions",) if any(layer["directions"] for layer in shown["layers"]) else ())]
    match format:
        case Format.JSON:
            output.write_json({"models": [shown]})
        case Format.CSV:
            output.write_csv([*_LAYER_FIELDS, "directions"], shown["layers"])
        case Format.TABLE:
            sides = {name: "left" if name == "name" else "right" for name in fields}
            output.print_table(sides, ([layer[name] for name in fields] for layer in shown["layers"]))


def _list_units(database: Database, model: str, layer: str, format: Format) -> None:
    from circuitdb.cli import output

    units = database.layer_units(model, layer)
    columns = [name for name in _UNIT_FIELDS if any(unit.get(name) is not None for unit in units)]
    rows = [{**unit, "labels": "; ".join(row["label"] for row in unit["labels"])} for unit in units]
    columns += ["labels"] if any(row["labels"] for row in rows) else []
    match format:
        case Format.JSON:
            shown = _shown_model(database.model(model))
            [found] = [row for row in shown["layers"] if row["name"] == layer]
            output.write_json({"models": [{**shown, "layers": [{**found, "units": units}]}]})
        case Format.CSV:
            output.write_csv(["key", *columns], rows)
        case Format.TABLE:
            sides = {name: "left" if name in ("kind", "branch", "labels") else "right" for name in columns}
            output.print_table(sides, ([row.get(name) for name in columns] for row in rows))


def show(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A unit, as inceptionv1/mixed4c:447, 4c:447 or 447.")],
    top: Annotated[int, typer.Option("--top", min=1, help="How many of the strongest inputs and outputs.")] = 10,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Show a unit with its strongest inputs and outputs and their kernels."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        found = database.unit(unit)
        inputs, outputs = found.inputs(top), found.outputs(top)
        match format:
            case Format.JSON:
                lists = {"maps": found.maps, "families": found.families, "analogues": found.analogues}
                output.write_json(
                    {"unit": found.properties, "inputs": inputs, "outputs": outputs, **lists, "labels": found.labels}
                )
            case Format.CSV:
                rows = [{"direction": way, **row} for way, rows in (("in", inputs), ("out", outputs)) for row in rows]
                output.write_csv(list(dict.fromkeys(name for row in rows for name in row)) or ["direction"], rows)
            case Format.TABLE:
                console = output.console()
                _print_unit(console, found)
                _print_edges(console, database, "strongest inputs", "source", inputs)
                for row in (row for row in found.analogues if row["rank"] == 1):
                    its_inputs = database.unit(row["target"]).inputs(top)
                    _print_edges(console, database, f"strongest inputs of {row['target']}", "source", its_inputs)
                _print_edges(console, database, "strongest outputs", "target", outputs)


def _print_unit(console: Console, unit: Unit) -> None:
    from rich.text import Text

    from circuitdb.circuits import short_name
    from circuitdb.cli.output import plain
    from circuitdb.language.diagnostics import escaped
    from circuitdb.reports.words import strongest_coefficients

    console.print(Text(escaped(unit.key), style="bold"))
    hidden = ("key", "model", "layer", "index", "label")
    facts = [
        f"{name} {plain(value)}"
        for name, value in unit.properties.items()
        if name not in hidden and isinstance(value, str | int | float)
    ]
    _say(console, " · ".join(facts))
    if unit.properties.get("coefficients"):
        _say(console, f"takes {strongest_coefficients(unit.properties['coefficients'], 12)}")
    if unit.labels:
        said = (row["label"] + (f" ({row['source']})" if row.get("source") else "") for row in unit.labels)
        _say(console, f"labels: {'; '.join(said)}")
    for row in unit.maps:
        image = "itself" if row["target"] == unit.key else short_name(row["target"])
        back = ", and back" if row["mutual"] and row["target"] != unit.key else ""
        _say(console, f"{row['map']}: {image}{back}, score {plain(row['score'])}")
    for row in unit.families:
        _say(console, _family(row))
    for row in unit.analogues:
        _say(console, _analogue(row))
    if found := unit.examples():
        places = (f"{row['picture']} ({row['y']:.0f}, {row['x']:.0f}) {plain(row['value'])}" for row in found)
        _say(console, f"strongest at (y, x) of the probes: {'; '.join(places)}")


def _say(console: Console, text: str) -> None:
    """Print a line that holds text of the database."""
    from circuitdb.language.diagnostics import escaped

    console.print(escaped(text), markup=False)


def _analogue(row: Row) -> str:
    from circuitdb.cli.output import plain

    said = {"excess": "above chance by", "q": "q"}
    figures = "".join(f", {words} {plain(row[name])}" for name, words in said.items() if row.get(name) is not None)
    return f"analogue {row['target']}, score {plain(row['score'])}{figures}{', mutual' if row.get('mutual') else ''}"


def _family(row: Row) -> str:
    """A family with the unit's pose in it and the poses of all its members."""
    from circuitdb.circuits import short_name
    from circuitdb.cli.output import plain

    members = "; ".join(f"{member['pose']} {short_name(member['unit'])}" for member in row["members"])
    order = "" if row["order"] is None else f", {len(row['members'])} of {row['order']} members"
    score = "" if row["score"] is None else f", score {plain(row['score'])}"
    return f"family {row['group']}{order}{score}, pose {row['pose']}: {members}"


def _print_edges(console: Console, database: Database, heading: str, end: str, edges: Sequence[Row]) -> None:
    """Draw the kernels with the unit at the other end, its first label, the edge's weight and its share below each."""
    import numpy as np

    from circuitdb.circuits import short_name
    from circuitdb.language.diagnostics import escaped
    from circuitdb.terminal import Drawing, draw_kernels
    from circuitdb.units import edge_kernel

    console.print()
    if not edges:
        console.print(heading.replace("strongest", "no"), style="bold")
        return
    console.print(heading, style="bold")
    drawings = []
    others = {row["key"]: row for row in database.units([edge[end] for edge in edges])}
    for edge in edges:
        kernel = edge_kernel(edge)
        names = [short_name(edge[end]), *(row["label"] for row in others[edge[end]]["labels"][:1])]
        drawings.append(
            Drawing(
                np.array([[edge["weight"]]]) if kernel is None else kernel,
                [escaped(names[0]), *map(_cropped, names[1:]), f"{edge['weight']:+.3g}  {edge['share']:.1%}"]
                + (["skip"] if edge["kind"] == "SKIP" else []),
            )
        )
    colour = console.color_system is not None and not console.no_color
    console.print(draw_kernels(drawings, min(console.width, _WIDEST_FIGURE), colour), end="")


def _cropped(label: str) -> str:
    from circuitdb.language.diagnostics import escaped

    label = escaped(label)
    return label if len(label) <= _WIDEST_LABEL else label[: _WIDEST_LABEL - 1] + "…"


def rm(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The models to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Delete models with everything that is theirs. On a terminal it asks first."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database:
        found = [database.model(name) for name in models]
        if not yes and sys.stdin.isatty():
            edges = sum(model["edges"] for model in found)
            typer.confirm(
                f"Delete {', '.join(models)} ({edges:,} edges) from {database.address}?", abort=True, err=True
            )
        for name in models:
            database.delete(name)
    match format:
        case Format.JSON:
            output.write_json({"deleted": models})
        case Format.CSV:
            output.write_csv(["deleted"], [{"deleted": name} for name in models])
        case Format.TABLE if not quiet:
            output.remark(f"deleted {', '.join(models)}")
