"""The same searches on Neo4j: circuitdb's DuckDB beside circuitdb's Neo4j, and its Cypher beside the plain MATCH.

`find` is timed from the text to the results on both stores, Cypher from the compiled query to the circuits.

The graphs are brought to a server of their own by Neo4j's offline importer; it gets 4 GB of heap, 1 GB of page cache.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import circuitdb
from benchmarks.measuring import best_of
from benchmarks.searches import Search
from benchmarks.table import Row, at_most, faster
from circuitdb.backends.base import Limits
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.admin_export import export_for_admin
from circuitdb.backends.neo4j.search import page_cypher
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.question import DEFAULT_ROWS, compile_question
from tests import neo4j_server

ROUNDS = 3
Question = tuple[str, str, Search]
"""A file, the name of its model, and a search."""


def rows(questions: Sequence[Question]) -> list[Row]:
    """A row for each search and comparison, or one that says why there is none."""
    try:
        neo4j_server.fetch()
    except neo4j_server.ServerError as error:
        return [Row("not measured", str(error))]
    table = []
    with _server({path: model for path, model, _ in questions}) as address:
        store = Neo4jStore(address)
        server = circuitdb.open(address)
        for path, model, search in questions:
            table += _compared(store, server, path, model, search)
        server.close()
        store.close()
    return table


def _compared(store: Neo4jStore, server: Any, path: str, model: str, search: Search) -> list[Row]:
    """A search on both stores and as a plain MATCH."""
    file = circuitdb.open(path)
    _, query = compile_question(search.motif, model, search.parameters, server.models(), server.address)
    plain = search.page_cypher()
    values = {"share": search.share, "model": model}
    page = page_cypher(query, DEFAULT_ROWS)
    ways: dict[str, Callable[[], Any]] = {
        "duckdb": lambda: file.find(search.motif, **search.parameters),
        "neo4j": lambda: server.find(search.motif, model=model, seconds=None, **search.parameters),
        "cypher": lambda: store.find(query, Limits(rows=DEFAULT_ROWS, seconds=None)),
        "plain": lambda: store.connection.read(plain, values),
    }
    _plan_warm(store, {page.text: page.parameters, plain: values})
    found, expected = ways["neo4j"](), ways["duckdb"]()
    if [c.units for c in found] != [c.units for c in expected]:
        raise RuntimeError(f"{search.name}: the stores find different circuits")
    best = best_of(ways, ROUNDS, warm=False)
    name = f"{search.name}, {'InceptionV1' if model == 'inceptionv1' else 'random'}"
    return [
        faster(name, best["duckdb"], "Neo4j", best["neo4j"], 30),
        at_most("  Neo4j, compiled Cypher", best["cypher"], "plain MATCH", best["plain"], 1),
    ]


def _plan_warm(store: Neo4jStore, texts: Mapping[str, Mapping[str, object]]) -> None:
    """Have the server plan each text anew until it does so as fast as it can.

    It stops to look for better plans after a second, which is too short for it when it has just started, and keeps
    the plan that it has then.
    """
    for _ in range(4):
        store.connection.read("CALL db.clearQueryCaches()")
        for text, values in texts.items():
            store.connection.read(f"EXPLAIN {text}", values)


@contextmanager
def _server(models: Mapping[str, str]) -> Iterator[str]:
    """A server that holds the models of files."""
    os.environ["_JAVA_OPTIONS"] = "-Xmx4g -XX:+UseParallelGC -XX:-UseSerialGC"
    with tempfile.TemporaryDirectory() as folder:
        graphs = (DuckDBStore(path).read(model) for path, model in models.items())
        export = export_for_admin(graphs, Path(folder) / "export")
        home = Path(tempfile.mkdtemp(prefix="circuitdb-benchmark-"))
        neo4j_server.write_configuration(home, 0)
        neo4j_server.admin(home, export.folder, *shlex.split(export.command)[1:])
        with neo4j_server.running(home, page_cache="1g") as server:
            store = Neo4jStore(server.address)
            store.connection.define((export.folder / "schema.cypher").read_text().strip().rstrip(";").split(";\n"))
            store.connection.read("CALL db.awaitIndexes(600)")
            store.close()
            yield server.address
