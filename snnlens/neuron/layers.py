"""IF, LIF and PLIF layers: multi-step input [T, ...] in, spikes [T, ...] out."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron import equations, kernels
from snnlens.neuron.equations import Rule, Step
from snnlens.neuron.statistics import BIT, Bins, Statistics
from snnlens.neuron.surrogate import ATan, Surrogate

MAX_THRESHOLD = 1e6
N = TypeVar("N", bound="Neuron")
EXHAUSTIVE_STEPS = 8  # all 2^8 spike trains are tried; beyond that, the first eight steps of each


class Neuron(nn.Module, ABC):
    """A layer that runs one neuron rule over time; every call starts from rest.

    Args:
        threshold: V_th, in (0, 1e6]; the unit of all potentials.
        reset: "hard" sets V to `reset_potential`, "soft" subtracts the threshold.
        reset_potential: V_reset, below the threshold; also the resting potential.
        surrogate: sigma' of the backward pass.
        detach_reset: whether the backward pass takes the spike in the reset for a constant.
        keep_state: go on from the last call's membrane (detached) instead of from rest.

    Source: Fang et al. 2021 (SEW ResNet), Eqs. 1 to 5.
    """

    rule: Rule

    def __init__(self, rule: Rule, *, keep_state: bool = False) -> None:
        super().__init__()
        _check(rule)
        self.rule = rule
        self.keep_state = keep_state
        self.membrane: Tensor | None = None
        self._listeners: list[Callable[[Step], None]] = []
        self._counting: list[tuple[frozenset[str], Bins | None, Callable[[Statistics], None]]] = []

    @property
    @abstractmethod
    def rate(self) -> Tensor | None:
        """The learnable 1 / tau, or None."""

    @abstractmethod
    def twin(self) -> Neuron:
        """A fresh neuron of the same rule at rest: no hooks, no listeners, no graph."""

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, ...] (zeros and ones in the dtype of x) from input currents x [T, ...]."""
        _check_input(x)
        v = self._first_membrane(x)
        watched = (self._counting or self._listeners) and not kernels.is_traced()
        wanted, bins = self._wanted() if watched and self._counting else (frozenset(), None)
        spikes, last, seen = kernels.multi_step(
            x, v, self.rule, self.rate, last=self.keep_state, wanted=wanted, bins=bins
        )
        if self.keep_state:
            self.membrane = last
        if seen is not None:
            for _, _, listener in tuple(self._counting):
                listener(seen)
        if self._listeners and watched:
            self._show(x.detach(), v)
        return spikes

    def reset_state(self) -> None:
        """Forget the membrane that `keep_state` kept."""
        self.membrane = None

    @contextmanager
    def tap(self, listener: Callable[[Step], None]) -> Iterator[None]:
        """Show each time step of each call to `listener`: current, membrane before and after
        the reset, spike, surrogate derivative.

        >>> steps = []
        >>> neuron = IF()
        >>> with neuron.tap(steps.append):
        ...     _ = neuron(torch.tensor([[0.75], [0.75]]))
        >>> [s.membrane.item() for s in steps], [s.membrane_after.item() for s in steps]
        ([0.75, 1.5], [0.75, 0.0])
        """
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    @contextmanager
    def statistics(
        self, names: Iterable[str], listener: Callable[[Statistics], None], bins: Bins | None = None
    ) -> Iterator[None]:
        """Hand `listener` sums over each step of each call, taken while the data passes the kernel.

        The names are those of `neuron/statistics.py`; "histogram" needs `bins`. Sums of gradients
        come with the backward pass, see `Statistics.when_backward`.

        >>> seen = []
        >>> neuron = IF()
        >>> with neuron.statistics(["spikes"], seen.append):
        ...     _ = neuron(torch.tensor([[0.75, 1.5], [0.75, 0.25]]))
        >>> seen[0].forward["spikes"].tolist()
        [1, 1]
        """
        wanted = frozenset(names)
        unknown = sorted(wanted - set(BIT))
        if unknown:
            raise InputError("a statistic", got=unknown[0], wanted="one of " + ", ".join(BIT))
        if "histogram" in wanted and (bins is None or bins.count < 1):
            raise InputError("the histogram's bins", got=bins, wanted="at least one",
                             do="give bins=Bins(lowest, width, count)")  # fmt: skip
        entry = (wanted, bins, listener)
        self._counting.append(entry)
        try:
            yield
        finally:
            self._counting.remove(entry)

    def firing_bias(self, dtype: torch.dtype = torch.float32, time_steps: int = 8) -> float:
        """The smallest constant current found that makes this neuron spike at every step.

        V_th - V_reset for IF and for LIF without decay_input, tau times it with decay_input;
        then raised to the next number of `dtype` until a simulated run of `time_steps` spikes
        at every step (division and product round). Source: Fang et al. 2021, Section 3.2.

        >>> IF(threshold=0.5).firing_bias(), LIF(tau=3.0).firing_bias()
        (0.5, 3.0)
        """
        gain = self.gain()
        start = (self.rule.threshold - self.rule.reset_potential) / gain
        bias = torch.tensor([start], dtype=dtype)
        for _ in range(64):
            if bool(self.twin().to(dtype)(bias.expand(time_steps, 1)).all()):
                return float(bias.item())
            bias = torch.nextafter(bias, torch.full_like(bias, math.inf))
        raise InputError(
            "the neuron of a zero-initialised AND block",
            got=str(self),
            wanted="one that a constant current can make spike at every step",
            do="use connect add or iand, or a hard reset",
        )

    def tau(self) -> float | None:
        """The membrane time constant in time steps; None for IF."""
        return self.rule.tau_steps

    def gain(self) -> float:
        """dH/dX of one step: 1, or 1 / tau where the input decays."""
        tau = self.tau()
        return 1 / tau if tau is not None and self.rule.decay_input else 1.0

    def leak(self) -> float:
        """dH/dV of one step: 1 for IF, 1 - 1 / tau with a leak."""
        tau = self.tau()
        return 1.0 if tau is None else 1 - 1 / tau

    def is_identity(self, time_steps: int, dtype: torch.dtype = torch.float32) -> bool:
        """Whether S = SN(S) for binary input: all spike trains of up to 8 steps are run,
        longer ones padded with what they began with, and the all-one train.

        >>> IF(threshold=1.0).is_identity(4), IF(threshold=2.0).is_identity(4)
        (True, False)
        """
        head = min(time_steps, EXHAUSTIVE_STEPS)
        trains = torch.tensor(list(itertools.product((0.0, 1.0), repeat=head)), dtype=dtype).T
        x = trains.repeat(-(-time_steps // head), 1)[:time_steps].contiguous()
        with torch.no_grad():
            return bool(torch.equal(self.twin().to(dtype)(x), x))

    def facts(self, time_steps: int, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
        """What a Record says of this neuron; sigma' as this neuron computes it in `dtype`."""
        rule, gain = self.rule, self.gain()
        slope = rule.surrogate.at
        return {
            "neuron": type(self).__name__,
            "threshold": rule.threshold,
            "reset": rule.reset,
            "reset_potential": rule.reset_potential,
            "initial_potential": rule.initial_potential,
            "detach_reset": rule.detach_reset,
            "decay_input": rule.decay_input if rule.leaks() else None,
            "tau_steps": self.tau(),
            "surrogate": rule.surrogate.name,
            "alpha": getattr(rule.surrogate, "alpha", None),
            "surrogate_at_spike": slope(gain - rule.threshold, dtype),
            "surrogate_at_silence": slope(-rule.threshold, dtype),
            "gain": gain,
            "leak": self.leak(),
            "is_identity": self.is_identity(time_steps, dtype),
        }

    def extra_repr(self) -> str:
        """The rule in a line, for `print(model)`."""
        rule, begins = self.rule, self.rule.initial_potential
        first = "" if begins is None else f", initial_potential={begins:g}"
        return (
            f"threshold={rule.threshold:g}, reset={rule.reset}{first}, surrogate={rule.surrogate}"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Neuron:
        copied = self.twin()
        copied.train(self.training)
        memo[id(self)] = copied
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Who listens is no part of a copy or a pickle."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {**state, "_listeners": [], "_counting": []}

    def _wanted(self) -> tuple[frozenset[str], Bins | None]:
        names = frozenset().union(*(names for names, _, _ in self._counting))
        chosen = {bins for _, bins, _ in self._counting if bins is not None}
        if len(chosen) > 1:
            raise InputError(
                "the histogram's bins", got=chosen, wanted="the same for all listeners"
            )
        return names, next(iter(chosen), None)

    def _first_membrane(self, x: Tensor) -> Tensor | None:
        """What `keep_state` kept, or where the rule begins; None is the resting potential."""
        if self.membrane is None:
            return None if self.rule.initial_potential is None else equations.start(x, self.rule)
        if self.membrane.shape != x.shape[1:]:
            raise InputError(
                "the input of a neuron that keeps its state",
                got=tuple(x.shape[1:]),
                wanted=f"of the kept shape {tuple(self.membrane.shape)}",
                do="call reset_state() between unlike batches",
            )
        return self.membrane.to(x.device, equations.state_dtype(x.dtype))

    def _show(self, x: Tensor, v: Tensor | None) -> None:
        v = equations.start(x, self.rule) if v is None else v
        rate = None if self.rate is None else self.rate.detach()
        for step in equations.steps(x, v, self.rule, rate):
            for listener in tuple(self._listeners):
                listener(step)


class IF(Neuron):
    """Integrate and fire: H = V + X. Converted networks begin at `initial_potential` = V_th / 2.

    >>> IF()(torch.tensor([[0.5], [0.5], [0.5]])).flatten().tolist()
    [0.0, 1.0, 0.0]
    """

    def __init__(
        self,
        threshold: float = 1.0,
        *,
        reset: Literal["hard", "soft"] = "hard",
        reset_potential: float = 0.0,
        surrogate: Surrogate | None = None,
        detach_reset: bool = True,
        initial_potential: float | None = None,
        keep_state: bool = False,
    ) -> None:
        surrogate = surrogate or ATan()
        rule = Rule(
            "if", threshold, reset, reset_potential, surrogate, detach_reset,
            initial_potential=initial_potential,
        )  # fmt: skip
        super().__init__(rule, keep_state=keep_state)

    @property
    def rate(self) -> None:
        """IF has no time constant."""
        return None

    def twin(self) -> IF:
        """A fresh IF of the same rule."""
        return _build(IF, self.rule, keep_state=self.keep_state)


class LIF(Neuron):
    """Leaky integrate and fire: H = V + (X - (V - V_reset)) / tau, tau in time steps.

    With decay_input=False the input is added whole: H = V - (V - V_reset) / tau + X.

    >>> LIF(tau=2.0)(torch.tensor([[1.5], [1.5]])).flatten().tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        tau: float = 2.0,
        *,
        decay_input: bool = True,
        threshold: float = 1.0,
        reset: Literal["hard", "soft"] = "hard",
        reset_potential: float = 0.0,
        surrogate: Surrogate | None = None,
        detach_reset: bool = True,
        keep_state: bool = False,
    ) -> None:
        _check_tau("tau", tau, least=1.0)
        surrogate = surrogate or ATan()
        rule = Rule(
            "lif", threshold, reset, reset_potential, surrogate, detach_reset, tau, decay_input
        )
        super().__init__(rule, keep_state=keep_state)

    @property
    def rate(self) -> None:
        """A fixed tau divides; it is no tensor."""
        return None

    def twin(self) -> LIF:
        """A fresh LIF of the same rule."""
        return _build(LIF, self.rule, keep_state=self.keep_state)


class PLIF(Neuron):
    """LIF with a learnable time constant per layer: 1 / tau = sigmoid(w), w = -log(tau - 1).

    Source: Fang et al. 2021 (PLIF, ICCV); SEW ResNet, Eq. 5.

    >>> PLIF(init_tau=2.0).w.item(), PLIF(init_tau=2.0).tau()
    (-0.0, 2.0)
    """

    def __init__(
        self,
        init_tau: float = 2.0,
        *,
        decay_input: bool = True,
        threshold: float = 1.0,
        reset: Literal["hard", "soft"] = "hard",
        reset_potential: float = 0.0,
        surrogate: Surrogate | None = None,
        detach_reset: bool = True,
        keep_state: bool = False,
    ) -> None:
        _check_tau("init_tau", init_tau, least=math.nextafter(1.0, 2.0))
        surrogate = surrogate or ATan()
        rule = Rule(
            "plif", threshold, reset, reset_potential, surrogate, detach_reset, None, decay_input
        )
        super().__init__(rule, keep_state=keep_state)
        self.w = nn.Parameter(torch.tensor(-math.log(init_tau - 1)))

    @property
    def rate(self) -> Tensor:
        """1 / tau = sigmoid(w), with its graph."""
        return torch.sigmoid(self.w)

    def tau(self) -> float:
        """The time constant now, in time steps."""
        return float(1 / torch.sigmoid(self.w.detach().double()).item())

    def twin(self) -> PLIF:
        """A fresh PLIF of the same rule, with its own copy of w."""
        twin = _build(PLIF, self.rule, keep_state=self.keep_state)
        twin.w = nn.Parameter(self.w.detach().clone(), self.w.requires_grad)
        return twin


def _build(kind: type[N], rule: Rule, *, keep_state: bool) -> N:
    neuron = kind.__new__(kind)
    Neuron.__init__(neuron, rule, keep_state=keep_state)
    return neuron


def _check(rule: Rule) -> None:
    if not 0 < rule.threshold <= MAX_THRESHOLD:  # NaN fails too
        raise InputError("threshold", got=rule.threshold, wanted="in (0, 1e6]")
    if rule.reset not in ("hard", "soft"):
        raise InputError("reset", got=rule.reset, wanted="hard or soft")
    if not -MAX_THRESHOLD <= rule.reset_potential < rule.threshold:
        raise InputError("reset_potential", got=rule.reset_potential, wanted="in [-1e6, threshold)")
    first = rule.initial_potential
    if first is not None and not -MAX_THRESHOLD <= first < rule.threshold:
        raise InputError("initial_potential", got=first, wanted="in [-1e6, threshold), or None")


def _check_tau(name: str, tau: float, least: float) -> None:
    if not (least <= tau < math.inf):
        above = "at least 1" if least == 1 else "above 1"
        raise InputError(name, got=tau, wanted=f"a finite number of time steps, {above}")


def _check_input(x: Tensor) -> None:
    if not x.is_floating_point():
        raise InputError("the input of a neuron", got=x.dtype, wanted="of a floating dtype")
    if x.dim() == 0 or len(x) == 0:
        raise InputError(
            "the input of a neuron", got=tuple(x.shape), wanted="[T, ...] with T of at least 1"
        )
