"""From the syntax tree to the Pattern: motifs written out, names resolved, conditions attached to what they mean.

`resolve` takes a loaded text, the models and layers there are, and the arguments from outside, and returns the `Query`.
The work on one body goes in steps: write out `use` and `for`, enter names and terms, draw equalities, collect edges and
rows, then resolve conditions, and last the bodies inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn, cast

from circuitdb.graph import Record
from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError, Source
from circuitdb.pattern import model as p
from circuitdb.pattern.environment import (
    BareWord,
    Environment,
    Value,
    bind,
    complete,
    map_of,
    named_value,
    show,
    unknown_parameter,
    whole_number,
)
from circuitdb.pattern.expressions import Budget, Expressions, Named, Owner, map_application
from circuitdb.pattern.maps import ANALOG, MapName, group_of
from circuitdb.pattern.models import place_in_models
from circuitdb.pattern.scopes import Scope, UnitNode
from circuitdb.pattern.texts import KnownMotif, Text

Catalog = Mapping[str, Sequence[str]]
"""The names of the layers of every model."""

DEEPEST = 20
MOST_STATEMENTS = 2000
MOST_UNITS = 300


def resolve(
    text: Text,
    *,
    catalog: Catalog | None = None,
    models: Sequence[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
) -> p.Query:
    """The Query of a text.

    Parameters
    ----------
    text
        As `circuitdb.pattern.texts.load` returns it.
    catalog
        Models and their layers, to check names against; None checks nothing.
    models
        Models to search, instead of those that the text names.
    parameters
        Arguments from outside for the motif that is searched.

    Raises
    ------
    MotifError
        At the first mistake.
    """
    program, outside = text.program, Environment(text, text.source)
    find = program.find
    if find is None:
        if not program.motifs:
            raise MotifError(
                Diagnostic(
                    "nothing-to-find",
                    "the text has neither a motif nor a find",
                    text.source,
                    s.Span(0, 1),
                    ("a query begins with find",),
                )
            )
        find = _find_of(program.motifs[-1])
    given = dict(parameters or {})
    if isinstance(find.target, s.MotifCall):
        known = text.motif(find.target.motif)
        for name in given:
            if name not in [parameter.name for parameter in known.motif.parameters]:
                unknown_parameter(name, known.motif, outside, find.target.motif)
        arguments = {**bind(known.motif, find.target.arguments, outside, find.target), **given}
        own = Environment(known.text, known.text.source, using=(known.motif.name.name,))
        env = replace(own, parameters=complete(known.motif, arguments, own, outside, find.target))
        block, motif = known.motif.block, known.motif.name.name
    else:
        if given:
            outside.fail("unknown-parameter", f"the query has no parameter {next(iter(given))}", find.target)
        env, block, motif = outside, find.target, "query"
    resolver = _Resolver(catalog, _searched(find, outside, catalog, models))
    return resolver.query(motif, block, env, find, replace(env, source=text.source))


def _find_of(motif: s.Motif) -> s.Find:
    call = s.MotifCall(motif.name.span, motif.name, ())
    return s.Find(motif.name.span, False, call, (), None, None, False, None)


def _searched(
    find: s.Find, env: Environment, catalog: Catalog | None, models: Sequence[str] | None
) -> tuple[str, ...] | None:
    if models is not None:
        return tuple(dict.fromkeys(models))
    names = []
    for expression in find.models:
        name = named_value(expression, env, "a model")
        _check_model(name, expression, env, catalog)
        names.append(name)
    return tuple(dict.fromkeys(names)) or None


def _check_model(name: str, at: s.Node, env: Environment, catalog: Catalog | None) -> None:
    if catalog is not None and name not in catalog:
        there = "models are " + ", ".join(sorted(catalog)[:8]) if catalog else "the database holds no model"
        env.fail("unknown-model", f"there is no model {name}", at, there, wrong=name, known=catalog)


@dataclass(eq=False)
class _Region:
    """A pair of braces: the `every edge` lines in it cover its edges and those of the regions inside."""

    parent: _Region | None
    every: list[tuple[s.EveryEdgeStatement, Environment, Named]] = field(default_factory=list)
    closed: bool = False
    """Whether lines from around do not reach in (the braces of a `no`)."""


@dataclass(frozen=True)
class _Item:
    """A statement with the environment it is written out in."""

    statement: s.Statement
    env: Environment
    region: _Region
    in_loop: bool


@dataclass(eq=False)
class _EdgeEntry:
    """An edge between two units, and each place that states it."""

    source: UnitNode
    target: UnitNode
    skip: bool
    name: str = ""
    labels: list[str] = field(default_factory=list)
    arrows: list[s.Arrow] = field(default_factory=list)
    stated: list[tuple[s.Expression | None, Environment, _Region]] = field(default_factory=list)

    @property
    def sign(self) -> p.Sign:
        asked = {arrow for arrow in self.arrows if arrow != "->"}
        if len(asked) > 1:
            return "never"
        return {"+>": "excites", "-|": "inhibits"}.get(next(iter(asked), ""), "any")  # type: ignore[return-value]


@dataclass
class _Parts:
    """A body in the making."""

    scope: Scope
    named: Named
    items: list[_Item] = field(default_factory=list)
    blocks: list[_Item] = field(default_factory=list)
    edges: dict[tuple[int, int, bool], _EdgeEntry] = field(default_factory=dict)
    rows: list[p.MapRow] = field(default_factory=list)
    row_wheres: list[tuple[s.Expression, Environment, Owner]] = field(default_factory=list)
    conditions: list[p.Expression] = field(default_factory=list)


class _Resolver:
    """Holds what is unique in a whole query: the pattern's names for units, edges and rows."""

    def __init__(self, catalog: Catalog | None, searched: tuple[str, ...] | None) -> None:
        self._catalog = catalog
        self._searched = searched
        self._unit_names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._kept_alive: list[UnitNode] = []
        self._circuit_edges: list[str] = []
        self._statements = 0
        self._budget = Budget()
        self._analog_models: list[str] = []
        self._sources: dict[int, Source] = {}
        self._places: dict[str, tuple[Source, s.Span]] = {}

    def query(self, motif: str, block: s.Block, env: Environment, find: s.Find, find_env: Environment) -> p.Query:
        """The whole query; `find_env` is the motif's environment with places in the query's own text."""
        region = _Region(None)
        parts = self._collect(block, env, region, None)
        self._circuit_edges = [entry.name for entry in parts.edges.values()]
        if not parts.scope.nodes:
            env.fail("no-units", "a circuit needs a unit that is named outside blocks", block, "as in unit a")
        score = self._score(parts, block, env)
        body = self._finish(parts)
        expressions = self._expressions(parts.named, find_env)
        if find.where is not None:
            body = replace(body, conditions=(*body.conditions, expressions.condition(find.where, None)))
        order: p.Expression | Literal["key"] | None = None
        if isinstance(find.order, s.Name) and find.order.name == "key" and "key" not in find_env.parameters:
            order = "key"
        elif find.order is not None:
            order = expressions.value(find.order, None)
        limit = None
        if find.limit is not None:
            limit = whole_number(find.limit, find_env, "a limit")
        return p.Query(
            motif,
            place_in_models(body, self._places),
            score,
            self._searched,
            find.every_labelling,
            order,
            find.descending,
            limit,
        )

    def _score(self, parts: _Parts, block: s.Block, env: Environment) -> p.Expression | None:
        lines = [statement for statement in block.statements if isinstance(statement, s.ScoreStatement)]
        if len(lines) > 1:
            env.fail("two-scores", "a motif has one score at most", lines[1])
        for item in parts.blocks:
            if isinstance(item.statement, s.CountedStatement):
                name = item.env.prefix + item.statement.name.name
                parts.named.lists[name] = name
        if lines:
            return self._expressions(parts.named, env).number(lines[0].value, None)
        if not self._circuit_edges:
            return None
        return p.Function("min", tuple(p.EdgeProperty(edge, "share") for edge in self._circuit_edges))

    # writing out

    def _collect(
        self, block: s.Block | s.EdgeStatement, env: Environment, region: _Region, around: _Parts | None
    ) -> _Parts:
        """The names, equalities, edges and rows of a body."""
        scope = Scope(around.scope if around else None)
        named = Named(scope, self._unit_name, parent=around.named if around else None)
        parts = _Parts(scope, named)
        statements = (block,) if isinstance(block, s.EdgeStatement) else block.statements
        self._write_out(parts, statements, env, region, around is None, False)
        for item in parts.items:
            self._enter(parts, item)
        for node in scope.nodes:
            if not node.unit.met_outside_loops and node.text in scope.names:
                self._met_in_loop_only(node.text, node, env)
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
        parts: _Parts,
        statements: Sequence[s.Statement],
        env: Environment,
        region: _Region,
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
                    for element in self._elements(statement, env):
                        inner = env.with_loop(statement.name.name, element)
                        self._write_out(parts, statement.block.statements, inner, _Region(region), outermost, True)
                case s.EveryEdgeStatement():
                    region.every.append((statement, env, parts.named))
                case s.NoStatement() | s.CountedStatement() | s.ForStatement():
                    if not isinstance(statement, s.NoStatement):
                        self._loop_free(in_loop, "a count", statement, env)
                    parts.blocks.append(_Item(statement, env, region, in_loop))
                case s.ScoreStatement():
                    if in_loop or not (outermost or env.prefix):
                        env.fail("score-in-block", "score stands outside blocks", statement)
                case _:
                    if in_loop and getattr(statement, "name", None) is not None:
                        env.fail("name-in-loop", "nothing can be named inside a `for`", statement)
                    parts.items.append(_Item(statement, env, region, in_loop))

    def _met_in_loop_only(self, text: str, node: UnitNode, env: Environment) -> NoReturn:
        message = f"{text} is met inside the `for` only"
        env.fail("met-in-loop-only", message, node.at, f"name it outside too, as in unit {text}")

    def _loop_free(self, in_loop: bool, what: str, at: s.Statement, env: Environment) -> None:
        if in_loop:
            env.fail("in-loop", f"{what} cannot stand inside a `for` without a number", at)

    def _use(self, parts: _Parts, statement: s.UseStatement, env: Environment, region: _Region) -> None:
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
        self._write_out(parts, known.motif.block.statements, inner, _Region(region), False, False)

    def _elements(self, statement: s.ForStatement, env: Environment) -> tuple[MapName, ...]:
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

    def _enter(self, parts: _Parts, item: _Item) -> None:
        scope, env = parts.scope, item.env
        match item.statement:
            case s.UnitDeclaration(names=names, layers=layers):
                choice = tuple(dict.fromkeys(self._layer(layer, env) for layer in layers))
                for name in names:
                    node = self._node(scope, s.Name(name.span, name.name), item)
                    if choice and node.unit.scope is scope:
                        node.unit.layers.append(choice)
            case s.EdgeStatement(steps=steps):
                for step in steps:
                    for unit in step:
                        self._node(scope, unit, item)
            case s.TermStatement(term=term):
                self._node(scope, term, item)
            case s.EqualStatement(left=left, right=right):
                scope.equate(self._node(scope, left, item), self._node(scope, right, item))

    def _layer(self, expression: s.Expression, env: Environment) -> str:
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
                hints = (f"{name} is a layer of {', '.join(elsewhere[:4])}",) if elsewhere else ()
                message = f"there is no layer {name} in the models searched"
                env.fail("unknown-layer", message, expression, *hints, wrong=name, known=there)
        return name

    def _node(self, scope: Scope, expression: s.Expression, item: _Item) -> UnitNode:
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

    def _term(self, scope: Scope, expression: s.Call, item: _Item) -> UnitNode:
        name, model = map_application(expression, item.env)
        if model is not None:
            _check_model(model, expression.arguments[1], item.env, self._catalog)
            self._analog_models.append(model)
        of = self._node(scope, expression.arguments[0], item)
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

    def _name_units(self, parts: _Parts) -> None:
        for node, _ in parts.scope.units():
            self._kept_alive.append(node)
            if len(self._kept_alive) > MOST_UNITS:
                message = f"written out, the motif has more than {MOST_UNITS} units"
                raise MotifError(Diagnostic("too-long", message, self._sources[id(node)], node.at.span))
            self._unit_names[id(node)] = name = self._unique(node.text)
            self._places[name] = self._sources[id(node)], node.at.span

    def _unit_name(self, node: UnitNode) -> str:
        return self._unit_names[id(node.unit)]

    def _unique(self, text: str) -> str:
        name, number = text, 1
        while name in self._taken:
            number += 1
            name = f"{text}#{number}"
        self._taken.add(name)
        return name

    # edges and rows

    def _state_edges(self, parts: _Parts, item: _Item) -> None:
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
            a, b = self._node(parts.scope, source, item).unit, self._node(parts.scope, target, item).unit
            if a is b:
                ends = [show(end, env) for end in (source, target)]
                same = "" if ends[0] == ends[1] else f"; {ends[0]} and {ends[1]} are one unit here"
                env.fail("edge-to-itself", f"an edge leads from one unit to another{same}", target)
            entry = parts.edges.setdefault((id(a), id(b), statement.skip), _EdgeEntry(a, b, statement.skip))
            entry.arrows.append(arrow)
            entry.stated.append((statement.where, env, item.region))
            if statement.name is not None:
                self._name_record(parts, statement.name, env)
                entry.labels.append(env.prefix + statement.name.name)
                parts.named.edges[entry.labels[-1]] = ""

    def _name_edges(self, parts: _Parts) -> None:
        for entry in parts.edges.values():
            arrow = {"any": "->", "excites": "+>", "inhibits": "-|", "never": "->"}[entry.sign]
            source, target = self._unit_name(entry.source), self._unit_name(entry.target)
            plain = f"{'skip ' if entry.skip else ''}{source} {arrow} {target}"
            entry.name = self._unique(entry.labels[0] if entry.labels else plain)
            parts.named.edges.update(dict.fromkeys(entry.labels, entry.name))

    def _name_record(self, parts: _Parts, name: s.Identifier, env: Environment) -> None:
        full = env.prefix + name.name
        clash = parts.scope.find_name(full) is not None or full in parts.named.edges or full in parts.named.rows
        if clash or name.name in env.parameters:
            env.fail("name-twice", f"{name.name} is the name of something else already", name)

    def _state_rows(self, parts: _Parts) -> None:
        entered: dict[int, p.MapRow] = {}
        for term in parts.scope.terms:
            source, target = self._unit_name(term.of), self._unit_name(term.node)
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

    def _name_row(self, parts: _Parts, entered: dict[int, p.MapRow], call: s.Call, item: _Item) -> None:
        statement = cast(s.TermStatement | s.EqualStatement, item.statement)
        name, model = map_application(call, item.env)
        if name.is_identity:
            item.env.fail("identity", "the identity has no row", call)
        of = self._node(parts.scope, call.arguments[0], item)
        term = parts.scope.find_term(name, of, model)
        assert term is not None
        row = entered.get(id(term))
        if row is None:  # the term belongs to a body around; the row is stated once more here
            source, target = self._unit_name(term.of), self._unit_name(term.node)
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

    # conditions and inner bodies

    def _finish(self, parts: _Parts) -> p.Body:
        """The body, with its conditions and the bodies inside it."""
        conditions: list[p.Expression] = [p.Constant(False)] if parts.scope.contradictory else []
        for item in parts.items:
            conditions += self._conditions_of(parts, item)
        for where, env, owner in parts.row_wheres:
            conditions.append(self._expressions(parts.named, env).condition(where, owner))
        for entry in parts.edges.values():
            owner = Owner(Record.EDGE, entry.name)
            for edge_where, env, region in entry.stated:
                if edge_where is not None:
                    conditions.append(self._expressions(parts.named, env).condition(edge_where, owner))
                for line, line_env, line_named in _lines_over(region):
                    conditions.append(self._expressions(line_named, line_env).condition(line.where, owner))
        self._check_lines(parts)
        absent: list[p.Body] = []
        counted: list[p.Counted] = []
        choices: list[p.Choice] = []
        for item in parts.blocks:
            match item.statement:
                case s.NoStatement(body=body):
                    absent.append(self._inner(body, item, parts, closed=True)[0])
                case s.CountedStatement():
                    counted.append(self._counted(item.statement, item, parts))
                case s.ForStatement():
                    choices.append(self._choice(item.statement, item, parts))
        layers = {name: tuple(dict.fromkeys(node.layers)) for node, name in self._own(parts)}
        units = tuple(
            p.Unit(self._unit_name(node), texts, layers[self._unit_name(node)]) for node, texts in parts.scope.units()
        )
        edges = tuple(
            p.Edge(e.name, self._unit_name(e.source), self._unit_name(e.target), e.skip, e.sign)
            for e in parts.edges.values()
        )
        unique = tuple(dict.fromkeys(conditions))
        return p.Body(units, edges, tuple(parts.rows), unique, tuple(absent), tuple(counted), tuple(choices))

    def _own(self, parts: _Parts) -> list[tuple[UnitNode, str]]:
        return [(node, self._unit_name(node)) for node, _ in parts.scope.units()]

    def _expressions(self, named: Named, env: Environment) -> Expressions:
        return Expressions(named, env, self._circuit_edges, self._budget)

    def _conditions_of(self, parts: _Parts, item: _Item) -> list[p.Expression]:
        expressions = self._expressions(parts.named, item.env)
        match item.statement:
            case s.WhereStatement(where=where):
                return [expressions.condition(where, None)]
            case s.UnitDeclaration(names=names, layers=layers, where=where):
                owners = [
                    Owner(Record.UNIT, self._unit_name(self._node(parts.scope, s.Name(n.span, n.name), item)))
                    for n in names
                ]
                conditions: list[p.Expression] = []
                for owner, name in zip(owners, names, strict=True):
                    node = self._node(parts.scope, s.Name(name.span, name.name), item).unit
                    if layers and node.scope is not parts.scope:
                        choice = tuple(p.Constant(self._layer(layer, item.env)) for layer in layers)
                        conditions.append(p.OneOf(p.UnitProperty(p.UnitValue(owner.name), "layer"), choice))
                    if where is not None:
                        conditions.append(expressions.condition(where, owner))
                return conditions
        return []

    def _check_lines(self, parts: _Parts) -> None:
        """Tell mistakes of `every edge` lines that cover no edge."""
        for region in {id(i.region): i.region for i in (*parts.items, *parts.blocks)}.values():
            for line, env, named in region.every:
                if named is parts.named:
                    self._expressions(named, env).condition(line.where, Owner(Record.EDGE, ""))

    def _inner(
        self,
        block: s.Block | s.EdgeStatement,
        item: _Item,
        around: _Parts,
        *,
        closed: bool = False,
        counted: s.Identifier | None = None,
    ) -> tuple[p.Body, _Parts]:
        depth = sum(1 for _ in around.scope.outward())
        if depth > DEEPEST:
            item.env.fail("too-deep", "blocks are nested too deeply", block, f"there may be {DEEPEST} levels of blocks")
        parts = self._collect_inner(block, item, around, closed, counted)
        return self._finish(parts), parts

    def _collect_inner(
        self, block: s.Block | s.EdgeStatement, item: _Item, around: _Parts, closed: bool, counted: s.Identifier | None
    ) -> _Parts:
        region = _Region(item.region, closed=closed)
        if counted is None:
            return self._collect(block, item.env, region, around)
        name = item.env.prefix + counted.name
        if around.scope.find_name(name) is not None or counted.name in item.env.parameters:
            item.env.fail("counted-name", f"{counted.name} is met outside its block; count another name", counted)
        declared = s.UnitDeclaration(counted.span, (counted,), (), None)
        assert isinstance(block, s.Block)
        return self._collect(s.Block(block.span, (declared, *block.statements)), item.env, region, around)

    def _counted(self, statement: s.CountedStatement, item: _Item, around: _Parts) -> p.Counted:
        count = whole_number(statement.count, item.env, "a count")
        body, parts = self._inner(statement.block, item, around, counted=statement.name)
        node = parts.scope.names[item.env.prefix + statement.name.name]
        if node.merged is not None or any(o.merged is node and o.text in parts.scope.names for o in parts.scope.nodes):
            item.env.fail(
                "counted-name-equal", f"{statement.name.name} is counted and cannot be set equal", statement.name
            )
        return p.Counted(statement.quantity, float(count), self._unit_name(node), body)

    def _choice(self, statement: s.ForStatement, item: _Item, around: _Parts) -> p.Choice:
        assert statement.quantity is not None
        assert statement.count is not None
        count = whole_number(statement.count, item.env, "a count")
        bodies = []
        for element in self._elements(statement, item.env):
            inner = replace(item, env=item.env.with_loop(statement.name.name, element))
            body, parts = self._inner(statement.block, inner, around)
            for text, node in parts.scope.names.items():
                self._met_in_loop_only(text, node, item.env)
            bodies.append(body)
        return p.Choice(statement.quantity, float(count), tuple(bodies))


def _lines_over(region: _Region) -> list[tuple[s.EveryEdgeStatement, Environment, Named]]:
    """The `every edge` lines that cover the edges of a pair of braces."""
    lines: list[tuple[s.EveryEdgeStatement, Environment, Named]] = []
    around: _Region | None = region
    while around is not None:
        lines += around.every
        around = None if around.closed else around.parent
    return lines


__all__ = ["BareWord", "Catalog", "resolve"]
