"""The motif library: each motif finds what was planted, no decoy that lacks one part of it, and says what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import circuitdb
from benchmarks.plans import PLANS
from benchmarks.planted import score, wilson
from benchmarks.planting import MODEL, Network, plant
from circuitdb.backends import open_store
from circuitdb.database import Database
from circuitdb.language.diagnostics import Source
from circuitdb.language.library import library_files
from circuitdb.language.parser import parse
from circuitdb.language.syntax import Motif
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.diagram import diagram, motif_diagram
from ingest.architectures import handwritten
from ingest.architectures.handwritten.circuits import Circuit
from ingest.pipeline import ingest_model
from tests.graphs import map_table

FILES = {file.stem: file for file in library_files()}
WITHOUT_PLANS = {"clients", "upstream", "universal"}
WANTED: Mapping[str, Mapping[str, str]] = {
    "superposition": {"feature": "car"},
    "clients": {"of": "toy/L0:0"},
    "upstream": {"of": "toy/L2:0"},
    "universal": {"other": "twin"},
}
"""Parameters that have no default."""


# --- what a file says -------------------------------------------------------------------------------------------------


def motif_of(name: str) -> Motif:
    [motif] = parse(Source(name, FILES[name].read_text(encoding="utf-8"))).motifs
    return motif


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_its_motif_with_a_description_that_names_a_source_and_every_parameter(name: str) -> None:
    motif, text = motif_of(name), FILES[name].read_text(encoding="utf-8")
    assert motif.name.name == name
    description = text.split('"""')[1]
    assert re.search(r"[A-Z]\w+ et al\. 20\d\d, [A-Z]|[A-Z]\w+ 20\d\d, [A-Z]", description), "no source"
    for parameter in motif.parameters:
        assert re.search(rf"\b{parameter.name}\b[^.]*:", description), parameter.name
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("name", FILES)
def test_a_motif_compiles_to_both_stores_and_without_a_default_says_which_parameter_is_missing(name: str) -> None:
    wanted = WANTED.get(name, {})
    query = compile_query(f"find {name}", parameters=wanted)
    assert query.motif == name
    for parameter in wanted:
        with pytest.raises(circuitdb.InputError, match=parameter):
            compile_query(f"find {name}", parameters={k: v for k, v in wanted.items() if k != parameter})
    assert motif_diagram(FILES[name]).count("\n") > 2


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_has_a_line_a_unit_by_depth_a_column_an_edge_and_a_line_a_map() -> None:
    drawn = diagram(compile_query("find { a +> c; b -| c; c -> d; skip a -> d; b = flip(a) }").body)
    assert drawn.splitlines() == [
        "a             o o",
        "b = flip(a)   │ ║ o",
        "c             ▼ ║ ┴ o",
        "d               ▽   ▽",
        "flip: a ↦ b",
        "",
        "▼ excites   ┴ inhibits   ▽ either   ║ skip",
    ]


def test_what_stands_in_blocks_is_drawn_below_with_the_units_around_that_it_names() -> None:
    drawn = diagram(compile_query("find { unit a  at least 2 x { a +> x }  no a -| y }").body)
    assert drawn.splitlines()[:7] == ["a", "at least 2 x", "  a   o", "  x   ▼", "no", "  a   o", "  y   ┴"]


# --- planted circuits and decoys --------------------------------------------------------------------------------------

CIRCUITS_A_PLAN = {"equivariance_over_group": 4}
"""How many circuits a planted one is, where it is more than one: each edge of a family."""

SOME = 3

ON_NEO4J = ("equivariance_over_group", "polysemantic", "skip_refinement", "superposition")
"""Some motifs that between them use all of the language; Neo4j's planner takes its time for each."""


def planted_network(motif: str) -> Network:
    """Some circuits of a motif and each of its decoys, in a network without any other edges."""
    plan, *decoys = PLANS[motif]
    plans = [plan] * SOME + decoys
    layers = max(layer for p in plans for layer in p.units.values()) + 1
    width = max(sum(list(p.units.values()).count(layer) for p in plans) for layer in range(layers)) + 8
    nothing = [np.zeros((width, width, 3, 3), np.float32) for _ in range(layers - 1)]
    return plant(nothing, plans, 1.0, np.random.default_rng(7))


def arguments(motif: str) -> dict[str, Any]:
    return {"car": {"source_layer": "L0", "target_layer": "L1"}, "superposition": {"feature": "car"}}.get(motif, {})


def test_every_motif_has_a_plan_or_tests_of_its_own() -> None:
    assert FILES.keys() == PLANS.keys() | WITHOUT_PLANS
    for plan, *decoys in PLANS.values():
        assert not plan.missing
        assert len(decoys) >= 2
        assert all(decoy.missing for decoy in decoys)


@pytest.mark.parametrize("motif", PLANS)
def test_a_motif_finds_the_circuits_that_were_planted_and_nothing_else(motif: str, tmp_path: Path) -> None:
    network = planted_network(motif)
    result = score(network, motif, arguments(motif), tmp_path)
    assert (result.planted, result.found) == (SOME, SOME)
    assert (result.decoys, result.taken) == (len(PLANS[motif]) - 1, 0)
    assert result.others == 0


