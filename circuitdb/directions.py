"""Directions: units that are linear combinations of the neurons of their layer, with all edges that follow.

In come a whole model with every kernel, as `ingest --dense` writes it, and coefficients; out comes the model with the
directions among its units, or without them. What is computed: with c of unit length, moving the layer along c,

    K(s -> d) = sum over i of c_i K(s -> i)        what the direction reads of a source s
    K(d -> t) = sum over i of c_i K(i -> t)        what a target t reads along the direction

Kernels are linear in c, so these are exact but for the half precision in which every kernel is kept; weights come from
the matrices in single precision, and so does the strength where one neuron alone takes part. Directions of other layers
count as sources and targets too. Shares and ranks compare an edge with those of neurons alone, so that no neuron's edge
changes when a direction comes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import EdgeKind, UnitKind, unit_key
from circuitdb.keep import Mask, Strengths, kept_in, ranks, strongest
from circuitdb.keep_rule import KeepRule
from circuitdb.kernels import measure

Reals = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_BYTES_AT_ONCE = 256 << 20
"""Kernels of so many bytes are in memory at once: the directions are taken a few at a time."""

_NOWHERE = 1 << 30

_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "edges": ("source", "target"),
    "labels": ("unit",),
    "maps": ("source", "target"),
    "members": ("unit",),
    "examples": ("unit",),
}
"""Tables of a `ModelGraph` that name units by their rows, and the columns that do."""


def with_directions(
    graph: ModelGraph,
    layer: str,
    coefficients: npt.ArrayLike,
    *,
    labels: Sequence[str | None] | None = None,
    source: str | None = None,
) -> ModelGraph:
    """The model with directions in a layer, behind the units that are there, and their edges by the model's keep rule.

    Parameters
    ----------
    graph
        The model as a store reads it, with every kernel.
    layer
        Its name.
    coefficients
        [direction, neuron], of any length; they are made of unit length, in single precision.
    labels, source
        A label or None for each direction, and who says so.

    Returns
    -------
    The model. Of a direction: `bias` and `mean` are the sums of the neurons' times the coefficients, `in_norm` and the
    energies kept those of its edges with neurons; its share of a neuron's input is the part of the input's squared
    strength that lies along the direction, at most 1 (Cauchy and Schwarz). Skip edges come from the skip edges that the
    neurons have. What only a probing tells is missing, and the signature is 0.

    Raises
    ------
    InputError
        If there is no such layer, the coefficients do not fit it, or the model was ingested without its kernels.
    """
    width = _width(graph, layer)
    made = unit_length(coefficients, width, f"{graph.name}/{layer}")
    if labels is not None and len(labels) != len(made):
        raise InputError(f"{len(labels)} labels for {len(made)} directions")
    _refuse_without_kernels(graph, layer)
    rule = KeepRule.parse(str(graph.model.get("keep") or "all"))
    place, first = _place(graph, layer, width)
    rows = np.arange(place, place + len(made))
    units = _Units.of(graph, np.arange(graph.units.num_rows) + len(made) * (np.arange(graph.units.num_rows) >= place))
    shifted = _renumbered(graph, units.rows)
    weights = {False: _dense_weights(graph), True: _skip_weights(graph, units)}
    tables: list[pa.Table] = []
    sums = _Sums(len(made))
    for skip, every in weights.items():
        network = _Network(every, units, rule, skip)
        for at_target in (True, False):
            for part in network.slices(layer, len(made), at_target):
                tables += network.edges(layer, made[part], rows[part], at_target, None if skip else sums, part)
    edges = shifted.edges.set_column(
        shifted.edges.column_names.index("kind"), "kind", shifted.edges["kind"].cast(pa.string())
    )
    new_units = _unit_rows(graph, layer, made, first, sums)
    return replace(
        shifted,
        units=pa.concat_tables(
            [graph.units.slice(0, place), new_units, graph.units.slice(place)], promote_options="permissive"
        ),
        edges=pa.concat_tables([edges, *tables], promote_options="permissive").combine_chunks(),
        labels=_with_labels(shifted.labels, rows, labels, source),
        signatures=None
        if graph.signatures is None
        else np.insert(graph.signatures, [place] * len(made), np.int8(0), axis=0),
    )


def without_directions(graph: ModelGraph, keys: Collection[str]) -> ModelGraph:
    """The model without some of its directions, and without all that refers to them.

    Families of which less than two members stay go too.

    Raises
    ------
    InputError
        If there is no such unit, or it is a neuron.
    """
    kind = dict(zip(graph.units["key"].to_pylist(), graph.units["kind"].to_pylist(), strict=True))
    for key in keys:
        if key not in kind:
            raise InputError(f"no unit {key!r} in {graph.name}")
        if kind[key] != UnitKind.DIRECTION:
            raise InputError(f"{key} is a {kind[key]}; only directions can be deleted")
    stay = ~np.isin(np.array(list(kind), dtype=object), list(keys))
    rows = np.where(stay, np.cumsum(stay) - 1, -1)
    left = _renumbered(graph, rows)
    families, members = left.families, left.members
    if families is not None and members is not None and graph.members is not None:
        before, after = (np.asarray(table["family"], dtype=np.int64) for table in (graph.members, members))
        ids = np.asarray(families["id"], dtype=np.int64)
        gone = [i for i in ids.tolist() if (after == i).sum() < min(2, (before == i).sum())]
        families = families.filter(pa.array(~np.isin(ids, gone)))
        members = members.filter(pa.array(~np.isin(after, gone)))
    return replace(
        left,
        units=graph.units.filter(pa.array(stay)),
        families=families,
        members=members,
        signatures=None if graph.signatures is None else graph.signatures[stay],
    )


def unit_length(coefficients: npt.ArrayLike, width: int, layer: str) -> Reals:
    """Coefficients [direction, neuron] of unit length, as single precision keeps them.

    width, layer: the number of its neurons and the layer's name, for messages.

    Raises
    ------
    InputError
        If they are no real numbers of that shape, not finite, or all 0 for a direction.
    """
    try:
        given = np.asarray(coefficients)
    except ValueError:
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "iuf":
        raise InputError(f"coefficients are real numbers [direction, neuron]; these are {given.dtype}")
    if given.ndim != 2:
        raise InputError(f"coefficients are [direction, neuron]; these have {given.ndim} dimensions")
    if given.shape[1] != width:
        raise InputError(f"coefficients for {given.shape[1]} neurons, but {layer} has {width}")
    if not len(given):
        raise InputError("there are no coefficients for any direction")
    wide = given.astype(np.float64)
    finite = np.isfinite(wide).all(axis=1)
    if not finite.all():
        raise InputError(f"the coefficients of direction {int(np.argmin(finite))} hold NaN or infinity")
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    if not largest.all():
        raise InputError(f"the coefficients of direction {int(np.argmin(largest))} are all 0")
    wide /= largest  # so that no square leaves the range of a double
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide.astype(np.float32).astype(np.float64)


def _width(graph: ModelGraph, layer: str) -> int:
    widths = dict(zip(graph.layers["name"].to_pylist(), graph.layers["width"].to_pylist(), strict=True))
    if layer not in widths:
        raise InputError(f"no layer {layer!r} in {graph.name}")
    return int(widths[layer])


def _refuse_without_kernels(graph: ModelGraph, layer: str) -> None:
    beside = [dense for ends, dense in graph.dense.items() if layer in ends]
    if not graph.dense or any(not dense.blocks and dense.strength.any() for dense in beside):
        raise InputError(
            f"{graph.name} was ingested without --dense; directions need every kernel, so ingest it again with "
            "--dense --replace"
        )


def _place(graph: ModelGraph, layer: str, width: int) -> tuple[int, int]:
    """The row before which the directions of a layer go, and the index of the first."""
    depths = dict(zip(graph.layers["name"].to_pylist(), graph.layers["depth"].to_pylist(), strict=True))
    names = graph.units["layer"].to_pylist()
    order = (depths[layer], layer)
    place = sum((depths[name], name) <= order for name in names)
    own = [i for name, i in zip(names, graph.units["index"].to_pylist(), strict=True) if name == layer]
    return place, max([width, *(i + 1 for i in own)])


def _renumbered(graph: ModelGraph, rows: Integers) -> ModelGraph:
    """The model whose tables name each unit by its new row; what names one whose new row is -1 is left out."""
    tables = {}
    for name, columns in _REFERENCES.items():
        table: pa.Table | None = getattr(graph, name)
        if table is None or not table.num_rows:
            continue
        ends = {column: rows[table[column].to_numpy()] for column in columns}
        stay = np.all([end >= 0 for end in ends.values()], axis=0)
        for column, end in ends.items():
            moved = pa.array(end.astype(np.int32))
            table = table.set_column(table.column_names.index(column), column, moved)
        tables[name] = table if stay.all() else table.filter(pa.array(stay))
    return replace(graph, **tables)


@dataclass(frozen=True, eq=False)
class _Units:
    """Where the units of a model are.

    rows: [unit], the new row of each. layers: names in key order. stride: input pixels between a layer's cells, 0 where
    it has one. neurons: by layer, the new rows of its neurons by index, -1 where there is none. directions: by layer
    the new rows [direction] and coefficients [direction, neuron] of those that have any.
    """

    rows: Integers
    layers: tuple[str, ...]
    stride: Mapping[str, float]
    neurons: Mapping[str, Integers]
    directions: Mapping[str, tuple[Integers, Reals]]

    @staticmethod
    def of(graph: ModelGraph, rows: Integers) -> _Units:
        listed = sorted(graph.layers.to_pylist(), key=lambda row: (row["depth"], row["name"]))
        layer = np.array(graph.units["layer"].to_pylist(), dtype=object)
        index = graph.units["index"].to_numpy().astype(np.int64)
        direction = np.array(graph.units["kind"].to_pylist(), dtype=object) == UnitKind.DIRECTION
        has = np.zeros(len(index), dtype=np.bool_)
        if "coefficients" in graph.units.column_names:
            has = pc.is_valid(graph.units["coefficients"]).to_numpy() & direction
        neurons, directions = {}, {}
        for row in listed:
            here = np.flatnonzero((layer == row["name"]) & ~direction)
            neurons[row["name"]] = np.full(row["width"], -1, dtype=np.int64)
            neurons[row["name"]][index[here]] = rows[here]
            combined = np.flatnonzero((layer == row["name"]) & has)
            if len(combined):
                numbers = graph.units["coefficients"].take(pa.array(combined)).to_pylist()
                directions[row["name"]] = rows[combined], np.array(numbers, dtype=np.float64)
        stride = {row["name"]: row.get("stride_px") or 0.0 for row in listed}
        return _Units(rows, tuple(row["name"] for row in listed), stride, neurons, directions)


@dataclass(frozen=True, eq=False)
class _Combined:
    """Kernels of directions with the units at the other end, in a common frame.

    kernels: [direction, other, y, x]. low, high: [direction, other, axis], the first and one more than the last row and
    column that any of the kernels summed has. weight: [direction, other]. strength: likewise, the L2 norms.
    """

    kernels: Floats
    low: Integers
    high: Integers
    weight: Reals
    strength: Strengths

    def along(self, coefficients: Reals) -> _Combined:
        """The same with directions at the other end, whose coefficients [direction there, other] are given."""
        narrow = coefficients.astype(np.float32)
        kernels = np.moveaxis(np.tensordot(narrow, self.kernels, axes=(1, 1)), 0, 1)
        strength = _norms(kernels)
        shape = (*strength.shape, 2)
        low, high = np.full(shape, _NOWHERE, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for number, own in enumerate(coefficients):
            some = np.flatnonzero(own)
            low[:, number], high[:, number] = self.low[:, some].min(axis=1), self.high[:, some].max(axis=1)
            if len(some) == 1:
                strength[:, number] = np.float32(abs(own[some[0]])) * self.strength[:, some[0]]
        strength[low[:, :, 0] == _NOWHERE] = 0
        return _Combined(kernels, low, high, self.weight @ coefficients.T, strength)


def _norms(kernels: Floats) -> Strengths:
    """The L2 norms [direction, other] of kernels [direction, other, y, x]."""
    squares: Reals = np.einsum("duyx,duyx->du", kernels, kernels, dtype=np.float64)
    norms: Strengths = np.sqrt(squares).astype(np.float32)
    return norms


@dataclass(frozen=True, eq=False)
class _Block:
    """A `KernelBlock` of any precision."""

    targets: npt.NDArray[np.int32]
    sources: npt.NDArray[np.int32]
    kernels: npt.NDArray[np.floating[Any]]
    offset_y: float
    offset_x: float


@dataclass(frozen=True, eq=False)
class _Weights:
    """All weights between the neurons of two layers.

    weight, strength: [target, source]. blocks: their kernels. offset, size: of the frame that holds all of them.
    """

    source: str
    target: str
    weight: Reals
    strength: Strengths
    blocks: Sequence[_Block]
    offset: tuple[float, float]
    size: tuple[int, int]

    @staticmethod
    def of(ends: tuple[str, str], weight: Reals, strength: Strengths, blocks: Sequence[_Block]) -> _Weights:
        starts = np.array([(block.offset_y, block.offset_x) for block in blocks] or [(0.0, 0.0)])
        sizes = np.array([block.kernels.shape[2:] for block in blocks] or [(1, 1)])
        offset = starts.min(axis=0)
        if not np.allclose(starts - offset, np.round(starts - offset), atol=1e-6):
            raise CircuitdbError(f"the kernels from {ends[0]} to {ends[1]} lie on different grids")
        height, width = (np.round(starts - offset).astype(int) + sizes).max(axis=0).tolist()
        return _Weights(*ends, weight, strength, blocks, (float(offset[0]), float(offset[1])), (height, width))

    def other(self, at_target: bool) -> str:
        """The layer at the other end from where directions are."""
        return self.source if at_target else self.target

    def others(self, at_target: bool) -> int:
        """The number of its neurons."""
        return int(self.strength.shape[int(at_target)])

    def combined(self, coefficients: Reals, at_target: bool) -> _Combined:
        """With directions [direction, neuron] as the targets, or as the sources."""
        count, others = len(coefficients), self.others(at_target)
        kernels = np.zeros((count, others, *self.size), dtype=np.float32)
        low = np.full((count, others, 2), _NOWHERE, dtype=np.int64)
        high = np.zeros((count, others, 2), dtype=np.int64)
        for block in self.blocks:
            near, far = (block.targets, block.sources) if at_target else (block.sources, block.targets)
            part = coefficients[:, near]
            used = np.flatnonzero((part != 0).any(axis=0))
            if not len(used):
                continue
            own = block.kernels[used] if at_target else block.kernels[:, used].swapaxes(0, 1)
            height, width = own.shape[2:]
            y, x = (round(a - b) for a, b in zip((block.offset_y, block.offset_x), self.offset, strict=True))
            flat = own.reshape(len(used), -1).astype(np.float32)
            sums = (part[:, used].astype(np.float32) @ flat).reshape(count, len(far), height, width)
            kernels[:, far, y : y + height, x : x + width] += sums
            place = np.ix_((part != 0).any(axis=1), far)
            low[place] = np.minimum(low[place], (y, x))
            high[place] = np.maximum(high[place], (y + height, x + width))
        weight, of_pairs = (self.weight, self.strength) if at_target else (self.weight.T, self.strength.T)
        strength = _norms(kernels)
        for number, own_coefficients in enumerate(coefficients):
            some = np.flatnonzero(own_coefficients)
            if len(some) == 1:
                strength[number] = np.float32(abs(own_coefficients[some[0]])) * of_pairs[some[0]]
        strength[low[:, :, 0] == _NOWHERE] = 0
        return _Combined(kernels, low, high, coefficients @ weight + 0.0, strength)


def _dense_weights(graph: ModelGraph) -> list[_Weights]:
    return [
        _Weights.of(
            ends,
            dense.weight.astype(np.float64),
            dense.strength,
            [_Block(b.targets, b.sources, b.kernels, b.offset_y, b.offset_x) for b in dense.blocks],
        )
        for ends, dense in graph.dense.items()
    ]


def _skip_weights(graph: ModelGraph, units: _Units) -> list[_Weights]:
    """The skip edges between neurons, those of each pair of layers as matrices and blocks of one kernel size."""
    kinds = graph.edges["kind"].cast(pa.string())
    edges = graph.edges.filter(pc.equal(kinds, EdgeKind.SKIP.value))
    neuron_at = {int(row): (name, i) for name, rows in units.neurons.items() for i, row in enumerate(rows) if row >= 0}
    groups: dict[tuple[str, str], list[tuple[int, int, dict[str, Any]]]] = {}
    for edge in edges.to_pylist():
        ends = [neuron_at.get(int(units.rows[edge[end]])) for end in ("source", "target")]
        if ends[0] is not None and ends[1] is not None:
            (source, s), (target, t) = ends[0], ends[1]
            groups.setdefault((source, target), []).append((t, s, edge))
    found = []
    for (source, target), rows in groups.items():
        shape = (len(units.neurons[target]), len(units.neurons[source]))
        weight, strength = np.zeros(shape), np.zeros(shape, dtype=np.float32)
        kernels: dict[tuple[int, int, float, float], Floats] = {}
        for t, s, edge in rows:
            weight[t, s], strength[t, s] = edge["weight"], edge["strength"]
            form, entries = _kernel_of(edge)
            if form not in kernels:
                kernels[form] = np.zeros((*shape, *entries.shape), dtype=np.float32)
            kernels[form][t, s] = entries
        at = [np.arange(count, dtype=np.int32) for count in shape]
        blocks = [_Block(at[0], at[1], block, *form[2:]) for form, block in kernels.items()]
        found.append(_Weights.of((source, target), weight, strength, blocks))
    return found


def _kernel_of(edge: Mapping[str, Any]) -> tuple[tuple[int, int, float, float], Floats]:
    """Height, width and offset of an edge's kernel, and its entries; without one, the weight as one entry."""
    if edge.get("kernel") is None:
        return (1, 1, 0.0, 0.0), np.array([[edge["weight"]]], dtype=np.float32)
    form = (edge["kernel_h"], edge["kernel_w"], edge.get("offset_y") or 0.0, edge.get("offset_x") or 0.0)
    entries = np.array(edge["kernel"], dtype=np.float32).reshape(form[:2])
    return form, entries


