"""What all tests share: the folder of real data and a real Neo4j server, or a skip that says why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import neo4j_server
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real weights, photographs and published facts; CIRCUITDB_DATA overrides the place."""
    folder = Path(os.environ.get("CIRCUITDB_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no data at {folder}; set CIRCUITDB_DATA to the folder that holds models/ and images/")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of Neo4j run on one worker (`--dist loadgroup`): they share a server, and so a database."""
    for item in items:
        if isinstance(item, pytest.Function) and "neo4j_address" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("neo4j"))


@pytest.fixture(scope="session")
def neo4j_address() -> Iterator[str]:
    """The address of an empty Neo4j server, user and password included."""
    with neo4j_server.for_tests() as server:
        yield server.address
