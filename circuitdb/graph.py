"""The data model: what the graph holds, said once.

`REGISTRY` lists every property of every kind of record with its type, unit, meaning and source. The tables of the
embedded store, the constraints of Neo4j, the names that the motif language knows, and the reference page
`docs/graph.md` (`python -m circuitdb.graph > docs/graph.md`) are all made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from circuitdb.errors import InputError

SCHEMA_VERSION = 3
"""Version of the stored form. A store refuses what a newer version wrote, and an older one that it cannot read."""


class Record(StrEnum):
    """The kinds of record in the graph."""

    MODEL = "model"
    LAYER = "layer"
    UNIT = "unit"
    LABEL = "label"
    FAMILY = "family"
    MEMBER = "member"
    SEGMENT = "segment"
    EDGE = "edge"
    MAP = "map"
    EXAMPLE = "example"
    ANALOGUE = "analogue"


class UnitKind(StrEnum):
    """What a unit is: a neuron, or a linear combination of the neurons of its layer."""

    NEURON = "neuron"
    DIRECTION = "direction"


class EdgeKind(StrEnum):
    """What an edge says. The sign of `weight` decides between the first two; weight 0 counts as EXCITES."""

    EXCITES = "EXCITES"
    INHIBITS = "INHIBITS"
    SKIP = "SKIP"


PropertyType = Literal["text", "integer", "real", "boolean", "reals", "json"]


@dataclass(frozen=True)
class Property:
    """One property of one kind of record.

    `optional` properties may be missing. `in_language` says whether a motif may name the property.
    """

    record: Record
    name: str
    type: PropertyType
    unit: str
    meaning: str
    source: str = ""
    optional: bool = True
    in_language: bool = True


_VISUALIZING_WEIGHTS = "Voss et al. 2021, Visualizing Weights"
_ZOOM_IN = "Olah et al. 2020, Zoom In"
_EQUIVARIANCE = "Olah et al. 2020, Naturally Occurring Equivariance"
_UNIVERSALITY = "Li et al. 2015, Convergent Learning"


def _of(
    record: Record,
    *rows: tuple[str, PropertyType, str, str] | tuple[str, PropertyType, str, str, str],
    required: Iterable[str] = (),
    hidden: Iterable[str] = (),
) -> Iterator[Property]:
    required, hidden = set(required), set(hidden)
    for name, kind, unit, meaning, *source in rows:
        yield Property(
            record,
            name,
            kind,
            unit,
            meaning,
            source[0] if source else "",
            optional=name not in required,
            in_language=name not in hidden,
        )


_MOMENTS: tuple[tuple[str, PropertyType, str, str, str], ...] = tuple(
    (
        f"m{k}_{part}",
        "real",
        "weight",
        f"{'real' if part == 're' else 'imaginary'} part of the circular moment of order {k}: "
        f"the sum of w·exp(-i·{k}·phi), phi counter-clockwise as seen",
        "Cammarata et al. 2021, Curve Circuits",
    )
    for k in range(5)
    for part in ("re", "im")
)

REGISTRY: tuple[Property, ...] = (
    *_of(
        Record.MODEL,
        ("name", "text", "", "name of the model; any characters but / and :"),
        ("architecture", "text", "", "architecture that the weights belong to"),
        ("dataset", "text", "", "data the weights were trained on"),
        ("source", "text", "", "where the weights come from: file name, torchvision's name, or random with its seed"),
        ("weights_sha256", "text", "", "SHA-256 of the weights as they were read"),
        ("licence", "text", "", "licence of the weights"),
        ("preprocessing", "json", "", "how a picture becomes the network's input"),
        ("keep", "text", "", "keep rule: which edges are rows of the graph"),
        ("absent", "json", "", "feature layers that the weights do not cover (ingested with --partial)"),
        ("options", "json", "", "options of the ingest"),
        ("probes", "json", "", "what the units' responses were measured on: name, sha256, pictures, size"),
        ("created", "text", "UTC, ISO 8601", "when the model was written"),
        ("circuitdb_version", "text", "", "version of circuitdb that wrote the model"),
        required=("name",),
        hidden=(
            "name",
            "architecture",
            "dataset",
            "source",
            "weights_sha256",
            "licence",
            "preprocessing",
            "keep",
            "absent",
            "options",
            "probes",
            "created",
            "circuitdb_version",
        ),
    ),
    *_of(
        Record.LAYER,
        ("model", "text", "", "the layer's model"),
        ("name", "text", "", "name of the layer; any characters but / and :"),
        ("depth", "integer", "layers", "place among the feature layers, from 0 at the first; no edge runs against it"),
        ("kind", "text", "", "what the layer's last operation is: input, relu, concat, add, linear, ..."),
        ("module", "text", "", "the network's own path to the layer"),
        ("width", "integer", "units", "number of neurons; directions have the indices from it on"),
        ("stride_px", "real", "input pixels", "distance between neighbouring cells"),
        ("rf_px", "real", "input pixels", "side of the receptive field"),
        ("start_px", "real", "input pixels", "centre of the first cell's receptive field; the first pixel's is 0"),
        required=("model", "name", "depth"),
        hidden=("model", "name", "depth", "kind", "module", "width", "stride_px", "rf_px", "start_px"),
    ),
    *_of(
        Record.UNIT,
        ("key", "text", "", "model/layer:index, as in inceptionv1/mixed4c:447", _ZOOM_IN),
        ("model", "text", "", "the unit's model"),
        ("layer", "text", "", "the unit's layer"),
        ("depth", "integer", "layers", "the layer's depth"),
        ("index", "integer", "", "place in the layer, from 0"),
        ("kind", "text", "", "neuron, or direction (a linear combination of the layer's neurons)"),
        ("branch", "text", "", "branch of the layer that computes the unit", "Voss et al. 2021, Branch Specialization"),
        ("bias", "real", "weight", "bias of the unit's last linear operation"),
        ("in_norm", "real", "weight", "L2 norm of all expanded weights into the unit", _VISUALIZING_WEIGHTS),
        ("energy_kept_in", "real", "0..1", "part of the squared weights into the unit that kept edges carry"),
        ("energy_kept_out", "real", "0..1", "part of the squared weights out of the unit that kept edges carry"),
        ("mean", "real", "activation", "mean response over the probes"),
        ("sd", "real", "activation", "standard deviation of the response over the probes"),
        ("sparsity", "real", "0..1", "part of the probe positions where the response is 0 or less"),
        ("coefficients", "reals", "", "of a direction: what it takes of each neuron [width], of unit length"),
        ("label", "text", "", "annotation; a unit may have several, each with its source"),
        required=("key", "model", "layer", "depth", "index", "kind"),
        hidden=("coefficients",),
    ),
    *_of(
        Record.LABEL,
        ("unit", "text", "", "key of the unit"),
        ("label", "text", "", "the annotation"),
        ("source", "text", "", "who or what gave it"),
        required=("unit", "label"),
        hidden=("unit", "label", "source"),
    ),
    *_of(
        Record.FAMILY,
        ("model", "text", "", "the family's model"),
        ("layer", "text", "", "the family's layer"),
        ("group", "text", "", "group of maps whose orbit the family is, as rotate(90), flip, D4", _EQUIVARIANCE),
        ("order", "integer", "units", "number of members of the whole orbit, of which some may be missing"),
        ("score", "real", "-1..1", "weakest map between members"),
        required=("model", "layer", "group"),
        hidden=("model", "layer", "group", "order", "score"),
    ),
    *_of(
        Record.MEMBER,
        ("unit", "text", "", "key of the unit"),
        ("pose", "text", "", "group element that takes the family's first member to this one", _EQUIVARIANCE),
        required=("unit", "pose"),
        hidden=("unit", "pose"),
    ),
    *_of(
        Record.SEGMENT,
        ("source_layer", "text", "", "where the weights start"),
        ("target_layer", "text", "", "where they end"),
        ("kernel_h", "integer", "source cells", "height of the expanded kernel"),
        ("kernel_w", "integer", "source cells", "width of the expanded kernel"),
        ("stride", "integer", "source cells", "source cells per target cell"),
        ("method", "text", "", "how the weights were computed"),
        ("pool_rule", "text", "", "what stood in for max pooling"),
        ("relus_skipped", "integer", "", "nonlinearities taken as the identity on the way", _ZOOM_IN),
        ("linear", "boolean", "", "false where a data-dependent gate was frozen or dropped"),
        ("skip", "boolean", "", "true for the skip edges between the two layers"),
        ("keep", "text", "", "keep rule"),
        ("energy_kept", "real", "0..1", "part of the segment's squared weights that kept edges carry"),
        ("edges", "integer", "", "kept edges"),
        ("dense_sha256", "text", "", "SHA-256 of the dense tensor [target, source, y, x], float32, row major"),
        required=("source_layer", "target_layer"),
        hidden=(
            "source_layer",
            "target_layer",
            "kernel_h",
            "kernel_w",
            "stride",
            "method",
            "pool_rule",
            "relus_skipped",
            "linear",
            "skip",
            "keep",
            "energy_kept",
            "edges",
            "dense_sha256",
        ),
    ),
    *_of(
        Record.EDGE,
        ("kind", "text", "", "EXCITES, INHIBITS or SKIP"),
        ("weight", "real", "weight", "sum of the kernel; its sign tells excitation from inhibition", _ZOOM_IN),
        ("strength", "real", "weight", "L2 norm of the kernel; ranks and thresholds use it", _VISUALIZING_WEIGHTS),
        ("peak", "real", "weight", "entry of largest magnitude, with its sign"),
        ("excitation", "real", "weight", "sum of the positive entries"),
        ("inhibition", "real", "weight", "sum of the negative entries"),
        ("coherence", "real", "0..1", "|sum| / L1 norm; low where the kernel excites here and inhibits there"),
        ("share", "real", "0..1", "strength² / sum of strength² into the target; blind to the target's scale"),
        ("rank_in", "integer", "", "1 for the strongest of the target's inputs"),
        ("rank_out", "integer", "", "1 for the strongest of the source's outputs"),
        ("top", "real", "weight", "sum over the part of the kernel above the target's centre"),
        ("bottom", "real", "weight", "sum over the part below the target's centre"),
        ("left", "real", "weight", "sum over the part left of the target's centre"),
        ("right", "real", "weight", "sum over the part right of the target's centre"),
        ("centre", "real", "weight", "sum over the cells less than one cell from the target's centre in y and x"),
        ("dx", "real", "input pixels", "centroid of |w|, to the right of the target's centre"),
        ("dy", "real", "input pixels", "centroid of |w|, below the target's centre"),
        *_MOMENTS,
        ("kernel", "reals", "weight", "the entries, row major: y down, then x to the right"),
        ("kernel_h", "integer", "source cells", "height of the kernel"),
        ("kernel_w", "integer", "source cells", "width of the kernel"),
        ("offset_y", "real", "source cells", "row of the kernel's first entry, from the target's centre, down"),
        ("offset_x", "real", "source cells", "column of the kernel's first entry, from the target's centre, right"),
        required=("kind", "weight", "strength", "share", "rank_in", "rank_out"),
        hidden=("kind", "kernel"),
    ),
    *_of(
        Record.MAP,
        ("map", "text", "", "the map, as flip, rotate(90), negate, hue(120)"),
        ("score", "real", "-1..1", "correlation of a(x)[p] with b(T x)[T p] over pictures, positions", _EQUIVARIANCE),
        ("self_score", "real", "-1..1", "the score of the unit with itself; near 1 where it is invariant"),
        ("mutual", "boolean", "", "whether the inverse map leads back"),
        required=("map",),
    ),
    *_of(
        Record.EXAMPLE,
        ("unit", "text", "", "key of the unit"),
        ("rank", "integer", "", "1 for the position where the unit responds most; one position a picture"),
        ("picture", "text", "", "name of the probe"),
        ("y", "real", "input pixels", "centre of the position, down from the probe's first row"),
        ("x", "real", "input pixels", "centre of the position, right from the probe's first column"),
        ("value", "real", "activation", "the response there"),
        required=("unit", "rank", "picture", "y", "x", "value"),
        hidden=("unit", "rank", "picture", "y", "x", "value"),
    ),
    *_of(
        Record.ANALOGUE,
        ("rank", "integer", "", "1 for the best analogue of the unit in the other model"),
        ("score", "real", "-1..1", "correlation of the units over the probes, on held-out pictures", _UNIVERSALITY),
        ("excess", "real", "-1..1", "score above the best that the null gives for the unit"),
        ("q", "real", "0..1", "false discovery rate (Benjamini-Hochberg)"),
        ("mutual", "boolean", "", "whether each is the other's best"),
        ("method", "text", "", "how the pair was found"),
        ("probes_sha256", "text", "", "SHA-256 of the probes"),
        required=("rank",),
    ),
)  # fmt: skip


def properties(record: Record) -> tuple[Property, ...]:
    """All properties of one kind of record, in the registry's order."""
    return tuple(p for p in REGISTRY if p.record is record)


