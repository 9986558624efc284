"""What the server makes of compiled Cypher, and what bounds a search on it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuitdb.backends.base import Limits
from circuitdb.backends.neo4j import cypher as c
from circuitdb.backends.neo4j import search
from circuitdb.backends.neo4j.emitter import Frame
from circuitdb.backends.neo4j.expressions import Parameters
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.errors import CircuitdbError
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.model import Query
from tests import graphs

GOLDEN = sorted((Path(__file__).parent.parent / "language" / "golden").glob("*.motif"))
FOREVER = "find all { unit a; unit b; unit c; unit d; unit e; unit f; unit g; unit h }"
RUNNING = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH 'MATCH (a:Unit' RETURN 1"
# Where the tests run in the background, their children are born deaf to SIGINT.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
COMMAND = (sys.executable, "-c", f"{LISTENING}; from circuitdb.cli import main; main()")


def _query(path: Path) -> Query:
    return compile_query(path.read_text(encoding="utf-8"), folder=path.parent, source_name=path.name)


def _operators(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"].partition("@")[0]
    for child in plan.get("children", ()):
        yield from _operators(child)


@pytest.fixture
def two_models(neo4j_store: Neo4jStore) -> Neo4jStore:
    rng = np.random.default_rng(5)
    for name in ("m1", "m2"):
        neo4j_store.write(graphs.random_graph(rng, name=name))
    return neo4j_store


def test_no_golden_query_needs_a_cartesian_product_an_all_nodes_scan_or_old_syntax(two_models: Neo4jStore) -> None:
    assert len(GOLDEN) >= 20
    for path in GOLDEN:
        compiled = search.page_cypher(_query(path), 10)
        values = {**compiled.parameters, **{needed.name: {} for needed in compiled.agreements}}
        with two_models.connection.session("READ") as session:
            summary = session.run(f"EXPLAIN {compiled.text}", values).consume()
        assert summary.plan is not None
        operators = set(_operators(summary.plan))
        forbidden = {name for name in operators if "Cartesian" in name or "AllNodes" in name or "AllRel" in name}
        assert not forbidden, (path.name, compiled.text)
        notes = [status for status in summary.gql_status_objects if status.is_notification]
        assert not notes, (path.name, compiled.text, [note.status_description for note in notes])


def _matches(part: object, depth: int = 0) -> Iterator[tuple[c.Match, int]]:
    """Every MATCH within a part of a query, and how deep in subqueries it lies."""
    if isinstance(part, c.Match):
        yield part, depth
    inside = part if isinstance(part, tuple) else vars(part).values() if hasattr(part, "__dict__") else ()
    for inner in inside:
        yield from _matches(inner, depth + isinstance(part, c.Subquery))


def test_no_match_has_subqueries_in_subqueries_among_its_conditions() -> None:
    """Else the server plans these anew for every order of the match's relationships: minutes where blocks nest."""
    deepest = 0
    for path in GOLDEN:
        frame = Frame(None, Parameters(), _query(path).body).build()
        for match, depth in _matches(frame.matches()):
            assert all(inner < 2 for _, inner in _matches(match.where)), (path.name, c.render(c.Query((match,))))
            deepest = max(deepest, depth)
    assert deepest >= 3


def test_every_page_of_equal_circuits_begins_like_the_whole_and_has_whole_edges(neo4j_store: Neo4jStore) -> None:
    pairs = [
        (f"L{layer}:{a}", f"L{layer + 1}:{b}") for layer in (0, 1) for a in range(4 - layer) for b in range(3 - layer)
    ]
    neo4j_store.write(graphs.graph_of({"L0": 4, "L1": 3, "L2": 2}, [(*pair, 1.0) for pair in pairs]))
    query = compile_query("find { a -> b -> c }")
    keys = [[f"toy/L{layer}:{i}" for i in range(4 - layer)] for layer in range(3)]
    expected = list(itertools.product(*keys))
    rows = {(row["source"], row["target"]): row for key in keys[0] + keys[1] for row in neo4j_store.edges(key, "out")}
    for limit in (None, 1, 7, 23, 24):
        found = neo4j_store.find(query, Limits(rows=limit))
        assert [tuple(match.units.values()) for match in found.matches] == expected[:limit]
        assert (found.truncated, found.total) == ((True, None) if len(found.matches) < 24 else (False, 24))
        for match in found.matches:
            a, b, c = match.units.values()
            assert match.edges == [rows[a, b], rows[b, c]]


def test_a_model_that_is_deleted_before_its_edges_are_read_is_told(
    two_models: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_edges = search.whole_edges

    def late(*arguments: Any) -> Any:
        two_models.delete("m1")
        return whole_edges(*arguments)

    monkeypatch.setattr(search, "whole_edges", late)
    with pytest.raises(CircuitdbError, match="deleted while it was searched"):
        two_models.find(compile_query("find { a -> b } in m1"), Limits(rows=10))


def test_a_search_stops_on_the_server_when_its_time_is_up(two_models: Neo4jStore) -> None:
    query = compile_query(FOREVER)
    found = two_models.find(query, Limits(rows=None, seconds=1.0))
    assert (found.stopped_by, found.truncated, found.matches) == ("seconds", True, [])
    with pytest.raises(CircuitdbError, match="longer than 1 s"):
        two_models.count(query, Limits(rows=None, seconds=1.0))
    assert two_models.connection.read(RUNNING) == []


def test_ctrl_c_on_neo4j_does_not_wait_for_a_server_that_answers_late(neo4j_store: Neo4jStore) -> None:
    reached, over, ended = threading.Event(), threading.Event(), threading.Event()

    def work(_: object) -> None:
        reached.set()
        over.wait(30)
        ended.set()

    def press() -> None:
        reached.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=press).start()
        with pytest.raises(KeyboardInterrupt):
            neo4j_store.connection.reading(work)
        assert not ended.is_set()
    finally:
        over.set()
        signal.signal(signal.SIGINT, handler)


def test_interrupting_a_search_leaves_no_transaction_behind(two_models: Neo4jStore, neo4j_address: str) -> None:
    command = [*COMMAND, "find", FOREVER, "--db", neo4j_address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not two_models.connection.read(RUNNING):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in complaint
    while two_models.connection.read(RUNNING):
        assert time.monotonic() < deadline
        time.sleep(0.1)
