"""Reductions over all axes but time, on the device, without a host transfer: [T, ...] -> [T].

On a CPU they are one pass of reduce.c where it could be compiled, else plain PyTorch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snnlens.neuron.kernels import compiler
from snnlens.neuron.kernels.cpu import THREAD_ELEMENTS
from snnlens.neuron.kernels.layout import dense
from snnlens.neuron.kernels.told import STORAGE

NUMBERS = 5  # of each step: sum, squares, not 0, above 1, largest
EXACT = 4096  # so many integers of up to 4096 sum exactly in float32 (below 2^24)
CHUNK = 1 << 17  # elements: 1 MB of float64, which stays in a core's cache
OFF_CPU = 1 << 22  # elements: where each call costs microseconds; ones below 2^24 sum exactly


def chunk(x: Tensor, in_cache: int) -> int:
    """How many elements are taken at a time: what a core's cache holds, elsewhere many more.

    >>> chunk(torch.zeros(1), 1024)
    1024
    """
    return in_cache if x.is_cpu else max(in_cache, OFF_CPU)


def step_sums(x: Tensor) -> Tensor:
    """The sum at each step, float64; exact for integers up to 4096.

    >>> step_sums(torch.ones(2, 3, 5000)).tolist()
    [15000.0, 15000.0]
    """
    flat = _flat(x)
    if flat.dtype == torch.float64:
        return flat.sum(1)
    found = _compiled(x, squares=False)
    if found is not None:
        return found[0]
    whole = flat.shape[1] // EXACT * EXACT
    if not whole:
        return flat.sum(1, dtype=torch.float32).to(torch.float64)
    parts: Tensor = torch.unflatten(flat[:, :whole], 1, (-1, EXACT)).sum(2, dtype=torch.float32)
    sums: Tensor = parts.sum(1, dtype=torch.float64)
    if whole < flat.shape[1]:
        sums += flat[:, whole:].sum(1, dtype=torch.float64)
    return sums


def step_squares(x: Tensor) -> Tensor:
    """The sum of squares at each step, squared and summed in float64.

    In float32 the square of 1e-26 is 0, and such gradients are real at depth 152.

    >>> step_squares(torch.full((1, 4), 1e-26)).item() > 3e-52
    True
    """
    found = _compiled(x, squares=True)
    if found is not None:
        return found[1]
    flat = _flat(x)
    size = chunk(flat, CHUNK)
    if flat.numel() <= size:  # one call for all steps: a small layer costs calls, not bandwidth
        wide = flat.to(torch.float64)
        return wide.mul(wide).sum(1)
    sums = torch.zeros(len(flat), dtype=torch.float64, device=x.device)
    buffer = torch.empty(min(size, flat.shape[1]), dtype=torch.float64, device=x.device)
    for t, row in enumerate(flat):
        for part in row.split(size):
            wide = buffer[: len(part)].copy_(part)
            sums[t] += torch.dot(wide, wide)
    return sums


def step_summary(x: Tensor) -> dict[str, Tensor]:
    """Total, nonzero, above_one and largest at each step, in one pass where that is possible.

    >>> {name: n.tolist() for name, n in step_summary(torch.tensor([[0.0, 1.0, 3.0]])).items()}
    {'total': [4.0], 'nonzero': [2], 'above_one': [1], 'largest': [3.0]}
    """
    found = _compiled(x, squares=False)
    if found is None:
        return {"total": step_sums(x), "nonzero": step_nonzero(x),
                "above_one": step_above_one(x), "largest": step_max(x)}  # fmt: skip
    counts = found[2:4].to(torch.int64)
    return {"total": found[0], "nonzero": counts[0], "above_one": counts[1], "largest": found[4]}


def step_nonzero(x: Tensor) -> Tensor:
    """How many elements are not 0, int64. NaN is not 0."""
    return _counted(x, torch.ne, 0)


def step_above_one(x: Tensor) -> Tensor:
    """How many elements are above 1, int64."""
    return _counted(x, torch.gt, 1)


def step_max(x: Tensor) -> Tensor:
    """The largest element, float64; -inf where there is none."""
    flat = _flat(x)
    if flat.shape[1] == 0:
        return torch.full((len(flat),), -torch.inf, dtype=torch.float64, device=x.device)
    return flat.amax(1).to(torch.float64)


def step_elements(x: Tensor) -> Tensor:
    """How many elements each step has, int64."""
    return torch.full((len(x),), x[0].numel(), dtype=torch.int64, device=x.device)


def _counted(x: Tensor, compare: Callable[..., Tensor], number: float) -> Tensor:
    """How often a comparison holds: ones in a float buffer, 4 to 10 times as fast as booleans."""
    flat = _flat(x)
    counts = torch.zeros(len(flat), dtype=torch.int64, device=x.device)
    size = chunk(flat, CHUNK)
    ones = torch.empty(min(size, flat.shape[1]), dtype=torch.float32, device=x.device)
    for t, row in enumerate(flat):
        for part in row.split(size):
            counts[t] += compare(part, number, out=ones[: len(part)]).sum().to(torch.int64)
    return counts


def _compiled(x: Tensor, *, squares: bool) -> Tensor | None:
    """float64 [5, T] from reduce.c, either its squares or the rest."""
    function = _function(x.dtype) if x.device.type == "cpu" else None
    if function is None or not x.numel():
        return None
    x = dense(x.detach())
    found = torch.zeros(x.shape[0], NUMBERS, dtype=torch.float64)
    threads = torch.get_num_threads() if x.numel() >= THREAD_ELEMENTS else 1
    size = x.numel() // x.shape[0]
    if function(x.data_ptr(), x.shape[0], size, x.stride(0), squares, threads, found.data_ptr()):
        raise MemoryError("the reduction found no memory for its sums")
    return found.T


@cache
def _function(dtype: torch.dtype) -> Callable[..., int] | None:
    try:
        source = Path(__file__).with_suffix(".c")
        library: Any = compiler.load(source, [f"STORAGE={STORAGE[dtype]}"])
    except (KeyError, compiler.NotCompiled):  # the neurons say it, see kernels
        return None
    pointer, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.reduce.argtypes = [pointer, number, number, number, flag, flag, pointer]
    function: Callable[..., int] = library.reduce
    return function


def _flat(x: Tensor) -> Tensor:
    return x.detach().flatten(1) if x.dim() > 1 else x.detach().unsqueeze(1)
