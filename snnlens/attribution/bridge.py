"""The bridge to captum: any spiking model as a function of a batch-first input, right in time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Layout, tensors
from snnlens.adapters._survey import Survey
from snnlens.attribution.calls import Change, changing
from snnlens.attribution.looks import (
    Leaving,
    Seen,
    devices,
    is_repeated,
    leaving,
    refuse_fresh_norms,
    said_memory,
    takes,
    tapped,
)
from snnlens.errors import InputError

Entering = Literal["time first", "batch first", "folded", "one step", "static"]
HELD, MOST = 1 << 22, 32  # numbers of a layer's output, samples in one pass


class Bridge(nn.Module):
    """A spiking model as captum wants it: batch on axis 0, from rest, one score per class.

    x is [N, T, ...]; a model that repeats a static image itself takes [N, 1, ...]. The score of a
    class is the mean over the output's time axis, where it has one. With o_c[t] the output,

        f_c(x) = 1 / T sum over t of o_c[t]

    Made by `snnlens.bridge`, inside which BatchNorm and dropout are in evaluation mode, spiking
    layers in training mode (some frameworks drop the surrogate gradient in evaluation mode) and no
    parameter asks for a gradient. What the model draws at random it draws from the same seed at
    every call.

    Args:
        model: the model.
        survey: its spiking layers, and who speaks for them.
        x: a batch as the model takes it; kept as `x`, [N, T, ...]; a few passes of it tell shapes.
        entering: how x lies; "one step" [T, N, ...]: the model is called once for each x[t].
        steps: T of a folded input [N T, ...].
        output: which of several outputs.
        seed: of what the model draws.

    Raises:
        InputError: an output that is no score per class, a model that takes one size of batch
            only, a BatchNorm whose running statistics have seen no batch.

    >>> from snnlens.adapters._survey import survey
    >>> from snnlens.neuron.layers import IF
    >>> net = nn.Sequential(nn.Linear(3, 2), IF())
    >>> bridge = Bridge(net, survey(net), torch.ones(5, 4, 3), "time first")
    >>> bridge(torch.ones(4, 5, 3)).shape, bridge.steps, bridge.sites
    (torch.Size([4, 2]), 5, ['1'])
    """

    def __init__(
        self, model: nn.Module, survey: Survey, x: Tensor, entering: Entering,
        *, steps: int = 1, output: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model, self.survey, self.entering, self.output = model, survey, entering, output
        self.seed, self.folded = seed, steps
        self.counters: list[dict[str, int]] = []  # steps that each layer has run in this pass
        self.tapped: tuple[str, nn.Identity] | None = None
        refuse_fresh_norms(model)
        self.x = self.batch_first(x)
        self.leaving: Leaving = "no time"
        self.seen = self._look(self.x)
        self.alone_difference = self._alone(self.x)
        self._unfold_otherwise()

    # --- what it is --------------------------------------------------------------------------

    @property
    def static(self) -> bool:
        """Whether the model repeats an image over T itself."""
        return self.entering == "static"

    @property
    def sites(self) -> list[str]:
        """The spiking layers, in the order in which they ran."""
        return list(self.seen)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Per site, the shape of its output without N and T."""
        return {name: s.shape for name, s in self.seen.items()}

    @property
    def steps(self) -> int:
        """T, as the spiking layers saw it."""
        return max((s.steps for s in self.seen.values()), default=self.x.shape[1])

    @property
    def fitting(self) -> int:
        """Samples in one pass, from 1 to 32: the largest layer's output stays within 2^22 numbers.

        Beyond that memory is mapped anew for each tensor, and larger batches are slower.
        """
        largest = max((s.steps * math.prod(s.shape) for s in self.seen.values()), default=1)
        return max(1, min(MOST, HELD // max(1, largest)))

    @property
    def has_time(self) -> bool:
        """Whether the output has a time axis, over which the score is the mean."""
        return self.leaving != "no time"

    @property
    def encoder(self) -> str:
        """The first spiking layer: where a static image becomes spikes."""
        return self.sites[0] if self.sites else self.check_site(next(iter(self.repeated)))

    def check_site(self, name: str) -> str:
        """The name of a spiking layer; InputError with the nearest names for any other.

        >>> import snnlens
        >>> net = nn.Sequential(nn.Linear(3, 2), snnlens.IF())
        >>> with snnlens.bridge(net, torch.ones(5, 4, 3)) as bridge:
        ...     bridge.check_site("2")
        Traceback (most recent call last):
        snnlens.errors.InputError: a spiking layer must be one of 1; got '2'
        """
        if name in self.seen:
            return name
        if name in self.repeated:
            raise InputError(
                f"the layer {name}", got=f"run {self.repeated[name]} times in a pass",
                wanted="run once, or once per step", do="give each place a neuron of its own",
            )  # fmt: skip
        near = get_close_matches(name, self.sites, cutoff=0.4)
        do = f"did you mean {', '.join(near)}?" if near else ""
        some = ", ".join(self.sites[:8]) + (", ..." if len(self.sites) > 8 else "")
        raise InputError("a spiking layer", got=name, wanted=f"one of {some}", do=do)

    # --- running it --------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """The score of each class, [N, T, ...] to [N, classes]."""
        return self.stepwise(x).mean(1)

    def stepwise(self, x: Tensor) -> Tensor:
        """The output at each step [N, T, classes]; T = 1 where it has no time axis."""
        if self.tapped is None or self.seen[self.tapped[0]].calls == 1:
            return self._over_time(self._run(x), len(x))
        return self._twice(x)

    def score(self, x: Tensor, target: Tensor) -> Tensor:
        """The score of each sample's class [N]."""
        return self(x).gather(1, target[:, None]).squeeze(1)  # type: ignore[no-any-return]

    def spikes(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every spiking layer [N, T, ...], without a graph, from one pass."""
        kept: dict[str, list[Tensor]] = {name: [] for name in self.seen}

        def keep(site: str, _step: int, _current: Tensor | None, spikes: Tensor) -> None:
            if site in kept:
                kept[site].append(spikes.transpose(0, 1))

        with torch.no_grad(), self.around(keep):
            self(x)
        return {name: torch.cat(parts, 1) for name, parts in kept.items()}

    @contextmanager
    def around(self, change: Change) -> Iterator[None]:
        """Inside, change(site, step, current, spikes) may replace what each spiking layer returns.

        current and spikes are time first [T', N, ...]: T' = T, or 1 of a layer that is called once
        per step, whose step it is told. None leaves the output as it is.
        """
        counter: dict[str, int] = {}
        self.counters.append(counter)
        try:
            with changing(self.survey, change, counter):
                yield
        finally:
            self.counters[:] = [c for c in self.counters if c is not counter]

    @contextmanager
    def tap(self, site: str) -> Iterator[nn.Identity]:
        """Inside, the layer's output passes the yielded module as [N, C, T, ...]: for captum.

        A layer that is called once per step is run twice: what the first pass collected over all
        steps goes through the tap, and the second pass goes on with what came out of it.
        """
        self.check_site(site)
        tap = nn.Identity()
        self.tapped = site, tap
        try:
            if self.seen[site].calls > 1:
                yield tap
            else:
                with self.around(self._through):
                    yield tap
        finally:
            self.tapped = None

    def behind(self, site: str, x: Tensor) -> Behind:
        """The part of the model behind a spiking layer, as a function of that layer's spikes."""
        return Behind(self, self.check_site(site), x)

    def batch_first(self, x: Tensor) -> Tensor:
        """A batch as the model takes it, as [N, T, ...]."""
        if self.static:
            return x.unsqueeze(1)
        if self.entering == "batch first":
            return x
        if self.entering == "folded":
            return Layout("folded", self.folded).time_first(x).transpose(0, 1)
        return x.transpose(0, 1)

    def _run(self, x: Tensor) -> Any:
        """What the model returns for [N, T, ...], from rest."""
        self.survey.reset()
        for counter in self.counters:
            counter.clear()
        with said_memory(len(x)), torch.random.fork_rng(devices(x)):
            torch.manual_seed(self.seed)
            if self.entering == "one step":
                return torch.stack([self._chosen(self.model(step)) for step in x.unbind(1)], 1)
            return self._chosen(self.model(self._as_taken(x)))

    def _as_taken(self, x: Tensor) -> Tensor:
        if self.static:
            return x.squeeze(1)
        if self.entering == "time first":
            return x.transpose(0, 1)
        return x.flatten(0, 1) if self.entering == "folded" else x

    def _chosen(self, result: Any) -> Tensor:
        found = list(tensors(result))
        at = self.output or 0
        if at >= len(found):
            wanted = f"below {len(found)}, the tensors that forward returns"
            raise InputError("the index of the output", got=at, wanted=wanted)
        return found[at]

    def _over_time(self, out: Tensor, samples: int) -> Tensor:
        """[N, T, classes]."""
        if self.leaving == "no time":
            return out.unsqueeze(1)
        if self.leaving == "folded":
            return out.unflatten(0, (samples, -1))  # type: ignore[no-any-return]
        if self.leaving == "folded, time first":
            return out.unflatten(0, (-1, samples)).transpose(0, 1)  # type: ignore[no-any-return]
        return out.transpose(0, 1) if self.leaving == "time first" else out

    def _through(
        self, site: str, _step: int, _current: Tensor | None, spikes: Tensor
    ) -> Tensor | None:
        """Hand a layer's whole output to the tap."""
        assert self.tapped is not None
        return tapped(self.tapped[1], spikes) if site == self.tapped[0] else None

    def _twice(self, x: Tensor) -> Tensor:
        """Collect a layer's steps, hand them to the tap, and go on with what it returns."""
        assert self.tapped is not None
        at, tap = self.tapped
        kept: list[Tensor] = []

        def keep(site: str, _step: int, _current: Tensor | None, spikes: Tensor) -> None:
            if site == at:
                kept.append(spikes)

        with self.around(keep):
            self._run(x)
        handed = tapped(tap, torch.cat(kept))

        def put(site: str, step: int, _: Tensor | None, spikes: Tensor) -> Tensor | None:
            return handed[step : step + len(spikes)] if site == at else None

        with self.around(put):
            return self._over_time(self._run(x), len(x))

    # --- what is learned at first ------------------------------------------------------------

    def _look(self, x: Tensor) -> dict[str, Seen]:
        """Run one sample and two: the axis of the output that doubles is the batch."""
        one, two = x[:1], x[:2] if len(x) > 1 else torch.cat([x, x])
        outs: list[Tensor] = []
        seen: dict[str, Seen] = {}
        for part in (one, two):
            seen = {}

            def see(site: str, _step: int, _: Any, spikes: Tensor, found: Any = seen) -> None:
                was = found.get(site, Seen(0, 0, 0, ()))
                found[site] = Seen(was.calls + 1, was.steps + len(spikes), spikes.shape[1],
                                   tuple(spikes.shape[2:]))  # fmt: skip

            with takes(len(part)), torch.no_grad(), self.around(see):
                outs.append(self._run(part))
            self._check_seen(seen, len(part))
        self.leaving = leaving(outs[0], outs[1])
        self.classes = int(outs[0].shape[-1])
        self.repeated = {name: s.calls for name, s in seen.items() if is_repeated(s, x.shape[1])}
        return {name: s for name, s in seen.items() if name not in self.repeated}

    def _check_seen(self, seen: dict[str, Seen], samples: int) -> None:
        if not seen:
            raise InputError(
                "the spiking layers", got="none of them ran", wanted="run by the model's forward"
            )
        name, first = next(iter(seen.items()))
        if first.samples != samples:
            raise InputError(
                f"the batch that {name} sees", got=first.samples, wanted=f"{samples}, as was shown",
                do="say which axis is time with time_axis, per_step where forward takes one step; "
                "build folded layers with num_timesteps, not with batch_size",
            )  # fmt: skip

    def _unfold_otherwise(self) -> None:
        """Scores [T N, classes]: the order in which a sample alone is the sample in its batch."""
        was = self.alone_difference
        if self.leaving != "folded" or not was:
            return
        self.leaving = "folded, time first"
        self.alone_difference = self._alone(self.x)
        if (self.alone_difference or 0.0) >= was:
            self.leaving, self.alone_difference = "folded", was

    def _alone(self, x: Tensor) -> float | None:
        """The largest |score alone - score in the batch|, as a share of the scores' range."""
        if len(x) < 2:
            return None
        with torch.no_grad():
            both = self(x).double()
            alone = torch.cat([self(one) for one in x.split(1)]).double()
        spread = float(both.max() - both.min())
        return float((both - alone).abs().max()) / spread if spread > 0 else 0.0


class Behind(Bridge):
    """The model behind a spiking layer: its spikes [N, T, ...] in, scores [N, classes] out.

    A bridge whose input is those spikes. What lies before the layer runs on zeros, so the input
    must not reach the output past the layer.

    Raises InputError where it does.
    """

    def __init__(self, bridge: Bridge, site: str, x: Tensor) -> None:
        nn.Module.__init__(self)
        self.outer, self.site = bridge, site
        self.model, self.survey, self.seed = bridge.model, bridge.survey, bridge.seed
        self.entering, self.leaving = "batch first", bridge.leaving
        self.repeated = bridge.repeated
        self.classes, self.alone_difference = bridge.classes, bridge.alone_difference
        self.counters, self.tapped = bridge.counters, None
        after = bridge.sites[bridge.sites.index(site) + 1 :]
        self.seen = {name: bridge.seen[name] for name in after}
        self.blank = torch.zeros_like(x[:1])
        self._check(x[:2])

    @property
    def steps(self) -> int:
        """T of that layer."""
        return self.outer.seen[self.site].steps

    def behind(self, site: str, x: Tensor) -> Behind:
        """The part behind a later layer; x as the whole model takes it."""
        return self.outer.behind(site, x)

    def _run(self, x: Tensor) -> Tensor:
        return self._with(self.blank.expand(len(x), *self.blank.shape[1:]), x)

    def _with(self, x: Tensor, spikes: Tensor) -> Tensor:
        """Run the model on x with the layer's output replaced."""
        laid = spikes.transpose(0, 1)

        def put(site: str, step: int, _: Tensor | None, own: Tensor) -> Tensor | None:
            return laid[step : step + len(own)] if site == self.site else None

        with self.around(put):
            return self.outer._run(x)  # type: ignore[no-any-return]

    def _check(self, x: Tensor) -> None:
        spikes = self.outer.spikes(x)[self.site]
        with torch.no_grad():
            past = not torch.equal(self._with(x, spikes), self._run(spikes))
        if past:
            raise InputError(
                "the layer that a map lies over", got=self.site,
                wanted="one that the whole input passes", do="the input reaches the output past it",
            )  # fmt: skip
