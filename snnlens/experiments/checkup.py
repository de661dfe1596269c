"""What is wrong with this network, where, and what to try? Any framework, any model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from snnlens.experiments._params import SubjectParams
from snnlens.registry import plugin

if TYPE_CHECKING:
    from torch import Tensor

    from snnlens.experiments._networks import Progress
    from snnlens.experiments._subject import Axes, Subject
    from snnlens.recording.record import Record
    from snnlens.recording.recorder import Recorder

PANEL = "Your model"
CHEAP = (
    "firing_rate", "gradient_norm", "silence", "membrane", "surrogate_active", "input_current",
    "gradient_histogram", "parameter_gradient", "synaptic_operations", "batch_norm",
)  # fmt: skip
FULL = ("spike_trains", "pattern_histogram", "gradient_paths", "detach_reset")


class Params(SubjectParams):
    """One forward and backward pass of one batch, and a few tests; nothing is trained."""

    mode: Literal["train", "eval"] = Field(
        "train", description="of the recorded pass: train | eval"
    )
    full: bool = Field(False, description="also spike trains, gradients through time, detach_reset")


def run(params: Params, progress: Progress | None = None) -> Record:
    """Load the model and its batch, record one pass, try the model, and write it all down."""
    import torch

    from snnlens.experiments._networks import quiet
    from snnlens.experiments._subject import load

    if params.threads is not None:
        torch.set_num_threads(params.threads)
    return examine(load(params, params.batch, params.loss), params, progress or quiet)


def of(model: Any, x: Any, y: Any, params: Params, **more: Any) -> Record:
    """The check-up of a model and a batch that are there already; `more` as in `subject_of`."""
    from snnlens.experiments._networks import quiet
    from snnlens.experiments._subject import subject_of

    return examine(subject_of(model, x, y, params, **more), params, quiet)


def examine(subject: Subject, params: Params, progress: Progress) -> Record:
    """The Record of a check-up; the model is left as it was, whatever happens."""
    from snnlens.experiments._preserve import preserved
    from snnlens.experiments._subject import with_provenance
    from snnlens.experiments._tests import batches_tracked

    tracked = batches_tracked(subject.model)
    with preserved(subject.model):
        subject.model.train(params.mode == "train")
        recorder, out, axes = _recorded(subject, params, progress)
    with preserved(subject.model):  # again from the state that the model came with
        subject.model.train(params.mode == "train")
        modes = _modes(subject, params, recorder, out.detach())
    tests = _tried(subject, recorder, out.detach(), axes) | {
        "modes": modes | {"batches_tracked": tracked}
    }
    recorder.note(tests=tests)
    return with_provenance(recorder.record(), "checkup", subject, params)


def _recorded(
    subject: Subject, params: Params, progress: Progress
) -> tuple[Recorder, Tensor, Axes]:
    """One forward and backward pass under the recorder."""
    from snnlens.experiments._subject import network_name, size
    from snnlens.recording.recorder import Recorder

    names = CHEAP + (FULL if params.full else ())
    recorder = Recorder(
        subject.model, [plugin("probes", name)() for name in names],
        network=network_name(params.model), adapters=subject.adapters, per_step=subject.per_step,
        on_site=progress(params.model, 2 * len(subject.survey.sites)),
    )  # fmt: skip
    with recorder:
        out, axes, _ = subject.backward(recorder)
    known = subject.batch.samples
    recorder.note(
        classes=out.shape[-1] if subject.batch.y is not None and out.dim() > 1 else None,
        samples=size(recorder)[1] if known is None else known,
        seed=params.seed, data=subject.batch.description,
    )  # fmt: skip
    return recorder, out, axes


def _tried(subject: Subject, recorder: Recorder, out: Tensor, axes: Axes) -> dict[str, Any]:
    """The tests that no single pass can answer."""
    from snnlens.experiments import _tests
    from snnlens.experiments._preserve import preserved
    from snnlens.experiments._subject import size

    entering = subject.input_axes(*size(recorder))
    leaving = _tests.leaving_axes(subject, out, axes)
    few = subject.few(entering)
    with preserved(subject.model):
        _tests.settle_norms(few)
        return {
            "repeat": _tests.repeat(few),
            "time": _tests.time(few, entering, leaving),
            "samples": _tests.samples(few, entering, leaving),
            "output": _tests.output(subject, out, leaving),
        }


def _modes(subject: Subject, params: Params, recorder: Recorder, out: Tensor) -> dict[str, Any]:
    """The same batch in the other mode, firing rates and output."""
    import torch

    from snnlens.experiments import _tests
    from snnlens.recording.recorder import Recorder

    subject.model.train(params.mode != "train")
    rates = [plugin("probes", "firing_rate")()]
    other = Recorder(subject.model, rates, adapters=subject.adapters, per_step=subject.per_step)
    with torch.no_grad(), other:
        seen = subject.run()
    pairs = [(recorder.record(), out), (other.record(), seen)]
    (trained, a), (evaluated, b) = pairs if params.mode == "train" else pairs[::-1]
    return _tests.modes(a, b, (trained, evaluated))
