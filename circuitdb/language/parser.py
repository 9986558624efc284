"""From text to the syntax tree.

`parse` takes a `Source` and returns its `Program`, or raises `MotifError` at the first place that does not fit the
grammar (`grammar.lark`). Nothing is looked up here: whether names exist and make sense is the resolver's to say.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError, Source
from circuitdb.language.mistakes import diagnose, reminders

LONGEST_TEXT = 1_000_000
DEEPEST_EXPRESSION = 60


def parse(source: Source) -> s.Program:
    """The syntax tree of a text.

    Raises
    ------
    MotifError
        Where the text does not fit the grammar, is longer than a million characters or nested too deeply.
    """
    if len(source.text) > LONGEST_TEXT:
        raise MotifError(
            Diagnostic(
                "text-too-long",
                f"{source.name} has {len(source.text):,} characters; a text may have {LONGEST_TEXT:,} at most",
            )
        )
    try:
        return cast(s.Program, _lark().parse(source.text, on_error=None))
    except UnexpectedInput as error:
        raise MotifError(diagnose(source, error)) from None
    except _MisplacedError as error:
        raise MotifError(Diagnostic(error.code, error.message, source, error.span, error.hints, error.near)) from None


class _MisplacedError(Exception):
    """The grammar takes it, the tree does not."""

    def __init__(self, code: str, message: str, span: s.Span, *hints: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.hints, self.near = code, message, span, hints, near


@cache
def _lark() -> Lark:
    grammar = files("circuitdb.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=_Builder())


def _span(*parts: Any) -> s.Span:
    """From the first part that is there to the last; tokens and nodes alike."""
    present = [part for part in parts if part is not None]
    first, last = present[0], present[-1]
    return s.Span(
        cast(int, first.start_pos) if type(first) is Token else first.span.start,
        cast(int, last.end_pos) if type(last) is Token else last.span.end,
    )


def _height(*parts: s.Expression) -> int:
    """The height of an expression made of parts, which bounds every recursion over expressions."""
    height = 1 + max([part.height for part in parts], default=0)
    if height > DEEPEST_EXPRESSION:
        hint = f"expressions have {DEEPEST_EXPRESSION} levels at most"
        raise _MisplacedError("too-deep", "this expression is nested too deeply", _span(*parts), hint)
    return height


def _identifier(token: Token) -> s.Identifier:
    return s.Identifier(_span(token), str(token))


class _Wrapped:
    """The parts of a rule that is no node of the tree, with their span."""

    def __init__(self, parts: list[Any], span: s.Span) -> None:
        self.parts, self.span = parts, span


class _Builder(Transformer[Token, Any]):
    """One method a grammar rule; the children come in the rule's order, None for an absent optional part."""

    # expressions

    def name(self, c: list[Any]) -> s.Expression:
        return s.Name(_span(c[0]), str(c[0]))

    def number(self, c: list[Any]) -> s.Expression:
        value = float(c[0])
        if value == float("inf"):
            raise _MisplacedError("number-too-large", f"{c[0]} is too large for a number", _span(c[0]))
        return s.Number(_span(c[0]), value)

    def text(self, c: list[Any]) -> s.Expression:
        return s.Text(_span(c[0]), _unquote(c[0]))

    def true(self, c: list[Any]) -> s.Expression:
        return s.Boolean(_span(c[0]), True)

    def false(self, c: list[Any]) -> s.Expression:
        return s.Boolean(_span(c[0]), False)

    def missing(self, c: list[Any]) -> s.Expression:
        return s.Missing(_span(c[0]))

    def grouped(self, c: list[Any]) -> s.Expression:
        return cast(s.Expression, c[0])

    def attribute(self, c: list[Any]) -> s.Expression:
        return s.Attribute(_span(*c), c[0], str(c[1]), height=_height(c[0]))

    def call(self, c: list[Any]) -> s.Expression:
        arguments = tuple(part for part in c[1:-1] if part is not None)
        return s.Call(_span(*c), c[0], arguments, height=_height(c[0], *arguments))

    def items(self, c: list[Any]) -> s.Expression:
        items = tuple(part for part in c[:-1] if part is not None)
        return s.ListOf(_span(*c), items, height=_height(*items))

    def negative(self, c: list[Any]) -> s.Expression:
        return s.Unary(_span(*c), "-", c[1], height=_height(c[1]))

    def negated(self, c: list[Any]) -> s.Expression:
        return s.Unary(_span(*c), "not", c[1], height=_height(c[1]))

    def _binary(self, c: list[Any]) -> s.Expression:
        return s.Binary(_span(*c), cast(Any, str(c[1])), c[0], c[2], height=_height(c[0], c[2]))

    arithmetic_sum = arithmetic_product = compared = _binary

    def contained(self, c: list[Any]) -> s.Expression:
        return s.Binary(_span(*c), "in", c[0], c[1], height=_height(*c))

    def conjunction(self, c: list[Any]) -> s.Expression:
        return s.Logical(_span(*c), "and", tuple(c), height=_height(*c))

    def disjunction(self, c: list[Any]) -> s.Expression:
        return s.Logical(_span(*c), "or", tuple(c), height=_height(*c))

    # statements

    def _list(self, c: list[Any]) -> Any:
        present = [part for part in c if part is not None]
        return _Wrapped(present, _span(*present) if present else s.Span(0, 0))

    layers = models = arguments = parameters = _list

    def block(self, c: list[Any]) -> s.Block:
        if len(c) == 2:
            raise _MisplacedError("empty-braces", "empty braces say nothing", _span(*c))
        return s.Block(_span(*c), tuple(c[1:-1]))

    def naming(self, c: list[Any]) -> s.Identifier:
        return _identifier(c[0])

    def where(self, c: list[Any]) -> s.Expression:
        return cast(s.Expression, c[1])

    def unit(self, c: list[Any]) -> s.Statement:
        names = tuple(_identifier(part) for part in c[1:-2])
        layers = tuple(c[-2].parts) if c[-2] is not None else ()
        return s.UnitDeclaration(_span(*c), names, layers, c[-1])

    def step(self, c: list[Any]) -> _Wrapped:
        return _Wrapped([part for part in c if not isinstance(part, Token)], _span(*c))

    def edges(self, c: list[Any]) -> s.EdgeStatement:
        steps = tuple(tuple(part.parts) for part in c[1:-2] if isinstance(part, _Wrapped))
        arrows = tuple(str(part) for part in c[1:-2] if isinstance(part, Token))
        return s.EdgeStatement(_span(*c), c[0] is not None, steps, cast(tuple[s.Arrow, ...], arrows), c[-2], c[-1])

    def relation(self, c: list[Any]) -> s.Statement:
        left, _, right, name, where = c
        if right is not None:
            return s.EqualStatement(_span(*c), left, right, name, where)
        if not isinstance(left, s.Call):
            near, hints = reminders(left.name) if isinstance(left, s.Name) else ((), ())
            if not near and not hints:
                hints = ("write an edge, as a -> b, a map, as b = flip(a), or a declaration, as unit a",)
            raise _MisplacedError("unit-alone", "a unit alone says nothing", left.span, *hints, near=near)
        return s.TermStatement(_span(*c), left, name, where)

    def one_unit(self, c: list[Any]) -> s.Block:
        return self.block([c[0], self.relation([c[1], None, None, None, None]), c[2]])

    def no(self, c: list[Any]) -> s.Statement:
        return s.NoStatement(_span(*c), c[1])

    def counted(self, c: list[Any]) -> s.Statement:
        return s.CountedStatement(_span(*c), _quantity(c[0]), c[1], _identifier(c[2]), c[3])

    def for_group(self, c: list[Any]) -> s.Statement:
        quantity = None if c[3] is None else _quantity(c[3])
        return s.ForStatement(_span(*c), _identifier(c[1]), c[2], quantity, c[4], c[5])

    def every_edge(self, c: list[Any]) -> s.Statement:
        return s.EveryEdgeStatement(_span(*c), c[1])

    def where_statement(self, c: list[Any]) -> s.Statement:
        return s.WhereStatement(_span(*c), c[1])

    def score(self, c: list[Any]) -> s.Statement:
        return s.ScoreStatement(_span(*c), c[1])

    def use(self, c: list[Any]) -> s.Statement:
        arguments = () if c[2] is None else tuple(c[2].parts)
        return s.UseStatement(_span(*c), _identifier(c[1]), arguments, c[3])

    # a text's own parts

    def argument(self, c: list[Any]) -> s.Argument:
        return s.Argument(_span(*c), str(c[0]), c[2])

    def parameter(self, c: list[Any]) -> s.Parameter:
        return s.Parameter(_span(*c), str(c[0]), c[2])

    def motif_call(self, c: list[Any]) -> s.MotifCall:
        return s.MotifCall(_span(*c), _identifier(c[0]), () if c[1] is None else tuple(c[1].parts))

    def motif(self, c: list[Any]) -> s.Motif:
        description, word, name, parameters, block = c
        return s.Motif(
            _span(word, block),
            _identifier(name),
            () if parameters is None else tuple(parameters.parts),
            block,
            "" if description is None else str(description)[3:-3].strip(),
        )

    def import_line(self, c: list[Any]) -> s.Import:
        return s.Import(_span(*c), _unquote(c[1]))

    def order(self, c: list[Any]) -> _Wrapped:
        return _Wrapped([c[0], c[1]], _span(*c))

    def limit(self, c: list[Any]) -> s.Expression:
        return self.number(c)

    def analogous(self, c: list[Any]) -> s.Analogous:
        _, choices, _, *models = c
        return s.Analogous(_span(*c), tuple(models), choices)

    def find(self, c: list[Any]) -> s.Find:
        _, every_labelling, target, models, analogous, where, order, limit = c
        return s.Find(
            _span(*c),
            every_labelling is not None,
            target,
            () if models is None else tuple(models.parts),
            where,
            None if order is None else order.parts[0],
            order is not None and order.parts[1] is not None and order.parts[1].type == "DESC",
            limit,
            analogous,
        )

    def start(self, c: list[Any]) -> s.Program:
        imports = tuple(part for part in c if isinstance(part, s.Import))
        motifs = tuple(part for part in c if isinstance(part, s.Motif))
        finds = [part for part in c if isinstance(part, s.Find)]
        if len(finds) > 1:
            raise _MisplacedError(
                "two-finds", "a text holds one find at most", s.Span(finds[1].span.start, finds[1].span.start + 4)
            )
        return s.Program(_span(*c) if c else s.Span(0, 0), imports, motifs, finds[0] if finds else None)


def _quantity(token: Token) -> s.Quantity:
    return cast(s.Quantity, " ".join(token.split()))


def _unquote(token: Token) -> str:
    text = cast(str, json.loads(str(token)))
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise _MisplacedError("lone-surrogate", "half of a surrogate pair is no character", _span(token))
    return text
