"""sinabs: what the adapter says of real modules, against hand-written loops and plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.adapters._base import Layout
from snnlens.adapters.sinabs import OfMembrane, Sinabs
from snnlens.errors import InputError
from snnlens.neuron import equations, kernels

layers = pytest.importorskip("sinabs.layers")
activation = pytest.importorskip("sinabs.activation")

Make = Callable[..., nn.Module]
DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 1, 5), (3, 4, 5), (2, 7, 2, 4, 3)]  # [B, T, ...]
SINGLE = activation.SingleSpike
TO_ZERO = activation.MembraneReset()


def lif(**given: Any) -> nn.Module:
    return layers.LIF(tau_mem=3.0, **given)


def less(value: float) -> Any:
    return activation.MembraneSubtract(subtract_value=value)


REPLAYED: dict[str, Make] = {
    "LIF": lambda: lif(spike_fn=SINGLE),
    "LIF, input not scaled": lambda: lif(spike_fn=SINGLE, norm_input=False),
    "LIF, to zero": lambda: lif(spike_fn=SINGLE, reset_fn=TO_ZERO),
    "LIF, threshold 1/2": lambda: lif(spike_fn=SINGLE, spike_threshold=0.5, reset_fn=less(0.5)),
    "LIF, learns alpha": lambda: lif(spike_fn=SINGLE, train_alphas=True),
    "LIF, synapse": lambda: lif(spike_fn=SINGLE, tau_syn=2.0),
    "LIF, synapse, learns alpha": lambda: lif(spike_fn=SINGLE, tau_syn=2.0, train_alphas=True),
    "IAF": lambda: layers.IAF(spike_fn=SINGLE),
    "IAF, synapse, to zero": lambda: layers.IAF(spike_fn=SINGLE, tau_syn=2.0, reset_fn=TO_ZERO),
}
LOOPED: dict[str, Make] = {
    "LIF, many spikes": lambda: lif(norm_input=False),
    "LIF, many spikes, synapse": lambda: lif(tau_syn=2.0),
    "LIF, at most 2 spikes": lambda: lif(spike_fn=activation.MaxSpike(2), norm_input=False),
    "LIF, bounded": lambda: lif(spike_fn=SINGLE, min_v_mem=-0.25, norm_input=False),
    "LIF, takes less": lambda: lif(spike_fn=SINGLE, reset_fn=less(0.25)),
    "LIF, many, to zero": lambda: lif(reset_fn=TO_ZERO, norm_input=False),
    "IAF, many spikes": layers.IAF,
    "IAF, bounded": lambda: layers.IAF(min_v_mem=-1.0),
}
OTHERS: dict[str, Make] = {
    "ALIF": lambda: layers.ALIF(tau_mem=3.0, tau_adapt=5.0),
    "ALIF, synapse": lambda: layers.ALIF(tau_mem=3.0, tau_adapt=5.0, tau_syn=2.0),
    "resets elsewhere": lambda: lif(spike_fn=SINGLE, reset_fn=activation.MembraneReset(-0.5)),
    "threshold per neuron": lambda: layers.IAF(spike_threshold=torch.ones(5)),
    "tau per neuron": lambda: layers.LIF(tau_mem=torch.full((5,), 3.0)),
    "own reset": lambda: lif(reset_fn=lambda spikes, state, threshold: dict(state)),
}


def currents(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Halves, which meet the threshold 1 exactly where nothing leaks, and one step of anything."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 5, shape, generator=generator).to(dtype) / 2
    x[:, -1] = torch.rand(shape[:1] + shape[2:], generator=generator, dtype=dtype) * 3
    return x


def by_hand(module: Any, x: Tensor, v: Any = 0.0, i: Any = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """I, H and spikes [B, T, ...] from the constructor's own numbers, in float64 numpy."""
    decay = 1.0 if isinstance(module, layers.IAF) else np.exp(-1 / 3.0)
    synapse = None if module.alpha_syn_calculated is None else np.exp(-1 / 2.0)
    theta, found = float(module.spike_threshold), []
    gain = 1 - decay if module.norm_input else 1.0
    for given in x.double().numpy().swapaxes(0, 1):
        i = given if synapse is None else synapse * (i + given)
        h = decay * v + gain * i
        s = np.where(h > 0, np.trunc(h / theta), 0.0)
        if module.spike_fn is SINGLE:
            s = (h >= theta) * 1.0
        elif module.spike_fn is not activation.MultiSpike:
            s = np.minimum(s, 2)
        if isinstance(module.reset_fn, activation.MembraneReset):
            v = np.where(s > 0, 0.0, h)
        else:
            takes = module.reset_fn.subtract_value
            v = h - s * (theta if takes is None else takes)
        if module.min_v_mem is not None:
            v = np.maximum(v, float(module.min_v_mem))
        found.append((i, h, s))
    return tuple(torch.from_numpy(np.stack(part, 1)) for part in zip(*found, strict=True))  # type: ignore[return-value]


