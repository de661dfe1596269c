"""A disk that fails at the k-th call, in SQLite's way: each call that changes a file is counted.

    calls = counted(root, act)            # what an operation asks of the disk
    for k in range(len(calls)):
        with failing(root, k, "full"):    # the same, the k-th call in vain
            act()

What fails: the functions of `os`, files that are opened for writing (each write, flush and close),
and the exchange of two folders. A write that fails has written a half of what it was given.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from snnlens import atomic

FAULTS = {
    "full": errno.ENOSPC,  # from now on nothing more is written; what is there can be removed
    "denied": errno.EACCES,
    "broken": errno.EIO,
    "gone": errno.EIO,  # from now on every call fails
    "kill": None,  # the process ends: nothing that would have come after it happens
}
GROWS = {"open", "mkdir", "write", "flush", "close", "fsync", "truncate", "ftruncate"}
NAMED = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "truncate", "link", "symlink")
NUMBERED = ("write", "ftruncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """kill -9: no handler catches it, and every call after it raises it again."""


class Disk:
    """Counts the calls below a folder, and lets one fail."""

    def __init__(self, root: Path, at: int | None = None, fault: str = "kill") -> None:
        self.root, self.at, self.fault = os.fspath(root), at, fault
        self.calls: list[str] = []
        self.files: list[_File] = []
        self.locks: set[int] = set()
        self.hit = False

    def step(self, name: str, half: Callable[[], object] = lambda: None) -> None:
        """One call: counted, and perhaps in vain."""
        self.calls.append(name)
        if self.hit and self.fault == "kill":
            raise Killed
        now = len(self.calls) - 1 == self.at
        later = self.hit and (self.fault == "gone" or (self.fault == "full" and name in GROWS))
        if not (now or later):
            return
        self.hit = True
        half()
        if self.fault == "kill":
            for file in self.files:
                file.lose()
            raise Killed
        number = FAULTS[self.fault]
        assert number is not None
        raise OSError(number, os.strerror(number))

    def holds(self, path: Any) -> bool:
        """Whether a path is one that is looked after; a number or a relative path is."""
        if not isinstance(path, str | bytes | os.PathLike):
            return True
        text = os.fsdecode(path)
        return text.startswith(self.root) or not os.path.isabs(text)  # noqa: PTH117


class _File:
    """Stands for a file that is open for writing."""

    def __init__(self, disk: Disk, file: Any) -> None:
        self._disk, self._file = disk, file
        disk.files.append(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def write(self, data: Any) -> int:
        if len(data):  # matplotlib tries a file with nothing
            self._disk.step("write", lambda: self._half(data))
        return int(self._file.write(data))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._disk.step("flush", self.lose)
        self._file.flush()

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._disk.step("close", self.lose)
        finally:
            self._file.close()

    def lose(self) -> None:
        """What is not written yet never will be."""
        if self._file.closed:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)

    def _half(self, data: Any) -> None:
        self._file.write(bytes(data)[: len(data) // 2] if not isinstance(data, str) else data[:3])
        self._file.flush()
        self.lose()


def counted(root: Path, act: Callable[[], object]) -> list[str]:
    """The calls of an operation that meets no fault."""
    disk = Disk(root)
    with _standing_for(disk):
        act()
    return disk.calls


@contextmanager
def failing(root: Path, at: int, fault: str) -> Iterator[Disk]:
    """Inside, the call of that number below that folder fails."""
    disk = Disk(root, at, fault)
    try:
        with _standing_for(disk):
            yield disk
    finally:
        for file in disk.files:
            with suppress(OSError, ValueError):
                file.lose()
                file._file.close()
        for lock in disk.locks:  # a killed process lets go of what it held
            os.close(lock)


@contextmanager
def _standing_for(disk: Disk) -> Iterator[None]:
    open_ = _opening(disk)
    exchange = _stepping(disk, "exchange", atomic._exchanged)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(os, **_os(disk)))
        for owner, name, mine in (
            (builtins, "open", open_), (io, "open", open_), (atomic, "_exchanged", exchange),
            (pd.DataFrame, "to_parquet", _to_parquet(open_)),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(owner, name, mine))
        yield


def _to_parquet(open_: Callable[..., Any]) -> Callable[..., None]:
    """Arrow opens its files itself, where nobody sees it: here it is given one that is open."""
    real = pd.DataFrame.to_parquet

    def to_parquet(table: pd.DataFrame, path: Any, **named: Any) -> None:
        with open_(path, "wb") as file:
            real(table, file, **named)

    return to_parquet


def _stepping(disk: Disk, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        if disk.holds(args[0]):
            disk.step(name)
        return real(*args, **named)

    return call


def _os(disk: Disk) -> dict[str, Any]:
    real, real_close = os.open, os.close

    def open_(path: Any, flags: int, *args: Any, **named: Any) -> int:
        if flags & WRITES and disk.holds(path):
            disk.step("open")
        descriptor = real(path, flags, *args, **named)
        if os.fsdecode(path).endswith(".lock"):
            disk.locks.add(descriptor)
        return descriptor

    def close(descriptor: int) -> None:
        disk.locks.discard(descriptor)
        real_close(descriptor)

    def fsync(descriptor: int) -> None:
        disk.step("fsync")  # and no more: it takes milliseconds, and no power goes here

    found = {name: _stepping(disk, name, getattr(os, name)) for name in (*NAMED, *NUMBERED)}
    return found | {"open": open_, "close": close, "fsync": fsync}


def _opening(disk: Disk) -> Callable[..., Any]:
    real = io.open

    def open_(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or not disk.holds(file):
            return real(file, mode, *args, **named)
        disk.step("open")
        return _File(disk, real(file, mode, *args, **named))

    return open_
