"""Infidelity and sensitivity by loops, on functions known on paper and on a network of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.attribution import Bridge, method_named
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.metrics import infidelity, sensitivity
from snnlens.attribution.units import over_input, own
from snnlens.errors import InputError
from snnlens.neuron.layers import IF

SHAPE = (5, 2, 3, 4)
REL = 1e-9  # captum multiplies the square out in float64: a cancellation of some digits


class Known:
    """f(x) of class c is its own sum of weights times x, plus a square of it where `square`."""

    def __init__(self, *, square: bool = False) -> None:
        self.weights = torch.from_numpy(np.random.default_rng(0).normal(size=(3, *SHAPE)))
        self.square, self.seen = square, [torch.zeros(0, *SHAPE)]

    def score(self, x: Tensor, target: Tensor) -> Tensor:
        self.seen.append(x)
        total = (self.weights[target] * x.double()).flatten(1).sum(1)
        return total + total.square() if self.square else total


def events(count: int = 3, *, largest: int = 2) -> tuple[Tensor, Tensor]:
    """Samples of which a third of the elements are events, and their classes."""
    generator = np.random.default_rng(1)
    drawn = generator.integers(1, largest + 1, (count, *SHAPE))
    drawn *= generator.random(drawn.shape) < 0.35
    return torch.from_numpy(drawn).float(), torch.arange(count) % 3


def maps(count: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(2).normal(size=(count, *SHAPE)))


# --- infidelity --------------------------------------------------------------------------------


def manual(
    known: Known, x: Tensor, target: Tensor, values: Tensor, none: float, draws: int,
    *, local: bool, normalise: bool,
) -> Iterator[float]:  # fmt: skip
    """Element by element, and the factor by least squares."""
    for sample, cls, map_ in zip(x, target, values, strict=True):
        generator = np.random.default_rng([0, own(sample)])
        said, lost = [], []
        for _ in range(draws):
            probability, chance = generator.uniform(), generator.random(SHAPE)
            left, dot = sample.clone(), 0.0
            for i in np.ndindex(*SHAPE):
                if sample[i] != none and chance[i] < probability:
                    dot += float(map_[i]) * (float(sample[i]) - none if local else 1)
                    left[i] = none
            said.append(dot)
            lost.append(
                float(known.score(sample[None], cls[None]) - known.score(left[None], cls[None]))
            )
        (b,), *_ = np.linalg.lstsq(np.array(said)[:, None], np.array(lost))
        yield float(np.mean(((b if normalise else 1) * np.array(said) - lost) ** 2))


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("none", [0.0, 1.0])
def test_infidelity_against_a_loop(none: float, *, local: bool, normalise: bool) -> None:
    known, (x, target), values = Known(square=True), events(), maps()
    found = infidelity(known, x, target, values, draws=6, baseline=torch.full(SHAPE, none),
                       local=local, normalise=normalise)  # fmt: skip
    wanted = manual(known, x, target, values, none, 6, local=local, normalise=normalise)
    assert found.tolist() == pytest.approx(list(wanted), rel=REL)


def test_the_terms_of_a_sum_foretell_it() -> None:
    """Its terms, and as a local map its weights, have no infidelity, nor has three times a term."""
    known, (x, target) = Known(), events()
    weights = known.weights[target]
    size = infidelity(known, x, target, 0 * weights)  # the mean square of the losses
    for values, options in (
        (weights * x, {"normalise": False}),
        (3 * weights * x, {}),
        (weights, {"local": True, "normalise": False}),
    ):
        found = infidelity(known, x, target, values, **options)  # type: ignore[arg-type]
        assert (found <= 1e-12 * size).all()  # rounding of squares in float64
        assert (found >= 0).all()
    assert (infidelity(known, x, target, weights) > 1e-3 * size).all()  # events of 2 count twice


def test_events_of_one_need_no_word_of_what_is_local() -> None:
    known, (x, target), values = Known(square=True), events(largest=1), maps()
    found = [infidelity(known, x, target, values, local=local) for local in (False, True)]
    assert torch.equal(*found)


def test_a_map_of_zeros_has_the_mean_square_of_the_losses() -> None:
    known, (x, target) = Known(), events()
    found = infidelity(known, x, target, torch.zeros(x.shape), draws=4)
    wanted = manual(known, x, target, torch.zeros(x.shape), 0, 4, local=False, normalise=False)
    assert found.tolist() == pytest.approx(list(wanted), rel=REL)


def test_what_is_shown_is_an_input_of_spikes() -> None:
    """Each element is the sample's or the baseline's, and from few to nearly all events go."""
    known, (x, target) = Known(), events(1)
    infidelity(known, x, target, maps(1), draws=200)
    shown = torch.cat(known.seen)
    assert ((shown == x) | (shown == 0)).all()
    gone = 1 - (shown != 0).flatten(1).sum(1) / (x != 0).sum()
    assert gone.min() < 0.05
    assert gone.max() > 0.95
    drawn = gone[gone > 0]
    assert float(drawn.mean()) == pytest.approx(0.5, abs=4 * 0.29 / 14)  # four standard errors


@pytest.mark.parametrize("internal_batch", [1, 3, 100])
def test_infidelity_alone_in_a_batch_and_in_chunks(internal_batch: int) -> None:
    known, (x, target), values = Known(square=True), events(), maps()
    whole = infidelity(known, x, target, values, draws=7)
    known.seen.clear()
    found = infidelity(known, x, target, values, draws=7, internal_batch=internal_batch)
    assert max(len(s) for s in known.seen) <= internal_batch
    assert found.tolist() == pytest.approx(whole.tolist(), rel=REL)
    alone = [infidelity(known, x[n : n + 1], target[n : n + 1], values[n : n + 1], draws=7)
             for n in (2, 0, 1)]  # fmt: skip
    assert torch.equal(torch.cat(alone)[[1, 2, 0]], whole)
    assert not torch.equal(infidelity(known, x, target, values, draws=7, seed=1), whole)


def test_infidelity_of_a_layer_map() -> None:
    known, (x, target) = Known(square=True), events()
    layer = torch.randn(3, 5, 7, 2, 2, generator=torch.Generator().manual_seed(0))
    by_hand = over_input(layer, SHAPE)
    assert torch.equal(infidelity(known, x, target, layer), infidelity(known, x, target, by_hand))


# --- sensitivity -------------------------------------------------------------------------------


class Cubes(Method):
    """A map without a network: the cube of the input times its class + 1; it keeps what it saw."""

    name = title = source = "cubes"

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.seen = factor, [torch.zeros(0)]

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        assert torch.is_grad_enabled()
        assert len(target) == len(x)
        self.seen.append(x)
        return self.factor * x**3 * (target + 1).reshape(-1, *(1 for _ in x.shape[1:]))


NONE: Any = None  # of a bridge that nobody asks
AT_ONCE = Options(internal_batch=1000)


def test_sensitivity_from_what_the_method_was_shown() -> None:
    method, (x, target) = Cubes(), events()
    found = sensitivity(NONE, x, target, method, draws=8, seed=3)
    shown = method.seen[1:]
    assert [len(s) for s in shown] == [1, 8] * 3
    for n in range(3):
        own_map, *_ = (s**3 for s in shown[2 * n].double())
        moved = [float((copy.double() ** 3 - own_map).norm() / own_map.norm())
                 for copy in shown[2 * n + 1]]  # fmt: skip
        assert float(found[n]) == pytest.approx(max(moved), rel=REL)


def test_events_move_by_one_step() -> None:
    """None comes or goes; each copy is another one than the sample."""
    method, (x, target) = Cubes(), events(1)
    sensitivity(NONE, x, target, method, AT_ONCE, draws=100, radius=0.3)
    assert len(method.seen[-1]) == 100
    for copy in method.seen[-1]:
        assert not torch.equal(copy, x[0])
        assert torch.equal(copy.sort(0).values, x[0].sort(0).values)  # at each pixel and channel
        before, after = torch.zeros(SHAPE[1:]), torch.zeros(SHAPE[1:])
        for step in range(SHAPE[0]):  # at most one event pair has crossed the end of a step
            before, after = before + x[0, step], after + copy[step]
            assert ((after - before).abs() <= 2).all()  # the largest value


def test_how_many_events_move() -> None:
    """Of the pairs that differ, of either coin, a share of `radius`."""
    x = torch.zeros(1, 4, 1000)
    x[0, ::2] = 1
    method = Cubes()
    sensitivity(NONE, x, torch.tensor([0]), method, AT_ONCE, draws=50, radius=0.1)
    moved = (method.seen[-1] != x).flatten(1).sum(1).double() / 2
    pairs = torch.tensor([1000.0, 2000.0])  # of steps 1 and 2 alone, or of 0 and 1, 2 and 3
    near = (moved[:, None] - 0.1 * pairs).abs() / (0.3 * pairs.sqrt())  # in standard deviations
    assert (near.min(1).values < 5).all()
    assert near.argmin(1).unique().tolist() == [0, 1]  # both coins


def test_at_least_one_moves() -> None:
    x = torch.zeros(1, 2, 3, 4, 4)
    x[0, 0, 1, 2, 3] = 1
    method = Cubes()
    found = sensitivity(NONE, x, torch.tensor([2]), method, radius=1e-9)
    assert float(found) == pytest.approx(2**0.5)  # the one value of the map is at another place
    assert (method.seen[-1][:, 1, 1, 2, 3] == 1).all()


def test_a_static_image_gets_noise() -> None:
    x = torch.rand(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 5 - 1
    method = Cubes()
    sensitivity(NONE, x, torch.tensor([0, 1]), method, AT_ONCE, draws=50, radius=0.1)
    for n, copies in enumerate(method.seen[2::2]):
        noise, half = copies - x[n], 0.1 * (x[n].max() - x[n].min())
        assert noise.abs().max() <= half * (1 + 1e-6)  # float32
        assert float(noise.abs().max()) > 0.99 * float(half)
        assert len(copies.unique(dim=0)) == 50
    repeated = x[:1].expand(1, 4, 1, 8, 8)  # an image that is shown four times, step by step
    sensitivity(NONE, repeated, torch.tensor([0]), method, draws=3)
    assert (method.seen[-1] != repeated).any()


def test_a_map_of_zeros_has_no_sensitivity() -> None:
    x, target = events()
    assert sensitivity(NONE, x, target, Cubes(0.0)).isnan().all()


def test_sensitivity_alone_in_a_batch_and_in_chunks() -> None:
    x, target = events()
    whole = sensitivity(NONE, x, target, Cubes(), draws=7)
    method = Cubes()
    found = sensitivity(NONE, x, target, method, Options(internal_batch=3), draws=7)
    assert max(len(s) for s in method.seen) == 3
    assert torch.equal(found, whole)
    alone = [
        sensitivity(NONE, x[n : n + 1], target[n : n + 1], Cubes(), draws=7) for n in (2, 1, 0)
    ]
    assert torch.equal(torch.cat(alone).flip(0), whole)
    assert not torch.equal(sensitivity(NONE, x, target, Cubes(), draws=7, seed=1), whole)


# --- on a network ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    """Events through IF neurons between two linear layers."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(2), nn.Linear(24, 8), IF(threshold=0.3), nn.Linear(8, 3))
    with snnlens.bridge(net, events(3)[0].transpose(0, 1)) as made:
        yield made


