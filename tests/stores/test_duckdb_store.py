"""The embedded store gives back what it was given, refuses what is wrong, and keeps models apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuitdb.backends import open_store
from circuitdb.backends.base import Dense, KernelBlock, ModelGraph
from circuitdb.backends.duckdb.schema import MODEL_COLUMNS, TABLES
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.validation import checked
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind, Record, properties
from tests.graphs import (
    assert_same_graph,
    graph_of,
    label_table,
    map_table,
    plain_rows,
    random_graph,
    random_responses,
    toy_graph,
    with_responses,
)
from tests.stores.killed_writer import large_graph

HOSTILE = [
    "'; DROP TABLE unit; --",
    '"quoted" `ticks` $dollar ${x} %s {0}',
    "line\nbreak\r\n\ttab",
    "nul\0inside",
    "Straße ﬁ İ ǆ Σίσυφος 🐕‍🦺 \u202e\ufeff",
    "e\u0301 is not \u00e9",
    "\\ \\\\ \\'",
    " ",
    "",
    "x" * 100_000,
]


@pytest.fixture
def store(tmp_path: Path) -> DuckDBStore:
    return DuckDBStore(str(tmp_path / "zoo.duckdb"))


def count_rows(store: DuckDBStore) -> dict[str, int]:
    with store.reading() as connection:
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in TABLES}


@pytest.mark.parametrize("seed", range(12))
def test_a_model_is_read_as_it_was_written(store: DuckDBStore, seed: int) -> None:
    first, second = (
        random_graph(np.random.default_rng([seed, i]), name=f"m{i}", units=12, dense=bool(i)) for i in range(2)
    )
    for graph in (first, second):
        store.write(graph)
    assert_same_graph(first, store.read("m0"))
    assert_same_graph(second, store.read("m1"))


def test_what_was_read_can_be_written_elsewhere_and_is_the_same_again(store: DuckDBStore, tmp_path: Path) -> None:
    store.write(random_graph(np.random.default_rng(3), kernels=True, dense=True))
    other = DuckDBStore(str(tmp_path / "copy.duckdb"))
    once = store.read("toy")
    other.write(once)
    twice = other.read("toy")
    for table in ("layers", "units", "edges", "segments", "labels", "maps", "families", "members"):
        assert getattr(once, table).equals(getattr(twice, table)), table
    assert_same_graph(once, twice)


def test_a_model_of_one_unit_and_nothing_else_is_read_as_it_was_written(store: DuckDBStore) -> None:
    graph = graph_of({"only": 1}, [])
    store.write(graph)
    assert_same_graph(graph, store.read("toy"))
    assert store.edges("toy/only:0", "in") == []
    assert store.models()[0]["edges"] == 0


def test_a_model_of_no_units_is_read_as_it_was_written(store: DuckDBStore) -> None:
    graph = graph_of({"empty": 0}, [])
    store.write(graph)
    assert_same_graph(graph, store.read("toy"))


def test_columns_of_other_widths_are_taken_and_nan_is_missing(store: DuckDBStore) -> None:
    toy = toy_graph()
    edges = toy.edges
    narrow = {
        name: edges[name].cast(pa.float32()) if pa.types.is_floating(edges[name].type) else edges[name]
        for name in edges.column_names
    }
    narrow["source"] = edges["source"].cast(pa.int64())
    narrow["kind"] = edges["kind"].dictionary_encode()
    narrow["dx"] = pa.array([math.nan, 1.5] + [None] * (edges.num_rows - 2), pa.float64())
    narrow["kernel"] = pa.array([[1.0, 2.0]] * edges.num_rows, pa.list_(pa.float64(), 2))
    narrow["kernel_h"], narrow["kernel_w"] = (
        pa.repeat(1, edges.num_rows),
        pa.repeat(pa.scalar(2, pa.int8()), edges.num_rows),
    )
    store.write(replace(toy, edges=pa.table(narrow)))
    assert_same_graph(replace(toy, edges=pa.table(narrow)), store.read("toy"))
    read = store.read("toy").edges
    assert [read.schema.field(name).type for name in ("weight", "kernel_h")] == [pa.float64(), pa.int32()]
    assert read["dx"].null_count == edges.num_rows - 1


def test_the_tables_are_made_from_the_registry(store: DuckDBStore) -> None:
    store.write(toy_graph())
    with store.reading() as connection:
        columns = connection.execute("SELECT table_name, column_name, data_type FROM duckdb_columns()").fetchall()
    types = {(table, column): kind for table, column, kind in columns}
    kinds = {"text": "VARCHAR", "json": "VARCHAR", "integer": "INTEGER", "real": "DOUBLE"}
    kinds |= {"boolean": "BOOLEAN", "reals": "FLOAT[]"}
    elsewhere = {("unit", "label"), ("family", "model"), ("edge", "kind")}
    elsewhere |= {(table, "unit") for table in ("label", "member", "example")}
    for record in Record:
        for prop in properties(record):
            if (record.value, prop.name) not in elsewhere:
                assert types[record.value, prop.name] == kinds[prop.type], (record, prop.name)
    assert types["edge", "kind"] == "ENUM('EXCITES', 'INHIBITS', 'SKIP')"
    for place in ("unit.key", "unit.layer", "unit.branch", "label.label", "map.map", "analogue.method"):
        table, column = place.split(".")
        assert types[table, f"{column}_folded"] == "VARCHAR"


def test_ids_are_dense_over_the_file_and_in_order_of_key_within_a_model(store: DuckDBStore) -> None:
    for i in range(3):
        store.write(random_graph(np.random.default_rng(i), name=f"m{i}", units=12))
    with store.reading() as connection:
        rows = connection.execute('SELECT id, model, depth, layer, "index" FROM unit ORDER BY id').fetchall()
    assert [row[0] for row in rows] == list(range(len(rows)))
    keys = [row[1:] for row in rows]
    assert keys == sorted(keys)


def test_edges_lie_by_octaves_of_their_share_and_are_read_by_their_units(store: DuckDBStore) -> None:
    for i in range(3):
        store.write(random_graph(np.random.default_rng(i), name=f"m{i}", units=12))
    with store.reading() as connection:
        stored = connection.execute(
            "SELECT model_id, share, target, source, kind = 'SKIP' FROM edge ORDER BY rowid"
        ).fetchall()
    octaves = [math.floor(math.log2(share)) if share else -1100 for _, share, *_ in stored]
    places = [(row[0], -octave, *row[2:]) for octave, row in zip(octaves, stored, strict=True)]
    assert places == sorted(places)
    assert len(set(octaves)) > 3
    for i in range(3):
        edges = store.read(f"m{i}").edges.select(["target", "source", "kind"]).to_pylist()
        ends = [(row["target"], row["source"], row["kind"] == "SKIP") for row in edges]
        assert ends == sorted(ends)


def test_layers_sort_by_code_point_and_indices_as_numbers(store: DuckDBStore) -> None:
    names = ["Z", "a", "é", "\uffff", "😀"]
    layer = [name for name in names for _ in range(11)]
    graph = ModelGraph(
        {"name": "m"},
        pa.table({"name": names[::-1], "depth": pa.array([1] * 5, pa.int32())}),
        pa.table({"layer": layer, "index": pa.array([*range(11)] * 5, pa.int32())}),
        graph_of({"L": 0}, []).edges,
    )
    store.write(graph)
    assert [row["name"] for row in store.models()[0]["layers"]] == names
    assert store.read("m").units["key"].to_pylist() == [f"m/{name}:{i}" for name in names for i in range(11)]


def test_texts_are_folded_as_python_folds_them(store: DuckDBStore) -> None:
    toy = toy_graph()
    labels = [text for text in HOSTILE if text]
    store.write(replace(toy, labels=label_table([(0, text, "me") for text in labels])))
    with store.reading() as connection:
        rows = connection.execute("SELECT label, label_folded FROM label ORDER BY rowid").fetchall()
        units = connection.execute("SELECT key, key_folded, layer, layer_folded FROM unit").fetchall()
    assert rows == [(text, text.casefold()) for text in labels]
    assert [(key.casefold(), layer.casefold()) for key, _, layer, _ in units] == [
        (k, layer) for _, k, _, layer in units
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_as_it_is(store: DuckDBStore, text: str) -> None:
    name = text.replace("/", "_").replace(":", "_").replace("\0", "_") or "empty"
    graph = graph_of(
        {name: 2, name + "2": 1},
        [(f"{name}:0", f"{name}2:0", 1.0)],
        name=name,
        labels=[(f"{name}:0", text, text)],
        maps=[(text, f"{name}:0", f"{name}:1")],
    )
    store.write(graph)
    assert_same_graph(graph, store.read(name))
    unit = store.unit(f"{name}/{name}:0")
    assert unit is not None
    assert unit["labels"] == [{"label": text, "source": text}]
    assert unit["maps"][0]["map"] == text
    assert [edge["source"] for edge in store.edges(f"{name}/{name}2:0", "in")] == [f"{name}/{name}:0"]
    store.delete_label(f"{name}/{name}:0", text)
    assert store.labels(name) == []
    store.delete(name)
    assert store.models() == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(st.text(), max_size=5), name=st.text(st.characters(exclude_characters="/:\0"), min_size=1))
def test_any_unicode_is_stored_as_it_is(store: DuckDBStore, labels: list[str], name: str) -> None:
    try:
        (name + "".join(labels)).encode()
    except UnicodeEncodeError:
        return
    graph = replace(toy_graph(name), labels=label_table([(1, label, None) for label in labels]))
    store.write(graph, replace=True)
    assert_same_graph(graph, store.read(name))
    store.delete(name)


def test_the_same_name_twice_is_refused_unless_it_replaces(store: DuckDBStore) -> None:
    store.write(toy_graph())
    store.write(toy_graph("other"))
    with pytest.raises(InputError, match=f"^model 'toy' is already in {store.address}; --replace writes it anew$"):
        store.write(random_graph(np.random.default_rng(1)))
    assert_same_graph(toy_graph(), store.read("toy"))
    new = random_graph(np.random.default_rng(1), dense=True)
    store.write(new, replace=True)
    assert_same_graph(new, store.read("toy"))
    assert_same_graph(toy_graph("other"), store.read("other"))
    store.write(toy_graph("third"), replace=True)
    assert [model["name"] for model in store.models()] == ["other", "third", "toy"]


def test_deleting_a_model_removes_all_that_is_its_own_and_nothing_else(store: DuckDBStore) -> None:
    kept = random_graph(np.random.default_rng(2), name="kept", dense=True)
    store.write(kept)
    before = count_rows(store)
    rng = np.random.default_rng(8)
    gone = random_graph(rng, name="gone", kernels=True, layers=4, units=12, dense=True)
    store.write(with_responses(gone, random_responses(rng, gone)))
    _plant_analogues(store)
    after = count_rows(store)
    assert all(after[name] > before[name] for name in MODEL_COLUMNS)
    store.delete("gone")
    assert count_rows(store) == before
    assert_same_graph(kept, store.read("kept"))
    with pytest.raises(InputError, match=f"^no model 'gone' in {store.address}; there are kept$"):
        store.delete("gone")


def _plant_analogues(store: DuckDBStore) -> None:
    """Analogues between the first units of all models, either way."""
    from circuitdb.backends.duckdb import files

    with files.writing(store.path, 1.0) as connection:
        files.fetch(
            connection,
            "INSERT INTO analogue (source_model_id, target_model_id, source, target, rank, score) "
            "SELECT a.model_id, b.model_id, a.id, b.id, 1, 0.9 FROM unit AS a, unit AS b "
            "WHERE a.model <> b.model AND a.depth = 0 AND b.depth = 0",
        )


def test_a_units_analogues_name_their_units(store: DuckDBStore) -> None:
    store.write(toy_graph("a"))
    store.write(toy_graph("b"))
    _plant_analogues(store)
    unit = store.unit("a/L0:1")
    assert unit is not None
    assert [row["target"] for row in unit["analogues"]] == [f"b/L0:{i}" for i in range(4)]
    assert unit["analogues"][0]["score"] == 0.9


def test_the_space_of_deleted_and_replaced_models_is_used_again(store: DuckDBStore) -> None:
    graph = large_graph(0)
    store.write(graph)
    size = store.path.stat().st_size
    for _ in range(3):
        store.delete("large")
        store.write(graph)
    assert store.path.stat().st_size <= 1.5 * size
    for _ in range(5):
        store.write(graph, replace=True)
    assert store.path.stat().st_size <= 3 * size


def test_models_lists_properties_layers_and_edges(store: DuckDBStore) -> None:
    graph = toy_graph()
    store.write(replace(graph, model={**graph.model, "preprocessing": {"mean": [1, 2.5], "text": "ü"}, "absent": []}))
    [model] = store.models()
    assert model["preprocessing"] == {"mean": [1, 2.5], "text": "ü"}
    assert model["absent"] == []
    assert model["licence"] is None
    assert model["edges"] == 10
    layers = [(row["name"], row["depth"], row["width"]) for row in model["layers"]]
    assert layers == [("L0", 0, 4), ("L1", 1, 3), ("L2", 2, 2)]


def test_a_width_that_is_given_is_kept_and_one_that_is_not_holds_every_unit(store: DuckDBStore) -> None:
    graph = graph_of({"a": 3, "b": 2}, [])
    layers = graph.layers.append_column("width", pa.array([512, None], pa.int32()))
    store.write(replace(graph, layers=layers))
    assert [row["width"] for row in store.models()[0]["layers"]] == [512, 2]


def test_a_unit_comes_with_its_labels_maps_and_families(store: DuckDBStore) -> None:
    members = pa.table({"family": pa.array([7, 7]), "unit": pa.array([1, 0]), "pose": ["", "flip"]})
    families = pa.table({"id": [7], "layer": ["L0"], "group": ["flip"], "order": [2], "score": [0.8]})
    store.write(replace(toy_graph(), families=families, members=members))
    unit = store.unit("toy/L0:0")
    assert unit is not None
    assert unit["labels"] == [{"label": "dog left", "source": "essay"}]
    assert unit["maps"] == [{"map": "flip", "target": "toy/L0:1", "score": 0.9, "self_score": 0.1, "mutual": True}]
    poses = [{"unit": "toy/L0:1", "pose": ""}, {"unit": "toy/L0:0", "pose": "flip"}]
    family = {"layer": "L0", "group": "flip", "order": 2, "score": 0.8}
    assert unit["families"] == [{**family, "pose": "flip", "members": poses}]
    assert unit["analogues"] == []
    names = [prop.name for prop in properties(Record.UNIT) if prop.name != "label"]
    assert list(unit) == [*names, "labels", "maps", "families", "analogues"]
    assert (unit["key"], unit["depth"], unit["index"], unit["kind"], unit["bias"]) == ("toy/L0:0", 0, 0, "neuron", None)


@pytest.mark.parametrize("key", ["toy/L0:4", "toy/L9:0", "other/L0:0", "L0:0", "", "toy/L0:00", "' OR 1=1 --"])
def test_a_unit_that_is_not_there_is_none(store: DuckDBStore, key: str) -> None:
    store.write(toy_graph())
    assert store.unit(key) is None
    assert store.units([key]) == []
    with pytest.raises(InputError, match=r"^no unit "):
        store.edges(key, "in")


def test_many_units_come_in_the_order_asked(store: DuckDBStore) -> None:
    store.write(toy_graph())
    keys = ["toy/L2:0", "toy/L0:3", "none/L0:0", "toy/L0:0"]
    units = store.units(keys)
    assert [unit["key"] for unit in units] == ["toy/L2:0", "toy/L0:3", "toy/L0:0"]
    assert [[row["label"] for row in unit["labels"]] for unit in units] == [["dog", "Straße"], [], ["dog left"]]
    assert store.units([]) == []


def test_edges_come_strongest_first_and_ties_by_key(store: DuckDBStore) -> None:
    graph = random_graph(np.random.default_rng(4), layers=3, units=12, density=0.9, kernels=True)
    store.write(graph)
    units = store.read("toy").units["key"].to_pylist()
    rows = sorted(plain_rows("edges", graph.edges), key=lambda row: row["kind"] == "SKIP")
    for direction, here, there in (("in", "target", "source"), ("out", "source", "target")):
        for number, key in enumerate(units):
            expected = sorted(
                (row for row in rows if row[here] == number), key=lambda row: (-row["strength"], row[there])
            )
            found = store.edges(key, direction)
            plain = [{**row, "source": units[row["source"]], "target": units[row["target"]]} for row in expected]
            assert [{name: edge[name] for name in plain[0]} for edge in found] == plain if plain else found == []
            assert store.edges(key, direction, 2) == found[:2]
    assert any(isinstance(edge["kernel"], list) for edge in store.edges(units[-1], "in"))
    assert store.edges(units[-1], "in", 0) == []
    with pytest.raises(InputError, match=r"^-1 edges cannot be shown"):
        store.edges(units[-1], "in", -1)


def test_dense_matrices_are_read_by_pair_of_layers(store: DuckDBStore) -> None:
    graph = random_graph(np.random.default_rng(9), layers=3, dense=True)
    store.write(graph)
    for layers, written in graph.dense.items():
        read = store.dense("toy", *layers)
        assert read is not None
        np.testing.assert_array_equal(read.weight, written.weight)
        assert len(read.blocks) == len(written.blocks)
    assert store.dense("toy", "L0", "L2") is None
    with pytest.raises(InputError, match=r"^no model 'none'"):
        store.dense("none", "L0", "L1")


def test_labels_are_added_once_and_taken_away(store: DuckDBStore) -> None:
    store.write(toy_graph())
    store.add_labels([("toy/L1:2", "Ünïcode", None), ("toy/L1:2", "Ünïcode", None), ("toy/L1:2", "x", "me")])
    store.add_labels([("toy/L1:2", "x", "me"), ("toy/L1:2", "x", "you")])
    mine = [row for row in store.labels("toy") if row["unit"] == "toy/L1:2"]
    assert [(row["label"], row["source"]) for row in mine] == [("Ünïcode", None), ("x", "me"), ("x", "you")]
    with store.reading() as connection:
        assert connection.execute("SELECT label_folded FROM label WHERE label = 'Ünïcode'").fetchall() == [("ünïcode",)]
    store.delete_label("toy/L1:2", "x")
    assert [row["label"] for row in store.labels("toy") if row["unit"] == "toy/L1:2"] == ["Ünïcode"]
    with pytest.raises(InputError, match=r"^toy/L1:2 has no label 'x'$"):
        store.delete_label("toy/L1:2", "x")


def test_labels_are_added_all_or_none(store: DuckDBStore) -> None:
    store.write(toy_graph())
    before = store.labels("toy")
    for wrong in (("toy/L9:9", "b", None), ("toy/L0:0", "\ud800", None)):
        with pytest.raises(InputError):
            store.add_labels([("toy/L0:0", "a", None), wrong])
    assert store.labels("toy") == before


def test_progress_is_told_from_nothing_to_all(store: DuckDBStore) -> None:
    told: list[tuple[str, int, int]] = []
    store.write(toy_graph(), progress=lambda *step: told.append(step))
    assert told[0][1] == 0
    assert told[-1][1] == told[-1][2] == len(told) - 1
    assert {stage for stage, _, _ in told} == {"writing"}


def test_the_address_alone_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path / "zoo.duckdb")), DuckDBStore)
    assert isinstance(open_store("zoo"), DuckDBStore)
    for address in ("http://localhost", "s3://bucket/zoo.duckdb", "postgres://x"):
        with pytest.raises(InputError, match="is no address of a store"):
            open_store(address)


def _edge(**columns: Any) -> Callable[[ModelGraph], ModelGraph]:
    def change(graph: ModelGraph) -> ModelGraph:
        table = graph.edges
        for name, (row, value) in columns.items():
            values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
            values[row] = value
            kind = table.schema.field(name).type if name in table.column_names else None
            column = pa.array(values, kind)
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        return replace(graph, edges=table)

    return change


def _units(layer: list[str], index: list[int], **more: Any) -> Callable[[ModelGraph], ModelGraph]:
    units = pa.table({"layer": layer, "index": pa.array(index, pa.int32()), **more})
    return lambda graph: replace(graph, units=units, edges=graph.edges[:0], labels=None, maps=None)


def _with(**parts: Any) -> Callable[[ModelGraph], ModelGraph]:
    return lambda graph: replace(graph, **parts)


def _dense(weight: Any, blocks: tuple[KernelBlock, ...] = (), layers: tuple[str, str] = ("L0", "L1")) -> Any:
    return _with(dense={layers: Dense(np.asarray(weight, np.float32), np.zeros((3, 4), np.float32), blocks)})


def _block(targets: list[int], sources: list[int], shape: tuple[int, ...]) -> KernelBlock:
    return KernelBlock(np.array(targets, np.int32), np.array(sources, np.int32), np.zeros(shape, np.float16), 0.0, 0.0)


TOY_EDGE = r"edges: row 0 \(toy/L0:0 -> toy/L1:0\): "

WRONG: list[tuple[Callable[[ModelGraph], ModelGraph], str]] = [
    (_with(model={}), "a model needs a name"),
    (_with(model={"name": "a/b"}), "model name 'a/b' must not"),
    (_with(model={"name": "a", "colour": "red"}), "model 'a': there is no property 'colour' of a model"),
    (_with(model={"name": "a", "licence": 3}), "model 'a': licence must be text"),
    (_with(model={"name": "a", "options": {"x": math.nan}}), "model 'a': options cannot be written as JSON"),
    (_with(model={"name": "a", "options": object()}), "model 'a': options cannot be written as JSON"),
    (_with(model={"name": "a\ud800"}), "model .*: name is not valid Unicode"),
    (_with(layers=pa.table({"name": ["L0", "L0"], "depth": [0, 1]})), "layers: 'L0' stands there twice"),
    (_with(layers=pa.table({"name": ["L:0"], "depth": [0]})), "layer name 'L:0' must not"),
    (_with(layers=pa.table({"name": ["L0"]})), "layers: the column 'depth' is missing"),
    (_with(layers=pa.table({"name": ["L0"], "depth": [-1]})), "layers: the depth of 'L0' is negative"),
    (_with(layers=pa.table({"name": ["L0"], "depth": ["0"]})), "layers: depth holds string instead of integer"),
    (_with(layers=pa.table({"name": ["L0"], "depth": [2**40]})), "layers: depth: "),
    (_with(layers=pa.table({"name": [None], "depth": [1]})), "layers: row 0: name is missing"),
    (
        _with(layers=pa.table({"name": ["L0", "L1", "L2"], "depth": [0, 1, 2], "width": [4, 2, 2]})),
        "layers: 'L1' has width 2 but a unit of index 2",
    ),
    (_units(["L0", "L7"], [0, 0]), "units: row 1: there is no layer 'L7'"),
    (_units(["L0", "L0"], [0, -1]), "units: row 1: the index is negative"),
    (_units(["L0", "L0"], [1, 0]), "units: row 1: toy/L0:0 after toy/L0:1; units stand once each, in order"),
    (_units(["L0", "L0"], [1, 1]), "units: row 1: toy/L0:1 after toy/L0:1"),
    (_units(["L1", "L0"], [0, 0]), "units: row 1: toy/L0:0 after toy/L1:0"),
    (_units(["L0"], [0], colour=["red"]), "units: there is no property 'colour'"),
    (_units(["L0"], [0], label=["red"]), "units: labels come in a table of their own"),
    (_units(["L0"], [0], bias=["red"]), "units: bias holds string instead of real"),
    (_units(["L0"], [0], bias=[math.inf]), "units: row 0: bias is NaN or infinite"),
    (_with(units=pa.table({"layer": ["L0"]})), "units: the column 'index' is missing"),
    (_edge(source=(0, 9)), "edges: row 0: source is 9, but there are 9 units"),
    (_edge(target=(3, -1)), "edges: row 3: target is -1, but there are 9 units"),
    (_edge(target=(0, None)), "edges: row 0: target is missing"),
    (_edge(target=(0, 0)), r"edges: row 0 \(toy/L0:0 -> toy/L0:0\): an edge from a unit to itself"),
    (_edge(source=(0, 8)), r"edges: row 0 \(toy/L2:1 -> toy/L1:0\): edges run from a lower to a higher depth"),
    (_edge(weight=(0, math.nan)), TOY_EDGE + "weight is NaN or infinite"),
    (_edge(weight=(0, -math.inf)), TOY_EDGE + "weight is NaN or infinite"),
    (_edge(weight=(0, None)), TOY_EDGE + "weight is missing"),
    (_edge(share=(0, math.nan)), TOY_EDGE + "share is NaN or infinite"),
    (_edge(weight=(0, -1.0)), TOY_EDGE + "the kind does not fit the weight"),
    (_edge(kind=(0, "INHIBITS")), TOY_EDGE + "the kind does not fit the weight"),
    (_edge(kind=(0, "excites")), "edges: row 0: there is no kind 'excites'"),
    (_edge(rank_in=(0, None)), TOY_EDGE + "rank_in is missing"),
    (_edge(dx=(0, math.inf)), TOY_EDGE + "dx is NaN or infinite"),
    (_edge(colour=(0, "red")), "edges: there is no property 'colour'"),
    (_edge(kernel=(0, [1.0])), "edges: kernels need kernel_h and kernel_w"),
    (_edge(kernel=(0, [1.0]), kernel_h=(0, 1), kernel_w=(0, 2)), TOY_EDGE + "the kernel does not have"),
    (_edge(kernel=(0, [1.0]), kernel_h=(0, -1), kernel_w=(0, -1)), TOY_EDGE + "the kernel does not have"),
    (_edge(kernel=(0, [1.0]), kernel_h=(0, 1), kernel_w=(1, 1)), TOY_EDGE + "the kernel does not have"),
    (
        _edge(kernel=(2, [1.0, math.nan]), kernel_h=(2, 2), kernel_w=(2, 1)),
        r"edges: row 2 \(toy/L0:0 -> toy/L1:1\): the kernel holds NaN or infinity",
    ),
    (
        lambda graph: replace(graph, edges=pa.concat_tables([graph.edges, graph.edges[3:4]])),
        r"edges: row 10 \(toy/L0:1 -> toy/L1:0\): two edges between the same units",
    ),
    (
        lambda graph: replace(graph, edges=pa.concat_tables([graph.edges[9:], graph.edges])),
        r"edges: row 10 \(toy/L0:2 -> toy/L2:1\): two skip edges between the same units",
    ),
    (lambda graph: replace(graph, edges=graph.edges.drop_columns("share")), "edges: the column 'share' is missing"),
    (_with(labels=label_table([(9, "a", None)])), "labels: row 0: unit is 9, but there are 9 units"),
    (_with(labels=label_table([(1, None, None)])), r"labels: row 0 \(toy/L0:1\): label is missing"),
    (
        _with(maps=map_table([("flip", 1, 2, 0.5), ("rotate(90)", 1, 2, 0.5), ("flip", 1, 3, 0.5)])),
        "maps: row 2: flip of toy/L0:1 stands there twice",
    ),
    (_with(maps=map_table([("flip", 1, 20, 0.5)])), "maps: row 0: target is 20"),
    (_with(maps=map_table([("flip", 1, 2, math.inf)])), r"maps: row 0 \(toy/L0:1\): score is NaN or infinite"),
    (
        _with(families=pa.table({"id": [0, 0], "layer": ["L0", "L0"], "group": ["flip", "flip"]})),
        "families: id 0 stands there twice",
    ),
    (
        _with(families=pa.table({"id": [0], "layer": ["L9"], "group": ["flip"]})),
        "families: row 0: there is no layer 'L9'",
    ),
    (
        _with(
            families=pa.table({"id": [0], "layer": ["L0"], "group": ["flip"]}),
            members=pa.table({"family": [1], "unit": [0], "pose": [""]}),
        ),
        "members: row 0: there is no family of that id",
    ),
    (
        _with(
            families=pa.table({"id": [0], "layer": ["L0"], "group": ["flip"]}),
            members=pa.table({"family": [0, 0], "unit": [1, 1], "pose": ["", "flip"]}),
        ),
        "members: toy/L0:1 is twice in one family",
    ),
    (_with(members=pa.table({"family": [0], "unit": [0], "pose": [""]})), "members: there are no families"),
    (
        _with(segments=pa.table({"source_layer": ["L0"], "target_layer": ["L9"]})),
        "segments: row 0: there is no target_layer 'L9'",
    ),
    (_dense(np.zeros((4, 3))), r"dense matrices L0 -> L1: weight is \(4, 3\), the layers' widths are \(3, 4\)"),
    (_dense(np.full((3, 4), np.nan)), "dense matrices L0 -> L1: weight holds NaN or infinity"),
    (_dense(np.zeros((3, 4)), layers=("L0", "L9")), "dense matrices L0 -> L9: there is no layer 'L9'"),
    (_dense(np.zeros((3, 4)), (_block([0], [0, 1], (1, 1, 3, 3)),)), "a block's kernels are not"),
    (_dense(np.zeros((3, 4)), (_block([3], [0], (1, 1, 3, 3)),)), "a block names a unit that is not there"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_what_is_wrong_is_refused_with_its_place(
    change: Callable[[ModelGraph], ModelGraph], message: str, tmp_path: Path
) -> None:
    store = DuckDBStore(str(tmp_path / "zoo.duckdb"))
    with pytest.raises(InputError, match=f"^{message}" if "block" not in message else message):
        store.write(change(toy_graph()))
    assert list(tmp_path.iterdir()) == []


def test_an_edge_within_a_depth_is_refused() -> None:
    with pytest.raises(InputError, match="edges run from a lower to a higher depth"):
        checked(graph_of({"a": 2, "b": 1}, [("a:0", "a:1", 1.0)]))


def test_a_skip_beside_an_edge_is_taken() -> None:
    graph = graph_of({"a": 1, "b": 1}, [("a:0", "b:0", 1.0)], skips=[("a:0", "b:0", -1.0)])
    assert checked(graph).edges["kind"].to_pylist() == [EdgeKind.EXCITES, EdgeKind.SKIP]


def test_a_weight_of_zero_excites_and_loses_its_sign() -> None:
    edges = checked(graph_of({"a": 1, "b": 1}, [("a:0", "b:0", -0.0)])).edges
    assert edges["kind"].to_pylist() == ["EXCITES"]
    assert str(edges["weight"][0].as_py()) == "0.0"
