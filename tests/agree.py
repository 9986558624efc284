"""Compares the oracle with a store on random queries: `python -m tests.agree 10000`.

Each pair is one query on one document of graphs; a document serves many queries. Prints how many pairs were compared
and how many had matches, and for the first disagreement the smallest document and query that still show it.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from circuitdb.backends import open_store
from circuitdb.backends.base import Limits, Match, Store
from circuitdb.errors import InputError
from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from circuitdb.pattern.compile import compile_query
from tests.oracle import Answer, Circuit, answer
from tests.oracle_graphs import Document, Graphs, graphs_of
from tests.oracle_statements import UnsupportedError
from tests.random_graphs import model_graphs, random_document
from tests.random_queries import random_queries

QUERIES_PER_DOCUMENT = 50
TOLERANCE = 1e-9


@contextmanager
def planted_duckdb(document: Document) -> Iterator[Store]:
    """A new DuckDB file that holds the document."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "graph.duckdb")
        store = open_store(address)
        for graph in model_graphs(document):
            store.write(graph)
        _plant_analogues(address, document)
        yield store
        store.close()


def _plant_analogues(address: str, document: Document) -> None:
    with duckdb.connect(address) as connection:
        ids = {
            key: (unit, model) for key, unit, model in connection.sql("SELECT key, id, model_id FROM unit").fetchall()
        }
        for row in document["analogues"]:
            (source, source_model), (target, target_model) = ids[row["source"]], ids[row["target"]]
            values = row | {
                "source": source,
                "target": target,
                "source_model_id": source_model,
                "target_model_id": target_model,
            }
            if "method" in row:
                values["method_folded"] = row["method"].casefold()
            names = ", ".join(f'"{name}"' for name in values)
            marks = ", ".join("?" for _ in values)
            connection.execute(f"INSERT INTO analogue ({names}) VALUES ({marks})", list(values.values()))


STORES = {"duckdb": planted_duckdb}
"""How a document is brought into a new store of each kind."""


@dataclass(frozen=True)
class Pair:
    """What came of one query: the number of circuits, and what is wrong, if anything."""

    circuits: int
    fault: str | None = None
    refused: str | None = None


def compare(document: Document, graphs: Graphs, store: Store, text: str) -> Pair:
    """Ask the oracle and the store the same."""
    layers: dict[str, list[str]] = {model["name"]: [] for model in document["models"]}
    for layer in document["layers"]:
        layers[layer["model"]].append(layer["name"])
    try:
        query = compile_query(text, catalog=layers)
    except InputError as error:
        return Pair(0, refused=str(error))
    try:
        expected = answer(parse(Source("query", text)), graphs)
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


def documents(seed: int | str) -> Iterator[tuple[Document, Graphs, random.Random]]:
    """Random documents, the same for the same seed."""
    number = 0
    while True:
        rng = random.Random(f"{seed} {number}")
        document = random_document(rng)
        yield document, graphs_of(document), rng
        number += 1


@dataclass
class Tally:
    """What many pairs came to."""

    pairs: int = 0
    with_circuits: int = 0
    few: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Document, str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        refused = sum(self.refused.values())
        return (
            f"{self.pairs} pairs compared, {self.with_circuits} with circuits, {self.few} of them with 1 to 50; "
            f"{refused} more refused; {len(self.faults)} disagree"
        )


def run(
    pairs: int,
    seed: int | str,
    planted: Callable[[Document], Any],
    *,
    most_faults: int = 1,
    skip: frozenset[str] = frozenset(),
) -> Tally:
    """Compare so many pairs; refused queries do not count."""
    tally = Tally()
    for document, graphs, rng in documents(seed):
        with planted(document) as store:
            for text in random_queries(rng, document, graphs, QUERIES_PER_DOCUMENT):
                pair = compare(document, graphs, store, text)
                if pair.refused is not None:
                    tally.refused[pair.refused] += 1
                    continue
                tally.pairs += 1
                tally.with_circuits += pair.circuits > 0
                tally.few += 0 < pair.circuits <= 50
                if pair.fault is not None:
                    tally.faults.append((document, text, pair.fault))
                if tally.pairs == pairs or len(tally.faults) >= most_faults:
                    return tally
    raise AssertionError


def smallest(
    document: Document, text: str, planted: Callable[[Document], Any], tries: int = 60
) -> tuple[Document, str, str]:
    """A document and a query, made smaller part by part as long as they disagree in the same way."""
    graphs = graphs_of(document)
    with planted(document) as store:
        fault = compare(document, graphs, store, text).fault or "gone when asked again"

        def fails(shorter: str) -> bool:
            try:
                found = compare(document, graphs, store, shorter).fault
            except Exception:
                return False
            return found is not None and _way(found) == _way(fault)

        while (shorter := next(filter(fails, _shorter_texts(text)), None)) is not None:
            text = shorter
    for _ in range(tries):
        for smaller in _smaller_documents(document):
            if not smaller["models"]:
                continue
            with planted(smaller) as store:
                found = compare(smaller, graphs_of(smaller), store, text).fault
            if found is not None and _way(found) == _way(fault):
                document, fault = smaller, found
                break
        else:
            break
    return document, text, fault


def _way(fault: str) -> str:
    """The kind of a disagreement: its words without numbers and names."""
    return " ".join(word for word in fault.split()[:3] if word.isalpha()) + fault.split(":")[0][:8]


def _shorter_texts(text: str) -> Iterator[str]:
    """The text without a statement, or without a run of its words."""
    words = text.split(" ")
    for length in (16, 8, 5, 4, 3, 2, 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[:start] + words[start + length :])


def _smaller_documents(document: Document) -> Iterator[Document]:
    """The document without a model, without a part of its rows, or without a unit."""
    for model in document["models"]:
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=list(STORES), default="duckdb")
    parser.add_argument("--refused", action="store_true", help="show what was refused")
    parser.add_argument("--faults", type=int, default=1, help="how many disagreements to show")
    given = parser.parse_args()
    tally = run(given.pairs, given.seed, STORES[given.store], most_faults=given.faults)
    print(tally)
    if given.refused:
        for message, times in tally.refused.most_common():
            print(f"{times}x {message}")
    for document, text, fault in tally.faults:
        document, text, fault = smallest(document, text, STORES[given.store])
        print(f"\n{text}\n\n{fault}\n\n{json.dumps(document, ensure_ascii=False)}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
