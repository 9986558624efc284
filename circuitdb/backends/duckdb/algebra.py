"""Counts a term of a plan with sparse matrices, where no more than two units are left beside the one summed out.

In come the term and the rows of its factors, out comes the number of assignments. A factor of two units is a matrix, of
one a vector; summing a unit out is a product. Numbers stay exact: where one could outgrow 64 bits, or a product would
take too long, the answer is None and the count is SQL's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from circuitdb.pattern.counting import Term

MOST_STEPS = 2e9
"""Multiplications of one product of matrices, at most."""
MOST_ENTRIES = 1e8
"""Entries of one matrix, at most; an entry takes 12 to 16 bytes."""
_STEPS_AT_ONCE = 5e7
"""Multiplications between two looks at the clock and at Ctrl-C."""
_LARGEST = 2.0**62

Vector = npt.NDArray[np.int64]
Matrix = sp.csr_array[np.int64, tuple[int, int]]


class _TooLargeError(Exception):
    """A number or a product grows beyond what is counted here."""


def fits(term: Term) -> bool:
    """Whether every factor and every step has at most two units beside the one summed out."""
    return term.width <= 3 and all(len(factor.units) <= 2 for factor in term.factors)


def assignments(term: Term, rows: Sequence[Sequence[Vector]], go_on: Callable[[], bool]) -> int | None:
    """The number of assignments of a term; None if it is too large for this way, or `go_on` says no.

    rows: for each factor the columns of its units' ids, in the order of its units.
    """
    filled = [column for columns in rows for column in columns if len(column)]
    first = min((int(column.min()) for column in filled), default=0)
    size = max((int(column.max()) for column in filled), default=0) - first + 1
    tables = _Tables(size, go_on)
    try:
        for factor, columns in zip(term.factors, rows, strict=True):
            tables.add(factor.units, [column - first for column in columns])
        for unit in term.order:
            tables.sum_out(unit)
    except _TooLargeError:
        return None
    return tables.total


class _Tables:
    """Numbers of assignments: a vector [unit] and a matrix [unit, other unit] for those that have any, and a number."""

    def __init__(self, size: int, go_on: Callable[[], bool]) -> None:
        self.total = 1
        self._size = size
        self._go_on = go_on
        self._vectors: dict[str, Vector] = {}
        self._matrices: dict[tuple[str, str], Matrix] = {}

    def add(self, units: Sequence[str], columns: Sequence[Vector]) -> None:
        """A factor by its rows."""
        if len(units) == 1:
            self._weigh(units[0], np.bincount(columns[0], minlength=self._size))
        else:
            ones = np.ones(len(columns[0]), dtype=np.int64)
            matrix = sp.csr_array((ones, (columns[0], columns[1])), shape=(self._size, self._size))
            self._multiply(units[0], units[1], matrix)

    def sum_out(self, unit: str) -> None:
        """The product of all tables of a unit, summed over it."""
        weights = self._vectors.pop(unit, None)
        others = {a if b == unit else b: (a, b) for a, b in self._matrices if unit in (a, b)}
        matrices = {other: self._matrices.pop(pair) for other, pair in others.items()}
        towards = {other: m if others[other][0] == unit else m.T.tocsr() for other, m in matrices.items()}
        if not towards:
            assert weights is not None
            _check(weights.sum(dtype=np.float64))
            self.total *= int(weights.sum())
            return
        names = sorted(towards, key=lambda other: towards[other].nnz)
        first = towards[names[0]] if weights is None else _scaled(towards[names[0]], weights)
        if len(names) == 1:
            _check(first.data.sum(dtype=np.float64))
            self._weigh(names[0], np.asarray(first.sum(axis=0), dtype=np.int64).ravel())
        else:
            self._multiply(names[0], names[1], self._product(first, towards[names[1]]))

    def _weigh(self, unit: str, numbers: Vector) -> None:
        known = self._vectors.get(unit)
        if known is not None:
            _check(float(known.max()) * float(numbers.max()))
            numbers = known * numbers
        self._vectors[unit] = numbers

    def _multiply(self, a: str, b: str, matrix: Matrix) -> None:
        """Lay a matrix [a, b] over that of the same two units, entry by entry."""
        if (b, a) in self._matrices:
            a, b, matrix = b, a, matrix.T.tocsr()
        known = self._matrices.get((a, b))
        if known is not None:
            _check(_largest(known) * _largest(matrix))
            matrix = known.multiply(matrix).tocsr()
        self._matrices[a, b] = matrix

    def _product(self, a: Matrix, b: Matrix) -> Matrix:
        """a transposed times b, some rows at a time."""
        left = a.T.tocsr()
        steps = np.diff(b.indptr)[left.indices].astype(np.float64)
        if steps.sum() > MOST_STEPS:
            raise _TooLargeError
        _check(float(np.asarray(a.sum(axis=1), dtype=np.float64) @ np.asarray(b.sum(axis=1), dtype=np.float64)))
        by_row = np.concatenate([[0.0], np.cumsum(steps)])[left.indptr]
        cuts = np.unique(np.searchsorted(by_row, np.arange(0.0, by_row[-1], _STEPS_AT_ONCE)[1:]))
        blocks: list[Matrix] = []
        for start, end in pairwise([0, *cuts.tolist(), left.shape[0]]):
            if not self._go_on() or sum(block.nnz for block in blocks) > MOST_ENTRIES:
                raise _TooLargeError
            if start < end:
                blocks.append((left[start:end] @ b).tocsr())
        return sp.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]


def _scaled(matrix: Matrix, weights: Vector) -> Matrix:
    """Each row times its weight."""
    _check(_largest(matrix) * float(weights.max()))
    data = matrix.data * np.repeat(weights, np.diff(matrix.indptr))
    return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _largest(matrix: Matrix) -> float:
    return float(matrix.data.max()) if matrix.nnz else 0.0


def _check(number: float) -> None:
    if number >= _LARGEST:
        raise _TooLargeError
