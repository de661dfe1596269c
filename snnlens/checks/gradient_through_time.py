"""SNL304: the gradient vanishes or explodes from one time step to the one before it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from snnlens.checks import _line
from snnlens.checks._base import Check
from snnlens.checks._line import Line
from snnlens.checks._seen import Seen, names
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding


class GradientThroughTime(Check):
    """At each spiking layer the fitted factor per step back in time, over the T - 1 steps."""

    name = "gradient_through_time"
    code = "SNL304"
    title = "the gradient vanishes or explodes through time"
    why = "What happened at the first steps then teaches nothing, or drowns all that came after."
    next = (
        "Raise tau (a leak of 1 - 1/tau per step multiplies the gradient back in time), read the "
        "output at every step (mean or sum over time) rather than at the last one only, or lower "
        "the surrogate's slope. `snnlens checkup --full` shows the path through the membrane apart."
    )
    reference = "Neftci, Mostafa and Zenke 2019 (surrogate gradients), section on BPTT"
    formula = "||dL/dS[t]|| = c f^-t, f fitted; f^(T-1) beyond 1e-3 or 1e3, its interval without 1"
    thresholds = {"total": _line.TOTAL, "interval": _line.INTERVAL, "points": _line.ENOUGH}
    needs = ("gradient_norm",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        steps = seen.layers()["time_steps"].max()
        if pd.isna(steps) or steps < _line.POINTS:
            known = "unknown" if pd.isna(steps) else int(steps)
            return f"T is {known}: a factor per step needs at least {_line.POINTS}; show more steps"
        none = (
            "no spiking layer has 4 steps with a positive, finite gradient; see SNL301 and SNL305"
        )
        return "" if any(True for _ in _lines(seen)) else none

    def judge(self, seen: Seen) -> Iterator[Finding]:
        bad = [(site, line) for site, line in _lines(seen) if line.vanishes or line.explodes]
        if not bad:
            return
        site, line = max(bad, key=lambda pair: abs(math.log(pair[1].fit.factor)))
        rest = [s for s, _ in bad if s != site]
        more = f"; also at {names(rest)}" if rest else ""
        severe = not 1 / _line.ERROR < line.total < _line.ERROR
        yield self.finding("error" if severe else "warning", site,
                           f"{seen.name}: at {site} {line.text()}{more}")  # fmt: skip


def _lines(seen: Seen) -> Iterator[tuple[str, Line]]:
    """Per spiking layer the line through its norms over time, where there are enough."""
    layers = seen.layers()
    steps_of = seen.norms_per_step
    rows = steps_of[steps_of["site"].isin(list(layers["site"]))]
    for site, steps in rows.groupby("site", sort=False):
        norms = steps["gradient_norm"].to_numpy(float)
        row = layers[layers["site"] == site].iloc[0]
        labels = [f"t = {t}" for t in steps["step"]]
        at = steps["step"].to_numpy(float)
        line = Line(norms, at, [str(site)] * len(norms), labels, "step", f"{len(norms)} steps",
                    extent(row))  # fmt: skip
        if not line.lacks() and line.fit.points >= _line.POINTS:
            yield str(site), line
