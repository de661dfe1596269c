"""Rules, inputs and the comparison that the tests of every kernel share."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from snnlens.neuron import statistics
from snnlens.neuron.equations import Rule, state_dtype
from snnlens.neuron.kernels import reference
from snnlens.neuron.statistics import Bins
from snnlens.neuron.surrogate import Sigmoid, Surrogate, by_name

FORWARD = statistics.bits(statistics.FORWARD)
BACKWARD = statistics.bits(statistics.BACKWARD)
CHARGES: list[dict[str, Any]] = [
    {"charge": "if"},
    {"charge": "lif", "tau_steps": 3.3, "decay_input": True},  # divided
    {"charge": "lif", "tau_steps": 3.3, "decay_input": False},
    {"charge": "lif", "tau_steps": 2.0, "decay_input": True},  # times the exact inverse
    {"charge": "plif", "decay_input": True},
    {"charge": "plif", "decay_input": False},
]
SURROGATES: list[Surrogate] = [
    by_name("atan"), by_name("constant"), by_name("rectangular", 0.7), by_name("sigmoid"),
    by_name("superspike", 3.0), by_name("triangular", 0.6),
]  # fmt: skip
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def every_rule() -> list[tuple[Rule, torch.dtype]]:
    """The whole matrix of options that are compiled apart."""
    return [
        (Rule(**charge, reset=reset, detach_reset=detach, surrogate=surrogate), dtype)
        for charge, surrogate, reset, detach, dtype in itertools.product(
            CHARGES, SURROGATES, ("hard", "soft"), (True, False), DTYPES
        )
    ]


def pairwise_rules() -> list[tuple[Rule, torch.dtype]]:
    """Every charge with every surrogate, and with both the other options in turn."""
    resets, chosen = list(itertools.product(("hard", "soft"), (True, False))), []
    for k, (charge, surrogate) in enumerate(itertools.product(CHARGES, SURROGATES)):
        reset, detach = resets[(k + k // 6) % 4]
        rest, threshold = ((0.0, 1.0), (-0.25, 0.5), (0.25, 0.75))[k % 3]
        chosen.append((
            Rule(**charge, reset=reset, detach_reset=detach, surrogate=surrogate,
                 reset_potential=rest, threshold=threshold),
            DTYPES[(k + k // 6) % 3],
        ))  # fmt: skip
    return chosen


def rate_of(rule: Rule) -> Tensor | None:
    """1 / tau of PLIF."""
    return torch.tensor(0.4) if rule.charge == "plif" else None


def numbers(
    shape: tuple[int, ...], seed: int, dtype: torch.dtype, *, ties: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """X, dL/dS and V_0; with ties X is a multiple of 1/4, so that H meets the threshold."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator) + 0.4
    if ties:
        x = (x * 4).round() / 4
    grad = torch.randn(shape, generator=generator).to(dtype)
    v = (torch.randn(shape[1:], generator=generator) / 4).to(state_dtype(dtype))
    return x.to(dtype), grad, v


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _channels_last(x: Tensor) -> Tensor:
    if x.dim() != 5:
        return x
    folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return torch.unflatten(folded, 0, x.shape[:2])


def _transposed(x: Tensor) -> Tensor:
    return x.transpose(0, -1).contiguous().transpose(0, -1)


def _with_gaps(x: Tensor) -> Tensor:
    return torch.stack([x, x], -1)[..., 0]


def _shifted(x: Tensor) -> Tensor:
    """Not at the beginning of a line of the cache."""
    return torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def _repeated(x: Tensor) -> Tensor:
    return x[:1].expand_as(x)


LAYOUTS = {
    f.__name__: f for f in (_as_it_is, _channels_last, _transposed, _with_gaps, _shifted, _repeated)
}
SHAPES = st.one_of(
    st.tuples(st.integers(1, 21)),
    st.tuples(st.integers(1, 21), st.integers(0, 300)),
    st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 7),
              st.integers(1, 9)),
    st.just((3, 20_001)),  # more than two blocks
)  # fmt: skip


