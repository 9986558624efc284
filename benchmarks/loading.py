"""Writing a graph of 1M edges into a new file, beside a bare DuckDB insert of the same Arrow table of edges."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from benchmarks.graphs import random_graph
from benchmarks.measuring import best_of
from benchmarks.table import Row, at_most
from circuitdb.backends.duckdb.store import DuckDBStore

ROUNDS = 3


def rows(edges: int = 1_000_000) -> list[Row]:
    """Seconds of a whole `write`, checks, keys, ranks and commit included, and of `CREATE TABLE … AS`."""
    graph = random_graph(edges)
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(1_000))

        def write() -> None:
            DuckDBStore(str(Path(folder) / f"{next(numbers)}.duckdb")).write(graph)

        def insert() -> None:
            with duckdb.connect(str(Path(folder) / f"{next(numbers)}.duckdb")) as connection:
                connection.register("incoming", graph.edges)
                connection.execute("CREATE TABLE edge AS SELECT * FROM incoming")

        best = best_of({"write": write, "insert": insert}, ROUNDS, warm=False)
    properties = len(graph.edges.column_names)
    what = f"{graph.edges.num_rows / 1e6:.1f}M edges, {properties} columns"
    return [
        at_most(what, best["write"], "bare insert", best["insert"]),
        Row("  the same", f"{best['write']:.2f} s", "", "", "≤ 3 s", best["write"] <= 3),
    ]
