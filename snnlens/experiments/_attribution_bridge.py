"""A bridge to any model with its batch: how the tensors lie is found, and everything put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter
from snnlens.attribution.bridge import Bridge, Entering
from snnlens.errors import InputError, SnnlensError
from snnlens.experiments._batch import Batch
from snnlens.experiments._preserve import preserved
from snnlens.experiments._subject import Subject, size
from snnlens.models.resnet import ResNet
from snnlens.recording.recorder import Recorder

QUIET = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def subject(
    model: nn.Module, x: Any, y: Any, *, spiking: Sequence[Adapter], time_axis: int | None,
    per_step: bool, output: int | None,
) -> Subject:  # fmt: skip
    """A model and a batch that are there already; y helps to tell the axes where it is one each."""
    each = y if isinstance(y, Tensor) and y.dim() == 1 and not y.is_floating_point() else None
    return Subject(
        model, Batch.of(x, each), adapters=spiking, time_axis=time_axis, per_step=per_step,
        output_index=output,
    )  # fmt: skip


@contextmanager
def bridged(subject: Subject, *, seed: int = 0) -> Iterator[Bridge]:
    """The subject's model as a Bridge that holds its input; the model is put back after it.

    Raises InputError for more than one input, and for one whose axes nothing tells.
    """
    x = _one_input(subject)
    with preserved(subject.model):
        _quieten(subject)
        entering, steps = _entering(subject)
        yield Bridge(
            subject.model, subject.survey, x, entering,
            steps=steps, output=subject.output_index, seed=seed,
        )  # fmt: skip


def _one_input(subject: Subject) -> Tensor:
    inputs = subject.batch.inputs
    if len(inputs) != 1:
        raise InputError("the inputs of forward", got=len(inputs), wanted="one tensor")
    return inputs[0]


def _quieten(subject: Subject) -> None:
    """Evaluation mode, but for spiking layers: some frameworks drop their surrogate there."""
    subject.model.eval()
    for name in subject.survey.adapters:
        for module in subject.survey.model.get_submodule(name).modules():
            module.training = not isinstance(module, QUIET)
    subject.model.requires_grad_(False)


def _entering(subject: Subject) -> tuple[Entering, int]:
    """How the input lies, and T of a folded one; the layers' own T and batch tell."""
    if subject.per_step:
        return "one step", 1
    if isinstance(subject.survey.model, ResNet) and subject.batch.inputs[0].dim() == 4:
        return "static", 1  # [N, C, H, W] may look like [T, N, ...]
    steps, samples = _sizes(subject)
    axes = subject.input_axes(steps, samples)
    x = subject.batch.inputs[0]
    if axes.time is not None:
        said: Entering = "time first" if axes.time == 0 else "batch first"
        return (said if subject.time_axis is not None else _told_apart(subject, x, steps)), 1
    if axes.sample is not None:
        return "static", 1
    return _folded(subject, steps or 1, subject.batch.samples or samples)


def _sizes(subject: Subject) -> tuple[int | None, int | None]:
    """T and the batch, as the layers see them in one pass."""
    recorder = Recorder(subject.model, [], adapters=subject.adapters)
    with torch.no_grad(), recorder:
        subject.run()
    return size(recorder)


def _told_apart(subject: Subject, x: Tensor, steps: int | None) -> Entering:
    """[A, B, ...] whose sizes say T and batch, but channels may be as many: change one axis after
    the other, and see what the layers make of it.
    """
    if _changed(subject, x[:1]) != (steps, 1):
        return "time first"
    single = x.shape[1] == 1
    found = _changed(subject, torch.cat([x, x], 1) if single else x[:, :1])
    if single and found == (steps, 2):  # [1, 1, ...]
        return "time first"
    return "batch first" if found is not None and found[0] == 1 + single else "static"


def _changed(subject: Subject, x: Tensor) -> tuple[int | None, int | None] | None:
    """T and the batch of another input; None where the model does not take it."""
    try:
        return _sizes(subject.shown(x))
    except SnnlensError:
        return None


def _folded(subject: Subject, steps: int, samples: int | None) -> tuple[Entering, int]:
    x = subject.batch.inputs[0]
    if samples is None or len(x) != steps * samples:
        raise InputError(
            "the axes of the input", got=list(x.shape), wanted="told: nothing says which is time",
            do="give time_axis, per_step, or targets y as long as the batch",
        )  # fmt: skip
    return "folded", steps


def targets(bridge: Bridge, y: Any) -> Tensor:
    """The class of each sample: one for all, one each, or None: what the model predicts."""
    x = bridge.x
    if y is None:
        with torch.no_grad():
            return torch.cat([bridge(part).argmax(1) for part in x.split(32)])
    made = torch.as_tensor(y, device=x.device)
    if made.is_floating_point() or made.dtype == torch.bool or made.dim() > 1:
        raise InputError(
            "target", got=f"{made.dtype} {list(made.shape)}", wanted="a class, or one per sample"
        )
    return made.long().expand(len(x)) if made.dim() == 0 else made.long()
