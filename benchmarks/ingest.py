"""Ingest of InceptionV1 by the command's own function in a process of its own: seconds of each stage, and memory.

`ingest` is what the process calls; the stages are those of `ingest.pipeline`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import Apart, apart
from benchmarks.table import Row, seconds

ROUNDS = 3
MOST_SECONDS = 15.0
MOST_MIB = 2048.0


def rows(weights: str) -> list[Row]:
    """The best of some rounds, by stage."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [apart("benchmarks.ingest", "ingest", weights, str(Path(folder) / f"{i}.duckdb")) for i in range(ROUNDS)]
    best: Apart = min(runs, key=lambda run: run.seconds)
    stages = best.result["stages"]
    outside = best.seconds - sum(stages.values())
    shown = [Row("start of Python, circuitdb", seconds(outside))]
    shown += [Row(_STAGES.get(name, name), seconds(value)) for name, value in stages.items()]
    edges = f"{best.result['units']:,} units, {best.result['edges']:,} edges"
    return [
        *shown,
        Row("in all", seconds(best.seconds), edges, "", f"≤ {MOST_SECONDS:g} s", best.seconds <= MOST_SECONDS),
        Row("peak memory", f"{best.peak_mib:,.0f} MiB", "", "", "≤ 2 GiB", best.peak_mib <= MOST_MIB),
    ]


_STAGES = {
    "reading": "reading (with import of torch)",
    "expanding": "expanding (with tracing)",
    "writing": "writing",
}


def ingest(weights: str, path: str) -> dict[str, object]:
    """Ingest into a new file; what it wrote, and the seconds of each stage."""
    from ingest.pipeline import ingest_model

    summary = ingest_model("inceptionv1", weights=weights, db=path)
    return {"stages": dict(summary.stages), "units": summary.units, "edges": summary.edges}
