"""SNL303: the gradient norm grows toward the shallow blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnlens.checks.exploding_gradient import ExplodingGradient
from snnlens.recording.result import Finding
from tests.unit.analysis.handmade import Net, record

COUNT = 8  # blocks of depth 18


def found(norms: object, **options: object) -> list[Finding]:
    return ExplodingGradient().findings(record(Net(norms=norms, **options), depth=18))  # type: ignore[arg-type]


def high(at: int, value: float) -> np.ndarray:
    norms = np.ones(COUNT + 1)
    norms[7], norms[at] = 2.0, value  # S^7 is the last block's input
    return norms


def test_it_fires() -> None:
    (finding,) = found(high(2, 5e4))
    assert (finding.code, finding.severity, finding.site) == (
        "SNL303", "warning", "layer2.0.input",
    )  # fmt: skip
    assert finding.evidence == (
        "spiking: the norm at S^2 is 2.5e+04 times that at the last block, S^7"
    )


@pytest.mark.parametrize(
    ("norm", "severity"), [(1.98e3, None), (2.02e3, "warning"), (1.98e6, "warning"),
                           (2.02e6, "error")],
)  # fmt: skip
def test_at_its_two_bounds(norm: float, severity: str | None) -> None:
    """1e3 and 1e6 times the norm at the last block's input, which is 2."""
    assert [f.severity for f in found(high(0, norm))] == ([severity] if severity else [])


def test_the_last_output_does_not_count() -> None:
    assert found(high(8, 1e9)) == []
    norms = np.ones(COUNT + 1)
    norms[8] = 1e-9
    assert found(norms) == []


@pytest.mark.parametrize("norms", [0.0, math.nan, math.inf])
def test_nothing_to_compare(norms: float) -> None:
    assert found(norms) == []


def test_an_auxiliary_network_is_not_judged() -> None:
    assert found(high(0, 1e9), name="spiking-zero-t1") == []


def test_it_needs_gradients_and_blocks() -> None:
    assert ExplodingGradient().applies(record(Net(), depth=18))
    assert not ExplodingGradient().applies(record(Net(norms=None), depth=18))
