"""From a document in the exchange form to whole models and the analogues between models.

What is absent is derived from what is given, what is wrong is refused with its place in the document. Units are
numbered through the document by model, depth, layer and index, so that every model's units are one run of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import Analogues, ModelGraph
from circuitdb.backends.columns import Integers, increasing, refuse
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind, Record, UnitKind, check_name, split_key
from circuitdb.pattern import maps as map_names
from circuitdb.reports.exchange.derived import analogue_ranks, given_or, part_of_weight, ranks, shares, strength_of
from circuitdb.reports.exchange.rows import ENDS, PARTS, VERSION, Place, Row, check_rows, did_you_mean, shown, table

Values = npt.NDArray[Any] | Sequence[Any]


@dataclass(frozen=True)
class Exchange:
    """What a document holds: whole models, and the analogues between models, those of the database included."""

    graphs: tuple[ModelGraph, ...]
    analogues: tuple[Analogues, ...]


def read_document(document: object, known_units: Callable[[str], Sequence[str]] | None = None) -> Exchange:
    """The models and analogues of a document.

    Parameters
    ----------
    document
        The parsed JSON.
    known_units
        Gives the unit keys of a model of the database, in their order, to which analogues may lead; empty where there
        is no such model.

    Raises
    ------
    InputError
        If anything is wrong, with its place, as `edges[3].weight`.
    """
    parts = _parts(document)
    models = _models(parts["models"])
    layers = _layers(parts["layers"], models)
    units = _units(parts["units"], layers, models)
    tables = _Tables(
        _of_models(parts["layers"], Record.LAYER, [row["model"] for row in parts["layers"]]),
        units.table,
        _edges(parts["edges"], units),
        _segments(parts["segments"], layers),
        units.labels,
        _maps(parts["maps"], units),
        *_families(parts["families"], units, layers),
    )
    graphs = [tables.graph_of({"keep": "all"} | row, units.numbers[name]) for name, row in models.items()]
    return Exchange(tuple(graphs), _analogues(parts["analogues"], units, known_units or (lambda _: ())))


def _parts(document: object) -> dict[str, list[Row]]:
    """The parts of a document, each a list of rows yet to be checked."""
    if not isinstance(document, dict):
        raise InputError('the document is no JSON object; one looks like {"circuitdb": 1, "models": […], …}')
    version = document.get("circuitdb")
    if version != VERSION or isinstance(version, bool):
        raise InputError(f'the document must say "circuitdb": {VERSION}, the version of the exchange form')
    for name in document:
        if name not in ("circuitdb", *PARTS):
            raise InputError(f"there is no part {shown(name)} of a document{did_you_mean(name, PARTS)}")
    for part in PARTS:
        if not isinstance(document.get(part, []), list):
            raise InputError(f"{part}: a list is wanted")
    return {part: document.get(part, []) for part in PARTS}


@dataclass(frozen=True)
class _Part:
    """The rows of one kind of all models, and each row's model [rows]."""

    rows: pa.Table
    model: npt.NDArray[np.object_]


def _of_models(
    rows: Sequence[Row],
    record: Record,
    models: Sequence[str],
    columns: Mapping[str, Values] = {},
) -> _Part:
    return _Part(table(rows, record, columns), np.array(models, dtype=object))


@dataclass(frozen=True)
class _Tables:
    """The tables of all models, which name units and families by their numbers in the document."""

    layers: _Part
    units: _Part
    edges: _Part
    segments: _Part
    labels: _Part
    maps: _Part
    families: _Part
    members: _Part

    def graph_of(self, model: Row, numbers: range) -> ModelGraph:
        """One model, its units numbered from 0."""

        def own(part: _Part, *references: str) -> pa.Table:
            rows = part.rows.filter(pa.array(part.model == model["name"], pa.bool_()))
            for name in references:
                here = pa.array(rows[name].to_numpy() - np.int32(numbers.start), pa.int32())
                rows = rows.set_column(rows.column_names.index(name), name, here)
            return rows

        return ModelGraph(
            model,
            own(self.layers),
            own(self.units),
            own(self.edges, "source", "target"),
            segments=own(self.segments),
            labels=own(self.labels, "unit"),
            maps=own(self.maps, "source", "target"),
            families=own(self.families),
            members=own(self.members, "unit"),
        )


