"""Files and folders that are written whole or not at all: beside their place first, then put into it.

In comes the place; out goes the place beside it, as the value of a context that puts it right at its end.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from circuitdb.errors import CircuitdbError, InputError

MARK = "circuitdb.json"
"""The file by which a folder is known as one that was exported."""


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `file` when the context ends well and is gone otherwise.

    Raises
    ------
    CircuitdbError
        If it cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(file)
    except OSError as error:
        raise CircuitdbError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder, which takes the place of `folder` when the context ends well and is gone otherwise.

    Raises
    ------
    InputError
        If `folder` is there and is neither empty nor an earlier export.
    CircuitdbError
        If it cannot be written.
    """
    unfinished, before = (folder.with_name(f".{folder.name}.{state}") for state in ("unfinished", "before"))
    try:
        if folder.exists() and not _may_be_replaced(folder):
            raise InputError(f"{folder} is there and is no folder that circuitdb exported; name a new one")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        if folder.exists():
            shutil.rmtree(before, ignore_errors=True)
            folder.rename(before)
        unfinished.rename(folder)
    except OSError as error:
        raise CircuitdbError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(before, ignore_errors=True)
        elif before.exists():
            before.rename(folder)


@contextlib.contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """A folder to write files to, which stand in `folder` when the context ends well and are gone otherwise.

    Raises
    ------
    InputError
        If `folder` is there and holds something.
    CircuitdbError
        If it cannot be written.
    """
    unfinished = folder / ".circuitdb.unfinished"
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty; name a new folder")
        unfinished.mkdir()
        yield unfinished
        for file in sorted(unfinished.iterdir()):
            file.rename(folder / file.name)
    except OSError as error:
        raise CircuitdbError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        with contextlib.suppress(OSError):
            for place in missing:
                place.rmdir()


def _may_be_replaced(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))
