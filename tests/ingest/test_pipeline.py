"""An ingest writes a whole model or nothing, and says what it wrote."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import circuitdb
from circuitdb.backends import open_store
from circuitdb.backends.base import ModelGraph
from circuitdb.cli import main
from circuitdb.errors import InputError
from ingest.architectures.handwritten import LABELS
from ingest.pipeline import ingest_model

CIRCUITDB = str(Path(sys.executable).with_name("circuitdb"))

NETWORKS = '''
import torch
from torch import nn

EXAMPLE_SHAPE = (1, 3, 24, 24)
PREPROCESSING = {"channels": "RGB", "size": [24, 24]}


def small():
    """Two layers, 8 and 6 units, of known weights."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU())


class branching(nn.Sequential):
    def forward(self, x):
        y = super().forward(x)
        return y.relu() if y.sum() > 0 else y

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3))


class attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        y = self.second(self.first(x).relu()).relu().flatten(2).transpose(1, 2)
        return self.mix(y, y, y)[0]


class multiplying(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.last(self.one(x) * self.other(x))


def wide():
    return nn.Sequential(nn.Conv2d(3, 512, 3), nn.ReLU(), nn.Conv2d(512, 512, 3), nn.ReLU())
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a module of networks."""
    (tmp_path / "small_networks.py").write_text(NETWORKS)
    (tmp_path / "shapeless.py").write_text("EXAMPLE_SHAPE = 224\nfrom torch.nn import Identity as build\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    return tmp_path


def read(db: Path, model: str) -> ModelGraph:
    store = open_store(str(db))
    try:
        return store.read(model)
    finally:
        store.close()


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command within this process, which has torch loaded already."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["circuitdb", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def process(*arguments: object, environment: dict[str, str] | None = None) -> Ran:
    """Run the command as users do."""
    ran = subprocess.run(
        [CIRCUITDB, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | (environment or {}),
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_the_weights_of_a_network_come_back_from_the_store_as_edges(here: Path) -> None:
    summary = ingest_model("small_networks:small", db="a.duckdb", keep="all")
    graph = read(here / "a.duckdb", "small")
    torch.manual_seed(0)
    weight = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))[2].weight.detach().numpy()
    assert (summary.layers, summary.units, summary.edges) == (2, 14, 48)
    assert summary.energy_kept == pytest.approx(1)
    found = np.full((6, 8, 3, 3), np.nan)
    for edge in graph.edges.to_pylist():
        found[edge["target"] - 8, edge["source"]] = np.reshape(edge["kernel"], (3, 3))
    np.testing.assert_allclose(found, weight, rtol=1e-6)


def test_the_record_says_what_was_ingested_and_how(here: Path) -> None:
    state = torch.nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3)).state_dict()
    torch.save(state, here / "w.pth")
    ingest_model(
        "small_networks:small", weights=str(here / "w.pth"), db="a.duckdb", name="mine", keep="top4", seed=3, dense=True
    )
    record = read(here / "a.duckdb", "mine").model
    assert record["name"] == "mine"
    assert record["architecture"] == "small_networks:small"
    assert record["source"] == "w.pth"
    assert record["weights_sha256"] == hashlib.sha256((here / "w.pth").read_bytes()).hexdigest()
    assert record["preprocessing"] == {"channels": "RGB", "size": [24, 24]}
    assert record["keep"] == "top4"
    assert record["absent"] == []
    assert record["circuitdb_version"] == circuitdb.__version__
    assert isinstance(record["options"], dict)
    assert record["options"]["seed"] == 3
    assert record["options"]["dense"] is True
    assert str(here) not in json.dumps(record)


def test_a_model_that_is_there_is_refused_before_any_work(here: Path) -> None:
    ingest_model("small_networks:small", db="a.duckdb")
    with pytest.raises(InputError, match=r"there is a model 'small' in a\.duckdb; --replace"):
        ingest_model("small_networks:small", weights="no_such_file.pth", db="a.duckdb")


def test_replace_puts_a_model_in_the_place_of_one_of_that_name(here: Path) -> None:
    ingest_model("small_networks:small", db="a.duckdb", keep="top1")
    again = ingest_model("small_networks:small", db="a.duckdb", keep="all", replace=True)
    assert again.edges == 48
    store = open_store("a.duckdb")
    assert [(model["name"], model["edges"]) for model in store.models()] == [("small", 48)]


def test_progress_tells_every_stage_and_ends_each_at_its_end(here: Path) -> None:
    told: list[tuple[str, int, int]] = []
    summary = ingest_model("small_networks:small", db="a.duckdb", progress=lambda *step: told.append(step))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[0] == "reading"
    assert stages[-1] == "writing"
    for stage in stages:
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]
    assert set(summary.stages) == {"reading", "expanding", "writing"}
    assert sum(summary.stages.values()) <= summary.seconds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small_networks:small", "--name", "a/b"], "model name 'a/b' must not be empty and must not hold '/'"),
        (["small_networks:small", "--keep", "best32"], "best32"),
        (["small_networks:small", "--layers", "7"], "7"),
        (["small_networks:small", "--weights", "nan.pth"], "0.weight in nan.pth holds 1 NaN or infinite values of 216"),
        (["small_networks:small", "--weights", "other.pth"], "4 of 4 tensors are missing, first '0.weight'"),
        (["small_networks:small", "--weights", "shape.pth"], "'0.weight' in shape.pth has the shape 7x3x3x3 where the"),
        (["small_networks:branching"], "reads numbers out of the data"),
        (["small_networks:attending"], "multi_head_attention_forward in module mix cannot be read: attention is not"),
        (["small_networks:multiplying"], "mul in the network itself cannot be read: it is a product of two maps"),
        (["shapeless:build"], "EXAMPLE_SHAPE"),
        (["small_networks:none"], "small_networks has no function 'none'"),
        (["small_networks:small", "--db", "no/folder/a.duckdb"], "there is no folder"),
        (["small_networks:small", "--db", "text.duckdb"], "text.duckdb is not a DuckDB database"),
        (["small_networks:small", "--db", "."], "is a folder"),
    ],
)
def test_bad_input_is_one_sentence_with_exit_code_2_and_loses_nothing(
    here: Path, command: Callable[..., Ran], arguments: list[str], message: str
) -> None:
    state = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3)).state_dict()
    broken = state["0.weight"].clone()
    broken[0, 0, 0, 0] = torch.nan
    torch.save(state | {"0.weight": broken}, here / "nan.pth")
    torch.save({"a.weight": torch.ones(2)}, here / "other.pth")
    torch.save(state | {"0.weight": torch.ones(7, 3, 3, 3)}, here / "shape.pth")
    (here / "text.duckdb").write_text("this is no database, however long it may be" * 1000)
    before = {file.name: file.read_bytes() for file in here.iterdir() if file.is_file()}
    ran = command("ingest", *arguments)
    assert ran.code == 2
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
    assert {file.name: file.read_bytes() for file in here.iterdir() if file.is_file()} == before


def test_a_full_disk_is_one_sentence_with_exit_code_1_and_the_file_is_as_it_was(here: Path) -> None:
    ingest_model("small_networks:small", db="a.duckdb")
    before = (here / "a.duckdb").read_bytes()
    limit = len(before) + 100_000

    ran = subprocess.run(
        [CIRCUITDB, "ingest", "small_networks:wide", "--db", "a.duckdb"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        check=False,
    )
    assert ran.returncode == 1
    assert "the disk is full; nothing was changed" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [model["name"] for model in open_store("a.duckdb").models()] == ["small"]
    graph = read(here / "a.duckdb", "small")
    assert graph.edges.num_rows == 48


def test_a_place_that_cannot_be_written_is_one_sentence_with_exit_code_1(command: Callable[..., Ran]) -> None:
    if not Path("/sys/kernel").is_dir():
        pytest.skip("there is no /sys, in which nobody can make files")
    ran = command("ingest", "handwritten", "--db", "/sys/kernel/a.duckdb")
    assert ran.code == 1
    assert "permission denied" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_layers_are_chosen_by_module_path_or_by_the_name_they_are_shown_under(tmp_path: Path) -> None:
    db = tmp_path / "a.duckdb"
    ingest_model("squeezenet1_1", weights="random", db=str(db), layers=["fire2", "features.4"], keep="top1")
    layers = read(db, "squeezenet1_1").layers.to_pylist()
    assert [(row["name"], row["module"]) for row in layers] == [("fire2", "features.3"), ("fire3", "features.4")]


def test_a_layer_whose_weights_the_file_lacks_cannot_be_chosen(
    weights_file: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has no weights for the layer 'fc6'"):
        ingest_model(
            "alexnet", weights=str(weights_file("alexnet")), db=str(tmp_path / "a.duckdb"), layers=["conv5", "fc6"]
        )


def test_labels_of_handwritten_networks_go_in_with_them(tmp_path: Path) -> None:
    db = tmp_path / "a.duckdb"
    ingest_model("handwritten", db=str(db))
    graph = read(db, "handwritten")
    assert graph.labels is not None
    places = list(zip(graph.units["layer"].to_pylist(), graph.units["index"].to_pylist(), strict=True))
    found = [(*places[row["unit"]], row["label"]) for row in graph.labels.to_pylist()]
    assert sorted(found) == sorted(LABELS["handwritten"])
    assert set(graph.labels["source"].to_pylist()) == {"handwritten"}


def test_the_command_prints_one_json_object_and_nothing_else(here: Path) -> None:
    ran = process("ingest", "small_networks:small", "--db", "a.duckdb", "--format", "json")
    assert ran.code == 0
    assert ran.stderr == ""
    summary = json.loads(ran.stdout)
    assert (summary["model"], summary["layers"], summary["units"], summary["edges"]) == ("small", 2, 14, 48)
    assert summary["size_bytes"] == (here / "a.duckdb").stat().st_size
    assert summary["absent"] == []


@pytest.mark.usefixtures("here")
def test_the_command_prints_a_table_and_csv(command: Callable[..., Ran]) -> None:
    table = command("ingest", "small_networks:small", "--db", "a.duckdb")
    assert table.stdout.split("\n")[0].split() == [
        "model",
        "layers",
        "units",
        "edges",
        "energy",
        "kept",
        "seconds",
        "size",
    ]
    assert table.stdout.split("\n")[1].split()[:5] == ["small", "2", "14", "48", "100%"]
    rows = command("ingest", "small_networks:small", "--db", "a.duckdb", "--format", "csv", "--replace")
    [row] = csv.DictReader(io.StringIO(rows.stdout))
    assert (row["model"], row["edges"]) == ("small", "48")


@pytest.mark.usefixtures("here")
def test_a_terminal_shows_the_progress_of_each_stage() -> None:
    master, slave = pty.openpty()
    arguments = [CIRCUITDB, "ingest", "small_networks:small", "--db", "a.duckdb"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=slave) as running:
        os.close(slave)
        written = b""
        with suppress(OSError):  # Linux says so when the other end is closed.
            while part := os.read(master, 4096):
                written += part
    os.close(master)
    assert running.returncode == 0
    assert all(stage in written for stage in (b"reading", b"expanding", b"writing"))


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_without_the_extra_the_command_says_what_to_install(package: str, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['circuitdb', 'ingest', 'inceptionv1', "
        f"'--weights', 'random', '--db', {str(tmp_path / 'a.duckdb')!r}]; from circuitdb.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    expected = f"ingesting needs {package}, which is not installed; run: pip install 'neural-circuitdb[ingest]'\n"
    assert ran.stderr == expected


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            'raise RuntimeError("operator torchvision::nms does not exist")',
            "torchvision does not match torch (operator torchvision::nms does not exist",
        ),
        ('raise ModuleNotFoundError("No module", name="torchvision")', "ingesting needs torchvision, which is not"),
    ],
)
def test_a_torchvision_that_cannot_be_imported_is_one_sentence(tmp_path: Path, failure: str, message: str) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(failure)
    database = tmp_path / "a.duckdb"
    ran = process(
        "ingest", "resnet18", "--weights", "random", "--db", database, environment={"PYTHONPATH": str(tmp_path)}
    )
    assert ran.code == 1
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not database.exists()
