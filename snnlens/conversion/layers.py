"""What stands where an activation stood: a spiking layer, its time folded into the batch.

Currents [T B, ...] in, the steps of one batch together as in the neuron core; spikes times theta
[T B, ...] out. So every layer between two of them sees a batch, and needs to know of no time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron.layers import IF, Neuron
from snnlens.neuron.parallel import ParallelIF, count, rate

NUDGE = (1e-5, 1e-9)  # relative, float32 and float64: above the rounding of 1,000 steps


class Spiking(nn.Module, ABC):
    """A layer of neurons whose mean output over T steps stands for an activation.

    Args:
        threshold: theta, one number, or a tensor that broadcasts against one sample [C, ...].
        time_steps: T.
        shift: psi / theta of the activation: what the sum of currents begins with.

    Attributes:
        bias: psi_DA, added to the current at every step; 0 unless calibrated.
        gain: phi_DA, added to the amplitude of a spike; 0 unless calibrated.
    """

    neuron: Neuron | ParallelIF
    theta: Tensor
    bias: Tensor
    gain: Tensor

    def __init__(self, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> None:
        super().__init__()
        self.shift = shift
        theta = torch.as_tensor(threshold).detach().clone()
        if not bool((theta > 0).all()):  # NaN fails too
            raise InputError("threshold", got=float(theta.min()), wanted="above 0")
        self.register_buffer("theta", theta)
        self.register_buffer("bias", torch.zeros_like(theta))
        self.register_buffer("gain", torch.zeros_like(theta))
        self.time_steps = time_steps

    def extra_repr(self) -> str:
        """T and thresholds in a line."""
        low, high = float(self.theta.min()), float(self.theta.max())
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"time_steps={self.time_steps}, theta={said}"

    @property
    def amplitude(self) -> Tensor:
        """theta + phi_DA, what one spike hands on."""
        return self.theta + self.gain

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T B, ...] to spikes times amplitude [T B, ...]."""
        steps = x.unflatten(0, (self.time_steps, -1))
        return self.spikes(steps).flatten(0, 1) * self.amplitude

    @abstractmethod
    def spikes(self, steps: Tensor) -> Tensor:
        """Spikes [T, B, ...] of zeros and ones from currents [T, B, ...]."""

    def encode(self, a: Tensor) -> Tensor:
        """Activations [B, ...] as the spikes times theta of a constant current, [T B, ...].

        An activation on a tie (theta / 4 at T = 2) is counted up, as by `count`, in every form.
        """
        steps = (a * (1 + NUDGE[a.dtype == torch.float64])).expand(self.time_steps, *a.shape)
        return self.unheard(steps).flatten(0, 1) * self.theta

    @abstractmethod
    def unheard(self, steps: Tensor) -> Tensor:
        """Spikes without calibration, past every hook."""

    def closed_form(self, z: Tensor, time_steps: int) -> Tensor:
        """The count that a mean current z gives in the order that makes no unevenness.

        k = clip(floor((z + psi_DA) T / theta + 1/2), 0, T). Source: Hao et al. 2025, Section 4.
        """
        return count((z + self.bias) * time_steps, self.theta, time_steps, self.shift)

    def mean_of(self, counts: Tensor, time_steps: int) -> Tensor:
        """r = (theta + phi_DA) k / T."""
        return rate(counts, self.amplitude, time_steps)


class SequentialLayer(Spiking):
    """Integrate and fire with soft reset from V(0) = psi (theta / 2), in units of theta.

    >>> layer = SequentialLayer(2.0, time_steps=3)
    >>> layer(torch.tensor([[1.0], [0.5], [0.5]])).flatten().tolist()
    [2.0, 0.0, 0.0]
    """

    neuron: IF

    def __init__(self, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> None:
        super().__init__(threshold, time_steps, shift)
        self.neuron = IF(1.0, reset="soft", initial_potential=shift)

    def spikes(self, steps: Tensor) -> Tensor:
        """By the neuron core."""
        found: Tensor = self.neuron(steps * (1 / self.theta))
        return found

    def unheard(self, steps: Tensor) -> Tensor:
        return self.neuron.forward(steps * (1 / self.theta))


class ParallelLayer(Spiking):
    """The parallel neuron: what it fires follows from the sum of its currents.

    With `sum_first` the layer is given the mean current [B, ...] and gives the mean output: a
    linear layer between two of them runs once, not T times, and memory does not grow with T.

    >>> layer = ParallelLayer(2.0, time_steps=3)
    >>> layer(torch.tensor([[1.0], [0.5], [0.5]])).flatten().tolist()
    [0.0, 0.0, 2.0]
    """

    neuron: ParallelIF

    def __init__(self, threshold: Tensor | float, time_steps: int, shift: float = 0.5) -> None:
        super().__init__(threshold, time_steps, shift)
        self.neuron = ParallelIF(self.theta, shift)
        self.sum_first = False

    def forward(self, x: Tensor) -> Tensor:
        """[T B, ...] to [T B, ...], or with `sum_first` [B, ...] to [B, ...]."""
        if not self.sum_first:
            return super().forward(x)
        return self.mean_of(self.closed_form(x, self.time_steps), self.time_steps)

    def spikes(self, steps: Tensor) -> Tensor:
        """Sorted: the last k steps."""
        found: Tensor = self.neuron(steps + self.bias)
        return found

    def unheard(self, steps: Tensor) -> Tensor:
        return self.neuron.forward(steps)


class Stepped(nn.Module):
    """A spiking layer that was in the ANN already, shown its steps: [T B, ...] as [T, B, ...]."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.time_steps = layer, 1

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of each step, folded again."""
        out: Tensor = self.layer(x.unflatten(0, (self.time_steps, -1)))
        return out.flatten(0, 1)


LAYERS: dict[str, type[SequentialLayer] | type[ParallelLayer]] = {
    "sequential": SequentialLayer, "parallel": ParallelLayer,
}  # fmt: skip
