"""Dataset examples: the positions of the probes at which each unit responds most, with small pictures of what is there.

In: the strongest response of every unit in every picture. Out: a table of nine rows a unit at most, one a picture,
each with a PNG of the part of the picture that the unit sees.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from ingest.probes import Pictures, ProbeSet
from ingest.responses import LayerResponses
from ingest.steps import Axis, Pair

EXAMPLES = 9
"""How many a unit has at most."""

THUMBNAIL = 48
"""Longest side of a thumbnail, in pixels."""

_TONES = 64
"""Colours of a thumbnail's palette, which makes the file a third as large."""


@dataclass(frozen=True)
class _Box:
    """A part of a probe, in its pixels, the last row and column included."""

    picture: int
    top: int
    left: int
    bottom: int
    right: int


def example_table(layers: Sequence[LayerResponses], probes: ProbeSet, size: Pair) -> pa.Table:
    """unit (row of the model's units), rank, picture, y, x, value, thumbnail.

    size: of the network's input. y and x are in pixels of the probe. A picture in which a unit does no more than on
    average is no example of it.
    """
    parts = []
    first_unit = 0
    cache: dict[_Box, bytes] = {}
    for layer in layers:
        parts.append(_layer_table(layer, first_unit, probes, size, cache))
        first_unit += len(layer.mean)
        cache.clear()
    return pa.concat_tables(parts)


def _layer_table(
    layer: LayerResponses, first_unit: int, probes: ProbeSet, size: Pair, cache: dict[_Box, bytes]
) -> pa.Table:
    best = np.argsort(-layer.strongest, axis=1, kind="stable")[:, :EXAMPLES]
    values = np.take_along_axis(layer.strongest, best, axis=1)
    cells = np.take_along_axis(layer.cells, best, axis=1)
    worth = values > (layer.mean + 1e-6 * np.abs(layer.mean))[:, None]
    units, places = np.nonzero(worth)
    pictures = best[worth]
    row, column = np.divmod(cells[worth], layer.step.cells[1])
    axes = ((layer.step.y, row, size[0]), (layer.step.x, column, size[1]))
    (y, top, bottom), (x, left, right) = (_on_probe(axis, cell, side, probes.side) for axis, cell, side in axes)
    boxes = zip(*(numbers.tolist() for numbers in (pictures, top, left, bottom, right)), strict=True)
    thumbnails = [_thumbnail(_Box(*box), probes.pictures, cache) for box in boxes]
    return pa.table(
        {
            "unit": pa.array((units + first_unit).astype(np.int32)),
            "rank": pa.array((places + 1).astype(np.int32)),
            "picture": pa.array([probes.names[picture] for picture in pictures.tolist()], pa.string()),
            "y": pa.array(y),
            "x": pa.array(x),
            "value": pa.array(values[worth].astype(np.float64)),
            "thumbnail": pa.array(thumbnails, pa.binary()),
        }
    )


def _on_probe(
    axis: Axis, cell: npt.NDArray[np.int32], side: int, probe_side: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Along one axis, in pixels of the probe: the centre of each cell, and the first and last pixel that it sees."""
    scale = probe_side / side

    def pixels(at: float, otherwise: float) -> npt.NDArray[np.float64]:
        """Of the probe, for each cell; `otherwise` where one cell sees the whole picture."""
        if not axis.stride:
            return np.full(len(cell), otherwise)
        return (at + axis.stride * cell.astype(np.float64) + 0.5) * scale - 0.5

    low, high = pixels(axis.low, 0.0), pixels(axis.high, probe_side - 1.0)
    first = np.clip(np.floor(low + 0.5), 0, probe_side - 1).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, probe_side - 1).astype(np.int64)
    return pixels(axis.centre, (probe_side - 1) / 2), first, np.maximum(first, last)


def _thumbnail(box: _Box, pictures: Pictures, cache: dict[_Box, bytes]) -> bytes:
    """The part as a PNG, made smaller where it is larger than a thumbnail."""
    if box not in cache:
        crop = pictures[box.picture, box.top : box.bottom + 1, box.left : box.right + 1]
        image = Image.fromarray(crop)
        if max(image.size) > THUMBNAIL:
            image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
            image = image.quantize(_TONES, method=Image.Quantize.FASTOCTREE)
        file = io.BytesIO()
        image.save(file, "PNG")
        cache[box] = file.getvalue()
    return cache[box]
