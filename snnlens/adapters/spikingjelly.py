"""SpikingJelly: its neurons in multi-step and single-step mode; the PSN family shows its membrane.

IF, LIF and PLIF compute what snnlens computes, in the same order: their membrane is replayed bit
for bit in float32 and float64 on the CPU. A subclass that overrides the arithmetic is recorded as a
spiking layer without a membrane, and so are the other families (Izhikevich, KLIF, ternary, ...):
SpikingJelly shows V behind the reset (`v_seq`), never H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named, first_tensor, loaded
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import (
    ATan,
    ByAutograd,
    Constant,
    Rectangular,
    Sigmoid,
    SuperSpike,
    Surrogate,
    Triangular,
)

PACKAGE = "spikingjelly.activation_based"
SPIKING = ("BaseNode", "SimpleBaseNode", "PSN", "MaskedPSN", "SlidingPSN", "ActivationAwareIFNode",
           "GatedLIFNode", "DSRIFNode", "DSRLIFNode", "FewSpikeNode", "FlexSN", "ILCBaseNode",
           "NoisyBaseNode", "STBIFNode")  # fmt: skip
GRADED = ("ILIFNode", "TernaryIFNode", "TernaryLIFNode", "LIAFNode", "DSRIFNode", "DSRLIFNode",
          "FewSpikeNode", "FlexSN", "STBIFNode")  # fmt: skip
PARALLEL = ("PSN", "MaskedPSN", "SlidingPSN")
CHARGES: dict[str, Any] = {"IFNode": "if", "HalfThresholdIFNode": "if", "SimpleIFNode": "if",
                           "LIFNode": "lif", "SimpleLIFNode": "lif",
                           "ParametricLIFNode": "plif"}  # fmt: skip
ARITHMETIC = ("forward", "single_step_forward", "multi_step_forward", "materialize_states",
              "single_step_functional_forward", "multi_step_functional_forward",
              "neuronal_charge", "neuronal_fire", "neuronal_reset")  # fmt: skip
RANDOM = ("PoissonPass",)  # to ask it for a slope would draw random numbers

Twin = Callable[[float], Surrogate | None]
TWINS: dict[str, Twin] = {  # the same sigma' at every x
    "ATan": ATan,
    "Sigmoid": Sigmoid,
    "PiecewiseQuadratic": Triangular,
    "Rect": Rectangular,
    "SuperSpike": lambda a: SuperSpike(1.0) if a == 1 else None,  # a / (1 + |x|)^2
    "SoftSign": lambda a: SuperSpike(2.0) if a == 2 else None,  # a / 2 / (1 + a |x|)^2
}
made = lru_cache(maxsize=1024)(Rule)  # asked at every call of every layer


class SpikingJelly(Adapter):
    """Nodes of `spikingjelly.activation_based.neuron`, time first or one step at a time.

    A PSN has no threshold of its own: it fires where W x + b >= 0, with b = -1 at first. Its rule
    says threshold 1, and its membrane is W x + b + 1: 1 at the threshold, W x where b is as it was.
    """

    name = "spikingjelly"
    package = "spikingjelly"

    def claims(self, module: nn.Module) -> bool:
        return _is(module, SPIKING)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        return Layout("time first" if _multi_step(module) else "one step")

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """The input; None for the PSN family, which weighs it over time first."""
        return None if _is(module, PARALLEL) else _given(args, named)

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """V as the call will take it; None where that is the reset potential."""
        rule, x = self.rule(module), _one_step(module, args, named)
        if rule is None or x is None or _is(module, PARALLEL):
            return None
        v: Any = getattr(module, "v", None)
        if isinstance(v, Tensor):
            if _is(module, ("SimpleBaseNode",)):  # it does not look at the shape
                return v.to(x.dtype).expand_as(x)
            if v.shape == x.shape:
                return v.to(x.dtype)
            v = _reset_value(module, "v")  # another batch size: it starts anew
        return None if v == rule.reset_potential else torch.full_like(x, v, requires_grad=False)

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool:
        """Whether no state is a tensor of this batch's shape; `reset_net` makes them scalars."""
        if _is(module, PARALLEL) and _multi_step(module):
            return True  # the whole sequence at once; the queue is for single steps
        x = _one_step(module, args, named)
        strict = not _is(module, ("SimpleBaseNode",)) and x is not None
        for name, value in getattr(module, "_memories", {}).items():
            if isinstance(value, Tensor):
                if not strict or (x is not None and value.shape == x.shape):
                    return False
            elif value != _reset_value(module, name):
                return False
        return True

    def rule(self, module: nn.Module) -> Rule | None:
        family = _family(module)
        sigma = surrogate(getattr(module, "surrogate_function", None))
        if family is None or sigma is None:
            return None
        if family in PARALLEL:
            return made(threshold=1.0, surrogate=sigma)
        facts: Any = module
        charge = CHARGES[family]
        tau = facts.tau if charge == "lif" else None
        numbers = (facts.v_threshold, *([tau] if charge == "lif" else []))
        if not all(isinstance(n, int | float) and n > 0 for n in numbers):
            return None  # a threshold per channel, a tau that is learned: no number says it
        hard = facts.v_reset is not None
        return made(
            charge, facts.v_threshold, "hard" if hard else "soft", facts.v_reset if hard else 0.0,
            sigma, facts.detach_reset, tau, True if charge == "if" else facts.decay_input,
        )  # fmt: skip

    def rate(self, module: nn.Module) -> Tensor | None:
        """1 / tau = sigmoid(w) of a PLIF node."""
        if _family(module) != "ParametricLIFNode":
            return None
        w: Tensor = module.w  # type: ignore[assignment]
        return w.sigmoid()

    def replays(self, module: nn.Module) -> bool:
        if _is(module, PARALLEL) or getattr(module, "_neuron_precision", None) is not None:
            return False  # a membrane that is stored in a short dtype has other bits
        return self.rule(module) is not None

    def membrane(
        self, module: nn.Module, args: Args, named: Named, output: Any, start: Tensor | None
    ) -> Tensor | None:
        """W x + b + 1 of the PSN family, as its forward pass computes it."""
        x, family = _given(args, named), _family(module)
        if x is None or family not in PARALLEL:
            return None
        with torch.no_grad():
            h = _weighted(module, x) if _multi_step(module) else _queued(module)
            return (h + 1).view_as(first_tensor(output))

    def graded(self, module: nn.Module) -> bool:
        return _is(module, GRADED) or not _spiking(getattr(module, "surrogate_function", None))

    def reset(self, model: nn.Module) -> None:
        """`functional.reset_net`: dropout masks, synapse filters and delays are states too."""
        memories = loaded(f"{PACKAGE}.base", "MemoryModule")
        for module in model.modules():
            if isinstance(module, memories):
                self.reset_layer(module)

    def reset_layer(self, module: nn.Module) -> None:
        reset = getattr(module, "reset", None)
        if callable(reset):
            reset()


