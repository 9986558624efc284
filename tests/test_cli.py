"""The command as people and programs use it: on a real database, through `main`, a pipe and a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.cli import build_app
from circuitdb.errors import InputError
from circuitdb.language.library import library_files
from tests.conftest import Command, Outcome
from tests.graphs import graph_of, random_graph, toy_graph
from tests.test_exchange import analogues_between

BIN = Path(sys.executable).parent


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
def run(command: Command, planted: Path) -> Command:
    """Run the command in this process, on the planted database unless `db` says otherwise."""
    return lambda *arguments, db=planted: command(*arguments, db=db)


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


def every_command() -> dict[tuple[str, ...], Any]:
    """All commands by the words that call them."""
    top = typer.main.get_command(build_app()).commands
    groups = {name: command.commands for name, command in top.items() if hasattr(command, "commands")}
    return {(name,): command for name, command in top.items() if name not in groups} | {
        (group, name): command for group, commands in groups.items() for name, command in commands.items()
    }


def examples_of(command: Any) -> list[str]:
    return [line for line in command.epilog.split("\n\n") if line != "Examples:"]


def test_every_command_has_help_with_examples_that_name_it() -> None:
    for words, command in every_command().items():
        assert command.help, words
        assert examples_of(command), words
        for example in examples_of(command):
            assert shlex.split(example)[: len(words) + 1] == ["circuitdb", *words]


def test_every_example_stands_on_one_line_of_80_columns(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words, command in every_command().items():
        lines = {line.strip() for line in run(*words, "--help").out.splitlines()}
        assert set(examples_of(command)) <= lines, words


def test_every_example_gives_options_that_the_command_has() -> None:
    for words, command in every_command().items():
        for example in examples_of(command):
            command.make_parser(typer.Context(command)).parse_args(shlex.split(example)[len(words) + 1 :])


def test_an_option_has_the_same_short_form_in_every_command() -> None:
    short: dict[str, set[str]] = {}
    for command in every_command().values():
        for option in command.params:
            name, *letters = sorted(option.opts, key=len, reverse=True)
            short.setdefault(name, set()).add(" ".join(letters))
    assert {name: forms for name, forms in short.items() if len(forms) > 1} == {}
    assert {name: short[name] for name in ("--param", "--limit", "--samples", "--model")} == {
        "--param": {"-p"},
        "--limit": {"-n"},
        "--samples": {"-r"},
        "--model": {"-m"},
    }


def test_help_loses_no_bracket(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    for words, command in every_command().items():
        texts = [command.help, command.epilog, *(p.help for p in command.params), *(p.metavar for p in command.params)]
        bracketed = {w for text in texts for w in (text or "").replace("\\[", "[").split() if set(w) & set("[]")}
        shown = run(*words, "--help").out
        assert all(word in shown for word in bracketed), (words, bracketed)


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


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run([sys.executable, "-m", "circuitdb", "--version"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, f"circuitdb {circuitdb.__version__}\n")


# --- ls ---------------------------------------------------------------------------------------------------------------


def test_ls_lists_models_with_their_sizes(run: Command) -> None:
    lines = run("ls").out.splitlines()
    assert lines[0].split() == ["name", "architecture", "keep", "layers", "units", "edges"]
    assert [line.split() for line in lines[1:]][-1] == ["toy", "all", "3", "9", "10"]


def test_ls_breaks_no_name_where_the_terminal_is_narrow(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = run("ls").out
    monkeypatch.setenv("COLUMNS", "30")
    narrow = run("ls").out
    assert {word for line in wide.splitlines()[1:] for word in line.split()} <= set(narrow.split())
    assert max(map(len, narrow.splitlines())) <= 30


def test_ls_gives_the_json_of_the_design(run: Command) -> None:
    [toy] = [model for model in run("ls", "--format", "json").json["models"] if model["name"] == "toy"]
    assert set(toy) == {"name", "architecture", "weights_sha256", "keep", "layers", "edges"}
    assert toy["keep"] == "all"
    assert toy["edges"] == 10
    assert toy["layers"][1] == {"name": "L1", "depth": 1, "width": 3, "rf_px": None, "stride_px": None, "directions": 0}


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


HOSTILE = "a\nb\x1b[31m"


def test_text_of_the_database_cannot_steer_the_terminal(run: Command, database: Path) -> None:
    run("label", "add", "toy/L1:0", HOSTILE, "--source", HOSTILE, db=database)
    run("label", "add", "toy/L0:0", HOSTILE, db=database)
    for arguments in (["show", "toy/L1:0"], ["show", "toy/L2:0"], ["ls", "toy/L1"], ["label", "ls", "toy"]):
        text = run(*arguments, db=database).out
        assert r"a\nb\x1b[31m" in text
        assert "\x1b" not in text
    [label] = run("show", "toy/L1:0", "--format", "json", db=database).json["labels"]
    assert (label["label"], label["source"]) == (HOSTILE, HOSTILE)
    assert HOSTILE in {row["label"] for row in run("label", "ls", "toy", "--format", "csv", db=database).csv}


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


@pytest.mark.parametrize(
    "arguments", ["find 'find { a -> b }' --format csv | head -1", "ls | true", "find 'find { a -> b }' | true"]
)
def test_a_reader_that_leaves_early_is_no_failure(planted: Path, arguments: str) -> None:
    command, _, reader = arguments.partition(" | ")
    line = f"set -o pipefail; {BIN / 'circuitdb'} {command} --db {planted} | {reader}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_output_to_a_full_disk_is_a_failure_in_one_sentence(planted: Path, format: str) -> None:
    line = f"{BIN / 'circuitdb'} ls --format {format} --db {planted} > /dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "cannot go on: No space left on device\n")


ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["show", "gaps/L1:1"], ASCII, r"\xb7"),
        (["find", "find { größe -> b } in toy"], ASCII, r"gr\xf6\xdfe"),
        (["find", "find { größe -> b } in toy", "--format", "csv"], ASCII, r"gr\xf6\xdfe"),
        (["motifs", "union_over_cases"], C_LOCALE, r"\u2500"),
    ],
)
def test_characters_that_the_encoding_lacks_are_written_as_escapes(
    planted: Path, arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    variables = {**os.environ, **environment, "CIRCUITDB_URL": str(planted)}
    done = subprocess.run([BIN / "circuitdb", *arguments], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout


def test_json_stays_json_where_the_encoding_lacks_characters(planted: Path) -> None:
    arguments = ["find", "find { größe -> b } in toy", "--format", "json"]
    variables = {**os.environ, **ASCII, "CIRCUITDB_URL": str(planted)}
    done = subprocess.run([BIN / "circuitdb", *arguments], capture_output=True, text=True, env=variables)
    assert json.loads(done.stdout)["query"] == "find { größe -> b } in toy"


def is_held(path: Path) -> bool:
    """Whether another process has the database open."""
    with path.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def test_ctrl_c_ends_the_command_with_130_and_no_traceback(tmp_path: Path) -> None:
    """Eight layers of 20 units have 26 billion paths, each of which the search has to rank."""
    rng = np.random.default_rng(1)
    widths = {f"L{depth}": 20 for depth in range(8)}
    edges = [
        (f"L{depth}:{a}", f"L{depth + 1}:{b}", float(rng.normal()))
        for depth in range(7)
        for a in range(20)
        for b in range(20)
    ]
    path = tmp_path / "large.duckdb"
    open_store(str(path)).write(graph_of(widths, edges))
    query = "find { a -> b -> c -> d -> e -> f -> g -> h } order by sum(strength)"
    process = subprocess.Popen(
        [BIN / "circuitdb", "find", query, "--db", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not is_held(path) and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "")


# --- find, count, explain ---------------------------------------------------------------------------------------------

CROSSED = "find { left +> l +> both; right +> r +> both; left -| r; right -| l } in toy"


def test_find_gives_the_json_of_the_design(run: Command, planted: Path) -> None:
    found = run("find", CROSSED, "--format", "json").json
    assert {"query", "store", "keep", "truncated", "seconds", "circuits"} <= set(found)
    assert found["query"] == CROSSED
    assert found["store"] == str(planted)
    assert found["keep"] == "all"
    assert found["truncated"] is False
    [circuit] = found["circuits"]
    assert set(circuit) == {"motif", "model", "units", "edges", "score"}
    assert circuit["model"] == "toy"
    assert circuit["units"] == {
        "left": "toy/L0:0",
        "l": "toy/L1:0",
        "both": "toy/L2:0",
        "right": "toy/L0:1",
        "r": "toy/L1:1",
    }
    assert len(circuit["edges"]) == 6
    assert {edge["kind"] for edge in circuit["edges"]} == {"EXCITES", "INHIBITS"}
    assert circuit["score"] == min(edge["share"] for edge in circuit["edges"])


def test_find_prints_a_row_a_circuit_and_how_the_search_went(run: Command) -> None:
    lines = run("find", "find { a -| b +> c } in toy").out.splitlines()
    assert lines[0].split() == ["score", "a", "b", "c"]
    assert [line.split()[1:] for line in lines[1:3]] == [["L0:0", "L1:1", "L2:0"], ["L0:1", "L1:0", "L2:0"]]
    assert re.fullmatch(r"2 circuits · keep all · \d+\.\d\d s", lines[-1])


def test_find_names_the_model_of_each_circuit_where_several_were_searched(run: Command) -> None:
    for query in ("find { a -> b } limit 1", "find { a -> b } in toy, cars limit 1"):
        heading, row, *_ = (line.split() for line in run("find", query).out.splitlines())
        assert heading == ["score", "model", "a", "b"]
        assert row[1] in ("toy", "cars", "gaps")
    assert run("find", "find { a -> b } limit 1", "-m", "toy").out.split()[:3] == ["score", "a", "b"]


def test_find_names_the_model_of_units_that_lie_in_another(command: Command, tmp_path: Path) -> None:
    graphs = [toy_graph(), toy_graph("other")]
    path = tmp_path / "two.duckdb"
    store = open_store(str(path))
    for graph in graphs:
        store.write(graph)
    store.write_analogues(analogues_between(*graphs))
    store.close()
    text = command("find", "find { a -> b; analog(a, other) = c } in toy limit 1", db=path).out
    _, a, b, *others = text.splitlines()[1].split()
    assert (a, b) == ("L0:2", "L1:2")
    assert set(others) == {"other/L0:0"}


def test_a_circuit_too_wide_for_the_terminal_keeps_each_unit_beside_its_name(planted: Path) -> None:
    query = "find { {first, second, third} -> following -> last } in toy"
    text = on_a_terminal("find", query, "--quiet", "--db", str(planted), environment={"COLUMNS": "40"}).out
    assert max(map(len, text.splitlines()[1:])) <= 40
    assert {"first=L0:0", "second=L0:1", "third=L0:3", "following=L1:0", "last=L2:0"} <= set(text.split())


def test_find_says_how_many_were_left_out(run: Command) -> None:
    table = run("find", "find { a -> b } in toy", "--limit", "2")
    assert "2 of 9 circuits" in table.out
    assert "--limit brings more" in table.out
    rows = run("find", "find { a -> b } in toy", "--limit", "2", "--format", "csv")
    assert len(rows.csv) == 2
    assert "2 of 9 circuits" in rows.err
    quiet = run("find", "find { a -> b } in toy", "--limit", "2", "--quiet")
    assert "circuits" not in quiet.out
    assert "2 of 9 circuits" in quiet.err


def test_find_without_a_circuit_is_no_mistake(run: Command) -> None:
    outcome = run("find", 'find { a +> b } in toy where a.layer = "none"')
    assert outcome.code == 0
    assert outcome.out.startswith("no circuits")
    assert run("find", 'find { a +> b } in toy where a.layer = "none"', "--format", "json").json["circuits"] == []


def test_limit_wins_over_the_text(run: Command) -> None:
    for limit, expected in ((1, 1), (5, 5)):
        found = run("find", "find { a -> b } in toy limit 3", "--limit", str(limit), "--format", "json").json
        assert len(found["circuits"]) == expected
    assert len(run("find", "find { a -> b } in toy limit 3", "--format", "json").json["circuits"]) == 3


def test_a_limit_of_0_is_not_told_as_an_empty_result(run: Command) -> None:
    query = "find { a -> b; flip(a) -> flip(b) } in toy, cars"
    assert run("find", query).out.splitlines()[-1].startswith("2 circuits")
    assert "image" not in run("find", query, "--limit", "0").out
    assert "no unit of cars has an image under flip" in run("find", "find { a -> b; flip(a) } in cars", "-n", "0").out
    assert "no unit of cars has an image under flip" in run("count", "find { a -> b; flip(a) } in cars").err


def test_no_limit_is_too_small_or_too_large(run: Command) -> None:
    assert run("find", "find { a -> b } in toy", "--limit", "0").out.startswith("0 of 9 circuits")
    assert run("find", "find { a -> b } in toy limit 0").out.startswith("0 of 9 circuits")
    everything = run("find", "find { a -> b } in toy", "--limit", "9" * 30, "--format", "json").json
    assert (len(everything["circuits"]), everything["truncated"]) == (9, False)


@pytest.mark.parametrize("seconds", ["inf", "1e300"])
def test_a_search_may_take_as_long_as_it_likes(run: Command, seconds: str) -> None:
    outcome = run("find", "find { a -> b } in toy", "--seconds", seconds, "--format", "json")
    assert (len(outcome.json["circuits"]), outcome.err) == (9, "")
    assert run("count", "find { a -> b } in toy", "--seconds", seconds).out == "9\n"


def test_limits_that_are_none_are_refused_from_python(planted: Path) -> None:
    with circuitdb.open(str(planted)) as database:
        for wrong in ({"limit": -1}, {"seconds": 0}, {"seconds": float("nan")}):
            with pytest.raises(InputError, match=r"give 0 or more|give more than 0"):
                database.find("find { a -> b }", **wrong)


def test_parameters_are_maps_words_texts_and_numbers(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "told.motif"
    file.write_text(
        "motif told(T = flip, word = dog, least = 0) { a +> b where share >= least; T(a) = c; where a.label ~ word }"
    )

    def count(*settings: str) -> int:
        return int(run("count", str(file), "-m", "toy", *(part for s in settings for part in ("-p", s))).out)

    assert count() == 2
    assert count("T=flip", "word=left") == 1
    assert count('word="dog left"') == 1
    assert count("word = dog left", "least = 0.5") == 1
    assert count("T=rotate(90)") == count("T=rotate( 90 )") == 0
    assert count("least=1e0") == 0


def test_spaces_around_a_motifs_name_do_not_matter(run: Command) -> None:
    assert run("count", " union_over_cases ", "-m", "toy").out == run("count", "union_over_cases", "-m", "toy").out


def test_imports_are_relative_to_the_file(run: Command, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "strong.motif").write_text("motif strong(least = 0.5) { a -> b where strength >= least }")
    file = tmp_path / "chain.motif"
    file.write_text('import "parts/strong.motif"\nmotif chain { use strong(least = 0.75) as s; s.b -> c }')
    found = run("find", str(file), "-m", "toy", "--format", "json").json["circuits"]
    assert [circuit["units"] for circuit in found] == [
        {"s.a": "toy/L0:0", "s.b": "toy/L1:0", "c": "toy/L2:0"},
        {"s.a": "toy/L0:1", "s.b": "toy/L1:1", "c": "toy/L2:0"},
    ]
    file.write_text('import "none.motif"\nmotif chain { a -> b }')
    missing = run("find", str(file))
    assert missing.code == 2
    assert "none.motif" in missing.err.splitlines()[0]


def test_a_server_that_does_not_answer_is_one_sentence_and_a_failure(command: Command) -> None:
    outcome = command("find", "find { a +> b }", db="bolt://me:secret@127.0.0.1:1")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("no Neo4j server answers at bolt://127.0.0.1:1;")
    assert outcome.err.count("\n") == 1


def test_a_cluster_that_does_not_answer_is_one_sentence_without_lines_of_the_log_of_neo4j() -> None:
    command = [BIN / "circuitdb", "ls", "--db", "neo4j://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no Neo4j server answers at neo4j://127.0.0.1:1;")
    assert done.stderr.count("\n") == 1


def test_a_wrong_password_of_neo4j_is_one_sentence(command: Command, neo4j_address: str) -> None:
    host = neo4j_address.rpartition("@")[2]
    outcome = command("ls", db=f"bolt://neo4j:wrong@{host}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "refuses the password of user 'neo4j'" in outcome.err
    assert outcome.err.count("\n") == 1


def test_model_wins_over_the_text_and_may_be_repeated(run: Command) -> None:
    def models(*arguments: str) -> set[str]:
        found = run("find", "find { a -> b } in toy", *arguments, "--format", "json").json
        return {circuit["model"] for circuit in found["circuits"]}

    assert models() == {"toy"}
    assert models("--model", "cars") == {"cars"}
    assert models("-m", "cars", "-m", "toy") == {"cars", "toy"}


def test_a_file_is_searched_with_its_parameters(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "strong.motif"
    file.write_text('"""Strong edges."""\nmotif strong(least = 0.5) { a -> b where strength >= least }\n')
    assert run("count", str(file), "--model", "toy").out == "6\n"
    assert run("count", str(file), "--model", "toy", "--param", "least=0.75").out == "4\n"
    assert run("count", str(file), "--model", "toy", "-p", "least = 1").out == "2\n"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["find", "find { a +> b where shar > 1 }"], "did you mean share?"),
        (["find", "find { a +> "], "query:1:"),
        (["find", "find { a +> b } in toi"], "toy"),
        (["find", "find { a +> b }", "--model", "toi"], "did you mean toy?"),
        (["find", "no_such_motif"], "no motif 'no_such_motif' in the library"),
        (["find", "missing.motif"], "cannot read missing.motif"),
        (["find", "find { a +> b }", "--param", "k"], "NAME=VALUE"),
        (["find", "find { a +> b }", "--param", "k=1", "--param", "k=2"], "sets k twice"),
        (["find", "find { a +> b }", "--limit", "-1"], "--limit"),
        (["find", "find { a +> b }", "--seconds", "0"], "--seconds"),
        (["find", "superposition"], "superposition needs a value for feature"),
        (
            ["find", "superposition", "-p", "feature=car", "-p", "k=two"],
            "the parameter k takes a number, as its default is; the text two is not",
        ),
        (["find", "cross_inhibition", "-p", "min_share=.5"], "written as in JSON: 0.5"),
        (["find", "union_over_cases", "-p", "T=5"], "the parameter T takes a text or a map, as its default is; 5 is"),
        (["find", "union_over_cases(T = flip)"], "a search begins with find, as in find union_over_cases(…)"),
        (["find", "nofile.txt"], "cannot read nofile.txt: No such file"),
        (["find", "/tmp/nofile"], "cannot read /tmp/nofile: No such file"),
        (["count", "x.motiff"], "cannot read x.motiff: No such file"),
        (["find", "/tmp/"], "cannot read /tmp: Is a directory"),
        (["find", "union_over_cases", "-p", "T=bogus"], "which is no map"),
        (["find", "union_over_cases", "-p", "S=flip"], "has no parameter S; it has"),
        (["find", "cross_inhibition", "-p", "min_share=1e400"], "takes a number that is finite"),
        (["show", "9" * 5000], "is no unit"),
        (["explain", "find { a +> b }", "--format", "csv"], "--format json"),
        (["motifs", "no_such_motif"], "no motif 'no_such_motif' in the library"),
        (["motifs", "find"], f" and {len(library_files()) - 8} more"),
    ],
)
def test_a_mistake_in_a_question_gets_code_2_and_no_traceback(run: Command, arguments: list[str], answer: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert answer in outcome.err
    assert "Traceback" not in outcome.err


def test_a_mistake_in_a_file_is_told_with_file_line_and_caret(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "wrong.motif"
    file.write_text("motif wrong {\n  a +> b where shar > 1\n}\n")
    lines = run("find", str(file)).err.splitlines()
    assert lines[0].startswith(f"{file}:2:16: ")
    assert lines[2].index("^") == lines[1].index("shar")


def test_count_tells_the_number_whatever_the_limit(run: Command) -> None:
    assert run("count", "find { a -> b } in toy limit 2").out == "9\n"
    assert run("count", "find { a -> b } in toy", "--format", "json").json == {"count": 9}
    assert run("count", "find { a -> b } in toy", "--format", "csv").csv == [{"count": "9"}]


def test_explain_gives_the_json_of_the_design(run: Command) -> None:
    explained = run("explain", CROSSED, "--format", "json").json
    assert {"pattern", "cypher", "sql", "parameters", "predicates"} <= set(explained)
    assert explained["sql"].startswith("SELECT")
    assert len([row for row in explained["predicates"] if ">" in row["predicate"] or "|" in row["predicate"]]) == 6


def test_the_explained_sql_and_cypher_hold_no_value_of_the_query(run: Command) -> None:
    query = 'find { a +> b } in toy where a.label ~ "O\'Brien" and max(share) > 0.12345'
    explained = run("explain", query, "--format", "json").json
    for language in ("sql", "cypher"):
        assert "Brien" not in explained[language]
        assert "0.12345" not in explained[language]
        assert 0.12345 in explained["parameters"][language].values()


def test_explain_prints_pattern_sql_and_predicates_for_people(run: Command) -> None:
    text = run("explain", CROSSED).out
    for heading in ("pattern", "sql", "count", "parameters", "predicates"):
        assert f"{heading}\n" in text
    assert "left -| r" in text


def test_explain_tells_a_count_over_models_once_and_what_its_parameters_stand_for(run: Command) -> None:
    explained = run("explain", "find { a +> b -| c where share > 0.125 }").out
    counting = explained.partition("\ncount\n")[2]
    assert "one model after the other" in counting
    assert counting.count("AS INT128") == 1
    assert 'with {"p1": 1, "p2": 0.125}' in counting, "cars comes first, and was written second"


def test_motifs_lists_the_library_with_a_sentence_each_and_prints_a_motif(run: Command) -> None:
    listed = run("motifs", "--format", "json").json["motifs"]
    assert {"car", "cross_inhibition", "equivariance", "superposition", "union_over_cases", "universal"} <= {
        row["name"] for row in listed
    }
    assert [row["name"] for row in listed] == [path.stem for path in library_files()]
    assert all(row["about"] for row in listed)
    for row in listed:
        text = run("motifs", row["name"]).out
        assert f"motif {row['name']}" in text
