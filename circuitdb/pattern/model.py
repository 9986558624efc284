"""The Pattern: what a query asks, with every name resolved, and the contract between the language and the stores.

The resolver makes it from a syntax tree, `circuitdb.pattern.symmetry` and the stores read it. Everything in it is a
frozen dataclass of texts, numbers and tuples; `circuitdb.pattern.serial` writes it as JSON and as text and reads both
back. `docs/pattern.md` describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    """A number (always a float), a text, or a truth value."""

    value: float | str | bool


@dataclass(frozen=True)
class UnitValue:
    """A unit of the pattern, as a value."""

    unit: str


@dataclass(frozen=True)
class MapValue:
    """The unit to which the row of `map` leads from another unit; missing where there is no such row.

    `model` is the other model's name for `analog`, else None.
    """

    map: str
    model: str | None
    of: UnitValue | MapValue


@dataclass(frozen=True)
class UnitProperty:
    """A property of a unit. `label` is many-valued and stands in comparisons only."""

    of: UnitValue | MapValue
    name: str


@dataclass(frozen=True)
class EdgeProperty:
    """A property of an edge of the pattern."""

    edge: str
    name: str


@dataclass(frozen=True)
class RowProperty:
    """A property of a map's row."""

    row: str
    name: str


@dataclass(frozen=True)
class EdgeSign:
    """-1 for an inhibiting edge (or a skip of negative weight), else 1."""

    edge: str


@dataclass(frozen=True)
class Function:
    """`abs`, `sign` of one number; `min`, `max`, `sum` of many (missing if one is); `number`: how many.

    Aggregates over edges are written out, one argument an edge.
    """

    name: Literal["abs", "sign", "min", "max", "sum", "number"]
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class HowMany:
    """How many of the conditions hold."""

    conditions: tuple[Expression, ...]


@dataclass(frozen=True)
class ListLength:
    """How many units fulfil an outermost counted block, named by its unit."""

    unit: str


@dataclass(frozen=True)
class Agreement:
    """Cosine of the kernels of two edges, the first and the second each after its maps, the innermost map first."""

    left: str
    left_maps: tuple[str, ...]
    right: str
    right_maps: tuple[str, ...]


@dataclass(frozen=True)
class Arithmetic:
    """One step of arithmetic on doubles; division by zero is missing."""

    operator: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Negative:
    """The number with its sign turned."""

    operand: Expression


@dataclass(frozen=True)
class Compare:
    """A comparison of two values of one type; false where a side is missing."""

    operator: Literal["=", "!=", "<", "<=", ">", ">="]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Contains:
    """Whether the right text lies in the left one, case folded."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class OneOf:
    """Whether a value equals one of several."""

    value: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class IsMissing:
    """Whether a value is missing."""

    value: Expression


@dataclass(frozen=True)
class Truth:
    """A true-or-false value as a condition; false where it is missing."""

    value: Expression


@dataclass(frozen=True)
class And:
    """All hold."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """At least one holds."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """Does not hold; logic has two values."""

    operand: Expression


Condition = Compare | Contains | OneOf | IsMissing | Truth | And | Or | Not | Constant
Expression = (
    Constant
    | UnitValue
    | MapValue
    | UnitProperty
    | EdgeProperty
    | RowProperty
    | EdgeSign
    | Function
    | HowMany
    | ListLength
    | Agreement
    | Arithmetic
    | Negative
    | Compare
    | Contains
    | OneOf
    | IsMissing
    | Truth
    | And
    | Or
    | Not
)

# --- patterns --------------------------------------------------------------------------------------------------------

Quantity = Literal["at least", "exactly", "at most"]
Sign = Literal["any", "excites", "inhibits", "never"]


@dataclass(frozen=True)
class Unit:
    """A unit to be found.

    name: unique in the query; shown_as: the names and map terms under which results give it; layers: all of these
    choices must hold, each a choice of layer names; model: the model that `analog` puts it in, None for the model
    searched.
    """

    name: str
    shown_as: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class Edge:
    """An edge between two units. `never`: asked to excite and to inhibit at once."""

    name: str
    source: str
    target: str
    skip: bool
    sign: Sign


@dataclass(frozen=True)
class MapRow:
    """A row of a map that leads from one unit to another; for `analog`, to one of the best `choices` in `model`."""

    name: str
    map: str
    source: str
    target: str
    model: str | None = None
    choices: int = 1


@dataclass(frozen=True)
class Body:
    """A conjunction: an assignment of its units fulfils it if all edges, rows and conditions are there.

    `units` are the body's own, in naming order; edges, rows and conditions may also name units of the bodies around it.
    No assignment may fulfil a body in `absent`. All units of a body and of the bodies around it are different.
    `from_around`: how many of the conditions, the last ones, come from `every edge` lines of the outermost body.
    """

    units: tuple[Unit, ...] = ()
    edges: tuple[Edge, ...] = ()
    rows: tuple[MapRow, ...] = ()
    conditions: tuple[Expression, ...] = ()
    absent: tuple[Body, ...] = ()
    counted: tuple[Counted, ...] = ()
    choices: tuple[Choice, ...] = ()
    from_around: int = 0


@dataclass(frozen=True)
class Counted:
    """So many units of that name fulfil the body, of which the unit is one of the own units."""

    quantity: Quantity
    count: float
    unit: str
    body: Body


@dataclass(frozen=True)
class Choice:
    """So many of the bodies can be fulfilled (a `for` with a quantity)."""

    quantity: Quantity
    count: float
    bodies: tuple[Body, ...]


@dataclass(frozen=True)
class Query:
    """A pattern with what is to be done with its matches.

    models: names of the models searched, None for all. score: None gives the circuits no score. order: None means by
    score, strongest first. `every_labelling` gives symmetric circuits once per labelling.
    """

    motif: str
    body: Body
    score: Expression | None = None
    models: tuple[str, ...] | None = None
    every_labelling: bool = False
    order: Expression | Literal["key"] | None = None
    descending: bool = False
    limit: int | None = None

    @property
    def names(self) -> list[str]:
        """The names under which results give units and, for counted blocks, lists of units."""
        units = [text for unit in self.body.units for text in unit.shown_as]
        return units + [counted.unit for counted in self.body.counted]


def subexpressions(expression: Expression) -> Iterator[Expression]:
    """The expression and all expressions in it."""
    stack: list[object] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif is_dataclass(node):
            yield node  # type: ignore[misc]
            stack.extend(getattr(node, f.name) for f in fields(node))


def bodies(body: Body) -> Iterator[Body]:
    """The body and all bodies in it."""
    yield body
    for inner in (*body.absent, *(c.body for c in body.counted), *(b for c in body.choices for b in c.bodies)):
        yield from bodies(inner)
