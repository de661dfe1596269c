"""preserved(model): the model and the random state are bit for bit what they were, on any exit."""

from __future__ import annotations

import random
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.experiments._preserve import preserved
from tests.trust.tally import Count

Build = Callable[[], nn.Module]


def library(name: str) -> Any:
    """Another framework; its import warns of what is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


# --- models that keep a state, one per framework -------------------------------------------------


class State(NamedTuple):
    v: Tensor
    i: Tensor


class Loop(nn.Module):
    """A plain loop with every kind of state that a user's own module may keep."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.drop = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)
        self.v: Tensor | None = None
        self.pair: State | None = None
        self.calls, self.log = 0, {"spikes": []}  # type: ignore[var-annotated]
        self.recent: deque[Tensor] = deque(maxlen=2)
        self.seen: set[int] = set()
        self.hidden = [nn.BatchNorm1d(5)]  # in no _modules: state_dict does not know it
        self.trace = np.zeros(5)
        self.generators = (torch.Generator().manual_seed(3), random.Random(3),
                           np.random.default_rng(3))  # fmt: skip
        self.register_buffer("total", torch.full((5,), -0.0))
        self.register_buffer("missing", torch.tensor(float("nan")))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.add(self.calls)
        noise = torch.rand(5, generator=self.generators[0]) + self.generators[1].random()
        spikes = []
        for step in x:
            current = self.hidden[0](self.norm(self.drop(self.fc(step)))) + noise
            current = current + float(self.generators[2].random()) + np.random.rand()  # noqa: NPY002
            self.v = current if self.v is None else 0.5 * self.v + current
            self.pair = State(self.v, current * random.random())
            spikes.append(torch.sigmoid(4 * (self.v - 1)))
            with torch.no_grad():
                self.total += spikes[-1].sum(0)
            self.trace += float(spikes[-1].detach().sum())
            self.log["spikes"].append(spikes[-1])
            self.recent.append(spikes[-1])
        return torch.stack(spikes)


class Steps(nn.Module):
    """A module of single steps, called once per time step."""

    def __init__(self, *layers: nn.Module, tuples: bool = False) -> None:
        super().__init__()
        self.layers, self.tuples = nn.ModuleList(layers), tuples

    def forward(self, x: Tensor) -> Tensor:
        states: list[Any] = [None] * len(self.layers)
        spikes = []
        for s in x:
            for i, layer in enumerate(self.layers):
                if self.tuples and i % 2:
                    s, states[i] = layer(s, states[i])  # noqa: PLW2901
                else:
                    s = layer(s)  # noqa: PLW2901
            spikes.append(s)
        return torch.stack(spikes)


def jelly(mode: str) -> nn.Module:
    library("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    last = neuron.LIFNode(store_v_seq=mode == "m")
    layers = [layer.Linear(4, 5), layer.BatchNorm1d(5), neuron.ParametricLIFNode(),
              layer.Dropout(0.5), layer.Linear(5, 6), last]  # fmt: skip
    net = nn.Sequential(*layers) if mode == "m" else Steps(*layers)
    functional.set_step_mode(net, mode)
    return net


def snntorch(hidden: bool) -> nn.Module:
    snn = library("snntorch")
    made = [snn.Leaky(beta=0.9, init_hidden=hidden, learn_beta=True),
            snn.Synaptic(alpha=0.8, beta=0.9, init_hidden=hidden)]  # fmt: skip
    if hidden:
        return Steps(nn.Linear(4, 5), made[0], nn.Linear(5, 6), made[1])
    made[1] = snn.Leaky(beta=0.5)
    return Steps(nn.Linear(4, 5), made[0], nn.Linear(5, 6), made[1], tuples=True)


def norse() -> nn.Module:
    torch_norse = library("norse.torch")
    return Steps(nn.Linear(4, 5), torch_norse.LIFCell(), nn.Linear(5, 6),
                 torch_norse.LIFRecurrentCell(6, 6), tuples=True)  # fmt: skip


class BatchFirst(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(0, 1)).transpose(0, 1)  # type: ignore[no-any-return]


def sinabs() -> nn.Module:
    layers = library("sinabs.layers")
    return BatchFirst(nn.Linear(4, 5), layers.LIF(tau_mem=10.0, train_alphas=True), nn.Linear(5, 6),
                      layers.IAF())  # fmt: skip


BUILDS: dict[str, Build] = {
    "plain": Loop,
    "jelly-m": lambda: jelly("m"),
    "jelly-s": lambda: jelly("s"),
    "snntorch-hidden": lambda: snntorch(hidden=True),
    "snntorch-tuples": lambda: snntorch(hidden=False),
    "norse": norse,
    "sinabs": sinabs,
}
every_model = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)


def made(build: Build, *, used: bool) -> tuple[nn.Module, Tensor | None]:
    """A seeded model; a used one has hooks, gradients, and a loss still to go back."""
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    random.seed(11)
    model = build()
    if not used:
        return model, None
    first = next(m for m in model.modules() if isinstance(m, nn.Linear))
    first.register_forward_hook(lambda *_: None)
    first.weight.register_hook(lambda g: g * 1)
    for module in list(model.modules())[1:3]:
        module.eval()
    loss = (model(4 * torch.rand(3, 4, 4)) + 1).square().sum()  # a gradient without spikes too
    loss.backward(retain_graph=True)
    first.bias.requires_grad_(False)
    return model, loss


