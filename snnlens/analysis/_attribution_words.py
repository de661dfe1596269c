"""What `attribution` says in words: the lines for the command line, and the caption."""

from __future__ import annotations

from typing import Any

import pandas as pd

from snnlens.analysis._attribution_tables import METHOD, RANDOM, first
from snnlens.measures.attribution import missed
from snnlens.recording.record import Record

FIRST = ("pixels", "events", "steps")  # the first of these that was run speaks for a method


def headline(record: Record, summary: pd.DataFrame, areas: pd.DataFrame | None) -> list[str]:
    """A line per method: the area under deletion beside random, and delta."""
    return [_line(record, row, areas) for _, row in summary.iterrows()]


def deletion(areas: pd.DataFrame, of: pd.Series[Any]) -> pd.Series[Any] | None:
    """The row of `areas` that speaks for a method: over pixels, else over events, else over steps."""
    own = areas[(areas[METHOD] == of[METHOD]).all(axis=1) & (areas["kind"] == "deletion")]
    for over in FIRST:
        if len(found := own[own["over"] == over]):
            return found.iloc[0]
    return None


def caption(record: Record) -> str:
    """Model, data, T, samples, score, baseline, steps of the path, random orders, seed, precision."""
    facts = first(record)
    shape = " x ".join(str(n) for n in facts.get("input_shape") or [])
    kind = "static image" if facts.get("static") else "sequence"
    parts = [
        _said(facts, "network" if "network" in facts else "model", "{}"),
        _said(facts, "data", "{}"),
        _said(facts, "time_steps", "T = {}"),
        f"{kind} of {shape}" if shape else "",
        _said(facts, "samples", "n = {} samples"),
        _said(facts, "score", "score: {}"),
        _said(facts, "baseline", "baseline: {}"),
        _said(facts, "steps", "paths of {} points") if any(facts.get("complete") or {}) else "",
        _orders(record),
        _said(facts, "encoder", "first spiking layer: {}"),
        _said(facts, "dtype", "{}"),
        _said(facts, "seed", "seed {}"),
    ]
    return "; ".join(p for p in parts if p) + "."


def _line(record: Record, row: pd.Series[Any], areas: pd.DataFrame | None) -> str:
    facts = record.networks.get(row["network"], {})
    said = [] if areas is None else [_of_areas(deletion(areas, row))]
    if pd.notna(row["relative_delta"]):
        against = "0" if facts.get("baseline") == "zeros" else "baseline"
        said.append("delta " + missed(row["relative_delta"], f"f(x) - f({against})"))
    if not row["relevance"]:
        said.append("activity, no relevance for the class")
    return f"{whose(row)}: {', '.join(s for s in said if s) or 'not judged'}"


def whose(row: pd.Series[Any]) -> str:
    """A method, and what its map lies over where that is not a sequence.

    >>> whose(pd.Series({"method": "ig", "place": "input", "ground": "image"}))
    'ig over the image'
    """
    if row["place"] != "input":
        return f"{row['method']} over {row['place']}"
    return f"{row['method']} over the image" if row["ground"] == "image" else str(row["method"])


def _of_areas(row: pd.Series[Any] | None) -> str:
    if row is None:
        return ""
    random = f"{row['low']:.3g} .. {row['high']:.3g}"
    random = random if pd.notna(row["low"]) else f"{row['random_area']:.3g}"
    return f"deletion over {row['over']} {row['mean_area']:.3g} (random {random})"


def _orders(record: Record) -> str:
    curves = record.tables.get("attribution_curves")
    if curves is None:
        return ""
    count = curves.loc[curves["method"] == RANDOM, "draw"].nunique()
    return f"{count} random order{'s' * (count != 1)}"


def _said(facts: dict[str, Any], key: str, text: str) -> str:
    return text.format(facts[key]) if facts.get(key) is not None else ""
