"""Recorder: attaches probes to the sites of a model, always detaches, and keeps sums only."""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
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


@dataclass
class _Seen:
    """The tensor that passed last: one tensor may be several sites (O^l is S^(l+1))."""

    tensor: weakref.ref[Tensor]
    version: int | None
    values: dict[tuple[str, str], Sums] = field(default_factory=dict)
    gradient_sites: list[Site] = field(default_factory=list)
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
        self._reading: dict[tuple[str, str], list[Probe]] = {}
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
            if site.role == "parameter":
                self._watch_gradient(self.model.get_parameter(site.name), [site], [])
                continue
            module = self._module(site)
            if site.reads == "input":
                self._hold(module.register_forward_pre_hook(self._input_hook(site)))
            else:
                self._hold(module.register_forward_hook(self._output_hook(site)))
            self._tap(module, site)
            self._count(module, site)

    def _module(self, site: Site) -> nn.Module:
        try:
            return self.model.get_submodule(site.module)
        except AttributeError:
            raise InputError(
                f"the module of site {site.name}", got=site.module, wanted="a part of the model"
            ) from None

    def _tap(self, module: nn.Module, site: Site) -> None:
        probes = self._readers(site, "step")
        if not (probes and isinstance(module, Neuron)):
            return

        def listen(step: Step) -> None:
            for probe in probes if not _recomputing() else ():
                self._add(probe, site, probe.step(site, step), at=step.t)

        self._stack.enter_context(module.tap(listen))

    def _count(self, module: nn.Module, site: Site) -> None:
        """Have the kernel of a neuron of snnlens sum what the probes of its output ask for."""
        names = {name for probe in self._readers(site, "counted") for name in probe.statistics}
        if not (names and isinstance(module, Neuron) and site.reads == "output"):
            return

        def listen(seen: Statistics) -> None:
            self._counted[site.name] = seen

        self._stack.enter_context(module.statistics(names, listen))

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

    def _input_hook(self, site: Site) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...]) -> None:
            self._observe(site, args[0])

        return hook

    def _output_hook(self, site: Site) -> Callable[..., None]:
        comparing = self._readers(site, "block")

        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            self._observe(site, output)
            with torch.no_grad():
                for probe in comparing if not _recomputing() else ():
                    sums = probe.block(site, module, args[0].detach(), output.detach())
                    self._add(probe, site, sums)

        return hook

    @torch.no_grad()
    def _observe(self, site: Site, x: Tensor) -> None:
        counted = self._counted.pop(site.name, None)
        if _recomputing():
            return
        self._forward_calls[site.name] += 1
        self._shapes.setdefault(site.name, tuple(x.shape))
        if self._last is None or not self._last.is_now(x):
            self._last = _Seen(weakref.ref(x), _version(x))
        seen = self._last
        for probe in self._readers(site, "value"):
            key = (probe.name, probe.shares(site))
            if key not in seen.values:
                seen.values[key] = self._value(probe, site, x, counted)
            self._add(probe, site, seen.values[key])
        if x.requires_grad and self._readers(site, "gradient"):
            self._expect_gradient(seen, site, x, counted)
        self._on_site()

    def _value(self, probe: Probe, site: Site, x: Tensor, counted: Statistics | None) -> Sums:
        if counted is not None and probe.statistics & counted.forward.keys():
            return probe.counted(site, counted.forward, x.shape)
        return probe.value(site, x.detach()) if probe.overrides("value") else {}

    def _readers(self, site: Site, method: str) -> list[Probe]:
        """The probes that read this site with that method; asked at each site of each pass."""
        key = (site.name, method)
        if key not in self._reading:
            wanting = [p for p in self.probes if p.wants(site) and _reads(p, method)]
            self._reading[key] = wanting
        return self._reading[key]

    def _expect_gradient(
        self, seen: _Seen, site: Site, x: Tensor, counted: Statistics | None
    ) -> None:
        """One listener per tensor; it may be several sites, and only some need its value kept."""
        seen.gradient_sites.append(site)
        if not seen.kept and any(p.keeps_value for p in self._readers(site, "gradient")):
            seen.kept.append(x.detach())
        if len(seen.gradient_sites) > 1:
            return
        if counted is not None and counted.with_backward:
            counted.when_backward.append(self._hearing(seen.gradient_sites, seen.kept))
        else:
            self._watch_gradient(x, seen.gradient_sites, seen.kept)

    def _watch_gradient(self, x: Tensor, sites: list[Site], kept: list[Tensor]) -> None:
        self._tensor_hooks.append(x.register_hook(self._hearing(sites, kept)))

    def _hearing(self, sites: list[Site], kept: list[Tensor]) -> Callable[..., None]:
        """What a gradient is handed to: by its tensor, or by the kernel with what it summed."""

        @torch.no_grad()
        def hear(grad: Tensor, counted: Statistics | None = None) -> None:
            if self._closed:
                return
            if self._last_grad is None or not self._last_grad.is_now(grad):
                self._last_grad = _Seen(weakref.ref(grad), _version(grad))
            reduced = self._last_grad.values  # an ADD hands one gradient to both its inputs
            for site in sites:
                self._gradient_calls[site.name] += 1
                for probe in self._readers(site, "gradient"):
                    value = kept[0] if probe.keeps_value else None
                    key = (probe.name, probe.shares(site) + (str(id(value)) if kept else ""))
                    if key not in reduced:
                        reduced[key] = _gradient(probe, site, grad, value, counted)
                    self._add(probe, site, reduced[key])
                self._on_site()

        return hear

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


def _reads(probe: Probe, method: str) -> bool:
    """Whether a probe has that method, or gets the same numbers from the kernel's."""
    passes = {"value": FORWARD, "gradient": BACKWARD, "counted": (*FORWARD, *BACKWARD)}
    return probe.overrides(method) or bool(probe.statistics.intersection(passes.get(method, ())))


def _gradient(
    probe: Probe, site: Site, grad: Tensor, value: Tensor | None, counted: Statistics | None
) -> Sums:
    if counted is not None and probe.statistics & counted.gradients.keys():
        return probe.counted(site, counted.gradients, grad.shape)
    return probe.gradient(site, grad.detach(), value) if probe.overrides("gradient") else {}


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
