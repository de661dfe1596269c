r"""QCFS: the activation that an ANN is trained with so that spikes can stand for it.

    h(z) = theta / L  clip(floor(z L / theta + psi / theta), 0, L),   psi = theta / 2

L levels, theta learned. Without levels (L to infinity) it is the clip to [0, theta].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron.parallel import count, rate

FIRST = 8.0  # where a learned threshold starts: the QCFS code
LEAST = 1e-6  # a threshold that training drove to 0 stays above it; convert refuses it


class QCFS(nn.Module):
    """Quantisation, clip, floor and shift, with a learned threshold; its gradient skips the floor.

    dh/dz = 1 inside of the range, else 0; dh/dtheta = h/theta - z/theta inside, 1 above, 0 below,
    where floor(...) > L is above: z >= theta (1 + 1 / 2L).

    Args:
        levels: L, at least 1; None: no quantisation, clip(z, 0, theta).
        threshold: theta at the start, one number, or per channel a tensor that broadcasts against
            one sample [C, ...].
        shift: psi / theta.
        learned: whether theta is a parameter.

    Raises:
        InputError: levels below 1, a threshold that is not above 0.

    Source: Bu et al. 2022 (QCFS, ICLR), Eq. 10; Hao et al. 2025 (ICML), Section 3.

    >>> QCFS(levels=4, threshold=1.0)(torch.tensor([-1.0, 0.1, 0.3, 2.0])).tolist()
    [0.0, 0.0, 0.25, 1.0]
    """

    def __init__(
        self,
        levels: int | None = 8,
        threshold: Tensor | float = FIRST,
        *,
        shift: float = 0.5,
        learned: bool = True,
    ) -> None:
        super().__init__()
        if levels is not None and (levels != int(levels) or levels < 1):
            raise InputError("levels", got=levels, wanted="a whole number from 1 on, or None")
        first = torch.as_tensor(threshold, dtype=torch.get_default_dtype()).clone()
        if not bool((first > 0).all()):  # NaN fails too
            raise InputError("threshold", got=float(first.min()), wanted="above 0")
        self.raw = nn.Parameter(first, requires_grad=learned)
        self.levels, self.shift = levels, shift

    @property
    def threshold(self) -> Tensor:
        """theta, positive wherever training took the parameter."""
        return self.raw.abs().clamp(min=LEAST)

    def forward(self, z: Tensor) -> Tensor:
        """a = h(z), shaped like z."""
        theta = self.threshold
        if self.levels is None:
            return torch.minimum(z.clamp(min=0), theta)
        return rate(count(z * self.levels, theta, self.levels, self.shift), theta, self.levels)

    def requantised(self, levels: int | None) -> QCFS:
        """The same threshold with other levels, not learned.

        >>> QCFS(levels=4, threshold=1.0).requantised(2)(torch.tensor([0.3, 0.9])).tolist()
        [0.5, 1.0]
        """
        return QCFS(levels, self.threshold.detach(), shift=self.shift, learned=False).to(self.raw)

    def extra_repr(self) -> str:
        """Levels and thresholds in a line."""
        theta = self.threshold.detach()
        low, high = float(theta.min()), float(theta.max())
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"levels={self.levels}, threshold={said}"