def _models(rows: Sequence[Row]) -> dict[str, Row]:
    check_rows(rows, Record.MODEL, lambda i: f"models[{i}]")
    for i, row in enumerate(rows):
        _check_name(row["name"], "model", f"models[{i}].name")
    _refuse_repeated([row["name"] for row in rows], lambda i: f"models[{i}]", lambda i: str(rows[i]["name"]))
    return {row["name"]: row for row in rows}


def _layers(rows: Sequence[Row], models: Mapping[str, Row]) -> dict[tuple[str, str], Row]:
    check_rows(rows, Record.LAYER, lambda i: f"layers[{i}]")
    for i, row in enumerate(rows):
        _check_name(row["name"], "layer", f"layers[{i}].name")
        if row["model"] not in models:
            raise InputError(
                f"layers[{i}].model: the document has no model {shown(row['model'])}"
                + did_you_mean(row["model"], models)
            )
        for name in ("depth", "width"):
            if (row.get(name) or 0) < 0:
                raise InputError(f"layers[{i}].{name}: a {name} is 0 or more")
    names = [(row["model"], row["name"]) for row in rows]
    _refuse_repeated(names, lambda i: f"layers[{i}]", lambda i: "/".join(names[i]))
    return dict(zip(names, rows, strict=True))


def _check_name(name: str, what: str, place: str) -> None:
    try:
        check_name(name, what)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _refuse_repeated(values: Sequence[object], place: Place, name: Callable[[int], str]) -> None:
    seen: set[object] = set()
    for i, value in enumerate(values):
        if value in seen:
            raise InputError(f"{place(i)}: {name(i)} stands there twice")
        seen.add(value)


@dataclass(frozen=True)
class _Units:
    """The units of a document in key order: keys, models and depths [units], and every model's run of numbers."""

    keys: Sequence[str]
    model: npt.NDArray[np.object_]
    depth: Integers
    table: _Part
    labels: _Part
    number: Mapping[str, int]
    numbers: Mapping[str, range]

    def ends(self, rows: Sequence[Row], part: str) -> tuple[Integers, Integers]:
        """The numbers of the units at the sources and at the targets, each pair of one model."""
        source, target = (
            np.array(
                [self.find(row[end], f"{part}[{i}].{end}") for i, row in enumerate(rows)],
                dtype=np.int64,
            )
            for end in ("source", "target")
        )
        apart = self.model[source] != self.model[target]
        refuse(apart, lambda i: f"{part}[{i}]", 'the ends lie in two models; only "analogues" lead to another')
        return source, target

    def find(self, key: str, place: str) -> int:
        """The number of a unit.

        Raises
        ------
        InputError
            If the document has no such unit; the nearest key is told.
        """
        number = self.number.get(key)
        if number is None:
            raise InputError(f"{place}: the document has no unit {shown(key)}{did_you_mean(key, self.number)}")
        return number


