"""How a picture becomes a network's input: what is recorded with a model so that probes can be prepared later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Preprocessing:
    """A picture's bytes are scaled to `range`, put in the order of `channels`, and become (value - mean) / std.

    `range`: what the bytes 0 and 255 become. `mean`, `std`: one number a channel, in the order of `channels`.
    `size`: height and width of the input in pixels.
    """

    channels: Literal["RGB", "BGR", "grey"]
    range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {
            "channels": self.channels,
            "range": list(self.range),
            "mean": list(self.mean),
            "std": list(self.std),
            "size": list(self.size),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `as_json`."""
        height, width = record["size"]
        low, high = record["range"]
        return cls(record["channels"], (low, high), tuple(record["mean"]), tuple(record["std"]), (height, width))


def imagenet(height: int, width: int) -> Preprocessing:
    """What torchvision's ImageNet networks take: RGB in 0..1, less the data set's mean, over its deviation."""
    return Preprocessing("RGB", (0.0, 1.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (height, width))
