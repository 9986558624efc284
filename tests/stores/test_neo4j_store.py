"""The Neo4j store: models are seen whole or not at all, failures are one sentence each, files import as they should."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from neo4j.exceptions import (
    AuthError,
    ClientError,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.backends.neo4j import batches, connection, loading
from circuitdb.backends.neo4j.admin_export import export_for_admin
from circuitdb.backends.neo4j.connection import (
    SearchTimeoutError,
    UnreachableError,
    check_version,
    parse_address,
    translate,
)
from circuitdb.backends.neo4j.schema import SCHEMA_NAMES, stored
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import Record, unit_key
from circuitdb.transfer import checksum
from tests import neo4j_server
from tests.graphs import graph_of, random_graph, random_responses, toy_graph, with_responses

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from tests.graphs import graph_of
from circuitdb.backends.neo4j import batches
from circuitdb.backends.neo4j.store import Neo4jStore
batches.BATCH_ROWS = 50
edges = [(f"L0:{a}", f"L1:{b}", 1.0) for a in range(60) for b in range(60)]
graph = graph_of({"L0": 60, "L1": 60}, edges, name="killed")
Neo4jStore(sys.argv[1]).write(graph, progress=lambda *step: print(step, flush=True))
"""


def counted(store: Neo4jStore, label: str) -> int:
    return int(store.connection.read(f"MATCH (n:{label}) RETURN count(n) AS count")[0]["count"])


