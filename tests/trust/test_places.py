"""Places and moments that are not as usual: it goes on, or says why not in one line."""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from snnlens import api, cli, provenance
from snnlens.errors import SlowBackend
from snnlens.neuron import kernels
from snnlens.neuron.kernels import compiler, cpu
from snnlens.neuron.layers import IF
from snnlens.recording import store
from snnlens.report import build
from snnlens.training import checkpoint
from tests.trust.tally import Count, times
from tests.trust.test_failing_calls import _forget, _swept, small  # noqa: F401 - a fixture
from tests.unit.recording.test_store import draw, make_record, make_result

pytestmark = pytest.mark.promise("carries-on")
ROOT = Path(__file__).parents[2]
RUN = ROOT / "tests" / "runs" / "v1"
TINY = ["--depth", "8", "--layout", "cifar", "--image-size", "8", "--batch", "2",
        "--time-steps", "1", "--residual", "spiking", "--zero-init", "no"]  # fmt: skip
SLOWEST = 200.0


@pytest.fixture(name="run")
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(RUN, tmp_path / "run"))


# --- folders that nobody may write ---------------------------------------------------------------

MAIN = """
import io, json, sys
from snnlens.cli import main
whole = sys.stdout, sys.stderr
for words in json.loads(sys.argv[1]):
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code = main(words)
    said = [stream.buffer.getvalue().decode() for stream in (sys.stdout, sys.stderr)]
    sys.stdout, sys.stderr = whole
    print(json.dumps([code, *said]), flush=True)
"""
DENIED = [
    ["gradients", *TINY, "-o", "out", "--quiet"],
    ["gradients", *TINY, "--quiet"],
    ["report", "run"],
    ["compare", "run", "run"],
    ["export", "run", "--to", "latex", "-o", "paper"],
    ["gate", "run", "-o", "gate.xml"],
    ["train", "sew_resnet8", "--image-size", "8", "--points", "points", "-o", "RW/a", "--quiet"],
]
GRANTED = [
    ["list"],
    ["report", "run", "-o", "RW/page.html"],
    ["compare", "run", "run", "-o", "RW/compare.html"],
    ["export", "run", "--to", "latex", "-o", "RW/paper"],
    ["gate", "run", "--fail-on", "never", "-o", "RW/gate.xml"],
    ["gradients", *TINY, "-o", "RW/out", "--quiet"],
]


def without_privileges() -> None:
    """Permissions bind root, too, in the program that is started now."""
    for capability in (1, 2):  # to write, and to read, whatever the permissions say
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; no root: it fails


def told(commands: list[list[str]], where: Path, **environment: str) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each, in one process without privileges."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAIN, json.dumps(commands)], cwd=where, text=True,
        env=_environment() | environment, preexec_fn=without_privileges, timeout=SLOWEST,
        capture_output=True, check=False,
    )  # fmt: skip
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == len(commands), done.stderr
    return found  # type: ignore[return-value]


def _environment() -> dict[str, str]:
    """Without a home, and without what stands for one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "SNNLENS_CACHE"))}
    kept = {k: v for k, v in kept.items() if k not in {"HOME", "MPLCONFIGDIR"}}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(name="shut")
def _shut(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds a run, and that cannot be written."""
    shut = tmp_path / "shut"
    shutil.copytree(RUN, shut / "run")
    inside = [shut, *shut.rglob("*")]
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield shut
    for path in inside:
        path.chmod(0o755)


def test_folders_that_cannot_be_written(shut: Path, tmp_path: Path, tally: Count) -> None:
    """What would write there says so; what reads there goes on. The home is shut, too."""
    place = tmp_path / "open"
    place.mkdir()
    commands = [[w.replace("RW", str(place)) for w in words] for words in (*DENIED, *GRANTED)]
    found = told(commands, shut, HOME=str(shut), USER="nobody")
    for words, (code, out, error) in zip(commands[: len(DENIED)], found, strict=False):
        assert (code, out) == (2, ""), (words, code, error)
        last = error.splitlines()[-1]  # before it matplotlib may say that its own folder is shut
        assert last.startswith("snnlens: "), error
        assert "in a writable folder" in last, error
        assert "Traceback" not in error, error
        tally("commands in a folder that is shut")
    for words, (code, _, error) in zip(GRANTED, found[len(DENIED) :], strict=True):
        assert code == 0, (words, error)
        tally("commands in a folder that is shut")
    assert [p.name for p in shut.iterdir()] == ["run"]
    names = {p.name for p in place.iterdir()}
    assert names >= {"page.html", "compare.html", "paper", "gate.xml", "out"}
    assert not [name for name in names if name.startswith(".")]


# --- clocks that jump ----------------------------------------------------------------------------


class Clock:
    """Goes back and forth between 1970 and 2100, whatever asks."""

    def __init__(self) -> None:
        self.chance = random.Random(0)

    def time(self) -> float:
        return self.chance.uniform(0.0, 4e9)

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def now(self, zone: Any = None) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time())


@pytest.fixture(name="_jumping")
def _jumping_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "time_ns", clock.time_ns)
    monkeypatch.setattr(provenance, "datetime", clock)


