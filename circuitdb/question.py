"""From what a caller asks to a Query: where the text comes from, what its words mean in a store, how much is wanted.

In come a motif's name, a file or a text of the language, with models, parameters and limits; out comes a Query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from circuitdb.backends.base import Row
from circuitdb.errors import InputError
from circuitdb.language.diagnostics import nearest
from circuitdb.language.library import library_files
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.model import Query

DEFAULT_ROWS = 1000
DEFAULT_SECONDS = 60.0
_MOST_ROWS = 2**31 - 1
_MOST_SECONDS = 1e6
_FILE = re.compile(r'.*\.motif|[^\s{}()"\0]*(/|\.[^\W\d]\w*$)[^\s{}()"\0]*')
"""What is a file's path and no text of the language: it has a folder or an ending."""


def compile_question(
    query: str | Path,
    model: str | Sequence[str] | None,
    parameters: Mapping[str, Any],
    models: Sequence[Row],
    address: str,
) -> tuple[str, Query]:
    """The text of a query and what it means in a store.

    `model`: those to be searched; otherwise the text says. `models`: those of the store, as it lists them. `address`:
    what messages call the store.

    Raises
    ------
    InputError
        If the query has a mistake; the message points at it.
    """
    text, source_name, folder = read_query(query)
    layers = {row["name"]: [layer["name"] for layer in row["layers"]] for row in models}
    searched = None if model is None else [model] if isinstance(model, str) else list(model)
    for name in searched or ():
        if name not in layers:
            raise InputError(f"no model {name!r} in {address}{nearest(name, layers)}")
    compiled = compile_query(
        text, catalog=layers, models=searched, parameters=parameters, source_name=source_name, folder=folder
    )
    return text, compiled


def keep_rules(models: Sequence[Row], searched: Sequence[str] | None) -> str:
    """The keep rule of the models searched; where they have several, each with its models."""
    rules: dict[str, list[str]] = {}
    for model in models:
        if searched is None or model["name"] in searched:
            rules.setdefault(model["keep"] or "unknown", []).append(model["name"])
    if len(rules) == 1:
        return next(iter(rules))
    return "; ".join(f"{rule} ({', '.join(names)})" for rule, names in rules.items())


def rows_asked(query: Query, limit: int | None) -> int:
    """How many circuits to bring: what the caller says, else what the text says, else the default."""
    asked = query.limit if limit is None else limit
    if asked is not None and asked < 0:
        raise InputError(f"a limit of {asked} circuits is none; give 0 or more")
    return DEFAULT_ROWS if asked is None else min(asked, _MOST_ROWS)


def seconds_asked(seconds: float | None) -> float | None:
    """How long to search; None where no limit is meant."""
    if seconds is not None and not seconds > 0:
        raise InputError(f"a search cannot take at most {seconds} seconds; give more than 0, or None for no limit")
    return None if seconds is None or seconds > _MOST_SECONDS else seconds


def read_query(query: str | Path) -> tuple[str, str, Path]:
    """Text of the language from a motif's name, a file's path or the text itself.

    Returns
    -------
    The text, what messages call it, and the folder that its imports are relative to.

    Raises
    ------
    InputError
        If a file cannot be read, or a bare name is no motif of the library.
    """
    name = str(query)
    if isinstance(query, Path) or _FILE.fullmatch(name) or _is_file(name):
        return read_text(Path(query)), name, Path(query).parent
    if re.fullmatch(r"\w+", name.strip()):
        return f"find {library_motif(name.strip()).stem}", "query", Path()
    return name, "query", Path()


def read_text(file: Path) -> str:
    """The text of a file in UTF-8.

    Raises
    ------
    InputError
        If the file cannot be read, or is no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file} is not text in UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None


def library_motif(name: str) -> Path:
    """The file of a motif of the library.

    Raises
    ------
    InputError
        If there is none of that name; the nearest name is told.
    """
    files = {path.stem: path for path in library_files()}
    if name not in files:
        raise InputError(f"no motif {name!r} in the library{nearest(name, files)}")
    return files[name]


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
