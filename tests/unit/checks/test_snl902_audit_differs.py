"""SNL902: a streamed number is not the one that a brute-force count gives."""

from __future__ import annotations

import pandas as pd

from snnlens.checks.audit_differs import AuditDiffers
from snnlens.recording.record import Record, Schema
from tests.unit.checks.handmade import layers, made, only, passes, reason

CHECK = AuditDiffers()


def audited(*streamed: int) -> Record:
    """The brute-force count is 7 everywhere."""
    rows = [{"network": "net", "site": str(i), "quantity": "total", "streamed": s, "brute": 7,
             "equal": s == 7} for i, s in enumerate(streamed)]  # fmt: skip
    record = made(layers(0.2, 0.2, 0.2))
    record.tables["audit"], record.schemas["audit"] = pd.DataFrame(rows), Schema(axes=())
    return record


def test_the_first_number_that_differs() -> None:
    finding = only(CHECK, audited(7, 8, 6))
    assert (finding.severity, finding.site) == ("error", "1")
    assert finding.evidence == (
        "net: total at 1 is 8 streamed and 7 by brute force; 2 of 3 numbers differ (total)"
    )


def test_equal_numbers_pass() -> None:
    assert passes(CHECK, audited(7, 7, 7))


def test_nobody_counted() -> None:
    assert "snnlens audit" in reason(CHECK, made(layers(0.2)))
