"""Spike functions of other libraries through `ByAutograd`, against our surrogates."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from snnlens.neuron.surrogate import ATan, ByAutograd, Rectangular, Sigmoid, SuperSpike, Surrogate
from tests.parity import jelly

pytestmark = pytest.mark.parity


def _compare(ours: Surrogate, theirs: Callable[[Tensor], Tensor], x: Tensor) -> None:
    found = ByAutograd("theirs", theirs).derivative(x)
    assert found.dtype == x.dtype
    # One formula in two orders of arithmetic: a few roundings. s (1 - s) of a sigmoid s near 1
    # is off by one rounding of 1 - s, times alpha.
    eps = torch.finfo(x.dtype).eps
    atol = getattr(ours, "alpha", 0.0) * eps if isinstance(ours, Sigmoid) else 0.0
    assert torch.allclose(found, ours.derivative(x), rtol=8 * eps, atol=atol)
    assert found.count_nonzero()


def _points(dtype: torch.dtype) -> Tensor:
    """A rectangle's edges at +-1/2, +-1/4 and +-1/8 are among them."""
    return torch.linspace(-2, 2, 129, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("ours", "name"), [(ATan, "ATan"), (Sigmoid, "Sigmoid"), (Rectangular, "Rect")]
)
@pytest.mark.parametrize("alpha", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("spiking", [True, False])
def test_spikingjelly(
    ours: Callable[[float], Surrogate], name: str, alpha: float, spiking: bool, dtype: torch.dtype
) -> None:
    """As a spike function, and as its primitive, whose clamp has a slope at its very edge too."""
    pytest.importorskip("spikingjelly")
    module: Any = getattr(jelly.load().surrogate, name)(alpha=alpha, spiking=spiking)
    x = _points(dtype)
    if name == "Rect" and not spiking:
        x = x[x.abs() != 0.5 / alpha]
    _compare(ours(alpha), module, x)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_snntorch(alpha: float) -> None:
    pytest.importorskip("snntorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from snntorch import surrogate
    _compare(ATan(alpha), surrogate.atan(alpha=alpha), _points(torch.float32))


def test_norse() -> None:
    """Norse 1.1 leaves alpha out of SuperSpike: 1 / (1 + |x|)^2 whatever it is given."""
    pytest.importorskip("norse")
    from norse.torch.functional.threshold import threshold

    _compare(SuperSpike(1.0), lambda x: threshold(x, "super", 10.0), _points(torch.float32))
