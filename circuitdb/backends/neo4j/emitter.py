"""From a Query to Cypher 5, as a syntax tree with parameters.

A body of the pattern becomes one MATCH whose paths carry the predicates of their own edges, and a WHERE for the rest;
inner bodies become EXISTS, COUNT and COLLECT subqueries. Within a model, units are compared by `position`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from circuitdb.backends.neo4j import cypher as c
from circuitdb.backends.neo4j.expressions import UNIT, Expressions, Parameters, among, is_true, number_true
from circuitdb.backends.neo4j.schema import ANALOGOUS_TO, MAPS_TO
from circuitdb.graph import EdgeKind
from circuitdb.pattern import model as p
from circuitdb.pattern.analysis import components, names_in
from circuitdb.pattern.differences import differences
from circuitdb.pattern.maps import ANALOG
from circuitdb.pattern.symmetry import Exclusion, Symmetry


@dataclass
class Frame(Expressions):
    """One body as a MATCH; what it does not know it asks the frame around it.

    `searched`: names of the models searched, None for all.
    """

    searched: tuple[str, ...] | None
    parameters: Parameters
    body: p.Body
    around: Frame | None = None
    where: list[c.Expression] = field(default_factory=list)
    _units: dict[str, str] = field(default_factory=dict)
    _relationships: dict[str, str] = field(default_factory=dict)
    _inside: dict[str, list[c.Expression]] = field(default_factory=dict)

    # what stands for units, edges and rows

    def bodies_around(self) -> list[p.Body]:
        """The bodies around this one, the outermost first."""
        return [] if self.around is None else [*self.around.bodies_around(), self.around.body]

    def unit(self, name: str) -> c.Variable:
        """The variable of a unit."""
        if name in self._units:
            return c.Variable(self._units[name])
        assert self.around is not None, name
        return self.around.unit(name)

    def relationship(self, name: str) -> c.Variable:
        """The variable of an edge or a map's row."""
        if name in self._relationships:
            return c.Variable(self._relationships[name])
        assert self.around is not None, name
        return self.around.relationship(name)

    def variables(self) -> list[str]:
        """All variables of this body."""
        return [*self._units.values(), *self._relationships.values()]

    def new(self, text: str) -> str:
        """A variable that is new in the whole query."""
        return c.variable_name(text, self.parameters.taken)

    # the body

    def build(self, symmetry: Symmetry | None = None) -> Frame:
        """Name the variables and collect the predicates."""
        for unit in self.body.units:
            self._units[unit.name] = self.new(unit.name)
            self._inside[self._units[unit.name]] = []
        for edge in self.body.edges:
            self._add_relationship(edge.name, edge.name if " " not in edge.name else "e")
            if edge.sign == "never" or (edge.skip and edge.sign != "any"):
                self.where.append(c.Constant(False))
        for row in self.body.rows:
            variable = self._add_relationship(row.name, "map" if row.map != ANALOG else "analog")
            if row.map == ANALOG:
                best = c.Operation("<=", (c.Property(variable, "rank"), self.parameters.bind(row.choices)))
                self._inside[variable.name].append(best)
            else:
                named = c.Operation("=", (c.Property(variable, "map"), self.parameters.bind(row.map)))
                self._inside[variable.name].append(named)
        self._keep_to_models()
        for unit in self.body.units:
            for layers in unit.layers:
                layer = c.Property(self.unit(unit.name), "layer")
                bound = [self.parameters.bind(name) for name in layers]
                self._inside[self._units[unit.name]].append(among(layer, bound))
        known = symmetry.orderings if symmetry is not None else ()
        for first, second in known:
            self.where.append(self._before(first, second))
        for first, second in differences(self.body, self.bodies_around(), known):
            self.where.append(c.Operation("<>", (self.unit(first), self.unit(second))))
        said = {condition for body in self.bodies_around() for condition in body.conditions}
        # A name of this body hides that of a body around, so that equal words say something else.
        own = {*self._units, *self._relationships, *(counted.unit for counted in self.body.counted)}
        for condition in self.body.conditions:
            if condition not in said or not names_in(condition).isdisjoint(own):
                self._add_condition(condition)
        for absent in self.body.absent:
            self.where.append(c.Prefix("NOT", self.fulfilled(absent)))
        for counted in self.body.counted:
            self.where.append(self._counted(counted))
        for choice in self.body.choices:
            self.where.append(self._choice(choice))
        for exclusion in symmetry.exclusions if symmetry is not None else ():
            self.where.append(self._excluded(exclusion))
        return self

    def matches(self) -> tuple[c.Match | c.CallSubquery | c.Projection, ...]:
        """The MATCH of the body; parts that nothing joins are matched one after the other.

        Subqueries in subqueries follow as columns of their own: among the conditions of a MATCH the server would plan
        them anew for every order of its relationships, which takes minutes for three levels.
        """
        parts = self._parts()
        conditions = _flat(self.where)
        deep = [condition for condition in conditions if _depth(condition) > 1] if parts else []
        where = c.conjunction(condition for condition in conditions if condition not in deep)
        columns = tuple(c.Column(condition, self.new("holds")) for condition in deep)
        kept = c.conjunction(c.Variable(column.name) for column in columns)
        later = (c.Projection("WITH", columns, where=kept, everything=True),) if deep else ()
        if len(parts) <= 1:
            return (*(c.Match(paths, where) for paths in parts), *later)
        clauses: list[c.Match | c.CallSubquery | c.Projection] = [c.Match(parts[0])]
        bound = list(dict.fromkeys((*self._outer_variables(), *_variables(parts[0]))))
        for i, paths in enumerate(parts[1:], 2):
            own = [name for name in _variables(paths) if name not in bound]
            inner = c.Match(paths, where if i == len(parts) else None)
            columns = tuple(c.Column(c.Variable(name), name) for name in own)
            clauses.append(c.CallSubquery(tuple(bound), c.Query((inner, c.Projection("RETURN", columns)))))
            bound += own
        return (*clauses, *later)

    def _outer_variables(self) -> list[str]:
        frame, names = self.around, []
        while frame is not None:
            names += frame.variables()
            frame = frame.around
        return names

    def fulfilled(self, body: p.Body) -> c.Expression:
        """Whether an inner body can be fulfilled; never null."""
        inner = Frame(self.searched, self.parameters, body, self).build()
        clauses = inner.matches()
        if not clauses:
            where = c.conjunction(_flat(inner.where))
            return c.Constant(True) if where is None else is_true(where)
        if len(clauses) == 1:
            return c.Subquery("EXISTS", c.Query(clauses))
        one = c.Projection("RETURN", (c.Column(c.Constant(1), "found"),))
        return c.Subquery("EXISTS", c.Query((*clauses, one)))

    def how_many(self, counted: p.Counted) -> c.Expression:
        """How many units fulfil a counted body."""
        inner = Frame(self.searched, self.parameters, counted.body, self).build()
        unit = inner.unit(counted.unit)
        only = c.Projection("RETURN", (c.Column(unit, unit.name),), distinct=True)
        return c.Subquery("COUNT", c.Query((*inner.matches(), only)))

    def units_of(self, counted: p.Counted) -> c.Expression:
        """The keys of the units that fulfil a counted body, in key order."""
        inner = Frame(self.searched, self.parameters, counted.body, self).build()
        unit = inner.unit(counted.unit)
        distinct = c.Projection("WITH", (c.Column(unit, unit.name),), distinct=True)
        order = (c.Order(c.Property(unit, "model")), c.Order(c.Property(unit, "position")))
        keys = c.Projection("RETURN", (c.Column(c.Property(unit, "key"), "unit_key"),), order=order)
        # RETURN with ORDER BY may order by what it does not return only where it keeps the variable.
        return c.Subquery("COLLECT", c.Query((*inner.matches(), distinct, keys)))

    def _add_relationship(self, name: str, text: str) -> c.Variable:
        variable = self.new(text)
        self._relationships[name] = variable
        self._inside[variable] = []
        return c.Variable(variable)

    def _before(self, first: str, second: str) -> c.Expression:
        a, b = (c.Property(self.unit(name), "position") for name in (first, second))
        return c.Operation("<", (a, b))

    def _add_condition(self, condition: p.Expression) -> None:
        """A condition on one edge or unit goes into its pattern, any other into WHERE."""
        for part in condition.operands if isinstance(condition, p.And) else (condition,):
            names = names_in(part)
            own = [self._relationships.get(n) or self._units.get(n) for n in names]
            resolved = self.condition(part)
            if len(own) == 1 and own[0] is not None and _depth(resolved) == 0:
                self._inside[own[0]].append(resolved)
            else:
                self.where.append(resolved)

    # paths

    def _parts(self) -> list[tuple[c.Path, ...]]:
        """The relationships as paths, in parts that units join; units without any as parts of their own."""
        types: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        for edge in self.body.edges:
            types[edge.name] = (edge.source, edge.target, _types(edge))
        for row in self.body.rows:
            types[row.name] = (row.source, row.target, (ANALOGOUS_TO if row.map == ANALOG else MAPS_TO,))
        left = dict(types)
        seen: set[str] = set()
        parts: list[tuple[set[str], list[c.Path]]] = []
        while left:
            first = next(iter(left))
            names = self._walk(first, left)
            path = self._path(names, types, seen)
            units = {end for name in names for end in types[name][:2]}
            joined = [part for part in parts if part[0] & units]
            for part in joined[1:]:
                parts.remove(part)
                joined[0][0].update(part[0])
                joined[0][1].extend(part[1])
            if joined:
                joined[0][0].update(units)
                joined[0][1].append(path)
            else:
                parts.append((units, [path]))
        for unit in self.body.units:
            if unit.name not in seen:
                parts.append(({unit.name}, [c.Path((self._node(unit.name, seen),), ())]))
        # What meets a unit of a body around needs no joining here.
        bound = [paths for units, paths in parts if not units <= set(self._units)]
        alone = [tuple(paths) for units, paths in parts if units <= set(self._units)]
        return [tuple(path for paths in bound for path in paths), *alone] if bound else alone

    def _walk(self, first: str, left: dict[str, tuple[str, str, tuple[str, ...]]]) -> list[str]:
        """Relationships, each of which continues at an end of the one before, taken out of `left`."""
        _, target, _ = left.pop(first)
        names, at = [first], target
        while True:
            onward = next((n for n, (a, b, _) in left.items() if at in (a, b)), None)
            if onward is None:
                return names
            a, b, _ = left.pop(onward)
            names.append(onward)
            at = b if a == at else a

    def _path(
        self, names: Sequence[str], types: Mapping[str, tuple[str, str, tuple[str, ...]]], seen: set[str]
    ) -> c.Path:
        source, _, _ = types[names[0]]
        at = source
        nodes = [self._node(at, seen)]
        relationships = []
        for name in names:
            a, b, kinds = types[name]
            forwards = a == at
            at = b if forwards else a
            variable = self._relationships[name]
            relationships.append(
                c.Relationship(variable, kinds, c.conjunction(_flat(self._inside[variable])), forwards)
            )
            nodes.append(self._node(at, seen))
        return c.Path(tuple(nodes), tuple(relationships))

    def _node(self, unit: str, seen: set[str]) -> c.Node:
        """The node of a unit, with its label and predicates where it is met for the first time."""
        variable = self.unit(unit).name
        if unit in seen or unit not in self._units:
            return c.Node(variable)
        seen.add(unit)
        return c.Node(variable, UNIT, c.conjunction(_flat(self._inside[variable])))

    # models

    def _keep_to_models(self) -> None:
        """Keep every part of the body that nothing joins to another in its model."""
        placed = {unit.name: unit.model for body in (*self.bodies_around(), self.body) for unit in body.units}
        done = {name for name in placed if name not in self._units}
        group = components(self.body)
        done = {group.get(name, name) for name in done}
        anchor = self._anchor()
        for unit in self.body.units:
            part = group.get(unit.name, unit.name)
            if part in done:
                continue
            done.add(part)
            model = c.Property(self.unit(unit.name), "model")
            inside = self._inside[self._units[unit.name]]
            if unit.model is not None:
                inside.append(c.Operation("=", (model, self.parameters.bind(unit.model))))
            elif anchor is not None:
                self.where.append(c.Operation("=", (model, c.Property(anchor, "model"))))
            else:
                anchor = self.unit(unit.name)
                self._keep_to_searched(unit)
                for end in self._ends():
                    if end != unit and group.get(end.name) == part:
                        self._keep_to_searched(end)

    def _keep_to_searched(self, unit: p.Unit) -> None:
        if self.searched is not None:
            model = c.Property(self.unit(unit.name), "model")
            named = among(model, [self.parameters.bind(name) for name in self.searched])
            self._inside[self._units[unit.name]].append(named)

    def _ends(self) -> list[p.Unit]:
        """Units to which one edge leads and from which none does. With the model said there too, the server starts at
        both ends of a chain and meets in the middle, without a look at other models. Where several edges meet it would
        take the last unit for a better start than it is.
        """
        sources = {edge.source for edge in self.body.edges}
        met = Counter(edge.target for edge in self.body.edges)
        return [u for u in self.body.units if met[u.name] == 1 and u.name not in sources and u.model is None]

    def _anchor(self) -> c.Variable | None:
        """A unit in the model searched, from a frame around this one."""
        frame = self.around
        while frame is not None:
            for unit in frame.body.units:
                if unit.model is None:
                    return frame.unit(unit.name)
            frame = frame.around
        return None

    # blocks

    def _counted(self, counted: p.Counted) -> c.Expression:
        if counted.quantity == "at least" and counted.count == 0:
            return c.Constant(True)
        if counted.quantity == "at least" and counted.count == 1:
            return self.fulfilled(counted.body)
        if counted.quantity != "at least" and counted.count == 0:
            return c.Prefix("NOT", self.fulfilled(counted.body))
        return self._quantity(counted.quantity, self.how_many(counted), counted.count)

    def _choice(self, choice: p.Choice) -> c.Expression:
        held = tuple(self.fulfilled(body) for body in choice.bodies)
        match choice.quantity, choice.count:
            case "at least", 0:
                return c.Constant(True)
            case "at least", 1:
                return c.Operation("OR", held)
            case "exactly" | "at most", 0:
                return c.Prefix("NOT", c.Operation("OR", held))
        return self._quantity(choice.quantity, number_true(held), choice.count)

    def _quantity(self, quantity: p.Quantity, number: c.Expression, count: float) -> c.Expression:
        operator = {"at least": ">=", "exactly": "=", "at most": "<="}[quantity]
        return c.Operation(operator, (number, self.parameters.bind(int(count))))

    def _excluded(self, exclusion: Exclusion) -> c.Expression:
        less = self._before(exclusion.lesser, exclusion.unit)
        return c.Prefix("NOT", c.Operation("AND", (less, self.fulfilled(exclusion.conditions))))


