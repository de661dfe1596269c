"""SNL503: a layer of sequential neurons whose spikes come too unevenly."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._conversion import (
    OF_THE_SIGNAL,
    PART,
    ConversionCheck,
    also,
    extent,
    layers,
)
from snnlens.checks._seen import Seen, most
from snnlens.measures.conversion import share
from snnlens.measures.quotients import ratio
from snnlens.recording.result import Finding


class UnevenLayer(ConversionCheck):
    """The error that the order of the spikes makes: e_unev = r - QCFS_T of the mean current.

    By the residual potential it needs no ANN: V(T) < 0 with k > 0 says that k is too large by a
    spike at least, V(T) >= theta with k < T that it is too small. 0 of constant currents, and of
    parallel neurons, which see the sum alone.
    """

    name = "uneven_layer"
    code = "SNL503"
    title = "spikes come too unevenly for a sequential layer"
    why = (
        "A sequential neuron that gets its current early fires more often than its mean current "
        "says, and one that gets it late less often. The next layer inherits it, so that the error "
        "grows with depth."
    )
    next = (
        "Use parallel neurons (method parallel), which see the sum alone; or more steps, if the "
        "error falls with T. If it does not, the trains are sorted: see SNL506."
    )
    reference = (
        "Bu et al. 2022 (QCFS, the three errors); Hao et al. 2023 (COS), whose code tests the residual "
        "potential"
    )
    formula = (
        "rms(e_unev) > 0.1 rms(a), where V(T) < 0 with k > 0, or V(T) >= theta with k < T, occurs"
    )
    thresholds = {
        "share": OF_THE_SIGNAL,
        "residual": "one value; nothing is chosen: without one no count is off",
        "warning": "at the largest T of the run; a note where a larger T of it is below the bound",
    }
    reads = ("conversion_layers",)

    def lacks(self, seen: Seen) -> str:
        none = "no sequential neuron was run; parallel ones see the sum of their currents alone"
        return super().lacks(seen) or ("" if len(layers(seen, ["sequential"])) else none)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = layers(seen, ["sequential"])
        rows = rows.assign(part=ratio(rows["unevenness"], rows["signal"]))
        bad = rows[(rows["part"] > PART) & (rows["residual_more"] + rows["residual_less"] > 0)]
        if not len(bad):
            return
        larger = rows.loc[rows["time_steps"] > bad["time_steps"].max(), "time_steps"]
        bad = bad[bad["time_steps"] == bad["time_steps"].max()]
        fine = f"; below the bound from T = {larger.min()} on" if len(larger) else ""
        worst = most(bad, "part")
        yield self.finding("note" if len(larger) else "warning", seen.known(worst["layer"]), (
            f"{seen.name}: {_size(worst)}; {_residual(worst)}; quantisation "
            f"{worst['quantisation']:.3g}, clipping {worst['clip']:.3g} ({extent(seen)})"
            f"{also(bad, worst)}{fine}"
        ))  # fmt: skip


def _size(row: pd.Series) -> str:
    return (
        f"the unevenness of {row['layer']} is {row['unevenness']:.3g} theta rms, {row['part']:.1%} of "
        f"its signal (bound {PART:.0%}), at T = {int(row['time_steps'])} with sequential neurons"
    )


def _residual(row: pd.Series) -> str:
    """Which way the counts are off; a rounded tie may be judged otherwise by its count."""
    more, less = (float(share(row[f"residual_{way}"], row["values"])) for way in ("more", "less"))
    wrong = row["residual_wrong"]
    ties = f", {int(wrong)} of them not by their count" if wrong > 0 else ""
    return (
        f"by their residual potential {more:.2%} of {int(row['values'])} values have a spike too "
        f"many and {less:.2%} one too few{ties}"
    )
