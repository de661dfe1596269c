"""What the attribution checks share: the tables they read, and the words for methods and samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names


class AttributionCheck(Check):
    """A check that reads tables of the Record of the question `attribution`."""

    reads: ClassVar[tuple[str, ...]] = ()  # tables without which it does not apply

    def lacks(self, seen: Seen) -> str:
        missing = [name for name in self.reads if seen.table(name).empty]
        said = (
            f"the record holds no {', '.join(missing)}; `snnlens attribution` makes one that does"
        )
        return said if missing else ""


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what to call each map: its method, and its place where a method has two.

    >>> rows = pd.DataFrame({"method": ["ig", "ig", "sam"], "place": ["input", "sn1", "sn1"]})
    >>> named(rows)["map"].tolist()
    ['ig over input', 'ig over sn1', 'sam']
    """
    several = rows.groupby("method")["place"].transform("nunique") > 1
    return rows.assign(
        map=rows["method"].where(~several, rows["method"] + " over " + rows["place"])
    )


def gains(maps: pd.DataFrame) -> pd.Series:
    """f(x) - f(baseline) of each map."""
    return maps["score"] - maps["baseline"]


def pairs(seen: Seen, kind: str) -> pd.DataFrame:
    """The maps beside those of a variant, where both have ranks; `size` is the correlation's."""
    table = seen.table("attribution_pairs")
    rows = table[(table["kind"] == kind) & table["rank_correlation"].notna()]
    return rows.assign(size=rows["rank_correlation"].abs())


def without_ranks(seen: Seen, kind: str, what: str) -> str:
    """Why maps cannot be compared with those of a variant; empty where they can."""
    if not (seen.table("attribution_pairs")["kind"] == kind).any():
        return f"no maps of {what} were made"
    return "" if len(pairs(seen, kind)) else f"the maps of {what} are constant and have no ranks"


def medians(rows: pd.DataFrame, column: str, by: str = "method") -> pd.Series:
    """The median over samples of each method, in the order of the run."""
    return rows.groupby(by, sort=False)[column].median()


def also(others: Iterable[tuple[object, float]], form: str = ".2f") -> str:
    """`; also ig (0.81), tsa (0.70)`: the other methods of one cause; empty where there is none."""
    said = [f"{method} ({value:{form}})" for method, value in others]
    return f"; also {names(said)}" if said else ""


def counted(number: int, noun: str) -> str:
    """`1 sample`, `3 samples`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def extent(seen: Seen) -> str:
    """`N = 3 samples, T = 4`."""
    samples = seen.table("attribution_maps")["sample"].nunique()
    steps = seen.facts.get("time_steps")
    return f"N = {counted(samples, 'sample')}, T = {steps or 'unknown'}"


def largest(values: pd.Series) -> float:
    """The largest size among numbers; NaN where there is none."""
    sizes = np.abs(values.to_numpy(float))
    known = sizes[~np.isnan(sizes)]
    return float(known.max()) if len(known) else float("nan")
