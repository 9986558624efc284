"""Random small graphs as documents in the exchange form.

The graphs are made to be awkward: models with the same layers, layers at the same depth, ties in share and strength,
weights of zero, skip edges, missing labels and properties, maps that do not lead back, names beyond ASCII.
"""

from __future__ import annotations

import random
from typing import Any

from tests.oracle_graphs import Document

MODELS = ("toy", "Toy", "net two", "ｎet", "😀net", "zoo")
LAYERS = ("L0", "L1", "L10", "mixed4b", "Ωmega", "a b", "ﬀ", "😀")
LABELS = ("curve", "Curve 45°", "Straße", "STRASSE", "dog", 'say "hi"', "İstanbul", "")
WEIGHTS = (-1.0, -0.5, -0.25, -0.25, 0.0, 0.25, 0.25, 0.5, 0.5, 1.0)
"""Few values, exact in binary, so that ties are common and sums are exact."""
SHARES = (0.0, 0.0625, 0.125, 0.25, 0.25, 0.5)
KERNELS = ((1, 1, 0.0, 0.0), (3, 3, -1.0, -1.0), (2, 3, -0.5, -1.0), (2, 2, -0.5, -0.5), (3, 1, -1.0, 0.0))
"""Height, width and offset."""
MAPS = ("flip", "flip_vertical", "negate", "rotate(90)", "rotate(180)", "rotate(270)", "hue(120)", "hue(240)")


def random_document(rng: random.Random, *, models: int | None = None, units: int = 5) -> Document:
    """A document of some models of up to four layers of up to `units` units."""
    document: Document = {"circuitdb": 1, **{part: [] for part in ("models", "layers", "units", "edges", "maps")}}
    document["analogues"] = []
    names = rng.sample(MODELS, models or rng.choice((1, 2, 2, 3)))
    for name in names:
        _add_model(rng, document, name, units)
    for source in names:
        for target in names:
            if source != target and rng.random() < 0.8:
                document["analogues"] += _analogues(rng, document, source, target)
    return document


def _add_model(rng: random.Random, document: Document, model: str, units: int) -> None:
    document["models"].append({"name": model, "keep": "all"})
    names = rng.sample(LAYERS[:4], 4) if rng.random() < 0.7 else rng.sample(LAYERS, 4)
    layers = []
    depth = rng.choice((0, 0, 1))
    for name in names[: rng.choice((2, 3, 3, 4))]:
        layers.append((name, depth))
        depth += rng.choice((0, 1, 1, 1, 1, 2))
    if layers[0][1] == layers[-1][1]:
        layers.append((names[-1], depth + 1))
    document["layers"] += [{"model": model, "name": name, "depth": depth} for name, depth in dict(layers).items()]
    keys: dict[str, int] = {}
    members: list[list[str]] = []
    for name, depth in dict(layers).items():
        indices = rng.sample(range(rng.choice((units, 12))), rng.randint(2, units))
        members.append([f"{model}/{name}:{index}" for index in sorted(indices)])
        keys |= dict.fromkeys(members[-1], depth)
    units = {key: _unit(rng, key) for key in keys}
    for layer in members:  # Directions stand behind the neurons of their layer.
        chosen = [units[key].pop("kind", None) for key in layer]
        if any(chosen):
            units[layer[-1]]["kind"] = "direction"
    document["units"] += units.values()
    maps = _maps(rng, members)
    document["maps"] += maps
    document["edges"] += _edges(rng, keys, maps)


def _unit(rng: random.Random, key: str) -> dict[str, Any]:
    unit: dict[str, Any] = {"key": key}
    if rng.random() < 0.7:
        unit["bias"] = rng.choice(WEIGHTS)
    if rng.random() < 0.6:
        unit["branch"] = rng.choice(("1x1", "3x3", "5x5", "ẞ"))
    if rng.random() < 0.8:
        unit["mean"] = rng.randint(-3, 3)
    if rng.random() < 0.1:
        unit["kind"] = "direction"
    if rng.random() < 0.6:
        labels = rng.sample(LABELS, rng.choice((1, 1, 2)))
        unit["labels"] = [{"label": label, "source": rng.choice(("me", "essay"))} for label in labels]
    return unit


