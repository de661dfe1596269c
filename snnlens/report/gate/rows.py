"""Rows of a run that a threshold is about: chosen, named, and found again in a baseline."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from snnlens.errors import InputError
from snnlens.recording.tables import MOST_ROWS
from snnlens.report.gate.grammar import SITES, Where
from snnlens.report.gate.subject import Subject
from snnlens.report.gate.words import visible, wrong

ALWAYS = ("network", "site")  # a row is that of its network and its site
FIRST = ("block", "layer", "epoch", "neuron", "time_steps", "method", "place", "sample")
MOST_SAID = f"about a table of at most {MOST_ROWS:,} rows"
ENDS = ("first", "last")  # of a column of numbers, in each network


def rows(subject: Subject, table: str, said_in: str) -> pd.DataFrame:
    """The sites, or a table of the run folder."""
    if table == SITES:
        return subject.sites
    if table not in subject.tables:
        raise wrong(
            said_in, table, list(subject.tables), f"about a table that {subject.name} holds"
        )
    found = subject.tables[table]
    if len(found) > MOST_ROWS:
        raise InputError(said_in, got=f"{len(found):,} rows", wanted=MOST_SAID)
    return found


def numbers(frame: pd.DataFrame, column: str, said_in: str) -> np.ndarray:
    """A column as float64, flags as 0 and 1, NaN where there is no number."""
    values = frame[column]
    if not (types.is_numeric_dtype(values) or types.is_bool_dtype(values)):
        raise InputError(said_in, got=f"text in {visible(column)}", wanted="about a number")
    made: np.ndarray = values.astype("Float64").to_numpy(float, na_value=math.nan)
    return made


def chosen(frame: pd.DataFrame, where: Where, but: Where, said_in: str, name: str) -> np.ndarray:
    """Which rows are meant; a pattern that meets no row is a typo."""
    kept = np.ones(len(frame), bool)
    for column, values in where:
        kept &= _meets(frame, column, values, f"where of {said_in}", name)
    for column, values in but:
        kept &= ~_meets(frame, column, values, f"except of {said_in}", name)
    if not kept.any():
        raise InputError(said_in, got="no row of it", wanted=f"about at least one row of {name}")
    return kept


def _meets(
    frame: pd.DataFrame, column: str, values: Sequence[Any], said_in: str, name: str
) -> np.ndarray:
    """The rows whose value in a column is one of the values; each of them has to meet a row."""
    if column not in frame:
        raise wrong(said_in, column, [str(c) for c in frame], f"about a column of {name}")
    met = np.zeros(len(frame), bool)
    for value in values:
        now = _equal(frame, column, value)
        if not now.any():
            known = list(dict.fromkeys(str(v) for v in frame[column].dropna()))
            raise wrong(f"{visible(column)} in {said_in}", value, known, f"a value of {name}")
        met |= now
    return met


def _equal(frame: pd.DataFrame, column: str, value: Any) -> np.ndarray:
    """Where a column has a value: text by * and ?, numbers and flags by themselves."""
    here = frame[column]
    if types.is_bool_dtype(here) or types.is_numeric_dtype(here):
        if value in ENDS:
            return _end(frame, column, value == "last")
        if isinstance(value, str) or isinstance(value, bool) != types.is_bool_dtype(here):
            return np.zeros(len(frame), bool)
        return here.eq(value).fillna(value=False).to_numpy(bool)
    fits = re.compile(pattern(value)) if isinstance(value, str) else None
    return np.array([fits is not None and bool(fits.match(str(v))) and not _none(v)
                     for v in here], bool)  # fmt: skip


def pattern(text: str) -> str:
    r"""A pattern with * and ? as a regular expression; brackets are no patterns.

    >>> bool(re.match(pattern("layer[0].*"), "layer[0].sn1"))
    True
    """
    return fnmatch.translate(text.replace("[", "[[]"))  # never slow, however many stars


def _end(frame: pd.DataFrame, column: str, last: bool) -> np.ndarray:
    """The rows with the smallest, or the largest, number of their network."""
    values = frame[column].astype("Float64")
    name: Literal["min", "max"] = "max" if last else "min"
    networks = frame["network"] if "network" in frame else pd.Series(0, index=frame.index)
    ends = values.groupby(networks, sort=False).transform(name)
    return values.eq(ends).fillna(value=False).to_numpy(bool)


def keys(frame: pd.DataFrame) -> list[str]:
    """The fewest columns that tell the rows apart: network and site, then what is needed.

    >>> keys(pd.DataFrame({"network": ["a", "a"], "seed": [0, 0], "epoch": [0, 1]}))
    ['network', 'epoch']
    """
    made = [c for c in ALWAYS if c in frame]
    count = _distinct(frame, made)
    for column in _others(frame) if count < len(frame) else ():
        if (now := _distinct(frame, [*made, column])) > count:
            made, count = [*made, column], now
        if count == len(frame):
            break
    return made


def _others(frame: pd.DataFrame) -> list[str]:
    """Columns that may tell rows apart, the likely ones first; none of fractions."""
    first = [c for c in FIRST if c in frame]
    left = [str(c) for c in frame if c not in (*ALWAYS, *first)]
    return first + [c for c in left if not _fractions(frame[c])]


def shared(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """What a row of one run is found by in another; one network may have another name there."""
    by = keys(old)
    return by[1:] if by[:1] == ["network"] and _one(old) and _one(new) else by


def identities(frame: pd.DataFrame, by: Sequence[str]) -> list[tuple[Any, ...]]:
    """What a row is found by in another run; equal ones are counted."""
    seen: dict[tuple[Any, ...], int] = {}
    made = []
    parts = [[None if _none(v) else v for v in frame[c]] if c in frame else [None] * len(frame)
             for c in by]  # fmt: skip
    for index in range(len(frame)):
        key = tuple(part[index] for part in parts)
        seen[key] = seen.get(key, 0) + 1
        made.append((*key, seen[key]))
    return made


def labels(frame: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """The rows as a person names them; the network only where the run has several."""
    by = keys(whole)
    return named(frame, by[1:] if len(by) > 1 and by[0] == "network" and _one(whole) else by)


def named(frame: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The rows by some columns; all columns have to be there."""
    by = list(by)
    if not by:
        return ["the run"] * len(frame)
    return [" ".join(_said(c, v) for c, v in zip(by, row, strict=True) if not _none(v))
            for row in frame[by].itertuples(index=False)]  # fmt: skip


def _one(frame: pd.DataFrame) -> bool:
    return "network" in frame and frame["network"].nunique() < 2


def _said(column: str, value: Any) -> str:
    return visible(value) if column in ALWAYS else f"{visible(column)} {visible(value)}"


def _distinct(frame: pd.DataFrame, by: list[str]) -> int:
    return len(frame.drop_duplicates(by)) if by else min(len(frame), 1)


def _fractions(values: pd.Series[Any]) -> bool:
    return bool(types.is_float_dtype(values))


def _none(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
