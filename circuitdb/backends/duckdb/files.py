"""Opens a DuckDB file for the time of one operation, and says in one sentence why it cannot.

In comes a path, out comes a connection: read-only, or with a transaction that is committed whole or rolled back. Other
processes hold the file only as briefly, so whoever finds it held waits a little.
"""

from __future__ import annotations

import os
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from circuitdb.backends.duckdb.engine import CONFIG, CONFIG_OF_READERS, attached, opened
from circuitdb.backends.duckdb.schema import create_statements
from circuitdb.errors import CircuitdbError, InputError, StoreBusyError
from circuitdb.graph import SCHEMA_VERSION

T = TypeVar("T")


@contextmanager
def reading(path: Path, wait_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, closed afterwards.

    Raises
    ------
    InputError
        If there is no database of circuitdb at `path`.
    StoreBusyError
        If another process writes for longer than `wait_seconds`.
    CircuitdbError
        If the file cannot be read.
    """
    require(path)
    with _sentences(path), ExitStack() as stack:
        connection = _patiently(wait_seconds, lambda: stack.enter_context(attached(path)))
        _check_version(connection, path)
        yield connection


def in_memory() -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory, of one thread, that reads as `reading` does."""
    connection = opened(":memory:", config=CONFIG_OF_READERS | {"threads": 1})
    for statement in create_statements():
        fetch(connection, statement)
    return connection


@contextmanager
def writing(path: Path, wait_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection within a transaction, which is committed at the end or, after an error, rolled back.

    A database that is not there is made. Errors as for `reading`.
    """
    _refuse_folder(path)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the database {path.name}; make it first")
    with _sentences(path):
        if not path.exists():
            _create(path)
        # Connections of one process to one file share it if they are configured alike; a writer shares with nobody.
        alone = {"custom_user_agent": f"circuitdb/{uuid.uuid4()}"}
        connection = _patiently(wait_seconds, lambda: opened(str(path), config=CONFIG | alone))
        try:
            _check_version(connection, path)
            connection.begin()
            try:
                yield connection
            except BaseException:
                # A failed write may have ended the transaction already.
                with suppress(duckdb.Error):
                    connection.rollback()
                raise
            connection.commit()
        finally:
            connection.close()


def fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run a statement to its end and return its rows; a connection takes no other work before that."""
    return connection.execute(sql, parameters).fetchall()


def require(path: Path) -> None:
    """Raise `InputError` if there is no file at `path`."""
    _refuse_folder(path)
    if not path.exists():
        raise InputError(f"no database at {path}; `circuitdb ingest` makes one")


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; the address of a database is the path of a file")


def _create(path: Path) -> None:
    """Make an empty database under another name and give it its own in one step, so that no half of it is ever seen."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with duckdb.connect(str(unfinished), config=CONFIG) as connection:
            connection.begin()
            for statement in create_statements():
                fetch(connection, statement)
            fetch(connection, "INSERT INTO meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)])
            connection.commit()
        with suppress(FileExistsError):  # Another process was faster.
            _move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
        unfinished.with_name(f"{unfinished.name}.wal").unlink(missing_ok=True)


def _move(unfinished: Path, path: Path) -> None:
    """Rename without overwriting."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:  # A file system without hard links.
        if path.exists():
            raise FileExistsError(path) from None
        unfinished.rename(path)


def _patiently(wait_seconds: float, connect: Callable[[], T]) -> T:
    """Connect, waiting while another holds the file."""
    deadline = time.monotonic() + wait_seconds
    pause = 0.01
    while True:
        try:
            return connect()
        except duckdb.Error as error:
            if not _is_busy(error) or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 0.25)


def _check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        versions = [str(row[0]) for row in fetch(connection, "SELECT value FROM meta WHERE key = 'schema_version'")]
    except (duckdb.CatalogException, duckdb.BinderException):
        versions = []
    if len(versions) != 1 or not re.fullmatch("[0-9]+", versions[0]):
        raise InputError(f"{path} is a DuckDB database, but not one of circuitdb's; choose another file")
    if int(versions[0]) > SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by a newer circuitdb (form {versions[0]}, this one knows {SCHEMA_VERSION}); upgrade it"
        )
    if int(versions[0]) < SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by an older circuitdb (form {versions[0]}, this one writes {SCHEMA_VERSION}); "
            "delete it and ingest its models again"
        )


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Turn DuckDB's and the system's errors into circuitdb's."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except (duckdb.Error, OSError) as error:
        raise _sentence(path, error) from error


def _is_busy(error: duckdb.Error) -> bool:
    text = str(error)
    return any(
        sign in text for sign in ("Could not set lock", "different configuration", "Unique file handle conflict")
    )


def _sentence(path: Path, error: Exception) -> CircuitdbError:
    text = str(error)
    if isinstance(error, duckdb.Error) and _is_busy(error):
        process = re.search(r"PID ([0-9]+)", text)
        holder = f"process {process[1]}" if process else "another connection of this process"
        return StoreBusyError(f"{path} is in use by {holder}; try again when that has ended")
    if "not a valid DuckDB" in text:
        return InputError(f"{path} is not a DuckDB database; choose another file")
    if "version number" in text:
        return InputError(f"{path} was written by another version of DuckDB that this one cannot read; upgrade duckdb")
    if "Read-only file system" in text:
        return CircuitdbError(f"cannot write {path}: its disk is read-only")
    if "Permission denied" in text or "Operation not permitted" in text:
        return CircuitdbError(f"cannot open {path}: permission denied")
    if any(sign in text for sign in _FULL):
        return CircuitdbError(f"cannot write {path}: the disk is full; nothing was changed")
    if isinstance(error, duckdb.OutOfMemoryException):
        return CircuitdbError(f"{path}: not enough memory; {_first_line(text)}")
    return CircuitdbError(f"{path}: {_first_line(text)}")


_FULL = ("No space left", "Could not write all bytes", "File too large", "Disk quota exceeded", "Could not write file")


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()
