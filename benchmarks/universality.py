"""The tables and figures of docs/universality.md: joins of all pairs of models, and circuits that come back, by chance.

`python -m benchmarks.universality --db zoo.duckdb --out docs/images` joins every two models of the database that have
trained weights, both ways, asks three questions of all of them, prints the tables as Markdown and draws two figures.
What a join and a question gave is kept as JSON beside the database, and is not asked again.

In comes a database of probed models, out come rows and drawings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import circuitdb
from circuitdb.graph import RANDOM
from circuitdb.reports.drawing.colours import FAINT, INK, SOFT
from circuitdb.reports.drawing.svg import Drawing, element, number, text_element
from circuitdb.universality.join import MIXED, SHUFFLED, UNTRAINED
from circuitdb.universality.joining import to_dict
from circuitdb.universality.table import DECOYS, PERMUTED, REWIRED

Found = Mapping[str, Any]
QUESTIONS = {
    "two strong inputs": "find { {a, b} -> c where share > 0.05 }",
    "curve_from_lines": "curve_from_lines",
    "high_low_frequency": "high_low_frequency",
}
NAMES = {
    "alexnet": "AlexNet",
    "inceptionv1": "InceptionV1",
    "resnetv2_50": "ResNetV2-50",
    "squeezenet1_1": "SqueezeNet",
    "vgg16": "VGG16",
}
SURE = 0.05


def joins(path: str, models: Sequence[str], samples: int) -> Iterator[dict[str, Any]]:
    """What every two models share, one way and the other: means and the nulls' means."""
    for a, b in permutations(models, 2):
        with circuitdb.open(path) as database:
            made = to_dict(database.join(a, b, samples=samples))
        yield {name: made[name] for name in ("a", "b", "observed", "nulls", "untrained", "pairs_tested", "silent")}


def questions(path: str, models: Sequence[str], samples: int) -> Iterator[dict[str, Any]]:
    """How many circuits of each question come back in which model, beside chance."""
    for name, query in QUESTIONS.items():
        with circuitdb.open(path) as database:
            yield {"question": name, **database.universality(query, models=models, samples=samples).to_dict()}


def table_of_joins(rows: Sequence[Found]) -> Iterator[str]:
    """A line for each direction."""
    yield "| a | b | score | shuffled pictures | mixed units | untrained copy | same |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        chance = " | ".join(f"{row['nulls'][null]['score']:.3f}" for null in (SHUFFLED, MIXED, UNTRAINED))
        same = f"{100 * row['observed']['same_on_both']:.0f} %"
        yield f"| {NAMES[row['a']]} | {NAMES[row['b']]} | {row['observed']['score']:.3f} | {chance} | {same} |"


def table_of_circuits(asked: Found) -> Iterator[str]:
    """A matrix: circuits of a that come back in b, in brackets the means of the three nulls."""
    models = list(dict.fromkeys(pair["a"] for pair in asked["pairs"]))
    pairs = {(pair["a"], pair["b"]): pair for pair in asked["pairs"]}
    yield f"| {asked['question']} | circuits | " + " | ".join(f"in {NAMES[b]}" for b in models) + " |"
    yield "|---" * (len(models) + 2) + "|"
    for a in models:
        first = next(pair for pair in asked["pairs"] if pair["a"] == a)
        count = f"{first['circuits']:,}" + ("+" if first["truncated"] else "")
        cells = ["" if a == b else _cell(pairs[a, b]) for b in models]
        yield f"| {NAMES[a]} | {count} | " + " | ".join(cells) + " |"


def _cell(pair: Found) -> str:
    nulls = pair["nulls"]
    decoys = nulls[DECOYS]
    with_decoys = f"{decoys['expected']:.1f} of {decoys['recurring']:,}" if decoys["recurring"] else "–"
    chance = f"({nulls[PERMUTED]['expected']:.1f} / {with_decoys} / {nulls[REWIRED]['expected']:.1f})"
    sure = all(nulls[null]["p"] <= SURE for null in (PERMUTED, DECOYS, REWIRED))
    return (f"**{pair['recurring']:,}**" if sure else f"{pair['recurring']:,}") + f" {chance}"


