"""The demonstration: handwritten networks go in, questions find the circuits that were planted, and only those.

In: the address of a database. Out: a `Demonstration`: how many of the planted maps responses to synthetic pictures
show; for every question and network how many of the planted circuits were found, what else, and what chance would give;
what every motif of the library finds; which units of two networks are the same. `tell` prints that, and a page shows it
in pictures. Of the decoys, which lack one part each, none should be found.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import Progress
from circuitdb.cli import output
from circuitdb.database import Database
from circuitdb.language.library import library_files
from circuitdb.question import library_motif
from circuitdb.reports.page import Section, Table, sections_page, write_page
from circuitdb.reports.words import description
from circuitdb.universality.joining import pair_rows
from ingest.architectures import handwritten
from ingest.architectures.handwritten.circuits import Circuit, Units
from ingest.architectures.handwritten.truth import correspondence
from ingest.pipeline import ingest_model, layer_widths
from ingest.probes import SYNTHETIC, ProbeSet, load_probes
from ingest.probing import input_side, probe
from ingest.sources import load
from ingest.stories import DECOYS, FIRST, QUESTIONS, SECOND, Question

if TYPE_CHECKING:
    from circuitdb.circuits import Circuits
    from circuitdb.reports.drawing import Drawing
    from circuitdb.statistics.significance import Significance

DATABASE = "demo.duckdb"
PAGE = "demo.html"

PROBED: Mapping[str, Sequence[str]] = {
    FIRST: ("flip", "rotate(90)", "rotate(180)", "rotate(270)"),
    SECOND: (),
    DECOYS: ("flip", "rotate(90)"),
}
"""The maps that are looked for in each network."""

COMPARED = ("flip", "rotate(90)")
"""The maps that are compared with the planted ones."""

EVERY = 6
"""One in so many of the synthetic pictures is shown to the networks, which is enough to find their maps."""

SAMPLES = 39
SEED = 0
"""What chance would give is told from so many shuffled graphs."""


@dataclass(frozen=True)
class MapsFound:
    """How many of a network's planted maps, from units that are no noise, its responses show."""

    model: str
    planted: int
    found: int


@dataclass(frozen=True)
class Tally:
    """What a question found in one network.

    planted: the circuits that are there; in the decoy network, what lacks one part. found: how many of them were found.
    others: circuits found besides. by_chance: those of the others that hold a unit of noise. example: the units of the
    strongest that was planted and found. chance: in words, how often shuffled graphs hold as many circuits.
    """

    question: str
    model: str
    planted: int
    found: int
    others: int
    by_chance: int
    example: Units | None
    chance: str | None


@dataclass(frozen=True)
class MotifFound:
    """How many circuits of a motif of the library one network holds, and with which arguments."""

    motif: str
    arguments: Mapping[str, str]
    circuits: int


@dataclass(frozen=True)
class UnitsMatched:
    """Of the units of model `a` how many a join led to the unit of `b` that is planted as the same.

    silent: those that answer to none of the pictures. by_chance: the mean best score where the join mixes the units of
    `b`; score: that of the join itself.
    """

    a: str
    b: str
    planted: int
    found: int
    silent: int
    score: float
    by_chance: float


@dataclass(frozen=True)
class Demonstration:
    """All that the demonstration finds, and the page that shows it."""

    database: str
    report: str
    maps: Sequence[MapsFound]
    questions: Sequence[Tally]
    motifs: Sequence[MotifFound]
    joined: UnitsMatched


@dataclass(frozen=True)
class _Answer:
    """A question's circuits in one network, what they come to, and how many chance gives."""

    question: Question
    circuits: Circuits
    tally: Tally
    significance: Significance | None


def demo(address: str = DATABASE, page: str | Path = PAGE, progress: Progress | None = None) -> Demonstration:
    """Ingest the handwritten networks, find their maps, put every question to them and compare with what was planted.

    Models of these names that are in the database are replaced. What is found is written to the file `page` as well.

    Raises
    ------
    CircuitdbError
        If the database or the page cannot be written.
    """
    for model in handwritten.NETWORKS:
        ingest_model(model, db=address, replace=True, progress=progress)
    for model, maps in PROBED.items():
        _measure(model, maps, address, progress)
    with circuitdb.open(address) as database:
        joined = matched(database)
        with database.session():
            maps_of = [maps_found(database, model) for model in (FIRST, DECOYS)]
            answers = [ask(database, question, model) for question in QUESTIONS for model in question.networks]
            motifs = [motif_found(database, file.stem) for file in library_files()]
            found = Demonstration(
                database.address, str(page), maps_of, [answer.tally for answer in answers], motifs, joined
            )
            write_page(page, _page(found, answers, database))
        return found


