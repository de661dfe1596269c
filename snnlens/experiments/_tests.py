"""What a check-up tries on a model: repeat it, change its mode, change one step or one sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.experiments._preserve import preserved
from snnlens.experiments._subject import Axes, Subject
from snnlens.recording.record import Record

Found = dict[str, Any]


def not_applicable(why: str) -> Found:
    """The outcome of a test that could not be made."""
    return {"not_applicable": why}


def repeat(subject: Subject) -> Found:
    """Two equal calls in evaluation mode without a reset between them, and one after a reset.

    Random and model state are restored before each but the second, which finds the state that the
    first one left. `difference` and `after_reset` are the largest absolute differences from
    the first call, of the spikes of every layer and of the output.
    """
    with _evaluating(subject.model):
        with preserved(subject.model):
            first = _kept(subject, subject.run)
            second = _kept(subject, subject.go_on)
        with preserved(subject.model):
            third = _kept(subject, subject.run)
    if not any(bool(x.any()) for x in first.values()):
        return not_applicable("no layer fired in evaluation mode: equal calls prove nothing then")
    apart, again = (_largest(_distances(x, first))[0] for x in (second, third))
    return {"difference": apart, "after_reset": again, "samples": subject.size()}


def batches_tracked(model: nn.Module) -> int | None:
    """The fewest batches that a BatchNorm's running statistics have seen; None without one."""
    return min((int(m.num_batches_tracked) for m in _norms(model)), default=None)


def settle_norms(subject: Subject) -> None:
    """Give BatchNorms that have seen no batch the statistics of this one.

    With a mean of 0 and a variance of 1 that nothing has, a network may be silent in evaluation
    mode, and what is tried on silence proves nothing.
    """
    fresh = [m for m in _norms(subject.model) if int(m.num_batches_tracked or 0) == 0]
    if not fresh:
        return
    for norm in fresh:
        norm.momentum = None  # the mean over batches, so that one batch counts whole
    subject.model.train()
    with torch.no_grad():
        subject.run()


def _norms(model: nn.Module) -> list[Any]:
    """The BatchNorms that keep running statistics."""
    kind = nn.modules.batchnorm._BatchNorm
    found: list[Any] = [m for m in model.modules() if isinstance(m, kind)]
    return [m for m in found if m.num_batches_tracked is not None]


def modes(trained: Tensor, evaluated: Tensor, records: tuple[Record, Record]) -> Found:
    """Training mode against evaluation mode: outputs, and firing rates per spiking layer.

    difference = ||train - eval|| / ||eval|| of the outputs; null where the latter is 0, NaN where
    an output is not finite.
    """
    norm = float(evaluated.double().norm())
    apart = float((trained.double() - evaluated.double()).norm())
    return {"difference": None if norm == 0 else apart / norm, "rates": _both_rates(*records)}


def time(subject: Subject, entering: Axes, leaving: Axes) -> Found:
    """The input is changed at one step: the largest change at the steps before it.

    Every spiking layer, and the output where it has an axis of time, in evaluation mode.
    """
    x = subject.batch.inputs[0]
    if entering.time is None:
        return not_applicable("the input has no axis of time (it is shown at every step)")
    steps = x.shape[entering.time]
    if steps < 2:
        return not_applicable("T = 1: there is no step before the change")
    at = steps // 2
    both = _both(subject, _changed(x, entering, entering.time, at))
    before, after = (_over_time(found, leaving) for found in both)
    earlier = {name: (a, b) for name, (a, b) in _pairs(before, after).items() if len(a) == steps}
    if not earlier:
        return not_applicable("no layer and no output has the input's axis of time")
    moved = {name: _distance(b[:at], a[:at]) for name, (a, b) in earlier.items()}
    return _worst(moved, "before") | {"step": at}


def leaving_axes(subject: Subject, out: Tensor, axes: Axes) -> Axes:
    """Of the output, by its number of axes too: [N, classes] has no time, though N may be T."""
    y = subject.batch.y
    axes_with_time = 3 if y is None else y.dim() + 2
    untimed = axes.time is not None and not subject.per_step and out.dim() < axes_with_time
    return Axes(None, 0) if untimed else axes


def _over_time(found: dict[str, Tensor], leaving: Axes) -> dict[str, Tensor]:
    """The spikes, and the output where it has an axis of time, time first."""
    timed = {} if leaving.time is None else {"output": found["output"].movedim(leaving.time, 0)}
    return {name: x for name, x in found.items() if name != "output"} | timed


def samples(subject: Subject, entering: Axes, leaving: Axes) -> Found:
    """One sample of the input is changed: the largest change at the other samples.

    Of the output and of every spiking layer, in evaluation mode.
    """
    x = subject.batch.inputs[0]
    if entering.sample is None:
        return not_applicable("nothing says which axis of the input is the batch")
    count = x.shape[entering.sample]
    if count < 2:
        return not_applicable("one sample: there is no other")
    at = count // 2
    before, after = _both(subject, _changed(x, entering, entering.sample, at))
    others = [i for i in range(count) if i != at]
    moved = {
        name: _distance(after[name].movedim(axis, 0)[others], one.movedim(axis, 0)[others])
        for name, one in before.items()
        if (axis := _sample_axis(name, one, count, leaving)) is not None
    }
    if not moved:
        return not_applicable("no layer and no axis of the output is as long as the batch")
    return _worst(moved, "others") | {"sample": at}