@pytest.mark.usefixtures("_jumping")
def test_a_clock_that_jumps(run: Path, tmp_path: Path, tally: Count) -> None:
    for number in range(times(4)):
        target = tmp_path / "saved"
        store.save_run(make_result(number), target, draw, force=True)
        _touched(target)
        assert store.load(target).tables["firing_rate"]["total"][0] == number
        provenance.provenance()
        tally("jumps of the clock")
    assert cli.main(["report", str(run), "-o", "page.html"]) == 0
    _touched(tmp_path)
    assert cli.main(["report", str(run), "-o", "page.html", "--force"]) == 0
    assert cli.main(["export", str(run), "--to", "tensorboard", "-o", "events"]) == 0
    assert cli.main(["rates", *TINY, "--quiet"]) == 0
    tally("jumps of the clock", 4)


def test_a_training_goes_on_whatever_the_clock_says(
    small: Callable[[str, dict[str, Any]], None],  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tally: Count,
) -> None:
    whole, real = _swept(tmp_path / "whole", small), checkpoint.save
    request.getfixturevalue("_jumping")

    def save(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(KeyboardInterrupt):
        _swept(tmp_path / "cut", small)
    monkeypatch.setattr(checkpoint, "save", real)
    _touched(tmp_path / "cut")
    assert _swept(tmp_path / "cut", small) == whole
    tally("jumps of the clock", 2)


def _touched(where: Path) -> None:
    """Every file is of the future, or of 1970."""
    for number, path in enumerate(sorted(where.rglob("*"))):
        os.utime(path, (4e9, 4e9) if number % 2 else (0, 0))


# --- the kernel's cache --------------------------------------------------------------------------


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "cache"))
    _forget()
    yield tmp_path / "cache" / "kernels"
    _forget()
    cpu._compiled.cache_clear()
    kernels._say_once.cache_clear()


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return 42; }\n")
    return path


def test_a_library_that_is_garbage_is_compiled_again(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """The system would map it, and the process die: what is not as it was written is not loaded."""
    assert compiler.load(source).answer() == 42
    (kept,) = cache.glob("*.so")
    whole, chance = kept.read_bytes(), random.Random(0)
    compiled = []
    monkeypatch.setattr(compiler, "_compile", _noting(compiler._compile, compiled))
    for number in range(times(20)):
        kept.unlink()  # the one in use stays mapped
        kept.write_bytes(_damaged(whole, chance))
        assert compiler.load(source).answer() == 42
        assert [p.read_bytes() for p in cache.glob("*.so")] == [whole]
        assert len(compiled) == number + 1
        tally("damaged libraries")


def _noting(real: Callable[..., None], calls: list[int]) -> Callable[..., None]:
    def call(*args: Any) -> None:
        calls.append(1)
        real(*args)

    return call


def _damaged(whole: bytes, chance: random.Random) -> bytes:
    """Cut, or one byte changed, or a hole in it, or more of it."""
    where = chance.randrange(len(whole))
    return chance.choice([
        whole[:where], whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :],
        whole[:where] + bytes(len(whole) - where - 1) + b"x", whole + b"more",
    ])  # fmt: skip


