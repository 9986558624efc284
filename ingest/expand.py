"""Expanded weights of a whole network by kernel algebra.

In comes a network and a picture, out come the tables of its graph: layers, units, edges, segments, and the weight and
strength of every pair. The network is traced once, made linear between its feature layers, and each feature layer is
written as kernels over the feature layers before it (Olah et al. 2020, Zoom In, footnote 5; Voss et al. 2021,
Visualizing Weights).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from circuitdb.backends.base import Dense, KernelBlock, Progress
from circuitdb.errors import InputError
from circuitdb.keep import Mask, kept_in, kept_out
from circuitdb.keep_rule import KeepRule
from ingest.forms import Form, apply, identity, of_pictures
from ingest.layers import FeatureLayer, ancestors, find_layers
from ingest.linearise import linearise
from ingest.segments import Kernels, Segment, dense_sha256, kernel_blocks, kernels_of, segments_into, tensor_bytes
from ingest.steps import Centre, Convolve, Scale, Start, Step
from ingest.tables import ExpandedLayer, KeptSegment, edge_table, energies, layer_table, segment_table, unit_table
from ingest.tracing import trace

_HASHING_BYTES = 256 << 20
"""How much may wait for its hash before the walk through the network waits too."""


@dataclass(frozen=True)
class Expansion:
    """A network as the tables of a graph, with the columns of `ModelGraph`.

    layers: in order of depth. units: in the order of their layers and indices. edges: kept edges, source and target
    being rows of `units`. segments: pairs of layers that have weights. dense: weight and strength of every pair, by
    (source layer, target layer), skips not included. keep: the rule, as text. energy_kept: part of all squared weights
    that kept edges carry. absent: feature layers left out for want of weights. left_out: what of the network is not
    read, in words, or "".
    """

    layers: pa.Table
    units: pa.Table
    edges: pa.Table
    segments: pa.Table
    dense: dict[tuple[str, str], Dense] = field(repr=False)
    keep: str
    energy_kept: float
    absent: tuple[str, ...] = ()
    left_out: str = ""


def expand(
    network: nn.Module,
    example: Tensor,
    *,
    keep: KeepRule | str = "top32",
    dense: bool = False,
    layers: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    absent: Collection[str] = (),
    progress: Progress | None = None,
) -> Expansion:
    """The expanded weights between the feature layers of a network.

    Parameters
    ----------
    network
        Any module that one forward pass can trace; it runs in eval mode and is left as it was.
    example
        [pictures, channels, height, width]. Weights depend on its numbers only where the network's factors do
        (squeeze-and-excite gates, layer norm): those are frozen at their mean over the pictures, and the segment is
        not `linear`.
    keep
        Which pairs become edges: `topN`, `maxX`, `energyX` or `all`.
    dense
        Keep every kernel, in half precision.
    layers
        Module paths that are to be the feature layers; without them the cut rule finds them.
    names
        Display names of layers by module path or found name.
    absent
        Module paths whose weights are not there. Layers that need them are left out, and so is a layer that reads such
        a layer besides others.
    progress
        Is told how many layers are done.

    Raises
    ------
    InputError
        If the network cannot be traced, if an operation on the way has no rule, if a named module or the keep rule
        does not exist, or if no layer is left.
    """
    rule = KeepRule.parse(keep) if isinstance(keep, str) else keep
    traced = trace(network, example)
    steps = linearise(traced)
    reading = find_layers(traced, steps, layers, names)
    present: list[ExpandedLayer] = []
    candidates: list[_Candidates] = []
    with torch.no_grad(), _Hashing() as hashing:
        for layer, segments in expanded_segments(steps, reading.layers, absent):
            present.append(layer)
            for segment, mask in _kept_inputs(segments, rule):
                blocks = kernel_blocks(segment, steps[segment.target], steps[segment.source]) if dense else ()
                outputs = kept_out(rule, np.ascontiguousarray(segment.strength.T))
                kernels = tuple(kernels_of(segment, mask if outputs is None else mask | outputs.T))
                bare = replace(segment, blocks=())
                candidates.append(_Candidates(bare, mask, outputs, kernels, hashing.of(segment), tuple(blocks)))
            if progress is not None:
                progress("expanding", len(present), len(reading.layers))
        if not present:
            raise InputError("no feature layer has all its weights")
        kept = _kept(candidates, rule)
        by_step = {layer.step.index: layer.layer.name for layer in present}
        matrices = {
            (by_step[part.segment.source], by_step[part.segment.target]): Dense(
                part.segment.weight, part.segment.strength, part.blocks
            )
            for part in kept
            if not part.segment.skip
        }
        energy, energy_kept = np.sum([energies(part) for part in kept if not part.segment.skip] or [(0, 0)], axis=0)
        return Expansion(
            layers=layer_table(present),
            units=unit_table(present, kept, steps),
            edges=edge_table(present, kept),
            segments=segment_table(present, kept, str(rule)),
            dense=matrices,
            keep=str(rule),
            energy_kept=min(float(energy_kept / energy), 1.0) if energy else 1.0,
            absent=tuple(layer.name for layer in reading.layers if layer.step not in by_step),
            left_out=reading.left_out,
        )


@dataclass(frozen=True, eq=False)
class _Candidates:
    """A segment without its blocks, and the kernels of all pairs that the keep rule may yet keep.

    inputs: [target, source], what it keeps as inputs. outputs: [source, target], what it would keep as outputs if the
    source had no other targets, which is no less than it will keep.
    """

    segment: Segment
    inputs: Mask
    outputs: Mask | None
    kernels: tuple[Kernels, ...]
    sha256: Future[str]
    blocks: tuple[KernelBlock, ...]


class _Hashing:
    """Hashes dense tensors on a second thread, beside the algebra, and lets only so much wait for it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[int, Future[str]]] = deque()

    def __enter__(self) -> _Hashing:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, segment: Segment) -> Future[str]:
        """The hash of a segment's dense tensor, some time."""
        while sum(size for size, _ in self._waiting) > _HASHING_BYTES:
            self._waiting.popleft()[1].result()
        future = self._pool.submit(dense_sha256, segment)
        self._waiting.append((tensor_bytes(segment), future))
        return future


