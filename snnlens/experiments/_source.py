"""RUN|CHECKPOINT of a question: what of the three it is, before anything runs. No torch here."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from snnlens.errors import InputError

if TYPE_CHECKING:
    from snnlens.recording.record import Record

Kind = Literal["run", "training", "checkpoint"]
WHAT = "RUN|CHECKPOINT"
WANTED = "a run folder (run.json), a training folder (train.json) or a file of weights"


def kind_of(source: str) -> Kind:
    """A run folder, a training folder, or a file of weights.

    >>> kind_of(__file__)
    'checkpoint'
    >>> kind_of("nowhere")
    Traceback (most recent call last):
    snnlens.errors.InputError: RUN|CHECKPOINT must be a run folder (run.json), a training folder
    (train.json) or a file of weights; got 'nowhere (not there)'
    """
    if _is_file(source, "run.json"):
        return "run"
    if _is_file(source, "train.json"):
        return "training"
    if _is_file(source):
        if _is_file(os.path.dirname(source), "..", "..", "train.json"):  # noqa: PTH120
            wanted = "the folder of its training, which says what network it is"
            do = f"give {os.path.normpath(os.path.join(os.path.dirname(source), '..', '..'))}"  # noqa: PTH118, PTH120
            raise InputError(WHAT, got=source, wanted=wanted, do=do)
        return "checkpoint"
    state = "another folder" if os.path.isdir(source) else "not there"  # noqa: PTH112
    raise InputError(WHAT, got=f"{source} ({state})", wanted=WANTED)


def recorded(source: str | None, question: str, command: str) -> Record | None:
    """The Record of a run folder, as the answer to another question; None where one has to run.

    Its provenance keeps what made it: `recorded_by` is the command of the run.
    """
    if source is None or kind_of(source) != "run":
        return None
    from snnlens.recording import store

    record = store.load(source)
    said = record.provenance
    by = said.get("recorded_by", said.get("command"))
    asked = {"question": question, "command": command, "recorded_by": by}
    return replace(record, provenance=said | asked)


def _is_file(*parts: str) -> bool:
    """os.path takes any text; pathlib raises on names that are too long."""
    return os.path.isfile(os.path.join(*parts))  # noqa: PTH113, PTH118
