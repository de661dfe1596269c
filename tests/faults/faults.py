"""The faults: what is changed in a healthy network, and the code and site that must say so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from tests.faults import blocks, models
from tests.faults.frameworks import stack
from tests.faults.networks import WIDTH, Change, same

Net = Any  # a Stack, whose layers are attributes that no type knows
Build = Callable[..., Any]  # of (framework, **of): the healthy network
DEEP = {"layers": 8}
BLOCKS = {"steps": 4, "samples": 64}


@dataclass(frozen=True)
class Fault:
    """One change to a healthy network: to the network itself, or to what it is given.

    `build` makes the network of a framework with the options `of`, and its twin, which is the same
    without the change.
    """

    code: str
    what: str
    site: str | None
    frameworks: tuple[str, ...]
    plant: Callable[[Any], object] = id  # changes nothing
    given: Change = same
    build: Build = stack
    of: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


# --- what is changed ---------------------------------------------------------------------------


def second(**neuron: Any) -> Callable[[Net], None]:
    """The second spiking layer made anew."""
    return lambda net: setattr(net, "sn1", net.neuron(**neuron))


def every(**neuron: Any) -> Callable[[Net], None]:
    """All spiking layers made anew."""

    def plant(net: Net) -> None:
        for i in range(net.depth):
            setattr(net, f"sn{i}", net.neuron(**neuron))

    return plant


def weights(
    factor: float, *, bias: bool = True, layers: slice = slice(1, 2)
) -> Callable[..., None]:
    """The weights, or the whole current, of some layers; by default of the second."""

    @torch.no_grad()
    def plant(net: Net) -> None:
        for i in range(net.depth)[layers]:
            layer = net.get_submodule(f"fc{i}")
            layer.weight *= factor
            layer.bias *= factor if bias else 1

    return plant


def bias(by: float, neurons: slice = slice(None)) -> Callable[[Net], None]:
    """The current of the second layer, in thresholds, of some of its neurons."""

    @torch.no_grad()
    def plant(net: Net) -> None:
        net.fc1.bias[neurons] += by / net.gain

    return plant


def behind_first(change: Change) -> Callable[[Net], None]:
    """Something that stands behind the first spiking layer."""

    def plant(net: Net) -> None:
        net.links[0] = change

    return plant


def folded_wrongly(s: Tensor) -> Tensor:
    """[T, B, ...] taken for [B, T, ...], and put back as if it had been."""
    return s.reshape(s.shape[1], s.shape[0], -1).transpose(0, 1)


def both_ways(s: Tensor) -> Tensor:
    """A layer that looks at the sequence from behind as well."""
    return (s + s.flip(0)).clamp(max=1)


def axes_swapped(x: Tensor) -> Tensor:
    """The user's batch is [B, T, ...], the network wants [T, B, ...]."""
    return x.transpose(0, 1)


def ten_times_as_long(x: Tensor) -> Tensor:
    return x.repeat(10, 1, 1)


def never_reset(net: Net) -> None:
    net.resets = False


def state_kept(net: Net) -> None:
    """The neurons of snnlens begin at rest unless they are told otherwise."""
    for i in range(net.depth):
        net.get_submodule(f"sn{i}").keep_state = True


def spoilt_statistics(net: Net) -> None:
    """A running variance that is not that of the data."""
    net.bn1.running_var *= 100


def silent_end(net: Net) -> None:
    net.sn2 = net.neuron(threshold=100.0)


@torch.no_grad()
def zero_readout(net: Net) -> None:
    net.out.weight.zero_()
    net.out.bias.zero_()


@torch.no_grad()
def not_a_number(net: Net) -> None:
    net.fc1.weight[0, 0] = math.nan


def read_last_step(net: Net) -> None:
    net.read = lambda y: y[-1]


def narrow_surrogate(net: Net) -> None:
    net.sn1 = net.narrow()


def past_the_hooks(net: Net) -> None:
    net.direct = {1}


def one_module_twice(net: Net) -> None:
    net.sn1 = net.sn0


