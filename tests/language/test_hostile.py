"""Input made to break the compiler: whatever comes in, a Query or one clear message comes out, in bounded time."""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from circuitdb.backends.base import Limits, Store
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.circuits import Circuits
from circuitdb.database import Database
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.model import Query
from circuitdb.pattern.serial import from_text, to_text
from tests.graphs import graph_of, random_graph

FOLDER = Path(__file__).with_name("golden")
CATALOG = {"alexnet": ["L0", "L1", "L2"], "inceptionv1": ["L0", "L1", "L2"]}
MUTATIONS = 10_000
RUN = 100
SEED = 20_200_310
FRAGMENTS = (
    *(
        "'",
        '"',
        "`",
        "\\",
        "\0",
        "\n",
        "\r\n",
        "\t",
        "\u2028",
        "\ufeff",
        "\ud800",
        "😀",
        "ﬀ",
        "İ",
        "\x1b[31m",
        "$p1",
        ";",
    ),
    *(
        "'; DROP TABLE edge; --",
        "}) DETACH DELETE n //",
        "/*",
        "*/",
        "UNION SELECT * FROM unit",
        "CALL { }",
        "{{}}",
        "%s",
    ),
    *(
        "1e308 * 10",
        "1/0",
        "-0",
        "007",
        "9" * 400,
        "0.5.5",
        "1e999",
        "missing",
        "not ",
        "- ",
        "a.",
        ".a",
        "flip(",
        ")(",
    ),
    *(
        "at least 0 z {",
        "exactly 999999999 z {",
        "for g in rotate(1) {",
        "for g in rotate(0.001) {",
        "no {",
        "every edge",
    ),
    *("rotate(45)", "rotate(1e-300)", "analog(1000)", "hue(-1e300)", "use m as m", 'import "/"', 'import "."', '"""'),
    *(
        "find ",
        "motif m { ",
        "limit 0",
        "order by key",
        " in ",
        " as a",
        " where ",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "->",
        "-|",
    ),
)
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|\w+|\s+|[^\w\s]')


def texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.motif"))]


def mutated(rng: random.Random, corpus: list[str]) -> str:
    """A query of the corpus with one to six changes of bytes or of tokens."""
    text = rng.choice(corpus)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        text = _changed_bytes(rng, text) if rng.random() < 0.3 else _changed_tokens(rng, text, corpus)
    return text


def _changed_bytes(rng: random.Random, text: str) -> str:
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    place = rng.randrange(len(data) + 1)
    match rng.randrange(3):
        case 0:
            data[place:place] = bytes((rng.randrange(256),))
        case 1:
            del data[place : place + rng.randint(1, 5)]
        case _:
            data[place : place + 1] = bytes((rng.randrange(256),))
    return data.decode("utf-8", rng.choice(("replace", "surrogateescape")))


def _changed_tokens(rng: random.Random, text: str, corpus: list[str]) -> str:
    tokens = TOKEN.findall(text) or [""]
    place = rng.randrange(len(tokens))
    other = rng.randrange(len(tokens))
    match rng.randrange(6):
        case 0:
            tokens[place] = rng.choice(FRAGMENTS)
        case 1:
            tokens.insert(place, rng.choice(FRAGMENTS))
        case 2:
            del tokens[place]
        case 3:
            tokens[place], tokens[other] = tokens[other], tokens[place]
        case 4:
            tokens[place] = rng.choice(TOKEN.findall(rng.choice(corpus)))
        case _:
            start, end = sorted((place, other))
            tokens[place:place] = tokens[start : end + 1]
    return "".join(tokens)


def compiled(text: str) -> Query | None:
    """The Query of a text, None where it has a mistake; any other exception goes on."""
    try:
        return compile_query(text, catalog=CATALOG, folder=FOLDER)
    except InputError as error:
        message = str(error)
    assert message.strip()
    assert max(map(len, message.split("\n"))) < 250
    return None


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    """What is left of ten thousand mutated queries after compilation."""
    rng, corpus = random.Random(SEED), texts()
    found = []
    for _ in range(MUTATIONS):
        query = compiled(mutated(rng, corpus))
        if query is not None:
            found.append(query)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = DuckDBStore(str(tmp_path_factory.mktemp("hostile") / "zoo.duckdb"))
    rng = np.random.default_rng(3)
    for name in sorted(CATALOG):
        store.write(random_graph(rng, name=name, layers=3, units=3, kernels=True))
    return store


def test_ten_thousand_mutated_queries_give_a_query_or_a_message(queries: list[Query]) -> None:
    assert MUTATIONS / 20 < len(queries) < MUTATIONS / 2


def test_queries_that_survive_mutation_come_back_from_their_text(queries: list[Query]) -> None:
    for query in queries[:RUN]:
        assert from_text(to_text(query)) == query


def test_queries_that_survive_mutation_give_rows_or_a_message(queries: list[Query], store: Store) -> None:
    rng = random.Random(SEED)
    for query in rng.sample(queries, min(RUN, len(queries))):
        with suppress(CircuitdbError):
            store.find(query, Limits(rows=20, seconds=5))


