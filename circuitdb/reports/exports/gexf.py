"""The GEXF form of a search, for Gephi and NetworkX: units and edges with all their properties.

A node's label is its labels in words, or its key without the model; `labels` has them with their sources, as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import tostring

import networkx as nx
from networkx.readwrite.gexf import GEXFWriter

from circuitdb.reports.exports.subgraph import Subgraph, caption, flat
from circuitdb.reports.exports.xml_text import check_xml


def gexf_form(found: Subgraph) -> Iterator[str]:
    """The text of the file, in pieces.

    Raises
    ------
    InputError
        If a text holds a character that XML cannot.
    """
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=found.query)
    check_xml(found.query, "the query")
    for unit in found.units:
        row = {name: value for name, value in flat(unit).items() if name != "key"} | {"label": caption(unit)}
        graph.add_node(check_xml(unit["key"], unit["key"]), **_checked(row, unit["key"]))
    for edge in found.edges:
        ends = (edge["source"], edge["target"])
        row = {name: value for name, value in flat(edge).items() if name not in ("source", "target")}
        graph.add_edge(*ends, key=edge["kind"], **_checked(row, " -> ".join(ends)))
    writer = GEXFWriter(graph, version="1.2draft")
    for meta in writer.xml.findall("meta"):
        meta.attrib.pop("lastmodifieddate")  # so that equal results give equal files
    writer.indent(writer.xml)
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield tostring(writer.xml, encoding="unicode") + "\n"


def _checked(row: dict[str, Any], place: str) -> dict[str, Any]:
    for name, value in row.items():
        if isinstance(value, str):
            check_xml(value, f"{name} of {place}")
    return row
