"""The tables of an expanded network: layers, units, edges, segments.

In come the feature layers and the segments with what was kept of them, out come Arrow tables with the registry's
columns (circuitdb/graph.py), in the form in which a `ModelGraph` takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import KernelBlock
from circuitdb.graph import EdgeKind, Record, properties
from circuitdb.keep import Mask, energy_part, ranks
from circuitdb.kernels import measure
from ingest.forms import Form
from ingest.layers import FeatureLayer
from ingest.segments import Kernels, Segment, from_centre
from ingest.steps import Step

Reals = npt.NDArray[np.float64]

METHOD = "kernel algebra"
POOL_RULE = "average"


@dataclass(frozen=True, eq=False)
class ExpandedLayer:
    """A feature layer with what is known of its units.

    form: constant and origin of the units; its blocks are in the segments.
    """

    layer: FeatureLayer
    step: Step
    form: Form


@dataclass(frozen=True, eq=False)
class KeptSegment:
    """A segment with what the keep rule left of it.

    segment: without its blocks. mask: [target, source], the kept pairs; kernels: theirs. sha256: of the dense tensor,
    once it is computed. blocks: every kernel in half precision, if that was asked for.
    """

    segment: Segment
    mask: Mask
    kernels: tuple[Kernels, ...]
    sha256: Future[str]
    blocks: tuple[KernelBlock, ...] = ()


def layer_table(layers: Sequence[ExpandedLayer]) -> pa.Table:
    """name, depth, kind, module, width, stride_px, rf_px, start_px; one row a layer, in order of depth."""
    steps = [layer.step for layer in layers]
    return pa.table(
        {
            "name": pa.array([layer.layer.name for layer in layers], pa.string()),
            "depth": pa.array(range(len(layers)), pa.int32()),
            "kind": pa.array([step.node.operation for step in steps], pa.string()),
            "module": pa.array([layer.layer.module for layer in layers], pa.string()),
            "width": pa.array([step.width for step in steps], pa.int32()),
            "stride_px": pa.array([step.y.stride or None for step in steps], pa.float64()),
            "rf_px": pa.array([max(a.high - a.low + 1 for a in (step.y, step.x)) for step in steps], pa.float64()),
            "start_px": pa.array([step.y.centre for step in steps], pa.float64()),
        }
    )


def unit_table(layers: Sequence[ExpandedLayer], kept: Sequence[KeptSegment], steps: Sequence[Step]) -> pa.Table:
    """layer, depth, index, kind, branch, bias, in_norm, energy_kept_in, energy_kept_out; one row a unit.

    Skips count neither for `in_norm` nor for the energies, which are missing where there are no edges to keep.
    """
    into, kept_into = _energies(kept, lambda segment: segment.target, axis=1)
    out_of, kept_out_of = _energies(kept, lambda segment: segment.source, axis=0)
    widths = [layer.step.width for layer in layers]
    total_in, total_out, kept_in, kept_out = (
        np.concatenate([energies.get(layer.step.index, np.zeros(layer.step.width)) for layer in layers])
        for energies in (into, out_of, kept_into, kept_out_of)
    )
    names = np.repeat(np.arange(len(layers)), widths)
    return pa.table(
        {
            "layer": pa.array([layer.layer.name for layer in layers], pa.string()).take(pa.array(names)),
            "depth": pa.array(names.astype(np.int32)),
            "index": pa.array(np.concatenate([np.arange(width, dtype=np.int32) for width in widths])),
            "kind": pa.array(np.full(len(names), "neuron", dtype=object), pa.string()),
            "branch": pa.array([branch for layer in layers for branch in _branches(layer, steps)], pa.string()),
            "bias": pa.array(np.concatenate([layer.form.constant.numpy() for layer in layers]).astype(np.float64)),
            "in_norm": pa.array(np.sqrt(total_in), mask=total_in == 0),
            "energy_kept_in": energy_part(kept_in, total_in),
            "energy_kept_out": energy_part(kept_out, total_out),
        }
    )


def _energies(
    kept: Iterable[KeptSegment], end: Callable[[Segment], int], axis: int
) -> tuple[dict[int, Reals], dict[int, Reals]]:
    """Squared strength at each unit of each layer at one end of its segments, in all and of kept edges."""
    total: dict[int, Reals] = {}
    of_kept: dict[int, Reals] = {}
    for part in kept:
        if not part.segment.skip:
            energy = np.square(part.segment.strength, dtype=np.float64)
            layer = end(part.segment)
            total[layer] = total.get(layer, 0) + energy.sum(axis)
            of_kept[layer] = of_kept.get(layer, 0) + energy.sum(axis, where=part.mask)
    return total, of_kept


def _branches(layer: ExpandedLayer, steps: Sequence[Step]) -> list[str | None]:
    """The branch of each unit: the part of its last linear operation's module path that differs between branches."""
    origins = layer.form.origin.tolist()
    paths = {i: steps[i].node.module.split(".") for i in set(origins) if i >= 0}
    if len({tuple(path) for path in paths.values()}) < 2:
        return [None] * len(origins)
    common = next(i for i, parts in enumerate(zip_longest(*paths.values())) if len(set(parts)) > 1)
    names = {i: path[common] if common < len(path) else None for i, path in paths.items()}
    return [names.get(i) for i in origins]


