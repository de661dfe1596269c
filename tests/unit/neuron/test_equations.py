"""The explicit forward and backward against autograd, and against true derivatives."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnlens.neuron import equations
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import ATan, Rectangular, Sigmoid, SuperSpike

CHARGES = [("if", None, True), *itertools.product(("lif", "plif"), (2.0, 3.3), (True, False))]
RESETS = list(itertools.product(("hard", "soft"), (True, False), (0.0, -0.3)))
# autograd and the explicit pass add the same terms; without detach_reset or with a leak in
# another order. Relative to the largest gradient: measured 4e-7 in float32, 7e-16 in float64.
ROUNDING = {torch.float32: 2e-6, torch.float64: 4e-15}


def _rule(charge: str, tau: float | None, decay: bool, reset: str, detach: bool,
          v_reset: float, **more: Any) -> tuple[Rule, float | None]:  # fmt: skip
    fixed = tau if charge == "lif" else None
    rule = Rule(charge, 0.8, reset, v_reset, ATan(), detach, fixed, decay, **more)  # type: ignore[arg-type]
    return rule, (tau if charge == "plif" else None)


def _tensors(rule: Rule, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scale = 2.5 if rule.leaks() and rule.decay_input else 1.0
    x, grad, v = (torch.randn(s, generator=generator, dtype=torch.float64)
                  for s in ((7, 4, 5), (7, 4, 5), (4, 5)))  # fmt: skip
    return (x.add(0.5) * scale).to(dtype), grad.to(dtype), v.mul(0.1).to(dtype)


def _rate(tau: float | None, dtype: torch.dtype) -> Tensor | None:
    return None if tau is None else torch.tensor(1 / tau, dtype=dtype).requires_grad_()


def _autograd(
    x: Tensor, grad: Tensor, v: Tensor, rule: Rule, rate: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    x = x.clone().requires_grad_()
    rate = None if rate is None else rate.detach().clone().requires_grad_()
    spikes, last = equations.loop(x, v, rule, rate)
    spikes.backward(grad)
    assert x.grad is not None
    return spikes.detach(), last.detach(), x.grad, None if rate is None else rate.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("charge", "tau", "decay"), CHARGES)
@pytest.mark.parametrize(("reset", "detach", "v_reset"), RESETS)
def test_explicit_passes_equal_autograd(
    dtype: torch.dtype, charge: str, tau: float | None, decay: bool, reset: str, detach: bool,
    v_reset: float,
) -> None:  # fmt: skip
    rule, plif_tau = _rule(charge, tau, decay, reset, detach, v_reset)
    x, grad, v = _tensors(rule, dtype)
    rate = _rate(plif_tau, dtype)
    spikes, last, grad_x, grad_rate = _autograd(x, grad, v, rule, rate)
    out, end = equations.forward(x, v, rule, rate)
    assert torch.equal(out, spikes)
    assert torch.equal(end, last)
    assert out.dtype == end.dtype == dtype
    by_x, by_rate = equations.backward(grad, x, v, rule, rate)
    if charge == "if" and detach:
        assert torch.equal(by_x, grad_x)  # one product and one sum a step, in one order
    else:
        assert (by_x - grad_x).abs().max() <= ROUNDING[dtype] * grad_x.abs().max()
    assert (by_rate is None) == (grad_rate is None)
    if by_rate is not None and grad_rate is not None:
        # the explicit sum runs in float64, autograd's in dtype: 140 terms of size 1
        bound = 140 * torch.finfo(dtype).eps
        assert abs(by_rate.item() - grad_rate.item()) <= bound * max(1, abs(grad_rate.item()))
        assert by_rate.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("charge", "tau", "decay"), CHARGES)
def test_short_dtypes_keep_the_operations(
    dtype: torch.dtype, charge: str, tau: float | None, decay: bool
) -> None:
    rule, plif_tau = _rule(charge, tau, decay, "hard", True, 0.0)
    x, grad, v = _tensors(rule, dtype)
    rate = _rate(plif_tau, dtype)
    spikes, last, grad_x, _ = _autograd(x, grad, v, rule, rate)
    out, end = equations.forward(x, v, rule, rate)
    by_x, _ = equations.backward(grad, x, v, rule, rate)
    assert torch.equal(out, spikes)
    assert torch.equal(end, last)
    assert by_x.dtype == dtype
    # a few units in the last place of each term
    bound = 8 * torch.finfo(dtype).eps * grad_x.abs().max().double()
    assert (by_x.double() - grad_x.double()).abs().max() <= bound


def test_start_is_the_resting_potential() -> None:
    x = torch.zeros(3, 2, dtype=torch.bfloat16, requires_grad=True)
    v = equations.start(x, Rule(reset_potential=-0.5))
    # the state of a short dtype is float32
    assert (v.dtype, v.tolist(), v.requires_grad) == (torch.float32, [-0.5, -0.5], False)


def test_steps_repeat_the_forward_pass() -> None:
    rule, _ = _rule("lif", 3.3, False, "soft", False, -0.3)
    x, _, v = _tensors(rule, torch.float32)
    spikes, last = equations.forward(x, v, rule)
    shown = list(equations.steps(x, v, rule))
    assert torch.equal(torch.stack([s.spike for s in shown]), spikes)
    assert torch.equal(shown[-1].membrane_after, last)
    assert torch.equal(torch.stack([s.current for s in shown]), x)
    assert [s.t for s in shown] == list(range(7))
    for step in shown:
        assert torch.equal(step.spike, (step.membrane >= 0.8).float())
        slope = 1 / (1 + (math.pi * (step.membrane.double() - 0.8)) ** 2)
        assert torch.allclose(step.surrogate.double(), slope, rtol=1e-5, atol=1e-6)


# --- true derivatives --------------------------------------------------------------------------


def _smooth(
    x: Tensor, rate: Tensor | None, v: Tensor, rule: Rule, spikes: Tensor, membrane: Tensor
) -> Tensor:
    """A smooth function whose true gradient at this x is the surrogate gradient.

    Theta is replaced by s = c + sigma(H - V_th) - sigma(H0 - V_th), with the spikes c and the
    membrane H0 of the spiking run as constants: equal to c here, and its slope is sigma'. Where
    the reset is detached it takes c itself.
    """
    out = []
    tau = rule.tau_steps
    inverse = 1 / tau if tau is not None else rate
    for t, current in enumerate(x):
        rest = v - rule.reset_potential
        if rule.charge == "if":
            h = v + current
        elif rule.decay_input:
            h = v + (current - rest) * inverse
        else:
            h = v - rest * inverse + current
        sigma = rule.surrogate.primitive
        s = spikes[t] + sigma(h - rule.threshold) - sigma(membrane[t] - rule.threshold)
        out.append(s)
        fed = spikes[t] if rule.detach_reset else s
        hard = h * (1 - fed) + rule.reset_potential * fed
        v = hard if rule.reset == "hard" else h - rule.threshold * fed
    return torch.stack(out)


class _Recentred(torch.autograd.Function):
    """The smooth function forward, `equations.backward` as its gradient: gradcheck judges it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: Tensor | None, v: Tensor, rule: Rule, spikes: Tensor,
                membrane: Tensor) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, rate, v)
        ctx.rule = rule
        return _smooth(x, rate, v, rule, spikes, membrane)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, rate, v = ctx.saved_tensors
        by_x, by_rate = equations.backward(grad, x, v, ctx.rule, rate)
        return by_x, by_rate, None, None, None, None


