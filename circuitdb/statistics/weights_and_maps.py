"""What a model's weights say of its maps: whether W(a -> b) is W(T a -> T b), though no weight was used to find T.

In comes a whole model with maps, out comes a row for each map and pair of layers: how the weights between mapped units
go with those between their images, and how the kernels do once they are turned, each beside shuffled partners.

The partners under a map T are the units a whose image T a is another unit that the inverse map leads back from. For the
partners a of one layer and b of the next (Olah et al. 2020, Naturally Occurring Equivariance):

    straight   corr over all pairs (a, b) of W(a -> b) and W(T a -> T b)
    crossed    corr over all pairs (a, b) of W(a -> b) and W(T a -> b)

and with the units u = T u that a map leaves alone, corr of W(a -> u) and W(T a -> u), and of W(u -> b) and W(u -> T b).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from circuitdb import kernels
from circuitdb.backends.base import ModelGraph, Progress
from circuitdb.graph import EdgeKind, UnitKind
from circuitdb.kernels import Placed
from circuitdb.pattern.maps import MapName, parse_map, turned

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
LayerPair = tuple[str, str]

_FEWEST = 4
"""Fewer pairs than this have no correlation worth a number."""
_KERNELS_AT_ONCE = 1 << 13


@dataclass(frozen=True)
class Figure:
    """A figure over `count` pairs, or None over too few; its mean and standard deviation over shuffled partners."""

    value: float | None
    shuffled: float | None
    shuffled_sd: float | None
    count: int


@dataclass(frozen=True)
class PairOfLayers:
    """What the weights between two layers say of one map.

    source_partners, target_partners: how many units of the layer have another unit as their image, and back.
    source_invariant, target_invariant: how many the map leaves alone.
    straight, crossed, into_invariant, from_invariant: correlations of weights over all pairs of units.
    agreement: mean cosine of the turned kernel of a -> b and the kernel of T a -> T b, where both are edges.
    unturned: the same without turning.
    """

    map: str
    source_layer: str
    target_layer: str
    source_partners: int
    target_partners: int
    source_invariant: int
    target_invariant: int
    straight: Figure
    crossed: Figure
    into_invariant: Figure
    from_invariant: Figure
    agreement: Figure
    unturned: Figure

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, each figure an object of its own."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """One row: a figure under its name, its count and what shuffling gives as `straight_pairs` and so on."""
        row: dict[str, Any] = {}
        for name, value in self.to_dict().items():
            if isinstance(value, dict):
                count = "edges" if name in ("agreement", "unturned") else "pairs"
                row |= {name: value["value"], f"{name}_{count}": value["count"]}
                row |= {f"{name}_{part}": value[part] for part in ("shuffled", "shuffled_sd")}
            else:
                row[name] = value
        return row


@dataclass(frozen=True)
class WeightsAndMaps:
    """A row for each map and pair of layers, and how it was made: shuffles, seed, and what the store left unsaid."""

    model: str
    rows: Sequence[PairOfLayers]
    samples: int
    seed: int
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "model": self.model,
            "samples": self.samples,
            "seed": self.seed,
            "rows": [row.to_dict() for row in self.rows],
            "remarks": list(self.remarks),
        }

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one line a map and pair of layers."""
        import pandas as pd

        return pd.DataFrame([row.flat() for row in self.rows])


@dataclass(frozen=True)
class Partners:
    """The units of a layer that a map takes to others and back, their images, and those it leaves alone, as indices."""

    units: Integers
    images: Integers
    invariant: Integers

    def shuffled(self, rng: np.random.Generator) -> Partners:
        """The same with the units renamed among themselves: which unit is whose partner is left to chance."""
        every = np.union1d(self.units, self.images)
        renamed = rng.permutation(every)
        units, images = (renamed[np.searchsorted(every, those)] for those in (self.units, self.images))
        return Partners(units, images, self.invariant)


