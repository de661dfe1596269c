"""When the C kernel of the parallel neuron stands back, and PyTorch gives the same in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from snnlens.neuron import kernels, parallel
from snnlens.neuron.kernels import compiler
from snnlens.neuron.kernels import parallel as kernel
from snnlens.neuron.parallel import ParallelIF, count
from tests.unit.neuron.kernels.rules import numbers, same

CONSTANTS = parallel._constants(0.5)


def _rand(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


class Marked(Tensor):
    """A subclass that wants to see every operation."""


def _given(x: Tensor) -> dict[str, Tensor]:
    return {
        "float64": x.double(),
        "bfloat16": x.bfloat16(),
        "a subclass": x.as_subclass(Marked),
        "negated in name only": torch.complex(x, x).conj().imag,
        "with gaps": torch.stack([x, x], -1)[..., 0],
    }


@pytest.mark.parametrize("name", list(_given(torch.zeros(1, 1))))
def test_other_tensors_run_in_pytorch(name: str) -> None:
    x = _given(numbers((5, 40), 7, torch.float32, ties=True)[0])[name]
    assert kernel.counts(x, 0.5, CONSTANTS) is None
    layer = ParallelIF(0.5)
    with kernels.backend("reference"):
        expected = layer.counts(x)
    assert same(layer.counts(x), expected)
    if name == "negated in name only":
        assert torch.equal(layer.counts(x), layer.counts(x.resolve_neg()))
        assert layer.counts(x).any()


THRESHOLDS = {
    "of two axes": (_rand(2, 3, 1) + 0.5, (3, 2, 3, 4)),
    "with gaps": ((_rand(6) + 0.5)[::2], (3, 2, 3)),
    "float64": ((_rand(3) + 0.5).double(), (3, 2, 3)),
    "of more entries than S": (_rand(3, 1) + 0.5, (3, 4)),
    "of more axes than S": (_rand(1, 1, 1) + 0.5, (3, 4)),
    "along an axis of 1": (_rand(3) + 0.5, (3, 2, 1)),
}


@pytest.mark.parametrize("name", list(THRESHOLDS))
def test_other_thresholds_run_in_pytorch(name: str) -> None:
    threshold, shape = THRESHOLDS[name]
    x = numbers(shape, 8, torch.float32, ties=True)[0]
    total = parallel.added(x)
    assert kernel.count(total, threshold, len(x), CONSTANTS) is None
    found = count(total, threshold, len(x))
    with kernels.backend("reference"):
        assert same(found, count(total, threshold, len(x)))
    assert found.shape == torch.broadcast_shapes(total.shape, threshold.shape)


def test_where_a_gradient_may_be_asked_for_pytorch_counts() -> None:
    x = numbers((5, 40), 9, torch.float32, ties=True)[0]
    theta = nn.Parameter(torch.tensor(0.7))
    by_kernel = count(x, theta.detach(), 5)
    found = count(x, theta, 5)
    assert found.requires_grad
    assert torch.equal(found, by_kernel)
    with torch.no_grad():
        assert torch.equal(count(x, theta, 5), by_kernel)
        assert kernel.count(x, theta, 5, CONSTANTS) is not None
    layer = ParallelIF(0.7)
    counts = layer.counts(x.requires_grad_())
    assert counts.requires_grad
    assert torch.equal(counts, layer.counts(x.detach()))
    assert torch.equal(layer(x), layer(x.detach()))  # a train has no gradient


@pytest.mark.parametrize("name", ["reference", "cuda"])
def test_another_backend_was_chosen(name: str) -> None:
    x = _rand(4, 30)
    with kernels.backend(name):
        assert kernel.counts(x, 1.0, CONSTANTS) is None
        assert ParallelIF().counts(x).shape == (30,)
    with kernels.backend("cpu"):
        assert kernel.counts(x, 1.0, CONSTANTS) is not None


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
def test_a_trace_and_a_forward_derivative_see_the_operations() -> None:
    x, y = _rand(2, 7), 4 * _rand(2, 7).flip(1)
    traced = torch.jit.trace(lambda x: count(x, 1.0, 4), (x,))
    assert torch.equal(traced(y), count(y, 1.0, 4))  # no constant of x
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="jvp"):
        count(forward_ad.make_dual(x, y), 1.0, 4)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by dynamo
def test_under_torch_compile() -> None:
    layer, x = ParallelIF(_rand(30) + 0.5), _rand(4, 5, 30)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), layer(x))


def test_without_a_compiler_it_is_the_same_in_silence(tmp_path: Path) -> None:
    code = """
import json, sys, torch
from snnlens.neuron import parallel
x = torch.randn(20, 300, generator=torch.Generator().manual_seed(0))
layer = parallel.ParallelIF(0.7)
ran = parallel.kernel.counts(x, 0.7, parallel._constants(0.5)) is not None
print(json.dumps([ran, layer.counts(x).tolist(), layer(x).sum(1).tolist()]))
"""
    found = {}
    for name in ("no-such-compiler", compiler.find()):
        environment = os.environ | {"CC": name, "SNNLENS_CACHE": str(tmp_path / Path(name).name)}
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        assert done.stderr == ""
        ran, *found[name] = json.loads(done.stdout)
        assert ran == (name != "no-such-compiler")
    assert found["no-such-compiler"] == found[compiler.find()]