def property_of(record: Record, name: str) -> Property | None:
    """The property of that name, or None."""
    return next((p for p in REGISTRY if p.record is record and p.name == name), None)


_NAME = re.compile(r"[^/:\x00]+")


def check_name(name: str, what: str) -> str:
    """Return `name` if a model or layer may be called so.

    Raises
    ------
    InputError
        If the name is empty or holds `/`, `:` or NUL.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{what} name {name!r} must not be empty and must not hold '/', ':' or NUL")
    return name


RANDOM = "random"
"""How a model's `source` begins where its weights were drawn: `random, seed 0`."""


def unit_key(model: str, layer: str, index: int) -> str:
    """The key of a unit, as in `inceptionv1/mixed4c:447`."""
    return f"{model}/{layer}:{index}"


def split_key(key: str) -> tuple[str, str, int]:
    """Model, layer and index of a unit's key.

    Raises
    ------
    InputError
        If `key` is not of the form model/layer:index.
    """
    match = re.fullmatch(r"([^/:]+)/([^/:]+):(0|[1-9][0-9]{0,9})", key)
    if match is None:
        raise InputError(f"{key[:200]!r} is no unit key; one looks like inceptionv1/mixed4c:447")
    return match[1], match[2], int(match[3])


def reference_page() -> str:
    """The text of docs/graph.md."""
    titles = {
        Record.MODEL: "Models",
        Record.LAYER: "Layers",
        Record.UNIT: "Units",
        Record.LABEL: "Labels",
        Record.FAMILY: "Families",
        Record.MEMBER: "Members of families",
        Record.SEGMENT: "Segments (pairs of layers)",
        Record.EDGE: "Edges",
        Record.MAP: "Maps within a model",
        Record.EXAMPLE: "Strongest responses to probes",
        Record.ANALOGUE: "Analogues between models",
    }
    lines = [
        "# The graph",
        "",
        "Made from the registry in `circuitdb/graph.py` by `python -m circuitdb.graph > docs/graph.md`.",
        "",
        "Units are `model/layer:index`. Kernels are `[y, x]`, y down and x to the right, around the target's centre,",
        "in cells of the source's grid. Properties marked with a star may be missing; those marked `-` in the last",
        "column cannot be named in a motif.",
    ]
    for record, title in titles.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| property | type | unit | meaning | source | in motifs |",
            "|---|---|---|---|---|---|",
        ]
        for p in properties(record):
            meaning = p.meaning.replace("|", "\\|")
            star = "\\*" if p.optional else ""
            named = "yes" if p.in_language else "-"
            lines.append(f"| `{p.name}`{star} | {p.type} | {p.unit} | {meaning} | {p.source} | {named} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")
