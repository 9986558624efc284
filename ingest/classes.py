"""What the units of a classifier stand for: the classes of ImageNet, in the order that all networks share.

In: what a model was trained on and its layers. Out: a label for each unit of a last layer as wide as the classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SOURCE = "ILSVRC 2012"
"""Who says so. The classes stand in the order of their WordNet numbers, in Caffe's networks as in torchvision's."""
_CLASSES = 1000


def class_labels(dataset: str | None, layers: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, str]]:
    """Layer, index and name of each unit of the last layer, if that has a unit a class of what the model learned.

    layers: rows with name, depth and width. None for weights whose classes are not known, as random ones, and where
    torchvision, which knows the names, is missing or was built for another torch.
    """
    if dataset is None or not dataset.startswith("ImageNet") or not layers:
        return []
    last = max(layers, key=lambda layer: int(layer["depth"]))
    if last["width"] != _CLASSES:
        return []
    try:
        from torchvision.models import AlexNet_Weights
    except (ImportError, RuntimeError):  # A build for another torch fails with the latter.
        return []
    names = AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    return [(last["name"], index, name) for index, name in enumerate(names)]
