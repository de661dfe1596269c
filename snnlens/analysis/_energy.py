"""Synaptic operations and energy of a recorded pass, by two published formulas side by side."""

from __future__ import annotations

import pandas as pd

from snnlens.measures import energy
from snnlens.measures.energy import IntegerSpikes, Layer
from snnlens.recording.extent import of_network
from snnlens.recording.record import Record

COLUMNS = ("formula", "integer_spikes", "first_layer", "additions", "macs",
           "millijoule_per_sample", "network")  # fmt: skip
CONVENTIONS: tuple[IntegerSpikes, ...] = ("binary", "bit_serial", "count", "dense")


def layers(record: Record, network: str) -> list[Layer]:
    """The layers with weights, in the order of the record."""
    rows = synapses(record, network)
    return [
        Layer(r["events"], r["macs_total"], r["spikes_as_counts"], r["bit_serial"],
              r["non_integer"] == 0)
        for r in rows.to_dict(orient="records")
    ]  # fmt: skip


def synapses(record: Record, network: str) -> pd.DataFrame:
    """The recorded sums per layer with weights."""
    table = record.table("synaptic_operations")
    return table[table["network"] == network].rename(columns={"macs": "macs_total"})


def energies(record: Record, network: str) -> pd.DataFrame:
    """One row per formula and convention: millijoule per sample; none where nothing says N and T.

    Source: Horowitz 2014 (45 nm); the rate formula of Zhou et al. 2023 (Spikformer).
    """
    size = of_network(record, network)
    if size is None:
        return pd.DataFrame(columns=list(COLUMNS))
    samples, steps = size
    found, items = layers(record, network), list(synapses(record, network)["items"])
    once = energy.shown_once(found, items, samples)
    counted = "counted synaptic operations"
    rows = [
        _row(
            counted,
            integer,
            "as it ran",
            energy.counted(found, integer_spikes=integer, samples=samples),
        )
        for integer in CONVENTIONS
    ]
    rows.append(_row(counted, "binary", "once", energy.counted(once, samples=samples)))
    dense = [x.macs / n for x, n in zip(found, items, strict=True)]
    rates = [x.events / x.macs if x.macs else 0.0 for x in found]
    rows.append(_row("rate formula", "", "once", energy.by_rate(rates, dense, time_steps=steps)))
    rows.append(_row("the same network as an ANN", "", "once", energy.ann(dense)))
    return pd.DataFrame(rows).assign(network=network)


def _row(formula: str, integer: str, first: str, made: energy.Energy) -> dict[str, object]:
    return {"formula": formula, "integer_spikes": integer, "first_layer": first, "additions": made.additions,
            "macs": made.macs, "millijoule_per_sample": made.millijoules}  # fmt: skip
