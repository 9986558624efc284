"""The NumPy form of a search: the kernels of all edges as one array, with the edges' and units' properties beside it.

`kernels` is [edge, y, x], float32; a kernel fills its first `edge_kernel_h` rows and `edge_kernel_w` columns, the rest
is 0. `edge_source` and `edge_target` are rows of the unit arrays. A property is an array `edge_NAME` or `unit_NAME`;
a missing number is NaN (in whole numbers -1), a missing text is empty. Labels, circuits and models are JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from circuitdb.graph import Record, properties
from circuitdb.reports.exports.subgraph import Row, Subgraph, json_text


def write_npz(found: Subgraph, file: Path) -> None:
    """Write the arrays; `numpy.load` reads them without pickles."""
    number = {unit["key"]: row for row, unit in enumerate(found.units)}
    arrays: dict[str, npt.NDArray[Any]] = {
        "kernels": _kernels(found.edges),
        "edge_source": np.array([number[edge["source"]] for edge in found.edges], dtype=np.int64),
        "edge_target": np.array([number[edge["target"]] for edge in found.edges], dtype=np.int64),
        **_columns(found.edges, Record.EDGE, "edge", leave_out=("kernel",)),
        **_columns(found.units, Record.UNIT, "unit", leave_out=("label", "coefficients")),
        "unit_labels": np.array([json_text(unit["labels"]) for unit in found.units], dtype=str),
        "unit_coefficients": np.array([json_text(unit.get("coefficients") or []) for unit in found.units], dtype=str),
        "circuits": np.array([json_text({**row, "edges": _ends(row)}) for row in found.circuits], dtype=str),
        "models": np.array([json_text(row) for row in found.models], dtype=str),
        "query": np.array(found.query),
        "keep": np.array(found.keep),
    }
    with file.open("wb") as writing:
        np.savez_compressed(writing, **arrays)  # type: ignore[arg-type]


def _kernels(edges: Sequence[Row]) -> npt.NDArray[np.float32]:
    height, width = (max((edge[side] or 0 for edge in edges), default=0) for side in ("kernel_h", "kernel_w"))
    kernels = np.zeros((len(edges), height, width), dtype=np.float32)
    for row, edge in enumerate(edges):
        if edge["kernel"] is not None:
            h, w = edge["kernel_h"], edge["kernel_w"]
            kernels[row, :h, :w] = np.asarray(edge["kernel"], dtype=np.float32).reshape(h, w)
    return kernels


def _columns(rows: Sequence[Row], record: Record, prefix: str, leave_out: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    forms: dict[str, tuple[Any, Any]] = {"real": (np.float64, np.nan), "integer": (np.int64, -1), "text": (str, "")}
    columns = {}
    for prop in properties(record):
        if prop.name not in leave_out:
            dtype, missing = forms[prop.type]
            values = [missing if row.get(prop.name) is None else row[prop.name] for row in rows]
            columns[f"{prefix}_{prop.name}"] = np.array(values, dtype=dtype)
    return columns


def _ends(circuit: Row) -> list[list[str]]:
    return [[edge["source"], edge["target"], edge["kind"]] for edge in circuit["edges"]]
