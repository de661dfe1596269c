"""The rule for skips, on a table of our own."""

from __future__ import annotations

import pytest

from tests.conftest import skip_fault

TABLE = """
| test | condition | reason | in CI |
|---|---|---|---|
| `tests/browser/` | no Chromium | a browser | fails |
| `tests/unit/test_gpu.py` | no GPU | a device | skips |
"""
NO_ROW = "a skip needs a row in tests/QUARANTINE.md"
NOT_IN_CI = "tests/QUARANTINE.md says that this may not be skipped in CI"


@pytest.mark.parametrize(
    ("nodeid", "ci", "fault"),
    [
        ("tests/browser/test_a.py::test_b", False, ""),
        ("tests/browser/test_a.py::test_b", True, NOT_IN_CI),
        ("tests/unit/test_gpu.py::test_b[1]", True, ""),
        ("tests/unit/test_cpu.py::test_b", False, NO_ROW),
        ("tests/unit/test_cpu.py", True, NO_ROW),
    ],
)
def test_a_skip_needs_a_row(nodeid: str, ci: bool, fault: str) -> None:
    assert skip_fault(nodeid, TABLE, ci=ci) == fault
