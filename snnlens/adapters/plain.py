"""Plain PyTorch: a user's own neuron classes, named by the user."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Lies, Named
from snnlens.errors import InputError
from snnlens.neuron.equations import Rule

RESETS = ("reset", "reset_state", "reset_mem")
TIMES: tuple[Lies, ...] = ("one step", "time first", "batch first")


class Plain(Adapter):
    """Modules of the classes that the user names, called once per step or with a whole sequence.

    Their spikes and their gradients are recorded. What lies inside such a class is not known and is
    not guessed from its attributes: no membrane, input current, xi, surrogate or gradient path,
    unless the class says them itself:

        snnlens_rule()    its `Rule`: charge, threshold, reset and surrogate. The first argument of
                          its forward then charges the membrane, and the rule is replayed.
        snnlens_rate()    the scalar tensor 1 / tau, where the charge of that rule is plif.
        snnlens_state()   the membrane V [B, ...] before the next call, None at rest.

    A class without a rule may give anything (`graded`): integers are counted as they are. To rest
    it is put by its `reset()`, `reset_state()` or `reset_mem()`, the first that takes no argument.

    Args:
        classes: the classes.
        time: how their tensors lie: "one step" [B, ...], "time first" [T, B, ...] or
            "batch first" [B, T, ...].

    Raises:
        InputError: a class that is no nn.Module, or another `time`.

    >>> class Spike(nn.Module):
    ...     def forward(self, x):
    ...         return (x > 0).to(x.dtype)
    >>> Plain([Spike]).claims(Spike()), Plain([Spike]).claims(nn.ReLU())
    (True, False)
    """

    name = "plain"
    package = "torch"

    def __init__(self, classes: Sequence[Any] = (), time: Lies = "one step") -> None:
        for kind in classes:
            if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
                raise InputError("a spiking class", got=kind, wanted="a subclass of nn.Module")
        if time not in TIMES:
            raise InputError("time", got=time, wanted="one step, time first or batch first")
        self.classes: tuple[type[nn.Module], ...] = tuple(classes)
        self.lies = time

    def claims(self, module: nn.Module) -> bool:
        return isinstance(module, self.classes)

    def layout(self, module: nn.Module, x: Tensor) -> Layout:
        return Layout(self.lies)

    def current(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        """The first argument, where the class says a rule."""
        return super().current(module, args, named) if self.rule(module) is not None else None

    def start(self, module: nn.Module, args: Args, named: Named) -> Tensor | None:
        state = _asked(module, "snnlens_state")
        if state is not None and not isinstance(state, Tensor):
            raise InputError(f"{type(module).__name__}.snnlens_state()", got=type(state).__name__,
                             wanted="a tensor or None")  # fmt: skip
        return None if state is None else state.detach()

    def at_rest(self, module: nn.Module, args: Args, named: Named) -> bool | None:
        """None for a class that does not say its state."""
        if not hasattr(module, "snnlens_state"):
            return None
        return self.start(module, args, named) is None

    def rule(self, module: nn.Module) -> Rule | None:
        rule = _asked(module, "snnlens_rule")
        if rule is not None and not isinstance(rule, Rule):
            raise InputError(f"{type(module).__name__}.snnlens_rule()", got=type(rule).__name__,
                             wanted="a snnlens.neuron.equations.Rule or None")  # fmt: skip
        return rule

    def rate(self, module: nn.Module) -> Tensor | None:
        rate = _asked(module, "snnlens_rate")
        return rate if isinstance(rate, Tensor) else None

    def graded(self, module: nn.Module) -> bool:
        """False only where a rule says zeros and ones."""
        return self.rule(module) is None

    def reset_layer(self, module: nn.Module) -> None:
        found = (getattr(module, name, None) for name in RESETS)
        reset = next((f for f in found if callable(f) and _takes_nothing(f)), None)
        if reset is not None:
            reset()


def _asked(module: nn.Module, name: str) -> Any:
    method = getattr(module, name, None)
    return method() if callable(method) else None


def _takes_nothing(method: Any) -> bool:
    try:
        inspect.signature(method).bind()
    except TypeError:
        return False
    return True
