"""The oracle against answers that were worked out by hand from the reference of the language."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from circuitdb.language.diagnostics import Source
from circuitdb.language.parser import parse
from tests.oracle import Circuit, answer
from tests.oracle_graphs import Document, cosine, derived_edges, graphs_of, kernel_of, moved


def document_of(
    edges: Iterable[tuple[str, str, float]],
    *,
    maps: Iterable[tuple[str, str, str]] = (),
    labels: dict[str, list[str]] | None = None,
    analogues: Iterable[tuple[str, str, int]] = (),
    units: Iterable[str] = (),
) -> Document:
    """Edges between units written `L0:3` of a model `toy`, or `model/L0:3`; `L0` has depth 0."""
    edges, maps, analogues = list(edges), list(maps), list(analogues)

    def key(unit: str) -> str:
        return unit if "/" in unit else f"toy/{unit}"

    named = [end for edge in edges for end in edge[:2]] + [end for row in maps for end in row[1:]] + list(units)
    keys = dict.fromkeys(map(key, named + [end for row in analogues for end in row[:2]]))
    layers = dict.fromkeys((unit.split("/")[0], unit.split("/")[1].split(":")[0]) for unit in keys)
    given = {key(unit): [{"label": label} for label in texts] for unit, texts in (labels or {}).items()}
    return {
        "models": [{"name": model} for model in dict.fromkeys(model for model, _ in layers)],
        "layers": [{"model": model, "name": name, "depth": int(name[1:])} for model, name in layers],
        "units": [{"key": unit, "labels": given.get(unit, [])} for unit in keys],
        "edges": [{"source": key(a), "target": key(b), "weight": weight} for a, b, weight in edges],
        "maps": [{"map": name, "source": key(a), "target": key(b), "score": 0.9} for name, a, b in maps],
        "analogues": [{"source": key(a), "target": key(b), "rank": rank} for a, b, rank in analogues],
    }


def found(text: str, document: Document) -> list[Circuit]:
    return answer(parse(Source("query", text)), graphs_of(document)).circuits


def units(text: str, document: Document) -> list[dict[str, Any]]:
    """The units of the circuits found, without the model's name, in order."""

    def short(value: Any) -> Any:
        return [short(one) for one in value] if isinstance(value, list) else value.removeprefix("toy/")

    return [{name: short(value) for name, value in circuit.units.items()} for circuit in found(text, document)]


FULL = document_of([(f"L0:{a}", f"L1:{b}", 1.0) for a in range(3) for b in range(3)])
"""Three sources, each with an edge to each of three targets."""


# Each circuit once


def test_a_fan_of_two_equal_edges_is_found_once_for_each_pair_of_sources() -> None:
    assert len(found("find { a -> c; b -> c }", FULL)) == 9
    assert len(found("find all { a -> c; b -> c }", FULL)) == 18
    assert units("find { a -> c; b -> c } limit 1", FULL)[0] == {"a": "L0:0", "c": "L1:0", "b": "L0:1"}


def test_a_fan_of_three_equal_edges_has_six_labellings() -> None:
    assert len(found("find { {a, b, c} -> d }", FULL)) == 3
    assert len(found("find all { {a, b, c} -> d }", FULL)) == 18


def test_a_fan_with_one_edge_of_another_kind_is_less_symmetric() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", 1.0), ("L0:2", "L1:0", -1.0)])
    assert units("find { {a, b} +> d; c -| d }", document) == [{"a": "L0:0", "b": "L0:1", "d": "L1:0", "c": "L0:2"}]
    assert len(found("find { {a, b} -> d; c -| d }", document)) == 1
    assert len(found("find { {a, b, c} -> d }", document)) == 1


