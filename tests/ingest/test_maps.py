"""Which unit is which other's image: scores, rows of maps and families."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuitdb.errors import InputError
from circuitdb.pattern.maps import MapName
from ingest.maps import families, layer_map, pose_text
from ingest.preprocessing import Preprocessing
from ingest.probes import ProbeSet
from ingest.responses import Measured, measure
from ingest.stimuli import synthetic
from ingest.transforms import align, default_maps, fixed_point, hue_matrix, parse_maps, transformed
from tests.tiny_networks import centred, convolution, noise, planted, steps_of


def measured(network: nn.Module, probes: ProbeSet, maps: Sequence[str], side: int | None = None) -> Measured:
    side = side or probes.side
    return measure(network, steps_of(network, side), centred(side), probes, parse_maps(maps))


def rows(name: str, scores: np.ndarray) -> dict[int, tuple[int, bool]]:
    made = layer_map(*parse_maps([name]), scores)
    return dict(zip(made.source.tolist(), zip(made.target.tolist(), made.mutual.tolist(), strict=True), strict=True))


def test_a_gabor_filter_and_its_mirror_image_have_score_1() -> None:
    y, x = np.mgrid[-4:5, -4:5]
    tilted = np.cos(2 * np.pi * (x + y) / 6 + 1) * np.exp(-(x**2 + y**2) / 8)
    kernels = torch.from_numpy(np.stack([np.stack([k] * 3) for k in (tilted, tilted[:, ::-1])]).copy())
    network = nn.Sequential(convolution(kernels), nn.ReLU())
    [scores] = measured(network, noise(40), ["flip"]).scores[MapName("flip")]
    assert scores[0, 1] == pytest.approx(1, abs=1e-5)
    assert scores[1, 0] == pytest.approx(1, abs=1e-5)
    assert scores[0, 0] < 0.5


@pytest.mark.parametrize(
    ("stride", "side"), [(1, 32), (2, 32), (2, 33), (3, 32)], ids=["stride 1", "stride 2", "odd side", "stride 3"]
)
def test_planted_mirrors_and_turns_are_found_and_decoys_have_no_image(stride: int, side: int) -> None:
    network = nn.Sequential(convolution(planted(), stride=stride), nn.ReLU())
    found = measured(network, noise(side, 8), ["flip", "rotate(90)", "rotate(180)"])
    flip, quarter, half = (rows(m.text, found.scores[m][0]) for m in found.scores)
    assert flip == {0: (1, True), 1: (0, True), 6: (6, True)}
    assert quarter == {2: (3, True), 3: (4, True), 4: (5, True), 5: (2, True), 6: (6, True)}
    assert half == {2: (4, True), 3: (5, True), 4: (2, True), 5: (3, True), 6: (6, True)}
    [scores] = found.scores[MapName("flip")]
    assert scores[0, 1] == pytest.approx(1, abs=1e-5)


def test_maps_are_exact_behind_pools_whose_windows_lie_unevenly() -> None:
    kernels = planted(7)
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    network = nn.Sequential(convolution(kernels, stride=2), nn.ReLU(), pool, _per_unit(9), nn.ReLU())
    found = measured(network, noise(64), ["flip", "rotate(90)"])
    assert found.scores[MapName("flip")][1][0, 1] == pytest.approx(1, abs=1e-5)
    assert found.scores[MapName("rotate", 90.0)][1][2, 3] == pytest.approx(1, abs=1e-5)


def _per_unit(units: int) -> nn.Conv2d:
    """Hands units on, so that there is a layer behind what came before."""
    return convolution(torch.eye(units)[:, :, None, None])


def test_negation_takes_a_linear_unit_to_the_one_of_opposite_sign() -> None:
    kernel = torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    network = nn.Sequential(convolution(torch.cat([kernel, -kernel, kernel.roll(1, 1)])), nn.ReLU())
    [scores] = measured(network, noise(24), ["negate"]).scores[MapName("negate")]
    assert scores[0, 1] == pytest.approx(1, abs=1e-5)
    assert rows("negate", scores) == {0: (1, True), 1: (0, True)}


def test_a_hue_turned_by_120_degrees_takes_red_to_green_and_green_to_blue() -> None:
    assert np.array_equal(hue_matrix(120), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    kernel = torch.randn(5, 5, generator=torch.Generator().manual_seed(4))
    kernels = torch.zeros(3, 3, 5, 5)
    kernels[range(3), range(3)] = kernel
    network = nn.Sequential(convolution(kernels), nn.ReLU())
    found = measured(network, noise(24), ["hue(120)", "hue(240)"])
    assert rows("hue(120)", found.scores[MapName("hue", 120.0)][0]) == {0: (1, True), 1: (2, True), 2: (0, True)}
    assert rows("hue(240)", found.scores[MapName("hue", 240.0)][0]) == {0: (2, True), 1: (0, True), 2: (1, True)}


def test_hue_leaves_grey_as_it_is_and_turns_add_up() -> None:
    assert hue_matrix(40) @ np.ones(3) == pytest.approx(np.ones(3))
    assert hue_matrix(40) @ hue_matrix(80) == pytest.approx(hue_matrix(120), abs=1e-12)


@pytest.mark.parametrize("name", ["flip", "flip_vertical", "rotate(90)", "rotate(180)", "rotate(270)"])
def test_pictures_are_mirrored_and_turned_as_numpy_does(name: str) -> None:
    expected = {
        "flip": lambda p: p[..., ::-1],
        "flip_vertical": lambda p: p[..., ::-1, :],
        "rotate(90)": lambda p: np.rot90(p, 1, (-2, -1)),
        "rotate(180)": lambda p: np.rot90(p, 2, (-2, -1)),
        "rotate(270)": lambda p: np.rot90(p, 3, (-2, -1)),
    }[name]
    pictures = torch.rand(2, 3, 9, 9) * 255
    [m] = parse_maps([name])
    assert np.array_equal(transformed(pictures, m.element, (4.0, 4.0)).numpy(), expected(pictures.numpy()))


def test_a_turn_by_45_degrees_is_resampled_and_takes_a_line_to_the_next() -> None:
    y, x = np.mgrid[-4:5, -4:5]

    def line(degrees: float) -> np.ndarray:
        across = -x * math.sin(math.radians(degrees)) - y * math.cos(math.radians(degrees))
        along = x * math.cos(math.radians(degrees)) - y * math.sin(math.radians(degrees))
        return (1 - across**2) * np.exp(-(across**2) / 2 - along**2 / 8)

    kernels = torch.from_numpy(np.stack([np.stack([line(k)] * 3) for k in (0, 45, 90, 135)]))
    network = nn.Sequential(convolution(kernels - kernels.mean((2, 3), keepdim=True)), nn.ReLU())
    [scores] = measured(network, synthetic(48), ["rotate(45)"]).scores[MapName("rotate", 45.0)]
    assert rows("rotate(45)", scores) == {0: (1, True), 1: (2, True), 2: (3, True), 3: (0, True)}


def test_scores_are_those_of_plain_loops() -> None:
    side, draw = 14, torch.Generator().manual_seed(7)
    network = nn.Sequential(
        convolution(torch.randn(3, 3, 3, 3, generator=draw), bias=0.1),
        nn.ReLU(),
        convolution(torch.randn(4, 3, 3, 3, generator=draw), bias=-0.2),
        nn.ReLU(),
    )
    probes = noise(side, 3)
    found = measured(network, probes, ["flip", "rotate(90)"])
    pictures = torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1

    def responses(x: Tensor, layer: int) -> np.ndarray:
        with torch.no_grad():
            return network[: 2 * layer + 2](x).numpy()

    moves = {
        MapName("flip"): (pictures.flip(-1), lambda i, j: (i, side - 1 - j)),
        MapName("rotate", 90.0): (torch.rot90(pictures, 1, (-2, -1)), lambda i, j: (side - 1 - j, i)),
    }
    for name, (moved, move) in moves.items():
        for layer, reach in ((0, 1), (1, 2)):
            plain, other = responses(pictures, layer), responses(moved, layer)
            for a in range(plain.shape[1]):
                for b in range(plain.shape[1]):
                    pairs = [
                        (plain[n, a, i, j], other[n, b, *move(i, j)])
                        for n in range(3)
                        for i in range(reach, side - reach)
                        for j in range(reach, side - reach)
                    ]
                    expected = np.corrcoef(np.array(pairs, np.float64).T)[0, 1]
                    assert found.scores[name][layer][a, b] == pytest.approx(expected, abs=1e-5)


def test_the_number_of_pictures_at_a_time_does_not_matter() -> None:
    network = nn.Sequential(convolution(planted(), bias=5.0), nn.ReLU())
    probes, maps = noise(20, 7), parse_maps(["flip", "negate"])
    one, some = (measure(network, steps_of(network, 20), centred(20), probes, maps, batch=batch) for batch in (1, 3))
    for m in maps:
        assert one.scores[m][0] == pytest.approx(some.scores[m][0], abs=1e-5)
    for name in ("mean", "sd", "sparsity", "strongest", "sketches"):
        assert getattr(one.layers[0], name) == pytest.approx(getattr(some.layers[0], name), abs=1e-4)


def test_positions_whose_receptive_field_leaves_the_picture_do_not_count() -> None:
    network = nn.Sequential(convolution(planted()[:2] * 0 + 1, bias=0.5), nn.ReLU())
    [step] = steps_of(network, 16)
    alignment = align(step, MapName("flip").element, (7.5, 7.5), (16, 16))
    rows_, columns = np.divmod(alignment.sources.numpy(), 16)
    assert set(rows_) == set(columns) == set(range(2, 14))
    assert np.array_equal(alignment.targets[0].numpy(), rows_ * 16 + 15 - columns)


def test_the_central_half_of_a_layer_counts_though_it_sees_more_than_the_picture() -> None:
    network = nn.Sequential(convolution(torch.ones(2, 3, 31, 31)), nn.ReLU())
    [step] = steps_of(network, 16)
    alignment = align(step, MapName("flip").element, (7.5, 7.5), (16, 16))
    assert {int(cell) // 16 for cell in alignment.sources} == {int(cell) % 16 for cell in alignment.sources}
    assert {int(cell) % 16 for cell in alignment.sources} == set(range(4, 12))


def test_a_turned_receptive_field_must_lie_in_the_picture_whole() -> None:
    network = nn.Sequential(convolution(torch.ones(2, 3, 5, 5)), nn.ReLU())
    [step] = steps_of(network, 33)
    alignment = align(step, MapName("rotate", 45.0).element, (16.0, 16.0), (33, 33))
    y, x = np.divmod(alignment.sources.numpy(), 33)
    corner = np.maximum(np.abs(y - 16), np.abs(x - 16)) + 2 * math.sqrt(2)
    assert corner.max() <= 16 + 1e-9
    assert alignment.weights.sum(0).numpy() == pytest.approx(1)


def test_what_padding_does_at_the_border_makes_no_map() -> None:
    """Units that have little in common all answer to the grey frame that padding puts around what is light."""
    kernels = torch.full((2, 3, 5, 5), 0.03)
    kernels[0, 0, 2, 2] = kernels[1, 2, 2, 2] = 1
    network = nn.Sequential(convolution(kernels), nn.ReLU())
    random = np.random.default_rng(5)
    probes = ProbeSet("light", tuple("abcd"), random.integers(200, 256, (4, 24, 24, 3)).astype(np.uint8))
    pictures = torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        plain, mirrored = network[0](pictures), network[0](pictures.flip(-1)).flip(-1)
    with_border = np.corrcoef(plain[:, 0].ravel(), mirrored[:, 1].ravel())[0, 1]
    without = np.corrcoef(plain[:, 0, 2:-2, 2:-2].ravel(), mirrored[:, 1, 2:-2, 2:-2].ravel())[0, 1]
    [scores] = measured(network, probes, ["flip"]).scores[MapName("flip")]
    assert with_border > without + 0.2
    assert scores[0, 1] == pytest.approx(without, abs=1e-5)


def test_the_fixed_point_brings_cells_onto_cells() -> None:
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    network = nn.Sequential(convolution(planted(7), stride=2), nn.ReLU(), pool, _per_unit(9), nn.ReLU())
    steps = steps_of(network, 64)
    y, x = fixed_point(steps, (64, 64))
    assert y == x
    assert abs(y - 31.5) <= 2
    for step in steps:
        assert (2 * y - 2 * step.y.centre) % step.y.stride == 0


def test_cells_that_cannot_fall_on_cells_are_interpolated() -> None:
    """At even strides with the first cell on the first pixel, mirroring moves cells between cells."""
    network = nn.Sequential(convolution(planted(), stride=2), nn.ReLU())
    [step] = steps_of(network, 16)
    alignment = align(step, MapName("flip").element, (7.5, 7.5), (16, 16))
    assert len(alignment.targets) == 2
    assert alignment.weights.numpy() == pytest.approx(0.5)


def test_a_map_and_its_inverse_are_the_same_sums_read_both_ways() -> None:
    network = nn.Sequential(convolution(planted()), nn.ReLU())
    probes = noise(20)
    both = measured(network, probes, ["rotate(90)", "rotate(270)"])
    assert np.array_equal(both.scores[MapName("rotate", 270.0)][0], both.scores[MapName("rotate", 90.0)][0].T)
    turned = ProbeSet("turned", probes.names, np.rot90(probes.pictures, 1, (1, 2)))
    alone = measured(network, turned, ["rotate(270)"])
    assert alone.scores[MapName("rotate", 270.0)][0] == pytest.approx(
        both.scores[MapName("rotate", 270.0)][0], abs=1e-5
    )


def test_a_unit_becomes_itself_unless_another_is_clearly_better() -> None:
    scores = np.array(
        [
            [0.60, 0.69, 0.1, 0.0],  # 0.69 is not 0.1 better than 0.60
            [0.10, 0.20, 0.8, 0.0],
            [0.10, 0.45, 0.2, 0.0],  # the best is below 0.5
            [0.00, 0.00, 0.0, 0.0],
        ],
        np.float32,
    )
    made = layer_map(MapName("flip"), scores)
    assert made.source.tolist() == [0, 1]
    assert made.target.tolist() == [0, 2]
    assert made.score.tolist() == pytest.approx([0.6, 0.8])
    assert made.self_score.tolist() == pytest.approx([0.6, 0.2])
    assert made.mutual.tolist() == [True, True]


def test_a_map_is_mutual_only_if_its_inverse_leads_back() -> None:
    scores = np.array([[0.0, 0.7, 0.0], [0.0, 0.0, 0.0], [0.0, 0.9, 0.0]], np.float32)
    made = layer_map(MapName("flip"), scores)
    assert made.mutual.tolist() == [False, True]


def _cycle(units: int, pairs: dict[int, int], score: float = 0.9) -> np.ndarray:
    scores = np.zeros((units, units), np.float32)
    for source, target in pairs.items():
        scores[source, target] = score
    return scores


def _families(*maps: tuple[str, np.ndarray]) -> list[tuple[str, int, dict[int, str]]]:
    made = families([layer_map(*parse_maps([name]), scores) for name, scores in maps])
    return [(f.group, f.order, {m.unit: pose_text(m.pose) for m in f.members}) for f in made]


def test_families_are_orbits_with_poses() -> None:
    assert _families(("flip", _cycle(3, {0: 1, 1: 0, 2: 2}))) == [("flip", 2, {0: "identity", 1: "flip"})]
    quarter = _cycle(4, {0: 2, 2: 1, 1: 3, 3: 0})
    poses = {0: "identity", 2: "rotate(90)", 1: "rotate(180)", 3: "rotate(270)"}
    assert _families(("rotate(90)", quarter)) == [("rotate(90)", 4, poses)]
    assert _families(("rotate(90)", _cycle(2, {0: 1, 1: 0}))) == [("rotate(90)", 2, {0: "identity", 1: "rotate(90)"})]


def test_a_family_that_lacks_members_says_how_many_there_should_be() -> None:
    [family] = _families(("rotate(90)", _cycle(3, {0: 1, 1: 2})))
    assert family == ("rotate(90)", 4, {0: "identity", 1: "rotate(90)", 2: "rotate(180)"})


def test_the_first_member_may_be_reached_against_the_map() -> None:
    [family] = _families(("rotate(90)", _cycle(3, {0: 1, 2: 0})))
    assert family == ("rotate(90)", 4, {0: "identity", 1: "rotate(90)", 2: "rotate(270)"})


def test_maps_that_contradict_their_group_make_no_family() -> None:
    assert _families(("flip", _cycle(3, {0: 1, 1: 2, 2: 0}))) == []


def test_mirrors_and_quarter_turns_together_make_families_of_eight_or_fewer() -> None:
    corner_turn, corner_flip = {0: 1, 1: 2, 2: 3, 3: 0}, {0: 1, 1: 0, 2: 3, 3: 2}
    found = _families(("flip", _cycle(4, corner_flip)), ("rotate(90)", _cycle(4, corner_turn)))
    assert [(group, order, len(members)) for group, order, members in found] == [
        ("flip", 2, 2),
        ("flip", 2, 2),
        ("rotate(90)", 4, 4),
        ("D4", 4, 4),
    ]
    turn = {**{k: (k + 1) % 4 for k in range(4)}, **{4 + k: 4 + (k - 1) % 4 for k in range(4)}}
    flip = {**{k: 4 + k for k in range(4)}, **{4 + k: k for k in range(4)}}
    *_, whole = _families(("rotate(90)", _cycle(8, turn)), ("flip", _cycle(8, flip)))
    assert whole[:2] == ("D4", 8)
    assert whole[2][4] == "flip"
    assert whole[2][6] == "flip_vertical"


def test_the_group_is_the_largest_whose_generator_was_measured() -> None:
    quarter = _cycle(4, {0: 1, 1: 2, 2: 3, 3: 0})
    half = _cycle(4, {0: 2, 1: 3, 2: 0, 3: 1})
    assert [f[0] for f in _families(("rotate(180)", half), ("rotate(90)", quarter))] == ["rotate(90)"]
    assert [f[0] for f in _families(("rotate(180)", half))] == ["rotate(180)"] * 2


def test_maps_that_do_not_fit_the_input_are_left_out_or_refused() -> None:
    assert "rotate(90)" not in {m.text for m in default_maps(square=False, coloured=True)}
    assert "hue(120)" not in {m.text for m in default_maps(square=True, coloured=False)}
    wide = Preprocessing("RGB", (-1.0, 1.0), (0.0,) * 3, (1.0,) * 3, (16, 20))
    with pytest.raises(InputError, match="input is 16x20, and rotate\\(90\\) needs a square one"):
        measure(nn.Identity(), [], wide, noise(16), parse_maps(["rotate(90)"]))
    grey = Preprocessing("grey", (0.0, 1.0), (0.0,), (1.0,), (16, 16))
    with pytest.raises(InputError, match="sees no colours"):
        measure(nn.Identity(), [], grey, noise(16), parse_maps(["hue(120)"]))


@pytest.mark.parametrize("device", ["cuda:99", "meta", "abacus"])
def test_a_device_that_cannot_compute_is_refused(device: str) -> None:
    with pytest.raises(InputError, match=f"torch cannot compute on '{device}' here; there is: cpu"):
        measure(nn.Identity(), [], centred(20), noise(16), device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no graphics card")
def test_a_graphics_card_gives_what_the_processor_gives() -> None:
    network = nn.Sequential(convolution(planted(), bias=5.0), nn.ReLU())
    probes, maps = noise(20, 7), parse_maps(["flip", "rotate(45)"])
    one, other = (measure(network, steps_of(network, 20), centred(20), probes, maps, device=d) for d in ("cpu", "cuda"))
    for m in maps:
        assert one.scores[m][0] == pytest.approx(other.scores[m][0], abs=1e-3)
    for name in ("mean", "sd", "sparsity", "strongest", "sketches"):
        assert getattr(one.layers[0], name) == pytest.approx(getattr(other.layers[0], name), rel=1e-3, abs=1e-4)
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mirror", "there is no map 'mirror'; maps are flip"),
        ("rotate", "needs degrees, as in rotate\\(90\\)"),
        ("rotate(x)", "needs degrees"),
        ("hue(360)", "changes nothing"),
        ("analog", "there is no map 'analog'"),
        ("", "there is no map ''"),
    ],
)
def test_a_map_that_does_not_exist_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_maps([name])
