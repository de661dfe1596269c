"""Images: a network that repeats them itself, and one that is shown them once for each step."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import snnlens
from snnlens.attribution import Maps
from snnlens.models.resnet import ResNet
from tests.unit.attribution import by_hand, nets
from tests.unit.attribution.nets import N, T, Y

STEPS, ENCODER = 4, "sn1"
EXACT = 1e-12  # of the peak: float64 sums in another order
WEIGHTS = 2e-7  # captum rounds the weights of its integrals to float32


@cache
def images() -> Tensor:
    return torch.rand(N, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@cache
def resnet() -> ResNet:
    """Depth 8, its BatchNorms settled by some passes in training mode; every layer spikes."""
    net = snnlens.resnet(8, layout="cifar", classes=4, time_steps=STEPS, seed=0,
                         neuron=snnlens.IF(0.4)).double()  # fmt: skip
    with torch.no_grad():
        for _ in range(5):
            net(2 * images())
    return net.eval()


def encoded(x: Tensor) -> Tensor:
    """The spikes of the first layer for images [N, 3, 8, 8], [N, T, C, H, W]."""
    kept: list[Tensor] = []
    hook = resnet().get_submodule(ENCODER).register_forward_hook(lambda *a: kept.append(a[2]))
    resnet()(x)
    hook.remove()
    return kept[0].transpose(0, 1)


def behind(spikes: Tensor) -> Tensor:
    """Scores with the first layer's output replaced."""
    put = spikes.transpose(0, 1)
    hook = resnet().get_submodule(ENCODER).register_forward_hook(lambda *_: put)
    scores = resnet()(torch.zeros(len(spikes), 3, 8, 8, dtype=torch.float64))
    hook.remove()
    return scores


def pixels(x: Tensor) -> Tensor:
    """[N, 1, 3, 8, 8] to scores."""
    return resnet()(x.squeeze(1))


def maps(method: str, **options: Any) -> Maps:
    return snnlens.attribute(resnet(), images(), Y, method=method, **options)


def each(score: Any, x: Tensor, by: Any) -> Tensor:
    pairs = zip(x.detach().split(1), Y.tolist(), strict=True)
    return torch.cat([by(score, one, target) for one, target in pairs]).detach()


def assert_near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    peak = float(wanted.abs().max())
    assert peak > 1e-6
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance * peak)


@pytest.mark.parametrize(
    ("method", "options", "by", "tolerance"),
    [
        ("saliency", {}, by_hand.saliency, EXACT),
        ("input_x_gradient", {}, by_hand.input_x_gradient, EXACT),
        ("ig", {"steps": 4}, lambda *a: by_hand.ig(*a, 4), WEIGHTS),
        ("smoothgrad", {"draws": 2},
         lambda *a: by_hand.smoothgrad(*a, share=0.1, draws=2, seed=0, inner=by_hand.gradient),
         EXACT),
        ("gradient_shap", {"draws": 2},
         lambda *a: by_hand.gradient_shap(*a, share=0.1, draws=2, seed=0), EXACT),
    ],
)  # fmt: skip
def test_over_the_encoders_spikes_and_over_pixels(
    method: str, options: dict[str, Any], by: Any, tolerance: float
) -> None:
    found, spikes = maps(method, **options), encoded(images())
    assert found.place == ENCODER
    assert found.values.shape == (N, STEPS, 16, 8, 8)
    assert torch.equal(found.shown, spikes)
    assert_near(found.values, each(behind, spikes, by), tolerance)
    image = found.image
    assert image is not None
    assert (image.place, image.method, image.image) == ("input", method, None)
    assert torch.equal(image.shown, images().unsqueeze(1))
    assert_near(image.values, each(pixels, images().unsqueeze(1), by), tolerance)
    assert torch.equal(image.score, found.score)


@pytest.mark.parametrize(
    ("method", "by"),
    [
        ("occlusion", lambda *a: by_hand.occlusion(*a, (1, 3, 4, 4), (1, 3, 2, 2))),
        ("feature_ablation", lambda *a: by_hand.feature_ablation(*a, (1, 3, 4, 4))),
    ],
)
def test_pixels_are_hidden_at_all_steps(method: str, by: Any) -> None:
    found = maps(method, window=(1, 4, 4)).image
    assert found is not None
    assert_near(found.values, each(pixels, images().unsqueeze(1), by), WEIGHTS)


