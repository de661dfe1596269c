"""The recorder changes nothing, leaves nothing behind, keeps sums only, and says what it saw."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from snnlens import registry
from snnlens.adapters._survey import survey
from snnlens.errors import InputError, NothingToRecord
from snnlens.models.resnet import Block, ResNet
from snnlens.neuron.equations import Step
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.neuron.surrogate import Rectangular
from snnlens.recording.probe import BLOCKS, NEURONS, Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.trust.tally import Count
from tests.unit.recording import brute


def all_probes() -> list[Probe]:
    return [registry.plugin("probes", name)() for name in registry.listing("probes")]


class Dropping(nn.Module):
    """Dropout, BatchNorm, a neuron that keeps its state: all that an observer could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 8), nn.BatchNorm1d(8)
        self.neuron = PLIF(1.5, threshold=0.3, keep_state=True)
        self.drop, self.last = nn.Dropout(0.3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x).flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.last(self.drop(self.neuron(y))).mean(0)


def _resnet(residual: str, connect: str | None = None, **more: Any) -> Callable[[], ResNet]:
    neuron = LIF(1.5, threshold=0.3, surrogate=Rectangular())
    return lambda: brute.small(residual, connect, neuron=neuron, **more)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "dropping": (Dropping, lambda: torch.rand(4, 3, 6, generator=_seeded(0)).requires_grad_()),
    **{
        f"{residual} {connect} {zero}": (_resnet(residual, connect, zero_init=zero), brute.batch)
        for residual, connect in (("spiking", None), ("sew", "add"), ("sew", "and"),
                                  ("sew", "iand"), ("ms", None), ("plain", None), ("ann", None))
        for zero in (False, True)
    },
}  # fmt: skip


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- observing changes nothing -----------------------------------------------------------------


def _run(name: str, *, observe: bool, passes: int = 2) -> dict[str, Tensor]:
    """Everything that a pass leaves behind: outputs, gradients, buffers, state, random state."""
    make, inputs = MODELS[name]
    torch.manual_seed(11)
    model, x = make(), inputs()
    left: dict[str, Tensor] = {}

    def train() -> None:
        for i in range(passes):
            out = model(x)
            out.square().sum().backward()
            left[f"out {i}"] = out.detach()

    if observe:
        with Recorder(model, all_probes()) as recorder:
            train()
        assert recorder.record().tables
    else:
        train()
    assert x.grad is not None
    left |= {"x.grad": x.grad, "random": torch.get_rng_state(), "next": torch.rand(3)}
    left |= {f"grad {n}": p.grad for n, p in model.named_parameters() if p.grad is not None}
    left |= dict(model.state_dict())
    for path, module in model.named_modules():
        if isinstance(module, Neuron) and module.membrane is not None:
            left[f"membrane {path}"] = module.membrane
    return left


@pytest.mark.promise("leaves-no-trace")
@pytest.mark.parametrize("name", MODELS)
def test_observing_changes_nothing(name: str, tally: Count) -> None:
    observed, alone = _run(name, observe=True), _run(name, observe=False)
    assert list(observed) == list(alone)
    assert any(key.startswith("grad ") for key in alone)
    for key, value in alone.items():
        assert torch.equal(observed[key], value), key
    tally("models observed by every probe")


def test_every_probe_said_something() -> None:
    """The test above would prove little with probes that never ran."""
    spoken: set[str] = set()
    for name in ("spiking None True", "sew add False"):
        make, inputs = MODELS[name]
        model = make()
        with Recorder(model, all_probes()) as recorder:
            brute.loss(model, inputs()).backward()
        spoken |= set(recorder.record().tables)
    silent = {"isometry", "update_ratio"}  # made by an experiment; says something from pass 2 on
    assert spoken == set(registry.listing("probes")) - silent


