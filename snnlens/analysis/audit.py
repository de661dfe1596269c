"""Streamed numbers beside brute-force counts, on this very model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from snnlens.analysis.checkup import detected
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = [
    (
        "Shown: how many numbers of each kind the recorder streamed, and how many of them a brute-force "
        "count of the same pass repeats: every tensor kept, numpy, float64, loops."
    ),
    "Good: all of them; counts to the last unit, sums of squares to 1e-12.",
    "Bad: a single one that differs: the numbers of this model are not to be believed (SNL902).",
    (
        "What to do: report it with the table below. Look first at what is listed as special: a module "
        "called past its hooks, shared, compiled or computed twice."
    ),
]


def compute(record: Record) -> Result:
    """One row per site and quantity: streamed, brute force, equal.

    equal = |streamed - brute| <= tolerance |brute|; the tolerance of a count is 0.

    Source: this project's own; brute force as in `snnlens.experiments._brute`.
    """
    table = record.table("audit").reset_index(drop=True)
    name, facts = next(iter(record.networks.items()))
    special = facts.get("special") or []
    return Result(
        question="audit",
        title="Are the recorder's numbers right on this model?",
        table=table[["network", *(c for c in table if c != "network")]],
        caption=f"{name}: {detected(facts)}; {facts.get('data')}; gradients of the "
        f"{facts.get('loss_text')}.",
        claims=[_claim(table)],
        findings=[],
        record=record,
        notes=NOTES,
        extra={"special": pd.DataFrame(special)} if special else {},
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Equal and different numbers per quantity."""
    from snnlens.figures.audit import audit_figure

    return audit_figure(result.table, result.caption)


def _claim(table: pd.DataFrame) -> Claim:
    wrong = int((~table["equal"].astype(bool)).sum())
    return Claim(
        "audit-equal", "Every streamed number equals its brute-force count.",
        "snnlens, the recorder's rules", float(wrong), "0 numbers that differ",
        "fails" if wrong or not len(table) else "holds",
        f"{len(table) - wrong} of {len(table)} equal",
    )  # fmt: skip
