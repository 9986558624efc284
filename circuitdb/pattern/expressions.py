"""From expressions of the syntax tree to expressions of the Pattern: names looked up, types checked.

An `Expressions` belongs to one body as written out in one environment. `condition` and `value` resolve an expression
for an owner, the record whose properties may stand bare; mistakes are told at their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn, cast

from circuitdb.graph import Record, properties, property_of
from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import nearest_names
from circuitdb.pattern import model as p
from circuitdb.pattern.environment import BareWord, Environment, map_of, map_or_none, named_value, show
from circuitdb.pattern.maps import ANALOG, MapName
from circuitdb.pattern.scopes import Scope, UnitNode

Type = Literal["number", "text", "labels", "truth", "unit", "missing"]
Typed = tuple[p.Expression, Type]

_SHOWN: dict[Type, str] = {
    "number": "a number",
    "text": "a text",
    "labels": "a text",
    "truth": "true or false",
    "unit": "a unit",
    "missing": "missing",
}
_COMPARED: dict[Type, str] = {
    "number": "compare it, as in share > 0.1",
    "text": 'compare it, as in layer = "mixed4b"',
    "labels": 'compare it, as in label ~ "car"',
    "unit": "compare it, as in flip(a) = b, or compare one of its properties",
    "missing": "compare something with it, as in bias = missing",
}
_OF_REGISTRY: dict[str, Type] = {"integer": "number", "real": "number", "text": "text", "boolean": "truth"}
_NUMERIC = ("abs", "sign", "min", "max", "sum", "count")
FUNCTIONS = (*_NUMERIC, "agreement")
MOST_EXPRESSIONS = 50_000


@dataclass(frozen=True)
class Owner:
    """What a bare property belongs to: a unit, an edge, or a row of a map, by its name in the pattern."""

    record: Record
    name: str


@dataclass
class Named:
    """What expressions of one body may name: its edges and rows by their names, and what lies around them."""

    scope: Scope
    unit_name: Callable[[UnitNode], str]
    edges: dict[str, str] = field(default_factory=dict)
    rows: dict[str, tuple[str, Record]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    parent: Named | None = None

    def edge(self, name: str) -> str | None:
        """The pattern's name of an edge called `name` here or around."""
        return self.edges.get(name) or (self.parent.edge(name) if self.parent else None)

    def row(self, name: str) -> tuple[str, Record] | None:
        """The pattern's name of a row called `name` here or around, and its record."""
        return self.rows.get(name) or (self.parent.row(name) if self.parent else None)

    def all_names(self) -> list[str]:
        """Everything that can be named, for suggestions."""
        own = [*self.edges, *self.rows, *self.lists, *(n for n in self.scope.names)]
        return own + (self.parent.all_names() if self.parent else [])


@dataclass
class Budget:
    """How many expressions a query may still hold when `every edge` and aggregates are written out for each edge."""

    left: int = MOST_EXPRESSIONS


