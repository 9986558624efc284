"""Compares the oracle with a store on random queries: `python -m tests.agree 10000`.

Each pair is one query on one document of graphs; a document serves many queries. Prints how many pairs were compared
and how many had matches, and for the first disagreement the smallest document and query that still show it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from circuitdb.backends import open_store
from circuitdb.backends.base import Limits, Match, Store
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.errors import InputError
from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from circuitdb.pattern.compile import compile_query
from circuitdb.reports.exchange.reading import read_document
from tests import neo4j_server
from tests.oracle import Answer, Circuit, TooManyError, answer
from tests.oracle_graphs import Document, Graphs, graphs_of
from tests.oracle_statements import UnsupportedError
from tests.random_graphs import random_document
from tests.random_queries import random_queries

DUCKDB = "duckdb"
QUERIES_PER_DOCUMENT = 50
TOLERANCE = 1e-9
MOST_LABELLINGS = 2000


@contextmanager
def planted(document: Document, address: str) -> Iterator[Store]:
    """A store that holds the document alone: a new DuckDB file for the address `duckdb`, else an emptied Neo4j.

    It stays open, since most queries cost less than to open a file.
    """
    with ExitStack() as stack:
        if address == DUCKDB:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            address = str(Path(folder) / "graph.duckdb")
        else:
            connection = stack.enter_context(closing(Connection(address)))
            connection.write(("MATCH (n) DETACH DELETE n", {}))
        store = stack.enter_context(closing(open_store(address)))
        exchange = read_document(document)
        for graph in exchange.graphs:
            store.write(graph)
        for analogues in exchange.analogues:
            store.write_analogues(analogues)
        stack.enter_context(store.session())
        yield store


@dataclass(frozen=True)
class Pair:
    """What came of one query: the number of circuits, and what is wrong, if anything."""

    circuits: int
    fault: str | None = None
    refused: str | None = None


def compare(document: Document, graphs: Graphs, store: Store, text: str) -> Pair | None:
    """Ask the oracle and the store the same; None where that is too much for brute force."""
    layers: dict[str, list[str]] = {model["name"]: [] for model in document["models"]}
    for layer in document["layers"]:
        layers[layer["model"]].append(layer["name"])
    try:
        query = compile_query(text, catalog=layers)
    except InputError as error:
        return Pair(0, refused=str(error))
    try:
        expected = answer(parse(Source("query", text)), graphs, most=MOST_LABELLINGS)
    except TooManyError:
        return None
    except UnsupportedError as error:
        return Pair(0, f"the oracle refuses: {error}")
    size = len(expected.circuits)
    try:
        found = store.find(query, Limits(rows=query.limit, seconds=None))
        count = store.count(query, Limits(rows=None, seconds=None))
    except Exception as error:
        return Pair(size, f"{type(error).__name__}: {error}")
    if query.limit != expected.limit:
        return Pair(size, f"limit {query.limit} instead of {expected.limit}")
    if count != size:
        return Pair(size, f"count {count} instead of {size}")
    wanted = size if expected.limit is None else min(size, expected.limit)
    if found.truncated != (wanted < size):
        return Pair(size, f"truncated is {found.truncated}")
    return Pair(size, first_difference(graphs, expected, found.matches, wanted))


def first_difference(graphs: Graphs, expected: Answer, matches: Any, wanted: int) -> str | None:
    """What differs first between the oracle's circuits and a store's matches, in order, or None.

    Circuits whose values to order by differ by rounding alone may stand in any order.
    """
    if len(matches) != wanted:
        return f"{len(matches)} rows instead of {wanted}"
    start = 0
    circuits = expected.circuits
    while start < wanted:
        end = start + 1
        while end < len(circuits) and _differ_by_rounding(circuits[end - 1].ordered_by, circuits[end].ordered_by):
            end += 1
        left = list(circuits[start:end])
        for place, match in enumerate(matches[start:end], start=start):
            if end == start + 1:
                if not _same(graphs, left[0], match):
                    return f"row {place}: {match} instead of {left[0]}"
            else:
                same = next((one for one in left if _same(graphs, one, match)), None)
                if same is None:
                    return f"row {place}: {match} is none of {left}"
                left.remove(same)
        start = end
    return None


def _differ_by_rounding(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float) and one != other and _close(one, other)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _same(graphs: Graphs, circuit: Circuit, match: Match) -> bool:
    edges = {(edge["source"], edge["target"], edge["kind"] == "SKIP") for edge in match.edges}
    return (
        match.model == circuit.model
        and dict(match.units) == dict(circuit.units)
        and edges == circuit.edges
        and len(match.edges) == len(edges)
        and all(_same_edge(graphs, edge) for edge in match.edges)
        and _close(match.score, circuit.score)
    )


def _same_edge(graphs: Graphs, edge: dict[str, Any]) -> bool:
    known = graphs.network.get_edge_data(edge["source"], edge["target"], edge["kind"] == "SKIP")
    return all(
        known.get(name) == edge.get(name) for name in ("kind", "weight", "strength", "top", "rank_in", "kernel_h")
    ) and (_close(known["share"], edge["share"]))


def document_of(seed: int | str, number: int) -> tuple[Document, Graphs, random.Random]:
    """One of the random documents of a seed, and what its queries are drawn from."""
    rng = random.Random(f"{seed} {number}")
    document = random_document(rng)
    return document, graphs_of(document), rng


@dataclass
class Tally:
    """What many pairs came to."""

    pairs: int = 0
    with_circuits: int = 0
    few: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Document, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count the other's pairs with one's own."""
        self.pairs += other.pairs
        self.with_circuits += other.with_circuits
        self.few += other.few
        self.refused += other.refused
        self.faults += other.faults

    def __str__(self) -> str:
        refused = sum(self.refused.values())
        return (
            f"{self.pairs} pairs compared, {self.with_circuits} with circuits, {self.few} of them with 1 to 50; "
            f"{refused} more refused; {len(self.faults)} disagree"
        )


