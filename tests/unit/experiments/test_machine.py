"""The forecast counts what torch counts; doctor says what is there."""

from __future__ import annotations

import platform

import pytest
import torch
from torch import nn

from snnlens.experiments import _machine
from snnlens.experiments._machine import Forecast, forecast, lines
from snnlens.models.plan import plan
from snnlens.models.resnet import resnet
from snnlens.neuron.kernels import compiler
from snnlens.neuron.layers import Neuron


def counted(depth: int, layout: str, size: int) -> tuple[float, float]:
    """Multiply-accumulates of the convolutions but the stem's, and neuron elements, by hooks."""
    model = resnet(depth, residual="sew", layout=layout, time_steps=1, classes=10, seed=0)
    macs, elements = 0.0, 0.0

    def hook(module: nn.Module, args: object, output: torch.Tensor) -> None:
        nonlocal macs, elements
        if isinstance(module, Neuron):
            elements += output.numel()
        elif isinstance(module, nn.Conv2d) and module is not model.conv1:
            weight = module.weight
            macs += output.numel() * weight[0].numel()

    for module in model.modules():
        module.register_forward_hook(hook)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    return macs, elements


@pytest.mark.parametrize(("depth", "layout", "size"), [(18, "imagenet", 64), (50, "imagenet", 64),
                                                       (20, "cifar", 32)])  # fmt: skip
def test_work_is_what_torch_does(depth: int, layout: str, size: int) -> None:
    macs, elements = counted(depth, layout, size)
    if layout == "imagenet":  # the stem's neuron lies before the pooling; the estimate: behind
        elements -= 64 * ((size / 2) ** 2 - (size / 4) ** 2)
    assert _machine.work_per_step(plan(depth, layout), size) == (macs, elements)


def test_forecast_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds grow with T, batch and the number of passes; bytes with the longest pass."""
    monkeypatch.setattr(_machine, "_speeds", lambda *, backward: (1e-12, 1e-9))

    def of(batch: int, steps: list[int], *, backward: bool = True) -> Forecast:
        return forecast(plan(50), batch, 64, steps, backward=backward)

    one = of(8, [4])
    assert of(16, [4]).seconds == pytest.approx(2 * one.seconds)
    assert of(8, [4, 4]).seconds == pytest.approx(2 * one.seconds)
    assert of(8, [4, 4]).peak_bytes == one.peak_bytes
    base = _machine.BASE_BYTES
    assert of(8, [8, 1]).peak_bytes - base == pytest.approx(2 * (one.peak_bytes - base))
    assert of(8, [4], backward=False).peak_bytes == base
    assert of(8, [4, 1]).passes == 2


def test_forecast_in_words() -> None:
    assert str(Forecast(9, 72.4, 5.94e9)) == (
        "9 passes; about 72 s and 5.9 GB on this machine (an estimate)"
    )
    assert str(Forecast(1, 0.2, 0.7e9)).startswith("1 passes; under a second and 0.7 GB")


def test_speeds_are_positive_and_leave_grad_mode_alone() -> None:
    per_mac, per_element = _machine._speeds(backward=True)
    assert 0 < per_mac < per_element < 1e-3
    assert torch.is_grad_enabled()


def test_doctor() -> None:
    said = {line[:13].strip(): line[13:] for line in lines()}
    assert list(said) == [
        "snnlens", "python", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "matplotlib",
        "CUDA device", "CPU", "neurons", "", "kernels", "disk", "Chromium", "terminal",
    ]  # fmt: skip
    assert (
        said["torch"] == torch.__version__.replace("+cpu", "") or said["torch"] == torch.__version__
    )
    assert said["python"].startswith(platform.python_version())
    assert f"torch uses {torch.get_num_threads()} threads" in said["CPU"]
    assert said["neurons"] == "cpu float32: cpu (torch.float32 on cpu)"
    assert said[""] == "cpu float64: reference (torch.float64 runs in the reference)"  # the last
    assert said["kernels"].startswith("compiled by /")


def test_doctor_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise compiler.NotCompiled("no C compiler: cc, gcc, clang not found")

    monkeypatch.setattr(compiler, "find", none)
    assert "kernels      none: no C compiler: cc, gcc, clang not found" in lines()
