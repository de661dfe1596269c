"""The public functions: record, watch, checkup, audit, run, ... The command line calls the same.

What needs torch is found by name when it is asked for, so that a saved run opens without it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from snnlens import files, registry
from snnlens.checks import Outcome, examine
from snnlens.errors import InputError, Interrupted
from snnlens.recording import checked, store
from snnlens.recording.record import Record
from snnlens.recording.result import Result, ranked

if TYPE_CHECKING:
    from torch import nn

    from snnlens.attribution.bridge import Bridge
    from snnlens.attribution.maps import Maps
    from snnlens.recording.probe import Probe
    from snnlens.recording.recorder import Recorder
    from snnlens.recording.watch import Watch

DEFAULT_PROBES = ("firing_rate", "gradient_norm")
MOST = {"seed": 2**63 - 1, "threads": 1024, "workers": 1024, "seeds": 1000, "depth": 10_000,
        "batch": 10**6}  # fmt: skip
MOST_OF_OTHERS = 10**9
RUN_KEYS = ("name", "question")  # of a preset's [[run]]; the others are parameters


def record(
    model: nn.Module,
    probes: Sequence[str | Probe] = DEFAULT_PROBES,
    *,
    network: str = "model",
    spiking: Sequence[type] = (),
) -> Recorder:
    """Record a model: firing rates and gradient norms at each of its sites, as sums only.

    Args:
        model: one with spiking layers of snnlens, SpikingJelly, snnTorch, Norse or sinabs, or of
            your own classes, or one that lists `sites()`.
        probes: names as `snnlens list` shows them, or Probe objects.
        network: the name of this model in the record.
        spiking: your own neuron classes, called once per time step with [B, ...].

    Raises:
        NothingToRecord: the model has no spiking site.

    >>> import torch, snnlens
    >>> model = snnlens.resnet(18, classes=10, time_steps=2, seed=0)
    >>> with snnlens.record(model) as rec:
    ...     model(torch.zeros(2, 3, 32, 32)).sum().backward()
    >>> rec.frame().query("role == 'block_input'")["gradient_norm"].notna().all()
    np.True_
    """
    recorder = import_module("snnlens.recording.recorder").Recorder
    own = _own(spiking)
    return recorder(model, _probes(probes), network=network, adapters=own)  # type: ignore[no-any-return]


def watch(
    model: nn.Module,
    probes: Sequence[str | Probe] = DEFAULT_PROBES,
    *,
    every: int = 50,
    keep: int = 100,
    spiking: Sequence[type] = (),
    on_record: Callable[[int, Record], None] | None = None,
) -> Watch:
    """Record one of every so many training steps; `close()` or `with` ends it.

    A step is a forward pass of the model in training mode, and its backward pass. Between sampled
    steps no hook is attached, and memory does not grow: the last `keep` frames are kept.

    Args:
        model: as for `record`.
        probes: as for `record`.
        every: steps 1, 1 + every, 1 + 2 every, ... are recorded.
        keep: so many frames `frame()` returns.
        spiking: as for `record`.
        on_record: called with the step and its Record, e.g. to write it down.

    Raises:
        NothingToRecord: the model has no spiking layer.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), snnlens.LIF())
    >>> with snnlens.watch(model, every=2) as seen:
    ...     for _ in range(4):
    ...         model(torch.rand(3, 2, 4)).sum().backward()
    >>> seen.steps, seen.frame()["training_step"].tolist()
    (4, [1, 3])
    """
    made = import_module("snnlens.recording.watch").Watch
    return made(  # type: ignore[no-any-return]
        model, _probes(probes), every=every, keep=keep, adapters=_own(spiking), on_record=on_record
    )


def checkup(
    model: nn.Module,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    spiking: Sequence[type] = (),
    **options: Any,
) -> Result:
    """What is wrong with this network, where, and what to try: `findings`, `table`, `plot()`.

    One forward and backward pass of the batch, and a few more that try the model; it is left as it
    was: weights, gradients, states, modes, hooks and the random state.

    Args:
        model: as for `record`.
        x: what its forward takes, a tensor or a tuple of them.
        y: integer targets; without them the loss is the sum of squares of the output.
        loss: (output, y) -> one number, instead of the cross-entropy.
        spiking: your own neuron classes.
        options: of `snnlens checkup --help`: mode, full, time_axis, per_step, output, seed.

    Raises:
        NothingToRecord: the model has no spiking layer.
        InputError: a batch that does not fit, a wrong option.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF(threshold=100.0))
    >>> [f.code for f in snnlens.checkup(model, torch.rand(4, 2, 4)).findings][:1]
    ['SNL202']
    """
    experiment = registry.module("experiments", "checkup")
    params = parameters("checkup", {"model": type(model).__name__, **options})
    return analyse("checkup", experiment.of(model, x, y, params, loss=loss, adapters=_own(spiking)))


def audit(
    model: nn.Module,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    spiking: Sequence[type] = (),
    probes: Sequence[str | Probe] | None = None,
    **options: Any,
) -> Result:
    """Are the recorder's numbers right on this very model? Each against a brute-force count.

    A few samples are recorded as ever, and every tensor of the same pass is kept and counted in
    numpy, float64, with loops. The arguments are those of `checkup`; `probes` are audited instead
    of the usual ones.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF())
    >>> bool(snnlens.audit(model, torch.rand(4, 2, 4)).table["equal"].all())
    True
    """
    experiment = registry.module("experiments", "audit")
    params = parameters("audit", {"model": type(model).__name__, **options})
    chosen = None if probes is None else _probes(probes)
    return analyse("audit", experiment.of(
        model, x, y, params, chosen, loss=loss, adapters=_own(spiking)
    ))  # fmt: skip


def attribute(
    model: nn.Module,
    x: Any,
    target: Any = None,
    *,
    method: Any = "ig",
    spiking: Sequence[type] = (),
    time_axis: int | None = None,
    per_step: bool = False,
    output: int | None = None,
    **options: Any,
) -> Maps:
    """What a network looks at, and when: the maps of one method, batch first.

    Args:
        model: as for `record`.
        x: a batch as its forward takes it, time first, batch first or folded; per_step: x[t] at a
            time; or images that the model repeats over time itself.
        target: a class, or one per sample; None: the class that the model predicts.
        method: a name as `snnlens list` shows them, or a Method.
        spiking: your own neuron classes.
        time_axis: of x, 0 or 1, where it is not as detected.
        per_step: forward takes one time step.
        output: which of several outputs.
        options: of methods: steps, internal_batch, baseline, at, seed, ... (`attribution.Options`).

    Raises:
        NothingToRecord: the model has no spiking layer.
        InputError: a batch, a target, a method or an option that does not fit.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.LIF())
    >>> maps = snnlens.attribute(model, torch.rand(6, 2, 4), target=1, method="ig", steps=16)
    >>> maps.values.shape, maps.delta.shape
    (torch.Size([2, 6, 4]), torch.Size([2]))
    """
    with bridge(
        model, x, target, spiking=spiking, time_axis=time_axis, per_step=per_step, output=output,
        seed=options.get("seed", 0),
    ) as made:  # fmt: skip
        whole = import_module("snnlens.attribution")
        classes = import_module("snnlens.experiments._attribution_bridge").targets(made, target)
        with import_module("snnlens.experiments._blame").user_code("the model"):
            maps: Maps = whole.attribute(made, made.x, classes, method, whole.options_of(options))
    return maps


@contextmanager
def bridge(
    model: nn.Module,
    x: Any,
    target: Any = None,
    *,
    spiking: Sequence[type] = (),
    time_axis: int | None = None,
    per_step: bool = False,
    output: int | None = None,
    seed: int = 0,
) -> Iterator[Bridge]:
    """The model as captum and its like want it: batch first, from rest, one score per class.

    Inside, `bridge(bridge.x)` gives [N, classes] for the batch as [N, T, ...], and
    `bridge.tap(site)` a layer whose output is [N, C, T, ...]. BatchNorm and dropout are in
    evaluation mode; the model is put back after it. The arguments are those of `attribute`.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.LIF())
    >>> with snnlens.bridge(model, torch.rand(6, 2, 4)) as bridge:
    ...     bridge.x.shape, bridge(bridge.x).shape
    (torch.Size([2, 6, 4]), torch.Size([2, 3]))
    """
    found = import_module("snnlens.experiments._attribution_bridge")
    subject = found.subject(
        model,
        x,
        target,
        spiking=_own(spiking),
        time_axis=time_axis,
        per_step=per_step,
        output=output,
    )
    with found.bridged(subject, seed=seed) as made:
        yield made


def _probes(probes: Sequence[str | Probe]) -> list[Any]:
    return [registry.plugin("probes", p)() if isinstance(p, str) else p for p in probes]


def _own(spiking: Sequence[type]) -> list[Any]:
    """The adapter of a user's own classes."""
    return [registry.plugin("adapters", "plain")(spiking)] if spiking else []


