"""One unit as Python sees it: its properties, labels, maps, families and analogues, and its edges with their kernels.

In comes a unit's record as a store gives it, out come plain rows and arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Row, Store
from circuitdb.errors import InputError

if TYPE_CHECKING:
    from circuitdb.reports.drawing import Drawing

_LISTS = ("labels", "maps", "families", "analogues")


class Unit:
    """One unit: its properties as a mapping in `properties`, its edges through `inputs` and `outputs`."""

    def __init__(self, key: str, record: Row, store: Store) -> None:
        self.key = key
        self.labels: list[Row] = record["labels"]
        self.maps: list[Row] = record["maps"]
        self.families: list[Row] = record["families"]
        self.analogues: list[Row] = record["analogues"]
        self.properties = {name: value for name, value in record.items() if name not in _LISTS}
        self._store = store

    def __repr__(self) -> str:
        labels = ", ".join(row["label"] for row in self.labels)
        return f"Unit({self.key!r}{': ' + labels if labels else ''})"

    def inputs(self, top: int | None = None) -> list[Row]:
        """The unit's incoming edges, strongest first; flat rows that `pandas.DataFrame` takes."""
        return self._store.edges(self.key, "in", top)

    def outputs(self, top: int | None = None) -> list[Row]:
        """The unit's outgoing edges, strongest first; flat rows that `pandas.DataFrame` takes."""
        return self._store.edges(self.key, "out", top)

    def examples(self) -> list[Row]:
        """The probe positions where the unit responds most, strongest first; see `Database.examples`."""
        return self._store.examples([self.key])[self.key]

    def draw(self, top: int = 6) -> Drawing:
        """The unit between its strongest inputs and outputs, so many of each."""
        from circuitdb.reports.pictures import draw_unit

        return draw_unit(self, self._store, top)

    def _repr_html_(self) -> str:
        from circuitdb.reports.notebook import unit_card

        return unit_card(self)

    def kernel(self, source: str) -> npt.NDArray[np.float64]:
        """The kernel [y, x] of the kept edge from `source` into this unit.

        Raises
        ------
        InputError
            If no such edge is kept, or it has no kernel.
        """
        for edge in self.inputs():
            if edge["source"] == source and edge["kind"] != "SKIP":
                kernel = edge_kernel(edge)
                if kernel is None:
                    raise InputError(f"the edge from {source} to {self.key} has no kernel")
                return kernel
        raise InputError(f"no edge from {source} to {self.key} is kept")


def edge_kernel(edge: Mapping[str, Any]) -> npt.NDArray[np.float64] | None:
    """The kernel [y, x] of an edge's row, or None where it has none."""
    if edge.get("kernel") is None:
        return None
    return np.asarray(edge["kernel"], dtype=np.float64).reshape(edge["kernel_h"], edge["kernel_w"])
