"""A converted network as a graph that NIR can say, as far as NIR can say it.

A sequential layer is a gain 1 / theta, an IF of threshold 1 and a gain theta. That the IF resets by
subtraction, begins at V(0) = theta / 2 and fires at `>=` is noted in the node's metadata, which
`read_nir` heeds and others do not. The parallel neuron is no differential equation: NIR has no node
for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from snnlens.conversion.convert import Converted
from snnlens.conversion.layers import SequentialLayer
from snnlens.conversion.prepare import Add
from snnlens.errors import InputError
from snnlens.models.graph import Current, Graph
from snnlens.models.nir import write_nir
from snnlens.models.nir_write import KNOWN
from snnlens.models.order import Edge

NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d, Add)
MEANS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
SIZES = ("size", "getattr", "dim")  # of nodes that only look at shapes


def export_nir(
    net: Converted, path: str | Path, input_shape: tuple[int, ...], *, dt: float | None = None
) -> Path:
    """Write a converted network as a .nir file; `read_nir` gives its steps back.

    Args:
        net: of sequential neurons, BatchNorms folded.
        path: the file.
        input_shape: of one sample, [C, ...].
        dt: duration of a time step in seconds.

    Returns:
        The path.

    Raises:
        InputError: parallel neurons, or a layer that NIR has no word for.

    >>> import tempfile
    >>> from snnlens.conversion.activations import QCFS
    >>> from snnlens.conversion.convert import convert
    >>> from snnlens.models.nir import read_nir
    >>> ann = nn.Sequential(nn.Linear(4, 3), QCFS(levels=4, threshold=1.0), nn.Linear(3, 2))
    >>> net, x = convert(ann, "sequential", 4), torch.rand(5, 4)
    >>> read = read_nir(export_nir(net, tempfile.mkdtemp() + "/a.nir", (4,)))
    >>> torch.equal(read(x.expand(4, 5, 4)), net.steps(x))
    True
    """
    return write_nir(as_graph(net, input_shape), path, input_shape, dt=dt, soft_reset=True)


def as_graph(net: Converted, input_shape: tuple[int, ...]) -> Graph:
    """The layers and edges of a converted network: [T, B, ...] in, [T, B, classes] out.

    Raises InputError, with its name, for what NIR cannot say.
    """
    if net.method != "sequential":
        raise InputError(
            "the neurons of a NIR graph", got=net.method,
            wanted="sequential: a parallel neuron is no differential equation",
            do='convert with method="sequential"',
        )  # fmt: skip
    if not isinstance(net.network, fx.GraphModule):
        wanted = "one that torch.fx can trace"
        raise InputError("the network", got=type(net.network).__name__, wanted=wanted)
    return _Walk(net.network, input_shape).graph()


class _Walk:
    def __init__(self, gm: fx.GraphModule, input_shape: tuple[int, ...]) -> None:
        self.gm = gm
        self.layers: dict[str, list[nn.Module]] = {}
        self.edges: list[Edge] = []
        self.last: dict[fx.Node, str] = {}  # the node of the graph that holds a value
        weight = next(gm.parameters(), torch.empty(0))
        try:
            with torch.no_grad():
                self._shapes(torch.zeros(1, *input_shape).to(weight))
        except (RuntimeError, TypeError) as error:
            wanted = "the shape [C, ...] of one sample that fits the network"
            raise InputError("input_shape", got=input_shape, wanted=wanted) from error

    def graph(self) -> Graph:
        for node in self.gm.graph.nodes:
            if node.op == "placeholder":
                self._put(node, "input", [])
            elif node.op == "output":
                self._put(node, "output", [])
            elif node.op == "call_module":
                self._module(node)
            elif not self._only_looks(node):
                self._function(node)
        return Graph(self.layers, self.edges, ("input", "output"))

    def _shapes(self, x: Tensor) -> None:
        """Run one sample through it at T = 1; each node then knows its shape."""
        layers = [m for m in self.gm.modules() if isinstance(m, SequentialLayer)]
        before = [layer.time_steps for layer in layers]
        for layer in layers:
            layer.time_steps = 1
        try:
            ShapeProp(self.gm).propagate(x)
        finally:
            for layer, steps in zip(layers, before, strict=True):
                layer.time_steps = steps

    def _module(self, node: fx.Node) -> None:
        module, name = self.gm.get_submodule(str(node.target)), str(node.target)
        if isinstance(module, SequentialLayer):
            before = self._spread(1 / module.theta, node)
            self._put(node, name, [Current(before), module.neuron.twin()])
            self._put(node, f"{name}_amplitude", [Current(self._spread(module.theta, node))],
                      after=name)  # fmt: skip
        elif isinstance(module, NOTHING):
            twice = len(node.args) == 2 and node.args[0] is node.args[1]  # h + h is one edge
            self._put(node, name, [Current(2.0)] if twice else [])
        elif isinstance(module, MEANS):
            self._put(node, name, [self._mean(node)])
        elif type(module) in KNOWN:
            self._put(node, name, [module])
        else:
            raise self._refused(node, type(module).__name__)

    def _function(self, node: fx.Node) -> None:
        kind = str(getattr(node.target, "__name__", node.target))
        before, after = (_shape(n) for n in (node.all_input_nodes[0], node))
        if kind in ("flatten", "view", "reshape") and len(after) == 2:
            self._put(node, node.name, [nn.Flatten()])
        elif kind in ("avg_pool2d", "adaptive_avg_pool2d") and len(before) == 4:
            self._put(node, node.name, [self._mean(node)])
        elif kind == "mean" and len(before) == 4 and len(after) == 2:
            self._put(node, node.name, [nn.AvgPool2d(tuple(before[2:]))])
            self._put(node, f"{node.name}_flat", [nn.Flatten()], after=node.name)
        elif kind in ("dropout", "contiguous", "float", "double"):
            self._put(node, node.name, [])
        else:
            raise self._refused(node, kind)

    def _mean(self, node: fx.Node) -> nn.Module:
        """A pool of fixed windows for one that adapts, at this input's size."""
        before, after = (_shape(n) for n in (node.all_input_nodes[0], node))
        windows = tuple(b // a for b, a in zip(before[2:], after[2:], strict=True))
        if any(b % a for b, a in zip(before[2:], after[2:], strict=True)) or len(before) != 4:
            raise self._refused(node, "a pool of unequal windows")
        return nn.AvgPool2d(windows)

    def _spread(self, values: Tensor, node: fx.Node) -> float | Tensor:
        """One number, or one per neuron."""
        if values.numel() == 1:
            return float(values)
        return values.expand(_shape(node)[1:]).clone()

    def _put(
        self, node: fx.Node, name: str, modules: list[nn.Module], *, after: str | None = None
    ) -> None:
        self.layers[name] = modules
        sources = (
            [after] if after else [self.last[n] for n in node.all_input_nodes if n in self.last]
        )
        self.edges += [(str(source), name) for source in sources]
        self.last[node] = name

    def _only_looks(self, node: fx.Node) -> bool:
        """Whether a node reckons with shapes alone."""
        return node.target in SIZES or not isinstance(node.meta.get("tensor_meta"), tuple)

    def _refused(self, node: fx.Node, kind: str) -> InputError:
        do = "convert with BatchNorms folded" if kind.startswith("BatchNorm") else ""
        return InputError(f"layer {node.target if node.op == 'call_module' else node.name}",
                          got=kind, wanted="one that NIR has", do=do)  # fmt: skip


def _shape(node: fx.Node) -> Any:
    """The shape [B, ...] of a node's value."""
    return node.meta["tensor_meta"].shape
