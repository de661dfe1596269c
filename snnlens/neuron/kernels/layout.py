"""How X lies in memory: time outermost, and each step dense in any order of its axes."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor) -> Tensor:
    """x itself if each step is dense (a step may be repeated, as `expand` does), else a copy."""
    if x.is_contiguous() or _is_dense(x):
        return x
    return x.contiguous()


def like(x: Tensor) -> Tensor:
    """An empty tensor with the layout of a dense x; a repeated step gets memory of its own."""
    if x.is_contiguous():
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    stride = (x[0].numel(), *x.stride()[1:])
    return torch.empty_strided(x.shape, stride, dtype=x.dtype, device=x.device)


def like_step(x: Tensor, dtype: torch.dtype) -> Tensor:
    """An empty tensor with the layout of one step of a dense x."""
    return torch.empty_strided(x.shape[1:], x.stride()[1:], dtype=dtype, device=x.device)


def nothing(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """What stands for a tensor that is not there: empty, with the dtype and device of x."""
    return x.new_empty(0, dtype=dtype)


def laid_out_as(x: Tensor, y: Tensor) -> Tensor:
    """y, its steps in the order in memory of a dense x; a copy only where they are not."""
    return y if y.stride()[1:] == x.stride()[1:] else like(x).copy_(y)


def _is_dense(x: Tensor) -> bool:
    """Whether x[0] fills its memory without gaps or repeats, and the steps do not overlap."""
    axes = sorted((s, n) for s, n in zip(x.stride()[1:], x.shape[1:], strict=True) if n != 1)
    size = 1
    for stride, length in axes:
        if stride != size:
            return False
        size *= length
    return x.shape[0] == 1 or x.stride(0) == 0 or x.stride(0) >= size
