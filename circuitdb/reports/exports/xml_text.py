"""Text in XML: which characters it may hold, and how it is written so that it is read back as it was."""

from __future__ import annotations

import re

from circuitdb.errors import InputError

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile('[&<>"\n\r\t]')


def check_xml(text: str, place: str) -> str:
    """Return the text if XML 1.0 can hold it (section 2.2 of the recommendation).

    Raises
    ------
    InputError
        If it cannot, with the place.
    """
    wrong = _FORBIDDEN.search(text)
    if wrong is not None:
        raise InputError(
            f"XML cannot hold U+{ord(wrong[0]):04X}, which stands in {place[:200]!r}; take .json, .parquet or .cypher"
        )
    return text


def escaped(text: str) -> str:
    """Checked text for an element or a quoted attribute; line ends and tabs are written so that parsers keep them."""
    return _ESCAPED.sub(lambda match: f"&#{ord(match[0])};", text)
