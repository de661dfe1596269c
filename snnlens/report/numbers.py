"""Numbers as a reader sees them: four significant digits, powers of ten set as such."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

Show = Callable[[float], str]

SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
MINUS = "−"
NARROW = "\u202f"  # a narrow space that no line break splits
DIGITS = 4
MOST_DECIMALS = 5


def scientific(value: float) -> str:
    """Four significant digits and a power of ten.

    >>> scientific(-1.5e-26), scientific(0.0), scientific(float("inf"))
    ('−1.500\u202f×\u202f10⁻²⁶', '0', '∞')
    """
    if value == 0 or not math.isfinite(value):
        return _special(value)
    mantissa, _, exponent = f"{value:.{DIGITS - 1}e}".partition("e")
    power = str(int(exponent)).translate(SUPERSCRIPT)
    return f"{_minus(mantissa)}{NARROW}×{NARROW}10{power}"


def number(value: float) -> str:
    """One number alone: plain where that is short, else with a power of ten.

    >>> number(0.98), number(3.4e-6), number(0.0), number(1234.0)
    ('0.98', '3.4\u202f×\u202f10⁻⁶', '0', '1234')
    """
    if value == 0 or not math.isfinite(value):
        return _special(value)
    if not 1e-3 <= abs(value) < 1e4:
        mantissa, times, power = scientific(value).partition(NARROW)
        return mantissa.rstrip("0").rstrip(".") + times + power
    return _minus(f"{value:.{DIGITS}g}")


def column(values: Iterable[float]) -> tuple[Show, bool]:
    """How to show one column so that its points align, and whether with powers of ten.

    Whole numbers stay whole; else a fixed number of decimals that gives the smallest number four
    significant digits, if five decimals are enough for that.

    >>> show, powers = column([0.145, 6.6])
    >>> show(0.145), show(6.6), powers
    ('0.1450', '6.6000', False)
    >>> show, powers = column([1e-26, 0.5])
    >>> show(0.5), powers
    ('5.000\u202f×\u202f10⁻¹', True)
    """
    finite = [abs(v) for v in values if v and math.isfinite(v)]
    if not finite or (all(v == int(v) for v in finite) and max(finite) < 1e6):
        return _whole, False
    decimals = DIGITS - 1 - math.floor(math.log10(min(finite)))
    if decimals > MOST_DECIMALS or max(finite) >= 1e4:
        return scientific, True
    return _fixed(max(decimals, 0)), False


def _whole(value: float) -> str:
    return _minus(f"{value:.0f}") if math.isfinite(value) else _special(value)


def _fixed(decimals: int) -> Show:
    def show(value: float) -> str:
        if value == 0 or not math.isfinite(value):
            return _special(value)  # an exact zero is told from a small number
        return _minus(f"{value:.{decimals}f}")

    return show


def _special(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    return "0"


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
