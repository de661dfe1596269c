"""Plain PyTorch: the user's own neuron classes, by hand-written loops and plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.adapters._base import Layout
from snnlens.adapters.plain import Plain
from snnlens.errors import InputError
from snnlens.neuron import equations, kernels
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import Rectangular
from snnlens.probes.firing_rate import FiringRate
from snnlens.probes.gradient_norm import GradientNorm
from snnlens.probes.surrogate_active import SurrogateActive
from snnlens.recording.recorder import Recorder

DTYPES = [torch.float32, torch.float64]


class Step(torch.autograd.Function):
    """Spikes where x >= 0, with a rectangle of width and height 1 for a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * (ctx.saved_tensors[0].abs() < 0.5)


class Mine(nn.Module):
    """A user's leaky neuron, one step per call; the membrane is an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        v = torch.zeros_like(x) if self.v is None else self.v
        h = v + (x - v) / 2
        spikes: Tensor = Step.apply(h - 1)
        self.v = h * (1 - spikes.detach())
        return spikes

    def reset_state(self, *, deep: bool = False) -> None:
        self.v = None


class Told(Mine):
    """The same, and it says so."""

    def snnlens_rule(self) -> Rule:
        return Rule("lif", tau_steps=2.0, surrogate=Rectangular(1.0))

    def snnlens_state(self) -> Tensor | None:
        return self.v


class Counts(nn.Module):
    """Integers 0, 1 and 3, in a tuple in a tuple; a whole sequence at once."""

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, str], None]:
        return (Step.apply(x - 1) + 2 * Step.apply(x - 2), "not a tensor"), None


class Network(nn.Module):
    """A loop over time around the user's neurons."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(2, 3, 3), kind()
        self.linear, self.second = nn.Linear(12, 5), kind()

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.first, self.second):
            part.reset_state()
        steps = [self.second(self.linear(self.first(self.conv(s)).flatten(1))) for s in x]
        return torch.stack(steps)


class Sequence(nn.Module):
    """Layers that take a whole sequence, [T, B, 6] or [B, T, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.counts = nn.Linear(6, 4), Counts()

    def forward(self, x: Tensor) -> Tensor:
        return self.counts(self.linear(x))[0][0]


def test_only_named_classes_and_their_subclasses_are_claimed() -> None:
    adapter = Plain([Mine])
    assert adapter.claims(Mine())
    assert adapter.claims(Told())
    assert not adapter.claims(Counts())
    assert not Plain().claims(Mine())
    assert [type(m) for m in adapter.layers(Network(Told))] == [Told, Told]


@pytest.mark.parametrize(
    ("time", "at"), [("one step", None), ("time first", 0), ("batch first", 1)]
)
def test_layout_is_what_the_user_says(time: Any, at: int | None) -> None:
    x = torch.rand(4, 3, 5)
    layout = Plain([Mine], time=time).layout(Mine(), x)
    assert layout == Layout(time)
    steps = x.unsqueeze(0) if at is None else torch.stack(x.unbind(at))
    assert torch.equal(layout.time_first(x), steps)


def test_a_class_that_says_nothing_gives_spikes_only() -> None:
    module, adapter, x = Mine(), Plain([Mine]), torch.ones(3, 5)
    output = module(x)
    assert adapter.spikes(module, output) is output
    assert adapter.rule(module) is None
    assert not adapter.replays(module)
    assert adapter.current(module, (x,), {}) is None
    assert adapter.start(module, (x,), {}) is None
    assert adapter.at_rest(module, (x,), {}) is None
    assert adapter.rate(module) is None
    assert adapter.membrane(module, (x,), {}, output, None) is None
    assert adapter.graded(module)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 5), (4, 3, 5), (7, 3, 2, 4, 3)])
def test_a_rule_that_the_class_says_is_replayed(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    module, adapter = Told(), Plain([Told])
    x = torch.randint(0, 9, shape, generator=torch.Generator().manual_seed(0)).to(dtype) / 2
    rule, v, fired = adapter.rule(module), np.zeros(shape[1:]), 0.0
    assert rule is not None
    assert adapter.replays(module)
    assert not adapter.graded(module)
    for t, step in enumerate(x):
        assert adapter.at_rest(module, (step,), {}) == (t == 0)
        start, current = adapter.start(module, (step,), {}), adapter.current(module, (step,), {})
        assert current is step
        replayed, _, _ = kernels.multi_step(step[None], start, rule)
        begin = torch.zeros_like(step) if start is None else start
        (seen,) = equations.steps(step[None], begin, rule)
        found = module(step)
        h = v + (step.double().numpy() - v) / 2  # by hand: halves are exact
        spikes = h >= 1
        v = np.where(spikes, 0, h)
        assert torch.equal(replayed[0], found)
        assert found.bool().numpy().tolist() == spikes.tolist()
        assert seen.membrane.double().numpy().tolist() == h.tolist()
        fired += spikes.mean()
    assert len(x) == 1 or 0 < fired < len(x)


def test_start_carries_no_graph() -> None:
    module, adapter, x = Told(), Plain([Told]), torch.rand(3, 5, requires_grad=True)
    module(x)
    start = adapter.start(module, (x,), {})
    assert start is not None
    assert module.v is not None
    assert module.v.requires_grad
    assert not start.requires_grad


def test_a_learnt_rate() -> None:
    class Learnt(Told):
        def snnlens_rule(self) -> Rule:
            return Rule("plif")

        def snnlens_rate(self) -> Tensor:
            return torch.tensor(0.5)

    assert Plain([Learnt]).rate(Learnt()) == torch.tensor(0.5)


class Needs(Mine):
    """Its reset() wants an argument: the next of the three is called."""

    def reset(self, batch: int) -> None:
        raise AssertionError

    def reset_mem(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("kind", [Mine, Needs])
def test_reset_calls_the_first_method_without_arguments(kind: type[Mine]) -> None:
    model, adapter = nn.Sequential(kind(), nn.Linear(5, 5)), Plain([Mine])
    model(torch.full((3, 5), 1.5))
    assert model[0].v is not None
    adapter.reset(model)
    assert model[0].v is None


def test_a_class_without_reset_is_left_alone() -> None:
    Plain([Counts]).reset(nn.Sequential(Counts()))


def test_bad_use() -> None:
    with pytest.raises(InputError) as error:
        Plain([int])
    assert str(error.value) == (
        "a spiking class must be a subclass of nn.Module; got <class 'int'>"
    )
    with pytest.raises(InputError) as error:
        Plain([Mine], time="folded")
    assert str(error.value) == ("time must be one step, time first or batch first; got 'folded'")


def test_bad_answers_of_the_class() -> None:
    class Wrong(Mine):
        def snnlens_rule(self) -> str:
            return "lif"

        def snnlens_state(self) -> float:
            return 0.0

    adapter = Plain([Wrong])
    with pytest.raises(InputError) as error:
        adapter.rule(Wrong())
    assert str(error.value) == (
        "Wrong.snnlens_rule() must be a snnlens.neuron.equations.Rule or None; got 'str'"
    )
    with pytest.raises(InputError) as error:
        adapter.start(Wrong(), (), {})
    assert str(error.value) == "Wrong.snnlens_state() must be a tensor or None; got 'float'"


# --- recorded by the recorder ---------------------------------------------------------------------


def brute(
    model: nn.Module, names: list[str], stacked: Callable[[list[Tensor]], Tensor]
) -> Callable[[], dict[str, tuple[Any, Any]]]:
    """Keep every output of a site with plain hooks; spikes and gradients [T, B, ...], float64."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def keeping(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            found = output if isinstance(output, Tensor) else output[0][0]
            found.retain_grad()
            seen[name].append(found)

        return keep

    for name in names:
        model.get_submodule(name).register_forward_hook(keeping(name))

    def take() -> dict[str, tuple[Any, Any]]:
        taken = {n: (stacked([k.detach() for k in kept]).double().numpy(),
                     stacked([k.grad for k in kept]).double().numpy())
                 for n, kept in seen.items()}  # fmt: skip
        for kept in seen.values():
            kept.clear()
        return taken

    return take


