"""The page on what models share: units that answer alike, circuits that come back, whether partners are wired alike.

In come joined models and what was counted of them, out goes the text of a page. It reads the analogues that joins have
written, with their excess over chance, and joins nothing itself.
"""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from circuitdb.circuits import Circuit
from circuitdb.graph import split_key
from circuitdb.reports.page.sections import Section, Table, sections_page
from circuitdb.reports.words import listed

if TYPE_CHECKING:
    from circuitdb.circuits import Circuits
    from circuitdb.database import Database
    from circuitdb.universality.table import Universality

_MOST_SHOWN = 12
_LIMITS = (
    "Equal answers to some pictures are no equal function: two units that both answer to fur may do so for different "
    "reasons, and pictures on which a unit is silent say nothing of it.",
    "What networks share may come from the pictures that they were trained on, from their architectures or from the "
    "training.",
    "A circuit that does not come back may be there under other units, or over two layers where the first has one.",
    "Circuits that come back share units and edges; their number is no number of independent findings.",
)


def universality_page(
    database: Database,
    found: Universality,
    circuits: Mapping[str, Circuits],
    *,
    samples: int,
    seed: int,
    out: str = "report.html",
) -> str:
    """The page on models of which every two were joined both ways.

    Parameters
    ----------
    found
        Which circuits come back, from `Database.universality`.
    circuits
        The same search in each model, strongest circuits first.
    samples, seed
        How often partners are shuffled for the wiring, and the seed.
    """
    models = list(circuits)
    with database.session():
        sections = [
            Section(
                "Units that answer alike",
                (
                    "For every unit of one network, the unit of the other whose responses to the same pictures "
                    "correlate most with its own; found on one half of the pictures, scored on the other.",
                    "By chance is what the unit's best score is at most where the join breaks the correspondence: "
                    "shuffled pictures, mixed units and, where one was named, an untrained copy. q is the false "
                    "discovery rate of a pair among all pairs that were joined.",
                ),
                list(_alike(database, models)),
            ),
            Section(
                "Circuits that come back",
                (
                    "A circuit of one network comes back in another if its units have analogues there that are joined "
                    f"by edges of the same sign. Up to {found.choices} analogues may stand for a unit. Beside the "
                    "number stands how many come back by chance: with each unit's analogues exchanged for those of "
                    "another unit of its layer (permuted matches), with units that answer as much alike but are not "
                    "the match (decoys), and in a network whose edges are shuffled (rewired edges). Decoys can only "
                    "be tried for circuits in which each unit has one; how many of these come back stands in brackets.",
                    f"Drawn are at most {_MOST_SHOWN}: those that come back in most networks, the strongest first, "
                    "each beside its counterparts.",
                ),
                [_recurring(found)],
                list(_side_by_side(database, found, circuits)),
                asked=circuits[models[0]],
            ),
            Section(
                "Are partners wired alike?",
                (
                    "The weight between two units of one network beside the weight between their best analogues in "
                    "the other: how often the signs agree, and the rank correlation of the signed shares.",
                ),
                [_wired(database, a, b, samples, seed) for a, b in itertools.combinations(models, 2)],
            ),
        ]
        asked = circuits[models[0]].asked
        parameters = [
            part for name, value in asked.parameters.items() for part in ("--param", f"{name}={_text(value)}")
        ]
        command = ["circuitdb", "report", asked.query, "--models", ",".join(models), *parameters]
        command += [] if asked.limit is None else ["--limit", str(asked.limit)]
        command += ["--samples", str(found.samples), "--seed", str(seed), "--db", database.address, "-o", out]
        return sections_page(
            f"What {listed(models)} share",
            f"Units of {listed(models)} that answer to pictures alike, and circuits that come back between them, "
            "beside what chance gives.",
            sections,
            database,
            models=models,
            limits=_LIMITS,
            remarks=[remark for own in circuits.values() for remark in own.remarks],
            command=shlex.join(command),
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _alike(database: Database, models: Sequence[str]) -> Iterator[Table]:
    """For every two models a table by layers of the first: the layer of the other in which most of its units have their
    analogue, scores, and what chance gives."""
    best: dict[tuple[str, str, str], list[tuple[str, Mapping[str, Any]]]] = {}
    for source, target, row in database.correspondences(models).edges(data=True):
        if row["rank"] == 1:
            (a, layer, _), (b, there, _) = split_key(source), split_key(target)
            best.setdefault((a, b, layer), []).append((there, row))
    yield _overview(models, best)
    heads = ["layer", "units", "with an analogue", "most in", "of them there", "mean score", "by chance", "q ≤ 0.05"]
    for a, b in itertools.permutations(models, 2):
        rows: list[list[str | float | None]] = []
        for layer in database.model(a)["layers"]:
            found = best.get((a, b, layer["name"]), [])
            places, values = [place for place, _ in found], [row for _, row in found]
            most = max(sorted(set(places)), key=places.count, default=None)
            score = _mean([row["score"] for row in values])
            above = _mean([row["excess"] for row in values if "excess" in row])
            by_chance = None if score is None or above is None else score - above
            sure = sum(row.get("q", 1.0) <= 0.05 for row in values)
            both = sum(bool(row["mutual"]) for row in values)
            in_most = places.count(most) if most else 0
            units = layer["width"] + len(layer["directions"])
            rows.append([layer["name"], units, len(values), most, in_most, score, by_chance, sure, both])
        yield Table(f"Units of {a} in {b}", [*heads, "mutual"], rows)


def _overview(
    models: Sequence[str], best: Mapping[tuple[str, str, str], Sequence[tuple[str, Mapping[str, Any]]]]
) -> Table:
    """The mean score of every model's units in every other one."""
    scores: dict[tuple[str, str], list[float]] = {}
    for (a, b, _), found in best.items():
        scores.setdefault((a, b), []).extend(row["score"] for _, row in found)
    rows = [[a, *("–" if a == b else _mean(scores.get((a, b), [])) for b in models)] for a in models]
    return Table("Mean score of the units of a row's network in a column's", ["units of", *models], rows)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _recurring(found: Universality) -> Table:
    heads = ["of", "in", "circuits", "come back"]
    rows: list[list[str | float | None]] = []
    for pair in found.rows():
        row = [pair["a"], pair["b"], pair["circuits"], pair["recurring"]]
        for null in pair["nulls"].values():
            spread = "" if null["sd"] is None else f" ± {null['sd']:.1f}"
            of = "" if null["circuits"] == pair["circuits"] else f" (of {null['recurring']:,})"
            row += [f"{null['expected']:.1f}{spread}{of}", null["p"]]
        rows.append(row)
    nulls = list(found.rows()[0]["nulls"])
    motif = "the query" if found.motif == "query" else found.motif
    return Table(
        f"Circuits of {motif} and chance, mean ± sd of {found.samples} samples",
        [*heads, *(head for null in nulls for head in (null, "p"))],
        rows,
    )


def _side_by_side(database: Database, found: Universality, circuits: Mapping[str, Circuits]) -> Iterator[list[Circuit]]:
    """The strongest circuits that come back in most models, each beside its counterparts."""
    copies: dict[tuple[int, str], dict[str, Mapping[str, str]]] = {}
    for pair in found.pairs:
        for number, units in enumerate(pair.copies[: len(circuits[pair.a])]):
            if units is not None:
                copies.setdefault((number, pair.a), {})[pair.b] = units
    models = list(circuits)
    order = sorted(copies, key=lambda one: (-len(copies[one]), one[0], models.index(one[1])))
    for number, model in order[:_MOST_SHOWN]:
        circuit, there = circuits[model][number], copies[number, model]
        yield [circuit, *(_copy(database, circuit, other, units) for other, units in there.items())]


def _copy(database: Database, circuit: Circuit, model: str, units: Mapping[str, str]) -> Circuit:
    """A circuit's counterpart in another model, with the edges that stand for its own."""
    counterpart = {str(circuit.units[name]): unit for name, unit in units.items()}
    inputs = database.edges_of(list(units.values()), "in")
    edges = [
        edge
        for one in circuit.edges
        for edge in inputs[counterpart[one["target"]]]
        if edge["source"] == counterpart[one["source"]] and edge["kind"] == one["kind"]
    ]
    return Circuit(circuit.motif, model, units, edges, None, database)


def _wired(database: Database, a: str, b: str, samples: int, seed: int) -> Table:
    rows = database.edge_agreement(a, b, samples=samples, seed=seed)
    nulls = list(rows[0]["nulls"]) if rows else []
    heads = [f"edges of {a}", f"edges of {b}", "pairs", "equal signs", "rank correlation"]
    return Table(
        f"Edges of {a} and the edges between their partners in {b}",
        [*heads, *(f"{figure}, {null}" for null in nulls for figure in ("equal signs", "rank correlation"))],
        [
            [
                *(row[name] for name in ("a", "b", "pairs", "signs", "spearman")),
                *(row["nulls"][null][figure] for null in nulls for figure in ("signs", "spearman")),
            ]
            for row in rows
        ],
    )
