"""A result says where the query asked for edges that the keep rule left out, and only such a rule is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import circuitdb
from circuitdb.backends.validation import checked
from circuitdb.keep import kept_in, kept_out, ranks
from circuitdb.keep_rule import KeepRule
from circuitdb.pattern.compile import compile_query
from circuitdb.pattern.keeping import remarks_on
from circuitdb.reports.exchange import write_document
from tests.conftest import Command
from tests.graphs import toy_graph

RULES = ("top1", "top3", "max0.3", "max1", "energy0.5", "energy0.9", "all")


@given(
    st.sampled_from(RULES),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 3, 4, 10, np.inf]),
    st.sampled_from([-1, 0, 0.05, 0.09, 0.1, 0.25, 0.5, 0.75, 0.95]),
)
def test_an_edge_within_bounds_that_a_rule_keeps_whole_is_kept(
    text: str, seed: int, most_rank: float, least_share: float
) -> None:
    """Against the masks of an ingest, on random strengths of [target, source] with ties and zeros."""
    rng = np.random.default_rng(seed)
    strength = rng.choice(np.array([0, 0.25, 0.5, 1, 2, 5], np.float32), size=rng.integers(1, 9, size=2))
    rule = KeepRule.parse(text)
    kept = kept_in(rule, strength)
    outputs = kept_out(rule, strength.T)
    kept = kept if outputs is None else kept | outputs.T
    target, source = np.nonzero(strength > 0)
    energy = (strength.astype(np.float64) ** 2).sum(axis=1)
    share = strength[target, source].astype(np.float64) ** 2 / energy[target]
    rank_in, rank_out = ranks(strength, target, source), ranks(strength.T.copy(), source, target)
    if rule.keeps_all(most_rank, -1.0):
        within = (rank_in <= most_rank) if outputs is None else (rank_in <= most_rank) | (rank_out <= most_rank)
        assert kept[target, source][within].all()
    if rule.keeps_all(np.inf, least_share):
        assert kept[target, source][share > least_share].all()


@pytest.mark.parametrize(
    ("rule", "most_rank", "least_share", "keeps"),
    [
        ("top32", 32, -1, True),
        ("top32", 33, -1, False),
        ("top32", np.inf, 1 / 33, True),
        ("top32", np.inf, 0.03, False),
        ("max0.3", np.inf, 0.09, True),
        ("max0.3", np.inf, 0.08, False),
        ("energy0.9", np.inf, 0.11, True),
        ("energy0.9", np.inf, 0.09, False),
        ("all", np.inf, -1, True),
    ],
)
def test_what_a_rule_keeps_whole(rule: str, most_rank: float, least_share: float, keeps: bool) -> None:
    assert KeepRule.parse(rule).keeps_all(most_rank, least_share) == keeps


@pytest.mark.parametrize(
    "query",
    [
        "find { a +> b where rank_in <= 32 }",
        "find { a +> b where rank_out < 33 and weight > 0 }",
        "find { a -| b where 3 >= rank_in }",
        "find { a -> b as e } where e.rank_in = 2",
        "find { a -> b -> c every edge where share > 0.05 }",
        "find { a -> b -> c } where min(share) > 0.05",
        "find { a -> b -> c } where max(rank_in) <= 20",
        "find { skip a -> b }",
        "find { unit a no a -> b where rank_in = 1 }",
        "find { a -> b where rank_in = 1 at least 2 c { b -> c where share >= 0.1 } }",
    ],
)
def test_a_query_above_the_rule_is_not_remarked_on(query: str) -> None:
    assert remarks_on(compile_query(query), {"net": "top32"}) == ()


@pytest.mark.parametrize(
    ("query", "edges"),
    [
        ("find { a +> b }", "a +> b"),
        ("find { a +> b where rank_in <= 33 }", "a +> b"),
        ("find { a +> b where rank_in >= 2 }", "a +> b"),
        ("find { a +> b where rank_in <= 3 or share > 0.5 }", "a +> b"),
        ("find { a +> b where not (rank_in > 3) }", "a +> b"),
        ("find { a -> b where rank_in = 1; b -| c }", "b -| c"),
        ("find { a -> b -> c } where max(share) > 0.05", "a -> b, b -> c"),
        ("find { unit a no a -> b }", "a -> b"),
        ("find { a -> b where rank_in = 1 at least 2 c { b -> c where share >= 0.01 } }", "b -> c"),
        ("find { {a, b} -> c; {d, e} -> c }", "a -> c, b -> c, d -> c and 1 more"),
    ],
)
def test_a_query_below_the_rule_is_told_with_its_edges(query: str, edges: str) -> None:
    [remark] = remarks_on(compile_query(query), {"net": "top32"})
    assert remark.startswith(f"the query asks below top32 ({edges}), so that edges left out may change the answer; ")
    assert remark.endswith("`every edge where rank_in <= 32` stays above it")


def test_every_rule_of_the_models_searched_is_judged_for_itself() -> None:
    rules = {"a": "top32", "b": "max0.5", "c": "all", "d": None, "e": "the 7 best"}
    both = remarks_on(compile_query("find { a +> b where share > 0.1 }"), rules)
    assert [remark.split()[4] for remark in both] == ["max0.5"]
    assert remarks_on(compile_query("find { a +> b } in c, d, e"), rules) == ()
    [elsewhere] = remarks_on(compile_query("find { u = u; analog(u, b) -> analog(v, b); u -> v } in c"), rules)
    assert elsewhere.startswith("the query asks below max0.5 ")


def test_what_a_remark_advises_silences_it() -> None:
    for rule in RULES:
        condition = KeepRule.parse(rule).enough
        assert remarks_on(compile_query(f"find {{ a -> b where {condition} }}"), {"net": rule}) == ()


def test_remarks_come_with_the_result(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "kept.duckdb"
    with circuitdb.open(str(path)) as database:
        document = write_document([checked(toy_graph())])
        document["models"][0]["keep"] = "top2"
        database.import_document(document)
        found = database.find("find { a -> b }")
        assert [remark.split()[4] for remark in found.remarks] == ["top2"]
        assert found.remarks[0] in repr(found)
        assert database.find("find { a -> b where rank_in <= 2 }").remarks == ()
    table = command("find", "find { a -> b }", db=path)
    assert table.out.splitlines()[-1].startswith("the query asks below top2 ")
    assert command("find", "find { a -> b }", "--quiet", db=path).out.count("asks below") == 0
    assert command("find", "find { a -> b }", "--format", "json", db=path).json["remarks"] == list(found.remarks)
    csv = command("find", "find { a -> b }", "--format", "csv", db=path)
    assert ("asks below" in csv.out, "asks below" in csv.err) == (False, True)
    counted = command("count", "find { a -> b }", db=path)
    assert (counted.out, "asks below" in counted.err) == ("9\n", True)
