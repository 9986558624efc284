"""Writes models as CSV files for `neo4j-admin database import full`, the fast way to fill a new Neo4j database.

In come models, out go one file with typed headers for each label and relationship type of each model, `import.args`
with the importer's options, and `schema.cypher` with constraints and indexes, which the importer does not make.
"""

from __future__ import annotations

import csv
import shlex
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from circuitdb.backends.base import ModelGraph
from circuitdb.backends.neo4j.schema import (
    EXAMPLE_LISTS,
    MAPS_TO,
    MEMBER_OF,
    META,
    NODE_LABELS,
    UNIT_KINDS,
    VERSION_PARAMETERS,
    schema_statements,
)
from circuitdb.backends.neo4j.tables import NodeTables, node_tables
from circuitdb.errors import InputError
from circuitdb.files import filled_folder
from circuitdb.graph import Record

SEPARATOR = "\x1f"
"""Between the elements of a list: the ASCII unit separator."""
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class AdminExport:
    """What was written: the models' names, and the command line that imports them, to be run in `folder`."""

    folder: Path
    models: Sequence[str]
    command: str


def export_for_admin(graphs: Iterable[ModelGraph], folder: Path, database: str = "neo4j") -> AdminExport:
    """Write the files for the offline importer into an empty or new folder.

    Raises
    ------
    InputError
        If the folder holds something, two models have one name, a label is empty, or a label or the name of a picture
        holds U+001F.
    CircuitdbError
        If the folder cannot be written.
    """
    names: list[str] = []
    arguments = ["--multiline-fields=true", "--array-delimiter=U+001F"]
    with filled_folder(folder) as place:
        _write(place / "schema.csv", _text_table(name="schema", version=VERSION_PARAMETERS["version"]), {})
        arguments.append(f"--nodes={META}=schema.csv")
        for number, graph in enumerate(graphs):
            if graph.name in names:
                raise InputError(f"two models are called {graph.name!r}")
            names.append(graph.name)
            for option, file, table, headers in _files(node_tables(graph, uuid.uuid4().hex), number):
                _write(place / file, table, headers)
                arguments.append(f"{option}={file}")
        (place / "import.args").write_text("".join(f"{argument}\n" for argument in arguments))
        (place / "schema.cypher").write_text("".join(f"{statement};\n" for statement in schema_statements()))
    command = f"neo4j-admin database import full {shlex.quote(database)} --overwrite-destination @import.args"
    return AdminExport(folder, names, command)


def _files(tables: NodeTables, number: int) -> Iterator[tuple[str, str, pa.Table, Mapping[str, str]]]:
    """For each file its option, name, table and the headers that are not simply `name:type`."""
    keys = tables.units["key"]
    yield f"--nodes={NODE_LABELS[Record.MODEL]}", f"{number}-model.csv", _text_table(**tables.model), {}
    yield f"--nodes={NODE_LABELS[Record.LAYER]}", f"{number}-layers.csv", tables.layers, {}
    yield f"--nodes={NODE_LABELS[Record.SEGMENT]}", f"{number}-segments.csv", tables.segments, {}
    family_ids = _family_ids(tables.name, tables.families["number"])
    families = tables.families.append_column("id", family_ids)
    yield f"--nodes={NODE_LABELS[Record.FAMILY]}", f"{number}-families.csv", families, {"id": ":ID(family)"}
    for unit_kind, label in UNIT_KINDS.items():
        units = tables.units.filter(pc.equal(tables.units["kind"], unit_kind.value))
        if units.num_rows:
            yield f"--nodes=Unit:{label}", f"{number}-{unit_kind}s.csv", units, {"key": "key:ID(unit)"}
    ends = {"source": ":START_ID(unit)", "target": ":END_ID(unit)"}
    for kind, table in [*tables.edges.items(), (MAPS_TO, tables.maps)]:
        if table.num_rows:
            yield (
                f"--relationships={kind}",
                f"{number}-{kind.lower()}.csv",
                _with_keys(table, keys, "source", "target"),
                ends,
            )
    if tables.members.num_rows:
        members = _with_keys(tables.members.select(["unit", "family", "pose", "place"]), keys, "unit")
        members = members.set_column(1, "family", _family_ids(tables.name, members["family"]))
        headers = {"unit": ":START_ID(unit)", "family": ":END_ID(family)"}
        yield f"--relationships={MEMBER_OF}", f"{number}-members.csv", members, headers


def _family_ids(model: str, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(pa.scalar(model), numbers.cast(pa.string()), "/")


def _with_keys(table: pa.Table, keys: pa.ChunkedArray, *names: str) -> pa.Table:
    """The table with the rows of units in these columns replaced by the units' keys."""
    for name in names:
        table = table.set_column(table.column_names.index(name), name, keys.take(table[name]))
    return table


def _text_table(**values: str | int) -> pa.Table:
    return pa.table({name: [value] for name, value in values.items()})


def _write(path: Path, table: pa.Table, headers: Mapping[str, str]) -> None:
    """Write a table piece by piece; `headers` by column, the others are `name:type`."""
    columns = [headers.get(name, f"{name}:{_csv_type(table[name].type)}") for name in table.column_names]
    with path.open("w", encoding="utf-8", newline="") as header:
        csv.writer(header, lineterminator="\n").writerow(columns)
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
    with path.open("ab") as file:
        for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
            plain = pa.table({name: _plain(batch.column(name), name) for name in table.column_names})
            arrow_csv.write_csv(plain, file, options)


def _csv_type(kind: pa.DataType) -> str:
    if pa.types.is_binary(kind):
        return "byte[]"
    if pa.types.is_list(kind):
        return f"{_csv_type(kind.value_type)}[]"
    if pa.types.is_integer(kind):
        return "long"
    if pa.types.is_floating(kind):
        return "double"
    return "boolean" if pa.types.is_boolean(kind) else "string"


def _plain(column: pa.Array, name: str) -> pa.Array:
    """The column; one of lists or bytes as a text each, numbers of single precision as the doubles they are."""
    if pa.types.is_binary(column.type):
        column = _signed_bytes(column)
    if not pa.types.is_list(column.type):
        return column
    if not pa.types.is_string(column.type.value_type):
        number = pa.float64() if pa.types.is_floating(column.type.value_type) else pa.int64()
        return pc.binary_join(column.cast(pa.list_(number)).cast(pa.list_(pa.string())), SEPARATOR)
    if pc.any(pc.match_substring(column.flatten(), SEPARATOR)).as_py():
        what = "a picture's name" if name == EXAMPLE_LISTS["picture"] else "a label"
        raise InputError(f"{what} holds the character U+001F, which the importer takes for a separator")
    if name == "labels" and pc.any(pc.equal(column.flatten(), "")).as_py():
        raise InputError("a label is empty, which the importer takes for no label")
    return pc.binary_join(column, SEPARATOR)


def _signed_bytes(column: pa.Array) -> pa.Array:
    """Bytes as lists of signed numbers."""
    lengths = pc.binary_length(column)
    ends = np.concatenate([[0], np.cumsum(pc.fill_null(lengths, 0).to_numpy())])
    offsets = pa.array(ends, pa.int32(), mask=np.append(column.is_null().to_numpy(zero_copy_only=False), False))
    entries = np.frombuffer(b"".join(entry for entry in column.to_pylist() if entry is not None), dtype=np.int8)
    return pa.ListArray.from_arrays(offsets, pa.array(entries))
