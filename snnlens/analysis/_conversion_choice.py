"""Which of many networks and time steps the figure of `conversion` shows in detail."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from snnlens.recording.record import Record

CURVES = 4  # time steps that a panel tells apart by colour
LOW, LATER = 4, 8  # the first T of a pair where no level says it; the second is up to 8 times it


def detailed(table: pd.DataFrame) -> str:
    """The kind whose layers are shown: the deepest one, the first of several as deep."""
    depth = table["depth"].fillna(0)
    return str(table.loc[depth == depth.max(), "kind"].iloc[0])


def run_steps(table: pd.DataFrame) -> list[int]:
    """The T that were run, in order; those of the ANN (0) are none."""
    return sorted({int(t) for t in table["time_steps"] if t > 0})


def pair(steps: Iterable[int], levels: int | None) -> list[int]:
    """Two T to compare: T = L (or about 4), and a later one where rounding is finer.

    >>> pair([1, 2, 4, 8, 16, 32, 64], 4), pair([2, 8], None), pair([16], 4)
    ([4, 32], [8], [16])
    """
    run = sorted(steps)
    if not run:
        return []
    first = levels if levels in run else min((t for t in run if t >= LOW), default=run[-1])
    later = [t for t in run if first < t <= LATER * first] or [t for t in run if t > first]
    return [first, later[-1]] if later else [first]


def curves(steps: Iterable[int], levels: int | None, most: int = CURVES) -> list[int]:
    """Up to `most` of the T, far apart on a log axis: from 2 on, with T = L (or about 4).

    >>> curves([1, 2, 4, 8, 16, 32, 64], 4), curves([1, 4], 4)
    ([2, 4, 16, 64], [1, 4])
    """
    run = sorted(steps)
    if len(run) <= most:
        return run
    from_two = [t for t in run if t >= 2]
    kept = {from_two[0], from_two[-1], pair(from_two, levels)[0]}
    while len(kept) < most:
        kept.add(max(from_two, key=lambda t: min(abs(math.log(t / k)) for k in kept)))
    return sorted(kept)


def pairs(record: Record, table: pd.DataFrame) -> pd.DataFrame:
    """Activation and rate of three layers at two T of one network: equal pairs once, and how often.

    Activations of ReLU are rounded to .01 theta, half a percent of the axis at most; of QCFS they
    are whole levels.
    """
    sums = record.tables["conversion_pairs"]
    kind = detailed(table)
    names = [n for n in table.loc[table["kind"] == kind, "network"].unique()
             if (sums["network"] == n).any()]  # fmt: skip
    of = sums[sums["network"] == names[0]] if names else sums.iloc[:0]
    shown = of[of["time_steps"].isin(pair(set(of["time_steps"]), level(table, kind)))]
    keys = ["network", "layer", "order", "neuron", "time_steps", "activation", "rate"]
    digits = 2 if level(table, kind) is None else 9  # 9: a third is not written in two ways
    rounded = shown.assign(
        activation=shown["activation"].round(digits), rate=shown["rate"].round(9)
    )
    counted = rounded.groupby(keys, sort=False).size()
    return counted.rename("pairs").reset_index()


def level(table: pd.DataFrame, kind: str) -> int | None:
    """L of that kind; None of ReLU."""
    levels = table.loc[table["kind"] == kind, "levels"].iloc[0]
    return None if pd.isna(levels) else int(levels)
