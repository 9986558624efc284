"""Handwritten networks: convolutional networks whose weights are formulas, with the circuits of the essay in them.

`NETWORKS` builds them, `LABELS` names their units, `planted` tells the circuits that are in them and `truth.read` all
else that is known: maps, families, correspondence. `handwritten` has five layers: lines; curves, corners, fur and
textures; shapes; parts of dogs and cars; dogs and cars. `handwritten_second` holds the same circuits in another order,
at other scales, one layer deeper; `handwritten_decoys` lacks one essential part of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ingest.architectures.handwritten import truth
from ingest.architectures.handwritten.circuits import Circuit
from ingest.architectures.handwritten.decoys import DECOY_ROSTERS, DECOY_SEED, DECOY_WIRING
from ingest.architectures.handwritten.maps import Map
from ingest.architectures.handwritten.networks import HEIGHT, WIDTH, network
from ingest.architectures.handwritten.second import second_network
from ingest.preprocessing import Preprocessing

NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "handwritten": network,
    "handwritten_second": second_network,
    "handwritten_decoys": lambda: network(DECOY_ROSTERS, DECOY_WIRING, DECOY_SEED),
}
"""By name the function that builds a network, in evaluation mode."""

EXAMPLE_SHAPE = (1, 3, HEIGHT, WIDTH)

PREPROCESSING: dict[str, Any] = Preprocessing(
    "RGB", (0.0, 1.0), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (HEIGHT, WIDTH)
).as_json()
"""Grey is 0, black -1, white 1."""


LABELS: Mapping[str, list[tuple[str, int, str]]] = {name: truth.labels(name) for name in NETWORKS}
"""By network its labels: layer, index, text."""


def planted(name: str) -> list[Circuit]:
    """The circuits of a network as they are kept in the data file: planted ones, and decoys with what they lack."""
    record = truth.read()["networks"][name]
    return [
        Circuit(row["motif"], row["parameters"], row["units"], row.get("missing"))
        for row in (*record["circuits"], *record["decoys"])
    ]


def planted_maps(name: str) -> list[Map]:
    """The maps of a network as they are kept in the data file."""
    return [
        Map(row["map"], f"{row['layer']}:{source}", f"{row['layer']}:{target}", row["holds"])
        for row in truth.read()["networks"][name]["maps"]
        for source, target in row["units"]
    ]
