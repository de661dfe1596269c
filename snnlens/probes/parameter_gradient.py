"""Parameter gradient: ||dL/dW|| of every parameter that needs one, alone and beside ||W||."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site


class ParameterGradient(Probe):
    """||dL/dW||, squares summed in float64; over batches the root mean square.

    `gradient_to_weight` = ||dL/dW|| / ||W||, both root mean squares over batches: what a step of
    plain gradient descent with learning rate 1 would move, as a share of the weight. NaN where W
    is 0, as a bias may be. Unit: loss per squared weight.

    It needs the weight gradients: with frozen weights, which is enough for `gradient_norm`, a
    forward and backward pass is 1.7 to 2.2 times as fast. Asked for, never by default.

    Source: You et al. 2017 (LARS), whose local learning rate is the inverse of this quotient.
    """

    name = "parameter_gradient"
    roles = frozenset({"parameter"})
    axes = ()
    columns = {
        "weight_squares": Column(),
        "weight_batches": Column(),
        "parameter_squares": Column(),
    }
    quantities = {
        "parameter_gradient": Quantity(
            "root_mean", ("weight_squares", "weight_batches"), "loss per weight"
        ),
        "gradient_to_weight": Quantity(
            "relative_norm", ("weight_squares", "parameter_squares"), "loss per squared weight"
        ),
    }
    keeps_value = True

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """Squares of dL/dW and of W (x), the whole tensors."""
        assert x is not None
        squares = step_squares(grad.reshape(1, -1))[0]
        return {
            "weight_squares": squares,
            "weight_batches": torch.ones_like(squares, dtype=torch.int64),
            "parameter_squares": step_squares(x.reshape(1, -1))[0],
        }
