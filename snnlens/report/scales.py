"""Axes of a drawing that needs no matplotlib: a range, its ticks, where a value lies in it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from snnlens.report import numbers

Kind = Literal["zero", "free", "log"]
LOW, HIGH = 5.0, 95.0  # percent of the height that values take
FLOOR, ABOVE_FLOOR = 5.0, 22.0  # where an exact zero lies on a log axis, and what is left then
MOST_TICKS = 4


@dataclass(frozen=True)
class Scale:
    """A range of values laid over a height of 100.

    Attributes:
        log: whether the logarithm is laid out; an exact zero lies on the floor then.
        low, high: of the range; of the logarithm on a log axis.
        bottom: where `low` lies.
        ticks: height and label.
    """

    log: bool
    low: float
    high: float
    bottom: float
    ticks: list[tuple[float, str]]

    def at(self, value: float) -> float | None:
        """The height of a value in percent; None where it has none.

        >>> scale([0.0, 1.0], "zero").at(0.5)
        50.0
        """
        if not math.isfinite(value):
            return None
        if self.log:
            return FLOOR if value == 0 else self._laid(math.log10(abs(value)))
        return self._laid(value)

    def _laid(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.bottom + share * (HIGH - self.bottom), 2)


def scale(values: Iterable[float], kind: Kind) -> Scale:
    """The axis of some values: from zero, free, or of powers of ten.

    >>> [label for _, label in scale([1e-26, 1.0], "log").ticks]
    ['10⁻²⁰', '10⁻¹⁰', '1']
    """
    known = [v for v in values if math.isfinite(v)]
    return _log(known) if kind == "log" else _linear(known, zero=kind == "zero")


def whole_ticks(first: int, last: int, most: int = 8) -> list[int]:
    """Round whole numbers between two.

    >>> whole_ticks(0, 49), whole_ticks(0, 2)
    ([0, 10, 20, 30, 40], [0, 1, 2])
    """
    steps = (s * 10**p for p in range(7) for s in (1, 2, 5))
    step = next(s for s in steps if (last - first) // s < most)
    return [i for i in range(first, last + 1) if i % step == 0]


def _linear(known: list[float], *, zero: bool) -> Scale:
    low, high = min(known, default=0.0), max(known, default=1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(high), abs(low)):  # one value: a range around it
        low, high = (low, low + 1.0) if low == 0 else (low - abs(low) / 2, high + abs(high) / 2)
    made = Scale(False, low, high, LOW, [])
    step = _step((high - low) / MOST_TICKS)
    multiples = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ticks = [(made.at(i * step) or 0.0, numbers.number(i * step)) for i in multiples]
    return Scale(False, low, high, LOW, ticks)


def _step(wanted: float) -> float:
    """The round number at or above."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(s * power for s in (1, 2, 5, 10) if s * power >= wanted * (1 - 1e-9))


def _log(known: list[float]) -> Scale:
    logs = [math.log10(abs(v)) for v in known if v]
    bottom = ABOVE_FLOOR if 0 in known else LOW
    low, high = min(logs, default=-1.0), max(logs, default=0.0)
    if high - low < 1:  # a decade at least: noise is no slope
        middle = (low + high) / 2
        low, high = middle - 0.5, middle + 0.5
    made = Scale(True, low, high, bottom, [])
    ticks = [(made.at(v) or 0.0, label) for v, label in _log_ticks(low, high)] if logs else []
    return Scale(True, low, high, bottom, ([(FLOOR, "0")] if 0 in known else []) + ticks)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    powers = whole_ticks(math.ceil(low), math.floor(high), MOST_TICKS)
    if len(powers) > 1:
        return [(10.0**p, _power(p)) for p in powers]
    steps = [s * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for s in (1, 2, 5)]
    inside = [v for v in steps if low <= math.log10(v) <= high]
    return [(v, numbers.number(v)) for v in inside]


def _power(exponent: int) -> str:
    if -3 <= exponent <= 3:
        return numbers.number(10.0**exponent)
    return "10" + str(exponent).translate(numbers.SUPERSCRIPT)