def test_the_cross_inhibition_diamond_is_found_once() -> None:
    document = document_of(
        [
            ("L0:0", "L1:0", 1.0),
            ("L0:1", "L1:1", 1.0),
            ("L0:0", "L1:1", -1.0),
            ("L0:1", "L1:0", -1.0),
            ("L1:0", "L2:0", 1.0),
            ("L1:1", "L2:0", 1.0),
        ]
    )
    text = "{ a +> b; c +> d; a -| d; c -| b; {b, d} +> u }"
    expected = {"a": "L0:0", "b": "L1:0", "c": "L0:1", "d": "L1:1", "u": "L2:0"}
    assert units(f"find {text}", document) == [expected]
    assert len(found(f"find all {text}", document)) == 2


def test_a_triangle_of_equal_edges_has_no_symmetry_as_edges_run_upwards() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L1:0", "L2:0", 1.0), ("L0:0", "L2:0", 1.0)])
    text = "{ a -> b; b -> c; a -> c }"
    assert units(f"find {text}", document) == [{"a": "L0:0", "b": "L1:0", "c": "L2:0"}]
    assert found(f"find all {text}", document) == found(f"find {text}", document)


def test_a_triangle_of_maps_is_turned_onto_itself() -> None:
    turns = [("rotate(120)", f"L0:{k}", f"L0:{(k + 1) % 3}") for k in range(3)]
    text = "{ b = rotate(120)(a); c = rotate(120)(b); a = rotate(120)(c) }"
    document = document_of([], maps=turns)
    # Three labellings are one circuit, the least in the order in which the text names them; b stands first.
    assert units(f"find {text}", document)[0]["b"] == "L0:0"
    assert (len(found(f"find {text}", document)), len(found(f"find all {text}", document))) == (1, 3)


def test_a_six_cycle_has_six_symmetries() -> None:
    """Three sources and three targets in a ring: turns by two steps, and reflections that keep the edges' direction."""
    ring = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2)]
    document = document_of([(f"L0:{a}", f"L1:{b}", 1.0) for a, b in ring])
    text = "{ a -> x; b -> x; b -> y; c -> y; c -> z; a -> z }"
    assert (len(found(f"find {text}", document)), len(found(f"find all {text}", document))) == (1, 6)


def test_a_condition_on_one_side_neither_doubles_nor_loses_a_circuit() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", 0.5)])
    # Both orders are symmetric images in the drawing; only one fulfils the condition, whichever has the lesser keys.
    assert units("find { a -> c where weight = 1; b -> c }", document) == [{"a": "L0:0", "c": "L1:0", "b": "L0:1"}]
    assert units("find { a -> c where weight < 1; b -> c }", document) == [{"a": "L0:1", "c": "L1:0", "b": "L0:0"}]
    assert units("find { a -> c where weight > 0; b -> c }", document) == [{"a": "L0:0", "c": "L1:0", "b": "L0:1"}]


def test_a_no_on_one_side_neither_doubles_nor_loses_a_circuit() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", 1.0), ("L0:0", "L1:1", -1.0)])
    assert units("find { a +> c; b +> c; no a -| x }", document) == [{"a": "L0:1", "c": "L1:0", "b": "L0:0"}]
    assert units("find { a +> c; b +> c; no b -| x }", document) == [{"a": "L0:0", "c": "L1:0", "b": "L0:1"}]


def test_counted_blocks_belong_to_the_drawing_and_conditions_do_not() -> None:
    document = document_of([*(("L0:0", f"L1:{k}", 1.0) for k in range(2)), ("L0:1", "L1:0", 1.0)])
    both = "{ a -> c; b -> c; at least 1 x { a -> x where share > 0 } at least 1 y { b -> y where share > 0 } }"
    document["edges"].append({"source": "toy/L0:1", "target": "toy/L1:1", "weight": 1.0})
    assert len(found(f"find {both}", document)) == 2
    assert len(found(f"find all {both}", document)) == 4
    other = both.replace("b -> y where share > 0", "b -> y where share >= 0")
    assert len(found(f"find {other}", document)) == 4  # Not equal to the letter.


# Maps


