"""Watch: record one of every so many training steps; between them nothing is attached."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import pandas as pd
import torch
from torch import nn

from snnlens.adapters._base import Adapter, tensors
from snnlens.adapters._survey import survey
from snnlens.errors import InputError, NothingToRecord
from snnlens.recording.probe import Probe
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder, is_recomputing


class Watch:
    """Records every n-th training step of a model; `close()` or `with` ends it.

    A step is a forward pass of the model in training mode with gradients on, and its backward
    pass. On a sampled one the recorder's hooks are there for the forward pass, and its tensors'
    gradients are heard; when the backward pass has ended nothing is left. Between sampled steps
    only `model.forward` counts: it stands on the object, not among its hooks, and a deep copy or
    a pickle of the model does not take it along.

    Args:
        model: as for `snnlens.record`; one inside DDP is found.
        probes: what to record; they live as long as the watch does.
        every: record steps 1, 1 + every, 1 + 2 every, ...
        keep: how many of the last records' frames `frame()` holds.
        adapters: as for `Recorder`.
        on_record: called with the step and its Record when its backward pass has ended.
    """

    def __init__(
        self,
        model: nn.Module,
        probes: Sequence[Probe],
        *,
        every: int = 50,
        keep: int = 100,
        adapters: Sequence[Adapter] = (),
        on_record: Callable[[int, Record], None] | None = None,
    ) -> None:
        for name, number in (("every", every), ("keep", keep)):
            if number < 1:
                raise InputError(name, got=number, wanted="at least 1")
        self.probes, self.every = list(probes), every
        self.steps = 0
        self.record: Record | None = None  # of the last sampled step
        self._frames: deque[pd.DataFrame] = deque(maxlen=keep)
        self._on_record = on_record
        self._recorder: Recorder | None = None
        self._survey = survey(model, adapters)  # a model without spiking layers is an error now
        self.model = self._survey.model
        self._before = vars(self.model).get("forward")
        self.model.forward = _Counting(self, self.model.forward)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything off the model; asking twice does no harm."""
        self._end()
        if isinstance(vars(self.model).get("forward"), _Counting):
            if self._before is None:
                del self.model.forward
            else:
                self.model.forward = self._before

    def frame(self) -> pd.DataFrame:
        """The frames of the last sampled steps, the step in the column `training_step`.

        Raises:
            NothingToRecord: no training step was seen.
        """
        if not self._frames:
            raise NothingToRecord(
                "the watch must see a training step; got none; call the model in training mode "
                "(and watch it before torch.compile)"
            )
        return pd.concat(self._frames, ignore_index=True)

    def step(self, forward: Callable[..., Any], args: Any, named: Any) -> Any:
        """One call of the model's forward; every n-th in training is recorded."""
        if not (self.model.training and torch.is_grad_enabled()) or is_recomputing():
            return forward(*args, **named)
        self._end()  # of a sampled step whose backward pass never came
        self.steps += 1
        if (self.steps - 1) % self.every:
            return forward(*args, **named)
        return self._sampled(forward, args, named)

    def _sampled(self, forward: Callable[..., Any], args: Any, named: Any) -> Any:
        self._recorder = Recorder(self.model, self.probes, surveyed=self._survey)
        self._recorder.open()
        try:
            out = forward(*args, **named)
        except BaseException:
            self._recorder.close()
            self._recorder = None
            raise
        self._recorder.leave()
        reached = next((t for t in tensors(out) if t.requires_grad), None)
        if reached is None:
            self._end()
        else:
            recorder = self._recorder
            reached.register_hook(lambda _grad: _after_backward(lambda: self._end(recorder)))
        return out

    def _end(self, of: Recorder | None = None) -> None:
        """The sampled step is over: keep its record, leave nothing behind."""
        recorder = self._recorder
        if recorder is None or (of is not None and of is not recorder):
            return
        self._recorder = None
        recorder.close()
        self.record = recorder.record()
        frame = self.record.frame()
        frame.insert(0, "training_step", self.steps)
        self._frames.append(frame)
        if self._on_record is not None:
            self._on_record(self.steps, self.record)


class _Counting:
    """What stands for the forward method of a watched model; a copy of the model is not watched."""

    def __init__(self, watch: Watch, forward: Callable[..., Any]) -> None:
        self._watch, self._forward = watch, forward

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._watch.step(self._forward, args, named)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _own_forward(memo[id(self._watch.model)])

    def __reduce__(self) -> Any:
        return _own_forward, (self._watch.model,)


def _own_forward(model: nn.Module) -> Any:
    """The forward of the model's class, bound."""
    return types.MethodType(type(model).forward, model)


def _after_backward(call: Callable[[], None]) -> None:
    """Call when the backward pass that runs now has ended."""
    torch.autograd.Variable._execution_engine.queue_callback(call)