def weights_and_maps(
    graph: ModelGraph,
    *,
    maps: Collection[str] | None = None,
    layers: Collection[str] | None = None,
    samples: int = 20,
    seed: int = 0,
    progress: Progress | None = None,
) -> WeightsAndMaps:
    """Compare a model's weights with its maps.

    Parameters
    ----------
    graph
        The model, with maps; `straight` and `crossed` come from its dense matrices, `agreement` from its kept kernels.
    maps, layers
        Only these maps; only pairs of these layers.
    samples, seed
        How often partners are shuffled, and from which seed. Equal seeds give equal figures, whatever maps and layers
        are asked for.
    """
    partners = partners_of(graph)
    shuffles = {
        key: [found.shuffled(rng) for _ in range(samples)]
        for rng in [np.random.default_rng(seed)]
        for key, found in partners.items()
    }
    edges = _edges_of(graph)
    depth = dict(zip(graph.layers["name"].to_pylist(), graph.layers["depth"].to_pylist(), strict=True))
    pairs = [
        pair
        for pair in sorted({*graph.dense, *edges}, key=lambda pair: (depth[pair[1]], depth[pair[0]], pair))
        if layers is None or set(pair) <= set(layers)
    ]
    names = [name for name in dict.fromkeys(name for name, _ in partners) if maps is None or name in maps]
    rows = []
    for done, (name, pair) in enumerate((name, pair) for name in names for pair in pairs):
        if progress is not None:
            progress("comparing weights", done, len(names) * len(pairs))
        keys = [(name, layer) for layer in pair]
        if all(key in partners for key in keys):
            source, target = (partners[key] for key in keys)
            draws = [(source, target), *zip(*(shuffles[key] for key in keys), strict=True)]
            weight = graph.dense[pair].weight if pair in graph.dense else None
            rows.append(_compare(parse_map(name), pair, draws, weight, edges.get(pair)))
    return WeightsAndMaps(graph.name, rows, samples, seed, _remarks(graph, names, pairs))


def partners_of(graph: ModelGraph) -> dict[tuple[str, str], Partners]:
    """By map and layer, the partners among neurons; layers without any row of a map are left out.

    Where a graph does not say whether a row is mutual, it is if the inverse map's row leads back.
    """
    if graph.maps is None or graph.maps.num_rows == 0:
        return {}
    source, target = (graph.maps[end].to_numpy() for end in ("source", "target"))
    names = graph.maps["map"].to_pylist()
    leads = {(name, int(s)): int(t) for name, s, t in zip(names, source, target, strict=True)}
    mutual = np.array(
        [leads.get((_inverse(name), int(t))) == s for name, s, t in zip(names, source, target, strict=True)], dtype=bool
    )
    if "mutual" in graph.maps.column_names:
        said = graph.maps["mutual"]
        mutual = np.where(said.is_null().to_numpy(), mutual, pc.fill_null(said, False).to_numpy())
    layer = np.array(graph.units["layer"].to_pylist(), dtype=object)
    index = graph.units["index"].to_numpy().astype(np.int64)
    neuron = np.ones(len(index), dtype=np.bool_)
    if "kind" in graph.units.column_names:
        neuron = pc.not_equal(pc.fill_null(graph.units["kind"], ""), UnitKind.DIRECTION.value).to_numpy()
    name_of_row = np.array(names, dtype=object)
    found = {}
    for name in dict.fromkeys(names):
        for where in dict.fromkeys(graph.layers["name"].to_pylist()):
            here = (name_of_row == name) & (layer[source] == where) & (layer[target] == where)
            here &= neuron[source] & neuron[target]
            if here.any():
                moved, alone = here & mutual & (source != target), here & (source == target)
                found[name, where] = Partners(index[source[moved]], index[target[moved]], index[source[alone]])
    return found


def _inverse(name: str) -> str:
    """The map that undoes a map: a turn the other way round; the others undo themselves."""
    element = parse_map(name)
    return turned(element.kind, -element.degrees).text if element.degrees else name


@dataclass(frozen=True)
class _Edges:
    """The edges with a kernel between two layers.

    row: [target, source], the edge's number, -1 where there is none. shape: which of `shapes` an edge's kernel has;
    place: its row among them. shapes: kernels [n, y, x] with their offsets.
    """

    row: npt.NDArray[np.int32]
    shape: Integers
    place: Integers
    shapes: tuple[Placed, ...]


