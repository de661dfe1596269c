"""Kill a command with SIGKILL again and again, at random moments of its work, and let it end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import safetensors.torch

from snnlens.recording import store
from snnlens.training import checkpoint, folder

SLOWEST = 250.0  # seconds that one attempt may take


def started(command: list[str], where: Path) -> subprocess.Popen[bytes]:
    """The command line in a folder, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snnlens", *command, "--quiet"], cwd=where, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finished(command: list[str], where: Path) -> None:
    """Run it to its end."""
    process = started(command, where)
    _, said = process.communicate(timeout=SLOWEST)
    assert process.returncode == 0, said.decode()


def killed(
    command: list[str], where: Path, times: int, seconds: float, seed: int,
    check: Callable[[], None],
) -> int:  # fmt: skip
    """Kill it so many times, each up to `seconds` after it began to work; how often it was done."""
    chance, hit, attempts = random.Random(seed), 0, 0
    while hit < times:
        attempts += 1
        before = _working(where)
        process = started(command, where)
        _wait_for_work(process, where, before)
        time.sleep(chance.uniform(0, seconds))
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, signal.SIGKILL)
            hit += 1
        process.communicate(timeout=SLOWEST)
        check()
        if not alive:
            break
    return hit


def _working(where: Path) -> float:
    """When the newest metrics.csv was touched: a training that goes on rewrites it first."""
    return max((p.stat().st_mtime_ns for p in where.rglob("metrics.csv")), default=0)


def _wait_for_work(process: subprocess.Popen[bytes], where: Path, before: float) -> None:
    end = time.monotonic() + SLOWEST
    while process.poll() is None and _working(where) == before and time.monotonic() < end:
        time.sleep(0.02)


def trainings(where: Path) -> Iterator[Path]:
    """The folders of trainings below a folder, by name."""
    yield from sorted(p.parent for p in where.rglob("train.json"))


class Whole:
    """After each kill: every checkpoint is whole, and no whole epoch is lost."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.epochs: dict[Path, int] = {}

    def __call__(self) -> None:
        for training in trainings(self.where):
            kept = checkpoint.load(training)
            done = 0 if kept is None else kept.epoch
            assert done >= self.epochs.get(training, 0)
            assert len(folder.metrics(training)) >= done
            self.epochs[training] = done


def assert_equal(one: Path, other: Path) -> None:
    """Weights, optimiser, metrics and records of all trainings in two folders, to the last bit."""
    pairs = list(zip(trainings(one), trainings(other), strict=True))
    assert pairs
    for a, b in pairs:
        assert a.name == b.name
        left, right = (checkpoint.load(p) for p in (a, b))
        assert left is not None
        assert right is not None
        for part in ("weights", "optimiser"):
            said = [safetensors.torch.save(getattr(c, part)) for c in (left, right)]
            assert said[0] == said[1], (a.name, part)
        rows = [folder.metrics(p).drop(columns="seconds") for p in (a, b)]
        pd.testing.assert_frame_equal(*rows, check_exact=True)
        assert folder.recorded(a).keys() == folder.recorded(b).keys()
        for done, path in folder.recorded(a).items():
            records = [store.load(path), store.load(folder.recorded(b)[done])]
            for name, table in records[0].tables.items():
                pd.testing.assert_frame_equal(table, records[1].tables[name], check_exact=True)
