"""Compiled, checkpointed, traced, distributed, copied, pickled, shared and threaded models."""

from __future__ import annotations

import copy
import io
import pickle  # noqa: TID251 - of this test's own objects
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import snnlens
from snnlens.errors import InputError, NothingToRecord
from snnlens.neuron import kernels
from snnlens.recording import hooks
from tests.trust import stress
from tests.trust.stress import KINDS, PROBES, Kind, every_kind, train
from tests.trust.tally import Count, times

pytestmark = pytest.mark.promise("right-under-stress")
OWN = KINDS["snnlens"]
BACKENDS = ["eager", "aot_eager", pytest.param("inductor", marks=[
    pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning"),
])]  # fmt: skip
compiled_by = pytest.mark.parametrize("backend", BACKENDS)


def of(kind: Kind, run: Callable[[nn.Module], Any], names: tuple[str, ...] = ()) -> Any:
    """What plain hooks keep of a twin that nobody wraps or records."""
    return stress.kept(kind, kind.make(), run, names)


# --- torch.compile --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """No compiled code of another test, and the stance as it was."""
    import torch._dynamo
    from torch._dynamo import eval_frame

    torch._dynamo.reset()
    before = eval_frame._stance
    yield
    assert eval_frame._stance == before
    assert not hooks._uncompiled
    torch._dynamo.reset()


