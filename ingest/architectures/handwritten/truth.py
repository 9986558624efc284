"""The planted truth of the handwritten networks as data: labels, maps, families, circuits, decoys, correspondence.

It follows from the rosters, the wiring and pose arithmetic, never from a network's answers, and is kept in
`ingest/architectures/handwritten.json`; `python -m ingest.architectures.handwritten` writes that file anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.architectures.handwritten.circuits import Circuit, circuits, decoys
from ingest.architectures.handwritten.decoys import DECOY_ROSTERS
from ingest.architectures.handwritten.maps import Map, Rosters, contrast_maps, families, maps
from ingest.architectures.handwritten.second import CONTRASTS, SECOND_LAYERS, order
from ingest.architectures.handwritten.units import ROSTERS, Place, Unit, by_layer_and_index

FILE = Path(__file__).parent.parent / "handwritten.json"

Label = tuple[str, int, str]
"""Layer, index, text."""

_BROKEN = {
    *("curve", "long line", "wheel", "high-low frequency"),
    *("coat", "dog torso", "dog torso beside car"),
}
"""Kinds of the decoy network that are not what their name says, or no longer in every pose."""


def label(unit: Unit) -> str:
    """The label of a planted unit, as `dog head facing left`."""
    if unit.symmetry == "mirror" and unit.pose is not None:
        side = "left" if unit.pose == 180 else "right"
        first, beside, rest = unit.kind.partition(" beside ")
        return f"{first} facing {side}{beside}{rest}"
    return unit.name


def correspondence() -> dict[Place, Place]:
    """For every unit of `handwritten` its counterpart in `handwritten_second`."""
    pairs = {}
    for layer, roster in ROSTERS.items():
        second = SECOND_LAYERS[layer]
        for index, source in enumerate(order(second, len(roster)).tolist()):
            pairs[f"{layer}:{source}"] = f"{second}:{index}"
    return {place: pairs[place] for place in sorted(pairs, key=by_layer_and_index)}


def _in_second(circuit: Circuit, counterpart: Mapping[Place, Place]) -> Circuit:
    """The circuit in the second network; lists and mirrored halves in the order of its own keys."""
    units: dict[str, Place | Sequence[Place]] = {
        name: counterpart[place]
        if isinstance(place, str)
        else sorted((counterpart[p] for p in place), key=by_layer_and_index)
        for name, place in circuit.units.items()
    }
    halves = {name: f"T({name})" for name in units if f"T({name})" in units}
    if circuit.parameters.get("T") == "flip" and halves:
        first = next(iter(halves))
        if _index(units[first]) > _index(units[halves[first]]):
            units |= {name: units[other] for name, other in halves.items()} | {
                other: units[name] for name, other in halves.items()
            }
    return replace(circuit, units=units)


def _index(place: Place | Sequence[Place]) -> int:
    assert isinstance(place, str)
    return by_layer_and_index(place)[1]


def _labels(rosters: Rosters) -> list[Label]:
    return [
        (layer, index, label(unit))
        for layer, roster in rosters.items()
        for index, unit in enumerate(roster)
        if not unit.is_noise
    ]


def _contrasts() -> dict[str, Place]:
    """Where the units of the second network's first layer are, by name."""
    split = order("conv1", len(CONTRASTS)).tolist()
    return {CONTRASTS[source]: f"conv1:{index}" for index, source in enumerate(split)}


def labels(network: str) -> list[Label]:
    """The labels of a network's units, in order; noise has none."""
    if network != "handwritten_second":
        return _labels(DECOY_ROSTERS if network == "handwritten_decoys" else ROSTERS)
    counterpart = correspondence()
    named = [(place, name) for name, place in _contrasts().items()]
    named += [(counterpart[f"{layer}:{index}"], name) for layer, index, name in _labels(ROSTERS)]
    return sorted((*by_layer_and_index(place), name) for place, name in named)


