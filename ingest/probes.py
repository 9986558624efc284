"""Probe sets: the pictures on which the responses of units are measured.

In: a folder or tar of photographs, or `synthetic`. Out: a `ProbeSet`, named square RGB pictures of one size with the
SHA-256 of them all. Two models can be compared only over sets of the same SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from circuitdb.errors import CircuitdbError, InputError

Pictures = npt.NDArray[np.uint8]
"""[picture, y, x, colour], RGB."""

SYNTHETIC = "synthetic"
"""What names the built-in set."""

SIDE = 224
"""Height and width of the crops that photographs are cut into, in pixels."""

MOST_CROPS = 20_000
"""A set of more is refused: it would take gigabytes."""


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Named pictures. names: one a picture, none twice. pictures: [picture, y, x, colour], uint8, RGB, square."""

    name: str
    names: tuple[str, ...]
    pictures: Pictures

    @property
    def side(self) -> int:
        """Height and width of a picture, in pixels."""
        return int(self.pictures.shape[1])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pixels and the names, in order."""
        digest = hashlib.sha256(f"probes {self.pictures.shape}\n".encode())
        for name, picture in zip(self.names, self.pictures, strict=True):
            digest.update(f"{len(name.encode())} {name}\n".encode())
            digest.update(np.ascontiguousarray(picture).tobytes())
        return digest.hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What is recorded with a model that was probed with the set.

        `crops`: how many pictures were cut from each file, in order, so that halves can keep a photograph together.
        """
        files = [file or crop for file, _, crop in (name.rpartition("@") for name in self.names)]
        return {
            "name": self.name,
            "sha256": self.sha256,
            "pictures": len(self.names),
            "size": [self.side, self.side],
            "crops": [len(list(crops)) for _, crops in groupby(files)],
        }


def load_probes(place: str, input_side: int = SIDE) -> ProbeSet:
    """The probe set that the user names: `synthetic`, a folder, or a tar.

    input_side: of the network, in pixels. The synthetic set is drawn at that size for networks whose input is smaller
    than 224 pixels, and at 224 for all others; photographs are always cut into crops of 224.

    Raises
    ------
    InputError
        If there is no such place, if no picture is in it, or if a picture is damaged.
    CircuitdbError
        If it cannot be read.
    """
    if place == SYNTHETIC:
        from ingest.stimuli import synthetic

        return synthetic(min(input_side, SIDE))
    path = Path(place).expanduser()
    if not path.exists():
        raise InputError(f"there are no probes at {place!r}; give a folder or tar of pictures, or {SYNTHETIC}")
    try:
        files = list(_in_folder(path) if path.is_dir() else _in_tar(path))
    except OSError as error:
        raise CircuitdbError(f"cannot read {place!r}: {error.strerror or error}") from error
    if not files:
        raise InputError(f"{place!r} holds no pictures; give a folder or tar of .png, .jpg or other common formats")
    return _cut(path.name, files)


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in Image.registered_extensions() and not path.name.startswith(".")


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and _is_picture(name):
            yield name, path.read_bytes()


def _in_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as tar:
            for member in sorted(tar.getmembers(), key=lambda member: member.name):
                file = tar.extractfile(member) if member.isfile() and _is_picture(member.name) else None
                if file is not None:
                    yield member.name.removeprefix("./"), file.read()
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{path.name} is no folder and no tar, or is damaged; fetch it again ({error})") from error


def _cut(name: str, files: Sequence[tuple[str, bytes]]) -> ProbeSet:
    """Every picture cut into crops; the crop's name is the file's with the row and column where the crop begins."""
    shared = _shared_folder([file for file, _ in files])
    names: list[str] = []
    crops: list[Pictures] = []
    for file, content in files:
        picture = _decoded(file, content)
        for top, left in _grid(picture):
            names.append(f"{file.removeprefix(shared)}@{top},{left}")
            crops.append(picture[top : top + SIDE, left : left + SIDE])
        if len(crops) > MOST_CROPS:
            raise InputError(
                f"{name} gives more than {MOST_CROPS:,} crops of {SIDE}x{SIDE} pixels; take fewer or smaller pictures"
            )
    return ProbeSet(name, tuple(names), np.stack(crops))


def _shared_folder(files: Sequence[str]) -> str:
    """The folder that all files lie in, with a slash, so that a tar and the folder it was made of give one set."""
    folders = [PurePosixPath(file).parts[:-1] for file in files]
    shared: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)


def _decoded(name: str, content: bytes) -> Pictures:
    """[y, x, colour], resized up where a side is shorter than a crop."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError as error:
        raise InputError(f"the picture {name!r} is too large; make it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"the picture {name!r} is damaged or of no known format; take it out or mend it") from error
    width, height = upright.size
    scale = SIDE / min(width, height)
    if scale > 1:
        size = (max(SIDE, round(width * scale)), max(SIDE, round(height * scale)))
        upright = upright.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(upright)


def _grid(picture: Pictures) -> Iterator[tuple[int, int]]:
    """Row and column where each crop begins: as many as fit beside each other, spread from edge to edge."""
    rows, columns = (
        np.round(np.linspace(0, size - SIDE, size // SIDE)).astype(int).tolist() for size in picture.shape[:2]
    )
    yield from ((top, left) for top in rows for left in columns)
