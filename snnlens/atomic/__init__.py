"""Files and folders that are there whole or not at all, whenever the power goes. No torch.

What is written lies beside its place until it is whole (see claims.py for the names); whoever
makes NAME next removes what a kill has left of it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from snnlens.atomic.claims import claimed, hidden, left_of, place, recover, remove
from snnlens.atomic.faults import FULL, reason, room, said
from snnlens.errors import InputError

__all__ = [
    "FULL", "append", "claimed", "hidden", "identity", "place", "reason", "recover", "remove",
    "room", "said", "sha256", "steady", "swap", "sync", "write_file", "write_files",
    "write_folder",
]  # fmt: skip
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux
READS = 20  # of a folder that others replace meanwhile
SOON_SECONDS = 0.01
Found = TypeVar("Found")


def write_file(path: Path, data: bytes) -> None:
    """Write a file beside its place, sync it, rename it."""
    write_files({path: data})


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files beside their places, and rename them when all are whole and synced."""
    made = {path: hidden(path, "new") for path in files}
    try:
        for path, new in made.items():
            _synced(new, files[path])
        for path, new in made.items():
            new.replace(path)
    finally:
        for new in made.values():
            remove(new)
    for parent in {path.parent for path in files}:
        sync(parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside its place, sync it, put it there; what was there goes."""
    new = hidden(path, "new")
    try:
        new.mkdir(parents=True)
        for name, data in files.items():
            _synced(new / name, data)
        sync(new)
        swap(new, path)
    finally:
        remove(new)


def swap(new: Path, folder: Path) -> None:
    """Put the new folder in the place of `folder`: one of the two is there at every moment.

    What was there has the name of the new one then, and is the caller's to remove. Where the system
    cannot let two folders change places, the old one has another name for a moment; a kill in that
    moment leaves it there, and who claims or reads the folder next puts it back.
    """
    try:
        new.rename(folder)  # also onto an empty folder
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        if not _exchanged(new, folder):
            _in_turn(new, folder)
    sync(folder.parent)


def steady(folder: Path, what: str, read: Callable[[], Found]) -> Found:
    """What `read` finds in a folder; it reads again if another folder has come in its place.

    Raises:
        InputError: that happens again and again.
    """
    for _ in range(READS):
        before = identity(folder)
        try:
            found = read()
        except Exception:
            if identity(folder) == before and not _put_back(folder):
                raise
        else:
            if identity(folder) == before:
                return found
    raise InputError(
        what, got=str(folder), wanted="one that stays while it is read",
        do="wait until no other process replaces it",
    )  # fmt: skip


def identity(folder: Path) -> tuple[int, ...] | None:
    """What changes when another folder comes in its place; None where there is none."""
    try:
        seen = folder.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_ctime_ns  # a number of a removed folder is used again


def _put_back(folder: Path) -> bool:
    """Whether a folder may be there now that was not: it lies under its other name (see `swap`)."""
    if folder.exists() or not any(left.suffix == ".old" for left in left_of(folder)):
        return False
    try:
        with claimed(folder) as free:  # puts it back, unless a living process is about to
            if not free:
                time.sleep(SOON_SECONDS)
    except OSError:  # a folder that cannot be written
        return False
    return True


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system or the disk cannot."""
    rename = _renameat2()
    if rename is None:
        return False
    places = AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other)
    if rename(*places, RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


@cache
def _renameat2() -> Any:
    """The function of Linux, or None."""
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None


def _in_turn(new: Path, folder: Path) -> None:
    """Let two folders change places in three steps; the old one comes back if one fails."""
    old = hidden(folder, "old")
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    old.rename(new)


def append(path: Path, line: str) -> None:
    """Add a line to a file and sync it; a kill may leave a part of the line, which readers drop."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Make the bytes of a file last, or a rename in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(data: bytes) -> str:
    """The checksum of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def _synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:  # never through a link that somebody has put there
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
