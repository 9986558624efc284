"""Random queries over the whole motif language, as text, for one document of graphs.

A query is written around a *witness*: real units of the graph, of which most statements are made true, so that most
queries find something. Nothing here knows what a query means; the witness only makes good guesses.
"""

from __future__ import annotations

import random
from typing import Any

from tests.oracle_graphs import Document, Graphs, Record
from tests.random_conditions import GROUPS, Body, quoted
from tests.random_symmetric import Symmetric

QUANTITIES = (
    *(("at least", 1), ("at least", 1), ("at least", 2), ("at least", 0)),
    *(("exactly", 0), ("exactly", 1), ("exactly", 2)),
    *(("at most", 0), ("at most", 1), ("at most", 3), ("at most", 3)),
)


class Maker(Symmetric):
    """Writes queries on one document; `text` gives one."""

    def text(self) -> str:
        """A whole text."""
        self.parameters = {}
        self.names = 0
        self.used: list[str] = []
        self.has_motif = self.chance(0.45)
        model = self.rng.choice(self.models)
        if self.has_motif and self.chance(0.4):
            self.group, self.group_name = self.rng.choice(GROUPS), "T"
            self.parameters["T"] = self.group
        else:
            self.group = self.group_name = self.rng.choice(GROUPS)
        body = self.pattern(model)
        if self.chance(0.3):
            self.rng.shuffle(body.lines)
            body.lines.sort(key=lambda line: not line.startswith("use"))
        # A free `where` after a statement that can take one would belong to that statement.
        free = any(line.startswith("where") for line in body.lines)
        separator = "; " if free else self.rng.choice((" ", "\n  "))
        written = "{ " + separator.join(body.lines) + " }"
        return self.finished(written, body, model)

    # The pattern

    def pattern(self, model: str) -> Body:
        """Statements around a witness in this model."""
        body = Body()
        if self.chance(0.25):
            self.symmetric(body, model)
            self.names = 8
        if not body.units:
            self.start(body, model)
        elif self.chance(0.6):
            return body
        for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3, 4))):
            self.statement(body)
        for _ in range(self.rng.choice((0, 0, 1, 1, 2))):
            self.condition_statement(body)
        if self.chance(0.15):
            body.lines.append(f"score {self.number(body)}")
        return body

    def start(self, body: Body, model: str) -> None:
        units = self.graphs.units(model)
        if self.chance(0.15):
            self.use(body, model)
            if body.units and self.chance(0.6):
                return
        if self.chance(0.12):
            name = self.fresh()
            body.units[name] = self.rng.choice(units)
            body.lines.append(self.declaration(body, (name,)))
            if self.chance(0.6):
                return
        edges = [edge for *_, edge in self.graphs.network.edges(units, data=True) if edge["kind"] != "SKIP"]
        if not edges:
            name = self.fresh()
            body.units[name] = self.rng.choice(units)
            body.lines.append(f"unit {name}")
            return
        edge = self.rng.choice(edges)
        source, target = self.fresh(), self.fresh()
        body.units |= {source: edge["source"], target: edge["target"]}
        self.write_edge(body, source, target, edge)

    def fresh(self) -> str:
        self.names += 1
        return "abcdefghijklmnopqrstuvwxyz"[self.names - 1] if self.names <= 26 else f"u{self.names}"

    def statement(self, body: Body) -> None:
        choices = [
            (self.extend, 6),
            (self.close, 3),
            (self.fan, 1.5),
            (self.chain, 1),
            (self.mapped, 3),
            (self.analogue, 1.5),
            (self.nothing, 2),
            (self.counted, 2 if not body.inner else 0.6),
            (self.for_some, 1),
            (self.declare, 1),
            (self.equal, 0.4),
        ]
        if not body.inner:
            choices += [(self.for_all, 1.2), (self.mirrored, 2.5), (self.skip, 1)]
        makers, weights = zip(*choices, strict=True)
        if len(body.units) > 5:
            self.rng.choice((self.close, self.nothing, self.condition_statement))(body)
            return
        self.rng.choices(makers, weights)[0](body)

    def edges_of(self, key: str, skip: bool = False) -> list[Record]:
        network = self.graphs.network
        both = [*network.in_edges(key, data=True), *network.out_edges(key, data=True)]
        return [edge for *_, edge in both if (edge["kind"] == "SKIP") == skip]

    def arrow(self, edge: Record | None) -> str:
        if edge is None or self.chance(0.4) or self.chance(0.07):
            return self.rng.choice(("->", "->", "+>", "-|"))
        return "+>" if edge["kind"] == "EXCITES" else "-|"

    def write_edge(self, body: Body, source: str, target: str, edge: Record | None, before: str = "") -> None:
        arrow = "->" if before.startswith("skip") else self.arrow(edge)
        line = f"{before}{source} {arrow} {target}"
        if edge is not None and self.chance(0.3):
            name = f"e{len(body.edges) + 1}" + ("_" if body.inner else "")
            body.edges[name] = edge
            line += f" as {name}"
        if self.chance(0.3):
            line += f" where {self.condition(body, ('edge', edge or {}))}"
        body.lines.append(line)

    def extend(self, body: Body, skip: bool = False) -> None:
        """An edge from or to a unit that is there, to a new one mostly."""
        known = self.rng.choice(list(body.units))
        edges = self.edges_of(body.units[known], skip)
        if not edges:
            return
        edge = self.rng.choice(edges)
        other_end = "target" if edge["source"] == body.units[known] else "source"
        names = [name for name, key in body.units.items() if key == edge[other_end]]
        other = self.rng.choice(names) if names else self.fresh()
        if other == known:
            return
        body.units[other] = edge[other_end]
        ends = (known, other) if other_end == "target" else (other, known)
        self.write_edge(body, *ends, edge, "skip " if skip else "")

    def skip(self, body: Body) -> None:
        self.extend(body, skip=True)

    def close(self, body: Body) -> None:
        """An edge between two units that are there."""
        names = [
            (one, other)
            for one, key in body.units.items()
            for other, to in body.units.items()
            if one != other and self.graphs.network.has_edge(key, to, False)
        ]
        if names:
            one, other = self.rng.choice(names)
            self.write_edge(body, one, other, self.graphs.network[body.units[one]][body.units[other]][False])

    def fan(self, body: Body) -> None:
        """A set of sources or targets."""
        known = self.rng.choice(list(body.units))
        key = body.units[known]
        inward = self.chance(0.5)
        network = self.graphs.network
        near = set(network.predecessors(key) if inward else network.successors(key)) - set(body.units.values())
        near = {other for other in near if network.has_edge(*((other, key) if inward else (key, other)), False)}
        if len(near) < 2:
            return
        chosen = self.rng.sample(sorted(near), self.rng.choice((2, 2, min(3, len(near)))))
        names = [self.fresh() for _ in chosen]
        body.units |= dict(zip(names, chosen, strict=True))
        braces = "{" + ", ".join(names) + "}"
        arrow = self.rng.choice(("->", "->", "->", "+>", "-|"))
        line = f"{braces} {arrow} {known}" if inward else f"{known} {arrow} {braces}"
        if self.chance(0.3):
            line += f" where {self.condition(body, ('edge', self.edges_of(key)[0]))}"
        body.lines.append(line)

    def chain(self, body: Body) -> None:
        known = self.rng.choice(list(body.units))
        names, keys = [known], [body.units[known]]
        line = known
        for _ in range(2):
            further = [edge for edge in self.edges_of(keys[-1]) if edge["source"] == keys[-1]]
            further = [edge for edge in further if edge["target"] not in body.units.values()]
            if not further:
                return
            edge = self.rng.choice(further)
            names.append(self.fresh())
            keys.append(edge["target"])
            line += f" {self.arrow(edge)} {names[-1]}"
        body.units |= dict(zip(names, keys, strict=True))
        body.lines.append(line)

    def mapped(self, body: Body) -> None:
        """A unit and what a map makes of it."""
        written, name = self.map_name()
        known = self.rng.choice(list(body.units))
        row = self.graphs.maps.get((name, body.units[known]))
        if row is None:
            return
        term = f"{written}({known})"
        if row["target"] == body.units[known]:
            body.lines.append(self.with_row(body, f"{known} = {term}", "map", row))
            return
        if term in body.units:
            return
        same = [other for other, key in body.units.items() if key == row["target"] and "(" not in other]
        if same:
            line = f"{self.rng.choice(same)} = {term}"
        elif self.chance(0.3):
            other = self.fresh()
            body.units[other] = row["target"]
            line = f"{other} = {term}" if self.chance(0.7) else f"{term} = {other}"
        else:
            body.units[term] = row["target"]
            line = term
        body.lines.append(self.with_row(body, line, "map", row))

    def with_row(self, body: Body, line: str, kind: str, row: Record) -> str:
        if self.chance(0.2):
            name = f"r{len(body.rows) + 1}" + ("_" if body.inner else "")
            body.rows[name] = (kind, row)
            line += f" as {name}"
        if self.chance(0.25):
            line += f" where {self.condition(body, (kind, row))}"
        return line

    def mirrored(self, body: Body) -> None:
        """The image of an edge under a map, as in equivariance."""
        written, name = self.group_name, self.group
        pairs = []
        for one, key in body.units.items():
            for other, to in body.units.items():
                images = [self.graphs.maps.get((name, end), {}).get("target") for end in (key, to)]
                if None not in images and one != other and self.graphs.network.has_edge(key, to, False):
                    pairs.append((one, other, images))
        if not pairs or any("(" in name for name in body.units if self.chance(0.7)):
            return
        one, other, images = self.rng.choice(pairs)
        terms = f"{written}({one})", f"{written}({other})"
        if self.chance(0.3):
            terms = (terms[0], other) if self.chance(0.5) else (one, terms[1])
        edge = self.graphs.network.get_edge_data(*images, False)
        for term, image in zip(terms, images, strict=True):
            if term not in body.units:
                body.units[term] = str(image)
        self.write_edge(body, *terms, edge)

    def model_text(self, model: str) -> str:
        return model if model.isascii() and model.isidentifier() and self.chance(0.6) else quoted(model)

    def analogue(self, body: Body) -> None:
        """The analogue of a unit in another model, and maybe an edge there."""
        rank = self.rng.choice((1, 1, 2, 3))
        known = [
            (name, row)
            for name, key in body.units.items()
            for model in self.models
            for row in self.graphs.analogues.get((key, model), [])
            if row["rank"] <= rank
        ]
        if not known or (body.inner and self.chance(0.5)):
            return
        name, row = self.rng.choice(known)
        model = self.model_text(row["target"].split("/")[0])
        if self.has_motif and self.chance(0.4):
            model = self.parameter("other", model)
        written = "analog" if rank == 1 and self.chance(0.7) else f"analog({rank})"
        term = f"{written}({name}, {model})"
        if term in body.units or any(term.count("analog") and "analog" in other for other in body.units):
            return
        body.units[term] = row["target"]
        line = term
        if self.chance(0.4):
            other = self.fresh()
            body.units[other] = row["target"]
            line = f"{other} = {term}"
        body.lines.append(self.with_row(body, line, "analogue", row))

    def equal(self, body: Body) -> None:
        """Two names for one unit."""
        name = self.rng.choice(list(body.units))
        other = self.fresh()
        body.units[other] = body.units[name]
        body.lines.append(f"{name} = {other}" if self.chance(0.5) else f"{other} = {name}")
        if self.chance(0.7):
            self.extend(body)

    def nothing(self, body: Body) -> None:
        """`no`: one edge statement, or braces."""
        known = self.rng.choice(list(body.units))
        edges = self.edges_of(body.units[known])
        if self.chance(0.6) or not edges:
            others = [name for name in body.units if name != known]
            other = self.fresh() if not others or self.chance(0.6) else self.rng.choice(others)
            ends = (known, other) if self.chance(0.6) else (other, known)
            arrow = self.rng.choice(("->", "+>", "-|"))
            before = "skip " if self.chance(0.15) else ""
            line = f"no {before}{ends[0]} {'->' if before else arrow} {ends[1]}"
            if self.chance(0.7):
                line += f" where {self.condition(body, ('edge', edges[0] if edges else {}))}"
            body.lines.append(line)
            return
        inner = body.inside()
        self.extend(inner)
        for _ in range(self.rng.choice((0, 1, 2))):
            self.statement(inner)
        if self.chance(0.8):
            self.condition_statement(inner)
        if inner.lines:
            body.lines.append("no { " + "; ".join(inner.lines) + " }")

    def counted(self, body: Body) -> None:
        """`at least k x { … }` around a neighbour."""
        known = self.rng.choice(list(body.units))
        edges = self.edges_of(body.units[known])
        if not edges:
            return
        edge = self.rng.choice(edges)
        inner = body.inside()
        name = self.rng.choice(("host", "x", self.fresh()))
        if name in body.counted:
            name = self.fresh()
        far = "target" if edge["source"] == body.units[known] else "source"
        inner.units[name] = edge[far]
        self.write_edge(inner, *((known, name) if far == "target" else (name, known)), edge)
        for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2))):
            self.statement(inner)
        if self.chance(0.3):
            self.condition_statement(inner)
        if self.chance(0.3):
            inner.lines.append(f"every edge where {self.condition(inner, ('edge', edge))}")
        quantity, count = self.rng.choice(QUANTITIES)
        number = self.parameter("k", str(count)) if self.has_motif and self.chance(0.3) else str(count)
        body.lines.append(f"{quantity} {number} {name} {{ " + "; ".join(inner.lines) + " }")
        if not body.inner:
            body.counted.append(name)

    def for_all(self, body: Body) -> None:
        """`for` without a quantity, over units that are there."""
        one, other = self.two_ends(body)
        if one is None or other is None or sum("(" in name for name in body.units) > 2:
            return
        group = self.rng.choice((self.group_name, self.group_name, "flip", "negate"))
        ends = (f"g({one})", f"g({other})" if self.chance(0.7) else other)
        line = f"{ends[0]} {self.rng.choice(('->', '->', '+>', '-|'))} {ends[1]}"
        if self.chance(0.3):
            line += f" where {self.condition(body, ('edge', {'share': 0.0}))}"
        elements = {"rotate(90)": 4, "hue(120)": 3}.get(self.group if group == self.group_name else group, 2)
        for k in range(elements - 1):
            body.units[f"(g{k}({one}"] = body.units[one]
        body.lines.append(f"for g in {group} {{ {line} }}")
        for k in range(elements - 1):
            del body.units[f"(g{k}({one}"]

    def two_ends(self, body: Body) -> tuple[str | None, str | None]:
        pairs = [
            (one, other)
            for one, key in body.units.items()
            for other, to in body.units.items()
            if "(" not in one + other and one != other and self.graphs.network.has_edge(key, to, False)
        ]
        return self.rng.choice(pairs) if pairs else (None, None)

    def for_some(self, body: Body) -> None:
        """`for` with a quantity."""
        one, other = self.two_ends(body)
        if one is None or other is None:
            return
        group = self.rng.choice((self.group_name, self.group_name, "flip", "rotate(90)", "rotate(120)"))
        inner = body.inside()
        ends = (f"g({one})", self.rng.choice((f"g({other})", other)))
        inner.lines.append(f"{ends[0]} {self.rng.choice(('->', '->', '+>', '-|'))} {ends[1]}")
        if self.chance(0.4):
            inner.lines[0] += f" where {self.condition(body, ('edge', {'share': 0.0}))}"
        if self.chance(0.2):
            inner.lines.append(f"no g({one}) -| {other}")
        quantity = self.rng.choice(("at least 1", "at least 2", "at least 0", "exactly 1", "at most 1", "at most 3"))
        body.lines.append(f"for g in {group} {quantity} {{ " + "; ".join(inner.lines) + " }")

    def declare(self, body: Body) -> None:
        names = [name for name in body.units if "(" not in name and "." not in name]
        if names:
            body.lines.append(self.declaration(body, self.rng.sample(names, self.rng.choice((1, min(2, len(names)))))))

    def declaration(self, body: Body, names: Any) -> str:
        line = "unit " + ", ".join(names)
        layers = {body.units[name].split("/")[1].split(":")[0] for name in names}
        if self.chance(0.6):
            if self.chance(0.4):
                layers.add(self.rng.choice(self.layers))
            line += " in " + ", ".join(self.layer_text(layer) for layer in sorted(layers))
        if self.chance(0.5):
            line += f" where {self.condition(body, ('unit', self.graphs.network.nodes[body.units[names[0]]]))}"
        return line

    def layer_text(self, layer: str) -> str:
        return layer if layer.isascii() and layer.isidentifier() and self.chance(0.5) else quoted(layer)

    def use(self, body: Body, model: str) -> None:
        """A motif inside the motif."""
        outer = self.names, self.has_motif, self.parameters, self.group_name
        self.names, self.has_motif, self.parameters, self.group_name = 0, False, {}, self.group
        inner = Body()
        edges = [edge for *_, edge in self.graphs.network.edges(self.graphs.units(model), data=True)]
        edges = [edge for edge in edges if edge["kind"] != "SKIP"]
        if edges:
            edge = self.rng.choice(edges)
            inner.units |= {"p": edge["source"], "q": edge["target"]}
            inner.lines.append(f"p {self.arrow(edge)} q as e where share >= low")
            if self.chance(0.4):
                inner.lines.append(f"every edge where {self.condition(inner, ('edge', edge))}")
            if self.chance(0.4):
                self.counted(inner) if self.chance(0.3) else self.extend(inner)
            if self.chance(0.5):
                row = self.graphs.maps.get((self.group, edge["source"]))
                if row is not None and row["target"] != edge["source"]:
                    inner.lines.append("V(p) -> q" if self.chance(0.5) else "V(p)")
            if self.chance(0.3):
                inner.lines.append("score 1")
        self.names, self.has_motif, self.parameters, self.group_name = outer
        if not edges:
            return
        name = f"part{len(self.used)}"
        group = self.group if self.group_name == "T" else self.rng.choice(GROUPS)
        self.used.append(f"motif {name}(low = 0, V = {group}) {{ " + "; ".join(inner.lines) + " }")
        arguments = self.rng.choice(("", f"(V = {self.group_name})", "(low = 0)", f"(low = 0.125, V = {group})"))
        body.lines.append(f"use {name}{arguments} as m{len(self.used)}")
        for unit, key in inner.units.items():
            if "(" not in unit:
                body.units[f"m{len(self.used)}.{unit}"] = key
        body.edges[f"m{len(self.used)}.e"] = edge

    def condition_statement(self, body: Body) -> None:
        choices = ["where", "where", "every", "declare"]
        match self.rng.choice(choices):
            case "where":
                body.lines.append(f"where {self.condition(body, None)}")
            case "every":
                edges = list(body.edges.values()) or [{"share": 0.125, "weight": 0.25, "rank_in": 2}]
                body.lines.append(f"every edge where {self.condition(body, ('edge', self.rng.choice(edges)))}")
            case _:
                self.declare(body)

    # The rest of the text

    def finished(self, written: str, body: Body, model: str) -> str:
        rest = ""
        if self.chance(0.35):
            models = (
                [model] if self.chance(0.7) else self.rng.sample(self.models, self.rng.randint(1, len(self.models)))
            )
            rest += " in " + ", ".join(self.model_text(name) for name in models)
        if self.chance(0.2):
            rest += f" where {self.condition(body, None)}"
        if self.chance(0.35):
            by = self.rng.choice(
                (
                    self.number(body),
                    self.number(body),
                    f"{self.rng.choice(self.values(body))}.layer",
                    "key",
                    "key",
                    f"{self.number(body)} > 1",
                )
            )
            rest += f" order by {by}" + self.rng.choice(("", " asc", " desc"))
        if self.chance(0.3):
            rest += f" limit {self.rng.choice((0, 1, 2, 5, 20))}"
        every = "all " if self.chance(0.15) else ""
        before = "\n".join(self.used) + ("\n" if self.used else "")
        if not self.has_motif:
            return f"{before}find {every}{written}{rest}"
        given = {name: value for name, value in self.parameters.items() if self.chance(0.3)}
        defaults = {
            name: "1" if name in given and value[0].isdigit() else value for name, value in self.parameters.items()
        }
        head = ", ".join(f"{name} = {value}" for name, value in defaults.items())
        motif = f"{before}motif searched({head}) {written}\n"
        if not rest and not given and not every and self.chance(0.5):
            return motif
        arguments = ", ".join(f"{name} = {value}" for name, value in given.items())
        return f"{motif}find {every}searched{f'({arguments})' if arguments else ''}{rest}"


def random_queries(rng: random.Random, document: Document, graphs: Graphs, count: int) -> list[str]:
    """So many queries on one document."""
    maker = Maker(rng, document, graphs)
    return [maker.text() for _ in range(count)]