def _types(edge: p.Edge) -> tuple[str, ...]:
    if edge.skip:
        return (EdgeKind.SKIP.value,)
    both = (EdgeKind.EXCITES.value, EdgeKind.INHIBITS.value)
    return {"excites": both[:1], "inhibits": both[1:]}.get(edge.sign, both)


def _variables(paths: Sequence[c.Path]) -> list[str]:
    nodes = [node.variable for path in paths for node in path.nodes]
    relationships = [relationship.variable for path in paths for relationship in path.relationships]
    return list(dict.fromkeys((*nodes, *relationships)))


def _flat(conditions: Sequence[c.Expression]) -> list[c.Expression]:
    """Conditions with the operands of an AND among them taken apart."""
    parts: list[c.Expression] = []
    for condition in conditions:
        if isinstance(condition, c.Operation) and condition.operator == "AND":
            parts += _flat(condition.operands)
        else:
            parts.append(condition)
    return parts


def _depth(expression: object) -> int:
    """How deep subqueries lie in one another in an expression."""
    if isinstance(expression, c.Subquery):
        return 1 + _depth(expression.query)
    if isinstance(expression, tuple):
        return max(map(_depth, expression), default=0)
    return max(map(_depth, vars(expression).values()), default=0) if hasattr(expression, "__dict__") else 0
