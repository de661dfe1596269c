"""Permuted weights, another surrogate and other seeds: what changes, and what does not."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.attribution import attribute
from snnlens.attribution.methods._base import Options
from snnlens.attribution.variants import other_surrogate, randomised, seeds, surrogates
from snnlens.errors import InputError
from snnlens.neuron.layers import IF, LIF, PLIF
from snnlens.neuron.surrogate import ATan, Rectangular, Sigmoid, SuperSpike, Surrogate


class Folded(nn.Module):
    """A module that sees each step of [T, N, ...] as a sample."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return out


def network() -> nn.Sequential:
    """A convolution, BatchNorm, PLIF and LIF neurons, linear layers."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    norm.running_mean = torch.tensor([0.1, 0.2, 0.0, -0.1])
    front = Folded(nn.Sequential(nn.Conv2d(2, 4, 3), norm))
    return nn.Sequential(front, PLIF(threshold=0.3), nn.Flatten(2), nn.Linear(16, 8),
                         LIF(threshold=0.3), nn.Linear(8, 3))  # fmt: skip


def events() -> Tensor:
    """[T, N, C, H, W]"""
    return (torch.rand(5, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.5).float()


TARGET = torch.tensor([0, 1, 2])

# --- weights -----------------------------------------------------------------------------------


def test_only_weights_are_permuted() -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    other = randomised(net, 7).state_dict()
    permuted = {name for name, value in other.items() if not torch.equal(value, before[name])}
    assert permuted == {"0.module.0.weight", "3.weight", "5.weight"}
    for name, value in other.items():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_permutations_are_of_seed_and_name() -> None:
    net = network()
    one, same, other = (randomised(net, seed)[3].weight for seed in (0, 0, 1))  # type: ignore[index]
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    alone = nn.Sequential()
    alone.add_module("3", network()[3])
    assert torch.equal(randomised(alone, 0)[0].weight, one)  # type: ignore[index]
    twins = nn.ModuleDict({"a": network()[3], "b": network()[3]})
    twins["b"].load_state_dict(twins["a"].state_dict())
    made = randomised(twins)
    assert not torch.equal(made["a"].weight, made["b"].weight)  # type: ignore[index]


def test_a_permutation_is_uniform() -> None:
    """Each value is at each place in 1 / 6 of 600 seeds."""
    net = nn.Linear(3, 2)
    net.weight.data = torch.arange(6.0).reshape(2, 3)
    drawn = torch.stack([randomised(net, seed).weight.flatten() for seed in range(600)])
    counts = torch.stack([(drawn == value).sum(0) for value in range(6)])
    assert (counts - 100).abs().max() < 4.5 * (600 * 5 / 36) ** 0.5  # of 36 numbers


def test_the_mode_and_what_asks_for_a_gradient_stay() -> None:
    net = network().eval()
    net[3].weight.requires_grad_(requires_grad=False)
    other = randomised(net)
    assert not other.training
    assert [p.requires_grad for p in other.parameters()] == [
        p.requires_grad for p in net.parameters()
    ]


def test_tied_weights_stay_tied() -> None:
    net = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    net["b"].weight = net["a"].weight
    other = randomised(net)
    assert other["a"].weight is other["b"].weight  # type: ignore[index]


def test_no_weights() -> None:
    with pytest.raises(InputError) as error:
        randomised(nn.Sequential(IF(), nn.BatchNorm1d(3)))
    assert str(error.value) == (
        "weights to permute must be a parameter with two axes or more; got 'none'"
    )


def test_a_model_that_cannot_be_copied() -> None:
    net = nn.Linear(2, 2)
    net.lock = threading.Lock()  # type: ignore[assignment]
    for variant in (randomised, other_surrogate):
        with pytest.raises(InputError) as error:
            variant(net)
        why = "cannot pickle '_thread.lock' object"
        got = f"one that cannot be copied ({why})"
        assert str(error.value) == (f"the model must be one that copy.deepcopy takes; got {got!r}")


# --- surrogates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("surrogate", "other"),
    [
        (ATan(2.0), Sigmoid(4.0)), (ATan(5.0), Sigmoid(10.0)), (Sigmoid(4.0), ATan(2.0)),
        (Rectangular(1.0), ATan(2.0)), (SuperSpike(10.0), ATan(2.0)), (Sigmoid(1.0), ATan(0.5)),
    ],
)  # fmt: skip
def test_another_of_the_same_slope(surrogate: Surrogate, other: Surrogate) -> None:
    made = other_surrogate(nn.Sequential(IF(surrogate=surrogate)))
    assert made[0].rule.surrogate == other  # type: ignore[index, union-attr]
    assert other.at(0.0) == pytest.approx(surrogate.at(0.0), rel=1e-15)
    assert other.at(0.3) != pytest.approx(surrogate.at(0.3), rel=0.01)  # it is another one


def test_spikes_stay_and_gradients_change() -> None:
    net, x = network().eval(), events()
    rules = [net[i].rule for i in (1, 4)]
    other = other_surrogate(net)
    assert torch.equal(net(x), other(x))
    assert [net[i].rule for i in (1, 4)] == rules
    assert (surrogates(net), surrogates(other)) == ("atan(alpha=2)", "sigmoid(alpha=4)")
    maps = []
    for model in (net, other):
        with snnlens.bridge(model, x) as bridge:
            maps.append(attribute(bridge, bridge.x, TARGET, "saliency"))
    assert torch.equal(maps[0].score, maps[1].score)
    assert maps[0].values.any()
    assert not torch.allclose(maps[0].values, maps[1].values)


def test_twice_is_the_first_again() -> None:
    net = network()
    assert surrogates(other_surrogate(other_surrogate(net))) == surrogates(net)


def test_foreign_neurons() -> None:
    for of in (other_surrogate, surrogates):
        with pytest.raises(InputError) as error:
            of(nn.Linear(2, 2))
        assert str(error.value) == (
            "the spiking layers must be neurons of snnlens, whose surrogate can be exchanged; got "
            "'none of snnlens'"
        )


# --- seeds -------------------------------------------------------------------------------------


def test_seeds_change_the_seed_alone() -> None:
    options = Options(seed=4, steps=7, noise=0.3)
    found = seeds(options, 3)
    assert [o.seed for o in found] == [5, 6, 7]
    assert {(o.steps, o.noise) for o in found} == {(7, 0.3)}
    assert options.seed == 4
    assert seeds(options, 0) == []
