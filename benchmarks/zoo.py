"""Ten models in one file and their joins: seconds, size of the file, memory of the process.

In come the folder of weights and a probe set, out come rows. Each step runs in a process of its own; `ingest`, `join`
and `remove` are what these processes call. `python -m benchmarks.zoo --db zoo.duckdb` measures the joins of a file that
is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import circuitdb
from benchmarks.measuring import Apart, apart
from benchmarks.table import Row, Section, print_table, seconds

TRAINED = {
    "alexnet": "alexnet_features_torchvision.safetensors",
    "inceptionv1": "bvlc_googlenet_inceptionv1.safetensors",
    "resnetv2_50": "resnet_v2_50_slim_blocks1-3.safetensors",
    "squeezenet1_1": "squeezenet1_1_caffe.safetensors",
    "vgg16": "vgg16_features_torchvision.safetensors",
}
WIDEST = ("inceptionv1", "vgg16")
"""The two whose join of every pair of layers has an aim."""
MOST_SECONDS = 60.0
LAST = "alexnet_untrained"
"""The model that comes when the others are there, and goes again."""


def rows(models: Path, pictures: Path, folder: Path) -> Iterator[Row]:
    """Build the file, then measure its joins."""
    path = str(folder / "ten.duckdb")
    for untrained in (False, True):
        for name, file in TRAINED.items():
            weights = "random" if untrained else str(models / file)
            stored = f"{name}_untrained" if untrained else name
            done = apart("benchmarks.zoo", "ingest", path, name, stored, weights, str(pictures))
            yield _row(f"ingest and probe {stored}", done, path)
    yield from joins(path)


def joins(path: str) -> Iterator[Row]:
    """A row for the widest join, for joining one model with each other one both ways, and for deleting it."""
    for a, b in (WIDEST, tuple(reversed(WIDEST))):
        done = apart("benchmarks.zoo", "join", path, a, b)
        yield _row(f"join {a} {b}", done, path, most=MOST_SECONDS, taken=done.result["seconds"])
    others = [name for name in _models(path) if name != LAST and not name.endswith("_untrained")]
    before = _pairs(path)
    ways = [pair for other in others for pair in ((LAST, other), (other, LAST))]
    done = [apart("benchmarks.zoo", "join", path, a, b) for a, b in ways]
    slowest = max(done, key=lambda one: one.peak_mib)
    together = Apart(None, sum(one.result["seconds"] for one in done), slowest.peak_mib)
    yield _row(f"join {LAST} with {len(others)}, both ways", together, path)
    after = _pairs(path)
    yield _told("other joins meanwhile", "untouched", _without_last(after) == _without_last(before))
    gone = apart("benchmarks.zoo", "remove", path, LAST)
    yield _row(f"rm {LAST}", gone, path)
    yield _told("its joins", "gone, others there", _pairs(path) == _without_last(before))


Pairs = dict[tuple[str, str], list[dict[str, object]]]


def _without_last(pairs: Pairs) -> Pairs:
    return {pair: rows for pair, rows in pairs.items() if LAST not in pair}


def _told(what: str, wanted: str, true: bool) -> Row:
    return Row(what, "yes" if true else "no", "", "", wanted, true)


def ingest(path: str, model: str, name: str, weights: str, pictures: str) -> None:
    """Ingest and probe one model."""
    from ingest.pipeline import ingest_model

    ingest_model(model, weights=weights, name=name, db=path, partial=True, probes=pictures, maps=())


def join(path: str, a: str, b: str) -> dict[str, float]:
    """Join two models, every pair of layers; the seconds that the join itself took."""
    with circuitdb.open(path) as database:
        started = time.perf_counter()
        joined = database.join(a, b)
        return {"seconds": time.perf_counter() - started, "pairs": joined.pairs_tested}


def remove(path: str, name: str) -> None:
    """Delete a model."""
    with circuitdb.open(path) as database:
        database.delete(name)


def _models(path: str) -> list[str]:
    with circuitdb.open(path) as database:
        return [str(row["name"]) for row in database.models()]


def _pairs(path: str) -> Pairs:
    with circuitdb.open(path) as database:
        return {(one.source, one.target): one.rows.to_pylist() for one in database.analogues(_models(path))}


def _row(what: str, done: Apart, path: str, most: float | None = None, taken: float | None = None) -> Row:
    size, spent = Path(path).stat().st_size / 1e6, done.seconds if taken is None else taken
    aim = "" if most is None else f"≤ {most:g} s"
    met = None if most is None else spent <= most
    return Row(what, seconds(spent), f"{done.peak_mib:,.0f} MiB, file {size:,.0f} MB", "", aim, met)


def main() -> None:
    """Measure the joins of a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--db", required=True, help="a copy of a file with the five networks and untrained copies")
    options = parser.parse_args()
    print_table([Section("Joins of ten models in one file", tuple(joins(options.db)))])


if __name__ == "__main__":
    main()
