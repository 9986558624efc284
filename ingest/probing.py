"""Probing a model: from its network and a probe set to the `Responses` that a store takes.

In: a network with its weights, the layers of its graph, probes and maps. Out: `Responses`, the same tables whether the
model is on its way into a store or has been there for long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch

from circuitdb.backends.base import MEASURED_ON_PROBES, Progress, Responses
from circuitdb.errors import InputError
from ingest.examples import example_table
from ingest.layers import find_layers
from ingest.linearise import linearise
from ingest.maps import Family, LayerMap, families, layer_map, pose_text
from ingest.preprocessing import Preprocessing
from ingest.probes import ProbeSet
from ingest.responses import LayerResponses, Reals, measure
from ingest.signatures import quantised
from ingest.sources import Source
from ingest.steps import Step
from ingest.tracing import trace
from ingest.transforms import default_maps, parse_maps


def probe(
    source: Source,
    layers: Mapping[str, int],
    probes: ProbeSet,
    maps: Sequence[str] | None = None,
    *,
    directions: Mapping[str, Reals] | None = None,
    named: Sequence[str] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Responses:
    """What the units of a model do on probes, and which is which other's image under a map.

    Parameters
    ----------
    layers
        Name and width (number of neurons) of the model's layers in the graph, in order of depth.
    maps
        Names of the maps to look for; None: flips, quarter turns, contrast and hue, as far as the input allows.
    directions
        By layer, the coefficients [direction, neuron] of its directions in the order of their indices, NaN for those of
        one that the graph does not have; of such a direction nothing is known afterwards.
    named
        Module paths of the feature layers, where the graph was made with layers that the user named.
    device
        Where the network runs, as torch names it.

    Raises
    ------
    InputError
        If the network has other layers than the graph, if its preprocessing is not known, if a map is unknown or does
        not fit its input, or if torch does not have the device.
    """
    preprocessing = known_preprocessing(source)
    steps = steps_of(source, preprocessing, layers, named)
    height, width = preprocessing.size
    chosen = (
        default_maps(square=height == width, coloured=preprocessing.channels != "grey")
        if maps is None
        else parse_maps(maps)
    )
    of_places = {place: directions[name] for place, name in enumerate(layers) if directions and name in directions}
    measured = measure(
        source.loaded.network,
        steps,
        preprocessing,
        probes,
        chosen,
        directions={place: np.nan_to_num(coefficients) for place, coefficients in of_places.items()},
        device=device,
        progress=progress,
    )
    found = [
        [layer_map(m, measured.scores[m][place], step.width) for m in chosen if len(measured.layers[place].mean) > 1]
        for place, step in enumerate(steps)
    ]
    of_layers = {name: list(families(rows)) for name, rows in zip(layers, found, strict=True)}
    starts = np.cumsum([0, *(len(layer.mean) for layer in measured.layers)])[:-1].tolist()
    return Responses(
        probes=probes.as_json(),
        units=_units(measured.layers, of_places),
        maps=_maps(found, starts),
        families=_families(of_layers),
        members=_members(list(of_layers.values()), starts),
        examples=example_table(measured.layers, probes, preprocessing.size),
        signatures=np.concatenate([quantised(layer.sketches) for layer in measured.layers]),
    )


def input_side(source: Source) -> int:
    """The shorter side of a network's input, in pixels. `InputError` where its preprocessing is not known."""
    return min(known_preprocessing(source).size)


def known_preprocessing(source: Source) -> Preprocessing:
    """How a picture becomes the network's input.

    Raises
    ------
    InputError
        If it is not known.
    """
    record = source.preprocessing
    try:
        preprocessing = Preprocessing.from_json(record or {})
    except (KeyError, TypeError, ValueError):
        preprocessing = None
    if preprocessing is None or preprocessing.channels not in ("RGB", "BGR", "grey"):
        raise InputError(
            f"how a picture becomes the input of {source.architecture} is not known; let its module set PREPROCESSING "
            "to a record of channels (RGB, BGR or grey), range, mean, std and size (docs/probes.md)"
        )
    return preprocessing


