"""Null models: a model's graph, shuffled so that its degrees stay and what else makes circuits is lost.

In comes a `ModelGraph`, out come samples: for `edges` the source that each edge has now, for `maps` the ends that each
row of a map has now. A null first walks from the observed graph to a *hub*, and each sample is a walk of the same kind
from there. The walks are symmetric, so the observed graph and the samples are exchangeable, and p is exact however
short the walks are (Besag and Clifford 1989, Generalized Monte Carlo significance tests).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from circuitdb.backends.base import ModelGraph
from circuitdb.graph import EdgeKind

Integers = npt.NDArray[np.int64]

ROUNDS = 12
"""Rounds of a walk. In each, about half of the inputs that two targets do not share change places."""

_IN_THREES = 0.125
"""Of the pairs of targets that could exchange three sources, one of each kind, those that do nothing else."""


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

    A round pairs the targets of each pair of layers at random, and each two exchange sources that only one of them has,
    or it pairs sources, which exchange targets: many swaps of edge ends (Maslov and Sneppen 2002) at once, none in
    another's way. It is the global curveball trade
    of Carstens, Hamann, Meyer, Penschuck, Tran and Wagner 2018, with signs: the sources that excite one of the two and
    do not join the other, those that inhibit one and do not join the other, and those that excite one and inhibit the
    other are exchanged each among themselves, or in threes, one of each kind.
    """

    name = "edges"
    keeps = (
        "each unit's number of exciting, inhibiting and skip edges to and from each layer, and all properties of each "
        "unit's inputs"
    )

    def __init__(self, graph: ModelGraph, rounds: int = ROUNDS) -> None:
        self._rounds = rounds
        edges = graph.edges
        ends = [_integers(edges[end]) for end in ("target", "source")]
        self._source = ends[1]
        self._rank_out = _integers(edges["rank_out"]) if "rank_out" in edges.column_names else None
        skip, inhibits = (np.asarray(pc.equal(edges["kind"], k.value)) for k in (EdgeKind.SKIP, EdgeKind.INHIBITS))
        self._colour = inhibits.astype(np.int64)
        layer = np.unique(np.asarray(graph.units["layer"]).astype(str), return_inverse=True)[1].astype(np.int64)
        self._slots = tuple(_Slots.of(own, other, skip, layer) for own, other in (ends, ends[::-1]))
        self._start: Integers = np.stack([slots.of_edge for slots in self._slots])

    @property
    def free(self) -> int:
        """How many edges may get another source: those of targets that are not alone in their group."""
        slots = self._slots[0]
        return int((np.bincount(slots.group)[slots.group[slots.of_edge]] > 1).sum()) if slots.number else 0

    def hub(self, rng: np.random.Generator) -> Integers:
        """A walk from the observed graph. A state is the slots of each edge, [of its target, of its source][edge]."""
        return self._walk(self._start, rng)

    def sample(self, hub: Integers, rng: np.random.Generator) -> Sample:
        """A walk from the hub; which of a target's inputs a source then becomes is drawn anew."""
        state = self._walk(hub, rng)
        # Halves of edges: for each input of a target the edge of the walk that it becomes, and likewise for outputs.
        inputs, outputs = (self._drawn(own, start, rng) for own, start in zip(state, self._start, strict=True))
        output_of = np.empty_like(outputs)
        output_of[outputs] = np.arange(len(outputs))
        drawn = output_of[inputs]
        return Sample(self._source[drawn], None if self._rank_out is None else self._rank_out[drawn])

    def _drawn(self, state: Integers, start: Integers, rng: np.random.Generator) -> Integers:
        """For each observed edge one of the walk's in the same slot and of the same sign, each once, at random."""
        drawn = np.empty(len(state), dtype=np.int64)
        observed = _in_order(np.arange(len(state)), start * 2 + self._colour)
        drawn[observed] = _in_order(rng.permutation(len(state)), state * 2 + self._colour)
        return drawn

    def _walk(self, state: Integers, rng: np.random.Generator) -> Integers:
        for _ in range(self._rounds if state.size else 0):
            trading = int(rng.integers(2))
            after = state.copy()
            after[trading] = self._round(state[trading], state[1 - trading], trading, rng)
            state = after
        return state

    def _round(self, slot: Integers, other: Integers, trading: int, rng: np.random.Generator) -> Integers:
        """Where the edges stand after a round of trades. slot: [edge], those that trade; other: [edge], at the far end.

        The words are those of trading targets; sources trade likewise.
        """
        slots = self._slots[trading]
        pair_side, slot_of = slots.paired(rng)
        own, far = pair_side[slot], rng.permutation(self._slots[1 - trading].number)[other]
        # The edges by pair of slots, then by source, the sources in random order; two edges of one source side by side.
        edge = _in_order(_in_order(np.arange(len(slot)), far), own >> 1)
        pair, side, source, colour = own[edge] >> 1, own[edge] & 1, far[edge], self._colour[edge]
        first_of_two = np.append((source[1:] == source[:-1]) & (pair[1:] == pair[:-1]), False)
        single = ~first_of_two
        single[1:] &= ~first_of_two[:-1]
        # For each of the three kinds of source that two slots can exchange: where it stands, and on which side (that
        # of the exciting edge, where the source has both signs).
        one_sign = [np.flatnonzero(single & (colour == sign)) for sign in (0, 1)]
        both_signs = np.flatnonzero(first_of_two & (colour != np.roll(colour, -1)))
        exchanged = [*((at, side[at]) for at in one_sign), (both_signs, side[both_signs] ^ colour[both_signs])]
        runs = [_Runs.of(pair[at], slots.pairs) for at, _ in exchanged]
        in_threes = (rng.random(slots.pairs) < _IN_THREES) & np.all([own.first >= 0 for own in runs], axis=0)
        turned = [own.turned(sides, ~in_threes, rng) for own, (_, sides) in zip(runs, exchanged, strict=True)]
        _exchange_threes(turned, [own.first[in_threes] for own in runs])
        moved = side.copy()
        for at, sides in zip(one_sign, turned, strict=False):
            moved[at] = sides
        moved[both_signs] = turned[2] ^ colour[both_signs]
        moved[both_signs + 1] = 1 - moved[both_signs]
        after = np.empty_like(slot)
        after[edge] = slot_of[pair * 2 + moved]
        return after


