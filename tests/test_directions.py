"""Directions: their edges beside single neurons, plain loops and networks that compute them; stores and commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import circuitdb
from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.store import Neo4jStore
from circuitdb.backends.validation import checked
from circuitdb.database import Database
from circuitdb.directions import with_directions, without_directions
from circuitdb.errors import CircuitdbError, InputError
from ingest.expand import Expansion, expand
from tests.conftest import Command
from tests.graphs import graph_of, random_responses, with_responses

Reals = npt.NDArray[np.float64]
Edges = dict[tuple[str, str, bool], dict[str, Any]]
"""By the keys of both ends, and whether it is a skip, an edge's properties."""

HALF = 2.0**-10
"""Twice the precision of half-precision numbers."""
RULES = ("all", "top3", "energy0.5", "max0.4")
LAYERS = ("stem", "joined", "middle", "last")
SIDE = 12


class Branched(nn.Module):
    """A layer of three branches of different kernel sizes, between plain ones, with a residual skip behind."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.one = nn.Conv2d(5, 3, 1)
        self.three = nn.Conv2d(5, 2, 3, padding=1)
        self.five = nn.Conv2d(5, 2, 5, padding=2)
        self.middle = nn.Conv2d(7, 7, 3, padding=1)
        self.last = nn.Conv2d(7, 6, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.relu(torch.cat([self.one(x), self.three(x), self.five(x)], 1))
        x = functional.relu(self.middle(x) + x)
        return functional.relu(self.last(x))


def network() -> Branched:
    torch.manual_seed(3)
    return Branched().eval()


def expanded(module: nn.Module, keep: str = "all", channels: int = 3, **options: Any) -> Expansion:
    example = torch.rand(1, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    return expand(module, example, dense=True, keep=keep, **options)


@cache
def model(keep: str = "all", name: str = "m") -> ModelGraph:
    """The branched network, its layers called as `LAYERS` says."""
    made = expanded(network(), keep)
    names = dict(zip(made.layers["name"].to_pylist(), LAYERS, strict=True))

    def renamed(table: pa.Table, *columns: str) -> pa.Table:
        for column in columns:
            values = pa.array([names[value] for value in table[column].to_pylist()])
            table = table.set_column(table.column_names.index(column), column, values)
        return table

    return checked(
        ModelGraph(
            {"name": name, "keep": keep},
            renamed(made.layers, "name"),
            renamed(made.units, "layer"),
            made.edges,
            segments=renamed(made.segments, "source_layer", "target_layer"),
            dense={(names[source], names[target]): dense for (source, target), dense in made.dense.items()},
        )
    )


def added(graph: ModelGraph, layer: str, *coefficients: Any) -> ModelGraph:
    return checked(with_directions(graph, layer, np.array(coefficients, dtype=np.float64)))


def edges_of(graph: ModelGraph, unit: str | None = None) -> Edges:
    keys = graph.units["key"].to_pylist()
    found: Edges = {}
    for row in graph.edges.to_pylist():
        ends = keys[row.pop("source")], keys[row.pop("target")]
        if unit is None or unit in ends:
            found[(*ends, row["kind"] == "SKIP")] = row
    return found


def unit_of(graph: ModelGraph, key: str) -> dict[str, Any]:
    [row] = [row for row in graph.units.to_pylist() if row["key"] == key]
    return row


def width_of(graph: ModelGraph, layer: str) -> int:
    return dict(zip(graph.layers["name"].to_pylist(), graph.layers["width"].to_pylist(), strict=True))[layer]


def place_kernel(frame: dict[tuple[float, float], float], kernel: Any, y: float, x: float, factor: float) -> None:
    """Add a kernel to a frame of numbers by their place."""
    for row, line in enumerate(np.asarray(kernel, dtype=np.float64)):
        for column, entry in enumerate(line):
            at = (y + row, x + column)
            frame[at] = frame.get(at, 0.0) + factor * float(entry)


def plain_kernel(
    graph: ModelGraph, source: str, target: str, of_source: Reals, of_target: Reals
) -> dict[tuple[float, float], float]:
    """The kernel between two combinations of neurons, entry by entry."""
    frame: dict[tuple[float, float], float] = {}
    for block in graph.dense[source, target].blocks:
        for t, target_unit in enumerate(block.targets):
            for s, source_unit in enumerate(block.sources):
                factor = of_source[source_unit] * of_target[target_unit]
                if factor:
                    place_kernel(frame, block.kernels[t, s], block.offset_y, block.offset_x, factor)
    return frame


def assert_kernel_is(edge: dict[str, Any], frame: dict[tuple[float, float], float], tolerance: float = 1e-5) -> None:
    own: dict[tuple[float, float], float] = {}
    kernel = np.array(edge["kernel"]).reshape(edge["kernel_h"], edge["kernel_w"])
    place_kernel(own, kernel, edge["offset_y"], edge["offset_x"], 1.0)
    assert set(own) == set(frame)
    for place, entry in own.items():
        assert entry == pytest.approx(frame[place], abs=tolerance)


def one_hot(width: int, neuron: int, value: float = 1.0) -> Reals:
    made = np.zeros(width)
    made[neuron] = value
    return made


def unit_length(coefficients: Reals) -> Reals:
    return (coefficients / np.linalg.norm(coefficients)).astype(np.float32).astype(np.float64)


# --- the algebra ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", RULES)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_direction_of_one_neuron_has_exactly_the_neurons_edges_both_ways(layer: str, keep: str) -> None:
    graph = model(keep)
    assert_one_neurons_edges(graph, layer, (0, 4, width_of(graph, layer) - 1))


def test_groups_and_a_global_pool_change_nothing_about_that() -> None:
    torch.manual_seed(1)
    groups = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, stride=2, groups=3), nn.ReLU())
    classifier = nn.Sequential(groups, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    made = expanded(classifier, "top2")
    graph = checked(ModelGraph({"name": "m", "keep": "top2"}, made.layers, made.units, made.edges, dense=made.dense))
    assert graph.layers.num_rows == 3
    for layer in graph.layers["name"].to_pylist():
        assert_one_neurons_edges(graph, layer, (1, 3))


def assert_one_neurons_edges(graph: ModelGraph, layer: str, neurons: Sequence[int]) -> None:
    """Fail unless a direction of each of the neurons alone has the neuron's edges."""
    width = width_of(graph, layer)
    for neuron in neurons:
        made = added(graph, layer, one_hot(width, neuron, 3.0))
        keys = f"m/{layer}:{neuron}", f"m/{layer}:{width}"
        its, own = ({_other(ends, key): row for ends, row in edges_of(made, key).items()} for key in keys)
        assert its.keys() == own.keys()
        for ends, row in its.items():
            for name, value in row.items():
                if name in ("kernel", "share") or isinstance(value, float):
                    exact = name in ("weight", "strength", "offset_y", "offset_x")
                    assert own[ends][name] == (value if exact else pytest.approx(value, rel=HALF, abs=HALF)), name
                else:
                    assert own[ends][name] == value, name
        one, other = (unit_of(made, key) for key in keys)
        for name in ("bias", "in_norm", "energy_kept_in", "energy_kept_out", "branch"):
            same = one.get(name)
            assert other.get(name) == (pytest.approx(same) if isinstance(same, float) else same), name
        assert other["coefficients"] == one_hot(width, neuron).tolist()


