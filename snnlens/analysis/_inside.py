"""What was recorded inside trainings, against depth: what reaches the first block, what is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from snnlens.measures.quotients import ratio
from snnlens.recording.record import Record

COLUMNS = ["network", "kind", "depth", "seed", "recorded", "epoch", "gradient_first",
           "gradient_last", "gradient_ratio", "firing_rate_last", "identity_error_mean"]  # fmt: skip
START, END = "at initialisation", "at the end"


def inside(record: Record, table: pd.DataFrame) -> pd.DataFrame:
    """Two rows per training: its first Record and its last one, of the same batch.

    gradient_ratio = ||dL/dS^0|| / ||dL/dS^(L-1)||, the gradient at the first block's input over that
    at the last block's; firing_rate_last = mean value of O^(L-1); identity_error_mean = mean of
    ||O - S|| / ||S|| over the identity blocks where it is defined. Empty where nothing was recorded.
    """
    rows = record.tables.get("by_epoch")
    if rows is None:
        return pd.DataFrame(columns=COLUMNS)
    known = table.set_index("network")[["kind", "depth", "seed", "complete"]]
    made: list[dict[str, Any]] = []
    for name, of in rows.groupby("network", sort=False):
        if not known["complete"].get(name, False):
            continue
        first, last = int(of["epoch"].min()), int(of["epoch"].max())
        facts: dict[str, Any] = {"network": name}
        facts |= {k: known[k][name] for k in ("kind", "depth", "seed")}
        for words, epoch in ((START, first), (END, last)):
            if (words == START) == (epoch == 0):  # one that began its records later has no start
                made.append(facts | {"recorded": words} | _one(of[of["epoch"] == epoch]))
    found = pd.DataFrame(made, columns=COLUMNS)
    return found.astype({"depth": "Int64", "seed": "Int64", "epoch": "Int64"})


def _one(blocks: pd.DataFrame) -> dict[str, Any]:
    """The numbers of one Record, its blocks in order."""
    ordered = blocks.sort_values("block")
    norms = ordered["gradient_norm_input"].to_numpy(float)
    errors = ordered["identity_error_output"].dropna()
    return {
        "epoch": int(ordered["epoch"].iloc[0]),
        "gradient_first": norms[0],
        "gradient_last": norms[-1],
        "gradient_ratio": float(ratio(norms[0], norms[-1])),
        "firing_rate_last": float(ordered["firing_rate_output"].iloc[-1]),
        "identity_error_mean": float(errors.mean()) if len(errors) else np.nan,
    }
