"""SNL302: the gradient norm falls toward the shallow blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.checks.vanishing_gradient import VanishingGradient
from snnlens.recording.result import Finding
from tests.unit.analysis.handmade import Net, record

COUNT = 8  # blocks of depth 18


def found(norms: object, **options: object) -> list[Finding]:
    return VanishingGradient().findings(record(Net(norms=norms, **options), depth=18))  # type: ignore[arg-type]


def low(at: int, value: float) -> np.ndarray:
    norms = np.ones(COUNT + 1)
    norms[6], norms[at] = 2.0, value
    return norms


def test_it_fires() -> None:
    (finding,) = found(low(1, 3e-5))
    assert (finding.code, finding.severity, finding.site) == (
        "SNL302", "warning", "layer1.1.input",
    )  # fmt: skip
    assert finding.evidence == "spiking: the norm at S^1 is 1.5e-05 of the largest, at S^6"


@pytest.mark.parametrize(
    ("norm", "severity"),
    [(2.02e-3, None), (1.98e-3, "warning"), (2.02e-6, "warning"), (1.98e-6, "error")],
)
def test_at_its_two_bounds(norm: float, severity: str | None) -> None:
    """1e-3 and 1e-6 of the largest, which is 2."""
    assert [f.severity for f in found(low(0, norm))] == ([severity] if severity else [])


def test_a_norm_that_grows_toward_the_input_does_not_vanish() -> None:
    norms = np.ones(COUNT + 1)
    norms[1], norms[7] = 1e6, 1e-6  # the largest lies before the smallest
    assert found(norms) == []


def test_an_exact_zero_is_said_and_is_an_error() -> None:
    (finding,) = found(low(0, 0.0))
    assert (finding.severity, finding.evidence) == (
        "error", "spiking: the norm at S^0 is exactly 0",
    )  # fmt: skip


def test_dead_is_not_vanishing() -> None:
    """Where a block is silent, SNL201 speaks; a small norm that is not 0 is still said."""
    silent = np.where(np.arange(COUNT) == 3, 0.0, 0.2)
    assert found(low(0, 0.0), nonzero=silent) == []
    assert len(found(low(0, 1e-9), nonzero=silent)) == 1


@pytest.mark.parametrize("norms", [0.0, math.nan, math.inf])
def test_nothing_to_compare(norms: float) -> None:
    assert found(norms) == []


def test_the_small_norm_of_another_network_is_not_its_own() -> None:
    made = record(Net(norms=1.0), Net("sew", "add", norms=1e-9), depth=18)
    assert VanishingGradient().findings(made) == []
    made = record(Net(norms=low(0, 1e-9), name="spiking-zero-t1"), depth=18)
    assert VanishingGradient().findings(made) == []  # auxiliary


def test_it_needs_gradients_and_blocks() -> None:
    assert VanishingGradient().applies(record(Net(), depth=18))
    assert not VanishingGradient().applies(record(Net(norms=None), depth=18))
