"""captum alone on a model whose first axis is time: what it gives is wrong; the bridge's is not.

Written to fail when captum changes: then the reason for the bridge has changed too.
"""

from __future__ import annotations

import pytest
import torch
from captum import attr
from torch import Tensor

import snnlens
from snnlens.attribution import Options, attribute
from tests.unit.attribution import by_hand, nets
from tests.unit.attribution.nets import CLASSES, N, T

STEPS = 16
WEIGHTS = 2e-7  # captum rounds the weights of its integrals to float32


class Averaging(nets.TimeFirst):
    """[T, N, ...] to [N, classes]: an output that captum can take an integer target of."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(0)


def network() -> Averaging:
    return Averaging(lambda: snnlens.IF(detach_reset=False))


def bridged(method: str, target: int, **options: object) -> Tensor:
    """Time first, as the bare result lies."""
    with snnlens.bridge(network(), nets.movie(), time_axis=0) as bridge:
        asked = torch.full((N,), target)
        return attribute(bridge, bridge.x, asked, method, Options(**options)).values.transpose(0, 1)


def by_loop(target: int) -> Tensor:
    net = network()
    samples = nets.movie().transpose(0, 1).split(1)
    found = [by_hand.ig(lambda s: net(s.transpose(0, 1)), x, target, STEPS) for x in samples]
    return torch.cat(found).transpose(0, 1)


def difference(found: Tensor, wanted: Tensor) -> float:
    """The largest difference as a share of the peak."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def correlation(one: Tensor, two: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1])


@pytest.mark.parametrize("target", range(CLASSES))
def test_integrated_gradients_run_on_through_the_points(target: int) -> None:
    """The points of the path are laid along axis 0: one movie of 16 T steps, without a rest."""
    bare = attr.IntegratedGradients(network()).attribute(nets.movie(), target=target, n_steps=STEPS)
    wanted = by_loop(target)
    assert difference(bridged("ig", target, steps=STEPS), wanted) < WEIGHTS
    assert difference(bare.detach(), wanted) > 0.5  # measured 0.84 to 0.94 of the peak
    assert correlation(bare.detach(), wanted) < 0.9  # measured 0.41 to 0.67


def test_grad_cam_takes_the_samples_for_channels() -> None:
    """Its weights are means over channels and space, and its sum runs over the samples."""
    net, x, target = network(), nets.movie(), 1
    bare = attr.LayerGradCam(net, net.a).attribute(x, target, relu_attributions=True).detach()
    assert bare.shape == (T, 1, 3, 4, 4)
    spikes = net.front(x.transpose(0, 1)).transpose(0, 1).detach().requires_grad_()
    score = net.back(spikes.transpose(0, 1))[:, target].sum()
    slope = torch.autograd.grad(score, spikes)[0]
    of_samples = (slope.mean((2, 3, 4), keepdim=True) * spikes).sum(1, keepdim=True).clamp(min=0)
    torch.testing.assert_close(bare, of_samples.detach(), rtol=0, atol=1e-14)
    assert bridged("gradcam", target).shape == (T, N, 1, 4, 4)


@pytest.mark.parametrize("target", range(CLASSES))
def test_occlusion_gives_an_array_for_each_sample_as_if_it_were_a_step(target: int) -> None:
    bare = attr.Occlusion(network()).attribute(
        nets.movie(), (1, 2, 3, 3), strides=(1, 2, 2, 2), target=target
    )
    assert bare.shape == (N, *nets.SHAPE[1:])  # [3, 3, ...] of an input [5, 3, ...]
    assert bridged("occlusion", target).shape == nets.SHAPE


@pytest.mark.parametrize(
    ("method", "captum"), [("saliency", attr.Saliency), ("input_x_gradient", attr.InputXGradient)]
)
def test_one_gradient_at_the_input_is_right_without_the_bridge(method: str, captum: type) -> None:
    """No points are laid along axis 0, and these neurons begin at rest by themselves."""
    bare = captum(network()).attribute(nets.movie().requires_grad_(), 1).detach()
    assert difference(bare, bridged(method, 1)) < 1e-14


def test_a_state_that_nobody_resets_is_in_the_bare_map() -> None:
    """A second map of the same input is another one where the layers keep their membrane."""
    case = nets.jelly()

    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = case.net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).mean(0)

    def bare() -> Tensor:
        for layer in (case.net.a, case.net.b):
            layer.v = layer.v.detach() if isinstance(layer.v, Tensor) else layer.v
        return attr.Saliency(Mean()).attribute(case.given.clone().requires_grad_(), 1)

    case.reset(case.net)
    first, second = bare(), bare()
    assert difference(second, first) > 0.1
    one, two = (snnlens.attribute(case.net, case.given, 1, method="saliency") for _ in range(2))
    assert torch.equal(one.values, two.values)
    assert difference(first.transpose(0, 1), one.values) < 1e-12
