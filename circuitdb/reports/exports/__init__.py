"""Exports: what a search found, or whole models, as files that other tools open; the ending says which form.

`export_circuits` takes `Circuits`, `export_models` a database and names. Each form is a module of its own; a file or
folder is written whole or not at all, and equal content gives equal bytes. `docs/exports.md` describes the forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from circuitdb.errors import InputError
from circuitdb.files import whole_file, whole_folder
from circuitdb.reports.exports.csv_form import csv_form
from circuitdb.reports.exports.cypher import cypher_form
from circuitdb.reports.exports.dot import dot_form
from circuitdb.reports.exports.gexf import gexf_form
from circuitdb.reports.exports.graphml import models_graphml, subgraph_graphml
from circuitdb.reports.exports.json_form import json_form
from circuitdb.reports.exports.neuronpedia import neuronpedia_form
from circuitdb.reports.exports.npz import write_npz
from circuitdb.reports.exports.parquet import write_models, write_subgraph
from circuitdb.reports.exports.subgraph import Subgraph, subgraph_of
from circuitdb.transfer import canonical

if TYPE_CHECKING:
    from circuitdb.circuits import Circuits
    from circuitdb.database import Database

_TEXTS: dict[str, Callable[[Subgraph], Iterable[str]]] = {
    ".json": json_form,
    ".csv": csv_form,
    ".graphml": subgraph_graphml,
    ".gexf": gexf_form,
    ".cypher": cypher_form,
    ".dot": dot_form,
    ".neuronpedia.json": neuronpedia_form,
}
"""The forms of a search that are text, in pieces, by ending."""
OF_CIRCUITS = (*_TEXTS, ".parquet", ".npz")
OF_MODELS = (".json", ".parquet", ".graphml")


def ending(out: Path, known: Sequence[str]) -> str:
    """The ending that says the form, the longest that fits.

    Raises
    ------
    InputError
        If there is none; those that there are, are told.
    """
    fitting = [form for form in known if out.name.lower().endswith(form)]
    if not fitting:
        raise InputError(f"the ending of {out.name[:80]!r} is none of {', '.join(known)}, which say the form")
    return max(fitting, key=len)


def export_circuits(circuits: Circuits, out: Path) -> None:
    """Write what a search found.

    Parameters
    ----------
    circuits
        The circuits; they may be none.
    out
        The file, or for `.parquet` the folder.

    Raises
    ------
    InputError
        If the ending says no form, or the form cannot hold the content.
    CircuitdbError
        If it cannot be written.
    """
    form = ending(out, OF_CIRCUITS)
    found = subgraph_of(circuits)
    match form:
        case ".parquet":
            with whole_folder(out) as folder:
                write_subgraph(found, folder)
        case ".npz":
            with whole_file(out) as file:
                write_npz(found, file)
        case _:
            _write_text(out, _TEXTS[form](found))


def export_models(database: Database, names: Sequence[str], out: Path) -> None:
    """Write whole models, and the analogues between them, one model at a time where the form allows.

    Parameters
    ----------
    database
        Where they are.
    names
        The models.
    out
        The file, or for `.parquet` the folder.

    Raises
    ------
    InputError
        If the ending says no form, there is no such model, or the form cannot hold the content.
    CircuitdbError
        If it cannot be written.
    """
    form = ending(out, OF_MODELS)
    names = list(dict.fromkeys(database.model(name)["name"] for name in names))
    graphs = (canonical(database.graph(name)) for name in names)
    match form:
        case ".parquet":
            with whole_folder(out) as folder:
                write_models(graphs, database.analogues(names), folder)
        case ".graphml":
            _write_text(out, models_graphml(graphs, database.analogues(names)))
        case _:
            _write_text(out, database.document_text(names))


def _write_text(out: Path, text: Iterable[str]) -> None:
    with whole_file(out) as file, file.open("w", encoding="utf-8", newline="\n") as writing:
        writing.writelines(text)
