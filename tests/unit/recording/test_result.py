"""Result, Claim, Finding: what is handed over, and in which order."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from snnlens.errors import SnnlensError
from snnlens.recording.result import Claim, Finding, Result, ranked

RECORD: Any = None  # nothing here reads it


def finding(code: str, severity: Any, evidence: str = "") -> Finding:
    return Finding(code, severity, None, evidence, "why", "next", "reference")


def result(**more: Any) -> Result:
    table = pd.DataFrame({"block": [0, 1], "norm": [1.5, float("nan")]})
    claim = Claim("x", "X.", "us", 0.5, "<= 1", "holds", "seen")
    return Result("rates", "title", table, "caption", [claim], [finding("SNL201", "error")],
                  RECORD, **more)  # fmt: skip


def test_ranked_by_severity_then_code_then_as_found() -> None:
    found = [
        finding("SNL401", "note"), finding("SNL302", "warning", "b"), finding("SNL901", "error"),
        finding("SNL302", "warning", "a"), finding("SNL201", "warning"), finding("SNL301", "error"),
    ]  # fmt: skip
    assert [(f.severity, f.code, f.evidence) for f in ranked(found)] == [
        ("error", "SNL301", ""), ("error", "SNL901", ""), ("warning", "SNL201", ""),
        ("warning", "SNL302", "b"), ("warning", "SNL302", "a"), ("note", "SNL401", ""),
    ]  # fmt: skip
    assert found[0].code == "SNL401"  # the list itself stays


def test_as_json_has_the_contracts_parts_and_further_tables() -> None:
    extra = {"trials": pd.DataFrame({"block": ["ms"]})}
    made = result(extra=extra).as_json()
    assert list(made) == ["result", "claims", "findings", "trials"]
    assert made["result"][0] == {"block": 0, "norm": 1.5}
    assert made["claims"] == [
        {"id": "x", "statement": "X.", "source": "us", "measured": 0.5, "bound": "<= 1",
         "verdict": "holds", "reason": "seen"}
    ]  # fmt: skip
    assert made["findings"] == [
        {"code": "SNL201", "severity": "error", "site": None, "evidence": "", "why": "why",
         "next": "next", "reference": "reference"}
    ]  # fmt: skip
    assert made["trials"] == [{"block": "ms"}]


def test_frame_and_plot() -> None:
    drawn: list[Result] = []
    made = result(draw=drawn.append)
    assert made.frame() is made.table
    made.plot()
    assert drawn == [made]
    with pytest.raises(SnnlensError, match="this result has no drawing"):
        result().plot()
