"""Graph: layers joined by edges, run over time; what a NIR file becomes.

Two edges into one node are a sum. A graph without a cycle runs layer by layer on all time steps at
once; the nodes of a cycle run step by step, and the edges that close it (`order.py`) hand over
what was there one step before, zero at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.order import Edge, Node, ordered
from snnlens.neuron import equations
from snnlens.neuron.layers import Neuron

State = dict[str, Tensor]


class Current(nn.Module):
    r"""A linear filter over time, then a gain and an offset: what reaches a neuron's membrane.

        I[t] = (1 - 1 / tau) I[t-1] + x[t]         (I = x without tau)
        y[t] = gain I[t] + offset

    Args:
        gain: one number, or one per neuron.
        offset: the same.
        tau_steps: time constant in time steps, at least 1; infinite for a perfect integrator.

    >>> Current(gain=2.0, tau_steps=2.0)(torch.tensor([[1.0], [0.0], [1.0]])).flatten().tolist()
    [2.0, 1.0, 2.5]
    """

    gain: float | Tensor
    offset: float | Tensor

    def __init__(
        self,
        gain: float | Tensor = 1.0,
        offset: float | Tensor = 0.0,
        *,
        tau_steps: float | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("gain", gain), ("offset", offset)):
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)
        self.tau_steps = tau_steps

    def forward(self, x: Tensor) -> Tensor:
        """All steps, [T, B, ...] to [T, B, ...]."""
        if self.tau_steps is None:
            return self._scaled(x)
        state, filtered = None, []
        for current in x:
            state = self.filtered(current, state)
            filtered.append(state)
        return self._scaled(torch.stack(filtered))

    def step(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step [B, ...], and the state after it."""
        state = self.filtered(x, state)
        return self._scaled(state), state

    def filtered(self, x: Tensor, state: Tensor | None) -> Tensor:
        """I[t] from x[t] and I[t-1]; None is zero."""
        if self.tau_steps is None or state is None:
            return x
        return (1 - 1 / self.tau_steps) * state + x

    def is_trivial(self) -> bool:
        """Whether nothing happens here."""
        numbers = isinstance(self.gain, float) and isinstance(self.offset, float)
        return numbers and (self.gain, self.offset, self.tau_steps) == (1.0, 0.0, None)

    def extra_repr(self) -> str:
        """The filter in a line."""
        gain, offset = (f"{v:g}" if isinstance(v, float) else "..." for v in self._pair())
        return f"gain={gain}, offset={offset}, tau_steps={self.tau_steps}"

    def _pair(self) -> tuple[float | Tensor, float | Tensor]:
        return self.gain, self.offset

    def _scaled(self, x: Tensor) -> Tensor:
        scaled = x if isinstance(self.gain, float) and self.gain == 1 else x * self.gain
        return (
            scaled if isinstance(self.offset, float) and not self.offset else scaled + self.offset
        )


TIMED = (Neuron, Current)  # these know of time; all others see [T B, ...]


