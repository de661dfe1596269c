"""Layer integrated gradients: from a layer's spikes at the baseline to those at the input."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import time_second


class LayerIG(Method):
    """Integrated gradients of the part behind a spiking layer, over its spikes, through captum.

        M_y(x) = (y - y') integral over a from 0 to 1 of df / dy at y' + a (y - y')

    y are the spikes at the input, y' those at the baseline: what lies before the layer is not
    asked, nor is its surrogate. It lies over the layer `at` and claims that a positive value spoke
    for the class. The sum is f(x) - f(x') if all of the input passes the layer and the gradients
    behind it are true. The path runs through fractions of spikes, which the network never sees.

    Source: Sundararajan et al. 2017 (ICML), Eq. 1, of the part behind the layer.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), snnlens.IF(), torch.nn.Linear(4, 2))
    >>> maps = snnlens.attribute(net, torch.ones(5, 2, 3), 1, method="layer_ig", at="1")
    >>> maps.place, bool(maps.delta.abs().max() < 1e-6)  # behind it all is linear
    ('1', True)
    """

    name = "layer_ig"
    title = "layer integrated gradients"
    source = "Sundararajan et al. 2017, Eq. 1"
    place = "layer"
    complete = True
    options = ("steps", "internal_batch", "baseline", "at")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum.attr import LayerIntegratedGradients

        with bridge.tap(self.site(bridge, options)) as tap:
            found: Tensor = LayerIntegratedGradients(bridge, tap).attribute(
                x, options.nothing(x).contiguous(), target, n_steps=options.steps,
                internal_batch_size=max(options.batch, len(x)),
            )  # fmt: skip
        return time_second(found)
