"""Files that a process reads are attached to one DuckDB: once each, as long as anybody reads, and not after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import StoreBusyError
from tests.graphs import random_graph

WRITE = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("CREATE TABLE other (a INTEGER)")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = DuckDBStore(str(tmp_path / "it's a graph.duckdb"))
    store.write(random_graph(np.random.default_rng(0)))
    return store.path


def others_can_write(path: Path) -> bool:
    return subprocess.run([sys.executable, "-c", WRITE, str(path)], stderr=subprocess.DEVNULL).returncode == 0


def test_a_file_is_locked_until_its_last_reader_of_a_process_has_ended(path: Path) -> None:
    link = path.with_name("link.duckdb")
    link.symlink_to(path)
    with DuckDBStore(str(path)).reading():
        with DuckDBStore(str(link)).reading():
            DuckDBStore(str(path)).models()
        assert not others_can_write(path)
    assert others_can_write(path)


def test_a_process_does_not_write_a_file_that_it_reads(path: Path) -> None:
    store = DuckDBStore(str(path), wait_seconds=0.1)
    with store.reading(), pytest.raises(StoreBusyError, match="another connection of this process"):
        store.delete(store.models()[0]["name"])
    store.delete(store.models()[0]["name"])
    assert store.models() == []


def test_a_forked_process_reads_on_a_duckdb_of_its_own(path: Path) -> None:
    store = DuckDBStore(str(path))
    models = store.models()
    child = os.fork()
    if child == 0:
        os._exit(0 if store.models() == models else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_files_of_one_name_are_told_apart(path: Path, tmp_path: Path) -> None:
    other = DuckDBStore(str(tmp_path / "folder" / path.name))
    other.path.parent.mkdir()
    other.write(random_graph(np.random.default_rng(1), name="other"))
    with DuckDBStore(str(path)).reading() as one, other.reading() as two:
        names = [connection.execute("SELECT name FROM model").fetchall() for connection in (one, two)]
    assert names[0] != names[1] == [("other",)]
