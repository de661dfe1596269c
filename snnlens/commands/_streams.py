"""stdout and stderr that stop no run: closed ones, readers that leave, full disks."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from snnlens import atomic
from snnlens.errors import InputError


class _Calm:
    """A stream in whose place this stands; what it cannot write is given to `lost`."""

    def __init__(self, stream: Any, lost: Callable[[Exception], None]) -> None:
        self._stream, self._lost = stream, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> _Calm:
        """The same for bytes."""
        return _Calm(self._stream.buffer, self._lost)

    def write(self, text: Any) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._lost(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lost(error)


class _Nowhere(io.TextIOBase):
    """A stream that takes all and keeps nothing; no file that would have to be closed."""

    def writable(self) -> bool:
        """As every stream is asked."""
        return True

    def write(self, text: str) -> int:
        """All of it."""
        return len(text)


@contextmanager
def calm() -> Iterator[None]:
    """Inside, stderr never fails, and stdout only where somebody wanted to keep it: in one line."""
    _open_what_is_closed()
    whole = sys.stdout, sys.stderr
    sys.stdout = _Calm(sys.stdout, _of_stdout)
    sys.stderr = _Calm(sys.stderr, lambda _: None)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = map(_emptied, whole)


def _of_stdout(error: Exception) -> None:
    """A reader that has left wanted no more; a disk that is full has lost something."""
    if not isinstance(error, BrokenPipeError):
        got = atomic.reason(error) if isinstance(error, OSError) else str(error)
        raise InputError("standard output", got=got, wanted="one that can be written") from error


def _open_what_is_closed() -> None:
    """Nothing that is opened later may take the number of a standard stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _Nowhere())


def _emptied(stream: Any) -> Any:
    """The stream; if it cannot be emptied, one that the interpreter can flush in the end."""
    try:
        stream.flush()
    except OSError:
        return _Nowhere()
    return stream
