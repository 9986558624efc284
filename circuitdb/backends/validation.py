"""Checks a model before any store writes it.

In comes a `ModelGraph` as somebody made it; out goes the same graph with every column in the registry's type, missing
values as nulls, what can be derived filled in and edges in order. What is wrong is refused with its place, before a
store is touched, so that all stores take and refuse the same graphs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import MEASURED_ON_PROBES, Analogues, Dense, ModelGraph, Responses, Value
from circuitdb.backends.columns import (
    Integers,
    Place,
    constant,
    first_repeated,
    increasing,
    integers,
    references,
    refuse,
    rows_of,
    typed,
    with_columns,
)
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind, Record, UnitKind, check_name, properties, property_of, unit_key

KINDS = tuple(kind.value for kind in EdgeKind)

_OF_UNIT_LENGTH = 1e-6
"""How far from 1 the L2 norm of coefficients of unit length may be: single precision, so that a second check changes
nothing."""


def checked(graph: ModelGraph) -> ModelGraph:
    """The graph as a store takes it.

    Every column has its registry type; columns missing throughout are absent. Layers have their width, units their key,
    model, depth and kind, directions coefficients of unit length; edges stand in order of (target, source, skip last).
    Families are numbered by their row.

    Raises
    ------
    InputError
        If anything is wrong; the message names the place.
    """
    model = _checked_model(graph.model)
    name = graph.name
    layers, names = _checked_layers(graph.layers, name)
    units, places = _checked_units(graph.units, layers, names, name)
    layers = _with_widths(layers, units, places)
    units = _with_unit_length(units, layers, places)
    families, members = _checked_families(graph.families, graph.members, names, places)
    return ModelGraph(
        model,
        layers,
        units,
        _checked_edges(graph.edges, places),
        segments=_checked_segments(graph.segments, names),
        labels=_checked_labels(graph.labels, places),
        maps=_checked_maps(graph.maps, places),
        families=families,
        members=members,
        dense=_checked_dense(graph.dense, layers),
        examples=_checked_examples(graph.examples, places),
        signatures=_checked_signatures(graph.signatures, len(places)),
    )


def checked_responses(responses: Responses, model: str, layers: pa.Table, units: pa.Table) -> Responses:
    """The responses of a model as a store takes them: `units` has all of its columns, families go by their row.

    layers, units: those of the model as the store holds them; of the units at least layer and index.

    Raises
    ------
    InputError
        If anything is wrong; the message names the place.
    """
    layers, names = _checked_layers(layers, model)
    _, places = _checked_units(units, layers, names, model)
    probes = _checked_probes(responses.probes, model)
    families, members = _checked_families(responses.families, responses.members, names, places)
    signatures = _checked_signatures(responses.signatures, len(places))
    if signatures is not None and "pictures" in probes and probes["pictures"] != signatures.shape[1]:
        raise InputError(f"signatures: {signatures.shape[1]} pictures, but the probes have {probes['pictures']}")
    return Responses(
        probes,
        _checked_measured(responses.units, len(places)),
        _some(_checked_maps(responses.maps, places)),
        _some(families),
        _some(members),
        examples=_checked_examples(responses.examples, places),
        signatures=signatures,
    )


def checked_analogues(analogues: Analogues, sources: int, targets: int) -> pa.Table:
    """The rows as a store takes them, in order of (source, rank).

    sources, targets: how many units the two models have.

    Raises
    ------
    InputError
        If anything is wrong; the message names the place.
    """
    what = f"analogues {analogues.source} -> {analogues.target}"
    if analogues.source == analogues.target:
        raise InputError(f"{what}: analogues lie in another model")
    source = references(analogues.rows, "source", sources, what)
    target = references(analogues.rows, "target", targets, what)
    table = typed(analogues.rows, Record.ANALOGUE, what)
    rank = integers(table, "rank")
    refuse(rank < 1, lambda row: f"{what}: row {row}", "a rank is 1 or more")
    for name, values in (("pair of units", target), ("rank of a unit", rank)):
        order = np.lexsort((values, source))
        repeated = ~increasing(source[order], values[order])
        if repeated.any():
            raise InputError(f"{what}: row {int(order[int(np.argmax(repeated)) + 1])}: a {name} stands there twice")
    return table.take(pa.array(np.lexsort((rank, source))))


@dataclass(frozen=True)
class _Places:
    """Where each unit stands: the row of its layer, the layer's depth, its index. All [units]."""

    model: str
    layers: tuple[str, ...]
    layer: Integers
    depth: Integers
    index: Integers

    def __len__(self) -> int:
        return len(self.index)

    def key(self, unit: int) -> str:
        return unit_key(self.model, self.layers[self.layer[unit]], int(self.index[unit]))


