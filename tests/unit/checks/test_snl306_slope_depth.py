"""SNL306: the largest surrogate slopes, multiplied over depth, are far from 1."""

from __future__ import annotations

from typing import Any

import pytest

from snnlens.checks.slope_depth import SlopeDepth
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = SlopeDepth()


def deep(slope: float, count: int, **facts: Any) -> Record:
    return made([layer(slope=slope)] * count, **facts)


def test_a_slope_of_two_in_eighteen_layers() -> None:
    """2^18 = 262,144 = 10^5.4."""
    finding = only(CHECK, deep(2.0, 18))
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "net: 18 spiking layers with largest slopes of 2 to 2, product 1e+5.4, bounds 1e-3 and 1e+3"
    )


@pytest.mark.parametrize(
    ("product", "issue"), [(0.98e3, False), (1.02e3, True), (1.02e-3, False), (0.98e-3, True)]
)
def test_at_its_bounds(product: float, *, issue: bool) -> None:
    assert passes(CHECK, deep(product ** (1 / 10), 10)) is not issue


def test_a_peak_of_one_is_right_at_any_depth() -> None:
    assert passes(CHECK, deep(1.0, 150))


def test_shortcuts_make_it_a_note() -> None:
    block = layer(site="b.input", role="block_input", slope=None)
    rows = [block, *[layer(slope=2.0)] * 18]
    assert only(CHECK, made(rows, residual="sew")).severity == "note"
    assert only(CHECK, made(rows)).severity == "note"  # a foreign block, of unknown kind
    assert only(CHECK, made(rows, residual="spiking")).severity == "warning"


def test_few_layers_or_unknown_slopes() -> None:
    assert "7 spiking layers" in reason(CHECK, deep(100.0, 7))
    assert "0 spiking layers" in reason(CHECK, made([layer(slope=None)] * 20))


def test_slopes_of_zero_have_no_product() -> None:
    rows = [layer(slope=2.0)] * 11 + [layer(slope=0.0)]
    finding = only(CHECK, made(rows))
    assert "11 spiking layers with largest slopes of 2 to 2, product 1e+3.3" in finding.evidence


def test_exactly_eight_layers_are_enough() -> None:
    assert only(CHECK, deep(100.0, 8)).evidence.startswith("net: 8 spiking layers")


def test_a_note_says_why_it_is_one() -> None:
    block = layer(site="b.input", role="block_input", slope=None)
    rows = [block, *[layer(slope=0.5)] * 11]
    assert only(CHECK, made(rows, residual="sew")).evidence == (
        "net: 11 spiking layers with largest slopes of 0.5 to 0.5, product 1e-3.3, bounds 1e-3 and "
        "1e+3; its blocks have shortcuts around them"
    )
    assert only(CHECK, made(rows, residual="spiking")).evidence.endswith("bounds 1e-3 and 1e+3")
