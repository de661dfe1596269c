"""The tables of `conversion`: sums of the Record made to numbers with a unit, and kinds of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from snnlens.measures import conversion
from snnlens.recording.record import Record

SOURCES = ("inherited", "clip", "quantisation", "unevenness")
OFFSETS = ("m3", "m2", "m1", "0", "1", "2", "3")
NO_SPIKES = ("ann", "requantised")
# Of one kind only the seed differs.
KIND = ["family", "residual", "activation", "depth", "width", "levels", "thresholds", "calibration",
        "dataset", "batch_norm", "pool", "precision"]  # fmt: skip
IN_NAME = ("family", "residual", "activation", "depth", "width", "levels")
ACTIVATIONS = {
    "qcfs": "QCFS of several L",
    "mixed": "QCFS and ReLU",
}  # without one number of levels
WHOLE = ["depth", "width", "levels", "seed", "time_steps", "latency_steps", "right", "samples"]
CLOSE = 1.0  # percentage points below the ANN
FITTED = (8, 256)  # T: below 8 a rate has too few values for a power law
EXPONENTS = {"regular": -1.0, "shuffled": -0.7, "late": 0.0, "early": 0.0}
LAYER = ["network", "kind", "layer", "order", "neuron", "time_steps", "view"]


def networks(record: Record) -> pd.DataFrame:
    """One row per network of the question: its name, its kind, and the facts that decide it."""
    facts = {n: f for n, f in record.networks.items() if not f.get("auxiliary")}
    rows = [{"network": n} | {k: f.get(k) for k in (*KIND, "seed")} for n, f in facts.items()]
    table = pd.DataFrame(rows, columns=["network", *KIND, "seed"])
    return table.assign(kind=_kinds(table))


def rows(record: Record) -> pd.DataFrame:
    """The main table: one row per network, neuron and T."""
    of = networks(record).set_index("network")
    counted = record.table("conversion_accuracy")
    counted = counted[counted["network"].isin(list(of.index))].reset_index(drop=True)
    samples, neuron = counted["samples"].to_numpy(float), counted["neuron"]
    top1 = 100 * conversion.share(counted["correct"].to_numpy(float), samples)
    trains = counted["neurons"].to_numpy(float) * samples
    spikes = conversion.share(counted["spikes"].to_numpy(float), trains)
    made = pd.DataFrame({
        "network": counted["network"],
        **{k: counted["network"].map(of[k]) for k in ("kind", "family", "depth", "width", "levels",
                                                      "seed")},
        "neuron": neuron, "time_steps": counted["time_steps"], "top1": top1,
        "points_below_ann": conversion.gap(_of_ann(record, counted, top1), top1),
        "spikes_per_neuron": np.where(neuron.isin(NO_SPIKES), np.nan, spikes),
        "latency_steps": [_latency(record, row) for _, row in counted.iterrows()],
        "right": counted["correct"], "samples": counted["samples"],
    })  # fmt: skip
    return made.astype(dict.fromkeys(WHOLE, "Int64"))


def layers(record: Record) -> pd.DataFrame:
    """One row per network, neuron, T, view and layer; errors in thresholds, counts as shares."""
    of = networks(record).set_index("network")["kind"]
    sums = record.table("conversion_layers")
    sums = sums[sums["network"].isin(list(of.index))].reset_index(drop=True)
    n = sums["values"].to_numpy(float)

    def share(column: str) -> Any:
        return conversion.share(sums[column].to_numpy(float), n)

    def total(column: str) -> Any:
        return sums[column].to_numpy(float)

    return sums.assign(kind=sums["network"].map(of))[LAYER].assign(
        **{f"rms_{s}": conversion.rms(total(f"{s}_squares"), n) for s in (*SOURCES, "total")},
        mean_error=conversion.signed_mean(total("total_sum"), n),
        differs_share=share("differs"), uneven_share=share("uneven"),
        saturated_share=share("saturated"),
        correlation=conversion.correlation(
            total("activation_rate"), total("activation_sum"), total("activation_squares"),
            total("rate_sum"), total("rate_squares"), values=n,
        ),
        **{f"offset_{o}": share(f"offset_{o}") for o in OFFSETS},
        residual_more_share=share("residual_more"), residual_less_share=share("residual_less"),
        **{c: sums[c] for c in ("differs", "residual_wrong", "unsorted", "dead_channels", "channels",
                                "threshold", "values")},
    )  # fmt: skip


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind, neuron, T, view and layer: the seeds of `layers` pooled, as one network."""
    sizes, shares = [f"rms_{s}" for s in (*SOURCES, "total")], ["saturated_share", "differs_share"]
    n = table["values"]
    sums = table[["kind", "neuron", "time_steps", "view", "order", "values"]].assign(
        networks=1, **{c: n * table[c] ** 2 for c in sizes}, **{c: n * table[c] for c in shares}
    )
    keys = ["kind", "neuron", "time_steps", "view", "order"]
    made = sums.groupby(keys, sort=False, as_index=False).sum(min_count=1)  # NaN is not 0
    count = made["values"].to_numpy(float)
    return made.assign(
        **{c: conversion.rms(made[c].to_numpy(float), count) for c in sizes},
        **{c: conversion.share(made[c].to_numpy(float), count) for c in shares},
    )