def _checked_model(model: Mapping[str, Value]) -> dict[str, Value]:
    name = model.get("name")
    if not isinstance(name, str):
        raise InputError("a model needs a name")
    check_name(name, "model")
    for given, value in model.items():
        prop = property_of(Record.MODEL, given)
        if prop is None:
            raise InputError(f"model {name!r}: there is no property {given!r} of a model")
        if prop.type == "json":
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise InputError(f"model {name!r}: {given} cannot be written as JSON: {error}") from None
        elif value is not None and not isinstance(value, str):
            raise InputError(f"model {name!r}: {given} must be text")
        elif value is not None:
            check_text(value, f"model {name!r}: {given}")
    return {given: value for given, value in model.items() if value is not None}


def _checked_probes(probes: Mapping[str, Value], model: str) -> dict[str, Value]:
    for name in ("name", "sha256"):
        if not isinstance(probes.get(name), str) or not probes[name]:
            raise InputError(f"probes: {name} is missing; it must be text")
    _checked_model({"name": model, "probes": dict(probes)})
    return dict(probes)


def check_text(text: str, place: str) -> str:
    """Return `text` if it can be stored, which lone surrogates cannot.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{place} is not valid Unicode") from None
    return text


def _checked_layers(table: pa.Table, model: str) -> tuple[pa.Table, tuple[str, ...]]:
    table = typed(table, Record.LAYER, "layers", filled=("model",))
    names = tuple(table["name"].to_pylist())
    for name in names:
        check_name(name, "layer")
    if (twice := first_repeated(names)) is not None:
        raise InputError(f"layers: {twice!r} stands there twice")
    depths = integers(table, "depth")
    if (depths < 0).any():
        raise InputError(f"layers: the depth of {names[int(np.argmax(depths < 0))]!r} is negative")
    return with_columns(table, Record.LAYER, model=constant(model, len(names))), names


def _checked_units(table: pa.Table, layers: pa.Table, names: tuple[str, ...], model: str) -> tuple[pa.Table, _Places]:
    if "label" in table.column_names:
        raise InputError("units: labels come in a table of their own")
    table = typed(table, Record.UNIT, "units", filled=("key", "model", "depth", "kind"))
    layer = rows_of(table["layer"], names, "units", "layer")
    index = integers(table, "index")
    places = _Places(model, names, layer, integers(layers, "depth")[layer], index)
    if (index < 0).any():
        raise InputError(f"units: row {int(np.argmax(index < 0))}: the index is negative")
    by_code_point = np.empty(len(names), dtype=np.int64)
    by_code_point[np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)] = np.arange(len(names))
    wrong = ~increasing(places.depth, by_code_point[layer], index)
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        raise InputError(
            f"units: row {row}: {places.key(row)} after {places.key(row - 1)}; "
            "units stand once each, in order of depth, layer name and index"
        )
    prefixes = pa.array([unit_key(model, name, 0)[:-1] for name in names], pa.string())
    keys = pc.binary_join_element_wise(prefixes.take(pa.array(layer)), pa.array(index).cast(pa.string()), "")
    kind = table["kind"] if "kind" in table.column_names else constant(UnitKind.NEURON, len(index))
    kind = pc.fill_null(kind, UnitKind.NEURON.value)
    rows_of(kind, tuple(UnitKind), "units", "kind")
    units = with_columns(
        table,
        Record.UNIT,
        key=keys,
        model=constant(model, len(index)),
        depth=pa.array(places.depth.astype(np.int32)),
        kind=kind,
    )
    return units, places


def _with_widths(layers: pa.Table, units: pa.Table, places: _Places) -> pa.Table:
    """The layers, those without a width given one that holds all their neurons and their directions' coefficients."""
    direction = _are_directions(units)
    least = np.zeros(len(places.layers), dtype=np.int64)
    np.maximum.at(least, places.layer[~direction], places.index[~direction] + 1)
    width = least.copy()
    if "coefficients" in units.column_names:
        lengths = pc.fill_null(pc.list_value_length(units["coefficients"]), 0).to_numpy()
        np.maximum.at(width, places.layer[direction], lengths[direction])
    if "width" in layers.column_names:
        width = np.where(pc.is_valid(layers["width"]), pc.fill_null(layers["width"], 0).to_numpy(), width)
    narrow = width < least
    if narrow.any():
        row = int(np.argmax(narrow))
        raise InputError(f"layers: {places.layers[row]!r} has width {width[row]} but a unit of index {least[row] - 1}")
    among_neurons = direction & (places.index < width[places.layer])
    if among_neurons.any():
        row = int(np.argmax(among_neurons))
        neurons = width[places.layer[row]]
        raise InputError(
            f"units: row {row}: {places.key(row)} is a direction, but its layer has {neurons} neurons; directions have "
            f"the indices from {neurons} on"
        )
    return with_columns(layers, Record.LAYER, width=pa.array(width.astype(np.int32)))


