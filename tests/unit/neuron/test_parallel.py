"""The parallel neuron: every form against QCFS written apart, and beside the sequential IF."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.neuron import parallel
from snnlens.neuron.layers import IF
from snnlens.neuron.parallel import ParallelIF, added, count, rate, tie

Floats = NDArray[np.float64]
STEPS = [1, 2, 3, 4, 8, 16, 32, 64]
KINDS = ["signed", "spikes"]
CHANNELS = 128


def _currents(kind: str, steps: int, samples: int = 400, seed: int = 0) -> Tensor:
    """[T, samples, CHANNELS], float64: normal, or what random spikes bring through weights."""
    generator = torch.Generator().manual_seed(seed)
    shape = (steps, samples, CHANNELS if kind == "signed" else 256)
    if kind == "signed":
        return torch.randn(shape, generator=generator, dtype=torch.float64) + 0.3
    spikes = (torch.rand(shape, generator=generator) < 0.3).double()
    return spikes @ torch.randn(256, CHANNELS, generator=generator, dtype=torch.float64) / 8


def _thresholds() -> Tensor:
    """One per channel, .5 to 1.5."""
    generator = torch.Generator().manual_seed(9)
    return torch.rand(CHANNELS, generator=generator, dtype=torch.float64) + 0.5


def _qcfs(mean: Tensor, theta: Tensor | float, levels: int) -> Floats:
    """clip(floor(z L / theta + 1/2), 0, L) in float64: QCFS without its factor theta / L."""
    per = np.asarray(theta, dtype=np.float64)
    scaled = mean.double().numpy() * levels / per
    return np.clip(np.floor(scaled + 0.5), 0, levels)


def _forms(x: Tensor, theta: Tensor) -> dict[str, Tensor]:
    """The count by every way that the module knows."""
    total, steps = added(x), len(x)
    return {
        "count": count(total, theta, steps),
        "rows": parallel.rows(total, theta, steps).sum(0),
        "matrix": parallel.matrix(x, theta).sum(0),
        "search": parallel.search(total, theta, steps),
        "layer": ParallelIF(theta)(x).sum(0),
    }


# --- one count, many ways ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", STEPS)
def test_every_form_is_qcfs_of_the_mean(kind: str, steps: int) -> None:
    x, theta = _currents(kind, steps), _thresholds()
    expected = _qcfs(x.mean(0), theta, steps)
    assert 0 < expected.mean() < steps  # some fire, some do not
    for name, found in _forms(x, theta).items():
        assert np.array_equal(found.numpy(), expected), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 3, 16, 64])
def test_every_form_in_exact_arithmetic(kind: str, steps: int) -> None:
    """Fractions know no rounding: clip(floor(S / theta + 1/2)) of the numbers as they are."""
    x, theta = _currents(kind, steps, samples=2, seed=1), _thresholds()
    expected = [
        min(max(math.floor(sum(map(Fraction, column)) / Fraction(per) + Fraction(1, 2)), 0), steps)
        for sample in x.unbind(1)
        for column, per in zip(sample.T.tolist(), theta.tolist(), strict=True)
    ]
    for name, found in _forms(x, theta).items():
        assert found.flatten().tolist() == expected, name


def test_float32_differs_from_float64_in_few_neurons() -> None:
    """Without a tie at most 1e-5 of them (measured 0); `count` moves what is within a tie too.

    A quotient y counts as a tie with probability tie y, so about tie sum(y) neurons move: 8e-6 of
    all of them (measured 5e-6), 3e-5 at T = 64, 9e-7 at T = 2.
    """
    flips: dict[str, int] = {}
    neurons, likely = 0, 0.0
    for kind in KINDS:
        for steps in STEPS:
            x, theta = _currents(kind, steps, seed=2), _thresholds()
            expected = _forms(x, theta)["count"]
            quotient = added(x) / theta + 0.5
            likely += tie(torch.float32) * float(
                quotient[(quotient > 0) & (quotient < steps)].sum()
            )
            neurons += expected.numel()
            for name, found in _forms(x.float(), theta.float()).items():
                differs = found != expected
                flips[name] = flips.get(name, 0) + int(differs.sum())
                # rounding of S itself is of a few epsilons of the largest of its parts
                near = (quotient - quotient.round()).abs() / quotient.abs().clamp(min=1)
                assert not (differs & (near > 4 * tie(torch.float32))).any(), name
    for name in ("rows", "matrix", "search"):
        assert flips[name] <= 1e-5 * neurons, flips
    # a count of rare events: four standard deviations
    assert flips["layer"] == flips["count"] <= likely + 4 * math.sqrt(likely), (flips, likely)


@pytest.mark.parametrize("steps", STEPS)
def test_trains_are_sorted_and_know_no_order(steps: int) -> None:
    x, theta = _currents("spikes", steps, samples=100), _thresholds()
    layer = ParallelIF(theta)
    spikes = layer(x)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    assert not (spikes[:-1] > spikes[1:]).any()
    assert torch.equal(spikes.sum(0), layer.counts(x))
    assert torch.equal(parallel.rows(added(x), theta, steps), spikes)
    assert torch.equal(parallel.matrix(x, theta), spikes)
    for seed in range(3):
        order = torch.randperm(steps, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(layer(x[order]), spikes)


@pytest.mark.parametrize("steps", STEPS)
def test_the_matrices(steps: int) -> None:
    """Lambda_post Lambda_pre = Lambda_pc: 1 / (T - x + 1) in row x."""
    product = parallel.post_matrix(steps) @ parallel.pre_matrix(steps)
    assert (product - parallel.charge_matrix(steps)).abs().max() < 1e-12
    for row, x in zip(product.tolist(), range(1, steps + 1), strict=True):
        assert row == pytest.approx([1 / (steps - x + 1)] * steps, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_numbers_are_added_in_float32(dtype: torch.dtype) -> None:
    x = _currents("signed", 40).to(dtype)
    layer = ParallelIF(0.75)
    spikes = layer(x)
    assert spikes.dtype == dtype
    assert layer.counts(x).dtype == torch.float32
    assert torch.equal(spikes.float(), layer(x.float()))


# --- beside the sequential neuron ----------------------------------------------------------------


def _sequential(x: Tensor, theta: float) -> tuple[Tensor, Tensor]:
    """Spikes [T, ...] and the residual V(T) of the IF neuron that begins at theta / 2."""
    layer = IF(theta, reset="soft", initial_potential=theta / 2, keep_state=True)
    spikes = layer(x)
    assert layer.membrane is not None
    return spikes, layer.membrane


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("theta", [0.4, 1.3])
def test_a_constant_current_is_no_trouble_to_the_sequential_neuron(
    steps: int, theta: float
) -> None:
    current = _currents("signed", 1)
    spikes, _ = _sequential(current.expand(steps, -1, -1), theta)
    assert np.array_equal(spikes.sum(0).numpy(), _qcfs(current[0], theta, steps))


def _shuffled(steps: int) -> Tensor:
    """Currents [T, 400, CHANNELS] of spike trains of any rate, each in an order of its own."""
    generator = torch.Generator().manual_seed(3)
    counts = (torch.rand(400, 256, generator=generator, dtype=torch.float64) * steps).round()
    spikes = parallel.train(counts, steps)
    order = torch.rand(spikes.shape, generator=generator).argsort(0)
    weights = torch.randn(256, CHANNELS, generator=generator, dtype=torch.float64) / 16
    return spikes.gather(0, order) @ weights


@pytest.mark.parametrize("steps", [4, 8, 16])
def test_shuffled_spikes_are_and_the_residual_tells_which(steps: int) -> None:
    """V(T) < 0 after a spike: too many; V(T) >= theta and a silent step: too few. No exceptions."""
    x, theta = _shuffled(steps), 0.8
    spikes, residual = _sequential(x, theta)
    found, expected = spikes.sum(0), count(added(x), theta, steps)
    assert 0.10 < (found != expected).double().mean() < 0.20
    assert torch.equal((residual < 0) & (found > 0), found > expected)
    assert torch.equal((residual >= theta) & (found < steps), found < expected)


def test_pooling_of_the_largest_is_exact_on_sorted_trains_only() -> None:
    x = _shuffled(8)
    for spikes, is_exact in ((ParallelIF()(x), True), (_sequential(x, 1.0)[0], False)):
        of_spikes = functional.max_pool1d(spikes, 4).sum(0)
        of_counts = functional.max_pool1d(spikes.sum(0), 4)
        wrong = (of_spikes != of_counts).double().mean()
        assert wrong == 0 if is_exact else wrong > 0.2


def _expected_error(levels: int, steps: int, shift: float) -> float:
    """E[r_T - r_L] over the midpoints of cells that no jump of r_T or r_L cuts."""
    theta, cells = 1.3, 2 * levels * steps
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * theta
    means = [
        float(rate(count(x * n, theta, n, shift), theta, n).mean()) / theta for n in (steps, levels)
    ]
    return means[0] - means[1]


@pytest.mark.parametrize("levels", [4, 8])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8, 16, 32])
def test_the_expected_error_over_uniform_inputs(levels: int, steps: int) -> None:
    """0 with psi = theta / 2; (1 / L - 1 / T) / 2 without a shift (Theorem 4.1)."""
    # a mean of up to 512 numbers of order 1
    assert _expected_error(levels, steps, 0.5) == pytest.approx(0, abs=1e-13)
    assert _expected_error(levels, steps, 0.0) == pytest.approx(
        (1 / levels - 1 / steps) / 2, abs=1e-13
    )


# --- wrong use -----------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: ParallelIF(0.0), "threshold must be above 0; got 0.0"),
    (lambda: ParallelIF(torch.tensor([1.0, -2.0])), "threshold must be above 0; got -2.0"),
    (lambda: ParallelIF(math.nan), "threshold must be above 0; got nan"),
    (lambda: count(torch.ones(2), 1.0, 0), "time_steps must be at least 1; got 0"),
    (lambda: parallel.train(torch.ones(2), 0), "time_steps must be at least 1; got 0"),
    (lambda: parallel.rows(torch.ones(2), 1.0, -1), "time_steps must be at least 1; got -1"),
    (lambda: parallel.search(torch.ones(2), 1.0, 0), "time_steps must be at least 1; got 0"),
    (lambda: count(torch.ones(2, dtype=torch.int64), 1.0, 4),
     "the total current must be of a floating dtype; got torch.int64"),
    (lambda: ParallelIF()(torch.tensor(1.0)),
     "the input of a neuron must be [T, ...] with T of at least 1; got ()"),
    (lambda: ParallelIF()(torch.zeros(0, 3)),
     "the input of a neuron must be [T, ...] with T of at least 1; got (0, 3)"),
    (lambda: ParallelIF()(torch.ones(2, 3, dtype=torch.int64)),
     "the input of a neuron must be of a floating dtype; got torch.int64"),
    (lambda: ParallelIF().counts(torch.ones(2, 3, dtype=torch.bool)),
     "the input of a neuron must be of a floating dtype; got torch.bool"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_use_has_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


def test_the_layer_says_its_thresholds() -> None:
    assert repr(ParallelIF(0.5)) == "ParallelIF(threshold=0.5, shift=0.5)"
    layer = ParallelIF(torch.tensor([1, 3]), shift=0)  # whole numbers are no trouble
    assert repr(layer) == "ParallelIF(threshold=1 to 3, shift=0)"
    assert layer.state_dict()["threshold"].tolist() == [1.0, 3.0]
