"""Results: circuits as a sequence of plain records that turn into tables and graphs.

In come a store's matches, out come `Circuits`, which behaves like a list of `Circuit` and knows how the search went.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from circuitdb.graph import split_key

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from circuitdb.backends.base import Match
    from circuitdb.reports.drawing import Drawing
    from circuitdb.statistics.significance import Significance
    from circuitdb.units import Unit

Row = Mapping[str, Any]
_COLUMNS = ("motif", "model", "score")


class Reader(Protocol):
    """What results ask their database for, to show units and to say how circuits were found."""

    def session(self) -> AbstractContextManager[object]:
        """A time in which reading many things costs little more than one."""

    def models(self) -> list[dict[str, Any]]:
        """Every model with its layers."""

    def units(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The properties of units."""

    def layer_units(self, model: str, layer: str) -> list[dict[str, Any]]:
        """The properties of a layer's units."""

    def unit(self, name: str) -> Unit:
        """A unit."""

    def units_at(self, keys: Sequence[str]) -> list[Unit]:
        """Units, read at once."""

    def edges_of(
        self, keys: Sequence[str], direction: Literal["in", "out"], top: int | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """By key, the edges of units, read at once."""

    def examples(self, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The strongest probe positions of units."""

    def explain(
        self, query: str | Path, /, *, model: str | Sequence[str] | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """What a query compiles to."""


@dataclass(frozen=True)
class Asked:
    """How a search was called: the query as it was given, the models, the parameters, the limit."""

    query: str
    models: tuple[str, ...] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None


@dataclass(frozen=True)
class Circuit:
    """One circuit that fits a motif.

    motif: the motif's name, or None for a pattern without one. units: unit keys by their names in the motif, a list of
    keys for a counted block's name. edges: rows with `source`, `target` (keys) and every property of the edge.
    score: what the circuit is ranked by, or None. reader: the database that it lies in.
    """

    motif: str | None
    model: str
    units: Mapping[str, str | list[str]]
    edges: Sequence[Row]
    score: float | None
    reader: Reader | None = field(default=None, repr=False, compare=False)

    def unit_keys(self) -> list[str]:
        """The keys of all units, each once, in the motif's order."""
        listed = ([unit] if isinstance(unit, str) else unit for unit in self.units.values())
        return list(dict.fromkeys(key for keys in listed for key in keys))

    def to_dict(self) -> dict[str, Any]:
        """The circuit as one object of the command's JSON."""
        return {
            "motif": self.motif,
            "model": self.model,
            "units": dict(self.units),
            "edges": [dict(edge) for edge in self.edges],
            "score": self.score,
        }

    def draw(self) -> Drawing:
        """The circuit as a drawing: an SVG that notebooks show and that `save` writes as .svg or .png."""
        from circuitdb.reports.pictures import draw_circuits

        return draw_circuits([self], self.reader)[0]

    def _repr_html_(self) -> str:
        return self.draw().svg

    def __repr__(self) -> str:
        score = "" if self.score is None else f", score {self.score:.4g}"
        units = ", ".join(f"{name}={short_names(unit, self.model)}" for name, unit in self.units.items())
        return f"Circuit({self.motif or 'query'} in {self.model}: {units}{score})"


class Circuits(Sequence[Circuit]):
    """The circuits that a search found, in order, each made when it is first asked for.

    names: those under which each circuit gives its units. query: what was searched for. store: address of the database.
    keep: the keep rule of the models searched, which bounds what can be found. truncated: whether circuits were left
    out, and stopped_by the limit that did it. total: how many there are in all, where that is known. seconds: how long
    the search took. remarks: sentences on what the circuits do not tell, such as that the query asked for edges that
    the keep rule left out. asked: how the search was called. reader: the database searched.
    """

    def __init__(
        self,
        matches: Sequence[Match],
        *,
        motif: str | None,
        names: Sequence[str],
        query: str,
        store: str,
        keep: str,
        seconds: float,
        truncated: bool = False,
        stopped_by: str | None = None,
        total: int | None = None,
        remarks: Sequence[str] = (),
        asked: Asked,
        reader: Reader,
    ) -> None:
        self._matches = matches
        self._motif = motif
        self._made: list[Circuit | None] = [None] * len(matches)
        self.asked = asked
        self.reader = reader
        self.names = tuple(names)
        self.query = query
        self.store = store
        self.keep = keep
        self.seconds = seconds
        self.truncated = truncated
        self.stopped_by = stopped_by
        self.total = total
        self.remarks = tuple(remarks)

    def __len__(self) -> int:
        return len(self._matches)

    @overload
    def __getitem__(self, index: int) -> Circuit: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Circuit]: ...

    def __getitem__(self, index: int | slice) -> Circuit | Sequence[Circuit]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        circuit = self._made[index]
        if circuit is None:
            found = self._matches[index]
            circuit = Circuit(self._motif, found.model, found.units, found.edges, found.score, self.reader)
            self._made[index] = circuit
        return circuit

    def __repr__(self) -> str:
        of_all = "" if not self.truncated else f" of {'more' if self.total is None else self.total}"
        head = f"{len(self)}{of_all} circuits in {self.seconds:.2f} s ({self.store}, keep {self.keep})"
        shown = [f"  {circuit!r}" for circuit in self[:10]]
        rest = [f"  … and {len(self) - 10} more"] if len(self) > 10 else []
        return "\n".join([head, *shown, *rest, *self.remarks])

    def to_pandas(self) -> pd.DataFrame:
        """One row a circuit: motif, model, score, and a column of unit keys for each name in the motif.

        A name that is the name of another column stands as `unit NAME`.
        """
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=self.columns())

    def columns(self) -> list[str]:
        """The columns of the circuits as a table."""
        return [*_COLUMNS, *(unit_column(name, _COLUMNS) for name in self.names)]

    def rows(self) -> Iterable[dict[str, Any]]:
        """The circuits as rows of a table."""
        for circuit in self:
            units = {unit_column(name, _COLUMNS): unit for name, unit in circuit.units.items()}
            yield {"motif": circuit.motif, "model": circuit.model, "score": circuit.score, **units}

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """All circuits as one graph.

        Nodes are unit keys with the unit's properties, edges carry all their properties and are keyed by their kind, so
        that an edge which several circuits share stands once. `graph["circuits"]` lists the circuits' units by name.
        """
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
            query=self.query, keep=self.keep, circuits=[dict(circuit.units) for circuit in self]
        )
        ends = (key for circuit in self for edge in circuit.edges for key in (edge["source"], edge["target"]))
        units = (key for circuit in self for key in circuit.unit_keys())
        keys = list(dict.fromkeys([*units, *ends]))
        graph.add_nodes_from((row["key"], dict(row)) for row in self.reader.units(keys))
        for circuit in self:
            for edge in circuit.edges:
                properties = {name: value for name, value in edge.items() if name not in ("source", "target")}
                graph.add_edge(edge["source"], edge["target"], key=edge["kind"], **properties)
        return graph

    def report(self, path: str | Path, *, significance: Significance | None = None) -> None:
        """Write the circuits as one HTML file that needs nothing else: drawings, units, edges, how they were found.

        Parameters
        ----------
        path
            The file.
        significance
            What `Database.significance` says of the same query; without it the page says that chance was not tested.

        Raises
        ------
        CircuitdbError
            If the file cannot be written.
        """
        from circuitdb.reports.page import circuits_page, write_page

        write_page(path, circuits_page(self, significance))

    def export(self, path: str | Path) -> None:
        """Write the circuits as a file for other tools; the ending says the form, as in docs/exports.md.

        Raises
        ------
        InputError
            If the ending says no form, or the form cannot hold the content.
        CircuitdbError
            If the file cannot be written.
        """
        from circuitdb.reports.exports import export_circuits

        export_circuits(self, Path(path))

    def _repr_html_(self) -> str:
        from circuitdb.reports.notebook import circuits_table

        return circuits_table(self)

    def to_dict(self) -> dict[str, Any]:
        """What `circuitdb find --format json` prints."""
        return {
            "query": self.query,
            "store": self.store,
            "keep": self.keep,
            "truncated": self.truncated,
            "stopped_by": self.stopped_by,
            "total": self.total,
            "seconds": self.seconds,
            "remarks": list(self.remarks),
            "circuits": [circuit.to_dict() for circuit in self],
        }

    def to_json(self) -> str:
        """What `circuitdb find --format json` prints, as text."""
        return to_json(self.to_dict())


def unit_column(name: str, others: Sequence[str]) -> str:
    """The column for the units of a name beside these others."""
    return f"unit {name}" if name in others else name


def short_name(key: str) -> str:
    """A unit without its model, `mixed4c:447`."""
    return key.partition("/")[2]


def short_names(unit: str | Sequence[str], home: str | None = None) -> str:
    """A unit, or units, without the model, unless it is another than `home`; in a list the layer is written where it
    changes."""
    keys = [unit] if isinstance(unit, str) else unit
    names, before = [], None
    for key in keys:
        model, layer, index = split_key(key)
        place = layer if home in (None, model) else f"{model}/{layer}"
        names.append(str(index) if place == before else f"{place}:{index}")
        before = place
    return ", ".join(names)


def to_json(value: Any) -> str:
    """JSON text of rows; numbers that JSON cannot write (infinite, not a number) become null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