def _units(rows: Sequence[Row], layers: Mapping[tuple[str, str], Row], models: Mapping[str, Row]) -> _Units:
    derived = ("model", "layer", "depth", "index", "kind")
    check_rows(rows, Record.UNIT, lambda i: f"units[{i}]", optional={"labels": "list"}, derived=derived)
    place_of: list[tuple[str, int, str, int]] = []
    for i, row in enumerate(rows):
        place = f"units[{i}]"
        try:
            model, layer, index = split_key(row["key"])
        except InputError as error:
            raise InputError(f"{place}.key: {error}") from None
        if (model, layer) not in layers:
            raise InputError(f"{place}.key: the document has no layer {shown(f'{model}/{layer}')}")
        depth, width = layers[model, layer]["depth"], layers[model, layer].get("width")
        direction = row.get("kind") == UnitKind.DIRECTION
        if index >= (2**31 - 1 if width is None or direction else width):
            reason = "the index is too large" if width is None or direction else f"the layer has {width} units"
            raise InputError(f"{place}.key: {reason}")
        if direction and width is not None and index < width:
            raise InputError(f"{place}.key: the layer has {width} neurons; directions have the indices from {width} on")
        for name, value in (("model", model), ("layer", layer), ("depth", depth), ("index", index)):
            if row.get(name, value) != value:
                raise InputError(f"{place}.{name}: the key says {shown(value)}")
        if "label" in row:
            raise InputError(f'{place}.label: labels stand in a list, as "labels": [{{"label": "curve"}}]')
        place_of.append((model, depth, layer, index))
    _refuse_repeated([row["key"] for row in rows], lambda i: f"units[{i}]", lambda i: str(rows[i]["key"]))
    order = sorted(range(len(rows)), key=place_of.__getitem__)
    units = [rows[i] for i in order]
    models_of = [place_of[i][0] for i in order]
    given = {name: np.array([place_of[i][n] for i in order], object) for n, name in ((2, "layer"), (3, "index"))}
    first = {name: next((i for i, own in enumerate(models_of) if own == name), 0) for name in models}
    number = {row["key"]: i for i, row in enumerate(units)}
    return _Units(
        [row["key"] for row in units],
        np.array(models_of, dtype=object),
        np.array([place_of[i][1] for i in order], dtype=np.int64),
        _of_models(units, Record.UNIT, models_of, given),
        _labels(rows, number),
        number,
        {name: range(first[name], first[name] + models_of.count(name)) for name in models},
    )


def _labels(units: Sequence[Row], number: Mapping[str, int]) -> _Part:
    given = [(i, j, label) for i, unit in enumerate(units) for j, label in enumerate(unit.get("labels", ()))]
    rows = [label for _, _, label in given]
    check_rows(rows, Record.LABEL, lambda n: f"units[{given[n][0]}].labels[{given[n][1]}]", derived=("unit",))
    for i, j, label in given:
        if label.get("unit", units[i]["key"]) != units[i]["key"]:
            raise InputError(f"units[{i}].labels[{j}].unit: the label stands with {units[i]['key']}")
    keys = [units[i]["key"] for i, _, _ in given]
    unit = np.array([number[key] for key in keys], dtype=np.int32)
    order = np.argsort(unit, kind="stable")
    models = [keys[n].partition("/")[0] for n in order]
    return _of_models([rows[n] for n in order], Record.LABEL, models, {"unit": unit[order]})


