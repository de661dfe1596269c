r"""The nodes of NIR as layers, and layers as nodes of NIR.

NIR's neurons are differential equations; here they are taken one time step dt at a time (forward
Euler), and a time constant of the file becomes tau = tau_file / dt steps, to 15 digits:

    IF       H = V + R X                         (V counts charge per step: dt does not occur)
    LIF      H = V + (v_leak - V + R X) / tau
    CubaLIF  I = I - I / tau_syn + w_in / tau_syn S,   then LIF with X = I (of the same step)
    LI       v = v + (v_leak - v + R X) / tau,   I: v = v + R X;   both from v_leak or 0, no spike

A neuron spikes at H >= v_threshold (NIR says >, norse >=, snnTorch >), then V = v_reset. Before
the first step V = v_reset. norse and snnTorch take the same step, with dt = 1e-3 and 1e-4; sinabs
takes tau for steps and exp(-1 / tau) for 1 - 1 / tau.

A layer of snnlens has one tau, threshold and reset potential; the last is its resting potential
too. R and v_leak become a gain and an offset of the current (`Current`). Where v_threshold or
v_reset differ between the neurons of a node, or v_threshold is not above 0, the potentials are
counted from v_reset in units of v_threshold - v_reset: the current is divided by it, the threshold
is 1 and the reset 0. A tau that differs is refused.

Source: Pedersen et al. 2024, Neuromorphic intermediate representation, Nature Communications 15.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.graph import Current
from snnlens.neuron.layers import IF, LIF

Array = NDArray[Any]
Reset = Literal["hard", "soft"]
DT = 1e-4  # seconds; the time step of snnTorch's NIR files and of the NIR paper
SAME = 1e-6  # of r dt / tau: a file in float32 has it to 1e-7


class Reader:
    """Makes the layers of a node; `dt` and `reset` are those of `read_nir`.

    >>> import nir
    >>> node = nir.IF(r=np.ones(3), v_threshold=np.full(3, 0.5))
    >>> Reader(dt=1e-4, reset=None).layers("1", node)
    [IF(threshold=0.5, reset=hard, surrogate=atan(alpha=2))]
    """

    def __init__(self, dt: float | None, reset: Reset | None) -> None:
        self.dt = DT if dt is None else dt
        self.reset, self.assumed = reset, dt is None

    def layers(self, name: str, node: Any) -> list[nn.Module]:
        """The layers of a node in the order they are applied; none for Input and Output.

        Raises InputError, with the node's name, for a type that has no layer here and for
        parameters that a layer can not have.
        """
        kind = type(node).__name__
        check_kind(name, kind)
        if kind in ("I", "LI"):
            return self._integrator(name, node)
        if kind in ("IF", "LIF", "CubaLIF"):
            return self._neuron(name, node)
        return STATELESS[kind](name, node)

    def _integrator(self, name: str, node: Any) -> list[nn.Module]:
        if type(node).__name__ == "I":
            return [Current(_number(node.r), tau_steps=math.inf)]
        tau = self._steps(name, "tau", node.tau)
        return [Current(_number(node.r / tau), _number(node.v_leak), tau_steps=tau)]

    def _neuron(self, name: str, node: Any) -> list[nn.Module]:
        tau, reset = self._membrane(name, node), self._reset(node)
        threshold, rest, pull = self._potentials(name, node, reset)
        whole = tau is not None and not pull.any() and _all_near(node.r / tau, 1)
        if not (_uniform(threshold) and _uniform(rest) and threshold.flat[0] > 0):
            unit, whole = threshold - rest, False
            gain, pull = node.r / unit, pull / unit
            threshold, rest = np.ones(1), np.zeros(1)
        else:
            gain = np.ones_like(threshold) if whole else node.r
        current = self._current(name, node, gain, pull)
        begins = _begins(node)
        common: dict[str, Any] = {
            "threshold": _first(threshold), "reset": reset, "reset_potential": _first(rest),
        }  # fmt: skip
        if tau is None:
            neuron: nn.Module = IF(**common, initial_potential=begins)
        else:
            neuron = LIF(tau, decay_input=not whole, **common)
        return [neuron] if current.is_trivial() else [current, neuron]

    def _potentials(self, name: str, node: Any, reset: Reset) -> tuple[Array, Array, Array]:
        """Threshold, resting potential and what pulls the membrane from there to the leak."""
        threshold, back = (np.asarray(v, np.float64) for v in (node.v_threshold, node.v_reset))
        leak = np.asarray(getattr(node, "v_leak", 0 * back), np.float64)
        rest = leak if reset == "soft" else back
        if (threshold <= rest).any():
            worst = float((threshold - rest).min())
            what = f"v_threshold minus the potential after a spike of {_named(name)}"
            raise InputError(what, got=worst, wanted="above 0")
        uniform = _uniform(threshold) and _uniform(leak) and threshold.flat[0] > 0
        if reset == "soft" and leak.any() and not uniform:
            wanted = "0, as its v_threshold or v_leak differs between neurons or is not above 0"
            raise InputError(f"v_leak of {_named(name)}", got=_first(leak), wanted=wanted,
                             do="read it with reset='hard'")  # fmt: skip
        return threshold, rest, leak - rest if hasattr(node, "v_leak") else 0 * rest

    def _current(self, name: str, node: Any, gain: Array, offset: Array) -> Current:
        if type(node).__name__ != "CubaLIF":
            return Current(_number(gain), _number(offset))
        tau = self._steps(name, "tau_syn", node.tau_syn)
        return Current(_number(gain * node.w_in / tau), _number(offset), tau_steps=tau)

    def _membrane(self, name: str, node: Any) -> float | None:
        kind = type(node).__name__
        if kind == "IF":
            return None
        field = "tau_mem" if kind == "CubaLIF" else "tau"
        return self._steps(name, field, getattr(node, field))

    def _reset(self, node: Any) -> Reset:
        if self.reset is not None:
            return self.reset
        return "soft" if (node.metadata or {}).get("reset") in ("soft", b"soft") else "hard"

    def _steps(self, name: str, field: str, value: Array) -> float:
        """A time constant in time steps."""
        if not _uniform(value):
            wanted = "the same for all neurons of the node"
            got = f"{np.min(value):g} to {np.max(value):g}"
            raise InputError(f"{field} of {_named(name)}", got=got, wanted=wanted)
        if self.assumed and _first(value) >= 1:
            wanted = "below 1 second, or the file's unit of time given"
            raise InputError(f"{field} of {_named(name)}", got=_first(value), wanted=wanted,
                             do="pass dt, the duration of a time step in that unit")  # fmt: skip
        steps = _digits(_first(value) / self.dt)
        if not 1 <= steps < math.inf:
            wanted = f"at least one time step of {self.dt:g}"
            raise InputError(f"{field} of {_named(name)}", got=_first(value), wanted=wanted,
                             do="give a smaller dt")  # fmt: skip
        return steps


def _begins(node: Any) -> float | None:
    """V before the first step, where `write_nir` noted one."""
    noted = (node.metadata or {}).get("v0")
    return None if noted is None else float(noted)


def check_kind(name: str, kind: str) -> None:
    """Raise InputError for a type of node that has no layer here.

    >>> check_kind("7", "Delay")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: node 7 must be one of Affine, AvgPool2d, ...; got 'Delay'
    """
    known = sorted({*STATELESS, "I", "LI", "IF", "LIF", "CubaLIF"})
    if kind not in known:
        raise InputError(_named(name), got=kind, wanted="one of " + ", ".join(known))


def _nothing(_name: str, _node: Any) -> list[nn.Module]:
    return []


def _scale(_name: str, node: Any) -> list[nn.Module]:
    return [Current(_number(node.scale))]


def _flatten(_name: str, node: Any) -> list[nn.Module]:
    """NIR counts axes without the batch."""
    start, end = (int(dim) + (dim >= 0) for dim in (node.start_dim, node.end_dim))
    return [nn.Flatten(start, end)]


def _linear(name: str, node: Any) -> list[nn.Module]:
    if node.weight.ndim != 2 or not node.weight.size:
        got = list(node.weight.shape)
        raise InputError(f"weight of {_named(name)}", got=got, wanted="a matrix")
    out, given = node.weight.shape
    bias = getattr(node, "bias", None)
    return [_with_weights(nn.Linear(given, out, bias=bias is not None), node.weight, bias)]


def _convolution(_name: str, node: Any) -> list[nn.Module]:
    kind = nn.Conv1d if type(node).__name__ == "Conv1d" else nn.Conv2d
    if not node.weight.size:  # a layer of no inputs may have a bias of gigabytes
        raise ValueError(f"a weight of shape {list(node.weight.shape)}")
    groups, (out, given, *kernel) = int(node.groups), node.weight.shape
    padding = node.padding if isinstance(node.padding, str) else _integers(node.padding)
    layer = kind(
        given * groups, out, tuple(kernel), _integers(node.stride), padding,
        _integers(node.dilation), groups,
    )  # fmt: skip
    return [_with_weights(layer, node.weight, node.bias)]


def _pool(_name: str, node: Any) -> list[nn.Module]:
    """A sum is a mean that divides by 1."""
    divisor = 1 if type(node).__name__ == "SumPool2d" else None
    kernel, stride, padding = map(_integers, (node.kernel_size, node.stride, node.padding))
    return [nn.AvgPool2d(kernel, stride, padding, divisor_override=divisor)]


STATELESS: dict[str, Callable[[str, Any], list[nn.Module]]] = {
    "Input": _nothing, "Output": _nothing, "Scale": _scale, "Flatten": _flatten,
    "Affine": _linear, "Linear": _linear, "Conv1d": _convolution, "Conv2d": _convolution,
    "AvgPool2d": _pool, "SumPool2d": _pool,
}  # fmt: skip


def _with_weights(layer: nn.Module, weight: Array, bias: Array | None) -> nn.Module:
    with torch.no_grad():
        layer.get_parameter("weight").copy_(_tensor(weight))
        if bias is not None:
            layer.get_parameter("bias").copy_(_tensor(bias))
    return layer


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _number(array: Array) -> float | Tensor:
    """One number where all are the same, to 15 digits; else float32, one per neuron."""
    return _digits(_first(array)) if _uniform(array) else _tensor(array)


def _digits(value: float) -> float:
    """Rounded to 15 digits: what a product and a quotient by dt leave of a number is the number."""
    return float(f"{value:.15g}")


def _integers(value: Any) -> Any:
    """An int, or a tuple of them."""
    array = np.asarray(value)
    return int(array) if array.ndim == 0 else tuple(int(i) for i in array)


def _first(array: Any) -> float:
    return float(np.asarray(array).flat[0])


def _uniform(array: Any) -> bool:
    values = np.asarray(array)
    return bool((values == values.flat[0]).all())


def _all_near(array: Any, value: float) -> bool:
    return bool((np.abs(np.asarray(array) - value) <= SAME).all())


def _named(name: str) -> str:
    return f"node {name}"
