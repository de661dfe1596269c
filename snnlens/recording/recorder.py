"""Recorder: attaches probes to the sites of a model, always detaches, and keeps sums only."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Args, Layout, Named, first_tensor, tensors
from snnlens.adapters._survey import Survey, method, survey
from snnlens.errors import InputError, NothingToRecord
from snnlens.neuron.equations import Step
from snnlens.neuron.layers import Neuron
from snnlens.neuron.statistics import BACKWARD, FORWARD, Statistics
from snnlens.provenance import provenance
from snnlens.recording.clock import Clock
from snnlens.recording.foreign import Call
from snnlens.recording.hooks import Handle, Hooks, is_changed_by_others, uncompiled
from snnlens.recording.ledger import Ledger
from snnlens.recording.oddities import Oddities
from snnlens.recording.probe import Probe, Train
from snnlens.recording.reading import Heard, Reading, Seen
from snnlens.recording.record import Record
from snnlens.recording.reduce import step_squares
from snnlens.recording.trains import Trains
from snnlens.recording.visits import Visits
from snnlens.sites import Role, Site

TIME_FIRST = Layout("time first")
LAYERS: dict[Role, tuple[type[nn.Module], ...]] = {
    "synapse": (nn.modules.conv._ConvNd, nn.Linear),
    "norm": (nn.modules.batchnorm._BatchNorm,),
}


class Recorder:
    """Record a model: `with Recorder(model, probes) as rec: loss(model(x), y).backward()`.

    Observing changes nothing: outputs, gradients, random state and module state keep their bits.
    Forward hooks read the sites and `Tensor.register_hook` their gradients; sums stay on the
    device until the record is asked for. Memory is O(sites x T) numbers. What a site gives is what
    passes on, after the hooks of others; a compiled model runs as it was written while it is
    recorded. Passes that threads make at the same time are not mixed: one is recorded, the fact
    `elsewhere` counts the others.

    Args:
        model: a module that lists `sites()`, or holds spiking layers that an adapter knows.
        probes: what to record.
        network: the name of this network in the Record.
        adapters: adapters to ask before the installed ones, e.g. `Plain` with a user's classes.
        surveyed: what `survey` found in this model before, so that it is not asked again.
        per_step: the model takes one time step, the loop over time lies outside of it.
        on_site: called after each site of a forward or backward pass (a progress bar).
    """

    def __init__(
        self,
        model: nn.Module,
        probes: Sequence[Probe],
        *,
        network: str = "model",
        adapters: Sequence[Adapter] = (),
        surveyed: Survey | None = None,
        per_step: bool = False,
        on_site: Callable[[], None] | None = None,
    ) -> None:
        self.survey = surveyed or survey(model, adapters)
        self.model, self.probes, self.network = self.survey.model, list(probes), network
        self.sites = self.survey.sites + _further_sites(self.model, self.probes)
        self.ledger = Ledger()
        self._on_site = on_site or (lambda: None)
        self._clock = Clock(loop_outside=per_step)
        self._trains = Trains(self.ledger)
        self._visits = Visits()
        self._axis = TIME_FIRST  # how the spiking layers seen last lie: blocks lie alike
        self._last: Seen | None = None
        self._last_grad: Seen | None = None
        self._counted: dict[str, Statistics] = {}  # of the call that a neuron is in
        self._starts: dict[str, Tensor | None] = {}  # the membrane that a call began with
        self._stack = ExitStack()
        self._hooks = Hooks()
        self._oddities = Oddities()
        self._graded: set[str] = set()  # sites whose output a hook of others may have changed
        self._asked: set[str] = set()  # sites whose gradient somebody asks for
        self._closed = False
        self._tensor_hooks: list[Handle] = []
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> Recorder:
        self._begin()
        return self

    def open(self, args: Args = (), named: Named | None = None, *, within: bool = True) -> None:
        """Attach; `within` a call of the model the pass that is under way is the first one."""
        self._begin()
        if within and self._hooks.begin():
            self._model_called(self.model, args, named or {})

    def leave(self) -> None:
        """Take the hooks off the modules; gradients of what was seen are still heard."""
        try:
            self._look()
        finally:
            self._stack.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self._detach()

    def _begin(self) -> None:
        if self._hooks:
            raise InputError("a recorder", got="one that is open", wanted="entered once at a time",
                             do="make a second one: snnlens.record(model)")  # fmt: skip
        self._closed = False
        try:
            self._attach()
        except BaseException:
            self._detach()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._detach()

    def note(self, **facts: Any) -> None:
        """Add facts about this network to the Record: its loss, its data."""
        self._facts |= facts

    def shape(self, site: str) -> tuple[int, ...] | None:
        """[T, B, ...] of a site, as it was seen first; None where it was not seen."""
        return self._visits.shapes.get(site)

    def record(self) -> Record:
        """What was seen so far, as an immutable Record."""
        if not self._clock.passes:
            raise NothingToRecord(
                "the recorder must see a forward pass; got none; call the model inside `with`"
            )
        self._look()
        self.ledger.settle()
        self._trains.flush()
        tables = {p.name: self.ledger.table(self.network, p, self.sites) for p in self.probes}
        return Record(
            sites=self._visits.table(self.network, self.sites),
            tables={n: t for n, t in tables.items() if len(t)},
            schemas={p.name: p.schema() for p in self.probes if len(tables[p.name])},
            networks={self.network: self._network_facts()},
            provenance=provenance(),
        )

    def frame(self, *, per_step: bool = False) -> pd.DataFrame:
        """See `Record.frame`."""
        return self.record().frame(per_step=per_step)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write a run folder; see `Record.save`."""
        return self.record().save(folder, force=force)

    # --- attaching -----------------------------------------------------------------------------

    def _attach(self) -> None:
        self._stack.enter_context(uncompiled())
        self._stack.callback(self._hooks.remove)
        self._oddities.attached.clear()
        self._hooks.passes(self.model, self._model_called)
        for site in self.sites:
            reading = Reading.of(site, self.probes)
            self._asked |= {site.name} if reading.gradient or reading.paths else set()
            if site.role == "parameter":
                weight = self.model.get_parameter(site.name)
                kept = [weight.detach()] if reading.keeps_value else []
                self._watch_gradient(weight, [Heard(reading, TIME_FIRST, 0)], kept)
                continue
            self._attach_to(self._module(site), reading)

    def _attach_to(self, module: nn.Module, reading: Reading) -> None:
        site, adapter = reading.site, self.survey.adapters.get(reading.site.module)
        self._oddities.attached[site.module] = module
        add = partial(self._hooks.add, site.name, module)
        if site.role in LAYERS:
            add(self._layer_hook(reading))
        elif site.reads == "input":
            add(self._input_hook(reading), before=True)
        elif adapter is None or (isinstance(module, Neuron) and not _asks_more(module, reading)):
            add(self._output_hook(reading))
        else:
            add(partial(self._before_call, reading, adapter), before=True)
            add(partial(self._after_call, reading, adapter))
        if isinstance(module, Neuron):
            self._tap(module, reading)
            self._count(module, reading)

    def _module(self, site: Site) -> nn.Module:
        try:
            return self.model.get_submodule(site.module)
        except AttributeError:
            raise InputError(
                f"the module of site {site.name}", got=site.module, wanted="a part of the model"
            ) from None

    def _tap(self, module: Neuron, reading: Reading) -> None:
        def listen(step: Step) -> None:
            for probe in reading.step if self._hooks.looks() else ():
                self.ledger.add(probe, reading.site, probe.step(reading.site, step), at=step.t)

        if reading.step:
            self._stack.enter_context(module.tap(listen))

    def _count(self, module: Neuron, reading: Reading) -> None:
        """Have the kernel sum what the probes of this neuron's output ask for."""

        def listen(seen: Statistics) -> None:
            if self._hooks.looks():
                self._counted[reading.site.name] = seen

        if reading.statistics and reading.site.reads == "output":
            asked = module.statistics(reading.statistics, listen, reading.bins)
            self._stack.enter_context(asked)

    def _look(self) -> None:
        if self._hooks:
            self._oddities.look(self.model, self.survey.adapters)

    def _detach(self) -> None:
        self.leave()
        self._closed = True
        for handle in self._tensor_hooks:
            handle.remove()
        self._tensor_hooks.clear()
        self._starts.clear()
        self._last = self._last_grad = None

    # --- observing -----------------------------------------------------------------------------

    def _model_called(self, _module: nn.Module, args: Args, named: Named) -> None:
        given = list(tensors((args, named)))
        _refuse(given)
        self._oddities.given(given)
        self._hooks.go_last()
        self._clock.new_pass()
        self._last = None
        alive = [h for h in self._tensor_hooks if h.hooks_dict_ref() is not None]
        self._tensor_hooks = alive

    def _input_hook(self, reading: Reading) -> Callable[..., None]:
        def hook(_module: nn.Module, args: Args, named: Named) -> None:
            at = self._clock.tick(reading.site.name, self._axis)
            self._observe(reading, first_tensor((args, named)), self._axis, at)

        return hook

    def _output_hook(self, reading: Reading) -> Callable[..., None]:
        """Of a block, and of a neuron of snnlens, whose kernel counts: always a whole sequence."""
        site = reading.site
        own = site.role == "neuron" or self.survey.listed

        def hook(module: nn.Module, args: Args, named: Named, output: Any) -> None:
            layout = TIME_FIRST if own else self._axis
            at = self._clock.tick(site.name, layout)
            out = first_tensor(output)
            self._observe(self._as_it_is(reading, module), out, layout, at)
            with torch.no_grad():
                for probe in reading.around:
                    given = first_tensor((args, named))
                    ends = (layout.time_first(e.detach()) for e in (given, out))
                    self.ledger.add(probe, site, probe.around(site, module, *ends), at)

        return hook

    def _layer_hook(self, reading: Reading) -> Callable[..., None]:
        site = reading.site

        def hook(module: nn.Module, args: Args, named: Named, output: Tensor) -> None:
            self._visits.forward[site.name] += self._clock.is_first(site.name)
            with torch.no_grad():
                for probe in reading.around:
                    x = first_tensor((args, named)).detach()
                    sums = probe.around(site, module, x, output.detach())
                    self.ledger.add(probe, site, sums)

        return hook

    def _before_call(
        self, reading: Reading, adapter: Adapter, module: nn.Module, args: Args, named: Named
    ) -> None:
        """Of a spiking layer that is not only counted inside: its step, and its membrane."""
        name = reading.site.name
        layout = adapter.layout(module, first_tensor((args, named)))
        if self._clock.tick(name, layout, lambda: adapter.at_rest(module, args, named)) == 0:
            self._trains.flush(name)
        if reading.calls:
            self._starts[name] = adapter.start(module, args, named)

    def _after_call(  # noqa: PLR0917 - torch gives what stands behind the adapter
        self, reading: Reading, adapter: Adapter,
        module: nn.Module, args: Args, named: Named, output: Any,
    ) -> None:  # fmt: skip
        name, raw = reading.site.name, adapter.spikes(module, output)
        reading = self._as_it_is(reading, module)
        layout = self._axis = adapter.layout(module, raw)
        at, train = self._clock.at(name), None
        if reading.calls:
            view, start = layout.time_first(raw.detach()), self._starts.pop(name, None)
            call = Call(adapter, module, args, named, layout, start, view, output)
            if name not in self._counted:
                self._counted[name] = self._count_call(reading, call)
            train = self._take_train(reading, call, at)
        self._observe(reading, raw, layout, at, train)

    def _as_it_is(self, reading: Reading, module: nn.Module) -> Reading:
        """Of an output that a hook of others may have changed: by no word zeros and ones, and not
        what the kernel counted.
        """
        if not is_changed_by_others(module):
            return reading
        site = replace(reading.site, signal="counts")
        self._graded.add(site.name)
        if site.name in self._counted:
            self._counted[site.name] = self._counted[site.name].inside()
        return replace(reading, site=site, statistics=reading.statistics - {"spikes"})

    def _count_call(self, reading: Reading, call: Call) -> Statistics:
        seen, replayed = call.statistics(reading.statistics & FORWARD, reading.bins)
        if replayed is not None:
            differ = (replayed != call.spikes).sum()
            self._visits.replayed(reading.site.name, differ, replayed.numel())
        return seen

    def _take_train(self, reading: Reading, call: Call, at: int) -> Train | None:
        if not (reading.train or reading.paths):
            return None
        with torch.no_grad():
            train = call.train()
            return self._trains.take(reading.site, reading.train, reading.paths, train, at,
                                     whole=_whole(call))  # fmt: skip

    def _observe(
        self, reading: Reading, x: Tensor, layout: Layout, at: int, train: Train | None = None
    ) -> None:
        site = reading.site
        counted = self._counted.pop(site.name, None)
        shape = layout.time_first(x).shape
        self._visits.saw(site.name, shape, at)
        self._clock.lasted(site.name, shape[0] if shape else 1)
        if self._last is None or not self._last.is_now(x):
            self._last = Seen(weakref.ref(x), _version(x), counted=counted)
        for probe in reading.value:
            self._take_value(probe, site, x, Heard(reading, layout, at), self._last)
        if x.requires_grad and (reading.gradient or reading.paths):
            self._expect_gradient(self._last, Heard(reading, layout, at, train), x)
        self._on_site()

    def _take_value(self, probe: Probe, site: Site, x: Tensor, as_: Heard, seen: Seen) -> None:
        names = probe.statistics & FORWARD
        if seen.counted is not None and names and names <= seen.counted.forward.keys():
            shape = as_.layout.time_first(x).shape
            self.ledger.tally(probe, site, shape, seen.counted.forward, at=as_.at)
        elif probe.overrides("value"):
            key = (probe.name, probe.shares(site))
            if key not in seen.values:
                seen.values[key] = probe.value(site, as_.layout.time_first(x.detach()))
            self.ledger.add(probe, site, seen.values[key], as_.at)

    def _expect_gradient(self, seen: Seen, heard: Heard, x: Tensor) -> None:
        """One listener per tensor; it may be several sites, and only some need its value kept."""
        seen.heard.append(heard)
        if not seen.kept and heard.reading.keeps_value:
            seen.kept.append(heard.layout.time_first(x.detach()))
        if len(seen.heard) > 1:
            return
        if seen.counted is not None and seen.counted.with_backward:
            seen.counted.when_backward.append(self._hearing(seen.heard, seen.kept))
        else:
            self._watch_gradient(x, seen.heard, seen.kept)

    def _watch_gradient(self, x: Tensor, heard: list[Heard], kept: list[Tensor]) -> None:
        self._tensor_hooks.append(x.register_hook(self._hearing(heard, kept)))

    def _hearing(self, heard: list[Heard], kept: list[Tensor]) -> Callable[..., None]:
        """What a gradient is handed to: by its tensor, or by the kernel with what it summed."""

        def hear(grad: Tensor, counted: Statistics | None = None) -> None:
            if self._closed:
                return
            if self._last_grad is None or not self._last_grad.is_now(grad):
                self._last_grad = Seen(weakref.ref(grad), _version(grad))
            self._last_grad.counted = counted or self._last_grad.counted
            for one in heard:
                self._visits.gradients[one.reading.site.name] += one.at == 0
                for probe in one.reading.gradient:
                    self._take_gradient(probe, one, grad, kept)
                if one.train is not None:
                    view = one.layout.time_first(grad.detach())
                    self._trains.gradient(one.reading.site, one.train, view, one.at)
                self._on_site()

        return hear

    def _take_gradient(self, probe: Probe, one: Heard, grad: Tensor, kept: list[Tensor]) -> None:
        seen, site, view = self._last_grad, one.reading.site, one.layout.time_first(grad.detach())
        assert seen is not None
        names = probe.statistics & BACKWARD
        if names:
            seen.counted = seen.counted or _by_hook(view)
            if names <= seen.counted.gradients.keys():
                found = seen.counted.gradients
                self.ledger.tally(probe, site, view.shape, found, at=one.at, backward=True)
                return
        if probe.overrides("gradient"):
            value = kept[0] if probe.keeps_value else None
            key = (probe.name, probe.shares(site) + (str(id(value)) if kept else ""))
            if key not in seen.values:  # an ADD hands one gradient to both its inputs
                seen.values[key] = probe.gradient(site, view, value)
            self.ledger.add(probe, site, seen.values[key], one.at)

    # --- what is kept --------------------------------------------------------------------------

    def _network_facts(self) -> dict[str, Any]:
        listing = method(self.model, "facts")
        lone = isinstance(self.model, Neuron)  # its facts are of one layer, not of a network
        facts: dict[str, Any] = listing() if listing is not None and not lone else {}
        own = {"model": type(self.model).__name__, "forward_passes": self._clock.passes,
               "training_mode": self.model.training}  # fmt: skip
        return self._detected() | self.survey.facts | facts | own | self._odd() | self._facts

    def _odd(self) -> dict[str, Any]:
        """What was not as it should be; nothing of what was."""
        unheard = [s.name for s in self.sites if s.name in self._hooks.again & self._asked
                   and not self._visits.gradients[s.name]]  # fmt: skip
        found = self._oddities.facts(self.sites)
        found |= {"elsewhere": self._hooks.elsewhere, "unheard": unheard}
        return {fact: value for fact, value in found.items() if value}

    def _detected(self) -> dict[str, Any]:
        """What the adapters made of the model: the line that a check-up begins with."""
        neurons = self.survey.neurons()
        seen = self._visits.shapes
        shapes = [seen[s.name] for s in neurons if s.name in seen]
        return {
            "frameworks": sorted({a.name for a in self.survey.adapters.values()}),
            "time_steps": max((s[0] for s in shapes if s), default=None),
            "time_axis": self._axis.axis,
            "binary": all(
                (s.signal == "spikes" and s.name not in self._graded) or self._only_ones(s)
                for s in neurons
            ),
            "spiking_layers": len(neurons),
            "wrapped": self.survey.wrapped,
        }

    def _only_ones(self, site: Site) -> bool:
        """Whether a layer that may be graded put out nothing but zeros and ones here."""
        sums = self.ledger.sums.get(("firing_rate", site.name))
        if not sums:
            return False
        return bool((sums["nonzero"] == sums["total"]).all() and (sums["above_one"] == 0).all())