def test_observing_in_evaluation_mode_and_without_gradients() -> None:
    model, x = brute.small("sew", "iand"), brute.batch()
    model(x)
    model.eval()
    with torch.no_grad():
        expected = model(x)
        with Recorder(model, all_probes()) as recorder:
            assert torch.equal(model(x), expected)
    assert not model.training
    assert recorder.record().networks["model"]["training_mode"] is False


# --- nothing is left behind --------------------------------------------------------------------


def hooks_of(model: nn.Module) -> list[str]:
    """Every hook and listener on a model, by name."""
    left = []
    for path, module in model.named_modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks",
                     "_backward_pre_hooks", "_forward_hooks_with_kwargs",
                     "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called"):  # fmt: skip
            left += [f"{path} {kind}"] * len(getattr(module, kind))
        if isinstance(module, Neuron):
            left += [f"{path} listener"] * len(module._listeners)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return left + [f"{n} tensor hook" for n, t in tensors.items() if t._backward_hooks]


class Failing(Probe):
    """A probe that fails at one of its four methods."""

    name = "failing"
    roles = NEURONS | BLOCKS
    columns = {"n": Column()}

    def __init__(self, at: str) -> None:
        self.at = at

    def _maybe(self, method: str) -> Sums:
        if method == self.at:
            raise RuntimeError(f"fails in {method}")
        return {"n": torch.ones(1)}

    def value(self, site: Site, x: Tensor) -> Sums:
        return self._maybe("value")

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        return self._maybe("gradient")

    def around(self, site: Site, module: Any, s: Tensor, o: Tensor) -> Sums:
        return self._maybe("around")

    def step(self, site: Site, step: Step) -> Sums:
        return self._maybe("step")


class Holding(nn.Module):
    """A model that keeps its intermediate tensor where a test can look at it."""

    def __init__(self, *, fail: bool = False) -> None:
        super().__init__()
        self.neuron, self.fail, self.seen = IF(0.5), fail, None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.neuron(x)
        if self.fail:
            raise ValueError("the model's own fault")
        return self.seen * 2


def test_no_hook_after_a_normal_exit() -> None:
    model = _resnet("sew", "add")()
    holder = Holding()
    with Recorder(model, all_probes()), Recorder(holder, all_probes()):
        assert len(hooks_of(model)) > 20  # they were there
        brute.loss(model, brute.batch()).backward()
        out = holder(torch.rand(2, 3).requires_grad_())
        assert holder.seen is not None
        assert holder.neuron._counting  # its kernel sums the gradient; no hook is needed
    assert not holder.neuron._counting
    assert not hooks_of(model)
    assert not hooks_of(holder)
    assert not holder.seen._backward_hooks
    out.sum().backward()


@pytest.mark.promise("leaves-no-trace")
@pytest.mark.parametrize("at", ["value", "gradient", "around", "step"])
def test_no_hook_after_an_error_in_a_probe(at: str, tally: Count) -> None:
    model = brute.small("sew", "add")
    with (
        pytest.raises(RuntimeError, match=f"^fails in {at}$"),
        Recorder(model, [*all_probes(), Failing(at)]),
    ):
        brute.loss(model, brute.batch()).backward()
    assert not hooks_of(model)
    brute.loss(model, brute.batch()).backward()
    tally("errors of a probe")


def test_no_hook_after_an_error_in_the_model() -> None:
    holder = Holding(fail=True)
    with pytest.raises(ValueError, match="own fault"), Recorder(holder, all_probes()):
        holder(torch.rand(2, 3).requires_grad_())
    assert not hooks_of(holder)
    assert holder.seen is not None
    assert not holder.seen._backward_hooks


def test_no_hook_after_an_error_while_attaching() -> None:
    model = brute.small("sew", "add")
    model.sites = lambda: [  # type: ignore[method-assign]
        Site("sn1", "sn1", "output", "neuron"), Site("x", "nowhere", "output", "neuron"),
    ]  # fmt: skip
    recorder = Recorder(model, all_probes())
    with pytest.raises(InputError) as error:
        recorder.__enter__()
    assert str(error.value) == "the module of site x must be a part of the model; got 'nowhere'"
    assert not hooks_of(model)