def edge_table(layers: Sequence[ExpandedLayer], kept: Sequence[KeptSegment]) -> pa.Table:
    """Every kept edge with all properties of the registry; source and target are rows of the unit table."""
    starts = _starts(layers)
    by_index = {layer.step.index: layer.step for layer in layers}
    share, rank_in, rank_out = _standing(kept)
    work = []
    for place, part in enumerate(kept):
        at = 0
        for kernels in part.kernels:
            some = slice(at, at + len(kernels.targets))
            at += len(kernels.targets)
            standing = {"share": share[place][some], "rank_in": rank_in[place][some], "rank_out": rank_out[place][some]}
            work.append((part.segment, kernels, by_index, starts, standing))
    with ThreadPoolExecutor() as threads:  # measuring is arithmetic on arrays, which leaves the interpreter free
        parts = list(threads.map(lambda arguments: _edges(*arguments), work))
    return pa.concat_tables(parts or [_edges_of_none()]).combine_chunks()


def _starts(layers: Sequence[ExpandedLayer]) -> dict[int, int]:
    ends = np.cumsum([layer.step.width for layer in layers])
    return {layer.step.index: int(end) - layer.step.width for layer, end in zip(layers, ends, strict=True)}


def _standing(kept: Sequence[KeptSegment]) -> tuple[list[Reals], list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
    """Share, rank among the target's inputs and rank among the source's outputs of the kept edges of each segment."""
    share: list[Reals] = [np.empty(0)] * len(kept)
    rank_in: list[npt.NDArray[Any]] = [np.empty(0)] * len(kept)
    rank_out: list[npt.NDArray[Any]] = [np.empty(0)] * len(kept)
    pairs = [_pairs(part.kernels) for part in kept]
    for places in _grouped(kept, lambda segment: (segment.target, segment.skip)).values():
        strength = np.concatenate([kept[place].segment.strength for place in places], axis=1)
        total = np.square(strength, dtype=np.float64).sum(axis=1)
        start = 0
        for place in places:
            targets, sources = pairs[place]
            own = kept[place].segment.strength[targets, sources].astype(np.float64)
            share[place] = own * own / total[targets]
            rank_in[place] = ranks(strength, targets, sources + start)
            start += kept[place].segment.strength.shape[1]
    for places in _grouped(kept, lambda segment: (segment.source, segment.skip)).values():
        strength = np.concatenate([kept[place].segment.strength.T for place in places], axis=1)
        start = 0
        for place in places:
            targets, sources = pairs[place]
            rank_out[place] = ranks(strength, sources, targets + start)
            start += kept[place].segment.strength.shape[0]
    return share, rank_in, rank_out


def _pairs(kernels: Sequence[Kernels]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    none = np.empty(0, dtype=np.intp)
    return (
        np.concatenate([none, *(some.targets for some in kernels)]),
        np.concatenate([none, *(some.sources for some in kernels)]),
    )


def _grouped(
    kept: Sequence[KeptSegment], key: Callable[[Segment], tuple[int, bool]]
) -> Mapping[tuple[int, bool], list[int]]:
    groups: dict[tuple[int, bool], list[int]] = {}
    for place, part in enumerate(kept):
        groups.setdefault(key(part.segment), []).append(place)
    return groups


def _edges(
    segment: Segment,
    kernels: Kernels,
    steps: Mapping[int, Step],
    starts: Mapping[int, int],
    standing: Mapping[str, npt.NDArray[Any]],
) -> pa.Table:
    source, target = steps[segment.source], steps[segment.target]
    y, x = (from_centre(kernels.offset[axis], target, source, axis, kernels.whole) for axis in (0, 1))
    count, height, width = kernels.kernels.shape
    measured = measure(kernels.kernels, y, x, source.y.stride)
    # The dense matrices decided about ranks and shares; the edges say the same numbers.
    measured["weight"] = segment.weight[kernels.targets, kernels.sources].astype(np.float64)
    measured["strength"] = segment.strength[kernels.targets, kernels.sources].astype(np.float64)
    kinds = np.where(measured["weight"] < 0, 1, 0) + 2 * int(segment.skip)
    names = [EdgeKind.EXCITES.value, EdgeKind.INHIBITS.value, EdgeKind.SKIP.value, EdgeKind.SKIP.value]
    size = height * width
    entries = pa.array(np.ascontiguousarray(kernels.kernels, dtype=np.float32).reshape(-1))
    lists = pa.array(np.arange(0, count * size + 1, size, dtype=np.int32))
    return pa.table(
        {
            "source": pa.array((kernels.sources + starts[segment.source]).astype(np.int32)),
            "target": pa.array((kernels.targets + starts[segment.target]).astype(np.int32)),
            "kind": pa.array(names, pa.string()).take(pa.array(kinds)),
            **{name: pa.array(values, from_pandas=True) for name, values in measured.items()},
            "share": pa.array(standing["share"]),
            "rank_in": pa.array(standing["rank_in"], pa.int32()),
            "rank_out": pa.array(standing["rank_out"], pa.int32()),
            "kernel": pa.ListArray.from_arrays(lists, entries),
            "kernel_h": pa.array(np.full(count, height, dtype=np.int32)),
            "kernel_w": pa.array(np.full(count, width, dtype=np.int32)),
            "offset_y": pa.array(np.full(count, y)),
            "offset_x": pa.array(np.full(count, x)),
        }
    )


def _edges_of_none() -> pa.Table:
    real = {name: pa.array([], pa.float64()) for name in measure(np.empty((0, 1, 1)), 0.0, 0.0, 1.0)}
    whole = {name: pa.array([], pa.int32()) for name in ("source", "target", "rank_in", "rank_out")}
    sizes = {"kernel_h": pa.array([], pa.int32()), "kernel_w": pa.array([], pa.int32())}
    offsets = {name: pa.array([], pa.float64()) for name in ("share", "offset_y", "offset_x")}
    lists = {"kind": pa.array([], pa.string()), "kernel": pa.array([], pa.list_(pa.float32()))}
    return pa.table({**whole, **real, **sizes, **offsets, **lists})


def segment_table(layers: Sequence[ExpandedLayer], kept: Sequence[KeptSegment], keep: str) -> pa.Table:
    """One row a pair of layers with weights, and one more where units are handed on."""
    names = {layer.step.index: layer.layer.name for layer in layers}
    rows = []
    for part in kept:
        segment = part.segment
        energy, energy_kept = energies(part)
        rows.append(
            {
                "source_layer": names[segment.source],
                "target_layer": names[segment.target],
                "kernel_h": segment.size[0],
                "kernel_w": segment.size[1],
                "stride": segment.stride[0] or None,
                "method": METHOD,
                "pool_rule": POOL_RULE if segment.history.pooled else None,
                "relus_skipped": len(segment.history.skipped),
                "linear": not segment.history.frozen,
                "skip": segment.skip,
                "keep": keep,
                "energy_kept": min(energy_kept / energy, 1.0),
                "edges": int(part.mask.sum()),
                "dense_sha256": part.sha256.result(),
            }
        )
    texts = ("source_layer", "target_layer", "method", "pool_rule", "keep", "dense_sha256")
    whole = ("kernel_h", "kernel_w", "stride", "relus_skipped", "edges")
    types = {**dict.fromkeys(texts, pa.string()), **dict.fromkeys(whole, pa.int32())}
    types |= {"linear": pa.bool_(), "skip": pa.bool_(), "energy_kept": pa.float64()}
    order = [p.name for p in properties(Record.SEGMENT)]
    return pa.Table.from_pylist(rows, pa.schema([(name, types[name]) for name in order]))


def energies(part: KeptSegment) -> tuple[float, float]:
    """Squared strength of all pairs of a segment, and of the kept ones."""
    energy = np.square(part.segment.strength, dtype=np.float64)
    return float(energy.sum()), float(energy.sum(where=part.mask))
