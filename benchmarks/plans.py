"""What a circuit of each motif of the library is made of, and what its decoys lack.

A `Plan` says units by layer, hand-set kernels between them, rows of maps and labels. Its decoys are plans that lack one
essential part each. `planting` puts plans into networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Kernel = npt.NDArray[np.float64]
Row = tuple[str, str, str]
"""A map, and the units that it leads from and to."""

_UP = np.array([[1.0, 1.0, 1.0]] * 3) * np.array([[1.0], [0.3], [-0.6]])
_CORNER = np.array([[1.0, 0.5, 0.0], [0.2, 0.4, -0.1], [-0.1, 0.0, -0.2]])


def _normed(kernel: Kernel) -> Kernel:
    return kernel / np.sqrt(np.square(kernel).sum())


SPREAD = _normed(np.array([[0.5, 0.8, 0.5], [0.8, 1.0, 0.8], [0.5, 0.8, 0.5]]))
"""Alike on all sides."""

TOP = _normed(_UP)
"""Excites above, inhibits below."""

LOPSIDED = _normed(_CORNER)
"""Unlike its mirror image and its turned images."""


def turned(kernel: Kernel, quarters: int = 1) -> Kernel:
    """The kernel turned counter-clockwise as seen."""
    return np.rot90(kernel, quarters)


def mirrored(kernel: Kernel) -> Kernel:
    """Left and right exchanged."""
    return kernel[:, ::-1]


@dataclass(frozen=True)
class Edge:
    """A hand-set kernel of norm 1 [3, 3] between two units; 0: there is no such edge.

    strongest: the edge is made stronger than all others into its target, whatever the amplitude.
    """

    source: str
    target: str
    kernel: Kernel
    strongest: bool = False


@dataclass(frozen=True)
class Plan:
    """One circuit.

    units: the layer of each, by its name in the motif. lists: names of the units that a counted block must list.
    maps: rows. labels: by unit. skips: pairs of units of one index, the first some layers below. without_heir: units
    that are the strongest input of none. apart: pairs of units that no unit excites both. missing: what a decoy lacks.
    """

    motif: str
    units: Mapping[str, int]
    edges: tuple[Edge, ...]
    maps: tuple[Row, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skips: tuple[tuple[str, str], ...] = ()
    without_heir: tuple[str, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    alone: tuple[tuple[str, str], ...] = ()
    missing: str = ""

    @property
    def single(self) -> frozenset[str]:
        """The units that the circuit may name outside lists."""
        return frozenset(self.units) - {unit for units in self.lists.values() for unit in units}

    def edge(self, missing: str, source: str, target: str, kernel: Kernel, strongest: bool = False) -> Plan:
        """A decoy: another kernel between two units."""
        edges = tuple(e for e in self.edges if (e.source, e.target) != (source, target))
        return replace(self, missing=missing, edges=(*edges, Edge(source, target, kernel, strongest)))

    def row(self, missing: str, name: str, source: str) -> Plan:
        """A decoy: no row of that map leads from the unit."""
        return replace(self, missing=missing, maps=tuple(r for r in self.maps if r[:2] != (name, source)))

    def cut(self, missing: str, unit: str) -> Plan:
        """A decoy: no row of a map leads from the unit or to it."""
        return replace(self, missing=missing, maps=tuple(r for r in self.maps if unit not in r[1:]))


def _both_ways(name: str, *pairs: tuple[str, str]) -> tuple[Row, ...]:
    return tuple(row for a, b in pairs for row in dict.fromkeys(((name, a, b), (name, b, a))))


def _orbit(members: tuple[str, ...]) -> tuple[Row, ...]:
    """Rows of all quarter turns among four units."""
    return tuple(
        (f"rotate({90 * quarters})", unit, members[(place + quarters) % 4])
        for quarters in (1, 2, 3)
        for place, unit in enumerate(members)
    )


def _pathways(layers: int, maps: bool, motif: str, names: Callable[[int], tuple[str, str]]) -> Plan:
    """Two pathways that inhibit each other in all layers but the last, where one unit reads both."""
    units: dict[str, int] = {}
    edges: list[Edge] = []
    rows: list[Row] = []
    for layer in range(layers - 1):
        one, other = names(layer + 1)
        units |= {one: layer, other: layer}
        rows += _both_ways("flip", (one, other))
        if layer:
            before, other_before = names(layer)
            edges += [Edge(before, one, SPREAD), Edge(other_before, other, SPREAD)]
            edges += [Edge(before, other, -SPREAD), Edge(other_before, one, -SPREAD)]
    units["both"] = layers - 1
    edges += [Edge(name, "both", SPREAD) for name in names(layers - 1)]
    rows += _both_ways("flip", ("both", "both"))
    return Plan(motif, units, tuple(edges), tuple(rows) if maps else ())


def _cases(number: int) -> tuple[str, str]:
    return f"case{number}", f"T(case{number})"


def _sides(number: int) -> tuple[str, str]:
    return f"left{number}", f"right{number}"


def _unions() -> Iterator[tuple[Plan, ...]]:
    two = _pathways(3, True, "union_over_cases", _cases)
    yield (
        two,
        two.edge("one case excites the other's second unit", "case1", "T(case2)", SPREAD),
        two.edge("one case does not reach the last unit", "T(case2)", "both", -SPREAD),
        two.row("the last unit is not its own image", "flip", "both"),
        two.cut("the second units are not each other's images", "case2"),
    )
    four = _pathways(4, True, "union_over_cases_in_four_layers", _cases)
    yield (
        four,
        four.edge("one case does not inhibit the other's third unit", "case2", "T(case3)", SPREAD),
        four.edge("one case does not inhibit the other's second unit", "T(case1)", "case2", SPREAD),
        four.row("the last unit is not its own image", "flip", "both"),
    )
    crossed = _pathways(3, False, "cross_inhibition", _sides)
    yield (
        crossed,
        crossed.edge("one side excites the other's second unit", "left1", "right2", SPREAD),
        crossed.edge("one side does not reach the last unit", "right2", "both", -SPREAD),
    )


def _equivariances() -> Iterator[tuple[Plan, ...]]:
    pair = Plan(
        "equivariance",
        {"a": 0, "T(a)": 0, "b": 1, "T(b)": 1},
        (Edge("a", "b", LOPSIDED), Edge("T(a)", "T(b)", turned(LOPSIDED))),
        (("rotate(90)", "a", "T(a)"), ("rotate(90)", "b", "T(b)")),
    )
    yield (
        pair,
        pair.edge("the second kernel is not turned", "T(a)", "T(b)", LOPSIDED),
        pair.edge("the second kernel is turned the wrong way", "T(a)", "T(b)", turned(LOPSIDED, 3)),
        pair.row("the second target is not the first's image", "rotate(90)", "b"),
    )
    sources, targets = ("a", "g(a)", "gg(a)", "ggg(a)"), ("b", "g(b)", "gg(b)", "ggg(b)")
    family = Plan(
        "equivariant_family",
        dict.fromkeys(sources, 0) | dict.fromkeys(targets, 1),
        tuple(Edge(a, b, turned(LOPSIDED, k)) for k, (a, b) in enumerate(zip(sources, targets, strict=True))),
        (*_orbit(sources), *_orbit(targets)),
    )
    decoys = (
        family.edge("one kernel is not turned", "g(a)", "g(b)", LOPSIDED),
        family.edge("one edge is missing", "gg(a)", "gg(b)", 0 * SPREAD),
        family.cut("one target is no image of the others", "gg(b)"),
    )
    yield (family, *decoys)
    yield tuple(replace(plan, motif="equivariance_over_group") for plan in (family, *decoys))
    to_one = Plan(
        "invariant_from_equivariant",
        {"member": 0, "T(member)": 0, "invariant": 1},
        (Edge("member", "invariant", LOPSIDED), Edge("T(member)", "invariant", mirrored(LOPSIDED))),
        _both_ways("flip", ("member", "T(member)"), ("invariant", "invariant")),
    )
    yield (
        to_one,
        to_one.edge("one member inhibits", "T(member)", "invariant", -mirrored(LOPSIDED)),
        to_one.edge("the second kernel is not mirrored", "T(member)", "invariant", LOPSIDED),
        to_one.row("the last unit is not its own image", "flip", "invariant"),
    )
    from_one = Plan(
        "equivariant_from_invariant",
        {"invariant": 0, "member": 1, "T(member)": 1},
        (Edge("invariant", "member", LOPSIDED), Edge("invariant", "T(member)", mirrored(LOPSIDED))),
        _both_ways("flip", ("member", "T(member)"), ("invariant", "invariant")),
    )
    yield (
        from_one,
        from_one.edge("one member is inhibited", "invariant", "T(member)", -mirrored(LOPSIDED)),
        from_one.edge("the second kernel is not mirrored", "invariant", "T(member)", LOPSIDED),
        from_one.row("the first unit is not its own image", "flip", "invariant"),
    )
    neighbours = Plan(
        "lateral_contrast",
        {"a": 0, "neighbour_a": 0, "b": 1, "neighbour_b": 1},
        (
            Edge("a", "b", SPREAD),
            Edge("neighbour_a", "neighbour_b", SPREAD),
            Edge("a", "neighbour_b", -SPREAD),
            Edge("neighbour_a", "b", -SPREAD),
        ),
        (("rotate(90)", "a", "neighbour_a"), ("rotate(90)", "b", "neighbour_b")),
    )
    yield (
        neighbours,
        neighbours.edge("one neighbour excites", "a", "neighbour_b", SPREAD),
        neighbours.row("the targets are no neighbours", "rotate(90)", "b"),
    )
    lines = Plan(
        "curve_from_lines",
        {"tangent": 0, "across": 0, "curve": 1, "T(curve)": 1},
        (
            Edge("tangent", "curve", LOPSIDED),
            Edge("across", "curve", -SPREAD),
            Edge("across", "T(curve)", turned(LOPSIDED)),
            Edge("tangent", "T(curve)", -SPREAD),
        ),
        (("rotate(90)", "tangent", "across"), ("rotate(90)", "curve", "T(curve)")),
    )
    yield (
        lines,
        lines.edge("the arc does not turn with the lines", "across", "T(curve)", LOPSIDED),
        lines.edge("lines across excite", "across", "curve", SPREAD),
        replace(lines, maps=(*lines.maps, ("rotate(180)", "curve", "curve")), missing="the curve is straight"),
    )


def _superpositions() -> Iterator[tuple[Plan, ...]]:
    hosts, others = ("host1", "host2", "host3"), ("other1", "other2", "other3")
    kept_from = tuple(Edge(other, host, SPREAD, True) for other, host in zip(others, hosts, strict=True))
    spread = Plan(
        "superposition",
        {"pure": 0} | dict.fromkeys(others, 0) | dict.fromkeys(hosts, 1),
        (*(Edge("pure", host, SPREAD) for host in hosts), *kept_from),
        labels={"pure": "car"} | dict.fromkeys(others, "dog"),
        lists={"host": hosts, "": others},
        without_heir=("pure",),
    )
    with_heir = replace(spread, units=spread.units | {"heir": 1}, without_heir=())
    heir = with_heir.edge("an heir takes most of its input from the feature", "pure", "heir", SPREAD, True)
    two = spread.edge("there are two hosts only", "pure", "host3", 0 * SPREAD)
    yield (
        spread,
        heir,
        two,
        replace(spread, labels=spread.labels | {"other2": "red car"}, missing="one host's strongest input is a car"),
    )
    deeper = {name: layer + 1 for name, layer in spread.units.items()}
    unlabelled = replace(
        spread,
        motif="superposition_unlabelled",
        units=deeper,
        labels={},
        apart=tuple(("pure", other) for other in others),
    )
    common = {"part": 0}
    yield (
        unlabelled,
        replace(heir, motif=unlabelled.motif, units=deeper | {"heir": 2}, labels={}, apart=unlabelled.apart),
        replace(two, motif=unlabelled.motif, units=deeper, labels={}, apart=unlabelled.apart),
        replace(
            unlabelled,
            units=deeper | common,
            edges=(*unlabelled.edges, Edge("part", "pure", SPREAD), Edge("part", "other2", SPREAD)),
            missing="one host's strongest input is built from the same part as the feature",
        ),
    )
    mixed = Plan(
        "polysemantic",
        {"first": 1, "second": 1, "mixed": 2},
        (Edge("first", "mixed", SPREAD), Edge("second", "mixed", SPREAD)),
        apart=(("first", "second"),),
        alone=(("first", "second"),),
    )
    elsewhere = (Edge("first", "elsewhere", SPREAD), Edge("second", "elsewhere", SPREAD))
    shared = (Edge("part", "first", SPREAD), Edge("part", "second", SPREAD))
    yield (
        mixed,
        mixed.edge("the two lie in different places", "second", "mixed", TOP),
        mixed.edge("one of the two inhibits", "second", "mixed", -SPREAD),
        replace(
            mixed,
            units=mixed.units | {"elsewhere": 2},
            edges=(*mixed.edges, *elsewhere),
            missing="the two meet in another unit as well",
        ),
        replace(
            mixed, units=mixed.units | common, edges=(*mixed.edges, *shared), missing="the two are built from one part"
        ),
    )


def _objects() -> Iterator[tuple[Plan, ...]]:
    parts = Plan(
        "object_from_parts",
        {"part1": 0, "part2": 0, "object": 1},
        (Edge("part1", "object", TOP), Edge("part2", "object", turned(TOP, 2))),
    )
    yield (
        parts,
        parts.edge("both parts lie on one side", "part2", "object", TOP),
        parts.edge("one part lies in the middle", "part2", "object", SPREAD),
        parts.edge("one part inhibits", "part2", "object", -turned(TOP, 2)),
    )
    whole = Plan(
        "car",
        {"windows": 0, "wheels": 0, "body": 0, "car": 1},
        (Edge("windows", "car", TOP), Edge("wheels", "car", turned(TOP, 2)), Edge("body", "car", SPREAD)),
        labels={"car": "car"},
    )
    yield (
        whole,
        whole.edge("the wheels are on the roof", "wheels", "car", TOP),
        whole.edge("the body inhibits", "body", "car", -SPREAD),
        replace(whole, labels={"car": "ship"}, missing="it is a ship"),
    )
    border = Plan(
        "high_low_frequency",
        {"high": 0, "low": 0, "high_low": 1, "T(high_low)": 1},
        (
            Edge("high", "high_low", TOP),
            Edge("low", "high_low", turned(TOP, 2)),
            Edge("high", "T(high_low)", turned(TOP, 2)),
            Edge("low", "T(high_low)", TOP),
        ),
        _both_ways("rotate(180)", ("high", "high"), ("low", "low"), ("high_low", "T(high_low)")),
    )
    yield (
        border,
        border.edge("both lie on one side", "low", "high_low", TOP),
        border.edge("the turned detector reads from the same side", "high", "T(high_low)", TOP),
        border.row("one texture is not its own image", "rotate(180)", "low"),
    )
    sources = tuple(f"source{number}" for number in range(1, 7))
    fan = Plan(
        "excitatory_fan",
        dict.fromkeys(sources, 0) | {"target": 1},
        tuple(Edge(source, "target", SPREAD) for source in sources),
        lists={"source": sources},
    )
    yield (
        fan,
        fan.edge("one source inhibits", "source4", "target", -SPREAD),
        fan.edge("one source excites here and inhibits there", "source2", "target", turned(TOP)),
    )
    block = Plan(
        "skip_refinement",
        {"before": 0, "first": 1, "second": 2, "after": 3},
        (Edge("before", "first", SPREAD), Edge("first", "second", SPREAD), Edge("second", "after", SPREAD)),
        skips=(("before", "after"),),
    )
    yield (
        block,
        replace(block, skips=(), missing="there is no skip"),
        block.edge("the path breaks off", "second", "after", 0 * SPREAD),
    )


PLANS: Mapping[str, tuple[Plan, ...]] = {
    plans[0].motif: plans for group in (_unions, _equivariances, _superpositions, _objects) for plans in group()
}
"""By motif its circuit, and then its decoys."""
