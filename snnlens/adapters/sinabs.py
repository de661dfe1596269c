"""sinabs: [B, T, ...] or the two folded into one axis; the layer keeps its membrane v_mem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named, loaded, number
from snnlens.errors import InputError
from snnlens.neuron.equations import Rule
from snnlens.neuron.surrogate import Surrogate, names

STATES = ("v_mem", "i_syn", "b")
States = dict[str, Tensor]
made = lru_cache(maxsize=1024)(Rule)  # asked at every call of every layer


class Sinabs(Adapter):
    r"""Spiking layers of sinabs 3.1: IAF, LIF, ALIF, with recurrence and squeezed. ExpLeak is none.

    With a = exp(-1 / tau_mem), b = exp(-1 / tau_syn) and the threshold theta,

        H = a V + (1 - a) I   (norm_input)    or    H = a V + I,      I = X  or  b (I + X)
        S = Theta(H - theta)  (SingleSpike)   or    trunc(H / theta)  (MultiSpike, graded)
        V = H - theta S       (MembraneSubtract)    or    H (1 - S)   (MembraneReset)

    The rule is `plif` with the rate 1 - a, because tau_mem is learnt; `if` for IAF. The graph of
    sinabs goes through a subtracted spike (detach_reset False), not through MembraneReset.
    The rule replays SingleSpike only. MultiSpike, another subtract_value and min_v_mem have their
    H from a loop with the layer's own spikes. Recurrent layers show no H: what `record_states`
    keeps of them is, but for the last step, H of the step behind.
    No rule, so only rates and gradients: ALIF, a reset_value other than 0, a parameter that is a
    tensor per neuron, a user's own spike_fn or reset_fn, a threshold not above 0.

    Source: sinabs/layers/functional/lif.py, sinabs/activation.
    """

    name = "sinabs"
    package = "sinabs"

    def __init__(self) -> None:
        # What the synapse of a layer began its last call with: gone when `current` is asked.
        self._synapses: WeakKeyDictionary[nn.Module, Tensor | None] = WeakKeyDictionary()

    def claims(self, module: nn.Module) -> bool:
        if not isinstance(module, loaded("sinabs.layers", "StatefulLayer")):
            return False
        return bool(_any(module).does_spike)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        if not isinstance(module, loaded("sinabs.layers", "SqueezeMixin")):
            return Layout("batch first")
        steps = int(_any(module).num_timesteps)  # -1 where only the batch is fixed
        return Layout("folded", steps if steps > 0 else len(x) // int(_any(module).batch_size))

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """I of each step, without a graph; of a layer with a synapse after `start` was asked."""
        if self.rule(module) is None or _recurrent(module):
            return None
        x = _given(args, named)
        if _decay(module, "syn") is None:
            return x
        layout = self.layout(module, x)
        if module not in self._synapses:
            return None
        return _laid(_filtered(module, layout.time_first(x), self._synapses[module]), layout)

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        x = _given(args, named)
        states = _states(module, self.layout(module, x).time_first(x))
        self._synapses[module] = states.get("i_syn")
        return states.get("v_mem")

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool:
        """True where no state is kept, or all of it is zero."""
        x = _given(args, named)
        states = _states(module, self.layout(module, x).time_first(x))
        return not any(bool(states[name].any()) for name in STATES if name in states)

    def rule(self, module: nn.Module) -> Rule | None:
        threshold = number(getattr(module, "spike_threshold", None))
        ours = isinstance(module, loaded("sinabs.layers", "LIF")) and _known_functions(module)
        if not ours or threshold is None or threshold <= 0 or _per_neuron(module):
            return None
        subtracts = _kind(_any(module).reset_fn) == "MembraneSubtract"
        return made(
            charge="if" if _is_iaf(module) else "plif",
            threshold=threshold,
            reset="soft" if subtracts else "hard",
            surrogate=OfMembrane(_any(module).surrogate_grad_fn, threshold),
            detach_reset=not subtracts,
            decay_input=bool(_any(module).norm_input),
        )

    def rate(self, module: nn.Module) -> Tensor | None:
        """1 - exp(-1 / tau_mem)."""
        decay = None if _is_iaf(module) else _decay(module, "mem")
        return None if decay is None else (1 - decay).reshape(())

    def replays(self, module: nn.Module) -> bool:
        rule = self.rule(module)
        if rule is None or _recurrent(module) or self.graded(module):
            return False
        takes = getattr(_any(module).reset_fn, "subtract_value", None)
        return _any(module).min_v_mem is None and takes in (None, rule.threshold)

    def membrane(
        self, module: nn.Module, args: Args, named: Named, output: Any, start: Tensor | None
    ) -> Tensor | None:
        if self.rule(module) is None or _recurrent(module):
            return None
        current, spikes = self.current(module, args, named), self.spikes(module, output).detach()
        if current is None:
            return None
        layout = self.layout(module, spikes)
        seen = layout.time_first(current), layout.time_first(spikes)
        return _laid(_membranes(module, *seen, start), layout)

    def graded(self, module: nn.Module) -> bool:
        """True but for SingleSpike."""
        return _kind(_any(module).spike_fn) != "SingleSpike"

    def reset(self, model: nn.Module) -> None:
        """Put every layer with a state to rest, the leaky integrators too."""
        for module in model.modules():
            if isinstance(module, loaded("sinabs.layers", "StatefulLayer")):
                self.reset_layer(module)

    def reset_layer(self, module: nn.Module) -> None:
        _any(module).reset_states()


@dataclass(frozen=True)
class OfMembrane(Surrogate):
    """A surrogate of sinabs, f of the membrane and the threshold: sigma'(x) = f(x + theta, theta).

    >>> OfMembrane(lambda v, threshold: v / threshold, threshold=2.0).at(1.0)
    1.5
    """

    name: ClassVar[str] = "sinabs"
    source: ClassVar[str] = "sinabs/activation/surrogate_gradient_fn.py"
    function: Callable[[Tensor, Tensor], Tensor] = field(hash=False)  # theirs have no hash
    threshold: float = 1.0

    def derivative_(self, x: Tensor) -> Tensor:
        threshold = torch.tensor(self.threshold, dtype=x.dtype)
        return x.copy_(self.function(x + threshold, threshold))

    def primitive(self, x: Tensor) -> Tensor:
        raise InputError("a surrogate with a primitive", got=str(self),
                         wanted="one of " + ", ".join(names()))  # fmt: skip

    def __str__(self) -> str:
        return f"sinabs {self.function}"


def _any(module: Any) -> Any:
    return module


def _given(args: Args, named: Named) -> Tensor:
    x: Tensor = args[0] if args else named["input_data"]
    return x.detach()


def _kind(function: Any) -> str:
    """The name of a spike or reset function of sinabs; both a class and its objects are taken."""
    kind = function if isinstance(function, type) else type(function)
    return kind.__name__ if kind.__module__.startswith("sinabs.activation") else ""


def _known_functions(module: nn.Module) -> bool:
    resets = _any(module).reset_fn
    spikes = _kind(_any(module).spike_fn) in ("SingleSpike", "MultiSpike", "MaxSpike")
    to_zero = _kind(resets) == "MembraneReset" and resets.reset_value == 0
    subtracts = _kind(resets) == "MembraneSubtract"
    return spikes and (to_zero or subtracts)


def _per_neuron(module: nn.Module) -> bool:
    decays = _decay(module, "mem"), _decay(module, "syn")
    return any(d is not None and d.numel() != 1 for d in decays)


def _is_iaf(module: nn.Module) -> bool:
    return isinstance(module, loaded("sinabs.layers", "IAF", "IAFRecurrent"))


def _recurrent(module: nn.Module) -> bool:
    return hasattr(module, "rec_connect")


def _decay(module: nn.Module, name: str) -> Tensor | None:
    """exp(-1 / tau) of the membrane or the synapse; None without a synapse."""
    alpha = getattr(module, f"alpha_{name}_calculated", None)
    return alpha.detach() if isinstance(alpha, Tensor) else None


def _laid(x: Tensor, layout: Layout) -> Tensor:
    """From [T, B, ...] to how the layer lays its tensors."""
    x = x.transpose(0, 1)
    return x.flatten(0, 1) if layout.lies == "folded" else x


def _states(module: nn.Module, x: Tensor) -> States:
    """The buffers that a call with x [T, B, ...] begins with; none where it begins afresh.

    Where only the batch has another size, sinabs goes on from samples drawn at random out of the
    kept ones: the same are drawn here, and the generator is left as it was.
    """
    kept = {name: b.detach() for name, b in module.named_buffers() if b.shape != (0,)}
    if not _any(module).is_state_initialised():
        return {}
    if all(b.shape == x.shape[1:] for b in kept.values()):
        return kept
    draws = isinstance(module, loaded("sinabs.layers", "LIF")) and not _recurrent(module)
    if not draws or any(b.shape[1:] != x.shape[2:] for b in kept.values()):
        return {}
    with torch.random.fork_rng(devices=[]):
        return {name: b[torch.randint(len(b), (x.shape[1],)).to(b.device)]
                for name, b in kept.items()}  # fmt: skip


def _filtered(module: nn.Module, x: Tensor, first: Tensor | None) -> Tensor:
    """I [T, B, ...] of a layer with a synapse."""
    decay, i, currents = _decay(module, "syn"), first, []
    assert decay is not None
    for given in x:
        i = decay * (given if i is None else i + given)
        currents.append(i)
    return torch.stack(currents)


@torch.no_grad()
def _membranes(module: nn.Module, current: Tensor, spikes: Tensor, start: Tensor | None) -> Tensor:
    """H [T, B, ...] from the current and the spikes that the layer returned."""
    decay, threshold = _any(module).alpha_mem_calculated, _any(module).spike_threshold
    gain = 1 - decay if _any(module).norm_input else 1
    v = torch.zeros_like(current[0]) if start is None else start
    least, membranes = _any(module).min_v_mem, []
    for i, s in zip(current, spikes, strict=True):
        membranes.append(decay * v + gain * i)
        v = _any(module).reset_fn(s, {"v_mem": membranes[-1]}, threshold)["v_mem"]
        v = v if least is None else torch.relu(v - least) + least
    return torch.stack(membranes)
