"""Calibration of a converted network: one file per method."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from torch import nn

from snnlens import registry
from snnlens.conversion.convert import Converted, check_converted
from snnlens.conversion.prepare import Prepared
from snnlens.errors import InputError

FOLDER = "conversion/calibration"


def calibrate(
    ann: nn.Module | Prepared, net: Converted, data: Iterable[Any], method: str = "da_qcfs",
    **options: Any,
) -> Converted:  # fmt: skip
    """Correct a converted network, layer by layer, so that its layers' means are the ANN's.

    Args:
        ann: what `net` was converted from.
        net: of parallel neurons, from `convert`; its layers are changed, for its T alone.
        data: batches x or (x, y) of the training set.
        method: a file of `snnlens/conversion/calibration`.
        options: of that method; of da_qcfs alpha, variant (published, zero-mean) and dense.

    Returns:
        net.

    Raises:
        InputError: an unknown method, an empty calibration set, a network that it does not fit.

    >>> from snnlens.conversion.convert import convert
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> ann, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.rand(50, 4)
    >>> net = calibrate(ann, convert(ann, time_steps=2, data=[x]), [x])
    >>> bool(net.layers["1"].gain.any())
    True
    """
    check_converted(net, "calibrate(ann, net, data)")
    run = registry.module(FOLDER, method).calibrate
    if unknown := sorted(set(options) - set(inspect.signature(run).parameters)):
        known = ", ".join(list(inspect.signature(run).parameters)[3:])
        raise InputError(f"an option of {method}", got=unknown[0], wanted=f"one of {known}")
    run(ann, net, data, **options)
    return net
