"""A run whose findings and rows lie where they are known to lie, to build pages from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Result
from tests.unit.report import sample

NETWORKS = sample.NETWORKS[:2]  # spiking, spiking-zero
BLOCKS = 12
MODULES = [f"layer{1 + (b > 2) + (b > 10)}.{b}" for b in range(BLOCKS)]


def sites(names: list[str], modules: list[str] = MODULES) -> pd.DataFrame:
    """Three sites per block: S^l, a layer, O^l."""
    rows = [
        {
            "network": name, "site": f"{module}.{part}", "role": role, "block": block,
            "module": f"{module}.{part}" if role == "neuron" else module,
            "order": 3 * block + place,
            "block_kind": "downsample" if block in sample.DOWNSAMPLES else "identity",
        }
        for name in names for block, module in enumerate(modules)
        for place, (part, role) in enumerate(
            [("input", "block_input"), ("sn1", "neuron"), ("output", "block_output")]
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def finding(
    site: str | None, network: str = "spiking", severity: Any = "error", code: str = "SNL201"
) -> Finding:
    """A finding at a site of a network."""
    evidence = f"{network}: 0 spikes at {site}"
    return Finding(code, severity, site, evidence, "Nothing passes.", "Lower the threshold.", "")


FINDINGS = [
    finding(f"{MODULES[4]}.sn1"),
    finding(f"{MODULES[4]}.output", severity="warning", code="SNL305"),
    finding(f"{MODULES[11]}.output"),
    finding(f"{MODULES[1]}.sn1", "spiking-zero", "note", "SNL402"),
    finding(None, severity="note", code="SNL601"),
]


def result(findings: list[Finding] | None = None, **changes: Any) -> Result:
    """The sample's numbers of twelve blocks, with the sites that they were recorded at."""
    made = sample.result(
        sample.table(NETWORKS, BLOCKS), findings=FINDINGS if findings is None else findings
    )
    known = made.record
    record = Record(sites(list(known.networks)), {}, {}, known.networks, known.provenance)
    fields = {
        "question": made.question, "title": made.title, "table": made.table,
        "caption": made.caption, "claims": made.claims, "findings": made.findings,
        "notes": made.notes, "record": record,
    }  # fmt: skip
    return Result(**fields | changes)