def test_a_users_own_hooks_stay() -> None:
    model = brute.small("sew", "add")
    model.sn1.register_forward_hook(lambda *args: None)
    model.conv1.weight.register_hook(lambda grad: None)
    before = hooks_of(model)
    with Recorder(model, all_probes()):
        brute.loss(model, brute.batch()).backward()
    assert hooks_of(model) == before
    assert len(before) == 2


def test_backward_after_the_end_records_nothing_and_crashes_nothing() -> None:
    model, x = brute.small("spiking", zero_init=True), brute.batch()
    with Recorder(model, all_probes()) as recorder:
        value = brute.loss(model, x)
    value.backward()
    assert x.grad is not None
    record = recorder.record()
    assert (record.sites["gradient_calls"] == 0).all()
    assert not {"gradient_norm", "pattern_gram", "parameter_gradient"} & set(record.tables)


def test_a_recorder_can_be_entered_again() -> None:
    model, x = brute.small("sew", "add"), brute.batch()
    recorder = Recorder(model, all_probes())
    for _ in range(2):
        with recorder:
            model(x)
    model(x)  # unseen
    sites = recorder.record().sites
    assert set(sites[sites["role"] != "parameter"]["forward_calls"]) == {2}
    assert recorder.record().networks["model"]["forward_passes"] == 2


# --- nothing is kept alive ---------------------------------------------------------------------


def _alive(elements: int) -> int:
    gc.collect()
    tensors = [o for o in gc.get_objects() if issubclass(type(o), Tensor)]
    return sum(t.numel() == elements for t in tensors)


