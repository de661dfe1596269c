"""Processes that write without end, to be killed: each is forked from one that has loaded all.

    python tests/trust/victims.py < lines of JSON    # prints the number of each that it forks

A victim appends a line to a log after each thing that it has reported as saved: what stands there
may not be lost. A line with `stop` ends a victim by itself after so many.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOON = 0.002  # seconds between two looks
SLOWEST = 120.0


class Nursery:
    """Forks victims; leaves none behind."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SLOWEST)
        self._process.stdout.close()

    def start(self, kind: str, where: Path, log: str = "log", **told: Any) -> Victim:
        """One that writes below a folder."""
        line = told | {"kind": kind, "where": str(where), "log": str(where / log)}
        return Victim(int(self._ask(line)), where / log, self)

    def end(self, victim: Victim) -> None:
        """Wait until it is gone."""
        self._ask({"wait": victim.number})

    def _ask(self, line: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has died"
        return answer


class Victim:
    """One of them, seen from outside."""

    def __init__(self, number: int, log: Path, nursery: Nursery) -> None:
        self.number, self.log, self._nursery = number, log, nursery

    def said(self) -> list[str]:
        """What it reported so far; a line that was cut was not reported."""
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def begun(self) -> None:
        """Wait until it has reported something new."""
        before, end = len(self.said()), time.monotonic() + SLOWEST
        while len(self.said()) == before:
            assert time.monotonic() < end, "it never began"
            time.sleep(SOON)

    def kill(self) -> None:
        os.kill(self.number, signal.SIGKILL)
        self._nursery.end(self)

    def end(self) -> list[str]:
        """What it said, when it has ended by itself."""
        self._nursery.end(self)
        return self.said()


# --- inside the nursery --------------------------------------------------------------------------


def save(where: Path, number: int, told: dict[str, Any]) -> None:
    """As a user's own script: the same run again and again, with the number in every part."""
    from snnlens.recording import store

    def draw(folder: Path) -> None:
        (folder / "figure.svg").write_text(f"<svg>{number}</svg>")

    store.save_run(_result(number), where / "run", draw, force=told.get("force", True))


def report(where: Path, number: int, told: dict[str, Any]) -> None:
    """Three files, each with the number; what they hold is made elsewhere."""
    from snnlens.report import build, companions

    output = where / "report.html"
    build.page_of = lambda *_: (_long(number), {})  # type: ignore[assignment]
    companions._texts = lambda *_: dict.fromkeys(companions.paths(output), _long(number))
    companions.write_with_page([], output, force=told.get("force", True))


def gate(where: Path, number: int, told: dict[str, Any]) -> None:
    from snnlens.commands import gate as command

    command._write(where / "gate.xml", _long(number), force=told.get("force", True))


def train(where: Path, number: int, told: dict[str, Any]) -> None:
    """A whole epoch: its row, then its checkpoint."""
    import torch

    from snnlens.training import checkpoint, folder

    model = torch.nn.Linear(8, 8)
    with torch.no_grad():
        model.weight.fill_(number)
    if number == told["first"]:
        kept = checkpoint.load(where / "point")
        folder.clear(where / "point")
        folder.cut_metrics(where / "point", kept.epoch if kept else 0)
    row = dict.fromkeys(folder.COLUMNS, float(number)) | {"epoch": number - 1}
    folder.add_metrics(where / "point", row)
    optimiser, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu")
    checkpoint.save(where / "point", number, model, optimiser, scaler)


KINDS: dict[str, Callable[[Path, int, dict[str, Any]], None]] = {
    "save": save, "report": report, "gate": gate, "train": train,
}  # fmt: skip


def _result(number: int) -> Any:
    from dataclasses import replace

    from tests.unit.recording.test_store import make_result

    made = make_result(number)
    return replace(made, caption=str(number))


def _long(number: int) -> str:
    """A text that no single write holds, with the number at both ends."""
    return f"{number}\n" + "x" * 300_000 + f"\n{number}\n"


def _victim(told: dict[str, Any]) -> None:
    where, log = Path(told["where"]), told["log"]
    if not told.get("exchange", True):
        from snnlens import atomic

        atomic._renameat2 = lambda: None  # type: ignore[assignment]
    while time.monotonic() < told.get("at", 0.0):  # two begin in the same moment
        pass
    from snnlens.errors import SnnlensError

    first = told.get("first", 1)
    for number in range(first, first + told["stop"]) if "stop" in told else count(first):
        try:
            KINDS[told["kind"]](where, number, told)
        except SnnlensError as error:
            _say(log, str(error))
        else:
            _say(log, f"saved {number}")


def _say(log: str, text: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{text}\n".encode())
    os.close(file)


def _lines() -> Iterator[dict[str, Any]]:
    while line := sys.stdin.readline():
        yield json.loads(line)


LOADED = (
    "snnlens.commands.gate", "snnlens.report.companions", "snnlens.training.checkpoint",
    "tests.unit.recording.test_store", "pyarrow.dataset", "pyarrow.fs", "pyarrow.parquet",
    "pandas.core.arrays.arrow.extension_types", "pandas.io.formats.csvs",
)  # fmt: skip


def _main() -> None:
    for name in LOADED:
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "point").mkdir()
        train(Path(folder), 1, {"first": 0})  # torch loads much when it is used first
    for told in _lines():
        if "wait" in told:
            _answer(os.waitpid(told["wait"], 0)[1])
            continue
        number = os.fork()
        if number == 0:
            try:
                _victim(told)
            except BaseException as error:
                _say(told["log"], f"{type(error).__name__}: {error}")
                raise
            finally:
                os._exit(0)
        _answer(number)


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
