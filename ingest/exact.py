"""Responses run again, for joins whose correlations shall be exact.

In: a store, names of models, the probes that they saw and their weights files. Out: `Signatures` that are no sketches:
of every picture the mean response over each of its 14 by 14 parts (`ingest.signatures.parts`). Correlations of these
are what stored signatures tell with an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Progress, Store
from circuitdb.errors import InputError
from circuitdb.universality.signatures import Reader, Signatures, layers_of
from ingest.pipeline import layer_widths, named_layers
from ingest.probes import load_probes
from ingest.probing import input_side, known_preprocessing, steps_of
from ingest.reprobing import source_of
from ingest.responses import measure
from ingest.signatures import GRID

PARTS = GRID * GRID


def reader(probes: str, weights: Sequence[str] = (), progress: Progress | None = None) -> Reader:
    """A reader of signatures that runs the networks over the probes again.

    Parameters
    ----------
    probes
        The folder or tar of pictures on which the models were probed, or `synthetic`.
    weights
        Weights files, in any order: each model takes the one whose SHA-256 is its own.

    The reader raises `InputError` if there is no such model, if its network or weights cannot be had again, or if
    these are not the pictures that it was probed on.
    """

    def read(store: Store, models: Sequence[str], probes_sha256: str | None = None) -> list[Signatures]:
        there = {row["name"]: row for row in store.models()}
        found = []
        for name in models:
            if name not in there:
                raise InputError(f"no model {name!r} in {store.address}; `circuitdb ls` lists them")
            model = there[name]
            source = source_of(model, weights)
            pictures = load_probes(probes, input_side(source))
            own = (model["probes"] or {}).get("sha256")
            if own != pictures.sha256 or not own.startswith(probes_sha256 or ""):
                wanted = "no pictures" if own is None else f"those of SHA-256 {(probes_sha256 or own)[:12]}…"
                raise InputError(
                    f"{probes} is the set {pictures.sha256[:12]}…, and {name} was probed on {wanted}; "
                    f"run: circuitdb probe {name} --probes {probes} --db {store.address}"
                )
            preprocessing = known_preprocessing(source)
            named = named_layers(model["options"]["layers"], source)
            steps = steps_of(source, preprocessing, layer_widths(model["layers"]), named)
            # A count sketch of as many numbers as there are parts only orders them and turns signs, for all alike.
            measured = measure(source.loaded.network, steps, preprocessing, pictures, numbers=PARTS, progress=progress)
            numbers = np.concatenate([_of_size_one(layer.sketches) for layer in measured.layers])
            found.append(Signatures(name, layers_of(model), numbers, model["probes"]))
        return found

    return read


def _of_size_one(responses: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Half precision, with each unit's largest magnitude as 1: the scale of a unit does not count."""
    largest = np.abs(responses).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(responses, largest, out=np.zeros_like(responses), where=largest > 0), np.float16)
