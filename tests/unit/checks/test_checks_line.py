"""The straight line that SNL302, 303 and 304 judge: exactly at its bounds, and in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.checks import _line
from snnlens.checks._line import Line
from snnlens.checks._seen import Seen, networks
from tests.unit.checks.handmade import layer, layers, made


def line(*norms: float, unit: str = "block") -> Line:
    places = [f"b{i}" for i in range(len(norms))]
    at = np.arange(len(norms), dtype=float)
    return Line(np.array(norms, float), at, places, places, unit, f"{len(norms)} norms", "N = 1")


def the(rows: list[dict[str, Any]]) -> Seen:
    return networks(made(rows))[0]


def test_the_way_of_the_gradient() -> None:
    assert line(1, 2, 4, 8).fit.factor == pytest.approx(0.5, rel=1e-12)
    assert line(1, 2, 4, 8).total == pytest.approx(1 / 8, rel=1e-12)


@pytest.mark.parametrize(
    ("norms", "span"),
    [((1, 2, 4), 2), ((0, 1, 2, 4, 8), 3), ((1, 0, 4, 8, math.nan), 3), ((math.inf, 1, 2, 4), 2)],
)
def test_the_span_is_that_of_the_fitted_norms(norms: tuple[float, ...], span: int) -> None:
    assert line(*norms).span == span


@pytest.mark.parametrize(
    ("factor", "vanishes", "explodes"),
    [(9.9, False, False), (10.1, False, True), (1 / 9.9, False, False), (1 / 10.1, True, False)],
)
def test_a_thousand_over_three_steps(factor: float, vanishes: bool, explodes: bool) -> None:
    found = line(*(factor ** -np.arange(4.0)))
    assert (found.vanishes, found.explodes) == (vanishes, explodes)


def test_noise_is_neither() -> None:
    """A factor far from 1 whose interval holds 1."""
    for turned in (1, -1):
        found = line(*[1.0, 1e9, 1e-3, 1e9, 1e-5, 1e6, 1e-9, 1e3][::turned])
        assert not 1e-3 < found.total < 1e3
        assert found.fit.low < 1 < found.fit.high
        assert not found.vanishes
        assert not found.explodes


@pytest.mark.parametrize("turned", [1, -1])
def test_a_thousand_that_may_be_noise(turned: int) -> None:
    """The line makes more than a thousand, and its interval ends just beyond 1."""
    noise = 3 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    found = line(*np.exp(turned * np.arange(8.0) + noise))
    assert max(found.total, 1 / found.total) > 1000
    assert 1 < found.fit.high < 2 if turned > 0 else 0.5 < found.fit.low < 1
    assert not found.vanishes
    assert not found.explodes


def test_text_of_blocks() -> None:
    assert line(0, 1e4, 1e2, 1, 1e-2).text() == (
        "the gradient norm changes by a factor 100 per block toward the input (95 % 100 to 100, R^2"
        " 1.00, 5 norms, 1 exact zeros left out): over 3 blocks 1.0e+06, bound 1000 (N = 1)"
    )


def test_text_of_steps() -> None:
    assert line(1, 10, 100, 1000, unit="step").text() == (
        "the gradient norm changes by a factor 0.1 per step back in time (95 % 0.1 to 0.1, R^2 "
        "1.00, 4 norms): over 3 steps 1.0e-03, bound 0.001 (N = 1)"
    )


@pytest.mark.parametrize(
    ("norms", "why"),
    [
        ((1, 2, 4), "3 norms: a factor per block needs at least 4"),
        ((1, 2, 4, 8), ""),
        ((1, 2, math.nan, 8), "a gradient norm is not finite; SNL301 says where, and comes first"),
        ((0, 0, 0, 0), "every gradient norm is exactly 0; SNL305 says where it stops"),
        ((0, 0, 0, 1), ""),
    ],
)
def test_why_there_is_no_line(norms: tuple[float, ...], why: str) -> None:
    assert line(*norms).lacks() == why


def inputs(*order: int, role: str = "block_input") -> list[dict[str, Any]]:
    """Block inputs in an order of their own: block b has the norm 2^b."""
    return [{"site": f"b{b}", "role": role, "block": b, "norm": 2.0**b} for b in order]


def test_the_line_of_block_inputs_is_by_block() -> None:
    found = _line.depth_line(the([*inputs(2, 0, 1), layer(norm=9.0)]))
    assert found is not None
    assert found.norms.tolist() == pytest.approx([1.0, 2.0, 4.0], rel=1e-12)
    assert (found.places, found.labels) == (["b0", "b1", "b2"], ["S^0", "S^1", "S^2"])
    assert (found.unit, found.where, found.seen) == (
        "block", "3 block inputs", "N = 128 samples, T = 4",
    )  # fmt: skip


def test_one_block_is_one() -> None:
    found = _line.depth_line(the(inputs(0)))
    assert found is not None
    assert found.where == "1 block input"


def test_the_line_of_layers_is_in_their_order() -> None:
    found = _line.depth_line(the([layer(norm=4.0), layer(norm=1.0), {"rate": 0.2}]))
    assert found is not None
    assert found.norms.tolist() == pytest.approx([4.0, 1.0], rel=1e-12)
    assert found.places == found.labels == ["0", "1"]
    assert (found.unit, found.where) == ("layer", "2 spiking layers")


def test_no_gradient_no_line() -> None:
    assert _line.depth_line(the([{"rate": 0.2}])) is None
    assert (
        _line.depth_line(the([{"rate": 0.2}, {"site": "x", "role": "other", "norm": 1.0}])) is None
    )


def test_a_silent_layer_stops_gradients() -> None:
    assert _line.silent(the(layers(0.2, 0.0)))
    assert not _line.silent(the(layers(0.2, 0.1)))
    assert _line.silent(the([layer(), {"site": "o", "role": "block_output", "rate": 0.0}]))
    assert not _line.silent(the([layer(), {"site": "i", "role": "block_input", "rate": 0.0}]))
    assert not _line.silent(the([{"norm": 1.0}]))


def test_a_layer_that_zero_init_holds_silent_stops_nothing() -> None:
    rows = [layer(site="b.input", role="block_input", block=0), layer(site="b.sn1", block=0),
            layer(site="b.sn2", rate=0.0, block=0)]  # fmt: skip
    assert not _line.silent(networks(made(rows, zero_init=True, residual="sew"))[0])
    assert _line.silent(networks(made(rows, residual="sew"))[0])


def test_a_small_factor_over_many_steps() -> None:
    """1.5 over 20 steps: 3,325; what counts is that the interval is above 1, not how far."""
    for turned, word in ((-1, "vanishes"), (1, "explodes")):
        found = line(*(1.5 ** np.arange(20.0)[::-turned]))
        assert 0.6 < found.fit.low <= found.fit.high < 1.6
        assert getattr(found, word)


def test_a_block_that_was_not_recorded_leaves_a_gap() -> None:
    """S^0, S^1 and S^4, S^5: a factor of 10 per block, over 5 of them."""
    rows = [layer(site=f"b{b}.input", role="block_input", block=b, norm=10.0**b)
            for b in (0, 1, 4, 5)]  # fmt: skip
    found = _line.depth_line(the(rows))
    assert found is not None
    assert found.at.tolist() == [0, 1, 4, 5]
    assert (found.span, found.total) == (5, pytest.approx(1e-5, rel=1e-9))
