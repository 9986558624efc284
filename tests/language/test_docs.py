"""The examples of the reference pages are what they seem: motifs compile, and the Pattern is the one that comes out."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from circuitdb.language.diagnostics import MotifError
from circuitdb.language.mistakes import RESERVED
from circuitdb.pattern import model, serial
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.expressions import FUNCTIONS
from circuitdb.pattern.maps import MAP_NAMES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("language.md", "pattern.md")}
IMPORTED = "motif pathway(first_layer) { unit low in first_layer; low +> high }"


def blocks(page: str, tag: str) -> list[str]:
    return re.findall(rf"^```{tag}\n(.*?)^```$", PAGES[page], flags=re.M | re.S)


EXAMPLES = [(page, number, text) for page in PAGES for number, text in enumerate(blocks(page, "motif"))]


@pytest.mark.parametrize(("page", "number", "text"), EXAMPLES, ids=[f"{page} {number}" for page, number, _ in EXAMPLES])
def test_an_example_compiles(page: str, number: int, text: str, tmp_path: Path) -> None:
    (tmp_path / "pathways.motif").write_text(IMPORTED)
    compile_query(text, folder=tmp_path)


def test_the_pattern_of_the_example_is_what_the_compiler_makes() -> None:
    [motif], [text], [record] = (blocks("pattern.md", tag) for tag in ("motif", "pattern", "json"))
    query = compile_query(motif)
    assert serial.to_text(query) == text.rstrip("\n")
    assert serial.from_text(text) == query
    assert serial.from_json(json.loads(record)) == query.body.edges[0]


def test_the_mistake_on_the_page_is_the_message_that_is_printed() -> None:
    with pytest.raises(MotifError) as caught:
        compile_query("find { a -> b where shar > 0.1 }")
    assert "\n".join(f"    {line}".rstrip() for line in str(caught.value).split("\n")) in PAGES["language.md"]


def test_the_page_names_every_function_map_and_reserved_word() -> None:
    for name in (*FUNCTIONS, *MAP_NAMES):
        assert re.search(rf"`{name}\b", PAGES["language.md"]), name
    assert f"`{' '.join(sorted(RESERVED))}`" in PAGES["language.md"]


def test_reserved_words_are_those_that_the_grammar_refuses_as_names() -> None:
    words = set(re.findall(r"[a-z]+", (DOCS.parent / "circuitdb/language/grammar.lark").read_text()))
    refused = set()
    for word in words:
        try:
            compile_query(f"find {{ unit {word} }}")
        except MotifError:
            refused.add(word)
    assert refused == RESERVED


def test_the_page_of_the_pattern_names_every_record_and_field() -> None:
    for cls in serial._CLASSES.values():
        assert cls.__name__ in PAGES["pattern.md"]
        assert all(f"`{field.name}`" in PAGES["pattern.md"] for field in fields(cls)), cls
    assert model.Query.__name__ in PAGES["pattern.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_pages_lead_somewhere(page: str) -> None:
    titles = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in headings(page)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        file, _, anchor = target.partition("#")
        assert not file or (DOCS / file).is_file(), target
        assert not anchor or file or anchor in titles, target


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", PAGES[page], flags=re.S), flags=re.M)


def test_links_of_every_page_lead_to_files_and_every_drawing_is_shown() -> None:
    shown = set()
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).is_file(), f"{page.name}: {target}"
                shown.add((page.parent / target).resolve())
    assert {file.resolve() for file in DOCS.rglob("*.webp")} <= shown
