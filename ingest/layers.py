"""Which steps of a network are feature layers, and what they are called.

In come the steps of a trace, out come the feature layers in order. Without names from the user the cut rule decides:
steps that no dependency jumps over, grouped where no convolution lies between, each group represented by its last
activation, else its last concat or add. Layers inside residual branches and densely connected blocks are added, 1x1
bottlenecks are left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from circuitdb.errors import InputError
from ingest.linearise import ATTENTION
from ingest.steps import Add, Concat, Convolve, Pass, Pool, PoolAll, Scale, Start, Step
from ingest.tracing import Trace


@dataclass(frozen=True)
class FeatureLayer:
    """A step whose units are units of the graph.

    name: for display. module: the network's own path to it. step: index of the step.
    """

    name: str
    module: str
    step: int


@dataclass(frozen=True)
class Reading:
    """The feature layers in order, and what of the network they leave out, in words ("" if nothing)."""

    layers: tuple[FeatureLayer, ...]
    left_out: str = ""


def find_layers(
    trace: Trace, steps: Sequence[Step], named: Sequence[str] | None = None, names: Mapping[str, str] | None = None
) -> Reading:
    """The feature layers of a network.

    named: module paths, or names given here on an earlier run, that the user wants as feature layers; without them the
    cut rule decides. names: display names by module path or found name.

    Raises
    ------
    InputError
        If a named module does not exist, if a step on the way cannot be read, or if there is no feature layer.
    """
    found = _names(trace, steps)
    if named is not None:
        chosen = sorted({_lookup(name, trace, found, steps) for name in named})
        live = ancestors(steps, chosen)
        _refuse(steps, live)
        left_out = ""
    else:
        outputs, left_out = _trunk(trace, steps)
        live = ancestors(steps, outputs)
        blind = _behind_last_convolution(steps, live) if left_out else set()
        _refuse(steps, [i for i in live if i not in blind])
        chosen = sorted(_cut_layers(trace, steps, live))
    if not chosen:
        raise InputError("no feature layers were found in the network; name the modules that are to be its layers")
    layers = []
    used: dict[str, int] = {}
    for index in chosen:
        module = _module(trace, steps, index)
        display = next((names[key] for key in (found[index], module) if names and key in names), found[index])
        repeats = used[display] = used.get(display, -1) + 1
        layers.append(FeatureLayer(f"{display}_{repeats}" if repeats else display, module, index))
    return Reading(tuple(layers), left_out)


def ancestors(steps: Sequence[Step], ends: Iterable[int]) -> list[int]:
    """The given steps and all that they depend on, in order."""
    live = set(ends)
    for index in range(max(live, default=-1), -1, -1):
        if index in live:
            live.update(steps[index].inputs)
    return sorted(live)


def _refuse(steps: Sequence[Step], live: Iterable[int]) -> None:
    """Raise the first refusal, attention before others since it says most."""
    refused = [i for i in live if steps[i].refusal]
    if not refused:
        return
    attention = next((steps[i].node for i in refused if steps[i].node.operation in ATTENTION), None)
    if attention is not None:
        raise InputError(f"{attention.place} cannot be read: attention is not linear, and no rule stands in for it")
    raise InputError(str(steps[refused[0]].refusal))


def _trunk(trace: Trace, steps: Sequence[Step]) -> tuple[list[int], str]:
    """The steps where reading ends: the outputs, or the input of a fully connected head behind a flattened map."""
    live = ancestors(steps, trace.outputs)
    flat = next((i for i in live if "cyx" in steps[i].dims and isinstance(steps[i].action, Pass)), None)
    if flat is None:
        return list(trace.outputs), ""
    head = {flat}
    for index in live:
        if index > flat and head.intersection(steps[index].inputs):
            head.add(index)
    if steps[flat].refusal is None:
        _refuse(steps, sorted(head))
    plain = all(
        isinstance(steps[i].action, Convolve | Scale | Pass)
        and steps[i].node.operation != "conv2d"
        and set(steps[i].inputs) <= head | set(steps[flat].inputs)
        for i in head
    )
    if not plain or not head.issuperset(trace.outputs):
        raise InputError(
            f"{steps[flat].node.place} flattens a map, and what follows is no plain fully connected head; "
            "name the modules that are to be the network's layers"
        )
    rows, columns = steps[flat].cells
    left_out = (
        f"the fully connected head from {steps[flat].node.place} on, which flattens a map of {rows}x{columns} cells; "
        "name its modules as layers to have it"
    )
    return list(steps[flat].inputs), left_out


def _behind_last_convolution(steps: Sequence[Step], live: Sequence[int]) -> set[int]:
    last = max((i for i in live if isinstance(steps[i].action, Convolve)), default=-1)
    return {i for i in live if i > last}


def _cuts(steps: Sequence[Step], region: Sequence[int]) -> list[int]:
    """The steps of a region, in order, that no dependency within the region jumps over."""
    inside = set(region)
    cuts, reach = [], -1
    last_use = {i: i for i in region}
    for index in region:
        for source in steps[index].inputs:
            if source in inside:
                last_use[source] = max(last_use[source], index)
    for index in region:
        if reach <= index:
            cuts.append(index)
        reach = max(reach, last_use[index])
    return cuts


def _cut_layers(trace: Trace, steps: Sequence[Step], live: Sequence[int]) -> set[int]:
    cuts = _cuts(steps, live)
    dense = {i for i in live if isinstance(steps[i].action, Concat) and _is_dense(steps, i)}
    groups = _groups(steps, live, cuts)
    represented = {i: _representative(steps, group, dense) for group in groups for i in group}
    layers = list(dict.fromkeys(layer for layer in represented.values() if layer is not None))
    chosen = {
        layer
        for before, layer, after in zip([None, *layers], layers, [*layers[1:], None], strict=False)
        if not _is_bottleneck(steps, live, layer, before, after)
    }
    position = {index: place for place, index in enumerate(live)}
    for start, end in pairwise(cuts):
        between = live[position[start] + 1 : position[end]]
        if between and isinstance(steps[end].action, Add):
            chosen |= _branch_layers(steps, start, between, end)
    for index in dense:
        joined = {represented.get(i, i) for i in steps[index].inputs if _has_convolution(steps, i)}
        chosen |= {i for i in joined if i is not None} - dense
    return {_as_returned(trace, steps, i, represented) for i in chosen}


def _as_returned(trace: Trace, steps: Sequence[Step], layer: int, represented: Mapping[int, int | None]) -> int:
    """The layer's units in the order in which its module returns them, where that only rearranges them."""
    returned = {call for calls in trace.calls.values() for call in calls}
    best = end = layer
    for index in sorted(i for i, group_layer in represented.items() if group_layer == layer and i > layer):
        if steps[index].inputs != (end,) or steps[index].node.layout is None:
            break
        end = index
        best = index if index in returned and layer not in returned else best
    return best


