"""Run folders as they are named on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from snnlens.errors import one_line


def given(runs: Iterable[Path] | None) -> list[Path]:
    """Each once. `runs/*` names the place of trainings too: it is left out, and that is said."""
    from snnlens.recording.checked import holds_trainings

    folders = list(dict.fromkeys(runs or []))
    trainings = [f for f in folders if holds_trainings(f)]
    if len(trainings) == len(folders):
        return folders
    for folder in trainings:
        typer.echo(one_line(f"snnlens: left out: {folder} keeps trainings and is no run"), err=True)
    return [f for f in folders if f not in trainings]
