"""Surrogate gradients by name: sigma'(x) stands in for the derivative of the spike.

A spike is Theta(H - V_th); its derivative is zero or infinite, so the backward pass uses
sigma'(H - V_th) of a smooth sigma instead (Neftci et al. 2019).
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from snnlens.errors import InputError


@dataclass(frozen=True)
class Surrogate(ABC):
    """A surrogate sigma and its derivative; x is the membrane potential minus the threshold."""

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def derivative_(self, x: Tensor) -> Tensor:
        """sigma'(x), overwriting x."""

    def derivative(self, x: Tensor) -> Tensor:
        """sigma'(x), in the dtype of x (unit: spikes per unit of potential)."""
        return self.derivative_(x.clone())

    @abstractmethod
    def primitive(self, x: Tensor) -> Tensor:
        """sigma(x), whose true derivative is `derivative`; it serves the gradient checks."""

    @property
    def support(self) -> float:
        """sigma'(x) is zero for |x| beyond this distance; infinite where it never is."""
        return math.inf

    def at(self, x: float, dtype: torch.dtype = torch.float64) -> float:
        """sigma'(x) of one number, computed in `dtype`.

        >>> ATan(alpha=2.0).at(0.0)
        1.0
        """
        return float(self.derivative(torch.tensor([x], dtype=dtype)).item())

    def __str__(self) -> str:
        alpha = getattr(self, "alpha", None)
        return self.name if alpha is None else f"{self.name}(alpha={alpha:g})"


