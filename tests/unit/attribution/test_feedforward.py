"""Which networks are a product of weights at each step, and the line that refuses the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sinabs.activation
import sinabs.layers
import snntorch
import torch
from torch import Tensor, nn

from snnlens.adapters._survey import survey
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.feedforward import output_layer
from snnlens.attribution.methods._base import Options
from snnlens.attribution.methods.tsa import TSA
from snnlens.errors import InputError
from snnlens.neuron.layers import LIF
from snnlens.neuron.parallel import ParallelIF


def trains(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < 0.5).float()


def bridged(model: nn.Module, x: Tensor, entering: Any = "time first") -> tuple[Bridge, Tensor]:
    bridge = Bridge(model, survey(model), x, entering)
    return bridge, bridge.batch_first(x)


def tsa(model: nn.Module, x: Tensor, entering: Any = "time first", **options: Any) -> Tensor:
    bridge, laid = bridged(model, x, entering)
    return TSA().values(bridge, laid, torch.tensor([0, 1]), Options(**options))


class Readout(nn.Module):
    """One spiking layer, and `after` behind it."""

    def __init__(self, after: Callable[[Tensor], Tensor], before: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.sn, self.out = nn.Linear(5, 6), LIF(threshold=0.2), nn.Linear(6, 3)
        self.after, self.before = after, before or (lambda x: x)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.out(self.sn(self.fc(self.before(x)))))


def refusal(model: nn.Module) -> str:
    with pytest.raises(InputError) as caught:
        tsa(model, trains(6, 2, 5))
    assert "\n" not in str(caught.value)
    return str(caught.value)


MIXES = (
    "the network must be feed-forward: no recurrence, no filter over time, no membrane as output; "
    'got "one that hands a step\'s values to other steps outside its neurons"; '
    "take ig, saliency or occlusion, which ask for nothing"
)
UNEVEN = (
    "the output, which has no time axis, must be a mean or a sum over all steps; "
    "got 'one that weighs steps unlike'; return every step of it"
)
CUT = (
    "the way from the input to the output must be differentiable; got 'one that no derivative "
    "passes'; give at=LAYER, a spiking layer behind what draws spikes"
)


def smoothed(x: Tensor) -> Tensor:
    """A filter over time: half of the step before."""
    return torch.cat([x[:1], x[1:] + x[:-1] / 2])


def test_a_filter_over_time_is_refused_wherever_it_lies() -> None:
    assert refusal(Readout(smoothed)) == MIXES
    assert refusal(Readout(lambda y: y, smoothed)) == MIXES
    assert refusal(Readout(lambda y: y.mean(0), smoothed)) == MIXES
    assert refusal(Readout(lambda y: y.cumsum(0))) == MIXES


def test_an_output_without_a_time_axis_must_be_a_mean() -> None:
    assert refusal(Readout(lambda y: y[-1])) == UNEVEN
    assert refusal(Readout(lambda y: smoothed(y).mean(0))) == UNEVEN
    x = trains(6, 2, 5)
    kept, mean = (tsa(Readout(after), x) for after in (lambda y: y, lambda y: y.mean(0)))
    # float32: the mean over 6 steps is multiplied by 6 again
    torch.testing.assert_close(kept, mean, rtol=1e-5, atol=1e-7 * float(kept.abs().max()))
    assert kept.any()


def test_an_input_that_is_rounded_is_refused() -> None:
    assert refusal(Readout(lambda y: y, lambda x: (x > 0).float())) == CUT


class Recurrent(nn.Module):
    """Its own recurrence: the spikes of a step are added to the current of the next."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.back, self.out = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.sn = LIF(threshold=0.2, keep_state=True)

    def forward(self, x: Tensor) -> Tensor:
        found, spikes = [], torch.zeros(1, x.shape[1], 6)
        for now in x:
            spikes = self.sn((self.fc(now) + self.back(spikes[0]))[None])
            found.append(self.out(spikes[0]))
        return torch.stack(found)


def test_a_recurrence_in_the_users_own_loop_is_refused() -> None:
    assert refusal(Recurrent()) == MIXES


