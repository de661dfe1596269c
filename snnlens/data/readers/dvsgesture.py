"""DVS128 Gesture: recordings of eleven hand gestures, several cut from each AEDAT 3.1 file."""

from __future__ import annotations

import csv
import os
from functools import lru_cache
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from snnlens.data.events import Events, from_start
from snnlens.data.formats import aedat3
from snnlens.data.readers import _classes
from snnlens.data.readers._frames import Recorded
from snnlens.data.source import Request, Source, check_part
from snnlens.errors import InputError

PATH = "the folder DvsGesture with trials_to_train.txt, trials_to_test.txt and user*.aedat"
FRAMES = True
PARTS = True
CLASSES = 11
TRIALS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
COLUMNS = ("class", "startTime_usec", "endTime_usec")
# Source: Amir et al., A Low Power, Fully Event-Based Gesture Recognition System, CVPR 2017; users
# 1 to 23 train, 24 to 29 test. With every row of the tables there are 1,176 and 288 samples.


class Cut(NamedTuple):
    """One gesture: start <= time < end in a file."""

    file: Path
    label: int  # from 0
    start_us: int
    end_us: int
    row: str  # where the table says so


def check(path: Path | None) -> None:
    """Check that what the trials of the first part name is there; nothing else is opened.

    >>> check(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: dvsgesture must be the folder DvsGesture with trials_to_train.txt...
    """
    assert path is not None  # specs.parse
    _trials(path, None)


def parts(path: Path | None) -> tuple[str, ...]:
    """Which of "train" and "test" has its list of trials.

    >>> parts(Path(__file__).parent)
    ()
    """
    assert path is not None  # specs.parse
    return tuple(part for part, name in TRIALS.items() if (path / name).is_file())


def read(path: Path | None, request: Request) -> Source:
    """List the gestures of a part, by trial and row; a file is decoded when one is asked for.

    Train is read where no part is asked for. The label is the class of `*_labels.csv` minus 1;
    every row is a sample. Frames and their number: `Recorded.source`; time begins where the
    gesture does.

    Raises InputError as `check` does, for a part that is not there, a table that is no table of
    gestures, an image smaller than 128 pixels, and later for a file that is damaged and for a
    gesture without events.

    >>> PATH.startswith("the folder DvsGesture")
    True
    """
    assert path is not None  # specs.parse
    check_part(request.part, parts(path), path)
    part, files = _trials(path, request.part)
    cuts = [cut for file in files for cut in _cuts(file)]
    whole = lru_cache(maxsize=1)(aedat3.decode)
    recorded = Recorded(
        *(f"DVS Gesture ({part} part)", [cut.label for cut in cuts], CLASSES, aedat3.SENSOR),
        *(lambda i: _events(whole(cuts[i].file), cuts[i]), "DVS Gesture"),
    )
    return recorded.source(request)


def _events(whole: Events, cut: Cut) -> Events:
    """The events of one gesture, on a clock that begins with it."""
    first, last = np.searchsorted(whole.t_us, (cut.start_us, cut.end_us))
    if first == last:
        raise InputError(f"the number of events in {cut.row}", got=0, wanted="at least 1")
    fields = (whole.x, whole.y, whole.polarity, whole.t_us)
    return from_start(Events(*(field[first:last] for field in fields)), cut.start_us)


def _trials(path: Path, part: str | None) -> tuple[str, list[Path]]:
    """The part that is read, and its recordings in the order of its list."""
    there = parts(path)
    if not there:
        raise InputError("dvsgesture", got=str(path), wanted=PATH)
    part = part or there[0]
    trials = path / TRIALS[part]
    names = [line.strip() for line in _text(trials).splitlines() if line.strip()]
    if odd := [name for name in names if PurePath(name).name != name]:
        wanted = "the name of a file in this folder"
        raise InputError(f"a line of {trials}", got=odd[0], wanted=wanted)
    files = [path / name for name in names]
    for file in files:
        for needed in (file, _table(file)):
            if not os.path.isfile(needed):  # noqa: PTH113 - takes any text
                wanted = "one that is there"
                raise InputError(f"a file that {trials} needs", got=str(needed), wanted=wanted)
    if not files:
        raise InputError(f"the trials in {trials}", got="none", wanted="one .aedat a line")
    _classes.check_bytes(files)
    return part, files


def _cuts(file: Path) -> list[Cut]:
    table = _table(file)
    try:
        rows = list(csv.DictReader(_text(table).splitlines()))
    except csv.Error:
        rows = []
    if not rows or any(column not in rows[0] for column in COLUMNS):
        raise InputError("table", got=str(table), wanted=f"one with rows of {', '.join(COLUMNS)}")
    return [_cut(file, row, f"row {number} of {table}") for number, row in enumerate(rows, 1)]


def _cut(file: Path, row: dict[str, str | None], where: str) -> Cut:
    texts = [(row[column] or "").strip() for column in COLUMNS]
    label, start, end = (
        int(t) if t.isascii() and t.isdigit() and len(t) < 19 else -1 for t in texts
    )
    if not (1 <= label <= CLASSES and 0 <= start < end):
        wanted = f"a class from 1 to {CLASSES}, a start and a later end in us"
        raise InputError(where, got=", ".join(texts), wanted=wanted)
    return Cut(file, label - 1, start, end, where)


def _table(file: Path) -> Path:
    return file.with_name(f"{file.stem}_labels.csv")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("file", got=str(path), wanted="a text in UTF-8") from error
