"""Directions on probes: measured as neurons are, and what else is said of the units of probed models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from torch import nn

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import Row
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.database import Database
from circuitdb.statistics.weights_and_maps import partners_of
from circuitdb.universality.signatures import read_signatures
from ingest.exact import reader
from ingest.maps import layer_map
from ingest.pipeline import ingest_model, layer_widths
from ingest.probes import ProbeSet, load_probes
from ingest.probing import probe
from ingest.reprobing import directions_of, probe_models
from ingest.responses import LayerResponses, measure, part_means
from ingest.sources import load
from ingest.transforms import parse_maps
from tests.conftest import Command
from tests.tiny_networks import centred, convolution, noise, planted, steps_of

Reals = npt.NDArray[np.float64]
SIDE = 20
MAPS = parse_maps(["flip", "rotate(90)"])

NETWORK = """
import torch
from torch import nn
from tests.tiny_networks import convolution, planted

EXAMPLE_SHAPE = (1, 3, 40, 40)
PREPROCESSING = {"channels": "RGB", "range": [-1, 1], "mean": [0, 0, 0], "std": [1, 1, 1], "size": [40, 40]}


def build():
    torch.manual_seed(0)
    return nn.Sequential(convolution(planted()), nn.ReLU(), nn.Conv2d(9, 4, 3, padding=1), nn.ReLU())
"""


def random_coefficients(count: int, width: int = 9) -> Reals:
    made = np.random.default_rng(0).normal(size=(count, width))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def appended(coefficients: Reals) -> nn.Module:
    """A network whose last layer holds a convolution's units and after them combinations of these."""
    after = nn.Conv2d(9, 9 + len(coefficients), 1, bias=False)
    rows = torch.from_numpy(np.concatenate([np.eye(9), coefficients])).float()
    after.load_state_dict({"weight": rows[:, :, None, None]})
    return nn.Sequential(convolution(planted()), after)


def assert_same(one: LayerResponses, other: LayerResponses) -> None:
    for name in ("mean", "sd", "sparsity", "strongest", "sketches"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-4, err_msg=name)
    assert np.array_equal(one.cells, other.cells)


def test_responses_of_directions_are_those_of_a_convolution_with_the_coefficients() -> None:
    coefficients, probes = random_coefficients(3), noise(SIDE)
    alone, behind = nn.Sequential(convolution(planted())), appended(coefficients)
    of_directions = measure(
        alone, steps_of(alone, SIDE), centred(SIDE), probes, MAPS, directions={0: coefficients}, batch=4
    )
    of_network = measure(behind, steps_of(behind, SIDE)[-1:], centred(SIDE), probes, MAPS)
    assert_same(of_directions.layers[0], of_network.layers[0])
    for name in MAPS:
        np.testing.assert_allclose(of_directions.scores[name][0], of_network.scores[name][0], atol=1e-4)


def test_means_over_parts_are_those_of_a_convolution_with_the_coefficients() -> None:
    coefficients, probes = random_coefficients(2), noise(SIDE)
    found: list[npt.NDArray[np.float32]] = []
    for network, directions in (
        (nn.Sequential(convolution(planted())), {0: coefficients}),
        (appended(coefficients), None),
    ):
        steps = steps_of(network, SIDE)[-1:]
        taken: list[npt.NDArray[np.float32]] = []
        part_means(
            network,
            steps,
            centred(SIDE),
            probes,
            lambda place, some, means, taken=taken: taken.append(means.copy()),  # type: ignore[misc]
            directions=directions,
        )
        found.append(np.concatenate(taken))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_a_neuron_becomes_a_neuron_and_a_direction_any_unit() -> None:
    scores = np.array(
        [[0.1, 0.7, 0.9, 0.0], [0.7, 0.1, 0.0, 0.0], [0.8, 0.0, 0.1, 0.6], [0.0, 0.0, 0.95, 0.1]], np.float32
    )
    alone, both = layer_map(MAPS[0], scores[:2, :2]), layer_map(MAPS[0], scores, 2)
    assert both.source.tolist() == [0, 1, 2, 3]
    assert both.target.tolist() == [1, 0, 0, 2]
    assert both.target[:2].tolist() == alone.target.tolist()
    assert both.mutual[:2].tolist() == alone.mutual.tolist() == [True, True]


@pytest.fixture
def network(factory: Callable[[str, str], str]) -> str:
    """A factory in the current folder."""
    return factory("tiny_directed", NETWORK)