def _edges(rows: Sequence[Row], units: _Units) -> _Part:
    """The edges, complete: what is absent is derived from what is given."""
    check_rows(
        rows,
        Record.EDGE,
        lambda i: f"edges[{i}]",
        required=ENDS,
        optional={"skip": "boolean"},
        derived=("kind", "strength", "share", "rank_in", "rank_out"),
    )
    source, target = units.ends(rows, "edges")

    def place(i: int) -> str:
        return f"edges[{i}] ({units.keys[source[i]]} -> {units.keys[target[i]]})"

    refuse(units.depth[source] >= units.depth[target], place, "edges run from a lower to a higher depth")
    weight = np.array([row["weight"] for row in rows], dtype=np.float64)
    skip = np.array([row.get("skip", row.get("kind") == EdgeKind.SKIP) for row in rows], dtype=np.bool_)
    kind = np.where(skip, EdgeKind.SKIP, np.where(weight < 0, EdgeKind.INHIBITS, EdgeKind.EXCITES)).astype(object)
    wrong = np.array([row.get("kind", said) != said for row, said in zip(rows, kind, strict=True)], dtype=np.bool_)
    refuse(wrong, place, 'the kind is none that the sign of the weight and "skip" give')
    order = np.lexsort((skip, target, source))
    repeated = ~increasing(source[order], target[order], skip[order])
    if repeated.any():
        later = max(order[[np.argmax(repeated), np.argmax(repeated) + 1]])
        raise InputError(
            f"{place(int(later))}: there is {'a skip' if skip[later] else 'an'} edge between these already"
        )
    for i, row in enumerate(rows):
        _check_kernel(row, i, place)
    strength = np.array([strength_of(row) for row in rows], dtype=np.float64)
    refuse(strength < 0, place, "a strength is 0 or more")
    for name in ("rank_in", "rank_out"):
        refuse(np.array([row.get(name, 1) < 1 for row in rows], dtype=np.bool_), place, f"a {name} is 1 or more")
    columns: dict[str, Values] = {
        "source": source,
        "target": target,
        "kind": kind,
        "weight": weight,
        "strength": strength,
        "excitation": given_or(rows, "excitation", [part_of_weight(row, 1) for row in rows]),
        "inhibition": given_or(rows, "inhibition", [part_of_weight(row, -1) for row in rows]),
        "share": given_or(rows, "share", shares(target, skip, strength).tolist()),
        "rank_in": given_or(rows, "rank_in", ranks(target, source, skip, strength).tolist()),
        "rank_out": given_or(rows, "rank_out", ranks(source, target, skip, strength).tolist()),
    }
    return _of_models(rows, Record.EDGE, units.model[source].tolist(), columns)


def _check_kernel(row: Row, i: int, place: Callable[[int], str]) -> None:
    if row.get("kernel") is None:
        return
    height, width = row.get("kernel_h") or 0, row.get("kernel_w") or 0
    if height < 1 or width < 1 or height * width != len(row["kernel"]):
        raise InputError(f"{place(i)}: kernel_h times kernel_w numbers are wanted in the kernel")


def _maps(rows: Sequence[Row], units: _Units) -> _Part:
    check_rows(rows, Record.MAP, lambda i: f"maps[{i}]", required=ENDS)
    source, target = units.ends(rows, "maps")
    names = [_map_name(row["map"], f"maps[{i}].map") for i, row in enumerate(rows)]
    pairs = list(zip(names, source.tolist(), strict=True))
    _refuse_repeated(pairs, lambda i: f"maps[{i}]", lambda i: f"{names[i]} of {rows[i]['source']}")
    columns = {"source": source, "target": target, "map": np.array(names, dtype=object)}
    return _of_models(rows, Record.MAP, units.model[source].tolist(), columns)


def _map_name(text: str, place: str) -> str:
    """The canonical name of a map."""
    turn = re.fullmatch(r"(rotate|hue)\((-?[0-9]{1,9}(?:\.[0-9]{1,9})?)\)", text)
    if turn is not None:
        name = map_names.turned(turn[1], float(turn[2]))
        if not name.is_identity:
            return name.text
    elif text in map_names.PLAIN:
        return text
    raise InputError(
        f"{place}: {shown(text)} is no map; maps are flip, flip_vertical, negate, rotate(DEG) and hue(DEG)"
    )


