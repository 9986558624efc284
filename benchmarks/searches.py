"""The searches that are timed, each in several tongues: the motif language, SQL, Cypher, DotMotif's, sparse algebra.

SQL and Cypher are what one writes by hand for the same question: units' keys, weight and share of every edge, the
score, the best thousand first. `count_by_algebra` counts with sparse matrices. All must find as many circuits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

Arrays = Mapping[str, np.ndarray]
"""Columns of a model's edges (source, target, excites, share) and of its flip map (map_source, map_target)."""


@dataclass(frozen=True)
class Search:
    """One question.

    name: as the table shows it. motif: of the library, or text. parameters: for the motif. units: in the order of the
    SQL's columns. edges: (alias, source, target, excites). where: more conditions, `{share}` stands for the
    threshold. dotmotif: its edges, signs as an attribute.
    """

    name: str
    motif: str
    parameters: Mapping[str, object]
    share: float
    edges: tuple[tuple[str, str, str, bool], ...] = ()
    sql: str = ""
    sql_where: str = ""
    sql_tables: tuple[str, ...] = ()
    cypher: str = ""
    algebra: Callable[[sp.csr_array, sp.csr_array, Arrays], int] | None = None
    dotmotif: bool = False
    symmetries: int = 1
    cypher_where: str = ""

    @property
    def units(self) -> list[str]:
        """The units, in the order of the edges."""
        return list(dict.fromkeys(unit for _, source, target, _ in self.edges for unit in (source, target)))

    def page_sql(self, columns: Sequence[str] = ("weight", "share"), rows: int | None = 1000) -> str:
        """Keys, these columns of the edges and the score of the best circuits, as one writes it by hand."""
        if self.sql:
            return self.sql
        place = self._places()
        ids = ", ".join(f"{place[unit]} AS {unit}" for unit in self.units)
        numbers = [f'{name}."{column}" AS {name}_{column}' for name, *_ in self.edges for column in columns]
        score = f"least({', '.join(f'{name}.share' for name, *_ in self.edges)})"
        limit = "" if rows is None else f" LIMIT {rows}"
        page = (
            f"SELECT {ids}, {', '.join(numbers)}, {score} AS score FROM {', '.join(self._tables())} "
            f"WHERE {' AND '.join(self._conditions())} ORDER BY score DESC{limit}"
        )
        keys = ", ".join(f"u_{unit}.key" for unit in self.units)
        joins = " ".join(f"JOIN unit AS u_{unit} ON u_{unit}.id = page.{unit}" for unit in self.units)
        shown = ", ".join(f"{name}_{column}" for name, *_ in self.edges for column in columns)
        return f"SELECT {keys}, {shown}, score FROM ({page}) AS page {joins} ORDER BY score DESC"

    def count_sql(self) -> str:
        """The number of circuits, as one writes it by hand."""
        if self.sql:
            return f"SELECT count(*) FROM ({self.sql.replace('LIMIT 1000', '')})"
        return f"SELECT count(*) FROM {', '.join(self._tables())} WHERE {' AND '.join(self._conditions())}"

    def _places(self) -> dict[str, str]:
        place: dict[str, str] = {}
        for name, source, target, _ in self.edges:
            place.setdefault(source, f"{name}.source")
            place.setdefault(target, f"{name}.target")
        return place

    def _tables(self) -> list[str]:
        return [*(f"edge AS {name}" for name, *_ in self.edges), *self.sql_tables]

    def _conditions(self) -> list[str]:
        place = self._places()
        conditions = []
        for name, source, target, excites in self.edges:
            conditions += [f"{name}.kind = '{'EXCITES' if excites else 'INHIBITS'}'", f"{name}.share > $share"]
            conditions += [
                f"{name}.{end} = {place[unit]}"
                for end, unit in (("source", source), ("target", target))
                if place[unit] != f"{name}.{end}"
            ]
        return conditions + ([self.sql_where] if self.sql_where else [])

    def page_cypher(self) -> str:
        """The plain single MATCH."""
        if self.cypher:
            return self.cypher
        paths = ", ".join(
            f"({source}:Unit)-[{name}:{'EXCITES' if excites else 'INHIBITS'}]->({target}:Unit)"
            for name, source, target, excites in self.edges
        )
        shares = " AND ".join(f"{name}.share > $share" for name, *_ in self.edges)
        first = self.edges[0][1]
        weakest = ", ".join(f"{name}.share" for name, *_ in self.edges)
        keys = ", ".join(f"{unit}.key" for unit in self.units)
        whole = ", ".join(f"properties({name})" for name, *_ in self.edges)
        more = f" AND {self.cypher_where}" if self.cypher_where else ""
        return (
            f"MATCH {paths} WHERE {first}.model = $model AND {shares}{more} "
            f"WITH *, reduce(m = 1.0, x IN [{weakest}] | CASE WHEN x < m THEN x ELSE m END) AS score "
            f"ORDER BY score DESC LIMIT 1000 RETURN {keys}, {whole}, score"
        )


def _chain(up: sp.csr_array, down: sp.csr_array, arrays: Arrays) -> int:
    number = np.ones(up.shape[0], dtype=np.int64)
    for _ in range(4):
        number = up @ number
    return int(number.sum())


def _two_hops(up: sp.csr_array, down: sp.csr_array, arrays: Arrays) -> int:
    return int(up.sum(axis=0) @ down.sum(axis=1))


def _crossed(up: sp.csr_array, down: sp.csr_array, arrays: Arrays) -> int:
    cases = up.T @ down
    return int((cases.multiply(cases.T).multiply(up @ up.T)).sum()) // 2


