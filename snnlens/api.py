"""The public functions: record, run, load, analyse, report. The command line calls the same.

What needs torch is found by name when it is asked for, so that a saved run opens without it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from snnlens import registry
from snnlens.checks import run_checks
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from torch import nn

    from snnlens.recording.probe import Probe
    from snnlens.recording.recorder import Recorder

DEFAULT_PROBES = ("firing_rate", "gradient_norm")
RUN_KEYS = ("name", "question")  # of a preset's [[run]]; the others are parameters


def record(
    model: nn.Module,
    probes: Sequence[str | Probe] = DEFAULT_PROBES,
    *,
    network: str = "model",
) -> Recorder:
    """Record a model: firing rates and gradient norms at each of its sites, as sums only.

    Args:
        model: a model that lists `sites()` (every snnlens ResNet does) or holds snnlens neurons;
            tensors are time first, [T, B, ...].
        probes: names as `snnlens list` shows them, or Probe objects.
        network: the name of this model in the record.

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
    made = [registry.plugin("probes", p)() if isinstance(p, str) else p for p in probes]
    return recorder(model, made, network=network)  # type: ignore[no-any-return]


def run(question: str, /, *, progress: Any = None, **params: Any) -> Record:
    """Run the experiment of a question, e.g. `run("gradients", depth=50)`; see `snnlens list`.

    Parameters are those of the command line: `snnlens gradients --help`.

    Raises:
        InputError: an unknown question or a wrong parameter; nothing has run then.
    """
    experiment = registry.module("experiments", question)
    made: Record = experiment.run(parameters(question, params), progress)
    return made


def parameters(question: str, given: dict[str, Any]) -> Any:
    """The validated parameters of a question; a wrong one is an InputError of one line."""
    experiment = registry.module("experiments", question)
    try:
        return experiment.Params(**given)
    except ValidationError as error:
        raise _one_line(error, list(experiment.Params.model_fields)) from None


def answer(
    question: str, folder: Path, *, force: bool = False, progress: Any = None, **params: Any
) -> Result:
    """Run, analyse and save: what the command of a question does; nothing half-written."""
    parameters(question, params)  # wrong options answer before the folder is looked at
    store.check_target(folder, force=force)
    result = analyse(question, run(question, progress=progress, **params))
    save(result, folder, force=force)
    return result


def run_preset(preset: Path, folder: Path, *, progress: Any = None) -> list[Path]:
    """Answer each `[[run]]` of a TOML file into a run folder of its `name`; older ones go."""
    made = []
    for entry in _preset(preset):
        target = folder / entry.pop("name")
        answer(entry.pop("question"), target, force=True, progress=progress, **entry)
        made.append(target)
    return made


def load(folder: str | Path) -> Record:
    """The Record of a run folder; needs no torch."""
    return store.load(folder)


def analyse(question: str, rec: Record | Recorder) -> Result:
    """Compute a question's answer from a Record: table, claims, findings, and `plot()`.

    Raises:
        InputError: an unknown question, or a record without what the question needs.
    """
    whole = rec if isinstance(rec, Record) else rec.record()
    result: Result = registry.module("analysis", question).compute(whole)
    return replace(result, findings=run_checks(whole))


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
        runs = tomllib.loads(path.read_text(encoding="utf-8")).get("run", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("--preset", got=str(path), wanted="a TOML file", do=str(error)) from None
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
    kind = first["type"].partition("_")[0]  # int_parsing, int_from_float, float_parsing, ...
    plain = {"int": "an integer", "float": "a number", "bool": "yes or no"}
    wanted = plain.get(kind, first["msg"].removeprefix("Input should be "))
    return InputError(what, got=first["input"], wanted=wanted)
