"""What every test shares: where the data lies, and which skips are allowed."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.trust import tally
from tests.trust.tally import tally_of_a_test  # noqa: F401 - the fixture `tally`

CI = os.environ.get("CI", "").lower() in {"1", "true"}
DATA = os.environ.get("SNNLENS_DATA", "")
QUARANTINE = Path(__file__).parent / "QUARANTINE.md"
DESELECTED = pytest.StashKey[int]()

# Before torch is loaded: small tensors gain nothing from a second thread, and a thread that waits
# by spinning is many times slower where another program has the core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_configure(config: pytest.Config) -> None:
    if DATA and not Path(DATA).is_dir():
        raise pytest.UsageError(f"SNNLENS_DATA must be a folder; got {DATA!r}")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the big files; only for tests marked `data`."""
    if not DATA:
        raise pytest.UsageError("a test that asks for data_root needs @pytest.mark.data")
    return Path(DATA)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if DATA:
        return
    away = [item for item in items if item.get_closest_marker("data")]
    config.stash[DESELECTED] = len(away)
    config.hook.pytest_deselected(items=away)
    items[:] = [item for item in items if item not in away]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tally.show(terminalreporter)
    count = terminalreporter.config.stash.get(DESELECTED, 0)
    if count:
        terminalreporter.write_line(
            f"{count} tests deselected: they read files of SNNLENS_DATA, which is not set"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _judge((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _judge((yield))


def _judge(report: Any) -> Any:
    """A skip that tests/QUARANTINE.md does not allow is a failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        fault = skip_fault(report.nodeid, QUARANTINE.read_text(encoding="utf-8"), ci=CI)
        if fault:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome, report.longrepr = "failed", f"{report.nodeid}: {reason}: {fault}"
    return report


def skip_fault(nodeid: str, table: str, *, ci: bool) -> str:
    """Why this test may not be skipped, or nothing."""
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    rows = [row for row in rows if len(row) == 4 and "/" in row[0]]  # without the table's head
    in_ci = [row[3] for row in rows if nodeid.startswith(row[0])]
    if not in_ci:
        return "a skip needs a row in tests/QUARANTINE.md"
    if ci and in_ci[0] != "skips":
        return "tests/QUARANTINE.md says that this may not be skipped in CI"
    return ""