MIRRORED = document_of(
    [("L0:0", "L1:0", 1.0), ("L0:1", "L1:1", 1.0), ("L0:2", "L1:2", 1.0)],
    maps=[
        ("flip", "L0:0", "L0:1"),
        ("flip", "L0:1", "L0:0"),
        ("flip", "L1:0", "L1:1"),
        ("flip", "L1:1", "L1:0"),
        ("flip", "L0:2", "L0:2"),
        ("flip", "L1:2", "L1:0"),
    ],
)


def test_a_mirrored_pair_of_edges_is_one_circuit_and_keeps_the_terms_under_their_own_text() -> None:
    expected = {"a": "L0:0", "b": "L1:0", "flip(a)": "L0:1", "flip(b)": "L1:1"}
    assert units("find { a +> b; flip(a) +> flip(b) }", MIRRORED) == [expected]
    motif = "motif m(T = flip) { a +> b; T(a) +> T(b) }"
    assert units(motif, MIRRORED) == [{name.replace("flip", "T"): unit for name, unit in expected.items()}]


def test_maps_undo_themselves_whichever_way_they_are_written() -> None:
    one_way = "{ a +> b; b = flip(a) }"
    assert found(f"find {one_way}", MIRRORED) == []  # A map within a layer, an edge between layers.
    pairs = [(one["b"], one["a"]) for one in units("find { b = flip(a) }", MIRRORED)]
    # flip leads from L1:2 to L1:0, but not back: swapped it is no match, so nothing takes its place.
    assert pairs == [("L0:0", "L0:1"), ("L1:0", "L1:1"), ("L1:0", "L1:2")]
    keys = [(one["a"], one["b"]) for one in units("find all { b = flip(a) }", MIRRORED)]
    assert sorted(keys) == [("L0:0", "L0:1"), ("L0:1", "L0:0"), ("L1:0", "L1:1"), ("L1:1", "L1:0"), ("L1:2", "L1:0")]


def test_an_invariant_unit_is_its_own_image() -> None:
    assert units("find { x = flip(x) }", MIRRORED) == [{"x": "L0:2", "flip(x)": "L0:2"}]


def test_a_term_in_a_statement_is_a_unit_of_its_own() -> None:
    assert found("find { unit a in L0; flip(flip(a)) }", MIRRORED) == []
    assert len(found("find { unit a in L0 where flip(flip(a)) = a }", MIRRORED)) == 3


def test_a_term_in_an_expression_is_a_value_and_missing_where_the_map_has_none() -> None:
    assert len(found("find { unit a in L1; where flip(a).layer = missing }", MIRRORED)) == 0
    assert len(found("find { unit a in L1; where rotate(90)(a) = missing }", MIRRORED)) == 3
    assert [one["a"] for one in units("find { unit a; where flip(a) = a }", MIRRORED)] == ["L0:2"]


def test_for_writes_the_block_out_for_every_element() -> None:
    expected = [{"a": "L0:0", "b": "L1:0", "flip(a)": "L0:1", "flip(b)": "L1:1"}]
    assert units("find { unit a, b; for g in flip { g(a) +> g(b) } }", MIRRORED) == expected


def test_for_at_least_tries_every_element_by_itself() -> None:
    assert [one["a"] for one in units("find { a +> b; for g in flip at least 2 { g(a) +> g(b) } }", MIRRORED)] == [
        "L0:0",
        "L0:1",
    ]
    assert len(found("find { a +> b; for g in flip at least 1 { g(a) +> g(b) } }", MIRRORED)) == 3
    assert [one["a"] for one in units("find { a +> b; for g in flip exactly 1 { g(a) +> g(b) } }", MIRRORED)] == [
        "L0:2"
    ]


