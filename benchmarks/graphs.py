"""The graphs that are searched: a random one of any size, and InceptionV1 from its real weights, as DuckDB files.

The random graph has 12 layers and at 1M edges 7,000 units; every scalar property of an edge has a number. Inputs of a
unit fall off as those of trained networks do (the strongest 16 carry about half of the energy), alike at every size, so
that a threshold on `share` keeps as many edges a unit. Labels and mirror-image pairs are planted in both graphs.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from circuitdb.backends.base import ModelGraph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.graph import Record, properties

LAYERS = 12
MODEL = "random"
WEIGHTS = "models/bvlc_googlenet_inceptionv1.safetensors"
PHOTOGRAPHS = "images/kodak24_png.tar"


def data_file(name: str) -> Path | None:
    """A file of the data folder, if it is there (CIRCUITDB_DATA, or ../shared/data)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("CIRCUITDB_DATA", default)) / name
    return path if path.exists() else None


def random_graph(edges: int, seed: int = 0) -> ModelGraph:
    """About as many edges, each from one layer to the next; the width grows with the root of their number."""
    rng = np.random.default_rng(seed)
    width = round(583 * (edges / 1e6) ** 0.5)
    inputs = round(edges / ((LAYERS - 1) * width))
    units = LAYERS * width
    target = np.repeat(np.arange(width, units, dtype=np.int32), inputs)
    layer = target // width
    chosen = np.argsort(rng.random((units - width, width), dtype=np.float32), axis=1, kind="stable")[:, :inputs]
    source = (layer - 1) * width + chosen.astype(np.int32).ravel()
    place = np.tile(np.arange(1, inputs + 1), units - width)
    strength = np.sqrt((place + 3.0) ** -1.3) * np.exp(0.2 * rng.standard_normal(len(place)))
    weight = np.where(rng.random(len(place)) < 0.5, -1, 1) * strength * rng.uniform(0.5, 1.0, len(place))
    columns = {
        "source": source,
        "target": target,
        "kind": pa.array(np.where(weight < 0, "INHIBITS", "EXCITES")),
        "weight": weight,
        "strength": strength,
        "share": strength**2 / np.bincount(target, strength**2)[target],
        "rank_in": _ranks(target, source, strength),
        "rank_out": _ranks(source, target, strength),
    }
    for prop in properties(Record.EDGE):
        if prop.name not in columns and prop.type == "real" and not prop.name.startswith("offset"):
            columns[prop.name] = weight * rng.standard_normal(len(weight), dtype=np.float32)
    names = [f"L{depth}" for depth in range(LAYERS)]
    return ModelGraph(
        {"name": MODEL, "keep": "all"},
        pa.table({"name": names, "depth": pa.array(range(LAYERS), pa.int32())}),
        pa.table({"layer": np.repeat(names, width), "index": np.tile(np.arange(width, dtype=np.int32), LAYERS)}),
        pa.table(columns),
    )


def _ranks(here: np.ndarray, there: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The place of each edge among those with the same end `here`, the strongest first."""
    order = np.lexsort((there, -strength, here))
    sorted_here = here[order]
    first = np.flatnonzero(np.concatenate([[True], sorted_here[1:] != sorted_here[:-1]]))
    ranks = np.empty(len(here), dtype=np.int32)
    ranks[order] = np.arange(len(here)) - np.repeat(first, np.diff([*first, len(here)])) + 1
    return ranks


def write_random(edges: int, path: str) -> None:
    """Make the file of a random graph with labels and maps."""
    _plant(DuckDBStore(path), random_graph(edges))


def write_inceptionv1(weights: str, path: str) -> None:
    """Make the file of InceptionV1 with planted labels and maps."""
    from ingest.pipeline import ingest_model

    ingest_model("inceptionv1", weights=weights, db=path)
    store = DuckDBStore(path)
    _plant(store, store.read("inceptionv1"))


def _plant(store: DuckDBStore, graph: ModelGraph) -> None:
    """Write the graph with a label on some units, and with flip maps laid over circuits of cross-inhibition."""
    rng = np.random.default_rng(1)
    labelled = np.flatnonzero(rng.random(graph.units.num_rows) < 0.02).astype(np.int32)
    labels = pa.table({"unit": labelled, "label": ["car"] * len(labelled), "source": ["planted"] * len(labelled)})
    pairs: dict[int, int] = {}
    for left1, right1, left2, right2, both in _crossed(graph):
        wanted = {left1: right1, right1: left1, left2: right2, right2: left2, both: both}
        if all(pairs.get(a, b) == b for a, b in wanted.items()):
            pairs |= wanted
    source, target = (np.array(ends, dtype=np.int32) for ends in (list(pairs), list(pairs.values())))
    maps = {
        "map": ["flip"] * len(source),
        "source": source,
        "target": target,
        "score": np.full(len(source), 0.9),
        "self_score": np.where(source == target, 0.9, 0.1),
        "mutual": np.full(len(source), True),
    }
    there = store.path.exists()
    store.write(replace(graph, labels=labels, maps=pa.table(maps)), replace=there)


def _crossed(graph: ModelGraph) -> list[tuple[int, ...]]:
    """Some circuits of cross-inhibition, the weakest edge's share strongest first, as rows of `units`."""
    edges = graph.edges.select(["source", "target", "kind", "share"])
    with duckdb.connect() as connection:
        connection.register("graph_edges", edges)
        connection.execute(
            "CREATE TABLE e AS SELECT source AS s, target AS t, kind::VARCHAR = 'EXCITES' AS up, share "
            "FROM graph_edges WHERE share > 0.008 AND kind::VARCHAR <> 'SKIP'"
        )
        return connection.execute(
            "SELECT a.s, b.s, a.t, b.t, u.t FROM e AS a JOIN e AS c ON c.s = a.s AND a.up AND NOT c.up "
            "JOIN e AS b ON b.t = c.t AND b.up AND a.t < b.t JOIN e AS d ON d.s = b.s AND d.t = a.t AND NOT d.up "
            "JOIN e AS u ON u.s = a.t AND u.up JOIN e AS v ON v.s = b.t AND v.t = u.t AND v.up "
            "ORDER BY least(a.share, b.share, c.share, d.share, u.share, v.share) DESC, 1, 2, 3, 4, 5 LIMIT 20000"
        ).fetchall()
