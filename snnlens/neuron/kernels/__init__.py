"""The seam between the layers and whatever runs the equations.

A backend is a module with the two functions `forward` and `backward` of `neuron/equations.py`.
Today there is one, the reference itself; a faster one must be held equal to it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnlens.neuron import equations
from snnlens.neuron.equations import Rule


def backend_for(x: Tensor) -> ModuleType:  # noqa: ARG001 - the seam
    """The backend that runs x, by its device and dtype."""
    return equations


def multi_step(
    x: Tensor, v: Tensor, rule: Rule, rate: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Spikes [T, ...] with surrogate gradients to x and rate, and the last membrane (detached)."""
    spikes, last = _MultiStep.apply(x, v, rate, rule)  # type: ignore[no-untyped-call]
    return spikes, last


class _MultiStep(torch.autograd.Function):
    """One explicit forward and backward over all steps; x is all that is saved."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, v: Tensor, rate: Tensor | None, rule: Rule
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, v, rate)
        ctx.rule = rule
        spikes, last = backend_for(x).forward(x, v, rule, rate)
        ctx.mark_non_differentiable(last)
        ctx.set_materialize_grads(False)
        return spikes, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, v, rate = ctx.saved_tensors
        grad_x, grad_rate = backend_for(x).backward(grad, x, v, ctx.rule, rate)
        return grad_x, None, grad_rate, None
