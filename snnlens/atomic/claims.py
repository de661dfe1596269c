"""One process at a time makes a file or a folder; what a kill has left beside it is put in order.

.NAME.1f0c9a3b.new   beside NAME: what is being written, or, for a moment, what it replaced
.NAME.1f0c9a3b.old   where a system cannot let two folders change places, what was at NAME
.NAME.lock           held by the process that makes NAME
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from snnlens.atomic.faults import said
from snnlens.errors import InputError

TRIES = 100  # to lock a file that others remove meanwhile
_held: dict[Path, tuple[int, int]] = {}  # what is claimed, by which process and thread


@contextmanager
def place(path: Path, what: str, content: str, check: Callable[[], None]) -> Iterator[None]:
    """Have a place to oneself while it is filled: checked, claimed, checked again.

    Raises:
        InputError: what `check` raises; a place that another process fills, or that cannot be
            written.
    """
    with ExitStack() as stack:
        try:
            check()
            free = stack.enter_context(claimed(path))
        except OSError as error:
            raise said(error, what, path, content) from error
        if not free:
            raise InputError(
                what, got=str(path), wanted="one that no other process writes",
                do="wait until it is there, or choose another with -o",
            )  # fmt: skip
        check()  # what has come there meanwhile
        yield


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the place of a file or a folder while it is made; False where somebody else does.

    Missing folders around it are made, and those that are still empty in the end go again. The
    lock goes with the process, even with kill -9; where the disk has no locks nobody is refused,
    and nothing is put in order.
    What is claimed may be claimed again by the same thread.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, claimed(Path(folder) / "run") as free:
    ...     free
    True
    """
    path, me = Path(os.path.abspath(path)), (os.getpid(), threading.get_ident())  # noqa: PTH100
    if _held.get(path) == me:
        yield True
        return
    missing = [p for p in path.parents if not p.exists()]
    lock = hidden(path, "lock")
    try:
        with _locked(lock) as held:
            if held:
                recover(path)
            if held is not False:
                _held[path] = me
            yield held is not False
    finally:
        if _held.get(path) == me:
            del _held[path]
        for parent in missing:  # the innermost first; those that hold something stay
            with suppress(OSError):
                parent.rmdir()


def recover(path: Path) -> None:
    """Put in order what a killed process has left beside a path; the caller has claimed it."""
    for left in left_of(path):
        if left.suffix == ".old" and not path.exists() and not left.is_symlink():
            left.rename(path)
        else:
            remove(left)


def left_of(path: Path) -> list[Path]:
    """What lies beside a path under the names of `hidden`; nothing in a folder without listing."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.(new|old)")
    try:
        return sorted(p for p in path.parent.iterdir() if pattern.fullmatch(p.name))
    except OSError:
        return []


@contextmanager
def _locked(lock: Path) -> Iterator[bool | None]:
    """Hold a lock file, which goes in the end; False where another process does, None: no locks."""
    descriptor = _opened(lock)
    held = False if descriptor is None else _flocked(descriptor)
    try:
        yield held
    finally:
        if held is not False:
            with suppress(OSError):
                lock.unlink()  # while it is held: who waits for it sees that it is gone
        if descriptor is not None:
            os.close(descriptor)


def _opened(lock: Path) -> int | None:
    """The lock file, opened and locked; None where somebody else has it."""
    for _ in range(TRIES):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileNotFoundError:  # another process has removed the folder, empty as it was
            continue
        if _flocked(descriptor) is False:
            os.close(descriptor)
            return None
        if _is(lock, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder has removed it
    return None


def _flocked(descriptor: int) -> bool | None:
    """Whether nobody else holds it; None on systems and disks that have no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return None
    return True


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def hidden(path: Path, kind: str) -> Path:
    """A name beside a path, which nobody else has unless it is that of its lock.

    >>> hidden(Path("runs/a"), "lock").as_posix()
    'runs/.a.lock'
    """
    token = "" if kind == "lock" else f".{secrets.token_hex(4)}"
    return path.parent / f".{path.name}{token}.{kind}"


def remove(path: Path) -> None:
    """Remove a file or a folder; what cannot be removed now goes the next time."""
    with suppress(OSError):
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
