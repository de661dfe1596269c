"""Recorder: attaches probes to the sites of a model, always detaches, and keeps sums only."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.errors import InputError, NothingToRecord
from snnlens.neuron.equations import Step
from snnlens.neuron.layers import Neuron
from snnlens.neuron.statistics import BACKWARD, FORWARD, Statistics
from snnlens.provenance import provenance
from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Record
from snnlens.recording.reduce import step_squares
from snnlens.sites import Site

MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "max": torch.maximum,
    "min": torch.minimum,
}
Handle = Any  # a torch RemovableHandle; its own type is not public


def sites_of(model: nn.Module) -> list[Site]:
    """The sites that a model lists, or else its snnlens neurons by their dotted path."""
    listing = getattr(model, "sites", None)
    if callable(listing):
        return list(listing())
    neurons = [n for n, m in model.named_modules() if isinstance(m, Neuron)]
    if not neurons:
        raise NothingToRecord(
            f"the model must have a spiking site; got {type(model).__name__} without one; use "
            "snnlens neurons, or give the model a method sites() that lists snnlens.Site"
        )
    return [Site(n, n, "output", "neuron") for n in neurons]


@dataclass(frozen=True)
class _Reading:
    """Which probes read a site, and how; asked once, used at each pass."""

    site: Site
    value: list[Probe]
    gradient: list[Probe]
    block: list[Probe]
    step: list[Probe]
    statistics: frozenset[str]
    keeps_value: bool

    @classmethod
    def of(cls, site: Site, probes: Sequence[Probe]) -> _Reading:
        """What the probes that want this site override or have the kernel sum."""
        wanting = [p for p in probes if p.wants(site)]
        names = frozenset(n for p in wanting for n in p.statistics)
        gradient = [p for p in wanting if p.overrides("gradient") or p.statistics & BACKWARD]
        return cls(
            site,
            value=[p for p in wanting if p.overrides("value") or p.statistics & FORWARD],
            gradient=gradient,
            block=[p for p in wanting if p.overrides("block")],
            step=[p for p in wanting if p.overrides("step")],
            statistics=names,
            keeps_value=any(p.keeps_value for p in gradient),
        )


@dataclass
class _Tally:
    """Statistics of a probe at a site, summed over the calls of one shape."""

    probe: Probe
    site: Site
    shape: torch.Size
    found: dict[str, Tensor]
    calls: int = 1

    def add(self, found: dict[str, Tensor]) -> None:
        """One more call."""
        self.calls += 1
        self.found = {name: old + found[name] for name, old in self.found.items()}


@dataclass
class _Seen:
    """The tensor that passed last: one tensor may be several sites (O^l is S^(l+1))."""

    tensor: weakref.ref[Tensor]
    version: int | None
    values: dict[tuple[str, str], Sums] = field(default_factory=dict)
    counted: Statistics | None = None  # where it is the output of a neuron of snnlens
    gradient_sites: list[_Reading] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)  # the value, where a probe asks for it

    def is_now(self, x: Tensor) -> bool:
        """Whether x is that tensor, not changed in place since."""
        return self.tensor() is x and self.version is not None and self.version == x._version


class Recorder:
    """Record a model: `with Recorder(model, probes) as rec: loss(model(x), y).backward()`.

    Observing changes nothing: outputs, gradients, random state and module state keep their bits.
    Forward hooks read the sites and `Tensor.register_hook` their gradients; sums stay on the
    device until the record is asked for. Memory is O(sites x T) numbers.

    Args:
        model: a module that lists `sites()`, or holds snnlens neurons; time first [T, B, ...].
        probes: what to record.
        network: the name of this network in the Record.
        on_site: called after each site of a forward or backward pass (a progress bar).
    """

    def __init__(
        self,
        model: nn.Module,
        probes: Sequence[Probe],
        *,
        network: str = "model",
        on_site: Callable[[], None] | None = None,
    ) -> None:
        self.model, self.probes, self.network = model, list(probes), network
        self.sites = sites_of(model) + _parameter_sites(model, self.probes)
        self._on_site = on_site or (lambda: None)
        self._sums: dict[tuple[str, str], Sums] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._forward_calls: Counter[str] = Counter()
        self._gradient_calls: Counter[str] = Counter()
        self._model_calls = 0
        self._last: _Seen | None = None
        self._last_grad: _Seen | None = None
        self._tallies: dict[tuple[str, str, bool], _Tally] = {}
        self._counted: dict[str, Statistics] = {}  # of the call that a neuron is in
        self._stack = ExitStack()
        self._closed = False
        self._tensor_hooks: list[Handle] = []
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> Recorder:
        self._closed = False
        try:
            self._attach()
        except BaseException:
            self._detach()
            raise
        return self

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

    def record(self) -> Record:
        """What was seen so far, as an immutable Record."""
        if not self._model_calls:
            raise NothingToRecord(
                "the recorder must see a forward pass; got none; call the model inside `with`"
            )
        self._settle(self._tallies.values())
        self._tallies.clear()
        tables = {p.name: self._table(p) for p in self.probes}
        return Record(
            sites=self._site_table(),
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
        self._hold(self.model.register_forward_pre_hook(self._model_called))
        for site in self.sites:
            reading = _Reading.of(site, self.probes)
            if site.role == "parameter":
                self._watch_gradient(self.model.get_parameter(site.name), [reading], [])
                continue
            module = self._module(site)
            if site.reads == "input":
                self._hold(module.register_forward_pre_hook(self._input_hook(reading)))
            else:
                self._hold(module.register_forward_hook(self._output_hook(reading)))
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

    def _tap(self, module: Neuron, reading: _Reading) -> None:
        def listen(step: Step) -> None:
            for probe in reading.step if not _recomputing() else ():
                self._add(probe, reading.site, probe.step(reading.site, step), at=step.t)

        if reading.step:
            self._stack.enter_context(module.tap(listen))

    def _count(self, module: Neuron, reading: _Reading) -> None:
        """Have the kernel sum what the probes of this neuron's output ask for."""

        def listen(seen: Statistics) -> None:
            self._counted[reading.site.name] = seen

        if reading.statistics and reading.site.reads == "output":
            self._stack.enter_context(module.statistics(reading.statistics, listen))

    def _hold(self, handle: Handle) -> None:
        self._stack.callback(handle.remove)

    def _detach(self) -> None:
        self._stack.close()
        self._closed = True
        for handle in self._tensor_hooks:
            handle.remove()
        self._tensor_hooks.clear()
        self._last = self._last_grad = None

    # --- observing -----------------------------------------------------------------------------

    def _model_called(self, module: nn.Module, args: Any) -> None:
        if _recomputing():
            return
        self._model_calls += 1
        self._last = None
        alive = [h for h in self._tensor_hooks if h.hooks_dict_ref() is not None]
        self._tensor_hooks = alive

    def _input_hook(self, reading: _Reading) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...]) -> None:
            self._observe(reading, args[0])

        return hook

    def _output_hook(self, reading: _Reading) -> Callable[..., None]:
        site = reading.site

        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            self._observe(reading, output)
            if not reading.block or _recomputing():
                return
            with torch.no_grad():
                for probe in reading.block:
                    sums = probe.block(site, module, args[0].detach(), output.detach())
                    self._add(probe, site, sums)

        return hook

    def _observe(self, reading: _Reading, x: Tensor) -> None:
        site = reading.site
        counted = self._counted.pop(site.name, None)
        if _recomputing():
            return
        self._forward_calls[site.name] += 1
        self._shapes.setdefault(site.name, tuple(x.shape))
        if self._last is None or not self._last.is_now(x):
            self._last = _Seen(weakref.ref(x), _version(x), counted=counted)
        for probe in reading.value:
            self._take_value(probe, site, x, self._last)
        if x.requires_grad and reading.gradient:
            self._expect_gradient(self._last, reading, x)
        self._on_site()

    def _take_value(self, probe: Probe, site: Site, x: Tensor, seen: _Seen) -> None:
        if seen.counted is not None and probe.statistics & seen.counted.forward.keys():
            self._tally(probe, site, x.shape, seen.counted.forward)
        elif probe.overrides("value"):
            key = (probe.name, probe.shares(site))
            if key not in seen.values:
                seen.values[key] = probe.value(site, x.detach())
            self._add(probe, site, seen.values[key])

    def _expect_gradient(self, seen: _Seen, reading: _Reading, x: Tensor) -> None:
        """One listener per tensor; it may be several sites, and only some need its value kept."""
        seen.gradient_sites.append(reading)
        if not seen.kept and reading.keeps_value:
            seen.kept.append(x.detach())
        if len(seen.gradient_sites) > 1:
            return
        if seen.counted is not None and seen.counted.with_backward:
            hear = self._hearing(seen.gradient_sites, seen.kept)
            seen.counted.when_backward.append(hear)
        else:
            self._watch_gradient(x, seen.gradient_sites, seen.kept)

    def _watch_gradient(self, x: Tensor, sites: list[_Reading], kept: list[Tensor]) -> None:
        self._tensor_hooks.append(x.register_hook(self._hearing(sites, kept)))

    def _hearing(self, sites: list[_Reading], kept: list[Tensor]) -> Callable[..., None]:
        """What a gradient is handed to: by its tensor, or by the kernel with what it summed."""

        def hear(grad: Tensor, counted: Statistics | None = None) -> None:
            if self._closed:
                return
            if self._last_grad is None or not self._last_grad.is_now(grad):
                self._last_grad = _Seen(weakref.ref(grad), _version(grad))
            self._last_grad.counted = counted or self._last_grad.counted
            for reading in sites:
                self._gradient_calls[reading.site.name] += 1
                for probe in reading.gradient:
                    self._take_gradient(probe, reading.site, grad, kept)
                self._on_site()

        return hear

    def _take_gradient(self, probe: Probe, site: Site, grad: Tensor, kept: list[Tensor]) -> None:
        seen = self._last_grad
        assert seen is not None
        names = probe.statistics & BACKWARD
        if names:
            seen.counted = seen.counted or _by_hook(grad)
            if names <= seen.counted.gradients.keys():
                self._tally(probe, site, grad.shape, seen.counted.gradients, backward=True)
                return
        if probe.overrides("gradient"):
            value = kept[0] if probe.keeps_value else None
            key = (probe.name, probe.shares(site) + (str(id(value)) if kept else ""))
            if key not in seen.values:  # an ADD hands one gradient to both its inputs
                seen.values[key] = probe.gradient(site, grad.detach(), value)
            self._add(probe, site, seen.values[key])

    def _tally(
        self, probe: Probe, site: Site, shape: torch.Size, found: dict[str, Tensor],
        *, backward: bool = False,
    ) -> None:  # fmt: skip
        """Keep the statistics as they are; the probe makes its columns of them in the end."""
        key = (probe.name, site.name, backward)
        old = self._tallies.get(key)
        if old is not None and old.shape == shape:
            old.add(found)
            return
        own = {name: found[name] for name in probe.statistics if name in found}
        self._tallies[key] = _Tally(probe, site, shape, own)
        if old is not None:
            self._settle([old])

    def _settle(self, tallies: Iterable[_Tally]) -> None:
        for tally in tallies:
            sums = tally.probe.counted(tally.site, tally.found, tally.shape, tally.calls)
            self._add(tally.probe, tally.site, sums)

    def _add(self, probe: Probe, site: Site, sums: Sums, at: int = 0) -> None:
        if not sums:  # the probe has nothing to say of this tensor
            return
        key = (probe.name, site.name)
        if at:
            sums = {c: _padded(s, at, front=True, fill=probe.columns[c].merge)
                    for c, s in sums.items()}  # fmt: skip
        old = self._sums.get(key)
        self._sums[key] = sums if old is None else _merged(old, sums, probe.columns)

    # --- what is kept --------------------------------------------------------------------------

    def _site_table(self) -> pd.DataFrame:
        rows = []
        for order, site in enumerate(self.sites):
            row = asdict(site)
            row["site"] = row.pop("name")
            rows.append(
                {"network": self.network, "order": order}
                | row
                | _shape_facts(self._shapes.get(site.name))
                | {
                    "forward_calls": self._forward_calls[site.name],
                    "gradient_calls": self._gradient_calls[site.name],
                }
            )
        return _typed(pd.DataFrame(rows))

    def _network_facts(self) -> dict[str, Any]:
        listing = getattr(self.model, "facts", None)
        lone = isinstance(self.model, Neuron)  # its facts are of one layer, not of a network
        facts: dict[str, Any] = listing() if callable(listing) and not lone else {}
        own = {"model": type(self.model).__name__, "forward_passes": self._model_calls,
               "training_mode": self.model.training}  # fmt: skip
        return facts | own | self._facts

    def _table(self, probe: Probe) -> pd.DataFrame:
        parts = []
        for site in self.sites:
            sums = self._sums.get((probe.name, site.name))
            if sums:
                parts.append(_rows(self.network, site.name, probe.axes, sums))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _by_hook(grad: Tensor) -> Statistics:
    """What the kernel sums of a gradient, of one that no kernel sees."""
    return Statistics({}, gradients={"grad_spike_squared": step_squares(grad)})


