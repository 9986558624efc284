"""From text to Query: parse, load what is imported, resolve.

`compile_query` is the one door; `parameter_from_text` reads a parameter's value as the command line gives it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path

from circuitdb.errors import InputError
from circuitdb.language.diagnostics import Source
from circuitdb.pattern.collecting import Catalog
from circuitdb.pattern.environment import BareWord, Value
from circuitdb.pattern.maps import MapName
from circuitdb.pattern.model import Query
from circuitdb.pattern.resolver import resolve
from circuitdb.pattern.texts import load

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def compile_query(
    text: str,
    *,
    catalog: Catalog | None = None,
    models: Sequence[str] | None = None,
    parameters: Mapping[str, object] | None = None,
    source_name: str = "query",
    folder: Path | None = None,
) -> Query:
    """The Query of a text of the motif language.

    Parameters
    ----------
    text
        Imports, motifs and at most one `find`.
    catalog
        The layers of every model in the store, to check names against.
    models
        Models to search instead of those that the text names.
    parameters
        Values for the parameters of the motif searched: numbers, texts, truth values; a text may name a map.
    source_name
        What messages call the text.
    folder
        Folder that imports are relative to; the current one if not given.

    Raises
    ------
    MotifError
        If the text has a mistake; the message points at it.
    """
    values = {name: _value(name, value) for name, value in (parameters or {}).items()}
    loaded = load(Source(source_name, text), folder or Path.cwd())
    return resolve(loaded, catalog=catalog, models=models, parameters=values)


def parameter_from_text(text: str) -> str | float | bool:
    """A parameter's value from the command line: a JSON number, truth value or text, or else the text as it is."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except json.JSONDecodeError:
            raise InputError(f"{text[:80]} is no text in quotes as JSON writes it") from None
    return text


def _value(name: str, value: object) -> Value:
    if isinstance(value, bool | MapName):
        return value
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise InputError(f"the parameter {name} holds half of a surrogate pair, which is no character")
        return BareWord(value)
    if not isinstance(value, Real):
        raise InputError(f"the parameter {name} takes a number, a text or a map, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"the parameter {name} takes a number that is finite")
    return number
