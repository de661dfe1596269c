"""The CPU kernel of the parallel neuron: parallel.c, called through ctypes.

float32 in any dense layout with time outermost; one threshold, or one per channel. Each function
gives None where the kernel cannot run or is not wanted (another dtype, device or backend, no C
compiler, a tracer or a subclass of Tensor that has to see the operations). Then PyTorch does the
same to the bit, so nothing is said.

A layer of a thousand neurons costs its call: few Python objects are made and touched here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from snnlens.neuron import kernels
from snnlens.neuron.kernels import compiler, layout
from snnlens.neuron.kernels.compiler import NotCompiled
from snnlens.neuron.kernels.cpu import STREAM_BYTES, THREAD_ELEMENTS

SOURCE = Path(__file__).with_name("parallel.c")
KINDS = (Tensor, torch.nn.Parameter)  # no subclass
POINTER, WHOLE, NUMBER, FLAG = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
CHARGE = (POINTER, WHOLE, WHOLE, WHOLE, WHOLE, POINTER, NUMBER, WHOLE, WHOLE, NUMBER, NUMBER, WHOLE,
          POINTER, POINTER, FLAG, FLAG)  # fmt: skip
FIRE = (POINTER, WHOLE, WHOLE, POINTER, FLAG, FLAG)


class Constants(NamedTuple):
    """What `count` and `added` of neuron/parallel.py reckon with."""

    shift: float  # psi / theta
    margin: float  # 1 + tie
    part: int  # steps that are added one after the other


class Compiled(NamedTuple):
    """The two functions of parallel.c."""

    charge: Callable[..., None]
    fire: Callable[..., None]


def count(
    total: Tensor, threshold: Tensor | float, steps: int, constants: Constants
) -> Tensor | None:
    """The count of each total."""
    compiled = _takes(total)
    if compiled is None:
        return None
    if not total.is_contiguous():
        total = layout.dense(total[None])[0]
    place = _place(threshold, total, total.dim())
    if place is None:
        return None
    out, neurons = torch.empty_like(total), total.numel()
    compiled.charge(total.data_ptr(), 1, neurons, 0, 1, *place, constants.shift, constants.margin,
                    steps, out.data_ptr(), None, _threads(neurons), 0)  # fmt: skip
    return out


def counts(x: Tensor, threshold: Tensor | float, constants: Constants) -> Tensor | None:
    """The counts of currents [T, ...], in no more memory than their own."""
    return _charged(x, threshold, constants, to_train=False)


def spikes(x: Tensor, threshold: Tensor | float, constants: Constants) -> Tensor | None:
    """The train [T, ...] of currents [T, ...]."""
    return _charged(x, threshold, constants, to_train=True)


def train(counts: Tensor, steps: int) -> Tensor | None:
    """The train [T, ...] of counts."""
    compiled = _takes(counts)
    if compiled is None:
        return None
    x, neurons = layout.dense(counts[None]), counts.numel()
    out = _train_of(x, steps, neurons)
    compiled.fire(x.data_ptr(), neurons, steps, out.data_ptr(), _threads(steps * neurons),
                  _is_streamed(out, neurons))  # fmt: skip
    return out


def _charged(
    x: Tensor, threshold: Tensor | float, constants: Constants, *, to_train: bool
) -> Tensor | None:
    compiled = _takes(x)
    if compiled is None or not (x.is_contiguous() or layout._is_dense(x)):
        return None
    place = _place(threshold, x, x.dim() - 1)
    if place is None:
        return None
    elements, steps = x.numel(), x.shape[0]
    neurons = elements // steps
    out = _train_of(x, steps, neurons) if to_train else layout.like_step(x, torch.float32)
    into = (None, out.data_ptr()) if to_train else (out.data_ptr(), None)
    compiled.charge(x.data_ptr(), steps, neurons, x.stride(0), constants.part, *place,
                    constants.shift, constants.margin, steps, *into, _threads(elements),
                    to_train and _is_streamed(out, neurons))  # fmt: skip
    return out


def _takes(x: Tensor) -> Compiled | None:
    """The kernel, if it is there and may run on x and nobody wants to see what is done to x.

    A trace would keep the result for a constant, and a forward derivative would be lost.
    """
    if (
        not kernels._is_plain(x)  # first: a compiler stumbles over the others
        or not _is_readable(x)
        or kernels._chosen[0] not in {"auto", "cpu"}
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
    ):
        return None
    return _compiled()


def _is_readable(x: Tensor) -> bool:
    """Whether the numbers of x lie in memory, as float32 and as they are."""
    return (
        type(x) in KINDS
        and x.dtype == torch.float32
        and x.is_cpu
        and x.layout == torch.strided
        and not x.is_neg()
    )


def _place(
    threshold: Tensor | float, x: Tensor, axes: int
) -> tuple[int | None, float, int, int] | None:
    """Pointer to thresholds, or the threshold; channels, and neurons from one to the next.

    x lies as it does in memory; its last `axes` axes are a step. Nothing where the kernel does not
    know thresholds of that kind.
    """
    if not isinstance(threshold, Tensor):
        return None, threshold, 1, 1
    n = threshold.numel()
    if (
        not n
        or threshold.dim() > axes
        or not (_is_readable(threshold) and threshold.is_contiguous())
    ):
        return None
    if n == 1:
        return threshold.data_ptr(), 0.0, 1, 1
    axis = [*threshold.shape].index(max(threshold.shape)) - threshold.dim()
    if not n == threshold.shape[axis] == x.shape[axis]:
        return None
    return threshold.data_ptr(), 0.0, n, x.stride(axis)


def _train_of(x: Tensor, steps: int, neurons: int) -> Tensor:
    """An empty train, each step laid out as in a dense x."""
    shape, stride = (steps, *x.shape[1:]), (neurons, *x.stride()[1:])
    return torch.empty_strided(shape, stride, dtype=torch.float32)


def _is_streamed(out: Tensor, neurons: int) -> bool:
    return out.nbytes >= STREAM_BYTES and neurons * out.itemsize % 64 == 0


def _threads(elements: int) -> int:
    return torch.get_num_threads() if elements >= THREAD_ELEMENTS else 1


@cache
def _compiled() -> Compiled | None:
    """The kernel, or nothing where it cannot be compiled."""
    try:
        library = compiler.load(SOURCE)
    except NotCompiled:
        return None
    library.charge.argtypes, library.fire.argtypes = CHARGE, FIRE
    library.charge.restype = library.fire.restype = None
    return Compiled(library.charge, library.fire)
