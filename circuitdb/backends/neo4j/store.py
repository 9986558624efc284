"""The store on a Neo4j server, for a lab that shares one graph.

How the graph lies in it says `schema.py`; how a model becomes visible at one moment, `loading.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from circuitdb.backends.base import Analogues, Explanation, Found, Limits, ModelGraph, Progress, Responses, Row
from circuitdb.backends.neo4j.analogues import count_units, read_analogues, write_analogues
from circuitdb.backends.neo4j.connection import Connection
from circuitdb.backends.neo4j.loading import hide_model, load_model, sweep
from circuitdb.backends.neo4j.reading import (
    no_model,
    read_edges,
    read_labels,
    read_layer_units,
    read_model,
    read_models,
    read_units,
    read_whole_units,
)
from circuitdb.backends.neo4j.responses import read_examples, read_signatures, write_responses
from circuitdb.backends.neo4j.schema import (
    SCHEMA_NAMES,
    VERSION_PARAMETERS,
    VERSION_QUESTION,
    VERSION_STATEMENT,
    schema_statements,
)
from circuitdb.backends.neo4j.tables import label_lists, label_pairs, node_tables
from circuitdb.backends.validation import check_text, checked_analogues
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import SCHEMA_VERSION

if TYPE_CHECKING:
    import neo4j
    import numpy as np
    import numpy.typing as npt

    from circuitdb.pattern.model import Query

LabelPairs = dict[str, list[tuple[str, str | None]]]
"""By a unit's key, its labels with their sources."""


