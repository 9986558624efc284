"""What is computed from a kernel, against plain loops, closed forms and the laws of science.md."""

from __future__ import annotations

import cmath
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuitdb.graph import Record, property_of
from circuitdb.kernels import MEASURED, Placed, agreement, flip, flip_vertical, measure, turn

PLACES = [
    (1, 1, 0.0, 0.0),
    (3, 3, -1.0, -1.0),
    (5, 5, -2.0, -2.0),
    (2, 2, -0.5, -0.5),
    (6, 6, -2.5, -2.5),
    (3, 7, -1.0, -3.0),
    (4, 5, -1.5, 1.0),
    (11, 11, -4.0, -4.0),
]
"""Height, width and offset of kernels: odd, even, off-centre, not square."""


def random_kernels(height: int, width: int, count: int = 7) -> npt.NDArray[np.float64]:
    return np.random.default_rng([height, width]).normal(size=(count, height, width))


def measured_by_loop(kernel: npt.NDArray[np.float64], offset_y: float, offset_x: float, px: float) -> dict[str, float]:
    """The definitions of science.md, cell by cell."""
    total = squares = excitation = inhibition = magnitude = peak = dx = dy = 0.0
    regions = dict.fromkeys(("top", "bottom", "left", "right", "centre"), 0.0)
    moments = [0j] * 5
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            w, y, x = float(kernel[i, j]), offset_y + i, offset_x + j
            total += w
            squares += w * w
            magnitude += abs(w)
            excitation += max(w, 0.0)
            inhibition += min(w, 0.0)
            peak = w if abs(w) > abs(peak) else peak
            dx, dy = dx + abs(w) * x, dy + abs(w) * y
            here = {"top": y < 0, "bottom": y > 0, "left": x < 0, "right": x > 0, "centre": abs(y) < 1 and abs(x) < 1}
            for name, inside in here.items():
                regions[name] += w * inside
            moments[0] += w
            if (y, x) != (0, 0):
                phi = math.atan2(-y, x)
                for k in range(1, 5):
                    moments[k] += w * cmath.exp(-1j * k * phi)
    parts = {
        f"m{k}_{part}": getattr(m, name)
        for k, m in enumerate(moments)
        for part, name in (("re", "real"), ("im", "imag"))
    }
    return {
        "weight": total,
        "strength": math.sqrt(squares),
        "peak": peak,
        "excitation": excitation,
        "inhibition": inhibition,
        "coherence": abs(total) / magnitude,
        "dx": dx / magnitude * px,
        "dy": dy / magnitude * px,
        **regions,
        **parts,
    }


def moment(measured: dict[str, npt.NDArray[np.float64]], k: int) -> npt.NDArray[np.complex128]:
    return measured[f"m{k}_re"] + 1j * measured[f"m{k}_im"]


@pytest.mark.parametrize("place", PLACES)
def test_measures_agree_with_a_loop_over_the_cells(place: tuple[int, int, float, float]) -> None:
    height, width, offset_y, offset_x = place
    kernels = random_kernels(height, width)
    measured = measure(kernels, offset_y, offset_x, 8.0)
    for row, kernel in enumerate(kernels):
        for name, expected in measured_by_loop(kernel, offset_y, offset_x, 8.0).items():
            assert measured[name][row] == pytest.approx(expected, abs=1e-12), name


def test_every_measure_is_an_edge_property_of_the_registry() -> None:
    assert tuple(measure(random_kernels(3, 3), -1, -1, 1.0)) == MEASURED
    assert all(property_of(Record.EDGE, name) is not None for name in MEASURED)


def test_measures_do_not_depend_on_how_the_kernels_are_divided_into_blocks() -> None:
    kernels = np.random.default_rng(1).normal(size=(40_000, 3, 3)).astype(np.float32)
    whole = measure(kernels, -1, -1, 4.0)
    first, last = measure(kernels[:5], -1, -1, 4.0), measure(kernels[-5:], -1, -1, 4.0)
    for name in MEASURED:
        np.testing.assert_allclose(whole[name][:5], first[name], atol=1e-13)
        np.testing.assert_allclose(whole[name][-5:], last[name], atol=1e-13)


def test_a_kernel_of_zeros_has_no_centroid_and_no_coherence() -> None:
    measured = measure(np.zeros((1, 3, 3)), -1, -1, 8.0)
    assert all(np.isnan(measured[name][0]) for name in ("coherence", "dx", "dy"))
    assert all(measured[name][0] == 0 for name in MEASURED if name not in ("coherence", "dx", "dy"))


def test_no_kernels_have_no_measures() -> None:
    assert all(values.shape == (0,) for values in measure(np.zeros((0, 3, 3)), -1, -1, 8.0).values())


