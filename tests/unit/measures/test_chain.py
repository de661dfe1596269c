"""The identity-chain law: transfer matrix against autograd, norms against explicit chains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snnlens.measures.chain import (
    ChainNeuron,
    chain_norms,
    same_step_ratio,
    spike_trains,
    spiking_share,
    transfer,
)
from snnlens.neuron import equations
from snnlens.neuron.equations import Rule
from snnlens.neuron.layers import IF, LIF, Neuron
from snnlens.neuron.surrogate import ATan

# Each can be the identity on binary input and is at rest after every step.
NEURONS: list[Neuron] = [
    IF(), IF(0.5), IF(surrogate=ATan(3.0)), IF(0.7, detach_reset=False), IF(reset="soft"),
    IF(reset="soft", detach_reset=False), LIF(2.0, threshold=0.5), LIF(4.0, threshold=0.2),
    LIF(2.0, threshold=0.4, detach_reset=False), LIF(2.0, threshold=0.9, decay_input=False),
]  # fmt: skip


def chain_of(neuron: Neuron) -> ChainNeuron:
    facts = neuron.facts(4, torch.float64)
    return ChainNeuron(
        facts["surrogate_at_spike"], facts["surrogate_at_silence"], facts["threshold"],
        facts["gain"], facts["leak"], facts["reset"], facts["detach_reset"],
    )  # fmt: skip


def _jacobian(rule: Rule, train: np.ndarray) -> np.ndarray:
    """dS[t]/dX[s] by autograd through the loop, as [s, t]."""
    x = torch.tensor(train, dtype=torch.float64)
    v = torch.zeros((), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda y: equations.loop(y, v, rule)[0], x)
    return jacobian.T.numpy()


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: f"{n} {n.rule.detach_reset}")
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_transfer_is_the_jacobian_of_each_train(neuron: Neuron, steps: int) -> None:
    assert neuron.is_identity(steps)
    m = transfer(chain_of(neuron), steps)
    for p, train in enumerate(spike_trains(steps)):
        np.testing.assert_allclose(m[p], _jacobian(neuron.rule, train), rtol=1e-12, atol=1e-15)


def test_transfer_of_if_is_the_published_formula() -> None:
    """M_p[s, t] = sigma'(p_t - V_th) prod_(s <= u < t) (1 - p_u)."""
    m = transfer(ChainNeuron(1.5, 0.25), 3)
    for p in range(8):
        train = [(p >> t) & 1 for t in range(3)]
        for s in range(3):
            for t in range(3):
                silent = all(train[u] == 0 for u in range(s, t))
                slope = 1.5 if train[t] else 0.25
                assert m[p, s, t] == (slope if s <= t and silent else 0)


def test_spike_trains_are_the_bits() -> None:
    trains = spike_trains(4)
    assert trains.shape == (16, 4)
    assert [sum(int(b) << t for t, b in enumerate(train)) for train in trains] == list(range(16))


@pytest.mark.parametrize("neuron", NEURONS[:4], ids=str)
def test_norms_against_an_explicit_chain(neuron: Neuron) -> None:
    """Five neuron layers in a row on binary trains: backpropagate and take the norm at each."""
    steps, count, blocks = 4, 300, 5
    generator = torch.Generator().manual_seed(0)
    s = (torch.rand(steps, count, generator=generator, dtype=torch.float64) > 0.7).double()
    layers = [s.clone().requires_grad_()]
    for _ in range(blocks):
        layers.append(neuron.twin()(layers[-1]))
        layers[-1].retain_grad()
    assert torch.equal(layers[-1], s)
    upstream = torch.randn(steps, count, generator=generator, dtype=torch.float64)
    layers[-1].backward(upstream)
    patterns = (s.long() * 2 ** torch.arange(steps)[:, None]).sum(0)
    gram = np.zeros((16, 4, 4))
    for p in range(16):
        g = upstream[:, patterns == p].numpy()
        gram[p] = g @ g.T
    norms = chain_norms(gram, chain_of(neuron), blocks)
    measured = [float(layer.grad.norm()) for layer in reversed(layers)]  # type: ignore[union-attr]
    assert norms.tolist() == pytest.approx(measured, rel=1e-12)


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: f"{n} {n.rule.detach_reset}")
def test_norms_against_products_of_jacobians(neuron: Neuron) -> None:
    """The k-th power of autograd's own Jacobian of each train, on random gradients."""
    steps, blocks = 3, 6
    rng = np.random.default_rng(1)
    gram, squares = np.zeros((2**steps, steps, steps)), np.zeros(blocks + 1)
    for p, train in enumerate(spike_trains(steps)):
        g = rng.normal(size=(steps, 5)) * 10.0 ** rng.integers(-8, 3)
        gram[p] = g @ g.T
        jacobian = _jacobian(neuron.rule, train)
        for k in range(blocks + 1):
            squares[k] += ((np.linalg.matrix_power(jacobian, k) @ g) ** 2).sum()
    norms = chain_norms(gram, chain_of(neuron), blocks)
    np.testing.assert_allclose(norms, np.sqrt(squares), rtol=1e-12)  # float64, six products