def offsets(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind, neuron, T, view and offset in spikes: its share of the values of all layers."""
    keys = ["kind", "neuron", "time_steps", "view"]
    counts = table[keys].assign(**{o: table[f"offset_{o}"] * table["values"] for o in OFFSETS})
    made = counts.groupby(keys, sort=False)[list(OFFSETS)].sum()
    long = made.div(made.sum(axis=1), axis=0).reset_index().melt(
        keys, var_name="offset", value_name="share"
    )  # fmt: skip
    spikes = {o: int(o.replace("m", "-")) for o in OFFSETS}
    return long.assign(offset=long["offset"].map(spikes))


def paths(record: Record) -> pd.DataFrame:
    """One row per residual add, neuron, T and path: error and signal, in units of the current."""
    sums = record.table("conversion_paths")
    n = sums["values"].to_numpy(float)
    error = conversion.rms(sums["error_squares"].to_numpy(float), n)
    signal = conversion.rms(sums["signal_squares"].to_numpy(float), n)
    keys = ["network", "site", "order", "neuron", "time_steps", "path"]
    return sums[keys].assign(rms_error=error, rms_signal=signal,
                             relative_error=conversion.share(error, signal))  # fmt: skip


def headline(of: pd.DataFrame) -> list[str]:
    """Top 1 in percent of each kind of network, a line per neuron, a column per T."""
    lines = []
    for kind, rows in of.groupby("kind", sort=False):
        steps = sorted(set(rows.loc[rows["neuron"] != "ann", "time_steps"]))
        ann = rows.loc[rows["neuron"] == "ann", "top1_mean"]
        said = f", ANN {ann.iloc[0]:.2f}" if len(ann) else ""
        lines.append(f"top 1 (%) of {kind}{said}")
        lines.append(f"  {'T':22}" + "".join(f"{t:8}" for t in steps))
        for neuron, own in rows[rows["neuron"] != "ann"].groupby("neuron", sort=False):
            top1 = dict(zip(own["time_steps"], own["top1_mean"], strict=True))
            numbers = (f"{top1[t]:8.2f}" if t in top1 else " " * 8 for t in steps)
            lines.append(f"  {neuron:22}" + "".join(numbers))
    return lines


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind, neuron and T: mean and range over seeds; the smallest T within 1 point."""
    made = []
    for (kind, neuron), of in table.groupby(["kind", "neuron"], sort=False):
        by_steps = of.groupby("time_steps")
        top1, below = by_steps["top1"], by_steps["points_below_ann"].mean()
        near = conversion.smallest_steps(below.index.to_numpy(int), -below.to_numpy(float), 0.0,
                                         within=CLOSE)  # fmt: skip
        made.append(pd.DataFrame({
            "kind": kind, "neuron": neuron, "time_steps": below.index, "seeds": top1.count().to_numpy(),
            "top1_mean": top1.mean().to_numpy(), "top1_min": top1.min().to_numpy(),
            "top1_max": top1.max().to_numpy(), "points_below_ann": below.to_numpy(),
            "smallest_steps_within_1_point": None if neuron == "ann" else near,
        }).astype({"smallest_steps_within_1_point": "Int64"}))  # fmt: skip
    return pd.concat(made, ignore_index=True)


def expectation(record: Record) -> pd.DataFrame:
    """E[r_T - r_L] / theta of the neuron, beside its closed form where inputs are uniform."""
    table = record.table("conversion_expectation").drop(columns="network")
    bias = conversion.shift_bias(table["levels"].to_numpy(), table["time_steps"].to_numpy())
    at_half = np.where(table["shift"] == 0.5, 0.0, np.where(table["shift"] == 0, bias, np.nan))
    return table.assign(closed_form=np.where(table["inputs"] == "uniform", at_half, np.nan))


def slopes(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per order of input spikes: the exponent of rms error against T, and its interval."""
    made = []
    within = trials[trials["time_steps"].between(*FITTED)]
    for inputs, of in within.groupby("inputs", sort=False):
        steps = of["time_steps"].to_numpy()
        found = conversion.power_law(steps, of["rmse"].to_numpy(float))
        made.append({"inputs": inputs, "exponent": found.exponent, "low": found.low,
                     "high": found.high, "expected": EXPONENTS.get(str(inputs), np.nan),
                     "points": found.points, "from_steps": steps.min(), "to_steps": steps.max(),
                     })  # fmt: skip
    columns = ["inputs", "exponent", "low", "high", "expected", "points", "from_steps", "to_steps"]
    return pd.DataFrame(made, columns=columns)


def _of_ann(record: Record, counted: pd.DataFrame, top1: Any) -> Any:
    """The ANN's accuracy of each row, in percent."""
    known = {n: f.get("ann_top1") for n, f in record.networks.items()}
    ann = counted["neuron"] == "ann"
    known |= dict(zip(counted.loc[ann, "network"], top1[ann.to_numpy()], strict=True))
    return counted["network"].map(known).to_numpy(float)


def _latency(record: Record, row: pd.Series[Any]) -> int | None:
    """Steps until the answer is there, where a layer runs one step after the other."""
    facts = record.networks[row["network"]]
    depth = facts.get("spiking_depth") or facts.get("spiking_layers")  # one behind the other
    if row["neuron"] in NO_SPIKES or not depth or not row["time_steps"]:
        return None
    parallel = not str(row["neuron"]).startswith("sequential")
    return conversion.latency_steps(int(row["time_steps"]), int(depth), parallel=parallel)


# --- kinds -------------------------------------------------------------------------------------


def _kinds(table: pd.DataFrame) -> list[str]:
    """The name of each network's kind; what only some kinds differ in is said where it tells."""
    short = [_short(row) for _, row in table.iterrows()]
    rest = [k for k in KIND if k not in IN_NAME]
    by_name = table[rest].groupby(pd.Series(short, index=table.index), dropna=False)
    told = [k for k in rest if len(table) and (by_name[k].nunique(dropna=False) > 1).any()]
    words = {"thresholds": "thresholds {}", "calibration": "calibration {}",
             "batch_norm": "BatchNorm {}", "pool": "pooling {}"}  # fmt: skip
    return [
        ", ".join([name, *(words.get(k, "{}").format(row[k]) for k in told)])
        for name, (_, row) in zip(short, table.iterrows(), strict=True)
    ]


def _short(row: pd.Series[Any]) -> str:
    """`mlp 16 x 32, L = 4`: family, depth and width, levels."""
    name, depth, width = str(row["family"]), row["depth"], row["width"]
    if pd.notna(depth) and pd.notna(width):
        name += f" {int(depth)} x {int(width)}"
    elif pd.notna(depth) and str(int(depth)) not in name:
        name += f", {int(depth)} layers"
    name += " residual" if row["residual"] and "resnet" not in name.lower() else ""
    without = ACTIVATIONS.get(row["activation"], "ReLU")
    return name + (f", L = {int(row['levels'])}" if pd.notna(row["levels"]) else f", {without}")
