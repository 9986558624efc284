"""Loading edges into Neo4j: the store's way beside `UNWIND … SET e = r`, on one server, one after the other.

`python -m benchmarks.neo4j_loading [--edges N] [--address neo4j://…]` prints a table. Without an address the server of
the tests is started. `edges` compares the time in which the edges were sent; `whole` is the store's rate over all of
`write`: checks, units, edges and the switch that shows them. The plain way gets its rows ready-made.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benchmarks.table import Row
from circuitdb.backends.base import ModelGraph
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.graph import Record, properties
from tests import neo4j_server

LAYERS = 12
ROWS_A_BATCH = 5_000
TEN_NUMBERS = ("weight", "strength", "share", "rank_in", "rank_out", "peak", "top", "bottom", "dx", "dy")


def random_model(edges: int, names: tuple[str, ...], kernel_side: int, seed: int = 0) -> ModelGraph:
    """A layered graph whose edges carry these numbers and, if `kernel_side` is not 0, a square kernel."""
    rng = np.random.default_rng(seed)
    width = max(40, edges // (32 * (LAYERS - 1)))
    pairs = LAYERS - 1
    chosen = rng.choice(pairs * width * width, size=edges, replace=False)
    pair, place = np.divmod(chosen, width * width)
    weight = rng.normal(size=edges)
    columns: dict[str, pa.Array] = {
        "source": pa.array((pair * width + place // width).astype(np.int32)),
        "target": pa.array(((pair + 1) * width + place % width).astype(np.int32)),
        "kind": pa.array(np.where(weight < 0, "INHIBITS", "EXCITES")),
    }
    for p in properties(Record.EDGE):
        if p.name in names:
            numbers = rng.integers(1, 33, edges).astype(np.int32) if p.type == "integer" else rng.normal(size=edges)
            columns[p.name] = pa.array(weight if p.name == "weight" else numbers)
    if kernel_side:
        flat = pa.array(rng.normal(size=edges * kernel_side**2).astype(np.float32))
        ends = pa.array(np.arange(edges + 1, dtype=np.int32) * kernel_side**2)
        columns |= {"kernel": pa.ListArray.from_arrays(ends, flat)}
        columns |= dict.fromkeys(("kernel_h", "kernel_w"), pa.array(np.full(edges, kernel_side, dtype=np.int32)))
    layer_names = [f"L{depth}" for depth in range(LAYERS)]
    return ModelGraph(
        {"name": "benchmark"},
        pa.table({"name": layer_names, "depth": pa.array(range(LAYERS), pa.int32())}),
        pa.table({"layer": np.repeat(layer_names, width), "index": np.tile(np.arange(width, dtype=np.int32), LAYERS)}),
        pa.table(columns),
    )


def load_plainly(store: Neo4jStore, graph: ModelGraph) -> float:
    """Seconds that the edges take as maps, one a row, with `SET e = r`."""
    store.connection.define(["CREATE INDEX benchmark IF NOT EXISTS FOR (n:Benchmark) ON (n.position)"])
    create = "UNWIND range(0, $count - 1) AS i CREATE (:Benchmark {position: i})"
    store.connection.write((create, {"count": graph.units.num_rows}))
    store.connection.read("CALL db.awaitIndexes(300)")
    rows = graph.edges.drop_columns(["kind"]).to_pylist()
    ready = [{"source": row.pop("source"), "target": row.pop("target"), "edge": row} for row in rows]
    text = (
        "UNWIND $rows AS row MATCH (s:Benchmark {position: row.source}) MATCH (t:Benchmark {position: row.target}) "
        "CREATE (s)-[e:EXCITES]->(t) SET e = row.edge"
    )
    started = time.perf_counter()
    for first in range(0, len(ready), ROWS_A_BATCH):
        store.connection.write((text, {"rows": ready[first : first + ROWS_A_BATCH]}))
    seconds = time.perf_counter() - started
    while store.connection.write(
        ("MATCH (:Benchmark)-[e]->() WITH e LIMIT 20000 DELETE e RETURN count(*) AS count", {})
    )[0][0]["count"]:
        pass
    store.connection.write(("MATCH (n:Benchmark) DETACH DELETE n", {}))
    store.connection.define(["DROP INDEX benchmark"])
    return seconds


def load_by_store(store: Neo4jStore, graph: ModelGraph) -> tuple[float, float]:
    """Seconds that the edges take in `Neo4jStore.write`, and that all of it takes."""
    steps: list[float] = []
    started = time.perf_counter()
    store.write(graph, progress=lambda *_: steps.append(time.perf_counter()))
    seconds = time.perf_counter() - started
    store.delete(graph.name)
    return steps[-1] - steps[0], seconds


@contextlib.contextmanager
def server(address: str | None) -> Iterator[str]:
    """The address given, or that of a server started for the time being."""
    if address is not None:
        yield address
        return
    with neo4j_server.running() as started:
        yield started.address


def measured(edges_wanted: int, rounds: int, address: str | None) -> Iterator[tuple[str, float, float, float]]:
    """For each kind of edge its title, and edges a second: the plain way, the store's sending, the store's `write`."""
    scalars = tuple(p.name for p in properties(Record.EDGE) if p.type in ("real", "integer") and "kernel" not in p.name)
    cases = {"10 numbers": (TEN_NUMBERS, 0), f"{len(scalars) + 2} numbers, 3x3 kernel": (scalars, 3)}
    with server(address) as running, contextlib.closing(Neo4jStore(running)) as store:
        warm = random_model(5_000, TEN_NUMBERS, 0)
        load_plainly(store, warm)
        load_by_store(store, warm)
        for title, (names, kernel_side) in cases.items():
            graph = random_model(edges_wanted, names, kernel_side)
            times = [(load_plainly(store, graph), *load_by_store(store, graph)) for _ in range(rounds)]
            plain, edges, whole = (edges_wanted / min(column) for column in zip(*times, strict=True))
            yield title, plain, edges, whole


def rows() -> list[Row]:
    """Rows of the table of all benchmarks."""
    return [
        Row(title, f"{edges:,.0f}/s", f"SET e = r {plain:,.0f}/s", f"{edges / plain:.2f}×", "≥ 2×", edges >= 2 * plain)
        for title, plain, edges, _ in measured(100_000, 3, None)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--address")
    options = parser.parse_args()
    print(f"{options.edges:,} edges; per second {'SET e = r':>10} {'edges':>10} {'ratio':>6} {'whole':>10}")
    for title, plain, edges, whole in measured(options.edges, options.rounds, options.address):
        print(f"{title:28} {plain:>10,.0f} {edges:>10,.0f} {edges / plain:>6.2f} {whole:>10,.0f}", flush=True)


if __name__ == "__main__":
    main()
