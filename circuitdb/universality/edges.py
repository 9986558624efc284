"""A model's edges as arrays: which of them a pattern's edge may be, and whether two units are joined by one.

In come a `ModelGraph` and the conditions of a Query, out come truth values over edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from circuitdb.backends.base import ModelGraph
from circuitdb.errors import InputError
from circuitdb.graph import EdgeKind
from circuitdb.pattern import model as p
from circuitdb.pattern.analogous import conditions_alone
from circuitdb.universality.signatures import Whole

Truths = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_NOT_ASKED = "`circuitdb universality` cannot ask of an edge in another model; `find … analogous in` can"
_COMPARISONS = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True)
class Edges:
    """The edges of a model: source, target [edge] (rows of its units), skip, inhibits [edge] (a skip's by its weight).

    `table` holds the properties that conditions may ask.
    """

    units: int
    source: Whole
    target: Whole
    skip: Truths
    inhibits: Truths
    table: pa.Table

    @staticmethod
    def of(graph: ModelGraph) -> Edges:
        """The edges of a whole model."""
        edges = graph.edges
        kind, weight = np.asarray(edges["kind"]).astype(str), _numbers(edges["weight"])
        return Edges(
            graph.units.num_rows,
            np.asarray(edges["source"]).astype(np.int64),
            np.asarray(edges["target"]).astype(np.int64),
            kind == EdgeKind.SKIP.value,
            np.where(kind == EdgeKind.SKIP.value, weight < 0, kind == EdgeKind.INHIBITS.value),
            edges,
        )

    def fitting(self, query: p.Query) -> list[Truths]:
        """For each edge of the query's circuit, which edges [edge] its copy in this model may be."""
        found = []
        for edge in circuit_edges(query):
            fits = self.skip if edge.skip else ~self.skip
            if edge.sign in ("excites", "inhibits"):
                fits = fits & (self.inhibits == (edge.sign == "inhibits"))
            if edge.sign == "never":
                fits = np.zeros_like(fits)
            for condition in conditions_alone(query.body, edge.name):
                fits = fits & _truth(condition, self)
            found.append(fits)
        return found


@dataclass(frozen=True)
class Lookup:
    """The edges by their ends: `codes` in order, `edge` the edge of each."""

    units: int
    codes: Whole
    edge: Whole

    @staticmethod
    def of(edges: Edges, source: Whole | None = None) -> Lookup:
        """The edges by their ends; `source`: [edge], sources other than their own."""
        codes = ((edges.source if source is None else source) * edges.units + edges.target) * 2 + edges.skip
        order = np.argsort(codes)
        return Lookup(edges.units, codes[order], order)

    def find(self, source: Whole, target: Whole, skip: bool) -> Whole:
        """The edge from each source to each target, -1 where there is none."""
        if not len(self.codes):
            return np.full(len(source), -1, dtype=np.int64)
        wanted = (source * self.units + target) * 2 + int(skip)
        place = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        return np.where(self.codes[place] == wanted, self.edge[place], -1)


def circuit_edges(query: p.Query) -> list[p.Edge]:
    """The edges of a query between units of the model searched, outside blocks."""
    own = {unit.name for unit in query.body.units if unit.model is None}
    return [edge for edge in query.body.edges if edge.source in own and edge.target in own]


def _numbers(column: pa.ChunkedArray) -> Doubles:
    """A column as doubles, NaN where it is missing."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _truth(condition: p.Expression, edges: Edges) -> Truths:
    """Whether a condition on one edge holds, for every edge; false where something is missing."""
    holds = np.full(len(edges.source), not isinstance(condition, p.Or | p.OneOf))
    match condition:
        case p.Constant(value=value):
            return holds if value else ~holds
        case p.And(operands=operands):
            for operand in operands:
                holds &= _truth(operand, edges)
        case p.Or(operands=operands):
            for operand in operands:
                holds |= _truth(operand, edges)
        case p.Not(operand=operand):
            holds = ~_truth(operand, edges)
        case p.IsMissing(value=value):
            holds = np.isnan(_value(value, edges))
        case p.OneOf(value=value, items=items):
            for item in items:
                holds |= _compared("=", value, item, edges)
        case p.Compare(operator=operator, left=left, right=right):
            holds = _compared(operator, left, right, edges)
        case _:
            raise InputError(f"{type(condition).__name__} is a condition that {_NOT_ASKED}")
    return holds


def _compared(operator: str, left: p.Expression, right: p.Expression, edges: Edges) -> Truths:
    one, other = _value(left, edges), _value(right, edges)
    holds: Truths = _COMPARISONS[operator](one, other) & ~np.isnan(one) & ~np.isnan(other)
    return holds


def _value(value: p.Expression, edges: Edges) -> Doubles:
    """A number for every edge, NaN where it is missing."""
    numbers: Doubles = np.full(len(edges.source), np.nan)
    match value:
        case p.Constant(value=float(number)):
            numbers[:] = number
        case p.EdgeProperty(name=name):
            numbers = _numbers(edges.table[name]) if name in edges.table.column_names else numbers
        case p.EdgeSign():
            numbers = np.where(edges.inhibits, -1.0, 1.0)
        case p.Negative(operand=operand):
            numbers = -_value(operand, edges)
        case p.Arithmetic(operator=operator, left=left, right=right):
            numbers = _arithmetic(operator, _value(left, edges), _value(right, edges))
        case p.Function(name="abs", arguments=(argument,)):
            numbers = np.abs(_value(argument, edges))
        case p.Function(name="sign", arguments=(argument,)):
            numbers = np.sign(_value(argument, edges))
        case p.Function(name="min" | "max" | "sum" as name, arguments=(first, *rest)):
            together = {"min": np.minimum, "max": np.maximum, "sum": np.add}[name]  # these carry NaN on
            numbers = _value(first, edges)
            for argument in rest:
                numbers = together(numbers, _value(argument, edges))
        case _:
            raise InputError(f"{type(value).__name__} is a value that {_NOT_ASKED}")
    return numbers


def _arithmetic(operator: str, left: Doubles, right: Doubles) -> Doubles:
    plain = {"+": np.add, "-": np.subtract, "*": np.multiply}
    if operator in plain:
        numbers: Doubles = plain[operator](left, right)
        return numbers
    ratio: Doubles = np.divide(left, right, out=np.full(len(left), np.nan), where=right != 0)
    return ratio
