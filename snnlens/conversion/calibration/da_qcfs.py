r"""DA-QCFS: a shift before and a gain behind each quantiser, per channel, without gradients.

    r = (theta + phi) / T  clip(floor(((z + psi) T + theta / 2) / theta), 0, T)

Two copies see each batch: the reference B with the ANN's own activations, and A with the quantisers
at T. For each layer in order, over batch and space, with alpha = .99 and both at 0 first:

    psi <- alpha psi + (1 - alpha) mean(x_B - x_A)      then y_A with this psi
    phi <- alpha phi + (1 - alpha) mean(y_B - y_A)      then the next layer, each with its own y

The fixed point of psi is the mean error of the input. That of phi is e / (1 + E[q]), e the mean
output error at phi = 0 and q the output in units of theta + phi: it takes away the share
E[q] / (1 + E[q]) of e, a tenth of it in a sparse channel. `variant="zero-mean"` tracks e and E[q]
and takes phi = e / E[q], whose mean output error is 0.

Source: Hao et al. 2025 (ICML), in the words of secondary notes, and the authors' code (alpha,
order); the code leaves fully connected layers out, here `dense=False` does. The fixed points
and the variant are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snnlens.conversion.clipping import inputs_of
from snnlens.conversion.convert import Converted
from snnlens.conversion.layers import ParallelLayer
from snnlens.conversion.prepare import Prepared
from snnlens.conversion.watching import passed
from snnlens.errors import InputError

ALPHA = 0.99
SILENT = 1e-6  # E[q] below which a channel says nothing about its gain


@torch.no_grad()
def calibrate(
    ann: nn.Module | Prepared,
    net: Converted,
    data: Iterable[Any],
    *,
    alpha: float = ALPHA,
    variant: Literal["published", "zero-mean"] = "published",
    dense: bool = True,
) -> None:
    """Set psi (`bias`) and phi (`gain`) of each layer of a parallel network, for its T.

    Args:
        ann: what the network was converted from: its activations are the reference.
        net: a parallel network; calibrated anew, from 0.
        data: batches x or (x, y).
        alpha: of the running means, in (0, 1).
        variant: published, or zero-mean, which drives the mean output error to 0.
        dense: calibrate layers whose input is [B, features] too.
    """
    if net.method != "parallel":
        raise InputError(
            "the network", got=net.method, wanted="parallel: DA-QCFS is defined for it"
        )
    if not 0 < alpha < 1:
        raise InputError("alpha", got=alpha, wanted="above 0 and below 1")
    if variant not in ("published", "zero-mean"):
        raise InputError("variant", got=variant, wanted="published or zero-mean")
    shown, before = inputs_of(data), net.sum_first
    prepared = net.prepared_like(ann, shown[0])
    tasks = [_Task(name, layer, alpha, variant, dense) for name, layer in net.layers.items()
             if isinstance(layer, ParallelLayer)]  # fmt: skip
    for task in tasks:
        task.layer.bias.zero_()
        task.layer.gain.zero_()
    net.sum_first = True
    try:
        for x in shown:
            _batch(net, prepared, tasks, x)
    finally:
        net.sum_first = before


def _batch(net: Converted, prepared: Prepared, tasks: list[_Task], x: Tensor) -> None:
    """The reference's pass, then the quantised one, whose layers correct themselves in order."""
    reference = passed(prepared.network, prepared, x)
    handles = []
    for task in tasks:
        task.wanted = reference.inputs[task.name], reference.outputs[task.name]
        handles += [task.layer.register_forward_pre_hook(task.before),
                    task.layer.register_forward_hook(task.after)]  # fmt: skip
    try:
        net(x)
    finally:
        for handle in handles:
            handle.remove()


class _Task:
    """One layer's running means."""

    def __init__(
        self, name: str, layer: ParallelLayer, alpha: float, variant: str, dense: bool
    ) -> None:
        self.name, self.layer, self.alpha, self.dense = name, layer, alpha, dense
        self.zero_mean = variant == "zero-mean"
        self.error: Tensor | None = None  # running means of e and q, of the variant
        self.output: Tensor | None = None
        self.wanted: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))
        self.started = False

    def before(self, _: Any, given: tuple[Tensor, ...]) -> None:
        """psi, from the error of the input."""
        if self._skips(given[0]):
            return
        self._start(given[0])
        error = _mean(self.wanted[0] - given[0])
        self.layer.bias.mul_(self.alpha).add_((1 - self.alpha) * error)

    def after(self, _: Any, given: tuple[Tensor, ...], out: Tensor) -> None:
        """phi, from the error of the output."""
        if self._skips(given[0]):
            return
        layer = self.layer
        if not self.zero_mean:
            error = _mean(self.wanted[1] - out)
            layer.gain.mul_(self.alpha).add_((1 - self.alpha) * error)
            return
        q = layer.closed_form(given[0], layer.time_steps) / layer.time_steps
        self.error = self._running(self.error, _mean(self.wanted[1] - layer.theta * q))
        self.output = self._running(self.output, _mean(q))
        known = self.output > SILENT
        layer.gain.copy_(torch.where(known, self.error / self.output.clamp(min=SILENT), 0.0))

    def _running(self, mean: Tensor | None, new: Tensor) -> Tensor:
        """A running mean from 0; the quotient of two of them has no bias from that start."""
        old = torch.zeros_like(new) if mean is None else mean
        return self.alpha * old + (1 - self.alpha) * new

    def _start(self, x: Tensor) -> None:
        """One psi and phi per channel, at 0."""
        if self.started:
            return
        self.started = True
        shape = _mean(x).shape
        for name in ("bias", "gain"):
            setattr(self.layer, name, x.new_zeros(shape))

    def _skips(self, x: Tensor) -> bool:
        return x.dim() == 2 and not self.dense


def _mean(x: Tensor) -> Tensor:
    """Per channel, over batch and space: [C, 1, ...]."""
    axes = (0, *range(2, x.dim()))
    return x.mean(axes, keepdim=True)[0]