class Neo4jStore:
    """Graphs on a Neo4j server, behind the protocol of `circuitdb.backends.base.Store`.

    Raises
    ------
    InputError
        If the address, the password or the database is wrong.
    CircuitdbError
        If no fitting server answers, or a newer version of circuitdb wrote what is there.
    """

    def __init__(self, address: str) -> None:
        self.connection = Connection(address)
        self.address = self.connection.address.shown
        try:
            self._check_version()
        except BaseException:
            self.connection.close()
            raise

    def write(self, graph: ModelGraph, *, replace: bool = False, progress: Progress | None = None) -> None:
        """Write a model whole or not at all; dense matrices and thumbnails stay out.

        Raises
        ------
        InputError
            If a model of that name is there and `replace` is false.
        CircuitdbError
            If the server fails or takes no writes.
        """
        tables = node_tables(graph, load=uuid.uuid4().hex)
        if not replace and self._holds(graph.name):
            raise InputError(f"model {graph.name!r} is already in {self.address}; --replace writes it anew")
        self._prepare()
        sweep(self.connection)
        load_model(self.connection, tables, replace=replace, progress=progress)
        if replace:
            sweep(self.connection)

    def read(self, model: str) -> ModelGraph:
        """A whole model as it was written, without its dense matrices.

        Raises
        ------
        InputError
            If there is no such model.
        """
        return read_model(self.connection, model)

    def delete(self, model: str) -> None:
        """Delete a model and all that is its own. It is out of sight at once.

        Raises
        ------
        InputError
            If there is no such model.
        """

        def hide(transaction: neo4j.ManagedTransaction) -> None:
            if not hide_model(transaction, model):
                raise no_model(transaction, model, self.address)

        self.connection.transaction(hide)
        sweep(self.connection)

    def rewrite(self, model: str, change: Callable[[ModelGraph], ModelGraph]) -> ModelGraph:
        """Refuse: this store lacks the kernels that are no edges.

        Raises
        ------
        InputError
            With what to do instead.
        """
        raise InputError(
            f"{self.address} does not hold every kernel of {model}, as directions need; add and delete them in a "
            f"DuckDB file and copy the model from there: circuitdb push {self.address} --model {model} --replace"
        )

    def models(self) -> list[Row]:
        """Every model: its properties, `layers` (rows in order of depth) and `edges` (their number)."""
        return read_models(self.connection)

    def unit(self, key: str) -> Row | None:
        """A unit's properties, with `labels`, `maps`, `families` and `analogues`, or None."""
        return self.whole_units([key]).get(key)

    def whole_units(self, keys: Sequence[str]) -> dict[str, Row]:
        """By key, units as `unit` gives them; those that are not there are left out."""
        return read_whole_units(self.connection, keys)

    def units(self, keys: Sequence[str]) -> list[Row]:
        """The properties of several units, with `labels`, in the order of `keys`; unknown keys are left out."""
        return read_units(self.connection, keys)

    def layer_units(self, model: str, layer: str) -> list[Row]:
        """The units of a layer by index, as `units` gives them; none where there is no such layer."""
        return read_layer_units(self.connection, model, layer)

    def edges(self, key: str, direction: Literal["in", "out"], top: int | None = None) -> list[Row]:
        """A unit's edges, strongest first, with `source`, `target` (keys) and every property."""
        return self.edges_of([key], direction, top)[key]

    def edges_of(
        self, keys: Sequence[str], direction: Literal["in", "out"], top: int | None = None
    ) -> dict[str, list[Row]]:
        """By key, the edges of units as `edges` gives them."""
        return read_edges(self.connection, keys, direction, top)

    def labels(self, model: str) -> list[Row]:
        """The labels of a model's units, `unit` (key), `label` and `source`, in order of key."""
        return read_labels(self.connection, model)

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

        def add(pairs: LabelPairs) -> LabelPairs:
            for key, label, source in labels:
                if (label, source or None) not in pairs[key]:
                    pairs[key].append((label, source or None))
            return pairs

        self._change_labels([key for key, _, _ in labels], add)

    def delete_label(self, key: str, label: str) -> None:
        """Take a label from a unit, whoever gave it. `InputError` if the unit does not have it."""

        def take(pairs: LabelPairs) -> LabelPairs:
            kept = [pair for pair in pairs[key] if pair[0] != label]
            if len(kept) == len(pairs[key]):
                raise InputError(f"{key} has no label {label!r}")
            return {key: kept}

        self._change_labels([key], take)

    def write_responses(self, model: str, responses: Responses) -> None:
        """Write what a model's units do on probes, in the place of what is there: all of it or nothing.

        Raises
        ------
        InputError
            If the model is not there, or the tables do not fit its units.
        CircuitdbError
            If the server fails, or the model is replaced or deleted meanwhile.
        """
        write_responses(self.connection, model, responses)

    def examples(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """The strongest probe positions of each of the units: rows with rank, picture, y, x, value, no thumbnail."""
        return read_examples(self.connection, keys)

    def signatures(self, model: str) -> npt.NDArray[np.int8] | None:
        """The signatures [unit, picture, number] of a model's units in key order, or None if it was not probed."""
        return read_signatures(self.connection, model)

    def write_analogues(self, analogues: Analogues) -> None:
        """Write the analogues from one model to another, in the place of those that are there.

        Raises
        ------
        InputError
            If a model is not there, or a row names a unit that is not.
        """
        counts = [count_units(self.connection, name) for name in (analogues.source, analogues.target)]
        write_analogues(self.connection, analogues, checked_analogues(analogues, *counts))

    def analogues(self) -> list[Analogues]:
        """All analogues, a table for each pair of models that has any, in order of their names."""
        return read_analogues(self.connection)

    def find(self, query: Query, limits: Limits) -> Found:
        """Search."""
        from circuitdb.backends.neo4j import search

        return search.find(self, query, limits)

    def count(self, query: Query, limits: Limits) -> int:
        """How many circuits match, without limits on rows."""
        from circuitdb.backends.neo4j import search

        return search.count(self, query, limits)

    def explain(self, query: Query) -> Explanation:
        """The compiled query."""
        from circuitdb.backends.neo4j import search

        return search.explain(self, query)

    def session(self) -> AbstractContextManager[object]:
        """Connections stay open between operations anyway."""
        return nullcontext()

    def close(self) -> None:
        """Release the connections."""
        self.connection.close()

    def _change_labels(self, keys: Sequence[str], change: Callable[[LabelPairs], LabelPairs]) -> None:
        """Replace the labels of units by what `change` makes of them, in one transaction that locks the units."""

        def work(transaction: neo4j.ManagedTransaction) -> None:
            units = transaction.run(
                "UNWIND $keys AS key MATCH (u:Unit {key: key}) SET u.labels = u.labels "
                "RETURN u.key AS key, u.labels AS labels, u.label_sources AS label_sources",
                {"keys": list(dict.fromkeys(keys))},
            )
            pairs = {unit["key"]: label_pairs(unit) for unit in units}
            missing = next((key for key in keys if key not in pairs), None)
            if missing is not None:
                raise InputError(f"no unit {missing!r} in {self.address}")
            rows = [{"key": key, **label_lists(changed)} for key, changed in change(pairs).items()]
            transaction.run(
                "UNWIND $rows AS row MATCH (u:Unit {key: row.key}) "
                "SET u.labels = row.labels, u.labels_folded = row.labels_folded, u.label_sources = row.label_sources",
                {"rows": rows},
            ).consume()

        self.connection.transaction(work)

    def _holds(self, model: str) -> bool:
        return bool(self.connection.read("MATCH (m:Model {name: $model}) RETURN m.name", {"model": model}))

    def _prepare(self) -> None:
        """Make sure of constraints and indexes; the offline importer makes none."""
        names = self.connection.read("SHOW INDEXES YIELD name RETURN collect(name) AS names")[0]["names"]
        if not set(names) >= SCHEMA_NAMES:
            self.connection.define(schema_statements())
            self.connection.read("CALL db.awaitIndexes(300)")
        if self.connection.read(VERSION_QUESTION) != [(SCHEMA_VERSION,)]:
            self.connection.write((VERSION_STATEMENT, VERSION_PARAMETERS))

    def _check_version(self) -> None:
        for (version,) in self.connection.read(VERSION_QUESTION):
            if version > SCHEMA_VERSION:
                raise CircuitdbError(
                    f"{self.address} was written by a newer circuitdb (schema {version}, "
                    f"this one knows {SCHEMA_VERSION}); upgrade circuitdb"
                )
