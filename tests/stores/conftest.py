"""Stores for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.store import Neo4jStore


@pytest.fixture
def neo4j_store(neo4j_address: str) -> Iterator[Neo4jStore]:
    """A store on a server that holds nothing."""
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    with closing(Neo4jStore(neo4j_address)) as store:
        yield store
