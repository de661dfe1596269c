"""kill -9 at random moments: nothing is lost but the open epoch, and the end is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.tally import Count
from tests.unit.training import kills

DATA = "--data digits --image-size 8 --batch 256 --time-steps 2 --record-every 3"
ONE = f"train sew_resnet8 {DATA} --resume -o out --force --epochs"
SWEEP = f"degradation {DATA} --depth 8 --seeds 2 --resume -o out --force --epochs"
SECONDS = 1.5  # of work before a kill, at most: some epochs, and all kills before the last epoch


@pytest.mark.promise("saved-is-saved")
def test_a_training_that_is_killed(tmp_path: Path, tally: Count) -> None:
    survived(f"{ONE} 24".split(), tmp_path, times=3, seed=0)
    tally("kills survived", 3)


@pytest.mark.promise("saved-is-saved")
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", [f"{ONE} 100", f"{SWEEP} 25"], ids=["training", "sweep"])
def test_twenty_kills(command: str, tmp_path: Path, tally: Count) -> None:
    survived(command.split(), tmp_path, times=20, seed=1)
    tally("kills survived", 20)


def survived(command: list[str], tmp_path: Path, *, times: int, seed: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for where in (whole, cut):
        where.mkdir()
    check = kills.Whole(cut)
    hit = kills.killed(command, cut, times, SECONDS, seed, check)
    assert hit == times  # each of them found it at work
    assert sum(check.epochs.values()) > 0  # and some came after a checkpoint
    kills.finished(command, cut)
    kills.finished(command, whole)
    kills.assert_equal(whole, cut)
    assert {p.name for p in (cut / "runs").rglob(".*")} == {".lock"}  # nothing half-written