def _other(ends: tuple[str, str, bool], key: str) -> tuple[Any, ...]:
    return tuple("itself" if end == key else end for end in ends)


def test_kernels_are_the_sums_of_the_neurons_kernels() -> None:
    graph = model()
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(2, 7))
    coefficients[1, :3] = 0  # only neurons of the larger branches take part
    made = added(graph, "joined", *coefficients)
    for number, own in enumerate(map(unit_length, coefficients)):
        key = f"m/joined:{7 + number}"
        found = edges_of(made, key)
        assert {ends[:2] for ends in found if not ends[2]} == {
            *((f"m/stem:{s}", key) for s in range(5)),
            *((key, f"m/middle:{t}") for t in range(7)),
        }
        for (source, target, skip), edge in found.items():
            if skip:
                continue
            into = target == key
            other = int((source if into else target).rpartition(":")[2])
            ends = ("stem", "joined") if into else ("joined", "middle")
            both = (one_hot(5, other), own) if into else (own, one_hot(7, other))
            assert_kernel_is(edge, plain_kernel(graph, *ends, *both))
            weights = graph.dense[ends].weight.astype(np.float64)
            assert edge["weight"] == pytest.approx(both[1] @ weights @ both[0], rel=1e-12)
            assert edge["strength"] == pytest.approx(np.linalg.norm(edge["kernel"]), rel=1e-6)
            everything = sum(
                np.square(dense.strength.astype(np.float64)).sum(axis=1)
                for (_, name), dense in graph.dense.items()
                if name == "middle"
            )
            if not into:
                assert edge["share"] == pytest.approx(edge["strength"] ** 2 / everything[other], rel=1e-6)
        strengths = np.array([edge["strength"] for ends, edge in found.items() if ends[1] == key and not ends[2]])
        shares = [edge["share"] for ends, edge in found.items() if ends[1] == key and not ends[2]]
        assert shares == pytest.approx(strengths**2 / (strengths**2).sum())
        assert unit_of(made, key)["in_norm"] == pytest.approx(np.sqrt((strengths**2).sum()))
        bias = [unit_of(graph, f"m/joined:{i}")["bias"] for i in range(7)]
        assert unit_of(made, key)["bias"] == pytest.approx(own @ bias)


