"""The demonstration: handwritten networks go in, questions find the circuits that were planted, and only those.

In: the address of a database. Out: for every question and network how many of the planted circuits were found and what
else; `tell` prints that with the essay's stories. Of the decoys, which lack one part each, none should be found.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

import circuitdb
from circuitdb.backends.base import Progress
from circuitdb.cli import output
from circuitdb.database import Database
from ingest.architectures import handwritten
from ingest.architectures.handwritten.circuits import Circuit, Units
from ingest.pipeline import ingest_model

DATABASE = "demo.duckdb"
DECOYS = "handwritten_decoys"


@dataclass(frozen=True)
class Question:
    """One story of the essay, the query that looks for it, and which planted circuits answer it.

    names: what the planted circuit calls the units that `text` names; a circuit whose halves are alike has two ways.
    parameters: those of the planted circuits. labels: how labels of their units begin, by the planted circuit's names.
    reading: an example in words, with the names of `text` in braces.
    """

    title: str
    story: str
    text: str
    reading: str
    motif: str
    names: tuple[Mapping[str, str], ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """What a question found in one network.

    planted: the circuits that are there; in the decoy network, what lacks one part. found: how many of them were found.
    others: circuits found besides. by_chance: those of the others that hold a unit of noise. example: the units of the
    strongest that was planted and found.
    """

    question: str
    model: str
    planted: int
    found: int
    others: int
    by_chance: int
    example: Units | None


_ONE_SIDE = {"fur1": "case1", "head1": "case2", "neck1": "case3", "dog": "both"}
_OTHER_SIDE = {"fur2": "T(case1)", "head2": "T(case2)", "neck2": "T(case3)"}


def _swapped(names: Mapping[str, str]) -> dict[str, str]:
    """The same circuit with its numbered halves exchanged."""
    return {name.translate(str.maketrans("12", "21")): there for name, there in names.items()}


QUESTIONS: tuple[Question, ...] = (
    Question(
        title="Curves",
        story="A curve detector is made of lines, each where the curve has it as a tangent. The detector of the curve "
        "turned by 90 degrees reads the lines turned by 90 degrees through kernels turned by 90 degrees: the weights "
        "themselves are symmetric (equivariance). In the decoys the kernels are not turned along.",
        text="""find {
  unit line1, line2 where label ~ "light line"
  unit curve1, curve2 where label ~ "curve"
  line1 -> curve1 as kernel1
  line2 -> curve2 as kernel2
  where agreement(rotate(90)(kernel1), kernel2) > 0.99
}""",
        reading="{line1} -> {curve1}, turned by 90 degrees: {line2} -> {curve2}",
        motif="equivariance",
        names=({"line1": "a", "curve1": "b", "line2": "T(a)", "curve2": "T(b)"},),
        parameters={"T": "rotate(90)"},
        labels={"a": "light line", "b": "curve"},
    ),
    Question(
        title="Dog heads",
        story="Dogs that look left and dogs that look right have a pathway each, over four layers. Each inhibits the "
        "next layer of the other, and both meet in one unit that does not care where the dog looks (union over cases). "
        "In the decoys the left head does not inhibit the right head and neck.",
        text="""find {
  unit fur1, fur2 where label ~ "fur"
  fur1 +> head1 +> neck1 +> dog
  fur2 +> head2 +> neck2 +> dog
  fur1 -| head2; head1 -| neck2
  fur2 -| head1; head2 -| neck1
  every edge where share > 0.01
}""",
        reading="{fur1} +> {head1} +> {neck1} and {fur2} +> {head2} +> {neck2}, both +> {dog}",
        motif="union_over_cases",
        names=(_ONE_SIDE | _OTHER_SIDE, _swapped(_ONE_SIDE | _OTHER_SIDE)),
        parameters={"T": "flip", "layers": 4},
    ),
    Question(
        title="Cars",
        story="A car has windows above, wheels below and a body in between, and the detector's kernels say so: windows "
        "excite it above and inhibit it below, wheels the reverse. In the decoys the wheels are on the roof.",
        text="""find {
  unit car where label = "car"
  windows -> car as w where w.top > 0 and w.bottom < 0
  wheels -> car as h where h.top < 0 and h.bottom > 0
  body +> car as b where b.top > 0 and b.bottom > 0
  every edge where share > 0.01
}""",
        reading="{windows} above, {wheels} below, {body} all over -> {car}",
        motif="car",
        names=({"windows": "windows", "wheels": "wheels", "body": "body", "car": "car"},),
    ),
    Question(
        title="A car among dogs",
        story="One layer on, no unit is the car's own: the car excites units whose strongest input is a dog, so that "
        "these stand for both (superposition). In the decoys one unit inherits the car.",
        text="""find {
  unit pure where label = "car"
  at least 3 host {
    pure +> host where share > 0.02
    other +> host as strongest where strongest.rank_in = 1 and not (other.label ~ "car")
  }
  no pure +> heir where rank_in = 1
}""",
        reading="{pure} +> {host}",
        motif="superposition",
        names=({"pure": "pure", "host": "host"},),
    ),
    Question(
        title="Where fine meets coarse",
        story="High-low frequency detectors see borders: fine texture on one side, coarse on the other. Their two "
        "kernels lean to opposite sides. In the decoys they lean to the same side.",
        text="""find {
  unit high where label ~ "high frequency"
  unit low where label ~ "low frequency"
  high +> border as fine
  low +> border as coarse
  where fine.m1_re * coarse.m1_re + fine.m1_im * coarse.m1_im < 0
  every edge where share > 0.05
}""",
        reading="{high} on one side, {low} on the other: {border}",
        motif="high_low_frequency",
        names=({"high": "high", "low": "low", "border": "high_low"},),
    ),
)


def demo(address: str = DATABASE, progress: Progress | None = None) -> list[Tally]:
    """Ingest the handwritten networks, put every question to each and compare with what was planted.

    Models of these names that are in the database are replaced.

    Raises
    ------
    CircuitdbError
        If the database cannot be written.
    """
    for model in handwritten.NETWORKS:
        ingest_model(model, db=address, replace=True, progress=progress)
    with circuitdb.open(address) as database:
        return [ask(database, question, model) for question in QUESTIONS for model in handwritten.NETWORKS]


def ask(database: Database, question: Question, model: str) -> Tally:
    """Put one question to one network and compare what is found with what was planted."""
    found = {_units_in_order(circuit.units): circuit.units for circuit in database.find(question.text, model=model)}
    planted = [
        {_units_in_order({name: _with_model(model, circuit.units[there]) for name, there in names.items()})
         for names in question.names}
        for circuit in handwritten.planted(model)
        if _answers(circuit, question, model)
    ]  # fmt: skip
    known = set().union(*planted)
    others, labels = found.keys() - known, _labels(model)
    return Tally(
        question=question.title,
        model=model,
        planted=len(planted),
        found=sum(not ways.isdisjoint(found) for ways in planted),
        others=len(others),
        by_chance=sum(not labels.keys() >= {unit for units in key for unit in units} for key in others),
        example=next((units for key, units in found.items() if key in known), None),
    )


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


def tell(tallies: Sequence[Tally], address: str, console: Console) -> None:
    """Print the stories, what was found beside what was planted, and what to try next."""
    for question in QUESTIONS:
        console.print(Text(question.title, style="bold"))
        console.print(question.story)
        console.print(Text(f"\n{textwrap.indent(question.text, '  ')}\n", style="cyan"))
        asked = [tally for tally in tallies if tally.question == question.title]
        columns = {"network": "left", "": "left", "there": "right", "found": "right", "found besides": "right"}
        rows = [
            (tally.model, "decoys" if tally.model == DECOYS else "planted", tally.planted, tally.found, tally.others)
            for tally in asked
        ]
        console.print(output.table(columns, rows))
        if any(tally.by_chance for tally in asked):
            console.print(f"\n{sum(t.by_chance for t in asked)} of those found besides are noise, wired so by chance.")
        example = next((tally for tally in asked if tally.example is not None), None)
        if example is not None and example.example is not None:
            console.print(f"\nThe strongest in {example.model}: {_read(question, example.example, example.model)}.")
        console.print()
    real = [tally for tally in tallies if tally.model != DECOYS]
    decoys = [tally for tally in tallies if tally.model == DECOYS]
    planted, missed = sum(tally.planted for tally in real), sum(tally.planted - tally.found for tally in real)
    console.print(
        f"{planted - missed:,} of {planted:,} planted circuits were found, and {sum(t.found for t in decoys):,} of "
        f"{sum(t.planted for t in decoys):,} decoys were taken for circuits.",
        style="bold",
    )
    console.print(f"The networks are in {address}. Try next:")
    for command in (
        f"circuitdb ls handwritten --db {address}",
        f"circuitdb show handwritten/parts:3 --db {address}",
        f"circuitdb find 'find {{ a +> b -| c }} in handwritten limit 5' --db {address}",
        f"circuitdb explain 'find {{ a +> b -| c }}' --db {address}",
        "circuitdb ingest --help",
    ):
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def _read(question: Question, units: Units, model: str) -> str:
    """An example in words, units by their labels."""
    labels = _labels(model)
    words = {
        name: ", ".join(labels.get(key, key) for key in _several(there)) for name, there in units.items()
    }  # fmt: skip
    return question.reading.format(**words)
