"""A training that an older snnlens began goes on: one of each schema version, of one epoch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from snnlens.cli import main
from snnlens.training import checkpoint, folder
from tests.trust.tally import Count

RUNS = Path(__file__).parents[2] / "runs"
OLD = sorted(RUNS.glob("training-v*"))
pytestmark = pytest.mark.promise("old-runs-open")


def test_each_schema_version_has_a_training() -> None:
    versions = range(1, max(folder.SCHEMA_VERSION, checkpoint.SCHEMA_VERSION) + 1)
    assert [p.name for p in OLD] == [f"training-v{n}" for n in versions]


@pytest.mark.parametrize("old", OLD, ids=lambda p: p.name)
def test_an_old_training_goes_on(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    shutil.copytree(old, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (point,) = Path("points").iterdir()
    before, kept = folder.metrics(point), checkpoint.load(point)
    assert kept is not None
    assert kept.epoch == len(before) == 1
    words = json.loads((point / "train.json").read_text("utf-8"))["command"].split()
    assert main([*words[1:], "--resume", "-o", "out", "--quiet"]) == 0
    after, done = folder.metrics(point), checkpoint.load(point)
    assert done is not None
    assert done.epoch == len(after) == 2
    assert after[:1].equals(before)
    assert after["test_top1"].min() > 60  # of four classes; it was left at 98
    assert list(Path("points").iterdir()) == [point]
    tally("trainings of old schemas")
