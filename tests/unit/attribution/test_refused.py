"""Each reason why a method of captum is not taken, seen at captum itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from captum import attr
from torch import Tensor

import snnlens
from snnlens import registry
from snnlens.attribution import Bridge, method_named
from snnlens.attribution.refused import ELSEWHERE, REFUSED
from snnlens.errors import InputError
from tests.unit.attribution import nets
from tests.unit.attribution.nets import Y

KNOWN = list(registry.listing("attribution/methods"))
WEIGHTS = 2e-7  # captum rounds the weights of its integrals to float32


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    case = nets.own()
    with snnlens.bridge(case.net, case.given) as made:
        yield made


def gradient(bridge: Bridge) -> tuple[Tensor, Tensor]:
    x = bridge.x.clone().requires_grad_()
    return x, torch.autograd.grad(bridge.score(x, Y).sum(), x)[0]


@pytest.mark.parametrize("name", REFUSED)
def test_the_line(name: str) -> None:
    for given in (name, name.replace("_", "-").upper(), name.title().replace("_", "")):
        with pytest.raises(InputError) as error:
            method_named(given)
        assert str(error.value) == (
            f"a method must be one that means something on spikes; got {given!r}; {REFUSED[name]}"
        )


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_line_that_says_what_to_take(name: str) -> None:
    with pytest.raises(InputError) as error:
        method_named(name)
    wanted = f"a method must be one of {', '.join(KNOWN)}; got {name!r}; {ELSEWHERE[name]}"
    assert str(error.value) == wanted


@pytest.mark.parametrize("reason", {**REFUSED, **ELSEWHERE}.values())
def test_what_to_take_is_there(reason: str) -> None:
    for named in re.findall(r"take ([a-z_]+)(?: or ([a-z_]+))?", reason):
        known = {*KNOWN, "spikes", "attribute"}  # of a bridge; of the package
        assert {n for n in named if n} <= known, reason


def test_every_method_of_captum_is_taken_or_answered() -> None:
    kinds = {n for n in attr.__all__ if hasattr(getattr(attr, n), "attribute")}
    answered = {n.replace("_", "") for n in (*KNOWN, *REFUSED, *ELSEWHERE)}
    assert len(kinds) > 30
    assert {n.lower() for n in kinds} <= answered


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_deep_lift_is_input_x_gradient(bridge: Bridge) -> None:
    x, slope = gradient(bridge)
    nothing = 0.3 * torch.ones_like(x)
    found = attr.DeepLift(bridge).attribute(x, nothing, target=Y)
    torch.testing.assert_close(found, (x - nothing) * slope, rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("kind", [attr.GuidedBackprop, attr.Deconvolution])
def test_what_rewrites_relus_is_the_plain_gradient(kind: type, bridge: Bridge) -> None:
    x, slope = gradient(bridge)
    assert torch.equal(kind(bridge).attribute(x, Y), slope)


@pytest.mark.parametrize("framework", ["snnlens", "SpikingJelly, multi-step"])
def test_relevance_propagation_has_no_rule_for_a_membrane(framework: str) -> None:
    case = nets.CASES[framework]()
    with snnlens.bridge(case.net, case.given) as bridge, pytest.raises(TypeError, match="rule"):
        attr.LRP(bridge).attribute(bridge.x.clone().requires_grad_(), Y)


@pytest.mark.parametrize(("name", "kind"), [("lime", attr.Lime), ("kernel_shap", attr.KernelShap)])
def test_a_linear_fit_has_fewer_equations_than_weights(
    name: str, kind: Callable[..., Any], bridge: Bridge
) -> None:
    assert name in ELSEWHERE
    rows = []
    hook = bridge.model.conv.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    kind(bridge).attribute(bridge.x[:1], target=0)
    hook.remove()
    assert sum(rows) // nets.T < 60  # copies of the sample, by default
    assert bridge.x[0].numel() == 360  # weights; of a camera's movie many thousands


def test_feature_permutation_needs_the_batch(bridge: Bridge) -> None:
    method, one_group = attr.FeaturePermutation(bridge), torch.zeros(1, 1, 1, 1, 1).long()
    found = method.attribute(bridge.x[:1], target=0, feature_mask=one_group)
    assert not found.any()  # alone there is nobody to swap with
    whole = method.attribute(bridge.x, target=Y, feature_mask=one_group)
    assert whole.any()


def test_gradient_x_activation_is_input_x_gradient_at_the_layer() -> None:
    case = nets.own()
    with snnlens.bridge(case.net, case.given) as bridge, bridge.tap("a") as tap:
        found = attr.LayerGradientXActivation(bridge, tap).attribute(bridge.x, Y)
    ours = snnlens.attribute(case.net, case.given, Y, method="input_x_gradient", at="a")
    assert ours.place == "a"
    torch.testing.assert_close(found.transpose(1, 2), ours.values, rtol=0, atol=1e-14)


def test_internal_influence_has_no_difference_of_the_spikes() -> None:
    """And its path runs through the input, so the spikes change along it."""
    case = nets.own()
    with snnlens.bridge(case.net, case.given) as bridge, bridge.tap("b") as tap:
        found = attr.InternalInfluence(bridge, tap).attribute(bridge.x, target=Y, n_steps=6)
    ours = snnlens.attribute(case.net, case.given, Y, method="layer_ig", at="b", steps=6)
    with snnlens.bridge(case.net, case.given) as bridge:
        nothing = ours.shown == bridge.spikes(torch.zeros_like(bridge.x))["b"]
    assert 0 < nothing.sum() < nothing.numel()
    assert not ours.values[nothing].any()
    assert found.transpose(1, 2)[nothing].any()
    slope = case.net.out.weight[Y] / nets.T  # behind `b` all is linear
    wanted = slope[:, None].expand_as(found.transpose(1, 2))
    torch.testing.assert_close(found.transpose(1, 2), wanted.detach(), rtol=0, atol=WEIGHTS)
