"""The seam between the layers and whatever runs the equations: two operators, three backends.

    snnlens::neuron_forward   X, V_0, 1 / tau -> S, the last V, statistics
    snnlens::neuron_backward  dL/dS and what forward was given -> dL/dX, dL/d(1 / tau), statistics

Both are operators of PyTorch, so torch.compile, checkpointing and DDP see one node each. What is
saved for the backward pass is X itself. Under autocast they run in the dtype that X has: the
state is float32 at least. A backend is `reference` (neuron/equations.py, every device and dtype),
`cpu` (cpu.c) or `cuda` (Triton); `auto` takes the fast one wherever it can run.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnlens.errors import InputError, SlowBackend
from snnlens.neuron import equations, statistics
from snnlens.neuron.equations import RULES, Rule
from snnlens.neuron.kernels import cpu, reference
from snnlens.neuron.kernels.layout import dense, like, like_step, nothing
from snnlens.neuron.statistics import Bins, Statistics

BACKENDS = ("auto", "reference", "cpu", "cuda")
FORWARD = statistics.bits(statistics.FORWARD)
BACKWARD = statistics.bits(statistics.BACKWARD)
LAST = 1 << 16  # a bit of `wanted` beside those of the statistics: return the last V
_chosen = ["auto"]
_quiet = threading.local()  # in which threads nothing is said of a slow backend


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run every neuron with that backend: auto, reference, cpu or cuda.

    >>> with backend("reference"):
    ...     which(torch.zeros(1, 1), Rule())
    ('reference', 'as was asked')
    """
    before = _chosen[0]
    choose(name)
    try:
        yield
    finally:
        _chosen[0] = before


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, in this thread, nothing is said of a slow backend: it is known beforehand."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


def choose(name: str) -> None:
    """As `backend`, from now on."""
    if name not in BACKENDS:
        raise InputError("backend", got=name, wanted="auto, reference, cpu or cuda")
    _chosen[0] = name


def which(x: Tensor, rule: Rule) -> tuple[str, str]:
    """The backend that runs x under the rule, and why that one."""
    chosen = _chosen[0]
    if chosen == "reference":
        return "reference", "as was asked"
    name = chosen if chosen != "auto" else "cuda" if x.is_cuda else "cpu"
    module = _fast(name)
    reason = module if isinstance(module, str) else module.why_not(x, rule)
    if not reason:
        return name, "as was asked" if chosen != "auto" else f"{x.dtype} on {x.device.type}"
    if chosen != "auto":
        raise InputError("backend", got=chosen, wanted="one that runs this", do=reason)
    return "reference", reason


def multi_step(
    x: Tensor,
    v: Tensor | None,
    rule: Rule,
    rate: Tensor | None = None,
    *,
    last: bool = False,
    wanted: frozenset[str] = frozenset(),
    bins: Bins | None = None,
) -> tuple[Tensor, Tensor, Statistics | None]:
    """Spikes [T, ...] with surrogate gradients to x and rate; the last membrane; statistics.

    Args:
        x: input currents [T, ...].
        v: V before the first step, shaped like x[0]; None: at rest. No gradient flows to it.
        rule: the neuron.
        rate: PLIF's 1 / tau, a scalar tensor.
        last: whether the last membrane is wanted; else it is empty.
        wanted: names of `neuron/statistics.py`.
        bins: of the histogram of H.
    """
    if v is not None:
        _check_membrane(v, x)
    bins = bins or Bins()
    bits = statistics.bits(wanted) if wanted else 0
    edges = [bins.lowest, bins.width, float(bins.count)] if bins.count else []
    plain = _is_plain(x)
    if plain and torch._C._are_functorch_transforms_active():
        raise InputError("a neuron of snnlens", got="called inside torch.func (vmap, grad, jvp)",
                         wanted="called on plain tensors")  # fmt: skip
    run: Any = _MultiStep.apply if plain else torch.ops.snnlens.neuron_forward
    spikes, end, counts, sums = run(x, v, rate, rule.key, bits | LAST * last, edges)
    if not wanted:
        return spikes, end, None
    seen = Statistics(statistics.unpack(bits, counts, sums))
    node: Any = spikes.grad_fn
    if node is not None and bits & BACKWARD:
        node.statistics, seen.with_backward = seen, True
    return spikes, end, seen


def _check_membrane(v: Tensor, x: Tensor) -> None:
    wanted = f"{equations.state_dtype(x.dtype)} on {x.device}, shaped {list(x.shape[1:])}"
    got = f"{v.dtype} on {v.device}, shaped {list(v.shape)}"
    if got != wanted:
        raise InputError("the first membrane", got=got, wanted=wanted)


# --- the operators -------------------------------------------------------------------------------

