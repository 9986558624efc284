"""The same searches on DuckDB from 0.1M to 10M edges: seconds, and the memory of the whole process.

Each size is searched in a process of its own. `write` and `search` are what these processes call.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import circuitdb
from benchmarks.measuring import apart, best_of, once, peak_mib
from benchmarks.searches import RANDOM
from benchmarks.table import Row, seconds

SIZES = (100_000, 1_000_000, 10_000_000)


def rows(sizes: Sequence[int] = SIZES) -> list[Row]:
    """A row for each search, with a figure for each size."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = str(Path(folder) / f"{size}.duckdb")
            apart("benchmarks.graphs", "write_random", size, path)
            answers = apart("benchmarks.growth", "search", path)
            found.append(answers.result)
            Path(path).unlink()
    table = []
    for place, search in enumerate(RANDOM):
        for size, answers in zip(sizes, found, strict=True):
            answer = answers[place]
            what = f"{search.name}, {size / 1e6:g}M edges"
            figure = f"find {seconds(answer['find'])}"
            beside = f"count {seconds(answer['count'])}: {answer['circuits']:,} found"
            table.append(Row(what, figure, beside, f"{answer['peak_mib']:,.0f} MiB"))
    return table


def search(path: str) -> list[dict[str, float]]:
    """Seconds of each search on a file, the best of two, and the process's largest memory so far."""
    database = circuitdb.open(path)
    answers = []
    for search in RANDOM:
        ways = {
            "find": lambda search=search: database.find(search.motif, seconds=None, **search.parameters),
            "count": lambda search=search: database.count(search.motif, **search.parameters),
        }
        circuits, _ = once(ways["count"])
        answers.append(best_of(ways, 2, warm=False) | {"circuits": circuits, "peak_mib": peak_mib()})
    return answers
