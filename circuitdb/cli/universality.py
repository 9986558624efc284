"""The commands that compare models: join, universality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

if TYPE_CHECKING:
    from circuitdb.universality.join import Joined
    from circuitdb.universality.signatures import Reader
    from circuitdb.universality.table import Universality


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        epilog=examples(
            "circuitdb join alexnet inceptionv1",
            "circuitdb join vgg16 inceptionv1 --both",
            "circuitdb join alexnet vgg16 --layers conv1:conv1_2,conv2:conv3_3",
            "circuitdb join vgg16 untrained --exact --probes dogs.tar --weights vgg16.pth",
        )
    )(join)
    app.command(
        epilog=examples(
            "circuitdb universality curve_from_lines --models alexnet,vgg16,inceptionv1",
            "circuitdb universality 'find { {a, c} +> b }' --models alexnet,vgg16",
            "circuitdb universality --edges alexnet vgg16",
        )
    )(universality)


def join(
    a: Annotated[str, typer.Argument(metavar="A", help="A model.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, probed on the same pictures.")],
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            metavar="band|LAYER:LAYER,…",
            help="Pairs of layers to join: those of like depth, or these.",
            show_default="all",
        ),
    ] = None,
    probes_sha: Annotated[
        str | None, typer.Option("--probes-sha", metavar="SHA256", help="The probes that both must have seen.")
    ] = None,
    untrained: Annotated[
        list[str] | None,
        typer.Option(
            "--untrained",
            metavar="MODEL",
            help="An untrained copy of B, as a third null.",
            show_default="all models of B's architecture with random weights",
        ),
    ] = None,
    both: Annotated[bool, typer.Option("--both", help="Join B with A as well.")] = False,
    best: Annotated[int, typer.Option("--best", min=1, help="How many analogues a unit gets.")] = 3,
    samples: Annotated[int, typer.Option("--samples", "-r", min=1, help="How often each null is drawn.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the halves and the nulls.")] = 0,
    groups: Annotated[
        bool, typer.Option("--groups", help="Look for units of B that share a role too (in JSON).")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Run the networks again, on --probes and with --weights as for `probe`.")
    ] = False,
    probes: Annotated[
        str | None, typer.Option("--probes", metavar="DIR|TAR|synthetic", help="With --exact: the pictures.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="FILE", help="With --exact: a weights file; several times.")
    ] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Find which units of B answer to pictures as the units of A do, beside what chance gives, and write them.

    Partners are found on one half of the pictures and scored on the other.
    """
    from circuitdb.cli import output
    from circuitdb.database import Database
    from circuitdb.errors import InputError
    from circuitdb.universality.joining import pair_rows, to_dict

    if exact != (probes is not None) or (weights and not exact):
        raise InputError("--exact takes the pictures with --probes, and --probes and --weights go with --exact alone")
    if both and untrained:
        raise InputError("--untrained names copies of B, so it goes with one direction: leave out --both")
    with Database(db) as database, output.bar(quiet) as progress:
        read = None if probes is None else _exact_reader()(probes, weights or [], progress)
        joins = [
            database.join(
                one,
                two,
                layers=_turned(layers) if one == b else layers,
                probes_sha256=probes_sha,
                untrained=untrained,
                read=read,
                best=best,
                samples=samples,
                seed=seed,
                soft_groups=groups,
                progress=progress,
            )
            for one, two in ([(a, b), (b, a)] if both else [(a, b)])
        ]
    match format:
        case Format.JSON if both:
            output.write_json({"joins": [to_dict(joined) for joined in joins]})
        case Format.JSON:
            output.write_json(to_dict(joins[0]))
        case Format.CSV:
            rows = [row for joined in joins for row in pair_rows(joined)]
            output.write_csv(["a", "b", "rank", "score", "excess", "q", "mutual", "method"], rows)
        case Format.TABLE:
            for joined in joins:
                _print_join(joined, quiet)
    if not quiet:
        output.remark(*(remark for joined in joins for remark in joined.remarks))


