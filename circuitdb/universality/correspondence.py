"""The graph of correspondences: units of several models and which is which other's analogue.

In come the analogues of a store, out come a NetworkX graph and a table that Parquet takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from circuitdb.backends.base import Store
from circuitdb.universality.signatures import keys_of, layers_of

if TYPE_CHECKING:
    import networkx as nx


def correspondence_table(store: Store, models: Sequence[str]) -> pa.Table:
    """The analogues between models: `source` and `target` (unit keys), rank, score, excess, q, mutual, method."""
    there = {row["name"]: row for row in store.models()}
    keys = {name: pa.array(keys_of(name, layers_of(there[name]))) for name in models}
    tables = []
    for pairs in store.analogues():
        if pairs.source in keys and pairs.target in keys:
            rows = pairs.rows
            for end, model in (("source", pairs.source), ("target", pairs.target)):
                named = keys[model].take(rows[end].combine_chunks())
                rows = rows.set_column(rows.column_names.index(end), end, named)
            tables.append(rows)
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({"source": [], "target": []})


def correspondence_graph(table: pa.Table) -> nx.DiGraph[str]:
    """The same as a graph: nodes are unit keys with their `model` and `layer`, edges carry the row's properties."""
    import networkx as nx

    from circuitdb.graph import split_key

    graph: nx.DiGraph[str] = nx.DiGraph()
    for row in table.to_pylist():
        ends = row.pop("source"), row.pop("target")
        for key in ends:
            model, layer, _ = split_key(key)
            graph.add_node(key, model=model, layer=layer)
        graph.add_edge(*ends, **{name: value for name, value in row.items() if value is not None})
    return graph