class TestVisibility:
    def test_a_model_is_invisible_until_it_is_whole(
        self, neo4j_store: Neo4jStore, neo4j_address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batches, "BATCH_ROWS", 2)
        other = Neo4jStore(neo4j_address)
        seen = []
        neo4j_store.write(toy_graph(), progress=lambda *_: seen.append((other.models(), counted(other, "Unit"))))
        assert len(seen) > 3
        assert all(step == ([], 0) for step in seen)
        assert counted(other, "Unit") == 9
        assert counted(other, "Staged") == counted(other, "Load") == 0

    def test_the_old_model_is_seen_until_the_new_one_replaces_it(
        self, neo4j_store: Neo4jStore, neo4j_address: str
    ) -> None:
        old, new = toy_graph(), graph_of({"L0": 2, "L1": 1}, [("L0:0", "L1:0", 2.0), ("L0:1", "L1:0", -1.0)])
        neo4j_store.write(old)
        other = Neo4jStore(neo4j_address)
        seen: list[str] = []
        neo4j_store.write(new, replace=True, progress=lambda *_: seen.append(checksum(other.read("toy"))))
        assert set(seen) == {checksum(old)}
        assert checksum(other.read("toy")) == checksum(new)
        assert counted(other, "Trash") == 0
        assert counted(other, "Unit") == 3

    def test_a_failed_load_leaves_nothing_to_be_seen_and_is_swept_by_the_next_write(
        self, neo4j_store: Neo4jStore
    ) -> None:
        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            neo4j_store.write(toy_graph("failed"), progress=fail)
        assert neo4j_store.models() == []
        assert counted(neo4j_store, "Unit") == 0
        assert counted(neo4j_store, "Trash") == 9
        neo4j_store.write(toy_graph())
        assert counted(neo4j_store, "Trash") == counted(neo4j_store, "Staged") == 0

    def test_ctrl_c_in_the_middle_of_a_message_leaves_the_server_ready(self, neo4j_store: Neo4jStore) -> None:
        class Interrupting(list[int]):
            def __iter__(self) -> Iterator[int]:
                yield 1
                os.kill(os.getpid(), signal.SIGINT)
                yield 2

        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                neo4j_store.connection.write(("RETURN $numbers", {"numbers": Interrupting([1, 2])}))
        finally:
            signal.signal(signal.SIGINT, handler)
        assert neo4j_store.connection.read("RETURN 1 AS one")[0]["one"] == 1

    def test_a_killed_writer_leaves_nothing_to_be_seen_and_is_swept_by_the_next_write(
        self, neo4j_store: Neo4jStore, neo4j_address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = str(Path(__file__).parents[2])
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, neo4j_address, root], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)][1].startswith("('writing', 50, 3600)")
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        assert neo4j_store.models() == []
        assert counted(neo4j_store, "Unit") == 0
        assert counted(neo4j_store, "Staged") == 120
        neo4j_store.write(toy_graph("meanwhile"))
        assert counted(neo4j_store, "Staged") == 120, "a load whose writer may still live is left alone"
        monkeypatch.setattr(loading, "ABANDONED_SECONDS", -1)
        neo4j_store.delete("meanwhile")
        assert neo4j_store.connection.read("MATCH (n) WHERE NOT n:Circuitdb RETURN n") == []

    def test_a_writer_that_was_taken_for_dead_fails_rather_than_show_half_a_model(
        self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def sweep_it(*_: object) -> None:
            monkeypatch.setattr(loading, "ABANDONED_SECONDS", -1)
            loading.sweep(neo4j_store.connection)

        with pytest.raises(CircuitdbError, match="was swept away; write it again"):
            neo4j_store.write(toy_graph(), progress=sweep_it)
        assert neo4j_store.models() == []
        assert counted(neo4j_store, "Unit") == 0

    def test_of_two_writers_of_one_name_the_second_is_refused(
        self, neo4j_store: Neo4jStore, neo4j_address: str
    ) -> None:
        other = Neo4jStore(neo4j_address)
        first = toy_graph()
        written = []

        def write_meanwhile(*_: object) -> None:
            if not written:
                written.append(other.write(first))

        with pytest.raises(InputError, match="model 'toy' is already in"):
            neo4j_store.write(graph_of({"L0": 1, "L1": 1}, [("L0:0", "L1:0", 1.0)]), progress=write_meanwhile)
        assert checksum(neo4j_store.read("toy")) == checksum(first)

    def test_every_double_arrives_as_it_was_sent(self, neo4j_store: Neo4jStore) -> None:
        rng = np.random.default_rng(5)
        numbers = rng.integers(0, 2**63, 400).view(np.float64)
        numbers = np.abs(np.concatenate([numbers, [5e-324, 1.7976931348623157e308, 0.1, 1e16, 123456789.0, 2**53 + 1]]))
        numbers = numbers[np.isfinite(numbers)]
        graph = graph_of({"L0": 1, "L1": len(numbers)}, [("L0:0", f"L1:{i}", 1.0) for i in range(len(numbers))])
        neo4j_store.write(replace(graph, edges=graph.edges.append_column("dx", pa.array(numbers))))
        assert neo4j_store.read("toy").edges["dx"].to_pylist() == numbers.tolist()

    def test_batches_of_any_size_make_the_same_graph(
        self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graph = random_graph(np.random.default_rng(8), kernels=True)
        for size in (1, 700, 2_000_000):
            monkeypatch.setattr(batches, "BATCH_BYTES", size)
            neo4j_store.write(graph, replace=True)
            assert checksum(neo4j_store.read("toy")) == checksum(graph)


def test_texts_of_any_kind_are_stored_and_found_as_they_are(neo4j_store: Neo4jStore) -> None:
    texts = [
        "'}) DETACH DELETE n //",
        '"`$x{}',
        "line\nbreak\ttab",
        "nul\0inside",
        "Straße 🐕\u202e",
        "\\'",
        "",
        "x" * 50_000,
    ]
    graph = graph_of(
        {"`L0`": 1, "'})": 1},
        [("`L0`:0", "'}):0", 1.0)],
        name="$model }) --",
        labels=[("`L0`:0", text, "me") for text in texts],
    )
    neo4j_store.write(graph)
    assert [row["label"] for row in neo4j_store.labels(graph.name)] == texts
    assert checksum(neo4j_store.read(graph.name)) == checksum(graph)
    folded = neo4j_store.connection.read("MATCH (u:Unit) WHERE u.labels_folded IS NOT NULL RETURN u.labels_folded AS l")
    assert folded[0]["l"] == [text.casefold() for text in texts]
    assert neo4j_store.unit(unit_key(graph.name, "'})", 0)) is not None


def test_units_carry_their_row_in_key_order_and_folded_texts(neo4j_store: Neo4jStore) -> None:
    graph = graph_of({"Ünit": 11, "L1": 1}, [("Ünit:0", "L1:0", 1.0)], name="MODEL")
    neo4j_store.write(graph)
    rows = neo4j_store.connection.read("MATCH (u:Unit) RETURN properties(u) ORDER BY u.position")
    units = [row[0] for row in rows]
    assert [unit["position"] for unit in units] == list(range(12))
    assert [unit["index"] for unit in units] == [*range(11), 0]
    for unit in units:
        assert set(unit) <= {*stored(Record.UNIT), "labels", "labels_folded", "label_sources"}
        for name in ("key", "model", "layer", "kind"):
            assert unit[f"{name}_folded"] == unit[name].casefold()


def test_constraints_and_indexes_are_there_and_used(neo4j_store: Neo4jStore) -> None:
    neo4j_store.write(toy_graph())
    indexes = neo4j_store.connection.read("SHOW INDEXES YIELD name, state RETURN name, state")
    assert {row["name"] for row in indexes if row["state"] == "ONLINE"} >= SCHEMA_NAMES
    questions = {
        "MATCH (u:Unit {key: $x}) RETURN u": "NodeUniqueIndexSeek",
        "MATCH (u:Unit {model: $x, position: $y}) RETURN u": "NodeIndexSeek",
        "MATCH (u:Unit {model: $x, layer: $y}) RETURN u": "NodeIndexSeek",
        "MATCH (m:Model {name: $x}) RETURN m": "NodeUniqueIndexSeek",
        "MATCH (s:Staged {load: $x, layer: $y}) RETURN s": "NodeIndexSeek",
    }
    with neo4j_store.connection.session("READ") as session:
        for question, operator in questions.items():
            plan = session.run("EXPLAIN " + question, {"x": "a", "y": "b"}).consume().plan
            assert operator in str(plan), question


def test_a_newer_schema_is_refused(neo4j_store: Neo4jStore, neo4j_address: str) -> None:
    neo4j_store.write(toy_graph())
    neo4j_store.connection.write(("MATCH (n:Circuitdb) SET n.version = 1000", {}))
    with pytest.raises(CircuitdbError, match="written by a newer circuitdb"):
        Neo4jStore(neo4j_address)
    neo4j_store.connection.write(("MATCH (n:Circuitdb) DELETE n", {}))


class TestFailures:
    def test_a_wrong_password_is_one_sentence(self, neo4j_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        password = parse_address(neo4j_address).password
        if password is None:
            pytest.skip("the server given asks for no password")
        host = neo4j_address.rpartition("@")[2]
        with pytest.raises(InputError, match=r"^bolt://\S+ refuses the password of user 'neo4j'; give them in"):
            Neo4jStore(f"bolt://neo4j:wrong@{host}")
        monkeypatch.delenv("NEO4J_PASSWORD", raising=False)
        monkeypatch.delenv("NEO4J_USERNAME", raising=False)
        with pytest.raises(InputError, match="asks for a user and a password"):
            Neo4jStore(f"bolt://{host}")
        monkeypatch.setenv("NEO4J_PASSWORD", password)
        assert Neo4jStore(f"neo4j://{host}/neo4j").address == f"neo4j://{host}/neo4j"

    def test_a_missing_database_is_one_sentence(self, neo4j_address: str) -> None:
        with pytest.raises(InputError, match=r"^there is no database 'zoo' at bolt://"):
            Neo4jStore(f"{neo4j_address}/zoo")

    def test_a_silent_port_is_one_sentence(self) -> None:
        port = neo4j_server.free_port()
        with pytest.raises(
            CircuitdbError, match=rf"^no Neo4j server answers at bolt://127.0.0.1:{port}; is it running"
        ):
            open_store(f"bolt://me:secret@127.0.0.1:{port}")

    def test_the_server_itself_stops_a_transaction_after_its_time(self, neo4j_store: Neo4jStore) -> None:
        endless = (
            "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b WITH a * b AS c WHERE c < 0 RETURN count(c)"
        )
        before = time.monotonic()
        with pytest.raises(SearchTimeoutError):
            neo4j_store.connection.read(endless, seconds=0.5)
        assert time.monotonic() - before < 60
        running = neo4j_store.connection.read("SHOW TRANSACTIONS YIELD currentQuery RETURN currentQuery")
        assert not [row for row in running if "100000" in row["currentQuery"]]

    def test_the_password_is_shown_nowhere(self) -> None:
        address = parse_address("neo4j://me:open-sesame@host/zoo")
        assert "open-sesame" not in address.shown + address.url + repr(address)

    @pytest.mark.parametrize(
        ("error", "kind", "sentence"),
        [
            (SessionExpired("gone"), UnreachableError, "the connection to neo4j://h was lost"),
            (ServiceUnavailable("refused"), UnreachableError, "no Neo4j server answers at neo4j://h"),
            (IncompleteCommit("gone"), CircuitdbError, "the connection to neo4j://h was lost while"),
            (
                Neo4jError._hydrate_neo4j(code="Neo.ClientError.Security.AuthenticationRateLimit", message="m"),
                CircuitdbError,
                "wait, then try again",
            ),
            (
                Neo4jError._hydrate_neo4j(code="Neo.ClientError.Security.Forbidden", message="no write\nstack"),
                CircuitdbError,
                "may not do this at neo4j://h: no write",
            ),
            (
                Neo4jError._hydrate_neo4j(
                    code="Neo.TransientError.General.MemoryPoolOutOfMemoryError", message="too much"
                ),
                CircuitdbError,
                "too little memory",
            ),
        ],
    )
    def test_what_the_driver_raises_becomes_one_sentence(
        self, error: Exception, kind: type[CircuitdbError], sentence: str
    ) -> None:
        translated = translate(error, parse_address("neo4j://u:p@h"))
        assert type(translated) is kind
        assert sentence in str(translated)
        assert "\n" not in str(translated)

    @pytest.mark.parametrize("agent", ["Neo4j/4.4.38", "Neo4j/5.8.0", "Memgraph", ""])
    def test_an_older_server_is_refused(self, agent: str) -> None:
        with pytest.raises(CircuitdbError, match=r"needs Neo4j 5\.9 or later"):
            check_version(agent, parse_address("neo4j://h"))

    @pytest.mark.parametrize("agent", ["Neo4j/5.9.0", "Neo4j/5.26.19", "Neo4j/2025.10.1", "Neo4j/5.27-aura"])
    def test_a_newer_server_is_taken(self, agent: str) -> None:
        check_version(agent, parse_address("neo4j://h"))


class TestAddresses:
    def test_an_address_names_user_password_host_and_database(self) -> None:
        address = parse_address("neo4j+s://me:p%40%2Fss@host:17/my%20zoo?policy=eu", {})
        assert (address.user, address.password, address.database) == ("me", "p@/ss", "my zoo")
        assert address.url == "neo4j+s://host:17?policy=eu"

    def test_user_and_password_may_come_from_the_environment(self) -> None:
        address = parse_address("bolt://host", {"NEO4J_USERNAME": "me", "NEO4J_PASSWORD": "secret"})
        assert (address.user, address.password, address.shown) == ("me", "secret", "bolt://host")
        assert parse_address("bolt://host", {"NEO4J_PASSWORD": "x"}).user == "neo4j"
        assert parse_address("bolt://host", {}).user is None

    @pytest.mark.parametrize(
        "text", ["http://host", "neo4j://", "neo4j://host:port", "neo4j://u:a#b@host", "bolt://h/a/b"]
    )
    def test_what_is_no_address_is_refused_without_its_password(self, text: str) -> None:
        with pytest.raises(InputError, match="looks like neo4j://") as caught:
            parse_address(text, {})
        assert "a#b" not in str(caught.value)


@pytest.fixture
def graphs() -> list[ModelGraph]:
    rng = np.random.default_rng(4)
    random = random_graph(rng, name="r '\"`;,\n", kernels=True)
    responses = random_responses(rng, random)
    return [
        toy_graph(),
        with_responses(random, replace(responses, examples=responses.examples.drop_columns(["thumbnail"]))),
        graph_of({"L0": 2, "L1": 1}, [("L0:0", "L1:0", 1.0)], name="ü", labels=[("L0:0", 'a;b,"c"\n'), ("L0:0", "d")]),
    ]


def raw_graph(store: Neo4jStore) -> tuple[list[str], list[str]]:
    """Every node and relationship with all its properties but the ids of the loads, as sorted texts."""
    nodes = store.connection.read("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties")
    edges = store.connection.read(
        "MATCH (a)-[r]->(b) RETURN coalesce(a.key, '') + type(r) + coalesce(b.key, '') AS ends, "
        "properties(r) AS properties"
    )

    def plain(properties: dict[str, object]) -> list[tuple[str, object]]:
        return sorted((name, value) for name, value in properties.items() if name not in ("load", "responses"))

    return (
        sorted(repr((sorted(row["labels"]), plain(row["properties"]))) for row in nodes),
        sorted(repr((row["ends"], plain(row["properties"]))) for row in edges),
    )


def test_the_offline_importer_makes_the_graph_that_is_loaded_over_bolt(
    neo4j_store: Neo4jStore, graphs: list[ModelGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        neo4j_server.fetch()
    except neo4j_server.ServerError as error:
        pytest.skip(str(error))
    for graph in graphs:
        neo4j_store.write(graph)
    export = export_for_admin(graphs, tmp_path / "export")
    assert export.models == [graph.name for graph in graphs]
    home = tmp_path / "home"
    neo4j_server.write_configuration(home, 0)
    program, *arguments = shlex.split(export.command)
    assert program == "neo4j-admin"
    neo4j_server.admin(home, export.folder, *arguments)
    monkeypatch.setattr(connection, "RETRY_SECONDS", 1.0)
    with neo4j_server.running(home, read_only=True) as server:
        imported = Neo4jStore(server.address)
        assert raw_graph(imported) == raw_graph(neo4j_store)
        for graph in graphs:
            assert checksum(imported.read(graph.name)) == checksum(graph)
        for change in (lambda: imported.delete("toy"), lambda: imported.write(toy_graph("new"))):
            with pytest.raises(CircuitdbError, match="is read-only here, so nothing was changed"):
                change()
        assert len(imported.models()) == 3
    with pytest.raises(CircuitdbError, match=r"no Neo4j server answers|connection to \S+ was lost"):
        imported.models()


def test_the_schema_file_of_the_export_makes_the_schema(tmp_path: Path) -> None:
    export = export_for_admin([toy_graph()], tmp_path / "export")
    text = (export.folder / "schema.cypher").read_text()
    assert all(f" {name} IF NOT EXISTS" in text for name in SCHEMA_NAMES)


def test_an_export_refuses_what_the_importer_would_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"U\+001F"):
        export_for_admin([graph_of({"L0": 1}, [], labels=[("L0:0", "a\x1fb")])], tmp_path / "a")
    with pytest.raises(InputError, match="a label is empty"):
        export_for_admin([graph_of({"L0": 1}, [], labels=[("L0:0", "")])], tmp_path / "b")
    with pytest.raises(InputError, match="two models are called 'toy'"):
        export_for_admin([toy_graph(), toy_graph()], tmp_path / "c" / "d")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="is not empty"):
        export_for_admin([toy_graph()], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_the_test_server_stops_when_the_tests_are_killed() -> None:
    """A process that starts a server and is killed leaves neither the server nor its files."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); from tests import neo4j_server\n"
        "with neo4j_server.running() as server:\n    print(server.home, server.address, flush=True); time.sleep(600)"
    )
    try:
        neo4j_server.fetch()
    except neo4j_server.ServerError as error:
        pytest.skip(str(error))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    home, address = holder.stdout.readline().split()
    Neo4jStore(address).close()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    end = time.monotonic() + 60
    while Path(home).exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(home).exists()
    with pytest.raises(CircuitdbError, match="no Neo4j server answers"):
        Neo4jStore(address)


def test_auth_errors_of_the_driver_are_those_that_are_translated() -> None:
    error = Neo4jError._hydrate_neo4j(code="Neo.ClientError.Security.Unauthorized", message="m")
    assert isinstance(error, AuthError)
    assert isinstance(Neo4jError._hydrate_neo4j(code="Neo.ClientError.Database.DatabaseNotFound"), ClientError)
