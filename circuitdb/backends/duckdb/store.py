"""The embedded store: one DuckDB file.

Graphs come in whole and go out whole, or unit by unit and search by search. No connection outlives an operation, so
that other processes can read beside a notebook and an ingest can write beside both.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import (
    Analogues,
    Dense,
    Explanation,
    Found,
    Limits,
    ModelGraph,
    Progress,
    Responses,
    Row,
)
from circuitdb.backends.duckdb import files, rows
from circuitdb.backends.duckdb.schema import MODEL_COLUMNS, folded, quoted
from circuitdb.backends.validation import check_text, checked, checked_analogues, checked_responses
from circuitdb.errors import InputError
from circuitdb.graph import Record, properties

if TYPE_CHECKING:
    from circuitdb.pattern.model import Query


class DuckDBStore:
    """The graphs in one DuckDB file.

    Parameters
    ----------
    address
        The file's path.
    wait_seconds
        How long to wait for the file while another process holds it.
    """

    def __init__(self, address: str, wait_seconds: float = 10.0) -> None:
        if not address or "\0" in address:
            raise InputError(f"{address!r} is no path of a database")
        self.address = address
        self.path = Path(os.path.expanduser(address)).absolute()
        self._wait_seconds = wait_seconds

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection for one operation. Operations within it are cheap: they share what is open."""
        with files.reading(self.path, self._wait_seconds) as connection:
            yield connection

    def write(self, graph: ModelGraph, *, replace: bool = False, progress: Progress | None = None) -> None:
        """Write a model whole or not at all; with `replace`, in the place of one of the same name.

        Raises
        ------
        InputError
            If the graph has a mistake, or a model of that name is there and `replace` is false.
        StoreBusyError
            If others hold the file for too long.
        CircuitdbError
            If the file cannot be written.
        """
        tables = rows.rows_of(checked(graph))
        with files.writing(self.path, self._wait_seconds) as connection:
            there = _model_id(connection, graph.name)
            if there is not None and not replace:
                raise InputError(f"model {graph.name!r} is already in {self.address}; --replace writes it anew")
            if there is not None:
                _delete_rows(connection, there)
            _insert_rows(connection, tables, progress)
        if progress is not None:
            progress("writing", len(tables), len(tables))

    def read(self, model: str) -> ModelGraph:
        """A whole model as it was written. `InputError` if there is none of that name."""
        with self.reading() as connection:
            return rows.read_graph(connection, self._known_model(connection, model))

    def delete(self, model: str) -> None:
        """Delete a model and all that is its own, analogues from and to it included."""
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            _delete_rows(connection, self._known_model(connection, model))

    def rewrite(self, model: str, change: Callable[[ModelGraph], ModelGraph]) -> ModelGraph:
        """Put what `change` makes of a model in its place, in one transaction, and return it as it was checked.

        Analogues from and to the model stay, those of units whose keys are gone excepted. The file is held from the
        first reading to the end.

        Raises
        ------
        InputError
            If the model is not there, or what comes of the change has a mistake.
        StoreBusyError, CircuitdbError
            As for `write`.
        """
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            model_id = self._known_model(connection, model)
            before = rows.read_graph(connection, model_id)
            after = checked(change(before))
            if after.name != model:
                raise InputError(f"a change of {model!r} makes {after.name!r} of it")
            analogues = [pairs for pairs in rows.read_analogues(connection) if model in (pairs.source, pairs.target)]
            alike = all(after.dense.get(layers) is dense for layers, dense in before.dense.items())
            alike &= len(after.dense) == len(before.dense)
            tables = rows.rows_of(replace_fields(after, dense={}) if alike else after)
            _delete_rows(connection, model_id, rows.DENSE if alike else ())
            _insert_rows(connection, tables, model_id=model_id)
            for pairs in analogues:
                ids = [self._known_model(connection, name) for name in (pairs.source, pairs.target)]
                (first_source, _), (first_target, _) = (rows.unit_numbers(connection, i) for i in ids)
                moved = rows.moved_analogues(pairs, model, before.units["key"], after.units["key"])
                rows.insert_analogues(connection, moved, (ids[0], ids[1]), (first_source, first_target))
        return after

    def models(self) -> list[Row]:
        """Every model by name: its properties, `layers` and `edges` (their number).

        Layers are rows in order of depth, with `directions`, the indices of the directions among their units.
        """
        with self.reading() as connection:
            models = _rows(connection, "SELECT * FROM model ORDER BY name")
            layers = _rows(connection, "SELECT * FROM layer ORDER BY depth, name")
            directions = {(model, layer): indices for model, layer, indices in files.fetch(connection, _DIRECTIONS)}
        return [
            {
                **dict.fromkeys(prop.name for prop in properties(Record.MODEL)),
                **rows.model_properties(model),
                "layers": [
                    _without(layer, "model_id", "model")
                    | {"directions": directions.get((model["id"], layer["name"]), [])}
                    for layer in layers
                    if layer["model_id"] == model["id"]
                ],
                "edges": model["edges"],
            }
            for model in models
        ]

    def unit(self, key: str) -> Row | None:
        """A unit's properties, with `labels`, `maps`, `families` and `analogues`, or None."""
        return self.whole_units([key]).get(key)

    def whole_units(self, keys: Sequence[str]) -> dict[str, Row]:
        """By key, units as `unit` gives them; those that are not there are left out."""
        with self.reading() as connection:
            found = _units(connection, keys)
            ids = [unit_id for unit_id, _ in found.values()]
            lists = {
                "maps": _by_unit(_rows(connection, _MAPS, [ids])),
                "families": _families(connection, ids),
                "analogues": _by_unit(_rows(connection, _ANALOGUES, [ids])),
            }
        return {
            key: unit | {name: of_units.get(unit_id, []) for name, of_units in lists.items()}
            for key, (unit_id, unit) in found.items()
        }

    def units(self, keys: Sequence[str]) -> list[Row]:
        """The properties of many units, with `labels`, in the order asked; those that are not there are left out."""
        with self.reading() as connection:
            found = _units(connection, keys)
        return [found[key][1] for key in keys if key in found]

    def layer_units(self, model: str, layer: str) -> list[Row]:
        """The units of a layer by index, as `units` gives them; none where there is no such layer."""
        with self.reading() as connection:
            found = _rows(
                connection, 'SELECT key FROM unit WHERE model = ? AND layer = ? ORDER BY "index"', [model, layer]
            )
            return self.units([row["key"] for row in found])

    def edges(self, key: str, direction: Literal["in", "out"], top: int | None = None) -> list[Row]:
        """A unit's edges, strongest first, ties by key, with `source`, `target` (keys) and every property.

        `top`: how many at most. `InputError` if that is negative or there is no such unit.
        """
        return self.edges_of([key], direction, top)[key]

    def edges_of(
        self, keys: Sequence[str], direction: Literal["in", "out"], top: int | None = None
    ) -> dict[str, list[Row]]:
        """By key, the edges of units as `edges` gives them."""
        if top is not None and top < 0:
            raise InputError(f"{top} edges cannot be shown; ask for 0 or more")
        here, there = ("target", "source") if direction == "in" else ("source", "target")
        names = ", ".join(f"e.{quoted(prop.name)}" for prop in properties(Record.EDGE))
        with self.reading() as connection:
            found = _rows(
                connection,
                f"SELECT s.key AS source, t.key AS target, {names} "
                "FROM edge AS e JOIN unit AS s ON s.id = e.source JOIN unit AS t ON t.id = e.target "
                f"WHERE e.{here} IN (SELECT unnest(CAST(? AS INTEGER[]))) "
                f"WINDOW strongest AS (PARTITION BY e.{here} ORDER BY e.strength DESC, e.{there}, e.kind) "
                f"QUALIFY row_number() OVER strongest <= coalesce(?, {_NO_LIMIT}) "
                f"ORDER BY e.{here}, e.strength DESC, e.{there}, e.kind",
                [self._unit_ids(connection, keys), top],
            )
        edges: dict[str, list[Row]] = {key: [] for key in keys}
        for row in found:
            edges[row[here]].append(row)
        return edges

    def dense(self, model: str, source_layer: str, target_layer: str) -> Dense | None:
        """Weight and strength of every pair of units of two layers, kept as edges or not, or None."""
        with self.reading() as connection:
            layers = (source_layer, target_layer)
            return rows.read_dense(connection, self._known_model(connection, model), layers).get(layers)

    def labels(self, model: str) -> list[Row]:
        """The labels of a model's units, `unit` (key), `label` and `source`, in order of key."""
        with self.reading() as connection:
            return _rows(
                connection,
                "SELECT u.key AS unit, l.label, l.source FROM label AS l JOIN unit AS u ON u.id = l.unit_id "
                "WHERE l.model_id = ? ORDER BY l.unit_id, l.rowid",
                [self._known_model(connection, model)],
            )

    def add_labels(self, labels: Sequence[tuple[str, str, str | None]]) -> None:
        """Add labels, each (unit's key, label, source), all or none; those that are there already stay single.

        Raises
        ------
        InputError
            If there is no such unit.
        """
        for key, label, source in labels:
            check_text(label, f"the label of {key}")
            check_text(source or "", f"the source of the label of {key}")
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            unit_ids = self._unit_ids(connection, [key for key, _, _ in labels])
            for unit_id, (_, label, source) in zip(unit_ids, labels, strict=True):
                parameters = {"unit": unit_id, "label": label, "form": label.casefold(), "by": source}
                files.fetch(connection, _ADD_LABEL, parameters)

    def delete_label(self, key: str, label: str) -> None:
        """Take a label from a unit, whoever gave it. `InputError` if the unit does not have it."""
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            [unit_id] = self._unit_ids(connection, [key])
            statement = "DELETE FROM label WHERE unit_id = ? AND label = ? RETURNING label"
            if not files.fetch(connection, statement, [unit_id, label]):
                raise InputError(f"{key} has no label {label!r}")

    def write_responses(self, model: str, responses: Responses) -> None:
        """Write what a model's units do on probes, in the place of what is there: all of it or nothing.

        Raises
        ------
        InputError
            If the model is not there, or the tables do not fit its units.
        """
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            model_id = self._known_model(connection, model)
            layers, units = (rows.read_table(connection, name, model_id) for name in ("layer", "unit"))
            given = checked_responses(responses, model, layers, units)
            rows.replace_responses(connection, model_id, given, _next_id(connection, "family"))

    def examples(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """The strongest probe positions of each of the units: rows with rank, picture, y, x, value, thumbnail."""
        found: dict[str, list[Row]] = {key: [] for key in keys}
        with self.reading() as connection:
            statement = "SELECT id, key FROM unit WHERE key IN (SELECT unnest(CAST(? AS VARCHAR[])))"
            keys_of = dict(files.fetch(connection, statement, [list(keys)]))
            for row in _rows(connection, _EXAMPLES, [list(keys_of)]):
                found[keys_of[row["unit_id"]]].append(_without(row, "unit_id"))
        return found

    def signatures(self, model: str) -> npt.NDArray[np.int8] | None:
        """The signatures [unit, picture, number] of a model's units in key order, or None if it was not probed."""
        with self.reading() as connection:
            return rows.read_signatures(connection, self._known_model(connection, model))

    def write_analogues(self, analogues: Analogues) -> None:
        """Write the analogues from one model to another, in the place of those that are there.

        Raises
        ------
        InputError
            If a model is not there, or a row names a unit that is not.
        """
        files.require(self.path)
        with files.writing(self.path, self._wait_seconds) as connection:
            ids = [self._known_model(connection, name) for name in (analogues.source, analogues.target)]
            (first_source, sources), (first_target, targets) = (rows.unit_numbers(connection, i) for i in ids)
            table = checked_analogues(analogues, sources, targets)
            files.fetch(connection, "DELETE FROM analogue WHERE source_model_id = ? AND target_model_id = ?", ids)
            rows.insert_analogues(connection, table, (ids[0], ids[1]), (first_source, first_target))

    def analogues(self) -> list[Analogues]:
        """All analogues, a table for each pair of models that has any, in order of their names."""
        with self.reading() as connection:
            return rows.read_analogues(connection)

    def find(self, query: Query, limits: Limits) -> Found:
        """Search."""
        from circuitdb.backends.duckdb import search

        return search.find(self, query, limits)

    def count(self, query: Query, limits: Limits) -> int:
        """How many circuits match, without limits on rows."""
        from circuitdb.backends.duckdb import search

        return search.count(self, query, limits)

    def explain(self, query: Query) -> Explanation:
        """The compiled query."""
        from circuitdb.backends.duckdb import search

        return search.explain(self, query)

    def session(self) -> AbstractContextManager[object]:
        """A time in which the file stays open for reading; no process can write it meanwhile."""
        return self.reading()

    def close(self) -> None:
        """Nothing is open between operations."""

    def _known_model(self, connection: duckdb.DuckDBPyConnection, name: str) -> int:
        model_id = _model_id(connection, name)
        if model_id is None:
            names = [row[0] for row in files.fetch(connection, "SELECT name FROM model ORDER BY name LIMIT 8")]
            there = f"; there are {', '.join(names)}" if names else "; it is empty"
            raise InputError(f"no model {name!r} in {self.address}{there}")
        return model_id

    def _unit_ids(self, connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> list[int]:
        statement = "SELECT key, id FROM unit WHERE key IN (SELECT unnest(CAST(? AS VARCHAR[])))"
        found = dict(files.fetch(connection, statement, [list(keys)]))
        for key in keys:
            if key not in found:
                raise InputError(f"no unit {key!r} in {self.address}")
        return [found[key] for key in keys]


_NO_LIMIT = 2**31
_DIRECTIONS = """
    SELECT model_id, layer, list("index" ORDER BY "index") FROM unit WHERE kind = 'direction' GROUP BY model_id, layer
"""
_LABELS = """
    SELECT unit_id, label, source FROM label WHERE unit_id IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY rowid
"""
_MAPS = """
    SELECT m.source AS unit_id, m.map, u.key AS target, m.score, m.self_score, m.mutual
    FROM map AS m JOIN unit AS u ON u.id = m.target
    WHERE m.source IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY m.map
"""
_ANALOGUES = """
    SELECT a.source AS unit_id, u.key AS target, u.model, a.rank, a.score, a.excess, a.q, a.mutual, a.method,
        a.probes_sha256
    FROM analogue AS a JOIN unit AS u ON u.id = a.target
    WHERE a.source IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY u.model, a.rank, a.target
"""
_FAMILIES = """
    SELECT m.unit_id, f.id, f.layer, f."group", f."order", f.score, m.pose
    FROM member AS m JOIN family AS f ON f.id = m.family_id
    WHERE m.unit_id IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY f.id
"""
_MEMBERS = """
    SELECT m.family_id, u.key AS unit, m.pose FROM member AS m JOIN unit AS u ON u.id = m.unit_id
    WHERE m.family_id IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY m.rowid
"""
_EXAMPLES = """
    SELECT unit_id, rank, picture, y, x, value, thumbnail FROM example
    WHERE unit_id IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY unit_id, rank
"""
_ADD_LABEL = f"""
    INSERT INTO label (unit_id, model_id, label, {folded("label")}, source)
    SELECT id, model_id, $label, $form, $by FROM unit WHERE id = $unit AND NOT EXISTS (
        SELECT * FROM label WHERE unit_id = $unit AND label = $label AND source IS NOT DISTINCT FROM $by)
"""


def _units(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> dict[str, tuple[int, Row]]:
    """By key, a unit's id and its properties with `labels`."""
    found = _rows(connection, "SELECT * FROM unit WHERE key IN (SELECT unnest(CAST(? AS VARCHAR[])))", [list(keys)])
    labels: dict[int, list[Row]] = {unit["id"]: [] for unit in found}
    for row in _rows(connection, _LABELS, [list(labels)]):
        labels[row["unit_id"]].append(_without(row, "unit_id"))
    names = [prop.name for prop in properties(Record.UNIT) if prop.name != "label"]
    return {
        unit["key"]: (unit["id"], {name: unit[name] for name in names} | {"labels": labels[unit["id"]]})
        for unit in found
    }


def _families(connection: duckdb.DuckDBPyConnection, unit_ids: Sequence[int]) -> dict[int, list[Row]]:
    """By a unit's id, its families with their members."""
    found = _rows(connection, _FAMILIES, [unit_ids])
    members: dict[int, list[Row]] = {row["id"]: [] for row in found}
    for row in _rows(connection, _MEMBERS, [list(members)]):
        members[row["family_id"]].append(_without(row, "family_id"))
    return _by_unit([_without(row, "id") | {"members": members[row["id"]]} for row in found])


def _by_unit(found: Sequence[Row]) -> dict[int, list[Row]]:
    """By `unit_id`, the rows without it."""
    by_unit: dict[int, list[Row]] = {}
    for row in found:
        by_unit.setdefault(row["unit_id"], []).append(_without(row, "unit_id"))
    return by_unit


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    result = connection.execute(sql, list(parameters))
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _model_id(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    found = files.fetch(connection, "SELECT id FROM model WHERE name = ?", [name])
    return int(found[0][0]) if found else None


def _next_id(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(files.fetch(connection, f"SELECT coalesce(max(id) + 1, 0) FROM {quoted(table)}")[0][0])


def _insert_rows(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, pa.Table],
    progress: Progress | None = None,
    model_id: int | None = None,
) -> None:
    """Insert the rows of a model, units and families under new numbers, and the model too unless its own is given."""
    first_unit, first_family = (_next_id(connection, name) for name in ("unit", "family"))
    if model_id is None:
        model_id = _next_id(connection, "model")
    for done, (name, table) in enumerate(tables.items()):
        if progress is not None:
            progress("writing", done, len(tables))
        rows.insert(connection, name, table, model_id, first_unit, first_family)


def _delete_rows(connection: duckdb.DuckDBPyConnection, model_id: int, but: Collection[str] = ()) -> None:
    for table, columns in MODEL_COLUMNS.items():
        if table in but:
            continue
        condition = " OR ".join(f"{quoted(column)} = $model" for column in columns)
        files.fetch(connection, f"DELETE FROM {quoted(table)} WHERE {condition}", {"model": model_id})
