"""kill -9 at random moments: nothing that was reported as saved is lost, what is there is whole."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snnlens.recording import store
from snnlens.training import checkpoint, folder
from tests.trust.tally import Count, times
from tests.trust.victims import Nursery, Victim
from tests.unit.recording.test_store import draw, make_result
from tests.unit.training import kills

pytestmark = pytest.mark.promise("saved-is-saved")
LONGEST = 0.06  # seconds of work before a kill: several savings


@pytest.fixture(scope="module", name="nursery")
def _nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def run(where: Path) -> int:
    """The number in every part of a run, which is read as everybody reads it."""
    result = store.load_result(where / "run")
    assert result is not None
    numbers = {
        int(result.caption), int(result.table["norm"][0]),
        int(result.record.tables["firing_rate"]["total"][0]),
        int(re.findall(r"\d+", (where / "run" / "figure.svg").read_text())[0]),
    }  # fmt: skip
    assert len(numbers) == 1, numbers  # of one run, all of them
    return numbers.pop()


def report(where: Path) -> int:
    """The number of the page; its companions are whole, and of this report or the one beside it."""
    page, *beside = (_long(where / f"report.{end}") for end in ("html", "json", "md"))
    assert all(abs(number - page) <= 1 for number in beside), (page, beside)
    return page


def gate(where: Path) -> int:
    return _long(where / "gate.xml")


def _long(path: Path) -> int:
    first, middle, last = path.read_text().splitlines()
    assert (first, len(middle)) == (last, 300_000)
    return int(first)


def train(where: Path) -> int:
    """Whole epochs: as many as the checkpoint says, each with its row."""
    kept = checkpoint.load(where / "point")
    assert kept is not None
    assert float(kept.weights["weight"][0, 0]) == kept.epoch
    rows = folder.metrics(where / "point")["epoch"].tolist()
    assert rows[: kept.epoch] == list(range(kept.epoch))
    return kept.epoch


READ: dict[str, Callable[[Path], int]] = {
    "save": run, "report": report, "gate": gate, "train": train,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "exchange"), [*((k, True) for k in READ), ("save", False)])
def test_nothing_reported_is_lost(
    kind: str, exchange: bool, nursery: Nursery, tmp_path: Path, tally: Count
) -> None:
    chance, saved = random.Random(kind), 0
    if kind == "train":
        (tmp_path / "point").mkdir()
    for _ in range(times(12)):
        victim = nursery.start(kind, tmp_path, first=saved + 1, exchange=exchange)
        victim.begun()
        time.sleep(chance.uniform(0, LONGEST))
        victim.kill()
        there, last = READ[kind](tmp_path), _last(victim)
        assert last <= there <= last + 1  # what was reported, or what would have been next
        saved = there
        tally("kills survived")
    last = nursery.start(kind, tmp_path, first=saved + 1, stop=2, exchange=exchange).end()[-1]
    assert last == f"saved {saved + 2}\n"  # it goes on
    assert READ[kind](tmp_path) == saved + 2
    left = [p.name for p in tmp_path.rglob(".*")]
    assert not left  # and puts in order what was left


def _last(victim: Victim) -> int:
    said = victim.said()
    assert all(re.fullmatch(r"saved \d+\n", line) for line in said), said[-1]
    return int(said[-1].split()[1])


# --- the commands --------------------------------------------------------------------------------

TINY = ["--depth", "8", "--layout", "cifar", "--image-size", "8", "--batch", "2",
        "--time-steps", "1", "--residual", "spiking", "--zero-init", "no"]  # fmt: skip
PLANTED = Path(__file__).parents[2] / "examples" / "planted.py"
SLOW = pytest.mark.slow
COMMANDS = {
    "gradients": ["gradients", *TINY, "-o", "out"],
    "attribution": ["attribution", f"{PLANTED}:network", "--data", "planted", "--time-steps", "6",
                    "--samples", "2", "--steps", "2", "--points", "2", "-o", "out"],
    "degradation": ["degradation", "--data", "digits", "--image-size", "8", "--batch", "256",
                    "--time-steps", "1", "--depth", "8", "--seeds", "1", "--epochs", "2",
                    "--record-every", "2", "--resume", "-o", "out"],
}  # fmt: skip


SLOW_DISK = (  # the command line on a disk that takes a second for each file
    "import os, sys, time; sync = os.fsync; os.fsync = lambda file: (time.sleep(1), sync(file)); "
    "from snnlens.cli import main; sys.exit(main(sys.argv[1:]))"
)


def command(
    words: list[str], where: Path, program: tuple[str, str] = ("-m", "snnlens")
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *program, *words, "--force"], cwd=where, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def ended(words: list[str], where: Path) -> None:
    said = command(words, where)
    out, error = said.communicate(timeout=kills.SLOWEST)
    assert said.returncode == 0, (out, error)


@SLOW
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed(name: str, tmp_path: Path, tally: Count) -> None:
    """The run that is there stays, or the next one is; it was printed when it was there."""
    words, chance = COMMANDS[name], random.Random(name)
    begin = time.monotonic()
    ended(words, tmp_path)
    took = time.monotonic() - begin
    for number in range(times(3)):
        before = _started(tmp_path / "out")
        victim = command(words, tmp_path)
        if number % 2:
            time.sleep(chance.uniform(0.3, 1) * took)
        else:  # while it writes
            _wait_for(victim, tmp_path)
            time.sleep(chance.uniform(0, 0.05))
        out = _killed(victim)
        there = _started(tmp_path / "out")
        assert there > before if b"Figure and numbers: out" in out else there >= before
        if victim.returncode:  # it may have ended before
            tally("kills survived")
    ended(words, tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_report_that_is_killed(tmp_path: Path, tally: Count) -> None:
    store.save_run(make_result(), tmp_path / "out", draw)
    words = ["report", "out", "-o", "page.html"]
    ended(words, tmp_path)
    names = [tmp_path / f"page.{end}" for end in ("html", "json", "md")]
    before = [p.read_bytes() for p in names]
    for _ in range(times(1)):
        victim = command(words, tmp_path, ("-c", SLOW_DISK))
        _wait_for(victim, tmp_path)
        _killed(victim)
        assert victim.returncode == -signal.SIGKILL
        assert [p.read_bytes() for p in names] == before  # the same run gives the same page
        tally("kills survived")
    ended(words, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"out", *(p.name for p in names)}


def _killed(process: subprocess.Popen[bytes]) -> bytes:
    """What it had printed until it was killed, or ended by itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate(timeout=kills.SLOWEST)[0]


def _wait_for(process: subprocess.Popen[bytes], where: Path) -> None:
    """Until it writes."""
    end = time.monotonic() + kills.SLOWEST
    while process.poll() is None and not _hidden(where, "new") and time.monotonic() < end:
        time.sleep(0.002)


def _hidden(where: Path, kind: str) -> list[Path]:
    return list(where.glob(f".*.{kind}"))


def _started(where: Path) -> str:
    """When the run that is there was begun; it is read whole."""
    result = store.load_result(where)
    assert result is not None
    return str(result.record.provenance["started"])
