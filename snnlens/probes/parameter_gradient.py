"""Parameter gradient: ||dL/dW|| of every parameter that needs one. Asked for, never by default."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site


class ParameterGradient(Probe):
    """||dL/dW||, squares summed in float64; over batches the root mean square.

    It needs the weight gradients: with frozen weights, which is enough for `gradient_norm`, a
    forward and backward pass is 1.7 to 2.2 times as fast.
    """

    name = "parameter_gradient"
    roles = frozenset({"parameter"})
    axes = ()
    columns = {"weight_squares": Column(), "weight_batches": Column()}
    quantities = {
        "parameter_gradient": Quantity(
            "root_mean", ("weight_squares", "weight_batches"), "loss per weight"
        )
    }

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """Squares of the whole tensor."""
        squares = step_squares(grad.reshape(1, -1))[0]
        return {"weight_squares": squares, "weight_batches": torch.ones_like(squares).long()}