class Counting:
    """A backend that counts how often compiled code runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            self.runs += 1
            return graph.forward(*args)

        return run


@compiled_by
@pytest.mark.parametrize("name", ["snnlens", "own"])
def test_a_compiled_model(name: str, backend: str, tally: Count) -> None:
    """Recording one was a crash of the backend: its hooks were traced into the graph."""
    kind = KINDS[name]

    def wrap(model: nn.Module) -> Any:
        return torch.compile(model, backend=backend)

    if backend == "eager":
        tally("numbers equal to brute force", stress.right(kind, kind.x(), wrap=wrap))
        return
    count, result = stress.right_everywhere(kind, kind.x(), wrap=wrap)
    assert result.record.networks[next(iter(result.record.networks))]["wrapped"] == [
        "OptimizedModule"
    ]
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def _in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="aot_eager")
    return model


def _a_part(model: Any) -> None:
    model[2].compile(backend="aot_eager")
    model[1] = torch.compile(model[1], backend="aot_eager", fullgraph=True)


def test_compiled_in_place_and_in_part(tally: Count) -> None:
    count, _ = stress.right_everywhere(OWN, OWN.x(), wrap=_in_place)
    found = of(OWN, lambda m: train(m, OWN.x()), ("3",))
    record = stress.recorded(OWN, OWN.make(_a_part), lambda m: train(m, OWN.x()))
    count += stress.compare(record, found, OWN)
    inner = {"1._orig_mod": of(OWN, lambda m: train(m, OWN.x()), ("1",))["1"]}
    count += stress.compare(record, inner, OWN)
    tally("wrapped models", 2)
    tally("numbers equal to brute force", count)


def test_between_sampled_steps_compiled_code_runs(tally: Count) -> None:
    """A sampled step runs as it was written; the others, and all after it, compiled as before."""
    backend = Counting()
    model = torch.compile(OWN.make(), backend=backend, fullgraph=True)
    ran = []
    with snnlens.watch(model, PROBES, every=3) as seen:
        for _ in range(7):
            before = backend.runs
            train(model, OWN.x())
            ran.append(backend.runs - before)
    train(model, OWN.x())
    assert (ran, backend.runs) == ([0, 1, 1, 0, 1, 1, 0], 5)
    assert seen.frame()["training_step"].unique().tolist() == [1, 4, 7]
    assert seen.record is not None
    count = stress.compare(seen.record, of(OWN, lambda m: train(m, OWN.x())), OWN)
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def test_what_is_compiled_around_a_watched_model_is_not_counted_and_that_is_said(
    tally: Count,
) -> None:
    model = OWN.make()
    with snnlens.watch(model, every=1) as seen:
        train(torch.compile(model, backend="aot_eager", fullgraph=True), OWN.x())
    with pytest.raises(NothingToRecord, match=r"\(and watch the compiled model, not the one insi"):
        seen.frame()
    tally("said that it cannot")


def test_a_compiled_function_around_a_recorded_model(tally: Count) -> None:
    step = torch.compile(lambda m, x: m(x).square().sum(), backend="aot_eager")
    step(OWN.make(), OWN.x()).backward()
    record = stress.recorded(OWN, OWN.make(), lambda m: step(m, OWN.x()).backward())
    count = stress.compare(record, of(OWN, lambda m: train(m, OWN.x())), OWN)
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def test_recorders_that_end_crosswise_put_the_compiler_back(tally: Count) -> None:
    backend = Counting()
    model = torch.compile(OWN.make(), backend=backend)
    one, two = snnlens.record(model), snnlens.record(model)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    train(model, OWN.x())  # the second one still looks
    assert backend.runs == 0
    two.__exit__(None, None, None)
    train(model, OWN.x())
    assert backend.runs == 1
    assert two.record().networks["model"]["forward_passes"] == 1
    tally("wrapped models")


# --- checkpointing --------------------------------------------------------------------------------


class Checkpointed(nn.Module):
    """The whole network, or its first half, is not kept but run again in the backward pass."""

    def __init__(self, half: bool, reentrant: bool) -> None:
        super().__init__()
        self.inside, self.half, self.reentrant = OWN.build(), half, reentrant

    def forward(self, x: Tensor) -> Tensor:
        cut = 2 if self.half else len(self.inside)
        y = checkpoint(self.inside[:cut], x, use_reentrant=self.reentrant)
        return self.inside[cut:](y)


@pytest.mark.parametrize("half", [True, False])
def test_checkpointed(half: bool, tally: Count) -> None:
    kind = Kind(lambda: Checkpointed(half, reentrant=False), ("inside.1", "inside.3"))
    plain = replace(OWN, build=kind.build)
    found = stress.kept(plain, plain.make(), lambda m: train(m.inside, OWN.x()), kind.layers)
    record = stress.recorded(kind, kind.make(), lambda m: train(m, OWN.x()))
    count = stress.compare(record, found, kind)
    with snnlens.watch(kind.make(), PROBES, every=1) as seen:
        train(seen.model, OWN.x())
    assert seen.record is not None
    count += stress.compare(seen.record, found, kind)
    count += stress.compare(snnlens.checkup(kind.make(), OWN.x()).record, found, kind)
    assert snnlens.audit(kind.make(), OWN.x()).table["equal"].all()
    tally("wrapped models")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("half", [True, False])
def test_reentrant_checkpointing_keeps_gradients_to_itself_and_that_is_said(
    half: bool, tally: Count
) -> None:
    """Spikes are right; the gradients, of a pass inside the backward pass, are null and named."""
    kind = Kind(lambda: Checkpointed(half, reentrant=True), ("inside.1", "inside.3"))
    x = OWN.x().requires_grad_()
    with snnlens.record(kind.make(), ["firing_rate", "gradient_norm"]) as recorder:
        train(recorder.model, x)
    plain = replace(OWN, build=kind.build)
    with torch.no_grad():
        found = stress.kept(plain, plain.make(), lambda m: m.inside(x), kind.layers)
    rates = replace(
        recorder.record(), tables={"firing_rate": recorder.record().table("firing_rate")}
    )
    count = stress.compare(rates, found, kind)
    frame = recorder.frame().set_index("site")
    unheard = ["inside.1"] if half else ["inside.1", "inside.3"]
    if "gradient_norm" in frame:
        assert frame.loc[unheard, "gradient_norm"].isna().all()
    (finding,) = [f for f in snnlens.analyse("checkup", recorder).findings if f.code == "SNL901"]
    assert finding.evidence == (
        f"model: {len(unheard)} of 2 sites ran again inside the backward pass, where their "
        "gradient "
        f"was not heard: {', '.join(unheard)}"
    )
    assert "use_reentrant=False" in finding.next
    tally("said that it cannot")
    tally("numbers equal to brute force", count)


# --- torch.jit, torch.func ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["snnlens", "own"])
@pytest.mark.parametrize("look", [snnlens.record, partial(snnlens.watch, every=1)],
                         ids=["record", "watch"])  # fmt: skip
def test_a_trace_holds_nothing_of_ours(name: str, look: Any, tally: Count) -> None:
    """It is no pass, and its graph is the one that is made without us."""
    kind = KINDS[name]
    x = kind.x()

    def traced(model: nn.Module) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is going, and loops are unrolled
            return torch.jit.trace(model, x, check_trace=False)

    alone = traced(kind.make())
    with look(kind.make(), spiking=kind.spiking) as seen:
        graph = traced(seen.model)
        train(seen.model, x)
    assert len(ours := _said(graph)) > 500
    assert ours == _said(alone)
    assert torch.equal(graph(x), alone(x))
    record = seen.record() if callable(seen.record) else seen.record
    assert next(iter(record.networks.values()))["forward_passes"] == 1
    count = stress.compare(record, of(kind, lambda m: train(m, x)), kind)
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def _said(traced: Any) -> str:
    """The graph without the names that torch.jit gives to classes and values."""
    names: dict[str, str] = {}
    text = re.sub(r"___torch_mangle_\d+\.", "", str(traced.inlined_graph))
    return re.sub(r"%[\w.]+", lambda m: names.setdefault(m[0], f"%{len(names)}"), text)


def test_a_traced_model_has_no_sites_and_that_is_said(tally: Count) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.trace(OWN.make(), OWN.x(), check_trace=False)
    for ask in (snnlens.record, snnlens.watch, partial(snnlens.checkup, x=OWN.x())):
        with pytest.raises(
            NothingToRecord, match=r"^the model must have a spiking site; got TopLev"
        ):
            ask(model)
        tally("said that it cannot")


class Scriptable(nn.Module):
    """A neuron that torch.jit.script takes."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.3).to(x.dtype)