class _Reference:
    """The strengths [unit, edge] of neurons' edges at one end, with which others are compared."""

    def __init__(self, strength: Strengths) -> None:
        self._ordered = np.sort(strength, axis=1)
        self.energy: Reals = np.square(strength, dtype=np.float64).sum(axis=1)

    def stronger(self, values: Strengths) -> Integers:
        """How many are stronger than each of the values [unit, value]."""
        width = self._ordered.shape[1]
        counts = np.empty(values.shape, dtype=np.int64)
        for row, own in enumerate(values):
            counts[row] = width - np.searchsorted(self._ordered[row], own, side="right")
        return counts

    def kept(self, rule: KeepRule, values: Strengths) -> Mask:
        """Whether a rule that looks at inputs alone keeps inputs of such strengths [unit, value] beside these."""
        if rule.kind == "max":
            largest = self._ordered.max(axis=1, initial=0)
            return np.asarray(values >= np.float32(rule.value) * largest[:, None])
        if rule.kind == "energy":
            falling = np.square(self._ordered[:, ::-1], dtype=np.float64)
            before = np.pad(np.cumsum(falling, axis=1), ((0, 0), (1, 0)))
            above = np.take_along_axis(before, self.stronger(values), axis=1)
            return np.asarray(above < rule.value * self.energy[:, None])
        return np.ones(values.shape, dtype=np.bool_)


