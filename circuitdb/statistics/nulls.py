"""Null models: a model's graph, shuffled so that its degrees stay and what else makes circuits is lost.

In comes a `ModelGraph`, out come samples: for `edges` the source that each edge has now, for `maps` the ends that each
row of a map has now. A null first walks from the observed graph to a *hub*, and each sample is a walk of the same kind
from there. The walks are symmetric, so the observed graph and the samples are exchangeable, and p is exact however
short the walks are (Besag and Clifford 1989, Generalized Monte Carlo significance tests).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph
from circuitdb.errors import CircuitdbError
from circuitdb.graph import EdgeKind

Integers = npt.NDArray[np.int64]

ROUNDS = 12
"""Rounds of a walk. In each, about half of the inputs that two targets do not share change places."""


@dataclass(frozen=True)
class Sample:
    """What differs from the observed graph; None stands for what does not.

    source, rank_out: [edge], the unit (row of `units`) from which the edge comes now, and its rank among that unit's
    outputs. map_source, map_target: [row of a map], the units that the row now leads from and to.
    """

    source: Integers | None = None
    rank_out: Integers | None = None
    map_source: Integers | None = None
    map_target: Integers | None = None

    def graph(self, observed: ModelGraph) -> ModelGraph:
        """The observed graph with the sample's ends."""
        edges, maps = observed.edges, observed.maps
        edges = _with(edges, "source", self.source, pa.int32())
        edges = _with(edges, "rank_out", self.rank_out, pa.int32())
        if maps is not None:
            maps = _with(_with(maps, "source", self.map_source, pa.int32()), "target", self.map_target, pa.int32())
        return replace(observed, edges=edges, maps=maps)


OBSERVED = Sample()
"""The graph as it is."""


class Null(Protocol):
    """A null model of one graph."""

    name: str
    keeps: str
    """What every sample shares with the observed graph, in words."""

    def hub(self, rng: np.random.Generator) -> Integers:
        """A state from which samples are made, by a walk from the observed graph."""

    def sample(self, hub: Integers, rng: np.random.Generator) -> Sample:
        """A sample, by a walk from the hub."""

    @property
    def free(self) -> int:
        """How many edges or rows can differ at all between samples, at most."""


