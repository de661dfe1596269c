"""Old runs stay readable: one run folder of each schema version is kept in tests/runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from snnlens import api
from snnlens.cli import main
from snnlens.recording import store
from tests.trust.tally import Count

RUNS = sorted((Path(__file__).parents[2] / "runs").glob("v*"))
ULPS = 4 * np.finfo(float).eps  # pandas 2 adds up the squares of the steps in another order: 1 ulp


def test_each_schema_version_has_a_run() -> None:
    assert [r.name for r in RUNS] == [f"v{n}" for n in range(1, store.SCHEMA_VERSION + 1)]
    said = [json.loads((r / "run.json").read_text(encoding="utf-8"))["schema"] for r in RUNS]
    assert said == list(range(1, store.SCHEMA_VERSION + 1))


@pytest.mark.promise("old-runs-open")
@pytest.mark.parametrize("folder", RUNS, ids=lambda r: r.name)
def test_an_old_run_gives_the_numbers_that_it_gave(folder: Path, tally: Count) -> None:
    saved = store.load_result(folder)
    assert saved is not None
    again = api.analyse(saved.question, api.load(folder))
    for column, wanted in saved.table.items():
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(again.table[column], wanted, rtol=ULPS)
        else:
            assert again.table[column].equals(wanted)
    assert again.table["gradient_norm"].min() > 0
    verdicts = {c.id: c.verdict for c in again.claims}
    assert verdicts["eq8-exact"] == verdicts["eq8-chain"] == "holds"
    tally("runs of old schemas")


@pytest.mark.promise("old-runs-open")
@pytest.mark.parametrize("folder", RUNS, ids=lambda r: r.name)
@pytest.mark.parametrize(
    "argv",
    [
        ["report", "OLD", "-o", "new.html"],
        ["gate", "OLD"],
        ["compare", "OLD", "OLD", "-o", "new.html"],
        ["export", "OLD", "--to", "latex", "-o", "new"],
        ["rates", "OLD", "-o", "new"],
    ],
    ids=lambda argv: argv[0],
)
def test_every_command_about_runs_takes_an_old_one(
    folder: Path, argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "OLD")
    before = {p: p.read_bytes() for p in Path("OLD").rglob("*") if p.is_file()}
    assert main(argv) == 0
    assert {p: p.read_bytes() for p in Path("OLD").rglob("*") if p.is_file()} == before
    tally("commands on old runs")
