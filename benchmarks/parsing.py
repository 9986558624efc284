"""Parsing: 320 lines of motifs, beside Python's own parser on as many lines of Python, for scale.

Descriptions, comments and empty lines are taken out on both sides. The grammar's tables are built once a process; that
time is a row of its own.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import re

from benchmarks.measuring import best_of, once
from benchmarks.table import Row, Section, seconds
from circuitdb.language import parser
from circuitdb.language.diagnostics import Source
from circuitdb.language.library import library_files

LINES = 320
MOST_SECONDS = 0.025


def motif_lines() -> str:
    """The library's motifs over and over; the last one is whole."""
    texts = [path.read_text(encoding="utf-8") for path in library_files()]
    motifs = [re.sub(r'"""[\s\S]*?"""|#[^\n]*', "", text).split("\n") for text in texts]
    lines: list[str] = []
    for motif in itertools.cycle(motifs):
        lines += [line for line in motif if line.strip()]
        if len(lines) >= LINES:
            return "\n".join(lines)
    raise AssertionError


def python_lines(number: int) -> str:
    """Whole definitions of a module of the standard library, about as many lines."""
    lines: list[str] = []
    for statement in ast.parse(inspect.getsource(argparse)).body:
        lines += ast.unparse(statement).split("\n")
        if len(lines) >= number:
            break
    return "\n".join(line for line in lines if line.strip())


def section() -> Section:
    """The rows of this benchmark."""
    text = motif_lines()
    source = Source("motifs", text)
    number = text.count("\n") + 1
    python = python_lines(number)
    python_number = python.count("\n") + 1
    _, building = once(parser._lark)
    best = best_of({"motifs": lambda: parser.parse(source), "python": lambda: ast.parse(python)}, rounds=20)
    taken, other = best["motifs"] * LINES / number, best["python"] * LINES / python_number
    aim = f"≤ {seconds(MOST_SECONDS)}"
    rows = (
        Row(
            f"{LINES} lines",
            seconds(taken),
            f"ast.parse {seconds(other)}",
            f"{taken / other:.1f}×",
            aim,
            taken <= MOST_SECONDS,
        ),
        Row("building the grammar's tables, once", seconds(building)),
    )
    return Section("Parsing motifs", rows)
