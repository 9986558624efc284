"""The join on signatures made by hand: it finds what was put there, and no more than it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.optimize
import scipy.stats

from circuitdb.errors import InputError
from circuitdb.universality.chance import Discoveries, Mixture, Tail, deranged
from circuitdb.universality.join import MIXED, SHUFFLED, UNTRAINED, Joined, depth_band, halves_of, join
from circuitdb.universality.matching import one_to_one, soft_group
from circuitdb.universality.signatures import Signatures, of_norm_one
from tests.signatures_made import NUMBERS, PICTURES, noise, permutation, random_network, reordered, signatures


def first_pairs(joined: Joined) -> dict[int, int]:
    return {row.source: row.target for row in joined.partners if row.rank == 1}


def two_models(seed: int = 0, noise_part: float = 0.5) -> tuple[Signatures, Signatures]:
    """Two models of which unit i of the first and unit i of the second answer alike, but for noise."""
    random = np.random.default_rng(seed)
    shared = noise(random, 20, 30)
    return (
        signatures("a", [layer + noise_part * random.standard_normal(layer.shape) for layer in shared]),
        signatures("b", [layer + noise_part * random.standard_normal(layer.shape) for layer in shared]),
    )


def test_a_permuted_rescaled_copy_gives_every_unit_its_partner() -> None:
    random = np.random.default_rng(1)
    a = signatures("a", noise(random, 16, 24))
    order = permutation(a, random)
    b = reordered(a, "b", order)
    found = {row.source: row for row in join(a, b).partners if row.rank == 1}
    assert {source: int(order[row.target]) for source, row in found.items()} == {unit: unit for unit in range(a.units)}
    assert all(row.mutual and row.method == "best, one-to-one" and row.q <= 0.05 for row in found.values())
    assert min(row.score for row in found.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_score_is_the_correlation_on_the_half_that_was_not_matched() -> None:
    a, b = two_models()
    joined = join(a, b)
    match, score = joined.halves
    assert sorted([*match, *score]) == list(range(PICTURES))
    for row in joined.partners[::7]:
        for half, value in ((match, row.matched), (score, row.score)):
            x, y = (one.numbers[unit][half].ravel().astype(float) for one, unit in ((a, row.source), (b, row.target)))
            assert value == pytest.approx(float(x @ y / np.sqrt((x @ x) * (y @ y))), abs=1e-5)


def test_rescaling_a_unit_changes_no_score() -> None:
    random = np.random.default_rng(2)
    layer = noise(random, 12)[0]
    scales = 2.0 ** random.integers(-3, 4, size=(12, 1, 1))
    b = signatures("b", noise(random, 14))
    before, after = join(signatures("a", [layer]), b), join(signatures("a", [layer * scales]), b)
    assert before.partners == after.partners


def test_the_order_of_pictures_does_not_matter() -> None:
    a, b = two_models()
    order = np.random.default_rng(3).permutation(PICTURES)
    moved = [replace(one, numbers=one.numbers[:, order]) for one in (a, b)]
    before, after = join(a, b, seed=4), join(moved[0], moved[1], seed=4)
    assert [set(half) for half in before.halves] == [set(order[half]) for half in after.halves]
    assert first_pairs(before) == first_pairs(after)
    scores = [[row.score for row in joined.partners] for joined in (before, after)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_swapped_halves_give_the_same_pairs() -> None:
    a, b = two_models()
    first, second = halves_of(a, b)
    one, other = join(a, b, halves=(first, second)), join(a, b, halves=(second, first))
    assert first_pairs(one) == first_pairs(other) == {unit: unit for unit in range(a.units)}
    assert one.same_on_both == 1.0


def test_crops_of_one_photograph_stay_in_one_half() -> None:
    a, b = two_models()
    groups = [picture // 3 for picture in range(PICTURES)]
    halves = halves_of(a, b, groups)
    photographs = [{groups[picture] for picture in half} for half in halves]
    assert not photographs[0] & photographs[1]
    assert {len(half) for half in halves} == {PICTURES // 2}


def test_a_shuffle_leaves_no_photograph_where_it_was() -> None:
    random = np.random.default_rng(5)
    for groups in (np.arange(9), np.repeat(np.arange(6), 4), np.array([0, 0, 0, 1, 1, 2, 3, 4])):
        for _ in range(50):
            order = deranged(groups, random)
            assert sorted(order) == list(range(len(groups)))
            assert (groups[order] != groups).all()


def test_the_nulls_lie_below_what_is_observed_and_excess_is_what_is_left() -> None:
    a, b = two_models()
    joined = join(a, b, untrained=[signatures("b untrained", noise(np.random.default_rng(6), 20, 30))])
    assert set(joined.nulls) == {SHUFFLED, MIXED, UNTRAINED}
    assert joined.mean_best() > 0.75
    assert all(abs(float(np.nanmean(null.best))) < 0.35 for null in joined.nulls.values())
    assert abs(float(np.nanmean(joined.nulls[SHUFFLED].best))) < 0.05
    chance = np.max([null.best for null in joined.nulls.values()], axis=0)
    for row in joined.partners[::11]:
        assert row.excess == pytest.approx(row.score - chance[row.source], abs=1e-6)
    assert (joined.ceiling, joined.itself) == (pytest.approx(1.0, abs=1e-5), 1.0)


def test_a_silent_unit_has_no_analogue_and_takes_no_part() -> None:
    a, b = two_models()
    quiet = a.numbers.copy()
    quiet[3] = 0
    joined = join(replace(a, numbers=quiet), b)
    assert 3 not in {row.source for row in joined.partners}
    assert joined.silent == (1, 0)
    assert np.isnan(joined.best[3])
    assert not np.isnan(np.delete(joined.best, 3)).any()


def test_only_the_pairs_of_layers_that_are_asked_for_are_joined() -> None:
    a, b = two_models()
    allowed = np.array([[False, True], [True, False]])
    joined = join(a, b, allowed=allowed)
    layers = b.layer_of()
    assert {(row.source < 20, int(layers[row.target])) for row in joined.partners} == {(True, 1), (False, 0)}
    assert joined.pairs_tested == 20 * 30 * 2
    assert np.isnan(joined.by_layer).tolist() == [[True, False], [False, True]]
    one = join(a, b, allowed=np.array([[True, False], [False, False]]))
    assert np.isnan(one.best).tolist() == [False] * 20 + [True] * 30
    assert (one.same_on_both, one.itself) == (1.0, 1.0)


def test_a_band_holds_layers_of_like_depth() -> None:
    random = np.random.default_rng(7)
    a, b = signatures("a", noise(random, 1, 1, 1)), signatures("b", noise(random, 1, 1, 1, 1, 1))
    assert depth_band(a, b, 0.25).astype(int).tolist() == [[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 1]]


class InAFile:
    """Numbers that are only read where they are asked for, and how many units at once at most."""

    def __init__(self, numbers: npt.NDArray[np.int8]) -> None:
        self.shape, self._numbers, self.most = numbers.shape, numbers, 0

    def __getitem__(self, units: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        read = self._numbers[units].copy()
        self.most = max(self.most, len(read))
        return read


def test_a_join_in_blocks_reads_a_layer_at_a_time_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(16)
    shared = noise(random, 5, 14, 3, 8, 6)
    a, b, copy = (
        signatures(name, [layer + 0.5 * random.standard_normal(layer.shape) for layer in shared])
        for name in ("a", "b", "copy")
    )
    quiet = a.numbers[:].copy()
    quiet[[2, 30]] = 0
    a = replace(a, numbers=quiet)
    whole = join(a, b, untrained=[copy], soft_groups=True)
    monkeypatch.setattr("circuitdb.universality.join.ROWS_BYTES", 15 * 4 * PICTURES * NUMBERS)
    filed = [replace(one, numbers=InAFile(one.numbers[:])) for one in (a, b, copy)]
    blocks = join(filed[0], filed[1], untrained=[filed[2]], soft_groups=True)
    assert [one.numbers.most for one in filed] == [14, 14, 14]
    assert [set(half) for half in whole.halves] == [set(half) for half in blocks.halves]
    assert blocks.partners == whole.partners
    assert blocks.groups == whole.groups
    for name, null in whole.nulls.items():
        assert blocks.nulls[name].best == pytest.approx(null.best, abs=1e-6, nan_ok=True)
        assert blocks.nulls[name].by_layer == pytest.approx(null.by_layer, abs=1e-6)
    for figure in ("same_on_both", "ceiling", "itself", "another", "silent", "pairs_tested"):
        assert getattr(blocks, figure) == pytest.approx(getattr(whole, figure), abs=1e-6)


def test_too_few_pictures_are_refused() -> None:
    a, b = two_models()
    few = [replace(one, numbers=one.numbers[:, :6]) for one in (a, b)]
    with pytest.raises(InputError, match="saw 6 pictures"):
        join(few[0], few[1])


def test_two_models_that_answer_at_random_are_joined_at_the_nominal_rate() -> None:
    joined = 0
    for seed in range(40):
        random = np.random.default_rng((8, seed))
        a, b = signatures("a", noise(random, 12, 12)), signatures("b", noise(random, 12, 12))
        joined += min(row.q for row in join(a, b, seed=seed).partners) <= 0.1
    # With nothing to be found, any pair found is false: that happens in a tenth of the joins.
    assert joined <= scipy.stats.binom.ppf(0.999, 40, 0.1)


def smooth_pictures() -> npt.NDArray[np.float64]:
    smooth = np.random.default_rng(9).standard_normal((PICTURES, 3, 20, 20)).cumsum(axis=2).cumsum(axis=3)
    return smooth / smooth.std(axis=(1, 2, 3), keepdims=True)


def test_two_untrained_networks_are_joined_at_the_nominal_rate_beside_untrained_copies() -> None:
    pictures = smooth_pictures()
    joined = 0
    for seed in range(20):
        a, b, *copies = (random_network(pictures, 6 * seed + number, (24, 24)) for number in range(6))
        joined += min(row.q for row in join(a, b, seed=seed, untrained=copies).partners) <= 0.1
    assert joined <= scipy.stats.binom.ppf(0.999, 20, 0.1)


def test_untrained_networks_correlate_though_none_of_their_units_is_another() -> None:
    """The reason why shuffled pictures alone are no null: the untrained copy and the mixed units are."""
    pictures = smooth_pictures()
    a, b = (random_network(pictures, seed, (24, 24)) for seed in (0, 1))
    joined = join(a, b)
    assert joined.mean_best() > 0.5
    assert abs(float(np.nanmean(joined.nulls[SHUFFLED].best))) < 0.2
    assert float(np.nanmean(joined.nulls[MIXED].best)) > 0.5


def test_mixing_is_orthogonal_and_the_same_on_every_half() -> None:
    random = np.random.default_rng(10)
    rows = of_norm_one(random.standard_normal((20, 400)).astype(np.float32))
    mixture = Mixture.drawn(20, random)
    # A mixture of the units is a matrix, which the mixtures of single units show; its rows have norm 1 like the units'.
    matrix = mixture.of(np.eye(20, dtype=np.float32))
    assert np.abs(matrix @ matrix.T - np.eye(20)).max() < 1e-5
    for half in (rows[:, :100], rows[:, 100:]):
        assert np.abs(mixture.of(half) - of_norm_one(matrix @ half)).max() < 1e-5
    # The correlation with a random direction has the root mean square of the unit's correlations as its spread.
    unit, layer = rows[0], of_norm_one(np.eye(20, 400, dtype=np.float32) + 0.02 * rows)
    drawn = np.concatenate([Mixture.drawn(20, random).of(layer) @ unit for _ in range(200)])
    assert drawn.std() == pytest.approx(np.sqrt(np.mean((layer @ unit) ** 2)), rel=0.05)


def test_a_tail_counts_the_null_values_at_or_above() -> None:
    random = np.random.default_rng(11)
    null = random.uniform(-1, 1, 5000).astype(np.float32)
    tail = Tail(-1.0, 1.0)
    tail.add(null[:2000])
    tail.add(null[2000:])
    values = random.uniform(-1, 1, 300).astype(np.float32)
    exact = (1 + (null[None, :] >= values[:, None]).sum(axis=1)) / 5001
    found = tail.p()[tail.bin_of(values)]
    assert (found >= exact).all()
    assert np.abs(found - exact).max() < 2e-3


def test_q_is_benjamini_and_hochbergs() -> None:
    random = np.random.default_rng(12)
    p = np.concatenate([10 ** random.uniform(-9, -3, 200), random.uniform(0, 1, 3000)])
    discoveries = Discoveries()
    discoveries.add(Discoveries.bin_of(p))
    found, exact = discoveries.q(Discoveries.bin_of(p)), scipy.stats.false_discovery_control(p)
    assert (found >= exact * (1 - 1e-9)).all()
    assert (found <= exact * 1.005).all()


def test_one_to_one_is_the_best_assignment() -> None:
    random = np.random.default_rng(13)
    for sources, targets in ((12, 12), (9, 15), (15, 9)):
        scores = random.uniform(0.05, 1, (sources, targets)).astype(np.float32)
        candidates = np.tile(np.arange(targets), (sources, 1))
        given = one_to_one(candidates, scores, targets)
        rows, columns = scipy.optimize.linear_sum_assignment(-scores)
        there = given >= 0
        assert len(set(given[there])) == there.sum()
        total = scores[np.flatnonzero(there), given[there]].sum()
        assert total == pytest.approx(scores[rows, columns].sum(), rel=1e-6)


def test_a_group_is_the_units_that_share_the_role() -> None:
    random = np.random.default_rng(14)
    parts = random.standard_normal((8, 2, PICTURES * NUMBERS)).astype(np.float32)
    whole = 0.7 * parts[1] + 0.5 * parts[4] + 0.6 * parts[6]
    halves = [of_norm_one(parts[:, half]) for half in (0, 1)]
    wanted = [of_norm_one(whole[half : half + 1])[0] for half in (0, 1)]
    group = soft_group(5, (wanted[0], wanted[1]), np.arange(100, 108), (halves[0], halves[1]))
    strong = [m for m, weight in zip(group.members, group.weights, strict=True) if weight > 0.2]
    assert strong == [101, 104, 106]
    assert len(group.members) <= 5
    assert group.score > 0.98
    weights, _ = scipy.optimize.nnls(halves[0][np.array(group.members) - 100].T.astype(float), wanted[0].astype(float))
    assert group.weights == pytest.approx(weights, abs=1e-6)


def test_groups_come_with_the_join_where_they_are_asked_for() -> None:
    a, b = two_models()
    assert join(a, b).groups == ()
    groups = join(a, b, soft_groups=True).groups
    assert [group.unit for group in groups] == list(range(a.units))
    assert all(group.unit in group.members for group in groups)
