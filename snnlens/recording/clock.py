"""Which time step a call of a layer begins with: it may be called per step or per sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snnlens.adapters._base import Layout

AtRest = Callable[[], bool | None]


@dataclass
class _Place:
    """Where one site is in its sequence."""

    in_pass: int = 0  # the pass of its last call
    at: int = 0  # the step that this call begins with
    next: int = 0  # the step behind it


class Clock:
    """Counts the passes of a model, and the steps of each site.

    A call goes on with the sequence where the layer carries state: within a pass if it is called
    once per step (or says that it is not at rest), and over passes if the loop over time lies
    outside of the model, which is so until a layer was called twice within one pass, or is known.

    >>> clock = Clock()
    >>> clock.new_pass()
    >>> steps = []
    >>> for _ in range(3):
    ...     steps.append(clock.tick("sn", Layout("one step")))
    ...     clock.lasted("sn", 1)
    >>> steps
    [0, 1, 2]
    """

    def __init__(self, *, loop_outside: bool = False) -> None:
        self.passes = 0
        self._outside = loop_outside  # it is known that the model takes one step
        self._sites: dict[str, _Place] = {}
        self._loop_inside = False
        self._latest = 0  # the step of the neuron that was called last: blocks go with it

    def new_pass(self) -> None:
        """The model is called."""
        self.passes += 1

    def tick(self, name: str, layout: Layout, at_rest: AtRest | None = None) -> int:
        """A call of a site begins; at which step."""
        place = self._sites.setdefault(name, _Place())
        steps = layout.lies == "one step"
        rests = at_rest or (lambda: self._latest == 0)
        if place.in_pass != self.passes and self._outside:
            goes_on = place.next > 0 and rests() is not True
        elif place.in_pass != self.passes:
            goes_on = steps and not self._loop_inside and place.next > 0 and rests() is False
        else:
            self._loop_inside |= steps
            goes_on = steps or (at_rest is not None and rests() is False)
        place.in_pass = self.passes
        place.at = place.next if goes_on else 0
        if at_rest is not None:
            self._latest = place.at
        return place.at

    def lasted(self, name: str, steps: int) -> None:
        """The call took so many steps."""
        place = self._sites[name]
        place.next = place.at + steps

    def at(self, name: str) -> int:
        """The step that the call of this site began with."""
        return self._sites[name].at

    def is_first(self, name: str) -> bool:
        """Whether this is the first call of a site in this pass; asked once per call."""
        place = self._sites.setdefault(name, _Place())
        first = place.in_pass != self.passes
        place.in_pass = self.passes
        return first
