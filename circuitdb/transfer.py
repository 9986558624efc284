"""Copies models from one store to another and proves that they arrived.

`push` reads each model from one store, writes it to the other and compares counts and checksums. It can be run again
after it was interrupted: models that are there and equal are skipped. Dense matrices and thumbnails go along where
the other store holds them, analogues where it holds both of their models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph, Progress, Store
from circuitdb.backends.validation import checked
from circuitdb.errors import CircuitdbError, InputError

_TABLES = ("layers", "units", "edges", "segments", "labels", "maps", "families", "members", "examples")


@dataclass(frozen=True)
class Copied:
    """What became of one model: how large it is, its checksum, and whether it was there already."""

    model: str
    units: int
    edges: int
    checksum: str
    was_there: bool


def push(
    source: Store,
    target: Store,
    models: Sequence[str] | None = None,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> list[Copied]:
    """Copy models, all of them unless some are named, and compare what arrived with what was sent.

    Raises
    ------
    InputError
        If a model is not in `source`, or another of its name is in `target` and `replace` is false.
    CircuitdbError
        If a store fails, or what arrived differs from what was sent.
    """
    there = model_names(target)
    copied = []
    for name in models if models is not None else [row["name"] for row in source.models()]:
        graph = source.read(name)
        sent = checksum(graph)
        was_there = name in there and checksum(target.read(name)) == sent
        if name in there and not was_there and not replace:
            raise InputError(f"{target.address} holds another model {name!r}; --replace puts this one in its place")
        if not was_there:
            target.write(graph, replace=name in there, progress=progress)
            arrived = target.read(name)
            _compare(graph, arrived, target.address)
        copied.append(Copied(name, graph.units.num_rows, graph.edges.num_rows, sent, was_there))
    _push_analogues(source, target)
    return copied


def _push_analogues(source: Store, target: Store) -> None:
    """Copy the analogues between models that both stores hold, unless they are there."""
    names = model_names(target)
    there = {(pairs.source, pairs.target): pairs.rows for pairs in target.analogues()} if names else {}
    for pairs in source.analogues():
        known = there.get((pairs.source, pairs.target))
        if {pairs.source, pairs.target} <= names and (known is None or not known.equals(pairs.rows)):
            target.write_analogues(pairs)
            arrived = next(p.rows for p in target.analogues() if (p.source, p.target) == (pairs.source, pairs.target))
            if not arrived.equals(pairs.rows):
                raise CircuitdbError(
                    f"the analogues {pairs.source} -> {pairs.target} arrived at {target.address} changed"
                )


def model_names(store: Store) -> set[str]:
    """The models in a store; none where the first write is yet to make the file."""
    try:
        return {row["name"] for row in store.models()}
    except InputError:
        return set()


def _compare(sent: ModelGraph, arrived: ModelGraph, address: str) -> None:
    if checksum(arrived) == checksum(sent):
        return
    before, after = canonical(sent), canonical(arrived)
    for name in _TABLES:
        tables = [getattr(graph, name) for graph in (before, after)]
        rows = [0 if table is None else table.num_rows for table in tables]
        if rows[0] != rows[1]:
            raise CircuitdbError(f"of {rows[0]} {name} of model {sent.name!r}, {rows[1]} arrived at {address}")
        if tables[0] is not None and not tables[0].equals(tables[1]):
            raise CircuitdbError(f"the {name} of model {sent.name!r} arrived at {address} changed")
    if not np.array_equal(_signatures(before), _signatures(after)):
        raise CircuitdbError(f"the signatures of model {sent.name!r} arrived at {address} changed")
    raise CircuitdbError(f"the properties of model {sent.name!r} arrived at {address} changed")


def checksum(graph: ModelGraph) -> str:
    """SHA-256 of all that every store holds of a model: the same wherever and in whichever order it is kept."""
    graph = canonical(graph)
    digest = hashlib.sha256(json.dumps(graph.model, sort_keys=True).encode())
    for name in _TABLES:
        table: pa.Table | None = getattr(graph, name)
        if table is not None:
            digest.update(f"\n{name} {table.num_rows}".encode())
            for column in table.column_names:
                digest.update(f"\n{column} ".encode())
                for part in _parts(table[column].combine_chunks()):
                    digest.update(part)
    if graph.signatures is not None:
        digest.update(f"\nsignatures {graph.signatures.shape}".encode())
        digest.update(graph.signatures.tobytes())
    return digest.hexdigest()


def canonical(graph: ModelGraph) -> ModelGraph:
    """The model in its one form: checked, every table in order of its keys, families numbered in that order too.

    Tables without rows are None; dense matrices and thumbnails are left out.

    Raises
    ------
    InputError
        If the graph has a mistake.
    """
    graph = checked(graph)
    families, members = _canonical_families(graph)
    return replace(
        graph,
        layers=_in_order(graph.layers, "depth", "name"),
        edges=graph.edges.set_column(
            graph.edges.column_names.index("kind"), "kind", graph.edges["kind"].cast(pa.string())
        ),
        segments=_in_order(graph.segments, "source_layer", "target_layer", "skip", "method"),
        labels=_in_order(graph.labels, "unit", "label", "source"),
        maps=_in_order(graph.maps, "map", "source"),
        families=families,
        members=members,
        dense={},
        examples=_in_order(_without_thumbnails(graph.examples), "unit", "rank"),
    )


def _without_thumbnails(examples: pa.Table | None) -> pa.Table | None:
    if examples is None or "thumbnail" not in examples.column_names:
        return examples
    return examples.drop_columns(["thumbnail"])


def _signatures(graph: ModelGraph) -> npt.NDArray[np.int8]:
    return np.zeros((0, 0, 0), dtype=np.int8) if graph.signatures is None else graph.signatures


def _in_order(table: pa.Table | None, *names: str) -> pa.Table | None:
    if table is None or table.num_rows == 0:
        return None
    return table.sort_by([(name, "ascending") for name in names if name in table.column_names]).combine_chunks()


def _canonical_families(graph: ModelGraph) -> tuple[pa.Table | None, pa.Table | None]:
    """Families in order of layer, group and members, numbered from 0."""
    if graph.families is None or graph.families.num_rows == 0:
        return None, None
    pairs: list[list[tuple[int, str]]] = [[] for _ in range(graph.families.num_rows)]
    if graph.members is not None:
        for member in graph.members.to_pylist():
            pairs[member["family"]].append((member["unit"], member["pose"]))
    keys = [
        (layer, group, own)
        for layer, group, own in zip(
            graph.families["layer"].to_pylist(), graph.families["group"].to_pylist(), pairs, strict=True
        )
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    families = graph.families.take(pa.array(order))
    number = pa.array(range(len(order)), pa.int32())
    rows = [
        {"family": place, "unit": unit, "pose": pose} for place, row in enumerate(order) for unit, pose in keys[row][2]
    ]
    schema = pa.schema([("family", pa.int32()), ("unit", pa.int32()), ("pose", pa.string())])
    return (
        families.set_column(families.column_names.index("id"), "id", number).combine_chunks(),
        pa.Table.from_pylist(rows, schema) if rows else None,
    )


def _parts(array: pa.Array | pa.ChunkedArray) -> list[bytes]:
    """The bytes of a column: which values are missing, then the values, 0 and empty where missing."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    parts = [np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes()]
    if pa.types.is_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype("<i8")
        return [*parts, lengths.tobytes(), *_parts(array.flatten())]
    if pa.types.is_string(array.type):
        texts: list[Any] = [(text or "").encode() for text in array.to_pylist()]
        return [*parts, np.array([len(text) for text in texts], dtype="<i8").tobytes(), b"".join(texts)]
    form = "<f8" if pa.types.is_floating(array.type) else "<i8"
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    numbers = array.fill_null(0).to_numpy(zero_copy_only=False).astype(form)
    return [*parts, (numbers + numbers.dtype.type(0)).tobytes()]
