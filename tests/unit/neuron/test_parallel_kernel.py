"""The C kernel of the parallel neuron against PyTorch, bit by bit."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from snnlens.neuron import kernels, parallel
from snnlens.neuron.kernels import compiler
from snnlens.neuron.kernels import parallel as kernel
from snnlens.neuron.kernels.cpu import STREAM_BYTES
from snnlens.neuron.kernels.layout import _is_dense
from snnlens.neuron.parallel import ParallelIF, count, train
from tests.unit.neuron.kernels.rules import LAYOUTS, numbers, same

DENSE = (
    "_as_it_is",
    "_channels_last",
    "_shifted",
    "_repeated",
)  # layouts that are read as they lie
SHAPES = st.one_of(
    st.tuples(st.integers(1, 70)),
    st.tuples(st.integers(1, 70), st.integers(0, 300)),
    st.tuples(st.integers(1, 20), st.integers(1, 3), st.integers(1, 9), st.integers(1, 7),
              st.integers(1, 9)),
    st.just((3, 20_001)),  # more than two blocks
)  # fmt: skip


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _thresholds(x: Tensor) -> dict[str, Tensor | float]:
    """What the kernel knows for a step of x: one number, or one per entry of one axis."""
    generator = torch.Generator().manual_seed(5)
    found: dict[str, Tensor | float] = {"number": 0.7, "whole": 1, "scalar": torch.tensor(0.3)}
    for axis in range(1, x.dim()):
        shape = (x.shape[axis], *[1] * (x.dim() - 1 - axis))
        theta = (torch.rand(shape, generator=generator) * 4).round() / 4 + 0.25
        found |= {f"axis {axis}": theta, f"axis {axis}, whole shape": theta[(None,) * (axis - 1)]}
    return found


def _per(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) + 0.5


def _in_pytorch(call: Callable[[], Tensor]) -> Tensor:
    with kernels.backend("reference"):
        return call()


def _check(x: Tensor, threshold: Tensor | float, shift: float = 0.5, *, reads: bool = True) -> None:
    """Counts, train, count of a total, train of counts: the kernel's and those of PyTorch."""
    layer = ParallelIF(threshold, shift)
    total, steps = parallel.added(x), len(x)
    calls: list[Callable[[], Tensor]] = [
        lambda: layer.counts(x),
        lambda: layer(x),
        lambda: count(total, threshold, steps, shift),
        lambda: train(total, steps),
    ]
    for call in calls:
        found, expected = call(), _in_pytorch(call)
        assert found.shape == expected.shape
        assert same(found, expected)
    fast = [
        kernel.counts(x, threshold, parallel._constants(shift)),
        kernel.spikes(x, threshold, parallel._constants(shift)),
        kernel.count(total, threshold, steps, parallel._constants(shift)),
        kernel.train(total, steps),
    ]
    assert [f is not None for f in fast] == [reads, reads, True, True]  # it was the kernel


@settings(max_examples=200, deadline=None)
@given(
    shape=SHAPES, seed=st.integers(0, 2**31), layout=st.sampled_from(sorted(LAYOUTS)),
    ties=st.booleans(), shift=st.sampled_from([0.5, 0.0, 0.3]), threads=st.sampled_from([1, 2]),
    data=st.data(),
)  # fmt: skip
def test_any_shape_stride_and_threshold(
    shape: tuple[int, ...], seed: int, layout: str, ties: bool, shift: float, threads: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    torch.set_num_threads(threads)
    x = LAYOUTS[layout](numbers(shape, seed, torch.float32, ties=ties)[0])
    choice = _thresholds(x)
    name = data.draw(st.sampled_from(sorted(n for n, t in choice.items() if _size(t))))
    dense = x.is_contiguous() or layout in DENSE or _is_dense(x)
    _check(x, choice[name], shift, reads=dense)


def _size(threshold: Tensor | float) -> int:
    return threshold.numel() if isinstance(threshold, Tensor) else 1


@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 31, 32, 33, 48, 100, 257])
def test_sums_are_made_in_parts_of_sixteen(steps: int) -> None:
    """Another order gives another sum; with so fine a threshold the count shows its last bits."""
    x = torch.rand(steps, 1000, generator=torch.Generator().manual_seed(steps))
    total, found, fine = parallel.added(x), torch.empty(1000), steps / (1 << 24)
    plain = x[0]
    for current in x[1:]:
        plain = plain + current
    assert torch.equal(plain, total) == (steps <= 17)  # 16 and 1 more: the same order
    compiled = kernel._compiled()
    assert compiled is not None
    compiled.charge(x.data_ptr(), steps, 1000, 1000, parallel.PART, None, fine, 1, 1, 0.0, 1.0,
                    1 << 24, found.data_ptr(), None, 1, 0)  # fmt: skip
    assert torch.equal(found, (total / fine).floor())
    _check(x - 0.4, 1.0)


