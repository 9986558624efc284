"""The commands that compare models: join, universality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples

if TYPE_CHECKING:
    from circuitdb.universality.join import Joined


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        epilog=examples(
            "circuitdb join alexnet inceptionv1",
            "circuitdb join vgg16 inceptionv1 --both --untrained inceptionv1_random",
            "circuitdb join alexnet vgg16 --layers conv1:conv1_2,conv2:conv3_3 --format json",
        )
    )(join)


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
        typer.Option("--untrained", metavar="MODEL", help="An untrained copy of B in the database, as a third null."),
    ] = None,
    both: Annotated[bool, typer.Option("--both", help="Join B with A as well.")] = False,
    best: Annotated[int, typer.Option("--best", min=1, help="How many analogues a unit gets.")] = 3,
    samples: Annotated[int, typer.Option("--samples", min=1, help="How often each null is drawn.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the halves and the nulls.")] = 0,
    groups: Annotated[
        bool, typer.Option("--groups", help="Look for units of B that share a role too (in JSON).")
    ] = False,
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

    if both and untrained:
        raise InputError("--untrained names copies of B, so it goes with one direction: leave out --both")
    with Database(db) as database, output.bar(quiet) as progress:
        joins = [
            database.join(
                one,
                two,
                layers=_turned(layers) if one == b else layers,
                probes_sha256=probes_sha,
                untrained=untrained or (),
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
    output.console().print(output.table(sides, shown))
    if quiet:
        return
    nulls = "; ".join(f"{name} {output.plain(_mean(null.best))}" for name, null in joined.nulls.items())
    print(
        f"\n{joined.a.model} in {joined.b.model}: mean best score {output.plain(round(joined.mean_best(), 3))}, "
        f"by chance: {nulls}; ceiling {output.plain(round(joined.ceiling, 3))}\n"
        f"matched on {len(joined.halves[0])} pictures, scored on {len(joined.halves[1])}; "
        f"{joined.same_on_both:.0%} of the units have the same best match on both halves\n"
        f"{len(joined.partners):,} analogues of {len(joined.best) - joined.silent[0]:,} units written; "
        f"{joined.silent[0]:,} units answer to no picture"
    )
    if len(joined.nulls) < 3:
        output.remark(
            "without an untrained copy of B (--untrained) q does not know that untrained networks correlate too"
        )


def _mean(values: object) -> float:
    import numpy as np

    return round(float(np.nanmean(np.asarray(values))), 3)