def _second_maps() -> list[Map]:
    counterpart, contrasts = correspondence(), _contrasts()
    known = [
        Map(name, place, contrasts[becomes], "exactly")
        for unit, place in contrasts.items()
        for name, becomes in contrast_maps(unit)
    ]
    known += [replace(m, source=counterpart[m.source], target=counterpart[m.target]) for m in maps()]
    return sorted(known, key=lambda m: by_layer_and_index(m.source))


def _map_rows(known: Sequence[Map]) -> list[dict[str, Any]]:
    """Maps as rows, one for every map, layer and precision, with pairs of unit indices."""
    rows: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for m in known:
        layer, source = by_layer_and_index(m.source)
        _, target = by_layer_and_index(m.target)
        rows.setdefault((layer, m.map, m.holds), []).append((source, target))
    return [
        {"map": name, "layer": layer, "holds": holds, "units": pairs} for (layer, name, holds), pairs in rows.items()
    ]


def _record(network: str, widths: Mapping[str, int], known: Sequence[Map], there: Sequence[Circuit]) -> dict[str, Any]:
    return {
        "layers": dict(widths),
        "labels": [{"unit": f"{layer}:{index}", "label": text} for layer, index, text in labels(network)],
        "maps": _map_rows(known),
        "families": list(families(known)),
        "circuits": [circuit.as_json() for circuit in there if circuit.missing is None],
        "decoys": [circuit.as_json() for circuit in there if circuit.missing is not None],
    }


def truth() -> dict[str, Any]:
    """The whole truth as plain JSON values."""
    widths = {layer: len(roster) for layer, roster in ROSTERS.items()}
    second_widths = {"conv1": len(CONTRASTS)} | {SECOND_LAYERS[layer]: width for layer, width in widths.items()}
    decoy_widths = {layer: len(roster) for layer, roster in DECOY_ROSTERS.items()}
    counterpart = correspondence()
    there = circuits()
    return {
        "about": [
            "The planted truth of the handwritten networks, made by: python -m ingest.architectures.handwritten",
            "Units are layer:index. A map that holds 'exactly' holds to rounding; 'nearly': it is resampled, or",
            "holds but for the random background. A map that leads from a unit to itself says that it is invariant.",
            "The units of a family stand in the order in which its group's first generator leads from one to the next.",
            "car, superposition and union_over_cases over two layers are complete at their parameters. The others are",
            "what was planted: a search may find more, as equivariance among noise, which is mirrored and turned too.",
            "Of two mirrored halves the first is the one whose unit has the lesser index.",
            "A decoy lacks the part that its 'missing' names.",
        ],
        "networks": {
            "handwritten": _record("handwritten", widths, list(maps()), there),
            "handwritten_second": _record(
                "handwritten_second",
                second_widths,
                _second_maps(),
                [_in_second(circuit, counterpart) for circuit in there],
            ),
            "handwritten_decoys": _record(
                "handwritten_decoys", decoy_widths, list(maps(DECOY_ROSTERS, _BROKEN)), decoys()
            ),
        },
        "correspondence": {
            "from": "handwritten",
            "to": "handwritten_second",
            "units": [{"from": a, "to": b} for a, b in counterpart.items()],
        },
    }


def as_text(record: Mapping[str, Any]) -> str:
    """JSON with one row a line, so that a change reads as a diff."""
    rows: list[str] = []
    text = json.dumps(_with_rows(record, rows), indent=1, ensure_ascii=False)
    for number, row in enumerate(rows):
        text = text.replace(f'"row {number}"', row, 1)
    return text + "\n"


def _with_rows(value: Any, rows: list[str]) -> Any:
    """The value with every dictionary in a list put aside as one line of text."""
    if isinstance(value, Mapping):
        return {name: _with_rows(part, rows) for name, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        first = len(rows)
        rows += [json.dumps(row, ensure_ascii=False) for row in value]
        return [f"row {number}" for number in range(first, len(rows))]
    return value


def read() -> dict[str, Any]:
    """The truth as it is kept."""
    record: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return record


def write() -> None:
    """Make the kept truth anew."""
    FILE.write_text(as_text(truth()), encoding="utf-8")
