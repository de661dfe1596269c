"""SNL302: the gradient norm falls toward the shallow blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.checks.vanishing_gradient import VanishingGradient
from snnlens.recording.result import Finding
from tests.unit.analysis.handmade import Net, geometric, record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = VanishingGradient()
COUNT = 8  # blocks of depth 18


def found(norms: Any, **options: Any) -> list[Finding]:
    return CHECK.findings(record(Net(norms=norms, **options), depth=18))


def at(block: int, value: float, *, last: float = 2.0) -> np.ndarray:
    norms = np.ones(COUNT + 1)
    norms[6], norms[block] = last, value
    return norms


def test_a_factor_per_block_that_adds_up() -> None:
    """0.2 toward the input, over the 7 blocks between S^0 and S^7: 1.28e-5."""
    (finding,) = found(geometric(0.2, depth=18))
    assert (finding.code, finding.severity, finding.site) == (
        "SNL302", "warning", "layer1.0.input",
    )  # fmt: skip
    assert finding.evidence == (
        "spiking: the gradient norm changes by a factor 0.2 per block toward the input (95 % 0.2 "
        "to 0.2, R^2 1.00, 8 block inputs): over 7 blocks 1.3e-05, bound 0.001 (N = 32 samples, "
        "T = 4)"
    )


@pytest.mark.parametrize(
    ("total", "severity"),
    [(1.02e-3, None), (0.98e-3, "warning"), (1.02e-6, "warning"), (0.98e-6, "error")],
)
def test_at_its_two_bounds(total: float, severity: str | None) -> None:
    """1e-3 and 1e-6 over the 7 blocks."""
    norms = geometric(total ** (1 / 7), depth=18)
    assert [f.severity for f in found(norms)] == ([severity] if severity else [])


def test_the_same_factor_over_fewer_blocks_is_harmless() -> None:
    """What an absolute bound cannot tell: 0.86 over 7 blocks and over 49."""
    assert found(geometric(0.86, depth=18)) == []
    deep = record(Net(norms=geometric(0.86, depth=152)), depth=152)
    assert only(CHECK, deep).severity == "warning"  # 0.86^49 = 6.2e-4


def test_noise_is_no_trend() -> None:
    """The line falls by more than 1e-3, and its interval holds 1: one block is no depth."""
    norms = np.array([1e-5, 1, 1e-5, 1, 1e-5, 1, 1e-5, 1e5, 1.0])
    assert found(norms) == []
    assert found(at(1, 3e-5)) == []


def test_a_norm_that_grows_toward_the_input_does_not_vanish() -> None:
    assert found(geometric(5.0, depth=18)) == []


def test_an_exact_zero_is_said_and_is_an_error() -> None:
    """The deepest of them is where the gradient stops."""
    norms = at(0, 0.0)
    norms[2] = 0.0
    (finding,) = found(norms)
    assert (finding.severity, finding.site) == ("error", "layer2.0.input")
    assert finding.evidence == (
        "spiking: the norm at S^2 is exactly 0, the deepest of 2 such of 8 block inputs (N = 32 "
        "samples, T = 4)"
    )


def test_dead_is_not_vanishing() -> None:
    """Where a block is silent, SNL201 speaks; a line that falls without a zero is still said."""
    silent = np.where(np.arange(COUNT) == 3, 0.0, 0.2)
    assert "dead" in reason(CHECK, record(Net(norms=at(0, 0.0), nonzero=silent), depth=18))
    assert len(found(geometric(0.2, depth=18), nonzero=silent)) == 1


@pytest.mark.parametrize(
    ("norms", "why"), [(0.0, "exactly 0; SNL305"), (math.nan, "SNL301"), (math.inf, "SNL301")]
)
def test_nothing_to_compare(norms: float, why: str) -> None:
    assert why in reason(CHECK, record(Net(norms=norms), depth=18))


def test_the_small_norm_of_another_network_is_not_its_own() -> None:
    assert passes(CHECK, record(Net(norms=1.0), Net("sew", "add", norms=1e-9), depth=18))
    both = record(Net(norms=geometric(0.1, depth=18), name="spiking-zero-t1"), depth=18)
    assert "auxiliary" in reason(CHECK, both)


def test_layers_where_there_are_no_blocks() -> None:
    falls = [layer(norm=n) for n in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)]
    finding = only(CHECK, made(falls))
    assert finding.site == "0"
    assert "factor 0.1 per layer toward the input" in finding.evidence
    assert "6 spiking layers): over 5 layers 1.0e-05" in finding.evidence
    assert passes(CHECK, made([layer(norm=1.0)] * 6))


def test_it_needs_gradients_and_depth() -> None:
    assert "gradient_norm" in reason(CHECK, record(Net(norms=None), depth=18))
    assert "3 spiking layers" in reason(CHECK, made([layer()] * 3))


def test_three_norms_are_no_line_and_four_are() -> None:
    """Zeros behind the largest: they stop nothing before it."""
    zeros = [layer(norm=0.0)] * 2
    three = made([*(layer(norm=n) for n in (1e-6, 1e-3, 1.0)), *zeros])
    assert reason(CHECK, three) == "fewer than 4 norms are positive; SNL305 says where"
    four = made([*(layer(norm=n) for n in (1e-6, 1e-4, 1e-2, 1.0)), *zeros])
    assert "factor 0.01 per layer" in only(CHECK, four).evidence
