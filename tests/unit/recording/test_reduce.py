"""Reductions against numpy in float64, on every memory layout and at the edges of number range."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnlens.recording import reduce
from tests.trust.tally import Count

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
SHAPES = [(1,), (5,), (3, 4), (2, 3, 5, 7, 7), (2, 1, 4099), (2, 3, 65_537), (1, reduce.CHUNK + 3)]


def _random(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.to(dtype)


def _rows(x: Tensor) -> np.ndarray:
    return x.double().numpy().reshape(len(x), -1)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as made": lambda x: x,
    "channels last": lambda x: x.flatten(0, 1).to(memory_format=torch.channels_last)
                                .unflatten(0, x.shape[:2]),
    "transposed": lambda x: x.transpose(2, 4),
    "every second": lambda x: x[..., ::2],
    "batch first in memory": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "one image repeated": lambda x: x[:1].expand(4, *x.shape[1:]),
    "flipped": lambda x: x.flip(0),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    x = LAYOUTS[layout](_random((2, 3, 5, 7, 7)).mul(2).round())
    rows = _rows(x)
    assert reduce.step_sums(x).tolist() == rows.sum(1).tolist()
    assert reduce.step_squares(x).tolist() == (rows**2).sum(1).tolist()
    assert reduce.step_nonzero(x).tolist() == (rows != 0).sum(1).tolist()
    assert reduce.step_above_one(x).tolist() == (rows > 1).sum(1).tolist()
    assert reduce.step_max(x).tolist() == rows.max(1).tolist()
    assert reduce.step_elements(x).tolist() == [rows.shape[1]] * len(x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_real_numbers(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = _random(shape, dtype)
    rows = _rows(x)
    squares = reduce.step_squares(x)
    np.testing.assert_allclose(squares.numpy(), (rows**2).sum(1), rtol=1e-13)
    # step_sums adds runs of 4096 in float32: 4096 x 6e-8 of the sum of sizes at the very worst
    bound = 1e-6 * np.abs(rows).sum(1) if dtype != torch.float64 else 1e-12 * np.abs(rows).sum(1)
    assert (np.abs(reduce.step_sums(x).numpy() - rows.sum(1)) <= bound).all()
    assert reduce.step_max(x).tolist() == rows.max(1).tolist()
    assert all(s.dtype == torch.float64 for s in (squares, reduce.step_sums(x), reduce.step_max(x)))
    assert reduce.step_nonzero(x).dtype == reduce.step_elements(x).dtype == torch.int64


@pytest.mark.promise("counters-do-not-wrap")
@pytest.mark.parametrize("dtype", DTYPES)
def test_integer_totals_beyond_2_to_the_24(dtype: torch.dtype, tally: Count) -> None:
    """2^24 + 1 has no float32: sums of spikes and small integers are exact all the same."""
    count = 2**24 + 1
    assert reduce.step_sums(torch.ones(1, count, dtype=dtype)).tolist() == [count]
    values = torch.randint(0, 38, (1, 2_000_003), generator=torch.Generator().manual_seed(0))
    total = int(values.sum())
    assert total > 2**25
    assert total % 4  # float32 has multiples of 4 only at this size
    assert reduce.step_sums(values.to(dtype)).tolist() == [total]
    large = torch.full((1, 4096 * 3 + 5), 4096.0).to(dtype)
    assert reduce.step_sums(large).tolist() == [4096 * (4096 * 3 + 5)]
    tally("paths beyond 2^24")


def test_squares_of_tiny_and_huge_numbers() -> None:
    tiny = torch.full((2, 3), 1e-26)
    assert reduce.step_squares(tiny).tolist() == pytest.approx([3e-52, 3e-52], rel=1e-6)
    assert tiny.square().sum() == 0
    huge = torch.full((1, 4), 1e30)
    assert reduce.step_squares(huge).tolist() == pytest.approx([4e60], rel=1e-6)
    denormal = torch.full((1, 2), 1e-45)
    assert 0 < reduce.step_squares(denormal).item() < 1e-88
    assert reduce.step_squares(torch.zeros(1, 7)).item() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_stays_visible(bad: float) -> None:
    x = torch.ones(3, 5000)
    x[1, 17] = bad
    for sums in (reduce.step_sums(x), reduce.step_squares(x)):
        assert [math.isfinite(v) for v in sums.tolist()] == [True, False, True]
    assert math.isfinite(reduce.step_max(x)[1]) == (bad == -math.inf)


def test_no_element_at_all() -> None:
    empty = torch.zeros(2, 0, 3)
    assert reduce.step_sums(empty).tolist() == reduce.step_squares(empty).tolist() == [0, 0]
    assert reduce.step_max(empty).tolist() == [-math.inf] * 2
    assert reduce.step_elements(empty).tolist() == [0, 0]


def test_input_is_left_alone_and_no_graph_is_made() -> None:
    x = _random((3, 4, 5)).requires_grad_()
    kept = x.detach().clone()
    for name in ("step_sums", "step_squares", "step_nonzero", "step_above_one", "step_max"):
        assert not getattr(reduce, name)(x).requires_grad
    assert torch.equal(x.detach(), kept)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    seed=st.integers(0, 999),
    scale=st.sampled_from([1e-26, 1e-8, 1.0, 1e12]),
)
def test_property(shape: list[int], seed: int, scale: float) -> None:
    x = _random(tuple(shape), seed=seed) * scale
    rows = _rows(x)
    np.testing.assert_allclose(reduce.step_squares(x).numpy(), (rows**2).sum(1), rtol=1e-13)
    bound = 1e-6 * np.abs(rows).sum(1)
    assert (np.abs(reduce.step_sums(x).numpy() - rows.sum(1)) <= bound).all()
    assert reduce.step_max(x).tolist() == rows.max(1).tolist()
