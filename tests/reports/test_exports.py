"""Every form of export is read back by the tool it is for, with every property; equal content gives equal bytes."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import Analogues
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.circuits import Circuits
from circuitdb.database import Database
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import Record, properties
from circuitdb.reports.exports import OF_CIRCUITS, export_models
from circuitdb.reports.exports.cypher import literal
from circuitdb.reports.exports.json_schema import json_schema
from circuitdb.transfer import checksum
from tests.conftest import REPOSITORY, Command
from tests.graphs import random_graph, toy_graph
from tests.test_exchange import analogues_between, full_document

ODD = [
    "two\nlines\r\n\ttab",
    "\"quotes\" 'single' `back` \\ \\u0027 \\\\u0027}) DETACH DELETE n // \\",
    "<b>&amp;</b> ]]> <!-- ;",
    "😀 e\u0301 ﬀ \u2028 \u202e Straße",
    "\x01\x7f\x85",
    "",
    ";\n:exit",
]
QUERY = "find { a +> b -| c }"


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models with kernels, maps, families and analogues, one with odd labels, and a toy."""
    path = tmp_path_factory.mktemp("exports") / "graph.duckdb"
    graphs = [
        random_graph(np.random.default_rng(seed), name=name, kernels=True) for seed, name in ((3, "Ä b"), (4, "m"))
    ]
    with closing(open_store(str(path))) as store:
        for graph in (*graphs, toy_graph()):
            store.write(graph)
        store.write_analogues(analogues_between(*graphs))
    with circuitdb.open(str(path)) as database:
        keys = [circuit.unit_keys()[0] for circuit in database.find(QUERY, model="m", limit=5)]
        database.add_labels((key, label, "it's me") for key in dict.fromkeys(keys) for label in ODD)
    return path


