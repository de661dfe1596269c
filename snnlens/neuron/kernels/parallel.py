"""The CPU kernel of the parallel neuron: parallel.c, called through ctypes.

float32 in any dense layout with time outermost; one threshold, or one per channel. Each function
gives None where the kernel cannot run or is not wanted (another dtype, device or backend, no C
compiler, a tracer or a subclass of Tensor that has to see the operations). Then PyTorch does the
same to the bit, so nothing is said.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from snnlens.neuron import kernels
from snnlens.neuron.kernels import compiler, layout
from snnlens.neuron.kernels.compiler import NotCompiled
from snnlens.neuron.kernels.cpu import STREAM_BYTES, THREAD_ELEMENTS

SOURCE = Path(__file__).with_name("parallel.c")
KINDS = (Tensor, torch.nn.Parameter)  # no subclass


class Constants(NamedTuple):
    """What `count` and `added` of neuron/parallel.py reckon with."""

    shift: float  # psi / theta
    margin: float  # 1 + tie
    part: int  # steps that are added one after the other


class Job(ctypes.Structure):
    """`Job` of parallel.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "neurons", "stride", "part")),
        *((name, ctypes.c_void_p) for name in ("x", "theta")),
        *((name, ctypes.c_int64) for name in ("channels", "inner", "steps")),
        *((name, ctypes.c_void_p) for name in ("counts", "train")),
        *((name, ctypes.c_float) for name in ("threshold", "shift", "margin")),
        *((name, ctypes.c_int32) for name in ("counted", "threads", "stream")),
    ]


def count(
    total: Tensor, threshold: Tensor | float, steps: int, constants: Constants
) -> Tensor | None:
    """The count of each total."""
    if not _takes(total):
        return None
    x = layout.dense(total[None])
    job = _job(x, steps)
    return _counts(job, x) if _charge(job, x, threshold, constants) else None


def counts(x: Tensor, threshold: Tensor | float, constants: Constants) -> Tensor | None:
    """The counts of currents [T, ...], in no more memory than their own."""
    if not (_takes(x) and _is_dense(x)):
        return None
    job = _job(x, x.shape[0])
    return _counts(job, x) if _charge(job, x, threshold, constants) else None


def spikes(x: Tensor, threshold: Tensor | float, constants: Constants) -> Tensor | None:
    """The train [T, ...] of currents [T, ...]."""
    if not (_takes(x) and _is_dense(x)):
        return None
    job = _job(x, x.shape[0])
    return _train(job, x) if _charge(job, x, threshold, constants) else None


def train(counts: Tensor, steps: int) -> Tensor | None:
    """The train [T, ...] of counts."""
    if not _takes(counts):
        return None
    x = layout.dense(counts[None])
    job = _job(x, steps)
    job.part = job.counted = 1
    return _train(job, x)


def _takes(x: Tensor) -> bool:
    """Whether the kernel is there and may run, and nobody wants to see what is done to x.

    A trace would keep the result for a constant, and a forward derivative would be lost.
    """
    return (
        kernels._chosen[0] in {"auto", "cpu"}
        and kernels._is_plain(x)
        and _is_readable(x)
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
        and _compiled() is not None
    )


def _is_readable(x: Tensor) -> bool:
    """Whether the numbers of x lie in memory, as float32 and as they are."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.layout == torch.strided
        and not x.is_neg()
    )


def _is_dense(x: Tensor) -> bool:
    return x.is_contiguous() or layout._is_dense(x)


def _job(x: Tensor, steps: int) -> Job:
    """What is read of a dense x [rows, ...]."""
    rows, elements = x.shape[0], x.numel()
    job = Job(rows=rows, neurons=elements // rows, stride=x.stride(0), x=x.data_ptr(), steps=steps)
    enough = max(elements, steps * job.neurons) >= THREAD_ELEMENTS
    job.threads = torch.get_num_threads() if enough else 1
    return job


def _charge(job: Job, x: Tensor, threshold: Tensor | float, constants: Constants) -> bool:
    """Tell the job how to count; whether the threshold is of a kind that it knows."""
    job.shift, job.margin, job.part = constants
    if not isinstance(threshold, Tensor):
        job.threshold = threshold
        return True
    n = threshold.numel()
    if type(threshold) not in KINDS or not _is_readable(threshold) or not n:
        return False
    if threshold.dim() >= x.dim() or not threshold.is_contiguous():
        return False
    job.theta, job.channels, job.held = threshold.data_ptr(), n, threshold
    if n == 1:
        return True
    axis = [*threshold.shape].index(max(threshold.shape)) - threshold.dim()
    job.inner = x.stride(axis)
    return n == threshold.shape[axis] == x.shape[axis]


def _counts(job: Job, x: Tensor) -> Tensor:
    out = layout.like_step(x, torch.float32)
    job.counts = out.data_ptr()
    return _run(job, out)


def _train(job: Job, x: Tensor) -> Tensor:
    shape, stride = (job.steps, *x.shape[1:]), (job.neurons, *x.stride()[1:])
    out = torch.empty_strided(shape, stride, dtype=torch.float32)
    job.train = out.data_ptr()
    job.stream = out.nbytes >= STREAM_BYTES and job.neurons * out.itemsize % 64 == 0
    return _run(job, out)


def _run(job: Job, out: Tensor) -> Tensor:
    function = _compiled()
    if job.neurons and function is not None:
        function(ctypes.byref(job))
    return out


@cache
def _compiled() -> Callable[[Any], None] | None:
    """The kernel, or nothing where it cannot be compiled."""
    try:
        function = compiler.load(SOURCE).run
    except NotCompiled:
        return None
    function.restype = None
    return function
