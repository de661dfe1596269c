"""Calibration of a converted network: one file per method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from snnlens import registry
from snnlens.conversion.convert import Converted
from snnlens.conversion.prepare import Prepared

FOLDER = "conversion/calibration"


def calibrate(
    net: Converted, ann: nn.Module | Prepared, data: Iterable[Any], method: str = "da_qcfs",
    **options: Any,
) -> Converted:  # fmt: skip
    """Correct a converted network, layer by layer, so that its layers' means are the ANN's.

    Args:
        net: from `convert`; its layers are changed. What is found holds for its T alone.
        ann: what it was converted from, with the same options.
        data: batches x or (x, y) of the training set.
        method: a file of `snnlens/conversion/calibration`.
        options: of that method's `calibrate`.

    Returns:
        net.

    Raises:
        InputError: an unknown method, an empty calibration set, a network that it does not fit.

    >>> from snnlens.conversion.convert import convert
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> ann, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.rand(50, 4)
    >>> net = calibrate(convert(ann, time_steps=2, data=[x]), ann, [x])
    >>> bool(net.layers["1"].gain.any())
    True
    """
    registry.module(FOLDER, method).calibrate(net, ann, data, **options)
    return net
