"""Random conditions and numbers in the motif language, as text, for a pattern with a witness.

In comes a `Body`, the names known where an expression is to stand with the records that witness them; out comes text
that is likely to be true of the witness.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from tests.oracle_graphs import Document, Graphs, Record

GROUPS = ("flip", "flip", "negate", "rotate(90)", "rotate(180)", "hue(120)", "flip_vertical")
EDGE_NUMBERS = (
    "weight",
    "strength",
    "share",
    "share",
    "rank_in",
    "rank_out",
    "top",
    "bottom",
    "left",
    "coherence",
    "dx",
)
UNIT_NUMBERS = ("depth", "index", "bias", "mean")
UNIT_TEXTS = ("layer", "model", "key", "branch", "kind", "label", "label")
WORDS = ("curve", "dog", "3x3")


@dataclass
class Body:
    """What is known where statements are being written: witnesses by name, edges and rows by their names."""

    units: dict[str, str] = field(default_factory=dict)
    edges: dict[str, Record] = field(default_factory=dict)
    rows: dict[str, tuple[str, Record]] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    inner: bool = False

    def inside(self) -> Body:
        """The same names, in a block."""
        return Body(dict(self.units), dict(self.edges), dict(self.rows), inner=True)


class Conditions:
    """Writes expressions on one document.

    `group` is the map that a query is mostly about and `group_name` what its text calls it; `parameters` are those of
    the motif being written, by name.
    """

    def __init__(self, rng: random.Random, document: Document, graphs: Graphs) -> None:
        self.rng, self.graphs = rng, graphs
        self.models = [model["name"] for model in document["models"]]
        self.layers = sorted({layer["name"] for layer in document["layers"]})
        self.parameters: dict[str, str] = {}
        self.has_motif = False
        self.group = self.group_name = GROUPS[0]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def map_name(self) -> tuple[str, str]:
        """A map as the text writes it, and as the graph does."""
        if self.chance(0.7):
            return self.group_name, self.group
        written = self.rng.choice((*GROUPS, "rotate(270)", "rotate(-90)"))
        return written, "rotate(270)" if written == "rotate(-90)" else written

    def condition(self, body: Body, bare: tuple[str, Record] | None, depth: int = 0) -> str:
        """A condition that is likely to be true."""
        chance = self.rng.random()
        if depth < 2 and chance < 0.1:
            return f"{self.condition(body, bare, depth + 1)} and {self.condition(body, bare, depth + 1)}"
        if depth < 2 and chance < 0.2:
            return f"({self.condition(body, bare, depth + 1)} or {self.condition(body, bare, depth + 1)})"
        if depth < 2 and chance < 0.27:
            return f"not ({self.condition(body, bare, depth + 1)})"
        if bare is not None and self.chance(0.75):
            return self.on_record(body, *bare, prefix="")
        return self.free(body, aggregates=bare is None)

    def on_record(self, body: Body, kind: str, record: Record, prefix: str) -> str:
        """A condition on one record's property, made true mostly by looking at the record."""
        chance = self.rng.random()
        if kind == "unit" and chance < 0.55:
            return self.on_text(prefix, record, self.rng.choice(UNIT_TEXTS))
        if kind == "analogue" and chance < 0.3:
            return self.on_text(prefix, record, "method")
        if kind in ("map", "analogue") and chance < 0.6:
            return self.rng.choice((f"{prefix}mutual", f"not {prefix}mutual", f"{prefix}mutual = true"))
        numbers = {"unit": UNIT_NUMBERS, "edge": EDGE_NUMBERS, "map": ("score", "self_score")}.get(
            kind, ("rank", "score")
        )
        name = self.rng.choice(numbers)
        value = record.get(name)
        if value is None or self.chance(0.07):
            return (
                f"{prefix}{name} {self.rng.choice(('=', '!='))} missing" if self.chance(0.5) else f"{prefix}{name} > -1"
            )
        return f"{prefix}{name} {self.compared_to(float(value))}"

    def compared_to(self, value: float) -> str:
        operator = self.rng.choice((">=", "<=", ">", "<", "=", "!="))
        if self.chance(0.85):
            value += {">": -0.25, "<": 0.25, "!=": 1}.get(operator, 0)
        return f"{operator} {self.literal(value)}"

    def literal(self, value: float) -> str:
        written = f"{value:g}"
        if self.has_motif and value >= 0 and self.chance(0.2):
            return self.parameter("v", written)
        return written

    def parameter(self, name: str, value: str) -> str:
        if self.parameters.setdefault(name, value) != value:
            name = f"{name}{len(self.parameters)}"
            self.parameters[name] = value
        return name

    def on_text(self, prefix: str, record: Record, name: str) -> str:
        values = record.get("labels", []) if name == "label" else [record[name]] if record.get(name) is not None else []
        if not values or self.chance(0.05):
            return f"{prefix}{name} {self.rng.choice(('=', '='))} missing"
        value = self.rng.choice(values)
        match self.rng.choice(("=", "!=", "~", "~", "in", "<")):
            case "=":
                return f"{prefix}{name} = {self.text_literal(value)}"
            case "!=":
                return f"{prefix}{name} != {self.text_literal(self.rng.choice(('curve', 'L0')))}"
            case "~":
                start = self.rng.randrange(len(value) + 1)
                part = value[start : start + self.rng.choice((1, 2, 4))]
                if self.chance(0.5):
                    part = self.rng.choice((part.upper(), part.lower(), part.swapcase()))
                return f"{prefix}{name} ~ {self.text_literal(part)}"
            case "in":
                return f"{prefix}{name} in [{quoted(value)}, {quoted('dog')}]"
        return f"{prefix}{name} {self.rng.choice(('<=', '>=', '<', '>'))} {quoted(value)}"

    def text_literal(self, value: str) -> str:
        if self.has_motif and self.chance(0.2):
            return self.parameter("w", value if value in WORDS and value.isidentifier() else quoted(value))
        return quoted(value)

    def free(self, body: Body, *, aggregates: bool) -> str:
        """A condition on anything that has a name."""
        units = self.values(body)
        one, other = self.rng.choice(units), self.rng.choice(units)
        keys = [name for name in units if "analog(" not in name]
        choices = [
            lambda: self.on_record(body, "unit", self.graphs.network.nodes[body.units[one]], f"{one}."),
            lambda: self.on_record(body, "unit", self.graphs.network.nodes[body.units[one]], f"{one}."),
            lambda: (
                f"{one}.{self.rng.choice(('layer', 'depth', 'label'))} "
                f"{self.rng.choice(('=', '!='))} {other}.{self.rng.choice(('layer', 'depth', 'label'))}"
            ),
            lambda: f"{one}.index {self.rng.choice(('<', '<=', '!='))} {other}.index + 1",
            lambda: f"{one} {self.rng.choice(('=', '!='))} {other}",
            lambda: f"{self.term(keys or units)} {self.rng.choice(('=', '!='))} {self.rng.choice((one, 'missing'))}",
            lambda: (
                f"{self.term(keys or units)}.{self.rng.choice(('layer', 'label', 'branch'))} "
                f"{self.rng.choice(('= missing', '!= missing', '= ' + quoted(self.rng.choice(self.layers))))}"
            ),
            lambda: (
                f"{self.number(body, aggregates=aggregates)} {self.rng.choice(('>', '<=', '!='))} "
                f"{self.rng.choice(('0', '0.3', '-0.3', '1', '2'))}"
            ),
        ]
        if body.edges:
            edge = self.rng.choice(list(body.edges))
            choices += [lambda: self.on_record(body, "edge", body.edges[edge], f"{edge}.")] * 3
            choices += [lambda: f"sign({edge}) {self.rng.choice(('=', '='))} sign({self.rng.choice(list(body.edges))})"]
            choices += [
                lambda: f"{self.agreement(body)} {self.rng.choice(('>', '<'))} {self.rng.choice((0.3137, -0.2719))}"
            ]
            choices += [lambda: f"{self.agreement(body)} {self.rng.choice(('=', '!='))} missing"]
        if body.rows:
            row = self.rng.choice(list(body.rows))
            choices += [lambda: self.on_record(body, *body.rows[row], f"{row}.")] * 2
        for _ in range(4):
            condition = self.rng.choice(choices)()
            if not self._compares_kinds(condition):
                return condition
        return f"{one}.depth >= 0"

    def _compares_kinds(self, condition: str) -> bool:
        """A layer or label against a depth is a mistake."""
        kinds = [
            word.split(".")[-1] for word in condition.split() if word.split(".")[-1] in ("layer", "depth", "label")
        ]
        return len(kinds) == 2 and "depth" in kinds and kinds[0] != kinds[1]

    def values(self, body: Body) -> list[str]:
        """The names and terms that may stand in expressions; a choice of analogues may not."""
        return [name for name in body.units if not name.startswith(("analog(2)", "analog(3)"))]

    def term(self, units: list[str]) -> str:
        name = self.rng.choice(units)
        if len(self.models) > 1 and self.chance(0.2):
            return f"analog({name}, {quoted(self.rng.choice(self.models))})"
        term = f"{self.map_name()[0]}({name})"
        return f"{self.map_name()[0]}({term})" if self.chance(0.15) else term

    def agreement(self, body: Body) -> str:
        def kernel() -> str:
            name = self.rng.choice(list(body.edges))
            if self.chance(0.6):
                applied = self.rng.choice((self.group_name, "flip", "rotate(90)", "rotate(45)", "flip_vertical"))
                name = f"{applied}({name})"
            return f"rotate(180)({name})" if self.chance(0.1) else name

        return f"agreement({kernel()}, {kernel()})"

    def number(self, body: Body, *, aggregates: bool = True, depth: int = 0) -> str:
        """A number from anything that has a name."""
        unit = self.rng.choice(self.values(body))
        aggregated = self.rng.choice(("share", "weight", "abs(weight)", "rank_in * 2", "strength - share", "top"))
        choices = [f"{unit}.{self.rng.choice(UNIT_NUMBERS)}", f"{unit}.depth"]
        if aggregates:
            choices += [f"{self.rng.choice(('min', 'max', 'sum', 'count'))}({aggregated})"] * 2
            choices += [f"count({self.rng.choice(('weight > 0', 'share >= 0.25', 'top = missing', 'rank_in <= 1'))})"]
            if body.counted:
                choices += [f"count({self.rng.choice(body.counted)})"]
        if body.edges:
            edge = self.rng.choice(list(body.edges))
            choices += [f"{edge}.{self.rng.choice(EDGE_NUMBERS)}", f"sign({edge})", f"sign({edge}.weight)"]
        if body.rows:
            row = self.rng.choice(list(body.rows))
            choices += [f"{row}.score"]
        if depth < 2 and self.chance(0.3):
            one, other = (self.number(body, aggregates=aggregates, depth=depth + 1) for _ in range(2))
            operator = self.rng.choice(("+", "-", "*", "/"))
            composed = (f"({one} {operator} {other})", f"min({one}, {other})", f"max({one}, {other}, 0.5)")
            return self.rng.choice((*composed, f"abs({one})", f"-({one})"))
        return self.rng.choice(choices)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
