"""What a model's units do on probes, in Neo4j: written in the place of what is there, and read.

In comes `Responses`, out go statements of bounded size in one transaction, so that nobody sees half of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import Responses, Row
from circuitdb.backends.neo4j.batches import cut
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.loading import create_families
from circuitdb.backends.neo4j.reading import no_model, read_table
from circuitdb.backends.neo4j.schema import EXAMPLE_LISTS, MAPS_TO, literal_map, quoted
from circuitdb.backends.neo4j.tables import packed_sizes, response_tables, signatures_of, to_columns
from circuitdb.backends.validation import checked_responses
from circuitdb.errors import CircuitdbError

if TYPE_CHECKING:
    import neo4j


def write_responses(connection: Connection, model: str, responses: Responses) -> None:
    """Replace a model's responses, maps and families, in one transaction.

    Raises
    ------
    InputError
        If the model is not there, or the tables do not fit its units.
    CircuitdbError
        If the server fails, or the model is replaced or deleted meanwhile.
    """
    load, layers, units = connection.reading(
        lambda transaction: _read_places(transaction, model, connection.address.shown)
    )
    tables = response_tables(checked_responses(responses, model, layers, units))

    def work(transaction: neo4j.ManagedTransaction) -> None:
        own = {"model": model, "load": load, "properties": tables.model | {"responses": uuid.uuid4().hex}}
        found = transaction.run(
            "MATCH (m:Model {name: $model}) WHERE m.load = $load SET m += $properties RETURN m.name", own
        )
        if not list(found):
            raise CircuitdbError(
                f"model {model!r} in {connection.address.shown} was replaced or deleted meanwhile; try again"
            )
        transaction.run(f"MATCH (:Unit {{model: $model}})-[r:{MAPS_TO}]->() DELETE r", own).consume()
        transaction.run("MATCH (f:Family {model: $model}) DETACH DELETE f", own).consume()
        values = ", ".join(
            f"u.{quoted(name)} = $columns[{place}][i]" for place, name in enumerate(tables.units.column_names)
        )
        _in_pieces(
            transaction,
            f"MATCH (u:Unit {{model: $model, position: $first + i}}) SET {values}",
            model,
            tables.units,
        )
        _in_pieces(transaction, _create_maps_text(tables.maps.column_names), model, tables.maps)
        create_families(transaction, model, tables)

    connection.transaction(work)


def read_examples(connection: Connection, keys: Sequence[str]) -> dict[str, list[Row]]:
    """The strongest probe positions of each of the units; thumbnails, which Neo4j does not hold, are None."""
    lists = ", ".join(f"u.{name} AS {quoted(prop)}" for prop, name in EXAMPLE_LISTS.items())
    text = (
        "UNWIND $keys AS key MATCH (u:Unit {key: key}) WHERE u.example_ranks IS NOT NULL "
        f"RETURN u.key AS unit, {lists}"
    )
    found: dict[str, list[Row]] = {key: [] for key in keys}
    for record in connection.read(text, {"keys": list(found)}):
        columns = (record[prop] for prop in EXAMPLE_LISTS)
        found[record["unit"]] = [
            {**dict(zip(EXAMPLE_LISTS, row, strict=True)), "thumbnail": None} for row in zip(*columns, strict=True)
        ]
    return found


def read_signatures(connection: Connection, model: str) -> npt.NDArray[np.int8] | None:
    """The signatures [unit, picture, number] of a model's units in key order, or None.

    Raises
    ------
    InputError
        If there is no such model.
    """

    def work(transaction: neo4j.ManagedTransaction) -> tuple[int | None, list[bytes]]:
        own = {"model": model}
        models = list(transaction.run("MATCH (m:Model {name: $model}) RETURN m.signature_pictures AS pictures", own))
        if not models:
            raise no_model(transaction, model, connection.address.shown)
        text = (
            "MATCH (u:Unit {model: $model}) WHERE u.signature IS NOT NULL "
            "RETURN u.signature AS signature ORDER BY u.position"
        )
        return models[0]["pictures"], [record["signature"] for record in transaction.run(text, own)]

    return signatures_of(*connection.reading(work))


def _read_places(transaction: neo4j.ManagedTransaction, model: str, where: str) -> tuple[str, pa.Table, pa.Table]:
    """The id of the write that brought a model, its layers and its units."""
    own = {"model": model}
    models = list(transaction.run("MATCH (m:Model {name: $model}) RETURN m.load AS load", own))
    if not models:
        raise no_model(transaction, model, where)
    layers = read_table(
        transaction,
        "MATCH (n:Layer {model: $model}) RETURN n.name AS name, n.depth AS depth",
        own,
        {"name": pa.string(), "depth": pa.int32()},
    )
    units = read_table(
        transaction,
        "MATCH (u:Unit {model: $model}) RETURN u.layer AS layer, u.index AS index ORDER BY u.position",
        own,
        {"layer": pa.string(), "index": pa.int32()},
    )
    return models[0]["load"], layers, units


def _in_pieces(transaction: neo4j.ManagedTransaction, text: str, model: str, table: pa.Table) -> None:
    """Run a statement over the rows of a table: `$columns` [property][row] from the row `$first` on."""
    for first, last in cut(packed_sizes(table)):
        columns = list(to_columns(table.slice(first, last - first)).values())
        parameters = {"model": model, "columns": columns, "first": first, "count": last - first}
        transaction.run(f"UNWIND range(0, $count - 1) AS i {text}", parameters).consume()


def _create_maps_text(names: Sequence[str]) -> str:
    values = {name: f"$columns[{place}][i]" for place, name in enumerate(names)}
    source, target = (values.pop(end) for end in ("source", "target"))
    return (
        f"MATCH (s:Unit {{model: $model, position: {source}}}) MATCH (t:Unit {{model: $model, position: {target}}}) "
        f"CREATE (s)-[:{MAPS_TO} {literal_map(values)}]->(t)"
    )
