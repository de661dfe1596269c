"""Detach reset: what the gradient would be with and without the way through the reset."""

from __future__ import annotations

from dataclasses import replace

from snnlens.neuron import equations
from snnlens.probes.gradient_paths import step_products
from snnlens.recording.probe import NEURONS, Probe, Sums, Train
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site


class DetachReset(Probe):
    r"""dL/dX of a layer with its reset detached from the graph and attached to it.

        detach_ratio  = ||dL/dX detached|| / ||dL/dX attached||        (no unit)
        detach_cosine = <detached, attached> / (their norms)           (no unit)

    over all neurons, steps and samples. The spike enters the reset V = H (1 - S) + V_reset S (soft:
    H - V_th S); detached, dV/dS is left out of dL/dS, attached it is there with the surrogate's
    slope: g_S[t] + g_V[t] (V_reset - H[t]), or - V_th g_V[t]. Both start from the dL/dS that
    arrived at this layer, so they say what *this* layer's reset does, not what the network would
    do with all of them changed. 1 and 1: it makes no difference, as at T = 1. It says nothing of a
    layer whose membrane the equations of snnlens do not give.

    Source: Zenke and Vogels 2021, The remarkable robustness of surrogate gradient learning, section
    on the reset in the backward pass; fzenke/spytorch, issue 2.
    """

    name = "detach_reset"
    roles = NEURONS
    axes = ()
    columns = {"detached": Column(), "attached": Column(), "product": Column()}
    quantities = {
        "detach_ratio": Quantity("relative_norm", ("detached", "attached"), "relative norm"),
        "detach_cosine": Quantity("cosine", ("product", "detached", "attached"), "cosine"),
    }

    def paths(self, site: Site, train: Train) -> Sums:
        """The backward pass of the layer, twice."""
        if train.current is None or train.rule is None or train.gradient is None:
            return {}
        x, grad = train.current, train.gradient
        v = equations.start(x, train.rule) if train.start is None else train.start
        rules = (replace(train.rule, detach_reset=detached) for detached in (True, False))
        detached, attached = (equations.backward(grad, x, v, r, train.rate)[0] for r in rules)
        return {
            "detached": step_squares(detached).sum(),
            "attached": step_squares(attached).sum(),
            "product": step_products(detached, attached).sum(),
        }