def _families(rows: Sequence[Row], units: _Units, layers: Mapping[tuple[str, str], Row]) -> tuple[_Part, _Part]:
    check_rows(rows, Record.FAMILY, lambda i: f"families[{i}]", optional={"members": "list"})
    for i, row in enumerate(rows):
        if (row["model"], row["layer"]) not in layers:
            raise InputError(
                f"families[{i}].layer: the document has no layer {shown('/'.join((row['model'], row['layer'])))}"
            )
    given = [(i, j, member) for i, row in enumerate(rows) for j, member in enumerate(row.get("members", ()))]

    def place(n: int) -> str:
        return f"families[{given[n][0]}].members[{given[n][1]}]"

    members = [member for _, _, member in given]
    check_rows(members, Record.MEMBER, place)
    numbers = [units.find(member["unit"], f"{place(n)}.unit") for n, member in enumerate(members)]
    for n, (i, _, member) in enumerate(given):
        if split_key(member["unit"])[:2] != (rows[i]["model"], rows[i]["layer"]):
            raise InputError(f"{place(n)}.unit: {member['unit']} lies in another layer than the family")
    pairs = [(i, number) for (i, _, _), number in zip(given, numbers, strict=True)]
    _refuse_repeated(pairs, place, lambda n: str(members[n]["unit"]))
    models = [row["model"] for row in rows]
    families = _of_models(rows, Record.FAMILY, models, {"id": np.arange(len(rows))})
    columns = {"family": np.array([i for i, _, _ in given], np.int32), "unit": np.array(numbers, np.int32)}
    return families, _of_models(members, Record.MEMBER, [models[i] for i, _, _ in given], columns)


def _segments(rows: Sequence[Row], layers: Mapping[tuple[str, str], Row]) -> _Part:
    check_rows(rows, Record.SEGMENT, lambda i: f"segments[{i}]", required={"model": "text"})
    for i, row in enumerate(rows):
        for end in ("source_layer", "target_layer"):
            if (row["model"], row[end]) not in layers:
                raise InputError(
                    f"segments[{i}].{end}: the document has no layer {shown('/'.join((row['model'], row[end])))}"
                )
    return _of_models(rows, Record.SEGMENT, [row["model"] for row in rows])


def _analogues(
    rows: Sequence[Row], units: _Units, known_units: Callable[[str], Collection[str]]
) -> tuple[Analogues, ...]:
    """The analogues by pair of models; ranks are derived from scores where they are absent."""
    check_rows(rows, Record.ANALOGUE, lambda i: f"analogues[{i}]", required=ENDS, derived=("rank",))
    there = {model: {units.keys[n]: n - run.start for n in run} for model, run in units.numbers.items()}
    models: list[tuple[str, str]] = []
    numbers: list[tuple[int, int]] = []
    for i, row in enumerate(rows):
        for end in ENDS:
            model = row[end].partition("/")[0]
            if model not in there:
                there[model] = {key: n for n, key in enumerate(known_units(model))}
            if row[end] not in there[model]:
                raise InputError(
                    f"analogues[{i}].{end}: there is no unit {shown(row[end])} in the document or the database"
                    + did_you_mean(row[end], there[model])
                )
        source_model, target_model = (row[end].partition("/")[0] for end in ENDS)
        if source_model == target_model:
            raise InputError(f"analogues[{i}]: an analogue lies in another model")
        if row.get("rank", 1) < 1:
            raise InputError(f"analogues[{i}].rank: a rank is 1 or more")
        if "rank" not in row and row.get("score") is None:
            raise InputError(f"analogues[{i}]: a rank, or a score to derive it from, is wanted")
        models.append((source_model, target_model))
        numbers.append((there[source_model][row["source"]], there[target_model][row["target"]]))
    _refuse_repeated(
        [(row["source"], row["target"]) for row in rows],
        lambda i: f"analogues[{i}]",
        lambda i: f"{rows[i]['source']} with {rows[i]['target']}",
    )
    ranks = analogue_ranks(rows, models, numbers)
    pairs: dict[tuple[str, str], list[int]] = {}
    for i, pair in enumerate(models):
        pairs.setdefault(pair, []).append(i)
    return tuple(
        Analogues(
            *pair,
            table(
                [rows[i] for i in own],
                Record.ANALOGUE,
                {"rank": [ranks[i] for i in own]}
                | {end: [numbers[i][side] for i in own] for side, end in enumerate(ENDS)},
            ),
        )
        for pair, own in pairs.items()
    )
