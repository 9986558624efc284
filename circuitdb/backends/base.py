"""What every store can do, and the form in which a whole model enters and leaves it.

`ModelGraph` is one model as Arrow tables, the way an ingest, an imported document or another store hands it over.
`Store` is the protocol behind which the embedded DuckDB file and the Neo4j server stand; the address alone chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from circuitdb.pattern.model import Query

Value = str | int | float | bool | None | list[float] | dict[str, Any]
Row = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the steps done and the steps in all."""


@dataclass(frozen=True)
class KernelBlock:
    """Dense kernels between some units of a target layer and some of a source layer.

    kernels: [target, source, y, x], kept as float16. `targets` and `sources` are unit indices within the two layers.
    `offset_y`, `offset_x`: position of `kernels[..., 0, 0]` from the target's centre, in source cells.
    """

    targets: npt.NDArray[np.int32]
    sources: npt.NDArray[np.int32]
    kernels: npt.NDArray[np.floating[Any]]
    offset_y: float
    offset_x: float


@dataclass(frozen=True)
class Dense:
    """All pairs of neurons of one segment, kept as edges or not.

    weight, strength: [target, source], float32, indexed by unit index. `blocks` is empty unless every kernel is kept.
    """

    weight: npt.NDArray[np.float32]
    strength: npt.NDArray[np.float32]
    blocks: tuple[KernelBlock, ...] = ()


MEASURED_ON_PROBES = ("mean", "sd", "sparsity")
"""The properties of a unit that `Responses` brings."""


@dataclass(frozen=True)
class Responses:
    """What a model's units do on a set of probes, and which unit is which other's image under a map.

    probes: `name`, `sha256`, `pictures` (their number), `size` ([height, width] in pixels) and what else describes the
    set. The tables refer to units as those of `ModelGraph` do:

    units       a row for each of the model's units: mean, sd, sparsity
    signatures  [unit, picture, number], int8, or None: a sketch of the responses, so that the correlation of two units,
                of one model or of two that saw the same probes, is the cosine of their signatures
    examples    unit (int32), rank (1 for the strongest), picture (text), y, x (pixels of the probe), value, thumbnail
                (PNG as binary, or null)
    maps, families, members   as in `ModelGraph`
    """

    probes: Mapping[str, Value]
    units: pa.Table
    maps: pa.Table
    families: pa.Table
    members: pa.Table
    examples: pa.Table | None = None
    signatures: npt.NDArray[np.int8] | None = None


@dataclass(frozen=True)
class ModelGraph:
    """One whole model.

    The tables' columns are named as in the registry; a column that is absent is missing in every row. Units stand in
    key order, by (depth, layer name by code point, index), and the others refer to them by their row number:

    units     layer (text), index (int32), ...; key, model and depth are filled in
    edges     source, target (int32, rows of `units`), kind, weight, ...
    labels    unit (int32), label, source
    maps      source, target (int32), map, score, self_score, mutual; at most one row a map and source
    families  id (int32), layer, group, order, score;  members: family (int32), unit (int32), pose
    segments  source_layer, target_layer, ...; `dense` holds the matrices, by (source layer, target layer)
    examples, signatures      as in `Responses`
    """

    model: Mapping[str, Value]
    layers: pa.Table
    units: pa.Table
    edges: pa.Table
    segments: pa.Table | None = None
    labels: pa.Table | None = None
    maps: pa.Table | None = None
    families: pa.Table | None = None
    members: pa.Table | None = None
    dense: Mapping[tuple[str, str], Dense] = field(default_factory=dict)
    examples: pa.Table | None = None
    signatures: npt.NDArray[np.int8] | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.model["name"])


@dataclass(frozen=True)
class Analogues:
    """The analogues from units of one model to units of another.

    rows: source, target (int32, rows of the two models' `units`), rank, score, ...; each pair stands once, and each
    rank once for a source.
    """

    source: str
    target: str
    rows: pa.Table


@dataclass(frozen=True)
class Limits:
    """Bounds on one search. `rows` and `seconds` of None are unbounded.

    `memory_mb`: megabytes for the embedded store, None for most of the machine's; a server has its own bound.
    """

    rows: int | None = 1000
    seconds: float | None = 60.0
    memory_mb: int | None = None


@dataclass(frozen=True)
class Match:
    """One circuit as a store returns it: unit keys by name and, per edge, its ends and properties."""

    model: str
    units: Mapping[str, str | list[str]]
    edges: Sequence[Row]
    score: float | None


