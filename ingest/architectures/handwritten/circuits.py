"""The circuits planted in `handwritten`, and those that the decoy network almost has.

They follow from the wiring's kernels, without noise and background, and pose arithmetic; unit names are those of the
motif language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.architectures.handwritten.decoys import CAR_HEIR, DECOY_ROSTERS
from ingest.architectures.handwritten.maps import turned
from ingest.architectures.handwritten.networks import BACKGROUND_ENERGY, GRIDS, Weights, planted_kernels
from ingest.architectures.handwritten.units import (
    LAYERS,
    ROSTERS,
    Place,
    index_of,
    layer_of,
    of_kind,
    place_of,
    positions,
    the,
    unit_at,
)
from ingest.architectures.handwritten.wiring import WIRING

MIN_SHARE = 0.01
"""Union over cases is complete at this threshold."""


Units = Mapping[str, Place | Sequence[Place]]
"""Units by their names in a motif."""


@dataclass(frozen=True)
class Circuit:
    """One planted circuit, or one that a decoy almost is.

    units: by the name in the motif the unit, or the units, as `layer:index`. missing: the part that a decoy lacks.
    """

    motif: str
    parameters: Mapping[str, Any]
    units: Units
    missing: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        record = {"motif": self.motif, "parameters": dict(self.parameters), "units": dict(self.units)}
        return record if self.missing is None else {**record, "missing": self.missing}


@cache
def _design(layer: str) -> tuple[Weights, Weights]:
    """Weight and share [target, source] of a layer's planted kernels, as if its background were nothing but energy."""
    sources = ROSTERS[LAYERS[LAYERS.index(layer) - 1]]
    kernels = planted_kernels(ROSTERS[layer], sources, GRIDS[layer], WIRING)
    return kernels.sum(axis=(2, 3)), np.square(kernels).sum(axis=(2, 3)) / (1 + BACKGROUND_ENERGY)


def _signs(layer: str, min_share: float) -> Weights:
    """[target, source]: 1 where a planted edge above the share excites, -1 where it inhibits, else 0."""
    weight, share = _design(layer)
    signs: Weights = np.sign(np.round(weight, 9)) * (share > min_share)
    return signs


def _equivariance(target_kind: str, source_kinds: Sequence[str], map_name: str) -> Iterator[Circuit]:
    """a -> b and T(a) -> T(b) for every planted edge between the kinds; mirrored pairs once."""
    layer, below = layer_of(target_kind), layer_of(source_kinds[0])
    _, share = _design(layer)
    for a in (unit for kind in source_kinds for unit in of_kind(kind)):
        for b in of_kind(target_kind):
            after, then = turned(a, map_name, ROSTERS[below]), turned(b, map_name, ROSTERS[layer])
            if after in (None, a) or then in (None, b) or share[index_of(b), index_of(a)] == 0:
                continue
            assert after is not None
            assert then is not None
            if map_name == "flip" and index_of(after) < index_of(a):
                continue
            units = {"a": place_of(a), "b": place_of(b), "T(a)": place_of(after), "T(b)": place_of(then)}
            yield Circuit("equivariance", {"T": map_name}, units)


def _unions() -> Iterator[Circuit]:
    """Every union over two mirrored cases, in two layers and a third that holds the invariant unit."""
    index = {layer: positions(roster) for layer, roster in ROSTERS.items()}
    for (first, second), third in zip(pairwise(LAYERS), LAYERS[2:], strict=False):
        into_second, into_third = _signs(second, MIN_SHARE), _signs(third, MIN_SHARE)
        for case1 in ROSTERS[first]:
            other1 = turned(case1, "flip", ROSTERS[first])
            for case2 in ROSTERS[second]:
                other2 = turned(case2, "flip", ROSTERS[second])
                if other1 is None or other2 is None or case2 == other2:
                    continue
                i, j = index[first][case1], index[first][other1]
                k, m = index[second][case2], index[second][other2]
                if i >= j or into_second[k, i] <= 0 or into_second[m, i] >= 0:
                    continue
                for both in ROSTERS[third]:
                    n = index[third][both]
                    if turned(both, "flip", ROSTERS[third]) == both and into_third[n, k] > 0:
                        units = {
                            "case1": f"{first}:{i}",
                            "case2": f"{second}:{k}",
                            "T(case1)": f"{first}:{j}",
                            "T(case2)": f"{second}:{m}",
                            "both": f"{third}:{n}",
                        }
                        yield Circuit("union_over_cases", {"T": "flip", "min_share": MIN_SHARE}, units)


