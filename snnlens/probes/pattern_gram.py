"""Pattern Gram matrices: what the exact law of an identity chain needs, at the end of an area."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column
from snnlens.sites import Site

MAX_STEPS = 8


class PatternGram(Probe):
    """G_p[s, t] = sum of g_s g_t over the elements whose spike train at S^m is p, g = dL/dS^m.

    p is the integer sum_t S[t] 2^t, in float64, for T up to 8. It holds the spikes of its sites
    from the forward to the backward pass, the one thing besides sums. A site whose tensor is not
    binary gets no row (the one check that waits for the device).

    Source: the chain of Fang et al. 2021, Eq. 8, over all paths in time; see
    `snnlens.measures.chain`.
    """

    name = "pattern_gram"
    roles = frozenset({"block_input", "block_output"})
    axes = ("pattern", "step", "other_step")
    columns = {"gram": Column(), "elements": Column("max", "max")}
    keeps_value = True

    def __init__(self, sites: frozenset[str] | None = None) -> None:
        self.sites = sites  # by name; None takes every block input and output

    def wants(self, site: Site) -> bool:
        """The named sites only: the deepest input of each area is enough."""
        return super().wants(site) and (self.sites is None or site.name in self.sites)

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """One weighted count per pair of steps."""
        assert x is not None
        steps = len(x)
        if steps > MAX_STEPS or not bool(((x == 0) | (x == 1)).all()):
            return {}
        powers = 2 ** torch.arange(steps, device=x.device)
        pattern = (x.flatten(1).to(torch.int64) * powers[:, None]).sum(0)
        g = grad.flatten(1).to(torch.float64)
        gram = torch.zeros(2**steps, steps, steps, dtype=torch.float64, device=x.device)
        for s in range(steps):
            for t in range(s, steps):
                sums = torch.bincount(pattern, weights=g[s] * g[t], minlength=2**steps)
                gram[:, s, t] = gram[:, t, s] = sums
        counts = torch.bincount(pattern, minlength=2**steps)
        return {"gram": gram, "elements": counts[:, None, None].expand_as(gram)}