class Looped(nn.Module):
    """snnTorch, step by step; `chosen` says what of a step is the output."""

    def __init__(self, chosen: Callable[[Tensor, Tensor], Tensor], *, total: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.sn1 = nn.Linear(5, 6), snntorch.Leaky(beta=0.8, threshold=0.2)
        self.fc2, self.sn2 = nn.Linear(6, 3), snntorch.Leaky(beta=0.8, threshold=0.2)
        self.chosen, self.total = chosen, total

    def forward(self, x: Tensor) -> Tensor:
        found, m1, m2 = [], x.new_zeros(x.shape[1], 6), x.new_zeros(x.shape[1], 3)
        for now in x:
            s1, m1 = self.sn1(self.fc1(now), m1)
            s2, m2 = self.sn2(self.fc2(s1), m2)
            found.append(self.chosen(s2, m2))
        if not self.total:
            return torch.stack(found)
        added = torch.zeros_like(found[0])
        for part in found:
            added = added + part
        return added / len(found)


def test_a_membrane_as_output_is_refused() -> None:
    assert refusal(Looped(lambda _s, m: m)) == MIXES
    assert refusal(Looped(lambda _s, m: m, total=True)) == UNEVEN


@pytest.mark.parametrize("total", [False, True])
def test_which_layer_is_the_output(total: bool) -> None:
    """Spikes handed on, stacked or added up and divided; not so behind a factor or a sum of two."""
    for chosen, layer in (
        (lambda s, _m: s, "sn2"),
        (lambda s, _m: s.unsqueeze(0).transpose(0, 1).flatten(1), "sn2"),
        (lambda s, _m: 2 * s, None),
        (lambda s, _m: s.relu(), None),
    ):
        assert output_layer(*bridged(Looped(chosen, total=total), trains(6, 2, 5))) == layer


def test_a_product_that_overflows_is_no_reason_to_refuse() -> None:
    """Weights of 1e20, twice, leave float32: the two gradients cannot be compared."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), LIF(), nn.Linear(6, 6), LIF(), nn.Linear(6, 3))
    for layer in (model[0], model[2]):
        layer.weight.data.mul_(1e20)
    assert output_layer(*bridged(model, trains(6, 2, 5))) is None


def test_a_sum_of_two_layers_spikes_is_no_output_layer() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.sn1, self.sn2 = nn.Linear(5, 3), LIF(), LIF(threshold=2.0)

        def forward(self, x: Tensor) -> Tensor:
            current = self.fc(x)
            return self.sn1(current) + self.sn2(current)  # type: ignore[no-any-return]

    assert output_layer(*bridged(Sum(), trains(6, 2, 5))) is None


def test_looking_leaves_no_hook() -> None:
    model = Looped(lambda s, _m: s)
    bridge, x = bridged(model, trains(6, 2, 5))
    before = bridge(x)
    output_layer(bridge, x)
    assert torch.equal(bridge(x), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_foreign_layers_that_are_charged_otherwise_are_refused() -> None:
    """A synapse, and a recurrence within the layer."""

    class Synapse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.out = nn.Linear(5, 6), nn.Linear(6, 3)
            self.sn = snntorch.Synaptic(alpha=0.9, beta=0.8, threshold=0.2, init_hidden=True)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.out(self.sn(self.fc(now))) for now in x])

    class Within(Synapse):
        def __init__(self) -> None:
            super().__init__()
            self.sn = snntorch.RLeaky(beta=0.8, threshold=0.2, linear_features=6, init_hidden=True)

    ask = "; take ig, saliency or occlusion, which ask for nothing"
    assert refusal(Synapse()) == (
        "what charges sn must be the layer's input, nothing more; "
        "got 'a synapse or a recurrence of its own'" + ask
    )
    assert refusal(Within()) == (
        "what charges sn must be the layer's input, nothing more; got 'not known'" + ask
    )


def test_a_leak_that_nobody_knows_is_asked_for() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), ParallelIF(0.2), nn.Linear(6, 3))
    assert refusal(model) == (
        "the leak of 1 must be known for tsa; got 'not known'; "
        "give decay, a factor per step from 0 to 1"
    )
    assert tsa(model, trains(6, 2, 5), decay=1.0).any()


def test_sinabs_with_and_without_a_synapse() -> None:
    def net(synapse: float | None) -> nn.Module:
        torch.manual_seed(0)
        neuron = sinabs.layers.LIF(
            tau_mem=10.0, tau_syn=synapse, spike_threshold=0.05, norm_input=False,
            spike_fn=sinabs.activation.SingleSpike,
        )  # fmt: skip
        return nn.Sequential(nn.Linear(5, 6), neuron, nn.Linear(6, 3))

    x = trains(2, 6, 5)
    assert tsa(net(None), x, "batch first").any()
    with pytest.raises(InputError, match="what charges 1 must be the layer's input"):
        tsa(net(5.0), x, "batch first")
