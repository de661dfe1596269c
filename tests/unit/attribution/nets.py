"""The network of `layouts` in each framework: what the bridge is told, and how it is reset."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens import IF
from snnlens.neuron.surrogate import ATan
from tests.unit.attribution.layouts import (
    CLASSES,
    SHAPE,
    BatchFirst,
    Folded,
    Handing,
    Looping,
    Make,
    N,
    Net,
    OneStep,
    T,
    TimeFirst,
    Y,
    movie,
)

__all__ = [
    "CASES", "CLASSES", "SHAPE", "BatchFirst", "Case", "Folded", "Handing", "Looping", "N", "Net",
    "OneStep", "SmoothIF", "T", "TimeFirst", "Y", "features", "iaf", "imported", "jelly", "movie",
    "own", "smooth",
]  # fmt: skip


@dataclass
class Case:
    """A network, the batch as it takes it, what the bridge has to be told, and how it is reset."""

    net: Any
    given: Tensor
    told: dict[str, Any] = field(default_factory=dict)
    reset: Callable[[nn.Module], object] = lambda net: None
    calls: int = 1  # of a spiking layer in one pass

    @property
    def x(self) -> Tensor:
        """The batch as [N, T, ...]."""
        return movie().transpose(0, 1)

    def front(self, x: Tensor) -> Tensor:
        """The reference, from rest."""
        self.reset(self.net)
        return self.net.front(x)

    def back(self, spikes: Tensor) -> Tensor:
        """The reference, from rest."""
        self.reset(self.net)
        return self.net.back(spikes)

    def score(self, x: Tensor) -> Tensor:
        """[N, T, ...] to [N, classes]."""
        return self.back(self.front(x))


def own() -> Case:
    """IF neurons of snnlens."""
    return Case(TimeFirst(lambda: IF(surrogate=ATan(2.0), detach_reset=False)), movie())


def features(x: Tensor) -> Case:
    """Two linear layers around IF neurons, on x [T, N, F]."""
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        net = nn.Sequential(nn.Linear(x.shape[-1], 6), IF(), nn.Linear(6, 4)).double()
    return Case(net, x)


def imported(name: str) -> Any:
    pytest.importorskip(name.partition(".")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _jelly(mode: str) -> tuple[Make, Callable[[nn.Module], object]]:
    neuron = imported("spikingjelly.activation_based.neuron")
    surrogate = imported("spikingjelly.activation_based.surrogate")
    functional = imported("spikingjelly.activation_based.functional")

    def make() -> nn.Module:
        return neuron.IFNode(surrogate_function=surrogate.ATan(2.0), step_mode=mode)

    return make, functional.reset_net


def jelly() -> Case:
    """SpikingJelly, whole sequences."""
    make, reset = _jelly("m")
    return Case(TimeFirst(make), movie(), reset=reset)


def jelly_per_step() -> Case:
    """SpikingJelly, the model called once for each step."""
    make, reset = _jelly("s")
    return Case(OneStep(make), movie(), {"per_step": True}, reset, calls=T)


def jelly_loop() -> Case:
    """SpikingJelly, the model loops over time itself."""
    make, reset = _jelly("s")
    return Case(Looping(make), movie(), {"time_axis": 0}, reset, calls=T)


def _leaky(**given: Any) -> Make:
    snn = imported("snntorch")
    atan = imported("snntorch.surrogate").atan(2.0)
    return lambda: snn.Leaky(beta=0.8, spike_grad=atan, **given)


def _forget(net: nn.Module) -> None:
    for layer in (net.a, net.b):
        layer.reset_mem()


def torch_per_step() -> Case:
    """snnTorch with hidden states, called once for each step."""
    return Case(OneStep(_leaky(init_hidden=True)), movie(), {"per_step": True}, _forget, calls=T)


def torch_loop() -> Case:
    """snnTorch with states that the model's own loop hands on; a layer keeps the last one too."""
    return Case(Handing(_leaky()), movie(), {"time_axis": 0}, _forget, calls=T)


def iaf(layer: str, **given: Any) -> Make:
    layers = imported("sinabs.layers")
    single = imported("sinabs.activation").SingleSpike
    return lambda: getattr(layers, layer)(spike_fn=single, **given)


def _to_rest(net: nn.Module) -> None:
    for layer in (net.a, net.b):
        layer.reset_states()


def sinabs() -> Case:
    """sinabs, batch first."""
    return Case(BatchFirst(iaf("IAF")), movie().transpose(0, 1), reset=_to_rest)


def sinabs_folded() -> Case:
    """sinabs, time folded into the batch; targets tell the number of samples."""
    given = movie().transpose(0, 1).flatten(0, 1)
    return Case(Folded(iaf("IAFSqueeze", num_timesteps=T)), given, {"target": Y}, _to_rest)


def _norse(layer: str) -> Make:
    norse = imported("norse.torch")
    numbers = {"tau_syn_inv": 500.0, "tau_mem_inv": 400.0, "v_th": 0.1}
    numbers |= {"v_leak": 0.0, "v_reset": 0.0}
    tensors = {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items()}
    return lambda: getattr(norse, layer)(norse.LIFParameters(**tensors, alpha=2.0))


def norse_sequence() -> Case:
    """Norse, whole sequences; the layer returns spikes and state."""
    return Case(TimeFirst(_norse("LIF")), movie())


def norse_cells() -> Case:
    """Norse cells, whose state the model's own loop hands on."""
    return Case(Handing(_norse("LIFCell")), movie(), {"time_axis": 0}, calls=T)


CASES: dict[str, Callable[[], Case]] = {
    "snnlens": own,
    "SpikingJelly, multi-step": jelly,
    "SpikingJelly, per step": jelly_per_step,
    "SpikingJelly, own loop": jelly_loop,
    "snnTorch, per step": torch_per_step,
    "snnTorch, own loop": torch_loop,
    "sinabs": sinabs,
    "sinabs, folded": sinabs_folded,
    "Norse": norse_sequence,
    "Norse, own loop": norse_cells,
}


class SmoothIF(nn.Module):
    """IF whose spike is a sigmoid of the membrane: forward and gradient are of one function.

    H[t] = V[t-1] + X[t],  S = sigmoid(4 (H - 1)),  V = H - S
    """

    def __init__(self) -> None:
        super().__init__()
        self.v: Tensor | None = None

    def reset(self) -> None:
        """To rest."""
        self.v = None

    def forward(self, x: Tensor) -> Tensor:
        """One step."""
        h = x if self.v is None else self.v + x
        s = torch.sigmoid(4 * (h - 1))
        self.v = h - s
        return s


def smooth() -> Case:
    """A network without a step anywhere; the bridge is told the neurons' class."""
    told = {"spiking": [SmoothIF], "time_axis": 0}
    return Case(Looping(SmoothIF), movie(), told, _reset, calls=T)


def _reset(net: nn.Module) -> None:
    for layer in (net.a, net.b):
        layer.reset()
