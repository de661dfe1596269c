"""What the kernel of a neuron of snnlens would have summed, of a spiking layer of anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named
from snnlens.neuron import equations, kernels, statistics
from snnlens.neuron.equations import Rule, Step
from snnlens.neuron.statistics import FORWARD, Bins, Statistics
from snnlens.recording.probe import Train
from snnlens.recording.reduce import step_squares, step_sums

CURRENT = frozenset({"current", "current_squared"})
MEMBRANE = FORWARD - CURRENT - {"spikes"}


@dataclass(frozen=True)
class Call:
    """One call of a spiking layer: what its adapter says of it, laid time first, without graph."""

    adapter: Adapter
    module: nn.Module
    args: Args
    named: Named
    layout: Layout
    start: Tensor | None
    spikes: Tensor
    output: object = field(repr=False, default=None)

    def current(self) -> Tensor | None:
        """What charges the membrane [T, B, ...]."""
        raw = self.adapter.current(self.module, self.args, self.named)
        return None if raw is None else self.layout.time_first(raw.detach())

    def train(self) -> Train:
        """The sequence as a probe gets it; without a rule where the equations do not replay it."""
        if not self.adapter.replays(self.module):
            return Train(self.spikes)
        x, rule, rate = self.current(), self.adapter.rule(self.module), self._rate()
        return Train(self.spikes, x, self._start(x), rule, rate)

    @torch.no_grad()
    def statistics(
        self, names: frozenset[str], bins: Bins | None
    ) -> tuple[Statistics, Tensor | None]:
        """The sums that could be made, and the spikes that a replay of the membrane gave."""
        found = {}
        if "spikes" in names and not self.adapter.graded(self.module):
            found["spikes"] = step_sums(self.spikes)
        x = self.current() if names & (CURRENT | MEMBRANE) else None
        if x is not None and "current" in names:
            found["current"] = step_sums(x)
        if x is not None and "current_squared" in names:
            found["current_squared"] = step_squares(x)
        membrane, replayed = self._membrane(names & MEMBRANE, x, bins)
        return Statistics(found | membrane), replayed

    def _membrane(
        self, names: frozenset[str], x: Tensor | None, bins: Bins | None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        rule = self.adapter.rule(self.module)
        if not names or rule is None:
            return {}, None
        if self.adapter.replays(self.module):
            if x is None:
                return {}, None
            start = self._start(x)
            with kernels.quietly():
                spikes, _, seen = kernels.multi_step(x, start, rule, self._rate(), last=False,
                                                     wanted=names, bins=bins)  # fmt: skip
            assert seen is not None
            return seen.forward, spikes
        raw = self.adapter.membrane(self.module, self.args, self.named, self.output, self.start)
        if raw is None:
            return {}, None
        h = self.layout.time_first(raw.detach())
        return _of_membrane(h, self.spikes, rule, names, bins or Bins()), None

    def _start(self, x: Tensor | None) -> Tensor | None:
        if self.start is None or x is None:
            return None
        return self.start.detach().to(equations.state_dtype(x.dtype)).expand(x.shape[1:])

    def _rate(self) -> Tensor | None:
        rate = self.adapter.rate(self.module)
        return None if rate is None else rate.detach()


def scaled(bins: Bins | None, threshold: float | None) -> Bins | None:
    """The bins of a probe, which are in thresholds, in the unit of the membrane."""
    if bins is None or threshold is None:
        return None
    return Bins(bins.lowest * threshold, bins.width * threshold, bins.count)


def _of_membrane(
    h: Tensor, spikes: Tensor, rule: Rule, names: frozenset[str], bins: Bins
) -> dict[str, Tensor]:
    """The statistics of H [T, B, ...] itself."""

    def membranes() -> Iterator[Step]:
        for t, row in enumerate(h):
            slope = rule.surrogate.derivative(row - rule.threshold)
            yield Step(t, row, row, spikes[t], row, slope)

    wanted = statistics.bits(names)
    counts, sums = statistics.measure(h, spikes, membranes, wanted, bins)
    return statistics.unpack(wanted, counts, sums)
