"""Probe sets, responses, examples and signatures."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from circuitdb.errors import InputError
from ingest.examples import example_table
from ingest.preprocessing import Preprocessing
from ingest.probes import SIDE, ProbeSet, load_probes
from ingest.responses import LayerResponses, as_input, measure, resized
from ingest.signatures import GRID, cosines, parts, quantised
from ingest.stimuli import synthetic
from tests.tiny_networks import centred, convolution, noise, planted, steps_of


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    (made / "more").mkdir(parents=True)
    photograph(768, 512).save(made / "a.png")
    photograph(500, 230, 1).save(made / "more" / "b.bmp")
    (made / "README.txt").write_text("no picture")
    return made


def test_photographs_are_cut_into_a_regular_grid_of_crops(folder: Path) -> None:
    probes = load_probes(str(folder))
    assert probes.names == (
        *("a.png@0,0", "a.png@0,272", "a.png@0,544", "a.png@288,0", "a.png@288,272", "a.png@288,544"),
        *("more/b.bmp@0,0", "more/b.bmp@0,276"),
    )
    pixels = np.asarray(Image.open(folder / "a.png"))
    assert np.array_equal(probes.pictures[4], pixels[288:512, 272:496])
    known = {"name": "pictures", "sha256": probes.sha256, "pictures": 8, "size": [224, 224], "crops": [6, 2]}
    assert probes.as_json() == known


def test_a_tar_and_the_folder_that_it_was_made_of_are_one_set(folder: Path) -> None:
    with tarfile.open(folder.parent / "set.tar.gz", "w:gz") as tar:
        tar.add(folder, "holiday/2020")
    packed = load_probes(str(folder.parent / "set.tar.gz"))
    assert packed.sha256 == load_probes(str(folder)).sha256
    assert packed.name == "set.tar.gz"


def test_small_pictures_are_resized_up_until_they_cover_a_crop(tmp_path: Path) -> None:
    photograph(100, 50).convert("L").save(tmp_path / "grey.png")
    probes = load_probes(str(tmp_path))
    assert probes.pictures.shape == (2, SIDE, SIDE, 3)


def test_the_sha256_depends_on_every_pixel_on_the_names_and_on_their_order() -> None:
    one = noise(8, 3)
    changed = one.pictures.copy()
    changed[2, 7, 7, 2] ^= 1
    others = [
        ProbeSet("noise", one.names, changed),
        ProbeSet("noise", ("0", "1", "3"), one.pictures),
        ProbeSet("noise", one.names, one.pictures[::-1]),
    ]
    assert len({probes.sha256 for probes in (one, *others)}) == 4
    assert ProbeSet("other", one.names, one.pictures.copy()).sha256 == one.sha256


def test_bad_probes_are_answered_with_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are no probes at .*; give a folder or tar of pictures, or synthetic"):
        load_probes(str(tmp_path / "nowhere"))
    (folder / "c.png").write_bytes(png(photograph(300, 300))[:500])
    with pytest.raises(InputError, match=r"the picture 'c\.png' is damaged or of no known format"):
        load_probes(str(folder))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        load_probes(str(empty))
    (tmp_path / "text.tar").write_text("no tar")
    with pytest.raises(InputError, match=r"text\.tar is no folder and no tar"):
        load_probes(str(tmp_path / "text.tar"))


def test_the_synthetic_set_is_the_same_every_time_and_at_every_side_the_same_pictures() -> None:
    one, again, larger = synthetic(80), synthetic(80), synthetic(96)
    assert one.sha256 == again.sha256
    assert len(set(one.names)) == len(one.names)
    assert one.names == larger.names
    assert larger.pictures.shape == (len(one.names), 96, 96, 3)
    for kind in ("grating", "line", "curve", "corner", "dot", "red cyan edge", "fine and coarse", "noise"):
        assert any(kind in name for name in one.names)
    assert sum("light curve 14px" in name for name in one.names) == 16


def test_the_synthetic_set_is_drawn_at_the_size_of_small_inputs_and_at_224_for_all_others() -> None:
    assert load_probes("synthetic", 80).side == 80
    assert load_probes("synthetic", 299).side == 224


def test_synthetic_curves_bulge_where_their_names_say() -> None:
    probes = synthetic(80)
    picture = probes.pictures[probes.names.index("light curve 28px 0°")].astype(float)[..., 0] - 128
    y, x = np.mgrid[-39.5:40, -39.5:40]
    lit = picture > 60
    assert np.hypot(x + 21, y)[lit] == pytest.approx(28, abs=2)
    turned = probes.pictures[probes.names.index("light curve 28px 90°")][..., 0]
    assert np.abs(np.rot90(picture) + 128 - turned).max() <= 1


def test_pictures_become_what_the_network_takes_in() -> None:
    pictures = resized(np.full((1, 8, 8, 3), (255, 51, 0), np.uint8), (8, 8))
    caffe = Preprocessing("BGR", (0.0, 255.0), (104.0, 117.0, 123.0), (1.0, 1.0, 2.0), (8, 8))
    assert as_input(pictures, caffe)[0, :, 0, 0].tolist() == [-104, 51 - 117, (255 - 123) / 2]
    grey = Preprocessing("grey", (0.0, 1.0), (0.5,), (0.5,), (8, 8))
    assert as_input(pictures, grey)[0, :, 0, 0].tolist() == pytest.approx([2 * (0.299 + 0.587 * 0.2) - 1])


def responding(probes: ProbeSet, network: nn.Module) -> list[LayerResponses]:
    side = probes.side
    return list(measure(network, steps_of(network, side), centred(side), probes, batch=3).layers)


def two_layers(seed: int = 0) -> nn.Sequential:
    draw = torch.Generator().manual_seed(seed)
    return nn.Sequential(
        convolution(torch.randn(5, 3, 5, 5, generator=draw), stride=2),
        nn.ReLU(inplace=True),
        convolution(torch.randn(6, 5, 3, 3, generator=draw) - 0.05),
        nn.ReLU(inplace=True),
    )


def test_statistics_and_strongest_positions_are_those_of_the_responses() -> None:
    probes, network = noise(20, 7), two_layers()
    x = torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    for depth, layer in enumerate(responding(probes, network), 1):
        with torch.no_grad():
            expected = network[: 2 * depth](x.clone()).double().numpy()
        assert layer.mean == pytest.approx(expected.mean((0, 2, 3)), rel=1e-5)
        assert layer.sd == pytest.approx(expected.std((0, 2, 3)), rel=1e-5)
        assert layer.sparsity == pytest.approx((expected <= 0).mean((0, 2, 3)))
        flat = expected.reshape(7, expected.shape[1], -1)
        assert layer.strongest == pytest.approx(flat.max(2).T, rel=1e-5)
        assert np.array_equal(layer.cells, flat.argmax(2).T)


def test_a_response_that_hardly_changes_beside_its_mean_keeps_its_digits() -> None:
    kernels = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    network = nn.Sequential(convolution(kernels, bias=3e4), nn.ReLU())
    probes = noise(16, 5)
    [layer] = responding(probes, network)
    x = torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = network.double()(x.double()).numpy()
    assert layer.sd == pytest.approx(expected.std((0, 2, 3)), rel=1e-3)


def test_examples_are_the_nine_strongest_positions_one_a_picture_with_what_the_unit_sees() -> None:
    probes, network = noise(40, 12), two_layers()
    layers = responding(probes, network)
    table = example_table(layers, probes, (40, 40)).to_pylist()
    of_unit = [row for row in table if row["unit"] == 3]
    assert [row["rank"] for row in of_unit] == list(range(1, 10))
    values = [row["value"] for row in of_unit]
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx(np.sort(layers[0].strongest[3])[::-1][:9].tolist())
    assert len({row["picture"] for row in of_unit}) == 9
    best = of_unit[0]
    picture = probes.pictures[probes.names.index(best["picture"])]
    y, x = int(best["y"]), int(best["x"])
    cell = int(layers[0].cells[3, int(best["picture"])])
    assert (y, x) == (2 * (cell // 20), 2 * (cell % 20))
    seen = picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(best["thumbnail"])).convert("RGB")), seen)


def test_thumbnails_are_48_pixels_at_most_and_clipped_at_the_border() -> None:
    network = nn.Sequential(convolution(torch.rand(2, 3, 61, 61) - 0.5), nn.ReLU())
    probes = noise(100, 2)
    table = example_table(responding(probes, network), probes, (100, 100)).to_pylist()
    sizes = [Image.open(io.BytesIO(row["thumbnail"])).size for row in table]
    assert max(max(size) for size in sizes) == 48
    for row, (width, height) in zip(table, sizes, strict=True):
        tall = min(99, row["y"] + 30) - max(0, row["y"] - 30) + 1
        wide = min(99, row["x"] + 30) - max(0, row["x"] - 30) + 1
        assert height / width == pytest.approx(tall / wide, rel=0.03)


def test_examples_of_resized_pictures_lie_in_pixels_of_the_probe() -> None:
    probes = noise(40, 3)
    network = nn.Sequential(convolution(torch.rand(1, 3, 1, 1)), nn.ReLU())
    layers = measure(network, steps_of(network, 20), centred(20), probes).layers
    for row in example_table(layers, probes, (20, 20)).to_pylist():
        cell = int(layers[0].cells[0, int(row["picture"])])
        assert (row["y"], row["x"]) == (2 * (cell // 20) + 0.5, 2 * (cell % 20) + 0.5)


def test_a_unit_that_never_answers_has_no_examples_and_an_empty_signature() -> None:
    kernels = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    kernels[1] = 0
    probes = noise(16)
    layers = responding(probes, nn.Sequential(convolution(kernels, bias=0.3), nn.ReLU()))
    assert set(example_table(layers, probes, (16, 16))["unit"].to_pylist()) == {0}
    assert not quantised(layers[0].sketches)[1].any()


@pytest.mark.parametrize("side", [56, 50])
def test_parts_are_means_of_the_picture_interpolated_between_cells(side: int) -> None:
    step = steps_of(two_layers(), side)[0]
    cells = side // 2
    rows = torch.randn(cells * cells, 1, generator=torch.Generator().manual_seed(1))
    found = parts(step, (side, side)) @ rows.double().numpy()
    finely = (torch.arange(side * GRID, dtype=torch.float64) + 0.5) / GRID  # GRID points in every pixel
    at = 2 * (finely.floor() / 2 + 0.5) / cells - 1  # cell i is centred on pixel 2·i
    grid = torch.stack(torch.meshgrid(at, at, indexing="ij")[::-1], -1)
    image = rows.view(1, 1, cells, cells).double()
    pixels = functional.grid_sample(image, grid[None], padding_mode="border", align_corners=False)
    expected = functional.avg_pool2d(pixels, side)
    assert found[:, 0] == pytest.approx(expected.numpy().ravel(), abs=1e-6)


def on_common_grid(network: nn.Module, probes: ProbeSet) -> list[np.ndarray]:
    """[unit, picture · part] of each layer: what signatures stand for, exactly."""
    x = torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    made = []
    for depth, step in enumerate(steps_of(network, probes.side), 1):
        with torch.no_grad():
            responses = network[: 2 * depth](x.clone()).flatten(2).numpy()
        made.append((responses @ parts(step, (probes.side,) * 2).T).transpose(1, 0, 2).reshape(step.width, -1))
    return made


def test_signatures_tell_correlations_of_one_model_and_of_two_with_an_error_below_003() -> None:
    probes = synthetic(32)
    networks = [two_layers(seed) for seed in (0, 1)]
    exact = np.concatenate([units for network in networks for units in on_common_grid(network, probes)])
    told = np.concatenate([quantised(layer.sketches) for n in networks for layer in responding(probes, n)])
    pairs = ~np.eye(len(exact), dtype=bool)
    errors = (cosines(told, told) - np.corrcoef(exact))[pairs]
    assert np.sqrt(np.mean(errors**2)) < 0.03
    assert np.corrcoef(exact)[pairs].std() > 0.1


def test_half_of_the_pictures_is_a_part_of_the_signature() -> None:
    probes, network = noise(32, 20), two_layers()
    half = ProbeSet("half", probes.names[::2], probes.pictures[::2])
    [whole, _], [part, _] = (responding(some, network) for some in (probes, half))
    shift = whole.sketches[:, ::2] - part.sketches
    assert np.allclose(shift, shift[:, :1], atol=1e-3 * np.abs(whole.sketches).max())  # another mean, nothing else


def test_units_behind_a_flattening_are_measured_too() -> None:
    network = nn.Sequential(convolution(planted()), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(9, 4))
    probes = noise(16, 5)
    *_, layer = responding(probes, network)
    with torch.no_grad():
        expected = network(torch.from_numpy(probes.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()
    assert layer.strongest == pytest.approx(expected.T, abs=1e-5)