class Wide(nn.Module):
    """A neuron whose spikes no later operation saves for its backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.neuron = IF(0.5)

    def sites(self) -> list[Site]:
        return [Site("neuron", "neuron", "output", "neuron"),
                Site("o", "neuron", "output", "block_output")]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return (self.neuron(x * 3) + 1).sum()


ODD = 7919  # elements of a tensor that nothing else in this process has


def _sizes_alive(probes: list[Probe], *, backward: bool) -> int:
    model, x = Wide(), torch.rand(1, ODD).requires_grad_()
    with Recorder(model, probes) as recorder:
        out = model(x)
        if backward:
            out.backward()
            x.grad = None
        left = _alive(ODD)
        recorder.record()
    return left


def test_no_tensor_is_kept_alive() -> None:
    """While the graph lives, only x itself and what autograd saved; after backward only x."""
    # pattern_gram keeps its spikes, and what reads gradients through time its currents, as they say
    probes = [p for p in all_probes() if p.name != "pattern_gram" and not p.overrides("paths")]
    assert _sizes_alive(probes, backward=False) == _sizes_alive([], backward=False)
    assert _sizes_alive(probes, backward=True) == _sizes_alive([], backward=True)


def test_nothing_is_kept_after_the_end() -> None:
    model, x = Wide(), torch.rand(1, ODD).requires_grad_()
    with Recorder(model, all_probes()) as recorder:
        model(x).backward()
    x.grad = None
    assert _alive(ODD) == 1
    assert recorder.record().tables


def test_hooks_of_forward_only_passes_do_not_pile_up() -> None:
    model = brute.small("sew", "add")
    with Recorder(model, all_probes()) as recorder:
        counts = []
        for seed in range(5):
            model(brute.batch(seed=seed))  # a graph each time, no backward pass
            gc.collect()
            counts.append(len(recorder._tensor_hooks))
    assert len(set(counts)) == 1


def _scalars(recorder: Recorder) -> int:
    return sum(t.numel() for t in _sums(recorder))


def test_memory_does_not_grow_with_batches_or_their_size() -> None:
    model = brute.small("spiking", zero_init=True)
    neuron_wise = ("silence", "neuron_map")  # which grow with the layer, as they say
    with Recorder(model, [p for p in all_probes() if p.name not in neuron_wise]) as recorder:
        for size in (2, 3):
            brute.loss(model, brute.batch(size)).backward()
        after_two = _scalars(recorder)  # of two shapes
        for size in (2, 5, 9):
            brute.loss(model, brute.batch(size, pixels=12)).backward()
    assert _scalars(recorder) == after_two
    numel = sum(t.numel() for t in _sums(recorder))
    held = sum(t.untyped_storage().nbytes() // t.element_size() for t in _sums(recorder))
    assert held <= 4 * numel  # no sum is a view of something large


def test_memory_of_every_probe_is_the_same_after_one_batch_and_after_four() -> None:
    model = brute.small("sew", "add")
    with Recorder(model, all_probes()) as recorder:
        held = []
        for seed in range(5):
            brute.loss(model, brute.batch(4, seed=seed)).backward()
            held.append(_scalars(recorder))
    assert held[1] == held[4]  # update_ratio begins with the second


def _sums(recorder: Recorder) -> list[Tensor]:
    tallied = [t for tally in recorder.ledger.tallies.values() for t in tally.found.values()]
    return tallied + [t for sums in recorder.ledger.sums.values() for t in sums.values()]


def test_memory_grows_only_with_the_steps() -> None:
    counts = []
    for steps in (1, 2, 4):
        model = brute.small("sew", "add", time_steps=steps)
        probes = [p for p in all_probes() if p.axes == ("step",)]
        with Recorder(model, probes) as recorder:
            brute.loss(model, brute.batch(2)).backward()
        counts.append(_scalars(recorder))
    assert counts == [counts[0], 2 * counts[0], 4 * counts[0]]


# --- merging -----------------------------------------------------------------------------------


class Extremes(Probe):
    """Least, largest and number of values, by `value` and, of membranes, by `step`."""

    name = "extremes"
    columns = {"least": Column("min", "min"), "most": Column("max", "max"), "seen": Column()}
    quantities = {
        "least": Quantity("value", ("least",)),
        "most": Quantity("value", ("most",)),
        "seen": Quantity("value", ("seen",)),
    }

    def value(self, site: Site, x: Tensor) -> Sums:
        flat = x.flatten(1)
        return {"least": flat.amin(1), "most": flat.amax(1),
                "seen": torch.full((len(x),), flat.shape[1])}  # fmt: skip


class MembraneExtremes(Extremes):
    """The same of the membrane, one step after the other."""

    name = "membrane_extremes"
    roles = NEURONS
    quantities = {
        "membrane_least": Quantity("value", ("least",)),
        "membrane_most": Quantity("value", ("most",)),
    }

    def value(self, site: Site, x: Tensor) -> Sums:
        return Probe.value(self, site, x)

    def overrides(self, method: str) -> bool:
        return method == "step"

    def step(self, site: Site, step: Step) -> Sums:
        m = step.membrane
        return {"least": m.min().reshape(1), "most": m.max().reshape(1),
                "seen": torch.tensor([m.numel()])}  # fmt: skip


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Identity()
        self.neuron = IF(100.0)

    def sites(self) -> list[Site]:
        return [Site("scale", "scale", "output", "block_output", "current"),
                Site("neuron", "neuron", "output", "neuron")]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.scale(x))


def test_unequal_lengths_and_extremes_merge() -> None:
    """A step that one batch lacks says nothing: neither 0 for a maximum nor for a minimum."""
    model = Scale()
    short, long = torch.full((2, 1, 3), -5.0), torch.full((4, 2, 3), -7.0)
    short[1], long[3] = -1.0, -2.0
    for order in ((short, long), (long, short)):
        with Recorder(model, [Extremes(), MembraneExtremes()]) as recorder:
            for x in order:
                model(x)
        rows = recorder.record().table("extremes")
        rows = rows[rows["site"] == "scale"]
        assert rows["least"].tolist() == [-7, -7, -7, -2]
        assert rows["most"].tolist() == [-5, -1, -7, -2]
        assert rows["seen"].tolist() == [9, 9, 6, 6]
        total = recorder.frame().set_index("site").loc["scale"]
        assert (total["least"], total["most"], total["seen"]) == (-7, -1, 30)
        rows = recorder.record().table("membrane_extremes")
        assert rows["least"].tolist() == [-7, -14, -21, -23]
        assert rows["most"].tolist() == [-5, -6, -21, -23]


def test_halves_of_a_batch_give_the_whole() -> None:
    """Without BatchNorm: rates add up exactly."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), LIF(1.5, threshold=0.3))
    x = torch.rand(4, 6, 5) * 3
    probe = registry.plugin("probes", "firing_rate")
    frames = []
    for parts in ((x,), (x[:, :2], x[:, 2:])):
        with Recorder(model, [probe()]) as recorder:
            for part in parts:
                model(part)
        frames.append(recorder.frame(per_step=True)["firing_rate"])
    assert frames[0].equals(frames[1])
    assert 0 < frames[0].mean() < 1


