"""A residual network of snnlens as a graph that NIR can say: in evaluation mode, step by step.

BatchNorm is folded into the convolution before it. A block's sum is two edges into one node. A
max-pool of spikes is a sum over its window and an IF neuron that one spike makes fire: with a hard
reset nothing is left of a step in the next, so it is the maximum, exactly. The logits that the
network gives are the mean over time of what the graph puts out.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import fusion

from snnlens.errors import InputError
from snnlens.models.dvs import DVSNet
from snnlens.models.graph import Graph
from snnlens.models.resnet import Block, MSBlock, PlainBlock, ResNet, SEWBlock
from snnlens.neuron.layers import IF, Neuron

ONE_SPIKE = 0.5  # threshold of a pool's neuron: below a spike, also where `>` decides
Shape = tuple[int, ...]


def graph_of(model: ResNet | DVSNet, input_shape: Shape) -> Graph:
    """The network as a graph: [T, B, C, H, W] in, [T, B, classes] out.

    Args:
        model: in evaluation mode; its neurons become those of the graph.
        input_shape: [C, H, W] of one sample of one time step.

    Raises:
        InputError: a layer that NIR cannot say: a ReLU, a max-pool of counts or currents, a block
            joined with and or iand; an input of another shape.

    >>> from snnlens.models.resnet import resnet
    >>> model = resnet(8, layout="cifar", classes=3, time_steps=2, seed=0).eval()
    >>> graph_of(model, (3, 8, 8))(torch.zeros(2, 1, 3, 8, 8)).shape
    torch.Size([2, 1, 3])
    """
    if model.connect in ("and", "iand"):
        wanted = "add: two edges into one node are a sum, and NIR has no node for others"
        raise InputError("connect of the network", got=model.connect, wanted=wanted)
    walk = _Walk(binary=model.residual in ("spiking", "plain"))
    last = _dvs(walk, model) if isinstance(model, DVSNet) else _resnet(walk, model)
    return walk.ended(last, model.fc, _size(model, input_shape))


def _resnet(walk: _Walk, model: ResNet) -> str:
    last = walk.convolution("conv1", model.conv1, model.bn1, "input")
    if model.residual != "ms":
        last = walk.neuron("sn1", model.sn1, [last])
    if isinstance(model.maxpool, nn.MaxPool2d):
        last = walk.pool("maxpool", model.maxpool, last, binary=model.residual != "ms")
    for name, block in model.blocks():
        last = walk.block(name, block, last)
    return walk.neuron("sn_out", model.sn_out, [last]) if model.residual == "ms" else last


def _dvs(walk: _Walk, model: DVSNet) -> str:
    last, stage = "input", 0
    for name, block in model.blocks():
        if block.spec.stage != stage:
            stage = block.spec.stage
            conv, bn, sn = (model.get_submodule(f"{kind}{stage}") for kind in ("conv", "bn", "sn"))
            last = walk.convolution(f"conv{stage}", conv, bn, last)
            last = walk.neuron(f"sn{stage}", sn, [last])
        last = walk.block(name, block, last)
        last = walk.pool(f"{name}.maxpool", model.maxpool, last, binary=walk.binary)
    return last


class _Walk:
    """Nodes and edges, put down in the order of the forward pass; `binary`: blocks give spikes."""

    def __init__(self, *, binary: bool) -> None:
        self.binary = binary
        self.layers: dict[str, list[nn.Module]] = {"input": []}
        self.edges: list[tuple[str, str]] = []

    def put(self, name: str, modules: list[nn.Module], sources: Sequence[str]) -> str:
        self.layers[name] = modules
        self.edges += [(source, name) for source in sources]
        return name

    def convolution(self, name: str, conv: nn.Module, norm: nn.Module, source: str) -> str:
        """Conv and BatchNorm as one, folded in float64."""
        kind = next(conv.parameters()).dtype
        double: Any = copy.deepcopy(conv).double()
        fused = fusion.fuse_conv_bn_eval(double, copy.deepcopy(norm).double()).to(kind)  # type: ignore[arg-type]
        return self.put(name, [fused], [source])

    def neuron(self, name: str, neuron: nn.Module, sources: Sequence[str]) -> str:
        if not isinstance(neuron, Neuron):
            got = type(neuron).__name__
            raise InputError(f"layer {name}", got=got, wanted="one that NIR has")
        return self.put(name, [neuron], sources)

    def pool(self, name: str, pool: nn.MaxPool2d, source: str, *, binary: bool) -> str:
        if not binary:
            wanted = "of spikes: NIR has no maximum of counts or currents"
            raise InputError(f"layer {name}", got="a max-pool of other values", wanted=wanted)
        total = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, divisor_override=1)
        return self.neuron(f"{name}_any", IF(ONE_SPIKE), [self.put(name, [total], [source])])

    def block(self, name: str, block: Block, source: str) -> str:
        """One residual block; its output's node."""
        last = source
        for i in range(1, block.count + 1):
            conv, bn, sn = (block.get_submodule(f"{kind}{i}") for kind in ("conv", "bn", "sn"))
            if isinstance(block, MSBlock):
                last = self.neuron(f"{name}.sn{i}", sn, [last])
            last = self.convolution(f"{name}.conv{i}", conv, bn, last)
            if i < block.count and not isinstance(block, MSBlock):
                last = self.neuron(f"{name}.sn{i}", sn, [last])
        return self._joined(name, block, last, source)

    def _joined(self, name: str, block: Block, branch: str, source: str) -> str:
        """O from F(S) and S, as the block's `join` has it."""
        last = block.last_activation
        if isinstance(block, PlainBlock):
            return self.neuron(f"{name}.sn{block.count}", last, [branch])
        shortcut = self._shortcut(name, block, source)
        if isinstance(block, SEWBlock):
            branch = self.neuron(f"{name}.sn{block.count}", last, [branch])
        if isinstance(block, SEWBlock | MSBlock):
            return self.put(f"{name}.output", [], [branch, shortcut])
        return self.neuron(f"{name}.sn{block.count}", last, [branch, shortcut])

    def _shortcut(self, name: str, block: Block, source: str) -> str:
        if block.downsample is None:
            return source
        conv, bn, *spiking = block.downsample.children()
        last = self.convolution(f"{name}.downsample.0", conv, bn, source)
        for neuron in spiking:
            last = self.neuron(f"{name}.downsample.2", neuron, [last])
        return last

    def ended(self, last: str, fc: nn.Linear, size: tuple[int, int]) -> Graph:
        """The mean over the image, the last layer, and the whole as a Graph."""
        pooled = self.put("mean", [nn.AvgPool2d(size)], [last])
        flat = self.put("flat", [nn.Flatten()], [pooled])
        self.put("output", [], [self.put("fc", [fc], [flat])])
        return Graph(self.layers, self.edges, ("input", "output"))


@torch.no_grad()
def _size(model: ResNet | DVSNet, input_shape: Shape) -> tuple[int, int]:
    """Height and width before the mean over the image: the shapes of one sample's pass."""
    last = model.maxpool if isinstance(model, DVSNet) else list(model.blocks())[-1][1]
    seen: list[tuple[int, int]] = []
    hook = last.register_forward_hook(lambda _m, _x, y: seen.append((y.shape[-2], y.shape[-1])))
    try:
        model(torch.zeros(1, 1, *input_shape).to(model.fc.weight))
    except RuntimeError as error:
        wanted = "the shape C,H,W of one sample that fits the network"
        raise InputError("--input-shape", got=input_shape, wanted=wanted) from error
    finally:
        hook.remove()
    return seen[-1]
