"""One neuron in plain Python numbers: values, and derivatives by forward tangents.

Written from the papers and shares nothing with `snnlens.neuron.equations`: no tensors, no reverse
pass. The derivative of every spike by every input is carried forward beside the membrane, so the
gradient comes about in the other order of summation than in the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scalar:
    """kind: if, lif or plif; slope: (name, alpha) of the surrogate."""

    kind: str = "if"
    tau: float = 1.0
    decay_input: bool = True
    threshold: float = 1.0
    reset: str = "hard"
    v_reset: float = 0.0
    detach: bool = True
    slope: tuple[str, float] = ("atan", 2.0)

    def run(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """x [T] -> spikes [T], dS[t]/dX[s] as [s, t], dS[t]/d(1/tau) as [t]."""
        steps = len(x)
        v, spikes = self.v_reset, np.zeros(steps)
        dv = np.zeros(steps + 1)  # by each input, and last by 1 / tau
        jacobian = np.zeros((steps + 1, steps))
        for t in range(steps):
            h, dh = self._charge(v, x[t], dv, t)
            s = 1.0 if h >= self.threshold else 0.0
            ds = slope(*self.slope, h - self.threshold) * dh
            spikes[t], jacobian[:, t] = s, ds
            through = np.zeros_like(ds) if self.detach else ds
            if self.reset == "hard":
                v, dv = (self.v_reset if s else h), dh * (1 - s) + (self.v_reset - h) * through
            else:
                v, dv = h - self.threshold * s, dh - self.threshold * through
        return spikes, jacobian[:-1], jacobian[-1]

    def _charge(self, v: float, x: float, dv: Floats, t: int) -> tuple[float, Floats]:
        if self.kind == "if":
            dh = dv.copy()
            dh[t] += 1
            return v + x, dh
        rest = v - self.v_reset
        dh = dv * (1 - 1 / self.tau)
        dh[t] += 1 / self.tau if self.decay_input else 1
        dh[-1] += (x - rest) if self.decay_input else -rest
        h = v + (x - rest) / self.tau if self.decay_input else v - rest / self.tau + x
        return h, dh


def layer(neuron: Scalar, x: Floats, grad: Floats) -> tuple[Floats, Floats, float]:
    """x, grad [T, N] -> spikes [T, N], dL/dX [T, N], dL/d(1/tau) for L = sum grad * S."""
    spikes, grad_x, grad_rate = np.zeros_like(x), np.zeros_like(x), 0.0
    for i in range(x.shape[1]):
        spikes[:, i], by_x, by_rate = neuron.run(x[:, i])
        grad_x[:, i] = by_x @ grad[:, i]
        grad_rate += float(by_rate @ grad[:, i])
    return spikes, grad_x, grad_rate


def margin(neuron: Scalar, x: Floats) -> float:
    """How near the membrane comes to the threshold: rounding may not decide a spike here."""
    least = math.inf
    for i in range(x.shape[1]):
        v = neuron.v_reset
        for t in range(len(x)):
            h, _ = neuron._charge(v, x[t, i], np.zeros(len(x) + 1), t)
            least = min(least, abs(h - neuron.threshold))
            spike = h >= neuron.threshold
            hard = neuron.v_reset if spike else h
            v = hard if neuron.reset == "hard" else h - neuron.threshold * spike
    return least


SLOPES: dict[str, Callable[[float, float], float]] = {
    "atan": lambda a, x: a / 2 / (1 + (math.pi / 2 * a * x) ** 2),
    "sigmoid": lambda a, x: a / (2 + math.exp(a * x) + math.exp(-a * x)),
    "rectangular": lambda a, x: a if -0.5 < a * x < 0.5 else 0.0,
    "triangular": lambda a, x: a * max(0.0, 1 - abs(a * x)),
    "superspike": lambda a, x: (1 + a * abs(x)) ** -2,
    "constant": lambda a, x: 1.0,
}


def slope(name: str, alpha: float, x: float) -> float:
    """sigma'(x), from the table of each surrogate's paper."""
    return SLOPES[name](alpha, x)
