"""From an ANN to a spiking network: what conversion loses, in which layer, and from which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from snnlens.analysis import _conversion_choice as choice
from snnlens.analysis import _conversion_published, _conversion_tables
from snnlens.analysis._conversion_claims import claims
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = [
    (
        "Shown: accuracy against T of the ANN, of the ANN with T levels (requantised), and of its "
        "spiking networks; the error of each layer's rate in units of its threshold theta; where "
        "that error comes from: inherited from the layers before, clipped above theta, rounded to "
        "steps of theta / T (quantisation), or from the order of the input spikes (unevenness). A "
        "parallel run is read out at t = T only: what it says before that is no accuracy at fewer "
        "steps, and every T is a run of its own."
    ),
    (
        "Good: parallel lies on requantised at every T and on the ANN at T = L, and the sequential "
        "curve meets them after few more steps. A parallel network is no faster for that: each "
        "layer waits for all T steps of the one below, so that on hardware that goes step by step "
        "it takes layers x T steps, a sequential one T. Both spend about as many spikes."
    ),
    (
        "Bad: an error that grows from layer to layer (it is inherited and added to), unevenness that "
        "more steps do not cure (sorted trains into sequential neurons), many saturated values. At "
        "T = 1 accuracy collapses: a value below theta / 2 gives no spike at all, and that the expected "
        "error is 0 does not help."
    ),
    (
        "What to do: look for the first layer whose own (local) error is large. Against clipping "
        "raise its threshold, against quantisation take more steps or train with more levels, against "
        "unevenness use parallel neurons or more steps; never feed the sorted trains of parallel "
        "neurons to sequential ones. Compare methods at equal latency, not at equal T."
    ),
]


def compute(record: Record) -> Result:
    """One row per network, neuron and T: accuracy, points below the ANN, spikes, latency.

    top1 = 100 right / samples (percent); points_below_ann = the ANN's less that; spikes_per_neuron =
    spikes / (neurons x samples), over all T steps; latency_steps = T of sequential and spiking layers
    x T of parallel neurons, on hardware that runs one step after the other.

    Further tables: summary (by kind of network, over seeds), layers (errors in thresholds) and
    layers_by_kind, offsets in spikes, paths of residual adds, coverage, pairs of activation and rate,
    expectation, unevenness and its slopes, published accuracies.

    Source: Hao et al. 2025 (ICML), Section 4 and Theorem 4.1.
    """
    networks = _conversion_tables.networks(record)
    table = _conversion_tables.rows(record)
    extra = _further(record, table)
    return Result(
        question="conversion",
        title="What does conversion to a spiking network lose, and where?",
        table=table,
        caption=_caption(record, networks, table),
        claims=claims(networks, table, extra),
        findings=[],
        record=record,
        notes=NOTES,
        headline=_conversion_tables.headline(extra["summary"]),
        extra=extra,
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Accuracy and layer errors by depth; of the deepest network sources, offsets and rates."""
    from snnlens.figures.conversion import conversion_figure

    table = result.table
    kind, steps = choice.detailed(table), choice.run_steps(table)
    level = choice.level(table, kind)
    paired = set(result.extra["pairs"]["time_steps"]) if "pairs" in result.extra else set()
    return conversion_figure(
        table, result.extra, result.caption, kind=kind, steps=choice.curves(steps, level),
        at=choice.pair(paired or steps, level),
    )  # fmt: skip


def _further(record: Record, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The other tables, those that this record has; none is empty."""
    made = {"summary": _conversion_tables.summary(table)}
    if "conversion_layers" in record.tables:
        made["layers"] = _conversion_tables.layers(record)
        made["layers_by_kind"] = _conversion_tables.by_kind(made["layers"])
        made["offsets"] = _conversion_tables.offsets(made["layers"])
    if "conversion_paths" in record.tables:
        made["paths"] = _conversion_tables.paths(record)
    if "conversion_coverage" in record.tables:
        made["coverage"] = record.table("conversion_coverage")
    if "conversion_pairs" in record.tables:
        made["pairs"] = choice.pairs(record, table)
    if "conversion_expectation" in record.tables:
        made["expectation"] = _conversion_tables.expectation(record)
    if "conversion_unevenness" in record.tables:
        trials = record.table("conversion_unevenness").drop(columns="network")
        made |= {"unevenness": trials, "unevenness_slopes": _conversion_tables.slopes(trials)}
    made["published"] = _conversion_published.table()
    return {name: of for name, of in made.items() if len(of)}


# --- the caption -------------------------------------------------------------------------------


def _caption(record: Record, networks: pd.DataFrame, table: pd.DataFrame) -> str:
    """Data, networks, levels, T, seeds, samples, precision, thresholds, calibration."""
    facts = [record.networks[n] for n in networks["network"]]
    steps = ", ".join(str(t) for t in choice.run_steps(table))
    parts = [
        _joined(facts, "data") or _joined(facts, "dataset"),
        _sizes(facts),
        _levels(networks),
        f"T = {steps}" if steps else "",
        _seeds(networks),
        f"n = {_joined(facts, 'samples', ' and ')} samples",
        _joined(facts, "precision"),
        f"thresholds: {_joined(facts, 'thresholds')}",
        f"calibration: {_joined(facts, 'calibration')}",
        f"BatchNorm {_joined(facts, 'batch_norm', ' and ')}",
        _pooling(facts),
    ]
    return "; ".join(p for p in parts if p and not p.endswith((": ", " ", "= "))) + "."


def _joined(facts: list[dict[str, Any]], key: str, by: str = ", ") -> str:
    return by.join(dict.fromkeys(str(f[key]) for f in facts if f.get(key) is not None))


def _sizes(facts: list[dict[str, Any]]) -> str:
    """`mlp of 4, 8, 16 layers x 32`: family, depths, widths."""
    residual = " with residual adds" if any(f.get("residual") for f in facts) else ""
    text = _joined(facts, "family") + residual
    depths, widths = _joined(facts, "depth"), _joined(facts, "width", " and ")
    text += f", {depths} layers" if depths else ""
    return text + (f" of {widths}" if depths and widths else "")


def _levels(networks: pd.DataFrame) -> str:
    levels = sorted({int(x) for x in networks["levels"].dropna()})
    parts = [f"QCFS with L = {', '.join(map(str, levels))} levels"] if levels else []
    others = networks.loc[networks["levels"].isna(), "activation"]
    names = [_conversion_tables.ACTIVATIONS.get(kind, "ReLU") for kind in others]
    return " and ".join([*parts, *dict.fromkeys(names)])


def _seeds(networks: pd.DataFrame) -> str:
    count = networks["seed"].dropna().nunique()
    return f"{count} seed{'s' * (count > 1)}" if count else ""


def _pooling(facts: list[dict[str, Any]]) -> str:
    pools = [p for p in dict.fromkeys(f.get("pool") for f in facts) if p not in {None, "as given"}]
    return f"pooling: {', '.join(map(str, pools))}" if pools else ""
