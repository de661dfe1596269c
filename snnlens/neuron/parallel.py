r"""The parallel spiking neuron and the QCFS quantiser: one count, and the forms that equal it.

Over T steps with currents I_1 .. I_T only their sum S = sum_t I_t counts:

    k   = clip(floor(S / theta + psi / theta), 0, T),     psi = theta / 2        (count)
    s_x = [x > T - k],    x = 1 .. T                                             (train: sorted)
    r   = theta k / T                                                            (rate x amplitude)

With S = T z this is the QCFS activation with T levels of the mean current z. So an ANN with QCFS of
L levels and the parallel network at T = L are equal; where both take their sums from one and the
same product of weights, they are equal to the bit, since they share this function.

The paper writes it as matrices over time (row x = 1 .. T): Lambda_pre = 1/T everywhere, Lambda_post
lower triangular with T / (x (T - x + 1)), their product Lambda_pc with 1 / (T - x + 1) in row x,
and s_x = [(Lambda_pc I)_x + psi / (T - x + 1) >= theta].

A tie is S / theta + psi / theta at a whole number: common behind average pooling and identity
shortcuts, where sums of spikes lie on a lattice. Which side rounding takes it to would depend on
the order of operations; here a quotient within `tie` (relative) below a whole number is that
number.

Source: Hao et al. 2025 (Faster and Stronger, ICML), Section 4; the closed form and the ties are
ours. The authors' code puts the spikes first instead of last; the counts are the same.

float32 on a CPU runs in kernels/parallel.c, with the same bits; what may be asked for a gradient,
and everything else, in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron.equations import state_dtype
from snnlens.neuron.kernels import parallel as kernel

ROUNDINGS = 16  # machine epsilons within which a quotient is a tie
PART = 16  # steps that are added one after the other
MOST_STEPS = 2**24  # a count is a float32, which holds every whole number up to here
EPSILON = torch.finfo(torch.float32).eps  # of what the kernel runs


def tie(dtype: torch.dtype) -> float:
    """How far below a whole number, relative to it, S / theta + psi / theta counts as that number.

    16 machine epsilons of the dtype of S: what the rounding of a few operations leaves.

    >>> tie(torch.float64) < 4e-15, tie(torch.float32) < 2e-6
    (True, True)
    """
    return ROUNDINGS * torch.finfo(state_dtype(dtype)).eps


def count(total: Tensor, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> Tensor:
    r"""k = clip(floor(S / theta + psi / theta), 0, T): the spikes of T steps.

    The gradient takes floor for the identity (straight through): dk/dS = 1 / theta inside of the
    range and 0 outside, dk/dtheta likewise.

    Args:
        total: S [...], the currents of all steps added; floating, unit: that of theta.
        threshold: theta, one number or a tensor that broadcasts against S (per channel); above 0.
        time_steps: T, at least 1; also the levels L of QCFS.
        shift: psi / theta, 1/2 in practice.

    Returns:
        k as whole numbers in the dtype of S (float32 where that is short), shaped like S.

    Source: Hao et al. 2025, Section 4.

    >>> count(torch.tensor([-1.0, 0.4, 0.5, 1.6, 9.0]), 1.0, 4).tolist()
    [0.0, 0.0, 1.0, 2.0, 4.0]
    """
    _check_steps(time_steps)
    if not _is_differentiated(total, threshold):
        fast = kernel.count(total, threshold, time_steps, _constants(shift))
        if fast is not None:
            return fast
    _check_floating("the total current", total)
    total = total.to(state_dtype(total.dtype))
    above = (total / threshold + shift) * (1 + tie(total.dtype))
    return torch.clamp(_Floor.apply(above), 0, time_steps)  # type: ignore[no-untyped-call]


def rate(counts: Tensor, amplitude: Tensor | float, time_steps: int) -> Tensor:
    """r = theta k / T, the mean output over T steps; the one place where it is made.

    >>> rate(torch.tensor([0.0, 3.0]), 0.5, 4).tolist()
    [0.0, 0.375]
    """
    return counts / time_steps * amplitude


def train(counts: Tensor, time_steps: int) -> Tensor:
    """s_x = [x > T - k], x = 1 .. T: the k spikes lie in the last k steps, [T, ...] of 0 and 1.

    >>> train(torch.tensor([0.0, 1.0, 3.0]), 3).T.tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    _check_steps(time_steps)
    fast = kernel.train(counts, time_steps)
    if fast is not None:
        return fast
    steps = torch.arange(1, time_steps + 1, device=counts.device, dtype=counts.dtype)
    steps = steps.reshape(-1, *[1] * counts.dim())
    return (steps > time_steps - counts).to(counts.dtype)


