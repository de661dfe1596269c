"""The bytes of a recording, and errors that name the byte where it stops being whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.source import Integers
from snnlens.errors import InputError

AGAIN = "copy or download it again"


def contents(path: Path, limit: int = -1) -> bytes:
    """Read a file, or its first `limit` bytes.

    Raises InputError for an empty file, and for one that can not be read.

    >>> contents(Path(__file__), limit=3)
    b'\"\"\"'
    """
    try:
        with path.open("rb") as file:
            read = file.read(limit)
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise InputError("recording", got=got, wanted="a file that can be read") from error
    if not read:
        raise InputError("recording", got=f"{path} (empty)", wanted="a file of events", do=AGAIN)
    return read


def damaged(path: Path, byte: int, *, got: object, wanted: str) -> InputError:
    """The error of a file that is whole up to, not including, a byte.

    >>> print(damaged(Path("a.bin"), 10, got="3 bytes", wanted="a whole event of 5 bytes"))
    a.bin at byte 10 must be a whole event of 5 bytes; got '3 bytes'; copy or download it again
    """
    return InputError(f"{path} at byte {byte}", got=got, wanted=wanted, do=AGAIN)


def check_magic(path: Path, raw: bytes, magic: bytes) -> None:
    """Raise InputError for a file that does not begin with its format's first line.

    >>> check_magic(Path("a.aedat"), b"#!AER-DAT4.0", b"#!AER-DAT3.1")
    Traceback (most recent call last):
    snnlens.errors.InputError: the beginning of a.aedat must be '#!AER-DAT3.1'; got '#!AER-DAT4.0'
    """
    if not raw.startswith(magic):
        got = raw[: len(magic)].decode("latin-1")
        raise InputError(f"the beginning of {path}", got=got, wanted=repr(magic.decode()))


def check_whole(path: Path, start: int, end: int, event_bytes: int) -> None:
    """Raise InputError where [start, end) is no whole number of events, or none.

    >>> check_whole(Path("a.bin"), 0, 13, 5)
    Traceback (most recent call last):
    snnlens.errors.InputError: a.bin at byte 10 must be a whole event of 5 bytes; got '3 bytes'; ...
    """
    rest = (end - start) % event_bytes
    if rest:
        got = f"{rest} byte{'s' if rest > 1 else ''}"
        raise damaged(path, end - rest, got=got, wanted=f"a whole event of {event_bytes} bytes")
    if start == end:
        raise no_events(path)


def no_events(path: Path) -> InputError:
    """The error of a recording without a single event.

    >>> print(no_events(Path("a.npz")))
    the number of events in a.npz must be at least 1; got 0
    """
    return InputError(f"the number of events in {path}", got=0, wanted="at least 1")


def check_order(path: Path, t_us: Integers, bytes_at: Integers) -> None:
    """Raise InputError where time runs backwards, or begins below 0; `bytes_at` is of each event.

    >>> check_order(Path("a.aedat"), np.array([5, 4]), np.array([90, 98]))
    Traceback (most recent call last):
    snnlens.errors.InputError: time in a.aedat must be in order; got '4 us after 5 us at byte 98'
    """
    back = np.flatnonzero(np.diff(t_us, prepend=0) < 0)
    if len(back):
        first = int(back[0])
        before = int(t_us[first - 1]) if first else 0
        got = f"{int(t_us[first])} us after {before} us at byte {int(bytes_at[first])}"
        raise InputError(f"time in {path}", got=got, wanted="in order")