# --- what is seen ------------------------------------------------------------------------------


def test_core_neurons_of_any_module_are_sites() -> None:
    model = nn.Sequential(nn.Linear(4, 4), IF(0.3), nn.Sequential(nn.Linear(4, 2), PLIF(2.0)))
    atan = {"slope": 1.0, "support": math.inf}
    assert survey(model).sites == [
        Site("1", "1", "output", "neuron", threshold=0.3, leak=1.0, gain=1.0, **atan),
        Site("2.1", "2.1", "output", "neuron", threshold=1.0, leak=0.5, gain=0.5, **atan),
    ]
    with Recorder(model, all_probes()) as recorder:
        model(torch.rand(3, 2, 4)).sum().backward()
    frame = recorder.frame()
    sites = frame[frame["role"] == "neuron"]
    assert sites["site"].tolist() == ["1", "2.1"]
    assert sites["neurons"].tolist() == [4, 2]
    assert sites["time_steps"].tolist() == [3, 3]
    assert sites["batch"].tolist() == [2, 2]
    assert frame["order"].tolist() == list(range(len(frame)))


def test_a_lone_neuron_is_a_model() -> None:
    with Recorder(IF(0.5), all_probes()) as recorder:
        recorder.model(torch.ones(4, 1, 3))
    assert recorder.frame()["firing_rate"].tolist() == [1.0]


def test_no_spiking_site_is_an_error() -> None:
    with pytest.raises(NothingToRecord) as error:
        Recorder(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), all_probes())
    assert str(error.value) == (
        "the model must have a spiking site; got Sequential without one; use neurons of snnlens, "
        "SpikingJelly, snnTorch, Norse or sinabs, name your own neuron class "
        "(spiking=[MyNeuron], --spiking my.module:MyNeuron), or give the model a method sites()"
    )
    assert error.value.exit_code == 5


def test_no_forward_pass_is_an_error() -> None:
    model = brute.small("sew", "add")
    with Recorder(model, all_probes()) as recorder:
        pass
    with pytest.raises(NothingToRecord) as error:
        recorder.record()
    assert str(error.value) == (
        "the recorder must see a forward pass; got none; call the model inside `with`"
    )
    assert error.value.exit_code == 5