def rows(total: Tensor, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> Tensor:
    """The train by the Hadamard product d_x S with d_x = 1 / (T - x + 1), [T, ...].

    s_x = [d_x S + d_x psi >= theta]. Source: Hao et al. 2025, Section 4 (O(T) a neuron).

    >>> rows(torch.tensor([1.6]), 1.0, 3).flatten().tolist()
    [0.0, 1.0, 1.0]
    """
    _check_steps(time_steps)
    d = 1 / _remaining(time_steps, total)
    d = d.reshape(-1, *[1] * total.dim())
    return (d * total + d * (shift * threshold) >= threshold).to(total.dtype)


def matrix(currents: Tensor, threshold: Tensor | float, shift: float = 0.5) -> Tensor:
    """The train by Lambda_pc I, as the paper writes it, [T, ...] from currents [T, ...].

    >>> matrix(torch.tensor([[0.2], [1.0], [0.4]]), 1.0).flatten().tolist()
    [0.0, 1.0, 1.0]
    """
    steps = len(currents)
    charged: Tensor = torch.tensordot(charge_matrix(steps, currents), currents, 1)
    shifts = (shift / _remaining(steps, currents)).reshape(-1, *[1] * (currents.dim() - 1))
    return (charged + shifts * threshold >= threshold).to(currents.dtype)


def search(total: Tensor, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> Tensor:
    """The count by binary search for the first step that fires: O(log T) comparisons a neuron.

    >>> search(torch.tensor([1.6, -2.0, 9.0]), 1.0, 3).tolist()
    [2.0, 0.0, 3.0]
    """
    _check_steps(time_steps)
    low, high = torch.zeros_like(total), torch.full_like(total, float(time_steps))
    for _ in range(math.ceil(math.log2(time_steps + 1))):
        middle = torch.ceil((low + high) / 2)
        fires = (total + shift * threshold >= middle * threshold) & (middle > low)
        low, high = torch.where(fires, middle, low), torch.where(fires, high, middle - 1)
        high = torch.maximum(low, high)
    return low


def pre_matrix(time_steps: int) -> Tensor:
    """Lambda_pre [T, T], float64: every step sees the mean current.

    >>> pre_matrix(2).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    return torch.full((time_steps, time_steps), 1 / time_steps, dtype=torch.float64)


def post_matrix(time_steps: int) -> Tensor:
    """Lambda_post [T, T], float64: lower triangular, row x holds T / (x (T - x + 1)).

    >>> post_matrix(2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    x = torch.arange(1, time_steps + 1, dtype=torch.float64)
    row = time_steps / (x * (time_steps - x + 1))
    return torch.tril(row[:, None].expand(time_steps, time_steps))


def charge_matrix(time_steps: int, like: Tensor | None = None) -> Tensor:
    """Lambda_pc = Lambda_post Lambda_pre [T, T]: 1 / (T - x + 1) in row x.

    >>> charge_matrix(2).tolist()
    [[0.5, 0.5], [1.0, 1.0]]
    """
    row = 1 / _remaining(time_steps, torch.empty(0, dtype=torch.float64) if like is None else like)
    return row[:, None].expand(time_steps, time_steps)


class ParallelIF(nn.Module):
    """The parallel neuron as a layer: currents [T, ...] in, sorted spikes [T, ...] out.

    Args:
        threshold: theta, a number or a tensor that broadcasts against one step; above 0.
        shift: psi / theta.

    Source: Hao et al. 2025 (ICML). All T steps have to be there before the first spike: L layers on
    hardware that goes step by step take L T steps, where IF layers take T.

    >>> ParallelIF()(torch.tensor([[1.0], [0.3], [0.4]])).flatten().tolist()
    [0.0, 1.0, 1.0]
    """

    def __init__(self, threshold: Tensor | float = 1.0, shift: float = 0.5) -> None:
        super().__init__()
        theta = torch.as_tensor(threshold)
        if not bool((theta > 0).all()):  # NaN fails too
            raise InputError("threshold", got=float(theta.min()), wanted="above 0")
        self.register_buffer("threshold", theta if theta.is_floating_point() else theta.float())
        self.shift = shift
        self.threshold: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, ...], zeros and ones in the dtype of x; no gradient flows through them."""
        _check_input(x)
        fast = kernel.spikes(x, self.threshold.to(x.dtype), _constants(self.shift))
        return train(self.counts(x), len(x)).to(x.dtype) if fast is None else fast

    def counts(self, x: Tensor) -> Tensor:
        """Spikes of each neuron [...] from currents [T, ...]."""
        _check_input(x)
        threshold = self.threshold.to(x.dtype)
        if not _is_differentiated(x, threshold):
            fast = kernel.counts(x, threshold, _constants(self.shift))
            if fast is not None:
                return fast
        return count(added(x), threshold, len(x), self.shift)

    def extra_repr(self) -> str:
        """The thresholds in a line."""
        low, high = float(self.threshold.min()), float(self.threshold.max())
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"threshold={said}, shift={self.shift:g}"


def added(x: Tensor) -> Tensor:
    """S = I_1 + .. + I_T of currents [T, ...], in float32 where x is short.

    Step by step within parts of 16 steps, then part by part: the rounding of long trains stays
    within a tie.

    >>> added(torch.ones(40, 2)).tolist()
    [40.0, 40.0]
    """
    parts = [_in_order(part) for part in x.to(state_dtype(x.dtype)).split(PART)]
    return _in_order(parts)


class _Floor(torch.autograd.Function):
    """floor forward, the identity backward."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return torch.floor(x)

    @staticmethod
    def backward(_: Any, grad: Tensor) -> Tensor:
        return grad


def _in_order(terms: Tensor | list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _remaining(time_steps: int, like: Tensor) -> Tensor:
    """T - x + 1 for x = 1 .. T."""
    return torch.arange(time_steps, 0, -1, dtype=like.dtype, device=like.device)


def _check_steps(time_steps: int) -> None:
    if time_steps < 1:
        raise InputError("time_steps", got=time_steps, wanted="at least 1")
    if time_steps > MOST_STEPS:
        raise InputError("time_steps", got=time_steps, wanted=f"at most {MOST_STEPS}")


def _check_floating(what: str, x: Tensor) -> None:
    if not x.is_floating_point():
        raise InputError(what, got=x.dtype, wanted="of a floating dtype")


def _check_input(x: Tensor) -> None:
    _check_floating("the input of a neuron", x)
    if x.dim() == 0 or len(x) == 0:
        wanted = "[T, ...] with T of at least 1"
        raise InputError("the input of a neuron", got=tuple(x.shape), wanted=wanted)
    _check_steps(len(x))


def _is_differentiated(x: Tensor, threshold: Tensor | float) -> bool:
    """Whether somebody may ask for a gradient."""
    if not torch.is_grad_enabled():
        return False
    return x.requires_grad or (isinstance(threshold, Tensor) and threshold.requires_grad)


def _constants(shift: float) -> kernel.Constants:
    return kernel.Constants(shift, 1 + ROUNDINGS * EPSILON, PART)
