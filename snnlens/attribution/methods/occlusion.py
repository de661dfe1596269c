"""Occlusion: how much the score falls when a window that slides over the input is hidden."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import at_once
from snnlens.attribution.methods._window import half, window


class Occlusion(Method):
    """The fall of the score behind a sliding `window` of steps, rows, columns, through captum.

        M_i(x) = mean over windows w that cover i of f(x) - f(x with w at the baseline)

    All channels are hidden at once. The window moves by half its size (rounded up) along each
    axis: by its whole size, windows would not overlap and the map would be that of
    `feature_ablation`. The last one is cut at the border. captum takes the mean in float32. It lies
    over the input and claims what the network lost; no gradient is asked, so nothing of it comes
    from the surrogate.

    Source: Zeiler and Fergus 2014 (ECCV), Section 4.2.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> maps = snnlens.attribute(net, torch.ones(5, 4, 3), 1, method="occlusion", window=(2, 1, 1))
    >>> maps.values.shape
    torch.Size([4, 5, 3])
    """

    name = "occlusion"
    title = "occlusion"
    source = "Zeiler and Fergus 2014, Section 4.2"
    gradient = False
    options = ("window", "internal_batch", "baseline")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        sizes = window(x, options)
        found: Tensor = attr.Occlusion(bridge).attribute(
            x, sizes, strides=half(sizes), baselines=options.nothing(x), target=target,
            perturbations_per_eval=at_once(x, options),
        )  # fmt: skip
        return found.to(x.dtype)
