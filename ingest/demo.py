"""The demonstration: handwritten networks go in, questions find the circuits that were planted, and only those.

In: the address of a database. Out: how many of the planted maps responses to synthetic pictures show, and for every
question and network how many of the planted circuits were found, what else, and what chance would give; `tell` prints
that with the essay's stories. Of the decoys, which lack one part each, none should be found.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import Progress
from circuitdb.cli import output
from circuitdb.database import Database
from ingest.architectures import handwritten
from ingest.architectures.handwritten.circuits import Circuit, Units
from ingest.pipeline import ingest_model, layer_widths
from ingest.probes import SYNTHETIC, ProbeSet, load_probes
from ingest.probing import input_side, probe
from ingest.sources import load

DATABASE = "demo.duckdb"
DECOYS = "handwritten_decoys"

PROBED = ("handwritten", DECOYS)
"""The networks whose maps are looked for."""

MAPS = ("flip", "rotate(90)")
EVERY = 4
"""One in so many of the synthetic pictures is shown to the networks, which is enough to find their maps."""

SAMPLES = 39
SEED = 0
"""What chance would give is told from so many shuffled graphs."""


@dataclass(frozen=True)
class Question:
    """One story of the essay, the query that looks for it, and which planted circuits answer it.

    names: what the planted circuit calls the units that `text` names; a circuit whose halves are alike has two ways.
    parameters: those of the planted circuits. labels: how labels of their units begin, by the planted circuit's names.
    reading: an example in words, with the names of `text` in braces. networks: those of which it can be asked.
    """

    title: str
    story: str
    text: str
    reading: str
    motif: str
    names: tuple[Mapping[str, str], ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    networks: Sequence[str] = tuple(handwritten.NETWORKS)


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


_HALVES = {"fur": "case1", "head": "case2", "neck": "case3"}


def _cases(this: str, other: str) -> dict[str, str]:
    """What the planted circuit calls the units of the question about dog heads, one half first."""
    return {
        **{name: this.format(case) for name, case in _HALVES.items()},
        **{f"flip({name})": other.format(case) for name, case in _HALVES.items()},
        "dog": "both",
        "flip(dog)": "both",
    }


QUESTIONS: tuple[Question, ...] = (
    Question(
        title="Curves",
        story="A curve detector is made of lines, each where the curve has it as a tangent. The detector of the curve "
        "turned by 90 degrees reads the lines turned by 90 degrees through kernels turned by 90 degrees: the weights "
        "themselves are symmetric (equivariance). In the decoys the kernels are not turned along.",
        text="""find {
  unit line where label ~ "light line"
  unit curve where label ~ "curve"
  line -> curve as kernel
  rotate(90)(line) -> rotate(90)(curve) as turned
  where agreement(rotate(90)(kernel), turned) > 0.99
}""",
        reading="{line} -> {curve}, turned by 90 degrees: {rotate(90)(line)} -> {rotate(90)(curve)}",
        motif="equivariance",
        names=({"line": "a", "curve": "b", "rotate(90)(line)": "T(a)", "rotate(90)(curve)": "T(b)"},),
        parameters={"T": "rotate(90)"},
        labels={"a": "light line", "b": "curve"},
        networks=PROBED,
    ),
    Question(
        title="Dog heads",
        story="Dogs that look left and dogs that look right have a pathway each, over four layers. Each inhibits the "
        "next layer of the other, and both meet in one unit that does not care where the dog looks (union over cases). "
        "In the decoys the left head does not inhibit the right head and neck.",
        text="""find {
  unit fur where label ~ "fur"
  fur +> head +> neck +> dog
  flip(fur) +> flip(head) +> flip(neck) +> dog
  fur -| flip(head); head -| flip(neck)
  flip(fur) -| head; flip(head) -| neck
  dog = flip(dog)
  every edge where share > 0.01
}""",
        reading="{fur} +> {head} +> {neck} and {flip(fur)} +> {flip(head)} +> {flip(neck)}, both +> {dog}",
        motif="union_over_cases",
        names=(_cases("{}", "T({})"), _cases("T({})", "{}")),
        parameters={"T": "flip", "layers": 4},
        networks=PROBED,
    ),
    Question(
        title="Cars",
        story="A car has windows above, wheels below and a body in between, and the detector's kernels say so: windows "
        "excite it above and inhibit it below, wheels the reverse. In the decoys the wheels are on the roof.",
        text="""find {
  unit windows where label = "windows"
  unit wheels where label = "wheel"
  unit body where label = "body"
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


def demo(address: str = DATABASE, progress: Progress | None = None) -> tuple[list[MapsFound], list[Tally]]:
    """Ingest the handwritten networks, find their maps, put every question to them and compare with what was planted.

    Models of these names that are in the database are replaced.

    Raises
    ------
    CircuitdbError
        If the database cannot be written.
    """
    for model in handwritten.NETWORKS:
        ingest_model(model, db=address, replace=True, progress=progress)
    for model in PROBED:
        _measure(model, address, progress)
    with circuitdb.open(address) as database, database.session():
        maps = [maps_found(database, model) for model in PROBED]
        return maps, [ask(database, question, model) for question in QUESTIONS for model in question.networks]


def _measure(model: str, address: str, progress: Progress | None) -> None:
    """Show a network some of the synthetic pictures and write what it does, and which maps that shows."""
    source = load(model)
    probes = load_probes(SYNTHETIC, input_side(source))
    some = ProbeSet(f"one in {EVERY} of {SYNTHETIC}", probes.names[::EVERY], probes.pictures[::EVERY])
    store = open_store(address)
    try:
        [layers] = [row["layers"] for row in store.models() if row["name"] == model]
        store.write_responses(model, probe(source, layer_widths(layers), some, MAPS, progress=progress))
    finally:
        store.close()


def maps_found(database: Database, model: str) -> MapsFound:
    """Compare the maps of a network's labelled units with those that were planted."""
    labels = _labels(model)
    planted = {
        (row.map, f"{model}/{row.source}"): f"{model}/{row.target}"
        for row in handwritten.planted_maps(model)
        if row.map in MAPS and f"{model}/{row.source}" in labels
    }
    units = dict.fromkeys(unit for _, unit in planted)
    leads = {(row["map"], unit): row["target"] for unit in units for row in database.unit(unit).maps}
    return MapsFound(model, len(planted), sum(leads.get(key) == target for key, target in planted.items()))


def ask(database: Database, question: Question, model: str) -> Tally:
    """Put one question to one network, compare what is found with what was planted, and tell what chance would give."""
    found = {_units_in_order(circuit.units): circuit.units for circuit in database.find(question.text, model=model)}
    planted = [
        {_units_in_order({name: _with_model(model, circuit.units[there]) for name, there in names.items()})
         for names in question.names}
        for circuit in handwritten.planted(model)
        if _answers(circuit, question, model)
    ]  # fmt: skip
    known = set().union(*planted)
    others, labels = found.keys() - known, _labels(model)
    chance = None
    if model == "handwritten":
        chance = database.significance(question.text, model=model, samples=SAMPLES, seed=SEED).sentence
    return Tally(
        question=question.title,
        model=model,
        planted=len(planted),
        found=sum(not ways.isdisjoint(found) for ways in planted),
        others=len(others),
        by_chance=sum(not labels.keys() >= {unit for units in key for unit in units} for key in others),
        example=next((units for key, units in found.items() if key in known), None),
        chance=None if chance is None else chance.replace("query", "this", 1),
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


def tell(maps: Sequence[MapsFound], tallies: Sequence[Tally], address: str, console: Console) -> None:
    """Print the stories, what was found beside what was planted, and what to try next."""
    console.print(Text("Maps", style="bold"))
    console.print(
        "Which unit is the mirrored or turned version of which is found from responses to synthetic pictures, of which "
        "the networks see the original, its mirror image and itself turned by 90 degrees."
    )
    for row in maps:
        console.print(f"{row.model}: {row.found} of {row.planted} planted maps found.", markup=False)
    console.print()
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
        chance = next((tally.chance for tally in asked if tally.chance is not None), None)
        if chance is not None:
            console.print(f"\nBy chance: {chance}", markup=False)
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
        "circuitdb motifs union_over_cases",
        f"circuitdb test union_over_cases --model handwritten --db {address}",
        f"circuitdb explain 'find {{ a +> b -| c }}' --db {address}",
        "circuitdb ingest --help",
    ):
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def _read(question: Question, units: Units, model: str) -> str:
    """An example in words, units by their labels."""
    labels, words = _labels(model), question.reading
    for name, there in units.items():
        words = words.replace(f"{{{name}}}", ", ".join(labels.get(key, key) for key in _several(there)))
    return words