def test_norms_of_no_block_are_the_norm_itself() -> None:
    assert chain_norms(np.array([[[9.0]], [[16.0]]]), ChainNeuron(1.0, 0.5), 0).tolist() == [5.0]


def test_same_step_ratio_at_its_limits() -> None:
    """k = 0 is 1 whatever the share; one kind of element alone has its factor at every k."""
    neuron, k = ChainNeuron(0.9, 0.3, gain=0.5), np.arange(5.0)
    for share in (0.0, 0.4, 1.0):
        assert same_step_ratio(share, neuron, k)[0] == 1
    # in order: 0.45 and 0.15 are gain x sigma'
    np.testing.assert_allclose(same_step_ratio(1.0, neuron, k), 0.45**k, rtol=1e-14)
    np.testing.assert_allclose(same_step_ratio(0.0, neuron, k), 0.15**k, rtol=1e-14)


def test_nan_stays() -> None:
    assert np.isnan(chain_norms(np.full((2, 1, 1), np.nan), ChainNeuron(1.0, 0.5), 2)).all()
    assert math.isnan(same_step_ratio(math.nan, ChainNeuron(1.0, 0.5), np.array([1.0]))[0])
    assert math.isnan(spiking_share(np.full((2, 1, 1), np.nan)))
    assert math.isnan(spiking_share(np.full((2, 1, 1), np.inf)))


def test_same_step_ratio_is_the_law_at_one_step() -> None:
    gram = np.array([[[3.0]], [[1.0]]])
    neuron = ChainNeuron(0.9, 0.3)
    norms = chain_norms(gram, neuron, 20)
    ratio = same_step_ratio(spiking_share(gram), neuron, np.arange(21.0))
    assert (norms / norms[0]).tolist() == pytest.approx(ratio.tolist(), rel=1e-12)
    assert spiking_share(gram) == spiking_share(gram / 8) == 0.25
    assert math.isnan(spiking_share(np.zeros((2, 1, 1))))


def test_limits_of_the_paper() -> None:
    """Eq. 8 with the paper's neurons: to sqrt(q), to 0 and to infinity."""
    paper = [(IF(), 1.0), (IF(0.5), 0.2884), (IF(surrogate=ATan(3.0)), 1.5)]
    for neuron, factor in paper:
        ratio = same_step_ratio(0.145, chain_of(neuron), np.array([35.0, 36.0]))
        assert ratio[1] / ratio[0] == pytest.approx(factor, abs=5e-5)
    # facts/sew-resnet.md, 2.3: T = 1, firing rate .145
    table = {
        (1.0, 2.0): {1: 0.389, 2: 0.380, 36: 0.380},
        (0.5, 2.0): {1: 0.288, 2: 0.0832, 5: 2.0e-3, 10: 4.0e-6, 36: 3.6e-20},
        (1.0, 3.0): {1: 0.570, 2: 0.850, 5: 2.87, 10: 21.8, 36: 8.2e5},
    }
    for (threshold, alpha), values in table.items():
        neuron = chain_of(IF(threshold, surrogate=ATan(alpha)))
        for k, value in values.items():
            # two or three digits in the source, of a simulation with a share of about .145
            ratio = same_step_ratio(0.145, neuron, np.array([float(k)]))[0]
            assert ratio == pytest.approx(value, rel=0.02)


def test_tiny_gradients_do_not_underflow() -> None:
    gram = np.full((2, 1, 1), 1e-44)
    norms = chain_norms(gram, ChainNeuron(0.2884, 0.2884), 60)
    assert norms[60] == pytest.approx(math.sqrt(2) * 1e-22 * 0.2884**60, rel=1e-9)
