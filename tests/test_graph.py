"""The registry, the keys of units, and the page made from the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuitdb.errors import InputError
from circuitdb.graph import (
    REGISTRY,
    Record,
    check_name,
    properties,
    property_of,
    reference_page,
    split_key,
    unit_key,
)

ROOT = Path(__file__).resolve().parent.parent

names = st.text(st.characters(exclude_characters="/:\0", exclude_categories=["Cs"]), min_size=1)


def test_the_reference_page_is_what_the_registry_makes() -> None:
    page = (ROOT / "docs" / "graph.md").read_text(encoding="utf-8")
    assert page == reference_page(), "docs/graph.md is stale: python -m circuitdb.graph > docs/graph.md"


def test_no_property_is_registered_twice() -> None:
    places = [(prop.record, prop.name) for prop in REGISTRY]
    assert len(places) == len(set(places))


def test_every_record_has_properties_and_each_says_what_it_means() -> None:
    assert all(properties(record) for record in Record)
    assert all(prop.meaning for prop in REGISTRY)


def test_the_page_names_every_property_with_its_type() -> None:
    page = reference_page()
    for prop in REGISTRY:
        star = "\\*" if prop.optional else ""
        assert f"| `{prop.name}`{star} | {prop.type} | {prop.unit} |" in page


def test_an_edge_carries_what_the_definitions_ask() -> None:
    asked = (
        "weight strength peak excitation inhibition coherence share rank_in rank_out top bottom left right centre "
        "dx dy m0_re m0_im m1_re m1_im m2_re m2_im m3_re m3_im m4_re m4_im kernel kernel_h kernel_w"
    )
    assert {prop.name for prop in properties(Record.EDGE)} >= set(asked.split())


def test_a_property_that_is_not_there_is_none() -> None:
    assert property_of(Record.EDGE, "label") is None
    assert property_of(Record.UNIT, "label") is not None


@given(names, names, st.integers(0, 10**9))
def test_a_key_splits_into_what_it_was_made_of(model: str, layer: str, index: int) -> None:
    assert split_key(unit_key(model, layer, index)) == (model, layer, index)
    assert check_name(model, "model") == model


NO_KEYS = ["", "m/l", "m/l:", "m/l:x", "m/l:-1", "m/l:01", "l:1", "/l:1", "m/:1", "a/b/c:1", "m/l:1 ", "m/l:１"]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_key_is_refused_with_an_example(key: str) -> None:
    with pytest.raises(InputError, match="one looks like inceptionv1/mixed4c:447"):
        split_key(key)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a\0b", "/", ":"])
def test_names_that_would_break_keys_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="layer name"):
        check_name(name, "layer")
