"""`snnlens gate runs/*` where `train` has put its trainings beside the runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snnlens.cli import main

RUNS = Path(__file__).parent / "runs"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RUNS / "v1", "runs/mine")
    shutil.copytree(RUNS / "training-v1" / "points", "runs/points")


@pytest.mark.parametrize("argv", [["gate"], ["report", "-o", "page.html"]])
def test_the_place_of_trainings_is_left_out_and_that_is_said(
    argv: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    command, *more = argv
    assert main([command, "runs/mine", "runs/points", *more]) == 0
    said = capfd.readouterr()
    assert "snnlens: left out: runs/points keeps trainings and is no run\n" in said.err
    assert "points" not in said.out


@pytest.mark.parametrize("what", ["runs/points", "runs/points/net-network-s0-00594abc"])
@pytest.mark.parametrize("argv", [["gate"], ["report"], ["compare", "runs/mine"]])
def test_alone_it_is_refused_by_what_it_is(
    argv: list[str], what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (point,) = Path("runs/points").iterdir()
    given = what if what == "runs/points" else str(point)
    assert main([*argv, given]) == 2
    assert capfd.readouterr().err == (
        f"snnlens: RUN must be a run folder; got '{given}, which keeps trainings'; "
        "give the one that `snnlens train` wrote with -o\n"
    )
