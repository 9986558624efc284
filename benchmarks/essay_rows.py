"""The essay's table of universal features: curve and high-low frequency detectors in several networks.

`python -m benchmarks.essay_rows --db zoo.duckdb` looks in every model of the database for units that are tuned to
curves, to borders of fine and coarse texture, and to lines in the synthetic probes, by running the networks on them,
and labels them. Then it prints how many there are in each layer, how many of them have a partner of the same kind in
each other model they were joined with, and how many circuits behind them come back there, all beside chance. `--tuned`
leaves the running out: the labels are there. Weights come from the folder of data.

In come a database with models that were joined both ways, out come labels in it and three tables.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import circuitdb
from benchmarks import graphs
from circuitdb.cli import output
from circuitdb.database import Database
from circuitdb.errors import InputError
from circuitdb.graph import RANDOM
from circuitdb.universality.decoys import permuted
from circuitdb.universality.signatures import keys_of, layers_of
from circuitdb.universality.table import best_analogues
from ingest.pipeline import layer_widths, named_layers
from ingest.probes import load_probes
from ingest.probing import input_side, known_preprocessing, steps_of
from ingest.reprobing import source_of
from ingest.responses import measure

Reals = npt.NDArray[np.float64]
SOURCE = "tuning to synthetic probes"
CURVE, HIGH_LOW, LINE = "curve detector", "high-low frequency detector", "line detector"
FIT = 0.85
"""Least correlation of the tuning with a bump over the directions."""
OPPOSITE = 0.5
"""Largest response to the opposite direction, as part of the response to the best one."""
CHOICES = 3
"""How many of its best analogues a unit's partner may be among."""

CIRCUITS = {
    "curve from lines": f'find curve_from_lines where curve.label ~ "{CURVE}"',
    "two lines excite a curve": f'find {{ {{a, b}} +> c where share > 0.01; where c.label ~ "{CURVE}" '
    f'and a.label ~ "{LINE}" and b.label ~ "{LINE}" }}',
    "two excite a curve": f'find {{ {{a, b}} +> c where share > 0.02; where c.label ~ "{CURVE}" }}',
    "high-low from high and low": f'find high_low_frequency where high_low.label ~ "{HIGH_LOW}"',
    "two lean opposite ways on a high-low": "find { a -> c as e where share > 0.02 and m1_re * m1_re + m1_im * m1_im > "
    "m0_re * m0_re; b -> c as f where share > 0.02 and m1_re * m1_re + m1_im * m1_im > m0_re * m0_re; "
    f'where e.m1_re * f.m1_re + e.m1_im * f.m1_im < 0 and c.label ~ "{HIGH_LOW}" }}',
}
"""The circuits behind the features, by what they are called here."""


@dataclass(frozen=True)
class Tuned:
    """Units [found] of a layer, the direction in degrees to which each is tuned, and what they are."""

    kind: str
    units: npt.NDArray[np.int64]
    directions: Reals


def curves(strongest: Reals, names: Sequence[str]) -> Tuned:
    """Units of curves, by the largest response [unit, picture] in each synthetic picture.

    Four sets of curves are shown in 16 directions: light ones of three radii, and dark ones of the least. A unit is
    tuned to curves if the mean of its four tunings goes up and down once (correlation with a bump, the fourth power of
    a raised cosine, 0.85 or more), its response to the opposite direction is at most half, three of the four sets
    have their best direction within 45 degrees, and some curve drives it more than every line, grating, corner, dot,
    colour pair and border. After Cammarata et al. 2020, Curve Detectors.
    """
    pictures = _pictures(r"((?:light|dark) curve \d+px) ([\d.]+)°", names)
    sets = sorted({name for name, _ in pictures})
    directions = np.array(sorted({direction for _, direction in pictures}))
    columns = [[pictures[name, direction] for direction in directions] for name in sets]
    tuning = np.maximum(strongest, 0)[:, columns]
    fits, best = _fit(tuning.mean(axis=1), directions, power=4)
    each = _fit(tuning, directions, power=4)[1]
    near = (_apart(directions[each], directions[best][:, None]) <= 45).sum(axis=1) >= 3
    others = [i for i, name in enumerate(names) if not name.startswith(("leaves", "noise", "light ring", "dark ring"))]
    others = [i for i in others if i not in pictures.values()]
    preferred = tuning.max(axis=(1, 2)) > np.maximum(strongest[:, others], 0).max(axis=1)
    found = np.flatnonzero(_turned_away(tuning.mean(axis=1), best) & (fits >= FIT) & near & preferred)
    return Tuned(CURVE, found, directions[best][found])


