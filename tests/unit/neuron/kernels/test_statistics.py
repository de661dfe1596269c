"""Statistics of a layer's call: each against a count by hand, and only what is asked for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnlens.errors import InputError
from snnlens.neuron import equations, kernels, statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.statistics import Bins
from snnlens.neuron.surrogate import Rectangular, Surrogate
from tests.unit.neuron import scalar
from tests.unit.neuron.kernels.rules import SURROGATES, numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_of_either_backend_are_the_same(dtype: torch.dtype) -> None:
    """float32 in the C kernel, float64 in the reference, both against a count by hand."""
    neuron, bins = LIF(3.3, detach_reset=False), Bins(-1.0, 0.25, 12)
    x, grad, _ = numbers((5, 4, 33), 6, dtype, ties=True)
    seen: list[statistics.Statistics] = []
    with neuron.statistics(statistics.BIT, seen.append, bins):
        x = x.requires_grad_()
        spikes = neuron(x)
        spikes.backward(grad)
    steps = list(equations.steps(x, equations.start(x, neuron.rule), neuron.rule))
    forward, gradients = seen[0].forward, seen[0].gradients
    membrane = torch.stack([s.membrane for s in steps]).double().flatten(1)
    slopes = torch.stack([s.surrogate for s in steps])
    assert x.grad is not None
    assert torch.equal(forward["spikes"], spikes.flatten(1).count_nonzero(1))
    assert forward["active"].tolist() == [132] * 5  # atan is never 0
    edges = torch.arange(13) * 0.25 - 1
    for t in range(5):
        inside = torch.histogram(membrane[t], edges.double())[0]
        inside[-1] -= (membrane[t] == edges[-1]).sum()  # numpy's last bin is closed, ours is not
        assert forward["histogram"][t, 1:-1].tolist() == inside.tolist()
        assert forward["histogram"][t, 0] == (membrane[t] < -1).sum()
        assert forward["histogram"][t].sum() == 132
    for name, found, tensor in (
        ("current", forward, x), ("current_squared", forward, x.square()),
        ("surrogate", forward, slopes),
        ("grad_spike_squared", gradients, grad.double().square()),
        ("grad_current_squared", gradients, x.grad.double().square()),
    ):  # fmt: skip
        brute = [math.fsum(row) for row in tensor.detach().double().flatten(1).tolist()]
        if name == "current_squared":
            brute = [
                math.fsum(y * y for y in row) for row in x.detach().double().flatten(1).tolist()
            ]
        assert found[name].tolist() == pytest.approx(brute, rel=1e-12)


def test_a_statistic_that_is_none() -> None:
    message = r"^a statistic must be one of spikes, active, .*; got 'x'$"
    with pytest.raises(InputError, match=message), IF().statistics(["x"], lambda _: None):
        pass


@pytest.mark.parametrize("bins", [None, Bins()], ids=["none", "no bin"])
def test_a_histogram_without_bins(bins: Bins | None) -> None:
    neuron = IF()
    with pytest.raises(InputError) as error, neuron.statistics(["histogram"], print, bins):
        pass
    assert str(error.value) == (
        f"the histogram's bins must be at least one; got {bins}; "
        "give bins=Bins(lowest, width, count)"
    )
    assert not neuron._counting


def test_the_names_of_statistics_may_come_from_a_generator() -> None:
    seen: list[statistics.Statistics] = []
    neuron = IF()
    with neuron.statistics((name for name in ("spikes", "surrogate")), seen.append):
        neuron(torch.ones(2, 3))
    assert set(seen[0].forward) == {"spikes", "surrogate"}


def _one(name: str, x: Tensor, rule: Rule) -> Tensor:
    _, _, seen = kernels.multi_step(x, None, rule, wanted=frozenset({name}))
    assert seen is not None
    assert set(seen.forward) == {name}
    return seen.forward[name]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-7), (torch.float64, 1e-14)])
def test_the_sum_of_the_surrogate_by_its_formula(
    surrogate: Surrogate, dtype: torch.dtype, rtol: float
) -> None:
    """One step of IF at rest: H = X, so the sum is that of sigma'(X - V_th) in plain numbers."""
    rule = Rule(threshold=0.5, surrogate=surrogate)
    x = numbers((3, 1001), 7, dtype, ties=False)[0][:1]
    found = _one("surrogate", x, rule)
    slope, alpha = surrogate.name, getattr(surrogate, "alpha", 1.0)
    # H - V_th as the kernel has it: a rounded difference would move a rectangle's edge
    brute = [scalar.slope(slope, alpha, h) for h in (x[0] - 0.5).tolist()]
    # each of 1001 terms of one sign is off by a few roundings: measured 2e-8 and 2e-16
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([math.fsum(brute)], rel=rtol)


def test_the_mean_surrogate_of_a_rectangle_is_its_active_share() -> None:
    """sigma' is 0.7 or 0: the sum is 0.7 times a count that another statistic gives."""
    rule = Rule("lif", tau_steps=2.0, surrogate=Rectangular(0.7))
    x = numbers((6, 5000), 8, torch.float32, ties=False)[0]
    active = _one("active", x, rule)
    assert 0 < active.min() <= active.max() < 5000
    exact = float(torch.tensor(0.7, dtype=torch.float32))
    assert _one("surrogate", x, rule).tolist() == pytest.approx(
        [exact * n for n in active.tolist()], rel=1e-12
    )


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_a_surrogate_that_is_not_a_number_is_seen(name: str) -> None:
    x = torch.zeros(2, 300)
    x[1, 3] = math.nan
    with kernels.backend(name):
        found = _one("surrogate", x, Rule())
    assert found.isnan().tolist() == [False, True]
