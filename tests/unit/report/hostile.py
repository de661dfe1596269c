"""Names that mean something in one of the formats that a report is written in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnlens import api
from snnlens.recording.result import Claim, Finding, Result
from tests.unit.report import sample
from tests.unit.runs import made

SCRIPT = "<script>alert(1)</script>"
LONG = "x" * 300
NAMES = [
    SCRIPT, LONG, "a|b", "two\nlines\r\nand\ttabs", "]]>", "%0A::error title=x::y", "::error::z",
    "[click](javascript:alert(1))", "@someone and #12", "`code` ``more``", "back\\slash\\",
    "$x_1^2$ & 5 % of #1 {not} ~here", "\\input{/etc/hostname}", "^^M ^^5c", "![img](http://x/y.png)",
    "* star", "- minus", "onload=alert(1)", "[0] first", "Größe ≤ σ → 10⁻³",
    "\N{GRINNING FACE} 漢字", "\x00\x1b[31mred", "www.example.org",
    "https://example.org/a?b=1&c=<d>", "&lt;b&gt;", "'quoted' \"twice\"",
    "--two---three", "*/ }</style><b>",
]  # fmt: skip


def findings() -> list[Finding]:
    """One finding per name, which stands in every field that a user may fill."""
    return [
        Finding("SNL201", "error", name, f"{name}: 0 spikes", f"why {name}", f"try {name}", name)
        for name in NAMES
    ]


def claims() -> list[Claim]:
    """One failing claim per name."""
    return [Claim(n, f"it says {n}", n, 0.5, f"<= {n}", "fails", f"for {n}") for n in NAMES]


def result() -> Result:
    """A result whose networks, findings, claims, title and notes have such names."""
    frame = sample.table(sample.NETWORKS, 4)
    names = dict(zip(frame["network"].unique(), NAMES, strict=False))
    frame = frame.assign(
        network=frame["network"].map(names),
        note=[NAMES[i % len(NAMES)] for i in range(len(frame))],
        predicted_norm_rate_only=np.nan,
    )
    facts: dict[str, Any] = {
        "title": f"What of {SCRIPT}?", "caption": " ".join(NAMES), "claims": claims(),
        "findings": findings(), "notes": [f"Shown: {n}" for n in NAMES],
    }  # fmt: skip
    return sample.result(frame, {"command": f"snnlens x {' '.join(NAMES)}"}, **facts)


def measured() -> Result:
    """The answer of a real Record, its networks called so: what an analysis can draw again."""
    record = made("gradients")
    names = dict(zip(record.networks, NAMES, strict=False))

    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(network=frame["network"].map(names))

    called = replace(
        record,
        sites=renamed(record.sites),
        tables={name: renamed(table) for name, table in record.tables.items()},
        networks={names[n]: facts for n, facts in record.networks.items()},
    )
    return replace(api.analyse("gradients", called), findings=findings(), title=f"Of {SCRIPT}")


def saved(folder: Path) -> Path:
    """That result as a run folder."""
    return sample.save(folder, result(), svg="")
