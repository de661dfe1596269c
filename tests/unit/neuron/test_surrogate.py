"""Surrogates: derivative against the true derivative of sigma, the edges, the published values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnlens.errors import InputError
from snnlens.neuron import surrogate
from snnlens.neuron.surrogate import (
    ATan,
    Constant,
    Rectangular,
    Sigmoid,
    SuperSpike,
    Surrogate,
    Triangular,
)
from tests.unit.neuron import scalar

ALL = [
    *(kind(alpha) for kind in (ATan, Sigmoid, Triangular, SuperSpike, Rectangular)
      for alpha in (0.5, 1.0, 2.0, 3.0)),
    Constant(),
]  # fmt: skip


def _points(s: Surrogate) -> Tensor:
    """Both sides of zero, away from kinks by more than a finite difference reaches."""
    x = torch.linspace(-2.53, 2.51, 127, dtype=torch.float64)
    kinks = [0.0] + ([s.support, -s.support] if math.isfinite(s.support) else [])
    return x[torch.stack([(x - k).abs() > 1e-3 for k in kinks]).all(0)]


@pytest.mark.parametrize("s", ALL, ids=str)
def test_derivative_is_that_of_the_primitive(s: Surrogate) -> None:
    x = _points(s)
    step = 1e-5
    difference = (s.primitive(x + step) - s.primitive(x - step)) / (2 * step)
    # central differences: third derivatives up to alpha^3 times step^2
    assert torch.allclose(s.derivative(x), difference, rtol=0, atol=1e-7)


@pytest.mark.parametrize("s", ALL, ids=str)
def test_gradcheck_of_the_primitive(s: Surrogate) -> None:
    class Smooth(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x)
            return s.primitive(x)

        @staticmethod
        def backward(ctx, grad):  # type: ignore[no-untyped-def]
            return grad * s.derivative(ctx.saved_tensors[0])

    assert torch.autograd.gradcheck(Smooth.apply, _points(s).requires_grad_())


@pytest.mark.parametrize("s", ALL, ids=str)
def test_formula_written_twice(s: Surrogate) -> None:
    x = _points(s)
    expected = [scalar.slope(s.name, getattr(s, "alpha", 1.0), v) for v in x.tolist()]
    assert s.derivative(x).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("s", ALL, ids=str)
def test_input_is_left_alone(s: Surrogate) -> None:
    x = torch.linspace(-1, 1, 9)
    kept = x.clone()
    for result in (s.derivative(x), s.primitive(x)):
        assert result.data_ptr() != x.data_ptr()
    assert torch.equal(x, kept)


@pytest.mark.parametrize("s", ALL, ids=str)
def test_in_place_is_the_same(s: Surrogate) -> None:
    x = torch.linspace(-1, 1, 24).reshape(4, 6)[:, ::2]  # not contiguous
    expected = s.derivative(x)
    assert s.derivative_(x) is x
    assert torch.equal(x, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("s", ALL, ids=str)
def test_dtype_is_kept_and_symmetric(s: Surrogate, dtype: torch.dtype) -> None:
    x = torch.linspace(-2, 2, 33, dtype=dtype)
    slope = s.derivative(x)
    assert slope.dtype == dtype
    assert torch.allclose(slope, slope.flip(0), rtol=4 * torch.finfo(dtype).eps)
    assert (slope >= 0).all()


@pytest.mark.parametrize("s", ALL, ids=str)
def test_support(s: Surrogate) -> None:
    if math.isinf(s.support):
        assert (s.derivative(torch.tensor([-1e3, 1e3])) >= 0).all()
        assert (s.derivative(torch.tensor([-3.0, 3.0])) > 0).all()
        return
    inside = torch.tensor([-1.0, 1.0], dtype=torch.float64) * s.support * (1 - 1e-9)
    assert (s.derivative(inside) > 0).all()
    assert (s.derivative(inside * (1 + 2e-9)) == 0).all()


def test_sigmoid_has_no_rounding_zero() -> None:
    """1 - sigmoid(20) is 0 in float32; the derivative there is 2e-9, as at -20."""
    low, high = Sigmoid(1.0).derivative(torch.tensor([-20.0, 20.0])).tolist()
    assert low == high == pytest.approx(2.061e-9, rel=1e-3)


def test_rectangular_is_closed_at_its_edge() -> None:
    """|x| = 1/2 exactly gives 0 (strict <, as SpikingJelly), and the next number inside 1."""
    just_inside = math.nextafter(0.5, 0.0)
    x = torch.tensor([-0.5, -just_inside, just_inside, 0.5], dtype=torch.float64)
    assert Rectangular().derivative(x).tolist() == [0, 1, 1, 0]
    assert Rectangular(2.0).derivative(x / 2).tolist() == [0, 2, 2, 0]
    # the worked case: V_th = 1/2, both spike values lie on the edge
    assert [Rectangular().at(s - 0.5) for s in (0, 1)] == [0.0, 0.0]


def test_triangular_and_constant_at_their_edges() -> None:
    assert [Triangular().at(x) for x in (-1.0, 0.0, 1.0)] == [0.0, 1.0, 0.0]
    assert [Constant().at(x) for x in (-1e6, 0.0, 1e6)] == [1.0, 1.0, 1.0]


def test_published_values() -> None:
    """facts/sew-resnet.md, Figs. 6 to 8: sigma'(1 - V_th), sigma'(-V_th)."""
    published = {
        (2.0, 1.0): (1.0, 0.0920),
        (2.0, 0.5): (0.2884, 0.2884),
        (3.0, 1.0): (1.5, 0.0646),
        (1.0, 1.0): (0.5, 0.144),
    }
    for (alpha, threshold), (at_spike, at_silence) in published.items():
        s = ATan(alpha)
        # the source has three or four decimals
        assert s.at(1 - threshold) == pytest.approx(at_spike, abs=5e-5)
        assert s.at(-threshold) == pytest.approx(at_silence, abs=5e-4 if alpha == 1 else 5e-5)
    assert ATan().at(0.0) == Sigmoid().at(0.0) == Rectangular().at(0.0) == Constant().at(9.0) == 1.0


def test_at_computes_in_the_dtype_asked_for() -> None:
    exact = 1 / (1 + (math.pi / 2) ** 2)
    assert ATan().at(0.5) == pytest.approx(exact, rel=1e-15)
    assert 0 < abs(ATan().at(0.5, torch.float32) - exact) < 1e-7
    assert 1e-5 < abs(ATan().at(0.5, torch.bfloat16) - exact) < 1e-2


def test_names_and_by_name() -> None:
    assert surrogate.names() == sorted(s.name for s in {type(s): s for s in ALL}.values())
    assert surrogate.by_name("atan") == ATan(2.0)
    assert surrogate.by_name("sigmoid", 2.5) == Sigmoid(2.5)
    assert surrogate.by_name("constant") == Constant()
    assert str(ATan()) == "atan(alpha=2)"
    assert str(Constant()) == "constant"
    assert all(s.source for s in ALL)


@pytest.mark.parametrize(
    ("name", "alpha", "message"),
    [
        ("tanh", None, ("surrogate must be one of atan, constant, rectangular, sigmoid, superspike,"
         " triangular; got 'tanh'")),
        ("constant", 2.0, "alpha must be left out: constant has no slope; got 2.0"),
        ("atan", 0.0, "alpha must be a finite number above 0; got 0.0"),
        ("atan", math.nan, "alpha must be a finite number above 0; got nan"),
        ("sigmoid", math.inf, "alpha must be a finite number above 0; got inf"),
    ],
)  # fmt: skip
def test_wrong_names_and_slopes(name: str, alpha: float | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        surrogate.by_name(name, alpha)
    assert str(error.value) == message


@pytest.mark.parametrize("s", [s for s in ALL if isinstance(s, ATan | Sigmoid)], ids=str)
def test_a_primitive_begins_at_0_and_ends_at_1(s: Surrogate) -> None:
    """Theta is what it smooths: 0 far below the threshold, 1 far above."""
    far = torch.tensor([-1e9, 1e9], dtype=torch.float64)
    assert s.primitive(far).tolist() == pytest.approx([0, 1], abs=1e-8)
