"""Times of several ways to do one thing, taken in turn: only ratios within a round are reported."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Seconds = dict[str, list[float]]


def in_turn(cases: Mapping[str, Callable[[], object]], rounds: int) -> Seconds:
    """Seconds of each case in each round, the order turning by one from round to round.

    A case that returns a float has kept the time itself, of a part of what it does: it is that one.
    """
    names = list(cases)
    found: Seconds = {name: [] for name in names}
    for name in names:
        cases[name]()  # warm: compiled kernels, caches
    for turn in range(rounds):
        gc.collect()
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(_time(cases[name]))
    return found


def _time(case: Callable[[], object]) -> float:
    begin = time.perf_counter()
    told = case()
    taken = time.perf_counter() - begin
    return told if isinstance(told, float) else taken


def ratio(seconds: Seconds, above: str, below: str) -> dict[str, float]:
    """above / below of each round: the median and the quartiles."""
    return quartiles([a / b for a, b in zip(seconds[above], seconds[below], strict=True)])


def quartiles(numbers: list[float]) -> dict[str, float]:
    """low, median, high."""
    if len(numbers) < 2:
        return {"low": numbers[0], "median": numbers[0], "high": numbers[0]}
    low, median, high = statistics.quantiles(numbers, n=4)
    return {"low": low, "median": median, "high": high}