# --- figures ---------------------------------------------------------------------------------------------------------

_LEFT, _ROW, _TOP, _PANEL, _GAP = 190.0, 17.0, 74.0, 380.0, 36.0


@dataclass(frozen=True)
class Series:
    """What a mark stands for: its name, shape, colour, and the value in a row, None for none."""

    name: str
    mark: Callable[[float, float, str], Element]
    colour: str
    value: Callable[[Found], float | None]


def _disc(x: float, y: float, colour: str) -> Element:
    return element("circle", cx=x, cy=y, r=4.2, fill=colour)


def _ring(x: float, y: float, colour: str) -> Element:
    return element("circle", cx=x, cy=y, r=3.6, fill="none", stroke=colour, stroke_width=1.8)


def _cross(x: float, y: float, colour: str) -> Element:
    d = f"M{number(x - 3.5)} {number(y - 3.5)}l7 7m0 -7l-7 7"
    return element("path", d=d, stroke=colour, stroke_width=1.8, fill="none")


def _square(x: float, y: float, colour: str) -> Element:
    return element("rect", x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, fill="none", stroke=colour, stroke_width=1.8)


# Colours that the colour-blind tell apart (Okabe and Ito 2008); the shapes tell the same.
_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"


def dot_plot(
    title: str, note: str, rows: Sequence[Found], panels: Sequence[tuple[str, float, float, Sequence[Series]]]
) -> Drawing:
    """A line for each row, with marks; panels beside each other: heading, largest value, distance of ticks, series."""
    bottom = _TOP + _ROW * len(rows)
    width = _LEFT + len(panels) * (_PANEL + _GAP)
    content = [
        element("rect", width=width, height=bottom + 52, fill="#fff"),
        text_element("text", title, x=12.0, y=22.0, font_size=14.0, font_weight="bold", fill=INK),
    ]
    for place, row in enumerate(rows):
        words = f"{NAMES[row['a']]} in {NAMES[row['b']]}"
        y = _TOP + _ROW * (place + 0.5)
        content.append(text_element("text", words, x=_LEFT - 10, y=y + 4, text_anchor="end", font_size=11.0, fill=INK))
    for panel, (heading, most, step, series) in enumerate(panels):
        left = _LEFT + panel * (_PANEL + _GAP)
        scale = _PANEL / most
        content.append(text_element("text", heading, x=left, y=44.0, font_size=11.0, fill=INK))
        x = left
        for one in series:
            content.append(one.mark(x + 5, 59.0, one.colour))
            content.append(text_element("text", one.name, x=x + 14, y=63.0, font_size=11.0, fill=SOFT))
            x += 26 + 6.2 * len(one.name)
        for tick in range(int(most / step + 1e-9) + 1):
            x = left + tick * step * scale
            content.append(element("path", d=f"M{number(x)} {_TOP}V{bottom}", stroke=FAINT, stroke_width=0.5))
            words = f"{tick * step:g}"
            content.append(
                text_element("text", words, x=x, y=bottom + 15, text_anchor="middle", font_size=10.0, fill=SOFT)
            )
        for place, row in enumerate(rows):
            y = _TOP + _ROW * (place + 0.5)
            for one in reversed(series):
                value = one.value(row)
                if value is not None:
                    content.append(one.mark(left + value * scale, y, one.colour))
    content.append(text_element("text", note, x=12.0, y=bottom + 38, font_size=10.0, fill=SOFT))
    return Drawing(width, bottom + 52, title, note, tuple(content), {})