def test_a_script_of_a_recorded_model(tally: Count) -> None:
    """torch.jit reads the source and refuses hooks of Python; without them it works as before."""

    def scripted(model: nn.Module) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.script(model)

    model = nn.Sequential(nn.Linear(4, 3), Scriptable())
    x = OWN.x()
    with snnlens.watch(model, every=2, spiking=[Scriptable]) as seen:
        train(model, x)
        for _ in range(2):
            train(model, x)
    assert seen.steps == 3
    with snnlens.record(model, spiking=[Scriptable]):
        model(x)
    assert torch.equal(scripted(model)(x), model(x))
    with pytest.raises(NothingToRecord):
        snnlens.record(scripted(model), spiking=[Scriptable])
    tally("wrapped models")


def test_functional_call(tally: Count) -> None:
    """Other weights for one call: the spikes and gradients are those of that call."""
    other = {name: 1.1 * p.detach() for name, p in OWN.make().named_parameters()}

    def run(model: nn.Module) -> None:
        leaves = {name: p.clone().requires_grad_() for name, p in other.items()}
        functional_call(model, leaves, (OWN.x(),)).square().sum().backward()

    record = stress.recorded(OWN, OWN.make(), run, [*PROBES, "parameter_gradient"])
    count = stress.compare(record, of(OWN, run), OWN)
    parameters = record.sites[record.sites["role"] == "parameter"]
    assert (parameters["gradient_calls"] == 0).all()  # the model's own had none
    assert "parameter_gradient" not in record.tables
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def test_transforms_of_torch_func_are_refused(tally: Count) -> None:
    own = KINDS["own"].make()

    def mapped(model: nn.Module, x: Tensor) -> Any:
        return vmap(model, in_dims=1, out_dims=1)(x)

    def differentiated(model: nn.Module, x: Tensor) -> Any:
        return grad(lambda p: functional_call(model, p, (x,)).sum())(dict(model.named_parameters()))

    refused = pytest.raises(
        InputError, match=r"^a recorded pass must be a plain call of the model;"
    )
    for run in (mapped, differentiated):
        before = stress.everything_of(own)
        with refused, snnlens.record(own, PROBES, spiking=[stress.Cell]):
            run(own, OWN.x())
        own.sn1.reset(), own.sn2.reset()  # type: ignore[union-attr, operator]
        stress.assert_as_before(own, before)
        with pytest.raises(
            InputError, match=r"^a neuron of snnlens must be called on plain tensor"
        ):
            run(OWN.make(), OWN.x())
        tally("refused in one line", 2)


