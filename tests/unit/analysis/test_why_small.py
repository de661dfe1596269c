"""Why a gradient is small: each word, and none where it is not small."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.analysis._why_small import FLOAT32_TINY, why_small
from snnlens.recording import blocks
from tests.unit.analysis.handmade import Net, record

COUNT = 8  # blocks of depth 18


def words(net: Net, **options: Any) -> list[str]:
    made = record(net, depth=18, **options)
    (network,) = blocks.networks(made)
    return why_small(made, network)


def norms(**at: float) -> np.ndarray:
    values = np.ones(COUNT + 1)
    for name, value in at.items():
        values[int(name[1:])] = value
    return values


def test_a_level_line_has_no_reason() -> None:
    assert words(Net()) == [""] * COUNT


@pytest.mark.parametrize(("norm", "word"), [(1.001e-3, ""), (0.999e-3, "product of factors")])
def test_small_is_below_a_thousandth_of_the_largest(norm: float, word: str) -> None:
    assert words(Net(norms=norms(s3=norm)))[3] == word
    # the largest may be the last output, S^8, which has no row of its own
    assert words(Net(norms=norms(s8=1 / norm)))[0] == word


def test_silent_is_said_of_what_lies_before_a_silent_output() -> None:
    nonzero = np.where(np.arange(COUNT) == 4, 0.0, 0.3)
    net = Net(norms=norms(s0=0, s4=0, s5=0), nonzero=nonzero)
    made = words(net)
    assert (made[0], made[4]) == ("silent", "silent")
    assert made[5] == "underflow"  # O^4 lies before S^5: it does not explain it


def test_a_silent_block_explains_no_norm_that_is_not_0() -> None:
    made = words(Net(norms=norms(s0=1e-5), nonzero=0.0))
    assert made[0] == "product of factors"


def test_surrogate_inactive() -> None:
    active = np.full(COUNT, 50)
    active[3] = 0
    net = Net(norms=norms(s2=0, s3=0, s4=0), active=active)
    made = words(net)
    assert made[2:5] == ["surrogate inactive", "surrogate inactive", "underflow"]


def test_silent_comes_before_surrogate_inactive() -> None:
    assert words(Net(norms=norms(s0=0), nonzero=0.0, active=0))[0] == "silent"


def test_an_exact_zero_is_no_1e_minus_300() -> None:
    """1e-150 (whose square is 1e-300) is a product that float64 holds; 0 is another thing."""
    made = words(Net(norms=norms(s0=0.0, s1=1e-150)))
    assert made[:2] == ["underflow", "underflow"]
    silent = np.where(np.arange(COUNT) == 7, 0.0, 0.3)
    made = words(Net(norms=norms(s0=0.0, s1=1e-150), nonzero=silent))
    assert made[:2] == ["silent", "underflow"]  # not zero: below what float32 resolves


@pytest.mark.parametrize(("factor", "word"), [(1.01, "product of factors"), (0.99, "underflow")])
def test_underflow_is_judged_by_the_typical_element(factor: float, word: str) -> None:
    """4,000 neurons, 32 samples, 4 steps: a norm is sqrt(512,000) typical elements."""
    norm = factor * FLOAT32_TINY * math.sqrt(4000 * 32 * 4)
    assert words(Net(norms=norms(s2=norm)))[2] == word


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_has_no_reason_and_takes_none_away(bad: float) -> None:
    """Non-finite is SNL301's to say; the other blocks are judged by the finite norms."""
    made = words(Net(norms=norms(s1=bad, s3=1e-4)))
    assert made == ["", "", "", "product of factors", "", "", "", ""]


def test_no_number_at_all() -> None:
    assert words(Net(norms=math.nan)) == [""] * COUNT


def test_all_zero() -> None:
    assert words(Net(norms=0.0)) == ["underflow"] * COUNT
    assert words(Net(norms=0.0, nonzero=0.0)) == ["silent"] * COUNT


def test_without_firing_rates() -> None:
    assert words(Net(norms=norms(s0=0.0, s1=1e-5), rates=None))[:2] == [
        "underflow", "product of factors",
    ]  # fmt: skip
