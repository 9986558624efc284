"""Stop-watch and scales: the best time of several ways in turn, and functions in a process of their own.

In come functions, out come seconds and mebibytes. Ways that are compared run one after the other in every round, so
that a slow moment of the machine meets them all.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def best_of(ways: Mapping[str, Callable[[], Any]], rounds: int, warm: bool = True) -> dict[str, float]:
    """Seconds of each way in its best round; `warm`: a first round does not count."""
    best = dict.fromkeys(ways, float("inf"))
    for place in range(rounds + warm):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken = time.perf_counter() - started
            if place >= warm:
                best[name] = min(best[name], taken)
    return best


def once(way: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the seconds that it took."""
    started = time.perf_counter()
    result = way()
    return result, time.perf_counter() - started


@dataclass(frozen=True)
class Apart:
    """What came of a function in a process of its own.

    seconds: from the start of the process to its end, Python's own start and imports included. peak_mib: its largest
    resident memory. timed_out: it was stopped before it ended, and `result` is None.
    """

    result: Any
    seconds: float
    peak_mib: float
    timed_out: bool = False


def apart(module: str, function: str, *arguments: Any, most_seconds: float | None = None) -> Apart:
    """Call a function of a module in a process of its own; arguments and result are JSON."""
    command = [sys.executable, "-m", "benchmarks.measuring", module, function, json.dumps(arguments)]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=most_seconds, cwd=Path(__file__).parents[1]
        )
    except subprocess.TimeoutExpired:
        return Apart(None, time.perf_counter() - started, 0.0, True)
    taken = time.perf_counter() - started
    answer = json.loads(done.stdout.splitlines()[-1])
    return Apart(answer["result"], taken, answer["peak_mib"])


def peak_mib() -> float:
    """The largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would count the parent's memory at the time of the fork.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _main() -> None:
    module, function, arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    print(json.dumps({"result": result, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    _main()
