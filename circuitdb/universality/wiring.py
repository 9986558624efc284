"""Whether matching by response predicts the wiring: weights between units of one model beside those of their partners.

In come two models with their weights and the matches of the first's units, out comes a row for every two pairs of
layers: how often the signs agree, and how the signed shares go together, beside the same for other matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats

from circuitdb.backends.base import ModelGraph, Row, Store
from circuitdb.universality.decoys import Decoys, permuted
from circuitdb.universality.signatures import Layer, Signatures, Whole, read_signatures
from circuitdb.universality.table import DECOYS, PERMUTED, read_analogues

Doubles = npt.NDArray[np.float64]
FEWEST_PAIRS = 100
"""Pairs of units below which two pairs of layers are left out."""


@dataclass(frozen=True)
class Weights:
    """Signed shares [target, source] of the neurons of every pair of joined layers: sign(weight) times share."""

    layers: tuple[Layer, ...]
    shares: Mapping[tuple[int, int], Doubles]

    @staticmethod
    def of(graph: ModelGraph, layers: tuple[Layer, ...]) -> Weights:
        """From the dense matrices of a model; where a store keeps none, from its edges, with 0 for the others."""
        place = {layer.name: number for number, layer in enumerate(layers)}
        if graph.dense:
            energy: dict[int, Doubles] = {}
            for (_, target), dense in graph.dense.items():
                squares = np.square(dense.strength.astype(np.float64)).sum(axis=1)
                energy[place[target]] = energy.get(place[target], np.zeros(len(squares))) + squares
            shares = {}
            for (source, target), dense in graph.dense.items():
                whole = np.where(energy[place[target]] > 0, energy[place[target]], 1)[:, None]
                shares[place[source], place[target]] = (
                    np.sign(dense.weight) * np.square(dense.strength.astype(np.float64)) / whole
                )
            return Weights(layers, shares)
        layer_of = np.repeat(np.arange(len(layers)), [layer.width for layer in layers])
        start = np.array([layer.start for layer in layers])
        kind = np.asarray(graph.edges["kind"]).astype(str)
        neuron = are_neurons(layers)
        ends = [np.asarray(graph.edges[end]).astype(np.int64) for end in ("source", "target")]
        counted = (kind != "SKIP") & neuron[ends[0]] & neuron[ends[1]]
        sources, targets = (end[counted] for end in ends)
        share, weight = (np.asarray(graph.edges[name]).astype(np.float64)[counted] for name in ("share", "weight"))
        shares = {}
        for one, other in {(int(a), int(b)) for a, b in zip(layer_of[sources], layer_of[targets], strict=True)}:
            here = (layer_of[sources] == one) & (layer_of[targets] == other)
            matrix = np.zeros((layers[other].neurons, layers[one].neurons))
            matrix[targets[here] - start[other], sources[here] - start[one]] = (np.sign(weight) * share)[here]
            shares[one, other] = matrix
        return Weights(layers, shares)


@dataclass(frozen=True)
class Agreement:
    """Of pairs of units whose partners lie in one pair of layers.

    pairs: how many there are; signs: part of them, among those with weights on both sides, of equal sign; rank:
    Spearman's correlation of the signed shares.
    """

    pairs: int
    signs: float
    rank: float


def edge_agreement(
    store: Store, a: str, b: str, *, samples: int = 20, seed: int = 0, layers: tuple[str, str] | None = None
) -> list[Row]:
    """For every pair of layers of A and of B between which enough matched pairs lie, how far the weights agree.

    Parameters
    ----------
    samples, seed
        How often matches are permuted and swapped for decoys.
    layers
        Of A, to look at one pair alone.

    Raises
    ------
    InputError
        If the models were not probed or joined.
    """
    one, two = read_signatures(store, [a, b])
    matches = read_analogues(store, [one, two], 1, both=False)[a, b]
    weights = [Weights.of(store.read(side.model), side.layers) for side in (one, two)]
    random = np.random.default_rng(seed)
    decoys = Decoys.of(matches, np.flatnonzero(matches[:, 0] >= 0), one, two, random)
    draws: dict[str, Callable[[], Whole]] = {
        PERMUTED: lambda: permuted(matches, one.layer_of(), random)[:, 0],
        DECOYS: lambda: decoys.drawn(random)[:, 0],
    }
    observed = agreements(weights[0], weights[1], matches[:, 0])
    nulls = {name: [agreements(weights[0], weights[1], draw()) for _ in range(samples)] for name, draw in draws.items()}
    return [
        _row(one, two, key, found, nulls)
        for key, found in sorted(observed.items())
        if layers is None or layers == (one.layers[key[0]].name, one.layers[key[1]].name)
    ]


def agreements(a: Weights, b: Weights, matches: Whole) -> dict[tuple[int, int, int, int], Agreement]:
    """By source and target layer of A and of B how far the weights agree. matches: [unit of A], unit of B or -1.

    Directions are left out: the weights of all pairs are those of neurons.
    """
    layer_of = np.repeat(np.arange(len(b.layers)), [layer.width for layer in b.layers])
    of_neurons = are_neurons(a.layers) & are_neurons(b.layers)[matches]
    matches = np.where(of_neurons, matches, -1)
    found = {}
    for (source, target), shares in a.shares.items():
        sides = [_by_layer(matches[a.layers[end].start : a.layers[end].stop], layer_of) for end in (source, target)]
        for (other_source, other_target), other_shares in b.shares.items():
            if other_source not in sides[0] or other_target not in sides[1]:
                continue
            columns, rows = sides[0][other_source], sides[1][other_target]
            if len(rows) * len(columns) < FEWEST_PAIRS:
                continue
            partners = [
                matches[a.layers[end].start + units] - b.layers[layer].start
                for end, units, layer in ((target, rows, other_target), (source, columns, other_source))
            ]
            x = shares[np.ix_(rows, columns)].ravel()
            y = other_shares[np.ix_(partners[0], partners[1])].ravel()
            found[source, target, other_source, other_target] = _agreement(x, y)
    return found


def are_neurons(layers: Sequence[Layer]) -> npt.NDArray[np.bool_]:
    """Which units of a model are neurons [unit]."""
    return np.concatenate([np.arange(layer.width) < layer.neurons for layer in layers])


def _by_layer(matches: Whole, layer_of: Whole) -> dict[int, Whole]:
    """By layer of B the units of one layer of A, from 0, whose matches lie there."""
    units = np.flatnonzero(matches >= 0)
    layers = layer_of[matches[units]]
    return {int(layer): units[layers == layer] for layer in np.unique(layers)}


def _agreement(x: Doubles, y: Doubles) -> Agreement:
    both = (x != 0) & (y != 0)
    signs = float((np.sign(x[both]) == np.sign(y[both])).mean()) if both.any() else float("nan")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Agreement(len(x), signs, float("nan"))
    return Agreement(len(x), signs, float(scipy.stats.spearmanr(x, y).statistic))


def _row(
    a: Signatures,
    b: Signatures,
    key: tuple[int, int, int, int],
    observed: Agreement,
    nulls: Mapping[str, Sequence[Mapping[tuple[int, int, int, int], Agreement]]],
) -> Row:
    row: Row = {
        "a": f"{a.layers[key[0]].name} -> {a.layers[key[1]].name}",
        "b": f"{b.layers[key[2]].name} -> {b.layers[key[3]].name}",
        "pairs": observed.pairs,
        "signs": observed.signs,
        "spearman": observed.rank,
    }
    chance = {}
    for name, samples in nulls.items():
        found = [sample[key] for sample in samples if key in sample]
        chance[name] = {
            "signs": _mean([one.signs for one in found]),
            "spearman": _mean([one.rank for one in found]),
            "spearman_sd": _sd([one.rank for one in found]),
        }
    return {**row, "nulls": chance}


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _sd(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None
