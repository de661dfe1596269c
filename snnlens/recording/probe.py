"""Probe: one quantity, what it reads at a site, and the sums that it keeps."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnlens.neuron.equations import Rule, Step
from snnlens.neuron.statistics import Bins
from snnlens.recording.record import Column, Quantity, Schema
from snnlens.sites import Role, Site

Sums = dict[str, Tensor]
NEURONS: frozenset[Role] = frozenset({"neuron"})
BLOCKS: frozenset[Role] = frozenset({"block_input", "block_residual", "block_output"})


@dataclass(frozen=True)
class Train:
    """What a spiking layer did over one whole sequence, time first: spikes [T, B, ...].

    `current`, `start` (V before the first step, None at rest), `rule` and `rate` are there where
    the equations of snnlens give this layer's membrane; `gradient` is dL/dS, once it is known.
    """

    spikes: Tensor
    current: Tensor | None = None
    start: Tensor | None = None
    rule: Rule | None = None
    rate: Tensor | None = None
    gradient: Tensor | None = None


class Probe(ABC):
    """Reduces what passes a site to sums; changes nothing, draws nothing, divides nothing.

    A subclass declares facts and overrides one or more of the methods; each returns a tensor per
    column, shaped by `axes` (by default one number per time step), or {} if it has nothing to say.

        value, gradient    the forward tensor of a site, and the gradient at it
        counted            a spiking layer's `statistics`, instead of `value` and `gradient`
        around             what goes into a block, a synapse or a norm, and what comes out
        train, paths       a spiking layer's whole sequence, without and with its gradient
        step               one time step of a neuron of snnlens

    `counted` gets what the kernel of a neuron of snnlens summed, or what the recorder summed for it
    of a foreign neuron; grad_spike_squared is there at every site. Where a layer is called once per
    step, `train` and `paths` make the recorder hold its steps until the sequence ends.
    """

    name: ClassVar[str]
    roles: ClassVar[frozenset[Role]] = NEURONS | BLOCKS
    axes: ClassVar[tuple[str, ...]] = ("step",)
    columns: ClassVar[dict[str, Column]]
    quantities: ClassVar[dict[str, Quantity]] = {}
    keeps_value: ClassVar[bool] = False  # `gradient` gets the forward tensor as well
    statistics: ClassVar[frozenset[str]] = frozenset()  # names of neuron/statistics.py
    bins: ClassVar[Bins | None] = None  # of the statistic `histogram`, in thresholds
    adds: ClassVar[bool] = True  # over ranks; over the batches of one recorder every probe does

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

    def around(self, site: Site, module: Any, x: Tensor, y: Tensor) -> Sums:
        """Sums over what goes into a module and what comes out of it.

        Of a block time first, S and O; of a synapse or a norm as the framework lays them.
        """
        raise NotImplementedError

    def train(self, site: Site, train: Train) -> Sums:
        """Sums over a whole sequence of a spiking layer."""
        raise NotImplementedError

    def paths(self, site: Site, train: Train) -> Sums:
        """Sums over a whole sequence of a spiking layer and its gradient."""
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
        return Schema(cls.axes, dict(cls.columns), dict(cls.quantities), cls.adds)