def replayed(
    adapter: Sinabs, module: nn.Module, x: Tensor, start: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Spikes of the kernel and H of the equations, [B, T, ...]."""
    layout, current = adapter.layout(module, x), adapter.current(module, (x,), {})
    rule, rate = adapter.rule(module), adapter.rate(module)
    assert current is not None
    assert rule is not None
    charged = layout.time_first(current).contiguous()
    v = equations.start(charged, rule) if start is None else start.to(charged.dtype)
    with kernels.backend("reference"):  # no kernel is compiled for a surrogate of sinabs
        spikes, _, _ = kernels.multi_step(charged, v, rule, rate)
    h = [s.membrane for s in equations.steps(charged, v, rule, rate)]
    return spikes.transpose(0, 1), torch.stack(h, 1)


@pytest.mark.parametrize("make", [*REPLAYED.values(), *LOOPED.values(), *OTHERS.values()],
                         ids=[*REPLAYED, *LOOPED, *OTHERS])  # fmt: skip
def test_spiking_layers_are_claimed_batch_first(make: Make) -> None:
    module, adapter, x = make(), Sinabs(), currents((3, 4, 5), torch.float32)
    spikes = adapter.spikes(module, module(x))
    assert adapter.claims(module)
    assert adapter.layout(module, x) == Layout("batch first")
    assert torch.equal(adapter.layout(module, spikes).time_first(spikes)[2], spikes[:, 2])
    assert adapter.graded(module) == (module.spike_fn is not SINGLE)


@pytest.mark.parametrize("make", [
    lambda: layers.ExpLeak(tau_mem=3.0), lambda: layers.ExpLeakSqueeze(tau_mem=3.0, batch_size=1),
    layers.NeuromorphicReLU, lambda: layers.SumPool2d(2), lambda: nn.Linear(2, 2), snnlens.IF,
])  # fmt: skip
def test_what_does_not_spike_is_not_claimed(make: Make) -> None:
    assert not Sinabs().claims(make())


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_laws_have_no_rule(make: Make) -> None:
    module, adapter, x = make(), Sinabs(), currents((3, 4, 5), torch.float32)
    output = module(x)
    assert adapter.rule(module) is None
    assert not adapter.replays(module)
    assert adapter.current(module, (x,), {}) is None
    assert adapter.membrane(module, (x,), {}, output, None) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", REPLAYED.values(), ids=REPLAYED)
def test_the_rule_replays_the_layer(make: Make, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    module, adapter, first, total = make(), Sinabs(), None, 0.0
    assert adapter.replays(module)
    v, i = 0.0, 0.0
    for seed in range(3):  # the state is carried from call to call
        x = currents(shape, dtype, seed)
        start = adapter.start(module, (x,), {})
        assert (start is None) == (first is None)
        first = module(x)
        spikes, h = replayed(adapter, module, x, start)
        wanted_i, wanted_h, wanted = by_hand(module, x, v, i)
        assert torch.equal(spikes, first.to(dtype))
        assert torch.equal(wanted, first.double())
        # sinabs keeps alpha in float32 in float64 too: 6e-8, through up to 7 steps
        torch.testing.assert_close(h.double(), wanted_h, rtol=2e-6, atol=2e-6)
        current = adapter.current(module, (x,), {})
        assert current is not None
        assert not current.requires_grad
        torch.testing.assert_close(current.double(), wanted_i, rtol=2e-6, atol=2e-6)
        v = module.v_mem.detach().double().numpy()
        i = 0.0 if module.i_syn is None else module.i_syn.detach().double().numpy()
        total += float(first.detach().mean())
    assert shape[1] == 1 or 0 < total < 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", LOOPED.values(), ids=LOOPED)
def test_membrane_of_a_layer_that_is_not_replayed(
    make: Make, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    module, adapter, v, i, total = make(), Sinabs(), 0.0, 0.0, 0.0
    assert not adapter.replays(module)
    assert adapter.rule(module) is not None
    for seed in range(3):
        x = currents(shape, dtype, seed)
        start = adapter.start(module, (x,), {})
        output = module(x)
        h = adapter.membrane(module, (x,), {}, output, start)
        assert h is not None
        assert not h.requires_grad
        _, wanted, spikes = by_hand(module, x, v, i)
        assert torch.equal(spikes, output.double())
        torch.testing.assert_close(h.double(), wanted, rtol=2e-6, atol=2e-6)  # alpha in float32
        v = module.v_mem.detach().double().numpy()
        i = 0.0 if module.i_syn is None else module.i_syn.detach().double().numpy()
        total += float(output.detach().sum())
    assert shape[1] == 1 or total > 0


@pytest.mark.parametrize("given", [{"batch_size": 3}, {"num_timesteps": 4},
                                   {"batch_size": 3, "num_timesteps": 4}])  # fmt: skip
@pytest.mark.parametrize("spike_fn", [SINGLE, activation.MultiSpike])
@pytest.mark.parametrize("tau_syn", [None, 2.0])
def test_squeezed_layers_fold_time_into_the_batch(
    given: dict[str, int], spike_fn: Any, tau_syn: float | None
) -> None:
    adapter, x = Sinabs(), currents((3, 4, 5, 2), torch.float32)
    same = {"tau_mem": 3.0, "spike_fn": spike_fn, "tau_syn": tau_syn, "norm_input": False}
    module, plain = layers.LIFSqueeze(**given, **same), layers.LIF(**same)
    folded = x.flatten(0, 1)
    for _ in range(2):
        starts = adapter.start(module, (folded,), {}), adapter.start(plain, (x,), {})
        output, wanted = module(folded), plain(x)
        layout = adapter.layout(module, output)
        assert layout == Layout("folded", 4)
        assert torch.equal(layout.time_first(output), wanted.transpose(0, 1))
        one, other = (adapter.current(m, (y,), {}) for m, y in ((module, folded), (plain, x)))
        assert one is not None
        assert other is not None
        assert torch.equal(one, other.flatten(0, 1))
        h = adapter.membrane(module, (folded,), {}, output, starts[0])
        flat = adapter.membrane(plain, (x,), {}, wanted, starts[1])
        assert h is not None
        assert flat is not None
        assert torch.equal(h, flat.flatten(0, 1))


@pytest.mark.parametrize("make", [
    lambda r: layers.LIFRecurrent(tau_mem=3.0, rec_connect=r, spike_fn=SINGLE, record_states=True),
    lambda r: layers.IAFRecurrent(rec_connect=r, spike_fn=SINGLE),
])  # fmt: skip
def test_recurrent_layers_are_described_only(make: Make) -> None:
    torch.manual_seed(0)
    module, adapter, x = make(nn.Linear(5, 5)), Sinabs(), currents((3, 4, 5), torch.float32)
    output = module(x)
    assert adapter.claims(module)
    assert adapter.rule(module) is not None
    assert not adapter.replays(module)
    assert adapter.current(module, (x,), {}) is None
    assert adapter.membrane(module, (x,), {}, output, None) is None
    assert adapter.at_rest(module, (x[:2],), {})  # another batch: it starts again from zero
    assert not adapter.at_rest(module, (x,), {})


def test_recordings_of_a_recurrent_layer_are_of_the_next_step() -> None:
    """Why they are not read: sinabs keeps the dictionary that the next step writes into."""
    torch.manual_seed(0)
    connect = nn.Linear(3, 3, bias=False)
    module = layers.LIFRecurrent(tau_mem=3.0, rec_connect=connect, record_states=True)
    x = torch.rand(1, 4, 3) * 3
    with torch.no_grad():
        spikes = module(x)
        v, back, membranes = torch.zeros(1, 3), torch.zeros(1, 3), []
        for t in range(4):
            decay = module.alpha_mem_calculated
            membranes.append(decay * v + (1 - decay) * (x[:, t] + back))
            v, back = membranes[-1] - spikes[:, t], connect(spikes[:, t])
        kept = module.recordings["v_mem"]
    assert torch.equal(kept[:, :-1], torch.stack(membranes, 1)[:, 1:])


def test_rest_and_reset() -> None:
    module, adapter, x = lif(tau_syn=2.0), Sinabs(), currents((3, 4, 5), torch.float32)
    assert adapter.at_rest(module, (x,), {})
    first = module(x)
    assert not adapter.at_rest(module, (x,), {})
    assert not adapter.at_rest(module, (), {"input_data": x})
    assert adapter.at_rest(module, (torch.zeros(3, 4, 6),), {})  # other neurons: starts again
    assert not torch.equal(module(x), first)
    leaky = layers.ExpLeak(tau_mem=3.0)
    leaky(x)
    adapter.reset(nn.Sequential(nn.Linear(2, 2), module, leaky))
    assert adapter.at_rest(module, (x,), {})
    assert not leaky.v_mem.any()
    assert torch.equal(module(x), first)


def test_only_the_synapse_is_charged() -> None:
    module, adapter, x = lif(tau_syn=2.0), Sinabs(), currents((3, 4, 5), torch.float32)
    module(x)
    module.v_mem.zero_()
    assert not adapter.at_rest(module, (x,), {})


@pytest.mark.parametrize("tau_syn", [None, 2.0])
def test_another_batch_size_goes_on_from_the_samples_that_sinabs_draws(
    tau_syn: float | None,
) -> None:
    module, adapter = lif(spike_fn=SINGLE, tau_syn=tau_syn), Sinabs()
    module(currents((5, 4, 6), torch.float64))
    x = currents((8, 3, 6), torch.float64, seed=1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    start = adapter.start(module, (x,), {})
    assert torch.equal(torch.get_rng_state(), before)
    found = module(x)
    spikes, _ = replayed(adapter, module, x, start)
    assert start is not None
    assert start.shape == (8, 6)
    assert torch.equal(spikes, found.double())
    assert 0 < spikes.mean() < 1
    torch.manual_seed(4)
    assert not torch.equal(start, adapter.start(module, (x[:5],), {})[[0] * 8])


def test_a_synapse_that_was_not_asked_for_before_the_call_gives_no_current() -> None:
    module, adapter, x = lif(tau_syn=2.0), Sinabs(), currents((3, 4, 5), torch.float32)
    output = module(x)
    assert adapter.current(module, (x,), {}) is None
    assert adapter.membrane(module, (x,), {}, output, None) is None


def test_a_learnt_tau_keeps_the_rule_and_moves_the_rate() -> None:
    module, adapter = lif(spike_fn=SINGLE), Sinabs()
    before, rate = adapter.rule(module), adapter.rate(module)
    with torch.no_grad():
        module.tau_mem.mul_(2)
    assert adapter.rule(module) is before
    assert rate is not None
    assert not rate.requires_grad
    assert rate.item() == pytest.approx(1 - np.exp(-1 / 3))
    assert adapter.rate(module).item() == pytest.approx(1 - np.exp(-1 / 6))
    assert adapter.rate(layers.IAF()) is None


SURROGATES = [
    activation.SingleExponential(), activation.SingleExponential(0.25, 2.0),
    activation.MultiGaussian(), activation.PeriodicExponential(), activation.Heaviside(0.5),
    activation.Gaussian(sigma=0.3),
]  # fmt: skip


@pytest.mark.parametrize("threshold", [1.0, 0.5])
@pytest.mark.parametrize("given", SURROGATES, ids=str)
def test_surrogates_have_sinabs_own_derivative(given: Any, threshold: float) -> None:
    h = torch.linspace(-2, 4, 601, dtype=torch.float64).requires_grad_()
    spikes = SINGLE.apply(h, torch.tensor(threshold), given)
    (wanted,) = torch.autograd.grad(spikes.double().sum(), h)
    adapter = Sinabs()
    rule = adapter.rule(lif(spike_threshold=threshold, surrogate_grad_fn=given))
    assert rule is not None
    found = rule.surrogate.derivative(h.detach() - threshold)
    # (h - threshold) + threshold may miss h by one rounding, which matters at an edge only
    edges = (h.detach() / threshold * 2).frac().abs() < 1e-9
    torch.testing.assert_close(found[~edges], wanted[~edges], rtol=1e-9, atol=1e-12)
    assert rule is adapter.rule(lif(spike_threshold=threshold, surrogate_grad_fn=given))
    assert str(given) in str(rule.surrogate)


def test_surrogates_have_no_primitive() -> None:
    surrogate = OfMembrane(activation.Gaussian(), 1.0)
    assert hash(surrogate) == hash(OfMembrane(activation.Gaussian(), 1.0))
    with pytest.raises(InputError, match=r"^a surrogate with a primitive must be one of atan, "):
        surrogate.primitive(torch.zeros(1))


@pytest.mark.parametrize("name", ["LIF", "LIF, input not scaled", "LIF, to zero", "IAF"])
def test_gradients_of_the_rule_are_sinabs_own(name: str) -> None:
    module, adapter = REPLAYED[name](), Sinabs()
    rule = adapter.rule(module)
    assert rule is not None
    x = currents((3, 5, 4), torch.float64).requires_grad_()
    weight = torch.rand(5, 3, 4, dtype=torch.float64)
    (wanted,) = torch.autograd.grad((module(x).transpose(0, 1) * weight).sum(), x)
    v = torch.zeros(3, 4, dtype=torch.float64)
    replay, _ = equations.loop(x.transpose(0, 1), v, rule, adapter.rate(module))
    (found,) = torch.autograd.grad((replay * weight).sum(), x)
    # sinabs returns float32 spikes of float64 membranes: its gradient has passed float32
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    assert bool((wanted != 0).any())


# --- recorded by the recorder ---------------------------------------------------------------------


class Real(nn.Module):
    """Casts: sinabs returns float32 spikes of float64 currents."""

    def forward(self, x: Tensor) -> Tensor:
        return x.double()


def squeezed(steps: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), layers.IAFSqueeze(num_timesteps=steps), Real(), nn.Flatten(),
        nn.Linear(12, 5), layers.LIFSqueeze(tau_mem=3.0, spike_fn=SINGLE, num_timesteps=steps),
    ).double()  # fmt: skip


def batch_first(_steps: int) -> nn.Sequential:
    connect = nn.Sequential(Real(), nn.Linear(5, 5))
    return nn.Sequential(
        layers.Repeat(nn.Conv2d(2, 3, 3)), layers.IAF(), Real(), nn.Flatten(2),
        nn.Linear(12, 5), layers.LIFRecurrent(tau_mem=3.0, rec_connect=connect), Real(),
        layers.ALIF(tau_mem=3.0, tau_adapt=4.0), layers.ExpLeak(tau_mem=2.0),
    ).double()  # fmt: skip


@pytest.mark.parametrize("time_steps", [1, 4, 7])
@pytest.mark.parametrize("make", [squeezed, batch_first])
def test_streamed_numbers_are_those_of_brute_force(make: Make, time_steps: int) -> None:
    torch.manual_seed(0)
    model = make(time_steps)
    spiking = ["1", "5"] if make is squeezed else ["1", "5", "7"]
    kept: dict[str, Tensor] = {}
    for name in spiking:

        def keep(_module: nn.Module, _args: Any, output: Tensor, name: str = name) -> None:
            output.retain_grad()
            kept[name] = output

        model.get_submodule(name).register_forward_hook(keep)
    totals = {name: np.zeros(time_steps) for name in spiking}
    squares = {name: np.zeros(time_steps) for name in spiking}
    with snnlens.record(model, probes=["firing_rate", "gradient_norm"]) as rec:
        for size in (1, 3, 2):
            x = torch.rand(size, time_steps, 2, 4, 4, dtype=torch.float64) * 8
            Sinabs().reset(model)
            (model(x.flatten(0, 1) if make is squeezed else x) + 1).square().sum().backward()
            for name in spiking:
                shape = (size, time_steps, -1)
                spikes = kept[name].detach().double().numpy().reshape(shape)
                grad = kept[name].grad.double().numpy().reshape(shape)
                totals[name] += spikes.sum((0, 2))
                squares[name] += (grad**2).sum((0, 2))
    record = rec.record()
    assert set(record.sites["site"]) == set(spiking)
    assert (record.sites["time_steps"] == time_steps).all()
    rates, norms = record.tables["firing_rate"], record.tables["gradient_norm"]
    for name in spiking:
        assert rates.loc[rates["site"] == name, "total"].tolist() == totals[name].tolist()
        # the order of a float64 sum
        streamed = norms.loc[norms["site"] == name, "squares"]
        np.testing.assert_allclose(streamed, squares[name], rtol=1e-12)
    assert sum(t.sum() for t in totals.values()) > 0
    assert sum(s.sum() for s in squares.values()) > 0