class Appended(nn.Module):
    """The branched network up to its branches, and behind them a convolution of one cell with the coefficients."""

    def __init__(self, coefficients: Reals) -> None:
        super().__init__()
        self.net = network()
        self.direction = nn.Conv2d(7, len(coefficients), 1, bias=False)
        self.direction.weight.data = torch.tensor(coefficients, dtype=torch.float32)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.net.stem(x))
        return self.direction(torch.cat([self.net.one(x), self.net.three(x), self.net.five(x)], 1))


class Prepended(nn.Module):
    """A layer of as many units as directions, the coefficients turned round, and the network's own next weights."""

    def __init__(self, coefficients: Reals) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, len(coefficients), 1)
        self.direction = nn.Conv2d(len(coefficients), 7, 1, bias=False)
        self.direction.weight.data = torch.tensor(coefficients.T, dtype=torch.float32)[:, :, None, None]
        self.middle = network().middle

    def forward(self, x: Tensor) -> Tensor:
        return self.middle(self.direction(self.first(x)))


def test_a_network_with_the_coefficients_as_a_convolution_has_the_same_weights() -> None:
    coefficients = np.stack([unit_length(row) for row in np.random.default_rng(1).normal(size=(3, 7))])
    made = added(model(), "joined", *coefficients)
    into = expanded(Appended(coefficients), layers=["net.stem", "direction"])
    out = expanded(Prepended(coefficients), layers=["first", "middle"])
    found = edges_of(made)
    compared = 0
    for expansion, at_target in ((into, True), (out, False)):
        widths = expansion.layers["width"].to_pylist()
        for row in expansion.edges.to_pylist():
            source, target = row["source"], row["target"] - widths[0]
            ends = (f"m/stem:{source}", f"m/joined:{7 + target}")
            if not at_target:
                ends = (f"m/joined:{7 + source}", f"m/middle:{target}")
            edge = found[(*ends, False)]
            frame: dict[tuple[float, float], float] = {}
            kernel = np.array(row["kernel"]).reshape(row["kernel_h"], row["kernel_w"])
            place_kernel(frame, kernel, row["offset_y"], row["offset_x"], 1.0)
            assert_kernel_is(edge, frame, HALF)
            assert edge["weight"] == pytest.approx(row["weight"], abs=1e-5)
            assert edge["kind"] == row["kind"]
            compared += 1
    assert compared == 3 * (5 + 7)


def test_skip_edges_come_from_the_neurons_skip_edges() -> None:
    graph = model()
    own = unit_length(np.array([3.0, 0, -4, 0, 0, 0, 1]))
    made = added(added(graph, "joined", own), "middle", own)
    out, into = "m/joined:7", "m/middle:7"
    skips = {ends: row for ends, row in edges_of(made).items() if ends[2]}
    from_d = {int(target.rpartition(":")[2]): row for (source, target, _), row in skips.items() if source == out}
    assert {t: row["weight"] for t, row in from_d.items()} == pytest.approx(
        {0: own[0], 2: own[2], 6: own[6], 7: own @ own}
    )
    assert from_d[2]["share"] == pytest.approx(own[2] ** 2)
    assert [from_d[t]["rank_out"] for t in (2, 0, 6)] == [1, 2, 3]
    assert from_d[2]["rank_in"] == 2  # the neuron's own skip edge is stronger
    to_d = {int(source.rpartition(":")[2]): row for (source, target, _), row in skips.items() if target == into}
    assert {s: row["share"] for s, row in to_d.items()} == pytest.approx(
        {0: own[0] ** 2, 2: own[2] ** 2, 6: own[6] ** 2, 7: 1.0}
    )
    assert all(row["kernel_h"] == row["kernel_w"] == 1 for row in (*from_d.values(), *to_d.values()))


