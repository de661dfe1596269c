"""ReLU to clip: the threshold of each channel, from what the activations were given.

The authors take the running maximum over the training set; a quantile forgives single outliers.
A channel that is never positive has no threshold of its own: it gets the median of its layer's
others (the authors' code gives it 1e-3, which would clip whatever it gives later).

Source: Hao et al. 2025 (ICML), the first stage of the training-free pipeline; the quantile after
Rueckauer et al. 2017 (Frontiers in Neuroscience 11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from snnlens.conversion.prepare import Prepared
from snnlens.errors import InputError

LEAST_THETA = 1e-3  # where no channel of a layer is positive, and the least of any
LIMITS: dict[type[nn.Module], float] = {nn.ReLU6: 6.0}  # what an activation itself clips at
BATCH = 64  # of a Dataset
BINS = 4096  # of the histogram that a quantile is read from: exact to 1/4096 of the maximum


def inputs_of(batches: Iterable[Any]) -> list[Tensor]:
    """The inputs x of batches x or (x, y), of one batch or of a Dataset; InputError without any.

    >>> len(inputs_of([torch.zeros(2, 3), (torch.zeros(2, 3), torch.zeros(2))]))
    2
    """
    if isinstance(batches, Tensor):
        batches = [batches]
    elif isinstance(batches, Dataset):
        batches = DataLoader(batches, BATCH)
    found = [b[0] if isinstance(b, tuple | list) else b for b in batches]
    for x in found:
        if not isinstance(x, Tensor):
            raise InputError(
                "a batch of the data", got=type(x).__name__, wanted="x or (x, y), x a tensor"
            )
    if not sum(len(x) for x in found):
        raise InputError("the calibration set", got="empty", wanted="with samples")
    return found


def thresholds(
    prepared: Prepared,
    names: Sequence[str],
    batches: Iterable[Any],
    *,
    quantile: float | None = None,
    guessed: dict[str, int] | None = None,
) -> dict[str, Tensor]:
    """theta per channel, [C, 1, ...], of each named activation: the maximum of its input.

    Args:
        prepared: the ANN.
        names: its activations.
        batches: x or (x, y), the training set.
        quantile: in (0, 1]: of the positive part of the input, instead of the maximum.
        guessed: is given, by name, how many channels were never positive.

    Raises:
        InputError: an empty set, a quantile outside.
    """
    if quantile is not None and not 0 < quantile <= 1:
        raise InputError("quantile", got=quantile, wanted="above 0 and at most 1")
    shown = inputs_of(batches)
    highest: dict[str, Tensor] = {}

    def maximum(name: str, z: Tensor) -> None:
        seen = _channels(z).amax(1)
        highest[name] = torch.maximum(highest.get(name, seen), seen)

    axes = _look(prepared, names, shown, maximum)
    for name in names:
        _check_seen(name, highest.get(name))
    if quantile is not None and quantile < 1:
        highest = _quantiles(prepared, names, shown, highest, quantile)
    made = {}
    for name in names:
        limit = LIMITS.get(type(prepared.activation(name)), math.inf)
        made[name] = _column(_alive(highest[name]).clamp(max=limit), axes[name])
        if guessed is not None:
            guessed[name] = int((highest[name] <= 0).sum())
    return made


def _quantiles(
    prepared: Prepared, names: Sequence[str], shown: list[Tensor], highest: dict[str, Tensor],
    quantile: float,
) -> dict[str, Tensor]:  # fmt: skip
    """The upper edge of the bin that holds the quantile of the positive part of each channel."""
    counts: dict[str, Tensor] = {}

    def histogram(name: str, z: Tensor) -> None:
        top = highest[name].clamp(min=LEAST_THETA)[:, None]
        values = _channels(z)
        bins = (values / top * BINS).ceil().clamp(1, BINS).long() - 1
        found = torch.zeros(len(values), BINS, dtype=torch.int64, device=z.device)
        found.scatter_add_(1, bins, (values > 0).long())
        counts[name] = counts.get(name, 0) + found

    _look(prepared, names, shown, histogram)
    made = {}
    for name in names:
        share = counts[name].cumsum(1) / counts[name].sum(1, keepdim=True).clamp(min=1)
        at = (share < quantile).sum(1).clamp(max=BINS - 1) + 1
        made[name] = highest[name] * at.to(highest[name]) / BINS
    return made


@torch.no_grad()
def _look(
    prepared: Prepared, names: Sequence[str], shown: list[Tensor],
    see: Callable[[str, Tensor], None],
) -> dict[str, int]:  # fmt: skip
    """Show each activation's input to `see`; the number of axes of one sample."""
    axes: dict[str, int] = {}
    handles = []
    for name in names:

        def hook(_: Any, given: tuple[Tensor, ...], name: str = name) -> None:
            axes[name] = given[0].dim() - 1
            see(name, given[0])

        handles.append(prepared.activation(name).register_forward_pre_hook(hook))
    try:
        for x in shown:
            prepared.network(x)
    finally:
        for handle in handles:
            handle.remove()
    return axes


def _check_seen(name: str, highest: Tensor | None) -> None:
    """Raise InputError for an activation that was never called, or was given NaN or infinity."""
    if highest is None:
        raise InputError(
            "an activation", got=f"{name}, which the forward function never calls",
            wanted="called", do="remove it from the network",
        )  # fmt: skip
    if not bool(torch.isfinite(highest).all()):
        wanted = "finite: neither weights nor calibration data may hold NaN or infinity"
        raise InputError(f"the currents of {name}", got="NaN or infinity", wanted=wanted)


def _alive(theta: Tensor) -> Tensor:
    """Thresholds above 0; of a channel that was never positive the median of the others.

    >>> _alive(torch.tensor([-1.0, 2.0, 4.0, 3.0])).tolist()
    [3.0, 2.0, 4.0, 3.0]
    """
    live = theta[theta > 0]
    least = theta.new_tensor(LEAST_THETA)
    guess = live.median() if len(live) else least
    return torch.where(theta > 0, theta, guess).clamp(min=LEAST_THETA)


def _channels(z: Tensor) -> Tensor:
    """[B, C, ...] as [C, values]."""
    return z.transpose(0, 1).flatten(1)


def _column(theta: Tensor, axes: int) -> Tensor:
    """[C] as [C, 1, ...] with the axes of one sample."""
    return theta.reshape(-1, *[1] * (axes - 1))
