"""Norse: cells called once per step and layers of [T, B, ...]; the state is passed in and out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snnlens.adapters._base import Adapter, Args, Layout, Named, first_tensor, loaded, number
from snnlens.neuron.equations import Rule, state_dtype
from snnlens.neuron.surrogate import ByAutograd, SuperSpike, Surrogate, Triangular

CELLS, LAYERS = ("SNNCell", "SNNRecurrentCell"), ("SNN", "SNNRecurrent")
FUNCTIONS = "norse.torch.functional."
# The step functions whose membrane the equations of snnlens give.
BOX, IAF = "lif_box_feed_forward_step", "iaf_feed_forward_step"
LIF, RECURRENT_LIF = "lif_feed_forward_step", "lif_step"
NUMBERS = ("v_th", "v_reset", "v_leak", "alpha", "tau_mem_inv")
METHODS = ("heaviside", "super", "triangle", "tanh", "circ", "heavi_erfc")
made = lru_cache(maxsize=1024)(Rule)  # asked at every call of every layer


class Norse(Adapter):
    r"""Spiking cells and layers of Norse 1.1. LI, LICell and LIBoxCell never spike: no sites.

    A cell takes one step [B, ...] and is one site, also within `Lift`; a layer takes [T, B, ...].
    LIF, LIFRecurrent, LIFBox and IAF have a rule, with r = dt / tau_mem and the current I:

        H = V + r (v_leak - V + I)        (IAF: V + X;   LIFBox: I = X)
        I[t] = (1 - dt / tau_syn) I[t-1] + X[t],   X = W_in x + W_rec S[t-1] where it is recurrent

    It is `plif` with the rate r, because r is a tensor of the layer and may be learnt. Norse spikes
    where H > v_th, at v_th itself it does not: the threshold of the rule is the next number in the
    dtype of the tensor that `layout` saw last, or float32.
    No rule, so only rates and gradients: adaptive, exponential, refractory, conductance based and
    Izhikevich neurons, the adjoint method, v_leak other than v_reset, a parameter that is a tensor
    per neuron, a threshold that is learnt or not above 0.

    Source: Pehle and Pedersen 2021 (Norse), norse/torch/functional/lif.py, iaf.py, lif_box.py.
    """

    name = "norse"
    package = "norse"

    def __init__(self) -> None:
        self._dtypes: WeakKeyDictionary[nn.Module, torch.dtype] = WeakKeyDictionary()

    def claims(self, module: nn.Module) -> bool:
        bases = loaded("norse.torch.module.snn", *CELLS, *LAYERS)
        more = loaded("norse.torch.module.coba_lif", "CobaLIFCell")
        more += loaded("norse.torch.module.lif_correlation", "LIFCorrelation")
        return isinstance(module, bases + more) and not _integrates_only(module)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        self._dtypes[module] = x.dtype
        return Layout("time first" if _over_time(module) else "one step")

    def spikes(self, module: nn.Module, output: Any) -> Tensor:
        found = first_tensor(output)
        return found.to_dense() if found.is_sparse else found

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """I of each step, without a graph; None where no rule, or where it takes later spikes."""
        if not self.replays(module):
            return None
        x, state, step = _given(args, named), _state(module, args, named), _step(module)
        if step in (BOX, IAF):
            return x
        if step == RECURRENT_LIF:
            return _charging(module, x, None if state is None else state.z, _synapse(state))
        return _filtered(module, x, state) if _over_time(module) else x + _synapse(state)

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        state, x = _state(module, args, named), _given(args, named)
        if state is None or self.rule(module) is None:
            return None
        shape = x.shape[1:] if _over_time(module) else x.shape
        if _step(module) == RECURRENT_LIF:
            shape = torch.Size((*shape[:-1], int(_any(module).hidden_size)))
        v = torch.as_tensor(state.v).detach()
        return v.to(torch.promote_types(v.dtype, x.dtype)).expand(shape)

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool:
        return _state(module, args, named) is None

    def rule(self, module: nn.Module) -> Rule | None:
        step = _step(module)
        if step not in (BOX, IAF, LIF, RECURRENT_LIF):
            return None
        p = _any(module).p
        numbers = [number(getattr(p, name, 0.0)) for name in NUMBERS]
        if None in numbers or not _constant_above_zero(p.v_th):
            return None
        threshold, reset, leak, alpha, _ = (n for n in numbers if n is not None)
        surrogate = _surrogate(p.method, alpha)
        subtracts = _name(getattr(p, "reset_method", None)) == "reset_subtract"
        if surrogate is None or (not subtracts and step != IAF and leak != reset):
            return None
        return made(
            charge="if" if step == IAF else "plif",
            threshold=_above(threshold, self._dtypes.get(module, torch.float32)),
            reset="soft" if subtracts else "hard",
            reset_potential=leak if subtracts else reset,
            surrogate=surrogate,
            detach_reset=step == RECURRENT_LIF,
        )

    def rate(self, module: nn.Module) -> Tensor | None:
        """dt / tau_mem, the scalar that Norse multiplies with."""
        if _step(module) in (BOX, LIF, RECURRENT_LIF):
            return _decay(module, "tau_mem_inv").reshape(())
        return None

    def replays(self, module: nn.Module) -> bool:
        return self.rule(module) is not None and not _needs_spikes(module)

    def membrane(
        self, module: nn.Module, args: Args, named: Named, output: Any, start: Tensor | None
    ) -> Tensor | None:
        """H of a recurrent layer over time, its own spikes put in for S[t-1]."""
        if self.rule(module) is None or not _needs_spikes(module):
            return None
        x, state = _given(args, named), _state(module, args, named)
        return _recurrent(module, x, state, start, self.spikes(module, output).detach())

    def graded(self, module: nn.Module) -> bool:
        """Only a user's own step function may give something else than zeros and ones."""
        step = getattr(module, "activation", None)
        return step is not None and not step.__module__.startswith(FUNCTIONS)


