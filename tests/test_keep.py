"""Keep rules and ranks on random strengths with many ties, beside the plainest way to compute them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from circuitdb.errors import InputError
from circuitdb.keep import kept_in, kept_out, ranks, strongest
from circuitdb.keep_rule import KeepRule

strengths = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 7.0])
)


def plain_order(row: npt.NDArray[np.float32]) -> list[int]:
    return sorted((i for i, value in enumerate(row) if value > 0), key=lambda i: (-row[i], i))


@given(strengths)
@settings(max_examples=60, deadline=None)
def test_ranks_are_places_in_the_order_by_strength_then_key(strength: npt.NDArray[np.float32]) -> None:
    rows, columns = np.nonzero(strength)
    expected = [plain_order(strength[row]).index(column) + 1 for row, column in zip(rows, columns, strict=True)]
    assert ranks(strength, rows, columns).tolist() == expected


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_ranks_are_the_same_where_few_pairs_have_weights(seed: int) -> None:
    random = np.random.default_rng(seed)
    strength = np.zeros((30, 50), dtype=np.float32)
    strength[random.integers(0, 30, 40), random.integers(0, 50, 40)] = random.integers(1, 4, 40)
    rows, columns = np.nonzero(strength)
    expected = [plain_order(strength[row]).index(column) + 1 for row, column in zip(rows, columns, strict=True)]
    assert ranks(strength, rows, columns).tolist() == expected


@given(strengths, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_strongest_are_the_first_in_that_order(strength: npt.NDArray[np.float32], count: int) -> None:
    for row, mask in zip(strength, strongest(strength, count), strict=True):
        assert np.flatnonzero(mask).tolist() == sorted(plain_order(row)[:count])


@given(strengths, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_max_and_energy_keep_what_they_say(strength: npt.NDArray[np.float32], part: float) -> None:
    highest = kept_in(KeepRule("max", part), strength)
    fewest = kept_in(KeepRule("energy", part), strength)
    for row, above, enough in zip(strength.astype(np.float64), highest, fewest, strict=True):
        assert above.tolist() == [value > 0 and value >= np.float32(part) * row.max() for value in row]
        order, total = plain_order(row), (row**2).sum()
        count = next(n for n in range(len(row) + 1) if (row[order[:n]] ** 2).sum() >= part * total - 1e-9)
        assert np.flatnonzero(enough).tolist() == sorted(order[:count])


def test_only_top_looks_at_outputs() -> None:
    strength = np.eye(3, dtype=np.float32)
    assert kept_out(KeepRule("top", 1), strength) is not None
    assert all(kept_out(KeepRule(kind, 0.5), strength) is None for kind in ("max", "energy", "all"))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("top32", KeepRule("top", 32)),
        ("max0.3", KeepRule("max", 0.3)),
        ("energy0.9", KeepRule("energy", 0.9)),
        ("energy1", KeepRule("energy", 1)),
        ("max.5", KeepRule("max", 0.5)),
        ("all", KeepRule("all")),
    ],
)
def test_a_rule_is_read_from_its_text(text: str, rule: KeepRule) -> None:
    assert KeepRule.parse(text) == rule
    assert KeepRule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text", ["", "top", "top0", "top-3", "top3.5", "max0", "max1.5", "energy", "energy2", "32", "TOP32", "all1"]
)
def test_any_other_text_is_refused_with_the_rules_that_there_are(text: str) -> None:
    with pytest.raises(InputError, match=r"topN .* maxX or energyX .* all|top32"):
        KeepRule.parse(text)
