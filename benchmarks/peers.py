"""One neuron layer in each library: a function from currents [T, N] to spikes, its state fresh.

Each keeps its own rule where it has no other: snnTorch delays the reset by a step and always
detaches it, Norse's surrogate is SuperSpike's, sinabs wants the batch before the time.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from snnlens.neuron.layers import IF, LIF, Neuron

Layer = Callable[[Tensor], Tensor]
TAU = 2.0
sys.path.insert(0, str(Path(__file__).parents[1]))  # tests.parity.jelly


def ours(kind: str, *, detach: bool) -> Neuron:
    """IF with a soft reset or LIF with a hard one."""
    return IF(reset="soft", detach_reset=detach) if kind == "if" else LIF(TAU, detach_reset=detach)


def jelly(kind: str, *, detach: bool) -> Layer:
    """SpikingJelly, multi-step, its torch backend: the one that it has on a CPU."""
    from tests.parity.jelly import load

    library = load()
    common = {"surrogate_function": library.surrogate.ATan(), "detach_reset": detach,
              "step_mode": "m"}  # fmt: skip
    if kind == "if":
        layer = library.neuron.IFNode(v_reset=None, **common)
    else:
        layer = library.neuron.LIFNode(tau=TAU, **common)

    def run(x: Tensor) -> Tensor:
        layer.reset()
        out: Tensor = layer(x)
        return out

    return run


def snntorch(kind: str, *, detach: bool) -> Layer:
    """snnTorch's Leaky in its loop over time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import snntorch as library
        from snntorch import surrogate
    beta, mechanism = (1.0, "subtract") if kind == "if" else (1 - 1 / TAU, "zero")
    layer = library.Leaky(beta, spike_grad=surrogate.atan(alpha=2.0), reset_mechanism=mechanism)

    def run(x: Tensor) -> Tensor:
        membrane, spikes = torch.zeros_like(x[0]), []
        for t in range(len(x)):
            spike, membrane = layer(x[t], membrane)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def norse(kind: str, *, detach: bool) -> Layer | None:
    """Norse's LIFBox in a loop over time; it has no IF."""
    if kind == "if":
        return None
    from norse.torch.functional import lif_box

    state_of, step = lif_box.LIFBoxFeedForwardState, lif_box.lif_box_feed_forward_step
    parameters = lif_box.LIFBoxParameters(tau_mem_inv=torch.as_tensor(1000 / TAU))

    def run(x: Tensor) -> Tensor:
        state, spikes = state_of(v=torch.zeros_like(x[0])), []
        for t in range(len(x)):
            spike, state = step(x[t], state, parameters)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def sinabs(kind: str, *, detach: bool) -> Layer:
    """sinabs' LIF or IAF with single spikes, [B, T, N]."""
    from sinabs import activation, layers

    rule = {"spike_fn": activation.SingleSpike}
    if kind == "if":
        layer = layers.IAF(reset_fn=activation.MembraneSubtract(), **rule)
    else:
        layer = layers.LIF(tau_mem=TAU, reset_fn=activation.MembraneReset(), **rule)

    def run(x: Tensor) -> Tensor:
        layer.reset_states()
        out: Tensor = layer(x.unsqueeze(0))
        return out

    return run


PEERS: dict[str, Callable[..., Layer | None]] = {
    "SpikingJelly": jelly,
    "snnTorch": snntorch,
    "Norse": norse,
    "sinabs": sinabs,
}
