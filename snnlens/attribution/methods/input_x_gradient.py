"""Input x gradient: what an element is, times what a change of it would do."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import asking


class InputXGradient(Method):
    """The input times the (surrogate) gradient, through captum.

        M_i(x) = x_i df / dx_i

    It lies over the input and claims the first-order effect of taking the element away: where
    nothing is, it is 0. The sum is f(x) - f(0) for a linear f alone, so no completeness is claimed.

    Source: Shrikumar et al. 2016 (arXiv 1605.01713); Ancona et al. 2018 (ICLR), Table 1.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> x = torch.ones(5, 4, 3)
    >>> x[2] = 0
    >>> bool(snnlens.attribute(net, x, 1, method="input_x_gradient").values[:, 2].any())
    False
    """

    name = "input_x_gradient"
    title = "input x gradient"
    source = "Shrikumar et al. 2016; Ancona et al. 2018, Table 1"
    options = ("internal_batch",)

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        found: Tensor = attr.InputXGradient(bridge).attribute(asking(x), target)
        return found
