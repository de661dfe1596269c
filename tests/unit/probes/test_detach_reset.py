"""detach_reset against two networks that differ in detach_reset alone, under autograd."""

from __future__ import annotations

import math

import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from spikingjelly.activation_based import surrogate as jelly
from torch import Tensor, nn

from snnlens.neuron import equations
from snnlens.neuron.layers import IF, LIF, PLIF
from snnlens.probes.detach_reset import DetachReset
from snnlens.recording.recorder import Recorder

RTOL = 1e-10  # float64 sums over 120 products in another order; found 2e-15

MAKES = {
    "if hard": lambda d: IF(0.7, detach_reset=d),
    "if soft": lambda d: IF(0.7, reset="soft", detach_reset=d),
    "lif": lambda d: LIF(2.0, threshold=0.7, detach_reset=d),
    "plif soft": lambda d: PLIF(3.0, threshold=0.7, reset="soft", detach_reset=d),
}


def batch(steps: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 1.5 * torch.randn(steps, 3, 8, generator=generator, dtype=torch.float64)


def judged(spikes: Tensor) -> Tensor:
    """A loss that is linear in the spikes: the same dL/dS whatever the rule."""
    weights = torch.linspace(-1, 2, spikes.numel(), dtype=spikes.dtype)
    return (weights * spikes.flatten()).sum()


def gradient(rule: equations.Rule, rate: Tensor | None, x: Tensor) -> Tensor:
    """dL/dX by autograd through the plain loop."""
    x = x.clone().requires_grad_()
    spikes, _ = equations.loop(x, equations.start(x, rule), rule, rate)
    judged(spikes).backward()
    assert x.grad is not None
    return x.grad


def expected(name: str, x: Tensor) -> tuple[float, float]:
    grads = []
    for detach in (True, False):
        layer = MAKES[name](detach).double()
        rate = None if layer.rate is None else layer.rate.detach()
        grads.append(gradient(layer.rule, rate, x))
    detached, attached = grads
    cosine = (detached * attached).sum() / (detached.norm() * attached.norm())
    return float(detached.norm() / attached.norm()), float(cosine)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("name", MAKES)
def test_against_two_networks(name: str, detach: bool) -> None:
    """Whichever of the two the layer itself is."""
    x, net = batch(), nn.Sequential(MAKES[name](detach).double())
    ratio, cosine = expected(name, x)
    assert abs(ratio - 1) > 1e-3  # the reset matters here, or the test would show nothing
    assert cosine < 0.999
    with Recorder(net, [DetachReset()]) as recorder:
        judged(net(x.requires_grad_())).backward()
    row = recorder.frame().iloc[0]
    assert row["detach_ratio"] == pytest.approx(ratio, rel=RTOL)
    assert row["detach_cosine"] == pytest.approx(cosine, rel=RTOL)


@pytest.mark.parametrize("mode", ["m", "s"])
def test_of_spikingjelly_whole_and_per_step(mode: str) -> None:
    """Its own two neurons, with and without detach_reset, under its own autograd."""
    grads = []
    for detach in (True, False):
        node = neuron.LIFNode(2.0, v_threshold=0.7, detach_reset=detach, step_mode="m",
                              surrogate_function=jelly.ATan())  # fmt: skip
        x = batch().requires_grad_()
        judged(node(x)).backward()
        grads.append(x.grad)
    detached, attached = grads
    net = nn.Sequential(node)
    functional.reset_net(net)
    functional.set_step_mode(net, mode)
    x = batch().requires_grad_()
    with Recorder(net, [DetachReset()]) as recorder:
        out = net(x) if mode == "m" else torch.stack([net(now) for now in x])
        judged(out).backward()
    row = recorder.frame().iloc[0]
    ratio = float(detached.norm() / attached.norm())
    cosine = float((detached * attached).sum() / (detached.norm() * attached.norm()))
    assert row["detach_ratio"] == pytest.approx(ratio, rel=RTOL)
    assert row["detach_cosine"] == pytest.approx(cosine, rel=RTOL)


def test_a_membrane_that_is_kept_from_before() -> None:
    net = nn.Sequential(LIF(2.0, threshold=0.7, keep_state=True).double())
    net(batch())
    kept = net[0].membrane
    assert kept is not None
    x = (batch() * 0.8).requires_grad_()
    with Recorder(net, [DetachReset()]) as recorder:
        judged(net(x)).backward()
    grads = []
    for detach in (True, False):
        again = x.detach().clone().requires_grad_()
        spikes, _ = equations.loop(again, kept.detach(), MAKES["lif"](detach).rule)
        judged(spikes).backward()
        grads.append(again.grad)
    ratio = float(grads[0].norm() / grads[1].norm())
    assert recorder.frame().iloc[0]["detach_ratio"] == pytest.approx(ratio, rel=RTOL)


def test_no_difference_in_one_step() -> None:
    """V after the last step is nobody's input: the two are equal to the bit."""
    net = nn.Sequential(IF(0.7))
    with Recorder(net, [DetachReset()]) as recorder:
        judged(net(batch(1).requires_grad_())).backward()
    row = recorder.frame().iloc[0]
    assert row["detach_ratio"] == 1
    assert row["detach_cosine"] == pytest.approx(1, abs=1e-15)  # two roots of one number
    table = recorder.record().table("detach_reset")
    assert (table["detached"] == table["product"]).all()


def test_batches_add_up() -> None:
    net = nn.Sequential(LIF(2.0, threshold=0.7))
    sums = torch.zeros(3, dtype=torch.float64)
    with Recorder(net, [DetachReset()]) as recorder:
        for scale in (1.0, 0.5, 2.0):
            x = (batch() * scale).requires_grad_()
            judged(net(x)).backward()
            pair = [gradient(MAKES["lif"](d).rule, None, x.detach()) for d in (True, False)]
            sums += torch.stack([pair[0].square().sum(), pair[1].square().sum(),
                                 (pair[0] * pair[1]).sum()])  # fmt: skip
    row = recorder.frame().iloc[0]
    assert row["detach_ratio"] == pytest.approx(math.sqrt(sums[0] / sums[1]), rel=RTOL)
    cosine = float(sums[2] / sums[0].sqrt() / sums[1].sqrt())
    assert row["detach_cosine"] == pytest.approx(cosine, rel=RTOL)


def test_it_says_nothing_where_no_rule_gives_the_membrane() -> None:
    psn = nn.Sequential(nn.Linear(8, 8), neuron.PSN(5)).double()
    with Recorder(psn, [DetachReset()]) as recorder:
        judged(psn(batch())).backward()
    assert "detach_reset" not in recorder.record().tables