def _measure(model: str, maps: Sequence[str], address: str, progress: Progress | None) -> None:
    """Show a network some of the synthetic pictures and write what it does, and which maps that shows."""
    source = load(model)
    probes = load_probes(SYNTHETIC, input_side(source))
    some = ProbeSet(f"one in {EVERY} of {SYNTHETIC}", probes.names[::EVERY], probes.pictures[::EVERY])
    store = open_store(address)
    try:
        [layers] = [row["layers"] for row in store.models() if row["name"] == model]
        store.write_responses(model, probe(source, layer_widths(layers), some, maps, progress=progress))
    finally:
        store.close()


def matched(database: Database) -> UnitsMatched:
    """Join the first network with the second, which holds the same circuits, and compare with what was planted."""
    joined = database.join(FIRST, SECOND)
    best = {row["a"]: row["b"] for row in pair_rows(joined) if row["rank"] == 1}
    planted = correspondence()
    return UnitsMatched(
        FIRST,
        SECOND,
        len(planted),
        sum(best.get(f"{FIRST}/{unit}") == f"{SECOND}/{other}" for unit, other in planted.items()),
        joined.silent[0],
        joined.mean_best(),
        float(np.nanmean(np.asarray(joined.nulls["mixed units"].best))),
    )


def motif_found(database: Database, motif: str) -> MotifFound:
    """How many circuits of a motif of the library the first network holds; what has no default is told of its car."""
    [car] = [circuit.units for circuit in handwritten.planted(FIRST) if circuit.motif == "car"]
    parts, whole = (_several(car[name])[0] for name in ("windows", "car"))
    arguments: dict[str, Any] = {
        "car": {"source_layer": parts.partition(":")[0], "target_layer": whole.partition(":")[0]},
        "superposition": {"feature": "car"},
        "clients": {"of": f"{FIRST}/{whole}"},
        "upstream": {"of": f"{FIRST}/{whole}"},
        "universal": {"other": SECOND},
    }.get(motif, {})
    return MotifFound(motif, arguments, database.count(motif, model=FIRST, **arguments))


def maps_found(database: Database, model: str) -> MapsFound:
    """Compare the maps of a network's labelled units with those that were planted."""
    labels = _labels(model)
    planted = {
        (row.map, f"{model}/{row.source}"): f"{model}/{row.target}"
        for row in handwritten.planted_maps(model)
        if row.map in COMPARED and f"{model}/{row.source}" in labels
    }
    units = dict.fromkeys(unit for _, unit in planted)
    leads = {(row["map"], unit): row["target"] for unit in units for row in database.unit(unit).maps}
    return MapsFound(model, len(planted), sum(leads.get(key) == target for key, target in planted.items()))


def ask(database: Database, question: Question, model: str) -> _Answer:
    """Put one question to one network, compare what is found with what was planted, and tell what chance would give."""
    circuits = database.find(question.text, model=model)
    found = {_units_in_order(circuit.units): circuit.units for circuit in circuits}
    planted = [
        {_units_in_order({name: _with_model(model, circuit.units[there]) for name, there in names.items()})
         for names in question.names}
        for circuit in handwritten.planted(model)
        if _answers(circuit, question, model)
    ]  # fmt: skip
    known = set().union(*planted)
    others, labels = found.keys() - known, _labels(model)
    chance = None
    if model == FIRST:
        chance = database.significance(question.text, model=model, samples=SAMPLES, seed=SEED)
    tally = Tally(
        question=question.title,
        model=model,
        planted=len(planted),
        found=sum(not ways.isdisjoint(found) for ways in planted),
        others=len(others),
        by_chance=sum(not labels.keys() >= {unit for units in key for unit in units} for key in others),
        example=next((units for key, units in found.items() if key in known), None),
        chance=None if chance is None else chance.sentence.replace("query", "this", 1),
    )
    return _Answer(question, circuits, tally, chance)