_library = torch.library.Library("snnlens", "DEF")
_library.define(
    "neuron_forward(Tensor x, Tensor? v, Tensor? rate, str rule, int wanted, float[] bins)"
    " -> (Tensor spikes, Tensor last, Tensor counts, Tensor sums)"
)
_library.define(
    "neuron_backward(Tensor grad, Tensor x, Tensor? v, Tensor? rate, str rule, int wanted)"
    " -> (Tensor grad_x, Tensor grad_rate, Tensor sums)"
)


def _forward(
    x: Tensor, v: Tensor | None, rate: Tensor | None, key: str, wanted: int, edges: list[float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rule = RULES[key]
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _backend(x, rule).forward(
        x, v, rule, rate, wanted=wanted & FORWARD, bins=_bins(edges), last=bool(wanted & LAST)
    )
    return found


def _backward(
    grad: Tensor, x: Tensor, v: Tensor | None, rate: Tensor | None, key: str, wanted: int
) -> tuple[Tensor, Tensor, Tensor]:
    rule = RULES[key]
    run = _backend(x, rule).backward
    found: tuple[Tensor, Tensor, Tensor] = run(grad, x, v, rule, rate, wanted=wanted)
    return found


def _backend(x: Tensor, rule: Rule) -> Any:
    name, reason = which(x, rule)
    if name != "reference":
        return _fast(name)
    if x.dtype != torch.float64 and _chosen[0] == "auto" and not getattr(_quiet, "on", False):
        _say_once(reason)
    return reference


@cache
def _fast(name: str) -> ModuleType | str:
    """The backend of that name, or why there is none."""
    if name == "cpu":
        return cpu
    try:
        from snnlens.neuron.kernels import cuda
    except ImportError as error:
        return f"Triton cannot be imported: {error}"
    return cuda


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"neurons run in plain PyTorch, slower: {reason}", SlowBackend, stacklevel=2)


def _bins(edges: list[float]) -> Bins:
    return Bins(edges[0], edges[1], int(edges[2])) if edges else Bins()


OPERATORS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "neuron_forward": _forward, "neuron_backward": _backward,
}  # fmt: skip
for _name, _function in OPERATORS.items():
    _library.impl(_name, _function, "CompositeExplicitAutograd")


def _fake_forward(
    x: Tensor, v: Tensor | None, rate: Tensor | None, key: str, wanted: int, edges: list[float]
) -> tuple[Tensor, ...]:
    x = dense(x)
    state = equations.state_dtype(x.dtype)
    end = like_step(x, state) if wanted & LAST else nothing(x, state)
    tables = statistics.tables if wanted & FORWARD else statistics.no_tables
    return like(x), end, *tables(len(x), _bins(edges), x.device)


def _fake_backward(
    grad: Tensor, x: Tensor, v: Tensor | None, rate: Tensor | None, key: str, wanted: int
) -> tuple[Tensor, ...]:
    x = dense(x)
    by_rate = nothing(x) if rate is None else torch.empty_like(rate)
    return like(x), by_rate, statistics.gradient_table(wanted, len(x), x.device)


class _MultiStep(torch.autograd.Function):
    """Forward and backward of the operators; X is all that is saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, v: Tensor | None, rate: Tensor | None, key: str, wanted: int,
                edges: list[float]) -> tuple[Tensor, ...]:  # fmt: skip
        ctx.save_for_backward(x, v, rate)
        ctx.key, ctx.wanted = key, wanted & BACKWARD
        output = _below("neuron_forward", x, v, rate, key, wanted, edges)
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None, None, None, None, None
        x, v, rate = ctx.saved_tensors
        by_x, by_rate, sums = _below("neuron_backward", grad, x, v, rate, ctx.key, ctx.wanted)
        if ctx.wanted:
            ctx.statistics.hear(grad, statistics.unpack_gradients(ctx.wanted, sums))
        return by_x, None, None if rate is None else by_rate, None, None, None


def _below(name: str, *args: Any) -> tuple[Tensor, ...]:
    """The operator beneath autograd; without the dispatcher where nobody listens there."""
    if _is_plain(args[0]):
        return OPERATORS[name](*args)
    with torch._C._AutoDispatchBelowAutograd():
        found: tuple[Tensor, ...] = getattr(torch.ops.snnlens, name)(*args)
    return found


def is_traced() -> bool:
    """Whether somebody makes a graph of what runs, in which nobody may listen."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def _is_plain(x: Tensor) -> bool:
    """Whether no compiler, tracer or tensor subclass wants to see the operator."""
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and not torch.compiler.is_compiling()
        and not torch._C._len_torch_dispatch_stack()
    )


_library.impl("neuron_forward", _MultiStep.apply, "Autograd")
torch.library.register_fake("snnlens::neuron_forward", _fake_forward, lib=_library)
torch.library.register_fake("snnlens::neuron_backward", _fake_backward, lib=_library)