def high_lows(strongest: Reals, names: Sequence[str]) -> Tuned:
    """Units of borders between fine and coarse texture, by the largest response [unit, picture] in each picture.

    Borders are shown in 8 directions. The tuning goes up and down once (the square of a raised cosine), the opposite
    direction gives at most half, and some border drives the unit more than every patch of stripes and every chevron,
    which have the textures' contrast. After Schubert et al. 2021, High-Low Frequency Detectors.
    """
    pictures = _pictures(r"(fine and coarse) ([\d.]+)°", names)
    directions = np.array(sorted(direction for _, direction in pictures))
    tuning = np.maximum(strongest, 0)[:, [pictures["fine and coarse", direction] for direction in directions]]
    fits, best = _fit(tuning, directions, power=2)
    textures = [i for i, name in enumerate(names) if name.startswith(("grating", "chevrons"))]
    preferred = tuning.max(axis=1) > np.maximum(strongest[:, textures], 0).max(axis=1)
    found = np.flatnonzero(_turned_away(tuning, best) & (fits >= FIT) & preferred)
    return Tuned(HIGH_LOW, found, directions[best][found])


def lines(strongest: Reals, names: Sequence[str]) -> Tuned:
    """Units of lines: some line drives them more than every curve, corner, dot, colour pair and border, and the line
    across it at most half as much."""
    pictures = _pictures(r"((?:light|dark) line [\d.]+px) ([\d.]+)°", names)
    sets = sorted({name for name, _ in pictures})
    directions = np.array(sorted({direction for _, direction in pictures}))
    tuning = np.maximum(strongest, 0)[:, [[pictures[name, d] for d in directions] for name in sets]].max(axis=1)
    best = tuning.argmax(axis=1)
    others = [i for i, name in enumerate(names) if not name.startswith(("leaves", "noise", "grating"))]
    others = [i for i in others if i not in pictures.values()]
    preferred = tuning.max(axis=1) > np.maximum(strongest[:, others], 0).max(axis=1)
    found = np.flatnonzero(_turned_away(tuning, best) & preferred)
    return Tuned(LINE, found, directions[best][found])


def _pictures(pattern: str, names: Sequence[str]) -> dict[tuple[str, float], int]:
    """Pictures whose names fit, by what they show and its direction."""
    fitting = ((place, re.fullmatch(pattern, name)) for place, name in enumerate(names))
    return {(found[1], float(found[2])): place for place, found in fitting if found is not None}


def _fit(tuning: Reals, directions: Reals, power: int) -> tuple[Reals, npt.NDArray[np.int64]]:
    """The best correlation of tunings [..., direction] with a bump about any direction, and which direction it is."""
    away = np.radians(directions[:, None] - directions[None, :])
    bumps = ((1 + np.cos(away)) / 2) ** power
    one, other = (values - values.mean(axis=-1, keepdims=True) for values in (tuning, bumps))
    norms = np.sqrt((one**2).sum(axis=-1)[..., None] * (other**2).sum(axis=-1))
    fits = np.divide(one @ other.T, norms, out=np.zeros_like(norms), where=norms > 0)
    return fits.max(axis=-1), fits.argmax(axis=-1)