def test_layer_methods_lie_over_their_layer_alone() -> None:
    for method in ("layer_conductance", "layer_ig", "gradcam"):
        found = maps(method, steps=3, at="layer2.0.sn1")
        assert (found.place, found.image) == ("layer2.0.sn1", None)
        channels = 1 if method == "gradcam" else 32
        assert found.values.shape == (N, STEPS, channels, 4, 4)
        assert found.values.any()


def test_a_neurons_conductance_over_spikes_and_pixels() -> None:
    inner = maps("neuron_conductance", at="layer1.0.sn1", neuron=(2, 1, 3, 3), steps=3)
    assert inner.place == ENCODER
    assert inner.image is not None
    assert inner.image.values.any()
    assert not inner.values[:, 3:].any()  # what comes after the neuron's step
    first = maps("neuron_conductance", at=ENCODER, neuron=(2, 1, 3, 3), steps=3)
    assert (first.place, first.image) == ("input", None)
    seen = first.values[:, 0].abs().sum((0, 1)) > 0
    assert seen.nonzero().max() <= 4  # one 3 x 3 convolution around (3, 3)
    assert seen.nonzero().min() >= 2


def test_a_baseline_is_an_image_and_its_own_spikes() -> None:
    nothing = torch.full((1, 3, 8, 8), 0.5, dtype=torch.float64)
    found = maps("ig", baseline=nothing, steps=4)
    pairs = zip(encoded(images()).detach().split(1), Y.tolist(), strict=True)
    spikes = encoded(nothing).detach()
    wanted = torch.cat([by_hand.ig(behind, x, t, 4, spikes) for x, t in pairs])
    assert_near(found.values, wanted.detach(), WEIGHTS)
    assert found.image is not None
    assert torch.equal(found.baseline_score, found.image.baseline_score)
    grey = resnet()(nothing).detach()[0, Y]
    torch.testing.assert_close(found.baseline_score, grey, rtol=0, atol=1e-12)


def test_a_layer_that_the_spikes_go_around_cannot_stand_for_the_image() -> None:
    with pytest.raises(snnlens.InputError) as error:
        maps("input_x_gradient", at="layer1.0.sn1")
    assert str(error.value) == (
        "the layer that a map lies over must be one that the whole input passes; got "
        "'layer1.0.sn1'; the input reaches the output past it"
    )


@pytest.mark.parametrize("framework", ["SpikingJelly, per step", "snnTorch, per step"])
def test_an_image_that_is_shown_once_for_each_step(framework: str) -> None:
    """The gradient of the pixels is the sum over steps; `at` asks about the layer's spikes."""
    case = nets.CASES[framework]()
    image = nets.movie()[0]
    shown = image.expand(T, *image.shape)
    found = snnlens.attribute(case.net, shown, Y, method="saliency", per_step=True)
    assert (found.place, found.image) == ("input", None)
    assert found.values.shape == (N, T, 2, 6, 6)

    def score(x: Tensor) -> Tensor:
        return case.score(x.expand(-1, T, *x.shape[2:]))

    slopes = each(case.score, shown.transpose(0, 1), by_hand.gradient)
    assert_near(found.values, slopes.abs(), EXACT)
    of_pixels = each(score, image.unsqueeze(1), by_hand.gradient)
    assert_near(slopes.sum(1, keepdim=True), of_pixels, EXACT)
    spikes = snnlens.attribute(case.net, shown, Y, method="ig", per_step=True, at="a", steps=4)
    assert spikes.place == "a"
    fired = case.front(shown.transpose(0, 1)).detach()
    assert torch.equal(spikes.shown.double(), fired.double())
    wanted = each(case.back, fired, lambda *a: by_hand.ig(*a, 4))
    peak = float(wanted.abs().max())
    # snnTorch: float32 spikes
    torch.testing.assert_close(spikes.values.double(), wanted.double(), rtol=0, atol=2e-6 * peak)


def test_frames_may_be_given_to_a_network_for_images() -> None:
    """[T, N, C, H, W]: time first, so the map lies over the input."""
    frames = images().expand(STEPS, *images().shape)
    found = snnlens.attribute(resnet(), frames, Y, method="saliency")
    assert (found.place, found.image) == ("input", None)
    assert found.values.shape == (N, STEPS, 3, 8, 8)
    image = maps("saliency").image
    assert image is not None
    assert float((found.score - image.score).abs().max()) < 1e-12
