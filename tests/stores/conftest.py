"""Stores for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from circuitdb.backends.neo4j.store import Neo4jStore


@pytest.fixture
def neo4j_store(neo4j_address: str) -> Iterator[Neo4jStore]:
    """A store on a server that holds nothing."""
    store = Neo4jStore(neo4j_address)
    store.connection.write(("MATCH (n) DETACH DELETE n", {}))
    yield store
    store.close()
