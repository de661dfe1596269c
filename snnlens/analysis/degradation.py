"""Loss and accuracy against epoch and depth (Fig. 3, Table 2), and whether depth makes them worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from snnlens.analysis import _training_runs
from snnlens.analysis._degradation_claims import claims
from snnlens.analysis._inside import inside
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = [
    (
        "Shown: loss and accuracy by epoch, a colour per depth; of several seeds the mean, and their "
        "range as a band. Then the end of each run against depth: each seed a point, their mean a line, "
        "an open diamond for a run within 2 % of ln(classes), which has learned nothing yet. Where it was "
        "recorded: how the gradient of the first block compares with that of the last, and how far "
        "blocks are from the identity, before the training and after it."
    ),
    "Good: the training loss falls, or stays, when the network gets deeper.",
    (
        "Bad: a deeper network with a higher training loss. It could copy the shallower one and add "
        "blocks that do nothing, so that optimisation failed, not capacity: degradation."
    ),
    (
        "What to do: use SEW add or iand blocks, whose identity and gradient are exact (`snnlens "
        "identity`, `snnlens gradients`); train longer before you call a run at chance degraded."
    ),
]


def compute(record: Record) -> Result:
    """One row per training run: best and last accuracies, the final training loss, at chance or not.

    The statistic, one row per kind of network: slope of the final training loss against log2 depth,
    in nats per doubling; each seed gives a slope, the interval is over seeds. Runs that did not end
    are in the table and in no slope.

    Source: Fang et al. 2021, Fig. 3, Tables 2, 4 and 6.
    """
    table = _training_runs.rows(record)
    statistic = _training_runs.statistic(table)
    further = ("points", "skipped")
    kept: dict[str, pd.DataFrame] = {n: record.tables[n] for n in further if n in record.tables}
    recorded = inside(record, table)
    kept |= {"inside": recorded} if len(recorded) else {}
    return Result(
        question="degradation",
        title="Do deeper networks train worse?",
        table=table,
        caption=_caption(record, table, statistic),
        claims=claims(table),
        findings=[],
        record=record,
        notes=NOTES,
        extra={"curves": record.table("curves"), "statistic": statistic} | kept,
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Fig. 3 of these runs, and the end of each run against depth."""
    from snnlens.figures.degradation import degradation_figure

    return degradation_figure(
        result.table, result.extra["curves"], result.extra["statistic"], result.caption,
        result.extra.get("inside"),
    )  # fmt: skip


def _caption(record: Record, table: pd.DataFrame, statistic: pd.DataFrame) -> str:
    """The data, T, the seeds, the slopes, and what was left out."""
    facts = list(record.networks.values())
    points = record.tables.get("points")
    ended = table["complete"] if points is None else points["state"] == "done"
    open_runs = int((~ended).sum())
    parts = [
        ", ".join(_several(facts, "dataset")),
        f"T = {' and '.join(_several(facts, 'time_steps'))}",
        _seeds(table),
        *(_slope(row) for _, row in statistic.iterrows()),
        f"{open_runs} of {len(ended)} runs did not end: in no mean and no slope"
        if open_runs
        else None,
        *_left_out(record),
    ]
    return "; ".join(p for p in parts if p and not p.endswith("= ")) + "."


def _several(facts: list[dict[str, object]], key: str) -> list[str]:
    return list(dict.fromkeys(str(f[key]) for f in facts if f.get(key) is not None))


def _seeds(table: pd.DataFrame) -> str:
    seeds = table["seed"].dropna().nunique()
    return f"{seeds} seed{'' if seeds == 1 else 's'}" if seeds else "one run of each network"


def _slope(row: pd.Series[Any]) -> str:
    if pd.isna(row["slope"]):
        return f"{row['kind']}: no slope ({row['method']})"
    ends = "" if pd.isna(row["low"]) else f", 95 % {row['low']:+.3f} to {row['high']:+.3f}"
    return (
        f"{row['kind']}: slope {row['slope']:+.3f} nats per doubling of the depth{ends} "
        f"({row['method']})"
    )


def _left_out(record: Record) -> list[str]:
    """What a folder of logs held besides: nothing is passed over in silence."""
    facts = record.networks.values()
    empty = sum(len(f.get("empty_files") or []) for f in facts)
    cut = [text for f in facts for text in f.get("cut_files") or []]
    skipped = len(record.tables.get("skipped", ()))
    parts = [
        f"{empty} event files hold no scalar" if empty else "",
        f"{len(cut)} event file{'' if len(cut) == 1 else 's'} cut or damaged, the first "
        f"{cut[0]}" if cut else "",
        f"{skipped} run{'' if skipped == 1 else 's'} left out" if skipped else "",
    ]  # fmt: skip
    return [part for part in parts if part]