def _over_time(module: nn.Module) -> bool:
    return isinstance(module, loaded("norse.torch.module.snn", *LAYERS))


def _needs_spikes(module: nn.Module) -> bool:
    """Whether the current of a step contains spikes that only this call makes."""
    return isinstance(module, loaded("norse.torch.module.snn", "SNNRecurrent"))


def _integrates_only(module: nn.Module) -> bool:
    step = getattr(module, "activation", None)
    return getattr(step, "__module__", "").startswith(FUNCTIONS + "leaky_integrator")


def _step(module: nn.Module) -> str | None:
    """The name of the step function, if it is Norse's own."""
    step = getattr(module, "activation", None)
    ours = getattr(step, "__module__", "").startswith(FUNCTIONS)
    return _name(step) if ours else None


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", ""))


def _any(module: Any) -> Any:
    return module


def _given(args: Args, named: Named) -> Tensor:
    x: Tensor = args[0] if args else named["input_tensor"]
    return x.detach().to_dense() if x.is_sparse else x.detach()


def _state(module: nn.Module, args: Args, named: Named) -> Any:
    place = _place_of_state(_any(module).__class__)
    return args[place] if len(args) > place else named.get("state")


@cache
def _place_of_state(kind: Any) -> int:
    names = list(inspect.signature(kind.forward).parameters)
    return names.index("state") - 1  # without self


def _constant_above_zero(threshold: Any) -> bool:
    """A threshold that is learnt would be a new rule in every training step."""
    learnt = isinstance(threshold, Tensor) and threshold.requires_grad
    return not learnt and (number(threshold) or 0.0) > 0


@cache
def _above(threshold: float, dtype: torch.dtype) -> float:
    """The next number of the membrane's dtype: H >= it is H > threshold."""
    start = torch.tensor(threshold, dtype=state_dtype(dtype))
    return float(torch.nextafter(start, torch.full_like(start, torch.inf)))


def _decay(module: nn.Module, name: str) -> Tensor:
    """dt / tau, multiplied as Norse does: the dtype decides its last bit."""
    return torch.as_tensor(_any(module).dt * getattr(_any(module).p, name)).detach()


def _synapse(state: Any) -> Tensor | float:
    return 0.0 if state is None else torch.as_tensor(state.i).detach()


@torch.no_grad()
def _charging(module: nn.Module, x: Tensor, z: Tensor | None, i: Tensor | float) -> Tensor:
    """I + W_in x + W_rec S[t-1], added in Norse's order."""
    current = i + linear(x, _any(module).input_weights)
    if z is not None:
        current = current + linear(z.detach(), _any(module).recurrent_weights)
    return current


def _next_synapse(module: nn.Module, current: Tensor) -> Tensor:
    return current + -_decay(module, "tau_syn_inv") * current


def _filtered(module: nn.Module, x: Tensor, state: Any) -> Tensor:
    """I [T, B, ...] of a layer without recurrence."""
    currents, i = [], _synapse(state)
    for given in x:
        currents.append(i + given)
        i = _next_synapse(module, currents[-1])
    return torch.stack(currents)


@torch.no_grad()
def _recurrent(
    module: nn.Module, x: Tensor, state: Any, start: Tensor | None, spikes: Tensor
) -> Tensor:
    """H [T, B, hidden] from the spikes that the layer returned."""
    p, rate, membranes = _any(module).p, _decay(module, "tau_mem_inv"), []
    before, i = None if state is None else state.z, _synapse(state)
    v = torch.zeros_like(spikes[0]) + p.v_leak if start is None else start
    for given, s in zip(x, spikes, strict=True):
        current = _charging(module, given, before, i)
        h = v + rate * ((p.v_leak - v) + current)
        membranes.append(h)
        before, v, i = s, (1 - s) * h + s * p.v_reset, _next_synapse(module, current)
    return torch.stack(membranes)


@cache
def _surrogate(method: str, alpha: float) -> Surrogate | None:
    """Norse's threshold function of that name. One object for each: a rule is never forgotten.

    >>> _surrogate("super", 100.0), _surrogate("adjoint", 100.0)
    (SuperSpike(alpha=1.0), None)
    """
    if method not in METHODS:
        return None
    if method == "super":
        return SuperSpike(alpha=1.0)  # 1 / (1 + |x|)^2: Norse's alpha does not reach its gradient
    if method == "triangle" and alpha == 1:
        return Triangular(alpha=1.0)
    return ByAutograd(f"norse {method}(alpha={alpha:g})", _spike(method, alpha))


def _spike(method: str, alpha: float) -> Callable[[Tensor], Tensor]:
    threshold, slope = sys.modules[FUNCTIONS + "threshold"].threshold, torch.tensor(alpha)

    def spike(x: Tensor) -> Tensor:
        spikes: Tensor = threshold(x, method, slope)
        return spikes + 0 * x  # `heaviside` has no gradient of its own: it is 0

    return spike
