"""A model is written whole or not at all: killed writers, full disks, locked, read-only and foreign files."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from circuitdb.backends.base import ModelGraph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import CircuitdbError, InputError, StoreBusyError
from tests.graphs import assert_same_graph, random_graph, toy_graph
from tests.stores.killed_writer import large_graph, large_responses

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 20


class Writer:
    """A process that does what it is told and dies when it is told."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def __call__(self, action: str, seed: int, delay: float | str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(action, seed, delay, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def seconds(self, action: str, seed: int) -> float:
        done, seconds = self(action, seed, "-").split()
        assert done == "finished"
        return float(seconds)

    def close(self) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    process = Writer(path)
    try:
        yield process
    finally:
        process.close()


def kill_at_random_moments(
    write: Writer, action: Callable[[], tuple[str, int]], count: int, verify: Callable[[], None]
) -> None:
    """Kill a writer `count` times within its action, at moments spread over how long that takes, and verify each time.

    The moments are denser towards the start, because the end is the closing of the file, after the commit. A kill that
    comes after the action's end does not count, but tells how long the action takes now.
    """
    rng = random.Random(7)
    seconds = write.seconds(*action())
    killed = attempts = 0
    while killed < count:
        attempts += 1
        assert attempts < 5 * count
        verify()
        answer = write(*action(), ((killed + rng.random()) / count) ** 2 * seconds)
        if answer == "killed":
            killed += 1
        else:
            seconds = float(answer.split()[1])
    verify()


def same_tables(a: ModelGraph, b: ModelGraph) -> bool:
    tables = ("layers", "units", "edges", "segments", "labels", "maps", "families", "members", "examples")
    same = all(getattr(a, name).equals(getattr(b, name)) for name in tables)
    signatures = [np.zeros(0) if graph.signatures is None else graph.signatures for graph in (a, b)]
    return a.model == b.model and same and np.array_equal(*signatures)


@pytest.fixture
def bystander() -> ModelGraph:
    return random_graph(np.random.default_rng(5), name="bystander", kernels=True, dense=True)


def test_a_killed_write_leaves_the_file_as_it_was(tmp_path: Path, bystander: ModelGraph) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(bystander)
    states: list[list[str]] = []
    versions: list[ModelGraph] = []

    def verify() -> None:
        # The reader comes first: it must cope with what the killed process left behind, and cannot mend it.
        with store.reading():
            states.append([model["name"] for model in store.models()])
            assert_same_graph(bystander, store.read("bystander"))
            if "large" in states[-1]:  # Killed between the commit and the process's end, or not at all.
                versions.append(store.read("large"))
                assert same_tables(versions[-1], versions[0])
        if "large" in states[-1]:
            store.delete("large")

    with writer(path) as write:
        kill_at_random_moments(write, lambda: ("write", 0), KILLS, verify)
    assert versions[0].edges.num_rows == 40_000
    assert states.count(["bystander"]) >= KILLS // 4
    store.write(toy_graph())
    assert_same_graph(toy_graph(), store.read("toy"))


