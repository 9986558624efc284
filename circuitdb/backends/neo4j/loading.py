"""Loads a model into Neo4j so that it becomes visible at one switch, and sweeps what deletions and killed loads left.

In come the tables of `tables.py`. Units arrive as `(:Staged)` and relationships between them, in many transactions of
bounded size; one last transaction makes `(:Unit)` of them, writes the few other nodes and takes a replaced model away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from circuitdb.backends.base import Progress
from circuitdb.backends.neo4j.batches import cut, transactions
from circuitdb.backends.neo4j.connection import Connection, Statement, UnreachableError
from circuitdb.backends.neo4j.schema import (
    LOAD,
    MAPS_TO,
    MEMBER_OF,
    NODE_LABELS,
    STAGED,
    TRASH,
    UNIT_KINDS,
    literal_map,
)
from circuitdb.backends.neo4j.tables import NodeTables, ResponseTables, packed_sizes, to_columns
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import Record

if TYPE_CHECKING:
    import neo4j
    import pyarrow as pa

SWEEP_ROWS = 20_000
BEAT_SECONDS = 10.0
ABANDONED_SECONDS = 120
"""A load whose writer has not been heard of for so long is swept."""


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
        if progress is not None:
            progress("writing", done, total)
        for statements, rows in transactions(tables, relationships):
            heart.beat()
            if sum(answer[0]["count"] for answer in connection.write(*statements) if answer) != rows:
                raise _taken_for_dead(tables.name)
            done += rows
            if progress is not None:
                progress("writing", done, total)
        where = connection.address.shown
        connection.transaction(lambda transaction: _switch(transaction, tables, where, replace=replace))
    except UnreachableError:
        raise  # what is there already is swept by a later write
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


def _taken_for_dead(model: str) -> CircuitdbError:
    return CircuitdbError(
        f"writing model {model!r} paused for over {ABANDONED_SECONDS} seconds and was swept away; write it again"
    )


def _create_staged_units(connection: Connection, tables: NodeTables) -> None:
    text = _create_nodes_text(STAGED, tables.units.column_names)
    for first, last in cut(packed_sizes(tables.units)):
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
        raise _taken_for_dead(name)
    if replace:
        hide_model(transaction, name)
    elif _run(transaction, "MATCH (m:Model {name: $model}) RETURN m.name", {"model": name}):
        raise InputError(f"model {name!r} is already in {where}; --replace writes it anew")
    _run(transaction, "CREATE (m:Model) SET m = $model", {"model": tables.model})
    create_nodes(transaction, Record.LAYER, tables.layers)
    create_nodes(transaction, Record.SEGMENT, tables.segments)
    shown = 0
    for kind, label in UNIT_KINDS.items():
        text = (
            f"MATCH (u:{STAGED} {{load: $load}}) WHERE u.kind = $kind "
            f"SET u:Unit:{label} REMOVE u:{STAGED} RETURN count(*) AS count"
        )
        shown += _run(transaction, text, {"load": load, "kind": kind})[0]["count"]
    if shown != tables.units.num_rows:
        raise CircuitdbError(f"model {name!r} came to {shown} units of {tables.units.num_rows}; write it again")
    create_families(transaction, name, tables)


def create_nodes(transaction: neo4j.ManagedTransaction, record: Record, table: pa.Table) -> None:
    """Create a node for each row of a table."""
    columns = list(to_columns(table).values())
    text = _create_nodes_text(NODE_LABELS[record], table.column_names)
    _run(transaction, text, {"columns": columns, "count": table.num_rows})


def create_families(transaction: neo4j.ManagedTransaction, model: str, tables: NodeTables | ResponseTables) -> None:
    """Create the families of a model, whose units are there, and join their members to them."""
    create_nodes(transaction, Record.FAMILY, tables.families)
    _run(
        transaction,
        "UNWIND range(0, size($unit) - 1) AS i MATCH (u:Unit {model: $model, position: $unit[i]}) "
        "MATCH (f:Family {model: $model}) WHERE f.number = $family[i] "
        f"CREATE (u)-[:{MEMBER_OF} {{pose: $pose[i], place: $place[i]}}]->(f)",
        {"model": model, **to_columns(tables.members)},
    )


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
