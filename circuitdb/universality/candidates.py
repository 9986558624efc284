"""The units that may be a unit's analogue: the best of every block of correlations, and the rows that come of them.

In come blocks of correlations on the matched and the scored half, out come `Partner` rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from circuitdb.universality.signatures import Floats, Whole

NEARLY_ONE = np.float32(0.9999)
Bins = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Partner:
    """One row: unit `source` of A, unit `target` of B. Correlations: `matched` on one half, `score` on the other."""

    source: int
    target: int
    rank: int
    matched: float
    score: float
    excess: float
    q: float
    mutual: bool
    method: str


class Best:
    """Every unit's best match over the blocks of its layer: where it is, and its correlations on both halves."""

    def __init__(self, units: int) -> None:
        self.place = np.full(units, -1, dtype=np.int64)
        self.matched = np.full(units, -np.inf, dtype=np.float32)
        self.scored = np.zeros(units, dtype=np.float32)

    def add(self, matched: Floats, scored: Floats, start: int = 0) -> Floats:
        """Look at a block; return the scores [unit] of the best matches within it."""
        found = matched.argmax(axis=1)
        rows = np.arange(len(found))
        highest: Floats = matched[rows, found]
        scores: Floats = scored[rows, found]
        better = highest > self.matched
        self.place[better] = start + found[better]
        self.matched[better], self.scored[better] = highest[better], scores[better]
        return scores


def mean_squares(correlations: Floats) -> Floats:
    """For every unit the mean square of its correlations [unit, other unit] with a layer.

    Its root is the standard deviation of the unit's correlation with a random direction of the layer.
    """
    squares: Floats = np.einsum("uv,uv->u", correlations, correlations) / np.float32(correlations.shape[1])
    return squares


def relative(correlations: Floats, squares: Floats) -> Floats:
    """Correlations [unit, other unit] measured by a spread, whose square every unit has.

    Both go through Fisher's z, arctanh, which makes the ratios in narrow and in wide layers alike.
    """
    spread = np.arctanh(np.sqrt(np.clip(squares, 0, NEARLY_ONE)))
    ratio = np.arctanh(np.clip(correlations, -NEARLY_ONE, NEARLY_ONE))
    ratio /= np.where(spread > 0, spread, 1).astype(np.float32)[:, None]
    ratios: Floats = ratio
    return ratios


def keep_best(kept: tuple[Floats, Whole, Floats, Bins], block: tuple[Floats, Floats, Bins], start: int) -> None:
    """Let the best matches of a block take their places among those kept, in place, the best first."""
    matched, places, scored, bins = kept
    new, width = block[0], min(matched.shape[1], block[0].shape[1])
    top = np.argpartition(-new, width - 1, axis=1)[:, :width]
    joined = np.concatenate([matched, np.take_along_axis(new, top, axis=1)], axis=1)
    order = np.argsort(-joined, axis=1, kind="stable")[:, : matched.shape[1]]
    for old, fresh in (
        (places, (start + top).astype(np.int64)),
        (scored, np.take_along_axis(block[1], top, axis=1)),
        (bins, np.take_along_axis(block[2], top, axis=1)),
    ):
        old[:] = np.take_along_axis(np.concatenate([old, fresh], axis=1), order, axis=1)
    matched[:] = np.take_along_axis(joined, order, axis=1)


@dataclass(frozen=True)
class Candidates:
    """What the candidates [unit, candidate] of every unit are worth, the best first; indices are of answering units."""

    places: Whole
    matched: Floats
    scored: Floats
    q: npt.NDArray[np.float64]
    back: Whole
    assigned: Whole

    def partners(self, best: int, chance: Floats, sources: Whole, targets: Whole) -> Iterator[Partner]:
        """The best of each unit, and its one-to-one partner where that is another."""
        for unit, source in enumerate(sources):
            for rank, target in enumerate(self.places[unit], start=1):
                matched = float(self.matched[unit, rank - 1])
                assigned = bool(target == self.assigned[unit])
                if target < 0 or matched <= 0 or not (rank <= best or assigned):
                    continue
                score = float(self.scored[unit, rank - 1])
                yield Partner(
                    int(source),
                    int(targets[target]),
                    rank,
                    matched,
                    score,
                    score - float(chance[unit]),
                    float(self.q[unit, rank - 1]),
                    rank == 1 and bool(self.back[target] == unit),
                    ("best" if rank <= best else "")
                    + (", " if rank <= best and assigned else "")
                    + ("one-to-one" if assigned else ""),
                )