def test_a_site_that_never_ran_says_so() -> None:
    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = IF(0.5), IF(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    model = Skipping()
    with Recorder(model, all_probes()) as recorder:
        model(torch.ones(2, 1))
    frame = recorder.frame().set_index("site")
    assert frame["forward_calls"].to_dict() == {"used": 1, "unused": 0}
    assert math.isnan(frame.loc["unused", "firing_rate"])
    assert frame.loc["unused", ["time_steps", "batch"]].isna().all()


def test_notes_and_facts() -> None:
    model = brute.small("sew", "iand", zero_init=True)
    with Recorder(model, all_probes(), network="mine") as recorder:
        model(brute.batch())
    recorder.note(loss=1.5)
    facts = recorder.record().networks["mine"]
    expected = {"connect": "iand", "zero_init": True, "loss": 1.5, "model": "ResNet",
                "forward_passes": 1, "training_mode": True, "time_steps": 3}  # fmt: skip
    assert {k: facts[k] for k in expected} == expected
    assert set(recorder.record().sites["network"]) == {"mine"}


def test_progress_ticks_once_a_site_and_pass() -> None:
    ticks: list[int] = []
    model = brute.small("sew", "add")
    probe = registry.plugin("probes", "gradient_norm")()
    with Recorder(model, [probe], on_site=lambda: ticks.append(1)):
        value = brute.loss(model, brute.batch())
        assert len(ticks) == len(model.sites())
        value.backward()
    wanted = sum(probe.wants(s) for s in model.sites())
    assert len(ticks) == len(model.sites()) + wanted


class InPlace(nn.Module):
    """A block that adds its shortcut in place, as the official SEW code does: O is A's tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.neuron, self.tap, self.whole = IF(0.5), nn.Identity(), nn.Identity()

    def sites(self) -> list[Site]:
        return [Site("a", "tap", "output", "block_residual", "counts"),
                Site("o", "whole", "output", "block_output", "counts")]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        a = self.tap(self.neuron(x))
        a += x  # the same tensor object with other numbers
        return self.whole(a) * 3


def test_a_tensor_changed_in_place_is_read_again() -> None:
    model, x = InPlace(), torch.ones(2, 1, 4).requires_grad_()
    probes = [registry.plugin("probes", n)() for n in ("firing_rate", "gradient_norm")]
    for context in (torch.enable_grad, torch.inference_mode):
        with context(), Recorder(model, probes) as recorder:
            out = model(x)
        frame = recorder.frame().set_index("site")
        assert frame["firing_rate"].to_dict() == {"a": 1.0, "o": 2.0}
        assert frame["largest"].to_dict() == {"a": 1.0, "o": 2.0}
    assert out.shape == x.shape
    with Recorder(model, probes) as recorder:
        model(x).sum().backward()
    norm = recorder.frame().set_index("site").loc["o", "gradient_norm"]
    assert norm == pytest.approx(3 * math.sqrt(8))


def test_a_checkpointed_block_is_counted_once() -> None:
    """Its second forward pass, inside the backward pass, is not seen."""
    tables = []
    for checkpointed in (False, True):
        model = brute.small("sew", "add")
        if checkpointed:
            _checkpoint_blocks(model)
        with Recorder(model, all_probes()) as recorder:
            brute.loss(model, brute.batch()).backward()
        tables.append(recorder.record())
    plain, again = tables
    assert plain.sites["gradient_calls"].sum() > 0
    pd.testing.assert_frame_equal(plain.sites, again.sites)
    for name in ("firing_rate", "gradient_norm"):
        pd.testing.assert_frame_equal(plain.tables[name], again.tables[name])


def _checkpoint_blocks(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, Block):
            run = module.branch
            module.branch = partial(checkpoint, run, use_reentrant=False)  # type: ignore[method-assign]


def test_a_probe_of_gradients_alone_hears_those_of_neurons() -> None:
    """No statistic is asked for, so the kernel has nothing to tell: a hook does."""

    class Largest(Probe):
        name = "largest_gradient"
        columns = {"largest": Column("max", "max")}

        def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
            return {"largest": grad.flatten(1).amax(1)}

    neuron, x = IF(), torch.rand(3, 4).requires_grad_()
    with Recorder(neuron, [Largest()]) as recorder:
        (neuron(x) * torch.arange(1.0, 5)).sum().backward()
    assert recorder.record().tables["largest_gradient"]["largest"].tolist() == [4.0, 4.0, 4.0]