@pytest.mark.parametrize("time_steps", [1, 4, 7])
@pytest.mark.parametrize("kind", [Mine, Told, "time first", "batch first"])
def test_streamed_numbers_are_those_of_brute_force(kind: Any, time_steps: int) -> None:
    torch.manual_seed(0)
    model = (Sequence() if isinstance(kind, str) else Network(kind)).double()
    names = ["counts"] if isinstance(kind, str) else ["first", "second"]
    adapter = Plain([Counts], kind) if isinstance(kind, str) else Plain([Mine])
    turned = kind == "batch first"
    stacked = {"time first": lambda k: k[0], "batch first": lambda k: k[0].transpose(0, 1)}.get(
        kind if isinstance(kind, str) else "", torch.stack
    )
    take = brute(model, names, stacked)
    totals = {name: np.zeros(time_steps) for name in names}
    squares = {name: np.zeros(time_steps) for name in names}
    with Recorder(model, [FiringRate(), GradientNorm()], adapters=[adapter]) as rec:
        for size in (1, 3, 2):
            shape = (time_steps, size, 6) if isinstance(kind, str) else (time_steps, size, 2, 4, 4)
            x = torch.rand(shape, dtype=torch.float64) * 12
            (model(x.transpose(0, 1) if turned else x) + 1).square().sum().backward()
            for name, (spikes, grad) in take().items():
                axes = tuple(range(1, spikes.ndim))
                totals[name] += spikes.sum(axes)
                squares[name] += (grad**2).sum(axes)
    record = rec.record()
    assert list(record.sites["site"]) == names
    assert (record.sites["time_steps"] == time_steps).all()
    rates, norms = record.tables["firing_rate"], record.tables["gradient_norm"]
    for name in names:
        assert rates.loc[rates["site"] == name, "total"].tolist() == totals[name].tolist()
        # the order of a float64 sum
        streamed = norms.loc[norms["site"] == name, "squares"]
        np.testing.assert_allclose(streamed, squares[name], rtol=1e-12)
    assert sum(t.sum() for t in totals.values()) > 0
    assert sum(s.sum() for s in squares.values()) > 0
    if kind in ("time first", "batch first"):
        assert rates["above_one"].sum() > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_recorded_replay_has_no_mismatch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, adapter = Network(Told).to(dtype), Plain([Told])
    with Recorder(model, [FiringRate(), SurrogateActive()], adapters=[adapter]) as rec:
        model(torch.rand(5, 3, 2, 4, 4, dtype=dtype) * 12).sum().backward()
    sites = rec.record().sites.set_index("site")
    assert sites["replayed"].tolist() == [5 * 3 * 12, 5 * 3 * 5]
    assert sites["replay_mismatches"].tolist() == [0, 0]
