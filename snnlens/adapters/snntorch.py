"""snnTorch: layers called once per step; the reset comes one step late, so H is what they return.

    Leaky      H[t] = beta H[t-1] + X[t] - V_th R[t]             (subtract)
               H[t] = beta (1 - R[t]) H[t-1] + X[t]              (zero)
               R[t] = Theta(H[t-1] - V_th),   Theta(0) = 0

The equations of snnlens reset before the leak and fire at the threshold, so nothing is replayed:
the membrane is read. A rule describes threshold, leak, gain and surrogate; "none", no reset at all,
is called soft there, because a rule knows no third word.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named, first_tensor, loaded, number
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import ATan, ByAutograd, Constant, SuperSpike, Surrogate

PACKAGE = "snntorch._neurons"
SEQUENCE = ("StateLeaky", "AssociativeLeaky", "LeakyParallel", "LeakyKernel")
DESCRIBED = ("Leaky", "RLeaky", "Synaptic", "RSynaptic", "Lapicque", "LinearLeaky", "StateLeaky")
FILES = {"SpikingNeuron": "neurons", "AssociativeLeaky": "associative"}  # else: the name's own
ARITHMETIC = ("forward", "fire", "_base_state_function", "_base_sub", "_base_zero", "_base_int")
RANDOM = ("SSO", "LSO")  # to ask them for a slope would draw random numbers
GRID = (-1.5, -0.3, -0.01, 0.0, 0.02, 0.4, 1.2)

Twin = Callable[[float], Surrogate]
TWINS: dict[str, Twin] = {"atan": ATan, "fast_sigmoid": SuperSpike}
made = lru_cache(maxsize=1024)(Rule)  # asked at every call of every layer


class SnnTorch(Adapter):
    """Spiking neurons of snnTorch: [B, ...] at each step, or [T, B, ...] where they are parallel.

    The output is spk, (spk, mem), (spk, syn, mem), ...; with `init_hidden` the state lies in the
    module. With reset_delay=False the membrane is computed again from what the call began with.
    """

    name = "snntorch"
    package = "snntorch"
    exact = False

    def claims(self, module: nn.Module) -> bool:
        """A StateLeaky without output gives its membrane, and a projected state is no spike."""
        if _is(module, "StateLeaky"):
            return bool(module.output)
        if _is(module, "AssociativeLeaky"):
            return not module.use_q_projection
        return _is(module, "SpikingNeuron", "LeakyParallel", "LeakyKernel")

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        return Layout("time first" if _is(module, *SEQUENCE) else "one step")

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """The input; the synaptic current, as the call left it; None where it is not to be had."""
        if _is(module, "Synaptic", "RSynaptic"):
            return _any(module).syn  # type: ignore[no-any-return]
        if _is(module, "LinearLeaky") or not _is(module, "Leaky", "Lapicque", "StateLeaky"):
            return None
        x = _given(args, named)
        return x * _any(module).R if x is not None and _is(module, "Lapicque") else x

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """The membrane before the call, its reset yet to come; None where it is zero."""
        mem, x = _states(module, args, named).get("mem"), _given(args, named)
        return mem if mem is not None and x is not None and _fits(module, mem, x) else None

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool:
        """Whether every state is empty, of another shape or zero; asks the device."""
        x = _given(args, named)
        states = _states(module, args, named).values()
        taken = [s for s in states if x is None or _fits(module, s, x)]
        return not any(bool(s.detach().any()) for s in taken)

    def rule(self, module: nn.Module) -> Rule | None:
        family, layer = _family(module), _any(module)
        if family is None:
            return None
        threshold, leak = number(layer.threshold), _leak(family, layer)
        sigma = surrogate(layer.spike_grad) if not layer.surrogate_disable else NONE
        if threshold is None or leak is None or sigma is None or threshold <= 0:
            return None
        reset = "hard" if layer.reset_mechanism == "zero" else "soft"
        detached = bool(getattr(module, "reset_delay", True))
        if leak >= 1:
            return made("if", threshold, reset, 0.0, sigma, detached)
        decays = family == "Lapicque"
        return made("lif", threshold, reset, 0.0, sigma, detached, 1 / (1 - leak), decays)

    def membrane(
        self, module: nn.Module, args: Args, named: Named, output: Any, start: Tensor | None
    ) -> Tensor | None:
        """H, detached; None for an RLeaky with reset_delay=False and "zero", which loses it."""
        family, layer = _family(module), _any(module)
        if family is None:
            return None
        mem: Tensor = (output[-1] if isinstance(output, tuple) else layer.mem).detach()
        late = getattr(module, "reset_delay", True) or family == "RSynaptic"  # which never uses it
        if late or layer.reset_mechanism == "none":
            return mem
        with torch.no_grad():
            if family == "RLeaky":
                return _undone(layer, mem, first_tensor(output))
            x = layer.syn if family == "Synaptic" else _given(args, named)
            return None if x is None else _charged(family, layer, x, start)

    def graded(self, module: nn.Module) -> bool:
        factor = getattr(module, "graded_spikes_factor", None)
        if factor is None:
            return False
        return isinstance(factor, nn.Parameter) or number(factor) != 1

    def reset_layer(self, module: nn.Module) -> None:
        """Its `reset_mem`: zeros for every state, without graph."""
        reset = getattr(module, "reset_mem", None)
        if callable(reset):
            reset()


@lru_cache(maxsize=1024)
def surrogate(function: Callable[[Tensor], Tensor]) -> Surrogate | None:
    """The surrogate in the words of snnlens; None where it is a random one.

    `sigmoid` is left to autograd: sigma' is NaN there where exp(-slope x) overflows, below the
    threshold by 3.5 at slope 25 in float32, and a lens should see that.
    """
    label = getattr(function, "__qualname__", type(function).__name__)
    name = label.partition(".")[0]
    own = getattr(function, "__module__", "") == "snntorch.surrogate"
    if own and name in RANDOM:
        return None
    twin: Surrogate | None = None
    if own and name == "straight_through_estimator":
        twin = Constant()
    elif own and name in TWINS:
        slope = next(iter(inspect.getclosurevars(function).nonlocals.values()), 0)
        twin = TWINS[name](float(slope)) if slope > 0 else None
    theirs = ByAutograd(name if own else label, function)
    return twin if twin is not None and _same(twin, theirs) else theirs


def _same(twin: Surrogate, theirs: Surrogate) -> bool:
    """Whether this release of snnTorch means what its name says."""
    x = torch.tensor(GRID, dtype=torch.float64)
    return torch.allclose(twin.derivative(x), theirs.derivative(x).double(), rtol=1e-9, atol=0)


def _flat(x: Tensor) -> Tensor:
    return 0 * x


NONE = ByAutograd("disabled", _flat)  # surrogate_disable: no gradient passes a spike


def _any(module: Any) -> Any:
    return module


def _is(module: Any, *names: str) -> bool:
    return _is_kind(module.__class__, names)


@cache  # a class that derives from theirs was made after theirs was loaded: the answer stands
def _is_kind(kind: Any, names: tuple[str, ...]) -> bool:
    return issubclass(kind, _classes(names))


def _classes(names: tuple[str, ...]) -> tuple[type, ...]:
    return tuple(c for n in names for c in loaded(f"{PACKAGE}.{FILES.get(n, n.lower())}", n))


def _family(module: Any) -> str | None:
    return _family_of(module.__class__)


@cache
def _family_of(kind: Any) -> str | None:
    """The layer whose arithmetic a class has, itself or inherited untouched."""
    for name in DESCRIBED:
        for layer in _classes((name,)):
            if issubclass(kind, layer) and not any(_overrides(kind, layer, a) for a in ARITHMETIC):
                return name
    return None


def _overrides(kind: type, layer: type, method: str) -> bool:
    return getattr(kind, method, None) is not getattr(layer, method, None)


@cache
def _state_names(kind: Any) -> tuple[str, ...]:
    """What its forward takes behind the input: syn, mem, ..."""
    return tuple(inspect.signature(kind.forward).parameters)[2:]


def _states(module: nn.Module, args: Args, named: Named) -> dict[str, Tensor]:
    """The states that a call begins with: what it is given, else what the module keeps."""
    names = _state_names(_any(module).__class__)
    given = {n: s for n, s in (dict(zip(names, args[1:], strict=False)) | dict(named)).items()
             if isinstance(s, Tensor)}  # fmt: skip
    kept = {n: getattr(module, n, None) for n in names}
    states = {n: given.get(n, kept[n]) for n in names}
    return {n: s for n, s in states.items() if isinstance(s, Tensor)}


def _fits(module: nn.Module, state: Tensor, x: Tensor) -> bool:
    """Whether a layer takes a state as it is; else it takes zeros."""
    if _is(module, "SConv2dLSTM"):
        return state.dim() == x.dim() and len(state) == len(x)
    return state.shape == x.shape


def _given(args: Args, named: Named) -> Tensor | None:
    x = args[0] if args else named.get("input_")
    return x if isinstance(x, Tensor) else None


def _leak(family: str, layer: Any) -> float | None:
    """dH/dV of one step, where it is one number."""
    if family == "Lapicque":
        parts = [number(p) for p in (layer.time_step, layer.R, layer.C)]
        step, resistance, capacity = parts
        if step is None or resistance is None or capacity is None:
            return None
        return 1 - step / (resistance * capacity)
    if family in ("StateLeaky", "LinearLeaky"):
        tau = number(layer.tau) if layer.kernel_truncation_steps is None else None
        return None if tau is None else math.exp(-1 / tau)
    beta = number(layer.beta)
    return None if beta is None else min(max(beta, 0.0), 1.0)


def _charged(family: str, layer: Any, x: Tensor, start: Tensor | None) -> Tensor:
    """H from the membrane before the call, in the layer's own operations.

    `layer.reset` is R[t], `x` what charges the membrane: both as the call left them.
    """
    v = torch.zeros_like(x) if start is None else start.detach()
    beta, reset = layer.beta.clamp(0, 1), layer.reset
    if layer.reset_mechanism == "subtract":
        h = beta * v + x - reset * layer.threshold
    elif family == "Leaky":
        h = beta * ((1 - reset) * v) + x
    else:
        h = beta * v + x
        h = h - h * reset
    charged: Tensor = layer.state_quant(h) if layer.state_quant else h
    return charged


def _undone(layer: Any, mem: Tensor, spikes: Tensor) -> Tensor | None:
    """H from the membrane behind the reset, where the reset can be undone, up to one rounding."""
    if layer.reset_mechanism == "zero":
        return None
    undone: Tensor = (spikes / layer.graded_spikes_factor - layer.reset) * layer.threshold
    return mem + undone
