"""SNL303: the gradient norm grows toward the shallow blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.checks.exploding_gradient import ExplodingGradient
from snnlens.recording.result import Finding
from tests.unit.analysis.handmade import Net, geometric, record
from tests.unit.checks.handmade import layer, made, only, reason

CHECK = ExplodingGradient()
COUNT = 8  # blocks of depth 18


def found(norms: Any, **options: Any) -> list[Finding]:
    return CHECK.findings(record(Net(norms=norms, **options), depth=18))


def test_a_factor_per_block_that_adds_up() -> None:
    """5 toward the input, over the 7 blocks between S^0 and S^7: 78,125."""
    (finding,) = found(geometric(5.0, depth=18))
    assert (finding.code, finding.severity, finding.site) == (
        "SNL303", "warning", "layer1.0.input",
    )  # fmt: skip
    assert finding.evidence == (
        "spiking: the gradient norm changes by a factor 5 per block toward the input (95 % 5 to 5, "
        "R^2 1.00, 8 block inputs): over 7 blocks 7.8e+04, bound 1000 (N = 32 samples, T = 4)"
    )


@pytest.mark.parametrize(
    ("total", "severity"),
    [(0.98e3, None), (1.02e3, "warning"), (0.98e6, "warning"), (1.02e6, "error")],
)
def test_at_its_two_bounds(total: float, severity: str | None) -> None:
    """1e3 and 1e6 over the 7 blocks."""
    norms = geometric(total ** (1 / 7), depth=18)
    assert [f.severity for f in found(norms)] == ([severity] if severity else [])


def test_one_large_norm_is_no_trend() -> None:
    norms = np.ones(COUNT + 1)
    norms[2] = 5e4
    assert found(norms) == []


def test_the_last_output_does_not_count() -> None:
    """S^L = O^(L-1) is where the loss begins, not a block's input."""
    norms = np.ones(COUNT + 1)
    norms[8] = 1e-30
    assert found(norms) == []


def test_zeros_are_left_out_of_the_line() -> None:
    norms = geometric(8.0, depth=18)
    norms[0] = 0.0
    (finding,) = found(norms)
    assert finding.site == "layer1.1.input"
    assert "1 exact zeros left out): over 6 blocks 2.6e+05" in finding.evidence


@pytest.mark.parametrize(
    ("norms", "why"), [(0.0, "exactly 0; SNL305"), (math.nan, "SNL301"), (math.inf, "SNL301")]
)
def test_nothing_to_compare(norms: float, why: str) -> None:
    assert why in reason(CHECK, record(Net(norms=norms), depth=18))


def test_an_auxiliary_network_is_not_judged() -> None:
    assert found(geometric(9.0, depth=18), name="spiking-zero-t1") == []


def test_layers_where_there_are_no_blocks() -> None:
    grows = [layer(norm=n) for n in (1e5, 1e4, 1e3, 1e2, 10.0, 1.0)]
    assert only(CHECK, made(grows)).site == "0"


def test_it_needs_gradients_and_depth() -> None:
    assert "gradient_norm" in reason(CHECK, record(Net(norms=None), depth=18))
    few = [layer(norm=n) for n in (0.0, 0.0, 1.0, 1.0, 1.0)]
    assert "fewer than 4" in reason(CHECK, made(few))


def test_four_norms_are_enough() -> None:
    assert only(CHECK, made([layer(norm=n) for n in (1e6, 1e4, 1e2, 1.0)])).site == "0"
    zero = [layer(norm=n) for n in (1e6, 1e4, 1e2, 0.0)]
    assert "fewer than 4 norms are positive" in reason(CHECK, made(zero))
