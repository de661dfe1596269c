"""Compiles one C file into a library and keeps it: by source, flags, compiler and processor.

The library lies in the user's cache folder and is put there whole, by renaming. Its name ends in
its checksum: the system maps a file that was cut without a word, and a process that then calls it
dies. Two processes that want the same one at once wait for each other; where the folder cannot be
written, a temporary one serves this process. A library is code that is run: a folder or a file that
others may write is left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from snnlens import atomic

SECONDS = 120
# No reassociation and no fused multiply-add: the bits are those of the reference. That traps and
# errno are not looked at lets loops over comparisons become vector code.
EXACT = ("-O3", "-std=gnu17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-math-errno",
         "-fno-trapping-math")  # fmt: skip
# The first that the compiler takes; without OpenMP the kernel runs on one thread.
TUNING = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-march=native",),
    (),
)


class NotCompiled(Exception):
    """There is no library; the message says why."""


def load(source: Path, defines: Sequence[str] = ()) -> ctypes.CDLL:
    """The library of that C file with these `-D` constants, compiled if it is not there yet."""
    compiler = find()
    key = _key(source, defines, compiler)
    wanted, faults = _wanted(), []
    kept = None if wanted is None else _kept(wanted, key)  # also one that cannot be written
    if kept is not None:
        return kept
    for folder in _folders():
        try:
            return _load(folder, key, source, defines, compiler)
        except (OSError, NotCompiled) as fault:  # a full disk, one that cannot execute
            faults.append(fault)
    raise NotCompiled(str(faults[0])) from faults[0]


@cache
def find() -> str:
    """The C compiler: $CC, cc, gcc or clang."""
    wanted = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for name in wanted:
        path = shutil.which(name)
        if path:
            return path
    raise NotCompiled(f"no C compiler: {', '.join(wanted)} not found")


@cache
def cache_folder() -> tuple[Path, str]:
    """Where libraries are kept; and, where that is only a temporary folder, why."""
    folder = _wanted()
    if folder is None:
        return _temporary(), "there is no home folder"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_own(folder):
            return _temporary(), f"{folder} may be written by others: what lies there is run"
        with tempfile.TemporaryFile(dir=folder):
            return folder, ""
    except OSError as error:
        return _temporary(), f"{folder} cannot be written ({error.strerror})"


def _wanted() -> Path | None:
    """Where libraries should be kept; None for a user without a home."""
    told, base = os.environ.get("SNNLENS_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if told:
        return Path(told) / "kernels"
    try:
        return (Path(base) if base else Path.home() / ".cache") / "snnlens" / "kernels"
    except RuntimeError:
        return None


def _folders() -> Iterator[Path]:
    """Where a library may be put; the second is made where the first will not do."""
    yield cache_folder()[0]
    yield _temporary()


@cache
def _temporary() -> Path:
    """A folder of this process, removed when it ends."""
    try:
        holder = tempfile.TemporaryDirectory(prefix="snnlens-kernels-")
    except OSError as error:
        raise NotCompiled(f"no folder for the kernel can be written: {error}") from error
    _HELD.append(holder)
    return Path(holder.name)


_HELD: list[tempfile.TemporaryDirectory[str]] = []


def _key(source: Path, defines: Sequence[str], compiler: str) -> str:
    parts = [source.read_text(encoding="utf-8"), *defines, *EXACT, str(TUNING)]
    digest = hashlib.sha256("\0".join([*parts, _version(compiler), _processor()]).encode())
    return f"{source.stem}-{digest.hexdigest()[:24]}"


@cache
def _version(compiler: str) -> str:
    command = [compiler, "--version"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NotCompiled(f"{compiler} does not run: {error}") from error


@cache
def _processor() -> str:
    """What -march=native depends on: a library must not move to another processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    told = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(told)}))


def _load(
    folder: Path, key: str, source: Path, defines: Sequence[str], compiler: str
) -> ctypes.CDLL:
    found = _kept(folder, key)
    if found is None:
        with _alone(folder / f"{key}.lock"):
            found = _kept(folder, key)
            if found is None:
                _compile(folder, key, source, defines, compiler)
                found = _kept(folder, key)
    if found is None:
        raise OSError(f"{key} was compiled but cannot be loaded")
    return found


def _kept(folder: Path, key: str) -> ctypes.CDLL | None:
    """The library of that key, if it is there, as it was written, and can be loaded."""
    with contextlib.suppress(OSError):
        if not _is_own(folder):
            return None
        for library in sorted(folder.glob(f"{key}-*.so")):
            with contextlib.suppress(OSError):
                if _is_own(library) and library.name == _name(key, library.read_bytes()):
                    return ctypes.CDLL(str(library))
    return None


def _is_own(path: Path) -> bool:
    """Whether nobody but this user and root can put something else there.

    A folder in one that anybody may write can be exchanged, unless that is sticky, as /tmp is.
    """
    if not hasattr(os, "getuid"):  # Windows: the folder of a user is closed to others
        return True
    about, above = path.stat(), [parent.stat().st_mode for parent in path.absolute().parents]
    open_above = any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in above)
    closed = not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return about.st_uid in {0, os.getuid()} and closed and not open_above


def _name(key: str, data: bytes) -> str:
    return f"{key}-{atomic.sha256(data)[:24]}.so"


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock; without locks (Windows, some network folders) two may compile, harmlessly."""
    with lock.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield


def _compile(folder: Path, key: str, source: Path, defines: Sequence[str], compiler: str) -> None:
    """Put the library there, and nothing else of that key; its lock is held."""
    place = folder / key
    for left in folder.glob(f"{key}-*.so"):
        left.unlink()
    atomic.recover(place)
    new = atomic.hidden(place, "new")
    try:
        said = ""
        for tuning in TUNING:
            command = [compiler, *EXACT, *tuning, *(f"-D{d}" for d in defines), str(source),
                       "-o", str(new), "-lm"]  # fmt: skip
            done = _run(command)
            if done.returncode == 0:
                new.chmod(0o700)
                atomic.sync(new)
                new.replace(folder / _name(key, new.read_bytes()))
                return
            said = said or done.stderr.strip()
        raise NotCompiled(f"{compiler} failed: {said.splitlines()[0] if said else 'silently'}")
    finally:
        atomic.remove(new)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.SubprocessError as error:
        raise NotCompiled(f"{command[0]}: {error}") from error
