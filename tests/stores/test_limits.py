"""A search that meets its time limit says so, wherever it was then, and compares no more kernels than it must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import cast

import duckdb
import numpy as np
import pytest

from circuitdb.backends.base import Limits
from circuitdb.backends.duckdb.interrupting import fetch_all
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import CircuitdbError
from circuitdb.pattern import model as p
from circuitdb.pattern.agreement import candidates_of
from circuitdb.pattern.compile import compile_query
from tests.graphs import random_graph

ENDLESS = "find { a -> c; b -> c; a -> d; b -> d; c -> e; d -> e; e -> f; no f -> g where share > a.bias }"
STAGES = """find {
  a -> b as e
  b -> c as f
  where agreement(flip(e), f) != missing
  at least 1 x { a -> x }
}"""


def written(folder: Path, units: int) -> DuckDBStore:
    store = DuckDBStore(str(folder / "graph.duckdb"))
    store.write(random_graph(np.random.default_rng(0), layers=5, units=units))
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuckDBStore:
    return written(tmp_path_factory.mktemp("limits"), 24)


@pytest.mark.parametrize("units", [60, 120])
def test_a_search_and_a_count_stop_when_their_time_is_up(tmp_path: Path, units: int) -> None:
    store = written(tmp_path, units)  # ten million circuits and more: no machine lists them in the time
    found = store.find(compile_query(ENDLESS), Limits(rows=None, seconds=0.1))
    assert (found.stopped_by, found.truncated, found.matches) == ("seconds", True, [])
    with pytest.raises(CircuitdbError, match=r"counting took longer than 0\.1 s"):
        store.count(compile_query(ENDLESS), Limits(rows=None, seconds=0.1))


def test_whatever_a_search_is_at_when_its_time_is_up_it_says_so(store: DuckDBStore) -> None:
    query = compile_query(STAGES)
    started = time.perf_counter()
    whole = store.find(query, Limits(rows=None, seconds=None))
    took = time.perf_counter() - started
    assert whole.matches
    for seconds in np.linspace(took / 20, took, 20):
        found = store.find(query, Limits(rows=None, seconds=float(seconds)))
        expected = [] if found.stopped_by == "seconds" else whole.matches
        assert found.matches == expected
        assert found.truncated == (found.stopped_by == "seconds")


def test_a_search_takes_no_more_memory_than_it_may_and_the_next_one_has_all_again(tmp_path: Path) -> None:
    store = written(tmp_path, 40)
    query = compile_query("find { a -> b; c -> b; d -> b }")
    whole = store.count(query, Limits(rows=None, seconds=None))
    with pytest.raises(CircuitdbError, match="more memory than it may take; set a threshold"):
        store.find(query, Limits(rows=None, seconds=None, memory_mb=2))
    assert len(store.find(query, Limits(rows=None, seconds=None)).matches) == whole


class StartingLate:
    """A connection on which Ctrl-C comes shortly before a statement starts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.interrupt = connection.interrupt
        self._connection = connection

    def execute(self, sql: str, parameters: dict[str, object]) -> duckdb.DuckDBPyConnection:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        return self._connection.execute(sql, parameters)


def test_ctrl_c_before_a_statement_starts_stops_it_too() -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    connection = duckdb.connect()
    rescue = threading.Timer(60, connection.interrupt)
    rescue.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch_all(
                cast(duckdb.DuckDBPyConnection, StartingLate(connection)),
                "SELECT count(*) FROM range(1_000_000_000) AS a, range(1_000_000_000) AS b WHERE a.range % b.range = 7",
                {},
            )
        assert rescue.is_alive()
    finally:
        rescue.cancel()
        signal.signal(signal.SIGINT, handler)


def test_no_bar_of_progress_is_printed_where_python_is_interactive(store: DuckDBStore) -> None:
    shown = (
        "import sys; from circuitdb.backends.duckdb.store import DuckDBStore\n"
        "with DuckDBStore(sys.argv[1]).reading() as connection:\n"
        "    print(connection.execute(\"SELECT current_setting('enable_progress_bar')\").fetchall()[0][0])"
    )
    command = [sys.executable, "-c", shown, store.address]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "False\n"


def test_kernels_are_compared_only_where_the_rest_of_a_condition_holds() -> None:
    joined = compile_query(
        "find { a -> b as e; b -> c as f; where agreement(e, f) > 0.9 and e.share > 0.1 and f.share > 0.2 }"
    )
    apart = compile_query(
        "find { a -> b as e where share > 0.1; b -> c as f where share > 0.2; where agreement(e, f) > 0.9 }"
    )
    assert candidates_of([joined.body]).conditions == candidates_of([apart.body]).conditions
    assert len(candidates_of([joined.body]).conditions) == 2


def test_conditions_on_a_row_that_another_of_its_name_hides_are_no_conditions_of_candidates() -> None:
    mutual = p.Truth(p.RowProperty("flip(a)", "mutual"))
    strong = p.Compare(">", p.EdgeProperty("e", "share"), p.Constant(0.1))
    around = p.Body(rows=(p.MapRow("flip(a)", "flip", "a", "b"),), conditions=(mutual, strong))
    within = p.Body(rows=(p.MapRow("flip(a)", "flip", "a", "c"),), conditions=(p.Not(mutual),))
    assert candidates_of([around, within]).conditions == (strong, p.Not(mutual))
