"""Labels from files: rows of units and texts, as CSV or JSON, or families of units by their numbers, as JSON.

In: a file, and the model that families are of. Out: labels with the units as the file names them, then, with the whole
keys from a database, as `Database.add_labels` takes them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuitdb.errors import InputError
from circuitdb.graph import unit_key

if TYPE_CHECKING:
    from circuitdb.database import Database

Label = tuple[str, str, str | None]
"""A unit, the text, and who says so."""

_COLUMNS = ("unit", "label", "source")


@dataclass(frozen=True)
class Labels:
    """Labels as they were read.

    places: where each stands, as messages name it. by_number: units were named by layer and number alone, which holds
    for one network.
    """

    labels: Sequence[Label]
    places: Sequence[str]
    by_number: bool = False


def read_labels(file: Path, model: Mapping[str, Any] | None = None) -> Labels:
    """The labels of a file.

    Parameters
    ----------
    file
        CSV with the columns unit, label and perhaps source; or JSON: a list of objects with these names, perhaps under
        `labels`, or families by layer, each a list of objects with `name` and `units`, the units' numbers.
    model
        The model that families are of, as `Database.model` gives it.

    Raises
    ------
    InputError
        If the file cannot be read, says something else, or numbers units that the model does not have.
    """
    from circuitdb.question import read_text

    text = read_text(file)
    if file.suffix.lower() != ".json":
        return Labels(*_from_csv(text, file))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON: {error}") from None
    if isinstance(document, dict) and set(document) == {"labels"}:
        document = document["labels"]
    if isinstance(document, list):
        places = [f"{file}: [{number}]" for number in range(len(document))]
        return Labels(list(map(_from_row, document, places)), places)
    if not isinstance(document, dict):
        raise InputError(f"{file}: a list of labels is wanted, or families by layer")
    if model is None:
        raise InputError(f"{file} numbers units by layer; --model says whose they are")
    return Labels(*_from_families(document, file, model), by_number=True)


def with_whole_keys(read: Labels, database: Database) -> list[Label]:
    """The labels with the whole keys of their units, which files may name as `Database.unit` understands them.

    Raises
    ------
    InputError
        If there is no such unit, or several; the message names the place in the file.
    """
    with database.session():
        keys = database.unit_keys(unit for unit, _, _ in read.labels)
        for (unit, _, _), place in zip(read.labels, read.places, strict=True):
            if unit not in keys:
                try:
                    keys[unit] = database.unit(unit).key
                except InputError as error:
                    raise InputError(f"{place}: {error}") from None
    return [(keys[unit], label, source) for unit, label, source in read.labels]


def _from_csv(text: str, file: Path) -> tuple[list[Label], list[str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    labels: list[Label] = []
    places: list[str] = []
    try:
        missing = [name for name in _COLUMNS[:2] if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{file}:1: no column {' and '.join(missing)}; the first line names the columns unit, label, source"
            )
        for row in reader:
            places.append(f"{file}:{reader.line_num}")
            if not row["unit"] or not row["label"]:
                raise InputError(f"{places[-1]}: a unit and its label are wanted")
            labels.append((row["unit"], row["label"], row.get("source") or None))
    except csv.Error as error:
        raise InputError(f"{file}:{reader.line_num}: not CSV: {error}") from None
    return labels, places


def _from_row(row: object, place: str) -> Label:
    if not isinstance(row, dict) or not set(row) <= set(_COLUMNS):
        raise InputError(f"{place}: an object with unit, label and perhaps source is wanted")
    unit, label, source = (row.get(name) for name in _COLUMNS)
    if not (isinstance(unit, str) and unit and isinstance(label, str) and label):
        raise InputError(f"{place}: a unit and its label are wanted, both texts")
    if not (source is None or isinstance(source, str)):
        raise InputError(f"{place}.source: a text is wanted")
    return unit, label, source or None


def _from_families(document: Mapping[str, Any], file: Path, model: Mapping[str, Any]) -> tuple[list[Label], list[str]]:
    name, widths = model["name"], {layer["name"]: layer["width"] for layer in model["layers"]}
    labels: list[Label] = []
    places: list[str] = []
    for layer, families in document.items():
        if not isinstance(families, list):
            raise InputError(f"{file}: {layer}: a list of families is wanted")
        for number, family in enumerate(families):
            place = f"{file}: {layer}[{number}]"
            if not isinstance(family, dict) or not isinstance(family.get("name"), str) or not family["name"]:
                raise InputError(f"{place}: a family has a name and a list of units")
            units = family.get("units")
            if not isinstance(units, list) or not all(type(unit) is int and unit >= 0 for unit in units):
                raise InputError(f"{place}.units: a list of unit numbers is wanted")
            beyond = [unit for unit in units if unit >= widths.get(layer, 0)]
            if beyond:
                has = f"{layer} of {name} has {widths[layer]:,} units" if layer in widths else f"{name} has no {layer}"
                raise InputError(f"{place}: there is no unit {beyond[0]}: {has}; is the file about another network?")
            labels += [(unit_key(name, layer, unit), family["name"], file.stem) for unit in units]
            places += [place] * len(units)
    return labels, places
