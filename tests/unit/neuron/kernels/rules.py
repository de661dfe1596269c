"""Rules and inputs that the tests of every kernel share."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from snnlens.neuron.equations import Rule, state_dtype
from snnlens.neuron.surrogate import (
    ATan,
    Constant,
    Rectangular,
    Sigmoid,
    SuperSpike,
    Surrogate,
    Triangular,
)

CHARGES: list[dict[str, Any]] = [
    {"charge": "if"},
    {"charge": "lif", "tau_steps": 3.3, "decay_input": True},  # divided
    {"charge": "lif", "tau_steps": 3.3, "decay_input": False},
    {"charge": "lif", "tau_steps": 2.0, "decay_input": True},  # times the exact inverse
    {"charge": "plif", "decay_input": True},
    {"charge": "plif", "decay_input": False},
]
SURROGATES: list[Surrogate] = [
    ATan(), Constant(), Rectangular(0.7), Sigmoid(), SuperSpike(3.0), Triangular(0.6),
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
