"""What follows from what a document gives: strengths, parts of weights, shares and ranks of edges, ranks of analogues.

In come checked rows, or arrays with an entry for each edge; out go the values in the same order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from circuitdb.backends.columns import Flags, Integers
from circuitdb.errors import InputError
from circuitdb.reports.exchange.rows import Row

Reals = npt.NDArray[np.float64]


def strength_of(row: Row) -> float:
    """As given, else the L2 norm of the kernel; without a kernel, as of one entry."""
    if "strength" in row:
        return float(row["strength"])
    return math.hypot(*_entries(row))


def part_of_weight(row: Row, sign: int) -> float:
    """The sum of the kernel's positive or of its negative entries; without a kernel, as of one entry."""
    return sign * math.fsum(max(sign * entry, 0.0) for entry in _entries(row)) + 0.0  # so that none is -0


def _entries(row: Row) -> list[float]:
    kernel: list[float] | None = row.get("kernel")
    return [row["weight"]] if kernel is None else kernel


def given_or(rows: Sequence[Row], name: str, derived: Sequence[float]) -> list[float | None]:
    """What the rows give, null included, else what is derived."""
    return [row.get(name, value) for row, value in zip(rows, derived, strict=True)]


def shares(target: Integers, skip: Flags, strength: Reals) -> Reals:
    """Strength² over the sum of strength² into the target, skip edges among themselves; 0 where the sum is 0.

    Strengths are scaled by powers of two first, which is exact, so that no square leaves the range of a double.
    """
    group = 2 * target + skip
    largest = np.zeros(int(group.max(initial=0)) + 1)
    np.maximum.at(largest, group, strength)
    squares = np.square(np.ldexp(strength, -np.frexp(largest[group])[1]))
    energy = np.bincount(group, weights=squares, minlength=len(largest))[group]
    return np.divide(squares, energy, out=np.zeros_like(squares), where=energy > 0)


def ranks(here: Integers, there: Integers, skip: Flags, strength: Reals) -> Integers:
    """1 for the strongest edge at each unit `here`, skip edges among themselves, ties by the key of `there`."""
    group = 2 * here + skip
    order = np.lexsort((there, -strength, group))
    starts = np.concatenate([[0], np.cumsum(np.bincount(group))])
    ranks = np.empty(len(group), dtype=np.int64)
    ranks[order] = np.arange(len(group)) - starts[group[order]] + 1
    return ranks


def analogue_ranks(
    rows: Sequence[Row], models: Sequence[tuple[str, str]], numbers: Sequence[tuple[int, int]]
) -> list[int]:
    """The ranks as given; the others of a unit in order of score take the ranks that are free, ties by key."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, (row, (_, target_model)) in enumerate(zip(rows, models, strict=True)):
        groups.setdefault((row["source"], target_model), []).append(i)
    ranks = [row.get("rank", 0) for row in rows]
    for group in groups.values():
        taken: set[int] = set()
        for i in group:
            if ranks[i] in taken:
                raise InputError(f"analogues[{i}].rank: rank {ranks[i]} of {rows[i]['source']} stands there twice")
            if ranks[i]:
                taken.add(ranks[i])
        free = (rank for rank in itertools.count(1) if rank not in taken)
        for i in sorted((i for i in group if not ranks[i]), key=lambda i: (-rows[i]["score"], numbers[i][1])):
            ranks[i] = next(free)
    return ranks
