"""Responses run again, for joins whose correlations shall be exact.

In: a store, names of models, the probes that they saw and their weights files. Out: `Signatures` that are no sketches:
of every picture the mean response over each of its 14 by 14 parts (`ingest.signatures.parts`). Correlations of these
are what stored signatures tell with an error. They are too many for memory, and lie in a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from circuitdb.backends.base import Progress, Store
from circuitdb.errors import InputError
from circuitdb.universality.signatures import Reader, Signatures, layers_of
from ingest.pipeline import layer_widths, named_layers
from ingest.probes import load_probes
from ingest.probing import input_side, known_preprocessing, steps_of
from ingest.reprobing import directions_of, source_of
from ingest.responses import part_means
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
            widths = layer_widths(model["layers"])
            steps = steps_of(source, preprocessing, widths, named)
            of_layers = directions_of(store, model)
            directions = {place: of_layers[layer] for place, layer in enumerate(widths) if layer in of_layers}
            directions = {place: np.nan_to_num(coefficients) for place, coefficients in directions.items()}
            numbers = FiledNumbers([layer.width for layer in layers_of(model)], len(pictures.names))
            part_means(
                source.loaded.network, steps, preprocessing, pictures, numbers.take, progress, directions=directions
            )
            numbers.centre()
            found.append(Signatures(name, layers_of(model), numbers, model["probes"]))
        return found

    return read


class FiledNumbers:
    """Mean responses [unit, picture, part] in a temporary file, which is gone when they are no longer used.

    They are written layer by layer as [picture, unit, part], as the pictures come, and `centre` turns them round.
    """

    def __init__(self, widths: Sequence[int], pictures: int) -> None:
        self.shape = (sum(widths), pictures, PARTS)
        self._ends = np.cumsum(widths).tolist()
        self._widths = widths
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def take(self, place: int, pictures: slice, means: npt.NDArray[np.float32]) -> None:
        """Write the means [picture, unit, part] of a layer over some pictures."""
        start, width = self._ends[place] - self._widths[place], self._widths[place]
        self._write(start * self.shape[1] + pictures.start * width, means)

    def centre(self) -> None:
        """Make each unit's mean 0, and all its numbers where they change by no more than rounding."""
        for width, end in zip(self._widths, self._ends, strict=True):
            means = self[end - width : end].reshape(self.shape[1], width, PARTS).swapaxes(0, 1)
            middle = means.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
            means = means - middle
            means[np.abs(means).max(axis=(1, 2)) <= 1e-6 * np.abs(middle[:, 0, 0])] = 0
            self._write((end - width) * self.shape[1], means)

    def __getitem__(self, units: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        if not isinstance(units, slice):
            return np.concatenate([self[unit : unit + 1] for unit in units.tolist()])
        start, stop, _ = units.indices(self.shape[0])
        self._file.seek(4 * start * self.shape[1] * PARTS)
        read = np.fromfile(self._file, np.float32, (stop - start) * self.shape[1] * PARTS)
        return read.reshape(stop - start, *self.shape[1:])

    def _write(self, place: int, means: npt.NDArray[np.float32]) -> None:
        """Write rows [part], the first at this place."""
        self._file.seek(4 * place * PARTS)
        np.ascontiguousarray(means).tofile(self._file)
