"""Joining two models: which unit of one answers to pictures as which unit of the other, beside what chance gives.

In come the signatures of two models that saw the same pictures, out comes a `Joined`: rows for the graph and figures
for people. Partners are found on one half of the pictures and scored on the other. Nothing larger than one layer of the
first model times all units of the second is held at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Progress
from circuitdb.errors import InputError
from circuitdb.universality.candidates import Best, Candidates, Partner, keep_best, mean_squares, relative
from circuitdb.universality.chance import Discoveries, Tail, deranged, mixed
from circuitdb.universality.matching import Group, one_to_one, soft_group
from circuitdb.universality.signatures import Floats, Layer, Signatures, Whole

CANDIDATES = 10
"""How many of the other model's units are considered for a unit's one-to-one partner and its group."""
FEWEST_PICTURES = 8
SHUFFLED, MIXED, UNTRAINED = "shuffled pictures", "mixed units", "untrained copy"
_LARGEST_Z = 64.0

Allowed = npt.NDArray[np.bool_]
Halves = tuple[Whole, Whole]


@dataclass(frozen=True)
class Null:
    """What a join gives when one thing is broken on purpose.

    best: [unit of A], the held-out correlation of the best match, mean over samples, NaN for silent units.
    by_layer: [layer of A, layer of B], the mean of the same within every pair of layers.
    """

    name: str
    samples: int
    best: Floats
    by_layer: Floats


@dataclass(frozen=True)
class Joined:
    """A join of model A with model B.

    partners: in order of unit and rank. best: [unit of A], held-out correlation of the best match, NaN where the unit
    is silent; best_size: the same by absolute value. by_layer: [layer of A, layer of B], mean of the best within the
    pair, NaN where it was not joined; by_layer_size: by absolute value. same_on_both: part of A's units whose best
    match is the same unit on either half. ceiling: A joined with itself, each unit's best found and scored alike;
    itself: part of the units that find themselves; another: mean of the best where a unit may not find itself.
    silent: units of A and of B that answer to no picture of one of the halves, and are left out. untrained: names of
    the untrained copies of B. remarks: what the reader of the figures should know, in sentences.
    """

    a: Signatures
    b: Signatures
    halves: Halves
    partners: Sequence[Partner]
    best: Floats
    best_size: Floats
    by_layer: Floats
    by_layer_size: Floats
    nulls: Mapping[str, Null]
    same_on_both: float
    ceiling: float
    itself: float
    another: float
    silent: tuple[int, int]
    pairs_tested: int
    untrained: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    groups: Sequence[Group] = field(default=())

    def mean_best(self) -> float:
        """Mean held-out correlation of the units of A with their best match."""
        return _mean(self.best)


def every_pair(a: Signatures, b: Signatures) -> Allowed:
    """All layers of A with all of B."""
    return np.ones((len(a.layers), len(b.layers)), dtype=bool)


def depth_band(a: Signatures, b: Signatures, width: float = 0.25) -> Allowed:
    """The pairs of layers whose places from first (0) to last (1) differ by no more than `width`."""
    places = [np.linspace(0.0, 1.0, max(len(one.layers), 1)) for one in (a, b)]
    band: Allowed = np.abs(places[0][:, None] - places[1][None, :]) <= width + 1e-9
    return band


def halves_of(a: Signatures, b: Signatures, groups: Sequence[object] | None = None, seed: int = 0) -> Halves:
    """Two halves of the pictures, at random, and pictures of one group (crops of one photograph) in one half.

    Pictures are told apart by what the models answer to them, so their order does not matter.
    """
    marks = [
        min(digests) + max(digests)
        for digests in (
            [hashlib.sha256(one.numbers[:, picture].tobytes()).digest() for one in (a, b)]
            for picture in range(a.pictures)
        )
    ]
    of_group: dict[object, list[int]] = {}
    for picture in range(a.pictures):
        of_group.setdefault(picture if groups is None else groups[picture], []).append(picture)
    known = sorted(
        (sorted(pictures, key=marks.__getitem__) for pictures in of_group.values()), key=lambda g: marks[g[0]]
    )
    if len(known) < FEWEST_PICTURES:
        raise InputError(
            f"{a.model} and {b.model} saw {len(known)} pictures; matching on one half and scoring on the other "
            f"takes {FEWEST_PICTURES} or more"
        )
    order = np.random.default_rng(seed).permutation(len(known))
    first = [picture for place in order[: len(known) // 2] for picture in known[place]]
    second = [picture for place in order[len(known) // 2 :] for picture in known[place]]
    return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)


def join(
    a: Signatures,
    b: Signatures,
    *,
    allowed: Allowed | None = None,
    best: int = 3,
    samples: int = 2,
    seed: int = 0,
    untrained: Sequence[Signatures] = (),
    groups: Sequence[object] | None = None,
    halves: Halves | None = None,
    soft_groups: bool = False,
    progress: Progress | None = None,
) -> Joined:
    """Join two models that saw the same pictures.

    Parameters
    ----------
    a, b
        Signatures over the same pictures, in the same order.
    allowed
        [layer of A, layer of B]: the pairs of layers that are joined; all unless given.
    best
        How many analogues a unit gets.
    samples
        How often each null is drawn.
    seed
        Of the halves and the nulls.
    untrained
        Signatures of untrained copies of B on the same pictures: a third null.
    groups
        For each picture what it belongs to (its photograph); pictures of one group stay in one half.
    halves
        The pictures on which partners are found and those on which they are scored; drawn from the seed unless given.
    soft_groups
        Whether to look for groups of units of B that share a unit's role.

    Returns
    -------
    The join. For a pair of units p is the largest of the chances that the nulls give, each pooled over all pairs and
    samples as (1 + null pairs as high) / (1 + null pairs): that units at shuffled pictures correlate as much; that a
    unit and a random direction of B's layer do; and that a unit and one of an untrained copy of the layer do. Heights
    are measured by the spread of the unit's correlations with the layer's units: of those at shuffled pictures in the
    first case, of its own in the others. q is Benjamini and Hochberg's over all pairs joined. Correlations are those of
    the scored half.

    Raises
    ------
    InputError
        If there are too few pictures.
    """
    if a.numbers.shape[1:] != b.numbers.shape[1:]:
        raise InputError(f"{a.model} and {b.model} have signatures of different lengths")
    run = _Run(a, b, every_pair(a, b) if allowed is None else allowed, best, groups, halves, seed, progress)
    return run.joined(samples, untrained, soft_groups)


@dataclass(frozen=True)
class _Side:
    """The units of a model that answer on both halves: their numbers, rows on the halves, layers as slices of these."""

    units: Whole
    halves: tuple[Floats, Floats]
    layers: tuple[slice, ...]

    @staticmethod
    def of(signatures: Signatures, halves: Halves) -> _Side:
        rows = [signatures.rows(half) for half in halves]
        live = np.flatnonzero(rows[0].any(axis=1) & rows[1].any(axis=1))
        return _Side(live, (rows[0][live], rows[1][live]), _slices(signatures.layers, live))


def _slices(layers: Sequence[Layer], live: Whole) -> tuple[slice, ...]:
    ends = np.searchsorted(live, [layer.stop for layer in layers])
    starts = np.searchsorted(live, [layer.start for layer in layers])
    return tuple(slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True))


@dataclass(frozen=True)
class _Block:
    """Correlations [unit, other unit] of one layer of A with layer `other` of B, on the matched and the scored half."""

    layer: int
    other: int
    matched: Floats
    scored: Floats


class _Run:
    """The steps of one join."""

    def __init__(
        self,
        a: Signatures,
        b: Signatures,
        allowed: Allowed,
        best: int,
        groups: Sequence[object] | None,
        halves: Halves | None,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.a, self.b, self.allowed, self.best = a, b, allowed, best
        self.halves = halves_of(a, b, groups, seed) if halves is None else halves
        names = np.arange(a.pictures) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.groups = names.astype(np.int64)
        self.random = np.random.default_rng((seed, 1))
        self.one, self.two = _Side.of(a, self.halves), _Side.of(b, self.halves)
        self.tails = {name: Tail(-_LARGEST_Z, _LARGEST_Z) for name in (SHUFFLED, MIXED, UNTRAINED)}
        self.shuffled_squares = np.zeros((len(self.one.units), len(b.layers)), dtype=np.float32)
        self.tell: Callable[[str, int, int], None] = progress or (lambda stage, done, total: None)

    def joined(self, samples: int, untrained: Sequence[Signatures], soft_groups: bool) -> Joined:
        nulls = {
            SHUFFLED: self._null(SHUFFLED, samples, self._shuffled),
            MIXED: self._null(MIXED, samples, self._mixed),
        }
        if untrained:
            copies = iter([_Side.of(copy, self.halves) for copy in untrained])
            nulls[UNTRAINED] = self._null(UNTRAINED, len(untrained), lambda: next(copies))
        return self._observed(nulls, tuple(copy.model for copy in untrained), soft_groups)

    def _shuffled(self) -> _Side:
        halves = tuple(
            self.b.rows(half[deranged(self.groups[half], self.random)], self.two.units) for half in self.halves
        )
        return _Side(self.two.units, (halves[0], halves[1]), self.two.layers)

    def _mixed(self) -> _Side:
        halves = mixed(self.two.halves, self.two.layers, self.random)
        return _Side(self.two.units, (halves[0], halves[1]), self.two.layers)

    def _blocks(self, layer: int, other: _Side) -> Iterator[_Block]:
        """The blocks of one layer of A."""
        own = self.one.layers[layer]
        if own.start == own.stop:
            return
        for column in np.flatnonzero(self.allowed[layer]):
            there = other.layers[column]
            if there.start < there.stop:
                rows = [half[own] @ others[there].T for half, others in zip(self.one.halves, other.halves, strict=True)]
                yield _Block(layer, int(column), rows[0], rows[1])

    def _null(self, name: str, samples: int, draw: Callable[[], _Side]) -> Null:
        best = np.zeros(len(self.one.units), dtype=np.float32)
        by_layer = np.zeros(self.allowed.shape, dtype=np.float32)
        share = np.float32(1 / samples)
        for sample in range(samples):
            other = draw()
            for layer, own in enumerate(self.one.layers):
                found = Best(own.stop - own.start)
                for block in self._blocks(layer, other):
                    by_layer[layer, block.other] += share * found.add(block.matched, block.scored).mean()
                    squares = mean_squares(block.scored)
                    self.tails[name].add(relative(block.scored, squares))
                    if name == SHUFFLED:
                        self.shuffled_squares[own, block.other] += share * squares
                best[own] += share * found.scored
            self.tell(name, sample + 1, samples)
        return Null(name, samples, self._spread(best), self._where_joined(by_layer))

    def _observed(self, nulls: Mapping[str, Null], untrained: tuple[str, ...], soft_groups: bool) -> Joined:
        one, two = self.one, self.two
        sources, targets = len(one.units), len(two.units)
        places = np.full((sources, CANDIDATES + self.best), -1, dtype=np.int64)
        matched = np.full(places.shape, -np.inf, dtype=np.float32)
        scored, kept_bins = np.zeros(places.shape, dtype=np.float32), np.zeros(places.shape, dtype=np.int16)
        best, size = np.zeros(sources, dtype=np.float32), np.zeros(sources, dtype=np.float32)
        by_layer, by_size = np.zeros(self.allowed.shape, np.float32), np.zeros(self.allowed.shape, np.float32)
        back, back_matched = np.full(targets, -1, dtype=np.int64), np.full(targets, -np.inf, dtype=np.float32)
        discoveries, tested, same, looked_for = Discoveries(), 0, 0, 0
        bins_of = {name: Discoveries.bin_of(self.tails[name].p()) for name in nulls}
        by_units = np.max([bins_of[name] for name in nulls if name != SHUFFLED], axis=0)

        def chances(block: _Block) -> npt.NDArray[np.int16]:
            """The bins of the largest of the p-values."""
            squares = self.shuffled_squares[one.layers[block.layer], block.other]
            by_pictures = bins_of[SHUFFLED][self.tails[SHUFFLED].bin_of(relative(block.scored, squares))]
            own_squares = mean_squares(block.scored)
            bins: npt.NDArray[np.int16]
            bins = np.maximum(by_pictures, by_units[self.tails[MIXED].bin_of(relative(block.scored, own_squares))])
            return bins

        for layer, own in enumerate(one.layers):
            found, sized, swapped = (Best(own.stop - own.start) for _ in range(3))
            for block in self._blocks(layer, two):
                there = two.layers[block.other]
                bins = chances(block)
                discoveries.add(bins)
                tested += bins.size
                by_layer[layer, block.other] = found.add(block.matched, block.scored, there.start).mean()
                by_size[layer, block.other] = sized.add(np.abs(block.matched), np.abs(block.scored)).mean()
                swapped.add(block.scored, block.matched, there.start)
                keep_best(
                    (matched[own], places[own], scored[own], kept_bins[own]),
                    (block.matched, block.scored, bins),
                    there.start,
                )
                first = block.matched.argmax(axis=0)
                highest = block.matched[first, np.arange(len(first))]
                better = np.flatnonzero(highest > back_matched[there])
                back[there.start + better] = own.start + first[better]
                back_matched[there.start + better] = highest[better]
            best[own], size[own] = found.scored, sized.scored
            same += int(((found.place == swapped.place) & (found.place >= 0)).sum())
            looked_for += int((found.place >= 0).sum())
            self.tell("comparing units", layer + 1, len(one.layers))
        q = discoveries.q(kept_bins)
        rows = Candidates(places, matched, scored, q, back, one_to_one(places, matched, targets))
        chance = np.max([null.best[one.units] for null in nulls.values()], axis=0)
        ceiling, itself, another = self._ceiling()
        return Joined(
            self.a,
            self.b,
            self.halves,
            list(rows.partners(self.best, chance, one.units, two.units)),
            self._spread(best),
            self._spread(size),
            self._where_joined(by_layer),
            self._where_joined(by_size),
            nulls,
            same / max(looked_for, 1),
            ceiling,
            itself,
            another,
            (self.a.units - sources, self.b.units - targets),
            tested,
            untrained,
            groups=self._groups(places, matched) if soft_groups else (),
        )

    def _ceiling(self) -> tuple[float, float, float]:
        """A with itself: mean of the best, part of the units that find themselves, mean of the best other unit."""
        one = self.one
        count, total, itself, another = 0, 0.0, 0, 0.0
        for layer, own in enumerate(one.layers):
            if own.start == own.stop or not self.allowed[layer].any():
                continue
            count += own.stop - own.start
            here = np.arange(own.stop - own.start)
            blocks = [half[own] @ half.T for half in one.halves]
            found = blocks[0].argmax(axis=1)
            total += float(blocks[1][here, found].sum())
            itself += int((found == own.start + here).sum())
            blocks[0][here, own.start + here] = -np.inf
            another += float(blocks[1][here, blocks[0].argmax(axis=1)].sum())
        return total / max(count, 1), itself / max(count, 1), another / max(count, 1)

    def _groups(self, places: Whole, matched: Floats) -> list[Group]:
        one, two = self.one, self.two
        found = []
        for unit, (row, correlations) in enumerate(zip(places, matched, strict=True)):
            candidates = row[(row >= 0) & (correlations > 0)]
            if len(candidates):
                group = soft_group(
                    int(one.units[unit]),
                    (one.halves[0][unit], one.halves[1][unit]),
                    two.units[candidates],
                    (two.halves[0][candidates], two.halves[1][candidates]),
                )
                found.append(group)
        return found

    def _spread(self, values: Floats) -> Floats:
        """Values of A's answering units as values of all its units, NaN for the silent and those not joined."""
        spread = np.full(self.a.units, np.nan, dtype=np.float32)
        for layer, own in enumerate(self.one.layers):
            if self.allowed[layer].any():
                spread[self.one.units[own]] = values[own]
        return spread

    def _where_joined(self, values: Floats) -> Floats:
        def answer(side: _Side) -> Allowed:
            return np.array([layer.stop > layer.start for layer in side.layers])

        there = self.allowed & answer(self.one)[:, None] & answer(self.two)[None, :]
        return np.where(there, values, np.float32(np.nan))


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
