"""What tells the rows of a table apart, which of its columns were measured, and a row in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
from pandas.api import types

from snnlens.report.compare.names import GROUP, SEED

ROW = "\0row"  # the column of `numbered`; no table of a user has it
# What may tell the rows of one network apart, the first that is needed first.
KEYS = (
    "site", "block", "layer", "order", "epoch", "quantity", "method", "place", "ground", "neuron",
    "kind", "code", "other", "over", "view", "levels", "time_steps", "sample", "step", "frame",
    "offset",
)  # fmt: skip
PLACES = ("site", "block")
# Keys along which a curve is drawn, the first that a table has; the others make curves.
AXES = (
    "site", "block", "layer", "order", "epoch", "share", "time_steps", "step", "offset", "sample",
    ROW,
)  # fmt: skip
LAST = ("share",)  # a key of curves, but of most tables a measurement
# Numbers that say what was built, asked for or counted over, not what came out.
GIVEN = (
    "depth", "width", "seed", "stage", "area", "block", "k", "layer", "order", "epoch", "epochs",
    "epochs_planned", "classes", "levels", "time_steps", "samples", "sample", "batch", "neurons",
    "positions", "channels", "step", "frame", "draws", "seeds", "runs", "depths", "networks",
    "points", "pairs", "values", "elements", "items", "macs_total", "macs_padded", "offset",
    "tau_steps", "published_top1", "published_top5", "from_steps", "to_steps", "replayed",
)  # fmt: skip
CLASSES = ("label", "target", "predicted")  # numbers that name something

Row = tuple[Any, ...]  # the keys of a row, the place first if there is one


def at(row: Row, keys: Sequence[str]) -> str:
    """Where a number is, in words.

    >>> at((3, "ig"), ["block", "method"]), at(("layer1.0.sn1",), ["site"])
    ('block 3, ig', 'layer1.0.sn1')
    """
    parts = [
        value if isinstance(value, str) else f"{called(key)} {plain(value)}"
        for key, value in zip(keys, row, strict=True)
    ]
    return ", ".join(parts)


def called(key: str) -> str:
    """A key in words.

    >>> called("time_steps"), called(ROW)
    ('time steps', 'row')
    """
    return key.replace("_", " ").strip("\0")


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers in short.

    >>> ranges([1, 2, 3, 7])
    '1-3, 7'
    """
    breaks = [i + 1 for i, (x, y) in enumerate(pairwise(numbers)) if y != x + 1]
    cuts = [0, *breaks, len(numbers)]
    parts = [numbers[i:j] for i, j in pairwise(cuts) if j > i]
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def key_of(value: Any) -> Any:
    """A cell as a key: equal for equal numbers; no value is None."""
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 - NaN is not itself
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def chosen(frames: Sequence[pd.DataFrame]) -> list[str]:
    """The fewest columns, in the order of KEYS, that tell the rows of each network apart."""
    both = shared(*frames)
    texts = [c for c in both if c not in {*KEYS, "network"} and not number(frames[0][c])]
    found: list[str] = []
    for name in [*(k for k in KEYS if k in both), *texts, *(k for k in LAST if k in both)]:
        if all(unique(frame, found) for frame in frames):
            break
        if any(_distinct(f, [*found, name]) > _distinct(f, found) for f in frames):
            found.append(name)
    return found


def place_first(keys: list[str], frames: Sequence[pd.DataFrame]) -> list[str]:
    """A block that is no number is a word like others."""
    numeric = all("block" not in f or number(f["block"]) for f in frames)
    first = [k for k in keys if k == "site" or (k == "block" and numeric)][:1]
    return [*first, *(k for k in keys if k not in first)]


def numbered(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The frame with a column ROW: the how-manieth of its keys a row is, from 0."""
    return frame.assign(**{ROW: frame.groupby([GROUP, SEED, *keys], dropna=False).cumcount()})


def unique(frame: pd.DataFrame, keys: list[str]) -> bool:
    """Whether no two rows of a network and seed have the same keys."""
    return _distinct(frame, keys) == len(frame)


def _distinct(frame: pd.DataFrame, keys: list[str]) -> int:
    return len(frame.drop_duplicates([GROUP, SEED, *keys]))


def shared(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """The columns that both have, in the order of the first."""
    return [c for c in a.columns if c in b and c not in {GROUP, SEED, ROW}]


def given(column: str, table: pd.DataFrame) -> bool:
    """Whether a number was chosen, or is the end of another one's interval."""
    if column in {*GIVEN, *CLASSES} or (column == "slope" and "site" in table):
        return True
    base, _, end = column.rpartition("_")
    return column in {"low", "high"} or (end in {"low", "high"} and base in table)


def number(values: pd.Series[Any]) -> bool:
    """Whether a column holds numbers, and not yes and no."""
    return bool(types.is_numeric_dtype(values) and not types.is_bool_dtype(values))


def plain(value: Any) -> str:
    """A key in words."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
