"""The spatial and the temporal part of the gradient at the membrane, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnlens.neuron import equations
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import Constant
from tests.unit.neuron.kernels.rules import every_rule, numbers, pairwise_rules, rate_of

RULES = list(dict.fromkeys(rule for rule, _ in every_rule() + pairwise_rules()))


def _given(rule: Rule) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    rate = rate_of(rule)
    x, grad, v = numbers((6, 3, 5), 1, torch.float64, ties=False)
    return x * 1.5, grad, v, None if rate is None else rate.double()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r)[:120])
def test_their_sum_is_what_the_backward_pass_finds(rule: Rule) -> None:
    x, grad, v, rate = _given(rule)
    spatial, temporal = equations.paths(x, v, rule, grad, rate)
    want, _ = equations.backward(grad, x, v, rule, rate)
    found = spatial + temporal
    if rule.leaks() and rule.decay_input:  # times dH/dX
        found = equations._per_tau(found, rule, rate)
    if rule.detach_reset:
        assert torch.equal(found, want)  # the same operations in the same order
    else:
        # (g_S + g_V dV/dS) sigma' there, g_S sigma' + g_V dV/dS sigma' here: two roundings a step
        bound = 12 * torch.finfo(torch.float64).eps * float(want.abs().max())
        assert (found - want).abs().max() <= bound


def _loop(
    x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """H and S of each step under autograd, written without the library's equations."""
    inverse = rate if rate is not None else 1 / (rule.tau_steps or 1.0)
    rest, membranes, spikes = rule.reset_potential, [], []
    for current in x:
        if rule.charge == "if":
            h = v + current
        elif rule.decay_input:
            h = v + (current - v + rest) * inverse
        else:
            h = v - (v - rest) * inverse + current
        h = h.requires_grad_() if not h.requires_grad else h
        s = equations._Spike.apply(h, rule)  # type: ignore[no-untyped-call]
        fed = s.detach() if rule.detach_reset else s
        v = h * (1 - fed) + rest * fed if rule.reset == "hard" else h - rule.threshold * fed
        membranes.append(h)
        spikes.append(s)
    return membranes, spikes


@pytest.mark.parametrize("rule", RULES, ids=lambda r: str(r)[:120])
def test_each_part_is_what_autograd_finds_for_its_spikes(rule: Rule) -> None:
    """Spatial: how H[t] moves the loss by S[t] alone; temporal: by all later spikes."""
    x, grad, v, rate = _given(rule)
    spatial, temporal = equations.paths(x, v, rule, grad, rate)
    membranes, spikes = _loop(x, v, rule, rate)
    losses = [(g * s).sum() for g, s in zip(grad, spikes, strict=True)]
    largest = float(spatial.abs().max())
    for t, h in enumerate(membranes):
        (now,) = torch.autograd.grad(losses[t], h, retain_graph=True)
        assert torch.allclose(spatial[t], now, rtol=1e-13, atol=0)  # one product
        if t + 1 == len(x):
            assert not temporal[t].any()
            continue
        (later,) = torch.autograd.grad(sum(losses[t + 1 :]), h, retain_graph=True)
        # sums over six steps in another order, which may cancel
        assert torch.allclose(temporal[t], later, rtol=1e-12, atol=1e-14 * (1 + largest))
    is_cut = isinstance(rule.surrogate, Constant) and (rule.threshold, rule.reset) == (1, "soft")
    assert temporal.any() == (
        rule.detach_reset or not is_cut
    )  # where it is cut, 1 - V_th sigma' = 0


def test_three_steps_by_hand() -> None:
    """LIF, tau = 2, V_th = 1, hard and soft, sigma' = 1: dH/dV = 1/2."""
    x, grad = torch.tensor([[1.0], [2.0], [0.5]]).double(), torch.tensor([[1.0], [2.0], [4.0]])
    # H = 1/2, 5/4 (spike), 1/4 (hard) or 3/8 (soft); g_H[2] = 4 in either
    parts = {
        # g_V[1] = 2; dV/dH = 1 - S = 0, so g_H[1] = 2; g_V[0] = 1; dV/dH = 1
        ("hard", True): ([1, 2, 4], [1, 0, 0]),
        # dV/dH[1] = 0 - 5/4: 2 * -5/4 = -5/2; g_H[1] = -1/2; g_V[0] = -1/4; dV/dH[0] = 1 - 1/2
        ("hard", False): ([1, 2, 4], [-0.125, -2.5, 0]),
        # dV/dH = 1 always: g_H[1] = 4; g_V[0] = 2
        ("soft", True): ([1, 2, 4], [2, 2, 0]),
        # dV/dH = 1 - 1 = 0
        ("soft", False): ([1, 2, 4], [0, 0, 0]),
    }
    for (reset, detach), want in parts.items():
        rule = Rule("lif", 1.0, reset, 0.0, Constant(), detach, 2.0)  # type: ignore[arg-type]
        found = equations.paths(x, torch.zeros(1).double(), rule, grad)
        assert tuple(part.flatten().tolist() for part in found) == want


def test_short_numbers_get_the_dtype_of_the_state() -> None:
    x, grad, v = numbers((4, 7), 2, torch.bfloat16, ties=False)
    rule = Rule(detach_reset=False)
    found = equations.paths(x, v, rule, grad)
    assert [part.dtype for part in found] == [torch.float32] * 2
    want = equations.paths(x.double(), v.double(), rule, grad.double())
    for part, exact in zip(found, want, strict=True):
        assert torch.allclose(part.double(), exact, rtol=1e-4, atol=1e-5)  # float32 over 4 steps


def test_no_graph_is_left() -> None:
    x, grad, v = (y.requires_grad_() for y in numbers((3, 4), 3, torch.float64, ties=False))
    assert not any(part.requires_grad for part in equations.paths(x, v, Rule(), grad))


def test_a_gradient_that_is_zero_reaches_nothing() -> None:
    x, _, v = numbers((5, 4), 3, torch.float64, ties=False)
    for detach in (True, False):
        parts = equations.paths(x, v, Rule(detach_reset=detach), torch.zeros_like(x))
        assert not any(part.any() for part in parts)
