"""A user's model with its batch: run over time, put to rest, its output and its axes known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter
from snnlens.adapters._survey import Survey, survey
from snnlens.adapters.plain import Plain
from snnlens.errors import InputError
from snnlens.experiments import _batch
from snnlens.experiments._batch import Batch
from snnlens.experiments._loss import LossFunction, load_loss, loss_of
from snnlens.experiments._model import load_class, load_model, user_code
from snnlens.experiments._networks import usable_device
from snnlens.experiments._params import ModelParams, SubjectParams, command
from snnlens.experiments._preserve import preserved
from snnlens.experiments._trained_model import load_trained
from snnlens.models.plan import usual_size
from snnlens.provenance import provenance
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder

FEW = 4  # samples of the tests that keep every spike


@dataclass(frozen=True)
class Axes:
    """Which axis of a tensor is time and which the batch; None where it has none."""

    time: int | None
    sample: int | None

    def at(self, x: Tensor, axis: int, index: int | slice) -> tuple[int | slice, ...]:
        """An index of x along one axis."""
        return tuple(index if a == axis else slice(None) for a in range(x.dim()))


@dataclass(frozen=True)
class Subject:
    """The model, what it is shown, and how: `per_step` calls it once for each x[t]."""

    model: nn.Module
    batch: Batch
    adapters: Sequence[Adapter] = ()
    loss: LossFunction | None = None
    loss_name: str = "the loss"
    output_index: int | None = None
    time_axis: int | None = None
    per_step: bool = False
    survey: Survey = field(init=False)

    def __post_init__(self) -> None:
        if self.time_axis not in (None, 0, 1):
            raise InputError("time_axis", got=self.time_axis, wanted="0 or 1")
        _batch.one_device(self.model, self.batch)
        _check_whole(self.model)
        object.__setattr__(self, "survey", survey(self.model, self.adapters))

    def run(self) -> Tensor:
        """One forward pass from rest; the chosen output, time first where it is called per step."""
        self.survey.reset()
        return self.go_on()

    def go_on(self) -> Tensor:
        """As `run`, from whatever state the last call left."""
        if not self.per_step:
            return _batch.outputs(_batch.forward(self.model, self.batch), self.output_index)
        steps = [self._one(t) for t in range(len(self.batch.inputs[0]))]
        return torch.stack([_batch.outputs(o, self.output_index) for o in steps])

    def _one(self, t: int) -> Any:
        batch = replace(self.batch, inputs=tuple(x[t] for x in self.batch.inputs))
        return _batch.forward(self.model, batch)

    def backward(self, recorder: Recorder) -> tuple[Tensor, Axes, str]:
        """One forward and backward pass under a recorder, which notes the loss."""
        subject = self._differentiable()
        out = subject.run()
        axes = self.output_axes(out, *size(recorder))
        loss, text = self.judged(out, axes)
        if loss.requires_grad:
            with user_code("the backward pass"):
                loss.backward()
        recorder.note(loss=float(loss.detach()), loss_text=text, backward=loss.requires_grad)
        return out, axes, text

    def _differentiable(self) -> Subject:
        """Where no weight needs a gradient, the input does: then every layer sees one."""
        x = self.batch.inputs[0]
        if any(p.requires_grad for p in self.model.parameters()) or not x.is_floating_point():
            return self
        return self.shown(x.detach().clone().requires_grad_(), self.batch.y)

    def judged(self, output: Tensor, axes: Axes) -> tuple[Tensor, str]:
        """The loss, and in words which one."""
        return loss_of(output, self.batch.y, axes.time, self.loss, self.loss_name)

    def input_axes(self, time_steps: int | None, samples: int | None) -> Axes:
        """Of the first input, by what was said, by y, or by the layers' own T and batch."""
        return self._axes(self.batch.inputs[0], time_steps, samples, at_input=True)

    def output_axes(self, output: Tensor, time_steps: int | None, samples: int | None) -> Axes:
        """Of the output; one whose sizes say nothing has none."""
        return self._axes(output, time_steps, samples, at_input=False)

    def few(self, axes: Axes) -> Subject:
        """The first samples only, where the axis of the batch is known."""
        if axes.sample is None or len(self.batch.inputs) > 1:
            return self
        x = self.batch.inputs[0]
        cut = x[axes.at(x, axes.sample, slice(FEW))]
        y = None if self.batch.y is None else self.batch.y[:FEW]
        return self.shown(cut, y)

    def size(self) -> int | None:
        """Samples of this batch, where they are known."""
        x, y = self.batch.inputs[0], self.batch.y
        return (
            len(y)
            if y is not None
            else self.batch.samples or (x.shape[1] if self.per_step else None)
        )

    def shown(self, x: Tensor, y: Tensor | None = None) -> Subject:
        """The same model with another first input."""
        batch = replace(self.batch, inputs=(x, *self.batch.inputs[1:]), y=y)
        return replace(self, batch=batch)

    def _axes(
        self, x: Tensor, time_steps: int | None, samples: int | None, *, at_input: bool
    ) -> Axes:
        if getattr(self.model, "static", False):  # it repeats a batch over T itself
            return Axes(None, 0)
        if self.per_step or (at_input and self.batch.time_first):
            return Axes(0, 1)
        if self.time_axis is not None and at_input:
            return Axes(self.time_axis, 1 - self.time_axis)
        known = len(self.batch.y) if self.batch.y is not None else samples
        sizes = x.shape[:2]
        if len(sizes) == 2 and known is not None and time_steps is not None:
            for time in (0, 1) if self._time_is_first() else (1, 0):
                if sizes[1 - time] == known and sizes[time] in (time_steps, samples):
                    return Axes(time, 1 - time)
        return Axes(None, 0 if known is not None and len(x) == known else None)

    def _time_is_first(self) -> bool:
        found = {a.name for a in self.survey.adapters.values()}
        return "sinabs" not in found


