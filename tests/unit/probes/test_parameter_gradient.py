"""parameter_gradient against `parameter.grad`."""

from __future__ import annotations

import math

import pytest
import torch

from snnlens.neuron.layers import PLIF
from snnlens.probes.gradient_norm import GradientNorm
from snnlens.probes.parameter_gradient import ParameterGradient
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute


def _norms(model: torch.nn.Module) -> dict[str, float]:
    return {n: float(p.grad.double().norm()) for n, p in model.named_parameters()
            if p.grad is not None}  # fmt: skip


def test_against_the_gradients_themselves() -> None:
    model = brute.small("sew", "add", neuron=PLIF(1.5, threshold=0.3))
    with Recorder(model, [ParameterGradient(), GradientNorm()]) as recorder:
        brute.loss(model, brute.batch()).backward()
    frame = recorder.frame().set_index("site")
    parameters = frame[frame["role"] == "parameter"]
    expected = _norms(model)
    assert list(parameters.index) == [n for n, _ in model.named_parameters()]
    assert "sn1.w" in expected
    for name, norm in expected.items():
        assert parameters.loc[name, "parameter_gradient"] == pytest.approx(norm, rel=1e-6)
    assert parameters["gradient_norm"].isna().all()
    assert frame.loc["sn1", "gradient_norm"] > 0


def test_batches_are_a_root_mean_square() -> None:
    model = brute.small("spiking")
    squares: dict[str, float] = {}
    with Recorder(model, [ParameterGradient()]) as recorder:
        for seed in (1, 2, 3):
            model.zero_grad()
            brute.loss(model, brute.batch(2 + seed, seed=seed)).backward()
            for name, norm in _norms(model).items():
                squares[name] = squares.get(name, 0) + norm**2
    frame = recorder.frame().set_index("site")
    for name, total in squares.items():
        root = math.sqrt(total / 3)
        assert frame.loc[name, "parameter_gradient"] == pytest.approx(root, rel=1e-6)


def test_zero_init_branches_get_no_gradient_and_frozen_ones_no_row() -> None:
    """Healthy at step 0: dL/dW of every branch convolution is exactly 0, of its last norm not."""
    model = brute.small("sew", "add", zero_init=True)
    model.fc.requires_grad_(False)
    with Recorder(model, [ParameterGradient()]) as recorder:
        brute.loss(model, brute.batch()).backward()
    norms = recorder.frame().set_index("site")["parameter_gradient"].dropna()
    assert "fc.weight" not in norms
    assert norms["layer1.0.conv1.weight"] == norms["layer1.0.conv2.weight"] == 0
    assert norms["layer1.0.bn2.weight"] > 0
    assert norms["conv1.weight"] > 0


def test_beside_the_weights() -> None:
    """||g|| / ||W|| of root mean squares over batches, the weights as each pass had them."""
    model = brute.small("sew", "add")
    torch.nn.init.zeros_(model.fc.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    gradients: dict[str, float] = {}
    weights: dict[str, float] = {}
    with Recorder(model, [ParameterGradient()]) as recorder:
        for seed in (1, 2):
            model.zero_grad()
            brute.loss(model, brute.batch(seed=seed)).backward()
            for name, p in model.named_parameters():
                gradients[name] = gradients.get(name, 0) + _norms(model)[name] ** 2
                weights[name] = weights.get(name, 0) + float(p.detach().double().norm()) ** 2
            optimizer.step()
            torch.nn.init.zeros_(model.fc.bias)
    frame = recorder.frame().set_index("site")
    assert math.isnan(frame.loc["fc.bias", "gradient_to_weight"])
    for name in set(gradients) - {"fc.bias"}:
        ratio = math.sqrt(gradients[name] / weights[name])
        assert frame.loc[name, "gradient_to_weight"] == pytest.approx(ratio, rel=1e-12, abs=0)
