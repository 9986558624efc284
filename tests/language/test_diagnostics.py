"""Every message that a mistake in a text can bring, as users read it: `wrong_inputs.txt` holds text and message.

An entry is `=== what is wrong`, perhaps lines of circumstances (`% file NAME: TEXT`, `% parameter NAME: VALUE`,
`% models NAME`, `% made NAME` for a text that is too long to be written down), the text, `--- CODE` and the message.
`CIRCUITDB_UPDATE_GOLDEN=1` writes the codes and messages anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import circuitdb
from circuitdb.errors import InputError
from circuitdb.language.diagnostics import MotifError
from circuitdb.pattern.compile import compile_query, parameter_from_text

FILE = Path(__file__).with_name("wrong_inputs.txt")
CATALOG = {
    "inceptionv1": ["conv2d0", "mixed3a", "mixed3b", "mixed4a", "mixed4b"],
    "alexnet": ["conv1", "conv2", "fc6"],
    "vgg16": ["conv1_1", "conv5_3"],
}
MADE: dict[str, Callable[[], str]] = {
    "ten million characters": lambda: "find { a -> b } " + "#" * 10_000_000,
    "a hundred parentheses and signs": lambda: "find { a -> b where share > " + "-(" * 100 + "1" + ")" * 100 + " }",
    "a sum of a hundred numbers": lambda: "find { a -> b where share > " + " + ".join(["1"] * 100) + " }",
    "a map of a map, a hundred times": lambda: "find { " + "flip(" * 100 + "a" + ")" * 100 + " -> b }",
    "a hundred blocks in one another": lambda: "find { a -> b " + "no { a -> b " * 100 + "} " * 101,
    "a chain of fifty motifs": lambda: (
        "motif m0 { a -> b } " + " ".join(f"motif m{i} {{ use m{i - 1} as x }}" for i in range(1, 50))
    ),
    "motifs that double thirteen times": lambda: (
        "motif m0 { a -> b } " + " ".join(f"motif m{i} {{ use m{i - 1} as x use m{i - 1} as y }}" for i in range(1, 14))
    ),
    "a name of a million letters": lambda: "find { a -> b where " + "x" * 900_000 + " > 1 }",
    "half a surrogate pair": lambda: 'find { unit a where label ~ "\ud800" }',
    "an arrow after a long line": lambda: "find { " + "; ".join(f"a{i} -> b{i}" for i in range(30)) + "; a0 -> }",
}


@dataclass(frozen=True)
class Wrong:
    """One entry of the file."""

    title: str
    circumstances: tuple[tuple[str, str, str], ...]
    text: str
    code: str
    message: str

    def written(self) -> str:
        head = [f"=== {self.title}"]
        head += [f"% {kind} {name}" + (f": {value}" if value else "") for kind, name, value in self.circumstances]
        text = [self.text] if not any(kind == "made" for kind, _, _ in self.circumstances) else []
        return "\n".join([*head, *text, f"--- {self.code}", self.message]) + "\n"


def entries() -> list[Wrong]:
    found = []
    for part in re.split(r"^=== ", FILE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, _, tail = part.partition("\n--- ")
        code, _, message = tail.partition("\n")
        title, *lines = head.split("\n")
        circumstances = []
        while lines and lines[0].startswith("% "):
            kind, name, value = re.fullmatch(r"% (\w+) ([^:]*)(?:: (.*))?", lines.pop(0)).groups()  # type: ignore[union-attr]
            circumstances.append((kind, name, value or ""))
        found.append(Wrong(title, tuple(circumstances), "\n".join(lines), code, message.rstrip("\n")))
    return found


def answer(entry: Wrong, folder: Path) -> Wrong:
    """The entry with the code and message that the compiler gives."""
    parameters, models, text = {}, [], entry.text
    for kind, name, value in entry.circumstances:
        match kind:
            case "file":
                (folder / name).write_text(value, encoding="utf-8")
            case "parameter":
                parameters[name] = parameter_from_text(value)
            case "models":
                models.append(name)
            case "made":
                text = MADE[name]()
            case _:
                raise AssertionError(kind)
    try:
        compile_query(text, catalog=CATALOG, models=models or None, parameters=parameters, folder=folder)
    except MotifError as error:
        return Wrong(entry.title, entry.circumstances, entry.text, error.diagnostic.code, str(error))
    except InputError as error:
        return Wrong(entry.title, entry.circumstances, entry.text, "-", str(error))
    return Wrong(entry.title, entry.circumstances, entry.text, "none", "this is no mistake")


if os.environ.get("CIRCUITDB_UPDATE_GOLDEN"):

    def test_messages_are_written_anew(tmp_path: Path) -> None:
        FILE.write_text("\n".join(answer(entry, tmp_path).written() for entry in entries()), encoding="utf-8")


ENTRIES = entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.title for entry in ENTRIES])
def test_a_mistake_brings_the_message_that_was_reviewed(entry: Wrong, tmp_path: Path) -> None:
    assert answer(entry, tmp_path).written() == entry.written()


def test_there_are_many_mistakes_and_none_is_listed_twice() -> None:
    assert len(ENTRIES) >= 60
    assert len({entry.title for entry in ENTRIES}) == len(ENTRIES)
    assert all(entry.code != "none" for entry in ENTRIES)


def test_every_code_of_the_source_has_an_entry() -> None:
    source = "".join(path.read_text() for path in Path(circuitdb.__file__).parent.rglob("*.py"))
    codes = set(re.findall(r'(?:fail|Diagnostic|_MisplacedError)\(\s*"([a-z-]+)"', source))
    assert len(codes) > 50
    assert codes - {entry.code for entry in ENTRIES} == set()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.title for entry in ENTRIES])
def test_a_message_is_narrow_polite_and_in_the_words_of_the_language(entry: Wrong) -> None:
    lines = entry.message.split("\n")
    said = [line for line in lines if not line.startswith("  ")]
    assert max(map(len, lines)) <= 100
    assert not re.search(r"\b(you|your|please|invalid|illegal)\b", "\n".join(said).replace("did you mean", ""))
    assert not re.search(r"\b[A-Z]{3,}\b|_[A-Z]+", re.sub(r"\b(DEG|WHAT|MODELS|JSON|UTF|MATCH)\b", "", "\n".join(said)))
    assert "Traceback" not in entry.message


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.title for entry in ENTRIES])
def test_the_carets_stand_under_the_place_that_the_message_names(entry: Wrong) -> None:
    place = re.match(r"query:(\d+):(\d+): ", entry.message)
    if place is None or entry.text == "":
        return
    line, column = int(place[1]), int(place[2])
    excerpt, carets = entry.message.split("\n")[1:3]
    text = entry.text.split("\n")[line - 1].replace("\t", " ")
    assert excerpt[2:] in text
    assert carets.index("^") == 2 + column - 1 - text.index(excerpt[2:])
    assert set(carets) <= {" ", "^"}
