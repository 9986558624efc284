"""The circuits of a page as the arrays that DuckDB brings; each is made an object when it is asked for.

Units and edges that circuits share are read once and made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import Match, Row

_EDGES_AT_ONCE = 256


class Edges(Sequence[Row]):
    """Some rows of a table of edges, in this order; equal to any sequence of equal rows."""

    def __init__(self, table: EdgeTable, places: Sequence[int]) -> None:
        self._table = table
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Edges: ...

    def __getitem__(self, index: int | slice) -> Row | Edges:
        if isinstance(index, slice):
            return Edges(self._table, self._places[index])
        return self._table.row(self._places[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))


class EdgeTable:
    """Edges as columns: `source`, `target` (units' ids) and every property; rows are made some at a time and kept."""

    def __init__(self, table: pa.Table, keys: Mapping[int, str]) -> None:
        self._table = table
        self._keys = keys
        self._made: dict[int, list[Row]] = {}

    def row(self, place: int) -> Row:
        """An edge, its ends by their keys."""
        block, within = divmod(place, _EDGES_AT_ONCE)
        if block not in self._made:
            rows = self._table.slice(block * _EDGES_AT_ONCE, _EDGES_AT_ONCE).to_pylist()
            ends = [{end: self._keys[row[end]] for end in ("source", "target")} for row in rows]
            self._made[block] = [row | own for row, own in zip(rows, ends, strict=True)]
        return self._made[block][within]


@dataclass(frozen=True, eq=False)
class Matches(Sequence[Match]):
    """Circuits in order.

    shown: for each name the column of its unit. units: ids [circuit, unit]. lists: for each counted name the ids in
    each circuit. edges: rows of `edge_table` [circuit, edge]. scores: of each circuit, null where it has none. keys: of
    units by id. searched: the column of a unit that lies in the circuit's model.
    """

    shown: Mapping[str, int]
    units: npt.NDArray[np.int32]
    lists: Mapping[str, Sequence[Sequence[int]]]
    edges: npt.NDArray[np.int32]
    scores: pa.Array
    keys: Mapping[int, str]
    edge_table: EdgeTable
    searched: int

    def __len__(self) -> int:
        return len(self.units)

    @overload
    def __getitem__(self, index: int) -> Match: ...

    @overload
    def __getitem__(self, index: slice) -> list[Match]: ...

    def __getitem__(self, index: int | slice) -> Match | list[Match]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        own = [self.keys[unit] for unit in self.units[index].tolist()]
        units: dict[str, str | list[str]] = {name: own[column] for name, column in self.shown.items()}
        units |= {name: [self.keys[unit] for unit in listed[index]] for name, listed in self.lists.items()}
        edges = Edges(self.edge_table, self.edges[index].tolist())
        return Match(own[self.searched].partition("/")[0], units, edges, self.scores[index].as_py())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)
