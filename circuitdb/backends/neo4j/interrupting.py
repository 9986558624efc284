"""Reads so that Ctrl-C stops it, here and on the server.

The driver waits for the server whatever signals come. The reading runs in a thread of its own with a mark in its
transaction's metadata; when a signal comes, the caller, who waits for it, has the server terminate what bears the mark.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import neo4j

from circuitdb.backends.neo4j.background import in_background
from circuitdb.backends.neo4j.connection import Connection

T = TypeVar("T")

END_SECONDS = 0.5
"""How long an interrupted search is waited for: a server short of memory answers late, and may see late that it was
told to stop."""

_MARK = "circuitdb_search"
_RUNNING = "SHOW TRANSACTIONS YIELD transactionId, metaData WHERE metaData[$name] = $mark RETURN transactionId"


def reading(connection: Connection, work: Callable[[neo4j.ManagedTransaction], T], seconds: float | None) -> T:
    """What `work` reads in one transaction, which the server ends after so many seconds.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when the server has ended the transaction, or was told to and takes longer than `END_SECONDS`.
    CircuitdbError
        If the server fails, or the time is up.
    """
    mark = uuid.uuid4().hex

    def terminate() -> None:
        for record in connection.read(_RUNNING, {"name": _MARK, "mark": mark}):
            connection.read("TERMINATE TRANSACTIONS $id", {"id": record["transactionId"]})

    result = in_background(lambda: connection.reading(work, seconds=seconds, metadata={_MARK: mark}))
    try:
        return result.result()
    except (KeyboardInterrupt, SystemExit):
        stopped: list[Future[Any]] = [result, in_background(terminate)]
        connection.unfinished += stopped
        wait(stopped, timeout=END_SECONDS)
        raise
