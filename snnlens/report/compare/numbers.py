"""The numbers of two aligned tables: what each became, with an interval where there are seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from snnlens.measures import compare as measures
from snnlens.measures.compare import Change
from snnlens.report.compare.align import Aligned, Pair
from snnlens.report.compare.keys import at, number
from snnlens.report.compare.names import NO_SEED

Floats = NDArray[np.float64]
RATIO, DIFFERENCE = "ratio", "difference"
# Quantities that multiply along a network: what counts is by how much they were multiplied.
MULTIPLY = (
    "gradient_norm",
    "gradient_per_sample",
    "predicted_norm",
    "factor",
    "parameter_gradient",
)
BOUNDED = ("rate", "share", "top1", "top5", "error", "correlation", "active", "infidelity")
DECADES = 3.0  # an unknown quantity above 0 that spans as many is one that multiplies
NUMBERS = (
    "table", "run", "quantity", "network", "other_network", "series", "a_at", "b_at", "scale", "a",
    "b", "change", "low", "high", "seeds_a", "seeds_b", "interval", "differs",
)  # fmt: skip
SUMMARY = (
    "table", "run", "quantity", "network", "other_network", "series", "scale", "places", "differ",
    "missing", "a", "b", "change", "low", "high", "seeds_a", "seeds_b", "interval",
)  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """The pairs of one network, and one of its quantities as [pairs, seeds] of each run."""

    pairs: list[Pair]
    seeds_a: list[int]
    seeds_b: list[int]

    @property
    def paired(self) -> bool:
        return self.seeds_a == self.seeds_b

    @property
    def interval(self) -> str:
        """How an interval is made, or why there is none."""
        n, m = len(self.seeds_a), len(self.seeds_b)
        if self.seeds_a == [NO_SEED] or self.seeds_b == [NO_SEED]:
            return "no seeds: no interval"
        if min(n, m) < 2:
            return "one seed: no interval"
        return f"t of {n} paired seeds" if self.paired else f"Welch's t of {n} and {m} seeds"


def numbers(aligned: Aligned, scales: Mapping[str, str]) -> pd.DataFrame:
    """A row per pair of rows and quantity: a, b, b - a or b / a, its 95 % interval."""
    asked = [(q, scales[q]) for q in aligned.quantities]
    parts = [_rows(aligned, n, *one) for n in _networks(aligned) for one in asked]
    made = pd.DataFrame([row for part in parts for row in part], columns=list(NUMBERS))
    return made.astype({"differs": bool})


def summary(aligned: Aligned, scales: Mapping[str, str]) -> pd.DataFrame:
    """A row per network, series and quantity: the mean over its places of each seed, its change."""
    asked = [(q, scales[q]) for q in aligned.quantities]
    parts = [part for network in _networks(aligned) for part in _series(aligned, network)]
    rows = [_mean(aligned, part, *one) for part in parts for one in asked]
    return pd.DataFrame([r for r in rows if r], columns=list(SUMMARY))


def scales(tables: Sequence[Aligned]) -> dict[str, str]:
    """Per quantity of a table whether its change is said as b / a or as b - a, for all runs."""
    quantities = dict.fromkeys(q for one in tables for q in one.quantities)
    frames = [frame for one in tables for frame in (one.a, one.b)]
    return {q: _scale(q, [f for f in frames if q in f and number(f[q])]) for q in quantities}


def _scale(quantity: str, frames: Sequence[pd.DataFrame]) -> str:
    values = np.concatenate([_values(frame, quantity) for frame in frames])
    values = values[np.isfinite(values)]
    if not len(values) or (values < 0).any():
        return DIFFERENCE
    if any(quantity.startswith(name) for name in MULTIPLY):
        return RATIO
    if any(word in quantity.split("_") for word in BOUNDED):
        return DIFFERENCE
    positive = values[values > 0]
    spans = len(positive) > 1 and math.log10(positive.max() / positive.min()) >= DECADES
    return RATIO if spans else DIFFERENCE


def means(values: ArrayLike, kind: str) -> Floats:
    """Over seeds, the last axis: geometric of what multiplies, where all are above 0 and finite.

    >>> means([[1.0, 4.0], [0.0, 4.0]], "ratio").tolist(), float(means([1.0, 4.0], "difference"))
    ([2.0, 2.0], 2.5)
    """
    x = np.asarray(values, float)
    plain = measures.paired(x, x).a
    if kind == DIFFERENCE or x.shape[-1] == 1:
        return plain
    found = measures.ratio(x, x, pair=True).a
    return np.where(np.isfinite(found), found, plain)


def size(rows: pd.DataFrame) -> pd.Series[float]:
    """How large each change is, to rank those of one quantity: 0 is no change.

    >>> found = size(pd.DataFrame({"scale": ["ratio", "difference"], "change": [0.5, -2.0]}))
    >>> found.round(3).tolist()
    [0.693, 2.0]
    """
    change = rows["change"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.abs(np.log(change))
    return pd.Series(np.where(rows["scale"] == RATIO, logs, np.abs(change)), rows.index)


def _networks(aligned: Aligned) -> Iterator[_Network]:
    """Pairs of one network that have the same seeds, together."""
    groups: dict[Any, list[Pair]] = {}
    for pair in aligned.pairs:
        seeds = (pair.match, tuple(sorted(pair.rows_a)), tuple(sorted(pair.rows_b)))
        groups.setdefault(seeds, []).append(pair)
    for (_, of_a, of_b), pairs in groups.items():
        yield _Network(pairs, list(of_a), list(of_b))


def _series(aligned: Aligned, network: _Network) -> Iterator[_Network]:
    """The pairs of one network that differ in the axis alone: one curve."""
    curves: dict[Any, list[Pair]] = {}
    for pair in network.pairs:
        curves.setdefault(aligned.series(pair.a), []).append(pair)
    for pairs in curves.values():
        yield _Network(pairs, network.seeds_a, network.seeds_b)


def _rows(aligned: Aligned, network: _Network, quantity: str, kind: str) -> list[dict[str, Any]]:
    x = _matrix(aligned.a, quantity, [p.rows_a for p in network.pairs], network.seeds_a)
    y = _matrix(aligned.b, quantity, [p.rows_b for p in network.pairs], network.seeds_b)
    found = _change(x, y, kind, network.paired)
    said = _common(aligned, network, quantity, kind)
    differ = _differs(x, y, network.paired)
    columns = zip(network.pairs, *(part.tolist() for part in found), differ, strict=True)
    return [
        said | _where(aligned, pair) | _interval(network, a, b, low)
        | {"a": a, "b": b, "change": change, "low": low, "high": high, "differs": bool(other)}
        for pair, a, b, change, low, high, other in columns
        if not (math.isnan(a) and math.isnan(b))
    ]  # fmt: skip


def _mean(aligned: Aligned, network: _Network, quantity: str, kind: str) -> dict[str, Any] | None:
    """Of one network: mean over its places of each seed, then the change over seeds."""
    x = _matrix(aligned.a, quantity, [p.rows_a for p in network.pairs], network.seeds_a)
    y = _matrix(aligned.b, quantity, [p.rows_b for p in network.pairs], network.seeds_b)
    there = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    if kind == RATIO:
        there &= (x > 0).all(1) & (y > 0).all(1)
    exists = ~(np.isnan(x).all(1) & np.isnan(y).all(1))
    differ = _differs(x, y, network.paired)
    if not exists.any():
        return None
    found = _means(x[there], y[there], kind, network.paired)
    return (
        _common(aligned, network, quantity, kind)
        | {"series": aligned.series_said(network.pairs[0].a)}
        | {"places": int(exists.sum()), "differ": int((differ & exists).sum()),
           "missing": int((exists & ~there).sum())}
        | _interval(network, found.a, found.b, found.low) | found._asdict()
    )  # fmt: skip


def _means(x: Floats, y: Floats, kind: str, paired: bool) -> Change:
    """The change of the mean over places, arithmetic or geometric, as plain numbers."""
    if not len(x):
        return Change(*(np.float64(math.nan),) * 5)  # type: ignore[arg-type]
    if kind == RATIO:
        x, y = np.log(x), np.log(y)
    found = (measures.paired if paired else measures.welch)(x.mean(0), y.mean(0))
    return Change(*(np.exp(part) for part in found)) if kind == RATIO else found


def _change(x: Floats, y: Floats, kind: str, paired: bool) -> Change:
    """Per place. A quotient with a 0 in it is that of the means, without an interval."""
    if kind == DIFFERENCE:
        return (measures.paired if paired else measures.welch)(x, y)
    found, a, b = measures.ratio(x, y, pair=paired), means(x, kind), means(y, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where((a == 0) & (b == 0), 1.0, b / a)
    logs = np.isfinite(found.change)
    change, low, high = (np.where(logs, part, math.nan) for part in found[2:])
    return Change(a, b, np.where(logs, change, quotient), low, high)


def _differs(x: Floats, y: Floats, paired: bool) -> NDArray[np.bool_]:
    """Exactly: of the same seeds any number, of others their mean; no value equals no value."""
    if not paired:
        x, y = x.mean(1, keepdims=True), y.mean(1, keepdims=True)
    return np.asarray(~((x == y) | (np.isnan(x) & np.isnan(y))).all(1))


def _matrix(
    table: pd.DataFrame, quantity: str, rows: Sequence[dict[int, int]], seeds: list[int]
) -> Floats:
    """[pairs, seeds], NaN where there is no value."""
    values = _values(table, quantity)
    index = np.array([[row[seed] for seed in seeds] for row in rows])
    return np.asarray(values[index])


def _values(table: pd.DataFrame, quantity: str) -> Floats:
    return table[quantity].to_numpy(dtype=float, na_value=math.nan)


def _common(aligned: Aligned, network: _Network, quantity: str, kind: str) -> dict[str, Any]:
    match = network.pairs[0].match
    return {
        "table": aligned.table, "run": aligned.side_b.letter, "quantity": quantity,
        "network": match.a, "other_network": match.b, "scale": kind,
        "seeds_a": _count(network.seeds_a), "seeds_b": _count(network.seeds_b),
    }  # fmt: skip


def _count(seeds: list[int]) -> int:
    return 0 if seeds == [NO_SEED] else len(seeds)


def _where(aligned: Aligned, pair: Pair) -> dict[str, str]:
    return {
        "series": aligned.series_said(pair.a),
        "a_at": at(pair.a, aligned.keys), "b_at": at(pair.b, aligned.keys),
    }  # fmt: skip


def _interval(network: _Network, a: Any, b: Any, low: Any) -> dict[str, str]:
    said = network.interval
    if "no interval" not in said and not math.isfinite(low):
        ends = (a, b)
        what = (
            "missing"
            if any(map(math.isnan, ends))
            else "infinite"
            if any(map(math.isinf, ends))
            else "0"
        )
        said = f"a value is {what}: no interval"
    return {"interval": said}
