"""What a map does to pictures and to positions of a layer.

In: maps by name, pictures, the receptive fields of a layer's cells. Out: the transformed pictures, and for each layer
which cells of the picture and of the transformed picture show the same thing (`Alignment`). Pixels are counted from
the middle of the first one, y down and x to the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from circuitdb.errors import InputError
from circuitdb.pattern.maps import TURNING, Element, MapName
from ingest.steps import Axis, Pair, Step

Reals = npt.NDArray[np.float64]

DEFAULT_MAPS = ("flip", "rotate(90)", "rotate(180)", "rotate(270)", "negate", "hue(120)", "hue(240)")
"""What is looked for unless the user says otherwise, in the order in which it is shown."""

_WHOLE = 1e-6
"""Positions nearer to a whole number than this are that number."""


def parse_maps(names: Iterable[str]) -> tuple[MapName, ...]:
    """Maps by the names that the language gives them, each once.

    Raises
    ------
    InputError
        If there is no such map, or if it leaves every picture as it is.
    """
    maps: dict[MapName, None] = {}
    for name in names:
        maps[_parsed(name.strip())] = None
    return tuple(maps)


def _parsed(name: str) -> MapName:
    kind, _, rest = name.partition("(")
    if kind in TURNING:
        try:
            degrees = float(rest.removesuffix(")")) if rest.endswith(")") else np.nan
        except ValueError:
            degrees = np.nan
        if not np.isfinite(degrees):
            raise InputError(f"the map {name!r} needs degrees, as in {kind}(90)")
        if round(degrees % 360, 9) % 360 == 0:
            raise InputError(f"the map {name!r} changes nothing")
        return MapName(kind, round(degrees % 360, 9) % 360)
    if name not in ("flip", "flip_vertical", "negate"):
        raise InputError(f"there is no map {name!r}; maps are flip, flip_vertical, rotate(DEG), negate, hue(DEG)")
    return MapName(name)


def default_maps(*, square: bool, coloured: bool) -> tuple[MapName, ...]:
    """The maps that make sense for a network: quarter turns where its input is square, hues where it sees colours."""
    maps = parse_maps(DEFAULT_MAPS)
    turns_fit = [m for m in maps if square or m.element.angle % 180 == 0]
    return tuple(m for m in turns_fit if coloured or not m.element.hue)


def matrix(element: Element) -> Reals:
    """How positions (y, x) around the fixed point move: mirrored first, then turned."""
    cosine, sine = _exact(np.cos(np.radians(element.angle))), _exact(np.sin(np.radians(element.angle)))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return turn @ np.diag([1.0, -1.0]) if element.mirrored else turn


def _exact(value: float) -> float:
    """Whole numbers as whole numbers."""
    return float(round(value)) if abs(value - round(value)) < 1e-12 else float(value)


def hue_matrix(degrees: float) -> Reals:
    """The rotation of (red, green, blue) about the grey axis; by 120 degrees red becomes green, and green blue."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    near, other = (1 + 2 * cosine) / 3, (1 - cosine) / 3
    ahead, behind = other + sine / np.sqrt(3), other - sine / np.sqrt(3)
    rotation = np.array([[near, behind, ahead], [ahead, near, behind], [behind, ahead, near]])
    whole = np.round(rotation)
    return whole if np.allclose(rotation, whole, atol=1e-12) else rotation


