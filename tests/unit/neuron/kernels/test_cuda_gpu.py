"""The CUDA kernel on a CUDA device, against the reference on the CPU: every option."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels import reference
from tests.unit.neuron.kernels.rules import (
    BACKWARD,
    FORWARD,
    LAYOUTS,
    check,
    close,
    every_rule,
    numbers,
    rate_of,
    same,
)
from tests.unit.neuron.kernels.test_cuda import BINS

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


@pytest.fixture(name="cuda")
def _cuda() -> ModuleType:
    from snnlens.neuron.kernels import cuda

    assert torch.cuda.is_available()
    assert not cuda.knobs.runtime.interpret, "run with TRITON_INTERPRET=0"
    return cuda


class OnDevice:
    """The kernel with tensors of the CPU: they go to the device and come back."""

    def __init__(self, cuda: ModuleType) -> None:
        self.cuda = cuda

    def why_not(self, x: torch.Tensor, rule: Rule) -> str:
        return str(self.cuda.why_not(x.cuda(), rule))

    def forward(self, *given: object, **options: object) -> list[torch.Tensor]:
        return [y.cpu() for y in self.cuda.forward(*map(_there, given), **options)]

    def backward(self, *given: object, **options: object) -> list[torch.Tensor]:
        return [y.cpu() for y in self.cuda.backward(*map(_there, given), **options)]


def _there(x: object) -> object:
    return x.cuda() if isinstance(x, torch.Tensor) else x


@pytest.mark.parametrize(("rule", "dtype"), every_rule(), ids=lambda a: str(a)[:90])
def test_equals_the_reference_with_every_option(
    cuda: ModuleType, rule: Rule, dtype: torch.dtype
) -> None:
    for steps, ties in ((4, True), (7, False), (37, False)):
        x, grad, v = numbers((steps, 1003), 2, dtype, ties=ties)
        check(OnDevice(cuda), rule, x, grad, v, BINS)


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"_repeated"}))  # .cuda() unfolds it
def test_any_stride(cuda: ModuleType, layout: str) -> None:
    rule = Rule("plif", detach_reset=False)
    for steps in (5, 40):
        x, grad, v = numbers((steps, 2, 3, 17, 19), 2, torch.float32, ties=True)
        check(OnDevice(cuda), rule, LAYOUTS[layout](x), grad, v, BINS)
        check(OnDevice(cuda), rule, x, LAYOUTS[layout](grad), v, BINS)


def test_a_repeated_step(cuda: ModuleType) -> None:
    x, grad, _ = numbers((6, 5000), 3, torch.float32, ties=True)
    repeated = x[:1].cuda().expand_as(x)
    assert repeated.stride(0) == 0
    want = reference.backward(grad, x[:1].expand_as(x), None, Rule(), None)[0]
    close(cuda.backward(grad.cuda(), repeated, None, Rule(), None)[0].cpu(), want, Rule())


@pytest.mark.parametrize("steps", [4, 64])
def test_two_runs_agree_to_the_bit(cuda: ModuleType, steps: int) -> None:
    rule = Rule("plif", detach_reset=False)
    x, grad, v = (y.cuda() for y in numbers((steps, 300_001), 3, torch.float32, ties=False))
    rate = rate_of(rule)
    assert rate is not None
    rate = rate.cuda()
    runs = []
    for _ in range(3):
        forward = cuda.forward(x, v, rule, rate, wanted=FORWARD, bins=BINS, last=True)
        runs.append((*forward, *cuda.backward(grad, x, v, rule, rate, wanted=BACKWARD)))
    for other in runs[1:]:
        assert all(map(same, runs[0], other))


@pytest.mark.promise("counters-do-not-wrap")
def test_more_than_2_to_the_31_numbers(cuda: ModuleType) -> None:
    """The last neurons of the last steps are those of a small run."""
    steps, neurons = 18, (1 << 27) + 40
    part = numbers((steps, 40), 4, torch.bfloat16, ties=False)[0].cuda()
    x = torch.zeros(steps, neurons, dtype=torch.bfloat16, device="cuda")
    x[:, -40:] = part
    assert x.numel() > 1 << 31
    for name, times in (("forward", 1), ("backward", 2)):
        big, small = (getattr(cuda, name)(*[y] * times, None, Rule(), None)[0] for y in (x, part))
        assert same(big[:, -40:], small)
