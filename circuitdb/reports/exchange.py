"""The exchange form: whole graphs as one JSON document, in and out.

`read_document` takes a parsed document, as other tools may write it, and returns whole models and the analogues between
models, with everything derived that can be; what is refused is refused with its place in the document.
`write_document` is the way back. `docs/exchange.md` describes the form.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.columns import ARROW_TYPES
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind, PropertyType, Record, check_name, properties, property_of, split_key
from circuitdb.language.diagnostics import nearest_names
from circuitdb.pattern import maps as map_names

VERSION = 1
_PARTS = ("models", "layers", "units", "edges", "maps", "analogues", "families", "segments")
_KIND_OF_TYPE: Mapping[PropertyType, str] = {
    "text": "a text",
    "integer": "a whole number",
    "real": "a finite number",
    "boolean": "true or false",
    "reals": "a list of finite numbers",
    "json": "any JSON",
}

Row = dict[str, Any]
Document = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """What a document holds: whole models, and the analogues between models, those of the database included."""

    graphs: tuple[ModelGraph, ...]
    analogues: tuple[Analogues, ...]


def read_document(document: object, known_units: Callable[[str], Collection[str]] | None = None) -> Exchange:
    """The models and analogues of a document.

    Parameters
    ----------
    document
        The parsed JSON.
    known_units
        Gives the unit keys of a model of the database, to which analogues may lead; empty where there is none.

    Raises
    ------
    InputError
        At the first thing that is wrong, with its place, as `edges[3].weight`.
    """
    parts = _parts(document)
    models = _by_name(parts["models"], Record.MODEL, "models", lambda row, _: str(row["name"]))
    for i, row in enumerate(parts["models"]):
        _checked_name(row["name"], "model", f"models[{i}].name")
    layers = _layers(parts["layers"], models)
    units = _units(parts["units"], layers)
    edges = _edges(parts["edges"], units)
    maps = _maps(parts["maps"], units)
    families = _families(parts["families"], units, layers)
    segments = _segments(parts["segments"], layers)
    graphs = [_Graph(name, models[name], layers, units, edges, maps, families, segments).build() for name in models]
    analogues = _analogues(parts["analogues"], units, models, known_units or (lambda _: ()))
    return Exchange(tuple(graphs), analogues)


def write_document(graphs: Iterable[ModelGraph], analogues: Iterable[Analogues] = ()) -> Document:
    """The document of some models and of the analogues between them. Dense matrices stay behind."""
    document: Document = {"circuitdb": VERSION, **{part: [] for part in _PARTS}}
    keys: dict[str, list[str]] = {}
    for graph in graphs:
        units = graph.units.to_pylist()
        keys[graph.name] = [unit["key"] for unit in units]
        labels: dict[int, list[Row]] = {}
        for row in _pylist(graph.labels):
            labels.setdefault(row.pop("unit"), []).append(_present(row))
        document["models"].append(_present(dict(graph.model)))
        document["layers"] += [_present(row) for row in _pylist(graph.layers)]
        for i, unit in enumerate(units):
            own = _present({name: value for name, value in unit.items() if name not in _DERIVED_OF_UNITS})
            document["units"].append(own | ({"labels": labels[i]} if i in labels else {}))
        for row in _pylist(graph.edges):
            kind = row.pop("kind")
            ends = {end: keys[graph.name][row.pop(end)] for end in ("source", "target")}
            skip = {"skip": True} if kind == EdgeKind.SKIP else {}
            document["edges"].append(ends | skip | _present(row))
        for row in _pylist(graph.maps):
            ends = {end: keys[graph.name][row.pop(end)] for end in ("source", "target")}
            document["maps"].append(_present(row) | ends)
        members: dict[int, list[Row]] = {}
        for row in _pylist(graph.members):
            members.setdefault(row["family"], []).append({"unit": keys[graph.name][row["unit"]], "pose": row["pose"]})
        for row in _pylist(graph.families):
            own_members = members.get(row.pop("id"), [])
            document["families"].append(_present(row) | {"model": graph.name, "members": own_members})
        document["segments"] += [{"model": graph.name} | _present(row) for row in _pylist(graph.segments)]
    for pairs in analogues:
        for row in pairs.rows.to_pylist():
            source, target = keys[pairs.source][row.pop("source")], keys[pairs.target][row.pop("target")]
            document["analogues"].append({"source": source, "target": target} | _present(row))
    return document


_DERIVED_OF_UNITS = ("model", "layer", "depth", "index")


def _pylist(table: pa.Table | None) -> list[Row]:
    return [] if table is None else table.to_pylist()


def _present(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if value is not None}


# reading


def _parts(document: object) -> dict[str, list[Row]]:
    """The parts of a document as lists of objects."""
    if not isinstance(document, dict):
        raise InputError('the document is no JSON object; it looks like {"circuitdb": 1, "models": […], …}')
    if document.get("circuitdb") != VERSION or isinstance(document.get("circuitdb"), bool):
        raise InputError(f'the document must say "circuitdb": {VERSION}, the version of the exchange form')
    for name in document:
        if name != "circuitdb" and name not in _PARTS:
            near = nearest_names(name, _PARTS)
            raise InputError(f"{name}: a document has no such part" + (f"; did you mean {near[0]}?" if near else ""))
    parts: dict[str, list[Row]] = {}
    for part in _PARTS:
        rows = document.get(part, [])
        if not isinstance(rows, list):
            raise InputError(f"{part}: a list is wanted")
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise InputError(f"{part}[{i}]: an object is wanted")
        parts[part] = rows
    return parts


def _checked_row(
    row: Row, record: Record, place: str, also: Mapping[str, type] = {}, absent: Collection[str] = ()
) -> None:
    """Refuse unknown properties and values of the wrong type. `absent`: required ones that can be derived."""
    for name, value in row.items():
        if name in also:
            if not isinstance(value, also[name]):
                raise InputError(f"{place}.{name}: {_JSON_NAMES[also[name]]} is wanted")
            continue
        prop = property_of(record, name)
        if prop is None:
            known = [*(p.name for p in properties(record)), *also]
            near = nearest_names(name, known)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{place}.{name}: there is no such property{hint}")
        if not _holds(value, prop.type) and not (value is None and prop.optional):
            raise InputError(f"{place}.{name}: {_KIND_OF_TYPE[prop.type]} is wanted")
    for prop in properties(record):
        if not prop.optional and prop.name not in absent and row.get(prop.name) is None:
            raise InputError(f"{place}.{prop.name} is missing")


_JSON_NAMES = {str: "a text", list: "a list", bool: "true or false"}


def _holds(value: object, kind: PropertyType) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
        case "real":
            return _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "reals":
            return isinstance(value, list) and all(map(_is_number, value))
        case "json":
            return True


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _checked_name(name: str, what: str, place: str) -> None:
    try:
        check_name(name, what)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _by_name(
    rows: Sequence[Row], record: Record, part: str, key: Callable[[Row, str], Any], absent: Collection[str] = ()
) -> dict[Any, Row]:
    """The rows by their key, each of which may stand once."""
    found: dict[Any, Row] = {}
    for i, row in enumerate(rows):
        place = f"{part}[{i}]"
        _checked_row(row, record, place, absent=absent)
        name = key(row, place)
        if name in found:
            raise InputError(f"{place}: {name if isinstance(name, str) else '/'.join(name)} stands there twice")
        found[name] = row
    return found


def _layers(rows: Sequence[Row], models: Mapping[str, Row]) -> dict[tuple[str, str], Row]:
    def key(row: Row, place: str) -> tuple[str, str]:
        _checked_name(row["name"], "layer", f"{place}.name")
        if row["model"] not in models:
            raise InputError(f"{place}.model: the document has no model {row['model']!r}")
        if row["depth"] < 0:
            raise InputError(f"{place}.depth: a depth is 0 or more")
        return row["model"], row["name"]

    return _by_name(rows, Record.LAYER, "layers", key)


@dataclass(frozen=True)
class _Units:
    """The units of a document: rows and places in key order, by key."""

    rows: dict[str, Row]
    order: dict[str, list[str]]
    place: dict[str, int]
    depth: dict[str, int]

    def end(self, row: Row, name: str, place: str) -> str:
        """The key at one end of an edge or map."""
        key = row.get(name)
        if not isinstance(key, str):
            raise InputError(f"{place}.{name}: a unit's key is wanted")
        if key not in self.rows:
            near = nearest_names(key, self.rows) if len(self.rows) < 20_000 else ()
            raise InputError(
                f"{place}.{name}: there is no unit {key!r}" + (f"; did you mean {near[0]}?" if near else "")
            )
        return key


def _units(rows: Sequence[Row], layers: Mapping[tuple[str, str], Row]) -> _Units:
    found: dict[str, Row] = {}
    sorting: dict[str, tuple[str, int, str, int]] = {}
    for i, row in enumerate(rows):
        place = f"units[{i}]"
        derived = ("model", "layer", "depth", "index", "kind")
        _checked_row(row, Record.UNIT, place, {"labels": list}, derived)
        try:
            model, layer, index = split_key(row["key"])
        except InputError as error:
            raise InputError(f"{place}.key: {error}") from None
        if (model, layer) not in layers:
            raise InputError(f"{place}.key: the document has no layer {model}/{layer}")
        if index >= 2**31:
            raise InputError(f"{place}.key: the index is too large")
        depth = layers[model, layer]["depth"]
        for name, value in (("model", model), ("layer", layer), ("depth", depth), ("index", index)):
            if row.get(name, value) != value:
                raise InputError(f"{place}.{name}: the key says {value!r}")
        if row["key"] in found:
            raise InputError(f"{place}.key: {row['key']} stands there twice")
        if "label" in row:
            raise InputError(f'{place}.label: labels stand in a list, as "labels": [{{"label": …}}]')
        for j, label in enumerate(row.get("labels", ())):
            if not isinstance(label, dict):
                raise InputError(f'{place}.labels[{j}]: an object is wanted, as {{"label": …, "source": …}}')
            _checked_row(label, Record.LABEL, f"{place}.labels[{j}]", absent=("unit",))
        found[row["key"]] = row
        sorting[row["key"]] = (model, depth, layer, index)
    order: dict[str, list[str]] = {}
    for key in sorted(found, key=sorting.__getitem__):
        order.setdefault(sorting[key][0], []).append(key)
    place_of = {key: i for keys in order.values() for i, key in enumerate(keys)}
    return _Units(found, order, place_of, {key: sorting[key][1] for key in found})


def _edges(rows: Sequence[Row], units: _Units) -> dict[str, list[Row]]:
    """The edges by model, complete: what is absent is derived from what is given."""
    found: dict[str, list[Row]] = {}
    seen: set[tuple[str, str, bool]] = set()
    derived = ("kind", "strength", "share", "rank_in", "rank_out")
    for i, given in enumerate(rows):
        place = f"edges[{i}]"
        _checked_row(given, Record.EDGE, place, {"source": str, "target": str, "skip": bool}, derived)
        source, target = (units.end(given, end, place) for end in ("source", "target"))
        model = source.partition("/")[0]
        if target.partition("/")[0] != model:
            raise InputError(f"{place}: an edge lies within one model")
        if units.depth[source] >= units.depth[target]:
            raise InputError(f"{place}: {source} -> {target} runs against the order of depth")
        row = dict(given)
        skip = bool(row.pop("skip", row.get("kind") == EdgeKind.SKIP))
        kind = EdgeKind.SKIP if skip else EdgeKind.INHIBITS if row["weight"] < 0 else EdgeKind.EXCITES
        if row.get("kind", kind) != kind:
            raise InputError(f'{place}.kind: the edge is {kind}, by the sign of its weight and "skip"')
        if (source, target, skip) in seen:
            raise InputError(f"{place}: two edges of the same kind from {source} to {target}")
        seen.add((source, target, skip))
        kernel = row.get("kernel")
        if kernel is not None and row.get("kernel_h", 0) * row.get("kernel_w", 0) != len(kernel):
            raise InputError(f"{place}.kernel: kernel_h times kernel_w numbers are wanted")
        weight = row["weight"]
        row |= {"source": source, "target": target, "kind": kind.value}
        row.setdefault("strength", abs(weight))
        if row["strength"] < 0:
            raise InputError(f"{place}.strength: a strength is 0 or more")
        row.setdefault("excitation", max(weight, 0.0))
        row.setdefault("inhibition", min(weight, 0.0))
        found.setdefault(model, []).append(row)
    for own in found.values():
        for skip in (False, True):
            _derive_shares([row for row in own if (row["kind"] == EdgeKind.SKIP) == skip], units)
    return found


def _derive_shares(edges: list[Row], units: _Units) -> None:
    """Shares and ranks from strengths, for edges that do not give them; equal strengths rank by key."""
    for end, other, rank in (("target", "source", "rank_in"), ("source", "target", "rank_out")):
        groups: dict[str, list[Row]] = {}
        for edge in edges:
            groups.setdefault(edge[end], []).append(edge)
        for group in groups.values():
            energy = math.fsum(edge["strength"] ** 2 for edge in group)
            ordered = sorted(group, key=lambda edge: (-edge["strength"], units.place[edge[other]]))
            for place, edge in enumerate(ordered, 1):
                edge.setdefault(rank, place)
                if end == "target":
                    edge.setdefault("share", edge["strength"] ** 2 / energy if energy > 0 else 0.0)


def _maps(rows: Sequence[Row], units: _Units) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    seen: set[tuple[str, str]] = set()
    for i, given in enumerate(rows):
        place = f"maps[{i}]"
        _checked_row(given, Record.MAP, place, {"source": str, "target": str})
        source, target = (units.end(given, end, place) for end in ("source", "target"))
        model = source.partition("/")[0]
        if target.partition("/")[0] != model:
            raise InputError(f'{place}: a map lies within one model; "analogues" lead to another')
        row = given | {"map": _map_name(given["map"], f"{place}.map")}
        if (row["map"], source) in seen:
            raise InputError(f"{place}: {row['map']} of {source} stands there twice")
        seen.add((row["map"], source))
        found.setdefault(model, []).append(row)
    return found


def _map_name(text: str, place: str) -> str:
    """The canonical name of a map."""
    turn = re.fullmatch(r"(rotate|hue)\((-?[0-9]+(?:\.[0-9]+)?)\)", text)
    if turn is not None:
        name = map_names.turned(turn[1], float(turn[2]))
        if not name.is_identity:
            return name.text
    elif text in map_names.PLAIN:
        return text
    raise InputError(f"{place}: {text!r} is no map; maps are flip, flip_vertical, rotate(DEG), negate and hue(DEG)")


def _families(
    rows: Sequence[Row], units: _Units, layers: Mapping[tuple[str, str], Row]
) -> dict[str, list[tuple[Row, list[Row]]]]:
    found: dict[str, list[tuple[Row, list[Row]]]] = {}
    for i, row in enumerate(rows):
        place = f"families[{i}]"
        _checked_row(row, Record.FAMILY, place, {"members": list})
        if (row["model"], row["layer"]) not in layers:
            raise InputError(f"{place}.layer: the document has no layer {row['model']}/{row['layer']}")
        members = row.get("members", [])
        for j, member in enumerate(members):
            if not isinstance(member, dict):
                raise InputError(f"{place}.members[{j}]: an object is wanted")
            _checked_row(member, Record.MEMBER, f"{place}.members[{j}]")
            key = units.end(member, "unit", f"{place}.members[{j}]")
            if key.partition("/")[0] != row["model"]:
                raise InputError(f"{place}.members[{j}]: a family lies within one model")
        own = {name: value for name, value in row.items() if name != "members"}
        found.setdefault(row["model"], []).append((own, members))
    return found


def _segments(rows: Sequence[Row], layers: Mapping[tuple[str, str], Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for i, row in enumerate(rows):
        place = f"segments[{i}]"
        _checked_row(row, Record.SEGMENT, place, {"model": str})
        model = row.get("model")
        for end in ("source_layer", "target_layer"):
            if (model, row[end]) not in layers:
                raise InputError(f"{place}.{end}: the document has no layer {model}/{row[end]}")
        found.setdefault(str(model), []).append({name: value for name, value in row.items() if name != "model"})
    return found


def _analogues(
    rows: Sequence[Row], units: _Units, models: Mapping[str, Row], known_units: Callable[[str], Collection[str]]
) -> tuple[Analogues, ...]:
    """The analogues by pair of models; ranks are derived from scores where they are absent."""
    pairs: dict[tuple[str, str], list[Row]] = {}
    seen: set[tuple[str, str]] = set()
    there: dict[str, dict[str, int]] = {model: {k: units.place[k] for k in keys} for model, keys in units.order.items()}
    for i, given in enumerate(rows):
        place = f"analogues[{i}]"
        _checked_row(given, Record.ANALOGUE, place, {"source": str, "target": str}, ("rank",))
        ends: list[tuple[str, int]] = []
        for end in ("source", "target"):
            key = given.get(end)
            if not isinstance(key, str):
                raise InputError(f"{place}.{end}: a unit's key is wanted")
            model = key.partition("/")[0]
            if model not in there:
                there[model] = {} if model in models else {k: n for n, k in enumerate(known_units(model))}
            if key not in there[model]:
                raise InputError(f"{place}.{end}: there is no unit {key!r} in the document or the database")
            ends.append((model, there[model][key]))
        (source_model, source), (target_model, target) = ends
        if source_model == target_model:
            raise InputError(f"{place}: an analogue lies in another model")
        if (given["source"], given["target"]) in seen:
            raise InputError(f"{place}: {given['source']} with {given['target']} stands there twice")
        seen.add((given["source"], given["target"]))
        if given.get("rank") is None and given.get("score") is None:
            raise InputError(f"{place}: a score or a rank is wanted")
        pairs.setdefault((source_model, target_model), []).append(given | {"source": source, "target": target})
    for own in pairs.values():
        _derive_ranks(own)
    return tuple(
        Analogues(source, target, _table(own, Record.ANALOGUE, ("source", "target")))
        for (source, target), own in pairs.items()
    )


def _derive_ranks(rows: list[Row]) -> None:
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["source"], []).append(row)
    for group in groups.values():
        taken = {row["rank"] for row in group if row.get("rank") is not None}
        free = (rank for rank in itertools.count(1) if rank not in taken)
        unranked = [row for row in group if row.get("rank") is None]
        unranked.sort(key=lambda row: (-row["score"], row["target"]))
        for row, rank in zip(unranked, free, strict=False):
            row["rank"] = rank


@dataclass(frozen=True)
class _Graph:
    """One model of a document, ready to become a ModelGraph."""

    name: str
    model: Row
    layers: Mapping[tuple[str, str], Row]
    units: _Units
    edges: Mapping[str, list[Row]]
    maps: Mapping[str, list[Row]]
    families: Mapping[str, list[tuple[Row, list[Row]]]]
    segments: Mapping[str, list[Row]]

    def build(self) -> ModelGraph:
        keys = self.units.order.get(self.name, [])
        units = [self._unit(key) for key in keys]
        labels = [
            {"unit": i, "label": label["label"], "source": label.get("source")}
            for i, key in enumerate(keys)
            for label in self.units.rows[key].get("labels", ())
        ]
        families = self.families.get(self.name, [])
        members = [
            {"family": i, "unit": self.units.place[member["unit"]], "pose": member["pose"]}
            for i, (_, own) in enumerate(families)
            for member in own
        ]
        layers = [row for (model, _), row in self.layers.items() if model == self.name]
        layers.sort(key=lambda row: (row["depth"], row["name"]))
        ends = ("source", "target")
        return ModelGraph(
            {"keep": "all"} | self.model,
            _table(layers, Record.LAYER),
            _table(units, Record.UNIT),
            _table(self._placed(self.edges), Record.EDGE, ends),
            segments=_table(self.segments.get(self.name, []), Record.SEGMENT),
            labels=_table(labels, Record.LABEL, ("unit",)),
            maps=_table(self._placed(self.maps), Record.MAP, ends),
            families=_table([row | {"id": i} for i, (row, _) in enumerate(families)], Record.FAMILY, ("id",)),
            members=_table(members, Record.MEMBER, ("family", "unit")),
        )

    def _unit(self, key: str) -> Row:
        _, layer, index = split_key(key)
        return {**self.units.rows[key], "layer": layer, "index": index}

    def _placed(self, rows: Mapping[str, list[Row]]) -> list[Row]:
        place = self.units.place
        return [row | {end: place[row[end]] for end in ("source", "target")} for row in rows.get(self.name, [])]


def _table(rows: Sequence[Row], record: Record, references: Sequence[str] = ()) -> pa.Table:
    """Rows as a table in the registry's types; columns that are missing throughout are absent."""
    columns: dict[str, pa.Array] = {
        name: pa.array(np.array([row[name] for row in rows], dtype=np.int32)) for name in references
    }
    for prop in properties(record):
        if prop.name in columns:
            continue
        values = [row.get(prop.name) for row in rows]
        given = any(value is not None for value in values) or not prop.optional
        if given and (prop.name != "label" or record is Record.LABEL):
            columns[prop.name] = pa.array(values, ARROW_TYPES[prop.type])
    return pa.table(columns)
