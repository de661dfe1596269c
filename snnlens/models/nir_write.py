"""Layers said as nodes of NIR; the other direction, and the equations, are in `nir_nodes`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.graph import TIMED, Current, Graph, chain
from snnlens.models.order import Node
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron

Array = NDArray[Any]
Shape = tuple[int, ...]
KNOWN = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.AvgPool2d, nn.Flatten, IF, LIF, PLIF)
NOTE = (  # what another reader does differently, in the metadata of the graph
    "Neurons reset by subtraction (v = v - v_threshold), begin at v0 and fire at v >= v_threshold: "
    "see the metadata of their nodes, which snnlens reads. NIR has no words for it. A reader that "
    "does not look there sets v to v_reset = 0 after a spike, which loses what was above the "
    "threshold; begins at 0, which delays spikes by up to v0; and some fire at v > v_threshold "
    "only, which moves ties. Of a converted network the output is the mean over time."
)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def as_graph(model: nn.Module) -> Graph:
    """Take a model as a Graph: itself, or the layers of an nn.Sequential one after another.

    Raises InputError, with its name, for a layer that NIR can not say.

    >>> as_graph(nn.Sequential(nn.Linear(2, 2), nn.Sequential(IF()))).edges
    [('0', '1.0'), ('1.0', 'output'), ('input', '0')]
    """
    for name, module in model.named_modules():
        if (connect := getattr(module, "connect", None)) in ("and", "iand"):
            where = f"connect of {name or type(model).__name__}"
            wanted = "add: two edges into one node are a sum, and NIR has no node for others"
            raise InputError(where, got=connect, wanted=wanted)
    return model if isinstance(model, Graph) else chain(dict(_layers(model, "")))


class Writer:
    """Says the layers of a graph as nodes of `nir`, the package; see `nir.write_nir`.

    >>> import nir
    >>> said = Writer(nir, dt=1e-4).graph(chain({"sn": LIF(tau=2.0, threshold=0.5)}), (3,))
    >>> said.nodes["sn"].tau, said.nodes["sn"].v_threshold
    (array([0.0002, 0.0002, 0.0002]), array([0.5, 0.5, 0.5]))
    """

    def __init__(self, nir: Any, dt: float, *, soft_reset: bool = False) -> None:
        self.nir, self.dt, self.soft_reset = nir, dt, soft_reset

    def graph(self, graph: Graph, input_shape: Shape) -> Any:
        """The whole graph as a nir.NIRGraph; `input_shape` is that of one sample and step.

        Raises InputError for a layer that NIR can not say, or an input that does not fit.
        """
        shapes: dict[str, tuple[Shape, Shape]] = {}
        nodes: dict[str, Any] = {}
        for node in (node for group in graph.plan for node in group):
            before = shapes[node.sources[0]][1] if node.sources else tuple(input_shape)
            shapes[node.name] = (before, _shape_after(graph, node, before))
            nodes[node.name] = self._node(graph, node, before)
        try:
            noted = any((n.metadata or {}).get("reset") == "soft" for n in nodes.values())
            said = {"dt": self.dt} | ({"note": NOTE} if noted else {})
            return self.nir.NIRGraph(nodes, list(graph.edges), metadata=said)
        except ValueError as error:
            reason = " ".join(str(error).split())
            wanted = "one whose shapes NIR can follow"
            raise InputError(
                "the model", got=type(graph).__name__, wanted=wanted, do=reason
            ) from error

    def _node(self, graph: Graph, node: Node, shape: Shape) -> Any:
        if node.name in graph.ends:
            kinds = self.nir.Input, self.nir.Output
            return kinds[graph.ends.index(node.name)](np.array(shape))
        modules = graph.modules_of(node)
        last = modules[-1] if modules else Current()
        if isinstance(last, Neuron):
            current = modules[0] if len(modules) > 1 else Current()
            assert isinstance(current, Current)
            return self._neuron(node.name, last, current, shape)
        if isinstance(last, Current):
            return self._current(node.name, last, shape)
        return self._stateless(node.name, last, shape)

    def _neuron(self, name: str, neuron: Neuron, current: Current, shape: Shape) -> Any:
        rule, tau, tau_syn = neuron.rule, neuron.tau(), current.tau_steps
        gain, offset = _array(current.gain, shape), _array(current.offset, shape)
        if tau is None and (tau_syn is not None or offset.any()):
            raise InputError(f"layer {name}", got="IF with a filter or an offset", wanted="LIF")
        whole = tau is not None and not rule.decay_input  # then NIR's R has to undo 1 / tau
        undo = tau if tau is not None and whole else 1.0
        fields: dict[str, Any] = {
            "r": gain * undo, "v_threshold": rule.threshold, "v_reset": rule.reset_potential,
        }  # fmt: skip
        if tau is not None:
            fields["v_leak"] = rule.reset_potential + offset * undo
            fields["tau" if tau_syn is None else "tau_mem"] = tau * self.dt
        if tau_syn is not None:  # the split of the gain over r and w_in that is read as it was
            fields |= {"tau_syn": tau_syn * self.dt, "w_in": tau_syn * (gain if whole else 1.0)}
            fields["r"] = undo if whole else gain
        kind = "IF" if tau is None else "LIF" if tau_syn is None else "CubaLIF"
        said = {key: _array(value, shape) for key, value in fields.items()}
        return getattr(self.nir, kind)(**said, metadata=self._note(name, neuron))

    def _note(self, name: str, neuron: Neuron) -> dict[str, str]:
        """What NIR cannot say of a neuron, as metadata of its node."""
        first = neuron.rule.initial_potential
        if neuron.rule.reset == "hard" and first is None:
            return {}
        if not self.soft_reset:
            raise InputError(
                f"reset of layer {name}", got="soft", wanted="hard: NIR has no other",
                do="pass soft_reset=True for a note that only read_nir heeds",
            )  # fmt: skip
        begins = {} if first is None else {"v0": repr(first)}
        return {"reset": neuron.rule.reset, "fires": "v >= v_threshold"} | begins

    def _current(self, name: str, current: Current, shape: Shape) -> Any:
        """A filter is LI or I, a gain alone is Scale."""
        tau, gain, offset = (
            current.tau_steps,
            *(_array(v, shape) for v in (current.gain, current.offset)),
        )
        if tau is not None and tau < math.inf:
            return self.nir.LI(tau=_array(tau * self.dt, shape), r=gain * tau, v_leak=offset)
        if offset.any():
            raise InputError(f"layer {name}", got="an offset", wanted="a gain or a filter alone")
        return self.nir.Scale(gain) if tau is None else self.nir.I(gain)

    def _stateless(self, name: str, layer: nn.Module, shape: Shape) -> Any:
        if isinstance(layer, nn.Linear):
            bias = layer._parameters["bias"]
            told = [_numpy(layer.weight)] + ([] if bias is None else [_numpy(bias)])
            return (self.nir.Linear if bias is None else self.nir.Affine)(*told)
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            return self._convolution(name, layer, shape)
        if isinstance(layer, nn.Flatten):
            return self._flatten(name, layer, shape)
        if isinstance(layer, nn.AvgPool2d):
            return self._pool(name, layer)
        raise _refused(name, layer)

    def _convolution(self, name: str, layer: nn.Conv1d | nn.Conv2d, shape: Shape) -> Any:
        _only(name, "padding_mode", layer.padding_mode, "zeros")
        _only(name, "groups", layer.groups, 1)  # nir 1.0.8 infers wrong shapes for others
        bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
        sizes = (layer.stride, layer.padding, layer.dilation)
        flat = isinstance(layer, nn.Conv1d)
        stride, padding, dilation = (_sizes(v, flat=flat) for v in sizes)
        kind, space = (self.nir.Conv1d, shape[1]) if flat else (self.nir.Conv2d, shape[1:])
        return kind(space, _numpy(layer.weight), stride, padding, dilation, 1, _numpy(bias))

    def _flatten(self, name: str, layer: nn.Flatten, shape: Shape) -> Any:
        if layer.start_dim == 0:
            raise InputError(
                f"start_dim of layer {name}", got=0, wanted="at least 1: 0 is the batch"
            )
        start, end = (dim - (dim > 0) for dim in (layer.start_dim, layer.end_dim))
        return self.nir.Flatten({"input": np.array(shape)}, start, end)

    def _pool(self, name: str, layer: nn.AvgPool2d) -> Any:
        _only(name, "ceil_mode", layer.ceil_mode, False)
        kernel, stride, padding = (
            np.broadcast_to(value, 2).astype(np.int64)
            for value in (layer.kernel_size, layer.stride, layer.padding)
        )
        if padding.any():
            _only(name, "count_include_pad", layer.count_include_pad, True)
        if layer.divisor_override not in (None, 1, int(kernel.prod())):
            _only(name, "divisor_override", layer.divisor_override, None)
        total = layer.divisor_override == 1
        return (self.nir.SumPool2d if total else self.nir.AvgPool2d)(kernel, stride, padding)


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(module, nn.Sequential):
        for part, child in module._modules.items():  # named_children leaves out what comes twice
            assert child is not None
            yield from _layers(child, f"{name}.{part}" if name else part)
    elif type(module) in KNOWN:
        yield name or type(module).__name__.lower(), module
    elif not isinstance(module, nn.Identity):
        raise _refused(name, module)


def _refused(name: str, module: nn.Module) -> InputError:
    if not name:
        wanted = "an nn.Sequential or a Graph"
        return InputError("the model", got=type(module).__name__, wanted=wanted)
    do = "fold it into the layer before it" if isinstance(module, NORMS) else ""
    wanted = "one that NIR has"
    return InputError(f"layer {name}", got=type(module).__name__, wanted=wanted, do=do)


def _only(name: str, option: str, got: object, wanted: object) -> None:
    """Raise InputError for an option that NIR has no word for."""
    if got != wanted:
        raise InputError(
            f"{option} of layer {name}", got=got, wanted=f"{wanted!r}: NIR has no other"
        )


@torch.no_grad()
def _shape_after(graph: Graph, node: Node, before: Shape) -> Shape:
    """The shape [...] after a node; no hook of a layer runs, and no neuron."""
    x = torch.zeros(1, *before)
    for module in graph.modules_of(node):
        if not isinstance(module, TIMED):
            weight = next(module.parameters(), x)
            try:
                x = module.forward(x.to(weight))
            except (RuntimeError, IndexError) as error:
                wanted = f"one that fits layer {node.name}"
                raise InputError("input_shape", got=before, wanted=wanted) from error
    return tuple(x.shape[1:])


def _array(value: float | Array | Tensor, shape: Shape) -> Array:
    """Float64, one number per neuron."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    return np.broadcast_to(array.astype(np.float64), shape).copy()


def _numpy(x: Tensor) -> Array:
    return x.detach().to("cpu", torch.float32).numpy()


def _sizes(value: Any, *, flat: bool) -> Any:
    """An int for Conv1d, a pair for Conv2d, or "same" and "valid"."""
    if isinstance(value, str):
        return value
    return int(value[0]) if flat else tuple(int(v) for v in value)
