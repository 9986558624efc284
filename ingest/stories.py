"""The stories of the essay that the demonstration tells: each a query, and which planted circuits answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ingest.architectures import handwritten

FIRST, SECOND, DECOYS = "handwritten", "handwritten_second", "handwritten_decoys"


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
        networks=(FIRST, DECOYS),
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
        networks=(FIRST, DECOYS),
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
