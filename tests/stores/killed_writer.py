"""A process that writes, replaces, probes or deletes models and is killed on the way; run by test_durability.py.

Arguments: the database's path. Each line of input is `ACTION SEED DELAY`: the action is done by a child process that
is killed DELAY seconds after it began to change the file (`-`: never; `start:DELAY`: after it was started). Each line
of output is `killed`, or `finished SECONDS` if the kill came too late.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa

from circuitdb.backends.base import ModelGraph, Responses
from circuitdb.backends.duckdb.store import DuckDBStore
from circuitdb.backends.validation import checked
from tests.graphs import edge_table, random_responses


@cache
def large_graph(seed: int) -> ModelGraph:
    """A model named `large` of 40,000 edges with kernels."""
    rng = np.random.default_rng(seed)
    source, target = np.divmod(np.arange(200 * 200), 200)
    count = len(source)
    kernels = rng.normal(size=(count, 9)).astype(np.float32)
    weight = kernels.sum(axis=1, dtype=np.float64)
    empty = np.zeros(0, dtype=np.int64)
    columns = edge_table(empty, empty, empty.astype(bool), np.zeros(0), np.zeros(0)).schema
    values = {
        "source": source,
        "target": target + 200,
        "kind": np.where(weight < 0, "INHIBITS", "EXCITES").tolist(),
        "weight": weight,
        "strength": np.sqrt((kernels.astype(np.float64) ** 2).sum(axis=1)),
        "share": rng.random(count),
        "rank_in": np.ones(count),
        "rank_out": np.ones(count),
    }
    edges = pa.table({name: pa.array(values[name]).cast(columns.field(name).type) for name in columns.names})
    edges = edges.append_column("kernel", pa.FixedSizeListArray.from_arrays(pa.array(kernels.ravel()), 9))
    for side in ("kernel_h", "kernel_w"):
        edges = edges.append_column(side, pa.array(np.full(count, 3, dtype=np.int32)))
    return ModelGraph(
        {"name": "large", "source": f"seed {seed}"},
        pa.table({"name": ["a", "b"], "depth": pa.array([0, 1], pa.int32())}),
        pa.table({"layer": ["a"] * 200 + ["b"] * 200, "index": pa.array([*range(200), *range(200)], pa.int32())}),
        edges,
    )


@cache
def large_responses(seed: int) -> Responses:
    """What the units of `large_graph` do on probes, told apart by the name of the probes."""
    rng = np.random.default_rng(seed)
    graph = checked(large_graph(0))
    return replace(
        random_responses(rng, graph, pictures=500, numbers=32), probes={"name": f"seed {seed}", "sha256": "0"}
    )


def act(path: str, action: str, seed: int, report: int) -> None:
    """Do one action; write into the pipe `report` a byte when the file is being changed, the seconds at the end."""
    store = DuckDBStore(path)
    start = 0.0

    def begin() -> None:
        nonlocal start
        start = time.perf_counter()
        os.write(report, b"!")

    def progress(stage: str, done: int, total: int) -> None:
        if done == 0:
            begin()

    if action == "delete":
        begin()
        store.delete("large")
    elif action == "probe":
        responses = large_responses(seed)
        begin()
        store.write_responses("large", responses)
    else:
        store.write(large_graph(seed), replace=action == "replace", progress=progress)
    os.write(report, str(time.perf_counter() - start).encode())


def main() -> None:
    path = sys.argv[1]
    for line in sys.stdin:
        action, seed, delay = line.split()
        (large_responses if action == "probe" else large_graph)(int(seed))
        reported, report = os.pipe()
        child = os.fork()
        if child == 0:
            act(path, action, int(seed), report)
            os._exit(0)
        os.close(report)
        if not delay.startswith("start:"):
            os.read(reported, 1)
        if delay != "-":
            time.sleep(float(delay.removeprefix("start:")))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        seconds = os.read(reported, 100).decode().removeprefix("!")
        os.close(reported)
        if seconds:  # The action was done, wherever the kill met the process after that.
            print(f"finished {seconds}", flush=True)
        else:
            print("killed" if os.WIFSIGNALED(status) else "failed", flush=True)


if __name__ == "__main__":
    main()