def transformed(pictures: Tensor, element: Element, fixed: tuple[float, float]) -> Tensor:
    """Pictures [picture, 3, y, x], 0..255, under a map that leaves the position `fixed` (y, x) where it is.

    What comes from outside the picture is the nearest pixel's. Colours may leave 0..255 under `hue`.
    """
    if element.hue:
        colours = torch.from_numpy(hue_matrix(element.hue)).to(pictures)
        pictures = torch.einsum("ij,njyx->niyx", colours, pictures)
    if element.negated:
        pictures = 255 - pictures
    if not (element.angle or element.mirrored):
        return pictures
    height, width = pictures.shape[2:]
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    y, x = _moved(matrix(element.inverse()), rows, columns, fixed)
    whole_y, whole_x = np.round(y), np.round(x)
    if max(np.abs(y - whole_y).max(), np.abs(x - whole_x).max()) < _WHOLE:
        source = np.clip(whole_y, 0, height - 1) * width + np.clip(whole_x, 0, width - 1)
        return pictures.flatten(2)[:, :, torch.from_numpy(source.astype(np.int64).ravel()).to(pictures.device)].view(
            pictures.shape
        )
    grid = np.stack([2 * (x + 0.5) / width - 1, 2 * (y + 0.5) / height - 1], axis=-1)
    return functional.grid_sample(
        pictures,
        torch.from_numpy(grid).to(pictures).expand(len(pictures), -1, -1, -1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )


def _moved(by: Reals, y: npt.ArrayLike, x: npt.ArrayLike, fixed: tuple[float, float]) -> tuple[Reals, Reals]:
    from_y, from_x = np.asarray(y, float) - fixed[0], np.asarray(x, float) - fixed[1]
    return by[0, 0] * from_y + by[0, 1] * from_x + fixed[0], by[1, 0] * from_y + by[1, 1] * from_x + fixed[1]


def fixed_point(layers: Sequence[Step], size: Pair) -> tuple[float, float]:
    """The position (y, x) that mirrors and turns leave where it is, in pixels.

    It is the point near the middle of the picture about which the layers' cells lie most symmetrically: strided layers
    whose padding is not the same on both sides have their first cell nearer to the edge than the last, and mirroring
    the picture about its middle would move their cells between each other. At most half the largest stride away.
    """
    if size[0] == size[1]:
        shift = _shift([axis for step in layers for axis in (step.y, step.x)], size[0])
        return (size[0] - 1 + shift) / 2, (size[1] - 1 + shift) / 2
    shifts = [_shift([step.y for step in layers], size[0]), _shift([step.x for step in layers], size[1])]
    return (size[0] - 1 + shifts[0]) / 2, (size[1] - 1 + shifts[1]) / 2


def _shift(axes: Sequence[Axis], side: int) -> int:
    """By how many pixels a mirrored picture is moved on, so that cells come to lie on cells."""
    strided = [axis for axis in axes if axis.stride]
    most = round(min(max((axis.stride for axis in strided), default=0) / 2, side / 8))

    def misfit(shift: int) -> float:
        cells = [(side - 1 + shift - 2 * axis.centre) / axis.stride for axis in strided]
        return round(sum(abs(cell - round(cell)) for cell in cells), 9)

    return min(range(-most, most + 1), key=lambda shift: (misfit(shift), abs(shift), shift))


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which cells of a layer show the same in the picture and in the transformed one.

    sources: [position], cells of the picture's grid, counted row by row. targets: [corner, position], cells of the
    transformed picture's grid between which the place lies where the source's went; weights: [corner, position], of
    each, their sum 1. One corner where cells fall on cells. whole: whether both are all cells in their order.
    """

    sources: Tensor
    targets: Tensor
    weights: Tensor
    whole: bool = False

    def to(self, device: torch.device) -> Alignment:
        """The same, for responses on a device."""
        sources, targets, weights = (tensor.to(device) for tensor in (self.sources, self.targets, self.weights))
        return replace(self, sources=sources, targets=targets, weights=weights)

    def of_sources(self, rows: Tensor) -> Tensor:
        """[picture, cell, unit] to [picture · position, unit]."""
        return self._flat(rows if self.whole else rows.index_select(1, self.sources))

    def of_targets(self, rows: Tensor) -> Tensor:
        """[picture, cell, unit] to [picture · position, unit]."""
        if self.whole:
            return self._flat(rows)
        if len(self.targets) == 1:
            return self._flat(rows.index_select(1, self.targets[0]))
        parts = [
            rows.index_select(1, cells) * weights[:, None]
            for cells, weights in zip(self.targets, self.weights, strict=True)
        ]
        return self._flat(torch.stack(parts).sum(0))

    @staticmethod
    def _flat(rows: Tensor) -> Tensor:
        return rows.reshape(-1, rows.shape[-1])


def align(step: Step, element: Element, fixed: tuple[float, float], size: Pair) -> Alignment:
    """The cells of a layer that correspond under a map.

    A cell counts if its receptive field lies inside the picture, and so does that of its image; along each axis the
    central half of the grid counts even so, since the receptive fields of deep layers are larger than the picture.
    """
    rows, columns = step.cells
    i, j = (index.ravel() for index in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    y, x = (axis.centre + axis.stride * cell.astype(np.float64) for axis, cell in ((step.y, i), (step.x, j)))
    to_y, to_x = _moved(matrix(element), y, x, fixed)
    at_y, at_x = _cell(to_y, step.y), _cell(to_x, step.x)
    cosine, sine = np.abs(matrix(element)[0])
    reach_y, reach_x = (_reach(axis) for axis in (step.y, step.x))
    around_y, around_x = cosine * reach_y + sine * reach_x, sine * reach_y + cosine * reach_x
    counts = (
        _counts(i, y, around_y if sine else reach_y, rows, size[0])
        & _counts(j, x, around_x if sine else reach_x, columns, size[1])
        & _counts(at_y, to_y, reach_y, rows, size[0])
        & _counts(at_x, to_x, reach_x, columns, size[1])
    )
    sources = np.flatnonzero(counts)
    targets, weights = _corners(at_y[counts], at_x[counts], rows, columns)
    everything = np.arange(rows * columns)
    whole = len(targets) == 1 and np.array_equal(sources, everything) and np.array_equal(targets[0], everything)
    return Alignment(
        torch.from_numpy(sources), torch.from_numpy(targets), torch.from_numpy(weights.astype(np.float32)), whole
    )


def _cell(position: Reals, axis: Axis) -> Reals:
    """Where a position lies in the grid, in cells; whole where it nearly is."""
    cells = (position - axis.centre) / axis.stride if axis.stride else np.zeros_like(position)
    whole = np.round(cells)
    return np.where(np.abs(cells - whole) < _WHOLE, whole, cells)


def _reach(axis: Axis) -> float:
    return (axis.high - axis.low) / 2


def _counts(cell: npt.NDArray[np.generic], centre: Reals, reach: float, cells: int, size: int) -> npt.NDArray[np.bool_]:
    """Whether the receptive field lies in the picture, or the cell in the central half of the grid, along one axis."""
    at = np.asarray(cell, float)
    inside = (centre - reach >= -_WHOLE) & (centre + reach <= size - 1 + _WHOLE)
    central = (at >= cells // 4 - _WHOLE) & (at <= cells - 1 - cells // 4 + _WHOLE)
    on_grid = (at >= -0.5) & (at <= cells - 0.5)
    return np.asarray((inside | central) & on_grid)


def _corners(y: Reals, x: Reals, rows: int, columns: int) -> tuple[npt.NDArray[np.int64], Reals]:
    """The cells around places in a grid and their bilinear weights, without corners that weigh nothing anywhere."""
    top, left = np.floor(y), np.floor(x)
    targets, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            weight = (y - top if down else 1 - (y - top)) * (x - left if right else 1 - (x - left))
            if len(y) == 0 or weight.any():
                cell_y, cell_x = np.clip(top + down, 0, rows - 1), np.clip(left + right, 0, columns - 1)
                targets.append((cell_y * columns + cell_x).astype(np.int64))
                weights.append(weight)
    return np.stack(targets), np.stack(weights)
