"""The motif library: where its files lie and which there are.

A checkout keeps the files in `queries/`, an installed wheel in `circuitdb/queries`. Out go paths; reading and parsing
the files is the compiler's work.
"""

from __future__ import annotations

from pathlib import Path

import circuitdb


def library_folder() -> Path:
    """The folder that holds the library's `.motif` files."""
    package = Path(circuitdb.__file__).parent
    shipped = package / "queries"
    return shipped if shipped.is_dir() else package.parent / "queries"


def library_files() -> tuple[Path, ...]:
    """The library's files in order of their names; a file is called after the motif that it holds."""
    return tuple(sorted(library_folder().glob("*.motif")))
