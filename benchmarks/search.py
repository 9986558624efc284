"""Searches on DuckDB beside SQL written by hand, and counts beside SciPy's sparse algebra.

In comes a file of `benchmarks.graphs`, out come rows of the table. Every way opens the file for itself, as a command
does. The figures of circuitdb hold parsing, compiling, searching, and circuits with every property of their edges; SQL
by hand brings keys and score, with the edges' weights and shares or with all of their properties. Sparse algebra reads
the edges of the file and multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import scipy.sparse as sp

import circuitdb
from benchmarks.measuring import best_of
from benchmarks.searches import Search
from benchmarks.table import Row, at_most
from circuitdb.graph import Record, properties

ROUNDS = 5
EDGE_PROPERTIES = [prop.name for prop in properties(Record.EDGE)]


def rows(path: str, searches: Sequence[Search]) -> list[Row]:
    """Find and count, each beside the other ways; a `RuntimeError` where two ways count differently."""
    table: list[Row] = []
    database = circuitdb.open(path)
    for search in searches:
        parameters = {"share": search.share}
        number = database.count(search.motif, **search.parameters)
        _same(search, number, sql_rows(path, search.count_sql(), parameters)[0][0])
        ways = {
            "find": lambda search=search: database.find(search.motif, **search.parameters),
            "sql": lambda search=search, parameters=parameters: sql_rows(path, search.page_sql(), parameters),
        }
        if search.edges:
            whole = search.page_sql(EDGE_PROPERTIES)
            ways["whole"] = lambda whole=whole, parameters=parameters: sql_rows(path, whole, parameters)
        best = best_of(ways, ROUNDS)
        table.append(at_most(f"{search.name} ({number:,})", best["find"], "SQL, weights and shares", best["sql"], 2))
        if "whole" in best:
            table.append(at_most("", best["find"], "SQL, all that find gives", best["whole"], 2))
    for search in searches:
        parameters = {"share": search.share}
        ways = {
            "count": lambda search=search: database.count(search.motif, **search.parameters),
            "sql": lambda search=search, parameters=parameters: sql_rows(path, search.count_sql(), parameters),
        }
        if search.algebra is not None:
            ways["algebra"] = lambda search=search: count_by_algebra(path, search)
            _same(search, database.count(search.motif, **search.parameters), ways["algebra"]())
        best = best_of(ways, ROUNDS)
        table.append(at_most(f"{search.name}, count", best["count"], "SQL count(*)", best["sql"], 2))
        if "algebra" in best:
            table.append(at_most("", best["count"], "sparse algebra", best["algebra"], 2))
    return table


def sql_rows(path: str, sql: str, parameters: dict[str, object]) -> list[tuple[object, ...]]:
    """Open the file, run a statement, close it."""
    named = {name: value for name, value in parameters.items() if f"${name}" in sql}
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql, named).fetchall()


def count_by_algebra(path: str, search: Search) -> int:
    """Open the file, read its edges, and count with sparse matrices [source, target]."""
    assert search.algebra is not None
    with duckdb.connect(path, read_only=True) as connection:
        size = connection.execute("SELECT count(*) FROM unit").fetchall()[0][0]
        edges = connection.execute(
            "SELECT source, target, kind = 'EXCITES' AS excites FROM edge WHERE share > ? AND kind <> 'SKIP'",
            [search.share],
        ).fetchnumpy()
        maps = connection.execute("SELECT source, target FROM map WHERE map = 'flip'").fetchnumpy()
    up, down = (_matrix(edges, edges["excites"] == excites, size) for excites in (True, False))
    return search.algebra(up, down, {"map_source": maps["source"], "map_target": maps["target"]})


def _matrix(edges: dict[str, np.ndarray], chosen: np.ndarray, size: int) -> sp.csr_array:
    ends = (edges["source"][chosen], edges["target"][chosen])
    return sp.csr_array((np.ones(len(ends[0]), dtype=np.int64), ends), shape=(size, size))


def _same(search: Search, ours: int, theirs: object) -> None:
    if ours != theirs:
        raise RuntimeError(f"{search.name}: circuitdb counts {ours}, another way {theirs}")