def _groups(steps: Sequence[Step], region: Sequence[int], cuts: Sequence[int]) -> list[list[int]]:
    """Cuts with no convolution between, leaving out those before the first convolution of the region."""
    groups: dict[int, list[int]] = {}
    cut = set(cuts)
    convolutions = 0
    for index in region:
        convolutions += isinstance(steps[index].action, Convolve)
        if index in cut and convolutions:
            groups.setdefault(convolutions, []).append(index)
    return list(groups.values())


def _representative(steps: Sequence[Step], group: Sequence[int], dense: Collection[int] = ()) -> int | None:
    """The last activation, else the last concat or add, else the last step that is no pool.

    A group that ends in the concat of a densely connected block has none: the concatenated layers stand for it.
    """
    activations = [i for i in group if steps[i].is_activation]
    if activations:
        return activations[-1]
    if any(i in dense for i in group):
        return None
    joins = [i for i in group if isinstance(steps[i].action, Concat | Add)]
    if joins:
        return joins[-1]
    others = [i for i in group if not isinstance(steps[i].action, Pool | PoolAll) and not _after_pool(steps, i, group)]
    return others[-1] if others else group[-1]


def _after_pool(steps: Sequence[Step], index: int, group: Sequence[int]) -> bool:
    return any(i < index and isinstance(steps[i].action, Pool | PoolAll) for i in group)


