"""The map of a sample is its own: alone, in any batch, with any internal_batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import snnlens
from snnlens import registry
from snnlens.attribution import Maps, Options, attribute
from tests.unit.attribution import nets
from tests.unit.attribution.nets import N, Y

METHODS = list(registry.listing("attribution/methods"))
RANDOM = [m for m in METHODS if registry.plugin("attribution/methods", m).random]
FEW: dict[str, Any] = {"steps": 6, "draws": 3, "window": (2, 3, 4), "neuron": (3, 1, 2, 2)}
# A product of matrices sums in an order that depends on their size: float64, of the peak. No spike
# may change by that: no membrane lies so near to the threshold in these networks.
SUMS = 1e-12
CASES = ("snnlens", "SpikingJelly, per step")


def maps(framework: str, method: str, samples: slice, **more: Any) -> Maps:
    case = nets.CASES[framework]()
    options = Options(**FEW, at="a" if method == "neuron_conductance" else None, **more)
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        return attribute(bridge, bridge.x[samples], Y[samples], method, options)


def assert_same(one: Maps, two: Maps) -> None:
    peak = float(two.values.abs().max())
    torch.testing.assert_close(one.values, two.values, rtol=0, atol=SUMS * peak)
    torch.testing.assert_close(one.score, two.score, rtol=0, atol=SUMS)
    torch.testing.assert_close(one.delta, two.delta, rtol=0, atol=SUMS, equal_nan=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("framework", CASES)
def test_alone_and_in_a_batch(framework: str, method: str) -> None:
    """captum rounds some weights to float32, of each sample alike."""
    whole = maps(framework, method, slice(None))
    assert whole.values.any()
    for i in range(N):
        alone = maps(framework, method, slice(i, i + 1))
        assert_same(alone, part(whole, i))


def part(whole: Maps, i: int) -> Maps:
    """One sample of a batch's maps."""
    names = ("values", "delta", "target", "predicted", "score", "baseline_score", "shown")
    cut = {name: getattr(whole, name)[i : i + 1] for name in names}
    return Maps(method=whole.method, place=whole.place, signed=whole.signed, **cut)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("framework", CASES)
def test_whatever_the_internal_batch(framework: str, method: str) -> None:
    """1: less than a sample's points; 5: no divisor of them; 64: more than all."""
    first, *others = (maps(framework, method, slice(None), internal_batch=b) for b in (5, 1, 2, 64))
    for other in others:
        assert_same(other, first)


@pytest.mark.parametrize("method", RANDOM)
def test_a_random_method_draws_by_its_seed_alone(method: str) -> None:
    """To the bit: in a batch, in the other order of samples, and wherever the generators stood."""
    whole = maps("snnlens", method, slice(None), seed=4)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    again = maps("snnlens", method, slice(None), seed=4)
    assert torch.equal(again.values, whole.values)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(maps("snnlens", method, slice(1, 2), seed=4).values, whole.values[1:2])
    assert not torch.allclose(maps("snnlens", method, slice(None), seed=5).values, whole.values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("most", [1, 2, 4])
def test_no_pass_holds_more_samples_than_the_internal_batch(method: str, most: int) -> None:
    """Layer conductance takes differences between two points, so two at the least."""
    case, seen = nets.own(), []
    at = "a" if method == "neuron_conductance" else None
    options = Options(**FEW, at=at, internal_batch=most)
    with snnlens.bridge(case.net, case.given) as bridge:
        hook = case.net.conv.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
        attribute(bridge, bridge.x, Y, method, options)
        hook.remove()
    # sam and the check for a gradient look at one sample
    assert max(seen) // nets.T <= max(most, 2 if method == "layer_conductance" else 1)
