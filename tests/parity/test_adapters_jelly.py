"""The SpikingJelly adapter against SpikingJelly: replayed membranes, states, streamed numbers."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.adapters import _blocks
from snnlens.adapters.spikingjelly import GRADED, SpikingJelly, surrogate
from snnlens.models.resnet import resnet
from snnlens.neuron import equations
from snnlens.neuron import surrogate as own
from tests.parity import jelly, streams

pytestmark = pytest.mark.parity
ADAPTER = SpikingJelly()


@pytest.fixture(scope="module")
def sj() -> Any:
    pytest.importorskip("spikingjelly")
    return jelly.load()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- what is a spiking layer -------------------------------------------------------------------


def test_claims_every_node_but_the_non_spiking_ones(sj: Any) -> None:
    nodes = {n: c for n, c in vars(sj.neuron).items()
             if inspect.isclass(c) and issubclass(c, nn.Module)}  # fmt: skip
    claimed = {n for n, c in nodes.items() if ADAPTER.claims(c.__new__(c))}
    assert {n for n in nodes if "NonSpiking" in n} == nodes.keys() - claimed
    assert len(claimed) > 25
    assert claimed >= set(GRADED)
    layers = [sj.layer.Linear(2, 2), sj.layer.Dropout(), sj.surrogate.ATan(), nn.ReLU()]
    assert not any(ADAPTER.claims(m) for m in layers)


def test_layout_is_the_step_mode(sj: Any) -> None:
    x = torch.zeros(4, 2, 3)
    for node, lies in [
        (sj.neuron.IFNode(step_mode="m"), "time first"),
        (sj.neuron.IFNode(step_mode="s"), "one step"),
        (sj.neuron.PSN(T=4), "time first"),  # it has no step_mode to ask
        (sj.neuron.SlidingPSN(k=2, step_mode="s"), "one step"),
    ]:
        assert ADAPTER.layout(node, x).lies == lies


def test_graded(sj: Any) -> None:
    smooth = sj.neuron.IFNode(surrogate_function=sj.surrogate.ATan(spiking=False))
    nodes = [sj.neuron.ILIFNode(), sj.neuron.TernaryIFNode(), sj.neuron.TernaryLIFNode(), smooth]
    assert all(ADAPTER.graded(n) for n in nodes)
    assert not any(ADAPTER.graded(n) for n in (sj.neuron.IFNode(), sj.neuron.PSN(T=2)))
    assert not any(ADAPTER.replays(n) for n in nodes)
    x = 3 * torch.randn(20, 50, generator=_seeded(0))
    for node in nodes:  # and so it is
        assert not torch.isin(
            torch.cat([node(x[:, i]) for i in range(50)]), torch.tensor([0.0, 1.0])
        ).all()


# --- the membrane that snnlens computes --------------------------------------------------------

NODES: dict[str, Callable[[Any, Any], nn.Module]] = {
    "IF": lambda n, k: n.IFNode(**k),
    "IF threshold": lambda n, k: n.IFNode(v_threshold=0.3, **k),
    "half threshold IF": lambda n, k: n.HalfThresholdIFNode(v_threshold=0.7, **_soft(k)),
    "LIF": lambda n, k: n.LIFNode(tau=2.0, **k),
    "LIF 3": lambda n, k: n.LIFNode(tau=3.0, v_threshold=0.6, **k),
    "LIF, input kept": lambda n, k: n.LIFNode(tau=1.7, decay_input=False, **k),
    "PLIF": lambda n, k: n.ParametricLIFNode(init_tau=2.3, **k),
    "PLIF, input kept": lambda n, k: n.ParametricLIFNode(init_tau=3.0, decay_input=False, **k),
    "simple IF": lambda n, k: n.SimpleIFNode(**k),
    "simple LIF": lambda n, k: n.SimpleLIFNode(tau=3.0, decay_input=True, **k),
    "simple LIF, input kept": lambda n, k: n.SimpleLIFNode(tau=3.0, decay_input=False, **k),
}
RESETS = {"hard": 0.0, "hard, not to 0": -0.25, "soft": None}


def _soft(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if k != "v_reset"}


def _currents(kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Random currents, or multiples of 1/8, which meet thresholds exactly."""
    if kind == "ties":
        return (torch.randint(-4, 25, shape, generator=_seeded(1)) / 8).to(dtype)
    return torch.randn(shape, generator=_seeded(2), dtype=dtype) + 0.5


