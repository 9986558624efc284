"""Joining models of a store: their signatures are read, joined, and written as analogues; the join in rows and JSON.

In come a store and names, out come a `Joined` and plain rows for tables. A join is written with its nulls or not at
all: there is no way to write one without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from circuitdb.backends.base import Analogues, Progress, Row, Store
from circuitdb.errors import InputError
from circuitdb.graph import RANDOM
from circuitdb.language.diagnostics import nearest_names
from circuitdb.universality.join import Allowed, Joined, depth_band, every_pair, join
from circuitdb.universality.signatures import Floats, Reader, Signatures, read_signatures

BAND = "band"
"""What names the pairs of layers of like depth."""


def join_models(
    store: Store,
    a: str,
    b: str,
    *,
    layers: str | None = None,
    probes_sha256: str | None = None,
    untrained: Sequence[str] | None = None,
    read: Reader = read_signatures,
    best: int = 3,
    samples: int = 2,
    seed: int = 0,
    soft_groups: bool = False,
    progress: Progress | None = None,
) -> Joined:
    """Join model A with model B and write the analogues of A's units in B, in the place of those that are there.

    Parameters
    ----------
    layers
        Which pairs of layers: None for all, `band` for those of like depth, or `LAYER:LAYER,LAYER:LAYER…`.
    probes_sha256
        The probes that the models must have seen; the beginning is enough.
    untrained
        Models of the store that are untrained copies of B; None: all that `untrained_copies` finds.
    read
        What brings the signatures: the store, or `ingest.exact.reader`, which runs the networks again.

    Raises
    ------
    InputError
        If a model or layer is not there, a model was not probed, or they saw different probes.
    """
    if a == b:
        raise InputError(f"a join takes two models; {a} is one")
    wrong = best if best < 1 else samples if samples < 1 else None
    if wrong is not None:
        raise InputError(f"a join takes 1 or more analogues and samples, not {wrong}")
    copies = untrained_copies(store, a, b).probed if untrained is None else untrained
    one, two, *others = read(store, [a, b, *copies], probes_sha256)
    alike = {copy.model: copy.like(two) for copy in others}
    if wrong_copy := next((name for name, copy in alike.items() if copy is None), None):
        raise InputError(f"{wrong_copy} is no copy of {b}: it lacks some of its layers, or has them with other widths")
    joined = join(
        one,
        two,
        allowed=_allowed(one, two, layers),
        best=best,
        samples=samples,
        seed=seed,
        untrained=[copy for copy in alike.values() if copy is not None],
        groups=photographs(one),
        soft_groups=soft_groups,
        progress=progress,
    )
    store.write_analogues(analogues_of(joined))
    return joined if joined.untrained else replace(joined, remarks=(_made_without(store, a, b),))


@dataclass(frozen=True)
class Copies:
    """Untrained copies of a model, by name: those that saw its probes, and those that did not."""

    probed: tuple[str, ...]
    unprobed: tuple[str, ...]


def untrained_copies(store: Store, a: str, b: str) -> Copies:
    """The models of B's architecture whose weights were drawn at random, other than A and B."""
    there = {row["name"]: row for row in store.models()}
    own = there.get(b, {})
    probes = (own.get("probes") or {}).get("sha256")
    layers = {(layer["name"], layer["width"]) for layer in own.get("layers", ())}
    probed: dict[bool, list[str]] = {True: [], False: []}
    for name, row in sorted(there.items()):
        drawn = str(row["source"] or "").startswith(f"{RANDOM}, seed") and row["architecture"] == own.get(
            "architecture"
        )
        alike = layers <= {(layer["name"], layer["width"]) for layer in row["layers"]}
        if drawn and alike and name not in (a, b):
            probed[(row.get("probes") or {}).get("sha256") == probes].append(name)
    return Copies(tuple(probed[True]), tuple(probed[False]))


def _made_without(store: Store, a: str, b: str) -> str:
    """What to say of a join that was made without an untrained copy, with the command that mends it."""
    unprobed = untrained_copies(store, a, b).unprobed
    network = next((row["options"] or {}).get("model") for row in store.models() if row["name"] == b)
    mend = ""
    if unprobed:
        mend = f"probe {unprobed[0]} --probes PICTURES"
    elif network is not None and not network.startswith("handwritten"):
        mend = f"ingest {network} --weights {RANDOM} --name {b}_untrained --probes PICTURES"
    return (
        f"made without an untrained copy of {b}: q does not know that untrained networks correlate too, unit by unit"
        + (f"; run: circuitdb {mend} --db {store.address}, and join again" if mend else "")
    )


def photographs(signatures: Signatures) -> list[int] | None:
    """For each picture the number of the photograph that it is cut from, where the probes say so."""
    crops = signatures.probes.get("crops")
    if not isinstance(crops, list) or sum(crops) != signatures.pictures:
        return None
    return np.repeat(np.arange(len(crops)), crops).tolist()


