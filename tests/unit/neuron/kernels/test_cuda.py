"""The CUDA kernel without a GPU: in Triton's interpreter, and compiled for sm_90.

Triton is imported where it is used, so that this file can be collected without it. As a program
(with TRITON_INTERPRET=0) it prints what the compiler made of each of CASES, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from snnlens.neuron import statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels import cpu, reference
from snnlens.neuron.statistics import Bins
from snnlens.neuron.surrogate import ATan, Sigmoid
from tests.unit.neuron.kernels.rules import (
    BACKWARD,
    CHARGES,
    DTYPES,
    FORWARD,
    LAYOUTS,
    SURROGATES,
    check,
    numbers,
    pairwise_rules,
    rate_of,
    same,
)

pytestmark = pytest.mark.triton
BINS = Bins(lowest=-1.1, width=0.15, count=24)  # no edge is a float32

# --- in the interpreter ---------------------------------------------------------------------------


@pytest.fixture(name="cuda")
def _cuda(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernel, in an interpreter that rounds to bfloat16 as a GPU does; its own cuts off."""
    from triton.runtime import interpreter

    from snnlens.neuron.kernels import cuda

    assert cuda.knobs.runtime.interpret, "run with TRITON_INTERPRET=1"
    plain = interpreter.InterpreterBuilder.create_fp_trunc

    def rounded(builder: Any, source: Any, kind: Any) -> Any:
        if kind.scalar != interpreter.tl.bfloat16:
            return plain(builder, source, kind)
        y = torch.from_numpy(source.data.copy()).to(torch.bfloat16)
        return interpreter.TensorHandle(y.view(torch.uint16).numpy(), kind.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_fp_trunc", rounded)
    return cuda


# One step; two programs forward; a chunk and one step; two chunks and one step, in two layouts.
RUNS = [((1, 5), "_as_it_is"), ((4, 600), "_as_it_is"), ((17, 130), "_repeated"),
        ((33, 2, 3, 4, 5), "_channels_last")]  # fmt: skip


@pytest.mark.parametrize(("rule", "dtype"), pairwise_rules(), ids=lambda a: str(a)[:60])
@pytest.mark.parametrize(("shape", "layout"), RUNS, ids=str)
def test_equals_the_reference(
    cuda: ModuleType, rule: Rule, dtype: torch.dtype, shape: tuple[int, ...], layout: str
) -> None:
    x, grad, v = numbers(shape, 1, dtype, ties=len(shape) == 2)
    change = LAYOUTS[layout]
    check(cuda, rule, change(x), grad, v if shape[0] % 2 else None, BINS)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_any_stride(cuda: ModuleType, layout: str) -> None:
    for case in ({}, {"charge": "plif", "detach_reset": False}):
        x, grad, v = numbers((5, 2, 3, 4, 5), 2, torch.float32, ties=True)
        check(cuda, Rule(**case), LAYOUTS[layout](x), grad, v, BINS)
        check(cuda, Rule(**case), x, LAYOUTS[layout](grad), v, BINS)


def test_nothing_to_do(cuda: ModuleType) -> None:
    x = torch.zeros(3, 0)
    spikes, _, counts, _ = cuda.forward(x, None, Rule(), None, wanted=FORWARD, bins=BINS)
    assert spikes.shape == x.shape
    assert not counts.any()
    grad_x, by_rate, sums = cuda.backward(
        x, x, None, Rule("plif"), torch.tensor(0.5), wanted=BACKWARD
    )
    assert grad_x.shape == x.shape
    assert by_rate == 0
    assert not sums.any()


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy, at inf - inf
def test_what_is_not_a_number_propagates_as_in_the_reference(
    cuda: ModuleType, reset: str, detach: bool
) -> None:
    """In the last chunk too: infinity at its end is no number beyond it, and must not come back."""
    rule = Rule("lif", tau_steps=3.3, reset=reset, detach_reset=detach)  # type: ignore[arg-type]
    for steps in (6, 18):
        x, grad, v = numbers((steps, 150), 4, torch.float32, ties=False)
        for t, bad in ((0, math.nan), (1, math.inf), (2, -math.inf), (steps - 1, math.inf)):
            x[t, t % 7 :: 7] = bad
            grad[t - 1, t % 11 :: 11] = bad
        fast = cuda.forward(x, v, rule, None, wanted=FORWARD, bins=BINS, last=True)
        slow = reference.forward(x, v, rule, None, wanted=FORWARD, bins=BINS, last=True)
        assert all(map(same, fast[:2], slow[:2]))
        assert torch.equal(fast[2][statistics.COUNTS :], slow[2][statistics.COUNTS :])
        got = cuda.backward(grad, x, v, rule, None)[0]
        assert same(got, reference.backward(grad, x, v, rule, None)[0])
        assert not got.isfinite().all()


def test_only_what_is_asked_for_is_summed(cuda: ModuleType) -> None:
    x, grad, _ = numbers((3, 40), 5, torch.float32, ties=False)
    _, _, every, sums = cuda.forward(x, None, Rule(), None, wanted=FORWARD, bins=BINS)
    rows = {"spikes": every[:1], "active": every[1:2], "histogram": every[2:],
            "current": sums[:1], "current_squared": sums[1:2], "surrogate": sums[2:]}  # fmt: skip
    for name, row in rows.items():
        bit = statistics.BIT[name]
        _, end, *tables = cuda.forward(x, None, Rule(), None, wanted=bit, bins=BINS)
        total = sum(float(table.double().abs().sum()) for table in tables)
        assert total == pytest.approx(float(row.double().abs().sum()), rel=1e-12)
        assert end.numel() == 0
    assert cuda.forward(x, None, Rule(), None)[2].numel() == 0
    assert cuda.backward(grad, x, None, Rule(), None)[2].numel() == 0
    for row, name in enumerate(("grad_spike_squared", "grad_current_squared")):
        sums = cuda.backward(grad, x, None, Rule(), None, wanted=statistics.BIT[name])[2]
        assert sums[row].all()
        assert not sums[1 - row].any()


def test_equals_the_c_kernel_where_the_reference_has_another_exp(cuda: ModuleType) -> None:
    rule = Rule("plif", surrogate=Sigmoid(), detach_reset=False)
    x, grad, v = numbers((19, 300), 6, torch.float32, ties=False)
    assert not cpu.why_not(x, rule)
    rate = rate_of(rule)
    for name, wanted, given in (("forward", FORWARD, (x,)), ("backward", BACKWARD, (grad, x))):
        fast, slow = (getattr(m, name)(*given, v, rule, rate, wanted=wanted) for m in (cuda, cpu))
        assert same(fast[0], slow[0])
        assert all(torch.allclose(a, b, rtol=1e-7) for a, b in zip(fast[1:], slow[1:], strict=True))


def test_says_why_it_cannot_run(cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ATan):
        pass

    x = torch.zeros(2, 3)
    assert cuda.why_not(x.double(), Rule()) == "torch.float64 runs in the reference"
    assert cuda.why_not(x, Rule(surrogate=Other())) == "surrogate atan(alpha=2) is not compiled"
    monkeypatch.setattr(cuda.knobs.runtime, "interpret", False)
    assert cuda.why_not(x, Rule()) == "a tensor on cpu"


# --- compiled -------------------------------------------------------------------------------------

LIF: dict[str, Any] = {"charge": "lif", "tau_steps": 3.3}
PLIF: dict[str, Any] = {"charge": "plif", "detach_reset": False, "surrogate": Sigmoid()}
RESETS = [{"reset": "hard"}, {"reset": "soft", "detach_reset": False},
          {"reset": "hard", "detach_reset": False}, {"reset": "soft"}]  # fmt: skip
CASES: list[tuple[dict[str, Any], torch.dtype, int, bool]] = [  # rule, dtype, T, statistics
    *(({**charge, **RESETS[k % 4]}, torch.float32, 4, False) for k, charge in enumerate(CHARGES)),
    *(({**LIF, "surrogate": each}, torch.float32, 4, True) for each in SURROGATES),
    *((LIF, dtype, 4, True) for dtype in DTYPES),
    *((LIF, torch.float32, steps, with_statistics)
      for steps in (4, 16, 64) for with_statistics in (False, True)),
    *((PLIF, torch.float32, steps, True) for steps in (4, 8, 16, 64)),
]  # fmt: skip


class Compiler:
    """Stands for a kernel: what is launched on it is compiled as a launch would compile it."""

    def __init__(self, kernel: Any, found: list[dict[str, Any]]) -> None:
        from triton.backends.compiler import GPUTarget
        from triton.compiler import make_backend
        from triton.runtime.jit import create_function_from_signature

        self.kernel, self.found, self.target = kernel, found, GPUTarget("cuda", 90, 32)
        self.backend = make_backend(self.target)
        self.bind = create_function_from_signature(kernel.signature, kernel.params, self.backend)

    def __getitem__(self, grid: tuple[int]) -> Any:
        return self.launch

    def launch(self, *args: Any, **options: Any) -> None:
        import triton

        options.update(debug=False, instrumentation_mode="")
        bound, kinds, rest = self.bind(*args, **options)
        chosen, signature, constants, attributes = self.kernel._pack_args(
            self.backend, options, bound, kinds, rest
        )
        source = triton.compiler.ASTSource(self.kernel, signature, constants, attributes)
        with contextlib.redirect_stdout(io.StringIO()) as log:
            made = triton.compile(source, target=self.target, options=chosen.__dict__)
        ptx, told = made.asm["ptx"], log.getvalue()
        self.found.append({
            "kernel": self.kernel.__name__,
            "registers": int(re.findall(r"Used (\d+) registers", told)[0]),
            "spilled": sum(map(int, re.findall(r"(\d+) bytes spill", told))),
            "fused": len(re.findall(r"\b(?:fma|mad)\.\S*f(?:32|64)", ptx)),
            "divided": ptx.count("div.rn.f32"),
            "approximate": len(re.findall(r"\.(?:approx|full|ftz)\b", ptx)),
            "by_16_bytes": len(re.findall(r"ld\.global\.v4\.b32|ld\.global\.v2\.b64", ptx)),
        })  # fmt: skip


def compile_all() -> list[dict[str, Any]]:
    """What the compiler makes of the launches of CASES."""
    from triton import knobs

    from snnlens.neuron.kernels import cuda

    knobs.compilation.always_compile = knobs.nvidia.dump_ptxas_log = True
    found: list[dict[str, Any]] = []
    cuda._forward, cuda._backward = Compiler(cuda._forward, found), Compiler(cuda._backward, found)
    for options, dtype, steps, with_statistics in CASES:
        rule, first = Rule(**options), len(found)
        x, grad, v = numbers((steps, 2048), 1, dtype, ties=False)
        wanted, rate = (FORWARD | BACKWARD) * with_statistics, rate_of(rule)
        v_or_rest = v if with_statistics else None
        cuda.forward(x, v_or_rest, rule, rate, wanted=wanted, bins=BINS, last=with_statistics)
        cuda.backward(grad, x, v_or_rest, rule, rate, wanted=wanted)
        for each in found[first:]:
            each.update(rule=str(rule), dtype=str(dtype), steps=steps, statistics=with_statistics)
    return found


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    environment = {**os.environ, "TRITON_INTERPRET": "0",
                   "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.neuron.kernels.test_cuda"], env=environment,
        cwd=Path(__file__).parents[4], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) == 2 * len(CASES)
    return found


def test_nothing_spills(compiled: list[dict[str, Any]]) -> None:
    """A thread can have 255 registers; 2048 threads on a multiprocessor can have 32 each."""
    for each in compiled:
        assert each["spilled"] == 0, each
        limit = 80 if each["kernel"] == "_forward" else 128 if each["steps"] <= 4 else 255
        assert each["registers"] <= limit, each


def test_nothing_is_fused_or_approximate(compiled: list[dict[str, Any]]) -> None:
    for each in compiled:
        assert each["fused"] == 0, each
        assert each["approximate"] == 0, each


def test_the_leak_is_a_true_division(compiled: list[dict[str, Any]]) -> None:
    for each in compiled:
        if each["kernel"] == "_forward" and not each["statistics"]:  # statistics divide in sigma'
            assert bool(each["divided"]) == ("tau_steps=3.3" in each["rule"]), each


def test_float32_moves_by_16_bytes_where_steps_are_few(compiled: list[dict[str, Any]]) -> None:
    for each in compiled:
        if each["dtype"] == "torch.float32" and (
            each["kernel"] == "_forward" or each["steps"] <= 4
        ):
            assert each["by_16_bytes"] >= 1, each


if __name__ == "__main__":
    json.dump(compile_all(), sys.stdout)
