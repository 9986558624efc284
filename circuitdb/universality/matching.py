"""Partners from correlations: one-to-one assignments and groups of units that share one unit's role.

In come correlations of candidates, or rows of norm 1, out come indices and weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from circuitdb.universality.signatures import Floats, Whole

MOST_IN_GROUP = 5


def one_to_one(candidates: Whole, scores: Floats, targets: int) -> Whole:
    """For every source the target that the assignment of greatest total score gives it, -1 where it gives none.

    candidates, scores: [source, candidate]; -1 is no candidate. No target serves two sources, and only candidates of
    positive score are given. Over all candidates at once this is what `scipy.optimize.linear_sum_assignment` finds; the
    sparse form of it (Jonker and Volgenant 1987) takes seconds where the dense one takes hours.
    """
    sources = len(candidates)
    given = np.full(sources, -1, dtype=np.int64)
    rows, places = np.nonzero((candidates >= 0) & (scores > 0))
    if not len(rows):
        return given
    # A column of its own for every source stands for no partner; costs lie in 1..3, as a zero would be no entry.
    own = np.arange(sources)
    costs = np.concatenate([2.0 - scores[rows, places].astype(np.float64), np.full(sources, 2.0)])
    columns = np.concatenate([candidates[rows, places], targets + own])
    graph = csr_array((costs, (np.concatenate([rows, own]), columns)), shape=(sources, targets + sources))
    chosen_rows, chosen = min_weight_full_bipartite_matching(graph)
    given[chosen_rows] = np.where(chosen < targets, chosen, -1)
    return given


@dataclass(frozen=True)
class Group:
    """Units whose sum, with these weights, answers as a unit does.

    score: correlation of the sum with the unit on held-out pictures; best: that of the best single unit.
    """

    unit: int
    members: tuple[int, ...]
    weights: tuple[float, ...]
    score: float
    best: float


def soft_group(unit: int, wanted: tuple[Floats, Floats], candidates: Whole, others: tuple[Floats, Floats]) -> Group:
    """At most five units of the other model that together, weights not negative, reconstruct a unit's response.

    wanted: the unit's rows [number] on the half that is matched and the half that is scored; candidates: units of the
    other model, the best match first; others: their rows [candidate, number] on both halves.
    """
    matched = others[0].astype(np.float64)
    weights = _least_squares(matched, wanted[0])
    kept = np.sort(np.argsort(-weights, kind="stable")[:MOST_IN_GROUP])
    weights = _least_squares(matched[kept], wanted[0])
    kept, weights = kept[weights > 0], weights[weights > 0]
    answer = weights @ others[1][kept]
    norm = float(np.linalg.norm(answer))
    return Group(
        unit,
        tuple(int(candidates[place]) for place in kept),
        tuple(float(weight) for weight in weights),
        float(answer @ wanted[1]) / norm if norm > 0 else 0.0,
        float(others[1][0] @ wanted[1]),
    )


def _least_squares(rows: npt.NDArray[np.float64], wanted: Floats) -> npt.NDArray[np.float64]:
    """Non-negative least squares; Gram matrices stand in for the long rows (the solution is the same)."""
    gram = rows @ rows.T
    values, vectors = np.linalg.eigh(gram)
    good = values > max(values.max(initial=0.0), 1e-12) * 1e-10
    # rows = U S V', so that |rows' w - y| differs by a constant from |S U' w - V' y|.
    left = np.sqrt(values[good])[:, None] * vectors[:, good].T
    right = (vectors[:, good].T @ (rows @ wanted.astype(np.float64))) / np.sqrt(values[good])
    weights, _ = nnls(left, right)
    found: npt.NDArray[np.float64] = weights
    return found
