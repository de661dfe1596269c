"""gradient_histogram against numpy's searchsorted: kept gradients, every edge, any bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from snnlens.neuron.layers import IF
from snnlens.neuron.surrogate import Rectangular
from snnlens.probes.gradient_histogram import EDGES, ROWS, GradientHistogram, rows
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def by_numpy(grad: Tensor) -> np.ndarray:
    """The row of each element, from its value in float64."""
    size = np.abs(grad.double().numpy().ravel())
    row = np.searchsorted(np.array([10.0 ** (k / 2) for k in range(-60, 13)]), size, "right") + 1
    row[size == 0] = 0
    row[~np.isfinite(size)] = 75
    return row


def test_the_rows() -> None:
    assert ROWS == 76
    assert len(EDGES) == 73
    assert EDGES[0] == 1e-30
    assert EDGES[-1] == 1e6
    one = torch.tensor([0.0, -0.0, 1e-31, 2e-30, 1.0, -1.0, 9e5, 1e6, 1e30, math.inf, math.nan])
    assert rows(one).tolist() == [0, 0, 1, 2, 62, 62, 73, 74, 74, 75, 75]
    assert EDGES[62 - 2] == 1.0  # row 62 begins there


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_edge_and_its_neighbours(dtype: torch.dtype) -> None:
    """The edge as this type has it, and the numbers just below and above, of either sign."""
    near = torch.tensor(EDGES, dtype=torch.float64).to(dtype)
    ends = torch.tensor([0.0, math.inf], dtype=dtype)
    x = torch.cat([near, torch.nextafter(near, ends[0]), torch.nextafter(near, ends[1])])
    x = torch.cat([x, -x])
    np.testing.assert_array_equal(rows(x).numpy(), by_numpy(x))


@pytest.mark.parametrize("bits", [(torch.int32, torch.float32), (torch.int64, torch.float64)])
def test_any_bits(bits: tuple[torch.dtype, torch.dtype]) -> None:
    """Denormal numbers, infinities and NaN among them."""
    integer, dtype = bits
    info, generator = torch.iinfo(integer), torch.Generator().manual_seed(0)
    x = torch.randint(info.min, info.max, (100_000,), generator=generator, dtype=integer)
    x = x.view(dtype)
    assert (~x.isfinite()).any()
    assert set(rows(x).tolist()) >= set(range(1, 76))
    np.testing.assert_array_equal(rows(x).numpy(), by_numpy(x))


@pytest.mark.parametrize("connect", ["add", "and"])
def test_against_kept_gradients(connect: str) -> None:
    model, xs = brute.small("sew", connect, neuron=IF(0.3, surrogate=Rectangular())), [1, 2]
    kept = [brute.keep_all(model, brute.batch(seed=s)) for s in xs]
    with Recorder(model, [GradientHistogram()]) as recorder:
        for seed in xs:
            brute.loss(model, brute.batch(seed=seed)).backward()
    table = recorder.record().table("gradient_histogram")
    frame = recorder.frame().set_index("site")
    for site in model.sites():
        if site.role == "block_residual":
            assert site.name not in set(table["site"])
            continue
        grads = [torch.tensor(k[site.name].grad) for k in kept]
        counts = sum(np.bincount(by_numpy(g), minlength=ROWS) for g in grads)
        here = table[table["site"] == site.name]
        np.testing.assert_array_equal(here["gradients"], counts)
        np.testing.assert_array_equal(here["bin"], range(ROWS))
        zeros = sum(int((g == 0).sum()) for g in grads)
        elements = sum(g.numel() for g in grads)
        assert frame.loc[site.name, "gradient_zero_share"] == zeros / elements
        assert frame.loc[site.name, "gradient_non_finite"] == 0
    if connect == "and":  # an input that is silent lets nothing through
        assert 0 < frame["gradient_zero_share"].max() < 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_counted_apart(bad: float) -> None:
    upstream = torch.ones(3, 2, 5)
    upstream[1, 0, 3] = upstream[2, 1, 1] = bad
    upstream[0, 0, 0] = 0
    model = nn.Sequential(IF())
    with Recorder(model, [GradientHistogram()]) as recorder:
        model(torch.zeros(3, 2, 5).requires_grad_()).backward(upstream)
    row = recorder.frame().iloc[0]
    assert row["gradient_non_finite"] == 2
    assert row["gradient_zero_share"] == 1 / 30


@pytest.mark.parametrize("mode", ["m", "s"])
def test_of_spikingjelly_whole_and_per_step(mode: str) -> None:
    """One call per step: every step falls into the same rows."""
    net = nn.Sequential(neuron.IFNode())
    functional.set_step_mode(net, mode)
    generator = torch.Generator().manual_seed(0)
    upstream = torch.randn(4, 3, 6, generator=generator) * 10 ** torch.linspace(-33, 3, 6)
    x = torch.rand(4, 3, 6, generator=generator).requires_grad_()
    with Recorder(net, [GradientHistogram()]) as recorder:
        out = net(x) if mode == "m" else torch.stack([net(now) for now in x])
        out.backward(upstream)
    table = recorder.record().table("gradient_histogram")
    np.testing.assert_array_equal(
        table["gradients"], np.bincount(by_numpy(upstream), minlength=ROWS)
    )


def test_more_than_one_chunk_and_a_gradient_without_memory_of_its_own() -> None:
    """A mean over positions hands down an expanded gradient."""
    net = nn.Sequential(IF())
    x = torch.rand(2, 3, 40_000).requires_grad_()
    with Recorder(net, [GradientHistogram()]) as recorder:
        net(x).mean(2).sum().backward()
    table = recorder.record().table("gradient_histogram")
    counts = table.loc[table["gradients"] > 0, ["bin", "gradients"]].to_numpy().tolist()
    assert counts == [[int(by_numpy(torch.tensor([1 / 40_000]))[0]), 240_000]]
