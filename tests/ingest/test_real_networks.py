"""The five real networks go in by the command, and what comes out is what their weights say.

Expected kernels are computed here from the weights files alone: products of bottleneck and convolution, or Jacobians
of a network written down without ReLUs and with average pools.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.cli import build_app
from ingest.architectures.inceptionv1 import LAYERS
from ingest.expand import Expansion, expand
from ingest.sources import Source, load

BVLC_WIDTHS = [64, 64, 192, 256, 480, 512, 512, 512, 528, 832, 832, 1024, 1000]
GIGABYTE = 2**30
# A process's own resource usage would count the memory of the process that it was forked from.
TELL_MEMORY = """
import atexit, pathlib
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(next(l for l in status.read_text().splitlines() if l.startswith("VmHWM")).split()[1]))
from circuitdb.cli import main
main()
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo") / "zoo.duckdb"


@pytest.fixture(scope="module")
def largest_process(zoo: Path, weights_file: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> int:
    """Bytes that the ingest of InceptionV1 took at most, in a process where torchvision cannot be imported."""
    broken = tmp_path_factory.mktemp("broken")
    (broken / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            TELL_MEMORY,
            "ingest",
            "inceptionv1",
            "--weights",
            weights_file("inceptionv1"),
            "--db",
            zoo,
        ],
        check=True,
        env=os.environ | {"PYTHONPATH": str(broken)},
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout.split()[-1]) * 1024


@pytest.fixture(scope="module")
def ingest(zoo: Path, weights_file: Callable[[str], Path]) -> Callable[..., ModelGraph]:
    """Ingest a network by the command into the one database."""

    def run(network: str, *options: str) -> ModelGraph:
        arguments = ["ingest", network, "--weights", str(weights_file(network)), "--db", str(zoo), *options]
        result = CliRunner().invoke(build_app(), [*arguments, "--format", "json"])
        assert result.exit_code == 0, result.output
        summary = json.loads(result.stdout)
        graph = open_store(str(zoo)).read(network)
        tables = (graph.layers, graph.units, graph.edges)
        assert [summary[name] for name in ("layers", "units", "edges")] == [table.num_rows for table in tables]
        assert summary["absent"] == graph.model["absent"]
        return graph

    return run


def layer_widths(graph: ModelGraph) -> dict[str, int]:
    layers = graph.layers.sort_by("depth")
    return dict(zip(layers["name"].to_pylist(), layers["width"].to_pylist(), strict=True))


def test_inceptionv1_goes_in_by_the_command_within_two_gigabytes_and_without_torchvision(
    zoo: Path, largest_process: int
) -> None:
    graph = open_store(str(zoo)).read("inceptionv1")
    assert layer_widths(graph) == dict(zip(LAYERS, BVLC_WIDTHS, strict=True))
    assert graph.units.num_rows == 6808
    assert 260_000 < graph.edges.num_rows < 280_000
    assert graph.model["architecture"] == "inceptionv1 (bvlc)"
    assert largest_process < 2 * GIGABYTE


@pytest.mark.parametrize(
    ("network", "widths"),
    [
        ("alexnet", {"conv1": 64, "conv2": 192, "conv3": 384, "conv4": 256, "conv5": 256}),
        (
            "vgg16",
            {f"conv{block}_{place}": width for block, width in ((1, 64), (2, 128)) for place in (1, 2)}
            | {f"conv{block}_{place}": width for block, width in ((3, 256), (4, 512), (5, 512)) for place in (1, 2, 3)},
        ),
        (
            "squeezenet1_1",
            {"conv1": 64, "fire2": 128, "fire3": 128, "fire4": 256, "fire5": 256}
            | {"fire6": 384, "fire7": 384, "fire8": 512, "fire9": 512, "conv10": 1000},
        ),
    ],
)
def test_torchvisions_networks_have_the_layers_of_the_literature(
    ingest: Callable[..., ModelGraph], network: str, widths: dict[str, int]
) -> None:
    graph = ingest(network)
    assert layer_widths(graph) == widths
    assert graph.model["absent"] == (["classifier"] if network in ("alexnet", "vgg16") else [])


