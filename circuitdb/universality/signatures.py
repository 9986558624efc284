"""Signatures of a model's units, as a join reads them.

In come the int8 signatures [unit, picture, number] that a probing wrote, or numbers that lie in a file; out come rows
of norm 1 over some of the pictures: the correlation of two units over those pictures is the product of their rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Store
from circuitdb.errors import InputError
from circuitdb.graph import unit_key

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]


class Numbers(Protocol):
    """Numbers [unit, picture, number]: an array, or what lies in a file and is read where it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many units, pictures and numbers a picture."""

    def __getitem__(self, units: slice | Whole, /) -> npt.NDArray[Any]:
        """The numbers of some units, in memory."""


@dataclass(frozen=True)
class Layer:
    """A layer's place: its name, depth, and the rows [start, stop) of its units in key order.

    directions: the indices of those among its units that are directions, which stand behind the neurons.
    """

    name: str
    depth: int
    start: int
    stop: int
    directions: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """The number of units."""
        return self.stop - self.start

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return self.width - len(self.directions)

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the units, in order."""
        return (*range(self.neurons), *self.directions)


@dataclass(frozen=True)
class Signatures:
    """What the units of a model do on probes.

    numbers: [unit, picture, number], units in key order: int8 as a store keeps them, or reals of responses run again.
    probes: what the model says of its probes, with their `sha256`. Layers stand in order of depth, and say where in
    `numbers` their units are.
    """

    model: str
    layers: tuple[Layer, ...]
    numbers: Numbers
    probes: Mapping[str, Any]

    @property
    def units(self) -> int:
        """The number of units."""
        return int(self.numbers.shape[0])

    @property
    def pictures(self) -> int:
        """The number of pictures."""
        return int(self.numbers.shape[1])

    def keys(self) -> list[str]:
        """The units' keys, in order."""
        return keys_of(self.model, self.layers)

    def layer_of(self) -> Whole:
        """For every unit the place of its layer in `layers`."""
        return np.repeat(np.arange(len(self.layers)), [layer.width for layer in self.layers])

    def like(self, other: Signatures) -> Signatures | None:
        """The layers that another model has too, or None where one is missing or has another number of neurons.

        A random copy has the heads that a file of weights may lack.
        """
        own = {layer.name: layer for layer in self.layers}
        alike = [own[layer.name] for layer in other.layers if layer.name in own]
        if [(one.name, one.neurons) for one in alike] != [(layer.name, layer.neurons) for layer in other.layers]:
            return None
        return replace(self, layers=tuple(alike))

    def marks(self) -> list[bytes]:
        """For every picture a digest of what all neurons answer to it."""
        digests = [hashlib.sha256() for _ in range(self.pictures)]
        for layer in self.layers:
            numbers = self.numbers[layer.start : layer.start + layer.neurons]
            for picture, digest in enumerate(digests):
                digest.update(numbers[:, picture].tobytes())
        return [digest.digest() for digest in digests]

    def rows(self, pictures: Whole, units: Whole | slice = slice(None)) -> Floats:
        """Rows [unit, picture · number] of norm 1 over some pictures, in the order given; a silent unit's row is 0."""
        return rows_of(self.numbers[units], pictures)


def keys_of(model: str, layers: Iterable[Layer]) -> list[str]:
    """The keys of the units of a model's layers, in order."""
    return [unit_key(model, layer.name, index) for layer in layers for index in layer.indices]


def layers_of(model: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of a model as a store lists it, in key order."""
    layers, start = [], 0
    for row in sorted(model["layers"], key=lambda row: (row["depth"], row["name"])):
        directions = tuple(row.get("directions") or ())
        stop = start + int(row["width"]) + len(directions)
        layers.append(Layer(row["name"], int(row["depth"]), start, stop, directions))
        start = stop
    return tuple(layers)


def rows_of(numbers: npt.NDArray[Any], pictures: Whole) -> Floats:
    """Rows [unit, picture · number] of norm 1 of numbers [unit, picture, number], over some pictures."""
    return of_norm_one(numbers[:, pictures].reshape(len(numbers), -1).astype(np.float32, copy=False))


def of_norm_one(rows: Floats) -> Floats:
    """Rows divided by their L2 norm; rows of zeros stay."""
    norms = np.sqrt(np.einsum("ud,ud->u", rows, rows))
    scaled: Floats = rows / np.where(norms > 0, norms, 1).astype(np.float32)[:, None]
    return scaled


Reader = Callable[[Store, Sequence[str], str | None], list[Signatures]]
"""What brings the signatures of models on the same probes, whose SHA-256 may be asked for: `read_signatures`, or
`ingest.exact.reader`, which runs the networks again."""


def read_signatures(store: Store, models: Sequence[str], probes_sha256: str | None = None) -> list[Signatures]:
    """The signatures of models that saw the same probes.

    Raises
    ------
    InputError
        If a model is not there or was not probed, if the models saw different probes, or others than those asked for;
        the message names the command that mends it.
    """
    there = {row["name"]: row for row in store.models()}
    for name in models:
        if name not in there:
            raise InputError(f"no model {name!r} in {store.address}; `circuitdb ls` lists them")
        if not there[name].get("probes"):
            raise InputError(f"{name} has not been probed; {_mend(store.address, models)}")
    sums = {name: str(there[name]["probes"]["sha256"]) for name in models}
    wanted = probes_sha256 if probes_sha256 is not None else sums[models[0]]
    for name in models:
        if not (
            sums[name] == wanted or (probes_sha256 is not None and len(wanted) >= 6 and sums[name].startswith(wanted))
        ):
            raise InputError(_other_probes(store.address, there, models, name, probes_sha256))
    found = []
    for name in models:
        numbers = store.signatures(name)
        if numbers is None:
            raise InputError(f"{name} was probed without signatures; {_mend(store.address, [name])}")
        found.append(Signatures(name, layers_of(there[name]), numbers, there[name]["probes"]))
    shapes = {one.numbers.shape[1:] for one in found}
    if len(shapes) > 1:
        raise InputError(
            f"the signatures of {' and '.join(models)} have different lengths; {_mend(store.address, models)}"
        )
    return found


def _other_probes(
    address: str, there: Mapping[str, Mapping[str, Any]], models: Sequence[str], name: str, wanted: str | None
) -> str:
    def probes(model: str) -> str:
        row = there[model]["probes"]
        return f"{row.get('name', 'probes')} ({str(row['sha256'])[:12]})"

    mend = _mend(address, models)
    if wanted is not None:
        return f"{name} was probed on {probes(name)}, not on {wanted[:12]}; {mend}"
    return (
        f"{models[0]} was probed on {probes(models[0])} and {name} on {probes(name)}; "
        f"only responses to the same pictures can be compared; {mend}"
    )


def _mend(address: str, models: Sequence[str]) -> str:
    return f"run: circuitdb probe {' '.join(models)} --probes PICTURES --db {address}"
