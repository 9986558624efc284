"""The same searches by DotMotif's in-memory executor, on edges filtered beforehand so that it ends.

DotMotif gets a NetworkX graph that holds only the edges above the threshold, made before the clock starts; circuitdb
searches the whole file and brings all circuits, once as the sequence that `find` gives and once with every circuit made
an object and asked for its units, which is what DotMotif gives. A search of DotMotif that takes too long is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import circuitdb
from benchmarks.measuring import apart, best_of
from benchmarks.searches import Search, chain, crossed, two_hops
from benchmarks.table import Row, faster
from circuitdb.database import Database

MOST_SECONDS = 60.0
SEARCHES = {"two hops": two_hops, "cross-inhibition": crossed, "four-hop chain": chain}
Question = tuple[str, str, Search]


def rows(questions: Sequence[Question]) -> list[Row]:
    """A row for each search that DotMotif can say, or one that says why there is none."""
    try:
        import dotmotif  # noqa: F401
    except ImportError as error:
        return [Row("not measured", f"DotMotif cannot be imported: {error} (pip install dotmotif)")]
    table = []
    for path, model, search in questions:
        if not search.dotmotif:
            continue
        database = circuitdb.open(path)

        def find(search: Search = search, database: Database = database) -> int:
            return len(database.find(search.motif, limit=10_000_000, **search.parameters))

        def make(search: Search = search, database: Database = database) -> int:
            circuits = database.find(search.motif, limit=10_000_000, **search.parameters)
            return sum(len(circuit.units) for circuit in circuits)

        number = find()
        best = best_of({"found": find, "each an object": make}, 3, warm=False)
        arguments = (path, search.name, search.share)
        answer = apart("benchmarks.dotmotif_search", "find_all", *arguments, most_seconds=MOST_SECONDS)
        name = f"{search.name}, {'InceptionV1' if model == 'inceptionv1' else 'random'}, all {number:,}"
        found, taken = (None, MOST_SECONDS) if answer.timed_out else answer.result
        if found not in (None, number * search.symmetries):
            raise RuntimeError(f"{search.name}: DotMotif finds {found}, circuitdb {number}")
        bound = ">" if answer.timed_out else ""
        table += [faster(f"{name}, {how}", ours, "DotMotif", taken, 40, bound=bound) for how, ours in best.items()]
    return table


def find_all(path: str, name: str, share: float) -> tuple[int, float]:
    """How many labelled circuits DotMotif finds, and the seconds of its `find` alone."""
    import duckdb
    import networkx as nx
    from dotmotif import GrandIsoExecutor, Motif

    with duckdb.connect(path, read_only=True) as connection:
        edges = connection.execute(
            "SELECT source, target, CASE WHEN kind = 'EXCITES' THEN 1 ELSE -1 END FROM edge "
            "WHERE share > ? AND kind <> 'SKIP'",
            [share],
        ).fetchall()
    graph = nx.DiGraph()
    graph.add_edges_from((str(source), str(target), {"sign": sign}) for source, target, sign in edges)
    text = "\n".join(
        f"{source} -> {target} [sign = {1 if excites else -1}]"
        for _, source, target, excites in SEARCHES[name](share).edges
    )
    executor = GrandIsoExecutor(graph=graph)
    motif = Motif(text)
    started = time.perf_counter()
    found = executor.find(motif)
    return len(found), time.perf_counter() - started