def test_neo4j_finds_as_many_circuits(neo4j_address: str, tmp_path: Path) -> None:
    with Database(neo4j_address) as server:
        for motif in ON_NEO4J:
            server._store.write(planted_network(motif).graph, replace=bool(server.models()))
            circuits = server.find(motif, model=MODEL, **arguments(motif))
            assert len(circuits) == SOME * CIRCUITS_A_PLAN.get(motif, 1), motif
            assert server.count(motif, model=MODEL, **arguments(motif)) == len(circuits)
        server.delete(MODEL)


def test_the_wilson_interval_is_that_of_the_published_formula() -> None:
    # Agresti and Coull 1998, table 1's method: 0 and 10 of 10, 95 %; and its closed form at one half.
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    half = 1.96 / (2 * np.sqrt(100 + 1.96**2))
    assert wilson(50, 100) == pytest.approx((0.5 - half, 0.5 + half))


# --- motifs of one unit, and of two models ----------------------------------------------------------------------------


def document(model: str, edges: Sequence[tuple[str, str, float]]) -> dict[str, Any]:
    units = sorted({end for edge in edges for end in edge[:2]})
    layers = sorted({unit.split(":")[0] for unit in units})
    return {
        "circuitdb": 1,
        "models": [{"name": model}],
        "layers": [{"model": model, "name": layer, "depth": depth} for depth, layer in enumerate(layers)],
        "units": [{"key": f"{model}/{unit}"} for unit in units],
        "edges": [{"source": f"{model}/{a}", "target": f"{model}/{b}", "weight": weight} for a, b, weight in edges],
    }


def test_clients_and_upstream_follow_a_units_strong_edges(tmp_path: Path) -> None:
    weak = 0.05
    edges = [
        *(("L0:0", "L1:0", 1.0), ("L0:1", "L1:0", weak), ("L0:1", "L1:1", -1.0), ("L0:0", "L1:2", weak)),
        *(("L0:2", "L1:2", 1.0), ("L1:0", "L2:0", 1.0), ("L1:1", "L2:0", 0.5), ("L1:2", "L2:0", weak)),
    ]
    with Database(str(tmp_path / "toy.duckdb")) as database:
        database.import_document(document("toy", edges))
        clients = database.find("clients", of="toy/L0:0")
        assert [circuit.units["client"] for circuit in clients] == ["toy/L1:0"]
        paths = {
            tuple(c.units[name] for name in ("farther", "nearer")) for c in database.find("upstream", of="toy/L2:0")
        }
        assert paths == {("toy/L0:0", "toy/L1:0"), ("toy/L0:1", "toy/L1:1")}
        assert not database.find("upstream", of="toy/L1:0")


def test_universal_finds_an_edge_whose_analogue_has_its_sign(tmp_path: Path) -> None:
    ours = [("L0:0", "L1:0", 1.0), ("L0:1", "L1:1", -1.0), ("L0:2", "L1:2", 1.0), ("L0:3", "L1:3", 1.0)]
    theirs = [("L0:3", "L1:3", 2.0), ("L0:2", "L1:2", -0.5), ("L0:1", "L1:1", -1.0), ("L0:0", "L1:1", 1.0)]
    both, twin = document("toy", ours), document("twin", theirs)
    for part, rows in twin.items():
        if part != "circuitdb":
            both[part] += rows
    both["analogues"] = [
        {"source": f"toy/{layer}:{index}", "target": f"twin/{layer}:{3 - index}", "score": 0.9}
        for layer in ("L0", "L1")
        for index in range(4)
        if (layer, index) != ("L1", 3)
    ]
    with Database(str(tmp_path / "toy.duckdb")) as database:
        database.import_document(both)
        found = database.find("universal", model="toy", other="twin")
        assert {circuit.units["a"] for circuit in found} == {"toy/L0:0", "toy/L0:1"}


# --- handwritten networks ---------------------------------------------------------------------------------------------

Found = Sequence[Mapping[str, str | list[str]]]