def test_a_killed_replacement_leaves_the_old_model_or_the_new_one(tmp_path: Path, bystander: ModelGraph) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(bystander)
    versions = {}
    for seed in (1, 2):
        store.write(large_graph(seed), replace=True)
        versions[f"seed {seed}"] = store.read("large")
    there: list[str] = []

    def verify() -> None:
        with store.reading():
            found = store.read("large")
            there.append(str(found.model["source"]))
            assert same_tables(found, versions[there[-1]])
            assert_same_graph(bystander, store.read("bystander"))

    def replacement() -> tuple[str, int]:
        return "replace", 2 if not there or there[-1] == "seed 1" else 1

    with writer(path) as write:
        kill_at_random_moments(write, replacement, KILLS // 2, verify)
    kept = sum(before == after for before, after in itertools.pairwise(there))
    assert kept >= KILLS // 4


def test_killed_responses_leave_the_old_ones_or_the_new_ones(tmp_path: Path, bystander: ModelGraph) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(bystander)
    store.write(large_graph(0))
    versions = {}
    for seed in (1, 2):
        store.write_responses("large", large_responses(seed))
        versions[f"seed {seed}"] = store.read("large")
    there: list[str] = []

    def verify() -> None:
        with store.reading():
            found = store.read("large")
            there.append(str(found.model["probes"]["name"]))
            assert same_tables(found, versions[there[-1]])
            assert_same_graph(bystander, store.read("bystander"))

    with writer(path) as write:
        kill_at_random_moments(write, lambda: ("probe", 2 if there[-1:] != ["seed 2"] else 1), KILLS // 2, verify)
    kept = sum(before == after for before, after in itertools.pairwise(there))
    assert kept >= KILLS // 4


def test_a_killed_delete_leaves_the_model_whole_or_takes_it_whole(tmp_path: Path, bystander: ModelGraph) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(bystander)
    store.write(large_graph(1))
    whole = store.read("large")

    def verify() -> None:
        names = [model["name"] for model in store.models()]
        assert_same_graph(bystander, store.read("bystander"))
        if names == ["bystander"]:
            store.write(large_graph(1))
        assert same_tables(store.read("large"), whole)

    with writer(path) as write:
        kill_at_random_moments(write, lambda: ("delete", 1), 5, verify)


def test_a_killed_first_write_leaves_no_file_or_a_database(tmp_path: Path) -> None:
    path = tmp_path / "new.duckdb"
    with writer(path) as write:
        for moment in range(8):
            write("write", 0, f"start:{moment * 0.04}")
            if path.exists():
                assert [model["edges"] for model in DuckDBStore(str(path)).models()] in ([], [40_000])
            for file in tmp_path.iterdir():
                file.unlink()


LIMITED = """
import resource, sys
from tests.stores.killed_writer import large_graph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import CircuitdbError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    DuckDBStore(sys.argv[1]).write(large_graph(0))
    print("written")
except CircuitdbError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, bystander: ModelGraph) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(bystander)
    sizes = [path.stat().st_size + extra for extra in (4096, 300_000, 1_000_000, 3_000_000)]
    for size in [*sizes, 1_000_000_000]:
        result = subprocess.run(
            [sys.executable, "-c", LIMITED, str(path), str(size)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
        )
        names = [model["name"] for model in store.models()]
        assert_same_graph(bystander, store.read("bystander"))
        if size in sizes:
            assert result.stdout == f"cannot write {path}: the disk is full; nothing was changed\n"
            assert names == ["bystander"]
        else:
            assert result.stdout == "written\n"
            assert names == ["bystander", "large"]


READ_ONLY_DISK = """
set -e
mount -t tmpfs -o size=8m tmpfs "$1"
cp "$2" "$1/zoo.duckdb"
mount -o remount,ro "$1"
exec "$3" -c "$4" "$1/zoo.duckdb"
"""
READ_AND_WRITE = """
import sys
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.errors import CircuitdbError
from tests.graphs import toy_graph
from ingest.pipeline import ingest_model
print([model["name"] for model in DuckDBStore(sys.argv[1]).models()])
for path in sys.argv[1], sys.argv[1] + "2":
    for write in DuckDBStore(path).write, lambda graph: ingest_model("handwritten", db=path):
        try:
            write(toy_graph("second"))
        except CircuitdbError as error:
            print(error)
"""


def test_a_read_only_disk_can_be_read_and_refuses_a_write(tmp_path: Path) -> None:
    namespace = ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this system gives no mount namespace, so no read-only disk can be made")
    path, disk = tmp_path / "zoo.duckdb", tmp_path / "disk"
    disk.mkdir()
    DuckDBStore(str(path)).write(toy_graph())
    arguments = ["sh", "-c", READ_ONLY_DISK, "sh", str(disk), str(path), sys.executable, READ_AND_WRITE]
    result = subprocess.run(
        [*namespace, *arguments], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    names = ("zoo.duckdb", "zoo.duckdb", "zoo.duckdb2", "zoo.duckdb2")
    refused = [f"cannot write {disk / name}: its disk is read-only" for name in names]
    assert result.stdout.splitlines() == ["['toy']", *refused], result.stderr


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user for whom files' modes hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_can_be_read_and_refuses_a_write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zoo.duckdb"
        store = DuckDBStore(str(path))
        store.write(toy_graph())
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with without_privileges():
            assert_same_graph(toy_graph(), store.read("toy"))
            with pytest.raises(CircuitdbError, match=f"^cannot open {path}: permission denied$"):
                store.write(toy_graph("second"))
            with pytest.raises(CircuitdbError, match=f"^cannot open {folder}/other.duckdb: permission denied$"):
                DuckDBStore(f"{folder}/other.duckdb").write(toy_graph())
        Path(folder).chmod(0o755)
        assert [model["name"] for model in store.models()] == ["toy"]


def test_a_file_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "none.duckdb"
    message = f"^no database at {path}; `circuitdb ingest` makes one$"
    store = DuckDBStore(str(path))
    for read in (store.models, lambda: store.read("toy"), lambda: store.unit("toy/L0:0"), lambda: store.delete("toy")):
        with pytest.raises(InputError, match=message):
            read()
    assert not path.exists()


def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^there is no folder {tmp_path}/none for the database zoo.duckdb"):
        DuckDBStore(str(tmp_path / "none" / "zoo.duckdb")).write(toy_graph())
    for act in (lambda store: store.write(toy_graph()), lambda store: store.models()):
        with pytest.raises(InputError, match=f"^{tmp_path} is a folder"):
            act(DuckDBStore(str(tmp_path)))
    for address in ("", "a\0b"):
        with pytest.raises(InputError, match="is no path of a database"):
            DuckDBStore(address)


@pytest.mark.parametrize("content", [b"", b"hello", b"hello world" * 10_000])
def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    store = DuckDBStore(str(path))
    for act in (store.models, lambda: store.write(toy_graph())):
        with pytest.raises(InputError, match=f"^{path} is not a DuckDB database; choose another file$"):
            act()
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE meta SET value = '999'", "was written by a newer circuitdb"),
        ("UPDATE meta SET value = '1'", "was written by an older circuitdb .* ingest its models again"),
        ("UPDATE meta SET value = 'x'", "not one of circuitdb's"),
        ("DELETE FROM meta", "not one of circuitdb's"),
        ("DROP TABLE meta", "not one of circuitdb's"),
        ("ALTER TABLE meta RENAME key TO name", "not one of circuitdb's"),
    ],
)
def test_a_database_of_a_newer_version_or_of_others_is_refused_and_not_touched(
    tmp_path: Path, statement: str, message: str
) -> None:
    path = tmp_path / "zoo.duckdb"
    store = DuckDBStore(str(path))
    store.write(toy_graph())
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement).fetchall()
    before = path.read_bytes()
    for act in (store.models, lambda: store.write(toy_graph("second")), lambda: store.delete("toy")):
        with pytest.raises(InputError, match=message):
            act()
    assert path.read_bytes() == before


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("held", flush=True)
sys.stdin.readline()
connection.close()
print("released", flush=True)
"""


@contextmanager
def held(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """The file held by another process until the block ends or the process is told to let go."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_meets_the_lock_of_another_process_is_told_its_number(tmp_path: Path) -> None:
    path = tmp_path / "zoo.duckdb"
    DuckDBStore(str(path)).write(toy_graph())
    store = DuckDBStore(str(path), wait_seconds=0.1)
    with held(path, "writing") as process:
        for act in (store.models, lambda: store.write(toy_graph("second"))):
            with pytest.raises(StoreBusyError, match=f"^{path} is in use by process {process.pid}; try again"):
                act()
    with held(path, "reading") as process:
        assert [model["name"] for model in store.models()] == ["toy"]
        with pytest.raises(StoreBusyError, match=f"^{path} is in use by process {process.pid}"):
            store.write(toy_graph("second"))
    store.write(toy_graph("second"))


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_who_meets_the_lock_waits_until_it_is_free(tmp_path: Path, how: str) -> None:
    path = tmp_path / "zoo.duckdb"
    DuckDBStore(str(path)).write(toy_graph())
    with held(path, how) as process:
        assert process.stdin is not None
        timer = threading.Timer(0.5, print, kwargs={"file": process.stdin, "flush": True})
        timer.start()
        DuckDBStore(str(path), wait_seconds=60).write(toy_graph("second"))
        timer.join()
    assert [model["name"] for model in DuckDBStore(str(path)).models()] == ["second", "toy"]


def test_within_one_process_a_writer_waits_for_readers_and_readers_share(tmp_path: Path) -> None:
    path = tmp_path / "zoo.duckdb"
    store, hasty = DuckDBStore(str(path)), DuckDBStore(str(path), wait_seconds=0.1)
    store.write(toy_graph())
    with hasty.reading():
        assert hasty.models()
        with pytest.raises(StoreBusyError, match="is in use by another connection of this process"):
            hasty.write(toy_graph("second"))
    hasty.write(toy_graph("second"))


def test_threads_that_write_and_read_at_once_each_get_their_turn(tmp_path: Path) -> None:
    store = DuckDBStore(str(tmp_path / "zoo.duckdb"), wait_seconds=60)
    failures: list[Any] = []

    def work(number: int) -> None:
        try:
            graph = random_graph(np.random.default_rng(number), name=f"m{number}")
            store.write(graph)
            assert_same_graph(graph, store.read(f"m{number}"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.models()) == 8
    with store.reading() as connection:
        [(units, ids)] = connection.execute("SELECT count(*), count(DISTINCT id) FROM unit").fetchall()
    assert units == ids
