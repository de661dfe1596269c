"""Update ratio: how far a parameter moves from one recorded pass to the next, beside its norm."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site


class UpdateRatio(Probe):
    """||W_after - W_before|| / ||W_before|| between two backward passes that are recorded.

    Over several updates the quotient of the root mean squares; no unit; NaN where W was 0. About
    1e-3 per step is a healthy order of magnitude for a weight that trains (the rule of thumb of
    the source). It is whatever happened between the passes: where only every n-th step is
    recorded, n updates. Two passes with no update between them (gradients that are accumulated)
    are no pair: nothing has changed, and no optimizer wrote to the parameter. Nothing after the
    first pass.

    The one stated exception to keeping sums only: a copy of each parameter, held by the probe. One
    object of this class is for one network.

    Source: Karpathy, cs231n notes, "Ratio of weights:updates"; You et al. 2017 (LARS).
    """

    name = "update_ratio"
    roles = frozenset({"parameter"})
    axes = ()
    columns = {"update_squares": Column(), "before_squares": Column(), "updates": Column()}
    quantities = {
        "update_ratio": Quantity(
            "relative_norm", ("update_squares", "before_squares"), "relative norm"
        )
    }
    keeps_value = True
    adds = False  # every rank sees the same updates of the same weights

    def __init__(self) -> None:
        self._before: dict[str, tuple[Tensor, int]] = {}  # W, and how often it had been written to

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """Squares of the change since the last pass, if there was one, and of what was before."""
        assert x is not None
        old = self._before.get(site.name)
        if old is None or old[0].shape != x.shape or old[0].device != x.device:
            self._before[site.name] = x.detach().clone(), x._version
            return {}
        before, version = old
        change = x.to(torch.float64) - before.to(torch.float64)
        # Whoever writes through .data leaves the version as it was.
        moved = ((change.count_nonzero() > 0) | (x._version != version)).to(torch.int64)
        sums = {
            "update_squares": step_squares(change.reshape(1, -1))[0],
            "before_squares": step_squares(before.reshape(1, -1))[0] * moved,
            "updates": moved,
        }
        before.copy_(x)
        self._before[site.name] = before, x._version
        return sums