@pytest.fixture(scope="module")
def handwritten_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The handwritten networks with the maps that were planted, and the correspondence of two of them as analogues."""
    path = str(tmp_path_factory.mktemp("library") / "handwritten.duckdb")
    for model in handwritten.NETWORKS:
        ingest_model(model, db=path)
    store = open_store(path)
    for model in handwritten.NETWORKS:
        graph = store.read(model)
        places = zip(graph.units["layer"].to_pylist(), graph.units["index"].to_pylist(), strict=True)
        row = {f"{layer}:{index}": number for number, (layer, index) in enumerate(places)}
        rows = [(m.map, row[m.source], row[m.target], 0.9) for m in handwritten.planted_maps(model)]
        store.write(replace(graph, maps=map_table(rows)), replace=True)
    with circuitdb.open(path) as database:
        database.import_document(
            {
                "circuitdb": 1,
                "analogues": [
                    {"source": f"handwritten/{a}", "target": f"handwritten_second/{b}", "score": 1.0}
                    for a, b in handwritten.truth.correspondence().items()
                ],
            }
        )
        yield database


def is_there(circuit: Circuit, found: Found, model: str) -> bool:
    """Whether a planted circuit is among those found, whose units are places in the network."""
    planted: dict[str, Any] = dict(circuit.units)

    def named(units: Mapping[str, Any]) -> bool:
        return any(all(_same(f.get(name), unit) for name, unit in units.items()) for f in found)

    def covered(names: Sequence[str], wanted: Sequence[str], **where: str) -> bool:
        here = [f for f in found if all(f[name] == unit for name, unit in where.items())]
        return set(wanted) <= {f[name] for f in here for name in names}

    match circuit.motif:
        case "union_over_cases":
            swapped = {_other_half(name): unit for name, unit in planted.items()}
            return named(planted) or named(swapped)
        case "high_low_frequency":
            ways = [(a, b, side) for a, b in (("high", "low"), ("low", "high")) for side in ("high_low", "T(high_low)")]
            return any(named({a: planted["high"], b: planted["low"], s: planted["high_low"]}) for a, b, s in ways)
        case "polysemantic":
            one, other = planted["reads"]
            ways = [{"first": one, "second": other}, {"first": other, "second": one}]
            return any(named({**way, "mixed": planted["unit"]}) for way in ways)
        case "object_from_parts":
            in_the_middle = {f"{layer}:{index}" for layer, index, label in handwritten.LABELS[model] if label == "body"}
            at_the_side = [part for part in planted["part"] if part not in in_the_middle]
            return covered(("part1", "part2"), at_the_side, object=planted["object"])
        case "invariant_from_equivariant" | "equivariant_from_invariant":
            return covered(("member", "T(member)"), planted["member"], invariant=planted["invariant"])
        case "equivariant_family":
            return covered(("a",), planted["a"]) and covered(("b",), planted["b"])
        case _:
            return named(planted)


def _same(found: Any, planted: Any) -> bool:
    return set(planted) <= set(found or ()) if isinstance(planted, list) else found == planted


def _other_half(name: str) -> str:
    if name == "both":
        return name
    return name[2:-1] if name.startswith("T(") else f"T({name})"


def search(circuit: Circuit, model: str) -> tuple[str, dict[str, Any]]:
    """The motif and the parameters with which a planted circuit is looked for."""
    by_map = {name: value for name, value in circuit.parameters.items() if name == "T"}
    match circuit.motif:
        case "union_over_cases" if "layers" in circuit.parameters:
            return "union_over_cases_in_four_layers", by_map
        case "car":
            layers = ("conv4", "conv5") if model == "handwritten_second" else ("shapes", "parts")
            return "car", dict(zip(("source_layer", "target_layer"), layers, strict=True))
        case "equivariant_family":
            return "equivariance_over_group", {"G": by_map["T"], "k": 4}
        case "superposition":
            return circuit.motif, {"feature": "car"}
        case "high_low_frequency" | "curve_from_lines":
            return circuit.motif, {}
        case "excitatory_fan":
            return circuit.motif, {"min_share": 0.015}
        case _:
            return circuit.motif, by_map


@pytest.mark.parametrize("model", handwritten.NETWORKS)
def test_the_handwritten_networks_circuits_are_found_and_their_decoys_are_not(
    handwritten_database: Database, model: str
) -> None:
    answers: dict[str, Found] = {}
    seen: dict[str, int] = {}
    for circuit in handwritten.planted(model):
        motif, parameters = search(circuit, model)
        question = f"{motif} {sorted(parameters.items())}"
        if question not in answers:
            circuits = handwritten_database.find(motif, model=model, limit=100_000, **parameters)
            answers[question] = [_places(c.units) for c in circuits]
        assert is_there(circuit, answers[question], model) == (circuit.missing is None), (question, circuit)
        seen[motif] = seen.get(motif, 0) + 1
    assert len(seen) >= (6 if model == "handwritten_decoys" else 14)


def _places(units: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    def place(unit: str) -> str:
        return unit.split("/")[1]

    return {name: place(u) if isinstance(u, str) else [place(one) for one in u] for name, u in units.items()}


@pytest.mark.parametrize("name", FILES)
def test_every_motif_runs_on_the_handwritten_networks(handwritten_database: Database, name: str) -> None:
    layers = {"source_layer": "shapes", "target_layer": "parts"}
    given: Callable[[str], dict[str, Any]] = lambda model: {  # noqa: E731
        "car": layers,
        "superposition": {"feature": "car"},
        "clients": {"of": f"{model}/parts:3"},
        "upstream": {"of": f"{model}/parts:3"},
        "universal": {"other": "handwritten_second"},
    }.get(name, {})
    for model in ("handwritten", "handwritten_decoys"):
        parameters = given(model)
        count = handwritten_database.count(name, model=model, **parameters)
        assert count == len(handwritten_database.find(name, model=model, limit=100_000, **parameters))
        if model == "handwritten" and name != "skip_refinement":
            assert count > 0
