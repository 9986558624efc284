"""Keep rules: which edges of a network become rows of the graph, and so what a search can find.

In comes a rule as text, as `top32`; out goes a `KeepRule`. An ingest applies it, a result says where the query asked
for more than it kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from circuitdb.errors import InputError


@dataclass(frozen=True)
class KeepRule:
    """`top` N: among the N strongest into the target or out of the source. `max` X: at least X of the target's
    strongest. `energy` X: the fewest that hold X of the squared strength into the target. `all`: every edge.
    """

    kind: Literal["top", "max", "energy", "all"]
    value: float = 0.0

    @staticmethod
    def parse(text: str) -> KeepRule:
        """The rule that a text such as `top32`, `max0.3`, `energy0.9` or `all` names.

        Raises
        ------
        InputError
            If it names none.
        """
        if text == "all":
            return KeepRule("all")
        if (match := re.fullmatch(r"top([1-9][0-9]*)", text)) is not None:
            return KeepRule("top", float(match[1]))
        for kind in ("max", "energy"):
            match = re.fullmatch(kind + r"([0-9]*\.?[0-9]+)", text)
            if match is not None and 0 < float(match[1]) <= 1:
                return KeepRule("max" if kind == "max" else "energy", float(match[1]))
        raise InputError(
            f"{text!r} is no keep rule; it is topN with N of 1 or more (top32), maxX or energyX with X above 0 and up "
            "to 1 (max0.3, energy0.9), or all"
        )

    def __str__(self) -> str:
        if self.kind == "all":
            return "all"
        return f"{self.kind}{int(self.value) if self.kind == 'top' else self.value:g}"

    def keeps_all(self, most_rank: float, least_share: float) -> bool:
        """Whether no edge is left out whose rank among its target's inputs or its source's outputs is at most
        `most_rank`, or whose share is above `least_share`.

        An edge of share s ranks below no more than 1/s others and has at least the square root of s times the strength
        of the target's strongest; edges stronger than it hold at most 1 - s of the target's squared strengths.
        """
        match self.kind:
            case "all":
                return True
            case "top":
                return most_rank <= self.value or least_share >= 1 / (self.value + 1)
            case "max":
                return least_share >= self.value**2
            case "energy":
                return least_share >= 1 - self.value

    @property
    def enough(self) -> str:
        """A condition on an edge, in the motif language, that asks for no more than was kept."""
        match self.kind:
            case "all":
                return "share >= 0"
            case "top":
                return f"rank_in <= {int(self.value)}"
            case "max":
                return f"share > {self.value**2:.6g}"
            case "energy":
                return f"share > {1 - self.value:.6g}"
