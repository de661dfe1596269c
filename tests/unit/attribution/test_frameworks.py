"""Each method through the bridge equals loops written by hand, in each framework and layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import snnlens
from snnlens.attribution import Options, attribute
from tests.unit.attribution import by_hand, nets
from tests.unit.attribution.nets import CASES, Case, Y

EXACT = 1e-12  # of the peak: float64 sums in another order, measured 9e-16
WEIGHTS = 2e-7  # captum rounds the weights of its integrals, and means over windows, to float32
FLOAT32 = 2e-6  # a layer of snnTorch or sinabs gives float32, so its gradient is; measured 2e-7
NEURON = (3, 1, 2, 2)
Reference = Callable[[Case, Tensor, int], Tensor]
INNER = {
    "saliency": by_hand.gradient,
    "input_x_gradient": by_hand.input_x_gradient,
    "ig": lambda score, x, t: by_hand.ig(score, x, t, 4),
}


def _smooth(inner: str) -> Reference:
    return lambda case, x, t: by_hand.smoothgrad(
        case.score, x, t, share=0.1, draws=3, seed=7, inner=INNER[inner]
    )


# method, options, the same by hand, tolerance
METHODS: dict[str, tuple[str, dict[str, Any], Reference, float]] = {
    "saliency": ("saliency", {}, lambda c, x, t: by_hand.saliency(c.score, x, t), EXACT),
    "input_x_gradient": (
        "input_x_gradient", {}, lambda c, x, t: by_hand.input_x_gradient(c.score, x, t), EXACT,
    ),
    "ig": ("ig", {"steps": 6}, lambda c, x, t: by_hand.ig(c.score, x, t, 6), WEIGHTS),
    "gradient_shap": (
        "gradient_shap", {"draws": 5, "seed": 3, "internal_batch": 2},
        lambda c, x, t: by_hand.gradient_shap(c.score, x, t, share=0.1, draws=5, seed=3), EXACT,
    ),
    "smoothgrad": ("smoothgrad", {"draws": 3, "seed": 7}, _smooth("saliency"), EXACT),
    "smoothgrad of input_x_gradient": (
        "smoothgrad", {"draws": 3, "seed": 7, "smooths": "input_x_gradient"},
        _smooth("input_x_gradient"), EXACT,
    ),
    "smoothgrad of ig": (
        "smoothgrad", {"draws": 3, "seed": 7, "smooths": "ig", "steps": 4}, _smooth("ig"), WEIGHTS,
    ),
    "occlusion": (
        "occlusion", {"window": (2, 3, 4)},
        lambda c, x, t: by_hand.occlusion(c.score, x, t, (2, 2, 3, 4), (1, 1, 2, 2)), WEIGHTS,
    ),
    "feature_ablation": (
        "feature_ablation", {"window": (2, 4, 4)},
        lambda c, x, t: by_hand.feature_ablation(c.score, x, t, (2, 2, 4, 4)), EXACT,
    ),
    "layer_conductance": (
        "layer_conductance", {"steps": 6, "at": "a"},
        lambda c, x, t: by_hand.layer_conductance(c.front, c.back, x, t, 6), EXACT,
    ),
    "layer_ig": (
        "layer_ig", {"steps": 6, "at": "a"},
        lambda c, x, t: by_hand.layer_ig(c.front, c.back, x, t, 6), WEIGHTS,
    ),
    "gradcam": ("gradcam", {}, lambda c, x, t: by_hand.gradcam(c.front, c.back, x, t), EXACT),
    "neuron_conductance": (
        "neuron_conductance", {"steps": 6, "at": "a", "neuron": NEURON},
        lambda c, x, t: by_hand.neuron_conductance(c.front, c.back, x, t, 6, NEURON), WEIGHTS,
    ),
}  # fmt: skip


def each(case: Case, reference: Reference) -> Tensor:
    """The reference of each sample by itself."""
    parts = [reference(case, x, int(t)) for x, t in zip(case.x.split(1), Y, strict=True)]
    return torch.cat(parts).detach()


def maps(case: Case, name: str) -> snnlens.attribution.Maps:
    method, options, _, _ = METHODS[name]
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        return attribute(bridge, bridge.x, Y, method, Options(**options))


def assert_near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Both are of one shape, not zero, and differ by a share of the peak."""
    peak = float(wanted.abs().max())
    assert peak > 1e-4  # a map of zeros would agree with anything that is silent
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance * peak, check_dtype=False)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("framework", CASES)
def test_it_equals_the_loop_by_hand(framework: str, name: str) -> None:
    case = CASES[framework]()
    tolerance = METHODS[name][3]
    if framework.startswith(("snnTorch", "sinabs")):
        tolerance = max(tolerance, FLOAT32)
    assert_near(maps(case, name).values, each(case, METHODS[name][2]), tolerance)


@pytest.mark.parametrize("name", METHODS)
def test_it_equals_the_loop_by_hand_where_nothing_is_a_step(name: str) -> None:
    case = nets.smooth()
    assert_near(maps(case, name).values, each(case, METHODS[name][2]), METHODS[name][3])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("other", ["multi-step", "per step", "own loop"])
def test_the_same_neurons_give_the_same_map_in_another_framework(name: str, other: str) -> None:
    """IF with ATan: whole sequences here; there whole sequences, or one call per step."""
    one, two = maps(nets.own(), name), maps(CASES[f"SpikingJelly, {other}"](), name)
    assert_near(two.values, one.values, EXACT)


def test_the_gradient_of_the_neurons_equals_their_equations() -> None:
    """Of the network of snnlens: H = V + X, S = step(H - 1), V = H (1 - S), ATan's slope."""

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (x >= 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return grad / (1 + (torch.pi * x) ** 2)  # alpha / 2 / (1 + (pi / 2 alpha x)^2), alpha 2

    def neurons(x: Tensor) -> Tensor:
        v, found = torch.zeros_like(x[0]), []
        for current in x:
            h = v + current
            s = Step.apply(h - 1)
            v = h * (1 - s)
            found.append(s)
        return torch.stack(found)

    case = nets.own()
    net = case.net

    def score(x: Tensor) -> Tensor:
        spikes = neurons(torch.stack([net.conv(step) for step in x.unbind(1)]))
        currents = torch.stack([net.lin(step.flatten(1)) for step in spikes])
        return net.out(neurons(currents)).mean(0)

    wanted = each(case, lambda c, x, t: by_hand.saliency(score, x, t))
    assert_near(maps(case, "saliency").values, wanted, EXACT)
