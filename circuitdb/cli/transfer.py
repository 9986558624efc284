"""The commands that move whole graphs: import, export, push."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from circuitdb.cli.options import DEFAULT_DATABASE, DatabaseOption, Format, FormatOption, QuietOption, examples
from circuitdb.errors import CircuitdbError, InputError

ModelsOption = Annotated[list[str] | None, typer.Option("--model", metavar="MODEL", help="Only these models.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("import", epilog=examples("circuitdb import graph.json", "circuitdb import graph.json --replace"))(
        import_file
    )
    app.command(
        epilog=examples(
            "circuitdb export --graph inceptionv1 -o inceptionv1.json", "circuitdb export --neo4j-admin import-folder"
        )
    )(export)
    app.command(epilog=examples("circuitdb push neo4j://localhost:7687", "circuitdb push zoo.duckdb --model vgg16"))(
        push
    )


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A document in the exchange form.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put its models in the place of those there.")] = False,
    db: DatabaseOption = DEFAULT_DATABASE,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Bring in a graph that was exported, or made by another tool; docs/exchange.md describes the form."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    document = _read_json(file)
    with Database(db) as database:
        with output.bar(quiet) as progress:
            models = database.import_document(document, replace=replace, progress=progress)
        rows = [row for row in database.models() if row["name"] in models]
    written = [{"model": r["name"], "layers": len(r["layers"]), "edges": r["edges"]} for r in rows]
    output.write_rows(format, quiet, "models", written)


def export(
    graph: Annotated[
        list[str] | None, typer.Option("--graph", metavar="MODEL", help="A whole model; may be given several times.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="The file to write.")] = None,
    neo4j_admin: Annotated[
        Path | None,
        typer.Option("--neo4j-admin", metavar="FOLDER", help="Files for Neo4j's offline importer, and its command."),
    ] = None,
    db: DatabaseOption = DEFAULT_DATABASE,
    quiet: QuietOption = False,
) -> None:
    """Write whole models to a file, or to a folder for Neo4j's offline importer."""
    from circuitdb.cli import output
    from circuitdb.database import Database

    if (out is None) == (neo4j_admin is None) or (out is not None and not graph):
        raise InputError("say what to write: --graph MODEL -o FILE.json, or --neo4j-admin FOLDER")
    with Database(db) as database:
        names = list(dict.fromkeys(graph)) if graph else [row["name"] for row in database.models()]
        if neo4j_admin is not None:
            from circuitdb.backends.neo4j.admin_export import export_for_admin

            exported = export_for_admin((database.graph(name) for name in names), neo4j_admin)
            output.remark(f"{', '.join(exported.models)} written to {neo4j_admin}; import them there with:")
            print(exported.command)
        elif out is not None:
            write_whole(out, database.document_text(names))
            if not quiet:
                output.remark(f"{', '.join(names)} written to {out}")


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


def write_whole(file: Path, text: Iterable[str]) -> None:
    """Write a text file, given in pieces, whole or not at all.

    Raises
    ------
    CircuitdbError
        If it cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as writing:
            writing.writelines(text)
        unfinished.replace(file)
    except OSError as error:
        raise CircuitdbError(f"cannot write {file}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