@pytest.mark.parametrize("name", ["ig", "saliency"])
def test_on_a_network_of_spikes(bridge: Bridge, name: str) -> None:
    target, method = torch.tensor([0, 1, 2]), method_named(name)
    values = method.values(bridge, bridge.x, target, Options(steps=8))
    found = infidelity(bridge, bridge.x, target, values)
    size = infidelity(bridge, bridge.x, target, 0 * values)
    assert ((found >= 0) & (found <= size)).all()  # b = 0 is one of the factors
    assert (size > 0).all()
    moved = sensitivity(bridge, bridge.x, target, method, Options(steps=8), draws=3)
    assert (moved > 0).all()
    one = sensitivity(bridge, bridge.x[1:2], target[1:2], method, Options(steps=8), draws=3)
    assert float(one) == pytest.approx(float(moved[1]), rel=1e-4)  # float32 sums of another order


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.0, -0.1, 1.5, float("nan")])
def test_a_radius_that_is_none(radius: float) -> None:
    with pytest.raises(InputError) as error:
        sensitivity(NONE, *events(), Cubes(), radius=radius)
    assert str(error.value) == f"radius must be above 0, at most 1; got {radius}"


def test_no_draw() -> None:
    x, target = events()
    for of in (lambda: sensitivity(NONE, x, target, Cubes(), draws=0),
               lambda: infidelity(Known(), x, target, maps(), draws=0)):  # fmt: skip
        with pytest.raises(InputError) as error:
            of()
        assert str(error.value) == "draws must be at least 1; got 0"
    with pytest.raises(InputError) as error:
        infidelity(Known(), x, target, maps(), internal_batch=0)
    assert str(error.value) == "internal_batch must be at least 1; got 0"
