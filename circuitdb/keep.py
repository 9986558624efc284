"""Which edges become rows of the graph.

In comes a keep rule as text and the strengths of all pairs of units between layers, out come masks and ranks. Pairs of
strength 0 are no edges; equal strengths rank in the order of their columns, which is the order of the units' keys.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.keep_rule import KeepRule

Strengths = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_AT_ONCE = 1 << 22
_SPARSE = 16
"""Where fewer than one pair in so many has weights (skips, depthwise convolutions), only those are sorted."""


def kept_in(rule: KeepRule, strength: Strengths) -> Mask:
    """What the rule keeps of the inputs, strength [target, source] over all sources: a mask of that shape."""
    there = strength > 0
    if rule.kind == "all":
        return there
    if rule.kind == "max":
        enough = strength >= np.float32(rule.value) * strength.max(axis=1, keepdims=True, initial=0)
        there &= enough
        return there
    if rule.kind == "top":
        return strongest(strength, int(rule.value))
    order = np.argsort(-strength, axis=1, kind="stable")
    energy = np.take_along_axis(strength, order, axis=1).astype(np.float64) ** 2
    before = np.cumsum(energy, axis=1) - energy
    enough = before < rule.value * energy.sum(axis=1, keepdims=True)
    mask = np.zeros(strength.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, enough, axis=1)
    return mask & there


def kept_out(rule: KeepRule, strength: Strengths) -> Mask | None:
    """The same for outputs, strength [source, target] over all targets; None where the rule looks at inputs alone."""
    return strongest(strength, int(rule.value)) if rule.kind == "top" else None


def strongest(strength: Strengths, count: int) -> Mask:
    """The `count` strongest of each row that are above 0, equal ones in the order of the columns."""
    columns = strength.shape[1]
    there = strength > 0
    if np.count_nonzero(there, axis=1).max(initial=0) <= count:
        return there
    threshold = np.partition(strength, columns - count, axis=1)[:, columns - count, None]
    mask = (strength >= threshold) & there
    crowded = np.flatnonzero(mask.sum(axis=1) > count)
    if len(crowded):
        order = np.argsort(-strength[crowded], axis=1, kind="stable")[:, :count]
        exact = np.zeros((len(crowded), columns), dtype=np.bool_)
        np.put_along_axis(exact, order, True, axis=1)
        mask[crowded] &= exact
    return mask


def energy_part(of_kept: npt.NDArray[np.float64], total: npt.NDArray[np.float64]) -> pa.Array:
    """The part of squared strengths [unit] that kept edges carry, missing where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return pa.array(np.minimum(of_kept / total, 1.0), mask=total == 0)


def ranks(strength: Strengths, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """The ranks of some entries in their rows, 1 for the strongest, equal ones in the order of the columns.

    strength: [row, column], none negative. rows, columns: [n].
    """
    width = strength.shape[1]
    if np.count_nonzero(strength) * _SPARSE < strength.size:
        return _ranks_of_few(strength, rows, columns)
    order = np.sort(strength, axis=1)
    # Floats from 0 up are ordered as their bits are, so that all rows together make one sorted array of integers.
    row_bits = np.arange(len(strength), dtype=np.uint64) << np.uint64(32)
    keys = (order.view(np.uint32) | row_bits[:, None]).ravel()
    own = strength[rows, columns]
    wanted = own.view(np.uint32) | row_bits[rows]
    below_or_equal = np.searchsorted(keys, wanted, side="right")
    rank: npt.NDArray[np.int64] = (rows + 1) * width - below_or_equal + 1
    tied = np.flatnonzero(keys[below_or_equal - 2] == wanted)
    step = max(1, _AT_ONCE // max(width, 1))
    for start in range(0, len(tied), step):
        some = tied[start : start + step]
        equal = strength[rows[some]] == own[some, None]
        rank[some] += (equal & (np.arange(width) < columns[some, None])).sum(axis=1)
    return rank.astype(np.int32)


def _ranks_of_few(
    strength: Strengths, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.int32]:
    """The same where few entries are above 0, and all asked for are."""
    places = np.flatnonzero(strength)
    values = strength.ravel()[places]
    order = np.lexsort((places, -values, places // strength.shape[1]))
    first = np.searchsorted(places, np.arange(len(strength)) * strength.shape[1])
    rank = np.empty(len(places), dtype=np.int32)
    rank[order] = np.arange(len(places)) - first[places[order] // strength.shape[1]] + 1
    wanted: npt.NDArray[np.int32] = rank[np.searchsorted(places, rows * strength.shape[1] + columns)]
    return wanted