def _dog_over_four_layers() -> Circuit:
    """The dog-head figure of the essay: fur, head, head and neck on either side, and the dog on both."""
    left = {"case1": the("fur", 135), "case2": the("dog head", 180), "case3": the("dog head and neck", 180)}
    right = {"case1": the("fur", 45), "case2": the("dog head", 0), "case3": the("dog head and neck", 0)}
    units = {name: place_of(unit) for name, unit in left.items()}
    units |= {f"T({name})": place_of(unit) for name, unit in right.items()}
    return Circuit("union_over_cases", {"T": "flip", "layers": 4}, {**units, "both": place_of(the("dog"))})


def _all(kinds: Sequence[str]) -> list[Place]:
    return [place_of(unit) for kind in kinds for unit in of_kind(kind)]


def _motifs() -> Iterator[Circuit]:
    """All circuits but equivariance and union over cases."""
    units: Units
    car = place_of(the("car"))
    parts = {"windows": the("windows"), "wheels": the("wheel"), "body": the("body"), "car": the("car")}
    yield Circuit("car", {}, {name: place_of(unit) for name, unit in parts.items()})
    car = place_of(the("car"))
    hosts = _all(["dog head beside car", "dog torso beside car"])
    yield Circuit("superposition", {"feature": "car", "k": 3, "min_share": 0.02}, {"pure": car, "host": hosts})
    for kind, dog in (("dog head beside car", "dog head and neck"), ("dog torso beside car", "dog torso")):
        for host in of_kind(kind):
            units = {"unit": place_of(host), "reads": [place_of(the(dog, host.pose)), car]}
            yield Circuit("polysemantic", {}, units)
    for whole, kinds in {
        "car": ["windows", "wheel", "body"],
        "windows": ["corner"],
        "wheel": ["curve"],
    }.items():
        yield Circuit("object_from_parts", {}, {"part": _all(kinds), "object": place_of(the(whole))})
    for pose, fur in ((180.0, 135.0), (0.0, 45.0)):
        parts_of_head = [place_of(the("curve", pose)), place_of(the("fur", fur))]
        yield Circuit("object_from_parts", {}, {"part": parts_of_head, "object": place_of(the("dog head", pose))})
    for unit in of_kind("high-low frequency"):
        for high in of_kind("high frequency"):
            for low in of_kind("low frequency"):
                units = {"high": place_of(high), "low": place_of(low), "high_low": place_of(unit)}
                yield Circuit("high_low_frequency", {"side": f"{unit.angle:g}"}, units)
    for curve in of_kind("curve"):
        for kind in ("light line", "dark line"):
            tangent = (curve.angle + 90) % 180
            units = {
                "curve": place_of(curve),
                "tangent": place_of(the(kind, tangent)),
                "across": place_of(the(kind, (tangent + 90) % 180)),
            }
            yield Circuit("curve_from_lines", {}, units)
    for members, invariant, group in (
        (["curve"], "wheel", "rotate(45)"),
        (["fur"], "coat", "flip"),
        (["dog head and neck"], "dog", "flip"),
    ):
        units = {"member": _all(members), "invariant": place_of(the(invariant))}
        yield Circuit("invariant_from_equivariant", {"T": group}, units)
    for invariant, member in (
        ("coat", "dog head and neck"),
        ("car", "dog head beside car"),
    ):
        units = {"invariant": place_of(the(invariant)), "member": _all([member])}
        yield Circuit("equivariant_from_invariant", {"T": "flip"}, units)
    for sources, target, group in (
        ("light line", "curve", "rotate(45)"),
        ("dark line", "curve", "rotate(45)"),
        ("light line", "long line", "rotate(45)"),
        ("dark line", "long line", "rotate(45)"),
        ("low frequency", "high-low frequency", "rotate(45)"),
        ("high frequency", "high-low frequency", "rotate(45)"),
    ):
        units = {"a": _all([sources]), "b": _all([target])}
        yield Circuit("equivariant_family", {"T": group}, units)
    for unit in of_kind("long line"):
        angles = [(unit.angle + turn) % 180 for turn in (0.0, 22.5, -22.5)]
        fan = [place_of(the(kind, angle)) for kind in ("light line", "dark line") for angle in angles]
        yield Circuit("excitatory_fan", {}, {"source": fan, "target": place_of(unit)})
        for kind in ("light line", "dark line"):
            neighbour = (unit.angle + 45) % 180
            units = {
                "a": place_of(the(kind, unit.angle)),
                "b": place_of(unit),
                "neighbour_a": place_of(the(kind, neighbour)),
                "neighbour_b": place_of(the("long line", neighbour)),
            }
            yield Circuit("lateral_contrast", {"T": "rotate(45)"}, units)


