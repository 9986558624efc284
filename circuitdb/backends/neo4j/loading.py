"""Loads a model into Neo4j so that it becomes visible at one switch, and sweeps what deletions and killed loads left.

In come the tables of `tables.py`. Units arrive as `(:Staged)` and relationships between them, in many transactions of
bounded size; one last transaction makes `(:Unit)` of them, writes the few other nodes and takes a replaced model away.

Relationships are sent as columns grouped by target, with a literal property map: the server then neither unpacks a map
for each row nor looks up each end. One transaction holds edges of one pair of layers, whose units are met as two lists.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import Progress
from circuitdb.backends.neo4j.connection import Connection, Statement
from circuitdb.backends.neo4j.schema import (
    LOAD,
    MAPS_TO,
    MEMBER_OF,
    NODE_LABELS,
    STAGED,
    TRASH,
    UNIT_KINDS,
    literal_map,
    quoted,
)
from circuitdb.backends.neo4j.tables import NodeTables, packed_sizes, to_columns, to_list
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import Record

if TYPE_CHECKING:
    import neo4j

BATCH_BYTES = 2_000_000
"""What one transaction of a load may hold, about."""
BATCH_ROWS = 5_000
SWEEP_ROWS = 20_000
BEAT_SECONDS = 10.0
ABANDONED_SECONDS = 120
"""A load whose writer has not been heard of for so long is swept."""

Rows = npt.NDArray[np.int64]


def load_model(connection: Connection, tables: NodeTables, *, replace: bool, progress: Progress | None) -> None:
    """Write a model whole or not at all.

    Raises
    ------
    InputError
        If a model of that name is there and `replace` is false.
    CircuitdbError
        If the server fails; the model is not there then.
    """
    load = tables.model["load"]
    relationships = {**tables.edges, MAPS_TO: tables.maps}
    total = sum(table.num_rows for table in relationships.values())
    connection.write(
        (f"CREATE (:{LOAD} {{id: $load, model: $model, heartbeat: timestamp()}})", {"load": load, "model": tables.name})
    )
    heart = _Heart(connection, load)
    try:
        _create_staged_units(connection, tables)
        done = 0
        for statements, rows in _transactions(tables, relationships):
            heart.beat()
            connection.write(*statements)
            done += rows
            if progress is not None:
                progress("writing", done, total)
        where = connection.address.shown
        connection.transaction(lambda transaction: _switch(transaction, tables, where, replace=replace))
    except BaseException:
        with suppress(CircuitdbError):
            connection.write(*_abandon("l.id = $load", {"load": load}))
        raise


def hide_model(transaction: neo4j.ManagedTransaction, name: str) -> bool:
    """Take a model out of sight within a transaction; whether it was there. `sweep` does the rest later."""
    found = _run(
        transaction, "MATCH (m:Model {name: $model}) DETACH DELETE m RETURN count(*) AS count", {"model": name}
    )
    if found[0]["count"] == 0:
        return False
    for record in (Record.LAYER, Record.SEGMENT, Record.FAMILY):
        _run(transaction, f"MATCH (n:{NODE_LABELS[record]} {{model: $model}}) DETACH DELETE n", {"model": name})
    kinds = "".join(f":{kind}" for kind in UNIT_KINDS.values())
    _run(transaction, f"MATCH (u:Unit {{model: $model}}) SET u:{TRASH} REMOVE u:Unit{kinds}", {"model": name})
    return True


def sweep(connection: Connection) -> None:
    """Delete what is out of sight: deleted models, and loads whose writer is gone."""
    stale = f"l.heartbeat < timestamp() - {ABANDONED_SECONDS * 1000}"
    connection.write(*_abandon(stale, {}))
    edges = f"MATCH (:{TRASH})-[r]-() WITH DISTINCT r LIMIT $rows DELETE r RETURN count(*) AS count"
    nodes = f"MATCH (n:{TRASH}) WITH n LIMIT $rows DETACH DELETE n RETURN count(*) AS count"
    for text in (edges, nodes):
        while connection.write((text, {"rows": SWEEP_ROWS}))[0][0]["count"]:
            pass


def _abandon(which: str, parameters: Mapping[str, Any]) -> list[Statement]:
    """Statements that make trash of the loads for which the condition on `l` holds."""
    units = f"MATCH (l:{LOAD}) WHERE {which} MATCH (n:{STAGED} {{load: l.id}}) SET n:{TRASH} REMOVE n:{STAGED}"
    return [(units, parameters), (f"MATCH (l:{LOAD}) WHERE {which} DELETE l", parameters)]


def _create_staged_units(connection: Connection, tables: NodeTables) -> None:
    text = _create_nodes_text(STAGED, tables.units.column_names)
    for first, last in _cut(packed_sizes(tables.units)):
        columns = list(to_columns(tables.units.slice(first, last - first)).values())
        connection.write((text, {"columns": columns, "count": last - first}))


def _create_nodes_text(label: str, names: Sequence[str]) -> str:
    """`columns` is [property][row], `count` the number of rows."""
    properties = literal_map({name: f"$columns[{place}][i]" for place, name in enumerate(names)})
    return f"UNWIND range(0, $count - 1) AS i CREATE (:{label} {properties})"


def _switch(transaction: neo4j.ManagedTransaction, tables: NodeTables, where: str, *, replace: bool) -> None:
    name, load = tables.name, tables.model["load"]
    known = _run(transaction, f"MATCH (l:{LOAD} {{id: $load}}) DELETE l RETURN count(*) AS count", {"load": load})
    if known[0]["count"] == 0:
        raise CircuitdbError(
            f"writing model {name!r} paused for over {ABANDONED_SECONDS} seconds and was swept away; write it again"
        )
    if replace:
        hide_model(transaction, name)
    elif _run(transaction, "MATCH (m:Model {name: $model}) RETURN m.name", {"model": name}):
        raise InputError(f"model {name!r} is already in {where}; --replace writes it anew")
    _run(transaction, "CREATE (m:Model) SET m = $model", {"model": tables.model})
    for record, table in (
        (Record.LAYER, tables.layers),
        (Record.SEGMENT, tables.segments),
        (Record.FAMILY, tables.families),
    ):
        columns = list(to_columns(table).values())
        text = _create_nodes_text(NODE_LABELS[record], table.column_names)
        _run(transaction, text, {"columns": columns, "count": table.num_rows})
    shown = 0
    for kind, label in UNIT_KINDS.items():
        text = (
            f"MATCH (u:{STAGED} {{load: $load}}) WHERE u.kind = $kind "
            f"SET u:Unit:{label} REMOVE u:{STAGED} RETURN count(*) AS count"
        )
        shown += _run(transaction, text, {"load": load, "kind": kind})[0]["count"]
    if shown != tables.units.num_rows:
        raise CircuitdbError(f"model {name!r} came to {shown} units of {tables.units.num_rows}; write it again")
    keys = to_list(tables.units["key"].take(tables.members["unit"]))
    members = {"keys": keys, "model": name, **to_columns(tables.members)}
    _run(
        transaction,
        "UNWIND range(0, size($keys) - 1) AS i MATCH (u:Unit {key: $keys[i]}) "
        "MATCH (f:Family {model: $model}) WHERE f.number = $family[i] "
        f"CREATE (u)-[:{MEMBER_OF} {{pose: $pose[i], place: $place[i]}}]->(f)",
        members,
    )


@dataclass(frozen=True)
class _Batches:
    """Relationships of one type, cut into transactions: `source` and `target` are rows of the units."""

    kind: str
    table: pa.Table
    layer_rows: Sequence[tuple[str, int, int]]

    @property
    def properties(self) -> list[str]:
        return [name for name in self.table.column_names if name not in ("source", "target")]

    @property
    def text(self) -> str:
        """The statement: for each target [its row in its layer, its sources' rows, and one list a property]."""
        properties = literal_map({name: f"group[{place + 2}][i]" for place, name in enumerate(self.properties)})
        return (
            f"MATCH (s:{STAGED} {{load: $load, layer: $source_layer}}) WITH s ORDER BY s.position "
            f"WITH collect(s) AS sources "
            f"MATCH (t:{STAGED} {{load: $load, layer: $target_layer}}) WITH sources, t ORDER BY t.position "
            f"WITH sources, collect(t) AS targets "
            f"UNWIND $groups AS group "
            f"WITH sources, group, targets[group[0]] AS target "
            f"UNWIND range(0, size(group[1]) - 1) AS i "
            f"WITH sources[group[1][i]] AS source, target, group, i "
            f"CREATE (source)-[:{quoted(self.kind)} {properties}]->(target)"
        )

    def layer_pairs(self) -> Iterator[tuple[int, int, Rows]]:
        """Source layer, target layer (numbers of `layer_rows`) and rows of the table, sorted by target, then source."""
        firsts = np.array([first for _, first, _ in self.layer_rows])
        source, target = (self.table.column(name).to_numpy() for name in ("source", "target"))
        source_layer = np.searchsorted(firsts, source, side="right") - 1
        target_layer = np.searchsorted(firsts, target, side="right") - 1
        order = np.lexsort((source, target, source_layer, target_layer))
        pair = (target_layer * len(firsts) + source_layer)[order]
        for rows in np.split(order, np.flatnonzero(np.diff(pair)) + 1):
            if len(rows):
                yield int(source_layer[rows[0]]), int(target_layer[rows[0]]), rows

    def parameters(self, load: str, source_layer: int, target_layer: int, rows: Rows) -> dict[str, Any]:
        table = self.table.take(pa.array(rows))
        source_name, source_first, _ = self.layer_rows[source_layer]
        target_name, target_first, _ = self.layer_rows[target_layer]
        targets = table.column("target").to_numpy() - target_first
        sources = (table.column("source").to_numpy() - source_first).tolist()
        columns = [sources, *(to_list(table.column(name)) for name in self.properties)]
        bounds = [0, *(np.flatnonzero(np.diff(targets)) + 1).tolist(), len(rows)]
        groups = [[int(targets[a]), *(c[a:b] for c in columns)] for a, b in pairwise(bounds)]
        return {"load": load, "source_layer": source_name, "target_layer": target_name, "groups": groups}


def _transactions(tables: NodeTables, relationships: Mapping[str, pa.Table]) -> Iterator[tuple[list[Statement], int]]:
    """The statements of each transaction, of bounded size, and how many relationships they make."""
    statements: list[Statement] = []
    held_rows, held_bytes = 0, 0
    for kind, table in relationships.items():
        batches = _Batches(kind, table, tables.layer_rows)
        sizes = packed_sizes(table)
        for source_layer, target_layer, rows in batches.layer_pairs():
            for first, last in _cut(sizes[rows]):
                part = rows[first:last]
                size = int(sizes[part].sum())
                if statements and (held_rows + len(part) > BATCH_ROWS or held_bytes + size > BATCH_BYTES):
                    yield statements, held_rows
                    statements, held_rows, held_bytes = [], 0, 0
                load = tables.model["load"]
                statements.append((batches.text, batches.parameters(load, source_layer, target_layer, part)))
                held_rows, held_bytes = held_rows + len(part), held_bytes + size
    if statements:
        yield statements, held_rows


def _cut(sizes: Rows) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of rows whose sizes add up to at most BATCH_BYTES, or of one row that is larger."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, before + BATCH_BYTES, side="right"))
        last = min(max(last, first + 1), first + BATCH_ROWS)
        yield first, last
        first = last


@dataclass
class _Heart:
    """Tells the server now and then that the writer of a load still lives."""

    connection: Connection
    load: str
    _last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        if time.monotonic() - self._last > BEAT_SECONDS:
            self.connection.write(
                (f"MATCH (l:{LOAD} {{id: $load}}) SET l.heartbeat = timestamp()", {"load": self.load})
            )
            self._last = time.monotonic()


def _run(transaction: neo4j.ManagedTransaction, text: str, parameters: Mapping[str, Any]) -> list[neo4j.Record]:
    return list(transaction.run(text, dict(parameters)))
