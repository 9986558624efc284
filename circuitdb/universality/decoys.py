"""Analogues that are none: permuted within layers, or swapped for units of equal response correlation.

In come analogues [unit, choice] and signatures, out come analogues of the same form that chance alone gives. A decoy
answers to pictures as well as the partner in whose place it stands; a fur detector is no dog detector (Olah et al.
2020, Zoom In), so what a circuit of decoys lacks is the wiring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from circuitdb.universality.signatures import Signatures, Whole

NEAR = 0.05
"""How far the decoy's correlation may lie from the partner's."""
_MOST = 32
_UNITS_AT_ONCE = 512


def permuted(analogues: Whole, layer_of: Whole, random: np.random.Generator) -> Whole:
    """Within each layer, units that have analogues get those of one another. layer_of: [unit]."""
    shuffled = analogues.copy()
    with_some = np.flatnonzero((analogues >= 0).any(axis=1))
    for layer in np.unique(layer_of[with_some]):
        units = with_some[layer_of[with_some] == layer]
        shuffled[units] = analogues[random.permutation(units)]
    return shuffled


@dataclass(frozen=True)
class Decoys:
    """For each unit and choice up to 32 decoys, drawn at random: [unit, choice, decoy], -1 for none."""

    units: Whole

    @staticmethod
    def of(analogues: Whole, wanted: Whole, a: Signatures, b: Signatures, random: np.random.Generator) -> Decoys:
        """Decoys for the units in `wanted`: of the partner's layer, none of the unit's own analogues.

        The correlation of unit and decoy lies within 0.05 of that of unit and partner, over all pictures.
        """
        found = np.full((*analogues.shape, _MOST), -1, dtype=np.int64)
        pictures = np.arange(a.pictures)
        others, layer_of = b.rows(pictures), b.layer_of()
        for start in range(0, len(wanted), _UNITS_AT_ONCE):
            units = wanted[start : start + _UNITS_AT_ONCE]
            scores = a.rows(pictures, units) @ others.T
            for row, unit in enumerate(units):
                own = analogues[unit][analogues[unit] >= 0]
                for choice, partner in enumerate(own):
                    near = np.abs(scores[row] - scores[row, partner]) <= NEAR
                    near &= layer_of == layer_of[partner]
                    near[own] = False
                    decoys = np.flatnonzero(near)
                    chosen = random.permutation(decoys)[:_MOST]
                    found[unit, choice, : len(chosen)] = chosen
        return Decoys(found)

    def has(self) -> npt.NDArray[np.bool_]:
        """Whether each unit has a decoy for one of its analogues at least."""
        first: npt.NDArray[np.bool_] = self.units[:, :, 0] >= 0
        return np.asarray(first.any(axis=1))

    def drawn(self, random: np.random.Generator) -> Whole:
        """Analogues [unit, choice], each swapped for one of its decoys; -1 where it has none."""
        count = np.maximum((self.units >= 0).sum(axis=2), 1)
        place = (random.random(count.shape) * count).astype(np.int64)
        return np.take_along_axis(self.units, place[:, :, None], axis=2)[:, :, 0]
