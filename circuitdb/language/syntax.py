"""The syntax tree: what a text says, before any name is looked up.

`circuitdb.language.parser` makes it from text. Every node carries the span of text that it came from, so that later
stages can point at the place of a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Span:
    """Part of a text: from character `start` up to, not including, `end`."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.start, other.end)


@dataclass(frozen=True)
class Node:
    """A node of the tree."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Expression(Node):
    """An expression, or a unit in a statement (a name, a dotted name or a map term).

    `height`: levels of expressions from here down, 1 for a leaf.
    """

    height: int = field(default=1, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Number(Expression):
    """A number, double-precision."""

    value: float


@dataclass(frozen=True)
class Text(Expression):
    """A quoted text."""

    value: str


@dataclass(frozen=True)
class Boolean(Expression):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True)
class Missing(Expression):
    """The word `missing`."""


@dataclass(frozen=True)
class Name(Expression):
    """A bare name."""

    name: str


@dataclass(frozen=True)
class Attribute(Expression):
    """`of.name`: a property, or a unit of a used motif."""

    of: Expression
    name: str


@dataclass(frozen=True)
class Call(Expression):
    """`function(arguments)`: a function, an aggregate, or a map applied to a unit; `rotate(90)(a)` is two calls."""

    function: Expression
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class ListOf(Expression):
    """`[a, b]`, after `in`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Unary(Expression):
    """`not x` or `-x`."""

    operator: Literal["not", "-"]
    operand: Expression


@dataclass(frozen=True)
class Binary(Expression):
    """A comparison or one step of arithmetic."""

    operator: Literal["=", "!=", "<", "<=", ">", ">=", "~", "in", "+", "-", "*", "/"]
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Logical(Expression):
    """`a and b and …` or `a or b or …`."""

    operator: Literal["and", "or"]
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Identifier(Node):
    """A name where only a name may stand."""

    name: str


@dataclass(frozen=True)
class Statement(Node):
    """A statement of a motif."""


@dataclass(frozen=True)
class Block(Node):
    """Statements in braces."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class UnitDeclaration(Statement):
    """`unit x, y in LAYER, LAYER where EXPR`."""

    names: tuple[Identifier, ...]
    layers: tuple[Expression, ...]
    where: Expression | None


Arrow = Literal["->", "+>", "-|"]


@dataclass(frozen=True)
class EdgeStatement(Statement):
    """`[skip] {a, b} -> c +> d as NAME where EXPR`: `steps` has one more element than `arrows`, each a set of units."""

    skip: bool
    steps: tuple[tuple[Expression, ...], ...]
    arrows: tuple[Arrow, ...]
    name: Identifier | None
    where: Expression | None


@dataclass(frozen=True)
class TermStatement(Statement):
    """`T(a) as NAME where EXPR`: the unit exists; the name is the map's row's."""

    term: Expression
    name: Identifier | None
    where: Expression | None


@dataclass(frozen=True)
class EqualStatement(Statement):
    """`left = right as NAME where EXPR`: two names or terms are one unit."""

    left: Expression
    right: Expression
    name: Identifier | None
    where: Expression | None


@dataclass(frozen=True)
class NoStatement(Statement):
    """`no EDGES` or `no { … }`."""

    body: EdgeStatement | Block


Quantity = Literal["at least", "exactly", "at most"]


@dataclass(frozen=True)
class CountedStatement(Statement):
    """`at least COUNT x { … }`."""

    quantity: Quantity
    count: Expression
    name: Identifier
    block: Block


@dataclass(frozen=True)
class ForStatement(Statement):
    """`for g in GROUP [at least COUNT] { … }`."""

    name: Identifier
    group: Expression
    quantity: Quantity | None
    count: Expression | None
    block: Block


@dataclass(frozen=True)
class EveryEdgeStatement(Statement):
    """`every edge where EXPR`."""

    where: Expression


@dataclass(frozen=True)
class WhereStatement(Statement):
    """`where EXPR` standing alone."""

    where: Expression


@dataclass(frozen=True)
class ScoreStatement(Statement):
    """`score EXPR`."""

    value: Expression


@dataclass(frozen=True)
class Argument(Node):
    """`name = value` in a motif's call."""

    name: str
    value: Expression


@dataclass(frozen=True)
class UseStatement(Statement):
    """`use MOTIF(ARGUMENTS) as NAME`."""

    motif: Identifier
    arguments: tuple[Argument, ...]
    name: Identifier


@dataclass(frozen=True)
class Parameter(Node):
    """`name` or `name = default` in a motif's head."""

    name: str
    default: Expression | None


@dataclass(frozen=True)
class Motif(Node):
    """`motif NAME(PARAMETERS) { … }` with the text in triple quotes before it."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    block: Block
    description: str


@dataclass(frozen=True)
class Import(Node):
    """`import "FILE.motif"`."""

    path: str


@dataclass(frozen=True)
class MotifCall(Node):
    """What `find` looks for, by name."""

    motif: Identifier
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Analogous(Node):
    """`analogous in MODELS` or `analogous(CHOICES) in MODELS`."""

    models: tuple[Expression, ...]
    choices: Expression | None


@dataclass(frozen=True)
class Find(Node):
    """`find [all] TARGET [in MODELS] [analogous in MODELS] [where EXPR] [order by EXPR [asc|desc]] [limit N]`."""

    every_labelling: bool
    target: MotifCall | Block
    models: tuple[Expression, ...]
    where: Expression | None
    order: Expression | None
    descending: bool
    limit: Number | None
    analogous: Analogous | None = None


@dataclass(frozen=True)
class Program(Node):
    """A whole text."""

    imports: tuple[Import, ...]
    motifs: tuple[Motif, ...]
    find: Find | None
