"""Explained networks made by hand, and their maps as arrays; see `attribution_record`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CLASSES, BASELINE = 4, 0.5
COMPLETE = ("ig", "gradient_shap", "layer_conductance", "layer_ig")
OF_A_LAYER = ("gradcam", "layer_conductance", "layer_ig", "sam", "tsa")
UNSIGNED = ("saliency", "sam")
Floats = np.ndarray


@dataclass
class Net:
    """One explained network."""

    name: str = "net"
    methods: Sequence[str] = ("ig", "saliency", "gradcam", "sam")
    samples: int = 3
    time_steps: int = 4
    channels: int = 2
    side: int = 4  # 2 x 2 pixels a corner, and 1 x 1 of a layer, whose side is half
    static: bool = False  # an image: maps lie over the encoder's spikes, and over its pixels
    draws: int = 4
    frames: int = 8  # at most
    sites: Sequence[str] = ("layer1", "layer2")
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Of the input and of the maps that lie over it."""
        return 1 if self.static else self.time_steps

    def places(self, method: str) -> list[str]:
        """What the maps of a method lie over: one place, but two of a static image."""
        if method in OF_A_LAYER:
            return [self.sites[-1]]
        return [self.sites[0], "input"] if self.static else ["input"]

    def grounds(self) -> list[str]:
        """What is deleted from, by a place that stands for it."""
        return ["input", self.sites[0]] if self.static else ["input"]

    def maps(self) -> list[tuple[int, str, str]]:
        """Number in the list, name and place of each map of a sample."""
        return [(i, m, place) for i, m in enumerate(self.methods) for place in self.places(m)]

    def gain(self, sample: int) -> float:
        """D = f(x) - f(baseline)."""
        return score(sample) - BASELINE


def score(sample: int) -> float:
    """f(x) of a sample at its class."""
    return 2.0 + sample


def volume(net: Net, method: str, sample: int, place: str = "") -> Floats:
    """The map [T, C, H, W] of one method and sample, of a static image at one place."""
    ratio = 1.02 if method in COMPLETE else 1.0
    values = empty_at(net, place or net.places(method)[0])
    lit, opposite = _corner(values, sample % 4), _corner(values, 3 - sample % 4)
    signed = method not in UNSIGNED
    values[len(values) // 2][lit] = ratio * net.gain(sample) * (1.25 if signed else 1)
    values[len(values) // 2][lit] /= values[0][lit].size
    if signed:
        values[-1][opposite] -= 0.25 * ratio * net.gain(sample) / values[0][opposite].size
    return values


def shown(net: Net, sample: int) -> Floats:
    """The input [T, C, H, W]: every third element is an event, and the class' corner is lit."""
    values = empty_at(net, "input")
    t, c, y, x = np.indices(values.shape)
    values[(t + c + y + x + sample) % 3 == 0] = 1
    values[len(values) // 2][_corner(values, sample % 4)] = 1
    return values


def empty_at(net: Net, place: str) -> Floats:
    """Zeros over the input, or over four channels of a layer of half the side."""
    if place == "input":
        return np.zeros((net.steps, net.channels, net.side, net.side))
    return np.zeros((net.time_steps, 4, net.side // 2, net.side // 2))


def _corner(values: Floats, which: int) -> tuple[slice, slice, slice]:
    """Channels, rows and columns of a corner: upper left, upper right, lower left, lower right."""
    size = values.shape[-1] // 2
    rows = slice(size) if which < 2 else slice(-size, None)
    columns = slice(size) if which % 2 == 0 else slice(-size, None)
    return slice(None), rows, columns
