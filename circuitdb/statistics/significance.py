"""How often chance alone would give as many circuits as a model holds.

In come a model's graph, a query and a null, out comes a `Significance`: the observed number beside the numbers in the
null's samples, and, for the strongest circuits, how many of their score chance gives. Samples are drawn and counted on
all cores; each has a random stream of its own, so that a seed gives the same numbers on any number of cores.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from circuitdb.backends.base import ModelGraph, Progress
from circuitdb.circuits import Circuit
from circuitdb.errors import InputError
from circuitdb.pattern import model as p
from circuitdb.pattern.keeping import lacking_maps, maps_needed
from circuitdb.pattern.maps import ANALOG
from circuitdb.statistics.nulls import OBSERVED, EdgeNull, MapNull, Null, Sample
from circuitdb.statistics.sampled import Counter, StoppedError, prepared
from circuitdb.transfer import canonical

NullName = Literal["edges", "maps"]
NULLS: tuple[NullName, ...] = ("edges", "maps")
MOST_SAMPLES = 1_000_000
QUANTILES = (0.0, 0.025, 0.25, 0.5, 0.75, 0.975, 1.0)

Reals = npt.NDArray[np.float64]
Result = TypeVar("Result")


@dataclass(frozen=True)
class CircuitChance:
    """A circuit that was found, and how many as strong chance gives.

    expected: the mean number of circuits of its score or more in a sample. p: (1 + samples with any such circuit) /
    (1 + samples). q: the part of the circuits of its score or more that chance is expected to give (false discovery
    rate, Benjamini and Hochberg 1995).
    """

    circuit: Circuit
    expected: float
    p: float
    q: float

    def to_dict(self) -> dict[str, Any]:
        """The circuit as one object of the command's JSON."""
        return self.circuit.to_dict() | {"expected": self.expected, "p": self.p, "q": self.q}


