"""gradient_paths against autograd in float64, through a plain loop that keeps every membrane."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based import surrogate as jelly
from torch import Tensor, nn

from snnlens.neuron.layers import IF, LIF, PLIF
from snnlens.probes.gradient_paths import GradientPaths, step_products
from snnlens.recording.recorder import Recorder

RTOL = 1e-10  # float64 sums over 24 products in another order, g_temporal a difference; found 3e-14
STEPS, SIZE = 5, 3

KINDS: dict[str, dict] = {
    "if hard": {"make": lambda d: IF(0.8, detach_reset=d)},
    "if soft": {"make": lambda d: IF(0.8, reset="soft", detach_reset=d), "soft": True},
    "lif hard, rest -0.3": {
        "make": lambda d: LIF(2.5, threshold=0.8, reset_potential=-0.3, detach_reset=d),
        "tau": 2.5, "rest": -0.3,
    },
    "lif soft, input whole": {
        "make": lambda d: LIF(1.5, threshold=0.8, decay_input=False, reset="soft", detach_reset=d),
        "tau": 1.5, "soft": True, "decay_input": False,
    },
    "plif hard": {"make": lambda d: PLIF(3.0, threshold=0.8, detach_reset=d)},
}  # fmt: skip


class Fire(torch.autograd.Function):
    """Theta with the slope of ATan, alpha = 2, both written out."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:  # type: ignore[no-untyped-def,override]
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def,override]
        return grad * slope(ctx.saved_tensors[0])


def slope(u: Tensor) -> Tensor:
    return 1 / (1 + (math.pi * u) ** 2)


