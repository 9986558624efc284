"""What a search found as one subgraph: the circuits, every unit and every edge once, the models they lie in.

In come `Circuits`; out goes a `Subgraph` of plain rows, from which each form of export is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuitdb.circuits import Circuits, short_name
from circuitdb.graph import Record, properties

Row = dict[str, Any]

_MODEL = tuple(prop.name for prop in properties(Record.MODEL))
_LAYER = tuple(prop.name for prop in properties(Record.LAYER) if prop.name != "model")


@dataclass(frozen=True)
class Subgraph:
    """The rows of a search.

    query, store, keep, truncated, stopped_by, total, remarks: as in `Circuits`.
    models: the properties of the models that units lie in. layers: their layers, each with its `model`.
    circuits: as `find --format json` prints them. units: every property, with `labels` (rows of label and source).
    edges: `source` and `target` (keys) and every property, each edge once however many circuits share it.
    """

    query: str
    store: str
    keep: str
    truncated: bool
    stopped_by: str | None
    total: int | None
    remarks: tuple[str, ...]
    models: tuple[Row, ...]
    layers: tuple[Row, ...]
    circuits: tuple[Row, ...]
    units: tuple[Row, ...]
    edges: tuple[Row, ...]


def subgraph_of(circuits: Circuits) -> Subgraph:
    """The subgraph of all circuits, units and edges in the order in which the circuits name them."""
    named = (key for circuit in circuits for key in circuit.unit_keys())
    ends = (edge[end] for circuit in circuits for edge in circuit.edges for end in ("source", "target"))
    with circuits.reader.session():
        units = circuits.reader.units(list(dict.fromkeys([*named, *ends])))
        models = circuits.reader.models()
    used = {unit["model"] for unit in units}
    models = [model for model in models if model["name"] in used]
    edges = {(e["source"], e["target"], e["kind"]): dict(e) for circuit in circuits for e in circuit.edges}
    return Subgraph(
        circuits.query,
        circuits.store,
        circuits.keep,
        circuits.truncated,
        circuits.stopped_by,
        circuits.total,
        circuits.remarks,
        tuple({name: model.get(name) for name in _MODEL} for model in models),
        tuple(
            {"model": model["name"], **{name: layer.get(name) for name in _LAYER}}
            for model in models
            for layer in model["layers"]
        ),
        tuple(circuit.to_dict() for circuit in circuits),
        tuple(units),
        tuple(edges.values()),
    )


def flat(row: Mapping[str, Any]) -> Row:
    """The row's properties as single values: what is missing is left out, lists and objects are JSON text."""
    return {
        name: json_text(value) if isinstance(value, list | tuple | Mapping) else value
        for name, value in row.items()
        if value is not None and value != []
    }


def json_text(value: Any) -> str:
    """JSON as it stands in a property: one line, Unicode as it is."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def caption(unit: Mapping[str, Any]) -> str:
    """What a drawing writes at a unit: its labels, else its key without the model."""
    labels = dict.fromkeys(row["label"] for row in unit.get("labels") or ())
    return "; ".join(labels) or short_name(unit["key"])