def _union(up: sp.csr_array, down: sp.csr_array, arrays: Arrays) -> int:
    size = up.shape[0]
    ones = np.ones(len(arrays["map_source"]), dtype=np.int64)
    flip = sp.csr_array((ones, (arrays["map_source"], arrays["map_target"])), shape=(size, size))
    fixed = flip.diagonal()
    moves = flip - sp.diags_array(fixed, dtype=np.int64)
    crossed = up.multiply(moves @ up @ moves.T).multiply(down @ moves.T).multiply(moves @ down)
    united = up.multiply(moves @ up) @ fixed
    return int((crossed @ united).sum()) // 2


_CROSSED = (
    ("e1", "left1", "left2", True),
    ("e2", "left2", "both", True),
    ("e3", "right1", "right2", True),
    ("e4", "right2", "both", True),
    ("e5", "left1", "right2", False),
    ("e6", "right1", "left2", False),
)


def two_hops(share: float) -> Search:
    """One unit excites another that inhibits a third."""
    edges = (("e1", "a", "b", True), ("e2", "b", "c", False))
    text = f"find {{ a +> b -| c every edge where share > {share:g} }}"
    return Search("two hops", text, {}, share, edges, algebra=_two_hops, dotmotif=True)


def crossed(share: float) -> Search:
    """Cross-inhibition, the union over cases without maps."""
    return Search(
        "cross-inhibition",
        "cross_inhibition",
        {"min_share": share},
        share,
        _CROSSED,
        sql_where="e1.source < e3.source",
        cypher_where="left1.position < right1.position AND left2 <> right2",
        algebra=_crossed,
        dotmotif=True,
        symmetries=2,
    )


def union_over_cases(share: float) -> Search:
    """Union over cases with the map flip."""
    maps = (("m1", "left1", "right1"), ("m2", "left2", "right2"), ("m3", "both", "both"))
    place = {
        "left1": "e1.source",
        "right1": "e3.source",
        "left2": "e1.target",
        "right2": "e3.target",
        "both": "e2.target",
    }
    rows = [
        f"{m}.map = 'flip' AND {m}.source = {place[source]} AND {m}.target = {place[target]}"
        for m, source, target in maps
    ]
    paths = " AND ".join(f"({source})-[:MAPS_TO {{map: 'flip'}}]->({target})" for _, source, target in maps)
    return Search(
        "union over cases",
        "union_over_cases",
        {"min_share": share},
        share,
        _CROSSED,
        sql_tables=tuple(f"map AS {m}" for m, *_ in maps),
        # The planted maps are mutual, so the lesser labelling is always a match too.
        sql_where=" AND ".join([*rows, "e1.source < e3.source"]),
        cypher_where=f"left1.position < right1.position AND {paths}",
        algebra=_union,
        symmetries=2,
    )


def chain(share: float) -> Search:
    """Four exciting edges in a row."""
    names = "abcde"
    edges = tuple((f"e{i + 1}", names[i], names[i + 1], True) for i in range(4))
    text = f"find {{ a +> b +> c +> d +> e every edge where share > {share:g} }}"
    return Search("four-hop chain", text, {}, share, edges, algebra=_chain, dotmotif=True)


_SUPERPOSITION_SQL = """
SELECT u.key, list(h.key) AS hosts FROM (
    SELECT DISTINCT e.source AS pure, e.target AS host
    FROM edge AS e JOIN label AS p ON p.unit_id = e.source AND p.label_folded LIKE '%car%'
    WHERE e.kind = 'EXCITES' AND e.share > $share AND EXISTS (
        SELECT 1 FROM edge AS o WHERE o.target = e.target AND o.kind = 'EXCITES' AND o.rank_in = 1
            AND o.source <> e.source AND NOT EXISTS (
                SELECT 1 FROM label AS l WHERE l.unit_id = o.source AND l.label_folded LIKE '%car%'))
    ) AS found JOIN unit AS u ON u.id = found.pure JOIN unit AS h ON h.id = found.host
WHERE NOT EXISTS (
    SELECT 1 FROM edge AS n WHERE n.source = found.pure AND n.kind = 'EXCITES' AND n.rank_in = 1)
GROUP BY u.key HAVING count(*) >= 3 ORDER BY u.key LIMIT 1000
"""

_SUPERPOSITION_CYPHER = """
MATCH (pure:Unit)-[e:EXCITES]->(host:Unit)<-[o:EXCITES]-(other:Unit)
WHERE pure.model = $model AND any(l IN pure.labels_folded WHERE l CONTAINS 'car') AND e.share > $share
  AND o.rank_in = 1 AND other <> pure
  AND NOT any(l IN coalesce(other.labels_folded, []) WHERE l CONTAINS 'car')
  AND NOT EXISTS { MATCH (pure)-[:EXCITES {rank_in: 1}]->(:Unit) }
WITH pure, collect(DISTINCT host.key) AS hosts WHERE size(hosts) >= 3
RETURN pure.key, hosts ORDER BY pure.position LIMIT 1000
"""


def superposition(share: float) -> Search:
    """A labelled unit spread over units of another kind."""
    return Search(
        "superposition",
        "superposition",
        {"feature": "car", "min_share": share},
        share,
        sql=_SUPERPOSITION_SQL,
        cypher=_SUPERPOSITION_CYPHER,
    )


RANDOM = (two_hops(0.03), crossed(0.01), union_over_cases(0.005), superposition(0.02), chain(0.03))
"""What is asked of the random graph."""
INCEPTIONV1 = (two_hops(0.02), crossed(0.02), union_over_cases(0.005), superposition(0.02), chain(0.03))
"""What is asked of InceptionV1, whose weights know stronger circuits."""
