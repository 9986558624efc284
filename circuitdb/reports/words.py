"""A query in words, what its motif's file says about it, and the coefficients of a direction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from circuitdb.language.library import library_files
from circuitdb.pattern import model as p
from circuitdb.pattern.describe import conditions_asked, text_of

_VERBS = {"any": "is wired to", "excites": "excites", "inhibits": "inhibits", "never": "excites and inhibits"}
_DESCRIPTION = re.compile(r'"""(.*?)"""', re.DOTALL)


def in_words(body: p.Body) -> Iterator[str]:
    """What a body asks for, a sentence without its full stop for each part."""
    for unit in body.units:
        for layers in unit.layers:
            yield f"{unit.name} lies in {' or '.join(layers)}"
    for row in body.rows:
        yield _row(row)
    for edge in body.edges:
        yield f"{edge.source} {_VERBS[edge.sign]} {edge.target}{' through a skip' if edge.skip else ''}"
    yield from conditions(body)
    for absent in body.absent:
        yield f"there is nothing for which {_all(absent)}"
    for counted in body.counted:
        yield f"{counted.quantity} {counted.count:g} units {counted.unit} are such that {_all(counted.body)}"
    for choice in body.choices:
        yield f"{choice.quantity} {choice.count:g} of these hold: {'; or '.join(map(_all, choice.bodies))}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def conditions(body: p.Body) -> Iterator[str]:
    """The conditions of a body; one that holds for each of its edges, or for each that `use` wrote out, stands once."""
    asked = list(conditions_asked(body))
    alike: dict[str, set[str]] = {}
    for condition in asked:
        if (edge := _only_edge(condition)) is not None:
            alike.setdefault(_of_any_edge(condition, edge), set()).add(edge)
    common = {text: _in_common(edges, body) for text, edges in alike.items()}
    told: set[str] = set()
    for condition in asked:
        edge = _only_edge(condition)
        text = "" if edge is None else _of_any_edge(condition, edge)
        whose, covered = common.get(text, ("", frozenset()))
        if edge not in covered:
            yield text_of(condition)
        elif text not in told:
            told.add(text)
            yield f"every edge{whose} has {text}"


def _in_common(edges: set[str], body: p.Body) -> tuple[str, frozenset[str]]:
    """Of these edges those that are all of a body, or else all of some of the motifs that it uses, with the words that
    say so; none where these are fewer than two."""
    if edges == {edge.name for edge in body.edges}:
        return "", frozenset(edges if len(edges) > 1 else ())
    of_uses: dict[str, set[str]] = {}
    for edge in body.edges:
        for use in _uses(edge.source) & _uses(edge.target):
            of_uses.setdefault(use, set()).add(edge.name)
    whole = [use for use, own in of_uses.items() if own <= edges]
    whole = sorted(use for use in whole if use.rpartition(".")[0] not in whole)
    covered = frozenset(name for use in whole for name in of_uses[use])
    return (f" of {listed(whole)}", covered) if len(covered) > 1 else ("", frozenset())


def _uses(unit: str) -> set[str]:
    """The names of the `use` statements that wrote a unit: `a` and `a.b` of `a.b.low`."""
    parts = unit.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts))}


def _only_edge(condition: p.Expression) -> str | None:
    """The edge of which alone a condition speaks, by its properties alone."""
    inner = list(p.subexpressions(condition))
    edges = {part.edge for part in inner if isinstance(part, p.EdgeProperty)}
    others = p.UnitValue | p.MapValue | p.RowProperty | p.EdgeSign | p.Agreement | p.ListLength
    return edges.pop() if len(edges) == 1 and not any(isinstance(part, others) for part in inner) else None


def _of_any_edge(condition: p.Expression, edge: str) -> str:
    return text_of(condition).replace(f"({edge})." if " " in edge else f"{edge}.", "")


def _all(body: p.Body) -> str:
    return ", and ".join(in_words(body))


def _row(row: p.MapRow) -> str:
    if row.model is not None:
        which = "the best analogue" if row.choices == 1 else f"one of the {row.choices} best analogues"
        return f"{row.target} is {which} of {row.source} in {row.model}"
    if row.source == row.target:
        return f"{row.source} stays itself under {row.map}"
    return f"{row.target} is what {row.source} becomes under {row.map}"


def motif_text(query_text: str, motif: str) -> str | None:
    """The text of the library's motif that a query names, or None where the query's own text holds the motif."""
    if re.search(rf"\bmotif\s+{re.escape(motif)}\b", query_text):
        return None
    return next((path.read_text(encoding="utf-8") for path in library_files() if path.stem == motif), None)


def description(text: str) -> list[tuple[bool, str]]:
    """The paragraphs between triple quotes before a motif; each says whether it is a drawing made of characters."""
    found = _DESCRIPTION.search(text)
    if found is None:
        return []
    paragraphs = [part.strip("\n") for part in re.split(r"\n\s*\n", found[1].strip())]
    drawn = [part.startswith("    ") for part in paragraphs]
    return [(d, part if d else " ".join(part.split())) for d, part in zip(drawn, paragraphs, strict=True)]


def strongest_coefficients(coefficients: Sequence[float], at_most: int = 6) -> str:
    """The strongest coefficients in words, as `+0.8 of 447, -0.6 of 12`, and how many more there are."""
    order = sorted((i for i, value in enumerate(coefficients) if value), key=lambda i: (-abs(coefficients[i]), i))
    shown = ", ".join(f"{coefficients[i]:+.3g} of {i}" for i in order[:at_most])
    return shown + (f" and {len(order) - at_most:,} more" if len(order) > at_most else "")
