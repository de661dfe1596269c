"""How much was seen of a site: N samples over all batches, T time steps."""

from __future__ import annotations

import pandas as pd

from snnlens.recording.record import Record


def samples(row: pd.Series) -> int:
    """N: the samples that a site saw; of an older record the batch times the sequences.

    >>> samples(pd.Series({"batch": 32, "forward_calls": 2})), samples(pd.Series({"batch": None}))
    (64, 0)
    """
    if pd.notna(row.get("samples")):
        return int(row["samples"])
    if pd.isna(row.get("batch")):
        return 0
    return int(row["batch"]) * max(int(row["forward_calls"]), 1)


def observations(row: pd.Series) -> int:
    """N x T: in how many steps each neuron of a site was seen."""
    return samples(row) * int(row["time_steps"])


def extent(row: pd.Series) -> str:
    """`N = 128 samples, T = 4`."""
    if pd.isna(row["batch"]) or pd.isna(row["time_steps"]):
        return "N and T unknown"
    return f"N = {samples(row)} samples, T = {int(row['time_steps'])}"


def of_network(record: Record, network: str) -> tuple[int, int] | None:
    """N and T of a network: as its facts say, else as its first neuron saw; None of neither."""
    facts, sites = record.networks[network], record.sites
    seen = sites[(sites["network"] == network) & (sites["role"] == "neuron")]
    seen = seen[seen["batch"].notna() & seen["time_steps"].notna()]
    n, steps = facts.get("samples"), facts.get("time_steps")
    if n is None and len(seen):
        n = samples(seen.iloc[0])
    if steps is None and len(seen):
        steps = seen["time_steps"].max()
    return (int(n), int(steps)) if n and steps else None
