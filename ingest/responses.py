"""What the units of a network do on probes, and how alike each is on plain probes to each other on transformed ones.

In: a network, its feature layers, the directions in them, a probe set and maps. Out: a `Measured`: statistics,
strongest positions and sketches of every unit, and for each map the scores of all pairs of units of a layer. The
network runs over a few pictures at a time, once as they are and once under every map, and only these few pictures'
responses are in memory at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from circuitdb.backends.base import Progress
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.pattern.maps import MapName
from ingest.preprocessing import Preprocessing
from ingest.probes import Pictures, ProbeSet
from ingest.signatures import GRID, NUMBERS, count_sketch, parts
from ingest.steps import Step
from ingest.tracing import Node, follow
from ingest.transforms import Alignment, align, fixed_point, transformed

Reals = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

KEPT_BYTES = 400 << 20
"""How much of the untransformed pictures' responses may be in memory at once."""

MOST_PICTURES = 16
"""How many pictures the network sees at once at most."""

_ROWS = 1024
"""Positions that one product in single precision sums over; more lose digits."""

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True, eq=False)
class LayerResponses:
    """What the units of one layer do, its neurons first and then its directions.

    mean, sd, sparsity: [unit], over all positions of all pictures. strongest: [unit, picture], the largest response in
    each picture; cells: [unit, picture], where, counted row by row. sketches: [unit, picture, number], not yet
    quantised.
    """

    step: Step
    mean: Reals
    sd: Reals
    sparsity: Reals
    strongest: Floats
    cells: npt.NDArray[np.int32]
    sketches: Floats


@dataclass(frozen=True, eq=False)
class Measured:
    """The responses of every layer, in the layers' order, and for each map every layer's scores [unit, unit].

    scores[map][layer][a, b] is the correlation, over pictures x and positions p, of a(x)[p] and b(T x)[T p] (Olah et
    al. 2020, Naturally Occurring Equivariance); 0 where a unit does not change. Those of a map whose inverse is
    measured too, and was named before it, are the inverse's with a and b exchanged: the same sum, over the pictures
    that the inverse map has transformed.
    """

    layers: tuple[LayerResponses, ...]
    scores: Mapping[MapName, tuple[Floats, ...]]


def measure(
    network: nn.Module,
    layers: Sequence[Step],
    preprocessing: Preprocessing,
    probes: ProbeSet,
    maps: Sequence[MapName] = (),
    *,
    directions: Mapping[int, Reals] | None = None,
    batch: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Measured:
    """Run the network over the probes, once as they are and once under each map.

    Parameters
    ----------
    layers
        The steps whose units are measured, of the network's trace over two pictures (of one, a flattening hides which
        dimension is the pictures') at the size of `preprocessing`.
    directions
        By a layer's place among `layers`, the coefficients [direction, neuron] of its directions. Their responses are
        the coefficients times the neurons'.
    batch
        Pictures at a time; as many as fit into a bounded memory where it is None. The result does not depend on it,
        but for rounding.
    device
        Where the network runs and its responses are summed, as torch names it. The network is put back on the CPU.
    progress
        Is told how many runs over a batch are done.

    Raises
    ------
    InputError
        If a map turns pictures onto another shape, or recolours those of a network that sees no colours; if a response
        is not finite, or the network takes another way through its code than it was traced on; if torch does not have
        the device.
    CircuitdbError
        If the network fails on a device other than the CPU, for lack of memory or because a tensor of its own stays
        behind.
    """
    size = preprocessing.size
    _check(maps, preprocessing)
    at = _known_device(device)
    fixed = fixed_point(layers, size)
    along = _Along(layers, directions, at)
    sums = [
        _LayerSums(step, units, size, len(probes.names), at) for step, units in zip(layers, along.units, strict=True)
    ]
    inverse_of = _inverses(maps)
    run = [m for m in maps if m not in inverse_of]
    alignments = {m: [align(step, m.element, fixed, size).to(at) for step in layers] for m in run}
    scores = {m: [_ScoreSums(units, at) for units in along.units] for m in run}
    batches = list(_batches(len(probes.names), batch or _batch(layers, along.units)))
    done, total = 0, len(batches) * (1 + len(run))

    def keep(some: slice, plain: dict[int, Tensor], place: int, rows: Tensor) -> None:
        plain[place] = sums[place].add(along(place, rows), some)

    def compare(m: MapName, plain: Mapping[int, Tensor], place: int, rows: Tensor) -> None:
        scores[m][place].add(plain[place], along(place, rows), sums[place].pivot, alignments[m][place])

    with _network_at(network, at):
        for some in batches:
            pictures = resized(probes.pictures[some], size).to(at)
            plain: dict[int, Tensor] = {}
            _run(network, layers, as_input(pictures, preprocessing), partial(keep, some, plain))
            done = _tell(progress, done, total)
            for m in run:
                moved = as_input(transformed(pictures, m.element, fixed), preprocessing)
                _run(network, layers, moved, partial(compare, m, plain))
                done = _tell(progress, done, total)
    found = {m: tuple(score.result(layer.pivot) for score, layer in zip(scores[m], sums, strict=True)) for m in run}
    found |= {m: tuple(layer.T for layer in found[undone]) for m, undone in inverse_of.items()}
    return Measured(tuple(layer.result() for layer in sums), {m: found[m] for m in maps})


def _known_device(name: str) -> torch.device:
    """The device of that name. `InputError` where torch does not have it, or not in double precision."""
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device).item()
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise InputError(f"torch cannot compute on {name!r} here; there is: {', '.join(there)}") from error
    return device


