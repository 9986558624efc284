"""Tables and prose of the command, on terminals of every width and in a pipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from circuitdb.cli import output

HEADINGS = {"layers": "left", "most like, in inceptionv1": "left", "permuted matches": "right", "about": "left"}
ROWS = [
    ["mixed4c -> mixed4d", "mixed4c_5x5_bottleneck", "+1.00 (+0.00 ± 0.03)", "an edge comes back, with its sign"],
    ["conv1 -> conv2", "conv2d0", "-0.25", None],
]
SENTENCE = "the query asks below top32 (a +> b), so that edges left out may change the answer. " * 3

Printed = Callable[..., str]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What is printed where there are so many columns, or, without a number, into a pipe."""

    def run(show: Callable[..., None], *arguments: object, width: int | None = None) -> str:
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
        capsys.readouterr()
        show(*arguments)
        return "".join(capsys.readouterr())

    return run


def widest(text: str) -> int:
    return max(len(line.rstrip()) for line in text.splitlines())


@pytest.mark.parametrize("width", range(30, 140, 5))
def test_a_table_breaks_no_word_and_is_no_wider_than_the_terminal(printed: Printed, width: int) -> None:
    text = printed(output.print_table, HEADINGS, ROWS, width=width)
    words = {word for line in (HEADINGS, *ROWS) for cell in line for word in (cell or "").split()}
    assert words <= set(text.replace(":", " ").split())
    assert widest(text) <= width


@pytest.mark.parametrize("width", range(60, 140, 5))
def test_a_cell_stays_on_one_line_unless_it_is_text_at_the_end(printed: Printed, width: int) -> None:
    text = printed(output.print_table, HEADINGS, ROWS, width=width)
    assert all(cell in text for row in ROWS for cell in row[:-1] if cell is not None)


def test_a_row_that_does_not_fit_is_told_as_headings_with_values(printed: Printed) -> None:
    assert printed(output.print_table, HEADINGS, ROWS, width=60) == (
        "layers: mixed4c -> mixed4d\n"
        "  most like, in inceptionv1: mixed4c_5x5_bottleneck\n"
        "  permuted matches: +1.00 (+0.00 ± 0.03)\n"
        "  about: an edge comes back, with its sign\n"
        "layers: conv1 -> conv2  most like, in inceptionv1: conv2d0\n"
        "  permuted matches: -0.25\n"
    )


def test_a_word_wider_than_the_terminal_stays_whole(printed: Printed) -> None:
    name = "handwritten_decoys/mixed4c:447"
    assert name in printed(output.print_table, {"unit": "left"}, [[name]], width=20)
    assert name in printed(output.say, f"deleted {name} and all that is its", width=20)


def test_a_table_in_a_pipe_is_as_wide_as_it_needs(printed: Printed) -> None:
    lines = printed(output.print_table, HEADINGS, ROWS).splitlines()
    assert [line.count("  ") > 0 for line in lines] == [True] * 3
    assert all(heading in lines[0] for heading in HEADINGS)


@pytest.mark.parametrize("show", [output.say, output.remark])
def test_a_sentence_is_broken_between_words_on_a_terminal_and_not_in_a_pipe(
    printed: Printed, show: Callable[..., None]
) -> None:
    narrow = printed(show, SENTENCE, "next", width=40)
    assert narrow.split() == f"{SENTENCE} next".split()
    assert widest(narrow) <= 40
    assert narrow.endswith("\nnext\n")
    assert printed(show, SENTENCE, "next") == f"{SENTENCE}\nnext\n"


def test_nothing_to_say_is_no_line(printed: Printed) -> None:
    assert printed(output.remark) == ""