# --- the second way: everything as bytes and identities -----------------------------------------


def facts(value: Any, seen: set[int] | None = None) -> Any:
    """What an object is, bit for bit: written apart from preserved, from names and bytes."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    if isinstance(value, nn.Module):
        return id(value), type(value), list(value.state_dict()), facts(vars(value), seen)
    if isinstance(value, dict):
        return id(value), [(key, facts(item, seen)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return id(value), [facts(item, seen) for item in value]
    return id(value), of_tensor(value, seen) if isinstance(value, Tensor) else of_other(value)


def of_tensor(value: Tensor, seen: set[int]) -> Any:
    hooks = value._backward_hooks, value._post_accumulate_grad_hooks
    place = value.shape, value.stride(), value.dtype, value.data_ptr()
    graph = value.requires_grad, id(value.grad_fn), [facts(h, seen) for h in hooks]
    grad = facts(value.grad, seen) if value.is_leaf else None
    return type(value), place, value.detach().numpy().tobytes(), graph, grad


def of_other(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    return repr(value) if isinstance(value, set | int | float | str) else None


def randomness() -> Any:
    drawn = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes(), str(drawn), random.getstate()


def disturb(model: nn.Module, *, weights: bool = True) -> None:
    """What a check-up does to a model, and more; `weights` are written to, which none does."""
    hooks: list[Any] = [m.register_forward_hook(lambda *_: None) for m in model.modules()]
    hooks += [p.register_hook(lambda g: 2 * g) for p in model.parameters() if p.requires_grad]
    next(model.parameters()).register_post_accumulate_grad_hook(lambda _: None)
    for mode in (True, False, True):
        model.train(mode)
        out = model(torch.rand(3, 4, 4))
    out.square().sum().backward()
    for module in model.modules():
        module.register_buffer("grown", torch.ones(2))
        module.counter = 1
        if hasattr(module, "reset_states"):
            module.reset_states()  # sinabs: zero_ and detach_, in place
        if hasattr(module, "reset_mem"):
            module.reset_mem()
        elif hasattr(module, "reset") and callable(module.reset):
            module.reset()
    model.requires_grad_(False)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()) if weights else ():
            tensor.add_(1)
    model.double()
    model.forward = lambda x: x  # type: ignore[method-assign]
    model.extra = nn.Linear(2, 2)
    del model._modules[next(iter(model._modules))]
    torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002


class Broken(Exception):
    pass


@pytest.mark.promise("leaves-no-trace")
@pytest.mark.parametrize("error", [None, Broken, KeyboardInterrupt], ids=str)
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@every_model
def test_everything_is_as_before(
    build: Build, used: bool, error: type[BaseException] | None, tally: Count
) -> None:
    model, _ = made(build, used=used)
    before, chance = facts(model), randomness()
    if error is None:
        with preserved(model) as same:
            assert same is model
            disturb(model)
            assert facts(model) != before
            assert randomness() != chance
    else:
        with pytest.raises(error), preserved(model):  # noqa: PT012
            disturb(model)
            raise error
    assert facts(model) == before
    assert randomness() == chance
    tally("models disturbed and put back")


@every_model
def test_what_follows_is_what_a_never_observed_model_does(build: Build) -> None:
    """Outputs and gradients of the next call, and the backward pass that was pending."""
    told = []
    for observed in (False, True):
        model, loss = made(build, used=True)
        assert loss is not None
        if observed:
            with preserved(model):
                disturb(model, weights=False)
        loss.backward()
        grads = [p.grad for p in model.parameters()]
        for p in model.parameters():
            p.grad = None
        detach(model)
        out = model(torch.full((3, 4, 4), 2.0))
        (out + 1).square().sum().backward()
        told.append([out.detach(), *grads, *(p.grad for p in model.parameters())])
    assert len(told[0]) > 5
    assert any(g is not None and g.abs().sum() > 0 for g in told[0][1:])
    for one, other in zip(*told, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


def detach(model: nn.Module) -> None:
    """Cut the states of each framework off the graph of the last call, as a training loop does."""
    for module in model.modules():
        for place in (module._buffers, getattr(module, "_memories", {}), vars(module)):
            for key, value in place.items():
                if isinstance(value, Tensor):
                    place[key] = value.detach()


def test_a_run_does_not_add_to_the_users_gradients() -> None:
    model, _ = made(Loop, used=True)
    kept = model.fc.weight.grad
    assert kept is not None
    bits = kept.clone()
    with preserved(model):
        assert all(p.grad is None for p in model.parameters())
        model(torch.rand(3, 4, 4)).sum().backward()
        assert model.fc.weight.grad is not kept
    assert model.fc.weight.grad is kept
    assert torch.equal(kept, bits)


def test_a_state_with_a_graph_is_detached_inside_the_block() -> None:
    """Else a backward pass of ours would run through the user's, and free it."""
    model, loss = made(Loop, used=True)
    v, pair = model.v, model.pair
    assert v is not None
    assert v.grad_fn is not None
    assert loss is not None
    loss.backward()  # frees the graph: a second pass through it would raise
    with preserved(model):
        assert model.v is not v
        assert model.v.grad_fn is None
        assert torch.equal(model.v, v)
        assert isinstance(model.pair, State)
        assert model.pair.v is model.v  # shared before, shared now
        model(torch.rand(3, 4, 4)).sum().backward()
    assert model.v is v
    assert model.pair is pair


