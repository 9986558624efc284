"""One model's way into a store: find the network, put its weights in, expand them, write the graph.

In: what the user names. Out: a model in the store, whole or not at all, and a `Summary`. All computing comes first;
the store is opened for writing when there is nothing left to do but write.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph, Progress
from circuitdb.errors import InputError
from circuitdb.graph import check_name

if TYPE_CHECKING:
    from ingest.expand import Expansion
    from ingest.sources import Source


@dataclass(frozen=True)
class Summary:
    """What an ingest wrote.

    `energy_kept`: the part of the squared weights into a unit that its kept edges carry, the mean over all units with
    inputs. `absent`: modules whose weights were not there. `unused`: tensors of the file that the network has no use
    for. `seconds`: in all; `stages`: of each stage. `size_bytes`: of the database's file, None for a server.
    """

    model: str
    architecture: str
    layers: int
    units: int
    edges: int
    energy_kept: float
    absent: tuple[str, ...]
    unused: tuple[str, ...]
    seconds: float
    stages: Mapping[str, float]
    size_bytes: int | None


def ingest_model(
    model: str,
    *,
    weights: str | None = None,
    db: str = "circuits.duckdb",
    name: str | None = None,
    keep: str = "top32",
    layers: Sequence[str] | None = None,
    dense: bool = False,
    partial: bool = False,
    replace: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Summary:
    """Read a trained network and write its units and expanded weights into a store.

    Parameters
    ----------
    model
        `inceptionv1`, `resnetv2_50`, `handwritten`, a torchvision classification network, or `package.module:factory`.
    weights
        A safetensors, .pth or .pt file; `random`; or the name of torchvision's own weights, which are downloaded.
        None: the network's own, where it has some.
    db
        Address of the store.
    name
        Name of the model in the store; the network's or the factory's own where it is None.
    keep
        Which pairs of units become edges: `topN`, `maxX`, `energyX` or `all`.
    layers
        Module paths of the feature layers; None finds them.
    dense
        Keep every kernel, not only those of edges.
    partial
        Take what a weights file has, though it lacks some of the network's weights.
    replace
        Put the model in the place of one of that name.
    seed
        For random weights.
    progress
        Is told how far each stage is.

    Raises
    ------
    InputError
        If there is no such network or weights, if they do not fit, if a weight is NaN, if the network cannot be
        expanded, or if a model of that name is there and `replace` is false.
    CircuitdbError
        If a file cannot be read or fetched, or the store cannot be written.

    Examples
    --------
    >>> ingest_model("inceptionv1", weights="bvlc_googlenet_inceptionv1.safetensors", db="zoo.duckdb")
    """
    clock = _Clock(progress)
    name = check_name(_default_name(model) if name is None else name, "model")
    _refuse_early(db, name, replace)
    with clock.stage("reading"):
        from ingest.sources import load

        source = load(model, weights, seed=seed, partial=partial)
    with clock.stage("expanding"):
        from ingest.expand import expand

        expansion = expand(
            source.loaded.network,
            source.example,
            keep=keep,
            dense=dense,
            layers=layers,
            names=source.layer_names,
            absent=source.loaded.absent,
            progress=progress,
        )
    options = {
        "model": model,
        "seed": seed,
        "layers": None if layers is None else list(layers),
        "dense": dense,
        "partial": partial,
        "unused": list(source.loaded.unused),
    }
    graph = _graph(name, source, expansion, keep, options)
    with clock.stage("writing"):
        store = open_store(db)
        try:
            store.write(graph, replace=replace, progress=progress)
        finally:
            store.close()
    return Summary(
        model=name,
        architecture=source.architecture,
        layers=graph.layers.num_rows,
        units=graph.units.num_rows,
        edges=graph.edges.num_rows,
        energy_kept=_mean_energy_kept(graph),
        absent=source.loaded.absent,
        unused=source.loaded.unused,
        seconds=clock.total(),
        stages=clock.stages,
        size_bytes=Path(db).stat().st_size if "://" not in db else None,
    )


class _Clock:
    """Seconds of each stage, told to whoever follows the progress."""

    def __init__(self, progress: Progress | None):
        self.stages: dict[str, float] = {}
        self._progress = progress
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        if self._progress is not None:
            self._progress(name, 0, 1)
        yield
        if self._progress is not None:
            self._progress(name, 1, 1)
        self.stages[name] = time.perf_counter() - start

    def total(self) -> float:
        return time.perf_counter() - self._start


def _default_name(model: str) -> str:
    return model.rpartition(":")[2]


def _refuse_early(db: str, name: str, replace: bool) -> None:
    """Say at once what writing would say at the end: that the model is there, or that the place is not."""
    if "://" not in db and not Path(db).exists():
        folder = Path(db).absolute().parent
        if not folder.is_dir():
            raise InputError(f"there is no folder {str(folder)!r} to put the database in")
        return
    store = open_store(db)
    try:
        there = any(model["name"] == name for model in store.models())
    finally:
        store.close()
    if there and not replace:
        raise InputError(
            f"there is a model {name!r} in {db}; --replace puts this one in its place, --name gives another name"
        )


def _graph(name: str, source: Source, expansion: Expansion, keep: str, options: dict[str, Any]) -> ModelGraph:
    record: dict[str, Any] = {
        "name": name,
        "architecture": source.architecture,
        "dataset": source.dataset,
        "source": source.loaded.weights,
        "weights_sha256": source.loaded.sha256,
        "licence": source.licence,
        "preprocessing": source.preprocessing,
        "keep": keep,
        "absent": list(source.loaded.absent),
        "options": options,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "circuitdb_version": circuitdb.__version__,
    }
    return ModelGraph(
        record,
        expansion.layers,
        expansion.units,
        expansion.edges,
        segments=expansion.segments,
        labels=_labels(source, expansion.units),
        dense=expansion.dense,
    )


def _labels(source: Source, units: pa.Table) -> pa.Table | None:
    """The labels that come with a model, by row of `units`; those of layers that were not chosen are left out."""
    rows = {
        place: row for row, place in enumerate(zip(units["layer"].to_pylist(), units["index"].to_pylist(), strict=True))
    }
    known = [(rows[layer, index], text) for layer, index, text in source.labels if (layer, index) in rows]
    if not known:
        return None
    unit, label = zip(*known, strict=True)
    return pa.table(
        {
            "unit": pa.array(unit, pa.int32()),
            "label": pa.array(label),
            "source": pa.array([source.architecture] * len(known)),
        }
    )


def _mean_energy_kept(graph: ModelGraph) -> float:
    kept = graph.units["energy_kept_in"].drop_null().to_numpy()
    return float(np.mean(kept)) if len(kept) else 1.0
