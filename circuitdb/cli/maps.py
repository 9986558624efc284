"""The command that compares weights with maps: maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples

if TYPE_CHECKING:
    from circuitdb.statistics.weights_and_maps import Figure, PairOfLayers

_FIGURES = {
    "straight": "straight",
    "crossed": "crossed",
    "into_invariant": "into invariant",
    "from_invariant": "from invariant",
    "agreement": "turned kernels",
    "unturned": "unturned",
}


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        "maps",
        epilog=examples(
            "circuitdb maps inceptionv1",
            "circuitdb maps inceptionv1 --map flip --layers mixed3a,mixed3b,mixed4a",
            "circuitdb maps inceptionv1 --format csv",
        ),
    )(compare_weights_with_maps)


def compare_weights_with_maps(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model that was probed.")],
    map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="MAP", help="Only this map, as flip; may be given again.", show_default="all"),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="LAYER,LAYER", help="Only pairs of these layers.", show_default="all"),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", "-r", help="How many times partners are shuffled.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal numbers.")] = 0,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Show how well a model's weights agree with its maps, which were found without them."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database, output.bar(quiet) as progress:
        result = database.maps(
            model,
            maps=map,
            layers=None if layers is None else [name.strip() for name in layers.split(",")],
            samples=samples,
            seed=seed,
            progress=progress,
        )
    match format:
        case Format.JSON:
            output.write_json(result.to_dict())
        case Format.CSV:
            rows = [row.flat() for row in result.rows]
            output.write_csv(list(rows[0]) if rows else ["map"], rows)
        case Format.TABLE:
            shown = [row for row in result.rows if any(figure.value is not None for figure in _figures(row))]
            _print(shown)
            if not quiet:
                output.remark(*result.remarks)
                hidden = len(result.rows) - len(shown)
                if hidden:
                    output.remark(f"{hidden} pairs of layers have too few partners to compare")
                if shown:
                    output.remark(f"in brackets: {samples} shuffles of the partners, seed {seed}, mean ± sd")


def _figures(row: PairOfLayers) -> list[Figure]:
    return [getattr(row, name) for name in _FIGURES]


def _print(rows: Sequence[PairOfLayers]) -> None:
    """A line a map and pair of layers; figures that no line has are left out."""
    from circuitdb.cli import output

    columns = [
        (name, heading)
        for name, heading in _FIGURES.items()
        if any(getattr(row, name).value is not None for row in rows)
    ]
    sides = {"map": "left", "layers": "left", "partners": "right", "invariant": "right"}
    sides |= {heading: "right" for _, heading in columns}
    if any(row.agreement.count for row in rows):
        sides["edges"] = "right"
    cells = []
    for row in rows:
        line = [
            row.map,
            f"{row.source_layer} -> {row.target_layer}",
            f"{row.source_partners} -> {row.target_partners}",
            f"{row.source_invariant} -> {row.target_invariant}",
            *(_cell(getattr(row, name)) for name, _ in columns),
        ]
        cells.append([*line, row.agreement.count] if "edges" in sides else line)
    if cells:
        output.print_table(sides, cells)


def _cell(figure: Figure) -> str:
    """The figure, and in brackets what shuffling gives."""
    if figure.value is None:
        return ""
    shuffled = "" if figure.shuffled is None else f" ({figure.shuffled:+.2f}"
    if shuffled:
        shuffled += ")" if figure.shuffled_sd is None else f" ± {figure.shuffled_sd:.2f})"
    return f"{figure.value:+.2f}{shuffled}"