class Graph(nn.Module):
    """A network of layers and edges: [T, B, ...] in, [T, B, ...] out.

    A module has its node's name as its path, dots included, so that a neuron's site is the name
    of its node; what stands before a neuron is called NAME_current. In a cycle the neurons run
    twice, once step by step and once on all steps for whoever listens: spikes and weights'
    gradients are whole, but the gradient at such a neuron's own output lacks the cycle's part.

    Args:
        layers: the modules of each node in the order they are applied; none: the node only sums.
        edges: pairs (from, to).
        ends: the names of the node that takes the input and of the one that gives the output.
        time_steps: how often an input [B, ...] is shown; None: the input has its own time axis.
        dt: duration of a time step, in the unit of a NIR file's time constants.

    Raises:
        InputError: an edge from or to a node that is not there, a node without an input.

    >>> from snnlens.neuron.layers import IF
    >>> layers = {"in": [], "sn": [IF()], "out": []}
    >>> graph = Graph(layers, [("in", "sn"), ("in", "out"), ("sn", "out")], ("in", "out"))
    >>> graph(torch.tensor([[[0.5]], [[0.5]]])).flatten().tolist()
    [0.5, 1.5]
    """

    def __init__(
        self,
        layers: Mapping[str, Sequence[nn.Module]],
        edges: Iterable[Edge],
        ends: tuple[str, str],
        *,
        time_steps: int | None = None,
        dt: float | None = None,
    ) -> None:
        super().__init__()
        if time_steps is not None and time_steps < 1:
            raise InputError("time_steps", got=time_steps, wanted="at least 1")
        self.edges, self.ends = sorted(set(edges)), ends
        self.time_steps, self.dt = time_steps, dt
        self.plan = ordered(layers, self.edges, ends[0])
        self.parts: dict[str, tuple[str, ...]] = {}  # the paths of each node's modules
        for node in (node for group in self.plan for node in group):
            self.parts[node.name] = self._place(node.name, layers[node.name])

    def forward(self, x: Tensor) -> Tensor:
        """The output node's values [T, B, ...]."""
        if self.time_steps is not None:
            x = x.expand(self.time_steps, *x.shape)
        values = {self.ends[0]: x}
        for group in self.plan:
            if len(group) > 1 or group[0].delayed:
                values |= self._cycle(group, values)
            elif group[0].name != self.ends[0]:
                node = group[0]
                values[node.name] = self._run(node, _sum([values[s] for s in node.sources]))
        return values[self.ends[1]]

    def modules_of(self, node: Node) -> list[nn.Module]:
        """A node's modules, in the order they are applied."""
        return [self.get_submodule(part) for part in self.parts[node.name]]

    def _run(self, node: Node, x: Tensor) -> Tensor:
        for module in self.modules_of(node):
            x = module(x) if isinstance(module, TIMED) else over_time(module, x)
        return x

    def _cycle(self, group: tuple[Node, ...], values: State) -> State:
        """Run a cycle step by step, then show each module its whole input for its listeners."""
        given: dict[str, list[Tensor]] = {node.name: [] for node in group}
        states: State = {}
        before: State = {}
        for t in range(len(values[self.ends[0]])):
            now: State = {}
            for node in group:
                outside = [values[s][t] for s in node.sources if s not in given]
                inside = [now[s] for s in node.sources if s in given]
                late = [before[s] for s in node.delayed if s in before]
                x = _sum(outside + inside + late)
                given[node.name].append(x)
                now[node.name] = self._step(node, x, states)
            before = now
        return {node.name: self._run(node, torch.stack(given[node.name])) for node in group}

    def _step(self, node: Node, x: Tensor, states: State) -> Tensor:
        """One step of a node, past the hooks of its modules."""
        for part in self.parts[node.name]:
            module = self.get_submodule(part)
            if isinstance(module, Neuron):
                x, states[part] = _fire(module, x, states.get(part))
            elif isinstance(module, Current):
                x, states[part] = module.step(x, states.get(part))
            else:
                x = module.forward(x)
        return x

    def _place(self, name: str, some: Sequence[nn.Module]) -> tuple[str, ...]:
        """Register a node's modules: the last under its own name, the one before it beside it."""
        endings = ["", "_current"][: len(some)][::-1]
        return tuple(self._put(name + e, m) for e, m in zip(endings, some, strict=True))

    def _put(self, name: str, module: nn.Module) -> str:
        """Register a module under a dotted path, and return the path that it got."""
        parent, path = cast("nn.Module", self), []
        for part in (parts := name.split("."))[:-1]:
            path.append(_free(parent, part, shared=True))
            if not hasattr(parent, path[-1]):
                parent.add_module(path[-1], nn.Module())
            parent = parent.get_submodule(path[-1])
        path.append(_free(parent, parts[-1]))
        parent.add_module(path[-1], module)
        return ".".join(path)


def chain(layers: Mapping[str, nn.Module], *, time_steps: int | None = None) -> Graph:
    """Join layers one after another, from a node "input" to a node "output".

    >>> from snnlens.neuron.layers import IF
    >>> graph = chain({"fc": nn.Linear(4, 2), "sn": IF()})
    >>> graph(torch.zeros(3, 1, 4)).shape, [name for name, _ in graph.named_children()]
    (torch.Size([3, 1, 2]), ['fc', 'sn'])
    """
    first, last = (_unused(name, layers) for name in ("input", "output"))
    names = [first, *layers, last]
    parts = {name: [layers[name]] if name in layers else [] for name in names}
    return Graph(parts, pairwise(names), (first, last), time_steps=time_steps)


def over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer that knows no time to [T, B, ...].

    >>> over_time(nn.Linear(4, 2), torch.zeros(3, 1, 4)).shape
    torch.Size([3, 1, 2])
    """
    return torch.unflatten(layer(x.flatten(0, 1)), 0, x.shape[:2])


def _fire(neuron: Neuron, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
    """One step of a neuron under autograd: spikes [B, ...] and the membrane after it."""
    if neuron.keep_state:
        raise InputError("a neuron in a cycle", got=neuron, wanted="one without keep_state")
    v = equations.start(x[None], neuron.rule) if v is None else v
    spikes, v = equations.loop(x[None], v, neuron.rule, neuron.rate)
    return spikes[0], v


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, terms)


def _unused(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _free(parent: nn.Module, name: str, *, shared: bool = False) -> str:
    """A name that a module can have here: `name`, or with underscores behind it.

    A plain container may be shared, by the nodes `lif.a` and `lif.b`.
    """
    name = name or "_"
    while hasattr(parent, name) and not (shared and type(getattr(parent, name)) is nn.Module):
        name += "_"
    return name
