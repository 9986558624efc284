"""Views, slices and permutations as gathers of units.

In comes a node whose layout says which entry of its input each entry is, out comes the step that takes the same units
and places. What mixes places with units (windows, tokens) is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ingest.steps import Action, Gather, Pass, RefusedError, Step, checked, pair
from ingest.tracing import Layout, Node


def rearrange(node: Node, read: Sequence[Step]) -> Step:
    """Views, slices, permutations: follow where the entries went."""
    source, layout = read[0], node.layout
    if layout is None:
        raise RefusedError("it rearranges the map in no known way")
    if "cyx" in source.dims:
        if node.shape == source.node.shape:
            return replace(source, node=node, inputs=(source.index,), action=Pass())
        raise RefusedError("it rearranges a flattened map")
    return checked(_gathered(node, source, layout))


def _gathered(node: Node, source: Step, layout: Layout) -> Step:
    shape, names = source.node.shape, source.dims
    origin = np.unravel_index(layout.base, shape)
    weights = _unit_weights(shape, names)
    moves = [
        [
            coordinates - first
            for coordinates, first in zip(np.unravel_index(layout.base + s, shape), origin, strict=True)
        ]
        for s in layout.steps
    ]
    dims, shift, step = [], [0, 0], [1, 1]
    for d, name in enumerate(names):
        if name in ("y", "x"):
            shift["yx".index(name)] = int(origin[d])
    rows = np.array([sum(int(origin[d]) * weights[d] for d in weights)])
    for move, entries in zip(moves, layout.steps, strict=True):
        moving = {names[d] for d in range(len(names)) if np.any(move[d])}
        if len(entries) == 1:
            dims.append("1")
        elif moving <= {"c"} and (moving or (source.width == 1 and "c" not in dims)):
            dims.append("c")
            along = sum((move[d] * weights[d] for d in weights), np.zeros(len(entries), dtype=np.int64))
            rows = (rows[:, None] + along[None, :]).ravel()
        elif len(moving) == 1 and (name := next(iter(moving))) in ("y", "x", "n") and name not in dims:
            line = move[names.index(name)]
            if line[1] < 1 or not np.array_equal(line, line[1] * np.arange(len(line))):
                raise RefusedError("it reorders the places of the map")
            if name != "n":
                step["yx".index(name)] = int(line[1])
            dims.append(name)
        elif _is_flattened(source, entries, layout.base):
            dims.append("cyx")
        else:
            raise RefusedError("it mixes places with units")
    if "cyx" in dims:
        action: Action = Pass()
        width, cells, y, x = source.width, source.cells, source.y, source.x
    else:
        action = Gather(rows, pair(shift), pair(step))
        if np.array_equal(rows, np.arange(source.width)) and shift == [0, 0] and step == [1, 1]:
            action = Pass()
        y, x = source.y.window(1, step[0], -shift[0]), source.x.window(1, step[1], -shift[1])
        sizes = dict(zip(dims, node.shape, strict=True))
        width, cells = len(rows), (sizes.get("y", 1), sizes.get("x", 1))
    return Step(node, (source.index,), action, width, tuple(dims), cells, y, x)


def _unit_weights(shape: tuple[int, ...], names: tuple[str, ...]) -> dict[int, int]:
    """By how many units a step along each unit dimension moves."""
    weights, size = {}, 1
    for d in reversed(range(len(shape))):
        if names[d] == "c":
            weights[d] = size
            size *= shape[d]
    return weights


def _is_flattened(source: Step, entries: npt.NDArray[np.int64], base: int) -> bool:
    """Whether the entries are the whole map of one picture in the order units, rows, columns."""
    names = [name for name, size in zip(source.dims, source.node.shape, strict=True) if size > 1 and name != "n"]
    total = source.width * source.cells[0] * source.cells[1]
    in_order = names == sorted(names, key="cyx".index)
    return base == 0 and in_order and np.array_equal(entries, np.arange(total))
