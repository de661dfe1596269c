"""One small network of several kinds of neurons, recorded, and all its tensors kept by plain hooks.

The kinds: the neurons of snnlens, and a user's own class that is called once per step, with a whole
sequence, and batch first. A test compares what a probe streamed with the kept tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Lies
from snnlens.adapters.plain import Plain
from snnlens.neuron.equations import Rule
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.surrogate import Rectangular, Surrogate
from snnlens.recording.probe import Probe
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder

Array = NDArray[Any]
TAU, THRESHOLD = 2.0, 0.7


class Cell(nn.Module):
    """A user's own LIF neuron with a hard reset to 0, in the order of operations of snnlens."""

    def __init__(self, lies: Lies, surrogate: Surrogate, tau: float | None = TAU) -> None:
        super().__init__()
        self.lies, self.tau = lies, tau
        self.rule = Rule("if" if tau is None else "lif", THRESHOLD, surrogate=surrogate,
                         tau_steps=tau)  # fmt: skip
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.lies == "one step":
            return self.step(x)
        axis = 0 if self.lies == "time first" else 1
        self.reset()
        spikes = torch.stack([self.step(now) for now in x.unbind(axis)], axis)
        self.reset()
        return spikes

    def step(self, x: Tensor) -> Tensor:
        v = torch.zeros_like(x) if self.v is None else self.v
        h = v + x if self.tau is None else v + (x - v) / self.tau
        spikes = (h >= THRESHOLD).to(x.dtype)
        self.v = h * (1 - spikes)
        return spikes

    def reset(self) -> None:
        self.v = None

    def snnlens_rule(self) -> Rule:
        return self.rule

    def snnlens_state(self) -> Tensor | None:
        return self.v


class Graded(nn.Module):
    """A neuron that gives integers of either sign, and says nothing of itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x.round()


class Net(nn.Module):
    """Convolution, neuron, linear, neuron: six channels of 3 x 3, then seven neurons."""

    def __init__(self, lies: Lies, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.lies = lies
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv, self.fc = nn.Conv2d(2, 6, 3), nn.Linear(54, 7)
        with torch.no_grad():  # from silent to saturated
            self.fc.weight.mul_(4)
            self.conv.bias.copy_(torch.tensor([-8, -1.6, 0, 1, 4.6, 9]))  # type: ignore[union-attr]
            self.fc.bias.copy_(torch.tensor([-9, -1, -0.5, 0.2, 0.5, 1, 12]))
        self.sn1, self.sn2 = make(), make()

    def forward(self, x: Tensor) -> Tensor:
        if self.lies == "one step":
            return self.sn2(self.fc(self.sn1(self.conv(x)).flatten(1)))
        y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.sn2(self.fc(self.sn1(y).flatten(2)))

    def run(self, x: Tensor) -> None:
        """One batch [T, B, 2, 5, 5], from rest."""
        for neuron in (self.sn1, self.sn2):
            if hasattr(neuron, "reset"):
                neuron.reset()
        for part in x if self.lies == "one step" else [x]:
            self(part.transpose(0, 1) if self.lies == "batch first" else part)


@dataclass(frozen=True)
class Kind:
    """Neurons of one kind; `make` gets the surrogate and whether the membrane leaks."""

    lies: Lies
    make: Callable[[Surrogate, bool], nn.Module]
    adapters: Sequence[Adapter] = ()


@dataclass(frozen=True)
class Seen:
    """What one layer did in one batch: input, membrane and output [T, B, ...]."""

    x: Array
    h: Array
    s: Array

    @property
    def trains(self) -> Array:
        """[T, samples x neurons]."""
        return self.s.reshape(len(self.s), -1)


def _own(surrogate: Surrogate, leaks: bool) -> nn.Module:
    return (LIF(TAU, threshold=THRESHOLD, surrogate=surrogate) if leaks
            else IF(THRESHOLD, surrogate=surrogate))  # fmt: skip


def _cell(lies: Lies, surrogate: Surrogate, leaks: bool) -> nn.Module:
    return Cell(lies, surrogate, TAU if leaks else None)


KINDS = {
    "snnlens": Kind("time first", _own),
    **{lies: Kind(lies, partial(_cell, lies), [Plain([Cell], lies)])
       for lies in ("one step", "time first", "batch first")},
}  # fmt: skip
GRADED = Kind("time first", lambda _s, _l: Graded(), [Plain([Graded], "time first")])


def batches(lengths: Sequence[int] = (6, 6, 4), sizes: Sequence[int] = (3, 5, 2)) -> list[Tensor]:
    """Input [T, B, 2, 5, 5], batch by batch."""
    generator = torch.Generator().manual_seed(0)
    return [2 * torch.randn(t, b, 2, 5, 5, generator=generator)
            for t, b in zip(lengths, sizes, strict=True)]  # fmt: skip


def recorded(
    kind: Kind, probe: Probe, xs: Sequence[Tensor], *, surrogate: Surrogate | None = None,
    leaks: bool = True,
) -> tuple[Record, dict[str, list[Seen]]]:  # fmt: skip
    """What the probe streamed over the batches, and every layer's sequences."""
    sigma = surrogate or Rectangular()
    model = Net(kind.lies, lambda: kind.make(sigma, leaks))
    with Recorder(model, [probe], adapters=kind.adapters) as recorder:
        for x in xs:
            model.run(x)
    twin = Net(kind.lies, lambda: kind.make(sigma, leaks))
    return recorder.record(), kept(twin, xs, leaks=leaks, lies=kind.lies)


def kept(model: Net, xs: Sequence[Tensor], *, leaks: bool, lies: Lies) -> dict[str, list[Seen]]:
    """The sequences of sn1 and sn2, batch by batch, from plain forward hooks."""
    found: dict[str, list[Seen]] = {"sn1": [], "sn2": []}
    for x in xs:
        for name, calls in _calls(model, x).items():
            given, spikes = (_time_first(part, lies) for part in zip(*calls, strict=True))
            found[name].append(Seen(given, membranes(given, spikes, leaks), spikes))
    return found


def _calls(model: Net, x: Tensor) -> dict[str, list[tuple[Tensor, Tensor]]]:
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {"sn1": [], "sn2": []}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, args, out: calls[name].append((args[0].detach(), out.detach()))

    handles = [getattr(model, name).register_forward_hook(keep(name)) for name in calls]
    with torch.no_grad():
        model.run(x)
    for handle in handles:
        handle.remove()
    return calls


def _time_first(parts: Sequence[Tensor], lies: Lies) -> Array:
    x = torch.stack(list(parts)) if lies == "one step" else parts[0]
    return (x.transpose(0, 1) if lies == "batch first" else x).numpy()


def membranes(x: Array, spikes: Array, leaks: bool) -> Array:
    """H from the inputs in numpy's float32; the spikes must follow from it, or the layer lies."""
    h, v = np.empty_like(x), np.zeros_like(x[0])
    for t, now in enumerate(x):
        h[t] = v + (now - v) / np.float32(TAU) if leaks else v + now
        v = h[t] * (1 - spikes[t])
    if set(np.unique(spikes)) <= {0, 1}:
        np.testing.assert_array_equal(spikes, h >= np.float32(THRESHOLD))
    return h


def rows(record: Record, probe: str, site: str) -> Any:
    """The rows of a probe's table at one site."""
    table = record.table(probe)
    return table[table["site"] == site].reset_index(drop=True)
