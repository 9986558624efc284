"""What chance gives a join: null versions of a model's signatures, tails of null correlations, false discovery rates.

In come rows of norm 1, out come null rows, p-values and q-values. Sources: Gurnee et al. 2024, Universal Neurons (the
mixed null); Benjamini and Hochberg 1995 (q).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from circuitdb.universality.signatures import Floats, Whole, of_norm_one

Doubles = npt.NDArray[np.float64]
_ROUNDS = 3


def deranged(groups: Whole, random: np.random.Generator) -> Whole:
    """An order of pictures in which none stands where it, or another of its group, stood.

    groups: [picture]; pictures of one group (crops of one photograph) count as one picture. Where the largest group
    makes that impossible, as few as can be stay.
    """
    count = len(groups)
    order = random.permutation(count)
    order = order[np.argsort(groups[order], kind="stable")]
    largest = int(np.bincount(np.unique(groups, return_inverse=True)[1]).max())
    # Groups stand side by side, so that a step of the largest group's size leaves each group.
    step = int(random.integers(largest, max(count - largest, largest) + 1)) if count > 1 else 0
    moved = np.empty(count, dtype=np.int64)
    moved[order] = np.roll(order, step)
    return moved


@dataclass(frozen=True)
class Mixture:
    """A random orthogonal mixture of a layer's units.

    Random signs and a cosine transform, three times over, stand for a matrix drawn from all rotations: they take
    log N steps a number where the matrix takes N (Ailon and Chazelle 2006, Approximate nearest neighbors and the fast
    Johnson-Lindenstrauss transform). rounds: signs [unit, 1] and order [unit] of each.
    """

    rounds: tuple[tuple[Floats, Whole], ...]

    @staticmethod
    def drawn(units: int, random: np.random.Generator) -> Mixture:
        """A mixture of so many units."""
        both = np.array([-1, 1], dtype=np.float32)
        rounds = range(_ROUNDS if units else 0)
        return Mixture(tuple((random.choice(both, units)[:, None], random.permutation(units)) for _ in rounds))

    def of(self, rows: Floats) -> Floats:
        """The mixtures of rows [unit, number], of norm 1."""
        for signs, order in self.rounds:
            rows = dct(signs * rows[order], axis=0, norm="ortho", overwrite_x=True)
        return of_norm_one(rows)


class Tail:
    """How many null values lie at or above a value, counted in bins; what a bin hides counts as above."""

    def __init__(self, low: float, high: float, bins: int = 1 << 14) -> None:
        self._low, self._scale, self._bins = low, bins / (high - low), bins
        self._counts = np.zeros(bins, dtype=np.int64)

    def add(self, values: Floats) -> None:
        """Count null values."""
        self._counts += np.bincount(self.bin_of(values).ravel(), minlength=self._bins)

    def p(self) -> Doubles:
        """For every bin (1 + null values in it or above) / (1 + null values)."""
        above = np.cumsum(self._counts[::-1])[::-1]
        chances: Doubles = (1.0 + above) / (1.0 + above[0])
        return chances

    def bin_of(self, values: Floats) -> npt.NDArray[np.int32]:
        """The bins in which values lie."""
        places = (values - np.float32(self._low)) * np.float32(self._scale)
        np.clip(places, 0, self._bins - 1, out=places)
        return places.astype(np.int32)


class Discoveries:
    """Benjamini and Hochberg's q over p-values too many to keep: they are counted in bins of their logarithm.

    A bin counts as its upper end, so that q is never too small, and by at most half a percent too large.
    """

    _BINS = 1 << 13
    _LOWEST = -16.0

    def __init__(self) -> None:
        self._counts = np.zeros(self._BINS + 1, dtype=np.int64)

    @classmethod
    def bin_of(cls, p: Doubles) -> npt.NDArray[np.int16]:
        """The bins in which p-values lie, in their order."""
        places = np.ceil((1 - np.log10(p) / cls._LOWEST) * cls._BINS)
        return np.clip(places, 0, cls._BINS).astype(np.int16)

    def add(self, bins: npt.NDArray[np.int16]) -> None:
        """Count p-values by their bins."""
        self._counts += np.bincount(bins.ravel(), minlength=self._BINS + 1)

    def q(self, bins: npt.NDArray[np.int16]) -> Doubles:
        """The least false discovery rate at which pairs with p in these bins are among those found."""
        ends = 10 ** (self._LOWEST * (1 - np.arange(self._BINS + 1) / self._BINS))
        found = np.maximum(np.cumsum(self._counts), 1)
        rates = np.minimum(self._counts.sum() * ends / found, 1.0)
        table: Doubles = np.minimum.accumulate(rates[::-1])[::-1]
        return table[bins]
