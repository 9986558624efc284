"""The command as people and programs use it: on a real database, through `main`, a pipe and a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.cli import build_app, main
from tests.graphs import graph_of, random_graph, toy_graph

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


Command = Callable[..., Outcome]


def gaps() -> ModelGraph:
    """A graph with kernels, whose units' numbers have gaps."""
    return random_graph(np.random.default_rng(5), name="gaps", kernels=True, density=1.0)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the model `toy`, a larger one called `cars`, and one whose units' numbers have gaps."""
    path = tmp_path_factory.mktemp("planted") / "planted.duckdb"
    store = open_store(str(path))
    store.write(toy_graph())
    store.write(
        graph_of(
            {"mixed4b": 500, "mixed4c": 450},
            [("mixed4b:237", "mixed4c:447", 0.5), ("mixed4b:373", "mixed4c:447", -0.25)],
            name="cars",
            labels=[("mixed4c:447", "car", "Zoom In"), ("mixed4b:237", "windows")],
        )
    )
    store.write(gaps())
    return path


@pytest.fixture
def database(planted: Path, tmp_path: Path) -> Path:
    """A copy of the planted database, to be written to."""
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(planted.read_bytes())
    return copy


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], planted: Path) -> Command:
    """Run the command in this process, on the planted database unless `db` says otherwise."""
    monkeypatch.delenv("CIRCUITDB_URL", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*arguments: str, db: Path = planted) -> Outcome:
        monkeypatch.setenv("CIRCUITDB_URL", str(db))
        monkeypatch.setattr(sys, "argv", ["circuitdb", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Outcome(int(left.value.code or 0), *capsys.readouterr())

    return command


# --- starting ---------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "duckdb", "pyarrow", "numpy", "scipy", "networkx", "neo4j", "lark", "sqlglot")
    code = (
        "import sys; sys.argv = ['circuitdb', '--help']\n"
        "from circuitdb.cli import main\n"
        "try: main()\n"
        f"finally: print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert "find" in done.stdout


def test_help_lists_every_command_that_the_design_names_so_far(run: Command) -> None:
    text = run("--help").out
    for name in ("ingest", "ls", "show", "find", "count", "explain", "rm", "motifs", "label", "demo"):
        assert re.search(rf"^. {name} ", text, re.MULTILINE), name


def test_every_command_has_help_with_examples_that_name_it() -> None:
    app = build_app()
    groups = [("circuitdb", app), *((f"circuitdb {g.name}", g.typer_instance) for g in app.registered_groups)]
    for prefix, group in groups:
        assert group is not None
        for command in group.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__
            assert command.callback.__doc__, name
            assert f"{prefix} {name}" in (command.epilog or ""), name


def test_a_wrong_command_is_answered_with_the_nearest_right_one(run: Command) -> None:
    outcome = run("fnd")
    assert outcome.code == 2
    assert "find" in outcome.err


def test_a_wrong_format_is_answered_with_the_right_ones(run: Command) -> None:
    outcome = run("ls", "--format", "jsn")
    assert outcome.code == 2
    assert all(name in outcome.err for name in ("table", "json", "csv"))


def test_the_version_is_that_of_the_distribution(run: Command) -> None:
    assert run("--version").out == f"circuitdb {circuitdb.__version__}\n"


# --- ls ---------------------------------------------------------------------------------------------------------------


def test_ls_lists_models_with_their_sizes(run: Command) -> None:
    lines = run("ls").out.splitlines()
    assert lines[0].split() == ["name", "architecture", "keep", "layers", "units", "edges"]
    assert [line.split() for line in lines[1:]][-1] == ["toy", "all", "3", "9", "10"]


def test_ls_gives_the_json_of_the_design(run: Command) -> None:
    [toy] = [model for model in run("ls", "--format", "json").json["models"] if model["name"] == "toy"]
    assert set(toy) == {"name", "architecture", "weights_sha256", "keep", "layers", "edges"}
    assert toy["keep"] == "all"
    assert toy["edges"] == 10
    assert toy["layers"][1] == {"name": "L1", "depth": 1, "width": 3, "rf_px": None, "stride_px": None}


def test_ls_of_a_model_lists_its_layers(run: Command) -> None:
    assert [row["name"] for row in run("ls", "toy", "--format", "csv").csv] == ["L0", "L1", "L2"]
    assert run("ls", "toy").out.splitlines()[1].split() == ["L0", "0", "4"]


def test_ls_of_a_layer_lists_its_units_by_number_with_their_labels(run: Command) -> None:
    rows = run("ls", "toy/L2", "--format", "csv").csv
    assert [(row["key"], row["labels"]) for row in rows] == [("toy/L2:0", "dog; Straße"), ("toy/L2:1", "")]
    [model] = run("ls", "gaps/L0", "--format", "json").json["models"]
    planted = gaps().units.to_pylist()
    assert [unit["index"] for unit in model["layers"][0]["units"]] == [
        unit["index"] for unit in planted if unit["layer"] == "L0"
    ]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["ls", "toi"], "did you mean toy?"),
        (["ls", "toy/L9"], "there are L0, L1, L2"),
        (["ls", "toy/"], "no layer ''"),
        (["show", "cars/mixed4d:1"], "did you mean mixed4"),
        (["show", "toy/L0:4"], "toy/L0 has 4 units"),
        (["show", "toy"], "one looks like inceptionv1/mixed4c:447"),
        (["rm", "cras"], "did you mean cars?"),
        (["label", "ls", "cras"], "did you mean cars?"),
    ],
)
def test_a_wrong_name_gets_one_sentence_with_what_there_is_and_code_2(
    run: Command, arguments: list[str], answer: str
) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert answer in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_database_that_is_not_there_is_said_in_one_sentence(run: Command, tmp_path: Path) -> None:
    outcome = run("ls", db=tmp_path / "none.duckdb")
    assert (outcome.code, outcome.out) == (2, "")
    assert "none.duckdb" in outcome.err
    assert not (tmp_path / "none.duckdb").exists()


