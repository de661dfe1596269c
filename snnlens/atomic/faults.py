"""What a person is told of a disk that is full, or of a place that cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snnlens.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SHUT = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


@contextmanager
def room(what: str, stays: str) -> Iterator[None]:
    """Turn a full or a broken disk into one line; `stays` says what is still whole."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            do = f"{stays}; make room and go on with --resume"
            raise InputError(
                f"the disk of {what}", got="full", wanted="with room", do=do
            ) from error
        wanted, do = "one that can be written", f"{stays}; go on with --resume"
        raise InputError(what, got=reason(error), wanted=wanted, do=do) from error


def said(error: OSError, what: str, path: Path, content: str) -> InputError:
    """What a person is told of `what` at a path that could not be written.

    >>> fault = OSError(errno.EIO, "Input/output error")
    >>> str(said(fault, "the report", Path("a.html"), "it"))
    "the report must be in a writable folder; got 'a.html'; Input/output error"
    """
    if error.errno in FULL:
        return InputError(
            f"the disk of {what}", got="full", wanted=f"with room for {content}",
            do="make room or choose another folder with -o",
        )  # fmt: skip
    why = "" if error.errno in SHUT else reason(error)
    return InputError(what, got=str(path), wanted="in a writable folder", do=why)


def reason(error: OSError) -> str:
    """What the system says, without the path.

    >>> reason(OSError(errno.EIO, "Input/output error", "a.html"))
    'Input/output error'
    """
    return error.strerror or str(error)
