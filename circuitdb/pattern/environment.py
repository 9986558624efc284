"""What a motif's text may name besides units: parameters, loop variables, maps; and constants made of them.

An `Environment` belongs to one writing-out of a motif. `constant` turns an argument into a value, `map_of` an
expression into a map; both raise `MotifError` at the place of the mistake.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError, Source, nearest_names
from circuitdb.pattern import maps
from circuitdb.pattern.texts import Text


@dataclass(frozen=True)
class BareWord:
    """A name given as an argument: a text, or a map where a map is wanted."""

    word: str


_NUMBER = "a number"

Value = float | str | bool | BareWord | maps.MapName


@dataclass(frozen=True)
class Environment:
    """Where names are looked up while a motif is written out.

    prefix: put before the motif's names (`m.` for `use … as m`); loops: the map that each loop variable stands for;
    text: where motifs are looked up; source: the text that spans point into; using: the motifs being written out.
    """

    text: Text
    source: Source
    prefix: str = ""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    loops: Mapping[str, maps.MapName] = field(default_factory=dict)
    using: tuple[str, ...] = ()

    def fail(
        self, code: str, message: str, node: s.Node, *hints: str, wrong: str = "", known: Iterable[str] = ()
    ) -> NoReturn:
        """Raise the diagnostic of a mistake at a node; `wrong` and `known` give the nearest right names."""
        near = nearest_names(wrong, known) if wrong else ()
        raise MotifError(Diagnostic(code, message, self.source, node.span, hints, near))

    def with_loop(self, name: str, element: maps.MapName) -> Environment:
        """The environment in which a loop variable stands for an element of its group."""
        return replace(self, loops={**self.loops, name: element})


def bind(motif: s.Motif, arguments: Iterable[s.Argument], caller: Environment, at: s.Node) -> dict[str, Value]:
    """The parameters' values for a motif's call; defaults are constants of their own."""
    known = [p.name for p in motif.parameters]
    given: dict[str, Value] = {}
    for argument in arguments:
        if argument.name not in known:
            unknown_parameter(argument.name, motif, caller, argument)
        if argument.name in given:
            caller.fail("argument-twice", f"{argument.name} is given twice", argument)
        given[argument.name] = constant(argument.value, caller)
    return given


def unknown_parameter(name: str, motif: s.Motif, caller: Environment, at: s.Node) -> NoReturn:
    """Say that a motif has no parameter of that name."""
    known = [p.name for p in motif.parameters]
    has = f"it has {', '.join(known)}" if known else "it has none"
    caller.fail("unknown-parameter", f"{motif.name.name} has no parameter {name}; {has}", at, wrong=name, known=known)


def check_kinds(motif: s.Motif, given: Mapping[str, Value], own: Environment) -> None:
    """Say which value from outside is of another kind than its parameter's default.

    Raises
    ------
    MotifError
        If one is.
    """
    for parameter in motif.parameters:
        if parameter.default is None or parameter.name not in given:
            continue
        value, kind = given[parameter.name], _kind(constant(parameter.default, own))
        if _kind(value) != kind:
            message = f"the parameter {parameter.name} takes {kind}, as its default is; {show_value(value)} is not"
            hints = ("numbers are written as in JSON: 0.5, 12 or 1e-3",) if kind == _NUMBER else ()
            raise MotifError(Diagnostic("parameter-kind", message, hints=hints))


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "true or false"
    return _NUMBER if isinstance(value, int | float) else "a text or a map"


def complete(
    motif: s.Motif, given: Mapping[str, Value], own: Environment, caller: Environment, at: s.Node
) -> dict[str, Value]:
    """The given values and the defaults of the parameters that were not given.

    Raises
    ------
    MotifError
        If a parameter has neither; told at the caller's place.
    """
    values: dict[str, Value] = {}
    for parameter in motif.parameters:
        if parameter.name in values:
            own.fail("parameter-twice", f"the parameter {parameter.name} stands twice", parameter)
        if parameter.name in given:
            values[parameter.name] = given[parameter.name]
        elif parameter.default is not None:
            values[parameter.name] = constant(parameter.default, own)
        else:
            caller.fail(
                "missing-argument",
                f"{motif.name.name} needs a value for {parameter.name}",
                at,
                f"write {motif.name.name}({parameter.name} = …)",
            )
    return values


def constant(expression: s.Expression, env: Environment) -> Value:
    """The value of an argument or a default: a number, text, truth value, bare word or map."""
    value = _constant_or_none(expression, env)
    if value is None:
        env.fail("no-constant", "a number, a text, a map or a parameter is wanted here", expression)
    return value


def _constant_or_none(expression: s.Expression, env: Environment) -> Value | None:
    match expression:
        case s.Number(value=value) | s.Text(value=value) | s.Boolean(value=value):
            return value
        case s.Name(name=name):
            return env.parameters.get(name, BareWord(name))
        case s.Call():
            return map_of(expression, env)
        case s.Unary(operator="-", operand=operand):
            return -_number(operand, env)
        case s.Binary(operator=operator, left=left, right=right) if operator in "+-*/":
            a, b = _number(left, env), _number(right, env)
            if operator == "/" and b == 0:
                env.fail("division-by-zero", "this constant divides by zero", expression)
            result = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[operator]()
            if not math.isfinite(result):
                env.fail("number-too-large", "this constant is too large for a number", expression)
            return result
    return None


def show_value(value: Value) -> str:
    """A constant as messages show it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float() | int():
            return maps.format_number(value)
        case BareWord(word=word) | str(word):
            return f"the text {word}"
        case maps.MapName():
            return f"the map {value.text}"


