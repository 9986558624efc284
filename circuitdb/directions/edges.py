"""The edges of directions: which are kept, and where they stand among those of neurons.

In come the weights of a model and coefficients, out come tables of edges. Shares and ranks compare an edge with those
of neurons alone, so that no neuron's edge changes when a direction comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph
from circuitdb.directions.combining import Combined, Integers, NeuronAt, Reals, Weights, measured_of
from circuitdb.graph import EdgeKind, UnitKind
from circuitdb.keep import Mask, Strengths, kept_in, ranks, strongest
from circuitdb.keep_rule import KeepRule

BYTES_AT_ONCE = 256 << 20
"""Kernels of so many bytes are in memory at once: the directions are taken a few at a time."""


@dataclass(frozen=True, eq=False)
class Units:
    """Where the units of a model are.

    rows: [unit], the new row of each. layers: names in key order. stride: input pixels between a layer's cells, 0 where
    it has one. neurons: by layer, the new rows of its neurons by index, -1 where there is none. directions: by layer
    the new rows [direction] and coefficients [direction, neuron] of those that have any.
    """

    rows: Integers
    layers: tuple[str, ...]
    stride: Mapping[str, float]
    neurons: Mapping[str, Integers]
    directions: Mapping[str, tuple[Integers, Reals]]

    @staticmethod
    def of(graph: ModelGraph, rows: Integers) -> Units:
        """Of a model whose units get these rows."""
        listed = sorted(graph.layers.to_pylist(), key=lambda row: (row["depth"], row["name"]))
        layer = np.array(graph.units["layer"].to_pylist(), dtype=object)
        index = graph.units["index"].to_numpy().astype(np.int64)
        direction = np.array(graph.units["kind"].to_pylist(), dtype=object) == UnitKind.DIRECTION
        has = np.zeros(len(index), dtype=np.bool_)
        if "coefficients" in graph.units.column_names:
            has = pc.is_valid(graph.units["coefficients"]).to_numpy() & direction
        neurons, directions = {}, {}
        for row in listed:
            here = np.flatnonzero((layer == row["name"]) & ~direction)
            neurons[row["name"]] = np.full(row["width"], -1, dtype=np.int64)
            neurons[row["name"]][index[here]] = rows[here]
            combined = np.flatnonzero((layer == row["name"]) & has)
            if len(combined):
                numbers = graph.units["coefficients"].take(pa.array(combined)).to_pylist()
                directions[row["name"]] = rows[combined], np.array(numbers, dtype=np.float64)
        stride = {row["name"]: row.get("stride_px") or 0.0 for row in listed}
        return Units(rows, tuple(row["name"] for row in listed), stride, neurons, directions)

    def widths(self) -> dict[str, int]:
        """By layer its number of neurons."""
        return {name: len(rows) for name, rows in self.neurons.items()}

    def neuron_at(self) -> NeuronAt:
        """By the old row of a neuron, its layer and index."""
        at = {int(row): (name, i) for name, rows in self.neurons.items() for i, row in enumerate(rows)}
        return {old: at[new] for old, new in enumerate(self.rows.tolist()) if new in at}


class _Reference:
    """The strengths [unit, edge] of neurons' edges at one end, with which others are compared."""

    def __init__(self, strength: Strengths) -> None:
        self._ordered = np.sort(strength, axis=1)
        self.energy: Reals = np.square(strength, dtype=np.float64).sum(axis=1)

    def stronger(self, values: Strengths) -> Integers:
        """How many are stronger than each of the values [unit, value]."""
        width = self._ordered.shape[1]
        counts = np.empty(values.shape, dtype=np.int64)
        for row, own in enumerate(values):
            counts[row] = width - np.searchsorted(self._ordered[row], own, side="right")
        return counts

    def kept(self, rule: KeepRule, values: Strengths) -> Mask:
        """Whether a rule that looks at inputs alone keeps inputs of such strengths [unit, value] beside these."""
        if rule.kind == "max":
            largest = self._ordered.max(axis=1, initial=0)
            return np.asarray(values >= np.float32(rule.value) * largest[:, None])
        if rule.kind == "energy":
            falling = np.square(self._ordered[:, ::-1], dtype=np.float64)
            before = np.pad(np.cumsum(falling, axis=1), ((0, 0), (1, 0)))
            above = np.take_along_axis(before, self.stronger(values), axis=1)
            return np.asarray(above < rule.value * self.energy[:, None])
        return np.ones(values.shape, dtype=np.bool_)


