"""Runs a statement so that Ctrl-C stops it, here and on the server.

The driver waits for the server whatever signals come. The statement runs in a thread of its own with a mark in its
transaction's metadata; when a signal comes, the caller, who waits for it, has the server terminate what bears the mark.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import neo4j

from circuitdb.backends.neo4j.connection import Connection

_MARK = "circuitdb_search"
_RUNNING = "SHOW TRANSACTIONS YIELD transactionId, metaData WHERE metaData[$name] = $mark RETURN transactionId"


def fetch_all(
    connection: Connection, text: str, parameters: Mapping[str, Any], seconds: float | None
) -> list[neo4j.Record]:
    """All rows of a reading statement; the server ends it after so many seconds.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when the server has ended the statement.
    CircuitdbError
        If the server fails, or the time is up.
    """
    mark = uuid.uuid4().hex
    with ThreadPoolExecutor(max_workers=1) as thread:
        rows = thread.submit(connection.read, text, parameters, seconds=seconds, metadata={_MARK: mark})
        try:
            return rows.result()
        except (KeyboardInterrupt, SystemExit):
            for record in connection.read(_RUNNING, {"name": _MARK, "mark": mark}):
                connection.read("TERMINATE TRANSACTIONS $id", {"id": record["transactionId"]})
            raise
