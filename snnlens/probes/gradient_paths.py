"""Gradient paths: how much of dL/dH comes through the spike and how much through time."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.neuron import equations
from snnlens.recording.probe import NEURONS, Probe, Sums, Train
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site

CHUNK = 1 << 17  # elements: 1 MB of float64


class GradientPaths(Probe):
    r"""Norms of the two parts of dL/dH at each step, and the cosine between them.

        g_H[t] = g_S[t] sigma'(H[t] - V_th) + g_V[t] dV[t]/dH[t]
                 spatial, from the layers     temporal, from the later
                 above at the same step       steps of the same neuron

    with g_V[t] = g_H[t+1] dH[t+1]/dV[t], 0 after the last step; dV/dH holds the way through the
    reset where it is not detached. `spatial_norm` and `temporal_norm` are the root mean squares
    over batches of ||g_S sigma'|| and ||g_V dV/dH||; unit: loss per unit of potential.
    `path_cosine` = <spatial, temporal> / (their norms): -1 where the two cancel; no unit.

    g_S is the gradient that really arrived, the rest is computed again from the input currents
    with the layer's rule (`snnlens.neuron.equations.paths`), a whole sequence at once. It says
    nothing of a layer whose membrane the equations of snnlens do not give.

    Source: Huang et al. 2024, CLIF: Complementary leaky integrate-and-fire neuron for spiking
    neural networks, arXiv 2402.04663 (spatial and temporal error).
    """

    name = "gradient_paths"
    roles = NEURONS
    columns = {
        "spatial": Column(),
        "temporal": Column(),
        "product": Column(),
        "batches": Column("sum", "max"),
    }
    quantities = {
        "spatial_norm": Quantity("root_mean", ("spatial", "batches"), "loss per potential"),
        "temporal_norm": Quantity("root_mean", ("temporal", "batches"), "loss per potential"),
        "path_cosine": Quantity("cosine", ("product", "spatial", "temporal"), "cosine"),
    }

    def paths(self, site: Site, train: Train) -> Sums:
        """Squares and products at each step."""
        if train.current is None or train.rule is None or train.gradient is None:
            return {}
        x, rule = train.current, train.rule
        v = equations.start(x, rule) if train.start is None else train.start
        spatial, temporal = equations.paths(x, v, rule, train.gradient, train.rate)
        product = step_products(spatial, temporal)
        return {
            "spatial": step_squares(spatial),
            "temporal": step_squares(temporal),
            "product": product,
            "batches": torch.ones_like(product, dtype=torch.int64),
        }


def step_products(a: Tensor, b: Tensor) -> Tensor:
    """sum of a b at each step, multiplied and summed in float64.

    >>> step_products(torch.full((1, 2), 1e-26), torch.full((1, 2), 1e-26)).item() > 1e-52
    True
    """
    sums = torch.zeros(len(a), dtype=torch.float64, device=a.device)
    for t, rows in enumerate(zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True)):
        for one, other in zip(*(row.split(CHUNK) for row in rows), strict=True):
            sums[t] += torch.dot(one.to(torch.float64), other.to(torch.float64))
    return sums
