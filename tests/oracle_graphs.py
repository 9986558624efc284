"""The graphs that the oracle searches: a document in the exchange form as a NetworkX graph, and kernels cell by cell.

Everything that a document leaves out is derived here once more, from the words of the design alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import networkx as nx

Record = dict[str, Any]
Document = dict[str, Any]
Kernel = dict[tuple[float, float], float]
"""The entry at each cell (y, x), measured from the target's centre, y down."""


@dataclass(frozen=True)
class Graphs:
    """All models of a document.

    network: units by key; between two units an edge keyed False (EXCITES or INHIBITS) and one keyed True (SKIP).
    maps: the row that leads from a unit under a map. analogues: the rows from a unit into a model.
    """

    network: nx.MultiDiGraph
    maps: dict[tuple[str, str], Record]
    analogues: dict[tuple[str, str], list[Record]]
    models: list[str]

    def units(self, model: str) -> list[str]:
        return [key for key, unit in self.network.nodes.items() if unit["model"] == model]

    def order(self, key: str) -> tuple[str, float, str, float]:
        """What keys are compared by."""
        unit = self.network.nodes[key]
        return unit["model"], unit["depth"], unit["layer"], unit["index"]


def graphs_of(document: Document) -> Graphs:
    """The graphs of a document in the exchange form."""
    depth = {(layer["model"], layer["name"]): layer["depth"] for layer in document["layers"]}
    network = nx.MultiDiGraph()
    for given in document["units"]:
        model, rest = given["key"].split("/")
        layer, index = rest.split(":")
        unit = {"kind": "neuron", **given, "model": model, "layer": layer, "index": int(index)}
        unit["depth"] = depth[model, layer]
        unit["labels"] = [row["label"] for row in given.get("labels", [])]
        network.add_node(given["key"], **unit)
    for edge in derived_edges(document):
        network.add_edge(edge["source"], edge["target"], key=edge["kind"] == "SKIP", **edge)
    analogues: dict[tuple[str, str], list[Record]] = {}
    for row in document["analogues"]:
        analogues.setdefault((row["source"], row["target"].split("/")[0]), []).append(row)
    maps = {(row["map"], row["source"]): row for row in document["maps"]}
    return Graphs(network, maps, analogues, [model["name"] for model in document["models"]])


def derived_edges(document: Document) -> list[Record]:
    """The edges with what follows from them: kind, strength, excitation, inhibition, share, ranks."""
    edges = []
    for given in document["edges"]:
        weight = given["weight"]
        edge = {"strength": abs(weight), "excitation": max(weight, 0.0), "inhibition": min(weight, 0.0)}
        edge["kind"] = "SKIP" if given.get("skip") else "INHIBITS" if weight < 0 else "EXCITES"
        edge.update({name: value for name, value in given.items() if name != "skip"})
        edges.append(edge)
    depth = {(layer["model"], layer["name"]): layer["depth"] for layer in document["layers"]}

    def order(key: str) -> tuple[float, str, int]:
        model, rest = key.split("/")
        layer, index = rest.split(":")
        return depth[model, layer], layer, int(index)

    for edge in edges:
        alike = [other for other in edges if (other["kind"] == "SKIP") == (edge["kind"] == "SKIP")]
        for end, far, rank in (("target", "source", "rank_in"), ("source", "target", "rank_out")):
            rivals = [other for other in alike if other[end] == edge[end]]
            rivals.sort(key=lambda other: (-other["strength"], order(other[far])))
            edge.setdefault(rank, rivals.index(edge) + 1)
        total = sum(other["strength"] ** 2 for other in alike if other["target"] == edge["target"])
        edge.setdefault("share", edge["strength"] ** 2 / total if total else 0.0)
    return edges


def kernel_of(edge: Record) -> Kernel | None:
    """The kernel of an edge, if it has one."""
    if edge.get("kernel") is None:
        return None
    width = edge["kernel_w"]
    return {
        (edge["offset_y"] + place // width, edge["offset_x"] + place % width): entry
        for place, entry in enumerate(edge["kernel"])
    }


def moved(kernel: Kernel, name: str, degrees: float = 0.0) -> Kernel:
    """The kernel as a map moves it about the target's centre; contrast and hue leave it."""
    match name:
        case "flip":
            return {(y, -x): entry for (y, x), entry in kernel.items()}
        case "flip_vertical":
            return {(-y, x): entry for (y, x), entry in kernel.items()}
        case "rotate":
            return _turned(kernel, degrees)
    return kernel


def _turned(kernel: Kernel, degrees: float) -> Kernel:
    """Counter-clockwise as seen: what lay to the right (x > 0) comes to lie at the top (y < 0).

    Quarter turns move entries. The rest of the angle, 45 degrees at most, takes for every cell of the same grid what
    lies at the place turned back, in between four cells by their nearness.
    """
    quarters = math.floor(degrees / 90 + 0.5)
    for _ in range(quarters % 4):
        kernel = {(-x, y): entry for (y, x), entry in kernel.items()}
    angle = math.radians(degrees - 90 * quarters)
    if angle == 0:
        return kernel
    first_y, first_x = next(iter(kernel))
    reach = math.ceil(max(math.hypot(y, x) for y, x in kernel)) + 3
    turned: Kernel = {}
    for row in range(-2 * reach, 2 * reach + 1):
        for column in range(-2 * reach, 2 * reach + 1):
            y, x = first_y + row, first_x + column
            from_y = y * math.cos(angle) + x * math.sin(angle)
            from_x = x * math.cos(angle) - y * math.sin(angle)
            entry = sum(
                max(0.0, 1 - abs(from_y - at_y)) * max(0.0, 1 - abs(from_x - at_x)) * value
                for (at_y, at_x), value in kernel.items()
            )
            if entry:
                turned[y, x] = entry
    return turned


def cosine(first: Kernel | None, second: Kernel | None) -> float | None:
    """Cosine of two kernels laid over each other; a cell is a square of side 1. Missing where one is absent or zero."""
    if first is None or second is None or not any(first.values()) or not any(second.values()):
        return None
    common = sum(
        max(0.0, 1 - abs(y - other_y)) * max(0.0, 1 - abs(x - other_x)) * entry * other
        for (y, x), entry in first.items()
        for (other_y, other_x), other in second.items()
    )
    norms = [math.sqrt(sum(entry**2 for entry in kernel.values())) for kernel in (first, second)]
    return max(-1.0, min(1.0, common / (norms[0] * norms[1])))