def surrogate(function: Any) -> Surrogate | None:
    """The surrogate in the words of snnlens; None where there is none, or none without chance."""
    if not callable(function) or not _spiking(function):
        return None
    name, alpha = type(function).__name__, getattr(function, "alpha", None)
    known = isinstance(alpha, int | float) and alpha > 0
    if type(function).__module__ == f"{PACKAGE}.surrogate":
        if name in RANDOM:
            return None
        if name == "DeterministicPass":
            return Constant()
        twin = TWINS[name](float(alpha)) if known and name in TWINS else None  # type: ignore[arg-type]
        if twin is not None:
            return twin
    label = getattr(function, "__qualname__", name) + (f"(alpha={alpha:g})" if known else "")
    return ByAutograd(label, function)


def _spiking(function: Any) -> bool:
    """Whether a surrogate function gives spikes; `set_spiking_mode(False)` makes it smooth."""
    return bool(getattr(function, "spiking", True))


def _is(module: Any, names: tuple[str, ...]) -> bool:
    return _is_kind(module.__class__, names)


@cache  # a class that derives from theirs was made after theirs was loaded: the answer stands
def _is_kind(kind: Any, names: tuple[str, ...]) -> bool:
    return issubclass(kind, loaded(f"{PACKAGE}.neuron", *names))


def _multi_step(module: Any) -> bool:
    modes = module.supported_step_mode()
    return bool((modes[0] if len(modes) == 1 else module.step_mode) == "m")


def _family(module: Any) -> str | None:
    return _family_of(module.__class__)


@cache
def _family_of(kind: Any) -> str | None:
    """The node whose arithmetic a class has, itself or inherited untouched."""
    for name in (*CHARGES, *PARALLEL):
        for node in loaded(f"{PACKAGE}.neuron", name):
            if issubclass(kind, node) and not any(_overrides(kind, node, a) for a in ARITHMETIC):
                return name
    return None


def _overrides(kind: type, node: type, method: str) -> bool:
    return getattr(kind, method, None) is not getattr(node, method, None)


def _reset_value(module: nn.Module, name: str) -> Any:
    return getattr(module, "_memories_rv", {}).get(name)


def _given(args: Args, named: Named) -> Tensor | None:
    """The layer's input, however it was passed."""
    return next(_tensors(args, named), None)


def _tensors(args: Args, named: Named) -> Iterator[Tensor]:
    return (x for x in (*args, *named.values()) if isinstance(x, Tensor))


def _one_step(module: nn.Module, args: Args, named: Named) -> Tensor | None:
    """One time step of the input: the shape of the state."""
    x = _given(args, named)
    return x[0].detach() if x is not None and _multi_step(module) else x


def _weighted(module: Any, x: Tensor) -> Tensor:
    """W x + b of a whole sequence."""
    weight = module.weight
    if _is(module, ("MaskedPSN",)):
        share = module.lambda_.clamp(max=1)
        weight = module.gen_masked_weight(share, module.mask0, module.mask1, weight)
    elif _is(module, ("SlidingPSN",)):
        weight = module.gen_gemm_weight(len(x))
    return torch.addmm(module.bias, weight, x.flatten(1))


def _queued(module: Any) -> Tensor:
    """W x + b of the step that has just been run, from the queue that it left."""
    steps = torch.stack(tuple(module.queue))
    if _is(module, ("SlidingPSN",)):
        weight, bias = module.weight[module.k - len(steps) : module.k], module.bias
    else:
        t = module.time_step - 1
        weight = module.masked_weight()[t, t + 1 - len(steps) : t + 1]
        bias = module.bias[t]
    h: Tensor = torch.sum(weight.unsqueeze(-1) * steps, 0) + bias
    return h
