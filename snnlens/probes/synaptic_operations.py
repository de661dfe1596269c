"""Synaptic operations: for each input of a layer that is not 0, the outputs that it reaches."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import chunk, step_sums
from snnlens.sites import Site

CHUNK = 1 << 14  # elements: what is made of them stays in a core's cache
WHOLE = 2.0**24  # from here on every float32 is a whole number, which says nothing
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


class SynapticOperations(Probe):
    """sum over the inputs x_i of a convolution or linear layer of f_i, in int64, all steps added.

    f_i is the fan-out: how many (output, weight) pairs use x_i. Of a linear layer it is
    `out_features`; of a convolution out_channels / groups x the number of (output position, kernel
    position) pairs that hit x_i, exact at the borders for any stride, padding, dilation and
    padding mode. A weight that is 0 is a connection all the same.

        events              sum of f_i over x_i != 0                         = `synops`
        spikes_as_counts    sum of abs(x_i) f_i: an input of 3 sent as three spikes
        bit_serial          sum of (ones in the binary abs(x_i)) f_i: 3 is 11, two ones
        macs                sum of f_i over all inputs: connections that exist; the zeros of a
                            padding are none
        macs_padded         outputs x fan-in, the textbook number, padding included
        non_integer         inputs that are no whole number below 2^24 (NaN and infinity too); to
                            spikes_as_counts and bit_serial they add nothing
        nonzero, elements, total   inputs that are not 0, inputs, their sum
        items       how many inputs of the layer's own size: samples x T, or samples alone where it
                    runs once on a static image

    `input_rate` = total / elements, the mean input: the firing rate of what spikes into the layer.
    So integer spikes (a SEW ADD) stay additions; what they cost is chosen where the energy is made
    (`snnlens.measures.energy`). Unit of the counts: operations, over all samples that were seen. It
    says nothing of transposed convolutions, nor of a subclass that changes the output's size.

    Source: Merolla et al. 2014, Science 345 (SynOps); Rueckauer et al. 2017, section 2 (fan-out).
    """

    name = "synaptic_operations"
    roles = frozenset({"synapse"})
    axes = ()
    columns = {
        "events": Column(),
        "spikes_as_counts": Column(),
        "bit_serial": Column(),
        "macs": Column(),
        "macs_padded": Column(),
        "non_integer": Column(),
        "nonzero": Column(),
        "elements": Column(),
        "total": Column(),
        "items": Column(),
    }
    quantities = {
        "synops": Quantity("value", ("events",), "synaptic operations"),
        "macs": Quantity("value", ("macs",), "multiply-accumulates"),
        "input_rate": Quantity("ratio", ("total", "elements"), "spikes per input and step"),
    }

    def around(self, site: Site, module: Any, x: Tensor, y: Tensor) -> Sums:
        """Count at each position, then weigh the positions by their fan-out."""
        layer = _layer(module, x, y) if x.numel() else None
        if layer is None:
            return {}
        counts, non_integer = _by_position(x.reshape(-1, len(layer.fan_out)))
        nonzero, size, ones = counts
        rows = x.numel() // len(layer.fan_out)
        return {
            "events": (nonzero * layer.fan_out).sum(),
            "spikes_as_counts": (size * layer.fan_out).sum(),
            "bit_serial": (ones * layer.fan_out).sum(),
            "macs": rows * layer.fan_out.sum(),
            "macs_padded": torch.full_like(non_integer, y.numel() * layer.fan_in),
            "non_integer": non_integer,
            "nonzero": nonzero.sum(),
            "elements": torch.full_like(non_integer, x.numel()),
            "total": step_sums(x.reshape(1, -1))[0],
            "items": torch.full_like(non_integer, x.numel() // layer.size),
        }


class Layer(NamedTuple):
    """The connections of a layer: fan-out of each input position, and fan-in of an output."""

    fan_out: Tensor  # int64 [positions], the same for every channel; of a linear layer [inputs]
    fan_in: int
    size: int  # elements of one input


def _layer(module: nn.Module, x: Tensor, y: Tensor) -> Layer | None:
    if isinstance(module, nn.Linear):
        fan_out = torch.full((x.shape[-1],), module.out_features, device=x.device)
        return Layer(fan_out, module.in_features, module.in_features)
    if not isinstance(module, Convolution):
        return None
    axes = tuple(_axes(module, x))
    shape = torch.Size(axis.outputs for axis in axes)
    if y.shape[-len(axes) :] != shape:
        return None
    channels = module.out_channels // module.groups
    fan_in = module.in_channels // module.groups * prod(module.kernel_size)
    size = module.in_channels * prod(axis.inputs for axis in axes)
    return Layer(_positions(axes, channels, x.device), fan_in, size)


class Axis(NamedTuple):
    """One spatial axis of a convolution."""

    inputs: int
    kernel: int
    stride: int
    dilation: int
    before: int  # padding
    after: int
    mode: str

    @property
    def outputs(self) -> int:
        """Output positions."""
        reach = self.dilation * (self.kernel - 1)
        return (self.inputs + self.before + self.after - reach - 1) // self.stride + 1


def _axes(module: Convolution, x: Tensor) -> list[Axis]:
    dims = len(module.kernel_size)
    found = []
    for i, inputs in enumerate(x.shape[-dims:]):
        kernel, dilation = module.kernel_size[i], module.dilation[i]
        before, after = _padding(module.padding, i, dilation * (kernel - 1))
        found.append(Axis(inputs, kernel, module.stride[i], dilation, before, after,
                          module.padding_mode))  # fmt: skip
    return found


def _padding(padding: str | tuple[int, ...], i: int, reach: int) -> tuple[int, int]:
    if padding == "same":
        return reach // 2, reach - reach // 2
    if padding == "valid":
        return 0, 0
    return int(padding[i]), int(padding[i])


@lru_cache(maxsize=256)
def _positions(axes: tuple[Axis, ...], channels: int, device: torch.device) -> Tensor:
    """The fan-out of every position: the axes are independent."""
    fan_out = torch.full((1,), channels, dtype=torch.int64)
    for axis in axes:
        fan_out = torch.outer(fan_out, _hits(axis)).flatten()
    return fan_out.to(device)


def _hits(axis: Axis) -> Tensor:
    """How many (output, kernel) pairs of one axis use each input position."""
    source = torch.arange(axis.inputs, dtype=torch.float64)[None]
    if axis.mode == "zeros":
        source = functional.pad(source, (axis.before, axis.after), value=axis.inputs)
    else:  # the padding repeats inputs, which are used more often then
        source = functional.pad(source, (axis.before, axis.after), mode=axis.mode)
    outputs = axis.stride * torch.arange(axis.outputs)
    kernel = axis.dilation * torch.arange(axis.kernel)
    used = source[0].to(torch.int64)[(outputs[:, None] + kernel).flatten()]
    return torch.bincount(used, minlength=axis.inputs + 1)[: axis.inputs]


def _by_position(x: Tensor) -> tuple[Tensor, Tensor]:
    """Of x [rows, positions]: int64 [3, positions], and how many are no whole number.

    The three: how many are not 0; the sum of abs(x); the ones in binary abs(x).
    """
    counts = torch.zeros(3, x.shape[1], dtype=torch.int64, device=x.device)
    whole = torch.zeros(x.shape[1], dtype=torch.int64, device=x.device)
    for part in x.split(max(1, chunk(x, CHUNK) // x.shape[1])):
        wide = part if part.dtype in {torch.float32, torch.float64} else part.float()
        # Spikes are counted at once; on another device the question would wait for the answer.
        if wide.is_cpu and _are_ones(wide):
            counts += wide.sum(0).to(torch.int64)
            whole += len(wide)
        else:
            whole += _add(counts, wide)
    return counts, x.numel() - whole.sum()


def _are_ones(x: Tensor) -> bool:
    """Whether there is nothing but zeros and ones; infinity is its own square, too."""
    return torch.equal(x * x, x) and bool(torch.isfinite(x.sum(0)).all())


def _add(counts: Tensor, x: Tensor) -> Tensor:
    """Add a part to the counts; how many whole numbers it has at each position.

    Answers of comparisons as floats: they sum 4 times as fast as booleans, and exactly.
    """
    size = x.abs().nan_to_num_(nan=0.5, posinf=0.5)
    whole = torch.eq(size, size.trunc(), out=torch.empty_like(size))
    whole *= torch.lt(size, WHOLE, out=torch.empty_like(size))
    integer = size.mul_(whole).to(torch.int32)
    counts[0] += torch.ne(x, 0, out=torch.empty_like(x)).sum(0).to(torch.int64)
    counts[1] += integer.sum(0)
    counts[2] += _ones(integer).sum(0)
    return whole.sum(0).to(torch.int64)


def _ones(n: Tensor) -> Tensor:
    """The ones in the binary form of n >= 0 below 2^24, all bits at once.

    Source: Warren, Hacker's Delight, section 5-1.

    >>> _ones(torch.tensor([0, 1, 2, 3, 255], dtype=torch.int32)).tolist()
    [0, 1, 1, 2, 8]
    """
    n = n - ((n >> 1) & 0x55555555)
    n = (n & 0x33333333) + ((n >> 2) & 0x33333333)
    n = (n + (n >> 4)) & 0x0F0F0F0F
    return (n * 0x01010101) >> 24