def _maps(rng: random.Random, layers: list[list[str]]) -> list[dict[str, Any]]:
    rows = []
    for name in MAPS:
        if rng.random() < 0.25:
            continue
        for members in layers:
            shuffled = rng.sample(members, len(members))
            leads = dict(zip(shuffled, shuffled[1:] + shuffled[:1], strict=True))
            if name in ("flip", "flip_vertical", "negate", "rotate(180)"):
                pairs = list(zip(shuffled[::2], shuffled[1::2], strict=False))
                leads = {key: key for key in shuffled} | dict(pairs) | {b: a for a, b in pairs}
            for key, target in leads.items():
                chance = rng.random()
                if chance < 0.15:
                    continue
                row: dict[str, Any] = {"map": name, "source": key, "target": target}
                if chance < 0.25:
                    row["target"] = rng.choice(members)
                if chance < 0.9:
                    row["score"] = rng.choice((0.5, 0.75, 0.875))
                    row["self_score"] = rng.choice((0.125, 0.5))
                if chance < 0.8:
                    row["mutual"] = leads[target] == key
                rows.append(row)
    return rows


def _edges(rng: random.Random, depth: dict[str, int], maps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    density = rng.choice((0.3, 0.5, 0.8))
    with_kernels, with_shares, equivariant = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.6
    leads = {(row["map"], row["source"]): row["target"] for row in maps}
    edges: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for source in depth:
        for target in depth:
            if depth[source] >= depth[target]:
                continue
            for skip, chance in ((False, density), (True, density / 4)):
                far = depth[target] > depth[source] + 1
                if rng.random() < (chance / 2 if far else chance):
                    edges[source, target, skip] = _edge(rng, with_kernels=with_kernels, with_shares=with_shares)
    if equivariant:
        name = rng.choice(("flip", "rotate(90)", "negate"))
        for source, target, skip in list(edges):
            image = leads.get((name, source)), leads.get((name, target))
            if None not in image and rng.random() < 0.8:
                given = edges[source, target, skip]
                edges[str(image[0]), str(image[1]), skip] = {**given, **_edge(rng, with_kernels=False)} | {
                    "weight": given["weight"],
                    "strength": given["strength"],
                }
    return [
        {"source": source, "target": target, **({"skip": True} if skip else {}), **given}
        for (source, target, skip), given in sorted(edges.items(), key=lambda edge: rng.random())
    ]


def _edge(rng: random.Random, *, with_kernels: bool, with_shares: bool = False) -> dict[str, Any]:
    weight = rng.choice(WEIGHTS)
    edge: dict[str, Any] = {"weight": weight, "strength": abs(weight) if weight else rng.choice((0.0, 0.25))}
    if rng.random() < 0.7:
        edge |= {name: rng.choice(WEIGHTS) for name in ("top", "bottom", "left", "dx")}
        edge["coherence"] = rng.choice(SHARES)
    if with_shares:
        edge["share"] = rng.choice(SHARES)
    if with_kernels and rng.random() < 0.85:
        height, width, offset_y, offset_x = rng.choice(KERNELS)
        zero = rng.random() < 0.05
        edge["kernel"] = [0.0 if zero else rng.choice(WEIGHTS) for _ in range(height * width)]
        edge |= {"kernel_h": height, "kernel_w": width, "offset_y": offset_y, "offset_x": offset_x}
    return edge


def _analogues(rng: random.Random, document: Document, source: str, target: str) -> list[dict[str, Any]]:
    keys = {
        model: [u["key"] for u in document["units"] if u["key"].startswith(model + "/")] for model in (source, target)
    }
    rows = []
    for key in keys[source]:
        found = rng.sample(keys[target], min(len(keys[target]), rng.choice((0, 1, 2, 3, 3))))
        for rank, other in enumerate(found, start=1):
            row: dict[str, Any] = {"source": key, "target": other, "rank": rank}
            if rng.random() < 0.8:
                row |= {"score": 1 - rank / 4, "mutual": rng.random() < 0.5, "method": rng.choice(("CCA", "corr"))}
            rows.append(row)
    return rows
