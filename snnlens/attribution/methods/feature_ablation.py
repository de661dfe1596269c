"""Feature ablation: how much the score falls when one window after the other is taken away."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import at_once
from snnlens.attribution.methods._window import groups, window


class FeatureAblation(Method):
    """The fall of the score without one group of elements, through captum.

        M_i(x) = f(x) - f(x with the group of i at the baseline)

    Groups are windows that do not overlap, at all channels: with `over` "space" the window's rows
    and columns at all steps, "time" its steps (1: one whole step) at all places, "space-time" both.
    Every element of a group has the group's value, so the sum over elements means nothing. It lies
    over the input and claims what the network lost; no gradient is asked.

    Source: Zeiler and Fergus 2014 (ECCV), Section 4.2; Ancona et al. 2018 (ICLR), Table 1.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> x = torch.ones(5, 4, 3)
    >>> maps = snnlens.attribute(net, x, 1, method="feature_ablation", over="time")
    >>> bool((maps.values == maps.values[..., :1]).all())
    True
    """

    name = "feature_ablation"
    title = "feature ablation"
    source = "Zeiler and Fergus 2014, Section 4.2; Ancona et al. 2018, Table 1"
    gradient = False
    options = ("over", "window", "internal_batch", "baseline")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        found: Tensor = attr.FeatureAblation(bridge).attribute(
            x, options.nothing(x), target, feature_mask=groups(x, _sizes(x, options)),
            perturbations_per_eval=at_once(x, options),
        )  # fmt: skip
        return found


def _sizes(x: Tensor, options: Options) -> tuple[int, ...]:
    """Of what is hidden at once, over the axes of a sample."""
    steps, *places = window(x, options)
    if options.over == "space":
        return (x.shape[1], *places)
    return (steps, *x.shape[2:]) if options.over == "time" else (steps, *places)