def _answers(circuit: Circuit, question: Question, model: str) -> bool:
    """Whether a planted circuit, or a decoy, is what the question asks for."""
    if circuit.motif != question.motif or not question.parameters.items() <= circuit.parameters.items():
        return False
    labels = _labels(model)
    return all(
        labels[f"{model}/{place}"].startswith(start)
        for name, start in question.labels.items()
        for place in _several(circuit.units[name])
    )


def _labels(model: str) -> dict[str, str]:
    return {f"{model}/{layer}:{index}": label for layer, index, label in handwritten.LABELS[model]}


def _several(units: str | Sequence[str]) -> tuple[str, ...]:
    return (units,) if isinstance(units, str) else tuple(units)


def _with_model(model: str, places: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{model}/{place}" for place in _several(places))


def _units_in_order(units: Units) -> tuple[tuple[str, ...], ...]:
    """The units of a circuit in the order of their names, so that circuits can be compared."""
    return tuple(_several(units[name]) for name in sorted(units))


def tell(found: Demonstration, console: Console) -> None:
    """Print the stories, what was found beside what was planted, and what to try next."""
    console.print(Text("Maps", style="bold"))
    console.print(
        "Which unit is the mirrored or turned version of which is found from responses to synthetic pictures, of which "
        f"the networks see the original, its mirror image and itself turned. {_maps_in_words(found.maps)}\n",
        markup=False,
    )
    for question in QUESTIONS:
        console.print(Text(question.title, style="bold"))
        console.print(question.story)
        console.print(Text(f"\n{textwrap.indent(question.text, '  ')}\n", style="cyan"))
        for sentence in _sentences(question, [tally for tally in found.questions if tally.question == question.title]):
            console.print(sentence, markup=False)
        console.print()
    console.print(Text("Every motif of the library, in handwritten", style="bold"))
    rows = [(row.motif, row.circuits, _arguments(row)) for row in found.motifs]
    output.print_table({"motif": "left", "circuits": "right", "with": "left"}, rows)
    console.print(Text("\nThe same units in another network", style="bold"))
    console.print(f"{_matched_in_words(found.joined)}\n", markup=False)
    console.print(_verdict(found.questions), style="bold")
    console.print(Text(f"The same in pictures: {found.report}", style="bold"), soft_wrap=True)
    console.print(f"The networks are in {found.database}. Try next:", soft_wrap=True)
    for command in (
        *activation(),
        f"circuitdb ls handwritten --db {found.database}",
        f"circuitdb show handwritten/parts:3 --db {found.database}",
        f"circuitdb find 'find {{ a +> b -| c }} in handwritten limit 5' --db {found.database}",
        "circuitdb motifs union_over_cases",
        f"circuitdb test union_over_cases --model handwritten --db {found.database}",
        "circuitdb ingest --help",
    ):
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def activation() -> list[str]:
    """The line that makes `circuitdb` a command of the shell, where it is not one yet and lies in an environment."""
    script = Path(sys.prefix, "bin", "activate")
    if shutil.which("circuitdb") or not script.is_file():
        return []
    near = script.relative_to(Path.cwd()) if Path(sys.prefix).is_relative_to(Path.cwd()) else script
    return [f". {shlex.quote(str(near))}"]


def _page(found: Demonstration, answers: Sequence[_Answer], database: Database) -> str:
    """The page of the stories, each with the strongest circuit that was planted and found."""
    sections = []
    for question in QUESTIONS:
        own = [answer for answer in answers if answer.question is question]
        first = next(answer for answer in own if answer.tally.model == FIRST)
        strongest = next((c for c in first.circuits if c.units == first.tally.example), None)
        sections.append(
            Section(
                question.title,
                (question.story, *_sentences(question, [answer.tally for answer in own], chance=False)),
                groups=[] if strongest is None else [[strongest]],
                drawings=_turning_weights(database) if question is QUESTIONS[0] else (),
                asked=first.circuits,
                significance=first.significance,
            )
        )
    library = Table(
        "Circuits in handwritten",
        ("motif", "circuits", "with", "what it is"),
        [(row.motif, row.circuits, _arguments(row), _first_sentence(row.motif)) for row in found.motifs],
    )
    sections += [
        Section("Every motif of the library", tables=[library]),
        Section("The same units in another network", (_matched_in_words(found.joined),)),
    ]
    command = shlex.join(["circuitdb", "demo", "--db", found.database, "-o", found.report])
    lead = (
        "Small vision networks written by hand after the circuits of the essay Zoom In, searched for these circuits; "
        f"and decoys, each of which lacks one part. {_verdict(found.questions)}"
    )
    limits = ["These networks were written by hand: that their circuits are found says nothing of trained networks."]
    return sections_page(
        "Circuits written by hand",
        lead,
        sections,
        database,
        models=list(handwritten.NETWORKS),
        limits=limits,
        command=command,
    )


def _turning_weights(database: Database) -> list[Drawing]:
    """The kernels between all lines and all curves of one polarity, each in the order of their angles."""
    labels = _labels(FIRST)
    lines, curves = (
        sorted((key for key, label in labels.items() if label.startswith(start)), key=lambda key: _degrees(labels[key]))
        for start in ("light line", "curve")
    )
    return [database.draw_weights(lines, curves)]


def _degrees(label: str) -> float:
    return float(label.rstrip("°").rpartition(" ")[2])


def _first_sentence(motif: str) -> str:
    [(_, paragraph), *_] = description(library_motif(motif).read_text(encoding="utf-8"))
    return paragraph


def _arguments(found: MotifFound) -> str:
    """The arguments in words, or what the network lacks."""
    if found.motif == "skip_refinement":
        return "needs residual skips"
    return ", ".join(f"{name} = {value}" for name, value in found.arguments.items())


def _maps_in_words(maps: Sequence[MapsFound]) -> str:
    return "; ".join(f"{row.model}: {row.found} of {row.planted} planted maps found" for row in maps) + "."


def _matched_in_words(joined: UnitsMatched) -> str:
    silent = f"; {joined.silent} answer to none of the pictures" if joined.silent else ""
    return (
        f"{joined.b} holds the same circuits, its units shuffled and scaled, one layer later. Responses alone lead "
        f"{joined.found} of the {joined.planted} units of {joined.a} to their own there{silent}. "
        f"A unit and its best analogue correlate by {joined.score:.2f} on average, and by "
        f"{joined.by_chance:.2f} where the units are mixed at random."
    )


def _verdict(tallies: Sequence[Tally]) -> str:
    real = [tally for tally in tallies if tally.model != DECOYS]
    decoys = [tally for tally in tallies if tally.model == DECOYS]
    return (
        f"{sum(t.found for t in real):,} of {sum(t.planted for t in real):,} planted circuits were found, and "
        f"{sum(t.found for t in decoys):,} of {sum(t.planted for t in decoys):,} decoys were taken for circuits."
    )


def _sentences(question: Question, tallies: Sequence[Tally], chance: bool = True) -> Iterator[str]:
    """What a question found in each network, the strongest example, and perhaps what chance gives."""
    counts = ", ".join(
        f"{tally.found} of {tally.planted} {'decoys' if tally.model == DECOYS else 'planted'} in {tally.model}"
        for tally in tallies
    )
    others, noise = sum(tally.others for tally in tallies), sum(tally.by_chance for tally in tallies)
    besides = "" if not others else f"; {others} besides, {noise} of them noise that is wired so by chance"
    yield f"Found: {counts}{besides}."
    example = next((tally for tally in tallies if tally.example is not None), None)
    if example is not None and example.example is not None:
        yield f"The strongest in {example.model}: {_read(question, example.example, example.model)}."
    by_chance = next((tally.chance for tally in tallies if tally.chance is not None), None)
    if chance and by_chance is not None:
        yield f"By chance: {by_chance}"


def _read(question: Question, units: Units, model: str) -> str:
    """An example in words, units by their labels."""
    labels, words = _labels(model), question.reading
    for name, there in units.items():
        words = words.replace(f"{{{name}}}", ", ".join(labels.get(key, key) for key in _several(there)))
    return words
