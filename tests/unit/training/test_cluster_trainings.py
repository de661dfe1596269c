"""A sweep of real trainings on two worker processes, one of them killed: complete, and the same."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.training import kills

SWEEP = (
    "degradation --data digits --image-size 8 --batch 128 --time-steps 2 --record-every 2 "
    "--residual spiking,sew --depth 8 --seeds 2 --epochs 6 --resume -o out --force"
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_worker_costs_its_open_epoch(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for where in (whole, cut):
        where.mkdir()
    check = kills.Whole(cut)
    process = kills.started([*SWEEP.split(), "--workers", "2"], cut)
    _until(lambda: sum(_epochs(cut).values()) >= 5, process)
    busy = [p for p in psutil.Process(process.pid).children(recursive=True)
            if any(str(f.path).endswith(".lock") for f in p.open_files())]  # fmt: skip
    assert len(busy) == 2  # each holds the lock of one training
    check()
    before = _epochs(cut)
    busy[0].send_signal(signal.SIGKILL)
    _, said = process.communicate(timeout=kills.SLOWEST)
    assert process.returncode == 0, said.decode()
    check()
    after = _epochs(cut)
    assert set(after.values()) == {6}
    assert all(after[name] >= done for name, done in before.items())
    points = pd.read_csv(cut / "out" / "points.csv")
    assert points["state"].tolist() == ["done"] * 4
    assert not list(cut.rglob("failed.json"))
    kills.finished(SWEEP.split(), whole)  # one after another, in one process, nothing killed
    kills.assert_equal(whole, cut)


def _epochs(where: Path) -> dict[str, int]:
    return {p.parent.name: p.read_text().count("\n") - 1 for p in where.rglob("metrics.csv")}


def _until(done: object, process: object) -> None:
    assert callable(done)
    end = time.monotonic() + kills.SLOWEST
    while not done():
        assert process.poll() is None  # type: ignore[attr-defined]
        assert time.monotonic() < end
        time.sleep(0.05)