def test_one_entry_to_the_upper_right_has_the_closed_form() -> None:
    kernel = np.zeros((1, 5, 5))
    kernel[0, 1, 3] = -2.0  # one up, one to the right: 45 degrees
    measured = {name: values[0] for name, values in measure(kernel, -2, -2, 16.0).items()}
    assert (
        measured["weight"] == measured["peak"] == measured["inhibition"] == measured["top"] == measured["right"] == -2
    )
    assert measured["bottom"] == measured["left"] == measured["centre"] == measured["excitation"] == 0
    assert (measured["dx"], measured["dy"], measured["coherence"], measured["strength"]) == (16.0, -16.0, 1.0, 2.0)
    for k in range(5):
        expected = -2 * cmath.exp(-1j * k * math.pi / 4)
        assert complex(measured[f"m{k}_re"], measured[f"m{k}_im"]) == pytest.approx(expected)


def test_the_centre_is_one_cell_of_an_odd_kernel_and_four_of_an_even_one() -> None:
    assert measure(np.ones((1, 3, 3)), -1, -1, 1.0)["centre"][0] == 1
    assert measure(np.ones((1, 4, 4)), -1.5, -1.5, 1.0)["centre"][0] == 4
    assert measure(np.ones((1, 3, 4)), -1.0, -1.5, 1.0)["centre"][0] == 2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turning_multiplies_moment_k_by_exp_minus_i_k_theta(
    place: tuple[int, int, float, float], quarters: int
) -> None:
    height, width, offset_y, offset_x = place
    kernels = random_kernels(height, width)
    before = measure(kernels, offset_y, offset_x, 1.0)
    after = measure(*turn(kernels, offset_y, offset_x, 90 * quarters), 1.0)
    for k in range(5):
        expected = moment(before, k) * np.exp(-1j * k * quarters * math.pi / 2)
        np.testing.assert_allclose(moment(after, k), expected, atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_mirroring_in_x_conjugates_moment_k_and_alternates_its_sign(place: tuple[int, int, float, float]) -> None:
    height, width, offset_y, offset_x = place
    kernels = random_kernels(height, width)
    before, after = measure(kernels, offset_y, offset_x, 1.0), measure(*flip(kernels, offset_y, offset_x), 1.0)
    for k in range(5):
        np.testing.assert_allclose(moment(after, k), (-1) ** k * moment(before, k).conj(), atol=1e-12)
    np.testing.assert_allclose(after["left"], before["right"], atol=1e-12)
    np.testing.assert_allclose(after["top"], before["top"], atol=1e-12)
    np.testing.assert_allclose(after["dx"], -before["dx"], atol=1e-12)


def test_a_quarter_turn_takes_what_lies_right_to_the_top() -> None:
    kernel = np.zeros((1, 3, 3))
    kernel[0, 1, 2] = 1.0
    turned = measure(*turn(kernel, -1, -1, 90), 1.0)
    assert turned["top"][0] == 1
    assert turned["right"][0] == 0


def same(a: Placed, b: Placed) -> bool:
    return np.array_equal(a.kernels, b.kernels) and (a.offset_y, a.offset_x) == (b.offset_y, b.offset_x)


@pytest.mark.parametrize("place", PLACES)
def test_turns_and_flips_obey_their_group(place: tuple[int, int, float, float]) -> None:
    height, width, offset_y, offset_x = place
    k = Placed(random_kernels(height, width), offset_y, offset_x)
    assert same(flip(*flip(*k)), k)
    assert same(flip_vertical(*flip_vertical(*k)), k)
    assert same(flip(*flip_vertical(*k)), turn(*k, 180))
    assert same(turn(*turn(*k, 90), 270), k)
    assert same(turn(*turn(*k, 90), 90), turn(*k, 180))
    assert same(turn(*k, -90), turn(*k, 630))
    assert same(flip(*turn(*k, 90)), turn(*flip(*k), -90))
    assert same(turn(*k, 0), k)


@pytest.mark.parametrize("degrees", [30.0, 45.0, -45.0, 100.0, 200.0, 315.0])
def test_any_turn_is_bilinear_interpolation_of_the_picture_turned_back(degrees: float) -> None:
    kernels = random_kernels(4, 5, 2)
    turned = turn(kernels, -1.5, -2.0, degrees)
    quarters = math.floor(degrees / 90 + 0.5)
    whole = turn(kernels, -1.5, -2.0, 90 * quarters)
    theta = math.radians(degrees - 90 * quarters)
    reached = {}
    for i in range(-12, 13):
        for j in range(-12, 13):
            y, x = whole.offset_y + i, whole.offset_x + j
            # Where the picture came from: turn the point back, clockwise as seen (y points down).
            back_x, back_y = x * math.cos(theta) - y * math.sin(theta), y * math.cos(theta) + x * math.sin(theta)
            value = sum(
                whole.kernels[1, r, c]
                * max(0.0, 1 - abs(back_y - whole.offset_y - r))
                * max(0.0, 1 - abs(back_x - whole.offset_x - c))
                for r in range(whole.kernels.shape[1])
                for c in range(whole.kernels.shape[2])
            )
            if abs(value) > 1e-12:
                reached[y, x] = value
    found = {
        (turned.offset_y + r, turned.offset_x + c): turned.kernels[1, r, c]
        for r in range(turned.kernels.shape[1])
        for c in range(turned.kernels.shape[2])
        if abs(turned.kernels[1, r, c]) > 1e-12
    }
    assert found == pytest.approx(reached, abs=1e-12)


def test_a_smooth_bar_turned_by_45_degrees_agrees_with_the_bar_drawn_at_45_degrees() -> None:
    def bar(angle: float) -> Placed:
        y, x = np.mgrid[-5:6, -5:6]
        along = x * math.cos(angle) - y * math.sin(angle)
        across = x * math.sin(angle) + y * math.cos(angle)
        return Placed(np.exp(-(along**2) / 12 - across**2 / 3)[None], -5.0, -5.0)

    assert agreement(turn(*bar(0), 45), bar(math.pi / 4))[0] > 0.98
    # Two Gaussians of variances (6, 1.5) at right angles: the cosine is 2·sqrt(6·1.5) / (6 + 1.5).
    assert agreement(turn(*bar(0), 45), bar(-math.pi / 4))[0] == pytest.approx(0.8, abs=0.02)


def agreement_by_loop(a: Placed, b: Placed, row: int) -> float:
    """Cosine, cells taken as unit squares."""
    product = sum(
        float(v) * float(w)
        * max(0.0, 1 - abs(a.offset_y + i - b.offset_y - k))
        * max(0.0, 1 - abs(a.offset_x + j - b.offset_x - m))
        for (i, j), v in np.ndenumerate(a.kernels[row])
        for (k, m), w in np.ndenumerate(b.kernels[row])
    )  # fmt: skip
    return product / math.sqrt(float((a.kernels[row] ** 2).sum()) * float((b.kernels[row] ** 2).sum()))


@pytest.mark.parametrize("first", PLACES[:7])
@pytest.mark.parametrize("second", PLACES[1:7])
def test_agreement_is_the_cosine_of_the_overlap(
    first: tuple[int, int, float, float], second: tuple[int, int, float, float]
) -> None:
    a = Placed(random_kernels(*first[:2], 2), *first[2:])
    b = Placed(random_kernels(*second[:2], 2) + 0.3, *second[2:])
    expected = [agreement_by_loop(a, b, row) for row in range(2)]
    np.testing.assert_allclose(agreement(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(agreement(b, a), expected, atol=1e-12)


def test_agreement_with_itself_is_one_and_with_its_negative_minus_one() -> None:
    a = Placed(random_kernels(5, 5), -2.0, -2.0)
    np.testing.assert_allclose(agreement(a, a), 1)
    np.testing.assert_allclose(agreement(a, Placed(-1e-200 * a.kernels, -2.0, -2.0)), -1)


def test_kernels_that_lie_apart_do_not_agree_at_all() -> None:
    a, b = Placed(np.ones((1, 3, 3)), -1.0, -1.0), Placed(np.ones((1, 3, 3)), -1.0, 20.0)
    assert agreement(a, b)[0] == 0
    assert agreement(b, a)[0] == 0


def test_agreement_with_a_kernel_of_zeros_is_missing() -> None:
    a = Placed(random_kernels(3, 3, 2), -1.0, -1.0)
    b = Placed(a.kernels * np.array([0.0, 1.0])[:, None, None], -1.0, -1.0)
    assert np.isnan(agreement(a, b)).tolist() == [True, False]
    assert np.isnan(agreement(b, a)).tolist() == [True, False]


def test_one_kernel_is_compared_with_each_of_many() -> None:
    many = Placed(random_kernels(3, 3, 4), -1.0, -1.0)
    one = Placed(many.kernels[2:3], -1.0, -1.0)
    assert int(np.argmax(agreement(one, many))) == 2


@given(st.integers(0, 2**32 - 1), st.sampled_from(PLACES), st.sampled_from([0, 90, 180, 270]), st.booleans())
def test_agreement_does_not_change_when_both_kernels_are_moved_alike(
    seed: int, place: tuple[int, int, float, float], degrees: int, mirrored: bool
) -> None:
    height, width, offset_y, offset_x = place
    rng = np.random.default_rng(seed)
    a = Placed(rng.normal(size=(1, height, width)), offset_y, offset_x)
    b = Placed(rng.normal(size=(1, height, width)), offset_y + 1, offset_x - 1)

    def moved(k: Placed) -> Placed:
        turned = turn(*k, degrees)
        return flip(*turned) if mirrored else turned

    np.testing.assert_allclose(agreement(moved(a), moved(b)), agreement(a, b), atol=1e-12)
