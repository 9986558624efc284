"""The JSON form of a search: what `circuitdb find --format json` prints, with the units and models, and a version.

How long the search took stays out, so that equal results give equal files. `docs/circuits.schema.json` is the form's
JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from circuitdb.reports.exports.subgraph import Subgraph

VERSION = 1


def json_form(found: Subgraph) -> Iterator[str]:
    """The text of the file, in pieces."""
    document = {
        "circuitdb_circuits": VERSION,
        "query": found.query,
        "store": found.store,
        "keep": found.keep,
        "truncated": found.truncated,
        "stopped_by": found.stopped_by,
        "total": found.total,
        "remarks": found.remarks,
        "circuits": found.circuits,
        "units": found.units,
        "models": found.models,
    }
    yield from json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=1).iterencode(document)
    yield "\n"
