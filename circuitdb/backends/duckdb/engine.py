"""The DuckDB with which a process reads: in memory, files attached to it while somebody reads them.

In comes the path of a file, out comes a connection in which its tables are those without a prefix. To start a DuckDB
takes longer than most searches, to attach a file a tenth of that.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Nothing is fetched or loaded behind the user's back."""

CONFIG_OF_READERS: Final = CONFIG | {"disabled_optimizers": "join_order"}
"""Joins are made in the order in which they are written: `joins.py` sees the circles of a pattern, DuckDB does not."""


def opened(database: str, **options: Any) -> duckdb.DuckDBPyConnection:
    """A connection that shows no bar of progress: the standard output is the caller's."""
    connection = duckdb.connect(database, **options)
    if _has_bar(connection):
        connection.execute(_NO_BAR)
    return connection


def attached(path: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """A connection that reads the file; errors are DuckDB's own."""
    return _of_this_process().attached(path)


class _Engine:
    """A DuckDB in memory and the files attached to it.

    A process loses its lock on a file when it closes any handle of it (POSIX), so a file is attached once, however many
    read it.
    """

    def __init__(self) -> None:
        spill = {"temp_directory": tempfile.gettempdir()}
        self._connection = duckdb.connect(":memory:", config=CONFIG_OF_READERS | spill)
        self._has_bar = _has_bar(self._connection)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._names: dict[tuple[int, int], str] = {}
        self._readers: dict[str, int] = {}

    @contextmanager
    def attached(self, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        name = self._attach(path)
        try:
            with self._connection.cursor() as connection:
                if self._has_bar:
                    connection.execute(_NO_BAR)
                connection.execute(f"USE {name}")
                yield connection
        finally:
            self._detach(name)

    def _attach(self, path: Path) -> str:
        """The name under which a file is attached, from now on until as often detached."""
        with self._lock:
            status = path.stat()
            file = (status.st_dev, status.st_ino)
            if file not in self._names:
                name = f"file{next(self._numbers)}"
                place = str(path).replace("'", "''")
                self._connection.execute(f"ATTACH '{place}' AS {name} (TYPE duckdb, READ_ONLY)")
                self._names[file] = name
                self._readers[name] = 0
            self._readers[self._names[file]] += 1
            return self._names[file]

    def _detach(self, name: str) -> None:
        with self._lock:
            self._readers[name] -= 1
            if self._readers[name] == 0:
                del self._readers[name]
                self._names = {file: other for file, other in self._names.items() if other != name}
                self._connection.execute(f"DETACH {name}")


_starting = threading.Lock()
_engines: dict[int, _Engine] = {}
"""By process: after a fork the child has none of the threads of its parent's."""


def _of_this_process() -> _Engine:
    with _starting:
        if os.getpid() not in _engines:
            _engines[os.getpid()] = _Engine()
        return _engines[os.getpid()]


_NO_BAR = "SET enable_progress_bar = false"


def _has_bar(connection: duckdb.DuckDBPyConnection) -> bool:
    # In a notebook without ipywidgets there is no bar, and the setting cannot be changed.
    return connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,)