def load(params: ModelParams, samples: int, loss: str | None = None) -> Subject:
    """The subject that the options describe, with so many samples of `--data`, on its device."""
    classes, batch = None, None
    device = usable_device(params.device)
    if params.input is not None or params.data is not None or usual_size(params.model):
        batch = _batch.load_batch(
            params.input, params.data, samples=samples, seed=params.seed,
            image_size=params.image_size or usual_size(params.model),
            time_steps=params.time_steps, bin_ms=params.bin_ms,
        )  # fmt: skip
        classes = batch.classes
    model = load_trained(params.model) or load_model(
        params.model, seed=params.seed, classes=classes, time_steps=params.time_steps
    )
    if batch is None:
        raise InputError(
            "the batch", got="none", wanted="given for a model of your own",
            do="--input batch.safetensors, or --data digits, cifar10:PATH, nmnist:PATH",
        )  # fmt: skip
    return Subject(
        model.to(device),
        _per_step(batch, params).to(device),
        adapters=_own_classes(params.spiking),
        loss=None if loss is None else load_loss(loss),
        loss_name=loss or "the loss",
        output_index=params.output,
        time_axis=params.time_axis,
        per_step=params.per_step,
    )


def _per_step(batch: Batch, params: ModelParams) -> Batch:
    """Images are shown T times to a model that takes one step."""
    if not params.per_step or batch.time_first or params.input is not None:
        return batch
    x = batch.inputs[0]
    return replace(batch, inputs=(x.expand(params.time_steps, *x.shape),), time_first=True)


def _own_classes(names: Sequence[str]) -> list[Adapter]:
    return [Plain([load_class(name) for name in names])] if names else []


def subject_of(
    model: nn.Module, x: Any, y: Any, params: SubjectParams,
    *, loss: Any = None, adapters: Sequence[Adapter] = (),
) -> Subject:  # fmt: skip
    """A model and a batch that are there already."""
    name = getattr(loss, "__name__", type(loss).__name__)
    return Subject(
        model, Batch.of(x, y), adapters=adapters, loss=loss, loss_name=name,
        output_index=params.output, time_axis=params.time_axis, per_step=params.per_step,
    )  # fmt: skip


def size(recorder: Recorder) -> tuple[int | None, int | None]:
    """T and the batch, as the spiking layers saw them."""
    shapes = [recorder.shape(s.name) for s in recorder.survey.neurons()]
    seen = [s for s in shapes if s is not None and len(s) > 1]
    return (max(s[0] for s in seen), seen[0][1]) if seen else (None, None)


def _check_whole(model: nn.Module) -> None:
    """Parameters that fully_shard has cut keep a state of their own, which nobody can put back."""
    cut = next((n for n, p in model.named_parameters() if type(p).__name__ == "DTensor"), None)
    if cut is not None:
        raise InputError(
            "the model", got=f"sharded over processes ({cut} is a DTensor)", wanted="whole",
            do="try it before fully_shard; snnlens.record and snnlens.watch take a sharded one",
        )  # fmt: skip


def few_of(subject: Subject) -> Subject:
    """The first samples only; one pass without gradients finds their axis."""
    recorder = Recorder(subject.model, [], adapters=subject.adapters, per_step=subject.per_step)
    with preserved(subject.model), torch.no_grad(), recorder:
        subject.run()
    return subject.few(subject.input_axes(*size(recorder)))


def network_name(model: str) -> str:
    """A network's name in the Record: sew_resnet50, or what stands behind the path."""
    return model.rpartition("/")[2]


def with_provenance(record: Record, question: str, subject: Subject, params: ModelParams) -> Record:
    """The Record with its command, its parameters and the fingerprint of the batch."""
    return replace(
        record,
        provenance=provenance()
        | {
            "question": question,
            "command": command(question, params),
            "parameters": params.model_dump(mode="json", exclude=params.unused),
            "device": params.device,
            "threads": torch.get_num_threads(),
            "data": subject.batch.description,
            "data_fingerprint": subject.batch.fingerprint,
        },
    )
