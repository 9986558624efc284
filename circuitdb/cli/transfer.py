"""The commands that move whole graphs: import, export, push."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from circuitdb.cli.options import (
    DEFAULT_DATABASE,
    DatabaseOption,
    Format,
    FormatOption,
    LimitOption,
    ModelOption,
    ParameterOption,
    QuietOption,
    SecondsOption,
    examples,
)
from circuitdb.cli.search import read_parameters
from circuitdb.errors import InputError

ModelsOption = Annotated[list[str] | None, typer.Option("--model", "-m", metavar="MODEL", help="Only these models.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("import", epilog=examples("circuitdb import graph.json --replace", "circuitdb import zoo.parquet"))(
        import_file
    )
    app.command(
        epilog=examples(
            "circuitdb export cross_inhibition --model inceptionv1 -o hits.graphml",
            "circuitdb export --graph inceptionv1 -o inceptionv1.json",
            "circuitdb export all -o zoo.parquet",
            "circuitdb export --neo4j-admin import-folder",
        )
    )(export)
    app.command(epilog=examples("circuitdb push neo4j://localhost:7687", "circuitdb push zoo.duckdb --model vgg16"))(
        push
    )


def import_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.json|FOLDER", help="A document in the exchange form, or a folder of its tables."),
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Put its models in the place of those there.")] = False,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Bring in a graph that was exported, or made by another tool; docs/exchange.md describes the form."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    document = None if file.is_dir() else _read_json(file)
    with Database(db) as database:
        with output.bar(quiet) as progress:
            if document is None:
                models = database.import_folder(file, replace=replace, progress=progress)
            else:
                models = database.import_document(document, replace=replace, progress=progress)
        rows = [row for row in database.models() if row["name"] in models]
    written = [{"model": r["name"], "layers": len(r["layers"]), "edges": r["edges"]} for r in rows]
    output.write_rows(format, quiet, "models", written)


def export(
    query: Annotated[
        str | None,
        typer.Argument(metavar="[MOTIF|QUERY|FILE|all]", help="What to search for; all: every model, whole."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The file to write; its ending says the form."),
    ] = None,
    graph: Annotated[
        list[str] | None, typer.Option("--graph", metavar="MODEL", help="A whole model; may be given several times.")
    ] = None,
    neo4j_admin: Annotated[
        Path | None,
        typer.Option("--neo4j-admin", metavar="FOLDER", help="Files for Neo4j's offline importer, and its command."),
    ] = None,
    model: ModelOption = None,
    param: ParameterOption = None,
    limit: LimitOption = None,
    seconds: SecondsOption = 60.0,
    db: DatabaseOption = DEFAULT_DATABASE,
    quiet: QuietOption = False,
) -> None:
    """Write the circuits that fit a motif, or whole models, as a file for other tools; see docs/exports.md."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    whole = bool(graph) or query == "all"
    if graph and query is not None:
        raise InputError(f"{query!r} and --graph exclude each other; leave one of them out")
    if (out is None) == (neo4j_admin is None) or (out is not None and (query is None) == (not graph)):
        raise InputError("say what to write: QUERY -o FILE, --graph MODEL -o FILE.json, or --neo4j-admin FOLDER")
    with Database(db) as database:
        names = list(dict.fromkeys(graph or model or ())) or [row["name"] for row in database.models()]
        if neo4j_admin is not None:
            from circuitdb.backends.neo4j.admin_export import export_for_admin

            exported = export_for_admin((database.graph(name) for name in names), neo4j_admin)
            output.remark(f"{', '.join(exported.models)} written to {neo4j_admin}; import them there with:")
            print(exported.command)
        elif out is not None and whole:
            from circuitdb.reports.exports import export_models

            export_models(database, names, out)
            if not quiet:
                output.remark(f"{', '.join(names)} written to {out}")
        elif out is not None and query is not None:
            from circuitdb.reports.exports import OF_CIRCUITS, ending, export_circuits

            ending(out, OF_CIRCUITS)
            parameters: dict[str, Any] = read_parameters(param or [])
            with output.patience("searching", quiet):
                found = database.find(query, model=model, limit=limit, seconds=seconds, **parameters)
            export_circuits(found, out)
            if not quiet:
                of_all = f" of {'more' if found.total is None else format(found.total, ',')}" * found.truncated
                noun = "circuit" if len(found) == 1 and not found.truncated else "circuits"
                output.remark(f"{len(found):,}{of_all} {noun} written to {out}", *found.remarks)


def push(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The database to copy to.")],
    model: ModelsOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace models that differ there.")] = False,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Copy models to another database and compare what arrived; run it again after an interruption."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    with Database(db) as database, output.bar(quiet) as progress:
        copied = database.push(address, model, replace=replace, progress=progress)
    rows: list[dict[str, Any]] = [
        {
            "model": c.model,
            "units": c.units,
            "edges": c.edges,
            "was_there": c.was_there,
            "checksum": c.checksum if format is not Format.TABLE else c.checksum[:12],
        }
        for c in copied
    ]
    output.write_rows(format, quiet, "models", rows)


def _read_json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not text in UTF-8") from None
    except RecursionError:
        raise InputError(f"{file} is nested too deep") from None
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}") from None
