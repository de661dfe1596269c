"""SNL602: a complete method whose map does not add up to what it explains."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._attribution import AttributionCheck, counted, gains, medians, named
from snnlens.checks._seen import Seen, names
from snnlens.measures.attribution import missed as in_words
from snnlens.measures.attribution import relative_delta
from snnlens.recording.result import Finding

GAIN = "f(x) - f(baseline)"
PART = 0.05


class IncompleteMap(AttributionCheck):
    """The sum of each map of a method that claims completeness, against f(x) - f(baseline)."""

    name = "incomplete_map"
    code = "SNL602"
    title = "maps do not add up to the score"
    why = (
        "A complete method promises that its map adds up to f(x) - f(baseline). Spikes are steps whose "
        "derivative is a surrogate, so the gradients on the way do not add up to what the score does: "
        "the values are no shares of the score, though their order may still be right. Too few steps of "
        "the path look the same."
    )
    next = (
        "Take more steps (--steps): a delta that falls was the integral's, one that stays is the "
        "surrogate's. Then trust the order of the map only as far as deletion and insertion bear it out "
        "(SNL603), or take occlusion, which asks the network itself."
    )
    reference = (
        "Sundararajan et al. 2017, Proposition 1; 5 % is their advice on the number of steps"
    )
    formula = (
        "median over samples of |sum of map - (f(x) - f(baseline))| / |f(x) - f(baseline)| > 0.05"
    )
    thresholds = {
        "part": "5 %: Sundararajan et al. 2017, section 5, raise the steps until it is met"
    }
    reads = ("attribution_maps",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        if seen.table("attribution_maps")["delta"].isna().all():
            return "no method that was run claims that its map adds up to the score"
        return (
            "" if len(_known(seen)) else "f(x) = f(baseline) in every sample: no share of 0 is one"
        )

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = _known(seen)
        missed = medians(rows, "part", "map").sort_values(ascending=False, kind="stable")
        missed = missed[missed > PART]
        if missed.empty:
            return
        own = rows[rows["map"] == missed.index[0]]
        worst = own.loc[own["part"].idxmax()]
        others = [f"{m} ({in_words(v)})" for m, v in missed.iloc[1:].items()]
        rest = f"; also {names(others)}" if others else ""
        yield self.finding("note", None, (
            f"{seen.name}: {missed.index[0]} misses {in_words(missed.iloc[0], GAIN)} (median of "
            f"{counted(len(own), 'sample')}), bound {100 * PART:g} %; at most "
            f"{in_words(worst['part'])} (sample {worst['sample']}: sum {worst['total']:.3g} of "
            f"{worst['gain']:.3g}){rest}"
        ))  # fmt: skip


def _known(seen: Seen) -> pd.DataFrame:
    """The maps whose relative delta is known, with it and the gain."""
    maps = named(seen.table("attribution_maps"))
    part = relative_delta(*(maps[c].to_numpy(float) for c in ("delta", "score", "baseline")))
    maps = maps.assign(part=part, gain=gains(maps))
    return maps[maps["part"].notna()]
