r"""The gradient of a chain of Spiking blocks at identity: exact, and from the rate alone.

A zero-initialised Spiking ResNet has O^l = SN(S^l), and no gradient through F. With a neuron that
is the identity on binary input and is at rest after each step, the Jacobian of one block depends
only on a neuron's own spike train p:

    M_p[s, t] = dS^(l+1)_t / dS^l_s = a sigma'(a p_t - V_th) prod_(s <= u < t) b c(p_u),   s <= t

with a = dH/dX, b = dH/dV and c(p) = dV/dH: for a hard reset that is detached, c(p) = 1 - p. For
IF, a = b = 1, this is M_p[s, t] = sigma'(p_t - V_th) prod_(s <= u < t) (1 - p_u). As p is the same
in every block of the chain, k blocks above the deepest input m of the area

    ||dL/dS^l||^2 = sum_p tr(M_p^k G_p M_p^kT),   G_p = sum of g g^T over elements with train p.

At T = 1 it is Eq. 8 of Fang et al. 2021: ||dL/dS^l|| / ||dL/dS^m|| = sqrt(q s1^2k + (1-q) s0^2k).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChainNeuron:
    """What the law needs of a neuron; sigma' in spikes per unit of potential."""

    surrogate_at_spike: float
    surrogate_at_silence: float
    threshold: float = 1.0
    gain: float = 1.0
    leak: float = 1.0
    reset: str = "hard"
    detach_reset: bool = True

    @property
    def factors(self) -> tuple[float, float]:
        """s1, s0: the factor of one block at one step, for S = 1 and S = 0."""
        return self.gain * self.surrogate_at_spike, self.gain * self.surrogate_at_silence

    def carry(self, spike: int) -> float:
        """c(p) = dV/dH after a step with or without a spike, at rest potential 0."""
        slope = self.surrogate_at_spike if spike else self.surrogate_at_silence
        if self.reset == "soft":
            return 1.0 if self.detach_reset else 1 - self.threshold * slope
        through_spike = 0.0 if self.detach_reset else -self.gain * spike * slope
        return (1.0 - spike) + through_spike


def spike_trains(time_steps: int) -> NDArray[np.int64]:
    """All trains [2^T, T]; train p has S[t] = bit t of p.

    >>> spike_trains(2).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return np.arange(2**time_steps)[:, None] >> np.arange(time_steps) & 1


def transfer(neuron: ChainNeuron, time_steps: int) -> Floats:
    """M [2^T, T, T]: M[p, s, t] is the derivative of the block's output at t by its input at s.

    >>> transfer(ChainNeuron(1.0, 0.092), 2)[0].round(3).tolist()   # a silent neuron
    [[0.092, 0.092], [0.0, 0.092]]
    """
    trains = spike_trains(time_steps)
    s1, s0 = neuron.factors
    slope = np.where(trains == 1, s1, s0)
    step = neuron.leak * np.where(trains == 1, neuron.carry(1), neuron.carry(0))
    m = np.zeros((len(trains), time_steps, time_steps))
    for s in range(time_steps):
        through = np.ones(len(trains))
        for t in range(s, time_steps):
            m[:, s, t] = slope[:, t] * through
            through = through * step[:, t]
    return m


def chain_norms(gram: Floats, neuron: ChainNeuron, blocks: int) -> Floats:
    """||dL/dS^(m-k)|| for k = 0 .. blocks, from G [2^T, T, T] at S^m.

    >>> gram = np.array([[[3.0]], [[1.0]]])     # T = 1: 3 on silent elements, 1 on spiking ones
    >>> chain_norms(gram, ChainNeuron(1.0, 0.0), 2).tolist()
    [2.0, 1.0, 1.0]
    """
    m = transfer(neuron, gram.shape[-1])
    norms = []
    for _ in range(blocks + 1):
        norms.append(np.sqrt(np.trace(gram, axis1=1, axis2=2).sum()))
        gram = m @ gram @ m.transpose(0, 2, 1)
    return np.array(norms)


def same_step_ratio(share: float, neuron: ChainNeuron, k: Floats) -> Floats:
    """sqrt(x s1^2k + (1 - x) s0^2k): exact at T = 1 with x = q, the share of the squared gradient
    on elements that spike; with x = Phi, the firing rate, it is the rate-only approximation.

    >>> same_step_ratio(0.25, ChainNeuron(1.0, 0.0), np.array([0.0, 1.0])).tolist()
    [1.0, 0.5]
    """
    s1, s0 = neuron.factors
    ratio: Floats = np.sqrt(share * s1 ** (2 * k) + (1 - share) * s0 ** (2 * k))
    return ratio


def spiking_share(gram: Floats) -> float:
    """q at T = 1: the share of the squared gradient on elements with S = 1; NaN if it is 0."""
    total = float(gram.sum())
    return float(gram[1].sum()) / total if total > 0 else float("nan")
