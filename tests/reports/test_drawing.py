"""Drawings: nothing overlaps, symmetry is seen, the same input gives the same bytes, and no text escapes its place."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitdb.errors import InputError
from circuitdb.pattern.compile import compile_query
from circuitdb.reports.drawing import draw_circuit, draw_kernel_matrix, draw_null, draw_pattern
from circuitdb.reports.drawing.circuit import circuit_scene
from circuitdb.reports.drawing.colours import BLUE, RED
from circuitdb.reports.drawing.kernel import kernel_part, shade
from circuitdb.reports.drawing.layout import MARGIN, Box, Layout, lay_out
from circuitdb.reports.drawing.legend import legend
from circuitdb.reports.drawing.pattern import pattern_scene
from circuitdb.reports.drawing.render import render
from circuitdb.reports.drawing.scene import Link, Scene, Tile
from circuitdb.reports.drawing.text import fit, width, wrap
from circuitdb.reports.words import in_words

SVG = "{http://www.w3.org/2000/svg}"
MIRRORED = {
    "case1": "m/L0:0",
    "case2": "m/L1:0",
    "T(case1)": "m/L0:1",
    "T(case2)": "m/L1:1",
    "both": "m/L2:0",
    "T(both)": "m/L2:0",
}


def edge(source: str, target: str, weight: float, *, share: float = 0.1, kind: str | None = None) -> dict[str, object]:
    kernel = weight / 9 * np.ones(9)
    return {
        "source": source,
        "target": target,
        "kind": kind or ("EXCITES" if weight >= 0 else "INHIBITS"),
        "weight": weight,
        "share": share,
        "kernel": kernel.tolist(),
        "kernel_h": 3,
        "kernel_w": 3,
        "offset_y": -1.0,
        "offset_x": -1.0,
    }


MIRRORED_EDGES = [
    edge("m/L0:0", "m/L1:0", 1.0),
    edge("m/L0:1", "m/L1:1", 1.0),
    edge("m/L0:0", "m/L1:1", -0.5),
    edge("m/L0:1", "m/L1:0", -0.5),
    edge("m/L1:0", "m/L2:0", 0.7),
    edge("m/L1:1", "m/L2:0", 0.7),
    edge("m/L0:0", "m/L2:0", 0.2),
]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Circuits of up to 24 units and 60 edges, long and short ones, with and without opposite units."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = draw(st.integers(1, 7))
    place = [*range(columns), *rng.integers(0, columns, draw(st.integers(0, 24 - columns)))]
    pictures = (png(),) * draw(st.sampled_from([0, 1, 2, 4]))
    tiles = tuple(
        Tile(
            f"u{number}",
            int(column),
            heading="W" * int(rng.integers(0, 30)),
            lines=("mixed4b:404", "dog head with a long name")[: int(rng.integers(0, 3))],
            pictures=pictures[: int(rng.integers(0, 5))],
        )
        for number, column in enumerate(place)
    )
    pairs = [(a.key, b.key) for a, b in itertools.product(tiles, tiles) if a.column < b.column]
    chosen = rng.permutation(len(pairs))[: draw(st.integers(0, 60))]
    links = tuple(
        Link(
            *pairs[number],
            sign="excites" if rng.integers(2) else "inhibits",
            kernel=rng.normal(size=tuple(rng.integers(1, 12, 2))) if rng.integers(8) else None,
            share=float(rng.random()),
            caption=f"{rng.random():.1%}" if rng.integers(4) else "",
        )
        for number in chosen
    )
    opposite = []
    if draw(st.booleans()):
        for column in range(columns):
            own = [tile.key for tile in tiles if tile.column == column]
            opposite += list(itertools.islice(zip(own[::2], own[1::2], strict=False), int(rng.integers(0, 4))))
    return Scene("t" * 300, "", ("mixed4b" * 9,) * columns, tiles, links, tuple(opposite), axis="x" if opposite else "")


def boxes_of(scene: Scene, layout: Layout) -> Iterator[tuple[str, Box]]:
    yield "title", layout.title
    yield from (("heading", box) for box in layout.headings)
    yield from layout.tiles.items()
    for number, port in enumerate(layout.ports):
        if port.kernel is not None:
            yield f"kernel {number}", port.kernel
        if port.caption is not None:
            yield f"caption {number}", port.caption
    _, boxes, _ = legend(scene, 1.0, MARGIN, layout.height, layout.width - 2 * MARGIN)
    yield from (("legend", box) for box in boxes)


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.right - 1e-6 and b.x < a.right - 1e-6 and a.y < b.bottom - 1e-6 and b.y < a.bottom - 1e-6


def points_of(route: tuple[tuple[float, float], ...]) -> Iterator[tuple[float, float]]:
    """Points along a line: a cubic from the first to the second point, a straight line to the third, and so on."""
    for number, ((x0, y0), (x1, y1)) in enumerate(itertools.pairwise(route)):
        for t in np.linspace(0, 1, 41):
            if number % 2:
                yield x0 + t * (x1 - x0), y0
            else:
                half = (x0 + x1) / 2
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
                yield (
                    float(np.dot(weights, (x0, half, half, x1))),
                    float(np.dot(weights, (y0, y0, y1, y1))),
                )


@settings(max_examples=120, deadline=None)
@given(scenes())
def test_nothing_overlaps_at_up_to_24_units_and_60_edges(scene: Scene) -> None:
    layout = lay_out(scene)
    for (name, a), (other, b) in itertools.combinations(boxes_of(scene, layout), 2):
        assert not overlap(a, b), f"{name} overlaps {other}"
    for name, box in boxes_of(scene, layout):
        assert box.x >= 0, name
        assert box.right <= layout.width, name
    for link, route in zip(scene.links, layout.routes, strict=True):
        others = [box for key, box in layout.tiles.items() if key not in (link.source, link.target)]
        others += [port.kernel for port in layout.ports if port.kernel is not None]
        for x, y in points_of(route):
            assert not any(box.x + 1e-6 < x < box.right - 1e-6 and box.y < y < box.bottom for box in others)


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_opposite_tiles_mirror_each_other_at_the_axis(scene: Scene) -> None:
    layout = lay_out(scene)
    for above, below in scene.opposite:
        top, bottom = layout.tiles[above], layout.tiles[below]
        assert top.middle < layout.axis < bottom.middle
        assert top.middle + bottom.middle == pytest.approx(2 * layout.axis)
        assert top.x == bottom.x


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_equal_scenes_give_equal_bytes(scene: Scene) -> None:
    assert render(scene).svg == render(scene).svg


def test_t_of_a_case_is_opposite_the_case_and_an_invariant_unit_on_the_axis() -> None:
    scene = circuit_scene(MIRRORED, MIRRORED_EDGES, title="", records={}, examples={})
    layout = lay_out(scene)
    assert scene.opposite == (("m/L0:0", "m/L0:1"), ("m/L1:0", "m/L1:1"))
    assert [tile.key for tile in scene.tiles if tile.invariant] == ["m/L2:0"]
    assert next(tile.heading for tile in scene.tiles if tile.invariant) == "both = T(both)"
    assert layout.tiles["m/L2:0"].middle == pytest.approx(layout.axis)
    assert "T(x)" in scene.axis


def test_a_group_stands_in_the_order_of_its_poses() -> None:
    turns = [f"rotate({degrees})(a)" for degrees in (90, 180, 270)]
    units = {"b": "m/L1:9", turns[2]: "m/L0:1", "a": "m/L0:7"} | {turns[0]: "m/L0:5", turns[1]: "m/L0:3"}
    edges = [edge(key, "m/L1:9", 1.0) for key in ("m/L0:1", "m/L0:7", "m/L0:5", "m/L0:3")]
    layout = lay_out(circuit_scene(units, edges, title="", records={}, examples={}))
    places = [layout.tiles[key].middle for key in ("m/L0:7", "m/L0:5", "m/L0:3", "m/L0:1")]
    assert places == sorted(places)


def test_layers_follow_each_other_by_depth_and_without_records_by_edges() -> None:
    records = {key: {"depth": depth} for key, depth in (("m/z:0", 1), ("m/y:0", 4), ("m/x:0", 9))}
    edges = [edge("m/z:0", "m/y:0", 1.0), edge("m/z:0", "m/x:0", 1.0), edge("m/y:0", "m/x:0", 1.0)]
    units = {"c": "m/x:0", "b": "m/y:0", "a": "m/z:0"}
    told = circuit_scene(units, edges, title="", records=records, examples={})
    guessed = circuit_scene(units, edges, title="", records={}, examples={})
    assert told.columns == guessed.columns == ("z", "y", "x")
    assert {t.key: t.column for t in told.tiles} == {t.key: t.column for t in guessed.tiles}


def test_circuits_in_two_models_stand_with_their_layers_side_by_side() -> None:
    units = {"a": "m/L0:0", "b": "m/L1:0", "analog(a, n)": "n/c1:4", "analog(b, n)": "n/c2:5"}
    edges = [edge("m/L0:0", "m/L1:0", 1.0), edge("n/c1:4", "n/c2:5", 1.0)]
    scene = circuit_scene(units, edges, title="", records={}, examples={})
    assert scene.columns == ("L0 / c1", "L1 / c2")
    assert scene.opposite == (("m/L0:0", "n/c1:4"), ("m/L1:0", "n/c2:5"))
    assert all(tile.lines[0] in ("m", "n") for tile in scene.tiles)


def test_inhibition_differs_without_colour() -> None:
    drawing = draw_circuit(MIRRORED, MIRRORED_EDGES, title="a title")
    lines = [e for e in ElementTree.fromstring(drawing.svg).iter(f"{SVG}path") if e.get("fill") == "none"]
    shafts = [e for e in lines if e.get("stroke") in (RED, BLUE) and float(e.get("stroke-width", "0")) != 2.6]
    assert {e.get("stroke-dasharray") is not None for e in shafts if e.get("stroke") == BLUE} == {True}
    assert {e.get("stroke-dasharray") is not None for e in shafts if e.get("stroke") == RED} == {False}
    _, red = kernel_part(np.array([[1.0, 0.5]]))
    _, blue = kernel_part(np.array([[-1.0, -0.5]]))
    assert not [e for e in red if e.get("stroke")]
    assert [e for e in blue if e.get("stroke")]


def test_one_scale_holds_for_the_whole_figure() -> None:
    edges = [edge("m/L0:0", "m/L1:0", 9.0), edge("m/L0:1", "m/L1:0", -2.25)]
    svg = draw_circuit({"a": "m/L0:0", "b": "m/L0:1", "c": "m/L1:0"}, edges, title="").svg
    uses = [e.get("opacity") for e in ElementTree.fromstring(svg).iter(f"{SVG}use")]
    assert uses == [None, "0.500"]
    assert "full colour at ±1" in svg
    assert shade(-0.25, 1.0) == 0.5


def test_the_colour_of_a_cell_is_the_root_of_its_part_of_the_scale() -> None:
    _, part = kernel_part(np.array([[4.0, 1.0], [0.0, -0.25]]))
    cells = {e.get("d"): float(e.get("fill-opacity") or 1) for e in part if e.get("fill")}
    assert cells == {"M0 0h1v1h-1z": 1.0, "M1 0h1v1h-1z": 0.5, "M1 1h1v1h-1z": 0.25}


def test_a_drawing_says_in_words_what_it_shows() -> None:
    records = {"m/L2:0": {"depth": 2, "labels": [{"label": "dog"}]}, "m/L0:0": {"depth": 0, "labels": []}}
    root = ElementTree.fromstring(draw_circuit(MIRRORED, MIRRORED_EDGES, title="A title", records=records).svg)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert description.text is not None
    assert title.text == "A title"
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")
    assert "m/L0:0 inhibits m/L1:1 (weight -0.5, share 10.0%)" in description.text
    assert "m/L2:0, both = T(both) of the motif: dog" in description.text
    assert "Mapped to itself: m/L2:0" in description.text


def test_text_made_of_markup_is_shown_as_text() -> None:
    hostile = "</text><script>alert(1)</script>&amp;\"'\x00\x1b\ud800"
    records = {"m/L0:0": {"depth": 0, "labels": [{"label": hostile}]}, "m/L1:0": {"depth": 1, "labels": []}}
    units = {hostile: "m/L0:0", "b": "m/L1:0"}
    svg = draw_circuit(units, [edge("m/L0:0", "m/L1:0", 1.0)], title=hostile, records=records).svg
    assert "<script" not in svg
    root = ElementTree.fromstring(svg)
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "</text><script>alert(1)</script>&amp;\"'\ufffd\ufffd\ufffd"
    assert not [e for e in root.iter() if e.tag == f"{SVG}script"]


def test_a_long_list_is_cut_and_the_drawing_says_so() -> None:
    units = {"pure": "m/L0:0", "host": [f"m/L1:{n}" for n in range(20)]}
    scene = circuit_scene(units, [], title="", records={}, examples={})
    assert len(scene.tiles) == 17
    assert scene.notes == ("4 more units of host are not drawn",)


def test_drawings_are_saved_as_svg_and_png(tmp_path: Path) -> None:
    from PIL import Image

    drawing = draw_circuit(MIRRORED, MIRRORED_EDGES, title="A title")
    drawing.save(tmp_path / "a.svg")
    drawing.save(str(tmp_path / "a.png"))
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    assert picture.size == pytest.approx((2 * drawing.width, 2 * drawing.height), abs=2)
    colours = {colour for _, colour in picture.getcolors(1 << 20) or ()}
    assert {(178, 24, 43), (33, 102, 172), (255, 255, 255)} <= colours
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        drawing.save(tmp_path / "a.jpg")


def test_pictures_stand_in_the_tiles() -> None:
    examples = {"m/L0:0": [{"thumbnail": png()}, {"thumbnail": None}, {"thumbnail": png(200)}]}
    drawing = draw_circuit(MIRRORED, MIRRORED_EDGES, title="", examples=examples)
    pictures = [part for name, part in drawing.parts.items() if name.startswith("p")]
    assert len(pictures) == 2
    assert all((part.get("href") or "").startswith("data:image/png;base64,") for part in pictures)


def test_the_matrix_has_a_kernel_or_a_dot_for_every_pair() -> None:
    sources, targets = [f"m/L0:{n}" for n in range(3)], ["m/L1:0", "m/L1:1"]
    edges = [edge("m/L0:0", "m/L1:0", 1.0), edge("m/L0:2", "m/L1:1", -2.0), edge("m/L0:9", "m/L1:1", 5.0)]
    drawing = draw_kernel_matrix(sources, targets, edges, title="weights", captions={"m/L0:0": "0°"})
    root = ElementTree.fromstring(drawing.svg)
    assert len(list(root.iter(f"{SVG}use"))) == 2
    assert len(list(root.iter(f"{SVG}circle"))) == 4
    places = [tuple(map(float, (e.get("transform") or "")[10:].split(")")[0].split())) for e in root.iter(f"{SVG}use")]
    assert places[0][0] < places[1][0]
    assert places[0][1] < places[1][1]
    assert "full colour at ±0.222" in drawing.svg
    assert draw_kernel_matrix([], [], [], title="nothing").svg


@pytest.mark.parametrize("count", [1, 4, 12])
def test_the_title_of_a_matrix_stands_whole_within_it(count: int) -> None:
    keys = [f"m/L0:{n}" for n in range(count)]
    title = "Weights from resnetv2_50/block1_unit_3 and resnetv2_50/block2_unit_1 to resnetv2_50/block2_unit_2"
    drawing = draw_kernel_matrix(keys, ["m/L1:0"], [edge(keys[0], "m/L1:0", 1.0)], title=title)
    root = ElementTree.fromstring(drawing.svg)
    lines = [e for e in root.iter(f"{SVG}text") if e.get("font-weight") == "bold"]
    assert " ".join(line.text or "" for line in lines) == title
    assert all(float(e.get("x") or 0) + width(e.text or "", 14, bold=True) <= drawing.width for e in lines)
    others = [float(e.get("y") or "inf") for e in root.iter(f"{SVG}text") if e not in lines and not e.get("transform")]
    assert max(float(line.get("y") or 0) for line in lines) < min(others)


def test_conditions_that_the_values_of_parameters_decide_are_not_told() -> None:
    for label, told in (("", []), ("fur", ['high.label ~ "fur"'])):
        query = compile_query("find high_low_frequency", parameters={"high_label": label})
        said = list(in_words(query.body))
        assert [line for line in said if "label" in line] == told
        notes, predicates = pattern_scene(query).notes, pattern_scene(query).description
        assert [note for note in notes if "label" in note] == [f"where {line}" for line in told]
        assert all(line in predicates for line in told)
        assert '""' not in predicates


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ('"a" = "b" or a.bias > 0', ["a.bias > 0"]),
        ('"a" != "b" or a.bias > 0', []),
        ('not ("a" = "b") and a.bias > 0', ["a.bias > 0"]),
        ('a.bias > 0 and "a" = "b"', ["false"]),
        ("a.bias > 0 and (2 = 2 or a.bias < 1)", ["a.bias > 0"]),
        ("a.bias > 0 or b.bias > 0", ["(a.bias > 0) or (b.bias > 0)"]),
    ],
)
def test_constants_are_decided_as_logic_has_it(condition: str, told: list[str]) -> None:
    body = compile_query(f"find {{ a +> b; where {condition} }}").body
    assert [line for line in in_words(body) if line != "a excites b"] == told


@pytest.mark.parametrize("name", ["union_over_cases", "equivariance", "car", "cross_inhibition"])
def test_motifs_of_the_library_have_a_diagram(name: str) -> None:
    query = compile_query(f"find {name}")
    svg = draw_pattern(query).svg
    words = {e.text for e in ElementTree.fromstring(svg).iter(f"{SVG}text")}
    assert {unit.name for unit in query.body.units} <= words


def test_a_motifs_diagram_shows_blocks_and_what_must_not_be() -> None:
    text = "find { a +> b; no b -| c where share > 0.1; at least 3 d { a +> d }; x = flip(x); x +> b }"
    svg = draw_pattern(compile_query(text)).svg
    words = {e.text for e in ElementTree.fromstring(svg).iter(f"{SVG}text")}
    assert {"a", "b", "c", "d", "x", "no", "at least 3", "x = flip(x)"} <= words


def test_no_text_is_wider_than_was_reckoned() -> None:
    """Against the metrics of a real font, DejaVu Sans, the widest of those that drawings ask for."""
    from PIL import ImageFont

    file = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not file.exists():
        pytest.skip("no DejaVu Sans here")
    font = ImageFont.truetype(str(file), 100)
    for sample in (
        "mixed4b:404",
        "dog head facing left",
        "WMwm@%",
        "rotate(90)(case1)",
        "ilj.,!",
        "Straße äöü",
        "±0.25",
    ):
        assert font.getlength(sample) <= width(sample, 100), sample


def test_texts_are_cut_and_wrapped_to_their_room() -> None:
    assert fit("short", 10, 100) == "short"
    assert fit("much too long for that", 10, 60).endswith("…")
    assert width(fit("much too long for that", 10, 60), 10) <= 60
    lines = wrap("dog head and neck facing left", 10, 80, 2)
    assert len(lines) == 2
    assert all(width(line, 10) <= 80 for line in lines)
    assert wrap("", 10, 80, 2) == ()


def png(grey: int = 90) -> bytes:
    """A picture of one grey."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), (grey, zlib.crc32(bytes([grey])) % 255, 30)).save(file, "PNG")
    return file.getvalue()


def test_a_chance_that_never_varies_is_a_bar_at_its_place_within_the_picture() -> None:
    for observed, counts in ((1, [0] * 39), (0, [0] * 5), (3, [7] * 20)):
        root = ElementTree.fromstring(draw_null(observed, counts, title="Chance").svg)
        bars = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if rect.get("fill") == "#8c8c8c"]
        assert len(bars) == 1
        left, wide = float(str(bars[0].get("x"))), float(str(bars[0].get("width")))
        assert 24 <= left < left + wide <= float(str(root.get("width"))) - 24
        assert wide < 20
