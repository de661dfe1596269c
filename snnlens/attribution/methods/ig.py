"""Integrated gradients: the gradient summed on the way from the baseline to the input."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options


class IG(Method):
    r"""Integrated gradients through captum, a few samples and points of the path at once.

        IG_i(x) = (x_i - x'_i) integral over a from 0 to 1 of df / dx_i at x' + a (x - x')

    by the Gauss-Legendre rule with `steps` points, whose weights captum rounds to float32. It lies
    over the input and claims that a positive value spoke for the class, against `baseline` x'. With
    true gradients the sum of the map is f(x) - f(x'). With surrogate gradients it is not: f jumps
    where the surrogate has a slope.

    Source: Sundararajan et al. 2017 (ICML), Eqs. 1 and 3, Proposition 1.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> maps = snnlens.attribute(net, torch.ones(5, 4, 3), 1, method="ig", steps=16)
    >>> maps.values.shape, maps.delta.shape
    (torch.Size([4, 5, 3]), torch.Size([4]))
    """

    name = "ig"
    title = "integrated gradients"
    source = "Sundararajan et al. 2017, Eq. 1"
    complete = True
    options = ("steps", "internal_batch", "baseline")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum.attr import IntegratedGradients

        found: Tensor = IntegratedGradients(bridge).attribute(
            x, options.nothing(x).contiguous(), target, n_steps=options.steps,
            internal_batch_size=max(options.batch, len(x)),
        )  # fmt: skip
        return found
