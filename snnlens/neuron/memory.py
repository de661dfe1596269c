"""What a pass keeps in memory: each option says what it changes, and none changes a number.

lean           X of a neuron that follows a BatchNorm is not kept but computed again: 4 bytes
               per neuron and step less, for a second pass of that BatchNorm
checkpointed   of each block only its input is kept, and its forward pass runs twice
keep_freed     glibc keeps freed memory in the process instead of giving it back (page faults
               of a fresh large tensor cost several times a copy of it)
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

WAITING = 2  # outputs of BatchNorm that may wait for their neuron: a branch's and a shortcut's
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


@dataclass(frozen=True)
class _Again:
    """How to compute a BatchNorm's output, or a view of it, once more."""

    norm: _BatchNorm
    given: Tensor
    versions: tuple[int, ...]
    statistics: tuple[Tensor | None, Tensor | None]
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int

    @torch.no_grad()
    def compute(self) -> Tensor:
        """The same operation on the same numbers: the same bits."""
        if self.versions != _versions(self.given, self.norm):
            raise RuntimeError(
                "memory='lean' computes a BatchNorm again, but its input or weights were changed "
                "in place between the forward and the backward pass"
            )
        mean, variance = self.statistics
        norm = self.norm
        out = torch.batch_norm(
            self.given, norm.weight, norm.bias, mean, variance, mean is None, 0.0, norm.eps,
            torch.backends.cudnn.enabled,
        )  # fmt: skip
        return out.as_strided(self.shape, self.stride, self.offset)


@contextmanager
def lean(model: nn.Module) -> Iterator[None]:
    """Within it, what a layer saves of a BatchNorm's output is computed again when it is needed.

    The BatchNorm's own input is saved anyway, by its own backward pass. The backward pass may run
    outside.

    >>> net = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())
    >>> with lean(net):
    ...     y = net(torch.randn(4, 3, requires_grad=True))
    >>> y.sum().backward()
    """
    made: dict[int, tuple[_BatchNorm, Tensor, Tensor, int]] = {}  # by where the output lies

    def remember(norm: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
        assert isinstance(norm, _BatchNorm)
        if len(made) == WAITING:
            made.pop(next(iter(made)))
        if args[0].requires_grad:  # else nobody keeps the input
            place = out.untyped_storage().data_ptr()
            made[place] = (norm, args[0].detach(), out.detach(), out._version)

    def pack(x: Tensor) -> Tensor | _Again:
        found = made.get(x.untyped_storage().data_ptr()) if x.numel() else None
        if found is None or x._version != found[-1]:
            return x
        norm, given, _, _ = found
        return _Again(norm, given, _versions(given, norm), _statistics(norm), x.shape, x.stride(),
                      int(x.storage_offset()))  # fmt: skip

    def unpack(kept: Tensor | _Again) -> Tensor:
        return kept.compute() if isinstance(kept, _Again) else kept

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    with ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_hook(remember).remove)
        stack.callback(made.clear)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(pack, unpack))
        yield


@contextmanager
def checkpointed(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Within it, each of these modules keeps its input alone and runs again in the backward pass.

    A BatchNorm inside counts the batch once. The backward pass may run outside.

    >>> net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    >>> with checkpointed([net]):
    ...     y = net(torch.randn(4, 3, requires_grad=True))
    >>> y.sum().backward()
    """
    with ExitStack() as stack:
        for block in blocks:
            stack.callback(_give_back, block, vars(block).get("forward"))
            contexts = partial(_twice, block)
            block.forward = partial(
                checkpoint, block.forward, use_reentrant=False, context_fn=contexts
            )
        yield


def _give_back(block: nn.Module, own: Callable[..., Any] | None) -> None:
    """The forward that the block had: its own, if somebody had set one, or that of its class."""
    del block.forward
    if own is not None:
        block.forward = own


def keep_freed() -> bool:
    """Keep freed memory in this process, from now on; False where there is no glibc.

    It sets M_MMAP_MAX to 0 and switches trimming off: resident memory never falls again.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def _versions(given: Tensor, norm: _BatchNorm) -> tuple[int, ...]:
    tensors: tuple[Tensor | None, ...] = (given, norm.weight, norm.bias)
    return tuple(t._version for t in tensors if t is not None)


def _statistics(norm: _BatchNorm) -> tuple[Tensor | None, Tensor | None]:
    """Those that the forward pass used, if it did not use the batch's own."""
    if norm.training or norm.running_mean is None or norm.running_var is None:
        return None, None
    return norm.running_mean.clone(), norm.running_var.clone()


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """BatchNorms that leave their running statistics as they are."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(n.momentum, n.num_batches_tracked) for n in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


def _twice(block: nn.Module) -> tuple[Any, Any]:
    """Around the first and around the second forward pass."""
    return ExitStack(), _uncounted(block)
