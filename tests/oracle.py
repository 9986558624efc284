"""An independent answer to every query, by brute force over a NetworkX graph.

`answer` takes a syntax tree and the graphs of a document and returns all circuits in order. It is written from the
reference of the language alone and shares nothing with the compiler: what it says is what the stores have to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from circuitdb.language import syntax as s
from tests.oracle_analogous import with_copies
from tests.oracle_drawing import automorphisms
from tests.oracle_expressions import holds, rows_under, value_of
from tests.oracle_graphs import Graphs, Record
from tests.oracle_scopes import Ends, Scope
from tests.oracle_statements import (
    Condition,
    Counted,
    Edge,
    Environment,
    ForSome,
    MapRow,
    Mentioned,
    No,
    Score,
    Term,
    Value,
    Where,
    Writer,
    as_number,
    constant,
)

Assignment = dict[int, str]
"""The key of every unit known so far, by the unit's number."""


@dataclass(frozen=True)
class Circuit:
    """One circuit: `units` by name and term, a list for a counted name; `edges` as (source, target, skip)."""

    model: str
    units: Mapping[str, str | list[str]]
    edges: frozenset[tuple[str, str, bool]]
    score: float | None
    ordered_by: Any = field(compare=False, default=None)


class TooManyError(Exception):
    """More labellings than brute force is to list."""


@dataclass(frozen=True)
class Answer:
    """All circuits in order, and how many of them the text asks for."""

    circuits: list[Circuit]
    limit: int | None


