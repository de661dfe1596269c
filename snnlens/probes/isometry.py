"""Isometry: whether a block keeps the norm of a gradient, and in every direction alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from snnlens.errors import InputError
from snnlens.measures.isometry import MINIMUM_PROBES
from snnlens.probes.gradient_paths import CHUNK
from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site

NUMBERS = {"": "value", "_low": "low", "_high": "high"}


class Isometry(Probe):
    r"""Mean and variance of the eigenvalues of J J^T of a block, J = dO/dS, with 95 % intervals.

        w_i = J^T v_i by one backward pass each, v_i standard normal, i = 1 .. 32 or more
        gram[i, j] = w_i . w_j in float64,    outputs = m = elements of O

    `isometry_mean` = tr(J J^T) / m (1: the gradient keeps its norm on average) and
    `isometry_variance` = tr((J J^T)^2) / m - mean^2 (0: in every direction); no unit. How they
    follow from the Gram matrix: `snnlens.measures.isometry`. J is over all samples, steps and
    surrogate gradients of the batch. Gram matrices of several batches add up to that of one large
    batch.

    The block's output must hang on the graph of its input, which then is run through backward for
    each v_i: nothing that may happen inside the user's own pass. A recorder hands over tensors
    without a graph, of which this probe says nothing; `snnlens.experiments._isometry` runs each
    block alone.

    Args:
        vectors: how many v_i; their gradients are held at the same time.
        generator: of the v_i; by default one with seed 0, made anew for each probe.

    Raises:
        InputError: fewer than 32 vectors.

    Source: Chen et al. 2020, A comprehensive and modularized statistical framework for gradient
    norm equality in deep neural networks (block dynamical isometry); Hutchinson 1990.
    """

    name = "isometry"
    roles = frozenset({"block_output"})
    axes = ("probe", "other_probe")
    adds = False  # the ranks may have drawn the same v_i: the variance would be too large
    columns = {"gram": Column(), "outputs": Column()}
    quantities = {
        f"isometry_{moment}{end}": Quantity(
            "eigenvalue_moment", ("gram", "outputs"), "squared gain of a gradient",
            {"moment": moment, "number": number},
        )
        for moment in ("mean", "variance") for end, number in NUMBERS.items()
    }  # fmt: skip

    def __init__(
        self, vectors: int = MINIMUM_PROBES, generator: torch.Generator | None = None
    ) -> None:
        if vectors < MINIMUM_PROBES:
            raise InputError("vectors", got=vectors, wanted=f"at least {MINIMUM_PROBES}")
        self.vectors = vectors
        self.generator = generator or torch.Generator().manual_seed(0)

    def around(self, site: Site, module: Any, s: Tensor, o: Tensor) -> Sums:
        """The products of J^T v_i; s and o on one graph."""
        if not o.requires_grad or not o.numel():
            return {}
        products = torch.stack(list(self._products(s, o)))
        gram = torch.zeros(self.vectors, self.vectors, dtype=torch.float64, device=o.device)
        for part in products.split(CHUNK // self.vectors, dim=1):
            wide = part.to(torch.float64)
            gram += wide @ wide.T
        return {"gram": gram, "outputs": torch.full_like(gram, o.numel(), dtype=torch.int64)}

    def _products(self, s: Tensor, o: Tensor) -> Iterator[Tensor]:
        for left in range(self.vectors, 0, -1):
            v = torch.randn(o.shape, generator=self.generator, device=self.generator.device)
            (w,) = torch.autograd.grad(
                o, s, v.to(o), retain_graph=left > 1, materialize_grads=True, allow_unused=True
            )
            yield w.flatten()