def test_a_model_moved_to_no_memory_is_refused(tally: Count) -> None:
    with snnlens.record(OWN.make(), PROBES) as recorder:
        recorder.model(OWN.x())
        recorder.model.to("meta")
        with pytest.raises(
            InputError, match=r"^the input of a recorded pass must be tensors that hold"
        ):
            recorder.model(OWN.x().to("meta"))
    assert recorder.record().networks["model"]["forward_passes"] == 1
    tally("refused in one line")


# --- gradients: none, twice, in part --------------------------------------------------------------


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@every_kind
def test_without_gradients(kind: Kind, mode: Any, tally: Count) -> None:
    with mode():
        found = of(kind, lambda m: m(kind.x()))
        record = stress.recorded(kind, kind.make(), lambda m: m(kind.x()))
    count = stress.compare(record, found, kind)
    assert "gradient_norm" not in record.tables
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def accumulated(model: nn.Module, x: Tensor) -> None:
    train(model, x)
    train(model, 0.5 * x)


def in_pieces(model: nn.Module, x: Tensor) -> None:
    """Two losses of one pass, whose gradients autograd adds up at the spikes."""
    out = model(x)
    (out[..., 0].sum() + out[..., 1].square().sum()).backward()


def with_a_graph_of_gradients(model: nn.Module, x: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it makes a cycle
        model(x).square().sum().backward(create_graph=True)


def asked_for(model: nn.Module, x: Tensor) -> None:
    torch.autograd.grad(model(x).square().sum(), [*model.parameters()], create_graph=True)


@pytest.mark.parametrize("name", ["snnlens", "own", "spikingjelly m", "sew"])
@pytest.mark.parametrize(
    "run", [accumulated, in_pieces, with_a_graph_of_gradients], ids=lambda f: f.__name__
)
def test_other_backward_passes(name: str, run: Any, tally: Count) -> None:
    kind = KINDS[name]
    record = stress.recorded(kind, kind.make(), lambda m: run(m, kind.x()))
    count = stress.compare(record, of(kind, lambda m: run(m, kind.x())), kind)
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def test_gradients_that_are_asked_for_without_a_backward(tally: Count) -> None:
    """autograd.grad of the weights passes the spikes, too."""
    record = stress.recorded(OWN, OWN.make(), lambda m: asked_for(m, OWN.x()))
    count = stress.compare(record, of(OWN, lambda m: train(m, OWN.x())), OWN)
    tally("wrapped models")
    tally("numbers equal to brute force", count)


def test_two_backward_passes_of_one_graph_are_two_batches(tally: Count) -> None:
    """The norm is the root mean square of both, as it says: here of two equal ones."""
    once = stress.recorded(OWN, OWN.make(), lambda m: train(m, OWN.x()))
    with snnlens.record(OWN.make(), PROBES) as recorder:
        value = stress.loss(recorder.model, OWN.x())
        value.backward(retain_graph=True)
        value.backward()
    twice = recorder.record()
    norms = [r.frame().query("role == 'neuron'")["gradient_norm"].tolist() for r in (once, twice)]
    assert norms[0] == norms[1]
    assert twice.tables["gradient_norm"]["squares"].tolist() == [
        2 * x for x in once.tables["gradient_norm"]["squares"]
    ]
    assert twice.sites.query("role == 'neuron'")["gradient_calls"].tolist() == [2, 2]
    tally("wrapped models")


# --- copies and changes while being watched -------------------------------------------------------


def _pickled(model: nn.Module) -> nn.Module:
    twin: nn.Module = pickle.loads(pickle.dumps(model))
    return twin


def _saved(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    twin: nn.Module = torch.load(file, weights_only=False)
    return twin


COPIES = {"deepcopy": copy.deepcopy, "pickle": _pickled, "torch.save": _saved}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", ["snnlens", "own", "sew"])
def test_a_copy_of_a_recorded_model_is_not_recorded(name: str, way: str, tally: Count) -> None:
    """It was counted with its original, or could not be made at all."""
    kind = KINDS[name]
    with snnlens.record(kind.make(), PROBES, spiking=kind.spiking) as recorder:
        twin = COPIES[way](recorder.model)
        train(twin, kind.x())
        twin.zero_grad()
        train(recorder.model, kind.x())
        train(twin, kind.x())
    count = stress.compare(recorder.record(), of(kind, lambda m: train(m, kind.x())), kind)
    assert recorder.record().networks["model"]["forward_passes"] == 1
    held = [hook for some in stress.hooks_of(twin).values() for hook in some]
    assert not any(isinstance(hook, hooks._Hook) for hook in held)  # it holds no recorder alive
    fresh = kind.make()
    assert torch.equal(twin(kind.x()), fresh(kind.x()))
    tally("copies")
    tally("numbers equal to brute force", count)


def test_a_shallow_copy_has_the_same_layers_and_that_is_said(tally: Count) -> None:
    with snnlens.record(OWN.make(), PROBES) as recorder:
        train(recorder.model, OWN.x())
        train(copy.copy(recorder.model), OWN.x())
    found = of(OWN, lambda m: [train(m, OWN.x()), train(m, OWN.x())])
    count = stress.compare(recorder.record(), found, OWN)
    (finding,) = [f for f in snnlens.analyse("checkup", recorder).findings if f.code == "SNL901"]
    assert "seen more often than the model was called (1 forward passes)" in finding.evidence
    tally("said that it cannot")
    tally("numbers equal to brute force", count)


def test_a_pickle_of_a_watched_model_needs_no_snnlens_of_the_reader(tally: Count) -> None:
    """Of a plain network the file names torch and the standard library alone."""
    model = nn.Sequential(nn.Linear(4, 3), Scriptable())
    for look in (snnlens.record(model, spiking=[Scriptable]),
                 snnlens.watch(model, every=1, spiking=[Scriptable])):  # fmt: skip
        with look:
            data = pickle.dumps(model)
        assert b"snnlens" not in data
        twin = pickle.loads(data)
        assert torch.equal(twin(OWN.x()), model(OWN.x()))
        tally("copies")


def test_a_copy_of_a_watched_model_keeps_the_forward_of_its_own(tally: Count) -> None:
    model = OWN.make()
    model.forward = partial(_doubled, model.forward)  # type: ignore[method-assign]
    with snnlens.watch(model, every=1):
        for way in ("deepcopy", "pickle"):
            twin = COPIES[way](model)
            with torch.no_grad():
                assert torch.equal(twin(OWN.x()), model(OWN.x()))
                assert not torch.equal(twin(OWN.x()), OWN.make()(OWN.x()))
            tally("copies")


def _doubled(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return 2 * forward(x)


CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "double": lambda m: m.double(),
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.to(torch.bfloat16),
    "eval": lambda m: m.eval(),
    "other weights": lambda m: m.load_state_dict({k: 1.1 * v for k, v in m.state_dict().items()}),
    "weights assigned": lambda m: m.load_state_dict(m.state_dict(), assign=True),
    "frozen": lambda m: m.requires_grad_(requires_grad=False),
    "shared memory": lambda m: m.share_memory(),
    "channels last": lambda m: m.to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.parametrize("name", ["snnlens", "own"])
def test_a_model_that_changes_while_it_is_recorded(name: str, way: str, tally: Count) -> None:
    kind = KINDS[name]

    def run(model: nn.Module) -> None:
        train(model, kind.x())
        model.zero_grad()
        CHANGES[way](model)
        train(model, kind.x().to(next(model.parameters()).dtype))

    record = stress.recorded(kind, kind.make(), run)
    count = stress.compare(record, of(kind, run), kind)
    tally("changes while recorded")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("way", CHANGES)
def test_a_model_that_changes_while_it_is_watched(way: str, tally: Count) -> None:
    model, told = OWN.make(), []
    with snnlens.watch(model, PROBES, every=1, on_record=lambda _, rec: told.append(rec)):
        train(model, OWN.x())
        CHANGES[way](model)
        train(model.train(), OWN.x().to(next(model.parameters()).dtype))
        train(model, OWN.x().to(next(model.parameters()).dtype))  # ends a step without backward
    twin = OWN.make()
    CHANGES[way](twin)
    found = stress.kept(OWN, twin.train(),
                        lambda m: train(m, OWN.x().to(next(m.parameters()).dtype)))  # fmt: skip
    count = stress.compare(told[1], found, OWN)
    tally("changes while recorded")
    tally("numbers equal to brute force", count)


class Replacing(nn.Module):
    """It takes another neuron at its second pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.neuron, self.passes = nn.Linear(4, 6), snnlens.LIF(threshold=0.2), 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        if self.passes == 2:
            self.neuron = snnlens.LIF(threshold=0.4)
        return self.neuron(self.first(x))


def test_a_module_that_is_replaced_while_it_is_recorded_is_named(tally: Count) -> None:
    kind = Kind(Replacing, ("neuron",))
    with snnlens.record(kind.make(), PROBES) as recorder:
        for _ in range(3):
            train(recorder.model, kind.x())
    found = of(kind, lambda m: train(m, kind.x()))  # of the first pass, which is what was seen
    count = stress.compare(recorder.record(), found, kind)
    (finding,) = [f for f in snnlens.analyse("checkup", recorder).findings if f.code == "SNL901"]
    assert finding.evidence == (
        "model: 1 of 1 sites gave their place to another module while they were recorded, which "
        "was "
        "not seen: neuron"
    )
    assert not stress.hooks_of(recorder.model)
    recorder.model.neuron = nn.Identity()  # what happens after the end is nobody's business
    assert recorder.record().networks["model"]["replaced"] == ["neuron"]
    tally("said that it cannot")
    tally("numbers equal to brute force", count)


def test_a_watch_looks_again_at_each_sampled_step(tally: Count) -> None:
    """Threshold and leak are those of now; a model that has lost its neurons trains on."""
    model = nn.Sequential(nn.Linear(4, 6), snnlens.PLIF(2.0, threshold=0.2), nn.Linear(6, 3))
    with snnlens.watch(model, every=1) as seen:
        train(model, OWN.x())
        with torch.no_grad():
            model[1].w.fill_(1.0)
        train(model, OWN.x())
        model[1] = snnlens.LIF(4.0, threshold=0.3)
        train(model, OWN.x())
        model[1] = nn.Identity()
        train(model, OWN.x())
    frame = seen.frame()
    assert frame["training_step"].tolist() == [1, 2, 3]
    leak = 1 - float(torch.sigmoid(torch.ones((), dtype=torch.float64)))
    assert frame["leak"].tolist() == pytest.approx(
        [0.5, leak, 0.75], rel=1e-6
    )  # 1 / tau is float32
    assert frame["threshold"].tolist() == [0.2, 0.2, 0.3]
    assert seen.steps == 4
    assert not stress.hooks_of(model)
    tally("changes while recorded", 3)


# --- several at once ------------------------------------------------------------------------------


def test_several_recorders_of_one_model(tally: Count) -> None:
    """Nested, crosswise, and one that is entered again: each has its own numbers."""
    model, x = OWN.make(), OWN.x()
    one, two = snnlens.record(model, PROBES), snnlens.record(model, PROBES)
    with one:
        train(model, x)
        two.__enter__()
        train(model, x)
    train(model, x)
    two.__exit__(None, None, None)
    with one:
        train(model, x)
    for recorder, passes in ((one, 3), (two, 2)):
        found = of(OWN, lambda m, passes=passes: [train(m, x) for _ in range(passes)])
        count = stress.compare(recorder.record(), found, OWN)
        tally("numbers equal to brute force", count)
    assert not stress.hooks_of(model)
    with pytest.raises(InputError, match=r"^a recorder must be entered once at a time; got 'one"), \
            one, one:  # fmt: skip
        pass
    assert not stress.hooks_of(model)
    tally("several at once", 3)


def test_several_watches_of_one_model(tally: Count) -> None:
    """The older one may end first: the younger goes on, and in the end nothing is left."""
    model, x = OWN.make(), OWN.x()
    before = set(vars(model))
    older, younger = snnlens.watch(model, every=1), snnlens.watch(model, PROBES, every=2)
    for step in range(7):
        if step == 3:
            older.close()
        with snnlens.record(model, PROBES) as recorder:
            train(model, x)
    assert (older.steps, younger.steps) == (3, 7)
    assert younger.frame()["training_step"].unique().tolist() == [1, 3, 5, 7]
    younger.close()
    train(model, x)
    assert (older.steps, younger.steps) == (3, 7)
    assert set(vars(model)) == before
    found = of(OWN, lambda m: train(m, x))
    for record in (younger.record, recorder.record()):
        assert record is not None
        tally("numbers equal to brute force", stress.compare(record, found, OWN))
    tally("several at once", 2)


def test_a_check_up_of_a_watched_model_is_no_step_of_its_training(tally: Count) -> None:
    model, x = OWN.make(), OWN.x()
    with snnlens.watch(model, PROBES, every=1) as seen:
        train(model, x)
        snnlens.checkup(model, x)
        snnlens.audit(model, x)
        snnlens.attribute(model, x, 0, method="saliency")
        assert seen.steps == 1
        train(model, x)
    assert seen.steps == 2
    assert seen.record is not None
    count = stress.compare(seen.record, of(OWN, lambda m: train(m, x)), OWN)
    tally("several at once", 3)
    tally("numbers equal to brute force", count)


class Twice(nn.Module):
    """One neuron and one layer in two places, and the neuron under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.neuron = nn.Linear(4, 4), snnlens.LIF(threshold=0.2)
        self.again = self.neuron
        self.last = nn.Linear(4, 4)
        self.last.weight = self.first.weight  # tied

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again(self.first(self.neuron(self.first(x)))))


def test_shared_modules_and_tied_weights(tally: Count) -> None:
    kind = Kind(Twice, ("neuron",))
    record = stress.recorded(kind, kind.make(), lambda m: train(m, kind.x()),
                             [*PROBES, "parameter_gradient"])  # fmt: skip
    count = stress.compare(record, of(kind, lambda m: train(m, kind.x())), kind)
    twin = kind.make()
    train(twin, kind.x())
    norms = record.frame().set_index("site")["parameter_gradient"].dropna()
    assert set(norms.index) == {n for n, _ in twin.named_parameters()}  # the tied one once
    for name, weight in twin.named_parameters():
        assert weight.grad is not None
        assert norms[name] == pytest.approx(float(weight.grad.double().norm()), rel=1e-12)
    assert snnlens.audit(kind.make(), kind.x()).table["equal"].all()
    tally("several at once")
    tally("numbers equal to brute force", count)


def test_threads_that_run_one_model_are_not_mixed(tally: Count) -> None:
    """Passes at the same time: one is recorded, the others are counted and named."""
    kind, passes = OWN, times(12)
    model, errors = kind.make(), []
    inside, out = threading.Event(), threading.Event()

    class Waiting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if threading.current_thread() is not threading.main_thread():
                return x
            if not inside.is_set():
                inside.set()
                assert out.wait(60)
            return x

    model.insert(2, Waiting())  # type: ignore[operator] # in the middle of the first pass
    names = ("1", "4")

    def other() -> None:
        try:
            assert inside.wait(60)
            for _ in range(passes):
                train(copy.copy(model), kind.x())  # a shallow copy has the same modules
                train(model, kind.x())
        except Exception as error:  # noqa: BLE001 - of another thread
            errors.append(error)
        out.set()

    thread = threading.Thread(target=other)
    thread.start()
    with snnlens.record(model, PROBES) as recorder:
        train(model, kind.x())
    thread.join()
    assert not errors
    twin = of(kind, lambda m: train(m, kind.x()))
    found = {"1": twin["1"], "4": twin["3"]}
    count = stress.compare(recorder.record(), found, replace(kind, layers=names))
    assert recorder.record().networks["model"]["elsewhere"] == passes
    (finding,) = [f for f in snnlens.analyse("checkup", recorder).findings if f.code == "SNL901"]
    assert finding.evidence == (
        f"model: {passes} passes that other threads made at the same time were not recorded"
    )
    tally("several at once", passes)
    tally("numbers equal to brute force", count)


def test_two_recorders_in_two_threads_leave_the_backend_alone(tally: Count) -> None:
    """Each replays a foreign membrane; once one could leave its backend to the whole process."""
    kind = KINDS["snntorch"]
    records: dict[int, Any] = {}
    models = [kind.make() for _ in range(4)]

    def run(i: int) -> None:
        probes = ["firing_rate", "gradient_norm", "membrane"]
        records[i] = stress.recorded(kind, models[i], lambda m: train(m, kind.x()), probes)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = of(kind, lambda m: train(m, kind.x()))
    for record in records.values():
        tally("numbers equal to brute force", stress.compare(record, found, kind))
    assert len(records) == len(models)
    assert kernels._chosen == ["auto"]
    tally("several at once", len(models))


# --- several processes ----------------------------------------------------------------------------


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of one."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("name", ["snnlens", "own"])
def test_under_ddp(name: str, one_process: None, tally: Count) -> None:
    """tests/parity/test_two_processes.py does it with two."""
    kind = KINDS[name]
    ddp = nn.parallel.DistributedDataParallel
    count, result = stress.right_everywhere(kind, kind.x(), wrap=ddp)
    assert result.record.networks[next(iter(result.record.networks))]["wrapped"] == [
        "DistributedDataParallel"
    ]
    tally("wrapped models")
    tally("numbers equal to brute force", count)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # of one process
def test_under_fsdp(one_process: None, tally: Count) -> None:
    """Sharded parameters: spikes and their gradients are whole on each rank."""
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    found = of(OWN, lambda m: train(m, OWN.x()))
    older = FullyShardedDataParallel(OWN.make(), device_id=torch.device("cpu"))
    newer = fully_shard(OWN.make())
    for model in (older, newer):
        record = stress.recorded(OWN, model, lambda m: train(m, OWN.x()))
        count = stress.compare(record, found, OWN)
        count += stress.compare(stress.watched(OWN, model, lambda m: train(m, OWN.x())), found, OWN)
        tally("wrapped models")
        tally("numbers equal to brute force", count)
    for ask in (snnlens.checkup, snnlens.audit, snnlens.attribute):
        with pytest.raises(InputError, match=r"^the model must be whole; got 'sharded over proc"):
            ask(newer, OWN.x())
        tally("refused in one line")
    train(newer, OWN.x())