def _asks_more(module: Neuron, reading: Reading) -> bool:
    """Whether a neuron of snnlens needs more than the kernel's sums: trains, or kept state."""
    return bool(reading.train or reading.paths) or module.keep_state


def _whole(call: Call) -> bool:
    """Whether one call is one sequence."""
    return call.layout.lies != "one step" and not getattr(call.module, "keep_state", False)


def _by_hook(grad: Tensor) -> Statistics:
    """What the kernel sums of a gradient, of one that no kernel sees."""
    return Statistics({}, gradients={"grad_spike_squared": step_squares(grad)})


def _refuse(given: list[Tensor]) -> None:
    """Passes of which no number can be taken."""
    if torch._C._are_functorch_transforms_active():
        raise InputError("a recorded pass", got="one inside torch.func (vmap, grad, jvp)",
                         wanted="a plain call of the model",
                         do="record outside of it")  # fmt: skip
    if any(x.is_meta for x in given):
        raise InputError("the input of a recorded pass", got="tensors on the meta device",
                         wanted="tensors that hold numbers")  # fmt: skip


def _further_sites(model: nn.Module, probes: Sequence[Probe]) -> list[Site]:
    """Parameters, synapses and norms, where a probe reads them."""
    roles = {role for p in probes for role in p.roles}
    sites = [
        Site(name, name, "input", role, "activation")
        for role, kinds in LAYERS.items() if role in roles
        for name, module in model.named_modules() if isinstance(module, kinds)
    ]  # fmt: skip
    if "parameter" not in roles:
        return sites
    return sites + [
        Site(name, name.rpartition(".")[0], "output", "parameter", "weight")
        for name, p in model.named_parameters()
        if p.requires_grad
    ]


def _version(x: Tensor) -> int | None:
    """How often x was changed in place; an inference tensor does not count it."""
    return None if x.is_inference() else x._version