def _are_directions(units: pa.Table) -> npt.NDArray[np.bool_]:
    """Which units are directions [units]."""
    flags: npt.NDArray[np.bool_] = pc.equal(units["kind"], UnitKind.DIRECTION.value).to_numpy()
    return flags


def _with_unit_length(units: pa.Table, layers: pa.Table, places: _Places) -> pa.Table:
    """The units, the coefficients of directions checked and, where they are not, made of unit length."""
    if "coefficients" not in units.column_names:
        return units

    def place(row: int) -> str:
        return f"units: row {row} ({places.key(row)})"

    column = units["coefficients"].combine_chunks()
    given = column.is_valid().to_numpy(zero_copy_only=False)
    widths = integers(layers, "width")[places.layer]
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    refuse(given & ~_are_directions(units), place, "a neuron has no coefficients; directions have")
    refuse(given & (lengths != widths), place, "the coefficients are not as many as the layer has neurons")
    ends = np.cumsum(lengths)
    entries = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    for row in np.flatnonzero(given).tolist():
        own = entries[ends[row] - lengths[row] : ends[row]]
        norm = float(np.linalg.norm(own))
        if not np.isfinite(norm):
            raise InputError(f"{place(row)}: the coefficients hold NaN or infinity")
        if norm == 0:
            raise InputError(f"{place(row)}: the coefficients are all 0")
        if abs(norm - 1) > _OF_UNIT_LENGTH:
            own /= norm
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32(), mask=np.append(~given, False))
    scaled = pa.ListArray.from_arrays(offsets, pa.array(entries.astype(np.float32)))
    return with_columns(units, Record.UNIT, coefficients=scaled)


def _checked_edges(table: pa.Table, places: _Places) -> pa.Table:
    source = references(table, "source", len(places), "edges")
    target = references(table, "target", len(places), "edges")

    def place(row: int) -> str:
        return f"edges: row {row} ({places.key(int(source[row]))} -> {places.key(int(target[row]))})"

    table = typed(table, Record.EDGE, "edges", place)
    refuse(source == target, place, "an edge from a unit to itself")
    refuse(places.depth[source] >= places.depth[target], place, "edges run from a lower to a higher depth")
    kind = rows_of(table["kind"], KINDS, "edges", "kind")
    skip = kind == KINDS.index(EdgeKind.SKIP)
    negative = table["weight"].to_numpy() < 0
    refuse(
        ~skip & (negative != (kind == KINDS.index(EdgeKind.INHIBITS))),
        place,
        "the kind does not fit the weight; an edge of negative weight INHIBITS, any other EXCITES",
    )
    _check_kernels(table, place)
    kinds = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(KINDS))
    table = with_columns(table, Record.EDGE, kind=kinds)
    place_in_order = 2 * (target * len(places) + source) + skip
    if increasing(place_in_order).all():
        return table
    order = np.argsort(place_in_order, kind="stable")
    repeated = ~increasing(place_in_order[order])
    if repeated.any():
        row = int(order[int(np.argmax(repeated)) + 1])
        raise InputError(f"{place(row)}: two {'skip ' if skip[row] else ''}edges between the same units")
    return table.take(pa.array(order))


