"""One model's way into a store: find the network, put its weights in, expand them, write the graph.

In: what the user names. Out: a model in the store, whole or not at all, and a `Summary`. All computing comes first;
the store is opened for writing when there is nothing left to do but write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph, Progress, Responses
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import check_name
from ingest import classes

if TYPE_CHECKING:
    from ingest.expand import Expansion
    from ingest.sources import Source


@dataclass(frozen=True)
class Summary:
    """What an ingest wrote.

    `energy_kept`: the part of all squared weights that edges carry. `absent`: layers and heads without weights.
    `unused`: tensors of the file that the network has no use for. `left_out`: what of the network was not read, in
    words. `seconds`: in all; `stages`: of each stage. `size_bytes`: of the database's file, None for a server.
    `maps`, `families`: rows that the probes brought, None without probes.
    """

    model: str
    architecture: str
    layers: int
    units: int
    edges: int
    energy_kept: float
    absent: list[str]
    unused: list[str]
    left_out: str
    seconds: float
    stages: Mapping[str, float]
    size_bytes: int | None
    maps: int | None = None
    families: int | None = None


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
    probes: str | None = None,
    maps: Sequence[str] | None = None,
    device: str = "cpu",
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
        The feature layers, by module path or by the name that they are shown under; None finds them.
    dense
        Keep every kernel, not only those of edges.
    partial
        Take what a weights file has, though it lacks some of the network's weights.
    replace
        Put the model in the place of one of that name.
    seed
        For random weights.
    probes
        Pictures on which to measure the units' responses: a folder, a tar, or `synthetic`. None: not measured.
    maps
        What to look for in the responses, as `ingest.reprobing.probe_models` takes it.
    device
        Where the network runs over the probes, as torch names it.
    progress
        Is told how far each stage is.

    Raises
    ------
    InputError
        If there is no such network or weights, if they do not fit, if a weight is NaN, if the network cannot be
        expanded, if the probes cannot be used, or if a model of that name is there and `replace` is false.
    CircuitdbError
        If a file cannot be read or fetched, or the store cannot be written.

    Examples
    --------
    >>> ingest_model("inceptionv1", weights="bvlc_googlenet_inceptionv1.safetensors", db="zoo.duckdb")
    """
    clock = _Clock()
    tell = progress or _tell_nobody
    name = check_name(_default_name(model) if name is None else name, "model")
    _refuse_early(db, name, replace)
    with clock.stage("reading"):
        tell("reading", 0, 1)
        from circuitdb.keep_rule import KeepRule
        from ingest.sources import load

        rule = KeepRule.parse(keep)
        source = load(model, weights, seed=seed, partial=partial)
        tell("reading", 1, 1)
    with clock.stage("expanding"):
        from ingest.expand import expand

        expansion = expand(
            source.loaded.network,
            source.example,
            keep=rule,
            dense=dense,
            layers=named_layers(layers, source),
            names=source.layer_names,
            absent=source.loaded.absent,
            progress=tell,
        )
    options = {
        "model": model,
        "seed": seed,
        "layers": None if layers is None else list(layers),
        "dense": dense,
        "partial": partial,
    }
    graph = _graph(name, source, expansion, options)
    if probes is not None:
        with clock.stage("probing"):
            from ingest.probes import load_probes
            from ingest.probing import input_side, probe

            widths = layer_widths(graph.layers.to_pylist())
            pictures = load_probes(probes, input_side(source))
            responses = probe(
                source, widths, pictures, maps, named=named_layers(layers, source), device=device, progress=tell
            )
            graph = with_responses(graph, responses)
    with clock.stage("writing"):
        store = open_store(db)
        try:
            store.write(graph, replace=replace, progress=tell)
        finally:
            store.close()
    return Summary(
        model=name,
        architecture=source.architecture,
        layers=graph.layers.num_rows,
        units=graph.units.num_rows,
        edges=graph.edges.num_rows,
        energy_kept=expansion.energy_kept,
        absent=_absent(source, expansion),
        unused=list(source.loaded.unused),
        left_out=_left_out(source, expansion),
        seconds=clock.total(),
        stages=clock.stages,
        size_bytes=None if "://" in db else Path(db).expanduser().stat().st_size,
        maps=None if graph.maps is None else graph.maps.num_rows,
        families=None if graph.families is None else graph.families.num_rows,
    )


