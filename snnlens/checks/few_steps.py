"""SNL507: so few steps that the accuracy is far below what the ANN has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from snnlens.checks._conversion import OF_THE_ANN, ConversionCheck, accuracies, extent
from snnlens.checks._seen import Seen
from snnlens.measures.conversion import ROUNDING, gap
from snnlens.recording.result import Finding

FAR, FLAT, ERRORS = 5.0, 1.0, 3.0


class FewSteps(ConversionCheck):
    """The accuracy at each T, of each kind of neuron, against that of the ANN.

    Where it no longer rises from one T to the next, well above chance, steps are not what it lacks:
    smaller T are then judged against what it has come to.
    """

    name = "few_steps"
    code = "SNL507"
    title = "too few time steps"
    why = (
        "T steps give T + 1 levels, and what lies below theta / (2 T) gives no spike. At a T that is "
        "too small the network does not do what the ANN does, whatever its thresholds."
    )
    next = (
        "Use the smallest T that is named as enough, or run larger ones (--time-steps). Fewer steps "
        "need an ANN that was trained for them (QCFS with few levels), tighter thresholds (SNL502) "
        "or parallel neurons. Latency is T steps, and depth x T for parallel layers that run step by "
        "step."
    )
    reference = "Bu et al. 2022 and Hao et al. 2025, whose tables compare accuracies by T"
    formula = "accuracy(ANN) - accuracy(T) > max(5, 3 standard errors) percentage points"
    thresholds = {
        "far": "5 points; ours: five times the point within which a conversion is called nearly "
        "lossless",
        "errors": "3 standard errors of a difference of two accuracies on N samples each, "
        "100 sqrt(2 p (1 - p) / N); ours: chance alone passes it in 0.3 % of the cases, and in "
        "fewer where the samples are the same",
        "flat": "1 point from the second largest T to the largest, and 5 above 1 / classes; ours: a "
        "network that gains so little does not wait for steps",
        "warning": "the largest T of the run is too small; a note where a larger one is enough",
    }
    reads = ("conversion_accuracy",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        has = (accuracies(seen)["neuron"] == "ann").any() and _runs(seen)
        return (
            "" if has else "the accuracies of the ANN and of a spiking network are not both known"
        )

    def judge(self, seen: Seen) -> Iterator[Finding]:
        short = [run for run in _runs(seen) if len(run.short)]
        if not short:
            return
        severe = any(run.never for run in short)
        ann, bound = short[0].ann, short[0].bound
        yield self.finding("warning" if severe else "note", None, (
            f"{seen.name}: {'; '.join(run.text() for run in short)}; the ANN has {ann:.1f}%, bound "
            f"{bound:.1f} points below ({extent(seen)})"
        ))  # fmt: skip


@dataclass(frozen=True)
class Run:
    """The accuracies of one kind of neuron by rising T, in percent."""

    neuron: str
    rows: pd.DataFrame
    ann: float
    chance: float

    @cached_property
    def bound(self) -> float:
        """How far below is too far, in percentage points."""
        samples = int(self.rows["samples"].min())
        p = min(max(self.ann / 100, 1 / samples), 1 - 1 / samples)  # no accuracy is known exactly
        return max(FAR, ERRORS * 100 * math.sqrt(2 * p * (1 - p) / samples))

    @cached_property
    def stuck(self) -> bool:
        """Whether it stays below the ANN at the largest T, and no longer rises."""
        last = list(self.rows["percent"])[-2:]
        below = bool(gap(self.ann, last[-1]) > self.bound + ROUNDING)
        rises = len(last) < 2 or last[-1] - last[0] >= FLAT
        return below and not rises and last[-1] > self.chance + FAR

    @cached_property
    def short(self) -> pd.DataFrame:
        """The T that are too small."""
        goal = float(self.rows["percent"].iloc[-1]) if self.stuck else self.ann
        return self.rows[gap(goal, self.rows["percent"]) > self.bound + ROUNDING]

    @property
    def never(self) -> bool:
        """Whether the largest T is too small."""
        return bool(self.short["time_steps"].max() == self.rows["time_steps"].max())

    def text(self) -> str:
        """The T that are too small, and from which one on it is enough."""
        said = [f"{p:.1f}% at T = {t}" for t, p in
                self.short[["time_steps", "percent"]].itertuples(index=False)]  # fmt: skip
        return f"{self.neuron} {', '.join(said)}, {self._rest()}"

    def _rest(self) -> str:
        if self.never:
            return "and no larger T was run"
        larger = self.rows[self.rows["time_steps"] > self.short["time_steps"].max()].iloc[0]
        enough = f"T = {larger['time_steps']} is enough ({larger['percent']:.1f}%)"
        if not self.stuck:
            return enough
        return f"then no longer for want of steps ({self.rows['percent'].iloc[-1]:.1f}%)"


def _runs(seen: Seen) -> list[Run]:
    """One for each kind of neuron that spikes."""
    rows = accuracies(seen)
    ann = float(rows.loc[rows["neuron"] == "ann", "percent"].max())  # NaN where there is none
    classes = seen.facts.get("classes")
    spiking = rows[~rows["neuron"].isin(OF_THE_ANN)]
    chance = 100 / classes if classes else 0.0
    return [Run(str(n), of, ann, chance) for n, of in spiking.groupby("neuron", sort=False)]
