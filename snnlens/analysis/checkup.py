"""What is wrong with this network: every spiking layer on one axis, and what each check said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from snnlens.analysis._energy import energies, synapses
from snnlens.measures import whole
from snnlens.measures.whole import MEMBRANE_EDGES
from snnlens.recording.readout import readouts
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTITIES = [
    "firing_rate", "nonzero_share", "largest", "bit_width", "silent_share", "saturated_share",
    "silent_channel_share", "saturated_channel_share", "membrane_low_share",
    "membrane_near_share", "membrane_high_share", "surrogate_active", "surrogate_mean",
    "current_mean", "current_deviation", "xi", "gradient_norm", "gradient_zero_share",
    "gradient_non_finite", "spatial_norm", "temporal_norm", "path_cosine", "detach_ratio",
    "detach_cosine", "isi_mean", "isi_cv", "fano", "constant_share",
]  # fmt: skip
PLACE = ["network", "site", "layer", "block", "stage", "block_kind", "time_steps", "batch",
         "neurons", "signal", "threshold", "leak", "slope", "replayed", "replay_mismatches"]  # fmt: skip
QUANTILES = {"membrane_p05": 0.05, "membrane_median": 0.5, "membrane_p95": 0.95}
SHOWS_CHECKS = True  # the outcome of every check belongs to this answer
NOTES = [
    (
        "Shown: every spiking layer in the order of the forward pass: how often it fires and how many of "
        "its neurons never did, the norm of the gradient that reaches it, and where its membrane lies "
        "before the reset, in thresholds (median, and the range of 5 to 95 %, cut at -4 and 6)."
    ),
    "Good: rates of a few percent to a third, a level gradient, membranes that reach the threshold.",
    (
        "Bad: a rate that falls to 0 with depth, a gradient that falls or grows by a factor per layer, "
        "membranes far below the threshold (silence) or far above it (saturation, no surrogate gradient)."
    ),
    (
        "What to do: begin with the first finding of the highest severity; each says what to try, and "
        "`snnlens explain CODE` says what it means and where its bounds come from."
    ),
]


def compute(record: Record) -> Result:
    """One row per network and spiking layer; synaptic operations and energy as further tables.

    rate = spikes / (neurons x T x samples); the other quantities as their probes say.

    Source: the probes' and the checks' own; `snnlens explain CODE`.
    """
    return Result(
        question="checkup",
        title="What is wrong with this network, and where?",
        table=_table(record),
        caption=_caption(record),
        claims=[],
        findings=[],
        record=record,
        notes=NOTES + _readouts(record),
        extra=_operations(record),
        draw=draw,
    )


def _readouts(record: Record) -> list[str]:
    """Layers whose spikes no check judges, and why."""
    frame = record.frame()
    found = sorted({s for _, rows in frame.groupby("network") for s in readouts(rows)})
    said = "read by the membrane: no threshold, or no gradient at the spikes though each weight has one"
    return [f"Not judged are the spikes of {', '.join(found)}, {said}."] if found else []


def draw(result: Result) -> Figure:
    """Rate, gradient and membrane of every spiking layer on one axis."""
    from snnlens.figures.checkup import checkup_figure

    marks = [(f.code, f.site) for f in result.findings if f.site is not None]
    return checkup_figure(result.table, marks, result.caption)


def detected(facts: dict[str, Any]) -> str:
    """What the adapters made of the model, in one line.

    >>> detected({"time_steps": 4, "time_axis": "on axis 0", "binary": True,
    ...           "spiking_layers": 17, "samples": 128, "frameworks": ["spikingjelly"]})
    'T = 4 on axis 0, binary, 17 spiking layers, 128 samples (spikingjelly)'
    """
    graded = "binary" if facts.get("binary") else "graded"
    layers = facts.get("spiking_layers")
    parts = [
        f"T = {facts.get('time_steps')} {facts.get('time_axis') or ''}".strip(),
        graded,
        f"{layers} spiking layer{'' if layers == 1 else 's'}",
        f"{facts['samples']} samples" if facts.get("samples") else None,
    ]
    framework = ", ".join(facts.get("frameworks") or [])
    return ", ".join(p for p in parts if p) + (f" ({framework})" if framework else "")


def _table(record: Record) -> pd.DataFrame:
    frame = record.frame()
    neurons = frame[frame["role"] == "neuron"].copy()
    neurons["layer"] = neurons.groupby("network", sort=False).cumcount()
    order = [*PLACE[:3], *QUANTITIES, *PLACE[3:]]  # what was measured before what describes
    made = neurons[[c for c in order if c in neurons]].reset_index(drop=True)
    return made.assign(**_membranes(record, made))


def _membranes(record: Record, rows: pd.DataFrame) -> dict[str, Any]:
    """Quantiles of the membrane per layer, in thresholds, from its histogram."""
    if "membrane" not in record.tables:
        return {}
    by_site = {
        key: part["counts"].to_numpy()
        for key, part in record.table("membrane").groupby(["network", "site"], sort=False)
    }
    keys = list(zip(rows["network"], rows["site"], strict=True))
    return {
        name: [_quantile(by_site[k], q) if k in by_site else np.nan for k in keys]
        for name, q in QUANTILES.items()
    }


def _quantile(counts: NDArray[np.int64], q: float) -> float:
    """Of H in thresholds; the first or last edge where it lies beyond."""
    edges = MEMBRANE_EDGES
    return float(np.clip(whole.quantile(counts, edges=edges, q=q), edges[0], edges[-1]))


def _operations(record: Record) -> dict[str, pd.DataFrame]:
    if "synaptic_operations" not in record.tables:
        return {}
    names = list(record.networks)
    return {
        "synapses": pd.concat([synapses(record, n) for n in names], ignore_index=True),
        "energy": pd.concat([energies(record, n) for n in names], ignore_index=True),
    }


def _caption(record: Record) -> str:
    name, facts = next(iter(record.networks.items()))
    mode = "training" if facts.get("training_mode") else "evaluation"
    parts = [
        f"{name}: {detected(facts)}",
        facts.get("data"),
        f"{mode} mode",
        f"gradients of the {facts['loss_text']}" if facts.get("backward") else "no backward pass",
        f"seed {facts['seed']}" if facts.get("seed") is not None else None,
        record.provenance.get("device"),
    ]
    return "; ".join(str(p) for p in parts if p) + "."
