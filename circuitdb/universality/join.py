"""Joining two models: which unit of one answers to pictures as which unit of the other, beside what chance gives.

In come the signatures of two models that saw the same pictures, out comes a `Joined`: rows for the graph and figures
for people. Partners are found on one half of the pictures and scored on the other. Of each model only so many rows are
in memory as `ROWS_BYTES` and its widest layer say; the others are made again from its signatures when they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Progress
from circuitdb.errors import InputError
from circuitdb.universality.candidates import Best, Candidates, Partner, keep_best, mean_squares, relative
from circuitdb.universality.chance import Discoveries, Mixture, Tail, deranged
from circuitdb.universality.matching import Group, one_to_one, soft_group
from circuitdb.universality.signatures import Floats, Signatures, Whole, rows_of

CANDIDATES = 10
"""How many of the other model's units are considered for a unit's one-to-one partner and its group."""
FEWEST_PICTURES = 8
ROWS_BYTES = 384 << 20
"""How many bytes of rows of either model are kept, and how many of the first are made at a time where they are not."""
SHUFFLED, MIXED, UNTRAINED = "shuffled pictures", "mixed units", "untrained copy"
_LARGEST_Z = 64.0

Allowed = npt.NDArray[np.bool_]
Halves = tuple[Whole, Whole]
Rows = tuple[Floats, Floats]
"""Rows [unit, picture · number] of norm 1 on the matched and on the scored half."""
RowsOf = Callable[[int], Rows]
"""The rows of the units of a layer, by its place."""


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
    marks = [min(digests) + max(digests) for digests in zip(a.marks(), b.marks(), strict=True)]
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
    """The units of a model that answer on both halves.

    units: their numbers among all. layers: slices of these. kept: rows that are in memory, by their layer's place.
    """

    signatures: Signatures
    halves: Halves
    units: Whole
    layers: tuple[slice, ...]
    kept: Mapping[int, Rows]

    @staticmethod
    def of(signatures: Signatures, halves: Halves, most_kept: int = 0) -> _Side:
        """Rows of `most_kept` units at most are kept, of the layers of least depth."""
        units: list[Whole] = []
        layers: list[slice] = []
        kept = {}
        for place, layer in enumerate(signatures.layers):
            numbers = signatures.numbers[layer.start : layer.stop]
            live = np.flatnonzero(np.all([numbers[:, half].any(axis=(1, 2)) for half in halves], axis=0))
            start = layers[-1].stop if layers else 0
            layers.append(slice(start, start + len(live)))
            units.append(layer.start + live)
            if layers[-1].stop <= most_kept:
                kept[place] = _rows(numbers, live, halves)
        return _Side(signatures, halves, np.concatenate(units), tuple(layers), kept)

    def rows(self, place: int, halves: Halves | None = None) -> Rows:
        """The rows of a layer's units, on other halves if they are given."""
        if halves is None and place in self.kept:
            return self.kept[place]
        layer = self.signatures.layers[place]
        numbers = self.signatures.numbers[layer.start : layer.stop]
        return _rows(numbers, self.units[self.layers[place]] - layer.start, halves or self.halves)


