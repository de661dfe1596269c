"""The bridge: what is put back, in which mode the model runs, and what it does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import InputError
from tests.unit.attribution import nets
from tests.unit.attribution.nets import CASES, N, Y

ALL: dict[str, Callable[[], nets.Case]] = CASES | {"smooth": nets.smooth}


# --- what is put back -------------------------------------------------------------------------


def _look(net: nn.Module) -> dict[str, Any]:
    """Everything that a visitor might leave behind."""
    state: dict[str, Any] = {}
    for name, module in net.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        state[name] = (module.training, *map(len, hooks), sorted(vars(module)))
    for name, p in net.named_parameters():
        state[name] = (p.requires_grad, p.grad, p.tolist())
    state |= {name: b.tolist() for name, b in net.named_buffers()}
    return state | {"torch": torch.get_rng_state().tolist()}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("framework", ALL)
def test_the_model_is_put_back(framework: str, fails: bool) -> None:
    case = ALL[framework]()
    case.net.train()
    case.net.a.eval()
    before = _look(case.net)
    try:
        with snnlens.bridge(case.net, case.given, **case.told) as bridge, bridge.tap("a"):
            bridge(bridge.x)
            assert not any(p.requires_grad for p in case.net.parameters())
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert _look(case.net) == before


class Normed(nn.Module):
    """BatchNorm, dropout and noise around one layer of neurons, on [T, N, 4]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lin, self.norm, self.drop = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)
        self.a, self.out = snnlens.IF(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        currents = self.norm(self.lin(x).flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.out(self.drop(self.a(3 * currents + torch.rand(1))))


def _settled() -> tuple[Normed, Tensor]:
    net, x = Normed(), torch.rand(5, 4, 4)
    net(x)
    return net.train(), x


def test_norms_and_dropout_are_in_evaluation_mode_and_draws_repeat() -> None:
    net, x = _settled()
    before = _look(net)
    with snnlens.bridge(net, x) as bridge:
        assert not net.norm.training
        assert not net.drop.training
        assert net.a.training
        found = bridge(bridge.x)
        assert torch.equal(bridge(bridge.x), found)  # the same noise, whoever drew in between
    assert _look(net) == before
    with snnlens.bridge(net, x, seed=1) as bridge:
        assert not torch.equal(bridge(bridge.x), found)


def test_a_norm_that_has_seen_no_batch_is_refused() -> None:
    with pytest.raises(InputError) as error, snnlens.bridge(Normed(), torch.rand(5, 4, 4)):
        pass
    assert str(error.value) == (
        "the running statistics of norm must be of the training data; got 'of no batch'; train it "
        "or load weights: as it is it may be silent, and every map zero"
    )


@pytest.mark.parametrize("mode", ["m", "s"])
def test_a_neuron_that_drops_its_surrogate_in_evaluation_mode_keeps_it(mode: str) -> None:
    """SpikingJelly's ComplementaryLIFNode (of older releases, IF and LIF too): bare it has none."""
    neuron = nets.imported("spikingjelly.activation_based.neuron")
    functional = nets.imported("spikingjelly.activation_based.functional")
    kind = nets.TimeFirst if mode == "m" else nets.Looping
    net = kind(lambda: neuron.ComplementaryLIFNode(step_mode=mode)).eval()
    x = nets.movie().requires_grad_()
    bare = torch.autograd.grad(net(x).sum(), x, allow_unused=True)[0]
    assert bare is None or not bare.any()
    functional.reset_net(net)
    for method in ("saliency", "ig"):
        maps = snnlens.attribute(net, nets.movie(), 1, method=method, time_axis=0)
        assert maps.values.any(), method
    assert not net.a.training


# --- what it does not take --------------------------------------------------------------------


def test_one_of_several_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin, self.a = nn.Linear(3, 2), snnlens.IF()

        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            spikes = self.a(self.lin(x))
            return spikes, {"twice": 2 * spikes.mean(0)}

    net, x = Two(), torch.rand(5, 4, 3) * 4
    with snnlens.bridge(net, x) as one, snnlens.bridge(net, x, output=1) as two:
        torch.testing.assert_close(2 * one(one.x), two(two.x))
        assert (one.has_time, two.has_time) == (True, False)
    with pytest.raises(InputError) as error, snnlens.bridge(net, x, output=2):
        pass
    assert "the index of the output must be" in str(error.value)


class Pictures(nn.Module):
    """An output that keeps rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a = nn.Conv2d(2, 3, 3), snnlens.IF()

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))


def test_an_output_that_is_no_score_is_refused() -> None:
    with pytest.raises(InputError) as error, snnlens.bridge(Pictures(), torch.rand(5, 4, 2, 6, 6)):
        pass
    assert str(error.value) == (
        "the output must be one score per class: [N, classes], [T, N, classes] or [N, T, classes]; "
        "got [5, 2, 3, 4, 4]; choose another with output"
    )


def test_layers_that_see_another_batch_are_refused() -> None:
    """Time was said to be where the samples are."""
    net = nn.Sequential(nn.Linear(3, 2), snnlens.IF())
    with pytest.raises(InputError) as error, snnlens.bridge(net, torch.rand(5, 4, 3), time_axis=1):
        pass
    assert str(error.value) == (
        "the batch that 1 sees must be 1, as was shown; got 4; say which axis is time with "
        "time_axis, per_step where forward takes one step; build folded layers with num_timesteps, "
        "not with batch_size"
    )


def test_a_layer_that_is_built_for_one_size_of_batch() -> None:
    net = nets.Folded(nets.iaf("IAFSqueeze", batch_size=N))
    given = nets.movie().transpose(0, 1).flatten(0, 1)
    with pytest.raises(InputError) as error, snnlens.bridge(net, given, Y):
        pass
    assert str(error.value) == (
        'the model must be able to take 1 of the samples alone; got "RuntimeError: shape '
        "'[3, -1, 3, 4, 4]' is invalid for input of size 240\"; build folded layers with "
        "num_timesteps, not with batch_size"
    )


def test_how_much_a_sample_depends_on_its_batch() -> None:
    """Nothing where samples are independent; much where a layer takes the mean over the batch."""

    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(1, keepdim=True)

    x = torch.rand(5, 4, 3) * 4
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 2), snnlens.IF())
    mixed = nn.Sequential(Centred(), net[0], net[1])
    with snnlens.bridge(net, x) as one, snnlens.bridge(mixed, x) as two:
        assert one.alone_difference == 0
        assert two.alone_difference > 0.1
    with snnlens.bridge(net, x[:, :1], time_axis=0) as alone:
        assert alone.alone_difference is None
