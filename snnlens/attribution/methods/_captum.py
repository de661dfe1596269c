"""What every method through captum shares: passes of a few samples, draws by the seed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnlens.attribution.methods._base import Options
from snnlens.errors import InputError

One = Callable[[Tensor, int], Tensor]


@contextmanager
def installed() -> Iterator[None]:
    """Say what to install where captum is missing; it is loaded when a map is asked for."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "captum":
            raise
        raise InputError(
            "maps need a package that", got="captum", wanted="installed", do="pip install captum"
        ) from error


def asking(x: Tensor) -> Tensor:
    """The same numbers, asking for a gradient: captum warns where it has to set that itself."""
    return x.detach().requires_grad_()


def in_parts(most: int) -> Any:
    """captum's gradient function with at most so many samples in one pass of the network.

    Samples are independent, so the parts' gradients are those of the whole.
    """
    from captum._utils.gradient import compute_gradients

    def gradients(
        forward_fn: Any,
        inputs: Any,
        target_ind: int,
        _additional_forward_args: Any = None,
        **_: Any,
    ) -> tuple[Tensor]:
        whole: Tensor = inputs[0] if isinstance(inputs, tuple) else inputs
        parts = [compute_gradients(forward_fn, asking(p), target_ind)[0] for p in whole.split(most)]
        return (torch.cat(parts),)

    return gradients


def drawn(x: Tensor, target: Tensor, options: Options, one: One) -> Tensor:
    """Each sample by itself, the generators of torch and numpy at `seed`; both are put back."""
    found = []
    for sample, asked in zip(x.split(1), target.tolist(), strict=True):
        with seeded(options.seed, x):
            found.append(one(sample, asked).detach())
    return torch.cat(found)


@contextmanager
def seeded(seed: int, x: Tensor) -> Iterator[None]:
    """Inside, the global generators stand at `seed`; outside, they are where they were.

    >>> with seeded(3, torch.ones(1)):
    ...     first = torch.rand(1), np.random.rand()
    >>> with seeded(3, torch.ones(1)):
    ...     (torch.rand(1), np.random.rand()) == first
    True
    """
    state = np.random.get_state()  # noqa: NPY002 - captum draws from it
    try:
        with torch.random.fork_rng([x.get_device()] if x.is_cuda else []):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def sigma(sample: Tensor, options: Options) -> float:
    """The standard deviation of the noise: `noise` x (largest - smallest value of the sample)."""
    return options.noise * float(sample.max() - sample.min())


def time_second(values: Tensor) -> Tensor:
    """What comes out of a tap, [N, C, T, ...], as [N, T, C, ...].

    >>> time_second(torch.zeros(2, 3, 5, 4, 4)).shape
    torch.Size([2, 5, 3, 4, 4])
    """
    return values.transpose(1, 2)


def at_once(x: Tensor, options: Options) -> int:
    """How many changed copies of each sample go through the network in one pass."""
    return max(1, options.batch // len(x))