def _tell_nobody(stage: str, done: int, total: int) -> None:
    """Progress that nobody follows."""


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.stages[name] = time.perf_counter() - start

    def total(self) -> float:
        return time.perf_counter() - self._start


def _default_name(model: str) -> str:
    return model.rpartition(":")[2]


def _refuse_early(db: str, name: str, replace: bool) -> None:
    """Say at once what writing would say at the end: that the model is there, or that the place is not."""
    if "://" not in db:
        file = Path(db).expanduser()
        if not file.parent.is_dir():
            raise InputError(f"there is no folder {str(file.parent)!r} to put the database in")
        place = file if file.exists() else file.parent
        if not os.access(place, os.W_OK):
            read_only = os.statvfs(place).f_flag & os.ST_RDONLY
            raise CircuitdbError(f"cannot write {db}: {'its disk is read-only' if read_only else 'permission denied'}")
        if not file.exists():
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


def layer_widths(layers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Name and width of layers, which stand in order of depth."""
    return {layer["name"]: layer["width"] for layer in layers}


def with_responses(graph: ModelGraph, responses: Responses) -> ModelGraph:
    """A model with what its units do on probes."""
    units = graph.units
    for name in responses.units.column_names:
        units = units.append_column(name, responses.units[name])
    return replace_fields(
        graph,
        model={**graph.model, "probes": dict(responses.probes)},
        units=units,
        maps=responses.maps,
        families=responses.families,
        members=responses.members,
        examples=responses.examples,
        signatures=responses.signatures,
    )


def named_layers(layers: Sequence[str] | None, source: Source) -> list[str] | None:
    """The module paths of the feature layers that the user named, by path or as they are shown, if so."""
    return None if layers is None else _module_paths(layers, source)


def _module_paths(layers: Sequence[str], source: Source) -> list[str]:
    """The module paths of layers that the user names by path or as they are shown."""
    modules = {path for path, _ in source.loaded.network.named_modules()}
    by_name = {name: path for path, name in source.layer_names.items()}
    paths = [layer if layer in modules else by_name.get(layer, layer) for layer in layers]
    for layer, path in zip(layers, paths, strict=True):
        if any(path == child or path.startswith(f"{child}.") for child in source.loaded.left_out):
            raise InputError(f"{source.loaded.weights} has no weights for the layer {layer!r}")
    return paths


def _absent(source: Source, expansion: Expansion) -> list[str]:
    """What of the network has no weights: feature layers, and heads that it is whole without."""
    return [*expansion.absent, *source.loaded.left_out]


def _left_out(source: Source, expansion: Expansion) -> str:
    """What of the network could be read if it were asked for."""
    return "" if source.loaded.left_out else expansion.left_out


def _graph(name: str, source: Source, expansion: Expansion, options: dict[str, Any]) -> ModelGraph:
    record: dict[str, Any] = {
        "name": name,
        "architecture": source.architecture,
        "dataset": source.dataset,
        "source": source.loaded.weights,
        "weights_sha256": source.loaded.sha256,
        "licence": source.licence,
        "preprocessing": source.preprocessing,
        "keep": expansion.keep,
        "absent": _absent(source, expansion),
        "options": options | {"unused": list(source.loaded.unused), "left_out": _left_out(source, expansion)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "circuitdb_version": circuitdb.__version__,
    }
    return ModelGraph(
        record,
        expansion.layers,
        expansion.units,
        expansion.edges,
        segments=expansion.segments,
        labels=_labels(source, expansion),
        dense=expansion.dense,
    )


def _labels(source: Source, expansion: Expansion) -> pa.Table | None:
    """The labels that come with a model, by row of `units`; those of layers that were not chosen are left out."""
    units = expansion.units
    rows = {
        place: row for row, place in enumerate(zip(units["layer"].to_pylist(), units["index"].to_pylist(), strict=True))
    }
    given = [(*label, source.architecture) for label in source.labels]
    given += [(*label, classes.SOURCE) for label in classes.class_labels(source.dataset, expansion.layers.to_pylist())]
    known = [(rows[layer, index], text, by) for layer, index, text, by in given if (layer, index) in rows]
    if not known:
        return None
    unit, label, by = zip(*known, strict=True)
    return pa.table({"unit": pa.array(unit, pa.int32()), "label": pa.array(label), "source": pa.array(by)})
