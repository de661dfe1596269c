"""float32 that is float32 on a GPU, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions and matrix products keep all 23 bits; what was set before comes back.

    By default cuDNN rounds the inputs of a convolution to 10 bits (TF32). Spikes then flip wherever
    a membrane is near the threshold: at depth 152 half of the gradient norms move by .9 % or more,
    without it by 4e-5 (reports/benchmarks/gpu.md). Also a decorator. Trainings and a user's own
    model run as torch is set.

    >>> import torch
    >>> with full_float32():
    ...     torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    (False, False)
    """
    places: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    kept = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = False
        yield
    finally:
        for place, value in zip(places, kept, strict=True):
            place.allow_tf32 = value
