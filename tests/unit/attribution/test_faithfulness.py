"""Deletion and insertion by loops over single elements, on functions that are known on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.attribution import attribute
from snnlens.attribution.faithfulness import KINDS, curves, random_curves
from snnlens.attribution.units import OVER, own
from snnlens.errors import InputError

SHARES = (0, 0.2, 0.35, 0.5, 0.9, 1)


class Known:
    """f(x): sums of random weights times x, and of their squares; it keeps the batches' sizes."""

    def __init__(self, shape: Sequence[int], classes: int = 3) -> None:
        self.weights = torch.from_numpy(np.random.default_rng(0).normal(size=(classes, *shape)))
        self.batches: list[int] = []

    def score(self, x: Tensor, target: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        self.batches.append(len(x))
        return torch.stack([self.one(s, int(c)) for s, c in zip(x, target, strict=True)])

    def one(self, sample: Tensor, target: int) -> Tensor:
        weighed = self.weights[target] * sample.double()
        return weighed.sum() + weighed.square().sum()


def made(shape: Sequence[int], count: int = 4) -> tuple[Known, Tensor, Tensor, Tensor]:
    """A function, events (a third of the elements, some of them 2), classes, and maps with ties."""
    generator = np.random.default_rng(1)
    drawn = generator.integers(1, 3, (count, *shape)) * (generator.random((count, *shape)) < 0.35)
    values = generator.normal(size=(count, *shape)).round(1)
    values[generator.random(values.shape) < 0.3] = 0
    target = torch.tensor([0, 2, 1, 2][:count])
    return Known(shape), torch.from_numpy(drawn).float(), target, torch.from_numpy(values)


def units(x: Tensor, none: Tensor, over: str) -> list[list[tuple[int, ...]]]:
    """The elements [t, ...] of each unit of one sample, one by one."""
    places = [tuple(i) for i in np.ndindex(*x.shape)]
    if over == "events":
        return [[i] for i in places if x[i] != none[i]]
    if over == "steps":
        return [[i for i in places if i[0] == t] for t in range(len(x))]
    space = 2 if x.dim() > 2 else 1
    where = sorted({i[space:] for i in places})
    return [[i for i in places if i[space:] == w] for w in where]


def manual(
    known: Known, x: Tensor, none: Tensor, target: int, order: list[list[tuple[int, ...]]],
    kind: str,
) -> list[float]:  # fmt: skip
    """The scores at SHARES of one sample whose units are taken in the given order."""
    found = []
    for share in SHARES:
        count = math.floor(share * len(order) + 0.5)
        changed, other = (x.clone(), none) if kind == "deletion" else (none.clone(), x)
        for unit in order[:count]:
            for i in unit:
                changed[i] = other[i]
        found.append(float(known.one(changed, target)))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("shape", [(3, 2, 3, 4), (4, 5)])
@pytest.mark.parametrize("baseline", [None, 1.0])
def test_against_a_loop(shape: tuple[int, ...], over: Any, kind: Any, baseline: Any) -> None:
    known, x, target, values = made(shape)
    values += torch.from_numpy(np.random.default_rng(2).normal(0, 1e-6, values.shape))  # no ties
    base = None if baseline is None else torch.full(shape, baseline)
    found = curves(known, x, target, values, over=over, kind=kind, shares=SHARES, baseline=base)
    for n in range(len(x)):
        none = torch.zeros(shape) if base is None else base
        of = units(x[n], none, over)
        ranked = sorted(of, key=lambda unit: -sum(float(values[n][i]) for i in unit))
        wanted = manual(known, x[n], none, int(target[n]), ranked, kind)
        assert found[n].tolist() == pytest.approx(wanted, rel=1e-12)  # some dozen float64 terms


@pytest.mark.parametrize("over", OVER)
def test_the_ends(over: Any) -> None:
    known, x, target, values = made((3, 2, 3, 4))
    options: dict[str, Any] = {"over": over, "shares": [0, 1]}
    with torch.no_grad():
        whole, none = known.score(x, target), known.score(0 * x, target)
    assert torch.equal(curves(known, x, target, values, kind="deletion", **options),
                       torch.stack([whole, none], 1))  # fmt: skip
    assert torch.equal(curves(known, x, target, values, kind="insertion", **options),
                       torch.stack([none, whole], 1))  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", OVER)
def test_the_same_alone_and_in_chunks(over: Any, kind: Any) -> None:
    known, x, target, values = made((3, 2, 3, 4))
    options: dict[str, Any] = {"over": over, "kind": kind, "shares": SHARES}
    found = curves(known, x, target, values, internal_batch=1000, **options)
    assert len(known.batches) == 1
    known.batches.clear()
    assert torch.equal(curves(known, x, target, values, internal_batch=5, **options), found)
    assert max(known.batches) == 5
    alone = [curves(known, *one, **options) for one in _each(x, target, values)]
    assert torch.equal(torch.cat(alone), found)
    drawn = random_curves(known, x, target, draws=3, seed=1, **options)
    alone = [random_curves(known, *one, draws=3, seed=1, **options) for one in _each(x, target)]
    assert torch.equal(torch.cat(alone, 1), drawn)


def test_of_three_steps_there_are_four_scores() -> None:
    known, x, target, values = made((3, 2, 3, 4))
    curves(known, x, target, values, over="steps", kind="deletion", shares=np.linspace(0, 1, 50))
    assert sum(known.batches) == 4 * len(x)


# --- order -------------------------------------------------------------------------------------


def test_values_count_not_sizes() -> None:
    """What speaks against the class goes last."""
    known, x, target, _ = made((3, 2, 3, 4))
    weights = known.weights[target]
    first = curves(known, x, target, weights, over="events", kind="deletion", shares=[0, 0.1, 1])
    last = curves(known, x, target, -weights, over="events", kind="deletion", shares=[0, 0.1, 1])
    assert (first[:, 1] < first[:, 0]).all()
    assert (first[:, 1] < last[:, 1]).all()


def test_the_true_order_beats_random_ones() -> None:
    """A sum of weights times events: no order falls faster than that of the terms."""

    class Sum(Known):
        def one(self, sample: Tensor, target: int) -> Tensor:
            return (self.weights[target] * sample.double()).sum()

    known, x, target = Sum((3, 2, 3, 4)), *made((3, 2, 3, 4))[1:3]
    options: dict[str, Any] = {"over": "events", "kind": "deletion", "shares": SHARES}
    best = curves(known, x, target, known.weights[target] * x, **options)
    drawn = random_curves(known, x, target, draws=20, **options)
    assert (best <= drawn + 1e-12).all()  # rounding of the two ends, which are the same
    assert (best.mean(1) < drawn.mean((0, 2))).all()


@pytest.mark.parametrize("over", OVER)
def test_random_orders_are_permutations_drawn_for_each_sample(over: Any) -> None:
    known, x, target, _ = made((3, 2, 3, 4))
    options: dict[str, Any] = {"over": over, "shares": SHARES}
    found = random_curves(known, x, target, draws=4, seed=5, kind="deletion", **options)
    for draw in range(4):
        for n, sample in enumerate(x):
            none = torch.zeros_like(sample)
            every = units(torch.ones_like(sample), none, over)
            drawn = np.random.default_rng([5, draw, own(sample)]).permutation(len(every))
            there = units(sample, none, over)
            order = [every[i] for i in drawn if every[i] in there]
            wanted = manual(known, sample, none, int(target[n]), order, "deletion")
            assert found[draw, n].tolist() == pytest.approx(wanted, rel=1e-12)
    fewer = random_curves(known, x, target, draws=2, seed=5, kind="deletion", **options)
    assert torch.equal(fewer, found[:2])
    other = random_curves(known, x, target, draws=4, seed=6, kind="deletion", **options)
    assert not torch.equal(other, found)


def test_random_orders_are_uniform() -> None:
    """A unit is among the first half in half of the draws: no place is first more often."""
    x = torch.ones(1, 1, 1, 2, 2)

    class First:
        def score(self, x: Tensor, target: Tensor) -> Tensor:
            return x[:, 0, 0, 0, 0]

    kept = random_curves(First(), x, torch.tensor([0]), over="pixels", kind="deletion",
                         shares=[0.5], draws=400)  # fmt: skip
    assert float(kept.mean()) == pytest.approx(0.5, abs=4 * 0.5 / 20)  # four standard errors


# --- layers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["pixels", "events"])
def test_curves_of_a_layer_map(over: Any) -> None:
    """As of the map that is brought to the input by hand."""
    known, x, target, _ = made((3, 2, 4, 4))
    layer = torch.randn(4, 3, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    by_hand = layer.double().sum(2, keepdim=True).repeat(1, 1, 2, 1, 1)
    by_hand = by_hand.repeat_interleave(2, 3).repeat_interleave(2, 4)
    options: dict[str, Any] = {"over": over, "kind": "insertion", "shares": SHARES}
    assert torch.equal(curves(known, x, target, layer, **options),
                       curves(known, x, target, by_hand, **options))  # fmt: skip


def test_steps_of_any_layer() -> None:
    known, x, target, _ = made((3, 2, 4, 4))
    layer = torch.randn(4, 3, 7, generator=torch.Generator().manual_seed(0))
    whole = torch.zeros(x.shape).double()
    whole[:, :, 0, 0, 0] = layer.double().sum(2)
    options: dict[str, Any] = {"over": "steps", "kind": "deletion", "shares": SHARES}
    assert torch.equal(curves(known, x, target, layer, **options),
                       curves(known, x, target, whole, **options))  # fmt: skip


def test_no_event_is_a_flat_curve() -> None:
    known, x, target, values = made((3, 2, 3, 4))
    x[1] = 0
    found = curves(known, x, target, values, over="events", kind="deletion", shares=SHARES)
    assert torch.equal(found[1], torch.zeros(len(SHARES)).double())


def test_on_a_network_of_spikes() -> None:
    """Steps deleted by hand, in the layout of the model: [T, N, ...]."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(2), nn.Linear(12, 8), snnlens.IF(threshold=0.3), nn.Linear(8, 3))
    x, target = (torch.rand(5, 4, 3, 4) < 0.4).float(), torch.tensor([0, 1, 2, 1])
    with snnlens.bridge(net, x) as bridge:
        maps = attribute(bridge, bridge.x, target, "ig")
        found = curves(bridge, bridge.x, target, maps.values, over="steps", kind="deletion",
                       shares=SHARES)  # fmt: skip
    for n, (marginal, cls) in enumerate(zip(maps.marginal(), target, strict=True)):
        for share, score in zip(SHARES, found[n], strict=True):
            left = x[:, n : n + 1].clone()
            left[marginal.argsort(descending=True)[: math.floor(share * 5 + 0.5)]] = 0
            wanted = net(left).mean(0)[0, cls].item()
            assert float(score) == pytest.approx(wanted, rel=1e-5)  # float32


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "rows"}, "over must be pixels, steps, events; got 'rows'"),
        ({"kind": "both"}, "kind must be deletion or insertion; got 'both'"),
        ({"shares": [0, 1.5]}, "shares must be from 0 to 1; got [0, 1.5]"),
        ({"shares": []}, "shares must be from 0 to 1; got []"),
        ({"internal_batch": 0}, "internal_batch must be at least 1; got 0"),
        ({"baseline": torch.zeros(7)}, "the baseline must be a sample, [3, 2, 3, 4]; got [7]"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    known, x, target, values = made((3, 2, 3, 4))
    given = {"over": "pixels", "kind": "deletion", "shares": [0, 1]} | options
    for of in (lambda: curves(known, x, target, values, **given),
               lambda: random_curves(known, x, target, draws=2, **given)):  # fmt: skip
        with pytest.raises(InputError) as error:
            of()
        assert str(error.value) == message


def test_wrong_maps() -> None:
    known, x, target, values = made((3, 2, 3, 4))
    options: dict[str, Any] = {"over": "pixels", "kind": "deletion", "shares": [0, 1]}
    wrong = {
        "maps must be one a sample, 4; got 2": values[:2],
        "a map must be finite; got 'with a number that is not finite'": values / 0,
        "maps over a layer must be of positions in space at the input's steps, [3, 2, 3, 4]; got "
        "[3, 7]; take a layer of a convolution, or over='steps'": torch.ones(4, 3, 7),
        "maps over a layer must be of positions in space at the input's steps, [3, 2, 3, 4]; got "
        "[2, 1, 3, 4]; take a layer of a convolution, or over='steps'": torch.ones(4, 2, 1, 3, 4),
    }
    for message, maps in wrong.items():
        with pytest.raises(InputError) as error:
            curves(known, x, target, maps, **options)
        assert str(error.value) == message


def test_wrong_steps() -> None:
    known, x, target, _ = made((3, 2, 3, 4))
    options: dict[str, Any] = {"over": "steps", "kind": "deletion", "shares": [0, 1]}
    with pytest.raises(InputError) as error:
        curves(known, x, target, torch.ones(4, 2, 7), **options)
    assert str(error.value) == "steps of a map must be those of the input, 3; got 2"
    with pytest.raises(InputError) as error:
        curves(known, x[:, :1], target, torch.ones(4, 1, 7), **options)
    assert str(error.value) == (
        "over must be pixels or events: the input has one step; got 'steps'"
    )
    with pytest.raises(InputError) as error:
        random_curves(known, x, target, draws=0, **options)
    assert str(error.value) == "draws must be at least 1; got 0"


def _each(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(t.split(1) for t in tensors), strict=True))