def _sample_axis(name: str, x: Tensor, count: int, leaving: Axes) -> int | None:
    """Of the output as it was found; of spikes [T, B, ...] the second axis if it fits."""
    if name == "output":
        fits = leaving.sample is not None and leaving.sample < x.dim()
        return leaving.sample if fits and x.shape[leaving.sample or 0] == count else None
    return next((axis for axis in (1, 0) if x.shape[axis] == count), None)


def output(subject: Subject, out: Tensor, axes: Axes) -> Found:
    """What the output holds: largest value, share of zeros, accuracy after each step."""
    found: Found = {
        "largest": float(out.abs().max()),
        "zero_share": float((out == 0).double().mean()),
    }
    y = subject.batch.y
    fits = y is not None and out.dim() == y.dim() + 1 + (axes.time is not None)
    if y is None or not fits:
        return found
    steps = out.movedim(axes.time, 0) if axes.time is not None else out[None]
    running = steps.double().cumsum(0)  # the mean so far has the same largest class
    right = [float((r.argmax(1) == y).double().mean()) for r in running]
    return found | {"accuracy": right[-1], "accuracy_after": right}


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in was.items():
            module.training = training


def _same_draw(run: Callable[[], Tensor]) -> Tensor:
    """Run with the random state that it finds, and put that back."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices):
        return run().detach().clone()


def _both(subject: Subject, changed: Tensor) -> tuple[dict[str, Tensor], ...]:
    """Output and spikes of the subject and of the changed one, each from the same state."""
    found = []
    for one in (subject, subject.shown(changed, subject.batch.y)):
        with _evaluating(subject.model), preserved(subject.model):
            found.append(_kept(one, one.run))
    return tuple(found)


def _kept(subject: Subject, run: Callable[[], Tensor]) -> dict[str, Tensor]:
    """The output of a run, and every spike, time first where known."""
    kept: dict[str, list[Tensor]] = {}
    handles = list(_keep_spikes(subject, kept))
    try:
        out = _same_draw(run)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(parts) for name, parts in kept.items()} | {"output": out}


def _keep_spikes(subject: Subject, kept: dict[str, list[Tensor]]) -> Iterator[Any]:
    """Hooks that keep every spike, time first."""
    for site in subject.survey.neurons():
        adapter = subject.survey.adapters[site.module]

        def hook(
            module: nn.Module, _args: Any, out: Any, name: str = site.name, adapter: Any = adapter
        ) -> None:
            raw = adapter.spikes(module, out).detach()
            kept.setdefault(name, []).append(adapter.layout(module, raw).time_first(raw).clone())

        yield subject.survey.model.get_submodule(site.module).register_forward_hook(hook)


def _changed(x: Tensor, axes: Axes, axis: int, at: int) -> Tensor:
    """x mirrored in its range at one index of an axis; a constant is raised by 1."""
    if x.is_complex():  # its two parts have one range
        return torch.view_as_complex(_changed(torch.view_as_real(x), axes, axis, at))
    changed = x.clone()
    part = x[axes.at(x, axis, at)]
    if x.dtype == torch.bool:
        changed[axes.at(x, axis, at)] = ~part
        return changed
    mirrored = x.max() + x.min() - part
    changed[axes.at(x, axis, at)] = torch.where(mirrored == part, part + 1, mirrored)
    return changed


def _pairs(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    return {n: (before[n], after[n]) for n in before if before[n].shape == after[n].shape}


def _distances(a: dict[str, Tensor], b: dict[str, Tensor]) -> dict[str, float]:
    return {name: _distance(a[name], x) for name, x in b.items()}


def _worst(moved: dict[str, float], what: str) -> Found:
    """The first of the largest, in the order of computation."""
    largest, name = _largest(moved)
    return {what: largest, "site": name}


def _largest(moved: dict[str, float]) -> tuple[float, str]:
    """The first of the largest numbers, and its name; NaN is larger than any."""
    name = max(moved, key=lambda n: (math.isnan(moved[n]), moved[n]))
    return moved[name], name


def _distance(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def _both_rates(a: Record, b: Record) -> dict[str, list[float]]:
    """Of the spiking layers that both passes saw."""
    one, other = _rates(a), _rates(b)
    return {site: [one[site], other[site]] for site in one if site in other}


def _rates(record: Record) -> dict[str, float]:
    if "firing_rate" not in record.tables:
        return {}  # no layer was seen: SNL901
    alone = replace(record, tables={"firing_rate": record.table("firing_rate")})
    rows = alone.frame().query("role == 'neuron'")
    return dict(zip(rows["site"], rows["firing_rate"].astype(float), strict=True))
