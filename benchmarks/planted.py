"""Planted truth: how many planted circuits the library's motifs find, and how many decoys they take for circuits.

`python -m benchmarks.planted` plants every motif at amplitudes 2, 1, 0.5 and 0.25 of the layer's strong edges, with as
many decoys, each lacking one essential part, into weights of the BVLC InceptionV1 whose pairs and positions are drawn
anew, and into random ones. It searches and prints recall and precision with Wilson's 95 % intervals. Precision is that
among planted circuits and decoys; what else was found stands beside. `--motif NAME` takes some of the motifs,
`--circuits N` says how many of each to plant.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import graphs
from benchmarks.plans import PLANS, Plan
from benchmarks.planting import MODEL, Kernels, Network, Planted, plant, random_background, shuffled
from benchmarks.table import Row, Section
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.database import Database

AMPLITUDES = (2.0, 1.0, 0.5, 0.25)
AIM, AIM_FROM = 0.95, 0.5
WIDTH = 256
TENSOR = "inception_5b/3x3.weight"
_MOST_CIRCUITS = 200_000
_SECONDS = 120.0


def parameters(motif: str, share: float) -> Mapping[str, object]:
    """The motif's parameters as a user would set them who has seen what part of the input a strong edge carries.

    An eighth of that is asked of every edge, so that an edge of half the strength, with a quarter of the share, is
    found. The rest are the defaults.
    """
    least = float(f"{share / 8:.2g}")
    match motif:
        case "equivariance":
            return {}
        case "car":
            return {"min_rank": WIDTH, "min_share": least, "source_layer": "L0", "target_layer": "L1"}
        case "superposition":
            return {"feature": "car", "min_share": least}
        case "superposition_unlabelled":
            return {"min_share": least, "min_common": least}
        case "polysemantic":
            return {"min_share": least, "min_common": least, "min_elsewhere": least}
        case _:
            return {"min_share": least}


@dataclass(frozen=True)
class Score:
    """What a search brought. planted, decoys: how many of each were put in; found, taken: how many of them came back.
    others: circuits of the background, or of several circuits' parts.
    """

    planted: int
    found: int
    decoys: int
    taken: int
    others: int

    def __add__(self, more: Score) -> Score:
        return Score(
            self.planted + more.planted,
            self.found + more.found,
            self.decoys + more.decoys,
            self.taken + more.taken,
            self.others + more.others,
        )


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % unless z says otherwise (Wilson 1927)."""
    if of == 0:
        return 0.0, 1.0
    share = hits / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def score(network: Network, motif: str, given: Mapping[str, object], folder: Path) -> Score:
    """Search the network for the motif and tell planted circuits, decoys and others apart."""
    file = folder / f"{motif}.duckdb"
    file.unlink(missing_ok=True)
    DuckDBStore(str(file)).write(network.graph)
    keys = [f"{MODEL}/{layer}:{i}" for layer, i in zip(*network.graph.units.to_pydict().values(), strict=True)]
    owner = {keys[row]: number for number, c in enumerate(network.planted) for row in c.places.values()}
    pivot = _pivot(network.planted[0].plan)
    arguments = ", ".join(f"{name} = {_literal(value)}" for name, value in given.items())
    listed = ", ".join(_literal(key) for key in owner)
    call = f"find {motif}({arguments})" if arguments else f"find {motif}"
    with Database(str(file)) as database:
        total = database.count(call, seconds=_SECONDS)
        circuits = database.find(f"{call} where {pivot}.key in [{listed}]", limit=_MOST_CIRCUITS, seconds=_SECONDS)
    if circuits.truncated:
        raise RuntimeError(f"more than {_MOST_CIRCUITS:,} circuits of {motif}")
    hits: set[int] = set()
    explained = 0
    for circuit in circuits:
        single = {key for key in circuit.units.values() if isinstance(key, str)}
        numbers = {owner.get(key, -1) for key in single}
        number = numbers.pop()
        if numbers or number < 0 or not _lists_all(network.planted[number], circuit.units, keys):
            continue
        hits.add(number)
        explained += 1
    decoys = {number for number, circuit in enumerate(network.planted) if circuit.plan.missing}
    planted = len(network.planted) - len(decoys)
    return Score(planted, len(hits - decoys), len(decoys), len(hits & decoys), total - explained)


def _pivot(plan: Plan) -> str:
    """A unit that every circuit of the plan names outside lists, as deep as there is one."""
    names = [name for name in plan.units if name in plan.single and name.isidentifier()]
    return max(names, key=lambda name: plan.units[name])


