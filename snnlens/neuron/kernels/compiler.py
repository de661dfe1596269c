"""Compiles one C file into a library and keeps it: by source, flags, compiler and processor.

The library lies in the user's cache folder and is put there whole, by renaming. Two processes that
want the same one at once wait for each other; where the folder cannot be written, a temporary one
serves this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

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
    folder, reason = cache_folder()
    try:
        return _load(folder, key, source, defines, compiler)
    except OSError as error:  # a full disk, a folder on a device that cannot execute
        if reason:
            raise NotCompiled(f"{folder}: {error}") from error
    return _load(_temporary(), key, source, defines, compiler)


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
    wanted = os.environ.get("SNNLENS_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(wanted) if wanted else Path(base) / "snnlens"
    folder /= "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder, ""
    except OSError as error:
        return _temporary(), f"{folder} cannot be written ({error.strerror})"


@cache
def _temporary() -> Path:
    """A folder of this process, removed when it ends."""
    holder = tempfile.TemporaryDirectory(prefix="snnlens-kernels-")
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
            command, capture_output=True, text=True, timeout=SECONDS, check=False
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
    library = folder / f"{key}.so"
    for _ in range(2):
        if not library.exists():
            with _alone(folder / f"{key}.lock"):
                if not library.exists():
                    _compile(library, source, defines, compiler)
        try:
            return ctypes.CDLL(str(library))
        except OSError:  # cut short by somebody: once more
            library.unlink(missing_ok=True)
    raise OSError(f"{library.name} was compiled but cannot be loaded")


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


def _compile(library: Path, source: Path, defines: Sequence[str], compiler: str) -> None:
    handle, name = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    try:
        said = ""
        for tuning in TUNING:
            command = [compiler, *EXACT, *tuning, *(f"-D{d}" for d in defines), str(source),
                       "-o", name, "-lm"]  # fmt: skip
            done = _run(command)
            if done.returncode == 0:
                Path(name).replace(library)
                return
            said = said or done.stderr.strip()
        raise NotCompiled(f"{compiler} failed: {said.splitlines()[0] if said else 'silently'}")
    finally:
        Path(name).unlink(missing_ok=True)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.SubprocessError as error:
        raise NotCompiled(f"{command[0]}: {error}") from error
