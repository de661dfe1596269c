"""Files and folders that are there whole or not at all, whenever the power goes. No torch."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from snnlens.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def room(what: str, stays: str) -> Iterator[None]:
    """Turn a full disk into one line; `stays` says what is still whole."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        do = f"{stays}; make room and go on with --resume"
        raise InputError(f"the disk of {what}", got="full", wanted="with room", do=do) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file beside its place, sync it, rename it."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _synced(new, data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder beside its place, sync it, rename it; `path` must not be there."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.mkdir(parents=True)
        for name, data in files.items():
            _synced(new / name, data)
        sync(new)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    sync(path.parent)


def swap(new: Path, folder: Path) -> None:
    """Put the new folder in the old one's place; the old one comes back if that fails."""
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.parent / f".{folder.name}.{os.getpid()}.old"
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


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
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
