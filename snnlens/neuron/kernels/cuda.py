"""The CUDA kernel: neuron/equations.py in Triton, a block of neurons carried through all T.

`_forward` reads X once and writes S once. `_backward` reads X and dL/dS, recomputes H and writes
dL/dX once; H and V live in registers and never in memory. cpu.c is the same algorithm: the
functions below have its names and its order of arithmetic. `_backward` holds H of 16 steps at most:
where T is longer, it first walks X to keep V at the beginning of each chunk of 16 (4/16 bytes per
neuron and step), then takes the chunks from the last to the first.

What chooses code (`Code`, the macros of cpu.c) is a constant to the compiler. State and arithmetic
are float32 and nothing is fused: spikes are bit-equal to the reference. Statistics are summed per
program, and the programs are added after: no number depends on who came first.
"""

# A jitted function is typed by Triton, and takes what a C function would find in a struct.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False
# ruff: noqa: PLR0911

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

from snnlens.neuron import statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels.layout import dense, laid_out_as, like, like_step, nothing
from snnlens.neuron.kernels.told import GRAD_RATE, constants_of, no_kernel, tau_of
from snnlens.neuron.statistics import BACKWARD, COUNTS, FORWARD, GRADIENT_SUMS, SUMS, Bins, bits

WARPS = 4
CHUNK = 16  # steps whose H lies in registers at a time, at most
BLOCKS = {4: 512, 8: 256, CHUNK: 128}  # neurons of a program, by those steps: no register spills

# The row of its table that a statistic goes to.
SPIKES_ROW, ACTIVE_ROW, COUNT_ROWS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(COUNTS)
CURRENT_ROW, CURRENT_SQUARED_ROW, SLOPE_ROW = (tl.constexpr(row) for row in range(3))
GRAD_SPIKE_ROW, GRAD_CURRENT_ROW, GRAD_RATE_ROW = (tl.constexpr(row) for row in range(3))
FORWARD_ROWS, BACKWARD_ROWS = tl.constexpr(SUMS), tl.constexpr(GRADIENT_SUMS + 1)


class Wanted(NamedTuple):
    """The statistics that are summed, as `statistics.BIT` numbers them, and PLIF's gradient."""

    spikes: bool
    active: bool
    histogram: bool
    current: bool
    current_squared: bool
    surrogate: bool
    grad_spike_squared: bool
    grad_current_squared: bool
    grad_rate: bool


class Code(NamedTuple):
    """What chooses code; each is compiled once."""

    charge: str  # IF, LIF (y / tau) or RATE (y * (1 / tau): PLIF, and LIF where 1 / tau is exact)
    decay: bool
    hard: bool
    detach: bool
    surrogate: str
    chunk: int  # steps whose H lies in registers at a time; 0 in the forward pass
    block: int  # neurons of a program
    wanted: Wanted
    lowest: float = 0.0  # the histogram of H: bin k begins at lowest + k / per_bin
    per_bin: float = 1.0
    bins: int = 0


class Job(NamedTuple):
    """`Job` of cpu.c: what chooses no code. None stands for what is not there."""

    steps: int  # T, N
    neurons: int
    x_stride: int  # numbers from one step to the next; 0 where one is repeated
    x: Tensor  # X [T, N]
    out: Tensor  # S, or dL/dX [T, N]
    threshold: float
    rest: float
    tau: float | Tensor  # tau, or 1 / tau for RATE; PLIF's stays on the device
    slope: float  # the constants of sigma()
    height: float
    reach: float
    first: Tensor | None  # V before the first step [N]; none: at rest
    last: Tensor | None = None  # V after the last step [N]
    grad: Tensor | None = None  # dL/dS [T, N]
    grad_stride: int = 0
    membranes: Tensor | None = None  # V at the beginning of each chunk [chunks, N]
    counts: Tensor | None = None  # [programs, rows, T]
    sums: Tensor | None = None  # [programs, rows, T]
    histogram: Tensor | None = None  # [bins + 2, T]


