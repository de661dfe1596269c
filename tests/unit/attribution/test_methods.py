"""What single methods promise beside their formula: completeness, windows, draws, neurons."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from captum import attr
from torch import Tensor, nn

import snnlens
from snnlens.attribution import Maps, Options, attribute
from snnlens.errors import InputError
from tests.unit.attribution import by_hand, nets
from tests.unit.attribution.nets import Case, N, T, Y

EXACT = 1e-14  # float64 sums of O(0.1)
WEIGHTS = 2e-7  # captum rounds the weights of its integrals to float32
STEPS = (4, 16, 64, 256)


def maps(case: Case, method: str, **options: Any) -> Maps:
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        return attribute(bridge, bridge.x, Y, method, Options(**options))


# --- completeness -----------------------------------------------------------------------------


def deltas(case: Case, method: str) -> list[float]:
    """The largest |delta| of the samples at 4, 16, 64 and 256 steps."""
    at = None if method == "ig" else "a"
    return [float(maps(case, method, steps=n, at=at).delta.abs().max()) for n in STEPS]


@pytest.mark.parametrize("method", ["ig", "layer_ig"])
def test_the_sum_comes_to_the_rise_where_nothing_is_a_step(method: str) -> None:
    """Gauss-Legendre: with 16 points the smooth network is integrated but for float32 weights."""
    case = nets.smooth()
    found = deltas(case, method)
    rise = float((maps(case, method, at=None if method == "ig" else "a").score).abs().max())
    assert found[0] < 1e-2
    assert found[0] > found[1]
    assert max(found[2:]) < WEIGHTS * rise  # measured 3e-10 to 5e-10 of 0.5


def test_conductance_comes_to_the_rise_with_one_over_the_steps() -> None:
    """One-sided differences: the error falls fourfold from 16 to 64 and from 64 to 256 steps."""
    found = deltas(nets.smooth(), "layer_conductance")
    ratios = [one / two for one, two in pairwise(found[1:])]
    assert found[-1] < 1e-3
    assert all(3.5 < r < 4.5 for r in ratios), found


@pytest.mark.parametrize("method", ["ig", "layer_ig", "layer_conductance"])
def test_with_surrogates_the_sum_stays_away_from_the_rise(method: str) -> None:
    """The score jumps and the surrogate does not: more points do not help."""
    found = deltas(nets.own(), method)
    assert found[-1] > 0.05  # of scores of 0.3; measured 0.08 to 0.18
    assert found[-1] > found[1] / 2


def test_conductance_is_exact_behind_which_all_is_linear() -> None:
    """The spikes' differences are counted as they are, both ends included."""
    case = nets.own()
    found = maps(case, "layer_conductance", at="b", steps=4)
    rise = (found.score - found.baseline_score).abs()
    assert rise.max() > 0.05
    assert found.delta.abs().max() < EXACT
    default = attr.LayerConductance
    with snnlens.bridge(case.net, case.given) as bridge, bridge.tap("b") as tap:
        bare = default(bridge, tap).attribute(bridge.x, target=Y, n_steps=4).flatten(1).sum(1)
    lost = bare - (found.score - found.baseline_score)
    assert lost.abs().max() > 0.02  # captum's default rule begins and ends inside the path


def test_what_flows_through_all_neurons_is_what_flows_through_the_layer() -> None:
    """Sum over inputs of a neuron's conductance = its layer conductance, for true gradients."""
    case = nets.smooth()
    of_layer = maps(case, "layer_conductance", at="a", steps=512).values
    for neuron in ((0, 0, 0, 0), (3, 2, 1, 2), (4, 1, 3, 3)):
        found = maps(case, "neuron_conductance", at="a", neuron=neuron, steps=16)
        wanted = of_layer[(slice(None), *neuron)]
        # the differences of 512 steps leave 1 / 512 of the value
        torch.testing.assert_close(found.values.flatten(1).sum(1), wanted, rtol=0.01, atol=1e-6)
        assert not found.values[:, neuron[0] + 1 :].any()


def test_a_method_that_claims_no_sum_has_no_delta() -> None:
    for method in ("saliency", "occlusion", "gradcam", "neuron_conductance"):
        found = maps(nets.own(), method, at="a" if method == "neuron_conductance" else None,
                     neuron=(0, 0, 0, 0))  # fmt: skip
        assert found.delta.isnan().all(), method


def test_one_point_is_enough_for_a_linear_function() -> None:
    """Behind `b` all is linear: IG over its spikes is weight x spike / T."""
    case = nets.own()
    found = maps(case, "layer_ig", at="b", steps=1)
    with snnlens.bridge(case.net, case.given) as bridge:
        nothing = bridge.spikes(torch.zeros_like(bridge.x))["b"]
    wanted = (found.shown - nothing) * case.net.out.weight[Y][:, None] / T
    torch.testing.assert_close(found.values, wanted.detach(), rtol=WEIGHTS, atol=0)


# --- baselines --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ig", "gradient_shap", "occlusion", "feature_ablation"])
def test_another_baseline(method: str) -> None:
    case, nothing = nets.own(), nets.movie(seed=9).transpose(0, 1)[0]
    found = maps(case, method, baseline=nothing, steps=6, draws=3, window=(2, 3, 4))
    by = {
        "ig": lambda x, t: by_hand.ig(case.score, x, t, 6, nothing[None]),
        "gradient_shap": lambda x, t: by_hand.gradient_shap(
            case.score, x, t, share=0.1, draws=3, seed=0, nothing=nothing[None]
        ),
        "occlusion": lambda x, t: by_hand.occlusion(
            case.score, x, t, (2, 2, 3, 4), (1, 1, 2, 2), nothing[None]
        ),
        "feature_ablation": lambda x, t: by_hand.feature_ablation(
            case.score, x, t, (2, 2, 3, 4), nothing[None]
        ),
    }[method]
    wanted = torch.cat([by(x, int(t)) for x, t in zip(case.x.split(1), Y, strict=True)])
    torch.testing.assert_close(found.values, wanted.detach(), rtol=0, atol=WEIGHTS)
    expected = case.score(nothing[None])[0, Y].detach()
    torch.testing.assert_close(found.baseline_score, expected, rtol=0, atol=EXACT)