@dataclass(frozen=True)
class _Slots:
    """A slot holds the edges between one unit and one layer, skips apart. Slots of one group may trade.

    of_edge: [edge], the observed slot. group: [slot], from low to high. pair_at, side_at: [place among the slots], to
    which pair the slot in that place belongs, and which of the two it is.
    """

    of_edge: Integers
    group: Integers
    pair_at: Integers
    side_at: Integers

    @staticmethod
    def of(own: Integers, other: Integers, skip: npt.NDArray[np.bool_], layer: Integers) -> _Slots:
        """The slots of units `own` [edge] towards the layers of units `other` [edge]. layer: [unit]."""
        layers = int(layer.max(initial=0)) + 1
        group, unit = (layer[own] * layers + layer[other]) * 2 + skip, own
        keys, of_edge = np.unique(group * (len(layer) + 1) + unit, return_inverse=True)
        group = np.unique(keys // (len(layer) + 1), return_inverse=True)[1].astype(np.int64)
        sizes = np.bincount(group)
        place = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        pairs = (sizes + 1) // 2
        pair_at = np.repeat(np.cumsum(pairs) - pairs, sizes) + place // 2
        return _Slots(of_edge.astype(np.int64), group, pair_at, place % 2)

    @property
    def number(self) -> int:
        """How many slots there are."""
        return len(self.group)

    @property
    def pairs(self) -> int:
        """How many pairs they make; where a group is odd, one slot stands alone."""
        return int(self.pair_at.max(initial=-1)) + 1

    def paired(self, rng: np.random.Generator) -> tuple[Integers, Integers]:
        """Slots paired at random within their groups: [slot] twice the pair plus the side, and the way back."""
        shuffled = np.argsort(self.group + rng.random(self.number))
        pair_side = np.empty(self.number, dtype=np.int64)
        pair_side[shuffled] = self.pair_at * 2 + self.side_at
        slot_of = np.empty(2 * self.pairs, dtype=np.int64)
        slot_of[pair_side] = np.arange(self.number)
        return pair_side, slot_of


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


@dataclass(frozen=True)
class _Runs:
    """Runs of sources that the same two slots can exchange.

    starts, lengths: [run]. pair: [run], the number of the two slots. first: [pair], where its run starts, -1 without.
    """

    starts: Integers
    lengths: Integers
    pair: Integers
    first: Integers

    @staticmethod
    def of(pair: Integers, pairs: int) -> _Runs:
        """The runs of equal numbers in an array [source], of `pairs` numbers in all."""
        starts = np.flatnonzero(np.append(True, pair[1:] != pair[:-1])) if len(pair) else np.zeros(0, dtype=np.int64)
        first = np.full(pairs, -1, dtype=np.int64)
        first[pair[starts]] = starts
        return _Runs(starts, np.diff(np.append(starts, len(pair))), pair[starts], first)

    def turned(self, sides: Integers, moves: npt.NDArray[np.bool_], rng: np.random.Generator) -> Integers:
        """The sides [source], in each run whose pair moves on by a number of places drawn at random."""
        shift = (rng.random(len(self.starts)) * self.lengths).astype(np.int64) * moves[self.pair]
        start, length = np.repeat(self.starts, self.lengths), np.repeat(self.lengths, self.lengths)
        place = np.arange(len(sides)) - start + np.repeat(shift, self.lengths)
        return sides[start + np.where(place >= length, place - length, place)]


def _exchange_threes(sides: Sequence[Integers], at: Sequence[Integers]) -> None:
    """Let three sources, one of each kind, change sides where both slots keep what they have of each sign.

    That is so where the inhibiting one and the exciting edge of the one of both signs are on one side, and the exciting
    one is on the other.
    """
    excites, inhibits, both = (own[places] for own, places in zip(sides, at, strict=True))
    can = (inhibits == both) & (excites != both)
    for own, places in zip(sides, at, strict=True):
        own[places[can]] = 1 - own[places[can]]


def _in_order(places: Integers, key: Integers) -> Integers:
    """The places in order of their keys, small whole numbers, equal ones as they stood: a counting sort."""
    at = np.arange(len(places))
    shape = (int(key.max(initial=0)) + 1, len(places))
    return sp.coo_array((places, (key[places], at)), shape=shape).tocsr().data


def _integers(column: pa.ChunkedArray) -> Integers:
    return np.asarray(column).astype(np.int64)


def _with(table: pa.Table, name: str, values: Integers | None, type_: pa.DataType) -> pa.Table:
    if values is None:
        return table
    return table.set_column(table.column_names.index(name), name, pa.array(values, type_))
