"""A graph database of neural-network circuits with a motif language.

    db = circuitdb.open("zoo.duckdb")
    db.find("union_over_cases", model="inceptionv1").to_pandas()

`open` returns a `Database`, which lists, shows and searches what a store holds; `circuitdb ingest` fills a store.
Importing the package is cheap: pandas, DuckDB and the rest are imported by the first call that needs them.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from circuitdb.errors import CircuitdbError, InputError

if TYPE_CHECKING:
    from circuitdb.database import Database

__all__ = ["CircuitdbError", "InputError", "open"]

__version__ = version("neural-circuitdb")


def open(address: str | os.PathLike[str]) -> Database:
    """Open a database.

    Parameters
    ----------
    address
        A path such as `zoo.duckdb`.

    Raises
    ------
    InputError
        If the address is of no known kind.
    CircuitdbError
        If the database cannot be read.
    """
    from circuitdb.database import Database

    return Database(os.fspath(address))
