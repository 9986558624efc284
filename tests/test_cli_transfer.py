"""import, export and push as people and programs use them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import Analogues, ModelGraph, Progress
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.transfer import checksum, push
from tests.conftest import REPOSITORY, Command
from tests.graphs import graph_of, random_graph, toy_graph
from tests.test_exchange import analogues_between


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database of three models, analogues between two of them, dense matrices in one."""
    path = tmp_path / "source.duckdb"
    store = open_store(str(path))
    graphs = [random_graph(np.random.default_rng(seed), name=f"m{seed}", dense=seed == 0) for seed in range(2)]
    for graph in (*graphs, toy_graph()):
        store.write(graph)
    store.write_analogues(analogues_between(*graphs))
    return path


def checksums(address: str | Path) -> dict[str, str]:
    with closing(open_store(str(address))) as store:
        return {row["name"]: checksum(store.read(row["name"])) for row in store.models()}


# import and export


def test_an_exported_file_is_imported_unchanged(command: Command, source: Path, tmp_path: Path) -> None:
    file, new = tmp_path / "graph.json", tmp_path / "new.duckdb"
    exported = command("export", "--graph", "m0", "--graph", "m1", "--graph", "m0", "-o", str(file), db=source)
    assert (exported.code, exported.out) == (0, "")
    assert exported.err == f"m0, m1 written to {file}\n"
    imported = command("import", str(file), "--format", "json", db=new)
    assert [row["model"] for row in imported.json["models"]] == ["m0", "m1"]
    assert checksums(new) == {name: value for name, value in checksums(source).items() if name != "toy"}
    again = tmp_path / "again.json"
    assert command("export", "--graph", "m0", "--graph", "m1", "-o", str(again), db=new).code == 0
    assert again.read_bytes() == file.read_bytes()


def test_an_imported_model_is_listed_with_its_size(command: Command, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "toy.json"
    assert command("export", "--graph", "toy", "-o", str(file), "--quiet", db=source).err == ""
    lines = command("import", str(file), db=tmp_path / "new.duckdb").out.splitlines()
    assert [line.split() for line in lines] == [["model", "layers", "edges"], ["toy", "3", "10"]]
    twice = command("import", str(file), db=tmp_path / "new.duckdb")
    assert (twice.code, twice.out) == (2, "")
    assert "model 'toy' is already in" in twice.err
    assert command("import", str(file), "--replace", "--format", "csv", db=tmp_path / "new.duckdb").csv == [
        {"model": "toy", "layers": "3", "edges": "10"}
    ]


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "is no JSON"),
        (b'{"circuitdb": 1, "models": [', "is no JSON"),
        (b"\xff\xfe{}", "is not text in UTF-8"),
        (b"[" * 100_000, "is nested too deep"),
        (b'{"circuitdb": 1, "models": [{"name": ' + b"9" * 5000 + b"}]}", "is no JSON"),
        (b'{"circuitdb": 1, "layers": [{"model": "a", "name": "b", "depth": NaN}]}', "layers[0].depth: a whole number"),
        (b'{"circuitdb": 1, "models": [{"name": "\\ud800"}]}', "models[0].name: a text (valid Unicode) is wanted"),
        (b"{}", 'the document must say "circuitdb": 1'),
    ],
)
def test_a_file_that_is_no_document_gets_one_sentence_and_code_2(
    command: Command, tmp_path: Path, content: bytes, answer: str
) -> None:
    file = tmp_path / "wrong.json"
    file.write_bytes(content)
    outcome = command("import", str(file), db=tmp_path / "new.duckdb")
    assert (outcome.code, outcome.out) == (2, "")
    assert answer in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "new.duckdb").exists()


@pytest.mark.parametrize("name", ["none.json", "."])
def test_a_file_that_cannot_be_read_gets_code_2(command: Command, tmp_path: Path, name: str) -> None:
    outcome = command("import", str(tmp_path / name), db=tmp_path / "new.duckdb")
    assert outcome.code == 2
    assert outcome.err.startswith(f"cannot read {tmp_path / name}: ")


@pytest.mark.parametrize(
    "arguments",
    [[], ["-o", "x.json"], ["--graph", "toy"], ["--graph", "toy", "-o", "x.json", "--neo4j-admin", "folder"]],
)
def test_an_export_needs_to_know_what_and_where(command: Command, source: Path, arguments: list[str]) -> None:
    outcome = command("export", *arguments, db=source)
    assert outcome.code == 2
    assert "--graph MODEL -o FILE.json, or --neo4j-admin FOLDER" in outcome.err


