"""What theory predicts of which network: Eq. 11, the chain, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from snnlens.analysis import _chain
from snnlens.measures.chain import ChainNeuron
from snnlens.models.plan import plan
from snnlens.neuron.layers import IF, LIF
from snnlens.recording import blocks
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import FIG6, FIG7, Net, record, same_step_net

AREAS = plan(50).areas()
COUNT = 17  # inputs of depth 50, S^0 .. S^16


def predicted(net: Net) -> tuple[np.ndarray, np.ndarray]:
    made, network = seen(net)
    return _chain.predictions(made, network)


def seen(net: Net) -> tuple[Record, blocks.Network]:
    made = record(net, depth=50)
    (network,) = blocks.networks(made)
    return made, network


@pytest.mark.parametrize(
    "net",
    [Net(), Net("sew", "add"), Net("plain", None, True), Net("ann", None, True, neuron=None),
     Net(zero_init=True, neuron=LIF(2.0, threshold=1.0)),
     Net(zero_init=True, neuron=IF(0.4, reset_potential=-0.5))],
    ids=lambda net: f"{net.name} {net.neuron}",
)  # fmt: skip
def test_no_law_no_number(net: Net) -> None:
    exact, rate_only = predicted(net)
    assert np.isnan(exact).all()
    assert np.isnan(rate_only).all()


@pytest.mark.parametrize(("residual", "connect"), [("sew", "add"), ("sew", "and"), ("ms", None)])
def test_eq11_is_level_from_the_deepest_input(residual: str, connect: str | None) -> None:
    norms = np.arange(1.0, COUNT + 1)
    exact, rate_only = predicted(Net(residual, connect, True, norms=norms))
    for members in AREAS.values():
        assert exact[members].tolist() == [norms[members[-1]]] * len(members)
    assert np.isnan(rate_only).all()


def test_the_chain_uses_the_end_of_each_area_only() -> None:
    """Change every other norm: the prediction stays."""
    net = same_step_net(FIG7, depth=50)
    exact, rate_only = predicted(net)
    np.testing.assert_allclose(exact, np.asarray(net.norms), rtol=1e-12)
    ends = [m[-1] for m in AREAS.values()]
    net.norms = np.where(np.isin(np.arange(COUNT), ends), net.norms, 77.0)
    again, rate_again = predicted(net)
    np.testing.assert_array_equal(exact, again)
    np.testing.assert_array_equal(rate_only, rate_again)


def test_the_rate_only_curve_is_the_formula() -> None:
    """sqrt(Phi s1^2k + (1 - Phi) s0^2k) times the norm at the end, with Phi at the end."""
    rates = np.linspace(0.1, 0.5, COUNT)
    net = same_step_net(FIG6, depth=50, rates=rates)
    _, rate_only = predicted(net)
    facts = FIG6.facts(1)
    s1, s0 = facts["surrogate_at_spike"], facts["surrogate_at_silence"]
    norms = np.asarray(net.norms)
    for members in AREAS.values():
        m = members[-1]
        for l in members:  # noqa: E741
            k = m - l
            ratio = np.sqrt(rates[m] * s1 ** (2 * k) + (1 - rates[m]) * s0 ** (2 * k))
            assert rate_only[l] == pytest.approx(norms[m] * ratio, rel=1e-7)  # rates of 9 digits


def test_without_gram_matrices_the_rate_curve_alone() -> None:
    exact, rate_only = predicted(same_step_net(depth=50, grams={}))
    assert np.isnan(exact).all()
    assert np.isfinite(rate_only).all()


def test_gram_is_read_by_pattern_and_steps_in_any_row_order() -> None:
    gram = np.random.default_rng(0).normal(size=(4, 2, 2))
    made, network = seen(Net(zero_init=True, time_steps=2, grams={2: gram, 16: 2 * gram}))
    made.tables["pattern_gram"] = made.tables["pattern_gram"].sample(frac=1, random_state=0)
    found = _chain.gram_at(made, network, 2)
    assert found is not None
    np.testing.assert_array_equal(found, gram)
    last = _chain.gram_at(made, network, 16)  # S^16 is the last output
    assert last is not None
    np.testing.assert_array_equal(last, 2 * gram)
    assert _chain.gram_at(made, network, 1) is None


def test_chain_neuron_is_what_the_facts_say() -> None:
    neuron = LIF(3.0, threshold=0.25, detach_reset=False)
    _, network = seen(Net(zero_init=True, neuron=neuron))
    made = _chain.chain_neuron(network)
    slope = neuron.rule.surrogate.at
    assert made is not None
    # sigma' at float32, as the neuron computes it
    assert made.surrogate_at_spike == pytest.approx(slope(1 / 3 - 0.25), rel=1e-6)
    assert made.surrogate_at_silence == pytest.approx(slope(-0.25), rel=1e-6)
    assert made == ChainNeuron(
        made.surrogate_at_spike, made.surrogate_at_silence, 0.25, 1 / 3, 1 - 1 / 3, "hard", False
    )