def _exact_reader() -> Callable[..., Reader]:
    """What runs networks again, of the extension that has it."""
    from circuitdb.cli import extensions
    from circuitdb.errors import CircuitdbError

    readers = (getattr(module, "exact_reader", None) for module in extensions())
    found: Callable[..., Reader] | None = next((reader for reader in readers if reader is not None), None)
    if found is None:
        raise CircuitdbError("--exact runs networks, which needs torch; run: pip install 'neural-circuitdb[ingest]'")
    return found


def _turned(layers: str | None) -> str | None:
    """Pairs of layers, the other way round."""
    if layers is None or ":" not in layers:
        return layers
    return ",".join(":".join(reversed(pair.split(":"))) for pair in layers.split(","))


def _print_join(joined: Joined, quiet: bool) -> None:
    from circuitdb.cli import output
    from circuitdb.universality.joining import layer_rows

    rows = layer_rows(joined)
    columns = list(rows[0]) if rows else ["layer"]
    headings = {
        "layer": joined.a.model,
        "most_like": f"most like, in {joined.b.model}",
        "size": "|score|",
        "found": "q ≤ 0.05",
    }
    sides = {headings.get(c, c): "left" if c in ("layer", "most_like") else "right" for c in columns}
    shown = [[round(v, 3) if isinstance(v, float) else v for v in (row[c] for c in columns)] for row in rows]
    output.print_table(sides, shown)
    if quiet:
        return
    nulls = "; ".join(f"{name} {output.plain(_mean(null.best))}" for name, null in joined.nulls.items())
    if joined.untrained:
        nulls += f" ({', '.join(joined.untrained)})"
    output.say(
        f"\n{joined.a.model} in {joined.b.model}: mean best score {output.plain(round(joined.mean_best(), 3))}, "
        f"by chance: {nulls}; ceiling {output.plain(round(joined.ceiling, 3))}\n"
        f"matched on {len(joined.halves[0])} pictures, scored on {len(joined.halves[1])}; "
        f"{joined.same_on_both:.0%} of the units have the same best match on both halves\n"
        f"{len(joined.partners):,} analogues of {len(joined.best) - joined.silent[0]:,} units written; "
        f"{joined.silent[0]:,} units answer to no picture"
    )


def _mean(values: object) -> float:
    import numpy as np

    return round(float(np.nanmean(np.asarray(values))), 3)


