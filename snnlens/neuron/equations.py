r"""The membrane equations of IF, LIF and PLIF: the reference of the whole suite.

One time step is charge, fire, reset (Fang et al. 2021, Eqs. 1 to 3):

    H[t] = f(V[t-1], X[t])
    S[t] = Theta(H[t] - V_th),              Theta(0) = 1
    V[t] = H[t] (1 - S[t]) + V_reset S[t]   (hard)    or    H[t] - V_th S[t]   (soft)

with f of IF (Eq. 4), LIF and PLIF (Eq. 5), where V_reset is the resting potential too:

    IF                     H = V + X
    LIF                    H = V + (X - (V - V_reset)) / tau
    LIF, input not decayed H = V - (V - V_reset) / tau + X
    PLIF                   the same with 1 / tau = sigmoid(w), w learnable

Time comes first: x is [T, ...]. Everything works in any floating dtype; where X is float16 or
bfloat16, the state and the arithmetic are float32. `loop` is the equations under autograd;
`forward` and `backward` are the same two passes written out, which save x only. `paths` splits
what `backward` finds at the membrane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from snnlens.neuron.surrogate import ATan, Surrogate


@dataclass(frozen=True)
class Rule:
    """What a neuron does in one time step; potentials in the unit of the threshold."""

    charge: Literal["if", "lif", "plif"] = "if"
    threshold: float = 1.0
    reset: Literal["hard", "soft"] = "hard"
    reset_potential: float = 0.0
    surrogate: Surrogate = field(default_factory=ATan)
    detach_reset: bool = True
    tau_steps: float | None = None
    decay_input: bool = True
    initial_potential: float | None = None  # V before the first step; None: V_reset
    key: str = field(init=False, repr=False, compare=False)  # the name it has in RULES

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", repr(self))
        RULES[self.key] = self

    def leaks(self) -> bool:
        """Whether the potential decays between the steps."""
        return self.charge != "if"


RULES: dict[str, Rule] = {}  # by their text, which is what an operator of torch can be given


class Step(NamedTuple):
    """One time step of one layer, as a listener sees it; each tensor has the shape of x[t]."""

    t: int
    current: Tensor
    membrane: Tensor
    spike: Tensor
    membrane_after: Tensor
    surrogate: Tensor


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of the membrane: that of X, but float32 for the short ones."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def start(x: Tensor, rule: Rule) -> Tensor:
    """V before the first step, shaped like x[0]: at rest, or where the rule begins."""
    dtype, rest = state_dtype(x.dtype), rule.reset_potential
    v = rest if rule.initial_potential is None else rule.initial_potential
    return torch.full_like(x[0], v, dtype=dtype, requires_grad=False)


def charge(
    v: Tensor, x: Tensor, rule: Rule, rate: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """H = f(V, X). `rate` is PLIF's 1 / tau, a scalar tensor; `out` is overwritten if given."""
    if not rule.leaks():
        return torch.add(v, x, out=out)
    if rule.decay_input:
        return torch.add(v, _per_tau(x - _above_rest(v, rule), rule, rate), out=out)
    return torch.add(v - _per_tau(_above_rest(v, rule), rule, rate), x, out=out)


def fire(h: Tensor, rule: Rule, out: Tensor | None = None) -> Tensor:
    """S = Theta(H - V_th) as zeros and ones in the dtype of h; at the threshold it fires."""
    return torch.ge(h, rule.threshold, out=torch.empty_like(h) if out is None else out)


def reset(h: Tensor, spike: Tensor, rule: Rule, out: Tensor | None = None) -> Tensor:
    """V after the spike, written as H - H S (hard) or H - V_th S (soft): exact for S in {0, 1}."""
    if rule.reset == "soft":
        return torch.sub(h, spike, alpha=rule.threshold, out=out)
    kept = torch.addcmul(h, h, spike, value=-1, out=out)
    return kept if rule.reset_potential == 0 else kept + rule.reset_potential * spike