@dataclass(eq=False)
class _Sums:
    """Squared strengths of new directions with neurons, in all and of kept edges [direction], of inputs and outputs."""

    count: int
    total: dict[bool, Reals] = field(default_factory=dict)
    kept: dict[bool, Reals] = field(default_factory=dict)

    def add(self, at_target: bool, part: slice, total: Reals, kept: Reals) -> None:
        for sums, values in ((self.total, total), (self.kept, kept)):
            sums.setdefault(at_target, np.zeros(self.count))[part] = values

    def of(self, at_target: bool) -> tuple[Reals, Reals]:
        """In all, and kept."""
        nothing = np.zeros(self.count)
        return self.total.get(at_target, nothing), self.kept.get(at_target, nothing)


class _Network:
    """All weights of one kind, skips or the others, and the edges of directions that follow from them."""

    def __init__(self, weights: Sequence[_Weights], units: _Units, rule: KeepRule, skip: bool) -> None:
        self._units, self._rule, self._skip = units, rule, skip
        place = {name: number for number, name in enumerate(units.layers)}
        self._at = {
            at_target: {
                name: sorted(
                    (some for some in weights if (some.target if at_target else some.source) == name),
                    key=lambda some: place[some.other(at_target)],
                )
                for name in units.layers
            }
            for at_target in (True, False)
        }
        self._references: dict[tuple[str, bool, bool], _Reference] = {}

    def slices(self, layer: str, count: int, at_target: bool) -> Iterator[slice]:
        """The directions of a layer, as many at a time as have their kernels in the memory that is allowed."""
        each = sum(4 * some.others(at_target) * some.size[0] * some.size[1] for some in self._at[at_target][layer])
        step = max(1, _BYTES_AT_ONCE // max(each, 1))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))

    def edges(
        self, layer: str, made: Reals, rows: Integers, at_target: bool, sums: _Sums | None, part: slice
    ) -> Iterator[pa.Table]:
        """The kept edges into directions [direction, neuron] of a layer, or out of them, whose rows are given."""
        beside = self._at[at_target][layer]
        if not beside:
            return
        neurons = [some.combined(made, at_target) for some in beside]
        own = np.concatenate([some.strength for some in neurons], axis=1)
        reference = _Reference(own)
        if self._rule.kind == "top":
            near = strongest(own, int(self._rule.value))
        else:
            near = kept_in(self._rule, own) if at_target else np.zeros(own.shape, dtype=np.bool_)
        kept_energy = np.zeros(len(made))
        start = 0
        for some, combined in zip(beside, neurons, strict=True):
            columns = slice(start, start + combined.strength.shape[1])
            other = some.other(at_target)
            far = self._neurons(other, not at_target)
            mask = self._kept(near[:, columns], combined.strength, far, at_target)
            mask &= self._units.neurons[other] >= 0
            kept_energy += np.square(combined.strength, dtype=np.float64).sum(axis=1, where=mask)
            direction, at = np.nonzero(mask)
            rank_near = ranks(own, direction, at + start).astype(np.int64)
            yield self._table(
                some, combined, (direction, at), rows, self._units.neurons[other], rank_near, reference, far, at_target
            )
            start = columns.stop
            if other in self._units.directions:
                there, theirs = self._units.directions[other]
                both = combined.along(theirs)
                far = self._directions(other, not at_target)
                among = reference.stronger(both.strength)
                if self._rule.kind == "top":
                    near_there = among < int(self._rule.value)
                else:
                    near_there = reference.kept(self._rule, both.strength)
                mask = self._kept(near_there, both.strength, far, at_target)
                direction, at = np.nonzero(mask)
                rank_near = among[direction, at] + 1
                yield self._table(some, both, (direction, at), rows, there, rank_near, reference, far, at_target)
        if sums is not None:
            sums.add(at_target, part, reference.energy, kept_energy)

    def _kept(self, near: Mask, strength: Strengths, far: _Reference, at_target: bool) -> Mask:
        """What the keep rule keeps of edges [direction, other], `near` being what it keeps at the directions' end."""
        if self._rule.kind == "top":
            mask = near | (int(self._rule.value) > far.stronger(strength.T).T)
        else:
            mask = near if at_target else far.kept(self._rule, strength.T).T
        return np.asarray(mask & (strength > 0))

    def _neurons(self, layer: str, at_target: bool) -> _Reference:
        """The strengths of the inputs, or of the outputs, of a layer's neurons."""
        key = (layer, at_target, False)
        if key not in self._references:
            beside = self._at[at_target][layer]
            strengths = [some.strength if at_target else some.strength.T for some in beside]
            self._references[key] = _Reference(np.concatenate(strengths, axis=1))
        return self._references[key]

    def _directions(self, layer: str, at_target: bool) -> _Reference:
        """The strengths of the inputs from neurons, or of the outputs to them, of the directions that a layer has."""
        key = (layer, at_target, True)
        if key not in self._references:
            beside, (_, coefficients) = self._at[at_target][layer], self._units.directions[layer]
            strengths = [
                np.concatenate([some.combined(coefficients[part], at_target).strength for some in beside], axis=1)
                for part in self.slices(layer, len(coefficients), at_target)
            ]
            self._references[key] = _Reference(np.concatenate(strengths))
        return self._references[key]

    def _table(
        self,
        weights: _Weights,
        combined: _Combined,
        pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
        rows: Integers,
        there: Integers,
        rank_near: npt.NDArray[np.integer],
        near: _Reference,
        far: _Reference,
        at_target: bool,
    ) -> pa.Table:
        """The table of some edges (direction, other), with `rows` and `there` as the rows of both."""
        direction, other = pairs
        strength, weight = combined.strength[pairs], combined.weight[pairs]
        rank_far = far.stronger(combined.strength.T)[other, direction] + 1
        energy = near.energy[direction] if at_target else far.energy[other]
        wide = strength.astype(np.float64)
        measured, kernels = _measured(combined, pairs, weights.offset, self._units.stride[weights.source])
        measured |= {"weight": weight, "strength": wide}
        ends = (there[other], rows[direction]) if at_target else (rows[direction], there[other])
        rank_in, rank_out = (rank_near, rank_far) if at_target else (rank_far, rank_near)
        kind = np.where(weight < 0, EdgeKind.INHIBITS.value, EdgeKind.EXCITES.value)
        if self._skip:
            kind[:] = EdgeKind.SKIP.value
        return pa.table(
            {
                "source": pa.array(ends[0].astype(np.int32)),
                "target": pa.array(ends[1].astype(np.int32)),
                "kind": pa.array(kind.tolist(), pa.string()),
                **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in measured.items()},
                "share": pa.array(_share(wide, energy)),
                "rank_in": pa.array(rank_in.astype(np.int32)),
                "rank_out": pa.array(rank_out.astype(np.int32)),
                **kernels,
            }
        )


