"""`analogous in`: circuits that come back in another model, as every store and the oracle find them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from circuitdb.errors import InputError
from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from circuitdb.language.syntax import Block
from circuitdb.pattern.compile import compile_query
from tests.agree import DUCKDB, compare, planted
from tests.oracle_graphs import Document, graphs_of
from tests.random_graphs import random_document
from tests.random_queries import random_queries


def with_clause(text: str, clause: str) -> str:
    """A query's text with a clause put behind what it searches for and where."""
    program = parse(Source("query", text))
    if program.find is None:
        return f"{text}\nfind {program.motifs[-1].name.name} {clause}"
    end = max(node.span.end for node in (program.find.target, *program.find.models))
    closing = re.match(r"\s*\(?\s*,?\s*\)", text[end:])
    end += closing.end() if closing and not isinstance(program.find.target, Block) and not program.find.models else 0
    return f"{text[:end]} {clause} {text[end:]}"


def rich_in_analogues(rng: random.Random) -> Document:
    """A document of two models in which every unit has two analogues."""
    document = random_document(rng, models=2, units=4)
    keys = [unit["key"] for unit in document["units"]]
    document["analogues"] = []
    for key in keys:
        others = [other for other in keys if other.split("/")[0] != key.split("/")[0]]
        found = enumerate(rng.sample(others, min(2, len(others))), start=1)
        document["analogues"] += [{"source": key, "target": other, "rank": rank} for rank, other in found]
    return document


def agreeing(address: str, documents: Iterable[int], queries: int) -> tuple[int, int]:
    """How many random queries of circuits that recur were answered as the oracle does, and how many with circuits."""
    pairs = with_circuits = 0
    for number in documents:
        rng = random.Random(f"analogous {number}")
        document = rich_in_analogues(rng)
        graphs = graphs_of(document)
        layers = {model["name"]: [] for model in document["models"]}
        for layer in document["layers"]:
            layers[layer["model"]].append(layer["name"])
        with planted(document, address) as store:
            for text in random_queries(rng, document, graphs, queries):
                other = rng.choice(list(layers))
                written = other if other.isidentifier() else f'"{other}"'
                asked = with_clause(text, rng.choice(("analogous", "analogous(1)", "analogous(2)")) + f" in {written}")
                try:
                    query = compile_query(asked, catalog=layers)
                except InputError:  # circuits of that very model, or layers that only others have
                    continue
                single = sum(
                    edge.source in {u.name for u in query.body.units if u.model is None} for edge in query.body.edges
                )
                if single < 2 and re.search(r"\b(min|max|sum|count)\(", asked):
                    continue
                pair = compare(document, graphs, store, asked)
                if pair is None:
                    continue
                assert pair.fault is None, f"{asked}\n{pair.fault}"
                pairs += 1
                with_circuits += pair.circuits > 0
    return pairs, with_circuits


def test_duckdb_finds_the_circuits_that_recur_as_the_oracle_does() -> None:
    pairs, with_circuits = agreeing(DUCKDB, documents=range(4), queries=20)
    assert pairs > 30
    assert with_circuits > 5


def test_neo4j_finds_the_circuits_that_recur_as_the_oracle_does(neo4j_address: str) -> None:
    pairs, with_circuits = agreeing(neo4j_address, documents=[6], queries=15)
    assert pairs > 5
    assert with_circuits > 0


def test_so_many_analogues_can_be_the_value_of_a_parameter() -> None:
    text = "motif m(T = {}) {{ T(a, toy) -> b }}"
    given = compile_query(text.format("flip"), catalog={"toy": []}, parameters={"T": "analog(3)"})
    assert given == compile_query(text.format("analog(3)"), catalog={"toy": []})
    assert given.body.rows[0].choices == 3