FAULTS = [
    # a reset at the beginning of forward, and none
    Fault("SNL101", "no reset", None, ("spikingjelly-steps", "snntorch", "sinabs"), never_reset),
    Fault("SNL101", "state kept", None, ("snnlens",), state_kept),
    # BatchNorm that has seen 50 batches of this data; then its running variance x 100
    Fault("SNL102", "spoilt BatchNorm", "sn1", ("spikingjelly", "sinabs"), spoilt_statistics,
          of={"norm": True}),
    Fault("SNL103", "batch taken for time", "sn0", ("snntorch", "norse"), given=axes_swapped),
    Fault("SNL103", "axes folded wrongly", "sn1", ("sinabs", "snnlens"),
          behind_first(folded_wrongly)),
    Fault("SNL103", "sees the future", "sn1", ("spikingjelly",), behind_first(both_ways)),
    Fault("SNL201", "a block that never fires", "block1.output", ("spikingjelly", "snnlens"),
          blocks.second_silent, build=blocks.residual, of={"connect": "AND"} | BLOCKS),
    Fault("SNL202", "threshold 100", "sn1", ("spikingjelly-steps", "sinabs"),
          second(threshold=100.0)),
    Fault("SNL202", "no current", "sn1", ("plain",), weights(0)),
    Fault("SNL203", "half of the biases far below", "sn1", ("spikingjelly", "plain"),
          bias(-10, slice(WIDTH // 2))),
    Fault("SNL204", "bias far above", "sn1", ("snntorch", "norse"), bias(10)),
    Fault("SNL205", "weights x 100", "sn1", ("snntorch", "sinabs"), weights(100, bias=False)),
    Fault("SNL206", "threshold 100 at the end", "sn2", ("norse",), silent_end,
          of={"spiking_output": True}),
    Fault("SNL206", "readout 0", None, ("snntorch", "plain"), zero_readout),
    Fault("SNL207", "weak current: xi = 4", "sn1", ("spikingjelly", "norse"), weights(0.3)),
    Fault("SNL207", "driven by its mean: xi < 1", "sn1", ("sinabs",), bias(0.5)),
    # 0.75 of a current is 0.75 of the deviation, and fewer spikes for the next layer as well
    Fault("SNL208", "weights x 0.75", "sn5", ("spikingjelly", "snntorch"),
          weights(0.75, layers=slice(None)), of={"layers": 6, "samples": 128}),
    Fault("SNL209", "ten times as long", None, ("sinabs",), given=ten_times_as_long),
    Fault("SNL209", "threshold 0.2, T = 16", None, ("snntorch",), every(threshold=0.2),
          of={"steps": 16}),
    Fault("SNL301", "NaN in a weight", "sn1", ("spikingjelly", "norse"), not_a_number),
    # of a spike: the same forward, and an infinite gradient at 0
    Fault("SNL301", "square root", "sn0", ("sinabs", "plain"), behind_first(torch.sqrt)),
    Fault("SNL302", "slope 0.1", "sn0", ("spikingjelly", "sinabs"), every(slope=0.1), of=DEEP),
    Fault("SNL303", "slope 8", "sn0", ("spikingjelly", "sinabs"), every(slope=8.0), of=DEEP),
    # through a membrane of leak 1/2: 2^-15, and sn1 has one between itself and the last step
    Fault("SNL304", "loss on the last step", "sn1", ("spikingjelly", "snntorch"), read_last_step,
          of={"steps": 16}),
    Fault("SNL305", "detached", "sn0", ("snntorch", "plain"), behind_first(torch.detach)),
    Fault("SNL306", "slope 2.5: 2.5^8 = 1526", None, ("spikingjelly", "sinabs"), every(slope=2.5),
          of=DEEP),
    Fault("SNL307", "narrow surrogate", "sn1", ("spikingjelly", "snntorch", "snnlens"),
          narrow_surrogate),
    Fault("SNL401", "spiking_resnet, threshold 2", "net.layer1.0.sn2", ("spikingjelly",),
          models.threshold_2, build=models.jelly_spiking_resnet, of=models.IMAGES),
    Fault("SNL401", "resnet, threshold 2", None, ("snnlens",), models.threshold_2,
          build=models.own_spiking_resnet, of=models.IMAGES),
    Fault("SNL402", "zero-init without the bias", "block0.output", ("spikingjelly", "snnlens"),
          blocks.without_bias, build=blocks.residual, of={"connect": "AND"} | BLOCKS),
    Fault("SNL403", "shortcut without a neuron", "block1.output", ("spikingjelly", "snnlens"),
          blocks.shortcut_without_neuron, build=blocks.residual, of={"connect": "ADD"} | BLOCKS),
    Fault("SNL901", "forward called", "sn1", ("spikingjelly-steps", "plain"), past_the_hooks),
    Fault("SNL901", "one module in two places", "sn0", ("snnlens",), one_module_twice),
]  # fmt: skip
