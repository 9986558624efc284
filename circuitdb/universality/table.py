"""Which circuits of a motif come back in which models, beside what chance gives.

In come a store, a compiled query and models that were joined, out comes a table: motif by pair of models, and the
circuits that come back in all. A circuit comes back in another model as `find … analogous in` means it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from circuitdb.backends.base import Analogues, Limits, ModelGraph, Progress, Row, Store
from circuitdb.errors import InputError
from circuitdb.pattern import model as p
from circuitdb.statistics.nulls import EdgeNull
from circuitdb.universality.decoys import Decoys, permuted
from circuitdb.universality.edges import Edges, Lookup, Truths
from circuitdb.universality.recurrence import Copies, Found, Other, copies_of
from circuitdb.universality.signatures import Signatures, Whole, read_signatures

PERMUTED, DECOYS, REWIRED = "permuted matches", "decoys", "rewired edges"


@dataclass(frozen=True)
class Chance:
    """How many circuits come back under a null.

    circuits: those that the null speaks of; recurring: how many of them come back; counts: how many do in each sample.
    """

    circuits: int
    recurring: int
    counts: tuple[int, ...]

    @property
    def mean(self) -> float:
        """How many come back by chance."""
        return float(np.mean(self.counts))

    @property
    def p(self) -> float:
        """(1 + samples in which as many come back) / (1 + samples)."""
        return (1 + sum(count >= self.recurring for count in self.counts)) / (1 + len(self.counts))

    def as_row(self) -> Row:
        """The figures as a row."""
        sd = float(np.std(self.counts, ddof=1)) if len(self.counts) > 1 else None
        return {
            "circuits": self.circuits,
            "recurring": self.recurring,
            "expected": self.mean,
            "sd": sd,
            "excess": self.recurring - self.mean,
            "p": self.p,
        }


@dataclass(frozen=True)
class PairOfModels:
    """The circuits of model `a` in model `b`. copies: [circuit] the copy's units by name, or None."""

    motif: str
    a: str
    b: str
    circuits: int
    truncated: bool
    copies: Sequence[Mapping[str, str] | None]
    nulls: Mapping[str, Chance]

    @property
    def recurring(self) -> int:
        """How many circuits come back."""
        return sum(copy is not None for copy in self.copies)


