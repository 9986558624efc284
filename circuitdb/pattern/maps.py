"""Maps by name, and the group that they form.

`flip`, `flip_vertical`, `rotate(DEG)`, `negate` and `hue(DEG)` transform pictures and so form a group; `analog` leads
to another model and belongs to none. In come names and angles, out come canonical names, group elements and the
elements of the group that one map generates.
"""

from __future__ import annotations

from dataclasses import dataclass

TURNING = ("rotate", "hue")
PLAIN = ("flip", "flip_vertical", "negate")
ANALOG = "analog"
MAP_NAMES = (*PLAIN, *TURNING, ANALOG)


@dataclass(frozen=True)
class Element:
    """A transformation of pictures: mirrored in x if `mirrored`, then turned by `angle`, contrast, hue turned.

    Angles are degrees, counter-clockwise as seen, in [0, 360).
    """

    angle: float = 0.0
    mirrored: bool = False
    negated: bool = False
    hue: float = 0.0

    def after(self, first: Element) -> Element:
        """What `first` and then this one do together: a turn is undone the other way round behind a mirror."""
        turn = -first.angle if self.mirrored else first.angle
        return Element(
            _degrees(self.angle + turn),
            self.mirrored != first.mirrored,
            self.negated != first.negated,
            _degrees(self.hue + first.hue),
        )

    def inverse(self) -> Element:
        """What undoes it."""
        angle = self.angle if self.mirrored else _degrees(-self.angle)
        return Element(angle, self.mirrored, self.negated, _degrees(-self.hue))


IDENTITY = Element()


@dataclass(frozen=True)
class MapName:
    """A map as a motif names it: `kind` of MAP_NAMES, degrees for turns of picture or hue, choices for `analog`."""

    kind: str
    degrees: float = 0.0
    choices: int = 1

    @property
    def text(self) -> str:
        """The canonical name, under which the graph holds the map's rows."""
        if self.kind in TURNING:
            return f"{self.kind}({format_number(self.degrees)})"
        return self.kind

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every picture as it is."""
        return self.kind in TURNING and self.degrees == 0

    @property
    def element(self) -> Element:
        """The group element; `analog` has none."""
        return {
            "flip": Element(mirrored=True),
            "flip_vertical": Element(angle=180.0, mirrored=True),
            "negate": Element(negated=True),
            "rotate": Element(angle=self.degrees),
            "hue": Element(hue=self.degrees),
        }[self.kind]


def turned(kind: str, degrees: float) -> MapName:
    """`rotate` or `hue` by an angle, taken modulo 360."""
    return MapName(kind, _degrees(degrees))


def parse_map(text: str) -> MapName:
    """The map of a canonical name."""
    kind, _, rest = text.partition("(")
    return turned(kind, float(rest[:-1])) if kind in TURNING else MapName(kind)


def group_of(generator: MapName) -> tuple[MapName, ...] | None:
    """The elements of the group that one map generates, the identity first as a turn by 0.

    None where the angle does not divide the circle.
    """
    if generator.kind not in TURNING:
        return MapName("rotate"), generator
    order = round(360 / generator.degrees) if generator.degrees else 0
    if order == 0 or order > 360 or abs(order * generator.degrees - 360) > 1e-9:
        return None
    return tuple(MapName(generator.kind, _degrees(k * generator.degrees)) for k in range(order))


def format_number(value: float) -> str:
    """The shortest text of a number, without a trailing `.0`."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _degrees(angle: float) -> float:
    return round(angle % 360.0, 9) % 360.0