@dataclass
class Expressions:
    """Resolves expressions in one body and environment; `circuit_edges` are the edges that aggregates run over."""

    named: Named
    env: Environment
    circuit_edges: Sequence[str]
    budget: Budget
    _bare: bool = False

    def condition(self, expression: s.Expression, owner: Owner | None) -> p.Expression:
        """An expression that must be true or false."""
        resolved, kind = self._resolve(expression, owner)
        if kind != "truth":
            self.env.fail("no-condition", f"a condition is wanted, this is {_SHOWN[kind]}", expression, _COMPARED[kind])
        return _as_condition(resolved)

    def value(self, expression: s.Expression, owner: Owner | None) -> p.Expression:
        """An expression to rank or order by: a number, a text, or true or false."""
        resolved, kind = self._resolve(expression, owner)
        if kind == "labels":
            self.env.fail("no-value", "a unit may have several labels, so they give no order", expression)
        if kind in ("unit", "missing"):
            message = f"a number, a text or a condition gives an order, {_SHOWN[kind]} does not"
            self.env.fail("no-value", message, expression, "`order by key` orders by the keys of the units")
        return resolved

    def number(self, expression: s.Expression, owner: Owner | None) -> p.Expression:
        """An expression that must be a number."""
        resolved, kind = self._resolve(expression, owner)
        if kind != "number":
            self.env.fail("no-number", f"a number is wanted, this is {_SHOWN[kind]}", expression)
        return resolved

    def _resolve(self, expression: s.Expression, owner: Owner | None) -> Typed:
        self.budget.left -= 1
        if self.budget.left < 0:
            message = f"written out for every edge, the conditions have more than {MOST_EXPRESSIONS:,} parts"
            self.env.fail("too-long", message, expression)
        match expression:
            case s.Number(value=number):
                return p.Constant(number), "number"
            case s.Text(value=text):
                return p.Constant(text), "text"
            case s.Boolean(value=truth):
                return p.Constant(truth), "truth"
            case s.Missing():
                return p.Constant(False), "missing"
            case s.Name():
                return self._name(expression, owner)
            case s.Attribute():
                return self._attribute(expression)
            case s.Call():
                return self._call(expression, owner)
            case s.Unary(operator="not", operand=operand):
                return p.Not(self.condition(operand, owner)), "truth"
            case s.Unary(operand=operand):
                return p.Negative(self.number(operand, owner)), "number"
            case s.Logical(operator=operator, operands=operands):
                parts = tuple(self.condition(part, owner) for part in operands)
                return (p.And(parts) if operator == "and" else p.Or(parts)), "truth"
            case s.Binary(operator="+" | "-" | "*" | "/" as operator, left=left, right=right):
                return p.Arithmetic(operator, self.number(left, owner), self.number(right, owner)), "number"
            case s.Binary(operator="in"):
                return self._one_of(expression, owner)
            case s.Binary(operator="~"):
                return self._contains(expression, owner)
            case s.Binary():
                return self._compare(expression, owner)
        raise AssertionError(type(expression).__name__)  # a list stands behind `in` only

    # names

    def _name(self, expression: s.Name, owner: Owner | None) -> Typed:
        name = expression.name
        found = None if owner is None else property_of(owner.record, name)
        in_parameters = name in self.env.parameters
        if found is not None and found.in_language:
            if in_parameters:
                self.env.fail(
                    "clash",
                    f"{name} is a property of the {_record(owner)} and a parameter of the motif",
                    expression,
                    "give the parameter another name",
                )
            return self._property(cast(Owner, owner), name)
        if in_parameters:
            return self._parameter(expression)
        node = self.named.scope.find_name(self.env.prefix + name)
        if node is None:
            self._no_such_name(expression, owner)
        return p.UnitValue(self.named.unit_name(node)), "unit"

    def _parameter(self, expression: s.Name) -> Typed:
        value = self.env.parameters[expression.name]
        if isinstance(value, MapName):
            self.env.fail("map-as-value", f"{expression.name} is a map: apply it, as {expression.name}(a)", expression)
        if isinstance(value, BareWord):
            return p.Constant(value.word), "text"
        kind: Type = "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        return p.Constant(value), kind

    def _no_such_name(self, expression: s.Name, owner: Owner | None) -> NoReturn:
        name = expression.name
        if self.named.edge(self.env.prefix + name) is not None:
            self.env.fail("edge-as-value", f"{name} is an edge: write {name}.share, {name}.weight …", expression)
        if self.named.row(self.env.prefix + name) is not None:
            self.env.fail("row-as-value", f"{name} is the row of a map: write {name}.score …", expression)
        if name in self.named.lists:
            self.env.fail("list-as-value", f"{name} stands for several units: write count({name})", expression)
        for record, example in ((Record.EDGE, "e.{0}, or min({0}) over all edges"), (Record.UNIT, "a.{0}")):
            known = property_of(record, name)
            if known is not None and known.in_language:
                kind = {"edge": "an edge", "unit": "a unit"}[record.value]
                self.env.fail(
                    "bare-property",
                    f"{name} is a property of {kind}: say whose",
                    expression,
                    f"write {example.format(name)}",
                )
        known_names = [*(self._property_names(owner) if owner else ()), *self.env.parameters, *self.named.all_names()]
        what = f"the {_record(owner)} has no property {name}" if owner else f"nothing is called {name} here"
        hints: tuple[str, ...] = ()
        if owner is not None and property_of(owner.record, name) is not None:
            hints = (f"the graph holds {name}, but motifs cannot name it",)
        elif not nearest_names(name, known_names):
            hints = (f'if a text is meant, write "{name}"',)
        self.env.fail("unknown-name", what, expression, *hints, wrong=name, known=known_names)

    def _property_names(self, owner: Owner) -> list[str]:
        return [prop.name for prop in properties(owner.record) if prop.in_language]

    def _property(self, owner: Owner, name: str) -> Typed:
        prop = property_of(owner.record, name)
        assert prop is not None
        kind = _OF_REGISTRY[prop.type]
        if owner.record is Record.UNIT:
            return p.UnitProperty(p.UnitValue(owner.name), name), "labels" if name == "label" else kind
        if owner.record is Record.EDGE:
            self._bare = True
            return p.EdgeProperty(owner.name, name), kind
        return p.RowProperty(owner.name, name), kind

    def _attribute(self, expression: s.Attribute) -> Typed:
        dotted = _dotted(expression)
        if dotted is not None:
            node = self.named.scope.find_name(self.env.prefix + dotted)
            if node is not None:
                return p.UnitValue(self.named.unit_name(node)), "unit"
            of = _dotted(expression.of)
            assert of is not None
            full = self.env.prefix + of
            owner_node = self.named.scope.find_name(full)
            edge, row = self.named.edge(full), self.named.row(full)
            if owner_node is not None:
                return self._property_of(Owner(Record.UNIT, self.named.unit_name(owner_node)), expression)
            if edge is not None:
                return self._property_of(Owner(Record.EDGE, edge), expression)
            if row is not None:
                return self._property_of(Owner(row[1], row[0]), expression)
            if of in self.named.lists:
                self.env.fail("list-as-value", f"{of} stands for several units: write count({of})", expression)
            self.env.fail(
                "unknown-name", f"nothing is called {of} here", expression.of, wrong=of, known=self.named.all_names()
            )
        unit = self._unit(expression.of)
        prop = property_of(Record.UNIT, expression.name)
        if prop is None or not prop.in_language:
            self._no_property(Owner(Record.UNIT, ""), expression)
        kind = _OF_REGISTRY[prop.type]
        return p.UnitProperty(unit, expression.name), "labels" if expression.name == "label" else kind

    def _property_of(self, owner: Owner, expression: s.Attribute) -> Typed:
        prop = property_of(owner.record, expression.name)
        if prop is None or not prop.in_language:
            self._no_property(owner, expression)
        bare = self._bare
        typed = self._property(owner, expression.name)
        self._bare = bare
        return typed

    def _no_property(self, owner: Owner, expression: s.Attribute) -> NoReturn:
        self.env.fail(
            "unknown-property",
            f"{_a_record(owner)} has no property {expression.name}",
            expression,
            wrong=expression.name,
            known=self._property_names(owner),
        )

    def _unit(self, expression: s.Expression) -> p.UnitValue | p.MapValue:
        """A unit as a value: a name, a dotted name, or a map of a unit."""
        if isinstance(expression, s.Call):
            return self._map_value(expression)
        dotted = _dotted(expression)
        node = None if dotted is None else self.named.scope.find_name(self.env.prefix + dotted)
        if node is None:
            shown = show(expression, self.env)
            self.env.fail(
                "unknown-unit",
                f"{shown} is no unit of the motif",
                expression,
                wrong=shown,
                known=[name for scope in self.named.scope.outward() for name in scope.names],
            )
        return p.UnitValue(self.named.unit_name(node))

    def _map_value(self, expression: s.Call) -> p.UnitValue | p.MapValue:
        name, model = map_application(expression, self.env)
        if name.choices > 1:
            self.env.fail(
                "analog-choice-as-value", "analog(K) stands for several units: only analog(a, m) is a value", expression
            )
        of = self._unit(expression.arguments[0])
        return of if name.is_identity else p.MapValue(name.text, model, of)

    # calls

    def _call(self, expression: s.Call, owner: Owner | None) -> Typed:
        function = expression.function
        if isinstance(function, s.Name) and function.name in FUNCTIONS and function.name not in self.env.parameters:
            return self._function(function.name, expression, owner)
        if isinstance(function, s.Name) and map_or_none(function, self.env) is None:
            self.env.fail(
                "unknown-function",
                f"{function.name} is no function and no map",
                function,
                "functions are " + ", ".join(FUNCTIONS),
                wrong=function.name,
                known=[*FUNCTIONS, "flip", "flip_vertical", "rotate", "negate", "hue", "analog"],
            )
        return self._map_value(expression), "unit"

    def _function(self, name: str, expression: s.Call, owner: Owner | None) -> Typed:
        arguments = expression.arguments
        if name == "agreement":
            if len(arguments) != 2:
                self.env.fail("arguments", "agreement takes two edges, as agreement(T(e), f)", expression)
            (left, left_maps), (right, right_maps) = (self._kernel(argument) for argument in arguments)
            return p.Agreement(left, left_maps, right, right_maps), "number"
        if name in ("abs", "sign") and len(arguments) != 1:
            self.env.fail("arguments", f"{name} takes one argument", expression)
        if name == "sign":
            dotted = _dotted(arguments[0])
            edge = None if dotted is None else self.named.edge(self.env.prefix + dotted)
            if edge is not None:
                return p.EdgeSign(edge), "number"
        if name in ("abs", "sign"):
            return p.Function(cast(Literal["abs", "sign"], name), (self.number(arguments[0], owner),)), "number"
        if not arguments:
            self.env.fail("arguments", f"{name} needs an argument, as {name}(share)", expression)
        if len(arguments) > 1:
            if name not in ("min", "max"):
                self.env.fail("arguments", f"{name} takes one argument, as {name}(share)", expression)
            numbers = tuple(self.number(argument, owner) for argument in arguments)
            return p.Function(cast(Literal["min", "max"], name), numbers), "number"
        return self._aggregate(name, arguments[0], expression, owner), "number"

    def _aggregate(self, name: str, argument: s.Expression, expression: s.Call, owner: Owner | None) -> p.Expression:
        if name == "count" and isinstance(argument, s.Name | s.Attribute):
            dotted = _dotted(argument)
            counted = None if dotted is None else self.named.lists.get(self.env.prefix + dotted)
            if counted is not None:
                if owner is not None:
                    shown = show(expression, self.env)
                    message = f"{shown} stands in a `where` of its own, in `score` and in `order by`"
                    self.env.fail("count-place", message, expression)
                return p.ListLength(counted)
        outer, self._bare = self._bare, False
        edges = self.circuit_edges or ("",)
        typed = [self._resolve(argument, Owner(Record.EDGE, edge)) for edge in edges]
        bare, self._bare = self._bare, outer
        kind = typed[0][1]
        if not bare:
            self.env.fail(
                "no-bare-property",
                f"{name} runs over the edges of the circuit: name a property of edges, as {name}(share)",
                expression,
            )
        values = tuple(value for value, _ in typed) if self.circuit_edges else ()
        if kind == "truth" and name == "count":
            return p.HowMany(tuple(_as_condition(value) for value in values))
        if kind != "number":
            self.env.fail("no-number", f"{name} wants a number of each edge, this is {_SHOWN[kind]}", argument)
        return p.Function(cast(Literal["min", "max", "sum", "number"], "number" if name == "count" else name), values)

    def _kernel(self, expression: s.Expression) -> tuple[str, tuple[str, ...]]:
        """An edge's pattern name and the maps on its kernel, the innermost first."""
        if isinstance(expression, s.Call) and len(expression.arguments) == 1:
            name = map_of(expression.function, self.env)
            edge, inner = self._kernel(expression.arguments[0])
            acts = name.kind in ("flip", "flip_vertical", "rotate") and not name.is_identity
            return edge, (*inner, name.text) if acts else inner
        dotted = _dotted(expression)
        edge_name = None if dotted is None else self.named.edge(self.env.prefix + dotted)
        if edge_name is None:
            shown = show(expression, self.env)
            self.env.fail(
                "unknown-edge",
                f"{shown} is no edge: name one with `as`, as in a -> b as e",
                expression,
                wrong=shown,
                known=list(self.named.edges),
            )
        return edge_name, ()

    # comparisons

    def _one_of(self, expression: s.Binary, owner: Owner | None) -> Typed:
        value, kind = self._resolve(expression.left, owner)
        if kind == "missing":
            self.env.fail("missing-compared", "missing goes with = and != only", expression.left)
        items: list[p.Expression] = []
        for item in cast(s.ListOf, expression.right).items:
            resolved, item_kind = self._resolve(item, owner)
            if item_kind == "missing":
                self.env.fail("missing-compared", "missing goes with = and != only", item)
            self._same_type(kind, item_kind, item)
            items.append(resolved)
        return p.OneOf(value, tuple(items)), "truth"

    def _contains(self, expression: s.Binary, owner: Owner | None) -> Typed:
        sides = []
        for side in (expression.left, expression.right):
            resolved, kind = self._resolve(side, owner)
            if kind not in ("text", "labels"):
                self.env.fail("no-text", f"~ compares texts, this is {_SHOWN[kind]}", side)
            sides.append(resolved)
        return p.Contains(*sides), "truth"

    def _compare(self, expression: s.Binary, owner: Owner | None) -> Typed:
        left, left_kind = self._resolve(expression.left, owner)
        right, right_kind = self._resolve(expression.right, owner)
        operator = cast(Literal["=", "!=", "<", "<=", ">", ">="], expression.operator)
        if "missing" in (left_kind, right_kind):
            if operator not in ("=", "!="):
                self.env.fail("missing-compared", "missing goes with = and != only", expression)
            value, kind = (left, left_kind) if right_kind == "missing" else (right, right_kind)
            asked: p.Expression = p.Constant(True) if kind == "missing" else p.IsMissing(value)
            return (asked if operator == "=" else p.Not(asked)), "truth"
        self._same_type(left_kind, right_kind, expression.right)
        if left_kind in ("unit", "truth") and operator not in ("=", "!="):
            self.env.fail("no-order", f"{_SHOWN[left_kind]} has no order: use = or !=", expression)
        return p.Compare(operator, left, right), "truth"

    def _same_type(self, left: Type, right: Type, at: s.Expression) -> None:
        if left.replace("labels", "text") != right.replace("labels", "text"):
            hints: tuple[str, ...] = ()
            if right == "unit":
                hints = ("texts stand in quotes",)
            elif left == "unit" and right == "text":
                hints = ("a unit's key is a text, as in a.key",)
            self.env.fail("types", f"{_SHOWN[left]} cannot be compared with {_SHOWN[right]}", at, *hints)