def _number(expression: s.Expression, env: Environment) -> float:
    value = constant(expression, env)
    if isinstance(value, bool) or not isinstance(value, int | float):
        env.fail("no-number", f"a number is wanted here, not {show_value(value)}", expression)
    return float(value)


def whole_number(expression: s.Expression, env: Environment, what: str) -> int:
    """A constant that counts something: a whole number, 0 or more."""
    value = _number(expression, env)
    if value < 0 or value != int(value) or value > 2**31:
        bounds = "from 0 to 2147483648"
        env.fail("no-whole-number", f"{what} is a whole number {bounds}, not {show_value(value)}", expression)
    return int(value)


def as_text(value: Value) -> str | None:
    """The text that a value may stand for, or None."""
    return value.word if isinstance(value, BareWord) else value if isinstance(value, str) else None


def named_value(expression: s.Expression, env: Environment, what: str) -> str:
    """A model's or layer's name: bare, quoted or a parameter."""
    value = constant(expression, env)
    text = as_text(value)
    if text is None:
        env.fail("no-name", f"the name of {what} is wanted here, not {show_value(value)}", expression)
    return text


def map_of(expression: s.Expression, env: Environment) -> maps.MapName:
    """The map that stands before the brackets of a map term."""
    found = map_or_none(expression, env)
    if found is None:
        shown = show(expression, env)
        bound = env.parameters.get(shown)
        env.fail(
            "no-map",
            f"{shown} is no map" if bound is None else f"{shown} is {show_value(bound)} here, which is no map",
            expression,
            "maps are flip, flip_vertical, rotate(DEG), negate, hue(DEG), analog, parameters bound to one",
            wrong=shown if bound is None else as_text(bound) or "",
            known=[*maps.MAP_NAMES, *(name for name in env.parameters if bound is None)],
        )
    return found


def map_or_none(expression: s.Expression, env: Environment) -> maps.MapName | None:
    """The map, or None where the expression is none; mistakes within a map are told."""
    match expression:
        case s.Name(name=name) if name in env.loops:
            return env.loops[name]
        case s.Name(name=name) if name in env.parameters:
            value = env.parameters[name]
            if isinstance(value, maps.MapName):
                return value
            text = as_text(value)
            return None if text is None else _from_text(text, expression, env)
        case s.Name(name=name):
            return _from_text(name, expression, env)
        case s.Call(function=s.Name(name=name), arguments=(argument,)) if (
            name in (*maps.TURNING, maps.ANALOG) and name not in env.parameters
        ):
            return _with_number(name, argument, env)
    return None


def _from_text(text: str, at: s.Node, env: Environment) -> maps.MapName | None:
    """The map of a text, `flip` or `rotate(90)`, or None."""
    if text in maps.TURNING:
        env.fail("map-needs-degrees", f"{text} needs degrees, as in {text}(90)(a)", at)
    if match := re.fullmatch(r"(rotate|hue|analog)\( *(-?[0-9]{1,9}(?:\.[0-9]{1,15})?) *\)", text):
        return _with_number(match[1], s.Number(at.span, float(match[2])), env)
    return maps.MapName(text) if text in (*maps.PLAIN, maps.ANALOG) else None


def _with_number(kind: str, number: s.Expression, env: Environment) -> maps.MapName:
    """`rotate` or `hue` by degrees, or so many analogues."""
    if kind != maps.ANALOG:
        return maps.turned(kind, _number(number, env))
    choices = whole_number(number, env, "the number of analogues")
    if not 1 <= choices <= 1000:
        env.fail("analog-choices", "analog(K) takes K from 1 to 1000", number)
    return maps.MapName(maps.ANALOG, choices=choices)


def show(expression: s.Expression, env: Environment) -> str:
    """The text of a unit or map term as results name it; loop variables as the maps they stand for."""
    match expression:
        case s.Name(name=name):
            return env.loops[name].text if name in env.loops else name
        case s.Attribute(of=of, name=name):
            return f"{show(of, env)}.{name}"
        case s.Call(function=function, arguments=arguments):
            return f"{show(function, env)}({', '.join(show(a, env) for a in arguments)})"
        case s.Number(value=value):
            return maps.format_number(value)
        case s.Text(value=value):
            return f'"{value}"'
        case s.Unary(operator="-", operand=operand):
            return f"-{show(operand, env)}"
    return "this"
