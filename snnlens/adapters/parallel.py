"""The parallel neuron of snnlens: all steps in one call, time first, without a membrane."""

from __future__ import annotations

from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Layout
from snnlens.neuron.parallel import ParallelIF


class Parallel(Adapter):
    """ParallelIF: [T, B, ...]; what it fires follows from the sum of its currents."""

    name = "parallel"
    package = "snnlens"

    def claims(self, module: nn.Module) -> bool:
        return isinstance(module, ParallelIF)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        return Layout("time first")

    def at_rest(self, module: nn.Module, args: object, named: object) -> bool:
        return True
