"""The JSON Schema of the JSON form, made from the registry.

`python -m circuitdb.reports.exports.json_schema > docs/circuits.schema.json` publishes it.
"""

from __future__ import annotations

import json
from typing import Any

from circuitdb.graph import Property, PropertyType, Record, properties
from circuitdb.reports.exports.json_form import VERSION


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the form; a property's description is its meaning in the registry."""
    text = {"type": "string"}
    key = {"$ref": "#/$defs/key"}
    labels = _rows(_object(Record.LABEL, leave_out=("unit",)))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:circuitdb:circuits:{VERSION}",
        "title": "Circuits that circuitdb found",
        "type": "object",
        "additionalProperties": False,
        "required": ["circuitdb_circuits", "query", "store", "keep", "truncated", "circuits", "units", "models"],
        "properties": {
            "circuitdb_circuits": {"const": VERSION, "description": "version of this form"},
            "query": {**text, "description": "what was searched for, in the motif language"},
            "store": {**text, "description": "address of the database"},
            "keep": {**text, "description": "keep rule of the models searched, which bounds what can be found"},
            "truncated": {"type": "boolean", "description": "whether circuits were left out"},
            "stopped_by": {"enum": ["rows", "seconds", None], "description": "the limit that left circuits out"},
            "total": {"type": ["integer", "null"], "description": "how many circuits there are, where known"},
            "remarks": {"type": "array", "items": text, "description": "what the circuits do not tell"},
            "circuits": _rows({"$ref": "#/$defs/circuit"}),
            "units": _rows(_object(Record.UNIT, leave_out=("label",), more={"labels": labels})),
            "models": _rows(_object(Record.MODEL)),
        },
        "$defs": {
            "key": {"type": "string", "pattern": "^[^/:]+/[^/:]+:[0-9]+$"},
            "circuit": {
                "type": "object",
                "additionalProperties": False,
                "required": ["motif", "model", "units", "edges", "score"],
                "properties": {
                    "motif": {"type": ["string", "null"]},
                    "model": text,
                    "units": {"type": "object", "additionalProperties": {"anyOf": [key, _rows(key)]}},
                    "edges": _rows(_object(Record.EDGE, more={"source": key, "target": key})),
                    "score": {"type": ["number", "null"], "description": "what the circuit is ranked by"},
                },
            },
        },
    }


_TYPES: dict[PropertyType, dict[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "real": {"type": "number"},
    "boolean": {"type": "boolean"},
    "reals": {"type": "array", "items": {"type": "number"}},
    "json": {},
}


def _object(record: Record, leave_out: tuple[str, ...] = (), more: dict[str, Any] | None = None) -> dict[str, Any]:
    props = [prop for prop in properties(record) if prop.name not in leave_out]
    more = more or {}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*more, *(prop.name for prop in props if not prop.optional)],
        "properties": more | {prop.name: _property(prop) for prop in props},
    }


def _property(prop: Property) -> dict[str, Any]:
    kind = dict(_TYPES[prop.type])
    if prop.optional and kind:
        kind["type"] = [kind["type"], "null"]
    return kind | {"description": prop.meaning + (f" ({prop.unit})" if prop.unit else "")}


def _rows(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


if __name__ == "__main__":
    print(json.dumps(json_schema(), ensure_ascii=False, indent=1))