@dataclass(eq=False)
class Sums:
    """Squared strengths of new directions with neurons, in all and of kept edges [direction], of inputs and outputs."""

    count: int
    total: dict[bool, Reals] = field(default_factory=dict)
    kept: dict[bool, Reals] = field(default_factory=dict)

    def add(self, at_target: bool, part: slice, total: Reals, kept: Reals) -> None:
        """Write down those of some directions, of their inputs (`at_target`) or outputs."""
        for sums, values in ((self.total, total), (self.kept, kept)):
            sums.setdefault(at_target, np.zeros(self.count))[part] = values

    def of(self, at_target: bool) -> tuple[Reals, Reals]:
        """In all, and kept."""
        nothing = np.zeros(self.count)
        return self.total.get(at_target, nothing), self.kept.get(at_target, nothing)


class Network:
    """All weights of one kind, skips or the others, and the edges of directions that follow from them."""

    def __init__(self, weights: Sequence[Weights], units: Units, rule: KeepRule, skip: bool) -> None:
        self._units, self._rule, self._skip = units, rule, skip
        place = {name: number for number, name in enumerate(units.layers)}
        self._at = {
            at_target: {
                name: sorted(
                    (some for some in weights if (some.target if at_target else some.source) == name),
                    key=lambda some: place[some.other(at_target)],
                )
                for name in units.layers
            }
            for at_target in (True, False)
        }
        self._references: dict[tuple[str, bool, bool], _Reference] = {}

    def slices(self, layer: str, count: int, at_target: bool) -> Iterator[slice]:
        """The directions of a layer, as many at a time as have their kernels in the memory that is allowed."""
        each = sum(4 * some.others(at_target) * some.size[0] * some.size[1] for some in self._at[at_target][layer])
        step = max(1, BYTES_AT_ONCE // max(each, 1))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def edges(
        self, layer: str, made: Reals, rows: Integers, at_target: bool, sums: Sums | None, part: slice
    ) -> Iterator[pa.Table]:
        """The kept edges into directions [direction, neuron] of a layer, or out of them, whose rows are given."""
        beside = self._at[at_target][layer]
        if not beside:
            return
        neurons = [some.combined(made, at_target) for some in beside]
        own = np.concatenate([some.strength for some in neurons], axis=1)
        reference = _Reference(own)
        if self._rule.kind == "top":
            near = strongest(own, int(self._rule.value))
        else:
            near = kept_in(self._rule, own) if at_target else np.zeros(own.shape, dtype=np.bool_)
        kept_energy = np.zeros(len(made))
        start = 0
        for some, combined in zip(beside, neurons, strict=True):
            columns = slice(start, start + combined.strength.shape[1])
            other = some.other(at_target)
            far = self._neurons(other, not at_target)
            mask = self._kept(near[:, columns], combined.strength, far, at_target)
            mask &= self._units.neurons[other] >= 0
            kept_energy += np.square(combined.strength, dtype=np.float64).sum(axis=1, where=mask)
            direction, at = np.nonzero(mask)
            rank_near = ranks(own, direction, at + start).astype(np.int64)
            yield self._table(
                some, combined, (direction, at), rows, self._units.neurons[other], rank_near, reference, far, at_target
            )
            start = columns.stop
            if other in self._units.directions:
                there, theirs = self._units.directions[other]
                both = combined.along(theirs)
                far = self._directions(other, not at_target)
                among = reference.stronger(both.strength)
                if self._rule.kind == "top":
                    near_there = among < int(self._rule.value)
                else:
                    near_there = reference.kept(self._rule, both.strength)
                mask = self._kept(near_there, both.strength, far, at_target)
                direction, at = np.nonzero(mask)
                rank_near = among[direction, at] + 1
                yield self._table(some, both, (direction, at), rows, there, rank_near, reference, far, at_target)
        if sums is not None:
            sums.add(at_target, part, reference.energy, kept_energy)

    def _kept(self, near: Mask, strength: Strengths, far: _Reference, at_target: bool) -> Mask:
        """What the keep rule keeps of edges [direction, other], `near` being what it keeps at the directions' end."""
        if self._rule.kind == "top":
            mask = near | (int(self._rule.value) > far.stronger(strength.T).T)
        else:
            mask = near if at_target else far.kept(self._rule, strength.T).T
        return np.asarray(mask & (strength > 0))

    def _neurons(self, layer: str, at_target: bool) -> _Reference:
        """The strengths of the inputs, or of the outputs, of a layer's neurons."""
        key = (layer, at_target, False)
        if key not in self._references:
            beside = self._at[at_target][layer]
            strengths = [some.strength if at_target else some.strength.T for some in beside]
            self._references[key] = _Reference(np.concatenate(strengths, axis=1))
        return self._references[key]

    def _directions(self, layer: str, at_target: bool) -> _Reference:
        """The strengths of the inputs from neurons, or of the outputs to them, of the directions that a layer has."""
        key = (layer, at_target, True)
        if key not in self._references:
            beside, (_, coefficients) = self._at[at_target][layer], self._units.directions[layer]
            strengths = [
                np.concatenate([some.combined(coefficients[part], at_target).strength for some in beside], axis=1)
                for part in self.slices(layer, len(coefficients), at_target)
            ]
            self._references[key] = _Reference(np.concatenate(strengths))
        return self._references[key]

    def _table(
        self,
        weights: Weights,
        combined: Combined,
        pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
        rows: Integers,
        there: Integers,
        rank_near: npt.NDArray[np.integer],
        near: _Reference,
        far: _Reference,
        at_target: bool,
    ) -> pa.Table:
        """The table of some edges (direction, other), with `rows` and `there` as the rows of both."""
        direction, other = pairs
        strength, weight = combined.strength[pairs], combined.weight[pairs]
        rank_far = far.stronger(combined.strength.T)[other, direction] + 1
        energy = near.energy[direction] if at_target else far.energy[other]
        wide = strength.astype(np.float64)
        measured, kernels = measured_of(combined, pairs, weights.offset, self._units.stride[weights.source])
        measured |= {"weight": weight, "strength": wide}
        ends = (there[other], rows[direction]) if at_target else (rows[direction], there[other])
        rank_in, rank_out = (rank_near, rank_far) if at_target else (rank_far, rank_near)
        kind = np.where(weight < 0, EdgeKind.INHIBITS.value, EdgeKind.EXCITES.value)
        if self._skip:
            kind[:] = EdgeKind.SKIP.value
        return pa.table(
            {
                "source": pa.array(ends[0].astype(np.int32)),
                "target": pa.array(ends[1].astype(np.int32)),
                "kind": pa.array(kind.tolist(), pa.string()),
                **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in measured.items()},
                "share": pa.array(_share(wide, energy)),
                "rank_in": pa.array(rank_in.astype(np.int32)),
                "rank_out": pa.array(rank_out.astype(np.int32)),
                **kernels,
            }
        )


def _share(strength: Reals, energy: Reals) -> Reals:
    """The part of a squared strength in all of them; no more than 1, which only rounding would make it."""
    part: Reals = np.divide(strength * strength, energy, out=np.zeros_like(strength), where=energy > 0)
    return np.minimum(part, 1.0)
