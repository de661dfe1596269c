"""What the figure of `attribution` shows of one sample: its maps, its input, spikes and membranes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from snnlens.errors import InputError
from snnlens.recording.record import Record

SHOWN = ["network", "sample", "label", "target", "predicted", "score", "baseline", "static", "why"]
RIGHT, LABELLED, UNKNOWN = (
    "the first that is classified right",
    "the first; none is classified right",
    "the first; the labels are not known",
)
OF_SAMPLE = {"time": "attribution_time", "frames": "attribution_frames",
             "inputs": "attribution_inputs"}  # fmt: skip
MOST_CELLS = 1e8  # of a map with all its frames
OF_SPIKES = {"rasters": "attribution_rasters", "membranes": "attribution_membranes"}


def tables(record: Record) -> dict[str, pd.DataFrame]:
    """Of each network's shown sample the rows of every table that the figure draws."""
    chosen = shown(record)
    made = {"shown": chosen}
    for name, of in OF_SAMPLE.items():
        if of in record.tables:
            made[name] = _of_sample(record.tables[of], chosen)
    if "attribution_shapes" in record.tables:
        made["shapes"] = _drawable(record.tables["attribution_shapes"].reset_index(drop=True))
    for name, of in OF_SPIKES.items():
        if of in record.tables:
            made[name] = _of_one(record.tables[of], chosen)
    if "attribution_layers" in record.tables:
        made["layers"] = record.tables["attribution_layers"].reset_index(drop=True)
    return made


def shown(record: Record) -> pd.DataFrame:
    """One row per network: the first sample that is classified right, else the first."""
    maps = record.table("attribution_maps")
    samples = maps.drop_duplicates(["network", "sample"])
    made = []
    for network, of in samples.groupby("network", sort=False):
        right = (of["label"] == of["predicted"]).fillna(value=False).astype(bool)
        why = RIGHT if right.any() else LABELLED if of["label"].notna().any() else UNKNOWN
        row: dict[Any, Any] = (of[right] if right.any() else of).iloc[0].to_dict()
        static = bool(record.networks.get(str(network), {}).get("static", False))
        made.append(row | {"why": why, "static": static})
    return pd.DataFrame(made, columns=SHOWN).astype({"label": "Int64"})


def _drawable(shapes: pd.DataFrame) -> pd.DataFrame:
    """The sizes of maps, none of which would fill the memory."""
    steps, sides = shapes["steps"], shapes[["frames", "height", "width"]]
    most = max(steps.max(), sides.astype(float).prod(axis=1).max())
    if most > MOST_CELLS:
        raise InputError("a map", got=f"{most:.2g} pixels", wanted=f"of at most {MOST_CELLS:.0e}")
    return shapes


def _of_sample(table: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    return table.merge(chosen[["network", "sample"]], on=["network", "sample"])


def _of_one(table: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The rows of the shown sample; where it was not recorded, of the first one that was."""
    made = []
    for network, of in table.groupby("network", sort=False):
        wanted = chosen.loc[chosen["network"] == network, "sample"]
        own = of[of["sample"].isin(wanted)]
        made.append(own if len(own) else of[of["sample"] == of["sample"].iloc[0]])
    return pd.concat(made, ignore_index=True) if made else table
