"""The CPU kernel: cpu.c, compiled for one rule and called through ctypes.

float32, bfloat16 and float16 in any dense layout with time outermost, so that channels-last is
read as it lies; state and arithmetic are float32. float64 runs in the reference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnlens.neuron import statistics
from snnlens.neuron.equations import RULES, Rule
from snnlens.neuron.kernels import compiler
from snnlens.neuron.kernels.compiler import NotCompiled
from snnlens.neuron.kernels.layout import dense, laid_out_as, like, like_step, nothing
from snnlens.neuron.kernels.told import GRAD_RATE, STORAGE, constants_of, no_kernel, tau_of
from snnlens.neuron.statistics import Bins

SOURCE = Path(__file__).with_name("cpu.c")
THREAD_ELEMENTS = 1 << 15  # below it a second thread costs more than it brings
STREAM_BYTES = 4 << 20  # an output beyond a core's cache is written past it


class Job(ctypes.Structure):
    """`Job` of cpu.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("steps", "neurons", "x_stride", "grad_stride")),
        *((name, ctypes.c_void_p) for name in ("x", "grad", "out", "first", "last")),
        *((name, ctypes.c_float) for name in ("threshold", "rest", "tau")),
        *((name, ctypes.c_float) for name in ("slope", "height", "reach")),
        *((name, ctypes.c_double) for name in ("lowest", "per_bin")),
        ("bins", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("counts", "sums")),
        *((name, ctypes.c_int32) for name in ("wanted", "threads", "stream")),
    ]


class Compiled(NamedTuple):
    """One rule in one dtype: the two passes, and a Job with the rule's constants in it."""

    forward: Callable[[Any], int]
    backward: Callable[[Any], int]
    job: Job


def why_not(x: Tensor, rule: Rule) -> str:
    """Why this kernel cannot run that, or nothing."""
    if x.device.type != "cpu":
        return f"a tensor on {x.device.type}"
    found = _compiled(rule.key, x.dtype)
    return found if isinstance(found, str) else ""


def forward(
    x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *,
    wanted: int = 0, bins: Bins | None = None, last: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Spikes, the last V (empty unless asked for) and the two tables of statistics."""
    x, bins, compiled = dense(x), bins or Bins(), _get(rule, x.dtype)
    job = _job(compiled, x, v, rate)
    spikes = like(x)
    end = like_step(x, torch.float32) if last else nothing(x, torch.float32)
    tables = statistics.tables if wanted else statistics.no_tables
    counts, sums = tables(x.shape[0], bins, x.device)
    job.out = spikes.data_ptr()
    if last:
        job.last = end.data_ptr()
    if wanted:
        job.lowest, job.per_bin, job.bins = bins.lowest, 1 / bins.width, bins.count
        job.counts, job.sums, job.wanted = counts.data_ptr(), sums.data_ptr(), wanted
    _call(compiled.forward, job)
    return spikes, end, counts, sums


def backward(
    grad: Tensor, x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *, wanted: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/dX, dL/d(1 / tau) (empty but for PLIF) and the table of statistics."""
    x, compiled = dense(x), _get(rule, x.dtype)
    grad = laid_out_as(x, grad)
    job = _job(compiled, x, v, rate)
    grad_x, by_rate = like(x), nothing(x)
    job.grad, job.grad_stride, job.out = grad.data_ptr(), grad.stride(0), grad_x.data_ptr()
    rows = statistics.GRADIENT_SUMS
    table = torch.zeros(rows + 1 if wanted or rate is not None else 0, len(x), dtype=torch.float64)
    if len(table):
        job.wanted = wanted if rate is None else wanted | GRAD_RATE
        job.sums = table.data_ptr()
    _call(compiled.backward, job)
    if rate is not None:
        by_rate = table[rows].sum().to(rate.dtype)
    return grad_x, by_rate, table[: rows if wanted else 0]


def _job(compiled: Compiled, x: Tensor, v: Tensor | None, rate: Tensor | None) -> Job:
    job = Job.from_buffer_copy(compiled.job)
    elements, size = x.numel(), x.element_size()
    job.steps, job.neurons = x.shape[0], elements // x.shape[0]
    job.x_stride, job.x = x.stride(0), x.data_ptr()
    if rate is not None:
        job.tau = float(rate)
    if v is not None:
        v = v if v.stride() == x.stride()[1:] else like_step(x, torch.float32).copy_(v)
        job.first, job.held = v.data_ptr(), v
    if elements >= THREAD_ELEMENTS:
        job.threads = torch.get_num_threads()
        job.stream = elements * size >= STREAM_BYTES and job.neurons * size % 64 == 0
    return job


def _call(function: Callable[[Any], int], job: Job) -> None:
    if job.neurons and function(ctypes.byref(job)):
        raise MemoryError("the neuron kernel found no memory for its rows")


def _get(rule: Rule, dtype: torch.dtype) -> Compiled:
    compiled = _compiled(rule.key, dtype)
    assert isinstance(compiled, Compiled), compiled
    return compiled


@cache
def _compiled(key: str, dtype: torch.dtype) -> Compiled | str:
    """The kernel of a rule, or why there is none."""
    rule = RULES[key]
    if reason := no_kernel(rule, dtype):
        return reason
    charge, tau = tau_of(rule)
    constants = {
        "CHARGE": charge,
        "DECAY": int(rule.decay_input),
        "HARD": int(rule.reset == "hard"),
        "DETACH": int(rule.detach_reset),
        "SURROGATE": type(rule.surrogate).name.upper(),
        "STORAGE": STORAGE[dtype],
    }
    try:
        library = compiler.load(SOURCE, [f"{name}={value}" for name, value in constants.items()])
    except NotCompiled as fault:
        return str(fault)
    slope, height, reach = constants_of(rule.surrogate)
    job = Job(threshold=rule.threshold, rest=rule.reset_potential, tau=tau, slope=slope,
              height=height, reach=reach, threads=1)  # fmt: skip
    return Compiled(library.forward, library.backward, job)