def map_application(expression: s.Call, env: Environment) -> tuple[MapName, str | None]:
    """The map of a term and the model that `analog` names."""
    name = map_of(expression.function, env)
    arguments = expression.arguments
    if name.kind == ANALOG:
        if len(arguments) != 2:
            env.fail("analog-arguments", "analog needs a unit and a model, as analog(a, vgg16)", expression)
        return name, named_value(arguments[1], env, "a model")
    if len(arguments) != 1:
        env.fail("map-arguments", f"{show(expression.function, env)} takes one unit", expression)
    return name, None


def _as_condition(expression: p.Expression) -> p.Expression:
    truth_values = p.Constant | p.UnitProperty | p.EdgeProperty | p.RowProperty
    if isinstance(expression, truth_values) and not isinstance(expression, p.Constant):
        return p.Truth(expression)
    return expression


def _dotted(expression: s.Expression) -> str | None:
    if isinstance(expression, s.Name):
        return expression.name
    if isinstance(expression, s.Attribute):
        of = _dotted(expression.of)
        return None if of is None else f"{of}.{expression.name}"
    return None


def _record(owner: Owner | None) -> str:
    assert owner is not None
    return {Record.UNIT: "unit", Record.EDGE: "edge"}.get(owner.record, "map's row")


def _a_record(owner: Owner) -> str:
    return f"{'an' if owner.record is Record.EDGE else 'a'} {_record(owner)}"
