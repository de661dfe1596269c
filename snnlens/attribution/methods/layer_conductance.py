"""Layer conductance: what of the score's rise flows through each neuron of a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import time_second


class LayerConductance(Method):
    """The conductance of each neuron and step of a spiking layer, through captum.

        C_y(x) = integral over a from 0 to 1 of df / dy dy / da at x' + a (x - x')
               ~ sum over k of df / dy at a_k (y(a_k+1) - y(a_k)),  a_k = k / steps

    y is a spike, and its differences are counted as they are; only df / dy is a surrogate's. Both
    ends belong to the path (captum's default rule leaves them out). It lies over the layer `at` and
    claims how much of f(x) - f(x') came by each spike; the sum is that rise if all of the input
    passes the layer, up to 1 / steps with true gradients.

    Source: Dhamdhere et al. 2019 (ICLR), the conductance of a unit summed over the inputs; as
    differences: Shrikumar et al. 2018 (arXiv 1807.09946), Section 3.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), snnlens.IF(), torch.nn.Linear(4, 2))
    >>> maps = snnlens.attribute(net, torch.ones(5, 2, 3), 1, method="layer_conductance", at="1")
    >>> maps.place, maps.values.shape
    ('1', torch.Size([2, 5, 4]))
    """

    name = "layer_conductance"
    title = "layer conductance"
    source = "Dhamdhere et al. 2019; Shrikumar et al. 2018, Section 3"
    place = "layer"
    complete = True
    options = ("steps", "internal_batch", "baseline", "at")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        """Two points of the path are needed at once: half as many samples in a pass."""
        most = max(1, options.batch // 2)
        pairs = zip(x.split(most), target.split(most), strict=True)
        with bridge.tap(self.site(bridge, options)) as tap:
            parts = [_values(bridge, tap, *pair, options) for pair in pairs]
        return time_second(torch.cat(parts))


def _values(
    bridge: Bridge, tap: nn.Identity, x: Tensor, target: Tensor, options: Options
) -> Tensor:
    from captum import attr

    found: Tensor = attr.LayerConductance(bridge, tap).attribute(
        x, options.nothing(x), target, n_steps=options.steps, method="riemann_trapezoid",
        internal_batch_size=max(options.batch, 2 * len(x)),
    )  # fmt: skip
    return found.detach()
