"""Signatures made for tests: layers of units that answer to hidden features of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from circuitdb.universality.signatures import Layer, Signatures

PICTURES, NUMBERS = 48, 12


def signatures(name: str, layers: Sequence[npt.NDArray[np.floating]]) -> Signatures:
    """Signatures of responses [unit, picture, number], a layer each, quantised to int8 unit by unit."""
    responses = np.concatenate([np.asarray(layer, dtype=np.float64) for layer in layers])
    responses = responses - responses.mean(axis=(1, 2), keepdims=True)
    peak = np.abs(responses).max(axis=(1, 2), keepdims=True)
    numbers = np.round(127 * responses / np.where(peak > 0, peak, 1)).astype(np.int8)
    ends = np.cumsum([len(layer) for layer in layers]).tolist()
    starts = [0, *ends[:-1]]
    named = tuple(Layer(f"L{d}", d, start, end) for d, (start, end) in enumerate(zip(starts, ends, strict=True)))
    return Signatures(name, named, numbers, {"name": "made", "sha256": "0" * 64})


def noise(random: np.random.Generator, *widths: int) -> list[npt.NDArray[np.float64]]:
    """Layers of units that answer at random."""
    return [random.standard_normal((width, PICTURES, NUMBERS)) for width in widths]


def reordered(given: Signatures, name: str, order: npt.NDArray[np.int64]) -> Signatures:
    """The same units under other indices; `order` says for each place whose it is, within layers."""
    return replace(given, model=name, numbers=given.numbers[order])


def permutation(given: Signatures, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """An order of the units that stays within layers."""
    return np.concatenate([layer.start + random.permutation(layer.width) for layer in given.layers])


def random_network(pictures: npt.NDArray[np.float64], seed: int, widths: Sequence[int]) -> Signatures:
    """An untrained network of 3x3 convolutions and ReLUs on pictures [picture, channel, y, x], pooled to 4 x 4."""
    random = np.random.default_rng(seed)
    layers, x = [], pictures
    for width in widths:
        weights = random.standard_normal((width, x.shape[1], 3, 3)) / np.sqrt(9 * x.shape[1] / 2)
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        x = np.maximum(np.einsum("pcyxij,ucij->puyx", windows, weights, optimize=True), 0)
        side = x.shape[2] // 4 * 4
        pooled = x[:, :, :side, :side].reshape(len(x), width, 4, side // 4, 4, side // 4).mean(axis=(3, 5))
        layers.append(pooled.transpose(1, 0, 2, 3).reshape(width, len(x), 16))
    return signatures(f"random{seed}", layers)