# --- draws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["smoothgrad", "gradient_shap"])
def test_captum_itself_draws_the_same_numbers(method: str) -> None:
    """Its classes on the same bridge, one sample, both generators at the seed."""
    case, options = nets.own(), Options(draws=6, seed=11, noise=0.2, internal_batch=4)
    with snnlens.bridge(case.net, case.given) as bridge:
        x = bridge.x[:1]
        found = attribute(bridge, x, Y[:1], method, options).values
        torch.manual_seed(11)
        np.random.seed(11)  # noqa: NPY002
        sigma = 0.2 * float(x.max() - x.min())
        if method == "smoothgrad":
            tunnel = attr.NoiseTunnel(attr.Saliency(bridge))
            bare = tunnel.attribute(x, nt_samples=6, stdevs=sigma, target=0, abs=False)
        else:
            bare = attr.GradientShap(bridge).attribute(
                x, torch.zeros_like(x), n_samples=6, stdevs=sigma, target=0
            )
    torch.testing.assert_close(found, bare.detach(), rtol=0, atol=EXACT)


def test_without_noise_smoothgrad_is_what_it_smooths() -> None:
    case = nets.own()
    for smooths in ("input_x_gradient", "ig"):
        found = maps(case, "smoothgrad", smooths=smooths, noise=0.0, draws=2, steps=6)
        wanted = maps(case, smooths, steps=6)
        torch.testing.assert_close(found.values, wanted.values, rtol=0, atol=EXACT)
    slopes = maps(case, "smoothgrad", noise=0.0, draws=2).values
    torch.testing.assert_close(slopes.abs(), maps(case, "saliency").values, rtol=0, atol=EXACT)


def test_many_draws_of_gradient_shap_come_to_integrated_gradients() -> None:
    """Of a smooth network without noise: the mean over u instead of the integral."""
    case = nets.smooth()
    found = maps(case, "gradient_shap", noise=0.0, draws=1500).values
    wanted = maps(case, "ig").values
    error = float((found - wanted).abs().max() / wanted.abs().max())
    # the gradient varies by less than its mean over the path: 1 / sqrt(1500) = 0.026 of it
    assert error < 0.1


def test_a_sample_without_a_range_gets_no_noise() -> None:
    case = nets.features(torch.ones(T, N, 3, dtype=torch.float64))
    found = maps(case, "smoothgrad", draws=3)
    wanted = maps(case, "saliency")
    torch.testing.assert_close(found.values.abs(), wanted.values, rtol=0, atol=EXACT)


# --- layers -----------------------------------------------------------------------------------


def test_layer_methods_take_the_last_layer_with_places_by_default() -> None:
    for method in ("layer_conductance", "layer_ig", "gradcam"):
        assert maps(nets.own(), method, steps=2).place == "a"
    net = nn.Sequential(nn.Linear(3, 4), snnlens.IF(), nn.Linear(4, 4), snnlens.IF())
    assert snnlens.attribute(net, torch.ones(5, 4, 3), 0, method="gradcam").place == "3"


def test_grad_cam_of_features_weighs_by_the_mean_over_time() -> None:
    case = nets.own()
    found = maps(case, "gradcam", at="b")
    spikes = found.shown
    weight = case.net.out.weight[Y][:, None].detach() / T  # the slope is the same at all steps
    wanted = (weight * spikes).sum(2, keepdim=True).clamp(min=0)
    assert found.values.shape == (N, T, 1)
    torch.testing.assert_close(found.values, wanted, rtol=0, atol=EXACT)


def test_a_layer_of_the_input_method_stands_for_the_input() -> None:
    case = nets.own()
    found = maps(case, "saliency", at="a")
    assert found.place == "a"
    spikes = case.front(case.x).detach()
    pairs = zip(spikes.split(1), Y.tolist(), strict=True)
    wanted = torch.cat([by_hand.saliency(case.back, s, t) for s, t in pairs])
    torch.testing.assert_close(found.values, wanted, rtol=0, atol=EXACT)


def test_an_encoder_without_a_gradient_can_be_asked_from_its_spikes_on() -> None:
    """The input has no gradient, the layer's spikes have: a draw for each pixel, then neurons."""

    class Drawn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.lin, self.b = snnlens.IF(), nn.Linear(6, 8), snnlens.IF(0.3)
            self.out = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            drawn = (torch.rand_like(x) < x).to(x.dtype)
            return self.out(self.b(self.lin(self.a(drawn))))

    net, x = Drawn(), torch.rand(T, N, 6)
    for method in ("ig", "saliency"):
        assert snnlens.attribute(net, x, 1, method=method, at="a", steps=4).values.any()
    for method in ("gradcam", "layer_ig"):
        found = snnlens.attribute(net, x, 1, method=method, at="a", steps=4)
        assert found.shown.any()
        assert method == "gradcam" or found.values.any()
    with pytest.raises(InputError, match="the model of saliency must be one with surrogate"):
        snnlens.attribute(net, x, 1, method="saliency")