def test_union_over_cases_is_found_once() -> None:
    document = document_of(
        [
            ("L0:0", "L1:0", 1.0),
            ("L0:1", "L1:1", 1.0),
            ("L0:0", "L1:1", -0.5),
            ("L0:1", "L1:0", -0.5),
            ("L1:0", "L2:0", 0.75),
            ("L1:1", "L2:0", 0.75),
            ("L1:0", "L2:1", 0.75),
            ("L1:1", "L2:1", 0.75),
        ],
        maps=[
            *(("flip", f"L{layer}:{a}", f"L{layer}:{b}") for layer in (0, 1) for a, b in ((0, 1), (1, 0))),
            ("flip", "L2:0", "L2:0"),
        ],
    )
    text = """
        motif union_over_cases(T = flip, min_share = 0.005) {
          case1 +> case2
          T(case1) +> T(case2)
          case1 -| T(case2)
          T(case1) -| case2
          {case2, T(case2)} +> both
          both = T(both)
          every edge where share > min_share
        }
        find union_over_cases"""
    (circuit,) = found(text, document)
    assert circuit.units == {
        "case1": "toy/L0:0",
        "case2": "toy/L1:0",
        "T(case1)": "toy/L0:1",
        "T(case2)": "toy/L1:1",
        "both": "toy/L2:0",
        "T(both)": "toy/L2:0",
    }
    assert circuit.score == pytest.approx(0.25 / 1.25)
    assert found(f"{text}(min_share = 0.3)", document) == []


# Counting and denying


def superposition() -> Document:
    edges = [("L0:0", f"L1:{k}", 0.5) for k in range(3)] + [("L0:1", f"L1:{k}", 1.0) for k in range(3)]
    return document_of(edges, labels={"L0:0": ["car"], "L0:1": ["dog", "fur"]})


SUPERPOSITION = """
motif superposition(feature, k = 3, min_share = 0.02) {
  unit pure where label ~ feature
  at least k host {
    pure +> host where share > min_share
    other +> host as o where o.rank_in = 1 and not (other.label ~ feature)
  }
  no pure +> heir where rank_in = 1
}
"""


def test_superposition_lists_the_hosts_in_order_of_their_keys() -> None:
    expected = [{"pure": "L0:0", "host": ["L1:0", "L1:1", "L1:2"]}]
    assert units(f'{SUPERPOSITION} find superposition(feature = "CAR")', superposition()) == expected
    assert units(f"{SUPERPOSITION} find superposition(feature = car, k = 4)", superposition()) == []
    assert units(f"{SUPERPOSITION} find superposition(feature = car, min_share = 0.2)", superposition()) == []
    assert units(f"{SUPERPOSITION} find superposition(feature = dog)", superposition()) == []


def test_circuits_without_edges_have_no_score_and_counted_edges_do_not_count() -> None:
    (circuit,) = found(f"{SUPERPOSITION} find superposition(feature = car)", superposition())
    assert circuit.score is None
    assert circuit.edges == frozenset()


def test_quantities_hold_for_none_too() -> None:
    document = document_of([("L0:0", "L1:0", 1.0)])

    def count(quantity: str) -> int:
        return len(found(f"find {{ unit a; {quantity} x {{ a -> x }} }}", document))

    assert [count(q) for q in ("at least 0", "at least 1", "exactly 0", "exactly 1", "at most 0", "at most 1")] == [
        2,
        1,
        1,
        1,
        1,
        2,
    ]


def test_counted_units_differ_from_all_others() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", 1.0)])
    assert units("find { a -> c; at least 1 x { x -> c } }", document) == [
        {"a": "L0:0", "c": "L1:0", "x": ["L0:1"]},
        {"a": "L0:1", "c": "L1:0", "x": ["L0:0"]},
    ]
    assert len(found("find { a -> c; b -> c; no x -> c }", document)) == 1


def test_a_count_can_be_asked_of() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:0", "L1:1", 1.0), ("L0:1", "L1:1", 1.0)])
    text = "find { unit a in L0; at least 0 x { a -> x }; where count(x) > 1 }"
    assert units(text, document) == [{"a": "L0:0", "x": ["L1:0", "L1:1"]}]