class EdgeNull:
    """Edges with other sources, every unit's degrees kept.

    Kept, for each pair of layers and apart for EXCITES, INHIBITS and SKIP: how many edges leave each unit and how many
    reach it; and that at most one of EXCITES and INHIBITS, and at most one SKIP, joins two units. An edge keeps its
    target and all that it says of the target's input (weight, share, rank_in, kernel, ...) and gets another source;
    `rank_out` comes along with the source. All such graphs that exchanges reach are equally likely.

    A round pairs the targets of each pair of layers at random, and each two exchange sources that only one of them has:
    many swaps of edge ends (Maslov and Sneppen 2002) at once, none in another's way. It is the global curveball trade
    of Carstens, Hamann, Meyer, Penschuck, Tran and Wagner 2018, with signs: the sources that excite one of the two and
    do not join the other, those that inhibit one and do not join the other, and those that excite one and inhibit the
    other are exchanged each among themselves.
    """

    name = "edges"
    keeps = (
        "each unit's number of exciting, inhibiting and skip edges to and from each layer, and all properties of each "
        "unit's inputs"
    )

    def __init__(self, graph: ModelGraph, rounds: int = ROUNDS) -> None:
        self._rounds = rounds
        edges = graph.edges
        self._source, target = _integers(edges["source"]), _integers(edges["target"])
        self._rank_out = _integers(edges["rank_out"]) if "rank_out" in edges.column_names else None
        skip, inhibits = (np.asarray(pc.equal(edges["kind"], k.value)) for k in (EdgeKind.SKIP, EdgeKind.INHIBITS))
        self._colour = inhibits.astype(np.int64)
        layer = np.unique(np.asarray(graph.units["layer"]).astype(str), return_inverse=True)[1].astype(np.int64)
        layers = int(layer.max(initial=0)) + 1
        # A slot is the inputs that a target has from one layer, by edges or by skips; slots of one group trade.
        slot_keys, slot = np.unique((target * layers + layer[self._source]) * 2 + skip, return_inverse=True)
        self._slot: Integers = slot.astype(np.int64)
        group_keys = layer[slot_keys // (2 * layers)] * 2 * layers + slot_keys % (2 * layers)
        self._group: Integers = np.unique(group_keys, return_inverse=True)[1].astype(np.int64)
        sizes = np.bincount(self._group)
        place = np.arange(len(slot_keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        pairs = (sizes + 1) // 2
        self._pair_at = np.repeat(np.cumsum(pairs) - pairs, sizes) + place // 2
        self._side_at = place % 2
        self._pairs = int(pairs.sum())
        self._units = graph.units.num_rows
        self._unit_bits, self._edge_bits = max(self._units, 2).bit_length(), max(len(target), 2).bit_length()
        if self._pairs.bit_length() + self._unit_bits + self._edge_bits + 2 > 62:
            raise CircuitdbError("the graph is too large to be shuffled in memory")
        self._input_order = np.argsort(self._slot * 2 + self._colour, kind="stable")

    @property
    def free(self) -> int:
        """How many edges may get another source: those of targets that are not alone in their group."""
        return int((np.bincount(self._group)[self._group[self._slot]] > 1).sum()) if len(self._slot) else 0

    def hub(self, rng: np.random.Generator) -> Integers:
        """A walk from the observed graph. A state is the slot in which each source's edge stands: [edge]."""
        return self._walk(self._slot, rng)

    def sample(self, hub: Integers, rng: np.random.Generator) -> Sample:
        """A walk from the hub; which of a target's inputs a source then becomes is drawn anew."""
        slot = self._walk(hub, rng)
        edge = rng.permutation(len(slot))
        packed = ((slot * 2 + self._colour)[edge] << self._edge_bits) | np.arange(len(slot))
        packed.sort()
        drawn = np.empty(len(slot), dtype=np.int64)
        drawn[self._input_order] = edge[packed & ((1 << self._edge_bits) - 1)]
        return Sample(self._source[drawn], None if self._rank_out is None else self._rank_out[drawn])

    def _walk(self, slot: Integers, rng: np.random.Generator) -> Integers:
        for _ in range(self._rounds if len(slot) else 0):
            slot = self._round(slot, rng)
        return slot

    def _round(self, slot: Integers, rng: np.random.Generator) -> Integers:
        shuffled = np.argsort(self._group + rng.random(len(self._group)))
        pair_side = np.empty(len(shuffled), dtype=np.int64)
        pair_side[shuffled] = (self._pair_at << 1) | self._side_at
        slot_of = np.empty(2 * self._pairs, dtype=np.int64)
        slot_of[pair_side] = np.arange(len(shuffled))
        place = rng.permutation(self._units)
        # The edges by pair of slots, then by source, the sources in random order; two edges of one source side by side.
        unit, here = self._unit_bits, self._edge_bits
        own = pair_side[slot]
        packed = (((own >> 1) << unit) | place[self._source]) << 2 | (own & 1) << 1 | self._colour
        packed = (packed << here) | np.arange(len(slot))
        packed.sort()
        edge = packed & ((1 << here) - 1)
        colour, side, source = (packed >> here) & 1, (packed >> (here + 1)) & 1, packed >> (here + 2)
        first_of_two = np.append(source[1:] == source[:-1], False)
        single = ~first_of_two
        single[1:] &= ~first_of_two[:-1]
        both_signs = first_of_two & (colour != np.roll(colour, -1))
        moved = side.copy()
        for exchanged in (single & (colour == 0), single & (colour == 1)):
            at = np.flatnonzero(exchanged)
            moved[at] = _turned(side[at], source[at] >> unit, rng)
        at = np.flatnonzero(both_signs)
        excites_first = colour[at]
        swapped = _turned(excites_first, source[at] >> unit, rng) != excites_first
        moved[at[swapped]], moved[at[swapped] + 1] = 1, 0
        after = np.empty_like(slot)
        after[edge] = slot_of[((source >> unit) << 1) | moved]
        return after


class MapNull:
    """Maps that lead between other units, their structure kept.

    In each layer, units of equal role change places, in all of the maps at once, each arrangement as likely as any
    other. A unit's role is, for each map, whether its row leads to itself, to another unit or nowhere, and whether
    another unit's row leads to it. So invariant units stay invariant, and the numbers of pairs, of mutual pairs and of
    orbits stay; a row's score and the like come along. The edges are as observed.
    """

    name = "maps"
    keeps = "all edges, which units are invariant, which have partners, and how the partners hang together"

    def __init__(self, graph: ModelGraph, names: Collection[str]) -> None:
        rows = graph.maps if graph.maps is not None else pa.table({"map": [], "source": [], "target": []})
        name = np.asarray(rows["map"]).astype(str)
        self._source, self._target = _integers(rows["source"]), _integers(rows["target"])
        self._shuffled = np.isin(name, list(names))
        self._units = graph.units.num_rows
        role = np.unique(np.asarray(graph.units["layer"]).astype(str), return_inverse=True)[1].astype(np.int64)
        for one in sorted(set(names)):
            source, target = (ends[name == one] for ends in (self._source, self._target))
            own = np.zeros(self._units, dtype=np.int64)
            own[target[source != target]] = 1
            own[source] += np.where(source == target, 2, 4)
            role = np.unique(role * 6 + own, return_inverse=True)[1].astype(np.int64)
        in_a_row = np.zeros(self._units, dtype=bool)
        in_a_row[self._source[self._shuffled]] = in_a_row[self._target[self._shuffled]] = True
        self._members = np.flatnonzero(in_a_row)
        self._members = self._members[np.argsort(role[self._members], kind="stable")]
        self._role = role[self._members]

    @property
    def free(self) -> int:
        """How many rows may lead between other units."""
        alone = np.bincount(self._role)[self._role] == 1 if len(self._role) else np.zeros(0, dtype=bool)
        fixed = np.ones(self._units, dtype=bool)
        fixed[self._members[~alone]] = False
        moved = ~(fixed[self._source] & fixed[self._target]) & (self._source != self._target)
        return int((moved & self._shuffled).sum())

    def hub(self, rng: np.random.Generator) -> Integers:
        """The observed graph: samples are drawn at once, without a walk. A state is where each unit's rows go."""
        return np.arange(self._units)

    def sample(self, hub: Integers, rng: np.random.Generator) -> Sample:
        """One arrangement."""
        place = hub.copy()
        place[self._members] = self._members[np.argsort(self._role + rng.random(len(self._role)))]
        source, target = (np.where(self._shuffled, place[end], end) for end in (self._source, self._target))
        return Sample(map_source=source, map_target=target)


def _turned(sides: Integers, pair: Integers, rng: np.random.Generator) -> Integers:
    """In each run of equal pairs, the sides moved on by a number of places drawn at random."""
    if not len(sides):
        return sides
    starts = np.flatnonzero(np.append(True, pair[1:] != pair[:-1]))
    lengths = np.diff(np.append(starts, len(pair)))
    shift = (rng.random(len(starts)) * lengths).astype(np.int64)
    start, length = np.repeat(starts, lengths), np.repeat(lengths, lengths)
    place = np.arange(len(sides)) - start + np.repeat(shift, lengths)
    return sides[start + np.where(place >= length, place - length, place)]


def _integers(column: pa.ChunkedArray) -> Integers:
    return np.asarray(column).astype(np.int64)


def _with(table: pa.Table, name: str, values: Integers | None, type_: pa.DataType) -> pa.Table:
    if values is None:
        return table
    return table.set_column(table.column_names.index(name), name, pa.array(values, type_))