def _edges_of(graph: ModelGraph) -> dict[LayerPair, _Edges]:
    """By source and target layer, the edges that have a kernel and a place; skip edges are left out."""
    needed = ("kernel", "kernel_h", "kernel_w", "offset_y", "offset_x")
    if not set(needed) <= set(graph.edges.column_names):
        return {}
    there = pc.not_equal(graph.edges["kind"].cast(pa.string()), EdgeKind.SKIP)
    for name in needed:
        there = pc.and_(there, pc.is_valid(graph.edges[name]))
    edges = graph.edges.select(["source", "target", *needed]).filter(there).combine_chunks()
    names = graph.layers["name"].to_pylist()
    widths = _widths(graph)
    layer = pc.index_in(graph.units["layer"], value_set=pa.array(names)).to_numpy()
    index = graph.units["index"].to_numpy()
    source, target = edges["source"].to_numpy(), edges["target"].to_numpy()
    pair_of_edge = layer[source] * len(names) + layer[target]
    found = {}
    for pair in np.unique(pair_of_edge):
        rows = np.flatnonzero(pair_of_edge == pair)
        ends = names[pair // len(names)], names[pair % len(names)]
        row = np.full((widths[ends[1]], widths[ends[0]]), -1, dtype=np.int32)
        row[index[target[rows]], index[source[rows]]] = np.arange(len(rows), dtype=np.int32)
        found[ends] = _Edges(row, *_by_shape(edges.take(pa.array(rows))))
    return found


def _widths(graph: ModelGraph) -> dict[str, int]:
    """By layer, one more than the greatest index of its units, or its width where that is more."""
    widths = dict.fromkeys(graph.layers["name"].to_pylist(), 0)
    for name, index in zip(graph.units["layer"].to_pylist(), graph.units["index"].to_pylist(), strict=True):
        widths[name] = max(widths[name], index + 1)
    return widths


def _by_shape(edges: pa.Table) -> tuple[Integers, Integers, tuple[Placed, ...]]:
    """Which shape each edge's kernel has, its row among those of the shape, and the kernels by shape."""
    columns = [edges[name].to_numpy() for name in ("kernel_h", "kernel_w", "offset_y", "offset_x")]
    distinct, shape = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    shape = shape.reshape(-1)
    place = np.zeros(len(shape), dtype=np.int64)
    placed = []
    for number, (height, width, offset_y, offset_x) in enumerate(distinct):
        rows = np.flatnonzero(shape == number)
        place[rows] = np.arange(len(rows))
        numbers = edges["kernel"].take(pa.array(rows)).combine_chunks().flatten().to_numpy()
        own = numbers.reshape(len(rows), int(height), int(width))
        placed.append(Placed(own, float(offset_y), float(offset_x)))
    return shape, place, tuple(placed)


def _compare(
    map_name: MapName,
    layers: LayerPair,
    draws: Sequence[tuple[Partners, Partners]],
    weight: npt.NDArray[np.float32] | None,
    edges: _Edges | None,
) -> PairOfLayers:
    """The row of one map between two layers; `draws` are the partners of the two, then shuffled ones."""
    source, target = draws[0]
    agreement, unturned = _agreements(map_name, draws, edges)
    ends = [_ends(*draw) for draw in draws]
    correlations = {name: _correlations([draw[name] for draw in ends], weight) for name in ends[0]}
    return PairOfLayers(
        map=map_name.text,
        source_layer=layers[0],
        target_layer=layers[1],
        source_partners=len(source.units),
        target_partners=len(target.units),
        source_invariant=len(source.invariant),
        target_invariant=len(target.invariant),
        agreement=agreement,
        unturned=unturned,
        **correlations,
    )


Ends = tuple[Integers, Integers, Integers, Integers]
"""Sources and targets of the weights compared, sources and targets of those they are compared with."""


def _ends(source: Partners, target: Partners) -> dict[str, Ends]:
    """By figure, the units whose weights are compared."""
    return {
        "straight": (source.units, target.units, source.images, target.images),
        "crossed": (source.units, target.units, source.images, target.units),
        "into_invariant": (source.units, target.invariant, source.images, target.invariant),
        "from_invariant": (source.invariant, target.units, source.invariant, target.images),
    }


def _correlations(draws: Sequence[Ends], weight: npt.NDArray[np.float32] | None) -> Figure:
    """One of the correlations for the partners, which come first, and for shuffled ones."""
    count = len(draws[0][0]) * len(draws[0][1])
    if weight is None or count < _FEWEST:
        return Figure(None, None, None, count)
    values = [
        _correlation(weight[np.ix_(target, source)], weight[np.ix_(other_target, other_source)])
        for source, target, other_source, other_target in draws
    ]
    return _figure(np.array(values), count)


def _correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Pearson's, over all entries; NaN where either does not vary."""
    x, y = (matrix.astype(np.float64).ravel() - matrix.mean(dtype=np.float64) for matrix in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((x @ y) / np.sqrt((x @ x) * (y @ y)))


def _agreements(
    map_name: MapName, draws: Sequence[tuple[Partners, Partners]], edges: _Edges | None
) -> tuple[Figure, Figure]:
    """Mean cosine of kernels turned and of kernels as they are, for the partners, which come first, and for draws."""
    nothing = Figure(None, None, None, 0)
    if edges is None:
        return nothing, nothing
    ends = [_edges_and_images(edges, *draw) for draw in draws]
    count = len(ends[0][0])
    if count == 0:
        return nothing, nothing
    first, second = (np.concatenate(rows) for rows in zip(*ends, strict=True))
    splits = np.cumsum([len(rows) for rows, _ in ends])[:-1]
    figures = []
    for shapes in (tuple(_transformed(map_name, placed) for placed in edges.shapes), edges.shapes):
        cosines = _cosines(edges, shapes, first, second)
        figures.append(_figure(np.array([_mean(part) for part in np.split(cosines, splits)]), count))
    return figures[0], figures[1]


def _edges_and_images(edges: _Edges, source: Partners, target: Partners) -> tuple[Integers, Integers]:
    """The edges a -> b between partners whose image T a -> T b is an edge too, and the images."""
    first = edges.row[np.ix_(target.units, source.units)].ravel().astype(np.int64)
    second = edges.row[np.ix_(target.images, source.images)].ravel().astype(np.int64)
    both = (first >= 0) & (second >= 0)
    return first[both], second[both]


def _transformed(map_name: MapName, placed: Placed) -> Placed:
    """Kernels as a map of pictures moves them; contrast and hue leave them where they are."""
    match map_name.kind:
        case "flip":
            return kernels.flip(*placed)
        case "flip_vertical":
            return kernels.flip_vertical(*placed)
        case "rotate":
            return kernels.turn(*placed, map_name.degrees)
        case _:
            return placed


def _cosines(edges: _Edges, shapes: Sequence[Placed], first: Integers, second: Integers) -> Reals:
    """Cosine of the kernel of each first edge, taken from `shapes`, and that of the second as it is: [n]."""
    found = np.full(len(first), np.nan)
    for rows, left, right in _grouped(edges.shape[first], edges.shape[second]):
        a, b = shapes[left], edges.shapes[right]
        found[rows] = kernels.agreement(
            a._replace(kernels=a.kernels[edges.place[first[rows]]]),
            b._replace(kernels=b.kernels[edges.place[second[rows]]]),
        )
    return found


def _grouped(first: Integers, second: Integers) -> Iterator[tuple[Integers, int, int]]:
    """The rows of each pair of values, in pieces of bounded size, and the pair."""
    pairs, group = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    for number, (left, right) in enumerate(pairs):
        rows = np.flatnonzero(group.reshape(-1) == number)
        for start in range(0, len(rows), _KERNELS_AT_ONCE):
            yield rows[start : start + _KERNELS_AT_ONCE], int(left), int(right)


def _figure(values: Reals, count: int) -> Figure:
    """The figure from the value of the partners, which comes first, and those of the draws; NaN is none."""
    drawn = values[1:][np.isfinite(values[1:])]
    return Figure(
        float(values[0]) if np.isfinite(values[0]) else None,
        float(drawn.mean()) if len(drawn) else None,
        float(drawn.std(ddof=1)) if len(drawn) > 1 else None,
        count,
    )


def _mean(values: Reals) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _remarks(graph: ModelGraph, maps: Sequence[str], pairs: Sequence[LayerPair]) -> tuple[str, ...]:
    if not maps:
        return (f"{graph.name} has no maps; `circuitdb probe {graph.name}` finds them",)
    without = [pair for pair in pairs if pair not in graph.dense]
    if len(without) == len(pairs):
        return ("the weights of all pairs of units are not here: straight and crossed need the DuckDB file",)
    return ()
