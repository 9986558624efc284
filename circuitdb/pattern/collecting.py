"""The first half of resolving a body: what it names, before any condition is looked at.

A `Collector` writes out `use` and `for`, enters names and terms, draws equalities, and gathers edges and rows. What it
returns is a `Parts`, from which `circuitdb.pattern.resolver` makes the body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, cast

from circuitdb.graph import Record
from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError, Source, some
from circuitdb.pattern import model as p
from circuitdb.pattern.environment import Environment, bind, complete, map_of, named_value, show
from circuitdb.pattern.expressions import Named, Owner, map_application
from circuitdb.pattern.maps import ANALOG, MapName, group_of
from circuitdb.pattern.scopes import Scope, UnitNode
from circuitdb.pattern.texts import KnownMotif

Catalog = Mapping[str, Sequence[str]]
"""The names of the layers of every model."""

DEEPEST = 20
MOST_STATEMENTS = 2000
MOST_UNITS = 300


def check_model(name: str, at: s.Node, env: Environment, catalog: Catalog | None) -> None:
    """Say that there is no such model, if there is none."""
    if catalog is not None and name not in catalog:
        there = f"models are {some(sorted(catalog))}" if catalog else "the database holds no model"
        env.fail("unknown-model", f"there is no model {name}", at, there, wrong=name, known=catalog)


@dataclass(eq=False)
class Region:
    """A pair of braces: the `every edge` lines in it cover its edges and those of the regions inside."""

    parent: Region | None
    every: list[tuple[s.EveryEdgeStatement, Environment, Named]] = field(default_factory=list)
    closed: bool = False
    """Whether lines from around do not reach in (the braces of a `no`)."""


@dataclass(frozen=True)
class Item:
    """A statement with the environment it is written out in."""

    statement: s.Statement
    env: Environment
    region: Region
    in_loop: bool


@dataclass(eq=False)
class EdgeEntry:
    """An edge between two units, and each place that states it."""

    source: UnitNode
    target: UnitNode
    skip: bool
    name: str = ""
    labels: list[str] = field(default_factory=list)
    arrows: list[s.Arrow] = field(default_factory=list)
    stated: list[tuple[s.Expression | None, Environment, Region]] = field(default_factory=list)

    @property
    def sign(self) -> p.Sign:
        """What the arrows that state it ask together."""
        asked = {arrow for arrow in self.arrows if arrow != "->"}
        if len(asked) > 1:
            return "never"
        return {"+>": "excites", "-|": "inhibits"}.get(next(iter(asked), ""), "any")  # type: ignore[return-value]


@dataclass
class Parts:
    """A body in the making."""

    scope: Scope
    named: Named
    items: list[Item] = field(default_factory=list)
    blocks: list[Item] = field(default_factory=list)
    edges: dict[tuple[int, int, bool], EdgeEntry] = field(default_factory=dict)
    rows: list[p.MapRow] = field(default_factory=list)
    row_wheres: list[tuple[s.Expression, Environment, Owner]] = field(default_factory=list)
    conditions: list[p.Expression] = field(default_factory=list)


class Collector:
    """Collects bodies; holds what is unique in a whole query: the pattern's names for units, edges and rows.

    `places` gives, by the pattern's name of a unit, the text and the span where it is named first.
    """

    def __init__(self, catalog: Catalog | None, searched: tuple[str, ...] | None) -> None:
        self._catalog = catalog
        self._searched = searched
        self._unit_names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._kept_alive: list[UnitNode] = []
        self._statements = 0
        self._analog_models: list[str] = []
        self._sources: dict[int, Source] = {}
        self.places: dict[str, tuple[Source, s.Span]] = {}

    # writing out

    def collect(
        self, block: s.Block | s.EdgeStatement, env: Environment, region: Region, around: Parts | None
    ) -> Parts:
        """The names, equalities, edges and rows of a body."""
        scope = Scope(around.scope if around else None)
        named = Named(scope, self.unit_name, parent=around.named if around else None)
        parts = Parts(scope, named)
        statements = (block,) if isinstance(block, s.EdgeStatement) else block.statements
        self._write_out(parts, statements, env, region, around is None, False)
        if around is None:
            self._reserve_lists(parts)
        for item in parts.items:
            self._enter(parts, item)
        for node in scope.nodes:
            if not node.unit.met_outside_loops and node.text in scope.names:
                self.met_in_loop_only(node.text, node, env)
        scope.close()
        self._name_units(parts)
        self._state_rows(parts)
        for item in parts.items:
            if isinstance(item.statement, s.EdgeStatement):
                self._state_edges(parts, item)
        self._name_edges(parts)
        return parts

    def _write_out(
        self,
        parts: Parts,
        statements: Sequence[s.Statement],
        env: Environment,
        region: Region,
        outermost: bool,
        in_loop: bool,
    ) -> None:
        for statement in statements:
            self._statements += 1
            if isinstance(statement, s.EdgeStatement):
                self._statements += sum(map(len, statement.steps))
            if self._statements > MOST_STATEMENTS:
                message = f"written out, the motif has more than {MOST_STATEMENTS} statements and ends of edges"
                env.fail("too-long", message, statement)
            match statement:
                case s.UseStatement():
                    self._loop_free(in_loop, "`use`", statement, env)
                    self._use(parts, statement, env, region)
                case s.ForStatement(quantity=None):
                    self._loop_free(in_loop, "`for`", statement, env)
                    for element in self.elements(statement, env):
                        inner = env.with_loop(statement.name.name, element)
                        self._write_out(parts, statement.block.statements, inner, Region(region), outermost, True)
                case s.EveryEdgeStatement():
                    region.every.append((statement, env, parts.named))
                case s.NoStatement() | s.CountedStatement() | s.ForStatement():
                    if not isinstance(statement, s.NoStatement):
                        self._loop_free(in_loop, "a count", statement, env)
                    parts.blocks.append(Item(statement, env, region, in_loop))
                case s.ScoreStatement():
                    if in_loop or not (outermost or env.prefix):
                        env.fail("score-in-block", "score stands outside blocks", statement)
                case _:
                    if in_loop and getattr(statement, "name", None) is not None:
                        env.fail("name-in-loop", "nothing can be named inside a `for`", statement)
                    parts.items.append(Item(statement, env, region, in_loop))

    def met_in_loop_only(self, text: str, node: UnitNode, env: Environment) -> NoReturn:
        """Say that a name has no unit outside the `for`."""
        message = f"{text} is met inside the `for` only"
        env.fail("met-in-loop-only", message, node.at, f"name it outside too, as in unit {text}")

    def _loop_free(self, in_loop: bool, what: str, at: s.Statement, env: Environment) -> None:
        if in_loop:
            env.fail("in-loop", f"{what} cannot stand inside a `for` without a number", at)

    def _use(self, parts: Parts, statement: s.UseStatement, env: Environment, region: Region) -> None:
        known: KnownMotif = env.text.motif(statement.motif)
        name = known.motif.name.name
        if name in env.using:
            circle = " uses ".join((*env.using[env.using.index(name) :], name))
            env.fail("use-circle", f"a motif cannot use itself: {circle}", statement)
        if len(env.using) > DEEPEST:
            env.fail("too-deep", f"more than {DEEPEST} motifs use one another in a row", statement)
        prefix = f"{env.prefix}{statement.name.name}."
        if prefix in self._taken:
            env.fail("name-twice", f"{statement.name.name} is used twice", statement.name)
        self._taken.add(prefix)
        arguments = bind(known.motif, statement.arguments, env, statement)
        inner = Environment(known.text, known.text.source, prefix, using=(*env.using, name))
        inner = replace(inner, parameters=complete(known.motif, arguments, inner, env, statement.motif))
        self._write_out(parts, known.motif.block.statements, inner, Region(region), False, False)

    def elements(self, statement: s.ForStatement, env: Environment) -> tuple[MapName, ...]:
        """The elements of the group of a `for`."""
        generator = map_of(statement.group, env)
        if generator.kind == ANALOG:
            env.fail("no-group", "analog forms no group; flip, negate, rotate(90) … do", statement.group)
        elements = group_of(generator)
        if elements is None:
            env.fail(
                "no-group",
                f"{generator.text} forms no group: some number of such turns must make 360 degrees",
                statement.group,
            )
        return elements

    # names

    def _enter(self, parts: Parts, item: Item) -> None:
        scope, env = parts.scope, item.env
        match item.statement:
            case s.UnitDeclaration(names=names, layers=layers):
                choice = tuple(dict.fromkeys(self.layer(layer, env) for layer in layers))
                for name in names:
                    node = self.node(scope, s.Name(name.span, name.name), item)
                    if choice and node.unit.scope is scope:
                        node.unit.layers.append(choice)
            case s.EdgeStatement(steps=steps):
                for step in steps:
                    for unit in step:
                        self.node(scope, unit, item)
            case s.TermStatement(term=term):
                self.node(scope, term, item)
            case s.EqualStatement(left=left, right=right):
                scope.equate(self.node(scope, left, item), self.node(scope, right, item))

    def layer(self, expression: s.Expression, env: Environment) -> str:
        """The name of a layer that there is."""
        name = named_value(expression, env, "a layer")
        if self._catalog is not None:
            models = (
                self._catalog
                if self._searched is None
                else {m: self._catalog[m] for m in self._searched if m in self._catalog}
            )
            # A unit may lie in a model that only `analog` reaches, so every model's layers are good where it occurs.
            there = {
                layer for layers in (self._catalog if self._analog_models else models).values() for layer in layers
            }
            if name not in there:
                elsewhere = sorted(m for m, layers in self._catalog.items() if name in layers)
                hints = (f"{name} is a layer of {some(elsewhere, 4)}",) if elsewhere else ()
                message = f"there is no layer {name} in the models searched"
                env.fail("unknown-layer", message, expression, *hints, wrong=name, known=there)
        return name

    def node(self, scope: Scope, expression: s.Expression, item: Item) -> UnitNode:
        """The node that a unit in a statement means, entered if it is new."""
        env = item.env
        match expression:
            case s.Name(name=name):
                if name in env.parameters or name in env.loops:
                    what = "a parameter" if name in env.parameters else "a map"
                    env.fail("no-unit", f"{name} is {what} here, no unit", expression)
                node = scope.enter_name(env.prefix + name, expression)
            case s.Attribute():
                shown = show(expression, env)
                if scope.find_name(env.prefix + shown) is None:
                    known = [text for around in scope.outward() for text in around.names]
                    env.fail(
                        "unknown-unit", f"{shown} is no unit of a used motif", expression, wrong=shown, known=known
                    )
                node = scope.enter_name(env.prefix + shown, expression)
            case s.Call():
                node = self._term(scope, expression, item)
            case _:
                env.fail("no-unit", "a unit is wanted here", expression)
        self._sources.setdefault(id(node), env.source)
        if not isinstance(expression, s.Call) and not item.in_loop:
            node.unit.met_outside_loops = True
        return node

    def _term(self, scope: Scope, expression: s.Call, item: Item) -> UnitNode:
        name, model = map_application(expression, item.env)
        if model is not None:
            check_model(model, expression.arguments[1], item.env, self._catalog)
            self._analog_models.append(model)
        of = self.node(scope, expression.arguments[0], item)
        if name.is_identity:
            if not item.env.loops:
                item.env.fail(
                    "identity",
                    f"{show(expression.function, item.env)} changes nothing",
                    expression,
                    "write the unit itself",
                )
            return of
        text = item.env.prefix + show(expression, item.env)
        return scope.enter_term(text, name, of, model, expression)

    def _name_units(self, parts: Parts) -> None:
        for node, _ in parts.scope.units():
            self._kept_alive.append(node)
            if len(self._kept_alive) > MOST_UNITS:
                message = f"written out, the motif has more than {MOST_UNITS} units"
                raise MotifError(Diagnostic("too-long", message, self._sources[id(node)], node.at.span))
            self._unit_names[id(node)] = name = self._unique(node.text)
            self.places[name] = self._sources[id(node)], node.at.span

    def unit_name(self, node: UnitNode) -> str:
        """The pattern\'s name of a unit."""
        return self._unit_names[id(node.unit)]

    def _reserve_lists(self, parts: Parts) -> None:
        """Keep the names of the outermost counted units, which results show, from all other units and edges."""
        for item in parts.blocks:
            if isinstance(item.statement, s.CountedStatement):
                counted = item.statement.name
                name = item.env.prefix + counted.name
                if name in parts.named.lists:
                    item.env.fail("name-twice", f"{counted.name} is counted twice; count another name", counted)
                parts.named.lists[name] = name
                self._taken.add(name)

    def release(self, name: str) -> None:
        """Let the counted unit of that name have it."""
        self._taken.discard(name)

    def _unique(self, text: str) -> str:
        name, number = text, 1
        while name in self._taken:
            number += 1
            name = f"{text}#{number}"
        self._taken.add(name)
        return name

    # edges and rows

    def _state_edges(self, parts: Parts, item: Item) -> None:
        statement = cast(s.EdgeStatement, item.statement)
        env = item.env
        pairs = [
            (arrow, source, target)
            for arrow, sources, targets in zip(statement.arrows, statement.steps, statement.steps[1:], strict=False)
            for source in sources
            for target in targets
        ]
        if statement.name is not None and len(pairs) > 1:
            env.fail(
                "name-of-several",
                f"{statement.name.name} would name {len(pairs)} edges; `as` names one",
                statement.name,
            )
        for arrow, source, target in pairs:
            if statement.skip and arrow != "->":
                env.fail("skip-sign", "a skip has no arrow of its own: write skip a -> b", statement)
            a, b = self.node(parts.scope, source, item).unit, self.node(parts.scope, target, item).unit
            if a is b:
                ends = [show(end, env) for end in (source, target)]
                same = "" if ends[0] == ends[1] else f"; {ends[0]} and {ends[1]} are one unit here"
                env.fail("edge-to-itself", f"an edge leads from one unit to another{same}", target)
            entry = parts.edges.setdefault((id(a), id(b), statement.skip), EdgeEntry(a, b, statement.skip))
            entry.arrows.append(arrow)
            entry.stated.append((statement.where, env, item.region))
            if statement.name is not None:
                self._name_record(parts, statement.name, env)
                entry.labels.append(env.prefix + statement.name.name)
                parts.named.edges[entry.labels[-1]] = ""

    def _name_edges(self, parts: Parts) -> None:
        for entry in parts.edges.values():
            arrow = {"any": "->", "excites": "+>", "inhibits": "-|", "never": "->"}[entry.sign]
            source, target = self.unit_name(entry.source), self.unit_name(entry.target)
            plain = f"{'skip ' if entry.skip else ''}{source} {arrow} {target}"
            entry.name = self._unique(entry.labels[0] if entry.labels else plain)
            parts.named.edges.update(dict.fromkeys(entry.labels, entry.name))

    def _name_record(self, parts: Parts, name: s.Identifier, env: Environment) -> None:
        full = env.prefix + name.name
        known = (parts.named.edges, parts.named.rows, parts.named.lists)
        clash = parts.scope.find_name(full) is not None or any(full in names for names in known)
        if clash or name.name in env.parameters:
            env.fail("name-twice", f"{name.name} is the name of something else already", name)

    def _state_rows(self, parts: Parts) -> None:
        entered: dict[int, p.MapRow] = {}
        for term in parts.scope.terms:
            source, target = self.unit_name(term.of), self.unit_name(term.node)
            name = self._unique(f"{term.map.text}: {source} to {target}")
            row = p.MapRow(name, term.map.text, source, target, term.model, term.map.choices)
            entered[id(term)] = row
            parts.rows.append(row)
        for item in parts.items:
            statement = item.statement
            if not isinstance(statement, s.TermStatement | s.EqualStatement):
                continue
            if statement.name is None and statement.where is None:
                continue
            sides = [statement.term] if isinstance(statement, s.TermStatement) else [statement.left, statement.right]
            calls = [side for side in sides if isinstance(side, s.Call)]
            if len(calls) != 1:
                item.env.fail(
                    "which-row", "`as` and `where` belong to a map's row: b = T(a), with a term on one side", statement
                )
            self._name_row(parts, entered, calls[0], item)

    def _name_row(self, parts: Parts, entered: dict[int, p.MapRow], call: s.Call, item: Item) -> None:
        statement = cast(s.TermStatement | s.EqualStatement, item.statement)
        name, model = map_application(call, item.env)
        if name.is_identity:
            item.env.fail("identity", "the identity has no row", call)
        of = self.node(parts.scope, call.arguments[0], item)
        term = parts.scope.find_term(name, of, model)
        assert term is not None
        row = entered.get(id(term))
        if row is None:  # the term belongs to a body around; the row is stated once more here
            source, target = self.unit_name(term.of), self.unit_name(term.node)
            row = p.MapRow(
                self._unique(f"{name.text}: {source} to {target}"), name.text, source, target, model, name.choices
            )
            parts.rows.append(row)
        record = Record.ANALOGUE if name.kind == ANALOG else Record.MAP
        if statement.name is not None:
            self._name_record(parts, statement.name, item.env)
            parts.named.rows[item.env.prefix + statement.name.name] = (row.name, record)
        if statement.where is not None:
            parts.row_wheres.append((statement.where, item.env, Owner(record, row.name)))


def lines_over(region: Region) -> list[tuple[s.EveryEdgeStatement, Environment, Named]]:
    """The `every edge` lines that cover the edges of a pair of braces."""
    lines: list[tuple[s.EveryEdgeStatement, Environment, Named]] = []
    around: Region | None = region
    while around is not None:
        lines += around.every
        around = None if around.closed else around.parent
    return lines
