"""SNL208: the firing rate falls by a constant factor from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from snnlens.checks import _line
from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.measures.fit import GeometricFit, factor_per_block
from snnlens.recording.extent import extent, observations
from snnlens.recording.result import Finding

TOTAL = 1e-2


class RateCollapse(Check):
    """r_l = c f^l through the rates of the spiking layers; then where r_l is below one spike.

    That depth is where c f^l x (neurons x T x N) falls below 1, with the neurons of the last layer.
    """

    name = "rate_collapse"
    code = "SNL208"
    title = "the firing rate collapses with depth"
    why = (
        "Each layer hands on less than it got: more layers, or a harder input, and the deepest are "
        "silent; the gradient is often blamed for it."
    )
    next = (
        "Give each layer its own scale: BatchNorm before every neuron, a lower threshold, larger "
        "weights (scaled by the rate of the layer before, not as for an ANN), SEW blocks with add. "
        "See which layer loses most in the table of rates."
    )
    reference = "arXiv 2305.08879; SpikingJelly issue #285 (rates fall to 0 from layer 5)"
    formula = "r_l = c f^l, f fitted; f^(L-1) < 1e-2 and the 95 % interval of f below 1"
    thresholds = {
        "total": "1e-2 over the recorded depth; ours: a layer at a usual 20 % is then followed by "
        "one at 0.2 %, a spike of a neuron in every 500 steps",
        "interval": _line.INTERVAL,
        "points": "4 layers with a rate above 0; ours: the interval needs degrees of freedom",
    }
    needs = ("firing_rate",)

    def lacks(self, seen: Seen) -> str:
        few = (
            f"{_fit(_rates(seen)).points} spiking layers have a rate above 0: a factor per layer needs "
            f"at least {_line.POINTS} (SNL202 has the silent ones)"
        )
        return super().lacks(seen) or few * (_fit(_rates(seen)).points < _line.POINTS)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = _rates(seen)
        fit = _fit(rows)
        rates = rows["firing_rate"].to_numpy(float)
        fired = np.flatnonzero(rates > 0)
        span = int(fired[-1] - fired[0])
        if fit.total(span) >= TOTAL or not fit.high < 1:
            return
        last = rows.iloc[fired[-1]]
        evidence = (
            f"{seen.name}: the rate changes by a factor {fit.factor:.3g} per layer (95 % {fit.low:.3g} "
            f"to {fit.high:.3g}, R^2 {fit.r_squared:.2f}, {fit.points} layers), from "
            f"{rates[fired[0]]:.3g} to {rates[fired[-1]]:.3g} at {last['site']}; over {span} layers "
            f"{fit.total(span):.1e}, bound {TOTAL:g}; below 1 spike in all samples from layer "
            f"{_depth(rates, fit, last)} on ({extent(last)})"
        )
        yield self.finding("warning", str(last["site"]), evidence)


def _rates(seen: Seen) -> pd.DataFrame:
    """The spiking layers, in order, but for those that zero-init holds silent."""
    rows = seen.layers("firing_rate")
    return rows[~rows["site"].isin(list(seen.constant))]


def _fit(rows: pd.DataFrame) -> GeometricFit:
    rates = rows["firing_rate"].to_numpy(float) if len(rows) else np.empty(0)
    return factor_per_block(np.where(rates < 0, np.nan, rates))  # graded spikes may be negative


def _depth(rates: np.ndarray, fit: GeometricFit, last: pd.Series) -> int:
    """The layer, counted from 0, from which the line is below one spike of the last layer's size.

    A fitted line goes through the means of the index and of log r.
    """
    kept = np.flatnonzero((rates > 0) & np.isfinite(rates))
    elements = int(last["neurons"]) * observations(last)
    excess = float(np.log(rates[kept]).mean()) + math.log(elements)
    return math.ceil(float(kept.mean()) - excess / math.log(fit.factor))