def test_directions_of_two_layers_are_joined_whichever_comes_first() -> None:
    graph = model()
    rng = np.random.default_rng(2)
    first, second = unit_length(rng.normal(size=5)), unit_length(rng.normal(size=7))
    one = edges_of(added(added(graph, "stem", first), "joined", second))
    other = edges_of(added(added(graph, "joined", second), "stem", first))
    assert one.keys() == other.keys()
    for ends, row in one.items():
        for name, value in row.items():
            assert other[ends][name] == (value if isinstance(value, str | int) else pytest.approx(value, abs=1e-6))
    edge = one["m/stem:5", "m/joined:7", False]
    assert_kernel_is(edge, plain_kernel(graph, "stem", "joined", first, second))
    into = [row["strength"] for ends, row in one.items() if ends[1] == "m/joined:7" and ends[0] != "m/stem:5"]
    outof = [row["strength"] for ends, row in one.items() if ends[0] == "m/stem:5" and ends[1] != "m/joined:7"]
    assert edge["rank_in"] == 1 + sum(strength > edge["strength"] for strength in into)
    assert edge["rank_out"] == 1 + sum(strength > edge["strength"] for strength in outof)
    assert edge["share"] == pytest.approx(edge["strength"] ** 2 / np.square(into).sum())


@pytest.mark.parametrize("keep", RULES[1:])
def test_the_keep_rule_and_the_ranks_compare_directions_with_neurons(keep: str) -> None:
    rng = np.random.default_rng(4)
    of_layers = {layer: rng.normal(size=(2, width_of(model(), layer))) for layer in LAYERS}

    def all_added(graph: ModelGraph) -> Edges:
        for layer, coefficients in of_layers.items():
            graph = added(graph, layer, *coefficients)
        return edges_of(graph)

    every, kept = all_added(model()), all_added(model(keep))
    directions = {f"m/{layer}:{width_of(model(), layer) + i}" for layer in LAYERS for i in range(2)}
    beside: dict[tuple[str, str, bool], list[float]] = {}
    for (source, target, skip), row in every.items():
        for end, here, there in (("in", target, source), ("out", source, target)):
            if there not in directions:
                beside.setdefault((end, here, skip), []).append(row["strength"])
    for ends, row in every.items():
        source, target, skip = ends
        if directions.isdisjoint(ends[:2]):
            continue
        strength = row["strength"]
        into, outof = beside["in", target, skip], beside["out", source, skip]
        assert row["rank_in"] == 1 + sum(other > strength for other in into)
        assert row["rank_out"] == 1 + sum(other > strength for other in outof)
        stronger = sum(other**2 for other in into if other > strength)
        expected = {
            "top3": row["rank_in"] <= 3 or row["rank_out"] <= 3,
            "energy0.5": stronger < 0.5 * np.square(into).sum() * (1 - 1e-9),
            "max0.4": strength >= np.float32(0.4) * max(into),
        }[keep]
        if not skip:  # of skips, only those that are kept are known
            assert (ends in kept) == expected, ends
        if ends in kept and not skip:
            for name, value in row.items():
                same = value if isinstance(value, str | int) else pytest.approx(value, abs=1e-9)
                assert kept[ends][name] == same, name


def test_neurons_rows_and_edges_stay_when_directions_come_and_go() -> None:
    graph = model("top3")
    made = added(added(graph, "joined", np.ones(7), np.arange(7)), "stem", np.ones(5))
    before, after = edges_of(graph), edges_of(made)
    assert {ends: after[ends] for ends in before} == before
    assert len(after) > len(before)
    neurons = [row for row in made.units.to_pylist() if row["kind"] == "neuron"]
    assert [{name: row[name] for name in graph.units.column_names} for row in neurons] == graph.units.to_pylist()
    left = checked(without_directions(made, ["m/joined:7", "m/joined:8", "m/stem:5"]))
    assert edges_of(left) == before
    with pytest.raises(InputError, match="m/stem:0 is a neuron"):
        without_directions(made, ["m/stem:0"])
    with pytest.raises(InputError, match="no unit"):
        without_directions(made, ["m/stem:9"])


