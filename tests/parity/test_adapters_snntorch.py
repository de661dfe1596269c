"""The snnTorch adapter against snnTorch: membranes, rules, states, streamed numbers."""

from __future__ import annotations

import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens.adapters.snntorch import SnnTorch, surrogate
from snnlens.neuron import surrogate as own
from snnlens.neuron.equations import Rule
from tests.parity import streams

pytestmark = pytest.mark.parity
ADAPTER = SnnTorch()


@pytest.fixture(scope="module")
def snn() -> Any:
    pytest.importorskip("snntorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("snntorch.utils") and importlib.import_module("snntorch")


@pytest.fixture(autouse=True)
def _no_instances(snn: Any) -> Iterator[None]:
    """snnTorch keeps every layer in a list of its class, and `utils.reset` resets them all."""
    yield
    snn.SpikingNeuron.init()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _eighths(shape: tuple[int, ...], low: int = -2, high: int = 9) -> Tensor:
    """Multiples of 1/8: with beta = 1/2 membranes meet the threshold exactly."""
    return torch.randint(low, high, shape, generator=_seeded(0)) / 8


# --- what is a spiking layer -------------------------------------------------------------------


def test_claims(snn: Any) -> None:
    layers = {n: c for n, c in vars(snn).items() if inspect.isclass(c) and issubclass(c, nn.Module)}
    neurons = {n for n, c in layers.items() if issubclass(c, snn.SpikingNeuron)}
    made = [snn.Leaky(0.5), snn.Synaptic(0.5, 0.4), snn.Alpha(0.5, 0.4), snn.Lapicque(0.5),
            snn.RLeaky(0.5, all_to_all=False), snn.RSynaptic(0.5, 0.4, all_to_all=False),
            snn.SLSTM(3, 3), snn.SConv2dLSTM(2, 2, 3), snn.StateLeaky(0.5, 3),
            snn.LinearLeaky(0.5, 3, 3), snn.DeltaLeaky(beta=0.5, delta_threshold=0.1),
            snn.LeakyParallel(3, 3),
            snn.AssociativeLeaky(3, 2, 2, 4, use_q_projection=False)]  # fmt: skip
    assert all(ADAPTER.claims(m) for m in made)
    assert neurons - {type(m).__name__ for m in made} <= {"SpikingNeuron", "LIF"}
    silent = [
        snn.StateLeaky(0.5, 3, output=False),
        snn.AssociativeLeaky(3, 2, 2, 4),
        nn.Linear(2, 2),
    ]
    assert not any(ADAPTER.claims(m) for m in silent)
    assert not any(ADAPTER.replays(m) for m in made)


def test_layout(snn: Any) -> None:
    x = torch.zeros(4, 2, 3)
    assert ADAPTER.layout(snn.Leaky(0.5), x).lies == "one step"
    for layer in (snn.LeakyParallel(3, 3), snn.StateLeaky(0.5, 3), snn.LinearLeaky(0.5, 3, 3)):
        assert ADAPTER.layout(layer, x).lies == "time first"
        assert ADAPTER.at_rest(layer, (x,), {})


def test_graded(snn: Any) -> None:
    assert not ADAPTER.graded(snn.Leaky(0.5))
    assert not ADAPTER.graded(snn.SLSTM(3, 3))
    assert ADAPTER.graded(snn.Leaky(0.5, graded_spikes_factor=2.0))
    assert ADAPTER.graded(snn.Leaky(0.5, learn_graded_spikes_factor=True))
    assert ADAPTER.graded(snn.LeakyParallel(3, 3, graded_spikes_factor=0.5))


# --- the membrane ------------------------------------------------------------------------------

LAYERS: dict[str, Callable[..., Any]] = {
    "Leaky": lambda snn, **k: snn.Leaky(0.5, **k),
    "Synaptic": lambda snn, **k: snn.Synaptic(0.25, 0.5, **k),
    "RLeaky": lambda snn, **k: snn.RLeaky(0.5, V=-0.5, all_to_all=False, **k),
    "RSynaptic": lambda snn, **k: snn.RSynaptic(0.25, 0.5, V=-0.5, all_to_all=False, **k),
    "Lapicque": lambda snn, **k: snn.Lapicque(R=1.0, C=2.0, **k),
}


@torch.no_grad()
def _called(layer: Any, x: Tensor, *, hidden: bool) -> list[tuple[Tensor | None, Tensor]]:
    """H and the spikes of each step; the state in the module, or handed from call to call."""
    seen: list[tuple[Tensor | None, Tensor]] = []
    state: tuple[Tensor, ...] = ()
    for step in x:
        args = (step,) if hidden else (step, *state)
        start = ADAPTER.start(layer, args, {})
        output = layer(*args)
        if not hidden:
            state = output[-len(inspect.signature(layer.forward).parameters) + 1 :]
        h = ADAPTER.membrane(layer, args, {}, output, start)
        seen.append((h, ADAPTER.spikes(layer, output)))
    return seen


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("name", LAYERS)
def test_membrane_is_what_was_compared_with_the_threshold(
    snn: Any, name: str, reset: str, delay: bool, hidden: bool
) -> None:
    """Theta(H - V_th), Theta(0) = 0, gives every spike, ties included."""
    kwargs: dict[str, Any] = {"reset_mechanism": reset, "init_hidden": hidden}
    if not delay:
        if name == "Lapicque":
            return  # it knows only the late reset
        kwargs["reset_delay"] = False
    layer = LAYERS[name](snn, **kwargs)
    x = _eighths((12, 40, 50), high=17 if name == "Lapicque" else 9)  # which takes half of it
    if name == "RSynaptic" and not delay:  # snnTorch 1.0 divides by the state it was not given
        with pytest.raises(TypeError):
            layer(x[0])
        return
    seen = _called(layer, x, hidden=hidden)
    if name == "RLeaky" and not delay and reset == "zero":
        assert all(h is None for h, _ in seen)  # H (1 - S) does not say what H was
        return
    mismatches = sum(int(((h > 1).float() != s).sum()) for h, s in seen if h is not None)
    ties = sum(int((h == 1).sum()) for h, _ in seen if h is not None)
    fired = sum(int(s.sum()) for _, s in seen)
    assert mismatches == 0
    assert ties > 100
    assert 1000 < fired < x.numel() - 1000


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_membrane_against_a_scalar_loop(snn: Any, reset: str, delay: bool) -> None:
    """H of a Leaky written out in Python numbers: the adapter is not its own proof."""
    layer = snn.Leaky(0.75, reset_mechanism=reset, reset_delay=delay, init_hidden=True)
    x = 0.5 + torch.randn(15, 1, 30, generator=_seeded(3))
    seen = torch.stack([h for h, _ in _called(layer, x, hidden=True) if h is not None])
    for n in range(30):
        v = 0.0
        for t in range(15):
            late = float(v > 1) if reset != "none" else 0.0
            h = 0.75 * (v * (1 - late) if reset == "zero" else v) + float(x[t, 0, n])
            h -= late if reset == "subtract" else 0.0
            assert math.isclose(float(seen[t, 0, n]), h, abs_tol=1e-5)  # float32 over 15 steps
            now = float(h > 1) - late  # what a reset without delay does still
            v = h
            if not delay and reset != "none":
                v -= now if reset == "subtract" else now * h


@torch.no_grad()
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("name", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_membrane_where_a_call_begins_above_the_threshold(snn: Any, name: str, reset: str) -> None:
    """Then even a layer whose reset is not late has one left over from before."""
    layer = LAYERS[name](snn, reset_mechanism=reset, reset_delay=False)
    x = _eighths((40, 50))
    mem = 2 + _eighths((40, 50)).flip(0)
    given = {"spk": (mem > 2).float(), "syn": _eighths((40, 50)).flip(1), "mem": mem}
    names = list(inspect.signature(layer.forward).parameters)[1:]
    states = [given[n] for n in names]
    charge = x - 0.5 * given["spk"] if "spk" in names else x
    charge = charge + 0.25 * given["syn"] if "syn" in names else charge
    start = ADAPTER.start(layer, (x, *states), {})
    output = layer(x, *states)
    h = ADAPTER.membrane(layer, (x, *states), {}, output, start)
    if (name, reset) == ("RLeaky", "zero"):
        assert h is None
        return
    assert h is not None
    assert torch.equal((h > 1).float(), output[0])
    late = (mem > 1).float() if reset != "none" else 0.0
    kept = mem * (1 - late) if reset == "zero" else mem
    wanted = 0.5 * kept + charge - (late if reset == "subtract" else 0.0)
    if reset == "zero" and name != "Leaky":
        wanted = (0.5 * mem + charge) * (1 - late)  # these drop the input as well
    assert torch.equal(h, wanted)  # multiples of 1/32: no rounding


@torch.no_grad()
def test_membrane_of_quantised_states_and_sequences(snn: Any) -> None:
    def quantised(mem: Tensor) -> Tensor:
        return (4 * mem).round() / 4

    x = _eighths((6, 20, 30))
    for delay in (True, False):
        layer = snn.Leaky(0.5, state_quant=quantised, reset_delay=delay, init_hidden=True)
        for h, s in _called(layer, x, hidden=True):
            assert h is not None
            assert torch.equal((h > 1).float(), s)
    for layer in (snn.StateLeaky(0.5, 30), snn.LinearLeaky(0.5, 30, 30)):
        output = layer(x)
        h = ADAPTER.membrane(layer, (x,), {}, output, None)
        assert torch.equal((h > 1).float(), output[0])  # type: ignore[operator]
    alpha = snn.Alpha(0.5, 0.4, init_hidden=True)
    assert ADAPTER.membrane(alpha, (x[0],), {}, alpha(x[0]), None) is None  # no rule says it


def test_membrane_carries_no_graph(snn: Any) -> None:
    x = _eighths((2, 3)).requires_grad_()
    for delay in (True, False):
        layer = snn.Leaky(0.5, learn_beta=True, reset_delay=delay)
        start = ADAPTER.start(layer, (x,), {})
        h = ADAPTER.membrane(layer, (x,), {}, layer(x), start)
        assert h is not None
        assert not h.requires_grad


# --- the rule ----------------------------------------------------------------------------------


def test_rule_describes_the_layer(snn: Any) -> None:
    atan = own.ATan(2.0)
    made = [
        (snn.Leaky(0.75, threshold=0.5), Rule("lif", 0.5, "soft", 0.0, atan, True, 4.0, False)),
        (snn.Leaky(0.75, reset_mechanism="zero", reset_delay=False),
         Rule("lif", 1.0, "hard", 0.0, atan, False, 4.0, False)),
        (snn.Leaky(1.0), Rule("if", 1.0, "soft", 0.0, atan, True)),
        (snn.Leaky(1.5), Rule("if", 1.0, "soft", 0.0, atan, True)),  # beta is clamped to [0, 1]
        (snn.Leaky(-1.0), Rule("lif", 1.0, "soft", 0.0, atan, True, 1.0, False)),
        (snn.Synaptic(0.25, 0.5, reset_mechanism="none"),
         Rule("lif", 1.0, "soft", 0.0, atan, True, 2.0, False)),
        (snn.Lapicque(R=2.0, C=2.0, time_step=0.5),
         Rule("lif", 1.0, "soft", 0.0, atan, True, 8.0, True)),
    ]  # fmt: skip
    for layer, rule in made:
        assert ADAPTER.rule(layer) == rule
        assert ADAPTER.rate(layer) is None
    learned = snn.Leaky(0.5, learn_threshold=True)
    with torch.no_grad():
        learned.threshold.fill_(0.75)
    assert ADAPTER.rule(learned).threshold == 0.75  # type: ignore[union-attr]


def test_no_rule_where_one_number_does_not_say_it(snn: Any) -> None:
    class Odd(snn.Leaky):  # type: ignore[misc, name-defined]
        def _base_state_function(self, input_: Tensor) -> Tensor:
            return super()._base_state_function(2 * input_)

    random = snn.Leaky(0.5, spike_grad=snn.surrogate.SSO())
    layers = [snn.Leaky(torch.tensor([0.5, 0.6])), snn.Leaky(0.5, threshold=torch.ones(3)),
              snn.Alpha(0.5, 0.4), snn.SLSTM(3, 3), snn.SConv2dLSTM(2, 2, 3), random,
              snn.StateLeaky(0.5, 3, kernel_truncation_steps=2),
              snn.LeakyParallel(3, 3)]  # fmt: skip
    assert all(ADAPTER.rule(m) is None for m in layers)
    assert ADAPTER.claims(Odd(0.5))
    assert ADAPTER.rule(Odd(0.5)) is None


@torch.no_grad()
@pytest.mark.parametrize("name", [*LAYERS, "StateLeaky"])
def test_leak_and_gain_are_those_of_the_rule(snn: Any, name: str) -> None:
    """H = leak V + gain current, one step far below the threshold from V = 0.1 with X = 0.2."""
    if name == "StateLeaky":
        layer = snn.StateLeaky(0.6, 3, threshold=9.0)
        x = torch.tensor([0.1, 0.2]).view(2, 1, 1).expand(2, 2, 3)
        h, current = layer(x)[1][1], ADAPTER.current(layer, (x,), {})[1]  # type: ignore[index]
    else:
        layer = LAYERS[name](snn, threshold=9.0)
        if name == "Lapicque":
            layer = snn.Lapicque(R=3.0, C=2.0, threshold=9.0)
        x, zeros = torch.full((2, 3), 0.2), torch.zeros(2, 3)
        states = [torch.full((2, 3), 0.1) if s == "mem" else zeros
                  for s in list(inspect.signature(layer.forward).parameters)[1:]]  # fmt: skip
        h = layer(x, *states)[-1]
        current = ADAPTER.current(layer, (x,), {})
    if name == "RLeaky":
        assert current is None  # input and recurrent spikes: the latter are gone
        current = x
    rule = ADAPTER.rule(layer)
    assert rule is not None and rule.tau_steps is not None and current is not None  # noqa: PT018
    gain = 1 / rule.tau_steps if rule.decay_input else 1.0
    wanted = (1 - 1 / rule.tau_steps) * 0.1 + gain * current
    torch.testing.assert_close(h, wanted, rtol=1e-6, atol=0)  # float32, one step


def test_synaptic_current_is_what_charged_the_membrane(snn: Any) -> None:
    x = _eighths((5, 4, 6))
    layer = snn.Synaptic(0.5, 0.75, init_hidden=True)
    syn = torch.zeros(4, 6)
    for step in x:
        layer(step)
        syn = 0.5 * syn + step
        assert torch.equal(ADAPTER.current(layer, (step,), {}), syn)  # type: ignore[arg-type]
    for other in (snn.Alpha(0.5, 0.4), snn.SLSTM(6, 6), snn.LinearLeaky(0.5, 6, 6)):
        assert ADAPTER.current(other, (x[0],), {}) is None


# --- surrogates --------------------------------------------------------------------------------

TWINS = {"atan()": own.ATan(2.0), "atan(alpha=3)": own.ATan(3.0),
         "fast_sigmoid()": own.SuperSpike(25.0), "fast_sigmoid(slope=2.5)": own.SuperSpike(2.5),
         "straight_through_estimator()": own.Constant()}  # fmt: skip
OTHERS = ["sigmoid()", "triangular()", "heaviside()", "spike_rate_escape()", "SFS()",
          "custom_surrogate(lambda x, grad, spikes: grad * x)"]  # fmt: skip


@pytest.mark.parametrize("text", [*TWINS, *OTHERS])
def test_surrogate_has_their_derivative(snn: Any, text: str) -> None:
    theirs = eval(f"s.{text}", {"s": snn.surrogate})
    layer = snn.Leaky(0.5, spike_grad=theirs)
    found = ADAPTER.rule(layer).surrogate  # type: ignore[union-attr]
    assert found == TWINS.get(text, own.ByAutograd("", theirs))
    x = torch.linspace(-2, 2, 801).requires_grad_()
    theirs(x).sum().backward()
    # float32: one rounding for each of five operations
    torch.testing.assert_close(found.derivative(x.detach()), x.grad, rtol=1e-6, atol=0)


def test_sigmoid_of_snntorch_is_not_a_sigmoid_far_below_the_threshold(snn: Any) -> None:
    """Why it is left to autograd: exp(-25 x) overflows in float32, and inf / inf^2 is no number."""
    found = surrogate(snn.surrogate.sigmoid(25))
    assert found is not None
    slopes = found.derivative(torch.tensor([-4.0, -3.0, 0.0]))
    assert slopes.isnan().tolist() == [True, False, False]
    assert float(slopes[2]) == 6.25


def test_a_name_is_not_believed(snn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose fast_sigmoid meant something else would go to autograd."""

    def fast_sigmoid(slope: float) -> Callable[[Tensor], Tensor]:
        def inner(x: Tensor) -> Tensor:
            return torch.sigmoid(slope * x)

        return inner

    function = fast_sigmoid(2.0)
    function.__qualname__ = "fast_sigmoid.<locals>.inner"
    function.__module__ = "snntorch.surrogate"
    assert surrogate(function) == own.ByAutograd("", function)


def test_disabled_surrogate_passes_no_gradient(snn: Any) -> None:
    rule = ADAPTER.rule(snn.Leaky(0.5, surrogate_disable=True))
    assert rule is not None
    assert rule.surrogate.at(0.0) == 0


def test_rule_moves_no_random_state(snn: Any) -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    assert ADAPTER.rule(snn.Leaky(0.5, spike_grad=snn.surrogate.SSO())) is None
    assert torch.equal(before, torch.random.get_rng_state())


# --- the state that a call begins with ---------------------------------------------------------


def test_state_before_a_call(snn: Any) -> None:
    x = torch.full((2, 3), 0.3)
    for layer in (snn.Leaky(0.5, init_hidden=True), snn.Synaptic(0.5, 0.4, init_hidden=True),
                  snn.RLeaky(0.5, all_to_all=False, init_hidden=True)):  # fmt: skip
        assert ADAPTER.at_rest(layer, (x,), {})
        assert ADAPTER.start(layer, (x,), {}) is None
        layer(x)
        assert not ADAPTER.at_rest(layer, (x,), {})
        assert torch.equal(ADAPTER.start(layer, (), {"input_": x}), layer.mem)  # type: ignore[arg-type]
        assert ADAPTER.at_rest(layer, (x[:1],), {})  # another batch size begins at zero
        assert ADAPTER.start(layer, (x[:1],), {}) is None
        ADAPTER.reset_layer(layer)
        assert ADAPTER.at_rest(layer, (x,), {})


def test_state_in_the_arguments_goes_first(snn: Any) -> None:
    x, mem = torch.zeros(2, 3), torch.full((2, 3), 0.5)
    layer = snn.Synaptic(0.5, 0.4)
    assert ADAPTER.at_rest(layer, (x, layer.syn, layer.mem), {})  # as init_synaptic gives them
    assert not ADAPTER.at_rest(layer, (x, torch.zeros(2, 3), mem), {})
    assert not ADAPTER.at_rest(layer, (x,), {"syn": mem})
    assert ADAPTER.start(layer, (x, torch.zeros(2, 3), mem), {}) is mem
    assert ADAPTER.start(layer, (x,), {"mem": mem}) is mem
    layer(x, mem, mem)
    assert not ADAPTER.at_rest(layer, (x,), {})  # the module keeps what it was handed
    assert ADAPTER.at_rest(layer, (x, torch.zeros(2, 3), torch.zeros(2, 3)), {})


def test_state_of_the_recurrent_cells(snn: Any) -> None:
    conv, x = snn.SConv2dLSTM(1, 2, 3, init_hidden=True), torch.ones(2, 1, 4, 4)
    assert ADAPTER.at_rest(conv, (x,), {})
    conv(x)
    assert not ADAPTER.at_rest(conv, (x,), {})
    assert ADAPTER.at_rest(conv, (x[:1],), {})
    lstm, y = snn.SLSTM(3, 3, init_hidden=True), torch.ones(2, 3)
    lstm(y)
    assert not ADAPTER.at_rest(lstm, (y,), {})


def test_reset_is_that_of_utils(snn: Any) -> None:
    def used() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(snn.Leaky(0.5, init_hidden=True), snn.Lapicque(0.5, init_hidden=True),
                              snn.Synaptic(0.5, 0.4, init_hidden=True),
                              snn.Alpha(0.5, 0.4, init_hidden=True))  # fmt: skip
        model(torch.rand(2, 3).requires_grad_())
        return model

    def states(model: nn.Module) -> list[Tensor]:
        return [b for n, b in model.named_buffers() if n.rpartition(".")[2][:3] in ("mem", "syn")]

    ours = used()
    assert any(bool(b.any()) for b in states(ours))
    ADAPTER.reset(ours)
    theirs = used()
    snn.utils.reset(theirs)
    for a, b in zip(states(ours), states(theirs), strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad


# --- streamed numbers --------------------------------------------------------------------------


class Net(nn.Module):
    """Leaky, Synaptic and Leaky; states handed on or hidden, the loop over time inside or outside.

    snnTorch fires in float32 whatever it gets: the float64 of the other layers is put back.
    """

    def __init__(self, snn: Any, *, hidden: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = hidden
        kwargs = {"init_hidden": hidden, "threshold": 0.4}
        self.fc = nn.ModuleList([nn.Linear(6, 9), nn.Linear(9, 8), nn.Linear(8, 5)])
        self.sn = nn.ModuleList([
            snn.Leaky(0.8, reset_delay=False, **kwargs),
            snn.Synaptic(0.5, 0.7, spike_grad=snn.surrogate.fast_sigmoid(5), **kwargs),
            snn.Leaky(0.9, reset_mechanism="zero", **kwargs),
        ])  # fmt: skip
        self.double()
        with torch.no_grad():
            for p in self.parameters():
                p.mul_(3)

    def step(self, x: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        after: list[Any] = []
        for fc, sn, state in zip(self.fc, self.sn, states, strict=True):
            output = sn(fc(x), *state)
            spikes, after_this = (output, ()) if self.hidden else (output[0], output[1:])
            x, after = spikes.double(), [*after, after_this]
        return x, after

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return self.step(x, [(), (), ()])[0]
        rest = [sn.reset_mem() for sn in self.sn]
        states = [() if self.hidden else s if isinstance(s, tuple) else (s,) for s in rest]
        out = []
        for step in x:
            spikes, states = self.step(step, states)
            out.append(spikes)
        return torch.stack(out)


def _loss(out: Tensor) -> Tensor:
    return (out * torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)).sum()


def _batches(steps: int, sizes: tuple[int, ...]) -> list[Tensor]:
    return [2 * torch.randn(steps, b, 6, generator=_seeded(b), dtype=torch.float64) for b in sizes]


@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("hidden", [True, False])
def test_streamed_numbers_with_the_loop_inside(snn: Any, hidden: bool, steps: int) -> None:
    def run(model: nn.Module) -> None:
        for x in _batches(steps, (3, 2, 4)):
            _loss(model(x)).backward()

    record = streams.compare(lambda: Net(snn, hidden=hidden), run, [steps] * 3, steps=True)
    assert (record.tables["firing_rate"].groupby("site")["total"].sum() > 0).all()
    assert record.networks["model"]["frameworks"] == ["snntorch"]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_streamed_numbers_with_the_loop_outside(snn: Any, steps: int, reset: bool) -> None:
    def run(model: nn.Module) -> None:
        for x in _batches(steps, (3, 2, 4) if reset else (3, 3, 3)):
            _loss(torch.stack([model(step) for step in x])).backward()
            for layer in model.sn:  # type: ignore[union-attr]
                if reset:
                    layer.reset_mem()  # type: ignore[operator]
                else:
                    type(layer).detach_hidden()  # type: ignore[attr-defined]

    calls = [steps] * 3 if reset else [3 * steps]
    streams.compare(lambda: Net(snn, hidden=True), run, calls, steps=True)


def test_streamed_numbers_of_parallel_layers(snn: Any) -> None:
    class Parallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = snn.LeakyParallel(6, 8, threshold=0.3)
            self.second = snn.StateLeaky(0.6, 8, threshold=0.5)

        def forward(self, x: Tensor) -> Tensor:
            spikes: Tensor = self.second(self.first(x))[0]
            return spikes

    def run(model: nn.Module) -> None:
        for x in _batches(5, (3, 2)):
            _loss(model(x.float())).backward()

    record = streams.compare(Parallel, run, [1, 1], steps=False, rtol=1e-5)  # float32 gradients
    assert list(record.sites["site"]) == ["first", "second"]
    assert (record.tables["firing_rate"].groupby("site")["total"].sum() > 0).all()