def feature_steps(source: Source, preprocessing: Preprocessing, named: Sequence[str] | None = None) -> dict[str, Step]:
    """The steps whose responses are the feature layers', by name, in order of depth.

    They are those of a trace over two pictures at the size that probes will have.
    """
    shape = (2, source.example.shape[1], *preprocessing.size)
    traced = trace(source.loaded.network, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    steps = linearise(traced)
    reading = find_layers(traced, steps, named, source.layer_names)
    return {layer.name: steps[layer.step] for layer in reading.layers}


def steps_of(
    source: Source, preprocessing: Preprocessing, layers: Mapping[str, int], named: Sequence[str] | None
) -> list[Step]:
    """The steps whose units are the graph's. `InputError` where the network has other layers."""
    by_name = feature_steps(source, preprocessing, named)
    wrong = next((name for name, width in layers.items() if name not in by_name or by_name[name].width != width), None)
    if wrong is not None:
        raise InputError(
            f"the network has no layer {wrong!r} of {layers[wrong]} units, as the graph has; ingest it anew"
        )
    return [by_name[name] for name in layers]


def _units(layers: Sequence[LayerResponses], directions: Mapping[int, Reals]) -> pa.Table:
    """What was measured, NaN for directions whose coefficients are."""
    unknown = [
        np.concatenate([np.zeros(layer.step.width, np.bool_), np.isnan(directions[place]).any(axis=1)])
        if place in directions
        else np.zeros(len(layer.mean), np.bool_)
        for place, layer in enumerate(layers)
    ]
    columns = {name: np.concatenate([getattr(layer, name) for layer in layers]) for name in MEASURED_ON_PROBES}
    missing = np.concatenate(unknown)
    return pa.table({name: pa.array(values, pa.float64(), mask=missing) for name, values in columns.items()})


def _maps(found: Sequence[Sequence[LayerMap]], starts: Sequence[int]) -> pa.Table:
    tables = [
        pa.table(
            {
                "source": pa.array((rows.source + start).astype(np.int32)),
                "target": pa.array((rows.target + start).astype(np.int32)),
                "map": pa.array([rows.map.text] * len(rows.source), pa.string()),
                "score": pa.array(rows.score, pa.float64()),
                "self_score": pa.array(rows.self_score, pa.float64()),
                "mutual": pa.array(rows.mutual),
            }
        )
        for start, of_layer in zip(starts, found, strict=True)
        for rows in of_layer
    ]
    types = {"source": pa.int32(), "target": pa.int32(), "map": pa.string()}
    types |= {"score": pa.float64(), "self_score": pa.float64(), "mutual": pa.bool_()}
    schema = pa.schema(types)
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)]).combine_chunks()


def _families(of_layers: Mapping[str, Sequence[Family]]) -> pa.Table:
    rows = [(name, family) for name, found in of_layers.items() for family in found]
    return pa.table(
        {
            "id": pa.array(range(len(rows)), pa.int32()),
            "layer": pa.array([name for name, _ in rows], pa.string()),
            "group": pa.array([family.group for _, family in rows], pa.string()),
            "order": pa.array([family.order for _, family in rows], pa.int32()),
            "score": pa.array([family.score for _, family in rows], pa.float64()),
        }
    )


def _members(of_layers: Sequence[Sequence[Family]], starts: Sequence[int]) -> pa.Table:
    with_starts = [(family, start) for found, start in zip(of_layers, starts, strict=True) for family in found]
    rows = [
        (number, member.unit + start, pose_text(member.pose))
        for number, (family, start) in enumerate(with_starts)
        for member in family.members
    ]
    return pa.table(
        {
            "family": pa.array([row[0] for row in rows], pa.int32()),
            "unit": pa.array([row[1] for row in rows], pa.int32()),
            "pose": pa.array([row[2] for row in rows], pa.string()),
        }
    )
