"""Where graphs are kept: the stores, and the choice between them by address alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from circuitdb.errors import InputError

if TYPE_CHECKING:
    from circuitdb.backends.base import Store

NEO4J_SCHEMES = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})


def open_store(address: str) -> Store:
    """The store at an address: a Neo4j server at `neo4j://host:7687` or `bolt://…`, else the DuckDB file of that path.

    Raises
    ------
    InputError
        If the address has another scheme, or is empty.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", address)
    if scheme is None:
        from circuitdb.backends.duckdb.store import DuckDBStore

        return DuckDBStore(address)
    if scheme[1].lower() in NEO4J_SCHEMES:
        from circuitdb.backends.neo4j.store import Neo4jStore

        return Neo4jStore(address)
    raise InputError(
        f"{address!r} is no address of a store; give the path of a DuckDB file, or a Neo4j server as neo4j://host:7687"
    )
