"""Adapter: what snnlens has to know of another framework's spiking layers."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from snnlens.errors import InputError
from snnlens.neuron.equations import Rule

Args = tuple[Any, ...]
Named = Mapping[str, Any]
Lies = Literal["time first", "batch first", "folded", "one step"]
AXES: dict[Lies, str] = {
    "time first": "on axis 0",
    "batch first": "on axis 1",
    "folded": "folded into axis 0",
    "one step": "one call per step",
}


@dataclass(frozen=True)
class Layout:
    """How the tensors of a spiking layer lie.

    `time first` is [T, B, ...], `batch first` [B, T, ...], `folded` [B T, ...] with the steps of
    one sample together, `one step` [B, ...]: the layer is called once per time step.

    >>> Layout("batch first").time_first(torch.zeros(8, 4, 3)).shape
    torch.Size([4, 8, 3])
    >>> Layout("folded", 4).time_first(torch.zeros(32, 3)).shape
    torch.Size([4, 8, 3])
    """

    lies: Lies = "time first"
    time_steps: int = 1  # of `folded`, where the shape does not say it

    def time_first(self, x: Tensor) -> Tensor:
        """A view of x as [T, B, ...]."""
        if self.lies == "time first":
            return x
        if self.lies == "batch first":
            return x.transpose(0, 1)
        if self.lies == "one step":
            return x.unsqueeze(0)
        if len(x) % self.time_steps:
            raise InputError(
                "the first axis of a folded tensor", got=len(x),
                wanted=f"a multiple of T = {self.time_steps}",
            )  # fmt: skip
        unfolded: Tensor = torch.unflatten(x, 0, (-1, self.time_steps))
        return unfolded.transpose(0, 1)

    @property
    def axis(self) -> str:
        """Where time is, for the line that says what was detected."""
        return AXES[self.lies]


class Adapter(ABC):
    """A framework's spiking layers. A subclass declares facts and answers questions of one module.

    No adapter imports its framework: a model made of it has imported it already, so
    `loaded("package.module")` finds its classes. Tensors are given and returned as the framework
    lays them; `layout` says how, and the recorder turns them to [T, B, ...].
    """

    name: ClassVar[str]  # the file's name
    package: ClassVar[str]  # what to look for in sys.modules
    exact: ClassVar[bool] = True  # `rule` and `start` reproduce the membrane

    @abstractmethod
    def claims(self, module: nn.Module) -> bool:
        """Whether the module is a spiking layer of this framework, with all that lies inside it."""

    @abstractmethod
    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        """How x, an input or output of this layer, lies."""

    def spikes(self, module: nn.Module, output: Any) -> Tensor:
        """The spikes in what the layer returned: by default the first tensor of it."""
        return first_tensor(output)

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """What charges the membrane, laid as the layer's input: by default its first argument."""
        return args[0] if args and isinstance(args[0], Tensor) else None

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """The membrane V [B, ...] that a call begins with, None at rest; asked before the call."""
        return None

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool | None:
        """Whether a call begins a new sequence; None where it cannot be told. Asked before it."""
        return None

    def rule(self, module: nn.Module) -> Rule | None:
        """The neuron in the words of snnlens: threshold, leak, reset, surrogate; or None.

        Where `replays` says so, its equations with `start` give the layer's own membrane.
        """
        return None

    def rate(self, module: nn.Module) -> Tensor | None:
        """The 1 / tau of a rule whose charge is plif."""
        return None

    def replays(self, module: nn.Module) -> bool:
        """Whether our equations with `rule`, `current` and `start` give this membrane."""
        return self.exact and self.rule(module) is not None

    def membrane(
        self, module: nn.Module, args: Args, named: Named, output: Any, start: Tensor | None
    ) -> Tensor | None:
        """H, the membrane that was compared with the threshold, where the framework shows it.

        Laid as the spikes; asked after the call, and only where `replays` is False.
        """
        return None

    def graded(self, module: nn.Module) -> bool:
        """Whether its output may be something else than zeros and ones."""
        return False

    def reset(self, model: nn.Module) -> None:
        """Put every layer of this framework in the model to rest."""
        for module in self.layers(model):
            self.reset_layer(module)

    def reset_layer(self, module: nn.Module) -> None:  # noqa: B027 - stateless: nothing to do
        """Put one layer to rest."""

    def layers(self, model: nn.Module) -> Iterator[nn.Module]:
        """The modules of the model that this adapter claims."""
        return (m for m in model.modules() if self.claims(m))


def loaded(module: str, *names: str) -> tuple[type, ...]:
    """Classes of a module that somebody has imported; none where nobody has.

    >>> loaded("a_package_that_nobody_imported", "LIF")
    ()
    """
    found = sys.modules.get(module)
    classes = [getattr(found, name, None) for name in names]
    return tuple(c for c in classes if isinstance(c, type))


KNOWN = WeakIdKeyDictionary()  # tensors on a device: how often they were changed, and their value


def number(value: Any) -> float | None:
    """A parameter as a number, None if it is none or a tensor per neuron.

    A device is asked only after the tensor changed.

    >>> number(torch.tensor([0.5])), number(2), number(torch.ones(3)), number(None)
    (0.5, 2.0, None, None)
    """
    if value is None or not isinstance(value, Tensor):
        return None if value is None else float(value)
    if value.numel() != 1:
        return None
    direct = value.device.type == "cpu" or value.is_inference()
    return float(value.detach()) if direct else remembered(value)


def remembered(x: Tensor) -> float:
    """The value of a tensor of one element, asked for again only after it changed."""
    if x not in KNOWN or KNOWN[x][0] != x._version:
        KNOWN[x] = (x._version, float(x.detach()))
    return float(KNOWN[x][1])


def first_tensor(output: Any) -> Tensor:
    """The first tensor in nested tuples, lists and dictionaries.

    >>> first_tensor(((torch.ones(1), torch.zeros(2)), None)).shape
    torch.Size([1])
    """
    found = next(tensors(output), None)
    if found is None:
        raise InputError("the output of a layer", got=type(output).__name__, wanted="a tensor")
    return found


def tensors(output: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in their order."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from tensors(part)
    elif isinstance(output, tuple | list):
        for part in output:
            yield from tensors(part)