@pytest.mark.parametrize("query", ["cross_inhibition", "all"])
def test_an_export_takes_a_query_or_a_graph(command: Command, source: Path, query: str) -> None:
    outcome = command("export", query, "--graph", "toy", "-o", "x.json", db=source)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"{query!r} and --graph exclude each other" in outcome.err


def test_an_export_of_a_model_that_is_not_there_names_the_nearest(
    command: Command, source: Path, tmp_path: Path
) -> None:
    outcome = command("export", "--graph", "toi", "-o", str(tmp_path / "x.json"), db=source)
    assert outcome.code == 2
    assert "did you mean toy?" in outcome.err
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("place", ["none/x.json", "source.duckdb/x.json", "folder.json", "x" * 300 + ".json"])
def test_an_export_that_cannot_be_written_leaves_nothing(
    command: Command, source: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder.json").mkdir()
    before = sorted(tmp_path.iterdir())
    outcome = command("export", "--graph", "toy", "-o", str(tmp_path / place), db=source)
    assert outcome.code == 1
    assert outcome.err.startswith(f"cannot write {tmp_path / place}: ")
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_export_for_neo4j_admin_writes_a_folder_and_prints_the_command(
    command: Command, source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "for neo4j"
    outcome = command("export", "--neo4j-admin", str(folder), db=source)
    assert outcome.code == 0
    assert outcome.out.startswith("neo4j-admin database import full")
    assert outcome.err == f"m0, m1, toy written to {folder}; import them there with:\n"
    assert any(file.suffix == ".csv" for file in folder.iterdir())
    again = command("export", "--neo4j-admin", str(folder), db=source)
    assert again.code == 2
    assert "is not empty" in again.err


PAUSED = """
import signal, sys, time
from circuitdb.cli import main
from circuitdb.database import Database

signal.signal(signal.SIGINT, signal.default_int_handler)  # a child of a background job is born deaf to it
read = Database.graph

def graph(self, name):
    if name == "toy":
        print("half", flush=True)
        time.sleep(600)
    return read(self, name)

Database.graph = graph
sys.argv[0] = "circuitdb"
main()
"""
"""The command, which stops where it reads the last of the models."""


def below(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("number", "old"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, True)])
@pytest.mark.parametrize("form", [".graphml", ".parquet", ""])
def test_an_interrupted_export_leaves_no_half_file(
    command: Command, source: Path, tmp_path: Path, form: str, number: signal.Signals, old: bool
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    out = place / f"zoo{form}"
    arguments = ["export", "all", "-o", str(out)] if form else ["export", "--neo4j-admin", str(out)]
    if old and form:
        assert command("export", "--graph", "toy", "-o", str(out), db=source).code == 0
    elif old:
        out.mkdir()
    before = below(place)
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *arguments, "--db", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    there = below(place)
    if number is signal.SIGKILL:
        assert {name: there[name] for name in before} == before
        assert all("unfinished" in name for name in there.keys() - before.keys())
        assert out.exists() == (old or not form)
    else:
        assert process.returncode == 128 + number
        assert err == ("ended by SIGTERM; what was not finished is as it was before\n" if number == 15 else "")
        assert there == before
        assert out.exists() == old
    assert command(*arguments, db=source).code == 0
    assert not [name for name in below(place) if "unfinished" in name]


# push


def test_push_copies_what_is_not_there_yet(command: Command, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.duckdb"
    first = command("push", str(target), "--model", "m1", "--format", "json", db=source).json["models"]
    assert [(row["model"], row["was_there"]) for row in first] == [("m1", False)]
    everything = command("push", str(target), "--format", "json", db=source).json["models"]
    assert [(row["model"], row["was_there"]) for row in everything] == [("m0", False), ("m1", True), ("toy", False)]
    assert {row["model"]: row["checksum"] for row in everything} == checksums(target) == checksums(source)
    stores = [open_store(str(path)) for path in (source, target)]
    assert [pairs.rows for pairs in stores[0].analogues()] == [pairs.rows for pairs in stores[1].analogues()]
    dense = [store.read("m0").dense for store in stores]
    assert list(dense[0]) == list(dense[1]) != []
    for pair in dense[0]:
        np.testing.assert_array_equal(dense[0][pair].weight, dense[1][pair].weight)


def test_push_to_the_same_database_changes_nothing(command: Command, source: Path) -> None:
    rows = command("push", str(source), "--format", "csv", db=source).csv
    assert [row["was_there"] for row in rows] == ["True"] * 3


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["TARGET", "--model", "toi"], "did you mean toy?"),
        (["http://localhost"], "is no address of a store"),
        ([""], "is no path of a database"),
    ],
)
def test_a_mistake_in_a_push_gets_one_sentence(
    command: Command, source: Path, tmp_path: Path, arguments: list[str], answer: str
) -> None:
    outcome = command("push", *(str(tmp_path / "t.duckdb") if a == "TARGET" else a for a in arguments), db=source)
    assert (outcome.code, outcome.out) == (2, "")
    assert answer in outcome.err


