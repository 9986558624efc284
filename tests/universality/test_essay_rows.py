"""Finding curve and high-low frequency detectors by their tuning: on a network in which they are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import circuitdb
from benchmarks.essay_rows import CURVE, HIGH_LOW, SOURCE, Tuned, curves, high_lows, partners
from circuitdb.backends import open_store
from ingest.architectures import handwritten
from ingest.probes import load_probes
from ingest.probing import feature_steps, known_preprocessing
from ingest.responses import measure
from ingest.sources import load
from tests.graphs import graph_of, random_responses


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, dict[int, float]]]:
    """By kind and layer the units that are found in the handwritten network, with their directions."""
    source = load("handwritten")
    preprocessing = known_preprocessing(source)
    steps = feature_steps(source, preprocessing)
    pictures = load_probes("synthetic", min(preprocessing.size))
    measured = measure(source.loaded.network, list(steps.values()), preprocessing, pictures)
    kinds: dict[str, Callable[[npt.NDArray[np.float64], tuple[str, ...]], Tuned]]
    kinds = {CURVE: curves, HIGH_LOW: high_lows}
    everything: dict[str, dict[str, dict[int, float]]] = {}
    for kind, tune in kinds.items():
        for name, layer in zip(steps, measured.layers, strict=True):
            tuned = tune(layer.strongest.astype(np.float64), pictures.names)
            units = dict(zip(tuned.units.tolist(), tuned.directions.tolist(), strict=True))
            everything.setdefault(kind, {})[name] = units
    return everything


def known(layer: str, text: str) -> dict[int, float]:
    """The units of the handwritten network that were made for something, with their directions."""
    labels = (row for row in handwritten.LABELS["handwritten"] if row[0] == layer and row[2].startswith(text))
    return {index: float(label.rpartition(" ")[2].removesuffix("°")) for _, index, label in labels}


def test_the_curves_that_were_made_are_found_with_their_directions_and_nothing_else_of_their_layer(
    found: dict[str, dict[str, dict[int, float]]],
) -> None:
    made = known("curves", "curve ")
    assert len(made) == 8
    assert found[CURVE]["curves"] == made
    assert found[CURVE]["lines"] == {}


def test_a_border_unit_is_found_by_its_tuning_and_a_texture_unit_is_not() -> None:
    """The handwritten ones are no help: they do not answer to borders of so little contrast."""
    names = load_probes("synthetic", 80).names
    directions = np.array([45.0 * step for step in range(8)])
    borders = [names.index(f"fine and coarse {direction:g}°") for direction in directions]
    textures = [place for place, name in enumerate(names) if name.startswith("grating")]
    away = np.radians(directions - 135)
    units = np.zeros((5, len(names)))
    units[0, borders] = np.exp(2 * np.cos(away))
    units[1] = units[0]
    units[1, textures[3]] = 20  # one texture alone drives it more
    units[2, borders] = 1 + np.cos(2 * away)  # it does not tell a side from the other
    units[3, borders] = 3.0
    units[4] = -units[0]
    tuned = high_lows(units, names)
    assert (tuned.units.tolist(), tuned.directions.tolist()) == ([0], [135.0])


def test_partners_of_the_same_kind_are_counted_with_their_directions_beside_chance(tmp_path: Path) -> None:
    """Two networks that are one, in which only some units of one layer are curve detectors."""
    address = str(tmp_path / "twins.duckdb")
    store = open_store(address)
    for name in ("first", "second"):
        graph = graph_of({"a": 30, "b": 20}, [("a:0", "b:0", 1.0)], name=name)
        store.write(graph)
        store.write_responses(name, random_responses(np.random.default_rng(4), graph, pictures=40, numbers=16))
    store.close()
    with circuitdb.open(address) as database:
        for one, other in (("first", "second"), ("second", "first")):
            database.join(one, other, samples=1, best=1)
        for name, turned in (("first", 0.0), ("second", 22.5)):
            directions = {3: 45.0, 5: 90.0, 7: 340.0} if name == "first" else {3: 45.0, 7: 340.0}
            rows = [(f"{name}/a:{u}", f"{CURVE} {d + turned:g}°", SOURCE) for u, d in directions.items()]
            database.add_labels(rows)
        rows = [row for row in partners(database, ["first", "second"], samples=500) if row[2] == CURVE]
    for row, own, others in zip(rows, (3, 2), (2, 3), strict=True):
        assert row[3:6] == [own, others, 2]
        assert row[8] == "22.5°"
        # Each of the own units draws one of the layer's 30 partners.
        assert float(row[6].split()[0]) == pytest.approx(own * others / 30, abs=0.1)
        assert float(row[7]) < 0.03
    assert [row[:2] for row in rows] == [["first", "second"], ["second", "first"]]