def expanded_segments(
    steps: Sequence[Step], layers: Sequence[FeatureLayer], absent: Collection[str]
) -> Iterator[tuple[ExpandedLayer, list[Segment]]]:
    """The feature layers that have their weights, in order, each with the segments that end in it."""
    ends = {layer.step: layer for layer in layers}
    live = ancestors(steps, ends)
    last_use = {source: index for index in live for source in steps[index].inputs}
    widths = {index: steps[index].width for index in ends}
    forms: dict[int, Form] = {}
    without_weights: set[int] = set()
    for index in live:
        step = steps[index]
        form = (
            of_pictures(step.width) if isinstance(step.action, Start) else apply(step, [forms[i] for i in step.inputs])
        )
        missing = _is_absent(step, absent) or not without_weights.isdisjoint(set(step.inputs) - set(ends))
        if index in ends:
            sources = {block.source for block in form.blocks}
            gone = sources & without_weights
            if missing or (gone and gone != sources):
                without_weights.add(index)
            else:
                layer = ExpandedLayer(ends[index], step, replace(form, blocks=()))
                yield layer, [] if gone else segments_into(step, form, widths)
            form = identity(index, step.width)
        elif missing:
            without_weights.add(index)
        forms[index] = form
        for source in step.inputs:
            if last_use[source] == index:
                forms.pop(source, None)


def _is_absent(step: Step, absent: Collection[str]) -> bool:
    if not isinstance(step.action, Convolve | Scale | Centre):
        return False
    path = step.node.module
    return any(path == missing or path.startswith(f"{missing}.") for missing in absent)


def _kept_inputs(segments: Sequence[Segment], rule: KeepRule) -> Iterator[tuple[Segment, Mask]]:
    """The segments into one layer, each with what the rule keeps as inputs; skips are a competition of their own."""
    for skip in (False, True):
        some = [segment for segment in segments if segment.skip == skip]
        if some:
            mask = kept_in(rule, np.concatenate([segment.strength for segment in some], axis=1))
            ends = np.cumsum([segment.strength.shape[1] for segment in some])
            yield from zip(some, np.split(mask, ends[:-1], axis=1), strict=True)


def _kept(candidates: Sequence[_Candidates], rule: KeepRule) -> list[KeptSegment]:
    """What the rule keeps, all targets of every source known."""
    by_source: dict[tuple[int, bool], list[int]] = {}
    for place, part in enumerate(candidates):
        by_source.setdefault((part.segment.source, part.segment.skip), []).append(place)
    masks = [part.inputs for part in candidates]
    for places in by_source.values():
        outputs = candidates[places[0]].outputs
        if len(places) > 1:
            outputs = kept_out(rule, np.concatenate([candidates[i].segment.strength.T for i in places], axis=1))
        if outputs is not None:
            ends = np.cumsum([len(masks[i]) for i in places])
            for i, mask in zip(places, np.split(outputs, ends[:-1], axis=1), strict=True):
                masks[i] = masks[i] | mask.T
    return [
        KeptSegment(part.segment, mask, tuple(some.among(mask) for some in part.kernels), part.sha256, part.blocks)
        for part, mask in zip(candidates, masks, strict=True)
    ]