def run(question: str, /, *, progress: Any = None, **params: Any) -> Record:
    """Run the experiment of a question, e.g. `run("gradients", depth=50)`; see `snnlens list`.

    Parameters are those of the command line: `snnlens gradients --help`.

    Raises:
        InputError: an unknown question or a wrong parameter; nothing has run then.

    >>> import snnlens
    >>> small = {"layout": "cifar", "depth": 8, "image_size": 8, "batch": 2, "time_steps": 1}
    >>> sorted(snnlens.run("rates", **small).networks)[:2]
    ['sew-add', 'sew-add-zero']
    """
    experiment = registry.module("experiments", question)
    made: Record = experiment.run(parameters(question, params), progress)
    return made


def parameters(question: str, given: dict[str, Any]) -> Any:
    """The validated parameters of a question; a wrong one is an InputError of one line."""
    experiment = registry.module("experiments", question)
    try:
        made = experiment.Params(**given)
    except ValidationError as error:
        raise _one_line(error, list(experiment.Params.model_fields)) from None
    _check_sizes(made)
    return made


def _check_sizes(params: Any) -> None:
    """Refuse what no machine has, and what JSON cannot hold.

    torch counts in 64 bits; OpenMP ends the process where it gets no 40,000 threads.
    """
    for name, value in params:
        most = MOST.get(name, MOST_OF_OTHERS)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(name, got=number, wanted="a finite number")
            if isinstance(number, int) and abs(number) > most:
                wanted = f"at most {most}" if number > 0 else f"at least {-most}"
                raise InputError(name, got=number, wanted=wanted)


