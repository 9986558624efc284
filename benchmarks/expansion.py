"""Expanded weights beside the field's usual way and beside the floor that arithmetic sets.

The usual way: the layers between two feature layers, made linear (no ReLU, max pool -> average pool), and one call of
`torch.autograd.grad` for each output unit, on maps just large enough for one whole kernel. It is timed on a sample of
each layer's units and scaled. The floor: the multiply-adds that the expansion executes, counted by PyTorch while it
runs, at the speed of a matrix product of the same machine in the same run.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import best_of, once
from benchmarks.table import Row, faster, seconds
from ingest.architectures.inceptionv1 import BLOCKS
from ingest.expand import expand, expanded_segments
from ingest.layers import find_layers
from ingest.linearise import linearise
from ingest.sources import load
from ingest.tracing import trace

SAMPLE = 24
ROUNDS = 5
MATRIX = 2048


def rows(weights: str) -> list[Row]:
    """The expansion beside the usual way, and beside the floor."""
    source = load("inceptionv1", weights)
    network = source.loaded.network.eval()

    traced = trace(network, source.example)
    steps = linearise(traced)
    layers = find_layers(traced, steps, None, source.layer_names).layers

    def kernels() -> None:
        with torch.no_grad():
            for _ in expanded_segments(steps, layers, ()):
                pass

    ways = {
        "kernels": kernels,
        "all": lambda: expand(network, source.example, names=source.layer_names),
        "tracing": lambda: trace(network, source.example),
    }
    usual, units = usual_way(network)
    best = best_of(ways, ROUNDS)
    rate = matrix_speed()
    work = multiply_adds(kernels)
    floor = work / rate
    ratio = best["kernels"] / floor
    sample = f"autograd, {SAMPLE} units a layer scaled to {units:,}:"
    return [
        Row("tracing", seconds(best["tracing"])),
        Row("all of it (tracing, tables, hashes)", seconds(best["all"])),
        faster("kernels, weights and strengths", best["kernels"], sample, usual, 40),
        Row(
            f"floor: {work / 1e9:.2f} G multiply-adds",
            seconds(best["kernels"]),
            f"{seconds(floor)} at {rate / 1e9:,.0f} G/s",
            f"{ratio:.1f}×",
            "≤ 10×",
            ratio <= 10,
        ),
    ]


def matrix_speed() -> float:
    """Multiply-adds a second of a product of two square matrices in single precision."""
    a, b = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    return MATRIX**3 / best_of({"product": lambda: a @ b}, ROUNDS)["product"]


def multiply_adds(way: Callable[[], object]) -> float:
    """How many multiply-adds of matrix products and convolutions a function executes."""
    counter = FlopCounterMode(display=False)
    with counter:
        way()
    return counter.get_total_flops() / 2


def usual_way(network: nn.Module) -> tuple[float, int]:
    """Seconds for all units of all layers, scaled from a sample of each, and how many units these are."""
    total, units = 0.0, 0
    for width, cells, layer in _layers(network):
        picture = torch.zeros(1, width, cells, cells, requires_grad=True)
        made, taken = once(lambda layer=layer, picture=picture: layer(picture))
        rows_, columns = made.shape[2:]
        chosen = range(0, made.shape[1], max(1, made.shape[1] // SAMPLE))
        started = time.perf_counter()
        for unit in chosen:
            torch.autograd.grad(made[0, unit, rows_ // 2, columns // 2], picture, retain_graph=True)
        total += taken + (time.perf_counter() - started) / len(chosen) * made.shape[1]
        units += made.shape[1]
    return total, units


def _layers(network: nn.Module) -> list[tuple[int, int, Callable[[Tensor], Tensor]]]:
    """For each feature layer: width of the one before, cells a side that hold one whole kernel, the linear map."""
    linear = copy.deepcopy(network).requires_grad_(False)
    for module in list(linear.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode, False)
                setattr(module, name, pool)
    parts = dict(linear.named_children())
    pool = parts["pool"]
    layers: list[tuple[int, int, Callable[[Tensor], Tensor]]] = [
        (3, 15, parts["conv2d0"].conv),
        (64, 7, nn.Sequential(pool, parts["conv2d1"].conv)),
        (64, 5, parts["conv2d2"].conv),
    ]
    width = parts["conv2d2"].conv.out_channels
    for block in BLOCKS:
        behind_pool = block in ("mixed3a", "mixed4a", "mixed5a")
        layer = nn.Sequential(pool, parts[block]) if behind_pool else parts[block]
        layers.append((width, 15 if behind_pool else 7, layer))
        width = parts[block].outputs
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, parts["softmax"].out_features, 1))
    layers.append((width, 7, head.requires_grad_(False)))
    return layers