@pytest.mark.parametrize(("charge", "tau", "decay"), CHARGES)
@pytest.mark.parametrize(("reset", "detach", "v_reset"), RESETS)
def test_gradcheck(
    charge: str, tau: float | None, decay: bool, reset: str, detach: bool, v_reset: float
) -> None:
    """backward() is the finite-difference gradient of the smooth function, by X and by 1 / tau."""
    rule, plif_tau = _rule(charge, tau, decay, reset, detach, v_reset)
    x, _, v = _tensors(rule, torch.float64, seed=5)
    x, v = x[:4, :2, :3].contiguous().requires_grad_(), v[:2, :3].contiguous()
    rate = _rate(plif_tau, torch.float64)
    shown = list(equations.steps(x, v, rule, None if rate is None else rate.detach()))
    membrane = torch.stack([s.membrane for s in shown])
    spikes = torch.stack([s.spike for s in shown])
    assert (membrane - rule.threshold).abs().min() > 1e-4  # a nudge of 1e-6 moves no spike
    assert 0 < spikes.mean() < 1
    assert torch.autograd.gradcheck(
        lambda x, rate: _Recentred.apply(x, rate, v, rule, spikes, membrane), (x, rate)
    )


@pytest.mark.parametrize("surrogate", [ATan(), Sigmoid(), SuperSpike(2.0), Rectangular(0.4)])
def test_gradcheck_of_one_step(surrogate: Any) -> None:
    """T = 1: backward is the true gradient of sigma(H(X) - V_th) itself, nothing frozen."""
    rule = Rule("plif", 0.7, surrogate=surrogate, detach_reset=False)
    x = torch.tensor([[0.3, 1.1, 2.9]], dtype=torch.float64, requires_grad=True)
    rate = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)

    class Pass(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, rate: Tensor) -> Tensor:
            ctx.save_for_backward(x, rate)
            return surrogate.primitive(x * rate - 0.7)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            x, rate = ctx.saved_tensors
            return equations.backward(grad, x, torch.zeros(3).double(), rule, rate)

    assert torch.autograd.gradcheck(Pass.apply, (x, rate))


