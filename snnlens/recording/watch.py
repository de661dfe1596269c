"""Watch: record one of every so many training steps; between them nothing is attached."""

from __future__ import annotations

import copy
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import pandas as pd
import torch
from torch import nn

from snnlens.adapters._base import Adapter, tensors
from snnlens.adapters._survey import Survey, survey, unwrapping
from snnlens.errors import InputError, NothingToRecord
from snnlens.neuron.kernels import is_traced
from snnlens.recording.hooks import is_recomputing
from snnlens.recording.probe import Probe
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder


class Watch:
    """Records every n-th training step of a model; `close()` or `with` ends it.

    A step is a forward pass of the model in training mode with gradients on, and its backward
    pass. On a sampled one the recorder's hooks are there for the forward pass, and its tensors'
    gradients are heard; when the backward pass has ended nothing is left. Between sampled steps
    only `model.forward` counts: it stands on the object, not among its hooks, and a deep copy or
    a pickle of the model does not take it along. The passes of a check-up or an audit are no steps,
    nor are those that another thread makes while a step's forward pass is recorded.

    Args:
        model: as for `snnlens.record`; one inside DDP is found. Of a compiled one give what
            torch.compile returned: a sampled step runs as it was written, the others compiled.
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
            _check(name, number)
        self.probes, self.every = list(probes), every
        self.steps = 0
        self.record: Record | None = None  # of the last sampled step
        self._frames: deque[pd.DataFrame] = deque(maxlen=keep)
        self._on_record = on_record
        self._recorder: Recorder | None = None
        self._given, self._adapters = model, adapters
        self.model = survey(model, adapters).model  # without spiking layers it is an error now
        self.paused = 0  # how many look at the model who make no training step
        self.closed = False
        self._lock, self._sampling = threading.RLock(), 0  # the thread whose forward is recorded
        self._seat, self._called = _seat(model)
        self.before = vars(self._seat).get(self._called)
        forward = getattr(self._seat, self._called)
        setattr(self._seat, self._called, _Counting(self, forward))

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
        self.closed = True
        for counting in _countings(self._seat, self._called):
            if not counting.watch.closed:  # of a younger watch: it takes us off when it ends
                break
            if counting.watch.before is None:
                delattr(self._seat, self._called)
            else:
                setattr(self._seat, self._called, counting.watch.before)

    def frame(self) -> pd.DataFrame:
        """The frames of the last sampled steps, the step in the column `training_step`.

        Raises:
            NothingToRecord: no training step was seen.
        """
        if not self._frames:
            raise NothingToRecord(
                "the watch must see a training step; got none; call the model in training mode "
                "(and watch the compiled model, not the one inside of it)"
            )
        return pd.concat(self._frames, ignore_index=True)

    def step(self, forward: Callable[..., Any], args: Any, named: Any) -> Any:
        """One call of the model's forward; every n-th in training is recorded."""
        surveyed = self._begin_step() if self._is_step() else None
        if surveyed is None:
            return forward(*args, **named)
        try:
            return self._sampled(surveyed, forward, args, named)
        finally:
            self._sampling = 0

    def _is_step(self) -> bool:
        trains = self.model.training and torch.is_grad_enabled()
        return trains and not (self.closed or self.paused or is_recomputing())

    def _begin_step(self) -> Survey | None:
        """Count a step; where to look, if it is sampled: a model may have got other parts."""
        me = threading.get_ident()
        with self._lock:
            if self._sampling not in (0, me):
                return None
            self._end()  # of a sampled step whose backward pass never came
            self.steps += 1
            if (self.steps - 1) % self.every:
                return None
            try:
                surveyed = survey(self._given, self._adapters)
            except NothingToRecord:  # its spiking layers have been taken out
                return None
            self._sampling = me
        return surveyed

    def _sampled(self, surveyed: Survey, forward: Callable[..., Any], args: Any, named: Any) -> Any:
        self._recorder = Recorder(self.model, self.probes, surveyed=surveyed)
        try:
            self._recorder.open(args, named, within=self._seat is self.model)
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
        self.watch, self._forward = watch, forward

    def __call__(self, *args: Any, **named: Any) -> Any:
        if is_traced():  # a graph that somebody makes must not hold a watch
            return self._forward(*args, **named)
        return self.watch.step(self._forward, args, named)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self.watch.before is not None:
            return copy.deepcopy(self.watch.before, memo)
        model = self.watch.model
        return types.MethodType(type(model).forward, memo[id(model)])

    def __reduce__(self) -> Any:
        """What anybody can read who has no snnlens: the forward that the model had."""
        if self.watch.before is not None:
            return copy.copy, (self.watch.before,)
        return getattr, (self.watch.model, "forward")


@contextmanager
def unwatched(model: nn.Module) -> Iterator[None]:
    """Within it no watch counts the passes of a model: they are no steps of its training."""
    watches = [counting.watch for counting in _countings(*_seat(model))]
    for watch in watches:
        watch.paused += 1
    try:
        yield
    finally:
        for watch in watches:
            watch.paused -= 1


def _seat(model: nn.Module) -> tuple[nn.Module, str]:
    """Whose attribute is called at each pass, outside of what torch.compile made, and which."""
    for around in unwrapping(model):
        if type(around).__name__ == "OptimizedModule":
            return around, "forward"
        if around._compiled_call_impl is not None:  # by model.compile()
            return around, "_compiled_call_impl"
    return around, "forward"


def _countings(seat: nn.Module, called: str) -> Iterator[_Counting]:
    """The watches of a model, the youngest first."""
    found = vars(seat).get(called)
    while isinstance(found, _Counting):
        yield found
        found = found.watch.before


def _after_backward(call: Callable[[], None]) -> None:
    """Call when the backward pass that runs now has ended."""
    torch.autograd.Variable._execution_engine.queue_callback(call)


def _check(name: str, number: object) -> None:
    if not isinstance(number, int) or number < 1:
        raise InputError(name, got=number, wanted="a whole number of at least 1")
