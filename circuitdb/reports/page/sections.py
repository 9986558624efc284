"""A page in sections: each tells something in words, tables and drawings, with what was asked and what chance gives.

In come sections and a database, out goes the text of one page. The stories of the demonstration and the universality
page are made of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from circuitdb.reports.page import content
from circuitdb.reports.page.build import chance_told, filled, models_told, told

if TYPE_CHECKING:
    from circuitdb.circuits import Circuit, Circuits, Reader
    from circuitdb.reports.drawing import Drawing
    from circuitdb.statistics.significance import Significance

_LINE = 36
"""Characters; columns with longer texts wrap them."""


@dataclass(frozen=True)
class Table:
    """A table of a page: texts and numbers, None for what is missing."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]

    @property
    def numbers(self) -> list[bool]:
        """Which columns hold numbers."""
        return [any(isinstance(row[place], int | float) for row in self.rows) for place in range(len(self.heads))]

    @property
    def long(self) -> list[bool]:
        """Which columns hold texts too long for a line."""
        texts = [[row[place] for row in self.rows] for place in range(len(self.heads))]
        return [any(isinstance(text, str) and len(text) > _LINE for text in column) for column in texts]


@dataclass(frozen=True)
class Section:
    """A section of a page.

    text: paragraphs. groups: circuits to draw, those of a group side by side. drawings: others, below them. asked: the
    search that found the circuits, told in words and as text. significance: how many circuits chance gives.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    groups: Sequence[Sequence[Circuit]] = ()
    drawings: Sequence[Drawing] = ()
    asked: Circuits | None = None
    significance: Significance | None = field(default=None, repr=False)


def sections_page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    reader: Reader,
    *,
    models: Sequence[str],
    limits: Sequence[str] = (),
    remarks: Sequence[str] = (),
    command: str,
) -> str:
    """The page of several sections.

    Parameters
    ----------
    lead
        What the page shows, in a sentence or two.
    models
        The models that the page speaks of.
    limits
        What the sections do not show; what no wiring shows is said on every page.
    remarks
        What searches do not tell, besides those of the sections.
    command
        The command that makes the page again.
    """
    with reader.session():
        circuits = [circuit for section in sections for group in section.groups for circuit in group]
        values, left_out = content.circuits_content(circuits, reader)
        shown, first = [], 0
        for section in sections:
            shown.append(_shown(section, first))
            first += sum(map(len, section.groups))
        own = (section.asked.remarks for section in sections if section.asked is not None)
        keep = dict.fromkeys(str(row["keep"]) for row in reader.models() if row["name"] in models)
        return filled(
            title=title,
            kind="sections",
            values=values,
            lead=lead,
            sections=shown,
            has_units=bool(circuits),
            models=models_told(reader, models),
            keep=", ".join(keep),
            limits=list(limits),
            remarks=[*dict.fromkeys(itertools.chain(*own, remarks)), *left_out],
            command=command,
        )


def _shown(section: Section, first: int) -> dict[str, Any]:
    """A section as the template takes it; its circuits are those of the page from `first` on."""
    from markupsafe import Markup

    groups = []
    for group in section.groups:
        groups.append(list(range(first, first + len(group))))
        first += len(group)
    return {
        "title": section.title,
        "text": section.text,
        "tables": section.tables,
        "groups": groups,
        "drawings": [{"title": drawing.title, "svg": Markup(drawing.svg)} for drawing in section.drawings],
        "asked": None if section.asked is None else told(section.asked)[0],
        "chance": chance_told(section.significance),
    }
