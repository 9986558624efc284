"""Kernels drawn in a terminal, read back from what is printed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rich.color import ColorTriplet
from rich.console import Console

from circuitdb.terminal import Drawing, diverging, draw_kernels, signed_digit


def printed(drawings: list[Drawing], width: int = 80, colour: bool = False) -> list[str]:
    console = Console(width=width, force_terminal=colour, color_system="truecolor" if colour else None, no_color=False)
    with console.capture() as capture:
        console.print(draw_kernels(drawings, width, colour), end="")
    return capture.get().splitlines()


def test_zero_is_white_excitation_is_red_and_inhibition_is_blue() -> None:
    white, red, blue = (ColorTriplet(*diverging(value)) for value in (0.0, 1.0, -1.0))
    assert min(white) == max(white) > 240
    assert red.red > 2 * max(red.green, red.blue)
    assert blue.blue > 2 * blue.red


@pytest.mark.parametrize("sign", [1, -1])
def test_a_stronger_weight_is_never_drawn_paler(sign: int) -> None:
    brightness = [sum(diverging(sign * size)) for size in np.linspace(0, 1, 101)]
    assert brightness == sorted(brightness, reverse=True)


def test_values_beyond_the_scale_are_held_at_its_ends() -> None:
    assert diverging(7.0) == diverging(1.0)
    assert signed_digit(-7.0) == "-9"


def test_without_colour_signs_and_digits_give_the_kernel_back_to_a_ninth_of_its_scale() -> None:
    kernel = np.random.default_rng(3).normal(size=(5, 4))
    lines = printed([Drawing(kernel, ["mixed4b:237"])])
    cells = [[0 if cell == "·" else int(cell) for cell in line.split()] for line in lines[:5]]
    assert np.abs(np.array(cells) / 9 - kernel / np.abs(kernel).max()).max() <= 0.5 / 9 + 1e-9
    assert lines[5] == "mixed4b:237"


def test_with_colour_every_cell_is_a_block_of_its_own_background() -> None:
    lines = printed([Drawing(np.array([[1.0, -1.0], [0.0, 0.5]]), ["u"])], colour=True)
    colours = [[tuple(map(int, c)) for c in re.findall(r"48;2;(\d+);(\d+);(\d+)m  ", line)] for line in lines[:2]]
    assert colours == [[diverging(1.0), diverging(-1.0)], [diverging(0.0), diverging(0.5)]]


def test_one_scale_holds_for_all_kernels_of_a_figure() -> None:
    lines = printed([Drawing(np.array([[9.0]]), ["a"]), Drawing(np.array([[-3.0]]), ["b"])])
    assert lines[0].split() == ["+9", "-3"]


def test_a_kernel_of_zeros_is_drawn_as_zeros() -> None:
    assert printed([Drawing(np.zeros((1, 2)), ["a"])])[0].split() == ["·", "·"]


def test_kernels_of_different_heights_stand_on_one_line_above_their_captions() -> None:
    lines = printed([Drawing(np.ones((3, 3)), ["tall"]), Drawing(np.ones((1, 1)), ["low"])])
    assert [line.count("+9") for line in lines[:3]] == [3, 3, 4]
    assert lines[3].split() == ["tall", "low"]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, colour: bool) -> None:
    lines = printed([Drawing(np.ones((5, 5)), [f"mixed4c:{i}", "+0.123  3.1%"]) for i in range(10)], width, colour)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert max(map(len, plain)) <= width
    assert sum(line.count("mixed4c:") for line in plain) == 10
