"""gradient_norm against retained gradients, squared and summed in numpy's float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.layers import IF, LIF
from snnlens.probes.gradient_norm import GradientNorm
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute

NETS = {
    "add": lambda: brute.small("sew", "add", neuron=IF(0.25)),
    "iand": lambda: brute.small("sew", "iand"),
    "spiking lif": lambda: brute.small("spiking", neuron=LIF(1.5, threshold=0.3)),
    "spiking zero": lambda: brute.small("spiking", zero_init=True, depth=20),
    "ms": lambda: brute.small("ms"),
    "ann": lambda: brute.small("ann"),
}
RTOL = 1e-12  # the same float32 gradients, squared and summed in float64 in another order


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_against_brute_force(name: str, frozen: bool) -> None:
    model, x = NETS[name](), brute.batch()
    model.requires_grad_(not frozen)
    kept = brute.keep_all(model, x)
    with Recorder(model, [GradientNorm()]) as recorder:
        brute.loss(model, x).backward()
    frame = recorder.frame().set_index("site")
    steps = recorder.frame(per_step=True).set_index(["site", "step"])
    for site in model.sites():
        grad, row = kept[site.name].grad, frame.loc[site.name]
        assert grad is not None
        if site.role == "block_residual":
            assert math.isnan(row["gradient_norm"])  # not asked for there
            continue
        norm = np.sqrt((grad**2).sum())
        assert row["gradient_norm"] == pytest.approx(norm, rel=RTOL)
        assert row["gradient_per_sample"] == pytest.approx(norm * 2, rel=RTOL)  # sqrt(4)
        for t, step in enumerate(grad):
            norm = np.sqrt((step**2).sum())
            assert steps.loc[(site.name, t), "gradient_norm"] == pytest.approx(norm, rel=RTOL)
    assert (
        frame["gradient_calls"] == [int(s.role != "block_residual") for s in model.sites()]
    ).all()


class Scaled(nn.Module):
    """One neuron whose output meets a given upstream gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.neuron = IF()

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(x)


def _norm_of(upstream: Tensor) -> float:
    model = Scaled()
    with Recorder(model, [GradientNorm()]) as recorder:
        model(torch.zeros_like(upstream).requires_grad_()).backward(upstream)
    return float(recorder.frame()["gradient_norm"].item())


def test_tiny_gradients_do_not_underflow() -> None:
    """1e-26 squared is 0 in float32; the norm of four of them is 2e-26."""
    tiny = torch.full((1, 4), 1e-26)
    assert tiny.square().sum() == 0
    assert _norm_of(tiny) == pytest.approx(2e-26, rel=1e-6)
    assert _norm_of(torch.zeros(1, 4)) == 0  # an exact zero is kept apart
    assert _norm_of(torch.full((2, 9), 1e30)) == pytest.approx(1e30 * math.sqrt(18), rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_is_never_zero(bad: float) -> None:
    upstream = torch.ones(3, 2, 5)
    upstream[1, 0, 3] = bad
    norm = _norm_of(upstream)
    assert not math.isfinite(norm)


def test_batches_merge_as_a_root_mean_square() -> None:
    """Sum of squares over batches / batches; per sample: each square times its batch size."""
    model = brute.small("sew", "add")
    batches = [brute.batch(4, seed=1), brute.batch(6, seed=2), brute.batch(2, seed=3)]
    kept = [brute.keep_all(model, x) for x in batches]
    with Recorder(model, [GradientNorm()]) as recorder:
        for x in batches:
            brute.loss(model, x).backward()
    frame = recorder.frame().set_index("site")
    for site in model.sites():
        if site.role != "block_residual":
            squares = [float((k[site.name].grad ** 2).sum()) for k in kept]  # type: ignore[operator]
            row = frame.loc[site.name]
            assert row["gradient_norm"] == pytest.approx(math.sqrt(sum(squares) / 3), rel=RTOL)
            weighted = sum(s * b for s, b in zip(squares, (4, 6, 2), strict=True))
            assert row["gradient_per_sample"] == pytest.approx(math.sqrt(weighted / 3), rel=RTOL)
    table = recorder.record().table("gradient_norm")
    assert set(table["batches"]) == {3}
    assert set(table["samples"]) == {12}


def test_per_sample_does_not_depend_on_the_batch_size() -> None:
    """A mean loss over copies of one sample: the norm falls as B^-1/2, per sample it stays."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), IF(), nn.Linear(5, 3))
    one = torch.rand(2, 1, 6) * 3
    norms = []
    for size in (1, 4, 16):
        with Recorder(model, [GradientNorm()]) as recorder:
            model(one.expand(2, size, 6)).square().mean(1).sum().backward()
        norms.append(recorder.frame().iloc[0])
    single = norms[0]["gradient_norm"]
    assert [r["gradient_norm"] for r in norms] == pytest.approx([single, single / 2, single / 4])
    assert [r["gradient_per_sample"] for r in norms] == pytest.approx([single] * 3)


def test_no_backward_pass_no_norm() -> None:
    model = brute.small("sew", "add")
    with torch.no_grad(), Recorder(model, [GradientNorm()]) as recorder:
        model(brute.batch())
    frame = recorder.frame()
    assert "gradient_norm" not in frame
    assert (frame["gradient_calls"] == 0).all()
    assert (frame["forward_calls"] == 1).all()


def test_two_backward_passes_through_one_graph_count_twice() -> None:
    model, x = brute.small("sew", "add"), brute.batch()
    with Recorder(model, [GradientNorm()]) as recorder:
        value = brute.loss(model, x)
        value.backward(retain_graph=True)
        once = recorder.frame()["gradient_norm"]
        value.backward()
    twice = recorder.frame()
    assert np.allclose(twice["gradient_norm"], once, equal_nan=True, rtol=1e-12)
    assert set(recorder.record().table("gradient_norm")["batches"]) == {2}