def draw_joins(rows: Sequence[Found]) -> Drawing:
    """The mean best score of every direction beside its nulls."""

    def null(name: str) -> Callable[[Found], float]:
        return lambda row: float(row["nulls"][name]["score"])

    series = [
        Series("observed", _disc, INK, lambda row: row["observed"]["score"]),
        Series(MIXED, _ring, _BLUE, null(MIXED)),
        Series(UNTRAINED, _square, _ORANGE, null(UNTRAINED)),
        Series(SHUFFLED, _cross, _GREEN, null(SHUFFLED)),
    ]
    note = "Mean over the units of the first network; found on one half of the pictures, scored on the other."
    title = "How alike best partners answer, beside what chance gives"
    return dot_plot(title, note, rows, [("mean best correlation", 0.5, 0.1, series)])


def draw_circuits(asked: Found) -> Drawing:
    """The circuits that come back in every direction beside the nulls' means, as parts of the circuits asked of."""

    def of_all(value: Callable[[Found], float]) -> Callable[[Found], float | None]:
        return lambda row: 100 * value(row) / row["circuits"] if row["circuits"] else None

    def of_those(name: str) -> Callable[[Found], float | None]:
        return lambda row: (
            100 * row["nulls"][DECOYS][name] / row["nulls"][DECOYS]["circuits"]
            if row["nulls"][DECOYS]["circuits"]
            else None
        )

    everything = [
        Series("observed", _disc, INK, of_all(lambda row: row["recurring"])),
        Series(PERMUTED, _ring, _BLUE, of_all(lambda row: row["nulls"][PERMUTED]["expected"])),
        Series(REWIRED, _cross, _GREEN, of_all(lambda row: row["nulls"][REWIRED]["expected"])),
    ]
    with_decoys = [
        Series("observed", _disc, INK, of_those("recurring")),
        Series(DECOYS, _square, _ORANGE, of_those("expected")),
    ]
    values = [one.value(row) or 0.0 for row in asked["pairs"] for one in (*everything, *with_decoys)]
    step = next(step for step in (1.0, 2.0, 5.0, 10.0) if max(values) / step <= 8)
    most = step * (int(max(values) / step) + 1)
    note = f"{QUESTIONS[asked['question']]}; mean of {asked['samples']} samples of chance."
    panels = [
        ("% of all circuits that come back", most, step, everything),
        ("% of those whose units all have decoys", most, step, with_decoys),
    ]
    return dot_plot(
        "Circuits that come back in another network, beside what chance gives", note, asked["pairs"], panels
    )


def main() -> None:
    """Join, ask, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.universality", description=__doc__)
    parser.add_argument("--db", required=True, help="a database of probed models; joins are written into it")
    parser.add_argument("--out", type=Path, help="the folder for the figures; none are drawn unless given")
    parser.add_argument("--join-samples", type=int, default=1, help="how often each null of a join is drawn (1)")
    parser.add_argument("--samples", type=int, default=30, help="how often each null of a question is drawn (30)")
    options = parser.parse_args()
    with circuitdb.open(options.db) as database:
        rows = database.models()
    models = [str(row["name"]) for row in rows if not str(row["source"]).startswith(RANDOM)]
    joined = _kept(Path(f"{options.db}.joins.json"), lambda: joins(options.db, models, options.join_samples))
    print("\n".join(table_of_joins(joined)), end="\n\n")
    asked = _kept(Path(f"{options.db}.circuits.json"), lambda: questions(options.db, models, options.samples))
    for question in asked:
        print("\n".join(table_of_circuits(question)), end="\n\n")
    if options.out is not None:
        draw_joins(joined).save(options.out / "universality_joins.svg")
        draw_circuits(asked[0]).save(options.out / "universality_circuits.svg")


def _kept(file: Path, ask: Callable[[], Iterator[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows that a file holds, or else those that are asked for now, which it holds then."""
    if not file.exists():
        file.write_text(json.dumps(list(ask()), indent=1))
    rows: list[dict[str, Any]] = json.loads(file.read_text())
    return rows


if __name__ == "__main__":
    main()
