"""What passes the layers of a network: hooks that go when the look is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.conversion.convert import Converted
from snnlens.conversion.layers import Spiking
from snnlens.conversion.prepare import Prepared
from snnlens.errors import InputError

See = Callable[[str, Spiking, Tensor, Tensor], None]


@dataclass
class Pass:
    """What one pass of an ANN gave: z and a of each activation, both inputs of each sum."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


def passed(network: nn.Module, prepared: Prepared, x: Tensor) -> Pass:
    """One pass of an ANN, with what went into and came out of each activation."""
    found, handles = Pass(), []
    for name in prepared.activations:

        def hook(_: Any, given: tuple[Tensor, ...], out: Tensor, name: str = name) -> None:
            _once(name, found.outputs)
            found.inputs[name], found.outputs[name] = given[0], out

        handles.append(network.get_submodule(name).register_forward_hook(hook))
    try:
        with sums_of(network, prepared.adds) as sums:
            found.logits = network(x)
    finally:
        for handle in handles:
            handle.remove()
    found.sums = sums
    return found


def _once(name: str, seen: Mapping[str, Tensor]) -> None:
    """Raise InputError for an activation that one pass calls twice: torch.fx could not part it."""
    if name in seen:
        raise InputError(
            "an activation of a network that torch.fx cannot trace", got=f"{name}, called twice",
            wanted="called once", do="give each call an nn.ReLU() of its own",
        )  # fmt: skip


@contextmanager
def sums_of(network: nn.Module, names: Iterable[str]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Within it, both inputs of each sum are kept."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    for name in names:

        def hook(_: Any, given: tuple[Tensor, Tensor], name: str = name) -> None:
            found[name] = (given[0], given[1])

        handles.append(network.get_submodule(name).register_forward_pre_hook(hook))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def watched(
    net: Converted, see: See, instead: Mapping[str, Tensor] | None = None
) -> Iterator[None]:
    """Within it, `see` gets each layer's currents and spikes [T, B, ...] as they pass.

    With `instead` a layer hands on those activations, encoded by itself from a constant current.
    """
    handles = []
    for name, layer in net.layers.items():
        spikes: list[Tensor] = []

        def keep(_: Any, __: Any, out: Tensor, spikes: list[Tensor] = spikes) -> None:
            spikes[:] = [out]

        def show(
            layer: Any, given: tuple[Tensor, ...], _: Tensor, name: str = name,
            spikes: list[Tensor] = spikes,
        ) -> Tensor | None:  # fmt: skip
            steps = given[0].unflatten(0, (layer.time_steps, -1))
            see(name, layer, steps, spikes.pop())
            return None if instead is None else layer.encode(instead[name])

        handles += [layer.neuron.register_forward_hook(keep), layer.register_forward_hook(show)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
