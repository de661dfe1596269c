"""The reference backend: neuron/equations.py with the kernels' signature, on any device."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from snnlens.neuron import equations, statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels.layout import dense, nothing
from snnlens.neuron.statistics import Bins


def forward(
    x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *,
    wanted: int = 0, bins: Bins | None = None, last: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Spikes, the last V (empty unless asked for) and the two tables of statistics."""
    x = dense(x)
    v = equations.start(x, rule) if v is None else v
    spikes, end = equations.forward(x, v, rule, rate)
    if wanted:
        membranes = partial(equations.steps, x, v, rule, rate)
        tables = statistics.measure(x, spikes, membranes, wanted, bins or Bins())
    else:
        tables = statistics.no_tables(len(x), Bins(), x.device)
    return spikes, end if last else nothing(end), *tables


def backward(
    grad: Tensor, x: Tensor, v: Tensor | None, rule: Rule, rate: Tensor | None, *, wanted: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/dX, dL/d(1 / tau) (empty but for PLIF) and the table of statistics."""
    x = dense(x)
    v = equations.start(x, rule) if v is None else v
    grad_x, by_rate = equations.backward(grad, x, v, rule, rate)
    sums = statistics.measure_gradients(grad, grad_x, wanted)
    return grad_x, nothing(x) if by_rate is None else by_rate, sums
