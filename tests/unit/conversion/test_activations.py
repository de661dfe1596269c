"""QCFS against numpy, its gradients against the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snnlens.conversion.activations import QCFS
from snnlens.errors import InputError

LEVELS = (1, 2, 3, 4, 8, 32)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("theta", [0.3, 1.0, 2.7])
def test_values(levels: int, theta: float) -> None:
    z = np.random.default_rng(levels).normal(0, theta, 5000)
    wanted = theta / levels * np.clip(np.floor(z * levels / theta + 0.5), 0, levels)
    made = QCFS(levels, theta).double()
    made.raw.data = torch.tensor(theta, dtype=torch.float64)
    found = made(torch.from_numpy(z)).detach().numpy()
    assert np.allclose(found, wanted, rtol=0, atol=1e-12)  # roundings of theta k / L


def test_per_channel() -> None:
    theta = torch.tensor([0.5, 2.0])[:, None]
    z = torch.full((3, 2, 4), 1.2)
    found = QCFS(4, theta)(z)
    assert found[:, 0].unique().tolist() == [0.5]  # saturated
    assert found[:, 1].unique().tolist() == [1.0]  # floor(1.2 x 4 / 2 + 1/2) = 2 of 4


def test_gradients() -> None:
    """dh/dz: 1 inside, 0 outside; dh/dtheta: h/theta - z/theta inside, 1 above, 0 below."""
    z = torch.tensor([-1.0, 0.3, 0.9, 5.0], dtype=torch.float64, requires_grad=True)
    for i, wanted in enumerate([(0, 0), (1, 0.5 / 2 - 0.15), (1, 1.0 / 2 - 0.45), (0, 1)]):
        made = QCFS(4, 2.0).double()
        by_z, by_theta = torch.autograd.grad(made(z)[i], (z, made.raw))
        assert by_z[i].item() == pytest.approx(wanted[0], abs=1e-12)
        assert by_theta.item() == pytest.approx(wanted[1], abs=1e-12)


def test_a_threshold_stays_positive() -> None:
    made = QCFS(4, 1.0)
    for raw in (-0.7, 0.0):
        made.raw.data = torch.tensor(raw)
        assert made.threshold > 0
        assert torch.isfinite(made(torch.ones(3))).all()


def test_without_levels_it_clips() -> None:
    z = torch.linspace(-1, 3, 41)
    assert torch.equal(QCFS(None, 2.0)(z), z.clamp(0, 2))
    fine = QCFS(None, 2.0).requantised(1 << 12)(z)
    assert (fine - z.clamp(0, 2)).abs().max() <= 1 / (1 << 12) + 1e-6  # theta / 2L, float32


def test_it_learns() -> None:
    """A regression on a clip: the threshold goes where the target's is."""
    torch.manual_seed(0)
    z = torch.rand(400, 1) * 4
    model = nn.Sequential(QCFS(16, 3.5))
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        ((model(z) - z.clamp(max=1.5)) ** 2).mean().backward()
        optimiser.step()
    # the straight-through gradient stops where quantisation (theta / 2L = .05) hides the rest
    assert model[0].threshold.item() == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(("given", "message"), [
    ({"levels": 0}, "levels must be a whole number from 1 on, or None; got 0"),
    ({"threshold": 0.0}, "threshold must be above 0; got 0.0"),
    ({"threshold": float("nan")}, "threshold must be above 0; got nan"),
])  # fmt: skip
def test_bad_input(given: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as error:
        QCFS(**given)  # type: ignore[arg-type]
    assert str(error.value) == message
