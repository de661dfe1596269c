"""The healthy network in every framework: its neuron, its reset, its loop over time."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.layers import LIF
from snnlens.neuron.surrogate import ATan, Rectangular
from tests.faults.networks import LEAK, SAMPLES, STEPS, PerStep, Stack, batch, calibrate, normalise


class Jelly(Stack):
    """SpikingJelly, multi-step."""

    mode: ClassVar[str] = "m"

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        from spikingjelly.activation_based import neuron, surrogate

        sigma = surrogate.Sigmoid(alpha=4 * slope)  # of the library; its largest slope is alpha / 4
        return neuron.LIFNode(v_threshold=threshold, surrogate_function=sigma, step_mode=cls.mode)  # type: ignore[no-any-return]

    @classmethod
    def narrow(cls) -> nn.Module:
        from spikingjelly.activation_based import neuron, surrogate

        return neuron.LIFNode(surrogate_function=surrogate.Rect(alpha=50), step_mode=cls.mode)  # type: ignore[no-any-return]

    def rest(self) -> None:
        from spikingjelly.activation_based import functional

        functional.reset_net(self)


class JellySteps(Jelly, PerStep):
    """SpikingJelly, single-step."""

    mode = "s"


class SnnTorch(PerStep):
    """snnTorch, its states hidden in the layers."""

    gain = 1.0

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        import snntorch

        sigma = snntorch.surrogate.atan(alpha=2 * slope)
        return snntorch.Leaky(LEAK, threshold=threshold, spike_grad=sigma, init_hidden=True)  # type: ignore[no-any-return]

    @classmethod
    def narrow(cls) -> nn.Module:
        import snntorch

        sigma = snntorch.surrogate.fast_sigmoid(slope=1000)
        return snntorch.Leaky(LEAK, spike_grad=sigma, init_hidden=True)  # type: ignore[no-any-return]

    def rest(self) -> None:
        from snntorch import utils

        utils.reset(self)


class Norse(Stack):
    """Norse: cells without a synapse, their state passed from step to step."""

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        from norse.torch.functional.lif_box import LIFBoxParameters
        from norse.torch.module.lif_box import LIFBoxCell

        # dt = 1 ms: the leak is 1 - 500/1000. super is 1 / (1 + |x|)^2 whatever alpha is, triangle
        # is alpha max(0, 1 - |x|)
        p = LIFBoxParameters(
            tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(threshold),
            method="super" if slope == 1 else "triangle", alpha=torch.tensor(slope),
        )  # fmt: skip
        return LIFBoxCell(p)  # type: ignore[no-any-return]

    def run(self, x: Tensor) -> Tensor:
        states: list[Any] = [None] * self.depth
        outputs = []
        for now in x:
            for i in range(self.depth):
                spikes, states[i] = self.fire(i, self.current(i, now), states[i])
                now = self.links[i](spikes)  # noqa: PLW2901 - what flows on
            outputs.append(self.out(now))
        return torch.stack(outputs)


class Sinabs(Stack):
    """sinabs: [B, T, features]."""

    batch_first = True

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        from sinabs import layers
        from sinabs.activation import SingleExponential, SingleSpike

        sigma = SingleExponential(grad_scale=slope / 2)  # its largest slope is grad_scale / 0.5
        return layers.LIF(  # type: ignore[no-any-return]
            1 / math.log(2), spike_threshold=torch.tensor(threshold), spike_fn=SingleSpike,
            surrogate_grad_fn=sigma,
        )  # fmt: skip

    def rest(self) -> None:
        for i in range(self.depth):
            getattr(self, f"sn{i}").reset_states()


class Own(Stack):
    """The neurons of snnlens."""

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        return LIF(2.0, threshold=threshold, surrogate=ATan(alpha=2 * slope))

    @classmethod
    def narrow(cls) -> nn.Module:
        return LIF(2.0, surrogate=Rectangular(alpha=50.0))


class Spike(torch.autograd.Function):
    """A user's own spike, with a triangle for a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * ctx.slope * (1 - x.abs()).clamp(min=0), None


class UsersLIF(nn.Module):
    """A user's own class, of which snnlens knows nothing but that it spikes."""

    def __init__(self, threshold: float, slope: float) -> None:
        super().__init__()
        self.threshold, self.slope = threshold, slope
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        v = torch.zeros_like(x) if self.v is None else self.v
        h = v + (x - v) / 2
        spikes: Tensor = Spike.apply(h - self.threshold, self.slope)  # type: ignore[no-untyped-call]
        self.v = h * (1 - spikes.detach())
        return spikes

    def reset(self) -> None:
        self.v = None


class Plain(PerStep):
    """A user's own class in a plain loop, named with `--spiking`."""

    @classmethod
    def neuron(cls, threshold: float = 1.0, slope: float = 1.0) -> nn.Module:
        return UsersLIF(threshold, slope)

    def rest(self) -> None:
        for i in range(self.depth):
            getattr(self, f"sn{i}").reset()


FRAMEWORKS: dict[str, tuple[str, type[Stack]]] = {  # name: the package, the network
    "spikingjelly": ("spikingjelly", Jelly),
    "spikingjelly-steps": ("spikingjelly", JellySteps),
    "snntorch": ("snntorch", SnnTorch),
    "norse": ("norse", Norse),
    "sinabs": ("sinabs", Sinabs),
    "snnlens": ("snnlens", Own),
    "plain": ("torch", Plain),
}


def stack(
    framework: str, *, layers: int = 3, steps: int = STEPS, samples: int = SAMPLES,
    norm: bool = False, spiking_output: bool = False,
) -> Stack:  # fmt: skip
    """A healthy network of a framework; the test is skipped where that is not installed.

    With `norm` BatchNorm instead of the weights gives the current its scale, and has seen enough
    batches for its running statistics to be theirs. With `spiking_output` there is no readout.
    """
    package, kind = FRAMEWORKS[framework]
    pytest.importorskip(package)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = kind(layers)
        x, _ = batch(steps, samples)
        calibrate(net, x)
        if norm:
            normalise(net, x)
    if spiking_output:
        net.out = nn.Identity()
    return net
