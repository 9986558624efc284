"""From the syntax tree to the Pattern: motifs written out, names resolved, conditions attached to what they mean.

`resolve` takes a loaded text, the models and layers there are, and the arguments from outside, and returns the `Query`.
The work on one body goes in steps: write out `use` and `for`, enter names and terms, draw equalities, collect edges and
rows, then resolve conditions, and last the bodies inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from circuitdb.graph import Record
from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError
from circuitdb.pattern import model as p
from circuitdb.pattern.analogous import with_analogues
from circuitdb.pattern.collecting import (
    DEEPEST,
    MOST_UNITS,
    Catalog,
    Collector,
    Item,
    Parts,
    Region,
    check_model,
    lines_over,
)
from circuitdb.pattern.environment import (
    Environment,
    Value,
    bind,
    check_kinds,
    complete,
    named_value,
    unknown_parameter,
    whole_number,
)
from circuitdb.pattern.expressions import Budget, Expressions, Named, Owner
from circuitdb.pattern.models import place_in_models
from circuitdb.pattern.texts import Text

ANALOGUES = 3
"""How many of its best analogues may stand for a unit where a circuit is `analogous in` another model."""
MOST_ANALOGUES = 1000


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
        check_kinds(known.motif, given, own)
        env = replace(own, parameters=complete(known.motif, arguments, own, outside, find.target))
        block, motif = known.motif.block, known.motif.name.name
    else:
        if given:
            outside.fail("unknown-parameter", f"the query has no parameter {next(iter(given))}", find.target)
        env, block, motif = outside, find.target, "query"
    resolver = _Resolver(catalog, _searched(find, outside, catalog, models))
    query = resolver.query(motif, block, env, find, replace(env, source=text.source))
    return query if find.analogous is None else _with_analogues(query, find.analogous, outside, catalog)


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
        check_model(name, expression, env, catalog)
        names.append(name)
    return tuple(dict.fromkeys(names)) or None


def _with_analogues(query: p.Query, asked: s.Analogous, env: Environment, catalog: Catalog | None) -> p.Query:
    others: dict[str, None] = {}
    for expression in asked.models:
        name = named_value(expression, env, "a model")
        check_model(name, expression, env, catalog)
        if query.models is not None and name in query.models:
            message = f"circuits of {name} are searched for, and an analogue lies in another model"
            env.fail("two-models", message, expression)
        others[name] = None
    choices = ANALOGUES if asked.choices is None else whole_number(asked.choices, env, "the number of analogues")
    if asked.choices is not None and not 1 <= choices <= MOST_ANALOGUES:
        env.fail("analog-choices", f"analogous(K) takes K from 1 to {MOST_ANALOGUES}", asked.choices)
    copied = sum(unit.model is None for unit in query.body.units)
    if len(query.body.units) + copied * len(others) > MOST_UNITS:
        env.fail("too-long", f"with its copies the motif has more than {MOST_UNITS} units", asked)
    return with_analogues(query, tuple(others), choices)


class _Resolver:
    """Makes bodies of what a `Collector` collects."""

    def __init__(self, catalog: Catalog | None, searched: tuple[str, ...] | None) -> None:
        self._collector = Collector(catalog, searched)
        self._searched = searched
        self._circuit_edges: list[str] = []
        self._budget = Budget()

    def query(self, motif: str, block: s.Block, env: Environment, find: s.Find, find_env: Environment) -> p.Query:
        """The whole query; `find_env` is the motif's environment with places in the query's own text."""
        region = Region(None)
        parts = self._collector.collect(block, env, region, None)
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
            place_in_models(body, self._collector.places),
            score,
            self._searched,
            find.every_labelling,
            order,
            find.descending,
            limit,
        )

    def _score(self, parts: Parts, block: s.Block, env: Environment) -> p.Expression | None:
        lines = [statement for statement in block.statements if isinstance(statement, s.ScoreStatement)]
        if len(lines) > 1:
            env.fail("two-scores", "a motif has one score at most", lines[1])
        if lines:
            return self._expressions(parts.named, env).number(lines[0].value, None)
        if not self._circuit_edges:
            return None
        return p.Function("min", tuple(p.EdgeProperty(edge, "share") for edge in self._circuit_edges))

    # conditions and inner bodies

    def _finish(self, parts: Parts) -> p.Body:
        """The body, with its conditions and the bodies inside it."""
        conditions: list[p.Expression] = [p.Constant(False)] if parts.scope.contradictory else []
        for item in parts.items:
            conditions += self._conditions_of(parts, item)
        for where, env, owner in parts.row_wheres:
            conditions.append(self._expressions(parts.named, env).condition(where, owner))
        from_around: list[p.Expression] = []
        for entry in parts.edges.values():
            owner = Owner(Record.EDGE, entry.name)
            for edge_where, env, region in entry.stated:
                if edge_where is not None:
                    conditions.append(self._expressions(parts.named, env).condition(edge_where, owner))
                for line, line_env, line_named in lines_over(region):
                    outside = parts.named.parent is not None and line_named.parent is None
                    condition = self._expressions(line_named, line_env).condition(line.where, owner)
                    (from_around if outside else conditions).append(condition)
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
        units = tuple(
            p.Unit(self._collector.unit_name(node), texts, tuple(dict.fromkeys(node.layers)))
            for node, texts in parts.scope.units()
        )
        edges = tuple(
            p.Edge(e.name, self._collector.unit_name(e.source), self._collector.unit_name(e.target), e.skip, e.sign)
            for e in parts.edges.values()
        )
        own, outer = dict.fromkeys(conditions), dict.fromkeys(from_around)
        return p.Body(
            units, edges, tuple(parts.rows), (*own, *outer), tuple(absent), tuple(counted), tuple(choices), len(outer)
        )

    def _expressions(self, named: Named, env: Environment) -> Expressions:
        return Expressions(named, env, self._circuit_edges, self._budget)

    def _conditions_of(self, parts: Parts, item: Item) -> list[p.Expression]:
        expressions = self._expressions(parts.named, item.env)
        match item.statement:
            case s.WhereStatement(where=where):
                return [expressions.condition(where, None)]
            case s.UnitDeclaration(names=names, layers=layers, where=where):
                conditions: list[p.Expression] = []
                for name in names:
                    node = self._collector.node(parts.scope, s.Name(name.span, name.name), item).unit
                    unit = self._collector.unit_name(node)
                    if layers and node.scope is not parts.scope:
                        choice = tuple(p.Constant(self._collector.layer(layer, item.env)) for layer in layers)
                        conditions.append(p.OneOf(p.UnitProperty(p.UnitValue(unit), "layer"), choice))
                    if where is not None:
                        conditions.append(expressions.condition(where, Owner(Record.UNIT, unit)))
                return conditions
        return []

    def _check_lines(self, parts: Parts) -> None:
        """Tell mistakes of `every edge` lines that cover no edge."""
        for region in {id(i.region): i.region for i in (*parts.items, *parts.blocks)}.values():
            for line, env, named in region.every:
                if named is parts.named:
                    self._expressions(named, env).condition(line.where, Owner(Record.EDGE, ""))

    def _inner(
        self,
        block: s.Block | s.EdgeStatement,
        item: Item,
        around: Parts,
        *,
        closed: bool = False,
        counted: s.Identifier | None = None,
    ) -> tuple[p.Body, Parts]:
        depth = sum(1 for _ in around.scope.outward())
        if depth > DEEPEST:
            item.env.fail("too-deep", "blocks are nested too deeply", block, f"there may be {DEEPEST} levels of blocks")
        parts = self._collect_inner(block, item, around, closed, counted)
        return self._finish(parts), parts

    def _collect_inner(
        self, block: s.Block | s.EdgeStatement, item: Item, around: Parts, closed: bool, counted: s.Identifier | None
    ) -> Parts:
        region = Region(item.region, closed=closed)
        if counted is None:
            return self._collector.collect(block, item.env, region, around)
        name = item.env.prefix + counted.name
        if around.scope.find_name(name) is not None or counted.name in item.env.parameters:
            item.env.fail("counted-name", f"{counted.name} is met outside its block; count another name", counted)
        if name in around.named.lists:
            self._collector.release(name)
        declared = s.UnitDeclaration(counted.span, (counted,), (), None)
        assert isinstance(block, s.Block)
        return self._collector.collect(s.Block(block.span, (declared, *block.statements)), item.env, region, around)

    def _counted(self, statement: s.CountedStatement, item: Item, around: Parts) -> p.Counted:
        count = whole_number(statement.count, item.env, "a count")
        body, parts = self._inner(statement.block, item, around, counted=statement.name)
        node = parts.scope.names[item.env.prefix + statement.name.name]
        if node.merged is not None or any(o.merged is node and o.text in parts.scope.names for o in parts.scope.nodes):
            item.env.fail(
                "counted-name-equal", f"{statement.name.name} is counted and cannot be set equal", statement.name
            )
        return p.Counted(statement.quantity, float(count), self._collector.unit_name(node), body)

    def _choice(self, statement: s.ForStatement, item: Item, around: Parts) -> p.Choice:
        assert statement.quantity is not None
        assert statement.count is not None
        count = whole_number(statement.count, item.env, "a count")
        bodies = []
        for element in self._collector.elements(statement, item.env):
            inner = replace(item, env=item.env.with_loop(statement.name.name, element))
            body, parts = self._inner(statement.block, inner, around)
            for text, node in parts.scope.names.items():
                self._collector.met_in_loop_only(text, node, item.env)
            bodies.append(body)
        return p.Choice(statement.quantity, float(count), tuple(bodies))
