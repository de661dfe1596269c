"""Grad-CAM: the channels of a spiking layer, weighed by their mean gradient."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import time_second


class GradCAM(Method):
    """Grad-CAM with time as one more axis of the place, through captum.

        w_c = mean over t, y, x of df / dS_c[t, y, x]
        M[t, y, x] = ReLU(sum over c of w_c S_c[t, y, x])

    S are the spikes of the layer `at`, by default the last one that has rows and columns. The
    weight of a channel is one number for all steps: Eqs. 1 and 2 with the place (t, y, x) instead
    of (y, x), so that when a channel speaks is told by its spikes alone. It lies over the layer,
    one channel [N, T, 1, H, W], and claims where the class was seen, in the layer's resolution.

    Source: Selvaraju et al. 2017 (ICCV), Eqs. 1 and 2.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), snnlens.IF(), torch.nn.Linear(4, 2))
    >>> maps = snnlens.attribute(net, torch.ones(5, 2, 3), 1, method="gradcam")
    >>> maps.values.shape, bool((maps.values >= 0).all())
    (torch.Size([2, 5, 1]), True)
    """

    name = "gradcam"
    title = "Grad-CAM"
    source = "Selvaraju et al. 2017, Eqs. 1 and 2"
    place = "layer"
    signed = False
    options = ("internal_batch", "at")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum.attr import LayerGradCam

        with bridge.tap(self.site(bridge, options)) as tap:
            found: Tensor = LayerGradCam(bridge, tap).attribute(x, target, relu_attributions=True)
        return time_second(found)
