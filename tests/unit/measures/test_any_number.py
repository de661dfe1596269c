"""A column of a table may come as objects (it had a null): the numbers are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snnlens.measures import (
    attribution,
    compare,
    conversion,
    degradation,
    depth,
    fit,
    isometry,
    quotients,
    silence,
    whole,
)

X, Y, Z = [1.0, 2.0, 4.0], [3.0, 2.5, 7.0], [30.0, 40.0, 90.0]
RISING = [0.0, 0.5, 1.0]
HALF = [0.5, 0.25, 0.75]
COUNTS = [4, 5, 6]
GRAM = (np.eye(32) + 0.1).tolist()
CALLS: list[tuple[Callable[..., Any], tuple[list[Any], ...], dict[str, Any]]] = [
    (attribution.area, (RISING, Y), {}),
    (attribution.rank_correlation, (X, Y), {}),
    (attribution.interval, (Y,), {}),
    (attribution.relative_delta, (HALF, X, Y), {}),
    (compare.paired, (X, Y), {}),
    (compare.welch, (X, Y), {}),
    (compare.ratio, (X, Y), {"pair": True}),
    (compare.student_t, (X,), {}),
    (conversion.rms, (X, COUNTS), {}),
    (conversion.signed_mean, (X, COUNTS), {}),
    (conversion.share, (X, COUNTS), {}),
    (conversion.correlation, (X, Y, Z, X, Z), {"values": 4}),
    (conversion.power_law, (X, Z), {}),
    (conversion.gap, (X, Y), {}),
    (conversion.shift_bias, (COUNTS, X), {}),
    (degradation.slope, (X, Y), {}),
    (degradation.slopes, (X, Y, [0, 0, 0]), {}),
    (degradation.at_chance, (X, COUNTS), {}),
    (depth.factor_per_block, (X, Y), {}),
    (fit.factor_per_block, (X, RISING), {}),
    (fit.factor_per_step, (X, RISING), {}),
    (quotients.ratio, (X, Y), {}),
    (quotients.root_mean, (X, Y), {}),
    (quotients.relative_norm, (X, Y), {}),
    (quotients.value, (X,), {}),
    (quotients.root, (X,), {}),
    (quotients.cosine, (X, Y, Z), {}),
    (quotients.deviation, (X, Z, COUNTS), {}),
    (quotients.coefficient_of_variation, (X, Z, COUNTS), {}),
    (quotients.fano, (X, Z, COUNTS), {}),
    (quotients.bit_width, (COUNTS,), {}),
    (quotients.xi, (X, Z, COUNTS, Y, HALF, HALF), {}),
    (quotients.xi_at_step, (X, Z, COUNTS, Y, HALF, HALF, COUNTS), {}),
    (silence.silent_by_chance, (HALF, 4), {}),
    (isometry.eigenvalue_moments, (GRAM, 8), {}),
    (whole.share_between, ([1, 2, 3, 4],), {"edges": RISING, "low": 0.0, "high": 1.0}),
    (whole.silent_share, ([0b10100000],), {"neurons": 4}),
]  # fmt: skip


def flat(found: Any) -> list[float]:
    """Every number of an answer, in order."""
    if isinstance(found, dict):
        found = list(found.values())
    if hasattr(found, "__dataclass_fields__"):
        found = [getattr(found, name) for name in found.__dataclass_fields__]
    if isinstance(found, (tuple, list)):
        return [number for part in found for number in flat(part)]
    assert np.asarray(found).dtype != object
    return np.asarray(found, float).ravel().tolist()


@pytest.mark.parametrize(("function", "given", "more"), CALLS)
def test_objects_are_numbers(
    function: Callable[..., Any], given: tuple[list[Any], ...], more: dict[str, Any]
) -> None:
    wanted = flat(function(*given, **more))
    assert np.isfinite(wanted).any()
    for at, column in enumerate(given):
        if isinstance(column, list):
            objects = [*given[:at], np.array(column, dtype=object), *given[at + 1 :]]
            assert flat(function(*objects, **more)) == wanted