def test_every_edge_reaches_into_blocks_but_not_into_a_no() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:0", "L1:1", 0.25), ("L0:1", "L1:1", 0.25)])
    assert len(found("find { a -> b; every edge where weight = 1; at least 1 x { a -> x } }", document)) == 0
    assert len(found("find { a -> b; every edge where weight = 1; at least 0 x { a -> x } }", document)) == 1
    assert len(found("find { a -> b; every edge where weight = 1; no a -> x }", document)) == 0
    assert (
        len(found("find { a -> b; every edge where weight = 1; no { a -> x; every edge where weight = 1 } }", document))
        == 1
    )


# Expressions


def test_comparisons_with_something_missing_are_false_and_their_denial_true() -> None:
    document = document_of([("L0:0", "L1:0", 1.0)])
    assert len(found("find { a -> b where top > 0 }", document)) == 0
    assert len(found("find { a -> b where not (top > 0) }", document)) == 1
    assert len(found("find { a -> b where top != 0 }", document)) == 0
    assert len(found("find { a -> b where top = missing }", document)) == 1
    assert len(found("find { a -> b where top / 0 = missing and weight / 0 = missing }", document)) == 1


def test_a_comparison_with_labels_is_true_of_one_of_them() -> None:
    document = document_of([], units=["L0:0", "L0:1", "L0:2"], labels={"L0:0": ["a", "b"], "L0:1": ["Straße"]})

    def keys(condition: str) -> list[str]:
        return [one["x"] for one in units(f"find {{ unit x where {condition} }}", document)]

    assert keys('label = "a"') == ["L0:0"]
    assert keys('label != "a"') == ["L0:0", "L0:1"]
    assert keys('not (label = "a")') == ["L0:1", "L0:2"]
    assert keys("label = missing") == ["L0:2"]
    assert keys('label ~ "STRASSE"') == ["L0:1"]
    assert keys('label in ["b", "c"]') == ["L0:0"]


def test_aggregates_run_over_the_circuits_edges() -> None:
    document = document_of([("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", -0.5)])
    text = "find all { a -> c; b -> c } order by sum(weight * weight) + count(weight > 0) + min(share) * 0 limit 1"
    assert len(found(text, document)) == 2
    assert len(found("find { a -> c; b -> c; where sum(weight) = 0.5 and count(weight) = 2 }", document)) == 1
    assert len(found("find { a -> c; b -> c; where count(weight < 0) = 1 and max(top) = missing }", document)) == 1
    assert len(found("find { unit a in L1; where sum(weight) = 0 and min(weight) = missing }", document)) == 1


def test_orders_put_what_is_missing_last_and_break_ties_by_key() -> None:
    document = document_of([("L0:10", "L1:0", 1.0), ("L0:2", "L1:0", 1.0), ("L0:1", "L1:0", 0.5)])
    document["edges"][1]["top"] = 3.0
    keys = lambda text: [one["a"] for one in units(text, document)]  # noqa: E731
    assert keys("find { a -> b }") == ["L0:2", "L0:10", "L0:1"]
    assert keys("find { a -> b as e } order by e.top") == ["L0:2", "L0:1", "L0:10"]
    assert keys("find { a -> b as e } order by e.top desc") == ["L0:2", "L0:1", "L0:10"]
    assert keys("find { a -> b as e } order by e.weight desc") == ["L0:2", "L0:10", "L0:1"]
    assert keys("find { a -> b } order by key") == ["L0:1", "L0:2", "L0:10"]


# Several models


def test_universal_circuits_lie_in_two_models() -> None:
    document = document_of(
        [("toy/L0:0", "toy/L1:0", 1.0), ("zoo/L0:5", "zoo/L2:5", 0.5), ("zoo/L0:5", "zoo/L2:6", -0.5)],
        analogues=[("toy/L0:0", "zoo/L0:5", 1), ("toy/L1:0", "zoo/L2:6", 1), ("toy/L1:0", "zoo/L2:5", 2)],
    )
    motif = (
        "motif universal(other, T = analog) { a -> b as e; T(a, other) -> T(b, other) as f; where sign(e) = sign(f) }"
    )
    assert found(f"{motif} find universal(other = zoo)", document) == []
    (circuit,) = found(f"{motif} find universal(other = zoo, T = analog(2))", document)
    assert circuit.units == {"a": "toy/L0:0", "b": "toy/L1:0", "T(a, other)": "zoo/L0:5", "T(b, other)": "zoo/L2:5"}
    assert circuit.model == "toy"


