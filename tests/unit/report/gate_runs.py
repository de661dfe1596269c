"""Runs that nobody ran, small enough to know each number, for the tests of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from snnlens.checks import Outcome
from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.recording.result import Claim, Finding
from snnlens.report.gate import Subject

NAN = float("nan")
HOSTILE = (
    "<script>alert(1)</script>",
    "x" * 300,
    "a|b",
    "line\nbreak\r\n::error::injected",
    "]]>",
    "%0A::error::injected",
    "##[error]injected",
    "\x1b[31mred\x00\x07",
    "\u202egnp\u2028next",
    "quote\"'&amp;",
)


def record(
    numbers: Mapping[str, Mapping[str, float]],
    network: str = "net",
    roles: Mapping[str, str] | None = None,
) -> Record:
    """A Record of one network: per quantity, a number per site; a site left out was not seen.

    Each number n is kept as the sums 4 n and 4 of two time steps, so it comes out by a quotient.
    """
    sites = list(dict.fromkeys(site for per_site in numbers.values() for site in per_site))
    frame = pd.DataFrame(
        {
            "network": network,
            "site": sites,
            "role": [(roles or {}).get(site, "neuron") for site in sites],
            "block": pd.array([None] * len(sites), dtype="Int64"),
            "order": range(len(sites)),
        }
    )
    tables, schemas = {}, {}
    for quantity, per_site in numbers.items():
        rows = [
            (network, site, step, 2 * value, 2)
            for site, value in per_site.items()
            for step in (0, 1)
        ]
        tables[quantity] = pd.DataFrame(rows, columns=["network", "site", "step", "sum", "count"])
        schemas[quantity] = Schema(
            columns={"sum": Column(), "count": Column()},
            quantities={quantity: Quantity("ratio", ("sum", "count"), "a unit")},
        )
    return Record(frame, tables, schemas, {network: {}}, {})


def subject(
    numbers: Mapping[str, Mapping[str, float]] | Record | None = None,
    *,
    name: str = "runs/mine",
    question: str | None = "checkup",
    tables: Mapping[str, pd.DataFrame] | None = None,
    findings: Sequence[Finding] = (),
    claims: Sequence[Claim] = (),
    outcomes: Sequence[Outcome] = (),
) -> Subject:
    """A run to judge; without numbers one site that fires half of the time."""
    made = (
        numbers if isinstance(numbers, Record) else record(numbers or {"firing_rate": {"sn1": 0.5}})
    )
    return Subject(
        name, question, made, dict(tables or {}), list(findings), list(claims), list(outcomes)
    )


def finding(code: str = "SNL202", severity: Any = "error", site: str | None = "sn1") -> Finding:
    return Finding(
        code, severity, site, f"evidence of {code} at {site}", "why", "do this", "source"
    )


def claim(id_: str = "eq11-flat", verdict: Any = "holds", reason: str = "") -> Claim:
    return Claim(id_, f"statement of {id_}", "source", 0.25, "<= 1", verdict, reason)


def outcome(code: str = "SNL101", word: Any = "passed", reason: str = "") -> Outcome:
    return Outcome(code, "name", f"title of {code}", word, reason)
