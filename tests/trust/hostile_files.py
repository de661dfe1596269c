"""Files that are not what they say: cut, flipped, of extreme numbers, or no files at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from snnlens.cli import main
from snnlens.errors import NothingToRecord, SnnlensError

LONGEST = 1000  # characters of a line
ROOM = 64 * 2**20  # bytes that a reader may take whatever the file says
TIMES_THE_FILE = 32  # bytes of memory for each byte of a file: 5 bytes of an event are 100 in int64
REFUSED = (2, NothingToRecord.exit_code)
NUMBERS = count()
PEAK = Path("/proc/self/clear_refs")  # "5" makes the most that was resident what is now


# --- files ---------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, *valid: bytes) -> bytes:
    """A valid file after something has happened to it, or bytes that never were one."""
    data = draw(st.sampled_from(valid))
    place = draw(st.integers(0, len(data)))
    kind = draw(st.sampled_from(["cut", "flip", "number", "insert", "twice", "random"]))
    if kind == "cut":
        return data[:place]
    if kind == "random":
        return draw(st.binary(max_size=200))
    if kind == "insert":
        return data[:place] + draw(st.binary(min_size=1, max_size=9)) + data[place:]
    if kind == "twice":
        return data + data[:place]
    changed = bytearray(data)
    for at in draw(st.lists(st.integers(0, max(0, len(data) - 8)), min_size=1, max_size=4)):
        changed[at : at + 8] = _extreme(draw, bytes(changed[at : at + 8]), kind)
    return bytes(changed)


def _extreme(draw: st.DrawFn, old: bytes, kind: str) -> bytes:
    """Eight bytes with one bit changed, or with a number of 1, 2, 4 or 8 bytes in front."""
    if kind == "flip" and old:
        bit = draw(st.integers(0, 8 * len(old) - 1))
        return (int.from_bytes(old, "big") ^ 1 << bit).to_bytes(len(old), "big")
    width = draw(st.sampled_from([1, 2, 4, 8]))
    top = 2 ** (8 * width)
    number = draw(st.sampled_from([0, 1, top - 1, top // 2, top // 2 - 1, 10**6 % top]))
    written = number.to_bytes(width, draw(st.sampled_from(["big", "little"])))
    return (written + old[width:])[: len(old)]


def fresh(folder: Path) -> Path:
    """A new folder for one example of a hypothesis test."""
    made = folder / f"{next(NUMBERS)}"
    made.mkdir()
    return made


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def no_bytes(path: Path) -> None:
    path.touch()


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


IMPOSTORS: list[Callable[[Path], None]] = [a_folder, a_pipe, a_loop, endless, no_bytes, dangling]
impostors = pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda f: f.__name__)


def replaced(path: Path, impostor: Callable[[Path], None]) -> None:
    """Something else lies where the file was."""
    path.unlink(missing_ok=True)
    impostor(path)


# --- what a reader may do --------------------------------------------------------------------


def is_one_line(text: str) -> bool:
    """Whether a terminal shows it as one line that a person can read."""
    return text.isprintable() and 0 < len(text) < LONGEST


def refuses(read: Callable[..., Any], *given: Any, **options: Any) -> bool:
    """Whether a reader refuses a file; it may do nothing else but read it."""
    try:
        read(*given, **options)
    except SnnlensError as error:
        said, code = str(error), error.exit_code
    else:
        return False
    assert is_one_line(said), said
    assert code in REFUSED
    return True


def command_refuses(argv: list[str], capsys: pytest.CaptureFixture[str], *named: object) -> str:
    """What a command says when it refuses: one line that names the file, exit code 2 or 5."""
    capsys.readouterr()
    code = main(argv)
    said = capsys.readouterr()
    assert code in REFUSED, said.err
    assert said.out == ""
    assert said.err.startswith("snnlens: ")
    assert said.err.count("\n") == 1
    line = said.err.removesuffix("\n")
    assert is_one_line(line), line
    for name in named:
        assert str(name) in line
    return line


@contextmanager
def bounded(path: Path, times: int = TIMES_THE_FILE) -> Iterator[None]:
    """Inside, no more memory is taken than 64 MB and so many times the size of the file.

    The system is asked what was resident at most, so that C and torch count too; where it does not
    tell, Python's own count has to do.
    """
    if PEAK.exists():
        PEAK.write_text("5")
        before = _resident("VmRSS")
        yield
        peak = _resident("VmHWM") - before
    else:
        tracemalloc.start()
        yield
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < ROOM + times * path.stat().st_size, f"{peak:,} bytes"


def _resident(name: str) -> int:
    """Bytes, of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))


LIMIT = """
import pathlib, resource
size = 4096 * int(pathlib.Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (size + {0}, size + {0}))
"""


def in_little_memory(
    imports: str, code: str, *given: object, megabytes: int
) -> subprocess.CompletedProcess[str]:
    """Run Python with so many megabytes of address space beyond what its imports take."""
    whole = imports + LIMIT.format(megabytes * 2**20) + code
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", whole, *map(str, given)],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip


def out_of_memory(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command ended in one line, with exit code 2."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("snnlens: "), done.stderr
    return done.stderr.count("\n") == 1