def compare_document(seed: int | str, number: int, address: str) -> Tally:
    """Compare on one of the random documents; refused queries do not count."""
    tally = Tally()
    document, graphs, rng = document_of(seed, number)
    with planted(document, address) as store:
        for text in random_queries(rng, document, graphs, QUERIES_PER_DOCUMENT):
            pair = compare(document, graphs, store, text)
            if pair is None:
                continue
            if pair.refused is not None:
                tally.refused[pair.refused] += 1
                continue
            tally.pairs += 1
            tally.with_circuits += pair.circuits > 0
            tally.few += 0 < pair.circuits <= 50
            if pair.fault is not None:
                tally.faults.append((document, text, pair.fault))
    return tally


def run(pairs: int, seed: int | str, address: str) -> Iterator[Tally]:
    """Compare at least so many pairs; yields what they have come to after every document.

    DuckDB is asked by two processes, as every document has a file of its own.
    """
    if address != DUCKDB:
        yield from _until(pairs, (compare_document(seed, number, address) for number in itertools.count()))
        return
    expected = math.ceil(pairs / QUERIES_PER_DOCUMENT * 1.2) + 1
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(compare_document, seed, number, address) for number in range(expected)]
        try:
            yield from _until(pairs, (one.result() for one in waiting))
        finally:
            pool.shutdown(cancel_futures=True)


def _until(pairs: int, tallies: Iterator[Tally]) -> Iterator[Tally]:
    together = Tally()
    while together.pairs < pairs:
        together.add(next(tallies))
        yield together


def smallest(document: Document, text: str, address: str, tries: int = 60) -> tuple[Document, str, str]:
    """A document and a query, made smaller part by part as long as they disagree in the same way."""
    graphs = graphs_of(document)
    with planted(document, address) as store:
        fault = _fault(document, graphs, store, text) or "gone when asked again"
        kind = _kind(fault)

        def fails(shorter: str) -> bool:
            return _kind(_fault(document, graphs, store, shorter)) == kind

        while (shorter := next(filter(fails, _shorter_texts(text)), None)) is not None:
            text = shorter
    for _ in range(tries):
        for smaller in _smaller_documents(document):
            with planted(smaller, address) as store:
                found = _fault(smaller, graphs_of(smaller), store, text)
            if found is not None and _kind(found) == kind:
                document, fault = smaller, found
                break
        else:
            break
    return document, text, fault


def _fault(document: Document, graphs: Graphs, store: Store, text: str) -> str | None:
    try:
        pair = compare(document, graphs, store, text)
    except Exception:  # What is cut at random may be no query at all.
        return None
    return None if pair is None else pair.fault


def _kind(fault: str | None) -> str | None:
    """The words of a disagreement without numbers, as far as they tell its kind."""
    return None if fault is None else " ".join(word for word in fault.split()[:8] if word.isalpha())


def _shorter_texts(text: str) -> Iterator[str]:
    """The text without a statement, or without a run of its words."""
    words = text.split(" ")
    for length in (16, 8, 5, 4, 3, 2, 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[:start] + words[start + length :])


def _smaller_documents(document: Document) -> Iterator[Document]:
    """The document without a model, without a part of its rows, or without a unit."""
    for model in document["models"] if len(document["models"]) > 1 else ():
        yield _without(document, lambda key, name=model["name"]: key.split("/")[0] == name)
    for part in ("edges", "maps", "analogues"):
        rows = document[part]
        if rows:
            half = (len(rows) + 1) // 2
            yield document | {part: rows[half:]}
            yield document | {part: rows[:half]}
    for unit in document["units"]:
        yield _without(document, lambda key, gone=unit["key"]: key == gone)


def _without(document: Document, gone: Callable[[str], bool]) -> Document:
    smaller = document | {"units": [unit for unit in document["units"] if not gone(unit["key"])]}
    for part in ("edges", "maps", "analogues"):
        smaller[part] = [row for row in document[part] if not gone(row["source"]) and not gone(row["target"])]
    smaller["models"] = [model for model in document["models"] if not gone(model["name"] + "/")]
    smaller["layers"] = [layer for layer in document["layers"] if not gone(layer["model"] + "/")]
    return smaller


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=int)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--store", choices=[DUCKDB, "neo4j"], default=DUCKDB)
    parser.add_argument("--refused", action="store_true", help="show what was refused")
    parser.add_argument("--faults", type=int, default=1, help="stop after so many disagreements")
    parser.add_argument("--shrink", type=int, default=1, help="make so many of them smaller")
    given = parser.parse_args()
    with ExitStack() as stack:
        address = DUCKDB
        if given.store == "neo4j":
            neo4j_server.fetch()
            address = stack.enter_context(neo4j_server.running()).address
        return report(given, address)


def report(given: argparse.Namespace, address: str) -> int:
    """Compare and print."""
    shown = 0
    tally = Tally()
    for tally in run(given.pairs, given.seed, address):
        print(tally, flush=True)
        for _, text, fault in tally.faults[shown:]:
            print(f"\n{text}\n{fault}\n", flush=True)
        shown = len(tally.faults)
        if shown >= given.faults:
            break
    if given.refused:
        for message, times in tally.refused.most_common():
            print(f"{times}x {message}")
    for document, text, _ in tally.faults[: given.shrink]:
        document, text, fault = smallest(document, text, address)
        print(f"\nthe smallest:\n{text}\n{fault}\n{json.dumps(document, ensure_ascii=False)}", flush=True)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