def test_db_wins_over_the_environment(run: Command, planted: Path, tmp_path: Path) -> None:
    assert run("ls", "--db", str(planted), db=tmp_path / "none.duckdb").code == 0


# --- show -------------------------------------------------------------------------------------------------------------


def test_show_gives_the_json_of_the_design(run: Command) -> None:
    shown = run("show", "toy/L1:0", "--format", "json").json
    assert set(shown) == {"unit", "inputs", "outputs", "maps", "families", "analogues", "labels"}
    assert shown["unit"]["key"] == "toy/L1:0"
    assert [(e["source"], e["weight"]) for e in shown["inputs"]] == [
        ("toy/L0:0", 1.0),
        ("toy/L0:1", -0.5),
        ("toy/L0:3", 0.125),
    ]
    assert [e["target"] for e in shown["outputs"]] == ["toy/L2:0"]
    assert [(m["map"], m["target"]) for m in shown["maps"]] == [("flip", "toy/L1:1")]
    assert set(shown["maps"][0]) == {"map", "target", "score", "self_score", "mutual"}


def test_show_top_bounds_inputs_and_outputs(run: Command) -> None:
    assert len(run("show", "toy/L1:0", "--top", "2", "--format", "json").json["inputs"]) == 2


def test_show_draws_kernels_as_signs_and_digits_where_there_is_no_terminal(run: Command) -> None:
    shown = run("show", "gaps/L1:1", "--format", "json").json
    text = run("show", "gaps/L1:1").out
    assert "\x1b" not in text
    assert shown["inputs"]
    for edge in shown["inputs"]:
        assert edge["source"].partition("/")[2] in text
    assert re.search(r"[+-]9", text)


def test_show_names_labels_of_the_unit_and_of_its_inputs(run: Command) -> None:
    text = run("show", "4c:447").out
    assert text.startswith("cars/mixed4c:447\n")
    assert "car (Zoom In)" in text
    assert "windows" in text


@pytest.mark.parametrize("name", ["cars/mixed4c:447", "mixed4c:447", "4c:447"])
def test_show_understands_the_end_of_a_key_where_it_is_clear(run: Command, name: str) -> None:
    assert run("show", name, "--format", "json").json["unit"]["key"] == "cars/mixed4c:447"


def test_show_names_the_candidates_where_a_key_is_not_clear(run: Command) -> None:
    outcome = run("show", "447")
    assert outcome.code == 2
    assert "cars/mixed4b:447" in outcome.err
    assert "cars/mixed4c:447" in outcome.err


# --- label and rm -----------------------------------------------------------------------------------------------------