def test_many_directions_at_a_time_are_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    coefficients = np.random.default_rng(5).normal(size=(5, 7))
    whole = edges_of(added(model(), "joined", *coefficients))
    monkeypatch.setattr("circuitdb.directions.edges.BYTES_AT_ONCE", 1)
    pieces = edges_of(added(model(), "joined", *coefficients))
    assert whole.keys() == pieces.keys()
    for ends, row in whole.items():
        assert pieces[ends]["kernel"] == pytest.approx(row["kernel"], abs=1e-6)
        assert [pieces[ends][name] for name in ("rank_in", "rank_out")] == [row["rank_in"], row["rank_out"]]


def test_a_model_without_its_kernels_says_so() -> None:
    graph = model()
    bare = replace(graph, dense={ends: replace(dense, blocks=()) for ends, dense in graph.dense.items()})
    for lacking in (bare, replace(graph, dense={})):
        with pytest.raises(InputError, match="m was ingested without --dense; directions need every kernel"):
            with_directions(lacking, "stem", np.ones((1, 5)))


# --- the data model ---------------------------------------------------------------------------------------------------


def document(**unit: Any) -> dict[str, Any]:
    return {
        "circuitdb": 1,
        "models": [{"name": "toy"}],
        "layers": [{"model": "toy", "name": "L0", "depth": 0}],
        "units": [{"key": "toy/L0:1"}, {"key": "toy/L0:2", "kind": "direction", **unit}],
    }


def test_coefficients_are_stored_with_unit_length_and_survive_a_second_check(tmp_path: Path) -> None:
    with circuitdb.open(str(tmp_path / "a.duckdb")) as database:
        database.import_document(document(coefficients=[3, 4]))
        [unit] = database.directions("toy")
        assert unit["coefficients"] == pytest.approx([0.6, 0.8])
        [layer] = database.model("toy")["layers"]
        assert (layer["width"], layer["directions"]) == (2, [2])
        [copied] = database.push(str(tmp_path / "b.duckdb"))
        assert not copied.was_there
        assert database.push(str(tmp_path / "b.duckdb"))[0].was_there
        with circuitdb.open(str(tmp_path / "b.duckdb")) as other:
            assert other.document(["toy"]) == database.document(["toy"])


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ({"coefficients": [1, 2, 3]}, "not as many as the layer has neurons|but its layer has 3 neurons"),
        ({"coefficients": [1]}, "not as many as the layer has neurons"),
        ({"coefficients": [0, 0]}, "the coefficients are all 0"),
        ({"coefficients": [1, 2], "kind": "neuron"}, "a neuron has no coefficients"),
        ({"kind": "feature"}, "there is no kind 'feature'"),
        ({"key": "toy/L0:0"}, "toy/L0:0 is a direction, but its layer has 2 neurons"),
    ],
)
def test_a_direction_with_a_mistake_is_refused(tmp_path: Path, unit: dict[str, Any], reason: str) -> None:
    with circuitdb.open(str(tmp_path / "a.duckdb")) as database, pytest.raises(InputError, match=reason):
        database.import_document(document(**unit))


def test_layers_of_directions_alone_need_no_width(tmp_path: Path) -> None:
    made = document()
    made["units"] = [{"key": f"toy/L0:{i}", "kind": "direction"} for i in (0, 5)]
    with circuitdb.open(str(tmp_path / "a.duckdb")) as database:
        database.import_document(made)
        assert database.model("toy")["layers"][0]["width"] == 0
        assert database.count('find { unit d where kind = "direction" }') == 2
        assert database.document(["toy"])["units"] == made["units"]


# --- stores and commands ----------------------------------------------------------------------------------------------


