"""Every neuron against plain Python numbers: values and gradients, two independent ways."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlens.neuron import surrogate
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from tests.unit.neuron import scalar
from tests.unit.neuron.scalar import Scalar

# float64: 6 steps of sums of numbers of order 1, measured 2e-15
ATOL = 1e-13

KINDS = [("if", 1.0, True), *itertools.product(("lif", "plif"), (2.0, 3.3), (True, False))]
RULES = list(itertools.product(("hard", "soft"), (True, False), (0.0, -0.3, 0.25)))


def _layer(neuron: Scalar) -> Neuron:
    name, alpha = neuron.slope
    common: dict[str, Any] = {
        "threshold": neuron.threshold,
        "reset": neuron.reset,
        "reset_potential": neuron.v_reset,
        "detach_reset": neuron.detach,
        "surrogate": surrogate.by_name(name, None if name == "constant" else alpha),
    }
    if neuron.kind == "if":
        return IF(**common)
    if neuron.kind == "lif":
        return LIF(neuron.tau, decay_input=neuron.decay_input, **common)
    plif = PLIF(neuron.tau, decay_input=neuron.decay_input, **common).double()
    with torch.no_grad():  # w was made in float32
        plif.w.fill_(-math.log(neuron.tau - 1))
    return plif


def _data(seed: int, steps: int = 6, elements: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0.6, 0.8, (steps, elements)), rng.normal(size=(steps, elements))


def _compare(neuron: Scalar, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """The library against the scalar loop; returns the spikes."""
    assert scalar.margin(neuron, x) > 1e-9  # no spike hangs on the last bit
    spikes, grad_x, grad_rate = scalar.layer(neuron, x, grad)
    module = _layer(neuron)
    given_x = torch.tensor(x, requires_grad=True)
    out = module(given_x)
    out.backward(torch.tensor(grad))
    assert np.array_equal(out.detach().numpy(), spikes)
    assert given_x.grad is not None
    np.testing.assert_allclose(given_x.grad.numpy(), grad_x, rtol=0, atol=ATOL)
    if isinstance(module, PLIF):
        assert module.w.grad is not None
        by_w = grad_rate * (1 / neuron.tau) * (1 - 1 / neuron.tau)  # d sigmoid(w) / dw
        assert module.w.grad.item() == pytest.approx(by_w, rel=1e-12, abs=ATOL)
    return spikes


@pytest.mark.parametrize(("kind", "tau", "decay"), KINDS)
@pytest.mark.parametrize(("reset", "detach", "v_reset"), RULES)
def test_values_and_gradients(
    kind: str, tau: float, decay: bool, reset: str, detach: bool, v_reset: float
) -> None:
    neuron = Scalar(kind, tau, decay, 0.8, reset, v_reset, detach)
    x, grad = _data(1)
    spikes = _compare(neuron, x * tau if decay else x, grad)
    assert 0.05 < spikes.mean() < 0.95  # both branches of the reset were taken


@pytest.mark.parametrize(("kind", "tau", "decay"), KINDS)
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_a_reset_to_1(kind: str, tau: float, decay: bool, reset: str) -> None:
    """Nothing is taken for 0 but 0: the membrane rests at 1, its threshold is 1.7."""
    x, grad = _data(4)
    _compare(Scalar(kind, tau, decay, 1.7, reset, 1.0, False), x * tau if decay else x, grad)


@pytest.mark.parametrize("name", surrogate.names())
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_with_every_surrogate(name: str, reset: str) -> None:
    neuron = Scalar("lif", 1.7, True, 0.6, reset, -0.1, False, (name, 1.3))
    _compare(neuron, *_data(2))


@pytest.mark.parametrize("threshold", [1e-3, 0.5, 7.0])
def test_any_threshold(threshold: float) -> None:
    x, grad = _data(3)
    _compare(Scalar(threshold=threshold, slope=("atan", 3.0)), x * threshold, grad)


def test_if_gradient_closed_form() -> None:
    """Hard, detached: dS[t]/dX[s] = sigma'(H[t] - V_th) prod_(s <= u < t) (1 - S[u])."""
    x = torch.tensor([0.4, 0.3, 0.5, 0.2, 0.6], dtype=torch.float64, requires_grad=True)
    membrane = [0.4, 0.7, 1.2, 0.2, 0.8]  # a spike at the third step only
    spikes = IF()(x)
    assert spikes.tolist() == [0, 0, 1, 0, 0]
    for t in range(5):
        (grad,) = torch.autograd.grad(spikes[t], x, retain_graph=True)
        slope = 1 / (1 + (math.pi * (membrane[t] - 1)) ** 2)
        first = 3 if t > 2 else 0  # nothing passes the reset
        expected = [slope if first <= s <= t else 0.0 for s in range(5)]
        assert grad.tolist() == pytest.approx(expected, abs=1e-15)


