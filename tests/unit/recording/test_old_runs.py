"""Old runs stay readable: one run folder of each schema version is kept in tests/runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from snnlens import api
from snnlens.recording import store

RUNS = sorted((Path(__file__).parents[2] / "runs").glob("v*"))


def test_each_schema_version_has_a_run() -> None:
    assert [r.name for r in RUNS] == [f"v{n}" for n in range(1, store.SCHEMA_VERSION + 1)]


@pytest.mark.parametrize("folder", RUNS, ids=lambda r: r.name)
def test_an_old_run_gives_the_numbers_that_it_gave(folder: Path) -> None:
    saved = store.load_result(folder)
    assert saved is not None
    again = api.analyse(saved.question, api.load(folder))
    norms = again.table["gradient_norm"].to_numpy()
    assert (norms == saved.table["gradient_norm"].to_numpy()).all()
    assert norms.min() > 0
    verdicts = {c.id: c.verdict for c in again.claims}
    assert verdicts["eq8-exact"] == verdicts["eq8-chain"] == "holds"