def told(database: Database, key: str) -> dict[str, Any]:
    """What probing tells of a unit, but for its own key."""
    unit = database.unit(key)
    return {
        **{name: unit.properties[name] for name in ("mean", "sd", "sparsity")},
        "maps": {row["map"]: (row["target"], row["score"], row["self_score"]) for row in unit.maps},
        "examples": unit.examples(),
    }


def test_probing_measures_a_direction_of_one_neuron_as_the_neuron_and_leaves_neurons_as_they_were(
    network: str, pictures: str, tmp_path: Path
) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, db=db, name="tiny", dense=True)
    few = ["flip", "rotate(90)"]
    probe_models(["tiny"], probes=pictures, maps=few, db=db)
    with circuitdb.open(db) as database:
        first, second = (layer["name"] for layer in database.model("tiny")["layers"])
        before, graph = database.document(["tiny"]), database.graph("tiny")
        # One neuron, which a turn takes to another; two combinations that are mirror images; one of the second layer.
        one = np.zeros((3, 9))
        one[0, 2], one[1, [0, 6]], one[2, [1, 6]] = 1, (1, 0.5), (1, 0.5)
        keys = database.add_directions(f"tiny/{first}", one)
        keys += database.add_directions(f"tiny/{second}", random_coefficients(1, 4))
        for name in ("sd", "sparsity"):
            assert database.unit(keys[0]).properties[name] is None
    probe_models(["tiny"], probes=pictures, maps=few, db=db)
    with circuitdb.open(db) as database:
        after = database.document(["tiny"])
        for part in ("units", "edges", "maps", "families"):
            rows = [
                row for row in after[part] if not set(keys) & {row.get(name) for name in ("key", "source", "target")}
            ]
            kept = [row for row in rows if not {m["unit"] for m in row.get("members", ())} & set(keys)]
            _assert_alike(kept, before[part])
        its, own = told(database, f"tiny/{first}:2"), told(database, keys[0])
        assert own.pop("examples") == its.pop("examples")
        assert own["maps"].keys() == its["maps"].keys() >= {"rotate(90)"}
        for name, (target, score, self_score) in own["maps"].items():
            assert (target, score) == (its["maps"][name][0], pytest.approx(its["maps"][name][1], abs=1e-6))
            assert self_score == pytest.approx(its["maps"][name][2], abs=1e-6)
        assert [own[name] for name in ("mean", "sd", "sparsity")] == pytest.approx(
            [its[name] for name in ("mean", "sd", "sparsity")]
        )
        now = database.graph("tiny")
        assert now.signatures is not None
        assert np.array_equal(now.signatures[9], now.signatures[2])
        assert np.array_equal(now.signatures[:9], graph.signatures[:9])  # type: ignore[index]
        assert now.signatures[12:16].any(axis=(1, 2)).all()
        mirrored = {row["map"]: row for row in database.unit(keys[1]).maps}["flip"]
        assert (mirrored["target"], mirrored["mutual"]) == (keys[2], True)
        [family] = [row for row in database.unit(keys[1]).families if row["group"] == "flip"]
        assert [member["unit"] for member in family["members"]] == keys[1:3]
        assert database.unit(keys[3]).properties["sd"] > 0
        # A family of which one member is left is none.
        database.delete_direction(keys[2])
        assert not [row for row in database.unit(keys[1]).families if row["group"] == "flip"]
        # What uses matrices of all pairs looks at neurons alone.
        partners = partners_of(database.graph("tiny"))
        assert partners
        assert all(units.max(initial=0) < 9 for one in partners.values() for units in (one.units, one.images))
        database.maps("tiny", samples=1)
        # Correlations told exactly speak of directions too.
        [exact] = reader(pictures)(open_store(db), ["tiny"], None)
        [stored] = read_signatures(open_store(db), ["tiny"])
        assert exact.keys() == stored.keys()
        assert exact.numbers.shape[0] == stored.numbers.shape[0] == 16
        np.testing.assert_allclose(exact.numbers[9:10], exact.numbers[2:3], rtol=1e-5, atol=1e-5)


def _assert_alike(rows: list[Row], others: list[Row]) -> None:
    """The same but for rounding, which depends on how many units are summed at once."""
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert value == (pytest.approx(other[name], abs=1e-5) if isinstance(value, float) else other[name])


