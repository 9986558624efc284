"""The exchange form: what goes in comes out, what is absent is derived, what is wrong is refused with its place."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import circuitdb
from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.validation import checked
from circuitdb.database import Database
from circuitdb.errors import InputError
from circuitdb.reports.exchange import read_document, write_document
from circuitdb.reports.exchange.rows import PARTS
from circuitdb.transfer import checksum
from tests.conftest import REPOSITORY
from tests.graphs import assert_same_graph, random_graph, toy_graph

Document = dict[str, Any]

DESIGN: Document = {
    "circuitdb": 1,
    "models": [{"name": "toy"}],
    "layers": [{"model": "toy", "name": "L0", "depth": 0}, {"model": "toy", "name": "L1", "depth": 1}],
    "units": [
        {"key": "toy/L0:3", "labels": [{"label": "curve", "source": "me"}]},
        {"key": "toy/L0:4"},
        {"key": "toy/L1:5"},
    ],
    "edges": [{"source": "toy/L0:3", "target": "toy/L1:5", "weight": 0.25}],
    "maps": [
        {"map": "flip", "source": "toy/L0:3", "target": "toy/L0:4", "score": 0.9, "self_score": 0.1, "mutual": True}
    ],
    "analogues": [],
}
"""The document of the design, as other tools would write it."""


@pytest.fixture(params=["duckdb", "neo4j"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "duckdb":
        address = str(tmp_path / "graph.duckdb")
    else:
        address = request.getfixturevalue("neo4j_address")
        with closing(Connection(address)) as connection:
            connection.write(("MATCH (n) DETACH DELETE n", {}))
    with circuitdb.open(address) as opened:
        yield opened


def full_document() -> Document:
    """A document with rows in every part, which a reader takes."""
    return {
        "circuitdb": 1,
        "models": [{"name": "toy", "keep": "top32", "options": {"seed": [1, None]}}, {"name": "other"}],
        "layers": [
            {"model": "toy", "name": "L0", "depth": 0, "width": 9, "kind": "input", "stride_px": 1},
            {"model": "toy", "name": "L1", "depth": 2, "rf_px": 3.5},
            {"model": "other", "name": "L0", "depth": 0},
        ],
        "units": [
            {"key": "toy/L0:0", "bias": 0.5, "labels": [{"label": "curve", "source": "me"}, {"label": "Straße"}]},
            {"key": "toy/L0:1", "branch": "5x5", "kind": "neuron"},
            {"key": "toy/L1:0", "mean": 1},
            {"key": "other/L0:7"},
        ],
        "edges": [
            {"source": "toy/L0:0", "target": "toy/L1:0", "weight": -1.0, "top": 0.5},
            {
                "source": "toy/L0:1",
                "target": "toy/L1:0",
                "weight": 1.0,
                "strength": 5.0,
                "kernel": [3.0, -2.0],
                "kernel_h": 1,
                "kernel_w": 2,
                "offset_y": 0.0,
                "offset_x": -0.5,
            },
            {"source": "toy/L0:0", "target": "toy/L1:0", "weight": 2.0, "skip": True},
        ],
        "maps": [{"map": "rotate(-270.0)", "source": "toy/L0:0", "target": "toy/L0:1", "score": 0.75}],
        "analogues": [{"source": "toy/L0:0", "target": "other/L0:7", "score": 0.5, "method": "corr"}],
        "families": [
            {
                "model": "toy",
                "layer": "L0",
                "group": "flip",
                "order": 2,
                "members": [{"unit": "toy/L0:1", "pose": "flip"}, {"unit": "toy/L0:0", "pose": ""}],
            }
        ],
        "segments": [{"model": "toy", "source_layer": "L0", "target_layer": "L1", "kernel_h": 1, "linear": True}],
    }


def edges_of(document: Document) -> list[dict[str, Any]]:
    """The edges of a document's first model as it is read, in the document's order."""
    return read_document(document).graphs[0].edges.to_pylist()


def with_edges(*edges: Mapping[str, Any], units: tuple[str, ...] = ()) -> Document:
    """A document of one model of three layers with these edges; ends are written `L0:3`."""
    keys = dict.fromkeys([*units, *(str(edge[end]) for edge in edges for end in ("source", "target"))])
    return {
        "circuitdb": 1,
        "models": [{"name": "toy"}],
        "layers": [{"model": "toy", "name": f"L{depth}", "depth": depth} for depth in range(3)],
        "units": [{"key": f"toy/{key}"} for key in keys],
        "edges": [{**edge, "source": f"toy/{edge['source']}", "target": f"toy/{edge['target']}"} for edge in edges],
    }


# what goes in comes out


def test_the_document_of_the_design_goes_in_and_comes_out(database: Database) -> None:
    assert database.import_document(DESIGN) == ["toy"]
    [edge] = database.unit("toy/L1:5").inputs()
    derived = {"kind": "EXCITES", "strength": 0.25, "share": 1.0, "rank_in": 1, "rank_out": 1, "inhibition": 0.0}
    assert {name: edge[name] for name in derived} == derived
    document = database.document(["toy"])
    assert {part: len(rows) for part, rows in document.items() if rows and part != "circuitdb"} == {
        "models": 1,
        "layers": 2,
        "units": 3,
        "edges": 1,
        "maps": 1,
    }
    assert document["maps"] == DESIGN["maps"]
    assert document["units"][0] == {"key": "toy/L0:3", "kind": "neuron", "labels": DESIGN["units"][0]["labels"]}
    assert [circuit.units for circuit in database.find("find { a +> b where share = 1 }")] == [
        {"a": "toy/L0:3", "b": "toy/L1:5"}
    ]
    assert database.count("find { flip(a) = b }") == 1


def test_every_part_goes_in_and_comes_out(database: Database) -> None:
    assert database.import_document(full_document()) == ["toy", "other"]
    unit = database.unit("toy/L0:0")
    assert [(row["label"], row["source"]) for row in unit.labels] == [("curve", "me"), ("Straße", None)]
    assert [(row["map"], row["target"]) for row in unit.maps] == [("rotate(90)", "toy/L0:1")]
    assert [(row["target"], row["rank"], row["score"]) for row in unit.analogues] == [("other/L0:7", 1, 0.5)]
    assert [row["group"] for row in unit.families] == ["flip"]
    first = database.document(["toy", "other"])
    database.import_document(first, replace=True)
    assert database.document(["toy", "other"]) == first
    assert first["models"][0] == full_document()["models"][0]
    assert first["segments"] == full_document()["segments"]
    assert first["families"] == full_document()["families"]


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_go_out_and_in_again_unchanged(database: Database, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, name=name, kernels=bool(seed % 2)) for name in ("one", "Two ₂")]
    document = write_document([checked(graph) for graph in graphs], [analogues_between(*graphs)])
    names = database.import_document(json.loads(json.dumps(document)))
    assert [checksum(database.graph(name)) for name in names] == [checksum(graph) for graph in graphs]
    first = "".join(database.document_text(names))
    assert json.loads(first) == database.document(names)
    database.import_document(json.loads(first), replace=True)
    assert "".join(database.document_text(names)) == first


def analogues_between(source: ModelGraph, target: ModelGraph) -> Analogues:
    rows = [{"source": i, "target": 0, "rank": 1, "score": 0.5} for i in range(source.units.num_rows)]
    return Analogues(source.name, target.name, pa.Table.from_pylist(rows))


def test_a_graph_is_read_as_it_was_planted() -> None:
    [graph] = read_document(write_document([checked(toy_graph())])).graphs
    assert_same_graph(toy_graph(), graph)


def test_duckdb_and_neo4j_write_the_same_document(neo4j_address: str, tmp_path: Path) -> None:
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    texts = []
    for address in (str(tmp_path / "graph.duckdb"), neo4j_address):
        with circuitdb.open(address) as database:
            database.import_document(full_document())
            texts.append("".join(database.document_text(["toy", "other"])))
    assert texts[0] == texts[1]


HOSTILE = [
    "'; DROP TABLE unit; --",
    '"}) DETACH DELETE n //',
    "`backticks` $parameter {0} %s",
    "a\nb\tc\r\n\\ \\u0041",
    "\u202eright to left",
    "😀 e\u0301 ﬀ İ",
    "x" * 20_000,
    " ",
    "",
    "null",
]


def test_hostile_names_and_labels_are_stored_and_found_as_they_are(database: Database) -> None:
    names = [text.replace("/", "|").replace(":", ";")[:300] for text in HOSTILE if text]
    document: Document = {"circuitdb": 1, "models": [], "layers": [], "units": [], "edges": []}
    for name in names:
        document["models"].append({"name": name, "source": name})
        document["layers"] += [{"model": name, "name": name, "depth": 0}, {"model": name, "name": "L1", "depth": 1}]
        labels = [{"label": label, "source": label} for label in HOSTILE]
        document["units"] += [{"key": f"{name}/{name}:0", "labels": labels}, {"key": f"{name}/L1:0"}]
        document["edges"].append({"source": f"{name}/{name}:0", "target": f"{name}/L1:0", "weight": 1})
    database.import_document(document)
    assert {row["name"] for row in database.models()} == set(names)
    for name in names[:3]:
        assert sorted(row["label"] for row in database.labels(name)) == sorted(HOSTILE)
        found = database.find("motif m(text) { a +> b where a.label = text } find m", model=name, text=HOSTILE[0])
        assert [circuit.units["a"] for circuit in found] == [f"{name}/{name}:0"]
    [again] = database.document([names[0]])["models"]
    assert again["source"] == names[0]


def test_the_example_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "exchange.md").read_text()
    [example] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    [query, *shown] = re.findall(r"\$ circuitdb find '(.*)'\n +(score .*)\n +(0\.1 .*)\n", page)[0]
    with circuitdb.open(str(tmp_path / "graph.duckdb")) as database:
        database.import_document(json.loads(example))
        [circuit] = database.find(query)
    assert shown[0].split() == ["score", *circuit.units]
    assert shown[1].split() == ["0.1", *(key.removeprefix("toy/") for key in circuit.units.values())]
    assert circuit.score == 0.1


def test_the_page_names_every_part() -> None:
    page = (REPOSITORY / "docs" / "exchange.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| (?:a|how|where)", page, re.MULTILINE) == list(PARTS)


# what is absent is derived


def test_strength_and_the_parts_of_a_weight_follow_from_the_weight() -> None:
    edges = edges_of(
        with_edges(
            {"source": "L0:0", "target": "L1:0", "weight": -0.5},
            {"source": "L0:1", "target": "L1:0", "weight": 0.25},
            {"source": "L0:2", "target": "L1:0", "weight": 0},
            {"source": "L0:3", "target": "L1:0", "weight": 0, "strength": 0.75},
        )
    )
    names = ("kind", "weight", "strength", "excitation", "inhibition")
    assert [tuple(edge[name] for name in names) for edge in edges] == [
        ("INHIBITS", -0.5, 0.5, 0.0, -0.5),
        ("EXCITES", 0.25, 0.25, 0.25, 0.0),
        ("EXCITES", 0.0, 0.0, 0.0, 0.0),
        ("EXCITES", 0.0, 0.75, 0.0, 0.0),
    ]
    assert [math.copysign(1, edge["inhibition"]) for edge in edges] == [-1, 1, 1, 1]


def test_with_a_kernel_they_follow_from_the_kernel() -> None:
    kernel = {"kernel": [3.0, -4.0, 0.0, 12.0], "kernel_h": 2, "kernel_w": 2}
    [edge] = edges_of(with_edges({"source": "L0:0", "target": "L1:0", "weight": 11, **kernel}))
    assert (edge["strength"], edge["excitation"], edge["inhibition"]) == (13.0, 15.0, -4.0)


def test_shares_are_of_the_squares_into_the_target_and_ranks_count_from_the_strongest() -> None:
    """Into L2:0: squares 1, 4, 4, 16 of 25. Out of L1:0: 4, 1, 2."""
    edges = edges_of(
        with_edges(
            {"source": "L0:0", "target": "L2:0", "weight": 1},
            {"source": "L0:10", "target": "L2:0", "weight": -2},
            {"source": "L0:9", "target": "L2:0", "weight": 2},
            {"source": "L1:0", "target": "L2:0", "weight": -4},
            {"source": "L1:0", "target": "L2:1", "weight": 1},
            {"source": "L1:0", "target": "L2:2", "weight": 2},
        )
    )
    assert [edge["share"] for edge in edges] == [1 / 25, 4 / 25, 4 / 25, 16 / 25, 1.0, 1.0]
    assert [edge["rank_in"] for edge in edges] == [4, 3, 2, 1, 1, 1]
    assert [edge["rank_out"] for edge in edges] == [1, 1, 1, 1, 3, 2]


def test_equal_strengths_rank_by_depth_layer_and_number_of_the_other_unit() -> None:
    """As numbers, 9 before 10; a lesser depth before a greater one."""
    sources = ("L1:0", "L0:10", "L0:9")
    edges = edges_of(with_edges(*({"source": source, "target": "L2:0", "weight": 0.5} for source in sources)))
    assert [edge["rank_in"] for edge in edges] == [3, 2, 1]
    targets = ("L2:0", "L1:10", "L1:9")
    edges = edges_of(with_edges(*({"source": "L0:0", "target": target, "weight": -0.5} for target in targets)))
    assert [edge["rank_out"] for edge in edges] == [3, 2, 1]


def test_skip_edges_have_shares_and_ranks_among_themselves() -> None:
    edges = edges_of(
        with_edges(
            {"source": "L0:0", "target": "L1:0", "weight": 1},
            {"source": "L0:0", "target": "L1:0", "weight": -3, "skip": True},
            {"source": "L0:1", "target": "L1:0", "weight": 4, "kind": "SKIP"},
            {"source": "L0:0", "target": "L1:1", "weight": 2},
        )
    )
    assert [edge["kind"] for edge in edges] == ["EXCITES", "SKIP", "SKIP", "EXCITES"]
    assert [edge["share"] for edge in edges] == [1.0, 9 / 25, 16 / 25, 1.0]
    assert [edge["rank_in"] for edge in edges] == [1, 2, 1, 1]
    assert [edge["rank_out"] for edge in edges] == [2, 1, 1, 1]


def test_what_is_given_is_not_derived_and_null_says_that_it_is_missing() -> None:
    said = {"strength": 3.0, "share": 0.125, "rank_in": 7, "rank_out": 9, "excitation": 2.0, "inhibition": None}
    [edge] = edges_of(with_edges({"source": "L0:0", "target": "L1:0", "weight": 1, **said}))
    assert {name: edge.get(name) for name in said} == said
    assert read_document(DESIGN).graphs[0].model["keep"] == "all"
    [graph] = read_document({"circuitdb": 1, "models": [{"name": "toy", "keep": None}]}).graphs
    assert "keep" not in checked(graph).model


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_shares_hold_whatever_the_scale_of_the_weights(factor: float) -> None:
    weights = [("L0:0", factor), ("L0:1", factor), ("L0:2", 0)]
    edges = edges_of(with_edges(*({"source": s, "target": "L1:0", "weight": w} for s, w in weights)))
    assert [edge["share"] for edge in edges] == [0.5, 0.5, 0.0]
    [edge] = edges_of(with_edges({"source": "L0:0", "target": "L1:0", "weight": 0}))
    assert edge["share"] == 0.0


def test_ranks_of_analogues_follow_from_their_scores() -> None:
    document = two_models()
    document["analogues"] = [
        {"source": "a/L:0", "target": "b/L:0", "score": 0.5},
        {"source": "a/L:0", "target": "b/L:1", "score": 0.75},
        {"source": "a/L:0", "target": "b/L:3", "score": 0.5},
        {"source": "a/L:0", "target": "b/L:2", "score": 0.5},
        {"source": "a/L:1", "target": "b/L:0", "rank": 1},
        {"source": "a/L:1", "target": "b/L:1", "score": 0.9},
        {"source": "b/L:0", "target": "a/L:0", "score": -0.5},
    ]
    there, back = read_document(document).analogues
    assert (there.source, there.target, back.source, back.target) == ("a", "b", "b", "a")
    rows = there.rows.to_pylist()
    assert [(row["source"], row["target"], row["rank"]) for row in rows] == [
        *((0, 0, 2), (0, 1, 1), (0, 3, 4), (0, 2, 3)),
        *((1, 0, 1), (1, 1, 2)),
    ]


def two_models() -> Document:
    return {
        "circuitdb": 1,
        "models": [{"name": "a"}, {"name": "b"}],
        "layers": [{"model": model, "name": "L", "depth": 0} for model in "ab"],
        "units": [{"key": f"{model}/L:{index}"} for model in "ab" for index in range(4)],
    }


def test_analogues_may_lead_into_a_model_of_the_database(database: Database) -> None:
    database.import_document(two_models())
    new = {
        "circuitdb": 1,
        "models": [{"name": "c"}],
        "layers": [{"model": "c", "name": "L", "depth": 0}],
        "units": [{"key": "c/L:0"}],
        "analogues": [
            {"source": "c/L:0", "target": "b/L:2", "score": 0.5},
            {"source": "a/L:1", "target": "b/L:3", "rank": 1},
        ],
    }
    database.import_document(new)
    assert [row["target"] for row in database.unit("c/L:0").analogues] == ["b/L:2"]
    assert [row["target"] for row in database.unit("a/L:1").analogues] == ["b/L:3"]
    wrong = {"circuitdb": 1, "analogues": [{"source": "c/L:0", "target": "b/L:9", "rank": 1}]}
    with pytest.raises(InputError, match=r"^analogues\[0\]\.target: there is no unit 'b/L:9' in the document or"):
        database.import_document(wrong)


# what is wrong is refused


def change(document: Document, path: str, value: Any) -> Document:
    """The document with the value at a path, as `edges.0.weight`, set; a path of one part more than there is, added."""
    *parts, last = path.split(".")
    here: Any = document
    for part in parts:
        here = here[int(part)] if isinstance(here, list) else here[part]
    if isinstance(here, list):
        here.insert(int(last), value)
    else:
        here[last] = value
    return document


def without(document: Document, path: str) -> Document:
    *parts, last = path.split(".")
    here: Any = document
    for part in parts:
        here = here[int(part)] if isinstance(here, list) else here[part]
    del here[int(last) if isinstance(here, list) else last]
    return document


REFUSED: list[tuple[str, Any, str]] = [
    ("circuitdb", 2, r'the document must say "circuitdb": 1'),
    ("circuitdb", True, r'the document must say "circuitdb": 1'),
    ("edgs", [], r"there is no part 'edgs' of a document; did you mean edges\?"),
    ("edges", {}, r"edges: a list is wanted"),
    ("edges.0", 3, r"edges\[0\]: an object is wanted"),
    ("models.1.name", "toy", r"models\[1\]: toy stands there twice"),
    ("models.1.name", "o/ther", r"models\[1\]\.name: model name 'o/ther' must not .*'/'"),
    ("models.1.name", "o:ther", r"models\[1\]\.name: .*':'"),
    ("models.1.name", "", r"models\[1\]\.name: .*must not be empty"),
    ("models.1.name", 7, r"models\[1\]\.name: a text \(valid Unicode\) is wanted"),
    ("models.1.name", "\ud800", r"models\[1\]\.name: a text \(valid Unicode\) is wanted"),
    ("models.0.options", {"x": math.nan}, r"models\[0\]\.options: JSON of finite numbers"),
    ("models.0.kepp", "all", r"models\[0\]: there is no property 'kepp'; did you mean keep\?"),
    ("layers.0.model", "tou", r"layers\[0\]\.model: the document has no model 'tou'; did you mean toy\?"),
    ("layers.0.name", "L/0", r"layers\[0\]\.name: layer name 'L/0'"),
    ("layers.1.name", "L0", r"layers\[1\]: toy/L0 stands there twice"),
    ("layers.0.depth", -1, r"layers\[0\]\.depth: a depth is 0 or more"),
    ("layers.0.depth", 0.0, r"layers\[0\]\.depth: a whole number"),
    ("layers.0.depth", True, r"layers\[0\]\.depth: a whole number"),
    ("layers.0.depth", None, r"layers\[0\]\.depth: a whole number"),
    ("layers.0.width", 1, r"units\[1\]\.key: the layer has 1 units"),
    ("layers.0.width", -1, r"layers\[0\]\.width: a width is 0 or more"),
    ("layers.0.stride_px", 10**400, r"layers\[0\]\.stride_px: a finite number"),
    ("units.0.key", "toy/L0", r"units\[0\]\.key: 'toy/L0' is no unit key"),
    ("units.0.key", "toy/L0:01", r"units\[0\]\.key: .* is no unit key"),
    ("units.0.key", "toy/L0:" + "9" * 5000, r"units\[0\]\.key: .* is no unit key"),
    ("units.2.key", "toy/L1:4000000000", r"units\[2\]\.key: the index is too large"),
    ("units.0.key", "toy/L5:1", r"units\[0\]\.key: the document has no layer 'toy/L5'"),
    ("units.0.key", "toy/L0:1", r"units\[1\]: toy/L0:1 stands there twice"),
    ("units.0.layer", "L1", r"units\[0\]\.layer: the key says 'L0'"),
    ("units.0.depth", 1, r"units\[0\]\.depth: the key says 0"),
    ("units.0.label", "curve", r'units\[0\]\.label: labels stand in a list, as "labels"'),
    ("units.0.labels", "curve", r"units\[0\]\.labels: a list is wanted"),
    ("units.0.labels.1", "curve", r"units\[0\]\.labels\[1\]: an object is wanted"),
    ("units.0.labels.1.label", 5, r"units\[0\]\.labels\[1\]\.label: a text"),
    ("units.0.labels.1.unit", "toy/L0:1", r"units\[0\]\.labels\[1\]\.unit: the label stands with toy/L0:0"),
    ("units.0.bias", math.nan, r"units\[0\]\.bias: a finite number is wanted"),
    ("units.0.bias", "1", r"units\[0\]\.bias: a finite number is wanted"),
    ("edges.0.source", "toy/L0:2", r"edges\[0\]\.source: the document has no unit 'toy/L0:2'; did you mean toy/L0:"),
    ("edges.0.source", None, r"edges\[0\]\.source: a text"),
    ("edges.0.target", "other/L0:7", r'edges\[0\]: the ends lie in two models; only "analogues"'),
    ("edges.0.target", "toy/L0:1", r"edges\[0\] \(toy/L0:0 -> toy/L0:1\): edges run from a lower to a higher depth"),
    ("edges.0.weight", math.inf, r"edges\[0\]\.weight: a finite number"),
    ("edges.0.weight", True, r"edges\[0\]\.weight: a finite number"),
    ("edges.0.kind", "EXCITES", r"edges\[0\] .*the kind is none that the sign"),
    ("edges.0.kind", "LIKES", r"edges\[0\] .*the kind is none that the sign"),
    ("edges.0.skip", True, r"edges\[2\] .*there is a skip edge between these already"),
    ("edges.0.skip", 1, r"edges\[0\]\.skip: true or false"),
    ("edges.2.skip", False, r"edges\[2\] \(toy/L0:0 -> toy/L1:0\): there is an edge between these already"),
    ("edges.0.strength", -1, r"edges\[0\] .*a strength is 0 or more"),
    ("edges.0.rank_in", 0, r"edges\[0\] .*a rank_in is 1 or more"),
    ("edges.0.shar", 1, r"edges\[0\]: there is no property 'shar'; did you mean share\?"),
    ("edges.1.kernel", [1.0], r"edges\[1\] .*kernel_h times kernel_w numbers"),
    ("edges.1.kernel_h", None, r"edges\[1\] .*kernel_h times kernel_w numbers"),
    ("edges.1.kernel.0", math.nan, r"edges\[1\]\.kernel: a list of numbers that single precision can hold"),
    ("edges.1.kernel.0", 1e300, r"edges\[1\]\.kernel: a list of numbers that single precision can hold"),
    ("maps.0.map", "rotate", r"maps\[0\]\.map: 'rotate' is no map; maps are flip"),
    ("maps.0.map", "rotate(360)", r"maps\[0\]\.map: 'rotate\(360\)' is no map"),
    ("maps.0.map", f"rotate({'9' * 400})", r"maps\[0\]\.map: .* is no map"),
    ("maps.0.map", "analog", r"maps\[0\]\.map: 'analog' is no map"),
    ("maps.0.target", "other/L0:7", r"maps\[0\]: the ends lie in two models"),
    (
        "maps.1",
        {"map": "rotate(90)", "source": "toy/L0:0", "target": "toy/L0:0"},
        r"maps\[1\]: rotate\(90\) of toy/L0:0 stands there twice",
    ),
    ("analogues.0.target", "toy/L0:1", r"analogues\[0\]: an analogue lies in another model"),
    ("analogues.0.target", "other/L0:8", r"analogues\[0\]\.target: there is no unit 'other/L0:8'.*did you mean"),
    ("analogues.0.rank", 0, r"analogues\[0\]\.rank: a rank is 1 or more"),
    ("analogues.0.score", None, r"analogues\[0\]: a rank, or a score to derive it from, is wanted"),
    (
        "analogues.1",
        {"source": "toy/L0:0", "target": "other/L0:7", "rank": 2},
        r"analogues\[1\]: toy/L0:0 with other/L0:7 stands there twice",
    ),
    ("families.0.layer", "L7", r"families\[0\]\.layer: the document has no layer 'toy/L7'"),
    ("families.0.members.0.unit", "toy/L1:0", r"families\[0\]\.members\[0\]\.unit: toy/L1:0 lies in another layer"),
    ("families.0.members.0.unit", "toy/L0:0", r"families\[0\]\.members\[1\]: toy/L0:0 stands there twice"),
    ("families.0.members.0", 1, r"families\[0\]\.members\[0\]: an object is wanted"),
    ("segments.0.target_layer", "L9", r"segments\[0\]\.target_layer: the document has no layer 'toy/L9'"),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSED, ids=[f"{row[0]}={row[1]!r:.20}" for row in REFUSED])
def test_what_is_wrong_is_refused_with_its_place(path: str, value: Any, message: str) -> None:
    document = full_document()
    if path == "units.0.labels.1.label" or path == "units.0.labels.1.unit":
        document["units"][0]["labels"][1] = {"label": "x"}
    with pytest.raises(InputError, match=f"^{message}"):
        read_document(change(document, path, value))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("circuitdb", r'the document must say "circuitdb": 1'),
        ("models.0.name", r"models\[0\]\.name is missing"),
        ("models.0", r"layers\[0\]\.model: the document has no model 'toy'"),
        ("layers.0", r"units\[0\]\.key: the document has no layer 'toy/L0'"),
        ("layers.0.depth", r"layers\[0\]\.depth is missing"),
        ("units.0", r"edges\[0\]\.source: the document has no unit 'toy/L0:0'"),
        ("units.0.key", r"units\[0\]\.key is missing"),
        ("units.0.labels.0.label", r"units\[0\]\.labels\[0\]\.label is missing"),
        ("edges.0.weight", r"edges\[0\]\.weight is missing"),
        ("edges.0.target", r"edges\[0\]\.target is missing"),
        ("maps.0.map", r"maps\[0\]\.map is missing"),
        ("analogues.0.score", r"analogues\[0\]: a rank, or a score"),
        ("families.0.members.0.pose", r"families\[0\]\.members\[0\]\.pose is missing"),
        ("segments.0.model", r"segments\[0\]\.model is missing"),
    ],
)
def test_half_a_document_is_refused_with_the_place_of_what_is_missing(path: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        read_document(without(full_document(), path))


@pytest.mark.parametrize("document", [None, 1, "toy", [], [{}]])
def test_what_is_no_object_is_no_document(document: object) -> None:
    with pytest.raises(InputError, match="the document is no JSON object"):
        read_document(document)


def test_a_rank_of_a_unit_may_stand_once() -> None:
    document = two_models()
    document["analogues"] = [{"source": "a/L:0", "target": f"b/L:{i}", "rank": 1} for i in (0, 1)]
    with pytest.raises(InputError, match=r"^analogues\[1\]\.rank: rank 1 of a/L:0 stands there twice"):
        read_document(document)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda document: change(document, "edges.0.weight", math.inf),
        lambda document: change(document, "models.1.options", {"deep": [math.nan]}),
        lambda document: change(document, "analogues.0.target", "other/L0:99"),
        lambda document: document,
    ],
    ids=["edge", "second model", "analogue", "there already"],
)
def test_nothing_is_written_where_anything_is_wrong(database: Database, wrong: Callable[[Document], Document]) -> None:
    database.import_document({"circuitdb": 1, "models": [{"name": "other"}]})
    before = database.models()
    with pytest.raises(InputError):
        database.import_document(wrong(full_document()))
    assert database.models() == before


def test_a_model_that_is_there_is_refused_unless_replaced(database: Database) -> None:
    database.import_document(full_document())
    changed = change(full_document(), "edges.0.weight", -7.0)
    with pytest.raises(InputError, match=r"model 'toy' is already in .*--replace"):
        database.import_document(changed)
    assert database.unit("toy/L1:0").inputs()[0]["weight"] == 1.0
    database.import_document(changed, replace=True)
    assert database.unit("toy/L1:0").inputs()[0]["weight"] == -7.0
    assert len(database.models()) == 2


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_of(inner, (*path, key))


PATHS = [path for path in paths_of(full_document()) if path]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["toy", "L0", "toy/L0:0", "toy/L1:0", "other/L0:7", "SKIP", "flip", "hue(1e9)", "\ud800", "a\0b"])
    | st.sampled_from([10**400, -(2**63), 1e-320, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


CHANGES = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(["set", "add", "remove", "copy"]), VALUES), max_size=3
)


def changed(changes: list[tuple[tuple[Any, ...], str, Any]]) -> Document:
    """The full document after such of the changes as can be made."""
    document = full_document()
    for path, how, value in changes:
        here: Any = document
        try:
            for part in path[:-1]:
                here = here[part]
            match how:
                case "set":
                    here[path[-1]] = value
                case "remove":
                    del here[path[-1]]
                case "copy" if isinstance(here, list):
                    here.append(copy.deepcopy(here[path[-1]]))
                case _ if isinstance(here[path[-1]], dict):
                    here[path[-1]][value if isinstance(value, str) else "weight"] = value
        except (KeyError, IndexError, TypeError):
            continue
    return document


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_a_changed_document_is_read_or_refused(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    with contextlib.suppress(InputError):
        for graph in read_document(changed(changes)).graphs:
            json.dumps(write_document([checked(graph)]), allow_nan=False).encode()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_what_is_read_can_be_written(tmp_path: Path, changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document = changed(changes)
    try:
        read_document(document)
    except InputError:
        return
    with circuitdb.open(str(tmp_path / "graph.duckdb")) as database:
        names = database.import_document(document, replace=True)
        again = read_document(json.loads("".join(database.document_text(names))))
        assert [checksum(graph) for graph in again.graphs] == [checksum(database.graph(name)) for name in names]
