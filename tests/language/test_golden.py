"""Queries over the whole language with every stage of their compilation beside them, in `golden/`.

`NAME.motif` is the query; the other files of that name are what the stages of `STAGES` make of it.
`CIRCUITDB_UPDATE_GOLDEN=1` writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from circuitdb.backends.base import Found, Limits, ModelGraph, Store
from circuitdb.backends.duckdb import search as duckdb_search
from circuitdb.backends.duckdb.emitter import Models
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j import search as neo4j_search
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from circuitdb.language.syntax import Node
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.model import Query
from circuitdb.pattern.serial import from_json, from_text, to_json, to_text
from tests.graphs import random_graph

FOLDER = Path(__file__).with_name("golden")
NAMES = sorted(path.stem for path in FOLDER.glob("*.motif"))
LAYERS = ["mixed3b", "mixed4a", "mixed4b", "mixed4c"]
CATALOG = {"alexnet": LAYERS, "inceptionv1": LAYERS}
ROWS = 1000


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.motif").read_text(encoding="utf-8")


@cache
def query_of(name: str) -> Query:
    return compile_query(text_of(name), catalog=CATALOG, folder=FOLDER)


def tree(name: str) -> str:
    return dumped(parse(Source(name, text_of(name)))) + "\n"


def pattern(name: str) -> str:
    return to_text(query_of(name)) + "\n"


def sql(name: str) -> str:
    query = query_of(name)
    models = Models.of(query, {model: number for number, model in enumerate(sorted(CATALOG), start=1)})
    page = duckdb_search.page_sql(query, models, ROWS if query.limit is None else query.limit)
    return f"{page.sql}\n\n{with_comments('--', page)}\n"


def cypher(name: str) -> str:
    query = query_of(name)
    page = neo4j_search.page_cypher(query, ROWS if query.limit is None else query.limit)
    return f"{page.text}\n\n{with_comments('//', page)}\n"


STAGES: dict[str, Callable[[str], str]] = {"tree": tree, "pattern": pattern, "sql": sql, "cypher": cypher}
"""What is written beside a query, by the ending of the file's name."""


def with_comments(sign: str, page: duckdb_search.Compiled | neo4j_search.Compiled) -> str:
    """The parameters and the agreements of a compiled query, a comment each."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in page.parameters.items()]
    lines += [f"{needed.name}: {needed.value}" for needed in page.agreements]
    return "\n".join(f"{sign} {line}" for line in lines)


def dumped(node: Node, indent: int = 0) -> str:
    """A syntax tree as text: a node's class and plain fields on a line, the nodes in it below."""
    given = [(field.name, getattr(node, field.name)) for field in fields(node) if field.name not in ("span", "height")]
    inside = [pair for name, value in given for pair in nodes_in(name, value)]
    plain = [f"{n}={v!r}" for n, v in given if v not in (None, ()) and not any(nodes_in(n, v))]
    lines = [" ".join([type(node).__name__, *plain])]
    lines += [f"{'  ' * (indent + 1)}{name}: {dumped(child, indent + 1)}" for name, child in inside]
    return "\n".join(lines)


def nodes_in(name: str, value: object) -> Iterator[tuple[str, Node]]:
    """The nodes in a field, each with the field's name and its place there."""
    if isinstance(value, Node):
        yield name, value
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from nodes_in(f"{name}[{place}]", item)


if os.environ.get("CIRCUITDB_UPDATE_GOLDEN"):

    def test_the_stages_are_written_anew() -> None:
        for name in NAMES:
            for ending, stage in STAGES.items():
                (FOLDER / f"{name}.{ending}").write_text(stage(name), encoding="utf-8")


@pytest.mark.parametrize("ending", STAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_stage_makes_of_a_query_what_was_reviewed(name: str, ending: str) -> None:
    assert STAGES[ending](name) == (FOLDER / f"{name}.{ending}").read_text(encoding="utf-8")


def test_no_file_is_left_over() -> None:
    expected = {f"{name}.{ending}" for name in NAMES for ending in ("motif", *STAGES)}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_query_comes_back_from_json_and_from_text(name: str) -> None:
    query = query_of(name)
    assert from_json(json.loads(json.dumps(to_json(query)))) == query
    assert from_text(to_text(query)) == query


def zoo() -> list[ModelGraph]:
    """Two random models with kernels, labels and maps, in layers that the queries name."""
    rng = np.random.default_rng(0)
    graphs = [random_graph(rng, name=name, layers=4, units=5, kernels=True) for name in sorted(CATALOG)]
    return [with_layers(graph, {f"L{depth}": layer for depth, layer in enumerate(LAYERS)}) for graph in graphs]


def with_layers(graph: ModelGraph, names: Mapping[str, str]) -> ModelGraph:
    changed = {}
    for field in fields(graph):
        table = getattr(graph, field.name)
        if isinstance(table, pa.Table):
            for column in {"name", "layer", "source_layer", "target_layer"} & set(table.column_names):
                values = [names[value] for value in table[column].to_pylist()]
                table = table.set_column(table.column_names.index(column), column, pa.array(values, pa.string()))
            changed[field.name] = table
    return replace(graph, **changed)


@pytest.fixture(scope="module")
def duckdb_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = DuckDBStore(str(tmp_path_factory.mktemp("golden") / "zoo.duckdb"))
    for graph in zoo():
        store.write(graph)
    return store


@pytest.fixture(scope="module")
def answers(duckdb_store: Store) -> dict[str, Found]:
    return {name: duckdb_store.find(query_of(name), Limits(rows=200)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_count_is_the_number_of_circuits(name: str, duckdb_store: Store, answers: dict[str, Found]) -> None:
    found = answers[name]
    assert found.stopped_by != "seconds"
    assert found.truncated == (found.total != len(found.matches))
    assert duckdb_store.count(query_of(name), Limits()) == found.total


def test_more_than_half_of_the_queries_find_something(answers: dict[str, Found]) -> None:
    assert sum(bool(found.matches) for found in answers.values()) > len(NAMES) / 2


def test_duckdb_and_neo4j_answer_the_queries_alike(answers: dict[str, Found], neo4j_address: str) -> None:
    store = Neo4jStore(neo4j_address)
    try:
        for model in store.models():
            store.delete(model["name"])
        for graph in zoo():
            store.write(graph)
        for name in NAMES:
            first, second = answers[name], store.find(query_of(name), Limits(rows=200))
            assert [match.units for match in first.matches] == [match.units for match in second.matches], name
            assert first.truncated == second.truncated, name
            scores = [[match.score for match in found.matches] for found in (first, second)]
            assert scores[0] == pytest.approx(scores[1], nan_ok=True), name
        for name in CATALOG:
            store.delete(name)
    finally:
        store.close()