def _recomputing() -> bool:
    """Whether a backward pass runs: then a forward pass is a checkpoint's second one."""
    return torch._C._current_graph_task_id() != -1


def _parameter_sites(model: nn.Module, probes: Sequence[Probe]) -> list[Site]:
    if not any("parameter" in p.roles for p in probes):
        return []
    return [
        Site(name, name.rpartition(".")[0], "output", "parameter", "weight")
        for name, p in model.named_parameters()
        if p.requires_grad
    ]


def _version(x: Tensor) -> int | None:
    """How often x was changed in place; an inference tensor does not count it."""
    return None if x.is_inference() else x._version


def _merged(old: Sums, new: Sums, columns: dict[str, Column]) -> Sums:
    merged = {}
    for column, spec in columns.items():
        a, b = old[column], new[column]
        if a.dim() and len(a) != len(b):
            length = max(len(a), len(b))
            a, b = (_padded(x, length - len(x), front=False, fill=spec.merge) for x in (a, b))
        merged[column] = MERGES[spec.merge](a, b)
    return merged


def _padded(x: Tensor, by: int, *, front: bool, fill: str = "sum") -> Tensor:
    """x lengthened by steps that say nothing: 0 for a sum, the neutral element of an extreme."""
    info = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
    neutral = {"sum": 0, "max": info.min, "min": info.max}[fill]
    filler = x.new_full((by, *x.shape[1:]), neutral)
    return torch.cat([filler, x] if front else [x, filler])


def _shape_facts(shape: tuple[int, ...] | None) -> dict[str, int | None]:
    names = ("time_steps", "batch", "neurons", "positions")
    if shape is None or len(shape) < 2:
        return dict.fromkeys(names)
    return {
        "time_steps": shape[0],
        "batch": shape[1],
        "neurons": math.prod(shape[2:]),
        "positions": math.prod(shape[3:]),
    }


def _typed(sites: pd.DataFrame) -> pd.DataFrame:
    whole = ["block", "stage", "area", "time_steps", "batch", "neurons", "positions"]
    return sites.astype(dict.fromkeys(whole, "Int64"))


def _rows(network: str, site: str, axes: tuple[str, ...], sums: Sums) -> pd.DataFrame:
    arrays = {c: t.cpu().numpy() for c, t in sums.items()}
    shape = next(iter(arrays.values())).shape
    index = np.indices(shape).reshape(len(shape), math.prod(shape))
    keys = {axis: index[i] for i, axis in enumerate(axes)}
    flat = {c: a.reshape(-1) for c, a in arrays.items()}
    return pd.DataFrame({"network": network, "site": site} | keys | flat)