def answer(
    question: str, folder: Path, *, force: bool = False, progress: Any = None, **params: Any
) -> Result:
    """Run, analyse and save: what the command of a question does; nothing half-written."""
    given = parameters(question, params)  # wrong options answer before the folder is looked at
    with _place(folder, force=force), _reading(getattr(given, "source", None)):
        result = analyse(question, run(question, progress=progress, **params))
        save(result, folder, force=force)
    return result


def _place(folder: Path, *, force: bool) -> AbstractContextManager[None]:
    """The folder's place to oneself; of torchrun's processes the first one has it, and saves."""
    if os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0":
        return store.place(folder, force=force)
    store.check_target(folder, force=force)
    return nullcontext()


def _reading(source: str | None) -> AbstractContextManager[None]:
    """Where a question is answered from a run folder, what is wrong with that is one line."""
    is_run = source is not None and os.path.isfile(os.path.join(source, "run.json"))  # noqa: PTH113, PTH118
    return checked.reading(Path(str(source))) if is_run else nullcontext()


def run_preset(preset: Path, folder: Path, *, progress: Any = None) -> list[Path]:
    """Answer each `[[run]]` of a TOML file into a run folder of its `name`; older ones go."""
    made: list[Path] = []
    entries = _preset(preset)
    for entry in entries:
        target = folder / entry.pop("name")
        try:
            answer(entry.pop("question"), target, force=True, progress=progress, **entry)
        except (KeyboardInterrupt, Interrupted) as stop:
            said = str(stop) or "interrupted"
            kept = f"{len(made)} of {len(entries)} runs of the preset are whole"
            where = f" and stay in {folder}" if made else ""
            raise Interrupted(f"{said}; {kept}{where}; there is no report") from None
        made.append(target)
    return made


