"""Method: what a map lies over and what it promises. A subclass declares and computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.errors import InputError

Place = Literal["input", "layer"]
SPACES = ("space", "time", "space-time")


@dataclass(frozen=True)
class Options:
    """What methods may be told; each names those that it reads.

    Args:
        steps: points of a path from the baseline to the input.
        internal_batch: samples in one pass of the network; None: `Bridge.fitting`, 1 to 32.
        baseline: what counts as nothing, as the input without N: [T, ...]; None: zeros.
        at: the spiking layer of a layer's method, or whose spikes stand for the input.
        seed: of random methods; each sample is drawn for by itself from it.
        noise: standard deviation that is added, as a share of the sample's range.
        draws: noisy copies of each sample.
        smooths: the method that noise is averaged over.
        window: of what is hidden at once: steps, rows, columns.
        over: hide a window of space at all steps, whole steps, or of both.
        gamma: decay of a spike's contribution per step (sam).
        decay: the same of tsa as a factor; None: the layer's leak.
        absent: whether tsa counts spikes that did not come.
        neuron: index in a layer's output without N, step first (neuron_conductance).

    Raises:
        InputError: a number out of its range.

    >>> Options(steps=0)
    Traceback (most recent call last):
    snnlens.errors.InputError: steps must be at least 1; got 0
    """

    steps: int = 64
    internal_batch: int | None = None
    baseline: Tensor | None = None
    at: str | None = None
    seed: int = 0
    noise: float = 0.1
    draws: int = 16
    smooths: str = "saliency"
    window: tuple[int, int, int] = (1, 3, 3)
    over: str = "space-time"
    gamma: float = 0.5
    decay: float | None = None
    absent: bool = False
    neuron: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "internal_batch", "draws"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(name, got=value, wanted="at least 1")
        if min(self.window) < 1:
            raise InputError("window", got=self.window, wanted="at least 1, each of three")
        if self.over not in SPACES:
            raise InputError("over", got=self.over, wanted=", ".join(SPACES))
        for name in ("noise", "gamma"):
            if not getattr(self, name) >= 0:  # NaN fails too
                raise InputError(name, got=getattr(self, name), wanted="at least 0")
        if self.decay is not None and not 0 <= self.decay <= 1:
            raise InputError("decay", got=self.decay, wanted="from 0 to 1")

    @property
    def batch(self) -> int:
        """Samples in one pass of the network."""
        return self.internal_batch or 32

    def nothing(self, x: Tensor) -> Tensor:
        """The baseline, as large as x [N, T, ...]."""
        if self.baseline is None:
            return x.new_zeros(x.shape)
        if self.baseline.shape != x.shape[1:]:
            raise InputError(
                "the baseline",
                got=list(self.baseline.shape),
                wanted=f"{list(x.shape[1:])}: a sample",
            )
        return self.baseline.to(x).expand_as(x)


class Method(ABC):
    """One attribution method, the same call for all.

    Attributes:
        name: the file's name.
        title: what a figure calls it.
        source: where it is published, with its equation.
        place: whether the map lies over the input or over a spiking layer's output.
        signed: whether negative values speak against the class.
        relevance: whether it claims relevance for the class; SAM shows activity and does not.
        complete: whether the map's sum should be f(x) - f(baseline).
        within: whether `at` names a layer that it looks into, while the map lies over the input.
        random: whether it draws; then each sample by itself, from `seed`.
        gradient: whether it needs a (surrogate) gradient.
        options: the fields of `Options` that it reads.

    >>> from snnlens.attribution import method_named
    >>> method_named("ig").complete, method_named("sam").complete
    (True, False)
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    place: ClassVar[Place] = "input"
    signed: ClassVar[bool] = True
    relevance: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    within: ClassVar[bool] = False
    random: ClassVar[bool] = False
    gradient: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def values(self, bridge: Bridge, x: Tensor, target: Tensor, options: Options) -> Tensor:
        """The map of a group of samples, [N, T, ...] of the input or of the layer's output."""

    def local(self, options: Options) -> bool:
        """Whether the map is in score per unit of input: a gradient, not times the input."""
        return False

    def site(self, bridge: Bridge, options: Options) -> str:
        """The spiking layer that it looks at: `at`, or the last one with positions in space."""
        if options.at is not None:
            return bridge.check_site(options.at)
        spatial = [name for name, shape in bridge.shapes.items() if len(shape) > 1]
        return (spatial or bridge.sites)[-1]


def option_names() -> tuple[str, ...]:
    """The names of all options.

    >>> "gamma" in option_names()
    True
    """
    return tuple(f.name for f in fields(Options))
