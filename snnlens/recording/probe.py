"""Probe: one quantity, what it reads at a site, and the sums that it keeps."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnlens.neuron.equations import Step
from snnlens.recording.record import Column, Quantity, Schema
from snnlens.sites import Role, Site

Sums = dict[str, Tensor]
NEURONS: frozenset[Role] = frozenset({"neuron"})
BLOCKS: frozenset[Role] = frozenset({"block_input", "block_residual", "block_output"})


class Probe(ABC):
    """Reduces what passes a site to sums; changes nothing, draws nothing, divides nothing.

    A subclass declares facts and overrides one or more of `value`, `gradient`, `block` and `step`;
    each returns a tensor per column, shaped by `axes` (by default one number per time step).
    At the neurons of snnlens, `counted` is called instead of `value` and `gradient` with the
    `statistics` that it names, summed inside the kernel; grad_spike_squared is there at every site.
    """

    name: ClassVar[str]
    roles: ClassVar[frozenset[Role]] = NEURONS | BLOCKS
    axes: ClassVar[tuple[str, ...]] = ("step",)
    columns: ClassVar[dict[str, Column]]
    quantities: ClassVar[dict[str, Quantity]] = {}
    keeps_value: ClassVar[bool] = False  # `gradient` gets the forward tensor as well
    statistics: ClassVar[frozenset[str]] = frozenset()  # names of neuron/statistics.py

    def value(self, site: Site, x: Tensor) -> Sums:
        """Sums over the forward tensor x [T, B, ...] (detached)."""
        raise NotImplementedError

    def gradient(self, site: Site, grad: Tensor, x: Tensor | None) -> Sums:
        """Sums over dL/dx [T, B, ...]; x is given where `keeps_value`."""
        raise NotImplementedError

    def counted(
        self, site: Site, found: Mapping[str, Tensor], shape: torch.Size, calls: int
    ) -> Sums:
        """Sums from the kernel's, of the forward or the backward pass; see neuron/statistics.py.

        They are over `calls` calls with tensors of one shape, [T, B, ...].
        """
        raise NotImplementedError

    def block(self, site: Site, module: Any, s: Tensor, o: Tensor) -> Sums:
        """Sums over a block's input and output; `module` is the block."""
        raise NotImplementedError

    def step(self, site: Site, step: Step) -> Sums:
        """Sums over one time step of a core neuron, each of shape [1]."""
        raise NotImplementedError

    def shares(self, site: Site) -> str:
        """Sites that see one tensor and share this key get one reduction."""
        return self.name

    def wants(self, site: Site) -> bool:
        """Whether this probe reads that site."""
        return site.role in self.roles

    def overrides(self, method: str) -> bool:
        """Whether the subclass has that one of the methods."""
        return getattr(type(self), method) is not getattr(Probe, method)

    @classmethod
    def schema(cls) -> Schema:
        """What this probe's table holds."""
        return Schema(cls.axes, dict(cls.columns), dict(cls.quantities))
