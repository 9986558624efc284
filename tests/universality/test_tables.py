"""The tables and figures of docs/universality.md, from figures of joins and questions."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.universality import draw_circuits, draw_joins, table_of_circuits, table_of_joins
from circuitdb.universality.join import MIXED, SHUFFLED, UNTRAINED
from circuitdb.universality.table import DECOYS, PERMUTED, REWIRED


def joined(a: str, b: str, score: float, mixed: float) -> dict[str, Any]:
    nulls = {SHUFFLED: 0.05, MIXED: mixed, UNTRAINED: 0.125}
    return {
        "a": a,
        "b": b,
        "observed": {"score": score, "same_on_both": 0.3},
        "nulls": {name: {"score": value, "samples": 1} for name, value in nulls.items()},
    }


def counted(a: str, b: str, recurring: int, decoys: tuple[int, int, float, float]) -> dict[str, Any]:
    def null(circuits: int, found: int, expected: float, p: float) -> dict[str, Any]:
        return {"circuits": circuits, "recurring": found, "expected": expected, "p": p}

    return {
        "a": a,
        "b": b,
        "circuits": 200,
        "truncated": a == "vgg16",
        "recurring": recurring,
        "nulls": {
            PERMUTED: null(200, recurring, 2.0, 0.03),
            DECOYS: null(*decoys),
            REWIRED: null(200, recurring, 4.0, 0.03),
        },
    }


QUESTION = {
    "question": "two strong inputs",
    "samples": 30,
    "pairs": [
        counted("alexnet", "vgg16", 20, (50, 10, 1.0, 0.03)),
        counted("vgg16", "alexnet", 6, (0, 0, 0.5, 1.0)),
    ],
}


def circles_of(svg: str) -> list[tuple[float, float]]:
    """The centres of the drawing's circles, in their order."""
    circles = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}circle")
    return [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in circles]


def test_a_line_for_each_direction() -> None:
    lines = list(table_of_joins([joined("alexnet", "vgg16", 0.3456, 0.21)]))
    assert lines[2:] == ["| AlexNet | VGG16 | 0.346 | 0.050 | 0.210 | 0.125 | 30 % |"]


def test_circuits_stand_in_bold_where_no_null_gives_as_many() -> None:
    assert list(table_of_circuits(QUESTION))[2:] == [
        "| AlexNet | 200 |  | **20** (2.0 / 1.0 of 10 / 4.0) |",
        "| VGG16 | 200+ | 6 (2.0 / – / 4.0) |  |",
    ]


def test_marks_stand_where_their_values_are() -> None:
    scores = {"alexnet": 0.4, "vgg16": 0.1, "inceptionv1": 0.25}
    rows = [joined(a, "resnetv2_50", score, 0.3) for a, score in scores.items()]
    circles = circles_of(draw_joins(rows).svg)
    # Two of the legend, then a ring (mixed units) and a disc (observed) in each row.
    assert len(circles) == 2 + 2 * len(rows)
    discs = np.array(circles[3::2])
    across, down = discs[:, 0], discs[:, 1]
    assert np.polyfit([*scores.values()], across, 1, full=True)[1] == pytest.approx(0, abs=1e-3)
    assert across[0] > across[2] > across[1]
    assert np.diff(down) == pytest.approx(np.diff(down)[0])
    rings = np.array(circles[2::2])
    assert rings[:, 0] == pytest.approx(np.interp(0.3, [0.1, 0.4], [across[1], across[0]]), abs=0.02)


def test_circuits_are_drawn_as_parts_of_those_asked_of_and_left_out_where_there_are_none() -> None:
    svg = draw_circuits(QUESTION).svg
    circles = circles_of(svg)
    # The legends' three, two series with circles in two rows, and the one row that has circuits with decoys.
    assert len(circles) == 3 + 4 + 1
    assert "find { {a, b} -&gt; c where share &gt; 0.05 }" in svg
