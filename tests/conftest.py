"""What all tests share: the folder of real data and a real Neo4j server, or a skip that says why; the command."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from circuitdb.cli import main
from tests import neo4j_server

REPOSITORY = Path(__file__).resolve().parent.parent

NEO4J = "neo4j"
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

if IS_WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # A core for each worker, so torch takes no more.


def share(nodeid: str) -> str:
    """What stays together in one worker of pytest-xdist: all tests of Neo4j, which share a server, or else a file."""
    return NEO4J if NEO4J in nodeid.lower() else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out shares, in the order in which the tests were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class ByShare(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return share(nodeid)

    config.option.loadscopereorder = False
    return ByShare(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of Neo4j, the largest share, first where there are several workers."""
    for item in items:
        if "neo4j_address" in getattr(item, "fixturenames", ()) and share(item.nodeid) != NEO4J:
            raise pytest.UsageError(f"{item.nodeid} asks for a Neo4j server; let its name say {NEO4J}")
    if IS_WORKER:
        items.sort(key=lambda item: share(item.nodeid) != NEO4J)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real weights, photographs and published facts; CIRCUITDB_DATA overrides the place."""
    folder = Path(os.environ.get("CIRCUITDB_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no data at {folder}; set CIRCUITDB_DATA to the folder that holds models/ and images/")
    return folder


@pytest.fixture(scope="session")
def neo4j_address() -> Iterator[str]:
    """The address of an empty Neo4j server, user and password included; each worker of pytest-xdist has its own."""
    with neo4j_server.for_tests() as server:
        yield server.address


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Have a file made by the first worker of pytest-xdist that asks for its name; each worker gets a copy."""
    own = tmp_path_factory.mktemp("made")
    shared = own.parent.parent if IS_WORKER else own.parent

    def copy(name: str, make: Callable[[Path], None]) -> Path:
        whole = shared / name
        with whole.with_name(f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                unfinished = whole.with_name(f"unfinished {name}")
                make(unfinished)
                unfinished.rename(whole)
        return Path(shutil.copy(whole, own))

    return copy


@dataclass(frozen=True)
class Outcome:
    """How the command left and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `circuitdb` in this process on the database at the address `db`, without a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str, db: str | Path) -> Outcome:
        monkeypatch.setenv("CIRCUITDB_URL", str(db))
        monkeypatch.setattr(sys, "argv", ["circuitdb", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Outcome(int(left.value.code or 0), *capsys.readouterr())

    return run