def test_labels_go_in_and_out_again_by_csv(run: Command, database: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text('unit,label,source\ntoy/L0:2,"fur, brown",me\ntoy/L0:3,\'; DROP TABLE unit; --,\n')
    assert run("label", "import", str(file), db=database).code == 0
    listed = run("label", "ls", "toy", "--format", "csv", db=database)
    assert {"unit": "toy/L0:2", "label": "fur, brown", "source": "me"} in listed.csv
    assert {"unit": "toy/L0:3", "label": "'; DROP TABLE unit; --", "source": ""} in listed.csv
    file.write_text(listed.out)
    assert run("label", "import", str(file), db=database).code == 0
    assert run("label", "ls", "toy", "--format", "csv", db=database).out == listed.out


def test_a_label_is_added_and_taken_away(run: Command, database: Path) -> None:
    added = run("label", "add", "4c:12", "a wheel", "--source", "me", "--format", "json", db=database).json
    assert added == {"labels": [{"unit": "cars/mixed4c:12", "label": "a wheel", "source": "me"}]}
    assert run("label", "rm", "cars/mixed4c:12", "a wheel", db=database).code == 0
    assert run("label", "rm", "cars/mixed4c:12", "a wheel", db=database).code == 2


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"key,label\na,b\n", "no column unit"),
        (b"", "no column unit and label"),
        (b"unit,label\ntoy/L0:1,\n", ":2: a unit and its label are wanted"),
        (b"unit,label\ntoy/L0:77,x\n", "toy/L0:77"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
    ],
)
def test_a_file_of_labels_with_a_mistake_changes_nothing(
    run: Command, database: Path, tmp_path: Path, content: bytes, answer: str
) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    before = run("label", "ls", "toy", "--format", "csv", db=database).out
    outcome = run("label", "import", str(file), db=database)
    assert outcome.code == 2
    assert answer in outcome.err
    assert run("label", "ls", "toy", "--format", "csv", db=database).out == before


def test_rm_deletes_a_model_and_leaves_the_others(run: Command, database: Path) -> None:
    assert run("rm", "cars", "--yes", db=database).code == 0
    assert [model["name"] for model in run("ls", "--format", "json", db=database).json["models"]] == ["gaps", "toy"]


def test_rm_deletes_nothing_where_one_of_the_names_is_wrong(run: Command, database: Path) -> None:
    assert run("rm", "cars", "nope", "--yes", db=database).code == 2
    assert len(run("ls", "--format", "json", db=database).json["models"]) == 3


# --- on a terminal ----------------------------------------------------------------------------------------------------


def on_a_terminal(*arguments: str, typed: str = "", environment: dict[str, str] | None = None) -> Outcome:
    """Run the command with a pseudo terminal of 80 columns as its standard input, output and error."""
    leader, follower = pty.openpty()
    clean = {n: v for n, v in os.environ.items() if n not in ("NO_COLOR", "COLUMNS", "CIRCUITDB_URL", "FORCE_COLOR")}
    variables = {**clean, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80", **(environment or {})}
    process = subprocess.Popen(
        [BIN / "circuitdb", *arguments], stdin=follower, stdout=follower, stderr=follower, env=variables
    )
    os.close(follower)
    os.write(leader, typed.encode())
    written = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([leader], [], [], 1)[0]:
            continue
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        written += piece
    code = process.wait(timeout=10)
    os.close(leader)
    return Outcome(code, written.decode().replace("\r\n", "\n"), "")


def test_rm_asks_on_a_terminal_and_takes_no_for_an_answer(run: Command, database: Path) -> None:
    refused = on_a_terminal("rm", "cars", "--db", str(database), typed="n\n")
    assert "Delete cars" in refused.out
    assert refused.code != 0
    assert len(run("ls", "--format", "json", db=database).json["models"]) == 3
    assert on_a_terminal("rm", "cars", "--db", str(database), typed="y\n").code == 0
    assert len(run("ls", "--format", "json", db=database).json["models"]) == 2


def test_show_draws_coloured_blocks_on_a_terminal(planted: Path) -> None:
    text = on_a_terminal("show", "gaps/L1:1", "--db", str(planted)).out
    assert re.search(r"48;2;\d+;\d+;\d+m  ", text)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert max(map(len, plain.splitlines())) <= 80


def test_show_keeps_to_signs_and_digits_where_no_color_is_set(planted: Path) -> None:
    text = on_a_terminal("show", "gaps/L1:1", "--db", str(planted), environment={"NO_COLOR": "1"}).out
    assert "48;" not in text
    assert re.search(r"[+-]9", text)


# --- pipes and signals ------------------------------------------------------------------------------------------------


def test_a_pipe_that_closes_early_is_no_news(planted: Path) -> None:
    command = f"{BIN / 'circuitdb'} ls cars/mixed4b --format csv --db {planted} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("key,")
    assert done.stderr == ""