def test_lif_gradient_closed_form() -> None:
    """Silent LIF: dS[t]/dX[s] = sigma'(H[t] - V_th) (1/tau) (1 - 1/tau)^(t - s)."""
    tau, steps = 3.0, 5
    x = torch.full((steps,), 0.5, dtype=torch.float64, requires_grad=True)
    spikes = LIF(tau)(x)
    assert not spikes.any()
    (grad,) = torch.autograd.grad(spikes[-1], x)
    h = 0.5 * (1 - (1 - 1 / tau) ** steps)
    slope = 1 / (1 + (math.pi * (h - 1)) ** 2)
    expected = [slope / tau * (1 - 1 / tau) ** (steps - 1 - s) for s in range(steps)]
    assert grad.tolist() == pytest.approx(expected, rel=1e-14)


def test_reset_gradient_by_hand() -> None:
    """One spike, then a step: what flows through the reset when it is not detached."""
    h0, h1 = 1.25, 0.0
    s0, s1 = (1 / (1 + (math.pi * (h - 1)) ** 2) for h in (h0, h1 + 0.25))
    by_hand = {("hard", True): 0.0, ("hard", False): -h0 * s0, ("soft", True): 1.0,
               ("soft", False): 1 - s0}  # fmt: skip
    for (reset, detach), passed in by_hand.items():
        second = 0.25 if reset == "hard" else 0.0  # H[1] is 0.25 both ways
        x = torch.tensor([h0, second], dtype=torch.float64, requires_grad=True)
        spikes = IF(reset=reset, detach_reset=detach)(x)  # type: ignore[arg-type]
        assert spikes.tolist() == [1, 0]
        (grad,) = torch.autograd.grad(spikes[1], x)
        assert grad.tolist() == pytest.approx([s1 * passed, s1], rel=1e-14)


def test_plif_gradient_has_every_step_and_element() -> None:
    """dL/dw adds up over steps and elements: no part of L alone gives the whole."""
    neuron = Scalar("plif", 2.5, True, 0.8)
    x, grad = _data(4, steps=5, elements=4)
    module = _layer(neuron)
    assert isinstance(module, PLIF)
    parts = np.zeros((5, 4))
    for t, i in itertools.product(range(5), range(4)):
        out = module(torch.tensor(x))
        (by_w,) = torch.autograd.grad(out[t, i] * grad[t, i], module.w)
        _, _, by_rate = scalar.layer(neuron, x, grad * _one_hot(grad.shape, t, i))
        assert by_w.item() == pytest.approx(by_rate * (1 / 2.5) * (1 - 1 / 2.5), abs=1e-14)
        parts[t, i] = by_w.item()
    assert np.all(parts != 0)
    module(torch.tensor(x)).backward(torch.tensor(grad))
    assert module.w.grad is not None
    assert module.w.grad.item() == pytest.approx(parts.sum(), rel=1e-12)


def _one_hot(shape: tuple[int, ...], t: int, i: int) -> np.ndarray:
    mask = np.zeros(shape)
    mask[t, i] = 1
    return mask


neurons = st.builds(
    Scalar,
    kind=st.sampled_from(["if", "lif", "plif"]),
    tau=st.floats(1.01, 20),
    decay_input=st.booleans(),
    threshold=st.floats(0.1, 3),
    reset=st.sampled_from(["hard", "soft"]),
    v_reset=st.floats(-1, 0.09),
    detach=st.booleans(),
    slope=st.tuples(
        st.sampled_from(["atan", "sigmoid", "triangular", "superspike"]), st.floats(0.3, 4)
    ),
)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(neuron=neurons, steps=st.integers(1, 9), elements=st.integers(1, 7), seed=st.integers(0, 99))
def test_property_any_neuron_any_shape(
    neuron: Scalar, steps: int, elements: int, seed: int
) -> None:
    _compare(neuron, *_data(seed, steps, elements))


def test_shape_behind_time_is_free() -> None:
    x = torch.randn(3, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    neuron = LIF(1.5, reset="soft")
    assert torch.equal(neuron(x), neuron(x.flatten(1)).unflatten(1, x.shape[1:]))
    assert neuron(x[:, 0, 0, 0, 0]).shape == (3,)
