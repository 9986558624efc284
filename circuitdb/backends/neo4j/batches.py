"""Relationships between staged units as Cypher statements of bounded size.

In come the tables of a model's edges and maps, out come transactions: statements with their parameters. Each statement
creates relationships of one type between two layers, whose units the server meets as two lists. It has a literal
property map, its rows stand in order of target, and it takes columns rather than rows, every column of numbers as one
text of numbers with spaces between: the driver packs a text a hundred times faster than a list of floats, and the
server parses it in less time than it would take to unpack the list. Shortest decimal forms keep every double exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.neo4j.connection import Statement
from circuitdb.backends.neo4j.schema import STAGED, literal_map, quoted
from circuitdb.backends.neo4j.tables import NodeTables, packed_sizes, to_list

BATCH_BYTES = 4_000_000
"""What one transaction of a load may hold, about."""
BATCH_ROWS = 5_000

Rows = npt.NDArray[np.int64]

_NUMBERS = (
    "UNWIND range(0, size($numbers) - 1) AS place "
    "WITH place, split($numbers[place], ' ') AS texts "
    "WITH collect(CASE WHEN place < $integers THEN toIntegerList(texts) ELSE toFloatList(texts) END) AS numbers"
)
"""Makes lists of the columns of numbers, the first `$integers` of which are whole; `''` is null."""


def transactions(tables: NodeTables, relationships: Mapping[str, pa.Table]) -> Iterator[tuple[list[Statement], int]]:
    """The statements of each transaction, and how many relationships they make, which each returns as `count`.

    relationships: by type, tables with `source` and `target` (rows of the units) and properties.
    """
    held: list[Statement] = []
    held_rows, held_bytes = 0, 0
    for kind, table in relationships.items():
        batches = _Batches(kind, table, tables.layer_rows, str(tables.model["load"]))
        sizes = packed_sizes(table)
        for source_layer, target_layer, rows in batches.layer_pairs():
            for first, last in cut(sizes[rows]):
                part = rows[first:last]
                size = int(sizes[part].sum())
                if held and (held_rows + len(part) > BATCH_ROWS or held_bytes + size > BATCH_BYTES):
                    yield held, held_rows
                    held, held_rows, held_bytes = [], 0, 0
                held.append((batches.text, batches.parameters(source_layer, target_layer, part)))
                held_rows, held_bytes = held_rows + len(part), held_bytes + size
    if held:
        yield held, held_rows


def cut(sizes: Rows) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of rows whose sizes add up to at most BATCH_BYTES, or of one row that is larger."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, before + BATCH_BYTES, side="right"))
        last = min(max(last, first + 1), first + BATCH_ROWS)
        yield first, last
        first = last


@dataclass(frozen=True)
class _Batches:
    """Relationships of one type between the units of one load."""

    kind: str
    table: pa.Table
    layer_rows: Sequence[tuple[str, int, int]]
    load: str

    @property
    def integers(self) -> list[str]:
        """Columns of whole numbers, source and target first."""
        names = [name for name in self.table.column_names if pa.types.is_integer(self.table[name].type)]
        return sorted(names, key=lambda name: (name != "source", name != "target"))

    @property
    def reals(self) -> list[str]:
        return [name for name in self.table.column_names if pa.types.is_floating(self.table[name].type)]

    @property
    def lists(self) -> list[str]:
        return [name for name in self.table.column_names if pa.types.is_list(self.table[name].type)]

    @property
    def others(self) -> list[str]:
        return [n for n in self.table.column_names if n not in {*self.integers, *self.reals, *self.lists}]

    @property
    def text(self) -> str:
        """The statement."""
        numbers = enumerate([*self.integers, *self.reals])
        properties = {name: f"numbers[{place}][i]" for place, name in numbers if name not in ("source", "target")}
        lists = {name: f"toFloatList(split($lists[{place}][i], ' '))" for place, name in enumerate(self.lists)}
        others = {name: f"$others[{place}][i]" for place, name in enumerate(self.others)}
        return (
            f"{_NUMBERS} "
            f"MATCH (s:{STAGED} {{load: $load, layer: $source_layer}}) WITH numbers, s ORDER BY s.position "
            "WITH numbers, collect(s) AS sources "
            f"MATCH (t:{STAGED} {{load: $load, layer: $target_layer}}) WITH numbers, sources, t ORDER BY t.position "
            "WITH numbers, sources, collect(t) AS targets "
            "UNWIND range(0, size(numbers[0]) - 1) AS i "
            "WITH numbers, sources[numbers[0][i]] AS source, targets[numbers[1][i]] AS target, i "
            f"CREATE (source)-[:{quoted(self.kind)} {literal_map(properties | lists | others)}]->(target) "
            "RETURN count(*) AS count"
        )

    def layer_pairs(self) -> Iterator[tuple[int, int, Rows]]:
        """Source layer, target layer (numbers of `layer_rows`) and rows of the table, in order of target and source."""
        firsts = np.array([first for _, first, _ in self.layer_rows])
        source, target = (self.table[name].to_numpy() for name in ("source", "target"))
        source_layer = np.searchsorted(firsts, source, side="right") - 1
        target_layer = np.searchsorted(firsts, target, side="right") - 1
        order = np.lexsort((source, target, source_layer, target_layer))
        pair = (target_layer * len(firsts) + source_layer)[order]
        for rows in np.split(order, np.flatnonzero(np.diff(pair)) + 1):
            if len(rows):
                yield int(source_layer[rows[0]]), int(target_layer[rows[0]]), rows

    def parameters(self, source_layer: int, target_layer: int, rows: Rows) -> dict[str, Any]:
        """The parameters of `text` for some rows of the table, all between these two layers."""
        table = self.table.take(pa.array(rows))
        layers = {"source": self.layer_rows[source_layer], "target": self.layer_rows[target_layer]}
        for name, (_, first, _) in layers.items():
            within = pc.subtract(table[name], first)
            table = table.set_column(table.column_names.index(name), name, within)
        return {
            "load": self.load,
            "source_layer": layers["source"][0],
            "target_layer": layers["target"][0],
            "integers": len(self.integers),
            "numbers": [_number_text(table[name]) for name in (*self.integers, *self.reals)],
            "lists": [_list_texts(table[name]) for name in self.lists],
            "others": [to_list(table[name]) for name in self.others],
        }


def _number_text(column: pa.ChunkedArray) -> str:
    """All numbers of a column, nothing where one is missing."""
    return " ".join(pc.fill_null(column.cast(pa.string()), "").to_pylist())


def _list_texts(column: pa.ChunkedArray) -> list[str | None]:
    """The numbers of each list of a column; single precision is written as the double it is."""
    texts = column.cast(pa.list_(pa.float64())).cast(pa.list_(pa.string()))
    joined: list[str | None] = pc.binary_join(texts, " ").to_pylist()
    return joined
