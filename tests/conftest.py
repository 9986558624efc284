"""What all tests share: the folder of real data, or a skip that says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real weights, photographs and published facts; CIRCUITDB_DATA overrides the place."""
    folder = Path(os.environ.get("CIRCUITDB_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no data at {folder}; set CIRCUITDB_DATA to the folder that holds models/ and images/")
    return folder
