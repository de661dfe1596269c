"""The worst rows of a table too long for a paper or a notebook, ranked as the page ranks them."""

from __future__ import annotations

import pandas as pd

from snnlens.report.columns import column
from snnlens.report.sheets import RANKED


def worst(frame: pd.DataFrame, count: int) -> tuple[pd.DataFrame, str]:
    """So many rows, in their order, and a sentence that says which.

    >>> frame = pd.DataFrame({"block": [0, 1, 2], "gradient_norm": [1.0, 1e-9, 2.0]})
    >>> rows, said = worst(frame, 2)
    >>> rows["block"].tolist(), said
    ([0, 1], 'The 2 of 3 rows with the smallest gradient norm (input).')
    """
    frame = frame.reset_index(drop=True)
    name = next((c for c in RANKED if c in frame and frame[c].notna().any()), None)
    if name is None:
        return frame.head(count), f"The first {count} of {len(frame)} rows."
    values = frame[name].astype(float) * (-1 if RANKED[name] else 1)
    kept = values.sort_values(kind="stable", na_position="last").index[:count]
    most = "largest" if RANKED[name] else "smallest"
    said = f"The {count} of {len(frame)} rows with the {most} {column(name, {}).full}."
    return frame.loc[sorted(kept)], said
