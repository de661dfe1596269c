"""SmoothGrad: the mean of a gradient method over noisy copies of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import drawn, in_parts, sigma
from snnlens.errors import InputError

SMOOTHS: dict[str, Callable[[Options, Tensor], dict[str, Any]]] = {
    "saliency": lambda _, __: {"abs": False},
    "input_x_gradient": lambda _, __: {},
    "ig": lambda options, x: {
        "baselines": options.nothing(x).contiguous(), "n_steps": options.steps,
        "internal_batch_size": max(options.batch, options.draws),
    },
}  # fmt: skip


class SmoothGrad(Method):
    """The mean of a map over `draws` noisy copies of the input, through captum's NoiseTunnel.

        M(x) = mean over draws of m(x + e),  e normal with sigma = noise x (max x - min x)

    m is what `smooths` says: "saliency", here the gradient with its sign, so that what flickers
    cancels; "input_x_gradient"; or "ig". It lies over the input and claims what m claims, of the
    neighbourhood of x. A sample's draws follow from `seed`, whatever its batch. Between spikes the
    noise adds values that no event camera gives: `noise` is to be kept small there.

    Source: Smilkov et al. 2017 (arXiv 1706.03825), Section 3.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> x = torch.arange(60.0).reshape(5, 4, 3) / 60
    >>> maps = snnlens.attribute(net, x, 1, method="smoothgrad", draws=4, smooths="ig", steps=8)
    >>> maps.values.shape
    torch.Size([4, 5, 3])
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    source = "Smilkov et al. 2017, Section 3"
    random = True
    options = ("draws", "noise", "smooths", "seed", "internal_batch", "steps", "baseline")

    def local(self, options: Options) -> bool:
        """As what it smooths."""
        return options.smooths == "saliency"

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        if options.smooths not in SMOOTHS:
            raise InputError("smooths", got=options.smooths, wanted="one of " + ", ".join(SMOOTHS))
        kind = {"saliency": attr.Saliency, "input_x_gradient": attr.InputXGradient,
                "ig": attr.IntegratedGradients}[options.smooths]  # fmt: skip
        inner = kind(bridge)
        inner.gradient_func = in_parts(options.batch)
        tunnel = attr.NoiseTunnel(inner)

        def one(sample: Tensor, asked: int) -> Tensor:
            found: Tensor = tunnel.attribute(
                sample, nt_samples=options.draws, stdevs=sigma(sample, options), target=asked,
                **SMOOTHS[options.smooths](options, sample),
            )  # fmt: skip
            return found

        return drawn(x, target, options, one)