def _share(strength: Reals, energy: Reals) -> Reals:
    """The part of a squared strength in all of them; no more than 1, which only rounding would make it."""
    part: Reals = np.divide(strength * strength, energy, out=np.zeros_like(strength), where=energy > 0)
    return np.minimum(part, 1.0)


def _measured(
    combined: _Combined,
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    offset: tuple[float, float],
    stride_px: float,
) -> tuple[dict[str, Reals], dict[str, pa.Array]]:
    """What is measured of the kernels of some pairs, and the columns that hold them, each kernel at its own size."""
    count = len(pairs[0])
    frames = np.concatenate([combined.low[pairs], combined.high[pairs]], axis=1)
    distinct, frame_of = np.unique(frames, axis=0, return_inverse=True)
    frame_of = frame_of.reshape(-1)
    measured: dict[str, Reals] = {}
    entries: list[Floats] = [np.empty(0, dtype=np.float32)] * count
    places = np.zeros((count, 4))
    for number, (top, left, bottom, right) in enumerate(distinct.tolist()):
        some = np.flatnonzero(frame_of == number)
        kernels = combined.kernels[pairs[0][some], pairs[1][some], top:bottom, left:right]
        place = offset[0] + top, offset[1] + left
        for name, values in measure(kernels, *place, stride_px).items():
            measured.setdefault(name, np.full(count, np.nan))[some] = values
        for row, kernel in zip(some.tolist(), kernels, strict=True):
            entries[row] = kernel.ravel()
        places[some] = (bottom - top, right - left, *place)
    if not measured:
        measured = measure(np.empty((0, 1, 1)), 0.0, 0.0, 1.0)
    ends = np.cumsum([0, *(len(kernel) for kernel in entries)])
    flat = np.concatenate([np.empty(0, dtype=np.float32), *entries])
    height, width, offset_y, offset_x = places.T
    return measured, {
        "kernel": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat)),
        "kernel_h": pa.array(height.astype(np.int32)),
        "kernel_w": pa.array(width.astype(np.int32)),
        "offset_y": pa.array(np.ascontiguousarray(offset_y)),
        "offset_x": pa.array(np.ascontiguousarray(offset_x)),
    }


