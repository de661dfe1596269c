"""kill -9 at random moments: nothing is lost but the open epoch, and the end is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.training import kills

ONE = [
    *"train sew_resnet8 --data digits --image-size 8 --batch 256 --time-steps 2".split(),
    *"--record-every 3 --resume -o out --force --epochs".split(),
]
SWEEP = [
    *"degradation --data digits --image-size 8 --batch 256 --time-steps 2 --depth 8".split(),
    *"--residual spiking,sew --seeds 2 --epochs 10 --record-every 3 --resume -o out".split(),
    "--force",
]
SECONDS = 3.0  # of work before a kill, at most: several epochs, however busy the machine is


def test_a_training_that_is_killed(tmp_path: Path) -> None:
    survived([*ONE, "16"], tmp_path, times=3, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", [[*ONE, "40"], SWEEP], ids=["training", "sweep"])
def test_twenty_kills(command: list[str], tmp_path: Path) -> None:
    survived(command, tmp_path, times=20, seed=1)


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
