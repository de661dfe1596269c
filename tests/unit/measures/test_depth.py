"""factor = exp(-slope) against numpy's own least squares and against exact geometric series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.measures.depth import factor_per_block, without_ends


@pytest.mark.parametrize("factor", [0.2884, 0.95, 1.0, 1.5])
def test_geometric_series(factor: float) -> None:
    blocks = np.arange(13, 47)
    fit = factor_per_block(blocks, 3e-9 * factor ** (46.0 - blocks))
    assert fit.factor == pytest.approx(factor, rel=1e-12)
    assert fit.r_squared == pytest.approx(1)
    assert fit.points == 34


def test_against_numpy() -> None:
    rng = np.random.default_rng(0)
    blocks, norms = np.arange(20), np.exp(rng.normal(size=20) - 0.1 * np.arange(20))
    fit = factor_per_block(blocks, norms)
    slope, _ = np.polyfit(blocks, np.log(norms), 1)
    r = np.corrcoef(blocks, np.log(norms))[0, 1]
    assert fit.factor == pytest.approx(math.exp(-slope), rel=1e-12)
    assert fit.r_squared == pytest.approx(r**2, rel=1e-12)


def test_direction() -> None:
    """Below 1: the norm falls toward the input (vanishing)."""
    assert factor_per_block([0, 1, 2], [1.0, 2.0, 4.0]).factor == pytest.approx(0.5)
    assert factor_per_block([0, 1, 2], [4.0, 2.0, 1.0]).factor == pytest.approx(2.0)
    assert factor_per_block([3, 4], [1.0, 4.0]).factor == pytest.approx(0.25)  # two do


@pytest.mark.parametrize(
    "norms", [[1.0], [], [1.0, 0.0, 1.0], [1.0, math.nan, 1.0], [1.0, math.inf, 1.0], [1.0, -1.0]]
)
def test_no_line(norms: list[float]) -> None:
    fit = factor_per_block(list(range(len(norms))), norms)
    assert math.isnan(fit.factor)
    assert math.isnan(fit.r_squared)
    assert fit.points == len(norms)


def test_without_ends() -> None:
    assert without_ends([4, 5, 6, 7]) == [5, 6]
    assert without_ends([4, 5]) == without_ends([4]) == without_ends([]) == []
