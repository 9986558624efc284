"""Writes the planted truth of the handwritten networks anew: `python -m ingest.architectures.handwritten`."""

from ingest.architectures.handwritten import truth

truth.write()
