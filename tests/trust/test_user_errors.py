"""Errors of the user's code at any place, interrupts at any line of ours, hooks of others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import SnnlensError
from tests.trust import stress
from tests.trust.stress import KINDS, PROBES, Kind, every_kind, few_kinds, train
from tests.trust.tally import Count, times

no_trace = pytest.mark.promise("leaves-no-trace")
right = pytest.mark.promise("right-under-stress")
OWN = KINDS["snnlens"]


class Everything(nn.Module):
    """BatchNorm, dropout, a membrane that is kept, a hook and an attribute of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.norm.num_batches_tracked.fill_(1)  # type: ignore[union-attr] # maps want that
        self.sn1 = snnlens.PLIF(1.5, threshold=0.3, keep_state=True)
        self.drop, self.middle = nn.Dropout(0.3), nn.Linear(6, 5)
        self.sn2 = snnlens.IF(0.2)
        self.last, self.passes = nn.Linear(5, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        y = self.norm(self.first(x).flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.last(self.sn2(self.middle(self.drop(self.sn1(y)))))


WITH_STATE = Kind(Everything, ("sn1", "sn2"))


class Fault(Exception):
    """Of the user's code."""


ERRORS = [Fault, KeyboardInterrupt, GeneratorExit, SystemExit, MemoryError]


class Raising(torch.autograd.Function):
    """The identity, whose gradient raises."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, error: type[BaseException]) -> Tensor:
        ctx.error = error
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        raise ctx.error("in a backward pass")


def _fault(error: type[BaseException], *_: Any) -> None:
    raise error("in a hook")


def _in_backward(error: type[BaseException], _module: Any, _args: Any, out: Any) -> Any:
    first = out[0] if isinstance(out, tuple) else out
    changed = Raising.apply(first, error)
    return (changed, *out[1:]) if isinstance(out, tuple) else changed


def _by_its_gradient(error: type[BaseException], _module: Any, _args: Any, out: Any) -> None:
    first = out[0] if isinstance(out, tuple) else out
    if first.requires_grad:
        first.register_hook(partial(_fault, error))


PLACES: dict[str, Callable[[nn.Module, nn.Module, Any], Any]] = {
    "before": lambda model, layer, error: model.register_forward_pre_hook(partial(_fault, error)),
    "at a layer": lambda model, layer, error: layer.register_forward_pre_hook(
        partial(_fault, error)
    ),
    "after a layer": lambda model, layer, error: layer.register_forward_hook(
        partial(_fault, error)
    ),
    "at the end": lambda model, layer, error: model.register_forward_hook(partial(_fault, error)),
    "in backward": lambda model, layer, error: layer.register_forward_hook(
        partial(_in_backward, error)),
    "in a tensor's hook": lambda model, layer, error: layer.register_forward_hook(
        partial(_by_its_gradient, error)),
    "in a module's backward hook": lambda model, layer, error: layer.register_full_backward_hook(
        partial(_fault, error)),
}  # fmt: skip


def _broken(kind: Kind, place: str, error: type[BaseException]) -> nn.Module:
    model = kind.make()
    PLACES[place](model, model.get_submodule(kind.layers[-1]), error)
    return model


def _watching(kind: Kind, look: str, model: nn.Module) -> Any:
    if look == "nobody":
        return nullcontext()
    if look == "record":
        return snnlens.record(model, PROBES, spiking=kind.spiking)
    return snnlens.watch(model, PROBES, every=1, spiking=kind.spiking)


def _left(kind: Kind, look: str, place: str, error: type[BaseException]) -> dict[str, Any]:
    """Everything of a model whose pass has failed, watched or not, and what was raised."""
    torch.manual_seed(5)
    model = _broken(kind, place, error)
    raised: list[str] = []
    with _watching(kind, look, model):
        try:
            train(model, kind.x())
        except error as found:
            raised.append(f"{type(found).__name__}: {found}")
    found = stress.everything_of(model)
    found["names of hooks"] = {k: len(v) for k, v in found.pop("hooks").items()}
    return found | {"raised": raised}


@no_trace
@every_kind
@pytest.mark.parametrize("place", PLACES)
def test_an_error_of_the_model_leaves_what_it_leaves_unwatched(
    kind: Kind, place: str, tally: Count
) -> None:
    for error in ERRORS[: times(1)] if kind is not OWN else ERRORS:
        alone = _left(kind, "nobody", place, error)
        assert alone["raised"]  # the error came through
        for look in ("record", "watch"):
            _same(_left(kind, look, place, error), alone)
            tally("errors of the user's code")


@no_trace
@pytest.mark.parametrize("place", PLACES)
def test_an_error_of_a_model_with_states_and_random_numbers(place: str, tally: Count) -> None:
    for look in ("record", "watch"):
        _same(_left(WITH_STATE, look, place, Fault), _left(WITH_STATE, "nobody", place, Fault))
        tally("errors of the user's code")


def _same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name, value in other.items():
        if isinstance(value, Tensor):
            assert torch.equal(one[name], value), name
        elif isinstance(value, np.ndarray):
            assert (one[name] == value).all(), name
        else:
            assert one[name] == value, name


@no_trace
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [KINDS["own"], WITH_STATE], ids=["own", "states"])
def test_a_check_up_that_fails_has_changed_nothing(kind: Kind, place: str, tally: Count) -> None:
    """In one line where it is an error; an interrupt goes through. The state is that before."""
    for error in (Fault, KeyboardInterrupt):
        model = _broken(kind, place, error)
        before = stress.everything_of(model)
        for ask in (snnlens.checkup, snnlens.audit, partial(snnlens.attribute, method="saliency")):
            expected = SnnlensError if error is Fault else KeyboardInterrupt
            with pytest.raises(expected) as found:
                ask(model, kind.x(), spiking=kind.spiking)
            assert "\n" not in str(found.value)
            assert getattr(found.value, "exit_code", 2) == 2
            stress.assert_as_before(model, before)
            tally("errors of the user's code")


@no_trace
def test_an_error_in_the_body_and_a_generator_that_is_closed(tally: Count) -> None:
    for look in ("record", "watch"):
        for error in ERRORS:
            model = OWN.make()
            before = stress.everything_of(model)
            with pytest.raises(error), _watching(OWN, look, model):  # noqa: PT012
                model.eval()
                with torch.no_grad():
                    model(OWN.x())
                model.train()
                raise error("in the body")
            stress.assert_as_before(model, before)
            tally("errors of the user's code")

        def steps(look: str = look) -> Iterator[nn.Module]:
            model = OWN.make()
            with _watching(OWN, look, model):
                model(OWN.x())
                yield model

        running = steps()
        model = next(running)
        running.close()
        assert not stress.hooks_of(model)
        assert "forward" not in vars(model)
        tally("errors of the user's code")


@right
@every_kind
def test_what_is_recorded_after_an_error_is_right(kind: Kind, tally: Count) -> None:
    """A pass that broke off has counted what it did; the next begins anew."""

    def run(model: nn.Module) -> None:
        layer = model.get_submodule(kind.layers[-1])
        handle = layer.register_forward_pre_hook(partial(_fault, Fault))
        with pytest.raises(Fault):
            train(model, kind.x())
        handle.remove()
        train(model, kind.x())

    record = stress.recorded(kind, kind.make(), run)
    found = stress.kept(kind, kind.make(), run)
    for name in kind.layers:
        rows = record.tables["firing_rate"].query("site == @name")
        outputs = [o.detach().double() for o in found[name].outputs]
        assert rows["total"].sum() == sum(float(o.sum()) for o in outputs)
        assert rows["elements"].sum() == sum(o.numel() for o in outputs)
        assert rows["step"].max() == kind.steps - 1
        tally("numbers equal to brute force", 2)
    last = stress.kept(kind, kind.make(), lambda m: train(m, kind.x()), kind.layers[-1:])
    tally("numbers equal to brute force", stress.compare(record, last, kind))


# --- interrupts at any line of ours ---------------------------------------------------------------

OURS = Path(snnlens.__file__).parent
# Undoing is not interrupted: an interrupt there leaves what a `finally` leaves anywhere.
UNDOING = {"_preserve.py", "hooks.py"}
ENDS = {"__exit__", "close", "leave", "_detach", "_look_back", "_end", "frame", "record",
        "__enter__", "_begin"}  # fmt: skip


@contextmanager
def interrupted(at: int | None = None) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at the n-th line of snnlens that runs; count them."""
    lines = [0]

    def of_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines[0] += 1
            if lines[0] == at:
                raise KeyboardInterrupt
        return of_line

    def of_call(frame: FrameType, _event: str, _: Any) -> Any:
        path = Path(frame.f_code.co_filename)
        within = frame.f_code.co_filename.startswith(str(OURS)) and path.name not in UNDOING
        if not within or frame.f_code.co_name in ENDS or _is_ending(frame):
            return None
        return of_line

    before = sys.gettrace()
    sys.settrace(of_call)
    try:
        yield lines
    finally:
        sys.settrace(before)


def _is_ending(frame: FrameType | None) -> bool:
    """Whether something is being put back or made of what was seen."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(str(OURS)) and (
            Path(code.co_filename).name in UNDOING or code.co_name in ENDS
        ):
            return True
        frame = frame.f_back
    return False


def _look_at(kind: Kind, ask: str, model: nn.Module) -> None:
    if ask in {"record", "watch"}:
        with _watching(kind, ask, model):
            train(model, kind.x())
    else:
        getattr(snnlens, ask)(model, kind.x(), spiking=kind.spiking)


@no_trace
@pytest.mark.parametrize(
    ("ask", "tries"), [("record", 8), ("watch", 8), ("checkup", 1), ("audit", 1)]
)
def test_an_interrupt_at_any_line(ask: str, tries: int, tally: Count) -> None:
    kind = WITH_STATE
    model = kind.make()
    with interrupted() as lines:
        _look_at(kind, ask, model)
    generator = np.random.default_rng(0)
    hit = 0
    for at in generator.integers(1, lines[0], times(tries)):
        model = kind.make()
        before = stress.everything_of(model)
        with interrupted(int(at)):
            try:
                _look_at(kind, ask, model)
            except KeyboardInterrupt:
                hit += 1
        if ask in {"record", "watch"}:  # the pass itself was the user's, and went as far as it did
            assert stress.hooks_of(model) == {}
            assert sorted(vars(model)) == before["names "]
        else:
            stress.assert_as_before(model, before)
        tally("interrupts at a line of ours")
    assert hit > tries // 3


# --- hooks of others ------------------------------------------------------------------------------


class Log:
    """Hooks of every kind that write down that they ran; one that changes something."""

    def __init__(self, model: nn.Module, layer: nn.Module) -> None:
        self.seen: list[str] = []
        model.register_forward_pre_hook(self.note("model before"))
        model.register_forward_hook(self.note("model after"), always_call=True)
        layer.register_forward_pre_hook(self.note("layer before"), prepend=True)
        layer.register_forward_hook(self.note("layer after"))
        layer.register_forward_hook(self.note("layer after, named"), with_kwargs=True)
        layer.register_full_backward_pre_hook(self.note("backward before"))
        layer.register_full_backward_hook(self.note("backward"))
        weight = next(model.parameters())
        weight.register_hook(self.note("weight"))
        weight.register_post_accumulate_grad_hook(self.note("accumulated"))

    def note(self, text: str) -> Callable[..., None]:
        return lambda *_: self.seen.append(text)


@no_trace
@few_kinds
def test_hooks_of_others_run_as_ever_and_stay(kind: Kind, tally: Count) -> None:
    """As often, in the same order, before and after; ours are gone."""
    logs = []
    for look in ("nobody", "record", "watch", "checkup"):
        model = kind.make()
        log = Log(model, model.get_submodule(kind.layers[0]))
        before = stress.hooks_of(model)
        if look == "checkup":
            snnlens.checkup(model, kind.x(), spiking=kind.spiking)
            log.seen.clear()
        with _watching(kind, "nobody" if look == "checkup" else look, model):
            train(model, kind.x())
        assert stress.hooks_of(model) == before
        logs.append(log.seen)
    assert len(logs[0]) >= 9
    assert logs[1:] == logs[:1] * 3
    tally("hooks of others", len(logs[0]))


def _every_second(out: Any) -> Any:
    first = out[0] if isinstance(out, tuple) else out
    mask = (torch.arange(first.shape[-1]) % 2).to(first.dtype)
    return (first * mask, *out[1:]) if isinstance(out, tuple) else first * mask


def _halves(_module: Any, _args: Any, out: Any) -> Any:
    """Gives something else."""
    return _every_second(out)


def _in_place(_module: Any, _args: Any, out: Any) -> None:
    """Gives nothing back, and changes what it got."""
    first = out[0] if isinstance(out, tuple) else out
    first.data.copy_(_every_second(first.data))


def _louder(_module: Any, _args: Any, out: Any) -> None:
    """Changes the gradient alone."""
    first = out[0] if isinstance(out, tuple) else out
    if first.requires_grad:
        first.register_hook(lambda grad: 3 * grad)


def _stronger(_module: Any, args: Any) -> Any:
    """Changes what goes in."""
    return (2 * args[0], *args[1:])


def _wider(_module: Any, by_out: Any) -> Any:
    """Changes the gradient before a module's backward pass."""
    return tuple(None if g is None else 2 * g for g in by_out)


CHANGING: dict[str, Callable[[nn.Module], Any]] = {
    "the output": lambda layer: layer.register_forward_hook(_halves),
    "the output in place": lambda layer: layer.register_forward_hook(_in_place),
    "its gradient": lambda layer: layer.register_forward_hook(_louder),
    "the input": lambda layer: layer.register_forward_pre_hook(_stronger),
    "its gradient before": lambda layer: layer.register_full_backward_pre_hook(_wider),
}  # fmt: skip


@right
@pytest.mark.parametrize("what", CHANGING)
@every_kind
def test_hooks_that_change_something(kind: Kind, what: str, tally: Count) -> None:
    """What passes on is what is counted; the kernel's own count of the layer was wrong then."""
    for when in ("before the recorder", "after it")[: times(2 if kind is OWN else 1)]:
        _change_and_compare(kind, what, when, tally)


def _change_and_compare(kind: Kind, what: str, when: str, tally: Count) -> None:
    layer, x = kind.layers[0], kind.x()

    def change(model: nn.Module) -> None:
        CHANGING[what](model.get_submodule(layer))

    found = stress.kept(kind, kind.make(change), lambda m: train(m, x))
    plain = stress.kept(kind, kind.make(), lambda m: train(m, x))
    model = kind.make(change if when == "before the recorder" else None)
    with snnlens.record(model, PROBES, spiking=kind.spiking) as recorder:
        if when == "after it":
            change(model)
        train(model, x)
    tally("numbers equal to brute force", stress.compare(recorder.record(), found, kind))
    assert any(_differ(found[n], plain[n]) for n in kind.layers)  # the hook did change something
    tally("hooks of others")


def _differ(one: stress.Kept, other: stress.Kept) -> bool:
    for a, b in zip(one.outputs, other.outputs, strict=True):
        if not torch.equal(a, b):
            return True
        if a.grad is not None and b.grad is not None and not torch.equal(a.grad, b.grad):
            return True
    return False


@right
def test_a_hook_on_all_modules_that_changes_something(tally: Count) -> None:
    def halve(module: nn.Module, _args: Any, out: Any) -> Any:
        return out * 0.5 if isinstance(module, snnlens.LIF) else None

    handle = nn.modules.module.register_module_forward_hook(halve)
    try:
        found = stress.kept(OWN, OWN.make(), lambda m: train(m, OWN.x()))
        record = stress.recorded(OWN, OWN.make(), lambda m: train(m, OWN.x()))
        (audited,) = {bool(b) for b in snnlens.audit(OWN.make(), OWN.x()).table["equal"]}
    finally:
        handle.remove()
    tally("numbers equal to brute force", stress.compare(record, found, OWN))
    assert audited
    tally("hooks of others")


# --- callbacks ------------------------------------------------------------------------------------


@no_trace
def test_a_callback_of_the_watch_that_raises(tally: Count) -> None:
    """It is the user's error, comes through, and the next step is watched again."""
    model, told = OWN.make(), []

    def on_record(step: int, _record: Any) -> None:
        told.append(step)
        if step == 1:
            raise Fault("in a callback")

    with snnlens.watch(model, every=1, on_record=on_record) as seen:
        with pytest.raises(Fault, match="in a callback"):
            train(model, OWN.x())
        assert not stress.hooks_of(model)
        model.zero_grad()
        train(model, OWN.x())
    assert told == [1, 2]
    assert seen.steps == 2
    twin = OWN.make()
    train(twin, OWN.x())
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)
    tally("errors of the user's code")