def _replayed(node: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """What the node fires in one call, what the equations fire, and H [T, ...]."""
    rule, start = ADAPTER.rule(node), ADAPTER.start(node, args, {})
    assert rule is not None
    x, rate = ADAPTER.layout(node, args[0]).time_first(args[0]), ADAPTER.rate(node)
    v = equations.start(x, rule) if start is None else start
    theirs = ADAPTER.layout(node, args[0]).time_first(node(*args))
    seen = list(equations.steps(x, v, rule, rate))
    return theirs, torch.stack([s.spike for s in seen]), torch.stack([s.membrane for s in seen])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["ties", "random"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("name", NODES)
def test_equations_give_the_same_spikes(
    sj: Any, name: str, mode: str, reset: str, dtype: torch.dtype, kind: str
) -> None:
    if name.startswith("simple LIF") and reset == "soft":
        with pytest.raises(TypeError):  # SpikingJelly cannot compute it either
            sj.neuron.SimpleLIFNode(2.0, True, v_reset=None)(torch.zeros(1))
        return
    node = NODES[name](sj.neuron, {"step_mode": mode, "v_reset": RESETS[reset]}).to(dtype)
    x = _currents(kind, (24, 40, 50), dtype)
    mismatches = fired = ties = 0
    for call in x if mode == "s" else x.split(8):  # the state goes on from call to call
        theirs, ours, h = _replayed(node, (call,))
        mismatches += int((theirs != ours).sum())
        fired += int(ours.sum())
        ties += int((h == ADAPTER.rule(node).threshold).sum())  # type: ignore[union-attr]
    assert ADAPTER.replays(node)
    assert mismatches == 0
    assert 500 < fired < x.numel() - 500
    if kind == "ties" and name == "IF":
        assert ties > 100


def test_rule_says_what_the_node_says(sj: Any) -> None:
    atan = sj.surrogate.ATan(3.0)
    node = sj.neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=0.5, v_reset=-0.1,
                             surrogate_function=atan, detach_reset=True)  # fmt: skip
    assert ADAPTER.rule(node) == equations.Rule(
        "lif", 0.5, "hard", -0.1, own.ATan(3.0), detach_reset=True, tau_steps=3.0, decay_input=False
    )
    soft = ADAPTER.rule(sj.neuron.IFNode(v_reset=None))
    assert soft == equations.Rule("if", 1.0, "soft", 0.0, own.Sigmoid(4.0), detach_reset=False)
    assert ADAPTER.rate(node) is None


@pytest.mark.parametrize("decay_input", [True, False])
def test_gradient_is_that_of_the_rule(sj: Any, decay_input: bool) -> None:
    """sigma', the reset's gradient and 1 / tau, all at once, against `equations.backward`."""
    for v_reset, detach in ((0.0, True), (None, False), (-0.2, False)):
        node = sj.neuron.ParametricLIFNode(2.5, decay_input, v_reset=v_reset, detach_reset=detach,
                                           step_mode="m").double()  # fmt: skip
        x = _currents("random", (6, 20, 5), torch.float64).requires_grad_()
        grad = torch.randn(x.shape, generator=_seeded(3), dtype=x.dtype)
        node(x).backward(grad)
        rule, rate = ADAPTER.rule(node), ADAPTER.rate(node)
        assert rule is not None
        assert rate is not None
        assert x.grad is not None
        with torch.no_grad():
            v = equations.start(x, rule)
            by_x, by_rate = equations.backward(grad, x.detach(), v, rule, rate)
        # float64, five steps, the same operations in another order; measured below 1e-14
        torch.testing.assert_close(by_x, x.grad, rtol=1e-12, atol=1e-12)
        by_w = by_rate * rate.detach() * (1 - rate.detach())  # type: ignore[operator]
        torch.testing.assert_close(by_w, node.w.grad, rtol=1e-12, atol=1e-12)


def test_a_subclass_with_its_own_arithmetic_has_no_rule(sj: Any) -> None:
    class Same(sj.neuron.IFNode):  # type: ignore[misc, name-defined]
        pass

    class Doubled(sj.neuron.IFNode):  # type: ignore[misc, name-defined]
        def single_step_functional_forward(self, inputs: Any, states: Any, **more: Any) -> Any:
            return super().single_step_functional_forward((2 * inputs[0],), states, **more)

    assert ADAPTER.replays(Same())
    assert ADAPTER.claims(Doubled())
    assert ADAPTER.rule(Doubled()) is None
    assert not ADAPTER.replays(Doubled())
    n = sj.neuron
    others = [n.ILIFNode(), n.TernaryLIFNode(), n.KLIFNode(), n.QIFNode(), n.EIFNode(),
              n.IzhikevichNode(), n.ComplementaryLIFNode(), n.OTTTLIFNode(), n.SLTTLIFNode(),
              n.ActivationAwareIFNode(), n.DSRIFNode(), n.LIAFNode(torch.tanh, False)]  # fmt: skip
    assert all(ADAPTER.claims(o) and ADAPTER.rule(o) is None for o in others)


def test_a_membrane_in_a_short_dtype_is_not_replayed(sj: Any) -> None:
    node = sj.neuron.IFNode()
    node._neuron_precision = (torch.bfloat16, "fp32", "fp32")
    assert ADAPTER.rule(node) is not None
    assert not ADAPTER.replays(node)
    node = sj.neuron.IFNode()
    node.v_threshold = nn.Parameter(torch.ones(3))
    assert ADAPTER.rule(node) is None


# --- the state that a call begins with ---------------------------------------------------------


def test_state_before_a_call(sj: Any) -> None:
    x = torch.full((4, 2, 3), 0.3)
    node = sj.neuron.IFNode(step_mode="m", v_reset=-0.5)
    assert ADAPTER.at_rest(node, (x,), {})
    assert ADAPTER.start(node, (x,), {}) is None
    node(x)
    assert not ADAPTER.at_rest(node, (x,), {})
    assert torch.equal(ADAPTER.start(node, (), {"x_seq": x}), node.v)  # type: ignore[arg-type]
    fewer = (x[:, :1],)  # another batch size: SpikingJelly starts anew
    assert ADAPTER.at_rest(node, fewer, {})
    assert ADAPTER.start(node, fewer, {}) is None
    ADAPTER.reset_layer(node)
    assert ADAPTER.at_rest(node, (x,), {})


def test_a_start_that_is_not_the_reset_potential(sj: Any) -> None:
    x = torch.zeros(2, 3)
    half = sj.neuron.HalfThresholdIFNode(v_threshold=0.8)
    assert ADAPTER.at_rest(half, (x,), {})  # that is its rest
    assert torch.equal(ADAPTER.start(half, (x,), {}), torch.full((2, 3), 0.4))  # type: ignore[arg-type]
    half(torch.zeros(5, 3))
    assert torch.equal(ADAPTER.start(half, (x,), {}), torch.full((2, 3), 0.4))  # type: ignore[arg-type]
    warm = sj.neuron.IFNode()
    warm.v = 0.25
    assert not ADAPTER.at_rest(warm, (x,), {})
    assert torch.equal(ADAPTER.start(warm, (x,), {}), torch.full((2, 3), 0.25))  # type: ignore[arg-type]
    simple = sj.neuron.SimpleIFNode(v_reset=-0.5)  # it begins at 0 all the same
    assert torch.equal(ADAPTER.start(simple, (x,), {}), torch.zeros(2, 3))  # type: ignore[arg-type]
    simple.v = torch.tensor([0.1, 0.2, 0.3])  # it broadcasts
    assert ADAPTER.start(simple, (x,), {}).shape == (2, 3)  # type: ignore[union-attr]
    assert not ADAPTER.at_rest(simple, (x,), {})


def test_queues_of_the_psn_family_are_a_state(sj: Any) -> None:
    x = torch.zeros(2, 3)
    for node in (sj.neuron.SlidingPSN(k=2, step_mode="s"),
                 sj.neuron.MaskedPSN(k=2, T=4, lambda_init=1.0, step_mode="s")):  # fmt: skip
        assert ADAPTER.at_rest(node, (x,), {})
        node(x)
        assert not ADAPTER.at_rest(node, (x,), {})
        node.step_mode = "m"
        assert ADAPTER.at_rest(node, (torch.zeros(4, 2, 3),), {})


def test_reset_is_reset_net(sj: Any) -> None:
    def used() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(sj.layer.Linear(3, 4), sj.neuron.LIFNode(), sj.layer.Dropout(0.5),
                              sj.layer.SynapseFilter(), sj.neuron.SlidingPSN(2))  # fmt: skip
        model(torch.rand(2, 3))
        return model

    ours, theirs, untouched = used(), used(), used()
    ADAPTER.reset(ours)
    sj.functional.reset_net(theirs)
    states = [str([m._memories for m in model.modules() if hasattr(m, "_memories")])
              for model in (ours, theirs, untouched)]  # fmt: skip
    assert states[0] == states[1] != states[2]


# --- PSN ---------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_membrane_of_the_psn_family(sj: Any, share: float) -> None:
    """H = W x + b + 1 against a product written out in float64, and the spikes against H >= 1."""
    torch.manual_seed(0)
    x = torch.randn(4, 6, 5)
    masked = sj.neuron.MaskedPSN(k=2, T=4, lambda_init=share, step_mode="m")
    for node in (sj.neuron.PSN(T=4), masked, sj.neuron.SlidingPSN(k=3, step_mode="m")):
        spikes = node(x)
        h = ADAPTER.membrane(node, (x,), {}, spikes, None)
        assert h is not None
        assert ADAPTER.rule(node).threshold == 1  # type: ignore[union-attr]
        assert torch.equal(h >= 1, spikes.bool())
        torch.testing.assert_close(h.double(), _psn_by_hand(node, x), rtol=0, atol=1e-6)  # float32
        assert not ADAPTER.replays(node)
        assert ADAPTER.current(node, (x,), {}) is None


def _psn_by_hand(node: Any, x: Tensor) -> Tensor:
    h, kind = torch.zeros(x.shape, dtype=torch.float64), type(node).__name__
    for t in range(len(x)):
        for s in range(len(x)):
            if kind == "SlidingPSN":
                w = float(node.weight[node.k - 1 - (t - s)]) if 0 <= t - s < node.k else 0.0
            else:
                w = float(node.weight[t, s])
            if kind == "MaskedPSN":
                w *= 1.0 if 0 <= t - s < node.k else 1 - float(node.lambda_)
            h[t] += w * x[s].double()
        h[t] += float(node.bias if kind == "SlidingPSN" else node.bias[t]) + 1
    return h


@torch.no_grad()
def test_membrane_of_the_psn_family_step_by_step(sj: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 6, 5)
    for node in (sj.neuron.MaskedPSN(k=2, T=4, lambda_init=1.0), sj.neuron.SlidingPSN(k=3)):
        steps = copy.deepcopy(node)
        node.step_mode, steps.step_mode = "m", "s"
        h = []
        for row in x:
            spikes = steps(row)
            h.append(ADAPTER.membrane(steps, (row,), {}, spikes, None))
            assert torch.equal(h[-1] >= 1, spikes.bool())  # type: ignore[operator]
        whole = ADAPTER.membrane(node, (x,), {}, node(x), None)
        # float32 sums of 4 products in another order
        torch.testing.assert_close(torch.stack(h), whole, rtol=0, atol=1e-6)  # type: ignore[arg-type]


# --- surrogates --------------------------------------------------------------------------------

TWINS = {
    "ATan()": own.ATan(2.0), "ATan(alpha=3.0)": own.ATan(3.0),
    "Sigmoid()": own.Sigmoid(4.0), "Sigmoid(alpha=1.5)": own.Sigmoid(1.5),
    "PiecewiseQuadratic()": own.Triangular(1.0),
    "PiecewiseQuadratic(alpha=2.5)": own.Triangular(2.5),
    "Rect()": own.Rectangular(1.0), "Rect(alpha=0.5)": own.Rectangular(0.5),
    "SuperSpike()": own.SuperSpike(1.0), "SoftSign()": own.SuperSpike(2.0),
    "DeterministicPass()": own.Constant(),
}  # fmt: skip
OTHERS = ["PiecewiseExp()", "SuperSpike(alpha=2.0)", "SoftSign(alpha=3.0)", "NonzeroSignLogAbs()",
          "Erf()", "PiecewiseLeakyReLU()", "SquarewaveFourierSeries()", "S2NN()",
          "QPseudoSpike()", "LeakyKReLU()", "FakeNumericalGradient()",
          "LogTailedReLU()"]  # fmt: skip
GRID = torch.linspace(-3, 3, 1201, dtype=torch.float64)  # with 0 and all corners in it


def _by_backward(function: Callable[[Tensor], Tensor]) -> Tensor:
    x = GRID.clone().requires_grad_()
    function(x).sum().backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("text", [*TWINS, *OTHERS])
def test_surrogate_has_their_derivative(sj: Any, text: str) -> None:
    theirs = eval(f"s.{text}", {"s": sj.surrogate})
    found = surrogate(theirs)
    assert found is not None
    assert found == TWINS.get(text, own.ByAutograd("", theirs))
    # float64; 1 - sigmoid(12) of theirs cancels to 4e-11 of its value
    torch.testing.assert_close(found.derivative(GRID), _by_backward(theirs), rtol=1e-10, atol=1e-15)


def test_every_surrogate_of_spikingjelly_was_looked_at(sj: Any) -> None:
    base = sj.surrogate.SurrogateFunctionBase
    there = {n for n, c in vars(sj.surrogate).items()
             if inspect.isclass(c) and issubclass(c, base) and c is not base}  # fmt: skip
    seen = {text.partition("(")[0] for text in [*TWINS, *OTHERS]}
    assert there - seen == {"PoissonPass", "MultiLevelSpikeCount"}


def test_surrogates_that_none_may_ask(sj: Any) -> None:
    """A random one would move the random state, a smooth one gives no spikes."""
    poisson = sj.neuron.IFNode(surrogate_function=sj.surrogate.PoissonPass())
    assert ADAPTER.rule(poisson) is None
    smooth = sj.surrogate.ATan(spiking=False)
    assert ADAPTER.rule(sj.neuron.IFNode(surrogate_function=smooth)) is None
    learned = sj.surrogate.ATan(alpha=nn.Parameter(torch.tensor(2.0)))
    assert surrogate(learned) == own.ByAutograd("", learned)


# --- streamed numbers --------------------------------------------------------------------------


class Net(nn.Module):
    """Three nodes; in step mode s the loop over time is inside or outside."""

    def __init__(self, sj: Any, mode: str, *, loop_inside: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        n = sj.neuron
        self.body = nn.Sequential(
            sj.layer.Linear(6, 9), n.LIFNode(v_threshold=0.4), sj.layer.Linear(9, 8),
            n.ParametricLIFNode(v_reset=None, v_threshold=0.3), sj.layer.Linear(8, 5),
            n.IFNode(v_reset=-0.1, v_threshold=0.3, surrogate_function=sj.surrogate.Erf()),
        )  # fmt: skip
        sj.functional.set_step_mode(self.body, mode)
        self.loop_inside = loop_inside
        self.double()
        with torch.no_grad():  # so that the last layer fires in the first step
            for p in self.parameters():
                p.mul_(3 if p.dim() else 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.loop_inside:
            return torch.stack([self.body(step) for step in x])
        out: Tensor = self.body(x)
        return out


def _batches(steps: int, sizes: tuple[int, ...]) -> list[Tensor]:
    return [2 * torch.randn(steps, b, 6, generator=_seeded(b), dtype=torch.float64) for b in sizes]


def _loss(out: Tensor) -> Tensor:
    return (out * torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)).sum()


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("way", ["multi-step", "loop inside", "loop outside"])
def test_streamed_numbers_equal_brute_force(sj: Any, way: str, steps: int, reset: bool) -> None:
    batches = _batches(steps, (3, 3, 3) if not reset else (3, 2, 4))

    def run(model: nn.Module) -> None:
        for x in batches:
            if way == "loop outside":
                _loss(torch.stack([model(step) for step in x])).backward()
            else:
                _loss(model(x)).backward()
            if reset:
                sj.functional.reset_net(model)
            else:
                sj.functional.detach_net(model)

    mode = "m" if way == "multi-step" else "s"
    calls = [1] * 3 if mode == "m" else [steps] * 3
    if not reset and (way == "loop outside" or (mode == "s" and steps == 1)):
        calls = [3 * steps]  # nothing says where a sequence ends: it is one long one
    record = streams.compare(
        lambda: Net(sj, mode, loop_inside=way == "loop inside"), run, calls, steps=mode == "s"
    )
    assert (record.tables["firing_rate"].groupby("site")["total"].sum() > 0).all()
    facts = record.networks["model"]
    assert facts["frameworks"] == ["spikingjelly"]
    assert facts["spiking_layers"] == 3
    assert facts["binary"]


def test_replay_inside_the_recorder_agrees_on_every_spike(sj: Any) -> None:
    model = Net(sj, "m")
    with snnlens.record(model, probes=["surrogate_active"]) as rec:
        for x in _batches(4, (3, 2)):
            model(x)  # not reset: the second batch is of another size, the third goes on
        model(x)
    sites = rec.record().sites
    assert list(sites["replay_mismatches"]) == [0, 0, 0]
    assert list(sites["replayed"]) == [4 * (3 + 2 + 2) * n for n in (9, 8, 5)]


def test_sew_resnet_is_recorded_with_its_blocks(sj: Any) -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        node = {"spiking_neuron": sj.neuron.IFNode, "surrogate_function": sj.surrogate.ATan()}
        model = sj.sew.sew_resnet18(num_classes=3, cnf="ADD", detach_reset=True, **node)
        sj.functional.set_step_mode(model, "m")
        return model.double()  # type: ignore[no-any-return]

    x = torch.randn(2, 2, 3, 32, 32, generator=_seeded(0), dtype=torch.float64)

    def run(model: nn.Module) -> None:
        _loss(model(x)).backward()

    record = streams.compare(make, run, [1], steps=False)
    outputs = record.sites.query("role == 'block_output'")
    assert list(outputs["block"]) == list(range(8))
    kept = streams.keep(make(), list(outputs["module"]), run)
    table = record.tables["firing_rate"].groupby("site")["total"].sum()
    for site, module in zip(outputs["site"], outputs["module"], strict=True):
        assert table[site] == float(kept[module].outputs[0].detach().sum())
    assert record.frame().query("role == 'block_output'")["largest"].max() > 1  # counts, not spikes


# --- blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [18, 34, 50])
@pytest.mark.parametrize(("family", "connect"), [("sew", "add"), ("sew", "and"), ("spiking", None)])
def test_block_sites_are_those_of_our_network(
    sj: Any, depth: int, family: str, connect: str | None
) -> None:
    kwargs: dict[str, Any] = {"spiking_neuron": sj.neuron.IFNode}
    if connect:
        kwargs["cnf"] = connect.upper()
    prefix = "sew_resnet" if family == "sew" else "spiking_resnet"
    theirs = getattr(getattr(sj, family), f"{prefix}{depth}")(**kwargs)
    ours = resnet(depth, residual=family, connect=connect).sites()
    found = _blocks.block_sites(theirs, ADAPTER.claims)
    known = {"block_input", "block_output"} | ({"block_residual"} if family == "sew" else set())
    wanted = [s for s in ours if s.role in known]  # F(S) of a Spiking block passes no module
    facts = ("name", "reads", "role", "signal", "block", "stage", "area", "block_kind")
    assert [[getattr(s, f) for f in facts] for s in found] == [
        [getattr(s, f) for f in facts] for s in wanted
    ]
    last = "sn3" if depth == 50 else "sn2"
    blocks = _blocks.residual_blocks(theirs, ADAPTER.claims)
    assert {str(b.last).rpartition(".")[2] for b in blocks} == {last}
    assert {(b.residual, b.connect) for b in blocks} == {(family, connect)}