@dataclass(frozen=True)
class Universality:
    """The table of a motif.

    in_all: by model its circuits that come back in all others, by model the units. remarks: what the numbers do not
    tell.
    """

    motif: str
    choices: int
    samples: int
    seed: int
    pairs: Sequence[PairOfModels]
    in_all: Mapping[str, Sequence[Mapping[str, Mapping[str, str]]]]
    remarks: tuple[str, ...] = ()

    def rows(self) -> list[Row]:
        """A row for each pair of models."""
        return [
            {
                "motif": pair.motif,
                "a": pair.a,
                "b": pair.b,
                "circuits": pair.circuits,
                "truncated": pair.truncated,
                "recurring": pair.recurring,
                "nulls": {name: null.as_row() for name, null in pair.nulls.items()},
            }
            for pair in self.pairs
        ]

    def to_dict(self) -> dict[str, Any]:
        """What `circuitdb universality --format json` prints."""
        return {
            "motif": self.motif,
            "analogues": self.choices,
            "samples": self.samples,
            "seed": self.seed,
            "pairs": self.rows(),
            "in_all": {
                model: [{name: dict(units) for name, units in circuit.items()} for circuit in circuits]
                for model, circuits in self.in_all.items()
            },
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class _Model:
    """A model's circuits, and what is needed to look for others' copies in it."""

    name: str
    graph: ModelGraph
    signatures: Signatures
    edges: Edges
    found: Found
    truncated: bool


def universality(
    store: Store,
    query: p.Query,
    models: Sequence[str],
    *,
    choices: int = 3,
    samples: int = 100,
    seed: int = 0,
    limit: int = 10_000,
    progress: Progress | None = None,
) -> Universality:
    """The table of a motif over all ordered pairs of models.

    Parameters
    ----------
    query
        The motif; its own models, order and limit do not count.
    models
        Two models or more, every two of them joined both ways.
    choices
        How many of its best analogues may stand for a unit.
    samples, seed
        How often each null is drawn, and from which seed.
    limit
        How many circuits of a model to look at, the strongest.

    Raises
    ------
    InputError
        If a model was not probed or two were not joined; the message names the command that mends it.
    """
    if len(set(models)) < 2:
        raise InputError("universality takes two models or more")
    if samples < 1 or limit < 1:
        raise InputError("universality takes 1 or more samples and circuits")
    signatures = read_signatures(store, models)
    analogues = read_analogues(store, signatures, choices)
    tell = progress or (lambda stage, done, total: None)
    there = []
    for number, one in enumerate(signatures, start=1):
        there.append(_model(store, query, one, limit))
        tell("searching", number, len(signatures))
    pairs: dict[tuple[str, str], PairOfModels] = {}
    done = 0

    def sampled() -> None:
        nonlocal done
        done += 1
        tell("chance", done, len(there) * samples)

    for other in there:
        joined = [one for one in there if one is not other]
        of_pair = {one.name: analogues[one.name, other.name] for one in joined}
        found = _pairs(query, joined, other, of_pair, samples, seed, sampled)
        pairs |= {(pair.a, pair.b): pair for pair in found}
    ordered = [pairs[a.name, b.name] for a in there for b in there if a is not b]
    return Universality(query.motif, choices, samples, seed, ordered, _in_all(there, pairs))


def read_analogues(
    store: Store, signatures: Sequence[Signatures], choices: int, *, both: bool = True
) -> dict[tuple[str, str], Whole]:
    """For every ordered pair of models the analogues [unit, choice] of the first's units, -1 for none.

    both: whether the pairs against the models' order are wanted too.

    Raises
    ------
    InputError
        If two models were not joined.
    """
    tables = {(one.source, one.target): one for one in store.analogues()}
    found = {}
    for place, a in enumerate(signatures):
        for b in signatures if both else signatures[place + 1 :]:
            if a is b:
                continue
            if (a.model, b.model) not in tables:
                mend = f"run: circuitdb join {a.model} {b.model} --db {store.address}"
                raise InputError(f"{a.model} was not joined with {b.model}; {mend}")
            found[a.model, b.model] = best_analogues(tables[a.model, b.model], a.units, choices)
    return found


def best_analogues(pair: Analogues, units: int, choices: int) -> Whole:
    """The best analogues [unit, choice] of a model's units in another, -1 for none."""
    columns = [np.asarray(pair.rows[name]).astype(np.int64) for name in ("source", "target", "rank")]
    source, target, rank = (column[columns[2] <= choices] for column in columns)
    chosen = np.full((units, choices), -1, dtype=np.int64)
    chosen[source, rank - 1] = target
    return chosen


def _model(store: Store, query: p.Query, signatures: Signatures, limit: int) -> _Model:
    own = replace(query, models=(signatures.model,), order=None, descending=False, limit=None)
    found = store.find(own, Limits(rows=limit, seconds=None))
    graph = store.read(signatures.model)
    rows = {key: row for row, key in enumerate(signatures.keys())}
    return _Model(
        signatures.model, graph, signatures, Edges.of(graph), Found.of(own, found.matches, rows), found.truncated
    )


def _pairs(
    query: p.Query,
    models: Sequence[_Model],
    other: _Model,
    analogues: Mapping[str, Whole],
    samples: int,
    seed: int,
    sampled: Callable[[], None],
) -> Iterator[PairOfModels]:
    """Every model's circuits in one other model; a rewired graph of that serves them all."""
    fits = other.edges.fitting(query)
    here = Other(other.edges, Lookup.of(other.edges), fits)
    observed = {one.name: copies_of(one.found, analogues[one.name], here) for one in models}
    counts: dict[tuple[str, str], list[int]] = {}
    random = {one.name: np.random.default_rng((seed, *one.name.encode(), 0, *other.name.encode())) for one in models}
    decoys = {
        one.name: Decoys.of(
            analogues[one.name], np.unique(one.found.units), one.signatures, other.signatures, random[one.name]
        )
        for one in models
    }
    null, walk = EdgeNull(other.graph), np.random.default_rng((seed, *other.name.encode()))
    hub = null.hub(walk)
    for _ in range(samples):
        rewired = replace(here, lookup=Lookup.of(other.edges, null.sample(hub, walk).source))
        for one in models:
            own, draw = analogues[one.name], random[one.name]
            for name, copies in (
                (PERMUTED, copies_of(one.found, permuted(own, one.signatures.layer_of(), draw), here)),
                (DECOYS, copies_of(one.found, decoys[one.name].drawn(draw), here)),
                (REWIRED, copies_of(one.found, own, rewired)),
            ):
                counts.setdefault((one.name, name), []).append(len(copies.circuit))
        sampled()
    for one in models:
        copies = observed[one.name]
        with_decoys: Truths = np.asarray(decoys[one.name].has()[one.found.units].all(axis=1))
        all_of_them = np.ones(len(one.found), dtype=bool)
        yield PairOfModels(
            query.motif,
            one.name,
            other.name,
            len(one.found),
            one.truncated,
            _named(one.found, copies, other.signatures.keys()),
            {
                name: _chance(counts[one.name, name], copies, with_decoys if name == DECOYS else all_of_them)
                for name in (PERMUTED, DECOYS, REWIRED)
            },
        )


def _chance(counts: Sequence[int], copies: Copies, spoken_of: Truths) -> Chance:
    return Chance(int(spoken_of.sum()), int(spoken_of[copies.circuit].sum()), tuple(counts))


def _named(found: Found, copies: Copies, keys: Sequence[str]) -> list[Mapping[str, str] | None]:
    named: list[Mapping[str, str] | None] = [None] * len(found)
    for circuit, units in zip(copies.circuit, copies.units, strict=True):
        named[circuit] = {name: keys[unit] for name, unit in zip(found.names, units, strict=True)}
    return named


def _in_all(
    models: Sequence[_Model], pairs: Mapping[tuple[str, str], PairOfModels]
) -> dict[str, list[Mapping[str, Mapping[str, str]]]]:
    in_all: dict[str, list[Mapping[str, Mapping[str, str]]]] = {}
    for one in models:
        keys, others = one.signatures.keys(), [other.name for other in models if other is not one]
        in_all[one.name] = []
        for number, units in enumerate(one.found.units):
            copies = [pairs[one.name, other].copies[number] for other in others]
            if all(copy is not None for copy in copies):
                own = {name: keys[unit] for name, unit in zip(one.found.names, units, strict=True)}
                there = {other: copy for other, copy in zip(others, copies, strict=True) if copy is not None}
                in_all[one.name].append({one.name: own, **there})
    return in_all