@dataclass(frozen=True)
class Significance:
    """The number of circuits in a model beside the numbers in samples of a null.

    counts: [sample]. free: how many edges, or rows of maps, the null can move. way: how circuits were counted.
    """

    query: str
    motif: str
    model: str
    store: str
    keep: str
    null: str
    keeps: str
    seed: int
    observed: int
    counts: tuple[int, ...]
    free: int
    way: str
    seconds: float
    circuits: tuple[CircuitChance, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def samples(self) -> int:
        """How many samples were drawn."""
        return len(self.counts)

    @property
    def null_mean(self) -> float:
        """Mean number of circuits in a sample."""
        return float(np.mean(self.counts))

    @property
    def null_sd(self) -> float:
        """Standard deviation of the number in a sample, of n - 1; 0 for a single sample."""
        return float(np.std(self.counts, ddof=1)) if self.samples > 1 else 0.0

    @property
    def z(self) -> float | None:
        """Standard deviations by which the observed number is above the null's mean; None where they are 0."""
        return (self.observed - self.null_mean) / self.null_sd if self.null_sd > 0 else None

    @property
    def p(self) -> float:
        """(1 + samples with at least the observed number) / (1 + samples), the chance of as many or more."""
        return (1 + sum(count >= self.observed for count in self.counts)) / (1 + self.samples)

    @property
    def p_fewer(self) -> float:
        """The same for as few or fewer."""
        return (1 + sum(count <= self.observed for count in self.counts)) / (1 + self.samples)

    @property
    def quantiles(self) -> dict[str, float]:
        """Quantiles of the number in a sample."""
        return {f"{q:g}": float(np.quantile(self.counts, q)) for q in QUANTILES}

    def to_dict(self) -> dict[str, Any]:
        """What `circuitdb test --format json` prints."""
        return {
            "query": self.query,
            "motif": self.motif,
            "model": self.model,
            "store": self.store,
            "observed": self.observed,
            "null_mean": self.null_mean,
            "null_sd": self.null_sd,
            "z": self.z,
            "p": self.p,
            "p_fewer": self.p_fewer,
            "quantiles": self.quantiles,
            "samples": self.samples,
            "seed": self.seed,
            "keep": self.keep,
            "null": self.null,
            "null_keeps": self.keeps,
            "free": self.free,
            "way": self.way,
            "seconds": self.seconds,
            "sentence": self.sentence,
            "remarks": list(self.remarks),
            "counts": list(self.counts),
            "circuits": [circuit.to_dict() for circuit in self.circuits],
        }

    @property
    def sentence(self) -> str:
        """The result in words."""
        found = f"{self.motif} is {_times(self.observed)} in {self.model}"
        what = "edges" if self.null == "edges" else "maps"
        if self.samples == 1:
            chance = f"the one graph with shuffled {what} holds {self.counts[0]:,}"
        elif len(set(self.counts)) == 1:
            chance = f"all {self.samples:,} graphs with shuffled {what} hold {self.counts[0]:,}"
        else:
            chance = f"graphs with shuffled {what} hold {_round(self.null_mean)} ± {_round(self.null_sd)} on average"
        if self.observed > max(self.counts):
            verdict = f"none of {self.samples:,} held as many (p = {self.p:.2g})"
        elif self.observed < min(self.counts):
            verdict = f"each of {self.samples:,} held more: fewer than by chance (p = {self.p_fewer:.2g})"
        else:
            as_many = sum(count >= self.observed for count in self.counts)
            verdict = f"{as_many:,} of {self.samples:,} held as many or more (p = {self.p:.2g})"
        return f"{found}; {chance}; {verdict}."

    def histogram(self, width: int = 60, bins: int = 12) -> str:
        """The null's numbers as bars of text, with the observed number where it lies.

        width: columns of a line.
        """
        lowest, highest = min(self.counts), max(self.counts)
        bins = min(bins, highest - lowest + 1)
        edges = lowest + np.arange(bins + 1) * (highest - lowest + 1) / bins
        heights = np.histogram(self.counts, np.ceil(edges))[0].tolist()
        first = np.ceil(edges).astype(int)
        labels = [f"{a:,}" if a == b - 1 else f"{a:,} to {b - 1:,}" for a, b in pairwise(first)]
        marker = "◀ observed"
        beside = max(map(len, [*labels, f"{self.observed:,}"])) + len(f"  {max(heights):,}  {marker}")
        room = max(10, width - beside)
        here = int(np.searchsorted(first, self.observed, side="right")) - 1
        lines = []
        for place, (label, height) in enumerate(zip(labels, heights, strict=True)):
            bar = "█" * round(room * height / max(heights)) or ("▏" if height else "")
            lines.append([label, bar, f"{height:,}" if height else "", marker if place == here else ""])
        outside = [f"{self.observed:,}", "", "", marker]
        if here < 0:
            lines.insert(0, outside)
        elif here >= bins:
            lines.append(outside)
        wide = max(len(line[0]) for line in lines)
        return "\n".join(f"{line[0]:>{wide}}  {' '.join(filter(None, line[1:]))}".rstrip() for line in lines)


def significance(
    graph: ModelGraph,
    query: p.Query,
    *,
    null: NullName = "edges",
    samples: int = 200,
    seed: int = 0,
    strongest: Sequence[Circuit] = (),
    cores: int | None = None,
    progress: Progress | None = None,
    text: str = "",
    store: str = "",
    remarks: Sequence[str] = (),
) -> Significance:
    """The number of a query's circuits in a graph, beside what a null gives.

    Parameters
    ----------
    graph
        The whole model.
    query
        The compiled query; its order and limit do not matter.
    null
        `edges` for `EdgeNull`, `maps` for `MapNull`.
    samples, seed
        How many samples of the null, and the seed of all random streams.
    strongest
        The circuits of the highest scores, for each of which chance is computed too; all of them, or as many as wanted.
    cores
        Threads at most; None for all cores that this process may use.
    progress
        Told after every sample.
    text, store, remarks
        Said again in the result: the query's text, the database's address, and what the number does not tell.

    Raises
    ------
    InputError
        If there is no such null, no sample is asked for, the seed is negative, or the query reaches into other models
        or names no map that could be shuffled.
    """
    started = time.perf_counter()
    check(query, null, samples, seed)
    graph = canonical(graph)
    made: Null = EdgeNull(graph) if null == "edges" else MapNull(graph, maps_of(query))
    ready = prepared(graph, query, null)
    first, *streams = np.random.SeedSequence(seed).spawn(samples + 1)
    least = min((c.score for c in strongest if c.score is not None), default=None)

    def one(counter: Counter, sample: Sample) -> tuple[int, Reals]:
        number = counter.count(sample)
        return number, np.zeros(0) if least is None or number == 0 else counter.scores(sample, least)

    def drawn(counter: Counter, place: int) -> tuple[int, Reals]:
        return one(counter, made.sample(hub, np.random.default_rng(streams[place])))

    if set(maps_needed(query)) - _maps_there(graph):  # No shuffled graph holds a circuit either.
        observed, results = 0, [(0, np.zeros(0))] * samples
    else:
        hub = made.hub(np.random.default_rng(first))
        stop = threading.Event()
        cores = min(cores or _cores(), samples)
        with _Workers(lambda: Counter(ready, lambda: not stop.is_set()), cores, stop) as workers:
            observed = workers.call(lambda counter: counter.count(OBSERVED))
            results = workers.all(drawn, samples, progress)
    return Significance(
        query=text,
        motif=query.motif,
        model=graph.name,
        store=store,
        keep=str(graph.model.get("keep") or "unknown"),
        null=made.name,
        keeps=made.keeps,
        seed=seed,
        observed=observed,
        counts=tuple(number for number, _ in results),
        free=made.free,
        way=ready.way,
        seconds=time.perf_counter() - started,
        circuits=chance_of_circuits(strongest, [scores for _, scores in results]),
        remarks=(*remarks, *_remarks(query, made, graph)),
    )


def chance_of_circuits(circuits: Sequence[Circuit], null_scores: Sequence[Reals]) -> tuple[CircuitChance, ...]:
    """For each circuit with a score, what chance gives of that score or more.

    Where N circuits are tested and chance gives E(s) of score s or more, a circuit's own p is E(s) / N, and Benjamini
    and Hochberg's procedure over all N makes of it q = min over s' <= s of E(s') / (circuits observed of score s' or
    more). For q, E counts the observed graph as one more sample with one circuit, so that q is never 0.

    Parameters
    ----------
    circuits
        The strongest of all circuits, or all. Weaker ones that are left out could make q only smaller.
    null_scores
        For each sample the scores that are no less than the weakest of `circuits`, and maybe others.
    """
    from scipy.stats import false_discovery_control

    scored = [(circuit, circuit.score) for circuit in circuits if circuit.score is not None]
    if not scored:
        return ()
    scores = np.array([score for _, score in scored])
    number = len(null_scores)
    pooled = np.sort(np.concatenate([np.zeros(0), *null_scores]))
    strongest = np.sort([own.max() if len(own) else -np.inf for own in null_scores])
    as_high = len(pooled) - np.searchsorted(pooled, scores, side="left")
    with_one = number - np.searchsorted(strongest, scores, side="left")
    # The procedure multiplies by the number of tests, so that it may be that of these circuits for all: N cancels.
    qs = false_discovery_control(np.minimum(1.0, (1 + as_high) / (1 + number) / len(scores)), method="bh")
    return tuple(
        CircuitChance(circuit, float(high / number), float((1 + one) / (1 + number)), float(q))
        for (circuit, _), high, one, q in zip(scored, as_high, with_one, qs, strict=True)
    )


def maps_of(query: p.Query) -> tuple[str, ...]:
    """The maps that a query names."""
    nodes: Any = query.body, query.score
    return tuple(
        sorted({node.map for node in p.subexpressions(nodes) if isinstance(node, p.MapRow | p.MapValue)}),
    )


def check(query: p.Query, null: str, samples: int, seed: int, circuits: int = 0) -> None:
    """Refuse what cannot be tested, as `significance` does."""
    if null not in NULLS:
        raise InputError(f"no null {null!r}; there are {' and '.join(NULLS)}")
    if not 1 <= samples <= MOST_SAMPLES:
        raise InputError(f"{samples:,} samples cannot be drawn; ask for 1 to {MOST_SAMPLES:,}")
    if seed < 0:
        raise InputError(f"the seed {seed} is below 0; take 0 or more")
    if circuits < 0:
        raise InputError(f"{circuits} circuits are none; ask for 0 or more")
    maps = maps_of(query)
    if ANALOG in maps:
        raise InputError(
            f"{query.motif} reaches into another model, where shuffled edges say nothing; "
            "`circuitdb universality` compares it with its own nulls"
        )
    if null == "maps" and not maps:
        raise InputError(f"{query.motif} uses no map, so that there is none to shuffle; take --null edges")


def _remarks(query: p.Query, null: Null, graph: ModelGraph) -> list[str]:
    maps = maps_of(query)
    there = _maps_there(graph)
    needed = [name for name in maps_needed(query) if name not in there]
    remarks = [lacking_maps(graph.name, needed)] if needed else []
    remarks += [
        f"{graph.name} holds no rows of {name}; `circuitdb probe {graph.name}` finds them" for name in maps
        if name not in there and name not in needed
    ]  # fmt: skip
    if null.free == 0:
        what = "edge" if null.name == "edges" else "row of these maps"
        remarks.append(f"no {what} could be moved: each sample is the observed graph, and p says nothing")
    elif null.name == "edges" and maps:
        remarks.append(
            "the maps stay as they are here; --null maps asks whether it matters which unit has which partner"
        )
    return remarks


def _maps_there(graph: ModelGraph) -> set[str]:
    return set() if graph.maps is None else set(pc.unique(graph.maps["map"]).to_pylist())


class _Workers:
    """Threads, each with a counter of its own. NumPy, SciPy's products and DuckDB let them run side by side."""

    def __init__(self, make: Callable[[], Counter], number: int, stop: threading.Event) -> None:
        self._make = make
        self._stop = stop
        self._idle: queue.SimpleQueue[Counter] = queue.SimpleQueue()
        self._made: list[Counter] = []
        self._pool = ThreadPoolExecutor(number)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        for counter in self._made:
            counter.close()

    def call(self, work: Callable[[Counter], Result]) -> Result:
        """Do something with a counter that no other thread uses meanwhile."""
        try:
            counter = self._idle.get_nowait()
        except queue.Empty:
            counter = self._make()
            self._made.append(counter)
        try:
            return work(counter)
        finally:
            self._idle.put(counter)

    def all(self, work: Callable[[Counter, int], Result], number: int, progress: Progress | None) -> list[Result]:
        """What comes of 0, 1, … up to a number, in order."""

        def one(place: int) -> Result:
            if self._stop.is_set():
                raise StoppedError
            return self.call(lambda counter: work(counter, place))

        waiting = [self._pool.submit(one, place) for place in range(number)]
        for done, future in enumerate(as_completed(waiting), 1):
            future.result()
            if progress is not None:
                progress("sampling", done, number)
        return [future.result() for future in waiting]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _times(number: int) -> str:
    return {0: "not found", 1: "found once"}.get(number, f"found {number:,} times")


def _round(number: float) -> str:
    """A number with as many digits as tell something: whole from 10 up."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
