"""What a page holds, as plain values that its script reads: circuits, units, edges, kernels, pictures, drawings.

Each kernel and picture stands once, under the name that drawings use for it. Where a page would grow too large, fewer
pictures a unit and fewer drawings are embedded, the strongest circuits first; the page says what was left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from circuitdb.reports.drawing.circuit import kernel_of
from circuitdb.reports.drawing.kernel import kernel_levels, kernel_part
from circuitdb.reports.drawing.render import picture_part
from circuitdb.reports.pictures import Background, all_edges, background, drawn
from circuitdb.reports.words import strongest_coefficients

if TYPE_CHECKING:
    from circuitdb.circuits import Circuit, Reader

Row = Mapping[str, Any]

LEVEL_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$"
"""A character for each level of colour, from full inhibition to full excitation."""

_FIGURES = ("weight", "share", "strength", "rank_in", "rank_out", "coherence")
_UNIT_FACTS = ("branch", "bias", "in_norm", "energy_kept_in", "energy_kept_out", "mean", "sd", "sparsity")
_STRONGEST = 8
_MOST_PICTURES = 9
_PICTURE_BYTES = 7_000_000
_DRAWING_BYTES = 9_000_000


@dataclass
class Store:
    """What a page's values refer to by name, gathered while they are made."""

    kernels: dict[str, list[Any]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def kernel(self, edge: Row) -> tuple[str | None, float]:
        """The name of an edge's kernel and its largest entry; no name where the edge has none."""
        kernel = kernel_of(edge)
        if kernel is None or not kernel.size or not np.abs(kernel).max() > 0:
            return None, 0.0
        name, _ = kernel_part(kernel)
        if name not in self.kernels:
            levels = kernel_levels(kernel) + (len(LEVEL_CHARACTERS) - 1) // 2
            text = "".join(LEVEL_CHARACTERS[level] for level in levels.ravel().tolist())
            self.kernels[name] = [kernel.shape[1], kernel.shape[0], text]
        return name, float(np.abs(kernel).max())

    def picture(self, png: bytes) -> str:
        """The name of a picture."""
        name, _ = picture_part(png)
        self.pictures.setdefault(name, base64.b64encode(png).decode())
        return name


def circuits_content(circuits: Sequence[Circuit], reader: Reader) -> tuple[dict[str, Any], list[str]]:
    """The values of a page on circuits, and sentences on what was left out of it."""
    behind = background(circuits, reader)
    store = Store()
    crops = _crops(behind, store)
    bodies, left_out = _bodies(circuits, behind, crops)
    drawings = [
        {
            "motif": circuit.motif,
            "model": circuit.model,
            "score": circuit.score,
            "units": {name: unit if isinstance(unit, str) else list(unit) for name, unit in circuit.units.items()},
            "edges": [edge_values(edge, store) for edge in all_edges(circuit, behind)],
            "body": body,
        }
        for circuit, body in zip(circuits, bodies, strict=True)
    ]
    units = units_values(list(behind.records), reader, store, crops)
    values = {"circuits": drawings, "units": units, "kernels": store.kernels, "pictures": store.pictures}
    return values, left_out


def unit_content(key: str, reader: Reader) -> dict[str, Any]:
    """The values of a page on one unit."""
    store = Store()
    behind = Background(examples=reader.examples([key]), records={})
    crops = _crops(behind, store)
    units = units_values([key], reader, store, crops, strongest=24)
    return {"circuits": [], "units": units, "kernels": store.kernels, "pictures": store.pictures}


def units_values(
    keys: Sequence[str],
    reader: Reader,
    store: Store,
    crops: Mapping[str, Sequence[Mapping[str, Any]]],
    strongest: int = _STRONGEST,
) -> dict[str, dict[str, Any]]:
    """By key, units with their labels, strongest edges, maps, families and analogues."""
    inputs, outputs = (reader.edges_of(keys, direction, strongest) for direction in ("in", "out"))
    values = {}
    for unit in reader.units_at(keys):
        facts = {name: figure(unit.properties.get(name)) for name in _UNIT_FACTS}
        facts["takes"] = strongest_coefficients(unit.properties.get("coefficients") or ()) or None
        values[unit.key] = {
            "labels": [[row["label"], row.get("source")] for row in unit.labels],
            "facts": {name: value for name, value in facts.items() if value is not None},
            "crops": list(crops.get(unit.key, ())),
            "inputs": [edge_values(edge, store) for edge in inputs[unit.key]],
            "outputs": [edge_values(edge, store) for edge in outputs[unit.key]],
            "maps": [[row["map"], row["target"], figure(row.get("score")), row.get("mutual")] for row in unit.maps],
            "families": [
                [row["group"], row["pose"], [[m["unit"], m["pose"]] for m in row.get("members") or ()]]
                for row in unit.families
            ],
            "analogues": [[row["target"], figure(row.get("score")), row.get("rank")] for row in unit.analogues],
        }
    return values


def edge_values(edge: Row, store: Store) -> list[Any]:
    """An edge: source, target, kind, the figures of `_FIGURES`, its kernel's name and largest entry."""
    name, largest = store.kernel(edge)
    figures = [figure(edge.get(one)) for one in _FIGURES]
    return [edge["source"], edge["target"], edge["kind"], *figures, name, figure(largest)]


def figure(value: Any) -> Any:
    """A number with six digits; what no JSON can hold is left out."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def _crops(behind: Background, store: Store) -> dict[str, list[dict[str, Any]]]:
    """The pictures of every unit, as many as the page has room for."""
    with_pictures = {key: [row for row in rows if row.get("thumbnail")] for key, rows in behind.examples.items()}
    most = next(
        (
            n
            for n in range(_MOST_PICTURES, 0, -1)
            if _bytes(row["thumbnail"] for rows in with_pictures.values() for row in rows[:n]) <= _PICTURE_BYTES
        ),
        1,
    )
    return {
        key: [
            {"picture": store.picture(row["thumbnail"]), "of": row["picture"], "value": figure(row["value"])}
            for row in rows[:most]
        ]
        for key, rows in with_pictures.items()
        if rows
    }


def _bytes(pictures: Iterable[bytes]) -> int:
    return sum(map(len, pictures)) * 4 // 3


def _bodies(
    circuits: Sequence[Circuit], behind: Background, crops: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[str | None], list[str]]:
    """The drawings' bodies, and what is said about those that the page has no room for."""
    shown = {key: [row for row in rows if row.get("thumbnail")][: len(crops.get(key, ()))]
             for key, rows in behind.examples.items()}  # fmt: skip
    within = Background(behind.records, shown, behind.inputs)
    bodies: list[str | None] = []
    size = 0
    for circuit in circuits:
        body = drawn(circuit, within).body if size <= _DRAWING_BYTES else None
        size += 0 if body is None else len(body)
        bodies.append(body)
    missing = bodies.count(None)
    words = f"The last {missing} circuits are listed without drawings, to keep the file small."
    return bodies, [words] if missing else []