def test_a_view_of_a_weight_keeps_its_graph_inside_the_block() -> None:
    """Weights tied by a view made in the constructor: their gradient has to arrive."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3))
            self.back = self.weight.t()

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.back

    model = Tied()
    with preserved(model):
        model(torch.ones(1, 3)).sum().backward()
        assert torch.equal(model.weight.grad, torch.ones(2, 3))  # type: ignore[arg-type]
    assert model.weight.grad is None


def test_a_buffer_written_in_place_inside_a_graph_is_a_leaf_again() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.register_buffer("v", torch.zeros(1, 2))

        def forward(self, x: Tensor) -> Tensor:
            self.v += self.fc(x)
            return self.v  # type: ignore[return-value]

    model = InPlace()
    buffer: Any = model.v
    with preserved(model):
        model(torch.ones(1, 2)).sum().backward()
        assert buffer.grad_fn is not None
    assert model.v is buffer
    assert (buffer.grad_fn, buffer.requires_grad) == (None, False)
    assert torch.equal(buffer, torch.zeros(1, 2))


def test_a_lazy_layer_is_lazy_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that lazy modules may change
        model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    weight = model[0].weight
    with preserved(model):
        model(torch.zeros(2, 4))
        assert type(model[0]) is nn.Linear
        assert weight.shape == (3, 4)
    assert type(model[0]) is nn.LazyLinear
    assert torch.nn.parameter.is_lazy(weight)
    assert torch.nn.parameter.is_lazy(model[0].weight)
    assert model(torch.zeros(2, 7)).shape == (2, 3)  # it takes another shape now
    assert weight.shape == (3, 7)


def test_a_handle_of_the_user_still_removes_its_hook() -> None:
    model = nn.Linear(2, 2)
    called = []
    handle = model.register_forward_hook(lambda *_: called.append(1))
    with preserved(model):
        ours = model.register_forward_hook(lambda *_: called.append(2))
        model(torch.zeros(1, 2))
        handle.remove()
        model(torch.zeros(1, 2))
    assert called == [1, 2, 2]
    model(torch.zeros(1, 2))
    assert called == [1, 2, 2, 1]
    handle.remove()
    ours.remove()  # harmless
    model(torch.zeros(1, 2))
    assert called == [1, 2, 2, 1]


def test_memory_that_must_not_be_written_is_not() -> None:
    """An expanded buffer cannot be written to; nothing changed it, so nothing writes."""
    model = nn.Module()
    model.register_buffer("wide", torch.ones(1).expand(4))
    model.register_buffer("turn", torch.ones(2, dtype=torch.complex128))
    before = facts(model)
    with preserved(model):
        pass
    assert facts(model) == before


def test_a_zero_that_lost_its_sign_and_a_name_that_changed() -> None:
    model = nn.Module()
    model.register_buffer("zero", torch.tensor(-0.0))
    model.names = {"one": model.zero}
    with preserved(model):
        model.zero.abs_()
        model.names["other"] = model.names.pop("one")
    assert torch.signbit(model.zero)
    assert list(model.names) == ["one"]


def test_modules_and_lists_that_hold_each_other() -> None:
    model = nn.Module()
    model.ring = [model, {}]
    model.ring[1]["back"] = model.ring
    with preserved(model):
        model.ring[1]["more"] = 1
        model.ring.clear()
    assert len(model.ring) == 2
    assert model.ring[0] is model
    assert list(model.ring[1]) == ["back"]


def test_one_thing_that_cannot_be_put_back_leaves_the_others() -> None:
    """Each step is taken whatever the others do, and the error is not hidden."""
    model = nn.BatchNorm1d(2)
    array = np.zeros(2)
    model.array = array
    with pytest.raises(ValueError, match="read-only"), preserved(model):  # noqa: PT012
        model(torch.rand(4, 2))
        model.eval()
        array.flags.writeable = False
    assert model.training
    assert int(model.num_batches_tracked) == 0  # type: ignore[arg-type]
    assert torch.equal(model.running_mean, torch.zeros(2))  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.slow
def test_cuda() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).cuda()
    states = [s.clone() for s in torch.cuda.get_rng_state_all()]
    bits = {k: v.clone() for k, v in model.state_dict().items()}
    with preserved(model):
        model(torch.rand(8, 4, device="cuda")).sum().backward()
        model.cpu()
        assert not torch.equal(torch.cuda.get_rng_state(), states[0])
    assert all(map(torch.equal, torch.cuda.get_rng_state_all(), states))
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    assert all(torch.equal(bits[k], v) for k, v in model.state_dict().items())
