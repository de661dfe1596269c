"""The claims on attribution, and what this run says of them. The bounds were fixed before anything
was measured.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from snnlens.analysis._attribution_tables import METHOD
from snnlens.analysis._attribution_words import deletion, whose
from snnlens.analysis._verdicts import NotTestable, claim
from snnlens.measures.attribution import alike, falls_below
from snnlens.recording.result import Claim

Measured = tuple[float, bool, str]
Tables = dict[str, pd.DataFrame]
DELTA = 0.05  # of f(x) - f(baseline): what Sundararajan et al. 2017, Section 5, ask of the sum
ANOTHER = 0.5  # rank correlation: above it two maps share most of their order
SLOPE = (
    "the path integral of a surrogate's slope is not the difference of a forward pass that jumps"
)


def claims(methods: pd.DataFrame, table: pd.DataFrame, extra: Tables) -> list[Claim]:
    """Every claim, with its verdict on this record."""
    ranked = methods[methods["relevance"]].drop_duplicates("method")
    return [
        claim(
            "completeness",
            "The sum of the map of every complete method is f(x) - f(baseline).",
            "Sundararajan et al. 2017 (Axiomatic attribution), Proposition 1",
            f"largest median relative delta of a method <= {DELTA}",
            partial(_complete, methods, table),
        ),
        *(
            claim(
                f"deletion-{str(row['method']).replace('_', '-')}",
                f"{row['title']}: without what it ranks highest the score falls faster than "
                "without as much at random.",
                "Petsiuk et al. 2018 (RISE), the deletion metric",
                "mean area under deletion < the 95 % interval of random orders",
                partial(_deleted, methods[methods["method"] == row["method"]], extra.get("areas")),
            )
            for _, row in ranked.iterrows()
        ),
        claim(
            "weights-matter",
            "The map of a network whose weights were permuted is another one, by every method.",
            "Adebayo et al. 2018 (Sanity checks for saliency maps), Section 3",
            f"largest median |rank correlation| of a method <= {ANOTHER}",
            partial(_weights, extra),
        ),
    ]


def _complete(methods: pd.DataFrame, table: pd.DataFrame) -> Measured:
    """Of the methods that claim completeness the largest median over samples of relative delta."""
    if not methods["complete"].any():
        raise NotTestable("no method that claims completeness was run")
    claiming = methods[methods["complete"]].merge(table, on=METHOD)
    rows = claiming[claiming["relative_delta"].notna()]
    if rows.empty:
        raise NotTestable("f(x) = f(baseline) of every sample")
    largest, said = _medians(
        rows.assign(of=[whose(r) for _, r in rows.iterrows()]), "relative_delta"
    )
    reason = f"missed of f(x) - f(baseline): {said}"
    holds = largest <= DELTA
    return largest, holds, reason if holds else f"{reason}; {SLOPE}"


def _deleted(of: pd.DataFrame, areas: pd.DataFrame | None) -> Measured:
    """The mean area under deletion of one method, at every place, against that of random orders."""
    each = [] if areas is None else [deletion(areas, row) for _, row in of.iterrows()]
    found = [row for row in each if row is not None]
    if not found:
        raise NotTestable("the record holds no deletion curve of it beside random orders")
    if any(pd.isna(row["low"]) for row in found):
        raise NotTestable("one random order has no interval; take --random-orders 2 or more")
    if all(alike(row["mean_area"], row["low"], row["high"]) for row in found):
        raise NotTestable("the score is the same in every order: it does not depend on the input")
    worst = max(found, key=lambda row: float(row["mean_area"] - row["low"]))
    holds = falls_below(float(worst["mean_area"]), float(worst["low"]))
    return float(worst["mean_area"]), holds, "; ".join(_beside(row) for row in found)


def _weights(extra: Tables) -> Measured:
    """The largest median over samples of the rank correlation of a method, whichever its sign."""
    found = extra.get("robustness")
    rows = found[found["kind"] == "weights"] if found is not None else pd.DataFrame()
    if rows.empty:
        raise NotTestable("no network with permuted weights was run")
    sizes = rows.assign(size=rows["rank_correlation"].abs(), of=rows["method"])
    defined = sizes[sizes["size"].notna()]
    if defined.empty:
        raise NotTestable("every map of the permuted network is constant, and has no ranks")
    largest, said = _medians(defined, "size")
    if constant := len(sizes) - len(defined):
        said += f"; not counted: {constant} of {len(sizes)}, whose map is constant"
    return largest, largest <= ANOTHER, said


def _medians(rows: pd.DataFrame, column: str) -> tuple[float, str]:
    """The largest median, and `ig 0.43, layer_ig 0.02 (medians over 8 samples)`: of each by itself."""
    medians = rows.groupby("of", sort=False)[column].median()
    said = ", ".join(f"{of} {value:.3g}" for of, value in medians.items())
    samples = rows[["network", "sample"]].drop_duplicates().shape[0]
    return float(medians.max()), f"{said} (medians over {samples} sample{'s' * (samples > 1)})"


def _beside(row: pd.Series[Any]) -> str:
    """How the area of one network's method lies to random orders."""
    of = "" if row["ground"] == "input" else f" of the {row['ground']}"
    return (
        f"over {row['over']}{of}: {row['mean_area']:.3g}, random {row['random_area']:.3g} (95 % {row['low']:.3g} "
        f"to {row['high']:.3g}, {row['draws']} orders); below its random orders in "
        f"{row['samples_better']} of {row['samples']} samples"
    )
