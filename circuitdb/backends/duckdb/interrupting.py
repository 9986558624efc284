"""Runs a statement so that Ctrl-C stops it.

DuckDB does not look for signals while a statement runs. The statement runs in a thread of its own, and the caller, who
waits for it, interrupts the connection when a signal comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb


def fetch_all(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """All rows of a statement.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, within the time that the statement takes to notice.
    duckdb.InterruptException
        If another thread interrupts the connection.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        rows = thread.submit(lambda: connection.execute(sql, dict(parameters)).fetchall())
        try:
            return rows.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise
