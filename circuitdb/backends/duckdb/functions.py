"""Functions that the embedded store's SQL calls and DuckDB lacks.

`add_functions` gives a connection `circuitdb_agreement`, the cosine of two kernels, computed by `circuitdb.kernels` a
batch at a time.
"""

from __future__ import annotations

from contextlib import suppress

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from circuitdb.backends.duckdb.emitter import AGREEMENT
from circuitdb.pattern.agreement import KernelColumns, agreement_of_edges

_KERNEL = ("FLOAT[]", "INTEGER", "INTEGER", "DOUBLE", "DOUBLE", "VARCHAR")


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Add them to a connection; connections of one process to one file share them."""
    number = duckdb.dtype("DOUBLE")
    with suppress(duckdb.CatalogException, duckdb.NotImplementedException):
        connection.create_function(
            AGREEMENT,
            _agreement,
            [*_KERNEL, *_KERNEL],
            number,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _agreement(
    kernel_1: pa.ChunkedArray,
    height_1: pa.ChunkedArray,
    width_1: pa.ChunkedArray,
    offset_y_1: pa.ChunkedArray,
    offset_x_1: pa.ChunkedArray,
    maps_1: pa.ChunkedArray,
    kernel_2: pa.ChunkedArray,
    height_2: pa.ChunkedArray,
    width_2: pa.ChunkedArray,
    offset_y_2: pa.ChunkedArray,
    offset_x_2: pa.ChunkedArray,
    maps_2: pa.ChunkedArray,
) -> pa.Array:
    left = _side((kernel_1, height_1, width_1, offset_y_1, offset_x_1, maps_1))
    values = agreement_of_edges(left, _side((kernel_2, height_2, width_2, offset_y_2, offset_x_2, maps_2)))
    return pa.array(values, mask=np.isnan(values))


def _side(columns: tuple[pa.ChunkedArray, ...]) -> KernelColumns:
    kernels, heights, widths, offsets_y, offsets_x, maps = columns
    names = maps[0].as_py() if len(maps) else ""
    return KernelColumns(
        _lists(kernels),
        heights.to_pylist(),
        widths.to_pylist(),
        offsets_y.to_pylist(),
        offsets_x.to_pylist(),
        tuple(names.split()),
    )


def _lists(column: pa.ChunkedArray) -> list[np.ndarray | None]:
    """The lists of a column, without a Python object for each of their numbers."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    numbers = array.values.to_numpy(zero_copy_only=False)
    starts = array.offsets.to_numpy()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return [numbers[starts[i] : starts[i + 1]] if valid[i] else None for i in range(len(array))]
