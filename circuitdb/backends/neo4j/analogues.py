"""Analogues between models in Neo4j: `(:Unit)-[:ANALOGOUS_TO]->(:Unit)`, written, replaced and read."""

from __future__ import annotations

import neo4j
import pyarrow as pa

from circuitdb.backends.base import Analogues
from circuitdb.backends.columns import ARROW_TYPES
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.schema import ANALOGOUS_TO, folded_name, literal_map, stored
from circuitdb.errors import InputError
from circuitdb.graph import Record, properties

_BATCH_ROWS = 5_000


def count_units(connection: Connection, model: str) -> int:
    """How many units a model has. `InputError` if there is no such model."""
    rows = connection.read(
        "MATCH (m:Model {name: $model}) RETURN COUNT { MATCH (u:Unit {model: $model}) RETURN u } AS units",
        {"model": model},
    )
    if not rows:
        raise InputError(f"no model {model!r} in {connection.address.shown}")
    return int(rows[0]["units"])


def write_analogues(connection: Connection, analogues: Analogues, table: pa.Table) -> None:
    """Replace the analogues from one model to another by checked rows, in one transaction."""
    rows = table.to_pylist()
    for row in rows:
        row |= {folded_name(name): row[name].casefold() for name in _texts() if row.get(name) is not None}
    own = {name: f"row.{name}" for name in stored(Record.ANALOGUE)}
    create = (
        "UNWIND $rows AS row MATCH (a:Unit {model: $source, position: row.source}) "
        "MATCH (b:Unit {model: $target, position: row.target}) "
        f"CREATE (a)-[:{ANALOGOUS_TO} {literal_map(own)}]->(b)"
    )
    models = {"source": analogues.source, "target": analogues.target}

    def work(transaction: neo4j.ManagedTransaction) -> None:
        transaction.run(
            f"MATCH (:Unit {{model: $source}})-[r:{ANALOGOUS_TO}]->(:Unit {{model: $target}}) DELETE r", models
        ).consume()
        for start in range(0, len(rows), _BATCH_ROWS):
            transaction.run(create, {"rows": rows[start : start + _BATCH_ROWS], **models}).consume()

    connection.transaction(work)


def read_analogues(connection: Connection) -> list[Analogues]:
    """All analogues, by pair of models, in order of the models' names."""
    rows = connection.read(
        f"MATCH (a:Unit)-[r:{ANALOGOUS_TO}]->(b:Unit) "
        "RETURN a.model AS source_model, b.model AS target_model, a.position AS source, b.position AS target, "
        "properties(r) AS row ORDER BY source_model, target_model, source, row.rank"
    )
    pairs: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in rows:
        ends = {"source": row["source"], "target": row["target"]}
        pairs.setdefault((row["source_model"], row["target_model"]), []).append(ends | row["row"])
    types = {"source": pa.int32(), "target": pa.int32()}
    types |= {prop.name: ARROW_TYPES[prop.type] for prop in properties(Record.ANALOGUE)}
    found = []
    for (source, target), own in pairs.items():
        given = {name for row in own for name in row}
        columns = {
            name: pa.array([row.get(name) for row in own], kind) for name, kind in types.items() if name in given
        }
        found.append(Analogues(source, target, pa.table(columns)))
    return found


def _texts() -> list[str]:
    return [prop.name for prop in properties(Record.ANALOGUE) if prop.type == "text"]