def answer(
    program: s.Program,
    graphs: Graphs,
    *,
    models: Sequence[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
    most: int | None = None,
) -> Answer:
    """Every circuit that a text asks for, in order.

    Raises
    ------
    TooManyError
        If there are more than `most` labellings.
    """
    motifs = {motif.name.name: motif for motif in program.motifs}
    writer = Writer(motifs)
    find = program.find
    if find is not None and isinstance(find.target, s.Block):
        environment, block = Environment(), find.target
    else:
        motif = program.motifs[-1] if find is None else motifs[find.target.motif.name]
        given = () if find is None else find.target.arguments
        arguments = {one.name: constant(one.value, Environment()) for one in given} | dict(parameters or {})
        environment, block = writer.environment_of(motif, arguments), motif.block
    facts = writer.facts(block, environment)
    if find is not None and find.where is not None:
        facts.append(Where(Condition(find.where, environment)))
    if find is not None and find.analogous is not None:
        others = [str(constant(model, Environment())) for model in find.analogous.models]
        asked = find.analogous.choices
        choices = 3 if asked is None else int(as_number(constant(asked, Environment())))
        facts = with_copies(facts, list(dict.fromkeys(others)), choices)
    top = Scope(facts, None)
    named = [] if find is None else [str(constant(model, Environment())) for model in find.models]
    searched = dict.fromkeys(models or named or graphs.models)
    found = list(itertools.chain.from_iterable(Search(graphs, top, model).assignments(most) for model in searched))
    if find is None or not find.every_labelling:
        found = without_symmetric(found, automorphisms(top))
    order = None if find is None or find.order is None else Condition(find.order, environment)
    circuits = ordered(found, order, descending=find is not None and find.descending)
    return Answer(circuits, None if find is None or find.limit is None else int(find.limit.value))


@dataclass(frozen=True)
class Found:
    """An assignment of all units of the outermost scope that fulfils everything."""

    search: Search
    values: Assignment

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in the order in which the text names the units."""
        return tuple(self.values[unit] for unit in self.search.top.local)

    @property
    def place(self) -> Place:
        return Place(self.search, self.search.top, self.values)

    def circuit(self) -> Circuit:
        search, top = self.search, self.search.top
        units: dict[str, str | list[str]] = {text: self.values[top.units[node]] for text, node in top.texts.items()}
        scores = [fact.condition for fact in top.facts if isinstance(fact, Score)]
        shares = [edge["share"] for edge in self.place.circuit_edges()]
        return Circuit(
            model=search.model,
            units={**units, **search.counted(self.values)},
            edges=frozenset((self.values[start], self.values[end], skip) for start, end, skip in top.edge_ends()),
            score=value_of(scores[0], self.place) if scores else min(shares, default=None),
        )


def without_symmetric(found: list[Found], images: list[dict[int, int]]) -> list[Found]:
    """The assignments without those that a symmetry of the drawing takes to a lesser one."""
    fulfilled = {one.keys for one in found}

    def is_least(one: Found) -> bool:
        def order(keys: Iterable[str]) -> list[Any]:
            return [one.search.graphs.order(key) for key in keys]

        others = (tuple(one.values[image[unit]] for unit in one.search.top.local) for image in images)
        return not any(keys in fulfilled and order(keys) < order(one.keys) for keys in others)

    return [one for one in found if is_least(one)]


def ordered(found: list[Found], order: Condition | None, *, descending: bool) -> list[Circuit]:
    """The assignments as circuits, in order: by score, by key or by an expression, what is missing last."""
    found = sorted(found, key=lambda one: [one.search.graphs.order(key) for key in one.keys])
    by_key = order is not None and order.expression == s.Name(order.expression.span, "key")
    if by_key:
        return [one.circuit() for one in (reversed(found) if descending else found)]
    circuits = []
    for one in found:
        circuit = one.circuit()
        value = circuit.score if order is None else value_of(order, one.place)
        circuits.append(Circuit(circuit.model, circuit.units, circuit.edges, circuit.score, value))
    present = [circuit for circuit in circuits if circuit.ordered_by is not None]
    present.sort(key=lambda circuit: circuit.ordered_by, reverse=order is None or descending)
    return present + [circuit for circuit in circuits if circuit.ordered_by is None]


@dataclass(frozen=True)
class Place:
    """A scope and an assignment, as expressions see them."""

    search: Search
    scope: Scope
    values: Assignment

    @property
    def graphs(self) -> Graphs:
        return self.search.graphs

    def unit(self, name: str) -> str | None:
        number = self.scope.unit_named(name)
        return None if number is None else self.values[number]

    def edge(self, name: str) -> Record | None:
        ends = self.scope.edge_named(name)
        return None if ends is None else self.search.edge(ends, self.values)

    def row(self, name: str) -> tuple[str, Record] | None:
        term = self.scope.row_named(name)
        row = None if term is None else self.search.row(term, self.scope, self.values)
        if term is None or row is None:
            return None
        return ("analogue" if term.map.name == "analog" else "map"), row

    def counted(self, name: str) -> int | None:
        block = self.search.counted_blocks().get(name)
        return None if block is None else len(self.search.fulfilling(*block, self.values))

    def circuit_edges(self) -> list[Record]:
        return [self.search.edge(ends, self.values) or {} for ends in self.search.top.edge_ends(copied=False)]


@dataclass(frozen=True)
class Test:
    """A question to an assignment that can be asked once these units are known."""

    needs: set[int]
    ask: Callable[[Assignment], bool]


class Search:
    """All assignments in one model."""

    def __init__(self, graphs: Graphs, top: Scope, model: str) -> None:
        self.graphs, self.top, self.model = graphs, top, model
        self._tests: dict[int, list[Test]] = {}

    def assignments(self, most: int | None) -> list[Found]:
        """The assignments that fulfil everything."""
        found = [Found(self, values) for values in itertools.islice(self._solutions(self.top, {}), most)]
        if len(found) == most:
            raise TooManyError
        return found

    def edge(self, ends: Ends, values: Assignment) -> Record | None:
        source, target, skip = ends
        found: Record | None = self.graphs.network.get_edge_data(values[source], values[target], skip)
        return found

    def row(self, term: Term, scope: Scope, values: Assignment) -> Record | None:
        """The row that leads from the one unit to the other under the map."""
        rows = rows_under(self.graphs, term.map, values[scope.units[term.of]])
        return next((row for row in rows if row["target"] == values[scope.units[term]]), None)

    def counted(self, values: Assignment) -> dict[str, list[str]]:
        """The units that fulfil each outermost counted block, by its name, in order of key."""
        return {name: self.fulfilling(*block, values) for name, block in self.counted_blocks().items()}

    def counted_blocks(self) -> dict[str, tuple[Counted, Scope]]:
        """The outermost counted blocks and their bodies, by name."""
        return {fact.name.name: (fact, bodies[0]) for fact, bodies in self.top.blocks if isinstance(fact, Counted)}

    def _solutions(self, scope: Scope, outer: Assignment) -> Iterator[Assignment]:
        """Every way to give the scope's own units keys so that all its statements hold."""
        if scope.contradictory:
            return
        if id(scope) not in self._tests:
            self._tests[id(scope)] = self._tests_of(scope)
        tests = self._tests[id(scope)]

        def extend(values: Assignment, left: list[int], newly: set[int]) -> Iterator[Assignment]:
            known = set(values)
            for test in tests:
                if test.needs <= known and (not newly or test.needs & newly) and not test.ask(values):
                    return
            if not left:
                if all(self._block_holds(fact, bodies, values) for fact, bodies in scope.blocks):
                    yield values
                return
            unit, keys = self._next(scope, values, left)
            rest = [other for other in left if other != unit]
            for key in keys:
                if key not in values.values():
                    yield from extend({**values, unit: key}, rest, {unit})

        yield from extend(outer, scope.local, set())

    def _next(self, scope: Scope, values: Assignment, left: list[int]) -> tuple[int, Iterable[str]]:
        """A unit to be given a key next, and keys among which are all that edges and maps allow."""
        network = self.graphs.network
        for term in scope.terms:
            start, end = scope.units[term.of], scope.units[term]
            if start in values and end in left:
                rows = rows_under(self.graphs, term.map, values[start])
                return end, dict.fromkeys(row["target"] for row in rows)
        for source, target, _ in scope.edge_ends():
            if source in values and target in left:
                return target, list(network.successors(values[source]))
            if target in values and source in left:
                return source, list(network.predecessors(values[target]))
        return left[0], self.graphs.units(scope.models[left[0]] or self.model)

    def _tests_of(self, scope: Scope) -> list[Test]:
        """Models, maps' rows, layers and edges; then the conditions, which may look at these."""
        plain: list[Test] = []
        conditions: list[Test] = []

        def condition(
            asked: Condition | None, needs: set[int], record: Callable[[Assignment], Record | None] | None = None
        ) -> None:
            if asked is None:
                return

            def ask(values: Assignment) -> bool:
                return holds(asked, Place(self, scope, values), None if record is None else record(values))

            conditions.append(Test(needs | scope.mentioned(asked), ask))

        def unit(number: int) -> Callable[[Assignment], Record]:
            return lambda values: self.graphs.network.nodes[values[number]]

        def lies_in(number: int, places: Iterable[str], kind: str) -> None:
            plain.append(Test({number}, lambda values: unit(number)(values)[kind] in places))

        def row(term: Term) -> Callable[[Assignment], Record | None]:
            return lambda values: self.row(term, scope, values)

        def edge(ends: Ends) -> Callable[[Assignment], Record | None]:
            return lambda values: self.edge(ends, values)

        for number in scope.local:
            lies_in(number, (scope.models[number] or self.model,), "model")
        for term in scope.terms:
            plain.append(Test({scope.units[term.of], scope.units[term]}, row(term)))
        for fact in scope.facts:
            match fact:
                case Mentioned(nodes=nodes, layers=layers, condition=asked):
                    for number in (scope.units[node] for node in nodes):
                        if layers:
                            lies_in(number, layers, "layer")
                        condition(asked, {number}, unit(number))
                case Edge(source=source, target=target, arrow=arrow):
                    ends = (scope.units[source], scope.units[target], fact.skip)
                    plain.append(Test(set(ends[:2]), lambda v, e=ends, a=arrow: _fits(a, self.edge(e, v))))
                    for asked in (fact.condition, *fact.every):
                        condition(asked, set(ends[:2]), edge(ends))
                case MapRow(term=term):
                    condition(fact.condition, {scope.units[term.of], scope.units[term]}, row(term))
                case Where():
                    condition(fact.condition, set())
        return plain + conditions

    def _block_holds(self, fact: No | Counted | ForSome, bodies: list[Scope], values: Assignment) -> bool:
        match fact:
            case No():
                return not self._can_hold(bodies[0], values)
            case Counted():
                return _enough(fact.quantity, len(self.fulfilling(fact, bodies[0], values)), fact.count)
            case ForSome():
                return _enough(fact.quantity, sum(self._can_hold(body, values) for body in bodies), fact.count)

    def _can_hold(self, body: Scope, values: Assignment) -> bool:
        return any(True for _ in self._solutions(body, values))

    def fulfilling(self, fact: Counted, body: Scope, values: Assignment) -> list[str]:
        """The units that fulfil a counted block, in order of key."""
        found = {solution[body.units[fact.name]] for solution in self._solutions(body, values)}
        return sorted(found, key=self.graphs.order)


def _fits(arrow: str, edge: Record | None) -> bool:
    if edge is None:
        return False
    return arrow == "->" or (edge["kind"] == "EXCITES") == (arrow == "+>")


def _enough(quantity: str, found: int, count: int) -> bool:
    match quantity:
        case "at least":
            return found >= count
        case "at most":
            return found <= count
    return found == count
