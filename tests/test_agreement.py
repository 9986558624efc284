"""Every store gives the oracle's answer: rows, order, counts, lists and scores, on random queries and graphs."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

import circuitdb
from circuitdb.backends.base import Store
from circuitdb.errors import InputError
from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from tests.agree import DUCKDB, Tally, compare, document_of, planted, run, smallest
from tests.oracle import Circuit, answer
from tests.oracle_graphs import Document, Graphs, graphs_of
from tests.random_graphs import random_document
from tests.random_queries import random_queries


def check_agreement(pairs: int, address: str) -> None:
    tally = Tally()
    for tally in run(pairs, 2026, address):
        for document, text, _ in tally.faults:
            document, text, fault = smallest(document, text, address)
            pytest.fail(f"{text}\n\n{fault}\n\n{json.dumps(document, ensure_ascii=False)}", pytrace=False)
    print(tally)
    assert tally.pairs >= pairs
    assert tally.few > 0.35 * tally.pairs
    assert sum(tally.refused.values()) < 0.05 * tally.pairs


@pytest.mark.timeout(1800)  # On a machine that does much else.
def test_duckdb_gives_the_oracles_answer_to_1500_random_queries() -> None:
    check_agreement(1500, DUCKDB)


@pytest.mark.timeout(1800)
def test_neo4j_gives_the_oracles_answer_to_150_random_queries(neo4j_address: str) -> None:
    check_agreement(150, neo4j_address)


ONCE_WRONG = [
    "find { unit a  at most 0 host { at least 1 x { f +> e } }  at most 3 x { a -> x } }",
    "find { at most 3 c { a -| edge }  a +> d  a +> b  every edge where not (flip(a) = b) }",
    "find { at least 1 x { a -> x }  at least 1 y { b -> y where top > 0 }  {a, b} -> c  every edge where top > 0 }",
    "find { unit a  for g in flip at least 1 { g(a) -> b }  {b, c} -> d  every edge where b.index < c.index }",
    "find { flip(a) where self_score < 0.3 }",
    "find { flip(a) where mutual }",
    "find { {b, c} -> d  at most 1 e { d -> e  unit b } }",
    "find { {b, c} -> d  at most 1 e { d -> e where b != c or c.mean > b.mean } }",
    "find { unit a no { flip(a) } }",
    "find { {a, b} -> h  at least 1 x { a -> x }  at least 1 y { b -> y }  where count(x) > 1 }",
    "find { {a, b} -> h  at least 0 x { x -> a }  at least 0 y { y -> b }  where count(x) != 1 or "
    "flip(a).mean = missing }",
    "find { {a, b} -> h  at least 0 x { a -> x }  at least 0 y { b -> y }  where count(x) > count(y)  every edge where "
    "weight > a.mean }",
    "find { a +> b as e  for g in rotate(90) at least 1 { g(a) -| b where agreement(e, flip(e)) < 0.9 } }",
    "find { a -> b as e } order by e.weight * 0",
    'find { unit a  at most 2 d { d +> a where a.label = "dog" and hue(120)(d) = missing } }',
]
"""Names that blocks share, `every edge` lines that cover blocks, a condition on one of two rows that look alike, a term
alone in braces, a condition on the length of one of two lists, one agreement in bodies that match differently,
an order by 0.0 and -0.0, and a label of a unit around in a block before something that is missing.
"""


def agreed_circuits(document: Document, graphs: Graphs, store: Store, text: str) -> int:
    """How many circuits the store and the oracle both give."""
    pair = compare(document, graphs, store, text)
    if pair is None:
        return 0
    assert pair.refused is None
    assert pair.fault is None, f"{text}: {pair.fault}"
    return pair.circuits


@pytest.mark.parametrize("text", ONCE_WRONG)
def test_what_was_answered_wrong_once_agrees(text: str) -> None:
    circuits = 0
    for number in range(4):
        document, graphs, _ = document_of("blocks", number)
        with planted(document, DUCKDB) as store:
            circuits += agreed_circuits(document, graphs, store, text)
    assert circuits


def test_neo4j_agrees_on_what_was_answered_wrong_once(neo4j_address: str) -> None:
    circuits = 0
    for number in range(2):
        document, graphs, _ = document_of("blocks", number)
        with planted(document, neo4j_address) as store:
            circuits += sum(agreed_circuits(document, graphs, store, text) for text in ONCE_WRONG)
    assert circuits


# Laws, of the oracle and so of every store that agrees with it


def circuits_of(text: str, graphs: Graphs) -> list[Circuit]:
    return answer(parse(Source("query", text)), graphs).circuits


def some_queries(pairs: int, seed: str) -> list[tuple[Document, Graphs, str]]:
    cases = []
    for number in itertools.count():
        document, graphs, rng = document_of(seed, number)
        cases += [(document, graphs, text) for text in random_queries(rng, document, graphs, 20)]
        if len(cases) >= pairs:
            return cases
    raise AssertionError


def renamed(document: Document, name_of: Mapping[str, str]) -> Document:
    """The document with other keys for its units, where they keep their order."""

    def ends(row: dict[str, Any]) -> dict[str, Any]:
        return row | {end: name_of[row[end]] for end in ("source", "target")}

    parts = {part: [ends(row) for row in document[part]] for part in ("edges", "maps", "analogues")}
    return document | parts | {"units": [unit | {"key": name_of[unit["key"]]} for unit in document["units"]]}


def with_names(circuit: Circuit, name_of: Mapping[str, str]) -> tuple[Any, ...]:
    """All of a circuit but what it was ordered by, with other keys."""

    def name(value: Any) -> Any:
        return [name_of[key] for key in value] if isinstance(value, list) else name_of[value]

    edges = {(name_of[source], name_of[target], skip) for source, target, skip in circuit.edges}
    return circuit.model, {text: name(value) for text, value in circuit.units.items()}, edges, circuit.score


def test_renaming_units_changes_nothing() -> None:
    compared = 0
    for document, graphs, text in some_queries(200, "renamed"):
        if "index" in text or "key" in text:
            continue
        name_of = {key: f"{key.split(':')[0]}:{7 + 3 * int(key.split(':')[1])}" for key in graphs.network}
        before = [with_names(circuit, name_of) for circuit in circuits_of(text, graphs)]
        same = {name: name for name in name_of.values()}
        after = [with_names(circuit, same) for circuit in circuits_of(text, graphs_of(renamed(document, name_of)))]
        assert before == after, text
        compared += bool(before)
    assert compared > 30


def test_scaling_all_that_a_unit_reads_changes_no_answer_that_uses_share() -> None:
    """Every unit's inputs are scaled by a factor of its own.

    This holds a layer scaled up and its readers scaled down. It does not hold one unit scaled up and what its readers
    take of it scaled down: that unit's share of them falls.
    """
    scaled_properties = ("weight", "strength", "rank_out")
    compared = 0
    for document, graphs, text in some_queries(200, "scaled"):
        if any(word in text for word in scaled_properties):
            continue
        rng = random.Random(text)
        factor = {key: rng.choice((0.5, 1.0, 2.0)) for key in graphs.network}
        edges = []
        for edge in document["edges"]:
            by = factor[edge["target"]]
            edges.append(edge | {"weight": edge["weight"] * by, "strength": edge["strength"] * by})
        after = circuits_of(text, graphs_of(document | {"edges": edges}))
        assert after == circuits_of(text, graphs), text
        compared += bool(after)
    assert compared > 30


def test_adding_a_model_changes_no_answer_that_names_another() -> None:
    compared = 0
    for document, graphs, text in some_queries(200, "added"):
        models = [model["name"] for model in document["models"]]
        found = circuits_of(text, graphs)
        if " in " not in text.split("}")[-1]:
            continue
        more = random_document(random.Random(text), models=1)
        if more["models"][0]["name"] in models:
            continue
        both = {part: document[part] + more[part] for part in document if part != "circuitdb"}
        assert circuits_of(text, graphs_of(both)) == found, text
        compared += bool(found)
    assert compared > 15


def check_pages(address: str) -> None:
    """Counts are the numbers of rows, and limits cut the same rows off, through the library's own door."""
    compared = 0
    for number in itertools.count():
        document, graphs, rng = document_of("pages", number)
        with planted(document, address) as store, circuitdb.open(store.address if address == DUCKDB else address) as db:
            for text in random_queries(rng, document, graphs, 8):
                text = text.split(" limit ")[0]
                try:
                    everything = db.find(text, limit=100_000)
                except InputError:
                    continue
                assert not everything.truncated
                assert db.count(text) == len(everything), text
                rows = [circuit.to_dict() for circuit in everything]
                for limit in {0, 1, 2, len(rows) // 2, max(len(rows) - 1, 0)}:
                    page = db.find(text, limit=limit)
                    assert [circuit.to_dict() for circuit in page] == rows[:limit], text
                    assert page.truncated == (limit < len(rows)), text
                compared += len(rows) > 1
        if compared >= 10:
            return


def test_duckdb_counts_its_rows_and_every_limit_gives_a_prefix() -> None:
    check_pages(DUCKDB)


def test_neo4j_counts_its_rows_and_every_limit_gives_a_prefix(neo4j_address: str) -> None:
    check_pages(neo4j_address)