def same(x: Tensor, y: Tensor) -> bool:
    """Equal to the bit where they are numbers, and not numbers in the same places."""
    return x.dtype == y.dtype and torch.equal(x.nan_to_num(7.5), y.nan_to_num(7.5))


def check(kernel: Any, rule: Rule, x: Tensor, grad: Tensor, v: Tensor | None, bins: Bins) -> None:
    """Both passes of a kernel against the reference, with every statistic."""
    assert not kernel.why_not(x, rule)
    _check_forward(kernel, rule, x, v, bins)
    _check_backward(kernel, rule, x, grad, v)


def _check_forward(kernel: Any, rule: Rule, x: Tensor, v: Tensor | None, bins: Bins) -> None:
    options: dict[str, Any] = {"wanted": FORWARD, "bins": bins, "last": True}
    spikes, end, counts, sums = kernel.forward(x, v, rule, rate_of(rule), **options)
    slow = reference.forward(x, v, rule, rate_of(rule), **options)
    assert same(spikes, slow[0])
    assert same(end, slow[1])
    is_sigmoid = isinstance(rule.surrogate, Sigmoid)
    # sigma' > 0 for |y| up to 87 or 103 in the two ways to write the sigmoid
    exact = [0, *range(2, len(counts))] if is_sigmoid else slice(None)
    assert torch.equal(counts[exact], slow[2][exact])
    assert sums.shape == slow[3].shape == (3, len(x))
    # the same float32 numbers, added in float64 in another order
    assert torch.allclose(sums[:2], slow[3][:2], rtol=1e-12, atol=0)
    # sigma' > 0: its sum is off by no more than each term is, a few units in the last place
    rtol, atol = (16 * torch.finfo(torch.float32).eps, 1e-30) if is_sigmoid else (1e-12, 0.0)
    assert torch.allclose(sums[2], slow[3][2], rtol=rtol, atol=atol)


def _check_backward(kernel: Any, rule: Rule, x: Tensor, grad: Tensor, v: Tensor | None) -> None:
    rate = rate_of(rule)
    by_x, by_rate, sums = kernel.backward(grad, x, v, rule, rate, wanted=BACKWARD)
    want_x, want_rate, want_sums = reference.backward(grad, x, v, rule, rate, wanted=BACKWARD)
    close(by_x, want_x, rule)
    assert (by_rate.shape, by_rate.dtype) == (want_rate.shape, want_rate.dtype)
    # float32 sums in float64 of products that agree to the bit but for the sigmoid's exp
    scale = float(want_x.double().abs().sum()) + 1
    assert torch.allclose(by_rate, want_rate, rtol=2e-6, atol=1e-6 * scale)
    assert sums.shape == want_sums.shape == (2, len(x))
    assert torch.allclose(sums[0], want_sums[0], rtol=1e-12, atol=0)
    brute = by_x.double().square().unsqueeze(-1).flatten(1).sum(1)
    assert torch.allclose(sums[1], brute, rtol=1e-12, atol=0)


def close(got: Tensor, want: Tensor, rule: Rule) -> None:
    """To the bit, but for the sigmoid, whose exp is our own: a few units in the last place."""
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if not got.numel():
        return
    assert _step_strides(got) == _step_strides(want)
    if not isinstance(rule.surrogate, Sigmoid):
        assert same(got, want)
        return
    eps = max(torch.finfo(got.dtype).eps, 16 * torch.finfo(torch.float32).eps)
    largest = float(want.double().abs().max())
    assert float((got.double() - want.double()).abs().max()) <= eps * largest


def _step_strides(x: Tensor) -> list[int]:
    """The layout of a step; of an axis of length 1 the stride means nothing."""
    return [s for s, n in zip(x.stride()[1:], x.shape[1:], strict=True) if n > 1]
