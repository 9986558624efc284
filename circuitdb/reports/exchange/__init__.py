"""The exchange form: whole graphs as one JSON document, in and out.

`read_document` takes a parsed document, as other tools may write it, and returns whole models and the analogues between
models. `write_document` is the way back, `document_text` the same as text, piece by piece. `docs/exchange.md` describes
the form.
"""

from circuitdb.reports.exchange.reading import Exchange, read_document
from circuitdb.reports.exchange.writing import document_text, write_document

__all__ = ["Exchange", "document_text", "read_document", "write_document"]