@dataclass(frozen=True)
class Found:
    """What a search brought: the matches in order, whether more were left out and why, seconds, the total if known."""

    matches: Sequence[Match]
    truncated: bool
    seconds: float
    stopped_by: Literal["rows", "seconds"] | None = None
    total: int | None = None


@dataclass(frozen=True)
class Explanation:
    """How a store would answer: the compiled text, its parameters, and who evaluates each predicate."""

    text: str
    parameters: Mapping[str, Any] | Sequence[Any]
    predicates: Sequence[Row]
    count_text: str | None = None
    language: Literal["sql", "cypher"] = "sql"


class Store(Protocol):
    """A place where graphs are kept and searched."""

    address: str

    def write(self, graph: ModelGraph, *, replace: bool = False, progress: Progress | None = None) -> None:
        """Write a model whole or not at all.

        Raises
        ------
        InputError
            If a model of that name is there and `replace` is false.
        CircuitdbError
            If the store cannot be written.
        """

    def read(self, model: str) -> ModelGraph:
        """A whole model as it was written."""

    def delete(self, model: str) -> None:
        """Delete a model and all that is its own."""

    def rewrite(self, model: str, change: Callable[[ModelGraph], ModelGraph]) -> ModelGraph:
        """Put what `change` makes of a model in its place, in one transaction, and return it as it was checked.

        Analogues from and to the model stay, those of units whose keys are gone excepted.

        Raises
        ------
        InputError
            If the model is not there, or the store does not hold all that a change may need.
        """

    def models(self) -> list[Row]:
        """Every model: its properties, `layers` and `edges` (their number).

        Layers are rows in order of depth, with `directions`, the indices of the directions among their units.
        """

    def unit(self, key: str) -> Row | None:
        """A unit's properties, with `labels`, `maps`, `families` and `analogues`, or None."""

    def whole_units(self, keys: Sequence[str]) -> dict[str, Row]:
        """By key, units as `unit` gives them; those that are not there are left out."""

    def units(self, keys: Sequence[str]) -> list[Row]:
        """The properties of many units, with `labels`, in the order asked; those that are not there are left out."""

    def layer_units(self, model: str, layer: str) -> list[Row]:
        """The units of a layer by index, as `units` gives them; none where there is no such layer."""

    def edges(self, key: str, direction: Literal["in", "out"], top: int | None = None) -> list[Row]:
        """A unit's edges, strongest first, with `source`, `target` (keys) and every property."""

    def edges_of(
        self, keys: Sequence[str], direction: Literal["in", "out"], top: int | None = None
    ) -> dict[str, list[Row]]:
        """By key, the edges of units as `edges` gives them."""

    def labels(self, model: str) -> list[Row]:
        """The labels of a model's units, `unit` (key), `label` and `source`, in order of key."""

    def add_labels(self, labels: Sequence[tuple[str, str, str | None]]) -> None:
        """Add labels, each (unit's key, label, source), all or none; those that are there already stay single."""

    def delete_label(self, key: str, label: str) -> None:
        """Take a label from a unit, whoever gave it."""

    def write_responses(self, model: str, responses: Responses) -> None:
        """Write what a model's units do on probes, in the place of what is there: all of it or nothing.

        Raises
        ------
        InputError
            If the model is not there, or the tables do not fit its units.
        """

    def examples(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """The strongest probe positions of each of the units: rows with rank, picture, y, x, value, thumbnail."""

    def signatures(self, model: str) -> npt.NDArray[np.int8] | None:
        """The signatures [unit, picture, number] of a model's units in key order, or None if it was not probed."""

    def write_analogues(self, analogues: Analogues) -> None:
        """Write the analogues from one model to another, in the place of those that are there.

        Raises
        ------
        InputError
            If a model is not there, or a row names a unit that is not.
        """

    def analogues(self) -> list[Analogues]:
        """All analogues, a table for each pair of models that has any, in order of their names."""

    def find(self, query: Query, limits: Limits) -> Found:
        """Search."""

    def count(self, query: Query, limits: Limits) -> int:
        """How many circuits match, without limits on rows."""

    def explain(self, query: Query) -> Explanation:
        """The compiled query."""

    def session(self) -> AbstractContextManager[object]:
        """A time in which operations share what is open, so that several in a row cost no more than one."""

    def close(self) -> None:
        """Release the store."""