def loop(x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """All steps under autograd: spikes [T, ...] and the last membrane potential. Slow and plain."""
    spikes = []
    for current in x.to(v.dtype):
        h = charge(v, current, rule, rate)
        s = _Spike.apply(h, rule)  # type: ignore[no-untyped-call]
        spikes.append(s)
        v = reset(h, s.detach() if rule.detach_reset else s, rule)
    return torch.stack(spikes).to(x.dtype), v


@torch.no_grad()
def steps(x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None = None) -> Iterator[Step]:
    """Each step with everything in it, without gradients: what the tap shows."""
    for t, given in enumerate(x):
        current = given.to(v.dtype)
        h = charge(v, current, rule, rate)
        s = fire(h, rule)
        v = reset(h, s, rule)
        yield Step(t, current, h, s, v, rule.surrogate.derivative(h - rule.threshold))


@torch.no_grad()
def forward(x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The forward pass of `loop` without a graph: the same operations, the same bits."""
    spikes, h, s = torch.empty_like(x), torch.empty_like(v), torch.empty_like(v)
    v = v.clone()
    for t, current in enumerate(x):
        charge(v, current.to(v.dtype), rule, rate, out=h)
        v = reset(h, fire(h, rule, out=s), rule, out=v)
        spikes[t] = s
    return spikes, v


@torch.no_grad()
def backward(
    grad: Tensor, x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    r"""dL/dX [T, ...] and, for PLIF, dL/d(1/tau), from dL/dS, X and the first V only.

    The membrane is recomputed, then, from the last step to the first, with g_V = dL/dV[t]:

        dL/dS[t] += g_V dV/dS            (nothing where the reset is detached)
        dL/dH[t]  = dL/dS[t] sigma'(H[t] - V_th) + g_V dV/dH
        dL/dX[t]  = dL/dH[t] dH/dX;      g_V = dL/dH[t] dH/dV
    """
    dtype, grad, x = x.dtype, grad.to(v.dtype), x.to(v.dtype)
    before, charged = _membranes(x, v, rule, rate)
    grad_x, grad_v = torch.empty_like(x), None
    scratch = torch.empty_like(v), torch.empty_like(v)
    grad_rate = None if rate is None else torch.zeros((), dtype=torch.float64, device=x.device)
    for t in reversed(range(len(x))):
        grad_h = _through_spike(grad[t], grad_v, charged[t], rule, (grad_x[t], *scratch))
        if grad_rate is not None:
            grad_rate += (grad_h * _by_rate(before[t], x[t], rule)).sum(dtype=torch.float64)
        grad_v = grad_h
        if rule.leaks():
            through = _per_tau(grad_h, rule, rate)
            grad_v = grad_h - through
            if rule.decay_input:
                grad_x[t] = through
    if rate is None or grad_rate is None:
        return grad_x.to(dtype), None
    return grad_x.to(dtype), grad_rate.to(rate.dtype)


@torch.no_grad()
def paths(
    x: Tensor, v: Tensor, rule: Rule, grad: Tensor, rate: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""The two parts of dL/dH: the spatial one, through S[t], and the temporal one, through V[t].

        g_H[t] = g_S[t] sigma'(H[t] - V_th) + g_V[t] dV[t]/dH[t]
        g_V[t] = g_H[t+1] dH[t+1]/dV[t],    0 after the last step
        dV/dH  = 1 - S                      (hard)    or    1               (soft)
               + (V_reset - H) sigma'       (hard)    or    - V_th sigma'   (soft)

    where the last line is left out if the reset is detached. Their sum times dH/dX is what
    `backward` gives: to the bit if the reset is detached, else to the rounding of a sum.

    Args:
        x: input currents [T, ...].
        v: V before the first step, shaped like x[0].
        rule: the neuron.
        grad: g_S = dL/dS [T, ...].
        rate: PLIF's 1 / tau, a scalar tensor.

    Returns:
        Spatial and temporal [T, ...] in the dtype of v; unit: loss per unit of potential.

    Source: the spatial and temporal error of Huang et al. 2024 (CLIF, ICML).

    >>> from snnlens.neuron.surrogate import Constant
    >>> x, rule = torch.tensor([[0.5], [0.5]]), Rule(surrogate=Constant())
    >>> [part.flatten().tolist() for part in paths(x, torch.zeros(1), rule, torch.ones(2, 1))]
    [[1.0, 1.0], [1.0, 0.0]]
    """
    x, grad = x.to(v.dtype), grad.to(v.dtype)
    _, charged = _membranes(x, v, rule, rate)
    spatial, temporal, nothing = torch.empty_like(x), torch.zeros_like(x), torch.zeros_like(v)
    scratch, grad_v = (torch.empty_like(v), torch.empty_like(v)), None
    for t in reversed(range(len(x))):
        _through_spike(grad[t], None, charged[t], rule, (spatial[t], *scratch))
        if grad_v is not None:
            _through_spike(nothing, grad_v, charged[t], rule, (temporal[t], *scratch))
        grad_v = _through_charge(spatial[t] + temporal[t], rule, rate)
    return spatial, temporal


def _membranes(
    x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None
) -> tuple[list[Tensor], Tensor]:
    """V before each step (where PLIF needs it) and H within each step [T, ...]."""
    before, charged, spike = [], torch.empty_like(x), torch.empty_like(v)
    v = v.clone()
    for t, current in enumerate(x):
        if rate is not None:
            before.append(v.clone())
        charge(v, current, rule, rate, out=charged[t])
        if t + 1 < len(x):
            v = reset(charged[t], fire(charged[t], rule, out=spike), rule, out=v)
    return before, charged


def _through_spike(
    grad_s: Tensor,
    grad_v: Tensor | None,
    h: Tensor,
    rule: Rule,
    scratch: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """dL/dH of one step, in the first scratch tensor, from dL/dS and dL/dV of the same step."""
    grad_h, slope, carried = scratch
    rule.surrogate.derivative_(torch.sub(h, rule.threshold, out=slope))
    if grad_v is None:
        return torch.mul(grad_s, slope, out=grad_h)
    if not rule.detach_reset:
        by_spike = -rule.threshold if rule.reset == "soft" else rule.reset_potential - h
        grad_s = grad_s + grad_v * by_spike
    torch.mul(grad_s, slope, out=grad_h)
    if rule.reset == "hard":
        grad_v = torch.addcmul(grad_v, grad_v, fire(h, rule, out=slope), value=-1, out=carried)
    return grad_h.add_(grad_v)


def _through_charge(grad_h: Tensor, rule: Rule, rate: Tensor | None) -> Tensor:
    """dL/dV of the step before."""
    return grad_h - _per_tau(grad_h, rule, rate) if rule.leaks() else grad_h


def _by_rate(v: Tensor, x: Tensor, rule: Rule) -> Tensor:
    """dH/d(1/tau)."""
    return x - _above_rest(v, rule) if rule.decay_input else -_above_rest(v, rule)


def _above_rest(v: Tensor, rule: Rule) -> Tensor:
    return v if rule.reset_potential == 0 else v - rule.reset_potential


def _per_tau(y: Tensor, rule: Rule, rate: Tensor | None) -> Tensor:
    assert rate is not None or rule.tau_steps is not None
    return y / rule.tau_steps if rate is None else y * rate  # type: ignore[operator]


class _Spike(torch.autograd.Function):
    """Theta forward, sigma' backward: the one place where `loop` leaves true derivatives."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(h)
        ctx.rule = rule
        return fire(h, rule)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (h,) = ctx.saved_tensors
        return grad * ctx.rule.surrogate.derivative(h - ctx.rule.threshold), None
