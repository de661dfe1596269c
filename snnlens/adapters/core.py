"""snnlens: its own neurons, multi-step and time first."""

from __future__ import annotations

from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named
from snnlens.neuron import equations
from snnlens.neuron.equations import Rule
from snnlens.neuron.layers import Neuron


class Core(Adapter):
    """IF, LIF and PLIF of snnlens: [T, B, ...], at rest unless `keep_state` kept a membrane."""

    name = "core"
    package = "snnlens"

    def claims(self, module: nn.Module) -> bool:
        return isinstance(module, Neuron)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        return Layout("time first")

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        assert isinstance(module, Neuron)
        if module.membrane is not None or module.rule.initial_potential is None:
            return module.membrane
        return equations.start(args[0], module.rule)

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool:
        assert isinstance(module, Neuron)
        return module.membrane is None

    def rule(self, module: nn.Module) -> Rule:
        assert isinstance(module, Neuron)
        return module.rule

    def rate(self, module: nn.Module) -> Tensor | None:
        assert isinstance(module, Neuron)
        return module.rate

    def reset_layer(self, module: nn.Module) -> None:
        assert isinstance(module, Neuron)
        module.reset_state()
