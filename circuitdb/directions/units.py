"""A model with directions among its units, and without.

In come a whole model with every kernel, as `ingest --dense` writes it, and coefficients; out comes the model with the
directions, whose units stand behind the neurons of their layer, and with all tables naming units by their new rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph
from circuitdb.directions.combining import Integers, Reals, dense_weights, skip_weights
from circuitdb.directions.edges import Network, Sums, Units
from circuitdb.errors import InputError
from circuitdb.graph import UnitKind, unit_key
from circuitdb.keep import energy_part
from circuitdb.keep_rule import KeepRule

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
    units = Units.of(graph, np.arange(graph.units.num_rows) + len(made) * (np.arange(graph.units.num_rows) >= place))
    shifted = _renumbered(graph, units.rows)
    weights = {False: dense_weights(graph, layer), True: skip_weights(graph, layer, units.neuron_at(), units.widths())}
    tables: list[pa.Table] = []
    sums = Sums(len(made))
    for skip, every in weights.items():
        network = Network(every, units, rule, skip)
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


def _unit_rows(graph: ModelGraph, layer: str, made: Reals, first: int, sums: Sums) -> pa.Table:
    """The rows of new directions, the first of index `first`."""
    count = len(made)
    indices = range(first, first + count)
    [depth] = [row["depth"] for row in graph.layers.select(["name", "depth"]).to_pylist() if row["name"] == layer]
    total_in, kept_in = sums.of(True)
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
        "energy_kept_in": energy_part(kept_in, total_in),
        "energy_kept_out": energy_part(kept_out, total_out),
        "coefficients": pa.array(made.astype(np.float32).tolist(), pa.list_(pa.float32())),
    }
    columns |= {name: _summed(graph, layer, made, name) for name in ("bias", "mean")}
    return pa.table(columns)


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
