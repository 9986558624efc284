"""`python -m benchmarks`: everything that is compared, measured in one run, one table at the end.

`--only ingest --only search` takes some of the sections; `--edges N` a smaller random graph.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks import graphs
from benchmarks.measuring import apart
from benchmarks.searches import INCEPTIONV1, RANDOM, Search
from benchmarks.table import Row, Section, print_table


class Benchmarks:
    """The sections; the two graphs are made when first asked for."""

    def __init__(self, folder: Path, edges: int) -> None:
        self._folder = folder
        self._edges = edges

    def run(self, chosen: Collection[str]) -> list[Section]:
        """The chosen sections in order."""
        sections = []
        for name, make in SECTIONS.items():
            if name in chosen:
                print(f"{name} …", file=sys.stderr, flush=True)
                sections += make(self)
        return sections

    def _random(self) -> str:
        path = self._folder / "random.duckdb"
        if not path.exists():
            apart("benchmarks.graphs", "write_random", self._edges, str(path))
        return str(path)

    def _inceptionv1(self) -> str | None:
        path = self._folder / "inceptionv1.duckdb"
        weights = graphs.data_file(graphs.WEIGHTS)
        if weights is None:
            return None
        if not path.exists():
            apart("benchmarks.graphs", "write_inceptionv1", str(weights), str(path))
        return str(path)

    def parsing(self) -> list[Section]:
        from benchmarks import parsing

        return [parsing.section()]

    def ingest(self) -> list[Section]:
        weights = graphs.data_file(graphs.WEIGHTS)
        if weights is None:
            return [Section("Ingest of InceptionV1", (_no_weights(),))]
        from benchmarks import expansion, ingest

        return [
            Section("Ingest of InceptionV1, from the command's start", tuple(ingest.rows(str(weights)))),
            Section("Expanded weights of InceptionV1", tuple(expansion.rows(str(weights)))),
        ]

    def loading(self) -> list[Section]:
        from benchmarks import loading

        return [Section("Writing a graph into a DuckDB file", tuple(loading.rows(self._edges)))]

    def search(self) -> list[Section]:
        from benchmarks import search

        sections = [Section(f"Searching {self._title()}, on DuckDB", tuple(search.rows(self._random(), RANDOM)))]
        path = self._inceptionv1()
        found = [_no_weights()] if path is None else search.rows(path, INCEPTIONV1)
        return [*sections, Section("Searching InceptionV1, on DuckDB", tuple(found))]

    def neo4j(self) -> list[Section]:
        from benchmarks import neo4j_loading, neo4j_search

        return [
            Section("Searching on DuckDB beside Neo4j", tuple(neo4j_search.rows(self._questions()))),
            Section("Loading into Neo4j over Bolt", tuple(neo4j_loading.rows())),
        ]

    def dotmotif(self) -> list[Section]:
        from benchmarks import dotmotif_search

        title = "Searching on DuckDB beside DotMotif in memory (GrandIso), edges filtered for it"
        return [Section(title, tuple(dotmotif_search.rows(self._questions())))]

    def growth(self) -> list[Section]:
        from benchmarks import growth

        sizes = [size for size in growth.SIZES if size <= 10 * self._edges]
        return [Section("Growth on DuckDB: find, count, memory of the process", tuple(growth.rows(sizes)))]

    def planted(self) -> list[Section]:
        from benchmarks import planted

        return list(planted.sections(circuits=50))

    def signatures(self) -> list[Section]:
        from benchmarks import signatures

        title = "Errors of correlations told by signatures, 64 units a layer"
        weights, pictures = (graphs.data_file(name) for name in (graphs.WEIGHTS, graphs.PHOTOGRAPHS))
        if weights is None or pictures is None:
            return [Section(title, (_no_weights(),))]
        return [Section(title, tuple(signatures.rows(weights.parent, pictures)))]

    def zoo(self) -> list[Section]:
        from benchmarks import zoo

        title = "Ten models in one file, probed on photographs, and their joins"
        weights, pictures = (graphs.data_file(name) for name in (graphs.WEIGHTS, graphs.PHOTOGRAPHS))
        if weights is None or pictures is None:
            return [Section(title, (_no_weights(),))]
        return [Section(title, tuple(zoo.rows(weights.parent, pictures, self._folder)))]

    def _questions(self) -> list[tuple[str, str, Search]]:
        questions = [(self._random(), graphs.MODEL, search) for search in RANDOM]
        path = self._inceptionv1()
        if path is not None:
            questions += [(path, "inceptionv1", search) for search in INCEPTIONV1]
        return questions

    def _title(self) -> str:
        return f"a random graph of {self._edges / 1e6:g}M edges"


def _no_weights() -> Row:
    return Row("not measured", f"{graphs.WEIGHTS} is not there; CIRCUITDB_DATA names the folder of data")


SECTIONS: dict[str, Callable[[Benchmarks], list[Section]]] = {
    "parsing": Benchmarks.parsing,
    "ingest": Benchmarks.ingest,
    "loading": Benchmarks.loading,
    "search": Benchmarks.search,
    "neo4j": Benchmarks.neo4j,
    "dotmotif": Benchmarks.dotmotif,
    "growth": Benchmarks.growth,
    "planted": Benchmarks.planted,
    "signatures": Benchmarks.signatures,
    "zoo": Benchmarks.zoo,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section; may be given several times")
    parser.add_argument("--edges", type=int, default=1_000_000, help="edges of the random graph (1,000,000)")
    options = parser.parse_args()
    chosen = options.only or SECTIONS
    with tempfile.TemporaryDirectory() as folder:
        sections = Benchmarks(Path(folder), options.edges).run(chosen)
    print_table(sections)


if __name__ == "__main__":
    main()
