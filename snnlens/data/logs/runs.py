"""Runs in a folder of logs: what belongs together, merged, with the facts of its name. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from snnlens.data.logs import events, names
from snnlens.data.logs.curves import chosen, curves
from snnlens.errors import InputError

SPLITS = ("train", "te", "test", "val", "valid", "validation", "eval")  # subfolders of one run
NO_RULE = "its name fits no rule"
NO_SCALAR = "no scalar in its event files"
_STAMP = re.compile(rf"{events.MARK}\.(\d+)")
_EPOCHS = re.compile(r"\bepochs=(\d{1,9})\b")
MOST_BYTES = 2**20  # of args.txt


@dataclass(frozen=True)
class RunFolder:
    """A folder whose event files, its own and those of train/ and te/, are one run."""

    folder: Path
    name: str  # seen from the folder that was given, `/` between
    files: tuple[Path, ...]  # the order of merging: by the time stamp in the name


@dataclass(frozen=True, eq=False)
class LoggedRun:
    """One training as its logs tell it."""

    name: str
    facts: dict[str, Any]  # of its name: residual, connect, depth, ... None where it does not say
    curves: pd.DataFrame  # epoch, train_loss, train_top1, ... test_top5; accuracies in percent
    scalars: pd.DataFrame  # every scalar, merged: tag, step, value, wall_time
    files: int
    tags: dict[str, str]  # per curve: its tag, and what was done to it
    empty_files: tuple[str, ...] = ()  # that held no scalar
    cut_files: tuple[str, ...] = ()  # `NAME: where, and what was used`


def read(
    folder: Path, *, pattern: str | None = None, tags: Mapping[str, str] | None = None
) -> list[LoggedRun]:
    """Read every run below a folder whose name fits a rule and that holds a scalar.

    Args:
        folder: TensorBoard's log folder: a run, or a tree of runs.
        pattern: a regular expression for the runs' names instead of the official repository's
            rules, see `names.rules`.
        tags: which tag is which curve, see `curves.curves`.

    Returns:
        The runs by kind, depth and seed. `survey` says which were left out, and why.

    Raises:
        InputError: a folder without events or without scalars, names of which none fits a rule, a
            wrong pattern, a tag that does not exist, tensorboard not installed.

    >>> read(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: a folder of logs must be one with event files (*tfevents*) in it; ...
    """
    return survey(folder, pattern=pattern, tags=tags)[0]


def survey(
    folder: Path, *, pattern: str | None = None, tags: Mapping[str, str] | None = None
) -> tuple[list[LoggedRun], dict[str, str]]:
    """As `read`; and each run that was left out with the reason.

    >>> NO_RULE
    'its name fits no rule'
    """
    rules, _ = names.rules(pattern), chosen(tags)  # wrong options answer before a file is read
    told = [(run, names.facts_of(_told_by(run, folder), rules)) for run in find(folder)]
    skipped = {run.name: NO_RULE for run, facts in told if facts is None}
    if len(skipped) == len(told):
        raise InputError(
            "at least one run's name", got=_listed(list(skipped)),
            wanted="one that --pattern fits" if pattern else "as in the SEW repository's logs",
            do="give --pattern, a regular expression with (?P<residual>...) and (?P<depth>...)",
        )  # fmt: skip
    runs = []
    for run, facts in told:
        if facts is None:
            continue
        if (found := _merged(run, facts, tags)) is None:
            skipped[run.name] = NO_SCALAR
        else:
            runs.append(found)
    if not runs:
        got = _listed([name for name, why in skipped.items() if why == NO_SCALAR])
        raise InputError("at least one run", got=got, wanted="one with a scalar in its event files")
    return sorted(runs, key=_order), skipped


def find(folder: Path) -> list[RunFolder]:
    """Find the runs below a folder, by name; a subfolder train, te, test, val is part of its run.

    Raises:
        InputError: no folder, or one without event files.

    >>> SPLITS[:3]
    ('train', 'te', 'test')
    """
    if not folder.is_dir():
        raise InputError("a folder of logs", got=str(folder), wanted="a folder")
    files = [p for p in folder.rglob(f"*{events.MARK}*") if p.is_file()]
    if not files:
        wanted = f"one with event files (*{events.MARK}*) in it"
        raise InputError("a folder of logs", got=str(folder), wanted=wanted)
    by_run: dict[Path, list[Path]] = {}
    for file in files:
        by_run.setdefault(_run_of(file, folder), []).append(file)
    return [
        RunFolder(run, _name(run, folder), tuple(sorted(by_run[run], key=_stamp)))
        for run in sorted(by_run)
    ]


def _run_of(file: Path, root: Path) -> Path:
    inside = file.parent
    return inside.parent if inside.name in SPLITS and inside != root else inside


def _name(run: Path, root: Path) -> str:
    return root.resolve().name if run == root else run.relative_to(root).as_posix()


def _told_by(run: RunFolder, root: Path) -> PurePath:
    """The part of its path that may say what a run is: no folder above the one that was given.

    A run that was given itself may lie in a folder that says it: .../SEWResNet_ADD_T_16/logs.
    """
    above = root.resolve()
    if run.folder == root:
        return PurePath(above.parent.name, above.name)
    return PurePath(above.name, run.name)


def _stamp(file: Path) -> tuple[int, str]:
    """When a file was begun, in seconds, as its name says; those that do not say it first."""
    found = _STAMP.search(file.name)
    return int(found[1]) if found else 0, file.as_posix()


def _merged(
    run: RunFolder, facts: dict[str, Any], tags: Mapping[str, str] | None
) -> LoggedRun | None:
    """All files of a run together; of one tag and step the later file counts."""
    read = [events.read(file) for file in run.files]
    tables = [one.scalars.assign(tag=_tag(one, run)) for one in read if len(one.scalars)]
    if not tables:
        return None
    whole = pd.concat(tables, ignore_index=True).drop_duplicates(["tag", "step"], keep="last")
    scalars = whole.sort_values(["tag", "step"], kind="stable").reset_index(drop=True)
    table, said = curves(scalars, tags, run=run.name)
    local = [one.path.relative_to(run.folder).as_posix() for one in read]
    return LoggedRun(
        name=run.name,
        facts=facts | {"epochs": facts["epochs"] or _planned(run)},
        curves=table,
        scalars=scalars,
        files=len(read),
        tags=said,
        empty_files=tuple(n for n, one in zip(local, read, strict=True) if one.scalars.empty),
        cut_files=tuple(
            f"{n}: {one.fault}" for n, one in zip(local, read, strict=True) if one.fault
        ),
    )


def _tag(one: events.EventFile, run: RunFolder) -> pd.Series[str]:
    """The tag, after the name of its subfolder: two of them may use one tag."""
    inside = one.path.parent
    return one.scalars["tag"] if inside == run.folder else inside.name + "/" + one.scalars["tag"]


def _planned(run: RunFolder) -> int | None:
    """How many epochs were to be trained, where args.txt (the official code's) says so."""
    for folder in (run.folder, run.folder.parent):
        path = folder / "args.txt"
        with suppress(OSError):  # most logs have none
            if path.is_file() and path.stat().st_size <= MOST_BYTES:
                found = _EPOCHS.search(path.read_text("utf-8", "replace"))
                return int(found[1]) if found else None
    return None


def _order(run: LoggedRun) -> tuple[Any, ...]:
    """Networks of a depth first; of one model SEW before the others, then by depth and seed."""
    facts = run.facts
    kind = facts["model"] or "", facts["residual"] != "sew", facts["residual"]
    depth, seed = facts["depth"] or 0, facts["seed"] or 0
    return not depth, *kind, facts["connect"] or "", depth, seed, run.name


def _listed(runs: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    return ", ".join(runs[:10]) + (f" and {len(runs) - 10} more" if len(runs) > 10 else "")
