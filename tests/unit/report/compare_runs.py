"""Runs to compare: networks of known depth, seeds and sites, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnlens.recording.record import Record
from snnlens.recording.result import Result
from tests.unit.report import sample

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


def blocks(depth: int) -> pd.DataFrame:
    """Block and stage of each residual block of a ResNet of that depth."""
    counts = STAGES[depth]
    stage = np.repeat(np.arange(1, 5), counts)
    inside = np.concatenate([np.arange(n) for n in counts])
    return pd.DataFrame({"block": np.arange(sum(counts)), "stage": stage, "inside": inside})


def sites(depth: int, network: str) -> pd.DataFrame:
    """A stem and two neurons in each block, as the recorder lists them."""
    found = [{"network": network, "site": "sn1", "block": pd.NA, "stage": pd.NA}]
    for row in blocks(depth).itertuples():
        found += [
            {"network": network, "site": f"layer{row.stage}.{row.inside}.{name}",
             "block": row.block, "stage": row.stage}
            for name in ("sn1", "sn2")
        ]  # fmt: skip
    frame = pd.DataFrame(found).astype({"block": "Int64", "stage": "Int64"})
    return frame.assign(order=range(len(frame)))


def gradients(depth: int, *, network: str = "spiking", seed: int = 0, **changes: Any) -> Result:
    """A row per block, with a gradient norm and a firing rate drawn from the seed."""
    rng = np.random.default_rng(seed)
    where = blocks(depth)
    norms = np.exp(rng.normal(0, 1, len(where)))
    table = pd.DataFrame({
        "network": network, "depth": depth, "block": where["block"], "stage": where["stage"],
        "gradient_norm": norms, "firing_rate_input": rng.random(len(where)),
        "samples": 4, "seed": 0,
    })  # fmt: skip
    return result(table, {network: depth}, pd.concat([sites(depth, network)]), **changes)


def layers(depth: int, *, network: str | None = None, seed: int = 0) -> Result:
    """A row per site, as a check-up has them."""
    name = network or f"sew_resnet{depth}"
    where = sites(depth, name)
    rates = np.random.default_rng(seed).random(len(where))
    table = where[["network", "site"]].assign(firing_rate=rates)
    return result(table, {name: depth}, where)


def trainings(values: dict[str, list[float]], depth: int = 8, *, first_seed: int = 0) -> Result:
    """A row per training `NAME-sN`; `values` are of one column, a list per network."""
    rows = [
        {"network": f"{name}-s{first_seed + i}", "top1_final": value, "seed": first_seed + i}
        for name, found in values.items()
        for i, value in enumerate(found)
    ]
    names = {row["network"]: depth for row in rows}
    return result(pd.DataFrame(rows), names, sites(18, "none").iloc[:0])


def result(
    table: pd.DataFrame, depths: dict[str, int], where: pd.DataFrame, **changes: Any
) -> Result:
    """A result of such a table; `changes` replace fields."""
    networks = {name: {"depth": depth, "time_steps": 4} for name, depth in depths.items()}
    record = Record(where, {}, {}, networks, sample.PROVENANCE)
    fields: dict[str, Any] = {"claims": [], "findings": [], "record": record} | changes
    return sample.result(sample.table(blocks=1), **fields | {"table": table})


def saved(folder: Path, made: Result) -> Path:
    """As a run folder without a figure."""
    return sample.save(folder, made, svg="")