DEEP = 5_000
BRACKETS = {
    "parentheses": ("find { a -> b where share > " + "(" * DEEP, ")" * DEEP + " }"),
    "minus signs": ("find { a -> b where share > " + "- " * DEEP, "1 }"),
    "nots": ("find { a -> b where " + "not " * DEEP, "true }"),
    "ands": ("find { a -> b where true" + " and share > 0" * DEEP, " }"),
    "sums": ("find { a -> b where 0 < 1" + " + 1" * DEEP, " }"),
    "products": ("find { a -> b where 0 < 1" + " * 1" * DEEP, " }"),
    "lists": ("find { a -> b where share in " + "[" * DEEP, "]" * DEEP + " }"),
    "long lists": ("find { a -> b where share in [" + "1, " * DEEP, "1] }"),
    "properties": ("find { a -> b where a" + ".b" * DEEP, " }"),
    "maps": ("find { " + "flip(" * DEEP + "a", ")" * DEEP + " -> b }"),
    "calls": ("find { a" + "(1)" * DEEP, " -> b }"),
    "aggregates": ("find { a -> b; score " + "min(" * DEEP + "share", ")" * DEEP + " }"),
    "agreements": ("find { a -> b as e; score agreement(" + "flip(" * DEEP + "e", ")" * DEEP + ", e) }"),
    "blocks of no": ("find { a -> b " + "no { a -> b " * DEEP, "}" * DEEP + "}"),
    "counted blocks": ("find { a -> b " + "at least 1 x { a -> x " * DEEP, "}" * DEEP + "}"),
    "loops": ("find { a -> b " + "for g in flip at least 1 { g(a) -> b " * DEEP, "}" * DEEP + "}"),
    "sets": ("find { " + "{" * DEEP + "a", "}" * DEEP + " -> b }"),
    "chains": ("find { a0" + "".join(f" -> a{i}" for i in range(1, DEEP)), " }"),
    "parameters": ("motif m(" + ", ".join(f"k{i} = {i}" for i in range(DEEP)), ") { a -> b }"),
    "models": ("find { a -> b } in " + ", ".join(["alexnet"] * DEEP), ""),
    "aggregates of aggregates": (
        "find { " + " -> ".join("abcdefghijklmnopqrstuv") + "; score " + "sum(share * " * 20 + "1",
        ")" * 20 + " }",
    ),
    "large groups": ("find { a -> b " + "for g in rotate(1) { g(a) -> g(b) } " * 10, " }"),
    "semicolons": ("find { a -> b " + ";" * DEEP, "}"),
    "open braces": ("{" * DEEP, ""),
    "open quotes": ('"' * DEEP, ""),
    "backslashes": ('find { unit a where label = "' + "\\" * DEEP, '" }'),
}


@pytest.mark.parametrize("form", BRACKETS)
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_deep_nesting_and_long_lists_give_a_query_or_a_message(form: str, closed: bool) -> None:
    start, end = BRACKETS[form]
    began = time.process_time()
    compiled(start + end if closed else start)
    assert time.process_time() - began < 30  # A guard against quadratic time, far from what is usual.


@pytest.mark.parametrize(
    "text",
    [
        "find { " + "x" * 1_000_000 + " -> b }",
        "find { " + "x" * 400_000 + " -> " + "y" * 400_000 + " }",
        'find { unit a where label = "' + "x" * 900_000 + '" }',
        'find { unit a in "' + "x" * 900_000 + '" }',
        "find { a -> b } in " + "x" * 900_000,
        "find " + "x" * 900_000,
        "find { a -> b where share > " + "9" * 900_000 + " }",
        "find { a -> b where share > 0." + "0" * 900_000 + "1 }",
        "#" * 900_000,
        " " * 900_000 + "find",
        "\n" * 900_000 + "?",
        "find { a -> b }" * 100_000,
        "x" * 10_000_000,
    ],
    ids=lambda text: f"{text[:24]}… {len(text)}",
)
def test_very_long_names_and_texts_give_a_query_or_a_message(text: str) -> None:
    compiled(text)


NASTY = (
    "'; DROP TABLE edge; --",
    '" OR 1=1 --',
    "`) DETACH DELETE n //",
    "$p1",
    "{0} %s \\u0041 \\",
    "label\nwith\nlines",
    "NUL\0inside",
    "😀 ﬀ İ ẞ e\u0301",
    "' } ) RETURN 1 UNION MATCH (n) //",
    "",
)


def quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 else "\\" + c if c in '"\\' else c for c in text)
    return f'"{escaped}"'


def test_labels_made_of_fragments_are_stored_and_found_as_they_are(tmp_path: Path) -> None:
    address = str(tmp_path / "labels.duckdb")
    names = {"L0": len(NASTY), "L1": 1}
    edges = [(f"L0:{i}", "L1:0", 1.0) for i in range(len(NASTY))]
    labels = [(f"L0:{i}", label, "me") for i, label in enumerate(NASTY)]
    DuckDBStore(address).write(graph_of(names, edges, labels=labels))
    with Database(address) as database:
        for i, label in enumerate(NASTY):
            own = f"toy/L0:{i}"
            assert found(database.find(f"find {{ unit a where label = {quoted(label)}; a -> b }}")) == [own]
            assert own in found(database.find(f"find {{ unit a where label ~ {quoted(label)}; a -> b }}"))
            text = "motif m(wanted) { unit a where label = wanted; a -> b }"
            assert found(database.find(text, wanted=label)) == [own]
        assert len(database.models()) == 1


def test_models_and_layers_made_of_fragments_are_searched_as_they_are(tmp_path: Path) -> None:
    address = str(tmp_path / "names.duckdb")
    names = [text.replace("/", "").replace(":", "").replace("\0", "") for text in NASTY if text]
    store = DuckDBStore(address)
    for name in names:
        store.write(graph_of({f"first {name}": 1, name: 1}, [(f"first {name}:0", f"{name}:0", 1.0)], name=name))
    with Database(address) as database:
        for name in names:
            text = f"find {{ unit b in {quoted(name)}; a -> b }} in {quoted(name)}"
            assert [circuit.model for circuit in database.find(text)] == [name]
            assert len(database.find("find { a -> b }", model=name)) == 1
        assert len(database.find("find { a -> b }")) == len(names)


def found(circuits: Circuits) -> list[str]:
    return [str(circuit.units["a"]) for circuit in circuits]
