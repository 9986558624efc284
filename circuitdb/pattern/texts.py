"""Texts with motifs in them: the query's own, what it imports, and the library.

`load` parses a text and everything it imports, and returns a `Text` that answers which motif a name means there: its
own, then an imported one, then the library's, whose files are read when they are first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from circuitdb.language import syntax as s
from circuitdb.language.diagnostics import Diagnostic, MotifError, Source, nearest_names
from circuitdb.language.library import library_files
from circuitdb.language.parser import LONGEST_TEXT, parse

MOST_IMPORTS = 20


@dataclass(frozen=True)
class KnownMotif:
    """A motif and the text in which it stands."""

    motif: s.Motif
    text: Text


@dataclass(frozen=True)
class Text:
    """A parsed text and the motifs that its imports bring."""

    source: Source
    program: s.Program
    imported: tuple[KnownMotif, ...]

    def own(self) -> tuple[KnownMotif, ...]:
        """The motifs that stand in the text itself."""
        return tuple(KnownMotif(motif, self) for motif in self.program.motifs)

    def names(self) -> list[str]:
        """Every motif that the text can name."""
        return [known.motif.name.name for known in (*self.own(), *self.imported)] + [
            path.stem for path in library_files()
        ]

    def motif(self, name: s.Identifier) -> KnownMotif:
        """The motif that a name means in this text.

        Raises
        ------
        MotifError
            If there is none.
        """
        for known in (*self.own(), *self.imported):
            if known.motif.name.name == name.name:
                return known
        for path in library_files():
            if path.stem == name.name:
                return next(known for known in _library_text(path).own() if known.motif.name.name == name.name)
        raise MotifError(
            Diagnostic(
                "unknown-motif",
                f"there is no motif called {name.name}",
                self.source,
                name.span,
                ("`circuitdb motifs` lists the library",),
                nearest_names(name.name, self.names()),
            )
        )


def load(source: Source, folder: Path) -> Text:
    """Parse a text and what it imports; paths are relative to the folder of the text that imports.

    Raises
    ------
    MotifError
        Where a text has a mistake, a file cannot be read, imports run in a circle, or a motif is defined twice.
    """
    return _load(source, folder, (), {})


def _load(source: Source, folder: Path, importing: tuple[Path, ...], loaded: dict[Path, Text]) -> Text:
    program = parse(source)
    seen: dict[str, s.Motif] = {}
    for motif in program.motifs:
        if motif.name.name in seen:
            raise MotifError(
                Diagnostic("motif-twice", f"the motif {motif.name.name} is defined twice", source, motif.name.span)
            )
        seen[motif.name.name] = motif
    imported: list[KnownMotif] = []
    for line in program.imports:
        path, text = _read(folder, line, source)
        if path in importing:
            circle = " -> ".join(p.name for p in (*importing[importing.index(path) :], path))
            raise MotifError(Diagnostic("import-circle", f"imports run in a circle: {circle}", source, line.span))
        if len(importing) >= MOST_IMPORTS:
            message = f"more than {MOST_IMPORTS} files import one another in a row"
            raise MotifError(Diagnostic("too-deep", message, source, line.span))
        if path not in loaded:
            loaded[path] = _load(Source(line.path, text), path.parent, (*importing, path), loaded)
        inner = loaded[path]
        imported += [*inner.own(), *inner.imported]
    return Text(source, program, tuple({id(known.motif): known for known in imported}.values()))


def _read(folder: Path, line: s.Import, source: Source) -> tuple[Path, str]:
    """The path and text of an imported file."""
    try:
        path = (folder / line.path).resolve()
        if path.exists() and not path.is_file():
            raise ValueError
        with path.open(encoding="utf-8-sig") as file:
            return path, file.read(LONGEST_TEXT + 1)
    except OSError as error:
        reason = (error.strerror or "no such file").lower()
    except UnicodeDecodeError:
        reason = "not text in UTF-8"
    except ValueError:
        reason = "not a file"
    message = f"cannot read {line.path}: {reason}"
    raise MotifError(Diagnostic("import-unreadable", message, source, line.span))


@cache
def _library_text(path: Path) -> Text:
    return _load(Source(path.name, path.read_text(encoding="utf-8")), path.parent, (path.resolve(),), {})
