"""Reports: one HTML file that shows circuits, or a unit, to somebody who has never seen circuitdb.

In come the circuits of a search, or a unit, out goes the text of a page that asks nothing of any server: drawings,
kernels and pictures are in it, and a content security policy forbids the browser to load anything else.
"""

from __future__ import annotations

from circuitdb.reports.page.build import circuits_page, unit_page, write_page
from circuitdb.reports.page.sections import Section, Table, sections_page
from circuitdb.reports.page.universality import universality_page

__all__ = ["Section", "Table", "circuits_page", "sections_page", "unit_page", "universality_page", "write_page"]
