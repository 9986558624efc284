"""The wheel, installed without its extra into a clean environment, as a user would have it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from circuitdb.backends import open_store
from tests.conftest import REPOSITORY
from tests.graphs import toy_graph

UNREACHABLE = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError")


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CIRCUITDB"))}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder outside the checkout, removed at the end since the environment in it takes half a gigabyte."""
    with tempfile.TemporaryDirectory(prefix="circuitdb-wheel-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def environment(folder: Path) -> Path:
    """The `bin` folder of a fresh virtual environment that holds the wheel and what the wheel asks for."""
    built = run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, REPOSITORY),
        folder=folder,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("neural_circuitdb-*.whl")
    assert run(sys.executable, "-m", "venv", folder / "clean", folder=folder).returncode == 0
    bin_folder = folder / "clean" / "bin"
    installed = run(
        *(bin_folder / "python", "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"),
        *("--constraint", REPOSITORY / "constraints.txt", wheel),
        folder=folder,
    )
    if installed.returncode != 0 and UNREACHABLE.search(installed.stderr):
        pytest.skip("the package index cannot be reached, so that the wheel cannot be installed with what it needs")
    assert installed.returncode == 0, installed.stderr
    return bin_folder


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def circuitdb(environment: Path, folder: Path) -> Command:
    """The installed command, on a database that this checkout planted."""
    open_store(str(folder / "circuits.duckdb")).write(toy_graph())
    return lambda *arguments: run(environment / "circuitdb", *arguments, folder=folder)


def test_the_clean_environment_has_neither_the_checkout_nor_torch(environment: Path, folder: Path) -> None:
    code = (
        "import circuitdb, importlib.util as util\n"
        "print(circuitdb.__file__)\n"
        "print(util.find_spec('torch'), util.find_spec('queries'))"
    )
    lines = run(environment / "python", "-c", code, folder=folder).stdout.splitlines()
    assert Path(lines[0]).is_relative_to(folder)
    assert lines[1] == "None None"


def test_the_installed_command_helps_lists_and_finds(circuitdb: Command) -> None:
    assert "find" in circuitdb("--help").stdout
    assert circuitdb("ls").stdout.splitlines()[1].split()[0] == "toy"
    query = "find { left +> l +> both; right +> r +> both; left -| r; right -| l }"
    found = circuitdb("find", query, "--format", "json")
    assert found.returncode == 0, found.stderr
    assert [circuit["units"]["both"] for circuit in json.loads(found.stdout)["circuits"]] == ["toy/L2:0"]


def test_ingest_says_in_one_sentence_what_to_install(circuitdb: Command) -> None:
    assert "ingest" in circuitdb("--help").stdout
    outcome = circuitdb("ingest", "alexnet", "--weights", "random")
    assert outcome.returncode != 0
    assert outcome.stdout == ""
    assert outcome.stderr.count("\n") == 1
    assert "pip install 'neural-circuitdb[ingest]'" in outcome.stderr


def test_the_wheel_brings_the_motif_library(circuitdb: Command) -> None:
    listed = json.loads(circuitdb("motifs", "--format", "json").stdout)["motifs"]
    assert [row["name"] for row in listed] == sorted(path.stem for path in (REPOSITORY / "queries").glob("*.motif"))


def test_the_wheel_holds_the_licence_and_no_tests(folder: Path, environment: Path) -> None:
    [wheel] = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"circuitdb", "ingest"}