def probed(graph: ModelGraph, seed: int) -> ModelGraph:
    """The graph with labels, and responses that mean nothing."""
    rng = np.random.default_rng(seed)
    labels = pa.table({"unit": pa.array([0, 9], pa.int32()), "label": ["edge", "fur"], "source": ["me", None]})
    return checked(with_responses(replace(graph, labels=labels), random_responses(rng, graph)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of every kernel, probed, with analogues both ways."""
    path = tmp_path_factory.mktemp("directions") / "zoo.duckdb"
    store = DuckDBStore(str(path))
    for number, name in enumerate(("m", "other")):
        store.write(probed(model("top3", name), number))
    rows = {"source": [0, 4, 24], "target": [24, 11, 2], "rank": [1, 1, 1], "score": [0.5, 0.25, 0.75]}
    table = pa.table({name: pa.array(values, pa.int32() if name != "score" else None) for name, values in rows.items()})
    store.write_analogues(Analogues("m", "other", table))
    store.write_analogues(Analogues("other", "m", table))
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> str:
    """A copy of it."""
    return shutil.copy(made, tmp_path / "zoo.duckdb").as_posix()


@pytest.fixture
def database(path: str) -> Iterator[Database]:
    with circuitdb.open(path) as opened:
        yield opened


def test_all_else_stays_in_the_file_when_directions_come_and_go(database: Database) -> None:
    before, graph = database.document(["m", "other"]), database.graph("m")
    keys = database.add_directions("m/joined", [[1, 2, 0, 0, 0, 0, 0], np.arange(7)], ["blob", None], "me")
    keys += database.add_directions("m/stem", [[1, 0, 0, 0, -1]])
    assert keys == ["m/joined:7", "m/joined:8", "m/stem:5"]
    during = database.document(["m", "other"])
    for part in ("layers", "maps", "families", "segments", "models", "analogues"):
        assert during[part] == before[part], part
    for part in ("units", "edges"):
        own = [row for row in during[part] if not set(keys) & {row.get("key"), row.get("source"), row.get("target")}]
        assert own == before[part], part
    assert {row["unit"] for row in database.labels("m")} == {"m/stem:0", "m/joined:4", "m/joined:7"}
    assert database.unit("m/joined:7").labels == [{"label": "blob", "source": "me"}]
    assert database.examples(["m/last:0"])
    signatures = database.graph("m").signatures
    assert signatures is not None
    assert graph.signatures is not None
    now = database.graph("m").units["kind"].to_pylist()
    assert np.array_equal(signatures[[kind == "neuron" for kind in now]], graph.signatures)
    assert not signatures[[kind == "direction" for kind in now]].any()
    assert database.add_directions("m/joined", [np.ones(7)]) == ["m/joined:9"]
    for key in ("m/joined:8", "m/joined:9", "m/joined:7", "m/stem:5"):
        database.delete_direction(key)
    assert database.document(["m", "other"]) == before
    after = database.graph("m")
    assert np.array_equal(after.signatures, graph.signatures)  # type: ignore[arg-type]
    assert after.examples == graph.examples
    for ends, dense in graph.dense.items():
        assert np.array_equal(after.dense[ends].weight, dense.weight)
        assert len(after.dense[ends].blocks) == len(dense.blocks)


def test_the_mean_of_a_direction_is_the_sum_of_the_neurons_means_until_it_is_probed(database: Database) -> None:
    [key] = database.add_directions("m/stem", [[3, 4, 0, 0, 0]])
    means = [unit["mean"] for unit in database.layer_units("m", "stem")]
    assert means[5] == pytest.approx(0.6 * means[0] + 0.8 * means[1])
    assert database.unit(key).properties["sd"] is None
    assert database.unit(key).properties["sparsity"] is None


QUERIES = (
    'find { unit d where kind = "direction"  a +> d }',
    'find { unit d where kind = "direction"  d -| b where share > 0.05 }',
    'find { unit d, e where kind = "direction"  d -> e }',
    'find { unit a where kind = "neuron"  a +> b }',
    'find { unit d where kind = "direction" and index > 7 and label ~ "dog" }',
)


def test_neo4j_holds_directions_and_answers_as_the_file_does(
    database: Database, path: str, neo4j_address: str, tmp_path: Path
) -> None:
    database.add_directions("m/joined", np.random.default_rng(0).normal(size=(2, 7)), [None, "a dog"])
    database.add_directions("m/middle", np.random.default_rng(1).normal(size=(2, 7)))
    with closing(Connection(neo4j_address)) as connection:
        connection.write(("MATCH (n) DETACH DELETE n", {}))
    database.push(neo4j_address)
    with circuitdb.open(neo4j_address) as server:
        for query in QUERIES:
            assert database.count(query) == server.count(query) > 0
            ours, theirs = ([circuit.to_dict() for circuit in opened.find(query)] for opened in (database, server))
            assert ours == theirs
        assert server.document(["m", "other"]) == database.document(["m", "other"])
        assert server.directions("m") == database.directions("m")
        assert server.models() == database.models()
        for change in (
            lambda: server.add_directions("m/stem", [np.ones(5)]),
            lambda: server.delete_direction("m/joined:7"),
        ):
            with pytest.raises(InputError, match="does not hold every kernel of m, as directions need"):
                change()
        server.delete("m")
        assert server.count(QUERIES[0]) == 0
        server.import_document(database.document(["m"]))
        assert server.directions("m") == database.directions("m")
    with closing(Neo4jStore(neo4j_address)) as store, pytest.raises(InputError, match="no model"):
        store.read("nothing")


def test_whole_graphs_leave_and_enter_with_their_directions(
    database: Database, tmp_path: Path, command: Command
) -> None:
    database.add_directions("m/joined", [np.ones(7)], ["all"])
    wanted = database.document(["m"])
    for name in ("graph.json", "graph.parquet"):
        done = command("export", "--graph", "m", "-o", str(tmp_path / name), db=database.address)
        assert done.code == 0, done.err
        there = tmp_path / f"{name}.duckdb"
        assert command("import", str(tmp_path / name), db=there).code == 0
        with circuitdb.open(str(there)) as other:
            assert other.document(["m"]) == wanted
    done = command("export", "--neo4j-admin", str(tmp_path / "csv"), db=database.address)
    assert done.code == 0, done.err
    [header, row] = (tmp_path / "csv" / "0-directions.csv").read_text().splitlines()
    assert "coefficients:double[]" in header.split(",")
    [unit] = database.directions("m")
    assert "\x1f".join(map(repr, unit["coefficients"])) in row


def test_a_change_that_fails_or_is_killed_leaves_the_file_as_it_was(path: str) -> None:
    store = DuckDBStore(path)
    before = Path(path).read_bytes()

    def fail(graph: ModelGraph) -> ModelGraph:
        raise CircuitdbError("no")

    with pytest.raises(CircuitdbError, match="no"):
        store.rewrite("m", fail)
    with pytest.raises(InputError):  # what comes of the change is checked
        store.rewrite("m", lambda graph: replace(graph, units=graph.units.slice(1)))
    assert Path(path).read_bytes() == before
    program = (
        "import os, signal, sys\n"
        "from circuitdb.backends.duckdb import rows\n"
        "from circuitdb.database import Database\n"
        "insert = rows.insert\n"
        "def killed(connection, name, *rest):\n"
        "    insert(connection, name, *rest)\n"
        "    if name == 'edge':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "rows.insert = killed\n"
        "Database(sys.argv[1]).add_directions('m/stem', [[1, 2, 3, 4, 5]])\n"
    )
    documents = []
    for kill in (False, True):
        if kill:
            root = Path(__file__).resolve().parent.parent
            environment = os.environ | {"PYTHONPATH": str(root)}
            done = subprocess.run([sys.executable, "-c", program, path], env=environment, check=False)
            assert done.returncode == -signal.SIGKILL
        with circuitdb.open(path) as database:
            documents.append(database.document(["m", "other"]))
    assert documents[0] == documents[1]


def test_the_commands_add_list_show_and_delete(command: Command, path: str, tmp_path: Path) -> None:
    done = command("direction", "add", "m/joined", "0=3", "4=-4", "--label", "blob", "--source", "me", db=path)
    assert (done.code, done.out) == (0, "")
    assert done.err.strip() == "m/joined:7 takes -0.8 of 4, +0.6 of 0"
    np.save(tmp_path / "three.npy", np.eye(7, dtype=np.float32)[:3] + 1)
    (tmp_path / "labels.txt").write_text("one\n\nthree\n")
    done = command(
        *("direction", "import", "m/joined", str(tmp_path / "three.npy"), "--format", "json"),
        *("--labels", str(tmp_path / "labels.txt")),
        db=path,
    )
    assert [row["unit"] for row in done.json["directions"]] == ["m/joined:8", "m/joined:9", "m/joined:10"]
    assert [len(row["labels"]) for row in done.json["directions"]] == [1, 0, 1]
    listed = command("direction", "ls", "m", "--format", "json", db=path).json["directions"]
    assert [row["unit"] for row in listed] == [f"m/joined:{index}" for index in (7, 8, 9, 10)]
    assert listed[0]["coefficients"] == pytest.approx([0.6, 0, 0, 0, -0.8, 0, 0])
    table = command("direction", "ls", "m", db=path).out
    assert "-0.8 of 4, +0.6 of 0" in table
    assert "+0.277 of 6" not in table
    assert "and 1 more" in table
    assert len(command("direction", "ls", "m", "--format", "csv", db=path).csv) == 4
    assert command("direction", "ls", "other", db=path).out.strip() == "no directions"
    shown = command("show", "m/joined:7", db=path)
    assert "takes -0.8 of 4, +0.6 of 0" in shown.out
    assert "kind direction" in shown.out
    shown = command("show", "m/joined:7", "--format", "json", db=path)
    assert len(shown.json["unit"]["coefficients"]) == 7
    layers = command("ls", "m", "--format", "json", db=path).json["models"][0]["layers"]
    assert [layer["directions"] for layer in layers] == [0, 4, 0, 0]
    assert "directions" in command("ls", "m", db=path).out
    assert "directions" not in command("ls", "other", db=path).out
    assert "direction" in command("ls", "m/joined", db=path).out
    [row] = [row for row in command("ls", "--format", "csv", db=path).csv if row["name"] == "m"]
    assert row["units"] == "29"
    done = command("direction", "rm", "m/joined:8", db=path)
    assert (done.code, done.err.strip()) == (0, "deleted m/joined:8")
    left = command("direction", "ls", "m", "--format", "csv", db=path).csv
    assert [row["unit"] for row in left] == ["m/joined:7", "m/joined:9", "m/joined:10"]
    assert command("direction", "rm", "m/joined:9", "--format", "json", db=path).json == {"deleted": ["m/joined:9"]}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "m/joint", "0=1"], "no layer 'joint' in m; did you mean joined"),
        (["add", "n/joined", "0=1"], "no model 'n'"),
        (["add", "joined", "0=1"], "'joined' may be any of m/joined, other/joined"),
        (["add", "m/joined:3", "0=1"], "'m/joined:3' is no layer"),
        (["add", "m/joined", "7=1"], "there is no neuron 7 in m/joined, which has 7"),
        (["add", "m/joined", "0=nan"], "'0=nan': a coefficient is a finite number"),
        (["add", "m/joined", "0=x"], "'0=x': 'x' is no number"),
        (["add", "m/joined", "0"], "'0' is no coefficient of a neuron"),
        (["add", "m/joined", "1=1", "1=2"], "neuron 1 is given twice"),
        (["add", "m/joined", "1=0"], "the coefficients of direction 0 are all 0"),
        (["import", "m/joined", "none.npy"], "cannot read none.npy: No such file"),
        (["import", "m/joined", "text.npy"], "text.npy is no array of NumPy"),
        (["import", "m/joined", "objects.npy"], "objects.npy is no array of NumPy: Object arrays cannot be loaded"),
        (["import", "m/joined", "short.npy"], "short.npy is no array of NumPy"),
        (["import", "m/joined", "several.npz"], "several.npz holds several arrays"),
        (["import", "m/joined", "texts.npy"], "coefficients are real numbers [direction, neuron]"),
        (["import", "m/joined", "flat.npy"], "coefficients are [direction, neuron]; these have 1 dimensions"),
        (["import", "m/joined", "narrow.npy"], "coefficients for 5 neurons, but m/joined has 7"),
        (["import", "m/joined", "infinite.npy"], "the coefficients of direction 1 hold NaN or infinity"),
        (["import", "m/joined", "empty.npy"], "there are no coefficients for any direction"),
        (["import", "m/joined", "good.npy", "--labels", "labels.txt"], "3 labels for 2 directions"),
        (["ls", "mm"], "no model 'mm'"),
        (["rm", "m/joined:0"], "m/joined:0 is a neuron; only directions can be deleted"),
        (["rm", "m/joined:70"], "no unit 'm/joined:70'"),
    ],
)
def test_each_mistake_gets_a_sentence_and_changes_nothing(
    command: Command, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    good = np.ones((2, 7))
    np.save("good.npy", good)
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("texts.npy", np.array([["a"] * 7]))
    np.save("flat.npy", good[0])
    np.save("narrow.npy", good[:, :5])
    np.save("infinite.npy", np.stack([good[0], np.full(7, np.inf)]))
    np.save("empty.npy", good[:0])
    np.savez("several.npz", good=good)
    Path("text.npy").write_text("0.5, 0.5")
    Path("short.npy").write_bytes(Path("good.npy").read_bytes()[:-20])
    Path("labels.txt").write_text("a\nb\nc\n")
    before = Path(path).read_bytes()
    done = command("direction", *arguments, db=path)
    assert done.code == 2
    assert sentence in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert Path(path).read_bytes() == before


def test_a_model_that_was_imported_cannot_have_directions_added(command: Command, tmp_path: Path) -> None:
    DuckDBStore(str(tmp_path / "toy.duckdb")).write(graph_of({"L0": 3, "L1": 2}, [("L0:0", "L1:0", 1.0)]))
    done = command("direction", "add", "toy/L0", "1=1", db=tmp_path / "toy.duckdb")
    assert done.code == 2
    assert "directions need every kernel" in done.err