def test_plif_rate_by_finite_differences() -> None:
    """dL/d(1/tau) of the smooth part by central differences over all steps and elements."""
    rule, _ = _rule("plif", 2.0, True, "hard", True, 0.0)
    x, grad, v = _tensors(rule, torch.float64, seed=9)
    rate = torch.tensor(0.5, dtype=torch.float64)
    shown = list(equations.steps(x, v, rule, rate))
    spikes = torch.stack([s.spike for s in shown])
    membrane = torch.stack([s.membrane for s in shown])

    def loss(r: float) -> float:
        value = torch.tensor(r, dtype=torch.float64)
        return float((_smooth(x, value, v, rule, spikes, membrane) * grad).sum())

    step = 1e-5  # error of the difference: step^2, 1e-10 of it
    by_difference = (loss(0.5 + step) - loss(0.5 - step)) / (2 * step)
    _, by_rate = equations.backward(grad, x, v, rule, rate)
    assert by_rate is not None
    assert by_rate.item() == pytest.approx(by_difference, rel=1e-7)


rules = st.builds(
    lambda charge, tau, decay, threshold, reset, v_reset, detach: (
        Rule(charge, threshold, reset, v_reset, ATan(), detach,
             tau if charge == "lif" else None, decay),
        tau if charge == "plif" else None,
    ),
    st.sampled_from(["if", "lif", "plif"]), st.floats(1, 30), st.booleans(), st.floats(0.05, 4),
    st.sampled_from(["hard", "soft"]), st.sampled_from([0.0, -0.7, 0.04]), st.booleans(),
)  # fmt: skip


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(chosen=rules, steps=st.integers(1, 12), shape=st.lists(st.integers(0, 4), max_size=3),
       seed=st.integers(0, 999))  # fmt: skip
def test_property_explicit_equals_autograd(
    chosen: tuple[Rule, float | None], steps: int, shape: list[int], seed: int
) -> None:
    rule, tau = chosen
    generator = torch.Generator().manual_seed(seed)
    x, grad = torch.randn(2, steps, *shape, generator=generator, dtype=torch.float64) + 0.3
    rate = _rate(tau, torch.float64)
    v = equations.start(x, rule)
    spikes, last, grad_x, grad_rate = _autograd(x, grad, v, rule, rate)
    out, end = equations.forward(x, v, rule, rate)
    by_x, by_rate = equations.backward(grad, x, v, rule, rate)
    assert torch.equal(out, spikes)
    assert torch.equal(end, last)
    # 12 steps without detach may amplify: relative to the largest gradient
    assert torch.allclose(by_x, grad_x, rtol=1e-10, atol=1e-12 * (1 + _largest(grad_x)))
    if by_rate is not None and grad_rate is not None:
        assert torch.allclose(by_rate, grad_rate, rtol=1e-9, atol=1e-9)


def _largest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0


def test_where_a_membrane_starts() -> None:
    """At rest, or at the potential that the rule begins with, in the dtype of the state."""
    x = torch.ones(3, 2, dtype=torch.bfloat16)
    for first, wanted in ((None, -0.25), (0.5, 0.5), (0.0, 0.0)):
        v = equations.start(x, Rule("if", 1.0, "soft", -0.25, ATan(), initial_potential=first))
        assert (v.tolist(), v.dtype) == ([wanted, wanted], torch.float32)


def test_a_reset_to_1() -> None:
    """Nothing but 0 is taken for 0: neither where it is reset to, nor where it rests."""
    h, spike = torch.tensor([0.3, 2.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
    rule = Rule("lif", 1.7, "hard", 1.0, ATan(), True, 2.0, True)
    assert equations.reset(h, spike, rule).tolist() == pytest.approx([0.3, 1.0, 1.0])
    rested = equations.charge(torch.tensor([1.0, 2.0]), torch.zeros(2), rule)
    assert rested.tolist() == [1.0, 1.5]