@dataclass(frozen=True)
class _Scaled(Surrogate):
    """A surrogate with one slope parameter alpha (unit: 1 / potential)."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InputError("alpha", got=self.alpha, wanted="a finite number above 0")


@dataclass(frozen=True)
class ATan(_Scaled):
    """sigma'(x) = alpha / (2 (1 + (pi/2 alpha x)^2)); sigma(x) = arctan(pi/2 alpha x)/pi + 1/2.

    >>> round(ATan(alpha=2.0).at(0.5), 4)
    0.2884
    """

    name: ClassVar[str] = "atan"
    source: ClassVar[str] = (
        "Fang et al. 2021 (SEW ResNet), Section 4.1; alpha = 2 in all experiments"
    )
    alpha: float = 2.0

    def derivative_(self, x: Tensor) -> Tensor:
        return x.mul_(math.pi / 2 * self.alpha).square_().add_(1).reciprocal_().mul_(self.alpha / 2)

    def primitive(self, x: Tensor) -> Tensor:
        return torch.atan(math.pi / 2 * self.alpha * x) / math.pi + 0.5


@dataclass(frozen=True)
class Sigmoid(_Scaled):
    """sigma(x) = 1 / (1 + exp(-alpha x)); sigma'(x) = alpha sigma (1 - sigma).

    >>> Sigmoid(alpha=4.0).at(0.0)
    1.0
    """

    name: ClassVar[str] = "sigmoid"
    source: ClassVar[str] = "Zenke and Vogels 2021; alpha = 4 is SpikingJelly's default"
    alpha: float = 4.0

    def derivative_(self, x: Tensor) -> Tensor:
        # sigma(y) sigma(-y), not s (1 - s), which is exactly 0 from y = 17 on in float32
        mirrored = torch.sigmoid(-self.alpha * x)
        return x.mul_(self.alpha).sigmoid_().mul_(mirrored).mul_(self.alpha)

    def primitive(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.alpha * x)


@dataclass(frozen=True)
class Rectangular(_Scaled):
    """sigma'(x) = alpha where |x| < 1/(2 alpha), else 0: at |x| = 1/(2 alpha) exactly it is 0.

    With alpha = 1 and V_th = 1/2 both spike values lie on the edge, so nothing passes.

    >>> Rectangular().at(0.5), Rectangular().at(0.49)
    (0.0, 1.0)
    """

    name: ClassVar[str] = "rectangular"
    source: ClassVar[str] = "Wu et al. 2018 (STBP); Fang et al. 2021, A.5: sign(|x| < 1/2)"
    alpha: float = 1.0

    @property
    def support(self) -> float:
        return 0.5 / self.alpha

    def derivative_(self, x: Tensor) -> Tensor:
        return x.copy_(x.abs_() < self.support).mul_(self.alpha)

    def primitive(self, x: Tensor) -> Tensor:
        return torch.clamp(self.alpha * x + 0.5, 0, 1)


@dataclass(frozen=True)
class Constant(Surrogate):
    """sigma'(x) = 1 everywhere ("Constant 1", a straight-through gradient); sigma(x) = x.

    >>> Constant().at(-3.0)
    1.0
    """

    name: ClassVar[str] = "constant"
    source: ClassVar[str] = "Fang et al. 2021, A.5: Constant 1"

    def derivative_(self, x: Tensor) -> Tensor:
        return x.fill_(1)

    def primitive(self, x: Tensor) -> Tensor:
        return x.clone()


@dataclass(frozen=True)
class Triangular(_Scaled):
    """sigma'(x) = alpha max(0, 1 - alpha |x|): a triangle of height alpha and area 1.

    >>> Triangular().at(0.25), Triangular().at(1.0)
    (0.75, 0.0)
    """

    name: ClassVar[str] = "triangular"
    source: ClassVar[str] = "Esser et al. 2016; Bellec et al. 2018 (there scaled by gamma)"
    alpha: float = 1.0

    @property
    def support(self) -> float:
        return 1 / self.alpha

    def derivative_(self, x: Tensor) -> Tensor:
        return x.abs_().mul_(-self.alpha).add_(1).clamp_(min=0).mul_(self.alpha)

    def primitive(self, x: Tensor) -> Tensor:
        y = (self.alpha * x).clamp(-1, 1)
        return 0.5 + y - y * y.abs() / 2


@dataclass(frozen=True)
class SuperSpike(_Scaled):
    """sigma'(x) = 1 / (1 + alpha |x|)^2; sigma(x) = x / (1 + alpha |x|), the fast sigmoid.

    >>> SuperSpike(alpha=10.0).at(0.1)
    0.25
    """

    name: ClassVar[str] = "superspike"
    source: ClassVar[str] = "Zenke and Ganguli 2018 (SuperSpike)"
    alpha: float = 10.0

    def derivative_(self, x: Tensor) -> Tensor:
        return x.abs_().mul_(self.alpha).add_(1).square_().reciprocal_()

    def primitive(self, x: Tensor) -> Tensor:
        return x / (1 + self.alpha * x.abs())


@dataclass(frozen=True, eq=False, repr=False)
class ByAutograd(Surrogate):
    """sigma'(x) of any spike function, d function(x) / dx, as PyTorch's autograd finds it.

    For surrogates of other libraries: a surrogate module of SpikingJelly, a `spike_grad` of
    snnTorch, a threshold of Norse. It runs in the reference backend only. Two of them are equal if
    they hold the same object, so keep one function for each layer: a rule is never forgotten.

    Args:
        label: what it is called in messages and records.
        function: elementwise, from H - V_th to spikes, with a gradient; its own parameters count
            as constants.

    >>> ByAutograd("tanh", torch.tanh).at(0.0)
    1.0
    """

    source: ClassVar[str] = "the function that was given"
    label: str
    function: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.label)  # of this one: the class has none

    def derivative_(self, x: Tensor) -> Tensor:
        return x.copy_(self.derivative(x))

    def derivative(self, x: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            given = x.detach().clone().requires_grad_()
            spikes = self.function(given)
            slope = None
            if spikes.requires_grad:
                by = torch.ones_like(spikes)
                (slope,) = torch.autograd.grad(spikes, given, by, allow_unused=True)
        if slope is None:
            raise InputError("the surrogate", got=self.label,
                             wanted="a function that autograd can differentiate")  # fmt: skip
        return slope

    def primitive(self, x: Tensor) -> Tensor:
        raise InputError("a surrogate with a primitive", got=self.label,
                         wanted="one of " + ", ".join(names()))  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByAutograd) and other.function is self.function

    def __hash__(self) -> int:
        return id(self.function)

    def __repr__(self) -> str:
        return f"ByAutograd({self.label!r}, {id(self.function):#x})"


def names() -> list[str]:
    """The names that `by_name` takes.

    >>> names()
    ['atan', 'constant', 'rectangular', 'sigmoid', 'superspike', 'triangular']
    """
    return sorted(_classes())


def by_name(name: str, alpha: float | None = None) -> Surrogate:
    """The surrogate of that name, with its own default slope where alpha is None.

    >>> by_name("atan", 3.0)
    ATan(alpha=3.0)
    """
    classes = _classes()
    if name not in classes:
        raise InputError("surrogate", got=name, wanted="one of " + ", ".join(sorted(classes)))
    if alpha is None:
        return classes[name]()
    chosen = classes[name]
    if not issubclass(chosen, _Scaled):
        raise InputError("alpha", got=alpha, wanted=f"left out: {name} has no slope")
    return chosen(alpha=alpha)


def _classes() -> dict[str, type[Surrogate]]:
    here = [c for c in globals().values() if inspect.isclass(c) and issubclass(c, Surrogate)]
    return {c.name: c for c in here if hasattr(c, "name")}