def _unit_rows(graph: ModelGraph, layer: str, made: Reals, first: int, sums: _Sums) -> pa.Table:
    """The rows of new directions, the first of index `first`."""
    count = len(made)
    indices = range(first, first + count)
    [depth] = [row["depth"] for row in graph.layers.select(["name", "depth"]).to_pylist() if row["name"] == layer]
    total_in, kept_in_ = sums.of(True)
    total_out, kept_out = sums.of(False)
    columns = {
        "key": pa.array([unit_key(graph.name, layer, index) for index in indices], pa.string()),
        "model": pa.array([graph.name] * count, pa.string()),
        "layer": pa.array([layer] * count, pa.string()),
        "depth": pa.array([depth] * count, pa.int32()),
        "index": pa.array(indices, pa.int32()),
        "kind": pa.array([UnitKind.DIRECTION.value] * count, pa.string()),
        "branch": pa.array(_branches(graph, layer, made), pa.string()),
        "in_norm": pa.array(np.sqrt(total_in), mask=total_in == 0),
        "energy_kept_in": _part(kept_in_, total_in),
        "energy_kept_out": _part(kept_out, total_out),
        "coefficients": pa.array(made.astype(np.float32).tolist(), pa.list_(pa.float32())),
    }
    columns |= {name: _summed(graph, layer, made, name) for name in ("bias", "mean")}
    return pa.table(columns)