def load(folder: str | Path) -> Record:
    """The Record of a run folder; needs no torch.

    >>> import tempfile, torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF())
    >>> with snnlens.record(model) as rec:
    ...     model(torch.rand(4, 2, 4)).sum().backward()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = rec.save(folder + "/mine")
    ...     snnlens.load(saved).frame().equals(rec.frame())
    True
    """
    return store.load(folder)


def analyse(question: str, rec: Record | Recorder) -> Result:
    """Compute a question's answer from a Record: table, claims, findings, and `plot()`.

    Raises:
        InputError: an unknown question, or a record without what the question needs.

    >>> import torch, snnlens
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF(threshold=100.0))
    >>> with snnlens.record(model) as rec:
    ...     model(torch.rand(4, 2, 4)).sum().backward()
    >>> snnlens.analyse("checkup", rec).findings[0].code
    'SNL202'
    """
    whole = rec if isinstance(rec, Record) else rec.record()
    analysis = registry.module("analysis", question)
    result: Result = analysis.compute(whole)
    outcomes = examine(whole)
    findings = ranked([f for o in outcomes for f in o.findings])
    said = {"checks": _outcome_table(outcomes)} if getattr(analysis, "SHOWS_CHECKS", False) else {}
    return replace(result, findings=findings, extra=said | result.extra)


def _outcome_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """How every check ended: issue, passed or not applicable, and why."""
    columns = ["code", "name", "title", "outcome", "reason"]
    return pd.DataFrame([[getattr(o, c) for c in columns] for o in outcomes], columns=columns)


def save(result: Result, folder: str | Path, *, force: bool = False) -> Path:
    """Write a whole run folder: record, result, claims, findings, figure."""
    return store.save_run(result, Path(folder), drawer(result), force=force)


def drawer(result: Result) -> Callable[[Path], None]:
    """A function that writes the result's figure into a folder."""

    def draw(folder: Path) -> None:
        import_module("snnlens.figures.style").save(result.plot(), folder)

    return draw


def report(
    runs: Sequence[str | Path], output: str | Path, *, force: bool = False
) -> dict[str, int]:
    """Write one self-contained HTML page about runs; bytes per section."""
    build = import_module("snnlens.report.build")
    sizes: dict[str, int] = build.write([Path(r) for r in runs], Path(output), force=force)
    return sizes


def _preset(path: Path) -> list[dict[str, Any]]:
    try:
        whole = files.toml(path)
    except (OSError, ValueError) as error:
        raise InputError("--preset", got=str(path), wanted="a TOML file", do=str(error)) from None
    runs = whole.pop("run", [])
    if whole:
        raise InputError(f"a key of {path}", got=next(iter(whole)), wanted="run")
    if not (isinstance(runs, list) and runs):
        raise InputError("--preset", got=str(path), wanted="a file with at least one [[run]]")
    for entry in runs:
        if not _named(entry):
            raise InputError(
                "each [[run]] of the preset", got=entry,
                wanted="with a question, and a name of letters, digits, '.', '_' and '-'",
            )  # fmt: skip
        parameters(entry["question"], {k: v for k, v in entry.items() if k not in RUN_KEYS})
    names = [entry["name"] for entry in runs]
    if len(set(names)) != len(names):
        raise InputError("the names in the preset", got=", ".join(names), wanted="all different")
    return runs


def _named(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    name, question = (entry.get(key) for key in RUN_KEYS)
    return bool(isinstance(name, str) and isinstance(question, str)
                and re.fullmatch(r"\w[\w.-]*", name))  # fmt: skip


def _one_line(error: ValidationError, names: list[str]) -> InputError:
    first = error.errors()[0]
    what = ".".join(str(part) for part in first["loc"]) or "parameters"
    if first["type"] == "extra_forbidden":
        return InputError("a parameter", got=what, wanted="one of " + ", ".join(names))
    if first["type"] == "missing":
        return InputError(what, got="nothing", wanted="given")
    kind = first["type"].partition("_")[0]  # int_parsing, int_from_float, float_parsing, ...
    plain = {"int": "an integer", "float": "a number", "bool": "yes or no"}
    wanted = plain.get(kind, first["msg"].removeprefix("Input should be "))
    return InputError(what, got=first["input"], wanted=wanted)
