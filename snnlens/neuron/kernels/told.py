"""What the kernels are told of a rule, and which rules and dtypes they know."""

from __future__ import annotations

import torch

from snnlens.neuron import statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import (
    ATan,
    Constant,
    Rectangular,
    Sigmoid,
    SuperSpike,
    Surrogate,
    Triangular,
)

STORAGE = {torch.float32: "FLOAT32", torch.bfloat16: "BFLOAT16", torch.float16: "FLOAT16"}
SURROGATES: tuple[type[Surrogate], ...] = (
    ATan, Constant, Rectangular, Sigmoid, SuperSpike, Triangular,
)  # fmt: skip
GRAD_RATE = 1 << len(statistics.BIT)  # a bit of `wanted` beside those of the statistics: PLIF


def no_kernel(rule: Rule, dtype: torch.dtype) -> str:
    """Why only the reference runs that, or nothing."""
    if dtype not in STORAGE:
        return f"{dtype} runs in the reference"
    if type(rule.surrogate) not in SURROGATES:
        return f"surrogate {rule.surrogate} is not compiled"
    return ""


def tau_of(rule: Rule) -> tuple[str, float]:
    """How the leak is computed: y * (1 / tau) is y / tau to the bit where 1 / tau is exact."""
    if rule.charge == "if":
        return "IF", 1.0
    if rule.tau_steps is None:
        return "RATE", 0.0
    inverse = 1 / rule.tau_steps
    exact = inverse >= 2.0**-100 and inverse.hex().startswith("0x1.0000000000000p")
    return ("RATE", inverse) if exact else ("LIF", rule.tau_steps)


def constants_of(surrogate: Surrogate) -> tuple[float, float, float]:
    """slope, height and reach of sigma() in cpu.c."""
    alpha = getattr(surrogate, "alpha", 1.0)
    if isinstance(surrogate, ATan):
        return torch.pi / 2 * alpha, alpha / 2, 0.0
    reach = surrogate.support if isinstance(surrogate, Rectangular) else 0.0
    return alpha, alpha, reach