@pytest.fixture
def database(graph_file: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(graph_file, tmp_path)
    with circuitdb.open(str(tmp_path / graph_file.name)) as opened:
        yield opened


@pytest.fixture
def circuits(database: Database) -> Circuits:
    found = database.find(QUERY, model="m", limit=20)
    assert len(found) == 20 or not found.truncated
    assert len(found) > 3
    return found


def units_of(circuits: Circuits) -> dict[str, dict[str, Any]]:
    """What a file must hold of each unit: what the store says, without what is missing."""
    keys = dict.fromkeys(key for circuit in circuits for key in circuit.unit_keys())
    return {row["key"]: present(row) for row in circuits.reader.units(list(keys))}


def edges_of(circuits: Circuits) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What a file must hold of each edge."""
    edges = [edge for circuit in circuits for edge in circuit.edges]
    return {(edge["source"], edge["target"], edge["kind"]): present(edge) for edge in edges}


def present(row: Any) -> dict[str, Any]:
    return {
        name: value for name, value in row.items() if value is not None and not (name == "labels" and len(value) == 0)
    }


def with_lists(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The row with these properties parsed from JSON."""
    return {name: json.loads(value) if name in names else value for name, value in row.items()}


def labels_in(units: dict[str, dict[str, Any]]) -> set[str]:
    return {label["label"] for row in units.values() for label in row.get("labels", ())}


def test_odd_labels_are_among_what_is_exported(circuits: Circuits) -> None:
    assert labels_in(units_of(circuits)) >= set(ODD)


def test_json_follows_its_schema_and_holds_everything(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.json")
    written = json.loads((tmp_path / "hits.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json_schema()).validate(written)
    assert written["circuits"] == [circuit.to_dict() for circuit in circuits]
    assert {row["key"]: present(row) for row in written["units"]} == units_of(circuits)
    assert [row["name"] for row in written["models"]] == ["m"]


def test_the_schema_refuses_what_is_not_of_the_form(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.json")
    written = json.loads((tmp_path / "hits.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(json_schema())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    wrong = [
        written | {"circuitdb_circuits": 2},
        written | {"seconds": 1.0},
        written | {"units": [written["units"][0] | {"biass": 1}]},
        written | {"units": [written["units"][0] | {"index": "1"}]},
        written | {"circuits": [written["circuits"][0] | {"units": {"a": "no key"}}]},
        {name: value for name, value in written.items() if name != "keep"},
    ]
    assert [validator.is_valid(document) for document in wrong] == [False] * len(wrong)


def test_the_published_schema_is_that_of_the_registry() -> None:
    assert json.loads((REPOSITORY / "docs" / "circuits.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_csv_holds_a_row_for_each_edge_with_both_ends(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.csv")
    with (tmp_path / "hits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(circuit.edges) for circuit in circuits)
    units, edges = units_of(circuits), edges_of(circuits)
    for row in rows:
        circuit = circuits[int(row["circuit"])]
        assert {name: row[f"unit {name}"] for name in circuit.units} == circuit.units
        edge = edges[row["source"], row["target"], row["kind"]]
        assert [float(row[name]) for name in ("weight", "share", "rank_in")] == [
            edge[name] for name in ("weight", "share", "rank_in")
        ]
        assert json.loads(row["kernel"] or "null") == edge.get("kernel")
        for end in ("source", "target"):
            assert json.loads(row[f"{end}_labels"] or "[]") == units[row[end]].get("labels", [])
            assert row[f"{end}_mean"] == repr(units[row[end]]["mean"])
    again = pd.read_csv(tmp_path / "hits.csv")
    assert again["weight"].tolist() == [edge["weight"] for circuit in circuits for edge in circuit.edges]


def test_csv_holds_units_that_no_edge_touches(database: Database, tmp_path: Path) -> None:
    found = database.find("find { flip(a) = b }", model="toy")
    found.export(tmp_path / "hits.csv")
    table = pd.read_csv(tmp_path / "hits.csv")
    assert not found[0].edges
    assert set(table["source"]) == {key for circuit in found for key in circuit.unit_keys()}
    assert table["target"].isna().all()
    assert table["source_layer"].tolist() == [key.split("/")[1].split(":")[0] for key in table["source"]]


def test_pandas_reads_parquet_with_every_property(circuits: Circuits, tmp_path: Path) -> None:
    folder = tmp_path / "hits.parquet"
    circuits.export(folder)
    units = {row["key"]: present(row) for row in pq.read_table(folder / "units.parquet").to_pylist()}
    assert units == units_of(circuits)
    edges = pq.read_table(folder / "edges.parquet").to_pylist()
    assert {(row["source"], row["target"], row["kind"]): present(row) for row in edges} == edges_of(circuits)
    table = pd.read_parquet(folder / "circuits.parquet")
    assert table["score"].tolist() == [circuit.score for circuit in circuits]
    assert [{row["name"]: row["unit"] for row in units} for units in table["units"]] == [c.units for c in circuits]
    assert pd.read_parquet(folder / "edges.parquet")["weight"].tolist() == [row["weight"] for row in edges]


def test_a_subgraph_in_parquet_can_be_imported_and_searched(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.parquet")
    with circuitdb.open(str(tmp_path / "new.duckdb")) as new:
        assert new.import_folder(tmp_path / "hits.parquet") == ["m"]
        again = new.find(QUERY, limit=1000)
        assert [c.units for c in circuits if c.units not in [a.units for a in again]] == []
        assert {edge: present(row) for edge, row in edges_of(again).items()} == edges_of(circuits)
        assert units_of(again).items() <= units_of(circuits).items()


@pytest.mark.parametrize("form", ["graphml", "gexf"])
def test_networkx_reads_xml_with_every_property(circuits: Circuits, tmp_path: Path, form: str) -> None:
    relabelled(circuits)
    file = tmp_path / f"hits.{form}"
    circuits.export(file)
    graph = nx.read_graphml(file) if form == "graphml" else nx.read_gexf(file)
    units, edges = units_of(circuits), edges_of(circuits)
    written = {key: {"key": key, **with_lists(row, "labels")} for key, row in graph.nodes(data=True)}
    captions = {key: row.pop("label") for key, row in written.items()}
    assert written == units
    for key, caption in captions.items():
        labels = [label["label"] for label in units[key].get("labels", [])]
        assert caption == ("; ".join(labels) or key.split("/")[1])
    found = {
        (a, b, row["kind"]): {"source": a, "target": b, **with_lists(row, "kernel")}
        for a, b, row in graph.edges(data=True)
    }
    for row in found.values():
        row.pop("id", None)
    assert found == edges


def relabelled(circuits: Circuits) -> None:
    """Take away the label that XML cannot hold."""
    database = circuits.reader
    assert isinstance(database, Database)
    for key, row in units_of(circuits).items():
        for label in row.get("labels", ()):
            if "\x01" in label["label"] or not label["label"]:
                database.delete_label(key, label["label"])


@pytest.mark.parametrize("form", ["graphml", "gexf"])
def test_xml_refuses_characters_that_it_cannot_hold(circuits: Circuits, tmp_path: Path, form: str) -> None:
    with pytest.raises(InputError, match=r"XML cannot hold U\+0001.*take .json"):
        circuits.export(tmp_path / f"hits.{form}")
    assert not [path for path in tmp_path.iterdir() if "hits" in path.name]


def test_a_real_neo4j_rebuilds_the_subgraph_from_cypher(circuits: Circuits, tmp_path: Path, neo4j_address: str) -> None:
    file = tmp_path / "hits.cypher"
    circuits.export(file)
    lines = file.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert all(line.endswith(";") for line in lines)
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
        for _ in range(2):  # The second time changes nothing.
            connection.write((lines[0].removesuffix(";"), {}))
            connection.write(*((line.removesuffix(";"), {}) for line in lines[1:]))
        nodes = connection.read("MATCH (u:Unit:Neuron) RETURN properties(u) AS row", {})
        edges = connection.read(
            "MATCH (a)-[e]->(b) RETURN a.key AS source, b.key AS target, type(e) AS kind, properties(e) AS row", {}
        )
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    units = {}
    for row in (dict(node["row"]) for node in nodes):
        sources = row.pop("label_sources", [])
        labels = [{"label": a, "source": b or None} for a, b in zip(row.pop("labels", []), sources, strict=True)]
        units[row["key"]] = present(row | {"labels": labels})
    assert units == units_of(circuits)
    ends = ("source", "target", "kind")
    assert {tuple(e[n] for n in ends): {**{n: e[n] for n in ends}, **e["row"]} for e in edges} == edges_of(circuits)


def test_a_literal_never_lets_a_backslash_meet_a_u() -> None:
    text = literal("\\u0027 \\\\u0027 \\U \x01 '")
    assert text == r"'\\' + 'u0027 \\\\' + 'u0027 \\U \u0001 \''"
    assert [literal(value) for value in (True, 3, -0.5, 1e22, ["a", 1])] == ["true", "3", "-0.5", "1e22", "['a', 1]"]


def test_dot_holds_every_property(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.dot")
    text = (tmp_path / "hits.dot").read_text(encoding="utf-8")
    quoted = r'"((?:[^"\\]|\\.)*)"'
    names = units_of(circuits)
    nodes = dict(re.findall(rf"^  {quoted} \[(.*)\];$", text, re.MULTILINE))
    assert set(nodes) == set(names)
    for key, attributes in nodes.items():
        values = dict(re.findall(rf"circuitdb_(\w+)={quoted}", attributes))
        assert float(values["mean"]) == names[key]["mean"]
        labels = values.get("labels", "[]").replace('\\"', '"').replace("\\\\", "\\")
        assert json.loads(labels) == names[key].get("labels", [])
    edges = re.findall(rf"^  {quoted} -> {quoted} \[(.*)\];$", text, re.MULTILINE)
    weights = {(a, b): float(dict(re.findall(rf"circuitdb_(\w+)={quoted}", rest))["weight"]) for a, b, rest in edges}
    assert weights == {(a, b): row["weight"] for (a, b, _), row in edges_of(circuits).items()}


def test_numpy_reads_kernels_and_properties_without_pickles(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.npz")
    units, edges = units_of(circuits), edges_of(circuits)
    with np.load(tmp_path / "hits.npz", allow_pickle=False) as arrays:
        keys = arrays["unit_key"]
        for i, kernel in enumerate(arrays["kernels"]):
            ends = (
                str(keys[arrays["edge_source"][i]]),
                str(keys[arrays["edge_target"][i]]),
                str(arrays["edge_kind"][i]),
            )
            edge = edges.pop(ends)
            h, w = edge.get("kernel_h", 0), edge.get("kernel_w", 0)
            assert kernel[:h, :w].ravel().tolist() == edge.get("kernel", [])
            assert np.count_nonzero(kernel) == np.count_nonzero(edge.get("kernel", []))
            assert arrays["edge_weight"][i] == edge["weight"]
        assert {str(k): json.loads(str(v)) for k, v in zip(keys, arrays["unit_labels"], strict=True)} == {
            key: row.get("labels", []) for key, row in units.items()
        }
    assert not edges


def test_neuronpedia_has_the_fields_of_circuit_tracer(circuits: Circuits, tmp_path: Path) -> None:
    circuits.export(tmp_path / "hits.neuronpedia.json")
    graph = json.loads((tmp_path / "hits.neuronpedia.json").read_text(encoding="utf-8"))
    assert set(graph) == {"metadata", "qParams", "nodes", "links"}
    assert {name: type(graph["metadata"][name]) for name in ("slug", "scan", "prompt", "prompt_tokens")} == {
        "slug": str,
        "scan": str,
        "prompt": str,
        "prompt_tokens": list,
    }
    assert graph["metadata"]["scan"] == "m"
    ids = {node["node_id"]: node["circuitdb"]["key"] for node in graph["nodes"]}
    assert len(ids) == len(graph["nodes"]) == len({(n["layer"], n["feature"]) for n in graph["nodes"]})
    assert set(ids.values()) == set(units_of(circuits))
    assert {node["ctx_idx"] for node in graph["nodes"]} == {0}
    assert {(ids[link["source"]], ids[link["target"]]): link["weight"] for link in graph["links"]} == {
        (a, b): edge["weight"] for (a, b, _), edge in edges_of(circuits).items()
    }
    assert set(graph["qParams"]["pinnedIds"]) == set(ids)


def test_neuronpedia_refuses_several_models(database: Database, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds one model"):
        database.find(QUERY, limit=10_000).export(tmp_path / "hits.neuronpedia.json")


def contents(place: Path) -> dict[str, bytes]:
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


@pytest.mark.parametrize("form", OF_CIRCUITS)
def test_two_exports_of_one_search_are_the_same_bytes(database: Database, tmp_path: Path, form: str) -> None:
    for name in ("one", "two", "two"):
        found = database.find("find { a +> b }", model="Ä b", limit=20)
        assert found
        found.export(tmp_path / f"{name}{form}")
    assert contents(tmp_path / f"one{form}") == contents(tmp_path / f"two{form}") != {}
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".duckdb") == [f"one{form}", f"two{form}"]


@pytest.mark.parametrize("form", OF_CIRCUITS)
def test_a_search_without_hits_gives_a_file_all_the_same(database: Database, tmp_path: Path, form: str) -> None:
    database.find("find { a +> b where share > 2 }").export(tmp_path / f"none{form}")
    assert contents(tmp_path / f"none{form}")


def test_the_command_exports_a_search(command: Command, database: Database, tmp_path: Path) -> None:
    out = tmp_path / "hits.graphml"
    db = database.address
    query = "find { a +> b }"
    exported = command("export", query, "--model", "Ä b", "--limit", "1", "-o", str(out), db=db)
    assert (exported.code, exported.out) == (0, "")
    assert exported.err == f"1 of {database.count(query, model='Ä b')} circuits written to {out}\n"
    assert len(nx.read_graphml(out)) == 2
    wrong = command("export", QUERY, "-o", str(tmp_path / "hits.xlsx"), db=db)
    assert wrong.code == 2
    assert all(form in wrong.err for form in OF_CIRCUITS)
    wrong = command("export", "--graph", "m", "-o", str(tmp_path / "graph.gexf"), db=db)
    assert wrong.code == 2
    assert ".json, .parquet, .graphml" in wrong.err


# whole models


def checksums(database: Database) -> dict[str, str]:
    return {row["name"]: checksum(database.graph(row["name"])) for row in database.models()}


def test_whole_models_go_out_as_parquet_and_in_again_unchanged(
    command: Command, database: Database, tmp_path: Path
) -> None:
    folder, new = tmp_path / "zoo.parquet", tmp_path / "new.duckdb"
    assert command("export", "all", "-o", str(folder), db=database.address).code == 0
    assert command("import", str(folder), db=new).code == 0
    with circuitdb.open(str(new)) as other:
        assert checksums(other) == checksums(database)
        names = [row["name"] for row in database.models()]
        assert other.document(names) == database.document(names)


def test_every_part_of_a_document_goes_through_parquet(tmp_path: Path) -> None:
    with circuitdb.open(str(tmp_path / "one.duckdb")) as one, circuitdb.open(str(tmp_path / "two.duckdb")) as two:
        one.import_document(full_document())
        export_models(one, ["toy", "other"], tmp_path / "both.parquet")
        two.import_folder(tmp_path / "both.parquet")
        assert two.document(["toy", "other"]) == one.document(["toy", "other"])


def test_duckdb_and_pandas_read_the_partitions(database: Database, tmp_path: Path) -> None:
    names = [row["name"] for row in database.models()]
    export_models(database, names, tmp_path / "zoo.parquet")
    pattern = str(tmp_path / "zoo.parquet" / "edges" / "*" / "*.parquet")
    rows = duckdb.execute(
        "SELECT model, count(*), sum(weight) FROM read_parquet(?, hive_partitioning = true) GROUP BY 1 ORDER BY 1",
        [pattern],
    ).fetchall()
    edges = {name: database.graph(name).edges for name in names}
    assert [(name, count) for name, count, _ in rows] == sorted((n, table.num_rows) for n, table in edges.items())
    assert {name: total for name, _, total in rows} == pytest.approx(
        {name: sum(table["weight"].to_pylist()) for name, table in edges.items()}
    )
    table = pd.read_parquet(tmp_path / "zoo.parquet" / "units")
    assert set(table["model"]) == set(names)
    assert sorted(table["key"]) == sorted(
        key for name in names for key in database.graph(name).units["key"].to_pylist()
    )


@pytest.mark.parametrize("form", [".json", ".parquet", ".graphml"])
def test_two_exports_of_whole_models_are_the_same_bytes(database: Database, tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        export_models(database, ["toy"], tmp_path / f"{name}{form}")
    assert contents(tmp_path / f"one{form}") == contents(tmp_path / f"two{form}") != {}


def test_networkx_reads_whole_models_from_graphml(tmp_path: Path) -> None:
    with circuitdb.open(str(tmp_path / "graph.duckdb")) as database:
        database.import_document(full_document())
        export_models(database, ["toy", "other"], tmp_path / "both.graphml")
        document = database.document(["toy", "other"])
    graph = nx.read_graphml(tmp_path / "both.graphml")
    assert set(graph) == {row["key"] for row in document["units"]}
    kinds = sorted(row["kind"] for _, _, row in graph.edges(data=True))
    assert kinds == ["ANALOGOUS_TO", "EXCITES", "INHIBITS", "MAPS_TO", "SKIP"]
    [analogue] = [row for _, _, row in graph.edges(data=True) if row["kind"] == "ANALOGOUS_TO"]
    assert {name: analogue[name] for name in ("score", "method", "rank")} == {"score": 0.5, "method": "corr", "rank": 1}
    assert json.loads(graph.nodes["toy/L0:0"]["labels"])[0] == {"label": "Straße", "source": None}
    assert json.loads(graph.graph["circuitdb_families"])[0]["members"][0]["unit"] in graph
    assert json.loads(graph.graph["circuitdb_models"])[0]["options"] == {"seed": [1, None]}


def test_a_folder_that_is_no_export_is_left_alone(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mine.parquet"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="name a new one"):
        export_models(database, ["toy"], folder)
    assert contents(folder) == {"thesis.txt": b"years of work"}


def test_an_export_that_fails_midway_leaves_what_was_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in (".parquet", ".graphml"):
        export_models(database, ["toy"], tmp_path / f"zoo{form}")
    before = {form: contents(tmp_path / f"zoo{form}") for form in (".parquet", ".graphml")}
    listed = sorted(path.name for path in tmp_path.iterdir())

    def full_disk(_: list[str]) -> Iterator[Analogues]:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(database, "analogues", full_disk)
    for form in (".parquet", ".graphml"):
        with pytest.raises(CircuitdbError, match=rf"cannot write .*zoo{form}: No space left"):
            export_models(database, ["Ä b"], tmp_path / f"zoo{form}")
        assert contents(tmp_path / f"zoo{form}") == before[form]
    assert sorted(path.name for path in tmp_path.iterdir()) == listed


# tables that other tools made


def tables(folder: Path, **parts: Any) -> Path:
    """A folder of tables, as pandas writes them."""
    folder.mkdir(exist_ok=True)
    given = {
        "models": {"name": ["toy"]},
        "layers": {"model": ["toy"] * 2, "name": ["L0", "L1"], "depth": [0, 1]},
        "units": {"key": ["toy/L0:3", "toy/L0:4", "toy/L1:5"]},
        "edges": {"source": ["toy/L0:3", "toy/L0:4"], "target": ["toy/L1:5"] * 2, "weight": [0.25, -0.75]},
    }
    for name, columns in (given | parts).items():
        pd.DataFrame(columns).to_parquet(folder / f"{name}.parquet")
    return folder


def test_tables_without_shares_are_completed_as_a_document_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=4).astype(np.float32).tolist(), None]
    edges = {
        "source": ["toy/L0:3", "toy/L0:4"],
        "target": ["toy/L1:5"] * 2,
        "weight": [float(sum(kernels[0] or [])), -0.75],
        "kernel": kernels,
        "kernel_h": pd.array([2, None], dtype="Int32"),
        "kernel_w": pd.array([2, None], dtype="Int32"),
    }
    folder = tables(tmp_path / "tables", edges=edges)
    rows = pq.read_table(folder / "edges.parquet").to_pylist()
    document = {
        "circuitdb": 1,
        "models": [{"name": "toy"}],
        "layers": [{"model": "toy", "name": name, "depth": depth} for depth, name in enumerate(("L0", "L1"))],
        "units": [{"key": key} for key in ("toy/L0:3", "toy/L0:4", "toy/L1:5")],
        "edges": [present(row) for row in rows],
    }
    with circuitdb.open(str(tmp_path / "a.duckdb")) as a, circuitdb.open(str(tmp_path / "b.duckdb")) as b:
        a.import_folder(folder)
        b.import_document(document)
        for one, other in zip(a.document(["toy"])["edges"], b.document(["toy"])["edges"], strict=True):
            assert one.keys() == other.keys()
            for name, value in one.items():
                exact = name in ("source", "target", "kernel")
                assert value == (other[name] if exact else pytest.approx(other[name], rel=1e-12))


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        (
            {"edges": {"source": ["toy/L0:9"], "target": ["toy/L1:5"], "weight": [1.0]}},
            "edges: row 0: source: there is",
        ),
        ({"edges": {"source": ["toy/L1:5"], "target": ["toy/L0:3"], "weight": [1.0]}}, "edges: row 0 (toy/L1:5 -> toy"),
        ({"edges": {"source": ["toy/L0:3"], "target": ["toy/L1:5"], "weight": [np.inf]}}, "edges: row 0: weight"),
        ({"edges": {"source": ["toy/L0:3"], "target": ["toy/L1:5"], "weight": ["a"]}}, "edges: weight holds"),
        ({"edges": {"source": ["toy/L0:3"], "target": ["toy/L1:5"]}}, "edges: the column 'weight' is missing"),
        ({"edges": {"source": [3], "target": ["toy/L1:5"], "weight": [1.0]}}, "edges: source holds int64"),
        (
            {"edges": {"source": ["toy/L0:3"], "target": ["toy/L1:5"], "weight": [1.0], "shar": [1.0]}},
            "edges: there is no property 'shar'",
        ),
        ({"units": {"key": ["toy/L0:3", "toy/L0:3"]}}, "units[1]: toy/L0:3 stands there twice"),
        ({"units": {"key": ["toy/L0:3"], "biass": [1.0]}}, "units[0]: there is no property 'biass'; did you mean bias"),
        ({"edgs": {"a": [1]}}, "there is no table 'edgs'; did you mean edges?"),
    ],
)
def test_wrong_tables_are_refused_with_row_and_column(
    command: Command, tmp_path: Path, parts: dict[str, Any], answer: str
) -> None:
    folder = tables(tmp_path / "tables", **parts)
    outcome = command("import", str(folder), db=tmp_path / "new.duckdb")
    assert (outcome.code, outcome.out) == (2, "")
    assert answer in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "new.duckdb").exists()


def test_a_file_that_is_no_parquet_is_named(command: Command, tmp_path: Path) -> None:
    folder = tables(tmp_path / "tables")
    (folder / "edges.parquet").write_bytes(b"PAR1 but no more")
    outcome = command("import", str(folder), db=tmp_path / "new.duckdb")
    assert outcome.code == 2
    assert outcome.err.startswith(f"cannot read {folder / 'edges.parquet'} as Parquet")


def test_every_property_of_units_and_edges_has_a_column(database: Database, tmp_path: Path) -> None:
    export_models(database, ["toy"], tmp_path / "zoo.parquet")
    [file] = (tmp_path / "zoo.parquet" / "edges").rglob("*.parquet")
    schema = pq.read_schema(file)
    assert schema.names == ["source", "target", *(prop.name for prop in properties(Record.EDGE))]
    assert schema.field("source").type == pa.string()
