"""Neuron conductance: which inputs act on the score through one neuron."""

from __future__ import annotations

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Method, Options
from snnlens.errors import InputError


class NeuronConductance(Method):
    """The part of integrated gradients that runs through one neuron at one step, through captum.

        C_i(x) = (x_i - x'_i) integral over a from 0 to 1 of df / dy dy / dx_i at x' + a (x - x')

    y is the output of `neuron`, an index (t, c, y, x) in the output of the layer `at`, by the
    Gauss-Legendre rule (captum's default weights sum to 1 - 1 / steps). It lies over the input and
    claims what acted on the class by that neuron; with true gradients the sum is the neuron's layer
    conductance. Nothing at steps after t can act.

    Source: Dhamdhere et al. 2019 (ICLR), the conductance of a unit for one input.

    >>> import torch, snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), snnlens.IF(), torch.nn.Linear(4, 2))
    >>> maps = snnlens.attribute(net, torch.ones(5, 2, 3), 1, method="neuron_conductance",
    ...                          at="1", neuron=(2, 0))
    >>> maps.values.shape, bool(maps.values[:, 3:].any())
    (torch.Size([2, 5, 3]), False)
    """

    name = "neuron_conductance"
    title = "neuron conductance"
    source = "Dhamdhere et al. 2019, conductance for one input"
    within = True
    options = ("neuron", "at", "steps", "internal_batch", "baseline")

    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        from captum import attr

        site = self.site(bridge, options)
        step, *place = _index(bridge, site, options.neuron)
        tapped = (*place[:1], step, *place[1:])  # as it lies in the tap: [C, T, ...]
        with bridge.tap(site) as tap:
            found: Tensor = attr.NeuronConductance(bridge, tap).attribute(
                x, tapped, options.nothing(x).contiguous(), target, n_steps=options.steps,
                internal_batch_size=max(options.batch, len(x)), method="gausslegendre",
            )  # fmt: skip
        return found


def _index(bridge: Bridge, site: str, neuron: tuple[int, ...] | None) -> tuple[int, ...]:
    """The neuron's index, step first; InputError where it is none of the layer's."""
    sizes = (bridge.seen[site].steps, *bridge.shapes[site])
    if neuron is None or len(neuron) != len(sizes) or not all(
        0 <= at < size for at, size in zip(neuron, sizes, strict=True)
    ):  # fmt: skip
        names = {2: "(t, f)", 4: "(t, c, y, x)"}.get(len(sizes), "step first")
        raise InputError(
            "neuron", got=neuron, wanted=f"an index {names} in the output of {site}, below {sizes}",
            do=f"neuron={(0,) * len(sizes)}",
        )  # fmt: skip
    return neuron
