"""A search as an attribution graph, the JSON of circuit-tracer's and Neuronpedia's front ends.

The form (circuit-tracer, `circuit_tracer/frontend/graph_models.py`, schema version 1) is made for language models;
what stands for what here:

metadata.slug    the motif's name and the model's, in letters, digits and hyphens
metadata.scan    the model's name
metadata.prompt  the query; there is one place, `prompt_tokens` ["picture"], and every `ctx_idx` is 0
node.layer       the place of the unit's layer among the model's layers, as text
node.feature     the Cantor pair of that place and the unit's index
node_id          layer_index_0
clerp            the unit's labels, or its key without the model
feature_type     "cross layer transcoder", the kind that the front ends draw as a feature
link.weight      the edge's weight; several edges between two units (a skip) are summed
qParams          the circuits' units are pinned

What the form has no name for stands in `circuitdb` of a node or link (a link's: a list of edges): every property.
`influence`, `activation` and probabilities are left out, since nothing was run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from circuitdb.errors import InputError
from circuitdb.reports.exports.subgraph import Row, Subgraph, caption


def neuronpedia_form(found: Subgraph) -> Iterator[str]:
    """The text of the file, in pieces.

    Raises
    ------
    InputError
        If the units lie in several models; the form holds one.
    """
    models = [model["name"] for model in found.models]
    if len(models) > 1:
        raise InputError(f"an attribution graph holds one model, not {', '.join(models)}; name one with --model")
    places = {layer["name"]: place for place, layer in enumerate(found.layers)}
    nodes = {unit["key"]: _node(unit, places[unit["layer"]]) for unit in found.units}
    links: dict[tuple[str, str], Row] = {}
    for edge in found.edges:
        ends = tuple(nodes[edge[end]]["node_id"] for end in ("source", "target"))
        link = links.setdefault(ends, {"source": ends[0], "target": ends[1], "weight": 0.0, "circuitdb": []})
        link["weight"] += edge["weight"]
        link["circuitdb"].append(edge)
    document = {
        "metadata": {
            "slug": _slug(found),
            "scan": models[0] if models else "",
            "transcoder_list": [],
            "prompt_tokens": ["picture"],
            "prompt": found.query,
            "node_threshold": None,
            "schema_version": 1,
            "circuitdb": {"keep": found.keep, "models": found.models, "circuits": [c["units"] for c in found.circuits]},
        },
        "qParams": {
            "pinnedIds": [node["node_id"] for node in nodes.values()],
            "supernodes": [],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": list(nodes.values()),
        "links": list(links.values()),
    }
    yield from json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=1).iterencode(document)
    yield "\n"


def _slug(found: Subgraph) -> str:
    """A name for the graph that may stand in an address."""
    motif = next((circuit["motif"] for circuit in found.circuits), None) or "circuits"
    words = "-".join([motif, *(model["name"] for model in found.models)]).lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def _node(unit: Row, place: int) -> Row:
    index = unit["index"]
    return {
        "node_id": f"{place}_{index}_0",
        "feature": (place + index) * (place + index + 1) // 2 + index,
        "layer": str(place),
        "ctx_idx": 0,
        "feature_type": "cross layer transcoder",
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": f"{place}_{index}-0",
        "clerp": caption(unit),
        "circuitdb": unit,
    }
