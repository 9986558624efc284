"""`python -m benchmarks.findings zoo.duckdb`: the tables of docs/findings.md, as Markdown, from probed models.

Every motif of the library that asks for neither labels nor a unit nor a second model is counted in every model with its
defaults, and compared with chance: motifs with maps with partners shuffled among the units of a layer, others with
edges shuffled. Below stand the strongest circuits. `--drawings FOLDER` draws these, in a folder for each model.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import circuitdb
from circuitdb.circuits import Circuit
from circuitdb.database import Database
from circuitdb.statistics.significance import Significance

WITH_MAPS = (
    "equivariance",
    "equivariance_over_group",
    "equivariant_family",
    "union_over_cases",
    "union_over_cases_in_four_layers",
    "invariant_from_equivariant",
    "equivariant_from_invariant",
    "lateral_contrast",
    "curve_from_lines",
    "high_low_frequency",
)
BY_WEIGHTS = (
    "polysemantic",
    "superposition_unlabelled",
    "object_from_parts",
    "excitatory_fan",
    "cross_inhibition",
    "skip_refinement",
)


@dataclass(frozen=True)
class Finding:
    """What one motif gives in one model; chance is None where nothing was found or no samples were asked for."""

    motif: str
    model: str
    count: int
    chance: Significance | None
    strongest: Sequence[Circuit]


def main() -> None:
    """Search, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.findings", description=__doc__)
    parser.add_argument("database", help="a file with probed models")
    parser.add_argument("--model", action="append", help="one of the models; may be given several times")
    parser.add_argument("--motif", action="append", choices=WITH_MAPS + BY_WEIGHTS, help="one of the motifs, likewise")
    parser.add_argument("--samples", type=int, default=39, help="samples of chance (39); 0 for none")
    parser.add_argument("--drawings", type=Path, help="a folder for drawings of the strongest circuits")
    options = parser.parse_args()
    with circuitdb.open(options.database) as database:
        models = options.model or [row["name"] for row in database.models() if row.get("probes")]
        motifs = options.motif or WITH_MAPS + BY_WEIGHTS
        findings = [found(database, motif, model, options.samples) for model in models for motif in motifs]
        print("\n".join([*table(findings, models), "", *strongest(findings)]))
        if options.drawings:
            draw(findings, options.drawings)


def found(database: Database, motif: str, model: str, samples: int) -> Finding:
    """Ask one motif of one model."""
    count = database.count(motif, model=model)
    chance, circuits = None, []
    if count:
        null = "maps" if motif in WITH_MAPS else "edges"
        if samples:
            chance = database.significance(motif, model=model, samples=samples, seed=0, null=null)
        circuits = list(database.find(motif, model=model, limit=3, seconds=None))
    print(f"{model} {motif}: {count:,}; {chance.sentence if chance else ''}", file=sys.stderr, flush=True)
    return Finding(motif, model, count, chance, circuits)


def table(findings: Iterable[Finding], models: Sequence[str]) -> Iterator[str]:
    """A row a motif, a column a model: the number found / mean ± standard deviation by chance, and p where it is
    not the least that the samples can give."""
    by_motif: dict[str, dict[str, Finding]] = {}
    for finding in findings:
        by_motif.setdefault(finding.motif, {})[finding.model] = finding
    yield f"| motif | {' | '.join(models)} |"
    yield f"|---|{'---|' * len(models)}"
    for motif, row in by_motif.items():
        yield f"| `{motif}` | {' | '.join(_cell(row[model]) for model in models)} |"


def _cell(finding: Finding) -> str:
    chance = finding.chance
    if chance is None:
        return f"{finding.count:,}"
    if all(count == finding.count for count in chance.counts):
        return f"{finding.count:,} / the same"
    least = 1 / (1 + chance.samples)
    note = "" if chance.p <= least else ", fewer" if chance.p_fewer <= least else f", p {chance.p:.2g}"
    return f"{finding.count:,} / {_short(chance.null_mean)} ± {_short(chance.null_sd)}{note}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.1f}"


def strongest(findings: Iterable[Finding]) -> Iterator[str]:
    """A line a circuit, with its units."""
    for finding in findings:
        for circuit in finding.strongest:
            units = ", ".join(f"{name} {_indices(key)}" for name, key in circuit.units.items())
            yield f"- `{finding.motif}` {finding.model} {circuit.score:.3g}: {units}"


def _indices(keys: str | Sequence[str]) -> str:
    several = [keys] if isinstance(keys, str) else list(keys)
    return " ".join(key.partition("/")[2] for key in several)


def draw(findings: Iterable[Finding], folder: Path) -> None:
    """Write `MODEL/MOTIF-1.webp` and so on: half the size of an SVG, most of which is pictures."""
    for finding in findings:
        (folder / finding.model).mkdir(parents=True, exist_ok=True)
        for place, circuit in enumerate(finding.strongest, 1):
            picture = Image.open(io.BytesIO(circuit.draw().png(zoom=1))).convert("RGB")
            picture.save(folder / finding.model / f"{finding.motif}-{place}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
