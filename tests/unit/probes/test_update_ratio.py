"""update_ratio against steps of an optimizer that are known on paper, and against kept weights."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.layers import IF
from snnlens.probes.update_ratio import UpdateRatio
from snnlens.recording.recorder import Recorder

# A float32 weight W + d holds d to 1 part in 2^-24 W / d: here d / W > 1e-3
RTOL = 1e-4


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 5), IF(0.4), nn.Linear(5, 3))


def batch(seed: int) -> Tensor:
    return 2 * torch.rand(4, 8, 6, generator=torch.Generator().manual_seed(seed))


def judged(net: nn.Module, x: Tensor) -> Tensor:
    return (net(x).mean(0) - 1).square().sum()


def test_one_step_of_gradient_descent() -> None:
    """lr ||g|| / ||W||, with the g of the first pass; nothing before the second."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with Recorder(net, [UpdateRatio()]) as recorder:
        judged(net, batch(1)).backward()
        assert "update_ratio" not in recorder.record().tables
        expected = {n: 0.05 * float(p.grad.double().norm() / p.detach().double().norm())
                    for n, p in net.named_parameters()}  # fmt: skip
        optimizer.step()
        judged(net, batch(2)).backward()
    frame = recorder.frame().set_index("site")["update_ratio"]
    assert min(expected.values()) > 1e-3
    for name, ratio in expected.items():
        assert frame[name] == pytest.approx(ratio, rel=RTOL)
    assert math.isnan(frame["1"])  # the neuron has no weight


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD])
def test_several_updates_against_kept_weights(make: type[torch.optim.Optimizer]) -> None:
    """Root mean squares over the updates of ||after - before|| and of ||before||."""
    net = network()
    optimizer = make(net.parameters(), lr=0.02)  # type: ignore[call-arg]
    kept: list[dict[str, Tensor]] = []
    with Recorder(net, [UpdateRatio()]) as recorder:
        for seed in range(4):
            optimizer.zero_grad()
            judged(net, batch(seed)).backward()
            kept.append({n: p.detach().double().clone() for n, p in net.named_parameters()})
            optimizer.step()
    frame = recorder.frame().set_index("site")
    for name in kept[0]:
        pairs = list(itertools.pairwise(kept))
        moved = sum(float((b[name] - a[name]).square().sum()) for a, b in pairs)
        there = sum(float(a[name].square().sum()) for a, _ in pairs)
        ratio = math.sqrt(moved / there)
        # the same float32 weights, subtracted and summed in float64
        assert frame.loc[name, "update_ratio"] == pytest.approx(ratio, rel=1e-12)
    assert set(recorder.record().table("update_ratio")["updates"]) == {3}


def test_accumulated_gradients_are_one_update() -> None:
    """Three passes, then a step: a pair of passes without a step is not counted as one of 0."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with Recorder(net, [UpdateRatio()]) as recorder:
        for seed in range(3):
            judged(net, batch(seed)).backward()
        before = {n: p.detach().double().clone() for n, p in net.named_parameters()}
        optimizer.step()
        judged(net, batch(3)).backward()
    table = recorder.record().table("update_ratio").set_index("site")
    frame = recorder.frame().set_index("site")["update_ratio"]
    assert set(table["updates"]) == {1}
    for name, p in net.named_parameters():
        ratio = float((p.detach().double() - before[name]).norm() / before[name].norm())
        assert frame[name] == pytest.approx(ratio, rel=1e-12)


def test_a_step_that_moves_nothing_is_0_and_a_write_past_autograd_is_seen() -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with Recorder(net, [UpdateRatio()]) as recorder:
        judged(net, batch(0)).backward()
        optimizer.step()  # in place, by 0
        judged(net, batch(1)).backward()
        still = recorder.frame().set_index("site")["update_ratio"].dropna()
        assert set(still) == {0.0}
        net[0].weight.data.mul_(1.5)  # leaves the version of the parameter as it was
        judged(net, batch(2)).backward()
    table = recorder.record().table("update_ratio").set_index("site")
    assert table.loc["0.weight", "updates"] == 2
    assert table.loc["2.weight", "updates"] == 1
    ratio = recorder.frame().set_index("site").loc["0.weight", "update_ratio"]
    assert ratio == pytest.approx(math.sqrt(0.5**2 / 2), rel=1e-6)  # 0 and 1/2; float32 weights


def test_a_weight_of_zeros_has_no_ratio() -> None:
    net = network()
    nn.init.zeros_(net[2].bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Recorder(net, [UpdateRatio()]) as recorder:
        for seed in (0, 1):
            judged(net, batch(seed)).backward()
            optimizer.step()
    assert math.isnan(recorder.frame().set_index("site").loc["2.bias", "update_ratio"])


class Twice(nn.Module):
    """Two biases that get one and the same gradient tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.full((3,), 0.3)), nn.Parameter(torch.full((3,), 0.6))
        self.neuron = IF()

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.a + self.b + x)


def test_two_parameters_with_one_gradient_keep_their_own_weights() -> None:
    net = Twice()
    with Recorder(net, [UpdateRatio()]) as recorder:
        net(torch.zeros(1, 3)).sum().backward()
        with torch.no_grad():
            net.a.mul_(2)
            net.b.mul_(4)
        net(torch.zeros(1, 3)).sum().backward()
    frame = recorder.frame().set_index("site")["update_ratio"]
    # float32 weights, times powers of 2: exact
    assert (frame["a"], frame["b"]) == (1.0, 3.0)