def _turned_away(tuning: Reals, best: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether a unit answers to half a turn of its best picture (a quarter turn of lines) at most half as much."""
    units, count = np.arange(len(tuning)), tuning.shape[1]
    highest = tuning.max(axis=1)
    fallen: npt.NDArray[np.bool_] = tuning[units, (best + count // 2) % count] <= OPPOSITE * highest
    return fallen & (highest > 0)


def _apart(one: Reals, other: Reals) -> Reals:
    """Degrees between directions, 0 to 180."""
    turn = np.abs(one - other) % 360
    return np.asarray(np.minimum(turn, 360 - turn))


def label(database: Database, model: Mapping[str, Any], weights: Sequence[str]) -> None:
    """Run a model on the synthetic probes, and label its tuned units anew."""
    source = source_of(model, weights)
    pictures = load_probes("synthetic", input_side(source))
    preprocessing = known_preprocessing(source)
    steps = steps_of(
        source, preprocessing, layer_widths(model["layers"]), named_layers(model["options"]["layers"], source)
    )
    measured = measure(source.loaded.network, steps, preprocessing, pictures)
    for row in database.labels(model["name"]):
        if row["source"] == SOURCE:
            database.delete_label(row["unit"], row["label"])
    rows = [
        (f"{model['name']}/{layer['name']}:{unit}", f"{tuned.kind} {direction:g}°", SOURCE)
        for layer, found in zip(model["layers"], measured.layers, strict=True)
        for tune in (curves, high_lows, lines)
        for tuned in [tune(found.strongest.astype(np.float64), pictures.names)]
        for unit, direction in zip(tuned.units.tolist(), tuned.directions.tolist(), strict=True)
    ]
    database.add_labels(rows)


def labelled(database: Database, model: str, kind: str) -> dict[str, float]:
    """The units of a kind, with their directions."""
    rows = (row for row in database.labels(model) if row["source"] == SOURCE and row["label"].startswith(kind))
    return {row["unit"]: float(row["label"].rpartition(" ")[2].removesuffix("°")) for row in rows}


def counts(database: Database, models: Sequence[str]) -> Iterator[list[Any]]:
    """A row for each model and kind: how many units, and in which layers."""
    for model in models:
        for kind in (CURVE, HIGH_LOW, LINE):
            units = labelled(database, model, kind)
            layers = [key.rpartition("/")[2].rpartition(":")[0] for key in units]
            where = ", ".join(f"{layer} {layers.count(layer)}" for layer in dict.fromkeys(layers))
            yield [model, kind, len(units), where]


def partners(database: Database, models: Sequence[str], samples: int) -> Iterator[list[Any]]:
    """A row for each two joined models and kind: units whose best three analogues hold one of the kind, beside chance.

    Chance: the analogues of a layer's units are permuted within the layer. Directions: median of the degrees between
    the unit's and that analogue's.
    """
    random = np.random.default_rng(0)
    layers = {name: layers_of(database.model(name)) for name in models}
    for pair in database.analogues(models):
        a, b = pair.source, pair.target
        layer_of = np.repeat(np.arange(len(layers[a])), [layer.width for layer in layers[a]])
        analogues = best_analogues(pair, len(layer_of), CHOICES)
        for kind in (CURVE, HIGH_LOW):
            ends = [labelled(database, name, kind) for name in (a, b)]
            own, other = (
                np.array([directions.get(key, np.nan) for key in keys_of(name, layers[name])])
                for name, directions in zip((a, b), ends, strict=True)
            )
            units = np.flatnonzero(np.isfinite(own) & (analogues >= 0).any(axis=1))
            # The last is what -1, no analogue, stands for.
            is_one = np.append(np.isfinite(other), False)
            found = is_one[analogues[units]]
            joined = np.flatnonzero(found.any(axis=1))
            there = analogues[units[joined], found[joined].argmax(axis=1)]
            apart = _apart(own[units[joined]], other[there])
            draws = [
                int(is_one[permuted(analogues, layer_of, random)[units]].any(axis=1).sum()) for _ in range(samples)
            ]
            p = (1 + sum(draw >= len(joined) for draw in draws)) / (1 + samples)
            chance = f"{np.mean(draws):.1f} ± {np.std(draws, ddof=1):.1f}"
            degrees = f"{np.median(apart):g}°" if len(apart) else ""
            yield [a, b, kind, len(units), len(ends[1]), len(joined), chance, f"{p:.3f}", degrees]


def circuits(database: Database, models: Sequence[str], name: str, samples: int) -> Iterator[list[Any]]:
    """For circuits of `CIRCUITS` a row for each two joined models: how many come back, beside chance."""
    found = database.universality(CIRCUITS[name], models=models, samples=samples)
    for row in found.rows():
        nulls = row["nulls"]
        decoys = nulls["decoys"]
        yield [
            name,
            row["a"],
            row["b"],
            row["circuits"],
            row["recurring"],
            *(_chance(nulls[null]) for null in ("permuted matches", "rewired edges")),
            f"{_chance(decoys)} (of {decoys['recurring']})" if decoys["circuits"] else "none has decoys",
        ]
    yield [name, "in all", "", "", " ".join(f"{m} {len(rows)}" for m, rows in found.in_all.items()), "", "", ""]


def _chance(null: Mapping[str, Any]) -> str:
    return f"{null['expected']:.1f} ± {null['sd'] or 0:.1f}, p {null['p']:.2g}"


def main() -> None:
    """Label, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.essay_rows", description=__doc__)
    parser.add_argument("--db", required=True, help="the database")
    parser.add_argument("--models", help="A,B,…; all unless given, those with random weights in the first table alone")
    parser.add_argument("--tuned", action="store_true", help="the labels are there: do not run the networks")
    parser.add_argument("--samples", type=int, default=100, help="how often each null is drawn (100)")
    options = parser.parse_args()
    data = graphs.data_file(graphs.WEIGHTS)
    weights = [] if data is None else [str(file) for file in sorted(Path(data).parent.glob("*.safetensors"))]
    with circuitdb.open(options.db) as database:
        there = database.models() if options.models is None else map(database.model, options.models.split(","))
        models = {str(row["name"]): row for row in there}
        if not options.tuned:
            for row in models.values():
                label(database, row, weights)
        trained = [name for name, row in models.items() if not str(row["source"]).startswith(RANDOM)]
        _print(["model", "kind", "units", "where"], counts(database, list(models)))
        columns = ["a", "b", "kind", "in a", "in b", "partner is one", "permuted", "p", "directions apart"]
        _print(columns, partners(database, trained, options.samples))
        joined = {(one.source, one.target) for one in database.analogues(trained)}
        both = [m for m in trained if all(m == o or {(m, o), (o, m)} <= joined for o in trained)]
        if len(both) < 2:
            raise InputError("no two models were joined both ways; run: circuitdb join A B --both")
        columns = ["circuit", "a", "b", "circuits", "recurring", "permuted matches", "rewired edges", "decoys"]
        for name in CIRCUITS:
            _print(columns, circuits(database, both, name, options.samples))


def _print(columns: Sequence[str], rows: Iterator[list[Any]]) -> None:
    shown = list(rows)
    left = {column for place, column in enumerate(columns) if any(isinstance(row[place], str) for row in shown)}
    output.print_table({c: "left" if c in left else "right" for c in columns}, shown)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