def _lists_all(circuit: Planted, units: Mapping[str, str | list[str]], keys: Sequence[str]) -> bool:
    """Whether the lists that were found hold the units that were planted."""
    return all(
        {keys[circuit.places[unit]] for unit in planted} <= set(units[name])
        for name, planted in circuit.plan.lists.items()
        if name
    )


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def measure(motif: str, amplitude: float, kernels: Kernels | None, circuits: int, seed: int) -> tuple[Score, float]:
    """Plant so many circuits of a motif, and as many decoys, in networks of one background; the score and a share.

    kernels: those that backgrounds are drawn from, or None for random ones. The share is that of a strong edge in the
    first network, from which the thresholds follow.
    """
    plan, *decoys = PLANS[motif]
    random = np.random.default_rng((seed, *motif.encode(), round(100 * amplitude), kernels is None))
    layers = max(unit for p in PLANS[motif] for unit in p.units.values()) + 1
    widest = max(list(p.units.values()).count(layer) for p in PLANS[motif] for layer in range(layers))
    at_once = min(circuits, WIDTH // (2 * widest + 1))
    total, share = Score(0, 0, 0, 0, 0), 0.0
    with tempfile.TemporaryDirectory() as folder:
        while total.planted < circuits:
            background = (
                random_background(layers, WIDTH, random)
                if kernels is None
                else shuffled(kernels, layers, WIDTH, random)
            )
            number = min(at_once, circuits - total.planted)
            lacking = [decoys[(total.decoys + n) % len(decoys)] for n in range(number)]
            network = plant(background, [plan] * number + lacking, amplitude, random)
            share = share or network.share
            total += score(network, motif, parameters(motif, share), Path(folder))
    return total, share


@dataclass(frozen=True)
class Line:
    """The score of a motif at an amplitude in one background, and the parameters of the search."""

    motif: str
    amplitude: float
    score: Score
    given: Mapping[str, object]

    @property
    def answers(self) -> int:
        """Planted circuits and decoys that came back."""
        return self.score.found + self.score.taken

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None at amplitudes for which there is none."""
        if self.amplitude < AIM_FROM:
            return None
        return self.score.found >= AIM * max(self.score.planted, self.answers)


def lines(motifs: Sequence[str], circuits: int, seed: int = 0) -> Iterator[tuple[str, list[Line]]]:
    """By background, whose title comes first, a line a motif and amplitude."""
    for title, kernels in _backgrounds():
        scored = []
        for motif in motifs:
            for amplitude in AMPLITUDES:
                print(f"{title}: {motif} at {amplitude:g} …", file=sys.stderr, flush=True)
                result, share = measure(motif, amplitude, kernels, circuits, seed)
                scored.append(Line(motif, amplitude, result, parameters(motif, share)))
        yield title, scored


def _backgrounds() -> Iterator[tuple[str, Kernels | None]]:
    weights = graphs.data_file(graphs.WEIGHTS)
    if weights is not None:
        from safetensors.numpy import load_file

        yield f"Planted in shuffled weights of {TENSOR.removesuffix('.weight')}", load_file(weights)[TENSOR]
    yield "Planted in random weights", None


def sections(circuits: int) -> Iterator[Section]:
    """For the table of all benchmarks: recall, decoys taken for circuits, precision."""
    for title, scored in lines(tuple(PLANS), circuits):
        rows = [
            Row(
                f"{line.motif[:28]} ×{line.amplitude:g}",
                f"{line.score.found}/{line.score.planted}",
                f"{line.score.taken}/{line.score.decoys} decoys",
                f"{line.score.found / line.answers:.2f}" if line.answers else "–",
                f"≥ {AIM:g} both" if line.met is not None else "",
                line.met,
            )
            for line in scored
        ]
        yield Section(f"{title}: found, decoys taken for circuits, precision", tuple(rows))


def print_lines(title: str, scored: Sequence[Line]) -> None:
    """The whole table of one background, with intervals, other circuits found and thresholds."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column("motif")
    for name in ("amplitude", "recall", "95 %", "decoys", "precision", "95 %", "besides"):
        table.add_column(name, justify="right")
    table.add_column("parameters")
    for line in scored:
        s = line.score
        mark = {True: " ✓", False: " ✗", None: ""}[line.met]
        table.add_row(
            line.motif,
            f"{line.amplitude:g}{mark}",
            f"{s.found}/{s.planted}",
            _interval(wilson(s.found, s.planted)),
            f"{s.taken}/{s.decoys}",
            f"{s.found / line.answers:.2f}" if line.answers else "–",
            _interval(wilson(s.found, line.answers)) if line.answers else "–",
            f"{s.others:,}",
            " ".join(f"{name}={value}" for name, value in line.given.items() if name.startswith("min")),
        )
    Console(width=160, highlight=False).print(table)
    print()


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.2f}–{ends[1]:.2f}"


def main() -> None:
    """Plant, search and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__)
    parser.add_argument("--motif", action="append", choices=tuple(PLANS), help="may be given several times")
    parser.add_argument("--circuits", type=int, default=100, help="planted circuits of each motif and amplitude (100)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for title, scored in lines(options.motif or tuple(PLANS), options.circuits, options.seed):
        print_lines(title, scored)


if __name__ == "__main__":
    main()
