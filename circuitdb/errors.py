"""The errors that circuitdb raises on purpose.

Each carries one sentence that says what is wrong and what to do; the command prints it without a traceback and
leaves with the error's exit code.
"""

from __future__ import annotations


class CircuitdbError(Exception):
    """Something failed that the input is not to blame for: a full disk, a locked file, a stopped server."""

    exit_code = 1


class InputError(CircuitdbError):
    """The input is wrong: no such model, weights that do not fit, a mistake in a query."""

    exit_code = 2


class StoreBusyError(CircuitdbError):
    """Another process holds the database."""
