"""GradientSHAP: the gradient at random points between the baseline and the noisy input."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import drawn, in_parts, sigma


class GradientShap(Method):
    """Integrated gradients by random points, `draws` of them a sample, through captum.

        M_i(x) = mean over draws of (z_i - x'_i) df / dx_i at x' + u (z - x'),
        z = x + e,  e normal with sigma = noise x (max x - min x),  u uniform in [0, 1)

    It lies over the input and claims what integrated gradients claim, smoothed; the baseline x' is
    one, not a set. The sum of the map comes near to f(x) - f(x') on average over ever more draws
    alone, so no completeness is claimed. A sample's draws follow from `seed`, whatever its batch.

    Source: Lundberg and Lee 2017 (NeurIPS) for the values; expected gradients, Erion et al. 2021
    (Nature Machine Intelligence), for the formula.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> x = torch.ones(5, 4, 3)
    >>> one, two = (snnlens.attribute(net, x, 1, method="gradient_shap", seed=3) for _ in range(2))
    >>> torch.equal(one.values, two.values)
    True
    """

    name = "gradient_shap"
    title = "GradientSHAP"
    source = "Erion et al. 2021, expected gradients"
    random = True
    options = ("draws", "noise", "seed", "internal_batch", "baseline")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        method = attr.GradientShap(bridge)
        method.gradient_func = in_parts(options.batch)

        def one(sample: Tensor, asked: int) -> Tensor:
            found: Tensor = method.attribute(
                sample, options.nothing(sample), n_samples=options.draws,
                stdevs=sigma(sample, options), target=asked,
            )  # fmt: skip
            return found

        return drawn(x, target, options, one)
