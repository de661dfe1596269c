"""The C kernel against the reference: spikes and counts to the bit, gradients to a bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlens.neuron import statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels import cpu, reference
from snnlens.neuron.statistics import Bins
from tests.unit.neuron.kernels.rules import (
    BACKWARD,
    FORWARD,
    LAYOUTS,
    SHAPES,
    check,
    every_rule,
    numbers,
    pairwise_rules,
    rate_of,
    same,
)

BINS = Bins(lowest=-1.0, width=0.125, count=24)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rule", "dtype"), pairwise_rules(), ids=lambda a: str(a)[:60])
@pytest.mark.parametrize("shape", [(1, 5), (4, 128), (9, 130), (17, 3, 5, 7, 4)], ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_equals_the_reference(
    rule: Rule, dtype: torch.dtype, shape: tuple[int, ...], ties: bool
) -> None:
    x, grad, v = numbers(shape, 1, dtype, ties=ties)
    check(cpu, rule, x, grad, v, BINS)
    check(cpu, rule, x, grad, None, BINS)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "dtype"), every_rule(), ids=lambda a: str(a)[:90])
def test_equals_the_reference_with_every_option(rule: Rule, dtype: torch.dtype) -> None:
    for ties in (False, True):
        x, grad, v = numbers((9, 1003), 2, dtype, ties=ties)
        check(cpu, rule, x, grad, v, BINS)


@settings(max_examples=200, deadline=None)
@given(
    case=st.sampled_from(pairwise_rules()), shape=SHAPES, seed=st.integers(0, 2**31),
    layout=st.sampled_from(sorted(LAYOUTS)), grad_layout=st.sampled_from(sorted(LAYOUTS)),
    ties=st.booleans(), rest=st.booleans(), threads=st.sampled_from([1, 2]),
)  # fmt: skip
def test_any_shape_and_stride(
    case: tuple[Rule, torch.dtype], shape: tuple[int, ...], seed: int, layout: str,
    grad_layout: str, ties: bool, rest: bool, threads: int,
) -> None:  # fmt: skip
    torch.set_num_threads(threads)
    rule, dtype = case
    x, grad, v = numbers(shape, seed, dtype, ties=ties)
    check(cpu, rule, LAYOUTS[layout](x), LAYOUTS[grad_layout](grad), None if rest else v, BINS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_do_not_change_a_bit(dtype: torch.dtype) -> None:
    rule = Rule("plif", detach_reset=False)
    x, grad, v = numbers((5, 300_001), 3, dtype, ties=False)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        forward = cpu.forward(x, v, rule, rate_of(rule), wanted=FORWARD, bins=BINS, last=True)
        found.append((*forward, *cpu.backward(grad, x, v, rule, rate_of(rule), wanted=BACKWARD)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("detach", [True, False])
def test_what_is_not_a_number_propagates_as_in_the_reference(reset: str, detach: bool) -> None:
    rule = Rule("lif", tau_steps=3.3, reset=reset, detach_reset=detach)  # type: ignore[arg-type]
    x, grad, v = numbers((6, 150), 4, torch.float32, ties=False)
    for t, bad in enumerate((math.nan, math.inf, -math.inf)):
        x[t, t::7] = bad
        grad[t + 1, t::11] = bad
    slow = reference.forward(x, v, rule, None, last=True)
    fast = cpu.forward(x, v, rule, None, last=True)
    assert same(fast[0], slow[0])
    assert same(fast[1], slow[1])
    got, want = (
        cpu.backward(grad, x, v, rule, None)[0],
        reference.backward(grad, x, v, rule, None)[0],
    )
    assert same(got, want)
    assert not got.isfinite().all()


def test_a_histogram_counts_what_is_not_a_number_above() -> None:
    x = torch.tensor([[math.nan, math.inf, -math.inf, 0.0, 0.99, -0.01]])
    counts = cpu.forward(x, None, Rule(), None, wanted=statistics.bits(frozenset({"histogram"})),
                         bins=Bins(0.0, 0.5, 2))[2]  # fmt: skip
    assert counts[2:, 0].tolist() == [2, 1, 1, 2]
    assert counts[:2].sum() == 0  # nothing that was not asked for


def test_small_gradients_keep_their_squares() -> None:
    grad = torch.full((2, 300), 1e-30)
    sums = cpu.backward(grad, torch.zeros(2, 300), None, Rule(), None, wanted=BACKWARD)[2]
    assert torch.allclose(sums[0], 300 * grad.double()[:, 0] ** 2, rtol=1e-12, atol=0)


def test_a_large_output_is_streamed_and_right() -> None:
    """Beyond STREAM_BYTES the stores go past the cache; the tail of a column does not."""
    for neurons in (1 << 20, (1 << 20) + 16, (1 << 20) + 5):
        x, grad, _ = numbers((2, neurons), 5, torch.float32, ties=True)
        assert x.nbytes >= cpu.STREAM_BYTES
        assert same(
            cpu.forward(x, None, Rule(), None)[0], reference.forward(x, None, Rule(), None)[0]
        )
        assert same(cpu.backward(grad, x, None, Rule(), None)[0],
                    reference.backward(grad, x, None, Rule(), None)[0])  # fmt: skip