# --- one neuron, one step: the equations --------------------------------------------------------


@triton.jit
def per_tau(y, tau, code: tl.constexpr):
    """The leak's part of y."""
    return tl.div_rn(y, tau) if code.charge == "LIF" else y * tau


@triton.jit
def charge(v, x, tau, j, code: tl.constexpr):
    """H = f(V, X)."""
    if code.charge == "IF":
        return v + x
    above = v - j.rest
    if code.decay:
        return v + per_tau(x - above, tau, code)
    return (v - per_tau(above, tau, code)) + x


@triton.jit
def fire(h, j):
    """S = Theta(H - V_th)."""
    return tl.where(h >= j.threshold, 1.0, 0.0)


@triton.jit
def reset(h, s, j, code: tl.constexpr):
    """V after the spike."""
    return (h - h * s) + j.rest * s if code.hard else h - j.threshold * s


@triton.jit
def exponential(y):
    """e^y for y <= 0 to 2 units in the last place: 2^n e^r, |r| <= ln 2 / 2 (after Cephes)."""
    y = tl.where(y < -87.0, -87.0, y)
    n = (y * 1.44269504 - 0.5).to(tl.int32)
    r = (y - n.to(tl.float32) * 0.693359375) + n.to(tl.float32) * 2.12194440e-4
    p = 1.9875691500e-4 * r + 1.3981999507e-3
    p = p * r + 8.3334519073e-3
    p = p * r + 4.1665795894e-2
    p = p * r + 1.6666665459e-1
    p = p * r + 5.0000001201e-1
    p = (p * r) * r + r + 1.0
    return p * ((n + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def sigma(x, j, code: tl.constexpr):
    """sigma'(x) at x = H - V_th, as in neuron/surrogate.py."""
    if code.surrogate == "CONSTANT":
        return tl.full(x.shape, 1.0, tl.float32)
    if code.surrogate == "RECTANGULAR":
        return tl.where(tl.abs(x) < j.reach, 1.0, 0.0) * j.height
    if code.surrogate == "TRIANGULAR":
        y = tl.abs(x) * -j.slope + 1.0
        return tl.where(y < 0.0, 0.0, y) * j.height
    if code.surrogate == "SIGMOID":
        y = x * j.slope
        e = exponential(-tl.abs(y))
        d = 1.0 + e
        return tl.where(y != y, y, tl.div_rn(e, d) * tl.div_rn(1.0, d) * j.height)  # noqa: PLR0124
    y = (x if code.surrogate == "ATAN" else tl.abs(x)) * j.slope
    if code.surrogate == "SUPERSPIKE":
        y = y + 1.0
        return tl.div_rn(1.0, y * y)
    return tl.div_rn(1.0, y * y + 1.0) * j.height


# --- a block of neurons, one step ---------------------------------------------------------------


@triton.jit
def row(base, t, stride, at):
    """Where step t of these neurons lies; T N may pass 2^31."""
    return base + (tl.cast(t, tl.int64) * stride + at)


@triton.jit
def load(base, t, stride, at, inside):
    """Step t as float32, filled up with zeros."""
    return tl.load(row(base, t, stride, at), inside, other=0.0).to(tl.float32)


@triton.jit
def note(table, r: tl.constexpr, t, value, rows: tl.constexpr, j):
    """One number of this program's table [rows, T]."""
    place = (tl.program_id(0).to(tl.int64) * rows + r) * j.steps + t
    tl.store(table + place, value, t < j.steps)


@triton.jit
def total(y):
    """The sum in float64."""
    return tl.sum(y.to(tl.float64), 0)


@triton.jit
def sum_squares(y):
    """The sum of squares in float64, from the first product on."""
    return tl.sum(y.to(tl.float64) * y.to(tl.float64), 0)


@triton.jit
def nonzero(y, inside):
    """How many are not 0."""
    return tl.sum((inside & (y != 0.0)).to(tl.int32), 0)


@triton.jit
def bin(h, t, inside, j, code: tl.constexpr):  # noqa: A001 - its name in cpu.c
    """Count H into its bins; what is not a number counts as above."""
    size: tl.constexpr = triton.next_power_of_2(code.bins + 2)
    place = tl.floor((h.to(tl.float64) - code.lowest) * code.per_bin)
    place = tl.where(place < 0, -1.0, tl.where(place < code.bins, place, code.bins))
    seen = tl.histogram(place.to(tl.int32) + 1, size, mask=inside)
    k = tl.arange(0, size)
    tl.atomic_add(j.histogram + k * j.steps + t, seen.to(tl.int64), mask=k < code.bins + 2)


@triton.jit
def measure(x, h, s, t, inside, j, code: tl.constexpr):
    """The statistics of one step of the forward pass."""
    if code.wanted.spikes:
        note(j.counts, SPIKES_ROW, t, nonzero(s, inside), COUNT_ROWS, j)
    if code.wanted.active or code.wanted.surrogate:
        slope = sigma(h - j.threshold, j, code)
        if code.wanted.active:
            note(j.counts, ACTIVE_ROW, t, nonzero(slope, inside), COUNT_ROWS, j)
        if code.wanted.surrogate:
            note(j.sums, SLOPE_ROW, t, total(tl.where(inside, slope, 0.0)), FORWARD_ROWS, j)
    if code.wanted.histogram:
        bin(h, t, inside, j, code)
    if code.wanted.current:
        note(j.sums, CURRENT_ROW, t, total(x), FORWARD_ROWS, j)
    if code.wanted.current_squared:
        note(j.sums, CURRENT_SQUARED_ROW, t, sum_squares(x), FORWARD_ROWS, j)


@triton.jit
def step_back(grad_s, grad_v, h, is_last, tau, j, code: tl.constexpr):
    """From dL/dS, g_V = dL/dV (but for the last step) and H to dL/dH, g_V before it and dL/dX."""
    s, slope, grad = fire(h, j), sigma(h - j.threshold, j, code), grad_s
    if not code.detach:
        by_spike = j.rest - h if code.hard else -j.threshold
        grad = tl.where(is_last, grad, grad + grad_v * by_spike)
    grad = grad * slope
    grad = tl.where(is_last, grad, grad + (grad_v - grad_v * s if code.hard else grad_v))
    if code.charge == "IF":
        return grad, grad, grad
    through = per_tau(grad, tau, code)
    return grad, grad - through, through if code.decay else grad


@triton.jit
def through_rate(grad_h, x, before, j, code: tl.constexpr):
    """dL/d(1 / tau) of one step, PLIF: sum of dL/dH dH/d(1 / tau)."""
    above = before - j.rest
    return total(grad_h * (x - above if code.decay else -above))


@triton.jit
def measure_gradients(grad_s, grad_x, t, j, code: tl.constexpr):
    """Of dL/dS, and of dL/dX as it lies in memory."""
    if code.wanted.grad_spike_squared:
        note(j.sums, GRAD_SPIKE_ROW, t, sum_squares(grad_s), BACKWARD_ROWS, j)
    if code.wanted.grad_current_squared:
        note(j.sums, GRAD_CURRENT_ROW, t, sum_squares(grad_x), BACKWARD_ROWS, j)


# --- a block of neurons through all steps -------------------------------------------------------


@triton.jit
def begin(at, inside, j):
    """V before the first step."""
    if j.first is None:
        v = tl.full(at.shape, 0.0, tl.float32) + j.rest
    else:
        v = tl.load(j.first + at, inside, other=0.0)
    return v


@triton.jit
def leak(j, code: tl.constexpr):
    """Tau, or 1 / tau."""
    return tl.load(j.tau).to(tl.float32) if code.wanted.grad_rate else j.tau


@triton.jit
def _forward(j, code: tl.constexpr):
    """All steps of one block."""
    at = tl.program_id(0).to(tl.int64) * code.block + tl.arange(0, code.block)
    inside = at < j.neurons
    v, tau = begin(at, inside, j), leak(j, code)
    for t in range(j.steps):
        x = load(j.x, t, j.x_stride, at, inside)
        h = charge(v, x, tau, j, code)
        s = fire(h, j)
        v = reset(h, s, j, code)
        tl.store(row(j.out, t, j.neurons, at), s, inside)
        measure(x, h, s, t, inside, j, code)
    if j.last is not None:
        tl.store(j.last + at, v, inside)


@triton.jit
def note_membranes(v, at, inside, tau, j, code: tl.constexpr):
    """Keep V at the beginning of each chunk."""
    tl.store(j.membranes + at, v, inside)
    for t in range((j.steps - 1) // code.chunk * code.chunk):
        h = charge(v, load(j.x, t, j.x_stride, at, inside), tau, j, code)
        v = reset(h, fire(h, j), j, code)
        kept = inside & ((t + 1) % code.chunk == 0)
        tl.store(row(j.membranes, (t + 1) // code.chunk, j.neurons, at), v, kept)
    tl.debug_barrier()  # another thread may read what this one has kept


@triton.jit
def backward_chunk(grad_v, first, start, at, inside, tau, j, code: tl.constexpr):
    """g_V before these steps, from V before and g_V after them; dL/dX and statistics are written.

    The last chunk may reach beyond T; what is computed there is neither read nor written.
    """
    chunk: tl.constexpr = code.chunk
    v, h = first, ()
    for k in tl.static_range(chunk):
        x = load(j.x, start + k, j.x_stride, at, inside & (start + k < j.steps))
        h = h + (charge(v, x, tau, j, code),)  # type: ignore[assignment] # noqa: RUF005
        v = reset(h[k], fire(h[k], j), j, code)
    for k in tl.static_range(chunk - 1, -1, -1):
        t = start + k
        here = inside & (t < j.steps)
        grad_s = load(j.grad, t, j.grad_stride, at, here)
        grad_h, grad_v, grad_x = step_back(grad_s, grad_v, h[k], t >= j.steps - 1, tau, j, code)
        if code.wanted.grad_rate:
            before = first if k == 0 else reset(h[k - 1], fire(h[k - 1], j), j, code)
            x = load(j.x, t, j.x_stride, at, here)
            note(
                j.sums, GRAD_RATE_ROW, t, through_rate(grad_h, x, before, j, code), BACKWARD_ROWS, j
            )
        narrowed = grad_x.to(j.out.dtype.element_ty)
        tl.store(row(j.out, t, j.neurons, at), narrowed, here)
        measure_gradients(grad_s, narrowed, t, j, code)
    return grad_v


@triton.jit
def _backward(j, code: tl.constexpr):
    """All steps of one block, from the last chunk to the first."""
    at = tl.program_id(0).to(tl.int64) * code.block + tl.arange(0, code.block)
    inside = at < j.neurons
    v, tau = begin(at, inside, j), leak(j, code)
    grad_v = tl.zeros_like(v)
    if j.membranes is None:
        backward_chunk(grad_v, v, 0, at, inside, tau, j, code)
    else:
        note_membranes(v, at, inside, tau, j, code)
        for c in range((j.steps - 1) // code.chunk, -1, -1):
            v = load(j.membranes, c, j.neurons, at, inside)
            grad_v = backward_chunk(grad_v, v, c * code.chunk, at, inside, tau, j, code)


# --- all blocks ---------------------------------------------------------------------------------


def why_not(x: Tensor, rule: Rule) -> str:
    """Why this kernel cannot run that, or nothing."""
    if not x.is_cuda and not knobs.runtime.interpret:
        return f"a tensor on {x.device.type}"
    return no_kernel(rule, x.dtype)


def forward(
    x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *,
    wanted: int = 0, bins: Bins | None = None, last: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Spikes, the last V (empty unless asked for) and the two tables of statistics."""
    x, bins = dense(x), bins or Bins()
    spikes = like(x)
    end = like_step(x, torch.float32) if last else nothing(x, torch.float32)
    tables = statistics.tables if wanted else statistics.no_tables
    counts, sums = tables(len(x), bins, x.device)
    code = _code(rule, rate, 0, wanted & bits(FORWARD))
    job = _job(x, v, rule, rate, spikes)._replace(last=end if last else None)
    if code.wanted.histogram:
        code = code._replace(lowest=bins.lowest, per_bin=1 / bins.width, bins=bins.count)
        job = job._replace(histogram=counts[COUNTS:])
    if wanted:
        job = job._replace(counts=_partial(job, code, COUNTS, torch.int64),
                           sums=_partial(job, code, SUMS, torch.float64))  # fmt: skip
    _run(_forward, job, code)
    if job.counts is not None and job.sums is not None:
        counts[:COUNTS], sums[:] = job.counts.sum(0), job.sums.sum(0)
    return spikes, end, counts, sums


def backward(
    grad: Tensor, x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *, wanted: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/dX, dL/d(1 / tau) (empty but for PLIF) and the table of statistics."""
    x = dense(x)
    grad = laid_out_as(x, grad)
    grad_x, by_rate = like(x), nothing(x)
    sums = statistics.gradient_table(wanted, len(x), x.device)
    code = _code(rule, rate, min(len(x), CHUNK), wanted & bits(BACKWARD))
    job = _job(x, v, rule, rate, grad_x)._replace(grad=grad, grad_stride=grad.stride(0))
    if len(x) > CHUNK:
        membranes = x.new_empty(triton.cdiv(len(x), CHUNK), job.neurons, dtype=torch.float32)
        job = job._replace(membranes=membranes)
    if wanted or rate is not None:
        job = job._replace(sums=_partial(job, code, GRADIENT_SUMS + 1, torch.float64))
    _run(_backward, job, code)
    if job.sums is not None:
        table = job.sums.sum(0)
        sums = table[: len(sums)]
        by_rate = by_rate if rate is None else table[GRADIENT_SUMS].sum().to(rate.dtype)
    return grad_x, by_rate, sums


def _job(x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, out: Tensor) -> Job:
    if v is not None and v.stride() != x.stride()[1:]:
        v = like_step(x, torch.float32).copy_(v)
    tau = tau_of(rule)[1] if rate is None else rate.to(x.device)
    return Job(len(x), x.numel() // len(x), x.stride(0), x, out, rule.threshold,
               rule.reset_potential, tau, *constants_of(rule.surrogate), first=v)  # fmt: skip


def _code(rule: Rule, rate: Tensor | None, chunk: int, wanted: int) -> Code:
    wanted = wanted if rate is None else wanted | GRAD_RATE
    asked = Wanted(*(bool(wanted >> place & 1) for place in range(len(Wanted._fields))))
    block = next(block for steps, block in BLOCKS.items() if chunk <= steps)
    return Code(tau_of(rule)[0], rule.decay_input, rule.reset == "hard", rule.detach_reset,
                type(rule.surrogate).name.upper(), chunk, block, asked)  # fmt: skip


def _partial(job: Job, code: Code, rows: int, dtype: torch.dtype) -> Tensor:
    """A table for each program."""
    programs = triton.cdiv(job.neurons, code.block)
    return torch.zeros(programs, rows, job.steps, dtype=dtype, device=job.x.device)


def _run(kernel: Any, job: Job, code: Code) -> None:
    programs = triton.cdiv(job.neurons, code.block)
    if programs:
        with torch.cuda.device_of(job.x):
            kernel[(programs,)](job, code, num_warps=WARPS, enable_fp_fusion=False)