def test_a_circuit_lies_in_one_model_and_models_are_searched_one_by_one() -> None:
    document = document_of([("toy/L0:0", "toy/L1:0", 1.0), ("zoo/L0:0", "zoo/L1:0", 1.0)])
    assert [circuit.model for circuit in found("find { unit a, b; a -> c }", document)] == []
    assert [circuit.model for circuit in found("find { a -> b }", document)] == ["toy", "zoo"]
    assert [circuit.model for circuit in found("find { a -> b } in zoo", document)] == ["zoo"]


# What follows from the document


def test_shares_and_ranks_follow_from_the_strengths() -> None:
    document = document_of([("L0:10", "L1:0", 1.0), ("L0:2", "L1:0", -1.0), ("L0:1", "L1:0", 0.0)])
    document["edges"].append({"source": "toy/L0:1", "target": "toy/L1:0", "weight": 2.0, "skip": True})
    rows = {(row["source"][-2:], row["kind"]): row for row in derived_edges(document)}
    assert rows[":2", "INHIBITS"]["rank_in"] == 1
    assert rows["10", "EXCITES"]["rank_in"] == 2
    assert rows[":1", "EXCITES"]["rank_in"] == 3
    assert rows[":1", "SKIP"] | {"rank_in": 1, "rank_out": 1, "share": 1.0} == rows[":1", "SKIP"]
    assert [rows[key]["share"] for key in ((":2", "INHIBITS"), (":1", "EXCITES"))] == [0.5, 0.0]


def test_kernels_move_as_the_picture_does() -> None:
    edge = {"kernel": [1.0, 2.0, 3.0, 4.0], "kernel_h": 2, "kernel_w": 2, "offset_y": 0.0, "offset_x": 0.0}
    kernel = kernel_of(edge)
    assert kernel is not None
    assert moved(kernel, "flip") == {(0, 0): 1.0, (0, -1): 2.0, (1, 0): 3.0, (1, -1): 4.0}
    # Counter-clockwise by a quarter, the right comes to the top.
    assert moved({(0.0, 1.0): 5.0}, "rotate", 90) == {(-1.0, 0.0): 5.0}
    assert moved(kernel, "rotate", 180) == {(0, 0): 1.0, (0, -1): 2.0, (-1, 0): 3.0, (-1, -1): 4.0}
    assert cosine(kernel, kernel) == pytest.approx(1.0)
    assert cosine(kernel, {(0.0, 0.0): 0.0}) is None
    assert cosine({(0.0, 0.0): 1.0}, {(0.0, 0.5): -1.0}) == pytest.approx(-0.5)
    # Bilinear: the four neighbours of the centre lie (√½, √½) away from it after an eighth of a turn.
    spread = 4 * (1 - math.sqrt(0.5)) ** 4
    centre = {(0.0, 0.0): 1.0}
    assert cosine(centre, moved(centre, "rotate", 45)) == pytest.approx(1 / math.sqrt(1 + spread))
    turned = moved({(0.0, 1.0): 1.0}, "rotate", 45)
    assert max(turned, key=lambda cell: turned[cell]) == (-1.0, 1.0)
    assert turned[-1.0, 1.0] == pytest.approx(2 - math.sqrt(2))


def test_used_motifs_are_written_out_with_their_name_before_their_units() -> None:
    text = "motif pair(low = 0) { p -> q as e where share > low; score 7 } find { use pair(low = 0.4) as m; m.q -> r }"
    document = document_of([("L0:0", "L1:0", 1.0), ("L1:0", "L2:0", 1.0), ("L0:1", "L1:0", 0.5)])
    assert units(text, document) == [{"m.p": "L0:0", "m.q": "L1:0", "r": "L2:0"}]
    assert found(text, document)[0].score == pytest.approx(0.8)
