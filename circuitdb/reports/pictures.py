"""Circuits as drawings: what a drawing needs of a database is read here, for many circuits at once.

In come circuits and their database, out come drawings. Units that a counted block lists come with the edges that join
them to the circuit's other units, although the search does not return these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from circuitdb.reports.drawing import Drawing, draw_circuit, draw_kernel_matrix

if TYPE_CHECKING:
    from circuitdb.backends.base import Store
    from circuitdb.circuits import Circuit, Reader
    from circuitdb.units import Unit

Row = Mapping[str, Any]
_MOST_LISTED = 16


@dataclass(frozen=True)
class Background:
    """Records and examples of units by key, and, of the units that counted blocks list, their incoming edges."""

    records: Mapping[str, Row] = field(default_factory=dict)
    examples: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[Row]] = field(default_factory=dict)


def background(circuits: Sequence[Circuit], reader: Reader | None) -> Background:
    """What the drawings of circuits need; nothing without a database."""
    if reader is None:
        return Background()
    keys = list(dict.fromkeys(key for circuit in circuits for key in circuit.unit_keys()))
    listed = dict.fromkeys(
        key
        for circuit in circuits
        for unit in circuit.units.values()
        if not isinstance(unit, str)
        for key in (*unit[:_MOST_LISTED], *(own for own in circuit.units.values() if isinstance(own, str)))
    )
    return Background(
        records={row["key"]: row for row in reader.units(keys)},
        examples=reader.examples(keys),
        inputs=reader.edges_of(list(listed), "in"),
    )


def all_edges(circuit: Circuit, behind: Background) -> list[Row]:
    """The edges of a circuit and those that join its listed units to its named ones."""
    edges: list[Row] = list(circuit.edges)
    listed = {key for unit in circuit.units.values() if not isinstance(unit, str) for key in unit[:_MOST_LISTED]}
    named = {unit for unit in circuit.units.values() if isinstance(unit, str)}
    there = {(edge["source"], edge["target"], edge["kind"]) for edge in edges}
    for key in sorted((listed | named) & behind.inputs.keys()):
        for edge in behind.inputs[key]:
            joins = edge["source"] in named if key in listed else edge["source"] in listed
            if joins and (edge["source"], edge["target"], edge["kind"]) not in there:
                edges.append(edge)
    return edges


def drawn(circuit: Circuit, behind: Background) -> Drawing:
    """The drawing of one circuit."""
    named = circuit.motif if circuit.motif not in (None, "query") else "Circuit"
    return draw_circuit(
        circuit.units,
        all_edges(circuit, behind),
        title=f"{named} in {circuit.model}",
        records=behind.records,
        examples=behind.examples,
    )


def draw_circuits(circuits: Sequence[Circuit], reader: Reader | None) -> list[Drawing]:
    """The drawings of circuits."""
    with contextlib.nullcontext() if reader is None else reader.session():
        behind = background(circuits, reader)
    return [drawn(circuit, behind) for circuit in circuits]


def draw_unit(unit: Unit, store: Store, top: int) -> Drawing:
    """A unit between its strongest inputs and outputs."""
    with store.session():
        edges = [*unit.inputs(top), *unit.outputs(top)]
        keys = list(dict.fromkeys([unit.key, *(edge[end] for edge in edges for end in ("source", "target"))]))
        records = {row["key"]: row for row in store.units(keys)}
        examples = store.examples(keys)
    return draw_circuit({"": keys}, edges, title=unit.key, records=records, examples=examples)


def draw_weights(sources: Sequence[Unit], targets: Sequence[Unit]) -> Drawing:
    """The matrix of kernels between two lists of units, with labels, or else poses, as captions."""
    edges = [edge for target in targets for edge in target.inputs()]
    captions = {unit.key: _caption(unit) for unit in (*sources, *targets)}
    names = [_group(units) for units in (sources, targets)]
    title = f"Weights from {names[0]} to {names[1]}"
    return draw_kernel_matrix(
        [unit.key for unit in sources], [unit.key for unit in targets], edges, title=title, captions=captions
    )


def _caption(unit: Unit) -> str:
    labels = [str(row["label"]) for row in unit.labels[:1]]
    return (labels or [str(row["pose"]) for row in unit.families[:1]] or [""])[0]


def _group(units: Sequence[Unit]) -> str:
    return " and ".join(dict.fromkeys(unit.key.rpartition(":")[0] for unit in units)) or "nothing"