def network(make: Callable[[], nn.Module]) -> nn.Sequential:
    """Linear, neuron, linear in float64."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), make(), nn.Linear(8, 2)).double()


def batch(seed: int = 0, steps: int = STEPS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(steps, SIZE, 4, generator=generator, dtype=torch.float64)


def judged(y: Tensor) -> Tensor:
    """A loss in which all steps meet."""
    return y.sum(0).square().sum()


def by_loop(
    net: nn.Sequential, x: Tensor, *, detach: bool, tau: float | None = None, soft: bool = False,
    rest: float = 0.0, decay_input: bool = True, start: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """Spatial and temporal part of dL/dH at each step, by autograd alone."""
    membranes, outs = [], []
    v = torch.full((SIZE, 8), rest, dtype=torch.float64) if start is None else start
    for now in net[0](x):
        if tau is None:
            h = v + now
        elif decay_input:
            h = v + (now - (v - rest)) / tau
        else:
            h = v - (v - rest) / tau + now
        h.retain_grad()
        s = Fire.apply(h - 0.8)
        out = s.clone()  # its gradient is what comes from the layers above alone
        out.retain_grad()
        fed = s.detach() if detach else s
        v = h - 0.8 * fed if soft else h * (1 - fed) + rest * fed
        membranes.append(h)
        outs.append(out)
    judged(net[2](torch.stack(outs))).backward()
    spatial = [o.grad * slope(h.detach() - 0.8) for o, h in zip(outs, membranes, strict=True)]
    temporal = [h.grad - s for h, s in zip(membranes, spatial, strict=True)]
    return spatial, temporal


def check_steps(frame, spatial: list[Tensor], temporal: list[Tensor]) -> None:  # type: ignore[no-untyped-def]
    last = len(spatial) - 1
    assert list(frame["step"]) == list(range(len(spatial)))
    for t, (s, g) in enumerate(zip(spatial, temporal, strict=True)):
        row = frame.iloc[t]
        assert row["spatial_norm"] == pytest.approx(float(s.norm()), rel=RTOL)
        if t == last:  # nothing comes after it
            assert row["temporal_norm"] == 0
            assert math.isnan(row["path_cosine"])
        else:
            assert row["temporal_norm"] == pytest.approx(float(g.norm()), rel=RTOL)
            cosine = float((s * g).sum() / (s.norm() * g.norm()))
            assert row["path_cosine"] == pytest.approx(cosine, rel=RTOL, abs=1e-13)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_against_autograd(name: str, detach: bool) -> None:
    facts = dict(KINDS[name])
    make = facts.pop("make")
    net, x = network(lambda: make(detach)), batch()
    if isinstance(net[1], PLIF):  # its weight was made in float32
        facts["tau"] = 1 + math.exp(-net[1].w.item())
    spatial, temporal = by_loop(net, x, detach=detach, **facts)
    with Recorder(net, [GradientPaths()]) as recorder:
        judged(net(x)).backward()
    check_steps(recorder.frame(per_step=True), spatial, temporal)
    s, g = torch.stack(spatial), torch.stack(temporal)
    row = recorder.frame().iloc[0]
    assert row["spatial_norm"] == pytest.approx(float(s.norm()), rel=RTOL)
    assert row["temporal_norm"] == pytest.approx(float(g.norm()), rel=RTOL)
    cosine = float((s * g).sum() / (s.norm() * g.norm()))
    assert row["path_cosine"] == pytest.approx(cosine, rel=RTOL)
    assert abs(cosine) > 0.01  # or a wrong sign would not show


def jelly_net(mode: str) -> nn.Sequential:
    """The LIF of `KINDS` with rest 0, as SpikingJelly has it."""
    net = network(
        lambda: neuron.LIFNode(2.5, v_threshold=0.8, v_reset=0.0, detach_reset=False,
                               surrogate_function=jelly.ATan())
    )  # fmt: skip
    functional.set_step_mode(net, mode)
    return net


@pytest.mark.parametrize("mode", ["m", "s"])
def test_of_spikingjelly_whole_and_per_step(mode: str) -> None:
    x = batch()
    spatial, temporal = by_loop(jelly_net("m"), x, detach=False, tau=2.5)
    net = jelly_net(mode)
    with Recorder(net, [GradientPaths()]) as recorder:
        out = net(x) if mode == "m" else torch.stack([net(now) for now in x])
        judged(out).backward()
    check_steps(recorder.frame(per_step=True), spatial, temporal)


def test_a_membrane_that_is_kept_from_before() -> None:
    """A second sequence without a reset begins where the first one ended."""
    net, xs = jelly_net("m"), [batch(1), batch(2)]
    net(xs[0])
    kept = net[1].v.detach().clone()
    assert kept.abs().max() > 0.1
    functional.detach_net(net)
    spatial, temporal = by_loop(net, xs[1], detach=False, tau=2.5, start=kept)
    with Recorder(net, [GradientPaths()]) as recorder:
        judged(net(xs[1])).backward()
    check_steps(recorder.frame(per_step=True), spatial, temporal)


def test_batches_are_a_root_mean_square() -> None:
    """Over three batches, one of them longer: squares add up, per step and altogether."""
    net = network(lambda: LIF(2.5, threshold=0.8))
    xs = [batch(1), batch(2), batch(3, STEPS + 1)]
    with Recorder(net, [GradientPaths()]) as recorder:
        for x in xs:
            judged(net(x)).backward()
    kept = [by_loop(net, x, detach=True, tau=2.5) for x in xs]
    frame, steps = recorder.frame().iloc[0], recorder.frame(per_step=True).set_index("step")
    for name, part in (("spatial_norm", 0), ("temporal_norm", 1)):
        squares = [[float(g.square().sum()) for g in parts[part]] for parts in kept]
        total = math.sqrt(sum(map(sum, squares)) / 3)
        assert frame[name] == pytest.approx(total, rel=RTOL)
        at_one = math.sqrt(sum(batch[1] for batch in squares) / 3)
        assert steps.loc[1, name] == pytest.approx(at_one, rel=RTOL)
    last = float(kept[2][0][STEPS].norm())  # only one batch is so long
    assert steps.loc[STEPS, "spatial_norm"] == pytest.approx(last, rel=RTOL)


def test_it_says_nothing_where_no_rule_gives_the_membrane() -> None:
    """A PSN weighs its input over time; a layer that gets no gradient has no paths either."""
    psn = nn.Sequential(nn.Linear(4, 8), neuron.PSN(STEPS), layer.Linear(8, 2)).double()
    functional.set_step_mode(psn, "m")
    with Recorder(psn, [GradientPaths()]) as recorder:
        judged(psn(batch())).backward()
    assert "gradient_paths" not in recorder.record().tables
    net = network(lambda: IF(0.8))
    with torch.no_grad(), Recorder(net, [GradientPaths()]) as recorder:
        net(batch())
    assert "gradient_paths" not in recorder.record().tables


def test_products_are_float64_over_any_length() -> None:
    a = torch.full((2, 3, 70_000), 1e-26)  # more than one chunk; the square is 0 in float32
    b = torch.stack([a[0], -2 * a[1]])
    wide = a.double().numpy() * b.double().numpy()
    np.testing.assert_allclose(step_products(a, b), wide.sum((1, 2)), rtol=1e-12)  # order of sums
    assert step_products(a, b)[1] < 0
