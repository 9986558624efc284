"""What all tests share: the folder of real data and a real Neo4j server, or a skip that says why; the command."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo4j_server
import pytest

from circuitdb.cli import main

REPOSITORY = Path(__file__).resolve().parent.parent


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