def _check_kernels(table: pa.Table, place: Place) -> None:
    if "kernel" not in table.column_names:
        return
    length = pc.fill_null(pc.list_value_length(table["kernel"]), -1).to_numpy()
    given = length >= 0
    if not given.any():
        return
    if not {"kernel_h", "kernel_w"} <= set(table.column_names):
        raise InputError("edges: kernels need kernel_h and kernel_w")
    height, width = (pc.fill_null(table[name], -1).to_numpy().astype(np.int64) for name in ("kernel_h", "kernel_w"))
    fits = (height > 0) & (width > 0) & (height * width == length)
    refuse(given & ~fits, place, "the kernel does not have kernel_h x kernel_w entries")
    entries = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table["kernel"].chunks])
    finite = np.isfinite(entries)
    if not finite.all():
        ends = np.cumsum(np.where(given, length, 0))
        row = int(np.searchsorted(ends, int(np.argmin(finite)), side="right"))
        raise InputError(f"{place(row)}: the kernel holds NaN or infinity")


def _checked_labels(table: pa.Table | None, places: _Places) -> pa.Table | None:
    if table is None:
        return None
    unit = references(table, "unit", len(places), "labels")
    return typed(table, Record.LABEL, "labels", lambda row: f"labels: row {row} ({places.key(int(unit[row]))})")


def _checked_maps(table: pa.Table | None, places: _Places) -> pa.Table | None:
    if table is None:
        return None
    source = references(table, "source", len(places), "maps")
    references(table, "target", len(places), "maps")
    table = typed(table, Record.MAP, "maps", lambda row: f"maps: row {row} ({places.key(int(source[row]))})")
    names = tuple(pc.unique(table["map"]).to_pylist())
    name = rows_of(table["map"], names, "maps", "map")
    order = np.lexsort((source, name))
    repeated = ~increasing(name[order], source[order])
    if repeated.any():
        row = int(order[int(np.argmax(repeated)) + 1])
        raise InputError(f"maps: row {row}: {names[name[row]]} of {places.key(int(source[row]))} stands there twice")
    return table


def _checked_measured(table: pa.Table, count: int) -> pa.Table:
    """What was measured on the probes [units], every column there."""
    for name in table.column_names:
        if name not in MEASURED_ON_PROBES:
            raise InputError(f"units: responses bring {', '.join(MEASURED_ON_PROBES)}, not {name!r}")
    if table.num_rows != count:
        raise InputError(f"units: {table.num_rows} rows of responses for {count} units")
    required = tuple(prop.name for prop in properties(Record.UNIT) if not prop.optional)
    known = typed(table, Record.UNIT, "units", filled=required)
    return pa.table(
        {
            name: known[name] if name in known.column_names else pa.nulls(count, pa.float64())
            for name in MEASURED_ON_PROBES
        }
    )


def _checked_examples(table: pa.Table | None, places: _Places) -> pa.Table | None:
    """The strongest positions in order of unit and rank."""
    if table is None:
        return None
    unit = references(table, "unit", len(places), "examples")

    def place(row: int) -> str:
        return f"examples: row {row} ({places.key(int(unit[row]))})"

    plain = table.drop_columns([name for name in table.column_names if name == "thumbnail"])
    checked_table = typed(plain, Record.EXAMPLE, "examples", place)
    rank = integers(checked_table, "rank")
    refuse(rank < 1, place, "a rank is 1 or more")
    refuse(pc.equal(checked_table["picture"], "").to_numpy(), place, "the picture has no name")
    if "thumbnail" in table.column_names:
        thumbnails = table["thumbnail"]
        if not (pa.types.is_null(thumbnails.type) or thumbnails.type in (pa.binary(), pa.large_binary())):
            raise InputError(f"examples: thumbnail holds {thumbnails.type} instead of binary")
        if thumbnails.null_count < len(thumbnails):
            checked_table = checked_table.append_column("thumbnail", thumbnails.cast(pa.large_binary()))
    order = np.lexsort((rank, unit))
    repeated = ~increasing(unit[order], rank[order])
    if repeated.any():
        row = int(order[int(np.argmax(repeated)) + 1])
        raise InputError(f"{place(row)}: rank {rank[row]} stands there twice")
    return checked_table.take(pa.array(order))