def test_a_direction_of_unknown_coefficients_is_not_measured(network: str, pictures: str, tmp_path: Path) -> None:
    db = str(tmp_path / "t.duckdb")
    ingest_model(network, db=db, name="tiny", dense=True)
    with circuitdb.open(db) as database:
        first = database.model("tiny")["layers"][0]["name"]
        database.add_directions(f"tiny/{first}", random_coefficients(2))
    store = DuckDBStore(db)

    def forget(graph: Any) -> Any:
        numbers = graph.units["coefficients"].to_pylist()
        numbers[9] = None
        at = graph.units.column_names.index("coefficients")
        column = pa.array(numbers, pa.list_(pa.float32()))
        return replace(graph, units=graph.units.set_column(at, "coefficients", column))

    store.rewrite("tiny", forget)
    probe_models(["tiny"], probes=pictures, maps=["flip"], db=db)
    unknown, known = (store.unit(f"tiny/{first}:{index}") for index in (9, 10))
    assert unknown is not None
    assert known is not None
    assert [unknown[name] for name in ("mean", "sd", "sparsity")] == [None] * 3
    assert (unknown["maps"], store.examples([unknown["key"]])[unknown["key"]]) == ([], [])
    assert known["sd"] > 0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two handwritten networks with two directions each, probed on some of the built-in pictures and joined."""
    made = str(tmp_path_factory.mktemp("directions") / "handwritten.duckdb")
    every = load_probes("synthetic", 80)
    few = ProbeSet(every.name, every.names[::30], every.pictures[::30])
    names = ("handwritten", "handwritten_second")
    with circuitdb.open(made) as database:
        for name in names:
            ingest_model(name, db=made, dense=True)
            layer = database.model(name)["layers"][2]["name"]
            width = database.layer(name, layer)["width"]
            database.add_directions(
                f"{name}/{layer}", np.random.default_rng(0).normal(size=(2, width)), ["a mixture", None]
            )
            store, model = open_store(made), database.model(name)
            widths = layer_widths(model["layers"])
            responses = probe(
                load(name, None),
                widths,
                few,
                ["flip"] if name == names[0] else (),
                directions=directions_of(store, model),
            )
            store.write_responses(name, responses)
        for a, b in (names, names[::-1]):
            database.join(a, b, samples=1)
    return made


def test_statistics_reports_and_joins_take_models_with_directions(
    address: str, command: Command, tmp_path: Path
) -> None:
    motif = "find { {a, c} +> b where share > 0.02 }"
    mixed = 'find { unit d where label ~ "mixture"  a +> d }'
    both = "handwritten,handwritten_second"
    with circuitdb.open(address) as database:
        keys = [row["key"] for row in database.directions("handwritten")]
        assert database.units_at(keys)[0].analogues
        assert database.edge_agreement(*both.split(","), samples=1)
        [signatures] = read_signatures(open_store(address), ["handwritten"])
        layers = database.model("handwritten")["layers"]
        assert signatures.units == sum(layer["width"] + len(layer["directions"]) for layer in layers)
        keys_joined = set(database.correspondences(both.split(",")).nodes)
        assert set(keys) <= keys_joined
    for arguments in (
        ("maps", "handwritten", "--samples", "2"),
        ("test", mixed, "--model", "handwritten", "--samples", "3"),
        ("find", mixed, "--model", "handwritten"),
        ("report", mixed, "--model", "handwritten", "--limit", "3", "-o", str(tmp_path / "circuits.html")),
        ("report", keys[0], "-o", str(tmp_path / "unit.html")),
        ("report", motif, "--models", both, "--samples", "1", "--limit", "2", "-o", str(tmp_path / "both.html")),
        *(
            ("export", mixed, "--model", "handwritten", "-o", str(tmp_path / f"found.{form}"))
            for form in ("npz", "parquet", "graphml", "cypher")
        ),
        ("export", "--graph", "handwritten", "-o", str(tmp_path / "graph.graphml")),
    ):
        done = command(*arguments, db=address)
        assert done.code == 0, (arguments, done.err)
    assert "a mixture" in (tmp_path / "circuits.html").read_text()
    assert '"takes":' in (tmp_path / "unit.html").read_text()
    arrays = np.load(tmp_path / "found.npz", allow_pickle=False)
    assert arrays["unit_coefficients"].tolist().count("[]") == len(arrays["unit_key"]) - 1


def test_pictures_are_halved_by_what_neurons_answer_whatever_directions_there_are(address: str, tmp_path: Path) -> None:
    store = open_store(address)
    [one] = read_signatures(store, ["handwritten"])
    with circuitdb.open(address) as database:
        other_address = str(tmp_path / "other.duckdb")
        database.push(other_address, ["handwritten"])
        keys = [row["key"] for row in database.directions("handwritten")]
    with circuitdb.open(other_address) as copy:
        for key in keys:
            copy.delete_direction(key)
    [other] = read_signatures(open_store(other_address), ["handwritten"])
    assert one.marks() == other.marks()
    assert one.units == other.units + 2
    assert set(one.keys()) - set(other.keys()) == set(keys)
