"""Records of spiking layers made by hand: no blocks, no run; sums chosen to give the numbers asked.

`firing_rate`, `gradient_norm` and `parameter_gradient` have their probes' own tables. Every other
number is a table of one column per quantity, which the frame shows as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from snnlens import registry
from snnlens.checks._base import Check
from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.recording.result import Finding

SITE = {
    "role": "neuron", "signal": "spikes", "reads": "output", "block": None, "stage": None,
    "area": None, "block_kind": None, "threshold": 1.0, "leak": 0.5, "gain": 0.5, "slope": 1.0,
    "support": float("inf"), "time_steps": 4, "batch": 128, "neurons": 64, "positions": 1,
    "forward_calls": 1, "gradient_calls": 1, "order": 0,
}  # fmt: skip
Layer = Mapping[str, Any]


def layer(**numbers: Any) -> dict[str, Any]:
    """One spiking layer: `rate`, `norm` (or `norms` per step), facts of a site, or quantities."""
    return {"rate": 0.25, "norm": 1.0} | numbers


def weight(site: str, grad: float | None = 0.5, norm: float = 1.0, **facts: Any) -> dict[str, Any]:
    """A parameter with the norm of its gradient (None: it was never called) and its own norm."""
    found = {"site": site, "role": "parameter", "signal": "weight", "weight": norm,
             "forward_calls": 0, "gradient_calls": int(grad is not None)}  # fmt: skip
    return found | facts | ({} if grad is None else {"grad": grad})


def layers(*rates: float, **numbers: Any) -> list[dict[str, Any]]:
    """Layers of these rates."""
    return [layer(rate=rate, **numbers) for rate in rates]


def made(
    rows: Sequence[Layer], *, probes: Mapping[str, Sequence[str]] | None = None,
    network: str = "net", **facts: Any,
) -> Record:  # fmt: skip
    """A Record of one network; layers without a `site` are named 0, 1, 2 ...

    `probes` names the tables of the further quantities: {"silence": ["silent_share"]}.
    """
    rows = [{"site": str(i), **row} for i, row in enumerate(rows)]
    tables = {
        "firing_rate": [_rates(r, s) for r in rows if "rate" in r for s in range(_steps(r))],
        "gradient_norm": [_norm(r, s, n) for r in rows for s, n in enumerate(_norms(r))],
        "parameter_gradient": [
            {"site": r["site"], "weight_squares": r["grad"] ** 2, "weight_batches": 1,
             "parameter_squares": r.get("weight", 1.0) ** 2}
            for r in rows if "grad" in r
        ],
    }  # fmt: skip
    found = {name: pd.DataFrame(t).assign(network=network) for name, t in tables.items() if t}
    schemas = {name: registry.plugin("probes", name).schema() for name in found}
    for probe, columns in (probes or {}).items():
        found[probe], schemas[probe] = _plain(rows, columns, network)
    return Record(_sites(rows, network), found, schemas, {network: facts}, {"question": "by hand"})


def only(check: Check, record: Record) -> Finding:
    """The one finding of a check that applies."""
    outcome = check.outcome(record)
    assert outcome.outcome == "issue"
    (finding,) = outcome.findings
    assert finding.code == check.code
    return finding


def passes(check: Check, record: Record) -> bool:
    """Whether a check applies and finds nothing."""
    return check.outcome(record).outcome == "passed"


def reason(check: Check, record: Record) -> str:
    """Why a check does not apply."""
    outcome = check.outcome(record)
    assert outcome.outcome == "not applicable"
    assert outcome.reason
    return outcome.reason


# --- how it is made ----------------------------------------------------------------------------


def _sites(rows: Sequence[Layer], network: str) -> pd.DataFrame:
    frame = pd.DataFrame(
        [
            {"network": network, "site": r["site"], "module": r["site"]}
            | {k: r.get(k, v) for k, v in SITE.items()}
            for r in rows
        ]
    )
    whole = ["block", "stage", "area", "time_steps", "batch", "neurons", "positions"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _steps(row: Layer) -> int:
    return int(row.get("time_steps", SITE["time_steps"]))


def _rates(row: Layer, step: int) -> dict[str, Any]:
    elements = row.get("batch", SITE["batch"]) * row.get("neurons", SITE["neurons"])
    nonzero = row.get("nonzero", row["rate"]) * elements
    return {"site": row["site"], "step": step, "total": row["rate"] * elements,
            "elements": elements, "nonzero": nonzero, "above_one": 0,
            "largest": row.get("largest", 1.0)}  # fmt: skip


def _norms(row: Layer) -> Sequence[float]:
    """Per step; a `norm` is that of all steps, which have equal shares of its square."""
    if "norms" in row:
        return list(row["norms"])
    if "norm" not in row:
        return []
    steps = _steps(row)
    return [row["norm"] / steps**0.5] * steps


def _norm(row: Layer, step: int, norm: float) -> dict[str, Any]:
    return {"site": row["site"], "step": step, "squares": norm**2, "gradients": 1, "batches": 1,
            "samples": 1, "squares_by_samples": norm**2}  # fmt: skip


def _plain(rows: Sequence[Layer], columns: Sequence[str], network: str) -> Any:
    """A table with one number per site and column, and the schema that shows it as it is."""
    numbers = [
        {"network": network, "site": r["site"]} | {c: r.get(c) for c in columns}
        for r in rows
        if any(c in r for c in columns)
    ]
    quantities = {c: Quantity("value", (c,)) for c in columns}
    return pd.DataFrame(numbers), Schema((), {c: Column() for c in columns}, quantities)
