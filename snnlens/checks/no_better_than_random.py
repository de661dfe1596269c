"""SNL603: deleting what a map ranks highest hurts no more than deleting at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from snnlens.checks._attribution import AttributionCheck, counted, named
from snnlens.checks._seen import Seen, names
from snnlens.measures.attribution import Interval, alike, area, falls_below, interval
from snnlens.recording.result import Finding

FIRST = ("pixels", "events", "steps")  # the first of these that was run speaks for a method
RANDOM = "random"


class NoBetterThanRandom(AttributionCheck):
    """The mean area under each method's deletion curve, against that of random orders."""

    name = "no_better_than_random"
    code = "SNL603"
    title = "a map is no better than chance"
    why = (
        "Deleting first what a map ranks highest should make the score fall faster than deleting as "
        "much at random. Where it does not, the map does not show what the network uses, however "
        "convincing it looks."
    )
    next = (
        "Do not read this method's maps on this network; see which method's curve does fall. More "
        "samples and random orders (--samples, --random-orders) tell a near miss from none. If no method beats "
        "chance, the score may not depend on the input at all: `snnlens checkup`."
    )
    reference = "Petsiuk et al. 2018 (RISE), the deletion metric; Samek et al. 2017 (random orders)"
    formula = "mean area under deletion >= low end of the 95 % interval of random orders' mean area"
    thresholds = {
        "interval": "95 %, Student t over the random orders, each a mean over the same samples; the "
        "usual level",
        "rounding": "1e-6 of the areas, as scores are float32: what is no more than that is the same",
    }
    reads = ("attribution_curves",)

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        curves = seen.table("attribution_curves")
        if curves.loc[curves["method"] == RANDOM, "draw"].nunique() < 2:
            return "fewer than two random orders were run, which have no interval"
        found = _compared(seen)
        if not found:
            return "no method that claims relevance has a deletion curve"
        flat = all(c.flat for c in found)
        return (
            "the score is the same in every order: it does not depend on the input" if flat else ""
        )

    def judge(self, seen: Seen) -> Iterator[Finding]:
        found = [c for c in _compared(seen) if not c.falls and not c.flat]
        if not found:
            return
        worst = max(found, key=lambda c: c.area - c.random.low)
        others = [f"{c.map} ({c.area:.3g})" for c in found if c is not worst]
        rest = f"; also {names(others)}" if others else ""
        yield self.finding("warning", None, f"{seen.name}: {worst.text()}{rest}")


@dataclass(frozen=True)
class Compared:
    """A method's mean area under deletion, and that of random orders of the same samples."""

    map: str
    over: str
    area: float
    random: Interval
    draws: int
    samples: int

    @property
    def falls(self) -> bool:
        """Whether the score falls faster than in random order, by more than rounding."""
        return falls_below(self.area, self.random.low)

    @property
    def flat(self) -> bool:
        """Whether deleting changes the score as little as it can in any order: nothing to find."""
        return alike(self.area, self.random.low, self.random.high)

    def text(self) -> str:
        """Both areas, with how many samples and orders."""
        return (
            f"deletion over {self.over} as {self.map} says has the area {self.area:.3g}, random "
            f"orders {self.random.mean:.3g} (95 % {self.random.low:.3g} to {self.random.high:.3g}, "
            f"{self.draws} orders, {counted(self.samples, 'sample')})"
        )


def _compared(seen: Seen) -> list[Compared]:
    """One for each map that claims relevance and has a deletion curve beside random ones."""
    areas, relevant = _areas(seen), seen.facts.get("claims_relevance") or {}
    maps = areas.loc[areas["method"] != RANDOM, ["method", "map", "ground"]].drop_duplicates()
    found = [_beside(areas[areas["ground"] == ground], str(name))
             for method, name, ground in maps.itertuples(index=False) if relevant.get(method, True)]  # fmt: skip
    return [c for c in found if c is not None and not math.isnan(c.random.low)]


def _areas(seen: Seen) -> pd.DataFrame:
    """The area under each deletion curve, and what was deleted from.

    That is the input, but of a static image the spikes of its encoder, save for maps over pixels.
    """
    curves = seen.table("attribution_curves")
    curves = curves[curves["kind"] == "deletion"].sort_values("share", kind="stable")
    encoded = curves["place"] != "input" if seen.facts.get("static") else False
    own, random = curves[curves["method"] != RANDOM], curves["method"] == RANDOM
    curves = curves.assign(ground=np.where(encoded, "spikes", "input"), map=named(own)["map"])
    curves.loc[random, "map"] = RANDOM
    keys = ["method", "map", "over", "ground", "draw", "sample"]
    made = [(*k, area(c["share"], c["score"])) for k, c in curves.groupby(keys, sort=False)]
    return pd.DataFrame(made, columns=[*keys, "area"])


def _beside(areas: pd.DataFrame, name: str) -> Compared | None:
    """A map's areas beside random ones, over the first of `FIRST` that has both."""
    for over in FIRST:
        here = areas[areas["over"] == over]
        own, random = here[here["map"] == name], here[here["map"] == RANDOM]
        random = random[random["sample"].isin(own["sample"])]
        if len(own) and len(random):
            means = random.groupby("draw")["area"].mean()
            return Compared(name, over, float(own["area"].mean()), interval(means), len(means),
                            len(own))  # fmt: skip
    return None
