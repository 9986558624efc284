"""Probing models that are in a database already: find their networks and weights again, and write their responses.

In: names of models, weights files, probes and maps. Out: responses in the store in the place of what was there, model
by model, each whole or not at all, and a `ProbeSummary` each. A network is taken for the model's only if its weights
have the SHA-256 that was recorded.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from circuitdb.backends import open_store
from circuitdb.backends.base import Progress, Responses, Row, Store
from circuitdb.errors import CircuitdbError, InputError
from circuitdb.graph import RANDOM, unit_key
from circuitdb.language.diagnostics import nearest
from ingest.pipeline import layer_widths, named_layers
from ingest.probes import SYNTHETIC, load_probes
from ingest.probing import input_side, probe
from ingest.responses import Reals
from ingest.sources import Source, load


@dataclass(frozen=True)
class ProbeSummary:
    """What probing a model wrote.

    maps: rows; of them, `invariant` lead from a unit to itself, and `mutual` to another one from which the inverse map
    leads back. families: orbits of two units or more.
    """

    model: str
    probes: str
    probes_sha256: str
    pictures: int
    maps: int
    invariant: int
    mutual: int
    families: int
    seconds: float


def probe_models(
    models: Sequence[str],
    *,
    probes: str = SYNTHETIC,
    maps: Sequence[str] | None = None,
    weights: Sequence[str] = (),
    db: str = "circuits.duckdb",
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[ProbeSummary]:
    """Measure what the units of models in a database do on probes.

    Parameters
    ----------
    models
        Their names in the database.
    probes
        A folder or tar of pictures, or `synthetic`.
    maps
        Names of maps, as `flip` or `rotate(90)`; None: flips, quarter turns, contrast and hue.
    weights
        Weights files, in any order: each model takes the one whose SHA-256 is its own. Not needed for networks that
        bring their weights along.
    device
        Where the networks run, as torch names it.

    Raises
    ------
    InputError
        If there is no such model, if its network or weights cannot be had again, or if the probes cannot be used.
    CircuitdbError
        If a file cannot be read or the store cannot be written.
    """
    store = open_store(db)
    try:
        there = {row["name"]: row for row in store.models()}
        for name in models:
            if name not in there:
                raise InputError(f"no model {name!r} in {store.address}{nearest(name, there)}")
        sources = [source_of(there[name], weights) for name in models]
        summaries = []
        for name, source in zip(models, sources, strict=True):
            start = time.perf_counter()
            pictures = load_probes(probes, input_side(source))
            responses = probe(
                source,
                layer_widths(there[name]["layers"]),
                pictures,
                maps,
                directions=directions_of(store, there[name]),
                named=named_layers(there[name]["options"]["layers"], source),
                device=device,
                progress=progress,
            )
            store.write_responses(name, responses)
            summaries.append(_summary(name, responses, time.perf_counter() - start))
        return summaries
    finally:
        store.close()


def directions_of(store: Store, model: Row) -> dict[str, Reals]:
    """By layer of a model, as a store lists it, the coefficients [direction, neuron] of its directions.

    They stand in order of their indices; NaN for one whose coefficients are not known.
    """
    found = {}
    for layer in model["layers"]:
        if layer["directions"]:
            rows = store.units([unit_key(model["name"], layer["name"], index) for index in layer["directions"]])
            unknown = [np.nan] * layer["width"]
            found[layer["name"]] = np.array([row["coefficients"] or unknown for row in rows], dtype=np.float64)
    return found


def source_of(model: Row, weights: Sequence[str]) -> Source:
    """The network of a model, as a store lists it, with the weights that it was ingested with.

    Raises
    ------
    InputError
        If its network or weights cannot be had again.
    """
    options = model["options"] or {}
    if "model" not in options or not model["weights_sha256"]:
        raise InputError(
            f"{model['name']!r} was not ingested here from a network, so there is nothing to run; only networks "
            "that circuitdb ingest read can be probed"
        )
    choices = list(_choices(model, weights))
    recorded = f"{model['source']}, SHA-256 {model['weights_sha256'][:12]}…"
    if not choices and not weights:
        raise InputError(f"say where the weights of {model['name']!r} are ({recorded}): --weights FILE")
    for choice in choices:
        source = load(options["model"], choice, seed=options.get("seed", 0), partial=options.get("partial", False))
        if source.loaded.sha256 == model["weights_sha256"]:
            return source
    given = [choice or options["model"] for choice in choices] or weights
    raise InputError(
        f"{', '.join(given)} is not what {model['name']!r} was ingested with ({recorded}); "
        "give that one with --weights, or ingest the model anew"
    )


def _choices(model: Row, weights: Sequence[str]) -> Iterator[str | None]:
    """What `load` may be given as weights: what the network brings along, else the file that is the model's own.

    Of files that are there, others are left out, for they may be of another architecture.
    """
    if model["source"].startswith(f"{RANDOM}, seed"):
        yield RANDOM
    elif model["source"] == "computed from formulas" or model["source"].startswith("as "):
        yield None
    else:
        files = [name for name in weights if Path(name).expanduser().exists()]
        own = [name for name in files if _sha256(name) == model["weights_sha256"]]
        yield from own or [name for name in weights if name not in files]


def _sha256(name: str) -> str:
    try:
        with Path(name).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CircuitdbError(f"cannot read {name!r}: {error.strerror}") from error


def _summary(name: str, responses: Responses, seconds: float) -> ProbeSummary:
    source, target = (responses.maps[end].to_numpy() for end in ("source", "target"))
    mutual = responses.maps["mutual"].to_numpy(zero_copy_only=False)
    return ProbeSummary(
        model=name,
        probes=str(responses.probes["name"]),
        probes_sha256=str(responses.probes["sha256"]),
        pictures=int(str(responses.probes["pictures"])),
        maps=len(source),
        invariant=int((source == target).sum()),
        mutual=int((mutual & (source != target)).sum()),
        families=responses.families.num_rows,
        seconds=seconds,
    )
