"""Saliency: the absolute gradient of the class's score."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import asking


class Saliency(Method):
    """The absolute (surrogate) gradient, through captum.

        M_i(x) = |df / dx_i|

    It lies over the input and claims where a small change would move the score most; it does not
    say in which direction, nor that there was anything at that place.

    Source: Simonyan et al. 2014 (ICLR workshop), Eq. 4 and Section 3.1, here without the maximum
    over channels.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> maps = snnlens.attribute(net, torch.ones(5, 4, 3), 1, method="saliency")
    >>> maps.values.shape, bool((maps.values >= 0).all())
    (torch.Size([4, 5, 3]), True)
    """

    name = "saliency"
    title = "saliency"
    source = "Simonyan et al. 2014, Eq. 4"
    signed = False
    options = ("internal_batch",)

    def local(self, options: Options) -> bool:
        """It is a gradient."""
        return True

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        found: Tensor = attr.Saliency(bridge).attribute(asking(x), target, abs=True)
        return found