def _part(of_kept: Reals, total: Reals) -> pa.Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return pa.array(np.minimum(of_kept / total, 1.0), mask=total == 0)


def _of_neurons(graph: ModelGraph, layer: str, made: Reals, name: str) -> npt.NDArray[np.object_]:
    """A property of a layer's neurons by index, None where it is missing."""
    found = np.full(made.shape[1], None, dtype=object)
    if name in graph.units.column_names:
        here = pc.and_(pc.equal(graph.units["layer"], layer), pc.equal(graph.units["kind"], UnitKind.NEURON.value))
        own = graph.units.filter(here)
        found[own["index"].to_numpy()] = own[name].to_pylist()
    return found


def _summed(graph: ModelGraph, layer: str, made: Reals, name: str) -> pa.Array:
    """A number of neurons times the coefficients, summed; missing where it is of one that takes part."""
    values = _of_neurons(graph, layer, made, name).astype(np.float64)
    missing = (made != 0) @ np.isnan(values).astype(np.float64) > 0
    return pa.array(made @ np.where(np.isnan(values), 0.0, values), pa.float64(), mask=missing)


def _branches(graph: ModelGraph, layer: str, made: Reals) -> list[str | None]:
    """The branch in which all neurons lie that take part, for each direction."""
    branches = _of_neurons(graph, layer, made, "branch")
    sets = [set(branches[np.flatnonzero(own)].tolist()) for own in made]
    return [next(iter(some)) if len(some) == 1 else None for some in sets]


def _with_labels(
    table: pa.Table | None, rows: Integers, labels: Sequence[str | None] | None, source: str | None
) -> pa.Table | None:
    given = [(row, label) for row, label in zip(rows.tolist(), labels or (), strict=False) if label is not None]
    if not given:
        return table
    new = pa.table(
        {
            "unit": pa.array([row for row, _ in given], pa.int32()),
            "label": pa.array([label for _, label in given], pa.string()),
            "source": pa.array([source] * len(given), pa.string()),
        }
    )
    return new if table is None or not table.num_rows else pa.concat_tables([table, new], promote_options="permissive")
