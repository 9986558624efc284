"""Finding curve and high-low frequency detectors by their tuning: on a network in which they are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.essay_rows import CURVE, HIGH_LOW, Tuned, curves, high_lows
from ingest.architectures import handwritten
from ingest.probes import load_probes
from ingest.probing import feature_steps, known_preprocessing
from ingest.responses import measure
from ingest.sources import load


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