@pytest.fixture(scope="module")
def caffe(weights_file: Callable[[str], Path]) -> dict[str, Tensor]:
    """BVLC's weights under Caffe's names."""
    return load_file(weights_file("inceptionv1"))


@pytest.fixture(scope="module")
def expanded(bvlc: Source) -> Expansion:
    """InceptionV1 with every kernel."""
    return expand(bvlc.loaded.network, bvlc.example, dense=True, names=bvlc.layer_names)


def block_product(weights: Mapping[str, Tensor], block: str) -> npt.NDArray[np.float32]:
    """Expanded weights of an inception block from its input: [target, source, 5, 5], centred."""
    name = f"inception_{block}"
    one = weights[f"{name}/1x1.weight"]
    three = torch.einsum(
        "tmyx,ms->tsyx", weights[f"{name}/3x3.weight"], weights[f"{name}/3x3_reduce.weight"][:, :, 0, 0]
    )
    five = torch.einsum(
        "tmyx,ms->tsyx", weights[f"{name}/5x5.weight"], weights[f"{name}/5x5_reduce.weight"][:, :, 0, 0]
    )
    pool = (weights[f"{name}/pool_proj.weight"] / 9).expand(-1, -1, 3, 3)
    framed = [functional.pad(kernel, [(5 - kernel.shape[-1]) // 2] * 4) for kernel in (one, three, five, pool)]
    return torch.cat(framed).numpy()


def block_jacobian(weights: Mapping[str, Tensor], block: str, at: int = 3) -> npt.NDArray[np.float32]:
    """Jacobian of an inception block behind a 3x3 average pool of stride 2, at an interior position.

    [target, source, 13, 13], the target at row and column `at` of the block's output, where no padding is felt. Every
    target has a picture of its own, so that one gradient gives all rows.
    """
    name = f"inception_{block}"

    def convolve(x: Tensor, part: str, padding: int = 0) -> Tensor:
        return functional.conv2d(x, weights[f"{name}/{part}.weight"], padding=padding)

    width = sum(len(weights[f"{name}/{part}.weight"]) for part in ("1x1", "3x3", "5x5", "pool_proj"))
    source = torch.zeros(
        width, weights[f"{name}/1x1.weight"].shape[1], 13, 13, requires_grad=True
    )  # one for each target
    pooled = functional.avg_pool2d(source, 3, stride=2)
    one = convolve(pooled, "1x1")
    three = convolve(convolve(pooled, "3x3_reduce"), "3x3", 1)
    five = convolve(convolve(pooled, "5x5_reduce"), "5x5", 2)
    pool = convolve(functional.avg_pool2d(pooled, 3, stride=1, padding=1), "pool_proj")
    [jacobian] = torch.autograd.grad(torch.cat([one, three, five, pool], 1)[:, :, at, at].trace(), source)
    return jacobian.numpy()


def segment_edges(expansion: Expansion, source: str, target: str) -> dict[str, npt.NDArray[Any]]:
    """The edges of one pair of layers, by column; `source` and `target` are indices within the layers."""
    layer = np.array(expansion.units["layer"].to_pylist())
    index = expansion.units["index"].to_numpy()
    table = expansion.edges
    ends = {end: table[end].to_numpy() for end in ("source", "target")}
    rows = np.flatnonzero((layer[ends["source"]] == source) & (layer[ends["target"]] == target))
    chosen = table.take(rows)
    columns = {name: np.array(chosen[name].to_pylist(), dtype=object) for name in ("kernel",)}
    columns |= {
        name: chosen[name].to_numpy()
        for name in ("weight", "strength", "share", "kernel_h", "kernel_w", "offset_y", "offset_x")
    }
    return columns | {end: index[values[rows]] for end, values in ends.items()}


def framed_at(
    kernels: npt.NDArray[Any], offset: tuple[float, float], shape: tuple[int, int], first: tuple[float, float]
) -> npt.NDArray[np.float32]:
    """Kernels [..., y, x] that begin at `offset`, in a frame of zeros that begins at `first`."""
    height, width = kernels.shape[-2:]
    frame = np.zeros((*kernels.shape[:-2], *shape), np.float32)
    y, x = offset[0] - first[0], offset[1] - first[1]
    assert y == int(y) >= 0
    assert x == int(x) >= 0
    assert y + height <= shape[0]
    assert x + width <= shape[1]
    frame[..., int(y) : int(y) + height, int(x) : int(x) + width] = kernels
    return frame


def assert_segment_is(
    expansion: Expansion, source: str, target: str, expected: npt.NDArray[np.float32], first: tuple[float, float]
) -> None:
    """Weight and strength of all pairs, every kernel, and the kernels of the edges are those of `expected`.

    expected: [target, source, y, x], beginning at `first` from the target's centre.
    """
    scale = np.abs(expected).max()
    dense = expansion.dense[source, target]
    np.testing.assert_allclose(dense.weight, expected.sum((2, 3)), rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(dense.strength, np.sqrt((expected**2).sum((2, 3))), rtol=1e-4, atol=1e-5 * scale)

    found = np.zeros_like(expected)
    for block in dense.blocks:
        kernels = framed_at(block.kernels, (block.offset_y, block.offset_x), expected.shape[2:], first)
        found[np.ix_(block.targets, block.sources)] += kernels
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3 * scale)

    edges = segment_edges(expansion, source, target)
    assert len(edges["weight"]) > 1000
    shapes = np.stack([edges[name] for name in ("kernel_h", "kernel_w", "offset_y", "offset_x")], 1)
    for height, width, y, x in np.unique(shapes, axis=0):
        chosen = (shapes == (height, width, y, x)).all(1)
        kernels = np.stack([np.asarray(kernel) for kernel in edges["kernel"][chosen]])
        kernels = kernels.reshape(-1, int(height), int(width))
        here = framed_at(kernels, (y, x), expected.shape[2:], first)
        there = expected[edges["target"][chosen], edges["source"][chosen]]
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize(("source", "target"), [("mixed3a", "mixed3b"), ("mixed4c", "mixed4d")])
def test_kernels_of_an_inception_block_are_products_of_bottleneck_and_convolution(
    expanded: Expansion, caffe: dict[str, Tensor], source: str, target: str
) -> None:
    expected = block_product(caffe, target.removeprefix("mixed"))
    assert_segment_is(expanded, source, target, expected, (-2.0, -2.0))


@pytest.mark.parametrize(("source", "target"), [("conv2d2", "mixed3a"), ("mixed3b", "mixed4a")])
def test_kernels_through_a_pool_are_the_jacobian_of_the_network_with_average_pools(
    expanded: Expansion, caffe: dict[str, Tensor], source: str, target: str
) -> None:
    at = 3
    jacobian = block_jacobian(caffe, target.removeprefix("mixed"), at)
    layers = {row["name"]: row for row in expanded.layers.to_pylist()}
    centre = layers[target]["start_px"] + at * layers[target]["stride_px"]
    first = (layers[source]["start_px"] - centre) / layers[source]["stride_px"]
    assert_segment_is(expanded, source, target, jacobian, (first, first))


@pytest.fixture(scope="module")
def energies(expanded: Expansion) -> npt.NDArray[np.float64]:
    """Squared strength into each unit over all pairs, from the dense matrices: [units]."""
    units = expanded.units
    layer = np.array(units["layer"].to_pylist())
    total = np.zeros(units.num_rows)
    for (_, target), dense in expanded.dense.items():
        total[np.flatnonzero(layer == target)] += (dense.strength.astype(np.float64) ** 2).sum(1)
    return total


def test_shares_are_parts_of_all_pairs_and_sum_to_one(expanded: Expansion, energies: npt.NDArray[np.float64]) -> None:
    target = expanded.edges["target"].to_numpy()
    strength = expanded.edges["strength"].to_numpy().astype(np.float64)
    share = expanded.edges["share"].to_numpy().astype(np.float64)
    np.testing.assert_allclose(share, strength**2 / energies[target], rtol=1e-4, atol=1e-9)
    kept = np.bincount(target, share, minlength=len(energies))
    assert kept.max() < 1 + 1e-5
    in_norm = expanded.units["in_norm"].to_numpy(zero_copy_only=False).astype(np.float64)
    np.testing.assert_allclose(np.nan_to_num(in_norm), np.sqrt(energies), rtol=1e-4)


def test_shares_of_all_edges_into_a_unit_sum_to_one(weights_file: Callable[[str], Path]) -> None:
    source = load("alexnet", str(weights_file("alexnet")))
    everything = expand(source.loaded.network, source.example, keep="all", names=source.layer_names)
    share = everything.edges["share"].to_numpy().astype(np.float64)
    sums = np.bincount(everything.edges["target"].to_numpy(), share, minlength=everything.units.num_rows)
    depth = np.array(everything.units["layer"].to_pylist())
    np.testing.assert_allclose(sums[depth != "conv1"], 1, rtol=1e-5)
    assert (sums[depth == "conv1"] == 0).all()


def test_energy_kept_agrees_with_the_dense_matrices(expanded: Expansion, energies: npt.NDArray[np.float64]) -> None:
    source, target = (expanded.edges[end].to_numpy() for end in ("source", "target"))
    energy = expanded.edges["strength"].to_numpy().astype(np.float64) ** 2
    units = expanded.units
    layer = np.array(units["layer"].to_pylist())
    outgoing = np.zeros(units.num_rows)
    for (name, _), dense in expanded.dense.items():
        outgoing[np.flatnonzero(layer == name)] += (dense.strength.astype(np.float64) ** 2).sum(0)
    for end, total, column in ((target, energies, "energy_kept_in"), (source, outgoing, "energy_kept_out")):
        kept = np.bincount(end, energy, minlength=units.num_rows)
        told = units[column].to_numpy(zero_copy_only=False)
        some = total > 0
        np.testing.assert_allclose(told[some], kept[some] / total[some], rtol=1e-4)
        assert np.isnan(told[~some]).all()
    for row in expanded.segments.to_pylist():
        pair = layer[source] == row["source_layer"]
        pair &= layer[target] == row["target_layer"]
        total = (expanded.dense[row["source_layer"], row["target_layer"]].strength.astype(np.float64) ** 2).sum()
        assert row["energy_kept"] == pytest.approx(energy[pair].sum() / total, rel=1e-4)
        assert row["edges"] == pair.sum()


def test_resnetv2_goes_in_without_the_layers_that_the_file_lacks(ingest: Callable[..., ModelGraph]) -> None:
    graph = ingest("resnetv2_50", "--partial")
    widths = layer_widths(graph)
    blocks = {
        f"block{block}_unit_{unit}": 256 * 2 ** (block - 1)
        for block, units in ((1, 3), (2, 4), (3, 6))
        for unit in range(1, units + 1)
    }
    assert widths["conv1"] == 64
    assert {name: widths.get(name) for name in blocks} == blocks
    assert widths["block2_unit_1_conv1"] == widths["block2_unit_1_conv2"] == 128
    assert not any(name.startswith(("block4_unit_2", "block4_unit_3", "logits")) for name in widths)
    assert graph.model["absent"]
    assert graph.model["licence"] == "Apache-2.0"
    kinds = set(graph.edges["kind"].to_pylist())
    assert kinds == {"EXCITES", "INHIBITS", "SKIP"}