@contextmanager
def _network_at(network: nn.Module, device: torch.device) -> Iterator[None]:
    """The network on a device, with convolutions in whole single precision."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        network.to(device)
        try:
            yield
        except RuntimeError as error:
            if device.type == "cpu":
                raise
            raise CircuitdbError(f"the network failed on {device}: {str(error).splitlines()[0]}") from error
        finally:
            network.to("cpu")


def part_means(
    network: nn.Module,
    layers: Sequence[Step],
    preprocessing: Preprocessing,
    probes: ProbeSet,
    take: Callable[[int, slice, Floats], None],
    progress: Progress | None = None,
    *,
    directions: Mapping[int, Reals] | None = None,
) -> None:
    """Run the network over the probes, and hand over every layer's mean responses over parts of the pictures.

    `take` is told a layer's place, which pictures, and the means [picture, unit, part] of these, a few pictures at a
    time in their order. `directions` as for `measure`.

    Raises
    ------
    InputError
        If a response is not finite, or the network takes another way through its code than it was traced on.
    """
    size = preprocessing.size
    at_parts = [torch.from_numpy(parts(step, size).astype(np.float32)) for step in layers]
    along = _Along(layers, directions, torch.device("cpu"))
    batches = list(_batches(len(probes.names), _batch(layers, along.units)))

    def visit(some: slice, place: int, rows: Tensor) -> None:
        _refuse_infinite(rows, layers[place])
        take(place, some, (at_parts[place] @ along(place, rows)).transpose(1, 2).contiguous().numpy())

    done = 0
    for some in batches:
        _run(network, layers, as_input(resized(probes.pictures[some], size), preprocessing), partial(visit, some))
        done = _tell(progress, done, len(batches))


def _inverses(maps: Sequence[MapName]) -> dict[MapName, MapName]:
    """The maps that undo one that stands before them, with that one: its scores are theirs, read the other way."""
    inverse_of: dict[MapName, MapName] = {}
    for place, m in enumerate(maps):
        undone = next((other for other in maps[:place] if other.element.inverse() == m.element), None)
        if undone is not None and undone not in inverse_of:
            inverse_of[m] = undone
    return inverse_of


def resized(pictures: Pictures, size: tuple[int, int]) -> Tensor:
    """Pictures [picture, 3, y, x], 0..255, at the size of a network's input, bilinear and without aliasing."""
    made = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    if tuple(made.shape[2:]) == tuple(size):
        return made
    return functional.interpolate(made, size, mode="bilinear", antialias=True)


