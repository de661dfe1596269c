"""A run as files of other programs: one file of this folder per target, found by its name.

A target has `export(source, options) -> Exported`: every file as bytes. They are written together,
as a new folder, whole or not at all; nothing in them says when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snnlens import registry
from snnlens.errors import InputError
from snnlens.report.export import _folder

KIND = "report/export"


@dataclass(frozen=True)
class Options:
    """What only some targets take, see their TAKES; None or False is not given."""

    input_shape: tuple[int, ...] | None = None
    soft_reset: bool = False


@dataclass(frozen=True)
class Exported:
    """What a target made: files by path, facts for export.json, and what a person should know."""

    files: dict[str, bytes]
    facts: dict[str, Any] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)


def write(
    source: str | Path,
    target: str,
    folder: str | Path,
    *,
    force: bool = False,
    options: Options | None = None,
) -> tuple[dict[str, int], list[str]]:
    """Write a run for another program.

    Args:
        source: a run folder; of tensorboard also a training folder; of nir what holds a model.
        target: as the files of this folder are called: latex, nir, tensorboard.
        folder: a new folder.
        force: replace an older export.
        options: what only some targets take.

    Returns:
        The files with their bytes, and what a person should know.

    Raises:
        InputError: an unknown target, an option that it does not take, a source that it cannot
            export, a folder that is there.

    >>> write("runs/gradients", "word", "paper")
    Traceback (most recent call last):
    snnlens.errors.InputError: target must be one of latex, nir, tensorboard; got 'word'
    """
    options = options or Options()
    module = registry.module(KIND, target)
    _check_taken(target, getattr(module, "TAKES", ()), options)
    with _folder.place(Path(folder), force=force):
        made: Exported = module.export(str(source), options)
        _folder.write(Path(folder), made.files, {"target": target} | made.facts)
    return {name: len(data) for name, data in made.files.items()}, made.says


def _check_taken(target: str, takes: tuple[str, ...], options: Options) -> None:
    for name, value in vars(options).items():
        if value not in (None, False) and name not in takes:
            option = "--" + name.replace("_", "-")
            got = ",".join(map(str, value)) if isinstance(value, tuple) else "given"
            raise InputError(option, got=got, wanted=f"left out: {target} does not take it")