def test_push_refuses_another_model_of_the_name_unless_told_to_replace_it(
    command: Command, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target.duckdb"
    open_store(str(target)).write(graph_of({"L0": 1}, [], name="toy"))
    before = checksums(target)
    refused = command("push", str(target), "--model", "toy", db=source)
    assert refused.code == 2
    assert "holds another model 'toy'; --replace" in refused.err
    assert checksums(target) == before
    assert command("push", str(target), "--model", "toy", "--replace", db=source).code == 0
    assert checksums(target) == {"toy": checksums(source)["toy"]}


class Interrupted(DuckDBStore):
    """A file whose second model is never written."""

    writes = 0

    def write(self, graph: ModelGraph, *, replace: bool = False, progress: Progress | None = None) -> None:
        self.writes += 1
        if self.writes == 2:
            raise KeyboardInterrupt
        super().write(graph, replace=replace, progress=progress)


def test_an_interrupted_push_goes_on_where_it_stopped(source: Path, tmp_path: Path) -> None:
    start = DuckDBStore(str(source))
    with pytest.raises(KeyboardInterrupt):
        push(start, Interrupted(str(tmp_path / "target.duckdb")))
    copied = push(start, DuckDBStore(str(tmp_path / "target.duckdb")))
    assert [(row.model, row.was_there) for row in copied] == [("m0", True), ("m1", False), ("toy", False)]
    assert checksums(tmp_path / "target.duckdb") == checksums(source)


class Forgetful(DuckDBStore):
    """A file that loses a label, changes a weight, or turns an analogue round."""

    def __init__(self, address: str, loses: str) -> None:
        super().__init__(address)
        self.loses = loses

    def write(self, graph: ModelGraph, *, replace: bool = False, progress: Progress | None = None) -> None:
        if self.loses == "labels" and graph.labels is not None:
            graph = graph_with(graph, labels=graph.labels.slice(1))
        if self.loses == "edges":
            top = np.array(graph.edges["strength"].to_numpy()) * 1.0000001
            column = graph.edges.column_names.index("strength")
            graph = graph_with(graph, edges=graph.edges.set_column(column, "strength", [top]))
        super().write(graph, replace=replace, progress=progress)

    def write_analogues(self, analogues: Analogues) -> None:
        if self.loses == "analogues":
            analogues = Analogues(analogues.source, analogues.target, analogues.rows.slice(1))
        super().write_analogues(analogues)


def graph_with(graph: ModelGraph, **tables: object) -> ModelGraph:
    return replace(graph, **tables)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loses", "answer"),
    [
        ("labels", r"of 4 labels of model 'toy', 3 arrived at"),
        ("edges", r"the edges of model 'm0' arrived at \S+ changed"),
        ("analogues", r"the analogues m0 -> m1 arrived at \S+ changed"),
    ],
)
def test_push_says_what_arrived_changed(source: Path, tmp_path: Path, loses: str, answer: str) -> None:
    models = ["toy"] if loses == "labels" else None
    with pytest.raises(CircuitdbError, match=answer) as caught:
        push(DuckDBStore(str(source)), Forgetful(str(tmp_path / "target.duckdb"), loses), models)
    assert not isinstance(caught.value, InputError)


def test_models_go_to_neo4j_and_come_back_unchanged(
    command: Command, source: Path, neo4j_address: str, tmp_path: Path
) -> None:
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    there = command("push", neo4j_address, "--format", "json", db=source)
    assert there.code == 0, there.err
    assert [row["was_there"] for row in there.json["models"]] == [False] * 3
    again = command("push", neo4j_address, "--format", "json", db=source)
    assert [row["was_there"] for row in again.json["models"]] == [True] * 3
    back = tmp_path / "back.duckdb"
    assert command("push", str(back), db=neo4j_address).code == 0
    assert checksums(back) == checksums(source)
    files = [tmp_path / "file.json", tmp_path / "server.json"]
    for file, db in zip(files, (source, neo4j_address), strict=True):
        assert command("export", "--graph", "m0", "--graph", "m1", "-o", str(file), db=db).code == 0
    assert files[0].read_text() == files[1].read_text()
    imported = command("import", str(files[0]), "--replace", db=neo4j_address)
    assert imported.code == 0, imported.err
    with circuitdb.open(neo4j_address) as database:
        assert database.document(["m0", "m1"]) == json.loads(files[0].read_text())