def test_a_cache_that_somebody_else_filled_is_used(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    compiler.load(source)
    _forget()
    monkeypatch.setattr(tempfile, "TemporaryFile", _refused)
    monkeypatch.setattr(compiler, "_compile", _refused)
    assert compiler.load(source).answer() == 42
    tally("kernel caches")


def test_a_user_without_a_home(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    for name in ("SNNLENS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", _refused)
    assert compiler.load(source).answer() == 42
    assert compiler.cache_folder()[1] == "there is no home folder"
    tally("kernel caches")


@pytest.mark.usefixtures("cache")
def test_without_any_folder_the_reference_runs_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", _refused)
    cpu._compiled.cache_clear()
    kernels._say_once.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlowBackend)
        spikes = [IF()(torch.ones(2, 3)).sum() for _ in range(3)]
    assert spikes == [6, 6, 6]
    assert len(said) == 1
    reason = "no folder for the kernel can be written: [Errno 28] No space left on device"
    assert str(said[0].message) == f"neurons run in plain PyTorch, slower: {reason}"
    tally("kernel caches")


def _refused(*_: object, **__: object) -> Any:
    kind = RuntimeError if not __ and len(_) == 0 else OSError
    raise kind(errno.ENOSPC, "No space left on device")


# --- streams that are closed, full, or read by nobody ----------------------------------------


class Raw(io.RawIOBase):
    """What takes nothing, until the test is over."""

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.number:
            raise OSError(self.number, os.strerror(self.number))
        return len(data)


def broken(number: int) -> tuple[io.TextIOWrapper, Raw]:
    """A stream of text, buffered as the real ones are."""
    raw = Raw(number)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8"), raw


COMMANDS = {
    "list": ["list"],
    "help": ["--help"],
    "a run as JSON": ["rates", *TINY, "-o", "out", "--json", "--force"],
    "a report": ["report", "run", "-o", "out", "--force"],
    "a gate": ["gate", "run", "--fail-on", "never"],
    "a mistake": ["gate", "nowhere"],
}
FULL = "snnlens: standard output must be one that can be written; got 'No space left on device'"


@pytest.mark.parametrize("name", COMMANDS)
def test_streams_that_take_nothing(
    name: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:  # fmt: skip
    """A reader that leaves stops nothing, nor does a log on a full disk; a lost answer is said."""
    usual = cli.main(COMMANDS[name])
    wrote, made = capsys.readouterr().out != "", Path("out").exists()
    for stream, number in (
        ("stdout", errno.EPIPE), ("stdout", errno.ENOSPC),
        ("stderr", errno.EPIPE), ("stderr", errno.ENOSPC), ("stderr", errno.EIO),
    ):  # fmt: skip
        text, raw = broken(number)
        with monkeypatch.context() as patch:
            patch.setattr(sys, stream, text)
            code = cli.main(COMMANDS[name])
        raw.number = 0
        said = capsys.readouterr().err
        lost = stream == "stdout" and number == errno.ENOSPC and wrote
        assert code == (2 if lost else usual), (stream, number, said)
        assert "Traceback" not in said
        assert not lost or said.splitlines()[-1] == FULL
        assert Path("out").exists() == made  # and what was to be saved is
        tally("streams that take nothing")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed(
    closed: tuple[int, ...], run: Path, tmp_path: Path, tally: Count
) -> None:
    """It ends as ever, with the same file."""
    done = subprocess.run(
        [sys.executable, "-m", "snnlens", "gate", "run", "--fail-on", "never", "-o", "gate.txt"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=SLOWEST, check=False,
        capture_output=True, preexec_fn=lambda: [os.close(n) for n in closed],
    )  # fmt: skip
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    whole = cli.main(["gate", "run", "--fail-on", "never", "-o", "whole.txt"])
    assert whole == 0
    assert (tmp_path / "gate.txt").read_bytes() == (tmp_path / "whole.txt").read_bytes()
    tally("streams that take nothing")


NOISE = """
import os
from snnlens.commands._streams import calm
with calm(), open("table", "w") as table:
    for number in (1, 2):
        os.write(number, b"what a library says")
    table.write("whole")
"""


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path: Path, tally: Count) -> None:
    """Or what a library or a compiler says to stderr would be written into it."""
    for closed in ((1,), (2,), (1, 2), (0, 1, 2)):
        subprocess.run(
            [sys.executable, "-c", NOISE], cwd=tmp_path, check=True, capture_output=True,
            env=_environment(), preexec_fn=lambda closed=closed: [os.close(n) for n in closed],
        )  # fmt: skip
        assert (tmp_path / "table").read_text() == "whole"
        tally("streams that take nothing")


def test_a_folder_that_is_gone(tmp_path: Path, tally: Count) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir('../gone'); from snnlens.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor"], cwd=gone, env=_environment(), timeout=SLOWEST,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "snnlens: the current folder must be there; got 'removed while this shell was in it'; cd "
        "to another\n"
    )
    tally("commands in a folder that is shut")


# --- Ctrl-C says what is true ----------------------------------------------------------------

PRESET = """
[[run]]
name = "a"
question = "rates"
[[run]]
name = "b"
question = "rates"
"""


@pytest.mark.parametrize("done", [0, 1, 2])
def test_ctrl_c_in_a_preset_says_what_is_there(
    done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("preset.toml").write_text(PRESET)
    seen: list[str] = []

    def answer(question: str, folder: Path, **_: object) -> None:
        if len(seen) == done:
            raise KeyboardInterrupt
        seen.append(folder.name)
        make_record().save(folder)

    def page_of(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "answer", answer)
    monkeypatch.setattr(build, "page_of", page_of)
    assert cli.main(["report", "--preset", "preset.toml", "--quiet"]) == 130
    where = " and stay in runs" if done else ""
    kept = f"{done} of 2 runs of the preset are whole{where}; there is no report"
    if done == 2:
        kept = "the runs of the preset are whole and stay in runs; there is no report"
    assert capsys.readouterr().err == f"snnlens: interrupted; {kept}\n"
    there = sorted(p.name for p in tmp_path.rglob("*") if p.parent.name == "runs")
    assert there == seen
    tally("interruptions")


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_around_the_moment_of_saving(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    real = store._write

    def write(*args: Any, **named: Any) -> Path:
        if when == "before":
            raise KeyboardInterrupt
        real(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_write", write)
    assert cli.main(["rates", *TINY, "-o", "out", "--quiet"]) == 130
    said = {"before": "nothing was written", "after": "the run is whole and stays in out"}[when]
    assert capsys.readouterr().err == f"snnlens: interrupted; {said}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out"] * (when == "after")
    tally("interruptions")


def test_what_a_kill_left_is_no_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    """`snnlens list` shows whole runs alone."""
    for name in ("a", ".b.0123abcd.new", ".c.0123abcd.old"):
        shutil.copytree(run, tmp_path / "runs" / name)
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["Runs in ./runs", "  runs/a"]
    tally("commands beside what a kill left", 1)