def _allowed(a: Signatures, b: Signatures, layers: str | None) -> Allowed:
    if layers is None:
        return every_pair(a, b)
    if layers == BAND:
        return depth_band(a, b)
    allowed = np.zeros((len(a.layers), len(b.layers)), dtype=bool)
    for pair in layers.split(","):
        names = [name.strip() for name in pair.split(":")]
        if len(names) != 2:
            raise InputError(f"{pair!r} is no pair of layers; write LAYER:LAYER,LAYER:LAYER… or {BAND}")
        places = []
        for signatures, name in zip((a, b), names, strict=True):
            known = [layer.name for layer in signatures.layers]
            if name not in known:
                near = nearest_names(name, known)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                raise InputError(f"no layer {name!r} in {signatures.model}{hint}")
            places.append(known.index(name))
        allowed[places[0], places[1]] = True
    return allowed


def analogues_of(joined: Joined) -> Analogues:
    """The rows that a store keeps of a join."""
    rows = joined.partners
    sha256 = str(joined.a.probes.get("sha256", ""))
    return Analogues(
        joined.a.model,
        joined.b.model,
        pa.table(
            {
                "source": pa.array([row.source for row in rows], pa.int32()),
                "target": pa.array([row.target for row in rows], pa.int32()),
                "rank": pa.array([row.rank for row in rows], pa.int32()),
                "score": pa.array([row.score for row in rows], pa.float64()),
                "excess": pa.array([row.excess for row in rows], pa.float64()),
                "q": pa.array([row.q for row in rows], pa.float64()),
                "mutual": pa.array([row.mutual for row in rows], pa.bool_()),
                "method": pa.array([row.method for row in rows], pa.string()),
                "probes_sha256": pa.array([sha256] * len(rows), pa.string()),
            }
        ),
    )


def layer_rows(joined: Joined) -> list[Row]:
    """For every layer of A, the layer of B that answers most like it, with what the nulls give there."""
    rows: list[Row] = []
    found = {row.source: row for row in joined.partners if row.rank == 1}
    for place, layer in enumerate(joined.a.layers):
        scores = joined.by_layer[place]
        if not np.isfinite(scores).any():
            continue
        other = int(np.nanargmax(scores))
        units = [found[unit] for unit in range(layer.start, layer.stop) if unit in found]
        rows.append(
            {
                "layer": layer.name,
                "units": layer.width,
                "most_like": joined.b.layers[other].name,
                "score": float(scores[other]),
                "size": float(joined.by_layer_size[place, other]),
                **{name: float(null.by_layer[place, other]) for name, null in joined.nulls.items()},
                "anywhere": _mean(joined.best[layer.start : layer.stop]),
                "found": sum(row.q <= 0.05 for row in units),
                "mutual": sum(row.mutual for row in units),
            }
        )
    return rows


def pair_rows(joined: Joined) -> list[Row]:
    """The analogues, by the keys of the units."""
    one, two = joined.a.keys(), joined.b.keys()
    return [
        {
            "a": one[row.source],
            "b": two[row.target],
            "rank": row.rank,
            "score": row.score,
            "excess": row.excess,
            "q": row.q,
            "mutual": row.mutual,
            "method": row.method,
        }
        for row in joined.partners
    ]


def to_dict(joined: Joined) -> dict[str, Any]:
    """What `circuitdb join --format json` prints for one join."""
    one, two = joined.a.keys(), joined.b.keys()
    return {
        "a": joined.a.model,
        "b": joined.b.model,
        "probes_sha256": joined.a.probes.get("sha256"),
        "pictures": {"matched": len(joined.halves[0]), "scored": len(joined.halves[1])},
        "pairs": pair_rows(joined),
        "observed": {"score": joined.mean_best(), "size": _mean(joined.best_size), "same_on_both": joined.same_on_both},
        "nulls": {name: {"score": _mean(null.best), "samples": null.samples} for name, null in joined.nulls.items()},
        "untrained": list(joined.untrained),
        "remarks": list(joined.remarks),
        "ceiling": {"score": joined.ceiling, "itself": joined.itself, "another": joined.another},
        "pairs_tested": joined.pairs_tested,
        "silent": {"a": joined.silent[0], "b": joined.silent[1]},
        "layers": layer_rows(joined),
        "by_layer": [
            {
                "a": layer.name,
                "b": other.name,
                "score": float(joined.by_layer[i, j]),
                "size": float(joined.by_layer_size[i, j]),
                "nulls": {name: float(null.by_layer[i, j]) for name, null in joined.nulls.items()},
            }
            for i, layer in enumerate(joined.a.layers)
            for j, other in enumerate(joined.b.layers)
            if np.isfinite(joined.by_layer[i, j])
        ],
        "groups": [
            {
                "a": one[group.unit],
                "b": [two[unit] for unit in group.members],
                "weights": list(group.weights),
                "score": group.score,
                "best": group.best,
            }
            for group in joined.groups
        ],
    }


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