def universality(
    motif: Annotated[
        str | None, typer.Argument(metavar="MOTIF", help="A motif of the library, a .motif file, or a query.")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B,…", help="Models that were joined both ways.")
    ] = None,
    edges: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--edges", metavar="A B", help="Instead of a motif: are the partners of A's units in B wired alike?"
        ),
    ] = None,
    param: ParameterOption = None,
    analogues: Annotated[
        int, typer.Option("--analogues", min=1, max=20, help="How many of its best analogues may stand for a unit.")
    ] = 3,
    samples: Annotated[int, typer.Option("--samples", "-r", min=1, help="How often each null is drawn.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the nulls.")] = 0,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many circuits of each model to look at.")
    ] = 10_000,
    output_file: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE.parquet", help="Write all analogues between the models."),
    ] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Count which circuits of a motif come back in which models, beside what chance gives.

    As in `find … analogous in`, a circuit's units have analogues there, and its edges edges of the same sign.
    """
    from circuitdb.cli import output
    from circuitdb.cli.search import read_parameters
    from circuitdb.database import Database
    from circuitdb.errors import InputError

    if (motif is None) == (edges is None) or (motif is not None and models is None):
        raise InputError("universality takes a motif and --models A,B,… or --edges A B")
    with Database(db) as database, output.bar(quiet) as progress:
        if edges is not None:
            rows = database.edge_agreement(*edges, samples=min(samples, _MOST_EDGE_SAMPLES), seed=seed)
            _write_agreement(rows, edges, format)
            return
        assert motif is not None
        assert models is not None
        names = [name.strip() for name in models.split(",")]
        found = database.universality(
            motif,
            models=names,
            analogues=analogues,
            samples=samples,
            seed=seed,
            limit=limit,
            progress=progress,
            **read_parameters(param or []),
        )
        written = None if output_file is None else database.write_correspondences(output_file, names)
    match format:
        case Format.JSON:
            output.write_json(found.to_dict())
        case Format.CSV:
            output.write_csv(_UNIVERSALITY_COLUMNS, (_flat(row) for row in found.rows()))
        case Format.TABLE:
            _print_universality(found, quiet)
    if not quiet:
        output.remark(*found.remarks)
        if written is not None:
            output.remark(f"{written:,} analogues written to {output_file}")


_MOST_EDGE_SAMPLES = 20
_SHOWN = 10
_UNIVERSALITY_COLUMNS = ["motif", "a", "b", "circuits", "recurring"] + [
    f"{null} {figure}"
    for null in ("permuted matches", "decoys", "rewired edges")
    for figure in ("circuits", "recurring", "expected", "sd", "excess", "p")
]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    nulls = {f"{null} {name}": value for null, figures in row["nulls"].items() for name, value in figures.items()}
    return {**row, **nulls}


def _print_universality(found: Universality, quiet: bool) -> None:
    from circuitdb.circuits import short_name
    from circuitdb.cli import output

    heads = {"a": "left", "b": "left", "circuits": "right", "recurring": "right"}
    heads |= dict.fromkeys(["permuted matches", "p", "decoys", "p ", "rewired edges", "p  "], "right")
    rows = []
    for row in found.rows():
        cells = [row["a"], row["b"], f"{row['circuits']:,}{'+' if row['truncated'] else ''}", row["recurring"]]
        for name, null in row["nulls"].items():
            expected = f"{null['expected']:.1f} ± {null['sd'] or 0:.1f}"
            if name == "decoys":
                expected = f"{expected} (of {null['recurring']:,})"
            cells += [expected, null["p"]]
        rows.append(cells)
    output.print_table(heads, rows)
    if quiet:
        return
    output.say(
        f"\n{found.motif}: circuits of a that come back in b, and how many would by chance ({found.samples} samples, "
        f"{found.choices} analogues a unit);",
        "decoys: only circuits in which each unit has a decoy; of N: how many of these come back",
    )
    for model, circuits in found.in_all.items():
        if len(found.in_all) > 2 or circuits:
            print(f"\n{len(circuits):,} circuits of {model} come back in all")
        for circuit in circuits[:_SHOWN]:
            for name, units in circuit.items():
                shown = "  ".join(f"{unit}={short_name(key)}" for unit, key in units.items())
                output.say(f"  {name}: {shown}")


def _write_agreement(rows: Sequence[Mapping[str, Any]], models: tuple[str, str], format: Format) -> None:
    from circuitdb.cli import output

    figures = ["pairs", "signs", "spearman"]
    nulls = list(rows[0]["nulls"]) if rows else []
    if format is Format.JSON:
        output.write_json({"a": models[0], "b": models[1], "layers": list(rows)})
        return
    columns = ["a", "b", *figures, *(f"{figure}, {null}" for null in nulls for figure in ("signs", "spearman"))]
    flat = [
        {
            **row,
            **{f"{figure}, {null}": row["nulls"][null][figure] for null in nulls for figure in ("signs", "spearman")},
        }
        for row in rows
    ]
    if format is Format.CSV:
        output.write_csv(columns, flat)
        return
    sides = {name: "left" if name in ("a", "b") else "right" for name in columns}
    shown = [[round(v, 3) if isinstance(v, float) else v for v in (row[c] for c in columns)] for row in flat]
    output.print_table(sides, shown)
