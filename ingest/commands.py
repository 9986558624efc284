"""The commands `ingest`, `probe` and `demo`, found through the entry-point group `circuitdb.commands`.

torch and what comes with it are imported when the command runs, not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples
from circuitdb.errors import CircuitdbError
from circuitdb.language.diagnostics import some

if TYPE_CHECKING:
    from circuitdb.backends.base import Progress
    from circuitdb.universality.signatures import Reader
    from ingest.pipeline import Summary

_EXTRA = ("torch", "torchvision", "safetensors")
"""What the extra `ingest` installs."""

MapsOption = Annotated[
    str | None,
    typer.Option(
        "--maps",
        metavar="MAP,MAP",
        help="flip, flip_vertical, rotate(DEG), negate, hue(DEG).",
        show_default="flip, quarter turns, negate, hue(120), hue(240)",
    ),
]

DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where the network runs over the pictures: cpu, cuda, cuda:1.")
]


def add_commands(app: typer.Typer) -> None:
    """Add `ingest`, `probe` and `demo` to the command line."""
    app.command(
        epilog=examples(
            "circuitdb ingest handwritten",
            "circuitdb ingest inceptionv1 --weights inceptionv1.safetensors --db zoo.duckdb",
            "circuitdb ingest resnet50 --weights DEFAULT",
            "circuitdb ingest vgg16 --weights random --seed 1 --name vgg16_random",
            "circuitdb ingest my_package.networks:build --weights trained.pth --keep top64",
            "circuitdb ingest alexnet --weights alexnet.pth --probes photographs.tar",
        )
    )(ingest)
    app.command(
        epilog=examples(
            "circuitdb probe handwritten",
            "circuitdb probe alexnet --weights alexnet.pth --probes photographs.tar",
            "circuitdb probe alexnet vgg16 --weights alexnet.pth --weights vgg16.pth",
            "circuitdb probe handwritten --maps 'flip,rotate(45)'",
        )
    )(probe)
    app.command(epilog=examples("circuitdb demo", "circuitdb demo --db known.duckdb -o known.html"))(demo)


def ingest(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="inceptionv1, resnetv2_50, handwritten, a torchvision network, or package.module:factory.",
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE|random|NAME",
            help="A .safetensors, .pth or .pt file; random; or torchvision's own by name (DEFAULT), which downloads.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The model's name in the database.", show_default="MODEL"),
    ] = None,
    keep: Annotated[
        str, typer.Option("--keep", metavar="RULE", help="Which edges to keep: topN, maxX, energyX or all.")
    ] = "top32",
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers", metavar="PATH,PATH", help="Module paths of the feature layers, instead of finding them."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take what is there; layers without weights are left out and recorded.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of a model of that name.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="For random weights.")] = 0,
    dense: Annotated[bool, typer.Option("--dense", help="Keep every kernel, not only those of edges.")] = False,
    probes: Annotated[
        str | None,
        typer.Option("--probes", metavar="DIR|TAR|synthetic", help="Measure the units' responses to these pictures."),
    ] = None,
    maps: MapsOption = None,
    device: DeviceOption = "cpu",
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Read a trained network and write its units and expanded weights into the database.

    The module of a factory may set EXAMPLE_SHAPE, the shape of an input, and PREPROCESSING, a JSON record.
    """
    from circuitdb.cli import output

    with _extra(), output.bar(quiet) as progress:
        from ingest.pipeline import ingest_model

        summary = ingest_model(
            model,
            weights=weights,
            db=db,
            name=name,
            keep=keep,
            layers=_split(layers),
            dense=dense,
            partial=partial,
            replace=replace,
            seed=seed,
            probes=probes,
            maps=_split(maps),
            device=device,
            progress=progress,
        )
    _print(summary, format, quiet)


def probe(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Names of models in the database.")],
    probes: Annotated[
        str,
        typer.Option("--probes", metavar="DIR|TAR|synthetic", help="Pictures; synthetic is the set that is built in."),
    ] = "synthetic",
    maps: MapsOption = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="The weights file that a model was ingested with; once for each file. Handwritten and random networks "
            "need none.",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure what units do on pictures, and find which unit is the mirrored or turned version of which.

    What an earlier run wrote is replaced. Two models can be compared only over the same pictures.
    """
    from circuitdb.cli import output

    with _extra(), output.bar(quiet) as progress:
        from ingest.reprobing import probe_models

        summaries = probe_models(
            models, probes=probes, maps=_split(maps), weights=weights or [], db=db, device=device, progress=progress
        )
    rows = [asdict(summary) for summary in summaries]
    if format is Format.TABLE:
        for row in rows:
            row |= {"probes_sha256": f"{row['probes_sha256'][:12]}…", "seconds": f"{row['seconds']:.1f}"}
    output.write_rows(format, False, "models", rows)


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def exact_reader(probes: str, weights: Sequence[str], progress: Progress | None) -> Reader:
    """What `join --exact` reads instead of stored signatures."""
    with _extra():
        from ingest.exact import reader
    return reader(probes, weights, progress)


def demo(
    db: Annotated[str, typer.Option("--db", metavar="ADDRESS", help="Where the networks go.")] = "demo.duckdb",
    out: Annotated[str, typer.Option("-o", "--output", metavar="FILE.html", help="The page to write.")] = "demo.html",
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Ingest the handwritten networks, search them for the essay's circuits, and show what was found, beside chance.

    Runs every motif of the library, joins two of the networks, and writes a page with the stories in pictures.

    Needs no weights and no network. Run again, it starts anew.
    """
    from circuitdb.cli import output

    with _extra(), output.bar(quiet) as progress:
        from ingest import demo as demonstration

        found = demonstration.demo(db, out, progress)
    match format:
        case Format.JSON:
            output.write_json(asdict(found))
        case Format.CSV:
            rows = [asdict(tally) for tally in found.questions]
            output.write_csv([name for name in rows[0] if name != "example"], rows)
        case Format.TABLE:
            demonstration.tell(found, output.console())


@contextmanager
def _extra() -> Iterator[None]:
    """Say in one sentence what to install where the extra `ingest` is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise CircuitdbError(
            f"ingesting needs {error.name}, which is not installed; run: pip install 'neural-circuitdb[ingest]'"
        ) from error


def _print(summary: Summary, format: Format, quiet: bool) -> None:
    from circuitdb.cli import output

    columns = {"model": "left", "layers": "right", "units": "right", "edges": "right"}
    columns |= {"energy kept": "right", "seconds": "right", "size": "right"}
    match format:
        case Format.JSON:
            output.write_json(asdict(summary))
        case Format.CSV:
            output.write_csv([name for name in asdict(summary) if name != "stages"], [asdict(summary)])
        case Format.TABLE:
            row = (
                summary.model,
                summary.layers,
                summary.units,
                summary.edges,
                f"{summary.energy_kept:.0%}",
                f"{summary.seconds:.1f}",
                "" if summary.size_bytes is None else f"{summary.size_bytes / 1e6:,.1f} MB",
            )
            output.print_table(columns, [row])
    if quiet:
        return
    if summary.absent:
        output.remark(f"without weights: {some(summary.absent)}")
    if summary.unused:
        output.remark(f"in the file but not in the network: {some(summary.unused)}")
    if summary.left_out:
        output.remark(f"not read: {summary.left_out}")