def as_input(pictures: Tensor, preprocessing: Preprocessing) -> Tensor:
    """What the network takes in, of pictures [picture, 3, y, x], RGB, 0..255."""
    if preprocessing.channels == "grey":
        pictures = torch.einsum("c,ncyx->nyx", torch.tensor(_LUMINANCE).to(pictures), pictures)[:, None]
    elif preprocessing.channels == "BGR":
        pictures = pictures.flip(1)
    low, high = preprocessing.range
    mean, std = (torch.tensor(values).to(pictures)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    made = ((pictures / 255 * (high - low) + low) - mean) / std
    return made.contiguous(memory_format=torch.channels_last)


def _check(maps: Sequence[MapName], preprocessing: Preprocessing) -> None:
    height, width = preprocessing.size
    for m in maps:
        if height != width and m.element.angle % 180:
            raise InputError(f"the network's input is {height}x{width}, and {m.text} needs a square one")
        if preprocessing.channels == "grey" and m.element.hue:
            raise InputError(f"the network sees no colours, so that {m.text} changes nothing for it")


class _Along:
    """Adds to the responses of each layer's neurons those of its directions. units: how many there are in all."""

    def __init__(self, layers: Sequence[Step], directions: Mapping[int, Reals] | None, device: torch.device) -> None:
        self._coefficients = {
            place: torch.from_numpy(coefficients.astype(np.float32)).to(device)
            for place, coefficients in (directions or {}).items()
        }
        self.units = [step.width + len(self._coefficients.get(place, ())) for place, step in enumerate(layers)]

    def __call__(self, place: int, rows: Tensor) -> Tensor:
        """The responses [..., unit] of a layer, from those of its neurons [..., neuron]."""
        if place not in self._coefficients:
            return rows
        return torch.cat([rows, rows @ self._coefficients[place].T], dim=-1)


def _batch(layers: Sequence[Step], units: Sequence[int]) -> int:
    """As many pictures as have the responses of so many units a layer in the memory that is allowed."""
    bytes_each = 4 * sum(count * step.cells[0] * step.cells[1] for step, count in zip(layers, units, strict=True))
    return max(1, min(MOST_PICTURES, KEPT_BYTES // max(bytes_each, 1)))


def _batches(pictures: int, batch: int) -> Iterator[slice]:
    return (slice(start, min(start + batch, pictures)) for start in range(0, pictures, batch))


def _tell(progress: Progress | None, done: int, total: int) -> int:
    if progress is not None:
        progress("probing", done + 1, total)
    return done + 1


def _run(network: nn.Module, layers: Sequence[Step], batch: Tensor, visit: Callable[[int, Tensor], None]) -> None:
    """One forward pass; `visit` is told each layer's place and responses [picture, cell, unit] as they come."""
    at = {step.index: place for place, step in enumerate(layers)}
    seen = 0

    def look(node: Node, result: Tensor) -> None:
        nonlocal seen
        place = at.get(node.index)
        if place is None:
            return
        traced = layers[place].node
        if node.operation != traced.operation or node.shape[1:] != traced.shape[1:]:
            raise InputError(
                f"{traced.place} is not where it was: the network does different things to several pictures"
            )
        visit(place, as_rows(result, layers[place]))
        seen += 1

    follow(network, batch, look)
    if seen < len(layers):
        raise InputError("the network does different things to several pictures than to one; it cannot be probed")


def as_rows(result: Tensor, step: Step) -> Tensor:
    """The responses of a step as [picture, cell, unit], cells row by row."""
    pictures = result.shape[0]
    if "cyx" in step.dims:
        return result.reshape(pictures, step.width, -1).transpose(1, 2).contiguous()
    order = [step.dims.index("n")]
    order += [place for name in ("y", "x") for place, dim in enumerate(step.dims) if dim == name]
    order += [place for place, dim in enumerate(step.dims) if dim == "c"]
    order += [place for place in range(len(step.dims)) if place not in order]
    return result.permute(order).reshape(pictures, step.cells[0] * step.cells[1], step.width).contiguous()


def _refuse_infinite(rows: Tensor, step: Step) -> None:
    if not bool(torch.isfinite(rows.sum())):
        raise InputError(f"{step.node.place} answers the probes with NaN or infinities")


class _LayerSums:
    """Statistics of one layer that grow batch by batch.

    Sums are taken about `pivot`, each unit's mean over the first batch, so that no digits are lost to a large mean.
    """

    def __init__(self, step: Step, units: int, size: tuple[int, int], pictures: int, device: torch.device) -> None:
        self.step = step
        self.pivot = torch.empty(0)
        at_parts = parts(step, size)
        sketch = count_sketch()
        self._sketch, self._constant, self._over_parts = (
            torch.from_numpy(values.astype(np.float32)).to(device)
            for values in (sketch @ at_parts, sketch.sum(1), at_parts.sum(0) / GRID**2)
        )
        self._count = 0
        self._sum, self._squares, self._part_mean = torch.zeros(3, units, dtype=torch.float64, device=device)
        self._silent = torch.zeros(units, dtype=torch.int64, device=device)
        self._strongest = np.empty((units, pictures), np.float32)
        self._cells = np.empty((units, pictures), np.int32)
        self._sketches = np.empty((units, pictures, NUMBERS), np.float32)

    def add(self, rows: Tensor, pictures: slice) -> Tensor:
        """Count in [picture, cell, unit]; returns it about the pivot."""
        _refuse_infinite(rows, self.step)
        if self._count == 0:
            self.pivot = rows.mean((0, 1))
        strongest, cells = rows.max(dim=1)
        self._strongest[:, pictures], self._cells[:, pictures] = strongest.T.cpu().numpy(), cells.T.cpu().numpy()
        self._silent += (rows <= 0).sum((0, 1))
        centred = rows - self.pivot
        self._sum += centred.sum((0, 1))
        self._squares += centred.square().sum((0, 1))
        self._count += rows.shape[0] * rows.shape[1]
        self._part_mean += (self._over_parts @ centred).sum(0)
        self._sketches[:, pictures] = (self._sketch @ centred).permute(2, 0, 1).cpu().numpy()
        return centred

    def result(self) -> LayerResponses:
        """What came of all batches."""
        mean = self._sum / self._count
        variance = (self._squares / self._count - mean.square()).clamp_min(0)
        part_mean = (self._part_mean / self._sketches.shape[1]).float()
        sketches = self._sketches - (part_mean[:, None] * self._constant).cpu().numpy()[:, None, :]
        changing = _changes(variance, mean + self.pivot)
        sketches[~changing.cpu().numpy()] = 0
        return LayerResponses(
            self.step,
            mean=(mean + self.pivot).cpu().numpy(),
            sd=variance.sqrt().cpu().numpy(),
            sparsity=(self._silent / self._count).cpu().numpy(),
            strongest=self._strongest,
            cells=self._cells,
            sketches=sketches,
        )


def _product(one: Tensor, other: Tensor) -> Tensor:
    """[unit, unit], double: the products of rows [position, unit] summed over positions, in blocks of single ones."""
    whole = len(one) - len(one) % _ROWS
    blocks, others = (rows[:whole].view(-1, _ROWS, rows.shape[1]) for rows in (one, other))
    product = torch.bmm(blocks.transpose(1, 2), others).sum(0, dtype=torch.float64)
    return product + one[whole:].T @ other[whole:]


def _changes(variance: Tensor, mean: Tensor) -> Tensor:
    """Whether a unit's response is more than one number and its rounding."""
    return variance > (1e-6 * mean).square()


class _ScoreSums:
    """The sums from which the correlations of all pairs of a layer's units come, for one map."""

    def __init__(self, units: int, device: torch.device) -> None:
        self._count = 0
        self._product = torch.zeros(units, units, dtype=torch.float64, device=device)
        self._sums, self._squares = torch.zeros(2, 2, units, dtype=torch.float64, device=device)

    def add(self, plain: Tensor, moved: Tensor, pivot: Tensor, alignment: Alignment) -> None:
        """Count in the responses [picture, cell, unit] to pictures, less the pivot, and to what a map makes of them."""
        one, other = alignment.of_sources(plain), alignment.of_targets(moved) - pivot
        self._count += len(one)
        self._product += _product(one, other)
        for place, rows in enumerate((one, other)):
            self._sums[place] += rows.sum(0)
            self._squares[place] += rows.square().sum(0)

    def result(self, pivot: Tensor) -> Floats:
        """[unit, unit]"""
        if self._count == 0:
            return self._product.float().cpu().numpy()
        mean = self._sums / self._count
        variance = (self._squares / self._count - mean.square()).clamp_min(0)
        changing = _changes(variance, mean + pivot)
        factor = torch.where(changing, variance.rsqrt(), 0.0)
        covariance = self._product / self._count - torch.outer(mean[0], mean[1])
        return (covariance * torch.outer(factor[0], factor[1])).clamp(-1, 1).float().cpu().numpy()
