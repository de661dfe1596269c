"""pattern_gram against explicit loops, and the law that it feeds against measured norms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from snnlens.measures.chain import ChainNeuron, chain_norms, spiking_share
from snnlens.models.resnet import resnet
from snnlens.neuron.layers import IF, LIF, Neuron
from snnlens.neuron.surrogate import ATan
from snnlens.probes.gradient_norm import GradientNorm
from snnlens.probes.pattern_gram import PatternGram
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute


def gram_of(record: Record, site: str) -> np.ndarray:
    """G [2^T, T, T] of one site from the saved table."""
    table = record.table("pattern_gram")
    rows = table[table["site"] == site]
    steps = int(rows["step"].max()) + 1
    gram = np.full((2**steps, steps, steps), np.nan)
    gram[rows["pattern"], rows["step"], rows["other_step"]] = rows["gram"]
    assert not np.isnan(gram).any()
    return gram


@pytest.mark.parametrize("time_steps", [1, 3, 4])
def test_against_explicit_loops(time_steps: int) -> None:
    model = brute.small("spiking", depth=14, zero_init=True, time_steps=time_steps)
    x = brute.batch(2, pixels=4)
    kept = brute.keep_all(model, x)
    with Recorder(model, [PatternGram(model.plan.area_ends())]) as recorder:
        brute.loss(model, x).backward()
    record = recorder.record()
    assert set(record.table("pattern_gram")["site"]) == model.plan.area_ends()
    for site in model.plan.area_ends():
        spikes, grad = kept[site].value.reshape(time_steps, -1), kept[site].grad
        assert grad is not None
        grad = grad.reshape(time_steps, -1)
        expected = np.zeros((2**time_steps, time_steps, time_steps))
        counts = np.zeros(2**time_steps, int)
        for i in range(spikes.shape[1]):
            p = sum(int(spikes[t, i]) << t for t in range(time_steps))
            counts[p] += 1
            for s in range(time_steps):
                for t in range(time_steps):
                    expected[p, s, t] += grad[s, i] * grad[t, i]
        np.testing.assert_allclose(gram_of(record, site), expected, rtol=1e-12, atol=0)
        table = record.table("pattern_gram")
        rows = table[(table["site"] == site) & (table["step"] == 0) & (table["other_step"] == 0)]
        assert rows["elements"].tolist() == counts.tolist()
        assert counts.sum() == spikes.shape[1]


LAW = [(depth, steps, threshold, alpha)
       for depth, steps in ((18, 1), (18, 2), (18, 4), (50, 1), (50, 3), (50, 4))
       for threshold, alpha in ((1.0, 2.0), (0.5, 2.0), (1.0, 3.0))]  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> dict[int, dict[str, torch.Tensor]]:
    return {d: dict(resnet(d, residual="spiking", classes=10, seed=0).state_dict())
            for d in (18, 50)}  # fmt: skip


@pytest.mark.parametrize(("depth", "steps", "threshold", "alpha"), LAW)
def test_the_law_gives_the_measured_norms(
    depth: int, steps: int, threshold: float, alpha: float, weights: dict[int, dict]
) -> None:
    """Eq. 8 over all paths in time: every block of a zero-init Spiking ResNet, from S^m alone."""
    neuron = IF(threshold, surrogate=ATan(alpha))
    _check_law(depth, steps, neuron, weights[depth])


@pytest.mark.parametrize(
    "neuron",
    [
        LIF(2.0, threshold=0.5),
        LIF(2.0, threshold=0.7, decay_input=False),
        IF(0.8, detach_reset=False),
        LIF(2.0, threshold=0.4, detach_reset=False),
        IF(1.0, reset="soft"),
        IF(1.0, reset="soft", detach_reset=False),
    ],
    ids=lambda n: f"{n} detach={n.rule.detach_reset} decay={n.rule.decay_input}",
)
def test_the_law_of_other_neurons(neuron: Neuron, weights: dict[int, dict]) -> None:
    _check_law(50, 3, neuron, weights[50])


def _check_law(depth: int, steps: int, neuron: Neuron, weights: dict) -> None:
    model = resnet(depth, residual="spiking", neuron=neuron, zero_init=True, time_steps=steps,
                   classes=10, weights=weights).requires_grad_(False)  # fmt: skip
    x = brute.batch(2, pixels=32)
    with Recorder(model, [GradientNorm(), PatternGram(model.plan.area_ends())]) as recorder:
        brute.loss(model, x).backward()
    record = recorder.record()
    facts = record.networks["model"]
    chain = ChainNeuron(
        facts["surrogate_at_spike"], facts["surrogate_at_silence"], facts["threshold"],
        facts["gain"], facts["leak"], facts["reset"], facts["detach_reset"],
    )  # fmt: skip
    norms = record.frame().set_index("site")["gradient_norm"]
    blocks = model.plan.blocks
    compared = 0
    for members in model.plan.areas().values():
        end = members[-1]
        name = f"{blocks[end].name}.input" if end < len(blocks) else f"{blocks[-1].name}.output"
        measured = [norms[f"{blocks[i].name}.input"] for i in members[:-1]]
        gram = gram_of(record, name)
        predicted = chain_norms(gram, chain, len(members) - 1)
        assert predicted[0] == pytest.approx(norms[name], rel=1e-12)
        for k, norm in enumerate(reversed(measured), start=1):
            compared += 1
            # float32 products of up to 5 slopes; measured 2e-7 to 3e-6 over 35 blocks
            assert predicted[k] == pytest.approx(norm, rel=1e-5)
            if steps == 1:
                q = spiking_share(gram)
                s1, s0 = chain.factors
                closed = math.sqrt(q * s1 ** (2 * k) + (1 - q) * s0 ** (2 * k)) * predicted[0]
                assert norm == pytest.approx(closed, rel=1e-5)
    assert compared == sum(b.kind == "identity" for b in blocks)


def test_a_chain_from_rates_alone_is_not_the_law(weights: dict[int, dict]) -> None:
    """The cross-time terms matter: at T = 4 the factor of one step is far off."""
    model = resnet(50, residual="spiking", zero_init=True, time_steps=4, classes=10,
                   weights=weights[50], neuron=IF(0.5)).requires_grad_(False)  # fmt: skip
    with Recorder(model, [GradientNorm()]) as recorder:
        brute.loss(model, brute.batch(2, pixels=32)).backward()
    norms = recorder.frame().set_index("site")["gradient_norm"]
    factor = norms["layer3.1.input"] / norms["layer3.2.input"]
    assert 0.31 < factor < 0.45  # sigma'(+-.5) = .2884 is the factor at T = 1 only


def test_batches_add_up() -> None:
    model = brute.small("spiking", zero_init=True, time_steps=2)
    grams = []
    both = PatternGram(model.plan.area_ends())
    with Recorder(model, [both]) as whole:
        for seed in (1, 2):
            brute.loss(model, brute.batch(seed=seed)).backward()
    for seed in (1, 2):
        with Recorder(model, [both]) as recorder:
            brute.loss(model, brute.batch(seed=seed)).backward()
        grams.append(gram_of(recorder.record(), "layer2.0.input"))
    total = gram_of(whole.record(), "layer2.0.input")
    np.testing.assert_allclose(total, grams[0] + grams[1], rtol=1e-12)


def test_integers_and_long_trains_get_no_row() -> None:
    model = brute.small("sew", "add", neuron=IF(0.2), depth=20)
    with Recorder(model, [PatternGram()]) as recorder:
        brute.loss(model, brute.batch()).backward()
    sites = set(recorder.record().table("pattern_gram")["site"])
    assert "layer1.0.input" in sites  # the encoder's spikes
    assert "layer1.2.output" not in sites  # integers
    for steps, there in ((8, True), (9, False)):
        model = brute.small("spiking", time_steps=steps)
        with Recorder(model, [PatternGram(frozenset({"layer1.0.input"}))]) as recorder:
            brute.loss(model, brute.batch(2, pixels=4)).backward()
        assert ("pattern_gram" in recorder.record().tables) == there


def test_a_tiny_gradient_keeps_its_gram() -> None:
    """Products in float64: 1e-26 squared."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Identity()

        def sites(self) -> list:
            from snnlens.sites import Site

            return [Site("s", "block", "output", "block_output")]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(x)

    net = Net()
    x = torch.tensor([[0.0, 1.0, 1.0]], requires_grad=True)
    with Recorder(net, [PatternGram()]) as recorder:
        net(x * 1.0).backward(torch.full((1, 3), 1e-26))
    assert gram_of(recorder.record(), "s").ravel() == pytest.approx([1e-52, 2e-52], rel=1e-6)