@pytest.mark.parametrize("layout", ["_as_it_is", "_channels_last"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(layout: str, threads: int) -> None:
    torch.set_num_threads(threads)
    x = LAYOUTS[layout](numbers((5, 3, 61, 41, 43), 3, torch.float32, ties=True)[0])
    assert x[0].numel() > 300_000
    for threshold in (1.3, _per(61, 1, 1), _per(43)):
        _check(x, threshold)


def test_a_large_train_is_streamed_and_right() -> None:
    """Beyond STREAM_BYTES the stores go past the cache; the tail of a column does not."""
    for neurons in (1 << 19, (1 << 19) + 16, (1 << 19) + 5):
        x = numbers((3, neurons), 5, torch.float32, ties=True)[0]
        assert x.nbytes >= STREAM_BYTES
        _check(x, 0.75)


@pytest.mark.parametrize("steps", [1, 6, 40])
def test_what_is_not_a_number_and_what_has_no_end(steps: int) -> None:
    x = numbers((steps, 300), 4, torch.float32, ties=False)[0]
    for bad, every in ((math.nan, 7), (math.inf, 11), (-math.inf, 13), (3e38, 17), (1e-45, 19)):
        x[-1, ::every] = bad
        x[0, ::every] = bad
    x[:, -1] = -0.0
    _check(x, 0.5)
    _check(x, _per(300))
    counts = ParallelIF(0.5).counts(x)
    assert counts.isnan().any()
    assert counts.nan_to_num(0).max() == steps
    assert not ParallelIF(0.5)(x)[:, counts.isnan()].any()  # no comparison holds


def test_a_threshold_that_went_wrong_is_no_less_equal() -> None:
    """Zero, negative and NaN divide as they do in PyTorch."""
    total = torch.tensor([-1.0, 0.0, 1.0, 2.5])
    for theta in (0.0, -1.0, math.nan, math.inf, 1e300, 1e-300):
        for threshold in (theta, torch.tensor(theta)):
            call = partial(count, total, threshold, 3)
            assert same(call(), _in_pytorch(call)), threshold


@pytest.mark.parametrize("shape", [(4, 0), (4, 0, 7), (3, 2, 0, 5)])
def test_an_empty_batch(shape: tuple[int, ...]) -> None:
    layer = ParallelIF(torch.tensor(1.5))
    assert layer(torch.zeros(shape)).shape == shape
    assert layer.counts(torch.zeros(shape)).shape == shape[1:]
    assert count(torch.zeros(shape), 1.0, 4).shape == shape


def test_a_step_keeps_its_layout() -> None:
    x = LAYOUTS["_channels_last"](numbers((4, 2, 5, 6, 7), 6, torch.float32, ties=True)[0])
    layer = ParallelIF(_per(5, 1, 1))
    assert layer.counts(x).stride() == x[0].stride()
    assert layer(x)[0].stride() == x[0].stride()
    assert count(x[0], 1.0, 4).stride() == x[0].stride()


def _largest(call: Callable[[], object]) -> int:
    """The most bytes that a call holds at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        call()
    held = most = 0
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def test_counts_take_the_same_memory_at_any_number_of_steps() -> None:
    layer, neurons = ParallelIF(_per(500)), 2 * 500
    for steps in (2, 64):
        x = numbers((steps, 2, 500), 6, torch.float32, ties=False)[0]
        assert _largest(partial(layer.counts, x)) == 4 * neurons
        assert _largest(partial(layer, x)) == 4 * steps * neurons
        with kernels.backend("reference"):
            assert _largest(partial(layer.counts, x)) > 8 * neurons


def test_the_kernel_compiles_without_a_warning(tmp_path: Path) -> None:
    for tuning in (compiler.TUNING[0], ()):
        flags = [*compiler.EXACT, *tuning, "-Wall", "-Wextra", "-Werror"]
        if not tuning:
            flags.append("-Wno-unknown-pragmas")  # of OpenMP
        command = [compiler.find(), *flags, str(kernel.SOURCE), "-o", str(tmp_path / "x.so")]
        done = subprocess.run([*command, "-lm"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
