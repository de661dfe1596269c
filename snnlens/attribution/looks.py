"""What a few passes tell of a model: how often layers ran, how scores lie, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snnlens.errors import InputError

Leaving = Literal["time first", "batch first", "folded", "folded, time first", "no time"]
MEMORY = ("not enough memory", "out of memory", "can't allocate memory")


@dataclass(frozen=True)
class Seen:
    """What one pass showed of a spiking layer: how often it ran, T and N and the rest's sizes."""

    calls: int
    steps: int
    samples: int
    shape: tuple[int, ...]


def is_repeated(seen: Seen, steps: int) -> bool:
    """Whether a layer runs several times on whole sequences, or oftener than there are steps."""
    return seen.calls > 1 and (seen.steps > seen.calls or seen.calls > steps > 1)


def tapped(tap: nn.Identity, spikes: Tensor) -> Tensor:
    """Time first [T, N, C, ...] through the tap as [N, C, T, ...], and back."""
    if not spikes.requires_grad and torch.is_grad_enabled():
        spikes = spikes.detach().requires_grad_()  # an encoder without a gradient: from here on
    seen: Tensor = tap(spikes.movedim(0, 2) if spikes.dim() > 2 else spikes.movedim(0, 1))
    return seen.movedim(2, 0) if seen.dim() > 2 else seen.movedim(1, 0)


def leaving(one: Tensor, two: Tensor) -> Leaving:
    """How scores lie: the axis that doubles with the batch is the batch."""
    axis = next((a for a in range(one.dim()) if two.shape[a] == 2 * one.shape[a]), None)
    if axis == 0 and one.dim() == 2:
        return "no time" if len(one) == 1 else "folded"
    if axis in (0, 1) and one.dim() == 3:
        return "time first" if axis == 1 else "batch first"
    raise InputError(
        "the output", got=list(two.shape),
        wanted="one score per class: [N, classes], [T, N, classes] or [N, T, classes]",
        do="choose another with output",
    )  # fmt: skip


def refuse_fresh_norms(model: nn.Module) -> None:
    """InputError for a BatchNorm that has seen no batch: the network may be silent."""
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and _is_fresh(module):
            raise InputError(
                f"the running statistics of {name}", got="of no batch",
                wanted="of the training data",
                do="train it or load weights: as it is it may be silent, and every map zero",
            )  # fmt: skip


def _is_fresh(norm: Any) -> bool:
    if norm.running_mean is None or int(norm.num_batches_tracked or 0):
        return False
    return not bool(norm.running_mean.any()) and bool((norm.running_var == 1).all())


@contextmanager
def takes(samples: int) -> Iterator[None]:
    """A model that runs on its whole batch alone, as layers do that are built for its size."""
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            "the model", got=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            wanted=f"able to take {samples} of the samples alone",
            do="build folded layers with num_timesteps, not with batch_size",
        ) from error  # fmt: skip


@contextmanager
def said_memory(samples: int) -> Iterator[None]:
    """A batch that does not fit is a line that says what to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(m in str(error).lower() for m in MEMORY):
            raise InputError(
                "a pass", got=f"{samples} samples at once, which do not fit in memory",
                wanted="smaller", do="lower internal_batch",
            ) from None  # fmt: skip
        raise


def devices(x: Tensor) -> list[int]:
    """The GPU that x lies on, if it does: whose generator is put back."""
    return [x.get_device()] if x.is_cuda else []
