"""The one count of the parallel neuron: ties as of whole numbers, and gradients by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from snnlens.neuron import parallel
from snnlens.neuron.parallel import ParallelIF, count, rate, train

THETAS = [0.3, 0.7, 1.0, 1.2345678]
FLOATS = [torch.float32, torch.float64]
LEVELS = [4, 16, 64, 256]


# --- ties ----------------------------------------------------------------------------------------


def _lattice(theta: float, levels: int, dtype: torch.dtype) -> dict[str, tuple[Tensor, ...]]:
    """By name: the ANN's count, the neuron's of trains, and that of whole numbers."""
    generator = torch.Generator().manual_seed(levels)
    k, beside = (torch.randint(0, levels + 1, (4, 6, s, s), generator=generator) for s in (16, 8))
    amplitude = torch.tensor(theta, dtype=dtype)

    def value(n: Tensor) -> Tensor:
        return rate(n.to(dtype), amplitude, levels)

    def spikes(n: Tensor) -> Tensor:
        return train(n.to(dtype), levels) * amplitude

    pooled = functional.avg_pool2d(value(k), 2)
    currents = functional.avg_pool2d(spikes(k).flatten(0, 1), 2).unflatten(0, (levels, 4))
    four = k.unflatten(3, (8, 2)).unflatten(2, (8, 2)).sum((3, 5))
    cases = {
        "pool": (pooled, currents, amplitude, four + 2, 4),
        "pool and shortcut": (pooled + value(beside), currents + spikes(beside), amplitude,
                              four + 4 * beside + 2, 4),
        "shortcut": (value(k) + value(k.flip(0)), spikes(k) + spikes(k.flip(0)), amplitude,
                     k + k.flip(0), 1),
        "shortcut, a threshold of two": (value(k) + value(k.flip(0)), spikes(k) + spikes(k.flip(0)),
                                         2 * amplitude, k + k.flip(0) + 1, 2),
    }  # fmt: skip
    return {
        name: (
            count(z * levels, per, levels),
            ParallelIF(per).counts(x),
            (above // below).clamp(max=levels).to(dtype),
            (above % below == 0) & (above > 0),
        )
        for name, (z, x, per, above, below) in cases.items()
    }


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("theta", THETAS)
def test_ties_are_those_of_whole_numbers(theta: float, levels: int, dtype: torch.dtype) -> None:
    for name, (ann, neuron, exact, ties) in _lattice(theta, levels, dtype).items():
        if name != "shortcut":  # k1 + k2 + 1/2 is never whole
            assert ties.double().mean() > 0.2
        assert torch.equal(ann, exact), name
        assert torch.equal(neuron, exact), name


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_without_a_tolerance_they_are_not(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail; and a quarter of the tolerance is what all its cases need."""
    monkeypatch.setattr(parallel, "ROUNDINGS", 0)
    ann, neuron, exact, _ = _lattice(0.7, 16, dtype)["pool"]
    assert (ann != exact).any()
    assert (neuron != ann).any()
    monkeypatch.setattr(parallel, "ROUNDINGS", 4)
    for theta in THETAS:
        for ann, neuron, exact, _ in _lattice(theta, 256, dtype).values():
            assert torch.equal(ann, exact)
            assert torch.equal(neuron, exact)


# --- gradients -----------------------------------------------------------------------------------


def test_the_gradient_of_the_activation_by_hand() -> None:
    """h = QCFS_4(z), theta = 2. Inside dh/dz = 1, dh/dtheta = q - z / theta; above 0, 1; below 0.

    Inside is where floor(z L / theta + 1/2) lies in 0 .. L, as in the authors' code.
    """
    z = torch.tensor([-0.6, -0.2, 0.3, 1.3, 2.1, 2.6], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    h = rate(count(z * 4, theta, 4), theta, 4)
    assert h.tolist() == [0, 0, 0.5, 1.5, 2, 2]
    by_theta = [torch.autograd.grad(one, theta, retain_graph=True)[0].item() for one in h]
    (by_z,) = torch.autograd.grad(h.sum(), z)
    # to the factor 1 + tie
    assert by_theta == pytest.approx([0, 0.1, 0.1, 0.1, -0.05, 1], abs=1e-14)
    assert by_z.tolist() == pytest.approx([0, 1, 1, 1, 1, 0], abs=1e-14)


def test_the_gradient_of_the_count_by_hand() -> None:
    """dk/dS = 1 / theta and dk/dtheta = -S / theta^2 inside; a channel's hears its samples."""
    total = torch.tensor([[0.7, 3.0], [1.9, -8.0]], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    k = count(total, theta, 4)
    assert k.tolist() == [[1, 2], [4, 0]]
    by_total, by_theta = torch.autograd.grad(k.sum(), (total, theta))
    assert by_total.flatten().tolist() == pytest.approx([2, 0.5, 2, 0], abs=1e-14)
    assert by_theta.tolist() == pytest.approx([-(0.7 + 1.9) / 0.25, -3.0 / 4], rel=1e-14)


def test_every_step_has_the_same_gradient_and_the_train_none() -> None:
    x = torch.tensor([[0.2], [0.4], [0.6]], requires_grad=True)
    layer = ParallelIF(0.5)
    layer.counts(x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([2, 2, 2], rel=1e-5)
    assert not layer(x).requires_grad
