"""The CSV form of a search: one table with a row for every edge of every circuit, all properties of both ends along.

A unit that no edge of its circuit touches has a row of its own, as `source`, with an empty `target`. Lists are JSON
text. The columns are the same whatever was found, but for those that hold the units by their names in the motif.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from circuitdb.graph import Record, properties
from circuitdb.reports.exports.subgraph import Subgraph, flat

_EDGE = tuple(prop.name for prop in properties(Record.EDGE))
_UNIT = (*(prop.name for prop in properties(Record.UNIT) if prop.name not in ("key", "label")), "labels")
_ENDS = ("source", "target")


def csv_form(found: Subgraph) -> Iterator[str]:
    """The text of the file, in pieces."""
    names = dict.fromkeys(f"unit {name}" for circuit in found.circuits for name in circuit["units"])
    ends = [f"{end}_{name}" for end in _ENDS for name in _UNIT]
    columns = ["circuit", "motif", "model", "score", *names, *_ENDS, *_EDGE, *ends]
    for row in ({name: name for name in columns}, *_rows(found)):
        text = io.StringIO()
        csv.DictWriter(text, columns, lineterminator="\n").writerow(row)
        yield text.getvalue()


def _rows(found: Subgraph) -> Iterator[dict[str, Any]]:
    units = {unit["key"]: flat(unit) for unit in found.units}
    for number, circuit in enumerate(found.circuits):
        here = {"circuit": number} | {name: circuit[name] for name in ("motif", "model", "score")}
        here |= flat({f"unit {name}": unit for name, unit in circuit["units"].items()})
        touched = {edge[end] for edge in circuit["edges"] for end in _ENDS}
        listed = [[unit] if isinstance(unit, str) else unit for unit in circuit["units"].values()]
        alone = dict.fromkeys(key for keys in listed for key in keys if key not in touched)
        for row in [*circuit["edges"], *({"source": key} for key in alone)]:
            ends = {
                f"{end}_{name}": units[row[end]].get(name) for end in _ENDS if row.get(end) in units for name in _UNIT
            }
            yield here | flat(row) | {name: _plain(value) for name, value in ends.items()}


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value