def _rows(numbers: npt.NDArray[Any], live: Whole, halves: Halves) -> Rows:
    if len(live) < len(numbers):
        numbers = numbers[live]
    return rows_of(numbers, halves[0]), rows_of(numbers, halves[1])


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
        self.most_units = ROWS_BYTES // (4 * math.prod(a.numbers.shape[1:]))
        self.one, self.two = (_Side.of(one, self.halves, self.most_units) for one in (a, b))
        self.tails = {name: Tail(-_LARGEST_Z, _LARGEST_Z) for name in (SHUFFLED, MIXED, UNTRAINED)}
        self.shuffled_squares = np.zeros((len(self.one.units), len(b.layers)), dtype=np.float32)
        self.tell: Callable[[str, int, int], None] = progress or (lambda stage, done, total: None)

    def joined(self, samples: int, untrained: Sequence[Signatures], soft_groups: bool) -> Joined:
        nulls = {
            SHUFFLED: self._null(SHUFFLED, samples, self._shuffled),
            MIXED: self._null(MIXED, samples, self._mixed),
        }
        if untrained:
            copies = iter(untrained)
            nulls[UNTRAINED] = self._null(UNTRAINED, len(untrained), lambda: _Side.of(next(copies), self.halves).rows)
        return self._observed(nulls, tuple(copy.model for copy in untrained), soft_groups)

    def _shuffled(self) -> RowsOf:
        first, second = (half[deranged(self.groups[half], self.random)] for half in self.halves)
        return partial(self.two.rows, halves=(first, second))

    def _mixed(self) -> RowsOf:
        mixtures = [Mixture.drawn(layer.stop - layer.start, self.random) for layer in self.two.layers]

        def rows(place: int) -> Rows:
            matched, scored = self.two.rows(place)
            return mixtures[place].of(matched), mixtures[place].of(scored)

        return rows

    def _blocks(self, other: RowsOf, allowed: Allowed) -> Iterator[_Block]:
        """The blocks of pairs of layers; those of one layer of A come in order of the other layers."""
        for some in self._together():
            own = {layer: self.one.rows(layer) for layer in some if allowed[layer].any()}
            for column in np.flatnonzero(allowed[list(own)].any(axis=0)).tolist():
                there = other(column)
                for layer, here in own.items():
                    if allowed[layer, column] and len(there[0]):
                        yield _Block(layer, column, here[0] @ there[0].T, here[1] @ there[1].T)

    def _together(self) -> Iterator[list[int]]:
        """Layers of A that answer, at once as many as have rows in the memory that is allowed, one at the least."""
        some: list[int] = []
        units = 0
        for layer, own in enumerate(self.one.layers):
            width = own.stop - own.start
            if some and units + width > self.most_units:
                yield some
                some, units = [], 0
            if width:
                some.append(layer)
                units += width
        if some:
            yield some

    def _bests(self) -> list[Best]:
        return [Best(own.stop - own.start) for own in self.one.layers]

    def _null(self, name: str, samples: int, draw: Callable[[], RowsOf]) -> Null:
        best = np.zeros(len(self.one.units), dtype=np.float32)
        by_layer = np.zeros(self.allowed.shape, dtype=np.float32)
        share = np.float32(1 / samples)
        for sample in range(samples):
            found = self._bests()
            for block in self._blocks(draw(), self.allowed):
                by_layer[block.layer, block.other] += share * found[block.layer].add(block.matched, block.scored).mean()
                squares = mean_squares(block.scored)
                self.tails[name].add(relative(block.scored, squares))
                if name == SHUFFLED:
                    self.shuffled_squares[self.one.layers[block.layer], block.other] += share * squares
            best += share * np.concatenate([layer.scored for layer in found])
            self.tell(name, sample + 1, samples)
        return Null(name, samples, self._spread(best), self._where_joined(by_layer))

    def _observed(self, nulls: Mapping[str, Null], untrained: tuple[str, ...], soft_groups: bool) -> Joined:
        one, two = self.one, self.two
        sources, targets = len(one.units), len(two.units)
        places = np.full((sources, CANDIDATES + self.best), -1, dtype=np.int64)
        matched = np.full(places.shape, -np.inf, dtype=np.float32)
        scored, kept_bins = np.zeros(places.shape, dtype=np.float32), np.zeros(places.shape, dtype=np.int16)
        by_layer, by_size = np.zeros(self.allowed.shape, np.float32), np.zeros(self.allowed.shape, np.float32)
        back, back_matched = np.full(targets, -1, dtype=np.int64), np.full(targets, -np.inf, dtype=np.float32)
        discoveries, tested = Discoveries(), 0
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

        found, sized, swapped = (self._bests() for _ in range(3))
        blocks = int(self._answering().sum())
        for done, block in enumerate(self._blocks(two.rows, self.allowed), start=1):
            layer, own, there = block.layer, one.layers[block.layer], two.layers[block.other]
            bins = chances(block)
            discoveries.add(bins)
            tested += bins.size
            by_layer[layer, block.other] = found[layer].add(block.matched, block.scored, there.start).mean()
            by_size[layer, block.other] = sized[layer].add(np.abs(block.matched), np.abs(block.scored)).mean()
            swapped[layer].add(block.scored, block.matched, there.start)
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
            self.tell("comparing units", done, blocks)
        best, size = (np.concatenate([layer.scored for layer in some]) for some in (found, sized))
        place, again = (np.concatenate([layer.place for layer in some]) for some in (found, swapped))
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
            int(((place == again) & (place >= 0)).sum()) / max(int((place >= 0).sum()), 1),
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
        found, others = self._bests(), self._bests()
        joined = np.repeat(self.allowed.any(axis=1, keepdims=True), len(self.one.layers), axis=1)
        for block in self._blocks(self.one.rows, joined):
            start = self.one.layers[block.other].start
            found[block.layer].add(block.matched, block.scored, start)
            if block.layer == block.other:
                np.fill_diagonal(block.matched, -np.inf)
            others[block.layer].add(block.matched, block.scored, start)
        place = np.concatenate([layer.place for layer in found])
        count = max(int(np.count_nonzero(place >= 0)), 1)
        total, another = (float(sum(layer.scored.sum() for layer in some)) for some in (found, others))
        return total / count, int(np.count_nonzero(place == np.arange(len(place)))) / count, another / count

    def _groups(self, places: Whole, matched: Floats) -> list[Group]:
        one, two = self.one, self.two
        found = []
        for unit, (row, correlations) in enumerate(zip(places, matched, strict=True)):
            candidates = row[(row >= 0) & (correlations > 0)]
            if len(candidates):
                rows = self._of_units(self.a, one.units[unit : unit + 1])
                group = soft_group(
                    int(one.units[unit]),
                    (rows[0][0], rows[1][0]),
                    two.units[candidates],
                    self._of_units(self.b, two.units[candidates]),
                )
                found.append(group)
        return found

    def _of_units(self, signatures: Signatures, units: Whole) -> Rows:
        return signatures.rows(self.halves[0], units), signatures.rows(self.halves[1], units)

    def _spread(self, values: Floats) -> Floats:
        """Values of A's answering units as values of all its units, NaN for the silent and those not joined."""
        spread = np.full(self.a.units, np.nan, dtype=np.float32)
        for layer, own in enumerate(self.one.layers):
            if self.allowed[layer].any():
                spread[self.one.units[own]] = values[own]
        return spread

    def _where_joined(self, values: Floats) -> Floats:
        return np.where(self._answering(), values, np.float32(np.nan))

    def _answering(self) -> Allowed:
        """The pairs of layers that are joined and have units that answer."""
        one, two = (np.array([layer.stop > layer.start for layer in side.layers]) for side in (self.one, self.two))
        answering: Allowed = self.allowed & one[:, None] & two[None, :]
        return answering


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