def _checked_signatures(signatures: npt.NDArray[np.int8] | None, count: int) -> npt.NDArray[np.int8] | None:
    if signatures is None:
        return None
    if signatures.ndim != 3 or signatures.shape[0] != count or 0 in signatures.shape[1:]:
        raise InputError(f"signatures are {list(signatures.shape)} instead of [{count} units, pictures, numbers]")
    if signatures.dtype != np.int8:
        raise InputError(f"signatures hold {signatures.dtype} instead of int8")
    return np.ascontiguousarray(signatures)


def _some(table: pa.Table | None) -> pa.Table:
    return pa.table({}) if table is None else table


def _checked_families(
    given: pa.Table | None, given_members: pa.Table | None, names: tuple[str, ...], places: _Places
) -> tuple[pa.Table | None, pa.Table | None]:
    if given is None:
        if given_members is not None and given_members.num_rows:
            raise InputError("members: there are no families")
        return None, None
    families = typed(given, Record.FAMILY, "families", filled=("model",))
    rows_of(families["layer"], names, "families", "layer")
    ids = integers(families, "id")
    if (twice := first_repeated(ids.tolist())) is not None:
        raise InputError(f"families: id {twice} stands there twice")
    families = with_columns(
        families,
        Record.FAMILY,
        id=pa.array(np.arange(len(ids), dtype=np.int32)),
        model=constant(places.model, len(ids)),
    )
    if given_members is None:
        return families, None
    unit = references(given_members, "unit", len(places), "members")
    members = typed(given_members, Record.MEMBER, "members", lambda row: f"members: row {row}")
    row_of_id = {identity: row for row, identity in enumerate(ids.tolist())}
    rows = [row_of_id.get(identity) for identity in members["family"].to_pylist()]
    if None in rows:
        raise InputError(f"members: row {rows.index(None)}: there is no family of that id")
    if (twice := first_repeated(list(zip(rows, unit.tolist(), strict=True)))) is not None:
        raise InputError(f"members: {places.key(twice[1])} is twice in one family")
    return families, with_columns(members, Record.MEMBER, family=pa.array(rows, pa.int32()))


def _checked_segments(table: pa.Table | None, names: tuple[str, ...]) -> pa.Table | None:
    if table is None:
        return None
    table = typed(table, Record.SEGMENT, "segments")
    for end in ("source_layer", "target_layer"):
        rows_of(table[end], names, "segments", end)
    return table


def _checked_dense(dense: Mapping[tuple[str, str], Dense], layers: pa.Table) -> dict[tuple[str, str], Dense]:
    widths = dict(zip(layers["name"].to_pylist(), layers["width"].to_pylist(), strict=True))
    for (source, target), matrices in dense.items():
        place = f"dense matrices {source} -> {target}"
        for layer in (source, target):
            if layer not in widths:
                raise InputError(f"{place}: there is no layer {layer!r}")
        shape = (widths[target], widths[source])
        for name, matrix in (("weight", matrices.weight), ("strength", matrices.strength)):
            if matrix.shape != shape:
                raise InputError(f"{place}: {name} is {matrix.shape}, the layers' widths are {shape}")
            if not np.isfinite(matrix).all():
                raise InputError(f"{place}: {name} holds NaN or infinity")
        for block in matrices.blocks:
            if block.kernels.ndim != 4 or block.kernels.shape[:2] != (len(block.targets), len(block.sources)):
                raise InputError(f"{place}: a block's kernels are not [target, source, y, x] of its units")
            for units, width in ((block.targets, shape[0]), (block.sources, shape[1])):
                if len(units) and (units.min() < 0 or units.max() >= width):
                    raise InputError(f"{place}: a block names a unit that is not there")
    return dict(dense)