def circuits() -> list[Circuit]:
    """Every circuit planted in `handwritten`."""
    lines = ("light line", "dark line")
    found = [_dog_over_four_layers(), *_unions(), *_motifs()]
    for map_name in ("rotate(90)", "flip"):
        found += _equivariance("curve", lines, map_name)
        found += _equivariance("high-low frequency", ("high frequency", "low frequency"), map_name)
    found += _equivariance("dog head", ("curve", "fur"), "flip")
    found += _equivariance("dog head and neck", ("dog head",), "flip")
    return found


_MISSING: Mapping[str, str] = {
    "car": "the wheels excite above and inhibit below, as the windows do",
    "high_low_frequency": "the low frequency excites on the side of the high frequency",
    "curve_from_lines": "the lines at the tangent excite where the arc is not",
    "lateral_contrast": "neighbours in pose excite instead of inhibiting",
}
"""What every circuit of a motif lacks in the decoy network."""

_MISSING_WITH: Mapping[tuple[str, str], str] = {
    ("equivariance", "curve"): "the kernel into T(b) is not the turned kernel into b",
    ("union_over_cases", "dog"): "the left head does not inhibit the right head and neck",
    ("union_over_cases", "coat"): "the coat is inhibited by the right fur",
    ("union_over_cases", "wheel"): "the wheel is not excited by both curves",
    ("invariant_from_equivariant", "wheel"): "the wheel is excited by three neighbouring curves only",
    ("invariant_from_equivariant", "coat"): "the coat is inhibited by the right fur",
}
"""What the circuits of a motif lack there that hold a unit of that kind."""


def decoys() -> list[Circuit]:
    """What `handwritten_decoys` holds instead: each circuit of `handwritten` that lacks one part there."""
    heir = f"objects:{positions(DECOY_ROSTERS['objects'])[CAR_HEIR]}"
    missing = {**_MISSING, "superposition": f"an heir, {heir}, takes most of its input from the car"}
    found = []
    for circuit in circuits():
        kinds = {unit_at(place).kind for place in circuit.units.values() if isinstance(place, str)}
        if circuit.motif == "equivariance" and circuit.parameters["T"] != "rotate(90)":
            continue
        parts = [missing[circuit.motif]] if circuit.motif in missing else []
        parts += [part for (motif, kind), part in _MISSING_WITH.items() if motif == circuit.motif and kind in kinds]
        found += [replace(circuit, missing=part) for part in parts]
    return found
