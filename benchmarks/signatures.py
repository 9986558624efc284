"""How far correlations told by signatures are from the exact ones, on real networks and photographs.

In come the weights of two networks and a probe set, out comes a row for each number of numbers a picture. The exact
correlations are those of the mean responses over the parts of each picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.table import Row
from benchmarks.zoo import TRAINED
from ingest.probes import ProbeSet, load_probes
from ingest.probing import feature_steps, known_preprocessing
from ingest.responses import part_means
from ingest.signatures import NUMBERS, cosines, count_sketch, quantised
from ingest.sources import load

Floats = npt.NDArray[np.float32]

NETWORKS = {name: TRAINED[name] for name in ("inceptionv1", "alexnet")}
UNITS = 64
"""Units of each layer, at random, whose pairs are looked at."""

SIZES = (16, 32, 49, 64, NUMBERS, 98)


def rows(models: Path, pictures: Path) -> Iterator[Row]:
    """A row for each size: errors of pairs within InceptionV1, layer and next layer, and of all pairs of two models."""
    probes = load_probes(str(pictures))
    networks = [parts_of(name, models / file, probes) for name, file in NETWORKS.items()]
    for numbers in SIZES:
        told = [[_sketched(layer, numbers) for layer in network] for network in networks]
        here = _errors(networks[0], told[0], networks[0], told[0], near=True)
        across = _errors(networks[0], told[0], networks[1], told[1], near=False)
        name = f"{numbers} a picture{' (ours)' if numbers == NUMBERS else ''}"
        yield Row(f"{name}, 1 model", f"rms {_rms(here):.3f}", f"99 in 100 below {_most(here):.3f}")
        yield Row(f"{name}, 2 models", f"rms {_rms(across):.3f}", f"99 in 100 below {_most(across):.3f}")


def parts_of(name: str, weights: Path, probes: ProbeSet) -> list[Floats]:
    """The mean responses over parts of the pictures [unit, picture, part] of some units of every layer."""
    source = load(name, str(weights), partial=True)
    preprocessing = known_preprocessing(source)
    layers = list(feature_steps(source, preprocessing).values())
    random = np.random.default_rng(0)
    chosen = [random.choice(layer.width, min(UNITS, layer.width), replace=False) for layer in layers]
    taken: list[list[Floats]] = [[] for _ in layers]

    def take(place: int, pictures: slice, means: Floats) -> None:
        taken[place].append(means[:, chosen[place]].swapaxes(0, 1))

    part_means(source.loaded.network, layers, preprocessing, probes, take)
    whole = [np.concatenate(some, axis=1) for some in taken]
    return [means - means.mean(axis=(1, 2), keepdims=True) for means in whole]


def _sketched(parts: Floats, numbers: int) -> npt.NDArray[np.int8]:
    return quantised(parts @ count_sketch(numbers).T.astype(np.float32))


def _errors(
    exact: Sequence[Floats],
    told: Sequence[npt.NDArray[np.int8]],
    other_exact: Sequence[Floats],
    other_told: Sequence[npt.NDArray[np.int8]],
    near: bool,
) -> Floats:
    """The errors of all pairs of units; near: of a layer and the next one, each pair of different units once."""
    found = []
    for i, j in product(range(len(exact)), range(len(other_exact))):
        if near and j - i not in (0, 1):
            continue
        error = cosines(told[i], other_told[j]) - cosines(exact[i], other_exact[j])
        found.append(error[np.triu_indices(len(error), 1)] if near and i == j else error.ravel())
    return np.concatenate(found).astype(np.float32)


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _most(errors: Floats) -> float:
    return float(np.quantile(np.abs(errors), 0.99))