def _is_bottleneck(
    steps: Sequence[Step], region: Sequence[int], layer: int, before: int | None, after: int | None
) -> bool:
    """Whether a layer is an activation behind a 1x1 convolution that is narrower than both neighbours."""
    if before is None or after is None or not steps[layer].is_activation:
        return False
    convolutions = [i for i in region if before < i <= layer and isinstance(steps[i].action, Convolve)]
    if len(convolutions) != 1 or steps[convolutions[0]].node.operation != "conv2d":
        return False
    action = steps[convolutions[0]].action
    assert isinstance(action, Convolve)
    narrow = steps[layer].width < min(steps[before].width, steps[after].width)
    return narrow and tuple(action.weight.shape[2:]) == (1, 1)


def _branch_layers(steps: Sequence[Step], start: int, between: Sequence[int], end: int) -> set[int]:
    """The activations inside the branches of a residual block that begins at `start` and is added up in `end`."""
    chosen = set()
    inside = set(between)
    for branch_end in steps[end].inputs:
        if branch_end not in inside:
            continue
        branch = [i for i in ancestors(steps, [branch_end]) if i in inside]
        cuts = _cuts(steps, [start, *branch])
        layers = [_representative(steps, group) for group in _groups(steps, branch, cuts)]
        found = [i for i in layers if i is not None and steps[i].is_activation]
        neighbours = [start, *found, end]
        for before, layer, after in zip(neighbours, found, neighbours[2:], strict=False):
            if not _is_bottleneck(steps, branch, layer, before, after):
                chosen.add(layer)
        for first, last in pairwise(cuts):
            inner = [i for i in branch if first < i < last]
            if inner and isinstance(steps[last].action, Add):
                chosen |= _branch_layers(steps, first, inner, last)
    return chosen


def _is_dense(steps: Sequence[Step], concat: int) -> bool:
    """Whether one input of a concat feeds another, as in a densely connected block."""
    inputs = sorted(set(steps[concat].inputs))
    return any(set(ancestors(steps, [late])) & set(inputs[:place]) for place, late in enumerate(inputs))


def _has_convolution(steps: Sequence[Step], index: int) -> bool:
    return any(isinstance(steps[i].action, Convolve) for i in ancestors(steps, [index]))


def _names(trace: Trace, steps: Sequence[Step]) -> dict[int, str]:
    """A name for every step, none twice: its module path, with an index from the second use on."""
    names: dict[int, str] = {}
    used: dict[str, int] = {}
    for index in range(len(steps)):
        name = _module(trace, steps, index)
        repeats = used[name] = used.get(name, -1) + 1
        names[index] = f"{name}_{repeats}" if repeats else name
    return names


def _module(trace: Trace, steps: Sequence[Step], index: int) -> str:
    """The path of the outermost module that returns the step, else of the one that runs it, with the operation."""
    returning = [path for path, calls in trace.calls.items() if path and index in calls]
    blocks = [path for path in returning if path not in trace.sequences]
    if blocks or returning:
        return min(blocks or returning, key=len)
    node = steps[index].node
    return f"{node.module}.{node.operation}" if node.module else node.operation


def _lookup(name: str, trace: Trace, found: Mapping[int, str], steps: Sequence[Step]) -> int:
    calls = trace.calls.get(name, ())
    if len(calls) == 1:
        return calls[0]
    by_name = {found[i]: i for i in sorted(found, reverse=True) if not isinstance(steps[i].action, Start)}
    if name in by_name:
        return by_name[name]
    if calls:
        return calls[0]
    known = list(dict.fromkeys([*trace.calls, *by_name]))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or [path for path in known if path][:3]
    raise InputError(f"the network has no module {name!r} that returns a map of units; near it are {', '.join(near)}")
