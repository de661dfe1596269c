"""A straight line through log norms over depth or time: what SNL302, 303 and 304 judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnlens.checks._seen import Seen
from snnlens.measures.fit import GeometricFit, factor_per_block
from snnlens.recording.extent import extent

POINTS = 4  # two parameters leave two degrees of freedom for the interval
WARNING, ERROR = 1e3, 1e6
TOTAL = (
    "1e3 (warning) and 1e6 (error) over the recorded depth, or 1e-3 and 1e-6; ours: layers then "
    "learn a thousand times faster or slower than each other, or one's update is below the "
    "resolution of a float32 beside the other's"
)
INTERVAL = "the 95 % interval of the factor excludes 1; the usual level, so that noise is no trend"
ENOUGH = "4 norms that are positive and finite; ours: the interval needs degrees of freedom"


@dataclass(frozen=True)
class Line:
    """Gradient norms along an index, and the geometric line through them, the way of a gradient."""

    norms: NDArray[np.float64]
    at: NDArray[np.float64]  # the index of each; one that was not recorded leaves a gap
    places: list[str]  # the site of each
    labels: list[str]  # what to call each
    unit: str  # block, layer or step
    where: str  # `8 block inputs`
    seen: str  # N and T

    @property
    def fit(self) -> GeometricFit:
        """factor per index toward the input."""
        return factor_per_block(self.norms, self.at).backward

    @property
    def span(self) -> int:
        """How many steps of the index lie between the first and the last fitted norm."""
        kept = np.flatnonzero((self.norms > 0) & np.isfinite(self.norms))
        return int(self.at[kept[-1]] - self.at[kept[0]])

    @property
    def total(self) -> float:
        """What the line makes of a norm from the last to the first."""
        return self.fit.total(self.span)

    @property
    def vanishes(self) -> bool:
        """It falls toward the input, by a thousand at least, and that is no noise."""
        return self.total < 1 / WARNING and self.fit.high < 1

    @property
    def explodes(self) -> bool:
        """It grows toward the input, by a thousand at least, and that is no noise."""
        return self.total > WARNING and self.fit.low > 1

    def text(self) -> str:
        """Factor, interval, R^2, total, bound and samples."""
        fit, bound = self.fit, f"{WARNING if self.explodes else 1 / WARNING:g}"
        toward = "back in time" if self.unit == "step" else "toward the input"
        zeros = f", {fit.zeros} exact zeros left out" if fit.zeros else ""
        return (
            f"the gradient norm changes by a factor {fit.factor:.3g} per {self.unit} {toward} "
            f"(95 % {fit.low:.3g} to {fit.high:.3g}, R^2 {fit.r_squared:.2f}, {self.where}{zeros}): "
            f"over {self.span} {self.unit}s {self.total:.1e}, bound {bound} ({self.seen})"
        )

    def lacks(self) -> str:
        """Why no line can be drawn; empty where it can."""
        if len(self.norms) < POINTS:
            return f"{self.where}: a factor per {self.unit} needs at least {POINTS}"
        if not np.isfinite(self.norms).all():
            return "a gradient norm is not finite; SNL301 says where, and comes first"
        if not self.norms.any():
            return "every gradient norm is exactly 0; SNL305 says where it stops"
        return ""


def depth_line(seen: Seen) -> Line | None:
    """dL/dS at the block inputs S^0 .. S^(L-1), or at the spiking layers where there is no block."""
    rows = seen.sites("block_input")
    of_blocks = len(rows) > 0
    rows = rows.sort_values("block", kind="stable") if of_blocks else seen.layers()
    if "gradient_norm" not in rows:
        return None
    rows = rows.assign(at=rows["block"] if of_blocks else np.arange(len(rows)))
    recorded = seen.table("gradient_norm")
    rows = rows[rows["site"].isin(list(recorded["site"]))]
    if not len(rows):
        return None
    names = [str(s) for s in rows["site"]]
    labels = [f"S^{b}" for b in rows["block"]] if of_blocks else names
    what = ("block input" if of_blocks else "spiking layer") + "s" * (len(rows) != 1)
    return Line(
        rows["gradient_norm"].to_numpy(float), rows["at"].to_numpy(float), names, labels,
        "block" if of_blocks else "layer", f"{len(rows)} {what}", extent(rows.iloc[0]),
    )  # fmt: skip


NO_GRADIENT = (
    'no gradient was recorded; record with probes=["gradient_norm"] and call loss.backward() inside '
    "the recording"
)


def silent(seen: Seen) -> bool:
    """Whether a block output or a spiking layer never fired: gradients stop there."""
    rates = (seen.sites(role, "nonzero_share") for role in ("neuron", "block_output"))
    dead = {str(s) for r in rates if len(r) for s in r.loc[r["nonzero_share"] == 0, "site"]}
    return bool(dead - seen.constant)
