"""Runs a statement so that Ctrl-C stops it, and SIGTERM, which the command turns into `SystemExit`.

DuckDB does not look for signals while a statement runs. The statement runs in a thread of its own, and the caller, who
waits for it, interrupts the connection when a signal comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Result = TypeVar("Result")

SECONDS_BETWEEN_INTERRUPTS = 0.05


def fetch_all(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """All rows of a statement. Errors as for `fetch_integers`."""
    return _run(connection, lambda: connection.execute(sql, dict(parameters)).fetchall())


def fetch_integers(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]
) -> list[npt.NDArray[np.int64]]:
    """The columns of a statement that brings integers.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        After a signal, within the time that the statement takes to notice.
    duckdb.InterruptException
        If another thread interrupts the connection.
    """
    columns = _run(connection, lambda: connection.execute(sql, dict(parameters)).fetchnumpy())
    return [np.asarray(column, dtype=np.int64) for column in columns.values()]


def fetch_table(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> pa.Table:
    """What a statement brings, as a table. Errors as for `fetch_integers`."""
    return _run(connection, lambda: connection.sql(sql, params=dict(parameters)).to_arrow_table())


def _run(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    with ThreadPoolExecutor(max_workers=1) as thread:
        result = thread.submit(work)
        try:
            return result.result()
        except (KeyboardInterrupt, SystemExit):
            # An interrupt between two statements is lost.
            while not result.done():
                connection.interrupt()
                wait([result], SECONDS_BETWEEN_INTERRUPTS)
            raise
